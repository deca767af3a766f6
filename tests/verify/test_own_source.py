"""What a report keeps for a page: the functions in which steps were made, and the arrays that were compared.

Which lines a function has is known from the text that the test writes.
"""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import B0, DZ, RIGHT, W0, X, Y, problem, reported

from tinygrad_steel import Tensor, compare_backprop


def compared(text, run="backward()", file="/home/mine.py", with_source=True):
    """A text with code, and the report on it when it is run from this file."""
    return reported(text, run, with_source, file)[:2]


def only(report):
    (source,) = report.sources
    return source


def test_a_function_is_kept_whole_with_its_first_line():
    text, report = compared("""
        # above it

        def backward():
            '''A line
        that is not indented.'''
            dz = 2 * (X @ W0 + b0 - Y) / 12
            dW = dz.T @ X

            return dW, dz.sum(axis=0)

        after = 1
    """)
    source = only(report)
    assert (source.called, source.function, source.start) == ("mine.py", "backward", 3)
    assert [*source.lines] == text.splitlines()[2:9]
    assert source.lines[report.first_wrong.where.line - source.start] == "    dW = dz.T @ X"


def test_a_decorator_belongs_to_its_function_and_methods_have_their_class():
    text, report = compared(
        """
        def same(f):
            return f

        class Other:
            def backward(self, dz):
                return dz * 0

        class Net:
            @same
            def backward(self):
                dz = X @ W0 + b0 - Y
                self.dW = X.T @ dz
                self.db = dz.sum(axis=0)
                return self.dW, self.db
    """,
        "Net().backward()",
    )
    source = only(report)
    assert (source.function, source.start) == ("Net.backward", 9)
    assert [*source.lines] == text.splitlines()[8:14]


def test_each_function_is_kept_once_that_of_the_first_step_first():
    _, report = compared("""
        def of_z():
            dz = 2 * (X @ W0 + b0 - Y) / 12
            return dz

        def of_leaves(dz):
            dW = X.T @ dz
            db = -dz.sum(axis=0)
            return dW, db

        def backward():
            return of_leaves(of_z())
    """)
    assert [source.function for source in report.sources] == ["of_z", "of_leaves"]
    assert [source.start for source in report.sources] == [1, 5]
    (wrong,) = (source for source in report.sources if source.holds(report.first_wrong.where))
    assert wrong.lines[report.first_wrong.where.line - 5] == "    db = -dz.sum(axis=0)"


def test_a_function_in_a_function_is_a_part_of_the_one_around_it():
    _, report = compared("""
        def backward():
            dz = 2 * (X @ W0 + b0 - Y) / 12

            def weights():
                dW = 3 * X.T @ dz
                return dW

            dW = weights()
            return dW, dz.sum(axis=0)
    """)
    spans = {source.function: (source.start, len(source.lines)) for source in report.sources}
    assert spans == {"backward": (1, 9)}


def test_a_lambda_is_kept_with_its_statement():
    text, report = compared("""
        dz = 2 * (X @ W0 + b0 - Y) / 12
        backward = lambda: (
            X.T @ dz,
            dz.sum(axis=0) * 2,
        )
    """)
    source = only(report)
    assert [*source.lines] == text.splitlines()[1:5] and source.start == 2


def test_a_lambda_in_a_function_is_kept_with_that():
    text, report = compared("""
        class Maker:
            def made(self):
                of_z = lambda: 2 * (X @ W0 + b0 - Y) / 12
                of_W = lambda: X.T @ of_z() * 2
                return lambda: (of_W(), of_z().sum(axis=0))

        backward = Maker().made()
    """)
    source = only(report)
    assert (source.function, source.start) == ("made", 2)
    assert [*source.lines] == text.splitlines()[1:5]
    assert source.lines[report.first_wrong.where.line - 2].strip().startswith("of_W = ")


def test_a_cell_is_kept_whole():
    cell = "%matplotlib inline\ndz = 2 * (X @ W0 + b0 - Y) / 12\ndW = X.T @ dz\n\ndb = dz.sum(axis=1)\n"
    loss, names = problem()
    space = {"np": np, "X": X, "Y": Y, "W0": W0, "b0": B0}
    source = only(compare_backprop(loss, {**space, **names}, backprop=cell))
    assert (source.start, source.function) == (1, "<module>")
    assert [*source.lines] == ["", *cell.splitlines()[1:]]


