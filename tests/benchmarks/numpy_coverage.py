"""What of NumPy is followed, side by side: one call of each function that autograd or MyGrad knows.

    python tests/benchmarks/numpy_coverage.py [--all]

A function counts where a library gives NumPy's value, and for what has a gradient, that of central differences.
Libraries that are not installed are left out. With --all there is a line for each function, else for those that
somebody lacks.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import differences
from numpy_calls import DATA, DIFFERENTIABLE, KNOWN, QUESTIONS, lines, listed, names_in

Arrays = Sequence[np.ndarray]
Found = tuple[Any, list[np.ndarray]]  # a value, and gradients


def evaluated(line: str, module: Any, given: dict[str, Any]) -> Any:
    """A call, with the functions of a module."""
    return eval(line, {"np": module, **KNOWN, **given})


def total(y: Any, module: Any = np) -> Any:
    """The sum of the elements, each with another weight."""
    weights = np.cos(np.arange(1.0, 1 + int(np.prod(np.shape(y))))).reshape(np.shape(y))
    found = module.sum(y * weights)
    return found if getattr(found, "dtype", np.dtype(float)).kind == "f" else module.real(found)


def steel(line: str, names: list[str], data: Arrays, smooth: bool) -> Found:
    """By Tensors."""
    from tinygrad_steel import Tensor, grad

    xs = [Tensor(x, requires_grad=True) for x in data]
    y = evaluated(line, np, dict(zip(names, xs)))
    if not smooth:
        return plain(y), []
    return plain(y), [g.data for g in grad(total(y), xs)]


def by_autograd(line: str, names: list[str], data: Arrays, smooth: bool) -> Found:
    """By autograd."""
    import autograd
    import autograd.numpy as anp

    def f(*xs: Any) -> Any:
        return evaluated(line, anp, dict(zip(names, xs)))

    y = f(*data)
    if not smooth:  # traced as well: what refuses a box is not followed
        autograd.grad(lambda *xs: (kept(f(*xs)), anp.sum(xs[0]))[1])(*data)
        return y, []
    places = tuple(range(len(data)))
    return y, [*autograd.grad(lambda *xs: total(f(*xs), anp), places)(*data)]


def kept(y: Any) -> Any:
    """A result that nobody asks for."""
    return y


def by_mygrad(line: str, names: list[str], data: Arrays, smooth: bool) -> Found:
    """By MyGrad, which NumPy's functions find."""
    import mygrad

    xs = [mygrad.tensor(x, constant=not smooth) for x in data]  # as it wants them for questions
    y = evaluated(line, np, dict(zip(names, xs)))
    if not smooth:
        return plain(y), []
    if not isinstance(y, mygrad.Tensor):
        raise TypeError("the history is lost")
    total(y).backward()
    return plain(y), [x.grad if x.grad is not None else np.zeros(x.shape) for x in xs]


def by_jax(line: str, names: list[str], data: Arrays, smooth: bool) -> Found:
    """By JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def f(*xs: Any) -> Any:
        return evaluated(line, jax.numpy, dict(zip(names, xs)))

    xs = [jax.numpy.asarray(x) for x in data]
    if not smooth:
        return f(*xs), []
    places = tuple(range(len(data)))
    return f(*xs), [*jax.grad(lambda *xs: total(f(*xs), jax.numpy), places)(*xs)]


LIBRARIES = {"tinygrad_steel": steel, "autograd": by_autograd, "mygrad": by_mygrad, "jax": by_jax}


def plain(y: Any) -> Any:
    """A result as NumPy has it."""
    if isinstance(y, tuple | list):
        return [plain(x) for x in y]
    return getattr(y, "data", y) if hasattr(y, "requires_grad") or hasattr(y, "creator") else y


def followed(library: Callable[..., Found], line: str, smooth: bool) -> bool:
    """Whether a library gives the right value, and the right gradients."""
    names = names_in(line)
    data = [DATA[n] for n in names]
    try:
        right = evaluated(line, np, dict(zip(names, data)))
        value, gradients = library(line, names, data, smooth)
        same = same_values(value, right)
        return same and all(map(is_slope, gradients, slopes(line, names, data) if smooth else []))
    except Exception:  # whatever a library says of what it cannot do
        return False


def same_values(value: Any, right: Any) -> bool:
    """Whether all results are NumPy's."""
    if isinstance(right, np.dtype):
        return bool(value == right)
    if isinstance(right, tuple | list) and len(right) and np.ndim(right[0]):
        return all(map(same_values, value, right))
    return bool(np.allclose(np.asarray(value, dtype=np.asarray(right).dtype), right, rtol=1e-6))


def slopes(line: str, names: list[str], data: Arrays) -> list[np.ndarray]:
    """The gradients by differences."""
    found = []
    for i, x in enumerate(data):

        def number(z: np.ndarray, i: int = i) -> float:
            moved = [*data[:i], z, *data[i + 1 :]]
            return float(total(evaluated(line, np, dict(zip(names, moved)))).real)

        found.append(differences(number, x))
    return found


def is_slope(gradient: Any, right: np.ndarray) -> bool:
    """Whether a gradient is the one of differences."""
    return bool(np.allclose(np.asarray(gradient), right, rtol=1e-5, atol=1e-6))


def installed() -> dict[str, Callable[..., Found]]:
    """The libraries that are here."""
    found = {}
    for name, library in LIBRARIES.items():
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found[name] = library
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="a line for each function")
    every = parser.parse_args().all
    warnings.simplefilter("ignore")
    libraries = installed()
    table: dict[str, list[bool]] = {}
    print(f"{'':28}" + "".join(f"{name:>16}" for name in libraries))
    for text, smooth in ((DIFFERENTIABLE, True), (QUESTIONS, False)):
        for name, line in lines(text).items():
            table[name] = [followed(library, line, smooth) for library in libraries.values()]
            if every or not all(table[name]):
                print(f"{name:28}" + "".join(f"{'yes' if x else '-':>16}" for x in table[name]))
    print()
    for title in ("autograd", "autograd_questions", "mygrad"):
        names = [n for n in listed(title) if n in table]
        counts = [sum(column) for column in zip(*(table[n] for n in names))]
        print(f"{title + ', ' + str(len(names)):28}" + "".join(f"{n:>16}" for n in counts))


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
