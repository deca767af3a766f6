"""The book's chapters 5 to 9: they learn, their gradients are right, and each is written, drawn and compiled."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import training
from training import Settings, Trained

from tinygrad_steel import Tensor, no_grad

BOOK = Path(training.__file__).parent
# Each chapter's variants, and what a short training of it reaches: epochs, accuracy on the test rows.
CHAPTERS: dict[str, dict[str, tuple[int, float]]] = {
    "chapter05_mlp": {"abalone": (2, 0.6), "pulsar": (2, 0.95), "digits": (6, 0.9)},
    "chapter06_adam": {"SGD": (2, 0.03), "Adam": (15, 0.6)},
    "chapter07_convolution": {"": (4, 0.85)},
    "chapter08_regularization": {
        "nothing": (12, 0.7),
        "L1": (12, 0.7),
        "L2": (12, 0.7),
        "dropout": (20, 0.7),
        "noise": (20, 0.7),
        "batch norm": (12, 0.6),
        "all": (20, 0.7),
    },
    "chapter09_branches": {"inception": (6, 0.6), "residual": (4, 0.85)},
}
CASES = [(chapter, variant) for chapter, variants in CHAPTERS.items() for variant in variants]
SETTINGS = Settings(epochs=2, quick=True)


def settings_of(chapter, **settings):
    """Settings for a chapter; the tables of chapter 5 are the stand-ins."""
    data = "synthetic" if chapter.__name__ == "chapter05_mlp" else None
    return SETTINGS._replace(data=data, **settings)


class Handed(NamedTuple):
    """What a chapter hands over to be trained, and the generator that its model draws from."""

    rng: Any
    data: Any
    model: Any
    loss: Any
    parameters: Any
    predict: Any
    running: Any


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return importlib.import_module(request.param)


@pytest.fixture(params=CASES, ids=[f"{chapter}-{variant}" for chapter, variant in CASES])
def handed(request, monkeypatch):
    """What a chapter hands over, its parameters moved a little: a bias of 0 would be at relu's kink."""
    name, variant = request.param
    chapter = importlib.import_module(name)
    found = []

    def keep(settings, rng, data, model, loss, accuracy, optimizer, batch_size=32, **others):
        predict, running = others.get("predict"), others.get("running")
        found.append(Handed(rng, data, model, loss, optimizer.parameters, predict, running))
        return Trained([], None)

    monkeypatch.setattr(chapter, "train", keep)
    chapter.run(settings_of(chapter, only=variant or None))
    (only,) = found
    rng = np.random.default_rng(0)
    for p in only.parameters:
        p.data = p.data + rng.normal(0, 0.1, p.shape)
    return only


def loss_of(handed, rows=6, seed=5):
    """The loss of some rows; whatever is random draws the same at each call."""
    handed.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    x, y = Tensor(handed.data.x[:rows], name="x"), Tensor(handed.data.y[:rows], name="y")
    return handed.loss(handed.model(x), y)


def gradients(handed, **options):
    """The loss, and its gradients by the names of the parameters."""
    for p in handed.parameters:
        p.grad = None
    loss = loss_of(handed, **options)
    loss.backward()
    return loss.item(), {p.name: p.grad for p in handed.parameters}


def test_gradients_are_those_of_differences(handed):
    """Three places of each parameter, by central differences."""
    rng, h = np.random.default_rng(1), 1e-6
    _, found = gradients(handed)
    for p in handed.parameters:
        before = p.data
        for _ in range(3):
            place = tuple(rng.integers(0, n) for n in p.shape)
            step = np.zeros(p.shape)
            step[place] = h
            values = []
            for sign in (1, -1):
                p.data = before + sign * step
                with no_grad():
                    values.append(loss_of(handed).item())
            p.data = before
            slope = (values[0] - values[1]) / (2 * h)
            np.testing.assert_allclose(
                found[p.name][place], slope, rtol=1e-5, atol=1e-7, err_msg=p.name
            )


