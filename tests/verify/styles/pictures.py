"""Convolution and pooling backwards, in the ways in which people write them with NumPy."""

import numpy as np

rng = np.random.default_rng(3)
x, y = rng.normal(size=(5, 4, 6, 2)), np.eye(3)[[0, 2, 1, 1, 0]]
K1, b1 = rng.normal(size=(3, 3, 2, 3)) * 0.4, rng.normal(size=3) * 0.1
K2, b2 = rng.normal(size=(3, 3, 3, 4)) * 0.4, rng.normal(size=4) * 0.1
W, b = rng.normal(size=(24, 3)) * 0.4, rng.normal(size=3) * 0.1
LEAVES = ("K1", "b1", "K2", "b2", "W", "b")


def pad(image):
    return np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# The kernel as a matrix, the windows as its rows; average pooling by a reshape


def im2col(image):
    n, h, w, c = image.shape
    wide = pad(image)
    col = np.empty((n, h, w, 3, 3, c))
    for i in range(3):
        for j in range(3):
            col[:, :, :, i, j, :] = wide[:, i : i + h, j : j + w, :]
    return col.reshape(n * h * w, -1)


def col2im(col, shape):
    n, h, w, c = shape
    col = col.reshape(n, h, w, 3, 3, c)
    wide = np.zeros((n, h + 2, w + 2, c))
    for i in range(3):
        for j in range(3):
            wide[:, i : i + h, j : j + w, :] += col[:, :, :, i, j, :]
    return wide[:, 1:-1, 1:-1, :]


def by_columns():
    col1 = im2col(x)
    z1 = (col1 @ K1.reshape(-1, 3) + b1).reshape(5, 4, 6, 3)
    a1 = np.maximum(z1, 0)
    col2 = im2col(a1)
    z2 = (col2 @ K2.reshape(-1, 4) + b2).reshape(5, 4, 6, 4)
    a2 = np.tanh(z2)
    p = a2.reshape(5, 2, 2, 3, 2, 4).mean(axis=(2, 4))
    flat = p.reshape(5, -1)
    d_logits = (softmax(flat @ W + b) - y) / len(y)
    dW, db = flat.T @ d_logits, d_logits.sum(axis=0)
    dp = (d_logits @ W.T).reshape(p.shape)
    da2 = np.repeat(np.repeat(dp, 2, axis=1), 2, axis=2) / 4
    dz2 = (da2 * (1 - a2**2)).reshape(-1, 4)
    dK2, db2 = (col2.T @ dz2).reshape(K2.shape), dz2.sum(axis=0)
    dcol2 = dz2 @ K2.reshape(-1, 4).T
    da1 = col2im(dcol2, a1.shape)
    dz1 = (da1 * (z1 > 0)).reshape(-1, 3)
    dK1, db1 = (col1.T @ dz1).reshape(K1.shape), dz1.sum(axis=0)
    return {"K1": dK1, "b1": db1, "K2": dK2, "b2": db2, "W": dW, "b": db}


# By places of the kernel


def conv(image, kernel, bias):
    wide, (n, h, w, _) = pad(image), image.shape
    out = np.zeros((n, h, w, kernel.shape[3])) + bias
    for i in range(3):
        for j in range(3):
            out += wide[:, i : i + h, j : j + w] @ kernel[i, j]
    return out


def conv_backward(dout, image, kernel):
    wide, (_, h, w, _) = pad(image), image.shape
    dwide, dkernel = np.zeros_like(wide), np.zeros_like(kernel)
    for i in range(3):
        for j in range(3):
            dkernel[i, j] = np.tensordot(
                wide[:, i : i + h, j : j + w], dout, ([0, 1, 2], [0, 1, 2])
            )
            dwide[:, i : i + h, j : j + w] += dout @ kernel[i, j].T
    return dwide[:, 1:-1, 1:-1], dkernel, dout.sum(axis=(0, 1, 2))


