"""The experiments' options: hidden layers, scaling, optimizers, saved models, metrics, and how a run is watched."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import abalone
import command_line
import compiled_epoch
import experiment
import numpy as np
import outputs
import pulsar
import pytest
import steel
from datasets import load
from experiment import balanced
from model import Model, Scaling

from tinygrad_steel import Tensor

EXAMPLES = Path(experiment.__file__).parent
NAMES = ["abalone", "pulsar", "steel"]
MODULES = {"abalone": abalone, "pulsar": pulsar, "steel": steel}
PULSAR = {"mb_size": 400, "data": "synthetic"}  # large batches, as there are many rows


def execute(name, *counts, **settings):
    return getattr(MODULES[name], f"{name}_exec")(*counts, **{"data": "synthetic", **settings})


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a script's main in this process; return the exit code, the lines printed and the lines of errors.

    Without the line that explains the accuracies, which has a test of its own.
    """

    def run(name, *options, data="synthetic"):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options), "--data", data])
        choices = {"loss": [*steel.LOSSES]} if name == "steel" else {}
        capsys.readouterr()
        code = 0
        try:
            command_line.main(
                getattr(MODULES[name], f"{name}_exec"), MODULES[name].__doc__, **choices
            )
        except SystemExit as stop:
            code = stop.code
        done = capsys.readouterr()
        lines = [line for line in done.out.splitlines() if not line.startswith("accuracy=a/b is ")]
        return code, lines, done.err.splitlines()

    return run


@pytest.fixture
def table(monkeypatch):
    """Have the experiments load the stand-in with these fields changed."""

    def replace(name, **fields):
        dataset = dataclasses.replace(load(name, "synthetic"), **fields)
        monkeypatch.setattr(experiment, "load", lambda name, data: dataset)
        return dataset

    return replace


# The protocol, by hand


def relu(x):
    return np.where(x > 0, x, 0.0)


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def judge(name, output, y):
    """Loss, its gradient with respect to the output, and the accuracy."""
    if name == "abalone":
        return (
            np.mean((output - y) ** 2),
            2 * (output - y) / len(y),
            1 - np.mean(np.abs(output - y) / y),
        )
    if name == "pulsar":
        loss = np.mean(np.logaddexp(0, output) - output * y)
        return loss, (sigmoid(output) - y) / len(y), np.mean((output > 0) == (y == 1))
    p = softmax(output)
    loss = np.mean(-np.log(np.sum(p * y, axis=1) + 1e-10))
    return loss, (p - y) / len(y), np.mean(p.argmax(axis=1) == y.argmax(axis=1))


def forward(parameters, x):
    """The input of each layer, then the output."""
    values = [x]
    for i in range(0, len(parameters), 2):
        z = values[-1] @ parameters[i] + parameters[i + 1]
        values.append(relu(z) if i + 2 < len(parameters) else z)
    return values


def step(name, parameters, x, y):
    """Loss, accuracy, and the gradient of each parameter, chained from the output back."""
    values = forward(parameters, x)
    loss, g, accuracy = judge(name, values[-1], y)
    gradients = []
    for i in reversed(range(0, len(parameters), 2)):
        a = values[i // 2]
        gradients = [a.T @ g, g.sum(axis=0), *gradients]
        g = (g @ parameters[i].T) * (a > 0)
    return loss, accuracy, gradients


def updater(optimizer, rate):
    """By what a parameter is lowered, with its memory of earlier steps."""
    memory = {}

    def update(i, g):
        if optimizer == "sgd":
            return rate * g
        if optimizer == "momentum":
            memory[i] = 0.9 * memory.get(i, 0) + g
            return rate * memory[i]
        m, v, t = memory.get(i, (0, 0, 0))
        m, v, t = memory[i] = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2, t + 1
        return rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return update


def by_hand(
    name,
    hidden,
    epochs,
    mb=10,
    seed=1234,
    data="synthetic",
    optimizer="sgd",
    rate=0.001,
    start=None,
):
    """The book's protocol: its transcript, its last parameters, and all rows in the order of the first shuffle."""
    dataset = load(name, data)
    rng = np.random.RandomState(seed)
    sizes = [dataset.x.shape[1], *hidden, dataset.y.shape[1]]
    parameters = []
    for rows, columns in itertools.pairwise(sizes):
        parameters += [rng.normal(0, 0.0030, (rows, columns)), np.zeros(columns)]
    parameters = start or parameters
    order = np.arange(len(dataset.x))
    rng.shuffle(order)
    steps = int(len(order) * 0.8) // mb
    training, test = order[: steps * mb].copy(), order[steps * mb :]
    update = updater(optimizer, rate)
    lines = []
    for epoch in range(1, epochs + 1):
        rng.shuffle(training)
        seen = []
        for rows in training.reshape(steps, mb):
            loss, accuracy, gradients = step(name, parameters, dataset.x[rows], dataset.y[rows])
            parameters = [p - update(i, g) for i, (p, g) in enumerate(zip(parameters, gradients))]
            seen.append((loss, accuracy))
        loss, accuracy = np.mean(seen, axis=0)
        tested = judge(name, forward(parameters, dataset.x[test])[-1], dataset.y[test])[2]
        lines.append(f"Epoch {epoch}: loss={loss:5.3f}, accuracy={accuracy:5.3f}/{tested:5.3f}")
    tested = judge(name, forward(parameters, dataset.x[test])[-1], dataset.y[test])[2]
    return [*lines, "", f"Final Test: final accuracy = {tested:5.3f}"], parameters, order


def arrays(trained):
    return [p.data for p in trained.parameters.values()]


def assert_same(found, expected, **tolerance):
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, **{"rtol": 1e-9, "atol": 1e-12, **tolerance})


def test_weights_are_drawn_hidden_layers_first_and_then_the_rows_shuffled():
    trained = execute("steel", 0, hidden=(12, 6))
    rng = np.random.RandomState(1234)
    weights = [rng.normal(0, 0.0030, shape) for shape in [(27, 12), (12, 6), (6, 7)]]
    assert list(trained.parameters) == [
        "weight_1",
        "bias_1",
        "weight_2",
        "bias_2",
        "weight",
        "bias",
    ]
    for found, right in zip(arrays(trained)[::2], weights, strict=True):
        np.testing.assert_array_equal(found, right)
    assert not any(bias.any() for bias in arrays(trained)[1::2])
    order = np.arange(1941)
    rng.shuffle(order)
    np.testing.assert_array_equal(np.concatenate([trained.training, trained.test]), order)


