"""Adam by hand: a training with the library takes the same steps."""

from __future__ import annotations

import numpy as np
from helpers import close, leaf

from book.adam import AdamByHand
from book.dense import PERCEPTRONS
from tinygrad_steel import Adam


def test_a_training_takes_the_steps_of_adam_by_hand():
    proof = PERCEPTRONS[2]
    trained = ("weight1", "bias1", "weight2", "bias2")
    arrays = {name: array.copy() for name, array in proof.leaves.items()}
    tensors = {name: leaf(array, name=name) for name, array in arrays.items()}
    optimizer = Adam([tensors[name] for name in trained], learning_rate=0.01)
    by_hand = {name: AdamByHand(rate=0.01) for name in trained}
    for _ in range(7):
        optimizer.zero_grad()
        proof.model(**tensors, **proof.given).backward()
        optimizer.step()
        _, gradients = proof.chain(**arrays, **proof.given)
        for name in trained:
            arrays[name] = arrays[name] - by_hand[name].update(gradients[f"G_{name}"])
    for name in trained:
        close(tensors[name].data, arrays[name], rtol=0, atol=1e-10)
        assert np.abs(arrays[name] - proof.leaves[name]).max() > 0.05


def test_the_first_step_has_the_size_of_the_rate():
    # m / sqrt(v) is G / |G| then: 1 and the corrections are the same in both
    G = np.array([3.0, -1e-3, 2e5])
    close(AdamByHand(rate=0.25).update(G), 0.25 * np.sign(G), rtol=1e-4)
