"""compare_backprop: faults planted in hand-written chains are found, named and explained; right chains are left alone.

What is wrong with a chain, and since which step, is known from the fault that was planted, never from the report.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import subprocess
import sys

import manual_backprop
import numpy as np
import programs
import pytest
from chains import FAULTS, PROBLEMS, chain, labels, leaves, problem, reason
from helpers import FULL, calls, counted, leaf

from tinygrad_steel import (
    GradientError,
    Tensor,
    compare_backprop,
    op,
    ops,
    relu,
    sigmoid,
    softmax,
)
from tinygrad_steel.program import values
from tinygrad_steel.program.trace import for_reader, trace
from tinygrad_steel.program.values import apply
from tinygrad_steel.verify import traced_loss
from tinygrad_steel.verify.faults import axes, question, search, terms
from tinygrad_steel.verify.faults.factors import causes
from tinygrad_steel.verify.report import Report
from tinygrad_steel.verify.traced_loss import graph_of

ROOT = pathlib.Path(__file__).parents[2]
CANCELLED = "right, but for rounding where terms cancel"

ROWS = [
    (name, step, words, fault)
    for (name, step), row in FAULTS.items()
    for words, fault in row.items()
]
CONSTANT = re.compile(
    "the sign is wrong$|not divided by|divided by .* once too often|instead of the batch|a factor 2"
)
ALONE = {  # what explains the leaves as well, where they alone are handed over
    "these are the numbers of G_square": "from a fault at G_diff: G_square is handed on unchanged",
    "these are the numbers of G_h2": "from a fault at G_z1: computed from G_h2 in place of G_h1",
    "this is output itself": "computed from output in place of G_output",
}
PRECISIONS = {"float64": (np.float64, np.asarray), "float32": (np.float32, np.asarray)}
PRECISIONS["float32 by hand"] = np.float64, lambda a: a.astype(np.float32)


def rows(*more, of=ROWS):
    return pytest.mark.parametrize(
        ("name", "step", "words", "fault", *more), of, ids=lambda v: "" if callable(v) else str(v)
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@rows()
def test_fault_is_found_and_explained(name, step, words, fault, precision):
    dtype, cast = PRECISIONS[precision]
    loss, names, steps = problem(name, dtype)
    report = compare_backprop(loss, names, **chain(names, steps, {step: fault}, cast))
    assert report.ok is False
    assert (report.first_wrong.name, [s.verdict for s in report.steps].count("wrong")) == (step, 1)
    assert words in report.first_wrong.reason


@rows()
def test_fault_is_found_from_the_leaves_alone(name, step, words, fault):
    loss, names, steps = problem(name)
    right, wrong = chain(names, steps), chain(names, steps, {step: fault})
    if right[step].shape != wrong[step].shape and names[step[2:]].op:
        pytest.skip("nobody can go on with a wrong shape")
    report = compare_backprop(loss, names, **leaves(names, wrong))
    if names[step[2:]].op and not CONSTANT.search(words):
        words = ALONE.get(words, f"from a fault at {step}: {words}")
        apart = (
            words == "computed from output in place of G_output"
        )  # it explains neither leaf by itself
        count = 2 if apart else 1
        assert [s.verdict for s in report.steps].count("wrong") == count
    assert ALONE.get(words, words) in report.first_wrong.reason


@rows(of=[row for row in ROWS if row[0] in ("abalone", "pulsar", "softmax", "sigmoid")])
def test_fault_is_found_on_raw_data_that_saturates(name, step, words, fault):
    loss, names, steps = problem(name, scale=1e6)
    right, wrong = (chain(names, steps, broken) for broken in ({}, {step: fault}))
    report = compare_backprop(loss, names, **wrong)
    if np.array_equal(right[step], wrong[step]):
        assert report.ok
    else:
        assert report.first_wrong.name == step
        vanished = wrong[step].shape == right[step].shape and not np.any(
            wrong[step]
        )  # a slope too much, far out
        assert ("zero everywhere" if vanished else words) in report.first_wrong.reason


# Faults of any step

EVERYWHERE = {  # the words of the reason, and what is done to a right gradient
    "2 times too large everywhere: a factor 2 too much": lambda g: 2 * g,
    "2 times too small everywhere: a factor 2 is missing": lambda g: g / 2,
    "the sign is wrong": lambda g: -g,
    "the sign is wrong, and it is 2 times too large everywhere": lambda g: -2 * g,
    "10 times too large everywhere: not divided by the batch size 10": lambda g: 10 * g,
    "10 times too small everywhere: divided by the batch size 10 once too often": lambda g: g / 10,
    "100 times too large everywhere: multiplied by the batch size 10 instead of divided by it": lambda g: (
        100 * g
    ),
    "7 times too large everywhere": lambda g: 7 * g,
    "3.7 times too large everywhere": lambda g: 3.7 * g,
    "zero everywhere: the gradient does not arrive here": lambda g: 0 * g,
    "right numbers in a wrong shape": lambda g: g[:, None],
    "nan instead of": lambda g: np.where(
        np.arange(g.size).reshape(g.shape) == g.size - 1, np.nan, g
    ),
    "inf instead of": lambda g: np.where(np.arange(g.size).reshape(g.shape) == 0, np.inf, g),
}
FIVE = ("abalone", "pulsar", "softmax", "sigmoid", "sigmoid-mse")
BATCHES_OF_TEN = (*FIVE, "one hidden", "two hidden")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, name", [*itertools.product(EVERYWHERE, BATCHES_OF_TEN)][:: counted(1, 3)]
)
def test_fault_of_any_step_is_found_at_every_step(name, words):
    loss, names, steps = problem(name)
    assert len(steps) > 3
    for step in steps:
        broken = {step: lambda n, right=steps[step]: EVERYWHERE[words](right(n))}
        report = compare_backprop(loss, names, **chain(names, steps, broken))
        assert (report.first_wrong.name, [s.verdict for s in report.steps].count("wrong")) == (
            step,
            1,
        )
        if report.first_wrong.shape not in ((1,), (1, 1)) or words[0] not in "37":
            assert words in report.first_wrong.reason


@pytest.mark.parametrize("name", BATCHES_OF_TEN)
def test_transpose_is_found_at_every_step(name):
    loss, names, steps = problem(name)
    right = chain(names, steps)
    matrices = {step: g for step, g in right.items() if g.ndim == 2}
    assert matrices
    for step, g in matrices.items():
        report = compare_backprop(loss, names, **{**right, step: g.T})
        assert report.first_wrong.name == step
        assert report.first_wrong.reason.startswith("the transpose")


@pytest.mark.parametrize("name", BATCHES_OF_TEN)
def test_gradient_of_another_tensor_is_recognized(name):
    loss, names, steps = problem(name)
    right = chain(names, steps)
    matrices = [step for step, g in right.items() if g.ndim == 2 and g.size > 1]
    pairs = [(a, b) for a, b in itertools.pairwise(matrices) if right[a].shape != right[b].shape]
    assert bool(pairs) == (
        len({right[step].shape for step in matrices}) > 1
    )  # all of one column have one shape
    for step, other in pairs:
        report = compare_backprop(loss, names, **{**right, step: right[other]})
        equal = [k for k, g in right.items() if np.array_equal(g, right[other])]
        assert any(
            f"these are the numbers of {k}: shape" in report.first_wrong.reason for k in equal
        )


def test_gradients_exchanged():
    loss, names, steps = problem("two hidden")
    right = chain(names, steps)
    report = compare_backprop(
        loss, names, **{**right, "G_b1": right["G_b2"], "G_b2": right["G_b1"]}
    )
    assert [s.name for s in report.steps if s.verdict == "wrong"] == ["G_b2", "G_b1"]
    assert "G_z1 in place of G_z2" in report.first_wrong.reason  # which is how G_b1 comes about


# No false alarm


@pytest.mark.parametrize("precision", [*PRECISIONS, "through float32"])
@pytest.mark.parametrize("scale", [1, 100, 1e3, 1e6])
@pytest.mark.parametrize("name", PROBLEMS)
def test_right_chain_is_right(name, scale, precision):
    """Also where a softmax saturates, so that little is left of gradients but rounding errors."""
    dtype, cast = PRECISIONS.get(precision, (float, lambda a: a.astype(np.float32).astype(float)))
    loss, names, steps = problem(name, dtype, scale)
    gradients = chain(names, steps, cast=cast)
    for handed in (gradients, leaves(names, gradients)):
        report = compare_backprop(loss, names, **handed)
        assert report.ok is True or (
            precision == "through float32" and "a float32 on the way" in reason(report)
        ), report
        assert precision != "float64" or {s.verdict for s in report.steps} <= {"right", CANCELLED}


@pytest.mark.parametrize("scale", [1, 1e6])
@pytest.mark.parametrize("name", PROBLEMS)
def test_right_part_of_a_chain_is_right(name, scale):
    loss, names, steps = problem(name, scale=scale)
    gradients = chain(names, steps)
    for handed in [*({k: g} for k, g in gradients.items()), dict([*gradients.items()][::2])]:
        assert {s.verdict for s in compare_backprop(loss, names, **handed).steps} <= {
            "right",
            CANCELLED,
        }


def test_right_chain_through_float32_is_right_where_nothing_cancels():
    for name in PROBLEMS:
        loss, names, steps = problem(name)
        gradients = chain(names, steps, cast=lambda a: a.astype(np.float32).astype(float))
        verdicts = {s.verdict for s in compare_backprop(loss, names, **gradients).steps}
        assert verdicts <= {"right", "right, but for float32 rounding"}


REFERENCE = dict(
    zip(FIVE, ("abalone", "pulsar", "steel_softmax", "steel_sigmoid", "steel_sigmoid_mse"))
)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scale", [1, 1e6])
@pytest.mark.parametrize("name", FIVE)
def test_hand_chained_reference_is_right(name, scale, precision):
    dtype, cast = PRECISIONS[precision]
    for seed in range(3):
        loss, names, _ = problem(name, dtype, scale, seed)
        inputs = [cast(names[k].data) for k in ("x", "y", "weight", "bias")]
        _, G_output, G_weight, G_bias = getattr(manual_backprop, REFERENCE[name])(*inputs)
        assert compare_backprop(loss, names, G_output=G_output, G_weight=G_weight, G_bias=G_bias).ok
        report = compare_backprop(loss, names, G_weight=G_weight, G_bias=G_bias)
        # A bias gradient whose terms cancel loses more digits than a float32 has, on some processors.
        lost = precision == "float32 by hand" and "a float32 on the way" in reason(report)
        assert report.ok or lost, report


def test_float32_is_called_what_it_is():
    loss, names, steps = problem("sigmoid")
    report = compare_backprop(
        loss, names, **chain(names, steps, cast=lambda a: a.astype(np.float32))
    )
    assert {s.verdict for s in report.steps} == {"right, but for float32 rounding"}
    rounded = {k: g.astype(np.float32).astype(float) for k, g in chain(names, steps).items()}
    assert (
        compare_backprop(loss, names, G_output=rounded["G_output"])
        .steps[0]
        .verdict.endswith("float32 rounding")
    )


@pytest.mark.parametrize(("dtype", "error", "ok"), [
    (np.float64, 1e-11, True), (np.float64, 1e-3, False), (np.float32, 1e-5, True), (np.float32, 1e-3, False),
])  # fmt: skip
def test_tolerance_follows_the_dtype(dtype, error, ok):
    loss, names, steps = problem("two hidden", dtype)
    g = chain(names, steps)["G_W2"]
    off = np.random.default_rng(1).uniform(-error, error, g.shape).astype(dtype) * np.max(np.abs(g))
    assert compare_backprop(loss, names, G_W2=g + off).ok is ok


@pytest.mark.parametrize("name", PROBLEMS)
def test_off_by_a_millionth_is_wrong_in_float64(name):
    """And is within what float32 may do, as soon as there is one."""
    loss, names, steps = problem(name)
    right = chain(names, steps)
    assert len(right) > 2
    for step, g in right.items():
        off = np.random.default_rng(1).choice([-1e-6, 1e-6], g.shape) * np.max(np.abs(g))
        assert compare_backprop(loss, names, **{**right, step: g + off}).first_wrong.name == step
        assert compare_backprop(loss, names, **{**right, step: (g + off).astype(np.float32)}).ok


TINY = (1e-7, 4e-7)
WITH_TINY_ERRORS = (
    itertools.product(PROBLEMS, TINY) if FULL else zip(PROBLEMS, itertools.cycle(TINY))
)


@pytest.mark.slow
@pytest.mark.parametrize("name, error", [*WITH_TINY_ERRORS])
def test_no_float32_is_assumed_where_none_shows(name, error):
    loss, names, steps = problem(name)
    right = chain(names, steps)
    assert len(right) > 2
    for step, g in right.items():
        off = np.random.default_rng(1).choice([-error, error], g.shape) * np.max(np.abs(g))
        for wrong in (g + off, g * (1 + error)):
            assert compare_backprop(loss, names, **{**right, step: wrong}).first_wrong.name == step
            assert not compare_backprop(loss, names, **{step: wrong}).ok


def test_a_factor_is_no_rounding_where_float32_shows():
    loss, names, steps = problem("two hidden")
    rounded = chain(names, steps, cast=lambda a: a.astype(np.float32).astype(float))
    assert compare_backprop(loss, names, **rounded).ok
    assert (
        compare_backprop(
            loss, names, **{**rounded, "G_W1": rounded["G_W1"] * (1 + 4e-7)}
        ).first_wrong.name
        == "G_W1"
    )


def test_variance_as_a_difference_of_means_is_right_where_its_terms_cancel():
    rng = np.random.default_rng(0)
    x, t = leaf(1e5 + rng.normal(size=(50, 3)), name="x"), rng.normal(size=3)
    mean, square = np.mean(x.data, axis=0), np.mean(x.data**2, axis=0)
    apart, together = square - mean**2, np.mean((x.data - mean) ** 2, axis=0)
    for graph in (np.var(x, axis=0), np.mean(x * x, axis=0) - np.square(np.mean(x, axis=0))):
        graph.name = "v"
        loss = np.sum(np.sqrt(graph) * t)
        for v in (apart, together):
            G_v = t / 2 / np.sqrt(v)
            G_x = G_v * 2 * (x.data - mean) / 50
            report = compare_backprop(loss, G_v=G_v, G_x=G_x)
            assert report.ok
            same_formula = (v is apart) == (graph.op is not np.var(x).op)
            assert report.steps[0].verdict == ("right" if same_formula else CANCELLED)
            assert reason(compare_backprop(loss, G_v=G_v, G_x=-G_x)) == "the sign is wrong"
            off = rng.choice([-2e-3, 2e-3], G_x.shape) * np.max(np.abs(G_x), axis=0)
            assert compare_backprop(loss, G_v=G_v, G_x=G_x + off).first_wrong.name == "G_x"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [np.abs, relu])
def test_rounding_at_a_kink_excuses_that_element_alone(function, dtype):
    x, w = Tensor(np.array([1, 2, 3, 4], dtype), name="x"), leaf([0.5, 0.6, 0.7, 0.8], dtype, "w")
    products = x.data * w.data
    y = products - np.array(
        [np.spacing(products[0]), 0.4, -0.3, 0.9], dtype
    )  # the first residual is mere rounding
    weight = np.array([0.3, 0.8, -0.5, 1.1], dtype)
    r = x * w - y
    loss = np.sum(function(r) * weight)
    assert r.data[0] > 0
    slopes = np.sign(r.data) if function is np.abs else (r.data > 0).astype(dtype)
    other = -1 if function is np.abs else 0
    assert compare_backprop(loss, locals(), G_r=weight * slopes).steps[0].verdict == "right"
    at_kink = compare_backprop(
        loss, locals(), G_r=weight * slopes * np.array([other, 1, 1, 1], dtype)
    )
    assert at_kink.ok
    assert at_kink.steps[0].verdict != "right"
    for wrong in ([-1, -1, -1, -1], [1, -1, 1, 1], [1, 1, 1, -1], [3, 1, 1, 1], [-9, 1, 1, 1]):
        report = compare_backprop(loss, locals(), G_r=weight * slopes * np.array(wrong, dtype))
        assert report.ok is (function is relu and wrong == [1, 1, -1, 1])


def test_small_element_has_small_noise():
    """What rounding may do to the large elements of a gradient excuses no small one."""
    x = leaf([3e7, 1.0], np.float32, "x")
    c, d = Tensor(np.array([3e7, 1.0], np.float32)), Tensor(np.array([1e-3, 1e-3], np.float32))
    loss = np.sum(np.square(x - c + d))  # the first residual is lost in rounding, the second is not
    assert compare_backprop(loss, G_x=2 * d.data).ok
    assert not compare_backprop(loss, G_x=np.array([2e-3, -2e-3], np.float32)).ok


def test_small_weight_decay_is_no_rounding():
    x, y = Tensor(np.random.default_rng(0).normal(size=(10, 4))), Tensor(np.ones((10, 3)))
    W = leaf(np.random.default_rng(1).normal(size=(4, 3)))
    loss = np.mean(np.square(x @ W - y)) + 1e-6 * np.sum(np.square(W))
    report = compare_backprop(loss, locals(), G_W=x.data.T @ (2 * (x.data @ W.data - y.data) / 30))
    assert reason(report) == "the gradient that comes through square(W) is missing"


# The loss with an epsilon and the gradient of the one without


def cross_entropy(kind, scale, seed=0):
    """A graph with an epsilon in its logarithm, and the chain of the exact loss."""
    rng = np.random.default_rng(seed)
    outputs = 1 if "sigmoid" in kind else 7
    x, y, W = (
        Tensor(rng.normal(size=(10, 27)) * scale),
        Tensor(labels(rng, outputs)),
        leaf(rng.normal(size=(27, outputs))),
    )
    z = x @ W
    if kind == "softmax by hand":
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        p = e / np.sum(e, axis=1, keepdims=True)
    elif kind == "sigmoid by hand":
        p = np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))
    else:
        p = sigmoid(z) if outputs == 1 else softmax(z)
    if outputs == 1:
        entropy = -y * np.log(p + 1e-10) - (1 - y) * np.log(1 - p + 1e-10)
    elif kind == "the right class alone":
        entropy = -np.log(p[np.arange(10), np.argmax(y.data, axis=1)] + 1e-10)
    else:
        held = {"maximum": lambda: np.maximum(p, 1e-10), "clip": lambda: np.clip(p, 1e-10, 1)}
        entropy = -np.sum(y * np.log(held[kind]() if kind in held else p + 1e-10), axis=1)
    loss = np.mean(entropy)
    G_z = (p.data - y.data) / 10
    return loss, locals(), {"G_z": G_z, "G_W": x.data.T @ G_z}


KINDS = [
    "softmax",
    "softmax by hand",
    "maximum",
    "clip",
    "the right class alone",
    "sigmoid",
    "sigmoid by hand",
]


@pytest.mark.parametrize("handed", [("G_z", "G_W"), ("G_W",)])
@pytest.mark.parametrize("scale", [10, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_exact_loss_is_recognized(kind, scale, handed):
    loss, names, exact = cross_entropy(kind, scale)
    report = compare_backprop(loss, names, **{k: exact[k] for k in handed})
    assert [s.verdict for s in report.steps] == ["wrong", "follows from a wrong one"][: len(handed)]
    assert (
        "belongs to the exact cross entropy and not to the one with epsilon"
        in report.first_wrong.reason
    )
    assert (
        f"where {kind.split()[0] if 'sig' in kind else 'softmax'}(z) saturates, log("
        in report.first_wrong.reason
    )
    assert "softmax_cross_entropy or sigmoid_cross_entropy" in report.first_wrong.reason


@pytest.mark.parametrize("kind", KINDS)
def test_epsilon_does_no_harm_where_nothing_saturates(kind):
    loss, names, exact = cross_entropy(kind, 0.01)
    report = compare_backprop(loss, names, **exact)
    assert report.ok
    assert report.steps[0].verdict in ("right", "right, but for the epsilon in log")


@pytest.mark.parametrize("scale", [0.01, 10, 1e6])
@pytest.mark.parametrize("kind", ["softmax", "softmax by hand", "sigmoid", "sigmoid by hand"])
def test_no_word_of_the_exact_loss_where_epsilon_was_differentiated(kind, scale):
    loss, names, _ = cross_entropy(kind, scale)
    x, y, p = (names[k].data for k in "xyp")
    if "sigmoid" in kind:
        G_p = (-y / (p + 1e-10) + (1 - y) / (1 - p + 1e-10)) / 10
        G_z = G_p * p * (1 - p)
    else:
        G_p = -y / (p + 1e-10) / 10
        G_z = p * (G_p - np.sum(G_p * p, axis=1, keepdims=True))
    assert compare_backprop(loss, names, G_p=G_p, G_z=G_z, G_W=x.T @ G_z).ok
    report = compare_backprop(loss, names, G_z=G_z * np.linspace(1, 2, G_z.size).reshape(G_z.shape))
    assert report.ok is not np.any(G_z).item()
    assert "exact" not in reason(report)


def test_epsilon_left_out_of_the_derivative_of_the_logarithm():
    loss, names, _ = cross_entropy("softmax", 1)
    y, p = names["y"].data, names["p"].data
    assert "`+ 1e-10` is missing in p + 1e-10" in reason(
        compare_backprop(loss, names, G_p=-y / p / 10)
    )


# Means, kinks, shapes


@pytest.mark.parametrize(("columns", "words", "fault"), [
    (3, "divided by the batch size 6 instead of the number of columns 3", lambda g: np.tile(g[:, None] / 6, 3)),
    (3, "not divided by the number of columns 3", lambda g: np.tile(g[:, None], 3)),
    (6, "G_m / 6 is spread along the wrong axis", lambda g: np.tile(g / 6, (6, 1))),
])  # fmt: skip
def test_mean_over_the_wrong_axis(columns, words, fault):
    z, y = leaf(np.random.default_rng(0).normal(size=(6, columns))), Tensor(np.arange(6.0))
    m = np.mean(z, axis=1)
    loss = np.sum(np.square(m - y))
    G_m = 2 * (m.data - y.data)
    assert compare_backprop(
        loss, locals(), G_m=G_m, G_z=np.tile(G_m[:, None], columns) / columns
    ).ok
    report = compare_backprop(loss, locals(), G_m=G_m, G_z=fault(G_m))
    assert report.first_wrong.name == "G_z"
    assert words in report.first_wrong.reason


KINKS = {  # the function, and its slope at 0 by other conventions
    "relu": (relu, [1]),
    "abs": (np.abs, [1, -1]),
    "maximum": (lambda z: np.maximum(z, 0), [0, 1]),
    "clip": (lambda z: np.clip(z, 0, None), [0]),
    "where": (lambda z: np.where(z > 0, z, 0.1 * z), [1]),
}


@pytest.mark.parametrize("name", KINKS)
def test_other_convention_at_a_kink(name):
    function, slopes = KINKS[name]
    z, weight = leaf([[-2.0, 0.0, 1.0], [0.0, 3.0, -1.0]]), Tensor(np.arange(1.0, 7).reshape(2, 3))
    a = function(z)
    loss = np.sum(weight * a)
    loss.backward()
    assert compare_backprop(loss, locals(), G_a=weight.data, G_z=z.grad).ok
    for slope in slopes:
        by_hand = np.where(z.data == 0, slope * weight.data, z.grad)
        report = compare_backprop(loss, locals(), G_z=by_hand)
        assert report.ok and report.steps[0].verdict == "right, by convention"
        assert [c.name for c in report.conventions] == ["kink"]
        assert str(report).count("at z == 0 another slope is taken") == 1


def test_shapes_are_compared_first():
    loss, names, steps = problem("abalone")
    right = chain(names, steps)
    report = compare_backprop(loss, names, **{**right, "G_output": right["G_output"][:, 0]})
    assert report.first_wrong.reason == "right numbers in a wrong shape: shape (10,) is not (10, 1)"
    assert np.isnan(report.first_wrong.absolute)
    assert re.search(r"^G_output +\(10,\) +- +- +wrong$", str(report), re.MULTILINE)


# What follows


def test_two_faults():
    loss, names, steps = problem("two hidden")
    broken = {"G_z2": lambda n: n.G_h2, "G_z1": lambda n: -n.G_h1 * (n.z1 > 0)}
    report = compare_backprop(loss, names, **chain(names, steps, broken))
    verdicts = {s.name: s.verdict for s in report.steps}
    assert report.first_wrong.name == "G_z2"
    assert "First wrong step: G_z2, G_h2 is handed on unchanged" in str(report)
    assert "Wrong as well: G_z1, the sign is wrong." in str(report)
    assert {verdicts[k] for k in ("G_diff", "G_output", "G_W3", "G_b3", "G_h2")} == {"right"}
    follow = ("G_W2", "G_b2", "G_h1", "G_W1", "G_b1")
    assert {verdicts[k] for k in follow} == {"follows from a wrong one"}


def test_right_again_after_a_wrong_step_is_right():
    loss, names, steps = problem("softmax")
    right = chain(names, steps)
    report = compare_backprop(loss, names, **{**right, "G_output": -right["G_output"]})
    assert [s.verdict for s in report.steps if s.name != "G_output"] == ["right"] * 3


@pytest.mark.parametrize("name", ["softmax", "two hidden", "sigmoid-mse"])
def test_second_fault_behind_a_tiny_gradient_is_found(name):
    """What follows from something small has small errors only."""
    loss, names, steps = problem(name, np.float32)
    last = [*steps][-2]
    small = {
        k: lambda n, right=right: right(n) * np.float32(1e-7)
        for k, right in steps.items()
        if k == "G_output"
    }
    followed = chain(names, steps, small)
    assert compare_backprop(loss, names, **followed).steps[-1].verdict == "follows from a wrong one"
    followed[last] = followed[last] * np.random.default_rng(0).uniform(
        2, 3, followed[last].shape
    ).astype(np.float32)
    verdicts = {s.name: s.verdict for s in compare_backprop(loss, names, **followed).steps}
    assert (verdicts["G_output"], verdicts[last]) == ("wrong", "wrong")


def test_nan_is_followed():
    loss, names, steps = problem("softmax")
    report = compare_backprop(
        loss, names, **chain(names, steps, {"G_entropy": lambda n: n.entropy * np.nan})
    )
    assert [s.verdict for s in report.steps] == ["wrong"] + ["follows from a wrong one"] * 3


# The checker is honest


def test_no_reason_is_made_up():
    """Wrong gradients that no fault explains: random ones, and right ones that were tampered with."""
    for seed in range(counted(200, 80)):
        rng = np.random.default_rng(seed)
        loss, names, steps = problem(list(PROBLEMS)[seed % len(PROBLEMS)], seed=seed)
        right = chain(names, steps)
        step = rng.choice([k for k, g in right.items() if g.size > 1])
        g = right[step].copy()
        noise = rng.normal(size=g.shape)
        g = [noise, g * (1.5 + noise), g + 1e-3 * noise, g + (noise == np.max(noise))][seed % 4]
        report = compare_backprop(loss, names, **{**right, step: g})
        assert report.first_wrong.name == step
        assert re.fullmatch(
            r"(all \d+|\d+ of \d+) elements differ, most at index .* instead of .*", reason(report)
        )


def test_one_wrong_number_is_not_explained_by_a_factor():
    loss, names, _ = problem("abalone")
    assert reason(compare_backprop(loss, names, G_bias=np.array([-1.5]))).startswith(
        "-1.5 instead of "
    )


def test_most_different_element_is_named():
    loss, names, steps = problem("softmax")
    g = chain(names, steps)["G_weight"].copy()
    g[3, 2], g[4, 1] = 7, 5
    assert "2 of 189 elements differ, most at index (3, 2): 7 instead of " in reason(
        compare_backprop(loss, names, G_weight=g)
    )


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_question_changes_nothing_and_has_one_answer(precision):
    loss, names, steps = problem("two hidden", precision)
    right = chain(names, steps)
    graph = graph_of(for_reader(trace(loss, names)))
    (g,) = (g for g in graph.gradient_of.values() if graph.name(g) == "G_W2")
    known = {g: graph.numbers[g] for g in graph.order}
    handed, own = {g: right["G_W2"]}, graph.numbers[g]
    before = {x: value.copy() for x, value in known.items()}

    def ask(wrong):
        asked = question.Question(graph, tuple(causes(graph)), handed, known, False, g, wrong, own)
        return search.reason(asked)

    hidden = chain(names, steps, {"G_z2": lambda n: n.G_h2})[
        "G_W2"
    ]  # a fault at a gradient that is not handed over
    for wrong in (
        hidden,
        right["G_W2"].T,
        right["G_W2"] * np.linspace(1, 2, 5, dtype=precision),
        right["G_z2"],
    ):
        answers = [ask(wrong) for _ in range(3)]
        assert len({(a.reason, a.ended, len(a.values)) for a in answers}) == 1
        assert {*before} == {*known}
        for x, value in before.items():
            np.testing.assert_array_equal(known[x], value)
    assert "from a fault at G_z2" in ask(hidden).reason


def test_reason_of_a_gradient_before_is_applied_by_the_report():
    """From the leaves alone: a fault found at a hidden gradient explains the leaves after it as well."""
    loss, names, steps = problem("two hidden")
    wrong = leaves(names, chain(names, steps, {"G_z2": lambda n: n.G_h2 * (n.z1 > 0)}))
    report = compare_backprop(loss, names, **wrong)
    assert [s.verdict for s in report.steps].count("wrong") == 1
    assert [s.verdict for s in report.steps].count("follows from a wrong one") == 3


def test_hidden_op_before_a_product_stops_no_search():
    rng = np.random.default_rng(0)
    x, W1, W2 = (
        Tensor(rng.normal(size=(5, 4))),
        leaf(rng.normal(size=(4, 3))),
        leaf(rng.normal(size=(3, 2))),
    )
    h = sigmoid(x @ W1)
    loss = np.mean(np.square(h @ W2))
    report = compare_backprop(loss, {"W2": W2}, G_W2=rng.normal(size=(3, 2)))
    assert reason(report).startswith("all 6 elements differ")


SHAPES_OR_DTYPES = re.compile(
    "shape|broadcast|ax[ei]s|dimension|ind(ex|ices)|fit|numpy boolean|must be equal|did not contain a loop|operand"
)


def random_gradients(g, rng):
    """Wrong gradients, of right and of wrong shape."""
    yield rng.normal(size=g.shape)
    yield g * rng.uniform(0.5, 2, g.shape)
    yield -g.T
    yield g.sum(axis=0) if g.ndim else np.ones(3)
    yield rng.normal(size=(*g.shape, 2))
    yield rng.normal(size=rng.integers(0, 4, rng.integers(0, 4)))
    yield np.where(rng.random(g.shape) < 0.5, np.nan, g)
    yield 1e200 * rng.normal(size=g.shape)


@pytest.mark.slow
def test_search_never_fails_and_hides_no_bug(monkeypatch):
    """Random programs, random names, random gradients; what candidates fail of is their shapes and dtypes alone."""

    def watched(make):
        try:
            return make()
        except question.Mismatch:
            return None
        except question.UNFIT as error:
            assert SHAPES_OR_DTYPES.search(str(error)), error  # no UNFIT itself, and so not caught
            return None

    monkeypatch.setattr(search, "fitting", watched)
    runs = 0
    for seed in range(counted(24, 5)):
        program, rng = programs.Program(seed), np.random.default_rng(seed)
        made = {**programs.LIBRARY, **program.data}
        made |= {name: leaf(program.data[name]) for name in program.leaves}
        exec(program.code, made)
        loss = made["loss"]
        known = {
            k: v
            for k, v in made.items()
            if isinstance(v, Tensor) and (k in program.leaves or rng.random() < 0.6)
        }
        graph = graph_of(for_reader(trace(loss, known)))
        right = {
            graph.name(g): graph.numbers[g] for g in graph.gradient_of.values() if graph.name(g)
        }
        assert compare_backprop(loss, known, **right).ok
        for name, g in right.items():
            wrong = next(itertools.islice(random_gradients(g, rng), rng.integers(8), None))
            others = {k: v for k, v in right.items() if rng.random() < 0.3}
            report = compare_backprop(loss, known, **{**others, name: wrong})
            assert str(report)
            assert report.ok is (
                wrong.shape == g.shape and np.allclose(wrong, g, rtol=1e-9, atol=0)
            )
            runs += 1
    assert runs > counted(200, 40)


# The search is bounded, and the same everywhere


def wide_network():
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.normal(size=(60, 40))), Tensor(rng.normal(size=(60, 5)))
    W1, W2, W3 = (leaf(rng.normal(size=shape) / 6) for shape in [(40, 50), (50, 50), (50, 5)])
    z1 = x @ W1
    z2 = relu(z1) @ W2
    diff = relu(z2) @ W3 - y
    return np.mean(np.square(diff)), {"W1": W1, "W2": W2, "W3": W3}


def test_search_ends_when_it_has_cost_enough_and_says_so(monkeypatch):
    loss, names = wide_network()
    wrong = {f"G_{k}": np.random.default_rng(1).normal(size=t.shape) for k, t in names.items()}
    assert "ended" not in str(compare_backprop(loss, names, **wrong))
    computed = []
    compute = values.compute

    def counted(y, inputs):
        computed.append(question.cost(y, inputs))
        return compute(y, inputs)

    for module in (traced_loss, question, terms, axes):  # whoever computes
        monkeypatch.setattr(module, "compute", counted)
    monkeypatch.setattr(question, "WORK", 0)
    compare_backprop(loss, names, **wrong)
    without, counts = sum(computed), []
    for work in (1e7, 3e7):
        computed.clear()
        monkeypatch.setattr(question, "WORK", work)
        report = compare_backprop(loss, names, **wrong)
        assert sum(computed) - without <= 3 * work
        ended = r"elements differ, .*; the search for a reason was ended after (\d+) candidates"
        counts.append(
            [int(re.search(ended, s.reason)[1]) for s in report.steps if "ended" in s.reason]
        )
        assert str(report) == str(compare_backprop(loss, names, **wrong))
    assert len(counts[0]) >= 2
    assert counts[0][0] < counts[1][0]


def test_candidate_that_broadcasts_to_more_than_it_should_is_not_computed():
    """A column times a row where both were columns would need n * n numbers."""
    column, row = np.zeros((1000000, 1)), np.zeros((1, 1000000))
    node = apply(ops.multiply, (0.0, 0.0), {}, column)
    assert question.cost(node, [column, column]) < 1e8
    with pytest.raises(question.UNFIT, match=r"multiply .* does not fit \(1000000, 1\)"):
        question.cost(node, [column, row])


def test_search_that_ends_early_still_knows_what_is_near(monkeypatch):
    loss, names = wide_network()
    G_W3 = traced_gradient(loss, "W3", names)
    monkeypatch.setattr(question, "WORK", 3e6)
    assert reason(compare_backprop(loss, names, G_W3=-G_W3)) == "the sign is wrong"
    report = compare_backprop(loss, names, G_W3=np.where(np.arange(5) == 2, 0, G_W3))
    assert re.fullmatch(
        r"50 of 250 elements differ, .* was ended after \d+ candidates", reason(report)
    )


def test_a_leaf_with_a_long_name_has_a_verdict():
    x = leaf([1.0, 2.0], name="x" * 120)
    report = compare_backprop(np.sum(np.square(x)), **{f"G_{x.name}": -2 * x.numpy()})
    assert reason(report) == "the sign is wrong"


HASHED = """
import sys
sys.path[:0] = ["tests", "examples"]
from chains import *
from tinygrad_steel import compare_backprop
for name in ("abalone", "softmax", "sigmoid-mse", "shared", "by hand"):
    loss, names, steps = problem(name)
    right = chain(names, steps)
    for step, g in right.items():
        for wrong in (g * np.linspace(1, 2, g.size).reshape(g.shape), 0.01 * g, next(iter(right.values()))):
            print(compare_backprop(loss, names, **{step: wrong}))