def test_he_draws_wider_where_there_are_fewer_inputs():
    trained = execute("abalone", 0, hidden=[8], init="he", seed=5)
    rng = np.random.RandomState(5)
    np.testing.assert_array_equal(
        trained.parameters["weight_1"].data, rng.normal(0, np.sqrt(2 / 10), (10, 8))
    )
    np.testing.assert_array_equal(
        trained.parameters["weight"].data, rng.normal(0, np.sqrt(2 / 8), (8, 1))
    )


@pytest.mark.parametrize(
    ("name", "mb", "rate"),
    [("abalone", 10, 0.001), ("pulsar", 100, 0.001), ("steel", 10, 0.001), ("steel", 13, 0.01)],
)
def test_the_perceptron_prints_the_transcript_made_by_hand(name, mb, rate, capsys):
    trained = execute(name, 2, mb, hidden=(12, 6, 4), learning_rate=rate)
    lines, parameters, _ = by_hand(name, (12, 6, 4), 2, mb, rate=rate)
    assert capsys.readouterr().out.splitlines()[1:-1] == lines
    assert_same(arrays(trained), parameters)


@pytest.mark.parametrize("name", ["abalone", "steel"])
def test_the_perceptron_on_real_data_is_the_one_made_by_hand(name, data_folder, capsys):
    trained = execute(name, 2, hidden=(12, 6, 4), data=str(data_folder))
    lines, parameters, _ = by_hand(name, (12, 6, 4), 2, data=str(data_folder))
    assert capsys.readouterr().out.splitlines() == lines
    assert_same(arrays(trained), parameters)


@pytest.mark.parametrize(("optimizer", "rate"), [("momentum", 0.0001), ("adam", 0.01)])
def test_optimizers_are_those_made_by_hand(optimizer, rate, capsys):
    trained = execute("abalone", 2, 50, hidden=(5,), optimizer=optimizer, learning_rate=rate)
    lines, parameters, _ = by_hand("abalone", (5,), 2, 50, optimizer=optimizer, rate=rate)
    assert capsys.readouterr().out.splitlines()[1:-1] == lines
    assert_same(arrays(trained), parameters, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"hidden": (4, 0)}, r"at least one unit, got widths \[27, 4, 0, 7\]"),
        ({"init": "xavier"}, 'init is "book" or "he"'),
        ({"optimizer": "rmsprop"}, "optimizer is one of sgd, momentum, adam"),
        ({"learning_rate": 0.0}, "learning rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning rate must be above 0"),
    ],
)
def test_wrong_settings_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        execute("steel", **settings)


@pytest.mark.parametrize(
    ("mb", "training"), [(10, 1550), (13, 1547), (100, 1500), (1552, 1552), (777, 777)]
)
def test_rows_beyond_the_last_whole_batch_are_test_rows(mb, training):
    trained = execute("steel", 1, mb)
    assert (len(trained.training), len(trained.test)) == (training, 1941 - training)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([trained.training, trained.test])), np.arange(1941)
    )


def test_seeds():
    once, again, other = (arrays(execute("steel", 1, hidden=(3,), seed=seed)) for seed in (0, 0, 1))
    right = by_hand("steel", (3,), 1, seed=0)[1]
    assert_same(once, right)
    assert all(np.array_equal(x, y) for x, y in zip(once, again))
    assert not np.allclose(once[0], other[0])


def test_a_generator_goes_on_from_where_it_was():
    used, fresh = np.random.RandomState(7), np.random.RandomState(7)
    execute("steel", 1, 100, hidden=(3,), seed=used)
    fresh.normal(size=27 * 3 + 3 * 7)
    rows = np.arange(1941)
    fresh.shuffle(rows)
    fresh.shuffle(rows[:1500])
    second = execute("steel", 0, hidden=(3,), seed=used)
    np.testing.assert_array_equal(
        second.parameters["weight_1"].data, fresh.normal(0, 0.0030, (27, 3))
    )


# Scaling


def test_inputs_are_standardised_by_the_training_rows_alone():
    trained = execute("steel", 1, 100, hidden=(5,), init="he", standardize=True)
    x = load("steel", "synthetic").x
    order = by_hand("steel", (5,), 0, 100)[2]  # he draws as many numbers
    mean, std = x[order[:1500]].mean(axis=0), x[order[:1500]].std(axis=0)
    assert_same(trained.model.scaling, (mean, std))
    assert not np.allclose(mean, x.mean(axis=0), rtol=1e-6)
    assert_same([trained.output], [forward(arrays(trained), (x[order[1500:]] - mean) / std)[-1]])


def test_test_rows_do_not_move_the_scaling(table):
    dataset = load("steel", "synthetic")
    before = execute("steel", 1, standardize=True)
    x = dataset.x.copy()
    x[before.test] += 1e6
    table("steel", x=x)
    after = execute("steel", 1, standardize=True)
    for one, other in zip(
        (*before.model.scaling, *arrays(before)), (*after.model.scaling, *arrays(after))
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-300, 12345.678])
def test_a_constant_column_becomes_zero(value):
    rows = np.column_stack([np.full(999, value), np.arange(999.0)])
    scaling = Scaling.of(rows)
    scaled = scaling(rows)
    assert not scaled[:, 0].any()
    np.testing.assert_allclose([scaled[:, 1].mean(), scaled[:, 1].std()], [0, 1], atol=1e-12)
    assert scaling(np.array([[value + 5, 0.0]]))[0, 0] == 0  # as nothing is known of its size


def test_a_column_that_is_constant_in_training_teaches_nothing(table):
    table("steel", x=np.column_stack([np.full(1941, 0.1), load("steel", "synthetic").x[:, 1:]]))
    trained, untrained = (execute("steel", epochs, standardize=True) for epochs in (2, 0))
    weight, first = (t.parameters["weight"].data for t in (trained, untrained))
    np.testing.assert_array_equal(weight[0], first[0])
    assert np.isfinite(weight).all() and not np.isclose(weight[1:], first[1:]).any()


