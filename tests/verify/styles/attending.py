"""Attention of a batch, and an encoder with a decoder, backwards as people write them."""

import numpy as np

rng = np.random.default_rng(13)
x, y = rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 5, 4))
Wq, Wk, Wv = (rng.normal(size=(6, 4)) * 0.5 for _ in range(3))
Wo = rng.normal(size=(4, 4)) * 0.5
LEAVES = ("Wq", "Wk", "Wv", "Wo")


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def in_einsum():
    q, k, v = (np.einsum("btd,dh->bth", x, M) for M in (Wq, Wk, Wv))
    p = softmax(np.einsum("bth,bsh->bts", q, k) / np.sqrt(4))
    ctx = np.einsum("bts,bsh->bth", p, v)
    out = ctx @ Wo
    dout = 2 * (out - y) / y.size
    dWo = np.einsum("bth,btm->hm", ctx, dout)
    dctx = np.einsum("btm,hm->bth", dout, Wo)
    dp = np.einsum("bth,bsh->bts", dctx, v)
    dv = np.einsum("bts,bth->bsh", p, dctx)
    ds = p * (dp - np.sum(dp * p, axis=-1, keepdims=True))
    dq = np.einsum("bts,bsh->bth", ds, k) / np.sqrt(4)
    dk = np.einsum("bts,bth->bsh", ds, q) / np.sqrt(4)
    dWq, dWk, dWv = (np.einsum("btd,bth->dh", x, d) for d in (dq, dk, dv))
    return dWq, dWk, dWv, dWo


def in_matmul():
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scores = q @ k.transpose(0, 2, 1) * 0.5
    p = softmax(scores)
    ctx = p @ v
    G_out = (ctx @ Wo - y) * 2 / y.size
    G_Wo = ctx.reshape(-1, 4).T @ G_out.reshape(-1, 4)
    G_ctx = G_out @ Wo.T
    G_p = G_ctx @ v.transpose(0, 2, 1)
    G_v = p.transpose(0, 2, 1) @ G_ctx
    G_scores = p * G_p
    G_scores -= p * G_scores.sum(axis=-1, keepdims=True)
    G_scores *= 0.5
    G_q = G_scores @ k
    G_k = G_scores.transpose(0, 2, 1) @ q
    flat = x.reshape(-1, 6)
    G_Wq = flat.T @ G_q.reshape(-1, 4)
    G_Wk = flat.T @ G_k.reshape(-1, 4)
    G_Wv = flat.T @ G_v.reshape(-1, 4)
    return {"Wq": G_Wq, "Wk": G_Wk, "Wv": G_Wv, "Wo": G_Wo}


def sample_by_sample():
    dWq, dWk, dWv, dWo = (np.zeros_like(M) for M in (Wq, Wk, Wv, Wo))
    for xi, yi in zip(x, y):
        q, k, v = xi @ Wq, xi @ Wk, xi @ Wv
        p = softmax(q @ k.T / 2)
        ctx = p @ v
        dout = 2 * (ctx @ Wo - yi) / y.size
        dWo += ctx.T @ dout
        dctx = dout @ Wo.T
        dp, dv = dctx @ v.T, p.T @ dctx
        ds = np.zeros_like(p)
        for r in range(5):
            jacobian = np.diag(p[r]) - np.outer(p[r], p[r])
            ds[r] = jacobian @ dp[r]
        ds /= 2
        dWq += xi.T @ (ds @ k)
        dWk += xi.T @ (ds.T @ q)
        dWv += xi.T @ dv
    return dWq, dWk, dWv, dWo
