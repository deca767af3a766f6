"""Chapter 13, an autoencoder: sixty-four pixels through ten numbers, and back.

    python examples/book/chapter13_autoencoder.py --samples samples.png

Two figures of three seeds, for digits with noise: of the five training digits whose codes, rounded to bits, are nearest
to those of a test digit, 0.69 +- 0.05 show the same one. And with two labels of each digit, a linear classifier of the
code has an accuracy of 0.78 +- 0.01, the same network without the autoencoder 0.67 +- 0.02.

Each image comes four times, with other noise, and what is to come out has none: from images as they are, the code of so
small a data set is learned, but of little use to the classifier.
"""

import functools

import numpy as np
from digits import digits
from images import save_images
from layers import dense, fixed, flat, he
from training import Data, main, train

from tinygrad_steel import Adam, Tensor, no_grad, relu, sigmoid, softmax_cross_entropy

LABELS = 2  # of each digit, that the classifiers are told; the autoencoder needs none
LABEL_EPOCHS = 15
ENCODER = {
    "encoder_weight": (64, 48),
    "encoder_bias": (48,),
    "code_weight": (48, 10),
    "code_bias": (10,),
}
DECODER = {
    "decoder_weight": (10, 48),
    "decoder_bias": (48,),
    "picture_weight": (48, 64),
    "picture_bias": (64,),
}
CLASSIFIER = {"out_weight": (10, 10), "out_bias": (10,)}


def noisy(rng, data):
    """Images with noise, four times with another one, and what they were without it."""
    x = np.tile(data.x, (4, 1, 1, 1))
    test_x = data.test_x
    noise, test_noise = (rng.normal(0, 0.3, images.shape) for images in (x, test_x))
    return Data(x + noise, x, test_x + test_noise, test_x)


def encode(p, x):
    h = dense(p, "encoder", flat(x), relu)
    return dense(p, "code", h, sigmoid)


def decode(p, code):
    h = dense(p, "decoder", code, relu)
    return dense(p, "picture", h)


def autoencoder(p, x):
    return decode(p, encode(p, x))


def square_loss(output, x):
    return np.mean(np.square(output - flat(x)))


def likeness(output, x):
    """1 where the reconstruction is the image; 0 where it is off by as much as the image's mean."""
    return 1 - np.sqrt(np.mean(np.square(output - x.reshape(output.shape)))) / np.mean(x)


def classifier(p, x):
    return dense(p, "out", encode(p, x))


def label_loss(output, y):
    return np.mean(softmax_cross_entropy(output, y))


def accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def codes(p, x):
    with no_grad():
        return encode(p, Tensor(x)).numpy()


def found_by_bits(p, data):
    """How often an image found by the bits of a test image's code shows the same digit."""
    bits, test_bits = (np.round(codes(p, x)) for x in (data.x, data.test_x))
    differing = np.sum(test_bits[:, None] != bits, axis=2)
    nearest = np.argsort(differing, axis=1, kind="stable")[:, :5]
    same = np.argmax(data.y, axis=1)[nearest] == np.argmax(data.test_y, axis=1)[:, None]
    return np.mean(same)


def few_labels(data):
    """The first training rows of each digit; an epoch goes through them ten times."""
    labels = np.argmax(data.y, axis=1)
    rows = [np.flatnonzero(labels == digit)[:LABELS] for digit in range(10)]
    rows = np.tile(np.concatenate(rows), 10)
    return data._replace(x=data.x[rows], y=data.y[rows])


def learn_labels(title, settings, rng, data, encoder, rate):
    """Train a classifier behind an encoder, and the encoder, too, unless it is fixed."""
    print(f"\n{title}")
    p = encoder | he(rng, CLASSIFIER)
    trainable = [t for name, t in p.items() if t.requires_grad and name not in DECODER]
    model = functools.partial(classifier, p)
    optimizer = Adam(trainable, rate)
    settings = settings._replace(epochs=LABEL_EPOCHS)
    return train(
        settings,
        rng,
        few_labels(data),
        model,
        label_loss,
        accuracy,
        optimizer,
        batch_size=10,
        backend="numpy",
        quick_batches=20,
    )


def show(p, data, file):
    """One test image of each digit, the same with noise, and what the autoencoder makes of that."""
    rows = [np.argmax(row) for row in data.test_y.T]
    noise, clean = noisy(np.random.default_rng(0), data)[2:]
    with no_grad():
        again = autoencoder(p, Tensor(noise[rows])).numpy()
    save_images(file, np.concatenate([clean[rows], noise[rows], again.reshape(-1, 8, 8, 1)]))


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data = digits(rng)
    p = he(rng, ENCODER | DECODER)
    model = functools.partial(autoencoder, p)
    optimizer = Adam(p.values(), 0.005)
    pairs = noisy(rng, data)
    trained = {
        "autoencoder": train(
            settings, rng, pairs, model, square_loss, likeness, optimizer, quick_batches=180
        )
    }
    if settings.source or settings.graph:
        return trained
    print(f"found by the bits of its code: {found_by_bits(p, data):5.3f}")
    if settings.samples:
        show(p, data, settings.samples)
    count = 10 * LABELS
    for title, encoder, rate in [
        (f"{count} labels, with the autoencoder's code", fixed(p), 0.03),
        (f"{count} labels alone", he(rng, ENCODER), 0.003),
    ]:
        trained[title] = learn_labels(title, settings, rng, data, encoder, rate)
    return trained


if __name__ == "__main__":
    main(run, __doc__, epochs=25, samples="draw digits and their reconstructions")
