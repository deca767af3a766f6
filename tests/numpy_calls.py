"""One call of each function that autograd or MyGrad knows, as people write it; who runs it follows it, or does not.

`tests/engine/test_lists.py` runs them on Tensors, `tests/benchmarks/numpy_coverage.py` in other libraries, too.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

LISTS = Path(__file__).parent / "engine" / "lists"
RNG = np.random.default_rng(5)


def numbers(*shape):
    """No two of them equal, none near a multiple of 1/4."""
    count = int(np.prod(shape))
    steps = RNG.permutation(count) - count // 2
    return (steps / 4 + RNG.uniform(0.05, 0.2, count)).reshape(shape)


DATA = {
    "s": numbers(),
    "v": numbers(3),
    "w": numbers(3),
    "a": numbers(2, 3),
    "b": numbers(2, 3),
    "m": numbers(3, 3) + 2 * np.eye(3),
    "t": numbers(2, 4, 2),
    "p": np.abs(numbers(2, 3)) + 0.1,
    "r": np.tanh(numbers(2, 3)) * 0.9,
}
KNOWN = {"i": np.array([2, 0, 1, 2]), "mask": np.array([True, False, True])}

# What has a gradient

DIFFERENTIABLE = """
np.abs(a)
np.absolute(a)
np.acos(r)
np.acosh(1 + p)
np.add(a, v)
np.amax(a, axis=1)
np.amin(a, axis=0)
np.angle(a) + a
np.append(a, v)
np.arccos(r)
np.arccosh(1 + p)
np.arcsin(r)
np.arcsinh(a)
np.arctan(a)
np.arctan2(a, b)
np.arctanh(r)
np.array([v, w])
np.array_split(v, 2)[0]
np.asin(r)
np.asinh(a)
np.astype(a, np.float64)
np.atan(a)
np.atan2(a, b)
np.atanh(r)
np.atleast_1d(s)
np.atleast_2d(v)
np.atleast_3d(a)
np.broadcast_to(v[None], (2, 3))
np.cbrt(p)
np.clip(a, -0.3, 0.4)
np.column_stack((v, w))
np.concatenate((a, b), axis=1)
np.conj(a)
np.conjugate(a)
np.cos(a)
np.cosh(a)
np.cross(v, w)
np.cumprod(v)
np.cumsum(a, axis=1)
np.deg2rad(a)
np.degrees(a)
np.diag(v)
np.diagonal(m)
np.diff(a)
np.divide(a, b)
np.dot(a, m)
np.dsplit(t, 2)[1]
np.einsum("ij,j->i", a, v)
np.exp(a)
np.exp2(a)
np.expand_dims(a, 1)
np.expm1(a)
np.fabs(a)
np.fliplr(a)
np.flipud(a)
np.fmax(a, b)
np.fmin(a, b)
np.full((2, 2), s)
np.gradient(v)
np.hsplit(t, 2)[0]
np.hstack((v, w))
np.hypot(a, b)
np.imag(a) + a
np.inner(a, b)
np.kron(v, w)
np.linspace(s, 2.0, 4)
np.log(p)
np.log10(p)
np.log1p(p)
np.log2(p)
np.logaddexp(a, b)
np.logaddexp2(a, b)
np.matmul(a, m)
np.max(a)
np.maximum(a, b)
np.mean(a, axis=0)
np.min(a)
np.minimum(a, b)
np.mod(a, 0.7)
np.moveaxis(t, 0, -1)
np.multiply(a, b)
np.nan_to_num(a)
np.negative(a)
np.outer(v, w)
np.pad(v, 1, mode="constant")
np.partition(v, 1)
np.permute_dims(t, (2, 0, 1))
np.positive(a)
np.pow(p, a)
np.power(p, a)
np.prod(a, axis=1)
np.rad2deg(a)
np.radians(a)
np.ravel(a)
np.real(a)
np.real_if_close(a)
np.reciprocal(p)
np.remainder(a, 0.7)
np.repeat(a, 2, axis=0)
np.reshape(a, (3, 2))
np.roll(a, 1, axis=1)
np.rollaxis(t, 2)
np.rot90(a)
np.row_stack((v, w))
np.select([v > 0, v > -0.5], [v, 2 * v], 0.0)
np.sin(a)
np.sinc(a)
np.sinh(a)
np.sort(v)
np.split(v, [1])[1]
np.sqrt(p)
np.square(a)
np.squeeze(a[None])
np.stack((v, w), axis=1)
np.std(a, axis=0)
np.subtract(a, b)
np.sum(a, axis=1, keepdims=True)
np.swapaxes(t, 0, 2)
np.tan(r)
np.tanh(a)
np.tensordot(a, m, axes=1)
np.tile(v, 2)
np.trace(m)
np.transpose(t, (1, 2, 0))
np.tril(m)
np.triu(m)
np.true_divide(a, b)
np.var(a, ddof=1)
np.vsplit(t, 2)[0]
np.vstack((v, w))
np.where(a > 0, a, b)
np.linalg.cholesky(np.dot(m, m.T) + np.eye(3))
np.linalg.det(m)
np.linalg.eig(np.dot(m, m.T))[0]
np.linalg.eigh(np.dot(m, m.T))[0]
np.linalg.inv(m)
np.linalg.norm(a)
np.linalg.pinv(a)
np.linalg.slogdet(m)[1]
np.linalg.solve(m, v)
np.linalg.svd(m, full_matrices=False)[1]
np.fft.fft(v)
np.fft.fft2(a)
np.fft.fftn(a)
np.fft.fftshift(v)
np.fft.ifft(v)
np.fft.ifft2(a)
np.fft.ifftn(a)
np.fft.ifftshift(v)
np.fft.irfft(v)
np.fft.irfft2(a)
np.fft.irfftn(a)
np.fft.rfft(v)
np.fft.rfft2(a)
np.fft.rfftn(a)
"""

# What has none: indices, truths, steps of slope zero, facts

QUESTIONS = """
np.all(a > 0, axis=0)
np.allclose(a, b)
np.any(a > 0)
np.argmax(a, axis=1)
np.argmin(a)
np.argpartition(v, 1)
np.argsort(a)
np.argwhere(a > 0)
np.around(a, 1)
np.array_equal(a, b)
np.array_equiv(a, b)
np.bincount(i, minlength=4)
np.can_cast(a, np.float32)
np.ceil(a)
np.copyto(np.zeros((2, 3)), a)
np.count_nonzero(a > 0)
np.divmod(a, 0.7)
np.empty_like(a).shape
np.equal(a, b)
np.fix(a)
np.flatnonzero(a > 0)
np.floor(a)
np.floor_divide(a, 0.7)
np.fmod(a, 0.7)
np.full_like(a, 1.5)
np.greater(a, b)
np.greater_equal(a, b)
np.isclose(a, b)
np.iscomplex(a)
np.iscomplexobj(a)
np.isfinite(a)
np.isinf(a)
np.isnan(a)
np.isnat(a)
np.isneginf(a)
np.isposinf(a)
np.isreal(a)
np.isscalar(a)
np.less(a, b)
np.less_equal(a, b)
np.logical_and(a > 0, b > 0)
np.logical_not(a > 0)
np.logical_or(a > 0, b > 0)
np.logical_xor(a > 0, b > 0)
np.may_share_memory(a, b)
np.min_scalar_type(a)
np.ndim(a)
np.nonzero(a > 0)
np.not_equal(a, b)
np.ones_like(a)
np.result_type(a, np.float32)
np.rint(a)
np.round(a)
np.searchsorted(np.sort(v), w)
np.shape(a)
np.shares_memory(a, b)
np.sign(a)
np.signbit(a)
np.size(a)
np.trunc(a)
np.zeros_like(a)
"""

# What is not followed here, and why.
EXCEPTIONS = {
    **{
        f"np.fft.{name}": "complex numbers"
        for name in "fft fft2 fftn ifft ifft2 ifftn irfft irfft2 irfftn rfft rfft2 rfftn".split()
    },
    "np.linalg.eig": "its eigenvalues are complex numbers: np.linalg.eigh for symmetric matrices",
    "np.array": "it asks no argument what to do, and its result has no history: np.stack",
    "np.full": "it asks no argument what to do, and its result has no history: np.broadcast_to",
    "np.copyto": "it writes into an array, which has no history: np.where",
    "np.isnat": "dates are no numbers",
}


def listed(name: str) -> list[str]:
    """The names in a list."""
    return (LISTS / f"{name}.txt").read_text(encoding="utf-8").split()


def lines(text: str) -> dict[str, str]:
    """Each function with its call."""
    return {line.partition("(")[0]: line for line in text.strip().splitlines()}


def names_in(line: str) -> list[str]:
    """The names in DATA that a line has."""
    return [name for name in DATA if re.search(rf"\b{name}\b", line)]


CALLS = {**lines(DIFFERENTIABLE), **lines(QUESTIONS)}
