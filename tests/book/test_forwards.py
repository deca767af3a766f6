"""Forward code in the habits of books, chapter by chapter: unchanged on Tensors, or refused with lines that work.

What is refused is mended by pasting what the message says, until it runs; the gradient is then that of the
finite differences of the code as it stood.
"""

import ast
import linecache
import re
import traceback

import numpy as np
import pytest
from helpers import close, differences

import tinygrad_steel
from tinygrad_steel import Tensor

RNG = np.random.default_rng(11)
MATHS = """
def relu(x):
    return np.maximum(x, 0)

def sigmoid(x):
    return np.exp(-relu(-x)) / (1.0 + np.exp(-np.abs(x)))

def tanh(x):
    return 2 * sigmoid(2 * x) - 1

def softmax(x):
    top = np.max(x, axis=1)
    shifted = np.exp((x.transpose() - top).transpose())
    return (shifted.transpose() / np.sum(shifted, axis=1)).transpose()

def cross_entropy(labels, logits):
    return np.mean(-np.sum(labels * np.log(softmax(logits) + 1e-10), axis=1))

def binary_entropy(z, x):
    return np.mean(relu(x) - x * z + np.log(1 + np.exp(-np.abs(x))))

def dense(x, p, name):
    return np.matmul(x, p[name]) + p[name + "_bias"]
"""


def weights(*shape):
    return RNG.normal(0, 0.6, shape)


def layers(**shapes):
    """A weight and a bias for each."""
    made = {name: weights(*shape) for name, shape in shapes.items()}
    return made | {f"{name}_bias": weights(shape[-1]) for name, shape in shapes.items()}


def compiled(source):
    """The function `forward` of a text, which stands in a file, as people's does."""
    text = MATHS + source
    file = f"<forward {hash(text)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = {"np": np, "tinygrad_steel": tinygrad_steel}
    exec(compile(text, file, "exec"), names)
    return names["forward"], file


def loss_of(source, parameters, *data):
    return np.float64(compiled(source)[0](parameters, *data).item())


def run(source, parameters, *data):
    """The loss and the gradients, after what is refused has been mended; what was said, and the mended code."""
    tensors = {name: Tensor(x, requires_grad=True) for name, x in parameters.items()}
    said = []
    while True:
        forward, file = compiled(source)
        try:
            loss = forward(tensors, *data)
        except (TypeError, ValueError) as error:
            at = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file][-1]
            while error.__cause__ is not None:  # NumPy's own error stands in front of ours
                error = error.__cause__
            said.append(str(error))
            assert len(said) < 12, said
            source = pasted(source, str(error), at)
        else:
            break
    loss.backward()
    return loss, {name: t.grad for name, t in tensors.items()}, said, source


def pasted(source, message, at):
    """The source with the lines that a message says."""
    lines = (MATHS + source).splitlines()
    here = at.lineno - 1
    _, found, instead = message.partition(". Here: ")
    assert found, message
    loop = re.match(r"(before|in place of) (?:the loop )?`(.*?)`: (.*)", instead)
    if loop:
        around(lines, here, *loop.groups())
    elif is_assignment(lines[here], at):
        lines[here] = indent(lines[here]) + instead.partition("; or")[0]
    else:
        lines[here] = lines[here][: at.colno] + instead + lines[here][at.end_colno :]
    return "\n".join(lines)[len(MATHS) :]


def is_assignment(line, at):
    """Whether what is refused is the whole line, and not an expression in it."""
    whole = at.colno == len(indent(line)) and not line.lstrip().startswith(
        ("if", "for", "while", "return")
    )
    return whole and isinstance(ast.parse(line.strip()).body[0], ast.Assign | ast.AugAssign)


def around(lines, here, where, head, rest):
    """Put lines before a loop, in it and behind it, or in its place."""
    start = max(i for i in range(here) if lines[i].strip() == head + ":")
    space = indent(lines[start])
    end = next((i for i in range(start + 1, len(lines)) if outside(lines[i], space)), len(lines))
    if where == "in place of":
        lines[start:end] = [space + rest.partition(" (tinygrad")[0]]
        return
    parts = dict(
        re.findall(
            r"(^|in place of this line|after the loop):? ?(.*?)(?:; (?=in place|after)|$)", rest
        )
    )
    after = parts["after the loop"].partition(" (tinygrad")[0]
    lines.insert(end, space + after)
    if "in place of this line" in parts:
        lines[here] = indent(lines[here]) + parts["in place of this line"]
    lines.insert(start, space + parts[""])


def outside(line, space):
    return line.strip() and len(indent(line)) <= len(space)


def indent(line):
    return line[: len(line) - len(line.lstrip())]


