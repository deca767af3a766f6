"""Cells of recurrent layers: from the input of one time step and the state before it to the state after it.

The chapters unroll them in a loop, and compile for one number of steps, into NumPy calls: 39 steps of 32 units take
0.2 s to compile. As machine code they take more than a minute, and their steps are no faster.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from layers import Parameters

from tinygrad_steel import Tensor, scope, sigmoid


def recurrent(
    rng: np.random.Generator, name: str, inputs: int, units: int, gates: int = 1
) -> Parameters:
    """The parameters of a cell: weights from normal(0, 1 / sqrt(inputs)), biases of 0.

    The forget gate of an LSTM, the first of its four, begins with a bias of 1: it remembers until it learns to forget.
    """
    weight = rng.normal(0, inputs**-0.5, (inputs, gates * units))
    state_weight = rng.normal(0, units**-0.5, (units, gates * units))
    bias = np.zeros(gates * units)
    if gates == 4:
        bias[:units] = 1
    arrays = {"weight": weight, "state_weight": state_weight, "bias": bias}
    return {
        f"{name}_{key}": Tensor(values, requires_grad=True, name=f"{name}_{key}")
        for key, values in arrays.items()
    }


def affine(p: Parameters, name: str, x: Tensor, state: Tensor) -> Tensor:
    """What every gate starts from. One product of `[x, state]` would be the same number."""
    return x @ p[f"{name}_weight"] + state @ p[f"{name}_state_weight"] + p[f"{name}_bias"]


def rnn_cell(p: Parameters, name: str, x: Tensor, state: Tensor) -> Tensor:
    """The state after this time step."""
    return np.tanh(affine(p, name, x, state))


def lstm_cell(
    p: Parameters, name: str, x: Tensor, state: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """State and memory after this time step (Hochreiter and Schmidhuber, 1997; forget gate by Gers et al., 2000)."""
    forget, write, show, news = np.hsplit(affine(p, name, x, state), 4)
    memory = sigmoid(forget) * memory + sigmoid(write) * np.tanh(news)
    state = sigmoid(show) * np.tanh(memory)
    return state, memory


def start(p: Parameters, name: str) -> Tensor:
    """The state before the first time step: zeros, in one row that fits every batch."""
    return Tensor(np.zeros((1, len(p[f"{name}_state_weight"]))), name="start")


def step(t: int) -> AbstractContextManager[None]:
    """The scope of a time step. The first has a name of its own: where the others are folded, it shows the cell."""
    return scope(f"step[{t}]" if t else "first step")
