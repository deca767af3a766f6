"""Thousands of random programs agree with HIPS autograd; every op is among them, and a wrong rule would be found."""

import functools
import importlib.util
import os
from collections import Counter

import numpy as np
import pytest
from helpers import counted
from programs import EVERY, LIBRARY, LOSSES, Program, disagreements

from tinygrad_steel import Tensor, ops
from tinygrad_steel.ops.op import Op

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs")]
CHUNKS, SIZE = 20, counted(100, 75)
FEWEST = 20  # uses of whatever the programs are said to cover
NOT_COVERED = {
    **dict.fromkeys(("sign", "floor", "ceil", "rint"), "of slope zero: see test_graph.py"),
    **dict.fromkeys(("trunc", "round", "floor_divide"), "of slope zero: see test_numpy_list.py"),
    **dict.fromkeys(("signdet",), "of slope zero: see test_algebra.py"),
    **dict.fromkeys(("batch_norm", "layer_norm"), "three inputs that fit: see test_norms.py"),
    "cofactors": "the rule of det: only gradients of gradients pass through it",
    **dict.fromkeys(
        "eigvalsh eigenvectors svdvals svd_u svd_vh qr_q qr_r".split(),
        "not of every matrix, and of either sign: see test_algebra.py",
    ),
    "heaviside": "its slope is not zero at a jump alone",
    "astype": "all is float64 here",
    "scatter": "the rule of getitem: only gradients of gradients pass through it",
    **dict.fromkeys(
        "conv2d conv2d_transpose max_pool avg_pool im2col col2im sliding_windows "
        "overlap_add".split(),
        "of images, with four axes: see tests/ops/test_windows.py",
    ),
}


@functools.cache
def programs(chunk):
    return [Program(seed, EVERY) for seed in range(chunk * SIZE, (chunk + 1) * SIZE)]


def every_program():
    return [program for chunk in range(CHUNKS) for program in programs(chunk)]


def backward_ops(loss):
    """The results through which the gradient of a loss passes, each once."""
    found, todo = {}, [loss]
    while todo:
        t = todo.pop()
        if t.op is not None and id(t) not in found:
            found[id(t)] = t
            todo += [x for x in t.inputs if isinstance(x, Tensor) and x.requires_grad]
    return found.values()


@pytest.fixture
def oracle():
    if importlib.util.find_spec("autograd") is None:
        missing = "the oracle of the random programs is missing: pip install autograd (it is in the test extra)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_programs(oracle, chunk):
    found = [
        text for program in programs(chunk)[: counted(SIZE, 12)] for text in disagreements(program)
    ]
    assert not found, "\n\n".join(found)


def test_the_same_seed_makes_the_same_program():
    assert str(Program(7)) == str(Program(7)) != str(Program(8))


def test_programs_have_every_family():
    uses = sum((program.families for program in every_program()), Counter())
    assert {family: uses[family] for family in EVERY | LOSSES if uses[family] < FEWEST} == {}


def test_gradients_pass_through_every_op():
    """Also matmul with vectors, matrices and stacks of them on either side."""
    uses = Counter()
    for program in every_program():
        for t in backward_ops(
            program.run(
                LIBRARY, *(Tensor(program.data[x], requires_grad=True) for x in program.leaves)
            )
        ):
            uses[t.op.name] += 1
            if t.op is ops.matmul:
                uses[tuple(np.ndim(x) for x in t.inputs)] += 1
    wanted = {
        op.name for op in vars(ops).values() if isinstance(op, Op) and op.differentiable
    } - NOT_COVERED.keys()
    wanted |= {(a, b) for a in (1, 2, 3) for b in (1, 2, 3)}
    assert {what: uses[what] for what in wanted if uses[what] < FEWEST} == {}


def test_a_wrong_rule_is_found(oracle, monkeypatch):
    (rule,) = ops.tanh.vjps
    assert [text for program in programs(0) for text in disagreements(program)] == []
    monkeypatch.setattr(ops.tanh, "vjps", (lambda g, y, x: 1.001 * rule(g, y, x),))
    found = {program: disagreements(program) for program in programs(0)}
    assert sum(map(bool, found.values())) >= 5
    for program, texts in found.items():
        for text in texts:
            assert text.startswith(
                ("gradient of x", "Hessian-vector product of x")
            ) and text.endswith(str(program))
            assert f"--seed {program.seed}" in text and "np.tanh(" in text
