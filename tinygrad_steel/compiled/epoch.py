"""`compile_epoch`: training on all rows of a data set, without Python between mini-batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..engine.optim import Optimizer
from ..engine.recording import recording
from ..engine.tensor import Tensor
from ..ops.op import data_of, describe
from ..program.ancestors import ancestors
from ..program.given_names import Names
from .backends import engine_for
from .batches import MISFIT, check_rows
from .engines import NumPyEngine
from .feeds import array_of, fitting
from .lower import training_step
from .shorter import rebuilt
from .step import Compiled, Step


def compile_epoch(
    loss: Tensor,
    batch: Sequence[Tensor],
    parameters: Sequence[Tensor] | None = None,
    *,
    optimizer: Optimizer,
    outputs: Sequence[Tensor] = (),
    names: Names = None,
    backend: str = "auto",
    threads: int | None = None,
) -> Epoch:
    """Compile training on all rows of a data set, mini-batch after mini-batch.

    For each it gathers the rows, computes forward and backward, and moves the parameters.

    Parameters
    ----------
    loss : Tensor
        A loss of one element, computed for one mini-batch.
    batch : sequence of Tensor
        The leaves that hold the mini-batch, its rows along the first axis. What is used row by row
        with it, such as weights of its rows, belongs into `batch` too.
    parameters : sequence of Tensor, optional
        Those of the optimizer, if given.
    optimizer : Optimizer
        What makes a step of the gradients.
    outputs : sequence of Tensor
        Tensors behind the loss whose arrays are wanted of each step.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    backend : {"auto", "numba", "numpy", "jax"}
        What runs it, as for `compile_backprop`.
    threads : int, optional
        How many threads share what is large, as for `compile_backprop`.

    Returns
    -------
    Epoch
        A function of the whole arrays, in the order of `batch`, and of `order=`, the numbers of the
        rows in the order in which they are to be used; left out, from the first to the last. It
        returns the loss of each step, an array; with `outputs` also a list of their arrays, whose
        first axis counts steps.

    Raises
    ------
    TypeError, ValueError
        Where the arguments are not what is said above, where an array outside of the batch is used
        row by row with it, and as `compile_backprop` does. The epoch itself raises ValueError, and
        trains nothing, where the last batch is shorter and the expression does not work for fewer
        rows, as with `x[3]`.
    RuntimeError, ImportError
        As `compile_backprop` does.

    Notes
    -----
    A last, shorter batch is computed from the same expression with fewer rows; numbers that stand in
    it, such as `/ 10`, stay as they are. Its outputs are in `epoch.last_outputs`, not in the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import SGD, Tensor, compile_epoch
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> loss = np.mean(np.square(x @ weight - y))
    >>> optimizer = SGD([weight], 0.1)
    >>> epoch = compile_epoch(loss, batch=(x, y), optimizer=optimizer, backend="numpy")
    >>> xs = np.array([[1.0], [2.0], [0.5], [3.0]])
    >>> epoch(xs, 2 * xs).round(4)
    array([2.5   , 1.1562])
    """
    if (
        not isinstance(optimizer, Optimizer)
        or isinstance(batch, Tensor)
        or isinstance(outputs, Tensor)
    ):
        raise TypeError(
            "compile_epoch takes an optimizer, and lists of Tensors: batch=(x, y), outputs=[output]"
        )
    if parameters is not None and {id(p) for p in parameters} != {
        id(p) for p in optimizer.parameters
    }:
        raise ValueError(
            "the parameters are to be those of the optimizer: leave them out, or make it with them"
        )
    check_batch(batch)
    return Epoch(loss, list(batch), optimizer, list(outputs), names, backend, threads)


def check_batch(batch: Sequence[Tensor]) -> None:
    """ValueError where these are not the leaves of a mini-batch."""
    if not batch or not all(isinstance(t, Tensor) and t.op is None and t.shape for t in batch):
        raise ValueError(
            "batch=(x, y) takes the Tensors that hold the mini-batch, rows along their first axis"
        )
    if any(t.requires_grad for t in batch) or len({*batch}) < len(batch):
        raise ValueError(
            "the Tensors of the batch are data: each once, and none with requires_grad=True"
        )
    check_batch_rows(batch)


def check_batch_rows(batch: Sequence[Tensor]) -> None:
    """ValueError where the Tensors of a mini-batch have different numbers of rows, or none."""
    rows = {t.shape[0] for t in batch}
    if len(rows) > 1:
        found = " and ".join(str(t.shape[0]) for t in batch)
        raise ValueError(f"the batch has {found} rows: they are to be equal")
    if rows == {0}:
        raise ValueError("the batch has no rows: trace the loss with at least one")


class Epoch(Compiled):
    """A compiled epoch, as `compile_epoch` makes it: call it with all rows, and it trains on them.

    Attributes
    ----------
    backend : str
        "numba", "numpy" or "jax".
    source : str
        What runs, as Python; of jax, each step of `jax.lax.scan`.
    threads : int or None
        How many threads share its work: 1 where nothing in it is large, None where BLAS or XLA
        decides.
    compile_seconds : float
        How long it took to compile, or to load from disk, up to now: jax compiles when the epoch is
        first called, and anew for another number of rows.
    last_outputs : list of ndarray
        The outputs of a last, shorter batch of the latest call.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import SGD, Tensor, compile_epoch
    >>> x, w = Tensor([[1.0], [2.0]], name="x"), Tensor([[0.0]], requires_grad=True, name="w")
    >>> loss = np.mean(np.square(x @ w - 1))
    >>> epoch = compile_epoch(loss, [x], optimizer=SGD([w], 0.5), backend="numpy")
    >>> epoch
    <compiled epoch of batches of 2 rows, numpy>
    >>> losses = epoch([[1.0], [1.0], [1.0], [1.0]], order=[3, 2, 1, 0])
    >>> losses.tolist(), w.data.tolist()
    ([1.0, 0.0], [[1.0]])
    """

    def __init__(
        self,
        loss: Tensor,
        batch: list[Tensor],
        optimizer: Optimizer,
        outputs: list[Tensor],
        names: Names,
        backend: str,
        threads: int | None,
    ):
        program = training_step(loss, names, optimizer, outputs, feeds=batch)
        check_rows([loss, *outputs], batch)
        self.used = used_places([loss, *outputs], batch)
        super().__init__(program, engine_for(program, backend, "epoch", threads))
        self.loss, self.batch, self.outputs = loss, batch, outputs
        self.optimizer, self.names = optimizer, names
        self.rows = batch[0].shape[0]
        self.short: dict[int, Step] = {}
        self.last_outputs: list[np.ndarray] = []

    def __call__(self, *arrays: Any, order: Any = None) -> Any:
        """Train on all rows of these arrays, and give the loss of each step; see `compile_epoch`."""
        if len(arrays) != len(self.batch):
            raise TypeError(
                f"the epoch takes {len(self.batch)} arrays, one for each Tensor of the batch; got "
                f"{len(arrays)}"
            )
        arrays = tuple(map(array_of, arrays))
        for t, x in zip(self.batch, arrays):
            check_whole(t, x, len(arrays[0]))
        order = row_numbers(order, len(arrays[0]))
        given = [arrays[i] for i in self.used]
        used = [
            fitting(leaf, x, self.program.called(leaf), rows=True)
            for leaf, x in zip(self.program.feeds, given)
        ]
        for leaf, x in zip(self.program.feeds, used):
            for classes in self.program.classes(leaf):
                ops.check_ids(x[order], classes)
        with self.lock:
            return self._train(used, order)

    def _train(self, used: list[np.ndarray], order: np.ndarray) -> Any:
        """All whole batches of these arrays, then one of the rows that are left."""
        count, rest = divmod(len(order), self.rows)
        whole, left = order[: count * self.rows], order[count * self.rows :]
        self.parameters.before()
        # Now, as nothing is to be trained where it cannot be had
        short = self._short_step(rest) if rest else None
        try:
            losses, outputs = self.engine.epoch(used, whole, count)
        finally:
            if count:
                self.parameters.after()
        self.last_outputs = []
        if short is not None:
            losses = np.append(losses, short(*(x[left] for x in used)))
            self.last_outputs = [np.array(x) for x in short.outputs]
        return (losses, outputs) if self.outputs else losses

    def _short_step(self, rows: int) -> Step:
        """The step for a last batch of so many rows; ValueError where the expression does not work
        for these.
        """
        if rows not in self.short:
            try:
                self.short[rows] = self._step_of(rows)
            except MISFIT as error:
                raise ValueError(
                    f"the last batch has {rows} rows, for which the loss does not work ({error}): "
                    "give an order with a "
                    f"multiple of {self.rows} rows"
                ) from error
        return self.short[rows]

    def _step_of(self, rows: int) -> Step:
        """The step for a batch of so many rows, from the same expression."""
        fewer = {t: Tensor(t.data[:rows], name=t.name) for t in self.batch}
        with recording("all"), np.errstate(all="ignore"):  # also inside no_grad()
            loss, *outputs = rebuilt([self.loss, *self.outputs], fewer)
        feeds = [fewer[self.batch[i]] for i in self.used]
        program = training_step(loss, self.names, self.optimizer, outputs, feeds=feeds)
        return Step(program, NumPyEngine(program))

    def __repr__(self) -> str:
        return f"<compiled epoch of batches of {self.rows} rows, {self.backend}>"


def row_numbers(order: Any, rows: int) -> np.ndarray:
    """`order` as an array for the loops; ValueError where it is none of row numbers."""
    numbers = np.arange(rows) if order is None else np.asarray(data_of(order))
    has_range = numbers.dtype.kind in "iu" and numbers.size > 0
    in_range = has_range and 0 <= numbers.min() <= numbers.max() < rows
    if numbers.ndim != 1 or (numbers.size and not in_range):
        found = f" with {numbers.min()} to {numbers.max()}" if has_range else ""
        raise ValueError(
            f"order is a list of row numbers from 0 to {rows - 1}, not {describe(numbers)}{found}"
        )
    return np.array(numbers, dtype=np.int64)


def used_places(roots: list[Tensor], batch: list[Tensor]) -> list[int]:
    """Which Tensors of the batch the loss depends on; ValueError where that may not have been
    recorded of one.
    """
    behind = {*ancestors(roots)}
    for t in batch:
        if t not in behind and t.name is None:
            raise ValueError(
                f"{describe(t)} of the batch has no part in the loss, or none that was recorded: "
                f"make it with Tensor(..., name=...)"
            )
    return [i for i, t in enumerate(batch) if t in behind]


def check_whole(t: Tensor, x: np.ndarray, rows: int) -> None:
    """ValueError where an array does not hold `rows` rows like those of a Tensor of the batch."""
    if x.shape[1:] != t.shape[1:] or x.ndim != t.ndim or len(x) != rows:
        shape = ", ".join(["rows", *map(str, t.shape[1:])])
        raise ValueError(
            f"{describe(t)} was compiled: give an array ({shape}), as many rows as the others, not "
            f"{x.shape}"
        )