def check(source, parameters, *data, words=()):
    """Values and gradients are those of the code as it stands, on arrays; what is said has these words."""
    loss, gradients, said, _ = run(source, parameters, *data)
    assert len(said) == len(words), said
    for text, expected in zip(said, words):
        assert expected in text, text
    close(loss.data, loss_of(source, parameters, *data), rtol=1e-12)
    for name, x in parameters.items():

        def moved(value, name=name):
            return loss_of(source, parameters | {name: value}, *data)

        close(gradients[name], differences(moved, x), rtol=1e-5, atol=1e-8)


X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 1)) + 3
YES = np.array([[1.0], [0], [0], [1], [1]])
CLASS = np.eye(3)[[0, 2, 1, 1, 0]]
IMAGES = RNG.normal(size=(2, 4, 4, 2))
KINDS = np.eye(3)[[1, 2]]

UNCHANGED = {
    "1 mean square": (
        """
def forward(p, x, y):
    output = dense(x, p, "w")
    return np.mean(np.square(output - y))
""",
        layers(w=(4, 1)),
        X,
        Y,
    ),
    "2 sigmoid cross entropy": (
        """
def forward(p, x, y):
    return binary_entropy(y, dense(x, p, "w"))
""",
        layers(w=(4, 1)),
        X,
        YES,
    ),
    "3 softmax cross entropy": (
        """
def forward(p, x, y):
    return cross_entropy(y, dense(x, p, "w"))
""",
        layers(w=(4, 3)),
        X,
        CLASS,
    ),
    "4 hidden layers in a loop": (
        """
def forward(p, x, y):
    kept = [x]
    hidden = x
    for name in ["a", "b"]:
        hidden = relu(dense(hidden, p, name))
        kept.append(hidden)
    return cross_entropy(y, dense(kept[-1], p, "out"))
""",
        layers(a=(4, 5), b=(5, 4), out=(4, 3)),
        X,
        CLASS,
    ),
    "5 a model with a data set": (
        """
class Data:
    def loss(self, output, y, mode):
        if mode == "regression":
            return np.mean(np.square(output - y)), output - y
        return cross_entropy(y, output), [output, y]

class Model:
    def __init__(self, p):
        self.p, self.data, self.aux = p, Data(), []

    def layer(self, x, name, last):
        y = np.matmul(x, self.p[name]) + self.p[name + "_bias"]
        if not last: y = tanh(y)
        self.aux.append([x, y])
        return y

    def loss(self, x, y):
        output = self.layer(self.layer(x, "a", False), "out", True)
        loss, aux = self.data.loss(output, y, "select")
        extra, correct = 0, np.mean(np.equal(np.argmax(output, axis=1), np.argmax(y, axis=1)))
        return loss + extra

def forward(p, x, y):
    return Model(p).loss(x, y)
""",
        layers(a=(4, 5), out=(5, 3)),
        X,
        CLASS,
    ),
    "6 two answers of one network": (
        """
def forward(p, x, y, sizes):
    outputs, ys = np.hsplit(dense(x, p, "w"), sizes), np.hsplit(y, sizes)
    return cross_entropy(ys[0], outputs[0]) + cross_entropy(ys[1], outputs[1])
""",
        layers(w=(4, 5)),
        X,
        np.hstack([CLASS, np.eye(2)[[0, 1, 1, 0, 1]]]),
        [3],
    ),
    "7 pooling where the stride is the size": (
        """
def pool(x, s, kind):
    n, h, w, c = x.shape
    cut = x.reshape([n, h // s, s, w // s, s, c]).transpose(0, 1, 3, 5, 2, 4).reshape([-1, s * s])
    if kind == "max":
        flat = cut[np.arange(n * (h // s) * (w // s) * c), np.argmax(cut, axis=1)]
    else:
        flat = np.average(cut, 1)
    return flat.reshape([n, h // s, w // s, c])

def forward(p, x, y):
    x = x * p["gain"]
    both = pool(x, 2, "max") + pool(x, 2, "avg")
    return cross_entropy(y, dense(both.reshape([len(x), -1]), p, "w"))
""",
        layers(w=(8, 3)) | {"gain": weights(2)},
        IMAGES,
        KINDS,
    ),
    "8 dropout and noise": (
        """
def forward(p, x, y):
    rng = np.random.RandomState(3)
    hidden = relu(dense(x, p, "a"))
    mask = rng.binomial(1, 0.7, hidden.shape)
    hidden = hidden * mask / 0.7 + rng.normal(0, 0.1, hidden.shape)
    return cross_entropy(y, dense(hidden, p, "out"))
""",
        layers(a=(4, 5), out=(5, 3)),
        X,
        CLASS,
    ),
    "9 branches side by side, and a sum of them": (
        """
def tiled(part, channels):
    return part if part.shape[-1] == channels else np.tile(part, channels // part.shape[-1])

def forward(p, x, y):
    x = relu(dense(x, p, "in"))
    side = np.concatenate([relu(dense(x, p, "a")), tanh(dense(x, p, "b"))], axis=-1)
    total = relu(dense(side, p, "c"))
    total += tiled(tanh(dense(side, p, "d")), total.shape[-1])
    total += tiled(x, total.shape[-1])
    return cross_entropy(y, dense(relu(total), p, "out"))
""",
        layers(**{"in": (4, 4), "a": (4, 3), "b": (4, 2), "c": (5, 4), "d": (5, 2), "out": (4, 3)}),
        X,
        CLASS,
    ),
    "13 an autoencoder": (
        """
def forward(p, x):
    code = sigmoid(dense(x, p, "encode"))
    diff = dense(code, p, "decode") - x
    accuracy = 1 - np.sqrt(np.mean(np.square(diff))) / np.mean(x)
    return np.mean(np.square(diff))
""",
        layers(encode=(4, 2), decode=(2, 4)),
        X,
    ),
    "15 a generator and a discriminator": (
        """
def judged(p, x):
    return dense(relu(dense(x, p, "judge")), p, "says")

def forward(p, real):
    seed = np.random.RandomState(5).uniform(-1.0, 1.0, size=[len(real)] + [3])
    fake = tanh(dense(relu(dense(seed, p, "make")), p, "paint"))
    y = np.zeros([2 * len(real), 1])
    y[0:len(real), 0] = 1.0
    seen = binary_entropy(y, judged(p, np.vstack([real, fake])))
    return seen + binary_entropy(np.ones([len(real), 1]), judged(p, fake))
""",
        layers(make=(3, 4), paint=(4, 4), judge=(4, 5), says=(5, 1)),
        X,
    ),
}


