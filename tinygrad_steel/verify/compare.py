"""`compare_backprop`: a hand-written chain of gradients, judged one step after the other."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Never

import numpy as np

from ..engine.tensor import Tensor
from ..ops.fast import is_numpy
from ..ops.op import data_of
from ..program.ancestors import ancestors
from ..program.given_names import GivenNames, Names
from ..program.redrawn import before_draws
from ..program.trace import for_reader, trace
from ..program.values import Value
from .capture import (
    compared,
    flat_names,
    names_in_code,
    note_on,
    refuse_plain,
    runner,
)
from .chain import Chain
from .closeness import distance, largest, matches
from .conventions import as_the_graph, declared, in_conventions, kept_throughout
from .first_round import first_round
from .gathered import gather
from .judging import judged
from .kept import Name
from .late_mean import without_late_mean
from .own_source import sources_of
from .precision import shorten
from .recognise import Table, as_floats
from .report import BY_CONVENTION, WRONG, Report, Step
from .shown import read
from .slots import Slots, slots_of
from .traced_loss import Graph, graph_of
from .verdicts import Judgement, divided_later
from .watching import watched


def compare_backprop(
    loss: Tensor,
    names: Names = None,
    *others: Never,
    backprop: Any = None,
    convention: str | Iterable[str] | None = (),
    **manual: Any,
) -> Report:
    """Compare your own gradients with the graph's, and say which step is wrong first, and why.

    Hand them over as arrays, `G_name=array`, or as the code that computes them, `backprop=`. From the
    loss backwards each gradient is judged as a step of its own: it is wrong if it does not come out
    of the gradients before it. The reason is found by trying what usually goes wrong: a factor, a
    sign, a transpose, an axis, a local derivative left out.

    Parameters
    ----------
    loss : Tensor
        The loss, of one element, as for `loss.backward()`.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`. With `backprop`, a text says
        whose gradient a variable of the code holds, as in `{"dW1": "weight"}`.
    backprop : callable or str, optional
        Your code, run under a watch: a function without arguments (`lambda: backward(x, y)`), or the
        text of a notebook's cell, which runs with `names` as its variables. Its arrays are recognised
        by their numbers and names, and the report says which line made the first wrong one. See
        Notes for what counts as a gradient.
    convention : str or tuple of str, optional
        In what all of the gradients differ from the graph's, and are right: "columns", where samples
        are columns and every matrix is transposed; "sum", where the loss is the sum over the batch
        and not the mean; "descent", where each has a minus sign, since it is added to its parameter;
        "bias-shape", where a bias may have the shape (n,) and its gradient (1, n).
    **manual : array_like
        `G_name=array`, of the shape of the named Tensor, for any of those behind the loss, leaves or
        not.

    Returns
    -------
    Report
        Print it, or ask `ok`, `steps`, `first_wrong`. Where the graph's own gradient is NaN or
        infinite, nothing can be judged, and the report is not `ok`. Nothing is raised over a wrong
        gradient.

    Raises
    ------
    ValueError
        Where nothing is handed over, or one gradient twice, or for a name that the graph does not
        have or through which no gradient flows; for a convention that is not known, or "sum" where
        the loss is no mean.
    TypeError
        For what is no array of numbers, or a masked one, and for a graph on arrays that are not
        NumPy's.
    RuntimeError
        As `loss.backward()`: where no gradient flows, or data has changed since.
    Exception
        Whatever the code of `backprop` raises, with a note on how far it was right.

    Notes
    -----
    Of code, the gradients of leaves decide whether it is wrong: what it gives back, keeps in dicts,
    lists and attributes, and calls so. Lists of plain numbers, the parts of one row of all gradients,
    and what a step of training takes from a parameter, up to one rate, are gradients as well; what an
    optimizer keeps is none. Of a loop of training the first round is judged, with the parameters of
    the graph. The code of libraries is not watched, nor are other threads.

    Generators from which the loss was drawn (dropout, noise) are put back for the code to where they
    were before, so that it may draw its masks again; or it takes those of the graph, as
    `y.inputs[1].numpy()` of `y = dropout(x, rate, rng)`.

    Tolerances follow the dtype: 1e-9 of the largest element in float64, 1e-4 in float32, as soon as
    there is a float32 in the graph or among what is handed over; 5e-7 where an array of float64
    shows by its digits that it was made of float32. Where terms cancel, an element may be off by as
    much of the size of these terms, up to a thousandth of the largest element and as long as no
    usual fault explains it; the verdict says so. A number by which all elements are multiplied is
    no rounding: where several elements agree on one that is off 1 by more than 1e-9, or 3e-5 in
    float32, 8e-3 in float16, the gradient is wrong, however small the difference.

    Right by convention, without being declared: at a kink the slope of either side, or half of both,
    as 0, 1 and 1/2 for `maximum(0, z)` at 0, and one of equal elements under a max or an argmax;
    gradients without a divisor that comes with those of the leaves, where these are right
    (dW = dZ @ A.T / m); a bias gradient of shape (n,) for (1, n). Code may show more of its own:
    parameters that lie transposed, steps `w += rate * dw`, a loss that is the sum over the batch.
    Such a convention is named once, above the verdict; `Report.raise_if_wrong` says what is right
    strictly.

    What all searches for the reasons of code may cost together is bounded, by a count that is the same
    on every machine. The first wrong step comes first; others may be "not searched".

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> diff = x @ weight - y
    >>> loss = np.mean(np.square(diff))
    >>> G_diff = 2 * diff.numpy()                   # where is the mean's division by 2?
    >>> G_weight = x.numpy().T @ G_diff
    >>> report = compare_backprop(loss, locals(), G_diff=G_diff, G_weight=G_weight)
    >>> print(report)  # doctest: +NORMALIZE_WHITESPACE
    gradient  shape   largest difference  relative  verdict
    G_diff    (2, 1)  3                   1         wrong
    G_weight  (1, 1)  8                   1         follows from a wrong one
    First wrong step: G_diff, 2 times too large everywhere: not divided by the batch size 2,
    or a factor 2 too much.
      the graph has  G_diff = 2 * diff * G_loss / 2

    Code in place of arrays:

    >>> def backward(x, y, weight):
    ...     d_diff = x @ weight - y
    ...     return x.T @ d_diff
    >>> arrays = x.numpy(), y.numpy(), weight.numpy()
    >>> report = compare_backprop(loss, locals(), backprop=lambda: backward(*arrays))
    >>> report.ok  # 2 * diff / 2
    True
    """
    refuse_misplaced(names, others)
    conventions = declared(convention)
    if backprop is not None:
        found = compare_code(loss, names, backprop, manual, conventions)
    else:
        found = compare_arrays(loss, names, manual, conventions)
    found.age = loss.age
    return found


def compare_arrays(
    loss: Tensor, names: Names, manual: Mapping[str, Any], conventions: tuple[Name, ...]
) -> Report:
    """Compare arrays by name: see `compare_backprop`."""
    arrays = {name: as_numbers(name, value) for name, value in manual.items()}
    variables = {k: v for k, v in (names or {}).items() if isinstance(v, Tensor) or k not in manual}
    refuse_other_arrays(loss, variables)
    graph = graph_of(for_reader(trace(loss, variables)))
    called = recognised(graph, arrays)
    return report(graph, called, {g: arrays[name] for g, name in called.items()}, conventions)


def compare_code(
    loss: Tensor,
    names: Names,
    backprop: Any,
    manual: Mapping[str, Any],
    conventions: tuple[Name, ...] = (),
) -> Report:
    """Compare what somebody's code computes: see `compare_backprop`."""
    if manual:
        raise ValueError(
            f"hand over the code or the arrays: backprop=... and {', '.join(manual)}=... are both here"
        )
    refuse_plain(loss)
    tensors = flat_names(names or {})
    refuse_other_arrays(loss, tensors)
    traced = for_reader(trace(loss, tensors))
    graph = graph_of(traced)
    with before_draws(traced):
        seen = watched(runner(backprop, names))
    seen = first_round(seen, graph)
    with np.errstate(all="ignore"):
        seen = gather(seen, Table({g: graph.numbers[g] for g in graph.gradient_of.values()}))
        shorten(seen, graph)
        reading = read(graph, seen, names or {}, conventions)
        plain = reading.slots
        learned = names_in_code(plain.back.chain)

        def with_names() -> Slots:
            """The same with the names of the code."""
            named = dataclasses.replace(traced, names={**traced.names, **learned})
            return slots_of(Chain(reading.of(graph_of(named)), seen, names or {}))

        # Where a leaf is wrong, the names of the code are needed: nothing is searched twice.
        is_wrong = bool(learned and plain.wrong)
        found = compared(with_names() if is_wrong else plain, step, backprop)
        if learned and is_wrong != any(one.verdict == WRONG for one in found.steps):
            found = compared(plain if is_wrong else with_names(), step, backprop)
    if seen.error is not None:
        note_on(seen.error, found)
        raise seen.error
    note = found.note
    if plain.wrong and not (conventions or plain.right or note):
        note = kept_throughout(graph, {g: slot.binding.array for g, slot in plain.wrong.items()})
    found = found._replace(note=note, conventions=(*reading.said, *found.conventions))
    where = [step.where for step in (*found.steps, *found.unrecognised)]
    called = learned if any(one.verdict == WRONG for one in found.steps) else {}
    ages = {called[x]: t.age for t, x in traced.made.items() if x in called}
    return Report(*found, sources=sources_of(seen.frames, where), learned=ages)


@np.errstate(all="ignore")
def report(
    plain: Graph,
    called: Mapping[Value, str],
    handed: Mapping[Value, np.ndarray],
    conventions: tuple[Name, ...] = (),
) -> Report:
    """The verdicts on what was handed over; `called`: by which name each was."""

    def as_theirs(graph: Graph) -> dict[Value, np.ndarray]:
        """What was handed over, as the graph with these conventions has it."""
        return {g: as_the_graph(plain, graph, g, array) for g, array in handed.items()}

    def agreeing(graph: Graph) -> int:
        """How much of it is right so."""
        return sum(matches(array, graph.numbers[g]) for g, array in as_theirs(graph).items())

    graph, _, said = in_conventions(plain, conventions, agreeing)
    arrays = as_theirs(graph)
    found = judged(graph, arrays)
    late = without_late_mean(graph, arrays) if count_wrong(found) else {}
    if late:
        divided = arrays | {g: arrays[g] / factor for g, factor in late.items()}
        others = judged(graph, divided)
        if count_wrong(others) <= count_wrong(found):
            found = others | {g: divided_later(others[g], factor) for g, factor in late.items()}
            arrays = divided
        else:
            late = {}
    steps = [
        step(graph, called[g], g, arrays[g].copy(), found[g], late.get(g, 1.0))._replace(
            shape=handed[g].shape
        )
        for g in found
    ]
    note = kept_throughout(plain, handed) if count_wrong(found) and not conventions else ""
    return Report(steps, note=note, conventions=said)


def count_wrong(found: Mapping[Value, Judgement]) -> int:
    """How many gradients are wrong."""
    return sum(one.verdict == WRONG for one in found.values())


def step(
    graph: Graph,
    name: str,
    g: Value,
    given: np.ndarray,
    found: Judgement,
    factor: float = 1.0,
) -> Step:
    """A line of the report; `given`: what nobody writes into, divided by `factor` already."""
    own, absolute, relative = graph.numbers[g], np.nan, np.nan
    array = given.reshape(own.shape) if found.verdict == BY_CONVENTION else given
    if array.shape == own.shape:
        absolute, size = float(np.max(distance(array, own), initial=0)), largest(own)
        if size:
            relative = absolute / size
        else:
            relative = np.inf if absolute else 0.0
    code = code_of(graph, graph.name(g))
    return Step(
        name,
        given.shape,
        absolute,
        relative,
        found.verdict,
        found.reason,
        code,
        faults=found.codes,
        kept=found.kept,
        age=graph.age_of_owner(g),
        factor=factor * graph.factor,
        array=array if graph.factor == 1 else array / graph.factor,
    )


def code_of(graph: Graph, name: str) -> list[str]:
    """The line of a gradient in the written source, and those of the short names in it."""
    line = graph.lines.get(name)
    if line is None:
        return []
    short = re.findall(r"\bt\d+\b", line)
    return [line, *dict.fromkeys(graph.lines[t] for t in short if t in graph.lines)]


# What was handed over


def refuse_misplaced(names: Any, others: tuple[Any, ...]) -> None:
    """TypeError for what is no dict in the place of the names, and for what stands after them."""
    misplaced = next((x for x in (names, *others) if callable(x)), None)
    if misplaced is not None:
        called = getattr(misplaced, "__name__", "function")
        code = "lambda: ..." if called == "<lambda>" else called
        raise TypeError(
            f"{called} stands where the names are to be: write compare_backprop(loss, names, "
            f"backprop={code})"
        )
    if others:
        raise TypeError(
            "after the names nothing is taken without a keyword: write backprop=... before code, and "
            "G_name=... before an array"
        )
    if names is not None and not isinstance(names, Mapping):
        hint = "; a cell's code is backprop=..." if isinstance(names, str) else ""
        raise TypeError(
            f"names is to be a dict, such as locals() or {{'W1': W1}}, "
            f"not a {type(names).__name__}{hint}"
        )


def as_numbers(name: str, value: Any) -> np.ndarray:
    """A gradient that was handed over, as an array of floats."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array: hand over numbers, as in {name}=array.filled(0)"
        )
    try:
        array = np.asarray(data_of(value))
    except ValueError as error:  # lists of different lengths
        raise TypeError(f"{name} is to be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        kind = type(value).__name__ if array.dtype == object else array.dtype
        raise TypeError(f"{name} is to be an array of numbers, not {kind}")
    return as_floats(array)


def refuse_other_arrays(loss: Tensor, names: Names) -> None:
    """TypeError where the numbers of the graph are not NumPy's: lazy ones would be computed
    again for each question.
    """
    given = GivenNames(names)
    for t in ancestors([loss]):
        if not is_numpy(t.data):
            result = f"a result of {t.op.name}" if t.op else f"a Tensor of shape {t.shape}"
            kind = f"{type(t.data).__module__}.{type(t.data).__qualname__}"
            raise TypeError(
                f"compare_backprop is for NumPy's arrays, and {given.of(t) or result} holds a {kind}"
            )


def recognised(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[Value, str]:
    """Which gradients were handed over, and by which name each."""
    found = {name: g for g in graph.gradient_of.values() if (name := graph.name(g))}
    # What a Tensor is called comes before what the written source makes of another one's name.
    found |= {f"G_{graph.names[x]}": g for x, g in graph.gradient_of.items() if x in graph.names}
    if not arrays:
        raise ValueError(
            f"no gradient was handed over: give each as a keyword, as in "
            f"compare_backprop(loss, names, {[*found][-1]}=array), or your code as backprop=function. "
            f"This graph has {', '.join(found)}"
        )
    called: dict[Value, str] = {}
    for name in arrays:
        g = gradient_called(graph, found, name)
        if g in called:
            raise ValueError(f"{called[g]} and {name} are the same gradient: hand it over once")
        called[g] = name
    return called


def gradient_called(graph: Graph, found: Mapping[str, Value], name: str) -> Value:
    """The gradient of that name; ValueError where there is none, or more than one."""
    bare = name.removeprefix("G_")
    twice = [x for x in graph.gradient_of if graph.names.get(x) == bare]
    if len(twice) > 1:
        raise ValueError(
            f"{name} is ambiguous: {len(twice)} Tensors are called {bare}; name them apart"
        )
    if name in found:
        return found[name]
    for x in graph.forward:
        if f"G_{graph.names.get(x, '')}" == name and x in graph.names:
            way = "make it with requires_grad=True to have it compared"
            if x in graph.wanted:
                way = "no derivative leads to it"
            raise ValueError(f"{name}: no gradient flows to {graph.names[x]}; {way}")
    close = difflib.get_close_matches(name, found, 1) or difflib.get_close_matches(
        f"G_{name}", found, 1
    )
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(
        f"{name} is not a gradient of this graph{hint}; it has {', '.join(found)}. "
        f"Give names with name=... or names=locals()"
    )
