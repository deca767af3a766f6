"""What `check_op` proves of vjps without differences: dtypes, linearity, memory, float32."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.gradients import grad
from ..engine.tensor import Tensor
from ..ops.op import Op, describe
from .case import Case, Place, is_float, random_weights, same
from .trial import Trial, next_call

Rule = Callable[..., Any]


class Watched:
    """Arrays beside copies of them."""

    def __init__(self, arrays: Sequence[Any]):
        self.arrays = arrays
        self.before = [np.array(x) for x in arrays]

    def changed(self) -> bool:
        """Whether something wrote into one of them."""
        return not all(map(same, self.before, self.arrays))


def check_rules(case: Case, op: Op, trial: Trial, dtype: type) -> None:
    """What differences do not see: dtypes, and vjps that write into what they are given."""
    xs = case.tensors(dtype)
    y = case.fn(*xs)
    longest = np.result_type(*(x.dtype for x in xs))
    if y.dtype.itemsize > longest.itemsize and "dtype" not in op.param_names:
        raise case.error(f"the result is {y.dtype} for {np.dtype(dtype)} inputs")
    weights = random_weights(y.shape, 0).astype(y.dtype)
    arrays = [x for x in y.arrays if isinstance(x, np.ndarray)]
    watched = Watched([weights, y.data, *arrays])
    next_call(op, trial)
    if watched.changed():
        raise case.error("the forward keeps an array that its next call overwrites: keep a new one")
    check_on_arrays(case, op, y, weights, watched)
    y.backward(weights)
    gradients = grad(y, [xs[i] for i in case.wanted], weights)
    if watched.changed():
        raise case.error("a vjp writes into the data of its arguments")
    for i, g in zip(case.wanted, gradients):
        check_gradient_type(case, i, xs[i], xs[i].grad)
        check_gradient_type(case, i, xs[i], g)


def check_on_arrays(case: Case, op: Op, y: Tensor, weights: np.ndarray, watched: Watched) -> None:
    """Raise where a vjp on arrays returns short floats or none, or writes into its arguments."""
    for i, vjp in vjps_of(case, op).items():
        check_vjp_dtype(case, i, applied(vjp, y, weights), y.arrays[i].dtype)
        if watched.changed():
            raise case.error(f"the vjp of {case.input(i)} writes into its arguments")


def check_vjp_dtype(case: Case, i: int, g: Any, dtype: np.dtype) -> None:
    """Raise where a vjp on arrays returns no array of floats as long as its input."""
    vjp = f"the vjp of {case.input(i)}"
    if isinstance(g, Tensor):
        raise case.error(f"{vjp} returns a Tensor where it was given arrays")
    found = getattr(g, "dtype", type(g).__name__)
    if not isinstance(found, np.dtype) or found.kind != "f" or found.itemsize < dtype.itemsize:
        raise case.error(f"{vjp} returns {found} where the input is {dtype}")


def check_gradient_type(case: Case, i: int, x: Tensor, g: Any) -> None:
    """Raise where a gradient has another shape or dtype than its input."""
    if g.shape != x.shape or g.dtype != x.dtype:
        has = f"has {describe(g)}, the input {describe(x)}"
        raise case.error(f"the gradient of {case.input(i)} {has}")


def vjps_of(case: Case, op: Op) -> dict[int, Rule]:
    """The vjps of the inputs to differentiate."""
    rules = itertools.islice(op.vjps, len(case.data))
    return {i: vjp for i, vjp in enumerate(rules) if i in case.wanted}


def applied(vjp: Rule, y: Tensor, g: Any) -> Any:
    """What a vjp gives for `g` on the arrays of a result."""
    return vjp(g, y.data, *y.arrays, **y.params)


def rules_of(case: Case, op: Op) -> tuple[Tensor, dict[int, Rule]]:
    """The result on Tensors, and the vjps on the arrays of it, as functions of `g` alone."""
    y = case.fn(*case.tensors())
    vjps = vjps_of(case, op)
    return y, {i: functools.partial(applied, vjp, y) for i, vjp in vjps.items()}


def close(a: Any, b: Any, size: Any, y: Tensor) -> bool:
    """Whether two gradients are the same beside the largest of `size`, where that is finite.

    What rounding leaves of numbers as large as the inputs and the result of `y` counts as nothing.
    """
    a, b, size = np.broadcast_arrays(a, b, size)
    finite = np.isfinite(size)
    largest = 1.0
    for x in (y.data, *y.arrays[: len(y.inputs)]):
        largest = max(largest, float(np.max(np.abs(x), initial=1.0)))
    tolerance = 1e-9 * np.max(size[finite], initial=0.0) + 1e-12 * largest
    return bool(np.all(np.abs(a - b)[finite] <= tolerance))


def check_linear(case: Case, op: Op) -> None:
    """Raise where a vjp is not linear in `g`, changes later, or uses an array again."""
    y, rules = rules_of(case, op)
    one = random_weights(y.shape, 0)
    other = random_weights(y.shape, 2)
    other = other * np.resize([0.0, 1e3, 1e-3, 1.0], other.shape)
    for i, rule in rules.items():
        vjp = f"the vjp of {case.input(i)}"
        result = rule(one)
        first = np.array(result)
        second = np.array(rule(other))
        if not same(result, first):
            raise case.error(f"{vjp} returns an array that its next call overwrites")
        if not same(rule(one), first):
            raise case.error(f"{vjp} gives different results for the same input and gradient")
        for factor in (-1.0, 0.0, 1e4):
            size = (1 + abs(factor)) * np.abs(first)
            if not close(rule(factor * one), factor * first, size, y):
                raise case.error(f"{vjp} is not linear in g: {factor:g} * g gives something else")
        size = np.abs(first) + np.abs(second)
        if not close(rule(one + other), first + second, size, y):
            raise case.error(f"{vjp} is not linear in g: what it gives for a sum is not the sum")


Layout = Callable[[np.ndarray], np.ndarray]
LAYOUTS: dict[str, Layout] = {
    "in Fortran order": np.asfortranarray,
    "with gaps between elements": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards in memory": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}


def check_layouts(case: Case, op: Op) -> None:
    """Raise where the same numbers in another order in memory give something else."""
    y, rules = rules_of(case, op)
    weights = random_weights(y.shape, 0)
    expected = {i: rule(weights) for i, rule in rules.items()}
    for words, layout in LAYOUTS.items():
        arrays = [in_layout(x, layout) for x in y.arrays]
        result, g = in_layout(y.data, layout), in_layout(weights, layout)
        again = np.asarray(case.fn(*map(np.asarray, arrays[: len(case.data)])))
        if not same_numbers(again, y.data, y):
            raise case.error(f"the forward gives something else on arrays {words}")
        for i, vjp in vjps_of(case, op).items():
            found = vjp(g, result, *arrays, **y.params)
            if not same_numbers(found, expected[i], y):
                raise case.error(
                    f"the vjp of {case.input(i)} gives something else on arrays {words}"
                )


def in_layout(x: Any, layout: Layout) -> Any:
    """An array in another order in memory; a single number as it is."""
    return layout(x) if isinstance(x, np.ndarray) and x.ndim else x


def same_numbers(found: Any, expected: Any, y: Tensor) -> bool:
    """Whether two arrays have one shape, and numbers that are close beside the largest."""
    return np.shape(found) == np.shape(expected) and close(found, expected, np.abs(expected), y)


def check_short_floats(case: Case, kinks: Collection[Place]) -> None:
    """Raise where the gradients in float32 are not those in float64.

    Of numbers that float32 holds exactly, and as far as the function itself is steady enough.
    """
    short = with_floats(case, lambda x: x.astype(np.float32).astype(float))
    nudged = with_floats(short, lambda x: x * (1 + 1e-6))
    y, exact = result_and_gradients(short, np.float64)
    near, nearby = result_and_gradients(nudged, np.float64)
    rounded, found = result_and_gradients(short, np.float32)
    tolerance = 1e-4 * np.max(np.abs(y), initial=0)
    if not np.allclose(rounded, y, 1e-4, tolerance) or not np.all(np.isfinite(near)):
        return  # the function itself needs more than float32 here
    for i in case.wanted:
        # How much of a gradient is a matter of the last digits.
        steep = np.max(np.abs(nearby[i] - exact[i]), initial=0)
        if not np.isfinite(steep):
            continue
        tolerance = 1e-3 * np.max(np.abs(exact[i]), initial=0) + 100 * steep + 1e-6
        for at in np.ndindex(exact[i].shape):
            g, g32 = exact[i][at], found[i][at]
            smooth = (i, at) not in kinks and np.isfinite(g)
            if smooth and not abs(g32 - g) <= tolerance:  # which NaN is not
                values = f"{g32:.6g} in float32, {g:.6g} in float64"
                raise case.error(f"the gradient of {case.element(i, at)} is {values}")


def with_floats(case: Case, change: Callable[[np.ndarray], np.ndarray]) -> Case:
    """The case with its floats changed."""
    return replace(case, data=[change(x) if is_float(x) else x for x in case.data])


def result_and_gradients(case: Case, dtype: type) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """The result, and the gradients of the inputs, computed in `dtype`."""
    xs = case.tensors(dtype)
    y = case.fn(*xs)
    y.backward(random_weights(y.shape, 0).astype(y.dtype))
    return y.data, {i: xs[i].grad for i in case.wanted}
