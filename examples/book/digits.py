"""Handwritten digits: 1797 real images of 8x8 pixels, which come with scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from training import Data


def digits(rng: np.random.Generator) -> Data:
    """Images (n, 8, 8, 1) from 0 to 1 and their digits as one-hot rows; a fifth of them to test with."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'the digits come with scikit-learn: pip install "tinygrad_steel[sklearn]"'
        ) from error
    images, labels = load_digits(return_X_y=True)
    x = images.reshape(-1, 8, 8, 1) / 16
    y = np.eye(10)[labels]
    order = rng.permutation(len(x))
    test, training = np.split(order, [len(x) // 5])
    return Data(x[training], y[training], x[test], y[test])


def save_images(
    file: str, images: np.ndarray, titles: Sequence[str] = (), columns: int = 10
) -> None:
    """Draw images (n, height, width), with an axis of channels or without, from 0 to 1, row by row into a file."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError as error:
        raise ImportError('samples need matplotlib: pip install "tinygrad_steel[plot]"') from error
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns, rows * (1.25 if len(titles) else 1)), layout="constrained")
    if Path(file).suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(
            f"{file}: samples are drawn into a file such as samples.png or samples.svg"
        )
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, image in zip(figure.axes, images):
        axes.imshow(np.squeeze(image), cmap="gray_r", vmin=0, vmax=1)
    for axes, title in zip(figure.axes, titles):
        axes.set_title(title, fontsize=10)
    figure.savefig(file, dpi=100)
    print(f"drawn: {file}")
