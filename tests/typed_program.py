"""A program with types that uses the public API: `mypy --strict` finds nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import tinygrad_steel
from tinygrad_steel import (
    SGD,
    Adam,
    Page,
    Picture,
    Record,
    Tensor,
    check_gradients,
    check_op,
    compare_backprop,
    compile_backprop,
    compile_epoch,
    detect_anomaly,
    draw,
    explore,
    export_onnx,
    formula,
    grad,
    no_grad,
    op,
    random_sample,
    relu,
    sample_of,
    scope,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    vjp_formulas,
    write_backprop,
)
from tinygrad_steel.ops.op import Op

ROWS = np.arange(12.0).reshape(4, 3)
CLASSES = np.array([0, 1, 1, 0])


def parameters() -> tuple[Tensor, Tensor]:
    """A weight and a bias, with names."""
    weight = Tensor(np.full((3, 2), 0.1), requires_grad=True, name="weight")
    bias = Tensor([0.0, 0.0], requires_grad=True)
    bias.name = "bias"
    return weight, bias


def arithmetic(x: Tensor, weight: Tensor) -> None:
    """Operators, indexing and methods give Tensors, beside arrays and numbers too."""
    assert_type(x @ weight, Tensor)
    assert_type(1 + x * 2 / 3 - 4, Tensor)
    assert_type(-(x**2), Tensor)
    assert_type(x > 0, Tensor)
    assert_type(x == 0, Tensor)
    assert_type(x[0], Tensor)
    assert_type(x.T, Tensor)
    assert_type(x.mean(axis=0, keepdims=True), Tensor)
    assert_type(x.reshape(2, 6).transpose(1, 0).dot(np.ones(2)), Tensor)
    assert_type([row for row in x], list[Tensor])
    tensors: list[Tensor] = [ROWS * x, ROWS.T @ x, ROWS - x, np.float64(2) * x, 2 * x]
    assert all(isinstance(t, Tensor) for t in tensors)


def numpy_functions(x: Tensor, weight: Tensor) -> None:
    """What NumPy's stubs leave open is taken for a Tensor; its methods and our functions say so."""
    losses: list[Tensor] = [np.mean(x), np.mean((x @ weight) ** 2), np.mean(x, axis=0), x.sum()]
    losses += [np.exp(x).sum(), np.maximum(x, 0).mean(), np.square(x @ weight).mean()]
    losses += [relu(x), softmax(x), softmax_cross_entropy(x, CLASSES), sigmoid_cross_entropy(x, 0)]
    assert all(isinstance(t, Tensor) for t in losses)


def facts(t: Tensor) -> None:
    """What a Tensor says of itself."""
    assert_type(t.shape, tuple[int, ...])
    assert_type(t.dtype, np.dtype[Any])
    assert_type(t.ndim, int)
    assert_type(t.name, str | None)
    assert_type(t.op, Op | None)
    assert_type(t.inputs, tuple[Any, ...])
    assert_type(t.requires_grad, bool)
    assert_type(t.item(), float)
    assert_type(t.size, int)
    assert t.numpy().shape == t.shape


def train(x: Tensor) -> None:
    """Backward, an optimizer, data changed by hand, a compiled step and a compiled epoch."""
    weight, bias = parameters()
    labels = Tensor(CLASSES, name="labels")
    loss = softmax_cross_entropy(x @ weight + bias, labels).mean()
    optimizer = SGD([weight, bias], learning_rate=0.1)
    optimizer.zero_grad()
    with detect_anomaly():
        loss.backward()
    optimizer.step()
    with no_grad():
        weight -= 0.1 * weight.grad
    weight.data -= 0.1
    bias.requires_grad = False
    bias.requires_grad = True
    first = grad((x @ weight).sum(), weight)
    second: list[Tensor] = grad((x @ weight + bias).sum(), [weight, bias])
    assert first.shape == second[0].shape
    loss = softmax_cross_entropy(x @ weight + bias, labels).mean()
    step = compile_backprop(loss, backend="numpy")
    assert float(step(x.data, CLASSES)) > 0
    epoch = compile_epoch(
        softmax_cross_entropy(x @ weight + bias, labels).mean(),
        [x, labels],
        optimizer=Adam([weight, bias], learning_rate=0.1),
        backend="numpy",
    )
    assert epoch(ROWS, CLASSES) is not None


def look(x: Tensor) -> None:
    """Pictures, formulas, source, reports: what loads when it is first asked for."""
    weight, _ = parameters()
    with scope("layer"):
        output = relu(x @ weight)
    loss = output.mean()
    assert_type(draw(loss), Picture)
    assert_type(draw(loss, view="backward").source, str)
    assert_type(tinygrad_steel.draw(loss, names={"output": output}), Picture)
    assert_type(formula(loss), str)
    assert_type(vjp_formulas(x @ weight), list[str | None])
    source = write_backprop(loss)
    assert_type(source.function()(**source.arguments), Any)
    report = compare_backprop(loss, G_weight=np.zeros((3, 2)))
    print(report)
    run = Record(loss, every=2)
    assert_type(run.keep(0), bool)
    assert_type(explore(loss, chains=report), Page)
    page = explore(loss, {"output": output}, chains={"mine": report}, record=run, theme="dark")
    assert_type(page.html, str)
    assert_type(page.data, dict[str, Any])
    check_gradients(lambda w: (x @ w).tanh().sum(), weight.numpy())


def save(x: Tensor, file: Path) -> None:
    """A model as an ONNX file."""
    export_onnx(softmax(x), file, x)


def own_ops() -> None:
    """An op by a call, and by a decorator."""
    cube = op(
        "typed_cube",
        lambda x: x**3,
        lambda g, y, x: g * 3 * x**2,
        samples=[random_sample((2, 3))],
        elementwise=True,
    )
    assert_type(cube, Op)

    @op("typed_double", samples=[random_sample((2,)), sample_of([1.0, 2.0])])
    def double(x: Any) -> Any:
        return x * 2

    @double.vjp
    def double_vjp(g: Any, y: Any, x: Any) -> Any:
        return g * 2

    assert_type(double_vjp(1, 2, 3), Any)
    for new in (cube, double):
        check_op(new)


def main() -> None:
    """All of it but the file, for which onnx must be there."""
    x = Tensor(ROWS, name="x")
    weight, _ = parameters()
    arithmetic(x, weight)
    numpy_functions(x, weight)
    facts(x.mean())
    train(x)
    look(x)
    own_ops()
