"""What to write instead, in the user's own words: read from the line that an error is about."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from ..ops.op import is_tensor
from .filling import instead_of_filling
from .line import meaning_of, written_at
from .messages import users_frame

# What makes an array of what it is given.
MAKERS = {"array", "asarray", "asanyarray", "ascontiguousarray", "Tensor"}
# They write into an array that is there.
FILLING = (np.put, np.copyto, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)
# Of those that cannot be followed: what can.
INSTEAD = {
    "delete": "t[np.delete(np.arange(len(t)), i)] leaves elements out",
    "insert": "np.concatenate puts elements in between",
    "apply_along_axis": "np.stack([f(row) for row in t]) does the same for rows",
    "piecewise": "np.where(condition, f(t), g(t)) chooses one of two functions",
    "unique": "np.sort(t) keeps all elements and their gradients",
}
# Of methods of ufuncs: a line that does the same.
METHODS = {
    "reduce": "functools.reduce({name}, t), or np.sum and its like",
    "accumulate": "np.stack([*itertools.accumulate(t, {name})])",
    "reduceat": "np.stack([functools.reduce({name}, part) for part in np.split(t, places)[1:]])",
    "at": "z = np.where(mask, {name}(z, t), z)",
}
ADD_AT = "z = z + np.bincount(places, weights=t, minlength=len(z))"


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
            f"np.stack or np.concatenate them, or choose with np.where{advice()}"
        )
    words = INSTEAD.get(function.__name__)
    instead = advice() if function.__name__ in REWRITTEN or not words else ""
    instead = instead or (f"; {words}" if words else "")
    return TypeError(
        f"{name} has no registered op, so its gradient is not known: write it with functions that "
        f"have one (tinygrad_steel.OPS lists them), register it with "
        f"tinygrad_steel.op(..., twins=[{name}]), or take t.numpy() where no gradient is wanted"
        + instead
    )


def unknown_method(ufunc: np.ufunc, method: str) -> TypeError:
    """What to raise for a method of a ufunc that is not followed."""
    name = f"np.{ufunc.__name__}"
    write = ADD_AT if name == "np.add" and method == "at" else METHODS[method].format(name=name)
    return TypeError(f"{name}.{method} keeps no history on Tensors: use {write}")


def advice(t: Any = None) -> str:
    """What to write in place of the user's line, as the last words of a message; or nothing.

    `t` is the Tensor that the line is refused for, where that is known.
    """
    frame = users_frame()
    ours = scipy_function(frame)
    while frame.f_back is not None and is_scipy(frame):
        frame = frame.f_back
    node, around = written_at(frame)
    text = ""
    if ours:
        text = instead_of_scipy(node, ours, frame)
    elif node is not None:
        text = instead_of(node, around, frame, t)
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


def instead_of_scipy(node: ast.AST | None, name: str, frame: FrameType) -> str:
    """Our function in place of SciPy's, along SciPy's axis; nothing for arguments that we lack."""
    if not isinstance(node, ast.Call):
        return f"tinygrad_steel.{name}(x, axis=None)"
    ours = {"axis", "keepdims"} if name == "logsumexp" else {"axis"}
    x = [*node.args[:1], *(k.value for k in node.keywords if k.arg in ("a", "x"))]
    options = [k for k in node.keywords if k.arg not in ("a", "x")]
    if len(x) != 1 or len(node.args) > 2 or not {k.arg for k in options} <= ours:
        return ""
    given = [stacked(x[0], frame), *node.args[1:], *options]
    axis = ["axis=None"] * (len(node.args) < 2 and "axis" not in [k.arg for k in options])
    return f"tinygrad_steel.{name}({', '.join([*map(ast.unparse, given), *axis])})"


def instead_of(node: ast.AST, around: list[ast.AST], frame: FrameType, t: Any) -> str:
    """What to write in place of a call, an operation or an assignment."""
    if isinstance(node, ast.AugAssign):
        return instead_of_in_place(node, around, frame, t)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return instead_of_filling(node, around, frame, t)
    if isinstance(node, ast.Call):
        return instead_of_call(node, frame)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return instead_of_index(node, frame, t)
    if isinstance(node, ast.BinOp):
        sides = [stacked(node.left, frame), stacked(node.right, frame)]
        return (
            ast.unparse(ast.BinOp(sides[0], node.op, sides[1]))
            if sides != [node.left, node.right]
            else ""
        )
    return ""


def instead_of_in_place(
    node: ast.AugAssign, around: list[ast.AST], frame: FrameType, t: Any
) -> str:
    """What to write for `z += t`."""
    kept = not isinstance(node.target, ast.Name)
    if isinstance(node.target, ast.Subscript):
        owner = meaning_of(node.target.value, frame)
        if not isinstance(owner, list | dict):
            return instead_of_filling(node, around, frame, t)
    target = ast.unparse(node.target)
    old = ast.parse(target, mode="eval").body
    anew = f"{target} = {ast.unparse(ast.BinOp(old, node.op, node.value))}"
    if not kept or not is_tensor(t):
        return anew
    call = ast.Call(ast.Attribute(node.value, "numpy", ast.Load()), [], [])
    plain = ast.unparse(ast.AugAssign(node.target, node.op, call))
    return f"{anew}; or, for a running mean, through which no gradient flows: {plain}"


def instead_of_lookup(node: ast.Subscript, frame: FrameType, t: Any) -> str:
    """Some elements of an array, by places or a mask that are a Tensor."""
    known = meaning_of(node.slice, frame)
    if not is_tensor(t) or t.dtype.kind not in "iub" or not (known is None or known is t):
        return ""
    return f"tinygrad_steel.Tensor({ast.unparse(node.value)})[{ast.unparse(node.slice)}]"


def instead_of_index(node: ast.Subscript, frame: FrameType, t: Any) -> str:
    """What to write for `np.r_[...]`, `np.c_[...]`, and an array that a Tensor is an index of."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = ast.unparse(node.value)
    if name not in ("np.r_", "np.c_"):
        return instead_of_lookup(node, frame, t)
    if any(isinstance(x, ast.Slice) or isinstance(meaning_of(x, frame), str) for x in parts):
        return ""
    text = ", ".join(map(ast.unparse, parts))
    if name == "np.c_":
        return f"np.column_stack([{text}])"
    flat = all(axes_of(x, frame) in (0, 1) for x in parts)
    return f"np.hstack([{text}])" if name == "np.r_" and flat else ""


