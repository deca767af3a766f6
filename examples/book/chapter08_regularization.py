"""Chapter 8, L1 and L2, dropout, noise, batch normalisation: what keeps a network from learning by heart.

    python examples/book/chapter08_regularization.py

There are 300 digits, and three of ten have a wrong label: a network that learns these by heart takes new images for
what they are not. Accuracies on new images (means of three seeds):

    nothing 0.79 +- 0.04    dropout 0.891 +- 0.005    batch norm 0.75 +- 0.03
    L1      0.88 +- 0.02    noise   0.84  +- 0.03     all        0.88 +- 0.02
    L2      0.87 +- 0.03

Batch normalisation learns faster, and so it does with wrong labels.
"""

import functools
from typing import NamedTuple

import numpy as np
from digits import digits
from layers import dense, flat, he
from training import each, main, train

from tinygrad_steel import (
    Adam,
    Tensor,
    batch_norm,
    conv2d,
    dropout,
    max_pool,
    noise,
    normalize,
    relu,
    scope,
    softmax_cross_entropy,
    update_running,
)


class How(NamedTuple):
    """How much of each: the price of weights, the share that is dropped, the spread of the noise."""

    l1: float = 0
    l2: float = 0
    dropout: float = 0
    noise: float = 0
    batch_norm: bool = False


VARIANTS = {
    "nothing": How(),
    "L1": How(l1=0.003),
    "L2": How(l2=0.03),
    "dropout": How(dropout=0.4),
    "noise": How(noise=0.4),
    "batch norm": How(batch_norm=True),
    "all": How(l1=0.001, l2=0.01, dropout=0.2, noise=0.2, batch_norm=True),
}


def mislabelled_digits(rng):
    """300 digits to learn from, of which three in ten have one of the nine wrong labels."""
    data = digits(rng)
    x, labels = data.x[:300], np.argmax(data.y[:300], axis=1)
    wrong = rng.random(300) < 0.3
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, np.sum(wrong))) % 10
    return data._replace(x=x, y=np.eye(10)[labels])


def parameters(rng, how):
    shapes = {"conv1_kernel": (3, 3, 1, 16), "conv2_kernel": (3, 3, 16, 32)}
    shapes |= {"shift1": (16,), "shift2": (32,)}
    shapes |= {"out_weight": (2 * 2 * 32, 10), "out_bias": (10,)}
    p = he(rng, shapes)
    if how.batch_norm:
        for name, channels in {"scale1": 16, "scale2": 32}.items():
            p[name] = Tensor(np.ones(channels), requires_grad=True, name=name)
    return p


class Running:
    """Running means and variances of what batch normalisation sees in training, to evaluate with."""

    def __init__(self):
        self.seen = {}
        self.statistics = {1: (np.zeros(16), np.ones(16)), 2: (np.zeros(32), np.ones(32))}

    def update(self, arrays):
        """After each step: `seen` was this."""
        for i, x in zip(self.seen, arrays):
            self.statistics[i] = update_running(*self.statistics[i], x)


def normalization(p, i, running, training, x):
    """By the statistics of the batch, which depend on every x in it; to evaluate, by the running ones."""
    if training:
        running.seen[i] = x
        return batch_norm(x, p[f"scale{i}"], p[f"shift{i}"])
    return normalize(x, *running.statistics[i], p[f"scale{i}"], p[f"shift{i}"])


def block(p, i, how, rng, running, training, x):
    """Convolution, then the normalisation of its channels or a bias, relu, pooling, dropout."""
    with scope(f"block{i}"):
        h = conv2d(x, p[f"conv{i}_kernel"])
        if how.batch_norm:
            h = normalization(p, i, running, training, h)
        else:
            h = h + p[f"shift{i}"]
        h = max_pool(relu(h), 2)
        if how.dropout and training:
            h = dropout(h, how.dropout, rng)
        return h


def model(p, how, rng, running, training, x):
    """Noise and dropout are for training alone."""
    h = noise(x, how.noise, rng) if how.noise and training else x
    h = block(p, 1, how, rng, running, training, h)
    h = block(p, 2, how, rng, running, training, h)
    return dense(p, "out", flat(h))


def loss(p, how, output, y):
    """The cross entropy, and the price of weights that are far from 0."""
    entropy = softmax_cross_entropy(output, y)
    if not how.l1 and not how.l2:
        return np.mean(entropy)
    weights = [p[name].reshape(-1) for name in ("conv1_kernel", "conv2_kernel", "out_weight")]
    weights = np.concatenate(weights)
    price = how.l1 * np.sum(np.abs(weights)) + how.l2 / 2 * np.sum(np.square(weights))
    return np.mean(entropy) + price


def accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def learn(name, settings):
    """Train with one of these, or with all of them."""
    how = VARIANTS[name]
    rng = np.random.default_rng(settings.seed)
    data = mislabelled_digits(rng)
    p = parameters(rng, how)
    running = Running()
    return train(
        settings,
        rng,
        data,
        functools.partial(model, p, how, rng, running, True),
        functools.partial(loss, p, how),
        accuracy,
        Adam(p.values(), 0.002),
        batch_size=20,
        predict=functools.partial(model, p, how, rng, running, False),
        running=running,
    )


def run(settings):
    return each(settings, VARIANTS, learn)


if __name__ == "__main__":
    main(run, __doc__, epochs=40, only=VARIANTS)
