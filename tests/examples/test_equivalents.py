"""The page for readers from PyTorch and JAX: what stands side by side gives the same, and bites where it says so.

Its tables are the cases. Both sides of a row run on the same numbers, and are compared: what the last line
gives, what is assigned, the parameters and their gradients; beside PyTorch, also the gradient of what was given.
A row without code on the left is words. Every language has the same rows.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from typing import NamedTuple

import numpy as np
import pytest
from documents import code_blocks, headings, tables

import tinygrad_steel
from tinygrad_steel import Tensor, check_op, grad
from tinygrad_steel.engine.habits import ARGUMENTS, ATTRIBUTES, NAMES

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason='torch is not installed: pip install "tinygrad_steel[peers]"',
)

ENGLISH = "examples/tutorials/from_torch_and_jax.md"
TRANSLATED = ["examples/tutorials/from_torch_and_jax.ko.md"]
TORCH, JAX, BITES = 1, 2, 3  # the sections of the page, in their order
MOST_ROWS = 30  # of PyTorch, and of JAX
RANDOM = re.compile(r"randn|random|dropout")  # other numbers: the shapes are compared
ASKED_MORE = re.compile(r"weight_decay|compile")  # ours leave other gradients in .grad
RUN_ONLY = re.compile(r"gradcheck|check_grads|make_jaxpr")  # they judge, or write a text

RNG = np.random.default_rng(0)
NUMBERS = {
    "x": RNG.normal(size=(4, 3)),
    "w": RNG.normal(size=(3, 2)),
    "b": RNG.normal(size=2),
    "y": RNG.uniform(size=(4, 2)),
    "a": RNG.normal(size=(2, 3)),
    "u": RNG.normal(size=(3, 2)),
    "v": RNG.normal(size=(4, 2)),
    "labels": np.array([2, 0, 1, 1]),
    "unused": np.array(1.0),
}
PARAMETERS = ("x", "w", "b", "unused")


def torch_names():
    """What a row of PyTorch's may use."""
    import torch

    found = {name: torch.tensor(value) for name, value in NUMBERS.items()}
    found |= {name: torch.tensor(NUMBERS[name], requires_grad=True) for name in PARAMETERS}
    x, w, b = (found[name] for name in "xwb")
    found |= {"f": lambda w: ((x @ w) ** 2).mean(), "loss": ((x @ w + b) ** 2).mean()}
    return found | {"torch": torch, "F": torch.nn.functional, "a": NUMBERS["a"]}


def jax_names():
    """What a row of JAX's may use."""
    import jax
    import jax.numpy as jnp
    import jax.test_util  # noqa: F401 (a row uses it)

    found = {name: jnp.array(value) for name, value in NUMBERS.items()}
    x = found["x"]
    found["f"] = lambda w, b=0.0: jnp.mean(jnp.square(x @ w + b))
    return found | {"g": lambda w: jnp.tanh(x @ w), "jax": jax, "jnp": jnp}


def our_names():
    """What a row of ours may use."""
    found = {name: getattr(tinygrad_steel, name) for name in tinygrad_steel.__all__}
    found |= {name: value.copy() for name, value in NUMBERS.items()}
    found |= {name: Tensor(NUMBERS[name], requires_grad=True) for name in PARAMETERS}
    x, w, b = (found[name] for name in "xwb")
    found["f"] = lambda w, b=0.0: np.mean(np.square(x @ w + b))
    found |= {"g": lambda w: np.tanh(x @ w), "loss": ((x @ w + b) ** 2).mean()}
    return found | {"np": np, "rng": np.random.default_rng(0)}


# The page


class Row(NamedTuple):
    """Cells side by side, in a section of the page."""

    section: int
    cells: list[str]

    def code(self, i):
        """The lines of code in a cell."""
        return "\n".join(re.findall(r"`([^`]+)`", self.cells[i]))

    @property
    def sides(self):
        """The code of others, and ours."""
        return self.code(0), self.code(1)

    @property
    def is_words(self):
        return self.section != BITES and self.cells[0].count("`") == 0


def rows(page=ENGLISH):
    """The rows of all tables, without their heads."""
    return [Row(table.section, cells) for table in tables(page) for cells in table.rows]


def rows_of(section):
    return [row for row in rows() if row.section == section]


def cases(section):
    return [
        pytest.param(*row.sides, id=row.code(0)) for row in rows_of(section) if not row.is_words
    ]


