"""Chapter 12, a film: a convolution looks at each frame, and an LSTM says where a new scene begins.

    python examples/book/chapter12_video.py --samples samples.png

Of the frames 0.93 +- 0.01 are told rightly (three seeds; "no" for all of them would be right in 0.67), in 15 s.

The films are re-invented: 7 frames of 10x10 pixels with noise, in which one of four shapes moves by a pixel a frame, in
one direction; what leaves on one side comes back on the other. In every third frame, on average, a new scene begins,
with any shape at any place, moving anywhere. The first frame is not asked about, as nothing is before it. The
convolution sees all frames of all films as one batch of images.
"""

import functools

import numpy as np
from images import save_images
from layers import convolution, dense, he
from recurrent import lstm_cell, recurrent, start, step
from training import Data, main, train

from tinygrad_steel import Adam, max_pool, relu, scope, sigmoid_cross_entropy

FRAMES, SIZE, CHANNELS, FEATURES, UNITS = 7, 10, 8, 24, 32
SHAPES = np.array(
    [
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    ]
)


def film(rng):
    """Frames, and in which of them a new scene begins."""
    frames, begins = np.zeros((FRAMES, SIZE, SIZE)), rng.random(FRAMES) < 1 / 3
    for frame, is_new in zip(frames, begins | (np.arange(FRAMES) == 0)):
        if is_new:
            shape = SHAPES[rng.integers(len(SHAPES))]
            place, move = rng.integers(0, SIZE, 2), rng.integers(-1, 2, 2)
        down, right = place = (place + move) % SIZE
        frame[:3, :3] = shape
        frame[:] = np.roll(frame, (down, right), axis=(0, 1))
    return frames + rng.normal(0, 0.1, frames.shape), begins[1:]


def films(rng, count):
    pairs = [film(rng) for _ in range(count)]
    frames, begins = (np.array(part, float) for part in zip(*pairs))
    return frames[..., None], begins


def first_parameters(rng):
    pixels = (SIZE // 2) ** 2 * CHANNELS
    return he(
        rng,
        {
            "window_kernel": (3, 3, 1, CHANNELS),
            "window_bias": (CHANNELS,),
            "frame_weight": (pixels, FEATURES),
            "frame_bias": (FEATURES,),
            "cut_weight": (UNITS, 1),
            "cut_bias": (1,),
        },
    ) | recurrent(rng, "lstm", FEATURES, UNITS, gates=4)


def see(p, x):
    """What there is in each frame, an array (films, frames, features)."""
    with scope("each frame"):
        images = x.reshape(-1, SIZE, SIZE, 1)
        h = max_pool(convolution(p, "window", images, relu))
        h = dense(p, "frame", h.reshape(-1, h.size // len(h)), relu)
        return h.reshape(-1, FRAMES, FEATURES)


def model(p, x):
    """For each frame but the first, a number above 0 where a new scene begins."""
    seen = see(p, x)
    state = memory = start(p, "lstm")
    states = []
    for t in range(FRAMES):
        with step(t):
            state, memory = lstm_cell(p, "lstm", seen[:, t], state, memory)
            states.append(state)
    cut = dense(p, "cut", np.stack(states[1:], axis=1))
    return cut.reshape(-1, FRAMES - 1)


def loss(output, y):
    return np.mean(sigmoid_cross_entropy(output, y))


def accuracy(output, y):
    return np.mean((output > 0) == (y > 0.5))


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data = Data(*films(rng, 4000), *films(rng, 1000))
    p = first_parameters(rng)
    model_of = functools.partial(model, p)
    optimizer = Adam(p.values(), 0.003)
    trained = train(
        settings,
        rng,
        data,
        model_of,
        loss,
        accuracy,
        optimizer,
        backend="numpy",
        quick_batches=125,
    )
    if trained.history:
        print(f"always no: {1 - np.mean(data.test_y):5.3f}")
        if settings.samples:
            show(data, trained.output, settings.samples)
    return trained


def show(data, output, file):
    """Five films, a row each; above a frame stands what is true and, where that differs, what is said."""
    titles = []
    for begins, is_said in zip(data.test_y[:5] > 0.5, output[:5] > 0):
        titles.append("")
        for pair in zip(begins, is_said):
            true, said = ("new" if is_new else "goes on" for is_new in pair)
            titles.append(true if true == said else f"{true} ({said}?)")
    save_images(file, data.test_x[:5].reshape(-1, SIZE, SIZE), titles, columns=FRAMES)


if __name__ == "__main__":
    main(run, __doc__, epochs=12, samples="draw films, with what is said of each frame")
