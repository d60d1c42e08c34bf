"""
Stores made of stores: levels, one above the other, and siblings, side by side.

Levels are inclusive: what is kept goes to the lowest level, which is the largest,
and what is short goes to RAM as well; a page found further down is copied one
step up.  So eviction anywhere is a deletion and never a move: what a level gives
up lies below still.  The copy costs the upper level's share of the room, a few
per cent where levels differ in size as they should.  Not chosen: exclusive
levels, which save that and pay with a write below for each eviction above.

Only short pages rise to RAM.  A long page leaves a file by C{sendfile}, at no
cost that a copy in this process could save; the kernel keeps it in memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import attrs
import xxhash
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.ibody import FileSpan
from alluxio_tw.ipages import IPage, IPageStore, PageKey, TierUsage
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads

# What may be read from a file without a thread, once it is known to be in memory.
SHORT = 64 * 1024
# Copies upwards that may be under way: each holds a page in memory.
_MOST_RISING = 16


class Holds(Protocol):
    """
    Says whether a page is known to be somewhere, without asking for it.
    """

    def __call__(self, key: PageKey, /) -> bool:
        """Whether it is there."""


def holds_of(store: IPageStore) -> Holds:
    """
    How to ask a store what it knows.  One that has no C{holds} is asked for the
    page.
    """
    own: Holds | None = getattr(store, "holds", None)
    if own is not None:
        return own

    def look(key: PageKey, /) -> bool:
        page = store.glance(key)
        if page is None:
            return False
        page.release()
        return True

    return look


@attrs.frozen
class Level:
    """
    A store and what it is for.

    :ivar longest: pages above so many bytes do not rise to it; at the lowest
        level it is of no consequence.
    """

    store: IPageStore
    longest: int


@implementer(IPageStore)
class Tiers:
    """
    Levels, the nearest first.
    """

    def __init__(self, levels: Sequence[Level], threads: IThreads) -> None:
        """
        :param levels: one at least.
        """
        self._levels = tuple(levels)
        self._threads = threads
        self._first = self._levels[0].store
        self._glance_first = self._first.glance
        self._holds = [holds_of(level.store) for level in self._levels]
        self._rising: set[PageKey] = set()
        if len(self._levels) == 1:
            # Nothing to add to what the one store does.
            self.glance = self._first.glance  # type: ignore[method-assign]
        # The short cuts for small reads, where the levels have them.
        self.at_once = getattr(self._first, "at_once", None)
        self.file_at_once = getattr(self._first, "file_at_once", None)
        if self.file_at_once is None and len(self._levels) > 1:
            below = getattr(self._levels[1].store, "file_at_once", None)
            if below is not None:
                longest = min(self._levels[0].longest, SHORT)
                self.file_at_once = partial(below, longer_than=longest)

    def __repr__(self) -> str:
        return f"<Tiers: {', '.join(repr(level.store) for level in self._levels)}>"

    @property
    def lowest(self) -> IPageStore:
        """The level that has what the others have."""
        return self._levels[-1].store

    def tier(self, name: str | None) -> IPageStore:
        """
        The levels that are meant by a name of
        L{Keeping.tier<alluxio_tw.ipages.Keeping>}; all of them where there is but
        one.
        """
        if name is None or len(self._levels) == 1:
            return self
        return self._first if name == "MEM" else self.lowest

    def parts(self) -> tuple[IPageStore, ...]:
        """The levels."""
        return tuple(level.store for level in self._levels)

    def announce(self, key: PageKey, length: int) -> None:
        """As L{DiskStore.announce<alluxio_tw.cache.disk.DiskStore.announce>}."""
        announce = getattr(self.lowest, "announce", None)
        if announce is not None:
            announce(key, length)

    def holds(self, key: PageKey) -> bool:
        """Whether any level knows the page."""
        return any(holds(key) for holds in self._holds)

    def glance(self, key: PageKey) -> IPage | None:
        page = self._glance_first(key)
        if page is not None:
            return page
        for depth in range(1, len(self._levels)):
            page = self._levels[depth].store.glance(key)
            if page is not None:
                self._raise(key, page, depth)
                return page
        return None

    @deferred
    async def get(self, key: PageKey) -> IPage | None:
        for depth, level in enumerate(self._levels):
            page = await level.store.get(key)
            if page is not None:
                self._raise(key, page, depth)
                return page
        return None

    @deferred
    async def put(self, key: PageKey, data: bytes) -> IPage | None:
        kept: IPage | None = None
        lowest = len(self._levels) - 1
        for depth, level in enumerate(self._levels):
            if depth == lowest:
                below = level.store.put(key, data)
                if kept is None:
                    kept = await below
                else:
                    # Who put it need not wait for the slower copy.
                    below.addCallback(_release)
            elif len(data) <= min(level.longest, SHORT):
                page = await level.store.put(key, data)
                if kept is None:
                    kept = page
                elif page is not None:
                    page.release()
        for level in self._levels[:-1] if kept is None else ():
            # Below is full or broken: better kept above than not at all.
            if len(data) <= level.longest:
                kept = await level.store.put(key, data)
                if kept is not None:
                    break
        return kept

    def forget(self, key: PageKey) -> Deferred[None]:
        return _all(level.store.forget(key) for level in self._levels)

    def usage(self) -> list[TierUsage]:
        return [usage for level in self._levels for usage in level.store.usage()]

    def close(self) -> Deferred[None]:
        return _all(level.store.close() for level in self._levels)

    def _raise(self, key: PageKey, page: IPage, depth: int) -> None:
        """Copy a page that was found at C{depth} one step up."""
        if not depth:
            return
        above = self._levels[depth - 1]
        if (
            page.length > above.longest
            or key in self._rising
            or len(self._rising) >= _MOST_RISING
        ):
            return
        piece = page.piece(Span(0, page.length))
        if not isinstance(piece, FileSpan):
            above.store.put(key, bytes(piece)).addCallback(_release)
        elif page.length <= SHORT:
            try:
                data = os.pread(piece.fd, piece.length, piece.offset)
            except OSError:
                return
            if len(data) == page.length:
                above.store.put(key, data).addCallback(_release)
        else:
            # The one who found it may let go before the copy is made.
            lease = self._levels[depth].store.glance(key)
            if lease is not None:
                self._rising.add(key)
                self._copy(key, lease, above.store)

    @deferred
    async def _copy(self, key: PageKey, lease: IPage, above: IPageStore) -> None:
        try:
            piece = lease.piece(Span(0, lease.length))
            if isinstance(piece, FileSpan):
                data = await self._threads.run(
                    os.pread, piece.fd, piece.length, piece.offset
                )
            else:
                data = bytes(piece)
            if len(data) == lease.length:
                _release(await above.put(key, data))
        except OSError:
            # It stays where it is; the store below finds out for itself.
            pass
        finally:
            lease.release()
            self._rising.discard(key)


@implementer(IPageStore)
class Siblings:
    """
    Stores side by side, such as directories on different disks: each page
    belongs to one of them, by its key and their weights.

    Which one stays the same when a store is added or taken away, save for the
    pages that the new one gets or the old one had (rendezvous hashing over a
    fixed number of slots).
    """

    _SLOTS = 1024

    def __init__(self, stores: Sequence[tuple[str, int, IPageStore]]) -> None:
        """
        :param stores: name, weight (the quota, say) and store of each; the name
            decides what belongs to it.
        """
        self._stores = tuple(store for _, _, store in stores)
        self._table = [
            max(stores, key=lambda entry: _claim(slot, entry[0], entry[1]))[2]
            for slot in range(self._SLOTS)
        ]
        self._holds = {id(store): holds_of(store) for store in self._stores}

    def __repr__(self) -> str:
        return f"<Siblings: {', '.join(map(repr, self._stores))}>"

    def _store(self, key: PageKey) -> IPageStore:
        object_id, number = key
        return self._table[(object_id[1] * 31 + object_id[2] * 17 + number) & 1023]

    def parts(self) -> tuple[IPageStore, ...]:
        """The stores."""
        return self._stores

    def announce(self, key: PageKey, length: int) -> None:
        """As L{DiskStore.announce<alluxio_tw.cache.disk.DiskStore.announce>}."""
        announce = getattr(self._store(key), "announce", None)
        if announce is not None:
            announce(key, length)

    def holds(self, key: PageKey) -> bool:
        """Whether the store that it belongs to knows the page."""
        return self._holds[id(self._store(key))](key)

    def glance(self, key: PageKey) -> IPage | None:
        return self._store(key).glance(key)

    def file_at_once(
        self, key: PageKey, offset: int, length: int, longer_than: int = 0
    ) -> bytes | None:
        """As L{DiskStore.file_at_once<alluxio_tw.cache.disk.DiskStore.file_at_once>}."""
        at_once = getattr(self._store(key), "file_at_once", None)
        if at_once is None:
            return None
        data: bytes | None = at_once(key, offset, length, longer_than)
        return data

    def get(self, key: PageKey) -> Deferred[IPage | None]:
        return self._store(key).get(key)

    def put(self, key: PageKey, data: bytes) -> Deferred[IPage | None]:
        return self._store(key).put(key, data)

    def forget(self, key: PageKey) -> Deferred[None]:
        return self._store(key).forget(key)

    def usage(self) -> list[TierUsage]:
        return [usage for store in self._stores for usage in store.usage()]

    def close(self) -> Deferred[None]:
        return _all(store.close() for store in self._stores)


def _claim(slot: int, name: str, weight: int) -> float:
    chance = (xxhash.xxh3_64_intdigest(f"{slot}/{name}".encode()) + 1) / 2**64
    return -weight / math.log(min(chance, 1 - 1e-12))


def _release(page: IPage | None) -> None:
    if page is not None:
        page.release()


def _all(works: Iterable[Deferred[None]]) -> Deferred[None]:
    return gatherResults(list(works)).addCallback(lambda ignored: None)
