"""The traced program: its numbers are those of backward(), before and after each pass, and it holds what it may."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from frozen import random_loss
from spec import spec

from tinygrad_steel import OPS, Tensor, op, ops
from tinygrad_steel.engine.recording import recording
from tinygrad_steel.program.rewrite import ALIASES, READER, Row, rebuild, rewriting
from tinygrad_steel.program.trace import for_reader, trace, trace_forward
from tinygrad_steel.program.values import (
    Apply,
    Constant,
    Leaf,
    Program,
    alias,
    apply,
    behind,
    constant,
    evaluate,
    exact,
    key,
)

SAMPLES = [
    pytest.param(o, sample, id=f"{o.name}-{i}")
    for o in OPS.values()
    for i, sample in enumerate(o.samples)
    if any(vjp is not None for _, vjp in zip(sample.inputs, o.vjps, strict=False))
]


def abalone(seed=0):
    rng = np.random.default_rng(seed)
    x, y = Tensor(rng.normal(size=(10, 3)), name="x"), Tensor(rng.normal(size=(10, 1)), name="y")
    weight, bias = (
        Tensor(rng.normal(size=(3, 1)), True, "weight"),
        Tensor(rng.normal(size=1), True, "bias"),
    )
    output = x @ weight + bias
    diff = output - y
    square = np.square(diff)
    loss = np.mean(square)
    return loss, locals()


def agree(traced, loss):
    """The numbers of a Traced are those of the loss and of the gradients that backward() leaves."""
    spec(traced.program)
    numbers = traced.numbers()
    np.testing.assert_allclose(numbers[traced.loss], loss.numpy(), rtol=1e-12)
    wanted = [x for x in traced.wanted if traced.tensors[x].grad is not None]
    assert wanted
    for x in wanted:
        expected = traced.tensors[x].grad
        size = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        np.testing.assert_allclose(
            numbers[traced.gradient_of[x]],
            expected,
            rtol=1e-9,
            atol=1e-11 * size + 1e-300,
            equal_nan=True,
        )
        assert numbers[traced.gradient_of[x]].dtype == expected.dtype


def all_passes(loss, names=None):
    traced = trace(loss, names)
    yield traced
    yield traced.rebuilt(rewriting(ALIASES, traced.start))
    yield for_reader(traced)


@pytest.mark.parametrize("seed", range(60))
def test_numbers_of_random_programs(seed):
    with np.errstate(all="ignore"):
        loss = random_loss(seed)
        loss.backward()
    for traced in all_passes(loss):
        agree(traced, loss)


@pytest.mark.parametrize("o, sample", SAMPLES)
def test_numbers_of_every_op(o, sample):
    rules = zip(sample.inputs, o.vjps, strict=False)
    wanted = [x.dtype.kind == "f" and vjp is not None for x, vjp in rules]
    inputs = [Tensor(x, wants, f"x{i}") for i, (x, wants) in enumerate(zip(sample.inputs, wanted))]
    with np.errstate(all="ignore"):
        y = o(inputs, **sample.params) if o.sequence else o(*inputs, **sample.params)
        weights = np.random.default_rng(0).uniform(-2, 2, y.shape)
        loss = np.sum(y * weights)
        loss.backward()
    for traced in all_passes(loss):
        agree(traced, loss)


def test_a_reader_sees_no_broadcast_and_no_one():
    loss, names = abalone()
    traced = for_reader(trace(loss, names))
    ops_used = [y.op for y in traced.program.applies if y not in traced.forward]
    assert ops.broadcast_to in [y.op for y in trace(loss, names).program.applies]
    # By hand: G_square is G_loss / 10 broadcast, G_diff = 2 * diff * G_square, then X.T @ G and a sum over the rows.
    assert (
        ops_used.count(ops.matmul) == 1
        and ops_used.count(ops.sum) == 1
        and ops_used.count(ops.multiply) == 2
    )


def test_gradients_of_named_values_stay_apart():
    loss, names = abalone()
    traced = for_reader(trace(loss, names))
    at = {name: x for x, name in traced.names.items()}
    gradient = {name: traced.gradient_of[at[name]] for name in ("square", "diff", "output")}
    assert len({*gradient.values()}) == 3
    assert gradient["output"].op is alias and gradient["output"].inputs == (gradient["diff"],)


def test_edges_add_up_to_gradients():
    loss, names = abalone()
    x = names["diff"]
    loss = np.sum(np.square(x) * np.exp(x))
    traced = trace(loss, names)
    numbers = traced.numbers()
    total = {}
    for _, x, g in traced.edges:
        total[x] = total.get(x, 0) + numbers[g]
    assert len(total) > 4
    for x, parts in total.items():
        np.testing.assert_allclose(parts, numbers[traced.gradient_of[x]], rtol=1e-12)


def test_other_arrays_than_those_traced():
    loss, names = abalone()
    other, others = abalone(seed=1)
    other.backward()
    traced = for_reader(trace(loss, names))
    arrays = {x: others[name].numpy() for x, name in traced.names.items() if isinstance(x, Leaf)}
    numbers = evaluate(traced.program, {traced.start: np.ones(()), **arrays})
    np.testing.assert_allclose(numbers[traced.loss], other.numpy(), rtol=1e-12)
    for x in traced.wanted:
        np.testing.assert_allclose(
            numbers[traced.gradient_of[x]], others[traced.names[x]].grad, rtol=1e-9
        )


def test_an_array_named_in_an_expression_is_one_leaf():
    mask = np.array([1.0, 0.0, 2.0])
    x = Tensor([1.0, 2.0, 3.0], True, "x")
    traced = trace(np.sum(x * mask + mask), {"mask": mask})
    assert sorted(traced.names.values()) == ["mask", "x"]
    assert len(traced.leaves) == 2


def test_what_is_drawn_at_random_is_not_shared():
    rng = np.random.default_rng(0)
    draw = op(
        "draw_twice", lambda x: x * rng.normal(size=x.shape), lambda g, y, x: g * y / x, samples=[]
    )
    try:
        x = Tensor([1.0, 2.0], True, "x")
        loss = np.sum(draw(x) * draw(x))
        traced = trace(loss)
        assert len(traced.random) == 2
        loss.backward()
        for passed in (traced, for_reader(traced)):
            agree(passed, loss)
            assert sum(y.op is draw for y in passed.program.applies) == 2
        program, _ = rebuild(traced.program, rewriting(ALIASES), (), traced.random)
        assert sum(y.op is draw for y in program.applies) == 2
    finally:
        del OPS["draw_twice"]


def test_an_op_of_ones_own_called_alias():
    own = op("alias", lambda x: 2 * x, lambda g, y, x: 2 * g, samples=[])
    try:
        x = Tensor([1.0, 2.0], True, "x")
        loss = np.sum(np.square(own(x)))
        loss.backward()
        for traced in all_passes(loss):
            agree(traced, loss)
    finally:
        del OPS["alias"]


def test_an_op_called_alias_may_be_there_before_anything_is_traced():
    code = """
