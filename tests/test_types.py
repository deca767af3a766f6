"""What a type checker sees of the public API, from outside; `mypy` by itself checks the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typed_program

import tinygrad_steel

PROGRAM = Path(typed_program.__file__)


@pytest.mark.slow
def test_a_program_with_types(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: it comes with the test extra")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", PROGRAM]
    # The findings in the package are those of the step of CI, not of this test.
    command += ["--follow-imports=silent", f"--cache-dir={tmp_path}"]
    where = {**os.environ, "MYPYPATH": str(Path(tinygrad_steel.__file__).parents[1])}
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=where, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_program_runs(registry, capsys):
    typed_program.main()
    assert "weight" in capsys.readouterr().out
