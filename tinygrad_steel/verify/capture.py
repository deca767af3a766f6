"""Somebody's own backprop, run under a watch: the code is handed over, not the arrays."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Tensor
from ..program.given_names import variables
from ..program.values import Value
from .bindings import Binding
from .blame import Search
from .cells import refuse_path, run_cell
from .chain import Chain, Found
from .contents import items
from .culprits import assigned_anew, culprit, helpers
from .faults.question import Pool
from .judging import judged, question
from .kept import Applied
from .meaning import is_marked, is_name
from .other_forward import forward_step, other_forward
from .other_samples import other_samples
from .report import FOLLOWS, NO_SUCH, RESHAPED, RIGHT, UNKNOWN, WRONG, Step
from .said_beside import is_complete, notes
from .shown import turned_parameters
from .slots import Slots, right_ones
from .statements import Path, spelled_path
from .traced_loss import Graph
from .verdicts import Judgement, divided_later, in_its_shape, is_flat_bias

MakeStep = Callable[[Graph, str, Value, np.ndarray, Judgement, float], Step]

# What the searches for reasons may cost in one report, in the units of a Budget: those for what an
# array is meant to be, that for the first wrong step, and those for all others together.
TO_RECOGNISE, FOR_THE_FIRST, FOR_OTHERS = (3e9, 1.5e8), 2.5e9, (1e9, 2e8)


class Comparison(NamedTuple):
    """What is found in somebody's code.

    `steps`: of the gradients, from the loss backwards. `unrecognised`: what is not in the graph.
    `missing`: the leaves whose gradients were not seen. `note`: what else is to be said.
    `is_complete`: whether what is given back was judged. `conventions`: how gradients lie.
    `is_kept`: whether gradients are given back, kept or used.
    """

    steps: list[Step]
    unrecognised: list[Step]
    missing: list[str]
    note: str
    is_complete: bool = True
    conventions: Sequence[Applied] = ()
    is_kept: bool = True


def compared(slots: Slots, make_step: MakeStep, backprop: Any = None) -> Comparison:
    """Compare what somebody's code has made with the graph."""
    chain = slots.back.chain
    graph, seen = chain.graph, chain.watched
    handed = right_ones(chain, slots)
    first = Pool(FOR_THE_FIRST)
    judge = functools.partial(judged, graph, first=first, later=Pool(0))
    ask = functools.partial(question, graph, Pool(*TO_RECOGNISE))
    search = Search(chain, slots, ask, judge, handed)
    search.recognise_multiples()
    why_none = other_samples(chain, slots) if slots.wrong else ""
    if why_none:
        return Comparison([], unrecognised(chain, {}), [], why_none)
    if slots.wrong:
        differing = other_forward(chain, slots)
        if differing is not None:
            after = followers(chain, search, make_step)
            return Comparison([forward_step(chain, *differing), *after], [], [], seen.note)
        search.recognise()
    verdicts = search.refine()
    if sum(found.verdict == WRONG for found in verdicts.values()) > 1:
        verdicts = judged(graph, search.arrays(), first, Pool(*FOR_OTHERS))
    steps = [
        placed(make_step(graph, "", g, array, found, search.handed[g].scale), chain, search, g)
        for g, array, found in with_conventions(search, verdicts)
    ]
    missing = [graph.text(x) for x in slots.missing]
    note = "; ".join(notes(slots, not steps, backprop))
    complete = is_complete(slots) and not seen.is_full
    conventions = turned_parameters(chain, search.handed, chain.spoken)
    others = unrecognised(chain, handed)
    return Comparison(steps, others, missing, note, complete, conventions, not slots.lost)


def with_shapes(
    search: Search, verdicts: Mapping[Value, Judgement]
) -> Iterator[tuple[Value, np.ndarray, Judgement]]:
    """Each gradient with its array and the verdict; one that is right in another shape than the
    leaf itself has is wrong only where nothing else is, and that of a bias is not.
    """
    graph, handed = search.chain.graph, search.handed
    own_shape = {g: handed[g].binding.array for g in search.slots.misshapen}
    odd = {g for g, array in own_shape.items() if not is_flat_bias(graph, g, array)}
    arrays = search.arrays()
    if odd and not any(found.verdict == WRONG for found in verdicts.values()):
        arrays |= own_shape
        verdicts = search.judge(arrays)
        odd = set()
    for g, found in verdicts.items():
        if g not in own_shape or not found.verdict.startswith(RIGHT):
            yield g, arrays[g], found
        elif g in odd:
            yield g, own_shape[g], Judgement(RESHAPED)
        else:
            given = own_shape[g]
            yield g, given, in_its_shape(graph, found, given, graph.numbers[g])


