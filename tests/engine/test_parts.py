"""Gradients of what is read part by part, which are added up in place."""

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Tensor


@pytest.mark.parametrize("yes", [True, np.True_, [True, True, True]])
def test_an_index_of_truth_values_gives_its_gradient_beside_others(yes):
    x = leaf([1.0, 2.0, 3.0])
    (np.sum(x[yes] * 3) + x[1] * 2 + np.sum(x[yes] * 5)).backward()
    np.testing.assert_array_equal(x.grad, [8, 10, 8])


def test_an_index_of_a_truth_value_and_a_slice_gives_its_gradient_beside_others():
    x = leaf([1.0, 2.0, 3.0])
    (np.sum(x[True, 0:2] * 5) + x[1] * 2).backward()
    np.testing.assert_array_equal(x.grad, [5, 7, 0])


def test_a_single_number_is_read_in_many_ways():
    x = Tensor(2.0, requires_grad=True)
    y = x * 1.0
    loss = np.sum(y[None] * 3) + y * y + np.sum(y[None] * 4) + y[()] * 5 + np.sum(y[True]) + y[...]
    loss.backward()
    assert x.grad == 3 + 2 * 2 + 4 + 5 + 1 + 1


@pytest.mark.parametrize("whole", [lambda a: a, lambda a: a[:]], ids=["itself", "a view"])
def test_a_part_is_not_added_to_what_somebody_else_was_sent(whole):
    """A sum sends one array to both of its inputs; only one of them is read in part as well."""
    p, q = Tensor([1.0, 2.0, 3.0], True), Tensor([4.0, 5.0, 6.0], True)
    a, b = p * 2, q * 3
    part = a[1:]  # before the sum, so that its gradient comes after that of the sum
    weights = np.array([0.5, -1.5, 2.5])
    loss = np.sum((whole(a) + b) * weights) + np.sum(part * np.array([7.0, -9.0]))
    loss.backward()
    np.testing.assert_allclose(p.grad, 2 * (weights + [0, 7, -9]))
    np.testing.assert_allclose(q.grad, 3 * weights)
