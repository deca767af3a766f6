"""The conventions that a caller may declare: how all gradients differ from the graph's then."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .. import ops
from ..program.values import Apply, Value
from .closeness import matches
from .faults.factors import plain_numbers
from .faults.roles import batch_axis
from .kept import Applied, Name, listed, spelled
from .traced_loss import Graph

Arrays = Mapping[Value, np.ndarray]


class Convention(NamedTuple):
    """A convention.

    `text`: what it says of all gradients. `factors`: by what they may be multiplied, the likeliest
    first; none where the graph leaves no room for it.
    """

    text: str
    factors: Callable[[Graph], list[float]] = lambda graph: [1.0]


def batch_sizes(graph: Graph) -> list[float]:
    """By what a sum over the batch is more than the mean that the graph has: the batch size, or all
    by which the loss is divided.
    """
    axis = batch_axis(graph)
    rows = next((x.shape[axis] for x in graph.leaves if x.shape and x not in graph.wanted), 1)
    divisors = [*divisors_of_loss(graph, rows)]
    shared = [float(rows)] if any(d % rows == 0 for d in divisors) else []
    return [*dict.fromkeys(n for n in (*shared, *divisors, math.prod(divisors)) if n > 1)]


def divisors_of_loss(graph: Graph, rows: int) -> Iterator[float]:
    """The sizes over which the loss, or a term of it, is a mean at its end, and the numbers by which
    it is divided there that are a multiple of the `rows`.
    """
    todo: list[Value] = [graph.owner_of[graph.start]]
    for y in todo:
        if not isinstance(y, Apply) or y.op not in LAST:
            continue
        todo += [x for x in y.inputs if x in graph.gradient_of and x not in todo]
        numbers = plain_numbers(graph, y.inputs) if y.op in (ops.multiply, ops.divide) else ()
        if y.op is ops.mean:
            yield math.prod(y.inputs[0].shape) / math.prod(y.shape)
        for number in map(abs, numbers):
            d = number if y.op is ops.divide or not number else 1 / number
            if math.isclose(d, round(d), rel_tol=1e-6) and round(d) % rows == 0:
                yield float(round(d))


# The ops at the end of a loss, through which it stays a sum of terms.
LAST = (
    ops.mean,
    ops.sum,
    ops.add,
    ops.subtract,
    ops.negative,
    ops.multiply,
    ops.divide,
    ops.reshape,
)

CONVENTIONS: dict[Name, Convention] = {
    "columns": Convention("samples are columns, and every matrix is the graph's transposed"),
    "sum": Convention(
        "the loss is the sum over the batch, and every gradient {factor:g} times the graph's",
        batch_sizes,
    ),
    "descent": Convention(
        "every gradient has a minus sign: it is added to its parameter", lambda graph: [-1.0]
    ),
    "bias-shape": Convention("a bias and its gradient may have the shapes (n,) and (1, n)"),
}


# What every gradient is that keeps one of these, by the factor that it has.
MEANT: dict[Name, str] = {
    "columns": "transposed",
    "sum": "{:g} times as large",
    "descent": "with a minus sign",
}


def declared(convention: str | Iterable[str] | None) -> tuple[Name, ...]:
    """The conventions that a caller declares, in the order of the table."""
    given = [convention] if isinstance(convention, str) else [*(convention or ())]
    for name in given:
        if name not in CONVENTIONS:
            known = ", ".join(f'"{known}"' for known in CONVENTIONS)
            raise ValueError(
                f"convention={name!r} is not known; there are {known}, or several in a tuple"
            )
    return tuple(name for name in CONVENTIONS if name in given)


def in_conventions(
    graph: Graph, names: tuple[Name, ...], agreeing: Callable[[Graph], int]
) -> tuple[Graph, float, tuple[Applied, ...]]:
    """The graph with all gradients as these conventions have them, by what they are multiplied, and
    what is to be said of it.

    `agreeing`: how many gradients of somebody's chain are right then; it decides where there are
    several ways.
    """
    options = [CONVENTIONS[name].factors(graph) for name in names]
    if not all(options):
        raise ValueError(
            'convention="sum": the loss of this graph is no mean over a batch, so its gradients are '
            "those of the sum as they are"
        )
    ways = [*itertools.product(*options)]
    graphs = [times(graph, math.prod(factors), names) for factors in ways]
    best = max(range(len(ways)), key=lambda i: agreeing(graphs[i])) if len(ways) > 1 else 0
    texts = tuple(
        Applied(name, f"{CONVENTIONS[name].text.format(factor=factor)} (as declared)")
        for name, factor in zip(names, ways[best])
        if name != "bias-shape"  # which is said where a gradient needs it
    )
    return graphs[best], math.prod(ways[best]), texts


def kept_throughout(graph: Graph, handed: Arrays) -> str:
    """What to declare where all gradients are wrong in the same way, and right by a convention.

    Of less than two leaves this says nothing, and of a mean that is missing the reason says enough.
    """
    of_leaves = {graph.gradient_of[x] for x in graph.wanted if x in graph.gradient_of}
    large = [g for g, array in handed.items() if array.size > 1 and g in of_leaves]
    kinds = [name for name in CONVENTIONS if name != "bias-shape"]
    several = (c for k in (1, 2, 3) for c in itertools.combinations(kinds, k))
    for names in (c for c in several if len(large) > 1 and c != ("sum",)):
        turns = "columns" in names
        arrays = {g: turned_back(a, g.shape) if turns else a for g, a in handed.items()}
        for factors in itertools.product(*(CONVENTIONS[name].factors(graph) for name in names)):
            factor = math.prod(factors)
            if all(matches(array, factor * graph.numbers[g]) for g, array in arrays.items()):
                meant = listed(MEANT[name].format(f) for name, f in zip(names, factors))
                said = f"if that is meant, say convention={spelled(names)}"
                return f"every gradient is the graph's {meant}; {said}"
    return ""


def times(graph: Graph, factor: float, names: tuple[str, ...] = ()) -> Graph:
    """The graph with all gradients so many times as large."""
    numbers = dict(graph.numbers)
    start = numbers[graph.start]
    found = {graph.start: np.asarray(factor * start, start.dtype)}
    for x in graph.order if factor != 1 else ():
        found[x] = graph.computed(x, found)
    return dataclasses.replace(
        graph, numbers={**numbers, **found}, declared=names, factor=factor * graph.factor
    )


def as_the_graph(plain: Graph, graph: Graph, g: Value, array: np.ndarray) -> np.ndarray:
    """A gradient in declared conventions as the graph has it in these; `plain`: without them.

    The gradient of one number between the mean and the loss is 1 in any of them.
    """
    array = turned_back(array, g.shape) if "columns" in graph.declared else array
    of_leaf = any(graph.gradient_of.get(x) is g for x in graph.wanted)
    if array.size == 1 and not of_leaf and matches(array, plain.numbers[g]):
        return graph.numbers[g]
    return array


def turned_back(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A matrix of which all samples are columns, as the graph has it."""
    if array.ndim != 2:
        return array
    return array.T.reshape(shape) if array.T.shape == (1, *shape) else array.T
