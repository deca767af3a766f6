"""Formulas: how a result was computed, and how the gradients of its inputs come from its own."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..engine.recording import recording
from ..engine.tensor import Tensor, record_op
from ..ops import broadcast_to
from ..ops.op import Op
from .ancestors import refuse_numbers
from .expressions import FORMULAS, INFIX, INLINE, WIDTH, Speech, expression
from .given_names import GivenNames, Names
from .lines import used_twice
from .literals import literal, value_text
from .names import argument_names, first_free, readable
from .texts import ATOM, COMPARISON, SIGN, Text
from .trace import Traced, for_reader, trace, trace_forward
from .values import Apply, Constant, Value, behind

LONG = 4 * INLINE  # characters at an arrow
NOTHING: Mapping[Value, str] = MappingProxyType({})


def formula(t: Tensor, names: Names = None) -> str:
    """How a Tensor was computed, in one expression; if it is too long, by its named parts.

    Parameters
    ----------
    t : Tensor
        A result, or a leaf.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.

    Returns
    -------
    str
        The formula, in which functions stand without `np.`.

    Raises
    ------
    TypeError
        For anything but a Tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, formula, softmax_cross_entropy
    >>> x, y = Tensor([[1.0, 2.0]], name="x"), Tensor([1], name="y")
    >>> weight = Tensor(np.ones((2, 2)), requires_grad=True, name="weight")
    >>> bias = Tensor(np.ones(2), requires_grad=True, name="bias")
    >>> formula(np.mean(softmax_cross_entropy(x @ weight + bias, y)))
    'mean(softmax_cross_entropy(x @ weight + bias, y))'
    """
    traced = trace_forward(t, names)
    called = readable_names(traced)
    texts, fits = parts(traced, called, stand_for_themselves=False)
    if not fits:
        texts, _ = parts(traced, called, stand_for_themselves=True)
    return texts[traced.loss].text


def readable_names(traced: Traced) -> dict[Value, str]:
    """What values are called in a formula."""
    found: dict[Value, str] = {}
    for y in traced.forward:
        if y in traced.names:
            found[y] = readable(traced.names[y], found.values())
    return found


def parts(
    traced: Traced, called: Mapping[Value, str], stand_for_themselves: bool
) -> tuple[Mapping[Value, Text], bool]:
    """The text of each part of a formula, shortened where too long, and whether all fit.

    `stand_for_themselves`: whether named parts do.
    """
    speech = Speech(FORMULAS)
    fits = True
    for y in traced.forward:
        if not isinstance(y, Apply):
            text = leaf_text(y, called)
        elif stand_for_themselves and y in called and y is not traced.loss:
            text = Text(called[y])
        else:
            text = expression(y, speech)
            if len(text) > WIDTH:
                fits = False
                if y is not traced.loss:
                    text = (Text(called[y]) if y in called else abbreviated(y.op)).of(y)
        speech.texts[y] = text
    return speech.texts, fits


def abbreviated(op: Op) -> Text:
    """What stands for a result that is too long to be said, or has no name.

    >>> from tinygrad_steel import ops
    >>> str(abbreviated(ops.add)), str(abbreviated(ops.tanh))
    ('...', 'tanh(...)')
    """
    return Text("...", COMPARISON) if op in INFIX else Text(f"{op.name}(...)")


def leaf_text(x: Value, called: Mapping[Value, str]) -> Text:
    """What comes from outside, by its name, as a number, or as an array of some shape."""
    if x in called:
        text = called[x]
    elif isinstance(x, Constant) and not x.shape:
        text = value_text(x.data.item())
    else:
        text = f"array{x.shape}"
    return Text(text, SIGN if text.startswith("-") else ATOM).of(x)


# The gradients of one step


def vjp_formulas(t: Tensor, names: Names = None, taken: Iterable[str] = ()) -> list[str | None]:
    """For each input of a result, how its gradient comes from that of the result, `g`; or None.

    Parameters
    ----------
    t : Tensor
        The result, which is called `y` where it has no name; inputs without a name are called as
        the op calls its arguments.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    taken : iterable of str, optional
        Names that mean something else to the reader, and are not used so.

    Returns
    -------
    list of str or None
        One formula for each input.

    Raises
    ------
    TypeError
        For anything but a Tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, vjp_formulas
    >>> x = Tensor([[1.0, 2.0]], name="x")
    >>> weight, bias = Tensor(np.ones((2, 1)), True, "weight"), Tensor([0.0], True, "bias")
    >>> vjp_formulas(x @ weight), vjp_formulas(np.ones((3, 1)) + bias)
    ([None, 'x.T @ g'], [None, 'g.sum(axis=0)'])
    """
    return vjp_texts(t, names, taken, lambda traced, g, step: step_text(traced, g, step.g))


def short_vjp_formulas(t: Tensor, names: Names, taken: Iterable[str]) -> list[str | None]:
    """The same for a picture: of a long one, what stands in it several times is said apart."""
    return vjp_texts(t, names, taken, short_step_text)


def vjp_texts(
    t: Tensor, names: Names, taken: Iterable[str], say: Callable[[Traced, Value, Step], str]
) -> list[str | None]:
    """What there is to say of the gradient of each input of a result; None where there is none."""
    refuse_numbers([t])
    if t.op is None or not t.requires_grad:
        return [None] * len(t.inputs)
    step = Step(t, t.op, GivenNames(names), taken)
    traced = for_reader(trace(step.result, start=step.start))
    assert isinstance(traced.loss, Apply)
    gradients = [traced.gradient_of.get(x) for x in traced.loss.inputs]
    return [say(traced, g, step) if g is not None else None for g in gradients]


class Step:
    """One op by itself, on leaves: what its inputs, its result and its gradient are called."""

    def __init__(self, t: Tensor, op: Op, given: GivenNames, taken: Iterable[str]):
        self.given = given
        self.called: dict[Any, str] = {}
        for x in t.inputs:
            own = given.of(x) if isinstance(x, Tensor) else None
            if own and given.key(x) not in self.called:
                self.called[given.key(x)] = readable(own, self.called.values())
        named = {*self.called.values()}
        self.g = first_free(("g", "G", "gradient"), named)
        self.used = {self.g, *taken, *named}
        self.start = Tensor(np.ones(t.shape, t.dtype), name=self.g)
        arguments = argument_names(op, len(t.inputs))
        self.inputs = [*map(self.leaf, t.inputs, arguments)]
        with recording("all"):
            self.result = record_op(op, tuple(self.inputs), t.params)
        own = given.of(t)
        name = readable(own, {self.g, *named}) if own else first_free(("y", "result"), self.used)
        self.result.name = name

    def leaf(self, x: Any, argument: str) -> Any:
        """An input as a leaf with a name; a number that nobody has named stays one."""
        if not isinstance(x, Tensor):
            return x
        own = self.called.get(self.given.key(x))
        name = own or first_free((argument, "h", "z", "u", f"{argument}_"), self.used)
        self.used.add(name)
        is_said = x.op or x.name or x.requires_grad or x.shape
        return Tensor(x.data, x.requires_grad, name if is_said else None)


def step_text(
    traced: Traced, gradient: Value, start: str, apart: Mapping[Value, str] = NOTHING
) -> str:
    """A gradient in terms of `g`, the result and the inputs; `apart`: names for parts of it."""
    if isinstance(gradient, Apply) and gradient.op is broadcast_to:  # as NumPy does by itself
        (gradient,) = gradient.values()
    speech = Speech(FORMULAS, traced.late)
    said = []
    for y in behind([gradient]):
        if y is traced.start:
            speech.texts[y] = Text(start).of(y)
        elif y in traced.names:
            speech.texts[y] = Text(traced.names[y]).of(y)
        elif isinstance(y, Apply):
            speech.texts[y] = expression(y, speech)
            if y in apart and y is not gradient:
                said.append(f"{apart[y]} = {speech.texts[y]}")
                speech.texts[y] = Text(apart[y]).of(y)
        elif isinstance(y, Constant) and (y.shape or y is gradient):
            text = literal(y.data)
            speech.texts[y] = Text(text if len(text) <= INLINE else f"array{y.shape}").of(y)
    return "; ".join([speech.texts[gradient].text, *said])


def short_step_text(traced: Traced, gradient: Value, step: Step) -> str:
    """The same, with parts by letters where it is long."""
    text = step_text(traced, gradient, step.g)
    if len(text) <= LONG:
        return text
    letters = [x for x in string.ascii_lowercase if x not in step.used]
    twice = used_twice(traced, behind([gradient]))
    named = dict(zip((y for y in behind([gradient]) if y in twice), letters))
    return step_text(traced, gradient, step.g, named)
