"""An RNN that answers at each step, and its backward as people write it: characters, with columns."""

import numpy as np

rng = np.random.default_rng(22)
T, D, H = 6, 5, 4
inputs, targets = rng.integers(0, D, T), rng.integers(0, D, T)
Wxh, Whh, Why = (rng.normal(size=s) * 0.6 for s in ((H, D), (H, H), (D, H)))
bh, by = rng.normal(size=(H, 1)) * 0.1, np.zeros((D, 1))
LEAVES = ("Wxh", "Whh", "Why", "bh", "by")


def loss(Wxh, Whh, Why, bh, by):
    h, total = np.zeros((H, 1)), 0.0
    for t in range(T):
        x = np.eye(D)[:, inputs[t] : inputs[t] + 1]
        h = np.tanh(Wxh @ x + Whh @ h + bh)
        y = Why @ h + by
        total = total + np.log(np.sum(np.exp(y))) - y[targets[t], 0]
    return total


def by_characters():
    xs, hs, ps = {}, {-1: np.zeros((H, 1))}, {}
    for t in range(len(inputs)):
        xs[t] = np.zeros((D, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        y = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(y) / np.sum(np.exp(y))
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    return dWxh, dWhh, dWhy, dbh, dby


def at_once_where_it_can_be():
    X, Y = np.eye(D)[:, inputs], np.eye(D)[:, targets]
    states = np.zeros((H, T + 1))
    for t in range(T):
        states[:, t + 1] = np.tanh(Wxh @ X[:, t] + Whh @ states[:, t] + bh[:, 0])
    before, after = states[:, :-1], states[:, 1:]
    e = np.exp(Why @ after + by)
    G_y = e / e.sum(axis=0) - Y
    G_after, G_a, back = Why.T @ G_y, np.zeros((H, T)), np.zeros(H)
    for t in range(T - 1, -1, -1):
        G_a[:, t] = (G_after[:, t] + back) * (1 - after[:, t] ** 2)
        back = Whh.T @ G_a[:, t]
    return {
        "Wxh": G_a @ X.T,
        "Whh": G_a @ before.T,
        "Why": G_y @ after.T,
        "bh": G_a.sum(axis=1, keepdims=True),
        "by": G_y.sum(axis=1, keepdims=True),
    }
