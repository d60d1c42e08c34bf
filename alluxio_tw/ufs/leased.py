"""
A driver that knows when nobody uses it any more.

A mount that is removed or changed while the daemon runs must keep its driver until
whatever began before is over: calls, readings and their bodies, objects being
written.  Each holds a lease from its beginning to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import Capabilities, IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.leases import Lease, Leases
from alluxio_tw.spans import Span

T = TypeVar("T")


@implementer(IUnderFileSystem)
class LeasedUFS:
    """
    Passes every call on, and counts what is out.

    What C{glance} gives is the driver's own: an open file, which needs its driver no
    more; so is a reading with a C{descriptor}.
    """

    def __init__(self, ufs: IUnderFileSystem, leases: Leases) -> None:
        self._ufs = ufs
        self._leases = leases
        self.capabilities: Capabilities = ufs.capabilities
        # Of every request: without a turn through our own.
        self.glance = ufs.glance  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"<Leased {self._ufs!r}, {self._leases.held} out>"

    def _during(self, work: Deferred[T]) -> Deferred[T]:
        lease = self._leases.take()

        def ended(result: Any) -> Any:
            lease.end()
            return result

        return work.addBoth(ended)

    def glance(self, path: str) -> IReading | None:
        return self._ufs.glance(path)

    def status(self, path: str) -> Deferred[Status]:
        return self._during(self._ufs.status(path))

    def open(self, path: str) -> Deferred[IReading]:
        def opened(reading: IReading) -> IReading:
            if getattr(reading, "descriptor", None) is not None:
                return reading
            return _LeasedReading(reading, self._leases, self._leases.take())

        return self._during(self._ufs.open(path).addCallback(opened))

    def read(self, path: str, status: Status, span: Span) -> Deferred[IBody]:
        return self._during(
            self._ufs.read(path, status, span).addCallback(
                lambda body: LeasedBody(body, self._leases.take())
            )
        )

    def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        def began(placing: IPlacing) -> IPlacing:
            return _LeasedPlacing(placing, self._leases.take())

        return self._during(self._ufs.place(path, size, attributes).addCallback(began))

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self._during(self._ufs.describe(path, status, attributes))

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._during(
            self._ufs.copy(source, status, target, attributes, etag, demand)
        )

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._during(self._ufs.join(sources, target, attributes, etag, demand))

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self._during(self._ufs.delete(path, demand))

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self._during(self._ufs.list(query))

    def folders(self) -> Deferred[Sequence[Bucket]]:
        return self._during(self._ufs.folders())

    def make_folder(self, name: str) -> Deferred[None]:
        return self._during(self._ufs.make_folder(name))

    def remove_folder(self, name: str) -> Deferred[None]:
        return self._during(self._ufs.remove_folder(name))

    def check(self) -> Deferred[None]:
        return self._during(self._ufs.check())

    def sweep(self, older: float) -> Deferred[int]:
        return self._during(self._ufs.sweep(older))

    def close(self) -> Deferred[None]:
        return self._ufs.close()


@implementer(IBody)
class LeasedBody:
    """
    A body that holds a lease as long as it is open.
    """

    __slots__ = ("_body", "_lease", "length", "read")

    def __init__(self, body: IBody, lease: Lease) -> None:
        self._body = body
        self._lease = lease
        self.length = body.length
        # The body's own: a call less for each piece.
        self.read = body.read

    def close(self) -> None:
        """Return what is held."""
        self._body.close()
        self._lease.end()


@implementer(IReading)
@attrs.define(eq=False)
class _LeasedReading:
    _reading: IReading
    _leases: Leases
    _lease: Lease

    @property
    def status(self) -> Status:
        return self._reading.status

    @property
    def cache(self) -> str:
        return self._reading.cache

    def at_once(self, span: Span) -> bytes | None:
        return self._reading.at_once(span)

    def body(self, span: Span) -> IBody:
        return LeasedBody(self._reading.body(span), self._leases.take())

    def close(self) -> None:
        self._reading.close()
        self._lease.end()


@implementer(IPlacing)
@attrs.define(eq=False)
class _LeasedPlacing:
    _placing: IPlacing
    _lease: Lease

    def write(self, data: Piece) -> Deferred[None]:
        return self._placing.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        made = await self._placing.commit(etag, attributes, demand, modified)
        self._lease.end()
        return made

    @deferred
    async def abort(self) -> None:
        # Whoever's commit failed calls this.
        try:
            await self._placing.abort()
        finally:
            self._lease.end()
