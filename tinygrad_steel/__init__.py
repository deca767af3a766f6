"""tinygrad_steel: reverse-mode autodiff on NumPy, made to be seen and trusted."""

from .compiled.epoch import compile_epoch
from .compiled.step import compile_backprop
from .engine.anomaly import detect_anomaly
from .engine.backward import no_grad
from .engine.broadcast import BroadcastWarning
from .engine.optim import SGD, Adam
from .engine.reads import FrozenNumberWarning
from .engine.tensor import Tensor, grad
from .export import export_onnx
from .ops.op import OPS, arrays, op, values
from .ops.rules import (
    log_softmax,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
)
from .picture.draw import Picture, RendererNotFound, draw
from .picture.scene import scope
from .verify.compare import compare_backprop
from .verify.differences import GradientError, check_gradients, check_op
from .written.source import formula, vjp_formulas, write_backprop

__all__ = [
    "OPS",
    "SGD",
    "Adam",
    "BroadcastWarning",
    "FrozenNumberWarning",
    "GradientError",
    "Picture",
    "RendererNotFound",
    "Tensor",
    "arrays",
    "check_gradients",
    "check_op",
    "compare_backprop",
    "compile_backprop",
    "compile_epoch",
    "detect_anomaly",
    "draw",
    "export_onnx",
    "formula",
    "grad",
    "log_softmax",
    "no_grad",
    "op",
    "relu",
    "scope",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "values",
    "vjp_formulas",
    "write_backprop",
]
