"""Convolution and pooling: against loops over every pixel, by hand, by differences, of both orders."""

import itertools

import numpy as np
import pytest
from helpers import close, differences, leaf, random_like

from tinygrad_steel import (
    OPS,
    SGD,
    Tensor,
    avg_pool,
    check_gradients,
    compare_backprop,
    compile_backprop,
    conv2d,
    draw,
    formula,
    grad,
    max_pool,
    relu,
    vjp_formulas,
    write_backprop,
)

pytestmark = pytest.mark.filterwarnings("error")

SHAPE = (2, 5, 6, 3)
SIZES = [(1, 1), (2, 2), (3, 3), (2, 3), (4, 1), (5, 6)]
STRIDES = [1, 2, (1, 3), (3, 2)]
CASES = [*itertools.product(SIZES, STRIDES, ["same", "valid"])]
every_case = pytest.mark.parametrize("size, stride, padding", CASES)


def images(shape=SHAPE, seed=0):
    """No two elements are alike, and none is near another: a maximum has a slope."""
    count = int(np.prod(shape))
    numbers = np.random.default_rng(seed).permutation(count) - count / 2 + 0.25
    return (numbers / count * 4).reshape(shape)


# Loops over every pixel, written from the definition


def windows_of(x, size, stride, padding):
    """(place, the elements of the images in the window, where these are in the window) of each window."""
    _, h, w, _ = x.shape
    (kh, kw), (sh, sw) = size, stride if isinstance(stride, tuple) else (stride, stride)
    if padding == "same":
        rows, columns = int(np.ceil(h / sh)), int(np.ceil(w / sw))
        top = max((rows - 1) * sh + kh - h, 0) // 2
        left = max((columns - 1) * sw + kw - w, 0) // 2
    else:
        rows, columns, top, left = (h - kh) // sh + 1, (w - kw) // sw + 1, 0, 0
    for i, j in itertools.product(range(rows), range(columns)):
        inside = [
            (a, b, i * sh - top + a, j * sw - left + b)
            for a, b in itertools.product(range(kh), range(kw))
            if 0 <= i * sh - top + a < h and 0 <= j * sw - left + b < w
        ]
        yield i, j, inside


def output_of(x, size, stride, padding, channels):
    places = [(i, j) for i, j, _ in windows_of(x, size, stride, padding)]
    return np.zeros(
        (len(x), 1 + max(i for i, _ in places), 1 + max(j for _, j in places), channels)
    )


def convolved(x, kernel, stride, padding):
    y = output_of(x, kernel.shape[:2], stride, padding, kernel.shape[3])
    for i, j, inside in windows_of(x, kernel.shape[:2], stride, padding):
        for a, b, row, column in inside:
            for n, c, m in np.ndindex(len(x), *kernel.shape[2:]):
                y[n, i, j, m] += x[n, row, column, c] * kernel[a, b, c, m]
    return y


def pooled(reduction, x, size, stride, padding):
    y = output_of(x, size, stride, padding, x.shape[3])
    for i, j, inside in windows_of(x, size, stride, padding):
        for n, c in np.ndindex(len(x), x.shape[3]):
            y[n, i, j, c] = reduction([x[n, row, column, c] for _, _, row, column in inside])
    return y


@every_case
def test_convolution_is_that_of_loops(size, stride, padding):
    x, kernel = images(), random_like(np.empty((*size, 3, 4)))
    expected = convolved(x, kernel, stride, padding)
    close(conv2d(x, kernel, stride, padding), expected, rtol=1e-12)
    close(conv2d(leaf(x), kernel, stride=stride, padding=padding).data, expected, rtol=1e-12)


@pytest.mark.parametrize("pool, reduction", [(max_pool, max), (avg_pool, np.mean)])
@every_case
def test_pooling_is_that_of_loops(size, stride, padding, pool, reduction):
    for x in (images(), images() - 9, images() + 9):
        close(pool(x, size, stride, padding), pooled(reduction, x, size, stride, padding))
    once = pooled(reduction, x, size, size, padding)
    close(pool(x, size, padding=padding), once, rtol=1e-12)  # the stride is the size


