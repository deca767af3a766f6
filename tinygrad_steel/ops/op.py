"""What an op is: a forward in NumPy terms, one vjp per input, and samples that prove them. `OPS` lists them all."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

OPS: dict[str, Op] = {}
TWINS: dict[Callable, Op] = {}  # NumPy's own function -> the op that stands for it on Tensors
SPELLINGS: dict[Callable, Callable] = {}  # NumPy's own function -> what it means in terms of ops (see spelling.py)


class Sample:
    """One set of inputs on which an op is proven; the arrays are read-only, so that no check can spoil the next."""

    def __init__(self, inputs: Iterable[Any], params: dict[str, Any]):
        self.inputs = tuple(np.array(x) for x in inputs)
        self.params = params
        for x in self.inputs:
            x.flags.writeable = False

    def __repr__(self) -> str:
        return f"Sample({', '.join(describe(x) for x in self.inputs)}, params={self.params})"


def arrays(*shapes: tuple[int, ...], positive: bool = False, **params: Any) -> Sample:
    """A sample of random float64 arrays of these shapes, 0.3 to 1.7 away from zero, so that no kink at 0 is near.

    `positive` keeps them above zero (for log, sqrt and the like); further keywords are the op's parameters.
    """
    rng = np.random.default_rng(1)
    return values(
        *(rng.uniform(0.3, 1.7, shape) * (1 if positive else rng.choice([-1, 1], shape)) for shape in shapes), **params
    )


def values(*inputs: Any, **params: Any) -> Sample:
    """A sample of just these inputs; further keywords are the op's parameters."""
    return Sample(inputs, params)


class Each:
    """The vjps of an op with any number of inputs: one rule `vjp(i, g, y, *inputs)` serves input `i`."""

    def __init__(self, rule: Callable):
        self.rule = rule

    def __iter__(self) -> Iterator[Callable]:
        return (functools.partial(self.rule, i) for i in itertools.count())


class Endless(tuple):
    """The vjps of an op with any number of inputs but no rule for each: those given, then None without end."""

    def __iter__(self) -> Iterator[Callable | None]:
        return itertools.chain(super().__iter__(), itertools.repeat(None))