def blocks(page=ENGLISH):
    """The longer pieces of code, by whose they are: their first line says it."""
    pieces = (block.text.partition("\n") for block in code_blocks(page, "py"))
    return {first.removeprefix("# "): code for first, _, code in pieces}


# Running, and comparing


def run(source, names):
    """What the last line gives, or None; and the names that are assigned."""
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assigned = {node.id for node in found if isinstance(node.ctx, ast.Store)}
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<page>", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "<page>", "eval"), names) if last else None
    return value, assigned


def flat(value):
    """The arrays and numbers in what a line gives; nothing of what is none."""
    if isinstance(value, list | tuple):
        return [x for part in value for x in flat(part)]
    return [value] if isinstance(value, float | int) or hasattr(value, "dtype") else []


def is_torch(value):
    return type(value).__module__.startswith("torch")


def array(value):
    """The numbers of an array of any world."""
    if isinstance(value, Tensor):
        return value.numpy()
    return value.detach().numpy() if is_torch(value) else np.asarray(value)


def same(theirs, ours, numbers=True):
    """How many arrays were compared; AssertionError where one differs."""
    theirs, ours = flat(theirs), flat(ours)
    assert len(theirs) == len(ours)
    for x, y in zip(theirs, ours):
        assert array(x).shape == array(y).shape
        if numbers:
            assert array(x).dtype == array(y).dtype
            np.testing.assert_allclose(array(y), array(x), rtol=1e-6, atol=1e-9)
    return len(theirs)


def same_gradients(theirs, ours, there, here):
    """AssertionError where the gradients of what was given differ, a Tensor of PyTorch and of ours."""
    torch = there["torch"]
    for x, y in zip(flat(theirs), flat(ours)):
        if not is_torch(x) or not x.requires_grad:
            assert not isinstance(y, Tensor) or not y.requires_grad or y.op is not None
            continue
        assert y.requires_grad
        if x.grad_fn is None:  # a leaf that was made
            continue
        weights = np.random.default_rng(1).normal(size=y.shape)
        total = (x * torch.tensor(weights)).sum()
        leaves = [there[name] for name in PARAMETERS]
        expected = torch.autograd.grad(total, leaves, allow_unused=True)
        found = grad(np.sum(y * weights), [here[name] for name in PARAMETERS])
        for g, h in zip(expected, found):
            g = np.zeros(h.shape) if g is None else g.numpy()
            np.testing.assert_allclose(h.numpy(), g, rtol=1e-5, atol=1e-8)


def compare(theirs, ours, there):
    """Run both sides of a row; AssertionError where they do not give the same."""
    here = our_names()
    value, assigned = run(theirs, there)
    our_value, also = run(ours, here)
    if RUN_ONLY.search(theirs):
        return
    numbers = not RANDOM.search(theirs)
    count = same(value, our_value, numbers)
    for name in {*assigned} & {*also}:
        count += same(there[name], here[name], numbers)
    count += same_parameters(there, here, gradients=not ASKED_MORE.search(theirs))
    assert count, "nothing was compared"
    if "torch" in there and numbers and not ASKED_MORE.search(theirs):
        same_gradients(value, our_value, there, here)


def same_parameters(there, here, gradients):
    """How many parameters have moved, or have gradients; AssertionError where these or those differ."""
    count = 0
    for name in PARAMETERS:
        same(there[name], here[name])
        count += not np.array_equal(array(there[name]), NUMBERS[name])
        if is_torch(there[name]) and gradients:
            g, h = there[name].grad, here[name].grad
            assert (g is None) == (h is None), name
            count += 0 if g is None else same(g, h)
    return count


def doubles():
    """JAX in float64, inside of `with`."""
    import jax

    return jax.enable_x64(True)


# The rows


@needs_torch
@pytest.mark.parametrize("theirs, ours", cases(TORCH))
def test_a_row_beside_pytorch(theirs, ours, monkeypatch):
    names = torch_names()
    # It needs a C++ compiler, and seconds to load, for what the function gives by itself
    monkeypatch.setattr(names["torch"], "compile", lambda f: f)
    compare(theirs, ours, names)


@pytest.mark.parametrize("theirs, ours", cases(JAX))
def test_a_row_beside_jax(theirs, ours):
    with doubles():
        compare(theirs, ours, jax_names())


@pytest.mark.parametrize("theirs, ours", cases(TORCH))
def test_our_side_runs_without_pytorch(theirs, ours):
    run(ours, our_names())


# The longer pieces


@needs_torch
def test_an_op_beside_pytorch(registry):
    compare(blocks()["PyTorch"], blocks()["here"], torch_names())