def test_raw_inputs_stay_as_they_are():
    assert_same(execute("steel", 0).model.scaling, (np.zeros(27), np.ones(27)))


# Saved models


@pytest.mark.parametrize("standardize", [False, True])
def test_a_loaded_model_predicts_the_same_for_raw_inputs(standardize, tmp_path, capsys):
    file = tmp_path / "model"  # a suffix is not added
    trained = execute("abalone", 1, 50, hidden=(5,), init="he", standardize=standardize, save=file)
    assert capsys.readouterr().out.splitlines()[-2] == f"saved: {file}"
    x = trained.dataset.x
    mean, std = (
        (x[trained.training].mean(axis=0), x[trained.training].std(axis=0))
        if standardize
        else (0, 1)
    )
    right = forward(arrays(trained), (x - mean) / std)[-1]
    loaded = execute("abalone", 0, 50, hidden=(5,), load_from=file)
    inputs = "standardised" if standardize else "raw"
    assert f"loaded: {file} (epochs: 1, inputs: {inputs})" in capsys.readouterr().out
    for model in (trained.model, loaded.model):
        assert_same([model.predict(x, abalone.model)], [right])
    np.testing.assert_array_equal(loaded.output, trained.output)


def test_training_goes_on_from_a_loaded_model_as_if_never_stopped(tmp_path, capsys):
    start = [p.copy() for p in arrays(execute("steel", 0, hidden=(5,), init="he"))]
    execute("steel", 1, hidden=(5,), init="he", save=tmp_path / "a.npz")
    capsys.readouterr()
    second = execute("steel", 2, hidden=(5,), load_from=tmp_path / "a.npz", save=tmp_path / "b.npz")
    lines, parameters, _ = by_hand("steel", (5,), 3, start=start)
    assert capsys.readouterr().out.splitlines()[2:-2] == lines[1:]
    assert_same(arrays(second), parameters)
    kept = kept_settings(tmp_path / "b.npz")
    assert (kept["epochs"], kept["init"]) == (3, "he")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("compiled", [False, True])
def test_two_epochs_and_two_more_are_four_to_the_last_bit(
    compiled, optimizer, tmp_path, monkeypatch
):
    compile_epoch = compiled_epoch.compile_epoch
    monkeypatch.setattr(
        compiled_epoch, "compile_epoch", lambda *a, **k: compile_epoch(*a, **k, backend="numpy")
    )
    files = [tmp_path / f"{name}.npz" for name in ("half", "whole", "at once")]
    settings = {"hidden": (4, 3), "standardize": True, "optimizer": optimizer, "balance": True}
    settings |= {**PULSAR, "compiled": compiled, "learning_rate": 0.01}
    first = execute("pulsar", 2, **settings, save=files[0], seed=5)
    second = execute("pulsar", 2, **settings, save=files[1], load_from=files[0], seed=6)
    once = execute("pulsar", 4, **settings, save=files[2], seed=5)
    assert [*first.history, *second.history] == once.history
    kept = [np.load(file) for file in files[1:]]
    with kept[0], kept[1]:
        assert kept[0].files == kept[1].files and len(kept[0].files) > 10
        for name in set(kept[0].files) - {"settings"}:
            assert kept[0][name].tobytes() == kept[1][name].tobytes(), name
    assert kept_settings(files[1]) == {**kept_settings(files[2]), "seed": 6}


def test_another_optimizer_begins_anew_and_it_is_said(tmp_path, capsys):
    execute("steel", 1, optimizer="adam", save=tmp_path / "a.npz")
    loaded = execute("steel", 0, load_from=tmp_path / "a.npz")
    assert "(epochs: 1, inputs: raw, sgd begins anew after adam)" in capsys.readouterr().out
    assert loaded.optimizer.steps == 0


def test_the_test_rows_of_a_loaded_model_were_never_trained_with(tmp_path):
    first = execute("steel", 1, 100, standardize=True, save=tmp_path / "a.npz")
    second = execute("steel", 1, 7, seed=99, load_from=tmp_path / "a.npz")
    assert set(second.test) == set(first.test) and set(second.training) == set(first.training)
    for one, other in zip(first.model.scaling, second.model.scaling):
        np.testing.assert_array_equal(one, other)


def test_the_scaling_of_the_file_is_used_whether_asked_for_or_not(tmp_path):
    execute("steel", 1, standardize=True, save=tmp_path / "a.npz")
    outputs = [
        execute("steel", 1, load_from=tmp_path / "a.npz", standardize=s).output
        for s in (True, False)
    ]
    np.testing.assert_array_equal(*outputs)


def test_standardised_inputs_for_a_model_of_raw_ones_are_refused(tmp_path, command):
    execute("steel", 1, save=tmp_path / "a.npz")
    code, _, (line,) = command("steel", "--load", tmp_path / "a.npz", "--standardize")
    assert code == 2 and "was trained without --standardize" in line


def kept_settings(file):
    with np.load(file, allow_pickle=False) as found:
        return json.loads(str(found["settings"]))


def test_the_file_has_all_settings_and_nothing_pickled(tmp_path):
    file = tmp_path / "a.npz"
    choices = {
        "init": "he",
        "standardize": True,
        "balance": True,
        "optimizer": "adam",
        "learning_rate": 0.01,
    }
    trained = execute(
        "pulsar", 1, 500, hidden=np.array([4, 3]), seed=np.int64(0), save=file, **choices
    )
    widths = {"widths": [8, 4, 3, 1], "data": "pulsar", "loss": "loss", "synthetic": True}
    widths["labels"] = ["target_class"]
    assert kept_settings(file) == {**choices, **widths, "batch_size": 500, "epochs": 1, "seed": 0}
    with np.load(file, allow_pickle=False) as found:
        assert all(found[name].dtype.kind in "fiuU" for name in found.files)
        np.testing.assert_array_equal(found["test"], trained.test)
        np.testing.assert_array_equal(found["mean"], trained.model.scaling.mean)
        for name, p in trained.parameters.items():
            np.testing.assert_array_equal(found[f"parameter {name}"], p.data)