def test_convolution_is_that_of_scipy():
    signal = pytest.importorskip("scipy.signal")
    x, kernel = images(), random_like(np.empty((3, 2, 3, 2)))
    expected = np.zeros((2, 3, 5, 2))
    for n, c, m in np.ndindex(2, 3, 2):
        expected[n, :, :, m] += signal.correlate2d(x[n, :, :, c], kernel[:, :, c, m], "valid")
    close(conv2d(x, kernel, padding="valid"), expected, rtol=1e-12)


# Gradients


def second_order(f, data):
    """Gradients of a weighted sum of gradients agree with differences of that sum."""

    def first(arrays):
        leaves = [leaf(a) for a in arrays]
        y = f(*leaves)
        slopes = grad(y, leaves, random_like(y))
        return sum(np.sum(s * random_like(s, seed=i)) for i, s in enumerate(slopes)), leaves

    number, leaves = first(data)
    for i, found in enumerate(grad(number, leaves)):

        def moved(x, i=i):
            return first([*data[:i], x, *data[i + 1 :]])[0].item()

        close(found.data, differences(moved, data[i]), atol=1e-7)


@every_case
def test_gradients_of_a_convolution(size, stride, padding):
    x, kernel = images(), random_like(np.empty((*size, 3, 2)))
    xs = leaf(x), leaf(kernel)
    y = conv2d(*xs, stride, padding)
    g = random_like(y)
    y.backward(g)
    traced = grad(y, xs, g)
    expected = np.zeros(x.shape), np.zeros(kernel.shape)
    for i, j, inside in windows_of(x, size, stride, padding):
        for a, b, row, column in inside:  # y[:, i, j] += x[:, row, column] @ kernel[a, b]
            expected[0][:, row, column] += g[:, i, j] @ kernel[a, b].T
            expected[1][a, b] += x[:, row, column].T @ g[:, i, j]
    for t, slopes, wanted in zip(xs, traced, expected, strict=True):
        close(t.grad, wanted, rtol=1e-10, atol=1e-10)
        close(slopes.data, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size, stride, padding", CASES[::5])
def test_gradients_of_gradients_of_a_convolution(size, stride, padding):
    data = [images((1, 5, 6, 2)), random_like(np.empty((*size, 2, 1)))]
    second_order(lambda x, kernel: conv2d(x, kernel, stride, padding) ** 2, data)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
@every_case
def test_gradients_of_a_pool(size, stride, padding, pool):
    x = leaf(images())
    y = pool(x, size, stride, padding)
    g = random_like(y)
    y.backward(g)
    expected = np.zeros(SHAPE)
    for i, j, inside in windows_of(x.data, size, stride, padding):
        for n, c in np.ndindex(2, 3):
            at = {(row, column): x.data[n, row, column, c] for _, _, row, column in inside}
            top = max(at.values())
            for (row, column), number in at.items():
                share = number == top if pool is max_pool else 1 / len(at)
                expected[n, row, column, c] += g[n, i, j, c] * share
    close(x.grad, expected, rtol=1e-12)
    close(grad(pool(x, size, stride, padding), x, g).data, expected, rtol=1e-12)
    f = lambda a: np.sum(g * pool(a, size, stride, padding))  # noqa: E731
    close(x.grad, differences(f, x.data), atol=1e-7)


@pytest.mark.parametrize("size, stride, padding", CASES[::7])
def test_gradients_of_gradients_of_pools(size, stride, padding):
    x = [images((1, 5, 6, 2))]
    second_order(lambda x: max_pool(x * x, size, stride, padding), x)
    second_order(lambda x: avg_pool(x**3, size, stride, padding), x)


def test_convolution_over_pools_by_differences():
    def loss(x, kernel, other):
        hidden = max_pool(relu(conv2d(x, kernel)), 3, 2, "same")
        return np.mean(np.square(avg_pool(conv2d(hidden, other, 2), 2, 1, "same")))

    kernels = (random_like(np.empty(shape)) for shape in [(3, 3, 3, 4), (2, 3, 4, 2)])
    check_gradients(loss, images(), *kernels)


def test_windows_are_cut_once(monkeypatch):
    """Those of the forward are kept for the gradient of the kernel."""
    cuts = []

    def counting(*args, **params):
        cuts.append(args)
        return cut(*args, **params)

    cut = np.lib.stride_tricks.sliding_window_view
    monkeypatch.setattr(np.lib.stride_tricks, "sliding_window_view", counting)
    kernel = leaf(random_like(np.empty((3, 3, 3, 2))))
    y = conv2d(Tensor(images()), kernel)
    y.backward(random_like(y))
    assert len(cuts) == 1


# By hand


def test_a_convolution_by_hand():
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[None, ..., None]
    kernel = np.array([[1.0, 0.0], [0.0, -1.0]])[..., None, None]
    close(conv2d(x, kernel, padding="valid"), [[[[1.0 - 5], [2 - 6]]]])
    # a zero row below and a zero column to the right: an even kernel has more behind than before
    close(conv2d(x, kernel)[0, ..., 0], [[-4.0, -4.0, 3.0], [4.0, 5.0, 6.0]])
    # an odd kernel stands on its centre
    close(conv2d(x, np.ones((1, 3, 1, 1)))[0, ..., 0], [[3.0, 6.0, 5.0], [9.0, 15.0, 11.0]])
    # stride 2 over a width of 3 with 2 wide windows: 2 places, 1 zero, behind
    close(conv2d(x, np.ones((1, 2, 1, 1)), (1, 2))[0, ..., 0], [[3.0, 3.0], [9.0, 6.0]])


def test_an_average_leaves_out_padded_places():
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[None, ..., None]
    close(avg_pool(x, 2, padding="same")[0, ..., 0], [[3.0, 4.5]])
    close(avg_pool(x, 3, 1, "same")[0, ..., 0], [[3.0, 3.5, 4.0]] * 2)
    x = leaf(x)
    avg_pool(x, 2, padding="same").backward(np.array([[4.0, 6.0]])[None, ..., None])
    close(x.grad[0, ..., 0], [[1.0, 1.0, 3.0], [1.0, 1.0, 3.0]])


@pytest.mark.parametrize("road", ["arrays", "Tensors"])
@pytest.mark.parametrize(
    "x, size, stride, padding, g, expected",
    [
        ([[1, 1], [0, 1]], 2, 2, "valid", [[6]], [[2, 2], [0, 2]]),
        ([[0, 0], [0, 0]], 2, 2, "valid", [[6]], [[1.5, 1.5], [1.5, 1.5]]),
        ([[2, 2, 1]], (1, 2), 1, "valid", [[4, 8]], [[2, 10, 0]]),
        ([[-1, -1, -3]], (1, 3), 1, "same", [[4, 8, 12]], [[6, 18, 0]]),
        ([[-np.inf, -np.inf]], (1, 2), 1, "same", [[4, 6]], [[2, 8]]),
        ([[5, 1, 2, 9]], (1, 2), 3, "valid", [[7]], [[7, 0, 0, 0]]),
        ([[5, 1, 2, 9, 9]], (1, 2), 3, "valid", [[7, 4]], [[7, 0, 0, 2, 2]]),
    ],
)
def test_ties_share_evenly_and_padded_places_never_win(x, size, stride, padding, g, expected, road):
    x, g = leaf(np.array(x)[None, ..., None]), np.array(g, float)[None, ..., None]
    y = max_pool(x, size, stride, padding)
    if road == "arrays":
        y.backward(g)
        close(x.grad[0, ..., 0], expected)
    else:
        close(grad(y, x, g).data[0, ..., 0], expected)


def test_padded_places_do_not_win_whatever_the_dtype():
    for dtype in (np.int8, np.int64, np.float32):
        x = np.full((1, 3, 3, 1), -5, dtype)
        y = max_pool(x, 2, 1, "same")
        assert y.dtype == dtype and (y == -5).all()
    assert not max_pool(np.zeros((1, 3, 3, 1), bool), 2, 1, "same").any()


@pytest.mark.parametrize("stride", [1, 2])
def test_nan_wins_and_passes_on(stride):
    x = images((1, 4, 4, 1))
    x[0, 1, 1, 0] = np.nan
    t = leaf(x)
    y = max_pool(t, 2, stride)
    seen = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2))[:, ::stride, ::stride]
    np.testing.assert_array_equal(y.data, seen.max(axis=(4, 5)))
    y.backward(np.ones(y.shape))
    by_np = leaf(x)
    cut = np.lib.stride_tricks.sliding_window_view(by_np, (2, 2), (1, 2))[:, ::stride, ::stride]
    np.max(cut, axis=(4, 5)).backward(np.ones(y.shape))
    np.testing.assert_array_equal(t.grad, by_np.grad)
    np.testing.assert_array_equal(np.isnan(t.grad), np.isnan(x))
    close(grad(max_pool(t, 2, stride), t, np.ones(y.shape)).data, t.grad)