def with_conventions(
    search: Search, verdicts: Mapping[Value, Judgement]
) -> Iterator[tuple[Value, np.ndarray, Judgement]]:
    """The same, where what is divided by a number that the whole chain has is right by convention."""
    for g, array, found in with_shapes(search, verdicts):
        scale = search.handed[g].scale
        yield g, array, found if scale == 1 else divided_later(found, scale)


def names_in_code(chain: Chain) -> dict[Value, str]:
    """What somebody's code calls values of the forward that the graph has no name for: by a variable
    that holds no other one, else by a place in a list, dict or object.
    """
    taken = {*chain.graph.names.values()}
    called: dict[Value, list[str]] = {}
    for b in chain.forward:
        x = chain.forward_value(b)
        if x is not None and x not in chain.graph.names:
            bound = sorted(chain.other_names[b], key=lambda n: (len(n.path), n.owner))
            free = (n.name for n in bound if not is_marked(n.path) and "()" not in n.name)
            called.setdefault(x, []).extend(name for name in free if name not in taken)
    holds = Counter(name for names in called.values() for name in {*names})
    found: dict[Value, str] = {}
    for x, names in called.items():
        name = next((name for name in names if holds[name] == 1), "")
        if name:
            found[x] = name
    return parts_of_given(chain) | found


def parts_of_given(chain: Chain) -> dict[Value, str]:
    """What arrays without a name are called that are parts of one that the code was given: x[:, 0]."""
    graph, found = chain.graph, dict[Value, str]()
    given = [b for b in chain.watched.bindings if b.origin.given and is_name(b.name)]
    taken = {*graph.names.values()}
    for x in (x for x in graph.forward if x.op is None and x not in graph.names):
        array = graph.numbers[x]
        if not array.size or np.all(array == array.flat[0]):
            continue  # it may be anything
        places = [text for b in given for text in places_in(b, array)]
        if len(places) == 1 and places[0] not in taken:
            found[x] = places[0]
    return found


def places_in(b: Binding, array: np.ndarray) -> Iterator[str]:
    """Where a part of an array of one more axis has these numbers."""
    for axis in range(b.array.ndim):
        parts = np.moveaxis(b.array, axis, 0)
        if parts.shape[1:] == array.shape:
            first = np.array([part.flat[0] for part in parts])
            maybe = np.flatnonzero(first == array.flat[0])
            same = (i for i in maybe if np.array_equal(parts[i], array))
            yield from (f"{b.name}[{':, ' * axis}{i}]" for i in same)


def placed(step: Step, chain: Chain, search: Search, g: Value) -> Step:
    """A step with the variable that holds it, and the line that made it."""
    found = search.handed[g]
    made = found.binding.made
    parts: list[Binding] = []
    reason = step.reason
    name = chain.spoken(made)
    if step.verdict == WRONG:
        parts = helpers(search, made)
        anew = assigned_anew(search, made, g, step.reason)
        made = culprit(search, made, g)
        name = made.name if made.made is not made else name
        if anew is not None:
            made = anew
            reason += f"; {anew.name} is assigned in each round, where it has to be added (+=)"
    variable = name + (f" / {found.scale:g}" if found.scale != 1 else "")
    places = [p for p in dict.fromkeys(b.origin.where for b in parts) if p is not made.origin.where]
    return step._replace(
        name=chain.graph.name(g) or name,
        reason=reason,
        variable=variable,
        where=made.origin.where if made.origin.where.file else None,
        helpers=tuple(places),
    )


def followers(chain: Chain, search: Search, make_step: MakeStep) -> Iterator[Step]:
    """The gradients after a forward that differs: right, or nothing that can be judged."""
    search.handed.update(search.slots.wrong)
    for g in (g for g in chain.graph.order if g in search.handed):
        verdict = FOLLOWS if g in search.slots.wrong else RIGHT
        array = search.handed[g].array(g)
        scale = search.handed[g].scale
        step = make_step(chain.graph, "", g, array, Judgement(verdict), scale)
        yield placed(step, chain, search, g)


# What is not in the graph


def unrecognised(chain: Chain, handed: Mapping[Value, Found]) -> list[Step]:
    """What was made and is not in the graph, each variable once, as it was last."""
    known = {found.binding for found in handed.values()} | {*chain.right, *chain.forward}
    known |= {part.made for b in known for part in b.parts}
    last = {at: b.made for at, b in chain.last.items()}
    found: dict[str, Step] = {}
    for b in dict.fromkeys(last.values()):
        if b.origin.given or b in known or b.parts:
            continue
        if last[b.owner, b.path] is b:
            reason = NO_SUCH if chain.is_marked(b) else ""
            found[chain.spoken(b)] = unknown(chain.spoken(b), reason, b)
    for name in (name for name, of in chain.aliases.items() if of is None):
        bound = [b for b in last.values() if name in {n.name for n in chain.other_names[b]}]
        if bound or is_meant_as_alias(chain, name):
            found[name] = unknown(name, f"the graph has no {chain.names[name]}", *bound[-1:])
    return [*found.values()]


