"""
The SQLite file: its tables, and who uses a connection to it.

A version of an object is a number that is never used again.  Its bytes lie in
C{pieces} from the first write on; it is nobody's until it is named in C{objects},
and until then it is a draft, which a crash may leave behind.  So what makes an
object appear is one small transaction, however large the object is.

Everything here blocks: it is called in threads.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from alluxio_tw.errors import (
    BackendError,
    StorageBusy,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)

P = ParamSpec("P")
T = TypeVar("T")

IDLE = 4
"""How many connections are kept for the next who needs one."""

BUSY_SECONDS = 10.0
"""How long a writer waits for writers of other processes."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS drafts (
    version INTEGER PRIMARY KEY AUTOINCREMENT, begun REAL NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL UNIQUE, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pieces (
    version INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (version, number));
"""

FAULTS: dict[str, type[BackendError]] = {
    "database or disk is full": StorageFull,
    "database is locked": StorageBusy,
    "attempt to write a readonly database": StorageReadOnly,
    "unable to open database file": StorageUnavailable,
    "disk I/O error": StorageUnavailable,
}
"""What SQLite says, and whose fault it is; the rest is a failure of the storage."""


def translated(work: Callable[P, T]) -> Callable[P, T]:
    """Make errors of SQLite's those that the gateway knows."""

    @wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except sqlite3.Error as error:
            raise FAULTS.get(str(error), BackendError)() from error

    return call


class Database:
    """
    An SQLite file; made when it is first used.

    :ivar path: where it is.
    :ivar identity: of the file, once it was opened: another file at the same path
        counts its versions from one again, and must not be taken for this one.
    """

    identity = ""

    def __init__(self, path: str, durable: bool) -> None:
        self.path = path
        self._durable = durable
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<Database {self.path!r}>"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection, for this thread until the end of the block."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        finally:
            with self._lock:
                keep = not self._closed and len(self._idle) < IDLE
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which succeeds if the block does."""
        with self.reading() as connection:
            # At once, not with the first write: what was read before it must hold.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of all connections; those in use are closed after it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            # It goes from thread to thread, but is used by one at a time.
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            safety = "FULL" if self._durable else "NORMAL"
            connection.execute(f"PRAGMA synchronous = {safety}")
            if not self.identity:
                self.identity = self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> str:
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO identity SELECT ? WHERE NOT EXISTS (SELECT * FROM identity)",
            (os.urandom(8).hex(),),
        )
        (name,) = connection.execute("SELECT name FROM identity").fetchone()
        return str(name)