"""


@pytest.mark.slow
def test_reports_do_not_depend_on_the_order_of_sets():
    def start(seed):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", HASHED]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    first, second = (process.communicate()[0] for process in [start("0"), start("1")])
    assert first == second
    assert first.count("First wrong step") > 50


# What cannot be judged


def not_finite(kind):
    """Graphs whose gradient of x is NaN or infinite, and the words that say where that begins."""
    p = leaf([0.0, 0.25, 1.0], name="p")
    y = Tensor([0.0, 1.0, 0.0], name="y")
    if kind == "log":
        return np.sum(y * np.log(p)), "NaN", r"from log\(p\) on"
    if kind == "sqrt":
        return np.sum(np.sqrt(p)), "infinite", "from G_p on"
    p.data = np.array([np.nan, 1.0, 2.0])
    return np.sum(np.square(p)), "NaN", "from p on"


@pytest.mark.parametrize("kind", ["log", "sqrt", "leaf"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_in_the_graph_is_not_judged(kind):
    loss, what, where = not_finite(kind)
    G_p = gradient_of_the_leaf(loss)
    assert not np.all(np.isfinite(G_p))
    for handed in (G_p, np.full(3, np.nan), np.where(np.isfinite(G_p), G_p, 7)):
        if np.array_equal(np.isfinite(G_p), [False, True, True]) and np.isnan(handed[1]):
            continue
        report = compare_backprop(loss, G_p=handed)
        (step,) = report.steps
        assert (report.ok, report.first_wrong, step.verdict) == (
            False,
            None,
            "not finite, not judged",
        )
        assert re.search(
            f"the graph's own gradient is {what}( too)?, {where}; see detect_anomaly", step.reason
        )
        assert "Not judged: G_p, the graph's own" in str(report)
        assert "right" not in str(report)
        with pytest.raises(GradientError, match="Not judged: G_p"):
            report.raise_if_wrong()
    wrong = np.where(np.isfinite(G_p), G_p + 1, G_p)
    assert compare_backprop(loss, G_p=wrong).first_wrong.name == "G_p"


def gradient_of_the_leaf(loss):
    """By the graph: only where it is finite is looked at."""
    return traced_gradient(loss, "p")


def traced_gradient(loss, name, names=None):
    """The number that the graph has for the gradient of what has this name."""
    traced = trace(loss, names)
    (x,) = (x for x, called in traced.names.items() if called == name)
    return traced.numbers()[traced.gradient_of[x]]


def test_infinite_where_the_graph_is_finite_is_wrong():
    x = leaf([1.0, 2.0], name="x")
    for value in (np.nan, np.inf, -np.inf):
        report = compare_backprop(np.sum(np.square(x)), G_x=np.array([2.0, value]))
        assert (report.first_wrong.name, report.ok) == ("G_x", False)


def test_nan_is_no_rounding_where_float32_would_be_nan():
    """1 + 1e-9 is 1 in float32, where the gradient of the square root is infinite and NaN times 0."""
    x = leaf([1 + 1e-9], name="x")
    loss = np.sum(np.sqrt(x - 1) * (x - 1))
    for value in (np.nan, np.inf, -np.inf):
        assert compare_backprop(loss, G_x=[value]).first_wrong.name == "G_x"


def test_empty_gradient_is_not_called_right():
    x = leaf(np.zeros((0, 3)), name="x")
    loss = np.sum(np.square(x))
    report = compare_backprop(loss, G_x=np.zeros((0, 3)))
    assert (report.ok, report.steps[0].verdict) == (False, "empty, not judged")
    assert str(report).endswith("Not judged: G_x, shape (0, 3) has no element.")
    assert reason(compare_backprop(loss, G_x=np.zeros((3, 0)))).endswith(
        "shape (3, 0) is not (0, 3)"
    )


# The report


def test_report_of_a_right_chain():
    loss, names, steps = problem("softmax")
    report = compare_backprop(loss, names, **chain(names, steps))
    assert (report.ok, report.first_wrong) == (True, None)
    assert [(s.name, s.shape) for s in report.steps][:2] == [
        ("G_entropy", (10,)),
        ("G_output", (10, 7)),
    ]
    assert str(report).endswith("All 4 gradients are right.")
    assert str(compare_backprop(loss, names, G_bias=chain(names, steps)["G_bias"])).endswith(
        "The gradient is right."
    )
    report.raise_if_wrong()


def test_report_of_a_wrong_chain():
    loss, names, steps = problem("sigmoid-mse")
    report = compare_backprop(
        loss, names, **chain(names, steps, {"G_output": lambda n: n.G_probability})
    )
    assert repr(report) == str(report)
    assert str(report).splitlines()[0].split() == [
        "gradient",
        "shape",
        "largest",
        "difference",
        "relative",
        "verdict",
    ]
    assert (
        str(report)
        .splitlines()[-2]
        .startswith("First wrong step: G_output, G_probability is handed on unchanged")
    )
    assert str(report).splitlines()[-1] == (
        "  the graph has  G_output = G_probability * probability * (1 - probability)"
    )
    assert report.first_wrong.relative == pytest.approx(
        report.first_wrong.absolute / np.max(np.abs(right_output()))
    )
    with pytest.raises(GradientError, match="First wrong step: G_output"):
        report.raise_if_wrong()


def right_output():
    _, names, steps = problem("sigmoid-mse")
    return chain(names, steps)["G_output"]


def test_no_gradient_handed_over_is_an_error():
    loss, names, _ = problem("softmax")
    message = r"no gradient was handed over: .* compare_backprop\(loss, names, G_weight=array\).* has G_loss, .*G_weight"  # noqa: E501
    with pytest.raises(ValueError, match=message):
        compare_backprop(loss, names)
    assert Report([]).ok is False


def test_report_in_a_notebook_is_escaped():
    x, W = (
        Tensor([[1.0, 2.0], [3.0, 4.0]], name="<b>x"),
        leaf([[1.0, 0.5], [2.0, 0.0]], name="W<b>&"),
    )
    page = compare_backprop(np.sum(x @ W), **{"G_W<b>&": x.data @ np.ones((2, 2))})._repr_html_()
    assert "<table><tr><th>gradient</th>" in page
    assert page.count("<tr>") == 2
    assert "&lt;b&gt;x @ " in page
    assert "<b>" not in page


def test_what_has_no_name_is_called_what_it_is():
    x, y, W = (
        Tensor([[1.0, 2.0], [3.0, 4.0]]),
        Tensor([[1.0], [0.0]], name="y"),
        leaf([[1.0], [2.0]]),
    )
    loss = np.mean(np.square(x @ W - y))
    report = compare_backprop(loss, locals(), G_W=x.data.T @ np.ones((2, 1)) / 2)
    assert report.first_wrong.reason == (
        "from a fault at the gradient of x @ W - y: the gradient of square(x @ W - y) is handed on unchanged: "
        "the factor square'(x @ W - y) = 2 * (x @ W - y) is missing"
    )


def test_lines_of_the_graph_are_those_of_the_step():
    loss, names, steps = problem("two hidden")
    wrong = compare_backprop(
        loss, names, **chain(names, steps, {"G_z1": lambda n: n.G_h1})
    ).first_wrong
    assert wrong.code == ["G_z1 = G_h1 * np.sign(h1)"]


# Names


@pytest.mark.parametrize(("name", "message"), {
    "G_outptu": r"G_outptu is not a gradient of this graph \(did you mean G_output\?\); it has G_loss, .*names=locals",
    "weight": r"did you mean G_weight\?",
    "G_nothing_of_the_kind": r"graph; it has",
    "G_x": r"G_x: no gradient flows to x; make it with requires_grad=True",
}.items())  # fmt: skip
def test_unknown_name(name, message):
    loss, names, _ = problem("softmax")
    with pytest.raises(ValueError, match=message):
        compare_backprop(loss, names, **{name: 1.0})


def test_leaf_to_which_no_derivative_leads():
    x, mask = leaf([1.0, -2.0], name="x"), leaf([1.0, -1.0], name="mask")
    with pytest.raises(ValueError, match="no gradient flows to mask; no derivative leads to it"):
        compare_backprop(np.sum(x * (mask > 0)), G_mask=np.zeros(2))


def test_ambiguous_name():
    h = leaf([1.0, 2.0], name="h")
    again = np.tanh(h)
    again.name = "h"
    with pytest.raises(
        ValueError, match="G_h is ambiguous: 2 Tensors are called h; name them apart"
    ):
        compare_backprop(np.sum(again), G_h=np.ones(2))


def test_same_gradient_twice_is_an_error():
    weights = [leaf([1.0, 2.0])]
    loss = np.sum(np.square(weights[0]))
    with pytest.raises(ValueError, match=r"G_weights\[0\] and G_weights_0 are the same gradient"):
        compare_backprop(loss, locals(), **{"G_weights[0]": [2.0, 4.0], "G_weights_0": [2.0, 5.0]})


@pytest.mark.parametrize(
    "name", "a b,a-b,größe,W[0],layer.weight,lambda,G_,G_x,1st,%,t1".split(",")
)
def test_name_with_unusual_characters(name):
    x, other = leaf([1.0, 2.0], name=name), leaf([3.0, 4.0], name="a_b")
    loss = np.sum(np.square(x) * other)
    report = compare_backprop(loss, **{f"G_{name}": [6.0, 16.0], "G_a_b": [1.0, 4.0]})
    assert report.ok
    assert {s.name for s in report.steps} == {f"G_{name}", "G_a_b"}
    report = compare_backprop(loss, **{f"G_{name}": [1.0, 4.0], "G_a_b": [6.0, 16.0]})
    assert [s.verdict for s in report.steps] == ["wrong", "wrong"]


def test_names_that_hold_the_gradients_too():
    """An array in the graph is not called after a gradient that has the same numbers."""
    x = leaf([[3.0, 1.0], [2.0, 5.0]])
    G_h = np.array([[1.0, 2.0], [3.0, 4.0]])
    h = x * 2
    loss = np.sum(h * np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert compare_backprop(loss, locals(), G_h=G_h, G_x=2 * G_h).ok
    code = compare_backprop(loss, locals(), G_h=2 * G_h).first_wrong.code
    assert code[0].startswith("G_h = ")
    assert code[0].count("G_h") == 1


def test_gradient_that_equals_another_by_chance_is_wrong_still():
    x, w = leaf([1.0, 2.0], name="x"), leaf([2.0, 4.0], name="w")
    loss = np.sum(x * x * w)
    report = compare_backprop(loss, G_x=[1.0, 4.0], G_w=[1.0, 4.0])
    assert {s.name: s.verdict for s in report.steps} == {"G_x": "wrong", "G_w": "right"}


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_loss_of_one_element_in_any_shape(shape):
    x = leaf([3.0], name="x")
    loss = np.reshape(np.square(x), shape)
    loss.name = "loss"
    assert compare_backprop(loss, G_loss=np.ones(shape), G_x=[6.0]).ok
    assert reason(compare_backprop(loss, G_loss=np.ones(shape), G_x=[3.0])).startswith(
        "2 times too small"
    )
    if shape:
        assert "right numbers in a wrong shape" in reason(
            compare_backprop(loss, G_loss=1.0, G_x=[6.0])
        )


def test_names_of_tensors_of_locals_and_of_lists():
    x, weights = Tensor([[1.0, 2.0]]), [leaf([[0.5], [1.0]], name="first"), leaf([[2.0]])]
    output = (x @ weights[0]) @ weights[1]
    loss = np.sum(output)
    grads = {"G_first": [[2.0], [4.0]], "G_weights_1": [[2.5]], "G_output": [[1.0]]}
    report = compare_backprop(loss, locals(), **grads)
    assert report.ok
    assert {s.name for s in report.steps} == set(grads)


def test_gradient_of_the_loss_itself():
    loss, names, _ = problem("softmax")
    assert compare_backprop(loss, names, G_loss=1.0).ok
    assert "2 times too large" in reason(compare_backprop(loss, names, G_loss=2.0))


def test_no_graph_no_comparison():
    with pytest.raises(RuntimeError):
        compare_backprop(Tensor(3.0), G_x=1.0)
    with pytest.raises(ValueError):
        compare_backprop(leaf([1.0, 2.0]) * 2, G_x=1.0)


# Whatever is handed over


@pytest.mark.parametrize("value", [
    None, "1.0", [None, 1.0], [[1.0], [1.0, 2.0]], {"a": 1}, np.array([1, "a"], object), 1j, b"x",
])  # fmt: skip
def test_what_is_no_array_of_numbers_is_a_type_error(value):
    loss, names, _ = problem("softmax")
    with pytest.raises(TypeError, match="G_bias is to be an array of numbers"):
        compare_backprop(loss, names, G_bias=value)


ODD = [
    0,
    1.5,
    True,
    [],
    [[]],
    np.zeros((0, 7)),
    np.zeros((10, 7, 1)),
    np.ones(70),
    np.ones((2, 3, 4, 5)),
    np.ones(7),
]
ODD += [np.full((10, 7), v) for v in (np.nan, np.inf, 1e308, 1e-320)] + [
    np.ones((10, 7), bool),
    np.arange(70) * 10**15,
]
ODD += [
    np.ones((10, 1)),
    np.ones((1, 7)),
    np.ones((7, 10)),
    np.float32(2),
    np.ones(10),
    np.ones((27, 10)),
]


@pytest.mark.parametrize("name", ["softmax", "all square"])
def test_odd_input_is_wrong_and_nothing_worse(name):
    loss, names, steps = problem(name)
    right = chain(names, steps)
    for step in ["G_loss", *right]:
        for value in ODD:
            report = compare_backprop(loss, names, **{**right, step: value})
            assert str(report)
            assert report._repr_html_()
            if np.shape(value) != np.shape(right.get(step, 1.0)):
                assert report.first_wrong.name == step
                assert f"shape {np.shape(value)} is not" in report.first_wrong.reason


def test_masked_array_is_a_type_error():
    loss, names, steps = problem("softmax")
    g = chain(names, steps)["G_bias"]
    hidden = np.ma.masked_array(np.where(np.arange(7) == 3, 5.0, g), np.arange(7) == 3)
    with pytest.raises(TypeError, match=r"G_bias is a masked array: .*filled"):
        compare_backprop(loss, names, G_bias=hidden)


def test_integers_and_bools_are_numbers():
    x = leaf([1.0, 2.0], name="x")
    loss = np.sum(x)
    assert compare_backprop(loss, G_x=np.array([True, True])).ok
    assert compare_backprop(loss, G_x=np.array([1, 1], np.int32)).ok
    assert not compare_backprop(loss, G_x=np.array([True, False])).ok
    assert not compare_backprop(loss, G_x=np.array(1.0)).ok  # would broadcast


@pytest.mark.parametrize(("rows", "dtype"), [
    (10000, np.float32), (4000, np.float32), (50, np.float32), (50, np.float16), (10000, np.float64),
])  # fmt: skip
def test_a_factor_that_all_elements_share_is_no_rounding(rows, dtype):
    """A division by n - 1 is hidden by no tolerance that each element has for itself."""
    rng = np.random.default_rng(0)
    x, y = (
        Tensor(rng.normal(size=(rows, 5)).astype(dtype), name="x"),
        Tensor(rng.normal(size=(rows, 1)).astype(dtype)),
    )
    w = leaf(rng.normal(size=(5, 1)), dtype, "w")
    d = x @ w - y
    loss = np.mean(np.square(d))
    G_d = {n: (2 * d.data.astype(float) / n).astype(dtype) for n in (rows, rows - 1)}
    G_w = {n: (x.data.T.astype(float) @ g).astype(dtype) for n, g in G_d.items()}
    assert compare_backprop(loss, locals(), G_d=G_d[rows], G_w=G_w[rows]).ok
    report = compare_backprop(loss, {"d": d}, G_d=G_d[rows - 1], G_w=G_w[rows - 1])
    assert [s.verdict for s in report.steps] == ["wrong", "follows from a wrong one"]
    for handed in (
        {"G_d": G_d[rows - 1]},
        {"G_w": G_w[rows - 1]},
        {"G_d": G_d[rows], "G_w": G_w[rows - 1]},
    ):
        report = compare_backprop(loss, {"d": d}, **handed)
        assert (
            report.steps[-1].verdict == "wrong"
            and "times too large everywhere" in report.first_wrong.reason
        )
        if dtype != np.float16:
            assert (
                f"divided by {rows} - 1 instead of the batch size {rows}"
                in report.first_wrong.reason
            )


def test_a_factor_of_equal_elements_is_no_rounding():
    x = leaf(np.arange(-5000.0, 5000) + 0.5, np.float32, "x")
    loss = np.mean(np.abs(x))
    G_x = np.sign(x.data)
    assert compare_backprop(loss, G_x=G_x / np.float32(10000)).ok
    assert (
        "10000 - 1 instead" in compare_backprop(loss, G_x=G_x / np.float32(9999)).first_wrong.reason
    )


def test_a_factor_that_a_naive_sum_leaves_is_rounding():
    """A norm whose squares are added up one after the other in float32."""
    x = leaf(np.random.default_rng(5).normal(size=300_000), np.float32, "x")
    loss = np.sqrt(np.sum(x * x))
    G_x = x.data / np.sqrt(np.add.accumulate(x.data * x.data)[-1])
    assert 3e-5 < np.max(np.abs(G_x / (x.data / np.linalg.norm(x.data.astype(float))) - 1)) < 1e-4
    assert compare_backprop(loss, G_x=G_x).ok
    assert not compare_backprop(loss, G_x=G_x * np.float32(1.005)).ok


def test_half_precision_is_called_what_it_is():
    loss, names, steps = problem("two hidden")
    g = chain(names, steps)["G_W2"]
    (step,) = compare_backprop(loss, names, G_W2=g.astype(np.float16)).steps
    assert step.verdict == "right, but for float16 rounding"
    tiny = leaf(np.full(3, 2e-5), np.float16, "x")
    assert not compare_backprop(np.sum(tiny * tiny), G_x=np.zeros(3, np.float16)).ok


def test_lists_tensors_and_views_are_taken_as_arrays():
    loss, names, steps = problem("softmax")
    right = chain(names, steps)
    for make in (
        np.ndarray.tolist,
        Tensor,
        np.asfortranarray,
        lambda g: np.repeat(g, 2, axis=0)[::2],
        np.longdouble,
    ):
        assert compare_backprop(loss, names, **{k: make(g) for k, g in right.items()}).ok


def test_nothing_is_changed():
    loss, names, steps = problem("two hidden")
    gradients = chain(names, steps, {"G_z2": lambda n: n.G_h2, "G_W1": lambda n: -n.x.T @ n.G_z1})
    before = {k: (t.data.copy(), getattr(t, "grad", None), t.name) for k, t in names.items()}
    copies = {k: g.copy() for k, g in gradients.items()}
    compare_backprop(loss, names, **gradients)
    for k, t in names.items():
        np.testing.assert_array_equal(t.data, before[k][0])
        assert (getattr(t, "grad", None), t.name) == before[k][1:]
    for k, g in gradients.items():
        np.testing.assert_array_equal(g, copies[k])
    loss.backward()  # the graph is as it was


# Time


def test_wrong_gradient_of_a_network_is_explained_at_once():
    loss, names, steps = problem("two hidden")
    right = chain(names, steps)
    wrong = right["G_W1"] + np.random.default_rng(0).normal(size=(6, 5))  # all are tried
    assert (
        calls(compare_backprop, loss, names, G_W1=wrong) < 250_000
    )  # some 60,000, where the search is bounded


def named_chain(length):
    W, h = leaf(np.eye(8)), Tensor(np.random.default_rng(0).normal(size=(10, 8)), name="x")
    for i in range(length):
        for k, step in enumerate(
            [lambda h: h @ W, np.tanh, lambda h: 1.01 * h, lambda h, old=h: h + 0.001 * old]
        ):
            h = step(h)
            h.name = f"h{i}_{k}"
    return np.mean(np.square(h)), {"W": W}


@pytest.mark.slow
def test_long_chain_is_no_more_work_than_it_is_long():
    def compared(length):
        report = compare_backprop(
            *named_chain(length), G_W=np.random.default_rng(1).normal(size=(8, 8))
        )
        assert reason(report).startswith("all 64 elements differ")

    # Most of it is the search, which is bounded
    assert calls(compared, counted(125, 31)) < 2 * calls(compared, counted(31, 8))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("error, verdict", [(0, "right"), (1e-4, "wrong")])
def test_what_an_op_has_drawn_counts(error, verdict):
    """The numbers of the draw that was recorded, not of a new one: with other masks a gradient would be another."""
    rng = np.random.default_rng(3)
    drop = op(
        "drop",
        lambda x: x * (rng.random(x.shape) > 0.5),
        lambda g, y, x: g * (y != 0),
        samples=[],
        random=True,
    )
    x, W = Tensor(rng.normal(size=(6, 4))), leaf(rng.normal(size=(4, 3)))
    z = x @ W
    h = drop(z)
    loss = np.sum(np.square(h))
    before = rng.bit_generator.state
    G_W = x.data.T @ (2 * h.data * (h.data != 0)) * (1 + error * rng.normal(size=(4, 3)))
    rng.bit_generator.state = before
    (step,) = compare_backprop(loss, locals(), G_W=G_W).steps
    assert step.verdict == verdict
    assert rng.bit_generator.state == before


def test_an_array_without_columns_ends_no_search():
    """The search for a reason asks which function makes one array of another: a softmax of no numbers is none."""
    u = leaf([[1.0], [2.0]], name="u")
    none = u[:, :0]
    loss = np.sum(none / (np.square(none) + 1)) + np.sum(u * u)
    (step,) = compare_backprop(loss, G_u=np.array([[3.1], [-0.7]])).steps
    assert step.verdict == "wrong"


@pytest.mark.parametrize("error, verdict", [(0.0, "right"), (0.01, "wrong")])
def test_short_floats_elsewhere_in_the_loss_excuse_nothing(error, verdict):
    """NumPy's tanh of int8 is in float16, which is on the way of the gradient of u, not of that of w."""
    x, w, u = (
        Tensor(np.array([1, 2, 3], np.int8), name="x"),
        leaf([1.0, 2.0, 3.0], name="w"),
        leaf([1, -2, 0.5], name="u"),
    )
    loss = np.sum(np.sin(w)) + np.sum(np.tanh(x) * u)
    steps = compare_backprop(
        loss, G_u=np.tanh([1.0, 2.0, 3.0]), G_w=(1 + error) * np.cos(w.data)
    ).steps
    assert {step.name: step.verdict for step in steps} == {
        "G_u": "right, but for float16 rounding",
        "G_w": verdict,
    }


