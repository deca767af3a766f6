"""Chapter 7, convolution, max pooling and average pooling: digits by what their parts look like.

    python examples/book/chapter07_convolution.py

Its accuracy on the test rows is 0.980 +- 0.004 (mean of three seeds); the perceptron of chapter 5 has 0.970.
"""

import functools

import numpy as np
from digits import digits, save_images
from layers import convolution, dense, flat, he
from training import main, train

from tinygrad_steel import Adam, avg_pool, max_pool, relu, softmax_cross_entropy

SHAPES = {
    "conv1_kernel": (3, 3, 1, 16),
    "conv1_bias": (16,),
    "conv2_kernel": (3, 3, 16, 32),
    "conv2_bias": (32,),
    "out_weight": (2 * 2 * 32, 10),
    "out_bias": (10,),
}


def model(p, x):
    h = convolution(p, "conv1", x, relu)
    h = max_pool(h, 2)
    h = convolution(p, "conv2", h, relu)
    h = avg_pool(h, 2)
    return dense(p, "out", flat(h))


def loss(output, y):
    entropy = softmax_cross_entropy(output, y)
    return np.mean(entropy)


def accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data = digits(rng)
    p = he(rng, SHAPES)
    optimizer = Adam(p.values(), 0.002)
    trained = train(settings, rng, data, functools.partial(model, p), loss, accuracy, optimizer)
    if settings.samples and trained.history:
        show_mistakes(settings.samples, data, trained.output)
    return trained


def show_mistakes(file, data, output):
    """Test images that were taken for another digit, each below what it is and what it was taken for."""
    found, right = np.argmax(output, axis=1), np.argmax(data.test_y, axis=1)
    wrong = np.flatnonzero(found != right)[:30]
    titles = [f"{right[i]}, not {found[i]}" for i in wrong]
    save_images(file, data.test_x[wrong], titles)


if __name__ == "__main__":
    main(run, __doc__, epochs=20, samples="draw test images that were taken for another digit")
