"""Style 1: functions that hand caches on, samples as columns, gradients in a dict, 1/m in dW."""

import numpy as np


def relu(Z):
    return np.maximum(0, Z)


def softmax(Z):
    e = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def init(sizes, seed=3):
    rng = np.random.default_rng(seed)
    params = {}
    for i in range(1, len(sizes)):
        params["W" + str(i)] = rng.normal(size=(sizes[i], sizes[i - 1])) * 0.5
        params["b" + str(i)] = rng.normal(size=(sizes[i], 1)) * 0.1
    return params


def forward(X, params):
    Z1 = params["W1"] @ X + params["b1"]
    A1 = relu(Z1)
    Z2 = params["W2"] @ A1 + params["b2"]
    A2 = np.tanh(Z2)
    Z3 = params["W3"] @ A2 + params["b3"]
    A3 = softmax(Z3)
    cache = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "Z3": Z3, "A3": A3}
    return A3, cache


def cost(A3, Y):
    m = Y.shape[1]
    return -np.sum(Y * np.log(A3)) / m


def relu_backward(dA, Z):
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    return dZ


def linear_backward(dZ, A_prev, W, m):
    dW = np.dot(dZ, A_prev.T) / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    dA_prev = np.dot(W.T, dZ)
    return dA_prev, dW, db


def backward(params, cache, X, Y):
    m = X.shape[1]
    grads = {}
    dZ3 = cache["A3"] - Y
    dA2, grads["dW3"], grads["db3"] = linear_backward(dZ3, cache["A2"], params["W3"], m)
    dZ2 = dA2 * (1 - cache["A2"] ** 2)
    dA1, grads["dW2"], grads["db2"] = linear_backward(dZ2, cache["A1"], params["W2"], m)
    dZ1 = relu_backward(dA1, cache["Z1"])
    dX, grads["dW1"], grads["db1"] = linear_backward(dZ1, X, params["W1"], m)  # noqa: RUF059
    return grads


def backward_flat(params, cache, X, Y):
    """The same written out, without helpers."""
    m = X.shape[1]
    A1, A2, A3 = cache["A1"], cache["A2"], cache["A3"]
    dZ3 = A3 - Y
    dW3 = (1 / m) * dZ3 @ A2.T
    db3 = (1 / m) * np.sum(dZ3, axis=1, keepdims=True)
    dA2 = params["W3"].T @ dZ3
    dZ2 = dA2 * (1 - np.power(A2, 2))
    dW2 = (1 / m) * dZ2 @ A1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dA1 = params["W2"].T @ dZ2
    dZ1 = dA1 * (A1 > 0)
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2, "dW3": dW3, "db3": db3}
    return grads


def data(n=8, seed=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, n)), np.eye(3)[:, rng.permutation(np.arange(n) % 3)]


def main(compare_backprop, Tensor):
    X, Y = data()
    params = init([4, 6, 5, 3])
    cache = forward(X, params)[1]
    t = {name: Tensor(p, requires_grad=True, name=name) for name, p in params.items()}
    A, tensors = forward(X, t)
    return compare_backprop(cost(A, Y), tensors, backprop=lambda: backward(params, cache, X, Y))
