"""Tensors as keys: by identity; where NumPy's number would count by its value, refused."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import Tensor, compile_backprop, grad, no_grad, write_backprop

X = np.array([1.0, 3.0, 2.0])
TABLE = {0: 10.0, 1: 20.0, 2: 30.0}

USES = {
    "get": lambda x: TABLE.get(np.argmax(x), -1.0),
    "item": lambda x: TABLE[np.argmax(x)],
    "in": lambda x: np.argmax(x) in TABLE,
    "set": lambda x: len({*(np.argsort(x))}),
    "counter": lambda x: Counter(x > 1.5).most_common(1)[0][1],
    "fromkeys": lambda x: len(dict.fromkeys(np.argsort(x) // 2)),
    "defaultdict": lambda x: defaultdict(list)[np.argmin(x)],
    "hash": lambda x: hash(np.any(x > 2)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("how", [leaf, Tensor], ids=["recorded", "constant"])
def test_a_computed_integer_is_no_key(use, how):
    use(X)
    with pytest.raises(TypeError, match=r"count by identity there.* Write (int|bool)\(k\)"):
        use(how(X))


def test_inside_no_grad_it_is_none_either():
    with no_grad(), pytest.raises(TypeError, match="count by identity"):
        TABLE.get(np.argmax(leaf(X)))


def test_its_value_is_one():
    x = leaf(X)
    assert TABLE[int(np.argmax(x))] == 20.0
    assert Counter(map(bool, x > 1.5)) == {True: 2, False: 1}


def test_leaves_floats_and_arrays_are_keys_by_identity():
    x, label = leaf(X), Tensor(3, name="label")
    loss, places = np.sum(x), np.argsort(x)
    names = {x: "x", label: "label", loss: "loss", places: "places", x[0]: "first"}
    assert (
        names[x] == "x"
        and names[label] == "label"
        and names[loss] == "loss"
        and names[places] == "places"
    )
    assert Tensor(3) not in names and {loss, loss, x} == {x, loss}


def test_the_library_itself_may_hash_them():
    x, y = leaf(X, name="x"), Tensor(np.array([2, 0]), name="y")
    loss = x[np.argmax(y)] * x[y[1]] + x[np.argmax(x)]
    close(grad(loss, x).data, [1 * 2.0, 1.0, 0.0])
    assert "def backprop" in write_backprop(loss)
    close(np.asarray(compile_backprop(loss, backend="numpy")(y.data)), loss.data)
