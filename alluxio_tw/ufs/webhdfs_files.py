"""
Files of HDFS: which there are, and how one comes to have its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from twisted.internet.defer import DeferredLock

from alluxio_tw.errors import (
    GatewayError,
    NoSuchPath,
    PathConflict,
    PreconditionFailed,
    StorageBusy,
    StorageDenied,
    StorageUnavailable,
)
from alluxio_tw.iobjects import Status
from alluxio_tw.ufs.local_records import NO_RECORD, Record
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_names import HIDDEN
from alluxio_tw.ufs.webhdfs_records import HdfsRecords
from alluxio_tw.ufs.webhdfs_stat import Stat, stat_of, status_of
from alluxio_tw.ufs.webhdfs_wire import Asking, Unsure, Wire

T = TypeVar("T")

TRIES = 16
"""How often what others undo under our feet is done again."""


@attrs.define(eq=False)
class HdfsFiles:
    """
    The files beneath the root of a mount; paths are relative to it.

    :ivar root: absolute; empty for the topmost folder.
    :ivar keeps: what is said about files is kept.
    :ivar kept: how many levels of folders beneath the root are never made or removed
        by the way: nought, or one where those are buckets.
    """

    wire: Wire
    root: str
    keeps: bool = True
    kept: int = 0
    records: HdfsRecords = attrs.field(init=False, repr=False)
    _locks: dict[str, tuple[DeferredLock, list[int]]] = attrs.field(
        factory=dict, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self.records = HdfsRecords(self.wire)

    def absolute(self, path: str) -> str:
        """A path beneath the root, from the topmost folder on."""
        return f"{self.root}/{path}" if path else self.root or "/"

    # What is there

    async def stat(self, path: str) -> Stat:
        """
        A file or a folder.

        :raises NoSuchPath: there is neither.
        """
        try:
            found = await self.wire.ask(
                Asking(b"GET", "GETFILESTATUS", self.absolute(path))
            )
        except Complaint as error:
            if error.no_directory:
                raise NoSuchPath() from error
            raise error.noun() from error
        return stat_of(found.get("FileStatus"))

    async def file(self, path: str) -> Stat:
        """
        A file.

        :raises NoSuchPath: there is none.
        """
        found = await self.stat(path)
        if found.is_folder:
            raise NoSuchPath()
        return found

    async def status(self, path: str) -> Status:
        """
        The current version of a file.

        :raises NoSuchPath: there is none.
        """
        stat = await self.file(path)
        if not self.keeps:
            return status_of(stat, NO_RECORD)
        for _ in range(TRIES):
            record, exactly = await self.records.read(self.absolute(path), stat)
            # Not exactly: it is a copy that kept what was said, or it has just been
            # replaced.
            again = stat if exactly else await self.file(path)
            if again == stat:
                return self.records.told(stat, record)
            stat = again
        raise StorageBusy()

    async def brief(self, path: str, stat: Stat) -> tuple[str, str]:
        """The ETag and the storage class of a file that is being listed."""
        if not self.keeps:
            return stat.etag, ""
        known = self.records.known(stat)
        if known is not None:
            return known
        try:
            record, _ = await self.records.read(self.absolute(path), stat)
        except (NoSuchPath, StorageDenied):
            # It was there when its folder was read; or it is not for us to read.
            return stat.etag, ""
        self.records.told(stat, record)
        return self.records.known(stat) or (stat.etag, "")

    async def describe(self, path: str, stat: Stat, record: Record) -> Status:
        """
        Keep what is said about a file.

        :raises MetadataTooLarge: it is too much.
        """
        if not self.keeps:
            return status_of(stat, NO_RECORD)
        return await self.records.write(self.absolute(path), stat, record)

    # What is done to it

    async def touch(self, path: str, modified: int) -> None:
        """Set the modification time, in nanoseconds."""
        await self.wire.call(
            Asking(
                b"PUT",
                "SETTIMES",
                self.absolute(path),
                (("modificationtime", str(modified // 1_000_000)),),
            )
        )

    async def delete(self, path: str) -> bool:
        """
        Delete a file, or a folder with nothing in it.

        :return: was there something?
        :raises PathConflict: something is in the folder.
        """
        try:
            found = await self.wire.ask(
                Asking(
                    b"DELETE", "DELETE", self.absolute(path), (("recursive", "false"),)
                )
            )
        except Complaint as error:
            if error.no_directory:
                return False
            raise error.noun() from error
        return found.get("boolean") is True

    async def prune(self, path: str) -> None:
        """
        Remove the folders above a path that hold nothing any more, from below.
        """
        folder = path.rpartition("/")[0]
        while folder and folder.count("/") >= self.kept and folder != HIDDEN:
            try:
                await self.delete(folder)
            except GatewayError:
                # Not empty, or not ours to remove.
                return
            folder = folder.rpartition("/")[0]

    async def make_folder(self, path: str) -> None:
        """
        Make a folder, and those that it lies in.

        :raises PathConflict: a file stands in its way.
        :raises NoSuchPath: a folder that is never made by the way is missing.
        """
        top, slash, _ = path.partition("/")
        if self.kept and path and not top.startswith(HIDDEN):
            await self.stat(top)
            if not slash:
                return
        await self.mkdirs(path)

    async def mkdirs(self, path: str) -> None:
        """
        Make a folder, and those that it lies in, whichever they are.

        :raises PathConflict: a file stands in its way.
        """
        await self.wire.call(Asking(b"PUT", "MKDIRS", self.absolute(path)))

    async def remove(self, path: str) -> None:
        """Remove a file, or a folder with everything in it."""
        await self.wire.call(
            Asking(b"DELETE", "DELETE", self.absolute(path), (("recursive", "true"),))
        )

    async def rename(self, source: str, stat: Stat, target: str, absent: bool) -> None:
        """
        Give a file its name, in place of what had it.

        :param absent: only if nothing has it.
        :raises PreconditionFailed: something has.
        :raises PathConflict: a folder with something in it has it, or a file stands
            where a folder is needed.
        """
        asking = Asking(
            b"PUT",
            "RENAME",
            self.absolute(source),
            (
                ("destination", self.absolute(target)),
                ("renameoptions", "NONE" if absent else "OVERWRITE"),
            ),
            again=False,
        )
        unsure = False
        for _ in range(TRIES):
            try:
                await self.wire.ask(asking)
                return
            except Unsure:
                unsure = True
            except Complaint as error:
                if unsure and await self._is(target, stat):
                    return
                if error.name == "FileNotFoundException":
                    if not unsure and "source" not in error.message:
                        await self.make_folder(target.rpartition("/")[0])
                        continue
                elif error.name == "FileAlreadyExistsException" or error.directory:
                    if not await self._gives_way(target):
                        raise PreconditionFailed() from error
                    continue
                else:
                    raise error.noun() from error
            # It may have happened, and only the answer was lost.
            if await self._is(target, stat):
                return
            if not await self._is(source, stat):
                raise StorageUnavailable("The storage lost what was written.")
            if target.count("/"):
                await self.make_folder(target.rpartition("/")[0])
        raise StorageBusy()

    async def _is(self, path: str, stat: Stat) -> bool:
        try:
            return (await self.stat(path)).id == stat.id
        except NoSuchPath:
            return False

    async def _gives_way(self, path: str) -> bool:
        """
        Does what has this name let it go?  A folder does if there is no file in it.

        :raises PathConflict: there is.
        """
        try:
            found = await self.stat(path)
        except NoSuchPath:
            return True
        if found.is_folder:
            await self.clear(path)
        return found.is_folder

    async def clear(self, path: str) -> None:
        """
        Remove a folder in which there is no file, and those in it.

        :raises PathConflict: there is one.
        """
        if path.count("/") < self.kept:
            raise PathConflict()
        stack = [path]
        while stack:
            below = await self._some_folder(stack[-1])
            if below:
                stack.append(f"{stack[-1]}/{below}")
                continue
            try:
                await self.delete(stack[-1])
            except NoSuchPath:
                pass
            stack.pop()

    async def _some_folder(self, path: str) -> str:
        for each in await self.some(path):
            if not each.is_folder:
                raise PathConflict("There is a folder where this object should be.")
            return each.name
        return ""

    async def some(self, path: str, after: str = "") -> list[Stat]:
        """
        Some of what is in a folder, in the order in which HDFS has it.

        :param after: names that follow this one.
        :raises NoSuchPath: there is no such folder.
        """
        return (await self.batch(path, after))[0]

    async def batch(self, path: str, after: str) -> tuple[list[Stat], bool]:
        """As L{some}, and whether others follow."""
        try:
            found = await self.wire.ask(
                Asking(
                    b"GET",
                    "LISTSTATUS_BATCH",
                    self.absolute(path),
                    # Hadoop 3.5 knows it by the first name only, HttpFS by the second.
                    (("startafter", after), ("startAfter", after)),
                )
            )
        except Complaint as error:
            if error.no_directory:
                raise NoSuchPath() from error
            raise error.noun() from error
        try:
            listing = found["DirectoryListing"]
            entries = listing["partialListing"]["FileStatuses"]["FileStatus"]
            more = int(listing["remainingEntries"]) > 0
        except (KeyError, TypeError, ValueError) as error:
            raise StorageUnavailable(
                "The storage answered what is no WebHDFS."
            ) from error
        # Links are not followed, and are no files.
        stats = [stat_of(e) for e in entries if e.get("type") != "SYMLINK"]
        if len(stats) == 1 and not stats[0].name:
            raise NoSuchPath()  # a file
        if stats and stats[-1].name == after:
            raise StorageUnavailable("HDFS lists the same again and again.")
        return stats, more and bool(stats)

    # One after another

    async def alone(self, path: str, work: Callable[[], Awaitable[T]]) -> T:
        """
        Do something while nobody else of this process does something to this path.
        """
        lock, users = self._locks.setdefault(path, (DeferredLock(), [0]))
        users[0] += 1
        try:
            await lock.acquire()
            try:
                return await work()
            finally:
                lock.release()
        finally:
            users[0] -= 1
            if not users[0]:
                del self._locks[path]
