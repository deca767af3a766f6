"""Spans: run as Python, the characters that say a value give the number of that value."""

import numpy as np
import pytest
from frozen import random_loss

from tinygrad_steel import Tensor
from tinygrad_steel.program.definitions import Definitions, reserved_names
from tinygrad_steel.program.expressions import numpy_source
from tinygrad_steel.program.lines import backprop, reading_order
from tinygrad_steel.program.texts import ATOM, PRODUCT, SUM, Text, joined
from tinygrad_steel.program.trace import for_reader, trace
from tinygrad_steel.written.layout import function_text


def spans_of(loss, names=None):
    """Each span of each line: its text, the number of its value, and what the text may use."""
    traced = for_reader(trace(loss, names))
    order, definitions = reading_order(traced), Definitions()
    dialect = numpy_source(definitions.define(order, traced))
    written = backprop(traced, order, dialect, reserved_names(traced))
    numbers = traced.numbers()
    known = {"np": np}
    for function in definitions.functions.values():
        exec(function_text(function), known)
    texts = written.speech.texts
    known |= {text.text: numbers[x] for x, text in texts.items() if text.text.isidentifier()}
    for line in written.lines.values():
        for start, end, value in line.spans:
            yield line.text[start:end], numbers[value], known


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_each_span_gives_the_number_of_its_value(seed):
    checked = 0
    for text, number, known in spans_of(random_loss(seed)):
        found = np.asarray(eval(text, {**known}))
        size = np.max(np.abs(number), initial=0, where=np.isfinite(number))
        np.testing.assert_allclose(
            np.broadcast_to(found, number.shape), number, rtol=1e-9, atol=1e-12 * size, err_msg=text
        )
        checked += 1
    assert checked > 15


def test_what_is_moved_about_is_said_no_more():
    """`2 * G * x` is written as `2 * x * G`, so that no characters say `2 * G`."""
    x = Tensor(np.arange(3.0), requires_grad=True, name="x")
    texts = {text for text, _, _ in spans_of(np.sum(np.square(x * x)))}
    assert "2 * G_loss" not in texts and len(texts) > 3


def test_parts_keep_their_places():
    a, b = Text("a").of("A"), joined("-", Text("b").of("B"), level=PRODUCT).of("minus B")
    total = joined(a, " - ", b.without_sign(), level=SUM).of("sum")
    assert total.text == "a - b" and total.spans == ((0, 5, "sum"), (0, 1, "A"), (4, 5, "B"))
    closed = total.at(ATOM)
    assert closed.text == "(a - b)" and closed.level == ATOM
    assert [closed.text[start:end] for start, end, _ in closed.spans] == ["a - b", "a", "b"]
    assert closed.at(ATOM) is closed


def test_an_index_says_its_arrays():
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, name="x")
    rows = np.array([0, 1, 1])
    texts = [text for text, _, _ in spans_of(np.sum(x[rows, 1:] * 2.0), {"rows": rows})]
    assert "rows" in texts and "x" in texts and "x[rows, 1:]" in texts
