"""batch_norm, layer_norm and running statistics: values from analysis, derivatives, dtypes, refusals."""

import numpy as np
import pytest
from checked import checked
from helpers import close, differences, leaf, random_like

from tinygrad_steel import (
    SGD,
    Tensor,
    batch_norm,
    check_gradients,
    compare_backprop,
    compile_backprop,
    compile_epoch,
    draw,
    export_onnx,
    formula,
    grad,
    layer_norm,
    normalize,
    update_running,
    write_backprop,
)
from tinygrad_steel.picture.scene import scene

pytestmark = pytest.mark.filterwarnings("error")
NORMS = pytest.mark.parametrize("norm", [batch_norm, layer_norm])
EITHER = pytest.mark.parametrize("backend", ["numpy", "numba"])


def numbers(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).normal(2, 3, shape).astype(dtype)


# Values


def test_two_rows_are_one_above_and_one_below():
    """Of two numbers a - d and a + d, the mean is a and the deviation d."""
    x = np.array([[1.0, -5.0], [4.0, 7.0]])
    scale, shift = np.array([2.0, 3.0]), np.array([10.0, 20.0])
    close(batch_norm(x, scale, shift, epsilon=0.0), [[8.0, 17.0], [12.0, 23.0]])
    close(layer_norm(x, scale, shift, epsilon=0.0), [[12.0, 17.0], [8.0, 23.0]])


def test_epsilon_is_added_to_the_variance():
    x = np.array([[1.0], [3.0]])  # with variance 1
    close(batch_norm(x, 1.0, 0.0, epsilon=3.0), [[-0.5], [0.5]])
    close(layer_norm(x.T, 1.0, 0.0, epsilon=3.0), [[-0.5, 0.5]])


@pytest.mark.parametrize("shape", [(6, 3), (4, 2, 3), (2, 4, 5, 3)])
def test_the_statistics_are_over_all_axes_but_the_last(shape):
    x, scale, shift = numbers(*shape), numbers(3, seed=1), numbers(3, seed=2)
    y = batch_norm(x, scale, shift, epsilon=1e-12)
    for c in range(3):
        close(y[..., c].mean(), shift[c])
        close(y[..., c].std(), abs(scale[c]))
    flat = batch_norm(x.reshape(-1, 3), scale, shift, epsilon=1e-12)
    close(y, flat.reshape(shape), rtol=1e-12)
    rows = layer_norm(x, 1.0, 0.0, epsilon=1e-12)
    close(rows.mean(axis=-1), np.zeros(shape[:-1]))
    close(rows.std(axis=-1), np.ones(shape[:-1]))


# Derivatives


@pytest.mark.parametrize("shape", [(6, 3), (2, 2, 3, 3)])
@NORMS
def test_derivatives_of_first_and_second_order_and_every_road(norm, shape):
    checked(norm, numbers(*shape), numbers(3, seed=1), numbers(3, seed=2))


@NORMS
def test_in_a_network_with_random_output_gradients(norm):
    x, y = numbers(5, 4), random_like(np.empty((5, 3)))

    def loss(w, scale, shift):
        return np.sum(np.tanh(norm(x @ w, scale, shift, epsilon=0.01)) * y)

    check_gradients(loss, numbers(4, 3, seed=1), numbers(3, seed=2), numbers(3, seed=3))


@NORMS
def test_the_hand_chain(norm):
    """G_x = (G_n - mean(G_n) - n * mean(G_n * n)) / deviation, with n the normalised and G_n = G * scale."""
    axis = 0 if norm is batch_norm else 1
    data, scale, shift, G = numbers(7, 4), numbers(4, seed=1), numbers(4, seed=2), numbers(7, 4)
    x, s, b = leaf(data), leaf(scale), leaf(shift)
    norm(x, s, b, epsilon=0.5).backward(G)
    deviation = np.sqrt(data.var(axis=axis, keepdims=True) + 0.5)
    n = (data - data.mean(axis=axis, keepdims=True)) / deviation
    G_n = G * scale
    means = [a.mean(axis=axis, keepdims=True) for a in (G_n, G_n * n)]
    close(x.grad, (G_n - means[0] - n * means[1]) / deviation, rtol=1e-10)
    close(s.grad, (G * n).sum(axis=0), rtol=1e-10)
    close(b.grad, G.sum(axis=0), rtol=1e-10)


def test_mean_and_variance_are_no_constants():
    """What they would give, G * scale / deviation, is far off: a shift of all of x changes nothing."""
    x = leaf(numbers(6, 2))
    np.sum(np.square(batch_norm(x, 1.0, 0.0)) * numbers(6, 2, seed=3)).backward()
    close(x.grad.sum(axis=0), np.zeros(2))  # in the direction of a shift of all rows
    assert np.abs(x.grad).max() > 0.1


