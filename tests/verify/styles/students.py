"""Chains as students write them: each function gives a loss, and a backprop of their own that is right."""

import numpy as np

from tinygrad_steel import Tensor, relu

rng = np.random.default_rng(0)
CHAINS = {}


def tensors(**arrays):
    return {k: Tensor(v, requires_grad=True, name=k) for k, v in arrays.items()}


def case(f):
    CHAINS[f.__name__] = f
    return f


@case
def logistic():
    X = rng.normal(size=(3, 6))
    Y = (rng.random((1, 6)) > 0.5) * 1.0
    w = rng.normal(size=(3, 1))
    b = 0.3
    t = tensors(w=w)
    tb = Tensor(b, requires_grad=True, name="b")

    def cost(w, b):
        A = 1 / (1 + np.exp(-(w.T @ X + b)))
        return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / 6

    def propagate():
        m = X.shape[1]
        A = 1 / (1 + np.exp(-(np.dot(w.T, X) + b)))
        dZ = A - Y
        dw = 1 / m * np.dot(X, dZ.T)
        db = 1 / m * np.sum(dZ)
        return {"dw": dw, "db": db}

    return cost(t["w"], tb), propagate


@case
def per_sample():
    x = rng.normal(size=(5, 3))
    y = rng.normal(size=(5, 2))
    W = rng.normal(size=(3, 2))
    b = np.zeros(2)
    t = tensors(W=W, b=b)
    loss = np.mean(np.sum(np.square(x @ t["W"] + t["b"] - y), axis=1))

    def back():
        dW = np.zeros_like(W)
        db = np.zeros_like(b)
        for i in range(len(x)):
            e = x[i] @ W + b - y[i]
            g = 2 * e
            dW += np.outer(x[i], g)
            db += g
        dW /= len(x)
        db /= len(x)
        return dW, db

    return loss, back


@case
def loops():
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 2))
    W = rng.normal(size=(3, 2))
    t = tensors(W=W)
    loss = np.sum(np.square(x @ t["W"] - y))

    def back():
        dW = np.zeros((3, 2))
        for n in range(4):
            for j in range(2):
                e = 0.0
                for i in range(3):
                    e += x[n, i] * W[i, j]
                e -= y[n, j]
                for i in range(3):
                    dW[i, j] += 2 * e * x[n, i]
        return dW

    return loss, back


@case
def update_inside():
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 2))
    W1 = rng.normal(size=(3, 5))
    W2 = rng.normal(size=(5, 2))
    t = tensors(W1=W1, W2=W2)
    loss = np.mean(np.square(np.tanh(x @ t["W1"]) @ t["W2"] - y))

    def step():
        h = np.tanh(x @ W1)
        out = h @ W2
        d = 2 * (out - y) / out.size
        gW2 = h.T @ d
        gW1 = x.T @ (d @ W2.T * (1 - h * h))
        W1[...] -= 0.1 * gW1
        W2[...] -= 0.1 * gW2

    return loss, step


@case
def update_loop():
    Ws = [rng.normal(size=(3, 5)), rng.normal(size=(5, 4)), rng.normal(size=(4, 2))]
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 2))
    ts = [Tensor(w, requires_grad=True) for w in Ws]
    h = x
    for w in ts:
        h = np.tanh(h @ w)
    loss = np.sum(np.square(h - y)) / 2

    def step():
        hs = [x]
        for w in Ws:
            hs.append(np.tanh(hs[-1] @ w))
        d = hs[-1] - y
        for i in reversed(range(3)):
            d = d * (1 - hs[i + 1] ** 2)
            dW = hs[i].T @ d
            d = d @ Ws[i].T
            Ws[i] = Ws[i] - 0.1 * dW

    return loss, step


@case
def l2():
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 2))
    W = rng.normal(size=(3, 2))
    t = tensors(W=W)
    loss = np.mean(np.square(x @ t["W"] - y)) + 0.01 * np.sum(t["W"] ** 2)

    def back():
        g = x.T @ (x @ W - y) * 2 / 8
        g += 0.02 * W
        return g

    return loss, back


@case
def rnn():
    T = 4
    xs = rng.normal(size=(T, 2, 3))
    ys = rng.normal(size=(2, 2))
    Wx = rng.normal(size=(3, 5)) * 0.5
    Wh = rng.normal(size=(5, 5)) * 0.5
    Wy = rng.normal(size=(5, 2))
    bh = np.zeros(5)
    t = tensors(Wx=Wx, Wh=Wh, Wy=Wy, bh=bh)
    h = np.zeros((2, 5))
    for k in range(T):
        h = np.tanh(xs[k] @ t["Wx"] + h @ t["Wh"] + t["bh"])
    loss = np.sum(np.square(h @ t["Wy"] - ys)) / 2

    def bptt():
        hs = {-1: np.zeros((2, 5))}
        for k in range(T):
            hs[k] = np.tanh(xs[k] @ Wx + hs[k - 1] @ Wh + bh)
        dy = hs[T - 1] @ Wy - ys
        dWx, dWh, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(bh)
        dWy = hs[T - 1].T @ dy
        dhnext = dy @ Wy.T
        for k in reversed(range(T)):
            dh = dhnext
            draw = (1 - hs[k] * hs[k]) * dh
            dbh += draw.sum(axis=0)
            dWx += xs[k].T @ draw
            dWh += hs[k - 1].T @ draw
            dhnext = draw @ Wh.T
        for d in [dWx, dWh, dWy, dbh]:
            np.clip(d, -500, 500, out=d)
        return dWx, dWh, dWy, dbh

    return loss, bptt


