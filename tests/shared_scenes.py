"""Losses whose parts are used again: recurrences, tied weights, skips, attention, a GAN, a small CNN."""

from __future__ import annotations

import random

import numpy as np
from helpers import leaf

from tinygrad_steel import (
    Tensor,
    conv2d,
    layer_norm,
    log_softmax,
    max_pool,
    relu,
    scope,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
)


def weights(rng: np.random.Generator, *shapes: tuple[int, ...], names: str) -> list[Tensor]:
    """Parameters of these shapes, called like this."""
    sizes = zip(names.split(), shapes, strict=True)
    return [leaf(rng.normal(size=shape) / 2, name=name) for name, shape in sizes]


def done(loss: Tensor) -> Tensor:
    """The loss with its name and its gradients."""
    loss.name = "loss"
    loss.backward()
    return loss


def rnn(steps: int, is_grouped: bool = False) -> Tensor:
    """A recurrence of so many steps, with one weight for all of them."""
    rng = np.random.default_rng(steps)
    W, U, b = weights(rng, (3, 3), (2, 3), (3,), names="W U b")
    h = Tensor(np.zeros((1, 3)), name="h0")
    for i in range(steps):
        x = Tensor(rng.normal(size=(1, 2)), name=f"x{i}")
        if is_grouped:
            with scope(f"step[{i}]"):
                h = np.tanh(h @ W + x @ U + b)
        else:
            h = np.tanh(h @ W + x @ U + b)
        h.name = f"h{i + 1}"
    return done(np.square(h).sum())


def rnn_with_losses() -> Tensor:
    """A recurrence with a loss at each step."""
    rng = np.random.default_rng(3)
    W, U, V = weights(rng, (3, 3), (2, 3), (3, 4), names="W U V")
    h, total = Tensor(np.zeros((1, 3)), name="h0"), Tensor(0.0)
    for i in range(4):
        x, y = Tensor(rng.normal(size=(1, 2)), name=f"x{i}"), Tensor([i % 4], name=f"y{i}")
        h = np.tanh(h @ W + x @ U)
        h.name = f"h{i + 1}"
        step = softmax_cross_entropy(h @ V, y).sum()
        total = step if i == 0 else total + step
    return done(total)


