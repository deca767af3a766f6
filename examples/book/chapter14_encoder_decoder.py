"""Chapter 14, an encoder and a decoder: two handwritten digits are read, and their number is written in words.

    python examples/book/chapter14_encoder_decoder.py --samples samples.png

Every letter is right in 0.91 +- 0.01 of the numbers of test digits, and 0.97 of all letters are (three seeds, 25 s).
The data is put together: 8000 pairs of real digits, drawn at random; the test has pairs of other images.

Two images become a code of 20 numbers, and an LSTM writes letters while it is shown that code at each step; it is not
told what it has written, nor, as by teacher forcing, what it should have. The loss is the mean over rows and letters:
divided once by their number, and not by that of the alphabet as well.
"""

import functools

import numpy as np
from digits import digits
from images import save_images
from layers import dense, he
from recurrent import lstm_cell, recurrent, start, step
from training import Data, main, train

from tinygrad_steel import Adam, relu, scope, softmax_cross_entropy

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
)
ONES += "fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ALPHABET = " abcdefghijklmnopqrstuvwxyz"  # the blank comes between two words, and after them
CODE, UNITS = 20, 64


def words(number):
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens - 2]} {ONES[ones] if ones else ''}"


LENGTH = max(len(words(number)) for number in range(100))
# (100, letters, alphabet): the letters of each number as one-hot rows
WRITTEN = np.array(
    [[np.eye(27)[ALPHABET.index(letter)] for letter in words(n).ljust(LENGTH)] for n in range(100)]
)


def pairs(rng, images, labels, count):
    """Two images side by side, drawn at random, and the letters of their number."""
    chosen = rng.integers(0, len(images), (count, 2))
    digit = np.argmax(labels, axis=1)[chosen]
    return images[chosen], WRITTEN[10 * digit[:, 0] + digit[:, 1]]


def first_parameters(rng):
    return he(
        rng,
        {
            "digit_weight": (64, 48),
            "digit_bias": (48,),
            "code_weight": (2 * 48, CODE),
            "code_bias": (CODE,),
            "alphabet_weight": (UNITS, 27),
            "alphabet_bias": (27,),
        },
    ) | recurrent(rng, "lstm", CODE, UNITS, gates=4)


def encode(p, x):
    """A code of both images; what is seen of one does not depend on the other, nor on its place."""
    with scope("encoder"):
        h = dense(p, "digit", x.reshape(-1, 2, 64), relu)
        return dense(p, "code", h.reshape(-1, 2 * 48), relu)


def decode(p, code):
    """Logits of each letter, an array (rows, letters, alphabet)."""
    state = memory = start(p, "lstm")
    states = []
    for t in range(LENGTH):
        with step(t):
            state, memory = lstm_cell(p, "lstm", code, state, memory)
            states.append(state)
    return dense(p, "alphabet", np.stack(states, axis=1))


def model(p, x):
    return decode(p, encode(p, x))


def loss(output, y):
    entropy = softmax_cross_entropy(output.reshape(-1, 27), y.reshape(-1, 27))
    return np.mean(entropy)


def letters_right(output, y):
    return np.argmax(output, axis=2) == np.argmax(y, axis=2)


def accuracy(output, y):
    """The share of numbers of which every letter is right."""
    return np.mean(np.all(letters_right(output, y), axis=1))


def text(written):
    return ["".join(ALPHABET[i] for i in row).strip() for row in np.argmax(written, axis=2)]


def run(settings):
    rng = np.random.default_rng(settings.seed)
    x, y, test_x, test_y = digits(rng)
    data = Data(*pairs(rng, x, y, 8000), *pairs(rng, test_x, test_y, 1000))
    p = first_parameters(rng)
    trained = train(
        settings,
        rng,
        data,
        functools.partial(model, p),
        loss,
        accuracy,
        Adam(p.values(), 0.003),
        backend="numpy",
        quick_batches=250,
    )
    if trained.history:
        print(f"letters right = {np.mean(letters_right(trained.output, data.test_y)):5.3f}")
        for found, right in zip(text(trained.output[:5]), text(data.test_y[:5])):
            print(f"  {right}: {found}")
        if settings.samples:
            side_by_side = data.test_x[:20, :, :, :, 0].transpose(0, 2, 1, 3).reshape(20, 8, 16)
            save_images(settings.samples, side_by_side, text(trained.output[:20]), columns=5)
    return trained


if __name__ == "__main__":
    main(run, __doc__, epochs=15, samples="draw numbers and what is read")
