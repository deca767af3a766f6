"""Formulas: how a result was computed, and how the gradients of its inputs come from its own."""

from __future__ import annotations

import string
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..engine.recording import recording
from ..engine.tensor import Tensor, record_op
from ..ops import broadcast_to
from ..ops.op import Op
from .ancestors import refuse_numbers
from .called import Called
from .expressions import FORMULAS, INFIX, INLINE, PICTURES, WIDTH, Dialect, Speech, expression
from .given_names import GivenNames, Names
from .guards import guarded
from .lines import used_twice
from .literals import literal
from .names import argument_names, first_free, readable
from .texts import ATOM, COMPARISON, SIGN, Text
from .trace import Traced, for_reader, trace, trace_forward
from .values import Apply, Constant, Value


def formula(t: Tensor, names: Names = None) -> str:
    """Say how a Tensor was computed, in one expression; where that is too long, by its named parts.

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
    text, _ = in_one_expression(traced, readable_names(traced), FORMULAS)
    return text


def formula_in_picture(t: Tensor, called: Called, is_shown: Callable[[Tensor], bool]) -> str:
    """The same in the words of a picture: what is too long stands there by the name of its card."""
    traced = trace_forward(t, called.names)
    tensors = {y: x for x, y in traced.made.items() if is_shown(x)}
    has_letters = bool(called.said)  # a forward view needs none for its arrays
    names = {}
    for x, y in traced.made.items():
        is_letter = has_letters and x.op is None and y in tensors
        name = called.own_name(x) or (called.of(x) if is_letter else "")
        if name:
            names[y] = name
    text, cut = in_one_expression(traced, names, PICTURES)
    if not cut:
        return text
    units = {y for y, x in tensors.items() if x in called.source.tensors}
    options = [cut_parts(traced, names, ones, tensors) for ones in (set(), units)]
    _, needed = max(options, key=lambda option: len(option[0]))  # the longer one says more
    letters = {y: called.of(tensors[y]) for y in needed}
    texts, _ = parts(traced, {**names, **letters}, PICTURES, True)
    return texts[traced.loss].text


def cut_parts(
    traced: Traced, names: Mapping[Value, str], units: Container[Value], shown: Container[Value]
) -> tuple[Text, list[Value]]:
    """A formula in which `units`, and what is too long, are cut, and those that need a name."""
    texts, cut = parts(traced, names, PICTURES, True, units)
    cut -= {traced.loss}
    needed = [y for *_, y in texts[traced.loss].spans if y in cut and y in shown]
    texts, _ = parts(traced, {**names, **dict.fromkeys(needed, "t1")}, PICTURES, True)
    return texts[traced.loss], needed


def in_one_expression(
    traced: Traced, called: Mapping[Value, str], dialect: Dialect
) -> tuple[str, set[Value]]:
    """How the result was computed; its named parts stand for themselves if it is too long.

    With it all that is cut, as it still is too long.
    """
    texts, cut = parts(traced, called, dialect)
    if cut:
        texts, cut = parts(traced, called, dialect, True)
    return texts[traced.loss].text, cut


def readable_names(traced: Traced) -> dict[Value, str]:
    """What values are called in a formula."""
    found: dict[Value, str] = {}
    for y in traced.forward:
        if y in traced.names:
            found[y] = readable(traced.names[y], found.values())
    return found


def parts(
    traced: Traced,
    called: Mapping[Value, str],
    dialect: Dialect,
    stand_for_themselves: bool = False,
    units: Container[Value] = (),
) -> tuple[Mapping[Value, Text], set[Value]]:
    """The text of each part of a formula, and those that are cut: `units`, and what is too long.

    `stand_for_themselves`: whether named parts do.
    """
    speech = Speech(dialect)
    cut: set[Value] = set()
    for y in traced.forward:
        if not isinstance(y, Apply):
            text = leaf_text(y, called, dialect)
        elif stand_for_themselves and y in called and y is not traced.loss:
            text = Text(called[y])
        else:
            text = expression(y, speech)
            if len(text) > WIDTH or y in units:
                cut.add(y)
                if y is not traced.loss:
                    text = (Text(called[y]) if y in called else abbreviated(y.op)).of(y)
        speech.texts[y] = text
    return speech.texts, cut


def abbreviated(op: Op) -> Text:
    """What stands for a result that is too long to be said, or has no name.

    >>> from tinygrad_steel import ops
    >>> str(abbreviated(ops.add)), str(abbreviated(ops.tanh))
    ('...', 'tanh(...)')
    """
    return Text("...", COMPARISON) if op in INFIX else Text(f"{op.name}(...)")


def leaf_text(x: Value, called: Mapping[Value, str], dialect: Dialect) -> Text:
    """What comes from outside, by its name, as a number, or as an array of some shape."""
    if x in called:
        text = called[x]
    elif isinstance(x, Constant) and not x.shape:
        text = dialect.value(x.data.item())
    else:
        text = f"array{x.shape}"
    return name_text(text).of(x)


# The gradients of one step


def vjp_formulas(t: Tensor, names: Names = None, taken: Iterable[str] = ()) -> list[str | None]:
    """Say for each input of a result how its gradient comes from `g`, that of the result.

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
        One formula for each input; None where no gradient flows to it.

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
    refuse_numbers([t])
    if t.op is None or not t.requires_grad:
        return [None] * len(t.inputs)
    step = StepNames(t, t.op, GivenNames(names), taken)
    return written_vjps(t, step.g, [partial(str, name) for name in step.names], FORMULAS)


