"""An op taken apart: what its forward, or another function in NumPy terms, consists of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ops
from ..engine.recording import recording
from ..engine.tensor import Tensor
from ..ops.op import Op
from .ancestors import ancestors, translated
from .draws import alike
from .values import VALUES, Apply, Constant, Value, behind, compute, inputs_of


class Arrays:
    """The arrays of values, computed when somebody asks for them, from those that are given."""

    def __init__(self, arrays: Mapping[Value, Any]):
        self.known: dict[Any, Any] = dict(arrays)

    def of(self, x: Any) -> Any:
        """The array of a value; a plain number as it is."""
        if isinstance(x, Constant):
            return x.data
        if not isinstance(x, VALUES):
            return x
        if x not in self.known:
            with np.errstate(all="ignore"):
                for y in behind([x]):
                    if isinstance(y, Apply) and y not in self.known:
                        self.known[y] = compute(y, inputs_of(y, self.known))
        return self.known[x]


def parts_of(y: Apply, function: Callable[..., Any], arrays: Arrays) -> Value | None:
    """What an Apply consists of, found by running a function on Tensors in place of its op.

    None where it does not run on them, where it gives something else on them than on arrays, as it
    looks at types or draws numbers, and where it is put in terms of the op itself.
    """
    stand = [Tensor(arrays.of(x)) if isinstance(x, VALUES) else x for x in y.inputs]
    found = same_on_tensors(y, function, stand)
    if found is None or (y.op.foreign and not alike(found.data, arrays.of(y))):
        return None
    made: dict[Tensor, Value] = {t: x for t, x in zip(stand, y.inputs) if isinstance(t, Tensor)}
    for t in ancestors([found]):
        if t in made:
            continue
        if t.op is y.op:
            return None
        made[t] = translated(t, made)
        arrays.known[made[t]] = t.data
    return made[found]


def on_tensors(y: Apply, function: Callable[..., Any], inputs: list[Any]) -> Any:
    """What a function gives for Tensors in place of an op, but not what it keeps for the vjps."""
    with recording("all"), np.errstate(all="ignore"):
        found = function(*inputs, **y.params)
    return found[0] if y.op.keeps and isinstance(found, tuple) else found


def same_on_tensors(y: Apply, function: Callable[..., Any], inputs: list[Any]) -> Tensor | None:
    """What a function gives in place of an op, in the op's shape and dtype; else None.

    None also where it does not run on Tensors.
    """
    try:
        found = on_tensors(y, function, inputs)
    except Exception as error:
        if says_no_to_tensors(error, y.op):
            return None
        raise
    fits = isinstance(found, Tensor) and (found.shape, found.dtype) == (y.shape, y.dtype)
    return found if fits else None


def says_no_to_tensors(error: Exception, op: Op) -> bool:
    """Whether an error says that a forward, which has run on arrays, does not run on Tensors.

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


# What NumPy has as one function, but a machine is better off with the parts of.


def var_in_parts(x: Any, axis: Any = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """np.var in simpler terms."""
    squares = np.square(x - np.mean(x, axis=axis, keepdims=True))
    count = x.size if axis is None else math.prod(x.shape[i] for i in np.ravel(axis).tolist())
    return np.sum(squares, axis=axis, keepdims=keepdims) / max(count - ddof, 0)


def std_in_parts(x: Any, **params: Any) -> Any:
    """np.std in simpler terms."""
    return np.sqrt(var_in_parts(x, **params))


SIMPLER: dict[Op, Callable[..., Any]] = {
    ops.norm: ops.norm.forward,
    ops.var: var_in_parts,
    ops.std: std_in_parts,
}
