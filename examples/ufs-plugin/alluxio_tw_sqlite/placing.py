"""
Writing a version, piece by piece.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.errors import BackendError, ObjectChanged
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw_sqlite.objects import judge, told
from alluxio_tw_sqlite.reading import PIECE

if TYPE_CHECKING:
    from alluxio_tw_sqlite.driver import SqliteUFS


@implementer(IPlacing)
@attrs.define(eq=False)
class SqlitePlacing:
    """
    A draft, from the first full piece on; what does not fill one waits in memory.

    Whoever cancels a write does not stop it: it goes on in its thread while L{abort}
    is called.  So the threads have a lock, and look first whether all was given up.
    """

    _ufs: SqliteUFS
    _path: str
    _version: int | None = attrs.field(default=None, init=False)
    _size: int = attrs.field(default=0, init=False)
    _rest: bytes = attrs.field(default=b"", init=False, repr=False)
    _over: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _digest: hashlib._Hash = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # The ETag it answers, not a safeguard.
        self._digest = hashlib.md5(usedforsecurity=False)

    def write(self, data: Piece) -> Deferred[None]:
        return self._ufs.write(self._append, data)

    def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Deferred[Status]:
        when = self._ufs.now if modified is None else modified
        return self._ufs.write(self._publish, demand, when)

    def abort(self) -> Deferred[None]:
        return self._ufs.write(self._forget)

    # --- in threads ------------------------------------------------------------------

    def _append(self, data: Piece) -> None:
        if isinstance(data, FileSpan):
            for at in range(data.offset, data.offset + data.length, PIECE):
                count = min(PIECE, data.offset + data.length - at)
                piece = os.pread(data.fd, count, at)
                if len(piece) != count:
                    raise ObjectChanged()
                self._append(piece)
            return
        with self._lock:
            self._digest.update(data)
            whole = self._rest + bytes(data)
            full = len(whole) // PIECE * PIECE
            if full:
                with self._ufs.database.writing() as connection:
                    version = self._draft(connection)
                    self._keep(connection, version, whole[:full])
                self._version = version
            self._size += full
            self._rest = whole[full:]

    def _publish(self, demand: Demand, modified: int) -> Status:
        database = self._ufs.database
        size, etag = self._size + len(self._rest), self._digest.hexdigest()
        with self._lock:
            with database.writing() as connection:
                replaced = judge(connection, self._path, demand)
                version = self._draft(connection)
                self._keep(connection, version, self._rest)
                if not drop_draft(connection, version):
                    raise BackendError("The upload was swept: it took too long.")
                connection.execute(
                    "INSERT OR REPLACE INTO objects "
                    "(key, version, size, etag, modified) VALUES (?, ?, ?, ?, ?)",
                    (self._path, version, size, etag, modified),
                )
                if replaced is not None:
                    drop_pieces(connection, replaced)
            self._end(version)
        return told(database, size, version, etag, modified)

    def _forget(self) -> None:
        with self._lock:
            version, self._over = self._version, True
            if version is None:
                return
            with self._ufs.database.writing() as connection:
                if drop_draft(connection, version):
                    drop_pieces(connection, version)
            self._end(version)

    def _draft(self, connection: sqlite3.Connection) -> int:
        if self._over:
            raise BackendError("The upload was given up before it was complete.")
        if self._version is not None:
            return self._version
        version = connection.execute(
            "INSERT INTO drafts (begun) VALUES (?)", (self._ufs.now / 1e9,)
        ).lastrowid
        assert version is not None
        # Before anybody can see it, and sweep it.
        self._ufs.drafts.add(version)
        return version

    def _keep(self, connection: sqlite3.Connection, version: int, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            connection.execute(
                "INSERT INTO pieces (version, number, data) VALUES (?, ?, ?)",
                (version, (self._size + at) // PIECE, data[at : at + PIECE]),
            )

    def _end(self, version: int) -> None:
        self._over, self._version = True, None
        self._ufs.drafts.discard(version)


def drop_draft(connection: sqlite3.Connection, version: int) -> bool:
    """A version is no draft any more; whether it was one."""
    dropped = connection.execute("DELETE FROM drafts WHERE version = ?", (version,))
    return bool(dropped.rowcount)


def drop_pieces(connection: sqlite3.Connection, version: int) -> None:
    """The bytes of a version are nobody's any more."""
    connection.execute("DELETE FROM pieces WHERE version = ?", (version,))
