"""
The page cache: look up, load once, keep, deliver in order.

Objects whose pages are of another size, or kept elsewhere, have a cache of their own
(L{PageCache.kept}), which shares stores, memory and counts with the first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from alluxio_tw.cache.holdings import Holdings
from alluxio_tw.cache.loading import Loads
from alluxio_tw.cache.loadmemory import LoadMemory
from alluxio_tw.cache.readahead import ReadAhead
from alluxio_tw.cache.reader import CachedBody
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.cache.tiers import SHORT, Tiers, holds_of
from alluxio_tw.ibody import FileSpan
from alluxio_tw.ipages import IPage, IPageSource, IPageStore, Keeping, PageKey
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads

# So many pages are looked at to say what the cache has of a request; of a longer
# one, so many spread over it.
_PROBES = 256

_MOST_PAGES = 256
"""Pages of one read of a source, or read ahead, however small they are."""

_MOST_KEPT = 64
"""Ways of keeping that are remembered; beyond it, those that nothing is loaded for."""


def object_id(mount_id: str, path: str, version: str, page_size: int = 0) -> bytes:
    """
    The name of one version of one object, for L{PageKey}.

    A cryptographic hash, and not one of the faster ones: keys come from callers,
    and one who finds two that collide could read another's pages.  It costs
    about half a microsecond, once for each version that is remembered.

    :param version: the version token of the storage.
    :param page_size: in bytes, where it is not that of all objects: pages of
        several sizes lie side by side, and are no good for each other.
    :return: 16 bytes.
    """
    text = f"{len(mount_id)}:{mount_id}{len(path)}:{path}{version}"
    if page_size:
        # No mount's id begins so.
        text = f"/{page_size}:{text}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class PageCache:
    """
    Objects by pages, from a store or, once for all who ask, from their source.

    :ivar page_size: in bytes.
    :ivar stats: what was counted.
    :ivar memo: under which a status may keep its L{name}.
    :ivar loads: what is being loaded.
    :ivar holdings: what there is of each object.
    """

    def __init__(
        self,
        store: IPageStore,
        page_size: int,
        clock: IReactorTime,
        threads: IThreads,
        load_memory: int | LoadMemory = 64 << 20,
        most_pages: int = 16,
        read_ahead: int = 16,
        stats: CacheStats | None = None,
    ) -> None:
        """
        :param load_memory: in bytes: what all loads together may gather in
            memory before a store has it;
            C{alluxio.worker.page.store.load.memory}.  Or what is shared with
            others.
        :param most_pages: how many pages one read of a source may span.
        :param read_ahead: how many pages may be loaded before they are asked
            for; nought for none.
        :param stats: the one that the stores count in.
        """
        self.page_size = page_size
        self.stats = CacheStats() if stats is None else stats
        if not isinstance(load_memory, LoadMemory):
            load_memory = LoadMemory(load_memory)
        self._clock = clock
        self._threads = threads
        self._others: dict[Keeping, PageCache] = {}
        self._own_size = 0
        self.memo = "object"
        self._store = store
        self._glance = store.glance
        self._at_once: Callable[[PageKey, int, int], bytes | None] | None = getattr(
            store, "at_once", None
        )
        self._file_at_once: Callable[[PageKey, int, int], bytes | None] | None = (
            getattr(store, "file_at_once", None)
        )
        self._holds = holds_of(store)
        self._window = read_ahead
        self.loads = Loads(
            store=store,
            holds=self._holds,
            page_size=page_size,
            memory=load_memory,
            clock=clock,
            threads=threads,
            stats=self.stats,
            most_pages=most_pages,
        )
        self.holdings = Holdings(store, self._holds, page_size, clock, self.loads)
        self._ahead = ReadAhead(self.loads, read_ahead)
        self._marks = self._ahead.marks

    def __repr__(self) -> str:
        return f"<PageCache: {len(self.loads.runs)} loads, over {self._store!r}>"

    def kept(self, keeping: Keeping | None) -> PageCache:
        """
        The cache of objects whose pages are kept in a way of their own.

        :param keeping: how; L{None} as all others.
        """
        if keeping is None:
            return self
        found = self._others.get(keeping)
        if found is None:
            if len(self._others) >= _MOST_KEPT:
                self._others = {
                    way: other for way, other in self._others.items() if other.busy
                }
            found = self._others[keeping] = self._kept(keeping)
        return found

    def _kept(self, keeping: Keeping) -> PageCache:
        store = self._store
        if isinstance(store, Tiers):
            store = store.tier(keeping.tier)
        size = keeping.page_size or self.page_size

        def as_many_bytes(pages: int) -> int:
            return min(_MOST_PAGES, -(-pages * self.page_size // size))

        ahead = keeping.read_ahead
        found = PageCache(
            store,
            size,
            self._clock,
            self._threads,
            self.loads.memory,
            max(1, as_many_bytes(self.loads.most_pages)),
            as_many_bytes(self._window) if ahead is None else ahead,
            self.stats,
        )
        if size != self.page_size:
            found._own_size = size
            found.memo = f"object/{size}"
        return found

    @property
    def busy(self) -> bool:
        """Whether something is being loaded."""
        return bool(self.loads.runs)

    def name(self, mount_id: str, path: str, version: str) -> bytes:
        """The L{object_id} of a version, here."""
        return object_id(mount_id, path, version, self._own_size)

    def glance(self, object_id: bytes, size: int, span: Span) -> bytes | None:
        """
        Bytes of an object, if they are few and can be had without waiting.

        :param size: of the whole object, in bytes.
        :param span: within it.
        :return: L{None} if it takes a L{body}.
        """
        length = span.length
        if length > SHORT:
            return None
        page_size = self.page_size
        number, start = divmod(span.offset, page_size)
        if start + length > page_size:
            return self._glance_over(object_id, size, span)
        # Equal to a PageKey and hashed alike, in a tenth of the time.
        key = cast(PageKey, (object_id, number))
        data = None
        if self._at_once is not None:
            data = self._at_once(key, start, length)
        if data is not None:
            self.stats.memory_bytes += length
        elif self._file_at_once is not None and (
            (data := self._file_at_once(key, start, length)) is not None
        ):
            self.stats.disk_bytes += length
        else:
            page = self._glance(PageKey(object_id, number))
            if page is None:
                return None
            data = self._take(page, start, length)
        if data is None or len(data) != length:
            return None
        self.stats.hits += 1
        if self._marks and key in self._marks:
            self._ahead.used(PageKey(object_id, number))
        return data

    def _glance_over(self, object_id: bytes, size: int, span: Span) -> bytes | None:
        """A span over the edge of a page."""
        parts = []
        for number, part in span.cut(self.page_size):
            key = PageKey(object_id, number)
            page = self._glance(key)
            if page is None:
                return None
            data = self._take(page, part.offset, part.length)
            if data is None or len(data) != part.length:
                return None
            if key in self._marks:
                self._ahead.used(key)
            parts.append(data)
        self.stats.hits += 1
        return b"".join(parts)

    def _take(self, page: IPage, start: int, length: int) -> bytes | None:
        try:
            if not length:
                return b""
            piece = page.piece(Span(start, length))
            if isinstance(piece, FileSpan):
                # The store has just found it in memory.
                data = os.pread(piece.fd, piece.length, piece.offset)
                self.stats.disk_bytes += len(data)
                return data
            self.stats.memory_bytes += len(piece)
            return bytes(piece)
        except OSError:
            return None
        finally:
            page.release()

    def body(self, object_id: bytes, source: IPageSource, span: Span) -> CachedBody:
        """
        Bytes of an object.

        :param object_id: from L{object_id}, of the source's version.
        :param source: where pages that are in no store come from.
        :param span: within the object.
        :return: a body; its reads fail as the source fails.
        """
        verdict = self._verdict(object_id, span)
        if verdict == "HIT":
            self.stats.hits += 1
        elif verdict == "MISS":
            self.stats.misses += 1
        else:
            self.stats.partial += 1
        if self._window:
            self._ahead.asked(object_id, source, span)
        return CachedBody(
            self.loads, self._ahead, object_id, source, span, verdict, self._window
        )

    def _verdict(self, object_id: bytes, span: Span) -> str:
        pages = span.pages(self.page_size)
        asked = len(pages)
        if asked == 1:
            return "HIT" if self._holds(PageKey(object_id, pages[0])) else "MISS"
        if asked > _PROBES:
            asked = _PROBES
            pages = range(pages[0], pages[-1] + 1, -(-len(pages) // _PROBES))
            asked = len(pages)
        holds = self._holds
        there = sum(holds(PageKey(object_id, number)) for number in pages)
        if there == asked:
            return "HIT"
        return "PARTIAL" if there else "MISS"

    def close(self) -> Deferred[None]:
        """Stop all loads, and close the store."""
        for cache in (self, *self._others.values()):
            for run in tuple(cache.loads.runs):
                run.stop()
        return self._store.close()
