"""Backprops as notebooks and scripts have them, each right, with places where a mistake is planted.

`«right¦wrong»` is such a place: one at a time is made wrong, and its line is the one to be named. Each
chain says for which of the problems it is; `go` is the function to be run.
"""

from __future__ import annotations

import itertools

import numpy as np

from tinygrad_steel import Tensor

RNG = np.random.default_rng(11)


def normal(**shapes):
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


def leaves(data, *names):
    return {name: Tensor(data[name], requires_grad=True, name=name) for name in names}


def mlp():
    """Two layers with tanh, and a mean of squares."""
    data = normal(x=(7, 4), y=(7, 3), W1=(4, 5), b1=(5,), W2=(5, 3), b2=(3,))
    p = leaves(data, "W1", "b1", "W2", "b2")
    out = np.tanh(data["x"] @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return np.mean(np.square(out - data["y"])), p, data


def classes():
    """Two layers with relu, and the cross entropy of a softmax."""
    data = normal(x=(7, 4), W1=(4, 5), b1=(5,), W2=(5, 3), b2=(3,))
    data["labels"] = np.array([0, 2, 1, 1, 0, 2, 2])
    data["Y"] = np.eye(3)[data["labels"]]
    p = leaves(data, "W1", "b1", "W2", "b2")
    s = np.maximum(data["x"] @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]
    e = np.exp(s)
    probs = e / np.sum(e, axis=1, keepdims=True)
    return -np.sum(data["Y"] * np.log(probs)) / 7, p, data


def deep():
    """Four layers in lists."""
    sizes = [4, 6, 5, 5, 2]
    data = normal(x=(8, 4), y=(8, 2))
    data["Ws"] = [0.6 * RNG.normal(size=shape) for shape in itertools.pairwise(sizes)]
    data["bs"] = [0.1 * RNG.normal(size=n) for n in sizes[1:]]
    Ws = [Tensor(W, requires_grad=True) for W in data["Ws"]]
    bs = [Tensor(b, requires_grad=True) for b in data["bs"]]
    a = data["x"]
    for i, (W, b) in enumerate(zip(Ws, bs)):
        z = a @ W + b
        a = np.tanh(z) if i < 3 else z
    return np.mean(np.square(a - data["y"])), {"Ws": Ws, "bs": bs}, data


def columns():
    """A network whose samples are columns, for yes or no."""
    data = normal(X=(4, 7), W1=(5, 4), b1=(5, 1), W2=(1, 5), b2=(1, 1))
    data["Y"] = (np.arange(7) % 2).reshape(1, 7) * 1.0
    p = leaves(data, "W1", "b1", "W2", "b2")
    A2 = 1 / (1 + np.exp(-(p["W2"] @ np.tanh(p["W1"] @ data["X"] + p["b1"]) + p["b2"])))
    losses = data["Y"] * np.log(A2) + (1 - data["Y"]) * np.log(1 - A2)
    return -np.sum(losses) / 7, p, data


def recurrent():
    """A recurrent network with an output at each step."""
    data = normal(xs=(5, 3), t=(5, 2), Wx=(3, 4), Wh=(4, 4), bh=(4,), Wy=(4, 2))
    data["Wh"] *= 0.5
    p = leaves(data, "Wx", "Wh", "bh", "Wy")
    h, loss = np.zeros(4), 0.0
    for i in range(5):
        h = np.tanh(data["xs"][i] @ p["Wx"] + h @ p["Wh"] + p["bh"])
        loss = loss + np.sum(np.square(h @ p["Wy"] - data["t"][i]))
    return loss, p, data


def line():
    """A straight line through points, by plain numbers."""
    data = normal(xs=(9,), ys=(9,)) | {"w": 0.7, "b": 0.2}
    p = leaves(data, "w", "b")
    return np.mean(np.square(p["w"] * data["xs"] + p["b"] - data["ys"])), p, data


def logistic():
    """Logistic regression."""
    data = normal(X=(9, 3), w=(3,)) | {"b": 0.1, "y": (np.arange(9) % 2) * 1.0}
    p = leaves(data, "w", "b")
    prob = 1 / (1 + np.exp(-(data["X"] @ p["w"] + p["b"])))
    return -np.mean(data["y"] * np.log(prob) + (1 - data["y"]) * np.log(1 - prob)), p, data


# name -> (problem, code)
CHAINS = {}

# Lists of plain numbers, and loops over samples

CHAINS["numbers in loops"] = (
    line,
    """
def go():
    dw = db = 0.0
    for xi, yi in zip(xs.tolist(), ys.tolist()):
        err = «w * xi + b - yi¦yi - w * xi - b»
        dw += 2 * err * xi
        db += «2¦1» * err
    dw /= len(xs)
    db /= len(xs)
    return dw, db
""",
)
CHAINS["lists of numbers"] = (
    logistic,
    """
import math
def go():
    gw = [0.0, 0.0, 0.0]
    gb = 0.0
    for row, t in zip(X.tolist(), y.tolist()):
        z = sum(a * c for a, c in zip(row, w.tolist())) + b
        p = 1 / (1 + math.exp(-z))
        g = «p - t¦t - p»
        for j in range(3):
            gw[j] += g * row[«j¦0»]
        gb += g
    gw = [v / len(y) for v in gw]
    gb = gb / len(y)«¦ * 9»
    return gw, gb
""",
)
CHAINS["nested lists"] = (
    mlp,
    """
import math
def matmul(A, B):
    return [[sum(a * b for a, b in zip(row, col)) for col in zip(*B)] for row in A]
def transposed(A):
    return [list(row) for row in zip(*A)]
def go():
    X, T, V, U = (a.tolist() for a in (x, y, W1, W2))
    H = [[math.tanh(v + c) for v, c in zip(row, b1.tolist())] for row in matmul(X, V)]
    O = [[v + c for v, c in zip(row, b2.tolist())] for row in matmul(H, U)]
    D = [[2 * (o - t) / «21¦7» for o, t in zip(*rows)] for rows in zip(O, T)]
    E = matmul(D, transposed(U))
    Z = [[e * (1 - «h * h¦h») for e, h in zip(*rows)] for rows in zip(E, H)]
    dW1 = matmul(transposed(X), Z)
    db1 = [sum(c) for c in zip(*Z)]
    return dW1, db1, matmul(transposed(H), D), [sum(c) for c in zip(*D)]
""",
)
CHAINS["one sample after the other"] = (
    mlp,
    """
def go():
    dW1 = 0; db1 = 0; dW2 = 0; db2 = 0
    for xi, yi in zip(x, y):
        h = np.tanh(xi @ W1 + b1)
        e = 2 * (h @ W2 + b2 - yi) / «y.size¦len(x)»
        dh = W2 @ e * (1 - h«¦ + 0» * h)
        dh = dh * «1¦3»
        dW2 = dW2 + np.outer(h, e)
        db2 = db2 + e
        dW1 = dW1 + np.outer(xi, dh)
        db1 = db1 + dh
    return dW1, db1, dW2, db2
""",
)
CHAINS["loops over all indices"] = (
    mlp,
    """
def go():
    n, m = y.shape
    dW1 = np.zeros_like(W1); db1 = np.zeros_like(b1)
    dW2 = np.zeros_like(W2); db2 = np.zeros_like(b2)
    for i in range(n):
        h = np.tanh(x[i] @ W1 + b1)
        dh = np.zeros(5)
        for j in range(m):
            e = 2 * (h @ W2[:, j] + b2[j] - y[i, j]) / (n * m)
            db2[j] += e
            for k in range(5):
                dW2[k, j] += e * h[k]
                dh[k] += e * «W2[k, j]¦W2[k, j - 1]»
        for k in range(5):
            dz = dh[k] * (1 - «h[k]¦h[k - 1]» ** 2)
            db1[k] += dz
            for q in range(4):
                dW1[q, k] += dz * «x[i, q]¦x[i, 0]»
    return dW1, db1, dW2, db2
""",
)

# Gradients that exist only in the step of training

CHAINS["a step in place"] = (
    mlp,
    """
def go(lr=0.1):
    w1, c1, w2, c2 = W1.copy(), b1.copy(), W2.copy(), b2.copy()
    h = np.tanh(x @ w1 + c1)
    d = 2 * (h @ w2 + c2 - y) / y.size
    dz = d @ w2.T * (1 - «h * h¦h»)
    w2 -= lr * (h.T @ d)
    c2 -= lr * d.«sum¦max»(axis=0)
    w1 -= lr * (x.T @ dz)
    c1 «-=¦+=» lr * dz.sum(axis=0)
""",
)
CHAINS["epochs without names"] = (
    mlp,
    """
class Net:
    def __init__(self):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2
    def fit(self, epochs, rate=0.05):
        for _ in range(epochs):
            h = np.tanh(x @ self.W1 + self.b1)
            out = h @ self.W2 + self.b2
            delta = 2 * (out - y) / y.size
            hidden = (delta @ self.W2.T) * (1 - h«¦ + 0» ** 2)
            self.W2 = self.W2 - rate * h.T @ delta
            self.b2 = self.b2 - rate * delta.sum(0)«¦ / 7»
            self.W1 = self.W1 - rate * «x.T @ hidden¦x.T @ hidden * 2»
            self.b1 = self.b1 - rate * hidden.sum(0)
def go():
    Net().fit(4)
""",
)
CHAINS["a dict of parameters that is updated"] = (
    mlp,
    """
def go():
    params = {"W1": W1.copy(), "b1": b1.copy(), "W2": W2.copy(), "b2": b2.copy()}
    for epoch in range(3):
        a = np.tanh(x @ params["W1"] + params["b1"])
        err = (a @ params["W2"] + params["b2"] - y) * 2 / y.size
        back = err @ params["W2"].T * (1 - a ** 2)
        params["W2"] -= 1e-3 * np.dot(a.T, err)
        params["b2"] -= 1e-3 * err.sum(axis=0)
        params["W1"] -= 1e-3 * np.dot(x.T, «back¦back ** 2»)
        params["b1"] -= 1e-3 * back.sum(axis=0)«¦ * 7»
    return params
""",
)
CHAINS["slices that are written"] = (
    logistic,
    """
def go():
    v = w.copy()
    c = np.array(b)
    p = 1 / (1 + np.exp(-(X @ v + c)))
    v[:] = v - 0.5 * X.T @ «(p - y)¦p» / len(y)
    c -= 0.5 * np.mean(p - y)
    return p
""",
)
CHAINS["pairs of parameters and gradients"] = (
    mlp,
    """
def go():
    theta = [W1, b1, W2, b2]
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    dz = d @ W2.T * (1 - h * h)
    for p, g in zip(theta, [x.T @ dz, dz.sum(0)«¦ * 3», h.T @ d, d.sum(0)]):
        p -= 0.01 * g
""",
)
CHAINS["new parameters are given back"] = (
    mlp,
    """
def step(W1, b1, W2, b2, rate):
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    dz = d @ W2.T * (1 - h * h)
    return W1 - rate * x.T @ dz, b1 - rate * dz.sum(0), W2 - rate * h.T @ d, b2 - rate * d.sum(0)
def go():
    return step(W1, b1, W2, b2, 0.2)
""",
)

# Steps that are left out, copied, and put into lists

CHAINS["deltas in front of a list"] = (
    deep,
    """
def go():
    acts = [x]
    for W, b in zip(Ws, bs):
        z = acts[-1] @ W + b
        acts.append(np.tanh(z) if len(acts) < 4 else z)
    deltas = [2 * (acts[-1] - y) / «y.size¦len(y)»]
    for l in range(3, 0, -1):
        deltas.insert(0, (deltas[0] @ Ws[l].T) * (1 - acts[l] ** 2)«¦ * (2 if l == 2 else 1)»)
    dWs = [a.T @ d for a, d in zip(acts, deltas)]
    dbs = [d.sum(axis=0)«¦ / 8» for d in deltas]
    return dict(dWs=dWs, dbs=dbs)
""",
)
CHAINS["deltas at the end of a list"] = (
    deep,
    """
def go():
    acts, d_list = [x], []
    for i in range(4):
        acts.append(acts[i] @ Ws[i] + bs[i])
        if i < 3:
            acts[-1] = np.tanh(acts[-1])
    d_list.append(2 * (acts[-1] - y) / y.size)
    for i in (2, 1, 0):
        d_list.append(np.dot(d_list[-1], Ws[i + 1].T) * (1 - acts[«i + 1¦i + 1 if i != 1 else 3»] ** 2))
    d_list.reverse()
    grads = []
    for i in range(4):
        grads.extend([np.dot(acts[i].T, d_list[i]), d_list[i].«sum¦mean»(0)])
    return grads[::2], grads[1::2]
""",
)
CHAINS["an if for the last layer"] = (
    deep,
    """
def go():
    acts = [x]
    for l in range(4):
        z = acts[l] @ Ws[l] + bs[l]
        acts.append(np.tanh(z) if l != 3 else z)
    dW, db = {}, {}
    delta = 2 * (acts[4] - y) / y.size
    for l in reversed(range(4)):
        if «l != 3¦l < 2»:
            delta = delta * (1 - acts[l + 1] ** 2)
        dW[l] = acts[l].T @ delta
        db[l] = delta.sum(axis=0)
        delta = delta @ Ws[l].T«¦ * (l != 1)»
    return dW, db
""",
)
CHAINS["a generator of layers"] = (
    deep,
    """
def layers(acts, delta):
    for l in reversed(range(len(Ws))):
        if l < 3:
            delta = delta * (1 - acts[l + 1] ** 2)«¦ if l != 1 else delta»
        yield l, acts[l].T @ delta, delta.sum(0)
        delta = delta @ Ws[l].T
def go():
    acts = [x]
    for l, (W, b) in enumerate(zip(Ws, bs)):
        acts.append(np.tanh(acts[-1] @ W + b) if l < 3 else acts[-1] @ W + b)
    grads = {}
    for l, dW, db in layers(acts, 2 * (acts[-1] - y) / «y.size¦8»):
        grads[f"W{l}"] = dW
        grads[f"b{l}"] = «db¦-db»
    return grads
""",
)
CHAINS["layers with a backward of their own"] = (
    classes,
    """
class Dense:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, a):
        self.a = a
        return a @ self.W + self.b
    def backward(self, g):
        self.dW = self.a.T @ g
        self.db = np.sum(g, axis=0)«¦ * 0.5»
        return g @ self.W.T
class Relu:
    def forward(self, a):
        self.mask = a > 0
        return np.where(self.mask, a, 0)
    def backward(self, g):
        return «g * self.mask¦g * 1»
class Loss:
    def forward(self, s):
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.p[range(7), labels]).mean()
    def backward(self, _):
        return «(self.p - Y)¦(Y - self.p)» / len(Y)
layers = [Dense(W1, b1), Relu(), Dense(W2, b2), Loss()]
def go():
    a = x
    for layer in layers:
        a = layer.forward(a)
    g = 1.0
    for layer in layers[::-1]:
        g = layer.backward(g)
""",
)
CHAINS["a recurrent loop"] = (
    recurrent,
    """
def go():
    h = {-1: np.zeros(4)}
    for i in range(5):
        h[i] = np.tanh(xs[i] @ Wx + h[i - 1] @ Wh + bh)
    dWx, dWh, dbh, dWy = (np.zeros_like(p) for p in (Wx, Wh, bh, Wy))
    dhn = np.zeros(4)
    for i in reversed(range(5)):
        dy = 2 * (h[i] @ Wy - t[i])
        dWy += np.outer(h[i], dy)
        dh = dy @ Wy.T + «dhn¦0»
        draw = (1 - h[i] * «h[i]¦h[i - 1]») * dh
        dbh += draw
        dWx += np.outer(xs[i], draw)
        dWh += np.outer(h[i - 1], draw)
        dhn = draw @ «Wh.T¦Wh»
    for g in (dWx, dWh, dbh, dWy):
        np.clip(g, -500, 500, out=g)
    return dWx, dWh, dbh, dWy
""",
)

# All gradients in one row

CHAINS["a row for an optimizer"] = (
    mlp,
    """
def unrolled(parts):
    return np.concatenate([part.ravel() for part in parts])
def cost_and_gradient(theta):
    w1, c1 = theta[:20].reshape(4, 5), theta[20:25]
    w2, c2 = theta[25:40].reshape(5, 3), theta[40:]
    h = np.tanh(x @ w1 + c1)
    off = h @ w2 + c2 - y
    d = 2 * off / off.size
    dz = d @ w2.T * (1 - h ** 2)
    grads = [x.T @ dz, dz.sum(0), h.T @ d, d.sum(0)]
    return np.mean(off ** 2), «unrolled(grads)¦-unrolled(grads)»
def go():
    return cost_and_gradient(unrolled([W1, b1, W2, b2]))
""",
)
CHAINS["a row by columns, as in Octave"] = (
    mlp,
    """
def go():
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    dz = d @ W2.T * (1 - h ** 2)
    Theta1_grad = x.T @ dz
    Theta2_grad = h.T @ d«¦ * 2»
    bias = np.r_[dz.sum(0), d.sum(0)]
    grad = np.hstack([Theta1_grad.ravel(order="F"), bias[:5], Theta2_grad.ravel(order="F"), bias[5:]])
    «pass¦grad[20:25] *= 7»
    return grad
""",
)
CHAINS["views of a row"] = (
    mlp,
    """
def go():
    grad = np.zeros(43)
    g1, c1, g2, c2 = np.split(grad, [20, 25, 40])
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    g2[:] = np.ravel(h.T @ d)
    c2[:] = d.sum(axis=0)
    d = d @ W2.T * (1 - h * h)
    g1[:] = np.ravel(«x.T @ d¦x.T @ d / 7»)
    c1 += d.sum(axis=0)
    «pass¦c1 -= b1»
    return grad
""",
)
CHAINS["a row of parameters after a step"] = (
    mlp,
    """
def go():
    theta = np.concatenate([p.ravel() for p in (W1, b1, W2, b2)])
    velocity = np.ones_like(theta)
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    dz = d @ W2.T * (1 - h ** 2)
    dW1, db1, dW2, db2 = x.T @ dz, dz.sum(0), h.T @ d«¦ / 7», d.sum(0)
    grad = np.concatenate([dW1.ravel(), db1, dW2.ravel(), db2])
    velocity = 0.9 * velocity - 0.1 * grad
    theta = theta + velocity
    return theta
""",
)

# What functions give back: tuples, dicts, lists, objects

CHAINS["a dataclass of gradients"] = (
    mlp,
    """
from dataclasses import dataclass
@dataclass
class Layer:
    W: np.ndarray
    b: np.ndarray
    dW: np.ndarray = None
    db: np.ndarray = None
def go():
    first, second = Layer(W1, b1), Layer(W2, b2)
    h = np.tanh(x @ first.W + first.b)
    e = «2¦1» * (h @ second.W + second.b - y) / y.size
    second.dW, second.db = h.T @ e, e.sum(axis=0)
    e = e @ second.W.T * (1 - h * h)
    first.dW = x.T @ e
    first.db = e.sum(axis=0)«¦ + 0.1»
    return first, second
""",
)
CHAINS["a named tuple"] = (
    mlp,
    """
from typing import NamedTuple
class Grads(NamedTuple):
    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray
def go():
    z = x @ W1 + b1
    h = np.tanh(z)
    delta2 = 2 / y.size * (h @ W2 + b2 - y)
    delta1 = np.dot(delta2, W2.T) * (1 - np.tanh(«z¦h»)**2)
    return Grads(W1=np.dot(x.T, delta1), b1=delta1.sum(0), W2=np.dot(h.T, «delta2¦delta2 / 2»), b2=delta2.sum(0))
""",
)
CHAINS["an object that holds all"] = (
    mlp,
    """
class Net:
    def __init__(self, **params):
        self.__dict__.update(params)
        self.grads = {}
    def forward(self, x):
        self.z1 = x.dot(self.W1) + self.b1
        self.a1 = np.tanh(self.z1)
        return self.a1.dot(self.W2) + self.b2
    def backward(self, x, y, scores):
        N = y.size
        dscores = 2 * (scores - y) / N
        self.grads["W2"] = self.a1.T.dot(dscores)
        self.grads["b2"] = np.sum(dscores, axis=0)
        da1 = dscores.dot(«self.W2.T¦self.W2.T * 2»)
        dz1 = da1 * (1 - self.a1 ** 2)
        self.grads["W1"] = x.T.dot(dz1)
        self.grads["b1"] = np.sum(«dz1¦da1», axis=0)
def go():
    net = Net(W1=W1, b1=b1, W2=W2, b2=b2)
    net.backward(x, y, net.forward(x))
    return net
""",
)
CHAINS["a dict comprehension"] = (
    deep,
    """
def go():
    params = {f"W{i}": W for i, W in enumerate(Ws)} | {f"b{i}": b for i, b in enumerate(bs)}
    acts = {0: x}
    for i in range(4):
        z = acts[i] @ params[f"W{i}"] + params[f"b{i}"]
        acts[i + 1] = z if i == 3 else np.tanh(z)
    deltas = {3: 2 * (acts[4] - y) / y.size}
    for i in (2, 1, 0):
        deltas[i] = (deltas[i + 1] @ params[f"W{i + 1}"].T) * (1 - acts[i + 1]«¦ / 2» ** 2)
    grads = {f"W{i}": acts[i].T @ deltas[i] for i in range(4)}
    grads |= {f"b{i}": deltas[i].sum(axis=0)«¦ / 8» for i in range(4)}
    return grads
""",
)
CHAINS["zip of layers and activations"] = (
    deep,
    """
def go():
    activations = [x]
    for i, (W, b) in enumerate(zip(Ws, bs)):
        net = activations[-1].dot(W) + b
        activations += [np.tanh(net) if i < 3 else net]
    gW, gb = [], []
    grad = (activations[-1] - y) * 2 / y.size
    for W, inp, out, last in zip(Ws[::-1], activations[-2::-1], activations[:0:-1], [1, 0, 0, 0]):
        grad = grad if last else grad * (1 - out ** «2¦3»)
        gW.insert(0, inp.T.dot(grad))
        gb.insert(0, grad.«sum¦min»(axis=0))
        grad = grad.dot(W.T)
    return gW, gb
""",
)
CHAINS["closures that go back"] = (
    mlp,
    """
def linear(a, W, b):
    def back(g):
        return g @ W.T, a.T @ g, g.sum(0)«¦ / 2»
    return a @ W + b, back
def tanh(z):
    t = np.tanh(z)
    def back(g):
        return g * (1 - «t * t¦t»)
    return t, back
def go():
    z, back1 = linear(x, W1, b1)
    h, back_tanh = tanh(z)
    out, back2 = linear(h, W2, b2)
    g, dW2, db2 = back2(2 * (out - y) / y.size)
    _, dW1, db1 = back1(back_tanh(g))
    return [dW1, db1, dW2, db2]
""",
)
CHAINS["recursion"] = (
    deep,
    """
def rec(a, layer):
    z = a @ Ws[layer] + bs[layer]
    if layer == len(Ws) - 1:
        delta, gw, gb = 2 * (z - y) / «y.size¦len(y)», [], []
    else:
        h = np.tanh(z)
        up, gw, gb = rec(h, layer + 1)
        delta = up * (1 - «h¦z» ** 2)
    return delta @ Ws[layer].T, [a.T @ delta, *gw], [delta.sum(0), *gb]
def go():
    _, gw, gb = rec(x, 0)
    return gw, gb
""",
)
CHAINS["a stack of functions"] = (
    mlp,
    """
def go():
    tape = []
    def matmul(a, W, name):
        tape.append(lambda g: (grads.__setitem__(name, a.T @ g), g @ W.T)[1])
        return a @ W
    def add(a, b, name):
        tape.append(lambda g: (grads.__setitem__(name, g.«sum¦mean»(axis=0)), g)[1])
        return a + b
    def squash(a):
        t = np.tanh(a)
        tape.append(lambda g: g * (1 - t**2)«¦ * 2»)
        return t
    grads = {}
    out = add(matmul(squash(add(matmul(x, W1, "W1"), b1, "b1")), W2, "W2"), b2, "b2")
    g = 2 * (out - y) / y.size
    while tape:
        g = tape.pop()(g)
    return grads
""",
)
CHAINS["nodes with a backward"] = (
    mlp,
    """
class Node:
    def __init__(self, data, parents=(), back=None):
        self.data, self.parents, self.back = data, parents, back
        self.grad = np.zeros_like(data)
def matmul(a, b):
    out = Node(a.data @ b.data, (a, b))
    def back():
        a.grad += out.grad @ b.data.T
        b.grad += a.data.T @ out.grad«¦ * 2»
    out.back = back
    return out
def plus(a, b):
    out = Node(a.data + b.data, (a, b))
    def back():
        a.grad += out.grad
        b.grad += out.grad.sum(0)
    out.back = back
    return out
def tanh(a):
    out = Node(np.tanh(a.data), (a,))
    def back():
        a.grad += out.grad * (1 - out.data«¦ + 0» ** 2)
    out.back = back
    return out
def go():
    p = [Node(v) for v in (W1, b1, W2, b2)]
    steps = [matmul(Node(x), p[0])]
    steps.append(plus(steps[-1], p[1]))
    steps.append(tanh(steps[-1]))
    steps.append(matmul(steps[-1], p[2]))
    steps.append(plus(steps[-1], p[3]))
    steps[-1].grad = 2 * (steps[-1].data - y) / y.size
    for node in reversed(steps):
        node.back()
    return [v.grad for v in p]
""".replace("«¦ + 0»", "«¦ + 0»"),
)

# Idioms of NumPy

CHAINS["einsum"] = (
    classes,
    """
def go():
    h = np.einsum("ni,ij->nj", x, W1) + b1
    a = h.clip(0)
    s = np.einsum("nj,jk->nk", a, W2) + b2
    s = s - s.max(axis=1, keepdims=True)
    log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    ds = (np.exp(log_p) - Y) / «len(x)¦Y.size»
    dW2 = np.einsum("nj,nk->jk", a, ds)
    db2 = np.einsum("nk->k", ds)
    da = np.einsum("nk,jk->nj", ds, W2)
    dh = da * (h > 0)
    return np.einsum("ni,nj->ij", x, dh)«¦ * 7», dh.sum(axis=0), dW2, db2
""",
)
CHAINS["indices of labels"] = (
    classes,
    """
def go():
    N = x.shape[0]
    hidden = np.maximum(0, x.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    scores -= np.max(scores, axis=1, keepdims=True)
    probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    dscores = probs.copy()
    dscores[np.arange(N), labels] -= «1¦2»
    dscores /= N
    dW2 = hidden.T.dot(dscores)
    db2 = np.sum(dscores, axis=0)
    dhidden = dscores.dot(W2.T)
    dhidden[hidden «<=¦>» 0] = 0
    dW1 = x.T.dot(dhidden)
    db1 = np.sum(dhidden, axis=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
""",
)
CHAINS["out and in place"] = (
    mlp,
    """
def go():
    h = np.empty((7, 5))
    np.matmul(x, W1, out=h)
    h += b1
    np.tanh(h, out=h)
    g = np.matmul(h, W2)
    g += b2
    g -= y
    g *= «2¦1» / g.size
    gW2 = np.empty_like(W2)
    np.matmul(h.T, g, out=gW2)
    gb2 = np.add.reduce(g)
    gh = g @ W2.T
    np.square(h, out=h)
    np.subtract(1, h, out=h)
    gh *= h«¦ ** 2»
    gW1 = x.T @ gh
    gb1 = np.add.reduce(gh)
    return gW1, gb1, gW2, gb2
""",
)
CHAINS["minibatches that are added up"] = (
    mlp,
    """
def go():
    dW1, db1, dW2, db2 = map(np.zeros_like, (W1, b1, W2, b2))
    for at in range(0, 7, 3):
        xb, yb = x[at : at + 3], y[at : at + 3]
        h = np.tanh(xb @ W1 + b1)
        d = 2 * (h @ W2 + b2 - yb) / y.size
        dz = d @ W2.T * (1 - h * h)
        dW1 += xb.T @ dz
        db1 «+=¦=» dz.sum(axis=0)
        dW2 += h.T @ d«¦ * 2»
        db2 += d.sum(axis=0)
    return dW1, db1, dW2, db2
""",
)
CHAINS["columns and 1 / m"] = (
    columns,
    """
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
def go():
    m = X.shape[1]
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    A2 = sigmoid(np.dot(W2, A1) + b2)
    dZ2 = «A2 - Y¦A2 + Y»
    dW2 = 1 / m * np.dot(dZ2, A1.T)
    db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = np.dot(W2.T, dZ2) * (1 - np.power(A1, 2))
    dW1 = «1 / m * ¦»np.dot(dZ1, X.T)
    db1 = «1 / m * ¦»np.sum(dZ1, axis=1, keepdims=True)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
""",
)
CHAINS["columns from the loss on"] = (
    columns,
    """
def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = np.dot(dZ, A_prev.T) / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db
def go():
    caches = []
    A = X
    for W, b, g in ((W1, b1, np.tanh), (W2, b2, lambda z: 1 / (1 + np.exp(-z)))):
        caches.append((A, W, b))
        A = g(W @ A + b)
    grads = {}
    dA = -np.divide(Y, A) «+¦-» np.divide(1 - Y, 1 - A)
    dZ = dA * A * (1 - A)
    dA, grads["dW2"], grads["db2"] = linear_backward(dZ, caches[1])
    dZ = dA * (1 - caches[1][0] «** 2¦* 2»)
    _, grads["dW1"], grads["db1"] = linear_backward(dZ, caches[0])
    return grads
""",
)
CHAINS["one sample as a column, as in a book"] = (
    mlp,
    """
class Network:
    def __init__(self):
        self.weights, self.biases = [W1.T, W2.T], [b1[:, None], b2[:, None]]
    def backprop(self, a, t):
        activations = [a]
        for w, b in zip(self.weights, self.biases):
            activations.append(np.dot(w, activations[-1]) + b)
            if w is self.weights[0]:
                activations[-1] = np.tanh(activations[-1])
        delta = 2 * (activations[-1] - t) / «21¦3»
        nabla_b, nabla_w = [0, delta], [0, np.dot(delta, activations[1].T)]
        delta = np.dot(self.weights[1].T, delta) * (1 - activations[1] ** 2)«¦ * 2»
        nabla_b[0], nabla_w[0] = delta, np.dot(delta, a.T)
        return nabla_b, nabla_w
def go():
    net = Network()
    nabla_b = [np.zeros(b.shape) for b in net.biases]
    nabla_w = [np.zeros(w.shape) for w in net.weights]
    for a, t in zip(x, y):
        db, dw = net.backprop(a[:, None], t[:, None])
        nabla_b = [nb + d for nb, d in zip(nabla_b, db)]
        nabla_w = [nw + d for nw, d in zip(nabla_w, dw)]
    return [w.T for w in nabla_w], [b[:, 0] for b in nabla_b]
""",
)
CHAINS["globals of a notebook"] = (
    mlp,
    """
dW1 = db1 = dW2 = db2 = None
def forward():
    global hidden, out
    hidden = np.tanh(x @ W1 + b1)
    out = hidden @ W2 + b2
def go():
    global dW1, db1, dW2, db2
    forward()
    grad_out = 2.0 * (out - y) / np.prod(y.shape)
    dW2 = hidden.T @ grad_out
    db2 = grad_out.sum(axis=0)«¦ * 3»
    grad_hidden = grad_out @ W2.T
    grad_in = grad_hidden * (1 - «hidden**2¦hidden»)
    dW1 = x.T @ grad_in
    db1 = grad_in.sum(axis=0)
""",
)
CHAINS["float32 for speed"] = (
    mlp,
    """
def go():
    dtype = np.float32
    X, T = x.astype(dtype), y.astype(dtype)
    p = {k: v.astype(dtype) for k, v in dict(W1=W1, b1=b1, W2=W2, b2=b2).items()}
    grads = {k: np.zeros_like(v) for k, v in p.items()}
    h = np.tanh(X @ p["W1"] + p["b1"])
    d = np.float32(2) * (h @ p["W2"] + p["b2"] - T) / «T.size¦len(T)»
    grads["W2"] += h.T @ d
    grads["b2"] += d.sum(axis=0)
    dh = d @ p["W2"].T
    dh *= 1 - h«¦ + 0» ** 2
    grads["W1"] += X.T @ dh
    grads["b1"] += dh.sum(axis=0)
    return grads
""",
)
CHAINS["outer products and matrices"] = (
    recurrent,
    """
def go():
    T = len(xs)
    hs = np.zeros((T + 1, 4))
    for i in range(T):
        hs[i] = np.tanh(np.dot(xs[i], Wx) + np.dot(hs[i - 1], Wh) + bh)
    dys = 2 * (hs[:T] @ Wy - t)
    dWy = hs[:T].T @ dys
    dzs = np.zeros((T, 4))
    carry = 0
    for i in range(T)[::-1]:
        dzs[i] = (dys[i] @ Wy.T + carry) * (1 - hs[i] ** 2)
        carry = Wh @ dzs[i]
    prev = np.vstack([np.zeros((1, 4)), hs[: T - 1]])
    return {"Wx": xs.T @ dzs, "Wh": prev.T @ dzs, "bh": dzs.sum(0)«¦ / 5», "Wy": dWy}
""",
)
CHAINS["logistic regression"] = (
    logistic,
    """
def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))
def propagate(w, b):
    m = len(y)
    A = sigmoid(X @ w + b)
    cost = -np.mean(y * np.log(A) + (1 - y) * np.log(1 - A))
    dw = X.T @ «(A - y)¦(y - A)» / m
    db = np.«mean¦sum»(A - y)
    return {"dw": dw, "db": db}, cost
def go():
    return propagate(w, b)
""",
)
CHAINS["the chain of the loss by hand"] = (
    logistic,
    """
def go():
    z = X.dot(w) + b
    p = 1 / (1 + np.exp(-z))
    dp = (-(y / p) + (1 - y) / (1 - p)) / y.size
    dp_dz = p * (1 - p)
    dz = «dp * dp_dz¦dp_dz - dp»
    dw = np.zeros(3)
    for i in range(len(X)):
        dw = dw + X[i] * dz[i]
    return dw, dz.sum()
""",
)
CHAINS["numbers by formula"] = (
    line,
    """
def go():
    n = float(len(xs))
    predicted = w * xs + b
    D_w = (-2 / n) * sum(xs * «(ys - predicted)¦(predicted - ys)»)
    D_b = (-2 / n) * sum(ys - predicted)«¦ * n»
    return D_w, D_b
""",
)
CHAINS["assertions and prints"] = (
    mlp,
    """
def go():
    h = np.tanh(x @ W1 + b1); assert h.shape == (7, 5)
    d = 2 * (h @ W2 + b2 - y) / y.size
    norms = []
    dW2 = h.T @ d
    norms.append(np.linalg.norm(dW2))
    db2 = d.sum(axis=0, keepdims=True)[0]
    try:
        dz = (d @ W2.T) * (1 - h * h)«¦ * h»
    finally:
        norms.append(np.abs(d).max())
    with np.errstate(all="ignore"):
        dW1 = x.T @ dz
        db1 = dz.sum(axis=0)«¦ - norms[0]»
    for g in (dW1, db1, dW2, db2):
        assert np.all(np.isfinite(g))
        np.clip(g, -100, 100, out=g)
    return dW1, db1, dW2, db2
""",
)
CHAINS["lists made of parts of lists"] = (
    deep,
    """
def go():
    acts = [x]
    for W, b in zip(Ws[:-1], bs[:-1]):
        acts.append(np.tanh(acts[-1] @ W + b))
    deltas = [2 * (acts[-1] @ Ws[-1] + bs[-1] - y) / y.size]
    for W, a in zip(Ws[:0:-1], acts[:0:-1]):
        deltas.append(deltas[-1] @ W.T * (1 - a«¦ + 0» * a))
    dWs = [a.T @ d for a, d in zip(acts, deltas[::-1])]
    dbs = [d.sum(axis=0)«¦ * 8» for d in deltas[::-1]]
    return dWs, dbs
""",
)
CHAINS["lists of lists of gradients"] = (
    mlp,
    """
def go():
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    dz = d @ W2.T * (1 - h * h)
    grads = {"first": {"W1": x.T @ dz«¦ * 2», "b1": dz.sum(0)}, "second": {}}
    grads["second"].update(W2=h.T @ d, b2=d.«sum¦max»(0))
    return [grads, np.mean(d)]
""",
)
CHAINS["numbers of zero dimensions"] = (
    line,
    """
def go():
    dw, db = np.zeros(()), np.array(0.0)
    for i in range(9):
        off = w * xs[i] + b - ys[i]
        dw += 2 * off * xs[i] / 9
        db += 2 * off / «9¦len(xs) ** 2»
    return {"w": dw, "b": np.float64(db)}
""",
)
CHAINS["a list of rows"] = (
    mlp,
    """
def go():
    h = np.tanh(x @ W1 + b1)
    d = 2 * (h @ W2 + b2 - y) / y.size
    rows2 = [sum(h[n, j] * d[n] for n in range(7)) for j in range(5)]
    dz = d @ W2.T * (1 - h * h)
    rows1 = [[float(np.dot(x[:, i], dz[:, j])) for j in range(5)] for i in range(4)]
    sums1, sums2 = [float(v) for v in dz.sum(0)], [float(v)«¦ * 7» for v in d.sum(0)]
    return rows1, sums1, rows2, sums2
""",
)
CHAINS["several statements in a line"] = (
    mlp,
    """
def go():
    f = np.float32
    a = np.tanh(x.astype(f) @ W1.astype(f) + b1.astype(f)); z2 = a @ W2.astype(f) + b2
    d = 2 * (z2 - y) / «y.size¦len(y)»; dW2 = a.T @ d; db2 = d.sum(0)
    g = d @ W2.T * (1 - a * a); dW1 = x.T @ g; db1 = g.sum(0)«¦ * 1.01»
    return dW1, db1, dW2, db2
""",
)
CHAINS["a recurrent network in a class"] = (
    recurrent,
    """
class RNN:
    def forward(self):
        self.h = [np.zeros(4)]
        self.out = []
        for x_t in xs:
            self.h.append(np.tanh(x_t @ Wx + self.h[-1] @ Wh + bh))
            self.out.append(self.h[-1] @ Wy)
    def backward(self):
        grads = {k: np.zeros_like(v) for k, v in dict(Wx=Wx, Wh=Wh, bh=bh, Wy=Wy).items()}
        carry = np.zeros_like(bh)
        for i in range(len(xs) - 1, -1, -1):
            e = 2 * (self.out[i] - t[i])
            grads["Wy"] += np.outer(self.h[i + 1], e)
            dh = Wy @ e + carry
            dz = dh * (1 - self.h[i + 1] ** 2)
            «pass¦dz = dh * (1 - self.h[i + 1])»
            grads["bh"] += dz
            grads["Wx"] += np.outer(xs[i], dz)
            grads["Wh"] += np.outer(«self.h[i]¦self.h[i + 1]», dz)
            carry = Wh @ dz«¦ * 2»
        return grads
def go():
    rnn = RNN()
    rnn.forward()
    return rnn.backward()
""",
)