@pytest.mark.parametrize("chapter", UNCHANGED)
def test_it_runs_unchanged(chapter):
    check(*UNCHANGED[chapter])


PADDED = """
def regions(x, kh, kw, fill):
    n, h, w, c = x.shape
    bh, bw = (kh - 1) // 2, (kw - 1) // 2
    wide = np.zeros((n, h + kh - 1, w + kw - 1, c), dtype='float32') + fill
    wide[:, bh:bh + h, bw:bw + w, :] = x
    cut = np.zeros((h, w, n * kh * kw * c), dtype='float32')
    for i in range(h):
        for j in range(w):
            cut[i, j, :] = wide[:, i:i + kh, j:j + kw, :].flatten()
    return cut.reshape([h, w, n, kh, kw, c])
"""
PAD = (
    "Here: wide = np.pad(x, ((0, 0), (bh, wide.shape[1] - (bh + h)), (bw, wide.shape[2] - (bw + w)), (0, 0)), "
    "constant_values=wide.flat[0])"
)
WINDOWS = (
    "in place of the loop `for i in range(h)`: cut = np.lib.stride_tricks.sliding_window_view(wide, "
    "(kh, kw), axis=(1, 2)).transpose(1, 2, 0, 4, 5, 3).reshape(cut.shape)"
)

