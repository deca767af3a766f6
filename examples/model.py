"""The network of the experiments: its layers, their first weights, standardised inputs, and its file."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_steel import Tensor, no_grad, relu, scope

BOOK_SPREAD = 0.0030


class Scaling(NamedTuple):
    """How inputs are standardised: by the mean and the standard deviation of each column of the training rows."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scaling:
        """That of these rows."""
        return cls(rows.mean(axis=0), rows.std(axis=0))

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
        self, inputs: int, hidden: Iterable[int], outputs: int, rng: np.random.RandomState, init: str = "book"
    ):
        self.widths = [inputs, *hidden, outputs]
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
            self.parameters[f"weight{mark}"] = Tensor(weight, requires_grad=True, name=f"weight{mark}")
            self.parameters[f"bias{mark}"] = Tensor(np.zeros(columns), requires_grad=True, name=f"bias{mark}")

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer, the output last."""
        found = [*self.parameters.values()]
        return [*zip(found[::2], found[1::2])]

    def __call__(self, x: Tensor, output_layer: Callable[..., Tensor], explained: bool = False) -> Tensor:
        """The output for a batch; `explained`: with the scopes that a picture shows."""
        *hidden, (weight, bias) = self.layers
        for i, (w, b) in enumerate(hidden):
            with scope(f"hidden[{i}]") if explained else contextlib.nullcontext():
                x = relu(x @ w + b)
        return output_layer(x, weight, bias)

    def predict(self, x: np.ndarray, output_layer: Callable[..., Tensor]) -> np.ndarray:
        """The output for inputs as they come from the table."""
        with no_grad():
            return self(Tensor(self.scaling(x)), output_layer).numpy()

    def save(self, file: str | Path, **settings: Any) -> None:
        """Write parameters, scaling and settings into an .npz file, in which nothing is pickled."""
        arrays = {f"parameter {name}": p.data for name, p in self.parameters.items()}
        text = json.dumps({**settings, "widths": self.widths})
        with open(file, "wb") as f:  # as np.savez would add a suffix of its own
            np.savez(f, mean=self.scaling.mean, std=self.scaling.std, settings=np.array(text), **arrays)

    def load(self, file: str | Path, **settings: Any) -> None:
        """Take parameters and scaling from a file; ValueError where names, shapes or these settings differ."""
        try:
            with np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            kept = json.loads(str(arrays.pop("settings")))
            scaling = Scaling(arrays.pop("mean"), arrays.pop("std"))
        except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{file} is not a model saved by these examples: {error}") from error
        for name, value in {**settings, "widths": self.widths}.items():
            if kept.get(name) != value:
                raise ValueError(f"{file} has {name} {kept.get(name)!r}, this run has {value!r}")
        shapes = {f"parameter {name}": p.shape for name, p in self.parameters.items()}
        given = {name: x.shape for name, x in arrays.items()}
        if given != shapes:
            raise ValueError(f"{file} has {given}, this model has {shapes}")
        for name, p in self.parameters.items():
            p.data = arrays[f"parameter {name}"]
        self.scaling = scaling
