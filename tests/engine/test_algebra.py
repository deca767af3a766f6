"""Products and linear algebra: each of NumPy's functions, on arguments as people write them."""

import itertools

import numpy as np
import pytest
from checked import checked, drawn, everywhere
from helpers import close, leaf

from tinygrad_steel import Tensor, grad

A, B = drawn(3, 4), drawn(4, 2, seed=2)
V, W = drawn(3), drawn(3, seed=2)
CUBE = drawn(2, 3, 4)
SQUARE = drawn(3, 3) + 3 * np.eye(3)
SQUARES = drawn(2, 3, 3, seed=5) + 3 * np.eye(3)


def positive(x):
    """A symmetric matrix with positive eigenvalues, made from any."""
    return x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1])


def symmetric(x):
    """A symmetric matrix, made from any."""
    return x + np.swapaxes(x, -1, -2)


def up_to_sign(factor):
    """What does not change where a factor's columns change their sign."""
    return factor**2


PRODUCTS = {
    "tensordot(a, b, 1)": (lambda a, b: np.tensordot(a, b, 1), A, B),
    "tensordot(a, b), two axes": (np.tensordot, CUBE, drawn(3, 4, 2, seed=3)),
    "tensordot(a, b, 0)": (lambda a, b: np.tensordot(a, b, 0), V, B),
    "tensordot(a, b, axes)": (
        lambda a, b: np.tensordot(a, b, axes=([0, 2], [2, -2])),
        CUBE,
        drawn(3, 4, 2, seed=3),
    ),
    "tensordot(a, b, (one, one))": (lambda a, b: np.tensordot(a, b, (1, 0)), A, B),
    "kron": (np.kron, A, drawn(2, 3, seed=2)),
    "kron, vectors": (np.kron, V, drawn(2, seed=2)),
    "kron, of several axes": (np.kron, V, drawn(2, 2, seed=2)),
    "cross": (np.cross, V, W),
    "cross, rows": (np.cross, drawn(2, 3), drawn(1, 3, seed=2)),
    "cross, axes": (
        lambda a, b: np.cross(a, b, axisa=0, axisc=0),
        drawn(3, 2),
        drawn(2, 3, seed=2),
    ),
    "cross, axis": (lambda a, b: np.cross(a, b, axis=0), drawn(3, 2), drawn(3, 2, seed=2)),
    "outer": (np.outer, A, V),
    "inner": (np.inner, V, W),
    "inner, matrices": (np.inner, A, drawn(2, 4, seed=2)),
    "inner, many axes": (np.inner, CUBE, drawn(4, seed=2)),
    "inner, a number": (np.inner, A, np.array(1.5)),
    "vdot, matrices": (np.vdot, A, drawn(3, 4, seed=2)),
    "dot, many axes": (np.dot, A, drawn(2, 4, 3, seed=2)),
    "dot, vector and many": (np.dot, drawn(4), drawn(2, 4, 3, seed=2)),
    "vecdot": (np.vecdot, A, drawn(3, 4, seed=2)),
    "vecdot, axis": (lambda a, b: np.vecdot(a, b, axis=0), A, drawn(3, 1, seed=2)),
    "multi_dot": (lambda a, b, c: np.linalg.multi_dot([a, b, c]), A, B, drawn(2, 3, seed=3)),
    "multi_dot, four": (
        lambda a, b, c, d: np.linalg.multi_dot([a, b, c, d]),
        V,
        A,
        B,
        drawn(2, seed=3),
    ),
    "matrix_power(x, 3)": (lambda x: np.linalg.matrix_power(x, 3), SQUARE),
    "matrix_power(x, 4)": (lambda x: np.linalg.matrix_power(x, 4), SQUARES),
    "matrix_power(x, -2)": (lambda x: np.linalg.matrix_power(x, -2), SQUARE),
    "matrix_power(x, 0)": (lambda x: np.linalg.matrix_power(x, 0), SQUARE),
    "matrix_power(x, 1)": (lambda x: np.linalg.matrix_power(x, 1), SQUARE),
    "convolve": (np.convolve, drawn(5), drawn(3, seed=2)),
    "convolve, the other longer": (np.convolve, drawn(2), drawn(4, seed=2)),
    **{
        f"{f.__name__}({m}, {n}, {mode})": (
            lambda a, v, f=f, mode=mode: f(a, v, mode),
            drawn(m),
            drawn(n, seed=2),
        )
        for f in (np.convolve, np.correlate)
        for m, n in [(5, 3), (5, 2), (2, 5), (3, 4), (3, 3), (1, 2)]
        for mode in ("full", "same", "valid")
    },
}
for name in ("matvec", "vecmat"):
    if hasattr(np, name):
        PRODUCTS[name] = (
            getattr(np, name),
            *([CUBE, drawn(4)] if name == "matvec" else [drawn(3), CUBE]),
        )

