"""The dtype of what NumPy's functions return on Tensors, as NumPy's, over the list of calls."""

import numpy as np
import numpy_calls
import pytest

from tinygrad_steel import Tensor

KINDS = {
    np.float32: lambda x: x.astype(np.float32),
    np.int64: lambda x: np.round(4 * x).astype(np.int64),
}
NOT_CALLED = {
    **numpy_calls.EXCEPTIONS,
    "np.row_stack": "NumPy is about to drop it",
}
OF_FLOATS_ONLY = {
    "np.pow": "NumPy takes no integers to negative powers",
    "np.power": "NumPy takes no integers to negative powers",
}


def dtypes(line, convert):
    """The dtype of each result of a call."""
    names = {n: convert(numpy_calls.DATA[n]) for n in numpy_calls.names_in(line)}
    y = eval(line, {"np": np, **numpy_calls.KNOWN, **names})
    found = [*y] if isinstance(y, list | tuple) else [y]
    return [np.asarray(x.data if isinstance(x, Tensor) else x).dtype for x in found]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", KINDS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", sorted({*numpy_calls.CALLS} - {*NOT_CALLED}))
def test_dtypes_are_those_of_numpy(name, dtype):
    if dtype == np.int64 and name in OF_FLOATS_ONLY:
        pytest.skip(OF_FLOATS_ONLY[name])
    line, of = numpy_calls.CALLS[name], KINDS[dtype]
    assert dtypes(line, lambda x: Tensor(of(x))) == dtypes(line, of)


@pytest.mark.parametrize("f", [np.dot, np.inner])
def test_a_plain_number_leaves_float32_alone_as_in_every_product(f):
    """The one exception: NumPy makes an array of the number first, and so float64 of all."""
    x = np.ones(2, np.float32)
    assert f(x, 3).dtype == np.float64
    assert f(Tensor(x), 3).dtype == (3 * x).dtype == np.float32
