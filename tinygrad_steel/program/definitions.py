"""Functions for the ops that NumPy does not have, found by running their forwards on Tensors."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .. import ops
from ..engine.messages import describe_call
from ..engine.tensor import Tensor
from .draws import draw_error
from .expressions import SLIDING, Speech, every_text, expression, is_missing, numpy_source
from .lines import (
    Backprop,
    Function,
    backprop,
    line,
    picks_by_mask,
    reading_order,
    spell,
    used_twice,
)
from .literals import literal
from .messages import call_of
from .names import Identifiers, argument_names, function_name
from .parts import Arrays, on_tensors, says_no_to_tensors
from .texts import Text
from .trace import Traced, trace_forward
from .values import VALUES, Apply, Constant, Same, Value, exact

# Its forward writes in place, which cannot be traced: what it does on arrays, written by hand.
SCATTER = Function(
    "scatter",
    ("g", "index", "shape"),
    ("z = np.zeros(shape, np.result_type(g))", "np.add.at(z, index, g)"),
    ("z",),
)


def added_windows(name: str, y: Apply) -> Function:
    """The function of overlap_add, whose forward writes in place as well."""
    shape, axes = y.params["shape"], y.params["axes"]
    size = y.inputs[0].shape[len(shape) :]
    view = f"{SLIDING}(z, {size}, {axes}, writeable=True){every_text(y, len(shape))}"
    body = [
        f"z = np.zeros({shape}, np.result_type(g))",
        f"seen = {view}",
        f"for place in np.ndindex{size}:",
        "    seen[(..., *place)] += g[(..., *place)]",
    ]
    return Function(name, ("g",), tuple(body), ("z",))


BY_HAND = {ops.overlap_add: added_windows}


class Definitions:
    """The functions that stand before a backprop, each after those that it needs itself.

    `functions`: by their names. `found`: what is computed -> the name of its function.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.found: dict[Any, str] = {}

    def define(self, values: Iterable[Value], traced: Traced) -> dict[Value, str]:
        """The names of the functions for those of these values that need one."""
        missing = [y for y in values if isinstance(y, Apply) and is_missing(y)]
        arrays = Arrays(traced.arrays)
        return {y: self.name(y, traced, arrays) for y in missing}

    def name(self, y: Apply, traced: Traced, arrays: Arrays) -> str:
        """The function that computes this value from its inputs, written when first asked for."""
        if y.op is ops.scatter:
            self.functions["scatter"] = SCATTER
            return "scatter"
        key = function_key(y)
        if key not in self.found:
            self.found[key] = self.add(y, traced, arrays)
        return self.found[key]

    def add(self, y: Apply, traced: Traced, arrays: Arrays) -> str:
        """Write the function; the same op with other parameters is another, with a number."""
        plain = function_name(y.op)
        for name in itertools.chain([plain], (f"{plain}_{n}" for n in itertools.count(2))):
            function = self.function(name, y, traced, arrays)
            if self.functions.setdefault(name, function) == function:
                return name
        raise AssertionError  # names never end

    def function(self, name: str, y: Apply, traced: Traced, arrays: Arrays) -> Function:
        """The op's forward as a function in NumPy terms."""
        if y.op in BY_HAND:
            return BY_HAND[y.op](name, y)
        if y in traced.random:
            raise draw_error(call_of(y, traced.names), "the source")
        names = argument_names(y.op, len(y.inputs))
        inputs = [Tensor(arrays.of(x), name=n) for x, n in zip(y.inputs, names)]
        inner = forward_on_tensors(y, inputs)
        defined = self.define(inner.forward, inner)
        return definition(name, inner, inputs, names, defined)


def function_key(y: Apply) -> Any:
    """What calls of one function share: its parameters are built in, and shapes may be."""
    inputs = [(x.shape, x.dtype) if isinstance(x, VALUES) else exact(x) for x in y.inputs]
    return y.op, *inputs, exact(dict(y.params))


