"""The statements of a source file: where each stands, and of which variables it speaks."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, MappingProxyType
from typing import Any, NamedTuple

from ..engine.line import tree_of

# How a variable is reached: its name, then constant keys and attributes, as in ("self", ".cache", 0).
Path = tuple[Any, ...]


class Attribute:
    """The name of an attribute, in a path, where a plain text is a key of a dict."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __str__(self) -> str:
        return self.name


@functools.cache
def attribute(name: str) -> Attribute:
    """The one Attribute of this name, equal to itself alone."""
    return Attribute(name)


class Part(NamedTuple):
    """Some elements of a row, as a key: from `start` to `end`."""

    start: int
    end: int

    def __repr__(self) -> str:
        return f"{self.start}:{self.end}"


# What is called and changes nothing: methods of arrays, some of Python's own functions. The functions
# of NumPy are like this, but for a few.
PURE = frozenset(
    "sum mean max min transpose reshape copy astype dot ravel flatten squeeze argmax std var clip "
    "round len range enumerate zip reversed float int abs print isinstance items keys values".split()
)
CHANGING = {attribute(name) for name in ("copyto", "put", "place", "putmask", "fill_diagonal")}


SEQUENCE = (ast.Tuple, ast.List)

# Methods that put something into a container, and read nothing of what is there.
FILLING = {attribute(name) for name in ("append", "insert", "extend", "update", "appendleft")}


# What a statement reads: each path with the shorter ones that it begins with, the longest first.
Read = tuple[tuple[Path, ...], ...]
RESULT = "()"  # how the path of what a function gives back begins


class Each(NamedTuple):
    """What is read for each element of a list that is made of other lists, element by element.

    `lists`: these. `others`: what is read for all elements.
    """

    lists: tuple[Path, ...]
    others: Read

    def read_at(self, i: Any) -> Read:
        """What is read for the element with this number."""
        return (*(shorter((*path, i)) for path in self.lists), *self.others)


class Statement(NamedTuple):
    """One statement of somebody's code, or the head of one that holds others.

    `line`: of its first line. `text`: as it stands there, in one line. `changed`: the variables that
    it may bind or change, those first that it binds. `read`: those that it reads, each path with
    the shorter ones that it begins with. `spoken`: all variables in it. `bound`: those to which it
    assigns; `inside`: those to which what stands under an `if` does. `parts`: what is read for each
    variable, or element of a tuple, list or dict, that is written out. `known`: whether there is source; without
    it a statement is a line, and may speak of every variable.
    """

    line: int
    text: str
    changed: tuple[Path, ...] = ()
    read: Read = ()
    spoken: tuple[Path, ...] = ()
    bound: tuple[Path, ...] = ()
    inside: tuple[Path, ...] = ()
    parts: Mapping[Path, Read | Each] = MappingProxyType({})
    known: bool = True

    def without_one_part(self) -> Statement:
        """The same without its parts, where all that it binds reads the same."""
        several = len(self.parts) > 1 or any(isinstance(x, Each) for x in self.parts.values())
        return self if several else self._replace(parts=MappingProxyType({}))

    def read_for(self, path: Path) -> Read:
        """What is read for the variable, or the place in a result, that is reached so."""
        at = (RESULT, *path[1:]) if str(path[0]).endswith(RESULT) else path
        for n in range(len(at), 0, -1):
            found = self.parts.get(at[:n])
            if isinstance(found, Each):
                return found.read_at(at[n]) if n < len(at) else self.read
            if found is not None:
                return found
        return self.read


def statements_of(code: CodeType, namespace: dict[str, Any]) -> MappingProxyType[int, Statement]:
    """For each line of the file in which a function stands the statement that is there; of a lambda,
    its expression.
    """
    linecache.checkcache(code.co_filename)  # it may have been written anew in this process
    lines = tuple(linecache.getlines(code.co_filename, namespace))
    return parsed(lines, ast.Lambda if code.co_name == "<lambda>" else ast.stmt)


