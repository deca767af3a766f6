"""The user's line as a tree: what is written there, the loops around it, what its names stand for."""

from __future__ import annotations

import ast
import linecache
import warnings
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from ..ops.op import is_tensor

STATEMENTS = ast.Assign | ast.AugAssign
WRITTEN = ast.Call | ast.BinOp | ast.Subscript | STATEMENTS
LOOPS = ast.For | ast.While
SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def written_at(frame: FrameType) -> tuple[ast.AST | None, list[ast.AST]]:
    """The call, the operation or the assignment that a frame is at, and what it stands in, outermost first."""
    at = [*frame.f_code.co_positions()][frame.f_lasti // 2]
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    tree = tree_of(source)
    waiting: list[tuple[ast.AST, list[ast.AST]]] = [(tree, [])] if tree else []
    for node, around in waiting:
        if isinstance(node, WRITTEN) and at in places_of(node):
            return node, around
        waiting += [(inner, [*around, node]) for inner in ast.iter_child_nodes(node)]
    return None, []


def tree_of(source: str) -> ast.Module | None:
    """The tree of a source; None where it is no Python, such as a cell with a %magic."""
    try:
        with warnings.catch_warnings(action="ignore"):  # Python shows them where it runs the source
            return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def places_of(node: ast.AST) -> list[tuple[int | None, ...]]:
    """Where a node stands, as code objects say it; of an assignment its target's place as well."""
    if isinstance(node, ast.Assign):
        return [place_of(node.targets[0])]
    if isinstance(node, ast.AugAssign):
        return [place_of(node), place_of(node.target)]
    return [place_of(node)]


def place_of(node: ast.AST) -> tuple[int | None, ...]:
    """Where a node stands, as code objects say it."""
    names = ("lineno", "end_lineno", "col_offset", "end_col_offset")
    return tuple(getattr(node, name, None) for name in names)


def scope_of(around: list[ast.AST]) -> list[ast.AST]:
    """The function or the file that a line stands in, and what is between."""
    scopes = [i for i, node in enumerate(around) if isinstance(node, SCOPES)]
    return around[scopes[-1] if scopes else 0 :]


def made_in(node: ast.AST, name: str) -> list[ast.expr]:
    """What is assigned to a name, or to what is written like it, somewhere in a node."""
    found = []
    for inner in ast.walk(node):
        for target in inner.targets if isinstance(inner, ast.Assign) else ():
            found += assigned(target, inner.value, name)  # type: ignore[attr-defined]
        if isinstance(inner, LOOPS | ast.comprehension) and name in names_of(inner):
            found.append(inner.iter)  # type: ignore[union-attr]
    return found


def assigned(target: ast.expr, value: ast.expr, name: str) -> list[ast.expr]:
    """What a name gets in an assignment, also one of several at once."""
    if not isinstance(target, ast.Tuple | ast.List):
        return [value] if ast.unparse(target) == name else []
    parts = [value] * len(target.elts)
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(parts):
        parts = value.elts
    return [x for pair in zip(target.elts, parts) for x in assigned(*pair, name)]


def names_of(loop: ast.AST) -> list[str]:
    """What a loop runs over its places with."""
    target = getattr(loop, "target", None)
    return [] if target is None else [ast.unparse(x) for x in ast.walk(target)]


def meaning_of(node: ast.AST, frame: FrameType) -> Any:
    """What is written stands for in a frame, as far as looking suffices; None where code would run."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = meaning_of(node.operand, frame)
        return -inner if is_integer(inner) else None
    if isinstance(node, ast.BinOp):
        return computed(node.op, meaning_of(node.left, frame), meaning_of(node.right, frame))
    if isinstance(node, ast.Attribute):
        return attribute(meaning_of(node.value, frame), node.attr)
    if isinstance(node, ast.Subscript):
        return element(meaning_of(node.value, frame), meaning_of(node.slice, frame))
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "len" and len(node.args) == 1:
        return length(meaning_of(node.args[0], frame))
    return None


def written_out(node: ast.expr) -> bool:
    """Whether it is a number, and no name."""
    number = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(number, ast.Constant)


def is_integer(x: Any) -> bool:
    """Whether it is a whole number of Python's or NumPy's."""
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def length(x: Any) -> int | None:
    """How many elements a list or an array has."""
    if isinstance(x, np.ndarray) or is_tensor(x):
        shape: tuple[int, ...] = x.shape
        return shape[0] if shape else None
    return len(x) if type(x) in (list, tuple) else None


def computed(op: ast.operator, left: Any, right: Any) -> Any:
    """The sum, difference, product or quotient of two whole numbers."""
    if not (is_integer(left) and is_integer(right)):
        return None
    if isinstance(op, ast.FloorDiv | ast.Mod):
        quotient, rest = divmod(left, right) if right else (None, None)
        return quotient if isinstance(op, ast.FloorDiv) else rest
    signs = {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}
    return signs.get(type(op))


def attribute(owner: Any, name: str) -> Any:
    """An attribute that is kept, so no property but the shape of an array."""
    if isinstance(owner, np.ndarray) or is_tensor(owner):
        return {"shape": owner.shape, "ndim": owner.ndim}.get(name)
    if isinstance(owner, ModuleType) or hasattr(type(owner), "__dict__"):
        return getattr(owner, "__dict__", {}).get(name)
    return None


def element(owner: Any, place: Any) -> Any:
    """What a container of Python's or an array has at a place."""
    if type(owner) not in (dict, list, tuple, np.ndarray) or not isinstance(
        place, int | str | np.integer
    ):
        return None
    try:
        return owner[place]
    except (KeyError, IndexError, TypeError):
        return None
