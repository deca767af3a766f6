"""What is refused says what to write instead, in the words of the line that it is about, and that works."""

import linecache
import re

import numpy as np
import pytest
from helpers import close, leaf

import tinygrad_steel
from tinygrad_steel import Tensor

A, B, V = 1.5, -2.0, np.array([0.5, 1.0])


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
]


@pytest.mark.parametrize("line, instead, value", LINES)
def test_what_to_write_in_place_of_an_expression(line, instead, value):
    names, said = refused(line)
    assert said.endswith(f". Here: {instead}")
    y = eval(instead, names)
    assert isinstance(y, Tensor) and y.requires_grad
    close(y.data, np.array(value, float))


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
        "z[:2] = v",
        "np.add(z, v[0], out=z)",
        "z[i if True else 0] = a",
    ],
)
def test_no_words_where_they_may_be_wrong(line):
    _, said = refused(line)
    assert "Here:" not in said


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
        (
            "np.delete(v, 0)",
            r"Here: t\[np.delete\(np.arange\(len\(t\)\), i\)\] leaves elements out",
        ),
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