class Op:
    """A registered operation: call it on arrays and get an array, on Tensors and get a Tensor that knows its history.

    Made by `op`, never directly. Inputs are the forward's positional arguments without a default; everything else is a
    parameter (`axis`, `keepdims`, ...), through which no gradient flows.
    """

    def __init__(
        self,
        name: str,
        forward: Callable,
        vjps: Any,
        samples: Sequence[Sample],
        elementwise: bool,
        rowwise: bool,
        sequence: bool,
        keeps: bool,
        joint: Callable | None = None,
        constant: bool = False,
        random: bool = False,
    ):
        functools.update_wrapper(self, forward, updated=())
        self.name, self.__name__, self.forward = name, name, forward
        self.samples = list(samples)
        self.elementwise, self.rowwise, self.sequence, self.keeps = elementwise, rowwise, sequence, keeps
        self.joint = joint
        # Until `trust` is called, its rules may hand out an input itself or a buffer that they use again; `plain` and
        # `special` say at one look whether the engine has anything out of the ordinary to do.
        self.foreign, self.plain, self.special = True, False, True
        self.constant, self.random = constant, random
        self.defaults: dict[str, Any] = {}
        if isinstance(forward, np.ufunc):
            self.input_names, self.param_names, self.variadic = ("x",) if forward.nin == 1 else ("a", "b"), (), False
        else:
            arguments = inspect.signature(forward).parameters.values()
            inputs = [p for p in arguments if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD]
            self.variadic = any(p.kind is p.VAR_POSITIONAL for p in arguments)
            self.input_names = tuple(p.name for p in inputs)
            self.defaults = {p.name: p.default for p in arguments}
            self.param_names = tuple(p.name for p in arguments if p not in inputs and p.kind is not p.VAR_POSITIONAL)
        self.meets = elementwise and (self.variadic or len(self.input_names) > 1)  # inputs may be broadcast together
        # At least one per input: None for those that are not given.
        self.vjps: Any = (None,) * len(self.input_names)
        if self.variadic:
            self.vjps = vjps if isinstance(vjps, Each) else Endless()
        self.differentiable, self.given = isinstance(vjps, Each), 0
        for rule in () if self.differentiable else vjps:
            self.vjp(rule)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, params = self.bind(args, kwargs)
        for x in inputs:
            record = getattr(x, "record_op", None)  # so that this file need not know the Tensor
            if record is not None:
                return record(self, inputs, params)
        y = self.forward(*(np.array(x) if isinstance(x, list | tuple) else x for x in inputs), **params)
        return self.pair(y)[0] if self.keeps else y

    def pair(self, y: Any) -> tuple:
        """What the forward of an op that keeps something returned; TypeError where it is not two things."""
        if not isinstance(y, tuple) or len(y) != 2:  # an array of length 2 would be taken apart without a word
            raise TypeError(f"{self.name} has keeps=True, so its forward returns (result, kept), not {described(y)}")
        return y

    def without_rule(self, y: Any) -> bool:
        """RuntimeError for a result that wants a gradient where nothing was said of one; False for a constant."""
        if self.constant or y.dtype.kind != "f":
            return False
        raise RuntimeError(f"{self.name}{self.signature()}: {NO_VJP}")

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Sort the arguments of a call into inputs and parameters; TypeError where they do not fit the forward."""
        arity = len(self.input_names)
        if not kwargs and len(args) == arity and not self.sequence:
            return args, kwargs
        if self.sequence:
            if not args or not isinstance(args[0], list | tuple):
                raise TypeError(f"{self.name}: the first argument is a list or tuple of arrays, as in NumPy")
            inputs, rest = tuple(args[0]), args[1:]
        elif self.variadic:
            inputs, rest = args, ()
        else:
            inputs, rest = args[:arity], args[arity:]
        # Not keepdims and what follows: where NumPy's functions have a dtype, ours would take it for keepdims.
        positional = list(itertools.takewhile(lambda name: name != "keepdims", self.param_names))
        if len(rest) > len(positional):
            raise TypeError(f"{self.name} takes {self.signature()}: {len(args)} positional arguments are too many")
        params = dict(zip(positional, rest, strict=False))
        for key, value in kwargs.items():
            if key in self.param_names and key not in params:
                params[key] = value
            elif len(inputs) < arity and key == self.input_names[len(inputs)]:
                inputs += (value,)
            elif value is not None:  # None is NumPy's word for "not asked for", as in out=None
                raise TypeError(
                    f"{self.name} takes {self.signature()}: {key}= is not supported, or is given twice. "
                    f"Leave it out, or register an op of your own with tinygrad_steel.op"
                )
        if len(inputs) < arity:
            missing = ", ".join(self.input_names[len(inputs) :])
            raise TypeError(f"{self.name} takes {self.signature()}: {missing} is missing")
        return inputs, params

    def trust(self) -> None:
        """Say that no rule returns an input itself or a buffer that it uses again; `g` and views it may return."""
        self.foreign, self.plain, self.special = False, self.joint is None, self.keeps

    def signature(self) -> str:
        """The op's arguments as a reader would write them: `(x, axis, keepdims)`."""
        inputs = ["[a, b, ...]"] if self.sequence else [*self.input_names]
        return f"({', '.join([*inputs, *self.param_names])})"

    def vjp(self, rule: Callable | None) -> Callable | None:
        """Decorator: the vjp of the next input, called as `rule(g, y, *inputs, **params)`; None says it has none."""
        if self.constant:
            raise ValueError(f"{self.name} is declared constant=True: give it a vjp or constant=True, not both")
        if isinstance(self.vjps, Each):
            raise ValueError(f"{self.name} has each= or joint=, one rule for all inputs: leave out that or the vjp")
        if rule is not None and not callable(rule):
            raise TypeError(f"{self.name}: a vjp is a function (g, y, *inputs, **params) or None, not {rule!r:.60}")
        if self.given == len(self.input_names) and not self.variadic:
            raise ValueError(f"{self.name}{self.signature()} has a vjp for each of its inputs already")
        rules = list(self.vjps[:])
        rules[self.given : self.given + 1] = [rule]
        self.vjps = type(self.vjps)(rules)
        self.given += 1
        self.differentiable = True
        return rule

    def __repr__(self) -> str:
        return f"<op {self.name}{self.signature()}>"


