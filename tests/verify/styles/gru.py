"""A GRU and its backward as people write it."""

import numpy as np

rng = np.random.default_rng(23)
N, T, D, H = 4, 3, 3, 5
x, y = rng.normal(size=(N, T, D)), rng.normal(size=(N, 2))
Wr, Wz, Wn = (rng.normal(size=(D, H)) * 0.6 for _ in range(3))
Ur, Uz, Un = (rng.normal(size=(H, H)) * 0.6 for _ in range(3))
br, bz, bn = (rng.normal(size=H) * 0.1 for _ in range(3))
Wy = rng.normal(size=(H, 2))
LEAVES = ("Wr", "Wz", "Wn", "Ur", "Uz", "Un", "br", "bz", "bn", "Wy")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def loss(Wr, Wz, Wn, Ur, Uz, Un, br, bz, bn, Wy):
    h = np.zeros((N, H))
    for t in range(T):
        r = sigmoid(x[:, t] @ Wr + h @ Ur + br)
        z = sigmoid(x[:, t] @ Wz + h @ Uz + bz)
        n = np.tanh(x[:, t] @ Wn + (r * h) @ Un + bn)
        h = (1 - z) * h + z * n
    return np.mean(np.square(h @ Wy - y))


def gate_by_gate():
    h, cache = np.zeros((N, H)), []
    for t in range(T):
        r = sigmoid(x[:, t] @ Wr + h @ Ur + br)
        z = sigmoid(x[:, t] @ Wz + h @ Uz + bz)
        n = np.tanh(x[:, t] @ Wn + (r * h) @ Un + bn)
        cache.append((x[:, t], h, r, z, n))
        h = (1 - z) * h + z * n
    dout = 2 * (h @ Wy - y) / y.size
    dWy = h.T @ dout
    dh = dout @ Wy.T
    grads = {k: np.zeros_like(globals()[k]) for k in LEAVES[:-1]}
    for xt, h_prev, r, z, n in reversed(cache):
        dz = dh * (n - h_prev)
        dn = dh * z
        dh_prev = dh * (1 - z)
        dan = dn * (1 - n**2)
        drh = dan @ Un.T
        dh_prev += drh * r
        dr = drh * h_prev
        dar = dr * r * (1 - r)
        daz = dz * z * (1 - z)
        dh_prev += dar @ Ur.T + daz @ Uz.T
        for k, da, state in (("r", dar, h_prev), ("z", daz, h_prev), ("n", dan, r * h_prev)):
            grads["W" + k] += xt.T @ da
            grads["U" + k] += state.T @ da
            grads["b" + k] += da.sum(axis=0)
        dh = dh_prev
    grads["Wy"] = dWy
    return grads


def in_g_notation():
    state, aux = np.zeros([N, H]), []
    weight, recurrent = np.hstack([Wr, Wz]), np.hstack([Ur, Uz])
    for n in range(T):
        affine = np.matmul(x[:, n, :], weight) + np.matmul(state, recurrent) + np.hstack([br, bz])
        reset, update = np.hsplit(sigmoid(affine), 2)
        new = np.tanh(np.matmul(x[:, n, :], Wn) + np.matmul(reset * state, Un) + bn)
        aux.append([state, reset, update, new])
        state = state + update * (new - state)
    G_output = 2.0 * (np.matmul(state, Wy) - y) / np.prod(y.shape)
    G_Wy = np.matmul(state.transpose(), G_output)
    G_state = np.matmul(G_output, Wy.transpose())
    G_weight, G_recurrent, G_bias = 0.0 * weight, 0.0 * recurrent, np.zeros(2 * H)
    G_Wn, G_Un, G_bn = 0.0 * Wn, 0.0 * Un, 0.0 * bn
    for n in range(T - 1, -1, -1):
        before, reset, update, new = aux[n]
        G_update = (new - before) * G_state
        G_new = update * G_state
        G_new_affine = (1.0 - new) * (1.0 + new) * G_new
        G_Wn += np.matmul(x[:, n, :].transpose(), G_new_affine)
        G_Un += np.matmul((reset * before).transpose(), G_new_affine)
        G_bn += np.sum(G_new_affine, axis=0)
        G_gated = np.matmul(G_new_affine, Un.transpose())
        G_reset = before * G_gated
        G_gates = np.hstack([G_reset * reset * (1.0 - reset), G_update * update * (1.0 - update)])
        G_weight += np.matmul(x[:, n, :].transpose(), G_gates)
        G_recurrent += np.matmul(before.transpose(), G_gates)
        G_bias += np.sum(G_gates, axis=0)
        G_state = (1.0 - update) * G_state + reset * G_gated + np.matmul(G_gates, recurrent.T)
    G_Wr, G_Wz = np.hsplit(G_weight, 2)
    G_Ur, G_Uz = np.hsplit(G_recurrent, 2)
    G_br, G_bz = np.split(G_bias, 2)
    return G_Wr, G_Wz, G_Wn, G_Ur, G_Uz, G_Un, G_br, G_bz, G_bn, G_Wy
