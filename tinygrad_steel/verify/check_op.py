"""`check_op`: an op proven on its samples and on inputs made from them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.gradients import grad
from ..engine.tensor import Tensor
from ..ops.op import NO_VJP, Each, Op, describe
from ..ops.samples import Sample
from .case import Case, Place, is_float, random_weights
from .differences import Terms, compare
from .directions import agrees_along, check_ties
from .errors import GradientError
from .forwards import check_forward, check_words
from .graph import graph_gradients
from .trial import Trial, accepts, call, to_differentiate
from .variants import variants
from .vjps import check_layouts, check_linear, check_rules, check_short_floats


@np.errstate(all="ignore")
def check_op(op: Op, samples: Sequence[Sample] | None = None) -> None:
    """Prove a registered op on its samples and on inputs made from them, or on those given.

    On each: a Tensor gives what an array gives; every vjp agrees with differences; so does the
    gradient of each gradient, with respect to the inputs and to `g`; the vjps are linear in `g`;
    nothing is changed in place, and no array is used again for the next result; float32 inputs
    have the same gradients, in float32; `elementwise` and `rowwise` are true. Integer and bool
    inputs (class ids, conditions), and those with a vjp of None, are constants.

    Made from the samples (see `variants.py`): other signs, sizes, offsets, zeros, ties, shapes,
    axes, parameters. What the forward refuses, or turns into numbers that are not finite, is left
    out: an op that is not made for some inputs says so by an error. At a tie the gradients must
    also be right together, as its elements move at once: those of max add up to 1, however they
    are shared. At kinks, jumps and the borders of its domain, only what differences are sure of
    counts.

    Parameters
    ----------
    op : Op
        As `op(...)` returns it, or from `OPS`.
    samples : sequence of Sample, optional
        Made by `random_sample` and `sample_of`. With these, the op is proven on them and no others.

    Raises
    ------
    GradientError
        For a failure; it names the sample and the input.
    ValueError
        Where there are no samples, where one of them has no floats to differentiate, where nothing
        was said of a gradient, and where the op's own samples leave a vjp unproven.
    TypeError
        For what is no op.

    Examples
    --------
    >>> from tinygrad_steel import OPS, check_op, sample_of
    >>> check_op(OPS["softmax"])
    >>> check_op(OPS["relu"], samples=[sample_of([-1.0, 0.0, 2.0])])
    """
    if not isinstance(op, Op):
        raise TypeError(
            f'check_op takes a registered op, as in check_op(OPS["exp"]), not {op!r:.80}'
        )
    given = list(op.samples if samples is None else samples)
    if not given:
        raise ValueError(
            f"{op.name} has no samples to be checked on: register it with samples=[random_sample(...)]"
        )
    refuse_missing_rules(op, given[0])
    proven = prove_samples(op, given)
    if samples is None and has_rules(op):
        refuse_unproven(op, proven)
        prove_variants(op, given)


def has_rules(op: Op) -> bool:
    """Whether the op has a vjp that is not None."""
    return isinstance(op.vjps, Each) or any(vjp is not None for vjp in op.vjps[:])


def refuse_missing_rules(op: Op, sample: Sample) -> None:
    """ValueError where an input has neither a vjp nor None, and the op is not constant either."""
    if op.constant or isinstance(op.vjps, Each):
        return
    what = f"{op.name}{op.signature()}"
    if not op.differentiable:
        y = np.asarray(call(op, sample.inputs, Trial("", sample.inputs, sample.params)))
        if is_float(y) and any(map(is_float, sample.inputs)):
            raise ValueError(f"{what}: {NO_VJP}")
    elif op.given < len(op.input_names):
        missing = ", ".join(op.input_names[op.given :])
        raise ValueError(f"{what} has no vjp for {missing}: give a rule, or None for no gradient")
    elif op.variadic and op.given < len(sample.inputs):
        raise ValueError(
            f"{what} has no vjp for input {op.given} and what follows: give each=, or None for each"
        )


def refuse_unproven(op: Op, proven: Collection[int]) -> None:
    """ValueError where no sample has floats for an input that has a vjp."""
    if isinstance(op.vjps, Each):
        return
    for i, vjp in enumerate(op.vjps[:]):
        if vjp is not None and i not in proven:
            raise ValueError(
                f"no sample of {op.name} has floats for input {i}, so that its vjp is unproven"
            )


def prove_samples(op: Op, given: Sequence[Sample]) -> set[int]:
    """Prove the op on samples; return the inputs of which a gradient was proven."""
    proven: set[int] = set()
    for n, sample in enumerate(given):
        wanted = to_differentiate(op, sample.inputs)
        if has_rules(op) and not wanted:
            raise ValueError(
                f"{op.name}, sample {n}: no input that has a vjp holds floats, "
                f"write 1.0 instead of 1; got {sample!r}"
            )
        trial = Trial(f"sample {n}", sample.inputs, sample.params)
        proven.update(prove(op, trial, wanted))
    if has_rules(op) and not proven:
        raise ValueError(f"nothing was checked of {op.name}: all of its samples have size 0")
    return proven


def prove_variants(op: Op, given: Sequence[Sample]) -> None:
    """Prove the op on what is made from the samples, as far as its forward accepts that."""
    with warnings.catch_warnings():
        # Of means of nothing and the like, among inputs that are left out.
        warnings.simplefilter("ignore")
        for trial in own_trials(op, given):
            wanted = to_differentiate(op, trial.inputs, trial.plain)
            if wanted and accepts(op, trial):
                prove(op, trial, wanted)


def own_trials(op: Op, given: Sequence[Sample]) -> Iterator[Trial]:
    """What is made from the samples; other shapes and axes once for inputs of the same kind."""
    kinds = []
    empty = inspect.Parameter.empty
    required = any(op.defaults[name] is empty for name in op.param_names)
    for n, sample in enumerate(given):
        kind = [x.dtype.kind for x in sample.inputs]
        shapes = required or kind not in kinds
        kinds.append(kind)
        yield from variants(op, sample, f"sample {n}", shapes)


# What is proven on one set of inputs


def prove(op: Op, trial: Trial, wanted: list[int]) -> list[int]:
    """Prove an op on these inputs; return those of `wanted` that had elements."""
    case = case_of(op, trial, wanted)
    try:
        return prove_case(case, op, trial)
    except GradientError:
        raise
    except Exception as error:  # of the op's own making: said again with its sample
        if trial.loud:
            return []
        params = [f"{key}={value!r}" for key, value in trial.params.items()]
        sample = ", ".join([*map(describe, trial.inputs), *params])
        said = f"{type(error).__name__}: {error}"
        raise GradientError(f"{case.what}, on {sample}: {said}") from error


def case_of(op: Op, trial: Trial, wanted: list[int]) -> Case:
    """The op on these inputs in float64, as a function under test."""
    data = [x.astype(float) if is_float(x) else x for x in trial.inputs]
    for x in data:
        x.flags.writeable = False
    names = [*op.input_names, *[None] * len(data)]

    def fn(*xs: Any) -> Any:
        return call(op, xs, trial)

    what = f"{op.name}, {trial.label}"
    return Case(what, fn, data, wanted, names[: len(data)], trial.inputs, trial.own)


def prove_case(case: Case, op: Op, trial: Trial) -> list[int]:
    """All that `check_op` proves; see there."""
    y = check_forward(case, op, trial)
    if not has_rules(op):
        return []
    check_rules(case, op, trial, np.float64)
    if not trial.numbers:
        check_rules(case, op, trial, np.float32)
    proven = [i for i in case.wanted if case.data[i].size and y.size]
    if not proven:
        return []
    try:
        check_numbers(case, op, trial, y)
    finally:  # whatever was found says nothing then
        case.same_again(y)
    return proven


def check_numbers(case: Case, op: Op, trial: Trial, y: np.ndarray) -> None:
    """What differences say of the gradients, of the declaration and of the second order."""
    if op.undefined and case.own and not is_defined(case):
        return
    kinks = confirm(case)
    check_ties(case, kinks)
    check_linear(case, op)
    if not trial.numbers:
        check_layouts(case, op)
        check_short_floats(case, kinks)
    if op.elementwise or op.rowwise:
        check_words(case, op, y)
        # Such an op may be handed one number as the gradient of all its elements.
        confirm(under_a_sum(case))
    second_order(case, kinks, y.shape, op.undefined)


def is_defined(case: Case) -> bool:
    """Whether the rules give gradients: an op may say by NaN that there is no derivative."""
    gradients = graph_gradients(case).roads["backward()"]
    return all(bool(np.all(np.isfinite(g))) for g in gradients.values())


def confirm(case: Case) -> set[Place]:
    """As `compare`; on inputs of the check's own, one slope along all elements at once may do."""
    if case.own and agrees_along(case):
        return set()
    return compare(case)


