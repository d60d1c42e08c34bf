"""
What there is of an object: counted, filled up behind the readers' backs, dropped.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from alluxio_tw.cache.eviction import S3FIFO
from alluxio_tw.cache.holdings import SLICE, Holding
from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.cache.tiers import Level, Siblings, Tiers
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.ipages import PageKey
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from tests.cache.sources import ScriptedSource, content
from tests.cache.test_pipeline import PAGE, NoStore, PipelineCase

K = 1024


class HoldingsCase(PipelineCase):
    """
    A page cache, and an object of four pages and a bit.
    """

    def setUp(self) -> None:
        super().setUp()
        self.pages = self.cache()
        self.source = ScriptedSource(4 * PAGE + 100)
        self.object = self.id_of(self.source)

    def holding(self) -> Holding:
        return self.successResultOf(
            self.pages.holdings.of(self.object, self.source.status.size)
        )

    def warm(self, first: int = 0, last: int = 4) -> Deferred[None]:
        work: Deferred[None] = self.pages.holdings.warm(
            self.object, self.source, first, last
        )
        return work

    def arrive(self) -> None:
        """Everything that is asked of the source arrives."""
        for body in self.source.reads:
            body.deliver_all()

    def whole(self, body: IBody) -> bytes:
        """Everything that a body has, as it arrives."""
        data = b""
        while True:
            reading = body.read()
            while not reading.called:
                self.arrive()
            piece: Piece | None = self.successResultOf(reading)
            if piece is None:
                return data
            assert isinstance(piece, bytes | memoryview)
            data += bytes(piece)


class CountingTests(HoldingsCase):
    """
    What there is.
    """

    def test_nothing(self) -> None:
        """Of what was never read, nothing is here."""
        self.assertEqual(self.holding(), Holding(5, 0, 0, {"memory": 0}))
        self.assertFalse(self.holding().whole)

    def test_some(self) -> None:
        """Pages, bytes and tiers are counted; the last page is as short as it is."""
        work = self.warm(3, 4)
        self.arrive()
        self.successResultOf(work)
        self.assertEqual(self.holding(), Holding(5, 2, PAGE + 100, {"memory": 2}))

    def test_empty(self) -> None:
        """An empty object is here, whatever else is."""
        found = self.successResultOf(self.pages.holdings.of(self.object, 0))
        self.assertTrue(found.whole)
        self.assertIsNone(
            self.successResultOf(self.pages.holdings.missing(self.object, 0))
        )

    def test_tiers(self) -> None:
        """A page that is in several tiers is counted in each, and once in all."""
        near = MemoryStore(1 << 20, name="near")
        stores = [(name, 1, MemoryStore(4 << 20, name=name)) for name in ("a", "b")]
        self.pages = self.cache(
            Tiers([Level(near, PAGE), Level(Siblings(stores), PAGE)], NoThreads())
        )
        for number in range(5):
            key = PageKey(self.object, number)
            length = PAGE if number < 4 else 100
            page = self.successResultOf(
                (near if number == 0 else stores[number % 2][2]).put(key, b"x" * length)
            )
            assert page is not None
            page.release()
        page = self.successResultOf(
            stores[0][2].put(PageKey(self.object, 0), b"x" * PAGE)
        )
        assert page is not None
        page.release()
        found = self.holding()
        self.assertEqual(found.tiers, {"near": 1, "a": 3, "b": 2})
        self.assertEqual((found.present, found.bytes), (5, 4 * PAGE + 100))
        self.assertEqual(self.pages.holdings.capacity, 8 << 20)

    def test_missing(self) -> None:
        """Gaps are found one after the other, none longer than one read may be."""
        pages = self.pages = self.cache(most_pages=2)
        work = self.warm(1, 1)
        self.arrive()
        self.successResultOf(work)
        size = self.source.status.size
        found = []
        start = 0
        while True:
            gap = self.successResultOf(pages.holdings.missing(self.object, size, start))
            if gap is None:
                break
            found.append(gap)
            start = gap[1] + 1
        self.assertEqual(found, [(0, 0), (2, 3), (4, 4)])
        self.assertEqual(pages.holdings.length(size, 3, 4), PAGE + 100)

    def test_long(self) -> None:
        """Of an object of many pages no more is looked at in a turn than a slice."""
        size = 3 * SLICE * PAGE
        counting = self.pages.holdings.of(self.object, size)
        self.assertNoResult(counting)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(counting).pages, 3 * SLICE)


class WarmingTests(HoldingsCase):
    """
    Filling up.
    """

    def test_whole(self) -> None:
        """What was missing is loaded in one read, and kept as it is."""
        work = self.warm()
        self.assertEqual(
            [body.span for body in self.source.reads], [Span(0, self.source.size)]
        )
        self.arrive()
        self.successResultOf(work)
        self.assertTrue(self.holding().whole)
        body = self.body(self.pages, self.source)
        self.assertEqual(self.whole(body), content(0, 0, self.source.size))
        self.assertEqual(len(self.source.reads), 1)
        self.assertEqual(self.pages.loads.memory.used, 0)

    def test_gaps(self) -> None:
        """What is here is not loaded again."""
        work = self.warm(2, 2)
        self.arrive()
        self.successResultOf(work)
        work = self.warm()
        self.arrive()
        self.successResultOf(work)
        self.assertEqual(
            [body.span for body in self.source.reads],
            [Span(2 * PAGE, PAGE), Span(0, 2 * PAGE), Span(3 * PAGE, PAGE + 100)],
        )

    def test_on_disk(self) -> None:
        """Pages of before a restart are found on disk, not loaded again."""
        folder = self.mktemp()
        self.pages = self.cache(self.disk(folder=folder))
        work = self.warm()
        self.arrive()
        self.successResultOf(work)
        self.successResultOf(self.pages.close())
        self.pages = self.cache(self.disk(folder=folder))
        self.assertTrue(self.holding().whole)
        self.successResultOf(self.warm())
        self.assertEqual(len(self.source.reads), 1)

    def test_joined(self) -> None:
        """A reader who comes meanwhile takes part in the load, and gets its bytes."""
        work = self.warm()
        body = self.body(self.pages, self.source, 10, 1000)
        self.assertEqual(self.whole(body), content(0, 10, 1000))
        body.close()
        self.arrive()
        self.successResultOf(work)
        self.assertEqual(len(self.source.reads), 1)
        self.assertTrue(self.holding().whole)

    def test_joins(self) -> None:
        """A page that a reader loads is waited for, not loaded twice."""
        body = self.body(self.pages, self.source, 0, 1000)
        reading = body.read()
        work = self.warm(0, 0)
        self.arrive()
        self.successResultOf(reading)
        self.successResultOf(work)
        self.assertEqual(len(self.source.reads), 1)
        body.close()

    def test_cancelled(self) -> None:
        """Given up, it leaves a reader of the same load alone."""
        work = self.warm()
        body = self.body(self.pages, self.source)
        reading = body.read()
        work.cancel()
        self.failureResultOf(work, CancelledError)
        self.source.reads[0].deliver(16 * K)
        self.successResultOf(reading)
        rest = self.whole(body)
        self.assertEqual(rest, content(0, 16 * K, self.source.size - 16 * K))
        self.assertEqual(len(self.source.reads), 1)

    def test_cancelled_alone(self) -> None:
        """Given up while nobody else wants it, the read of the source ends."""
        work = self.warm()
        work.cancel()
        self.failureResultOf(work, CancelledError)
        self.assertTrue(self.source.reads[0].closed)
        self.assertEqual(self.pages.loads.runs, set())
        self.assertEqual(self.pages.loads.memory.used, 0)

    def test_fails(self) -> None:
        """What the source fails with is told; what came before is kept."""
        work = self.warm()
        self.source.reads[0].deliver(PAGE)
        self.source.reads[0].fail(StorageUnavailable())
        self.failureResultOf(work, StorageUnavailable)
        self.assertEqual(self.holding().present, 1)

    def test_unkept(self) -> None:
        """It comes to its end where no store takes a page."""
        self.pages = self.cache(NoStore())
        work = self.warm()
        self.arrive()
        self.successResultOf(work)
        self.assertEqual(self.holding().present, 0)

    def test_gives_way(self) -> None:
        """
        A reader's page gets memory before one that nobody reads, which waits for as
        long as it takes.
        """
        self.pages = self.cache(load_memory=2 * PAGE)
        first, second = ScriptedSource(PAGE, seed=1), ScriptedSource(PAGE, seed=2)
        body = self.body(self.pages, first)
        reading = body.read()
        first.reads[0].deliver(128 * K)
        self.successResultOf(reading)
        work = self.pages.holdings.warm(self.id_of(second), second, 0, 0)
        second.reads[0].deliver_all()
        # Half of the memory is taken: 64 KiB of the page have come, and no more.
        self.clock.advance(3600)
        self.assertEqual(second.reads[0].position, 64 * K)
        self.assertNoResult(work)
        first.reads[0].deliver(128 * K)
        first.reads[0].deliver_all()
        first.reads[0].end()
        while second.reads[0].wanted:
            second.reads[0].deliver_all()
        self.successResultOf(work)
        body.close()

    def test_stays(self) -> None:
        """What was loaded on purpose stays, in a cache that is full of other things."""
        store = MemoryStore(40 * (PAGE + 400), S3FIFO)
        self.pages = self.cache(store)
        # Again and again, so that they are known, and the small queue is small.
        for number in [*range(60)] * 4:
            key = PageKey(bytes([number]) * 16, 0)
            page = self.successResultOf(store.put(key, b"x" * PAGE))
            if page is not None:
                page.release()
        for seed in range(1, 6):
            source = ScriptedSource(4 * PAGE, seed=seed)
            work = self.pages.holdings.warm(self.id_of(source), source, 0, 3)
            source.reads[0].deliver_all()
            self.successResultOf(work)
        for seed in range(1, 6):
            source = ScriptedSource(4 * PAGE, seed=seed)
            found = self.successResultOf(
                self.pages.holdings.of(self.id_of(source), 4 * PAGE)
            )
            self.assertTrue(found.whole, f"{seed}: {found}")


class ForgettingTests(HoldingsCase):
    """
    Dropping.
    """

    def test_forget(self) -> None:
        """What was there is gone, and its bytes are counted."""
        work = self.warm(1, 4)
        self.arrive()
        self.successResultOf(work)
        holdings = self.pages.holdings
        freed = self.successResultOf(holdings.forget(self.object, self.source.size))
        self.assertEqual(freed, 3 * PAGE + 100)
        self.assertEqual(self.holding().present, 0)
        freed = self.successResultOf(holdings.forget(self.object, self.source.size))
        self.assertEqual(freed, 0)

    def test_forget_on_disk(self) -> None:
        """A page file that is dropped is gone from the disk."""
        folder = self.mktemp()
        self.pages = PageCache(
            self.disk(folder=folder), PAGE, self.clock, NoThreads(), read_ahead=0
        )
        work = self.warm()
        self.arrive()
        self.successResultOf(work)
        freed = self.successResultOf(
            self.pages.holdings.forget(self.object, self.source.size)
        )
        self.assertEqual(freed, self.source.size)
        self.successResultOf(self.pages.close())
        self.pages = self.cache(self.disk(folder=folder))
        self.assertEqual(self.holding().present, 0)
