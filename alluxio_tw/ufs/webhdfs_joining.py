"""
Joining parts to one file: by their blocks, with CONCAT.

CONCAT moves the blocks of some files to the end of another in the same folder, and
the files are gone.  So the parts are joined to an empty file beside them, then that
is renamed.  Many parts do not fit into one request; should we die half-way, the file's
name, made of those of the parts, lets whoever completes the upload again go on where
it stopped.

What HDFS asks of the parts (blocks no larger than the target's, the same erasure
coding, no snapshot, no encryption) mostly holds, as they were written by us.  Where it
does not, the parts are read and written anew.  So it is, too, where the mount says
C{concat=false}: parts of a few megabytes make blocks of a few megabytes, which a
namenode has to keep count of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

import attrs

from alluxio_tw.errors import NoSuchPath, StorageUnavailable
from alluxio_tw.iobjects import Demand, Status
from alluxio_tw.ufs.local_records import Record
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_names import JOINING, url_path
from alluxio_tw.ufs.webhdfs_placing import Ground
from alluxio_tw.ufs.webhdfs_stat import Stat
from alluxio_tw.ufs.webhdfs_wire import Asking, Unsure

_URL_MOST = 24 << 10
"""Bytes of paths in one request; Jetty takes 64 KiB of head, proxies less."""

_CANNOT = frozenset(
    (
        "HadoopIllegalArgumentException",
        "IllegalArgumentException",
        "SnapshotException",
        "UnsupportedOperationException",
        "IOException",
    )
)

Stream = Callable[[], Awaitable[Status]]


@attrs.frozen
class Joining:
    """
    Joins files of a mount.
    """

    _ground: Ground

    async def join(
        self,
        sources: Sequence[str],
        target: str,
        record: Record,
        demand: Demand,
        stream: Stream,
    ) -> Status:
        """
        Join.

        :param sources: paths of files.
        :param stream: joins them by reading and writing.
        :raises NoSuchPath: one of them is not there.
        :raises PreconditionFailed: the demand does not hold.
        """
        files = self._ground.files
        await self._ground.demand(target, demand)
        folders = {source.rpartition("/")[0] for source in sources}
        folder = folders.pop()
        if folders or not folder or any("," in files.absolute(s) for s in sources):
            return await stream()
        whole = f"{folder}/{_name(sources)}"
        there = await self._there(folder, {*sources, whole})
        done = 0
        while done < len(sources) and sources[done] not in there:
            done += 1
        # What was joined before is no more; what follows is all there.
        begun = there[whole].size if done and whole in there else 0
        if any(source not in there for source in sources[done:]) or (
            done and not begun
        ):
            raise NoSuchPath()
        stats = [there[source] for source in sources[done:]]
        total = begun + sum(stat.size for stat in stats)
        left = [
            (source, stat)
            for source, stat in zip(sources[done:], stats, strict=True)
            if stat.size
        ]
        self._ground.live.add(whole)
        try:
            if not begun:
                await self._create(whole, max((s.block_size for s in stats), default=0))
            if not await self._concat(whole, left, bool(done)):
                await files.delete(whole)
                return await stream()
            made = await self._ground.become(whole, total, target, record, demand)
        finally:
            self._ground.live.discard(whole)
        for source, stat in zip(sources[done:], stats, strict=True):
            if not stat.size:
                await files.delete(source)
        await files.prune(whole)
        return made

    async def _there(self, folder: str, wanted: set[str]) -> dict[str, Stat]:
        """Which of these are in the folder: not one question for each of them."""
        found: dict[str, Stat] = {}
        last, more = "", True
        while more:
            stats, more = await self._ground.files.batch(folder, last)
            for stat in stats:
                last = stat.name
                path = f"{folder}/{last}"
                if path in wanted and not stat.is_folder:
                    found[path] = stat
        return found

    async def _create(self, whole: str, block_size: int) -> None:
        # Its blocks may be no smaller than those of the parts.
        ground = self._ground
        name = await ground.create([], block_size)
        try:
            stat = await ground.files.file(name)
            await ground.files.rename(name, stat, whole, False)
        except BaseException:
            await ground.discard(name)
            raise
        ground.live.discard(name)

    async def _concat(
        self, whole: str, left: Sequence[tuple[str, Stat]], begun: bool
    ) -> bool:
        """
        Have the blocks joined.

        :return: L{False} if HDFS will not, and nothing was done.
        """
        at = 0
        while at < len(left):
            batch: list[str] = []
            length = 0
            for source, _ in left[at:]:
                path = self._ground.files.absolute(source)
                length += len(url_path(path)) + 3
                if batch and length > _URL_MOST:
                    break
                batch.append(path)
            size = sum(stat.size for _, stat in left[at : at + len(batch)])
            try:
                await self._once(whole, batch, size)
            except Complaint as error:
                if error.name in _CANNOT and not at and not begun:
                    return False
                raise error.noun() from error
            at += len(batch)
        return True

    async def _once(self, whole: str, batch: Sequence[str], size: int) -> None:
        files: HdfsFiles = self._ground.files
        before = (await files.file(whole)).size
        asking = Asking(
            b"POST",
            "CONCAT",
            files.absolute(whole),
            (("sources", ",".join(batch)),),
            again=False,
        )
        try:
            await files.wire.ask(asking)
        except Unsure:
            found = (await files.file(whole)).size
            if found == before:
                await files.wire.ask(asking)
            elif found != before + size:
                raise StorageUnavailable("The storage joined something else.") from None


def _name(sources: Sequence[str]) -> str:
    digest = blake2b("\0".join(sources).encode(), digest_size=12).hexdigest()
    return JOINING + digest