def under_a_sum(case: Case) -> Case:
    """The case with its result summed up."""

    def total(*xs: Any) -> Any:
        return np.sum(case.fn(*xs))

    return replace(case, what=f"{case.what}, under a sum", fn=total)


def second_order(
    case: Case, kinks: Collection[Place], shape: tuple[int, ...], undefined: bool
) -> None:
    """Prove the gradients of each gradient, with respect to the inputs and to `g`."""
    second = replace(
        case,
        data=[*case.data, random_weights(shape, 1)],
        names=[*case.names, "g"],
        wanted=[*case.wanted, len(case.data)],
    )
    total = gradients_summed_up(second, case)
    if case.own and (not np.isfinite(total.numbers()) or agrees_along(total)):
        return  # where the gradients are not finite, the domain of the op ends
    if case.own and undefined and not is_defined(total):
        return
    for i in case.wanted:
        check_gradient_of(second, case, i, kinks)


def gradients_summed_up(second: Case, case: Case) -> Case:
    """All gradients at once, summed up with random weights, as a function under test."""

    def weighted(*xs: Tensor) -> Any:
        gradients = grad(case.fn(*xs[:-1]), [xs[i] for i in case.wanted], xs[-1])
        parts = [np.sum(g * random_weights(g.shape, 21 + k)) for k, g in enumerate(gradients)]
        return sum(parts)

    return replace(second, fn=weighted)


def check_gradient_of(second: Case, case: Case, i: int, kinks: Collection[Place]) -> None:
    """Raise where the gradient with respect to input `i` has gradients that are wrong."""

    def first_order(*xs: Tensor) -> Any:
        return grad(case.fn(*xs[:-1]), xs[i], xs[-1])

    what = f"{case.what}, second order, on the gradient of {case.input(i)}"
    # A gradient that no gradient leaves is right if it is constant, as that of a linear function.
    terms = Terms(skip=kinks, constant=True)
    compare(replace(second, what=what, fn=first_order), terms)
