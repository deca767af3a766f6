"""Which arrays have a row for each row of a mini-batch, though they are no part of the batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..engine.messages import describe_call
from ..engine.tensor import Tensor
from ..ops.op import describe
from ..program.ancestors import ancestors
from ..program.draws import is_random

# What NumPy, and checks in somebody's forward, say of arrays that do not fit.
MISFIT = (ValueError, LookupError, TypeError, ArithmeticError, AssertionError)

REMEDY = (
    "every batch would be given these rows. Put it into batch=, as a Tensor with a name, and give "
    "the rows of all "
    "batches; or train step by step, with compile_backprop"
)


def check_rows(roots: Sequence[Tensor], batch: Sequence[Tensor]) -> None:
    """ValueError where an array outside of the batch is used row by row with it, like a batch.

    Everything is computed for a batch with one row more. What does not work then, but does when a
    constant (or data that is no part of the batch) has a row more as well, takes the two row by
    row. A weight matrix that happens to be as long as the batch works as it is. Row numbers of the
    batch itself, as in `x[np.arange(10), y]`, go up by one. What works in neither way is refused as
    well, if there is an array from outside in it: it may hold rows in another shape. Where an
    expression needs its number of rows, as `x.reshape(2, 2, 2)` does, this is said of what follows
    only if the array can be divided by rows. Parameters may belong to the places in a batch; and
    with batches of one row, one row for each cannot be told from one for all.
    """
    rows = batch[0].shape[0]
    longer: dict[Tensor, Any] = {t: np.concatenate([t.data, t.data[:1]]) for t in batch}
    for t in ancestors(roots):
        tensors = [x for x in t.inputs if isinstance(x, Tensor)]
        if t not in longer and any(x in longer for x in tensors):
            longer[t] = one_row_more(t, longer, rows)
    check_numbered_rows(roots, longer, rows)


def one_row_more(t: Tensor, longer: Mapping[Tensor, Any], rows: int) -> Any:
    """What a Tensor is when the batch has one row more; None where it cannot be known."""
    inputs = [longer.get(x, x.data) if isinstance(x, Tensor) else x for x in t.inputs]
    outside = [isinstance(x, Tensor) and x not in longer for x in t.inputs]
    if all(x is not None for x in inputs):
        return drawn(t, inputs, rows) if is_random(t) else with_more_rows(t, inputs, outside, rows)
    for x in itertools.compress(t.inputs, outside):
        divided = (leaf for leaf in data_behind(x) if leaf.data.size % rows == 0)
        refuse_misfit(t, next(divided, None))
    return None


def drawn(t: Tensor, inputs: list[Any], rows: int) -> np.ndarray:
    """What stands for random numbers, as nothing is drawn to find out."""
    if t.op is not None and t.op.draws:
        return np.resize(t.data, np.shape(inputs[0]))
    per_row = t.shape[:1] == (rows,)
    return np.resize(t.data, (rows + 1, *t.shape[1:])) if per_row else t.data


def with_more_rows(t: Tensor, inputs: list[Any], outside: list[bool], rows: int) -> Any:
    """The result for these inputs, None where it cannot be known; ValueError where an array from
    outside misfits.
    """
    if t.op is ops.getitem and len(inputs) > 1 and outside[1] and picks_rows(t, inputs, rows):
        one_more = np.full_like(inputs[1][:1], rows)
        inputs = [inputs[0], np.concatenate([inputs[1], one_more]), *inputs[2:]]
        outside = [outside[0], False, *outside[2:]]
    found = attempt(t, inputs, t.params)
    if found is None:
        found = with_longer_inputs(t, inputs, outside, rows)
    if found is None:
        found = with_a_larger_shape(t, inputs, rows)
    if found is None:
        for x in itertools.compress(t.inputs, outside):
            refuse_misfit(t, next(iter(data_behind(x)), None))
    return found


def with_longer_inputs(t: Tensor, inputs: list[Any], outside: list[bool], rows: int) -> Any:
    """The result where a parameter belongs to the places in a batch; ValueError where it is data,
    row by row.
    """
    found = None
    for i in itertools.compress(range(len(inputs)), outside):
        source = next((leaf for leaf in data_behind(t.inputs[i]) if rows in leaf.shape), None)
        for other in lengthened(inputs[i], rows):
            known = attempt(t, [*inputs[:i], other, *inputs[i + 1 :]], t.params)
            if known is not None and source is not None:
                call = describe_call(t.op, t.inputs, {})
                raise ValueError(
                    f"{describe(source)} has as many rows as the batch, with which {call} takes it "
                    f"row by row: {REMEDY}{one_for_all(source)}"
                )
            found = known if found is None else found
    return found


def one_for_all(source: Tensor) -> str:
    """What to write for a first state that is the same for all rows; nothing for other arrays."""
    if source.name is not None or not source.shape or np.any(source.data != source.data[:1]):
        return ""
    one = (1, *source.shape[1:])
    return f". If all rows are to be the same, as those of a first state, give one alone, {one}"


def with_a_larger_shape(t: Tensor, inputs: list[Any], rows: int) -> Any:
    """The result where a parameter, the shape to be given, has the number of rows in it; None where
    it has not.
    """
    shape: Any = t.params.get("shape")
    if not isinstance(shape, tuple):
        return None
    for i, n in enumerate(shape):
        if n == rows:
            larger = (*shape[:i], rows + 1, *shape[i + 1 :])
            found = attempt(t, inputs, {**t.params, "shape": larger})
            if found is not None:
                return found
    return None


def refuse_misfit(t: Tensor, source: Tensor | None) -> None:
    """ValueError where there is data from outside in something that fits batches of one length
    only.
    """
    if source is not None:
        raise ValueError(
            f"{describe(source)} is no part of the batch, and {describe_call(t.op, t.inputs, {})}, "
            "in which it is "
            f"used, fits batches of this length only, as if it held their rows: {REMEDY}"
        )


def check_numbered_rows(roots: Sequence[Tensor], of_batch: Mapping[Tensor, Any], rows: int) -> None:
    """ValueError where the rows of the batch are taken one by one, and those of data from outside
    are, too.
    """
    taken_of_batch: set[int] = set()
    taken: dict[Tensor, set[int]] = {}  # of data from outside
    for t in ancestors(roots):
        number = row_number(t, rows)
        if number is None:
            continue
        x = t.inputs[0]
        if x in of_batch:
            taken_of_batch.add(number)
        elif x.op is None and not x.requires_grad:
            taken.setdefault(x, set()).add(number)
    for x, numbers in taken.items():
        if len(numbers) == len(taken_of_batch) == rows > 1:
            raise ValueError(
                f"{describe(x)} has as many rows as the batch, and is taken apart row by row as "
                f"the batch is: {REMEDY}"
            )


def row_number(t: Tensor, rows: int) -> int | None:
    """Which row it takes of something with as many rows as the batch; None where it does something
    else.
    """
    if t.op is not ops.getitem or t.inputs[0].shape[:1] != (rows,):
        return None
    index = t.params["index"]
    first = index[0] if isinstance(index, tuple) and index else index
    is_number = isinstance(first, int | np.integer) and not isinstance(first, bool)
    return int(first) % rows if is_number else None


def attempt(t: Tensor, inputs: list[Any], params: dict[str, Any]) -> Any:
    """The op of a Tensor on other arrays; None where these do not fit."""
    op: Any = t.op
    try:
        with np.errstate(all="ignore"):
            y = op.forward(*inputs, **params)
            return np.asarray(y[0] if op.keeps else y)
    except MISFIT:
        return None


def picks_rows(t: Tensor, inputs: list[Any], rows: int) -> bool:
    """Whether the first array of an index holds numbers of the batch's rows, one for each."""
    index = t.params["index"] if isinstance(t.params["index"], tuple) else (t.params["index"],)
    array, numbers = inputs[:2]
    are_numbers = (
        index[0] is ops.HOLE and numbers.dtype.kind in "iu" and numbers.shape[:1] == (rows,)
    )
    return are_numbers and array.shape[:1] == (rows + 1,)


def data_behind(x: Tensor) -> list[Tensor]:
    """The arrays from which a Tensor was computed, without parameters and single numbers."""
    return [t for t in ancestors([x]) if t.op is None and not t.requires_grad and t.data.size > 1]


def lengthened(x: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    """An array with one more row, along each axis that has as many as the batch, and along all of
    these.
    """
    axes = [i for i, n in enumerate(np.shape(x)) if n == rows]
    choices = [[i] for i in axes]
    if len(axes) > 1:
        choices.append(axes)
    for chosen in choices:
        y = x
        for i in chosen:
            y = np.concatenate([y, np.take(y, [0], axis=i)], axis=i)
        yield y