class StepNames:
    """What stands in the formulas of one op by itself: `g`, its inputs, and its result at the end."""

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
        self.names = [*map(self.input_name, t.inputs, argument_names(op, len(t.inputs)))]
        own = given.of(t)
        last = readable(own, {self.g, *named}) if own else first_free(("y", "result"), self.used)
        self.names.append(last)

    def input_name(self, x: Any, argument: str) -> str:
        """Its own name, or that of the argument; a plain number needs none."""
        if not isinstance(x, Tensor):
            return ""
        own = self.called.get(self.given.key(x))
        name = own or first_free((argument, "h", "z", "u", f"{argument}_"), self.used)
        self.used.add(name)
        return name


LONG = 2 * INLINE  # characters at an arrow
Says = Mapping[Any, Callable[[], str]]
Asked = Sequence[Callable[[], str]]  # of the inputs of a step, and of its result at the end


def vjps_in_picture(t: Tensor, called: Called) -> list[str | None]:
    """The vjp of each input in the words of a picture; None where there is none.

    Of a long one, what stands in it several times is said apart, by a letter.
    """
    if t.op is None or not t.requires_grad:
        return [None] * len(t.inputs)
    letters = [x for x in string.ascii_lowercase if x not in called.taken]
    names = [partial(called.of, x) for x in (*t.inputs, t)]
    return written_vjps(t, called.g, names, PICTURES, letters)


def written_vjps(
    t: Tensor, g: str, called: Asked, dialect: Dialect, letters: Sequence[str] = ()
) -> list[str | None]:
    """The vjp of each input of an op by itself; only what is said is asked for its name."""
    assert t.op is not None
    inputs = [*map(alone, t.inputs)]
    with recording("all"):
        result = record_op(t.op, tuple(inputs), t.params)
    result.name = "y"
    traced = for_reader(trace(result, start=Tensor(np.ones(t.shape, t.dtype), name="g")))
    assert isinstance(traced.loss, Apply)
    says: dict[Any, Callable[[], str]] = {traced.start: partial(str, g)}
    for x, name in zip((*inputs, result), called):
        if isinstance(x, Tensor) and traced.made[x] in traced.names:
            says[traced.made[x]] = name
    gradients = [traced.gradient_of.get(x) for x in traced.loss.inputs]
    return [
        None if y is None else in_parts(traced, bare(y), says, dialect, letters) for y in gradients
    ]


def bare(gradient: Value) -> Value:
    """A gradient without the broadcast that NumPy does by itself."""
    if isinstance(gradient, Apply) and gradient.op is broadcast_to:
        (gradient,) = gradient.values()
    return gradient


def in_parts(
    traced: Traced, gradient: Value, says: Says, dialect: Dialect, letters: Sequence[str]
) -> str:
    """A gradient in terms of `g`, the result and the inputs, with parts by letters if it is long."""
    text = vjp_text(traced, gradient, says, dialect, {})
    if len(text) <= LONG or not letters:
        return text
    order = said_for(gradient, says, dialect)
    twice = used_twice(traced, order)
    parts = (y for y in order if y in twice and y not in says)
    return vjp_text(traced, gradient, says, dialect, dict(zip(parts, letters)))


def alone(x: Any) -> Any:
    """An input as a leaf with a name, so that it is kept; a number that nobody has named is one."""
    if not isinstance(x, Tensor):
        return x
    is_said = x.op or x.name or x.requires_grad or x.shape
    return Tensor(x.data, x.requires_grad, "x" if is_said else None)


def vjp_text(
    traced: Traced, gradient: Value, says: Says, dialect: Dialect, apart: Mapping[Value, str]
) -> str:
    """A gradient in one expression, and behind it the parts that have a name in `apart`."""
    speech = Speech(dialect, traced.late)
    said = []
    for y in said_for(gradient, says, dialect):
        if y in says:
            speech.texts[y] = name_text(says[y]()).of(y)
        elif isinstance(y, Apply):
            inner = guarded(y) if dialect.short else None
            speech.texts[y] = expression(y, speech) if inner is None else speech.texts[inner]
            if y in apart and y is not gradient:
                said.append(f"{apart[y]} = {speech.texts[y]}")
                speech.texts[y] = Text(apart[y]).of(y)
        elif isinstance(y, Constant) and (y.shape or y is gradient):
            text = literal(y.data) if y.shape else dialect.value(y.data[()])
            speech.texts[y] = Text(text if len(text) <= INLINE else f"array{y.shape}").of(y)
    return "; ".join([speech.texts[gradient].text, *said])


def said_for(gradient: Value, known: Container[Value], dialect: Dialect) -> dict[Value, None]:
    """What is said in the text of a gradient, inputs first; what is known is not looked behind.

    A picture says nothing of guards against NaN, as a report does not.
    """
    order: dict[Value, None] = {}
    todo = [gradient]
    while todo:
        y = todo[-1]
        inner = guarded(y) if dialect.short else None
        inputs = [] if y in known else [*y.values()] if inner is None else [inner]
        waiting = [x for x in inputs if x not in order]
        todo.extend(waiting) if waiting else order.setdefault(todo.pop())
    return order


def name_text(text: str) -> Text:
    """A name, or a negative number in its place."""
    return Text(text, SIGN if text.startswith("-") else ATOM)
