"""A file out of a zip archive from the network: bounded in time and in size, or one line that says why not."""

from __future__ import annotations

import io
import struct
import threading
import time
import zipfile
import zlib
from concurrent.futures import Future
from http import HTTPStatus

TIMEOUT = 15  # seconds without a word
PATIENCE = 60  # seconds for all of it
# Bytes, of an archive and of a file in it: ten times those of the largest table
LARGEST = 20_000_000

# What a broken archive may raise; of the methods of compression, only the usual one can be read in bounded pieces
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    struct.error,
    zlib.error,
)


def unpacked(url: str, member: str) -> bytes:
    """The file `member` of the archive at an address.

    Raises ConnectionError, with the reason, where nothing can be had, ValueError where it is not what it should be.
    """
    archive = download(url)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            info = opened.getinfo(member)
            if info.compress_type not in METHODS or info.file_size > LARGEST:
                raise ValueError(f"{info.file_size} bytes, packed by method {info.compress_type}")
            with opened.open(info) as f:
                return f.read(info.file_size)  # never more, whatever it unpacks to
    except BROKEN as error:
        raise ValueError(f"{url} did not send a sound zip archive with {member} in it") from error


def download(url: str) -> bytes:
    """What is at an address. Somebody who sends a byte now and then is not waited for longer than for others."""
    found: Future[bytes] = Future()

    def work() -> None:
        try:
            found.set_result(fetch(url, time.monotonic() + PATIENCE))
        except Exception as error:  # of any kind: it is raised below
            found.set_exception(error)

    # No limit of `requests` is one for the whole; a thread can be left alone, and ends with the program at the latest
    threading.Thread(target=work, daemon=True).start()
    try:
        return found.result(PATIENCE)
    except TimeoutError as error:
        raise too_slow() from error


def fetch(url: str, deadline: float) -> bytes:
    """The same, without a limit while a single piece comes in."""
    import requests
    from urllib3.exceptions import HTTPError

    content = bytearray()
    as_it_is = {"Accept-Encoding": "identity"}  # nothing that unpacks on the way
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT, headers=as_it_is) as response:
            if response.status_code != HTTPStatus.OK:
                raise ConnectionError(f"UCI answered {named(response.status_code)}")
            for piece in response.raw.stream(2**16, decode_content=False):
                content += piece
                if len(content) > LARGEST:
                    raise ValueError(f"{url} sent more than {LARGEST} bytes")
                if time.monotonic() > deadline:
                    raise too_slow()
    except (requests.RequestException, HTTPError) as error:
        raise ConnectionError("UCI could not be reached") from error
    return bytes(content)


def too_slow() -> ConnectionError:
    """The error for a download that takes too long."""
    return ConnectionError(f"UCI was too slow, {PATIENCE:g} seconds were not enough")


def named(status: int) -> str:
    """An HTTP status with its name; the server's own words for it are not to be trusted."""
    known = {s.value: s.phrase for s in HTTPStatus}
    return f"{status} {known.get(status, '')}".strip()
