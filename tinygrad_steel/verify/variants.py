"""Inputs that `check_op` makes itself out of an op's samples: where rules go wrong that are right on the samples.

Which of them the op is made for, only its forward can say: those that it refuses, and those of which it makes numbers
that are not finite, are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ops.op import Op
from ..ops.samples import Sample

# Lengths that differ, so that a transposed rule shows; lengths 1 and 0; and all that broadcasting does to a pair.
SHAPES = [
    (), (1,), (4,), (2, 3), (3, 2), (1, 3), (3, 1), (3, 3), (2, 3, 4), (2, 1, 3), (0,), (0, 3), (2, 0),
]  # fmt: skip
PAIRS = [(), (1,), (3,), (2, 3), (1, 3), (2, 1), (3, 2), (4, 2, 3), (4, 3, 2), (4, 1, 1), (0, 3)]
THREES = [(), (3,), (2, 3), (2, 1), (4, 2, 3)]
BY_COUNT = {1: SHAPES, 2: PAIRS, 3: THREES}  # of inputs
ALONG_AXES = [(4,), (2, 3), (1, 3), (3, 1), (2, 3, 4)]


class Trial(NamedTuple):
    """One set of inputs on which an op is proven."""

    label: str  # what messages call it: "sample 0, x negated"
    inputs: Sequence[np.ndarray]
    params: dict[str, Any]
    own: bool = False  # made here, and so perhaps beyond what the op is for: kinks and jumps are excused
    numbers: bool = False  # only the numbers are others: those of float32 and their places in memory have been seen
    plain: tuple[int, ...] = ()  # the inputs handed over as plain Python numbers
    loud: bool = False  # perhaps not what the rules are made for: if they raise an error, nothing is wrong in silence


def variants(op: Op, sample: Sample, label: str, shapes: bool) -> Iterator[Trial]:
    """The sample turned in every way; with `shapes`, other shapes and axes too, and each input alone."""
    trial = Trial(label, sample.inputs, sample.params, own=True)
    names = [*op.input_names, *(f"input {i}" for i in range(len(op.input_names), len(sample.inputs)))]
    fixed = [i for i, (x, vjp) in enumerate(zip(sample.inputs, op.vjps)) if vjp is None and is_distribution(x)]
    yield from other_numbers(trial, names, fixed, shapes)
    yield from other_types(trial, names)
    yield from other_params(op, trial)
    if shapes:
        yield from other_shapes(op, trial)
        yield from other_axes(op, trial)
        yield from other_counts(op, trial)


def floats_of(trial: Trial) -> list[int]:
    """The inputs that hold floats."""
    return [i for i, x in enumerate(trial.inputs) if x.dtype.kind == "f"]


def other_numbers(trial: Trial, names: Sequence[str], fixed: Sequence[int], alone: bool) -> Iterator[Trial]:
    """Another sign, size or offset, zeros and ties: for all inputs of floats at once, and for each `alone`."""
    ways: list[tuple[str, Any]] = [
        ("negated", np.negative),
        ("with other numbers", lambda x: drawn(x, x.shape, seed=2)),
        ("of either sign", lambda x: drawn(x, x.shape, seed=3, signs=True)),
        ("with a 0", lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, 0.0, x)),
        ("all 0", np.zeros_like),
        ("with ties", lambda x: np.round(x) + 0.0),
        ("all equal", lambda x: np.full_like(x, x.flat[0])),
        ("times 1e-6", lambda x: x * 1e-6),
        ("times 10", lambda x: x * 10),
        ("times 1e6", lambda x: x * 1e6),
        ("plus 1e4", lambda x: x + 1e4),
        ("plus 1e6", lambda x: x + 1e6),
    ]
    floats = [i for i in floats_of(trial) if trial.inputs[i].size and i not in fixed]
    groups = [floats, *([i] for i in floats if alone and len(floats) > 1)]
    for group, (way, change) in itertools.product(groups if floats else [], ways):
        inputs = [np.asarray(change(x)) if i in group else x for i, x in enumerate(trial.inputs)]
        which = " and ".join(names[i] for i in group)
        yield trial._replace(label=f"{trial.label}, {which} {way}", inputs=inputs, numbers=True)


def other_types(trial: Trial, names: Sequence[str]) -> Iterator[Trial]:
    """Integers and plain Python numbers beside floats, class ids in the types they come in."""
    floats = floats_of(trial)
    for i, x in enumerate(trial.inputs):
        before, after = trial.inputs[:i], trial.inputs[i + 1 :]
        if x.dtype.kind in "iu":
            for dtype in (np.int32, np.uint8):
                if np.array_equal(x.astype(dtype), x):
                    label = f"{trial.label}, {names[i]} as {np.dtype(dtype)}"
                    yield trial._replace(label=label, inputs=[*before, x.astype(dtype), *after])
        elif i in floats and len(floats) > 1 and x.size:
            whole = np.asarray(np.round(x) + np.equal(np.round(x), 0), dtype=int)
            yield trial._replace(label=f"{trial.label}, {names[i]} as integers", inputs=[*before, whole, *after])
            for number in (x.flat[0], whole.flat[0], np.array(2)):
                label = f"{trial.label}, {names[i]} a plain {number.item()}"
                yield trial._replace(label=label, inputs=[*before, np.array(number), *after], plain=(i,), loud=True)


def other_params(op: Op, trial: Trial) -> Iterator[Trial]:
    """Each parameter that is a number or a switch: a little further on, 0, and a float with the other sign too."""
    for name in op.param_names:
        value = trial.params.get(name, op.defaults[name])
        if isinstance(value, bool):
            others: list[Any] = [not value]
        elif isinstance(value, int):
            near = [value + 1, *([value - 1] if value > 1 else []), value + 2, 0, 1] if value >= 0 else []
            others = [n for n in dict.fromkeys(near) if n != value]
        elif isinstance(value, float):
            others = [value * 0.5, value * 1.5, -value, 0.0] if value else [0.5, -0.5]
        else:
            others = []
        for other in others:
            yield trial._replace(label=f"{trial.label}, {name}={other}", params={**trial.params, name: other})


def other_shapes(op: Op, trial: Trial) -> Iterator[Trial]:
    """All shapes for one input, all pairs for two; for more, the sample's own lengths exchanged."""
    count = len(trial.inputs)
    combinations = itertools.product(BY_COUNT.get(count, []), repeat=count)
    for shapes in itertools.chain(combinations, other_lengths(trial)):
        inputs = [drawn(x, shape, seed=4 + i) for i, (x, shape) in enumerate(zip(trial.inputs, shapes))]
        loud = any(len(x.shape) != len(shape) or 0 in shape for x, shape in zip(trial.inputs, shapes))
        yield trial._replace(label=f"{trial.label}, in {written(shapes)}", inputs=inputs, loud=loud)


