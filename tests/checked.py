"""A function on Tensors, checked: its value, derivatives by differences, float32, source and compiled step."""

from __future__ import annotations

import numpy as np
from helpers import close, differences, leaf

from tinygrad_steel import Tensor, compile_backprop, grad, write_backprop


def checked(f, *arrays, rtol=1e-6, second=True, coarse=1e-3):
    """Value, first and second order and float32 of `f`, whose result may be several arrays or numbers."""
    expected = several(f(*arrays))
    xs = [*map(leaf, arrays)]
    ys = several(f(*xs))
    assert len(ys) == len(expected)
    for y, right in zip(ys, expected):
        data = y.data if isinstance(y, Tensor) else np.asarray(y)
        assert data.dtype == np.asarray(right).dtype
        close(data, right, rtol=1e-10, atol=1e-12)
    loss = weighted(ys)
    loss.backward()
    traced = grad(loss, xs)
    for i, (x, g) in enumerate(zip(xs, traced)):
        close(g.data, x.grad, rtol=1e-10, atol=1e-12)
        close(x.grad, differences(moving(f, arrays, i), arrays[i]), rtol=rtol)
    if second:
        check_second_order(f, arrays, rtol)
    check_float32(f, arrays, [x.grad for x in xs], coarse)


def several(result) -> list:
    """What came out, one by one."""
    return [*result] if isinstance(result, list | tuple) else [result]


def weighted(results):
    """The sum of all elements of all results, randomly weighted: a number, of Tensors a Tensor."""
    rng = np.random.default_rng(7)
    weights = [rng.normal(size=np.shape(y)) for y in results]
    terms = [np.sum(y * w) for y, w in zip(results, weights) if np.size(y)]
    return sum(terms[1:], terms[0])


def moving(f, arrays, i):
    """The weighted sum, as a function of array `i` alone."""
    return lambda x: float(weighted(several(f(*arrays[:i], x, *arrays[i + 1 :]))))


def gradient_sum(f, arrays):
    """The gradients of the weighted sum, weighted themselves: a Tensor, and the leaves it came from."""
    xs = [*map(leaf, arrays)]
    return weighted(grad(weighted(several(f(*xs))), xs)), xs


def check_second_order(f, arrays, rtol):
    """The gradients of the gradients are differences of the gradients."""
    number, xs = gradient_sum(f, arrays)
    if not number.requires_grad:  # of a linear function they are constants
        found = [np.zeros(x.shape) for x in xs]
    else:
        found = [g.data for g in grad(number, xs)]
    for i, g in enumerate(found):

        def first_order(x, i=i):
            return gradient_sum(f, [*arrays[:i], x, *arrays[i + 1 :]])[0].item()

        close(g, differences(first_order, arrays[i]), rtol=10 * rtol, atol=1e-7)


def check_float32(f, arrays, exact, coarse):
    """In float32 everything is float32, and the same but for rounding."""
    xs = [leaf(x, np.float32) for x in arrays]
    ys = several(f(*xs))
    plain = several(f(*(x.astype(np.float32) for x in arrays)))
    dtypes = [np.asarray(y).dtype for y in plain]
    assert [y.dtype for y in ys if isinstance(y, Tensor)] == [
        d for d, y in zip(dtypes, ys) if isinstance(y, Tensor)
    ]
    weighted(ys).backward()
    for x, right in zip(xs, exact):
        assert x.grad.dtype == np.float32
        close(x.grad, right, rtol=coarse, atol=coarse)


def drawn(*shape, seed=1):
    """Random numbers of either sign, no two of them equal, none near 0."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    data = (rng.permutation(size) + rng.uniform(0.2, 0.8, size)) * 2 / (size or 1)
    return (data * rng.choice([-1, 1], size)).reshape(shape)


def everywhere(f, *arrays):
    """Written out and compiled, `f` has the gradients that it has here, compiled also for other numbers."""
    names = [f"x{i}" for i in range(len(arrays))]
    xs = [leaf(x, name=name) for x, name in zip(arrays, names)]
    loss = loss_of(f(*xs))
    expected = dict(zip(names, slopes_at(f, arrays)))
    source = write_backprop(loss)
    _, *found = source.function()(**source.arguments)
    for name, g in zip([*source.arguments][-len(names) :], found, strict=True):
        close(g, expected[name], rtol=1e-9, atol=1e-11)
    step = compile_backprop(loss, backend="numpy")
    for data in (
        arrays,
        [x * 0.9 for x in arrays],
        [x[..., ::-1] if x.ndim == 1 else x for x in arrays],
    ):
        for x, new in zip(xs, data):
            x.data = new.copy()
        step()
        for name, g in zip(names, slopes_at(f, data)):
            close(step.gradients[name], g, rtol=1e-9, atol=1e-11)


def loss_of(result):
    """What came out as one number, of the Tensors in it."""
    return weighted([y for y in several(result) if isinstance(y, Tensor)])


def slopes_at(f, arrays):
    """The gradients of `f` as backward() gives them."""
    xs = [*map(leaf, arrays)]
    loss_of(f(*xs)).backward()
    return [x.grad for x in xs]
