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


def every(workload: Workload) -> bool:
    return True


def printed_in_books(workload: Workload) -> bool:
    return workload.book is not None


def an_lstm(workload: Workload) -> bool:
    return workload.kind == "lstm"


def plain(workload: Workload) -> bool:
    """Fully connected layers in float64, with SGD."""
    return workload.kind == "mlp" and workload.dtype.itemsize == 8 and not workload.adam


class Column(NamedTuple):
    """Who it is, how it is made, which module it needs, and for which workloads it is."""

    name: str
    title: str
    make: Callable[[Workload], Contender]
    needs: str = ""
    only: Callable[[Workload], bool] = every
    peer: bool = False
    in_table: bool = False

    @property
    def installed(self) -> bool:
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def torch(name: str, title: str, make: Callable, **other: object) -> Column:
    return Column(name, title, make, "torch", peer=True, **other)


def jax(name: str, title: str, make: Callable, **other: object) -> Column:
    return Column(name, title, make, "jax", peer=True, **other)


COLUMNS = (
    Column(CLEAN, "clean NumPy", ours.clean, in_table=True),
    Column("book", "as books print it", ours.book, only=printed_in_books),
    Column("eager", "eager", ours.eager, in_table=True),
    Column("calls", "NumPy calls", partial(ours.step, backend="numpy")),
    Column("step", "step", partial(ours.step, backend="numba"), "numba", in_table=True),
    Column("epoch", "epoch", partial(ours.epoch, backend="numba"), "numba", in_table=True),
    Column("in-jax", "epoch in jax", partial(ours.epoch, backend="jax"), "jax"),
    torch("torch", "torch", peers.torch_eager, in_table=True),
    torch("torch-compile", "torch.compile", peers.torch_compiled, in_table=True),
    torch("torch-lstm", "torch.lstm", peers.torch_lstm_in_one, only=an_lstm),
    jax("jax-jit", "JAX jit", peers.jax_jit, in_table=True),
    jax("jax-unrolled", "JAX jit, unrolled", peers.jax_unrolled, only=an_lstm),
    jax("jax-scan", "JAX scan", peers.jax_scan, in_table=True),
    Column("mygrad", "MyGrad", peers.mygrad_eager, "mygrad", plain, peer=True),
    Column("autograd", "autograd", peers.hips_autograd, "autograd", plain, peer=True),
)
BY_NAME = {column.name: column for column in COLUMNS}


def taking_part(workload: Workload, names: Collection[str]) -> list[Column]:
    """Those of these names that are for this workload and installed, behind the clean step."""
    asked = {CLEAN, *names}
    return [c for c in COLUMNS if c.name in asked and c.only(workload) and c.installed]
