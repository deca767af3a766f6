"""The book's chapters 10 to 14: they learn, their gradients are right, and each is written, drawn and compiled."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any, NamedTuple

import chapter10_rnn as rnn
import chapter11_lstm as lstm
import chapter12_video as video
import chapter14_encoder_decoder as writer
import numpy as np
import pytest
import recurrent
import training
from chapters import assert_slopes, assert_written, sources_of
from training import Settings, Trained

from tinygrad_steel import Adam, Tensor, softmax

BOOK = Path(training.__file__).parent
CHAPTERS = [
    "chapter10_rnn",
    "chapter11_lstm",
    "chapter12_video",
    "chapter13_autoencoder",
    "chapter14_encoder_decoder",
]
ROWS = 4


class Handed(NamedTuple):
    """What a chapter hands over to be trained: 20 rows, the model and the loss, parameters by name."""

    x: np.ndarray
    y: np.ndarray
    model: Any
    loss: Any
    parameters: dict[str, Tensor]

    def loss_of(self, rows=slice(0, ROWS)):
        return self.loss(self.model(Tensor(self.x[rows], name="x")), Tensor(self.y[rows], name="y"))

    def gradients(self):
        for p in self.parameters.values():
            p.grad = None
        self.loss_of().backward()
        return {name: p.grad for name, p in self.parameters.items()}


@functools.cache
def handed_by(name):
    """Kept, as some chapters take seconds to make their data; the parameters are those of `values_of`."""
    chapter, found = importlib.import_module(name), []

    def keep(settings, rng, data, model, loss, accuracy, optimizer, **options):
        parameters = {p.name: p for p in optimizer.parameters}
        found.append(Handed(data.x[:20], data.y[:20], model, loss, parameters))
        return Trained([], None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter, "train", keep)
        chapter.run(Settings(source=True))
    (handed,) = found
    # Moved a little: a bias of 0 would be at relu's kink.
    rng = np.random.default_rng(0)
    moved = {n: p.data + rng.normal(0, 0.1, p.shape) for n, p in handed.parameters.items()}
    return handed, moved


@pytest.fixture(params=CHAPTERS)
def handed(request):
    found, moved = handed_by(request.param)
    for name, p in found.parameters.items():
        p.data = moved[name].copy()
    return found


def test_gradients_are_those_of_differences(handed):
    gradients = handed.gradients()
    assert_slopes(lambda: handed.loss_of().item(), handed.parameters, gradients)
    for name, g in gradients.items():
        assert np.any(g != 0), name


def test_compiled_is_eager(handed):
    """Five steps of Adam, by losses, outputs and parameters."""
    before = {name: p.data.copy() for name, p in handed.parameters.items()}
    data = training.Data(handed.x, handed.y, handed.x, handed.y)
    found = []
    compiled = functools.partial(training.compiled_epoch, "numpy")
    for make in (training.eager_epoch, compiled):
        for name, p in handed.parameters.items():
            p.data = before[name].copy()
        optimizer = Adam(handed.parameters.values(), 0.003)
        rng = np.random.default_rng(0)
        epoch = make(rng, data, handed.model, handed.loss, optimizer, ROWS, None)
        losses, outputs = epoch(np.arange(20))
        after = [p.data.copy() for p in handed.parameters.values()]
        found.append([np.asarray(losses), np.asarray(outputs), *after])
    assert found[0][0][0] != found[0][0][-1]
    for eager, machine in zip(*found, strict=True):
        np.testing.assert_allclose(machine, eager, rtol=1e-9, atol=1e-9)


def test_written_source_runs_and_equals(handed, capsys):
    x, y = handed.x[:ROWS], handed.y[:ROWS]
    training.explain(Settings(source=True), handed.model, handed.loss, x, y)
    ((function, names),) = sources_of(capsys.readouterr().out)
    for p in handed.parameters.values():
        p.grad = None
    arguments = {"x": x, "y": y} | {name: p.data for name, p in handed.parameters.items()}
    for name in [name for name in names if name.endswith("_state_weight")]:
        arguments["start"] = np.zeros((1, len(arguments[name])))
    assert_written(function, names, arguments, handed.loss_of(), handed.parameters)


@pytest.mark.parametrize("name", CHAPTERS)
@pytest.mark.parametrize("view", ["forward", "backward"])
def test_steps_are_folded_in_the_picture(name, view, tmp_path):
    handed, _ = handed_by(name)
    file = tmp_path / "loss.txt"
    settings = Settings(graph=str(file), view=view)
    training.explain(settings, handed.model, handed.loss, handed.x[:ROWS], handed.y[:ROWS])
    text = file.read_text(encoding="utf-8")
    if name != "chapter13_autoencoder":
        steps = {"chapter12_video": 7, "chapter14_encoder_decoder": 13}.get(name, handed.x.shape[1])
        assert f"{steps - 1} x " in text
    assert len(text.splitlines()) < 80


FLOORS = {  # chapter -> what a first look's test accuracy is above; chance, or the best constant answer
    "chapter10_rnn": (0.6, 0.5),
    "chapter11_lstm": (0.6, 1 / 6),
    "chapter12_video": (0.8, 0.67),
    "chapter14_encoder_decoder": (0.1, 0.01),
}


@pytest.mark.parametrize("name", FLOORS)
def test_a_first_look_learns(name, capsys):
    trained = importlib.import_module(name).run(Settings(quick=True, epochs=99))
    text = capsys.readouterr().out
    (first, *_), (last, _, test) = trained.history
    floor, chance = FLOORS[name]
    assert last < first and test > floor > chance
    assert f"Final Test: final accuracy = {test:5.3f}" in text


def test_a_first_look_at_the_autoencoder_learns(capsys):
    import chapter13_autoencoder as chapter

    trained = chapter.run(Settings(quick=True, epochs=99))
    for name, run in trained.items():
        (first, *_), (last, *_) = run.history
        assert last < first, name
    likeness, of_code, alone = (run.history[-1][2] for run in trained.values())
    assert likeness > 0.25  # a constant image, the mean of all, has 0.11
    assert of_code > 0.3 and of_code > alone
    found = float(re.search(r"found by the bits of its code: (.*)", capsys.readouterr().out)[1])
    assert found > 0.4


# Chapter 10


def reference(text):
    """Whether a text is an expression, by putting `o` for each operand, and for what is made of operands."""
    text, before = re.sub(r"[a-z][a-z0-9]*|[0-9]+", "o", text), None
    while text != before:
        before, text = text, re.sub(r"\(o\)|o[-+*/]o", "o", text)
    return text == "o"


def test_the_automaton_is_the_grammar():
    rng = np.random.default_rng(0)
    for _ in range(300):
        assert reference(rnn.right_one(rng))
        assert not reference(rnn.wrong_one(rng))
    some = ["", "a", "()", "(a", "a)", "a+", "+a", "1a", "a1", "a(b)", "(a)(b)", ")a(", "((a))*1"]
    some += ["".join(rng.choice([*"a1+()"], rng.integers(1, 7))) for _ in range(2000)]
    found = [rnn.is_right(text) for text in some]
    assert found == [reference(text) for text in some] and 30 < sum(found) < 1900


TEXTS = ["a", "(a1+20)*c", "b*(2", "a-b-(c)/77*x"]


@pytest.fixture
def rnn_parameters():
    p = rnn.first_parameters(np.random.default_rng(3), units=5)
    for t in p.values():
        t.data = t.data + np.random.default_rng(4).normal(0, 0.1, t.shape)
    return p


@pytest.mark.parametrize("length", [12, 13, 16, 40])
def test_a_batch_of_any_length_gives_the_numbers_of_each_text_alone(rnn_parameters, length):
    batch = rnn.model(rnn_parameters, Tensor(rnn.one_hot(TEXTS, length), name="x")).numpy()
    alone = [
        rnn.model(rnn_parameters, Tensor(rnn.one_hot([text], len(text)))).numpy()[0]
        for text in TEXTS
    ]
    np.testing.assert_allclose(batch, alone, rtol=1e-13)
    assert len({*batch.ravel()}) == len(TEXTS)


def test_gradients_of_a_padded_batch_are_the_means_of_each_text_alone(rnn_parameters):
    y = np.array([[1.0], [1.0], [0.0], [1.0]])

    def gradients(texts, y, length):
        for t in rnn_parameters.values():
            t.grad = None
        x = Tensor(rnn.one_hot(texts, length), name="x")
        rnn.loss(rnn.model(rnn_parameters, x), Tensor(y)).backward()
        return {name: t.grad for name, t in rnn_parameters.items()}

    together = gradients(TEXTS, y, 20)
    alone = [gradients([text], y[i : i + 1], len(text)) for i, text in enumerate(TEXTS)]
    for name, g in together.items():
        np.testing.assert_allclose(g, np.mean([part[name] for part in alone], axis=0), atol=1e-14)


# Chapter 11


def test_the_cell_is_the_lstm_of_the_textbooks():
    """Element by element, from the equations."""
    rng = np.random.default_rng(0)
    p = recurrent.recurrent(rng, "lstm", 3, 2, gates=4)
    x, state, memory = rng.normal(size=(1, 3)), rng.normal(size=(1, 2)), rng.normal(size=(1, 2))
    found = recurrent.lstm_cell(p, "lstm", Tensor(x, name="x"), state, memory)
    w, u, b = (p[f"lstm_{name}"].data for name in ("weight", "state_weight", "bias"))

    def gate(k, unit):
        column = 2 * k + unit
        total = sum(x[0, i] * w[i, column] for i in range(3)) + b[column]
        return total + sum(state[0, i] * u[i, column] for i in range(2))

    def squash(z):
        return 1 / (1 + np.exp(-z))

    for unit in range(2):
        forget, write, show = (squash(gate(k, unit)) for k in range(3))
        c = forget * memory[0, unit] + write * np.tanh(gate(3, unit))
        np.testing.assert_allclose(found[1].numpy()[0, unit], c, rtol=1e-13)
        h = show * np.tanh(c)
        np.testing.assert_allclose(found[0].numpy()[0, unit], h, rtol=1e-13)
    assert list(b) == [1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_loudest_in_its_band(rate):
    for band, pitch in [(1, 300), (10, 2100), (19, 3900)]:
        x = lstm.spectra(np.sin(2 * np.pi * pitch * np.arange(rate) / rate), rate)
        assert x.shape == (lstm.STEPS, lstm.BANDS)
        assert np.all(np.argmax(x, axis=1) == band)


def save_wav(file, sound, channels=1, width=2, rate=8000):
    file.parent.mkdir(exist_ok=True)
    with wave.open(str(file), "wb") as f:
        f.setnchannels(channels)
        f.setsampwidth(width)
        f.setframerate(rate)
        numbers = np.repeat(np.round(sound * 2**15 / 4).astype("<i2"), channels)
        f.writeframes(numbers.tobytes())


def test_recordings_are_read(tmp_path):
    sounds, labels = lstm.synthesised(np.random.default_rng(0), 12)
    sounds = sounds.clip(-3.9, 3.9)
    for i, (sound, label) in enumerate(zip(sounds, labels)):
        save_wav(tmp_path / "abcdef"[label] / f"{i}.wav", sound, channels=1 + i % 2)
    x, found, names = lstm.recordings(tmp_path)
    assert names == [*"abcdef"] and list(found) == sorted(labels)
    order = [i for label in range(6) for i in sorted((label, label + 6), key=str)]
    right = [lstm.spectra(sounds[i] / 4) for i in order]
    np.testing.assert_allclose(x, right, atol=0.05)  # 16 bits
    data, _ = lstm.sounds(np.random.default_rng(0), tmp_path)
    assert len(data.x) == 10 and len(data.test_x) == 2


def test_recordings_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ValueError, match="no two folders"):
        lstm.recordings(tmp_path)
    for name, options in [("short", {}), ("bytes", {"width": 1}), ("slow", {"rate": 4000})]:
        folder = tmp_path / name
        folder.mkdir()
        save_wav(folder / "a" / "fine.wav", np.zeros(8000))
        save_wav(folder / "b" / "bad.wav", np.zeros(7999 if name == "short" else 20000), **options)
        with pytest.raises(ValueError, match=r"bad\.wav: a sound is"):
            lstm.recordings(folder)
        (folder / "b" / "bad.wav").write_bytes(b"no sound" * (name != "short"))
        with pytest.raises(ValueError, match=r"bad\.wav: a sound is"):
            lstm.recordings(folder)


# Chapter 12


def test_a_film_moves_on_until_a_new_scene_begins(monkeypatch):
    class Still:
        """A generator whose noise is nothing."""

        def __init__(self):
            rng = np.random.default_rng(0)
            self.random, self.integers = rng.random, rng.integers

        def normal(self, mean, spread, shape):
            return np.zeros(shape)

    rng = Still()
    moves = [np.array([down, right]) for down in (-1, 0, 1) for right in (-1, 0, 1)]

    def moved(frame, later, times):
        """By which moves, so many times, the one becomes the other."""
        return [m for m in moves if np.array_equal(np.roll(frame, times * m, (0, 1)), later)]

    cuts = 0
    for _ in range(100):
        frames, begins = video.film(rng)
        for t in range(1, video.FRAMES):
            goes_on = moved(frames[t - 1], frames[t], 1)
            cuts += not goes_on
            assert goes_on or begins[t - 1]
            if t > 1 and not begins[t - 2 : t].any():  # a scene keeps its move
                assert moved(frames[t - 2], frames[t], 2)
    assert 150 < cuts < 250


# Chapter 14


def test_numbers_in_words():
    found = writer.text(writer.WRITTEN)
    some = {0: "zero", 7: "seven", 12: "twelve", 20: "twenty", 45: "forty five", 99: "ninety nine"}
    assert {number: found[number] for number in some} == some
    assert len({*found}) == 100
    assert np.all(writer.WRITTEN.sum(axis=2) == 1)


def test_the_loss_is_divided_once():
    """By rows and letters; the book's gradient has the size of the alphabet in it as well."""
    rng = np.random.default_rng(0)
    values, y = rng.normal(size=(3, writer.LENGTH, 27)), writer.WRITTEN[[4, 50, 77]]
    output = Tensor(values, requires_grad=True)
    loss = writer.loss(output, Tensor(y))
    loss.backward()
    probability = softmax(values.reshape(-1, 27)).reshape(y.shape)
    count = 3 * writer.LENGTH
    np.testing.assert_allclose(loss.item(), -np.sum(y * np.log(probability)) / count, rtol=1e-12)
    np.testing.assert_allclose(output.grad, (probability - y) / count, rtol=1e-10, atol=1e-15)


def test_a_number_is_right_where_every_letter_is():
    y = writer.WRITTEN[[21, 22, 23, 24]]
    output = y.copy()
    output[1, 0] = np.eye(27)[3]
    assert writer.accuracy(output, y) == 0.75


def test_a_script_runs_from_anywhere_and_draws_samples(tmp_path):
    file = tmp_path / "samples.png"
    command = [sys.executable, BOOK / "chapter12_video.py", "--quick", "--epochs", "1"]
    command += ["--samples", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Final Test: final accuracy = " in done.stdout
    assert file.read_bytes().startswith(b"\x89PNG")