def test_each_parameter_is_trained(handed):
    """A gradient that is 0 everywhere would leave it untrained, in silence."""
    _, found = gradients(handed, rows=32)
    for name, g in found.items():
        assert np.max(np.abs(g)) > 1e-6, name


def test_written_source_runs_and_equals(handed, capsys):
    x, y = handed.data.x[:6], handed.data.y[:6]
    training.explain(SETTINGS._replace(source=True), handed.model, handed.loss, x, y)
    text = capsys.readouterr().out
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    backprop = namespace["backprop"]
    arguments = {"x": x, "y": y, **{p.name: p.data for p in handed.parameters}}
    if "rng" in inspect.signature(backprop).parameters:
        arguments["rng"] = np.random.default_rng(5)
    value, *parts = backprop(**arguments)
    names = re.findall(r"G_(\w+)", text[text.rindex("return") :])
    expected, found = gradients(handed, seed=5)
    assert sorted(names) == sorted(found) and len(names) == len(parts)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for name, part in zip(names, parts):
        np.testing.assert_allclose(part, found[name], rtol=1e-10, atol=1e-13, err_msg=name)


def run_chapter(chapter, capsys, **settings):
    """The trainings of a run by their names, and what it prints."""
    found = chapter.run(settings_of(chapter, **settings))
    return found if isinstance(found, dict) else {"": found}, capsys.readouterr().out


def test_a_first_look_is_reported(chapter, capsys):
    found, text = run_chapter(chapter, capsys, epochs=99)
    assert [*found] == [*CHAPTERS[chapter.__name__]]
    for trained in found.values():
        (_, (loss, training_accuracy, accuracy)) = trained.history
        line = f"Epoch 2: loss={loss:5.3f}, accuracy={training_accuracy:5.3f}/{accuracy:5.3f}"
        assert line in text.splitlines()
        assert f"Final Test: final accuracy = {accuracy:5.3f}" in text.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), CASES)
def test_it_learns(name, variant, capsys):
    epochs, least = CHAPTERS[name][variant]
    chapter = importlib.import_module(name)
    (trained,) = run_chapter(chapter, capsys, quick=False, epochs=epochs, only=variant or None)[
        0
    ].values()
    losses, _, accuracies = zip(*trained.history)
    assert losses[-1] < losses[0] and accuracies[-1] > least


def test_compiled_is_eager(chapter, capsys):
    """What is drawn and the running statistics included."""
    eager, compiled = (run_chapter(chapter, capsys, eager=way)[0] for way in (True, False))
    for name, trained in eager.items():
        for found, expected in zip(compiled[name], trained):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("view", ["forward", "backward"])
def test_its_graph_is_drawn(chapter, view, tmp_path, capsys):
    file = tmp_path / "loss.dot"
    _, text = run_chapter(chapter, capsys, graph=str(file), view=view)
    assert f"drawn: {file}" in text
    source = file.read_text(encoding="utf-8")
    assert source.count("cluster") >= 1 and "softmax cross entropy" in source


def test_statistics_run_with_the_training():
    """Evaluated is by means and variances of many batches, and nothing is drawn."""
    import chapter08_regularization as chapter

    rng = np.random.default_rng(0)
    running, p = chapter.Running(), chapter.parameters(rng, chapter.VARIANTS["all"])
    x = rng.normal(2, 3, (500, 8, 8, 16))
    for batch in x.reshape(10, 50, 8, 8, 16):
        chapter.normalization(p, 1, running, True, batch)
        running.update([batch])
    mean, variance = running.statistics[1]
    np.testing.assert_allclose(mean, 2 * (1 - 0.9**10), rtol=0.1)
    np.testing.assert_allclose(variance, 1 + 8 * (1 - 0.9**10), rtol=0.1)
    y = chapter.normalization(p, 1, running, False, np.ones((1, 1, 1, 16)) * mean)
    np.testing.assert_allclose(y.numpy(), 0, atol=1e-12)