def axes_of(node: ast.expr, frame: FrameType) -> int | None:
    """How many axes what is written has, where that is known."""
    if isinstance(node, ast.Subscript | ast.Call | ast.BinOp | ast.Attribute):
        return None
    found = meaning_of(node, frame)
    return None if found is None else np.ndim(found)


def instead_of_call(node: ast.Call, frame: FrameType) -> str:
    """What to write for a call that cannot take a Tensor as it is."""
    name = ast.unparse(node.func).rpartition(".")[2]
    if name in REWRITTEN:
        return REWRITTEN[name](node, frame)
    if name in ("dot", "searchsorted") and is_method(node, frame):
        array = stacked(node.func.value, frame)  # type: ignore[attr-defined]
        return unparsed(f"np.{name}", [array, *(stacked(x, frame) for x in node.args)], node)
    each = in_each if name in JOINS else stacked
    given = [*(each(x, frame) for x in node.args[:1]), *(stacked(x, frame) for x in node.args[1:])]
    named = [ast.keyword(k.arg, stacked(k.value, frame)) for k in node.keywords]
    if given == node.args and all(k.value is old.value for k, old in zip(named, node.keywords)):
        return ""
    if name in MAKERS:
        return ast.unparse(given[0])
    return ast.unparse(ast.Call(node.func, given, named))


JOINS = {"concatenate", "hstack", "vstack", "column_stack", "dstack", "stack"}


def in_each(node: ast.expr, frame: FrameType) -> ast.expr:
    """A list of what is joined, with each list of Tensors in it inside np.stack."""
    if not isinstance(node, ast.List | ast.Tuple):
        return stacked(node, frame)
    parts = [stacked(x, frame) for x in node.elts]
    return node if parts == node.elts else ast.List(parts, ast.Load())