def test_a_generator_as_seed_is_not_kept(tmp_path):
    execute("steel", 0, seed=np.random.RandomState(3), save=tmp_path / "a.npz")
    assert kept_settings(tmp_path / "a.npz")["seed"] is None


class Payload:
    """What a hostile pickle could do: make a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def changed(file, **changes):
    """Write the file anew with some arrays changed, or left out (None)."""
    with np.load(file, allow_pickle=False) as found:
        arrays = dict(found)
    settings = json.loads(str(arrays["settings"]))
    for name, value in changes.items():
        if name in settings:
            settings[name] = value
        else:
            arrays[name.replace("parameter_", "parameter ")] = value
    arrays["settings"] = changes.get("settings", np.array(json.dumps(settings)))
    np.savez(file, **{name: x for name, x in arrays.items() if x is not None})


def truncated(file):
    file.write_bytes(file.read_bytes()[:-100])


def flipped(file):
    content = bytearray(file.read_bytes())
    content[content.find(b"NUMPY") + 200] ^= 1  # within the first array, which its checksum tells
    file.write_bytes(content)


def as_npy(file):
    np.save(file.with_suffix(".npy"), np.ones(3))
    file.with_suffix(".npy").replace(file)


def as_other_zip(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("settings.npy", "no array")


DAMAGES = {
    "missing": (Path.unlink, "No such file"),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "Is a directory|Permission denied"),
    "empty": (lambda file: file.write_bytes(b""), "not a model"),
    "text": (lambda file: file.write_text("Rings\n7\n", encoding="utf-8"), "not a model"),
    "one array": (as_npy, "not a model"),
    "another zip": (as_other_zip, "not a model"),
    "truncated": (truncated, "not a whole one"),
    "a bit flipped": (flipped, "not a whole one"),
    "no settings": (lambda file: changed(file, settings=None), "not a model"),
    "settings of another kind": (
        lambda file: changed(file, settings=np.array("[1]")),
        "not a model",
    ),
    "settings without epochs": (
        lambda file: changed(file, settings=np.array('{"data": "steel"}')),
        "not a model",
    ),
    "no test rows": (lambda file: changed(file, test=None), "not a model"),
    "all are test rows": (lambda file: changed(file, test=np.arange(1941)), "not a model"),
    "test rows beyond the table": (
        lambda file: changed(file, test=np.array([1941])),
        "not a model",
    ),
    "test rows that are no whole numbers": (
        lambda file: changed(file, test=np.array([0.5])),
        "not a model",
    ),
    "other widths": (
        lambda file: changed(file, widths=[27, 6, 7]),
        r"widths \[27, 6, 7\], this run has \[27, 5, 7\]",
    ),
    "another data set": (
        lambda file: changed(file, data="pulsar"),
        "data 'pulsar', this run has 'steel'",
    ),
    "made for real data": (
        lambda file: changed(file, synthetic=False),
        "synthetic False, this run has True",
    ),
    "a shape": (
        lambda file: changed(file, parameter_bias_1=np.ones(4)),
        r"bias_1: \(4,\) float64, this model \(5,\)",
    ),
    "a dtype": (
        lambda file: changed(file, parameter_bias_1=np.ones(5, "f4")),
        r"\(5,\) float32, this model \(5,\) f",
    ),
    "one too few": (
        lambda file: changed(file, parameter_bias=None),
        r"parameter bias: none, this model \(7,\) float64",
    ),
    "one too many": (
        lambda file: changed(file, parameter_gain=np.ones(5)),
        "gain: .* float64, this model none",
    ),
    "the scaling of other columns": (
        lambda file: changed(file, mean=np.ones(8)),
        r"mean: \(8,\) .* \(27,\)",
    ),
    "no scaling": (lambda file: changed(file, std=None), r"std: none, this model \(27,\) float64"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    file = tmp_path_factory.mktemp("saved") / "model.npz"
    execute("steel", 0, hidden=(5,), standardize=True, save=file)
    return file.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_no_fitting_model_is_refused_in_one_line(damage, saved, tmp_path, command):
    file = tmp_path / "model.npz"
    file.write_bytes(saved)
    DAMAGES[damage][0](file)
    code, out, errors = command("steel", "--hidden", "5", "--load", file)
    assert (
        code == 2
        and len(errors) == 1
        and errors[0].startswith("steel.py: ")
        and not any("Epoch" in x for x in out)
    )
    assert re.search(DAMAGES[damage][1], errors[0]) and str(file) in errors[0]


@pytest.mark.parametrize("place", ["test", "settings", "parameter bias", "file"])
def test_nothing_is_ever_unpickled(place, saved, tmp_path, command):
    file, evidence = tmp_path / "model.npz", tmp_path / "evidence"
    file.write_bytes(saved)
    payload = np.array([Payload(evidence)], dtype=object)
    if place == "file":
        payload.dump(file)
    else:
        changed(file, **{place.replace(" ", "_"): payload})
    code, _, errors = command("steel", "--hidden", "5", "--load", file)
    assert code == 2 and "not a model" in errors[0] and "allow_pickle" not in errors[0]
    assert not evidence.exists()


@pytest.mark.parametrize("name", ["no/folder/model.npz", "."])
def test_a_place_where_nothing_can_be_saved_is_refused_before_training(name, tmp_path, command):
    code, out, (line,) = command("steel", "--save", tmp_path / name)
    assert code == 2 and "cannot be written" in line and not out


def test_a_batch_larger_than_the_rows_that_a_model_was_trained_with(saved, tmp_path, command):
    (tmp_path / "model.npz").write_bytes(saved)
    code, _, (line,) = command(
        "steel", "--hidden", "5", "--load", tmp_path / "model.npz", "--batch-size", "1551"
    )
    assert code == 2 and "a batch of 1551 is more than the 1550 training rows" in line


# Balance


def test_balance_makes_both_classes_equally_many_from_training_rows_alone():
    plain, trained = execute("pulsar", 0, **PULSAR), execute("pulsar", 1, balance=True, **PULSAR)
    ones = trained.dataset.y[trained.training, 0] == 1
    assert ones.sum() == (~ones).sum() == (trained.dataset.y[plain.training, 0] == 0).sum()
    assert set(trained.training) == set(plain.training) and not set(trained.training) & set(
        trained.test
    )
    np.testing.assert_array_equal(trained.test, plain.test)
    _, times = np.unique(trained.training[ones], return_counts=True)
    assert times.max() - times.min() <= 1  # repeated in turn
    assert len(set(trained.training[~ones])) == (~ones).sum()


def test_balance_leaves_the_order_of_the_rows_to_the_shuffle():
    y = np.array([0, 0, 1, 0, 0, 1, 0, 1])[:, None].astype(float)
    np.testing.assert_array_equal(
        balanced(y, np.array([7, 6, 4, 3, 2, 1, 0])), [7, 6, 4, 3, 2, 1, 0, 7, 2, 7]
    )
    np.testing.assert_array_equal(balanced(1 - y, np.array([2, 0, 1])), [2, 0, 1, 2])
    np.testing.assert_array_equal(balanced(y, np.array([0, 2])), [0, 2])


@pytest.mark.parametrize("name", ["steel", "abalone"])
def test_balance_is_for_two_classes(name, command):
    code, _, errors = command(name, "--balance")
    assert code == 2 and errors == [f"{name}.py: balance is for data with two classes, 0 and 1"]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_balance_needs_both_classes(value):
    with pytest.raises(ValueError, match="rows of both classes"):
        balanced(np.full((5, 1), value), np.arange(5))


# Metrics

COLUMN = {"yes": np.array([[2.0]]), "no": np.array([[-2.0]])}


def column(words):
    return np.concatenate([COLUMN[word] for word in words.split()])


@pytest.mark.parametrize(
    ("found", "true", "right"),
    [
        ("yes yes yes no no", "yes no yes yes no", (2 / 3, 2 / 3, 2 / 3)),
        ("yes yes yes yes", "yes no no no", (1 / 4, 1, 2 / 5)),
        ("no no no", "yes no no", (0, 0, 0)),  # nothing found
        ("yes no no", "no no no", (0, 0, 0)),  # nothing to find
        ("no no", "no no", (0, 0, 0)),  # neither
        ("yes yes", "yes yes", (1, 1, 1)),
    ],
)
def test_precision_recall_and_f1(found, true, right):
    output, y = column(found), (column(true) > 0).astype(float)
    np.testing.assert_allclose(pulsar.scores(output, y), right)
    assert list(pulsar.metrics(output, y)) == ["precision", "recall", "F1"]
    np.testing.assert_allclose([*pulsar.metrics(output, y).values()], right)


def test_scores_are_those_of_scikit_learn():
    reference = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support
    rng = np.random.default_rng(0)
    output, y = rng.normal(size=(500, 1)), (rng.random((500, 1)) < 0.2).astype(float)
    right = reference(y.ravel(), output.ravel() > 0, average="binary")[:3]
    np.testing.assert_allclose(pulsar.scores(output, y), right)


def test_the_confusion_matrix_has_a_row_for_what_is_and_a_column_for_what_it_was_taken_for():
    is_class, taken = [0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 0, 2]
    lines = steel.confusion(np.eye(3)[taken], np.eye(3)[is_class], ["Stains", "Dirtiness", "Bumps"])
    assert [*lines] == [
        "is / taken for Stains Dirtin  Bumps",
        "Stains              2      1      0",
        "Dirtiness           0      1      0",
        "Bumps               1      0      1",
    ]


def test_the_mean_absolute_error_counts_rings():
    assert abalone.metrics(np.array([[7.0], [9.5]]), np.array([[8.0], [9.0]])) == {
        "mean absolute error in rings": 0.75
    }


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_of_the_test_rows_and_follow_the_accuracy(name, command):
    options = ["--epochs", "0", "--hidden", "3", "--standardize", "--init", "he"]
    code, lines, errors = command(name, *options, "--metrics")
    trained = execute(name, 0, hidden=(3,), standardize=True, init="he")
    y = trained.dataset.y[trained.test]
    assert (code, errors, lines[2].partition(" =")[0]) == (0, [], "Final Test: final accuracy")
    if name == "steel":
        assert sum(int(n) for line in lines[4:-1] for n in line.split()[1:]) == len(y)
        assert [line.split()[0] for line in lines[4:-1]] == list(trained.dataset.y_names)
        assert [sum(map(int, line.split()[1:])) for line in lines[4:-1]] == list(y.sum(axis=0))
    elif name == "abalone":
        right = np.abs(trained.output - y).mean()
        assert lines[3] == f"mean absolute error in rings = {right:5.3f}"
    else:
        found, true = trained.output > 0, y == 1
        assert lines[3] == (
            f"precision = {np.mean(true[found]):5.3f}, recall = {np.mean(found[true]):5.3f}, "
            f"F1 = {2 * np.sum(found & true) / (found.sum() + true.sum()):5.3f}"
        )


# Ctrl-C, and a loss that is not finite


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C in the tenth step of the second epoch."""
    step, calls = experiment.Run.step, []

    def interrupt(run, batch):
        calls.append(batch)
        if len(calls) == 155 + 10:
            raise KeyboardInterrupt
        return step(run, batch)

    monkeypatch.setattr(experiment.Run, "step", interrupt)