EINSUMS = {
    "...ij,...jk->...ik": [drawn(2, 2, 3), drawn(3, 2, seed=2)],
    "...ij,...jk": [drawn(2, 2, 3), drawn(2, 3, 2, seed=2)],
    "i...,i...->...": [A, drawn(3, seed=2)],
    "i...->i...": [A],
    "...": [A],
    "...i,...i->...": [drawn(2, 1, 3), drawn(4, 3, seed=2)],
    "ii": [SQUARE],
    "ii->i": [SQUARE],
    "iij->ji": [drawn(2, 2, 3)],
    "iji->j": [drawn(2, 3, 2)],
    "iii": [drawn(2, 2, 2)],
    "...ii->...i": [SQUARES],
    "ii,i,ij->j": [SQUARE, V, A],
    "ij,jk,kl->il": [A, B, drawn(2, 3, seed=3)],
    "ba": [A],
    "i,->i": [V, np.array(1.5)],
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name):
    f, *arrays = PRODUCTS[name]
    checked(f, *arrays)


@pytest.mark.parametrize("optimize", [False, True, "optimal"])
@pytest.mark.parametrize("letters", EINSUMS)
def test_einsum(letters, optimize):
    checked(lambda *xs: np.einsum(letters, *xs, optimize=optimize), *EINSUMS[letters])


@pytest.mark.parametrize(
    "f, arrays",
    [
        (lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), [A, B]),
        (lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), [A, B]),
        (lambda a: np.einsum(a, [30, 2]), [A]),
        (lambda a: np.einsum(a, [0, 0]), [SQUARE]),
        (lambda a: np.einsum(a, [0, 0], [0]), [SQUARE]),
        (lambda a, b: np.einsum(a, [..., 1], b, [1], [...]), [A, drawn(4, seed=2)]),
        (lambda a, b: np.einsum(a, [..., 1], b, [1, 0]), [CUBE, drawn(4, 2, seed=2)]),
        (
            lambda a, b, c: np.einsum("ij,jk,k", a, b, c, optimize=["einsum_path", (1, 2), (0, 1)]),
            [A, B, drawn(2)],
        ),
    ],
)
def test_einsum_by_numbers_and_by_a_path(f, arrays):
    checked(f, *arrays)


