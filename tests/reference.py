"""What each op computes, its gradients as code, its conventions, and who runs it: `examples/tutorials/reference.md`.

python tests/reference.py          # write it anew, from the registry and by trying; then read the diff
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import operator
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from every_op import call, floats, tensors
from numpy_table import VERSION, answers, functions
from trials import TRIALS

import tinygrad_steel
from tinygrad_steel import OPS, Tensor, formula, ops
from tinygrad_steel.engine.numpy_api import METHODS
from tinygrad_steel.engine.recording import recording
from tinygrad_steel.ops.op import SPELLINGS, TWINS, Op
from tinygrad_steel.ops.special import SPECIAL
from tinygrad_steel.program.expressions import FORMULAS, Dialect
from tinygrad_steel.program.formulas import StepNames, written_vjps
from tinygrad_steel.program.given_names import GivenNames
from tinygrad_steel.program.names import argument_names, numpy_name

PAGE = Path(__file__).parents[1] / "examples" / "tutorials" / "reference.md"
FORM = Path(__file__).parents[1] / ".ci" / "ruff.toml"
PIECE = re.compile(r"```python\n(.*?)```", re.DOTALL)
NEXT = "# the next piece"
MARKS = re.compile(r"[*|<\[\]]")  # outside of code, Markdown takes them for its own
NUMBERS = {  # that rules have computed, as one writes them
    math.log(2): "log(2)",
    math.log(10): "log(10)",
    math.pi: "pi",
    math.pi**2: "(pi**2)",
    math.pi / 180: "(pi / 180)",
    180 / math.pi: "(180 / pi)",
    2 / math.sqrt(math.pi): "(2 / sqrt(pi))",
    math.sqrt(math.pi) / 2: "(sqrt(pi) / 2)",
    math.sqrt(2 * math.pi): "sqrt(2 * pi)",
    3 * float(np.finfo(float).eps): "(3 * eps)",
}
INTRODUCTION = f"""\
# Every op and its gradient

On this page you can look up what each op computes, the gradients of its inputs as code, and which gradient it takes
where no derivative exists. `python tests/reference.py` writes the page from the ops themselves. Tests run all of the
code, and try where each op runs. [numpy.md](numpy.md) has what each function of NumPy {VERSION} does with a Tensor.

How to read an entry:

- `y` is the result, `g` its gradient, and `G_x` the gradient of `x`. Functions are NumPy's, without `np.`, or ops of
  this page; `eps` is that of float64.
- The code is for one example, with its shapes where they matter. A `G_x` that is smaller than `x` stands for all of
  its elements. Gradients of inputs that were broadcast are summed along those axes.
- Code that only passes NaN on is left out.
- A gradient has the dtype of its input. Integers are constants.
- A function without code is composed of ops that have some.
- "Runs" says where the op runs besides NumPy. "Compiled" is `compile_backprop`: loops in machine code, or NumPy calls
  between them. "jax" is its backend of that name. "ONNX" is `export_onnx`, for the result without its gradients.
  "Dask" means lazy arrays in Tensors, cut into rows or in one chunk. "In part" means that some calls are refused; "with
  other signs", that the vectors of a decomposition have other signs, which are free.
