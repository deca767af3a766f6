"""Attention with masks, for what is padded and for what comes later, and its backward as people write it."""

import numpy as np

rng = np.random.default_rng(24)
B, T, D, H = 3, 4, 5, 3
x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, 2))
lengths = np.array([4, 2, 3])
there = np.arange(T) < lengths[:, None]  # (B, T)
seen = np.tril(np.ones((T, T), bool)) & there[:, None, :]
Wq, Wk, Wv = (rng.normal(size=(D, H)) * 0.6 for _ in range(3))
Wo = rng.normal(size=(H, 2))
LEAVES = ("Wq", "Wk", "Wv", "Wo")


def loss(Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scores = np.where(seen, q @ np.swapaxes(k, 1, 2) / np.sqrt(H), -1e9)
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    out = e / np.sum(e, axis=-1, keepdims=True) @ v @ Wo
    return np.sum(np.square(out - y) * there[..., None]) / np.sum(lengths)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def with_a_large_number():
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(H)
    scores[~seen] = -1e9
    p = softmax(scores)
    ctx = p @ v
    dout = 2 * (ctx @ Wo - y) / lengths.sum()
    dout[~there] = 0
    dWo = np.einsum("bth,bto->ho", ctx, dout)
    dctx = dout @ Wo.T
    dp, dv = dctx @ v.transpose(0, 2, 1), p.transpose(0, 2, 1) @ dctx
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    ds = np.where(seen, ds, 0) / np.sqrt(H)
    dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
    dWq, dWk, dWv = (np.einsum("btd,bth->dh", x, d) for d in (dq, dk, dv))
    return dWq, dWk, dWv, dWo


def query_by_query():
    G_Wq, G_Wk, G_Wv, G_Wo = (np.zeros_like(W) for W in (Wq, Wk, Wv, Wo))
    for b in range(B):
        q, k, v = x[b] @ Wq, x[b] @ Wk, x[b] @ Wv
        G_k, G_v = np.zeros_like(k), np.zeros_like(v)
        for t in range(lengths[b]):
            scores = k[: t + 1] @ q[t] / np.sqrt(H)  # those after it are not looked at
            p = softmax(scores)
            context = p @ v[: t + 1]
            G_out = 2 * (context @ Wo - y[b, t]) / lengths.sum()
            G_Wo += np.outer(context, G_out)
            G_context = Wo @ G_out
            G_p = v[: t + 1] @ G_context
            G_v[: t + 1] += np.outer(p, G_context)
            G_scores = p * (G_p - p @ G_p) / np.sqrt(H)
            G_k[: t + 1] += np.outer(G_scores, q[t])
            G_Wq += np.outer(x[b, t], G_scores @ k[: t + 1])
        G_Wk += x[b].T @ G_k
        G_Wv += x[b].T @ G_v
    return {"Wq": G_Wq, "Wk": G_Wk, "Wv": G_Wv, "Wo": G_Wo}
