"""NumPy's own names and places of arguments: a call that fits NumPy's signature is followed."""

import numpy as np
import pytest
from helpers import close, leaf, random_like

from tinygrad_steel import export_onnx, grad, logsumexp

V, M = np.array([1.5, -2.0, 3.25]), np.array([[2.0, 0.5, 0.1], [-0.5, 3.0, 0.2], [0.3, -1.0, 4.0]])
CALLS = [  # as people write it, and what says the same in the words that ops have
    ("np.sum(a=t)", "np.sum(t)"),
    ("np.max(a=t, axis=0)", "np.max(t, axis=0)"),
    ("np.min(a=M, axis=1, out=None)", "np.min(M, 1)"),
    ("np.mean(a=t)", "np.mean(t)"),
    ("np.squeeze(a=M[None])", "np.squeeze(M[None])"),
    ("np.round(a=t, decimals=1)", "np.round(t, 1)"),
    ("np.expand_dims(a=t, axis=0)", "np.expand_dims(t, 0)"),
    ("np.stack(arrays=[t, t * 2], axis=1)", "np.stack([t, t * 2], axis=1)"),
    ("np.split(ary=t, indices_or_sections=3)[1]", "np.split(t, 3)[1]"),
    ("np.sum(t, 0, float)", "np.sum(t, axis=0, dtype=float)"),
    ("np.sum(M, None, None, None, True)", "np.sum(M, keepdims=True)"),
    ("np.mean(M, 1, np.float32)", "np.mean(M, axis=1, dtype=np.float32)"),
    ("np.var(t, 0, None, None, 1)", "np.var(t, axis=0, ddof=1)"),
    ("np.std(M, 1, None, None, 1, True)", "np.std(M, axis=1, ddof=1, keepdims=True)"),
    ("np.max(t, 0, None, True)", "np.max(t, axis=0, keepdims=True)"),
    ("np.max(t, 0, None, True, 9.0)", "np.max(t, axis=0, keepdims=True, initial=9.0)"),
    ("np.cumsum(t, 0, None, None)", "np.cumsum(t, 0)"),
    ("np.clip(t, 0, 2, None)", "np.clip(t, 0, 2)"),
    ("np.take(t, [0, 2], 0, None, 'raise')", "np.take(t, [0, 2], 0)"),
    ("np.round(t, 1, None)", "np.round(t, 1)"),
    ("np.median(t, 0, None, False, True)", "np.median(t, axis=0, keepdims=True)"),
    (
        "np.percentile(t, 30, 0, None, False, 'lower', True)",
        "np.percentile(t, 30, axis=0, method='lower', keepdims=True)",
    ),
    ("np.trace(M, 0, 0, 1, None)", "np.trace(M)"),
    ("np.dot(M, t, None)", "np.dot(M, t)"),
    ("np.dot(M, t, out=None)", "np.dot(M, t)"),
    ("np.einsum('ij,j->i', M, t, out=None)", "np.einsum('ij,j->i', M, t)"),
    ("np.concatenate([t, t], 0, None)", "np.concatenate([t, t])"),
    ("np.ptp(M, 0, None)", "np.ptp(M, 0)"),
    ("np.nansum(t, 0, None, None)", "np.nansum(t, 0)"),
    # a Tensor in place of a list of arrays, and lists with Tensors in them
    ("np.stack(M)", "M * 1"),
    ("np.stack(M, axis=1)", "M.T * 1"),
    ("np.concatenate(M)", "np.reshape(M, 9)"),
    ("np.concatenate([[s], t])", "np.concatenate([np.stack([s]), t])"),
    ("np.concatenate(([0.5], t, [s, 2.0]))", "np.concatenate([[0.5], t, s[None], [2.0]])"),
    ("np.concatenate([[[s, s, s]], M])", "np.concatenate([np.broadcast_to(s, (1, 3)), M])"),
    ("np.hstack([t, [s]])", "np.hstack([t, s[None]])"),
    ("np.vstack([t, [s, s, s]])", "np.stack([t, np.broadcast_to(s, 3)])"),
    ("np.column_stack([t, [s, s, s]])", "np.stack([t, np.broadcast_to(s, 3)], 1)"),
    ("np.dstack([t, [s, s, s]])", "np.stack([t, np.broadcast_to(s, 3)], 1)[None]"),
    ("np.append(t, [s, s])", "np.concatenate([t, s[None], s[None]])"),
]


def names_of(make):
    """What lines are written in."""
    return {"np": np, "t": make(V), "M": make(M), "s": make(np.array(0.75))}


def outcome(line):
    """The value of a line, and the gradients of a weighted sum of it."""
    names = names_of(leaf)
    y = eval(line, names)
    (y * random_like(y)).sum().backward()
    grads = [names[k].grad for k in "tMs"]
    return y, [np.zeros(()) if g is None else g for g in grads]


@pytest.mark.parametrize("line, plain", CALLS)
def test_numpys_words_mean_what_they_mean_in_numpy(line, plain):
    y, grads = outcome(line)
    close(y.data, eval(line, names_of(np.array)), rtol=1e-6)
    same, expected = outcome(plain)
    assert y.dtype == same.dtype and y.requires_grad
    for g, e in zip(grads, expected, strict=True):
        close(g, e)


@pytest.mark.parametrize(
    "line, words",
    [
        ("np.median(t, out=np.zeros(()))", r"^np.median on Tensors: out= is not followed"),
        ("np.max(t, 0, np.zeros(()))", r"^max takes .x, axis, keepdims.: out= is not supported"),
        (
            "np.searchsorted(t, 2.0, 'left', [0, 1, 2])",
            "searchsorted takes .*: sorter= is not supported",
        ),
        ("logsumexp(a=t)", r"logsumexp takes \(x, axis, keepdims\): a= is none of them, and x is"),
    ],
)
def test_what_is_not_followed_is_named(line, words):
    with pytest.raises(TypeError, match=words):
        eval(line, {**names_of(leaf), "logsumexp": logsumexp})


def test_what_is_no_tensor_is_said_by_its_type(tmp_path):
    """Not by what Python says of it, that an int is not iterable."""
    x = leaf(1.0)
    for others in (3, [3], None):
        with pytest.raises(
            TypeError, match=r"grad\(y, xs\) takes a Tensor y and .*, not (int|NoneType)"
        ):
            grad(x * 2, others)
    pytest.importorskip("onnx")
    for output, given in ((3, x), (x * 2, 3), ([x * 2], [3])):
        with pytest.raises(TypeError, match="outputs and inputs are Tensors, not int"):
            export_onnx(output, tmp_path / "x.onnx", given)
