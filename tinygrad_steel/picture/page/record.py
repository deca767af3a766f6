"""Frames of a training run: what one graph computes with the parameters of some moments."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.reads import refuse_reads
from ...engine.tensor import Tensor
from ...ops.op import describe
from ...program.draws import draw_error, no_draws_in_vjps
from ...program.given_names import GivenNames, Names, named_leaves
from ...program.lines import picks_by_mask
from ...program.messages import call_of
from ...program.trace import Traced
from ...program.values import Apply, Constant, Leaf, Value, alias, evaluate, only
from .hints import dead_units, hints_of
from .numbers import LINES, as_text, rows_and_columns
from .tracing import traced_for_page
from .vjps import SingleOps

if TYPE_CHECKING:
    from .story import Story

ROOM = 520_000  # characters of all frames together, however large the network
HEAD, EACH = 70, 6  # of them, what stands beside the numbers of one array, and one number
SIDES = (40, 32, 24, 20, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3)  # of a sample
# Of all frames, of 1/2 and of 1/4: the smallest side before there are rather fewer frames.
SMALLEST = {1: 6, 2: 5, 4: 4}
FEWEST = 3  # frames of the largest network: beginning, middle and end
DIGITS, DIGITS_ALONE = 3, 6
KEPT = ("v", "min", "max", "mean", "norm", "bad", "dead")  # what differs from frame to frame


class Record:
    """Moments of a training run, for the second slider on the page that `explore` makes.

    Make it of one loss before training, call `keep(step)` in the training loop, and hand it over at
    the end: `explore(run.loss, record=run)`. Each `keep` computes this one graph anew, forward and
    backward, with the numbers that its leaves have at that moment. So the frames show what training
    makes of one batch, whichever batches it is trained on, by whatever loop: `backward()` and an
    optimizer's `step()`, a step of `compile_backprop`, or epochs of `compile_epoch`.

    Of each value and gradient a frame has a sample, and statistics of the whole.

    Parameters
    ----------
    loss : Tensor
        A loss of one element, computed with the parameters that are trained. Where the training loop
        assigns new batches to `x.data`, compute it from a batch of its own.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    every : int
        From one frame to the next there are at least so many steps, 1 or more.
    most : int
        How many frames there are at most, 2 or more; of a graph of hundreds of values there are
        fewer. Where there would be more, every other one is dropped, and `every` doubles.

    Attributes
    ----------
    loss : Tensor
        The loss that it was made of.
    steps : list of int
        The step of each frame.
    losses : list of float
        The loss in each frame: that of the one batch.
    every, most : int
        As they are by now.

    Raises
    ------
    ValueError
        For an `every` below 1 or a `most` below 2, and where the loss has more than one element.
    RuntimeError
        Where nothing requires a gradient, and where data was replaced since the loss was computed.
    TypeError
        For what is no Tensor, for an op of one's own that draws random numbers, and where Python
        has read a number that the loss depends on (`if t > 0`, `rows[t]`): the frames would keep
        it whatever the parameters are.

    Warns
    -----
    FrozenNumberWarning
        Where a number was read which may, or may not, be in the loss.

    Notes
    -----
    What is followed is `.data` of the Tensors behind the loss, written in place or assigned. What is
    not: Tensors made anew (`w = w - rate * w.grad`), which the graph does not know; numbers and
    arrays that stand in the expression, such as the running statistics of a batch norm; and the
    masks of `dropout`, which stay as they were drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import SGD, Record, Tensor
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> w = Tensor([[0.0]], requires_grad=True, name="w")
    >>> def loss():
    ...     return np.mean(np.square(x @ w - y))
    >>> optimizer, run = SGD([w], 0.125), Record(loss(), every=2)
    >>> for step in range(5):
    ...     kept = run.keep(step)  # what the loss is before this step
    ...     optimizer.zero_grad()
    ...     loss().backward()
    ...     optimizer.step()
    >>> run
    <Record of 3 frames, steps 0 to 4, loss 17 to 0.107>
    >>> run.steps, [round(loss, 3) for loss in run.losses]
    ([0, 2, 4], [17.0, 0.434, 0.107])
    """

    def __init__(self, loss: Tensor, names: Names = None, every: int = 1, most: int = 40):
        self.loss, self.names = loss, names
        self.every = checked_count("every", every, 1)
        self.traced = followable(loss, names)
        self.frames: list[Frame] = []
        tensors = self.traced.tensors.items()
        self.leaves = {x: t for x, t in tensors if isinstance(x, Leaf)}
        self.fixed = [(t, t.age) for x, t in tensors if isinstance(x, Constant)]
        self.picked = [y for y in self.traced.program.applies if picks_by_mask(y)]
        parameters: list[Value] = [x for x, t in self.leaves.items() if t.requires_grad]
        self.moving = {*parameters, *computed_from(self.traced, parameters)}
        shapes = [y.shape for y in self.moving if y.op is not alias]
        self.side, self.most = samples(shapes, checked_count("most", most, 2))
        self.ages = {t: t.age for t in self.leaves.values()}
        self.latest: tuple[int, list[int]] | None = None

    # Keeping

    def keep(self, step: int) -> bool:
        """Keep a frame of this moment, where `every` says so.

        No data, no gradient and no generator changes; where no frame is kept it takes a microsecond
        or two. The page ends with the step that was told last, as long as its parameters are still
        there when the page is made: so call it once more after the training.

        Parameters
        ----------
        step : int
            How many steps, or epochs, were trained before; larger from call to call.

        Returns
        -------
        bool
            Whether there is a frame of this step.

        Raises
        ------
        TypeError
            For a step that is no whole number.
        ValueError
            For a step that is not larger than the one before, where data has another shape or dtype
            now, and where a mask, as in `x[mask]`, takes another number of elements.
        RuntimeError
            Where a Tensor without a name, which stands in the loss as a number, has changed.
        """
        step = checked_step(step, self.latest)
        self.latest = step, self._ages_now()
        if self.frames and step < self.frames[-1].step + self.every:
            return False
        self.frames.append(self._frame(step))
        if len(self.frames) > self.most:
            self._thin()
        return self.frames[-1].step == step

    def _thin(self) -> None:
        """Drop every other frame; those to come are as far from each other as the rest is."""
        self.frames = self.frames[::2]
        gaps = [b - a for a, b in zip(self.steps, self.steps[1:])]
        self.every = max(2 * self.every, min(gaps, default=0))

    def _ages_now(self) -> list[int]:
        """When each leaf got its data."""
        return [t.age for t in self.leaves.values()]

    def _frame(self, step: int) -> Frame:
        """What the graph computes now."""
        arrays = self._arrays_now()
        changed: list[Value] = [
            x for x in self.leaves if not same(arrays[x], self.traced.arrays[x])
        ]
        self._check_masks(arrays)
        with np.errstate(all="ignore"):  # an overflow is seen in the frame
            numbers = evaluate(self.traced.program, arrays)
        texts: dict[Value, str] = {}
        for x in changed:
            texts[x] = entry(x, numbers[x], self.side)
        for y in computed_from(self.traced, changed):
            texts[y] = texts[y.inputs[0]] if y.op is alias else entry(y, numbers[y], self.side)
        parameters = b"".join(
            arrays[x].tobytes() for x, t in self.leaves.items() if t.requires_grad
        )
        return Frame(step, float(numbers[self.traced.loss].item()), texts, hash(parameters))

    def _arrays_now(self) -> dict[Value, np.ndarray]:
        """What `evaluate` begins with: the data of the leaves, and the draws of when it was traced."""
        for t, age in self.fixed:
            if t.age != age:
                raise RuntimeError(
                    f"{describe(t)} has changed since the loss was recorded, where it stands as a "
                    f"number: make it with Tensor(..., name=...), so that it is followed"
                )
        found = dict(self.traced.arrays)
        for x, t in self.leaves.items():
            data = np.asarray(t.data)
            if (data.shape, data.dtype) != (x.shape, x.dtype):
                raise ValueError(
                    f"{t.name or 'a Tensor'} is {describe(data)} now, and was {x.shape} {x.dtype} "
                    f"when the loss was recorded: give Record the loss of a batch of its own, whose "
                    f"Tensors keep their shapes"
                )
            found[x] = data
        return found

    def _check_masks(self, arrays: Mapping[Value, np.ndarray]) -> None:
        """ValueError where a mask takes another number of elements than in the graph."""
        program = self.traced.program
        for y in self.picked:
            with np.errstate(all="ignore"):
                shape = evaluate(only(program, [y]), arrays)[y].shape
            if shape != y.shape:
                raise ValueError(
                    f"{call_of(y, self.traced.names)} is {shape} now, and was {y.shape} when the "
                    f"loss was recorded: the frames of one graph have one shape; write "
                    f"np.where(mask, x, 0) for x[mask]"
                )

    # What was kept

    @property
    def steps(self) -> list[int]:
        """The step of each frame."""
        return [frame.step for frame in self.frames]

    @property
    def losses(self) -> list[float]:
        """The loss in each frame: that of the one batch."""
        return [frame.loss for frame in self.frames]

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        if not self.frames:
            return "<Record without frames>"
        first, last = self.frames[0], self.frames[-1]
        if first is last:
            return f"<Record of 1 frame, step {first.step}, loss {first.loss:.3g}>"
        return (
            f"<Record of {len(self)} frames, steps {first.step} to {last.step}, "
            f"loss {first.loss:.3g} to {last.loss:.3g}>"
        )


@dataclasses.dataclass(frozen=True)
class Frame:
    """One moment: what of the graph differs from when it was traced, each array as JSON.

    `parameters`: a hash of all of them, by which one sees that one has changed.
    """

    step: int
    loss: float
    arrays: Mapping[Value, str]
    parameters: int


def followable(loss: Tensor, names: Names) -> Traced:
    """A loss traced; TypeError where a frame would hold what is another one at each moment."""
    refuse_reads([loss], named_leaves(loss, names), "the frames would keep that number")
    with no_draws_in_vjps(loss, "the record"), np.errstate(all="ignore"):
        traced = traced_for_page(loss, names)
        for y in traced.random:
            if isinstance(y, Apply) and not y.op.draws:
                raise draw_error(call_of(y, traced.names), "the record")
        return with_each_vjp(traced)


def with_each_vjp(traced: Traced) -> Traced:
    """A traced loss with what each op sends back by itself, which the equations of a page show."""
    single = SingleOps(traced, traced.numbers())
    for t, x in traced.made.items():
        if t.op is not None and x in traced.gradient_of:
            single.vjps(t)
    return single.extended()


def computed_from(traced: Traced, leaves: Iterable[Value]) -> list[Apply]:
    """What depends on these leaves, inputs first."""
    found: set[Any] = {*leaves}
    for y in traced.program.applies:
        if y not in traced.random and not found.isdisjoint(y.inputs):
            found.add(y)
    return [y for y in traced.program.applies if y in found]


def with_names(traced: Traced, names: Names) -> Traced:
    """A traced loss in which Tensors that had no name when it was recorded have one."""
    given = GivenNames(names)
    found = {x: name for t, x in traced.made.items() if (name := given.of(t))}
    return dataclasses.replace(traced, names={**found, **traced.names})


def checked_step(step: Any, latest: tuple[int, list[int]] | None) -> int:
    """The step as an int, larger than the last one."""
    try:
        found = operator.index(step)
    except TypeError:
        raise TypeError(f"a step is a whole number, not {step!r:.60}") from None
    if latest is not None and found <= latest[0]:
        raise ValueError(
            f"step {found} does not come after step {latest[0]}: steps rise from call to "
            f"call; for another run make another Record"
        )
    return found


def checked_count(name: str, value: Any, least: int) -> int:
    """A number of steps or frames; TypeError for none, ValueError below the least."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r:.60}") from None
    if found < least:
        raise ValueError(f"{name} is at least {least}, not {found}")
    return found