def test_ctrl_c_ends_the_training_but_nothing_else(interrupted, tmp_path, capsys):
    files = {"save": tmp_path / "a.npz", "plot": tmp_path / "a.svg"}
    trained = execute("steel", 5, metrics=True, **files)
    _, first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("Epoch 1: ")
    assert rest[:2] == ["stopped by Ctrl-C in epoch 2 of 5", ""]
    assert rest[2].startswith("Final Test: ") and rest[3].startswith("is / taken for")
    assert rest[-3:-1] == [f"saved: {files['save']}", f"plotted: {files['plot']}"]
    assert trained.stopped and len(trained.history) == 1
    with np.load(files["save"]) as found:
        np.testing.assert_array_equal(found["parameter weight"], trained.parameters["weight"].data)
    assert kept_settings(files["save"])["epochs"] == 1


def test_ctrl_c_gives_the_exit_code_that_shells_know(interrupted, command):
    code, lines, errors = command("steel", "--report", "0")
    assert (code, errors) == (130, []) and lines[1] == "stopped by Ctrl-C in epoch 2 of 10"


def test_ctrl_c_before_the_training_is_one_line(monkeypatch, command):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "load", interrupt)
    assert command("steel") == (130, [], ["steel.py: stopped by Ctrl-C"])


@contextlib.contextmanager
def running(name, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    command = [sys.executable, EXAMPLES / name, "--data", "synthetic", *map(str, options)]
    with subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr) as script:
        try:
            yield script
        finally:
            script.kill()  # which does nothing to one that has ended


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="run where Ctrl-C is ignored"
)
def test_a_real_ctrl_c(tmp_path):
    options = ["--epochs", "100000", "--save", tmp_path / "a.npz"]
    with running("steel.py", *options) as script:
        lines = [script.stdout.readline() for _ in range(3)]  # at once, through a pipe as well
        script.send_signal(signal.SIGINT)
        out, errors = script.communicate(timeout=60)
    assert lines[2].startswith(b"Epoch 1: ")
    assert (script.returncode, errors) == (130, b"")
    stop = re.search(
        rb"^stopped by Ctrl-C in epoch (\d+) of 100000\n\nFinal Test: .*\nsaved: ",
        out,
        re.MULTILINE,
    )
    assert int(stop[1]) < 100
    assert kept_settings(tmp_path / "a.npz")["epochs"] >= 1


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_a_loss_that_is_not_finite_ends_the_run_with_advice(optimizer, tmp_path, command):
    options = ["--optimizer", optimizer, "--learning-rate", "10", "--save", tmp_path / "a.npz"]
    code, lines, (line,) = command("abalone", *options)
    assert code == 2 and len(lines) == 1 and not (tmp_path / "a.npz").exists()
    assert re.fullmatch(
        r"abalone.py: the loss is (nan|inf) in epoch 1: try a smaller --learning-rate than 10, or --standardize "
        r"\(--keep-going trains on\)",
        line,
    )


