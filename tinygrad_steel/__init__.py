"""tinygrad_steel: reverse-mode autodiff on NumPy, made to be seen and trusted."""

from .anomaly import detect_anomaly
from .broadcast import BroadcastWarning
from .check import GradientError, check_gradients, check_op
from .compare import compare_backprop
from .compiled import compile_backprop, compile_epoch
from .draw import Picture, RendererNotFound, draw
from .export import export_onnx
from .graph import no_grad
from .ops import (
    log_softmax,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
)
from .optim import SGD, Adam
from .picture import scope
from .reads import FrozenNumberWarning
from .registry import OPS, arrays, op, values
from .source import formula, vjp_formulas, write_backprop
from .tensor import Tensor, grad

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
