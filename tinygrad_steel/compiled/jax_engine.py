"""The same program run by jax: under `jit`, epochs by `lax.scan`, on whatever devices jax has."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .. import ops
from ..ops.fast import ndarray
from ..program.values import Leaf, Value, compute, inputs_of
from .engines import Engine
from .feeds import fitting
from .jax_calls import Calls
from .lower import TrainingStep
from .lowered import size
from .updates import next_numbers

Arrays = dict[str, Any]  # by the name of their dtype


class Block:
    """Values in as few arrays as there are dtypes: each array that is handed to jax takes time."""

    def __init__(self, values: Iterable[Value]):
        self.groups: dict[str, list[Value]] = {}
        for x in values:
            self.groups.setdefault(x.dtype.name, []).append(x)
        self.values = [x for group in self.groups.values() for x in group]
        self.arrays: Arrays = {
            name: np.zeros(sum(map(size, group)), name) for name, group in self.groups.items()
        }
        self.views: dict[Value, np.ndarray] = self.parts(self.arrays)

    def parts(self, arrays: Arrays) -> dict[Value, Any]:
        """The array of each value, in NumPy a view."""
        found = {}
        for name, group in self.groups.items():
            first = 0
            for x in group:
                found[x] = arrays[name][first : first + size(x)].reshape(x.shape)
                first += size(x)
        return found

    def joined(self, arrays: Mapping[Value, Any]) -> Arrays:
        """The other way round, in jax."""
        return {
            name: jnp.concatenate([arrays[x].reshape(-1) for x in group])
            for name, group in self.groups.items()
        }

    def take(self, arrays: Arrays) -> None:
        """New numbers for all."""
        for name, array in arrays.items():
            self.arrays[name][...] = array

    def put(self, arrays: Mapping[Value, Any]) -> None:
        """New numbers for each."""
        for x, view in self.views.items():
            view[...] = arrays[x]


class JaxEngine(Engine):
    """A function that jax has compiled, and what is kept between its calls, in NumPy's memory."""

    backend = "jax"

    def __init__(self, program: TrainingStep, what: str):
        super().__init__(program)
        self.calls = Calls(program)
        self.source = self.calls.source()
        self.kept = Block([*(x for _, x in program.held), *(x for *_, x in program.states)])
        self.gradients = [g for *_, g in program.parameters]
        self.found = Block([program.loss, *program.outputs, *self.gradients])
        self.numbers = Block(program.numbers)
        self.place = Placement(program.feeds)
        with as_in_numpy():
            self.constants = self.place.everywhere(
                [program.arrays[x] for x in self.calls.constants]
            )
        self.epochs: dict[tuple[int, ...], Any] = {}
        if what == "step":
            self.compiled_step  # noqa: B018  # now, and not at its first call
        else:
            with as_in_numpy():
                jax.eval_shape(self.one_step, *self.like_a_step())

    def view(self, value: Value) -> np.ndarray:
        return self.found.views[value] if value in self.found.views else self.kept.views[value]

    # A step

    def traced(
        self, kept: Mapping[Value, Any], feeds: Any, drawn: Any, numbers: Arrays, constants: Any
    ) -> tuple[dict[Value, Any], dict[Value, Any], Any]:
        """All values of a step, what is kept for the next one, and whether all is as in NumPy."""
        program = self.program
        given: dict[Value, Any] = {
            **kept,
            **dict(zip(program.feeds, feeds)),
            **dict(zip(program.draws, drawn)),
            **dict(zip(self.calls.constants, constants)),
            **self.numbers.parts(numbers),
        }
        with jax.default_matmul_precision("highest"):
            arrays, checks = self.calls.run(given)
        renewed = {leaf: arrays[new] for leaf, new in program.updates}
        arrays = {x: jnp.asarray(arrays[x]) for x in self.found.values}
        return arrays, {**kept, **renewed}, jnp.stack(checks).all() if checks else None

    def one_step(self, kept: Arrays, *given: Any) -> tuple[Arrays, Arrays | None, Any]:
        """One step on what a step is handed."""
        arrays, new, is_well = self.traced(self.kept.parts(kept), *given)
        moved = self.kept.joined(new) if self.program.updates else None
        return self.found.joined(arrays), moved, is_well

    def like_a_step(self) -> tuple[Any, ...]:
        """What a step is handed, as to shapes and dtypes."""
        shaped = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self.program.feeds]
        drawn = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self.program.draws]
        return self.kept.arrays, shaped, drawn, self.numbers.arrays, self.constants

    @functools.cached_property
    def compiled_step(self) -> Any:
        """The function for a step."""
        return self.compiled(self.one_step, self.like_a_step(), ())

    def compiled(self, function: Any, given: tuple[Any, ...], before: tuple[None, ...]) -> Any:
        """A function compiled for what it is handed; `before`: axes of the feeds before their own."""
        start = time.perf_counter()
        with as_in_numpy():
            jitted = jax.jit(function, **self.place.shardings(len(given), before))
            done = jitted.lower(*given).compile()
        self.compile_seconds += time.perf_counter() - start
        return done

    def step(self, arrays: Sequence[Any]) -> float:
        feeds = self.fitted(arrays)
        if self.optimizer is not None:
            self.renew()
        drawn = [draw(x) for x in self.program.draws]
        with as_in_numpy():
            found, kept, is_well = self.compiled_step(
                self.kept.arrays, feeds, drawn, self.numbers.arrays, self.constants
            )
            found, kept = jax.tree.map(np.asarray, (found, kept))
        if is_well is None or is_well:
            self.found.take(found)
            self.kept.take(kept or {})
        else:
            self.step_in_numpy(feeds, drawn)
        if self.optimizer is not None:
            self.optimizer.steps += 1
        loss: float = self.loss.item()
        return loss

    def fitted(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The arrays as they were compiled for, as far as that is possible."""
        found = []
        for leaf, x in zip(self.program.feeds, arrays):
            if x.__class__ is not ndarray or x.shape != leaf.shape or x.dtype is not leaf.dtype:
                x = fitting(leaf, x, self.program.called(leaf)).reshape(leaf.shape)
            found.append(x)
        return found

    def renew(self) -> None:
        """The optimizer's numbers for the next step, if they have changed."""
        optimizer: Any = self.optimizer
        if self.changing or self.last_rate != optimizer._learning_rate:
            self.last_rate = optimizer._learning_rate
            self.numbers.put(dict(zip(self.program.numbers, next_numbers(optimizer))))

    def step_in_numpy(self, feeds: Any, drawn: Any) -> None:
        """The same step in NumPy, which raises what is to be raised: jax raises nothing."""
        program = self.program
        arrays: dict[Value, Any] = {
            **program.arrays,
            **self.kept.views,
            **self.numbers.views,
            **dict(zip(program.feeds, feeds)),
            **dict(zip(program.draws, drawn)),
        }
        for y in program.nodes:
            if y not in arrays:
                inputs = inputs_of(y, arrays)
                if y.op is ops.one_hot:
                    ops.check_ids(inputs[0], y.params["classes"])
                arrays[y] = compute(y, inputs)
        self.found.put(arrays)
        self.kept.put({**arrays, **{leaf: arrays[new] for leaf, new in program.updates}})

    # All steps of an epoch

    def all_steps(
        self, kept: Arrays, feeds: Any, order: Any, numbers: Arrays, constants: Any
    ) -> tuple[Any, ...]:
        """So many steps as there are rows in `order`, which are those of the feeds."""
        if self.place.mesh is None:
            feeds = [x[order] for x in feeds]

        def body(carry: Any, given: Any) -> tuple[Any, Any]:
            rows, numbers = given
            old = dict(zip(self.kept.values, carry[0]))
            arrays, new, is_well = self.traced(old, rows, (), numbers, constants)
            results = [arrays[x] for x in (self.program.loss, *self.program.outputs)]
            gradients = [arrays[g] for g in self.gradients]
            return ([*new.values()], gradients), (results, is_well)

        start = [jnp.zeros(g.shape, g.dtype) for g in self.gradients]
        (new, gradients), (results, is_well) = jax.lax.scan(
            body, ([*self.kept.parts(kept).values()], start), (feeds, numbers)
        )
        return self.kept.joined(dict(zip(self.kept.values, new))), gradients, results, is_well

    def epoch(
        self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        if not count or self.program.draws:
            return super().epoch(arrays, order, count)
        rows = order.reshape(count, -1)
        feeds = [*arrays] if self.place.mesh is None else [x[rows] for x in arrays]
        given = self.kept.arrays, feeds, rows, self.numbers_of(count), self.constants
        key = (count, *(len(x) for x in feeds))
        if key not in self.epochs:
            self.epochs[key] = self.compiled(self.all_steps, given, (None,))
        with as_in_numpy():
            kept, gradients, results, is_well = self.epochs[key](*given)
            kept, gradients = jax.tree.map(np.asarray, (kept, gradients))
            losses, *outputs = map(np.array, results)
        if is_well is not None and not all(is_well):
            return super().epoch(arrays, order, count)
        self.kept.take(kept)
        for g, array in zip(self.gradients, gradients):
            self.found.views[g][...] = array
        if self.optimizer is not None:
            self.optimizer.steps += count
        return losses, outputs

    def numbers_of(self, count: int) -> Arrays:
        """The optimizer's numbers for so many steps, which are not counted yet."""
        optimizer: Any = self.optimizer
        self.renew()
        if not self.changing:
            return {name: np.tile(x, (count, 1)) for name, x in self.numbers.arrays.items()}
        before, rows = optimizer.steps, []
        try:
            for optimizer.steps in range(before, before + count):
                self.renew()
                rows.append({name: x.copy() for name, x in self.numbers.arrays.items()})
        finally:
            optimizer.steps = before
        return {name: np.stack([row[name] for row in rows]) for name in self.numbers.arrays}


def draw(value: Any) -> np.ndarray:
    """What an op draws, which of its input looks at shape and dtype alone."""
    (x,) = value.values()
    return compute(value, [np.zeros(x.shape, x.dtype)])


# Where it runs, and in which numbers


class Placement:
    """On which devices: one, or all, each of which takes its part of the rows.

    All where jax has several, `jax_default_device` names none of them, and their number divides the
    length of a feed's first axis. Such feeds are split, everything else is on each of them.
    """

    def __init__(self, feeds: list[Leaf]):
        devices = jax.local_devices()
        split = [bool(x.shape) and x.shape[0] % len(devices) == 0 for x in feeds]
        self.mesh: Any = None
        if len(devices) > 1 and jax.config.jax_default_device is None and any(split):
            self.mesh = Mesh(np.array(devices), ("rows",))
        self.axes = [("rows",) if is_split else () for is_split in split]

    def shardings(self, count: int, before: tuple[None, ...]) -> dict[str, Any]:
        """The arguments of `jit` that say so; the second of what is handed in are the feeds."""
        if self.mesh is None:
            return {}
        same = NamedSharding(self.mesh, PartitionSpec())
        feeds = [NamedSharding(self.mesh, PartitionSpec(*before, *axes)) for axes in self.axes]
        return {
            "in_shardings": (same, feeds, *[same] * (count - 2)),
            "out_shardings": same,
        }

    def everywhere(self, arrays: list[Any]) -> list[Any]:
        """Copies that stay on the devices."""
        same = None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())
        return [jax.device_put(np.array(x), same) for x in arrays]


def as_in_numpy() -> Any:
    """A context in which float64 is float64, for this thread alone."""
    return jax.enable_x64(True)
