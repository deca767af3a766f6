"""The back ends by name, and the best there is."""

from __future__ import annotations

import importlib.util

from .engines import Engine, NumPyEngine
from .loops import Loops, as_loops
from .lower import TrainingStep
from .memory import NoLoops
from .numba_engine import NumbaEngine
from .shared_engine import SharedEngine
from .threads import threads_of

BACKENDS = ("auto", "numba", "numpy", "jax")
# What "auto" takes, by `python tests/benchmarks/benchmark.py --choose` and `--fresh`: a step in
# machine code, beside the same by NumPy's calls, and what it takes to compile.
#
#                                            ratio         seconds
#   one function, up to 250 lines            .01 to .98    1 to 6       numba
#   the same, 540 lines (39 steps of LSTM)   .1 to .3      12           numba
#   cut by values that have no loop form     .88 to 1.03   1 to 2       numpy
#
# Seconds grow with the lines, some 20 ms for each.
LONGEST = 600
OWN_THREADS = {"numpy": "its BLAS", "jax": "XLA"}


def engine_for(
    program: TrainingStep, backend: str, what: str, threads: int | None = None
) -> Engine:
    """The engine asked for, or the best there is; `what`: "step" or "epoch"."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    most = threads_of(threads)
    if threads is not None and backend in OWN_THREADS:
        raise ValueError(
            f'threads={threads} is for backend="numba": this is {backend}, and '
            f"{OWN_THREADS[backend]} has threads of its own: leave threads out"
        )
    return best_engine(program, backend, what, most)


def best_engine(program: TrainingStep, backend: str, what: str, threads: int) -> Engine:
    """The engine asked for, or the best there is."""
    if backend == "jax":  # only where it is asked for: it takes long to load
        return jax_engine(program, what)
    if backend == "numpy" or (backend == "auto" and importlib.util.find_spec("numba") is None):
        return NumPyEngine(program)
    try:
        loops = as_loops(program)
        if backend == "auto" and not is_worth_compiling(loops):
            return NumPyEngine(program)
        if threads > 1 and loops.parts:
            return SharedEngine(program, loops, what, threads)
        return NumbaEngine(program, loops, what)
    except (NoLoops, ImportError):  # numba may be there, but not for this version of NumPy
        if backend == "numba":
            raise
        return NumPyEngine(program)


def is_worth_compiling(loops: Loops) -> bool:
    """Whether machine code gains more than the seconds that it takes to compile; see LONGEST."""
    lines = sum(len(part) for part in loops.segments if isinstance(part, list))
    return len(loops.segments) == 1 and lines <= LONGEST


def jax_engine(program: TrainingStep, what: str) -> Engine:
    """The engine in jax; ImportError where jax is missing, or too old."""
    try:
        import jax

        jax.enable_x64  # noqa: B018  # as a context it came with jax 0.8
        from .jax_engine import JaxEngine
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f'backend="jax" needs jax 0.8 or later: pip install "tinygrad_steel[jax]" ({error})'
        ) from error
    return JaxEngine(program, what)
