"""`export_onnx`: the forward of a graph as a file that runs without Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.gradients import listed
from ..engine.reads import refuse_reads
from ..engine.tensor import Tensor
from ..ops.norms import batch_norm
from ..ops.op import Op, describe
from ..program.ancestors import ancestors
from ..program.draws import refuse_draws
from ..program.given_names import Names
from ..program.parts import SIMPLER, Arrays, parts_of
from ..program.rewrite import rebuild
from ..program.trace import Traced, trace_forward
from ..program.values import Apply, Program, Value, alias, apply, behind, only
from .batch import batch_axes
from .graph import Graph, unmapped
from .images import NARROW
from .mapping import FLOATS, MAPPING, PARTS


def export_onnx(
    output: Tensor | Sequence[Tensor],
    file: str | Path,
    inputs: Tensor | Sequence[Tensor],
    names: Names = None,
    batch: str | None = "batch",
) -> None:
    """Write how some Tensors are computed from inputs into an ONNX file, checked by onnx before.

    Parameters
    ----------
    output : Tensor or sequence of Tensor
        What the file computes.
    file : str or path
        Where to write it.
    inputs : Tensor or sequence of Tensor
        The leaves, with names, that the file's user supplies. All other leaves go into the file with
        the numbers that they have now: parameters, constants, what was detached or computed in
        no_grad().
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`. An output without any is called
        `output`, and a name that is taken becomes `name_2`.
    batch : str or None
        The name of the first axis of those inputs that are as long as the first of them: the file
        takes any number of rows. With None it takes exactly as many as were traced.

    Raises
    ------
    ImportError
        Where onnx is not installed.
    TypeError
        For an op that ONNX does not have, and neither its parts; for one that draws random numbers;
        for longdouble; and where Python has read a number that comes from an input (`if t > 0`,
        `rows[t]`).
    ValueError
        For an input that has no name, is no leaf or leads to no output; and with a `batch`, for a
        graph that takes rows together (a mean over the batch) or needs as many as were traced, as a
        number of rows written into the file could be wrong.

    Notes
    -----
    The file is of opset 18. An op without a counterpart there, such as one of your own, is written as
    the parts of its forward. Shapes and dtypes stay what they are: float64 is a double there too.
    Integers and masks are reckoned in int64. On NaNs, max, min and argmax are up to the runtime.
    onnxruntime before 1.32 optimises some float64 graphs wrongly, x * sigmoid(x) for one: load them
    there with ORT_ENABLE_BASIC.

    With a `batch`, `reshape(x, (len(x), ...))` is understood. A plain number that Python made of the
    number of rows, as in `x / len(x)`, cannot be told from others: it stays as it is.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from tinygrad_steel import Tensor, export_onnx
    >>> x, weight = Tensor([[1.0, 2.0]], name="x"), Tensor([[3.0], [4.0]], name="weight")
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "model.onnx"
    ...     export_onnx(x @ weight, file, x)
    ...     b"weight" in file.read_bytes()
    True
    """
    onnx = find_onnx()
    outputs, inputs = listed(output), listed(inputs)
    with np.errstate(all="ignore"):
        traced = traced_outputs(outputs, inputs, names)
        fed = [traced.made[x] for x in inputs]
        program, called = in_mapped_ops(traced, outputs)
        is_normed = any(y.op is batch_norm for y in traced.program.applies)
        axes = batch_axes(program, fed, traced.arrays, called, is_normed) if batch else {}
    graph = Graph(onnx, fed, program.results, axes, called, traced.arrays, batch)
    for y in program.applies:
        graph.write(y, MAPPING[y.op])
    model = graph.model()
    onnx.checker.check_model(model, full_check=True)
    Path(file).write_bytes(model.SerializeToString())


def find_onnx() -> Any:
    """The module onnx; an ImportError that says how to install it where it is missing."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('ONNX files need onnx: pip install "tinygrad_steel[onnx]"') from error
    return onnx


def traced_outputs(outputs: Sequence[Tensor], inputs: Sequence[Tensor], names: Names) -> Traced:
    """How the outputs are computed; TypeError and ValueError for what cannot be exported."""
    for t in (*outputs, *inputs):
        if not isinstance(t, Tensor):
            raise TypeError(f"outputs and inputs are Tensors, not {type(t).__name__}")
    past = ancestors(outputs)
    for t in past:
        if t.dtype.kind == "f" and t.dtype.itemsize > 8:
            raise TypeError(f"{describe(t)}: ONNX has no such dtype, take float64 or float32")
        refuse_draws(t, "the file")
    if any(t.op is not None for t in outputs):
        refuse_reads(outputs, inputs, "the file would keep that number")
    for x in inputs:
        # Without a name, what is computed from it may be recorded as a constant.
        if x.op is not None or not x.name:
            raise ValueError(
                f'an input is a leaf with a name, as in Tensor(data, name="x"), not {x!r:.80}'
            )
        if x not in {*past}:
            raise ValueError(
                f"no output depends on {describe(x)}: "
                f"compute it from this very Tensor, outside no_grad()"
            )
    return trace_forward(outputs[0], names, outputs[1:])


def in_mapped_ops(traced: Traced, outputs: Sequence[Tensor]) -> tuple[Program, dict[Value, str]]:
    """The program in ops that have a mapping, each output the result of an op of its own, and what values are called.

    TypeError for an op that has no mapping, and neither have its parts.
    """
    arrays = Arrays(traced.arrays)

    def rule(y: Apply, kept: Any, within: tuple[Op, ...] = ()) -> Value:
        if has_mapping(y):
            return y
        found = parts_of(y, in_simpler_terms(y.op), arrays)
        if found is None:
            raise unmapped(y, traced.names, within)
        outside = behind(y.values())
        inside = tuple(x for x in behind([found]) if isinstance(x, Apply) and x not in outside)
        whole = Program((), inside, (found,))
        return rebuild(whole, lambda part, kept: rule(part, kept, (*within, y.op)))[0].results[0]

    program = only(traced.program, [traced.made[t] for t in outputs])
    program, moved = rebuild(program, rule)
    names: dict[Value, str] = {}
    for x, name in traced.names.items():
        names.setdefault(moved.get(x, x), name)
    results: list[Value] = []
    for t in outputs:
        old = traced.made[t]
        y = moved.get(old, old)
        # ONNX wants each output to be the result of a node of its own.
        if not isinstance(y, Apply) or y in results:
            y = apply(alias, (y,), {}, y)
            names[y] = names.get(old) or traced.names.get(old, "output")
        results.append(y)
    applies = [y for y in behind(results) if isinstance(y, Apply)]
    return Program(program.leaves, tuple(applies), tuple(results)), names


def in_simpler_terms(op: Op) -> Callable[..., Any]:
    """A function of arrays that does what the op does."""
    if op in NARROW:
        return NARROW[op][1]
    return PARTS.get(op) or SIMPLER.get(op, op.forward)


def has_mapping(y: Apply) -> bool:
    """Whether ONNX has the op for the dtypes of its inputs, and runtimes as well."""
    if y.op in NARROW and y.dtype.char not in NARROW[y.op][0]:
        return False
    integers = all(x.dtype.kind != "f" for x in y.values())
    return y.op in MAPPING and not (integers and MAPPING[y.op] in FLOATS)
