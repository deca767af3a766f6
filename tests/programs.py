"""Random programs in NumPy terms, and their losses and gradients against an independent oracle, HIPS autograd."""

import argparse
import math
import random
import re
import sys
import time
import warnings
from collections import Counter

import numpy as np

from tinygrad_steel import Tensor, grad, ops

# Templates of a line, by family, two spaces apart. A word in braces is a method of Program, which picks an operand or
# makes an argument for the operand picked first, {main}; within a line it always stands for the same.
STEPS = {
    "add": "{a} + {b}  {num} + {a}  {a} + {a}  np.add({b}, {a})",
    "subtract": "{a} - {b}  {num} - {a}  np.subtract({b}, {a})",
    "multiply": "{a} * {b}  {num} * {a}  {a} * {a}  np.multiply({b}, {a})",
    "divide": "{a} / {b}  np.divide({a}, {b})",
    "negative": "-{a}  np.negative({a})",
    "power": "{pos} ** {num}  {pos} ** {b}  np.power({pos}, {b})  1.3 ** {near}  {a} ** 2  {near} ** 3",
    **{name: f"np.{name}({{near}})" for name in "exp expm1 sin cos sinh cosh tanh arctan square".split()},
    **{name: f"np.{name}({{pos}})" for name in "log log2 log10 log1p sqrt reciprocal".split()},
    "logaddexp": "np.logaddexp({a}, {b})",
    "abs": "np.abs({a})  abs({a})",
    "maximum": "np.maximum({a}, {b})  np.maximum({b}, {a})",
    "minimum": "np.minimum({a}, {b})  np.minimum({b}, {a})",
    "clip": "np.clip({a}, {num} - 0.5, {num} + 0.5)  {a}.clip({num} - 0.5, {num} + 0.5)  np.clip({a}, {num} - 0.5, None)",
    "where": "np.where({a} > {num}, {a}, {b})  np.where({a} <= {num}, {b}, 0.5)  np.where({mask}, {a}, {same})",
    "relu": "relu({a})",
    "sigmoid": "sigmoid({near})  1 / (1 + np.exp(-{near}))",
    "softmax": "softmax({near}, axis={axis})  np.exp({near}) / np.sum(np.exp({near}), axis={axis}, keepdims=True)",
    "log_softmax": "log_softmax({near}, axis={axis})  {near} - np.log(np.exp({near}).sum(axis={axis}, keepdims=True))",
    "logsumexp": "logsumexp({near}, axis={axis})  np.log(np.sum(np.exp({near}), axis={axis}))",
    **{name: f"np.{name}({{a}}, {{axes}})  {{a}}.{name}({{axes}})" for name in "sum mean max min prod".split()},
    **{name: f"np.{name}({{a}}, {{axes}}, ddof={{ddof}})  {{a}}.{name}({{axes}})" for name in ("var", "std")},
    "norm": "np.linalg.norm({a})  np.linalg.norm({v}, axis={axis})",
    "cumsum": "np.cumsum({v}, axis={axis})",
    "matmul": "{v} @ {right}  {left} @ {v}  np.matmul({v}, {right})",
    "dot": "np.dot({v}, {vector})  np.dot({vector}, {vector})  np.outer({v}, {vector})",
    "einsum": "np.einsum({letters})",
    "reshape": "np.reshape({a}, {shape})  {a}.reshape({shape})  np.ravel({a})",
    "transpose": "np.transpose({a})  {v}.T  np.transpose({v}, {order})  np.moveaxis({v}, {axis}, {other})",
    "swapaxes": "np.swapaxes({v}, {axis}, {other})  {v}.swapaxes({axis}, {other})",
    "expand_dims": "np.expand_dims({a}, {new})",
    "squeeze": "np.squeeze({a}[None])  np.squeeze(np.sum({v}, axis={axis}, keepdims=True), {axis})",
    "broadcast_to": "np.broadcast_to({a}, {wide})",
    "flip": "np.flip({v}, {axis})  np.flip({a})",
    "index by ints": "{v}[{ints}]",
    "index by slices": "{v}[{slices}]",
    "index by arrays": "{v}[{take}]  {v}[{take}, ...]  {v}[..., {last}]  {v}[{pairs}]  {v}[{mask}]",
    "concatenate": "np.concatenate([{v}, {beside}], axis={axis})  np.concatenate([{beside}, {v}, {v}], axis={axis})",
    "stack": "np.stack([{a}, {same}])  np.stack([{v}, {same}, {v}], axis={axis})  np.vstack([{v}, {same}])",
    "split": "np.split({even}, 2)[1]  np.split({v}, [1])[0]",
}
LOSSES = {
    "mean square": "np.mean(np.square({a} - {num}))  np.mean(({a} - {same}) ** 2)  np.mean(np.square({a}))",
    "softmax cross entropy": "-np.sum({onehot} * ({logits} - np.log(np.sum(np.exp({logits}), axis=1, keepdims=True))))"
    "  -np.mean(np.sum({onehot} * log_softmax({logits}), axis=1))  np.mean(softmax_cross_entropy({logits}, {onehot}))"
    "  np.mean(softmax_cross_entropy({logits}, {ids}))  np.sum(softmax_cross_entropy({logits}, softmax({soft})))",
    "sigmoid cross entropy": "np.mean(np.maximum({near}, 0) - {near} * {bits} + np.log1p(np.exp(-np.abs({near}))))"
    "  np.mean(sigmoid_cross_entropy({near}, {bits}))  np.sum(sigmoid_cross_entropy({near}, sigmoid({same})))",
}
# What must be away from 0 for a line of the family to be away from ties, kinks and poles.
GUARDS = {
    **dict.fromkeys(("abs", "relu", "prod", "sigmoid cross entropy"), "{main}"),
    **dict.fromkeys(("maximum", "minimum"), "{a} - {b}"),
    **{"divide": "{b}", "clip": "np.abs({a} - {num}) - 0.5", "where": "{a} - {num}"},
    **{"max": "gap({a}, {axes})", "min": "gap(-{a}, {axes})", "std": "np.std({a}, {axes})"},
    "norm": "np.linalg.norm({main}, axis=-1)",
}
EINSUMS = "i,i-> i,j->ij i,j->ji i,ij->j ij->j ij->ji ij,jk->ik ij,kj ij,ij-> ij,j,i-> bij,bj->bi bij,bjk->bik bij,ij->b"


