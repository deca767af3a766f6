"""Which functions draw random numbers: draws are never merged, and never written down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..engine.messages import describe_call
from ..engine.tensor import Tensor
from ..ops.op import Each, Op, data_of
from .ancestors import ancestors
from .generators import is_maker, moved
from .reachable import reachable

TRIES = 3
# How a call is left out to evaluate, by the op that draws for it.
LEFT_OUT = {
    "dropout_mask": "h = dropout(h, rate, rng) if training else h",
    "normal_noise": "h = noise(h, spread, rng) if training else h",
}


def draws(function: Callable[..., Any], inputs: tuple[Any, ...], params: dict[str, Any]) -> bool:
    """Whether a function draws random numbers for these inputs.

    It does where it can make a generator of its own, with a seed or without: two calls may agree by
    chance, as masks do that seldom drop anything. Else it is called twice: it draws where the
    results differ by more than rounding may, or where a generator that it can reach moves on each
    time (that is then put back to where it was). Once, it may be somebody else who draws
    meanwhile: a finalizer, a signal handler.
    """
    found = [*reachable(function)]
    if any(is_maker(x) or (isinstance(x, Op) and x.random) for x in found):
        return True
    for _ in range(TRIES):
        with moved(found) as has_moved, np.errstate(all="ignore"):
            first = function(*inputs, **params)
            if not has_moved():
                return not alike(first, function(*inputs, **params))
    return True


def alike(a: Any, b: Any) -> bool:
    """Whether two results are the same but for rounding: a library may add up in another order."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return a.dtype.kind not in "iub" or np.array_equal(a, b)
    size = np.max(np.abs(a), initial=0, where=np.isfinite(a))
    return np.allclose(a, b, rtol=0, atol=np.sqrt(np.finfo(a.dtype).eps) * size, equal_nan=True)


def is_random(y: Tensor) -> bool:
    """Whether its op draws random numbers: the op says so, or it is seen to (see `draws`)."""
    op = y.op
    if op is None or not op.foreign:
        return op is not None and op.draws
    return op.random or draws(op.forward, tuple(map(data_of, y.inputs)), y.params)


def refuse_draws(t: Tensor, what: str) -> None:
    """TypeError where a Tensor draws random numbers; `what` would hold those of one draw."""
    if t.op is not None and t.op.draws:
        raise TypeError(
            f"{t.name or 'this'} ({t.op.name}) is drawn anew at each call, and {what} would hold "
            f"the numbers of one: leave the draw out, as one does to evaluate, with "
            f"{LEFT_OUT[t.op.name]}"
        )
    if is_random(t):
        raise draw_error(describe_call(t.op, t.inputs, t.params), what)


def draw_error(call: str, what: str) -> TypeError:
    """The error where a call draws random numbers, and `what` would hold them."""
    return TypeError(
        f"{call} draws random numbers, and {what} would hold those of one draw: draw outside, and "
        f'hand them in as data, as in x * Tensor(mask, name="mask")'
    )


@contextlib.contextmanager
def no_draws(rules: Iterable[Any], whose: str, what: str) -> Iterator[None]:
    """TypeError where a generator that these rules reach moves on in the `with`, or is made."""
    found = [x for rule in rules for x in reachable(rule)]
    with moved(found) as has_moved:
        yield
        if has_moved() or any(map(is_maker, found)):
            raise TypeError(
                f"{whose} draws random numbers, and {what} would hold those of one draw: draw in "
                f"the forward of an op with random=True, or outside, and hand them in as data, as "
                f'in x * Tensor(mask, name="mask")'
            )


def no_draws_in_vjps(loss: Tensor, what: str) -> contextlib.AbstractContextManager[None]:
    """The same for the vjps of the ops behind a loss that are somebody's own."""
    own = dict.fromkeys(t.op for t in ancestors([loss]) if t.op is not None and t.op.foreign)
    if not own:
        return contextlib.nullcontext()
    rules = [o.vjps if isinstance(o.vjps, Each) else o.vjps[:] for o in own]
    return no_draws(rules, f"a vjp of {' or '.join(o.name for o in own)}", what)
