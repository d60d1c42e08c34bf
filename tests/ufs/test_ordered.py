"""
Listings of a storage without order come in order, in bounded memory.
"""

from __future__ import annotations

import random
import tracemalloc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.deferreds import deferred
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import Capabilities, ListQuery
from alluxio_tw.testing.ufs_objects import keys_of, modelled
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.ufs.ordered import OrderedUFS
from alluxio_tw.ufs.passing import PassingUFS
from tests.doubles_bare import BareUFS


class OrderedTests(SynchronousTestCase):
    def test_random(self) -> None:
        """Whatever keys there are, and wherever a page begins, it is exact."""
        chance = random.Random(4)
        for _ in range(30):
            memory = MemoryUFS(Clock(), NoThreads())
            ufs = OrderedUFS(BareUFS(memory))
            keys = {
                "".join(chance.choices("ab/.é\U0001f600", k=chance.randrange(1, 6)))
                for _ in range(40)
            }
            keys = {key for key in keys if not key.startswith("/")}
            for key in keys:
                memory.put(key, b"", "")
            for _ in range(40):
                query = ListQuery(
                    "".join(chance.choices("ab/é", k=chance.randrange(3))),
                    "".join(chance.choices("ab/é", k=chance.randrange(4))),
                    chance.random() < 0.5,
                    chance.choice((1, 2, 7, 1000)),
                )
                self.assertEqual(
                    self.successResultOf(keys_of(ufs, query)), modelled(keys, query)
                )

    def test_memory(self) -> None:
        """A page takes the memory of a page, however much is walked through for it."""
        ufs = OrderedUFS(_Many(100_000))
        self.assertFalse(ufs.capabilities.unordered)
        tracemalloc.start()
        try:
            page = self.successResultOf(ufs.list(ListQuery(limit=5)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(
            [each.key for each in page.entries], [f"{n:08d}" for n in range(5)]
        )
        self.assertEqual(page.resume, "00000004")
        self.assertLess(peak, 4 << 20)


class _Many(PassingUFS):
    """So many objects, the last first."""

    def __init__(self, count: int) -> None:
        super().__init__(MemoryUFS(Clock(), NoThreads()))
        self.capabilities = Capabilities(unordered=True)
        self._count = count

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        first = int(query.after or self._count)
        last = max(first - query.limit, 0)
        entries = [Entry(f"{n - 1:08d}", 0, "e", 1) for n in range(first, last, -1)]
        return Listing(entries, [], str(last) if last else None)
