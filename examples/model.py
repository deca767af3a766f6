"""The network of the experiments: its layers, their first weights, standardised inputs, and its export."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygrad_steel import Tensor, export_onnx, no_grad, relu, scope

BOOK_SPREAD = 0.0030


class Scaling(NamedTuple):
    """How inputs are standardised: by the mean and the standard deviation of each column of the training rows."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scaling:
        """That of these rows."""
        # a constant column's std need not be 0: the mean of many 0.1 is not quite 0.1
        constant = rows.min(axis=0) == rows.max(axis=0)
        return cls(rows.mean(axis=0), np.where(constant, 0.0, rows.std(axis=0)))

    @classmethod
    def none(cls, columns: int) -> Scaling:
        """That leaves inputs as they are."""
        return cls(np.zeros(columns), np.ones(columns))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """These inputs standardised; a column that was constant becomes 0."""
        flat = self.std == 0
        return np.where(flat, 0.0, (x - self.mean) / np.where(flat, 1.0, self.std))


class Model:
    """Hidden layers with relu, then a linear output: `parameters` by name, drawn from `rng` in that order.

    `init`: "book" draws weights from normal(0, 0.0030), "he" from normal(0, sqrt(2 / inputs)) (He et al., 2015), which
    suits relu. Biases begin at 0. Raises ValueError for a width below 1 and an unknown `init`.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Iterable[int],
        outputs: int,
        rng: np.random.RandomState,
        init: str = "book",
    ):
        self.widths = [int(width) for width in (inputs, *hidden, outputs)]
        if min(self.widths) < 1:
            raise ValueError(f"a layer has at least one unit, got widths {self.widths}")
        if init not in ("book", "he"):
            raise ValueError(f'init is "book" or "he", not {init!r}')
        self.scaling = Scaling.none(inputs)
        self.parameters: dict[str, Tensor] = {}
        last = len(self.widths) - 2
        for i, (rows, columns) in enumerate(zip(self.widths, self.widths[1:])):
            mark = "" if i == last else f"_{i + 1}"
            spread = BOOK_SPREAD if init == "book" else (2 / rows) ** 0.5
            weight = rng.normal(0, spread, (rows, columns))
            self.parameters[f"weight{mark}"] = Tensor(
                weight, requires_grad=True, name=f"weight{mark}"
            )
            self.parameters[f"bias{mark}"] = Tensor(
                np.zeros(columns), requires_grad=True, name=f"bias{mark}"
            )

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer, the output last."""
        found = [*self.parameters.values()]
        return [*zip(found[::2], found[1::2])]

    def __call__(
        self, x: Tensor, output_layer: Callable[..., Tensor], explained: bool = False
    ) -> Tensor:
        """The output for a batch; `explained`: with the scopes and names that a picture shows."""
        *hidden, (weight, bias) = self.layers
        for i, (w, b) in enumerate(hidden):
            with scope(f"hidden[{i + 1}]") if explained else contextlib.nullcontext():
                x = relu(x @ w + b)
            if explained:
                x.name = f"hidden_{i + 1}"
        return output_layer(x, weight, bias)

    def predict(self, x: np.ndarray, output_layer: Callable[..., Tensor]) -> np.ndarray:
        """The output for inputs as they come from the table."""
        with no_grad():
            return self(Tensor(self.scaling(x)), output_layer).numpy()

    def export(
        self,
        file: str | Path,
        output_layer: Callable[..., Tensor],
        prediction: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Write scaling, network and `prediction` (softmax, sigmoid, or None) as an ONNX file.

        Its input `x` are rows as they come from the table, as many as wanted, its result is `output`, both float64.
        """
        x = Tensor(np.zeros((2, self.widths[0])), name="x")
        scaled = np.any(self.scaling.mean != 0) or np.any(self.scaling.std != 1)
        output = self(self.scaling(x) if scaled else x, output_layer)
        if prediction is not None:
            output = prediction(output)
        output.name = "output"
        export_onnx(output, file, inputs=x, names=self.scaling._asdict())
