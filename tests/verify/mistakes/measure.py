"""How well compare_backprop explains the mistakes of the collection: prints a table, and all
messages that are not exact.

    python tests/verify/mistakes/measure.py          # with all intermediates, and with leaves alone
    python tests/verify/mistakes/measure.py short    # the tables alone
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from verify.mistakes.collection import MISTAKES
from verify.mistakes.form import CODES, Mistake
from verify.mistakes.not_yet import NOT_YET

from tinygrad_steel import compare_backprop

CLASSES = ("exact", "vague", "unexplained", "misleading", "not read yet")
ALL, LEAVES = "all intermediates", "leaves alone"
# What is said where no fault was found that explains it: numbers, and nothing of their reason.
NO_REASON = re.compile(
    r"elements differ, most at index|^\S+ instead of \S+$"
    r"|^(the sign is wrong, and it is )?\S+ times too (large|small) everywhere(;|$)"
    r"|^shape \(.*\) is not \(.*\)$"
)


class Answer(NamedTuple):
    """What the report says of a mistake: the first wrong gradient, its reason, and how many it
    calls wrong.
    """

    place: str
    reason: str
    wrong: int


@cache
def answer(mistake: Mistake, handed: str = ALL, dtype: Any = float) -> Answer:
    """What the report says."""
    loss, names = mistake.model.build(dtype)
    chain = mistake.model.chain(names, mistake.wrong)
    if handed == LEAVES:
        chain = {step: g for step, g in chain.items() if names[step[2:]].op is None}
    report = compare_backprop(loss, names, **chain)
    first = report.first_wrong
    wrong = sum(step.verdict == "wrong" for step in report.steps)
    return Answer(first.name, first.reason, wrong) if first else Answer("", "", 0)


def is_leaf(mistake: Mistake) -> bool:
    """Whether the first wrong gradient is that of a parameter."""
    _, names = mistake.model.build()
    return names[mistake.place[2:]].op is None


@cache
def differs_at_the_leaves(mistake: Mistake) -> bool:
    """Whether it changes a parameter's gradient at all: what is the same for a whole row goes in
    the mean of a normalization.
    """
    _, names = mistake.model.build()
    right, wrong = (mistake.model.chain(names, steps) for steps in ({}, mistake.wrong))
    return any(
        wrong[step].shape != g.shape or not np.allclose(wrong[step], g)
        for step, g in right.items()
        if names[step[2:]].op is None
    )


def finds_the_place(mistake: Mistake, handed: str) -> bool:
    """Whether the first wrong step is right; from leaves alone, whether it is named."""
    found = answer(mistake, handed)
    if handed == LEAVES and not differs_at_the_leaves(mistake):
        return not found.place
    if handed == LEAVES and mistake.from_leaves:
        return mistake.from_leaves[0] in found.reason
    if handed == ALL or is_leaf(mistake):
        return found.place == mistake.place
    return bool(re.search(rf"\b{mistake.place}\b", found.reason.split(":")[0]))


def verdict(mistake: Mistake, handed: str) -> str:
    """How good the reason is, by what it must contain, and by what a reader said of it."""
    reason = answer(mistake, handed).reason
    if handed == LEAVES and not differs_at_the_leaves(mistake):
        return "misleading" if reason else "exact"
    if handed == LEAVES and mistake.from_leaves:
        if all(phrase in reason for phrase in mistake.from_leaves):
            return "exact"
    elif all(phrase in reason for phrase in mistake.says):
        return "exact" if finds_the_place(mistake, handed) else "vague"
    if not reason or NO_REASON.search(reason):
        return "unexplained"
    kind, words = NOT_YET[handed].get(mistake.title, ("", ""))
    return kind if words and words in reason else "not read yet"


def table(handed: str, mistakes: Iterable[Mistake] = MISTAKES) -> list[str]:
    """Each code with its counts, and their sums."""
    counts = {code: Counter[str]() for code in CODES}
    places = 0
    for mistake in mistakes:
        counts[mistake.code][verdict(mistake, handed)] += 1
        places += finds_the_place(mistake, handed)
    rows = [(code, *(count[c] for c in CLASSES)) for code, count in counts.items()]
    total = sum(counts.values(), Counter())
    rows.append(("all", *(total[c] for c in CLASSES)))
    lines = [f"{handed}: the place is found for {places} of {sum(total.values())}"]
    lines += [f"{'':30}" + "".join(f"{c:>13}" for c in CLASSES)]
    lines += [f"{code:30}" + "".join(f"{n or '.':>13}" for n in row) for code, *row in rows]
    return lines


def not_exact(handed: str) -> list[str]:
    """Every message that is not exact, by what is wrong with it."""
    lines = []
    for kind in CLASSES[1:]:
        for mistake in MISTAKES:
            if verdict(mistake, handed) == kind:
                found = answer(mistake, handed)
                lines += [
                    f"{kind}, {mistake.code}: {mistake.title} ({mistake.model.name})",
                    f"    is to say   {mistake.place}: {' ... '.join(mistake.says)}",
                    f"    says        {found.place}: {found.reason}",
                ]
    return lines


if __name__ == "__main__":
    for handed in (ALL, LEAVES):
        print(*table(handed), "", sep="\n")
        if "short" not in sys.argv:
            print(*not_exact(handed), "", sep="\n")
