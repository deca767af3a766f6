"""The words of PyTorch and JAX, and what they are here; methods of arrays that a Tensor does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Never

import numpy as np

# Of a Tensor: what is written in place of `t.view(...)` and the like.
ATTRIBUTES = {
    "add": "write t + u",
    "add_": "write t = t + u: nothing is changed in place",
    "at": "write np.where(mask, new, t), or t at indices by np.concatenate",
    "bmm": "write t @ u",
    "clamp": "write t.clip(min, max)",
    "clamp_": "write t = t.clip(min, max): nothing is changed in place",
    "clone": "write t.copy()",
    "compress": "write t[mask], or np.compress(condition, t, axis)",
    "contiguous": "write t, which always is",
    "copy_": "write t = u: nothing is changed in place",
    "cpu": "write t, which is in main memory",
    "cuda": "write t: NumPy computes in main memory",
    "device": "leave it out: NumPy computes in main memory",
    "dim": "write t.ndim",
    "div": "write t / u",
    "div_": "write t = t / u: nothing is changed in place",
    "double": "write t.astype(np.float64)",
    "expand": "write np.broadcast_to(t, shape)",
    "fill": "write t = np.full_like(t, value): nothing is changed in place",
    "fill_": "write t = np.full_like(t, value): nothing is changed in place",
    "float": "write t.astype(np.float32)",
    "gather": "write np.take_along_axis(t, places, axis)",
    "grad_fn": "write t.op",
    "half": "write t.astype(np.float16)",
    "index_select": "write t[indices], or np.take(t, indices, axis)",
    "int": "write t.astype(int)",
    "is_leaf": "write t.op is None",
    "itemset": "write t = np.where(mask, value, t): nothing is changed in place",
    "long": "write t.astype(int)",
    "masked_fill": "write np.where(mask, value, t)",
    "matmul": "write t @ u",
    "mm": "write t @ u",
    "mul": "write t * u",
    "mul_": "write t = t * u: nothing is changed in place",
    "mv": "write t @ u",
    "norm": "write np.linalg.norm(t)",
    "numel": "write t.size",
    "permute": "write t.transpose(axes)",
    "pow": "write t ** n",
    "put": "write t = np.where(mask, value, t): nothing is changed in place",
    "register_hook": "write backward(), then look at t.grad",
    "requires_grad_": "write t.requires_grad = True",
    "resize": "write t = np.resize(t, shape): nothing is changed in place",
    "retain_grad": "write grad(loss, t), which takes results as well",
    "scatter": "write np.where or np.concatenate",
    "sort": "write t = np.sort(t): nothing is changed in place",
    "sub": "write t - u",
    "sub_": "write t = t - u: nothing is changed in place",
    "t": "write t.T",
    "to": "write t.astype(dtype): NumPy computes in main memory",
    "tobytes": "write t.numpy().tobytes()",
    "type": "write t.astype(dtype)",
    "unsqueeze": "write np.expand_dims(t, axis), or t[:, None]",
    "view": "write t.reshape(shape)",
    "zero_": "write t = np.zeros_like(t): nothing is changed in place",
    "zero_grad": "write t.grad = None, or the optimizer's zero_grad()",
}

# Of the package: what is written in place of `tinygrad_steel.tensor(...)` and the like.
NAMES = {
    "Variable": "write Tensor(data, requires_grad=True)",
    "cat": "write np.concatenate([t, u])",
    "clamp": "write np.clip(t, low, high)",
    "enable_grad": "leave it out: history is recorded outside of `with no_grad():`",
    "from_numpy": "write Tensor(array)",
    "functional": "write relu, softmax, softmax_cross_entropy and NumPy's functions",
    "jit": "write compile_backprop(loss)",
    "load": "write np.load, and Tensor(array)",
    "manual_seed": "write rng = np.random.default_rng(seed)",
    "nn": "write functions on Tensors: x @ W + b, relu(z), softmax_cross_entropy(logits, labels)",
    "numpy": "write import numpy as np: its functions take Tensors",
    "optim": "write SGD and Adam, which are here",
    "randn": "write Tensor(rng.normal(size=shape)) with rng = np.random.default_rng(seed)",
    "save": "write np.savez(file, W=W.numpy())",
    "tensor": "write Tensor(data)",
    "vmap": "write an axis for the samples, over which NumPy's functions broadcast",
}

# Of calls: what an argument is called here.
ARGUMENTS = {
    "betas": "write beta1= and beta2=",
    "copy": "leave it out: the data is a copy, as long as NumPy can make one",
    "correction": "write ddof=",
    "create_graph": "write grad(y, xs), whose result can be differentiated again",
    "device": "leave it out: NumPy computes in main memory",
    "dim": "write axis=",
    "dtype": "write Tensor(np.array(data, dtype))",
    "eps": "write epsilon=",
    "keepdim": "write keepdims=",
    "lr": "write learning_rate=",
    "retain_graph": "leave it out: a graph stays as long as its Tensors, and backward() may come again",
    "unbiased": "write ddof=1",
    "weight_decay": "write a term of the loss, as in loss + rate * np.sum(W * W)",
}


class Elsewhere:
    """An attribute that a Tensor does not have: asking for it says what to write instead."""

    def __init__(self, name: str):
        self.name = name
        self.__doc__ = f"Not here: {ATTRIBUTES[name]}."

    def __get__(self, t: Any, owner: type) -> Never:
        words = f"{owner.__name__!r} object has no attribute {self.name!r}: {ATTRIBUTES[self.name]}"
        raise AttributeError(words, name=self.name, obj=owner if t is None else t)


class OtherWords:
    """The words of PyTorch, and methods of arrays, that a Tensor does not have."""

    __slots__ = ()


# Not by __getattr__, with which a class loses Python's short way to all its other attributes.
for name in ATTRIBUTES:
    setattr(OtherWords, name, Elsewhere(name))


def no_name(name: str, package: str) -> AttributeError:
    """What to raise for a name that the package does not have."""
    words = f"module {package!r} has no attribute {name!r}"
    if name in NAMES:
        words += f": {NAMES[name]}"
    elif callable(getattr(np, name, None)):
        words += f": write np.{name}(...), as NumPy's functions take Tensors"
    return AttributeError(words, name=name)


def refuse(call: str, unknown: Mapping[str, Never]) -> None:
    """TypeError for the arguments that a call does not have, and what they are called here."""
    for name in unknown:
        words = f"{call}() has no argument {name}="
        raise TypeError(f"{words}: {ARGUMENTS[name]}" if name in ARGUMENTS else words)