def by_places():
    z1 = conv(x, K1, b1)
    a1 = np.maximum(0, z1)
    z2 = conv(a1, K2, b2)
    a2 = np.tanh(z2)
    p = a2.reshape(5, 2, 2, 3, 2, 4).mean((2, 4))
    flat = p.reshape(5, 24)
    probs = softmax(flat @ W + b)
    dscores = probs - y
    dscores /= 5
    grads = {"W": flat.T.dot(dscores), "b": np.sum(dscores, axis=0)}
    dp = dscores.dot(W.T).reshape(p.shape)
    da2 = np.kron(dp, np.ones((1, 2, 2, 1))) / 4
    dz2 = da2 * (1 - a2 * a2)
    da1, grads["K2"], grads["b2"] = conv_backward(dz2, a1, K2)
    dz1 = da1.copy()
    dz1[z1 <= 0] = 0
    _, grads["K1"], grads["b1"] = conv_backward(dz1, x, K1)
    return grads


# By pixels, window by window


def pixels(image, kernel, bias):
    out, wide = np.zeros((*image.shape[:3], kernel.shape[3])), pad(image)
    for n, i, j in np.ndindex(out.shape[:3]):
        out[n, i, j] = np.tensordot(wide[n, i : i + 3, j : j + 3], kernel, 3) + bias
    return out, wide


