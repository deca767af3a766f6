"""`check_gradients`: the gradients of any function, proven by differences element by element."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence, ValuesView
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops.chance import OneDraw
from ..ops.op import Op, describe
from .case import Case, Place
from .errors import NOT_REACHED
from .graph import Found, graph_gradients
from .slopes import ATOL, RTOL, Verdict, judge, measure


# Differences may step out of the domain: they are judged by their numbers, not by warnings.
@np.errstate(all="ignore")
def check_gradients(
    fn: Callable[..., Any],
    *inputs: Any,
    seed: int = 0,
    rtol: float = RTOL,
    atol: float | None = None,
) -> None:
    """Compare the gradients of `fn(*inputs)` with differences, element by element.

    Both `backward()` and `grad` are checked. At a kink, where the slopes on the left and on the right
    differ, every value from one to the other is right (relu at 0: 0 to 1). What `dropout` and
    `noise` draw is drawn once, and stays the same for all of it.

    Parameters
    ----------
    fn : callable
        Takes Tensors and returns one, of any shape.
    *inputs : arrays, lists, numbers or Tensors
        Of any shape; they are copied. All numbers become float64, integers and float32 too, and are
        differentiated; bools stay constant. Class ids reach `fn` from outside, as in
        `check_gradients(lambda z: softmax_cross_entropy(z, ids), logits)`.
    seed : int
        Draws the weights with which the elements of the result are summed up to one number.
    rtol : float
        How far a gradient may be off, in relation to its size.
    atol : float, optional
        How far it may be off in any case; 1e-9, or less where all slopes are smaller.

    Raises
    ------
    GradientError
        For the worst element, for values that are not finite, where `fn` depends on no input,
        writes into one, or gives different results for the same, and where rounding hides its
        slopes.
    TypeError
        Where `fn` returns no Tensor.
    ValueError
        Where there is nothing to check, and for tolerances with which nothing can fail.

    Notes
    -----
    A slope is a central difference D of two steps, h and h / 2, with one step of Richardson's
    extrapolation: (4 * D(h / 2) - D(h)) / 3. Up to four steps h are tried.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import check_gradients
    >>> check_gradients(lambda x, weight: np.tanh(x @ weight), [[1.0, 2.0]], [[0.1], [0.2]])
    """
    refuse_other_calls(fn, inputs)
    arrays = [as_array(x) for x in inputs]
    data = [x if x.dtype == bool else x.astype(float) for x in arrays]
    wanted = [i for i, x in enumerate(data) if x.dtype != bool]
    what = getattr(fn, "__name__", None) or type(fn).__name__
    refuse_tolerances(rtol, atol)
    refuse_nothing(what, arrays, wanted)
    case = Case(what, OneDraw().same(fn), data, wanted, names_of(fn, inputs), arrays)
    absolute = ATOL if atol is None else atol
    terms = Terms(seed, rtol, absolute, asked=atol is not None)
    try:
        check_case(case, terms)
    except (IndexError, TypeError, ValueError) as error:
        if any(x.dtype.kind in "iu" for x in arrays):
            error.add_note(INTEGERS_BECAME_FLOATS)
        raise


INTEGERS_BECAME_FLOATS = (
    "integers became floats, to be differentiated: class ids reach fn by closure"
)


def as_array(x: Any) -> np.ndarray:
    """A copy of an input as an array, as a Tensor of it would hold it."""
    return x.numpy() if isinstance(x, Tensor) else Tensor(x).numpy()


def refuse_other_calls(fn: Any, inputs: Sequence[Any]) -> None:
    """TypeError for a result in place of the function, and for a collection of parameters."""
    if not callable(fn):
        raise TypeError(
            f"check_gradients computes it anew for other numbers, and takes the function, not its "
            f"result, a {type(fn).__name__}: check_gradients(lambda x, w: np.tanh(x @ w), x, w)"
        )
    for x in inputs:
        members = x.values() if isinstance(x, Mapping) else x
        if isinstance(members, list | tuple | ValuesView) and any(
            isinstance(member, Tensor) for member in members
        ):
            stars = "*p.values()" if isinstance(x, Mapping | ValuesView) else "*tensors"
            raise TypeError(
                f"check_gradients takes its inputs one by one, not in a {type(x).__name__}, and "
                f"hands them to fn in this order: check_gradients(fn, {stars}). A model of a dict "
                f"makes one of them: lambda *tensors: loss(dict(zip(p, tensors)))"
            )


def refuse_tolerances(rtol: float, atol: float | None) -> None:
    """ValueError for tolerances with which nothing can fail."""
    if 0 <= rtol < 1 and (atol is None or 0 <= atol < np.inf):
        return
    raise ValueError(
        f"with rtol={rtol}, atol={atol} nothing can fail: rtol is from 0 to below 1, atol a number"
    )


def refuse_nothing(what: str, arrays: Sequence[np.ndarray], wanted: Sequence[int]) -> None:
    """ValueError where no input has an element to differentiate."""
    if not wanted:
        raise ValueError(
            f"{what} has no input to differentiate: "
            f"give check_gradients at least one array of numbers"
        )
    if not any(arrays[i].size for i in wanted):
        sizes = ", ".join(map(describe, arrays))
        raise ValueError(f"nothing was checked of {what}: its inputs have size 0, {sizes}")


def names_of(fn: Callable[..., Any], inputs: Sequence[Any]) -> list[str | None]:
    """What messages call the inputs: their own names, else those of the arguments of `fn`."""
    names = []
    for x, argument in zip(inputs, argument_names(fn, len(inputs))):
        name = getattr(x, "name", None) or argument
        names.append(name if name is None else str(name))  # pandas may call a column by a number
    return names


def argument_names(fn: Callable[..., Any], count: int) -> list[str | None]:
    """The names of the first `count` positional arguments of `fn`, None where it gives none."""
    if isinstance(fn, Op):
        names = [*fn.input_names]
    else:
        try:
            arguments = inspect.signature(fn).parameters.values()
        except (TypeError, ValueError):  # NumPy's own functions may have no signature
            return [None] * count
        names = [p.name for p in arguments if p.kind <= p.POSITIONAL_OR_KEYWORD]
    return [*names[:count], *[None] * (count - len(names))]


def check_case(case: Case, terms: Terms) -> None:
    """Compare the gradients, and the result with itself before and after."""
    first = case.repeated()
    if not first.size:
        size = describe(first)
        raise ValueError(f"nothing was checked of {case.what}: its result has size 0, {size}")
    try:
        compare(case, terms)
    finally:  # whatever was found says nothing then
        case.same_again(first)


@dataclass(frozen=True)
class Terms:
    """On what terms gradients and differences are compared."""

    seed: int = 0
    rtol: float = RTOL
    atol: float = ATOL
    asked: bool = False  # whether somebody asked for that atol
    skip: Collection[Place] = ()  # elements that are left out
    constant: bool = False  # a result that no gradient leaves is right if it is constant
    scale: float = 1.0  # multiplies a result with slopes below atol, where anything would be right

    def sure_only(self, case: Case) -> bool:
        """Whether only what differences are sure of counts."""
        return case.own or self.scale != 1


USUAL = Terms()


def compare(case: Case, terms: Terms = USUAL) -> set[Place]:
    """Raise for the worst element; return the elements with a kink."""
    found = graph_gradients(case, terms.seed, terms.scale)
    if not found.reached and not terms.constant:
        raise case.error(NOT_REACHED)
    verdicts = {}
    for place in case.places():
        if place not in terms.skip:
            verdicts[place] = judge_element(case, place, found, terms)
    refuse_wrong(case, verdicts, found, terms)
    if not terms.sure_only(case):
        refuse_quiet(case, verdicts)
        look_below(case, verdicts, terms)
    return {place for place, verdict in verdicts.items() if verdict.kink}


def judge_element(case: Case, place: Place, found: Found, terms: Terms) -> Verdict:
    """The verdict on one element; raises where it cannot be judged, as numbers are not finite."""
    i, at = place
    graph = found.at(i, at)
    strict = not terms.sure_only(case)
    gradient = f"the gradient of {case.element(i, at)}"
    if strict and not np.all(np.isfinite([*graph.values()])):
        raise case.error(f"{gradient} is not finite: {graph}")
    x = float(case.data[i][at])
    slopes = measure(
        functools.partial(case.result, i, at), x, found.result, found.weights, found.eps
    )
    verdict = judge(graph, slopes, terms.rtol, terms.atol, lenient=not strict)
    if strict and not verdict.right and not np.isfinite(verdict.slope.error):
        raise case.error(f"{gradient} cannot be checked: close to its {x} results are not finite")
    return verdict


def refuse_wrong(case: Case, verdicts: Mapping[Place, Verdict], found: Found, terms: Terms) -> None:
    """Raise for the element that is most wrong, if any is."""
    wrong = [(verdict.off, place) for place, verdict in verdicts.items() if not verdict.right]
    if not wrong:
        return
    _, (i, at) = max(wrong)
    worst = verdicts[i, at]
    said = worst.slope.against(worst.graph, worst.road)
    if not found.reached:
        said += f"\n  {NOT_REACHED}"
    if terms.scale != 1:
        times = f"{terms.scale:.3g}"
        said += f"\n  all of it for the result times {times}, as its slopes are so small"
    counted = f"{len(wrong)} of {len(verdicts)} elements are wrong, this one most"
    raise case.error(f"the gradient of {case.element(i, at)} is wrong ({counted}):\n  {said}")


def refuse_quiet(case: Case, verdicts: Mapping[Place, Verdict]) -> None:
    """Raise where rounding hides slopes that would matter beside the largest gradient."""
    largest = max((abs(verdict.graph) for verdict in verdicts.values()), default=0.0)
    for (i, at), verdict in verdicts.items():
        noise = verdict.slope.noise
        if verdict.quiet and noise > 0.01 * (largest or 1.0):
            raise case.error(
                f"the gradient of {case.element(i, at)} cannot be checked: rounding hides slopes "
                f"below {noise:.1g}; compute in float64, and leave out what is added and never "
                f"changes"
            )


def look_below(case: Case, verdicts: Mapping[Place, Verdict], terms: Terms) -> None:
    """Where every slope is below `atol`, look again through a magnifying glass.

    Only at slopes that are more than rounding: differences of cos(x) ** 2 + sin(x) ** 2 are not
    even sure of a digit. ValueError where somebody asked for that `atol`.
    """
    clear = {}
    for place, verdict in verdicts.items():
        size = abs(verdict.slope.value)
        if verdict.slope.error < 1e-3 * size:
            clear[place] = size
    largest = max(clear.values(), default=0.0)
    if not 0 < largest <= terms.atol:
        return
    if terms.asked:
        raise ValueError(
            f"with atol={terms.atol} nothing can fail: the largest slope is {largest:.3g}"
        )
    compare(case, replace(terms, skip=verdicts.keys() - clear.keys(), scale=1 / largest))