ALGEBRA = {
    "inv": (np.linalg.inv, SQUARE),
    "inv, a stack": (np.linalg.inv, SQUARES),
    "solve": (np.linalg.solve, SQUARE, V),
    "solve, columns": (np.linalg.solve, SQUARE, A),
    "solve, stacks": (np.linalg.solve, SQUARES, drawn(3, 2, seed=2)),
    "det": (np.linalg.det, SQUARE),
    "det, a stack": (np.linalg.det, SQUARES),
    "det, singular": (np.linalg.det, np.array([[1.0, 2, 3], [4, 5, 6], [5, 7, 9]])),
    "det of rank 1": (np.linalg.det, np.outer([1.0, 2, 3], [2.0, -1, 1])),
    "slogdet": (np.linalg.slogdet, SQUARE),
    "slogdet, by name": (lambda x: np.linalg.slogdet(x).logabsdet, SQUARES),
    "pinv, tall": (np.linalg.pinv, drawn(4, 3)),
    "pinv, wide": (np.linalg.pinv, drawn(2, 4)),
    "pinv, rcond": (lambda x: np.linalg.pinv(x, rcond=1e-10), drawn(2, 3, 2)),
    "pinv, rtol": (lambda x: np.linalg.pinv(x, rtol=1e-10), drawn(3, 2)),
    "pinv of rank 1": (lambda a, b: np.linalg.pinv(np.outer(a, b), rtol=1e-8), V, drawn(2)),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b, rcond=None)[:2], drawn(4, 2), drawn(4, seed=2)),
    "lstsq, columns": (
        lambda a, b: [np.linalg.lstsq(a, b, rcond=None)[i] for i in (0, 1, 3)],
        drawn(4, 2),
        drawn(4, 3, seed=2),
    ),
    "lstsq, wide": (
        lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0],
        drawn(2, 4),
        drawn(2, seed=2),
    ),
    "cholesky": (lambda x: np.linalg.cholesky(positive(x)), drawn(3, 3)),
    "cholesky, a stack": (lambda x: np.linalg.cholesky(positive(x)), drawn(2, 2, 2)),
    "cholesky of a leaf": (np.linalg.cholesky, positive(drawn(3, 3))),
    "cholesky, upper": (lambda x: np.linalg.cholesky(x, upper=True), positive(drawn(3, 3))),
    "eigvalsh": (lambda x: np.linalg.eigvalsh(symmetric(x)), drawn(3, 3)),
    "eigvalsh of a leaf": (np.linalg.eigvalsh, symmetric(drawn(3, 3))),
    "eigvalsh, U": (lambda x: np.linalg.eigvalsh(x, "U"), symmetric(drawn(3, 3))),
    "eigh": (lambda x: np.linalg.eigh(symmetric(x)), drawn(3, 3)),
    "eigh, a stack": (lambda x: np.linalg.eigh(symmetric(x)), drawn(2, 3, 3)),
    "eigh, U, by name": (
        lambda x: np.linalg.eigh(x, UPLO="U").eigenvectors,
        symmetric(drawn(3, 3)),
    ),
    "svd, square": (np.linalg.svd, SQUARE),
    "svd, tall": (lambda x: np.linalg.svd(x, full_matrices=False), drawn(4, 3)),
    "svd, wide": (lambda x: np.linalg.svd(x, full_matrices=False), drawn(2, 4)),
    "svd, a stack": (lambda x: np.linalg.svd(x, False), drawn(2, 3, 2)),
    "svd, by name": (lambda x: np.linalg.svd(x, False).Vh, drawn(4, 2)),
    "svd, values alone": (lambda x: np.linalg.svd(x, compute_uv=False), drawn(3, 4)),
    "svdvals": (np.linalg.svdvals, drawn(2, 3, 4)),
    "qr": (np.linalg.qr, drawn(4, 3)),
    "qr, square": (np.linalg.qr, SQUARE),
    "qr, complete and square": (lambda x: np.linalg.qr(x, "complete"), SQUARE),
    "qr, wide": (np.linalg.qr, drawn(2, 4)),
    "qr, a stack": (np.linalg.qr, drawn(2, 3, 2)),
    "qr, r": (lambda x: np.linalg.qr(x, mode="r"), drawn(4, 2)),
    "qr, r, wide": (lambda x: np.linalg.qr(x, mode="r"), drawn(2, 3)),
    "cond": (np.linalg.cond, SQUARE),
    "cond, -2": (lambda x: np.linalg.cond(x, -2), SQUARES),
    "cond, 1": (lambda x: np.linalg.cond(x, 1), SQUARE),
}
ALGEBRA |= {
    "linalg.matmul": (np.linalg.matmul, A, B),
    "linalg.matrix_transpose": (np.linalg.matrix_transpose, CUBE),
    "linalg.diagonal": (lambda x: np.linalg.diagonal(x, offset=1), CUBE),
    "linalg.trace": (lambda x: np.linalg.trace(x, offset=-1), SQUARES),
    "linalg.outer": (np.linalg.outer, V, drawn(2)),
    "linalg.cross": (lambda a, b: np.linalg.cross(a, b, axis=0), drawn(3, 2), drawn(3, 2, seed=2)),
    "linalg.vecdot": (lambda a, b: np.linalg.vecdot(a, b, axis=0), A, drawn(3, 4, seed=2)),
    "linalg.tensordot": (lambda a, b: np.linalg.tensordot(a, b, axes=1), A, B),
    "linalg.vector_norm": (np.linalg.vector_norm, A),
    "linalg.vector_norm, ord": (lambda x: np.linalg.vector_norm(x, axis=1, ord=3), A),
    "linalg.vector_norm, axes": (
        lambda x: np.linalg.vector_norm(x, axis=(2, 0), ord=1, keepdims=True),
        CUBE,
    ),
    "linalg.matrix_norm": (np.linalg.matrix_norm, CUBE),
    "linalg.matrix_norm, ord": (lambda x: np.linalg.matrix_norm(x, ord=2, keepdims=True), CUBE),
}
VECTOR_ORDERS = [None, 0, 1, 2, 3, 2.5, 0.5, -1, -2, np.inf, -np.inf]
MATRIX_ORDERS = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


