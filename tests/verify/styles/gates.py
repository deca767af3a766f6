"""RNN, LSTM, GRU and attention backwards, as people write them."""

import numpy as np

rng = np.random.default_rng(11)
N, T, D, H = 4, 3, 3, 5
x, y = rng.normal(size=(N, T, D)), rng.normal(size=(N, 2))
Wx, Wh, b = rng.normal(size=(D, 4 * H)) * 0.5, rng.normal(size=(H, 4 * H)) * 0.5, np.zeros(4 * H)
b[:H] = 1
Wy = rng.normal(size=(H, 2)) * 0.5
LEAVES = ("Wx", "Wh", "b", "Wy")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def stacked():
    h, c, caches = np.zeros((N, H)), np.zeros((N, H)), []
    for t in range(T):
        a = x[:, t] @ Wx + h @ Wh + b
        f, i, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
        g = np.tanh(a[:, 3 * H :])
        c_prev, h_prev = c, h
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        caches.append((f, i, o, g, c_prev, h_prev, tc))
    dy = 2 * (h @ Wy - y) / y.size
    dWy = h.T @ dy
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh, dc = dy @ Wy.T, np.zeros((N, H))
    for t in reversed(range(T)):
        f, i, o, g, c_prev, h_prev, tc = caches[t]
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        df, di, dg = dc * c_prev, dc * g, dc * i
        da = np.concatenate(
            [df * f * (1 - f), di * i * (1 - i), do * o * (1 - o), dg * (1 - g**2)], axis=1
        )
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
        dc = dc * f
    return dWx, dWh, db, dWy


def four_matrices():
    xs = [x[:, t] for t in range(T)]
    Wf, Wi, Wo, Wg = np.hsplit(Wx, 4)
    Uf, Ui, Uo, Ug = np.hsplit(Wh, 4)
    bf, bi, bo, bg = np.split(b, 4)
    hs, cs = {-1: np.zeros((N, H))}, {-1: np.zeros((N, H))}
    fs, ins, outs, gs = {}, {}, {}, {}
    for t in range(T):
        fs[t] = sigmoid(xs[t] @ Wf + hs[t - 1] @ Uf + bf)
        ins[t] = sigmoid(xs[t] @ Wi + hs[t - 1] @ Ui + bi)
        outs[t] = sigmoid(xs[t] @ Wo + hs[t - 1] @ Uo + bo)
        gs[t] = np.tanh(xs[t] @ Wg + hs[t - 1] @ Ug + bg)
        cs[t] = fs[t] * cs[t - 1] + ins[t] * gs[t]
        hs[t] = outs[t] * np.tanh(cs[t])
    dout = 2 * (hs[T - 1] @ Wy - y) / (2 * N)
    dWy = hs[T - 1].T @ dout
    dW = {k: np.zeros((D, H)) for k in "fiog"}
    dU = {k: np.zeros((H, H)) for k in "fiog"}
    dB = {k: np.zeros(H) for k in "fiog"}
    dhnext, dcnext = dout @ Wy.T, np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        dh = dhnext
        dzo = dh * np.tanh(cs[t]) * outs[t] * (1 - outs[t])
        dc = dh * outs[t] * (1 - np.tanh(cs[t]) ** 2) + dcnext
        dzf = dc * cs[t - 1] * fs[t] * (1 - fs[t])
        dzi = dc * gs[t] * ins[t] * (1 - ins[t])
        dzg = dc * ins[t] * (1 - gs[t] ** 2)
        dhnext = np.zeros((N, H))
        for k, dz, U in (("f", dzf, Uf), ("i", dzi, Ui), ("o", dzo, Uo), ("g", dzg, Ug)):
            dW[k] += xs[t].T @ dz
            dU[k] += hs[t - 1].T @ dz
            dB[k] += dz.sum(axis=0)
            dhnext += dz @ U.T
        dcnext = dc * fs[t]
    dWx = np.hstack([dW[k] for k in "fiog"])
    dWh = np.hstack([dU[k] for k in "fiog"])
    db = np.hstack([dB[k] for k in "fiog"])
    return {"Wx": dWx, "Wh": dWh, "b": db, "Wy": dWy}


def in_g_notation():
    recurrent, state, auxes = np.zeros([N, H]), np.zeros([N, H]), []
    weight = np.vstack([Wx, Wh])
    for n in range(T):
        ex_inp = np.hstack([x[:, n, :], recurrent])
        affine = np.matmul(ex_inp, weight) + b
        forget, inp, out, block = np.hsplit(affine, 4)
        f_gate, i_gate, o_gate = sigmoid(forget), sigmoid(inp), sigmoid(out)
        new = np.tanh(block)
        before = state
        state = state * f_gate + new * i_gate
        squashed = np.tanh(state)
        recurrent = o_gate * squashed
        auxes.append([ex_inp, f_gate, i_gate, o_gate, new, before, squashed])
    G_output = 2 * (np.matmul(recurrent, Wy) - y) / y.size
    G_Wy = np.matmul(recurrent.transpose(), G_output)
    G_recurrent = np.matmul(G_output, Wy.transpose())
    G_weight, G_bias = np.zeros_like(weight), np.zeros_like(b)
    G_state = np.zeros([N, H])
    for n in reversed(range(0, T)):
        ex_inp, f_gate, i_gate, o_gate, new, before, squashed = auxes[n]
        G_squashed = G_recurrent * o_gate
        G_o_gate = G_recurrent * squashed
        G_state = G_state + (1.0 - squashed * squashed) * G_squashed
        G_i_gate = new * G_state
        G_new = i_gate * G_state
        G_f_gate = before * G_state
        G_state = f_gate * G_state
        G_affine = np.hstack(
            [
                f_gate * (1.0 - f_gate) * G_f_gate,
                i_gate * (1.0 - i_gate) * G_i_gate,
                o_gate * (1.0 - o_gate) * G_o_gate,
                (1.0 - new * new) * G_new,
            ]
        )
        G_weight += np.matmul(ex_inp.transpose(), G_affine)
        G_bias += np.sum(G_affine, axis=0)
        G_ex_inp = np.matmul(G_affine, weight.transpose())
        G_recurrent = G_ex_inp[:, D:]
    return G_weight[:D], G_weight[D:], G_bias, G_Wy