def other_lengths(trial: Trial) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the sample with each length replaced by another, wherever it stands."""
    lengths = sorted({n for x in trial.inputs for n in x.shape})
    for changed in lengths:
        for new in (0, 1, changed + 1, changed + 2):
            yield [tuple(new if n == changed else n for n in x.shape) for x in trial.inputs]


def other_axes(op: Op, trial: Trial) -> Iterator[Trial]:
    """Each axis, counted from either end, none, and several; with each switch (keepdims) on and off."""
    axes = [name for name in op.param_names if name.startswith("axis")]
    orders = [name for name in op.param_names if name == "axes"]
    switches = [name for name in op.param_names if isinstance(trial.params.get(name, op.defaults[name]), bool)][:2]
    floats = floats_of(trial)
    if not axes and not orders:
        return
    own = {trial.inputs[i].shape for i in floats} - {*ALONG_AXES}
    for shape in [*ALONG_AXES, *sorted(own)]:
        n = len(shape)
        single: list[Any] = list(range(-n, n))
        several = [None, (), *(a for k in (1, 2, 3) for a in itertools.combinations(range(n), k))]
        several += [(0, -1), (-1, 0)] if n > 1 else []
        values = [single + several] if len(axes) == 1 else [single] * len(axes)
        values += [[None, *itertools.permutations(range(n)), tuple(range(-1, n - 1))]] * len(orders)
        inputs = [drawn(x, shape, seed=5 + i) if i in floats else x for i, x in enumerate(trial.inputs)]
        for chosen in itertools.product(*values, *[(False, True)] * len(switches)):
            params = {**trial.params, **dict(zip([*axes, *orders, *switches], chosen, strict=True))}
            values_of_axes = [params[key] for key in axes if op.defaults[key] is not None]
            loud = any(not isinstance(value, int) for value in values_of_axes)  # one axis is all that it takes
            said = ", ".join(f"{key}={params[key]}" for key in [*axes, *orders, *switches])
            label = f"{trial.label}, in {written([shape] * len(floats))}, {said}"
            yield trial._replace(label=label, inputs=inputs, params=params, loud=loud)


def other_counts(op: Op, trial: Trial) -> Iterator[Trial]:
    """One input, and one more, where any number fits."""
    if op.variadic and not op.input_names and trial.inputs:
        last = trial.inputs[-1]
        yield trial._replace(label=f"{trial.label}, its last input alone", inputs=[last])
        more = [*trial.inputs, drawn(last, last.shape, seed=6)]
        yield trial._replace(label=f"{trial.label}, its last input once more", inputs=more)


def written(shapes: Sequence[tuple[int, ...]]) -> str:
    """Shapes as messages show them."""
    return f"shape{'s' if len(shapes) > 1 else ''} {' and '.join(map(str, shapes))}"


def is_distribution(x: np.ndarray) -> bool:
    """Whether the rows are shares of a whole (labels): rules may count on that, and no forward looks."""
    shares = x.dtype.kind == "f" and x.ndim > 0 and x.shape[-1] > 1 and np.all(x >= 0)
    return bool(shares and np.allclose(np.sum(x, axis=-1), 1))


def drawn(x: np.ndarray, shape: tuple[int, ...], seed: int, signs: bool = False) -> np.ndarray:
    """Random numbers of this shape from where those of `x` lie; `signs` gives them either sign.

    Integers and bools are drawn from those that there are, as they choose something; shares remain shares.
    """
    rng = np.random.default_rng(seed)
    if x.dtype.kind != "f":
        return rng.choice(x.ravel(), shape) if x.size else np.zeros(shape, x.dtype)
    if is_distribution(x) and shape:
        shares = rng.uniform(0, 1, shape)
        if np.all((x == 0) | (x == 1)):  # one-hot
            shares = shares == np.max(shares, axis=-1, keepdims=True, initial=0)
        return np.asarray(shares / np.maximum(np.sum(shares, axis=-1, keepdims=True), 1e-9), dtype=x.dtype)
    sizes = np.abs(x[np.isfinite(x)])
    low, high = (sizes.min(), sizes.max()) if sizes.size else (0.3, 1.7)
    if low == high:
        low, high = (0.8 * low, 1.2 * high) if high else (0.3, 1.7)
    both = signs or (np.any(x < 0) and np.any(x > 0))
    sign = rng.choice([-1.0, 1.0], shape) if both else -1.0 if np.any(x < 0) else 1.0
    return np.asarray(rng.uniform(low, high, shape) * sign, dtype=x.dtype)
