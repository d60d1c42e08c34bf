"""
Readings of objects whose bytes come through the page cache.
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.asking import WHOSE, in_name_of
from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import NoSuchPath, ObjectChanged
from alluxio_tw.gateway.current import Current
from alluxio_tw.gateway.kept import Kept
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.ipages import IPageSource
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.spans import Span
from alluxio_tw.ufs.hedged import hedged_after
from alluxio_tw.ufs.leased import LeasedBody

AT_ONCE = 64 << 10


@implementer(IPageSource)
@attrs.frozen
class VersionSource:
    """
    Where the pages of one version come from.
    """

    place: Place
    status: Status
    _current: Current
    _whose: Hashable = attrs.field(factory=WHOSE.get, eq=False)

    @property
    def parallel(self) -> int:
        """As many as its storage says."""
        parallel: int = self.place.mount.ufs.capabilities.parallel
        return parallel

    @deferred
    async def read(self, span: Span) -> IBody:
        place = self.place
        try:
            with in_name_of(self._whose), hedged_after(place.policy.hedge_after):
                reading = place.mount.ufs.read(place.path, self.status, span)
            body: IBody = await reading
            if body.length not in (None, span.length):
                body.close()
                raise ObjectChanged()
        except (ObjectChanged, NoSuchPath) as error:
            # Whoever asks again should be told of the new version, or of none.
            self._current.forget(place, self.status)
            raise ObjectChanged() from error
        return _Watched(body, self)

    def changed(self, failure: Failure) -> Failure:
        """The same, when it shows only while it is read."""
        if failure.check(ObjectChanged):
            self._current.forget(self.place, self.status)
        return failure


@implementer(IBody)
@attrs.frozen(eq=False)
class _Watched:
    """A version's bytes, which may turn out to be another's."""

    _body: IBody
    _source: VersionSource

    @property
    def length(self) -> int | None:
        return self._body.length

    def read(self) -> Deferred[Piece | None]:
        return self._body.read().addErrback(self._source.changed)

    def close(self) -> None:
        self._body.close()


@implementer(IBody)
@attrs.define(eq=False)
class _Passing:
    """
    Bytes of a version of which no pages are kept, asked for when they are wanted.
    """

    _source: VersionSource
    _span: Span
    length: int | None = attrs.field(init=False)
    _body: IBody | None = attrs.field(default=None, init=False)
    _reading: Deferred[Piece | None] | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.length = self._span.length

    def read(self) -> Deferred[Piece | None]:
        if self._closed or not self._span.length:
            return succeed(None)
        if self._body is not None:
            return self._body.read()
        self._reading = reading = Deferred.fromCoroutine(self._open())
        return reading

    async def _open(self) -> Piece | None:
        body: IBody = await self._source.read(self._span)
        self._body = body
        return await body.read()

    def close(self) -> None:
        self._closed = True
        reading, self._reading = self._reading, None
        if reading is not None and not reading.called:
            reading.cancel()
        if self._body is not None:
            self._body.close()


@implementer(IReading)
@attrs.define
class CachedReading:
    """
    A version of an object, through the cache.

    :ivar age: seconds since the storage said that this is the version, if it is
        C{STALE}.
    """

    status: Status
    cache: str
    _place: Place
    _pages: PageCache
    _current: Current
    age: float = 0.0

    @classmethod
    def of(
        cls,
        status: Status,
        place: Place,
        pages: PageCache,
        current: Current,
        stale: bool = False,
    ) -> CachedReading:
        """
        A version, read as the policy of its place has it.

        :param pages: the cache of what no rule is about.
        :param stale: the storage could not be asked whether it is the version.
        """
        policy = place.policy
        return cls(
            status,
            "STALE" if stale else "HIT" if policy.pages else "BYPASS",
            place,
            pages.kept(policy.keeping),
            current,
            current.age(place) if stale else 0.0,
        )

    def at_once(self, span: Span) -> bytes | None:
        if span.length > AT_ONCE or not self._place.policy.pages:
            return None
        return self._pages.glance(self._object(), self.status.size, span)

    def body(self, span: Span) -> IBody:
        source = VersionSource(self._place, self.status, self._current)
        body: IBody
        if not self._place.policy.pages:
            body = _Passing(source, span)
        else:
            body = cached = self._pages.body(self._object(), source, span)
            if self.cache != "STALE":
                self.cache = cached.cache
        # What is not cached yet is asked of the mount's storage, however slow the
        # reader: until then it is not to be closed.
        return LeasedBody(body, self._place.mount.leases.take())

    def kept(self) -> Kept:
        """What the cache has of this version."""
        return Kept(
            self.status,
            self._object(),
            self._pages.holdings,
            VersionSource(self._place, self.status, self._current),
            self._place.mount.leases,
        )

    def close(self) -> None:
        """Nothing is held until there is a body."""

    def _object(self) -> bytes:
        memo, pages = self.status.memo, self._pages
        found: bytes | None = memo.get(pages.memo)
        if found is None:
            found = memo[pages.memo] = pages.name(
                self._place.mount.id, self._place.path, self.status.version
            )
        return found
