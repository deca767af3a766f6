"""What `check_op` proves of a forward: nothing in place, nothing used again, true words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..ops.op import Op
from .case import Case, Index, is_float, same
from .errors import not_repeated
from .trial import Trial, next_call


def check_forward(case: Case, op: Op, trial: Trial) -> np.ndarray:
    """The result; raises where the forward writes into its inputs or gives another result.

    Another than before, than after the next call, or than on Tensors.
    """
    copies = [x.copy() for x in case.data]
    given = case.fn(*copies)
    result = np.array(given)
    for i, (x, before) in enumerate(zip(copies, case.data)):
        if not same(x, before):
            raise case.error(
                f"the forward writes into {case.input(i)}: compute a new array instead"
            )
    again = np.array(case.fn(*[x.copy() for x in case.data]))
    if not same(result, again):
        raise case.error(not_repeated(result, again))
    next_call(op, trial)
    if not same(given, result):
        raise case.error(
            "the forward returns an array that its next call overwrites: return a new one"
        )
    y = case.fn(*replace(case, wanted=()).tensors())
    if not same(result, y.data):
        raise case.error(f"on Tensors it gives {y!r:.200}, on arrays {result!r:.200}")
    return result


def check_words(case: Case, op: Op, y: np.ndarray) -> None:
    """Raise where the result depends on other elements than `elementwise` or `rowwise` says."""
    word = "elementwise" if op.elementwise else "rowwise"
    shapes = [x.shape for x in case.data]
    if op.rowwise and case.own and shapes and len(shapes[0]) != 2:
        return
    if not fits(op, shapes, y.shape):
        raise case.error(f"it is not {word}: its result has shape {y.shape}")
    for i, x in enumerate(case.data):
        if not is_float(x):
            continue
        for at in first_and_last(x):
            others = ~depending(op, x.shape, at, y.shape)
            changed = with_another(case, i, at)
            if not np.array_equal(changed[others], y[others], equal_nan=True):
                where = case.element(i, at)
                raise case.error(f"it is not {word}: {where} changes other elements too")


def with_another(case: Case, i: int, at: Index) -> np.ndarray:
    """The result with one element of input `i` a little changed."""
    x = case.data[i].copy()
    x[at] = 1.01 * x[at] + 0.001
    return np.asarray(case.fn(*case.with_input(i, x).data))


def fits(op: Op, shapes: list[tuple[int, ...]], shape: tuple[int, ...]) -> bool:
    """Whether the result has one element for each element, or for each row."""
    if op.elementwise:
        return shape == np.broadcast_shapes(*shapes)
    rows = [s[0] for s in shapes if s]
    return bool(rows) and shape == (rows[0],)


def first_and_last(x: np.ndarray) -> Iterator[Index]:
    """The index of the first element, and of the last one."""
    places = [*np.ndindex(x.shape)]
    yield from places[:: max(1, x.size - 1)]


def depending(op: Op, shape: tuple[int, ...], at: Index, result: tuple[int, ...]) -> np.ndarray:
    """Which elements of the result may depend on the element `at` of an input."""
    touched = np.zeros(shape, dtype=bool)
    if op.elementwise:
        touched[at] = True
        return np.broadcast_to(touched, result)
    touched[at[0]] = True
    rows = touched.reshape(len(touched), -1)
    return np.asarray(np.any(rows, axis=1))
