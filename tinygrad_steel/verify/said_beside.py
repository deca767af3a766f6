"""What a report says beside its verdicts: what was given back and not judged, and why it is empty."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any

from ..engine.tensor import Tensor
from .chain import Chain
from .contents import items
from .slots import Slots

FEW = 4  # how many arrays are named


def notes(slots: Slots, is_empty: bool, backprop: Any) -> Iterator[str]:
    """What else is to be said."""
    chain = slots.back.chain
    if chain.watched.note:
        yield chain.watched.note
    if is_empty:
        yield why_empty(chain, backprop)
    if slots.rate is not None:
        yield f"what a step of training changes was judged up to one rate, here {slots.rate:g}"
    if not slots.wrong:
        yield from (f"what was returned was not judged: {text}" for text in unjudged(slots))
        yield from local_ones(chain, slots)


def is_complete(slots: Slots) -> bool:
    """Whether all that is given back was judged, or is beside what was, and lacks no gradient."""
    if slots.lost and (slots.back.right_leaves or slots.back.has_empty_places()):
        return False
    return not slots.local or not any(unjudged(slots))


def unjudged(slots: Slots) -> Iterator[str]:
    """The arrays that were given back and could be gradients, and of which nothing is known."""
    if slots.right and not slots.local:
        return
    found = slots.back.unjudged(f.binding for f in (*slots.right.values(), *slots.wrong.values()))
    if found:
        texts = [f"{name.name} of shape {name.array.shape}" for name in found[:FEW]]
        more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
        yield f"{', '.join(texts)}{more} could not be matched to a gradient"


def local_ones(chain: Chain, slots: Slots) -> Iterator[str]:
    """The leaves whose gradients are not given back where those of others are."""
    back = slots.back
    lacking = [x for x in slots.missing if back.lacks(x)]
    if lacking:
        yield f"what was returned lacks the gradient of {', '.join(map(chain.graph.text, lacking))}"
    names = ", ".join(map(chain.graph.text, slots.lost or slots.local))
    if names and (back.right_leaves or back.has_empty_places()):
        yield f"what was returned lacks the gradient of {names}: that of a variable was judged"
    elif slots.lost:
        yield (
            f"nothing gives back or keeps the gradient of {names}: that of a variable was judged, "
            f"of a function that has ended"
        )


# An empty report


def why_empty(chain: Chain, backprop: Any) -> str:
    """Why there is nothing to be judged."""
    if not chain.gradients:
        return "the graph has no gradient that could be judged"
    result = chain.watched.result
    leaf = next((chain.graph.text(x) for x in chain.graph.leaves if x in chain.graph.wanted), "W")
    if isinstance(backprop, type):
        return f"{backprop.__name__} is a class: hand over a function that calls its backward"
    if inspect.iscoroutine(result):
        result.close()
        return (
            "the code gave back a coroutine, which was not run: hand over lambda: asyncio.run(...)"
        )
    if isinstance(result, types.GeneratorType):
        return "the code gave back a generator, which was not run: hand over lambda: [*backward()]"
    if holds_tensors([result, computed_locals(chain)]):
        return f"your code computed with Tensors: hand it {leaf}.numpy()"
    if isinstance(backprop, str) and not chain.watched.bindings:
        return "the code made no arrays: where it only defines functions, call them in it as well"
    if result is None:
        return "the code gave nothing back, and no variable of it held a gradient of the graph"
    return "nothing in what the code made or gave back could be matched to a gradient of the graph"


def computed_locals(chain: Chain) -> list[Any]:
    """The Tensors that variables of the code hold, and were computed by it."""
    given = [*chain.names.values()]
    found = []
    for frame in chain.watched.frames:
        own = {*frame.f_code.co_varnames, *frame.f_code.co_names}
        values = [value for name, value in frame.f_locals.items() if name in own]
        tensors = (value for value in values if isinstance(value, Tensor) and value.op is not None)
        found += [t for t in tensors if not any(t is other for other in given)]
    return found


def holds_tensors(value: Any) -> bool:
    """Whether there are Tensors in a value, to any depth."""
    todo, seen = [value], set()
    while todo:
        x = todo.pop()
        if isinstance(x, Tensor):
            return True
        if id(x) not in seen and type(x) in (dict, list, tuple):
            seen.add(id(x))
            todo += [inner for _, inner in items(x)]
    return False
