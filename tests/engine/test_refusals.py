"""What is refused says what to write instead, in the words of the line that it is about, and that works."""

import functools
import itertools
import linecache
import re

import numpy as np
import pytest
from helpers import close, leaf

import tinygrad_steel
from tinygrad_steel import Tensor

A, B, V = 1.5, -2.0, np.array([0.5, 1.0])
W = np.array([[1.0, 2.0], [3.0, 5.0]])


def refused(line):
    """The names that a line works on, and what its refusal ends with; the line stands in a file, as people's do."""
    a, b = (Tensor(x, requires_grad=True) for x in (A, B))
    names = {
        "np": np,
        "tinygrad_steel": tinygrad_steel,
        "Tensor": Tensor,
        "a": a,
        "b": b,
        "v": Tensor(V, requires_grad=True),
        "rows": [a, b],
        "z": np.arange(3.0),
        "i": 1,
        "mask": np.array([True, False, True]),
        "zz": np.ones((2, 2)),
        "w": Tensor(W, requires_grad=True),
    }
    file = f"<refused {line}>"
    linecache.cache[file] = (len(line), None, [line + "\n"], file)
    with pytest.raises((TypeError, ValueError)) as caught:
        exec(compile(line, file, "exec"), names)
    error = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    return names, str(error)


LINES = [
    ("np.array([a, b])", "np.stack([a, b])", [A, B]),
    ("np.asarray(rows)", "np.stack(rows)", [A, B]),
    ("np.array((a, 0.5), dtype=float)", "np.stack([a, 0.5])", [A, 0.5]),
    ("Tensor([a, b])", "np.stack([a, b])", [A, B]),
    (
        "np.array([[a, b], [b, a]])",
        "np.stack([np.stack([a, b]), np.stack([b, a])])",
        [[A, B], [B, A]],
    ),
    ("np.mean([a, b])", "np.mean(np.stack([a, b]))", -0.25),
    ("np.sum(rows, axis=0)", "np.sum(np.stack(rows), axis=0)", -0.5),
    ("[a, b] + np.ones(2)", "np.stack([a, b]) + np.ones(2)", [A + 1, B + 1]),
    ("np.full(3, a)", "np.broadcast_to(a, 3)", [A, A, A]),
    ("zz.dot(v)", "np.dot(zz, v)", [1.5, 1.5]),
    ("zz.T.dot([a, b])", "np.dot(zz.T, np.stack([a, b]))", [A + B, A + B]),
    ("np.full(3, a * 2, dtype=float)", "np.broadcast_to(a * 2, 3).astype(float)", [2 * A] * 3),
    ("np.full(fill_value=a, shape=(1, 2))", "np.broadcast_to(a, (1, 2))", [[A, A]]),
    ("np.full_like(z, a)", "np.broadcast_to(a, np.shape(z)).astype(z.dtype)", [A, A, A]),
    (
        "np.select([z > 1, z > 0], [z, 5.0], a)",
        "np.where(z > 1, z, np.where(z > 0, 5.0, a))",
        [A, 5, 2],
    ),
    ("np.delete(v, 0)", "np.ravel(v)[np.delete(np.arange(np.size(v)), 0)]", [1]),
    ("np.delete(w, [1, 2])", "np.ravel(w)[np.delete(np.arange(np.size(w)), [1, 2])]", [1, 5]),
    (
        "np.delete(w, -1, axis=1)",
        "np.take(w, np.delete(np.arange(np.shape(w)[1]), -1), axis=1)",
        [[1], [3]],
    ),
    (
        "np.insert(v, 1, a)",
        "np.concatenate([np.ravel(v)[:1], np.ravel(a), np.ravel(v)[1:]])",
        [0.5, A, 1],
    ),
    (
        "np.insert(w, -1, [a, b])",
        "np.concatenate([np.ravel(w)[:-1], np.ravel(np.stack([a, b])), np.ravel(w)[-1:]])",
        [1, 2, 3, A, B, 5],
    ),
    ("np.apply_along_axis(np.sum, 1, w)", "np.stack([np.sum(row) for row in w])", [3, 8]),
    (
        "np.apply_along_axis(np.cumsum, 0, w)",
        "np.stack([np.cumsum(column) for column in w.T], axis=-1)",
        [[1, 2], [4, 7]],
    ),
    ("np.array([2 * r for r in rows])", "np.stack([2 * r for r in rows])", [2 * A, 2 * B]),
    ("np.average(z[:2], weights=[a, 1.0])", "np.average(z[:2], weights=np.stack([a, 1.0]))", 0.4),
    ("np.hstack([[a], [b, 1.0]])", "np.hstack([np.stack([a]), np.stack([b, 1.0])])", [A, B, 1]),
    ("np.r_[0, v, a]", "np.hstack([0, v, a])", [0, 0.5, 1, A]),
    ("np.c_[v, z[:2]]", "np.column_stack([v, z[:2]])", [[0.5, 0], [1, 1]]),
]
PLACES = [
    ("z[np.argmax(w, axis=1)]", "tinygrad_steel.Tensor(z)[np.argmax(w, axis=1)]", [1, 1]),
    ("zz[w > 4]", "tinygrad_steel.Tensor(zz)[w > 4]", [1]),
    (
        "np.take(z, np.argmax(w, axis=0))",
        "np.take(tinygrad_steel.Tensor(z), np.argmax(w, axis=0))",
        [1, 1],
    ),
    (
        "zz.take(np.argmax(w, axis=0), axis=1)",
        "np.take(tinygrad_steel.Tensor(zz), np.argmax(w, axis=0), axis=1)",
        [[1, 1], [1, 1]],
    ),
]