def op(
    name: str,
    forward: Callable | None = None,
    *vjps: Callable | None,
    samples: Sequence[Sample],
    twins: Sequence[Callable] = (),
    elementwise: bool = False,
    rowwise: bool = False,
    sequence: bool = False,
    each: Callable | None = None,
    joint: Callable | None = None,
    keeps: bool = False,
    constant: bool = False,
    random: bool = False,
) -> Any:
    """Register an op: `op("exp", np.exp, lambda g, y, x: g * y, samples=[...])`, or as a decorator on the forward.

    `vjps`: one rule per input, in order, each called as `vjp(g, y, *inputs, **params)` and returning the gradient of
    that input, or an array which broadcasts to or from its shape; None where no gradient exists, so that to want one is
    an error in backward(). Rules are written in NumPy terms (`np.*`, operators, other ops), allocate nothing by hand
    and change nothing in place: then they also run on Tensors.
    `samples`: inputs from `arrays(...)` or `values(...)`, on which `check_op` proves every vjp, and on others that it
    makes from these. A forward that is made for some inputs only refuses the others with an error.
    `twins`: the NumPy functions which mean this op when a Tensor is passed to them (a ufunc is its own twin).
    `elementwise`: each element of the result depends on the same element of the (broadcast) inputs alone.
    `rowwise`: one element of the result for each row of the inputs; its vjps accept a single number for `g`, which then
    stands for all rows.
    `keeps`: the forward returns `(result, something)`; on arrays the vjps get that something, which they would else
    have to compute again, as one more argument. In grad(), on Tensors, they do not: give it the default None.
    `sequence`: the inputs come as one list, as in `concatenate`; `each`: their one rule, called with the index first;
    `joint`: one rule, called as a vjp is, that returns the gradients of all inputs in order (what takes n inputs apart
    costs n steps, and not n for each of them).
    `constant`: the result is a constant to every gradient (comparisons, argmax). It is said on purpose: an op with
    neither a vjp nor this word raises RuntimeError when it is first given a Tensor that requires a gradient.
    `random`: the forward draws random numbers; its vjps find out from `y` what was drawn. A compiled step then draws
    anew for each call that was recorded, in the same order, and what holds numbers for good (`write_backprop`,
    `export_onnx`) refuses. Draws from NumPy's and Python's generators are found without this word, by calling the
    forward twice, and so is a forward that makes a generator (`np.random.default_rng()`), with a seed or without; what
    draws elsewhere (a counter, a device) is better declared.

    Raises ValueError where the name or a twin belongs to another op, and for what contradicts itself; TypeError for
    rules that are no functions, samples that are none, and forwards of which inputs and parameters cannot be told. The
    same definition run again replaces itself.

    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, arrays, op
    >>> cube = op("cube", lambda x: x * x * x, lambda g, y, x: g * 3 * x * x, samples=[arrays((2, 3))])
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> np.sum(cube(x)).backward()
    >>> x.grad
    array([ 3., 12.])
    """
    if forward is None:
        options = dict(twins=twins, elementwise=elementwise, rowwise=rowwise, sequence=sequence, each=each, keeps=keeps)
        options |= dict(joint=joint, constant=constant, random=random)
        return functools.partial(op, name, samples=samples, **options)
    check_forward(name, forward)
    refuse_contradictions(name, vjps, each, joint, elementwise, rowwise, keeps, constant)
    elementwise = elementwise or (isinstance(forward, np.ufunc) and forward.signature is None)
    samples = checked_samples(name, samples)
    if joint is not None:
        each = functools.partial(piece, joint)
    rules = Each(each) if each else vjps
    new = Op(name, forward, rules, samples, elementwise, rowwise, sequence, keeps, joint, constant, random)
    check_inputs(new, each)
    old = OPS.get(name)
    if old is not None and not same_definition(old.forward, forward):
        raise ValueError(f"an op named {name!r} exists already ({old!r}); choose another name")
    twins = (forward, *twins) if isinstance(forward, np.ufunc) else tuple(twins)
    for twin in twins:
        check_twin(new, twin, old)
    for twin in [twin for twin, its_op in TWINS.items() if its_op is old]:  # the new definition may have fewer
        del TWINS[twin]
    OPS[name] = new
    TWINS.update(dict.fromkeys(twins, new))
    return new


def piece(joint: Callable, i: int, *args: Any, **params: Any) -> Any:
    """What a joint rule gives input `i`."""
    return joint(*args, **params)[i]


NO_VJP = "no vjp was given: give one per input, or say constant=True where the result is a constant to every gradient"


def check_forward(name: str, forward: Callable) -> None:
    """Raise where the name is none, and where inputs and parameters of the forward cannot be told apart."""
    if not isinstance(name, str):
        raise TypeError(f"an op needs a name, as in op('cube', ...), not {name!r:.60}")
    if not name:
        raise ValueError("an op needs a name, as in op('cube', ...): '' is empty")
    if not callable(forward):
        raise TypeError(f"{name}: the forward is a function of arrays, not {forward!r:.60}")
    if isinstance(forward, np.ufunc):
        if forward.nin > 2 or forward.nout != 1:
            raise TypeError(
                f"{name}: np.{forward.__name__} has {forward.nin} inputs and {forward.nout} results: wrap it in a "
                f"function of its inputs that returns one result"
            )
        return
    try:
        arguments = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {forward!r} does not say its arguments: wrap it in a function") from error
    for p in arguments:
        if p.kind is p.VAR_KEYWORD:
            raise TypeError(f"{name}: the forward takes **{p.name}: name its parameters one by one")
    if not any(p.kind is p.VAR_POSITIONAL or (p.kind < p.VAR_POSITIONAL and p.default is p.empty) for p in arguments):
        raise TypeError(f"{name}: the forward has no input, which is a positional argument without a default")