"""
# The files of ops/ in the order of the page: what a reader meets first comes first.
ORDER = (
    "arithmetic functions trigonometry choosing comparisons steps activations losses reductions products algebra "
    "windows norms chance shapes indexing sliding places casts special"
).split()


# Which ops there are


def kinds() -> Iterator[tuple[str, str, list[Any]]]:
    """Title, text and members of each kind, which are those of a file in ops/; parts of others come last."""
    parts: list[Op] = []
    members = files()
    for file in [*ORDER, *sorted(members.keys() - {*ORDER})]:
        shown = [o for o in members[file] if not isinstance(o, Op) or names_of(o)]
        parts += [o for o in members[file] if o not in shown]
        if shown:
            yield *said_of(file), shown
    yield (
        "Parts of others",
        "Gradients of other ops are written with these; you need not call them.",
        parts,
    )


def files() -> dict[str, list[Any]]:
    """The ops and public functions of each file, as they stand there."""
    found: dict[str, list[Any]] = {"special": SPECIAL}
    order = [*OPS.values()]
    public = [getattr(tinygrad_steel, name) for name in tinygrad_steel.__all__]
    for node in ast.parse(inspect.getsource(ops)).body:
        if isinstance(node, ast.ImportFrom):
            given = [getattr(ops, name.name) for name in node.names]
            found[node.module] = sorted((x for x in given if x in order), key=order.index)
            found[node.module] += [x for x in given if inspect.isfunction(x) and x in public]
    return found


def said_of(file: str) -> tuple[str, str]:
    """The title of a kind, and the text below it, from the docstring of its file."""
    first, _, rest = inspect.getdoc(sys.modules[f"tinygrad_steel.ops.{file}"]).partition("\n\n")
    title, _, more = " ".join(first.split()).partition(": ")
    return title, f"{upper(more)}\n\n{rest}"


# How an op is called


def names_of(o: Op) -> list[str]:
    """What a user writes for an op: functions, operators, methods; for one of several results, the function of all."""
    found = [o.name] if getattr(tinygrad_steel, o.name, None) is o else []
    found += filter(None, [numpy_name(o)])
    found += [name for name, f in of_numpy() if TWINS.get(f) is o and name not in found]
    found += [f"np.{f.__name__}.{way}" for (f, way), meaning in METHODS.items() if meaning is o]
    found += [text for text, op in expressions() if op is o]
    return found or [name for name, made in spelled() if o in made]


@functools.cache
def of_numpy() -> list[tuple[str, Any]]:
    """NumPy's functions, by their names."""
    view = np.lib.stride_tricks.sliding_window_view
    return [*functions(), ("np.lib.stride_tricks.sliding_window_view", view)]


