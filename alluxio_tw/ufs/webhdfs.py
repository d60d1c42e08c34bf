"""
The driver of HDFS over WebHDFS: C{webhdfs://namenode:port/path}, C{swebhdfs://} for TLS.

Folders are prefixes, as in any tree.  What other programs change is seen with the next
question.  The modules beside this one hold the parts: questions and redirects
(L{webhdfs_wire}, L{webhdfs_namenodes}, L{webhdfs_datanodes}), who asks
(L{webhdfs_identity}), files and what is said about them (L{webhdfs_files},
L{webhdfs_records}), reading (L{webhdfs_reading}, L{webhdfs_bodies}), writing (L{webhdfs_placing}, L{webhdfs_outflow}), verifying
(L{webhdfs_verifying}, L{webhdfs_checksum}), joining (L{webhdfs_joining}), listing (L{webhdfs_listing}, L{webhdfs_children}) and buckets
(L{webhdfs_folders}).

GETFILECHECKSUM is asked where a mount says C{verify-writes=true}: of a file that was
written, before it becomes current.  It makes no ETag and no version: what it answers
depends on how a file is cut into blocks, so it is nobody's MD5, and a file's number and
time tell for nothing whether it is another.  Datanodes verify what they read against
checksums of their own.
"""

from __future__ import annotations

import getpass
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    GatewayError,
    NoSuchPath,
    NotImplementedYet,
    ObjectChanged,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import (
    Capabilities,
    IPlacing,
    IUnderFileSystem,
    ListQuery,
    Surroundings,
)
from alluxio_tw.spans import Span
from alluxio_tw.ufs.local_records import Record
from alluxio_tw.ufs.s3_tls import tls_policy
from alluxio_tw.ufs.webhdfs_datanodes import Datanodes
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_folders import HdfsFolders
from alluxio_tw.ufs.webhdfs_identity import identity_of
from alluxio_tw.ufs.webhdfs_joining import Joining
from alluxio_tw.ufs.webhdfs_listing import HdfsListing
from alluxio_tw.ufs.webhdfs_namenodes import Namenodes
from alluxio_tw.ufs.webhdfs_names import for_reading, for_writing
from alluxio_tw.ufs.webhdfs_options import HdfsOptions, read_options
from alluxio_tw.ufs.webhdfs_placing import Ground, HdfsPlacing
from alluxio_tw.ufs.webhdfs_reading import HdfsReading, Versions
from alluxio_tw.ufs.webhdfs_sweeping import sweep
from alluxio_tw.ufs.webhdfs_verifying import Verifying
from alluxio_tw.ufs.webhdfs_wire import Wire

