"""What can go wrong with a store, each error written for the person who has to act on it.

StoreError
├── StoreNotFound   the directory is not there
├── StoreBusy       another process writes to this store
├── NotWritable     the directory cannot be made or written to
├── TargetTaken     a new store was asked for where there is one
├── CannotListen    the receiver's address is taken or not this machine's
├── QueryTimeout    a query ran longer than it was allowed to
└── InvalidRows     rows that do not fit their table
"""

import os
from pathlib import Path


class StoreError(Exception):
    """Any error of the store itself; errors in a caller's SQL stay `duckdb.Error`."""


class StoreNotFound(StoreError):
    """The directory of the store does not exist."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no telemetry store at {path}: start one with 'midwatch-store serve --dir {path}', "
            "or correct the directory"
        )
        self.path = path


class StoreBusy(StoreError):
    """Another process holds the store's writer lock."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"the store at {path} already has a writer (process {pid}): send telemetry to that one, stop it first, "
            "or write to another directory"
        )
        self.path = path


class NotWritable(StoreError):
    """The store's directory cannot be made or written to."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(f"cannot write to the store at {path}: {cause.strerror}; choose another with --dir")


class TargetTaken(StoreError):
    """A new store was asked for in a directory that has one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is a store at {path} already: name a new directory with --to")


class CannotListen(StoreError):
    """The receiver cannot listen where it was told to."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {_words(cause)}; choose another with --port or --host")


class QueryTimeout(StoreError):
    """A query was interrupted at its deadline."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the query was stopped after {seconds:g} s: narrow the time window or the filter")
        self.seconds = seconds


class InvalidRows(StoreError):
    """Rows whose table or columns the store does not have, or whose values do not fit."""


def _words(cause: OSError) -> str:
    """The system's words for an error, without what a library appended to them."""
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause)