def is_method(node: ast.Call, frame: FrameType) -> bool:
    """Whether a call is one of an array's methods, and none of a module's functions."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    return owner is not None and not isinstance(meaning_of(owner, frame), ModuleType)


def unparsed(name: str, args: list[ast.expr], node: ast.Call) -> str:
    """A call of another function with the same named arguments."""
    return ast.unparse(ast.Call(ast.Name(name), args, node.keywords))


def arguments_of(node: ast.Call, *names: str) -> dict[str, str] | None:
    """What is written for the arguments of a call; None where it has others, or stars."""
    if any(isinstance(x, ast.Starred) for x in node.args) or len(node.args) > len(names):
        return None
    given = {name: ast.unparse(x) for name, x in zip(names, node.args)}
    given |= {k.arg or "**": ast.unparse(k.value) for k in node.keywords}
    return given if given.keys() <= {*names} else None


def instead_of_full(node: ast.Call, frame: FrameType) -> str:
    """Of one value, in a shape."""
    given = arguments_of(node, "shape", "fill_value", "dtype")
    if given is None or not {"shape", "fill_value"} <= given.keys():
        return ""
    dtype = given.get("dtype", "None")
    value, shape = given["fill_value"], given["shape"]
    return f"np.broadcast_to({value}, {shape})" + (f".astype({dtype})" if dtype != "None" else "")


def instead_of_full_like(node: ast.Call, frame: FrameType) -> str:
    """Of one value, in the shape of an array."""
    given = arguments_of(node, "a", "fill_value", "dtype")
    if given is None or not {"a", "fill_value"} <= given.keys():
        return ""
    like = meaning_of(node.args[0], frame) if node.args else None
    if not isinstance(like, np.ndarray) or ("dtype" not in given and like.dtype.kind != "f"):
        return ""
    dtype = given.get("dtype", f"{given['a']}.dtype")
    return f"np.broadcast_to({given['fill_value']}, np.shape({given['a']})).astype({dtype})"


def instead_of_delete(node: ast.Call, frame: FrameType) -> str:
    """Some of the elements."""
    given = arguments_of(node, "arr", "obj", "axis")
    if given is None or not {"arr", "obj"} <= given.keys():
        return ""
    array, places, axis = given["arr"], given["obj"], given.get("axis", "None")
    if axis == "None":
        return f"np.ravel({array})[np.delete(np.arange(np.size({array})), {places})]"
    kept = f"np.delete(np.arange(np.shape({array})[{axis}]), {places})"
    return f"np.take({array}, {kept}, axis={axis})"


def instead_of_insert(node: ast.Call, frame: FrameType) -> str:
    """At one place of all elements in a row."""
    given = arguments_of(node, "arr", "obj", "values")
    place = meaning_of(node.args[1], frame) if len(node.args) == 3 else None
    if given is None or not isinstance(place, int):
        return ""
    flat, i = f"np.ravel({given['arr']})", given["obj"]
    value = ast.unparse(stacked(node.args[2], frame))
    return f"np.concatenate([{flat}[:{i}], np.ravel({value}), {flat}[{i}:]])"


def instead_of_apply(node: ast.Call, frame: FrameType) -> str:
    """Of a table, row by row or column by column."""
    given = arguments_of(node, "func1d", "axis", "arr")
    if given is None or len(node.args) < 3 or np.ndim(meaning_of(node.args[2], frame)) != 2:
        return ""
    axis = meaning_of(node.args[1], frame)
    function, table = given["func1d"], given["arr"]
    if isinstance(node.args[0], ast.Lambda) or axis not in (0, 1, -1, -2):
        return ""
    if axis in (1, -1):
        return f"np.stack([{function}(row) for row in {table}])"
    return f"np.stack([{function}(column) for column in {table}.T], axis=-1)"


def instead_of_select(node: ast.Call, frame: FrameType) -> str:
    """One np.where in another, the first condition outermost."""
    given = arguments_of(node, "condlist", "choicelist", "default")
    if given is None or len(node.args) < 2:
        return ""
    conditions, choices = node.args[:2]
    if not (isinstance(conditions, ast.List) and isinstance(choices, ast.List)):
        return ""
    text = given.get("default", "0")
    for condition, choice in reversed([*zip(conditions.elts, choices.elts)]):
        text = f"np.where({ast.unparse(condition)}, {ast.unparse(choice)}, {text})"
    return text


def instead_of_take(node: ast.Call, frame: FrameType) -> str:
    """Of an array, at places that are a Tensor."""
    if is_method(node, frame):
        array = ast.unparse(node.func.value)  # type: ignore[attr-defined]
        given = list(node.args)
    else:
        array, given = ast.unparse(node.args[0]) if node.args else "", list(node.args[1:])
    if not array:
        return ""
    table = ast.parse(f"tinygrad_steel.Tensor({array})", mode="eval").body
    return unparsed("np.take", [table, *given], node)


def instead_of_ndenumerate(node: ast.Call, frame: FrameType) -> str:
    """Each element with its place."""
    given = arguments_of(node, "arr")
    array = (given or {}).get("arr")
    return f"((i, {array}[i]) for i in np.ndindex({array}.shape))" if array else ""


# Functions that need more than np.stack around a list.
REWRITTEN: dict[str, Callable[[ast.Call, FrameType], str]] = {
    "full": instead_of_full,
    "full_like": instead_of_full_like,
    "delete": instead_of_delete,
    "insert": instead_of_insert,
    "apply_along_axis": instead_of_apply,
    "select": instead_of_select,
    "take": instead_of_take,
    "ndenumerate": instead_of_ndenumerate,
}


def stacked(node: ast.expr, frame: FrameType) -> ast.expr:
    """A list of Tensors inside np.stack; anything else as it is."""
    if not (isinstance(node, ast.ListComp) or holds_tensors(node, frame)):
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
