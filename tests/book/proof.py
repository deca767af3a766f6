"""What proves a layer: a model on Tensors, its backward chained by hand, and both from the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from helpers import close, differences, leaf

from tinygrad_steel import Tensor, compare_backprop, no_grad

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Proof:
    """A model and a chain, which say the same if both are right.

    `model` takes Tensors and gives the loss. `chain` takes arrays and gives the loss and the gradients as `G_name`; it
    comes from the mathematics and calls nothing of the library. `given` is for both: labels, masks, random gradients.
    """

    name: str
    model: Callable[..., Any]
    chain: Callable[..., tuple[Any, Arrays]]
    leaves: Arrays
    given: dict[str, Any] = field(default_factory=dict)

    def traced(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the leaves that it comes from."""
        tensors = {name: leaf(array, name=name) for name, array in self.leaves.items()}
        return self.model(**tensors, **self.given), tensors

    def graph(self) -> tuple[float, Arrays]:
        """The loss and the gradients that come from the graph."""
        loss, tensors = self.traced()
        loss.backward()
        return loss.item(), {f"G_{name}": tensor.grad for name, tensor in tensors.items()}

    def by_hand(self) -> tuple[float, Arrays]:
        """The loss and the gradients that the chain gives."""
        return self.chain(**self.leaves, **self.given)

    def report(self, gradients: Arrays) -> Any:
        """What `compare_backprop` says of gradients handed over."""
        loss, _ = self.traced()
        return compare_backprop(loss, **gradients)

    def by_differences(self, name: str) -> np.ndarray:
        """The gradient of one leaf from values of the loss alone."""

        def loss(array):
            arrays = {**self.leaves, name: array}
            with no_grad():
                return self.model(**{n: Tensor(a) for n, a in arrays.items()}, **self.given).item()

        return differences(loss, self.leaves[name], h=1e-6)


def assert_same(actual: Arrays, expected: Arrays, tolerance: float) -> None:
    """Each gradient within this much of its largest element."""
    assert actual.keys() == expected.keys()
    for name, right in expected.items():
        close(actual[name], right, rtol=0, atol=tolerance * max(1e-3, np.abs(right).max()))


def weighted(y: Any, G_y: np.ndarray) -> Any:
    """A loss whose gradient with respect to `y` is `G_y`."""
    return np.sum(y * G_y)


def draws(seed: int, **shapes: tuple[int, ...]) -> Arrays:
    """Normal numbers of these shapes, by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}
