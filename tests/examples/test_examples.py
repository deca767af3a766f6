"""The experiments: their transcripts, digit for digit, and their gradients against the hand-chained reference."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import abalone
import experiment
import manual_backprop
import numpy as np
import pulsar
import pytest
import steel
import verify_manual
from datasets import load

from tinygrad_steel import Tensor, sigmoid, softmax

EXAMPLES = Path(experiment.__file__).parent

RUNS = {  # key of the reference -> the runs that lead to it, on one generator
    "abalone": [lambda rng, data: abalone.abalone_exec(seed=rng, data=data)],
    "abalone_second_run": [
        lambda rng, data: abalone.abalone_exec(seed=rng, data=data),
        lambda rng, data: abalone.abalone_exec(
            100, 100, 20, learning_rate=0.1, seed=rng, data=data
        ),
    ],
    "pulsar": [lambda rng, data: pulsar.pulsar_exec(seed=rng, data=data)],
    "steel_softmax": [lambda rng, data: steel.steel_exec(seed=rng, data=data)],
    "steel_softmax_second_run": [
        lambda rng, data: steel.steel_exec(seed=rng, data=data),
        lambda rng, data: steel.steel_exec(learning_rate=0.0001, seed=rng, data=data),
    ],
    "steel_sigmoid": [lambda rng, data: steel.steel_exec(loss="sigmoid", seed=rng, data=data)],
    "steel_sigmoid_mse": [
        lambda rng, data: steel.steel_exec(loss="sigmoid-mse", seed=rng, data=data)
    ],
}

# key of the reference -> data set, loss, hand-chained step
LOSSES = {
    "abalone": ("abalone", abalone.loss, manual_backprop.abalone),
    "pulsar": ("pulsar", pulsar.loss, manual_backprop.pulsar),
    "steel_softmax": ("steel", steel.softmax_loss, manual_backprop.steel_softmax),
    "steel_sigmoid": ("steel", steel.sigmoid_loss, manual_backprop.steel_sigmoid),
    "steel_sigmoid_mse": ("steel", steel.sigmoid_mse_loss, manual_backprop.steel_sigmoid_mse),
}


def close(key):
    """How near to the reference; its sigmoid(y) was rounded to float32 (7e-9 of the loss), which ours is not."""
    return (
        {"rtol": 1e-8, "atol": 1e-9}
        if key == "steel_sigmoid_mse"
        else {"rtol": 1e-11, "atol": 1e-13}
    )


@pytest.mark.parametrize("key", RUNS)
def test_transcript_and_final_parameters_are_the_reference(key, reference, data_folder, capsys):
    rng = np.random.RandomState(1234)
    for run in RUNS[key]:
        capsys.readouterr()
        trained = run(rng, str(data_folder))
    assert capsys.readouterr().out.splitlines() == reference[key]["transcript"]
    for name in ("weight", "bias"):
        np.testing.assert_allclose(
            trained.parameters[name].data, reference[key][name], **close(key)
        )


def test_every_reference_run_is_compared(reference):
    assert set(RUNS) == set(reference)


def first_batch(name, rng, data):
    """The protocol's first batch and the parameters it meets, made here without the training loop."""
    dataset = load(name, data)
    rows = len(dataset.x)
    weight = rng.normal(0, 0.0030, (dataset.x.shape[1], dataset.y.shape[1]))
    order = np.arange(rows)
    rng.shuffle(order)
    training = order[: int(rows * 0.8) // 10 * 10]
    rng.shuffle(training)
    return dataset.x[training[:10]], dataset.y[training[:10]], weight, np.zeros(dataset.y.shape[1])


def graph_step(model, loss, x, y, weight, bias):
    weight, bias = (
        Tensor(weight, requires_grad=True, name="weight"),
        Tensor(bias, requires_grad=True, name="bias"),
    )
    output = model(Tensor(x, name="x"), weight, bias)
    seen = Tensor(
        output.numpy(), requires_grad=True, name="output"
    )  # the gradient of the output, as of a leaf
    loss(seen, Tensor(y, name="y")).backward()
    value = loss(output, Tensor(y, name="y"))
    value.backward()
    return value.item(), seen.grad, weight.grad, bias.grad


@pytest.mark.parametrize("key", LOSSES)
def test_first_batch_is_the_reference(key, reference, data_folder):
    name, loss, _ = LOSSES[key]
    batch = first_batch(name, np.random.RandomState(1234), str(data_folder))
    found = graph_step(abalone.model, loss, *batch)
    expected = reference[key]["first_batch"]
    for value, part in zip(found, ("loss", "G_output", "G_weight", "G_bias"), strict=True):
        np.testing.assert_allclose(value, expected[part], **close(key), err_msg=part)


def assert_graph_equals_manual(key, data):
    name, loss, manual = LOSSES[key]
    rng = np.random.RandomState(7)
    x, y, weight, bias = first_batch(name, rng, data)
    for scale in (
        0.0,
        1e-6,
        1.0,
    ):  # untrained, between, and where sigmoid and softmax saturate on raw columns
        parameters = scale * rng.normal(size=weight.shape), scale * rng.normal(size=bias.shape)
        right = manual(x, y, *parameters)
        for value, expected in zip(
            graph_step(abalone.model, loss, x, y, *parameters), right, strict=True
        ):
            size = np.max(
                np.abs(expected)
            )  # where terms cancel, an element's own digits mean nothing
            np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12 * size)


