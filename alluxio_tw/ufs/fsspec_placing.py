"""
Writing an object through fsspec.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.fsspec_calls import Calls
from alluxio_tw.ufs.fsspec_storage import Storage
from alluxio_tw.ufs.fsspec_writing import Writing
from alluxio_tw.ufs.pathturns import Finishing, PathTurns

_GATHER = 1 << 20


@implementer(IPlacing)
@attrs.define(eq=False)
class Placing:
    """
    One object on its way.  Small pieces are gathered: each call costs a thread.

    :ivar gone: called when nothing of it is left.
    """

    _storage: Storage
    _calls: Calls
    _turns: PathTurns
    _key: str
    _writing: Writing
    _gone: Callable[[], None]
    _held: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _finishing: Finishing = attrs.field(factory=Finishing, init=False)
    _began: bool = attrs.field(default=False, init=False)
    _over: bool = attrs.field(default=False, init=False)

    @deferred
    async def write(self, data: Piece) -> None:
        self._still()
        try:
            if isinstance(data, FileSpan):
                await self._flush()
                for offset in range(0, data.length, _GATHER):
                    length = min(_GATHER, data.length - offset)
                    await self._send(FileSpan(data.fd, data.offset + offset, length))
                return
            if len(data) < _GATHER:
                self._held += data
                if len(self._held) >= _GATHER:
                    await self._flush()
                return
            await self._flush()
            await self._send(data)
        except BaseException:
            # What is missing in the middle cannot be made good.
            self._over = True
            raise

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        self._still()
        self._over = True
        made: Status = await self._finishing.begin(self._commit(demand))
        return made

    async def _commit(self, demand: Demand) -> Status:
        async with self._turns.turn(self._key):
            await self._flush()
            self._began = True
            made = await self._calls.run_long(
                self._storage.calling(self._writing.finish), demand
            )
            self._gone()
            return made

    @deferred
    async def abort(self) -> None:
        self._over = True
        self._held = bytearray()
        await self._finishing.ended()
        try:
            if self._began:
                self._began = False
                await self._calls.run_long(self._storage.calling(self._writing.discard))
        finally:
            self._gone()

    async def _flush(self) -> None:
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            await self._send(data)

    async def _send(self, data: Piece) -> None:
        self._began = True
        await self._calls.run(self._storage.calling(self._write), data)

    def _write(self, data: Piece) -> None:
        self._writing.write(read_span(data) if isinstance(data, FileSpan) else data)

    def _still(self) -> None:
        if self._over:
            raise StorageUnavailable("This write was given up.")
