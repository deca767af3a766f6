"""Who else has an array that is to be filled: a new array in its place would not reach them."""

from __future__ import annotations

import ast
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from .line import LOOPS, made_in, scope_of


def is_seen_elsewhere(
    z: Any, owner: ast.expr, statement: ast.stmt, around: list[ast.AST], frame: FrameType
) -> bool:
    """Whether this array, or a view of it, will be read by other words than `owner`."""
    name = ast.unparse(owner)
    others = 0
    for other, x in frame.f_locals.items():
        if other != name and is_read(other, name, statement, around):
            others += sum(holds(part, z) for part in (x, *parts_of(x)))
    return others > (0 if isinstance(owner, ast.Name) else 1)  # `self.z` itself is found in self


def is_out_of_sight(name: str, around: list[ast.AST], frame: FrameType) -> bool:
    """Whether it is a name of outside, which would become one of the function's own."""
    names = {*frame.f_code.co_varnames, *frame.f_code.co_cellvars}
    inside = isinstance(scope_of(around)[0], ast.FunctionDef)
    return inside and name.isidentifier() and name not in names


def holds(x: Any, z: Any) -> bool:
    """Whether it is the array or Tensor `z`, or a view of the array."""
    return x is z or (
        isinstance(x, np.ndarray) and isinstance(z, np.ndarray) and np.may_share_memory(x, z)
    )


def parts_of(x: Any) -> list[Any]:
    """What is directly in a container or an object."""
    if type(x) in (list, tuple):
        return [*x]
    if isinstance(x, type | ModuleType | np.ndarray):
        return []
    return [*(x if type(x) is dict else getattr(x, "__dict__", {})).values()]


def is_read(other: str, name: str, statement: ast.stmt, around: list[ast.AST]) -> bool:
    """Whether a name may be read after the statement, with what it has now."""
    if other[:1] == "_" or other == "Out":  # what a notebook has shown
        return False
    scope = scope_of(around)
    loops = [x for x in scope if isinstance(x, LOOPS)]
    if any(made_in(loop, other) for loop in loops):
        return False  # it gets something else in each round
    function = scope[0]
    if not isinstance(function, ast.FunctionDef):
        return True  # a file or a cell: anybody may read it
    if other in [x.arg for x in ast.walk(function.args) if isinstance(x, ast.arg)]:
        return True
    headers = [x.iter for x in loops if isinstance(x, ast.For) and made_in(x, name)]
    begin = loops[0].lineno if loops else (statement.end_lineno or 0) + 1
    reads = [
        x
        for x in ast.walk(function)
        if isinstance(x, ast.Name) and x.id == other and x.lineno >= begin
    ]
    return any(x not in headers for x in reads)