from tinygrad_steel import OPS, Tensor, op, write_backprop
own = op("alias", lambda x: 2 * x, lambda g, y, x: 2 * g, samples=[])
x = Tensor(3.0, True, "x")
source = write_backprop(own(x) * x)
print(source.function()(**source.arguments), OPS["alias"] is own)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.findall(r"\d+\.0|True", found.stdout) == ["18.0", "12.0", "True"]


def test_results_besides_the_loss():
    loss, names = abalone()
    rate = Tensor(0.5)
    weight = names["weight"]

    def update(gradients):
        return [weight - rate * gradients[weight]], [rate]

    other = names["output"] * 2
    traced = trace(loss, names, outputs=[other], update=update)
    spec(traced.program)
    loss.backward()
    numbers = traced.numbers()
    assert isinstance(traced.made[rate], Leaf)
    np.testing.assert_allclose(numbers[traced.made[other]], other.numpy())
    new = traced.program.results[-2]
    np.testing.assert_allclose(numbers[new], weight.numpy() - 0.5 * weight.grad)


def test_forward_alone():
    _, names = abalone()
    traced = trace_forward(names["diff"], names)
    spec(traced.program)
    assert traced.start is None and not traced.edges and not traced.late - {None}
    np.testing.assert_array_equal(traced.numbers()[traced.loss], names["diff"].numpy())


# rebuild, and what it refuses


def small(o=ops.add, shape=(2,)):
    a, b = Leaf(shape, np.dtype(float)), Leaf(shape, np.dtype(float))
    return a, b, apply(o, (a, b), {}, a)


def test_equal_values_become_one_unless_kept():
    a, b, first = small()
    second = apply(ops.add, (a, b), {}, a)
    both = apply(ops.multiply, (first, second), {}, a)
    program = Program((a, b), (first, second, both), (both,))
    new, moved = rebuild(program, lambda y, kept: y)
    assert len(new.applies) == 2 and moved[first] is moved[second]
    new, moved = rebuild(program, lambda y, kept: y, keep=(first, second))
    assert moved[first] is not moved[second]
    spec(new)


def test_kept_values_that_a_rule_makes_one():
    a, b, first = small()
    second = apply(ops.divide, (first, 1), {}, a)
    both = apply(ops.multiply, (first, second), {}, a)
    rows = [row for row in READER if row.what.startswith("x * 1")]
    program = Program((a, b), (first, second, both), (both,))
    new, moved = rebuild(program, rewriting(rows), keep=(first, second))
    assert moved[second].op is alias and moved[second].inputs == (moved[first],)
    numbers = evaluate(new, {a: np.array([1.0, 2.0]), b: np.array([3.0, 5.0])})
    np.testing.assert_array_equal(numbers[new.results[0]], [16.0, 49.0])
    spec(new)