@pytest.mark.parametrize("key", LOSSES)
def test_graph_equals_the_hand_chained_backprop_on_real_data(key, data_folder):
    assert_graph_equals_manual(key, str(data_folder))


@pytest.mark.parametrize("key", LOSSES)
def test_graph_equals_the_hand_chained_backprop_on_the_stand_in(key):
    assert_graph_equals_manual(key, "synthetic")


@pytest.mark.parametrize("function", [abalone.loss, abalone.accuracy, pulsar.loss, pulsar.accuracy])
def test_a_column_against_a_row_is_refused(function):
    output, y = np.ones((4, 1)), np.ones(4)
    if function.__name__ == "loss":
        output, y = Tensor(output, requires_grad=True), Tensor(y)
    with pytest.raises(ValueError, match=r"\(4, 1\) and y \(4,\)"):
        function(output, y)


def test_steel_exec_returns_what_was_trained_and_its_history(capsys):
    trained = steel.steel_exec(2, 10, 1, data="synthetic")
    assert trained.parameters["weight"].shape == (27, 7)
    assert [epoch.epoch for epoch in trained.history] == [1, 2]
    line = capsys.readouterr().out.splitlines()[2]
    last = trained.history[-1]
    assert (
        line
        == f"Epoch 2: loss={last.loss:5.3f}, accuracy={last.accuracy:5.3f}/{last.test_accuracy:5.3f}"
    )


@pytest.mark.parametrize(
    "settings", [{"mb_size": 0}, {"mb_size": 5000}, {"epoch_count": -1}, {"report": -1}]
)
def test_settings_that_cannot_train_are_refused(settings):
    with pytest.raises(ValueError, match="batch size 1 to 1552"):
        steel.steel_exec(data="synthetic", **settings)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="softmax, sigmoid, sigmoid-mse"):
        steel.steel_exec(loss="hinge", data="synthetic")


def test_verify_manual_names_each_mistake():
    reports = verify_manual.verify("synthetic")
    found = {
        title: (r.first_wrong.name, r.first_wrong.reason)
        for title, r in reports.items()
        if not r.ok
    }
    assert reports["no mistake"].ok and len(found) == len(reports) - 1 == 4
    name, reason = found["the mean's division forgotten"]
    assert name == "G_entropy" and "not divided by the batch size 10" in reason
    assert found["softmax and labels exchanged"] == ("G_output", "the sign is wrong")
    name, reason = found["the bias summed along the wrong axis"]
    assert name == "G_bias" and "axis 1 instead of axis 0" in reason
    name, reason = found["the book's gradient against the book's loss"]
    assert (
        name == "G_output"
        and "belongs to the exact cross entropy and not to the one with epsilon" in reason
    )


@pytest.mark.slow
def test_the_compiled_transcript_is_the_eager_one(data_folder, capsys):
    for execute, settings in [
        (abalone.abalone_exec, {}),
        (pulsar.pulsar_exec, {}),
        (steel.steel_exec, {"loss": "sigmoid"}),
    ]:
        eager, compiled = (
            execute(2, data=str(data_folder), compiled=c, **settings) for c in (False, True)
        )
        lines = capsys.readouterr().out.splitlines()
        assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
        for name, p in eager.parameters.items():
            np.testing.assert_allclose(compiled.parameters[name].data, p.data, rtol=1e-9, atol=1e-9)


def test_source_prints_a_backprop_that_runs(capsys):
    abalone.abalone_exec(data="synthetic", source=True)
    text = capsys.readouterr().out
    namespace = {}
    exec(text, namespace)
    x, y, weight, bias = np.ones((10, 10)), np.zeros((10, 1)), np.full((10, 1), 0.1), np.zeros(1)
    loss, G_weight, G_bias = namespace["backprop"](x, y, weight, bias)
    assert np.allclose([loss, G_weight[3, 0], G_bias[0]], [1.0, 2.0, 2.0])


def test_graph_draws_the_first_batch(tmp_path, capsys):
    steel.steel_exec(data="synthetic", graph=str(tmp_path / "steel.txt"), view="backward")
    text = (tmp_path / "steel.txt").read_text(encoding="utf-8")
    assert "weight  (27, 7)  parameter" in text and "sent: x.T @ g" in text
    assert f"drawn: {tmp_path / 'steel.txt'}" in capsys.readouterr().out


def run_script(name, *options, **environment):
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *options],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


