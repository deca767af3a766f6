"""Inputs that `check_op` makes itself: where rules go wrong that are right on the samples.

Which of them the op is made for, only its forward can say: those that it refuses, and those of
which it makes numbers that are not finite, are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from ..ops.op import Op
from ..ops.samples import Sample
from .case import is_float
from .drawn import drawn, is_distribution
from .shapes import other_axes, other_counts, other_shapes
from .trial import Trial, floats_of

Change = Callable[[np.ndarray], Any]
NUMBERS: dict[str, Change] = {
    "negated": np.negative,
    "with other numbers": lambda x: drawn(x, x.shape, seed=2),
    "of either sign": lambda x: drawn(x, x.shape, seed=3, signs=True),
    "with a 0": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, 0.0, x),
    "all 0": np.zeros_like,
    "with ties": lambda x: np.round(x) + 0.0,
    "all equal": lambda x: np.full_like(x, x.flat[0]),
    "times 1e-6": lambda x: x * 1e-6,
    "times 10": lambda x: x * 10,
    "times 1e6": lambda x: x * 1e6,
    "plus 1e4": lambda x: x + 1e4,
    "plus 1e6": lambda x: x + 1e6,
}
# A step of a difference crosses many jumps of a sawtooth there, and is sure of nothing.
SIZES = {"times 1e-6", "times 10", "times 1e6", "plus 1e4", "plus 1e6"}


def variants(op: Op, sample: Sample, label: str, shapes: bool) -> Iterator[Trial]:
    """The sample turned in every way; with `shapes`, other shapes and axes, each input alone."""
    trial = Trial(label, sample.inputs, sample.params, own=True)
    names = input_names(op, trial)
    ways = NUMBERS.keys() - SIZES if op.sawtooth else NUMBERS
    yield from other_numbers(trial, names, groups_of(op, trial, alone=shapes), ways)
    yield from other_types(trial, names)
    yield from other_params(op, trial)
    if shapes:
        yield from other_shapes(trial)
        yield from other_axes(op, trial)
        yield from other_counts(op, trial)


def input_names(op: Op, trial: Trial) -> list[str]:
    """What messages call the inputs: `x`, or `input 2` where the op gives no name."""
    unnamed = range(len(op.input_names), len(trial.inputs))
    return [*op.input_names, *(f"input {i}" for i in unnamed)]


def groups_of(op: Op, trial: Trial, alone: bool) -> list[list[int]]:
    """The inputs whose numbers change: all of floats at once, and with `alone` each for itself.

    Constant shares (labels) stay.
    """
    group = []
    for i, (x, vjp) in enumerate(zip(trial.inputs, op.vjps)):
        fixed = vjp is None and is_distribution(x)
        if is_float(x) and x.size and not fixed:
            group.append(i)
    if not group:
        return []
    if alone and len(group) > 1:
        return [group, *([i] for i in group)]
    return [group]


def other_numbers(
    trial: Trial, names: Sequence[str], groups: Sequence[Sequence[int]], ways: Collection[str]
) -> Iterator[Trial]:
    """Another sign, size or offset, zeros and ties, for the inputs of each group at once."""
    for group, (way, change) in itertools.product(groups, NUMBERS.items()):
        if way not in ways:
            continue
        inputs = [*trial.inputs]
        for i in group:
            inputs[i] = np.asarray(change(inputs[i]))
        which = " and ".join(names[i] for i in group)
        yield trial.saying(f"{which} {way}", inputs=inputs, numbers=True)


def other_types(trial: Trial, names: Sequence[str]) -> Iterator[Trial]:
    """Integers and plain Python numbers beside floats, class ids in the types they come in."""
    floats = floats_of(trial)
    for i, x in enumerate(trial.inputs):
        if x.dtype.kind in "iu":
            yield from shorter_integers(trial, i, names[i])
        elif i in floats and len(floats) > 1 and x.size:
            yield from whole_numbers(trial, i, names[i])


def shorter_integers(trial: Trial, i: int, name: str) -> Iterator[Trial]:
    """Integers in shorter types that hold them."""
    x = trial.inputs[i]
    for dtype in (np.int32, np.uint8):
        short = x.astype(dtype)
        if np.array_equal(short, x):
            yield trial.saying(f"{name} as {short.dtype}", inputs=trial.with_input(i, short))


def whole_numbers(trial: Trial, i: int, name: str) -> Iterator[Trial]:
    """Floats as integers, none of them 0, and as one plain Python number."""
    x = trial.inputs[i]
    rounded = np.round(x)
    whole = np.asarray(rounded + np.equal(rounded, 0), dtype=int)
    yield trial.saying(f"{name} as integers", inputs=trial.with_input(i, whole))
    for number in (x.flat[0], whole.flat[0], np.array(2)):
        inputs = trial.with_input(i, np.array(number))
        words = f"{name} a plain {number.item()}"
        yield trial.saying(words, inputs=inputs, plain=(i,), loud=True)


def other_params(op: Op, trial: Trial) -> Iterator[Trial]:
    """Each parameter that is a number or a switch, changed."""
    for name in op.param_names:
        value = trial.params.get(name, op.defaults[name])
        for other in other_values(value):
            yield trial.saying(f"{name}={other}", params={**trial.params, name: other})


def other_values(value: Any) -> list[Any]:
    """A little further on, 0, and for a float the other sign too; the other way for a switch."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return other_integers(value)
    if isinstance(value, float):
        return [value * 0.5, value * 1.5, -value, 0.0] if value else [0.5, -0.5]
    return []


def other_integers(value: int) -> list[int]:
    """Integers around one that is not negative, and 0 and 1."""
    if value < 0:
        return []
    below = [value - 1] if value > 1 else []
    near = [value + 1, *below, value + 2, 0, 1]
    return [n for n in dict.fromkeys(near) if n != value]
