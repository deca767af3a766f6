"""An RNN that answers once, after the last step, and its backward as people write it."""

import numpy as np

rng = np.random.default_rng(21)
N, T, D, H = 5, 4, 3, 6
x = rng.normal(size=(N, T, D))
labels = np.eye(3)[rng.integers(0, 3, N)]
Wx, Wh, Wy = (rng.normal(size=s) * 0.6 for s in ((D, H), (H, H), (H, 3)))
bh, by = rng.normal(size=H) * 0.1, np.zeros(3)
LEAVES = ("Wx", "Wh", "bh", "Wy", "by")


def loss(Wx, Wh, bh, Wy, by):
    h = np.zeros((N, H))
    for t in range(T):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + bh)
    logits = h @ Wy + by
    log_sum = np.log(np.sum(np.exp(logits), axis=1))
    return np.mean(log_sum - np.sum(labels * logits, axis=1))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def with_a_dict_of_states():
    hs = {-1: np.zeros((N, H))}
    for t in range(T):
        hs[t] = np.tanh(np.dot(x[:, t], Wx) + np.dot(hs[t - 1], Wh) + bh)
    p = softmax(np.dot(hs[T - 1], Wy) + by)
    dy = (p - labels) / N
    dWy, dby = np.dot(hs[T - 1].T, dy), np.sum(dy, axis=0)
    dWx, dWh, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(bh)
    dh = np.dot(dy, Wy.T)
    for t in reversed(range(T)):
        draw = (1 - hs[t] * hs[t]) * dh
        dbh += np.sum(draw, axis=0)
        dWx += np.dot(x[:, t].T, draw)
        dWh += np.dot(hs[t - 1].T, draw)
        dh = np.dot(draw, Wh.T)
    return dWx, dWh, dbh, dWy, dby


class Cell:
    def __init__(self):
        self.G_Wx, self.G_Wh, self.G_b = 0 * Wx, 0 * Wh, 0 * bh
        self.cache = []

    def forward(self, x_t, h):
        h_next = np.tanh(x_t @ Wx + h @ Wh + bh)
        self.cache.append((x_t, h, h_next))
        return h_next

    def backward(self, G_h):
        x_t, h, h_next = self.cache.pop()
        G_a = G_h * (1.0 - np.square(h_next))
        self.G_Wx = self.G_Wx + x_t.T @ G_a
        self.G_Wh = self.G_Wh + h.T @ G_a
        self.G_b = self.G_b + G_a.sum(0)
        return G_a @ Wh.T


def with_a_cell():
    cell, h = Cell(), np.zeros((N, H))
    for x_t in x.transpose(1, 0, 2):
        h = cell.forward(x_t, h)
    G_out = softmax(h @ Wy + by)
    G_out[np.arange(N), labels.argmax(1)] -= 1
    G_out /= N
    G_Wy, G_by = h.T @ G_out, G_out.sum(0)
    G_h = G_out @ Wy.T
    while cell.cache:
        G_h = cell.backward(G_h)
    return {"Wx": cell.G_Wx, "Wh": cell.G_Wh, "bh": cell.G_b, "Wy": G_Wy, "by": G_by}