FILLED = {
    "7 convolution by regions": (
        PADDED.replace(", dtype='float32'", "")
        + """
def forward(p, x, y):
    x = x * p["gain"]
    n, h, w, c = x.shape
    kh, kw, _, m = p["k"].shape
    flat = regions(x, kh, kw, 0).transpose([2, 0, 1, 3, 4, 5]).reshape([n * h * w, kh * kw * c])
    conv = np.matmul(flat, p["k"].reshape([kh * kw * c, m])).reshape([n, h, w, m])
    return cross_entropy(y, dense(relu(conv + p["k_bias"]).reshape([n, -1]), p, "w"))
""",
        layers(k=(3, 2, 2, 2), w=(32, 3)) | {"gain": weights(2)},
        (IMAGES, KINDS),
        (PAD, WINDOWS),
    ),
    "9 overlapping max pools, with a border that never wins": (
        PADDED.replace(", dtype='float32'", "")
        + """
def forward(p, x):
    x = x * p["gain"]
    n, h, w, c = x.shape
    flat = regions(x, 3, 3, -np.inf).transpose([2, 5, 0, 1, 3, 4]).reshape(n * c * h * w, 9)
    y = flat[np.arange(flat.shape[0]), np.argmax(flat, axis=1)]
    thin = np.sum(regions(x, 2, 2, 0))
    return np.mean(np.square(y.reshape([n, c, h, w])[:, :, 0:4:2, 0:4:2])) + thin
""",
        {"gain": weights(2)},
        (IMAGES,),
        (PAD, WINDOWS),
    ),
    "7 convolution, number by number": (
        """
def forward(p, x):
    n, h, w, c = x.shape
    kh, kw, _, m = p["k"].shape
    conv = np.zeros((n, h, w, m))
    for s in range(n):
        for i in range(h):
            for j in range(w):
                for q in range(m):
                    for a in range(kh):
                        for b in range(kw):
                            if i + a >= h or j + b >= w: continue
                            for r in range(c):
                                conv[s][i][j][q] += p["k"][a][b][r][q] * x[s][i + a][j + b][r]
    return np.mean(np.square(conv))
""",
        {"k": weights(2, 2, 2, 1)},
        (IMAGES[:1, :3, :3],),
        (
            "Here: before `for s in range(n)`: conv = conv.astype(object); after the loop: "
            "conv = np.stack(list(conv.flat)).reshape(conv.shape) (tinygrad_steel.conv2d",
        ),
    ),
    "8 L2 over all weights as one list": (
        """
def forward(p, x, y):
    flat = list(p["w"].flatten())
    flat += list(p["w_bias"].flatten())
    return cross_entropy(y, dense(x, p, "w")) + np.sum(np.square(flat)) / 2
""",
        layers(w=(4, 3)),
        (X, CLASS),
        ("Here: np.square(np.stack(flat))",),
    ),
    "8 batch normalisation with running means": (
        """
def forward(p, x, y):
    kept = {"mean": np.zeros(3), "rate": 0.1}
    x = dense(x, p, "w")
    mean, var = np.mean(x, axis=0), np.var(x, axis=0)
    kept["mean"] += kept["rate"] * (mean - kept["mean"])
    return cross_entropy(y, p["scale"] * (x - mean) / np.sqrt(var + 1e-10) + p["shift"])
""",
        layers(w=(4, 3)) | {"scale": weights(3), "shift": weights(3)},
        (X, CLASS),
        (
            "or, for a running mean, through which no gradient flows: "
            "kept['mean'] += (kept['rate'] * (mean - kept['mean'])).numpy()",
        ),
    ),
    "10 outputs in an array by time": (
        """
def forward(p, x):
    steps = x.shape[1]
    h = np.zeros((steps + 1, len(x), 3))
    for t in range(steps):
        h[t + 1] = np.tanh(np.hstack([x[:, t], h[t]]) @ p["w"] + p["w_bias"])
    return np.mean(np.square(h))
""",
        layers(w=(7, 3)),
        (RNG.normal(size=(2, 5, 4)),),
        ("Here: before `for t in range(steps)`: h = list(h); after the loop: h = np.stack(h)",),
    ),
    "10 time on the second axis": (
        """
def forward(p, x):
    n, steps, _ = x.shape
    hidden = np.zeros([n, steps, 3])
    for t in range(steps):
        before = 0.5 if t == 0 else 0.25
        hidden[:, t] = np.tanh(dense(x[:, t], p, "w") + hidden[:, t - 1] * p["u"]) * before
    return np.mean(np.square(hidden))
""",
        layers(w=(4, 3)) | {"u": weights(3)},
        (RNG.normal(size=(2, 5, 4)),),
        (
            "Here: before `for t in range(steps)`: hidden = list(np.moveaxis(hidden, 1, 0)); in place of "
            "this line: hidden[t] = np.tanh(dense(x[:, t], p, 'w') + hidden[t - 1] * p['u']) * before; "
            "after the loop: hidden = np.stack(hidden, axis=1)",
        ),
    ),
    "11 an LSTM, of which the last output of each sequence counts": (
        """
def forward(p, x, y):
    size = len(p["w_bias"]) // 4
    lengths = x[:, 0, 0].astype(np.int32)
    h, state, outputs = np.zeros([len(x), size]), np.zeros([len(x), size]), []
    for t in range(np.max(lengths)):
        gates = np.matmul(np.hstack([x[:, t + 1], h]), p["w"]) + p["w_bias"]
        forget, enter = sigmoid(gates[:, 0:size]), sigmoid(gates[:, size:2 * size])
        state = state * forget + tanh(gates[:, 3 * size:]) * enter
        h = tanh(state) * sigmoid(gates[:, 2 * size:3 * size])
        outputs.append(h)
    last = np.zeros([len(x), size])
    for n in range(len(x)):
        last[n] = outputs[lengths[n] - 1][n]
    return binary_entropy(y, dense(last, p, "out"))
""",
        layers(w=(6, 8), out=(2, 1)),
        (
            np.concatenate([[[[3, 0, 0, 0]], [[5, 0, 0, 0]]], RNG.normal(size=(2, 5, 4))], axis=1),
            np.array([[1.0], [0.0]]),
        ),
        (
            "Here: before `for n in range(len(x))`: last = list(last); after the loop: last = np.stack(last)",
        ),
    ),
    "12 each frame through a layer, the lengths in front": (
        """
def forward(p, x):
    n, steps = x.shape[0], x.shape[1]
    lengths = x.reshape([n, -1])[:, 0]
    hidden = relu(dense(x[:, 1:].reshape([-1, x.shape[2]]), p, "w"))
    y = np.zeros([n, steps, hidden.shape[-1]])
    y[:, 0, 0] = lengths
    y[:, 1:, :] = hidden.reshape([n, steps - 1, -1])
    return np.mean(np.square(y[:, 1:, :])) + np.mean(y)
""",
        layers(w=(4, 3)),
        (RNG.normal(size=(2, 5, 4)),),
        ("Here: y = np.concatenate([y[:, :1], hidden.reshape([n, steps - 1, -1])], axis=1)",),
    ),
    "14 a decoder, whose steps are one array": (
        """
def forward(p, x, y):
    code, h, outputs = relu(dense(x, p, "encode")), np.zeros([len(x), 3]), []
    for t in range(4):
        h = np.tanh(dense(np.hstack([code, h]), p, "step"))
        outputs.append(h)
    output = np.zeros([len(x), 5, 3])
    output[:, 0, 0] = 4
    output[:, 1:, :] = np.asarray(outputs).transpose([1, 0, 2])
    return cross_entropy(y, output[:, 1:, :].reshape(-1, 3))
""",
        layers(encode=(4, 2), step=(5, 3)),
        (X, np.eye(3)[RNG.integers(3, size=20)]),
        (
            "Here: np.stack(outputs)",
            "Here: output = np.concatenate([output[:, :1], np.stack(outputs).transpose([1, 0, 2])], axis=1)",
        ),
    ),
}


