"""
Writes that are verified: what HDFS has is what we were given to write.

The checksum of the bytes is taken as they come, before anything is sent, and compared
with what GETFILECHECKSUM tells of the complete file, before it becomes current.  The
block size and the kind of checksum must be known before: the cluster is asked once,
and whenever a file turns out to be cut in another way that is taken for the files
that follow.  What cannot be compared is said in the log, once, and goes on unverified:
that is no sign of damage.
"""

from __future__ import annotations

import attrs
from twisted.logger import Logger

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.webhdfs_checksum import Checksum, Cut, Data, cut_of, told_of
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_stat import Stat
from alluxio_tw.ufs.webhdfs_wire import Asking, Wire

_LARGE = 256 << 10
"""Bytes whose checksums take long enough (0.15 ms) for another thread."""

_PER_SECOND = 64 << 20
"""Bytes of a file of which datanodes may be expected to tell the checksum in a second:
they read a hundredth of it."""


@attrs.define(eq=False)
class Verifying:
    """
    Verifies the writes of a mount.

    :ivar block: bytes of a block that files are made with; nought for what the
        cluster does.
    """

    _wire: Wire
    _threads: IThreads
    _block: int = 0
    _cut: Cut | None = attrs.field(default=None, init=False)
    _said: set[str] = attrs.field(factory=set, init=False, repr=False)

    log = Logger()

    async def begin(self) -> Checksum:
        """
        The checksum of a file that is about to be written.

        :raises BackendError: the cluster does not say how it cuts files.
        """
        if self._cut is None:
            try:
                found = await self._wire.ask(Asking(b"GET", "GETSERVERDEFAULTS", "/"))
            except Complaint as error:
                if error.passes or error.elsewhere:
                    raise error.noun() from error
                # It does not know the question, as old ones do not.
                found = {}
            cut = cut_of(found.get("FsServerDefaults"), self._block)
            # Meanwhile somebody may have learned better.
            self._cut = self._known() or cut
        return Checksum(self._cut)

    async def add(self, checksum: Checksum, data: Data) -> None:
        """Take bytes that are about to be sent; nobody may change them meanwhile."""
        if len(data) < _LARGE:
            checksum.update(data)
        else:
            await self._threads.run(checksum.update, data)

    async def verify(self, path: str, stat: Stat, checksum: Checksum) -> None:
        """
        Compare a file with what was to be written.

        :param path: absolute.
        :param checksum: of all of it; not to be used again.
        :raises StorageUnavailable: it is something else; or it is not told.
        """
        if not stat.plain:
            self._unverified("files here are encrypted or erasure-coded")
            return
        try:
            found = await self._wire.fetched(
                Asking(b"GET", "GETFILECHECKSUM", path),
                self._wire.timeout + stat.size / _PER_SECOND,
            )
        except Complaint as error:
            raise error.noun() from error
        told = told_of(found.get("FileChecksum"))
        if told is None:
            self._unverified("its kind of checksum is not known here")
        elif not checksum.comparable(told, stat.block_size):
            self._cut = checksum.learned(told, stat.block_size)
            self._unverified("files were cut in another way than it had said")
        elif not checksum.agrees(told):
            raise StorageUnavailable(
                "The storage has something else than what was written."
            )

    def _known(self) -> Cut | None:
        return self._cut  # may change with every await

    def _unverified(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            self.log.warn(
                "An HDFS mount with verify-writes has written a file that was not"
                " verified: {why}. This is said once.",
                why=why,
            )