# dtypes and numbers of images


def test_float32_stays():
    x, kernel = leaf(images(), np.float32), leaf(random_like(np.empty((3, 3, 3, 2))), np.float32)
    for padding in ("same", "valid"):
        y = avg_pool(max_pool(conv2d(x, kernel, padding=padding), 3, 1, "same"), 2, 1, padding)
        assert y.dtype == np.float32
        y.backward(random_like(y))
        assert x.grad.dtype == kernel.grad.dtype == np.float32
        traced = grad(y, [x, kernel], random_like(y))
        assert [t.dtype for t in traced] == [np.float32] * 2


def test_whole_numbers():
    x = np.full((1, 4, 4, 1), 200, np.uint8)
    y = conv2d(x, np.full((2, 2, 1, 1), 2, np.uint8), padding="valid")  # would wrap around
    assert y.dtype == np.float64 and (y == 1600).all()
    assert conv2d(x, np.ones((2, 2, 1, 1), np.float32)).dtype == np.float32
    assert (avg_pool(x) == 200).all() and avg_pool(x).dtype == np.float64
    kernel = leaf(np.ones((2, 2, 1, 1)))
    conv2d(Tensor(x), kernel, padding="valid").backward(np.ones((1, 3, 3, 1)))
    assert (kernel.grad == 1800).all()


