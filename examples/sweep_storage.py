"""Where a sweep's study lies: a database or a journal, in which no trial is taken twice, and no other file."""

from __future__ import annotations

import functools
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, journal

ERRORS = (OptunaError, sqlalchemy.exc.SQLAlchemyError, RuntimeError)
PATIENCE = 120  # seconds, for a SQLite file that somebody has locked
MISSED = 3  # heartbeats, and a worker is taken for dead
TRIES = 10  # of a run whose worker dies each time: it may be the run that kills it
SQLITE = rb"SQLite format 3\0.*CREATE TABLE studies \(\s*study_id INTEGER"
JOURNAL = rb'\{"op_code":'


def unwarned(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call what Optuna calls experimental, without hearing that it is."""
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        return function(*args, **options)


RETRY = unwarned(optuna.storages.RetryHeartbeatStaleTrialCallback, max_retry=TRIES)


def check_file(file: str | Path, beginning: bytes) -> None:
    """OSError for a file that cannot be written, ValueError for one that does not begin like this."""
    path = Path(file)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(f"{file} cannot be written: its folder is missing or closed to you")
    if path.exists():
        if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
            raise OSError(f"{file} cannot be written: it is no file, or closed to you")
        with path.open("rb") as f:
            head = f.read(1 << 18)
        if head and not re.match(beginning, head, re.DOTALL):
            raise ValueError(f"{file} is no sweep's file, and stays as it is: name another one")


@functools.cache
def open_storage(address: str, heartbeat: int) -> BaseStorage:
    """The storage at an address, see `Task`; for a place without one, what `check_file` raises, and `ERRORS`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind, _, file = address.partition(":")
    if kind == "journal":
        check_file(file, JOURNAL)
        return JournalStorage(journal.JournalFileBackend(file))
    if kind.startswith("redis"):
        return JournalStorage(journal.JournalRedisBackend(address))
    if kind.startswith("sqlite"):
        check_file(sqlalchemy.make_url(address).database or "", SQLITE)
    for tries_left in reversed(range(5)):
        try:
            storage = unwarned(
                RDBStorage,
                address,
                {"connect_args": {"timeout": PATIENCE}} if kind.startswith("sqlite") else {},
                heartbeat_interval=heartbeat,
                grace_period=MISSED * heartbeat,
                heartbeat_stale_trial_callback=RETRY,
            )
            break
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError):
            if not tries_left:
                raise
            time.sleep(0.2)  # others may be making the same tables
    if kind.startswith("sqlite"):
        # SQLite has no SELECT FOR UPDATE, by which Optuna gives a trial to one worker only.
        listen = functools.partial(sqlalchemy.event.listen, storage.engine)
        listen("connect", lambda connection, _: setattr(connection, "isolation_level", None))
        listen("begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        storage.engine.dispose()  # of the connections made before
    return storage


@functools.cache
def open_study(address: str, name: str, heartbeat: int, prune: bool) -> optuna.Study:
    """The study of this name, which is there."""
    return optuna.load_study(
        study_name=name,
        storage=open_storage(address, heartbeat),
        # many ask at once: not all for one place (grid and random leave nothing to sample)
        sampler=unwarned(optuna.samplers.TPESampler, constant_liar=True),
        pruner=optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner(),
    )


def in_words(error: BaseException) -> BaseException | str:
    """An error as it is to be said: of a database's, what it says itself, without the statement."""
    cause = error.__cause__ or error
    if isinstance(cause, sqlalchemy.exc.DBAPIError):
        return f"the storage says: {cause.orig}"
    return f"{error} {cause}" if isinstance(cause, ImportError) and cause is not error else error
