"""What NumPy's functions mean on Tensors: MEANING, the table at the end, says it for each.

A function means either an op with the same arguments, or a spelling, which puts its answer together
from ops, or answers without any; spellings stand by theme in the files numpy_*.py. A spelling takes
NumPy's own arguments; an argument that it leaves out raises a TypeError that names it. Ufuncs need
no row: `np.exp` means the op whose forward it is.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy._core import umath

from .. import ops
from ..ops.op import SPELLINGS, TWINS, Op
from .later import (
    algebra,
    elementwise,
    joins,
    parts,
    products,
    questions,
    reductions,
    refusals,
    shapes,
    statistics,
)


def twin(function: Any) -> Op:
    """The op that stands for a NumPy function; TypeError where there is none."""
    if function in TWINS:
        return TWINS[function]
    if isinstance(function, np.ufunc) and "scipy.special" in sys.modules:
        importlib.import_module("..ops.special", __package__)  # not before: SciPy is slow to load
        if function in TWINS:
            return TWINS[function]
    raise refusals.unknown(function)


def with_method(ufunc: np.ufunc, method: str) -> Callable[..., Any]:
    """What a method of a ufunc means, as np.add.reduce does np.sum; TypeError where there is none."""
    if (ufunc, method) in METHODS:
        return METHODS[ufunc, method]
    if method == "outer":
        return functools.partial(elementwise.outer, ufunc)
    raise refusals.unknown_method(ufunc, method)


MEANING: dict[Callable[..., Any], Op | Callable[..., Any]] = {
    # Another shape or order
    np.reshape: ops.reshape,
    np.ravel: shapes.ravel,
    np.squeeze: ops.squeeze,
    np.expand_dims: ops.expand_dims,
    np.atleast_1d: shapes.atleast_1d,
    np.atleast_2d: shapes.atleast_2d,
    np.atleast_3d: shapes.atleast_3d,
    np.transpose: shapes.transpose,
    np.matrix_transpose: shapes.matrix_transpose,
    np.swapaxes: ops.swapaxes,
    np.moveaxis: shapes.moveaxis,
    np.rollaxis: shapes.rollaxis,
    np.flip: shapes.flip,
    np.fliplr: shapes.fliplr,
    np.flipud: shapes.flipud,
    np.rot90: shapes.rot90,
    np.roll: shapes.roll,
    np.broadcast_to: ops.broadcast_to,
    np.copy: shapes.copy,
    np.astype: shapes.astype,
    np.fft.fftshift: shapes.fftshift,
    np.fft.ifftshift: shapes.ifftshift,
    # Put together and taken apart
    np.concatenate: ops.concatenate,
    np.stack: ops.stack,
    np.vstack: joins.vstack,
    np.hstack: joins.hstack,
    np.column_stack: joins.column_stack,
    np.dstack: joins.dstack,
    np.append: joins.append,
    np.block: joins.block,
    np.broadcast_arrays: joins.broadcast_arrays,
    np.meshgrid: joins.meshgrid,
    np.repeat: joins.repeat,
    np.tile: joins.tile,
    np.pad: joins.pad,
    np.linspace: joins.linspace,
    np.logspace: joins.logspace,
    np.resize: joins.resize,
    np.split: joins.split,
    np.array_split: joins.array_split,
    np.hsplit: joins.hsplit,
    np.vsplit: joins.vsplit,
    np.dsplit: joins.dsplit,
    np.unstack: joins.unstack,
    # Some of the elements
    np.take: parts.take,
    np.take_along_axis: parts.take_along_axis,
    np.where: parts.where,
    np.compress: parts.compress,
    np.extract: parts.extract,
    np.select: parts.select,
    np.choose: parts.choose,
    np.clip: parts.clip,
    umath.clip: parts.clip,  # type: ignore[attr-defined]  # the ufunc behind the method of an array
    np.diag: parts.diag,
    np.diagflat: parts.diagflat,
    np.diagonal: parts.diagonal,
    np.trace: parts.trace,
    np.tril: ops.tril,
    np.triu: ops.triu,
    np.lib.stride_tricks.sliding_window_view: parts.sliding_window_view,
    # In order
    np.sort: parts.sort,
    np.partition: parts.partition,
    # Products
    np.matmul: ops.matmul,
    np.dot: products.dot,
    np.vdot: products.vdot,
    np.inner: products.inner,
    np.outer: products.outer,
    np.kron: products.kron,
    np.cross: products.cross,
    np.tensordot: products.tensordot,
    np.einsum: products.einsum,
    np.einsum_path: products.einsum_path,
    np.vecdot: products.vecdot,
    np.convolve: products.convolve,
    np.correlate: products.correlate,
    # Linear algebra
    np.linalg.inv: ops.inv,
    np.linalg.pinv: algebra.pinv,
    np.linalg.solve: ops.solve,
    np.linalg.lstsq: algebra.lstsq,
    np.linalg.det: ops.det,
    np.linalg.slogdet: algebra.slogdet,
    np.linalg.cholesky: algebra.cholesky,
    np.linalg.eigh: algebra.eigh,
    np.linalg.eigvalsh: ops.eigvalsh,
    np.linalg.svd: algebra.svd,
    np.linalg.svdvals: ops.svdvals,
    np.linalg.qr: algebra.qr,
    np.linalg.matrix_power: algebra.matrix_power,
    np.linalg.multi_dot: algebra.multi_dot,
    np.linalg.norm: algebra.norm,
    np.linalg.vector_norm: algebra.norm_of_vectors,
    np.linalg.matrix_norm: algebra.norm_of_matrices,
    np.linalg.cond: algebra.cond,
    np.linalg.matrix_rank: algebra.matrix_rank,
    # The same once more, in the words of the array API
    np.linalg.matmul: ops.matmul,
    np.linalg.matrix_transpose: shapes.matrix_transpose,
    np.linalg.diagonal: parts.diagonal_of_matrices,
    np.linalg.trace: parts.trace_of_matrices,
    np.linalg.outer: products.outer_of_vectors,
    np.linalg.cross: products.cross_of_three,
    np.linalg.vecdot: products.vecdot,
    np.linalg.tensordot: products.tensordot,
    # Element by element (no ufunc, or one that is spelled in others)
    np.power: ops.power,
    np.float_power: elementwise.float_power,
    np.divmod: elementwise.divmod,
    np.round: ops.round,
    np.around: ops.round,
    np.fix: ops.trunc,
    np.radians: ops.deg2rad,
    np.degrees: ops.rad2deg,
    np.sinc: ops.sinc,
    np.polyval: elementwise.polyval,
    np.vander: elementwise.vander,
    np.nan_to_num: elementwise.nan_to_num,
    np.real: elementwise.real,
    np.imag: elementwise.imag,
    np.conjugate: elementwise.conjugate,
    np.real_if_close: elementwise.real_if_close,
    np.angle: elementwise.angle,
    # Sums and differences
    np.sum: ops.sum,
    np.mean: ops.mean,
    np.average: statistics.average,
    np.var: ops.var,
    np.std: ops.std,
    np.cov: statistics.cov,
    np.corrcoef: statistics.corrcoef,
    np.bincount: statistics.bincount,
    np.prod: ops.prod,
    np.cumsum: reductions.cumsum,
    np.cumprod: reductions.cumprod,
    np.cumulative_sum: reductions.cumulative_sum,
    np.cumulative_prod: reductions.cumulative_prod,
    np.diff: statistics.diff,
    np.ediff1d: statistics.ediff1d,
    np.gradient: statistics.gradient,
    np.trapezoid: statistics.trapezoid,
    np.interp: statistics.interp,
    # NaN left out
    np.nansum: reductions.nansum,
    np.nanprod: reductions.nanprod,
    np.nanmean: reductions.nanmean,
    np.nanvar: reductions.nanvar,
    np.nanstd: reductions.nanstd,
    np.nanmax: reductions.nanmax,
    np.nanmin: reductions.nanmin,
    np.nancumsum: reductions.nancumsum,
    np.nancumprod: reductions.nancumprod,
    np.nanmedian: statistics.nanmedian,
    np.nanquantile: statistics.nanquantile,
    np.nanpercentile: statistics.nanpercentile,
    # The largest and the smallest
    np.max: ops.max,
    np.amax: ops.max,
    np.min: ops.min,
    np.amin: ops.min,
    np.ptp: statistics.ptp,
    np.median: statistics.median,
    np.quantile: statistics.quantile,
    np.percentile: statistics.percentile,
    # Constants: no gradient flows through them
    np.argmax: ops.argmax,
    np.argmin: ops.argmin,
    np.argsort: parts.argsort,
    np.argpartition: parts.argpartition,
    np.searchsorted: ops.searchsorted,
    np.digitize: ops.digitize,
    np.nonzero: parts.nonzero,
    np.flatnonzero: parts.flatnonzero,
    np.argwhere: ops.argwhere,
    np.count_nonzero: ops.count_nonzero,
    np.any: ops.any,
    np.all: ops.all,
    np.zeros_like: ops.zeros_like,
    np.empty_like: ops.zeros_like,
    np.ones_like: ops.ones_like,
    np.full_like: parts.full_like,
    np.isclose: ops.isclose,
    np.bitwise_and: elementwise.bitwise_and,
    np.bitwise_or: elementwise.bitwise_or,
    np.bitwise_xor: elementwise.bitwise_xor,
    np.invert: elementwise.invert,
    # Questions, answered by plain numbers
    np.shape: questions.shape,
    np.ndim: questions.ndim,
    np.size: questions.size,
    np.allclose: questions.allclose,
    np.array_equal: questions.array_equal,
    np.array_equiv: questions.array_equiv,
    np.result_type: questions.result_type,
    np.can_cast: questions.can_cast,
    np.min_scalar_type: questions.min_scalar_type,
    np.shares_memory: questions.shares_memory,
    np.may_share_memory: questions.may_share_memory,
    np.iscomplexobj: questions.iscomplexobj,
    np.isrealobj: questions.isrealobj,
    np.isreal: questions.isreal,
    np.iscomplex: questions.iscomplex,
    np.isposinf: questions.isposinf,
    np.isneginf: questions.isneginf,
}

# What functions that mean an op mean with arguments that the op does not take.
MORE = {"where", "initial", "dtype", "correction"}
BEYOND: dict[Callable[..., Any], tuple[set[str], Any]] = {
    np.sum: (MORE, reductions.sum),
    np.prod: (MORE, reductions.prod),
    np.max: (MORE, reductions.max),
    np.amax: (MORE, reductions.max),
    np.min: (MORE, reductions.min),
    np.amin: (MORE, reductions.min),
    np.any: (MORE, reductions.any),
    np.all: (MORE, reductions.all),
    np.mean: (MORE, reductions.mean),
    np.var: (MORE, reductions.var),
    np.std: (MORE, reductions.std),
    np.reshape: ({"order", "copy"}, shapes.reshape),
    np.concatenate: ({"dtype", "casting"}, joins.concatenate),
    np.zeros_like: ({"dtype", "shape", "order", "subok"}, parts.zeros_like),
    np.empty_like: ({"dtype", "shape", "order", "subok"}, parts.zeros_like),
    np.ones_like: ({"dtype", "shape", "order", "subok"}, parts.ones_like),
}

# What methods of ufuncs mean.
METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {
    (np.add, "reduce"): reductions.sum,
    (np.multiply, "reduce"): reductions.prod,
    (np.maximum, "reduce"): reductions.max,
    (np.minimum, "reduce"): reductions.min,
    (np.logical_or, "reduce"): reductions.any,
    (np.logical_and, "reduce"): reductions.all,
    (np.logaddexp, "reduce"): ops.logsumexp,
    (np.add, "accumulate"): np.cumsum,
    (np.multiply, "accumulate"): np.cumprod,
}

for name, meaning in (("matvec", products.matvec), ("vecmat", products.vecmat)):
    if hasattr(np, name):  # from NumPy 2.2 on
        MEANING[getattr(np, name)] = meaning

TWINS.update({f: meaning for f, meaning in MEANING.items() if isinstance(meaning, Op)})
SPELLINGS.update({f: meaning for f, meaning in MEANING.items() if not isinstance(meaning, Op)})
