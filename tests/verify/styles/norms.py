"""Batch norm and layer norm backwards, as people write them."""

import numpy as np

rng = np.random.default_rng(7)
x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
W1, W2, W3 = (rng.normal(size=s) * 0.6 for s in ((4, 5), (5, 6), (6, 3)))
gamma, beta = rng.normal(size=5), rng.normal(size=5)
scale, shift = rng.normal(size=6), rng.normal(size=6)
LEAVES = ("W1", "gamma", "beta", "W2", "scale", "shift", "W3")
EPS = 1e-5


def batchnorm_forward(u):
    mu, var = u.mean(axis=0), u.var(axis=0)
    xhat = (u - mu) / np.sqrt(var + EPS)
    return gamma * xhat + beta, (u, mu, var, xhat)


def layernorm_forward(v):
    mu, var = v.mean(axis=1, keepdims=True), v.var(axis=1, keepdims=True)
    std = np.sqrt(var + EPS)
    vhat = (v - mu) / std
    return scale * vhat + shift, (vhat, std)


def staged():
    u = x @ W1
    out, (_, mu, var, xhat) = batchnorm_forward(u)
    h = np.maximum(out, 0)
    v = h @ W2
    n, (vhat, std) = layernorm_forward(v)
    dn2 = 2 * (n @ W3 - y) / y.size
    dW3 = n.T @ dn2
    dn = dn2 @ W3.T
    dscale, dshift = (dn * vhat).sum(axis=0), dn.sum(axis=0)
    dvhat = dn * scale
    mean, along = dvhat.mean(axis=1, keepdims=True), (dvhat * vhat).mean(axis=1, keepdims=True)
    dv = (dvhat - mean - vhat * along) / std
    dW2 = h.T @ dv
    dout = (dv @ W2.T) * (out > 0)
    # step by step, as the computational graph has it
    N = len(x)
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    ivar = 1 / np.sqrt(var + EPS)
    divar = np.sum(dxhat * (u - mu), axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1 / (var + EPS) * divar
    dvar = 0.5 * 1 / np.sqrt(var + EPS) * dsqrtvar
    dsq = 1 / N * np.ones_like(u) * dvar
    dxmu2 = 2 * (u - mu) * dsq
    dx1 = dxmu1 + dxmu2
    dmu = -np.sum(dxmu1 + dxmu2, axis=0)
    dx2 = 1 / N * np.ones_like(u) * dmu
    du = dx1 + dx2
    dW1 = x.T @ du
    return dict(W1=dW1, gamma=dgamma, beta=dbeta, W2=dW2, scale=dscale, shift=dshift, W3=dW3)


def compact():
    u = x @ W1
    out, (_, _, var, xhat) = batchnorm_forward(u)
    h = np.maximum(0, out)
    v = h @ W2
    n, (vhat, std) = layernorm_forward(v)
    d = 2 * (n @ W3 - y) / y.size
    dW3 = n.T @ d
    dn = d @ W3.T
    dscale = np.sum(dn * vhat, axis=0)
    dshift = np.sum(dn, axis=0)
    M, N = 6, 9
    dvhat = dn * scale
    dv = (
        M * dvhat
        - np.sum(dvhat, axis=1, keepdims=True)
        - vhat * np.sum(dvhat * vhat, axis=1, keepdims=True)
    ) / (M * std)
    dW2 = h.T @ dv
    dout = dv @ W2.T
    dout[out <= 0] = 0
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    du = (gamma / (N * np.sqrt(var + EPS))) * (N * dout - dbeta - xhat * dgamma)
    dW1 = x.T @ du
    return dict(W1=dW1, gamma=dgamma, beta=dbeta, W2=dW2, scale=dscale, shift=dshift, W3=dW3)


class BatchNorm:
    def forward(self, u):
        self.centered = u - u.mean(axis=0)
        self.std = np.sqrt(np.mean(self.centered**2, axis=0) + EPS)
        self.normal = self.centered / self.std
        return gamma * self.normal + beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.normal * dout, axis=0)
        dnormal = gamma * dout
        dcentered = dnormal / self.std
        dstd = -np.sum((dnormal * self.centered) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dcentered += (2.0 / len(dout)) * self.centered * dvar
        dmu = np.sum(dcentered, axis=0)
        return dcentered - dmu / len(dout)


def as_a_class():
    norm = BatchNorm()
    out = norm.forward(x @ W1)
    h = out * (out > 0)
    n, (vhat, std) = layernorm_forward(h @ W2)
    G = 2 * (n @ W3 - y) / y.size
    G_W3 = n.T @ G
    G_n = G @ W3.T
    G_scale, G_shift = (G_n * vhat).sum(0), G_n.sum(0)
    G_vhat = G_n * scale / std
    G_v = G_vhat - G_vhat.mean(1, keepdims=True)
    G_v -= vhat * np.mean(G_vhat * vhat, 1, keepdims=True)
    G_W2 = h.T @ G_v
    G_out = (G_v @ W2.T) * (out > 0)
    G_W1 = x.T @ norm.backward(G_out)
    return G_W1, norm.dgamma, norm.dbeta, G_W2, G_scale, G_shift, G_W3
