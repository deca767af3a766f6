"""Conventions that a caller declares: right and wrong chains of the collection's models in each of them."""

from __future__ import annotations

import html
import itertools
import json
import re

import numpy as np
import pytest
from helpers import FULL
from verify.mistakes.collection import MISTAKES, MODELS
from verify.mistakes.measure import ALL, answer
from verify.mistakes.measure import verdict as how_exact

from tinygrad_steel import GradientError, assert_backprop, compare_backprop
from tinygrad_steel.verify.conventions import CONVENTIONS

DTYPES = (np.float64, np.float32)
pytestmark = pytest.mark.slow
# How many samples there are, and by how much the mean of the loss divides. A loss that is a sum has
# no mean to be taken for.
SIZES = {
    "linear regression": (10, 10),
    "logistic regression with L2": (12, 12),
    "logistic regression": (10, 10),
    "logistic regression in columns": (9, 9),
    "hinge loss": (12, 12),
    "Huber's loss": (14, 14),
    "tanh and softmax in rows": (10, 10),
    "tanh and sigmoid in columns": (9, 9),
    "softmax in stages": (9, 9),
    "mean square of a softmax": (9, 36),
    "log softmax": (9, 9),
    "softmax regression with weight decay": (10, 10),
    "softmax regression with decay of the bias": (10, 10),
    "three layers of relu": (11, 22),
    "all matrices square": (5, 25),
    "leaky relu and ELU": (9, 18),
    "softplus, swish and a clip": (9, 45),
    "a root, a reciprocal and a power": (9, 27),
    "dropout": (9, 18),
    "a recurrent network of three steps": (6, 24),
    "an LSTM of two steps": (6, 24),
    "an update gate": (7, 28),
    "an attention head": (6, 24),
    "an embedding tied to the output": (8, 8),
    "layer norm": (7, 35),
    "batch norm with n - 1": (8, 24),
    "a residual block": (7, 35),
}
SUMS = ("softmax regression with a sum", "two sigmoids under half a sum of squares")
BY_NAME = {model.name: model for model in MODELS}

KEPT = {  # what a chain is in a convention, by the number of samples
    "columns": lambda g, n: g.T if g.ndim == 2 else g,
    "sum": lambda g, n: g * g.dtype.type(n),
    "descent": lambda g, n: -g,
}
COMBINED = [c for k in (1, 2, 3) for c in itertools.combinations(KEPT, k)]


def in_convention(chain, names, n):
    for name in names:
        chain = {step: KEPT[name](g, n) for step, g in chain.items()}
    return chain


def cases():
    for model, names in itertools.product(MODELS, COMBINED):
        if model.name not in SUMS or "sum" not in names:
            for n in {*SIZES.get(model.name, ()), *([0] if model.name in SUMS else [])}:
                if "sum" in names or n == SIZES.get(model.name, (0,))[0]:
                    yield model, names, n


CASES = [*cases()]


def test_there_are_more_than_two_hundred_chains():
    assert len(CASES) * len(DTYPES) > 350
    assert {*SIZES, *SUMS} == {*BY_NAME}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("model", "names", "n"), CASES, ids=lambda v: getattr(v, "name", str(v)))
def test_a_right_chain_is_right_where_its_convention_is_declared_and_wrong_where_not(
    model, names, n, dtype
):
    loss, tensors = model.build(dtype)
    right = model.chain(tensors)
    chain = in_convention(right, names, n)
    leaves = {k: g for k, g in chain.items() if tensors[k[2:]].op is None}
    for handed in (leaves, chain):
        report = assert_backprop(loss, tensors, convention=names[::-1], **handed)
        assert report.ok
        assert [c.name for c in report.conventions] == [*names]
        text, page = str(report), report._repr_html_()
        for c in report.conventions:
            assert text.count(c.text) == html.unescape(page).count(c.text) == 1
        assert json.loads(json.dumps(report.to_dict()))["conventions"][0]["name"] == names[0]
        assert text.index("By convention") < text.index("right.")
    differs = any(
        g.shape != right[k].shape or not np.allclose(g, right[k]) for k, g in chain.items()
    )
    if len(names) == 1 and differs:
        with pytest.raises(GradientError):
            assert_backprop(loss, tensors, strict=False, **chain)


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("mistake", MISTAKES[:: 1 if FULL else 3], ids=lambda m: m.title)
def test_a_mistake_within_a_convention_is_found_as_it_is_without(mistake, name):
    if mistake.model.name in SUMS and name == "sum":
        pytest.skip("there is no mean")
    loss, tensors = mistake.model.build()
    n = SIZES.get(mistake.model.name, (0,))[0]
    chain = in_convention(mistake.model.chain(tensors, mistake.wrong), (name,), n)
    first = compare_backprop(loss, tensors, convention=name, **chain).first_wrong
    assert first is not None and first.name == answer(mistake, ALL).place
    if how_exact(mistake, ALL) == "exact" and name != "sum" and mistake.title not in NOT_LINEAR:
        reason = SWAPPED.sub(swap, first.reason) if name == "columns" else first.reason
        assert all(phrase in reason for phrase in mistake.says), first.reason


