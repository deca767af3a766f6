"""Max pooling, residual sums, parallel ways and dropout backwards, as people write them."""

import numpy as np

rng = np.random.default_rng(5)
x, y = rng.normal(size=(4, 4, 4, 3)), rng.normal(size=(4, 5))
A, B, C = (rng.normal(size=(3, 3)) * 0.6 for _ in range(3))
D = rng.normal(size=(9, 9)) * 0.4
W = rng.normal(size=(36, 5)) * 0.3
kept = (rng.random((4, 36)) < 0.7).astype(float)
LEAVES = ("A", "B", "C", "D", "W")
RATE1, RATE2 = 0.01, 0.03


def by_argmax():
    a, b, c = x @ A, np.maximum(x @ B, 0), np.tanh(x @ C)
    both = np.concatenate([a, b, c], axis=-1)
    branch = np.maximum(both @ D, 0)
    total = both + branch
    win = total.reshape(4, 2, 2, 2, 2, 9).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
    idx = win.argmax(axis=1)
    m = win[np.arange(len(win)), idx].reshape(4, 36)
    d = m * kept / 0.7
    diff = d @ W - y
    dout = 2 * diff / diff.size
    dW = d.T @ dout + RATE1 * np.sign(W) + RATE2 * W
    dd = dout @ W.T
    dm = dd * kept / 0.7
    dwin = np.zeros_like(win)
    dwin[np.arange(len(win)), idx] = dm.ravel()
    dtotal = dwin.reshape(4, 2, 2, 9, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(total.shape)
    dbranch = dtotal * (branch > 0)
    dD = both.reshape(-1, 9).T @ dbranch.reshape(-1, 9)
    dboth = dtotal + dbranch @ D.T
    da, db, dc = np.split(dboth, 3, axis=-1)
    db = db * (b > 0)
    dc = dc * (1 - c**2)
    flat = x.reshape(-1, 3)
    dA = flat.T @ da.reshape(-1, 3)
    dB = flat.T @ db.reshape(-1, 3)
    dC = flat.T @ dc.reshape(-1, 3)
    return {"A": dA, "B": dB, "C": dC, "D": dD, "W": dW}


def by_mask():
    mask = kept / 0.7
    ways = [x @ A, np.maximum(x @ B, 0), np.tanh(x @ C)]
    both = np.concatenate(ways, axis=3)
    branch = np.maximum(both @ D, 0)
    total = branch + both
    m = total.reshape(4, 2, 2, 2, 2, 9).max(axis=(2, 4))
    dropped = m.reshape(4, -1) * mask
    err = dropped @ W - y
    G_out = err * (2 / err.size)
    G_W = dropped.T @ G_out
    G_W += RATE2 * W
    G_W += RATE1 * np.sign(W)
    G_m = ((G_out @ W.T) * mask).reshape(m.shape)
    winners = total == m.repeat(2, axis=1).repeat(2, axis=2)
    G_total = winners * G_m.repeat(2, axis=1).repeat(2, axis=2)
    G_z = np.where(branch > 0, G_total, 0)
    G_D = np.einsum("nhwc,nhwd->cd", both, G_z)
    G_both = G_z @ D.T
    G_both += G_total
    G_a, G_b, G_c = G_both[..., :3], G_both[..., 3:6], G_both[..., 6:]
    G_A = np.einsum("nhwc,nhwd->cd", x, G_a)
    G_B = np.einsum("nhwc,nhwd->cd", x, G_b * (ways[1] > 0))
    G_C = np.einsum("nhwc,nhwd->cd", x, G_c * (1 - ways[2] ** 2))
    return G_A, G_B, G_C, G_D, G_W


def by_windows():
    outs, start = [x @ A, np.maximum(x @ B, 0), np.tanh(x @ C)], 0
    both = np.concatenate(outs, axis=-1)
    hidden = both @ D
    total = both + np.where(hidden > 0, hidden, 0)
    m = np.zeros((4, 2, 2, 9))
    for i in range(2):
        for j in range(2):
            m[:, i, j] = total[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
    dropped = np.where(kept == 1, m.reshape(4, 36) / 0.7, 0)
    dout = 2 * (dropped @ W - y) / 20
    grads = {"W": dropped.T @ dout + RATE1 * np.sign(W) + RATE2 * W}
    dm = np.where(kept == 1, dout @ W.T / 0.7, 0).reshape(m.shape)
    dtotal = np.zeros_like(total)
    for i in range(2):
        for j in range(2):
            window = total[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            is_max = window == window.max(axis=(1, 2), keepdims=True)
            dtotal[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += is_max * dm[:, i, j][:, None, None]
    dhidden = dtotal * (hidden > 0)
    grads["D"] = np.tensordot(both, dhidden, axes=([0, 1, 2], [0, 1, 2]))
    dboth = dtotal + dhidden @ D.T
    for name, out in zip("ABC", outs):
        piece = dboth[..., start : start + 3]
        start += 3
        if name == "B":
            piece = piece * (out > 0)
        if name == "C":
            piece = piece * (1 - out**2)
        grads[name] = np.tensordot(x, piece, axes=([0, 1, 2], [0, 1, 2]))
    return grads