@NORMS
def test_autograd_agrees_in_first_and_second_order(norm):
    autograd = pytest.importorskip("autograd")
    data = [numbers(4, 2, 3), numbers(3, seed=1), numbers(3, seed=2)]
    G, directions = random_like(data[0]), [random_like(a, seed=i) for i, a in enumerate(data)]

    def plain(x, scale, shift):
        axis = (0, 1) if norm is batch_norm else -1
        centred = x - autograd.numpy.mean(x, axis=axis, keepdims=True)
        variance = autograd.numpy.mean(centred**2, axis=axis, keepdims=True)
        y = centred / autograd.numpy.sqrt(variance + 0.3) * scale + shift
        return autograd.numpy.sum(autograd.numpy.tanh(y) * G)

    def slope(*arrays):
        gradients = autograd.grad(plain, (0, 1, 2))(*arrays)
        return sum(autograd.numpy.sum(g * d) for g, d in zip(gradients, directions))

    xs = [leaf(a) for a in data]
    gradients = grad(np.sum(np.tanh(norm(*xs, epsilon=0.3)) * G), xs)
    for g, right in zip(gradients, autograd.grad(plain, (0, 1, 2))(*data)):
        close(g.data, right, rtol=1e-10)
    second = grad(sum(np.sum(g * d) for g, d in zip(gradients, directions)), xs)
    for g, right in zip(second, autograd.grad(slope, (0, 1, 2))(*data)):
        close(g.data, right, rtol=1e-9, atol=1e-10)


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    data, scale, shift = numbers(4, 5, 3), numbers(3, seed=1), numbers(3, seed=2)
    G = random_like(data)
    for norm in (batch_norm, layer_norm):
        ours = [leaf(data), leaf(scale), leaf(shift)]
        norm(*ours).backward(G)
        theirs = [torch.tensor(a, requires_grad=True) for a in (data, scale, shift)]
        if norm is batch_norm:
            channels = theirs[0].reshape(-1, 3)
            y = torch.nn.functional.batch_norm(channels, None, None, *theirs[1:], training=True)
        else:
            y = torch.nn.functional.layer_norm(theirs[0], (3,), *theirs[1:])
        y.backward(torch.tensor(G.reshape(y.shape)))
        for a, b in zip(ours, theirs):
            close(a.grad, b.grad.numpy(), rtol=1e-9, atol=1e-9)


@NORMS
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_floats(norm, dtype):
    """300 ** 2 is beyond float16: squares are computed in float32 there."""
    data = (numbers(8, 4) * 200 + 300).astype(dtype)
    scale, shift, G = numbers(4, seed=1), numbers(4, seed=2), numbers(8, 4, seed=3)
    narrow = [leaf(a, dtype) for a in (data, scale, shift)]
    y = norm(*narrow)
    y.backward(G.astype(dtype))
    wide = [leaf(a.data.astype(float)) for a in narrow]
    right = norm(*wide)
    right.backward(G.astype(dtype).astype(float))
    assert y.dtype == dtype
    tolerance = {"rtol": 200 * np.finfo(dtype).eps, "atol": 50 * np.finfo(dtype).eps}
    close(y.data.astype(float), right.data, **tolerance)
    for a, b in zip(narrow, wide):
        assert a.grad.dtype == dtype
        close(a.grad.astype(float), b.grad, **tolerance)


def test_integers_are_floats_first():
    x = np.array([[1, 10], [3, 30]])
    assert batch_norm(x, 1.0, 0.0).dtype == layer_norm(x, 1.0, 0.0).dtype == np.float64


def test_equal_rows_have_the_shift_and_no_slope():
    x, scale = leaf(np.full((4, 2), 7.0)), leaf([3.0, 4.0])
    y = batch_norm(x, scale, np.array([1.0, 2.0]))
    close(y.data, np.tile([1.0, 2.0], (4, 1)))
    y.backward(np.tile([1.0, -2.0], (4, 1)))
    close(x.grad, np.zeros((4, 2)))
    close(scale.grad, np.zeros(2))


# Readers


