"""What a column costs in a fresh process: seconds to import and compile, without and with machine code on disk; memory.

`of(row, column)` starts the processes; each runs this file, `python fresh.py ROW COLUMN`, and prints JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COLUMNS = ("epoch", "jax-scan")


def of(row: str, column: str) -> dict[str, float | None]:
    """Imports, cold, warm and memory, the latter two of the first and of the second of two processes."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (child(row, column, folder) for _ in range(2))
    return {
        "imports": min(cold["imports"], warm["imports"]),
        "cold": cold["compile"],
        "warm": warm["compile"],
        "memory": cold["memory"],
    }


def child(row: str, column: str, cache: str) -> dict[str, Any]:
    """What a process with this folder of machine code finds."""
    environment = {**os.environ, "TINYGRAD_STEEL_CACHE": cache}
    command = [sys.executable, __file__, row, column]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main(row: str, name: str) -> None:
    start = time.perf_counter()
    from columns import BY_NAME
    from rows import ROWS

    column = BY_NAME[name]
    importlib.import_module(column.needs)
    imports = time.perf_counter() - start
    workload, before = ROWS[row](), peak_memory()
    start = time.perf_counter()
    contender = column.make(workload)
    seconds = time.perf_counter() - start
    run, _ = contender.timed(workload)
    first, second = (timed(run) for _ in range(2))
    after = peak_memory()
    memory = None if before is None or after is None else after - before
    compiling = seconds + first - second
    print(json.dumps({"imports": imports, "compile": compiling, "memory": memory}))


def timed(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_memory() -> float | None:
    """MiB that this process has had at most; None where the system does not say.

    Linux has it in /proc: what `getrusage` says there begins with the memory of the parent process.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 1024 ** (2 if sys.platform == "darwin" else 1)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
