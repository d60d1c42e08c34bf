"""
The driver of C{sqlite:///path/to/file.db}: a bucket in an SQLite file.

What it can do by itself is little: a transaction judges conditional writes, and keys
are kept in order.  It keeps no attributes and neither copies nor joins; all that is
left to the gateway.

Everything that touches the file runs in threads.  Writes take turns here, so that
they do not wait for one another inside the pool's threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock, fail
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    StorageUnavailable,
    UnsuitableKey,
    WrongConfiguration,
)
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import Attributes, Bucket, Demand, IReading, Listing, Status
from alluxio_tw.iufs import (
    Capabilities,
    IPlacing,
    IUnderFileSystem,
    ListQuery,
    Surroundings,
)
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.uris import Options, locate, shown
from alluxio_tw_sqlite.database import Database, translated
from alluxio_tw_sqlite.listing import page
from alluxio_tw_sqlite.objects import find, remove, sweep
from alluxio_tw_sqlite.placing import SqlitePlacing
from alluxio_tw_sqlite.reading import SqliteBody, SqliteReading

P = ParamSpec("P")
T = TypeVar("T")


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of one mount.

    Options: C{sync=true} makes a write survive the loss of power, too.

    :raises WrongConfiguration: the URI or an option cannot be used.
    """
    location = locate(uri)
    folder, name = os.path.split(location.path)
    if location.host or not name:
        raise WrongConfiguration(
            f"{shown(uri)} names no file: write sqlite:///path/to/file.db"
        )
    given = Options.gathered("a sqlite mount", location.query, options)
    durable = given.truth("sync", False)
    given.finish()
    if not os.path.isdir(folder):
        raise WrongConfiguration(
            f"{shown(uri)}: there is no folder {folder!r}: make it"
        )
    return SqliteUFS(Database(location.path, durable), around)


@implementer(IUnderFileSystem)
@attrs.define(eq=False)
class SqliteUFS:
    """
    Objects in an SQLite file.

    :ivar database: the file.
    :ivar drafts: the versions that are being written here.
    """

    database: Database
    _around: Surroundings
    _writers: DeferredLock = attrs.field(factory=DeferredLock, init=False)
    drafts: set[int] = attrs.field(factory=set, init=False)

    capabilities = Capabilities(conditional=True, etags=True)

    # --- reading ---------------------------------------------------------------------

    def glance(self, path: str) -> IReading | None:
        return None  # nothing is known without asking the file

    def status(self, path: str) -> Deferred[Status]:
        return self.run(find, self.database, path)

    @deferred
    async def open(self, path: str) -> IReading:
        return SqliteReading(self, await self.status(path))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        if (await self.status(path)).version != status.version:
            raise ObjectChanged()
        return SqliteBody(self, status, span)

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self.run(page, self.database, query)

    # --- writing ---------------------------------------------------------------------

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        if not path:
            raise UnsuitableKey()
        return SqlitePlacing(self, path)

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        return await self.write(remove, self.database, path, demand)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        # It keeps no attributes: there is nothing to replace, but the version counts.
        found = await self.status(path)
        if found.version != status.version:
            raise ObjectChanged()
        return found

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return fail(NotImplementedError("a driver without 'copies' is not asked to"))

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return fail(NotImplementedError("a driver without 'joins' is not asked to"))

    # --- folders ---------------------------------------------------------------------

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        return []

    def make_folder(self, name: str) -> Deferred[None]:
        return fail(UnsuitableKey("An SQLite file has no folders."))

    def remove_folder(self, name: str) -> Deferred[None]:
        return fail(NoSuchPath())

    # --- upkeep ----------------------------------------------------------------------

    def check(self) -> Deferred[None]:
        return self.write(check, self.database)

    def sweep(self, older: float) -> Deferred[int]:
        before = self._around.reactor.seconds() - older
        return self.write(sweep, self.database, self.drafts, before)

    def close(self) -> Deferred[None]:
        return self.run(self.database.close)

    # --- within ----------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return int(self._around.reactor.seconds() * 1e9)

    @property
    def threads(self) -> IThreads:
        """Where its work is done."""
        return self._around.threads

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Do something in a thread."""
        return self.threads.run(translated(work), *args, **kwargs)

    def write(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Do something in a thread when no other write of ours is at it."""
        return self._writers.run(lambda: self.run(work, *args, **kwargs))


def check(database: Database) -> None:
    """
    Is the file there, and can we write to it?

    :raises StorageUnavailable: somebody took it away; what is open is nobody's.
    """
    with database.writing():
        if not os.path.exists(database.path):
            raise StorageUnavailable()
