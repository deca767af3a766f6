"""value_and_grad, jacobian, hessian, hvp: right values from analysis, arrays for arrays, Tensors for Tensors."""

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import Tensor, grad, hessian, hvp, jacobian, value_and_grad

X, V = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.3, -2.0])
M = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7]])


def cubes(x):
    return np.sum(x**3)


def test_value_and_gradient():
    value, g = value_and_grad(cubes)(X)
    assert type(g) is np.ndarray and not isinstance(value, Tensor)
    close(np.asarray(value), np.sum(X**3))
    close(g, 3 * X**2)


def test_several_arguments():
    def f(a, scale, b, shift=0.0):
        return np.sum(a * b) * scale + shift

    value, (ga, gb) = value_and_grad(f, (0, 2))(X, 2.0, V, shift=1.0)
    close(np.asarray(value), 2 * X @ V + 1)
    close(ga, 2 * V)
    close(gb, 2 * X)
    assert isinstance(value_and_grad(f, [2])(X, 2.0, V)[1], list)
    close(value_and_grad(f, -1)(X, 2.0, V)[1], 2 * X)


def test_a_jacobian_has_the_result_first():
    close(jacobian(lambda x: M @ x)(X), M)
    close(jacobian(lambda m, x: m @ x, 1)(M, X), M)
    found = jacobian(lambda m: m @ X)(M)
    assert found.shape == (2, 2, 3)
    close(found, np.einsum("ij,k->ijk", np.eye(2), X))
    close(jacobian(np.sin)(np.array(0.3)), np.cos(0.3))
    assert jacobian(lambda x: x[:0])(X).shape == (0, 3)
    close(jacobian(lambda x: np.sign(x))(X), np.zeros((3, 3)))


def test_a_hessian():
    close(hessian(cubes)(X), np.diag(6 * X))
    close(hessian(lambda x: np.sum(M @ x))(X), np.zeros((3, 3)))
    close(
        hessian(lambda m: np.sum((m @ X) ** 2))(M), 2 * np.einsum("ik,j,l->ijkl", np.eye(2), X, X)
    )


def test_a_product_with_a_vector():
    close(hvp(cubes)(X, V), 6 * X * V)
    close(
        hvp(lambda m, x: np.sum(np.tanh(m @ x)), 1)(M, X, V),
        hessian(lambda x: np.sum(np.tanh(M @ x)))(X) @ V,
    )


def test_tensors_can_be_differentiated_again():
    x = leaf(X)
    value, g = value_and_grad(cubes)(x)
    close(grad(np.sum(g * V), x).data, 6 * X * V)
    assert isinstance(value, Tensor) and value.requires_grad
    close(grad(np.sum(hessian(cubes)(x) * np.diag(V)), x).data, 6 * V)
    close(grad(np.sum(hvp(cubes)(x, V) * V), x).data, 6 * V**2)
    close(grad(np.sum(jacobian(lambda x: x**2)(x) * np.diag(V)), x).data, 2 * V)


def test_the_argument_may_be_a_result():
    w = leaf(X)
    found = jacobian(lambda x: x**2)(w * 2)
    close(found.data, np.diag(4 * X))
    close(grad(np.sum(found), w).data, [4, 4, 4])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: value_and_grad(cubes)(np.array([1, 2])),
            TypeError,
            "int64 data cannot require a gradient",
        ),
        (lambda: value_and_grad(lambda x: x)(X), ValueError, "not a single number"),
        (lambda: value_and_grad(lambda x: 3.0)(X), TypeError, "takes a Tensor y.*not float"),
        (lambda: hessian(lambda x: x)(X), ValueError, "not a single number"),
        (lambda: jacobian(cubes)(Tensor(X)), ValueError, "does not require a gradient"),
        (lambda: hvp(cubes)(X, V[:2]), ValueError, "has that shape too"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_constant_argument_stays_as_it_is():
    seen = []
    value_and_grad(lambda x, k: seen.append(k) or np.sum(x) * k)(X, 3)
    assert type(seen[0]) is int
