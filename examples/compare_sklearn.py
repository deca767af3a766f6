"""The experiments with good settings, beside scikit-learn's multilayer perceptron of the same architecture.

Both see the same training and test rows, standardised in the same way, over five seeds; mean and spread of the figure
that counts for each data set, and the time of the training.
"""

import argparse
import contextlib
import io
import time

import abalone
import numpy as np
import pulsar
import steel
from sklearn.neural_network import MLPClassifier, MLPRegressor

GOOD = {"hidden": (64, 32), "init": "he", "standardize": True, "optimizer": "adam"}
# name: how to train it, epochs, learning rate, what the figure is called, and the figure from outputs and targets
EXPERIMENTS = {
    "steel": (steel.steel_exec, 40, 0.0005, "accuracy", steel.accuracy),
    "abalone": (abalone.abalone_exec, 60, 0.001, "mean absolute error", lambda output, y: np.mean(np.abs(output - y))),
    "pulsar": (pulsar.pulsar_exec, 20, 0.0005, "F1", lambda output, y: pulsar.scores(output, y)[2]),
}


def ours(execute, epochs, rate, seed, data, compiled):
    """Train; return what was trained and the seconds it took."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        trained = execute(epochs, 10, 0, learning_rate=rate, seed=seed, data=data, compiled=compiled, **GOOD)
    return trained, time.perf_counter() - start


def theirs(trained, epochs, rate, seed):
    """The output of scikit-learn's perceptron for the same test rows, and the seconds its training took."""
    x, y = trained.model.scaling(trained.dataset.x), trained.dataset.y
    classes = trained.dataset.name != "abalone"
    kind = MLPClassifier if classes else MLPRegressor
    network = kind(
        hidden_layer_sizes=GOOD["hidden"],
        alpha=0,
        batch_size=10,
        learning_rate_init=rate,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,  # no early end: the same number of epochs
        random_state=seed,
    )
    targets = y.ravel() if y.shape[1] == 1 else np.argmax(y, axis=1)
    start = time.perf_counter()
    network.fit(x[trained.training], targets[trained.training])
    seconds = time.perf_counter() - start
    if not classes:
        return network.predict(x[trained.test])[:, None], seconds
    probabilities = network.predict_proba(x[trained.test])
    return (probabilities[:, 1:] - 0.5 if y.shape[1] == 1 else probabilities), seconds


def compare(name, seeds, data=None, epochs=None, compiled=True):
    """Both figures for each seed, and both times."""
    execute, default_epochs, rate, _, figure = EXPERIMENTS[name]
    epochs = epochs or default_epochs
    rows = []
    for seed in range(seeds):
        trained, our_time = ours(execute, epochs, rate, seed, data, compiled)
        output, their_time = theirs(trained, epochs, rate, seed)
        y = trained.dataset.y[trained.test]
        rows.append((figure(trained.output, y), figure(output, y), our_time, their_time))
    return np.array(rows)


def main():
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="default 5")
    parser.add_argument("--epochs", type=int, help="instead of those that are good for each data set")
    parser.add_argument("--data", help="a folder, 'uci' or 'synthetic'")
    parser.add_argument("--eager", action="store_true", help="without compiling")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # that it ends after so many epochs is intended
    print(f"{'':10}{'':22}{'tinygrad_steel':>18}{'scikit-learn':>18}   seconds")
    for name, (*_, title, _) in EXPERIMENTS.items():
        rows = compare(name, given.seeds, given.data, given.epochs, not given.eager)
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        figures = "".join(f"{mean[i]:11.3f} ± {spread[i]:.3f}" for i in (0, 1))
        print(f"{name:10}{title:22}{figures}   {mean[2]:.1f} / {mean[3]:.1f}")


if __name__ == "__main__":
    main()
