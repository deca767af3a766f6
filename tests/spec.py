"""What a Program may hold: tests ask after each pass."""

from types import MappingProxyType

import numpy as np

from tinygrad_steel.ops.op import Op
from tinygrad_steel.program.values import Apply, Constant, Leaf, behind


def spec(program, allowed=None):
    """ValueError where a Program holds what it may not; `allowed`: the ops of its level, None for all."""
    known = set()
    for x in program.leaves:
        insist(x, type(x) is Leaf and x not in known, "is no Leaf, or is there twice")
        known.add(x)
    for y in program.applies:
        insist(y, type(y) is Apply and y not in known, "is no Apply, or is there twice")
        check_apply(y, known)
        insist(y, allowed is None or y.op in allowed, "has no place at this level")
        known.add(y)
    for result in program.results:
        computed = result in known or isinstance(result, Constant)
        insist(result, computed, "is a result that nothing computes")
    needed = behind(program.results)
    for y in program.applies:
        insist(y, y in needed, "is what no result needs")


def check_apply(y, known):
    """ValueError where an Apply is not what its op may give for its inputs, or comes before one of them."""
    insist(y, isinstance(y.op, Op), "has no Op")
    insist(y, type(y.params) is MappingProxyType, "has parameters that can be changed")
    insist(y, {*y.params} <= {*y.op.param_names}, "has parameters that its op does not know")
    fits = y.op.variadic or len(y.inputs) == len(y.op.input_names)
    insist(y, fits, "has a wrong number of inputs")
    for x in y.inputs:
        is_known = type(x) in (bool, int, float) or isinstance(x, Constant) or x in known
        insist(y, is_known, f"has the input {x!r:.60}, which is not known")
        is_fixed = not isinstance(x, Constant) or not x.data.flags.writeable
        insist(y, is_fixed, "has a Constant that can be changed")
    if y.op.elementwise:
        shape = np.broadcast_shapes(*(x.shape for x in y.values()))
        insist(y, shape == y.shape, f"has not the shape {shape} of its inputs")


def insist(value, holds, what):
    """ValueError where something does not hold."""
    if not holds:
        raise ValueError(f"{value!r:.80} {what}")
