"""How the house is built: what may import what, what loads when, what stands in every file."""

import ast
import doctest
import io
import pydoc
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import tinygrad_steel
from tinygrad_steel import OPS

HOUSE = Path(tinygrad_steel.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
IN_ROOMS = [f for f in FILES if f.parent != HOUSE]
READERS = ("written", "verify", "picture", "compiled", "export")
# What a room may import besides itself. In ops and engine everybody may look; a reader's room is its own.
MAY_IMPORT = {
    "ops": set(),
    "engine": {"ops"},
    "program": {"ops", "engine"},
    **{reader: {"ops", "engine", "program"} for reader in READERS},
}


def room_of(module):
    """The room of a module, by its dotted name inside the package; None for the package itself."""
    return module.split(".")[0] or None


def imports(file):
    """The modules of the package that a file imports while it runs, by dotted names inside the package."""
    package = [*file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) - (node.level - 1)]
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from [base] if base else [name.name for name in node.names]


def test_a_room_imports_only_what_it_may():
    for file in IN_ROOMS:
        room = file.relative_to(HOUSE).parts[0].removesuffix(".py")
        foreign = {room_of(module) for module in imports(file)} - {room, None}
        wrong = foreign - MAY_IMPORT[room]
        assert not wrong, f"{file} imports {wrong}"


def test_every_room_is_known():
    rooms = {f.parent.name for f in IN_ROOMS}
    assert len(FILES) > len(IN_ROOMS) > 0  # over which the tests of this file go
    assert rooms - {"faults", "page"} <= {*MAY_IMPORT}


def test_a_file_says_its_role():
    for file in FILES:
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        assert doc and doc.splitlines()[0].rstrip()[-1] in ".:", (
            f"{file} does not say in its first line what it is for"
        )


def test_a_broad_except_says_why():
    """`except Exception` re-raises with more words, or a comment says why it does not."""
    for file in FILES:
        source = file.read_text(encoding="utf-8")
        for node in silent_excepts(source):
            lines = range(node.lineno - 1, node.body[-1].end_lineno + 1)
            assert lines_with_comments(source) & {*lines}, (
                f"{file}:{node.lineno} goes another way without a word"
            )


def silent_excepts(source):
    """Each `except` that takes whatever comes, and raises nothing."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            names = ast.unparse(node.type) if node.type else "everything"
            is_broad = re.search(r"\b(Exception|BaseException|everything)\b", names)
            if is_broad and not any(isinstance(x, ast.Raise) for x in ast.walk(node)):
                yield node


def lines_with_comments(source):
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}


def test_no_table_is_keyed_by_the_name_of_an_op():
    """A user's op may be called `sum` as well: tables are keyed by the ops themselves."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            keys = (
                node.keys
                if isinstance(node, ast.Dict)
                else node.elts
                if isinstance(node, ast.Set)
                else []
            )
            named = [k.value for k in keys if isinstance(k, ast.Constant) and k.value in OPS]
            only = len(named) == len(keys) > 1
            assert not only, f"{file}:{node.lineno} has the names of ops as keys: {named}"
            compared = isinstance(node, ast.Compare) and re.search(
                r"\bop\.name\b", ast.unparse(node.left)
            )
            assert not compared, f"{file}:{node.lineno} asks what an op is by its name"


def late_imports():
    """The names that are imported for type checkers alone -> their modules."""
    tree = ast.parse((HOUSE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {name.name: node.module for node in block.body for name in node.names}


def test_readers_load_when_they_are_asked_for():
    assert tinygrad_steel.LATER == late_imports()
    code = (
        "import sys, tinygrad_steel as t\n"
        "early = [m for m in sys.modules if m.startswith('tinygrad_steel.')]\n"
        f"assert not [m for m in early if m.split('.')[1] in {READERS}], early\n"
        "assert not {'graphviz', 'numba', 'onnx', 'jax', 'subprocess'} & {*sys.modules}\n"
        "assert {*t.__all__} <= {*dir(t)}\n"
        "for name in t.__all__: assert getattr(t, name) is not None\n"
        "print('ok')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "ok\n", run.stderr


def is_of_an_example(op):
    """Whether an op was declared in an example of a docstring."""
    code = getattr(op.forward, "__code__", None)
    return code is not None and code.co_filename.startswith("<doctest")


@pytest.mark.parametrize("name", [name for name in tinygrad_steel.__all__ if name != "OPS"])
def test_a_public_example_runs_when_pasted(name, registry):
    """With the imports that it shows itself."""
    for other in [o for o in OPS.values() if is_of_an_example(o)]:
        del OPS[other.name]  # this very one may have run before, as a test of its file
    examples = doctest.DocTestParser().get_examples(getattr(tinygrad_steel, name).__doc__ or "")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    said = io.StringIO()
    found = doctest.DocTestRunner(verbose=False, optionflags=flags).run(
        doctest.DocTest(examples, {}, name, None, 0, None), out=said.write
    )
    assert not found.failed, said.getvalue()


def test_help_is_a_map():
    """It names everything that is public, on one screen, before all that Python lists."""
    text = tinygrad_steel.__doc__
    assert {*tinygrad_steel.__all__} <= {*re.findall(r"\w+", text)}
    assert [int(n) for n in re.findall(r"^(\d+)\. ", text, re.MULTILINE)] == [*range(1, 11)]
    assert len(text.splitlines()) <= 60
    page = pydoc.render_doc(tinygrad_steel, renderer=pydoc.plaintext)
    lines = [line.strip() for line in page.splitlines()]
    assert lines.index("DESCRIPTION") < 10
    assert lines.index("10. " + text.split("10. ")[1].split("\n")[0]) < lines.index("CLASSES")


def test_what_completion_shows():
    shown = [name for name in dir(tinygrad_steel) if not name.startswith("__")]
    assert shown == sorted(tinygrad_steel.__all__)
    names = {}
    exec("from tinygrad_steel import *", names)
    assert names.keys() - {"__builtins__"} == {*tinygrad_steel.__all__}


def test_an_unknown_name():
    with pytest.raises(
        AttributeError, match="module 'tinygrad_steel' has no attribute 'compile_all'"
    ):
        tinygrad_steel.compile_all  # noqa: B018


def test_the_version_is_that_of_the_change_log():
    newest = re.search(
        r"^## ([\d.]+)", (HOUSE.parent / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert newest[1] == tinygrad_steel.__version__