def missing_names(traced: Traced) -> set[str]:
    """The names that the functions of a program may need, so that no variable takes them."""
    return {function_name(y.op) for y in traced.program.applies if is_missing(y)}


def reserved_names(traced: Traced) -> set[str]:
    """The names of all functions that are written for a backprop, its own among them."""
    return {"backprop", *missing_names(traced)}


def forward_on_tensors(y: Apply, inputs: list[Tensor]) -> Traced:
    """The forward of an op, traced; TypeError where it does not run on Tensors."""
    op = y.op
    try:
        with locals_of(op.forward) as variables:
            result = on_tensors(y, op.forward, inputs)
        if not isinstance(result, Tensor):
            raise TypeError(f"on Tensors it returns {type(result).__name__}")
    except Exception as error:
        # Whatever a rule raises: what is no fault of Tensors is raised as it is.
        if not says_no_to_tensors(error, op):
            raise
        raise TypeError(
            f"{describe_call(op, tuple(inputs), dict(y.params))} cannot be written out: its "
            f"forward does not run on Tensors ({error}); write it with np.* functions that "
            f"tinygrad_steel.OPS knows, and operators"
        ) from error
    return trace_forward(result, variables)


@contextlib.contextmanager
def locals_of(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The local variables of a Python function that runs inside the `with`, once it has returned.

    They are names for what it has computed.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    variables: dict[str, Any] = {}

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)

    before: Any = sys.getprofile()
    sys.setprofile(look)
    try:
        yield variables
    finally:
        if hasattr(before, "enable"):  # that of cProfile
            sys.setprofile(None)
            before.enable()
        else:
            sys.setprofile(before)


def definition(
    name: str, traced: Traced, inputs: list[Tensor], names: list[str], defined: dict[Value, str]
) -> Function:
    """The function of a forward, whose arguments are those Tensors; all else it makes itself."""
    identifiers = Identifiers({name, *missing_names(traced)})
    speech = Speech(numpy_source(defined))
    # By the arrays themselves: a variable may be called the same.
    leaves = {Same(traced.tensors[x].data): x for x in traced.leaves}
    arguments = []
    for t, wanted in zip(inputs, names):
        arguments.append(identifiers.free(wanted))
        leaf = leaves.get(Same(t.data))
        if leaf is not None:
            speech.texts[leaf] = Text(arguments[-1]).of(leaf)
    for x in traced.forward:
        if x in traced.arrays and x not in speech.texts:
            speech.texts[x] = Text(literal(traced.arrays[x])).of(x)
    body = body_of(traced, identifiers, speech)
    return Function(name, tuple(arguments), tuple(body), (result_text(traced.loss, speech),))


def body_of(traced: Traced, identifiers: Identifiers, speech: Speech) -> list[str]:
    """The lines of a forward; its result has one where a mask picks it."""
    order = [*traced.forward]
    own = used_twice(traced, order) | {y for y in order if y in traced.names}
    own = (own - {traced.loss}) | {*filter(picks_by_mask, order)}

    def called(y: Value) -> str:
        return identifiers.free(traced.names[y]) if y in traced.names else identifiers.short()

    lines = spell([y for y in order if y is not traced.loss or y in own], own, speech, called, {})
    return [text for y, code in lines.items() for text in line(y, speech.texts[y], code)]


def result_text(y: Value, speech: Speech) -> str:
    """What a function returns."""
    if y in speech.texts:
        return speech.texts[y].text
    if isinstance(y, Apply):
        return expression(y, speech).text
    assert isinstance(y, Constant)  # leaves are in `texts`
    return literal(y.data)


def numpy_backprop(
    traced: Traced, variables: Mapping[str, Any] | None = None
) -> tuple[Backprop, list[Function]]:
    """The backprop as Python runs it, and the functions that stand before it."""
    order, definitions = reading_order(traced), Definitions()
    dialect = numpy_source(definitions.define(order, traced))
    written = backprop(traced, order, dialect, reserved_names(traced), variables)
    return written, [*definitions.functions.values()]
