"""The reader's own images: a folder in which each class has a folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from training import Data

SUFFIXES = (".png", ".jpg", ".jpeg")


def image_folder(folder: str, rng: np.random.Generator, size: int) -> tuple[Data, list[str]]:
    """Images (n, size, size, 3) from 0 to 1 with their classes as one-hot rows, and the names of the classes."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images of your own need Pillow: pip install pillow") from error
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    found = [
        (path, label)
        for label, name in enumerate(names)
        for path in sorted(Path(folder, name).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if len({label for _, label in found}) < 2:
        raise ValueError(
            f"{folder} needs a folder for each of at least two classes, with images in it "
            f"({', '.join(SUFFIXES)})"
        )
    images = []
    for path, _ in found:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB").resize((size, size))) / 255)
    x, y = np.stack(images), np.eye(len(names))[[label for _, label in found]]
    order = rng.permutation(len(x))
    test, training = np.split(order, [max(1, len(x) // 5)])
    return Data(x[training], y[training], x[test], y[test]), names
