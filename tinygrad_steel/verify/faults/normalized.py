"""Mistakes in the derivative of a batch norm, or a layer norm, recognised by its numbers.

However a forward is written, what comes back through it is the gradient less two terms: one that
comes through the mean, and one through the variance.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Apply, Value
from ..closeness import largest, matches
from ..codes import Code
from ..traced_loss import Graph
from .axes import axes_in_words
from .question import CALL, ELEMENT, Gradient, Mistake, Question

NEAR = 20  # values of the forward that lie between what is normalized and what it becomes
EPSILON = 0.1  # of a variance, by which it may be larger
NORMS = (ops.batch_norm, ops.layer_norm)
MEANS = (ops.mean, ops.sum, ops.var, ops.std)


class Norm(NamedTuple):
    """`u` is normalized along some axes; `y`: what is made of it at once. `normal`: the numbers with
    mean 0 and variance 1; `deviation`: what was divided by; `factor`: what `normal` is multiplied with
    in `y`.
    """

    u: Value
    y: Value
    axes: tuple[int, ...]
    deviation: Any
    normal: Any
    factor: Any = 1


class Terms(NamedTuple):
    """Of what the gradient of `u` is: what comes straight, less what comes through the mean, less
    what comes through the variance.
    """

    straight: Any
    by_mean: Any
    by_variance: Any


def statistics_constant(gradient: Gradient) -> Iterator[Mistake]:
    """The mean, the variance, or both taken for constants."""
    return mistakes(gradient, constant)


def other_terms(gradient: Gradient) -> Iterator[Mistake]:
    """What else people make of the gradient of what is normalized."""
    return mistakes(gradient, altered)


def of_scale(gradient: Gradient) -> Iterator[Mistake]:
    """The gradient of what is multiplied with the normalized values, with other values than these."""
    question, graph = gradient.question, gradient.question.graph
    for norm in norms_of(question):
        for y in dict.fromkeys([norm.y, *(y for y, _ in gradient.parts)]):
            g = question.value(graph.gradient_of[y])
            if np.shape(g) != np.shape(norm.normal):
                continue
            question.budget.spend(ELEMENT * norm.normal.size)
            right = summed_to(g * norm.normal, gradient.x.shape)
            if right is None or not matches(right, question.value(gradient.g)):
                continue
            for v, words in other_values(question, norm, g):
                question.budget.spend(ELEMENT * norm.normal.size)
                becomes = summed_to(g * v, gradient.x.shape)
                yield Mistake(gradient.g, becomes, words, "other-value")
            return


def other_values(question: Question, norm: Norm, g: Any) -> Iterator[tuple[Any, str]]:
    """What people have in place of what is normalized, where that has no name; `g`: the gradient of
    what is scaled.
    """
    graph, u = question.graph, question.value(norm.u)
    if any(x in graph.names and matches(question.value(x), norm.normal) for x in graph.forward):
        return
    text = graph.text(norm.u)
    yield u, f"computed with {text} itself, which is not normalized"
    yield norm.normal * norm.deviation, f"{text} less its mean is not divided by the deviation"
    yield u / norm.deviation, f"the mean of {text} is not subtracted"
    for y in graph.forward:
        if y in graph.gradient_of and norm.u in graph.behind(y) and y.shape == norm.u.shape:
            if np.array_equal(question.value(graph.gradient_of[y]), g):
                words = f"computed with {graph.text(y)}, which is scaled and shifted already"
                yield question.value(y), words


def summed_to(full: Any, shape: tuple[int, ...]) -> Any:
    """What is broadcast to this gradient gets its sum; None where it cannot be."""
    full = full.sum(axis=tuple(range(full.ndim - len(shape))))
    kept = tuple(i for i, n in enumerate(shape) if n == 1)
    full = full.sum(axis=kept, keepdims=True) if kept else full
    return full if full.shape == shape else None


def mistakes(gradient: Gradient, kind: Any) -> Iterator[Mistake]:
    """Mistakes of a kind in each normalization of a value."""
    question = gradient.question
    for norm in norms_of(question):
        if norm.u is gradient.x:
            g = question.value(question.graph.gradient_of[norm.y]) * norm.factor
            v = norm.normal
            right = terms(v, g, norm.axes, norm.deviation)
            rest = question.value(gradient.g) - (right.straight - right.by_mean - right.by_variance)
            for becomes, words, code in kind(question, norm, right, v, g):
                question.budget.spend(ELEMENT * v.size)
                yield Mistake(gradient.g, becomes + rest, words, code)


def terms(v: Any, g: Any, axes: tuple[int, ...], deviation: Any) -> Terms:
    """The three terms, where the means run along these axes."""
    mean = g.mean(axis=axes, keepdims=True) + 0 * g
    along = v * (g * v).mean(axis=axes, keepdims=True)
    return Terms(g / deviation, mean / deviation, along / deviation)


def constant(
    question: Question, norm: Norm, right: Terms, v: Any, g: Any
) -> Iterator[tuple[Any, str, Code]]:
    """Without one of the terms, or both."""
    straight, by_mean, by_variance = right
    u, through = question.graph.text(norm.u), in_words(question.graph, norm)
    words = f"held constant: nothing comes back through {{}}: {{}} on {u} too"
    both = words.format(through[0], "the mean and the variance depend")
    yield straight, both, "held-constant"
    words_of_mean = words.format(through[1], "the mean depends")
    yield straight - by_variance, words_of_mean, "held-constant"
    if has_centered(question.graph, norm):  # where the variance comes back, by its name
        return
    words_of_variance = words.format(through[2], "the variance depends")
    yield straight - by_mean, words_of_variance, "held-constant"


def has_centered(graph: Graph, norm: Norm) -> bool:
    """Whether what is normalized has a name of its own when its mean is taken off, and the variance
    is made of that.
    """
    near = graph.behind(norm.y)
    centered = {w for w in near if w.op is ops.subtract and norm.u in w.values()}
    named = {w for w in centered if w in graph.names}
    return any(not named.isdisjoint(graph.behind(y)) for y in near if y.op in MEANS)


def altered(
    question: Question, norm: Norm, right: Terms, v: Any, g: Any
) -> Iterator[tuple[Any, str, Code]]:
    """What people compute in place of the sum of the three terms."""
    _, both, _ = next(constant(question, norm, right, v, g))
    yield from scaled(norm, right.straight - right.by_mean - right.by_variance, "")
    yield from scaled(norm, right.straight, f"; besides, {both}")
    yield from of_terms(norm, right, in_words(question.graph, norm), v, g)
    for axes in other_axes(v, norm.axes):
        one, two, three = terms(v, g, axes, norm.deviation)
        over, all_of = axes_in_words(axes), axes_in_words(norm.axes)
        words = f"the means in the backward are taken over {over} instead of {all_of}"
        yield one - two - three, words, "wrong-axis"


def scaled(norm: Norm, g: Any, besides: str) -> Iterator[tuple[Any, str, Code]]:
    """Divided by something else than the deviation."""
    s = norm.deviation
    yield g / s, f"divided by the variance, and not by its root{besides}", "other-value"
    yield (
        g * s,
        f"not divided by the deviation, the root of the variance{besides}",
        "missing-factor",
    )
    words = f"multiplied with the deviation instead of divided by it{besides}"
    yield g * s * s, words, "divided-not-multiplied"


def of_terms(
    norm: Norm, right: Terms, through: tuple[str, str, str], v: Any, g: Any
) -> Iterator[tuple[Any, str, Code]]:
    """A sign, a factor, or a value in one of the terms."""
    straight, by_mean, by_variance = right
    n = v.size // max(1, norm.deviation.size)
    words = "the sign of what comes through {} is wrong"
    yield straight - by_mean + by_variance, words.format(through[2]), "sign"
    yield straight + by_mean - by_variance, words.format(through[1]), "sign"
    yield straight + by_mean + by_variance, words.format(through[0]), "sign"
    less = by_variance * n / (n - 1) if n > 1 else by_variance
    words = f"in what comes through the variance: divided by {n} - 1, and in the forward by {n}"
    yield straight - by_mean - less, words, "batch-size"
    words = "sums stand for the means in what comes back through {}"
    both = straight - n * by_mean - n * by_variance
    yield both, words.format(through[0]), "batch-size"
    yield straight - n * by_mean - by_variance, words.format(through[1]), "batch-size"
    yield straight - by_mean - n * by_variance, words.format(through[2]), "batch-size"
    words = "what comes through the variance is 2 times too {}"
    yield straight - by_mean - 2 * by_variance, words.format("large"), "extra-factor"
    yield straight - by_mean - by_variance / 2, words.format("small"), "missing-factor"
    along = (g * v).mean(axis=norm.axes, keepdims=True) / norm.deviation
    words = "in what comes through the variance: not multiplied with what is normalized"
    yield straight - by_mean - along, words, "missing-factor"
    words = "in what comes through the variance: divided by the deviation once too often"
    yield straight - by_mean - by_variance / norm.deviation, words, "extra-factor"
    words = "in what comes through the variance: the difference from the mean, and not yet divided"
    yield straight - by_mean - by_variance * norm.deviation, words, "missing-factor"


def other_axes(v: Any, right: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Axes along which people take the means."""
    for count in range(1, v.ndim + 1):
        for axes in itertools.combinations(range(v.ndim), count):
            if axes != right:
                yield axes