# What takes a gradient for a value: with a minus sign it is another mistake.
NOT_LINEAR = {
    "grad_w2.T where w2.T belongs",
    "softmax of the gradient in place of that of the logits",
    "the slope of the leaky side is not multiplied with the gradient",
    "the example shows the updated weights, not the gradient",
    "tanh's derivative is taken at the gradient, and the gradient left out",
    "the weights stand in the update where their gradient belongs",
    "momentum takes the biases in place of their gradients",
    "dW2 for W2",
    "the hidden errors go through relu, where relu's derivative was meant",
    "relu of the gradient for the gradient of relu",
    "an update with W2 in place of its gradient, as in the video",
    "the gradient of a clip is the square of what came",
    "the gradient that came stands in the product twice",
    "1 / (1 - h * h): divided by tanh's derivative, without what came",
    "softmax's full derivative, and its diagonal once more",
}
SWAPPED = re.compile(r"\b(row|column)(?=s? \d)")  # which of them differ: told as they lie


def swap(found):
    return {"row": "column", "column": "row"}[found[0]]


def one_left_out(model, name, dtype=float):
    """For each matrix of a chain: the graph, its place, and the chain with that one as the graph has it."""
    n = SIZES[model.name][0]
    loss, tensors = model.build(dtype)
    right = model.chain(tensors)
    for step, g in right.items():
        if g.ndim == 2 and min(g.shape) > 1:
            yield loss, tensors, step, {**in_convention(right, (name,), n), step: g}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", ["three layers of relu", "all matrices square", "layer norm"])
def test_one_that_does_not_keep_the_convention_is_found(model, dtype):
    n = SIZES[model][0]
    says = {
        "columns": "the transpose",
        "sum": f"{n} times too small everywhere: divided by the batch size {n} once too often",
        "descent": "the sign is wrong",
    }
    for name, words in says.items():
        count = 0
        for loss, tensors, step, chain in one_left_out(BY_NAME[model], name, dtype):
            report = compare_backprop(loss, tensors, convention=name, **chain)
            assert report.first_wrong.name == step, report
            assert [s.verdict for s in report.steps].count("wrong") == 1
            assert words in report.first_wrong.reason, report
            if name == "columns" and chain[step].shape[0] != chain[step].shape[1]:
                shape = chain[step].shape
                assert f"shape {shape} is not {shape[::-1]}" in report.first_wrong.reason
            count += 1
        assert count > 2


def test_what_differs_is_told_as_it_lies_in_columns():
    loss, tensors = BY_NAME["three layers of relu"].build()
    chain = in_convention(BY_NAME["three layers of relu"].chain(tensors), ("columns",), 11)
    chain["G_W1"] = chain["G_W1"].copy()
    chain["G_W1"][2, 0] += 5
    chain["G_W1"][2, 1] -= 3
    reason = compare_backprop(loss, tensors, convention="columns", **chain).first_wrong.reason
    assert "2 of 24 elements differ, most at index (2, 0)" in reason
    assert "only row 2 differs" in reason


def test_a_bias_in_columns_has_its_axis_or_none():
    loss, tensors = BY_NAME["three layers of relu"].build()
    chain = in_convention(BY_NAME["three layers of relu"].chain(tensors), ("columns",), 11)
    chain = {k: g[:, None] if g.ndim == 1 else g for k, g in chain.items()}
    assert_backprop(loss, tensors, convention="columns", **chain)


def test_a_declared_shape_of_biases_is_right_strictly():
    loss, tensors = BY_NAME["three layers of relu"].build()
    chain = BY_NAME["three layers of relu"].chain(tensors)
    chain = {k: g[None] if g.ndim == 1 else g for k, g in chain.items()}
    assert not compare_backprop(loss, tensors, **chain).ok  # `b -= rate * db` would fail
    report = assert_backprop(loss, tensors, convention="bias-shape", **chain)
    assert str(report).count("By convention") == 1


def test_the_gradient_of_the_loss_itself_is_one_in_any_convention():
    loss, tensors = BY_NAME["linear regression"].build()
    chain = in_convention(BY_NAME["linear regression"].chain(tensors), ("sum", "descent"), 10)
    assert_backprop(loss, tensors, convention=("sum", "descent"), G_loss=1.0, **chain)


def test_a_convention_that_is_not_known_is_refused():
    loss, tensors = BY_NAME["linear regression"].build()
    chain = BY_NAME["linear regression"].chain(tensors)
    for convention in ("transposed", ("columns", "rows"), "kink"):
        with pytest.raises(ValueError, match='there are "columns", "sum", "descent", "bias-shape"'):
            compare_backprop(loss, tensors, convention=convention, **chain)
    assert {*KEPT, "bias-shape"} == {*CONVENTIONS}


@pytest.mark.parametrize("model", SUMS)
def test_where_there_is_no_mean_there_is_no_sum_in_its_place(model):
    loss, tensors = BY_NAME[model].build()
    with pytest.raises(ValueError, match=r'convention="sum": .* no mean over a batch'):
        compare_backprop(loss, tensors, convention="sum", **BY_NAME[model].chain(tensors))


def test_what_all_gradients_share_is_named_with_what_to_declare():
    loss, tensors = BY_NAME["three layers of relu"].build()
    right = BY_NAME["three layers of relu"].chain(tensors)
    for names in (c for c in COMBINED if c != ("sum",)):  # of which the reason says as much
        chain = in_convention(right, names, 22)
        said = f'convention="{names[0]}"' if len(names) == 1 else f"convention={names}"
        report = compare_backprop(loss, tensors, **chain)
        assert report.note.endswith(said.replace("'", '"')), report.note
        assert not compare_backprop(loss, tensors, **{**chain, "G_W1": right["G_W1"]}).note
        assert not compare_backprop(loss, tensors, G_W1=chain["G_W1"]).note
