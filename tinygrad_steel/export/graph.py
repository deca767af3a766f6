"""An ONNX graph in the making: its nodes, constants and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.op import Op
from ..program.messages import call_of
from ..program.names import first_free
from ..program.values import VALUES, Apply, Constant, Value, exact

OPSET, IR = (
    18,
    8,
)  # of December 2022, known to onnxruntime since 1.14; later ones bring nothing that is used here


BOOL, INT, END = np.dtype(bool), np.dtype(np.int64), 2**63 - 1


def unmapped(y: Apply, names: Mapping[Value, str], within: Sequence[Op] = ()) -> TypeError:
    """What to tell somebody whose op has no mapping."""
    whole = f", a part of {within[0].name}," if within else ""
    return TypeError(
        f"{call_of(y, names)}{whole} has no ONNX mapping: write it with ops that have one "
        f"(tinygrad_steel.export.MAPPING lists them; an op of your own needs a forward that runs on Tensors), or "
        f"export what it is computed from"
    )


class Graph:
    """An ONNX graph in the making: its nodes and constants, and the name of each value.

    `fed`, `results`: its inputs and outputs. `axes`: the batch axes of values; `batch`: how they are called. `names`:
    what values are called, `arrays`: those of the leaves.
    """

    def __init__(
        self,
        onnx: Any,
        fed: Sequence[Value],
        results: Sequence[Value],
        axes: Mapping[Value, int | None],
        names: Mapping[Value, str],
        arrays: Mapping[Value, Any],
        batch: str | None,
    ):
        self.onnx, self.fed, self.results, self.axes, self.batch = onnx, fed, results, axes, batch
        self.names, self.arrays = names, arrays
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.taken: set[str] = set()
        self.dtypes: dict[str, np.dtype] = {}  # of values, by name
        self.values: dict[Any, str] = {(x, x.dtype): self.unique(names.get(x, "")) for x in fed}
        self.called = {y: self.unique(names.get(y, "output")) for y in results}

    def write(self, node: Apply, rule: str | Callable[..., Any]) -> None:
        """Append what computes a value: ONNX's op of that name, or what a rule makes of it."""
        self.name = self.called.get(node) or self.unique(self.names.get(node, node.op.name))
        result = self.add(rule, node, *node.inputs) if isinstance(rule, str) else rule(self, node)
        if self.dtypes[result] != node.dtype:
            self.emit("Cast", [result], node.dtype, to=self.type(node.dtype))
        self.nodes[-1].name = self.nodes[-1].output[0] = self.values[node, node.dtype] = self.name

    def add(self, kind: str, node: Apply, *inputs: Any, **attributes: Any) -> str:
        """Append an ONNX op with these inputs: values and numbers, brought to the dtype that it needs, and names."""
        take = give = (
            node.dtype if kind in MOVES else BOOL if kind in LOGIC else reckoned(node.dtype)
        )
        if kind in COMPARISONS:
            take = np.result_type(
                *(reckoned(x.dtype) if isinstance(x, VALUES) else x for x in node.inputs)
            )
        return self.emit(
            kind,
            [x if isinstance(x, str) else self.value(x, take) for x in inputs],
            give,
            **attributes,
        )

    def emit(self, kind: str, inputs: list[str], dtype: np.dtype, **attributes: Any) -> str:
        """Append an ONNX op and return the name of its result."""
        name = self.unique(f"{self.name}_{kind}")
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name, **attributes))
        self.dtypes[name] = BOOL if kind in COMPARISONS else dtype
        return name

    def value(self, x: Any, dtype: np.dtype) -> str:
        """The name of a value or a plain number in a dtype."""
        if not isinstance(x, VALUES):
            return self.constant(np.asarray(x, dtype))
        if (x, dtype) not in self.values:
            if not isinstance(x, Apply) and x not in self.fed:
                data = x.data if isinstance(x, Constant) else self.arrays[x]
                self.values[x, dtype] = self.constant(np.asarray(data, dtype), self.names.get(x))
            else:
                self.values[x, dtype] = self.emit(
                    "Cast", [self.value(x, x.dtype)], dtype, to=self.type(dtype)
                )
        return self.values[x, dtype]

    def constant(self, data: np.ndarray, name: str | None = None) -> str:
        """The name of an array that is part of the file; the same for equal ones without a name."""
        key = exact(data)
        if not name and key in self.values:
            return self.values[key]
        found = self.unique(name or "constant")
        self.constants.append(self.onnx.numpy_helper.from_array(data, found))
        if not name:
            self.values[key] = found
        return found

    def numbers(self, values: Any) -> str:
        """Axes, lengths and the like, which are inputs in ONNX."""
        return self.constant(np.array(values, INT))

    def lengths(self, node: Value, rows: Any) -> list[Any]:
        """The shape of a value, with `rows` for the batch axis."""
        return [rows if self.axes.get(node) == i else n for i, n in enumerate(node.shape)]

    def unique(self, name: str) -> str:
        """This name, or the next one that is not taken."""
        found = first_free([name], self.taken)
        self.taken.add(found)
        return found

    def type(self, dtype: np.dtype) -> int:
        """ONNX's number for a dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(dtype.newbyteorder("=")))

    def model(self) -> Any:
        """The whole as onnx's ModelProto."""
        helper = self.onnx.helper
        inputs, outputs = (
            [
                helper.make_tensor_value_info(
                    self.values[x, x.dtype], self.type(x.dtype), self.lengths(x, self.batch)
                )
                for x in nodes
            ]
            for nodes in (self.fed, self.results)
        )
        graph = helper.make_graph(self.nodes, "graph", inputs, outputs, self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR, producer_name="tinygrad_steel"
        )


def reckoned(dtype: np.dtype) -> np.dtype:
    """In what a runtime computes: floats as they are, all else in int64, for which every op has a kernel."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else INT


# The kinds by dtype; all others take and give that in which the result is reckoned.
COMPARISONS = {
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Equal",
    "IsNaN",
    "IsInf",
}  # give masks


LOGIC = {"And", "Or", "Not"}  # masks to masks


MOVES = {
    "Identity",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Slice",
    "Gather",
    "Concat",
}  # any dtype
