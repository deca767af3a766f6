"""Where the real data and the reference transcripts lie, and what to do without them."""

from __future__ import annotations

import gc
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinygrad_steel import OPS
from tinygrad_steel.ops.op import TWINS

WHERE = (
    "TINYGRAD_STEEL_DATA is not set to the folder with abalone.csv, faults.csv and pulsar_stars.csv"
)


def pytest_configure(config: pytest.Config) -> None:
    """What the tests compile is kept apart from what the user has compiled, and other runs of the tests compile."""
    if "TINYGRAD_STEEL_CACHE" not in os.environ:
        folder = tempfile.TemporaryDirectory(
            prefix="tinygrad_steel-tests-", ignore_cleanup_errors=True
        )
        os.environ["TINYGRAD_STEEL_CACHE"] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say groups where `--dist loadgroup` looks for them, in a test's id.

    pytest-xdist 3.8 writes them into `_nodeid`, which is nothing to pytest 9.2: tests of a group were
    spread over all workers, in silence (its issue 1386).
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group and "@" not in item.nodeid.rpartition("]")[2]:
            item._id = item._id.parse(f"{item.nodeid}@{group.args[0]}")
            assert item.nodeid.endswith(group.args[0])


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays to the end: the collector need not look through it again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    """Two worker processes of Dask: for tests of one xdist_group, so that no two clusters are there at once."""
    try:
        from distributed import LocalCluster
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("CI runs on Dask too: pip install 'dask[array,distributed]'")
        pytest.skip("dask is not installed: pip install 'dask[array,distributed]'")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real data sets; skips without them, but fails in CI, which must have them."""
    folder = Path(os.environ.get("TINYGRAD_STEEL_DATA", ""))
    if not os.environ.get("TINYGRAD_STEEL_DATA") or not (folder / "faults.csv").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"CI runs on the real data: {WHERE}")
        pytest.skip(WHERE)
    return folder


@pytest.fixture(scope="session")
def reference(data_folder: Path) -> dict:
    """The figures to reproduce, which lie beside the data."""
    file = data_folder.parent / "reference" / "transcripts.json"
    if not file.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"CI compares with the reference transcripts: {file} is missing")
        pytest.skip(f"no reference transcripts at {file}")
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture
def registry() -> Iterator[None]:
    """Whatever a test registers is forgotten afterwards."""
    before = dict(OPS), dict(TWINS)
    yield
    for table, old in zip((OPS, TWINS), before, strict=True):
        table.clear()
        table.update(old)