def test_no_images():
    x, kernel = leaf(np.empty((0, 4, 4, 2))), leaf(np.ones((3, 3, 2, 5)))
    y = max_pool(avg_pool(conv2d(x, kernel)), 2, 1, "same")
    assert y.shape == (0, 2, 2, 5)
    y.backward(np.empty(y.shape))
    assert x.grad.shape == x.shape and not kernel.grad.any()


def test_lists_are_images_too():
    assert max_pool([[[[1.0], [2.0]], [[4.0], [3.0]]]]).item() == 4


def test_images_may_lie_anywhere_in_memory():
    x, kernel = images(), random_like(np.empty((3, 2, 3, 2)))
    turned = np.ascontiguousarray(x.T).T
    close(conv2d(turned, np.asfortranarray(kernel), 2), convolved(x, kernel, 2, "same"))
    close(max_pool(turned[:, ::-1], 2), pooled(max, x[:, ::-1], (2, 2), 2, "valid"))


# Adjoints


PAIRS = {
    "sliding_windows": [
        ((2, 5, 6), {"size": (3, 2), "axes": (2, 0), "stride": 1}),
        ((5, 6), {"size": (2, 3), "axes": (-1, 0), "stride": (2, 1)}),
        ((9,), {"size": (2, 3), "axes": (0, 0), "stride": 1}),
        ((4,), {"size": (4,), "axes": (0,), "stride": (3,)}),
    ],
    "im2col": [
        (SHAPE, {"size": (2, 3)}),
        (SHAPE, {"size": (4, 2), "stride": (2, 3), "widths": ((2, 1), (0, 1))}),
        (SHAPE, {"size": (1, 1), "stride": (2, 1)}),
    ],
}


