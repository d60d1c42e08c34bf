"""
A driver that can do little by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    Entry,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import Capabilities, IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.ufs.passing import PassingUFS

STRIPPED = ("attributes", "conditional", "copies", "joins", "ordered")
"""What can be taken from a driver; the last is the opposite of C{unordered}."""

PAGE = 3
"""How many entries a page of an unordered listing has, however many are asked for."""


class BareUFS(PassingUFS):
    """
    Another driver without some of what it can do, as far as a driver may go that
    does not declare it: it ignores demands, forgets attributes and answers ETags of
    its own, lists in no order, and cannot be asked to copy or to join.
    """

    def __init__(
        self,
        ufs: IUnderFileSystem,
        without: Sequence[str] = STRIPPED,
        own_etags: bool = True,
    ) -> None:
        """
        :param own_etags: without attributes, it makes up ETags too.
        """
        super().__init__(ufs)
        self.without = frozenset(without)
        self.own_etags = own_etags and "attributes" in self.without
        self.capabilities: Capabilities = attrs.evolve(
            ufs.capabilities,
            unordered="ordered" in self.without,
            etags=self.own_etags,
            **{name: False for name in self.without - {"ordered"}},
        )

    def told(self, status: Status) -> Status:
        """What it says of a version."""
        if "attributes" not in self.without:
            return status
        etag = _own_etag(status.etag) if self.own_etags else status.etag
        return attrs.evolve(status, etag=etag, attributes=NO_ATTRIBUTES, memo={})

    def heeded(self, demand: Demand) -> Demand:
        """What it makes of a demand."""
        if "conditional" in self.without:
            return NO_DEMAND
        if self.own_etags and demand.match is not None:
            match = tuple(etag.removeprefix("own-") for etag in demand.match)
            return attrs.evolve(demand, match=match)
        return demand

    def glance(self, path: str) -> IReading | None:
        found = self.ufs.glance(path)
        return None if found is None else _Reading(self, found)

    @deferred
    async def status(self, path: str) -> Status:
        return self.told(await self.ufs.status(path))

    @deferred
    async def open(self, path: str) -> IReading:
        return _Reading(self, await self.ufs.open(path))

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        return _Placing(self, await self.ufs.place(path, size, attributes))

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self.ufs.describe(path, status, attributes).addCallback(self.told)

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        assert "copies" not in self.without, "it does not copy"
        heeded = self.heeded(demand)
        made = self.ufs.copy(source, status, target, attributes, etag, heeded)
        return made.addCallback(self.told)

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        assert "joins" not in self.without, "it does not join"
        made = self.ufs.join(sources, target, attributes, etag, self.heeded(demand))
        return made.addCallback(self.told)

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self.ufs.delete(path, self.heeded(demand))

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        if "ordered" not in self.without:
            page = await self.ufs.list(query)
            return attrs.evolve(page, entries=[self._entry(e) for e in page.entries])
        assert not query.fold, "it does not fold"
        entries: list[Entry] = []
        for prefix in ("", ".alluxio-tw"):
            page = await self.ufs.list(ListQuery(prefix, limit=1 << 30))
            entries += [self._entry(e) for e in page.entries]
        entries = sorted(
            (e for e in entries if e.key.startswith(query.prefix)),
            key=lambda e: hashlib.md5(e.key.encode()).digest(),
        )
        at = int(query.after.removeprefix("from ") or 0)
        end = at + min(query.limit, PAGE)
        resume = f"from {end}" if end < len(entries) else None
        return Listing(entries[at:end], [], resume)

    def _entry(self, entry: Entry) -> Entry:
        if "attributes" not in self.without:
            return entry
        return attrs.evolve(entry, etag=_own_etag(entry.etag), storage_class="")


def _own_etag(etag: str) -> str:
    return f"own-{etag}"


@implementer(IReading)
@attrs.frozen(eq=False)
class _Reading:
    _ufs: BareUFS
    _wrapped: IReading

    @property
    def status(self) -> Status:
        return self._ufs.told(self._wrapped.status)

    @property
    def cache(self) -> str:
        return self._wrapped.cache

    def at_once(self, span: Span) -> bytes | None:
        return self._wrapped.at_once(span)

    def body(self, span: Span) -> IBody:
        return self._wrapped.body(span)

    def close(self) -> None:
        self._wrapped.close()


@implementer(IPlacing)
@attrs.frozen(eq=False)
class _Placing:
    _ufs: BareUFS
    _wrapped: IPlacing

    def write(self, data: Piece) -> Deferred[None]:
        return self._wrapped.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        heeded = self._ufs.heeded(demand)
        made = await self._wrapped.commit(etag, attributes, heeded, modified)
        return self._ufs.told(made)

    def abort(self) -> Deferred[None]:
        return self._wrapped.abort()
