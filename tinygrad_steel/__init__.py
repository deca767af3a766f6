"""tinygrad_steel: reverse-mode autodiff on NumPy, made to be seen and trusted."""

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
    return sorted({*globals(), *__all__})