def test_a_part_of_a_gradient_that_is_written_in_another_way():
    """A mean over rows, broadcast and summed: a part has a node on its way that the page does without."""
    rng = np.random.default_rng(0)
    w = leaf(rng.normal(size=(4, 2)), name="w")
    weights, factor = rng.normal(size=(4, 2)), -0.9
    spread = np.mean(w, axis=-2, keepdims=True) + np.zeros((1, 2))
    loss = np.sum(w * weights) + np.sum(spread) * factor
    right = weights + factor / 4
    assert compare_backprop(loss, G_w=right).ok
    report = compare_backprop(loss, G_w=1.01 * right)
    assert not report.ok and report.first_wrong.name == "G_w"


@pytest.mark.parametrize("sizes", [(5, 5, 3, 1), (5, 3, 5, 2), (4, 4, 4, 3), (6, 4, 3, 2)])
@pytest.mark.parametrize("turned", ["dW1", "dW2"])
def test_a_product_that_is_turned_round_is_found_whatever_the_sizes(sizes, turned):
    n, d, h, c = sizes
    rng = np.random.default_rng(n + d)
    X, Y, W1, W2 = (rng.normal(size=s) for s in ((n, d), (n, c), (d, h), (h, c)))
    T = {"W1": Tensor(W1, requires_grad=True), "W2": Tensor(W2, requires_grad=True)}
    loss = np.mean(np.square(np.tanh(X @ T["W1"]) @ T["W2"] - Y))

    def backward():
        a = np.tanh(X @ W1)
        dz2 = 2 * (a @ W2 - Y) / Y.size
        dW2 = dz2.T @ a if turned == "dW2" else a.T @ dz2
        dz1 = dz2 @ W2.T * (1 - a * a)
        dW1 = dz1.T @ X if turned == "dW1" else X.T @ dz1
        return {"dW1": dW1, "dW2": dW2}

    report = compare_backprop(loss, T, backprop=backward)
    assert report.first_wrong.variable == turned
    assert "transposed" in report.faults