@pytest.mark.parametrize(
    "name, shape, params", [(name, *case) for name, cases in PAIRS.items() for case in cases]
)
def test_adjoints(name, shape, params):
    """<g, A x> = <A* g, x>, and each is the vjp of the other."""
    x = random_like(np.empty(shape), seed=1)
    there = OPS[name]
    g = random_like(there(x, **params), seed=2)
    adjoint = "overlap_add" if name == "sliding_windows" else "col2im"
    given = {k: v for k, v in params.items() if k != "size" or name == "im2col"}
    back = OPS[adjoint](g, shape=shape, **given)
    assert np.sum(g * there(x, **params)) == pytest.approx(np.sum(back * x), rel=1e-12)
    t, u = leaf(x), leaf(g)
    there(t, **params).backward(g)
    close(t.grad, back, rtol=1e-12)
    OPS[adjoint](u, shape=shape, **given).backward(x)
    close(u.grad, there(x, **params), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sliding_window_view_by_hand(axis):
    x = leaf(np.arange(24.0).reshape(2, 3, 4) + 1)
    y = np.lib.stride_tricks.sliding_window_view(x, 2, axis)
    np.testing.assert_array_equal(y.data, np.lib.stride_tricks.sliding_window_view(x.data, 2, axis))
    np.sum(y).backward()
    n = x.shape[axis]
    often = np.array([1.0, *[2] * (n - 2), 1]) if n > 2 else np.ones(2)  # the ends are seen once
    order = [1, 1, 1]
    order[axis] = n
    close(x.grad, np.broadcast_to(often.reshape(order), x.shape))


# Readers


def small_network(padding="same", stride=1):
    """A function of images that gives a loss, and its parameters."""
    kernel = leaf(random_like(np.empty((3, 2, 3, 4))), name="kernel")
    bias = leaf(random_like(np.empty(4)), name="bias")

    def loss(x):
        hidden = relu(conv2d(Tensor(x, name="x"), kernel, stride, padding) + bias)
        hidden = avg_pool(max_pool(hidden, 2, 1, padding), 2, padding="same")
        return np.mean(np.square(hidden))

    return loss, [kernel, bias]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_written_backprop_is_backward(padding, stride):
    network, (kernel, bias) = small_network(padding, stride)
    loss, scope = network(images()), {}
    loss.backward()
    exec(write_backprop(loss), scope)
    _, g_kernel, g_bias = scope["backprop"](images(), kernel.data, bias.data)
    close(g_kernel, kernel.grad, rtol=1e-12)
    close(g_bias, bias.grad, rtol=1e-12)


def test_the_written_backprop_is_what_one_writes():
    x, kernel = Tensor(images(), name="x"), leaf(np.ones((3, 3, 3, 4)), name="kernel")
    source = write_backprop(np.sum(max_pool(conv2d(x, kernel, 2, "valid"), 2, 1) ** 2))
    assert "= conv2d(x, kernel)\n" in source and "= max_pool(" in source
    seen = "np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2]"
    assert f"def im2col(x):\n    seen = {seen}\n" in source
    assert "G_kernel = np.reshape(im2col(x).T @ np.reshape(" in source
    assert max(map(len, source.splitlines())) <= 100


def test_an_image_that_requires_a_gradient_gets_one_by_a_call():
    x, kernel = leaf(images(), name="x"), leaf(np.ones((3, 3, 3, 4)), name="kernel")
    loss = np.sum(conv2d(x, kernel) ** 2)
    assert "G_x = conv2d_transpose(" in write_backprop(loss)
    assert formula(loss) == "sum(conv2d(x, kernel) ** 2)"
    assert vjp_formulas(conv2d(x, kernel))[0].startswith("conv2d_transpose(g, kernel, shape=")


def test_one_card_each():
    network, _ = small_network()
    text = str(draw(network(images())))
    for card in ("conv2d  (2, 5, 6, 4)", "max_pool  (2, 5, 6, 4)", "avg_pool  (2, 3, 3, 4)"):
        assert text.count(card) == 1
    assert "stride=1, padding='same'" in text and "im2col" not in text


@pytest.mark.parametrize("backend", ["numpy", "auto"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_compiled_step_is_an_eager_one(stride, padding, backend):
    network, parameters = small_network(padding, stride)
    again, others = small_network(padding, stride)
    step = compile_backprop(network(images()), optimizer=SGD(parameters, 0.1), backend=backend)
    optimizer = SGD(others, 0.1)
    for seed in range(3):
        loss = again(images(seed=seed))
        loss.backward()
        assert step(images(seed=seed)) == pytest.approx(loss.item(), rel=1e-10)
        for t, other in zip(parameters, others, strict=True):
            close(t.grad, other.grad, rtol=1e-10)
        optimizer.step()
        optimizer.zero_grad()
        for t, other in zip(parameters, others, strict=True):
            close(t.data, other.data, rtol=1e-10)


def test_a_chain_by_hand_is_right():
    """As one writes it, from the mathematics: rows, columns, and the largest of four."""
    x, kernel = leaf(images((2, 4, 4, 3)), name="x"), leaf(random_like(np.empty((3, 3, 3, 2))))
    loss = np.sum(max_pool(conv2d(x, kernel)) ** 2)
    frame = np.pad(x.data, ((0, 0), (1, 1), (1, 1), (0, 0)))
    cut = [frame[:, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    columns = np.stack(cut, axis=3).reshape(-1, 27)
    y = (columns @ kernel.data.reshape(27, 2)).reshape(2, 2, 2, 2, 2, 2)  # n, oh, 2, ow, 2, m
    top = y.max(axis=(2, 4), keepdims=True)
    G_y = (2 * top * (y == top)).reshape(-1, 2)
    G_kernel = (columns.T @ G_y).reshape(3, 3, 3, 2)
    G_frame = np.zeros(frame.shape)
    G_cut = (G_y @ kernel.data.reshape(27, 2).T).reshape(2, 4, 4, 9, 3)
    for k, (i, j) in enumerate(np.ndindex(3, 3)):
        G_frame[:, i : i + 4, j : j + 4] += G_cut[:, :, :, k]
    loss.backward()
    close(kernel.grad, G_kernel, rtol=1e-12)
    close(x.grad, G_frame[:, 1:-1, 1:-1], rtol=1e-12)
    report = compare_backprop(loss, {"kernel": kernel}, G_kernel=G_kernel)
    assert "G_kernel" in str(report) and "wrong" not in str(report)


# Errors


def named(name, *shape):
    return leaf(np.ones(shape), name=name)


KERNEL = "kernel is (kh, kw, c, m)"
TURNED = ".transpose(2, 3, 1, 0)"
REFUSED = {
    "channels": ((2, 8, 8, 3), (3, 3, 1, 4), {}, ["3 channels", "(3, 3, 1, 4) is for 1", KERNEL]),
    "a torch kernel": ((2, 8, 8, 3), (4, 3, 5, 5), {}, ["PyTorch", f"kernel{TURNED}"]),
    "both torch": ((2, 3, 8, 8), (4, 3, 5, 5), {}, ["x.transpose(0, 2, 3, 1)", f"kernel{TURNED}"]),
    "torch images": ((2, 3, 8, 8), (5, 5, 3, 4), {}, ["x in PyTorch's", "x.transpose(0, 2, 3, 1)"]),
    "exchanged": ((2, 8, 8, 3), (5, 5, 4, 3), {}, ["kernel.transpose(0, 1, 3, 2)"]),
    "three axes": ((2, 8, 8), (3, 3, 1, 4), {}, ["x is (n, h, w, c)", "x[..., None]", "x[None]"]),
    "two axes": ((8, 8), (3, 3, 1, 4), {}, ["x[None, ..., None]"]),
    "a flat kernel": ((2, 8, 8, 3), (27, 4), {}, [KERNEL, "(27, 4)"]),
    "an empty kernel": ((2, 8, 8, 3), (0, 3, 3, 4), {}, [KERNEL, "(0, 3, 3, 4)"]),
    "empty images": ((2, 0, 8, 3), (3, 3, 3, 4), {}, ["(2, 0, 8, 3) have no elements"]),
    "a large kernel": ((2, 4, 9, 3), (5, 5, 3, 4), {"padding": "valid"}, ["5x5", "4x9", '"same"']),
    "padding": ((2, 8, 8, 3), (3, 3, 3, 4), {"padding": "full"}, ['"same" or "valid"', "'full'"]),
    "widths": ((2, 8, 8, 3), (3, 3, 3, 4), {"padding": 1}, ["not 1", "np.pad"]),
    "stride 0": ((2, 8, 8, 3), (3, 3, 3, 4), {"stride": 0}, ["stride", "above 0", "not 0"]),
    "a stride of 3": ((2, 8, 8, 3), (3, 3, 3, 4), {"stride": (1, 2, 3)}, ["a pair", "(1, 2, 3)"]),
    "a float": ((2, 8, 8, 3), (3, 3, 3, 4), {"stride": 1.0}, ["whole number", "not 1.0"]),
    "a bool": ((2, 8, 8, 3), (3, 3, 3, 4), {"stride": True}, ["whole number", "not True"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_convolution_refuses(case):
    x, kernel, params, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        conv2d(named("digits", *x), named("weight", *kernel), **params)
    for word in (*words, f"conv2d(digits: {x} float64, weight: {kernel} float64"):
        assert word in str(error.value)
    with pytest.raises(ValueError):  # and on arrays
        conv2d(np.ones(x), np.ones(kernel), **params)


def test_no_hint_at_other_layouts_where_none_is_meant():
    with pytest.raises(ValueError) as error:
        conv2d(named("digits", 2, 8, 8, 3), named("weight", 3, 3, 1, 4))
    assert "PyTorch" not in str(error.value) and "transpose" not in str(error.value)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
@pytest.mark.parametrize(
    "shape, params, words",
    [
        ((4, 4, 3), {}, ["x is (n, h, w, c)", "(4, 4, 3)", "x[None]"]),
        ((2, 4, 4, 3), {"size": 5}, ["5x5", "4x4", '"same"']),
        ((2, 4, 4, 3), {"size": 0}, ["size", "not 0"]),
        ((2, 4, 4, 3), {"size": (2, -1)}, ["size", "(2, -1)"]),
        ((2, 4, 4, 3), {"stride": 0}, ["stride", "not 0"]),
        ((2, 4, 4, 3), {"padding": "SAME"}, ['"same" or "valid"', "'SAME'"]),
    ],
)
def test_what_a_pool_refuses(pool, shape, params, words):
    with pytest.raises(ValueError) as error:
        pool(named("digits", *shape), **params)
    for word in (*words, f"{pool.name}(digits: {shape} float64"):
        assert word in str(error.value)


def test_sizes_are_no_tensors():
    with pytest.raises(TypeError, match="size=.* is a Tensor: no gradient flows"):
        max_pool(named("digits", 2, 4, 4, 3), size=Tensor([2, 2]))
    with pytest.raises(ValueError, match="whole number"):
        avg_pool(named("digits", 2, 4, 4, 3), size=np.array(2.5))


def test_what_adjoints_refuse():
    with pytest.raises(ValueError, match=r"are \(4, 2\), these are \(3, 2\)"):
        OPS["overlap_add"](np.ones((3, 2)), axes=(0,), shape=(5,))
    with pytest.raises(ValueError, match=r"are not \(1, 4, 4, 2\)"):
        shape = (1, 3, 3, 2)
        OPS["conv2d_transpose"](np.ones((1, 4, 4, 2)), np.ones((2, 2, 2, 2)), shape=shape)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8])
def test_the_mean_of_a_window_at_the_edge_counts_in_any_dtype(dtype):
    x = np.ones((1, 20, 20, 1), dtype)
    means = avg_pool(x, 19, stride=1, padding="same")  # up to 361 elements, more than int8 holds
    np.testing.assert_array_equal(means, np.ones((1, 20, 20, 1)))