@pytest.mark.parametrize("name", ALGEBRA)
def test_linear_algebra(name):
    f, *arrays = ALGEBRA[name]
    checked(f, *arrays, rtol=1e-5, coarse=1e-2)


@pytest.mark.parametrize("name", {**PRODUCTS, **ALGEBRA})
def test_all_of_it_is_written_out_and_compiled(name):
    f, *arrays = {**PRODUCTS, **ALGEBRA}[name]
    everywhere(f, *arrays)


@pytest.mark.parametrize("letters", EINSUMS)
def test_einsum_in_steps_is_written_out_and_compiled(letters):
    everywhere(lambda *xs: np.einsum(letters, *xs, optimize=True), *EINSUMS[letters])


@pytest.mark.parametrize("ord", VECTOR_ORDERS)
def test_norms_of_vectors(ord):
    checked(lambda x: np.linalg.norm(x, ord), V)
    checked(lambda x: np.linalg.norm(x, ord, axis=1), A)
    checked(lambda x: np.linalg.norm(x, ord, axis=-3, keepdims=True), CUBE)


@pytest.mark.parametrize("ord", MATRIX_ORDERS)
def test_norms_of_matrices(ord):
    checked(lambda x: np.linalg.norm(x, ord), A, rtol=1e-5)
    checked(lambda x: np.linalg.norm(x, ord, axis=(0, 2)), CUBE, rtol=1e-5)
    checked(lambda x: np.linalg.norm(x, ord, axis=(-1, 0), keepdims=True), CUBE, rtol=1e-5)


@pytest.mark.parametrize("ord", VECTOR_ORDERS)
def test_norms_of_nothing_but_zeros_have_slope_0(ord):
    if ord is not None and ord < 1 and ord not in (0, -np.inf):
        pytest.skip("no slope")
    x = leaf([0.0, 0.0])
    np.linalg.norm(x, ord).backward(3.0)
    assert x.grad.tolist() == [0, 0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.linalg.norm(x, "nuc"),
        lambda x: np.linalg.norm(x, "fro", axis=1),
        lambda x: np.linalg.norm(x[0], 3.0, axis=(0, 1)),
        lambda x: np.linalg.norm(x, axis=(0, 1, 2)),
        lambda x: np.linalg.norm(x, 2),
        lambda x: np.linalg.norm(x, 3),
        lambda x: np.linalg.norm(x, axis=(0, 0)),
        lambda x: np.tensordot(x, x),
        lambda x: np.tensordot(x, x, (0, 1)),
        lambda x: np.vecdot(x, x[..., :1]),
        lambda x: np.linalg.inv(x[0]),
        lambda x: np.linalg.inv(np.zeros((2, 2)) * x[0, 0, 0]),
        lambda x: np.linalg.cholesky(-np.eye(2) + 0 * x[0, :2, :2]),
        lambda x: np.linalg.svd(x[0, 0]),
        lambda x: np.linalg.qr(x[0, 0]),
        lambda x: np.linalg.eigh(x[0]),
        lambda x: np.linalg.matrix_power(x, 2),
        lambda x: np.convolve(x[0], x[0]),
        lambda x: np.convolve(x[0, 0, :0], x[0, 0]),
        lambda x: np.linalg.multi_dot([x[0]]),
    ],
)
def test_where_numpy_raises_so_do_tensors(f):
    """The very kind of error, but where NumPy has none of its own for it."""
    with pytest.raises(Exception) as right:
        f(CUBE)
    with pytest.raises(right.type):
        f(leaf(CUBE))


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda t: np.linalg.svd(t), "full_matrices=False"),
        (lambda t: np.linalg.svd(t, hermitian=True), "hermitian=True.*leave it out"),
        (lambda t: np.linalg.pinv(t, hermitian=True), "hermitian=True.*leave it out"),
        (lambda t: np.linalg.qr(t.T, "complete"), "mode='reduced'"),
        (lambda t: np.linalg.qr(t, "raw"), "mode='reduced'"),
        (lambda t: np.cross(t[:, :2], t[:, :2]), r"a\[0\] \* b\[1\] - a\[1\] \* b\[0\]"),
        (lambda t: np.linalg.eig(t), "no registered op"),
    ],
)
def test_refusals_say_what_to_write(f, words):
    with pytest.raises(TypeError, match=words):
        f(leaf(A))


