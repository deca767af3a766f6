"""What a mistake and a model are, and what each code of a reason means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_steel import Tensor

Step = Callable[[SimpleNamespace], Any]

# The codes of the reasons, in the order of the text books: factors, products, derivatives, sums.
CODES = {
    "missing-factor": "a factor that belongs to the step is left out",
    "extra-factor": "a factor stands in the step that does not belong there, or stands there twice",
    "sign": "the whole gradient, or one term of it, has the wrong sign",
    "batch-size": "an average is taken twice, not at all, or over the wrong count",
    "ddof": "a variance divides by n where the graph divides by n - 1, or the other way round",
    "transposed": "a matrix is not transposed, or too often, or a product is turned round",
    "elementwise-for-dot": "an elementwise product stands where a matrix product belongs",
    "dot-for-elementwise": "a matrix product stands where an elementwise product belongs",
    "wrong-axis": "a sum or a mean runs along the wrong axis, or along all of them",
    "broadcast-not-summed": "what was broadcast in the forward is not summed in the backward",
    "softmax-wrong-axis": "a softmax, or the sum in its derivative, runs along the wrong axis",
    "softmax-jacobian": "the derivative of softmax looks at each element alone",
    "missing-derivative": "the derivative of a function is left out: the gradient is handed on",
    "derivative-alone": "the derivative stands alone: the gradient that came is left out",
    "derivative-of-wrong-argument": "the right derivative is taken at the wrong place",
    "wrong-derivative": "the derivative of another function, or the function itself, is taken",
    "divided-not-multiplied": "the step divides by the derivative instead of multiplying with it",
    "other-value": "another value, or another gradient, is used in place of the right one",
    "where-swapped": "the sides of a choice are swapped, or its condition is another one",
    "leaky-slope": "the slope on the negative side is left out, or is another number",
    "dropout-mask": "the mask of a dropout is left out, or its scale",
    "missing-term": "one of several terms of the gradient is left out",
    "fan-out-overwritten": "the gradient of a later use replaces that of an earlier one",
    "counted-twice": "a part of the gradient is sent on more than once",
    "tied-use-missing": "of a weight used in several places, one use is left out",
    "index-assigned": "the gradients of an element that is taken twice are not added up",
    "norm-mean-constant": "mean or variance of a normalization are held constant",
    "l2-missing": "the term of the weight decay is left out",
    "l2-rate": "the term of the weight decay has another rate",
    "l2-on-bias": "the bias is decayed too, which the loss does not do",
    "one-column-differs": "a column, a row or an element is treated as another kind",
    "one-sample": "one sample stands for all of them",
    "labels-off-by-one": "labels that count from 1 are taken to count from 0, or are shifted",
    "already-updated": "a weight has been updated before the gradient through it is taken",
    "not-the-gradient": "something else than a gradient is handed over: a weight, zeros",
}


@dataclass(frozen=True, eq=False)
class Model:
    """A small model: its graph, and the right chain by hand.

    `graph` makes the loss and the named Tensors; `steps` are the gradients from the loss backwards,
    each computed from all values and the gradients before it.
    """

    name: str
    graph: Callable[[Draw], tuple[Tensor, dict[str, Any]]]
    steps: Mapping[str, Step]

    def build(self, dtype: Any = float, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its named Tensors."""
        loss, variables = self.graph(Draw(np.random.default_rng(seed), dtype))
        return loss, {k: v for k, v in variables.items() if isinstance(v, Tensor)}

    def chain(
        self, names: Mapping[str, Tensor], wrong: Mapping[str, Step] | None = None
    ) -> dict[str, np.ndarray]:
        """The gradients by hand, where `wrong` replaces steps, and later ones follow from it.

        Where nobody can go on with a wrong shape, the right gradient is taken.
        """
        values = {name: tensor.data for name, tensor in names.items()}
        theirs, fitting = SimpleNamespace(**values), SimpleNamespace(**values)
        found = {}
        with np.errstate(all="ignore"):
            for name, right in self.steps.items():
                step, should_be = (wrong or {}).get(name, right), right(fitting)
                try:
                    g = step(theirs)
                except ValueError:
                    g = step(fitting)
                found[name] = np.asarray(g, should_be.dtype)
                setattr(theirs, name, found[name])
                fits = found[name].shape == should_be.shape
                setattr(fitting, name, found[name] if fits else should_be)
        return found


@dataclass(frozen=True)
class Draw:
    """Random arrays for a model."""

    rng: np.random.Generator
    dtype: Any

    def data(self, *shape: int) -> Tensor:
        """An input, or a target."""
        return Tensor(self.rng.normal(size=shape).astype(self.dtype))

    def leaf(self, *shape: int) -> Tensor:
        """A parameter."""
        data = self.rng.normal(0, 0.6, shape).astype(self.dtype)
        return Tensor(data, requires_grad=True)

    def constant(self, values: Any) -> Tensor:
        """Given numbers."""
        return Tensor(np.array(values, self.dtype))

    def one_hot(self, rows: int, classes: int) -> Tensor:
        """Labels: each class at least once, the rest by chance."""
        drawn = self.rng.integers(0, classes, rows - classes)
        return self.constant(np.eye(classes)[np.concatenate([np.arange(classes), drawn])])


@dataclass(frozen=True, eq=False)
class Mistake:
    """A mistake that somebody has made in public.

    `where`: the address of the thread. `wrong`: the steps that differ. `says`: what an exact reason
    must contain, by what the mistake is; `from_leaves`: the same where leaves alone are handed
    over, if these cannot tell it from another one, which is then named with its place. `place`:
    the first wrong gradient.
    """

    title: str
    where: str
    model: Model
    wrong: Mapping[str, Step]
    code: str
    says: tuple[str, ...]
    from_leaves: tuple[str, ...] = ()
    place: str = field(init=False)

    def __post_init__(self) -> None:
        first = next(step for step in self.model.steps if step in self.wrong)
        object.__setattr__(self, "place", first)


def softmax(z: np.ndarray, axis: int = -1) -> np.ndarray:
    """Shares of the whole along an axis."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def each(like: np.ndarray, number: float) -> np.ndarray:
    """An array of one number."""
    return np.full_like(like, number)