def test_an_op_beside_jax(registry):
    with doubles():
        compare(blocks()["JAX"], blocks()["here"], jax_names())


def test_the_op_is_proven_as_the_page_says(registry):
    names = our_names()
    run(blocks()["here"], names)
    check_op(names["softsign"])


# What bites


def bites(slopes):
    """The rows of one of its two tables: what a line gives, or slopes."""
    return [row for row in rows_of(BITES) if row.cells[0].startswith("`z") == slopes]


def claims(found):
    """Each cell: whose it is, its code, what it says that this gives, and the row's first cell."""
    for row in found:
        for world, cell in zip(("torch", "jax", "here"), row.cells[1:], strict=True):
            source, _, result = cell.partition(" → ")
            marks = needs_torch if world == "torch" else ()
            yield pytest.param(world, source.strip("`"), result, row.code(0), marks=marks)


WORLDS = {"torch": torch_names, "jax": jax_names, "here": our_names}


@pytest.mark.parametrize("world, source, result, _", [*claims(bites(slopes=False))])
def test_a_line_gives_what_the_page_says(world, source, result, _):
    try:
        found, _ = run(source, WORLDS[world]())
    except (RuntimeError, TypeError) as error:
        found = type(error).__name__
    if getattr(found, "shape", None) == ():
        found = array(found).item()
    assert str(found) == result


@np.errstate(divide="ignore", invalid="ignore")
@pytest.mark.parametrize("world, source, result, point", [*claims(bites(slopes=True))])
def test_a_slope_is_the_one_that_the_page_says(world, source, result, point):
    given = np.array(ast.literal_eval(point.removeprefix("z = ")), float)
    names = WORLDS[world]()

    def of(z):
        value, _ = run(source, {**names, "z": z})
        return value.sum()

    if world == "jax":
        slope = names["jax"].grad(of)(given)
    else:
        make = Tensor if world == "here" else names["torch"].tensor
        z = make(given, requires_grad=True)
        of(z).backward()
        slope = z.grad
    expected = np.array(eval(result, {"nan": np.nan}))
    assert array(slope).shape == expected.shape
    np.testing.assert_array_equal(array(slope), expected)


# The page as a whole


def test_every_row_is_compared():
    """A line or a table that is written otherwise would be no case."""
    for section in (TORCH, JAX):
        assert 20 < len(rows_of(section)) <= MOST_ROWS
        assert all(len(row.cells) == 3 for row in rows_of(section))
        assert len([row for row in rows_of(section) if row.is_words]) <= 3
    assert len(bites(True)) + len(bites(False)) == len(rows_of(BITES)) > 12
    assert {*blocks()} == {"PyTorch", "JAX", "here"}


@pytest.mark.parametrize("page", TRANSLATED)
def test_every_language_has_the_same_rows(page):
    assert [*map(shared, rows(page))] == [*map(shared, rows())]
    assert blocks(page) == blocks()
    assert [h.level for h in headings(page)] == [h.level for h in headings(ENGLISH)]


def shared(row):
    """What every language has of a row: its section, code of both sides, and what that gives."""
    if row.is_words:
        return row.section, len(row.cells)
    if row.section == BITES:
        return row.section, row.code(0), *row.cells[1:]
    return row.section, *row.sides


# The words of PyTorch that the library answers


def answers():
    """What stands on PyTorch's side and is answered by the library, with the answer and our side."""
    for row in rows_of(TORCH):
        theirs, ours = row.sides
        for name in re.findall(r"(?<!torch)\.(\w+)\(", theirs):
            if name in ATTRIBUTES:
                yield pytest.param(ATTRIBUTES[name], ours, id=name)
        for name in re.findall(r"torch\.(\w+)\(", theirs):
            if name in NAMES:
                yield pytest.param(NAMES[name], ours, id=f"torch.{name}")
        for name in re.findall(r"(\w+)=", theirs):
            if name in ARGUMENTS:
                yield pytest.param(ARGUMENTS[name], ours, id=f"{name}=")


@pytest.mark.parametrize("answer, ours", [*answers()])
def test_the_page_says_what_the_library_answers(answer, ours):
    """Some function, method or argument of the answer stands on our side, or the word is left out there."""
    words = re.compile(r"\w+(?=\()|\w+(?==)|\[:, None\]")
    assert {*words.findall(answer)} & {*words.findall(ours)} or "leave it out" in answer


def test_so_many_words_of_pytorch_are_on_the_page():
    assert len([*answers()]) > 12
