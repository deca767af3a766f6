"""What is trained for a table's target: a regression, two classes or many; and its figures beside a baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from experiment import Experiment, Run, same_shape
from pulsar import accuracy as right_of_two
from pulsar import loss as loss_of_two
from pulsar import metrics as scores
from pulsar import model
from steel import accuracy as right_of_many
from steel import confusion
from table_file import shown
from table_recipe import Target

from tinygrad_steel import sigmoid, softmax, softmax_cross_entropy
from tinygrad_steel.verify.report import as_table


@same_shape
def mean_square(output, y):
    return np.mean(np.square(output - y))


@same_shape
def less_mean_square(output, y):
    """1 minus the mean square error divided by the target's variance in training."""
    return 1 - np.mean(np.square(output - y))  # y is scaled to variance 1


@same_shape
def loss_of_many(output, y):
    return np.mean(softmax_cross_entropy(output, y))


def scores_of(target: Target) -> Callable[[np.ndarray, np.ndarray], dict[str, float]]:
    """Precision, recall and F1 of the second of two classes."""

    def metrics(output, y):
        return {f"{name} of {shown(target.labels[1])}": x for name, x in scores(output, y).items()}

    return metrics


def experiment_of(target: Target) -> Experiment:
    """What is trained for a target."""
    name = f"table {target.name}"
    if target.task == "classes" and len(target.labels) == 2:
        return Experiment(name, model, loss_of_two, right_of_two, sigmoid, scores_of(target))
    if target.task == "classes":
        return Experiment(name, model, loss_of_many, right_of_many, softmax, table=confusion)

    def in_units(output):
        return output * target.std + target.mean

    def metrics(output, y):
        return {
            "mean absolute error": target.std * np.mean(np.abs(output - y)),
            "root mean square error": target.std * np.sqrt(np.mean(np.square(output - y))),
        }

    return Experiment(name, model, mean_square, less_mean_square, in_units, metrics)


# Beside a baseline


def say_result(run: Run, target: Target, compare: bool) -> None:
    """The figures of the test rows beside a baseline, and beside scikit-learn's."""
    y = run.dataset.y
    rows = [("this network", run.output)]
    if compare:
        rows.append(("scikit-learn's", theirs(run)))
    name, constant = baseline(target, y[run.training])
    rows.append((name, np.broadcast_to(constant, y[run.test].shape)))
    figures = [figure(run.experiment, target, output, y[run.test]) for _, output in rows]
    for line in as_table([(name, said) for (name, _), said in zip(rows, figures)]):
        run.settings.say(line)
    constant = run.experiment.accuracy(rows[-1][1], y[run.test])
    if run.epochs and run.test_accuracy <= constant:
        run.settings.say(
            "no better than always the same: too few rows for so many inputs, or nothing in them"
        )


def baseline(target: Target, y: np.ndarray) -> tuple[str, np.ndarray]:
    """The best output that looks at no input: the training rows' mean, or their largest class."""
    if target.task == "regression":
        return f"always {target.mean:.5g}, the mean", np.zeros(1)
    if len(target.labels) == 2:
        largest = int(y.mean() > 0.5)
        output = np.array([largest - 0.5])
    else:
        largest = int(np.argmax(y.mean(axis=0)))
        output = np.eye(len(target.labels))[largest]
    return f"always {shown(target.labels[largest])}, the largest class", output


def figure(experiment: Experiment, target: Target, output: np.ndarray, y: np.ndarray) -> str:
    """What counts, of some rows."""
    if target.task == "classes":
        return f"accuracy {experiment.accuracy(output, y):.3f}"
    error = experiment.metrics(output, y)["mean absolute error"]
    variance = np.var(y)
    explained = f", R2 {1 - np.mean(np.square(output - y)) / variance:.3f}" if variance > 0 else ""
    return f"mean absolute error {error:.4g}{explained}"


def theirs(run: Run) -> np.ndarray:
    """The output of scikit-learn's network of the same size, after as many epochs with the same rows."""
    import compare_sklearn

    settings = run.settings
    output, _ = compare_sklearn.theirs(
        run, settings.epoch_count, settings.learning_rate, settings.seed
    )
    return output
