"""
The driver of whatever fsspec has a file system for.

C{fsspec+gcs://bucket/prefix}, C{fsspec+sftp://host/folder}: the scheme of fsspec's
after a plus.  Its file systems block, so each call is made in a thread; they have
neither pages nor conditions, so a listing costs whole folders, and what another
program does between two calls is seen only afterwards.  What is promised all the
same, and what is not, is in C{docs/fsspec.md}.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

import attrs
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    NoSuchPath,
    NotImplementedYet,
    ObjectChanged,
    UnsuitableKey,
)
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
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
    IWholeReads,
    ListQuery,
    Surroundings,
)
from alluxio_tw.spans import Span
from alluxio_tw.ufs.fsspec_address import Address
from alluxio_tw.ufs.fsspec_bodies import Blocks, Reading
from alluxio_tw.ufs.fsspec_calls import Calls
from alluxio_tw.ufs.fsspec_faults import Faults
from alluxio_tw.ufs.fsspec_folders import made, make_folder, remove_folder, sweep
from alluxio_tw.ufs.fsspec_listing import Lister
from alluxio_tw.ufs.fsspec_placing import Placing
from alluxio_tw.ufs.fsspec_storage import Storage
from alluxio_tw.ufs.fsspec_threads import OwnThreads
from alluxio_tw.ufs.fsspec_writing import Writing
from alluxio_tw.ufs.pathturns import PathTurns


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{fsspec+PROTOCOL://...}.

    Options: C{option.NAME} is handed to the file system's constructor as C{NAME},
    as JSON where it is JSON and as text where it is not; C{commit} is C{rename} or
    C{put}; C{key_limits} tells of an object store that it keeps its objects in folders;
    C{threads} is how many calls run at a time (8), C{timeout} what one may
    take (60s), C{block} and C{part} how much is read and written at a time (4MB,
    5MB), C{memory} what all readers together may hold (256MB).

    :raises WrongConfiguration: there is no such file system, its package is not
        installed, or an option is wrong.
    """
    return FsspecUFS(Address.of(uri, options), around)


@implementer(IUnderFileSystem, IWholeReads)
@attrs.define(eq=False, init=False)
class FsspecUFS:
    """
    A place in a file system of fsspec's.
    """

    address: Address
    calls: Calls = attrs.field(repr=False)
    capabilities: Capabilities
    _storage: Storage = attrs.field(repr=False)
    blocks: Blocks = attrs.field(repr=False)
    _lister: Lister = attrs.field(repr=False)
    _turns: PathTurns = attrs.field(repr=False)
    _writing: set[str] = attrs.field(repr=False)
    _threads: OwnThreads | None = attrs.field(repr=False)

    def __init__(self, address: Address, around: Surroundings) -> None:
        levels = 1 if around.buckets else 0
        self.address = address
        self._threads = None
        threads = around.threads
        if IReactorFromThreads.providedBy(around.reactor):
            reactor = IReactorFromThreads(around.reactor)
            threads = self._threads = OwnThreads(reactor, address.protocol)
        self.capabilities = Capabilities(
            folders=address.tree, key_limits=address.limits, etags=True
        )
        faults = Faults.hiding(address.arguments.values())
        self._storage = Storage(address, faults, levels)
        self.calls = Calls(
            threads,
            around.reactor,
            address.threads,
            address.timeout,
            lambda: threads.run(self._storage.hung).addErrback(lambda _: None),
        )
        self.blocks = Blocks(self._storage, self.calls)
        self._lister = Lister(self._storage, self.calls, 1 + levels)
        self._turns = PathTurns()
        self._writing = set()

    def glance(self, path: str) -> IReading | None:
        return None

    @deferred
    async def status(self, path: str) -> Status:
        return await self.calls.run(self._storage.calling(self._storage.status), path)

    @deferred
    async def open(self, path: str) -> IReading:
        return Reading(self.blocks, path, await self.status(path))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        body = self.blocks.body(path, status, span)
        if span.length:
            await body.begin()
        else:
            await self._same(path, status)
        return body

    @deferred
    async def whole(self, path: str, most: int) -> bytes:
        return await self.calls.run(
            self._storage.calling(self._storage.whole), path, most
        )

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        self._storage.path_of(path)
        name = secrets.token_hex(12)
        self._writing.add(name)
        writing = Writing(self._storage, path, name, size)
        return Placing(
            self._storage,
            self.calls,
            self._turns,
            path,
            writing,
            partial(self._writing.discard, name),
        )

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        found = await self._same(path, status)
        if attributes != NO_ATTRIBUTES:
            raise NotImplementedYet("The storage behind this bucket keeps no metadata.")
        return found

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
        raise NotImplementedError("capabilities.copies is not set")

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        raise NotImplementedError("capabilities.joins is not set")

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        async with self._turns.turn(path):
            return await self.calls.run(
                self._storage.calling(self._storage.delete), path, demand
            )

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        return await self._lister.page(query)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        found = []
        for name in await self._lister.folders():
            with suppress(NoSuchPath):
                found.append(
                    Bucket(
                        name,
                        await self.calls.run(
                            self._storage.calling(made), self._storage, name
                        ),
                    )
                )
        return sorted(found, key=lambda bucket: bucket.name)

    @deferred
    async def make_folder(self, name: str) -> None:
        self._with_folders()
        await self.calls.run(self._storage.calling(make_folder), self._storage, name)

    @deferred
    async def remove_folder(self, name: str) -> None:
        self._with_folders()
        await self.calls.run_long(
            self._storage.calling(remove_folder), self._storage, name
        )

    @deferred
    async def check(self) -> None:
        await self.calls.run(self._storage.calling(self._storage.check))

    @deferred
    async def sweep(self, older: float) -> int:
        if not self.address.tree:
            return 0
        return await self.calls.run_long(
            self._storage.calling(sweep),
            self._storage,
            self._writing,
            time.time() - older,
        )

    @deferred
    async def close(self) -> None:
        if self._threads is not None:
            self._threads.close()

    async def _same(self, path: str, status: Status) -> Status:
        found = await self.status(path)
        if found.version != status.version:
            raise ObjectChanged()
        return found

    def _with_folders(self) -> None:
        if not self.address.tree:
            raise UnsuitableKey("The storage behind this mount has no folders.")
