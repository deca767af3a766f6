"""How an op is written, as NumPy source or in a formula: as its row in WRITTEN, or as a call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from .literals import PYTHONS, dtype_name, index_text, is_long, literal, short_number, value_text
from .messages import call_of
from .names import numpy_name, words
from .texts import ATOM, COMPARISON, POWER, PRODUCT, SIGN, SUM, Text, joined, separated
from .values import VALUES, Apply, Constant, Value, alias

WIDTH = 100  # characters of a line
INLINE = 60  # of an expression that may stand inside another
SLIDING = "np.lib.stride_tricks.sliding_window_view"


@dataclasses.dataclass(frozen=True)
class Dialect:
    """A way of saying things.

    `runs`: whether Python is to run it, so that functions are NumPy's and numbers have their dtype.
    `defined`: the functions that stand before, for what NumPy does not have. `generators`: what
    that is called which draws a value. `short`: whether numbers have few digits.
    """

    runs: bool
    defined: Mapping[Value, str] = dataclasses.field(default_factory=dict)
    generators: Mapping[Value, str] = dataclasses.field(default_factory=dict)
    short: bool = False

    def value(self, x: Any) -> str:
        """A number, or a parameter's value."""
        is_float = isinstance(x, float | np.floating)
        return short_number(x) if self.short and is_float else value_text(x, self.runs)


FORMULAS = Dialect(runs=False)
PICTURES = Dialect(runs=False, short=True)


def numpy_source(defined: Mapping[Value, str]) -> Dialect:
    """The dialect of what Python runs."""
    return Dialect(runs=True, defined=defined)


@dataclasses.dataclass(frozen=True)
class Speech:
    """What is known while values are said, inputs first.

    `texts`: how those before are said, by a name or by what computes them. `late`: what depends on
    the gradient of the loss.
    """

    dialect: Dialect
    late: Collection[Value] = ()
    texts: dict[Value, Text] = dataclasses.field(default_factory=dict)

    def is_named(self, x: Any) -> bool:
        """Whether a value is said by a name."""
        return x in self.texts and self.texts[x].text.isidentifier()


def expression(y: Apply, speech: Speech) -> Text:
    """The op of an Apply, applied to its inputs, as these are said."""
    return spelling(y, speech).of(y)


def spelling(y: Apply, speech: Speech) -> Text:
    """As one writes it by hand, in the form of its op, or else as a call."""
    product = product_with_gradient(y, speech)
    if product is not None:
        return product
    inputs = [operand(x, y, speech) for x in y.inputs]
    text = WRITTEN[y.op](y, inputs, speech.dialect) if y.op in WRITTEN else None
    return text or call(y, inputs, speech)


# Inputs


def operand(x: Any, user: Apply, speech: Speech) -> Text:
    """An input of `user`: as it is said, or a number or an array as a literal."""
    if not isinstance(x, VALUES):
        return number_text(x, user, speech.dialect)
    if x in speech.texts or not isinstance(x, Constant):
        return speech.texts[x]
    if x.shape:
        return Text(literal(x.data)).of(x)
    return number_text(x.data, user, speech.dialect).of(x)


def number_text(x: Any, user: Apply, dialect: Dialect) -> Text:
    """A number among the inputs of `user`, typed where a plain one would have another dtype."""
    x = x[()] if isinstance(x, np.ndarray) else x
    text = dialect.value(x) if dialect.short else value_text(x)
    if (
        dialect.runs
        and isinstance(x, np.generic)
        and not is_long(x.dtype)
        and not plain_is_same(x, user)
    ):
        return Text(f"{dtype_name(x.dtype)}({text})")
    return Text(text, SIGN if text.startswith("-") else ATOM)


def plain_is_same(x: np.generic, user: Apply) -> bool:
    """Whether an op makes the same of a plain number as of this one."""
    if numpy_name(user.op) is None and user.op not in WRITTEN:  # a definition may ask for its dtype
        return False
    if not user.op.elementwise:
        # NumPy makes an array of it, which has the dtype that such a number has.
        return x.dtype in PYTHONS
    others = [i for i in user.values() if not is_number(i)]  # NumPy gives it their dtype
    return any(i.dtype in (x.dtype, np.float64) for i in others)


