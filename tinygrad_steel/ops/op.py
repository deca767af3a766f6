"""What an op is: a forward in NumPy terms and one vjp for each input. `OPS` lists them all."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .samples import Sample

Vjp = Callable[..., Any]
Rule = TypeVar("Rule", bound=Callable[..., Any] | None)
OPS: dict[str, Op] = {}
# NumPy's own function -> the op for it on Tensors, or what it means in terms of ops. Ufuncs and
# `twins=` make rows of the first; all others stand in engine/numpy_api.py.
TWINS: dict[Callable[..., Any], Op] = {}
SPELLINGS: dict[Callable[..., Any], Any] = {}  # each loads its file when called (engine/later.py)
OTHERS = {"dim": "axis", "keepdim": "keepdims"}  # PyTorch's words for parameters, and NumPy's
NO_VJP = (
    "no vjp was given: give one per input, or say constant=True where the result is a constant "
    "to every gradient"
)


class Each:
    """The vjps of an op with any number of inputs: `rule(i, g, y, *inputs)` serves input `i`."""

    def __init__(self, rule: Vjp):
        self.rule = rule

    def __iter__(self) -> Iterator[Vjp]:
        return (functools.partial(self.rule, i) for i in itertools.count())


class Endless(tuple[Vjp | None, ...]):
    """The vjps of an op with any number of inputs but no rule for each: those given, then None."""

    def __iter__(self) -> Iterator[Vjp | None]:
        return itertools.chain(super().__iter__(), itertools.repeat(None))


def piece(joint: Vjp, i: int, *args: Any, **params: Any) -> Any:
    """What a joint rule gives input `i`."""
    return joint(*args, **params)[i]


class Op:
    """A registered operation: arrays in, an array out; Tensors in, a Tensor that knows its history.

    Made by `op`, never directly. Inputs are the forward's positional arguments without a default;
    everything else is a parameter (`axis`, `keepdims`, ...), through which no gradient flows.
    """

    # Facts that readers ask for, said where the library declares an op (see declare.define).
    reduction: bool = False  # takes up the elements along `axis` one by one, and has keepdims
    moves: bool = False  # the same elements in another order or shape, each once
    choosing: bool = False  # hands on an input or its magnitude, and so rounds nothing
    jumps: bool = False  # piecewise constant
    undefined: bool = False  # has no derivative at some inputs, where its gradient is NaN
    counts: bool = False  # how long its result is, the numbers decide and not the shapes alone
    draws: bool = False  # from a generator, its parameter `rng`; recorded whatever its inputs are
    sawtooth: bool = False  # jumps wherever one input fits into the other, so often for large ones

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjps: Sequence[Vjp | None],
        samples: Sequence[Sample],
        *,
        each: Vjp | None = None,
        joint: Vjp | None = None,
        elementwise: bool = False,
        rowwise: bool = False,
        sequence: bool = False,
        keeps: bool = False,
        constant: bool = False,
        random: bool = False,
    ):
        functools.update_wrapper(self, forward, updated=())
        self.name, self.__name__, self.forward = name, name, forward
        self.samples = list(samples)
        if isinstance(forward, np.ufunc):
            elementwise = elementwise or forward.signature is None
        self.elementwise, self.rowwise, self.sequence = elementwise, rowwise, sequence
        self.keeps, self.constant, self.random, self.joint = keeps, constant, random, joint
        # `foreign`, until `trust` is called: its rules may hand out an input itself, or a buffer
        # that they use again. `special`: its result needs more work than usual (tensor.settle).
        # `usual`: its vjps need none but to be called (backward.walk).
        self.foreign, self.special, self.usual = True, True, False
        self.input_names: tuple[str, ...] = ()
        self.param_names: tuple[str, ...] = ()
        self.defaults: dict[str, Any] = {}
        self.positional: tuple[str, ...] = ()  # parameters that may come without their names
        self.variadic = False
        self.read_arguments()
        several = self.variadic or len(self.input_names) > 1
        self.meets = elementwise and several  # inputs may be broadcast together
        # A gradient may stand for its broadcast, as the vjps sum over nothing.
        self.takes_small = rowwise or (elementwise and not several and not keeps)
        # Adds the gradient of the first input to an array in place: `add_to(z, g, *others, **params)`.
        # For what reads a small part of its input, whose gradient would be mostly zeros.
        self.add_to: Vjp | None = None
        if joint is not None:
            each = functools.partial(piece, joint)
        # At least one per input: None for those that are not given.
        self.vjps: Any = Endless() if self.variadic else (None,) * len(self.input_names)
        if each is not None:
            self.vjps = Each(each)
        self.differentiable, self.given = each is not None, 0
        for rule in vjps:
            self.vjp(rule)

    def read_arguments(self) -> None:
        """Find out which arguments of the forward are inputs and which are parameters."""
        if isinstance(self.forward, np.ufunc):
            self.input_names = ("x",) if self.forward.nin == 1 else ("a", "b")
            return
        params = []
        for p in inspect.signature(self.forward).parameters.values():
            self.defaults[p.name] = p.default
            if p.kind is p.VAR_POSITIONAL:
                self.variadic = True
            elif is_input(p):
                self.input_names += (p.name,)
            else:
                params.append(p.name)
        self.param_names = tuple(params)
        # NumPy's functions have a dtype where ours have keepdims: from there on, by keyword alone.
        end = params.index("keepdims") if "keepdims" in params else len(params)
        self.positional = tuple(params[:end])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, params = self.bind(args, kwargs)
        for x in inputs:
            record = getattr(x, "record_op", None)  # so that this file need not know the Tensor
            if record is not None:
                return record(self, inputs, params)
        arrays = (np.array(x) if isinstance(x, list | tuple) else x for x in inputs)
        y = self.forward(*arrays, **params)
        return self.pair(y)[0] if self.keeps else y

    def pair(self, y: Any) -> tuple[Any, Any]:
        """What a forward that keeps something returned; TypeError where it is not two things."""
        if not isinstance(y, tuple) or len(y) != 2:  # an array of length 2 would be taken apart
            words = "has keeps=True, so its forward returns (result, kept)"
            raise TypeError(f"{self.name} {words}, not {describe_returned(y)}")
        return y

    def without_rule(self, y: Any) -> bool:
        """RuntimeError for a result that wants a gradient and has no rule; False for a constant."""
        if self.constant or y.dtype.kind != "f":
            return False
        raise RuntimeError(f"{self.name}{self.signature()}: {NO_VJP}")

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs and the parameters of a call; TypeError where the arguments do not fit."""
        arity = len(self.input_names)
        if not kwargs and len(args) == arity and not self.sequence:
            return args, kwargs
        inputs, rest = self.taken_apart(args)
        if len(rest) > len(self.positional):
            raise self.misfit(f"{len(args)} positional arguments are too many")
        params = dict(zip(self.positional, rest))
        for key, value in kwargs.items():
            if key in self.param_names and key not in params:
                params[key] = value
            elif len(inputs) < arity and key == self.input_names[len(inputs)]:
                inputs += (value,)
            elif len(inputs) < arity and key not in OTHERS:
                missing = ", ".join(self.input_names[len(inputs) :])
                raise self.misfit(f"{key}= is none of them, and {missing} is missing")
            elif value is not None:  # None is NumPy's word for "not asked for", as in out=None
                words = f" (NumPy says {OTHERS[key]}=)" if key in OTHERS else ""
                raise self.misfit(
                    f"{key}= is not supported{words}, or is given twice. "
                    f"Leave it out, or register an op of your own with tinygrad_steel.op"
                )
        if len(inputs) < arity:
            raise self.misfit(f"{', '.join(self.input_names[len(inputs) :])} is missing")
        return inputs, params

    def taken_apart(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The positional arguments of a call: the inputs, and what is left for the parameters."""
        if self.sequence:
            listed = args and (isinstance(args[0], list | tuple) or is_tensor(args[0]))
            if not listed or any(map(is_tensor, args[1:])):  # np.concatenate(t, u)
                words = "the first argument is a list or tuple of arrays, as in NumPy"
                raise TypeError(f"{self.name}: {words}")
            return tuple(map(stacked, args[0])), args[1:]
        if self.variadic:
            return args, ()
        arity = len(self.input_names)
        return args[:arity], args[arity:]

    def misfit(self, why: str) -> TypeError:
        """The error for a call that does not fit."""
        return TypeError(f"{self.name} takes {self.signature()}: {why}")

    def trust(self) -> None:
        """Say that no rule returns an input, or a buffer that it uses again; `g` it may return."""
        self.foreign, self.special, self.usual = False, self.keeps, self.joint is None

    def signature(self) -> str:
        """The op's arguments as a reader would write them: `(x, axis, keepdims)`."""
        inputs = ["[a, b, ...]"] if self.sequence else [*self.input_names]
        return f"({', '.join([*inputs, *self.param_names])})"

    def vjp(self, rule: Rule) -> Rule:
        """Decorator: the vjp of the next input, `rule(g, y, *inputs, **params)`; None for none."""
        if self.constant:
            raise ValueError(
                f"{self.name} is declared constant=True: give it a vjp or constant=True, not both"
            )
        if isinstance(self.vjps, Each):
            words = "has each= or joint=, one rule for all inputs"
            raise ValueError(f"{self.name} {words}: leave out that or the vjp")
        if rule is not None and not callable(rule):
            words = "a vjp is a function (g, y, *inputs, **params) or None"
            raise TypeError(f"{self.name}: {words}, not {rule!r:.60}")
        if self.given == len(self.input_names) and not self.variadic:
            raise ValueError(
                f"{self.name}{self.signature()} has a vjp for each of its inputs already"
            )
        rules = list(self.vjps[:])
        rules[self.given : self.given + 1] = [rule]
        self.vjps = type(self.vjps)(rules)
        self.given += 1
        self.differentiable = True
        return rule

    def __repr__(self) -> str:
        return f"<op {self.name}{self.signature()}>"

    # Readers know an op by what it is and not by its name: a copy would be another one. A copy of a
    # layer that holds `relu` has this very op, as it would have a function.

    def another(self) -> Op:
        """An op of its own with the same rules: one that is changed leaves this one as it is."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Op:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if OPS.get(self.name) is not self:
            raise TypeError(
                f"{self!r} is not the op of this name in OPS, by which it would be found"
            )
        return registered, (self.name,)


def registered(name: str) -> Op:
    """The op of this name, in whichever process something that holds it is loaded."""
    if name not in OPS:
        raise KeyError(f"there is no op {name!r} here: import the file that declares it first")
    return OPS[name]


def is_input(p: inspect.Parameter) -> bool:
    """Whether an argument of a forward is one of its inputs: positional, and without a default."""
    return p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD


def is_tensor(x: Any) -> bool:
    """Whether it is a Tensor, without a need to know its class."""
    return hasattr(x, "record_op")


def holds_tensors(x: Any) -> bool:
    """Whether it is a list with Tensors in it, or in its lists."""
    return isinstance(x, list | tuple) and any(is_tensor(y) or holds_tensors(y) for y in x)


def stacked(x: Any) -> Any:
    """A list with Tensors in it as one of them; anything else as it is."""
    return OPS["stack"](x) if holds_tensors(x) else x


def data_of(x: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return x.data if is_tensor(x) else x


def describe_returned(y: Any) -> str:
    """What a forward returned, as messages show it."""
    return f"{len(y)} things" if isinstance(y, tuple) else f"{type(y).__name__} {describe(y):.60}"


def describe(x: Any) -> str:
    """An input as messages show it: `weight: (27, 7) float64`, or a plain scalar as itself."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        return repr(x)
    name = getattr(x, "name", None)
    return f"{f'{name}: ' if name else ''}{tuple(x.shape)} {x.dtype}"