def test_what_is_fixed_is_offered_to_no_rule_and_shared_by_nobody_who_is_kept():
    a, b, first = small()
    same, kept = (apply(ops.add, (a, b), {}, a) for _ in range(2))
    gone = apply(ops.multiply, (first, 1), {}, a)
    values = (first, same, kept, gone)
    program = Program((a, b), values, values)
    offered = []
    new, moved = rebuild(
        program, lambda y, kept: offered.append(y) or y, keep=(kept,), fixed=(first, gone)
    )
    assert offered == [same, kept]
    assert moved[first] is moved[same] is first and moved[gone] is gone
    assert moved[kept].op is alias and moved[kept].inputs == (first,)
    rows = [row for row in READER if row.what.startswith("x * 1")]
    new, moved = rebuild(program, rewriting(rows), keep=(gone,), fixed=(first,))
    assert moved[gone].op is alias and moved[gone].inputs == (first,)
    spec(new)


@pytest.mark.parametrize(
    "one, other",
    [(0.0, -0.0), (1, 1.0), (1, True), (np.float32(1), np.float64(1)), (2.0, 2.0000000000000004)],
)
def test_numbers_that_differ_keep_values_apart(one, other):
    a = Leaf((2,), np.dtype(float))
    first, second = (apply(ops.add, (a, x), {}, a) for x in (one, other))
    assert key(first) != key(second)
    program = Program((a,), (first, second), (first, second))
    new, _ = rebuild(program, lambda y, kept: y)
    assert len(new.applies) == 2
    assert exact((one,)) != exact((other,))


def test_a_rule_may_not_change_the_shape():
    a, b, y = small()
    with pytest.raises(ValueError, match="cannot stand in the place of"):
        rebuild(Program((a, b), (y,), (y,)), lambda y, kept: constant(0.0))


def test_a_replacement_is_offered_again():
    a, b, y = small()
    steps = {ops.add: ops.subtract, ops.subtract: ops.multiply}
    rows = [
        Row(
            "next",
            None,
            lambda y, known: steps.get(y.op) and dataclasses.replace(y, op=steps[y.op]),
        )
    ]
    new, _ = rebuild(Program((a, b), (y,), (y,)), rewriting(rows))
    assert [y.op for y in new.applies] == [ops.multiply]


def broken():
    """Programs that spec must refuse, and a word of what it says."""
    a, b, y = small()
    plain = Program((a, b), (y,), (y,))
    late = apply(ops.negative, (y,), {}, a)
    writable = apply(ops.add, (a, Constant(np.ones(2))), {}, a)
    yield dataclasses.replace(plain, leaves=(a,)), "not known"
    yield dataclasses.replace(plain, leaves=(a, b, b)), "there twice"
    yield dataclasses.replace(plain, applies=(y, y)), "there twice"
    yield dataclasses.replace(plain, applies=(late, y), results=(late,)), "not known"
    yield dataclasses.replace(plain, applies=(y, late)), "no result needs"
    yield dataclasses.replace(plain, results=(late,)), "nothing computes"
    yield Program((a,), (writable,), (writable,)), "can be changed"
    for wrong, word in (
        (dataclasses.replace(y, params={"axis": 1}), "can be changed"),
        (apply(ops.add, (a, b), {"axis": 1}, a), "does not know"),
        (apply(ops.add, (a,), {}, a), "number of inputs"),
        (dataclasses.replace(y, shape=(3,)), "shape"),
        (dataclasses.replace(y, inputs=(a, "b")), "not known"),
        (dataclasses.replace(y, op=None), "no Op"),
    ):
        yield Program((a, b), (wrong,), (wrong,)), word


@pytest.mark.parametrize("program, word", [*broken()])
def test_spec_refuses(program, word):
    with pytest.raises(ValueError, match=word):
        spec(program)


def test_spec_knows_levels():
    a, b, y = small()
    spec(Program((a, b), (y,), (y,)), frozenset({ops.add}))
    with pytest.raises(ValueError, match="level"):
        spec(Program((a, b), (y,), (y,)), frozenset({ops.multiply}))


def test_values_are_frozen():
    a, _, y = small()
    with pytest.raises(dataclasses.FrozenInstanceError):
        y.shape = (3,)
    with pytest.raises(ValueError, match="read-only"):
        constant(np.ones(2)).data[0] = 2
    with pytest.raises(TypeError):
        apply(ops.add, (a, a), {}, a).params["axis"] = 1


def test_behind_is_inputs_first():
    a, b, y = small()
    late = apply(ops.multiply, (y, a), {}, a)
    order = [*behind([late])]
    assert (
        order.index(y) > max(order.index(a), order.index(b))
        and order[-1] is late
        and len(order) == 4
    )


def test_nothing_is_quadratic():
    with recording("all"):
        x = Tensor([1.0, 2.0], True, "x")
        y = x
        for _ in range(3000):
            y = y * 0.5 + x
    traced = trace(np.sum(y))
    assert len(traced.program.applies) > 9000
    assert all(isinstance(z, Apply) for z in for_reader(traced).program.applies)
    assert READER[0] is ALIASES[0]
