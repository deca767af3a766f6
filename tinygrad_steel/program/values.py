"""What a traced program is made of: values that never change, and how they are computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from ..ops.declare import unlisted
from ..ops.op import Op


class Given:
    """A value that no op has made."""

    op: ClassVar[None] = None
    inputs: ClassVar[tuple[Any, ...]] = ()

    def values(self) -> list[Value]:
        """The inputs that are values: none."""
        return []


@dataclasses.dataclass(frozen=True, eq=False)
class Leaf(Given):
    """An array that comes from outside."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Constant(Given):
    """An array of the program's own: a NumPy number, or what a rule has made while traced."""

    data: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.data.dtype


@dataclasses.dataclass(frozen=True, eq=False)
class Apply:
    """The result of an op.

    `inputs` are values and plain Python numbers, which take the dtype of what they meet.
    """

    op: Op
    inputs: tuple[Any, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def values(self) -> list[Value]:
        """The inputs that are values, in order."""
        return [x for x in self.inputs if isinstance(x, VALUES)]

    def __repr__(self) -> str:
        return f"<{getattr(self.op, 'name', self.op)} {self.shape} {self.dtype}>"


Value = Leaf | Constant | Apply
VALUES = (Apply, Leaf, Constant)  # the most frequent first


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """What is computed from the leaves: `applies`, inputs first; some are the `results`."""

    leaves: tuple[Leaf, ...]
    applies: tuple[Apply, ...]
    results: tuple[Value, ...]


def constant(data: Any) -> Constant:
    """A Constant that nobody can write into."""
    data = np.array(data)
    data.flags.writeable = False
    return Constant(data)


def apply(op: Op, inputs: Iterable[Any], params: Mapping[str, Any], like: Any) -> Apply:
    """An Apply with the shape and dtype of `like`; NumPy's numbers become Constants."""
    values = tuple([constant(x) if isinstance(x, np.generic) else x for x in inputs])
    return Apply(op, values, MappingProxyType(dict(params)), like.shape, like.dtype)


def same_value(x: Any) -> Any:
    """Another name for the same value: a gradient that is handed on as it is."""
    return x


alias = unlisted("alias", same_value, lambda g, y, x: g)  # it stands in traced graphs alone


# Computing


def compute(y: Apply, inputs: Iterable[Any]) -> np.ndarray:
    """The op of an Apply on these arrays and numbers, in place of its inputs."""
    found = y.op.forward(*inputs, **y.params)
    return np.asarray(found[0] if y.op.keeps else found)


def inputs_of(y: Apply, arrays: Mapping[Any, Any]) -> list[Any]:
    """The arrays and numbers that an Apply gets, of those of all values before it."""
    return [
        x.data if isinstance(x, Constant) else arrays[x] if isinstance(x, VALUES) else x
        for x in y.inputs
    ]


def evaluate(program: Program, arrays: Mapping[Value, Any]) -> dict[Value, Any]:
    """The array of every value, from those of the leaves and of whatever is not to be computed."""
    found: dict[Value, Any] = dict(arrays)
    found |= {x: x.data for y in program.applies for x in y.values() if isinstance(x, Constant)}
    found |= {x: x.data for x in program.results if isinstance(x, Constant)}
    for y in program.applies:
        if y not in found:
            found[y] = compute(y, inputs_of(y, found))
    return found


# Walking


def behind(values: Iterable[Value], known: Container[Value] = ()) -> dict[Value, None]:
    """These values and all from which they are computed, inputs first, each once."""
    order: dict[Value, None] = {}
    for value in values:
        todo = [value]
        while todo:
            last = todo[-1]
            waiting = [
                x
                for x in last.inputs
                if x not in order and isinstance(x, VALUES) and x not in known
            ]
            todo.extend(waiting) if waiting else order.setdefault(todo.pop())
    return order


def only(program: Program, results: Iterable[Value]) -> Program:
    """The part of a program that these results need, in the same order."""
    results = tuple(results)
    needed = needed_for(program, results)
    return Program(program.leaves, tuple([y for y in program.applies if y in needed]), results)


def needed_for(program: Program, results: Iterable[Value]) -> set[Value]:
    """These values of a program and all from which it computes them, in no order."""
    needed = {*results}
    for y in reversed(program.applies):
        if y in needed:
            needed.update(y.values())
    return needed


# Identity


class Same:
    """An object as a key, equal to itself alone; held, so that no other takes its place."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return object.__hash__(self.thing)


def exact(v: Any) -> Any:
    """A key that equals another only where the values are the same, type and all, to the last bit.

    1, 1.0 and True are told apart, and so are 0.0 and -0.0, which are equal in Python; a NaN is the
    same as itself. What is inside tuples, lists and dicts counts as well. An object of any other
    kind is the same as itself alone.

    >>> exact(0.0) == exact(-0.0), exact((1, [np.ones(2)])) == exact((1, [np.ones(2)]))
    (False, True)
    """
    kind = type(v)
    if kind in EXACT:
        return kind, EXACT[kind](v)
    if isinstance(v, np.generic) or (kind is np.ndarray and not v.dtype.hasobject):
        return kind, v.shape, v.dtype, v.tobytes()
    return (kind, v) if isinstance(v, np.dtype) else Same(v)


EXACT: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys((bool, int, str, bytes, type(None)), lambda v: v),
    float: float.hex,
    complex: lambda v: (v.real.hex(), v.imag.hex()),
    tuple: lambda v: (*map(exact, v),),
    list: lambda v: (*map(exact, v),),
    dict: lambda v: frozenset((exact(key), exact(x)) for key, x in v.items()),
    slice: lambda v: (exact(v.start), exact(v.stop), exact(v.step)),
}


def key(y: Apply) -> Any:
    """What makes two Applies the same value."""
    params = frozenset((name, exact(x)) for name, x in y.params.items())
    return y.op, *map(key_of_input, y.inputs), params


def key_of_input(x: Any) -> Any:
    """What makes two inputs the same: a value is, a Constant's and a plain number's digits are."""
    if isinstance(x, Constant):
        return Constant, exact(x.data)
    return x if isinstance(x, VALUES) else exact(x)
