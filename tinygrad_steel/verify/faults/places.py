"""Where a fault is that shows in several gradients, and where it cannot be."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import constant_factor, matches, several
from .factors import Named
from .question import Arrays, Finding, Question, handed_on

MOST = 4  # places that are named


def origin(question: Question, named: Named) -> Finding:
    """A factor, and where it may have come in: at each gradient behind which all have it."""
    factor = common_factor(question)
    places = [g for g in between(question) if has_factor(question, g, factor)]
    # One fault for several gradients is likelier than one for each.
    most = max((len(others_behind(question, g)) for g in places), default=0)
    places = [g for g in places if len(others_behind(question, g)) == most]
    names = [question.graph.name(g) for g in places if question.graph.name(g)]
    asked = question.asked
    if factor is None or not names:
        return Finding(*named)
    if any(asked in question.graph.behind(h) for h in question.handed if h is not asked):
        return Finding(*named)  # it is a step between others, of which those before it are right
    alone = not others_behind(question, places[0])
    if alone:
        names = [question.graph.name(asked), *names]
    text = listed(names, "or")
    value = question.value(places[0]) * factor
    values = {} if alone else question.replay({places[0]: value}, question.graph.order)
    return Finding(f"from a fault at {text}: {named.words}", named.codes, values)


def listed(names: list[str], word: str) -> str:
    """Some names, the last one after a word; not all if there are many."""
    *first, last = names[:MOST]
    more = f" and {len(names) - MOST} more" if len(names) > MOST and word == "and" else ""
    if more:
        return f"{', '.join(names[:MOST])}{more}"
    return f"{', '.join(first)} {word} {last}" if first else last


def common_factor(question: Question) -> float | None:
    """The factor of the gradient that is asked about, where it says something."""
    if not question.fits or not several(question.expected):
        return None
    return constant_factor(question.given, question.expected)


def between(question: Question) -> list[Value]:
    """The gradients on the way to the one that is asked about which nobody has handed over, the
    nearest first.
    """
    found: dict[Value, None] = {}
    todo = [question.asked]
    for g in todo:
        new = (x for x in g.values() if x in question.graph.late and x not in question.handed)
        for x in new:
            if x not in found:
                found[x] = None
                todo.append(x)
    order = {g: i for i, g in enumerate(question.graph.order)}
    owned = {*question.graph.gradient_of.values()}
    return sorted((g for g in found if g in owned and g in order), key=order.__getitem__)[::-1]


def others_behind(question: Question, g: Value) -> list[Value]:
    """What was handed over and depends on a gradient, but for the one that is asked about."""
    others = (h for h in question.handed if h is not question.asked)
    return [h for h in others if g in question.graph.behind(h)]


def has_factor(question: Question, g: Value, factor: float | None) -> bool:
    """Whether a gradient is alone on the way, and everything behind it has this factor."""
    if factor is None or not scales(question, g, factor):
        return False
    for h in others_behind(question, g):
        given, own = question.handed[h], question.graph.numbers[h]
        if given.shape != own.shape or not matches(given, factor * own, 1e-6):
            return False
    return True


def scales(question: Question, g: Value, factor: float) -> bool:
    """Whether a factor on this gradient is one on the gradient that is asked about."""
    found = question.replay({g: question.value(g) * factor}, question.graph.order)
    answer = found.get(question.asked)
    return answer is not None and matches(answer, question.given, 1e-6)


def interval(question: Question) -> str:
    """Between which gradients a fault is that nothing explains: the nearest one before it that a
    right product proves right, and the one that is asked about.
    """
    graph = question.graph
    for g in between(question):
        proofs = [h for h in others_behind(question, g) if proves(question, h, g)]
        if proofs and graph.name(g):
            right = graph.name(proofs[0])
            return (
                f"; the fault is between {graph.name(g)}, which is right since {right} is, "
                f"and {graph.name(question.asked)}"
            )
    return ""


def proves(question: Question, h: Value, g: Value) -> bool:
    """Whether a gradient that was handed over could not be right if `g` were wrong: the product of
    `g` and a matrix, and right.
    """
    is_product = h.op is ops.matmul and any(g in handed_on(x) for x in h.inputs)
    return is_product and is_right(question, h)


def contradicts(question: Question, found: Arrays) -> bool:
    """Whether a gradient that was handed over, and is right, is not so with a fault: `found` are
    the gradients as they are then.
    """
    rights = (h for h in found if h in question.handed and h is not question.asked)
    return any(is_right(question, h) and not is_given(question, found, h) for h in rights)


def unexplained_by(question: Question, found: Arrays) -> int:
    """How many of the other wrong gradients that were handed over a fault does not give."""
    others = (h for h in question.handed if h is not question.asked)
    wrong = (h for h in others if not is_right(question, h))
    return sum(h not in found or not is_given(question, found, h) for h in wrong)


def is_given(question: Question, found: Arrays, h: Value) -> bool:
    """Whether a gradient was handed over as it is with a fault."""
    return matches(found[h], question.handed[h], 1e-6)


def is_right(question: Question, h: Value) -> bool:
    """Whether what was handed over is the graph's own gradient."""
    given, own = question.handed[h], question.graph.numbers[h]
    return given.shape == own.shape and bool(np.any(own)) and matches(given, own, 1e-6)
