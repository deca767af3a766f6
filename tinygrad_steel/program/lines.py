"""The lines of a backprop: the order of values, which of them get a line, and their names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from .. import ops
from .expressions import INLINE, Dialect, Speech, expression
from .literals import dtype_name
from .names import Identifiers
from .redrawn import Sequence, names_of, sequences
from .texts import Text
from .trace import Traced
from .values import Apply, Leaf, Value, behind, needed_for


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of Python's, not yet broken into lines of a page."""

    name: str
    arguments: tuple[str, ...]
    lines: tuple[str, ...]
    returned: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Backprop:
    """A backprop as a function, and what it calls its values.

    `arguments`: what its leaves are called. `generators`: what is drawn from, by the names of
    arguments, too. `speech`: how each value is said where it is used. `lines`: what computes each
    value that has a name.
    """

    function: Function
    arguments: Mapping[Value, str]
    generators: Mapping[str, Sequence]
    speech: Speech
    lines: Mapping[Value, Text]


def backprop(
    traced: Traced,
    order: Collection[Value],
    dialect: Dialect,
    reserved: Iterable[str],
    variables: Mapping[str, Any] | None = None,
) -> Backprop:
    """Write a backprop, its values in this order.

    `reserved`: names that none of them may have. `variables`: where generators may have a name.
    """
    identifiers = Identifiers(reserved)
    speech = Speech(dialect, traced.late)
    arguments, remarks = claim_names(traced, identifiers, speech)
    drawn = sequences(traced)
    generators = {x: identifiers.free(name) for x, name in names_of(drawn, variables).items()}
    called = {y: generators[x] for y, x in drawn.items()}
    speech = dataclasses.replace(speech, dialect=dataclasses.replace(dialect, generators=called))
    own = own_lines(traced, order)
    first: dict[Value, Text] = {start_of(traced): first_gradient(traced, order)}
    lines = spell(order, own, speech, names_by_owner(traced, identifiers, speech), first)
    texts = [*remarks, "# forward"]
    for y, text in lines.items():
        texts += ["# backward"] if y is traced.start else []
        texts += line(y, speech.texts[y], text)
    returned = [speech.texts[traced.loss].text]
    for x in traced.wanted:
        if x in traced.gradient_of:
            returned.append(speech.texts[traced.gradient_of[x]].text)
        else:
            returned.append(identifiers.free(f"G_{arguments[x]}"))
            texts.append(
                f"{returned[-1]} = np.zeros_like({arguments[x]})  # no gradient flows to it"
            )
    given = (*arguments.values(), *called.values())
    function = Function("backprop", tuple(dict.fromkeys(given)), tuple(texts), tuple(returned))
    return Backprop(function, arguments, {n: x for x, n in generators.items()}, speech, lines)


def start_of(traced: Traced) -> Leaf:
    """The gradient of the loss with which the backward begins."""
    assert traced.start is not None  # only a forward by itself is traced without one
    return traced.start


# In which order


def reading_order(traced: Traced) -> list[Value]:
    """The forward, then gradients from the loss backwards; a leaf's as soon as it can be had."""
    needed = needed_for(traced.program, asked_for(traced))
    results = [x for x in traced.gradient_of if isinstance(x, Apply) or x is traced.loss]
    steps = [traced.gradient_of[x] for x in results if traced.gradient_of[x] in needed]
    of_leaves = [traced.gradient_of[x] for x in arguments_of(traced) if x in traced.gradient_of]
    ready = steps_before(traced, steps)
    backward: list[Value] = []
    for k, g in enumerate(steps):
        backward += [g, *(leaf for leaf in of_leaves if ready.get(leaf, 0) == k)]
    return [*behind([*traced.forward, start_of(traced), *backward])]


def steps_before(traced: Traced, steps: list[Value]) -> dict[Value, int]:
    """The step from which on each value can be computed; what is not among them, from the first."""
    found = {g: k for k, g in enumerate(steps)}
    for y in traced.program.applies:
        if y not in found:
            found[y] = max([found.get(x, 0) for x in y.values()], default=0)
    return found


def arguments_of(traced: Traced) -> list[Leaf]:
    """The leaves that become arguments: data first, then those that require a gradient."""
    leaves = [x for x in traced.leaves if isinstance(x, Leaf)]
    return sorted(leaves, key=lambda x: traced.tensors[x].requires_grad)


def asked_for(traced: Traced) -> list[Value]:
    """The gradients of named values and of leaves."""
    wanted = [x for x in traced.gradient_of if x in traced.names or not isinstance(x, Apply)]
    return [traced.gradient_of[x] for x in wanted]


# What gets a line


