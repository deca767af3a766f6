"""Programs that turn DOT into a picture: where they are looked for, and what is said when one fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import IO

# A thousand cards take a second or two; a graph in which all skips all else can take hours.
MOST_SECONDS = 60
MOST_BYTES = 100_000_000  # a thousand cards are 4 MB of SVG
BEGINNINGS = {"svg": (b"<?xml", b"<svg"), "png": (b"\x89PNG",), "pdf": (b"%PDF",), "json0": (b"{",)}
WHAT_TO_DO = "draw(..., depth=20) draws less, and scopes fold"


class RendererNotFound(RuntimeError):
    """There is no program here that turns DOT into a picture; the message says how to get one.

    Text trees, pages and DOT itself need no such program.

    Examples
    --------
    >>> from tinygrad_steel import RendererNotFound, Tensor, draw
    >>> picture = draw(Tensor([1.0], name="x") * 2)
    >>> try:
    ...     shown = picture.svg()
    ... except RendererNotFound:
    ...     shown = str(picture)  # the text tree
    >>> "multiply" in shown
    True
    """


def find_renderer() -> str:
    """The program to render with.

    $TINYGRAD_STEEL_DOT, else `dot`, else the one of the `draw` extra.
    """
    given = os.environ.get("TINYGRAD_STEEL_DOT")
    if given:
        found = shutil.which(given)
        if found is None:
            raise RendererNotFound(
                f"TINYGRAD_STEEL_DOT is {given!r}, which is not a program that can be run"
            )
        return found
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    places = [("dot", None), *(("graphviz-pure", path) for path in (None, *scripts))]
    for name, path in places:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise RendererNotFound(
        "no renderer: pip install 'tinygrad_steel[draw]', or install graphviz (Debian: apt install "
        "graphviz), or set TINYGRAD_STEEL_DOT to a dot program; .source, .save('graph.dot') and "
        "print(picture) need none"
    )


def render(source: str, kind: str, *options: str) -> bytes:
    """DOT as a picture; RuntimeError, in one line, where the program fails."""
    program = find_renderer()
    name = Path(program).name
    out, problems, code = output_of([program, f"-T{kind}", *options], source.encode("utf-8"))
    if "not recognized" in problems:
        raise RendererNotFound(
            f"{name} cannot make {kind}: install graphviz (Debian: apt install graphviz), or take "
            f"svg"
        )
    if code:
        said = " ".join(problems.split())[:500] or f"exit status {code}, and no word of why"
        raise RuntimeError(f"{program} failed: {said}")
    if not out.startswith(BEGINNINGS[kind]):
        raise RuntimeError(
            f"{program} made no {kind}: is it a dot program? TINYGRAD_STEEL_DOT names another"
        )
    return out


def output_of(command: list[str], source: bytes) -> tuple[bytes, str, int]:
    """What a program writes, what it says of problems, and its exit status; no more than it may."""
    with contextlib.ExitStack() as files:
        given, out, said = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(source)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=said, start_new_session=True
            )
        except OSError as error:
            raise RuntimeError(f"{command[0]} cannot be run: {error.strerror}") from error
        try:
            wait_for(process, [out, said])
        finally:
            stop(process)
        out.seek(0)
        said.seek(0)
        return out.read(), said.read(10_000).decode(errors="replace").strip(), process.returncode


def wait_for(process: subprocess.Popen[bytes], files: list[IO[bytes]]) -> None:
    """Until a program ends; RuntimeError where it takes too long or writes too much."""
    name = str(process.args[0]) if isinstance(process.args, list) else str(process.args)
    end = time.monotonic() + MOST_SECONDS
    while process.poll() is None:
        if time.monotonic() > end:
            raise RuntimeError(f"{name} has not finished in {MOST_SECONDS} s: {WHAT_TO_DO}")
        check_size(name, files)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    check_size(name, files)


def check_size(name: str, files: list[IO[bytes]]) -> None:
    """RuntimeError where a program has written too much."""
    if max(os.fstat(file.fileno()).st_size for file in files) > MOST_BYTES:
        raise RuntimeError(f"{name} wrote more than {MOST_BYTES // 10**6} MB: {WHAT_TO_DO}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, and what it has started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
