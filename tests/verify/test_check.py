"""The checker checked: with rules that it must reject, and honest ones, kinks and odd inputs that it must accept."""

import itertools
import math
import re

import numpy as np
import pytest
import steel
from every_op import LIBRARY
from helpers import counted

import tinygrad_steel.verify.check_op as checking
from tinygrad_steel import (
    OPS,
    GradientError,
    Tensor,
    arrays,
    check_gradients,
    check_op,
    op,
    relu,
    sample_of,
    softmax,
    softmax_cross_entropy,
    values,
)

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("registry")]

own_trials = checking.own_trials
logsumexp = OPS["logsumexp"]
PLAIN, PAIR = arrays((2, 3)), arrays((2, 3), (2, 3))


def tried(forward, *vjps, samples=(PLAIN,), **options):
    OPS.pop("under_test", None)
    return op("under_test", forward, *vjps, samples=samples, **options)


def message_of(check, *args, **kwargs):
    with pytest.raises(GradientError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


# Every op of the library


@pytest.mark.slow
@pytest.mark.parametrize("o", LIBRARY, ids=lambda o: o.name)
def test_ops_of_the_library_are_proven(o, monkeypatch):
    """In short on all samples, and on every fourth of the inputs made from them, other ones for the next op."""
    stride, taken = counted(1, 4), []
    first = LIBRARY.index(o) % stride

    def some_trials(*args):
        for trial in itertools.islice(own_trials(*args), first, None, stride):
            taken.append(trial)
            yield trial

    monkeypatch.setattr(checking, "own_trials", some_trials)
    check_op(o)
    assert bool(taken) == bool(o.differentiable)


def test_the_library_is_there():
    assert {"add", "matmul", "softmax_cross_entropy", "concatenate", "getitem"} <= {
        o.name for o in LIBRARY
    }


# Where there is no derivative, and beyond the borders of a domain


def smallest_gap(rule):
    """The eigenvalues by another name, with a rule of one's own."""
    square = values([[2.0, 0.3], [0.3, 1.0]])
    return op("under_test", lambda x: np.linalg.eigvalsh(x), rule, samples=[square])


def nan_at_ties(g, y, x, factor=1.0):
    """Right where the eigenvalues differ, NaN where they do not."""
    tied = np.any(np.equal(np.diff(y), 0), axis=-1)
    apart = np.expand_dims(np.where(tied, np.nan, factor), (-1, -2))
    return OPS["eigvalsh"].vjps[0](g, y, x) * apart


def test_only_what_an_op_declares_may_be_nan():
    o = smallest_gap(nan_at_ties)
    with pytest.raises(GradientError, match="nan"):
        check_op(o)
    o.undefined = True
    check_op(o)


def test_what_an_op_declares_excuses_no_wrong_number():
    o = smallest_gap(lambda g, y, x: nan_at_ties(g, y, x, factor=1.01))
    o.undefined = True
    with pytest.raises(GradientError, match="ratio 1.01"):
        check_op(o)


def test_a_step_may_leave_the_domain_of_a_matrix():
    """1e-7 above the border of what is positive definite, most differences step beyond it."""
    check_op(OPS["cholesky"], samples=[values([[1.0, 0.0], [0.0, 1e-7]])])


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


def writes_into_data(g, y, x):
    if isinstance(x, Tensor):
        x.data[...] = 1
        return 2 * g
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
    "unfit in shape": (
        "returned shape (6,)",
        np.square,
        lambda g, y, x: np.reshape(2 * g * x, (-1,)),
    ),
    "of a shape that broadcasts": (
        "is wrong",
        np.square,
        lambda g, y, x: np.sum(2 * g * x, axis=0, keepdims=True),
    ),
    "in short floats": (
        "returns float32",
        np.square,
        lambda g, y, x: (2 * g * x).astype(np.float32),
    ),
    "in integers": ("returns int64", np.negative, lambda g, y, x: (-g).astype(np.int64)),
    "no array": ("returns float where", np.negative, lambda g, y, x: -1.0),
    "nothing": ("returns NoneType", np.square, lambda g, y, x: None),
    "first order only, y detached": ("second order", np.exp, lambda g, y, x: g * detached(y)),
    "first order only, x as data": ("second order", np.square, lambda g, y, x: 2 * g * data_of(x)),
    "first order only, g as data": ("input 1 (g)", np.square, lambda g, y, x: 2 * data_of(g) * x),
    "first order only, all as data": (
        "no gradient reaches",
        np.square,
        lambda g, y, x: detached(2 * g * x),
    ),
    "a Tensor": (
        "a Tensor where it was given arrays",
        np.square,
        lambda g, y, x: Tensor(data_of(2 * g * x)),
    ),
    "writing into g": ("writes into its arguments", np.square, writes_into_g),
    "writing into x": ("writes into its arguments", np.square, writes_into_x),
    "writing into data": ("writes into the data of its arguments", np.square, writes_into_data),
    "wrong on arrays": ("backward() gives", np.square, wrong_on_arrays),
    "wrong on Tensors": ("grad() gives", np.square, wrong_on_tensors),
    "infinite": ("is not finite", np.square, lambda g, y, x: 2 * g * x / np.zeros(())),
}


@pytest.mark.parametrize("case", REJECTED)
def test_wrong_vjp_is_rejected(case):
    hint, forward, vjp = REJECTED[case]
    message = message_of(check_op, tried(lambda x: forward(x), vjp))
    assert message.startswith("under_test, sample 0")
    assert ("for x: (2, 3) float64" if case == "unfit in shape" else "input 0 (x)") in message
    assert hint in message


