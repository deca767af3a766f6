"""The pictures of the gallery, and those of the README: `python examples/gallery.py FOLDER`, or `--readme`."""

import argparse
import functools
import html
from pathlib import Path

import numpy as np

from tinygrad_steel import (
    Tensor,
    compare_backprop,
    conv2d,
    draw,
    layer_norm,
    max_pool,
    relu,
    scope,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
)

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


def weights(rng, **shapes):
    """Parameters by name."""
    return [Tensor(rng.normal(0, s[0] ** -0.5, s), True, name=name) for name, s in shapes.items()]


def inputs(rng, **shapes):
    """Data by name."""
    return [Tensor(rng.normal(size=shape), name=name) for name, shape in shapes.items()]


def named(name, t):
    """A result with a name."""
    t.name = name
    return t


def done(loss, name="loss"):
    """The loss, with its name and after its backward()."""
    named(name, loss).backward()
    return loss


def steel():
    """The loss of one linear layer."""
    rng = np.random.default_rng(1)
    x, y = data(rng)
    w, b = layer(rng, 27, 7)
    with scope("linear"):
        z = x @ w + b
    z.name = "z"
    return done(softmax_cross_entropy(z, y).mean())


def mlp():
    """The loss of three hidden layers and an output layer."""
    rng = np.random.default_rng(2)
    h, y = data(rng)
    for i, size in enumerate([27, 32, 32]):
        w, b = layer(rng, size, 32, i)
        with scope(f"hidden[{i}]"):
            h = relu(h @ w + b)
    w, b = layer(rng, 32, 7, "o")
    with scope("out"):
        output = h @ w + b
    return done(softmax_cross_entropy(output, y).mean())


# Single numbers and small arrays


def micrograd():
    """The first graph of Andrej Karpathy's micrograd: the gradients are 6, -4, -2 and 4."""
    leaves = {"a": 2.0, "b": -3.0, "c": 10.0, "f": -2.0}
    a, b, c, f = (Tensor(x, requires_grad=True, name=name) for name, x in leaves.items())
    e = named("e", a * b)
    d = named("d", e + c)
    return done(d * f, "L")


