"""The declaration of an op: `op` for everybody, `define` for our own, and what is refused."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack, overload

import numpy as np

from .op import OPS, SPELLINGS, TWINS, Op, Vjp, is_input
from .samples import Sample

Forward = Callable[..., Any]


class Facts(TypedDict, total=False):
    """What is said of an op besides its rules and samples; see `op`."""

    twins: Sequence[Forward]
    elementwise: bool
    rowwise: bool
    sequence: bool
    each: Vjp | None
    joint: Vjp | None
    keeps: bool
    constant: bool
    random: bool


@overload
def op(
    name: str,
    forward: Forward,
    *vjps: Vjp | None,
    samples: Sequence[Sample],
    **facts: Unpack[Facts],
) -> Op: ...
@overload
def op(
    name: str, *, samples: Sequence[Sample], **facts: Unpack[Facts]
) -> Callable[[Forward], Op]: ...
def op(
    name: str,
    forward: Forward | None = None,
    *vjps: Vjp | None,
    samples: Sequence[Sample],
    twins: Sequence[Forward] = (),
    elementwise: bool = False,
    rowwise: bool = False,
    sequence: bool = False,
    each: Vjp | None = None,
    joint: Vjp | None = None,
    keeps: bool = False,
    constant: bool = False,
    random: bool = False,
) -> Any:
    """Register an op, as in `op("exp", np.exp, lambda g, y, x: g * y, samples=[...])`.

    Without a forward it is a decorator on one. Rules are written in NumPy terms (`np.*`, operators,
    other ops), allocate nothing by hand and change nothing in place: then they also run on Tensors.
    The same definition run again replaces itself.

    Parameters
    ----------
    name : str
        What the op is called in messages, pictures and `OPS`.
    forward : callable
        A function of arrays. Its positional arguments without a default are inputs, all others
        parameters. One that is made for some inputs only refuses the others with an error.
    *vjps : callable or None
        One rule per input, in order, each called as `vjp(g, y, *inputs, **params)` and returning
        the gradient of that input, or an array which broadcasts to or from its shape; None where no
        gradient exists, so that to want one is an error in backward().
    samples : list of Sample
        Inputs from `random_sample(...)` or `sample_of(...)`, on which `check_op` proves every vjp,
        and on others that it makes from these.
    twins : sequence of callable
        The NumPy functions which mean this op when a Tensor is passed to them (a ufunc is its own
        twin).
    elementwise : bool
        Each element of the result depends on the same element of the (broadcast) inputs alone.
    rowwise : bool
        One element of the result for each row of the inputs; its vjps accept a single number for
        `g`, which then stands for all rows.
    sequence : bool
        The inputs come as one list, as in `concatenate`.
    each : callable
        The one rule of an op with any number of inputs, called with the index of the input first.
    joint : callable
        One rule, called as a vjp is, that returns the gradients of all inputs in order (what takes
        n inputs apart costs n steps, and not n for each of them).
    keeps : bool
        The forward returns `(result, something)`; on arrays the vjps get that something, which they
        would else have to compute again, as one more argument. In grad(), on Tensors, they do not:
        give it the default None.
    constant : bool
        The result is a constant to every gradient (comparisons, argmax). It is said on purpose: an
        op with neither a vjp nor this word raises RuntimeError when it is first given a Tensor that
        requires a gradient.
    random : bool
        The forward draws random numbers; its vjps find out from `y` what was drawn. A compiled step
        then draws anew for each call that was recorded, in the same order, and what holds numbers
        for good (`write_backprop`, `export_onnx`) refuses. Draws from NumPy's and Python's
        generators are found without this word, by calling the forward twice, and so is a forward
        that makes a generator (`np.random.default_rng()`), with a seed or without; what draws
        elsewhere (a counter, a device) is better declared.

    Returns
    -------
    Op
        What takes the place of the function; without a forward, a decorator that makes it.

    Raises
    ------
    ValueError
        Where the name or a twin belongs to another op, and for what contradicts itself.
    TypeError
        For rules that are no functions, samples that are none, and forwards of which inputs and
        parameters cannot be told.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, op, random_sample, vjp_formulas
    >>> samples = [random_sample((2, 3))]
    >>> cube = op("cube", lambda x: x * x * x, lambda g, y, x: g * 3 * x * x, samples=samples)
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> np.sum(cube(x)).backward()
    >>> x.grad
    array([ 3., 12.])
    >>> vjp_formulas(cube(x))  # its rule as code
    ['3 * x * g * x']
    """
    facts: dict[str, Any] = {
        "elementwise": elementwise,
        "rowwise": rowwise,
        "sequence": sequence,
        "each": each,
        "joint": joint,
        "keeps": keeps,
        "constant": constant,
        "random": random,
    }
    check_name(name)
    if forward is None:
        return functools.partial(op, name, samples=samples, twins=twins, **facts)
    check_forward(name, forward)
    refuse_contradictions(name, vjps, facts)
    if callable(twins):
        raise TypeError(f"{name}: twins are a list, as in twins=[np.hypot], not {twins!r:.60}")
    new = Op(name, forward, vjps, checked_samples(name, samples), **facts)
    check_inputs(new, each is not None or joint is not None)
    if not new.variadic:
        check_rules_take(new, vjps)
    register(new, twins)
    return new


@overload
def define(name: str, forward: Forward, **facts: Any) -> Op: ...
@overload
def define(name: str, **facts: Any) -> Callable[[Forward], Op]: ...
def define(
    name: str,
    forward: Forward | None = None,
    *,
    doc: str = "",
    reduction: bool = False,
    moves: bool = False,
    choosing: bool = False,
    jumps: bool = False,
    undefined: bool = False,
    sawtooth: bool = False,
    counts: bool = False,
    **facts: Any,
) -> Any:
    """An op of the library's own: with the facts that readers ask for, and rules that are trusted.

    `doc`: what is said of it, where the forward is NumPy's and says something else. The page of all
    ops shows that, or the docstring of the forward (examples/tutorials/reference.md).

    Its vjps follow, one for each input in order: `exp.vjp(lambda g, y, x: g * y)`. What `op` checks
    of a declaration, a test checks of these (tests/ops/test_every_op.py): no import waits for it.
    """
    own = {"reduction": reduction, "moves": moves, "choosing": choosing}
    own |= {"jumps": jumps, "sawtooth": sawtooth, "undefined": undefined, "counts": counts}
    if forward is None:
        return functools.partial(define, name, **own, **facts)
    samples, twins = facts.pop("samples"), facts.pop("twins", ())
    new = Op(name, forward, (), samples, **facts)
    new.__doc__ = doc or forward.__doc__
    new.trust()
    for fact, holds in own.items():
        setattr(new, fact, holds)
    register(new, twins)
    return new


def unlisted(
    name: str, forward: Forward, *vjps: Vjp | None, samples: Sequence[Sample] = (), **facts: Any
) -> Op:
    """An op of the library's own that stands in no table: anybody's op may have its name."""
    new = Op(name, forward, vjps, samples, **facts)
    new.trust()
    return new


def register(new: Op, twins: Sequence[Forward]) -> None:
    """Enter an op in the tables; ValueError where its name or a twin belongs to another."""
    if isinstance(new.forward, np.ufunc):
        twins = (new.forward, *twins)
    old = OPS.get(new.name)
    if old is not None and not same_definition(old.forward, new.forward):
        raise ValueError(f"an op named {new.name!r} exists already ({old!r}); choose another name")
    for twin in twins:
        check_twin(new, twin, old)
    if old is not None:  # the new definition may have fewer
        for twin in [twin for twin, its_op in TWINS.items() if its_op is old]:
            del TWINS[twin]
    OPS[new.name] = new
    TWINS.update(dict.fromkeys(twins, new))


def check_name(name: str) -> None:
    """Raise where the name of an op is none."""
    if not isinstance(name, str):
        raise TypeError(f"an op needs a name, as in op('cube', ...), not {name!r:.60}")
    if not name:
        raise ValueError("an op needs a name, as in op('cube', ...): '' is empty")


def check_forward(name: str, forward: Forward) -> None:
    """Raise where the forward is no function of inputs and parameters."""
    if not callable(forward):
        raise TypeError(f"{name}: the forward is a function of arrays, not {forward!r:.60}")
    if not isinstance(forward, np.ufunc):
        check_arguments(name, forward)
    elif forward.nin > 2 or forward.nout != 1:
        raise TypeError(
            f"{name}: np.{forward.__name__} has {forward.nin} inputs and {forward.nout} results: "
            f"wrap it in a function of its inputs that returns one result"
        )


def check_arguments(name: str, forward: Forward) -> None:
    """TypeError where inputs and parameters of the forward cannot be told apart."""
    try:
        arguments = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError) as error:
        words = "does not say its arguments: wrap it in a function"
        raise TypeError(f"{name}: {forward!r} {words}") from error
    for p in arguments:
        if p.kind is p.VAR_KEYWORD:
            raise TypeError(f"{name}: the forward takes **{p.name}: name its parameters one by one")
    if not any(p.kind is p.VAR_POSITIONAL or is_input(p) for p in arguments):
        raise TypeError(
            f"{name}: the forward has no input, which is a positional argument without a default"
        )


def refuse_contradictions(name: str, vjps: tuple[Vjp | None, ...], facts: dict[str, Any]) -> None:
    """Raise for a declaration of which one part would be ignored, or makes another one wrong."""
    each, joint, constant = facts["each"], facts["joint"], facts["constant"]
    refuse_two_rules(name, vjps, "each", each, "(i, g, y, *inputs, **params)")
    refuse_two_rules(name, vjps, "joint", joint, "(g, y, *inputs)")
    has_rules = bool(vjps) or each is not None or joint is not None
    contradictions = {
        "each= and joint= are both the rule for all inputs: leave one out": (
            each is not None and joint is not None
        ),
        "constant=True says that there is no gradient: leave it out, or leave out the vjps": (
            constant and has_rules
        ),
        "what keeps=True keeps is for vjps, which constant=True has none of: leave one out": (
            constant and facts["keeps"]
        ),
        "a result has one element for each element or for each row: leave one word out": (
            facts["elementwise"] and facts["rowwise"]
        ),
    }
    for words, holds in contradictions.items():
        if holds:
            raise ValueError(f"{name}: {words}")


def refuse_two_rules(
    name: str, vjps: tuple[Vjp | None, ...], word: str, rule: Vjp | None, arguments: str
) -> None:
    """Raise for a rule for all inputs that is no function, or has others beside it."""
    if rule is None:
        return
    if not callable(rule):
        raise TypeError(f"{name}: {word}= is a function {arguments}, not {rule!r:.60}")
    if vjps:
        raise ValueError(
            f"{name}: {word}= is the rule for all inputs: leave out {word}= or the vjps"
        )


def checked_samples(name: str, samples: Sequence[Sample]) -> list[Sample]:
    """The samples as a list; TypeError for anything that is no Sample."""
    if isinstance(samples, Sample | np.ndarray):
        wrong: list[Any] = [samples]
    else:
        wrong = [x for x in samples if not isinstance(x, Sample)]
    if wrong:
        found = type(wrong[0]).__name__
        raise TypeError(
            f"{name}: samples are a list of random_sample(...) and sample_of(...), not {found}"
        )
    return list(samples)


def check_rules_take(new: Op, vjps: tuple[Vjp | None, ...]) -> None:
    """TypeError where a rule has no room for `g`, the result and the inputs, such as (g, x)."""
    arguments = ["g", "y", *new.input_names]
    for name, rule in zip(new.input_names, vjps):
        if rule is None or isinstance(rule, np.ufunc):
            continue
        try:
            inspect.signature(rule).bind_partial(*arguments)
        except TypeError as error:
            call = f"({', '.join(arguments)})"
            raise TypeError(
                f"{new.name}: the vjp of {name} is called with {call}: {error}"
            ) from error


def check_inputs(new: Op, one_rule: bool) -> None:
    """ValueError where a rule for all inputs, `sequence` or a sample does not fit the forward."""
    if one_rule and not new.variadic:
        raise ValueError(
            f"{new.name}: each= and joint= are for forwards of (*arrays): give one vjp each"
        )
    if new.sequence and (new.input_names or not new.variadic):
        raise ValueError(
            f"{new.name}: sequence=True needs a forward of (*arrays), not {new.signature()}"
        )
    for n, sample in enumerate(new.samples):
        check_sample(new, n, sample)


def check_sample(new: Op, n: int, sample: Sample) -> None:
    """ValueError where sample `n` does not fit the inputs and parameters of the forward."""
    what, needed = f"{new.name}{new.signature()}", len(new.input_names)
    if sample.count < needed or (sample.count > needed and not new.variadic):
        raise ValueError(
            f"{what}: sample {n} has {sample.count} inputs, not {needed}; got {sample!r}"
        )
    unknown = [key for key in sample.params if key not in new.param_names]
    if unknown:
        raise ValueError(
            f"{what}: sample {n} has {unknown[0]}=, which is no parameter; got {sample!r}"
        )


def check_twin(new: Op, twin: Forward, old: Op | None) -> None:
    """Raise for a twin that is no function, or means something else on Tensors already."""
    if not callable(twin):
        words = "twins are NumPy's functions, as in twins=[np.hypot]"
        raise TypeError(f"{new.name}: {words}, not {twin!r:.60}")
    other = TWINS.get(twin)
    if twin in SPELLINGS or other not in (None, old):
        meaning = repr(other) if other is not None else "put together from other ops"
        raise ValueError(
            f"{new.name}: np.{getattr(twin, '__name__', twin)} on Tensors is {meaning} already: "
            f"wrap it in a function of another name, as in op({new.name!r}, lambda x: ...)"
        )


def same_definition(old: Forward, new: Forward) -> bool:
    """Whether `new` is `old` defined again: by the same name in the same module or file.

    The file is that of a notebook's cell or of a script that is run again.
    """
    if getattr(old, "__qualname__", old) != getattr(new, "__qualname__", new):
        return False
    before, after = getattr(old, "__code__", None), getattr(new, "__code__", None)
    if before is None or after is None or before.co_filename != after.co_filename:
        return old.__module__ == new.__module__
    if new.__name__ != "<lambda>":
        return True
    # Lambdas are told apart by their lines.
    return bool(before.co_firstlineno == after.co_firstlineno)