@pytest.mark.parametrize("chapter", FILLED)
def test_what_fills_a_buffer_says_what_to_write(chapter):
    source, parameters, data, words = FILLED[chapter]
    check(source, parameters, *data, words=words)


# One habit each; what is pasted has to be right for data of another shape and size as well

HABITS = {
    "a border of zeros": """
    z = np.zeros((len(t) + 2, t.shape[1] + 2))
    z[1:-1, 1:-1] = t
""",
    "a border of ones": """
    z = np.ones((len(t) + 2, t.shape[1] + 2))
    z[1:-1, 1:1 + t.shape[1]] = t
""",
    "the upper left": """
    z = np.zeros((9, 9))
    z[:len(t), :t.shape[1]] = t
""",
    "in two blocks": """
    z = np.zeros((2 * len(t), 2 * t.shape[1]))
    z[:len(t), :t.shape[1]] = t
    z[len(t):, t.shape[1]:] = 2 * t
""",
    "after something else": """
    z = np.zeros((len(t) + 1, t.shape[1] + 1))
    z[0, 0] = 5.0
    z[1:, 1:] = t
""",
    "over what is there": """
    z = np.arange(1.0, 1 + (len(t) + 2) * (t.shape[1] + 1)).reshape(len(t) + 2, -1)
    z[2:, 1:] = t
""",
    "columns one after the other": """
    z = np.zeros((len(t), 3 * t.shape[1]))
    n = t.shape[1]
    z[:, 0*n:1*n] = t
    z[:, 1*n:2*n] = t + 1
    z[:, 2*n:3*n] = np.tanh(t)
""",
    "rows in front": """
    z = np.ones((len(t) + 3, t.shape[1]))
    z[:len(t)] = t
""",
    "rows behind": """
    z = np.ones((len(t) + 3, t.shape[1]))
    z[-len(t):] = t
""",
    "one column": """
    z = np.ones((len(t), 4))
    z[:, 2] = t[:, 0]
""",
    "the last column": """
    z = np.ones((len(t), 4))
    z[:, -1] = t[:, 0]
""",
    "the first column, and all others": """
    z = np.zeros((len(t), 1 + t.shape[1]))
    z[:, 0] = np.sum(t, axis=1)
    z[:, 1:] = t
""",
    "one place of two axes": """
    z = np.zeros((2, len(t), 3, t.shape[1]))
    z[1, :, 0, :] = t
    z[:, :, 2, :] = np.stack([t, t])
""",
    "all of it": """
    z = np.empty((len(t), t.shape[1]))
    z[:] = t
""",
    "all of it, axis by axis": """
    z = np.empty((len(t), t.shape[1]))
    z[:, :] = np.exp(t)
""",
    "behind an ellipsis": """
    z = np.zeros((len(t), t.shape[1], 2))
    z[..., 1] = t
""",
    "added to a part": """
    z = np.ones((len(t) + 2, t.shape[1]))
    z[1:1 + len(t)] += t
""",
    "added to a block": """
    z = np.ones((len(t) + 2, t.shape[1] + 1))
    z[1:1 + len(t), 1:] -= t * 2 + 1
""",
    "added to one column": """
    z = np.ones((len(t), 4))
    z[:, 1] += t[:, 0]
""",
    "a part of a tensor that is scaled": """
    z = t * 2
    z[1:] *= 3
    z[:, 0] += t[:, 1]
    z[:, 1:] -= 1.5
""",
    "a part that is scaled": """
    z = np.ones((len(t) + 2, t.shape[1])) * 3
    z[1:1 + len(t)] *= t + 1
""",
    "a block that is divided": """
    z = np.ones((len(t) + 2, t.shape[1] + 1)) * 3
    z[2:, 1:] /= np.exp(t)
""",
    "rows that are scaled in a loop": """
    z = np.ones((len(t), t.shape[1])) * 3
    for i in range(len(t)):
        z[i] *= t[i] + 1
        z[i] -= t[0]
""",
    "numbers that are scaled in a loop": """
    z = np.ones(3)
    for i in range(len(t)):
        z[i % 3] *= np.sum(t[i]) - 1
""",
    "a column that is scaled": """
    z = np.ones((len(t), 4))
    z[:, 1] *= np.sum(t)
""",
    "added in loops": """
    z = np.zeros((len(t) + 1, t.shape[1] + 1))
    for i in range(2):
        for j in range(2):
            z[i:i + len(t), j:j + t.shape[1]] += (i + 1) * t
""",
    "blocks in loops": """
    z = np.zeros((2 * len(t), 2 * t.shape[1]))
    h, w = t.shape
    for i in range(2):
        for j in range(2):
            z[i * h:i * h + h, j * w:j * w + w] = t * (i + j)
""",
    "columns in a loop": """
    z = np.zeros((len(t), 4))
    for k in range(4):
        if k == 2: continue
        z[:, k] = t[:, 0] ** k
""",
    "columns in a loop, from columns before": """
    z = np.ones((len(t), 4))
    for k in range(1, 4):
        z[:, k] = z[:, k - 1] * t[:, 0]
""",
    "rows in a loop": """
    z = np.zeros((len(t), t.shape[1]))
    for i in range(len(t)):
        z[i] = t[i] * i
""",
    "rows in a loop, with a colon": """
    z = np.zeros((len(t), t.shape[1]))
    for i in range(len(z)):
        z[i, :] = t[i] * i
""",
    "rows added in a loop": """
    z = np.zeros((len(t), t.shape[1]))
    for i in range(len(t)):
        z[i] += t[i]
        z[i] += 2.0
""",
    "rows backwards": """
    z = np.zeros((len(t) + 1, t.shape[1]))
    for i in reversed(range(len(t))):
        z[i] = t[i] + 0.5 * z[i + 1]
""",
    "rows in a while": """
    z = np.zeros((len(t), t.shape[1]))
    i = 0
    while i < len(t):
        z[i] = t[i] ** 2
        i += 1
""",
    "numbers in a loop": """
    z = np.zeros(len(t))
    for i in range(len(t)):
        z[i] = np.sum(t[i])
""",
    "numbers added in a loop": """
    z = np.zeros(3)
    for i in range(len(t)):
        z[i % 3] += np.sum(t[i])
""",
    "numbers in two loops": """
    z = np.zeros((len(t), t.shape[1]))
    for i in range(len(t)):
        for j in range(i % 3):
            z[i, j] = t[i, j] * t[0, j]
""",
    "one number": """
    z = np.zeros(3)
    z[1] = np.sum(t)
""",
    "the last number": """
    z, last = np.zeros(3), -1
    z[last] = np.sum(t)
""",
    "a number in a table": """
    z = np.ones((3, 4))
    z[1, 2] = np.sum(t)
""",
    "a number added in a table": """
    z = np.ones((3, 4))
    z[1, -2] += np.sum(t)
""",
    "where a mask says so": """
    z = np.ones((len(t), t.shape[1]))
    mask = np.arange(z.size).reshape(z.shape) % 2 == 0
    z[mask] = np.sum(t)
""",
    "rows where a mask says so": """
    z = np.ones((3, 3))
    mask = np.array([True, False, True])
    z[mask] = np.sum(t)
""",
    "a relu by a mask": """
    z = t * 2
    z[z < 0] = 0
""",
    "a buffer in a dict": """
    kept = {"z": np.zeros((len(t) + 1, t.shape[1]))}
    kept["z"][1:] = t
    z = kept["z"]
""",
    "a buffer like the input": """
    z = np.zeros_like(t)
    for i in range(len(t)):
        z[i] = t[i] * 3
""",
    "a buffer that is made anew in each round": """
    total = 0.0
    for k in range(3):
        z = np.zeros((len(t), t.shape[1]))
        for i in range(len(t)):
            z[i] = t[i] * k
        total = total + z
    z = total
""",
    "windows of one axis": """
    n = len(t) - 2
    z = np.zeros((n, 3, t.shape[1]))
    for i in range(n):
        z[i] = t[i:i + 3]
""",
    "windows with a stride, for each sample": """
    x = np.stack([t, t * 2])
    n = (len(t) - 2) // 2 + 1
    z = np.zeros((n, len(x), 2 * t.shape[1]))
    for i in range(n):
        for s in range(len(x)):
            z[i, s, :] = x[s, i * 2:i * 2 + 2, :].ravel()
""",
    "windows, and something else in the loop": """
    n, seen = len(t) - 1, 0
    z = np.zeros((n, 2, t.shape[1]))
    for i in range(n):
        seen += 1
        z[i] = t[i:i + 2]
""",
    "rows of one number in a loop": """
    z = np.zeros((len(t), 3))
    for i in range(len(t)):
        z[i] = np.sum(t[i])
""",
    "columns of one number in a loop": """
    z = np.zeros((2, len(t)))
    for i in range(len(t)):
        z[:, i] = z[:, i - 1] + np.sum(t[i])
""",
    "a block of one number": """
    z = np.zeros((len(t), len(t) + 2))
    z[1:, 2:] = np.sum(t)
""",
    "one row everywhere": """
    z = np.zeros((2, t.shape[1]))
    z[:] = t[0]
""",
    "one row added to some": """
    z = np.ones((len(t), t.shape[1]))
    z[1:] += t[0]
""",
    "rows that the loop reads as a whole": """
    z = np.zeros((len(t), t.shape[1]))
    for i in range(len(t)):
        z[i] = t[i] + np.sum(z[:i], axis=0)
""",
    "two parts of each row": """
    z = np.zeros((len(t), 2 * t.shape[1]))
    for i in range(len(t)):
        z[i, :t.shape[1]] = t[i]
        z[i, t.shape[1]:] = np.exp(t[i])
""",
    "columns that another line reads": """
    z = np.ones((len(t), 4))
    for k in range(1, 4):
        before = z[:, k - 1]
        z[:, k] = before * t[:, 0]
""",
    "two buffers that each round makes anew": """
    total = 0.0
    for k in range(2):
        other, z = 1.0, np.zeros((len(t), t.shape[1]))
        for i in range(len(t)):
            z[i] = t[i] * (k + other)
        total = total + z
    z = total
""",
    "a buffer that the rounds take from a list": """
    buffers = [np.zeros((len(t), t.shape[1])), np.ones((len(t) + 1, t.shape[1]))]
    total = 0.0
    for z in buffers:
        for i in range(len(t)):
            z[i] = t[i] * 2
        total = total + np.sum(z)
    z = total * np.ones(3)
""",
    "a buffer of an object": """
    class Kept: pass
    kept = Kept()
    kept.z = np.zeros((3, len(t)))
    for i in range(3):
        kept.z[i] = t[:, 0] + i
    z = kept.z
""",
    "in a function that gives it back": """
    def fill(z):
        z[1:] = t
        return z * 2
    z = fill(np.ones((len(t) + 1, t.shape[1])))
""",
    "a table by places": """
    z = np.eye(t.shape[1])[np.argmax(t, axis=1)] * t
""",
    "rows of a table by a mask": """
    z = np.arange(1.0, 1 + len(t))[t[:, 0] > 0] * np.sum(t)
""",
}