def entry(y: Value, array: np.ndarray, side: int) -> str:
    """One array of a frame, in the form of the page."""
    text = text_of(y, array, side)
    found = {key: shorter(text[key]) for key in KEPT if key in text}
    return json.dumps(found, allow_nan=False, separators=(",", ":"))


def text_of(y: Value, array: np.ndarray, side: int) -> dict[str, Any]:
    """An array as all frames show it, and of a relu how many units are dead."""
    digits = DIGITS if array.size > 1 else DIGITS_ALONE
    text = as_text(array, side, side, digits)
    dead = dead_units(y, array)
    return text | {"dead": dead} if dead else text


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape and dtype hold the same numbers, NaN as well."""
    return a is b or np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def shorter(x: Any) -> Any:
    """A statistic with the digits that a page shows."""
    found = float(f"{x:.4g}") if isinstance(x, float) else x
    return found if found not in (np.inf, -np.inf) else x  # the largest float there is rounds up


# How much of each array is kept


def samples(shapes: Sequence[tuple[int, ...]], most: int) -> tuple[int, int]:
    """The side of a sample of each array, and the number of frames, for which there is room."""
    for share, smallest in SMALLEST.items():
        frames = max(most // share, min(most, FEWEST))
        for side in SIDES:
            if side >= smallest and frames * frame_length(shapes, side) <= ROOM:
                return side, frames
    return SIDES[-1], max(min(most, FEWEST), ROOM // (1 + frame_length(shapes, SIDES[-1])))


def frame_length(shapes: Iterable[tuple[int, ...]], side: int) -> int:
    """About how long a frame is, with samples of at most so many rows and columns."""
    return sum(HEAD + EACH * cells(shape, side) for shape in shapes)


def cells(shape: tuple[int, ...], side: int) -> int:
    """How many numbers of an array there are in such a sample."""
    rows, cols = rows_and_columns(shape)
    return min(rows, side) * min(cols, side * LINES if rows == 1 else side)


# The page


def frames_of(story: Story, record: Record) -> dict[str, Any]:
    """What the page is told of a record, made from the story of its own graph.

    The arrays of the story which the frames show take their sampling, so that one lies over the
    other.
    """
    frames = with_last(record)
    kept = {y for frame in frames for y in frame.arrays}
    shown = {y: i for y, i in story.values.items() if y in kept}
    numbers, arrays = record.traced.numbers(), story.data["arrays"]
    resampled = kept | record.moving | record.traced.late  # what is added up is sampled alike
    for y, i in story.values.items():
        if y in resampled:
            arrays[i] = text_of(y, numbers[y], record.side)
    found = [shown_frame(frame, shown) for frame in frames]
    scale = {str(i): scale_of(str(i), arrays[i], found) for i in shown.values()}
    since = unchanged_since(frames)
    for frame, hints in zip(found, hints_of(story.data, found, since)):
        frame["hints"] = hints
    return {"frames": found, "scale": scale}


def with_last(record: Record) -> list[Frame]:
    """The frames, and one of the step that was told last, where its parameters are there."""
    if record.latest is None:
        raise ValueError(
            "the Record has no frames: call keep(step) in the training loop, before or after "
            "each step"
        )
    step, ages = record.latest
    is_missing = step > record.frames[-1].step and ages == record._ages_now()
    return [*record.frames, record._frame(step)] if is_missing else record.frames


def shown_frame(frame: Frame, shown: Mapping[Value, int]) -> dict[str, Any]:
    """One frame as the page has it."""
    arrays = {str(i): json.loads(frame.arrays[y]) for y, i in shown.items() if y in frame.arrays}
    return {"step": frame.step, "loss": f"{frame.loss:.6g}", "arrays": arrays}


def unchanged_since(frames: Sequence[Frame]) -> list[int]:
    """For each frame the step of the first one that had the same parameters, and all in between."""
    found: list[int] = []
    for before, frame in zip([None, *frames], frames):
        is_same = before is not None and before.parameters == frame.parameters
        found.append(found[-1] if is_same else frame.step)
    return found


def scale_of(i: str, base: Mapping[str, Any], frames: Iterable[Mapping[str, Any]]) -> float:
    """The largest absolute value of an array over all frames."""
    entries = [frame["arrays"].get(i, base) for frame in frames]
    ends = [x.get(end) for x in entries for end in ("min", "max")]
    return max((abs(x) for x in ends if isinstance(x, int | float)), default=0.0)
