"""Gradients without a divisor that comes with the gradients of the leaves, as in dW = dZ @ A.T / m."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..program.values import Value
from .closeness import constant_factor, matches
from .faults.factors import divisors, is_about
from .faults.roles import counts_of
from .traced_loss import Graph

Arrays = Mapping[Value, np.ndarray]


def usual_factors(graph: Graph) -> set[float]:
    """The numbers by which a whole chain is multiplied most often until its leaves are made."""
    sizes = {*counts_of(graph), *map(abs, divisors(graph))}
    return {1.0} | {float(n) for n in sizes if n > 1}


def natural_factors(graph: Graph) -> set[float]:
    """The same, and those with a factor 2 from a square."""
    return {factor * n for n in usual_factors(graph) for factor in (0.5, 1.0, 2.0)}


def without_late_mean(graph: Graph, handed: Arrays) -> dict[Value, float]:
    """The gradients that are so many times the graph's, and what comes from these, where most leaves
    that do are right all the same.
    """
    of_leaves = {graph.gradient_of[x] for x in graph.wanted if x in graph.gradient_of}
    inner = [g for g in graph.order if g in handed and g not in of_leaves]
    for first in inner:
        factor = natural_factor(graph, first, handed[first])
        if factor is None:
            continue
        leaves = [g for g in handed if g in of_leaves and first in graph.behind(g)]
        leaves = [g for g in leaves if np.any(graph.numbers[g])]
        right = sum(is_right(graph, g, handed[g]) for g in leaves)
        if right <= sum(natural_factor(graph, g, handed[g]) == factor for g in leaves):
            return {}
        after = (g for g in inner if first in graph.behind(g))
        return {g: factor for g in after if not is_right(graph, g, handed[g])}
    return {}


def is_right(graph: Graph, g: Value, array: np.ndarray) -> bool:
    """Whether a gradient has the numbers of the graph's, perhaps in another shape."""
    own = graph.numbers[g]
    return array.size == own.size and matches(array.reshape(own.shape), own)


def natural_factor(graph: Graph, g: Value, array: np.ndarray) -> float | None:
    """How many times the graph's a gradient is, if that is a number that comes later usually."""
    found = factor_of(graph, g, array)
    usual = sorted(natural_factors(graph) - {1.0})
    return next((n for n in usual if found and is_about(found, n)), None)


def factor_of(graph: Graph, g: Value, array: np.ndarray) -> float | None:
    """How many times the graph's a gradient of several numbers is."""
    own = graph.numbers[g]
    if array.shape != own.shape or array.size < 2 or not np.any(own):
        return None
    return constant_factor(array, own)