@pytest.mark.parametrize("name", ["abalone.py", "pulsar.py", "steel.py"])
def test_script_on_the_stand_in_says_so_first_and_last(name):
    done = run_script(name, "--data", "synthetic", "--epochs", "1")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert (
        lines[0] == lines[-1]
        and "synthetic stand-in" in lines[0]
        and "not the published ones" in lines[0]
    )
    rows, what = {
        "abalone.py": (837, "1 minus the mean relative error"),
        "pulsar.py": (3588, "the share of right answers"),
        "steel.py": (391, "the share of right answers"),
    }[name]
    assert lines[1] == (
        f"accuracy=a/b is {what}: a in training, "
        f"b on {rows} test rows, which are never trained with"
    )
    assert lines[2].startswith("Epoch 1: ")


@pytest.mark.parametrize("seed", [1234, 1, 2])
@pytest.mark.parametrize(
    ("name", "loss", "falls_below", "margin"),
    [
        ("abalone", {}, 0.1, 0.08),  # better than always the mean of the training rows
        ("pulsar", {}, 0.3, 0.03),  # better than always the largest class, which has 0.908
        ("steel", {"loss": "softmax"}, 0.7, 0.25),
        ("steel", {"loss": "sigmoid"}, 0.8, 0.15),
    ],
)
def test_the_stand_in_is_learned_at_the_books_settings(name, loss, falls_below, margin, seed):
    execute = {"abalone": abalone, "pulsar": pulsar, "steel": steel}[name]
    run = getattr(execute, f"{name}_exec")(data="synthetic", seed=seed, **loss)
    y, tested = run.dataset.y[run.training], run.dataset.y[run.test]
    if name == "steel":
        baseline = np.mean(tested.argmax(axis=1) == np.bincount(y.argmax(axis=1)).argmax())
    elif name == "pulsar":
        baseline = np.mean(tested == 0)
    else:
        baseline = 1 - np.mean(np.abs(y.mean() - tested) / tested)
    assert run.history[-1].loss < falls_below * run.history[0].loss
    assert run.test_accuracy > baseline + margin


def test_the_readmes_first_command_learns_on_a_bare_machine(tmp_path):
    """Without data, without the extra packages, and with a cache in an empty home."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    first = next(line for line in readme.splitlines() if line.startswith("python3 -m venv"))
    script = Path(first.split()[-1])
    (tmp_path / "pooch.py").write_text("raise ImportError", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(EXAMPLES.parent)])
    bare = {"TINYGRAD_STEEL_DATA": "", "HOME": str(tmp_path), "PYTHONPATH": path}
    done = run_script(script.name, **bare)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == lines[-1] and "pooch is not installed" in lines[0]
    accuracy = float(lines[-2].removeprefix("Final Test: final accuracy = "))
    assert accuracy > 0.347 + 0.25  # 673 of 1941 plates are of the largest class


def test_script_takes_the_options(data_folder, reference):
    options = [
        "--loss",
        "sigmoid",
        "--epochs",
        "4",
        "--report",
        "2",
        "--batch-size",
        "10",
        "--learning-rate",
        "0.001",
    ]
    done = run_script(
        "steel.py", *options, "--seed", "1234", "--data", str(data_folder / "faults.csv")
    )
    expected = reference["steel_sigmoid"]["transcript"]
    explained, *lines = done.stdout.splitlines()
    assert explained.startswith("accuracy=a/b is ") and lines[:2] == [expected[1], expected[3]]


def test_script_says_what_is_wrong_in_one_line():
    for options in (["--batch-size", "0"], ["--data", "no/such/folder"]):
        done = run_script("abalone.py", *options)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [{}, {"hidden": (5,), "standardize": True}])
@pytest.mark.parametrize("execute", [abalone.abalone_exec, pulsar.pulsar_exec, steel.steel_exec])
def test_exported_model_predicts_as_the_trained_one(execute, options, tmp_path, capsys):
    if importlib.util.find_spec("onnxruntime") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("onnxruntime is not installed")
    import onnxruntime

    file = tmp_path / "model.onnx"
    trained = execute(1, 100, 0, data="synthetic", onnx=str(file), **options)
    assert f"exported: {file}" in capsys.readouterr().out
    (found,) = onnxruntime.InferenceSession(file).run(None, {"x": trained.dataset.x[trained.test]})
    prediction = {abalone.abalone_exec: lambda y: y, steel.steel_exec: softmax}.get(
        execute, sigmoid
    )
    np.testing.assert_allclose(found, prediction(trained.output), rtol=1e-6, atol=1e-6)


def test_the_map_of_the_folder_has_each_file_once():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8").partition("\n## The files\n")[2]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    patterns = re.findall(r"`([^`]+\.py)`", "\n".join(rows))
    files = [file.name for file in EXAMPLES.glob("*.py")]
    found = {file: sum(fnmatch.fnmatch(file, p) for p in patterns) for file in files}
    assert found == dict.fromkeys(files, 1)
    assert [p for p in patterns if not fnmatch.filter(files, p)] == []
