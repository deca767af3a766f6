"""The checker checked: with rules that it must reject, and honest ones, kinks and odd inputs that it must accept."""

import re

import numpy as np
import pytest
import steel

from tinygrad_steel import OPS, Tensor, arrays, op, relu, softmax_cross_entropy, values
from tinygrad_steel.check import GradientError, check_gradients, check_op

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("registry")]


def in_library(o):
    return isinstance(o.forward, np.ufunc) or o.forward.__module__.startswith("tinygrad_steel")


LIBRARY = [name for name, o in OPS.items() if in_library(o)]


PLAIN, PAIR = arrays((2, 3)), arrays((2, 3), (2, 3))


def tried(forward, *vjps, samples=(PLAIN,), **options):
    OPS.pop("under_test", None)
    return op("under_test", forward, *vjps, samples=samples, **options)


def message_of(check, *args, **kwargs):
    with pytest.raises(GradientError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


# Every op of the library


@pytest.mark.parametrize("name", LIBRARY)
def test_ops_of_the_library_are_proven(name):
    check_op(OPS[name])


def test_the_library_is_there():
    assert {"add", "matmul", "softmax_cross_entropy", "concatenate", "getitem"} <= set(LIBRARY)


# Rules to reject


def detached(x):
    return x.detach() if isinstance(x, Tensor) else x


def data_of(x):
    return x.data if isinstance(x, Tensor) else x


def writes_into_g(g, y, x):
    g *= 2
    return g * x


def writes_into_x(g, y, x):
    if isinstance(x, np.ndarray):
        x *= 2
        return g * x
    return 2 * g * x


def wrong_on_arrays(g, y, x):
    return 2 * g * x if isinstance(g, Tensor) else 2.01 * g * x


def wrong_on_tensors(g, y, x):
    return 2.01 * g * x if isinstance(g, Tensor) else 2 * g * x


REJECTED = {
    "scaled": ("ratio 1.001,", np.exp, lambda g, y, x: 1.001 * g * y),
    "of the wrong sign": ("ratio -1,", np.exp, lambda g, y, x: -g * y),
    "right for g = 1 only": ("6 of 6", np.square, lambda g, y, x: np.mean(g) * 2 * x),
    "blind to g": ("6 of 6", np.square, lambda g, y, x: 2 * x),
    "not linear in g": ("6 of 6", np.square, lambda g, y, x: 2 * g * np.abs(g) * x),
    "unfit in shape": ("returned shape (6,)", np.square, lambda g, y, x: np.reshape(2 * g * x, (-1,))),
    "of a shape that broadcasts": ("is wrong", np.square, lambda g, y, x: np.sum(2 * g * x, axis=0, keepdims=True)),
    "in short floats": ("returns float32", np.square, lambda g, y, x: (2 * g * x).astype(np.float32)),
    "in integers": ("returns int64", np.negative, lambda g, y, x: (-g).astype(np.int64)),
    "no array": ("returns float where", np.negative, lambda g, y, x: -1.0),
    "nothing": ("returns NoneType", np.square, lambda g, y, x: None),
    "first order only, y detached": ("second order", np.exp, lambda g, y, x: g * detached(y)),
    "first order only, x as data": ("second order", np.square, lambda g, y, x: 2 * g * data_of(x)),
    "first order only, g as data": ("input 1 (g)", np.square, lambda g, y, x: 2 * data_of(g) * x),
    "first order only, all as data": ("no gradient reaches", np.square, lambda g, y, x: detached(2 * g * x)),
    "a Tensor": ("a Tensor where it was given arrays", np.square, lambda g, y, x: Tensor(data_of(2 * g * x))),
    "writing into g": ("writes into its arguments", np.square, writes_into_g),
    "writing into x": ("writes into its arguments", np.square, writes_into_x),
    "wrong on arrays": ("backward() gives", np.square, wrong_on_arrays),
    "wrong on Tensors": ("grad() gives", np.square, wrong_on_tensors),
    "infinite": ("is not finite", np.square, lambda g, y, x: 2 * g * x / np.zeros(())),
}


@pytest.mark.parametrize("case", REJECTED)
def test_wrong_vjp_is_rejected(case):
    hint, forward, vjp = REJECTED[case]
    message = message_of(check_op, tried(lambda x: forward(x), vjp))
    assert message.startswith("under_test, sample 0")
    assert "input 0 (x)" in message or "for x: (2, 3) float64" in message
    assert hint in message


def test_vjp_along_the_wrong_axis_is_rejected():
    for axis in (0, 1):  # on a square, shapes tell nothing
        o = tried(
            lambda x: np.sum(x, axis=1), lambda g, y, x, axis=axis: np.expand_dims(g, axis), samples=[arrays((3, 3))]
        )
        if axis == 1:
            check_op(o)
        else:
            assert "input 0 (x)" in message_of(check_op, o)


def test_transposed_vjp_is_rejected():
    right = lambda g, y, a, b: a.T @ g  # noqa: E731

    def product(a, b):
        if a.ndim != 2 or b.ndim != 2:
            raise ValueError("two matrices")
        return a @ b

    o = tried(product, lambda g, y, a, b: g @ b, right, samples=[arrays((3, 3), (3, 3))])
    assert "input 0 (a)" in message_of(check_op, o)
    o = tried(product, lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a @ g, samples=o.samples)
    assert "input 1 (b)" in message_of(check_op, o)
    o = tried(product, lambda g, y, a, b: g @ b.T, right, samples=o.samples)
    check_op(o)


def test_second_order_failure_across_inputs():
    o = tried(
        lambda a, b: a * b,
        lambda g, y, a, b: g * detached(b),
        lambda g, y, a, b: g * a,
        samples=[arrays((2,), (2,))],
    )
    message = message_of(check_op, o)
    assert "second order, on the gradient of input 0 (a)" in message
    assert "input 1 (b)" in message


def test_forward_that_writes_is_rejected():
    def forward(x):
        x += 1
        return x * 1

    assert "the forward writes into input 0 (x)" in message_of(check_op, tried(forward, lambda g, y, x: g))


def test_forward_that_never_repeats_is_rejected():
    rng = np.random.default_rng(0)
    message = message_of(check_op, tried(lambda x: x + rng.normal(), lambda g, y, x: g))
    assert "different results for the same input: fix the random numbers outside" in message


def test_forward_that_leaves_float32_is_rejected():
    assert "float64 for float32 inputs" in message_of(check_op, tried(lambda x: x * np.ones(1), lambda g, y, x: g))


def test_elementwise_and_rowwise_must_be_true():
    centred = (lambda x: x - np.mean(x), lambda g, y, x: g - np.sum(g) / x.size)
    check_op(tried(*centred))
    assert "not elementwise: input 0 (x) at index (0, 0)" in message_of(check_op, tried(*centred, elementwise=True))
    rows = (lambda x: np.sum(x, axis=1), lambda g, y, x: np.expand_dims(g, 1) + 0 * x)
    check_op(tried(*rows))
    message_of(check_op, tried(*rows, rowwise=True))


def test_input_without_a_vjp_is_constant():
    sample = arrays((2,), (2,))
    check_op(tried(lambda a, b: a * b, lambda g, y, a, b: g * b, None, samples=[sample]))
    check_op(tried(lambda a, b: a * b, None, lambda g, y, a, b: g * a, samples=[sample]))
    wrong = tried(lambda a, b: a * b, None, lambda g, y, a, b: g * b, samples=[sample])
    assert "input 1 (b)" in message_of(check_op, wrong)


def test_vjp_with_kept_value_must_agree_without_it():
    def forward(x):
        e = np.exp(x)
        return e, e

    def rule(g, y, x, kept=None):
        return g * kept if kept is not None else g * y * 1.01

    assert "grad() gives" in message_of(check_op, tried(forward, rule, keeps=True))


def test_sequence_rule():
    def joined(*arrays):
        return np.concatenate(arrays)

    def each(factor):
        return lambda i, g, y, *arrays: factor[i] * g[2 * i : 2 * i + 2]

    sample = [arrays((2,), (2,))]
    check_op(tried(joined, samples=sample, sequence=True, each=each([1, 1])), samples=sample)  # arrays of length 2
    message = message_of(check_op, tried(joined, samples=sample, sequence=True, each=each([1, 2])))
    assert "input 1 at index" in message


# What cannot be checked is refused


def test_op_without_samples_is_refused():
    with pytest.raises(ValueError, match="under_test has no samples"):
        check_op(tried(lambda x: x * 1, lambda g, y, x: g, samples=[]))
    with pytest.raises(ValueError, match="no samples"):
        check_op(relu, samples=[])


def test_sample_of_integers_is_refused():
    with pytest.raises(ValueError, match=r"relu, sample 1.*1\.0 instead of 1"):
        check_op(relu, samples=[values([1.0]), values([1, 2])])


def test_vjp_that_no_sample_reaches_is_refused():
    o = tried(
        lambda a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, samples=[values([1.0, 2.0], [3, 4])]
    )
    with pytest.raises(ValueError, match="input 1, so that its vjp is unproven"):
        check_op(o)
    check_op(o, samples=o.samples)


# Kinks


def test_ops_at_their_kinks():
    check_op(relu, samples=[values([-1.0, 0.0, 2.0]), values(0.0)])
    check_op(OPS["abs"], samples=[values([-1.0, 0.0, 2.0])])
    for name in ("maximum", "minimum"):
        check_op(OPS[name], samples=[values([1.0, 2.0, -3.0], [1.0, 1.0, -3.0]), values([0.0, 1.0], 0.0)])
    for name in ("max", "min"):
        check_op(OPS[name], samples=[values([[1.0, 1.0], [0.0, 1.0]]), values([[1.0, 1.0], [0.0, 1.0]], axis=0)])


@pytest.mark.parametrize("slope, right", [(0.0, True), (0.3, True), (1.0, True), (-0.1, False), (1.1, False)])
def test_at_a_kink_any_slope_between_both_sides_is_right(slope, right):
    o = tried(lambda x: np.maximum(x, 0), lambda g, y, x: g * ((x > 0) + slope * np.equal(x, 0)))
    if right:
        check_gradients(o, [-1.0, 0.0, 2.0])
    else:
        message = message_of(check_gradients, o, [-1.0, 0.0, 2.0])
        assert "index (1,)" in message and "a kink" in message


def test_kink_beside_curvature():
    check_gradients(lambda x: relu(x) * np.exp(x) + np.exp(3 * x), [0.0])
    check_gradients(lambda x: np.sum(np.concatenate([relu(x), relu(-x)]).reshape(2, -1), axis=0), [0.0])
    check_gradients(lambda x: np.concatenate([relu(x), relu(-x), 2 * relu(x)]), [0.0])


def test_close_to_a_kink_there_is_none():
    for x in (1e-4, -1e-4, 1e-6, -1e-6):
        check_gradients(relu, [x])
        o = tried(lambda x: np.abs(x), lambda g, y, x: 0.5 * g * np.sign(x))
        message_of(check_gradients, o, [x])


def test_jump_is_no_kink():
    o = tried(lambda x: np.where(x >= 0, x + 1, x), lambda g, y, x: g)
    check_gradients(o, [-1.0, 1.0])
    assert "may jump" in message_of(check_gradients, o, [-1.0, 0.0])


def test_smooth_at_zero():
    check_gradients(lambda x: x**2, [0.0, 1.0])
    check_gradients(lambda x: x**3, [0.0])
    check_op(OPS["power"], samples=[values([0.0, 1.0, -2.0], 2), values([0.0, 1.0], 3), values([0.0, 1.0], 1)])
    o = tried(lambda x: x * x, lambda g, y, x: g * (2 * x + 0.01 * np.equal(x, 0)))
    message_of(check_gradients, o, [0.0])


# Inputs of all sorts


def layer(x, weight, bias):
    return np.tanh(x @ weight + bias)


def test_shapes():
    check_gradients(layer, np.ones((2, 3)) / 3, np.eye(3)[:, :2], [0.1, -0.2])
    check_gradients(lambda x: np.exp(x), 0.5)
    check_gradients(lambda x: np.exp(x), [0.5])
    check_gradients(lambda x: np.exp(x), np.full((1, 1, 1), 0.5))
    check_gradients(lambda x, y: np.sum(x) * y, np.empty((0, 3)), 2.0)
    check_gradients(lambda x: x, [1.0, 2.0])
    check_gradients(lambda x, unused: x * 2, [1.0, 2.0], [3.0])


def test_samples_of_odd_shapes():
    for sample in (values(0.5), values([0.5]), values([[0.5]]), values(np.empty(0)), values(np.empty((0, 3)))):
        for name in ("exp", "relu", "sum", "norm", "prod", "square"):
            check_op(OPS[name], samples=[sample, PLAIN])
    empty = [values(np.empty((0, 3)), np.ones((3, 2))), values(np.ones((2, 0)), np.ones((0, 2)))]
    check_op(OPS["matmul"], samples=[*empty, arrays((2, 2), (2, 2))])
    losses = OPS["softmax_cross_entropy"]
    check_op(losses, samples=[values(np.empty((0, 3)), np.empty((0, 3))), losses.samples[0]])


def test_ops_at_special_points():
    check_op(OPS["norm"], samples=[values([0.0, 0.0])])
    check_op(OPS["std"], samples=[values([1.0, 1.0])])
    check_op(OPS["prod"], samples=[values([0.0, 2.0, 3.0]), values([0.0, 0.0, 3.0])])
    check_op(OPS["clip"], samples=[values([-1.0, 0.0, 1.0, 2.0], a_min=-1.0, a_max=1.0)])


def test_dtypes():
    check_gradients(np.tanh, np.array([0.1, 0.2], dtype=np.float32))
    check_gradients(np.tanh, np.array([0.1, 0.2], dtype=np.float16))
    check_gradients(lambda x: x**2, [1, 2, 3])
    check_gradients(lambda x: x.astype(np.float32) * 2, [1.0, 2.0])
    check_gradients(lambda m, a, b: np.where(m, a, b), [True, False], [1.0, 2.0], [3, 4])
    ids = np.array([2, 0])
    check_gradients(lambda z: softmax_cross_entropy(z, ids), [[1, 2, 3], [3, 2, 1]])


def test_memory_layouts():
    x = np.arange(24.0).reshape(4, 6)
    for view in (x.T, x[::2, ::-1], np.broadcast_to([1.0, 2.0], (3, 2)), np.asfortranarray(x)):
        check_gradients(lambda x: x * x, view)


@pytest.mark.parametrize(
    "fn, x",
    [
        (np.log, 1e-6),
        (np.log, 1e6),
        (np.square, 1e9),
        (np.square, 1e-9),
        (lambda x: x * 1e-12, 1.0),
        (lambda x: x + 1e9, 1.0),
        (np.sqrt, 1e-8),
        (lambda x: np.tanh(1000 * x), 3e-4),
        (lambda x: softmax_cross_entropy(np.concatenate([x, -x]).reshape(1, 2), np.array([0])), 40.0),
    ],
)
def test_scales(fn, x):
    check_gradients(fn, [x])


def test_nothing_of_the_callers_changes():
    x, weight = np.ones((2, 3)), Tensor(np.ones((3, 2)), requires_grad=True, name="weight")
    inner = Tensor([1.0, 2.0], requires_grad=True)
    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    check_gradients(lambda x, w, b: np.tanh(x @ w * inner + b), x, weight, frozen)
    assert (x == 1).all() and (weight.data == 1).all() and frozen.tolist() == [1.0, 2.0]
    assert weight.grad is None and inner.grad is None

    def writes(t):
        t.data[...] = 7
        return t * 2

    message_of(check_gradients, writes, x)
    assert (x == 1).all()


# Messages


def test_message_says_all():
    o = tried(lambda a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: 1.001 * g * a, samples=[PAIR])
    a, b = np.array([[1.0, 2.0]], dtype=np.float32), [3.0, 4.0]
    message = message_of(check_gradients, o, a, b)
    found = re.search(r"under_test: the gradient of input 1 \(b\) at index \((\d),\)", message)
    values = re.search(r"gives (\S+), differences give (\S+), ratio (\S+),", message)
    assert found and values
    mine, theirs, ratio = map(float, values.groups())
    assert ratio == pytest.approx(mine / theirs) == pytest.approx(1.001)
    assert "input 0 (a) (1, 2) float32" in message and "input 1 (b) (2,) float64" in message
    assert message == message_of(check_gradients, o, a, b)
    assert message != message_of(check_gradients, o, a, b, seed=1)
    check_gradients(o, a, b, rtol=2e-3)
    check_gradients(o, a, b, rtol=0, atol=0.1)


def test_message_names_the_worst_element():
    o = tried(lambda x: x * 1, lambda g, y, x: g * np.array([1.0, 1.01, 1.5, 1.1]))
    message = message_of(check_gradients, o, [1.0, 1.0, 1.0, 1.0])
    assert "index (2,)" in message and "3 of 4 elements" in message and "ratio 1.5," in message


def test_names():
    o = tried(lambda x: x * 1, lambda g, y, x: 2 * g)
    assert "input 0 (weight)" in message_of(check_gradients, o, Tensor([1.0], name="weight"))
    assert message_of(check_gradients, lambda first: o(first), [1.0]).startswith("<lambda>: ")
    assert "input 0 (first)" in message_of(check_gradients, lambda first: o(first), [1.0])
    assert "input 1 at" in message_of(check_gradients, lambda *xs: xs[0] + o(xs[1]), 1.0, 2.0)


def test_sample_is_named():
    o = tried(lambda x: np.abs(x), lambda g, y, x: g, samples=[values([1.0]), values([2.0]), values([-1.0])])
    assert message_of(check_op, o).startswith("under_test, sample 2: ")
    check_op(o, samples=o.samples[:2])


def test_what_fn_must_return():
    with pytest.raises(TypeError, match="must return one Tensor, not ndarray"):
        check_gradients(lambda x: x.numpy(), [1.0])
    with pytest.raises(TypeError, match="not tuple"):
        check_gradients(lambda x: (x, x), [1.0])
    with pytest.raises(TypeError, match="not NoneType"):
        check_gradients(lambda x: None, [1.0])
    outside = Tensor([1.0], requires_grad=True)
    for fn in (lambda x: x.detach() * 2, lambda x: x > 0, lambda x: outside * 2, lambda x: x.astype(int)):
        assert "no gradient reaches its inputs" in message_of(check_gradients, fn, [1.5])
    assert outside.grad is None


def test_inputs_that_hold_no_numbers():
    with pytest.raises(ValueError, match="no input to differentiate"):
        check_gradients(lambda: Tensor(1.0))
    with pytest.raises(ValueError, match="no input to differentiate"):
        check_gradients(lambda x: x, [True])
    with pytest.raises(TypeError, match="real numbers"):
        check_gradients(lambda x: x, [1j])


def test_not_finite():
    assert "the result is not finite" in message_of(check_gradients, np.log, [0.0, 1.0])
    assert "the result is not finite" in message_of(check_gradients, np.exp, [np.nan])
    assert "at index (0,) is not finite" in message_of(check_gradients, np.sqrt, [0.0, 1.0])
    one_sided = tried(lambda x: np.where(x < 0, np.nan, x), lambda g, y, x: g)
    assert "results are not finite" in message_of(check_gradients, one_sided, [1.0, 0.0])


# The book's loss and gradient, which are not of one another


def test_the_books_cross_entropy_is_rejected_where_it_saturates():
    check_op(steel.book_cross_entropy, samples=steel.book_cross_entropy.samples)
    message = message_of(check_op, steel.book_cross_entropy)
    assert message.startswith("book_cross_entropy, sample 0, logits times 1e6: the gradient of input 0 (logits)")
    message = message_of(check_op, steel.book_cross_entropy, samples=[values([[40.0, 0.0, -40.0]], [[0.0, 0.0, 1.0]])])
    assert "book_cross_entropy, sample 0: the gradient of input 0 (logits) at index (0, 2)" in message
    assert "differences give 0, ratio inf" in message


def test_how_far_off_the_books_gradient_is():
    logits = np.array([[12.0, 0.0, -12.0]])
    message = message_of(check_op, steel.book_cross_entropy, samples=[values(logits, [[0.0, 0.0, 1.0]])])
    p = np.exp(-12 - np.log(np.sum(np.exp(logits))))
    ratio = re.search(r"ratio (\S+),", message)
    assert ratio and float(ratio[1]) == pytest.approx((p + 1e-10) / p, rel=1e-4)


def test_a_forgotten_vjp_is_refused():
    with pytest.raises(ValueError, match="no vjp for b: give a rule, or None"):
        check_op(tried(lambda a, b: a * b, lambda g, y, a, b: g * b, samples=[arrays((2,), (2,))]))
