"""
Pages in RAM, below a quota.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.cache.eviction import S3FIFO, Eviction
from alluxio_tw.ibody import Piece
from alluxio_tw.ipages import IPage, IPageStore, PageKey, TierUsage
from alluxio_tw.spans import Span

# What a page costs beside its bytes: key, entry, and its place in the books.
OVERHEAD = 400


class _Entry:
    """
    The bytes of a page, and how many hold it.
    """

    __slots__ = ("data", "leases", "unwanted")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.leases = 0
        self.unwanted = False


@implementer(IPage)
class _MemoryPage:
    """
    A lease on an entry.

    Written out by hand: one is made for each small read that is a hit.
    """

    __slots__ = ("_entry", "_released", "_store", "length")

    def __init__(self, store: MemoryStore, entry: _Entry) -> None:
        entry.leases += 1
        self.length = len(entry.data)
        self._entry = entry
        self._store = store
        self._released = False

    def piece(self, span: Span) -> Piece:
        if span.length == self.length:
            return self._entry.data
        return memoryview(self._entry.data)[span.offset : span.offset + span.length]

    def release(self) -> None:
        if not self._released:
            self._released = True
            entry = self._entry
            entry.leases -= 1
            if entry.unwanted and not entry.leases:
                self._store.let_go(entry)


@implementer(IPageStore)
class MemoryStore:
    """
    Keeps pages in RAM.

    The quota counts what readers still hold, so it bounds the memory and not
    just the index: a page that is held is not evicted, and one that was
    forgotten while held counts until it is let go.
    """

    def __init__(
        self,
        capacity: int,
        evictor: Callable[[int, Callable[[PageKey], bool]], Eviction[PageKey]] = S3FIFO,
        name: str = "memory",
    ) -> None:
        """
        :param capacity: in bytes.
        :param evictor: makes the eviction policy, of the capacity and a
            predicate that says which pages are held.
        """
        self._name = name
        self._capacity = capacity
        self._pages: dict[PageKey, _Entry] = {}
        self._policy = evictor(capacity, self._held)
        # Once, not at every hit: an attribute look-up costs as much as a call.
        self._touch = self._policy.touch
        self._hits = self._misses = self._evictions = self._evicted_bytes = 0
        self._lingering = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {self._name}: {self._policy!r}>"

    def announce(self, key: PageKey, length: int) -> None:
        """As L{DiskStore.announce<alluxio_tw.cache.disk.DiskStore.announce>}."""
        self._policy.expect(key, length + OVERHEAD)

    def holds(self, key: PageKey) -> bool:
        """Whether the page is here; does not count as asking for it."""
        return key in self._pages

    def glance(self, key: PageKey) -> IPage | None:
        entry = self._pages.get(key)
        if entry is None:
            self._misses += 1
            return None
        self._hits += 1
        self._touch(key)
        return _MemoryPage(self, entry)

    def at_once(self, key: PageKey, offset: int, length: int) -> bytes | None:
        """
        Bytes of a page, without the lease: a short cut for small reads.

        A miss is not counted: whoever comes this way asks again by another.

        :param offset: in bytes, from the page's first.
        """
        entry = self._pages.get(key)
        if entry is None:
            return None
        self._hits += 1
        self._touch(key)
        data = entry.data
        if not offset and length == len(data):
            return data
        return data[offset : offset + length]

    def get(self, key: PageKey) -> Deferred[IPage | None]:
        return succeed(self.glance(key))

    def put(self, key: PageKey, data: bytes) -> Deferred[IPage | None]:
        entry = self._pages.get(key)
        if entry is None:
            entry = self._keep(key, data)
        return succeed(None if entry is None else _MemoryPage(self, entry))

    def _keep(self, key: PageKey, data: bytes) -> _Entry | None:
        self._policy.capacity = self._capacity - self._lingering
        victims = self._policy.admit(key, len(data) + OVERHEAD)
        kept = True
        for victim in victims:
            if victim == key:
                kept = False
                continue
            gone = self._pages.pop(victim)
            self._evictions += 1
            self._evicted_bytes += len(gone.data)
        if not kept:
            return None
        entry = self._pages[key] = _Entry(data)
        return entry

    def forget(self, key: PageKey) -> Deferred[None]:
        entry = self._pages.pop(key, None)
        if entry is not None:
            self._policy.remove(key)
            if entry.leases:
                entry.unwanted = True
                self._lingering += len(entry.data) + OVERHEAD
        return succeed(None)

    def let_go(self, entry: _Entry) -> None:
        """The last lease on a forgotten page came back."""
        entry.unwanted = False
        self._lingering -= len(entry.data) + OVERHEAD

    def usage(self) -> list[TierUsage]:
        return [
            TierUsage(
                name=self._name,
                capacity=self._capacity,
                used=self._policy.used + self._lingering,
                pages=len(self._pages),
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                evicted_bytes=self._evicted_bytes,
                failures=0,
            )
        ]

    def close(self) -> Deferred[None]:
        for key in list(self._pages):
            self.forget(key)
        return succeed(None)

    def _held(self, key: PageKey) -> bool:
        return self._pages[key].leases > 0
