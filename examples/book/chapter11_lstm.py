"""Chapter 11, an LSTM: which instrument is it?

    python examples/book/chapter11_lstm.py

Accuracy 0.993 +- 0.003 (seeds 1234, 1235 and 1236; chance is 1/6).

The sounds are synthesised: six wave forms of random pitch under a noise of half their size. Two of them differ in time
alone: a siren that rises and one that falls. One second becomes 39 spectra of 50 ms, one every 25 ms, each of 20
bands from 0 to 4000 Hz. With `--data` they are your own: a folder with a folder of .wav files (16 bits) for each class.
"""

import functools
import wave
from pathlib import Path

import numpy as np
from layers import dense, he
from recurrent import lstm_cell, recurrent, start, step
from training import Data, main, train

from tinygrad_steel import Adam, softmax_cross_entropy

RATE, HIGHEST = 8000, 4000
STEPS, BANDS, UNITS = 39, 20, 32
TIME = np.arange(RATE) / RATE


def harmonics(pitch, sizes):
    """A tone of this pitch, a number or one for each moment, with overtones of these sizes."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, TIME.shape)) / RATE
    return sum(size * np.sin(k * phase) for k, size in enumerate(sizes, 1))


def glide(pitch):
    """Pitches from this one to twice as high."""
    return pitch * 2**TIME


INSTRUMENTS = {
    "flute": lambda pitch: harmonics(pitch, [1, 0.2, 0.1]) * np.minimum(1, 5 * TIME),
    "clarinet": lambda pitch: harmonics(pitch, [1, 0, 0.7, 0, 0.5]),
    "trumpet": lambda pitch: harmonics(pitch, [0.6, 0.7, 0.8, 0.7, 0.5]),
    "bell": lambda pitch: harmonics(2.8 * pitch, [1, 0, 0.4]) * np.exp(-4 * TIME),
    "siren, rising": lambda pitch: harmonics(glide(pitch), [1, 0.5]),
    "siren, falling": lambda pitch: harmonics(glide(pitch)[::-1], [1, 0.5]),
}


def synthesised(rng, count):
    """Sounds of random pitch and size in noise, and the number of the instrument of each."""
    labels = np.arange(count) % len(INSTRUMENTS)
    makers = [*INSTRUMENTS.values()]
    sounds = np.array([makers[label](rng.uniform(200, 600)) for label in labels])
    size = rng.uniform(0.3, 1, (count, 1))
    return size * (sounds + rng.normal(0, 0.5, sounds.shape)), labels


def spectra(sound, rate=RATE):
    """One second of sound as logarithms of its power, an array (steps, bands)."""
    window, every = rate // 20, rate // 40
    windows = np.lib.stride_tricks.sliding_window_view(sound[:rate], window)[::every][:STEPS]
    power = np.abs(np.fft.rfft(windows * np.hanning(window))) ** 2
    lowest = power[:, : window * HIGHEST // rate]
    bands = [part.mean(axis=1) for part in np.array_split(lowest, BANDS, axis=1)]
    return np.log(np.stack(bands, axis=1) + 1e-12)


def recorded(file):
    """The first channel of a .wav file, from -1 to 1, and how many numbers it has a second."""
    refused = ValueError(
        f"{file}: a sound is a .wav file of 16 bits, 8000 Hz or more, and a second or longer"
    )
    try:
        opened = wave.open(str(file))
    except (wave.Error, EOFError) as error:
        raise refused from error
    with opened as f:
        rate = f.getframerate()
        if f.getsampwidth() != 2 or rate < 2 * HIGHEST or f.getnframes() < rate:
            raise refused
        numbers = np.frombuffer(f.readframes(rate), "<i2")
        return numbers[:: f.getnchannels()] / 2**15, rate


def recordings(folder):
    """The spectra of all .wav files in the folders of a folder, the class of each, and the names of the classes."""
    files = sorted(Path(folder).glob("*/*.wav"))
    names = sorted({file.parent.name for file in files})
    if len(names) < 2:
        raise ValueError(f"{folder} has no two folders with .wav files, one for each class")
    x = np.array([spectra(*recorded(file)) for file in files])
    return x, np.array([names.index(file.parent.name) for file in files]), names


def sounds(rng, folder):
    """Rows (steps, bands) of mean 0 and deviation 1, one-hot classes, and the names of the classes."""
    if folder is None:
        found, labels = synthesised(rng, 1500)
        x, names = np.array([spectra(sound) for sound in found]), [*INSTRUMENTS]
    else:
        x, labels, names = recordings(folder)
    order = rng.permutation(len(x))
    test, training = np.split(order, [len(x) // 5])
    x = (x - x[training].mean()) / x[training].std()
    y = np.eye(len(names))[labels]
    return Data(x[training], y[training], x[test], y[test]), names


def first_parameters(rng, classes):
    return recurrent(rng, "lstm", BANDS, UNITS, gates=4) | he(
        rng, {"out_weight": (UNITS, classes), "out_bias": (classes,)}
    )


def model(p, x):
    state = memory = start(p, "lstm")
    for t in range(x.shape[1]):
        with step(t):
            state, memory = lstm_cell(p, "lstm", x[:, t], state, memory)
    return dense(p, "out", state)


def loss(output, y):
    return np.mean(softmax_cross_entropy(output, y))


def right(output, y):
    return np.argmax(output, axis=1) == np.argmax(y, axis=1)


def accuracy(output, y):
    return np.mean(right(output, y))


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data, names = sounds(rng, settings.data)
    p = first_parameters(rng, len(names))
    trained = train(
        settings,
        rng,
        data,
        functools.partial(model, p),
        loss,
        accuracy,
        Adam(p.values(), 0.01),
        batch_size=10,
        backend="numpy",
        quick_batches=60,
    )
    if trained.history:
        for name, of_class in zip(names, data.test_y.T == 1):
            share = np.mean(right(trained.output, data.test_y)[of_class])
            print(f"{name:15} {share:5.3f}")
    return trained


if __name__ == "__main__":
    main(
        run,
        __doc__,
        epochs=15,
        data="folder with a folder of .wav files for each class (default: synthesised sounds)",
    )
