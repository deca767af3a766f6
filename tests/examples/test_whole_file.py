"""Files that are whole or as they were: modes, links, places that are refused, errors, a full disk, and kills."""

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import whole_file as module
from helpers import counted
from whole_file import place_of, whole_file

POSIX = pytest.mark.skipif(os.name == "nt", reason="of POSIX")
EXAMPLES = Path(module.__file__).parent


def write(file, text="new"):
    with whole_file(file) as part:
        part.write_text(text, encoding="utf-8")


def in_folder(folder):
    return sorted(path.name for path in folder.iterdir())


# What is kept


@pytest.mark.parametrize(
    "name", ["a.npz", "no suffix", ".hidden", "쌍곡선.svg", "a" * 251 + ".npz", "*?[a].x"]
)
def test_a_file_is_written_beside_itself(name, tmp_path):
    file = tmp_path / name
    for text in ("one", "two"):
        with whole_file(file) as part:
            assert part.parent == tmp_path and part != file and part.suffix == file.suffix
            assert part.read_bytes() == b"" and not (text == "one" and file.exists())
            part.write_text(text, encoding="utf-8")
        assert file.read_text(encoding="utf-8") == text and in_folder(tmp_path) == [name]


def test_a_relative_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.txt")
    assert in_folder(tmp_path) == ["a.txt"]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o444])
def test_the_mode_of_an_old_file_is_kept(mode, tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_text("old", encoding="utf-8")
    file.chmod(mode)
    monkeypatch.setattr(os, "access", lambda *_: True)  # as for root
    with whole_file(file) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600  # meanwhile, nobody else reads it
        part.write_text("new", encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == mode and file.read_text(encoding="utf-8") == "new"


@POSIX
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_of_a_new_file_is_that_of_any_new_file(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@POSIX
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_of_an_old_file_is_kept(tmp_path):
    file = tmp_path / "a"
    file.write_text("old", encoding="utf-8")
    os.chown(file, 1234, 2345)
    write(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


@POSIX
def test_of_links_the_target_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "target").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("far/target")
    (tmp_path / "second").symlink_to("link")
    (tmp_path / "dangling").symlink_to("far/fresh")
    write(tmp_path / "second", "by two links")
    write(tmp_path / "dangling", "fresh")
    assert os.readlink(tmp_path / "link") == "far/target"
    assert os.readlink(tmp_path / "second") == "link"
    assert os.readlink(tmp_path / "dangling") == "far/fresh"
    assert in_folder(tmp_path / "far") == ["fresh", "target"]
    assert (tmp_path / "far" / "target").read_text(encoding="utf-8") == "by two links"
    assert (tmp_path / "far" / "fresh").read_text(encoding="utf-8") == "fresh"


@POSIX
def test_a_hard_link_keeps_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    os.link(tmp_path / "a", tmp_path / "backup")
    write(tmp_path / "a")
    assert (tmp_path / "backup").read_text(encoding="utf-8") == "old"


# Where nothing is written


def a_socket(path):
    with (
        contextlib.chdir(path.parent),
        socket.socket(socket.AF_UNIX) as s,
    ):  # its name must be short
        s.bind(path.name)


REFUSED = {
    "a folder": (Path.mkdir, "it is a folder"),
    "a pipe": (os.mkfifo if os.name != "nt" else None, "it is a pipe"),
    "a socket": (a_socket, "it is a socket"),
    "a device": (lambda path: path.symlink_to("/dev/null"), "it is a device"),
    "a full device": (lambda path: path.symlink_to("/dev/full"), "it is a device"),
    "a link to a folder": (lambda path: path.symlink_to(path.parent), "it is a folder"),
    "a loop": (lambda path: path.symlink_to(path), "[Ll]oop|symbolic links"),
}


@POSIX
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_file_is_refused(kind, tmp_path):
    make, message = REFUSED[kind]
    file = tmp_path / "a"
    make(file)
    before = in_folder(tmp_path), file.lstat()
    for refused in (place_of, write):
        with pytest.raises(OSError, match=f"cannot be written: .*{message}") as caught:
            refused(file)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    after = in_folder(tmp_path), file.lstat()
    assert before[0] == after[0] and before[1].st_mode == after[1].st_mode


@POSIX
def test_a_pipe_by_its_number():
    ours, theirs = os.pipe()
    with pytest.raises(OSError, match=f"^/dev/fd/{theirs} cannot be written: it is a pipe$"):
        write(f"/dev/fd/{theirs}")
    os.close(ours), os.close(theirs)


def test_a_folder_that_takes_no_file_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match=r"/a cannot be written: No space left on device$"):
        write(tmp_path / "a")
    assert in_folder(tmp_path) == []


@POSIX
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "needs a name"),
        ("no/such/a", "there is no folder .*no/such"),
        ("fresh/", "the name of a folder"),
        ("file/a", "[Nn]ot a directory|there is no folder"),
        ("x" * 300, "[Nn]ame too long"),
        ("a\0b", "null|name"),
    ],
)
def test_names_with_which_nothing_can_be_written(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(OSError, match=message) as caught:
        write(name)
    assert "\n" not in str(caught.value) and in_folder(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("closed", "message"), [("a", "it is read-only"), (".", "you may not write in the folder")]
)
def test_what_may_not_be_written_is_not_replaced(closed, message, tmp_path, monkeypatch):
    """A rename would replace a read-only file as well."""
    file = tmp_path / "a"
    file.write_text("old", encoding="utf-8")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, *mode: path != tmp_path / closed and access(path, *mode)
    )
    with pytest.raises(OSError, match=message):
        write(file)
    assert file.read_text(encoding="utf-8") == "old" and in_folder(tmp_path) == ["a"]


# What goes wrong


class Odd(Exception):
    pass


