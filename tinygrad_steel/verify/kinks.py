"""Conventions at kinks and ties: between its two sides, any slope is as right as the graph's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.values import VALUES, Apply, Constant, Value
from .closeness import matches
from .faults.question import Ended, Question, fitting
from .faults.search import region
from .faults.terms import behind_relu
from .traced_loss import Graph

Arrays = Mapping[Value, np.ndarray]

# What decides on a side, and what it is where the first input is a little larger than the second,
# and a little smaller. A sign compares with 0.
KINKS: dict[Op, tuple[float, float]] = {
    ops.greater: (1, 0),
    ops.greater_equal: (1, 0),
    ops.less: (0, 1),
    ops.less_equal: (0, 1),
    ops.equal: (0, 0),
    ops.sign: (1, -1),
}
PLACES = (ops.argmax, ops.argmin)
MOST = 40  # kinks that are tried alone
WAYS = ("above", "below", "between", ""), ("first", "last", "")  # in which ways all are tried


class Kink(NamedTuple):
    """Where two values are equal in some elements, or several are the largest.

    `options`: what decides there, as others have it, each by a word for it.
    """

    text: str
    options: Mapping[str, Arrays]


class Slope(NamedTuple):
    """Other slopes that make a gradient right: the kinks, and the gradients as they are then."""

    text: str
    values: Arrays


# The kinks of a graph


def kinks_of(graph: Graph) -> tuple[Kink, ...]:
    """The kinks at which something lies exactly, through which a gradient flows."""
    found = (*between_sides(graph), *among_equals(graph))
    return tuple(kink for kink in found if not is_jump(graph, kink))


def between_sides(graph: Graph) -> Iterator[Kink]:
    """Where two values are equal that are compared."""
    shared = {f.inputs[0].inputs[0] for f in applied(graph) if is_share(f)}
    groups: dict[tuple[Any, Any], dict[Apply, bool]] = {}
    for f in applied(graph):
        if f.op in KINKS and f not in shared and f not in graph.late:
            a, b = compared(f)
            turned = (b, a) in groups
            groups.setdefault((b, a) if turned else (a, b), {})[f] = turned
    for (a, b), deciding in groups.items():
        tie = np.equal(graph.now(a), graph.now(b))
        if np.any(tie) and any(x in graph.gradient_of for x in (a, b)):
            options: dict[str, Arrays] = {
                word: {f: at_ties(graph, f, tie, side, turned) for f, turned in deciding.items()}
                for word, side in (("above", 1.0), ("below", 0.0), ("between", 0.5))
            }
            yield Kink(f"{graph.text(a)} == {graph.text(b)}", options)


def applied(graph: Graph) -> list[Apply]:
    """The results of ops, inputs first."""
    return [f for f in graph.values if isinstance(f, Apply)]


def compared(f: Apply) -> tuple[Any, Any]:
    """The two values on which it depends what `f` is; of a slope sign(relu(z)), which people write
    as z > 0, `z` and 0.
    """
    if f.op is not ops.sign:
        return number_or_value(f.inputs[0]), number_or_value(f.inputs[1])
    return behind_relu(f) or f.inputs[0], 0.0


def number_or_value(x: Any) -> Any:
    """A value, or the number that it always is."""
    if isinstance(x, Constant) and not x.shape:
        return float(x.data)
    return x if isinstance(x, VALUES) else float(x)


def at_ties(graph: Graph, f: Apply, tie: np.ndarray, above: float, turned: bool) -> np.ndarray:
    """What decides, where at ties it is so much what it is above, and else what it is below."""
    larger, smaller = KINKS[f.op]
    if behind_relu(f):
        smaller = 0
    share = 1 - above if turned else above
    own, there = graph.numbers[f], share * larger + (1 - share) * smaller
    found = np.where(tie, there, own)
    if there in (0, 1) or own.dtype != bool:
        return found.astype(own.dtype)
    return found.astype(next(x.dtype for x in f.inputs if isinstance(x, VALUES)))


def among_equals(graph: Graph) -> Iterator[Kink]:
    """Where several elements are the largest, or the smallest."""
    for f in applied(graph):
        own, options = graph.numbers[f], dict(zip(("first", "last"), ends_of(graph, f)))
        others: dict[str, Arrays] = {
            word: {f: array} for word, array in options.items() if np.any(array != own)
        }
        z = f.inputs[0] if f.op in PLACES else f.inputs[0].inputs[0].inputs[0] if others else None
        if z in graph.gradient_of and others:
            yield Kink(f"ties in {graph.text(z)}", others)


def ends_of(graph: Graph, f: Apply) -> list[np.ndarray]:
    """What decides on extremes where the first one, and the last, stands for all that are equal."""
    if f.op in PLACES:
        x, axis = graph.now(f.inputs[0]), f.params.get("axis")
        x = x if f.op is ops.argmax else -x
        return [end_of(x, axis, is_last) for is_last in (False, True)]
    return [alone(graph, f, is_last) for is_last in (False, True)] if is_share(f) else []


def is_share(f: Apply) -> bool:
    """Whether it says how much of a gradient each extreme has: ties share it evenly."""
    if f.op is not ops.divide or not isinstance(f.inputs[0], Apply):
        return False
    hit = f.inputs[0]
    return hit.op is ops.logical_or and hit.inputs[0].op is ops.equal


def alone(graph: Graph, f: Apply, is_last: bool) -> np.ndarray:
    """How much each extreme has of a gradient that one of them has for itself."""
    count = f.inputs[1]
    while count.op is not ops.sum:
        (count,) = count.inputs
    hit, axis = graph.numbers[f.inputs[0]], count.params.get("axis")
    axes = tuple(range(hit.ndim)) if axis is None else tuple(np.atleast_1d(axis))
    ends = tuple(range(-len(axes), 0))
    rows = np.moveaxis(hit, axes, ends)
    flat = rows.reshape(*rows.shape[: rows.ndim - len(axes)], -1)
    place = end_of(flat, -1, is_last)
    found = np.arange(flat.shape[-1]) == np.expand_dims(place, -1)
    return np.asarray(np.moveaxis(found.reshape(rows.shape), ends, axes), f.dtype)


def end_of(x: np.ndarray, axis: int | None, is_last: bool) -> np.ndarray:
    """Where the largest element is, the first or the last of equal ones."""
    if not is_last:
        return np.asarray(np.argmax(x, axis))
    length = x.size if axis is None else x.shape[axis]
    return np.asarray(length - 1 - np.argmax(np.flip(x, axis), axis))


def is_jump(graph: Graph, kink: Kink) -> bool:
    """Whether the loss is another one beside it: then the slopes of both sides are no convention."""
    loss = graph.owner_of[graph.start]
    for arrays in kink.options.values():
        found = dict(arrays)
        if not graph.forward.keys() & found.keys():
            continue
        for x in graph.forward:
            if x not in found and any(i in found for i in x.values()):
                found[x] = graph.computed(x, found)
        if loss in found and not matches(found[loss], graph.numbers[loss]):
            return True
    return False


# Which of them explain a gradient


def other_slope(
    question: Question, kinks: tuple[Kink, ...], is_right: Callable[[np.ndarray], bool]
) -> Slope | None:
    """The kinks at which other slopes make a gradient right: one of them, or all in the same way."""
    try:
        return first_right(question, kinks, is_right)
    except Ended:
        return None


def first_right(
    question: Question, kinks: tuple[Kink, ...], is_right: Callable[[np.ndarray], bool]
) -> Slope | None:
    """The same; Ended where it costs too much."""
    path = way_to(question)
    asked, expected = question.asked, question.expected
    at_work: list[Kink] = []
    for kink in kinks[-MOST:]:
        for arrays in kink.options.values():
            found = fitting(partial(question.replay, arrays, path)) or {}
            if asked in found and not np.array_equal(found[asked], expected):
                at_work += [] if kink in at_work else [kink]
                if is_right(found[asked]):
                    return slope([kink], found, question.graph)
    for words in product(*WAYS) if len(at_work) > 1 else ():
        together = [
            kink.options[word] for kink in at_work for word in words if word in kink.options
        ]
        arrays = {f: array for option in together for f, array in option.items()}
        found = fitting(partial(question.replay, arrays, path)) or {}
        if asked in found and is_right(found[asked]):
            return slope(at_work, found, question.graph)
    return None


def slope(kinks: list[Kink], found: Arrays, graph: Graph) -> Slope:
    """What is to be said of these kinks, and the gradients that follow."""
    texts = dict.fromkeys(kink.text for kink in kinks)
    return Slope(" and ".join(texts), {x: v for x, v in found.items() if x in graph.late})


def way_to(question: Question) -> list[Value]:
    """What is computed for a gradient from those before it and from the forward, inputs first."""
    graph = question.graph
    _, path = region(question)
    others = {*graph.late, *graph.forward} - {*path}
    return [x for x in graph.values if x not in others]
