"""Convolution, pooling and batch norm beside JAX: values and gradients of an independent library."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from helpers import counted

from book import average_pooling, batch_norm, convolution, max_pooling
from book.proof import assert_same

if importlib.util.find_spec("jax") is None:
    pytest.skip("jax, an independent peer, is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def jax():
    """Only where a test runs: to import it takes long."""
    return importlib.import_module("jax")


def jax_convolution(jax, x, kernel, bias, G_y, stride, padding):
    layout = ("NHWC", "HWIO", "NHWC")
    z = jax.lax.conv_general_dilated(x, kernel, stride, padding.upper(), dimension_numbers=layout)
    return jax.numpy.sum(jax.nn.relu(z + bias) * G_y)


def over_windows(jax, x, start, function, size, stride, padding):
    one = (1, *size, 1), (1, *stride, 1), padding.upper()
    return jax.lax.reduce_window(x, start, function, *one)


def jax_max_pooling(jax, x, G_y, **windows):
    return jax.numpy.sum(over_windows(jax, x, -np.inf, jax.lax.max, **windows) * G_y)


def jax_average_pooling(jax, x, G_y, **windows):
    counts = over_windows(jax, jax.numpy.ones_like(x), 0.0, jax.lax.add, **windows)
    return jax.numpy.sum(over_windows(jax, x, 0.0, jax.lax.add, **windows) / counts * G_y)


def jax_batch_norm(jax, x, scale, shift, G_y):
    axes = tuple(range(x.ndim - 1))
    normed = jax.nn.standardize(x, axes, epsilon=batch_norm.EPSILON)
    return jax.numpy.sum((scale * normed + shift) * G_y)


PEERS = {
    convolution: jax_convolution,
    max_pooling: jax_max_pooling,
    average_pooling: jax_average_pooling,
    batch_norm: jax_batch_norm,
}
CASES = [
    pytest.param(proof, peer, id=proof.name)
    for kind, peer in PEERS.items()
    for proof in kind.PROOFS[:: counted(1, 3)]
]


@pytest.mark.parametrize("proof, peer", CASES)
def test_jax_has_the_same_loss_and_gradients(jax, proof, peer):
    loss, gradients = proof.graph()
    x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with x64(True):
        arrays = {name: jax.numpy.asarray(array) for name, array in proof.leaves.items()}
        value, found = jax.value_and_grad(lambda leaves: peer(jax, **leaves, **proof.given))(arrays)
    np.testing.assert_allclose(loss, value, rtol=1e-10)
    assert_same(gradients, {f"G_{name}": np.asarray(G) for name, G in found.items()}, 1e-10)