@pytest.mark.parametrize("line, instead, value", LINES)
def test_what_to_write_in_place_of_an_expression(line, instead, value):
    names, said = refused(line)
    assert said.endswith(f". Here: {instead}")
    y = eval(instead, names)
    assert isinstance(y, Tensor) and y.requires_grad
    close(y.data, np.array(value, float))


@pytest.mark.parametrize("line, instead, value", PLACES)
def test_places_in_an_array_that_are_a_tensor(line, instead, value):
    names, said = refused(line)
    assert said.endswith(f". Here: {instead}")
    close(eval(instead, names).data, np.array(value, float))


@pytest.mark.parametrize(
    "line, instead, value",
    [
        ("z[i] = a", "z = np.where(np.arange(len(z)) == i, a, z)", [0, A, 2]),
        (
            "z[-1] = a * 2",
            "z = np.where(np.arange(len(z)) == -1 % len(z), a * 2, z)",
            [0, 1, 2 * A],
        ),
        ("z[mask] = b", "z = np.where(mask, b, z)", [B, 1, B]),
        ("z[i - 2] = a", "z = np.where(np.arange(len(z)) == (i - 2) % len(z), a, z)", [0, 1, A]),
        ("z[:2] = v", "z = np.concatenate([v, z[2:]])", [0.5, 1, 2]),
        ("z += a", "z = z + a", [A, 1 + A, 2 + A]),
        ("z *= a + 1", "z = z * (a + 1)", [0, A + 1, 2 * A + 2]),
    ],
)
def test_what_to_write_in_place_of_filling(line, instead, value):
    names, said = refused(line)
    assert f". Here: {instead}" in said
    exec(instead, names)
    assert isinstance(names["z"], Tensor) and names["z"].requires_grad
    close(names["z"].data, np.array(value, float))


@pytest.mark.parametrize("line", ["zz[0] = v", "z[i] = a"])
def test_rows_are_collected(line):
    name = line[-1]
    _, said = refused(line)
    assert said.endswith(f"append each {name} to a list, of which np.stack makes one Tensor")


@pytest.mark.parametrize(
    "line",
    [
        "np.asarray(v)",
        "z[mask] = v[[0, 1]]",
        "np.add(z, v[0], out=z)",
        "z[i if True else 0] = a",
        "np.full_like(i, a)",
        "np.full_like(mask, a)",
        "np.r_[w, w]",
        "np.r_[0:2, v]",
        "np.insert(w, 1, a, axis=1)",
        "np.apply_along_axis(np.sum, 0, w + 1)",
        "np.linalg.eig(w)",
    ],
)
def test_no_words_where_they_may_be_wrong(line):
    _, said = refused(line)
    assert "Here:" not in said


