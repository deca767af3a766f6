"""The back ends by name, and the best there is."""

from __future__ import annotations

import importlib.util

from .engines import Engine, NumPyEngine
from .loops import as_loops
from .lower import TrainingStep
from .memory import NoLoops
from .numba_engine import NumbaEngine

BACKENDS = ("auto", "numba", "numpy")


def engine_for(program: TrainingStep, backend: str, what: str) -> Engine:
    """The engine asked for, or the best there is; `what`: "step" or "epoch"."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if backend == "numpy" or (backend == "auto" and importlib.util.find_spec("numba") is None):
        return NumPyEngine(program)
    try:
        loops = as_loops(program)
        # NumPy is as good where it does the greater part anyway; and for the steps of a sequence,
        # which take much longer to compile
        if backend == "auto" and (len(loops.segments) > 1 or loops.table):
            return NumPyEngine(program)
        return NumbaEngine(program, loops, what)
    except (NoLoops, ImportError):  # numba may be there, but not for this version of NumPy
        if backend == "numba":
            raise
        return NumPyEngine(program)