@functools.cache
def expressions() -> list[tuple[str, Op]]:
    """Operators and methods of Tensors, and the op that each of them is."""
    a, b = tensors([np.array([[1.0, 2.0], [3.0, 5.0]])] * 2)
    p, q = a > 1, b > 2
    binary = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod"}
    binary |= {"**": "pow", "@": "matmul", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    binary |= {"==": "eq", "!=": "ne"}
    found = [(f"a {sign} b", getattr(operator, name)(a, b)) for sign, name in binary.items()]
    found += [("-a", -a), ("abs(a)", abs(a)), ("a[i]", a[0])]
    found += [("p & q", p & q), ("p | q", p | q), ("p ^ q", p ^ q), ("~p", ~p)]
    public = (getattr(a, name) for name in dir(a) if name[0] != "_" and name != "backward")
    for method in filter(inspect.ismethod, public):
        found += [(f"a.{method.__name__}({text})", y) for text, y in tried(method, b)]
    found += [("a.T", a.T)]
    return [(text, y.op) for text, y in found if isinstance(y, Tensor) and is_one_op(y)]


def tried(method: Any, b: Tensor) -> Iterator[tuple[str, Any]]:
    """Calls of a method that it takes, with what they give, the first of each op."""
    known = inspect.signature(method).parameters
    calls: dict[str, tuple[Any, ...]] = {"": ()}
    calls |= {"0": (0,), "0, 1": (0, 1)} if any("axis" in name for name in known) else {}
    calls |= {"shape": ((4,),)} if "shape" in known else {}
    calls |= {"b": (b,)} if "other" in known else {}
    if method.__name__ == "astype":
        calls = {"np.float32": (np.float32,), "int": (int,)}
    seen = set()
    for text, given in calls.items():
        try:
            y = method(*given)
        except (TypeError, ValueError, IndexError):  # it takes something else
            continue
        if isinstance(y, Tensor) and is_one_op(y) and y.op not in seen:
            seen.add(y.op)
            yield text, y


def is_one_op(y: Tensor) -> bool:
    """Whether it was made by a single op, of leaves or of comparisons with a number."""
    made = [x for x in y.inputs if isinstance(x, Tensor) and x.op is not None]
    return y.op is not None and all(x.op.constant for x in made)


@functools.cache
def spelled() -> list[tuple[str, set[Op]]]:
    """Functions of NumPy that mean no single op, and the ops that make one of their results by themselves."""
    found = []
    for name, function in of_numpy():
        if function in SPELLINGS:
            made = [
                x for y in answers(function) for x in (y if isinstance(y, tuple | list) else [y])
            ]
            found.append((name, {y.op for y in made if isinstance(y, Tensor) and is_one_op(y)}))
    return found


# What it computes


class Exact(Dialect):
    """Formulas as a picture has them, with all digits, and numbers as one writes them."""

    def value(self, x: Any) -> str:
        """A number, or a parameter's value."""
        return NUMBERS[x] if isinstance(x, float) and x in NUMBERS else FORMULAS.value(x)


CODE = Exact(runs=False, short=True)
LETTERS = [f"t{i}" for i in range(1, 20)]


def example(o: Op) -> tuple[list[Tensor], Tensor]:
    """Inputs with the op's names for them, of one shape where they could be broadcast, and the result."""
    given = [s for s in o.samples if len(floats(s.inputs)) == len(s.inputs)]
    sample = (given or o.samples)[0]
    inputs = np.broadcast_arrays(*sample.inputs) if o.meets else sample.inputs
    xs = tensors(inputs)
    for x, name in zip(xs, argument_names(o, len(xs)), strict=True):
        x.name = name
    with recording("all"):
        return xs, call(o, xs, sample.params)


def result_of(y: Tensor) -> str:
    """How the result was computed; as a call of the op where the formula does not say its parameters."""
    text, params = formula(y), y.params
    if not params or any(str(value) in text for value in params.values()):
        return text
    values = (f"{name}={getattr(value, '__name__', value)}" for name, value in params.items())
    return f"{y.op.name}({', '.join([*(x.name for x in y.inputs), *values])})"


def code_of(o: Op) -> dict[str, str]:
    """The names of values and how they are computed: `y`, then the parts of gradients and the gradients."""
    xs, y = example(o)
    found = {"y": result_of(y)}
    if not o.differentiable:
        return found
    step = StepNames(y, o, GivenNames(None), ())
    says = [functools.partial(str, name) for name in step.names]
    texts = written_vjps(y, step.g, says, CODE, LETTERS)
    for x, text in zip(xs, texts, strict=True):
        if text is None:
            continue
        whole, *parts = text.split("; ")
        own = {}  # two gradients may have parts of the same letter
        for part in parts:
            letter, _, said = part.partition(" = ")
            own[letter] = next(t for t in LETTERS if t not in found and t not in own.values())
            found[own[letter]] = lettered(said, own)
        found[f"G_{x.name}"] = lettered(whole, own)
    return {name: text.replace("np.", "") for name, text in found.items()}


def lettered(text: str, own: dict[str, str]) -> str:
    """A text with other letters for its parts."""
    return re.sub(r"\bt\d+\b", lambda found: own.get(found[0], found[0]), text)


def block(o: Op) -> list[str]:
    """The code of an op, with the shapes of its example."""
    xs, _ = example(o)
    lines = [f"{name} = {text}" for name, text in code_of(o).items()]
    if not o.elementwise:
        shapes = ", ".join(f"{x.name} {x.shape}" for x in xs)
        lines[0] += f"  # {shapes}"
    return ["```python", *lines, "```"]


def formatted(text: str) -> str:
    """A page with its code in the linter's form, all pieces in one go."""
    pieces = PIECE.findall(text)
    command = [sys.executable, "-m", "ruff", "format", "--config", str(FORM), "-"]
    done = subprocess.run(
        command, input=f"\n{NEXT}\n".join(pieces), capture_output=True, encoding="utf-8", check=True
    )
    found = iter(done.stdout.split(NEXT))
    return PIECE.sub(lambda _: f"```python\n{next(found).strip()}\n```", text)


def conventions(o: Any) -> str:
    """What the docstring of an op or a function says before its sections."""
    doc = inspect.cleandoc(o.__doc__ or "")
    text = re.split(r"^(?:\w[\w ]*\n-{3,}|>>> )", doc, maxsplit=1, flags=re.MULTILINE)[0]
    return " ".join(text.split())


# The page


def escaped(text: str) -> str:
    """A text as Markdown that shows it as it is; what stands in backticks is code."""
    parts = text.split("`")
    parts[::2] = [MARKS.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def entry(o: Op, runs: str) -> list[str]:
    """One op on the page."""
    text = escaped(conventions(o)) + (" A constant to every gradient." if o.constant else "")
    said = {"written as": names_of(o), "parameters": o.param_names}
    facts = "; ".join(f"{what} {in_code(words)}" for what, words in said.items() if words)
    last = f"{upper(facts)}. Runs: {runs}." if facts else f"Runs: {runs}."
    return [f"### {o.name}", "", *paragraph(text), "", *block(o), "", *paragraph(last), ""]


def function(f: Any) -> list[str]:
    """A function on the page that is no op."""
    arguments = ", ".join(inspect.signature(f).parameters)
    text = escaped(conventions(f))
    return [
        f"### {f.__name__}",
        "",
        *paragraph(text),
        "",
        f"Written as `{f.__name__}({arguments})`.",
        "",
    ]


def in_code(words: Iterable[str]) -> str:
    """Words as a list, each of them code."""
    return ", ".join(f"`{word}`" for word in words)


def upper(text: str) -> str:
    """A text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def paragraph(text: str) -> list[str]:
    """A text in lines, none of which is taken for an item of a list or a quotation."""
    lines = textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)
    return [re.sub(r"^([-+>#])", r"\\\1", line) for line in lines]


def said_of_runs(found: dict[str, str]) -> str:
    """Where an op runs, in words."""
    yes = [name if how == "yes" else f"{name} {how}" for name, how in found.items() if how != "no"]
    no = [name for name, how in found.items() if how == "no"]
    return ", ".join(yes) + (f"; not {', '.join(no)}" if no else "")


def page(runs: Mapping[str, str]) -> str:
    """The whole page; `runs`: where each op runs, in words."""
    found = [*kinds()]
    lines = [INTRODUCTION]
    for title, _, members in found:
        links = ", ".join(f"[{x.__name__}](#{x.__name__})" for x in members)
        lines += [*paragraph(f"**{title}**: {links}"), ""]
    for title, text, members in found:
        lines += [f"## {title}", ""]
        for part in filter(None, text.split("\n\n")):
            lines += [*paragraph(escaped(" ".join(part.split()))), ""]
        for x in members:
            lines += entry(x, runs[x.name]) if isinstance(x, Op) else function(x)
    return formatted("\n".join(lines).rstrip() + "\n")


def every_op() -> list[Op]:
    """The ops on the page."""
    return [x for _, _, members in kinds() for x in members if isinstance(x, Op)]


def entries(text: str) -> dict[str, str]:
    """What stands below the name of each op or function on a page."""
    return dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))


def written_runs(text: str) -> dict[str, str]:
    """Where each op runs, as a page says it."""
    found = {
        name: " ".join(body.split()).partition("Runs: ")[2] for name, body in entries(text).items()
    }
    return {name: words.removesuffix(".") for name, words in found.items() if words}


def how_in(words: str) -> dict[str, str]:
    """What the words say of each place where an op may run: yes, no, or how."""
    found = dict.fromkeys(TRIALS, "no")
    for part in words.partition("; not ")[0].split(", "):
        name, _, how = part.partition(" ")
        found[name] = how or "yes"
    return found


def tried_runs(o: Op) -> str:
    """Where an op runs, by trying."""
    return said_of_runs({name: trial(o) for name, trial in TRIALS.items()})


if __name__ == "__main__":
    PAGE.write_text(page({o.name: tried_runs(o) for o in every_op()}), encoding="utf-8")