@pytest.mark.parametrize("habit", HABITS)
def test_what_is_pasted_is_right_for_other_data(habit):
    loss = "np.sum(np.sin(z + np.arange(z.size).reshape(z.shape)))"
    source = f"def forward(p):\n    t = p['t']\n{HABITS[habit]}    return {loss}\n"
    parameters = {"t": weights(5, 3)}
    _, _, said, mended = run(source, parameters)
    assert said
    check(source, parameters, words=[""] * len(said))
    check(mended, {"t": weights(8, 3)}, words=[])
    check(mended, {"t": weights(3, 2)}, words=[])
    for parameters in ({"t": weights(8, 3)}, {"t": weights(3, 2)}):
        close(loss_of(mended, parameters), loss_of(source, parameters), rtol=1e-12)


@pytest.mark.parametrize("call", ["np.mean(z)", "z.mean()", "np.var(z)", "z.std()"])
def test_an_array_of_objects_is_made_one_tensor_first(call):
    z, t = np.zeros((2, 2), object), Tensor([2.0, 3.0, 5.0], requires_grad=True)
    z[0, 0], z[1, 0], z[1, 1] = t
    with pytest.raises(TypeError, match="of an array of objects makes plain numbers") as caught:
        eval(call, {"np": np, "z": z})
    names = {"np": np, "z": z}
    exec(re.search("z = .*(?= before)", str(caught.value))[0], names)
    y = eval(call, names)
    assert y.requires_grad
    close(y.data, eval(call, {"np": np, "z": np.array([[2.0, 0.0], [3.0, 5.0]])}))
    assert np.sum(z).requires_grad and np.sum(z).item() == 10
    with pytest.raises(TypeError, match="holds real numbers, not object"):
        z @ t[:2]


