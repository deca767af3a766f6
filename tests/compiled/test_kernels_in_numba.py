"""Kernels in functions that numba compiles: shared, kept on disk, called by threads, and refused."""

from __future__ import annotations

import importlib.util
import os
import threading

import numpy as np
import pytest

from tinygrad_steel.compiled import kernels_plain

if importlib.util.find_spec("numba") is None:
    if os.environ.get("CI"):
        pytest.fail("CI compiles kernels: pip install numba")
    pytest.skip("kernels need numba: pip install numba", allow_module_level=True)

import numba
from kernel_calls import NUMBERS, TARGETS, run
from numba.core.errors import TypingError

from tinygrad_steel.compiled.kernels import (
    SLACK,
    add_product,
    affine,
    affine_relu,
    product,
    product_relu_vjp,
)


@pytest.mark.slow
def test_a_shape_has_one_function():
    @numba.njit
    def twice(c, a, b):
        product(c, a, b, (3,), 4, (5,), (5,), (1,), 4, 1)
        product(c[12:], a, b, (3,), 4, (5,), (5,), (1,), 4, 1)
        product(c, c[12:], b, (3,), 4, (4,), (4,), (1,), 4, 1)

    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=15 + SLACK), rng.normal(size=20 + SLACK), np.zeros(24 + SLACK)
    twice(c, a, b)
    x, w = a[:15].reshape(3, 5), b[:20].reshape(5, 4)
    np.testing.assert_allclose(c[:24], np.r_[x @ w @ w[:4], x @ w].ravel())
    (text,) = twice.inspect_llvm().values()
    assert text.count("define internal") == 2


@pytest.mark.slow
def test_all_kernels_are_called_from_compiled_functions():
    sizes = (10,), 7, (27,), (27,), (1,), 7, 1

    @numba.njit(nogil=True)
    def compiled(c, start, a, b):
        product(c[0], a, b, (10,), 7, (27,), (27,), (1,), 7, 1)
        affine(c[1], start, a, b, (10,), 7, (27,), (27,), (1,), 7, 1)
        affine_relu(c[2], start, a, b, (10,), 7, (27,), (27,), (1,), 7, 1)
        add_product(c[3], -0.1, a, b, (10,), 7, (27,), (27,), (1,), 7, 1)
        product_relu_vjp(c[4], c[2], a, b, (10,), 7, (27,), (27,), (1,), 7, 1)

    for dtype in NUMBERS:
        rng = np.random.default_rng(6)
        a, b, start = (rng.normal(size=n + SLACK).astype(dtype) for n in (270, 189, 7))
        c = rng.normal(size=(5, 70)).astype(dtype)
        expected = c.copy()
        compiled(c, start, a, b)
        kernels_plain.product(expected[0], a, b, *sizes)
        kernels_plain.affine(expected[1], start, a, b, *sizes)
        kernels_plain.affine_relu(expected[2], start, a, b, *sizes)
        kernels_plain.add_product(expected[3], -0.1, a, b, *sizes)
        kernels_plain.product_relu_vjp(expected[4], expected[2], a, b, *sizes)
        np.testing.assert_allclose(
            c, expected, rtol=50 * np.finfo(dtype).eps, atol=50 * np.finfo(dtype).eps
        )


@pytest.mark.slow
def test_an_array_may_be_taken_from_some_number_on():
    """Which is compiled faster than a slice; the number need not be written out."""

    @numba.njit
    def layer(m, n):
        affine((m, 100), (m, 50), (m, n), (m, 8), (3,), 4, (5,), (5,), (1,), 4, 1)

    m = np.random.default_rng(8).normal(size=200)
    expected = m.copy()
    kernels_plain.affine(expected[100:], m[50:], m[27:], m[8:], (3,), 4, (5,), (5,), (1,), 4, 1)
    layer(m, 27)
    np.testing.assert_allclose(m, expected)


@pytest.mark.slow
def test_threads_do_not_share_memory():
    @numba.njit(nogil=True)
    def large(c, a, b):
        product(c, a, b, (2000,), 310, (320,), (320,), (1,), 1, 320)

    rng = np.random.default_rng(7)
    inputs = [[rng.normal(size=n + SLACK) for n in (640000, 99200)] for _ in range(4)]
    results = [np.empty(620000) for _ in inputs]
    large(results[0], *inputs[0])
    threads = [
        threading.Thread(target=lambda c, x: [large(c, *x) for _ in range(3)], args=pair)
        for pair in zip(results, inputs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for c, (a, b) in zip(results, inputs, strict=True):
        expected = a[:640000].reshape(2000, 320) @ b[:99200].reshape(310, 320).T
        np.testing.assert_allclose(c.reshape(2000, 310), expected, atol=1e-11)


PROGRAM = """
import numba, numpy as np
from tinygrad_steel.compiled.kernels import product

@numba.njit("void(f8[::1], f8[::1], f8[::1])", cache=True)
def layers(c, a, b):
    product(c, a, b, (10,), 7, (27,), (27,), (1,), 7, 1)
    product((c, 70), a, b, (2000,), 310, (320,), (320,), (1,), 1, 320)

c, a, b = np.empty(70 + 620000), np.arange(640016.0), np.arange(99216.0)
layers(c, a, b)
assert np.array_equal(c[:70].reshape(10, 7), a[:270].reshape(10, 27) @ b[:189].reshape(27, 7))
large = a[:-16].reshape(2000, 320) @ b[:-16].reshape(310, 320).T
np.testing.assert_allclose(c[70:].reshape(2000, 310), large, rtol=1e-13)
print(sum(layers.stats.cache_hits.values()), "zmm" in "".join(layers.inspect_asm().values()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("cpu", TARGETS)
def test_kernels_are_kept_on_disk(tmp_path, cpu):
    file = tmp_path / "layers.py"
    file.write_text(PROGRAM)
    other = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {}
    first, second = (run(file, NUMBA_CACHE_DIR=str(tmp_path), **other) for _ in range(2))
    assert first.stdout.startswith("0") and second.stdout.startswith("1"), second.stderr
    if cpu:
        assert "False" in first.stdout, "vectors that this processor has not"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("product(c, a, b, (n,), 2, (2,), (2,), (1,), 2, 1)", "numbers written out"),
        ("product(c, a, f, (2,), 2, (2,), (2,), (1,), 2, 1)", "all float64 or all float32"),
        ("add_product(c, a, a, b, (2,), 2, (2,), (2,), (1,), 2, 1)", "a real number"),
        ("product(c, a[::2], b, (2,), 2, (2,), (2,), (1,), 2, 1)", "contiguous"),
    ],
)
def test_what_no_kernel_does_is_refused(call, complaint):
    space = {"product": product, "add_product": add_product}
    exec(f"def wrong(c, a, b, f, n):\n    {call}", space)
    with pytest.raises(TypingError, match=complaint):
        numba.njit(space["wrong"])(np.ones(4), np.ones(4), np.ones(4), np.ones(4, np.float32), 2)
