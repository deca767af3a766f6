"""An encoder and a decoder that goes on from its last state, and their backward as people write it."""

import numpy as np

rng = np.random.default_rng(25)
N, S, T, D, V, H = 4, 3, 3, 3, 4, 5
x = rng.normal(size=(N, S, D))
words = rng.integers(0, V, (N, T + 1))  # each is given to the decoder, and the next is to be found
E = rng.normal(size=(V, D))
We, Ue, Wd, Ud = (rng.normal(size=s) * 0.6 for s in ((D, H), (H, H), (D, H), (H, H)))
be, bd, bo = rng.normal(size=H) * 0.1, rng.normal(size=H) * 0.1, np.zeros(V)
Wo = rng.normal(size=(H, V))
LEAVES = ("E", "We", "Ue", "be", "Wd", "Ud", "bd", "Wo", "bo")


def loss(E, We, Ue, be, Wd, Ud, bd, Wo, bo):
    h, total = np.zeros((N, H)), 0.0
    for t in range(S):
        h = np.tanh(x[:, t] @ We + h @ Ue + be)
    for t in range(T):
        h = np.tanh(E[words[:, t]] @ Wd + h @ Ud + bd)
        logits = h @ Wo + bo
        right = np.sum(logits * np.eye(V)[words[:, t + 1]], axis=1)
        total = total + np.sum(np.log(np.sum(np.exp(logits), axis=1)) - right)
    return total / (N * T)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def in_one_function():
    hs = [np.zeros((N, H))]
    for t in range(S):
        hs.append(np.tanh(x[:, t] @ We + hs[-1] @ Ue + be))
    ss, ps = [hs[-1]], []
    for t in range(T):
        ss.append(np.tanh(E[words[:, t]] @ Wd + ss[-1] @ Ud + bd))
        ps.append(softmax(ss[-1] @ Wo + bo))
    grads = {k: np.zeros_like(globals()[k]) for k in LEAVES}
    ds = np.zeros((N, H))
    for t in reversed(range(T)):
        dlogits = ps[t].copy()
        dlogits[np.arange(N), words[:, t + 1]] -= 1
        dlogits /= N * T
        grads["Wo"] += ss[t + 1].T @ dlogits
        grads["bo"] += dlogits.sum(axis=0)
        ds += dlogits @ Wo.T
        da = ds * (1 - ss[t + 1] ** 2)
        grads["Wd"] += E[words[:, t]].T @ da
        grads["Ud"] += ss[t].T @ da
        grads["bd"] += da.sum(axis=0)
        np.add.at(grads["E"], words[:, t], da @ Wd.T)
        ds = da @ Ud.T
    dh = ds
    for t in reversed(range(S)):
        da = dh * (1 - hs[t + 1] ** 2)
        grads["We"] += x[:, t].T @ da
        grads["Ue"] += hs[t].T @ da
        grads["be"] += da.sum(axis=0)
        dh = da @ Ue.T
    return grads


class Recurrent:
    """One for each half."""

    def __init__(self, W, U, b):
        self.params = W, U, b
        self.grads = [np.zeros_like(p) for p in (W, U, b)]

    def forward(self, xs, h):
        self.xs, self.hs = xs, [h]
        W, U, b = self.params
        for x_t in xs:
            self.hs.append(np.tanh(x_t @ W + self.hs[-1] @ U + b))
        return np.stack(self.hs[1:])

    def backward(self, G_hs, G_last):
        W, U, _ = self.params
        G_xs, G_h = [], G_last
        for t in range(len(self.xs) - 1, -1, -1):
            G_a = (G_h + G_hs[t]) * (1 - self.hs[t + 1] ** 2)
            self.grads[0] += self.xs[t].T @ G_a
            self.grads[1] += self.hs[t].T @ G_a
            self.grads[2] += G_a.sum(axis=0)
            G_xs.insert(0, G_a @ W.T)
            G_h = G_a @ U.T
        return np.stack(G_xs), G_h


def with_two_layers():
    encoder, decoder = Recurrent(We, Ue, be), Recurrent(Wd, Ud, bd)
    last = encoder.forward(x.transpose(1, 0, 2), np.zeros((N, H)))[-1]
    given, wanted = words[:, :-1].T, words[:, 1:].T
    states = decoder.forward(E[given], last).reshape(T * N, H)
    p = softmax(states @ Wo + bo)
    G_logits = (p - np.eye(V)[wanted.reshape(-1)]) / (T * N)
    G_Wo, G_bo = states.T @ G_logits, G_logits.sum(axis=0)
    G_states = (G_logits @ Wo.T).reshape(T, N, H)
    G_given, G_last = decoder.backward(G_states, np.zeros((N, H)))
    G_E = np.zeros_like(E)
    np.add.at(G_E, given, G_given)
    encoder.backward(np.zeros((S, N, H)), G_last)
    return (G_E, *encoder.grads, *decoder.grads, G_Wo, G_bo)
