"""The losses of these styles as graphs: with NumPy's functions, and with the library's own ops."""

from __future__ import annotations

import importlib.util
import linecache

import numpy as np
from verify.styles import (
    attending,
    gan_artist,
    gan_judge,
    gates,
    gru,
    masked,
    norms,
    pictures,
    pooling,
    rnn_each,
    rnn_last,
    two_halves,
)

from tinygrad_steel import (
    Tensor,
    avg_pool,
    batch_norm,
    conv2d,
    layer_norm,
    max_pool,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
)


def leaves(module):
    """The parameters of a style, as Tensors."""
    return {k: Tensor(getattr(module, k), requires_grad=True, name=k) for k in module.LEAVES}


def pictures_with_numpy(K1, b1, K2, b2, W, b):
    def convolved(image, kernel):
        _, h, w, _ = image.shape
        wide = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return sum(wide[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3))

    a1 = relu(convolved(Tensor(pictures.x), K1) + b1)
    a2 = np.tanh(convolved(a1, K2) + b2)
    p = np.mean(np.reshape(a2, (5, 2, 2, 3, 2, 4)), axis=(2, 4))
    return np.mean(softmax_cross_entropy(np.reshape(p, (5, 24)) @ W + b, pictures.y))


def pictures_with_ops(K1, b1, K2, b2, W, b):
    a1 = relu(conv2d(Tensor(pictures.x), K1) + b1)
    a2 = np.tanh(conv2d(a1, K2) + b2)
    return np.mean(softmax_cross_entropy(np.reshape(avg_pool(a2), (5, 24)) @ W + b, pictures.y))


def pooling_loss(pool, A, B, C, D, W):
    x = Tensor(pooling.x)
    both = np.concatenate([x @ A, relu(x @ B), np.tanh(x @ C)], axis=-1)
    total = both + relu(both @ D)
    dropped = np.reshape(pool(total), (4, 36)) * pooling.kept / 0.7
    decay = 0.01 * np.sum(np.abs(W)) + 0.03 * np.sum(np.square(W)) / 2
    return np.mean(np.square(dropped @ W - pooling.y)) + decay


def pooling_with_numpy(**leaves):
    return pooling_loss(lambda t: np.max(np.reshape(t, (4, 2, 2, 2, 2, 9)), axis=(2, 4)), **leaves)


def pooling_with_ops(**leaves):
    return pooling_loss(max_pool, **leaves)


def norms_with_numpy(W1, gamma, beta, W2, scale, shift, W3):
    u = norms.x @ W1
    out = gamma * (u - np.mean(u, axis=0)) / np.sqrt(np.var(u, axis=0) + norms.EPS) + beta
    v = relu(out) @ W2
    centered = v - np.mean(v, axis=1, keepdims=True)
    std = np.sqrt(np.mean(np.square(centered), axis=1, keepdims=True) + norms.EPS)
    return np.mean(np.square((scale * (centered / std) + shift) @ W3 - norms.y))


def norms_with_ops(W1, gamma, beta, W2, scale, shift, W3):
    h = relu(batch_norm(norms.x @ W1, gamma, beta))
    return np.mean(np.square(layer_norm(h @ W2, scale, shift) @ W3 - norms.y))


def gates_with_numpy(Wx, Wh, b, Wy):
    H, h, c = gates.H, np.zeros((gates.N, gates.H)), np.zeros((gates.N, gates.H))
    for t in range(gates.T):
        a = gates.x[:, t] @ Wx + h @ Wh + b
        f, i, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
        c = f * c + i * np.tanh(a[:, 3 * H :])
        h = o * np.tanh(c)
    return np.mean(np.square(h @ Wy - gates.y))


def gates_by_split(Wx, Wh, b, Wy):
    h, c = np.zeros((gates.N, gates.H)), np.zeros((gates.N, gates.H))
    for t in range(gates.T):
        f, i, o, g = np.split(gates.x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return np.mean(np.square(h @ Wy - gates.y))


def attending_with_numpy(Wq, Wk, Wv, Wo):
    q, k, v = attending.x @ Wq, attending.x @ Wk, attending.x @ Wv
    p = softmax(q @ np.swapaxes(k, 1, 2) / 2.0)
    return np.mean(np.square(p @ v @ Wo - attending.y))


def attending_in_einsum(Wq, Wk, Wv, Wo):
    q, k, v = (np.einsum("btd,dh->bth", Tensor(attending.x), W) for W in (Wq, Wk, Wv))
    p = softmax(np.einsum("bth,bsh->bts", q, k) / np.sqrt(4.0))
    return np.mean(np.square(np.einsum("bts,bsh->bth", p, v) @ Wo - attending.y))


TWINS = {
    pictures: (pictures_with_numpy, pictures_with_ops),
    pooling: (pooling_with_numpy, pooling_with_ops),
    norms: (norms_with_numpy, norms_with_ops),
    gates: (gates_with_numpy, gates_by_split),
    attending: (attending_with_numpy, attending_in_einsum),
    **{m: (m.loss,) for m in (rnn_last, rnn_each, gru, masked, two_halves, gan_judge, gan_artist)},
}
STYLES = {
    pictures: ("by_columns", "by_places", "by_pixels", "by_turned_kernel", "in_g_notation"),
    pooling: ("by_argmax", "by_mask", "by_windows"),
    norms: ("staged", "compact", "as_a_class"),
    gates: ("stacked", "four_matrices", "in_g_notation"),
    attending: ("in_einsum", "in_matmul", "sample_by_sample"),
    rnn_last: ("with_a_dict_of_states", "with_a_cell"),
    rnn_each: ("by_characters", "at_once_where_it_can_be"),
    gru: ("gate_by_gate", "in_g_notation"),
    masked: ("with_a_large_number", "query_by_query"),
    two_halves: ("in_one_function", "with_two_layers"),
    gan_judge: ("one_half_after_the_other", "both_halves_stacked"),
    gan_artist: ("through_the_judge", "line_by_line"),
}


def loaded(module, source, folder):
    """A style whose source may have been changed."""
    file = folder / f"{module.__name__.split('.')[-1]}.py"
    file.write_text(source, encoding="utf-8")
    linecache.checkcache(str(file))
    spec = importlib.util.spec_from_file_location(f"layers_{file.stem}", file)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
