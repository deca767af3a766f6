"""Which readers and arrays take an op: tried on its own samples, with its gradients, and compared with eager mode."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from every_op import call, tensors

from tinygrad_steel import Tensor, compile_backprop, export_onnx
from tinygrad_steel.compiled.loops import as_loops
from tinygrad_steel.ops.op import Op
from tinygrad_steel.ops.samples import Sample
from tinygrad_steel.verify.case import random_weights


def loss_of(o: Op, sample: Sample) -> tuple[Tensor, list[Tensor]]:
    """A loss behind the op, and what its gradients are wanted of."""
    xs = tensors(sample.inputs)
    y = call(o, xs, sample.params)
    weighted = np.sum(y * random_weights(y.shape, 0))
    if y.requires_grad:
        return weighted, [x for x in xs if x.requires_grad]
    # A constant, that of a named input, is there as a factor of a parameter
    xs = [Tensor(x, name=f"x{i}") for i, x in enumerate(sample.inputs)]
    y, p = call(o, xs, sample.params), Tensor(1.5, requires_grad=True, name="p")
    return p * np.sum(y * random_weights(y.shape, 0)), [p]


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    """Those of eager mode."""
    loss.backward()
    found = [np.asarray(x.grad) for x in leaves]
    for x in leaves:
        x.grad = None
    return found


class Differs(Exception):
    """Something else comes out than in eager mode: a fault, and no refusal."""


class OtherSigns(Differs):
    """Only signs differ, which are free in the columns of a decomposition."""


def agree(found: list[Any], expected: list[Any]) -> bool:
    """True where all arrays are the same, but for rounding; else an error."""
    for a, b in zip(map(np.asarray, found), map(np.asarray, expected), strict=True):
        if a.shape != b.shape or not close(abs(a), abs(b)):
            raise Differs(f"{a} in place of {b}")
        if not close(a, b):
            raise OtherSigns(f"{a} in place of {b}")
    return True


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether numbers are the same, but for rounding."""
    return np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)


def works(trial: Callable[..., bool], *given: Any) -> bool:
    """Whether a trial ends well; what refuses does not work, and says so by an error of any kind."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return trial(*given)
        except (Differs, ImportError):  # that a library is missing says nothing about the op
            raise
        except Exception:  # as other libraries raise whatever they like
            return False


def steps_agree(o: Op, sample: Sample, backend: str) -> bool:
    """Whether a compiled step gives loss and gradients of eager mode."""
    loss, leaves = loss_of(o, sample)
    expected = [loss.item(), *gradients(loss, leaves)]
    step = compile_backprop(loss, backend=backend)
    given = {f"x{i}": x for i, x in enumerate(sample.inputs)}
    found = step(**{name: given[name] for name in step.arguments})
    return agree([found, *(x.grad for x in leaves)], expected)


def is_in_loops(o: Op, sample: Sample) -> bool:
    """Whether op and gradients are machine code, without a call of NumPy between loops."""
    loss, _ = loss_of(o, sample)
    loops = as_loops(compile_backprop(loss, backend="numpy").program)
    return len(loops.segments) == 1


def compiled(o: Op) -> str:
    """How a step with the op is compiled; that numba computes the same, tests/compiled/ proves."""
    if not works(steps_agree, o, o.samples[0], "numpy"):
        return "no"
    loops = [works(is_in_loops, o, sample) for sample in o.samples]
    if all(loops):
        return "in loops"
    return "in loops and calls of NumPy" if any(loops) else "by calls of NumPy"


def in_jax(o: Op) -> str:
    """Whether a step with the op runs in jax."""
    return "yes" if works(steps_agree, o, o.samples[0], "jax") else "no"


def exports(o: Op, sample: Sample) -> bool:
    """Whether onnxruntime computes the same from a file."""
    onnxruntime = importlib.import_module("onnxruntime")
    xs = [Tensor(x, name=f"x{i}") for i, x in enumerate(sample.inputs)]
    y = call(o, xs, sample.params)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "op.onnx"
        export_onnx(y, file, xs, batch=None)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = zip(session.get_inputs(), sample.inputs, strict=True)
    return agree(session.run(None, {x.name: data for x, data in inputs}), [y.data])


def lazy(o: Op, sample: Sample, pieces: int) -> bool:
    """Whether result and gradients of arrays in so many pieces are lazy, and those of eager mode."""
    dask = importlib.import_module("dask.array")

    def in_chunks(x: np.ndarray) -> Any:
        rows = [max(1, -(-n // pieces)) for n in x.shape[:1]]
        return dask.from_array(x, chunks=(*rows, *x.shape[1:]))

    found = []
    for kind in (np.array, in_chunks):
        xs = [Tensor(kind(x), requires_grad=x.dtype.kind == "f") for x in sample.inputs]
        y = call(o, xs, sample.params)
        results = [y.data]
        if y.requires_grad:
            y.backward(kind(np.random.default_rng(7).normal(size=y.shape)))
            results += [x.grad for x in xs if x.requires_grad]
        found.append(results)
    eager, of_dask = found
    return all(isinstance(x, dask.Array) for x in of_dask) and agree(of_dask, eager)


def in_onnx(o: Op) -> str:
    """Whether the op can be exported."""
    return how_many(works(exports, o, sample) for sample in o.samples)


def in_dask(o: Op) -> str:
    """Whether the op follows lazy arrays, of several chunks or of one."""
    try:
        found = how_many(works(lazy, o, sample, 2) for sample in o.samples)
    except OtherSigns:
        return "with other signs"
    if found == "yes":
        return found
    whole = how_many(works(lazy, o, sample, 1) for sample in o.samples)
    return "in one chunk" if whole == "yes" else whole


def how_many(found: Iterable[bool]) -> str:
    """Whether all trials of an op ended well, or some."""
    ends = [*found]
    return "yes" if all(ends) else "in part" if any(ends) else "no"


TRIALS: dict[str, Callable[[Op], str]] = {
    "compiled": compiled,
    "jax": in_jax,
    "ONNX": in_onnx,
    "Dask": in_dask,
}