# Sequences of other lengths in each batch

LAST_OF_EACH = """
def forward(p, x, y):
    lengths = x[:, 0, 0].astype(np.int32)
    h, outputs = np.zeros([len(x), 3]), []
    for t in range(np.max(lengths)):
        h = np.tanh(dense(np.hstack([x[:, t + 1], h]), p, "w"))
        outputs.append(h)
    last = np.stack([outputs[lengths[n] - 1][n] for n in range(len(x))])
    return binary_entropy(y, dense(last, p, "out"))
"""
KEPT_BY_A_MASK = """
def forward(p, x, y):
    lengths = x[:, 0, 0]
    h = np.zeros([len(x), 3])
    for t in range(x.shape[1] - 1):
        new = np.tanh(dense(np.hstack([x[:, t + 1], h]), p, "w"))
        h = np.where((t < lengths)[:, None], new, h)
    return binary_entropy(y, dense(h, p, "out"))
"""
RECURRENT = layers(w=(6, 3), out=(3, 1))


def batch(lengths, longest=5):
    """Sequences whose first row holds their lengths, as in books; what is behind them is no number."""
    x = np.full((len(lengths), longest + 1, 3), 1e6)
    for n, length in enumerate(lengths):
        x[n, 0], x[n, 1 : length + 1] = (
            [length, 0, 0],
            np.random.default_rng(n).normal(size=(length, 3)),
        )
    return x


