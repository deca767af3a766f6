"""A call of a NumPy function by the names and places of NumPy's own arguments, handed over by ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..ops.op import SPELLINGS, Op
from .numpy_api import BEYOND, twin

Call = tuple[Callable[..., Any], list[Any], dict[str, Any]]


def fit(meaning: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an op, or a spelling, takes these arguments as they are."""
    try:
        if isinstance(meaning, Op):
            meaning.bind(args, kwargs)
        else:
            inspect.signature(meaning).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def as_ours(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call | None:
    """The call in our words; None where NumPy says nothing of its arguments.

    What NumPy requires comes in its order, what it does not by its name; a default that is written
    out says nothing. TypeError where something is asked for that we do not take.
    """
    try:
        signature = inspect.signature(function)
        given = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # of some functions in C there is no signature
        return None
    required: list[Any] = []
    asked: dict[str, Any] = {}
    for name, p in signature.parameters.items():
        if name not in given:
            continue
        if p.kind is p.VAR_POSITIONAL:
            required += given[name]
        elif p.kind is p.VAR_KEYWORD:
            asked.update(given[name])
        elif p.default is p.empty:
            required.append(given[name])
        elif given[name] is not p.default:
            asked[name] = given[name]
    meaning = meaning_with(function, asked)
    return meaning, required, only_ours(meaning, asked)


def meaning_with(function: Callable[..., Any], asked: Mapping[str, Any]) -> Callable[..., Any]:
    """What a function means with these optional arguments."""
    if function in BEYOND and not BEYOND[function][0].isdisjoint(asked):
        found: Callable[..., Any] = BEYOND[function][1].function
        return found
    return SPELLINGS[function].function if function in SPELLINGS else twin(function)


def only_ours(meaning: Callable[..., Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The optional arguments that a spelling takes; TypeError for another, unless it is None."""
    if isinstance(meaning, Op):  # which says so itself
        return asked
    parameters = inspect.signature(meaning).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return asked
    for name, value in asked.items():
        if name not in parameters and value is not None:
            why = ", for an array keeps no history: take the result" if name == "out" else ""
            raise TypeError(f"{name}= is not followed{why}")
    return {name: value for name, value in asked.items() if name in parameters}