@pytest.mark.parametrize(
    "lines",
    [
        "y = z[:2]\ny[...] = v",  # a new y would leave z as it is
        "y = z\nz[1] = a",
        "rows = [z, z]\nz[1] = a",
        "y = z\ny[z > 1] = a",
        "for row in zz: row[1] = a",
        "def f():\n    y = np.ones(3)\n    x = y[1:]\n    y[1] = a\n    return x\nf()",
        "zz[:, -i] = v",  # another i, another end
        "zz *= -1e9\nzz[1:, 1:] = w[1:, 1:]",  # nothing would be left of it in the difference
    ],
)
def test_no_words_where_numbers_would_be_lost(lines):
    _, said = refused(lines)
    assert "Here:" not in said


def test_what_is_around_a_filled_part_is_what_it_is_now():
    names, said = refused("z = np.zeros((3, 3))\nz += 7\nz[1:, :-1] = w")
    exec(said.partition("Here: ")[2], names)
    close(names["z"].data, np.array([[7, 7, 7], [1, 2, 7], [3, 5, 7.0]]))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("arguments", ["v", "v, axis=0"])
def test_scipys_functions_that_are_no_ufuncs(name, arguments):
    sp = pytest.importorskip("scipy.special")
    names, said = refused(f"import scipy.special; scipy.special.{name}({arguments})")
    instead = said.partition(". Here: ")[2]
    assert instead.startswith(f"tinygrad_steel.{name}(")
    y = eval(instead, names)
    assert y.requires_grad
    close(y.data, getattr(sp, name)(V), rtol=1e-12)


@pytest.mark.parametrize(
    "line, words",
    [
        ("np.fft.fft(v)", r"numpy.fft.fft makes complex numbers"),
        ("v * 1j", "holds real numbers, not complex128"),
        ("v.astype(complex)", "holds real numbers, not complex128"),
        ("Tensor(['a'])", "holds real numbers, not <U1"),
        ("np.unique(v)", r"; np.sort\(t\) keeps all elements and their gradients$"),
        (
            "np.piecewise(v, [v > 0], [abs])",
            r"; np.where\(condition, f\(t\), g\(t\)\) chooses one of two",
        ),
        ("np.cov(w, aweights=v)", "no gradient is followed to fweights and aweights"),
    ],
)
def test_one_plain_sentence(line, words):
    _, said = refused(line)
    assert re.search(words, said)


@pytest.mark.parametrize(
    "line, words",
    [
        ("tinygrad_steel.softmax(v, dim=0)", r"dim= is not supported \(NumPy says axis=\)"),
        ("tinygrad_steel.ops.sum(v, 0, keepdim=True)", r"\(NumPy says keepdims=\)"),
    ],
)
def test_an_argument_of_an_op_in_pytorchs_word(line, words):
    _, said = refused(line)
    assert re.search(words, said)


@pytest.mark.parametrize(
    "line",
    [
        "scipy.special.logsumexp(a=w, axis=1, keepdims=True)",
        "scipy.special.softmax([a, b])",
        "scipy.special.log_softmax(w, 1)",
    ],
)
def test_scipys_functions_in_any_spelling(line):
    sp = pytest.importorskip("scipy.special")
    names, said = refused("import scipy.special; " + line)
    y = eval(said.partition(". Here: ")[2], names)
    assert y.requires_grad
    plain = {"scipy": __import__("scipy"), "w": W, "a": A, "b": B}
    close(y.data, eval(line, plain), rtol=1e-12)
    assert sp is plain["scipy"].special


def test_no_function_of_scipys_with_arguments_that_ours_lacks():
    pytest.importorskip("scipy.special")
    _, said = refused("import scipy.special; scipy.special.logsumexp(w, axis=1, b=zz)")
    assert "Here:" not in said


def test_each_element_with_its_place():
    names, said = refused("dict(np.ndenumerate(w))")
    assert dict(eval(said.partition(". Here: ")[2], names))[1, 0].item() == 3


@pytest.mark.parametrize(
    "line, value",
    [
        ("np.maximum.accumulate(t)", [2, 2, 5, 5]),
        ("np.subtract.accumulate(t)", [2, 1, -4, -8]),
        ("np.maximum.reduceat(t, places)", [2, 5]),
        ("np.subtract.reduce(t)", -8),
        ("np.multiply.reduceat(t, places)", [2, 20]),
        ("np.add.at(z, [0, 2, 2, 1], t)", None),
    ],
)
def test_methods_of_ufuncs_name_a_line_that_does_the_same(line, value):
    names = {"np": np, "t": leaf([2.0, 1.0, 5.0, 4.0]), "z": np.ones(3), "places": [0, 2]}
    with pytest.raises(TypeError, match=r"keeps no history on Tensors: use ") as caught:
        eval(line, names)
    instead = str(caught.value).partition(": use ")[2]
    names |= {"functools": functools, "itertools": itertools}
    if value is None:
        names["places"] = [0, 2, 2, 1]
        exec(instead, names)
        y, value = names["z"], [3, 5, 7]
    else:
        y = eval(instead.partition(", or")[0], names)
    assert y.requires_grad
    close(y.data, np.array(value, float))


