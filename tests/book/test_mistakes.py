"""The book's mistakes: the library, finite differences and the right chain agree, and the mistaken chain does not."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import leaf

from book import gan
from book.batch_norm import EPSILON
from book.mistakes import MISTAKES
from book.proof import assert_same
from tinygrad_steel import SGD, batch_norm, relu, sigmoid_cross_entropy

EACH = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)


@EACH
def test_library_and_differences_have_the_right_chain(mistake):
    proof = mistake.proof
    loss, gradients = proof.graph()
    loss_by_hand, by_hand = proof.by_hand()
    np.testing.assert_allclose(loss, loss_by_hand, rtol=1e-10)
    assert_same(gradients, by_hand, 1e-10)
    assert_same(gradients, {f"G_{name}": proof.by_differences(name) for name in proof.leaves}, 1e-6)


@EACH
def test_the_mistaken_chain_has_the_same_loss_and_another_gradient(mistake):
    loss, right = mistake.proof.by_hand()
    mistaken_loss, wrong = mistake.mistaken()
    np.testing.assert_allclose(mistaken_loss, loss, rtol=1e-10)
    assert right.keys() == wrong.keys()
    assert (
        np.abs(wrong[mistake.at] - right[mistake.at]).max() > 0.1 * np.abs(right[mistake.at]).max()
    )


@EACH
def test_compare_backprop_finds_the_mistake(mistake):
    report = mistake.proof.report(mistake.mistaken()[1])
    assert not report.ok
    verdicts = {step.name: step.verdict for step in report.steps}
    assert verdicts[mistake.at] != "right"
    assert mistake.says in report.first_wrong.reason
    assert mistake.proof.report(mistake.proof.by_hand()[1]).ok


# A mistake of chapter 15 that is no wrong gradient: it is taken from a parameter that is not to move.


def normed_judge(x, weight3, bias3, scale, shift, weight4, bias4):
    normed = batch_norm(relu(x @ weight3 + bias3), scale, shift, EPSILON)
    return normed @ weight4 + bias4


def discriminator_loss(fake, discriminator):
    output = normed_judge(np.vstack([gan.DATA["real"], fake]), **discriminator)
    labels = np.repeat([[1.0], [0.0]], 4, axis=0)
    return np.mean(sigmoid_cross_entropy(output, labels))


def test_a_generators_step_leaves_batch_norm_in_the_discriminator_alone():
    arrays = {**gan.DISCRIMINATOR, "scale": np.ones(4), "shift": np.zeros(4)}
    generator = {name: leaf(array, name=name) for name, array in gan.GENERATOR.items()}
    discriminator = {name: leaf(array, name=name) for name, array in arrays.items()}
    fake = gan.generate(gan.DATA["seed"], **generator)
    loss = np.mean(sigmoid_cross_entropy(normed_judge(fake, **discriminator), np.ones((4, 1))))
    loss.backward()
    before = discriminator_loss(fake.data, discriminator).item()

    SGD(generator.values(), learning_rate=0.5).step()
    assert all(np.array_equal(discriminator[name].data, arrays[name]) for name in arrays)
    assert discriminator_loss(fake.data, discriminator).item() == before

    # The generator's loss falls where the discriminator is fooled: its gradient leads that one astray.
    moved = [discriminator["scale"], discriminator["shift"]]
    SGD(moved, learning_rate=0.5).step()
    assert discriminator_loss(fake.data, discriminator).item() > before + 0.01
