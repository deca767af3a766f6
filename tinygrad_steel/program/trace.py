"""What tracing asks of Tensors and ops: their order, who draws numbers, what runs on Tensors."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..engine.backward import history
from ..engine.messages import describe_call
from ..engine.tensor import Tensor
from ..ops.declare import define
from ..ops.op import OPS, Each, Op
from .draws import draws, is_maker, moved, reachable
from .values import Value, apply, constant

Names = dict[str, Any] | None


@define("alias", samples=[])
def alias(x: Any) -> Any:
    """Another name for the same value: a gradient that is handed on as it is."""
    return x


alias.vjp(lambda g, y, x: g)
del OPS["alias"]  # it stands in traced graphs alone


def call_with_locals(
    function: Callable[..., Any], *args: Any, **kwargs: Any
) -> tuple[Any, dict[str, Any]]:
    """What a Python function returns, and its local variables as they were then: names for what it
    has computed.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    variables: dict[str, Any] = {}

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)

    before: Any = sys.getprofile()
    sys.setprofile(look)
    try:
        result = function(*args, **kwargs)
    finally:
        if hasattr(before, "enable"):  # that of cProfile
            sys.setprofile(None)
            before.enable()
        else:
            sys.setprofile(before)
    return result, variables


def ancestors(roots: Iterable[Tensor]) -> list[Tensor]:
    """These Tensors and all from which they were computed, oldest first; TypeError for others."""
    roots = [*roots]
    refuse_numbers(roots)
    # Leaves first: new data makes one young.
    return sorted(history(roots), key=lambda t: (t.op is not None, t.age))


def translated(t: Tensor, made: Mapping[Tensor, Value]) -> Value:
    """A Tensor as a value, when those of its inputs are made; what has no history is a Constant."""
    if t.op is None:
        return constant(t.data)
    inputs = [made[x] if isinstance(x, Tensor) else x for x in t.inputs]
    return apply(t.op, inputs, t.params, t)


def refuse_numbers(roots: Iterable[Any]) -> None:
    """TypeError for what has no graph, as it is no Tensor."""
    for x in roots:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{x!r:.80} ({type(x).__name__}) has no graph: give the Tensor itself, "
                f"not its item()"
            )


def is_random(y: Tensor) -> bool:
    """Whether its op draws random numbers: the op says so, or it is seen to (see `draws`)."""
    op = y.op
    if op is None or not op.foreign:
        return False
    inputs = tuple(x.data if isinstance(x, Tensor) else x for x in y.inputs)
    return op.random or draws(op.forward, inputs, y.params)


def refuse_draws(t: Tensor, what: str) -> None:
    """TypeError where a Tensor draws random numbers; `what` would hold those of one draw."""
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
    """TypeError where a random generator that these rules can reach moves on inside the `with`, or
    they make one.
    """
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


def says_no_to_tensors(error: Exception, op: Op) -> bool:
    """Whether an error says that the forward of an op, which has run on arrays, does not run on
    Tensors.

    It does where something that Tensors lack, or refuse, was asked of them. Anything else is a
    fault in the forward that only Tensors bring to light, and is to be seen: it gets a note.
    """
    lacking = isinstance(error, TypeError | AttributeError | NotImplementedError)
    if lacking or isinstance(error.__cause__, TypeError):
        return True
    error.add_note(
        f"raised by the forward of {op.name}, which was run on Tensors to see of what it "
        f"consists; on arrays it runs"
    )
    return False


def variables(names: Names) -> dict[str, Any]:
    """The variables that give names: not the results that IPython keeps in _, Out and the like."""
    given = names or {}
    own = [k for k in given if not k.startswith("_") and k not in ("In", "Out")]
    return {k: given[k] for k in own}
