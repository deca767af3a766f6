"""The rows of the tables: what is timed, by name, and which rows stand where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from networks import autoencoder, cnn, lstm
from workloads import Workload, abalone, mlp, steel

WIDTHS, BATCHES, DEPTHS = (4, 8, 16, 64, 256, 1024), (1, 10, 100, 1000, 4096), (1, 2, 4, 8, 16)
# How cost grows with one of three sizes: the plot
SWEEPS: dict[str, dict[int, Callable[[], Workload]]] = {
    "width": {n: partial(mlp, (27, n, n, 7)) for n in WIDTHS},
    "batch": {n: partial(mlp, (27, 32, 32, 7), n) for n in BATCHES},
    "depth": {n: partial(mlp, (27, *[16] * n, 7)) for n in DEPTHS},
}
SWEPT = {f"{sweep}{n}": make for sweep, made in SWEEPS.items() for n, make in made.items()}


def large() -> Workload:
    """784-512-512-10, batch 512."""
    return mlp((784, 512, 512, 10), 512)


IN_FLOAT32 = {
    name: SWEPT.get(name, large) for name in ("width64", "width256", "batch1000", "large")
}
BY_ADAM = {
    "width64": partial(mlp, (27, 64, 64, 7), adam=True),
    "width256": partial(mlp, (27, 256, 256, 7), adam=True),
    "batch100": partial(mlp, (27, 32, 32, 7), 100, adam=True),
}

ROWS: dict[str, Callable[[], Workload]] = {
    "steel": steel,
    "abalone": abalone,
    "mlp": partial(mlp, (27, 12, 6, 4, 7)),
    "good": partial(mlp, (27, 64, 32, 7), adam=True),
    **SWEPT,
    "large": large,
    **{
        f"{name}-float32": lambda make=make: make().in_float32()
        for name, make in IN_FLOAT32.items()
    },
    **{f"{name}-adam": make for name, make in BY_ADAM.items()},
    "cnn": cnn,
    "lstm": lstm,
    "autoencoder": autoencoder,
}

# A look at what computes differently: both losses, both dtypes, both updates, what compiles within seconds
QUICK = ("steel", "abalone", "width64-float32", "good", "autoencoder")

# What the tables show, and what a row is called there
TABLE: dict[str, str] = {
    "steel": "steel",
    "abalone": "abalone",
    "mlp": "mlp [12, 6, 4]",
    "width64": "[27, 64, 64, 7]",
    "width256": "[27, 256, 256, 7]",
    "width1024": "[27, 1024, 1024, 7]",
    **{f"batch{n}": f"[27, 32, 32, 7], batch {n}" for n in BATCHES},
    "good": "[27, 64, 32, 7], Adam",
    "large": "[784, 512, 512, 10], batch 512",
    "cnn": "CNN",
    "lstm": "LSTM",
    "autoencoder": "autoencoder",
}
# The rows and columns of the short table, on the project's first page
SHORT = ("steel", "mlp", "width64", "batch100", "large", "cnn", "lstm")
SHORT_COLUMNS = ("eager", "step", "epoch", "torch", "jax-jit", "jax-scan")
# With all cores: where there is something to share
ALL_CORES = (
    "width64",
    "width256",
    "width1024",
    "batch100",
    "batch1000",
    "batch4096",
    "large",
    "cnn",
)
