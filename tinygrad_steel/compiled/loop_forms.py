"""How an op is said in a loop: tables for numbers and truth values, and how reductions add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.values import Apply
from .indices import Index
from .lowered import is_mask
from .memory import Block


@dataclass(frozen=True)
class Element:
    """One element `at` of a value, to be said by those of its inputs; `read` has these as they
    stand.
    """

    value: Apply
    at: Index
    read: list[str]
    block: Block

    def numbers(self) -> list[str]:
        """The inputs' elements as numbers."""
        return [
            as_number(text) if is_mask(x) else text for text, x in zip(self.read, self.value.inputs)
        ]

    def truths(self) -> list[str]:
        """The inputs' elements as conditions."""
        return [
            text if is_mask(x) else f"{text} != 0.0"
            for text, x in zip(self.read, self.value.inputs)
        ]


def as_number(mask: str) -> str:
    """An element of a mask as a number."""
    return f"(1.0 if {mask} else 0.0)"


Form = Callable[[Element], str]


def of_read(template: str) -> Form:
    """A form of the inputs as they stand."""
    return lambda element: template.format(*element.read)


def of_numbers(template: str) -> Form:
    """A form of the inputs as numbers."""
    return lambda element: template.format(*element.numbers())


def of_truths(template: str) -> Form:
    """A form of the inputs as conditions."""
    return lambda element: template.format(*element.truths())


def one_hot(element: Element) -> str:
    return f"{element.read[0]} == {element.at[1]}"


def where(element: Element) -> str:
    _, a, b = element.read
    return f"({a}) if ({element.truths()[0]}) else ({b})"


def clip(element: Element) -> str:
    (text,) = element.read
    low, high = element.value.params.get("a_min"), element.value.params.get("a_max")
    if low is not None:
        text = f"np.maximum({text}, {element.block.number(low)})"
    return text if high is None else f"np.minimum({text}, {element.block.number(high)})"


def sign(element: Element) -> str:
    """Faster than numba's own; 0 and NaN are themselves."""
    (x,) = element.numbers()
    one, minus_one = element.block.number(1), element.block.number(-1)
    return f"{one} if {x} > 0.0 else {minus_one} if {x} < 0.0 else {x}"


def heaviside(element: Element) -> str:
    """numba does not know it; NaN is itself."""
    a, b = element.numbers()
    one, zero = element.block.number(1), element.block.number(0)
    return f"{one} if {a} > 0.0 else {zero} if {a} < 0.0 else {b} if {a} == 0.0 else {a}"


def floor_divide(element: Element) -> str:
    """As NumPy has it, by the remainder: numba's own, floor(a / b), is one too many for 3.6 // 0.2."""
    a, b = element.numbers()
    left, one, zero = f"np.fmod({a}, {b})", element.block.number(1), element.block.number(0)
    below = f"({one} if np.remainder({a}, {b}) != {left} else {zero})"
    return f"{a} / {b} if {b} == 0.0 else np.rint(({a} - {left}) / {b}) - {below}"


def call(ufunc: Any, module: str = "np.") -> Form:
    """NumPy's function, which numba, or `elementary.py`, knows by the same name."""
    inputs = ", ".join(f"{{{i}}}" for i in range(ufunc.nin))
    return of_numbers(f"{module}{ufunc.__name__}({inputs})")


def power(element: Element) -> str:
    """A call of the C library, which keeps a loop from being vectorized; but x ** 3 and x ** 4 as
    products, within 1.5 units in the last place.
    """
    x, exponent = element.numbers()
    if exponent in {element.block.number(3), element.block.number(4)}:
        return " * ".join([f"({x})"] * (3 if exponent == element.block.number(3) else 4))
    return f"({x}) ** ({exponent})"


OPERATORS = {
    **{ops.add: "+", ops.subtract: "-", ops.multiply: "*", ops.divide: "/"},
    **{ops.greater: ">", ops.greater_equal: ">=", ops.less: "<", ops.less_equal: "<="},
    **{ops.equal: "==", ops.not_equal: "!="},
}
ELEMENTWISE = [
    op
    for op in vars(ops).values()
    if isinstance(op, Op) and isinstance(op.forward, np.ufunc) and op.forward.signature is None
]
BOTH: dict[Op | None, Form] = {
    **{op: of_read(f"({{}}) {sign} ({{}})") for op, sign in OPERATORS.items()},
    ops.where: where,
    ops.one_hot: one_hot,
}
# The functions of elementary.py, which are fast for several elements at once.
ELEMENTARY: tuple[Op, ...] = (
    *(ops.exp, ops.expm1, ops.log, ops.log1p, ops.tanh),
    ops.logaddexp,
)
NUMBERS: dict[Op | None, Form] = {
    **{op: call(op.forward) for op in ELEMENTWISE},
    **{op: call(op.forward, "") for op in ELEMENTARY},
    **BOTH,
    ops.power: power,
    ops.square: of_numbers("({0}) * ({0})"),
    ops.negative: of_numbers("-({})"),
    ops.clip: clip,
    ops.sign: sign,
    ops.heaviside: heaviside,
    ops.floor_divide: floor_divide,
}
TRUTHS: dict[Op | None, Form] = {
    **BOTH,
    **{op: call(op.forward) for op in (ops.isnan, ops.isinf, ops.isfinite)},
    **dict.fromkeys((ops.logical_and, ops.multiply), of_truths("({}) and ({})")),
    **dict.fromkeys((ops.logical_or, ops.add), of_truths("({}) or ({})")),
    ops.logical_xor: of_truths("({}) != ({})"),
    ops.logical_not: of_truths("not ({})"),
}
# Integers wrap around, and divide in their own way: they have none.
BY_KIND = {"f": NUMBERS, "b": TRUTHS}


def form_of(value: Apply) -> Form | None:
    """How an element of a value is said; None where it has no such form."""
    return BY_KIND.get(value.dtype.kind, {}).get(value.op)


class Fold(NamedTuple):
    """A reduction: what it starts with, how it takes in one more element, and what comes of it all."""

    start: str
    take: str
    end: str = "{}"


FOLDS: dict[Op | None, Fold] = {
    ops.sum: Fold("0.0", "{} + {}"),
    ops.mean: Fold("0.0", "{} + {}", "{} / {count}"),
    ops.prod: Fold("1.0", "{} * {}"),
    ops.max: Fold("-np.inf", "np.maximum({}, {})"),
    ops.min: Fold("np.inf", "np.minimum({}, {})"),
}
