"""
Notes of what was said about objects, as small objects of the same storage.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import attrs

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import NoSuchPath, StorageDenied, UnsuitableKey
from alluxio_tw.ibody import FileSpan
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Status
from alluxio_tw.iufs import IUnderFileSystem, IWholeReads, ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.local_records import (
    STORAGE_CLASS,
    Record,
    dumped,
    parsed,
    record_of,
    written,
)

HIDDEN = ".alluxio-tw"
FOLDER = f"{HIDDEN}-attributes/"

_LARGEST = 1 << 20
_SOME = 500


@attrs.frozen
class Note:
    """
    What was said of a version of an object.

    :ivar path: of the object.
    """

    path: str
    version: str
    size: int
    modified: int
    attributes: Attributes

    @classmethod
    def of(cls, found: dict[str, Any]) -> Note | None:
        """One from its document; L{None} if that is not one."""
        names = (("path", str), ("v", str), ("s", int), ("m", int))
        if not all(isinstance(found.get(name), kind) for name, kind in names):
            return None
        return cls(
            found["path"],
            found["v"],
            found["s"],
            found["m"],
            record_of(found).attributes,
        )

    def is_about(self, status: Status) -> bool:
        """Is this the version?"""
        return (self.version, self.size, self.modified) == (
            status.version,
            status.size,
            status.modified,
        )


@attrs.frozen(eq=False)
class Notes:
    """
    The notes of a storage.
    """

    _ufs: IUnderFileSystem
    _threads: IThreads

    @deferred
    async def read(self, path: str) -> Note | None:
        """The note about whatever version of an object."""
        note = await self.read_named(_name(path))
        return note if note is not None and note.path == path else None

    async def read_named(self, name: str) -> Note | None:
        """A note by its own name."""
        try:
            raw = await self._bytes(name)
        except (NoSuchPath, UnsuitableKey, StorageDenied):
            # Who may not read our own names never wrote any: it is somebody's
            # storage to be read.
            return None
        found = parsed(raw)
        return None if found is None else Note.of(found)

    async def write(self, path: str, status: Status, attributes: Attributes) -> Status:
        """
        Say something of a version.

        :return: it, with what is said of it.
        """
        # Listings tell storage classes as well, and know only the storage's own.
        headers = {k: v for k, v in attributes.headers.items() if k != STORAGE_CLASS}
        attributes = attrs.evolve(attributes, headers=headers)
        if attributes == NO_ATTRIBUTES:
            await self.forget(path)
        else:
            document = {
                "path": path,
                "v": status.version,
                "s": status.size,
                "m": status.modified,
                **written(Record("", attributes)),
            }
            raw = dumped(document)
            placing = await self._ufs.place(_name(path), len(raw))
            try:
                await placing.write(raw)
                await placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
            finally:
                await placing.abort()
        return attrs.evolve(status, attributes=attributes, memo={})

    async def forget(self, path: str) -> None:
        """There is nothing to say of an object."""
        await self.remove(_name(path))

    async def remove(self, name: str) -> bool:
        """Remove a note by its own name; was there one?"""
        return await self._ufs.delete(name, NO_DEMAND)

    async def some(self, after: str, before: int) -> tuple[list[str], str]:
        """
        The names of some notes.

        :param before: only of older ones, in nanoseconds since the epoch.
        :return: with what the next some come after.
        """
        page = await self._ufs.list(ListQuery(FOLDER, after, limit=_SOME))
        names = [entry.key for entry in page.entries if entry.modified < before]
        return names, page.resume or ""

    async def _bytes(self, name: str) -> bytes:
        if IWholeReads.providedBy(self._ufs):
            return await IWholeReads(self._ufs).whole(name, _LARGEST)
        reading = await self._ufs.open(name)
        body = reading.body(Span(0, min(reading.status.size, _LARGEST)))
        reading.close()
        parts: list[bytes] = []
        try:
            while (piece := await body.read()) is not None:
                if isinstance(piece, FileSpan):
                    piece = await self._threads.run(translated(read_span), piece)
                parts.append(bytes(piece))
        finally:
            body.close()
        return b"".join(parts)


def _name(path: str) -> str:
    # Short whatever the path is, and in folders that do not grow too large.
    digest = blake2b(path.encode(), digest_size=16).hexdigest()
    return f"{FOLDER}{digest[:2]}/{digest[2:]}"
