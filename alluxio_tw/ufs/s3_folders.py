"""
Folders right beneath the root, on a storage that has none: buckets of a mount at C{/}.

A folder is there while anything lies in it, or while a note says so: an empty
object beside the data, under a name that no listing shows.  Not chosen: the
object C{name/}, which consoles make: as an object of the bucket it would have
an empty name.  Where others made one, it counts as a folder and is not told.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from alluxio_tw.errors import NoSuchPath, PathConflict, UnsuitableKey
from alluxio_tw.iobjects import Bucket
from alluxio_tw.iufs import ListQuery
from alluxio_tw.ufs.s3_listing import HIDDEN, S3Listing
from alluxio_tw.ufs.s3_wire import Asking, Wire

NOTES = f"{HIDDEN}/folders/"


@attrs.frozen
class S3Folders:
    """
    The folders of one mount.
    """

    _wire: Wire
    _listing: S3Listing

    async def all(self) -> Sequence[Bucket]:
        """
        By name; one that nobody noted is as old as its first object.
        """
        found = await self._noted()
        after: str | None = ""
        while after is not None:
            page = await self._listing.list(ListQuery("", after, True))
            for prefix in page.prefixes:
                name = prefix[:-1]
                if name and name not in found:
                    inside = await self._listing.list(ListQuery(prefix, limit=1))
                    times = [entry.modified for entry in inside.entries]
                    found[name] = times[0] if times else 1
            after = page.resume
        return [Bucket(name, found[name]) for name in sorted(found)]

    async def make(self, name: str) -> None:
        """
        Note a folder.

        :raises UnsuitableKey: it cannot have this name.
        :raises PathConflict: there is something of that name.
        """
        if not _suitable(name):
            raise UnsuitableKey()
        if await self._is_there(name) or await self._is_object(name):
            raise PathConflict()
        await self._wire.call(Asking(b"PUT", self._note(name)))

    async def remove(self, name: str) -> None:
        """
        Remove an empty folder.

        :raises NoSuchPath: there is none.
        :raises PathConflict: it is not empty.
        """
        if not _suitable(name) or not await self._is_there(name):
            raise NoSuchPath()
        own = f"{name}/{HIDDEN}"
        leftovers: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await self._listing.list(ListQuery(f"{name}/", after))
            for entry in page.entries:
                if entry.key.startswith(own):
                    leftovers.append(entry.key)
                elif entry.key != f"{name}/":
                    raise PathConflict()
            after = page.resume
        # That which others may have made for it is not among what is told.
        leftovers.append(f"{name}/")
        for key in leftovers:
            await self._wire.call(Asking(b"DELETE", self._listing.root + key))
        await self._wire.call(Asking(b"DELETE", self._note(name)))

    async def _noted(self) -> dict[str, int]:
        found: dict[str, int] = {}
        after: str | None = ""
        while after is not None:
            page = await self._listing.list(ListQuery(NOTES, after))
            found |= {e.key[len(NOTES) :]: e.modified for e in page.entries}
            after = page.resume
        return found

    async def _is_there(self, name: str) -> bool:
        if await self._is_object(NOTES + name):
            return True
        page = await self._listing.list(ListQuery(name, name + ".", True, limit=1))
        return page.prefixes[:1] == [f"{name}/"]

    async def _is_object(self, name: str) -> bool:
        page = await self._listing.list(ListQuery(name, limit=1))
        return any(entry.key == name for entry in page.entries)

    def _note(self, name: str) -> str:
        return f"{self._listing.root}{NOTES}{name}"


def _suitable(name: str) -> bool:
    return not (name in ("", ".", "..") or "/" in name or name.startswith(HIDDEN))
