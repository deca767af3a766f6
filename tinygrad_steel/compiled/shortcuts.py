"""What products save: copies of what they read, and passes over what they give.

A product reads the windows of an image where they are, without a copy of them; and it goes on
through a bias, relu or the slope of relu before its numbers are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.values import VALUES, Apply, Constant, Value
from .lowered import behind_views, size
from .products import Fused, is_product, source_of_left
from .strides import along_axes, in_elements, is_copy, strided

Readers = dict[Value, list[Apply | None]]


@dataclass(frozen=True)
class Shortcuts:
    """`copies` that nobody needs, and how values are `fused` with the product before them."""

    copies: set[Apply]
    fused: dict[Apply, Fused]

    def passed(self) -> set[Apply]:
        """The values that are not computed by themselves."""
        return self.copies.union(*(made.passed for made in self.fused.values()))

    def arrays_read(self, value: Apply) -> list[Value]:
        """The arrays that a value reads, where it does not run element by element."""
        made = self.fused.get(value)
        inputs = value.values() if made is None else [*made.product.values(), made.beside]
        found = [behind_views(x) for x in inputs]
        return [behind_views(x.values()[0]) if x in self.copies else x for x in found]


def shortcuts(early: list[Apply], late: set[Apply], kept: list[Apply]) -> Shortcuts:
    """All of them for a program: of what comes before its updates, as these renew what is read.

    `early` and `late`: what is computed, in order; `kept`: what is read after a step.
    """
    readers = readers_of([*early, *late], kept)
    return Shortcuts(copies_passed_over(early, late, kept), fused_products(early, readers))


# Copies


def copies_passed_over(early: list[Apply], late: set[Apply], kept: list[Apply]) -> set[Apply]:
    """Copies of views all of whose readers are products that read what is copied."""
    copies = {x for x in early if is_copy(x)} - {*kept}
    for value in late:
        copies -= {behind_views(x) for x in value.values()}
    for value in early:
        read = value.values()
        if is_product(value) and source_of_left(value) is not None:
            read = read[1:]
        copies -= {behind_views(x) for x in read}
    return copies


# Products that go on


def fused_products(nodes: list[Apply], readers: Readers) -> dict[Apply, Fused]:
    """The values that one call computes."""
    found: dict[Apply, Fused] = {}
    for product in filter(is_call, nodes):
        last = only_reader(product, readers)
        if last is None or last.op not in FUSED:
            continue
        made = FUSED[last.op](last, product, readers)
        if made is None:
            continue
        rectified = only_reader(last, readers)
        if made.kernel == "affine" and rectified is not None and is_relu(rectified, last):
            found[rectified] = made._replace(kernel="affine_relu", passed=(product, last))
        else:
            found[last] = made
    return found


def is_call(value: Apply) -> bool:
    """Whether it is a product of arrays as they lie in the block, which one call computes."""
    return is_product(value) and all(strided(x) is not None for x in value.inputs)


def readers_of(nodes: Iterable[Apply], kept: Iterable[Value]) -> Readers:
    """Who reads the array of each value, also by views; None for somebody else."""
    readers: Readers = {x: [None] for x in kept}
    for value in nodes:
        for x in value.values():
            readers.setdefault(behind_views(x), []).append(value)
    return readers


def only_reader(value: Apply, readers: Readers) -> Apply | None:
    """The one who reads a value, once; None where there are others."""
    found = readers.get(value, [])
    return found[0] if len(found) == 1 else None


def with_bias(last: Apply, product: Apply, readers: Readers) -> Fused | None:
    """A product and a row that is added to each of its rows."""
    beside = other_than(product, last)
    if beside is None or not is_row(beside, last, product):
        return None
    return Fused("affine", product, beside, (product,))


def with_slope(last: Apply, product: Apply, readers: Readers) -> Fused | None:
    """A product times the slope of relu, for which only its result is needed."""
    slope = other_than(product, last)
    if not isinstance(slope, Apply) or slope.op is not ops.sign or slope.shape != last.shape:
        return None
    rectified = slope.inputs[0]
    if not isinstance(rectified, Apply) or not is_relu(rectified):
        return None
    if only_reader(slope, readers) is not last:
        return None
    return Fused("product_relu_vjp", product, rectified, (product, slope))


FUSED: dict[Op | None, Callable[[Apply, Apply, Readers], Fused | None]] = {
    ops.add: with_bias,
    ops.multiply: with_slope,
}


def other_than(product: Apply, last: Apply) -> Any:
    """The other input of a value that takes all of a product, in its order; None where it does not."""
    if len(last.inputs) != 2 or last.dtype != product.dtype or size(last) != size(product):
        return None
    x, y = last.inputs
    if isinstance(x, VALUES) and behind_views(x) is product:
        return y if is_whole(x) else None
    return x if is_whole(y) else None


def is_whole(x: Value) -> bool:
    """Whether a view shows all elements of the array behind it, of which it has as many, in their
    order.
    """
    shown = strided(x)
    in_order = in_elements(np.empty(x.shape, x.dtype))
    return shown is not None and not shown.offset and shown.strides == in_order


def is_row(x: Any, last: Apply, product: Apply) -> bool:
    """Whether it is one row of numbers, for each row of the product the same."""
    columns = product.inputs[1].shape[-1] if len(product.inputs[1].shape) > 1 else 1
    if not isinstance(x, VALUES) or x.dtype != product.dtype or last.shape[-1:] != (columns,):
        return False
    row = strided(x)
    if row is None or not row.base.shape:
        return False
    *others, step = along_axes(len(last.shape), row.strides)
    return not any(others) and (step == 1 or columns == 1)


def is_relu(y: Apply, x: Value | None = None) -> bool:
    """Whether it is max(x, 0), element by element."""
    if y.op is not ops.maximum:
        return False
    first, zero = y.inputs
    number = zero.data if isinstance(zero, Constant) else zero
    if isinstance(number, VALUES) or np.shape(number) or number != 0 or np.signbit(number):
        return False
    return first.shape == y.shape and (x is None or first is x)