@case
def float32():

    def f(*s):
        return rng.normal(size=s).astype(np.float32)

    x, y, W1, W2 = f(4, 3), f(4, 2), f(3, 5), f(5, 2)
    t = tensors(W1=W1, W2=W2)
    X = Tensor(x, name="x")
    loss = np.mean(np.square(relu(X @ t["W1"]) @ t["W2"] - Tensor(y)))

    def back():
        h = np.maximum(x @ W1, 0)
        d = 2 * (h @ W2 - y) / 8
        dW2 = h.T @ d
        dh = d @ W2.T
        dh[h <= 0] = 0
        dW1 = x.T @ dh
        return [dW1, dW2]

    return loss, back


@case
def tied():
    x = rng.normal(size=(6, 4))
    W = rng.normal(size=(4, 3))
    b = rng.normal(size=3)
    c = rng.normal(size=4)
    t = tensors(W=W, b=b, c=c)
    loss = np.mean(np.square(np.tanh(x @ t["W"] + t["b"]) @ t["W"].T + t["c"] - x))

    def back():
        h = np.tanh(x @ W + b)
        r = h @ W.T + c
        dr = 2 * (r - x) / x.size
        dc = dr.sum(0)
        dW_dec = (h.T @ dr).T
        dh = dr @ W
        dz = dh * (1 - h**2)
        dW_enc = x.T @ dz
        dW = dW_enc + dW_dec
        db = dz.sum(0)
        return dict(W=dW, b=db, c=dc)

    return loss, back


@case
def single_sample():
    x = rng.normal(size=3)
    y = rng.normal(size=2)
    W1 = rng.normal(size=(4, 3))
    b1 = rng.normal(size=4)
    W2 = rng.normal(size=(2, 4))
    b2 = rng.normal(size=2)
    t = tensors(W1=W1, b1=b1, W2=W2, b2=b2)
    loss = np.sum(np.square(t["W2"] @ np.tanh(t["W1"] @ x + t["b1"]) + t["b2"] - y))

    def back():
        h = np.tanh(W1 @ x + b1)
        e = W2 @ h + b2 - y
        dW2 = 2 * np.outer(e, h)
        db2 = 2 * e
        dh = W2.T @ (2 * e)
        dW1 = np.outer(dh * (1 - h * h), x)
        db1 = dh * (1 - h * h)
        return dW1, db1, dW2, db2

    return loss, back


@case
def momentum():
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 2))
    W = rng.normal(size=(3, 2))
    v = np.zeros((3, 2))
    t = tensors(W=W)
    loss = np.mean(np.square(x @ t["W"] - y))

    class M:
        def __init__(s):
            s.W = W.copy()
            s.vW = v

        def step(s):
            s.grads = {}
            s.grads["W"] = x.T @ (2 * (x @ s.W - y) / 8)
            s.vW = 0.9 * s.vW - 0.1 * s.grads["W"]
            s.W = s.W + s.vW
            return s.W

    return loss, M().step


@case
def rows_vs_columns():
    x = rng.normal(size=(6, 3))
    y = rng.normal(size=(6, 2))
    W1 = rng.normal(size=(3, 4))
    W2 = rng.normal(size=(4, 2))
    b1 = rng.normal(size=4)
    t = tensors(W1=W1, W2=W2, b1=b1)
    loss = np.mean(np.square(np.tanh(x @ t["W1"] + t["b1"]) @ t["W2"] - y))
    XT, YT, V1, V2, c1 = x.T.copy(), y.T.copy(), W1.T.copy(), W2.T.copy(), b1[:, None].copy()

    def back():
        A = np.tanh(V1 @ XT + c1)
        out = V2 @ A
        dO = 2 * (out - YT) / out.size
        dV2 = dO @ A.T
        dA = V2.T @ dO
        dZ = dA * (1 - A * A)
        dV1 = dZ @ XT.T
        dc1 = dZ.sum(axis=1, keepdims=True)
        return dV1, dV2, dc1

    return loss, back


@case
def generator_and_recursion():
    Ws = [rng.normal(size=(3, 3)) for _ in range(3)]
    x = rng.normal(size=(4, 3))
    y = rng.normal(size=(4, 3))
    ts = [Tensor(w, requires_grad=True, name=f"W{i}") for i, w in enumerate(Ws)]
    h = x
    for w in ts:
        h = np.tanh(h @ w)
    loss = np.sum(np.square(h - y)) / 2

    def chain():
        def rec(h, i):
            if i == 3:
                return h - y, []
            o = np.tanh(h @ Ws[i])
            d, gs = rec(o, i + 1)
            dz = d * (1 - o * o)
            return dz @ Ws[i].T, [h.T @ dz] + gs

        _, gs = rec(x, 0)
        return gs

    return loss, chain
