"""The columns of the tables: who takes part, one line each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import ours
import peers
from contender import Contender
from workloads import Workload

CLEAN = "clean"  # beside which all others are seen


class Column(NamedTuple):
    """Who it is, how it is made, and for which workloads."""

    name: str
    title: str
    make: Callable[[Workload], Contender]
    needs: str = ""  # a module
    kinds: Collection[str] = ()  # of workloads; all, where none is said
    plain: bool = False  # float64 and SGD alone
    peer: bool = False
    readme: bool = False

    def takes_part(self, workload: Workload) -> bool:
        if self.kinds and workload.kind not in self.kinds:
            return False
        if self.plain and (workload.adam or workload.dtype.itemsize < 8):
            return False
        if self.name == "book":
            return workload.book is not None
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def torch(name: str, title: str, make: Callable, **other: object) -> Column:
    return Column(name, title, make, "torch", peer=True, **other)


def jax(name: str, title: str, make: Callable, **other: object) -> Column:
    return Column(name, title, make, "jax", peer=True, **other)


COLUMNS = (
    Column(CLEAN, "clean NumPy", ours.clean, readme=True),
    Column("book", "as books print it", ours.book),
    Column("eager", "eager", ours.eager, readme=True),
    Column("calls", "NumPy calls", partial(ours.step, backend="numpy")),
    Column("step", "step", partial(ours.step, backend="numba"), "numba", readme=True),
    Column("epoch", "epoch", partial(ours.epoch, backend="numba"), "numba", readme=True),
    torch("torch", "torch", peers.torch_eager, readme=True),
    torch("torch-compile", "torch.compile", peers.torch_compiled, readme=True),
    torch("torch-lstm", "torch.lstm", peers.torch_lstm_in_one, kinds=("lstm",)),
    jax("jax-jit", "JAX jit", peers.jax_jit, readme=True),
    jax("jax-unrolled", "JAX jit, unrolled", peers.jax_unrolled, kinds=("lstm",)),
    jax("jax-scan", "JAX scan", peers.jax_scan, readme=True),
    Column("mygrad", "MyGrad", peers.mygrad_eager, "mygrad", ("mlp",), plain=True, peer=True),
    Column(
        "autograd", "autograd", peers.hips_autograd, "autograd", ("mlp",), plain=True, peer=True
    ),
)
BY_NAME = {column.name: column for column in COLUMNS}


def taking_part(workload: Workload, names: Collection[str] = ()) -> list[Column]:
    """Those of these names, or all, that can do this workload here; the clean step always."""
    asked = {CLEAN, *(names or BY_NAME)}
    return [column for column in COLUMNS if column.name in asked and column.takes_part(workload)]
