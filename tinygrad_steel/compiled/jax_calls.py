"""The jax back end: a program as calls of jax.numpy, for jax to trace and for people to read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ops
from ..engine.messages import describe_call
from ..program.names import Identifiers, numpy_name
from ..program.values import VALUES, Apply, Value
from .jax_ops import CHECKS, FUNCTIONS, astype
from .lower import TrainingStep
from .lowered import is_mask
from .numpy_calls import ufunc_of

INDEXED = (ops.getitem, ops.scatter)  # their first input is data, all others are places in it


@dataclass(frozen=True)
class Call:
    """How a value is computed; `dtypes`: what each input is converted to before, None: it stays."""

    value: Apply
    name: str
    function: Callable[..., Any]
    dtypes: list[np.dtype | None]

    def run(self, arrays: Mapping[Value, Any]) -> Any:
        """The result for these arrays, in the shape and dtype that NumPy gives."""
        inputs: list[Any] = []
        for x, dtype in zip(self.value.inputs, self.dtypes):
            array = arrays[x] if isinstance(x, VALUES) else x
            inputs.append(array if dtype is None else astype(array, dtype))
        if self.value.op.sequence:
            inputs = [inputs]
        try:
            y = self.function(*inputs, **self.value.params)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise TypeError(
                f"{describe_apply(self.value)} is not to be had in jax ({error}): use "
                'backend="numpy"'
            ) from error
        if (y.shape, y.dtype) != (self.value.shape, self.value.dtype):
            raise TypeError(
                f"{describe_apply(self.value)} is {y.shape} {y.dtype} in jax, not "
                f'{self.value.shape} {self.value.dtype}: use backend="numpy"'
            )
        return y

    def text(self, names: Mapping[Value, str]) -> str:
        """The same as source."""
        inputs = []
        for x, dtype in zip(self.value.inputs, self.dtypes):
            name = names[x] if isinstance(x, VALUES) else repr(x)
            inputs.append(name if dtype is None else f"astype({name}, {dtype!r})")
        if self.value.op.sequence:
            inputs = [f"[{', '.join(inputs)}]"]
        params = [f"{name}={value!r}" for name, value in self.value.params.items()]
        return f"{self.name}({', '.join([*inputs, *params])})"


def call_of(value: Apply, program: TrainingStep, fixed: Mapping[Value, Any]) -> Call:
    """The call for a value; TypeError where there is none.

    `fixed`: the arrays that stand in the program.
    """
    if value in program.draws:
        raise TypeError(
            f"{describe_apply(value)} draws random numbers, which jax would draw once and for all: "
            'use dropout or noise, or backend="numpy"'
        )
    if value.op in INDEXED and any(is_mask(x) and x not in fixed for x in value.inputs[1:]):
        raise TypeError(
            f"{describe_apply(value)} has a shape that depends on the data, which jax cannot "
            'compile: write where(mask, x, 0) in place of x[mask], or use backend="numpy"'
        )
    name, function = function_of(value)
    return Call(value, name, function, dtypes_of(value))


def function_of(value: Apply) -> tuple[str, Callable[..., Any]]:
    """What computes a value, and its name in the source."""
    op = value.op
    if op in FUNCTIONS:
        return FUNCTIONS[op].__name__, FUNCTIONS[op]
    name = numpy_name(op) if not op.foreign or isinstance(op.forward, np.ufunc) else None
    module, _, path = (name or "").partition(".")
    base: Any = {"np": jnp, "scipy": jax.scipy}.get(module)
    function = functools.reduce(lambda f, part: getattr(f, part, None), path.split("."), base)
    if function is None or op.counts:
        raise TypeError(
            f"{describe_apply(value)} has no form in jax.numpy, of which jax could make a program: "
            'use backend="numpy", or write the op in functions of NumPy that Tensors know'
        )
    return {"np": "jnp", "scipy": "jax.scipy"}[module] + "." + path, function


def dtypes_of(value: Apply) -> list[np.dtype | None]:
    """To what NumPy converts the inputs of an op, where jax would to something else."""
    inputs = value.inputs
    given = [x.dtype if isinstance(x, VALUES) else None for x in inputs]
    ufunc = ufunc_of(value)
    wanted: list[np.dtype | None]
    if ufunc is not None:
        wanted = [*ufunc.resolve_dtypes((*map(kind_of, inputs), *[None] * ufunc.nout))]
    elif value.op in INDEXED or value.op in (ops.astype, ops.asconstant, ops.one_hot):
        wanted = given
    elif value.op is ops.where:
        wanted = [given[0], value.dtype, value.dtype]
    elif value.dtype.kind == "f":
        wanted = [value.dtype] * len(inputs)
    else:
        wanted = [np.result_type(*(x for x in given if x is not None))] * len(inputs)
    return [new if x not in (None, new) else None for x, new in zip(given, wanted)]


def kind_of(x: Any) -> Any:
    """What decides on how NumPy converts an input: its dtype, or that it is a plain number."""
    if isinstance(x, VALUES):
        return x.dtype
    return np.dtype(bool) if isinstance(x, bool) else type(x)


def describe_apply(value: Apply) -> str:
    """What messages call a value."""
    return describe_call(value.op, value.inputs, dict(value.params))


class Calls:
    """A program as calls; `fixed`: the arrays that are part of it, `constants`: those that are
    handed in with each call, as they may be large.
    """

    def __init__(self, program: TrainingStep):
        self.program = program
        places = {
            x for y in program.nodes if y.op in INDEXED for x in y.inputs[1:] if x in program.arrays
        }
        self.constants = [x for x in program.constants if x.shape and x not in places]
        self.fixed: dict[Value, Any] = {
            x: np.array(program.arrays[x]) for x in program.constants if x not in self.constants
        }
        drawn = {
            y for y in program.nodes if y.op.draws
        }  # outside of the program, as eager mode does
        self.calls = [call_of(y, program, self.fixed) for y in program.nodes if y not in drawn]

    def run(self, given: Mapping[Value, Any]) -> tuple[dict[Value, Any], list[Any]]:
        """The arrays of all values, from those of what is not computed; and whether all is as in
        NumPy.
        """
        arrays = {**self.fixed, **given}
        checks = []
        for call in self.calls:
            y = arrays[call.value] = call.run(arrays)
            if call.value.op in CHECKS:
                inputs = [arrays[x] if isinstance(x, VALUES) else x for x in call.value.inputs]
                checks.append(CHECKS[call.value.op](call.value, y, *inputs))
        return arrays, [x for x in checks if x is not None]

    def source(self) -> str:
        """A function `step` that makes all the calls."""
        program, identifiers = self.program, Identifiers(["step", "jnp", "jax"])
        given: dict[Value, str] = {
            **dict.fromkeys([*program.feeds, *(x for _, x in program.held)], "array"),
            **dict.fromkeys([x for *_, x in program.states], "state"),
            **dict.fromkeys(program.draws, "drawn"),
            **dict.fromkeys(program.numbers, "number"),
            **dict.fromkeys(self.constants, "constant"),
        }
        names = {x: identifiers.free(program.names.get(x, what)) for x, what in given.items()}
        names |= {x: repr(array) for x, array in self.fixed.items()}
        lines = [f"def step({', '.join(names[x] for x in given)}):"]
        for call in self.calls:
            text = call.text(names)
            names[call.value] = identifiers.short()
            lines.append(f"{names[call.value]} = {text}")
        lines += [f"{names[leaf]} = {names[new]}" for leaf, new in program.updates]
        results = [program.loss, *program.outputs, *(g for *_, g in program.parameters)]
        lines.append(f"return {', '.join(names[x] for x in results)}")
        return "\n    ".join(lines) + "\n"
