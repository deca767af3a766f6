"""A hand-written backprop checked against the graph: right, with three classic mistakes, with the book's epsilon."""

import numpy as np
import steel
from command_line import Parser, file, prepare_console
from datasets import load
from model import Model

from tinygrad_steel import Tensor, compare_backprop, softmax_cross_entropy


def softmax(logits):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def by_hand(x, y, weight, bias, mistake=None):
    """The steel experiment's backprop as one chains it by hand, with one mistake if asked for."""
    output = x @ weight + bias
    G_entropy = np.full(len(x), 1.0 if mistake == "the mean's division forgotten" else 1 / len(x))
    G_output = (softmax(output) - y) * G_entropy[:, None]
    if mistake == "softmax and labels exchanged":
        G_output = (y - softmax(output)) * G_entropy[:, None]
    G_weight = x.T @ G_output
    G_bias = np.sum(G_output, axis=1 if mistake == "the bias summed along the wrong axis" else 0)
    return {"G_entropy": G_entropy, "G_output": G_output, "G_weight": G_weight, "G_bias": G_bias}


MISTAKES = [
    None,
    "the mean's division forgotten",
    "softmax and labels exchanged",
    "the bias summed along the wrong axis",
]


def verify(data=None):
    """Compare each version of the chain with the graph, on the first ten plates; return the reports."""
    dataset = load("steel", data)
    rng = np.random.RandomState(1234)
    parameters = Model(27, (), 7, rng).parameters
    rows = rng.permutation(len(dataset.x))[:10]
    x, y = Tensor(dataset.x[rows], name="x"), Tensor(dataset.y[rows], name="y")
    arrays = (x.data, y.data, parameters["weight"].data, parameters["bias"].data)
    reports = {}

    for mistake in MISTAKES:
        output = steel.model(x, **parameters)
        entropy = softmax_cross_entropy(output, y)
        loss = np.mean(entropy)
        reports[mistake or "no mistake"] = compare_backprop(
            loss, locals(), **by_hand(*arrays, mistake)
        )

    # The book prints this loss and trains with the gradient of the one above.
    output = steel.model(x, **parameters)
    loss = np.mean(-np.sum(y * np.log(softmax(output) + 1e-10), axis=1))
    chain = by_hand(*arrays)
    del chain["G_entropy"]
    reports["the book's gradient against the book's loss"] = compare_backprop(
        loss, locals(), **chain
    )
    return reports


if __name__ == "__main__":
    parser = Parser(description=__doc__)
    where = "a file, a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)"
    parser.add_argument("--data", type=file, help=where)
    given = parser.parse_args()
    prepare_console()
    try:
        reports = verify(given.data)
    except (ValueError, OSError) as error:
        parser.fail(error)
    for title, report in reports.items():
        print(f"== {title}\n{report}\n")
