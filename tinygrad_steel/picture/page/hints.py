"""What a learner should see in the frames of a training run, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ... import ops
from ...program.values import VALUES, Apply, Constant, Value

FEW_ROWS = 4  # with fewer rows than the four of XOR, a relu that is 0 for all of them says nothing
LARGER = 10  # times the first loss: what is below comes and goes with the batches
DECADES = 1e3  # by so much a gradient has to fall before it is said to

Json = Mapping[str, Any]


def dead_units(y: Value, array: np.ndarray) -> list[int] | None:
    """How many units of a relu are 0 for all rows, and of how many; None for what is no relu."""
    if not isinstance(y, Apply) or not is_relu(y) or array.ndim < 2:
        return None
    if array.shape[0] < FEW_ROWS:
        return None
    is_dead = np.all(array == 0, axis=tuple(range(array.ndim - 1)))
    return [int(np.count_nonzero(is_dead)), is_dead.size]


def is_relu(y: Apply) -> bool:
    """Whether it is a relu, also as it is written with `np.maximum`."""
    return y.op is ops.relu or (y.op is ops.maximum and any(map(is_zero, y.inputs)))


def is_zero(x: Any) -> bool:
    """Whether it is the number 0."""
    number = x.data if isinstance(x, Constant) else x
    return not isinstance(number, VALUES) and np.ndim(number) == 0 and bool(number == 0)


def hints_of(data: Json, frames: Sequence[Json], since: Sequence[int]) -> list[list[Json]]:
    """For each frame what is to be seen there: `{"text", "ref"}`, the card or gradient it is in.

    `data`: the cards and arrays of the page. `since`: for each frame the step since which no
    parameter has changed.
    """
    moments = [Moment(data, frame) for frame in frames]
    return [
        [
            *not_finite(moments, k),
            *standing_still(moments[k], since[k]),
            *larger_loss(moments[0], moments[k]),
            *dead(moments[k]),
            *smaller_than_at_first(moments[0], moments[k]),
            *smaller_on_its_way(moments[k]),
        ]
        for k in range(len(moments))
    ]


class Moment:
    """A frame over the arrays of the page."""

    def __init__(self, data: Json, frame: Json):
        self.cards, self.base, self.frame = data["cards"], data["arrays"], frame
        self.heads = {a["tail"]: a["head"] for a in data["arrows"] if a["flows"]}
        self.step, self.loss = frame["step"], float(frame["loss"])

    def array(self, i: int) -> Json:
        """An array as it is in this frame."""
        found: Json = self.frame["arrays"].get(str(i), self.base[i])
        return found

    @property
    def parameters(self) -> list[Json]:
        """The cards of parameters that get a gradient."""
        return [c for c in self.cards if c["kind"] == "parameter" and c.get("g") is not None]

    def length(self, card: Json) -> float:
        """The length of the gradient of a card; NaN where that is not finite."""
        array = self.array(card["g"])
        return float(array.get("norm", np.nan)) if not array.get("bad") else np.nan

    def length_of_use(self, card: Json) -> float:
        """The length of the gradient of what a card is used for."""
        head = next((c for c in self.cards if c["id"] == self.heads.get(card["id"])), card)
        return np.nan if head.get("g") is None else self.length(head)


def hint(text: str, ref: str | None = None) -> Json:
    """A sentence, and where to look."""
    return {"text": text, "ref": ref} if ref else {"text": text}


def not_finite(moments: Sequence[Moment], k: int) -> Iterator[Json]:
    """From when on the loss is no number, and where that begins."""
    now = moments[k]
    if np.isfinite(now.loss):
        return
    first = next(m for m in moments if not np.isfinite(m.loss))
    since = "" if first is now else f", and has not been finite since step {first.step}"
    yield hint(f"The loss is {now.frame['loss']} at step {now.step}{since}.")
    for card in now.cards:
        if card["v"] is not None and now.array(card["v"]).get("bad"):
            yield hint(f"The first value that is not finite is {called(card)}.", card["id"])
            return


def standing_still(now: Moment, since: int) -> Iterator[Json]:
    """That nothing was trained, although there are gradients."""
    if since < now.step and any(now.length(c) > 0 for c in now.parameters):
        yield hint(
            f"No parameter has changed since step {since}, though there are gradients. If that was "
            f"not meant, the optimizer's step is missing, or parameters were made anew "
            f"(w = w - rate * w.grad)."
        )


def larger_loss(first: Moment, now: Moment) -> Iterator[Json]:
    """That training makes it worse."""
    if np.isfinite(now.loss) and 0 < LARGER * first.loss < now.loss:
        yield hint(
            f"The loss grew from {first.loss:.4g} to {now.loss:.4g}: if it is to fall, steps are too "
            f"large, or go uphill."
        )


def dead(now: Moment) -> Iterator[Json]:
    """The units of relus that are 0 for every row: no gradient passes them."""
    for card in now.cards:
        few, many = now.array(card["v"]).get("dead", (0, 0)) if card["v"] is not None else (0, 0)
        if few and few == many:
            yield hint(
                f"All {many} units of {called(card)} are dead for this batch: 0 in every row, so that "
                f"no gradient passes.",
                card["id"],
            )
        elif few:
            verb = "is" if few == 1 else "are"
            yield hint(
                f"{few} of {many} units of {called(card)} {verb} dead for this batch: 0 in every row, "
                f"so that no gradient passes.",
                card["id"],
            )


def smaller_than_at_first(first: Moment, now: Moment) -> Iterator[Json]:
    """The gradient of a parameter that fell by decades, the one that fell most."""
    falls = [(c, first.length(c), now.length(c)) for c in now.parameters]
    falls = [(c, a, b) for c, a, b in falls if a > DECADES * b]
    if not falls or not np.isfinite(now.loss):
        return
    card, a, b = min(falls, key=lambda fall: fall[2] / fall[1])
    many = len(falls) - 1
    whose = "another gradient" if many == 1 else f"{many} other gradients"
    others = f", and {whose} fell more than {DECADES:,.0f}-fold" if many else ""
    loss = f"the loss went from {first.loss:.4g} to {now.loss:.4g}"
    yield hint(
        f"|{card['gcode']}| fell from {a:.2g} to {b:.2g}{others}; {loss}.", f"g:{card['id']}"
    )


def smaller_on_its_way(now: Moment) -> Iterator[Json]:
    """That the gradient becomes smaller by decades from the last matrix back to the first.

    So it must be where the matrices are used as well: else the first one merely has small inputs.
    """
    matrices = [c for c in now.parameters if len(now.base[c["v"]]["shape"]) > 1]
    if len(matrices) < 2:
        return
    first, last = matrices[0], matrices[-1]
    a, b = now.length(first), now.length(last)
    if 0 < DECADES * a < b and DECADES * now.length_of_use(first) < now.length_of_use(last):
        yield hint(
            f"The gradient vanishes on its way back: |{last['gcode']}| is {b:.2g}, and "
            f"|{first['gcode']}| {a:.2g}, {b / a:,.0f} times smaller.",
            f"g:{first['id']}",
        )


def called(card: Json) -> str:
    """What a card is called in a sentence."""
    found: str = card["name"] or card.get("code") or card["op"]
    return found
