"""The first op of CONTRIBUTING.md is proven as it says there, and a wrong one is not."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from documents import ROOT, code_blocks

RULE = "g / np.square(1 + np.abs(x))"
COMMANDS = "".join(block.text for block in code_blocks("CONTRIBUTING.md", "sh"))
(PROOF,) = re.findall(r"\.venv/bin/python (-m pytest -q tests/ops -k .*)", COMMANDS)


def first_op():
    """The declaration, as it goes into a file."""
    (block,) = code_blocks("CONTRIBUTING.md", "python")
    return f"\n\n{block.text}"


@pytest.fixture
def clone(tmp_path):
    """A copy of the project in which the first two steps are done."""
    for folder in ("tinygrad_steel", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    ops = tmp_path / "tinygrad_steel" / "ops"
    with (ops / "activations.py").open("a", encoding="utf-8") as file:
        file.write(first_op())
    listed = (ops / "__init__.py").read_text(encoding="utf-8")
    listed = re.sub(r"(from .activations import .*)", r"\1, softsign", listed)
    listed = listed.replace('    "solve",\n', '    "softsign",\n    "solve",\n')
    (ops / "__init__.py").write_text(listed, encoding="utf-8")
    return tmp_path


def proven(clone):
    command = [sys.executable, *PROOF.split()]
    environment = os.environ | {"PYTHONPATH": str(clone)}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_first_op_is_proven(clone):
    done = proven(clone)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 8


@pytest.mark.slow
def test_a_first_op_with_a_wrong_vjp_is_not(clone):
    file = clone / "tinygrad_steel" / "ops" / "activations.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(RULE) == 1
    file.write_text(text.replace(RULE, "g / (1 + np.abs(x))"), encoding="utf-8")
    done = proven(clone)
    assert done.returncode == 1, done.stdout
    assert "test_vjps_agree_with_finite_differences[softsign]" in done.stdout