def test_vjp_along_the_wrong_axis_is_rejected():
    for axis in (0, 1):  # on a square, shapes tell nothing
        o = tried(
            lambda x: np.sum(x, axis=1),
            lambda g, y, x, axis=axis: np.expand_dims(g, axis),
            samples=[arrays((3, 3))],
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

    assert "the forward writes into input 0 (x)" in message_of(
        check_op, tried(forward, lambda g, y, x: g)
    )


def test_forward_that_never_repeats_is_rejected():
    rng = np.random.default_rng(0)
    message = message_of(check_op, tried(lambda x: x + rng.normal(), lambda g, y, x: g))
    assert "different results for the same input: fix the random numbers outside" in message


def test_forward_that_leaves_float32_is_rejected():
    assert "float64 for float32 inputs" in message_of(
        check_op, tried(lambda x: x * np.ones(1), lambda g, y, x: g)
    )


def test_elementwise_and_rowwise_must_be_true():
    centred = (lambda x: x - np.mean(x), lambda g, y, x: g - np.sum(g) / x.size)
    check_op(tried(*centred))
    assert "not elementwise: input 0 (x) at index (0, 0)" in message_of(
        check_op, tried(*centred, elementwise=True)
    )
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
    check_op(
        tried(joined, samples=sample, sequence=True, each=each([1, 1])), samples=sample
    )  # arrays of length 2
    message = message_of(check_op, tried(joined, samples=sample, sequence=True, each=each([1, 2])))
    assert "input 1 at index" in message


# Rules that are wrong in one situation alone, which no sample shows: check_op finds it by itself


def wrong_if(condition, factor=2.0):
    """x ** 2 with a rule that is `factor` times too large where `condition(g, y, x)` holds."""
    return np.square, lambda g, y, x: 2 * g * x * np.where(condition(g, y, x), factor, 1.0)


def reduced(rule):
    def total(x, axis=None, keepdims=False):
        return np.sum(x, axis=axis, keepdims=keepdims)

    return total, rule


def spread(g, axis, keepdims):
    return g if keepdims or axis is None else np.expand_dims(g, axis)


BUFFERS = {}


def reused(x):
    """An array that is used again for each result of one shape."""
    if not isinstance(x, np.ndarray):
        return x
    buffer = BUFFERS.setdefault((x.shape, x.dtype), np.empty_like(x))
    buffer[...] = x
    return buffer


def overwrites_its_input(x):
    if x.ndim == 3:
        x -= 1
        return x * 1.0
    return x - 1


POSITIVE, ONES, SQUARE = arrays((2, 3), positive=True), values([1.0, 1.0]), arrays((3, 3))
ROW, ROWS = arrays((3,)), arrays((2, 3), (2, 3))
CUBE = lambda x: x * x * x  # noqa: E731
WRONG = {
    # numbers
    "negative x": ("x negated", *wrong_if(lambda g, y, x: x < 0), POSITIVE),
    "positive x": ("x negated", *wrong_if(lambda g, y, x: x > 0), values([-1.0, -0.5])),
    "|x| for x": ("x negated", np.square, lambda g, y, x: 2 * g * np.abs(x), POSITIVE),
    "x = 0": (
        "with a 0",
        lambda x: x * np.exp(x),
        lambda g, y, x: g * np.where(x == 0, 2, 1 + x) * np.exp(x),
        PLAIN,
    ),
    "y < 0": ("x negated", CUBE, lambda g, y, x: 3 * g * x * x * np.where(y < 0, 1.5, 1), POSITIVE),
    "large x": ("x times 1e6", *wrong_if(lambda g, y, x: np.abs(x) > 100), PLAIN),
    "very large x": ("x times 1e6", *wrong_if(lambda g, y, x: np.abs(x) > 1e5), PLAIN),
    "small x": (
        "x times 1e-6",
        np.sin,
        lambda g, y, x: g * np.cos(x) * np.where((np.abs(x) < 1e-4) & (x != 0), 1.1, 1),
        PLAIN,
    ),
    "overflow": (
        "x times 1e6",
        lambda x: np.logaddexp(0, x),
        lambda g, y, x: g * np.exp(x) / (1 + np.exp(x)),
        PLAIN,
    ),
    "a rule that overflows": (
        "x times 1e6",
        lambda x: logsumexp(x),
        lambda g, y, x: g * np.exp(x) / np.sum(np.exp(x)),
        ROW,
    ),
    "a rule that cancels": (
        "x plus 1e6",
        lambda x: np.std(x),
        lambda g, y, x: (
            g
            * (x - np.mean(x))
            / x.size
            / np.sqrt(np.maximum(np.mean(x * x) - np.mean(x) ** 2, 1e-30))
        ),
        PLAIN,
    ),
    "ties": (
        "x all 0",
        lambda x: np.max(x),
        lambda g, y, x: g * np.equal(x, y) * np.sum(np.equal(x, y)),
        PLAIN,
    ),
    "x all equal": ("x all 0", *wrong_if(lambda g, y, x: np.max(x) == np.min(x)), PLAIN),
    "whole numbers": ("with ties", *wrong_if(lambda g, y, x: (x == np.rint(x)) & (x != 0)), PLAIN),
    "only some numbers": ("x times 10", *wrong_if(lambda g, y, x: (x > 3) & (x < 20)), PLAIN),
    "b negative": (
        "b negated",
        lambda a, b: a * b,
        lambda g, y, a, b: g * np.abs(b),
        lambda g, y, a, b: g * a,
        arrays((2, 3), (2, 3), positive=True),
    ),
    # shapes
    "0-d": ("in shape ()", *wrong_if(lambda g, y, x: x.ndim == 0), PLAIN),
    "1-d": ("in shape (1,)", *wrong_if(lambda g, y, x: x.ndim == 1), PLAIN),
    "3-d": ("in shape (2, 3, 4)", *wrong_if(lambda g, y, x: x.ndim == 3), PLAIN),
    "one element": ("in shape ()", *wrong_if(lambda g, y, x: x.size == 1), PLAIN),
    "axes of length 1": ("in shape (1,)", *wrong_if(lambda g, y, x: 1 in x.shape), PLAIN),
    "not square": (
        "in shape (2, 3)",
        *wrong_if(lambda g, y, x: x.ndim == 2 and len(set(x.shape)) > 1),
        SQUARE,
    ),
    "a reshape for a transpose": (
        "in shape (2, 3)",
        lambda x: x.T * 1.0,
        lambda g, y, x: np.reshape(g, x.shape),
        values([[1.0, 2.0]]),
    ),
    "more than four elements": (
        "in shape",
        *wrong_if(lambda g, y, x: x.size > 4),
        values([1.0, 2.0]),
    ),
    "broadcasting": (
        "in shapes",
        lambda a, b: a * b,
        lambda g, y, a, b: g * b * np.where(a.shape == y.shape, 1, 2),
        lambda g, y, a, b: g * a,
        ROWS,
    ),
    "broadcasting b": (
        "in shapes",
        lambda a, b: a + b,
        lambda g, y, a, b: g,
        lambda g, y, a, b: np.mean(g, axis=0) if np.shape(b) != y.shape else g,
        ROWS,
    ),
    "leading axes alone": (
        "in shapes",
        lambda a, b: a + b,
        lambda g, y, a, b: np.max(g, axis=0) if a.ndim < y.ndim else g,
        lambda g, y, a, b: g,
        ROWS,
    ),
    # axes and other parameters
    "axis 1": (
        "axis=1",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if axis == 1 else 1)
            )
        ),
        PLAIN,
    ),
    "a negative axis": (
        "axis=-1",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if axis in (-1, -2) else 1)
            )
        ),
        arrays((2, 3), axis=0),
    ),
    "several axes": (
        "axis=(",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if isinstance(axis, tuple) else 1)
            )
        ),
        PLAIN,
    ),
    "no axis": (
        "axis=None",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if axis is None else 1)
            )
        ),
        arrays((2, 3), axis=0),
    ),
    "keepdims": (
        "keepdims=True",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if keepdims else 1)
            )
        ),
        PLAIN,
    ),
    "an axis that a mean does not see": (  # the other axis says more than none, `axis=()`
        "in shape (2, 3), axis=-2",
        lambda x, axis=-1: x - np.mean(x, axis=axis, keepdims=True),
        lambda g, y, x, axis=-1: g - np.mean(g, axis=-1, keepdims=True),
        arrays((2, 3)),
    ),
    "no axis of a single row": (
        "in shape (4,), axis=()",
        *reduced(
            lambda g, y, x, axis=None, keepdims=False: (
                spread(g, axis, keepdims) * (2 if axis == () and x.ndim == 1 else 1)
            )
        ),
        arrays((2, 3), axis=0),
    ),
    "an axis that is not seen": (
        "axis=-2",
        lambda x, axis=-1: np.cumsum(x, axis=axis),
        lambda g, y, x, axis=-1: np.flip(np.cumsum(np.flip(g, -1), axis=-1), -1),
        PLAIN,
    ),
    "one exponent": (
        "p=",
        lambda x, p=2.0: np.abs(x) ** p,
        lambda g, y, x, p=2.0: 2 * g * x,
        PLAIN,
    ),
    "a switch": (
        "twice=True",
        lambda x, twice=False: 2 * x if twice else 1 * x,
        lambda g, y, x, twice=False: g,
        PLAIN,
    ),
    "a whole number": (
        "n=2",
        lambda x, n=1: n * x,
        lambda g, y, x, n=1: g,
        PLAIN,
    ),
    "a slope of one sign": (
        "slope=-0.1",
        lambda x, slope=0.1: np.where(x > 0, x, slope * x),
        lambda g, y, x, slope=0.1: g * np.where(x > 0, 1.0, abs(slope)),
        PLAIN,
    ),
    "a slope of 0": (
        "slope=0.0",
        lambda x, slope=0.1: np.where(x > 0, x, slope * x),
        lambda g, y, x, slope=0.1: g * np.where(x > 0, 1.0, slope or 0.1),
        PLAIN,
    ),
    "a whole number two further": (
        "n=3",
        lambda x, n=1: x**n,
        lambda g, y, x, n=1: g * (2 * x if n == 2 else np.ones_like(x)),
        PLAIN,
    ),
    "an exponent of 0": (
        "n=0",
        lambda x, n=2: x**n,
        lambda g, y, x, n=2: g * max(n, 1) * x ** max(n - 1, 0),
        PLAIN,
    ),
    # the gradient of the result
    "|g|": (
        "not linear in g",
        lambda x: np.sum(x),
        lambda g, y, x: np.abs(g) * np.ones_like(x),
        ONES,
    ),
    "g cut off": ("not linear in g", np.square, lambda g, y, x: 2 * np.clip(g, -5, 5) * x, PLAIN),
    "the mean of g": ("in shape", np.square, lambda g, y, x: 2 * np.mean(g) * x, values([1.5])),
    "a g that is not zero": (
        "not linear in g",
        np.square,
        lambda g, y, x: 2 * x * (g + np.equal(g, 0)),
        PLAIN,
    ),
    "the same g for each row": (
        "in shape",
        lambda x: np.sum(x, axis=-1),
        lambda g, y, x: np.expand_dims(np.mean(g, axis=-1, keepdims=True) if g.ndim else g, -1),
        ROW,
    ),
    # types and memory
    "float32": (
        "in float32",
        np.square,
        lambda g, y, x: g * x if x.dtype == np.float32 else 2 * g * x,
        PLAIN,
    ),
    "integers": (
        "b as integers",
        lambda a, b: a * b,
        lambda g, y, a, b: g * (b if b.dtype.kind == "f" else 1),
        lambda g, y, a, b: g * a,
        ROWS,
    ),
    "plain numbers": (
        "b a plain",
        lambda a, b: a * b,
        lambda g, y, a, b: g if isinstance(b, float) else g * b,
        lambda g, y, a, b: g * a,
        ROWS,
    ),
    "class ids that wrap around": (
        "ids as uint8",
        lambda x, ids: x * (5.0 - ids),
        lambda g, y, x, ids: g * (np.negative(ids) + 5.0),
        None,
        values([1.0, 2.0], [0, 1]),
    ),
    "Fortran order": (
        "in Fortran order",
        np.square,
        lambda g, y, x: (
            (2 * g * x).ravel(order="K").reshape(x.shape)
            if isinstance(g, np.ndarray)
            else 2 * g * x
        ),
        PLAIN,
    ),
    "gaps in memory": (
        "gaps",
        np.square,
        lambda g, y, x: g * x * (2 if not isinstance(x, np.ndarray) or x.flags.forc else 1),
        PLAIN,
    ),
    "an array used again": (
        "its next call overwrites",
        np.square,
        lambda g, y, x: reused(2 * g * x),
        PLAIN,
    ),
    "a forward's array used again": (
        "its next call overwrites",
        lambda x: reused(2 * x),
        lambda g, y, x: 2 * g,
        PLAIN,
    ),
    "a forward that writes into stacks": (
        "writes into input 0",
        overwrites_its_input,
        lambda g, y, x: g,
        PLAIN,
    ),
    "a rule that never repeats": (
        "different results",
        lambda x: np.maximum(x, 0),
        lambda g, y, x: g * (x > 0) * (1 + 1e-9 * np.random.default_rng().normal()),
        PLAIN,
    ),
    "a second order of one sign": (
        "second order",
        np.square,
        lambda g, y, x: 2 * g * (x if np.all(data_of(x) > 0) else data_of(x)),
        POSITIVE,
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_rule_that_is_wrong_in_one_situation_is_rejected(case):
    hint, forward, *vjps, sample = WRONG[case]
    BUFFERS.clear()
    o = tried(
        (lambda x: forward(x)) if isinstance(forward, np.ufunc) else forward,
        *vjps,
        samples=[sample],
    )
    message = message_of(check_op, o)
    assert message.startswith("under_test, sample 0") and hint in message


# Right rules, of ops that are made for some inputs only, and not for others


def only_matrices(a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("two matrices")
    return a @ b


def log_gamma(x):
    """Stirling's series after eight steps of the recurrence."""
    shift = sum(np.log(x + k) for k in range(8))
    z = x + 8
    return (
        (z - 0.5) * np.log(z)
        - z
        + 0.5 * math.log(2 * math.pi)
        + 1 / (12 * z)
        - 1 / (360 * z**3)
        - shift
    )


def digamma(x):
    z = x + 8
    shift = sum(1 / (x + k) for k in range(8))
    return (z - 0.5) / z + np.log(z) - 1 - 1 / (12 * z**2) + 1 / (120 * z**4) - shift


def log_loss(logits, labels):
    """Rows of labels that are shares of a whole, which the forward takes on trust."""
    if logits.shape != labels.shape:
        raise ValueError("one label for each logit")
    return np.mean(logsumexp(logits) - np.sum(labels * logits, axis=-1))


def windows(x, size=2):
    """The sums of neighbours along the last axis."""
    if x.ndim != 1 or len(x) < size:
        raise ValueError("one row, as long as a window")
    return sum(x[k : len(x) - size + 1 + k] for k in range(size))


def windows_vjp(g, y, x, size=2):
    ends = [(k, len(x) - y.shape[0] - k) for k in range(size)]
    return sum(np.concatenate([np.zeros(a), g, np.zeros(b)]) for a, b in ends).astype(x.dtype)


def cube_root_vjp(g, y, x):
    """Infinite at 0, as the slope is."""
    return g / (3 * y * y)


def along(rule):
    return lambda g, y, x, axis=-1: rule(g, y, x, axis)


IN_1 = values([[-0.7, 0.2, 0.5], [0.9, -0.1, 0.3]])
ABOVE_1 = values([1.5, 3.0, 2.0])
RIGHT = {
    "log": (lambda x: np.log(x), lambda g, y, x: g / x, POSITIVE),
    "sqrt": (lambda x: np.sqrt(x), lambda g, y, x: g / (2 * y), POSITIVE),
    "arcsin": (lambda x: np.arcsin(x), lambda g, y, x: g / np.sqrt(1 - x * x), IN_1),
    "arctanh": (lambda x: np.arctanh(x), lambda g, y, x: g / (1 - x * x), IN_1),
    "arccosh": (lambda x: np.arccosh(x), lambda g, y, x: g / np.sqrt(x * x - 1), ABOVE_1),
    "reciprocal": (lambda x: 1 / x, lambda g, y, x: -g / (x * x), PLAIN),
    "a cube root": (lambda x: np.cbrt(x), cube_root_vjp, PLAIN),
    "log-gamma": (log_gamma, lambda g, y, x: g * digamma(x), POSITIVE),
    "a power": (lambda x, p=2.0: x**p, lambda g, y, x, p=2.0: g * p * x ** (p - 1), POSITIVE),
    "leaky relu": (
        lambda x, slope=0.1: np.where(x > 0, x, slope * x),
        lambda g, y, x, slope=0.1: g * np.where(x > 0, 1.0, slope),
        PLAIN,
    ),
    "a whole power": (
        lambda x, n=2: x**n,
        lambda g, y, x, n=2: g * n * x ** (n - 1) if n else 0 * g * x,
        PLAIN,
    ),
    "elastic": (
        lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda g, y, x, alpha=1.0: g * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
        PLAIN,
    ),
    "Huber": (
        lambda x, delta=1.0: np.where(
            np.abs(x) < delta, 0.5 * x * x, delta * (np.abs(x) - 0.5 * delta)
        ),
        lambda g, y, x, delta=1.0: g * np.where(np.abs(x) < delta, x, delta * np.sign(x)),
        PLAIN,
    ),
    "a temperature": (
        lambda x, t=2.0: t * np.logaddexp(0, x / t),
        lambda g, y, x, t=2.0: g / (1 + np.exp(-x / t)),
        PLAIN,
    ),
    "a gaussian": (
        lambda x, width=0.7: np.exp(-x * x / (2 * width**2)),
        lambda g, y, x, width=0.7: -g * y * x / width**2,
        PLAIN,
    ),
    "held above": (
        lambda x, low=-0.3: np.maximum(x, low),
        lambda g, y, x, low=-0.3: g * np.greater(x, low),
        PLAIN,
    ),
    "softplus": (lambda x: np.logaddexp(0, x), lambda g, y, x: g * np.exp(x - y), PLAIN),
    "plain sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda g, y, x: g * y * (1 - y), PLAIN),
    "softmax": (
        lambda x, axis=-1: (
            np.exp(x - np.max(x, axis=axis, keepdims=True))
            / np.sum(np.exp(x - np.max(x, axis=axis, keepdims=True)), axis=axis, keepdims=True)
        ),
        along(lambda g, y, x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True))),
        PLAIN,
    ),
    "sorted": (
        lambda x: np.sort(x),
        lambda g, y, x: np.sum(
            np.expand_dims(g, -1)
            * np.equal(np.expand_dims(y, -1), np.expand_dims(x, -2))
            / ties(x, y),
            axis=-2,
        ),
        ROW,
    ),
    "running sum": (
        lambda x, axis=-1: np.cumsum(x, axis=axis),
        along(lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)),
        arrays((2, 3), axis=0),
    ),
    "length": (
        lambda x: np.sqrt(np.sum(x * x)),
        lambda g, y, x: g * x / np.where(np.equal(y, 0), 1, y),
        PLAIN,
    ),
    "mean": (
        lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
        lambda g, y, x, axis=None, keepdims=False: (
            spread(g, axis, keepdims) * (y.size / x.size) + 0 * x
        ),
        PLAIN,
    ),
    "matrices": (
        only_matrices,
        lambda g, y, a, b: g @ b.T,
        lambda g, y, a, b: a.T @ g,
        arrays((2, 2), (2, 2)),
    ),
    "taken": (
        lambda x, ids: x[ids],
        lambda g, y, x, ids: OPS["scatter"](
            g, ids, index=OPS["getitem"].samples[3].params["index"], shape=x.shape
        ),
        None,
        values([1.0, 2.0, 3.0], [2, 0, 2]),
    ),
    "log loss": (
        log_loss,
        lambda g, y, logits, labels: (
            g * (softmax(logits) - labels) / (logits.size / logits.shape[-1])
        ),
        None,
        values([[1.0, 2.0, 0.5], [0.1, -1.0, 0.3]], [[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]]),
    ),
    "windows": (windows, windows_vjp, values([1.0, 2.0, -3.0, 0.5])),
    "a mask": (
        lambda x, mask: x * mask,
        lambda g, y, x, mask: g * mask,
        None,
        values([1.0, 2.0], [True, False]),
    ),
    "a turned gradient": (lambda x: x[::-1], lambda g, y, x: g[::-1], ROW),
    "the same array": (lambda x: x, lambda g, y, x: g, PLAIN),
    "distance": (
        lambda a, b: np.abs(a - b),
        lambda g, y, a, b: g * np.sign(a - b),
        lambda g, y, a, b: -g * np.sign(a - b),
        ROWS,
    ),
    "steps": (lambda x: np.floor(x), lambda g, y, x: 0 * g, PLAIN),
    "a window with a border": (
        lambda x: np.where(np.abs(x) < 1, x, 0),
        lambda g, y, x: g * (np.abs(x) < 1),
        PLAIN,
    ),
}


