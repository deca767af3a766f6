"""Every kind of layer of the book: the graph's gradients are those chained by hand, and those of finite differences."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
from helpers import FULL, close, counted

from book import average_pooling, convolution, max_pooling
from book.proof import assert_same
from tinygrad_steel import compile_backprop, write_backprop

KINDS = (
    "dense",
    "convolution",
    "max_pooling",
    "average_pooling",
    "penalties",
    "chance",
    "batch_norm",
    "inception",
    "residual",
    "rnn",
    "lstm",
    "video",
    "autoencoder",
    "encoder_decoder",
    "gan",
)

PROOFS = {
    proof.name: proof for kind in KINDS for proof in importlib.import_module(f"book.{kind}").PROOFS
}
EACH = pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS)


@EACH
def test_the_graph_has_the_gradients_chained_by_hand(proof):
    loss, gradients = proof.graph()
    loss_by_hand, by_hand = proof.by_hand()
    np.testing.assert_allclose(loss, loss_by_hand, rtol=1e-10)
    assert_same(gradients, by_hand, 1e-10)


@EACH
def test_the_graph_has_the_gradients_of_finite_differences(proof):
    _, gradients = proof.graph()
    assert_same(gradients, {f"G_{name}": proof.by_differences(name) for name in proof.leaves}, 1e-6)


@EACH
def test_compare_backprop_calls_the_chain_right(proof):
    _, by_hand = proof.by_hand()
    report = proof.report(by_hand)
    assert report.ok, report


@EACH
def test_the_written_backprop_has_the_gradients_chained_by_hand(proof):
    loss, _ = proof.traced()
    source = write_backprop(loss)
    names = [name for name in source.arguments if name in proof.leaves]
    loss, *gradients = source.function()(**source.arguments)
    loss_by_hand, by_hand = proof.by_hand()
    np.testing.assert_allclose(loss, loss_by_hand, rtol=1e-10)
    assert_same({f"G_{name}": G for name, G in zip(names, gradients, strict=True)}, by_hand, 1e-10)


@pytest.mark.parametrize("backend", ["numpy", *(["numba"] if FULL else [])])
@EACH
def test_the_compiled_backprop_has_the_gradients_chained_by_hand(proof, backend):
    if "op" in proof.given:
        pytest.skip("each step draws anew")
    loss, tensors = proof.traced()
    compile_backprop(loss, backend=backend)()
    gradients = {f"G_{name}": tensor.grad for name, tensor in tensors.items()}
    assert_same(gradients, proof.by_hand()[1], 1e-10)


@EACH
def test_no_gradient_is_zero(proof):
    # of which a wrong one would be a right multiple
    for name, G in proof.graph()[1].items():
        assert np.abs(G).max() > 1e-4, name


@pytest.mark.parametrize("seed", range(counted(300, 12)))
def test_windows_of_any_size_stride_and_padding(seed):
    rng = np.random.default_rng(seed)
    image, size, stride = (tuple(map(int, rng.integers(1, most, 2))) for most in (8, 5, 4))
    fits = all(k <= n for k, n in zip(size, image))
    padding = "valid" if fits and rng.integers(2) else "same"
    proofs = [
        convolution.one((2, *image, 2), (*size, 2, 3), stride, padding),
        *(
            max_pooling.one(
                "pooling", kind.pooling, kind.pooling_chain, image, size, stride, padding
            )
            for kind in (max_pooling, average_pooling)
        ),
    ]
    for proof in proofs:
        loss, gradients = proof.graph()
        loss_by_hand, by_hand = proof.by_hand()
        np.testing.assert_allclose(loss, loss_by_hand, rtol=1e-10)
        assert_same(gradients, by_hand, 1e-10)


def test_equal_elements_of_a_window_share_evenly():
    proof = PROOFS["max pooling (3, 2) of (5, 6), stride (1, 2), valid"]
    ties = np.random.default_rng(8).integers(0, 2, (2, 5, 6, 2)) * 1.0
    tied = dataclasses.replace(proof, leaves={"x": ties})
    assert_same(tied.graph()[1], tied.by_hand()[1], 1e-10)


def test_a_wrong_chain_is_seen():
    proof = PROOFS["LSTM over time, each output"]

    def forgets_the_forget_gate(**arrays):
        loss, gradients = proof.chain(**arrays)
        return loss, {**gradients, "G_bias": gradients["G_bias"] * np.repeat([0, 1, 1, 1], 3)}

    wrong = dataclasses.replace(proof, chain=forgets_the_forget_gate)
    with pytest.raises(AssertionError):
        assert_same(wrong.graph()[1], wrong.by_hand()[1], 1e-10)
    close(wrong.by_hand()[1]["G_weight"], wrong.graph()[1]["G_weight"], rtol=1e-10)
