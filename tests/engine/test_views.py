"""Operators in place: refused where NumPy would change another array, and nowhere else; NumPy itself says where."""

import contextlib
import linecache

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import Tensor, grad, jacobian, no_grad, value_and_grad

A, V = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.5]]), np.array([2.0, -1.0, 0.5])
M = np.array([[2.0, 0.5, 0.1], [0.5, 3.0, 0.2], [0.1, 0.2, 1.5]])

# Of `a`, a matrix; `v`, a vector; `m`, a symmetric matrix. Which ones are views, NumPy is asked.
RESULTS = """
a[0] / a[:1] / a[:, 1] / a[..., None] / a[:] / a[::-1] / a[1:, ::2] / v[1:] / v[0] / a[0, 1] / v[[0, 1]] / a[a > 0]
a[[1, 0]] / next(iter(a)) / next(iter(v)) / [*a][1] / a.T / v.T / a.mT / a.transpose(1, 0) / a.reshape(3, 2)
a.reshape(-1) / a.ravel() / a.flatten() / a.swapaxes(0, 1) / a[None].squeeze() / a.copy() / a.astype(float)
a.take([0], axis=0) / a.round() / a[0].T / a.ravel()[1:] / (a * 2)[0] / (a + 1).T / (a * v)[1:] / a[0] * 2 / +a[0] * 1
a.sum(axis=0) / a.repeat(2) / a.clip(0, 1) / np.ravel(a) / np.reshape(a, (3, 2)) / np.transpose(a)
np.swapaxes(a, 0, 1) / np.moveaxis(a, 0, 1) / np.rollaxis(a, 1) / np.expand_dims(a, 0) / np.squeeze(a[None])
np.flip(a) / np.fliplr(a) / np.flipud(a) / np.rot90(a) / np.rot90(a, 2) / np.atleast_2d(v) / np.atleast_3d(a)
np.matrix_transpose(a) / np.split(v, 3)[1] / np.array_split(v, 2)[0] / np.hsplit(a, 3)[0] / np.vsplit(a, 2)[0]
np.unstack(a)[0] / np.roll(a, 1) / np.roll(a, 1, 0) / np.tile(v, 2) / np.repeat(v, 2) / np.kron(v, v) / np.outer(v, v)
np.tensordot(a, v, 1) / np.einsum("ij,j", a, v) / np.dot(a, v) / np.cross(v, v[::-1]) / np.take(a, 0, axis=1)
np.sort(a) / np.median(a, 0) / np.quantile(a, [0.2, 0.5], axis=0) / np.cumsum(a) / np.diff(a) / np.ediff1d(a)
np.append(a, v) / np.concatenate([a, a]) / np.stack([v, v]) / np.vstack([v, v]) / np.column_stack([v, v])
np.block([v, v]) / np.pad(v, 1) / np.linalg.svd(m)[1] / np.linalg.eigh(m)[0] / np.linalg.qr(m)[0] / np.linalg.inv(m)
np.linalg.slogdet(m)[1] / np.where(a > 0, a, 0) / np.gradient(v) / np.gradient(a)[0] / np.convolve(v, v) / np.cov(a)
np.max(a, 0) / np.mean(a, 0, keepdims=True) / np.copy(a) / np.interp(v, [0, 1], v[:2]) / np.meshgrid(v, v)[0]
np.tril(m) / np.diag(v) / np.trapezoid(a) / np.nan_to_num(a) / np.exp(a) / np.add.reduce(a)
np.sum(a, axis=0, where=a > 0) / np.linalg.norm(a, axis=0) / np.select([a > 0], [a]) / np.vander(v) / np.prod(a, 0)
""".replace("\n", " / ").split(" / ")[1:-1]  # fmt: skip


def made(how, a, v, m):
    """A result that has `a`, `v` and `m` behind it, and those."""
    names = {"np": np, "a": how(a), "v": how(v), "m": how(m)}
    return lambda text: eval(text, names), names


def numpy_changes_another(text):
    """Whether `y *= 2` changes any other array in NumPy."""
    make, names = made(np.copy, A, V, M)
    y = make(text)
    y *= 2
    return any(not np.array_equal(names[k], x) for k, x in {"a": A, "v": V, "m": M}.items())