def ties(x, y):
    return np.sum(np.equal(np.expand_dims(y, -1), np.expand_dims(x, -2)), axis=-1, keepdims=True)


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_rule_is_not_accused(case):
    forward, *vjps, sample = RIGHT[case]
    check_op(tried(forward, *vjps, samples=[sample]))


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
        lambda a, b: a * b,
        lambda g, y, a, b: g * b,
        lambda g, y, a, b: g * a,
        samples=[values([1.0, 2.0], [3, 4])],
    )
    with pytest.raises(ValueError, match="input 1, so that its vjp is unproven"):
        check_op(o)
    check_op(o, samples=o.samples)


def test_an_op_that_says_nothing_of_a_gradient_is_refused():
    with pytest.raises(
        ValueError,
        match=r"under_test\(x\): no vjp was given: give one per input, or say constant=True",
    ):
        check_op(tried(lambda x: x**2))
    with pytest.raises(ValueError, match="no vjp for input 1 and what follows: give each="):
        check_op(tried(lambda *xs: xs[0] * xs[1], lambda g, y, a, b: g * b, samples=[PAIR]))
    check_op(tried(lambda x: x**2, constant=True))
    check_op(tried(lambda x: x > 0))
    check_op(tried(lambda x: x**2, None))  # to want its gradient is an error


