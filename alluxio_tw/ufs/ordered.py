"""
Listings in key order, of storages that list in no order.

S3 lists in the order of the keys' bytes, from any key on.  A storage that only
hands out all it has, in its own order and in pages of its own, is walked from its
beginning for every page that is asked for, and the least keys that still count are
kept: memory is bounded by the page, time is not.  Not chosen: keeping what was
found for the next page, which would have to be as large as the storage, or wrong.
"""

from __future__ import annotations

from heapq import heappush, heappushpop

import attrs

from alluxio_tw.deferreds import deferred
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import IUnderFileSystem, ListQuery
from alluxio_tw.ufs.passing import PassingUFS

HIDDEN = ".alluxio-tw"
WALKED = 1000
"""How many are asked for at a time."""


class OrderedUFS(PassingUFS):
    """
    Puts the listings of C{ufs} in order.
    """

    def __init__(self, ufs: IUnderFileSystem) -> None:
        super().__init__(ufs)
        self.capabilities = attrs.evolve(ufs.capabilities, unordered=False)

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        least = _Least(query.limit + 1)
        resume: str | None = ""
        while resume is not None:
            page: Listing = await self.ufs.list(
                ListQuery(query.prefix, resume, False, WALKED)
            )
            for entry in page.entries:
                name = _name(entry.key, query)
                if name is not None:
                    least.offer(name, None if name != entry.key else entry)
            resume = page.resume
        found = least.sorted()
        kept = found[: query.limit]
        return Listing(
            [entry for _, entry in kept if entry is not None],
            [name for name, entry in kept if entry is None],
            kept[-1][0] if len(found) > query.limit else None,
        )


def _name(key: str, query: ListQuery) -> str | None:
    """What a key is listed as; L{None} if it is not."""
    prefix, after = query.prefix, query.after
    if not key.startswith(prefix) or key.encode() <= after.encode():
        return None
    if key.startswith(HIDDEN) and not prefix.startswith(HIDDEN):
        return None
    if not query.fold:
        return key
    if after.endswith("/") and len(after) > len(prefix) and key.startswith(after):
        return None
    slash = key.find("/", len(prefix))
    return key if slash < 0 else key[: slash + 1]


class _Least:
    """
    The least names of all that are offered, each once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._greatest_first: list[_Reversed] = []
        self._entries: dict[str, Entry | None] = {}

    def offer(self, name: str, entry: Entry | None) -> None:
        if name in self._entries:
            return
        place = _Reversed(name)
        if len(self._entries) < self._count:
            heappush(self._greatest_first, place)
        else:
            gone = heappushpop(self._greatest_first, place)
            if gone is place:
                return
            del self._entries[gone.name]
        self._entries[name] = entry

    def sorted(self) -> list[tuple[str, Entry | None]]:
        return sorted(self._entries.items(), key=lambda each: each[0].encode())


class _Reversed:
    """A name that is less where it is greater: heaps give their least."""

    __slots__ = ("_bytes", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._bytes = name.encode()

    def __lt__(self, other: _Reversed) -> bool:
        return self._bytes > other._bytes
