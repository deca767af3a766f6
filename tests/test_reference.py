"""The page of all ops is that of the registry: its texts, all of its code, and who runs what."""

import importlib.util
import os

import numpy as np
import pytest
from every_op import LIBRARY
from helpers import FULL
from markdown_it import MarkdownIt

scipy_special = pytest.importorskip("scipy.special", reason="the page has SciPy's functions, too")

from reference import (  # noqa: E402
    PAGE,
    PIECE,
    conventions,
    entries,
    escaped,
    every_op,
    example,
    expressions,
    how_in,
    page,
    paragraph,
    said_of_runs,
    written_runs,
)
from trials import TRIALS  # noqa: E402

from tinygrad_steel import OPS, grad, ops  # noqa: E402
from tinygrad_steel.ops.special import SPECIAL  # noqa: E402

TEXT = PAGE.read_text(encoding="utf-8")
ANEW = "write it anew: python tests/reference.py"
EVERY = every_op()
# In the order of the code: what NumPy has is NumPy's, all else an op.
NAMES = {o.name: o for o in [*OPS.values(), *SPECIAL]}
NAMES |= {name: getattr(np.linalg, name) for name in np.linalg.__all__}
NAMES |= {name: getattr(np, name) for name in np.__all__ if hasattr(np, name)}
NAMES |= {
    "astype": ops.astype,
    "np": np,
    "eps": np.finfo(float).eps,
    "gamma": scipy_special.gamma,
    "bool": bool,
}
NAMES |= {"scatter": lambda g, index, shape: ops.scatter(g, index=index, shape=shape)}


@pytest.mark.skipif(
    f"NumPy {np.__version__.rpartition('.')[0]} " not in TEXT, reason="the page is of another NumPy"
)
def test_the_page_is_that_of_the_registry(registry):
    pytest.importorskip("ruff", reason="the code on the page has the linter's form")
    assert page(written_runs(TEXT)) == TEXT, ANEW


def test_every_op_has_one_entry():
    assert sorted(o.name for o in EVERY) == sorted(o.name for o in [*LIBRARY, *SPECIAL])
    assert {"dropout", "noise", "normalize", "update_running"} | {*NAMES} >= entries(TEXT).keys()
    for name in ("maximum", "logsumexp", "conv2d", "dropout"):
        assert TEXT.count(f"\n### {name}\n") == TEXT.count(f"[{name}](#{name})") == 1


@pytest.mark.parametrize("o", EVERY, ids=lambda o: o.name)
def test_the_code_of_an_entry_computes_what_the_op_does(o):
    """Result and gradients, those of grad()."""
    code = PIECE.search(entries(TEXT)[o.name])[1]
    xs, y = example(o)
    gradient = np.random.default_rng(5).normal(size=y.shape)
    names = {**NAMES, **{x.name: x.data for x in xs}}
    names["G" if "g" in {x.name for x in xs} else "g"] = gradient
    with np.errstate(all="ignore"):
        exec(code, names)
    np.testing.assert_allclose(names["y"], y.data, rtol=1e-12)
    wanted = [x for x in xs if x.requires_grad and f"G_{x.name}" in names]
    if not o.differentiable:
        assert not wanted and o.constant
        return
    assert wanted
    found = grad(y, [x for x in xs if x.requires_grad], gradient)
    for x, g in zip([x for x in xs if x.requires_grad], found, strict=True):
        given = names.get(f"G_{x.name}", 0.0)  # no line: no gradient gets there
        np.testing.assert_allclose(np.broadcast_to(given, x.shape), g.data, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("o", EVERY, ids=lambda o: o.name)
def test_an_op_says_what_it_is(o):
    """In its own docstring: a sentence or a few, which is not NumPy's or SciPy's."""
    text = conventions(o)
    assert text.endswith(".") and len(text) < 600
    assert text != conventions(o.forward) or not isinstance(o.forward, np.ufunc)


# In jax every fifth op, as it compiles half a second for each; all else is tried of all.
TRIED = [(o, name) for name in TRIALS for o in EVERY[:: 5 if name == "jax" and not FULL else 1]]
NEEDS = {"compiled": (), "jax": ("jax",), "ONNX": ("onnx", "onnxruntime"), "Dask": ("dask",)}


@pytest.mark.slow
@pytest.mark.parametrize("o, name", TRIED, ids=lambda x: getattr(x, "name", x))
def test_an_op_runs_where_the_page_says(o, name):
    for library in NEEDS[name]:
        if importlib.util.find_spec(library) is None and not os.environ.get("CI"):
            pytest.skip(f"{library} is not installed")
    assert TRIALS[name](o) == how_in(written_runs(TEXT)[o.name])[name], ANEW


def test_what_is_said_of_runs_is_taken_apart():
    found = {"compiled": "in loops and calls of NumPy", "jax": "yes", "ONNX": "in part"}
    assert how_in(said_of_runs(found | {"Dask": "no"})) == found | {"Dask": "no"}


def test_a_method_is_called_as_its_arguments_are_meant():
    """Not `a.dot(0)` or `a.clip(shape)`, which happen to be products and choices."""
    found = dict(expressions())
    assert found["a.reshape(shape)"] is ops.reshape and found["a.sum()"] is ops.sum
    assert found["a.take(0, 1)"] is ops.getitem and found["a.dot(b)"] is ops.matmul
    assert not {"a.dot(0)", "a.clip(shape)", "a.reshape(b)"} & {*found}


def test_rules_that_everybody_knows():
    """By heart, and not by our printer."""
    known = {
        "sin": "G_x = g * cos(x)",
        "matmul": "G_a = g @ b.T\nG_b = a.T @ g",
        "multiply": "G_a = g * b\nG_b = g * a",
        "sigmoid": "G_x = g * y * (1 - y)",
        "log2": "G_x = g / (x * log(2))",
        "sum": "G_x = g",
        "maximum": "G_a = g * ((a > b) + 0.5 * (a == b))",
    }
    found = entries(TEXT)
    assert [name for name, rule in known.items() if rule not in found[name]] == []
    assert "Written as `np.add`, `a + b`." in found["add"]
    assert "`np.linalg.svd`" in found["svd_u"] and "Ties share the gradient evenly" in found["max"]
    assert "constant" in found["argmax"] and "G_" not in found["argmax"]


def test_markdown_shows_what_is_written():
    assert escaped("a ** b is [a | b], `a * b` is not") == r"a \*\* b is \[a \| b\], `a * b` is not"
    assert paragraph("- x is no item") == [r"\- x is no item"]
    tokens = MarkdownIt("commonmark").enable("table").parse(TEXT)
    kinds = [token.type for token in tokens]
    assert kinds.count("bullet_list_open") == 1  # how to read an entry
    assert not {"ordered_list_open", "blockquote_open", "table_open", "html_block"} & {*kinds}
    inline = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inline if child.type in ("em_open", "html_inline", "image")]
    texts = {token.content for token in tokens if token.type == "inline"}
    links = [child.attrs["href"] for child in inline if child.type == "link_open"]
    assert len(links) > 160 and {link.removeprefix("#") for link in links} <= texts | {"numpy.md"}