@pytest.mark.parametrize("no_op", [np.exp, "exp", lambda x: x])
def test_what_is_no_op_is_called_what_it_is(no_op):
    with pytest.raises(
        TypeError, match=r'check_op takes a registered op, as in check_op\(OPS\["exp"\]\), not'
    ):
        check_op(no_op)


def test_samples_without_elements_prove_nothing():
    o = tried(lambda x: x * 2, lambda g, y, x: 3 * g, samples=[values(np.empty((0, 3)))])
    with pytest.raises(
        ValueError, match="nothing was checked of under_test: all of its samples have size 0"
    ):
        check_op(o)
    pair = [values(np.empty(0), np.empty(0))]
    o = tried(lambda a, b: a * b, lambda g, y, a, b: g, lambda g, y, a, b: g, samples=pair)
    with pytest.raises(ValueError, match="nothing was checked"):
        check_op(o)


def test_only_the_samples_given_are_checked():
    """What differences cannot be asked of a forward that refuses nothing, its author may choose."""
    o = tried(lambda x: x**2, lambda g, y, x: 2 * g * np.abs(x), samples=[POSITIVE])
    check_op(o, samples=o.samples)
    assert "if it is not for such inputs, let its forward raise" in message_of(check_op, o)


def test_elementwise_that_no_sum_betrays():
    """Under a sum, any rule of a permutation is right; machine code takes element by element."""
    turned = (lambda x: x[::-1], lambda g, y, x: g[::-1] if g.ndim else g)
    check_op(tried(*turned))
    assert "not elementwise" in message_of(check_op, tried(*turned, elementwise=True))
    table = (lambda x: np.sum(x, axis=0), lambda g, y, x: g + 0 * x)
    assert "not rowwise" in message_of(check_op, tried(*table, rowwise=True, samples=[SQUARE]))
    assert "not elementwise: its result has shape" in message_of(
        check_op, tried(*table, elementwise=True)
    )


