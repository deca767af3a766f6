"""The networks of `networks.py` in the words of other libraries, as their own documentation writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import STEPS, UNITS
from workloads import Workload

# PyTorch: of the module, the workload, the data and the parameters, the loss


def torch_autoencoder(torch: Any, workload: Workload, x: Any, y: Any, parameters: Any) -> Any:
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        x = torch.relu(torch.addmm(bias, x, weight))
    return torch.nn.functional.mse_loss(torch.addmm(parameters[-1], x, parameters[-2]), y)


def torch_lstm(torch: Any, workload: Workload, x: Any, y: Any, parameters: Any) -> Any:
    """Cell by cell: the products with x at once, the gates by unbind and split, which send one gradient back."""
    of_x, of_h, bias, weight, shift = parameters
    h = state = x.new_zeros(len(x), UNITS)
    for inner in (x @ of_x + bias).unbind(1):
        new, gates = torch.addmm(inner, h, of_h).split([UNITS, 3 * UNITS], dim=1)
        take, keep, show = torch.sigmoid(gates).chunk(3, dim=1)
        state = keep * state + take * torch.tanh(new)
        h = show * torch.tanh(state)
    return torch.nn.functional.cross_entropy(h @ weight + shift, y)


def torch_lstm_in_one(torch: Any, workload: Workload, x: Any, y: Any, parameters: Any) -> Any:
    """By PyTorch's own LSTM in C++, whose gates come in another order."""
    of_x, of_h, bias, weight, shift = parameters
    order = [*range(UNITS, 3 * UNITS), *range(UNITS), *range(3 * UNITS, 4 * UNITS)]
    h = x.new_zeros(1, len(x), UNITS)
    flat = [of_x.T[order], of_h.T[order], bias[order], torch.zeros_like(bias)]
    _, h, _ = torch.lstm(x, (h, h), flat, True, 1, 0.0, True, False, True)
    return torch.nn.functional.cross_entropy(h[0] @ weight + shift, y)


def torch_cnn(torch: Any, workload: Workload, x: Any, y: Any, parameters: Any) -> Any:
    """Images and kernels as PyTorch has them, channels first; permuting them copies nothing."""
    kernel, bias, kernel2, bias2, weight, shift = parameters
    f = torch.nn.functional
    x = x.permute(0, 3, 1, 2)
    x = f.max_pool2d(torch.relu(f.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1)), 2)
    x = f.max_pool2d(torch.relu(f.conv2d(x, kernel2.permute(3, 2, 0, 1), bias2, padding=1)), 2)
    flat = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    return f.cross_entropy(flat @ weight + shift, y)


TORCH = {"autoencoder": torch_autoencoder, "lstm": torch_lstm, "cnn": torch_cnn}


# JAX: of the module, the workload, the parameters and the data, the loss


def jax_entropy(jax: Any, output: Any, y: Any) -> Any:
    """Mean softmax cross entropy."""
    return -jax.numpy.mean(jax.numpy.sum(y * jax.nn.log_softmax(output), axis=1))


def jax_autoencoder(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        x = jax.nn.relu(x @ weight + bias)
    return jax.numpy.mean(jax.numpy.square(x @ parameters[-2] + parameters[-1] - y))


def jax_cell(jax: Any, of_h: Any, h: Any, state: Any, inner: Any) -> tuple[Any, Any]:
    """One step of an LSTM."""
    inner = inner + h @ of_h
    gates = jax.nn.sigmoid(inner[:, UNITS:])
    take, keep, show = jax.numpy.split(gates, 3, axis=1)
    state = keep * state + take * jax.numpy.tanh(inner[:, :UNITS])
    return show * jax.numpy.tanh(state), state


def jax_lstm(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    """By `lax.scan` over the steps."""
    of_x, of_h, bias, weight, shift = parameters
    start = jax.numpy.zeros((len(x), UNITS))

    def cell(carry: Any, inner: Any) -> tuple[Any, None]:
        return jax_cell(jax, of_h, *carry, inner), None

    inners = jax.numpy.swapaxes(x @ of_x + bias, 0, 1)
    (h, _), _ = jax.lax.scan(cell, (start, start), inners)
    return jax_entropy(jax, h @ weight + shift, y)


def jax_lstm_unrolled(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    """By a loop of Python, all steps in one program."""
    of_x, of_h, bias, weight, shift = parameters
    h = state = jax.numpy.zeros((len(x), UNITS))
    inners = x @ of_x + bias
    for t in range(STEPS):
        h, state = jax_cell(jax, of_h, h, state, inners[:, t])
    return jax_entropy(jax, h @ weight + shift, y)


def jax_cnn(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    kernel, bias, kernel2, bias2, weight, shift = parameters

    def layer(x: Any, kernel: Any, bias: Any) -> Any:
        """Convolution, relu, pooling."""
        form = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=form)
        size = (1, 2, 2, 1)
        return jax.lax.reduce_window(
            jax.nn.relu(x + bias), -np.inf, jax.lax.max, size, size, "VALID"
        )

    x = layer(layer(x, kernel, bias), kernel2, bias2)
    return jax_entropy(jax, x.reshape(len(x), -1) @ weight + shift, y)


JAX = {"autoencoder": jax_autoencoder, "lstm": jax_lstm, "cnn": jax_cnn}