@pytest.mark.parametrize("error", [Odd, KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("old", [True, False])
def test_an_error_leaves_everything_as_it_was(error, old, tmp_path):
    if old:
        (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(error), whole_file(tmp_path / "a") as part:
        part.write_text("half", encoding="utf-8")
        raise error
    assert in_folder(tmp_path) == (["a"] if old else [])
    assert not old or (tmp_path / "a").read_text(encoding="utf-8") == "old"


def fail(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "name"), [(os, "fsync"), (Path, "replace"), (Path, "write_text")]
)
@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_is_one_line(place, name, old, tmp_path, monkeypatch):
    file = tmp_path / "a"
    if old:
        file.write_text("old", encoding="utf-8")
    with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
        patch.setattr(place, name, fail)
        write(file)
    assert (
        str(caught.value)
        == f"{file} could not be written, and is as it was: No space left on device"
    )
    assert in_folder(tmp_path) == (["a"] if old else [])
    assert not old or file.read_text(encoding="utf-8") == "old"


@POSIX
def test_a_file_that_the_system_cuts_off(tmp_path):
    """As a full disk does it: after some bytes, which are there until then."""
    import resource

    file = tmp_path / "a"
    file.write_text("old", encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="is as it was: File too large"):
            write(file, "x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert in_folder(tmp_path) == ["a"] and file.read_text(encoding="utf-8") == "old"


@POSIX
def test_it_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, Path.replace

    def synced(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(part, target):
        done.append("name")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write(tmp_path / "a")
    assert done == ["file", "name", "folder"]


def test_many_writers_at_once(tmp_path):
    """Each writes its letter many times; whoever looks sees one letter."""
    file, mixed = tmp_path / "a", []

    def work(letter):
        for _ in range(25):
            write(file, letter * 5000)
            text = file.read_text(encoding="utf-8")
            mixed.extend([text] if len(text) != 5000 or len({*text}) != 1 else [])

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mixed and in_folder(tmp_path) == ["a"]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_where_lines_are_printed_no_file_is_put(number, closed, tmp_path):
    """`steel.py --save log.txt > log.txt`: the lines would go on in a file without a name."""
    file = tmp_path / "log.txt"
    code = "import sys; from whole_file import place_of; print(place_of(sys.argv[1])[0].name)"
    with open(file, "w", encoding="utf-8") as log:
        both = {"stdout": log, "stderr": subprocess.PIPE}
        both = both if number == 1 else {"stdout": subprocess.PIPE, "stderr": log}
        start = ["sh", "-c", 'exec "$@" ' + (f"{number}>&-" if closed else ""), "sh"]
        command = [*start, sys.executable, "-c", code, str(file)]
        env = {**os.environ, "PYTHONPATH": str(EXAMPLES)}
        done = subprocess.run(command, **both, env=env, text=True, timeout=300)
    if closed:
        assert done.returncode == 0
    else:
        said = (done.stderr or "") + file.read_text(encoding="utf-8")
        assert done.returncode == 1 and f"{file} cannot be written: what is printed" in said


@pytest.mark.parametrize("clock", [0, 2e9, 1e12])
def test_what_killed_writers_left_goes_with_the_next_one(clock, tmp_path, monkeypatch):
    """By the clock of the disk: that of the machine may be wrong, or be set while somebody writes."""
    mark, other = "0123456789abcdef", "fedcba9876543210"
    stale = [f".a-{mark}-part.npz"]
    others = [f".a-{other}-part.npz", f".b-{mark}-part.npz", f".a-{mark}-part.svg"]
    others += [f".a-{mark[:9]}-part.npz", f"a-{mark}-part.npz", "a.npz.part"]
    for name in stale + others:
        (tmp_path / name).touch()
        if name != others[0]:  # which may still be written
            os.utime(tmp_path / name, (time.time() - 4000,) * 2)
    monkeypatch.setattr(time, "time", lambda: clock)
    write(tmp_path / "a.npz")
    assert in_folder(tmp_path) == sorted(["a.npz", *others])


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {examples!r})
from whole_file import whole_file

def carefully(file, content):
    with whole_file(file) as part:
        part.write_bytes(content)

def plainly(file, content):
    file.write_bytes(content)

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(0)
for save in (carefully, plainly):
    file, lost, replaced = folder / save.__name__, 0, 0
    contents = [bytes([x]) * 300_000 for x in (65, 66)]
    carefully(file, contents[0])
    start = time.perf_counter()
    for _ in range(12):  # of which one is done even where the machine has other work
        save(file, contents[0])
    several = time.perf_counter() - start
    for _ in range(kills):
        before = file.read_bytes()
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            os.write(tell, b"x")
            while True:
                for content in sorted(contents, key=before.__eq__):  # another one first
                    save(file, content)
        os.read(told, 1)
        time.sleep(random.uniform(0, several))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told), os.close(tell)
        after = file.read_bytes()
        lost += after not in contents
        replaced += after != before
        if after not in contents:
            carefully(file, contents[0])
    print(lost, replaced)
"""


@POSIX
@pytest.mark.slow
def test_no_kill_loses_a_file(tmp_path):
    """At random moments of writing; a plain write loses files by the same kills (59 of 60)."""
    code, kills = KILLS.format(examples=str(EXAMPLES)), counted(60, 20)
    script = [sys.executable, "-c", code, str(tmp_path), str(kills)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True)
    (lost, replaced), (plainly_lost, _) = (
        map(int, line.split()) for line in done.stdout.splitlines()
    )
    assert (lost, replaced > 0, plainly_lost > kills // 2) == (0, True, True), done.stdout
    names = in_folder(tmp_path)
    assert {"carefully", "plainly"} <= {*names}
    assert all(module.MARK.search(name) for name in {*names} - {"carefully", "plainly"})
