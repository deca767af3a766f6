"""Chapter 10, a recurrent network: is this arithmetic expression well formed?

    python examples/book/chapter10_rnn.py

Accuracy 0.966 +- 0.022 (seeds 1234, 1235 and 1236; half of the expressions are right).

The expressions are re-invented: a random walk through an automaton makes right ones, such as `(a1+20)*c`, and the
wrong ones are right ones with one to three characters changed. They have 6 to 16 characters. Where one
is over, its state stays as it is: what pads it to the length of the longest changes no number. So a batch may be cut to
its own longest expression, or padded further; compiled, there is one length for all, and one compilation.
"""

import functools

import numpy as np
from layers import dense, he
from recurrent import recurrent, rnn_cell, start, step
from training import Data, main, train

from tinygrad_steel import Adam, sigmoid_cross_entropy

KINDS = {
    "letter": "abcxyz",
    "digit": "0123456789",
    "operator": "+-*/",
    "open": "(",
    "close": ")",
}
ALPHABET = "".join(KINDS.values())
KIND = {character: kind for kind, characters in KINDS.items() for character in characters}

# From state to state by the kind of the next character; what is missing is an error.
AUTOMATON = {
    "operand": {"letter": "name", "digit": "number", "open": "operand"},
    "name": {"letter": "name", "digit": "name", "operator": "operand", "close": "closed"},
    "number": {"digit": "number", "operator": "operand", "close": "closed"},
    "closed": {"operator": "operand", "close": "closed"},
}
DEPTH = {"open": 1, "close": -1}  # how many parentheses are open, which no finite automaton counts
SHORTEST, LONGEST = 6, 16


def is_right(text):
    """Whether the automaton reads all of it, and every parenthesis is closed."""
    state, depth = "operand", 0
    for character in text:
        kind = KIND[character]
        state, depth = AUTOMATON[state].get(kind), depth + DEPTH.get(kind, 0)
        if state is None or depth < 0:
            return False
    return state != "operand" and depth == 0


def pick(rng, choices):
    """One of them; `rng.choice` takes ten times as long."""
    return choices[rng.integers(len(choices))]


def right_one(rng):
    """A random walk through the automaton, taken again until it ends well."""
    while True:
        state, depth, text = "operand", 0, ""
        for _ in range(rng.integers(SHORTEST, LONGEST + 1)):
            kinds = [kind for kind in AUTOMATON[state] if kind != "close" or depth > 0]
            kind = pick(rng, kinds)
            state, depth = AUTOMATON[state][kind], depth + DEPTH.get(kind, 0)
            text += pick(rng, KINDS[kind])
        if is_right(text):
            return text


def wrong_one(rng):
    """A right one with one to three characters changed, tried until it is wrong."""
    while True:
        text = right_one(rng)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(text))
            text = text[:place] + pick(rng, ALPHABET) + text[place + 1 :]
        if not is_right(text):
            return text


def one_hot(texts, length=LONGEST):
    """An array (texts, length, characters): 1 for the character that is there, all 0 where a text is over."""
    x = np.zeros((len(texts), length, len(ALPHABET)))
    for row, text in zip(x, texts):
        row[np.arange(len(text)), [ALPHABET.index(character) for character in text]] = 1
    return x


def expressions(rng, count):
    """Texts, half of them right, and which are."""
    right = np.arange(count) % 2
    texts = [right_one(rng) if is_one else wrong_one(rng) for is_one in right]
    return one_hot(texts), right.reshape(-1, 1).astype(float)


def first_parameters(rng, units=32):
    return recurrent(rng, "rnn", len(ALPHABET), units) | he(
        rng, {"out_weight": (units, 1), "out_bias": (1,)}
    )


def model(p, x):
    state = start(p, "rnn")
    for t in range(x.shape[1]):
        with step(t):
            character = x[:, t]
            goes_on = np.sum(character, axis=1, keepdims=True) > 0
            state = np.where(goes_on, rnn_cell(p, "rnn", character, state), state)
    return dense(p, "out", state)


def loss(output, y):
    return np.mean(sigmoid_cross_entropy(output, y))


def accuracy(output, y):
    return np.mean((output > 0) == (y > 0.5))


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data = Data(*expressions(rng, 20000), *expressions(rng, 1000))
    p = first_parameters(rng)
    optimizer = Adam(p.values(), 0.005)
    return train(
        settings,
        rng,
        data,
        functools.partial(model, p),
        loss,
        accuracy,
        optimizer,
        batch_size=50,
        backend="numpy",
        quick_batches=200,
    )


if __name__ == "__main__":
    main(run, __doc__, epochs=20)
