"""The numba back end without a compiler, for tests of what loops read and write."""

import sys
import types

import numpy as np
import pytest

from tinygrad_steel.compiled import kernels_plain

ELEMENTARY = ("exp", "expm1", "log", "log1p", "logaddexp", "tanh")
KERNELS = ("affine", "affine_relu", "product", "product_relu_vjp")


@pytest.fixture
def uncompiled(monkeypatch, tmp_path):
    """The numba back end without a compiler: its loops, run by Python. Slow for large arrays, but at once there."""
    numba = types.ModuleType("numba")
    # Machine code warns of nothing
    numba.njit = lambda *signature, **options: np.errstate(all="ignore")
    numba.__version__ = "none"
    numba.core = types.SimpleNamespace(errors=types.SimpleNamespace(NumbaError=ArithmeticError))
    functions = {name: getattr(np, name) for name in ELEMENTARY}
    folds = {f"{name}_of": of_places(getattr(np, name)) for name in ("sum", "max", "min")}
    kernels = {name: in_places(getattr(kernels_plain, name)) for name in KERNELS}
    own_files = {
        "elementary": functions,
        "elementary_folds": folds,
        "kernels": kernels,
        "pipeline": {"Pipeline": None},
    }
    for file, own in own_files.items():
        module = types.ModuleType(f"tinygrad_steel.compiled.{file}")
        vars(module).update(own)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "numba", numba)
    monkeypatch.setenv("TINYGRAD_STEEL_CACHE", str(tmp_path))


def of_places(fold):
    """A reduction of `count` elements from a place on."""
    return lambda m, first, count: fold(m[first : first + count])


def in_places(kernel):
    """A kernel in NumPy that takes `(m, first)` for each array, as those in machine code do."""

    def shown(x):
        return x[0][x[1] :] if isinstance(x, tuple) and isinstance(x[0], np.ndarray) else x

    return lambda *given: kernel(*map(shown, given))
