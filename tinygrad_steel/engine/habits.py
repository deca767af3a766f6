"""What PyTorch calls things, and NumPy's word for it: tables of names, and the errors that say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

ATTRIBUTES = {
    "view": "t.reshape(shape)",
    "unsqueeze": "np.expand_dims(t, axis), or t[:, None]",
    "permute": "t.transpose(axes)",
    "expand": "np.broadcast_to(t, shape)",
    "clone": "t.copy(), which keeps the history",
    "is_leaf": "t.op is None",
    "grad_fn": "t.op",
    "zero_": "t.grad = None for a gradient, t.data[...] = 0 for numbers",
    "add_": "t = t + u, and for a parameter t.data += u.data",
    "sub_": "t = t - u, and for a parameter t.data -= u.data",
    "mul_": "t = t * u, and for a parameter t.data *= u.data",
    "copy_": "t.data = array",
    "requires_grad_": "t.requires_grad = True",
    "retain_grad": "grad(loss, t), which gives the gradient of any result",
    "to": "t.astype(dtype)",
    "float": "t.astype(np.float32)",
    "double": "t.astype(np.float64)",
    "long": "t.astype(np.int64)",
    "dim": "t.ndim",
    "numel": "t.size",
    "gather": "np.take_along_axis(t, indices, axis)",
    "masked_fill": "np.where(mask, number, t)",
}
KEYWORDS = {
    "lr": "write learning_rate=",
    "betas": "write beta1= and beta2=",
    "eps": "write epsilon=",
    "dtype": "the array has it, as in Tensor(np.array(data, dtype))",
    "retain_graph": "the graph stays as long as its Tensors do",
    "create_graph": "the results of grad(loss, parameters) have a history of their own",
}


class Habit:
    """An attribute that is not there: whoever asks for it is told NumPy's word."""

    def __init__(self, name: str, words: str):
        self.name, self.words = name, words

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        raise AttributeError(f"a Tensor has no {self.name}: write {self.words}")


def with_habits(cls: type) -> None:
    """Let a class answer to each of these names."""
    for name, words in ATTRIBUTES.items():
        setattr(cls, name, Habit(name, words))


def refuse_keywords(what: str, names: Iterable[str]) -> None:
    """TypeError for keywords that a function does not know."""
    for name in names:
        words = f": {KEYWORDS[name]}" if name in KEYWORDS else ""
        raise TypeError(f"{what} has no {name}={words}")
