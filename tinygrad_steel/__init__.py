"""Reverse-mode autodiff on NumPy, made to be seen and trusted.

Ten things you can do with it, and the names for each. `help(tinygrad_steel.draw)` explains a name.

>>> import numpy as np
>>> from tinygrad_steel import *
>>> x, y = Tensor([[0.5], [2.0]], name="x"), Tensor([[1.0], [3.0]], name="y")
>>> w = Tensor([[1.0]], requires_grad=True, name="w")

1. Compute: Tensor takes operators and NumPy's functions. Beyond NumPy: relu, sigmoid, softmax,
   log_softmax, logsumexp, softmax_cross_entropy, sigmoid_cross_entropy, conv2d, max_pool, avg_pool,
   batch_norm, layer_norm, normalize, update_running, dropout, noise.
   >>> loss = np.mean(np.square(x @ w - y))

2. Differentiate: loss.backward() adds to w.grad; grad, value_and_grad, jacobian, hessian, hvp.
   Within no_grad nothing is recorded; detect_anomaly finds where a NaN begins.
   >>> grad(loss, w)
   Tensor([[-2.25]], op=matmul, requires_grad=True)

3. Train: SGD and Adam, or an Optimizer of your own.
   >>> optimizer = SGD([w], learning_rate=0.1)
   >>> loss.backward(), optimizer.step(), w.numpy()
   (None, None, array([[1.225]]))

4. Read the backprop: write_backprop writes all of it as NumPy source, vjp_formulas one step of it,
   formula the forward.
   >>> formula(loss), vjp_formulas(x @ w)
   ('mean(square(x @ w - y))', [None, 'x.T @ g'])

5. Check a backprop of your own: compare_backprop says which step is the first wrong one, and why.
   For tests and graders: assert_backprop, grade_backprop, GradientError.
   >>> loss, by_hand = np.mean(np.square(x @ w - y)), x.numpy().T @ (y - x @ w).numpy()
   >>> compare_backprop(loss, G_w=by_hand).first_wrong.reason
   'the sign is wrong'

6. Check gradients by finite differences: check_gradients; check_op for an op.
   >>> check_gradients(lambda w: np.mean(np.square(x @ w - y)), w)

7. See it: draw makes a Picture, explore a Page to step through (with the Record of a training);
   scope groups what is computed within it.
   >>> picture = draw(loss, view="backward")

8. Run it faster: compile_backprop for a step of training, compile_epoch for many.
   >>> step = compile_backprop(loss, optimizer=optimizer, backend="numpy")

9. Use it elsewhere: export_onnx.
   >>> export_onnx(x @ w, "model.onnx", x)  # doctest: +SKIP

10. Add an op: op declares it, random_sample and sample_of make inputs to check it; OPS has all ops.
   >>> check_op(OPS["logsumexp"])

BroadcastWarning and FrozenNumberWarning point out likely mistakes. RendererNotFound says how to
draw without Graphviz. `arrays` and `values` are old names of random_sample and sample_of.

Read on: README.md, and examples/tutorials/: 1_from_the_book.ipynb to 6_fast.ipynb, reference.md
(every op, its gradient and its conventions), numpy.md (every function of NumPy).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .engine.anomaly import detect_anomaly
from .engine.broadcast import BroadcastWarning
from .engine.gradients import grad
from .engine.habits import no_name
from .engine.optim import SGD, Adam, Optimizer
from .engine.reads import FrozenNumberWarning
from .engine.recording import no_grad
from .engine.tensor import Tensor
from .ops import (
    avg_pool,
    batch_norm,
    conv2d,
    dropout,
    layer_norm,
    log_softmax,
    logsumexp,
    max_pool,
    noise,
    normalize,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    update_running,
)
from .ops.declare import op
from .ops.op import OPS
from .ops.samples import arrays, random_sample, sample_of, values

if TYPE_CHECKING:
    from .compiled.epoch import compile_epoch
    from .compiled.step import compile_backprop
    from .engine.derivatives import hessian, hvp, jacobian, value_and_grad
    from .export import export_onnx
    from .picture.draw import draw
    from .picture.page.explore import Page, explore
    from .picture.page.record import Record
    from .picture.programs import RendererNotFound
    from .picture.render import Picture
    from .picture.scope import scope
    from .program.formulas import formula, vjp_formulas
    from .verify.check_op import check_op
    from .verify.compare import compare_backprop
    from .verify.differences import check_gradients
    from .verify.errors import GradientError
    from .verify.grading import assert_backprop, grade_backprop
    from .written.source import write_backprop

__version__ = "0.2.0"

# These load when one of their names is first asked for: who trains a model does not wait for them.
LATER = {
    "GradientError": "verify.errors",
    "Page": "picture.page.explore",
    "Picture": "picture.render",
    "Record": "picture.page.record",
    "RendererNotFound": "picture.programs",
    "assert_backprop": "verify.grading",
    "check_gradients": "verify.differences",
    "check_op": "verify.check_op",
    "compare_backprop": "verify.compare",
    "compile_backprop": "compiled.step",
    "compile_epoch": "compiled.epoch",
    "draw": "picture.draw",
    "explore": "picture.page.explore",
    "export_onnx": "export",
    "formula": "program.formulas",
    "grade_backprop": "verify.grading",
    "hessian": "engine.derivatives",
    "hvp": "engine.derivatives",
    "jacobian": "engine.derivatives",
    "scope": "picture.scope",
    "value_and_grad": "engine.derivatives",
    "vjp_formulas": "program.formulas",
    "write_backprop": "written.source",
}

__all__ = [
    "OPS",
    "SGD",
    "Adam",
    "BroadcastWarning",
    "FrozenNumberWarning",
    "GradientError",
    "Optimizer",
    "Page",
    "Picture",
    "Record",
    "RendererNotFound",
    "Tensor",
    "arrays",
    "assert_backprop",
    "avg_pool",
    "batch_norm",
    "check_gradients",
    "check_op",
    "compare_backprop",
    "compile_backprop",
    "compile_epoch",
    "conv2d",
    "detect_anomaly",
    "draw",
    "dropout",
    "explore",
    "export_onnx",
    "formula",
    "grad",
    "grade_backprop",
    "hessian",
    "hvp",
    "jacobian",
    "layer_norm",
    "log_softmax",
    "logsumexp",
    "max_pool",
    "no_grad",
    "noise",
    "normalize",
    "op",
    "random_sample",
    "relu",
    "sample_of",
    "scope",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "update_running",
    "value_and_grad",
    "values",
    "vjp_formulas",
    "write_backprop",
]


def __getattr__(name: str) -> Any:
    """A public name of a module that is loaded for it."""
    if name not in LATER:
        raise no_name(name, __name__)
    value = getattr(importlib.import_module(f".{LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names; what Python itself has of a module besides."""
    own = (name for name in globals() if name.startswith("__"))
    return sorted({*own, *__all__})
