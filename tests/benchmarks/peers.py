"""The same steps in other libraries, as their own documentation writes them; those not installed are left out."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import other_networks
from workloads import RATE, Workload


def contenders(workload: Workload) -> dict[str, Callable]:
    """A step of each library that is installed, in float64 and one thread."""
    found: dict[str, Callable] = {}
    for module, makers in (*PEERS.items(), *PEERS_OF.get(workload.kind, {}).items()):
        if importlib.util.find_spec(module):
            for name, make in makers.items():
                try:
                    found[name] = make(workload)
                    found[name]()  # some find out only here that they lack a compiler
                    found[name] = make(workload)
                except Exception as error:  # whatever a library that is half installed may raise
                    found.pop(name, None)
                    print(f"{name} is left out: {str(error).splitlines()[0]:.100}", file=sys.stderr)
    return found


def torch_eager(workload: Workload, compiled: bool = False, loss: Any = None) -> Callable:
    import torch

    torch.set_num_threads(1)
    x, y = torch.tensor(workload.x), torch.tensor(workload.y)
    parameters = [torch.tensor(p, requires_grad=True) for p in workload.start]
    optimizer = torch.optim.SGD(parameters, RATE)

    loss_of = functools.partial(loss or TORCH[workload.kind], torch, workload)
    function = torch.compile(loss_of) if compiled else loss_of

    def step():
        optimizer.zero_grad()
        loss = function(x, y, parameters)
        loss.backward()
        optimizer.step()
        return loss.detach(), *(p.grad for p in parameters)

    return step


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


def torch_compiled(workload: Workload) -> Callable:
    return torch_eager(workload, compiled=True)


def jax_parts(workload: Workload, loss: Any = None) -> tuple[Any, list[Any], Callable]:
    """JAX, the parameters, and a step as a pure function."""
    import jax

    jax.config.update("jax_enable_x64", True)
    loss_of = functools.partial(loss or JAX[workload.kind], jax, workload)

    def step(parameters, batch):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
        return [p - RATE * g for p, g in zip(parameters, gradients)], (loss, gradients)

    return jax, [jax.numpy.asarray(p) for p in workload.start], step


def jax_mlp(jax: Any, workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    jnp = jax.numpy
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        x = jax.nn.relu(x @ weight + bias)
    output = x @ parameters[-2] + parameters[-1]
    if workload.square:
        return jnp.mean(jnp.square(output - y))
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(output), axis=1))


JAX = {"mlp": jax_mlp, **other_networks.JAX}


def jax_jit(workload: Workload, loss: Any = None) -> Callable:
    jax, parameters, pure = jax_parts(workload, loss)
    jitted, batch = jax.jit(pure), (jax.numpy.asarray(workload.x), jax.numpy.asarray(workload.y))

    def step():
        nonlocal parameters
        parameters, (loss, gradients) = jitted(parameters, batch)
        jax.block_until_ready(parameters)
        return loss, *gradients

    return step


def jax_scan(workload: Workload) -> Callable:
    jax, parameters, pure = jax_parts(workload)
    scan = jax.jit(
        lambda parameters, xs, ys: jax.lax.scan(
            lambda p, b: (pure(p, b)[0], pure(p, b)[1][0]), parameters, (xs, ys)
        )
    )
    repeats = max(2, workload.rows // len(workload.x))
    xs, ys = (jax.numpy.asarray(np.stack([a] * repeats)) for a in (workload.x, workload.y))

    def steps():
        nonlocal parameters
        parameters, losses = scan(parameters, xs, ys)
        jax.block_until_ready(parameters)
        return losses

    def one():
        moved, losses = scan(parameters, xs[:1], ys[:1])
        return losses[0], *moved

    steps.count, steps.one = repeats, one
    return steps


def hips_autograd(workload: Workload) -> Callable:
    import autograd
    import autograd.numpy as anp

    def loss_of(parameters, x, y):
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
            x = anp.maximum(x @ weight + bias, 0)
        output = x @ parameters[-2] + parameters[-1]
        if workload.square:
            return anp.mean((output - y) ** 2)
        shifted = output - anp.max(output, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - anp.sum(y * shifted, axis=1))

    differentiate = autograd.value_and_grad(loss_of)
    parameters = [p.copy() for p in workload.start]

    def step():
        loss, gradients = differentiate(parameters, workload.x, workload.y)
        for p, g in zip(parameters, gradients):
            p -= RATE * g
        return loss, *gradients

    return step


def mygrad_eager(workload: Workload) -> Callable:
    import mygrad
    from mygrad.nnet import relu, softmax_crossentropy

    parameters = [mygrad.tensor(p) for p in workload.start]
    ids = np.argmax(workload.y, axis=1)

    def step():
        x = workload.x
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
            x = relu(x @ weight + bias)
        output = x @ parameters[-2] + parameters[-1]
        loss = (
            mygrad.mean((output - workload.y) ** 2)
            if workload.square
            else softmax_crossentropy(output, ids)
        )
        loss.backward()
        gradients = [p.grad for p in parameters]
        for p, g in zip(parameters, gradients):
            p.data -= RATE * g
        return loss.data, *gradients

    return step


def torch_lstm_in_one(workload: Workload) -> Callable:
    return torch_eager(workload, loss=other_networks.torch_lstm_in_one)


def jax_unrolled(workload: Workload) -> Callable:
    return jax_jit(workload, loss=other_networks.jax_lstm_unrolled)


# Those who take part in every network, and in some alone
PEERS: dict[str, dict[str, Callable[[Workload], Callable]]] = {
    "torch": {"torch eager": torch_eager},
    "jax": {"JAX jit": jax_jit, "JAX lax.scan": jax_scan},
}
PEERS_OF: dict[str, dict[str, dict[str, Callable[[Workload], Callable]]]] = {
    "mlp": {
        "torch": {"torch.compile": torch_compiled},
        "autograd": {"HIPS autograd": hips_autograd},
        "mygrad": {"MyGrad": mygrad_eager},
    },
    "lstm": {
        "torch": {"torch.lstm": torch_lstm_in_one},
        "jax": {"JAX jit, unrolled": jax_unrolled},
    },
}
