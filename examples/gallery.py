"""The pictures of the gallery, and those of the README: `python examples/gallery.py FOLDER`, or `--readme`."""

import argparse
from pathlib import Path

import numpy as np

from tinygrad_steel import Tensor, draw, relu, scope, softmax_cross_entropy

HERE = Path(__file__).parent


def data(rng, name="y"):
    """A batch of ten plates: 27 inputs, and which of 7 faults each has."""
    return Tensor(rng.normal(size=(10, 27)), name="x"), Tensor(rng.integers(0, 7, 10), name=name)


def layer(rng, inputs, outputs, mark=""):
    """A weight and a bias."""
    weight = rng.normal(0, inputs**-0.5, (inputs, outputs))
    return Tensor(weight, requires_grad=True, name=f"w{mark}"), Tensor(
        np.zeros(outputs), True, name=f"b{mark}"
    )


def steel():
    """The loss of one linear layer."""
    rng = np.random.default_rng(1)
    x, y = data(rng)
    w, b = layer(rng, 27, 7)
    with scope("linear"):
        z = x @ w + b
    z.name = "z"
    loss = softmax_cross_entropy(z, y).mean()
    loss.name = "loss"
    loss.backward()
    return loss


def mlp():
    """The loss of three hidden layers and an output layer."""
    rng = np.random.default_rng(2)
    h, y = data(rng)
    for i, inputs in enumerate([27, 32, 32]):
        w, b = layer(rng, inputs, 32, i)
        with scope(f"hidden[{i}]"):
            h = relu(h @ w + b)
    w, b = layer(rng, 32, 7, "o")
    with scope("out"):
        output = h @ w + b
    loss = softmax_cross_entropy(output, y).mean()
    loss.name = "loss"
    loss.backward()
    return loss


SCENES = {
    "steel": lambda **options: draw(steel(), **options),
    "steel_backward": lambda **options: draw(steel(), view="backward", **options),
    "steel_both": lambda **options: draw(steel(), view="both", **options),
    "mlp": lambda **options: draw(mlp(), **options),
    "mlp_folded": lambda **options: draw(mlp(), fold=True, **options),
    "mlp_backward": lambda **options: draw(mlp(), view="backward", **options),
}


def gallery(folder):
    """Every scene in both themes, as SVG and as PNG."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in SCENES.items():
        for theme in ("light", "dark"):
            for suffix in ("svg", "png"):
                print(picture(theme=theme).save(folder / f"{name}_{theme}.{suffix}"))


def readme():
    """The README's two pictures, which follow the reader's theme."""
    for name in ("steel", "steel_backward"):
        print(SCENES[name](theme="auto").save(HERE / "pictures" / f"{name}.svg"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="gallery", help="where to (default: gallery)")
    parser.add_argument(
        "--readme", action="store_true", help="only the README's pictures, into examples/pictures"
    )
    given = parser.parse_args()
    readme() if given.readme else gallery(given.folder)
