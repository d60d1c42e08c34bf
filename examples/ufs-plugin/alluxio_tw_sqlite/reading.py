"""
Reading a version, piece by piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.spans import Span
from alluxio_tw_sqlite.database import Database
from alluxio_tw_sqlite.objects import number

if TYPE_CHECKING:
    from alluxio_tw_sqlite.driver import SqliteUFS

PIECE = 256 << 10
"""How many bytes a row of C{pieces} holds; the last of a version has the rest."""


@implementer(IReading)
@attrs.frozen(eq=False)
class SqliteReading:
    """
    A version that was found.  It holds nothing: its rows are asked for one by one.
    """

    _ufs: SqliteUFS
    status: Status
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        return SqliteBody(self._ufs, self.status, span)

    def close(self) -> None:
        pass


@implementer(IBody)
@attrs.define(eq=False)
class SqliteBody:
    """
    Bytes of a version.  A row is read when it is asked for, and no earlier: that is
    the backpressure.
    """

    _ufs: SqliteUFS
    _status: Status
    _left: Span

    length: int | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = self._left.length

    @deferred
    async def read(self) -> Piece | None:
        left = self._left
        if not left.length:
            return None
        at, within = divmod(left.offset, PIECE)
        data = await self._ufs.run(fetch, self._ufs.database, self._status, at)
        piece = memoryview(data)[within : within + left.length]
        self._left = Span(left.offset + len(piece), left.length - len(piece))
        return piece

    def close(self) -> None:
        self._left = Span(self._left.offset, 0)


def fetch(database: Database, status: Status, at: int) -> bytes:
    """
    A piece of a version.

    :raises ObjectChanged: its rows are gone: another version is there, or none.
    """
    with database.reading() as connection:
        row = connection.execute(
            "SELECT data FROM pieces WHERE version = ? AND number = ?",
            (number(status), at),
        ).fetchone()
    if row is None:
        raise ObjectChanged()
    data: bytes = row[0]
    return data