def test_a_forward_that_returns_two_things_says_so():
    rule = lambda g, y, x, kept=None: 2 * g  # noqa: E731
    assert "returned 2 things: say keeps=True" in message_of(
        check_op, tried(lambda x: (2 * x, x), rule)
    )
    assert "(result, kept), not ndarray" in message_of(
        check_op, tried(lambda x: 2 * x, rule, keeps=True)
    )
    check_op(tried(lambda x: (2 * x, x), rule, keeps=True))


def test_kept_arrays_are_not_used_again():
    def forward(x):
        return np.exp(x), reused(np.exp(x))

    def rule(g, y, x, kept=None):
        return g * (y if kept is None else kept)

    BUFFERS.clear()
    assert "keeps an array that its next call overwrites" in message_of(
        check_op, tried(forward, rule, keeps=True)
    )


# Functions that cannot be trusted, whatever their gradient


def test_random_numbers_are_no_wrong_gradient():
    rng = np.random.default_rng(0)
    message = message_of(check_gradients, lambda x: x * (rng.random(x.shape) > 0.5), np.ones(20))
    assert "gives different results for the same input" in message
    assert "draw the mask once and pass it in" in message and "wrong" not in message
    mask = rng.random(20) > 0.5
    check_gradients(lambda x: x * mask, np.ones(20))


