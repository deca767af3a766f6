"""Chapter 9, inception branches and residual blocks: digits by networks that are no chain any more.

    python examples/book/chapter09_branches.py

Inception is that of Szegedy et al. (2014), residual blocks and bottlenecks are those of He et al. (2015), both of them
made smaller. Accuracies on the test rows (means of three seeds): inception 0.967 +- 0.002, residual 0.979 +- 0.001.
"""

import functools

import numpy as np
from digits import digits
from layers import convolution, dense, flat, he
from training import each, main, train

from tinygrad_steel import Adam, avg_pool, max_pool, relu, scope, softmax_cross_entropy


def layer(name, size, inputs, outputs):
    """The shapes of a convolution's parameters."""
    return {f"{name}_kernel": (size, size, inputs, outputs), f"{name}_bias": (outputs,)}


def inception_shapes(name, inputs):
    return {
        **layer(f"{name}_one", 1, inputs, 8),
        **layer(f"{name}_three1", 1, inputs, 8),
        **layer(f"{name}_three2", 3, 8, 8),
        **layer(f"{name}_five1", 1, inputs, 4),
        **layer(f"{name}_five2", 5, 4, 8),
        **layer(f"{name}_pool", 1, inputs, 8),
    }


def inception(p, name, x):
    """Four branches that look at the same x through windows of different sizes, side by side as channels."""
    with scope(name):
        one = convolution(p, f"{name}_one", x, relu)
        three = convolution(p, f"{name}_three1", x, relu)
        three = convolution(p, f"{name}_three2", three, relu)
        five = convolution(p, f"{name}_five1", x, relu)
        five = convolution(p, f"{name}_five2", five, relu)
        pool = avg_pool(x, 3, stride=1, padding="same")
        pool = convolution(p, f"{name}_pool", pool, relu)
        return np.concatenate([one, three, five, pool], axis=-1)


INCEPTION = {
    **layer("stem", 3, 1, 16),
    **inception_shapes("early", 16),
    **inception_shapes("late", 32),
    "out_weight": (2 * 2 * 32, 10),
    "out_bias": (10,),
}


def inception_model(p, x):
    h = convolution(p, "stem", x, relu)
    h = max_pool(h, 2)
    h = inception(p, "early", h)
    h = inception(p, "late", h)
    h = avg_pool(h, 2)
    return dense(p, "out", flat(h))


def residual_shapes(name, channels):
    return {
        **layer(f"{name}_a", 3, channels, channels),
        **layer(f"{name}_b", 3, channels, channels),
    }


def residual(p, name, x):
    """What two layers add to x."""
    with scope(name):
        h = convolution(p, f"{name}_a", x, relu)
        h = convolution(p, f"{name}_b", h)
        return relu(x + h)


def halving_shapes(name, inputs, outputs):
    return {
        **layer(f"{name}_a", 3, inputs, outputs),
        **layer(f"{name}_b", 3, outputs, outputs),
        **layer(f"{name}_short", 1, inputs, outputs),
    }


def halving(p, name, x):
    """What two layers add to a smaller x: its images are averaged, its channels mixed into more."""
    with scope(name):
        h = convolution(p, f"{name}_a", x, relu, stride=2)
        h = convolution(p, f"{name}_b", h)
        short = convolution(p, f"{name}_short", avg_pool(x, 2))
        return relu(short + h)


def bottleneck_shapes(name, channels, narrow):
    return {
        **layer(f"{name}_in", 1, channels, narrow),
        **layer(f"{name}_middle", 3, narrow, narrow),
        **layer(f"{name}_out", 1, narrow, channels),
    }


def bottleneck(p, name, x):
    """A residual block whose costly layer works on fewer channels."""
    with scope(name):
        h = convolution(p, f"{name}_in", x, relu)
        h = convolution(p, f"{name}_middle", h, relu)
        h = convolution(p, f"{name}_out", h)
        return relu(x + h)


RESIDUAL = {
    **layer("stem", 3, 1, 16),
    **residual_shapes("residual1", 16),
    **residual_shapes("residual2", 16),
    **halving_shapes("halving", 16, 32),
    **bottleneck_shapes("bottleneck1", 32, 8),
    **bottleneck_shapes("bottleneck2", 32, 8),
    "out_weight": (32, 10),
    "out_bias": (10,),
}


def residual_model(p, x):
    h = convolution(p, "stem", x, relu)
    h = max_pool(h, 2)
    h = residual(p, "residual1", h)
    h = residual(p, "residual2", h)
    h = halving(p, "halving", h)
    h = bottleneck(p, "bottleneck1", h)
    h = bottleneck(p, "bottleneck2", h)
    h = avg_pool(h, 2)
    return dense(p, "out", flat(h))


def loss(output, y):
    entropy = softmax_cross_entropy(output, y)
    return np.mean(entropy)


def accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


NETWORKS = {"inception": (INCEPTION, inception_model), "residual": (RESIDUAL, residual_model)}


def learn(name, settings):
    """Train one of the networks."""
    shapes, model = NETWORKS[name]
    rng = np.random.default_rng(settings.seed)
    data = digits(rng)
    p = he(rng, shapes)
    optimizer = Adam(p.values(), 0.002)
    return train(settings, rng, data, functools.partial(model, p), loss, accuracy, optimizer)


def run(settings):
    return each(settings, NETWORKS, learn)


if __name__ == "__main__":
    main(run, __doc__, epochs=15, only=NETWORKS)