def test_code_without_a_source_has_none():
    _, report = compared(
        """
        def backward():
            dz = X @ W0 + b0 - Y
            return X.T @ dz, dz.sum(axis=0)
    """,
        with_source=False,
    )
    assert report.first_wrong.where is not None and report.sources == []


def test_arrays_that_are_handed_over_have_no_source():
    loss, names = problem()
    assert compare_backprop(loss, names, G_W=RIGHT["W"]).sources == []


# Arrays


def test_the_array_is_what_it_was_when_it_was_compared():
    loss, names = problem()
    own = -RIGHT["W"]
    report = compare_backprop(loss, names, G_W=own)
    wanted = own.copy()
    own[:] = 0
    np.testing.assert_array_equal(report.first_wrong.array, wanted)
    assert report.first_wrong.factor == 1


@pytest.mark.parametrize("as_code", [False, True])
def test_the_array_is_divided_by_what_the_whole_chain_has(as_code):
    """The mean's division by 12 comes last."""
    loss, names = problem()

    def backward():
        dz = 2 * (X @ W0 + B0 - Y)
        return X.T @ dz / 12, dz.sum(axis=0) / 12

    arrays = {f"G_{name}": RIGHT[name] for name in "Wb"} | {"G_z": 12 * RIGHT["z"]}
    run = {"backprop": backward} if as_code else arrays
    report = compare_backprop(loss, names, **run)
    assert report.ok
    found = {step.name: step for step in report.steps}
    assert [found[f"G_{name}"].factor for name in "zWb"] == [12, 1, 1]
    for name in "zWb":
        np.testing.assert_allclose(found[f"G_{name}"].array, RIGHT[name], rtol=1e-12)


@pytest.mark.parametrize("as_code", [False, True])
def test_the_array_of_a_declared_convention_is_as_the_graph_has_it(as_code):
    """Columns, the sum over six rows and a minus sign: each array is given back in the graph's terms."""
    loss, names = problem()
    own = {name: -6 * a.T for name, a in RIGHT.items()} | {"b": -6 * RIGHT["b"][:, None]}

    def backward():
        W, b = W0.T, B0[:, None]
        z = W @ X.T + b
        dz = -(z - Y.T)
        return {"W": dz @ X, "b": dz.sum(axis=1, keepdims=True)}

    run = {"backprop": backward} if as_code else {f"G_{name}": own[name] for name in "Wbz"}
    report = compare_backprop(loss, names, convention=("columns", "sum", "descent"), **run)
    assert report.ok, report
    for step in report.steps:
        name = step.name.removeprefix("G_")
        np.testing.assert_allclose(step.array, RIGHT[name], rtol=1e-12)
        assert step.factor == -6


def test_a_bias_of_another_shape_has_the_array_in_that_of_the_graph():
    W, b = Tensor(W0, requires_grad=True), Tensor(B0[None], requires_grad=True)
    loss = np.mean(np.square(X @ W + b - Y))
    report = compare_backprop(loss, {"W": W, "b": b}, G_W=RIGHT["W"], G_b=RIGHT["b"])
    (step,) = (step for step in report.steps if step.name == "G_b")
    assert step.shape == (2,) and step.array.shape == (1, 2)


def test_a_wrong_shape_has_the_array_as_it_is():
    loss, names = problem()
    report = compare_backprop(loss, names, G_b=DZ.sum(axis=1))
    np.testing.assert_array_equal(report.first_wrong.array, DZ.sum(axis=1))


def test_a_value_of_another_forward_has_its_array_and_the_age_of_its_tensor():
    _, report = compared("""
        def backward():
            z = X @ W0 - b0
            dz = 2 * (z - Y) / 12
            return X.T @ dz, dz.sum(axis=0)
    """)
    first = report.first_wrong
    assert first.faults == ("other-forward",)
    np.testing.assert_array_equal(first.array, X @ W0 - B0)
    assert first.age is not None


def test_steps_are_equal_and_printed_without_their_arrays():
    loss, names = problem()
    one, other = (compare_backprop(loss, names, G_W=2 * RIGHT["W"]).steps for _ in range(2))
    assert one == other and not one != other
    assert one != compare_backprop(loss, names, G_W=3 * RIGHT["W"]).steps
    assert "array" not in repr(one[0]) and repr(one[0]).startswith("Step(name='G_W', shape=(3, 2)")
    assert "array" not in one[0].to_dict()