def is_number(x: Any) -> bool:
    """Whether it is a plain number to a reader."""
    return not isinstance(x, VALUES) or (isinstance(x, Constant) and not x.shape)


# Forms: (what is said, the texts of its inputs, the dialect) -> the text, or None where it is
# called like all others

Form = Callable[[Apply, list[Text], Dialect], Text | None]

INFIX: dict[Op, tuple[str, int]] = {
    ops.add: ("+", SUM),
    ops.subtract: ("-", SUM),
    ops.multiply: ("*", PRODUCT),
    ops.divide: ("/", PRODUCT),
    ops.floor_divide: ("//", PRODUCT),
    ops.remainder: ("%", PRODUCT),
    ops.matmul: ("@", PRODUCT),
    ops.power: ("**", POWER),
    ops.greater: (">", COMPARISON),
    ops.greater_equal: (">=", COMPARISON),
    ops.less: ("<", COMPARISON),
    ops.less_equal: ("<=", COMPARISON),
    ops.equal: ("==", COMPARISON),
    ops.not_equal: ("!=", COMPARISON),
}


def between(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`a + b`."""
    a, b = inputs
    second = y.inputs[1]
    if isinstance(second, VALUES) and second.dtype.kind in "iu" and not is_number(second):
        b = b.at(ATOM)  # a - -b is not a + b where -b wraps around
    return infix(y.op, a, b)


def infix(op: Op, a: Text, b: Text) -> Text:
    """Two operands with a sign between them, in parentheses where they are needed."""
    sign, level = INFIX[op]
    if sign in "+-" and b.text.startswith("-") and b.level >= PRODUCT:
        sign, b = "-+"[sign == "-"], b.without_sign()
    if level == PRODUCT and " @ " in f"{a} {sign} {b}":
        keeps_a = a.level > level or f" {sign} " in a.text
        a, b = a if keeps_a else a.at(ATOM), b if b.level > level else b.at(ATOM)
    if sign == "**":
        return joined(a.at(ATOM), " ** ", b.at(SIGN), level=level)
    if sign in ("//", "%") and a.text.startswith("-"):
        a = a.at(ATOM)  # -x // y is not -(x // y): nobody may take the sign away
    left = level + 1 if level == COMPARISON else level
    return joined(a.at(left), f" {sign} ", b.at(level + 1), level=level)


def negated(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`-x`."""
    return joined("-", inputs[0].at(SIGN), level=SIGN)


def transposed(y: Apply, inputs: list[Text], dialect: Dialect) -> Text | None:
    """`x.T`."""
    return None if y.params.get("axes") else joined(inputs[0].at(ATOM), ".T")


def with_new_axis(y: Apply, inputs: list[Text], dialect: Dialect) -> Text | None:
    """`x[:, None]` or `x[None]` for a vector."""
    axis = y.params["axis"]
    if len(y.shape) != 2 or axis not in (0, 1, -1, -2):
        return None
    return joined(inputs[0].at(ATOM), "[None]" if axis in (0, -2) else "[:, None]")


def with_dtype(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`x.astype(np.float32)`; in formulas nobody asks for the dtype."""
    x = inputs[0]
    if not dialect.runs:
        return x
    kind = dtype_name(np.dtype(y.params["dtype"]))
    return joined(x.at(ATOM), f".astype({kind})") if y.shape else joined(f"{kind}(", x, ")")


def subscript(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`x[index]`."""
    x, *arrays = inputs
    array = x.at(ATOM) if y.inputs[0].shape else joined("np.asarray(", x, ")")
    return joined(array, "[", index_text(y.params["index"], arrays), "]")


def in_windows(y: Apply, inputs: list[Text], dialect: Dialect) -> Text | None:
    """`np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2]`."""
    if not dialect.runs:
        return None
    name, (size, axes) = SLIDING, (y.params["size"], y.params["axes"])
    return joined(
        f"{name}(", inputs[0], f", {size}, {axes})", every_text(y, len(y.inputs[0].shape))
    )


def every_text(y: Apply, ndim: int) -> str:
    """The index that takes every so many windows; nothing where it takes all."""
    index = ops.every(y.params.get("stride", 1), y.params["axes"], ndim)
    steps = [i.step for i in index]
    last = max((i for i, n in enumerate(steps) if n > 1), default=None)
    if last is None:
        return ""
    return f"[{', '.join(':' if n == 1 else f'::{n}' for n in steps[: last + 1])}]"


def result_of(function: str, name: str, *fixed: str) -> Form:
    """`np.linalg.eigh(x).eigenvectors`: one of several results of a function."""

    def named(y: Apply, inputs: list[Text], dialect: Dialect) -> Text | None:
        if not dialect.runs:
            return None
        arguments = named_arguments(y, inputs, function, dialect)
        return joined(function, "(", separated([*arguments, *fixed]), ").", name)

    return named


def place_of(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`np.nonzero(x)[0]`."""
    return joined("np.nonzero(", inputs[0], f")[{y.params['axis']}]")


def kept_or_dropped(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`(rng.random(x.shape) >= 0.5) / (1 - 0.5)`; in formulas `dropout_mask(0.5)`."""
    rate = value_text(y.params["rate"])
    if not dialect.runs:
        return Text(f"{y.op.name}({rate})")
    drawn = joined(f"({dialect.generators[y]}.random(", inputs[0].at(ATOM), f".shape) >= {rate})")
    return in_its_dtype(y, joined(drawn, f" / (1 - {rate})", level=PRODUCT))


def normal(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """`rng.normal(0, 0.1, x.shape)`; in formulas `normal_noise(0.1)`."""
    spread = value_text(y.params["spread"])
    if not dialect.runs:
        return Text(f"{y.op.name}({spread})")
    start = f"{dialect.generators[y]}.normal(0, {spread}, "
    return in_its_dtype(y, joined(start, inputs[0].at(ATOM), ".shape)"))


def in_its_dtype(y: Apply, drawn: Text) -> Text:
    """What was drawn in float64, in the dtype of a value."""
    if y.dtype == np.float64:
        return drawn
    return joined(drawn.at(ATOM), f".astype({dtype_name(y.dtype)})")


def the_same(y: Apply, inputs: list[Text], dialect: Dialect) -> Text:
    """Another name for the same value."""
    return inputs[0]


WRITTEN: Mapping[Op, Form] = {
    **dict.fromkeys(INFIX, between),
    ops.negative: negated,
    ops.transpose: transposed,
    ops.expand_dims: with_new_axis,
    ops.astype: with_dtype,
    ops.asconstant: with_dtype,
    ops.getitem: subscript,
    ops.sliding_windows: in_windows,
    ops.signdet: result_of("np.linalg.slogdet", "sign"),
    ops.logabsdet: result_of("np.linalg.slogdet", "logabsdet"),
    ops.eigenvectors: result_of("np.linalg.eigh", "eigenvectors"),
    ops.svd_u: result_of("np.linalg.svd", "U", "full_matrices=False"),
    ops.svd_vh: result_of("np.linalg.svd", "Vh", "full_matrices=False"),
    ops.qr_q: result_of("np.linalg.qr", "Q"),
    ops.qr_r: result_of("np.linalg.qr", "R"),
    ops.nonzero: place_of,
    ops.dropout_mask: kept_or_dropped,
    ops.normal_noise: normal,
    alias: the_same,
}


def product_with_gradient(y: Apply, speech: Speech) -> Text | None:
    """`2 * G * x` as `2 * x * G`, a mean's division last, as one writes them by hand."""
    found = factor_and_gradient(y, speech)
    if found is None:
        return None
    factor, g = found
    inner, x = y.inputs
    product = infix(ops.multiply, number_text(factor, y, speech.dialect), operand(x, y, speech))
    if (
        not isinstance(g, Apply)
        or g.op is not ops.divide
        or isinstance(g.inputs[1], VALUES)
        or speech.is_named(g)
    ):
        return infix(ops.multiply, product, operand(g, inner, speech))
    product = infix(ops.multiply, product, operand(g.inputs[0], g, speech))
    return infix(ops.divide, product, number_text(g.inputs[1], g, speech.dialect))


def factor_and_gradient(y: Apply, speech: Speech) -> tuple[Any, Any] | None:
    """The number and the gradient in `2 * G * x`; None for anything else."""
    if y.op is not ops.multiply:
        return None
    inner, x = y.inputs
    if not isinstance(inner, Apply) or inner.op is not ops.multiply or inner not in speech.late:
        return None
    if speech.is_named(inner) or not isinstance(x, VALUES) or x in speech.late:
        return None
    factor, g = sorted(inner.inputs, key=lambda i: isinstance(i, VALUES))
    if isinstance(factor, VALUES) or not x.dtype == g.dtype == y.dtype or y.dtype.itemsize < 4:
        return None  # in another order float16 would be rounded to fewer digits, or leave its range
    return factor, g


# Calls

POSITIONAL = {
    ops.reshape,
    ops.transpose,
    ops.swapaxes,
    ops.expand_dims,
    ops.broadcast_to,
    ops.squeeze,
    ops.flip,
    ops.scatter,
}


def is_missing(y: Apply) -> bool:
    """Whether NumPy does not have it, so that a function is to be defined for it."""
    if y.op is ops.norm:
        return isinstance(y.params.get("axis"), tuple)
    return y.op not in WRITTEN and numpy_name(y.op) is None


def call(y: Apply, inputs: list[Text], speech: Speech) -> Text:
    """A function call: NumPy's, or that of a definition, which has its parameters built in."""
    dialect = speech.dialect
    name = function_called(y, dialect)
    if y in dialect.defined and y.op is not ops.scatter:
        return joined(f"{name}(", separated(inputs), ")")
    if not dialect.runs and y.op is ops.sum and inputs[0].text.isidentifier():
        return joined(inputs[0], ".sum(", separated(named_arguments(y, [], name, dialect)), ")")
    if y.op.sequence:
        inputs = [joined("[", separated(inputs), "]")]
    arguments = ARGUMENTS.get(y.op, named_arguments)
    try:
        return joined(name, "(", separated(arguments(y, inputs, name, dialect)), ")")
    except TypeError as error:
        named = {x: str(text) for x, text in speech.texts.items() if speech.is_named(x)}
        raise TypeError(f"{call_of(y, named)} cannot be written out: {error}") from error


def function_called(y: Apply, dialect: Dialect) -> str:
    """The name of the function."""
    if y in dialect.defined:
        return dialect.defined[y]
    return (dialect.runs and numpy_name(y.op)) or y.op.name


Arguments = Callable[[Apply, list[Text], str, Dialect], list[str | Text]]


def named_arguments(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """The inputs, and the parameters that are not what they are by default."""
    params = {k: v for k, v in y.params.items() if v is not y.op.defaults[k]}
    known = words(name) if name.startswith("np.") else None
    by_place = y.op in POSITIONAL or (known is not None and not {*params} <= known)
    texts = {k: dialect.value(v) for k, v in params.items()}
    return [*inputs, *(text if by_place else f"{k}={text}" for k, text in texts.items())]


def bounds(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """`np.clip(x, 0, 1)`."""
    return [*inputs, *(number_text(y.params.get(k), y, dialect) for k in ("a_min", "a_max"))]


def subscripts_first(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """`np.einsum("ij,jk->ik", a, b)`."""
    return [repr(y.params["subscripts"]).replace("'", '"'), *inputs]


def index_and_shape(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """`scatter(g, index, shape)`."""
    g, *arrays = inputs
    return [g, index_text(y.params["index"], arrays, alone=False), str(y.params["shape"])]


def widths_first(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """`np.pad(x, ((1, 1),), constant_values=2)`."""
    constants = y.params.get("constant_values", 0)
    more = [f"constant_values={value_text(constants, dialect.runs)}"] if constants != 0 else []
    return [*inputs, value_text(y.params["pad_width"]), *more]


def inputs_alone(y: Apply, inputs: list[Text], name: str, dialect: Dialect) -> list[str | Text]:
    """The inputs alone: they say what the parameters are."""
    return [*inputs]


ARGUMENTS: Mapping[Op, Arguments] = {  # all others: named_arguments
    ops.clip: bounds,
    ops.einsum: subscripts_first,
    ops.scatter: index_and_shape,
    ops.pad: widths_first,
    ops.one_hot: inputs_alone,
}
