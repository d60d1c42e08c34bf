"""
Attributes for storages that keep none: a note beside the data.

What a writer says of an object is a small JSON object in the same storage, at a
hidden name that a digest of the path makes: C{.alluxio-tw-attributes/xx/...}.  So
it is short whatever the path, and no listing shows it.

A note names the version that it is about: token, size and modification time.  It
is written after the object.  Who dies in between leaves an object without
attributes and a note about a version that is no more, which is void; so new bytes
never have old attributes, and a write by somebody else makes the note void too.
There is one note for each path, and who writes both is alone with the path in this
process (and in a cluster, where one worker owns an object, altogether); who reads
in between is told of it, waits, and looks again.  Not chosen: a note for each
version.  It needs no waiting, but every overwritten version leaves one, and to find
those costs a listing for each write.

The ETag is the storage's own.  A listing has no room for a request for each entry,
and clients compare its ETags with those of HEAD and PUT.

What it costs: one request more for a status, at the same time as the other; one for
each write and for each delete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import BackendError, NoSuchPath, ObjectChanged
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Demand,
    IReading,
    Status,
)
from alluxio_tw.iufs import IPlacing, IUnderFileSystem
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.passing import PassingUFS
from alluxio_tw.ufs.pathturns import Finishing, PathTurns
from alluxio_tw.ufs.sidecar_notes import HIDDEN, Note, Notes

T = TypeVar("T")


@attrs.define(eq=False)
class _Look:
    """Somebody reads an object and its note; C{disturbed} when it was written."""

    disturbed: bool = False


class SidecarUFS(PassingUFS):
    """
    A driver that keeps attributes, of one that does not.
    """

    def __init__(
        self,
        ufs: IUnderFileSystem,
        threads: IThreads,
        clock: Callable[[], float],
        buckets: bool = False,
    ) -> None:
        """
        :param threads: where notes are read that lie in files.
        :param clock: seconds since the epoch.
        :param buckets: the first folders of paths are buckets.
        """
        super().__init__(ufs)
        self.capabilities = attrs.evolve(ufs.capabilities, attributes=True)
        self._notes = Notes(ufs, threads)
        self._clock = clock
        self._buckets = buckets
        self._turns = PathTurns()
        self._looks: dict[str, list[_Look]] = {}
        self._swept = ""

    # --- reading --------------------------------------------------------------------

    def glance(self, path: str) -> IReading | None:
        # The note cannot be had without waiting.
        return None

    @deferred
    async def status(self, path: str) -> Status:
        return await self._with_note(
            path, self.ufs.status, lambda found: found, lambda found: None, _told
        )

    @deferred
    async def open(self, path: str) -> IReading:
        return await self._with_note(
            path,
            self.ufs.open,
            lambda found: found.status,
            lambda found: found.close(),
            lambda found, note: _Reading(_told(found.status, note), found),
        )

    async def _with_note(
        self,
        path: str,
        ask: Callable[[str], Deferred[T]],
        status_of: Callable[[T], Status],
        drop: Callable[[T], None],
        joined: Callable[[T, Note | None], T],
    ) -> T:
        if self._is_own(path):
            return await ask(path)
        look = _Look(disturbed=path in self._turns)
        looks = self._looks.setdefault(path, [])
        looks.append(look)
        try:
            found, note = await self._both(path, ask, drop)
        finally:
            looks.remove(look)
            if not looks:
                del self._looks[path]
        status = status_of(found)
        if note is not None and note.is_about(status):
            return joined(found, note)
        if note is None and not look.disturbed:
            return joined(found, None)
        # One of them was written between the two questions, perhaps.  Once more,
        # with nobody writing; what then does not fit is of an overwrite by others.
        drop(found)
        async with self._turns.turn(path):
            found, note = await self._both(path, ask, drop)
        fits = note is not None and note.is_about(status_of(found))
        return joined(found, note if fits else None)

    async def _both(
        self, path: str, ask: Callable[[str], Deferred[T]], drop: Callable[[T], None]
    ) -> tuple[T, Note | None]:
        """Object and note, asked for at the same time."""
        reading = self._notes.read(path)
        try:
            found = await ask(path)
        except BaseException:
            reading.addErrback(lambda _: None)
            reading.cancel()
            raise
        try:
            return found, await reading
        except BaseException:
            drop(found)
            raise

    # --- writing --------------------------------------------------------------------

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        placing = await self.ufs.place(path, size, attributes)
        return placing if self._is_own(path) else _Placing(self, path, placing)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        return await Finishing().begin(self._describe(path, status, attributes))

    async def _describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        async with self._alone(path):
            found = await self.ufs.status(path)
            if found.version != status.version:
                raise ObjectChanged()
            return await self._notes.write(path, found, attributes)

    @deferred
    async def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        work = partial(self.ufs.copy, source, status, target, attributes, etag, demand)
        return await Finishing().begin(self.written(target, work, attributes))

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        work = partial(self.ufs.join, sources, target, attributes, etag, demand)
        return await Finishing().begin(self.written(target, work, attributes))

    async def written(
        self, path: str, work: Callable[[], Deferred[Status]], attributes: Attributes
    ) -> Status:
        """Write an object, and then what is said of it."""
        async with self._alone(path):
            made = await work()
            if self._is_own(path):
                return made
            return await self._notes.write(path, made, attributes)

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        if self._is_own(path):
            return await self.ufs.delete(path, demand)
        return await Finishing().begin(self._delete(path, demand))

    async def _delete(self, path: str, demand: Demand) -> bool:
        async with self._alone(path):
            gone = await self.ufs.delete(path, demand)
            if gone:
                # Without its object it is void; what is left is swept.
                with suppress(BackendError):
                    await self._notes.forget(path)
            return gone

    @asynccontextmanager
    async def _alone(self, path: str) -> AsyncIterator[None]:
        """Be the only one who writes a path, and disturb those who look at it."""
        async with self._turns.turn(path):
            for look in self._looks.get(path, ()):
                look.disturbed = True
            yield

    def _is_own(self, path: str) -> bool:
        """What the gateway keeps for itself has nothing said of it."""
        if path.startswith(HIDDEN):
            return True
        return self._buckets and path.partition("/")[2].startswith(HIDDEN)

    # --- leftovers ------------------------------------------------------------------

    @deferred
    async def sweep(self, older: float) -> int:
        """
        Beside the driver's own leftovers, notes about objects that are no more.  To
        know that costs two requests for each note, so each time only some are
        looked at, going round.
        """
        swept = await self.ufs.sweep(older)
        before = int((self._clock() - older) * 1e9)
        names, self._swept = await self._notes.some(self._swept, before)
        for name in names:
            note = await self._notes.read_named(name)
            if note is None:
                continue
            async with self._alone(note.path):
                # Nobody writes it now: once more, to be sure.
                swept += await self._swept_note(name, note.path)
        return swept

    async def _swept_note(self, name: str, path: str) -> int:
        note = await self._notes.read_named(name)
        if note is None:
            return 0
        try:
            if note.is_about(await self.ufs.status(path)):
                return 0
        except NoSuchPath:
            pass
        return int(await self._notes.remove(name))


def _told(status: Status, note: Note | None) -> Status:
    if note is None:
        return status
    return attrs.evolve(status, attributes=note.attributes, memo={})


@implementer(IPlacing)
@attrs.define(eq=False)
class _Placing:
    _ufs: SidecarUFS
    _path: str
    _inner: IPlacing
    _finishing: Finishing = attrs.field(factory=Finishing, init=False)

    def write(self, data: Piece) -> Deferred[None]:
        return self._inner.write(data)

    def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Deferred[Status]:
        work = partial(self._inner.commit, etag, attributes, demand, modified)
        return self._finishing.begin(self._ufs.written(self._path, work, attributes))

    @deferred
    async def abort(self) -> None:
        await self._finishing.ended()
        await self._inner.abort()


@implementer(IReading)
@attrs.frozen(eq=False)
class _Reading:
    status: Status
    _inner: IReading

    @property
    def cache(self) -> str:
        return self._inner.cache

    def at_once(self, span: Span) -> bytes | None:
        return self._inner.at_once(span)

    def body(self, span: Span) -> IBody:
        return self._inner.body(span)

    def close(self) -> None:
        self._inner.close()