def by_pixels():
    z1, wide = pixels(x, K1, b1)
    a1 = z1 * (z1 > 0)
    z2, wide_a1 = pixels(a1, K2, b2)
    a2 = np.tanh(z2)
    p = np.zeros((5, 2, 3, 4))
    for i, j in np.ndindex(2, 3):
        p[:, i, j] = a2[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(1, 2))
    flat = p.reshape(5, -1)
    d_logits = (softmax(flat @ W + b) - y) / 5
    dW = flat.T @ d_logits
    db = d_logits.sum(0)
    dp = (d_logits @ W.T).reshape(p.shape)
    da2 = np.zeros_like(a2)
    for i, j in np.ndindex(2, 3):
        da2[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += dp[:, i : i + 1, j : j + 1] / 4
    dz2 = da2 * (1 - a2**2)
    dK2, db2, dwide = np.zeros_like(K2), np.zeros_like(b2), np.zeros_like(wide_a1)
    for n in range(5):
        for i in range(4):
            for j in range(6):
                dK2 += wide_a1[n, i : i + 3, j : j + 3][..., None] * dz2[n, i, j]
                db2 += dz2[n, i, j]
                dwide[n, i : i + 3, j : j + 3] += K2 @ dz2[n, i, j]
    da1 = dwide[:, 1:-1, 1:-1]
    dz1 = da1 * (z1 > 0)
    dK1, db1 = np.zeros_like(K1), np.zeros_like(b1)
    for n, i, j in np.ndindex(5, 4, 6):
        dK1 += wide[n, i : i + 3, j : j + 3][..., None] * dz1[n, i, j]
        db1 += dz1[n, i, j]
    return dK1, db1, dK2, db2, dW, db


# The gradient of the picture as a convolution with the kernel turned by half


def by_turned_kernel():
    z1 = conv(x, K1, b1)
    a1 = np.where(z1 > 0, z1, 0)
    z2 = conv(a1, K2, b2)
    a2 = np.tanh(z2)
    p = (a2[:, ::2, ::2] + a2[:, 1::2, ::2] + a2[:, ::2, 1::2] + a2[:, 1::2, 1::2]) / 4
    flat = p.reshape(5, -1)
    G_logits = (softmax(flat @ W + b) - y) / 5
    G_W = flat.T @ G_logits
    G_b = np.sum(G_logits, axis=0)
    G_p = (G_logits @ W.T).reshape(p.shape)
    G_a2 = np.zeros_like(a2)
    G_a2[:, ::2, ::2] = G_a2[:, 1::2, ::2] = G_p / 4
    G_a2[:, ::2, 1::2] = G_a2[:, 1::2, 1::2] = G_p / 4
    G_z2 = G_a2 * (1 - a2**2)
    turned = np.rot90(K2, 2, axes=(0, 1)).transpose(0, 1, 3, 2)
    G_a1 = conv(G_z2, turned, 0)
    G_K2 = np.einsum("nhwijc,nhwm->ijcm", windows(a1), G_z2)
    G_b2 = G_z2.sum(axis=(0, 1, 2))
    G_z1 = np.where(z1 > 0, G_a1, 0)
    G_K1 = np.einsum("nhwijc,nhwm->ijcm", windows(x), G_z1)
    G_b1 = G_z1.sum(axis=(0, 1, 2))
    return G_K1, G_b1, G_K2, G_b2, G_W, G_b


def windows(image):
    view = np.lib.stride_tricks.sliding_window_view(pad(image), (3, 3), axis=(1, 2))
    return view.transpose(0, 1, 2, 4, 5, 3)


# In the book's notation: flat windows, flat kernels, parts in lists


def in_g_notation():
    def forward(image, kernel, bias):
        mb, xh, xw, xchn = image.shape
        x_flat = windows(image).reshape([mb * xh * xw, 9 * xchn])
        k_flat = kernel.reshape([9 * xchn, -1])
        return np.matmul(x_flat, k_flat).reshape([mb, xh, xw, -1]) + bias, x_flat, k_flat

    def backprop(G_y, x_flat, k_flat, kernel, shape):
        mb, xh, xw, xchn = shape
        G_conv_flat = G_y.reshape([mb * xh * xw, -1])
        G_bias = np.sum(G_conv_flat, axis=0)
        g_conv_k_flat = x_flat.transpose()
        G_k_flat = np.matmul(g_conv_k_flat, G_conv_flat)
        G_kernel = G_k_flat.reshape(kernel.shape)
        G_x_flat = np.matmul(G_conv_flat, k_flat.transpose())
        G_x_flat = G_x_flat.reshape([mb, xh, xw, 3, 3, xchn])
        G_ext = np.zeros([mb, xh + 2, xw + 2, xchn])
        for r in range(xh):
            for c in range(xw):
                G_ext[:, r : r + 3, c : c + 3, :] += G_x_flat[:, r, c]
        return G_kernel, G_bias, G_ext[:, 1 : 1 + xh, 1 : 1 + xw, :]

    y1, x1_flat, k1_flat = forward(x, K1, b1)
    relu_y = np.maximum(y1, 0)
    y2, x2_flat, k2_flat = forward(relu_y, K2, b2)
    tanh_y = np.tanh(y2)
    x3 = tanh_y.reshape([5, 2, 2, 3, 2, 4]).transpose(0, 1, 3, 5, 2, 4).reshape([-1, 4])
    pooled = np.average(x3, 1).reshape([5, -1])
    G_output = (softmax(np.matmul(pooled, W) + b) - y) / 5
    G_weight, G_bias = np.matmul(pooled.transpose(), G_output), np.sum(G_output, axis=0)
    G_input = np.matmul(G_output, W.transpose())
    gy_flat = G_input.flatten() / 4
    gx1 = np.zeros([5 * 2 * 3 * 4, 4])
    for i in range(4):
        gx1[:, i] = gy_flat
    G_pool = gx1.reshape([5, 2, 3, 4, 2, 2]).transpose([0, 1, 4, 2, 5, 3]).reshape([5, 4, 6, 4])
    G_tanh = G_pool * (1 + tanh_y) * (1 - tanh_y)
    G_K2, G_b2, G_relu = backprop(G_tanh, x2_flat, k2_flat, K2, relu_y.shape)
    G_y1 = G_relu * np.sign(relu_y)
    G_K1, G_b1, _ = backprop(G_y1, x1_flat, k1_flat, K1, x.shape)
    return {"K1": G_K1, "b1": G_b1, "K2": G_K2, "b2": G_b2, "W": G_weight, "b": G_bias}