def test_the_advice_leaves_out_what_is_done_already(tmp_path, command):
    execute("abalone", 0, standardize=True, save=tmp_path / "a.npz")
    for options in (["--standardize"], ["--load", tmp_path / "a.npz"]):
        _, _, (line,) = command("abalone", *options, "--learning-rate", "1e9")
        assert "--learning-rate than 1e+09 (--keep-going" in line


def test_keep_going_trains_on(command):
    code, lines, errors = command(
        "abalone", "--learning-rate", "10", "--keep-going", "--epochs", "2", "--metrics"
    )
    assert (code, errors) == (0, [])
    assert lines[2:-1] == [
        "Epoch 2: loss=  nan, accuracy=  nan/  nan",
        "",
        "Final Test: final accuracy =   nan",
        "mean absolute error in rings =   nan",
    ]


def test_a_watcher_is_told_before_the_first_epoch_and_after_each():
    seen = []
    trained = execute(
        "steel", 2, watch=lambda run: seen.append(run.parameters["weight"].data.copy())
    )
    rights = [arrays(execute("steel", epochs))[0] for epochs in (0, 1, 2)]
    assert len(seen) == 3 and len(trained.history) == 2
    for one, other in zip(seen, rights):
        np.testing.assert_array_equal(one, other)


# The bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_the_bar_is_for_a_terminal_and_for_those_who_want_it(quiet, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    trained = execute("steel", 6, report=3, quiet=quiet)
    shown, printed = sys.stderr.getvalue(), capsys.readouterr().out.splitlines()
    assert [line[:8] for line in printed[1:3]] == ["Epoch 3:", "Epoch 6:"] and len(printed) == 6
    last = trained.history[-1]
    status = f"loss={last.loss:5.3f}, accuracy={last.accuracy:5.3f}/{last.test_accuracy:5.3f}"
    assert not shown if quiet else "6/6" in shown and status in shown


def test_without_a_terminal_there_is_no_bar(command):
    assert command("steel", "--epochs", "1")[2] == []


