"""value_and_grad, jacobian, hessian, hvp: right values from analysis, arrays for arrays, Tensors for Tensors."""

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import Tensor, compile_backprop, grad, hessian, hvp, jacobian, value_and_grad

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


def test_numbers_of_arguments_are_any_integers():
    close(value_and_grad(np.dot, np.int64(1))(X, V)[1], X)
    close(np.stack(value_and_grad(np.dot, np.array([1, 0]))(X, V)[1]), np.stack([X, V]))
    both = value_and_grad(cubes, (0, -1))(X)[1]
    assert all(type(g) is np.ndarray for g in both)
    close(hvp(lambda v, x: np.sum(x**3), np.int64(1))(V, X, V), 6 * X * V)


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
        (lambda: value_and_grad(cubes, 1)(X), TypeError, "argument 1 .* 1 came by position"),
        (lambda: value_and_grad(cubes, -2)(X), TypeError, "argument -2 .* 1 came by position"),
        (
            lambda: jacobian(cubes)(x=X),
            TypeError,
            "argument 0 .* 0 came by position.*not by its name",
        ),
        (lambda: hessian(cubes, 3)(X), TypeError, "argument 3 "),
        (lambda: hvp(cubes)(X), TypeError, "argument 0 .* 0 came by position"),
        (lambda: hvp(cubes)(), TypeError, "the vector is the last one, by position"),
        (lambda: value_and_grad(cubes, 0.5), TypeError, "by their numbers, as 0"),
        (lambda: hessian(cubes, "x"), TypeError, r"not by \['x'\]"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_constant_argument_stays_as_it_is():
    seen = []
    value_and_grad(lambda x, k: seen.append(k) or np.sum(x) * k)(X, 3)
    assert type(seen[0]) is int


# What depends on a Tensor from outside keeps its history

A = np.array([1.0, 2.0, 3.0])
INNER = {  # of x, which each takes from outside; the gradient of the sum of what it gives, at A
    "value": (lambda x: value_and_grad(lambda y: np.sum(y**3 * x))(A)[0], A**3),
    "gradient": (lambda x: value_and_grad(lambda y: np.sum(y**3 * x))(A)[1], 3 * A**2),
    "one of two": (
        lambda x: value_and_grad(lambda y, z: np.sum(y**3 * x) + z, (1, 0))(A, 2.0)[1][1],
        3 * A**2,
    ),
    "another argument": (
        lambda x: value_and_grad(lambda y, z: np.sum(y**3 * z))(A, x)[1],
        3 * A**2,
    ),
    "by name": (lambda x: value_and_grad(lambda y, z: np.sum(y**3 * z))(A, z=x)[1], 3 * A**2),
    "through a result": (
        lambda x: value_and_grad(lambda y, h=x * 2: np.sum(y**3 * h))(A)[1],
        6 * A**2,
    ),
    "jacobian": (lambda x: jacobian(lambda y: y**2 * x)(A), 2 * A),
    "hessian": (lambda x: hessian(lambda y: np.sum(y**3 * x))(A), 6 * A),
    "hvp": (lambda x: hvp(lambda y: np.sum(y**3 * x))(A, V), 6 * A * V),
    "vector": (lambda x: hvp(lambda y: np.sum(y**3))(A, x), 6 * A),
}


@pytest.mark.parametrize("inner, slope", INNER.values(), ids=INNER)
def test_history_from_outside_is_kept(inner, slope):
    def outer(x):
        return np.sum(x) + np.sum(inner(x))

    close(value_and_grad(outer)(A)[1], 1 + slope)
    close(value_and_grad(outer)(leaf(A))[1].data, 1 + slope)


def test_a_compiled_step_follows_what_came_from_outside():
    x = leaf(A)
    loss = np.sum(x) + np.sum(value_and_grad(lambda y: np.sum(y**3 * x))(A)[1])
    step = compile_backprop(loss, backend="numpy")
    x.data = A + 1
    close(np.asarray(step()), np.sum(A + 1) + np.sum(3 * A**2 * (A + 1)))
    close(x.grad, 1 + 3 * A**2)


def test_a_named_input_is_followed_too():
    t = Tensor(A, name="t")
    w = leaf(V)
    gradient = value_and_grad(lambda y: np.sum(y**2 * t))(A)[1]
    step = compile_backprop(np.sum(w * gradient), backend="numpy")
    close(np.asarray(step(A + 1)), np.sum(V * 2 * A * (A + 1)))


def test_what_does_not_depend_on_it_is_a_constant():
    x = leaf(A)
    value, g = value_and_grad(lambda y: np.sum(y**2) + np.sum(x))(A)
    assert value.requires_grad and isinstance(g, Tensor) and not g.requires_grad
    close(g.data, 2 * A)
    close(grad(value, x).data, np.ones(3))


def test_plain_constants_from_outside_leave_arrays():
    t, detached = Tensor(A), leaf(A).detach()
    value, g = value_and_grad(lambda y: np.sum(y * t * detached))(A)
    assert not isinstance(value, Tensor) and type(g) is np.ndarray
    close(g, A**2)


def test_a_leaf_that_was_made_gets_no_gradient_of_its_own():
    x, seen = leaf(A), []
    value, _ = value_and_grad(lambda y: seen.append(y) or np.sum(y**3 * x))(A)
    value.backward()
    close(x.grad, A**3)
    assert seen[0].grad is None
