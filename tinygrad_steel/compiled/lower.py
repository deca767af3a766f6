"""A traced step as a program for machines: NumPy's own functions, each value once, none unused."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..engine.backward import pull_arrays, seed
from ..engine.optim import Optimizer
from ..engine.reads import refuse_reads
from ..engine.tensor import Tensor
from ..ops.fast import is_numpy
from ..ops.op import describe
from ..program.ancestors import ancestors
from ..program.draws import no_draws_in_vjps
from ..program.given_names import Names
from ..program.parts import Arrays
from ..program.rewrite import Rebuilding, rewriting
from ..program.trace import Traced, for_reader, trace
from ..program.values import Apply, Constant, Leaf, Value, apply, behind, constant
from .lowered import is_view
from .machine import machine_rows
from .updates import Updates, check_optimizer


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """One training step.

    `feeds`: leaves whose arrays come with each call. `parameters`: `(Tensor, leaf, gradient)`.
    `followed`: `(Tensor, leaf)` for those that require a gradient but get none, such as a threshold
    in a comparison: their data may change like that of any parameter. `states`: `(i, k, leaf)` for
    `optimizer.states[i][k]`. `numbers`: 0-d leaves for the optimizer's numbers, which differ from
    step to step. `updates`: `(leaf, its new value)`, to be done when everything else is. `draws`:
    what draws random numbers, in the order of drawing. `traced_arrays`: those of the leaves when
    traced. `names`: those of leaves. `fixed`: the Tensors whose data is part of the program.
    """

    optimizer: Optimizer | None
    loss: Apply
    outputs: list[Apply]
    feeds: list[Leaf]
    parameters: list[tuple[Tensor, Leaf, Apply]]
    followed: list[tuple[Tensor, Leaf]]
    states: list[tuple[int, int, Leaf]]
    numbers: list[Leaf]
    updates: list[tuple[Any, Apply]]
    draws: list[Value]
    traced_arrays: Mapping[Value, Any]
    names: Mapping[Value, str]
    fixed: list[Tensor]

    @functools.cached_property
    def order(self) -> dict[Value, None]:
        """All that is needed, inputs first."""
        gradients = [g for *_, g in self.parameters]
        new_values = [y for _, y in self.updates]
        return behind([*self.draws, self.loss, *self.outputs, *gradients, *new_values])

    @functools.cached_property
    def nodes(self) -> list[Apply]:
        """What is computed, in order."""
        return [x for x in self.order if isinstance(x, Apply)]

    @functools.cached_property
    def coming(self) -> set[Leaf]:
        """The leaves whose arrays may be others in each step."""
        return {
            *self.feeds,
            *self.numbers,
            *(x for _, x in self.held),
            *(x for *_, x in self.states),
        }

    @functools.cached_property
    def constants(self) -> list[Leaf | Constant]:
        """What stays as it is, with Leaves for arrays of the user."""
        return [x for x in self.order if not isinstance(x, Apply) and x not in self.coming]

    @functools.cached_property
    def arrays(self) -> dict[Value, Any]:
        """The traced numbers of all that is not computed."""
        given = [*self.coming, *self.constants]
        return {x: x.data if isinstance(x, Constant) else self.traced_arrays[x] for x in given}

    @property
    def held(self) -> list[tuple[Tensor, Leaf]]:
        """The Tensors whose data a step keeps in its memory, with a gradient or without, and their
        leaves.
        """
        return [*((p, x) for p, x, _ in self.parameters), *self.followed]

    def called(self, leaf: Value) -> str:
        """What messages call a leaf."""
        return self.names.get(leaf, "an input")

    def classes(self, feed: Value) -> list[int]:
        """The numbers of classes of which a feed holds ids."""
        return [
            y.params["classes"] for y in self.nodes if y.op is ops.one_hot and y.inputs[0] is feed
        ]


def training_step(
    loss: Tensor,
    names: Names = None,
    optimizer: Optimizer | None = None,
    outputs: Sequence[Tensor] = (),
    feeds: Sequence[Tensor] | None = None,
) -> TrainingStep:
    """Forward, backward and update of a loss; `feeds`: the leaves to be given, if not all that have
    names.
    """
    check_optimizer(optimizer)
    if isinstance(outputs, Tensor):
        raise TypeError("outputs is a list of Tensors: write outputs=[output]")
    for t in ancestors([loss, *outputs]):
        if not is_numpy(t.data):
            kind = type(t.data)
            library = kind.__module__.partition(".")[0]
            raise TypeError(
                f"compiled steps are for NumPy's arrays, and {describe(t)} holds a {library} "
                f"{kind.__name__}"
            )
    updates = Updates(optimizer)
    with np.errstate(all="ignore"):  # the loss has warned already, if need be
        with no_draws_in_vjps(loss, "the compiled step"):
            traced = trace(loss, names, outputs=outputs, update=updates.follow)
        check_tracing(loss, traced)
        sorted_leaves = Leaves(traced, outputs, feeds)
        sorted_leaves.check(loss, outputs, feeds)
        return lowered(traced, updates, sorted_leaves, outputs)


class Leaves:
    """The leaves of the loss and of the outputs, by what they are to a step."""

    def __init__(self, traced: Traced, outputs: Sequence[Tensor], feeds: Sequence[Tensor] | None):
        made, self.tensors = traced.made, traced.tensors
        every = dict.fromkeys(
            [*traced.leaves, *(made[t] for t in ancestors(outputs) if t.op is None)]
        )
        self.wanted: list[Any] = [x for x in every if self.tensors[x].requires_grad]
        self.fed: list[Any] = [x for x in every if x in traced.names and x not in self.wanted]
        if feeds is not None:
            self.fed = [made[t] for t in feeds if t in made]
        self.fixed = [
            t for x, t in self.tensors.items() if x not in self.wanted and x not in self.fed
        ]

    def check(
        self, loss: Tensor, outputs: Sequence[Tensor], feeds: Sequence[Tensor] | None
    ) -> None:
        """Raise where a number may be part of the program that should come from outside."""
        youngest = max((t.age for t in self.fixed), default=0)
        fed = [self.tensors[x] for x in self.fed]
        for t in fed:
            if t.name is None and t.age < youngest:
                raise ValueError(
                    f"there is an array in the loss that may have been computed from "
                    f"{describe(t)}, which has no "
                    f"name: make it with Tensor(..., name=...), so that what is computed from it "
                    "is recorded"
                )
        given_anew = [*(feeds or ()), *fed, *(self.tensors[x] for x in self.wanted)]
        refuse_reads([loss, *outputs], given_anew, "the compiled step would keep that number")
        for t in outputs:
            if any(t is constant for constant in self.fixed):
                raise ValueError(
                    f"the output {describe(t)} is a constant: nothing recorded of how it was "
                    "computed"
                )


def check_tracing(loss: Tensor, traced: Traced) -> None:
    """TypeError where an op's rule gives something else on Tensors, where it is traced, than on
    arrays.
    """
    numbers = {x: t.data for t, x in traced.made.items()}
    pulled = pull_arrays(loss, seed(loss, None))
    scale = min(1.0, max((largest_finite(g) for _, g in pulled), default=0))
    for t, g in pulled:
        error = np.abs(numbers[traced.gradient_of[traced.made[t]]] - g)
        rounding = scale * np.sqrt(np.finfo(t.dtype).eps)
        if largest_finite(error) > 1e-3 * np.max(np.abs(g), initial=0) + rounding:
            raise TypeError(
                f"the gradient of {describe(t)} is another one when the rules of its ops are "
                "traced: a rule may not "
                f"look at the types of what it gets, and what an op keeps may be missing"
            )


def largest_finite(x: Any) -> float:
    """The largest size among the elements that are finite."""
    return float(np.max(np.abs(x), initial=0, where=np.isfinite(x)))


def lowered(
    traced: Traced, updates: Updates, leaves: Leaves, outputs: Sequence[Tensor]
) -> TrainingStep:
    """The step in the functions of machines."""
    traced = for_reader(traced)
    made, gradient_of = traced.made, traced.gradient_of
    moved = machine_form(traced)
    results = Results(moved)
    with_gradient = [x for x in leaves.wanted if x in gradient_of]
    without = [x for x in leaves.wanted if x not in gradient_of]
    states: list[Any] = [(i, k, made[leaf]) for i, k, leaf in updates.states]
    numbers: list[Any] = [made[t] for t in updates.numbers]
    return TrainingStep(
        optimizer=updates.optimizer,
        loss=results.own(traced.loss),
        outputs=[results.own(made[t]) for t in outputs],
        feeds=leaves.fed,
        parameters=[(leaves.tensors[x], x, results.own(gradient_of[x])) for x in with_gradient],
        followed=[(leaves.tensors[x], x) for x in without],
        states=states,
        numbers=numbers,
        updates=[(made[leaf], results.own(made[new])) for leaf, new in updates.moved],
        draws=[moved[x] for x in recorded_draws(traced)],
        traced_arrays=traced.arrays,
        names=traced.names,
        fixed=leaves.fixed,
    )


class Results:
    """Values as arrays of their own, which whoever gets them may keep and write into."""

    def __init__(self, moved: Mapping[Value, Value]):
        self.moved = moved
        self.taken: set[Value] = set()

    def own(self, x: Value) -> Apply:
        """What becomes of a value, or a copy where that is another's array already."""
        y = self.moved.get(x, x)
        if not isinstance(y, Apply) or is_view(y) or y in self.taken:
            y = apply(ops.add, (y, False), {}, y)
        self.taken.add(y)
        return y


def machine_form(traced: Traced) -> dict[Value, Value]:
    """Where each value goes when all are rewritten as machines compute them; each draw stays, for
    itself.
    """
    arrays = Arrays(traced.arrays)
    work = Rebuilding(rewriting(machine_rows(arrays)))
    if traced.start is not None:
        work.finished[traced.start] = constant(traced.arrays[traced.start])
    for old in traced.program.applies:
        again = work.on_new_inputs(old)
        if old in traced.random:
            work.finished[again] = work.finished[old] = again
            arrays.known[again] = traced.arrays[old]
        else:
            work.finished[old] = work.settle(again)
    return work.finished


def recorded_draws(traced: Traced) -> list[Value]:
    """What draws random numbers, in the order in which it was recorded, as it is to draw again."""
    by_age = sorted(traced.made, key=lambda t: t.age)
    recorded = dict.fromkeys(traced.made[t] for t in by_age)
    every = [*recorded, *traced.program.applies]
    return [*dict.fromkeys(x for x in every if x in traced.random)]
