"""Images drawn into a file, with matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def figure_for(file: str, **options: Any) -> Any:
    """A figure that can be saved into this file, or an error that says what is in the way."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError as error:
        raise ImportError('samples need matplotlib: pip install "tinygrad_steel[plot]"') from error
    figure = Figure(**options)
    if Path(file).suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(
            f"{file}: samples are drawn into a file such as samples.png or samples.svg"
        )
    if Path(file).is_dir() or not os.access(Path(file).parent, os.W_OK):
        raise ValueError(
            f"{file} cannot be written: it is a folder, or not in one in which you may write"
        )
    return figure


def save_images(
    file: str, images: np.ndarray, titles: Sequence[str] = (), columns: int = 10
) -> None:
    """Draw images (n, height, width), with an axis of channels or without, from 0 to 1, row by row into a file."""
    rows = -(-len(images) // columns)
    size = (columns, rows * (1.25 if len(titles) else 1))
    figure = figure_for(file, figsize=size, layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, image in zip(figure.axes, images):
        axes.imshow(np.squeeze(image), cmap="gray_r", vmin=0, vmax=1)
    for axes, title in zip(figure.axes, titles):
        axes.set_title(title, fontsize=10)
    figure.savefig(file, dpi=100)
    print(f"drawn: {file}")