HOW = {
    "results": lambda x: leaf(x) * 1,
    "leaves": leaf,
    "constants": lambda x: Tensor(x),
    "constants of constants": lambda x: Tensor(x) * 1,
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize("text", RESULTS)
def test_refused_where_numpy_changes_another_array(text, how):
    make, names = made(how, A, V, M)
    y = old = make(text)
    if numpy_changes_another(text):
        with pytest.raises(TypeError, match="is a view in NumPy"):
            y *= 2
        return
    before = old.data.copy()
    y *= 2
    close(np.asarray(y.data), np.asarray(before * 2))
    assert all(np.array_equal(names[k].data, x) for k, x in {"a": A, "v": V, "m": M}.items())


def test_a_view_of_what_is_still_there():
    x = leaf(A)
    z = x * 2
    y = z[:1].T
    with pytest.raises(TypeError, match="is a view in NumPy"):
        y += 1
    del z
    y += 1  # only `x * 2`, which nobody has any more, would have changed
    close(y.data, 2 * A[:1].T + 1)


@pytest.mark.parametrize(
    "text", ["(x @ x.T).reshape(-1)", "(x * 2)[0]", "np.exp(x).T[1:]", "(c + 1)[0]", "(c * 2).T[0]"]
)
@pytest.mark.parametrize("mode", [no_grad, contextlib.nullcontext])
def test_a_view_of_nothing_that_has_a_name(text, mode):
    names = {"x": leaf(A), "c": Tensor(A), "np": np}
    with mode():
        h = eval(text, names)
        want = h.data + 1
        h += 1
    close(h.data, want)


@pytest.mark.parametrize(
    "text", ["h[0]", "h.T", "x[0]", "c.ravel()", "c[:1].T", "h.T[0].reshape(1, 2)"]
)
def test_refused_inside_no_grad(text):
    names = {"h": leaf(A) * 2, "x": leaf(A), "c": Tensor(A)}
    with no_grad():
        y = eval(text, names)
        with pytest.raises(TypeError, match="is a view in NumPy"):
            y += 1


@pytest.mark.parametrize(
    "text", ["np.roll(a, 1)", "np.isclose(a, 1)", "np.nonzero(a)[0]", "a * 1", "a.flatten()"]
)
def test_what_is_no_view_inside_no_grad(text):
    with no_grad():
        y = eval(text, {"np": np, "a": leaf(A)})
        want = y.data + 1
        y += 1
    close(np.asarray(y.data, float), np.asarray(want, float))


def test_a_leaf_moves_inside_no_grad():
    w = leaf(V)
    with no_grad():
        w -= 0.5
    close(w.data, V - 0.5)


def test_gradients_are_nobodys_views():
    x = leaf(A)
    for y in (
        np.sum(x.T * 3.0),
        np.sum(x[0] ** 2),
        np.sum(np.ravel(x)),
        np.sum(x.reshape(3, 2)[1:]),
    ):
        g = want = grad(y, x)
        g *= 2
        close(g.data, want.data * 2)
    g = want = jacobian(lambda x: x[0] ** 2)(x)
    g *= 2
    close(g.data, want.data * 2)


def refused(lines, **names):
    """What the refusal of these lines says."""
    file = f"<view {lines}>"
    linecache.cache[file] = (len(lines), None, lines.splitlines(keepends=True), file)
    with pytest.raises(TypeError) as caught:
        exec(compile(lines, file, "exec"), names)
    return str(caught.value)


def test_the_refusal_says_what_to_write_instead():
    P = Tensor(A, requires_grad=True, name="P")
    said = refused("for row in P:\n    row /= row.sum()\n", P=P)
    assert said.startswith(
        "`/=` on (3,) float64, the result of getitem, which is a view in NumPy: P: (2, 3)"
    )
    assert "np.stack" in said and said.endswith(". Here: row = row / row.sum()")
    assert refused("ws[1] *= 3", ws=[*P]).endswith(". Here: ws[1] = ws[1] * 3")


def test_no_words_for_what_cannot_be_assigned_either():
    P = leaf(A)
    for line in ("P[0] *= 2", "P[:, 1] += 1", "(P * 1)[0] *= 2"):
        said = refused(line, P=P)
        assert "np.stack" in said and "Here:" not in said
    assert "cannot be assigned" in refused("v[0] *= 2", v=leaf(V))


def test_rows_made_anew_are_right():
    def loss(x):
        P = np.exp(x)
        return np.sum(np.stack([row / row.sum() for row in P]) ** 2)

    p = np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)
    close(value_and_grad(loss)(A)[1], 2 * p * (p - np.sum(p**2, axis=1, keepdims=True)))


def test_another_name_keeps_the_old_tensor():
    x = leaf(V)
    z = b = x * 2
    z += 1
    close(b.data, 2 * V)
    close(grad(np.sum(b * z), x).data, 8 * V + 2)
