"""What to write instead, in the user's own words: read from the line that an error is about."""

from __future__ import annotations

import ast
import linecache
import os
from types import FrameType
from typing import Any

import numpy as np

from ..ops.op import is_tensor
from .messages import users_frame

# What makes an array of what it is given.
MAKERS = {"array", "asarray", "asanyarray", "ascontiguousarray", "Tensor"}
# They write into an array that is there.
FILLING = (np.put, np.copyto, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)
# Of those that cannot be followed: what can.
INSTEAD = {
    "delete": "t[np.delete(np.arange(len(t)), i)] leaves elements out",
    "insert": "np.concatenate puts elements in between",
    "apply_along_axis": "np.stack([f(row) for row in t]) does the same",
    "unique": "np.sort(t) keeps all elements and their gradients",
}


def unknown(function: Any) -> TypeError:
    """What to raise for a NumPy function that no op stands for."""
    name = function.__name__
    if hasattr(function, "__module__"):
        name = f"{function.__module__}.{name}"
    if name.startswith("numpy.fft."):
        return TypeError(
            f"{name} makes complex numbers, and a Tensor holds real ones: take t.numpy() where no "
            f"gradient is wanted"
        )
    if function in FILLING:
        return TypeError(
            f"{name} fills an array in place, which keeps no history: make the parts first, then "
            f"np.stack or np.concatenate them, or choose with np.where"
        )
    instead = INSTEAD.get(function.__name__)
    return TypeError(
        f"{name} has no registered op, so its gradient is not known: write it with functions that "
        f"have one (tinygrad_steel.OPS lists them), register it with "
        f"tinygrad_steel.op(..., twins=[{name}]), or take t.numpy() where no gradient is wanted"
        + (f". Here: {instead}" if instead else "")
    )


def advice() -> str:
    """What to write in place of the user's line, as the last words of a message; or nothing."""
    frame = users_frame()
    ours = scipy_function(frame)
    while frame.f_back is not None and is_scipy(frame):
        frame = frame.f_back
    node = written_at(frame)
    text = instead_of_scipy(node, ours) if ours else instead_of(node, frame) if node else ""
    return f". Here: {text}" if text else ""


def is_scipy(frame: FrameType) -> bool:
    """Whether a frame is one of SciPy's."""
    return f"{os.sep}scipy{os.sep}" in frame.f_code.co_filename


def scipy_function(frame: FrameType) -> str:
    """The function of SciPy's that has one of ours beside it, if the user has called that."""
    while frame.f_back is not None and is_scipy(frame):
        if frame.f_code.co_name in ("softmax", "log_softmax", "logsumexp"):
            return frame.f_code.co_name
        frame = frame.f_back
    return ""


def written_at(frame: FrameType) -> ast.AST | None:
    """The call, the operation or the assignment that a frame is at; None where it is not known."""
    at = [*frame.f_code.co_positions()][frame.f_lasti // 2]
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with a %magic, or a file that has changed
        return None
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else node
        if place_of(target) == at and isinstance(
            node, ast.Call | ast.BinOp | ast.Assign | ast.AugAssign
        ):
            return node
    return None


def place_of(node: ast.AST) -> tuple[int | None, ...]:
    """Where a node stands, as code objects say it."""
    names = ("lineno", "end_lineno", "col_offset", "end_col_offset")
    return tuple(getattr(node, name, None) for name in names)


def instead_of_scipy(node: ast.AST | None, name: str) -> str:
    """Our function in place of SciPy's, along SciPy's axis."""
    arguments = "x, axis=None"
    if isinstance(node, ast.Call):
        given = [ast.unparse(x) for x in [*node.args, *node.keywords]]
        arguments = ", ".join(given if len(given) > 1 else [*given, "axis=None"])
    return f"tinygrad_steel.{name}({arguments})"


def instead_of(node: ast.AST, frame: FrameType) -> str:
    """What to write in place of a call, an operation or an assignment."""
    if isinstance(node, ast.AugAssign):
        target = ast.unparse(node.target)
        old = ast.parse(target, mode="eval").body
        return f"{target} = {ast.unparse(ast.BinOp(old, node.op, node.value))}"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return instead_of_filling(node.targets[0], node.value, frame)
    if isinstance(node, ast.Call):
        return instead_of_call(node, frame)
    if isinstance(node, ast.BinOp):
        sides = [stacked(node.left, frame), stacked(node.right, frame)]
        return (
            ast.unparse(ast.BinOp(sides[0], node.op, sides[1]))
            if sides != [node.left, node.right]
            else ""
        )
    return ""


def instead_of_filling(target: ast.Subscript, value: ast.expr, frame: FrameType) -> str:
    """What to write for `z[i] = t`."""
    array, index = ast.unparse(target.value), ast.unparse(target.slice)
    z, i, t = (meaning_of(x, frame) for x in (target.value, target.slice, value))
    text = ast.unparse(value)
    if isinstance(i, np.ndarray) and i.dtype.kind == "b" and is_tensor(t) and not t.ndim:
        return f"{array} = np.where({index}, {text}, {array})"
    if not isinstance(i, int | np.integer):
        return ""
    collect = f"append each {text} to a list, of which np.stack makes one Tensor"
    if np.ndim(z) != 1:
        return collect
    place = index if i >= 0 else f"{index} % len({array})"
    return f"{array} = np.where(np.arange(len({array})) == {place}, {text}, {array}); or {collect}"


def instead_of_call(node: ast.Call, frame: FrameType) -> str:
    """What to write for a call that cannot take a Tensor as it is."""
    name = ast.unparse(node.func).rpartition(".")[2]
    if name == "full" and len(node.args) > 1:
        return f"np.broadcast_to({ast.unparse(node.args[1])}, {ast.unparse(node.args[0])})"
    if name == "dot" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        return f"np.dot({ast.unparse(node.func.value)}, {ast.unparse(node.args[0])})"
    given = [stacked(x, frame) for x in node.args]
    if given == node.args:
        return ""
    if name in MAKERS:
        return ast.unparse(given[0])
    return ast.unparse(ast.Call(node.func, given, node.keywords))


def stacked(node: ast.expr, frame: FrameType) -> ast.expr:
    """A list of Tensors inside np.stack; anything else as it is."""
    if not holds_tensors(node, frame):
        return node
    if isinstance(node, ast.List | ast.Tuple):
        node = ast.List([stacked(x, frame) for x in node.elts], ast.Load())
    return ast.Call(ast.Name("np.stack"), [node], [])


def holds_tensors(node: ast.expr, frame: FrameType) -> bool:
    """Whether it is a list that has Tensors in it."""
    if isinstance(node, ast.List | ast.Tuple):
        return any(
            holds_tensors(x, frame) or not isinstance(x, ast.Constant | ast.List | ast.Tuple)
            for x in node.elts
        )
    found = meaning_of(node, frame)
    return isinstance(found, list | tuple) and any(map(is_tensor, found))


def meaning_of(node: ast.expr, frame: FrameType) -> Any:
    """What a name or a number stands for in a frame; None for all that would have to be computed."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = meaning_of(node.operand, frame)
        return -inner if isinstance(inner, int) else None
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    return None
