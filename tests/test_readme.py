"""The README's commands for a table of one's own run as they stand there, and print what stands beside them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"-?\d+\.\d+")


def blocks():
    """The commands and what they print, as the README has them."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own table")[1]
    return re.search(r"```sh\n(.*?)```\s+```text\n(.*?)```", section, re.DOTALL).groups()


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a Unix shell")
def test_the_commands_print_what_stands_beside_them(tmp_path):
    commands, printed = blocks()
    for short, path in [
        ("examples/table.py", ROOT / "examples/table.py"),
        ("python3", sys.executable),
    ]:
        commands = commands.replace(short, f"'{path}'")
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    found, wanted = done.stdout.splitlines(), printed.splitlines()
    assert len(found) == len(wanted), done.stdout
    for line, other in zip(found, wanted):
        assert NUMBER.sub("#", line) == NUMBER.sub("#", other)
        # the last digits are those of a machine's products
        numbers = [[float(x) for x in NUMBER.findall(text)] for text in (line, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.003), line
