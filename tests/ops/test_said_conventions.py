"""What the docstrings of ops say of kinks, jumps, infinities and NaN, in numbers: of each sentence a row."""

import numpy as np
import pytest

from tinygrad_steel import Tensor, grad, log_softmax, logsumexp, relu, softmax

inf, nan = np.inf, np.nan

# A function, its inputs, its result, and the slopes in each input; all from the definitions.
SAID = {
    "power: a ** 0 is flat everywhere": (lambda a: a**0, [[0, inf, nan]], [1, 1, 1], [[0, 0, 0]]),
    "power: at 0, of a ** 1 and a ** 2": (
        lambda a: a ** np.array([1.0, 2.0]),
        [[0, 0]],
        [0, 0],
        [[1, 0]],
    ),
    "power: 0 ** b is flat for b >= 0": (
        np.power,
        [[0, 0], [0, 2]],
        [1, 0],
        [[0, 0], [0, 0]],
    ),
    "power: below 0 none in b": (np.power, [[-2], [3]], [-8], [[12], [nan]]),
    "logaddexp: the same infinity shares": (
        np.logaddexp,
        [[inf, -inf], [inf, -inf]],
        [inf, -inf],
        [[0.5, 0.5], [0.5, 0.5]],
    ),
    "arctan2: at (0, 0)": (np.arctan2, [[0], [0]], [0], [[0], [0]]),
    "hypot: at (0, 0)": (np.hypot, [[0], [0]], [0], [[0], [0]]),
    "maximum: ties and NaN": (
        np.maximum,
        [[1, nan, 2], [1, 1, nan]],
        [1, nan, nan],
        [[0.5, nan, nan], [0.5, nan, nan]],
    ),
    "fmax: a number takes all from NaN": (
        np.fmax,
        [[1, nan, 2], [1, 1, nan]],
        [1, 1, 2],
        [[0.5, 0, 1], [0.5, 1, 0]],
    ),
    "fmin: a number takes all from NaN": (
        np.fmin,
        [[1, nan, 2], [1, 1, nan]],
        [1, 1, 2],
        [[0.5, 0, 1], [0.5, 1, 0]],
    ),
    "nan_to_num: numbers with slope 0": (
        np.nan_to_num,
        [[nan, 3]],
        [0, 3],
        [[0, 1]],
    ),
    "where: NaN that is not taken leaves no trace": (
        lambda a, b: np.where(np.array([True, False]), a, b),
        [[1, nan], [nan, 2]],
        [1, 2],
        [[1, 0], [0, 1]],
    ),
    "clip: 1 on a bound": (lambda a: np.clip(a, -1, 1), [[-1, 1, 2]], [-1, 1, 1], [[1, 1, 0]]),
    "floor: a whole number stays": (np.floor, [[2, 2.5, -2.5]], [2, 2, -3], [[0, 0, 0]]),
    "ceil: a whole number stays": (np.ceil, [[2, 2.5, -2.5]], [2, 3, -2], [[0, 0, 0]]),
    "trunc: what stands before the point": (np.trunc, [[2, 2.5, -2.5]], [2, 2, -2], [[0, 0, 0]]),
    "remainder: minus how many, a / b where it fits": (
        np.remainder,
        [[4, 4, -4, -4, 5, -5], [2, -2, 2, -2, 2, 2]],
        [0, 0, 0, 0, 1, 1],
        [[1] * 6, [-2, 2, 2, -2, -2, 3]],
    ),
    "fmod: minus how many, towards 0": (
        np.fmod,
        [[4, 4, 5, -5], [2, -2, 2, 2]],
        [0, 0, 1, -1],
        [[1] * 4, [-2, 2, -2, 2]],
    ),
    "heaviside: b matters at 0 alone": (
        np.heaviside,
        [[-1, 0, 1], [0.3, 0.3, 0.3]],
        [0, 0.3, 1],
        [[0, 0, 0], [0, 1, 0]],
    ),
    "copysign: a kink at 0": (np.copysign, [[0, 3], [1, -1]], [0, -3], [[0, -1], [0, 0]]),
    "relu: flat at 0, NaN stays": (relu, [[0, nan, -1, 2]], [0, nan, 0, 2], [[0, nan, 0, 1]]),
    "logsumexp: of -inf alone": (logsumexp, [[-inf, -inf]], -inf, [[0.5, 0.5]]),
    "logsumexp: infinities share": (logsumexp, [[inf, 1, inf]], inf, [[0.5, 0, 0.5]]),
    "softmax: none of -inf alone": (softmax, [[-inf, -inf]], [nan, nan], [[nan, nan]]),
    "log_softmax: none with inf": (log_softmax, [[inf, 1]], [nan, nan], [[nan, nan]]),
    "max: ties share": (np.max, [[1, 2, 2]], 2, [[0, 0.5, 0.5]]),
    "max: NaN is the largest": (np.max, [[1, nan, 2]], nan, [[0, nan, 0]]),
    "std: equal elements": (np.std, [[2, 2, 2]], 0, [[0, 0, 0]]),
    "norm: at 0": (np.linalg.norm, [[0, 0]], 0, [[0, 0]]),
    "prod: exact with a 0": (np.prod, [[0, 2, 3]], 0, [[6, 0, 0]]),
    "cumprod: exact with a 0": (np.cumprod, [[0, 2, 3]], [0, 0, 0], [[9, 0, 0]]),
}


@pytest.mark.parametrize("case", SAID)
def test_an_op_does_what_its_docstring_says(case):
    function, inputs, result, slopes = SAID[case]
    xs = [Tensor(np.array(x, float), requires_grad=True) for x in inputs]
    with np.errstate(all="ignore"):
        y = function(*xs)
        np.testing.assert_array_equal(y.data, result)
        y.backward(np.ones(y.shape))
        traced = grad(function(*xs), xs, np.ones(y.shape))
    for x, g, slope in zip(xs, traced, slopes, strict=True):
        np.testing.assert_allclose(x.grad, slope, rtol=1e-15)
        np.testing.assert_allclose(g.data, slope, rtol=1e-15)


# Of SciPy's: a, b, the result, the slope in a.
SPECIAL = {
    "rel_entr: infinite where a is 0": ("rel_entr", 0, 2, 0, -inf),
    "rel_entr: none where both are 0": ("rel_entr", 0, 0, 0, nan),
    "xlogy: infinite where both are 0": ("xlogy", 0, 0, 0, -inf),
    "xlogy: the logarithm where a is 0": ("xlogy", 0, 1, 0, 0),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_an_op_of_scipy_does_what_its_docstring_says(case):
    special = pytest.importorskip("scipy.special")
    name, a, b, result, slope = SPECIAL[case]
    x = Tensor(float(a), requires_grad=True)
    with np.errstate(all="ignore"):
        y = getattr(special, name)(x, np.float64(b))
        y.backward()
    np.testing.assert_array_equal([y.item(), x.grad], [result, slope])


@pytest.mark.parametrize("a", [4.0, -4.0])
@pytest.mark.parametrize("b", [2.0, -2.0])
def test_at_its_jump_remainder_has_the_slope_of_one_side(a, b):
    """A difference towards where b fits as often, a moved a little in the direction of b."""
    x = Tensor(b, requires_grad=True)
    np.remainder(a, x).backward()
    near, step = a + np.sign(b) * 1e-4, 1e-6
    slope = (np.remainder(near, b + step) - np.remainder(near, b - step)) / (2 * step)
    assert x.grad == pytest.approx(slope, abs=1e-8) == -a / b
