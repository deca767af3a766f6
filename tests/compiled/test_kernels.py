"""Matrix products as vector code, against long double: all sizes, all forms, older processors too.

Most kernels are called without numba, which takes longer to compile what calls them than LLVM the kernels.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import FULL, counted

from tinygrad_steel.compiled import kernels_plain
from tinygrad_steel.compiled.kernels_plan import Axis, folded, row_sizes, shape_of, splits, tile

if importlib.util.find_spec("numba") is None:
    if os.environ.get("CI"):
        pytest.fail("CI compiles kernels: pip install numba")
    pytest.skip("kernels need numba: pip install numba", allow_module_level=True)

import kernel_calls
from kernel_calls import (
    INTEL,
    SLACK,
    TARGETS,
    check,
    convolution_sizes,
    lengths,
    poisoned,
    product_sizes,
    run,
)
from llvmlite import binding

from tinygrad_steel.compiled import kernels
from tinygrad_steel.compiled.kernels_target import target
from tinygrad_steel.compiled.kernels_vectors import POINTER, Vectors

DTYPES = [np.float64, np.float32]
TESTS = Path(kernel_calls.__file__).parent


def all_sizes():
    """Every size from 1 to 40 as rows, as columns and as terms, in ever other company."""
    return [(n, 1 + (7 * n + 3) % 40, 1 + (11 * n + 17) % 40) for n in range(1, 41)]


def as_calls(sizes, name="product"):
    return [(name, one) for one in sizes]


# What a call means.


def test_the_plain_product_is_matmul():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    c = np.empty(20)
    kernels_plain.product(c, x.ravel(), w.ravel(), (4,), 5, (3,), (3,), (1,), 5, 1)
    np.testing.assert_allclose(c.reshape(4, 5), x @ w)
    kernels_plain.product(c, x.T.ravel(), w.T.ravel(), (4,), 5, (3,), (1,), (4,), 1, 3)
    np.testing.assert_allclose(c.reshape(4, 5), x @ w)


def test_the_plain_product_is_a_convolution():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 3, 3, 4))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    forward, backward = convolution_sizes(2, 4, 5, 3, 4)
    c = np.empty(2 * 4 * 5 * 4)
    kernels_plain.product(c, x.ravel(), w.ravel(), *forward)
    np.testing.assert_allclose(c.reshape(2, 4, 5, 4), np.einsum("bhwcij,ijco->bhwo", windows, w))
    g, dw = rng.normal(size=(2, 4, 5, 4)), np.empty(w.size)
    kernels_plain.product(dw, x.ravel(), g.ravel(), *backward)
    np.testing.assert_allclose(dw.reshape(w.shape), np.einsum("bhwcij,bhwo->ijco", windows, g))


# All sizes, all forms.


@pytest.mark.parametrize("form", range(5))
def test_all_sizes(form):
    check(as_calls([*product_sizes(*s)][form] for s in all_sizes()), np.float64, seed=form)


@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_sizes_on_older_processors_and_in_float32(dtype, cpu):
    forms = itertools.cycle(range(5))
    check(as_calls([*product_sizes(*s)][next(forms)] for s in all_sizes()), dtype, cpu)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="the long form: TINYGRAD_STEEL_TESTS=full")
@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", range(5))
def test_all_sizes_in_all_forms(form, dtype, cpu):
    more = [(m, n, k) for m in (1, 7, 13) for n in (3, 8, 31) for k in (5, 33)]
    sizes = [[*product_sizes(*s)][form] for s in all_sizes() + more]
    check(as_calls(sizes), dtype, cpu, optimised=cpu is None)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_larger_sizes(dtype):
    rng = np.random.default_rng(2)
    shapes = rng.integers(41, 330, (counted(40, 3), 3)).tolist()
    check(as_calls(x for shape in shapes for x in product_sizes(*shape)), dtype)


@pytest.mark.parametrize("cpu", TARGETS)
def test_sizes_that_are_packed_in_blocks(cpu):
    forms = {
        (300, 257, 301): (1, 2),
        (400, 520, 300): (0,),  # a b that does not stay near
        (1129, 300, 500): (0,),  # nor does a
        (129, 310, 600): (2, 4),
        (26, 40, 700): (2, 4),
        (5, 30, 900): (2, 4),
    }
    sizes = [[*product_sizes(*shape)][n] for shape, some in forms.items() for n in some]
    check(as_calls(sizes), np.float64, cpu)


def test_where_there_is_no_memory_a_smaller_form_does(monkeypatch):
    monkeypatch.setattr(Vectors, "allocated", lambda self, numbers: POINTER(None))
    check(as_calls([next(product_sizes(1129, 300, 500))]), np.float64)


MANY_AXES = [
    *convolution_sizes(32, 8, 8, 1, 16),
    *convolution_sizes(4, 4, 4, 16, 32),
    *convolution_sizes(3, 2, 2, 5, 7),
    *convolution_sizes(2, 5, 13, 2, 3, window=2),
    ((2, 3, 4), 5, (2, 3), (60, 16, 3), (16, 1), 5, 1),
    ((3, 2, 2), 9, (5, 2), (90, 30, 10), (2, 1), 1, 10),  # b turned
    ((5,), 1, (3, 3), (9,), (3, 1), 1, 1),
    ((5, 3), 1, (3, 3), (50, 9), (5, 1), 2, 1),  # one column, which lies in steps
    ((2, 5), 300, (5, 600), (9, 3), (600, 1), 300, 1),
    ((2, 50), 30, (5, 600), (9, 3), (700, 1), 1, 3000),  # more terms than a block has
    ((2, 50), 30, (5, 60), (9, 3), (70, 1), 31, 1),
    ((4,), 6, (3, 5), (0,), (5, 1), 6, 1),  # the same row each time
    ((1, 1), 1, (1,), (7, 7), (7,), 7, 7),
]


@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_and_terms_of_several_axes(dtype, cpu):
    check(as_calls(MANY_AXES), dtype, cpu)


def test_steps_may_go_backwards():
    """As in a convolution with a window that is turned round."""
    sizes = (4,), 3, (2, 3), (6,), (-3, -1), 3, 1
    built = kernel_calls.Built([("product", sizes)], np.float64)
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=24), rng.normal(size=18 + SLACK), np.empty(12)
    built(0, c, a[5:], b)
    rows = a.reshape(4, 6)[:, ::-1]
    np.testing.assert_allclose(c.reshape(4, 3), rows @ b[:18].reshape(6, 3))


@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("name", ["affine", "affine_relu", "add_product", "product_relu_vjp"])
def test_products_with_an_end(name, cpu):
    shapes = [(10, 7, 27), (13, 33, 5), (27, 1, 10), (3, 9, 40), (30, 17, 600), (4, 1, 50)]
    sizes = [x for n, s in enumerate(shapes) for x in [*product_sizes(*s)][n % 2 :: 2]]
    large = (130,), 520, (700,), (700,), (1,), 1, 700
    check(as_calls([*sizes, *MANY_AXES[:2], large], name), np.float64, cpu)


def test_no_terms_and_no_rows():
    c = np.full(6, 7.0)
    built = kernel_calls.Built(
        [
            ("product", ((2,), 3, (0,), (0,), (1,), 3, 1)),
            ("affine", ((2,), 3, (4, 0), (0,), (1, 1), 3, 1)),
        ],
        np.float64,
    )
    built(0, c, c, c)
    assert c.tolist() == [0.0] * 6
    built(1, c, np.arange(3.0), c, c)
    assert c.tolist() == [0.0, 1.0, 2.0] * 2


# Values that are no numbers.


@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_inf_come_out_as_of_matmul(dtype, cpu):
    rng = np.random.default_rng(4)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], dtype)
    often = np.array([0.02, 0.02, 0.02, 0.3, 0.3, 0.2, 0.14])
    sizes = [x for s in [(9, 7, 5), (10, 19, 33), (30, 33, 18)] for x in product_sizes(*s)]
    built = kernel_calls.Built(as_calls(sizes), dtype, cpu)
    for n, one in enumerate(sizes):
        c, a, b = (poisoned(length, dtype, rng)[0] for length in lengths(one))
        a[:], b[:] = (rng.choice(special, x.size, p=often / often.sum()) for x in (a, b))
        with np.errstate(invalid="ignore"):
            expected = c.copy()
            kernels_plain.product(expected, a, b, *one)
        built(n, c, a, b)
        np.testing.assert_array_equal(c, expected)


def test_a_rectified_nan_stays_nan():
    built = kernel_calls.Built(
        as_calls([((3,), 3, (1,), (1,), (1,), 3, 1)], "affine_relu"), np.float64
    )
    c, start = np.empty(9), np.zeros(3 + SLACK)
    with np.errstate(invalid="ignore"):
        a, b = np.r_[np.nan, -1.0, 2.0, np.zeros(SLACK)], np.r_[1.0, np.inf, -3.0, np.zeros(SLACK)]
    built(0, c, start, a, b)
    nan, inf = np.nan, np.inf
    np.testing.assert_array_equal(c, [nan, nan, nan, 0.0, 0.0, 3.0, 2.0, inf, 0.0])


def test_the_slope_of_a_nan_is_nan():
    """As `g * sign(y)` has it: 0 by infinity is NaN as well."""
    call = ((2,), 3, (1,), (1,), (1,), 3, 1)
    built = kernel_calls.Built(as_calls([call], "product_relu_vjp"), np.float64)
    a, b = np.r_[-1.0, np.inf, np.zeros(SLACK)], np.r_[2.0, 3.0, 4.0, np.zeros(SLACK)]
    y = np.r_[np.nan, 0.0, 5.0, 0.5, np.nan, 0.0, np.zeros(SLACK)]
    c = np.empty(6)
    built(0, c, y, a, b)
    with np.errstate(invalid="ignore"):
        expected = np.outer(a[:2], b[:3]).ravel() * np.sign(y[:6])
    np.testing.assert_array_equal(c, expected)


# Memory.


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="guards are pages of a POSIX system")
def test_nothing_beyond_the_slack_is_touched():
    done = run(TESTS / "kernel_calls.py", str(SLACK))
    assert done.returncode == 0 and "products within their memory" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="guards are pages of a POSIX system")
def test_the_guards_are_there():
    done = run(TESTS / "kernel_calls.py", "0")
    assert done.returncode < 0, "no slack at all is enough?"


def whole_vectors(self, count, value, base, index, masks):
    self.store(value, base, index)


def all_lanes(self, count, value):
    return value


def rounded_down(self, x, y):
    return min(x, y) if isinstance(x, int) and isinstance(y, int) else y  # one block too long


WRONG = {
    "store_first": (whole_vectors, [(3, 7, 5)], 0),
    "first_lanes": (all_lanes, [(3, 40, 37)], 2),
    "multiply_add": (lambda self, x, y, z: self.builder.fmul(x, y), [(3, 7, 5)], 0),
    "transposed": (lambda self, rows: list(rows), [(30, 17, 9)], 2),
    "load": (lambda self, base, index=0: self.splat(self.load_number(base, index)), [(3, 7, 5)], 0),
    "either": (lambda self, flag, one, other: other(), [(60, 30, 2000)], 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_found(name, monkeypatch):
    wrong, shapes, form = WRONG[name]
    calls = as_calls([*product_sizes(*s)][form] for s in shapes)
    check(calls, np.float64)
    monkeypatch.setattr(Vectors, name, wrong)
    with pytest.raises(AssertionError, match=r"product\("):
        check(calls, np.float64)


# How a product is cut.


def test_axes_are_folded_where_one_loop_does_for_two():
    assert folded((32, 10), (270, 27)) == (Axis(320, 27),)
    assert folded((3, 3, 16), (160, 16, 1)) == (Axis(3, 160), Axis(48, 1))
    assert folded((1, 5, 1), (9, 2, 7)) == (Axis(5, 2),)
    assert folded((1,), (9,)) == (Axis(1, 0),)


def test_one_column_lies_along_vectors():
    shape, swapped = shape_of((27,), 1, (10,), (1,), (27,), 1, 1)
    assert swapped and shape.columns == 27 and shape.row_count == 1 and shape.b_column == 1


@pytest.mark.parametrize("n", [1, 7, 27, 100])
@pytest.mark.parametrize("most", [1, 4, 10])
def test_parts_are_nearly_equal(n, most):
    sizes = [size for size, many in splits(n, most) for _ in range(many)]
    assert sum(sizes) == n and max(sizes) <= most and max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-n // most)


@pytest.mark.parametrize("held", [12, 15, 28])
@pytest.mark.parametrize(
    "rows", [(Axis(1, 0),), (Axis(27, 1),), (Axis(32, 90), Axis(4, 10), Axis(4, 1))]
)
def test_a_tile_stays_in_registers(rows, held):
    for vectors in range(1, 70):
        most, v = tile(rows, vectors, held, 8)
        assert max(size for size, _ in row_sizes(rows, most)) * v + v <= held


def test_rows_that_share_a_place_in_the_cache_are_few_in_a_tile():
    apart = (Axis(1000, 512),)  # 4 KB: 27 rows of a vector each took four times as long as 7
    assert tile(apart, 1, 28, 8)[0] == 7
    assert tile(apart, 1, 28, 4)[0] == 14
    assert tile((Axis(1000, 511),), 1, 28, 8)[0] > 20


# Other processors.


@pytest.mark.skipif(not INTEL, reason="names of processors of another kind")
def test_vectors_are_as_long_as_the_processor_has_them():
    triple = binding.get_process_triple()
    widths = {cpu: target(triple, cpu, "").width for cpu in ("x86-64", "haswell", "znver4")}
    assert widths == {"x86-64": 16, "haswell": 32, "znver4": 64}
    assert target(triple, "haswell", "+avx512f").width == 64
    assert target(triple, "znver4", "-avx512f").width == 32


def test_kernels_compile_for_arm():
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        found = target(triple, "generic", "")
    except RuntimeError:
        pytest.skip("this LLVM is not built for ARM")
    assert found == (16, 28, False)
    from llvmlite import ir

    module = ir.Module()
    module.triple = triple
    for sizes in product_sizes(30, 17, 40):
        kernels.kernel(module, "product", ir.DoubleType(), list(sizes), found).linkage = ""
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu="generic")
    assert "fmla" in machine.emit_assembly(parsed)