def is_meant_as_alias(chain: Chain, name: str) -> bool:
    """Whether a text among the names was given to say whose gradient a variable holds: locals()
    hold other texts as well.
    """
    return is_marked((name,)) or all(is_name(of) for of in chain.names.values())


def unknown(name: str, reason: str, b: Binding | None = None) -> Step:
    """What to say of a variable that is not in the graph."""
    shape, where = (b.array.shape, b.origin.where) if b else ((), None)
    return Step("", shape, np.nan, np.nan, UNKNOWN, reason, [], name, where)


# Code that raises


def note_on(error: Exception, found: Comparison) -> None:
    """Say on what somebody's code has raised how far it was right."""
    wrong = next((step for step in found.steps if step.verdict == WRONG), None)
    right = [step for step in found.steps if step.verdict.startswith(RIGHT)]
    if wrong is not None:
        error.add_note(f"compare_backprop: before that, {wrong.called} is wrong: {wrong.reason}")
        for line in wrong.own_code():
            error.add_note(f"  you have       {line}")
        for line in wrong.code:
            error.add_note(f"  the graph has  {line}")
    elif right:
        names = ", ".join(step.variable for step in right)
        error.add_note(f"compare_backprop: what came before that is right: {names}")


# What to run, and what is called how


def runner(backprop: Any, names: Mapping[str, Any] | None) -> Callable[[], Any]:
    """What runs somebody's backprop: a function, or the code of a cell with its namespace."""
    if isinstance(backprop, str):
        refuse_path(backprop)
        return functools.partial(run_cell, backprop, dict(names or {}))
    if not callable(backprop):
        raise TypeError(
            f"backprop is a {type(backprop).__name__}; it is to be a function without arguments, as in "
            f"backprop=lambda: backward(x, y), or the code of a cell as text"
        )
    try:
        inspect.signature(backprop).bind()
    except TypeError as error:
        name = getattr(backprop, "__name__", "the function")
        if name == "<lambda>":
            raise TypeError(
                f"backprop is called without arguments, and the lambda says: {error}; write one "
                f"that takes none, as in backprop=lambda: backward(x, y)"
            ) from None
        raise TypeError(
            f"backprop is called without arguments, and {name} says: {error}; hand them over in a "
            f"lambda, as in backprop=lambda: {name}(x, y)"
        ) from None
    except ValueError:
        pass  # a function of C's that does not say what it takes
    return backprop  # type: ignore[no-any-return]


def flat_names(names: Mapping[str, Any]) -> dict[str, Any]:
    """Names for Tensors, also inside lists, dicts and objects, to any depth.

    The variable of a loop over a list does not take an element's place.
    """
    given: dict[str, Any] = variables(dict(names))
    inside: dict[Path, Tensor] = {}
    for name, value in given.items():
        inside.update(tensors_in(value, (name,)))
    direct = {path[0]: t for path, t in inside.items() if len(path) == 1}
    groups: dict[Path, list[Tensor]] = {}
    for path, t in inside.items():
        if len(path) > 1:
            groups.setdefault(path[:-1], []).append(t)
    owned = {*direct.values()}
    loops = {t for group in groups.values() if not {*group} <= owned for t in group}
    found: dict[str, Any] = {name: t for name, t in direct.items() if t not in loops}
    found |= {spelled_path(path): t for path, t in inside.items() if len(path) > 1}
    found |= {name: t for name, t in direct.items() if name not in found}
    return found | {name: v for name, v in given.items() if isinstance(v, np.ndarray)}


def tensors_in(value: Any, path: Path) -> Iterator[tuple[Path, Tensor]]:
    """The Tensors that a variable holds, to any depth."""
    todo: list[tuple[Path, Any]] = [(path, value)]
    seen: set[int] = set()
    while todo:
        at, x = todo.pop(0)
        if issubclass(type(x), Tensor):
            yield at, x
        elif id(x) not in seen and not issubclass(type(x), np.ndarray | str | bytes | int | float):
            seen.add(id(x))
            todo += [((*at, key), inner) for key, inner in items(x)]


def refuse_plain(loss: Any) -> None:
    """TypeError for a loss that is a number or an array, and what to wrap instead."""
    if isinstance(loss, Tensor):
        return
    raise TypeError(
        f"the loss is a plain {type(loss).__name__}, which has no graph: wrap the parameters, as in "
        'W1 = Tensor(W1, requires_grad=True, name="W1"), compute the loss from these with the same '
        "functions, and hand that over"
    )
