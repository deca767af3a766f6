"""Layers as plain functions of a dict of parameters; the scopes are for the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tinygrad_steel import Tensor, conv2d, scope

Parameters = dict[str, Tensor]
Activation = Callable[[Tensor], Tensor] | None


def he(rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
    """Parameters by name: weights and kernels from normal(0, sqrt(2 / inputs)) (He et al., 2015), biases of 0."""
    parameters = {}
    for name, shape in shapes.items():
        *inputs, _ = shape
        values = rng.normal(0, np.sqrt(2 / np.prod(inputs)), shape) if inputs else np.zeros(shape)
        parameters[name] = Tensor(values, requires_grad=True, name=name)
    return parameters


def fixed(p: Parameters) -> Parameters:
    """The same arrays as Tensors that nothing trains: a gradient goes through what is made of them, and not to them."""
    return {name: Tensor(t.data, name=name) for name, t in p.items()}


def dense(p: Parameters, name: str, x: Tensor, activation: Activation = None) -> Tensor:
    """A layer in which all inputs of a row meet all outputs."""
    with scope(name):
        y = x @ p[f"{name}_weight"] + p[f"{name}_bias"]
        return activation(y) if activation else y


def convolution(
    p: Parameters,
    name: str,
    x: Tensor,
    activation: Activation = None,
    stride: int | tuple[int, int] = 1,
    padding: str = "same",
) -> Tensor:
    """A layer in which one kernel meets every window of the images; the bias is one for each channel."""
    with scope(name):
        y = conv2d(x, p[f"{name}_kernel"], stride, padding) + p[f"{name}_bias"]
        return activation(y) if activation else y


def flat(x: Tensor) -> Tensor:
    """Each row of the batch as one vector."""
    return x.reshape(len(x), -1)