def in_words(graph: Graph, norm: Norm) -> tuple[str, str, str]:
    """What the mean and the variance are called: both, and each of them."""
    between = (
        y
        for y in graph.behind(norm.y)
        if y.op in (ops.mean, ops.var, ops.std) and norm.u in graph.behind(y)
    )
    texts = [graph.text(y) for y in sorted(between, key=graph.forward.__getitem__)]
    if len(texts) != 2:
        texts = ["the mean", "the variance"]
    return " and ".join(texts), texts[0], texts[1]


# Which there are


def norms_of(question: Question) -> list[Norm]:
    """The normalizations of a graph, looked for once."""
    graph = question.graph
    if "norms" not in graph.seen:
        graph.seen["norms"] = []  # where the search ends here, it is not begun again
        graph.seen["norms"] = [*of_ops(question), *normalizations(question)]
    norms: list[Norm] = graph.seen["norms"]
    return norms


def of_ops(question: Question) -> Iterator[Norm]:
    """Those that are one op."""
    graph = question.graph
    for y in graph.forward:
        if isinstance(y, Apply) and y.op in NORMS and y.inputs[0] in graph.gradient_of:
            x, scale, _ = map(question.value, y.inputs)
            axes = (x.ndim - 1,) if y.op is ops.layer_norm else tuple(range(x.ndim - 1))
            epsilon = y.params.get("epsilon", y.op.defaults["epsilon"])
            deviation = np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)
            normal = (x - x.mean(axis=axes, keepdims=True)) / deviation
            yield Norm(y.values()[0], y, axes, deviation, normal, scale)