def logistic():
    """A neuron that answers yes or no."""
    x, y = Tensor([2.0, -1.0, 0.5], name="x"), Tensor(1.0, name="y")
    w, b = Tensor([0.5, 1.0, -2.0], True, name="w"), Tensor(0.25, True, name="b")
    z = named("z", x @ w + b)
    p = named("p", sigmoid(z))
    return done(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


def by_hand():
    """Softmax and its cross entropy, written out."""
    rng = np.random.default_rng(3)
    x, y = data(rng)
    w, b = layer(rng, 27, 7)
    z = named("z", x @ w + b)
    e = named("e", np.exp(z - np.max(z, axis=1, keepdims=True)))
    p = named("p", e / np.sum(e, axis=1, keepdims=True))
    return done(-np.mean(np.log(p[np.arange(10), y])))


def diamond():
    """A value that is used twice: its gradient is the sum of both ways."""
    x = Tensor([0.5, -1.0, 2.0], requires_grad=True, name="x")
    s = named("s", x * x)
    return done(np.sum(np.sin(s) * np.exp(-s)))


def broadcast():
    """A row, a column and a number meet a matrix; on the way back each gets a sum."""
    rng = np.random.default_rng(4)
    (x,) = inputs(rng, x=(4, 3))
    row, column = weights(rng, row=(1, 3), column=(4, 1))
    scale = Tensor(0.5, requires_grad=True, name="scale")
    return done(np.mean(np.square(scale * (x + row) * column)))


def small():
    """A layer so small that all its numbers have room."""
    x, y = Tensor([[1.0, -2.0], [0.5, 3.0]], name="x"), Tensor([[1.0], [0.0]], name="y")
    w, b = Tensor([[0.5], [-0.25]], True, name="w"), Tensor([0.1], True, name="b")
    z = named("z", x @ w + b)
    return done(np.mean(np.square(np.tanh(z) - y)))


def korean():
    """A layer whose names are Korean."""
    rng = np.random.default_rng(5)
    (x,), y = inputs(rng, 입력=(10, 4)), Tensor(rng.integers(0, 3, 10), name="정답")
    w, b = weights(rng, 가중치=(4, 3), 편향=(3,))
    with scope("선형 계층"):
        z = named("출력", x @ w + b)
    return done(softmax_cross_entropy(z, y).mean(), "손실")


# Networks


def rnn(steps=4):
    """A recurrence: one weight for all steps."""
    rng = np.random.default_rng(6)
    W, U, b = weights(rng, W=(8, 8), U=(3, 8), b=(8,))
    h = Tensor(np.zeros((5, 8)), name="h0")
    for t in range(steps):
        (x,) = inputs(rng, **{f"x{t}": (5, 3)})
        with scope(f"step[{t}]"):
            h = np.tanh(h @ W + x @ U + b)
    return done(np.mean(np.square(h)))


def lstm(steps=2):
    """Two steps of a cell with four gates."""
    rng = np.random.default_rng(7)
    W, U, b = weights(rng, W=(3, 32), U=(8, 32), b=(32,))
    h, c = Tensor(np.zeros((5, 8)), name="h0"), Tensor(np.zeros((5, 8)), name="c0")
    for t in range(steps):
        (x,) = inputs(rng, **{f"x{t}": (5, 3)})
        with scope(f"step[{t}]"):
            forget, write, show, news = np.hsplit(x @ W + h @ U + b, 4)
            c = named(f"c{t + 1}", sigmoid(forget) * c + sigmoid(write) * np.tanh(news))
            h = named(f"h{t + 1}", sigmoid(show) * np.tanh(c))
    return done(np.mean(np.square(h)))


def residual(blocks=3):
    """Blocks beside connections that skip them."""
    rng = np.random.default_rng(8)
    (h,) = inputs(rng, x=(10, 16))
    for i in range(blocks):
        w, v = weights(rng, **{f"w{i}": (16, 32), f"v{i}": (32, 16)})
        with scope(f"block[{i}]"):
            h = h + relu(h @ w) @ v / blocks
    return done(np.mean(np.square(h)))


def attention():
    """A head of attention beside a connection that skips it, and a norm."""
    rng = np.random.default_rng(9)
    x, y = inputs(rng, x=(6, 8), y=(6, 8))
    Wq, Wk, Wv, Wo = weights(rng, Wq=(8, 4), Wk=(8, 4), Wv=(8, 4), Wo=(4, 8))
    gamma, beta = Tensor(np.ones(8), True, name="gamma"), Tensor(np.zeros(8), True, name="beta")
    with scope("head"):
        q, k, v = named("q", x @ Wq), named("k", x @ Wk), named("v", x @ Wv)
        attends = named("attends", softmax(q @ k.T / np.sqrt(4)))
        out = attends @ v @ Wo
    h = named("h", layer_norm(x + out, gamma, beta))
    return done(np.mean(np.square(h - y)))


def cnn():
    """Two convolutions, a pooling after each, and a linear layer."""
    rng = np.random.default_rng(10)
    (h,) = inputs(rng, images=(4, 28, 28, 1))
    for i, (before, after) in enumerate([(1, 8), (8, 16)]):
        kernel, bias = weights(rng, **{f"k{i}": (3, 3, before, after), f"b{i}": (after,)})
        with scope(f"convolution[{i}]"):
            h = max_pool(relu(conv2d(h, kernel) + bias), 2)
    w, b = layer(rng, 784, 10)
    with scope("out"):
        z = h.reshape(4, -1) @ w + b
    return done(softmax_cross_entropy(z, Tensor([3, 1, 4, 1], name="y")).mean())


def gan():
    """Both losses of a GAN: what is made goes into the discriminator once, and its answer into both."""
    rng = np.random.default_rng(11)
    noise, real = inputs(rng, noise=(8, 4), real=(8, 16))
    G, D = weights(rng, G=(4, 16), D=(16, 1))
    with scope("generator"):
        fake = named("fake", np.tanh(noise @ G))
    with scope("discriminator"):
        on_real, on_fake = named("on_real", real @ D), named("on_fake", fake @ D)
    d_loss = sigmoid_cross_entropy(on_real, 1.0).mean() + sigmoid_cross_entropy(on_fake, 0.0).mean()
    g_loss = sigmoid_cross_entropy(on_fake, 1.0).mean()
    return done(named("d_loss", d_loss) + named("g_loss", g_loss), "both")


def tied():
    """An autoencoder whose decoder is its encoder, transposed."""
    rng = np.random.default_rng(12)
    (x,) = inputs(rng, x=(10, 12))
    W, b, c = weights(rng, W=(12, 4), b=(4,), c=(12,))
    with scope("encoder"):
        code = named("code", np.tanh(x @ W + b))
    with scope("decoder"):
        copy = named("copy", code @ W.T + c)
    return done(np.mean(np.square(copy - x)))


def verdicts(**options):
    """A backprop by hand in which the slope of tanh was forgotten, compared with the graph."""
    rng = np.random.default_rng(13)
    x, y = data(rng)
    w, b = layer(rng, 27, 16, 1)
    v, c = layer(rng, 16, 7, 2)
    h = named("h", np.tanh(named("z", x @ w + b)))
    o = named("o", h @ v + c)
    loss = done(softmax_cross_entropy(o, y).mean())
    G_o = (softmax(o).numpy() - np.eye(7)[y.numpy()]) / 10
    G_h = G_o @ v.numpy().T
    G_z = G_h  # times 1 - h * h
    G_w1, G_b1, G_w2 = x.numpy().T @ G_z, G_z.sum(axis=0), h.numpy().T @ G_o
    report = compare_backprop(loss, G_o=G_o, G_w2=G_w2, G_h=G_h, G_z=G_z, G_w1=G_w1, G_b1=G_b1)
    return draw(loss, report=report, **options)


def scene(make, **fixed):
    """What draws a graph in one way; further options may be given, such as the theme."""
    return lambda **options: draw(make(), **fixed, **options)


SCENES = {
    "steel": scene(steel),
    "steel_backward": scene(steel, view="backward"),
    "steel_both": scene(steel, view="both"),
    "mlp": scene(mlp),
    "mlp_folded": scene(mlp, fold=True),
    "mlp_backward": scene(mlp, view="backward"),
    "micrograd": scene(micrograd, view="backward"),
    "logistic": scene(logistic, view="backward", values=True),
    "softmax": scene(by_hand, view="backward"),
    "diamond": scene(diamond, view="backward", values=True),
    "broadcast": scene(broadcast, view="backward"),
    "values": scene(small, values=True),
    "korean": scene(korean, view="backward"),
    "rnn": scene(rnn, view="backward"),
    "rnn_39": scene(functools.partial(rnn, 39)),
    "lstm": scene(lstm),
    "residual": scene(residual),
    "attention": scene(attention, view="backward"),
    "cnn": scene(cnn, view="backward"),
    "gan": scene(gan),
    "tied": scene(tied, view="backward"),
    "deep": scene(functools.partial(residual, 50)),
    "slide": scene(mlp, direction="LR", legend=False, size=(16, 9)),
    "verdicts": verdicts,
}
PNG = ("steel", "slide", "verdicts")


def gallery(folder):
    """Every scene in both themes as SVG, some as PNG, and a page that shows them all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, picture in SCENES.items():
        rows.append(f"<h2>{name}</h2>")
        for theme in ("light", "dark"):
            drawn = picture(theme=theme)
            for suffix in ("svg", "png") if name in PNG else ("svg",):
                print(drawn.save(folder / f"{name}_{theme}.{suffix}"))
            words = html.escape(str(drawn).splitlines()[0])
            rows.append(f'<img src="{name}_{theme}.svg" alt="{words}" loading="lazy">')
    page = "\n".join(["<!doctype html>", '<meta charset="utf-8">', "<title>Gallery</title>", *rows])
    (folder / "index.html").write_text(page + "\n", encoding="utf-8")


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
