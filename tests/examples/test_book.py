"""The book's chapters 5 to 9: they learn, their gradients are right, and each is written, drawn and compiled."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import training
from training import Settings, Trained

from tinygrad_steel import Tensor

BOOK = Path(training.__file__).parent
CHAPTERS = ["chapter05_mlp", "chapter06_adam", "chapter07_convolution", "chapter09_branches"]
SETTINGS = Settings(data="synthetic")


class Handed(NamedTuple):
    """What a chapter hands over to be trained."""

    data: Any
    model: Any
    loss: Any
    accuracy: Any
    optimizer: Any


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return importlib.import_module(request.param)


@pytest.fixture
def handed(chapter, monkeypatch):
    """What the chapter hands over, its parameters moved a little: a bias of 0 would be at relu's kink."""
    found = []

    def keep(settings, rng, data, model, loss, accuracy, optimizer, **options):
        found.append(Handed(data, model, loss, accuracy, optimizer))
        return Trained([], None)

    monkeypatch.setattr(chapter, "train", keep)
    chapter.run(SETTINGS)
    rng = np.random.default_rng(0)
    for p in found[-1].optimizer.parameters:
        p.data = p.data + rng.normal(0, 0.1, p.shape)
    return found[-1]


def loss_of(handed, rows=6):
    x, y = Tensor(handed.data.x[:rows], name="x"), Tensor(handed.data.y[:rows], name="y")
    return handed.loss(handed.model(x), y)


def gradients(handed):
    """The loss's gradients by the names of the parameters."""
    handed.optimizer.zero_grad()
    loss_of(handed).backward()
    return {p.name: p.grad for p in handed.optimizer.parameters}


def test_gradients_are_those_of_differences(handed):
    """Three positions of each parameter, by central differences."""
    rng, h = np.random.default_rng(1), 1e-6
    for p in handed.optimizer.parameters:
        g = gradients(handed)[p.name]
        before = p.data
        for _ in range(3):
            place = tuple(rng.integers(0, n) for n in p.shape)
            step = np.zeros(p.shape)
            step[place] = h
            values = []
            for sign in (1, -1):
                p.data = before + sign * step
                values.append(loss_of(handed).item())
            p.data = before
            slope = (values[0] - values[1]) / (2 * h)
            np.testing.assert_allclose(g[place], slope, rtol=1e-5, atol=1e-8, err_msg=p.name)


def test_each_parameter_has_a_gradient(handed):
    for name, g in gradients(handed).items():
        assert np.any(g != 0), name


def run_chapter(chapter, capsys, **settings):
    """What a run of the chapter gives, and what it prints."""
    found = chapter.run(SETTINGS._replace(**settings))
    return found, capsys.readouterr().out


def runs_of(found):
    """The trainings of a chapter, by name: some have one alone."""
    return found if isinstance(found, dict) else {"": found}


def test_a_first_look_learns(chapter, capsys):
    found, text = run_chapter(chapter, capsys, quick=True, epochs=99)
    for name, trained in runs_of(found).items():
        assert len(trained.history) == 2
        (first, *_), (last, _, test) = trained.history
        assert last < first, name
        assert f"Final Test: final accuracy = {test:5.3f}" in text
    assert re.search(r"^Epoch 2: loss=\d+\.\d{3}, accuracy=[\d.]+/[\d.]+$", text, re.MULTILINE)


def test_compiled_is_eager(chapter, capsys):
    eager, compiled = (
        runs_of(run_chapter(chapter, capsys, eager=eager)[0]) for eager in (True, False)
    )
    for name in eager:
        np.testing.assert_allclose(
            compiled[name].history, eager[name].history, rtol=1e-9, err_msg=name
        )
        np.testing.assert_allclose(
            compiled[name].output, eager[name].output, rtol=1e-9, atol=1e-9, err_msg=name
        )


def test_written_source_runs_and_equals(chapter, capsys, monkeypatch):
    kept = []
    explain = training.explain
    monkeypatch.setattr(training, "explain", lambda *given: kept.append(given) or explain(*given))
    _, text = run_chapter(chapter, capsys, source=True)
    (_, model, loss, x, y) = kept[-1]
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    value = loss(model(Tensor(x)), Tensor(y))
    value.backward()
    leaves = {t.name: t for t in parameters_of(value)}
    arguments = {"x": x, "y": y, **{name: t.data for name, t in leaves.items()}}
    found, *g = namespace["backprop"](**arguments)
    names = re.findall(r"G_(\w+)", text[text.rindex("return") :])
    assert {*names} == {*leaves} and len(names) == len(g)
    np.testing.assert_allclose(found, value.item(), rtol=1e-12)
    for name, part in zip(names, g):
        np.testing.assert_allclose(part, leaves[name].grad, rtol=1e-10, atol=1e-12, err_msg=name)


def parameters_of(value):
    """The leaves behind a Tensor that require a gradient."""
    from tinygrad_steel.program.ancestors import ancestors

    return [t for t in ancestors([value]) if t.op is None and t.requires_grad]


@pytest.mark.parametrize("view", ["forward", "backward"])
def test_graph_is_drawn_by_layers(chapter, view, tmp_path, capsys):
    file = tmp_path / "loss.svg"
    _, text = run_chapter(chapter, capsys, graph=str(file), view=view)
    assert f"drawn: {file}" in text
    assert file.read_text(encoding="utf-8").startswith("<?xml")


def script(name, *options, **settings):
    return subprocess.run(
        [sys.executable, BOOK / f"{name}.py", *options],
        capture_output=True,
        text=True,
        timeout=300,
        **settings,
    )


def test_a_script_runs_from_anywhere(tmp_path):
    done = script("chapter05_mlp", "--quick", "--epochs", "1", "--data", "synthetic", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Final Test: final accuracy = ") == 3


def test_a_script_says_what_is_wrong_in_one_line(tmp_path):
    done = script("chapter05_mlp", "--data", str(tmp_path / "none"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "no such file" in done.stderr
