"""Kernels without numba's part: built for any processor, called on memory with guards around it.

Run as a program, it calls kernels on arrays that end so many numbers before a page that may not be
touched: one load too far ends the process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
from llvmlite import binding, ir
from numba.core.registry import cpu_target

from tinygrad_steel.compiled import kernels, kernels_plain
from tinygrad_steel.compiled.kernels_plain import SLACK
from tinygrad_steel.compiled.kernels_target import target

cpu_target.target_context.refresh()  # numba's memory, and LLVM for this machine, are there now
PAGE = mmap.PAGESIZE
REAL = {np.float32: ctypes.c_float, np.float64: ctypes.c_double}
NUMBERS = {np.float32: ir.FloatType(), np.float64: ir.DoubleType()}
# What a processor with longer vectors runs too: AVX2 with fused multiply-add, SSE2.
INTEL = "x86" in binding.get_process_triple()
TARGETS = [None, *(("haswell", "x86-64") if INTEL else ())]


def machine(cpu=None):
    """(triple, processor, features) of this machine, or of an older one."""
    features = "" if cpu else binding.get_host_cpu_features().flatten()
    return binding.get_process_triple(), cpu or binding.get_host_cpu_name(), features


class Built:
    """Functions of kernels for calls [(name, sizes), ...]."""

    def __init__(self, calls, dtype, cpu=None, optimised=False):
        self.dtype = dtype
        triple, cpu, features = machine(cpu)
        module = ir.Module("kernels")
        module.triple = triple
        vectors = target(triple, cpu, features)
        functions = [
            kernels.kernel(module, name, NUMBERS[dtype], list(sizes), vectors)
            for name, sizes in calls
        ]
        for function in functions:
            function.linkage = ""
        parsed = binding.parse_assembly(str(module))
        parsed.verify()
        self.machine = binding.Target.from_triple(triple).create_target_machine(
            cpu=cpu, features=features, opt=2, jit=True
        )
        if optimised:
            options = binding.create_pipeline_tuning_options(speed_level=3)
            passes = binding.create_pass_builder(self.machine, options)
            passes.getModulePassManager().run(parsed, passes)
        self.text = str(parsed)
        self.engine = binding.create_mcjit_compiler(parsed, self.machine)
        self.engine.finalize_object()
        self.addresses = [self.engine.get_function_address(f.name) for f in functions]

    def __call__(self, n, *given):
        kinds = [ctypes.c_void_p if isinstance(x, np.ndarray) else REAL[self.dtype] for x in given]
        function = ctypes.CFUNCTYPE(None, *kinds)(self.addresses[n])
        function(*[x.ctypes.data if isinstance(x, np.ndarray) else x for x in given])


def product_sizes(m, n, k):
    """The sizes of x @ w, x.T @ g, g @ w.T, x.T @ w.T and of a b with gaps."""
    yield (m,), n, (k,), (k,), (1,), n, 1
    yield (m,), n, (k,), (1,), (m,), n, 1
    yield (m,), n, (k,), (k,), (1,), 1, k
    yield (m,), n, (k,), (1,), (m,), 1, k
    yield (m,), n, (k,), (k,), (1,), 2 * n, 2


def convolution_sizes(batch, height, width, channels, out, window=3):
    """The sizes of a convolution, and of its weights' gradient."""
    wide = (width + window - 1) * channels
    high = (height + window - 1) * wide
    rows, steps = (batch, height, width), (high, wide, channels)
    inner, inside = (window, window, channels), (wide, channels, 1)
    yield rows, out, inner, steps, inside, out, 1
    yield inner, out, rows, inside, steps, out, 1


def lengths(sizes):
    """How many numbers of c, a, b a product touches."""
    rows, columns, inner, a_rows, a_inner, b_inner, b_column = sizes
    m, k = (int(np.prod(x)) for x in (rows, inner))
    if not m * k * columns:
        return m * columns, 0, 0
    axes = [*zip(rows, a_rows, strict=True), *zip(inner, a_inner, strict=True)]
    a = 1 + sum((n - 1) * step for n, step in axes)
    return m * columns, a, 1 + (k - 1) * b_inner + (columns - 1) * b_column


UNTOUCHED = 7.5