@NORMS
def test_written_as_one_call_with_its_definition_in_front(norm):
    x, y = Tensor(numbers(6, 4), name="x"), Tensor(numbers(6, 3, seed=4), name="y")
    w, scale, shift = (
        leaf(numbers(*shape, seed=i), name=name)
        for i, (shape, name) in enumerate([((4, 3), "w"), ((3,), "scale"), ((3,), "shift")])
    )
    loss = np.mean(np.square(norm(x @ w, scale, shift) - y))
    source, axis, name = write_backprop(loss), 0 if norm is batch_norm else -1, norm.name
    assert source.startswith(
        f"""import numpy as np


def {name}(x, scale, shift):
    centred = x - np.mean(x, axis={axis}, keepdims=True)
    deviation = np.sqrt(np.mean(np.square(centred), axis={axis}, keepdims=True) + 1e-05)
    normal = centred / deviation
    return normal * scale + shift
"""
    )
    assert f"t2 = {name}(t1, scale, shift) - y" in source
    assert formula(loss) == f"mean(square({name}(x @ w, scale, shift) - y))"
    value, *gradients = source.function()(**source.arguments)
    loss.backward()
    close(value, loss.data, rtol=1e-12)
    for g, p in zip(gradients, (w, scale, shift)):
        close(g, p.grad, rtol=1e-10)


@NORMS
def test_one_card_whose_vjp_is_said_in_parts(norm):
    x, scale = Tensor(numbers(6, 3), name="x"), leaf(numbers(3, seed=1), name="scale")
    w = leaf(numbers(3, 3, seed=2), name="w")
    y = np.mean(norm(x @ w, scale, 0.0))
    assert str(draw(y)).count(f"^ {norm.name}  (6, 3)") == 1
    shown = scene(y, "backward", None, False, False, None)
    (called,) = [c.called for c in shown.cards if c.op == "matmul"]
    (code,) = [a.code for a in shown.arrows if shown.by_id[a.tail].op == "matmul"]
    gradient, *parts = code.split("; ")
    g, h = random_like(np.empty((6, 3))), numbers(6, 3) @ w.data
    known = {
        "g": g,
        called: h,
        "scale": scale.data,
        "mean": np.mean,
        "sqrt": np.sqrt,
        "square": np.square,
    }
    for part in parts:
        exec(part, known)
    t = leaf(h)
    norm(t, scale, 0.0).backward(g)
    close(eval(gradient, known), t.grad, rtol=1e-10)


@EITHER
@NORMS
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_and_epochs(norm, backend, dtype):
    """The last batch is shorter: its statistics are its own."""
    xs, ys = numbers(11, 4, dtype=dtype), numbers(11, 3, seed=4, dtype=dtype)

    def model():
        parameters = [
            leaf(numbers(*s, seed=i), dtype) for i, s in enumerate([(4, 3), (3,), (3,)], 1)
        ]
        return parameters, lambda x, y: np.mean(
            np.square(norm(x @ parameters[0], *parameters[1:]) - y)
        )

    rtol = 1e-9 if dtype == np.float64 else 2e-4
    compiled, loss = model()
    batch = Tensor(xs[:4], name="x"), Tensor(ys[:4], name="y")
    step = compile_backprop(loss(*batch), backend=backend)
    value = step(xs[4:8], ys[4:8])
    eager, same_loss = model()
    right = same_loss(Tensor(xs[4:8]), Tensor(ys[4:8]))
    right.backward()
    close(np.float64(value), right.item(), rtol=rtol)
    for p, q in zip(compiled, eager):
        close(p.grad, q.grad, rtol=rtol, atol=rtol)

    epoch = compile_epoch(loss(*batch), batch, optimizer=SGD(compiled, 0.01), backend=backend)
    losses = epoch(xs, ys)
    optimizer, expected = SGD(eager, 0.01), []
    for i in (0, 4, 8):
        number = same_loss(Tensor(xs[i : i + 4]), Tensor(ys[i : i + 4]))
        optimizer.zero_grad()
        number.backward()
        optimizer.step()
        expected.append(number.item())
    close(losses, expected, rtol=rtol)
    for p, q in zip(compiled, eager):
        close(p.data, q.data, rtol=rtol, atol=rtol)


def test_a_chain_that_takes_the_statistics_as_constants_is_wrong():
    """The book's (chapter 8): G * scale / deviation."""
    x, w = Tensor(numbers(6, 4), name="x"), leaf(numbers(4, 3, seed=1), name="w")
    z = x @ w
    z.name = "z"
    h = batch_norm(z, 1.0, 0.0)
    h.name = "h"
    loss = np.mean(np.square(h - numbers(6, 3, seed=2)))
    G_h = 2 * (h.numpy() - numbers(6, 3, seed=2)) / 18
    G_z = G_h / np.sqrt(z.numpy().var(axis=0) + 1e-5)
    report = compare_backprop(loss, locals(), G_h=G_h, G_z=G_z, G_w=x.numpy().T @ G_z)
    assert not report.ok and report.first_wrong.name == "G_z"


# Running statistics