def normalizations(question: Question) -> Iterator[Norm]:
    """Values whose mean is 0, with those of which they are made by a deviation."""
    graph = question.graph
    values = [*graph.forward]
    if not any(y.op in (ops.var, ops.std, ops.sqrt, ops.power) for y in values):
        return
    for at, y in enumerate(values):
        is_quotient = y.op in (ops.divide, ops.multiply) and y in graph.gradient_of
        if not is_quotient or len(y.shape) < 2 or y.dtype.kind != "f":
            continue
        for axes in axes_of(len(y.shape)):
            question.budget.spend(CALL)
            near = values[max(0, at - NEAR) : at]
            found = next(made_of(question, y, axes, near), None)
            if found:
                yield found
                break


def axes_of(ndim: int) -> list[tuple[int, ...]]:
    """Along which axes people normalize: all but the last, the last, all but the first."""
    usual = [tuple(range(ndim - 1)), (ndim - 1,), tuple(range(1, ndim)), (0, *range(2, ndim))]
    return [*dict.fromkeys(axes for axes in usual if axes)]


def made_of(
    question: Question, y: Value, axes: tuple[int, ...], near: list[Value]
) -> Iterator[Norm]:
    """The values that are normalized so, and are not centered yet."""
    graph, numbers = question.graph, question.value(y)
    squares = np.square(numbers).sum(axis=axes, keepdims=True)
    if np.any(np.abs(numbers.mean(axis=axes)) > 1e-4 * largest(numbers)) or not np.all(squares):
        return
    for u in near:
        if u.shape != y.shape or u not in graph.gradient_of or u not in graph.behind(y):
            continue
        values = question.value(u)
        mean = values.mean(axis=axes, keepdims=True)
        centered = values - mean
        if np.all(np.abs(mean) <= 1e-9 * largest(values)):
            continue
        by = (centered * numbers).sum(axis=axes, keepdims=True) / squares
        deviation = next(deviations(question, values.var(axis=axes, keepdims=True), near), None)
        if deviation is not None and matches(numbers * by, centered):
            yield Norm(u, y, axes, deviation, centered / deviation, deviation / by)


def deviations(question: Question, variance: Any, near: list[Value]) -> Iterator[Any]:
    """The values that are the root of this variance and a small number."""
    for d in near:
        if np.size(variance) == np.prod(d.shape) > 0 and d.op in (ops.sqrt, ops.std, ops.power):
            numbers = np.abs(np.reshape(question.value(d), np.shape(variance)))
            for root in (numbers, 1 / numbers):
                rest = np.square(root) - variance
                is_small = np.all(np.abs(rest) <= EPSILON * variance)
                if is_small and matches(rest, 0 * rest + rest.flat[0], size=largest(variance)):
                    yield root
