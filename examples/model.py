"""The network of the experiments: its layers, their first weights, standardised inputs, and its export."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygrad_steel import Tensor, export_onnx, no_grad, relu, scope

BOOK_SPREAD = 0.0030
MOST_LAYERS = 1000


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


def check_size(widths: list[int], rows: int = 0) -> None:
    """ValueError for layers without units, and for a network that memory cannot hold with so many rows."""
    if min(widths) < 1:
        raise ValueError(f"a layer has at least one unit, got widths {widths}")
    if len(widths) > MOST_LAYERS:
        raise ValueError(f"a network has at most {MOST_LAYERS} layers, not {len(widths)}")
    parameters = sum((before + 1) * after for before, after in itertools.pairwise(widths))
    # each with its gradient, what an optimizer remembers of it (2), and a copy to go back to
    needed = 8 * (5 * parameters + 2 * rows * max(widths))
    if needed > memory():
        raise ValueError(
            f"widths {widths} need {needed / 2**30:,.0f} GiB of memory, "
            f"and there are {memory() / 2**30:,.0f}"
        )


def parameter_shapes(widths: list[int]) -> dict[str, tuple[int, ...]]:
    """The parameters of a network by name: weight and bias of each layer, those of the output without a number."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (rows, columns) in enumerate(itertools.pairwise(widths), 1):
        mark = "" if i == len(widths) - 1 else f"_{i}"
        shapes |= {f"weight{mark}": (rows, columns), f"bias{mark}": (columns,)}
    return shapes


def memory() -> int:
    """How many bytes this machine has, or this process may take; 16 GiB where nobody says so."""
    found = 2**34
    with contextlib.suppress(AttributeError, ValueError, OSError):  # there is no sysconf on Windows
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(ValueError, OSError):  # a container's limit, or "max"
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return found


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
        check_size(self.widths)
        if init not in ("book", "he"):
            raise ValueError(f'init is "book" or "he", not {init!r}')
        self.scaling = Scaling.none(inputs)
        self.parameters: dict[str, Tensor] = {}
        for name, shape in parameter_shapes(self.widths).items():
            spread = BOOK_SPREAD if init == "book" else (2 / shape[0]) ** 0.5
            first = rng.normal(0, spread, shape) if len(shape) == 2 else np.zeros(shape)
            self.parameters[name] = Tensor(first, requires_grad=True, name=name)

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