class Unfit(Exception):
    """A template that does not suit the values at hand."""


def gap(x, axis=None, keepdims=False):
    """How far the largest elements along `axis` are ahead of the second."""
    axes = range(x.ndim) if axis is None else [i % x.ndim for i in np.atleast_1d(axis)]
    rows = np.moveaxis(x, list(axes), list(range(len(axes)))).reshape(math.prod(x.shape[i] for i in axes), -1)
    return np.diff(np.sort(rows, axis=0)[-2:], axis=0) if len(rows) > 1 else np.ones(1)


def plain(np):
    """The library's own functions as plainly as values in a benign range allow, in the terms of a NumPy-like module."""

    def log_softmax(x, axis=-1):
        return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))

    def softmax_cross_entropy(x, labels):
        return -np.sum((np.eye(x.shape[1])[labels] if labels.ndim == 1 else labels) * log_softmax(x), axis=1)

    return {
        "relu": lambda x: np.where(x > 0, x, 0.0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "softmax": lambda x, axis=-1: np.exp(log_softmax(x, axis)),
        "log_softmax": log_softmax,
        "logsumexp": lambda x, axis=-1: np.log(np.sum(np.exp(x), axis=axis)),
        "softmax_cross_entropy": softmax_cross_entropy,
        "sigmoid_cross_entropy": lambda x, t: t * np.log(1 + np.exp(-x)) + (1 - t) * np.log(1 + np.exp(x)),
    }


OWN = {name: getattr(ops, name) for name in plain(np)}


class Program:
    """A random program: leaves, a constant and lines, the last of which assigns the loss. Always the same for a seed."""

    def __init__(self, seed):
        self.seed, self.random, numbers = seed, random.Random(seed), np.random.default_rng(seed)
        names = [f"x{i}" for i in range(self.random.randint(2, 4))]
        self.leaves = {name: numbers.uniform(-2, 2, self.dims(self.random.randint(0, 3))) for name in names}
        self.constants = {"c": numbers.uniform(-2, 2, self.dims(self.random.randint(0, 3)))}
        self.values, self.unused, self.lines, self.families = self.leaves | self.constants, names, [], Counter()
        steps, losses = self.random.randint(4, 14), []
        while len(self.lines) < steps:
            if line := self.line(STEPS):
                name = f"v{len(self.lines)}"
                self.values[name] = self.value(line)
                self.unused.append(name)
                self.lines.append(f"{name} = {line}")
        if self.random.random() < 0.2:  # leaves on which the loss does not depend
            self.unused = [name for name in self.unused if name not in self.leaves] or names
        while self.unused:  # every other value has its part in the loss
            losses += filter(None, [self.line(LOSSES, self.unused[-1])])
        self.lines += [f"l{i} = {line}" for i, line in enumerate(losses)]
        self.lines.append("loss = " + " + ".join(f"l{i}" for i in range(len(losses))))
        self.code = compile("\n".join(self.lines), f"<program {seed}>", "exec")

    def __str__(self):
        data = [f"{name} = np.array({x.tolist()})" for name, x in {**self.leaves, **self.constants}.items()]
        return "\n".join([f"# python tests/programs.py --programs 1 --seed {self.seed}", *data, *self.lines])

    def run(self, module, functions, leaves):
        """The loss of these leaves, with `np` standing for `module`."""
        namespace = {"np": module, **functions, **self.constants, **dict(zip(self.leaves, leaves))}
        exec(self.code, namespace)
        return namespace["loss"]

    def line(self, table, operand=None):
        """The right side of a line from a random template, maybe with its first operand; "" where it does not suit."""
        family = self.random.choice(list(table))
        self.words, self.operand, self.tags, template = {}, operand, [family], table[family].split("  ")
        try:
            line = self.random.choice(template).format_map(self)
            if family in GUARDS and np.min(np.abs(self.value(GUARDS[family].format_map(self)))) < 0.01:
                return ""
            size = np.max(np.abs(self.value(line)))
        except Unfit:
            return ""
        if size > 10:
            line = self.random.choice(("({}) / {}", "np.tanh(({}) / {})")).format(line, math.ceil(size / 3))
        self.unused = [name for name in self.unused if not re.search(rf"\b{name}\b", line)]
        self.families.update(self.tags)
        return line

    def value(self, line):
        """What a line gives on arrays; Unfit where that is empty, large or not finite, or has a warning."""
        try:
            with np.errstate(all="raise", under="ignore"), warnings.catch_warnings(action="error"):
                x = np.asarray(eval(line, {"np": np, "gap": gap, **PLAIN, **self.values}))
        except (FloatingPointError, RuntimeWarning) as error:
            raise Unfit from error
        if not 0 < x.size <= 64 or x.ndim > 4 or not np.max(np.abs(x)) < 1e6:
            raise Unfit
        return x

    # The words of the templates: operands

    def __getitem__(self, word):
        if word not in self.words:
            self.words[word] = getattr(self, word)()
        return self.words[word]

    def pick(self, fits=lambda x: True):
        """The name of a value that fits, often one that is unused so far; the line's first is what `self.x` is about."""
        names = [name for name in ([self.operand] if self.operand else self.values) if fits(self.values[name])]
        if not names:
            raise Unfit
        fresh, self.operand = [name for name in names if name in self.unused], None
        name = self.random.choice(fresh if fresh and self.random.random() < 0.5 else names)
        if "main" not in self.words:
            self.words["main"], self.x = name, self.values[name]
        return name

    def shaped(self, *shape):
        """A value of this shape, or elements of another value brought to this shape."""
        if self.random.random() < 0.7 and (names := [name for name, x in self.values.items() if x.shape == shape]):
            return self.random.choice(names)
        name, count = self.random.choice(list(self.values)), math.prod(shape)
        size = self.values[name].size
        places = self.random.sample(range(size), count) if count <= size else self.some(count, size)
        return f"np.reshape(np.reshape({name}, -1)[np.array({places})], {shape})"

    def a(self):
        return self.pick()

    def v(self):
        return self.pick(lambda x: x.ndim)

    def even(self):
        return self.pick(lambda x: x.ndim and x.shape[0] % 2 == 0)

    def main(self):
        return self["a"]

    def near(self):
        name = self.pick()
        size = np.max(np.abs(self.values[name]))
        return name if size <= 3 else f"({name} / {math.ceil(size / 3)})"

    def pos(self):
        name = self.pick()
        return name if np.min(self.values[name]) > 0.2 else f"(np.square({name}) + 0.3)"

    def b(self):
        self["main"]
        shape = [1 if self.random.random() < 0.3 else n for n in self.x.shape]
        shape = shape[self.random.randint(0, len(shape)) :] if self.random.random() < 0.4 else shape
        return self.shaped(*(self.dims(1) if self.random.random() < 0.2 and len(shape) == self.x.ndim else ()), *shape)

    def same(self):
        return self.shaped(*self.x.shape)
