"""Every op of the library on every sample that it declares: the one matrix over which each room lays its own check.

@every_sample                       # or @every_smooth_sample: of ops that have vjps
def test_what_a_room_promises(o, sample): ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import close, differences, random_like

from tinygrad_steel import OPS, Tensor, grad
from tinygrad_steel.ops.op import Op

LIBRARY = [
    o for o in OPS.values() if o.__module__.split(".")[0] in ("tinygrad_steel", "numpy")
]  # not the examples'


def cases(ops: list[Op]) -> list:
    """Pairs of an op and a sample, as parameters of a test."""
    return [
        pytest.param(o, sample, id=f"{o.name}-{i}")
        for o in ops
        for i, sample in enumerate(o.samples)
    ]


SMOOTH_OPS = [o for o in LIBRARY if o.differentiable]
FLAT_OPS = [o for o in LIBRARY if not o.differentiable]
SMOOTH = cases(SMOOTH_OPS)
PAIRS = [case.values for case in SMOOTH]  # for those that put many into one program


def over_samples(ops: list[Op]) -> Callable:
    """A test of `(o, sample, ...)` becomes one of each op that goes over its samples.

    An item for each sample would take pytest-xdist more time than the sample takes.
    """

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def over_its_samples(o: Op, **fixtures: Any) -> None:
            assert o.samples
            for i, sample in enumerate(o.samples):
                try:
                    test(o=o, sample=sample, **fixtures)
                except BaseException as error:
                    error.add_note(f"on sample {i} of {o.name}: {sample!r:.500}")
                    raise

        wanted = inspect.signature(test)
        given = [x for name, x in wanted.parameters.items() if name != "sample"]
        over_its_samples.__signature__ = wanted.replace(parameters=given)
        return pytest.mark.parametrize("o", ops, ids=lambda o: o.name)(over_its_samples)

    return decorate


every_sample = over_samples(LIBRARY)
every_smooth_sample = over_samples(SMOOTH_OPS)
every_flat_sample = over_samples(FLAT_OPS)


def call(o, inputs, params):
    """The op's result; an op of a sequence is handed its inputs as one list."""
    return o(list(inputs), **params) if o.sequence else o(*inputs, **params)


def floats(inputs) -> list[int]:
    """Which inputs can have a gradient."""
    return [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]


def cast(sample, dtype) -> list:
    """A sample's inputs, its floats in another dtype."""
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in sample.inputs]


def tensors(inputs) -> list[Tensor]:
    """Tensors that want whatever gradient they can have."""
    return [Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]


def swapped(inputs, i, x) -> list:
    """The inputs with another one at i."""
    return [*inputs[:i], x, *inputs[i + 1 :]]


def vjps_agree_with_differences(o, sample):
    """Both roads give what central differences of the forward give: on arrays (backward) and on Tensors (grad)."""
    inputs, params = sample.inputs, sample.params
    xs = tensors(inputs)
    y = call(o, xs, params)
    assert y.requires_grad
    weights = random_like(y)
    y.backward(weights)
    wanted = floats(inputs)
    traced = grad(y, [xs[i] for i in wanted], weights)
    for i, g in zip(wanted, traced, strict=True):
        expected = differences(
            lambda x, i=i: np.vdot(weights, call(o, swapped(inputs, i, x), params)), inputs[i]
        )
        close(xs[i].grad, expected)
        close(g.data, expected)