def refuse_contradictions(
    name: str,
    vjps: tuple,
    each: Callable | None,
    joint: Callable | None,
    elementwise: bool,
    rowwise: bool,
    keeps: bool,
    constant: bool,
) -> None:
    """Raise for a declaration of which one part would be ignored, or makes another one wrong."""
    for word, rule, arguments in (("each", each, "(i, g, y, *inputs, **params)"), ("joint", joint, "(g, y, *inputs)")):
        if rule is not None and not callable(rule):
            raise TypeError(f"{name}: {word}= is a function {arguments}, not {rule!r:.60}")
        if rule is not None and vjps:
            raise ValueError(f"{name}: {word}= is the rule for all inputs: leave out {word}= or the vjps")
    if each is not None and joint is not None:
        raise ValueError(f"{name}: each= and joint= are both the rule for all inputs: leave one out")
    if constant and (vjps or each is not None or joint is not None):
        raise ValueError(f"{name}: constant=True says that there is no gradient: leave it out, or leave out the vjps")
    if constant and keeps:
        raise ValueError(f"{name}: what keeps=True keeps is for vjps, which constant=True has none of: leave one out")
    if elementwise and rowwise:
        raise ValueError(f"{name}: a result has one element for each element or for each row: leave one word out")


def checked_samples(name: str, samples: Sequence[Sample]) -> list[Sample]:
    """The samples as a list; TypeError for anything that `arrays` or `values` did not make."""
    given = [samples] if isinstance(samples, Sample | np.ndarray) else samples
    wrong = [x for x in given if not isinstance(x, Sample)]
    if wrong or given is not samples:
        found = type(wrong[0] if wrong else samples).__name__
        raise TypeError(f"{name}: samples are a list of arrays(...) and values(...), not {found}")
    return list(samples)


def check_inputs(new: Op, each: Callable | None) -> None:
    """ValueError where `each`, `sequence` or a sample does not fit the inputs of the forward."""
    if each is not None and not new.variadic:
        raise ValueError(f"{new.name}: each= and joint= are for forwards of (*arrays): give one vjp each")
    if new.sequence and (new.input_names or not new.variadic):
        raise ValueError(f"{new.name}: sequence=True needs a forward of (*arrays), not {new.signature()}")
    what, needed = f"{new.name}{new.signature()}", len(new.input_names)
    for n, sample in enumerate(new.samples):
        count = len(sample.inputs)
        if count < needed or (count > needed and not new.variadic):
            raise ValueError(f"{what}: sample {n} has {count} inputs, not {needed}; got {sample!r}")
        unknown = [key for key in sample.params if key not in new.param_names]
        if unknown:
            raise ValueError(f"{what}: sample {n} has {unknown[0]}=, which is no parameter; got {sample!r}")


def check_twin(new: Op, twin: Callable, old: Op | None) -> None:
    """Raise for a twin that is no function, or means something else on Tensors already."""
    if not callable(twin):
        raise TypeError(f"{new.name}: twins are NumPy's functions, as in twins=[np.hypot], not {twin!r:.60}")
    other = TWINS.get(twin)
    if twin in SPELLINGS or other not in (None, old):
        meaning = repr(other) if other is not None else "put together from other ops"
        raise ValueError(
            f"{new.name}: np.{getattr(twin, '__name__', twin)} on Tensors is {meaning} already: wrap it in a function "
            f"of another name, as in op({new.name!r}, lambda x: ...)"
        )


def same_definition(old: Callable, new: Callable) -> bool:
    """Whether `new` is `old` defined again: by the same name in the same module or file (a notebook cell, a script)."""
    if getattr(old, "__qualname__", old) != getattr(new, "__qualname__", new):
        return False
    codes = [getattr(f, "__code__", None) for f in (old, new)]
    files = [code and code.co_filename for code in codes]
    if files[0] is not None and files[0] == files[1]:  # two lambdas of one file are told apart by their lines
        return new.__name__ != "<lambda>" or codes[0].co_firstlineno == codes[1].co_firstlineno
    return old.__module__ == new.__module__


def data_of(x: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return x.data if hasattr(x, "record_op") else x


def described(y: Any) -> str:
    """What a forward returned, as messages show it."""
    return f"{len(y)} things" if isinstance(y, tuple) else f"{type(y).__name__} {describe(y):.60}"


def describe(x: Any) -> str:
    """An input as messages show it: `weight: (27, 7) float64`, or a plain scalar as itself."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        return repr(x)
    name = getattr(x, "name", None)
    return f"{f'{name}: ' if name else ''}{tuple(x.shape)} {x.dtype}"
