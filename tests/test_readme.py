"""What the first page and that of the examples tell one to type runs, and prints what stands beside it."""

import os
import re
import subprocess
import sys

import pytest
from documents import ROOT, code_blocks, tables

NUMBER = re.compile(r"-?\d+\.\d+")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def texts(page, language):
    return [block.text for block in code_blocks(page, language)]


def run(command, folder):
    """What a command prints in a folder, with this project's package; it is to end well."""
    paths = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pieces_of_the_first_page_are_one_program(tmp_path):
    """That README.ko.md has the same ones, tests/test_documents.py says."""
    pieces, printed = texts("README.md", "python"), texts("README.md", "text")
    assert len(pieces) > len(printed) >= 4
    (tmp_path / "first.py").write_text("".join(pieces), encoding="utf-8")
    found = run([sys.executable, "first.py"], tmp_path)
    assert lines(found) == lines("".join(printed))
    assert (tmp_path / "loss.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_first_command_ends_where_the_first_page_says(page, data_folder):
    section = text_of(page).partition("```sh\n")[2].partition("```sh\n")[0]
    real, stand_in, better = map(float, NUMBER.findall(section))
    for source, said, within in [(str(data_folder), real, 1e-9), ("synthetic", stand_in, 0.02)]:
        found = run([sys.executable, str(ROOT / "examples/steel.py"), "--data", source], ROOT)
        (accuracy,) = re.findall(r"final accuracy = (.*)", found)
        assert float(accuracy) == pytest.approx(said, abs=within), source
    (good,) = re.findall(
        r"^\| steel \|.*\| accuracy (\S+)", text_of("examples/README.md"), re.MULTILINE
    )
    assert round(float(good), 2) == better


def lines(text):
    """Those that are not empty, without spaces at their ends."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a Unix shell")
def test_the_commands_for_a_table_print_what_stands_beside_them(tmp_path):
    (commands,) = (text for text in texts("examples/README.md", "sh") if "table.py" in text)
    (printed,) = texts("examples/README.md", "text")
    for short, path in [
        ("examples/table.py", ROOT / "examples/table.py"),
        (".venv/bin/python", sys.executable),
    ]:
        commands = commands.replace(short, f"'{path}'")
    found, wanted = run(["sh", "-ec", commands], tmp_path).splitlines(), printed.splitlines()
    assert len(found) == len(wanted), found
    for line, other in zip(found, wanted):
        assert NUMBER.sub("#", line) == NUMBER.sub("#", other)
        # the last digits are those of a machine's products
        numbers = [[float(x) for x in NUMBER.findall(text)] for text in (line, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.003), line


GOOD = [
    (data, command.strip("`"), *re.search(r"([\d.]+) ± ([\d.]+)", figure).groups())
    for table in tables("examples/README.md")
    if "command" in table.head
    for data, command, figure, _ in table.rows
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command, mean, spread", [row[1:] for row in GOOD], ids=[r[0] for r in GOOD]
)
def test_a_good_figure_is_what_its_command_prints(command, mean, spread, data_folder):
    """Up to a quarter of the spread, as trainings differ a little from processor to processor."""
    script, *options = command.split()
    found = run([sys.executable, str(ROOT / script), *options, "--data", str(data_folder)], ROOT)
    last = re.findall(r"of 5 seeds = ([\d.]+) ± ([\d.]+)", found)[-1]
    allowed = float(spread) / 4
    assert [float(x) for x in last] == pytest.approx([float(mean), float(spread)], abs=allowed)


def test_there_is_a_good_figure_of_each_data_set():
    assert [name for name, *_ in GOOD] == ["steel", "abalone", "pulsar"]
