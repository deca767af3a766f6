"""The page of what becomes of each NumPy function is that of the registry."""

import pytest
from numpy_table import PAGE, VERSION, functions, kind, page

KINDS = {
    "np.exp": "gradient",
    "np.take": "gradient",
    "np.where": "gradient",
    "np.choose": "gradient",
    "np.einsum": "gradient",
    "np.divmod": "gradient",
    "np.linalg.slogdet": "gradient",
    "np.floor": "slope 0",
    "np.fix": "slope 0",
    "np.argsort": "constant",
    "np.nonzero": "constant",
    "np.isposinf": "constant",
    "np.bitwise_and": "constant",
    "np.shape": "plain",
    "np.allclose": "plain",
    "np.put": "in place",
    "np.fft.fft": "complex",
    "np.unwrap": "refused",
    "np.zeros": "no Tensor",
}


def test_the_kind_of_a_function():
    found = dict(functions())
    assert {name: kind(name, found[name]) for name in KINDS} == KINDS


@pytest.mark.skipif(
    f"NumPy {VERSION} " not in PAGE.read_text(encoding="utf-8"),
    reason="the page is of another NumPy",
)
def test_the_page_is_that_of_the_registry(registry):
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/numpy_table.py"
