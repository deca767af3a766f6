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