def test_hidden_state_is_no_wrong_gradient():
    calls = []

    def every_tenth(x):
        calls.append(x)
        return x * (1 + len(calls) // 10)

    assert "different results for the same input" in message_of(
        check_gradients, every_tenth, [1.0, 2.0]
    )

    state = np.zeros(2)

    def running_mean(x):
        state[...] = 0.9 * state + 0.1 * x.data
        return x - state.copy()

    assert "different results for the same input" in message_of(
        check_gradients, running_mean, [1.0, 2.0]
    )
    seeded = lambda x: x * np.random.default_rng(3).normal(size=x.shape)  # noqa: E731
    check_gradients(seeded, [1.0, 2.0])


def test_a_function_that_writes_into_its_input():
    def writes(t):
        t.data[...] = np.maximum(t.data, 0)
        return t * 2

    assert "it writes into input 0 (t)" in message_of(check_gradients, writes, [1.0, -1.0])


def test_nothing_to_check_is_said():
    with pytest.raises(
        ValueError, match=r"nothing was checked of exp: its inputs have size 0, \(0, 3\) float64"
    ):
        check_gradients(np.exp, np.empty((0, 3)))
    with pytest.raises(ValueError, match="nothing was checked of .*: its result has size 0"):
        check_gradients(lambda x: x[:0], [1.0, 2.0])


@pytest.mark.parametrize(
    "tolerance", [{"rtol": 1}, {"rtol": np.inf}, {"rtol": np.nan}, {"rtol": -1e-3}]
)
def test_tolerances_with_which_nothing_can_fail(tolerance):
    with pytest.raises(ValueError, match="nothing can fail"):
        check_gradients(np.exp, [1.0], **tolerance)
    for atol in (10, np.inf, np.nan, -1):
        with pytest.raises(ValueError, match="nothing can fail"):
            check_gradients(np.exp, [1.0], atol=atol)
    check_gradients(np.exp, [1.0], atol=1)


def test_slopes_below_the_tolerance():
    """A gradient of 1e-12 is not proven by being smaller than 1e-9."""
    for factor in (0.0, 0.99, 1.01, 2.0):
        o = tried(lambda x: x * 1e-12, lambda g, y, x, factor=factor: g * factor * 1e-12)
        message = message_of(check_gradients, o, [1.0, 2.0])
        assert "is wrong" in message and "all of it for the result times " in message
        assert "the check made these" not in message
    check_gradients(lambda x: x * 1e-12, [1.0, 2.0])
    check_gradients(
        lambda x: np.sin(x) ** 2 + np.cos(x) ** 2 - 1, [0.3, 1.0, 2.0]
    )  # rounding alone


def in_float32(x):
    return x.astype(np.float32)


@pytest.mark.parametrize("x", [1e-3, 1.0, 300.0, 1e4, 1e6])
def test_short_floats_on_the_way(x):
    """Steps that float32 cannot see give a difference of zero, which proves no gradient of zero."""
    check_gradients(lambda t: in_float32(t) * 2, [x])
    check_gradients(lambda t: in_float32(t).astype(float) * 2, [x])
    for factor in (0.0, 0.9):
        o = tried(lambda t: t * 2, lambda g, y, t, factor=factor: 2 * factor * g)
        message_of(check_gradients, lambda t: o(in_float32(t)), [x])  # noqa: B023
        message_of(check_gradients, lambda t: o(in_float32(t)).astype(float), [x])  # noqa: B023
    for offset in (0.0, float(np.float32(x))):  # without any rounding of the result, as it is 0
        hidden = tried(
            lambda t, offset=offset: t.astype(np.float32).astype(float) - offset,
            lambda g, y, t, offset: 0 * g,
        )
        assert "is wrong" in message_of(check_gradients, lambda t: hidden(t, offset=offset), [x])  # noqa: B023


def test_what_rounding_hides_is_said():
    message = message_of(check_gradients, lambda t: in_float32(t + 1e7), [1.0])
    assert "cannot be checked: rounding hides slopes below" in message and "float64" in message
    message = message_of(check_gradients, lambda t: t + 1e15, [1.0])
    assert "cannot be checked: rounding hides slopes below" in message


def test_a_column_that_is_called_by_a_number():
    import pandas as pd

    column = pd.Series([1.0, 2.0], name=5)
    check_gradients(np.square, column)
    o = tried(lambda x: x * x, lambda g, y, x: g * x)
    assert "the gradient of input 0 (5) at index" in message_of(
        check_gradients, lambda x: o(x), column
    )


def test_an_input_that_is_ignored():
    check_gradients(lambda a, b: a * 2 + 0 * b, [1.0], [2.0])
    check_gradients(lambda a, b: a * 2, [1.0], [2.0])
    ignores = tried(
        lambda a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: 0 * g, samples=[PAIR]
    )
    assert "input 1 (b)" in message_of(check_gradients, ignores, [1.0], [2.0])


def test_class_ids_among_the_inputs():
    with pytest.raises((IndexError, TypeError)) as caught:
        check_gradients(lambda z, ids: z[np.arange(2), ids], np.ones((2, 3)), [0, 2])
    assert "integers became floats" in caught.value.__notes__[0]


def test_nan_inside():
    """NaN that a where hides from the result is not hidden from the gradient."""
    with np.errstate(invalid="ignore"):
        message = message_of(
            check_gradients, lambda x: np.where(x > 0, np.sqrt(x), 0.0), [-1.0, 4.0]
        )
    assert "at index (0,) is not finite" in message


# Kinks


def test_ops_at_their_kinks():
    check_op(relu, samples=[values([-1.0, 0.0, 2.0]), values(0.0)])
    check_op(OPS["abs"], samples=[values([-1.0, 0.0, 2.0])])
    for name in ("maximum", "minimum"):
        check_op(
            OPS[name], samples=[values([1.0, 2.0, -3.0], [1.0, 1.0, -3.0]), values([0.0, 1.0], 0.0)]
        )
    for name in ("max", "min"):
        check_op(
            OPS[name],
            samples=[values([[1.0, 1.0], [0.0, 1.0]]), values([[1.0, 1.0], [0.0, 1.0]], axis=0)],
        )


TIED = values([2.0, 2.0, -1.0])


@pytest.mark.parametrize("rule, right", [
    (lambda g, y, x: g * np.equal(x, y), False),  # 1 for each, although the maximum moves as they do
    (lambda g, y, x: g * np.equal(x, y) * 0.0, False),
    (lambda g, y, x: g * np.equal(x, y) / np.sum(np.equal(x, y)), True),
    (lambda g, y, x: g * np.equal(x, y) * (np.cumsum(np.equal(x, y)) == 1), True),  # all for the first
])  # fmt: skip
def test_gradients_at_a_tie_are_right_together(rule, right):
    o = tried(lambda x: np.max(x) if x.ndim == 1 else no_row(), rule, samples=[TIED])
    if right:
        check_op(o)
    else:
        message = message_of(check_op, o)
        assert "input 0 (x) at index (0,), input 0 (x) at index (1,) are wrong together" in message


def no_row():
    raise ValueError("one row")


@pytest.mark.parametrize("share, right", [(0.5, True), (0.0, False), (1.0, False)])
def test_gradients_at_a_tie_of_two_inputs_are_right_together(share, right):
    rules = [
        lambda g, y, a, b: g * (np.greater(a, b) + share * np.equal(a, b)),
        lambda g, y, a, b: g * (np.greater(b, a) + share * np.equal(a, b)),
    ]
    tie = values([1.0, 2.0, -3.0], [1.0, 1.0, -3.0])
    o = tried(lambda a, b: np.maximum(a, b), *rules, samples=[tie])
    if right:
        check_op(o)
    else:
        assert "are wrong together" in message_of(check_op, o)


def test_kinks_that_only_meet_at_one_point_may_have_any_slope():
    """max(a, 0) + min(b, 0) is smooth where both move at once from 0, and nowhere beside it."""
    rules = [lambda g, y, a, b: g * np.greater(a, 0), lambda g, y, a, b: g * np.less(b, 0)]
    meet = [values([0.0, 1.0], [0.0, 1.0])]
    o = tried(lambda a, b: np.maximum(a, 0) + np.minimum(b, 0), *rules, samples=meet)
    check_op(o, samples=meet)


@pytest.mark.parametrize(
    "slope, right", [(0.0, True), (0.3, True), (1.0, True), (-0.1, False), (1.1, False)]
)
def test_at_a_kink_any_slope_between_both_sides_is_right(slope, right):
    o = tried(lambda x: np.maximum(x, 0), lambda g, y, x: g * ((x > 0) + slope * np.equal(x, 0)))
    if right:
        check_gradients(o, [-1.0, 0.0, 2.0])
    else:
        message = message_of(check_gradients, o, [-1.0, 0.0, 2.0])
        assert "index (1,)" in message and "a kink" in message


def test_kink_beside_curvature():
    check_gradients(lambda x: relu(x) * np.exp(x) + np.exp(3 * x), [0.0])
    check_gradients(
        lambda x: np.sum(np.concatenate([relu(x), relu(-x)]).reshape(2, -1), axis=0), [0.0]
    )
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
    check_op(
        OPS["power"],
        samples=[values([0.0, 1.0, -2.0], 2), values([0.0, 1.0], 3), values([0.0, 1.0], 1)],
    )
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
    for sample in (
        values(0.5),
        values([0.5]),
        values([[0.5]]),
        values(np.empty(0)),
        values(np.empty((0, 3))),
    ):
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
        (
            lambda x: softmax_cross_entropy(np.concatenate([x, -x]).reshape(1, 2), np.array([0])),
            40.0,
        ),
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
    o = tried(
        lambda a, b: a * b,
        lambda g, y, a, b: g * b,
        lambda g, y, a, b: 1.001 * g * a,
        samples=[PAIR],
    )
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
    o = tried(
        lambda x: np.abs(x),
        lambda g, y, x: g,
        samples=[values([1.0]), values([2.0]), values([-1.0])],
    )
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
    for fn in (
        lambda x: x.detach() * 2,
        lambda x: x > 0,
        lambda x: outside * 2,
        lambda x: x.astype(int),
    ):
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
    assert message.startswith(
        "book_cross_entropy, sample 0, logits times 1e6: the gradient of input 0 (logits)"
    )
    message = message_of(
        check_op,
        steel.book_cross_entropy,
        samples=[values([[40.0, 0.0, -40.0]], [[0.0, 0.0, 1.0]])],
    )
    assert (
        "book_cross_entropy, sample 0: the gradient of input 0 (logits) at index (0, 2)" in message
    )
    assert "differences give 0, ratio inf" in message


def test_how_far_off_the_books_gradient_is():
    logits = np.array([[12.0, 0.0, -12.0]])
    message = message_of(
        check_op, steel.book_cross_entropy, samples=[values(logits, [[0.0, 0.0, 1.0]])]
    )
    p = np.exp(-12 - np.log(np.sum(np.exp(logits))))
    ratio = re.search(r"ratio (\S+),", message)
    assert ratio and float(ratio[1]) == pytest.approx((p + 1e-10) / p, rel=1e-4)


def test_a_forgotten_vjp_is_refused():
    with pytest.raises(ValueError, match="no vjp for b: give a rule, or None"):
        check_op(tried(lambda a, b: a * b, lambda g, y, a, b: g * b, samples=[arrays((2,), (2,))]))


@pytest.mark.parametrize("count", [1, 3])
def test_a_joint_rule_that_returns_another_number_of_gradients(registry, count):
    added = op(
        "added",
        lambda *xs: xs[0] + xs[1],
        joint=lambda g, y, *xs: [g] * count,
        samples=[arrays((2,), (2,))],
    )
    with pytest.raises(
        ValueError, match=f"the vjp of added.*it returned {count} gradients for 2 inputs"
    ):
        added(Tensor([1.0, 2.0], True), Tensor([3.0, 4.0], True)).sum().backward()


PARAMETERS = {"w": Tensor([1.0, 2.0], requires_grad=True), "b": Tensor(1.0, requires_grad=True)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (PARAMETERS, r"in a dict, .* check_gradients\(fn, \*p\.values\(\)\)"),
        (PARAMETERS.values(), r"in a dict_values, .* check_gradients\(fn, \*p\.values\(\)\)"),
        ([*PARAMETERS.values()], r"in a list, .* check_gradients\(fn, \*tensors\)"),
        ((*PARAMETERS.values(),), r"in a tuple, .* check_gradients\(fn, \*tensors\)"),
    ],
)
def test_inputs_are_handed_over_one_by_one(given, words):
    with pytest.raises(TypeError, match=words):
        check_gradients(lambda p: p, given)


def test_the_function_is_wanted_and_not_its_result():
    w, b = PARAMETERS.values()
    with pytest.raises(TypeError, match="takes the function, not its result, a Tensor"):
        check_gradients(np.sum(w * b), w, b)


def test_a_model_of_a_dict_as_the_message_says():
    def loss(p):
        return np.sum(np.square(p["w"]) * p["b"])

    check_gradients(lambda *tensors: loss(dict(zip(PARAMETERS, tensors))), *PARAMETERS.values())


def test_an_error_of_the_forward_is_said_with_its_sample():
    """In a sentence that reads on: the op, the sample, what it was given, what NumPy says."""
    halves = op(
        "halves",
        lambda x, axis=0: np.sum(np.reshape(x, (2, -1)), axis=axis),
        lambda g, y, x, axis=0: g * np.ones_like(x),
        samples=[sample_of([1.0, 2.0, 3.0], axis=0)],
    )
    said = r"^halves, sample 0, on \(3,\) float64, axis=0: ValueError: cannot reshape"
    with pytest.raises(GradientError, match=said):
        check_op(halves)
