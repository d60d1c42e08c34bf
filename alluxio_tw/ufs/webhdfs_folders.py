"""
The folders right beneath the root of an HDFS mount: the buckets of a root mount.

HDFS does not know when a folder was made, and its modification time changes with
everything that is made in it.  So the moment is kept with those that we make.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import attrs

from alluxio_tw.errors import NoSuchPath, PathConflict, UnsuitableKey
from alluxio_tw.iobjects import Bucket
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_listing import HdfsListing
from alluxio_tw.ufs.webhdfs_names import HIDDEN, suitable_folder
from alluxio_tw.ufs.webhdfs_stat import Stat

_REMEMBERED = 10_000


@attrs.define(eq=False)
class HdfsFolders:
    """
    Those that there are.

    :ivar seconds: the time.
    """

    _files: HdfsFiles
    _listing: HdfsListing
    _seconds: Callable[[], float]
    _made: OrderedDict[int, int] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )

    async def all(self) -> Sequence[Bucket]:
        """They, by name."""
        found: list[Bucket] = []
        last, more = "", True
        while more:
            stats, more = await self._files.batch("", last)
            for stat in stats:
                last = stat.name
                if stat.is_folder and not stat.name.startswith(HIDDEN):
                    found.append(Bucket(stat.name, await self._created(stat)))
        return sorted(found, key=lambda bucket: bucket.name)

    async def make(self, name: str) -> None:
        """
        Make one.

        :raises UnsuitableKey: no folder can have that name.
        :raises PathConflict: something has it.
        """
        if not suitable_folder(name):
            raise UnsuitableKey()

        async def make() -> None:
            try:
                await self._files.stat(name)
            except NoSuchPath:
                await self._files.mkdirs(name)
            else:
                raise PathConflict()
            if self._files.keeps:
                moment = int(self._seconds() * 1e9)
                at = self._files.absolute(name)
                await self._files.records.note_folder(at, moment)

        await self._files.alone(name, make)

    async def remove(self, name: str) -> None:
        """
        Remove one in which there are no objects.

        :raises PathConflict: there are.
        :raises NoSuchPath: there is no such folder.
        """
        if not suitable_folder(name) or not (await self._files.stat(name)).is_folder:
            raise NoSuchPath()
        if await self._listing.any_object(f"{name}/", True):
            raise PathConflict()
        last, more = "", True
        while more:
            stats, more = await self._files.batch(name, last)
            for stat in stats:
                last = stat.name
                below = f"{name}/{stat.name}"
                if stat.name.startswith(HIDDEN):
                    await self._files.remove(below)
                elif stat.is_folder:
                    await self._files.clear(below)
        if not await self._files.delete(name):
            raise NoSuchPath()

    async def _created(self, stat: Stat) -> int:
        known = self._made.get(stat.id)
        if known is None:
            if self._files.keeps:
                at = self._files.absolute(stat.name)
                known = await self._files.records.folder_noted(at)
            if known is None:
                return stat.modified * 1_000_000
            self._made[stat.id] = known
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return known
