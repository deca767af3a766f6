"""The same networks in other libraries, as their own documentation writes them, on the CPU.

Each takes the dtype of the workload. `other_networks.py` has the losses of the larger networks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import other_networks
from contender import Contender
from workloads import BETA1, BETA2, EPSILON, RATE, Workload

# PyTorch


def torch_eager(workload: Workload, loss: Any = None, compiled: bool = False) -> Contender:
    import torch

    parameters = [torch.tensor(p, requires_grad=True) for p in workload.start]
    if workload.adam:
        optimizer = torch.optim.Adam(parameters, RATE, (BETA1, BETA2), EPSILON)
    else:
        optimizer = torch.optim.SGD(parameters, RATE)
    loss_of = functools.partial(loss or TORCH[workload.kind], torch, workload)
    if compiled:
        # The loss alone: SGD's few operations are slower compiled, and Adam's differ in the 7th digit
        torch._dynamo.reset()
        loss_of = torch.compile(loss_of)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(x, y, parameters)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Contender(
        lambda: [p.detach() for p in parameters],
        step,
        gradients=lambda: [p.grad for p in parameters],
        given=torch.tensor,
    )


def torch_compiled(workload: Workload) -> Contender:
    return torch_eager(workload, compiled=True)


def torch_lstm_in_one(workload: Workload) -> Contender:
    return torch_eager(workload, loss=other_networks.torch_lstm_in_one)


def torch_mlp(torch: Any, workload: Workload, x: Any, y: Any, parameters: Any) -> Any:
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        x = torch.relu(x @ weight + bias)
    output = x @ parameters[-2] + parameters[-1]
    return (
        torch.nn.functional.mse_loss(output, y)
        if workload.square
        else torch.nn.functional.cross_entropy(output, y)
    )


TORCH = {"mlp": torch_mlp, **other_networks.TORCH}


# JAX


def jax_parts(workload: Workload, loss: Any = None) -> tuple[Any, Any, Callable]:
    """JAX, what is trained, and a step as a pure function."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    loss_of = functools.partial(loss or JAX[workload.kind], jax, workload)

    def step(state: Any, x: Any, y: Any) -> Any:
        parameters, means, squares, steps = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        if not workload.adam:
            return ([p - RATE * g for p, g in zip(parameters, gradients)], [], [], steps), (
                loss,
                gradients,
            )
        steps = steps + 1
        means = [BETA1 * m + (1 - BETA1) * g for m, g in zip(means, gradients)]
        squares = [BETA2 * s + (1 - BETA2) * g * g for s, g in zip(squares, gradients)]
        of_mean, of_square = (
            1 - jnp.power(beta, steps).astype(loss.dtype) for beta in (BETA1, BETA2)
        )
        moved = [
            p - RATE * (m / of_mean) / (jnp.sqrt(s / of_square) + EPSILON)
            for p, m, s in zip(parameters, means, squares)
        ]
        return (moved, means, squares, steps), (loss, gradients)

    means, squares = (
        [jnp.zeros_like(p) for p in workload.start if workload.adam] for _ in range(2)
    )
    return jax, ([*map(jnp.array, workload.start)], means, squares, jnp.array(0)), step


def jax_jit(workload: Workload, loss: Any = None) -> Contender:
    jax, state, pure = jax_parts(workload, loss)
    jitted = jax.jit(pure, donate_argnums=0)

    def step(x: Any, y: Any) -> Any:
        nonlocal state
        state, (loss, gradients) = jitted(state, x, y)
        jax.block_until_ready(state)
        return loss, *gradients

    return Contender(lambda: state[0], step, given=jax.numpy.array)


def jax_scan(workload: Workload) -> Contender:
    """An epoch in one call, the batches gathered inside."""
    jax, state, pure = jax_parts(workload)
    batch = len(workload.x)

    def steps(state: Any, xs: Any, ys: Any, order: Any) -> Any:
        def one(state: Any, rows: Any) -> Any:
            state, (loss, _) = pure(state, xs[rows], ys[rows])
            return state, loss

        return jax.lax.scan(one, state, order.reshape(-1, batch))

    jitted = jax.jit(steps, donate_argnums=0)

    def epoch(xs: Any, ys: Any, order: Any) -> Any:
        nonlocal state
        state, losses = jitted(state, xs, ys, order)
        jax.block_until_ready(state)
        return losses

    return Contender(lambda: state[0], epoch=epoch, given=jax.numpy.array)


def jax_unrolled(workload: Workload) -> Contender:
    return jax_jit(workload, loss=other_networks.jax_lstm_unrolled)


def jax_mlp(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    jnp = jax.numpy
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        x = jax.nn.relu(x @ weight + bias)
    output = x @ parameters[-2] + parameters[-1]
    if workload.square:
        return jnp.mean(jnp.square(output - y))
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(output), axis=1))


JAX = {"mlp": jax_mlp, **other_networks.JAX}


# autograd and MyGrad: fully connected layers, SGD


def hips_autograd(workload: Workload) -> Contender:
    import autograd
    import autograd.numpy as anp

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
            x = anp.maximum(x @ weight + bias, 0)
        output = x @ parameters[-2] + parameters[-1]
        if workload.square:
            return anp.mean((output - y) ** 2)
        shifted = output - anp.max(output, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - anp.sum(y * shifted, axis=1))

    differentiate = autograd.value_and_grad(loss_of)
    parameters = [p.copy() for p in workload.start]

    def step(x: Any, y: Any) -> Any:
        loss, gradients = differentiate(parameters, x, y)
        for p, g in zip(parameters, gradients):
            p -= RATE * g
        return loss, *gradients

    return Contender(lambda: parameters, step)


def mygrad_eager(workload: Workload) -> Contender:
    import mygrad
    from mygrad.nnet import relu, softmax_crossentropy

    parameters = [mygrad.tensor(p) for p in workload.start]
    targets = np.asarray if workload.square else functools.partial(np.argmax, axis=1)

    def step(x: Any, y: Any) -> Any:
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
            x = relu(x @ weight + bias)
        output = x @ parameters[-2] + parameters[-1]
        if workload.square:
            loss = mygrad.mean((output - y) ** 2)
        else:
            loss = softmax_crossentropy(output, y)
        loss.backward()
        gradients = [p.grad for p in parameters]
        for p, g in zip(parameters, gradients):
            p.data -= RATE * g
        return loss.data, *gradients

    return Contender(lambda: [p.data for p in parameters], step, targets=targets)