_CLOSING = 5.0


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{webhdfs://namenode:port/path}, or of several namenodes with
    commas between.

    Options: see L{HdfsOptions}, whose fields are their names, with C{-} for C{_}.

    :raises WrongConfiguration: the URI or an option cannot be used.
    """
    given = read_options(uri, options, _process_user())
    reactor = cast("Any", around.reactor)
    pool = _QuietPool(reactor)
    pool.maxPersistentPerHost = given.connections
    # The server closes idle connections, too; to be earlier saves a repetition.
    pool.cachedConnectionTimeout = given.keep_alive  # type: ignore[assignment]
    # What may be repeated is known further up.
    pool.retryAutomatically = False
    try:
        policy = tls_policy(given.verify, given.ca_file)
    except WrongConfiguration as error:
        message = error.message.replace("'ca_file' of an S3", "'ca-file' of an HDFS")
        raise WrongConfiguration(message) from error
    wire = Wire(
        Namenodes(given.namenodes),
        Datanodes(given.datanode_map, given.secure, around.reactor.seconds),
        identity_of(given, around.threads),
        Agent(reactor, policy, given.connect_timeout, pool=pool),
        around.reactor,
        random.random,
        secure=given.secure,
        connections=given.connections,
        timeout=given.timeout,
        retries=given.retries,
        retry_time=given.retry_time,
    )
    return HdfsUFS(wire, given, pool, around)


def _process_user() -> str:
    try:
        return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
    except (KeyError, OSError):
        return ""


class _QuietPool(HTTPConnectionPool):
    """A pool that does not log each connection."""

    class _factory(HTTPConnectionPool._factory):  # type: ignore[misc, valid-type]  # noqa: N801
        noisy = False


@implementer(IUnderFileSystem)
class HdfsUFS:
    """
    A folder of a cluster, with what is beneath it.
    """

    def __init__(
        self,
        wire: Wire,
        given: HdfsOptions,
        pool: HTTPConnectionPool,
        around: Surroundings,
    ) -> None:
        self._wire = wire
        self._given = given
        self._pool = pool
        self.capabilities = Capabilities(
            attributes=given.attributes,
            joins=True,
            folders=True,
            key_limits=True,
            # Without attributes there is nowhere to keep the one that is given.
            etags=not given.attributes,
        )
        self._files = HdfsFiles(
            wire, given.root, given.attributes, 1 if around.buckets else 0
        )
        self._reading = Versions(self._files, given.retries)
        params = []
        if given.replication:
            params.append(("replication", str(given.replication)))
        if given.block_size:
            params.append(("blocksize", str(given.block_size)))
        self._ground = Ground(
            self._files,
            around.threads,
            tuple(params),
            given.write_pause,
            Verifying(wire, around.threads, given.block_size)
            if given.verify_writes
            else None,
        )
        self._joining = Joining(self._ground)
        self._listing = HdfsListing(self._files)
        self._folders = HdfsFolders(self._files, self._listing, around.reactor.seconds)

    def __repr__(self) -> str:
        return f"<HDFS {','.join(self._given.namenodes)}{self._given.root}>"

    # Reading

    def glance(self, path: str) -> IReading | None:
        return None

    @deferred
    async def status(self, path: str) -> Status:
        return await self._files.status(for_reading(path))

    @deferred
    async def open(self, path: str) -> IReading:
        at = for_reading(path)
        return HdfsReading(self._reading, at, await self._files.status(at))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        at = for_reading(path)
        return await self._reading.begun(at, status, span)

    # Writing

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        at = for_writing(path)
        verifying = self._ground.verifying
        checksum = None if verifying is None else await verifying.begin()
        return HdfsPlacing(self._ground, at, checksum)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        if not self._given.attributes:
            raise NotImplementedYet()
        at = for_reading(path)

        async def describe() -> Status:
            current = await self._files.status(at)
            stat = await self._files.file(at)
            if {current.version, stat.version} != {status.version}:
                raise ObjectChanged()
            etag = "" if current.etag == stat.etag else current.etag
            return await self._files.describe(at, stat, Record(etag, attributes))

        return await self._files.alone(at, describe)

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
        # Not one of our capabilities, but who asks is served.
        body = await self.read(source, status, Span(0, status.size))
        return await self._streamed([body], target, attributes, etag, demand)

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        async def stream() -> Status:
            bodies = []
            for source in sources:
                at = for_reading(source)
                status = await self._files.status(at)
                bodies.append(self._reading.body(at, status, Span(0, status.size)))
            return await self._streamed(bodies, target, attributes, etag, demand)

        at = for_writing(target)
        if not self._given.concat or not sources:
            await self._ground.demand(at, demand)
            return await stream()
        return await self._joining.join(
            [for_reading(source) for source in sources],
            at,
            Record(etag, attributes),
            demand,
            stream,
        )

    async def _streamed(
        self,
        bodies: Sequence[IBody],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        placing = await self.place(target, None)
        try:
            for body in bodies:
                while (piece := await body.read()) is not None:
                    await placing.write(piece)
                body.close()
            return await placing.commit(etag, attributes, demand)
        finally:
            for body in bodies:
                body.close()
            await placing.abort()

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        try:
            at = for_reading(path)
        except NoSuchPath:
            at = ""

        async def delete() -> bool:
            await self._ground.demand(at, demand)
            try:
                if not at:
                    return False
                await self._files.file(at)
            except NoSuchPath:
                return False
            await self._files.delete(at)
            return True

        was_there = await self._files.alone(at, delete)
        if was_there:
            await self._files.prune(at)
        return was_there

    # Listing and folders

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        return await self._listing.page(query)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        return await self._folders.all()

    @deferred
    async def make_folder(self, name: str) -> None:
        await self._folders.make(name)

    @deferred
    async def remove_folder(self, name: str) -> None:
        await self._folders.remove(name)

    # Tending

    @deferred
    async def check(self) -> None:
        try:
            root = await self._files.stat("")
        except NoSuchPath as error:
            raise StorageUnavailable(
                "The folder of HDFS that is mounted is not there."
            ) from error
        if not root.is_folder:
            raise StorageUnavailable("What is mounted of HDFS is a file.")

    @deferred
    async def sweep(self, older: float) -> int:
        return await sweep(self._ground, self._wire.clock.seconds() - older)

    @deferred
    async def close(self) -> None:
        # An answer is told before its connection is back in the pool.
        await deferLater(self._wire.clock, 0, lambda: None)
        closed: Deferred[None] = self._pool.closeCachedConnections()
        try:
            await closed.addTimeout(_CLOSING, self._wire.clock)
        except (TimeoutError, GatewayError):
            return