@pytest.mark.skipif(os.name == "nt", reason="there is no pty")
def test_lines_beside_the_bar_of_a_real_terminal_are_whole():
    import fcntl
    import pty
    import struct
    import termios

    pytest.importorskip("tqdm")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    seen = b""
    with running("steel.py", "--epochs", 9, "--report", 2, stdout=theirs, stderr=theirs) as script:
        os.close(theirs)
        end = time.monotonic() + 60
        while select.select([ours], [], [], max(0, end - time.monotonic()))[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not part:
                break
            seen += part
        script.wait(timeout=60)
    os.close(ours)
    screen = [line.split("\r")[-1] for line in seen.decode().replace("\r\n", "\n").splitlines()]
    assert script.returncode == 0 and b"8/9" in seen and b"epochs/s" in seen
    assert [line[:8] for line in screen if "Epoch" in line] == [
        "Epoch 2:",
        "Epoch 4:",
        "Epoch 6:",
        "Epoch 8:",
    ]
    assert screen[-2].startswith("Final Test: final accuracy = ")


def test_report_0_prints_the_end_alone(command):
    code, lines, errors = command("steel", "--report", "0", "--quiet", "--epochs", "2")
    assert (code, errors, len(lines)) == (0, [], 4)
    assert lines[1] == "" and lines[2].startswith("Final Test: ")


# Pages


@pytest.mark.parametrize("compiled", [False, True])
def test_a_page_shows_the_first_batch_before_and_after_each_epoch(compiled, tmp_path, capsys):
    if compiled:
        pytest.importorskip("numba")
    page = tmp_path / "a.html"
    seen = []

    def look(run):
        x, y = Tensor(run.x[first]), Tensor(run.dataset.y[first])
        seen.append(steel.softmax_loss(run.model(x, steel.model), y).item())

    plain = execute("steel", 0, hidden=(4,))  # the same seed, before anything is shuffled
    first = plain.training[:10]
    run = execute("steel", 3, page=page, hidden=(4,), watch=look, compiled=compiled)
    batches = len(run.training) // 10
    assert run.record.steps == [0, batches, 2 * batches, 3 * batches]
    np.testing.assert_allclose(run.record.losses, seen, rtol=1e-12)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out.splitlines()[-2] == f"page: {page}"


def test_a_page_changes_nothing_of_the_training(tmp_path):
    runs = [execute("steel", 2, hidden=(4,), page=page) for page in (None, tmp_path / "a.html")]
    plain, paged = ([p.numpy() for p in run.parameters.values()] for run in runs)
    assert all(map(np.array_equal, plain, paged)) and runs[0].history == runs[1].history


def test_a_page_is_opened_where_that_is_asked_for(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(outputs.webbrowser, "open", lambda address: opened.append(address) or True)
    execute("steel", 1, page=tmp_path / "a.html", open_page=True)
    assert opened == [(tmp_path / "a.html").as_uri()]


# Curves


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_curves_as_png(epochs, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    execute("steel", epochs, plot=tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = image.imread(tmp_path / "a.png")[..., :3]
    blue = np.abs(pixels - np.array([0x0B, 0x6F, 0xB3]) / 255).max(axis=-1) < 0.02
    assert pixels.shape[:2] == (420, 960)
    halves = blue[:, :480].sum(), blue[:, 480:].sum()
    assert min(halves) > 5 if epochs else halves[0] == 0  # on the right, there is the legend


def test_curves_as_svg_are_through_the_figures_of_the_epochs(tmp_path):
    pytest.importorskip("matplotlib")
    figure = outputs.empty_figure("a.svg")
    history = [experiment.Epoch(1, 0.5, 0.75, 0.7), experiment.Epoch(2, 0.25, 0.875, 0.6)]
    outputs.draw_curves(figure, history)
    lines = [line.get_xydata().tolist() for axes in figure.axes for line in axes.lines]
    assert lines == [[[1, 0.5], [2, 0.25]], [[1, 0.75], [2, 0.875]], [[1, 0.7], [2, 0.6]]]
    figure.savefig(tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["curves.xyz", "curves", "curves.npz"])
def test_an_unknown_suffix_is_refused_before_training(name, tmp_path, command):
    pytest.importorskip("matplotlib")
    code, out, (line,) = command("steel", "--plot", tmp_path / name)
    assert code == 2 and not out and "a file such as curves.png, curves.svg or curves.pdf" in line


def test_without_matplotlib_there_is_advice_before_training(monkeypatch, command):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, (line,) = command("steel", "--plot", "curves.png")
    assert code == 2 and not out and 'pip install "tinygrad_steel[plot]"' in line


# The command line


def test_every_option_at_once(tmp_path, command):
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    pytest.importorskip("matplotlib")
    options = [
        "--epochs",
        3,
        "--batch-size",
        400,
        "--report",
        2,
        "--hidden",
        "4,3",
        "--init",
        "he",
        "--standardize",
    ]
    options += [
        "--balance",
        "--optimizer",
        "momentum",
        "--learning-rate",
        0.02,
        "--seed",
        0,
        "--metrics",
        "--quiet",
    ]
    code, lines, errors = command(
        "pulsar", *options, "--save", first, "--plot", tmp_path / "a.pdf", "--keep-going"
    )
    assert (code, errors) == (0, [])
    starts = [
        "synthetic",
        "Epoch 2:",
        "",
        "Final Te",
        "precisio",
        "saved: ",
        "plotted:",
        "synthetic",
    ]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts
    settings = {
        "hidden": (4, 3),
        "init": "he",
        "standardize": True,
        "balance": True,
        "optimizer": "momentum",
    }
    trained = execute("pulsar", 3, 400, 2, learning_rate=0.02, seed=0, **settings)
    with np.load(first) as found:
        np.testing.assert_array_equal(
            found["parameter weight_1"], trained.parameters["weight_1"].data
        )
    assert command("pulsar", *options, "--load", first, "--save", second)[0] == 0
    assert kept_settings(second) == {**kept_settings(first), "epochs": 6}


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "sigmoid-mse"])
def test_losses_with_hidden_layers(loss, tmp_path, command):
    code, lines, _ = command(
        "steel", "--loss", loss, "--hidden", "4", "--epochs", "1", "--save", tmp_path / "a.npz"
    )
    assert code == 0 and lines[1].startswith("Epoch 1: ")
    assert kept_settings(tmp_path / "a.npz")["loss"] == loss.replace("-", "_") + "_loss"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--hidden", "4,x"], "widths are whole numbers with commas, as in 12,6,4, not 'x'"),
        (["--hidden", "4.5"], "not '4.5'"),
        (["--optimizer", "rmsprop"], "invalid choice: 'rmsprop'"),
        (["--init", "xavier"], "invalid choice: 'xavier'"),
        (["--loss", "hinge"], "invalid choice: 'hinge'"),
        (["--view", "side"], "invalid choice: 'side'"),
        (["--seed", "one"], "--seed: a whole number, not 'one'"),
        (["--seed", "1" * 19], "--seed: a whole number (of at most 18 digits), not '1111"),
        (["--hidden", "4," + "1" * 19], "as in 12,6,4 (of at most 18 digits), not '1111"),
        (["--learning-rate", "fast"], "--learning-rate: a number, not 'fast'"),
        (["--epoch-count", "3"], "unrecognized arguments: --epoch-count 3"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line(options, what, command):
    code, out, (line,) = command("steel", *options)
    assert code == 2 and not out and line.startswith("steel.py: ") and what in line
    assert line.endswith(" (--help lists the options)")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--hidden", "0"], "a layer has at least one unit"),
        (["--hidden=-3"], "a layer has at least one unit"),
        (["--learning-rate", "-1"], "learning rate must be above 0"),
        (["--seed", "-1"], "Seed must be between 0"),
        (["--epochs", "-1"], "epochs and report are at least 0"),
        (["--source", "--save", "a.npz"], "nothing to save, to export or to plot"),
        (["--graph", "a.txt", "--plot", "a.png"], "nothing to save, to export or to plot"),
    ],
)
def test_an_option_with_which_nothing_can_be_done_is_one_line(options, what, command):
    code, _, errors = command("abalone", *options)
    assert code == 2 and len(errors) == 1 and what in errors[0]


def test_an_empty_list_of_widths_is_no_hidden_layer(command):
    assert (
        command("steel", "--hidden", "", "--epochs", "1")[1] == command("steel", "--epochs", "1")[1]
    )


def test_help_explains_each_option(command):
    code, lines, _ = command("steel", "--help")
    text = " ".join(" ".join(lines).split())
    assert code == 0
    for part in re.findall(r"(--[a-z-]+)[ ,\]]", text.partition("options:")[0]):
        assert text.count(part) >= 2, part


def test_source_with_hidden_layers_runs_and_says_nothing_else(saved, tmp_path, command):
    (tmp_path / "a.npz").write_bytes(saved)
    _, lines, errors = command(
        "steel", "--source", "--hidden", "5", "--standardize", "--load", tmp_path / "a.npz"
    )
    namespace = {}
    exec("\n".join(lines), namespace)
    assert errors == [] and "    hidden_1 = relu(t1)" in lines
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 27)), np.eye(7)[rng.integers(0, 7, 10)]
    parameters = [rng.normal(size=shape) for shape in [(27, 5), 5, (5, 7), 7]]
    loss, _, gradients = step("steel", parameters, x, y)
    assert_same(namespace["backprop"](x, y, *parameters), [loss, *gradients])