def test_what_is_not_added_at_places_is_chosen():
    names = {"np": np, "t": leaf(2.0), "z": np.array([1.0, 3.0]), "mask": [True, False]}
    with pytest.raises(TypeError, match="np.maximum.at keeps no history on Tensors") as caught:
        eval("np.maximum.at(z, [0], t)", names)
    exec(str(caught.value).partition(": use ")[2], names)
    close(names["z"].data, np.array([2.0, 3.0]))


@pytest.mark.parametrize("line", ["z.clip(0.5, a)", "zz.clip(v, 5)", "np.add.outer(w, v)"])
def test_methods_of_arrays_and_of_ufuncs_that_are_followed(line):
    make = {"np": np, "z": np.arange(3.0), "zz": np.ones((2, 2))}
    y = eval(line, {**make, "a": leaf(A), "v": leaf(V), "w": leaf(W)})
    assert y.requires_grad
    close(y.data, eval(line, {**make, "a": A, "v": V, "w": W}))


# What a spelling does not follow


@pytest.mark.parametrize(
    "line, words",
    [
        (
            "np.pad(v, 1, mode='mean')",
            "np.pad on Tensors: of the modes, 'constant', 'edge', .*'mean'",
        ),
        ("np.pad(v, 1, mode='reflect', reflect_type='odd')", "np.pad on Tensors: of the modes"),
        ("np.pad(v, 1, constant_values=s)", "np.pad on Tensors: constant_values are plain numbers"),
        ("np.nan_to_num(v, copy=False)", "np.nan_to_num on Tensors: copy=False .* in place"),
        ("np.choose([0, 1, 0], [v, w], mode='wrap')", "np.choose on Tensors: .*mode='wrap'"),
        ("np.sort(v, order='f')", "np.sort on Tensors: .*order"),
        ("v ^ 1", "are for masks"),
        ("np.bitwise_and(v, 1)", "are for masks"),
        (
            "np.lib.stride_tricks.sliding_window_view(v, 2, writeable=True)",
            "sliding_window_view on Tensors: writeable=True",
        ),
    ],
)
def test_what_is_not_followed_is_named(line, words):
    with pytest.raises(TypeError, match=words):
        eval(
            line,
            {"np": np, "v": leaf([1.0, -2.0, 3.0]), "w": leaf([2.0, 0.5, 1.0]), "s": leaf(0.5)},
        )


@pytest.mark.parametrize(
    "line, kind, words",
    [
        ("np.median(w, axis=5)", np.exceptions.AxisError, "np.median on Tensors: axis 5 is out"),
        ("np.average(w, axis=5)", np.exceptions.AxisError, "np.average on Tensors: mean("),
        ("np.quantile(w, 0.5, axis=5)", IndexError, "np.quantile on Tensors: "),
        ("np.hsplit(w, 3)", ValueError, "np.hsplit on Tensors: an axis of length 2 does not split"),
        ("np.vstack([w, z])", ValueError, "np.vstack on Tensors: concatenate("),
        ("np.trace(w, axis1=5)", np.exceptions.AxisError, "np.trace on Tensors: "),
        (
            "np.lib.stride_tricks.sliding_window_view(w, 9)",
            ValueError,
            "np.lib.stride_tricks.sliding_window_view on Tensors: 1 lengths",
        ),
        ("np.sum(w, axis=5)", np.exceptions.AxisError, "sum(w: (2, 2) float64, axis=5"),
    ],
)
def test_an_error_says_which_function_of_numpys_it_is_about(line, kind, words):
    names = {"np": np, "w": leaf(W, name="w"), "z": np.arange(3.0)}
    with pytest.raises(kind) as caught:
        eval(line, names)
    assert type(caught.value) is kind and str(caught.value).startswith(words)
