"""
Writing an object to HDFS: a file under a name of ours, then a rename.

Little is gathered and sent by one request that can be sent again, to another datanode
if need be.  What is longer is passed on as it comes, by one request for the whole
file.  A writer that pauses for long does not keep a datanode waiting, and a connection
that others need: the file is closed, and what comes later is appended.

Everything that makes the file what it will be happens before the rename; who asks for
the path finds the old object whole or the new one whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, NoSuchPath, StorageUnavailable
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import NO_DEMAND, Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.local_records import Record
from alluxio_tw.ufs.webhdfs_checksum import Checksum
from alluxio_tw.ufs.webhdfs_datanodes import Target
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_names import SCRATCH
from alluxio_tw.ufs.webhdfs_outflow import Outflow
from alluxio_tw.ufs.webhdfs_undisturbed import settled, unstoppable
from alluxio_tw.ufs.webhdfs_upload import Upload, judged
from alluxio_tw.ufs.webhdfs_verifying import Verifying
from alluxio_tw.ufs.webhdfs_wire import Asking

_GATHERED = 256 << 10
"""Bytes that are held, to be sent again if need be."""

_STEP = 1 << 20


@attrs.frozen(eq=False)
class Ground:
    """
    What writers of a mount share.

    :ivar params: what the files that are made are to be like.
    :ivar pause: seconds after which a writer that pauses loses its connection.
    :ivar verifying: compares what was written with its checksum; L{None} if nobody
        wants that.
    :ivar live: names of ours that are being written.
    """

    files: HdfsFiles
    threads: IThreads
    params: tuple[tuple[str, str], ...] = ()
    pause: float = 10.0
    verifying: Verifying | None = None
    live: set[str] = attrs.field(factory=set)

    def scratch(self) -> str:
        """A new name of ours."""
        name = f"{SCRATCH}/{secrets.token_hex(12)}"
        self.live.add(name)
        return name

    def creating(self, path: str, block_size: int = 0) -> Asking:
        """
        The question of where to create a file.

        :param block_size: bytes of its blocks, if not what others are to have.
        """
        params = dict(self.params)
        if block_size:
            params["blocksize"] = str(block_size)
        return Asking(
            b"PUT",
            "CREATE",
            self.files.absolute(path),
            (("overwrite", "false"), *params.items()),
        )

    async def create(
        self, pieces: Sequence[bytes | bytearray], block_size: int = 0
    ) -> str:
        """
        Create a file of bytes that are all here; again and again, if need be.

        Each time under another name: a datanode that did not answer may come to it
        later, and must not find what another has made meanwhile.

        :return: its name.
        :raises BackendError: it cannot be.
        """
        wire = self.files.wire
        names: list[str] = []
        released = await wire.writing.take()

        def asking() -> Asking:
            names.append(self.scratch())
            return self.creating(names[-1], block_size)

        async def once(target: Target) -> None:
            body = Outflow.whole(pieces, wire.clock, wire.timeout)
            await judged(wire, b"PUT", target, body)

        made = ""
        try:
            await wire.sent(asking, once)
            made = names[-1]
        except Complaint as error:
            raise error.noun() from error
        finally:
            released()
            for name in names:
                if name != made:
                    await self.discard(name)
        return made

    async def discard(self, name: str) -> None:
        """Remove a file of ours, if that can be; else it is swept some day."""
        self.live.discard(name)
        with suppress(GatewayError):
            await self.files.delete(name)

    async def become(
        self,
        source: str,
        size: int,
        target: str,
        record: Record,
        demand: Demand,
        modified: int | None = None,
        checksum: Checksum | None = None,
    ) -> Status:
        """
        Make a file of ours, complete, the current object.

        :param size: what it must have.
        :param checksum: of what it must have, if that is to be verified.
        :raises PreconditionFailed: the demand does not hold.
        :raises PathConflict: something stands in the way.
        """
        files = self.files
        if modified is not None:
            await files.touch(source, modified)
        stat = await files.file(source)
        if stat.size != size:
            raise StorageUnavailable("The storage lost some of what was written.")
        if self.verifying is not None and checksum is not None:
            await self.verifying.verify(files.absolute(source), stat, checksum)
        made = await files.describe(source, stat, record)

        async def rename() -> None:
            await self.demand(target, demand)
            await files.rename(source, stat, target, demand.absent)

        await files.alone(target, rename)
        self.live.discard(source)
        return made

    async def demand(self, path: str, demand: Demand) -> None:
        """
        Judge a demand.

        :raises PreconditionFailed: it does not hold.
        """
        if demand == NO_DEMAND:
            return
        try:
            etag: str | None = (await self.files.status(path)).etag
        except NoSuchPath:
            etag = None
        demanded(demand, etag)


@implementer(IPlacing)
@attrs.define(eq=False)
class HdfsPlacing:
    """
    One object on its way.

    :ivar path: where it will be.
    """

    _ground: Ground
    _path: str
    _checksum: Checksum | None = None
    _held: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _name: str = attrs.field(default="", init=False)
    _upload: Upload | None = attrs.field(default=None, init=False)
    _size: int = attrs.field(default=0, init=False)
    _created: bool = attrs.field(default=False, init=False)
    _pausing: IDelayedCall | None = attrs.field(default=None, init=False, repr=False)
    _closing: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _broken: GatewayError | None = attrs.field(default=None, init=False)
    _commit: Deferred[Status] | None = attrs.field(default=None, init=False, repr=False)
    _over: bool = attrs.field(default=False, init=False)

    @deferred
    async def write(self, data: Piece) -> None:
        self._busy()
        if isinstance(data, FileSpan):
            for offset in range(0, data.length, _STEP):
                length = min(_STEP, data.length - offset)
                span = FileSpan(data.fd, data.offset + offset, length)
                await self._add(
                    await self._ground.threads.run(translated(read_span), span)
                )
        else:
            await self._add(data)
        self._idle()

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        self._busy()
        # Once it began it is carried to its end: nobody can say of a rename that was
        # broken off whether it happened.
        self._commit = Deferred.fromCoroutine(
            self._become(Record(etag, attributes), demand, modified)
        )
        return await unstoppable(self._commit)

    @deferred
    async def abort(self) -> None:
        if self._over:
            return
        self._busy()
        self._over = True
        self._held = bytearray()
        if self._commit is not None:
            await settled(self._commit)
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.abort()
        if self._closing is not None:
            await settled(self._closing)
        await self._discard()

    async def _add(self, data: bytes | memoryview) -> None:
        if self._over:
            raise StorageUnavailable("This write was given up.")
        self._size += len(data)
        if self._checksum is not None and self._ground.verifying is not None:
            await self._ground.verifying.add(self._checksum, data)
            if self._is_over():
                raise StorageUnavailable("This write was given up.")
        if self._upload is None and len(self._held) + len(data) < _GATHERED:
            self._held += data
            return
        upload = await self._uploading()
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            await upload.write(held)
        await upload.write(data)

    async def _uploading(self) -> Upload:
        await self._closed()
        if self._upload is not None:
            return self._upload
        ground = self._ground
        self._name = self._name or ground.scratch()
        if self._created:
            asking = Asking(
                b"POST", "APPEND", ground.files.absolute(self._name), again=True
            )
        else:
            asking = ground.creating(self._name)
        try:
            upload = await Upload.begin(ground.files.wire, asking)
        except Complaint as error:
            raise error.noun() from error
        if self._is_over():
            await upload.abort()
            raise StorageUnavailable("This write was given up.")
        self._upload, self._created = upload, True
        return upload

    async def _become(
        self, record: Record, demand: Demand, modified: int | None
    ) -> Status:
        ground = self._ground
        await self._closed()
        if self._created and self._held:
            await (await self._uploading()).write(bytes(self._held))
            self._held = bytearray()
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.end()
        elif not self._created:
            self._name = await ground.create([self._held])
            self._created = True
        made = await ground.become(
            self._name,
            self._size,
            self._path,
            record,
            demand,
            modified,
            self._checksum,
        )
        self._name = ""
        return made

    async def _discard(self) -> None:
        name, self._name = self._name, ""
        if name:
            await self._ground.discard(name)

    # Pauses

    def _idle(self) -> None:
        if self._upload is not None and not self._over:
            clock = self._ground.files.wire.clock
            self._pausing = clock.callLater(self._ground.pause, self._paused)

    def _busy(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None

    def _paused(self) -> None:
        self._pausing = None
        upload, self._upload = self._upload, None
        assert upload is not None
        self._closing = Deferred.fromCoroutine(self._close(upload))

    async def _close(self, upload: Upload) -> None:
        try:
            await upload.end()
        except GatewayError as error:
            self._broken = error

    async def _closed(self) -> None:
        """
        Wait until the file is closed that was left for a pause.

        :raises BackendError: it could not be.
        """
        if self._closing is not None:
            await settled(self._closing)
            self._closing = None
        if self._broken is not None:
            raise self._broken

    def _is_over(self) -> bool:
        return self._over  # may change with every await