def test_graph_with_hidden_layers_shows_them_as_scopes(tmp_path, command):
    command("steel", "--graph", tmp_path / "a.dot", "--hidden", "5,4")
    text = (tmp_path / "a.dot").read_text(encoding="utf-8")
    assert (
        text.count("subgraph") >= 2
        and "hidden[1]" in text
        and "hidden[2]" in text
        and "hidden_2" in text
    )


# Compiled


@pytest.mark.parametrize("name", ["abalone", "steel"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_compiled_is_eager_with_every_optimizer(optimizer, name, monkeypatch, capsys):
    compile_epoch = compiled_epoch.compile_epoch
    monkeypatch.setattr(
        compiled_epoch, "compile_epoch", lambda *a, **k: compile_epoch(*a, **k, backend="numpy")
    )
    settings = {"hidden": (4, 3), "init": "he", "standardize": True, "optimizer": optimizer}
    eager, compiled = (execute(name, 2, 17, compiled=c, **settings) for c in (False, True))
    out, errors = capsys.readouterr()
    assert re.fullmatch(r"compiling \.\.\. \d+\.\d s \(numpy\)\n", errors)
    assert len(lines := out.splitlines()) == 12 and lines[:6] == lines[6:]
    assert_same(arrays(compiled), arrays(eager), rtol=1e-8)
    assert_same(compiled.history, eager.history)


@pytest.mark.slow
def test_machine_code_is_eager_with_hidden_layers(capsys):
    pytest.importorskip("numba")
    settings = {
        "hidden": (3,),
        "init": "he",
        "standardize": True,
        "balance": True,
        "optimizer": "adam",
    }
    eager, compiled = (
        execute("pulsar", 2, compiled=c, **settings, **PULSAR) for c in (False, True)
    )
    out, errors = capsys.readouterr()
    assert "(numba)" in errors and len(lines := out.splitlines()) == 12 and lines[:6] == lines[6:]
    assert_same(arrays(compiled), arrays(eager), rtol=1e-8)


# The model, and scikit-learn's


def test_the_model_by_itself():
    model = Model(2, [3], 1, np.random.RandomState(0))
    for p, value in zip(
        model.parameters.values(), ([[1, 0, -1], [0, 2, 1]], [0, 0, 1], [[1], [1], [10]], [0.5])
    ):
        p.data = np.array(value, dtype=float)
    output = model(Tensor([[3.0, -1.0], [1.0, 2.0]]), abalone.model)
    np.testing.assert_array_equal(
        output.numpy(), [[3.5], [25.5]]
    )  # 3 + 0 + 10 * 0, and 1 + 4 + 10 * 2
    model.scaling = Scaling(np.array([1.0, 1.0]), np.array([2.0, 0.5]))
    np.testing.assert_array_equal(
        model.predict(np.array([[7.0, 0.5], [3.0, 2.0]]), abalone.model), [[3.5], [25.5]]
    )


def test_comparison_with_scikit_learn(monkeypatch, capsys):
    pytest.importorskip("sklearn")
    import compare_sklearn

    options = ["--seeds", "1", "--epochs", "1", "--data", "synthetic", "--eager"]
    monkeypatch.setattr(sys, "argv", ["compare_sklearn.py", *options])
    compare_sklearn.main()
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["tinygrad_steel", "scikit-learn", "seconds"]
    for line, name in zip(
        lines, ["steel     accuracy", "abalone   mean absolute error", "pulsar    F1"], strict=True
    ):
        found = re.fullmatch(
            rf"{name} +(\S+) ± 0.000 +(\S+) ± 0.000   [\d.]+ / [\d.]+   synthetic stand-in.*", line
        )
        ours, theirs = map(float, found.groups())
        assert abs(ours - theirs) < 0.25 * max(ours, theirs)


def test_comparison_figures_are_those_of_the_test_rows(monkeypatch):
    pytest.importorskip("sklearn")
    import compare_sklearn

    monkeypatch.setattr(compare_sklearn, "GOOD", {**compare_sklearn.GOOD, "hidden": (4,)})
    rows, sentence = compare_sklearn.compare("steel", 2, "synthetic", 1, compiled=False)
    settings = {
        "hidden": (4,),
        "init": "he",
        "standardize": True,
        "optimizer": "adam",
        "learning_rate": 0.0005,
    }
    right = [
        execute("steel", 1, seed=seed, **settings).history[-1].test_accuracy
        for seed in (1234, 1235)
    ]
    np.testing.assert_array_equal(rows[:, 0], right)
    assert rows.shape == (2, 4) and (rows > 0).all() and "synthetic" in sentence


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--seeds", "0"], "at least 1"),
        (["--epochs", "0"], "at least 1"),
        (["--data", "no/folder"], "no such file"),
    ],
)
def test_comparison_says_what_is_wrong_in_one_line(options, what, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    import compare_sklearn

    monkeypatch.setattr(sys, "argv", ["compare_sklearn.py", *options])
    with pytest.raises(SystemExit, match="2"):
        compare_sklearn.main()
    errors = capsys.readouterr().err.splitlines()
    assert what in errors[-1] and errors[-1].startswith("compare_sklearn.py: ")
