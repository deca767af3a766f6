"""A program's loops as a module for numba: `step`, `epoch`, or a function for each segment."""

from __future__ import annotations

import re

import numpy as np

from ..program.values import Value
from .indices import flat, indented, loop_variables
from .long_folds import CALLS
from .loop_forms import ELEMENTARY
from .loops import Loops
from .lower import TrainingStep
from .lowered import size
from .memory import Block, holds_all, largest_integer

SHAPE, RANGE, LARGE_NUMBER = 1, 2, 3  # what a compiled function returns where it could not run
IMPORTS = [
    '"""Written by tinygrad_steel."""',
    "",
    "import numba",
    "import numpy as np",
    "from tinygrad_steel.compiled.pipeline import Pipeline",
]
OWN = {
    "elementary": [op.name for op in ELEMENTARY],
    "elementary_folds": sorted({*CALLS.values()}),
    "kernels": ["affine", "affine_relu", "product", "product_relu_vjp"],
}
END = ["    return 0", ""]


def source(loops: Loops, what: str) -> str:
    """A module with a function `step` or `epoch`, or with the segments between what is left to
    NumPy.
    """
    program, block = loops.program, loops.block
    memory = {"m": f"{block.dtype}[::1]"}
    if len(loops.segments) > 1:
        lines = segment_functions(loops, memory)
    elif what == "epoch" and program.feeds:
        lines = epoch(program, block, loops.segments[0], memory)
    else:
        lines = step(program, block, loops.segments[0], memory)
    table = [f"PLACES = np.array({loops.table}, dtype=np.int64)", ""] if loops.table else []
    imports = [*IMPORTS, *own_imports("\n".join(lines)), ""]
    return "\n".join([*imports, *table, *lines])


def own_imports(text: str) -> list[str]:
    """The imports of those functions of ours that a module calls."""
    called = set(re.findall(r"(?<![\w.])(\w+)\(", text))
    found = {file: [name for name in names if name in called] for file, names in OWN.items()}
    return [
        f"from tinygrad_steel.compiled.{file} import {', '.join(names)}"
        for file, names in found.items()
        if names
    ]


def segment_functions(loops: Loops, memory: dict[str, str]) -> list[str]:
    """A function for each run of loops."""
    lines = []
    for i, body in enumerate(loops.segments):
        if isinstance(body, list) and body:
            lines += [*head(f"segment{i}", memory), *indented(body, 1), *END]
    return lines


def step(program: TrainingStep, block: Block, body: list[str], memory: dict[str, str]) -> list[str]:
    """One step: the arrays into the block, then the loops."""
    feeds = feed_names(program)
    inside = [line for name, x in feeds.items() for line in take(name, x, program, block)]
    types = {name: array_type(x) for name, x in feeds.items()}
    return [*head("step", {**types, **memory}), *indented([*inside, *body], 1), *END]


def epoch(
    program: TrainingStep, block: Block, body: list[str], memory: dict[str, str]
) -> list[str]:
    """All steps of an epoch: rows gathered by `order`, which are checked before, and results of
    each step kept.
    """
    feeds = feed_names(program)
    outputs = {f"out{i}": x for i, x in enumerate(program.outputs)}
    one_array = f"{block.dtype}[::1]"
    arguments = {name: array_type(x) for name, x in feeds.items()}
    arguments |= {"order": "int64[::1]", "numbers": f"{block.dtype}[:,::1]", "losses": one_array}
    arguments |= dict.fromkeys(outputs, one_array)
    inside = [
        *gather(feeds, block),
        *(f"m[{block.places[x]}] = numbers[s, {i}]" for i, x in enumerate(program.numbers)),
        *body,
        f"losses[s] = m[{block.places[program.loss]}]",
        *(line for name, x in outputs.items() for line in keep(name, x, block)),
    ]
    return [
        *head("epoch", {**arguments, **memory}),
        "    for s in range(losses.size):",
        *indented(inside, 2),
        *END,
    ]


def feed_names(program: TrainingStep) -> dict[str, Value]:
    """What the arguments are called, and the leaves whose arrays they bring."""
    return {f"x{i}": x for i, x in enumerate(program.feeds)}


def head(name: str, arguments: dict[str, str], nogil: bool = False) -> list[str]:
    """The first lines of a function; `arguments`: their types, by name."""
    types = ", ".join(arguments.values())
    # No fastmath: (x + c) - c is not x, and it saves no time
    options = 'cache=True, error_model="numpy", no_cfunc_wrapper=True, pipeline_class=Pipeline'
    if nogil:
        options += ", nogil=True"
    return [f'@numba.njit("int64({types})", {options})', f"def {name}({', '.join(arguments)}):"]


def array_type(x: Value) -> str:
    """The type of a leaf's array, as numba calls it; a single number comes as an array of one."""
    kind = "boolean" if x.dtype.kind == "b" else x.dtype.name
    more_axes = ":," * (len(x.shape) - 1)
    return f"{kind}[{more_axes}::1]"


def take(name: str, x: Value, program: TrainingStep, block: Block) -> list[str]:
    """The array of an argument into the block, unless its shape or its numbers are wrong."""
    lengths = [f"{name}.shape[{i}] != {n}" for i, n in enumerate(x.shape or (1,))]
    lines = [
        f"if {' or '.join(lengths)}:",
        f"    return {SHAPE}",
        f"y = {name}.ravel()",
        f"for j in range({size(x)}):",
    ]
    if classes := program.classes(x):
        lines += [f"    if y[j] < 0 or y[j] >= {min(classes)}:", f"        return {RANGE}"]
    elif not holds_all(block.dtype, x.dtype):
        lines += [f"    if {too_large(x.dtype, block.dtype)}:", f"        return {LARGE_NUMBER}"]
    return [*lines, f"    m[{block.places[x]} + j] = y[j]"]


def too_large(integers: np.dtype, dtype: np.dtype) -> str:
    """The test for an integer that a float dtype may not hold."""
    limit = largest_integer(dtype)
    return (
        f"y[j] > {limit} or y[j] < -{limit}"
        if integers.kind == "i"
        else f"y[j] > np.uint64({limit})"
    )


def gather(feeds: dict[str, Value], block: Block) -> list[str]:
    """The rows of one mini-batch into the block."""
    rows = next(iter(feeds.values())).shape[0]
    lines = [f"for i in range({rows}):", f"    row = order[s * {rows} + i]"]
    for name, x in feeds.items():
        _, *at = (i.replace("i", "j") for i in loop_variables(x.shape))
        place = flat(block.places[x], x.shape, ("i", *at))
        copy = [f"m[{place}] = {name}[{', '.join(['row', *at])}]"]
        for j, n in reversed([*zip(at, x.shape[1:])]):
            copy = copy if n == 1 else [f"for {j} in range({n}):", *indented(copy, 1)]
        lines += indented(copy, 1)
    return lines


def keep(name: str, x: Value, block: Block) -> list[str]:
    """An output of one step into the array for all steps."""
    count = size(x)
    return [f"for j in range({count}):", f"    {name}[s * {count} + j] = m[{block.places[x]} + j]"]