def test_least_squares_of_less_than_full_rank_are_refused():
    a = np.outer([1.0, 2, 3], [1.0, 2])
    with pytest.raises(ValueError, match=r"rank 1 has no one solution.*np\.linalg\.pinv\(a\) @ b"):
        np.linalg.lstsq(leaf(a), V, rcond=None)


def test_results_have_names():
    x = leaf(SQUARE)
    assert np.linalg.svd(x).S is not None and np.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert np.linalg.eigh(symmetric(x))._fields == ("eigenvalues", "eigenvectors")
    assert np.linalg.qr(x)._fields == ("Q", "R")
    sign, logarithm = np.linalg.slogdet(x)
    assert sign.item() == 1 and logarithm.requires_grad
    assert np.linalg.matrix_rank(x) == 3


# Ties


def test_equal_eigenvalues():
    """What treats them alike has a derivative, of eigenvalues also a gradient; of eigenvectors NaN, never a number."""
    turn = np.linalg.qr(drawn(3, 3)).Q
    for data in (np.eye(3), turn @ np.diag([2.0, 2, 5]) @ turn.T):
        x = leaf(symmetric(data) / 2)
        loss = np.sum(np.log(np.linalg.eigvalsh(x)))
        loss.backward()
        inverse = np.linalg.inv(x.data)
        close(x.grad, np.tril(2 * inverse) - np.diag(np.diag(inverse)), rtol=1e-9)
        with np.errstate(all="ignore"):
            g = grad(np.sum(np.linalg.eigh(x).eigenvectors * turn), x)
        assert np.isnan(g.data).any()


def test_equal_singular_values():
    turn, other = np.linalg.qr(drawn(3, 3)).Q, np.linalg.qr(drawn(3, 3, seed=4)).Q
    x = leaf(turn @ np.diag([3.0, 3, 1]) @ other)
    np.linalg.norm(x, "nuc").backward()
    close(x.grad, turn @ other, rtol=1e-9)
    for factor in (np.linalg.svd(x).U, np.linalg.svd(x).Vh):
        assert np.isnan(grad(np.sum(factor * turn), x).data).all()


def test_dependent_columns():
    x = leaf(np.outer([1.0, 2, 3], [1.0, 2]))
    for factor in np.linalg.qr(x):
        assert np.isnan(grad(np.sum(factor * drawn(*factor.shape)), x).data).all()
    assert np.isnan(grad(np.sum(np.linalg.svd(x, False).U * drawn(3, 2)), x).data).all()


@pytest.mark.parametrize("shape", [(3, 3), (8, 3), (30, 12)])
def test_a_column_that_depends_on_others_however_large_they_are(shape):
    data = drawn(*shape) * 10.0 ** (np.arange(shape[1]) % 5 * 3 - 6)
    weights = [drawn(*shape), drawn(shape[1], shape[1])]

    def gradients(data):
        x = leaf(data)
        return [grad(np.sum(y * w), x).data for y, w in zip(np.linalg.qr(x), weights, strict=True)]

    assert all(np.isfinite(g).all() for g in gradients(data))
    data[:, 2] = data[:, :2] @ [2.0, -0.5]
    assert all(np.isnan(g).any() for g in gradients(data))


def test_singular_values_of_0_have_slope_0():
    x = leaf(np.zeros((2, 2)))
    np.linalg.norm(x, "nuc").backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_the_triangle_that_numpy_reads_has_the_gradient():
    for upper in (False, True):
        x = leaf(positive(drawn(3, 3)))
        np.sum(np.linalg.cholesky(x, upper=upper) * drawn(3, 3, seed=3)).backward()
        outside = np.tril(x.grad, -1) if upper else np.triu(x.grad, 1)
        assert not outside.any() and x.grad.any()


