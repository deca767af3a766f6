"""The book's chapter 15: two losses, each with the parameters of one side alone."""

from __future__ import annotations

import re

import chapter15_gan as gan
import numpy as np
import pytest
from chapters import assert_slopes, assert_written, sources_of
from training import Settings

from tinygrad_steel import Adam, Tensor


@pytest.fixture
def sides():
    """Generator and discriminator, and a batch with noise."""
    rng = np.random.default_rng(0)
    g, d = gan.he(rng, gan.GENERATOR), gan.he(rng, gan.DISCRIMINATOR)
    for t in [*g.values(), *d.values()]:
        t.data = t.data + rng.normal(0, 0.1, t.shape)
    return g, d, rng.uniform(0, 1, (gan.BATCH, 64)), gan.noise_of(rng)


def test_each_loss_has_the_parameters_of_one_side(sides):
    g, d, batch, noise = sides
    for side, other, which in [(d, g, 0), (g, d, 1)]:
        for t in [*g.values(), *d.values()]:
            t.grad = None
        loss = gan.losses(g, d, batch, noise)[which]
        loss.backward()
        assert all(t.grad is None for t in other.values())
        gradients = {name: t.grad for name, t in side.items()}
        assert_slopes(lambda: gan.losses(g, d, batch, noise)[which].item(), side, gradients)  # noqa: B023


def test_compiled_sides_are_eager_ones(sides):
    g, d, batch, noise = sides
    before = {id(t): t.data.copy() for t in [*g.values(), *d.values()]}
    found = []
    for make in (gan.eager_steps, gan.compiled_steps):
        for t in [*g.values(), *d.values()]:
            t.data = before[id(t)].copy()
        d_step, g_step = make(g, d, Adam(d.values(), 0.01), Adam(g.values(), 0.01))
        numbers = []
        for _ in range(4):
            numbers += [d_step(batch, gan.images_of(g, noise)), g_step(noise)]
        found.append([np.array(numbers), *(t.data.copy() for t in [*g.values(), *d.values()])])
    for eager, machine in zip(*found, strict=True):
        np.testing.assert_allclose(machine, eager, rtol=1e-9, atol=1e-9)


def test_a_step_of_one_side_leaves_the_other(sides):
    g, d, batch, noise = sides
    for make in (gan.eager_steps, gan.compiled_steps):
        d_step, g_step = make(g, d, Adam(d.values(), 0.01), Adam(g.values(), 0.01))
        for step, arrays, other in [
            (d_step, (batch, gan.images_of(g, noise)), g),
            (g_step, (noise,), d),
        ]:
            before = [t.data.copy() for t in other.values()]
            step(*arrays)
            assert all(np.array_equal(a, t.data) for a, t in zip(before, other.values()))


def test_both_losses_are_written(sides, capsys):
    g, d, batch, noise = sides
    gan.explain(Settings(source=True), g, d, batch, noise)
    d_loss, g_loss = gan.losses(g, d, batch, noise)
    discriminator, generator = sources_of(capsys.readouterr().out)
    arrays = {name: t.data for name, t in d.items()}
    fake = gan.images_of(g, noise)
    assert_written(*discriminator, {"real": batch, "fake": fake, **arrays}, d_loss, d)
    arrays |= {name: t.data for name, t in g.items()}
    assert_written(*generator, {"noise": noise, **arrays}, g_loss, g)


def test_both_losses_are_drawn(sides, tmp_path):
    gan.explain(Settings(graph=str(tmp_path / "gan.txt")), *sides)
    for side, parameters in [("generator", sides[0]), ("discriminator", sides[1])]:
        text = (tmp_path / f"gan_{side}.txt").read_text(encoding="utf-8")
        for name in [*sides[0], *sides[1]]:
            is_parameter = re.search(rf"{name}  .*parameter", text) is not None
            assert is_parameter == (name in parameters), (side, name)


def test_a_first_look_at_the_generator_learns(capsys):
    gan.run(Settings(quick=True, epochs=99))
    rows = re.findall(r"^(real|before|generated).* (\S+) +(\S+)$", capsys.readouterr().out, re.M)
    found = {name: (float(share), float(digits)) for name, share, digits in rows}
    assert found["generated"][1] > 5 > 2 > found["before"][1]
    assert 0.1 < found["generated"][0] < found["real"][0]


def test_as_many_digits_as_are_equally_frequent(monkeypatch):
    chances = np.eye(10)[[1, 1, 7, 7, 3, 3]]
    chances[4:] = 0.1  # not sure
    monkeypatch.setattr(gan, "judge", lambda p, x: Tensor(np.log(chances + 1e-9)))
    share, digits = gan.recognised({}, np.zeros((6, 64)))
    np.testing.assert_allclose([share, digits], [4 / 6, 2], rtol=1e-6)
