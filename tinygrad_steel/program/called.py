"""What values are called: `t1` is the same value in the written source, in reports and in pictures."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import NamedTuple

from ..engine.tensor import Tensor
from .ancestors import ancestors
from .definitions import numpy_backprop, reserved_names
from .expressions import FORMULAS
from .given_names import GivenNames, Names
from .lines import backprop, reading_order
from .literals import short_number
from .names import first_free, readable
from .texts import Text
from .trace import Traced, for_reader, trace
from .values import Value


def written(traced: Traced) -> tuple[Mapping[Value, Text], dict[str, str]]:
    """What everything is called in the written source, and the line of each name."""
    try:
        found, _ = numpy_backprop(traced)
    except TypeError:  # an op that cannot be written out still has a name
        names = reserved_names(traced)
        return backprop(traced, reading_order(traced), FORMULAS, names).speech.texts, {}
    texts = found.speech.texts
    return texts, {texts[x].text: f"{texts[x]} = {text}" for x, text in found.lines.items()}


class Called:
    """What Tensors are called in the formulas of a picture.

    By their own names, which are changed where two are the same; numbers without one by their
    value; all others as in the written source, once somebody asks. `own`: the names of those that
    have one. `said`: what somebody has asked for. `g`: the incoming gradient. `written`: what the
    source calls them, where somebody has written it already.
    """

    def __init__(self, root: Tensor, names: Names, written: SourceNames | None = None):
        self.root, self.names, self.written = root, names, written
        self.own: dict[Tensor, str] = {}
        self.said: dict[Tensor, str] = {}
        given = GivenNames(names)
        of_key: dict[object, str] = {}
        for t in in_order_of_claims(root):
            own, key = given.of(t), given.key(t)
            if own and key not in of_key:
                of_key[key] = readable(own, of_key.values())
            if own:
                self.own[t] = of_key[key]
        self.taken = {*of_key.values()}
        self.g = first_free(("g", "G", "gy"), self.taken)
        self.taken.add(self.g)

    def of(self, t: Tensor) -> str:
        """The name of a Tensor, which is said from now on."""
        if t not in self.said:
            self.said[t] = self.own_name(t) or self.new_name(t)
        return self.said[t]

    def own_name(self, t: Tensor) -> str:
        """What a Tensor is called without being asked: by its name, or a number by its value."""
        return self.own.get(t) or (short_number(t.item()) if is_number(t) else "")

    def new_name(self, t: Tensor) -> str:
        """As the source calls it; where that has no name for it, with a number not used there."""
        name = self.source.tensors.get(t)
        if name is None or name in self.taken:
            taken = {*self.taken, *self.source.taken}
            name = next(n for n in (f"t{i}" for i in itertools.count(1)) if n not in taken)
            self.taken.add(name)
        return name

    @functools.cached_property
    def source(self) -> SourceNames:
        """What the written source says, as far as one can be written."""
        if self.written is not None:
            return self.written
        if self.root.size != 1 or not self.root.requires_grad:
            return SourceNames({}, set())
        try:
            return source_names(self.root, self.names)
        except Exception:
            # A rule of somebody's own raises whatever it likes on Tensors: no source can be written
            # then, and the picture says why on the arrow of that rule.
            return SourceNames({}, set())


def in_order_of_claims(root: Tensor) -> list[Tensor]:
    """All Tensors behind `root` in the order in which the source names them."""
    past = ancestors([root])
    inputs = [x for t in past for x in t.inputs if isinstance(x, Tensor) and x.op is None]
    leaves = sorted(dict.fromkeys(inputs or [root]), key=lambda t: t.requires_grad)
    return [*leaves, *(t for t in past if t.op is not None)]


def is_number(t: Tensor) -> bool:
    """Whether it is a number from outside."""
    return t.op is None and not t.shape


class SourceNames(NamedTuple):
    """What a written source calls `tensors`, and all names that are `taken` in it."""

    tensors: dict[Tensor, str]
    taken: set[str]


def source_names(loss: Tensor, names: Names) -> SourceNames:
    """The names in the written source of a loss."""
    traced = for_reader(trace(loss, names))
    texts, _ = written(traced)
    found = {y: text.text for y, text in texts.items() if text.text.isidentifier()}
    tensors = {t: found[y] for t, y in traced.made.items() if y in found}
    return SourceNames(tensors, {*found.values()})