def test_running_statistics_move_towards_those_of_the_batch():
    mean, variance = np.zeros(2), np.ones(2)
    x = np.array([[[1.0, 0.0], [3.0, 4.0]]])  # means 2, 2 and variances 1, 4
    new_mean, new_variance = update_running(mean, variance, x, momentum=0.25)
    close(new_mean, [0.5, 0.5])
    close(new_variance, [1.0, 1.75])
    close(mean, [0.0, 0.0])  # nothing is changed in place
    from_tensor = update_running(mean, variance, Tensor(x), momentum=0.25)
    assert all(type(a) is np.ndarray for a in from_tensor)
    close(from_tensor[1], new_variance)


def test_normalize_is_batch_norm_with_the_statistics_of_the_batch():
    x, scale, shift = numbers(5, 2, 3), numbers(3, seed=1), numbers(3, seed=2)
    mean, variance = update_running(np.zeros(3), np.ones(3), x, momentum=1.0)
    close(normalize(x, mean, variance, scale, shift), batch_norm(x, scale, shift), rtol=1e-12)


def test_normalize_takes_its_statistics_as_given():
    mean, variance, G = numbers(3, seed=3), np.array([0.5, 1.0, 2.0]), numbers(5, 3, seed=4)
    x, scale = leaf(numbers(5, 3)), numbers(3, seed=1)
    normalize(x, mean, variance, scale, 0.0).backward(G)
    close(x.grad, G * scale / np.sqrt(variance + 1e-5))
    x = numbers(5, 3)
    m = leaf(mean)  # a Tensor that wants a gradient gets it
    normalize(x, m, variance, scale, 0.0).backward(G)
    close(m.grad, differences(lambda a: np.sum(normalize(x, a, variance, scale, 0.0) * G), mean))


def test_a_file_for_any_number_of_rows_takes_running_statistics(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    x, w, file = Tensor(numbers(5, 4), name="x"), numbers(4, 3, seed=1), str(tmp_path / "net.onnx")
    scale, shift = numbers(3, seed=2), numbers(3, seed=3)
    with pytest.raises(
        ValueError, match="takes the rows of a batch together.* of batch_norm, write normalize with"
    ):
        export_onnx(batch_norm(x @ w, scale, shift), file, [x])
    mean, variance = update_running(np.zeros(3), np.ones(3), x @ w, momentum=0.5)
    for y in (normalize(x @ w, mean, variance, scale, shift), layer_norm(x @ w, scale, shift)):
        export_onnx(y, file, [x])
        (found,) = runtime.InferenceSession(file).run(None, {"x": x.data[:2]})
        close(found, y.data[:2], rtol=1e-7)


# Refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: batch_norm(leaf([1.0, 2.0]), 1.0, 0.0),
            r"x is \(batch, \.\.\., channels\), not \(2,\)",
        ),
        (lambda: layer_norm(leaf(1.0), 1.0, 0.0), r"x is \(\.\.\., features\), not \(\)"),
        (
            lambda: batch_norm(leaf(numbers(4, 3)), np.ones(4), 0.0),
            r"scale is one number .* \(3,\)",
        ),
        (lambda: layer_norm(numbers(4, 3), 1.0, np.ones((2, 4, 3))), r"shift is one number"),
        (lambda: batch_norm(numbers(4, 3), 1.0, 0.0, -1.0), "epsilon .* not -1.0"),
        (lambda: layer_norm(leaf(numbers(4, 3)), 1.0, 0.0, np.nan), "epsilon .* not nan"),
        (lambda: update_running(np.zeros(2), np.ones(2), np.ones(2)), r"not \(2,\)"),
        (
            lambda: update_running(np.zeros(3), np.ones(3), np.ones((4, 2))),
            r"mean is one number for each channel of x, \(2,\), not \(3,\)",
        ),
        (
            lambda: update_running(np.zeros(2), np.ones((2, 1)), np.ones((4, 2))),
            r"variance is one number for each channel of x, \(2,\), not \(2, 1\)",
        ),
        (lambda: update_running(0.0, 1.0, np.ones((4, 2)), momentum=1.1), "0 to 1, not 1.1"),
        (lambda: update_running(0.0, 1.0, np.ones((4, 2)), momentum=-0.1), "0 to 1, not -0.1"),
        (
            lambda: normalize(leaf(numbers(4, 3)), np.zeros(2), np.ones(2), 1.0, 0.0),
            r"mean is one number .* \(3,\), not \(2,\)",
        ),
        (
            lambda: normalize(numbers(4, 3), np.zeros(3), np.ones(3), 1.0, leaf(np.zeros(4))),
            r"shift is one number .* \(3,\), not \(4,\)",
        ),
        (lambda: normalize(numbers(4, 3), 0.0, 1.0, 1.0, 0.0, -1.0), "epsilon .* not -1.0"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