@pytest.mark.parametrize("source", [LAST_OF_EACH, KEPT_BY_A_MASK])
def test_lengths_differ_from_batch_to_batch(source):
    for lengths in ([3, 5], [1, 2, 4], [5], [2, 2]):
        x, y = batch(lengths), np.arange(len(lengths))[:, None] % 2
        check(source, RECURRENT, x, y)
        loss, gradients, *_ = run(source, RECURRENT, Tensor(x, name="x"), y)
        plain = run(source, RECURRENT, x, y)
        assert loss.item() == plain[0].item()
        for name, g in gradients.items():
            close(g, plain[1][name], rtol=1e-12)


def test_what_is_behind_a_sequence_has_no_slope():
    x = Tensor(batch([3, 5]), requires_grad=True)
    run(LAST_OF_EACH, RECURRENT, x, np.ones((2, 1)))
    assert not x.grad[0, 4:].any() and not x.grad[:, 0].any()
    assert x.grad[0, 1:4].all() and x.grad[1, 1:].all()


def test_both_ways_to_end_a_sequence_are_one():
    x, y = batch([3, 5, 1]), np.ones((3, 1))
    one, other = (run(source, RECURRENT, x, y) for source in (LAST_OF_EACH, KEPT_BY_A_MASK))
    close(one[0].data, other[0].data, rtol=1e-12)
    for name, g in one[1].items():
        close(g, other[1][name], rtol=1e-10)


def compiled_step(source):
    p = {name: Tensor(v, requires_grad=True, name=name) for name, v in RECURRENT.items()}
    loss = compiled(source)[0](p, Tensor(batch([3, 5]), name="x"), np.ones((2, 1)))
    return tinygrad_steel.compile_backprop(loss), p


def test_lengths_that_end_a_loop_are_not_compiled():
    with pytest.raises(
        TypeError, match="result of max, which depends on x, was read as an integer"
    ):
        compiled_step(LAST_OF_EACH)


def test_lengths_in_a_mask_are_compiled_for_all_batches():
    step, p = compiled_step(KEPT_BY_A_MASK)
    for lengths in ([3, 5], [2, 4], [5, 1]):
        loss = step(batch(lengths))
        expected, gradients, *_ = run(LAST_OF_EACH, RECURRENT, batch(lengths), np.ones((2, 1)))
        np.testing.assert_allclose(loss, expected.item(), rtol=1e-10)
        for name, g in gradients.items():
            close(p[name].grad, g, rtol=1e-8)


@pytest.mark.parametrize(
    "lines",
    [
        "z = np.zeros(5, int)\n    z[1] = np.sum(t)",
        "z = np.zeros((5, 3), int)\n    z[:, 1] = t[:, 0]",
        "z = OUTSIDE\n    def fill():\n        OUTSIDE[1] = t[0]\n    fill()",
        "z = np.zeros((5, 3), int)\n    z[z == 0] = np.sum(t)",
        "z = np.zeros((5, 3))\n    z[[0, 1]] = t[:2]",
        "z = np.zeros((5, 3))\n    z[::2] = t[:3]",
    ],
)
def test_no_words_that_would_be_wrong(lines):
    source = f"OUTSIDE = np.zeros((5, 3))\ndef forward(p):\n    t = p['t']\n    {lines}\n    return np.sum(z)\n"
    loss_of(source, {"t": weights(5, 3)})
    with pytest.raises(AssertionError) as caught:
        run(source, {"t": weights(5, 3)})
    assert "Here:" not in str(caught.value) and "cannot keep the history" in str(caught.value)


def test_a_function_that_fills_what_it_is_given_returns_it():
    source = """
def fill(out, t):
    out[1:] = t

def forward(p):
    z = np.zeros(4)
    fill(z, p["t"])
    return np.sum(z)
"""
    with pytest.raises(TypeError, match="cannot keep the history") as caught:
        compiled(source)[0]({"t": Tensor(np.ones(3), requires_grad=True)})
    assert str(caught.value).endswith(
        "Here: out = np.concatenate([out[:1], t]); then return out, "
        "as the array that fill was given stays what it is"
    )
