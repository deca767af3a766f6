"""The ufuncs of scipy.special: proven, written and compiled as ops are, and loaded for those who have SciPy."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import close, leaf, random_like

from tinygrad_steel import (
    Tensor,
    check_op,
    compile_backprop,
    draw,
    grad,
    logsumexp,
    op,
    write_backprop,
)
from tinygrad_steel.ops.op import TWINS

sp = pytest.importorskip("scipy.special")
from tinygrad_steel.ops.special import SPECIAL  # noqa: E402

pytestmark = pytest.mark.usefixtures("registry")
EACH = pytest.mark.parametrize("o", SPECIAL, ids=lambda o: o.name)


def loss_of(o):
    """A weighted sum of squares of what the op makes of its sample, and its parameters."""
    xs = [
        Tensor(x, requires_grad=x.dtype.kind == "f", name=name)
        for x, name in zip(o.samples[0].inputs, "ab")
    ]
    y = o(*xs)
    return np.sum(y * y * random_like(y)), xs


@EACH
@pytest.mark.slow
def test_each_is_proven(o):
    # SciPy makes float64 of a plain number and float32: of its samples alone it is proven.
    check_op(o, o.samples if o.name in ("xlogy", "xlog1py") else None)


@EACH
def test_each_is_found_by_the_name_that_it_has_in_scipy(o):
    *others, x = o.samples[0].inputs
    y = getattr(sp, o.name)(*others, leaf(x))
    assert y.op is o and y.requires_grad
    np.testing.assert_array_equal(y.data, o.forward(*o.samples[0].inputs))


def test_zeta_has_its_slope_in_q():
    """DLMF 25.11.17: that of zeta(s, q) is -s * zeta(s + 1, q); zeta(2, 1) and zeta(4, 1) are known."""
    q = leaf([1.0, 1.0])
    y = sp.zeta(np.array([2.0, 3.0]), q)
    close(y.data[0], np.pi**2 / 6, rtol=1e-12)
    close(grad(y, q, np.ones(2)).data[1], -3 * np.pi**4 / 90, rtol=1e-12)
    with pytest.raises(TypeError, match="_riemann_zeta has no registered op"):
        sp.zeta(q)


@EACH
def test_each_is_written(o):
    loss, xs = loss_of(o)
    source = write_backprop(loss)
    assert source.startswith("import numpy as np\nimport scipy.special\n")
    assert f"scipy.special.{o.name}(" in source
    value, *gradients = source.function()(**source.arguments)
    loss.backward()
    assert value == pytest.approx(loss.item(), rel=1e-12)
    for g, x in zip(gradients, [x for x in xs if x.requires_grad], strict=True):
        close(g, x.grad, rtol=1e-12)


@EACH
def test_each_is_compiled_and_drawn(o):
    loss, xs = loss_of(o)
    parameters = [x for x in xs if x.requires_grad]
    step = compile_backprop(loss, backend="numpy")
    value = step(**{x.name: x.data for x in xs if not x.requires_grad})
    assert value == pytest.approx(loss.item(), rel=1e-12)
    for g, x in zip(grad(loss, parameters), parameters, strict=True):
        close(x.grad, g.data, rtol=1e-12)
    assert o.name in str(draw(loss))


@pytest.mark.parametrize(
    "f, x, expected",
    [
        (sp.expit, [0.0, 800.0, -800.0], [0.25, 0, 0]),
        (sp.logit, [0.5, 0.1], [4, 1 / 0.09]),
        (sp.erf, [0.0, 1.0], [2 / np.sqrt(np.pi), 2 / np.sqrt(np.pi) / np.e]),
        (sp.erfc, [0.0], [-2 / np.sqrt(np.pi)]),
        (sp.ndtr, [0.0], [1 / np.sqrt(2 * np.pi)]),
        (sp.erfinv, [0.0, sp.erf(1.0)], [np.sqrt(np.pi) / 2, np.sqrt(np.pi) / 2 * np.e]),
        (sp.ndtri, [0.5], [np.sqrt(2 * np.pi)]),
        (sp.gamma, [1.0, 3.0], [-np.euler_gamma, 3 - 2 * np.euler_gamma]),
        (lambda x: sp.xlog1py(x, 1.0), [0.0, 3.0], [np.log(2), np.log(2)]),
        (lambda x: sp.xlog1py(2.0, x), [3.0], [0.5]),
        (lambda x: sp.xlog1py(0.0, x), [-1.0, 3.0], [0, 0]),
        (sp.expm1, [0.0, 1.0], [1, np.e]),
        (sp.log1p, [0.0, 1.0], [1, 0.5]),
        (sp.exp2, [0.0, 1.0], [np.log(2), 2 * np.log(2)]),
        (sp.cbrt, [1.0, 8.0], [1 / 3, 1 / 12]),
        (sp.gammaln, [1.0, 2.0], [-np.euler_gamma, 1 - np.euler_gamma]),
        (sp.digamma, [1.0, 2.0], [np.pi**2 / 6, np.pi**2 / 6 - 1]),
        (lambda x: sp.xlogy(x, 2.0), [0.0, 3.0], [np.log(2), np.log(2)]),
        (lambda x: sp.xlogy(2.0, x), [4.0], [0.5]),
        (lambda x: sp.xlogy(0.0, x), [0.0, 4.0], [0, 0]),
        (sp.entr, [1.0, np.exp(-1)], [-1, 0]),
        (lambda x: sp.rel_entr(x, 2.0), [2.0], [1]),
        (lambda x: sp.rel_entr(2.0, x), [4.0], [-0.5]),
    ],
)
def test_slopes_by_analysis(f, x, expected):
    t = leaf(x)
    f(t).backward(np.full(len(x), 3.7))
    close(t.grad, 3.7 * np.array(expected, float), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["expm1", "log1p", "exp2", "cbrt"])
def test_one_op_for_numpys_function_and_scipys(name):
    assert getattr(sp, name)(leaf(0.5)).op is getattr(np, name)(leaf(0.5)).op


def test_trigamma_is_the_slope_of_digamma():
    x = leaf([0.5, 1.0])
    second = grad(grad(sp.gammaln(x), x, np.ones(2)), x, np.ones(2))
    close(second.data, np.array([np.pi**2 / 2, np.pi**2 / 6]), rtol=1e-12)


def test_an_op_of_ones_own_stays_the_twin():
    TWINS.pop(sp.erf)
    own = op("erf", sp.erf, lambda g, y, x: g * 2, samples=[])
    assert sp.erf(leaf(1.0)).op is own
    assert sp.expit(leaf(1.0)).op in SPECIAL


def test_a_ufunc_without_an_op_is_named():
    with pytest.raises(TypeError, match="kv has no registered op"):
        sp.kv(1.0, leaf(1.0))


def test_scipy_is_loaded_by_those_who_use_it():
    code = (
        "import sys, numpy as np, tinygrad_steel as t\n"
        "t.relu(t.Tensor([1.0]))\n"
        "assert not [m for m in sys.modules if m.split('.')[0] == 'scipy']\n"
        "import scipy.special\n"
        "x = t.Tensor([0.0], requires_grad=True)\n"
        "scipy.special.expit(x).backward(np.ones(1))\n"
        "print(x.grad)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "[0.25]\n", run.stderr


def test_logsumexp_is_ours():
    x = np.array([[1000.0, 1000.0], [0.0, 1.0]])
    close(logsumexp(x, axis=1), sp.logsumexp(x, axis=1), rtol=1e-14)
