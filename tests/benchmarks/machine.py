"""What a benchmark runs on: a clean environment, one core or all, and a description of both.

Nothing here imports NumPy before `prepare` has been called: threads and kernels are chosen when it loads.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Collection, MutableMapping
from pathlib import Path

# What these variables say distorts a comparison: threads, kernels for another processor, switches of compilers.
DISTORTING = (
    *("OPENBLAS_", "GOTO_", "OMP_", "GOMP_", "KMP_", "MKL_", "BLIS_", "VECLIB_"),
    *("NPY_", "NUMBA_", "XLA_", "JAX_", "TORCH", "PYTORCH_"),
)
ONE_THREAD = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "NUMBA_NUM_THREADS",
)
# By which the system's owner may have chosen a kernel of BLAS, as others are wrong in old editions of it.
KERNEL_OF_BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
LIBRARIES = ("numpy", "numba", "torch", "jax", "mygrad", "autograd")


def cleaned(
    environment: MutableMapping[str, str],
    cores: str = "one",
    cpu: str | None = None,
    keep: Collection[str] = (),
) -> list[str]:
    """Take out what distorts, set what a benchmark needs; the names of what was taken out."""
    removed = [name for name in environment if name.startswith(DISTORTING) and name not in keep]
    for name in removed:
        del environment[name]
    environment["JAX_PLATFORMS"] = "cpu"
    if cpu:
        environment["NUMBA_CPU_NAME"] = cpu
    if cores == "one":
        environment.update(dict.fromkeys(ONE_THREAD, "1"))
        if not hasattr(os, "sched_setaffinity"):  # JAX takes no more threads than it may use cores
            environment["XLA_FLAGS"] = (
                "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            )
    return sorted(removed)


def pinned() -> str:
    """Stay on one core, where the system can do that; how it went."""
    if not hasattr(os, "sched_setaffinity"):
        return f"not pinned: {platform.system()} has no sched_setaffinity"
    core = max(os.sched_getaffinity(0))  # the first core has most of the system's own work
    os.sched_setaffinity(0, {core})
    return f"core {core}"


def prepare(cores: str = "one", cpu: str | None = None, keep: Collection[str] = ()) -> list[str]:
    """Clean the environment and pin this process; what was done, in lines. Call it before NumPy loads."""
    if "numpy" in sys.modules:
        raise RuntimeError("NumPy is loaded already: it has chosen its threads and kernels")
    removed = cleaned(os.environ, cores, cpu, keep)
    if cores == "one":
        where = f"one thread, {pinned()}"
    else:
        where = f"all {usable_cores()} cores, each library with threads of its own"
    kept = [f"{name}={os.environ[name]}" for name in keep if name in os.environ]
    return [
        f"runs on: {where}",
        *([f"environment: {', '.join(removed)} taken out"] if removed else []),
        *([f"environment: {', '.join(kept)} kept"] if kept else []),
    ]


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def described() -> list[str]:
    """Processor, its vector units, BLAS and its kernel, versions."""
    import numpy as np

    features = np.show_config(mode="dicts")["SIMD Extensions"]
    widest = [*features["baseline"], *features.get("found", [])]
    told = os.environ.get("NUMBA_CPU_NAME")
    return [
        f"processor: {processor()}",
        f"vector units: {', '.join(widest)}",
        *([f"numba compiles for: {told}"] if told else []),
        f"BLAS of NumPy: {blas()}",
        f"versions: Python {platform.python_version()}, {', '.join(versions())}",
    ]


def processor() -> str:
    """As the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def versions() -> list[str]:
    """Of the libraries that are installed."""
    return [
        f"{name} {importlib.metadata.version(name)}"
        for name in LIBRARIES
        if importlib.util.find_spec(name)
    ]


def blas() -> str:
    """Which library, for which processor it computes, with how many threads."""
    if importlib.util.find_spec("threadpoolctl"):
        import threadpoolctl

        for found in threadpoolctl.threadpool_info():
            if found["user_api"] == "blas" and "numpy" in found["filepath"]:
                kernel = found.get("architecture", "unknown")
                return (
                    f"{found['internal_api']} {found['version']}, kernel {kernel}, "
                    f"threads {found['num_threads']}"
                )
    import numpy as np

    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built['name']} {built.get('version', '')}, kernel {kernel_of_openblas()}"


def kernel_of_openblas() -> str:
    """The kernel of the OpenBLAS that comes in NumPy's wheel."""
    import numpy as np

    for file in Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(file))
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            with contextlib.suppress(AttributeError):
                name_of_kernel = getattr(library, name)
                name_of_kernel.restype = ctypes.c_char_p
                return name_of_kernel().decode()
    return "unknown"