def own_lines(traced: Traced, order: Iterable[Value]) -> set[Value]:
    """What has a name, or is asked for, or is used more than once."""
    shared = used_twice(traced, order)
    owners = owners_of(traced)
    found = {traced.loss, traced.gradient_of[traced.loss], *asked_for(traced), *shared}
    found |= {x for x in traced.forward if x in traced.names or x in traced.random}
    # For the sake of a name: G_t1 is the gradient of t1.
    found |= {owners[x] for x in shared if x in owners}
    return found | {*filter(picks_by_mask, order)}


def used_twice(traced: Traced, order: Iterable[Value]) -> set[Value]:
    """What more than one value uses, unless it is no trouble to write it, and compute it, again."""
    applies = [y for y in order if isinstance(y, Apply)]
    uses = Counter(x for y in applies for x in {*y.values()})
    return {y for y in applies if uses[y] > 1 and not is_trivial(y, traced)}


def is_trivial(y: Apply, traced: Traced) -> bool:
    """Whether it is `x.T` or `x[:, None]` of something with a name, or `-G_loss`."""
    if y.op is ops.negative:
        return y.inputs[0] is traced.start and not y.shape
    return y.op in (ops.transpose, ops.expand_dims) and y.inputs[0] in traced.names


def picks_by_mask(y: Value) -> bool:
    """Whether it is x[mask] or the like, the shape of which depends on numbers."""
    if not isinstance(y, Apply) or y.op is not ops.getitem:
        return isinstance(y, Apply) and y.op.counts
    _, *index = y.values()
    return any(x.dtype.kind == "b" for x in index)


def owners_of(traced: Traced) -> dict[Value, Value]:
    """Gradient -> whose it is: the first one with a name, or else the first one."""
    pairs = [*traced.gradient_of.items()][::-1]
    found = {g: x for x, g in pairs}
    return found | {g: x for x, g in pairs if x in traced.names}


# What it is called


def claim_names(
    traced: Traced, identifiers: Identifiers, speech: Speech
) -> tuple[dict[Value, str], list[str]]:
    """Name the leaves, what has a name, and the loss.

    Gives what the leaves are called, and remarks on names that had to change.
    """
    arguments = arguments_of(traced)
    wanted: dict[Value, str] = {x: traced.names.get(x, f"c{i}") for i, x in enumerate(arguments, 1)}
    named = [y for y in traced.forward if y in traced.names and isinstance(y, Apply)]
    wanted |= {y: traced.names[y] for y in named}
    wanted.setdefault(traced.loss, "loss")
    remarks = []
    for y, name in wanted.items():
        found = identifiers.free(name)
        speech.texts[y] = Text(found).of(y)
        if found != name:
            remarks.append(f"# {name!r:.80} is called {found} here")
    return {x: speech.texts[x].text for x in arguments}, remarks


def names_by_owner(
    traced: Traced, identifiers: Identifiers, speech: Speech
) -> Callable[[Value], str]:
    """How to find a name for a value without one: G_x for the gradient of x, or t1, t2, ..."""
    owners = owners_of(traced)

    def name(y: Value) -> str:
        owner = owners.get(y)
        if owner is not None and speech.is_named(owner):
            return identifiers.free(f"G_{speech.texts[owner]}")
        return identifiers.short()

    return name


# What it is


def spell(
    order: Iterable[Value],
    own: Collection[Value],
    speech: Speech,
    name: Callable[[Value], str],
    given: Mapping[Value, Text],
) -> dict[Value, Text]:
    """What computes each value with a line of its own.

    These are those in `own`, and those too long to stand inside others. How all are said where
    they are used goes into `speech`; `name` gives one a name, where it has none there. `given`: the
    texts of those that no op computes.
    """
    lines: dict[Value, Text] = {}
    for y in order:
        text = given.get(y)
        if text is None and isinstance(y, Apply):
            text = expression(y, speech)
        if text is None:
            continue
        if y in own or len(text) > INLINE:
            lines[y] = text
            text = speech.texts[y] if y in speech.texts else Text(name(y)).of(y)
        speech.texts[y] = text
    return lines


def first_gradient(traced: Traced, order: Iterable[Value]) -> Text:
    """The gradient of the loss itself."""
    start = start_of(traced)
    kind = dtype_name(start.dtype)
    if start.shape:
        return Text(f"np.ones({start.shape}, {kind})")
    plain = all(x.dtype == np.float64 for x in order if x.dtype.kind == "f")  # and so is 1.0
    return Text("1.0" if plain else f"{kind}(1.0)")


def line(y: Value, name: Text, text: Text) -> list[str]:
    """A line, and a check of what a mask picks: numbers such as `/ 3` below stand for its shape."""
    found = [f"{name} = {text}"]
    if picks_by_mask(y):
        message = f'f"{name} is {{{name}.shape}}, and was {y.shape} when written"'
        found += [f"if {name}.shape != {y.shape}:", f"    raise ValueError({message})"]
    return found
