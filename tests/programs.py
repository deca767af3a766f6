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

# Templates of a line, by family, two spaces apart. The words in braces are those of OPERANDS and WORDS.
STEPS = {
    "operators": "{a} + {b}  {a} - {b}  {a} * {b}  {a} + {a}  {num} + {a}  {num} - {a}  {num} * {a}  {a} / {num}  -{a}",
    **{name: f"np.{name}({{a}}, {{b}})  np.{name}({{b}}, {{a}})" for name in "add subtract multiply divide".split()},
    **{name: f"np.{name}({{a}}, {{b}})  np.{name}({{b}}, {{a}})" for name in "maximum minimum logaddexp".split()},
    "power": "{pos} ** {num}  {pos} ** {b}  np.power({pos}, {b})  1.3 ** {near}  {a} ** 2  {near} ** 3",
    **{name: f"np.{name}({{near}})" for name in "exp expm1 sin cos sinh cosh tanh arctan square".split()},
    **{name: f"np.{name}({{pos}})" for name in "log log2 log10 log1p sqrt reciprocal".split()},
    **{"abs": "np.abs({a})  abs({a})", "negative": "np.negative({a})", "relu": "relu({a})"},
    "clip": "np.clip({a}, {num} - 0.5, {num} + 0.5)  {a}.clip({num} - 0.5, {num} + 0.5)",
    "where": "where({a} > {num}, {a}, {b})  where({a} <= {num}, {b}, 0.5)  where({mask}, {a}, {same})",
    "sigmoid": "sigmoid({near})  1 / (1 + np.exp(-{near}))",
    **{name: f"{name}({{row}}, axis={{axis}})" for name in ("softmax", "log_softmax", "logsumexp")},
    "exp / sum": "np.exp({row}) / np.sum(np.exp({row}), axis={axis}, keepdims=True)",
    **{name: f"np.{name}({{a}}, {{axes}})  {{a}}.{name}({{axes}})" for name in "sum mean max min prod".split()},
    **{name: f"np.{name}({{a}}, {{axes}}, ddof={{bit}})  {{a}}.{name}({{axes}})" for name in ("var", "std")},
    "norm": "np.linalg.norm({a})  np.linalg.norm({v}, axis={axis})",
    "cumsum": "np.cumsum({v}, axis={axis})",
    "matmul": "{v} @ {right}  {left} @ {v}  np.matmul({v}, {right})  np.dot({v}, {vector})  np.outer(np.ravel({v}), {vector})",
    "einsum": "np.einsum({letters}, {v}{others})",
    "reshape": "np.reshape({a}, {shape})  {a}.reshape({shape})  np.ravel({a})",
    "transpose": "np.transpose({a})  {v}.T  transpose({v}, {order})  np.moveaxis({v}, {axis}, {axis2})",
    "swapaxes": "np.swapaxes({v}, {axis}, {axis2})  {v}.swapaxes({axis}, {axis2})",
    "expand_dims": "np.expand_dims({a}, 0)  np.expand_dims({a}, (-1, 0))  np.expand_dims({v}, {axis})",
    "squeeze": "np.squeeze({v}[None])  np.squeeze(np.sum({v}, axis={axis}, keepdims=True), {axis})",
    "broadcast_to": "broadcast_to({a}, {wide})",
    "flip": "flip({v}, {axis})  flip({v})",
    "index by numbers": "{v}[{numbers}]  {v}[{numbers}, None]",
    "index by slices": "{v}[{slices}]  {v}[..., ::-1]",
    "index by arrays": "{v}[{take}]  {v}[{take}, ...]  {v}[..., {last}]  {matrix}[{take}, ..., {last}]  {v}[{mask}]",
    "concatenate": "np.concatenate([{v}, {beside}], axis={axis})  np.concatenate([{same}, {v}, {v}], axis={axis})",
    "stack": "np.stack([{a}, {same}])  np.stack([{v}, {same}, {v}], axis={axis})  np.vstack([{v}, {same}])",
    "split": "np.split({even}, 2)[1]",
}
LOSSES = {
    "mean square": "np.mean(np.square({a} - {num}))  np.mean(({a} - {same}) ** 2)  np.mean(np.square({a}))",
    "softmax cross entropy": "-np.sum({onehot} * ({logits} - np.log(np.sum(np.exp({logits}), axis=1, keepdims=True))))"
    "  -np.mean(np.sum({onehot} * log_softmax({logits}), axis=1))  np.mean(softmax_cross_entropy({logits}, {onehot}))"
    "  np.mean(softmax_cross_entropy({logits}, {ids}))  np.sum(softmax_cross_entropy({logits}, softmax({soft})))",
    "sigmoid cross entropy": "np.mean(np.maximum({near}, 0) - {near} * {bits} + np.log1p(np.exp(-np.abs({near}))))"
    "  np.mean(sigmoid_cross_entropy({near}, {bits}))  np.sum(sigmoid_cross_entropy({near}, sigmoid({same})))",
}
GUARDS = {  # what must be away from 0 for a line to be away from ties, kinks and poles
    **dict.fromkeys(("abs", "relu", "prod", "norm", "sigmoid cross entropy"), "{main}"),
    **dict.fromkeys(("maximum", "minimum"), "{a} - {b}"),
    **dict.fromkeys(("max", "min"), "100 * np.diff(np.sort({a}, axis=None), append=99)"),
    **{"divide": "{a} * {b}", "clip": "np.abs({a} - {num}) - 0.5", "where": "{a} - {num}", "std": "np.std({a}, {axes})"},
}
EINSUMS = "i,i-> i,j->ij i,j->ji i,ij->j ij->j ij->ji ij,jk->ik ij,kj ij,ij-> ij,j,i-> bij,bj->bi bij,bjk->bik abcd->dcba".split()
OPERANDS = {  # words for the operand that a line is about: how it is written, and which values will do
    "a": ("{}", lambda x: True),
    "v": ("{}", lambda x: x.ndim),
    "matrix": ("{}", lambda x: x.ndim > 1),
    "even": ("{}", lambda x: x.ndim and x.shape[0] % 2 == 0),
    "near": ("{}", lambda x: np.max(np.abs(x)) <= 3),
    "row": ("{}", lambda x: x.ndim and np.max(np.abs(x)) <= 3),
    "logits": ("np.reshape({}, (-1, {}))", lambda x: x.ndim and np.max(np.abs(x)) <= 3),
    "pos": ("(np.square({}) + 0.3)", lambda x: True),
}
WORDS = {  # words for what goes with it: from the program `p`, its random numbers `r` and the operand's array `x`
    "b": lambda p, r, x: p.shaped(*r.choice((x.shape, x.shape[1:], p.dims(1) + x.shape, [1] * x.ndim))),
    "same": lambda p, r, x: p.shaped(*x.shape),
    "vector": lambda p, r, x: p.shaped(x.shape[-1]),
    "beside": lambda p, r, x: p.shaped(*(n - 1 or 2 if i == p.axes[0] % x.ndim else n for i, n in enumerate(x.shape))),
    "soft": lambda p, r, x: p.shaped(x.size // x.shape[-1], x.shape[-1]),
    "right": lambda p, r, x: p.factor(x, x.shape[-1:], x.shape[-1:] + p.dims(1)),
    "left": lambda p, r, x: p.factor(x, x.shape[-2:][:1], p.dims(1) + x.shape[-2:][:1]),
    "letters": lambda p, r, x: repr(r.choice([e for e in EINSUMS if len(re.match(r"\w+", e)[0]) == x.ndim])),
    "others": lambda p, r, x: p.others(x),
    "num": lambda p, r, x: f"{r.uniform(0.3, 1.7):.2f}",
    "bit": lambda p, r, x: r.randint(0, 1),
    "bits": lambda p, r, x: p.array(2, x.shape),
    "mask": lambda p, r, x: f"({p.array(3, x.shape)} > 0)",
    "ids": lambda p, r, x: p.array(x.shape[-1], x.size // x.shape[-1]),
    "onehot": lambda p, r, x: f"np.eye({x.shape[-1]})[{p['ids']}]",
    "take": lambda p, r, x: p.array(x.shape[0], r.choice((1, 3, (2, 1)))),
    "last": lambda p, r, x: p.array(x.shape[-1], r.choice((1, 3, (2, 1)))),
    "numbers": lambda p, r, x: ", ".join(str(r.randrange(-n, n)) for n in x.shape[: r.randint(1, x.ndim)]),
    "slices": lambda p, r, x: ", ".join(r.choice((":", "::-1", f"{n // 2}:", "-1", "None, ::2")) for n in x.shape),
    "axis": lambda p, r, x: p.axes[0],
    "axis2": lambda p, r, x: r.choice(p.axes),
    "order": lambda p, r, x: tuple(p.axes),
    "axes": lambda p, r, x: f"axis={r.choice((None, *p.axes[:1], (*p.axes[:2],) or None))}, keepdims={r.random() < 0.5}",
    "shape": lambda p, r, x: r.choice((-1, (x.size, 1), (-1, math.gcd(x.size, 12)), (math.gcd(x.size, 6), 1, -1))),
    "wide": lambda p, r, x: (*p.dims(r.randint(0, 1)), *(n if n > 1 else r.randint(1, 4) for n in x.shape)),
}


def plain(np):
    """The library's own functions in the terms of a NumPy-like module, as plain as small values allow."""
    sum, exp, log = np.sum, np.exp, np.log
    return {
        "np": np,
        "relu": lambda x: np.where(x > 0, x, 0.0),
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "softmax": lambda x, axis=-1: exp(x) / sum(exp(x), axis=axis, keepdims=True),
        "log_softmax": lambda x, axis=-1: x - log(sum(exp(x), axis=axis, keepdims=True)),
        "logsumexp": lambda x, axis: log(sum(exp(x), axis=axis)),
        "softmax_cross_entropy": lambda x, t: (
            sum((np.eye(x.shape[1])[t] if t.ndim == 1 else t) * (log(sum(exp(x), axis=1, keepdims=True)) - x), axis=1)
        ),
        "sigmoid_cross_entropy": lambda x, t: t * log(1 + exp(-x)) + (1 - t) * log(1 + exp(x)),
        "broadcast_to": lambda x, shape: x * np.ones(shape),  # from here on, NumPy's own where the oracle falls short
        "transpose": lambda x, axes: np.transpose(x, [i % x.ndim for i in axes]),
        "where": lambda c, a, b: np.where(c, a + 0.0 * (b + c), b + 0.0 * (a + c)),
        "flip": lambda x, axis=None: x[tuple(slice(None, None, 1 if axis not in (None, i, i - x.ndim) else -1) for i in range(x.ndim))],
    }


PLAIN = plain(np)
LIBRARY = {name: getattr(np, name, None) or getattr(ops, name, np) for name in PLAIN}


class Program:
    """A random program: leaves, a constant `c` and lines, the last of which makes the loss. One seed, one program."""

    def __init__(self, seed):
        self.seed, self.random, self.numbers = seed, random.Random(seed), np.random.default_rng(seed)
        self.lines, self.families, self.unused = [], Counter(), [f"x{i}" for i in range(self.random.randint(2, 4))]
        self.leaves = {name: self.numbers.uniform(-2, 2, self.dims(self.random.randint(0, 3))) for name in self.unused}
        self.data = {**self.leaves, "c": self.numbers.uniform(-2, 2, self.dims(self.random.randint(0, 3)))}
        self.values, steps, losses = dict(self.data), self.random.randint(4, 14), []
        while len(self.lines) < steps:
            if line := self.line(STEPS, list(self.values)):
                self.unused.append(f"v{len(self.lines)}")
                self.values[self.unused[-1]] = self.value(line)
                self.lines.append(f"{self.unused[-1]} = {line}")
        if self.random.random() < 0.2:  # leaves without a part in the loss
            self.unused = [name for name in self.unused if name not in self.leaves or name == "x0"]
        while self.unused:
            losses += filter(None, [self.line(LOSSES, self.unused[-1:])])
        self.lines += [f"l{i} = {line}" for i, line in enumerate(losses)]
        self.lines.append("loss = " + " + ".join(f"l{i}" for i in range(len(losses))))
        self.code = compile("\n".join(self.lines), f"<program {seed}>", "exec")

    def __str__(self):
        data = [f"{name} = np.array({x.tolist()})" for name, x in self.data.items()]
        return "\n".join([f"# python tests/programs.py --programs 1 --seed {self.seed}", *data, *self.lines])

    def run(self, functions, leaves):
        """The loss of these leaves, with these functions."""
        namespace = {**functions, **self.data, **dict(zip(self.leaves, leaves))}
        exec(self.code, namespace)
        return namespace["loss"]

    def line(self, table, names):
        """The right side of a line from a random template, about one of these values; "" where it does not suit."""
        family = self.random.choice(list(table))
        template = self.random.choice(table[family].split("  "))
        word = next(word for word in re.findall(r"{(\w+)}", template) if word in OPERANDS)
        form, fits = OPERANDS[word]
        names = [name for name in names if fits(self.values[name])]
        fresh = [name for name in names if name in self.unused]
        if not names:
            return ""
        name = self.random.choice(fresh if fresh and self.random.random() < 0.5 else names)
        x = self.x = self.values[name]
        self.words = {word: form.format(name, *x.shape[-1:]), "main": name}
        self.axes = [i - x.ndim * self.random.randint(0, 1) for i in self.random.sample(range(x.ndim), x.ndim)]
        y = self.value(line := template.format_map(self))
        guard = self.value(GUARDS[family].format_map(self)) if family in GUARDS else 1
        if y is None or guard is None or np.min(np.abs(guard)) < 0.01:
            return ""
        if (size := np.max(np.abs(y))) > 10:
            line = self.random.choice(("({}) / {}", "np.tanh(({}) / {})")).format(line, math.ceil(size / 3))
        self.unused = [name for name in self.unused if not re.search(rf"\b{name}\b", line)]
        self.families[family] += 1
        return line

    def value(self, line):
        """What a line gives on arrays; None where that is empty, large or not finite, or comes with a warning."""
        try:
            with np.errstate(all="raise", under="ignore"), warnings.catch_warnings(action="error"):
                x = np.asarray(eval(line, {**PLAIN, **self.values}))
        except (FloatingPointError, RuntimeWarning):
            return None
        return x if 0 < x.size <= 64 and x.ndim <= 4 and np.max(np.abs(x)) < 1e6 else None

    def __getitem__(self, word):
        if word not in self.words:
            self.words[word] = WORDS[word](self, self.random, self.x)
        return self.words[word]

    def dims(self, count):
        return tuple(self.random.randint(1, 4) for _ in range(count))

    def array(self, end, shape):
        """An array of random integers from 0 to `end`, that excluded."""
        return f"np.array({self.numbers.integers(0, end, shape).tolist()})"

    def shaped(self, *shape):
        """A value of this shape, or elements of another value brought to this shape."""
        if self.random.random() < 0.7 and (names := [name for name, x in self.values.items() if x.shape == shape]):
            return self.random.choice(names)
        name, count = self.random.choice(list(self.values)), math.prod(shape)
        places = self.numbers.choice(self.values[name].size, count, replace=count > self.values[name].size).tolist()
        return f"np.reshape(np.ravel({name})[np.array({places})], {shape})"

    def factor(self, x, vector, matrix):
        """The other side of a matmul: a vector, a matrix, or a stack of matrices."""
        return self.shaped(*self.random.choice((vector, matrix, (1, *matrix), (x.shape[-3:-2] or self.dims(1)) + matrix)))

    def others(self, x):
        """What goes with the first operand of an einsum."""
        first, *others = self["letters"].strip("'").split("->")[0].split(",")
        sizes = dict(zip(first, x.shape))
        shapes = [[sizes.setdefault(letter, self.random.randint(1, 4)) for letter in other] for other in others]
        return "".join(f", {self.shaped(*shape)}" for shape in shapes)


def disagreements(program):
    """Where the library and the oracle differ on a program: its loss and gradients; on each tenth, of second order too."""
    from autograd import grad as oracle_grad  # here, as programs can be made without
    from autograd import numpy as anp
    from autograd import value_and_grad

    functions, found, which = plain(anp), [], tuple(range(len(program.leaves)))

    def oracle(*leaves):
        return program.run(functions, leaves)

    def oracle_slope(*leaves):
        return sum(anp.sum(g * d) for g, d in zip(oracle_grad(oracle, which)(*leaves), directions))

    def compare(name, got, want, tolerance):
        worst, allowed = np.max(np.abs(got - want)), max(tolerance * np.max(np.abs(want)), 1e-12)
        if np.shape(got) != np.shape(want) or not worst <= allowed:
            found.append(f"{name}: {got} is not {want}, by {worst:.1e}, with {allowed:.1e} allowed, in\n{program}")

    leaves = [Tensor(x, requires_grad=True, name=name) for name, x in program.leaves.items()]
    loss = program.run(LIBRARY, leaves)
    loss.backward()
    value, gradients = value_and_grad(oracle, which)(*program.leaves.values())
    compare("loss", loss.numpy(), value, 1e-9)
    first = [np.zeros(x.shape) if x.grad is None else x.grad for x in leaves]
    for x, got, want in zip(leaves, first, gradients):
        compare(f"gradient of {x.name}", got, want, 1e-9)
    if program.seed % 10 == 0:
        directions = [program.numbers.uniform(-1, 1, x.shape) for x in leaves]
        graph = grad(loss, leaves)
        products = grad(sum(np.sum(g * d) for g, d in zip(graph, directions)), leaves)
        expected = oracle_grad(oracle_slope, which)(*program.leaves.values())
        for x, g, again, got, want in zip(leaves, first, graph, products, expected):
            compare(f"gradient of {x.name} by grad()", again.numpy(), g, 1e-9)
            compare(f"Hessian-vector product of {x.name}", got.numpy(), want, 1e-8)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first program; the next ones follow it")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    start, families, wrong = time.perf_counter(), Counter(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.programs):
        program = Program(seed)
        families += program.families
        for text in disagreements(program):
            wrong += 1
            print(text, end="\n\n")
    print(", ".join(f"{name} {count}" for name, count in families.most_common()))
    print(f"{arguments.programs} programs, {wrong} disagreements, {time.perf_counter() - start:.0f} s")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