def poisoned(length, dtype, rng, poison=np.nan):
    """(random numbers, the array they lie in with poison around them)."""
    whole = np.full(length + 2 * SLACK, poison, dtype)
    inside = whole[SLACK : SLACK + length]
    inside[:] = rng.normal(size=length)
    return inside, whole


def exact(sizes, a, b):
    """(a @ b in long double, the sum of absolute values that its rounding is measured by)."""
    rows, columns, inner, a_rows, a_inner, b_inner, b_column = sizes
    i, k = kernels_plain.places(rows, a_rows), kernels_plain.places(inner, a_inner)
    left = a[i[:, None] + k].astype(np.longdouble)
    j = b_column * np.arange(columns)
    right = b[b_inner * np.arange(len(k))[:, None] + j].astype(np.longdouble)
    return left @ right, (abs(left).astype(float) @ abs(right).astype(float))


def check(calls, dtype, cpu=None, seed=0, **options):
    """Every call gives the product as exactly as any order of its sums can, and writes nothing else."""
    built = Built(calls, dtype, cpu, **options)
    rng = np.random.default_rng(seed)
    for n, (name, sizes) in enumerate(calls):
        c_length, a_length, b_length = lengths(sizes)
        a, b = poisoned(a_length, dtype, rng)[0], poisoned(b_length, dtype, rng)[0]
        c, around_c = poisoned(c_length, dtype, rng, UNTOUCHED)
        more = {"affine": sizes[1], "affine_relu": sizes[1], "product_relu_vjp": c_length}
        beside = poisoned(more.get(name, 0), dtype, rng)[0]
        value, size = exact(sizes, a, b)
        before = c.reshape(value.shape).astype(np.longdouble)
        beside[:] = np.maximum(beside, 0) if name == "product_relu_vjp" else beside
        scaled = [-0.75] if name == "add_product" else []
        built(n, c, *([beside] if beside.size else scaled), a, b)
        terms = int(np.prod(sizes[2]))
        if name.startswith("affine"):
            value, size, terms = value + beside, size + abs(beside), terms + 1
        if name == "affine_relu":
            value = np.maximum(value, 0)
        if name == "product_relu_vjp":
            value = value * np.sign(beside.reshape(value.shape))
        if name == "add_product":
            value, size, terms = before - 0.75 * value, size + abs(before), terms + 1
        allowed = (terms + 1) * np.finfo(dtype).eps / 2 * size * 1.01
        error = abs(c.reshape(value.shape) - value)
        right = error <= allowed  # False for NaN
        assert right.all(), f"{name}{sizes} on {cpu}: wrong at {np.argwhere(~right)[:3].tolist()}"
        kept = around_c[:SLACK], around_c[SLACK + c_length :]
        assert all((x == UNTOUCHED).all() for x in kept), (
            f"{name}{sizes} on {cpu} writes outside of c"
        )


def guarded(length, dtype, slack):
    """An array so many numbers before memory ends, and what holds it."""
    size = np.dtype(dtype).itemsize
    pages = -(-(length + slack) * size // PAGE)
    held = mmap.mmap(-1, (pages + 1) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(held))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address + pages * PAGE), PAGE, 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    first = pages * PAGE - (length + slack) * size
    return np.frombuffer(held, dtype, length, first), held


def touch_guards(cases, dtypes, cpus, slack):
    """Call all products on memory that ends so many numbers behind each array."""
    for dtype in dtypes:
        for cpu in cpus:
            built = Built([("product", sizes) for sizes in cases], dtype, cpu)
            for n, sizes in enumerate(cases):
                arrays = [guarded(length, dtype, slack) for length in lengths(sizes)]
                built(n, *[array for array, _ in arrays])


def run(*arguments, **environment):
    """Python in another process, which finds what this one finds."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


if __name__ == "__main__":
    shapes = [(1, 1, 1), (1, 33, 9), (3, 7, 5), (5, 1, 37), (9, 17, 65), (26, 15, 3)]
    cases = [sizes for shape in shapes for sizes in [*product_sizes(*shape)][:4]]
    cases += [*convolution_sizes(2, 4, 4, 3, 5), *product_sizes(150, 203, 305)]
    touch_guards(cases, NUMBERS, TARGETS, int(sys.argv[1]))
    sys.stdout.write(f"{len(cases)} products within their memory\n")
