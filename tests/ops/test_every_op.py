"""Every op on every sample: its forward on both roads, its vjps by finite differences, its dtypes."""

import numpy as np
import pytest
from every_op import (
    LIBRARY,
    call,
    cast,
    every_flat_sample,
    every_sample,
    every_smooth_sample,
    floats,
    swapped,
    tensors,
    vjps_agree_with_differences,
)
from helpers import close, differences, leaf, random_like

from tinygrad_steel import Tensor, grad
from tinygrad_steel.ops import declare
from tinygrad_steel.ops.op import Each

pytestmark = pytest.mark.filterwarnings("error")


def test_every_op_has_samples():
    assert LIBRARY and [o.name for o in LIBRARY if not o.samples] == []
    assert all(floats(s.inputs) for o in LIBRARY if o.differentiable for s in o.samples)


@pytest.mark.parametrize("o", LIBRARY, ids=lambda o: o.name)
def test_our_declarations_are_what_op_takes(o):
    """`define` leaves these checks out, for the sake of the import."""
    one_rule = isinstance(o.vjps, Each)
    each = o.vjps.rule if one_rule and o.joint is None else None
    facts = {"each": each, "joint": o.joint, "constant": o.constant, "keeps": o.keeps}
    facts |= {"elementwise": o.elementwise, "rowwise": o.rowwise}
    declare.check_name(o.name)
    declare.check_forward(o.name, o.forward)
    declare.refuse_contradictions(o.name, () if one_rule else o.vjps[: o.given], facts)
    declare.checked_samples(o.name, o.samples)
    declare.check_inputs(o, one_rule)


@every_sample
def test_forward_on_tensors_is_forward_on_arrays(o, sample):
    expected = o.forward(*sample.inputs, **sample.params)
    expected = expected[0] if o.keeps else expected
    for inputs in (sample.inputs, tensors(sample.inputs)):
        y = call(o, inputs, sample.params)
        assert isinstance(y, Tensor) == (inputs is not sample.inputs)
        data = y.data if isinstance(y, Tensor) else y
        assert data.shape == expected.shape and data.dtype == expected.dtype
        np.testing.assert_array_equal(data, expected)


@every_smooth_sample
def test_vjps_agree_with_finite_differences(o, sample):
    vjps_agree_with_differences(o, sample)


@every_smooth_sample
def test_second_order_agrees_with_finite_differences(o, sample):
    inputs, params = sample.inputs, sample.params
    wanted = floats(inputs)

    def first_order(data):
        """The gradients of the weighted output, weighted once more: a number, as a Tensor, and what it came from."""
        xs = tensors(data)
        y = call(o, xs, params)
        gradients = grad(y, [xs[i] for i in wanted], random_like(y))
        return sum(
            (g * random_like(g, seed=9 + i)).sum() for i, g in zip(wanted, gradients, strict=True)
        ), xs

    number, xs = first_order(inputs)
    second = grad(number, [xs[i] for i in wanted])
    for i, g in zip(wanted, second, strict=True):
        close(
            g.data,
            differences(lambda x, i=i: first_order(swapped(inputs, i, x))[0].item(), inputs[i]),
            atol=1e-8,
        )


@every_smooth_sample
def test_a_single_number_as_gradient_stands_for_all(o, sample):
    """mean() hands on one number instead of a full array: every vjp must take it, or the engine fill it up."""
    short, full = tensors(sample.inputs), tensors(sample.inputs)
    y = call(o, short, sample.params)
    (y.mean() * 3.7).backward()
    call(o, full, sample.params).backward(np.full(y.shape, 3.7 / y.size))
    assert floats(sample.inputs)
    for i in floats(sample.inputs):
        close(short[i].grad, full[i].grad, rtol=1e-12)


@every_flat_sample
def test_ops_without_vjps_give_constants(o, sample):
    y = call(o, tensors(sample.inputs), sample.params)
    assert not y.requires_grad
    x = leaf(np.ones(y.shape))
    (x * y).sum().backward()  # and are constants to those who use them
    close(x.grad, y.data.astype(float))


@every_smooth_sample
def test_float32_gradients_are_float32(o, sample):
    xs = tensors(cast(sample, np.float32))
    y = call(o, xs, {k: np.float32 if k == "dtype" else v for k, v in sample.params.items()})
    y.backward(random_like(y))
    assert all(xs[i].grad.dtype == np.float32 for i in floats(sample.inputs))


@every_sample
def test_no_op_hands_out_its_input(o, sample):
    y = np.asarray(call(o, sample.inputs, sample.params))
    assert not any(y is x for x in sample.inputs)
