"""
Readings of objects whose bytes come through the page cache.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.cache.pipeline import PageCache, object_id
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import NoSuchPath, ObjectChanged
from alluxio_tw.gateway.current import Current
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.ipages import IPageSource
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.spans import Span

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

    @deferred
    async def read(self, span: Span) -> IBody:
        place = self.place
        try:
            body: IBody = await place.mount.ufs.read(place.path, self.status, span)
        except (ObjectChanged, NoSuchPath) as error:
            # Whoever asks again should be told of the new version, or of none.
            self._current.forget(place)
            raise ObjectChanged() from error
        return _Watched(body, self)

    def changed(self, failure: Failure) -> Failure:
        """The same, when it shows only while it is read."""
        if failure.check(ObjectChanged):
            self._current.forget(self.place)
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


@implementer(IReading)
@attrs.define
class CachedReading:
    """
    A version of an object, through the cache.
    """

    status: Status
    cache: str
    _place: Place
    _pages: PageCache
    _current: Current

    def at_once(self, span: Span) -> bytes | None:
        if span.length > AT_ONCE:
            return None
        return self._pages.glance(self._object(), self.status.size, span)

    def body(self, span: Span) -> IBody:
        body = self._pages.body(
            self._object(),
            VersionSource(self._place, self.status, self._current),
            span,
        )
        if self.cache != "STALE":
            self.cache = body.cache
        return body

    def close(self) -> None:
        """Nothing is held until there is a body."""

    def _object(self) -> bytes:
        memo = self.status.memo
        found: bytes | None = memo.get("object")
        if found is None:
            found = memo["object"] = object_id(
                self._place.mount.id, self._place.path, self.status.version
            )
        return found