def lstm(steps: int = 3) -> Tensor:
    """A cell with four gates, its weight stacked."""
    rng = np.random.default_rng(4)
    W, U, b = weights(rng, (2, 12), (3, 12), (12,), names="W U b")
    h, c = Tensor(np.zeros((1, 3)), name="h0"), Tensor(np.zeros((1, 3)), name="c0")
    for t in range(steps):
        x = Tensor(rng.normal(size=(1, 2)), name=f"x{t}")
        with scope(f"step[{t}]"):
            z = x @ W + h @ U + b
            i, f, o, g = (z[:, 3 * k : 3 * k + 3] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        h.name, c.name = f"h{t + 1}", f"c{t + 1}"
    return done(np.square(h).mean())


def tied() -> Tensor:
    """An autoencoder whose decoder is its encoder's weight, transposed."""
    rng = np.random.default_rng(5)
    W, b, c = weights(rng, (6, 3), (3,), (6,), names="W b c")
    x = Tensor(rng.normal(size=(4, 6)), name="x")
    code = np.tanh(x @ W + b)
    code.name = "code"
    back = code @ W.T + c
    return done(np.square(back - x).mean())


def residual(blocks: int = 3, is_grouped: bool = True) -> Tensor:
    """Blocks beside connections that skip them."""
    rng = np.random.default_rng(6)
    h = Tensor(rng.normal(size=(4, 8)), name="x")
    for i in range(blocks):
        w, b, v = weights(rng, (8, 8), (8,), (8, 8), names=f"w{i} b{i} v{i}")
        if is_grouped:
            with scope(f"block[{i}]"):
                h = h + relu(h @ w + b) @ v
        else:
            h = h + relu(h @ w + b) @ v
    return done(np.square(h).mean())


def attention() -> Tensor:
    """Attention of one head, with a skip and a norm behind it."""
    rng = np.random.default_rng(7)
    Wq, Wk, Wv, Wo = weights(rng, *[(8, 8)] * 4, names="Wq Wk Wv Wo")
    gamma, beta = leaf(np.ones(8), name="gamma"), leaf(np.zeros(8), name="beta")
    x = Tensor(rng.normal(size=(5, 8)), name="x")
    with scope("attention"):
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        q.name, k.name, v.name = "q", "k", "v"
        scores = q @ k.T / np.sqrt(8)
        mixed = softmax(scores) @ v
        out = mixed @ Wo
    h = layer_norm(x + out, gamma, beta)
    return done(np.square(h - 1).mean())


def gan() -> Tensor:
    """The sum of the two losses of a GAN: its judge sees data and what the generator makes."""
    rng = np.random.default_rng(8)
    G, g = weights(rng, (2, 4), (4,), names="G g")
    D, d = weights(rng, (4, 1), (1,), names="D d")
    noise, real = (
        Tensor(rng.normal(size=(6, 2)), name="noise"),
        Tensor(rng.normal(size=(6, 4)), name="real"),
    )
    fake = np.tanh(noise @ G + g)
    fake.name = "fake"

    def judge(x: Tensor) -> Tensor:
        return x @ D + d

    seen = sigmoid_cross_entropy(judge(real), np.ones((6, 1))).mean()
    made = sigmoid_cross_entropy(judge(fake), np.zeros((6, 1))).mean()
    fooled = sigmoid_cross_entropy(judge(fake), np.ones((6, 1))).mean()
    judged, fooling = seen + made, fooled * 1
    judged.name, fooling.name = "loss_D", "loss_G"
    return done(judged + fooling)


def cnn() -> Tensor:
    """Two convolutions and a linear layer."""
    rng = np.random.default_rng(9)
    K, L, W, b = weights(rng, (3, 3, 1, 4), (3, 3, 4, 8), (8, 10), (10,), names="K L W b")
    images = Tensor(rng.normal(size=(2, 10, 10, 1)), name="images")
    h = max_pool(relu(conv2d(images, K)), 2)
    h = relu(conv2d(h, L)).mean(axis=(1, 2))
    return done(softmax_cross_entropy(h @ W + b, Tensor([3, 7], name="labels")).mean())


def normalised() -> Tensor:
    """A softmax by hand: its input is used far below where it comes from."""
    z = leaf(np.random.default_rng(10).normal(size=(3, 4)), name="z")
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return done(-np.log(p + 1e-3 * z * z).mean() + np.square(log_softmax(z)).sum())


def fan() -> Tensor:
    """Eight inputs, each of which goes into the same kind of block."""
    rng = np.random.default_rng(11)
    (W,) = weights(rng, (3, 3), names="W")
    parts = []
    for i in range(8):
        x = Tensor(rng.normal(size=(1, 3)), name=f"x{i}")
        with scope(f"part[{i}]"):
            parts.append(np.tanh(x @ W))
    return done(np.concatenate(parts).mean())


def micrograd() -> Tensor:
    """The first graph of micrograd's lecture."""
    a, b, c, f = (leaf(x, name=n) for n, x in {"a": 2.0, "b": -3.0, "c": 10.0, "f": -2.0}.items())
    e = a * b
    d = e + c
    e.name, d.name = "e", "d"
    loss = d * f
    loss.name = "L"
    loss.backward()
    return loss


def deep(layers: int = 8) -> Tensor:
    """A long chain of layers without scopes."""
    rng = np.random.default_rng(12)
    h = Tensor(rng.normal(size=(4, 8)), name="x")
    for i in range(layers):
        w, b = weights(rng, (8, 8), (8,), names=f"w{i} b{i}")
        h = np.tanh(h @ w + b)
    return done(np.square(h).mean())


def random_graph(seed: int) -> Tensor:
    """A graph of few leaves that are used again and again, its results too, in scopes that may be
    entered again."""
    rng = random.Random(seed)
    leaves = [leaf(np.eye(2), name=f"w{i}") for i in range(rng.randint(1, 5))]
    leaves += [Tensor(np.ones((2, 2)), name=f"x{i}") for i in range(rng.randint(1, 3))]
    results, grouped = [rng.choice(leaves)], rng.random() < 0.6
    for i in range(rng.randint(8, 45)):
        recent = results[-rng.choice([1, 1, 1, 1, 2, 5]) :]
        a, b = rng.choice(recent), rng.choice(leaves if rng.random() < 0.7 else results)
        op = rng.choice([np.add, np.multiply, np.matmul, np.subtract, lambda a, _: np.tanh(a)])
        if grouped and rng.random() < 0.7:
            with scope(f"part[{i // 6}]"):
                results.append(op(a, b))
        else:
            results.append(op(a, b))
        results[-1].name = f"r{i}" if rng.random() < 0.3 else None
    return np.concatenate(results[-rng.choice([1, 1, 2, 4]) :]).sum()


SCENES = {
    "rnn of 4 steps": lambda: rnn(4),
    "rnn of 4 steps in scopes": lambda: rnn(4, is_grouped=True),
    "rnn of 39 steps": lambda: rnn(39),
    "rnn with losses": rnn_with_losses,
    "lstm": lstm,
    "tied weights": tied,
    "residual blocks": residual,
    "residual blocks without scopes": lambda: residual(is_grouped=False),
    "attention": attention,
    "gan": gan,
    "cnn": cnn,
    "normalised": normalised,
    "fan": fan,
    "micrograd": micrograd,
    "deep": deep,
}