def test_a_determinants_derivatives_where_it_is_0():
    """Of [[a, b], [c, d]] they are [[d, -c], [-b, a]]: also where all four are 0."""
    x = leaf(np.zeros((2, 2)))
    first = grad(np.linalg.det(x), x, 1.0)
    assert first.data.tolist() == [[0, 0], [0, 0]]
    weights = np.array([[2.0, 3], [5, 7]])
    close(grad(np.sum(first * weights), x).data, [[7, -5], [-3, 2]])
    x = leaf([[1.0, 2], [2, 4]])
    close(grad(np.linalg.det(x), x).data, [[4, -2], [-2, 1]])


def test_multi_dot_takes_the_cheapest_order():
    """(10, 100) @ ((100, 5) @ (5, 50)) takes ten times the steps of ((10, 100) @ (100, 5)) @ (5, 50)."""
    a, b, c = leaf(drawn(10, 100)), leaf(drawn(100, 5)), leaf(drawn(5, 50))
    y = np.linalg.multi_dot([a, b, c])
    assert y.inputs[1] is c and y.inputs[0].shape == (10, 5)
    close(y.data, np.linalg.multi_dot([a.data, b.data, c.data]), rtol=1e-10)


def test_an_einsum_in_steps_has_no_array_of_all_letters():
    xs = [leaf(drawn(2, 2, seed=i)) for i in range(5)]
    y = np.einsum("ab,bc,cd,de,ef->af", *xs, optimize=True)
    steps = {y}
    while any(x.op and x not in steps for y in steps for x in y.inputs):
        steps |= {x for y in steps for x in y.inputs if x.op}
    assert len(steps) == 4 and all(len(y.inputs) == 2 for y in steps)


def test_a_path_may_be_asked_for():
    arrays = [A, B, drawn(2, 3, seed=3)]
    path = np.einsum_path("ij,jk,kl->il", *map(leaf, arrays), optimize="optimal")[0]
    assert path == np.einsum_path("ij,jk,kl->il", *arrays, optimize="optimal")[0]
    checked(lambda *xs: np.einsum("ij,jk,kl->il", *xs, optimize=path), *arrays)


def test_named_axes_of_every_kind():
    """Tensordot along any two axes of each is what the product of transposed matrices is."""
    a, b = drawn(2, 3, 2), drawn(3, 2, 2, seed=2)
    for i, j in itertools.product(range(-3, 3), repeat=2):
        if a.shape[i] == b.shape[j]:
            checked(lambda a, b, i=i, j=j: np.tensordot(a, b, (i, j)), a, b, second=False)


def test_a_constant_stays_a_constant():
    y = np.linalg.inv(Tensor(SQUARE))
    assert isinstance(y, Tensor) and not y.requires_grad


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("f", [np.convolve, np.correlate])
def test_gradients_of_long_convolutions_take_no_more_than_their_overlap(f, mode, monkeypatch):
    plain, products = np.convolve, []

    def counted(a, v, mode="full"):
        short, long = sorted((len(a), len(v)))
        products.append(short * (long if mode == "full" else long - short + 1))
        return plain(a, v, mode)

    a, v = leaf(drawn(2000)), leaf(drawn(10, seed=2))
    loss = f(a, v, mode).sum()
    monkeypatch.setattr(np, "convolve", counted)
    loss.backward()
    grad(f(a, v, mode).sum(), [a, v])
    assert products and max(products) <= 10 * 2020


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro"])
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 2)),
        np.ones((3, 3)),
        np.stack([np.eye(2), np.ones((2, 2)), [[2.0, 1], [0, 3]]]),
    ],
)
def test_condition_numbers_of_singular_matrices(x, p):
    t = leaf(x)
    y = np.linalg.cond(t, p)
    close(y.data, np.linalg.cond(x, p), rtol=1e-12)
    if not np.isnan(x).any():
        y.backward(np.ones(y.shape))
        assert np.isfinite(t.grad).all() or p in (None, 2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("p", [1, np.inf, "fro"])
def test_a_condition_number_of_nan_is_nan(p):
    x = np.stack([np.full((2, 2), np.nan), np.eye(2), np.ones((2, 2))])
    close(np.linalg.cond(leaf(x), p).data, np.linalg.cond(x, p))