def script(name, *options, **settings):
    return subprocess.run(
        [sys.executable, BOOK / f"{name}.py", *options],
        capture_output=True,
        text=True,
        timeout=300,
        **settings,
    )


def test_a_script_runs_from_anywhere(tmp_path):
    done = script("chapter05_mlp", "--quick", "--only", "digits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Final Test: final accuracy = " in done.stdout


def test_a_script_says_what_is_wrong_in_one_line(tmp_path):
    done = script("chapter05_mlp", "--data", str(tmp_path / "none"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "no such file" in done.stderr


WRONG_OPTIONS = {
    "--epochs 0": "--epochs is at least 1",
    "--seed -1": "--seed is at least 0",
    "--view backward": "--graph FILE",
    "--samples mistakes.xyz": "samples.png or samples.svg",
    "--samples none/mistakes.png": "none/mistakes.png cannot be written",
    "--samples folder.png": "folder.png cannot be written",
}


@pytest.mark.parametrize("options", WRONG_OPTIONS)
def test_a_wrong_option_is_said_before_the_training(options, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    told = command_line(options, monkeypatch, capsys, lambda settings: pytest.fail("it trains"))
    assert told == (2, WRONG_OPTIONS[options])


def test_ctrl_c_ends_it_in_one_line(monkeypatch, capsys):
    def run(settings):
        raise KeyboardInterrupt

    assert command_line("", monkeypatch, capsys, run) == (130, "stopped by Ctrl-C")


def command_line(options, monkeypatch, capsys, run):
    """The exit code of a chapter that does this, and its last line, as far as the tests know it."""
    monkeypatch.setattr(sys, "argv", ["chapter", *options.split()])
    with pytest.raises(SystemExit) as end:
        training.main(run, None, epochs=1, samples="images")
    *_, line = capsys.readouterr().err.splitlines()
    known = [text for text in (*WRONG_OPTIONS.values(), "stopped by Ctrl-C") if text in line]
    return end.value.code, *known


def test_without_scikit_learn_a_line_says_so(monkeypatch):
    import digits

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_steel\[sklearn\]"'):
        digits.digits(np.random.default_rng(0))


def test_mistakes_are_shown_as_images(tmp_path, capsys):
    import chapter07_convolution as chapter

    file = tmp_path / "mistakes.png"
    chapter.run(SETTINGS._replace(samples=str(file)))
    assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"samples\.png"):
        chapter.run(SETTINGS._replace(samples=str(tmp_path / "mistakes.xyz")))


def test_images_of_ones_own(tmp_path, capsys):
    """Two classes of images that a look tells apart: red ones and blue ones, of several sizes."""
    import chapter07_convolution as chapter
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, colour in {"blue": (0, 0, 200), "red": (200, 0, 0)}.items():
        (tmp_path / name).mkdir()
        for i in range(24):
            size = (*rng.integers(20, 50, 2), 3)
            pixels = np.clip(rng.normal(colour, 40, size), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    settings = SETTINGS._replace(data=str(tmp_path), quick=False, epochs=6)
    trained = chapter.run(settings)
    assert trained.output.shape == (9, 2) and trained.history[-1][2] == 1
    (tmp_path / "one").mkdir()
    chapter.run(settings._replace(samples=str(tmp_path / "mistakes.png")))
    assert "no mistake to draw" in capsys.readouterr().out
    with pytest.raises(ValueError, match="at least two classes"):
        chapter.run(settings._replace(data=str(tmp_path / "one")))


def test_fewer_rows_than_a_batch_are_refused():
    rng, row = np.random.default_rng(0), np.zeros((3, 2))
    data = training.Data(row, row, row, row)
    with pytest.raises(ValueError, match="32 rows is more than the 3"):
        training.train(SETTINGS, rng, data, None, None, None, None)


def test_without_matplotlib_a_line_says_so(monkeypatch, tmp_path):
    import images

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_steel\[plot\]"'):
        images.save_images(str(tmp_path / "x.png"), np.zeros((1, 8, 8)))
