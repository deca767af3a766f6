"""Random programs in NumPy terms, and their losses and gradients against an independent oracle, HIPS autograd."""

import argparse
import functools
import math
import random
import re
import warnings
from collections import Counter

import numpy as np

from tinygrad_steel import Tensor, grad, ops

# Templates of a line, by family, two spaces apart. {a}, {v}, {matrix}: the value that the line is about, of any shape,
# with an axis, with two; the other words in braces are those of WORDS.
AXES = {"a": 0, "v": 1, "matrix": 2}
STEPS = {
    "operators": "{a} + {b}  {a} - {b}  {a} * {b}  {a} + {a}  {num} + {a}  {num} - {a}  {num} * {a}  {a} / {num}  -{a}",
    **{
        f: f"np.{f}({{a}}, {{b}})  np.{f}({{b}}, {{a}})"
        for f in "add subtract multiply divide".split()
    },
    **{
        f: f"np.{f}({{a}}, {{b}})  np.{f}({{b}}, {{a}})"
        for f in "maximum minimum logaddexp".split()
    },
    **{
        f: f"np.{f}({{a}})"
        for f in "exp expm1 sin cos sinh cosh tanh arctan square negative abs".split()
    },
    **{
        f: f"np.{f}(np.square({{a}}) + 0.3)" for f in "log log2 log10 log1p sqrt reciprocal".split()
    },
    "power": "(np.abs({a}) + 0.3) ** {b}  np.power(np.abs({a}) + 0.3, {b})  1.3 ** {a}  {a} ** 2  abs({a}) ** {num}",
    "clip": "np.clip({a}, {num} - 0.5, {num} + 0.5)  {a}.clip({num} - 0.5, {num} + 0.5)",
    "where": "where({a} > {num}, {a}, {b})  where({a} <= {num}, {b}, 0.5)  where({bits} > 0, {a}, {same})",
    **{"relu": "relu({a})", "sigmoid": "sigmoid({a})  1 / (1 + np.exp(-{a}))"},
    **{f: f"{f}({{v}}, axis={{axis}})" for f in ("softmax", "log_softmax", "logsumexp")},
    "softmax by hand": "np.exp({v}) / np.sum(np.exp({v}), axis={axis}, keepdims=True)",
    **{f: f"np.{f}({{a}}, {{axes}})  {{a}}.{f}({{axes}})" for f in "sum mean max min prod".split()},
    **{f: f"np.{f}({{a}}, {{axes}}, ddof=1)  {{a}}.{f}({{axes}})" for f in ("var", "std")},
    **{
        "norm": "np.linalg.norm({a})  np.linalg.norm({v}, axis={axis})",
        "cumsum": "np.cumsum({v}, axis={axis})",
    },
    "matmul": "{v} @ {vector}  {v} @ {right}  {left} @ {v}  {vector} @ np.swapaxes({matrix}, -1, -2)",
    "products": "np.dot({v}, {vector})  np.matmul({v}, {right})  np.outer(np.ravel({v}), {vector})",
    "einsum": "np.einsum({letters}, {v}{others})",
    "reshape": "np.reshape({a}, {shape})  {a}.reshape({shape})  np.ravel({a})",
    "transpose": "np.transpose({a})  {v}.T  transpose({v}, {order})  np.moveaxis({v}, {axis}, 0)",
    **{
        "swapaxes": "np.swapaxes({v}, {axis}, -1)  {v}.swapaxes(0, {axis})",
        "flip": "flip({v}, {axis})",
    },
    "expand_dims": "np.expand_dims({a}, 0)  np.expand_dims({a}, (-1, 0))  np.expand_dims({v}, {axis})",
    "squeeze": "np.squeeze({v}[None])  np.squeeze(np.sum({v}, axis={axis}, keepdims=True), {axis})",
    "broadcast_to": "broadcast_to({a}, {wide})",
    "index by numbers": "{v}[{numbers}]  {v}[{numbers}, None]",
    "index by slices": "{v}[{slices}]  {v}[..., ::-1]",
    "index by arrays": "{v}[{first}]  {v}[..., {last}]  {matrix}[{first}, ..., {last}]  {v}[{bits} > 0]",
    "concatenate": "np.concatenate([{v}, {beside}], axis={axis})  np.concatenate([{same}, {v}, {v}], axis={axis})",
    "stack": "np.stack([{a}, {same}])  np.stack([{v}, {same}, {v}], axis={axis})  np.vstack([{v}, {same}])",
    "split": "np.split({v}, [1], axis={axis})[0]",
}
# What the programs that autograd checks have besides: those of frozen texts and others stay as they are.
SPD = "(0.3 * {matrix} @ np.swapaxes({matrix}, -1, -2) + np.eye({matrix}.shape[-2]))"  # positive definite
EVERY = {
    **STEPS,
    **{
        f: f"np.{f}({{a}}, {{b}})  np.{f}({{b}}, {{a}})"
        for f in "fmax fmin logaddexp2 arctan2 hypot".split()
    },
    **{
        f: f"np.{f}({{a}})" for f in "exp2 tan arcsinh fabs sinc deg2rad rad2deg nan_to_num".split()
    },
    **{f: f"np.{f}(0.9 * np.tanh({{a}}))" for f in "arcsin arccos arctanh".split()},
    **{f: f"{f}({{a}})" for f in "cbrt positive".split()},
    "arccosh": "np.arccosh(np.square({a}) + 1.3)",
    "copysign": "copysign({a}, {b})",
    "remainder": "{a} % {num}  np.mod({a}, {num})  {num} % {a}",
    "fmod": "fmod({a}, {num})  fmod({num}, {a})",
    "cumprod": "cumprod({v}, axis={axis})",
    "matrices": "{matrix} @ {right}  {left} @ {matrix}  {matrix} @ np.swapaxes({matrix}, -1, -2)",
    "vectors": "np.ravel({v}) @ np.ravel({same})  {vector} @ np.ravel({v})[: len({vector})]",
    **{f: f"np.linalg.{f}({SPD})" for f in "inv det cholesky pinv".split()},
    "slogdet": f"np.linalg.slogdet({SPD})[1]",
    "solve": f"np.linalg.solve({SPD}, {{matrix}})",
    "convolve": "convolve(np.ravel({a})[:4], {vector})  convolve({vector}, np.ravel({a})[:3])",
    "roll": "np.roll({a}, 1)  np.roll({v}, 2, axis={axis})  np.roll({v}, -1, {axis})",
    "pad": "np.pad({v}, 1, 'constant')  np.pad({v}, (0, 1), 'constant')",
    "diag": "np.diag(np.ravel({a})[:5])",
    **{"tril": "np.tril({matrix})", "triu": "np.triu({matrix}, 1)"},
}
LOSSES = {
    "mean square": "np.mean(np.square({a} - {num}))  np.mean(({a} - {same}) ** 2)  np.mean(np.square({a}))",
    "softmax cross entropy": "-np.mean(np.sum(np.eye({n})[{ids}] * log_softmax({rows}), axis=1))"
    "  -np.sum(np.eye({n})[{ids}] * ({rows} - np.log(np.sum(np.exp({rows}), axis=1, keepdims=True))))"
    "  np.mean(softmax_cross_entropy({rows}, {ids}))  np.mean(softmax_cross_entropy({rows}, np.eye({n})[{ids}]))"
    "  np.sum(softmax_cross_entropy({rows}, softmax(np.reshape({same}, (-1, {n})))))",
    "sigmoid cross entropy": "np.mean(np.maximum({a}, 0) - {a} * {bits} + np.log1p(np.exp(-np.abs({a}))))"
    "  np.mean(sigmoid_cross_entropy({a}, {bits}))  np.sum(sigmoid_cross_entropy({a}, sigmoid({same})))",
}
GUARDS = {  # what must be above 0.01 for a line to be in a benign range, away from ties, kinks and poles
    **dict.fromkeys(
        "exp expm1 exp2 sinh cosh tanh sigmoid softmax log_softmax logsumexp".split(),
        "3 - np.abs({main})",
    ),
    **dict.fromkeys(("softmax by hand", "softmax cross entropy"), "3 - np.abs({main})"),
    **dict.fromkeys(
        ("abs", "relu", "prod", "norm", "power", "sigmoid cross entropy"), "np.abs({main})"
    ),
    **dict.fromkeys(("fabs", "sinc", "cbrt"), "np.abs({main})"),
    **dict.fromkeys(("arctan2", "hypot", "copysign"), "np.abs({a} * {b})"),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), "np.abs({a} - {b})"),
    "tan": "np.abs(np.cos({a})) - 0.2",
    # neither fits into the other a whole number of times
    **dict.fromkeys(
        ("remainder", "fmod"),
        "np.minimum(np.abs(np.sin(np.pi * {a} / {num})), np.abs(np.sin(np.pi * {num} / {a})))",
    ),
    **dict.fromkeys(("max", "min"), "100 * np.diff(np.sort({a}, axis=None), append=99)"),
    **dict.fromkeys(("cumprod", "convolve"), "np.abs({main})"),
    **{"divide": "np.abs({a} * {b})", "where": "np.abs({a} - {num})", "std": "np.std({a}, {axes})"},
    "clip": "np.abs(np.abs({a} - {num}) - 0.5)",
}
EINSUMS = "i,i-> i,j->ij i,ij->j ij->j ij->ji ij,jk->ik ij,kj ij,ij-> ij,j,i-> ijk,ik->ij ijk,ikl->ijl ijkl->lkji"
WORDS = {  # from the program `p`, its random numbers `r` and the array `x` that the line is about
    "b": lambda p, r, x: p.shaped(r.choice((x.shape, x.shape[1:], (2, *x.shape), (1,) * x.ndim))),
    "same": lambda p, r, x: p.shaped(x.shape),
    "vector": lambda p, r, x: p.shaped(x.shape[-1:] or (3,)),
    "right": lambda p, r, x: p.shaped(
        (*r.choice(((), (1,), x.shape[-3:-2] or (2,))), x.shape[-1], r.randint(1, 4))
    ),
    "left": lambda p, r, x: p.shaped(
        (*r.choice(((), (1,), x.shape[-3:-2] or (2,))), r.randint(1, 4), x.shape[-2:][0])
    ),
    "beside": lambda p, r, x: p.shaped(
        (*x.shape[: (i := p.axes[0] % x.ndim)], 2, *x.shape[i + 1 :])
    ),
    "letters": lambda p, r, x: repr(
        r.choice([e for e in EINSUMS.split() if len(re.match(r"\w+", e)[0]) == x.ndim])
    ),
    "others": lambda p, r, x: "".join(
        ", " + p.shaped(tuple((*x.shape, 2)["ijkl".index(letter)] for letter in operand))
        for operand in re.findall(r",(\w+)", p["letters"])
    ),
    "rows": lambda p, r, x: f"np.reshape({p['main']}, (-1, {p['n']}))",
    "n": lambda p, r, x: (1, *x.shape)[-1],
    "ids": lambda p, r, x: p.array(p["n"], x.size // p["n"]),
    "num": lambda p, r, x: f"{r.uniform(0.3, 1.7):.2f}",
    "bits": lambda p, r, x: p.array(2, x.shape),
    "first": lambda p, r, x: p.array(x.shape[0], r.choice((1, 3, (2, 1)))),
    "last": lambda p, r, x: p.array(x.shape[-1], r.choice((1, 3, (2, 1)))),
    "numbers": lambda p, r, x: ", ".join(
        str(r.randrange(-n, n)) for n in x.shape[: r.randint(1, x.ndim)]
    ),
    "slices": lambda p, r, x: ", ".join(
        r.choice((":", "::-1", f"{n // 2}:", "-1", "None, ::2")) for n in x.shape
    ),
    "axis": lambda p, r, x: p.axes[0],
    "order": lambda p, r, x: p.axes,
    "axes": lambda p, r, x: (
        f"axis={r.choice((None, *p.axes[:1], p.axes[:2] or None))}, keepdims={r.random() < 0.5}"
    ),
    "shape": lambda p, r, x: r.choice(
        (-1, (x.size, 1), (-1, math.gcd(x.size, 12)), (math.gcd(x.size, 6), 1, -1))
    ),
    "wide": lambda p, r, x: (
        *r.choice(((), (2,))),
        *(n if n > 1 else r.randint(1, 4) for n in x.shape),
    ),
}


def plain(np):
    """The library's own functions in the terms of a NumPy-like module, and NumPy's where the oracle falls short."""
    sum, exp, log = np.sum, np.exp, np.log
    return {
        "np": np,
        "relu": lambda x: np.where(x > 0, x, 0.0),
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "softmax": lambda x, axis=-1: exp(x) / sum(exp(x), axis=axis, keepdims=True),
        "log_softmax": lambda x, axis=-1: x - log(sum(exp(x), axis=axis, keepdims=True)),
        "logsumexp": lambda x, axis=-1: log(sum(exp(x), axis=axis)),
        "softmax_cross_entropy": lambda x, t: sum(
            (np.eye(x.shape[1])[t] if t.ndim == 1 else t)
            * (log(sum(exp(x), axis=1, keepdims=True)) - x),
            axis=1,
        ),
        "sigmoid_cross_entropy": lambda x, t: t * log(1 + exp(-x)) + (1 - t) * log(1 + exp(x)),
        "cbrt": lambda x: np.sign(x) * np.abs(x) ** (1 / 3),
        "positive": lambda x: 1.0 * x,
        "copysign": lambda a, b: np.abs(a) * np.sign(b),
        "fmod": lambda a, b: a - b * np.fix(a / b),
        "cumprod": lambda x, axis: np.swapaxes(
            np.stack(
                [np.prod(np.swapaxes(x, 0, axis)[: i + 1], axis=0) for i in range(x.shape[axis])]
            ),
            0,
            axis,
        ),
        "convolve": lambda a, v: sum(
            np.stack(
                [
                    np.concatenate([np.zeros(i), a[i] * v, np.zeros(len(a) - 1 - i)])
                    for i in range(len(a))
                ]
            ),
            axis=0,
        ),
        "broadcast_to": lambda x, shape: x * np.ones(shape),
        "flip": lambda x, axis: np.swapaxes(np.swapaxes(x, 0, axis)[::-1], 0, axis),
        "transpose": lambda x, axes: np.transpose(x, [i % x.ndim for i in axes]),
        "where": lambda c, a, b: np.where(c, a + 0.0 * (b + c), b + 0.0 * (a + c)),
    }


PLAIN = plain(np)
LIBRARY = {name: getattr(np, name, None) or getattr(ops, name, np) for name in PLAIN}


class Program:
    """A random program: leaves, a constant `c` and lines, the last of which makes the loss. One seed, one program.

    `table`: the templates of its lines.
    """

    def __init__(self, seed, table=STEPS):
        self.seed, self.random, self.numbers = (
            seed,
            random.Random(seed),
            np.random.default_rng(seed),
        )
        names, losses = ["c", "x0", "x1", "x2", "x3"][: self.random.randint(3, 5)], []
        shapes = [self.numbers.integers(1, 5, self.random.randint(0, 3)) for _ in names]
        self.data = {name: self.numbers.uniform(-2, 2, shape) for name, shape in zip(names, shapes)}
        self.values, self.leaves, self.unused = dict(self.data), names[1:], names[1:]
        self.lines, self.families, steps = [], Counter(), self.random.randint(4, 14)
        while len(self.lines) < steps:
            if line := self.line(table, list(self.values)):
                self.unused.append(f"v{len(self.lines)}")
                self.values[self.unused[-1]] = self.value(line)
                self.lines.append(f"{self.unused[-1]} = {line}")
        if self.random.random() < 0.2:  # leaves without a part in the loss
            self.unused = [name for name in self.unused if name not in self.leaves]
        self.unused.append("x0")  # one that has a part, whatever became of it
        while self.unused:
            losses += filter(None, [self.line(LOSSES, self.unused[-1:])])
        self.lines += [f"l{i} = {line}" for i, line in enumerate(losses)]
        self.lines.append("loss = " + " + ".join(f"l{i}" for i in range(len(losses))))
        self.code = compile("\n".join(self.lines), f"<program {seed}>", "exec")

    def __str__(self):
        data = [f"{name} = np.array({x.tolist()})" for name, x in self.data.items()]
        return "\n".join(
            [f"# python tests/programs.py --programs 1 --seed {self.seed}", *data, *self.lines]
        )

    def run(self, functions, *leaves):
        """The loss of these leaves, with these functions."""
        namespace = {**functions, **self.data, **dict(zip(self.leaves, leaves))}
        exec(self.code, namespace)
        return namespace["loss"]

    def line(self, table, names):
        """The right side of a line from a random template, about one of these values; "" where it does not suit."""
        family = self.random.choice(list(table))
        template = self.random.choice(table[family].split("  "))
        word = next((word for word in AXES if f"{{{word}}}" in template), "a")
        names = [name for name in names if self.values[name].ndim >= AXES[word]]
        if not names:
            return ""
        fresh = [name for name in names if name in self.unused and self.random.random() < 0.5]
        name = self.random.choice(fresh or names)
        x = self.x = self.values[name]
        self.words = {word: name, "main": name}
        self.axes = tuple(
            i - x.ndim * self.random.randint(0, 1)
            for i in self.random.sample(range(x.ndim), x.ndim)
        )
        line = template.format_map(self)
        y, guard = self.value(line), self.value(GUARDS.get(family, "1").format_map(self))
        if y is None or guard is None or np.min(guard) < 0.01:
            return ""
        if (size := np.max(np.abs(y))) > 10:
            line = self.random.choice(("({}) / {}", "np.tanh(({}) / {})")).format(
                line, math.ceil(size / 3)
            )
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

    def __getitem__(self, word):  # what a template's words become
        if word not in self.words:
            self.words[word] = WORDS[word](self, self.random, self.x)
        return self.words[word]

    def array(self, end, shape):
        """An array of random integers from 0 to `end`, that excluded."""
        return f"np.array({self.numbers.integers(0, end, shape).tolist()})"

    def shaped(self, shape):
        """A value of this shape, or elements of another value brought to this shape."""
        if self.random.random() < 0.7 and (
            names := [name for name, x in self.values.items() if x.shape == shape]
        ):
            return self.random.choice(names)
        name, count = self.random.choice(list(self.values)), math.prod(shape)
        places = self.numbers.choice(
            self.values[name].size, count, replace=count > self.values[name].size
        ).tolist()
        return f"np.reshape(np.ravel({name})[np.array({places})], {shape})"


def disagreements(program):
    """What library and oracle disagree about: a program's loss, gradients, and for one in ten, Hessian products."""
    import autograd.numpy  # here, since programs can be made without it

    def compare(name, got, want, tolerance=1e-9):
        worst, allowed = np.max(np.abs(got - want)), max(tolerance * np.max(np.abs(want)), 1e-12)
        if np.shape(got) != np.shape(want) or not worst <= allowed:
            found.append(
                f"{name}: {got} is not {want}, by {worst:.1e}, with {allowed:.1e} allowed, in\n{program}"
            )

    found, arrays = [], [program.data[name] for name in program.leaves]
    leaves, which = [Tensor(x, requires_grad=True) for x in arrays], tuple(range(len(arrays)))
    oracle = functools.partial(program.run, plain(autograd.numpy))
    slopes = autograd.grad(oracle, which)
    loss = program.run(LIBRARY, *leaves)
    loss.backward()
    compare("loss", loss.numpy(), oracle(*arrays))
    gradients = [np.zeros(x.shape) if x.grad is None else x.grad for x in leaves]
    for name, got, want in zip(program.leaves, gradients, slopes(*arrays)):
        compare(f"gradient of {name}", got, want)
    if program.seed % 10 == 0:
        directions = [np.random.default_rng(program.seed).uniform(-1, 1, x.shape) for x in arrays]
        along = autograd.grad(
            lambda *xs: sum((g * d).sum() for g, d in zip(slopes(*xs), directions)), which
        )
        graph = grad(loss, leaves)
        products = grad(sum(np.sum(g * d) for g, d in zip(graph, directions)), leaves)
        for name, g, again, got, want in zip(
            program.leaves, gradients, graph, products, along(*arrays)
        ):
            compare(f"gradient of {name} by grad()", again.numpy(), g)
            compare(f"Hessian-vector product of {name}", got.numpy(), want, 1e-8)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first program; the next ones follow it"
    )
    options, families, wrong = parser.parse_args(), Counter(), []
    warnings.simplefilter("error")
    for seed in range(options.seed, options.seed + options.programs):
        program = Program(seed, EVERY)
        families += program.families
        wrong += disagreements(program)
    print(
        *wrong, ", ".join(f"{name} {count}" for name, count in families.most_common()), sep="\n\n"
    )
    print(f"{len(wrong)} disagreements in {options.programs} programs")
    raise SystemExit(bool(wrong))