@functools.lru_cache(maxsize=64)
def parsed(lines: tuple[str, ...], kind: Any) -> MappingProxyType[int, Statement]:
    """The statement, or the lambda, at each line of a source; none where it is no Python."""
    tree = tree_of("".join(lines))
    found: dict[int, Statement] = {}
    for node in ast.walk(tree) if tree else ():  # outer ones first: inner ones take their lines
        if isinstance(node, kind):
            parts, last = head(node)
            statement = described(lines, node.lineno, last, parts)
            if isinstance(node, ast.If):
                found_inside = mentions([*node.body, *node.orelse])
                inside = dict.fromkeys(path for path, is_store in found_inside if is_store)
                statement = statement._replace(inside=tuple(inside))
            statement = statement._replace(parts=MappingProxyType(dict(written_out(node))))
            for line in range(first_line(node), last + 1):
                found[line] = merged(found.get(line), statement)
    return MappingProxyType(
        {line: statement.without_one_part() for line, statement in found.items()}
    )


def first_line(node: Any) -> int:
    """The line at which a statement begins; a decorator belongs to it."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])  # type: ignore[no-any-return]


def head(node: Any) -> tuple[list[ast.AST], int]:
    """What a statement does itself, without those inside it, and its last line."""
    if isinstance(node, ast.Lambda):
        return [node.body], node.end_lineno or node.lineno
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if not body:
        return [node], node.end_lineno or node.lineno
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [], node.lineno
    inside = {"body", "orelse", "finalbody", "handlers", "cases"}
    parts = [x for name, x in ast.iter_fields(node) if name not in inside]
    flat = [y for x in parts for y in (x if isinstance(x, list) else [x])]
    nodes = [x for x in flat if isinstance(x, ast.AST)]
    ends = (getattr(x, "end_lineno", None) or node.lineno for x in nodes)
    return nodes, max([node.lineno, *ends])


def described(lines: tuple[str, ...], first: int, last: int, parts: Iterable[ast.AST]) -> Statement:
    """A statement with its text and its variables."""
    text = " ".join(line.strip() for line in lines[first - 1 : last])
    paths = [*mentions(parts)]
    stores = tuple(dict.fromkeys(path for path, is_store in paths if is_store))
    loads = loaded(paths)
    spoken = tuple(dict.fromkeys((*stores, *loads)))
    calls = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Call)]
    changed = stores if all(map(is_pure, calls)) else spoken
    return Statement(first, text, changed, reads(loads), spoken, stores)


def loaded(paths: Iterable[tuple[Path, bool]]) -> tuple[Path, ...]:
    """The variables that are read."""
    return tuple(dict.fromkeys(path for path, is_store in paths if not is_store))


def reads(loads: Iterable[Path]) -> Read:
    """What is read where these variables are."""
    return tuple(shorter(path) for path in loads if path[-1] not in FILLING)


def written_out(node: ast.AST) -> Iterator[tuple[Path, Read | Each]]:
    """For each element of what a statement writes out, to what it is bound and what it reads."""
    if isinstance(node, ast.Lambda):
        yield from elements(node.body, (RESULT,))
    if isinstance(node, ast.Return) and node.value is not None:
        yield from elements(node.value, (RESULT,))
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        pairs = [(target, node.value)]
        if isinstance(target, SEQUENCE) and isinstance(node.value, SEQUENCE):
            pairs = [*zip(target.elts, node.value.elts)]
        for one, value in pairs if not any(map(has_star, (target, node.value))) else ():
            path = path_of(one)
            if path:
                yield from elements(value, path)


def elements(node: ast.AST, path: Path) -> Iterator[tuple[Path, Read | Each]]:
    """The elements of a tuple, list or dict that is written out, to any depth, and what each reads."""
    found: list[tuple[Any, ast.AST]] = []
    if isinstance(node, SEQUENCE) and not has_star(node):
        found = [*enumerate(node.elts)]
    elif isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        found = [(key.value, value) for key, value in zip(node.keys, node.values)]  # type: ignore[union-attr]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        if not node.args and all(keyword.arg for keyword in node.keywords):
            found = [(keyword.arg, keyword.value) for keyword in node.keywords]
    for key, inner in found:
        yield from elements(inner, (*path, key))
    if not found:
        yield path, each_of(node) or reads(loaded([*mentions([node])]))


def each_of(node: ast.AST) -> Each | None:
    """What a list reads that is made of others in their order, without leaving anything out."""
    if not isinstance(node, ast.ListComp) or len(node.generators) != 1 or node.generators[0].ifs:
        return None
    (loop,) = node.generators
    lists = [loop.iter]
    if isinstance(loop.iter, ast.Call) and path_of(loop.iter.func) in (("zip",), ("enumerate",)):
        lists = loop.iter.args
    paths = [path_of(x) for x in lists]
    if not all(0 < len(path) == length_of(x) for path, x in zip(paths, lists)):
        return None
    bound = {path[0] for path, _ in mentions([loop.target])}
    loads = loaded([*mentions([node.elt])])
    return Each(tuple(paths), reads(path for path in loads if path[0] not in bound))


def has_star(node: ast.AST) -> bool:
    """Whether a tuple or a list has an element with a star."""
    return isinstance(node, SEQUENCE) and any(isinstance(x, ast.Starred) for x in node.elts)


def shorter(path: Path) -> tuple[Path, ...]:
    """A path, and those that it begins with: the longest first."""
    return tuple(path[:n] for n in range(len(path), 0, -1))


def is_pure(call: ast.Call) -> bool:
    """Whether a call surely changes none of its arguments: NumPy's functions, and methods of arrays
    that make new ones.
    """
    function = call.func
    if any(keyword.arg in ("out", None) for keyword in call.keywords):
        return False
    if isinstance(function, ast.Name):
        return function.id in PURE
    if not isinstance(function, ast.Attribute):
        return False
    path = path_of(function)
    if path and path[0] in ("np", "numpy"):
        return len(path) == 2 and path[1] not in CHANGING
    return function.attr in PURE


def merged(before: Statement | None, statement: Statement) -> Statement:
    """Two statements that stand on one line; of one that holds others, these alone count."""
    if before is None or before.line != statement.line or before.text != statement.text:
        return statement
    return statement._replace(
        changed=before.changed + statement.changed,
        read=before.read + statement.read,
        spoken=before.spoken + statement.spoken,
        bound=before.bound + statement.bound,
        inside=before.inside + statement.inside,
        parts=MappingProxyType(
            {
                path: x
                for path, x in before.parts.items()
                if path[:1] not in firsts(statement.changed)
            }
            | {
                path: x
                for path, x in statement.parts.items()
                if path[:1] not in firsts(before.changed)
            }
        ),
    )


def firsts(paths: Iterable[Path]) -> set[Path]:
    """With what these paths begin."""
    return {path[:1] for path in paths}


def mentions(parts: Iterable[ast.AST]) -> Iterator[tuple[Path, bool]]:
    """Each variable of which these nodes speak, as far as its path is constant, and whether it is
    written.
    """
    todo = [*parts]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.AugAssign):
            yield from ((path, False) for path in [path_of(node.target)] if path)
        path = path_of(node)
        if path:
            yield path, not isinstance(node.ctx, ast.Load)  # type: ignore[attr-defined]
            todo += keys_of(node)
        else:
            todo += ast.iter_child_nodes(node)


def keys_of(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in the brackets of a path."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Subscript):
            yield node.slice
        node = node.value


def path_of(node: ast.AST) -> Path:
    """The path of an expression; up to a key that is no constant, and empty where it is no
    variable's.
    """
    keys: list[Any] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            keys.append(attribute(node.attr))
        elif isinstance(node, ast.Subscript):
            keys.append(constant_key(node.slice))
        else:
            return ()
        node = node.value
    path = [node.id, *reversed(keys)]
    end = next((i for i, key in enumerate(path) if key is None), len(path))
    return tuple(path[:end])


def length_of(node: ast.AST) -> int:
    """How long the path of an expression is, whatever its keys are; 0 where it is no variable's."""
    n = 1
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        n += 1
    return n if isinstance(node, ast.Name) else 0


def constant_key(node: ast.AST) -> Any:
    """A key as it stands in the source; None for one that has to be computed."""
    try:
        key = ast.literal_eval(node)
    except ValueError:
        return None
    return key if isinstance(key, str | int) else None


def spelled_path(path: Path) -> str:
    """A path as one writes it, as in `self.grads['W1']`."""
    root, *keys = path
    return str(root) + "".join(
        f".{key}" if isinstance(key, Attribute) else f"[{key!r}]" for key in keys
    )
