"""Other shapes, axes and numbers of inputs than those of an op's samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..ops.op import Op
from .drawn import drawn
from .trial import Trial, floats_of

Shape = tuple[int, ...]

# Lengths that differ, so that a transposed rule shows; lengths 1 and 0; and all that broadcasting
# does to a pair.
SHAPES: list[Shape] = [
    (), (1,), (4,), (2, 3), (3, 2), (1, 3), (3, 1), (3, 3), (2, 3, 4), (2, 1, 3),
    (0,), (0, 3), (2, 0),
]  # fmt: skip
PAIRS: list[Shape] = [
    (), (1,), (3,), (2, 3), (1, 3), (2, 1), (3, 2), (4, 2, 3), (4, 3, 2), (4, 1, 1), (0, 3),
]  # fmt: skip
THREES: list[Shape] = [(), (3,), (2, 3), (2, 1), (4, 2, 3)]
BY_COUNT = {1: SHAPES, 2: PAIRS, 3: THREES}  # of inputs
ALONG_AXES: list[Shape] = [(4,), (2, 3), (1, 3), (3, 1), (2, 3, 4)]


def other_shapes(trial: Trial) -> Iterator[Trial]:
    """All shapes for one input, all pairs for two; and the sample's own lengths exchanged."""
    count = len(trial.inputs)
    combinations = itertools.product(BY_COUNT.get(count, []), repeat=count)
    for shapes in itertools.chain(combinations, other_lengths(trial)):
        inputs = []
        loud = False
        for i, (x, shape) in enumerate(zip(trial.inputs, shapes)):
            inputs.append(drawn(x, shape, seed=4 + i))
            loud = loud or len(x.shape) != len(shape) or 0 in shape
        yield trial.saying(f"in {written(shapes)}", inputs=inputs, loud=loud)


def other_lengths(trial: Trial) -> Iterator[tuple[Shape, ...]]:
    """The shapes of the sample with each length replaced by another, wherever it stands."""
    lengths = sorted({n for x in trial.inputs for n in x.shape})
    for old in lengths:
        for new in (0, 1, old + 1, old + 2):
            yield tuple(exchanged(x.shape, old, new) for x in trial.inputs)


def exchanged(shape: Shape, old: int, new: int) -> Shape:
    """A shape with one length replaced by another."""
    return tuple(new if n == old else n for n in shape)


def other_axes(op: Op, trial: Trial) -> Iterator[Trial]:
    """Each axis, counted from either end, none, and several; with each switch on and off."""
    axes = [name for name in op.param_names if name.startswith("axis")]
    orders = [name for name in op.param_names if name == "axes"]
    if not axes and not orders:
        return
    names = [*axes, *orders, *switches_of(op, trial)]
    single = [name for name in axes if op.defaults[name] is not None]  # takes one axis, not several
    tried = []
    for shape in shapes_along_axes(trial):
        shaped = in_one_shape(trial, shape)
        all_choices = choices(len(shape), len(axes), len(orders), len(names))
        tried += [(shaped, chosen) for chosen in all_choices]
    tried.sort(key=lambda one: () in one[1])  # no axis last: it says least to who reads of it
    for shaped, chosen in tried:
        asked = dict(zip(names, chosen, strict=True))
        said = ", ".join(f"{name}={value}" for name, value in asked.items())
        loud = any(not isinstance(asked[name], int) for name in single)
        yield shaped.saying(said, params={**trial.params, **asked}, loud=loud)


def switches_of(op: Op, trial: Trial) -> list[str]:
    """The first two parameters that are switches, as keepdims is."""
    values = {**op.defaults, **trial.params}
    switches = [name for name in op.param_names if isinstance(values[name], bool)]
    return switches[:2]


def shapes_along_axes(trial: Trial) -> list[Shape]:
    """The shapes on which axes are tried, those of the sample among them."""
    own = {trial.inputs[i].shape for i in floats_of(trial)}
    return [*ALONG_AXES, *sorted(own - {*ALONG_AXES})]


def in_one_shape(trial: Trial, shape: Shape) -> Trial:
    """The trial with all of its floats in one shape."""
    floats = floats_of(trial)
    inputs = [*trial.inputs]
    for i in floats:
        inputs[i] = drawn(inputs[i], shape, seed=5 + i)
    return trial.saying(f"in {written([shape] * len(floats))}", inputs=inputs)


def choices(n: int, axes: int, orders: int, count: int) -> Iterator[tuple[Any, ...]]:
    """All values for so many parameters: axes first, then orders of axes, then switches."""
    one: list[Any] = [*range(-n, n)]
    if axes == 1:
        one += several_axes(n)
    values = [one] * axes + [orders_of_axes(n)] * orders
    values += [[False, True]] * (count - len(values))
    return itertools.product(*values)


def several_axes(n: int) -> list[Any]:
    """None, no axis, and up to three axes at once."""
    axes: list[Any] = [None, ()]
    for k in (1, 2, 3):
        axes += itertools.combinations(range(n), k)
    if n > 1:
        axes += [(0, -1), (-1, 0)]
    return axes


def orders_of_axes(n: int) -> list[Any]:
    """None, and each order of the axes, once counted from the end."""
    return [None, *itertools.permutations(range(n)), tuple(range(-1, n - 1))]


def other_counts(op: Op, trial: Trial) -> Iterator[Trial]:
    """One input, and one more, where any number fits."""
    if not op.variadic or op.input_names or not trial.inputs:
        return
    last = trial.inputs[-1]
    yield trial.saying("its last input alone", inputs=[last])
    more = [*trial.inputs, drawn(last, last.shape, seed=6)]
    yield trial.saying("its last input once more", inputs=more)


def written(shapes: Sequence[Shape]) -> str:
    """Shapes as messages show them."""
    noun = "shapes" if len(shapes) > 1 else "shape"
    return f"{noun} {' and '.join(map(str, shapes))}"
