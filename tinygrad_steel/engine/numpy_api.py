"""What NumPy's functions mean on Tensors: MEANING, the table at the end, says it for each.

A function means either an op with the same arguments, or a spelling, which puts its answer together
from ops, or answers without any; spellings stand by theme in the files numpy_*.py. A spelling takes
NumPy's own arguments; an argument that it leaves out raises a TypeError that names it. Ufuncs need
no row: `np.exp` means the op whose forward it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import SPELLINGS, TWINS, Op
from . import numpy_algebra as algebra
from . import numpy_elements as elements
from . import numpy_elementwise as elementwise
from . import numpy_joins as joins
from . import numpy_products as products
from . import numpy_questions as questions
from . import numpy_shapes as shapes
from . import numpy_sums as sums


def twin(function: Any) -> Op:
    """The op that stands for a NumPy function; TypeError where there is none."""
    if function in TWINS:
        return TWINS[function]
    name = function.__name__
    if hasattr(function, "__module__"):
        name = f"{function.__module__}.{name}"
    raise TypeError(
        f"{name} has no registered op, so its gradient is not known: write it with functions that "
        f"have one (tinygrad_steel.OPS lists them), register it with "
        f"tinygrad_steel.op(..., twins=[{name}]), or take t.numpy() where no gradient is wanted"
    )


MEANING: dict[Callable[..., Any], Op | Callable[..., Any]] = {
    # Another shape or order
    np.reshape: ops.reshape,
    np.ravel: shapes.ravel,
    np.squeeze: ops.squeeze,
    np.expand_dims: ops.expand_dims,
    np.atleast_1d: shapes.atleast_1d,
    np.atleast_2d: shapes.atleast_2d,
    np.transpose: shapes.transpose,
    np.swapaxes: ops.swapaxes,
    np.moveaxis: shapes.moveaxis,
    np.flip: shapes.flip,
    np.broadcast_to: ops.broadcast_to,
    np.copy: shapes.copy,
    # Put together and taken apart
    np.concatenate: ops.concatenate,
    np.stack: ops.stack,
    np.vstack: joins.vstack,
    np.hstack: joins.hstack,
    np.column_stack: joins.column_stack,
    np.split: joins.split,
    # Some of the elements
    np.take: elements.take,
    np.where: ops.where,
    np.clip: elements.clip,
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
    np.linalg.cond: algebra.cond,
    np.linalg.matrix_rank: algebra.matrix_rank,
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
    np.nan_to_num: elementwise.nan_to_num,
    # Sums and differences
    np.sum: ops.sum,
    np.mean: ops.mean,
    np.average: sums.average,
    np.var: ops.var,
    np.std: ops.std,
    np.prod: ops.prod,
    np.trace: sums.trace,
    np.cumsum: sums.cumsum,
    np.diff: sums.diff,
    # The largest and the smallest
    np.max: ops.max,
    np.amax: ops.max,
    np.min: ops.min,
    np.amin: ops.min,
    # Constants: no gradient flows through them
    np.argmax: ops.argmax,
    np.argmin: ops.argmin,
    np.any: ops.any,
    np.all: ops.all,
    np.zeros_like: ops.zeros_like,
    np.ones_like: ops.ones_like,
    np.full_like: ops.full_like,
    np.isclose: ops.isclose,
    # Questions, answered by plain numbers
    np.shape: questions.shape,
    np.ndim: questions.ndim,
    np.size: questions.size,
    np.allclose: questions.allclose,
    np.array_equal: questions.array_equal,
}

for name, meaning in (("matvec", products.matvec), ("vecmat", products.vecmat)):
    if hasattr(np, name):  # from NumPy 2.2 on
        MEANING[getattr(np, name)] = meaning

TWINS.update({f: meaning for f, meaning in MEANING.items() if isinstance(meaning, Op)})
SPELLINGS.update({f: meaning for f, meaning in MEANING.items() if not isinstance(meaning, Op)})
