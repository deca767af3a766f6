"""The experiments with good settings, beside scikit-learn's multilayer perceptron of the same architecture.

Both see the same training and test rows, standardised in the same way, over five seeds, those of the experiments' own
`--seeds 5`; mean and spread of the figure that counts for each data set, and the mean seconds of a training (without
compiling, which is done once and kept).
Needs scikit-learn: pip install "tinygrad_steel[sklearn]".
"""

import argparse
import importlib.util
import time
import warnings

import abalone
import numpy as np
import pulsar
import steel
from command_line import Parser, file, plus_minus, prepare_console, silent, whole
from stopping import CTRL_C

from tinygrad_steel import sigmoid, softmax

FIRST_SEED = 1234
GOOD = {"hidden": (64, 32), "init": "he", "standardize": True, "optimizer": "adam"}
# name: how to train it, epochs, learning rate, what the figure is called, and the figure from outputs and targets
EXPERIMENTS = {
    "steel": (steel.steel_exec, 40, 0.0005, "accuracy", steel.accuracy),
    "abalone": (
        abalone.abalone_exec,
        60,
        0.001,
        "mean absolute error",
        abalone.mean_absolute_error,
    ),
    "pulsar": (pulsar.pulsar_exec, 20, 0.0005, "F1", lambda output, y: pulsar.scores(output, y)[2]),
}


def ours(execute, epochs, rate, seed, data, compiled):
    """Train in silence."""
    settings = {"learning_rate": rate, "seed": seed, "data": data, "compiled": compiled, **GOOD}
    return execute(epochs, 10, 0, say=silent, **settings)


def theirs(trained, epochs, rate, seed):
    """The output of scikit-learn's perceptron for the same test rows, and the seconds its training took."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y, settings = trained.x, trained.dataset.y, trained.settings
    classes = trained.experiment.prediction in (sigmoid, softmax)
    kind = MLPClassifier if classes else MLPRegressor
    network = kind(
        hidden_layer_sizes=settings.hidden,
        alpha=0,
        batch_size=settings.mb_size,
        learning_rate_init=rate,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,  # no early end: the same number of epochs
        random_state=seed,
    )
    targets = y.ravel() if y.shape[1] == 1 else np.argmax(y, axis=1)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # that it ends after so many epochs is intended
        network.fit(x[trained.training], targets[trained.training])
    seconds = time.perf_counter() - start
    if not classes:
        return network.predict(x[trained.test])[:, None], seconds
    probabilities = network.predict_proba(x[trained.test])
    return (probabilities[:, 1:] - 0.5 if y.shape[1] == 1 else probabilities), seconds


def compare(name, seeds, data=None, epochs=None, compiled=True):
    """A row for each seed, with both figures and both times; and the sentence about made-up data, if it is that."""
    execute, default_epochs, rate, _, figure = EXPERIMENTS[name]
    epochs = epochs or default_epochs
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        trained = ours(execute, epochs, rate, seed, data, compiled)
        if trained.stopped:
            raise KeyboardInterrupt  # which ended that training, and is meant for all
        output, seconds = theirs(trained, epochs, rate, seed)
        y = trained.dataset.y[trained.test]
        rows.append((figure(trained.output, y), figure(output, y), trained.seconds, seconds))
    return np.array(rows), trained.dataset.synthetic


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=__doc__, formatter_class=formatter)
    add = parser.add_argument
    add("--seeds", type=whole, default=5, metavar="N", help="default 5")
    add("--epochs", type=whole, metavar="N", help="instead of what is good for each data set")
    where = "a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)"
    add("--data", type=file, help=where)
    add("--eager", action="store_true", help="without compiling")
    given = parser.parse_args()
    if given.seeds < 1 or (given.epochs is not None and given.epochs < 1):
        parser.error("seeds and epochs are at least 1")
    if importlib.util.find_spec("sklearn") is None:
        parser.fail('this needs scikit-learn: pip install "tinygrad_steel[sklearn]"')
    prepare_console()
    print(f"{'':10}{'':22}{'tinygrad_steel':>18}{'scikit-learn':>18}   seconds")
    try:
        for name, (*_, title, _) in EXPERIMENTS.items():
            rows, synthetic = compare(name, given.seeds, given.data, given.epochs, not given.eager)
            mean, spread = rows.mean(axis=0), rows.std(axis=0)
            sign = plus_minus()
            figures = "".join(f"{mean[i]:10.3f} {sign} {spread[i]:.3f}" for i in (0, 1))
            note = f"   {synthetic}" if synthetic else ""
            print(f"{name:10}{title:22}{figures}   {mean[2]:.1f} / {mean[3]:.1f}{note}")
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        parser.fail(error)
    except KeyboardInterrupt:
        parser.fail("stopped by Ctrl-C", CTRL_C)


if __name__ == "__main__":
    main()
