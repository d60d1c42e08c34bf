"""
The page cache: what is loaded, when, for whom, and in how much memory.
"""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.pipeline import PageCache, object_id
from alluxio_tw.cache.reader import CachedBody
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.cache.tiers import Level, Siblings, Tiers
from alluxio_tw.errors import ObjectChanged, StorageUnavailable
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.ipages import IPage, IPageSource, IPageStore, PageKey
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads, PooledThreads
from tests.cache.sources import ReadySource, ScriptedSource, content
from tests.doubles_threads import HeldThreads

PAGE = 256 * 1024
K = 1024


class NoStore(MemoryStore):
    """
    A store that keeps nothing, as one whose disk is broken.
    """

    def __init__(self) -> None:
        super().__init__(0)


def bytes_of(piece: Piece | None) -> bytes:
    assert piece is not None
    if isinstance(piece, FileSpan):
        return os.pread(piece.fd, piece.length, piece.offset)
    return bytes(piece)


class PipelineCase(SynchronousTestCase):
    """
    A page cache over a store in RAM, unless a test says otherwise.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def cache(
        self,
        store: IPageStore | None = None,
        load_memory: int = 64 << 20,
        read_ahead: int = 0,
        stats: CacheStats | None = None,
        most_pages: int = 16,
    ) -> PageCache:
        return PageCache(
            MemoryStore(64 << 20) if store is None else store,
            PAGE,
            self.clock,
            NoThreads(),
            load_memory=load_memory,
            read_ahead=read_ahead,
            stats=stats,
            most_pages=most_pages,
        )

    def disk(
        self, stats: CacheStats | None = None, folder: str | None = None
    ) -> DiskStore:
        store = DiskStore(
            folder or self.mktemp(),
            64 << 20,
            PAGE,
            NoThreads(),
            self.clock,
            stats=stats,
        )
        self.successResultOf(store.start())
        self.addCleanup(store.close)
        return store

    def body(
        self,
        cache: PageCache,
        source: IPageSource,
        offset: int = 0,
        length: int | None = None,
    ) -> CachedBody:
        if length is None:
            length = source.status.size - offset
        return cache.body(self.id_of(source), source, Span(offset, length))

    def begin(self, body: IBody) -> Deferred[Piece | None]:
        """Ask for a piece that may never come, because the body is closed first."""
        reading = body.read()
        reading.addErrback(lambda failure: failure.trap(CancelledError) and None)
        return reading

    def id_of(self, source: IPageSource) -> bytes:
        return object_id("mount", "path", source.status.version)

    def rest(self, body: IBody) -> bytes:
        """Read a body to its end, which must be there, and close it."""
        parts = []
        while (piece := self.successResultOf(body.read())) is not None:
            parts.append(bytes_of(piece))
        body.close()
        return b"".join(parts)

    def read(
        self,
        cache: PageCache,
        source: IPageSource,
        offset: int = 0,
        length: int | None = None,
    ) -> bytes:
        return self.rest(self.body(cache, source, offset, length))


class ObjectIdTests(SynchronousTestCase):
    def test_differs(self) -> None:
        """No two of mount, path and version run into each other."""
        names = {
            object_id("a", "b", "c"),
            object_id("ab", "", "c"),
            object_id("", "ab", "c"),
            object_id("a", "bc", ""),
            object_id("a", "", "bc"),
            object_id("a", "b", "d"),
        }
        self.assertEqual(len(names), 6)
        self.assertEqual({len(name) for name in names}, {16})

    def test_any_name(self) -> None:
        """A path need not be valid Unicode."""
        self.assertEqual(len(object_id("a", "\udcff", "")), 16)


class ReadTests(PipelineCase):
    def test_interface(self) -> None:
        """What is given is a body."""
        body = self.body(self.cache(), ReadySource(10))
        verifyObject(IBody, body)
        self.assertEqual(body.length, 10)
        body.close()

    def test_miss_then_hit(self) -> None:
        """What was read once is not read again, and the answer says so."""
        cache, source = self.cache(), ReadySource(3 * PAGE + 17)
        first = self.body(cache, source)
        self.assertEqual(first.cache, "MISS")
        whole = content(0, 0, source.size)
        self.assertEqual(self.rest(first), whole)
        second = self.body(cache, source)
        self.assertEqual(second.cache, "HIT")
        self.assertEqual(self.rest(second), whole)
        self.assertEqual(source.spans, [Span(0, source.size)])
        self.assertEqual((cache.stats.hits, cache.stats.misses), (1, 1))
        self.assertEqual(source.open, 0)
        self.assertEqual(cache.loads.memory.used, 0)

    def test_range_loads_its_pages_only(self) -> None:
        """A range that is not there loads the pages that it touches, and no others."""
        cache, source = self.cache(), ReadySource(10 * PAGE + 5)
        self.read(cache, source, 3 * PAGE + 10, 20)
        self.assertEqual(source.spans, [Span(3 * PAGE, PAGE)])
        self.read(cache, source, 6 * PAGE - 1, 2)
        self.assertEqual(source.spans[1:], [Span(5 * PAGE, 2 * PAGE)])
        self.read(cache, source, source.size - 1, 1)
        self.assertEqual(source.spans[2:], [Span(10 * PAGE, 5)])
        self.assertEqual(source.delivered, 3 * PAGE + 5)

    def test_partial(self) -> None:
        """Of a span of which some is there, only the gaps are loaded."""
        cache, source = self.cache(), ReadySource(6 * PAGE)
        self.read(cache, source, 2 * PAGE, PAGE)
        body = self.body(cache, source)
        self.assertEqual(body.cache, "PARTIAL")
        self.assertEqual(self.rest(body), content(0, 0, source.size))
        self.assertEqual(
            source.spans[1:], [Span(0, 2 * PAGE), Span(3 * PAGE, 3 * PAGE)]
        )
        self.assertEqual(cache.stats.partial, 1)

    def test_run_length(self) -> None:
        """One read of the source spans no more than so many pages."""
        cache, source = self.cache(most_pages=2), ReadySource(5 * PAGE)
        self.assertEqual(self.read(cache, source), content(0, 0, source.size))
        self.assertEqual([span.length // PAGE for span in source.spans], [2, 2, 1])

    def test_empty(self) -> None:
        """No bytes are an end at once, and ask nothing of the source."""
        cache, source = self.cache(), ReadySource(100)
        body = self.body(cache, source, 5, 0)
        self.assertEqual(self.rest(body), b"")
        self.assertEqual(source.spans, [])

    def test_from_files(self) -> None:
        """A source may hand out spans of a file instead of bytes."""
        path = self.mktemp()
        with open(path, "w+b") as file:
            file.write(content(0, 0, 3 * PAGE))
            file.flush()
            source = ReadySource(3 * PAGE, fd=file.fileno(), piece=300_000)
            cache = self.cache()
            self.assertEqual(
                self.read(cache, source, 10, 2 * PAGE), content(0, 10, 2 * PAGE)
            )
            self.assertEqual(self.read(cache, source, 0, PAGE), content(0, 0, PAGE))

    def test_single_bytes(self) -> None:
        """A source that gives a byte at a time costs no more memory than its bytes."""
        cache, source = self.cache(), ReadySource(70 * K, piece=1)
        body = self.body(cache, source)
        self.assertEqual(self.rest(body), content(0, 0, 70 * K))
        self.assertEqual(self.body(cache, source).cache, "HIT")

    def test_wrong_length_in_the_store(self) -> None:
        """A page that is not as long as the object says is none of ours."""
        store = MemoryStore(1 << 20)
        cache, source = self.cache(store), ReadySource(1000)
        store.put(PageKey(self.id_of(source), 0), b"short")
        self.assertEqual(self.read(cache, source), content(0, 0, 1000))

    def test_pieces_are_short(self) -> None:
        """A page in RAM leaves in pieces that a socket's buffer can take."""
        cache, source = self.cache(), ReadySource(PAGE)
        self.read(cache, source)
        body = self.body(cache, source)
        piece = self.successResultOf(body.read())
        assert piece is not None and not isinstance(piece, FileSpan)
        self.assertLessEqual(len(piece), 128 * K)
        body.close()

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 6 * PAGE),
        st.lists(
            st.tuples(st.integers(0, 6 * PAGE), st.integers(0, 6 * PAGE)), max_size=8
        ),
        st.sampled_from([1000, 64 * K, 300 * K, 8 * PAGE]),
        st.sampled_from([0, 3 * PAGE, 64 << 20]),
        st.sampled_from([0, 4]),
    )
    def test_any_spans(
        self,
        size: int,
        spans: list[tuple[int, int]],
        piece: int,
        capacity: int,
        read_ahead: int,
    ) -> None:
        """Whatever is asked for, in whatever order, the bytes are the object's."""
        cache = self.cache(MemoryStore(capacity), read_ahead=read_ahead)
        source = ReadySource(size, piece=piece)
        for first, second in spans:
            offset = first % size
            length = second % (size - offset) + 1
            span = Span(offset, length)
            self.assertEqual(
                self.read(cache, source, offset, length), content(0, offset, length)
            )
            data = cache.glance(self.id_of(source), size, span)
            self.assertIn(data, (None, content(0, offset, length)))
        self.assertEqual(cache.loads.memory.used, 0)
        self.assertEqual(cache.loads.flights, {})
        self.assertEqual(source.open, 0)


class GlanceTests(PipelineCase):
    def test_short(self) -> None:
        """A few bytes of what is in RAM are had at once, over page edges too."""
        cache, source = self.cache(), ReadySource(3 * PAGE)
        name = self.id_of(source)
        self.assertIsNone(cache.glance(name, source.size, Span(0, 10)))
        self.read(cache, source)
        for offset, length in ((0, 10), (PAGE - 5, 10), (PAGE, 64 * K), (7, 0)):
            self.assertEqual(
                cache.glance(name, source.size, Span(offset, length)),
                content(0, offset, length),
            )
        self.assertEqual(cache.stats.hits, 4)

    def test_long(self) -> None:
        """More than that takes a body."""
        cache, source = self.cache(), ReadySource(3 * PAGE)
        self.read(cache, source)
        self.assertIsNone(
            cache.glance(self.id_of(source), source.size, Span(0, 64 * K + 1))
        )

    def test_partly_there(self) -> None:
        """If a page of two is missing, there is nothing to be had at once."""
        cache, source = self.cache(), ReadySource(3 * PAGE)
        self.read(cache, source, 0, PAGE)
        self.assertIsNone(
            cache.glance(self.id_of(source), source.size, Span(PAGE - 5, 10))
        )

    def test_from_disk(self) -> None:
        """Page files that are open serve a few bytes at once as well."""
        disk = self.disk()
        above = [Level(MemoryStore(1 << 20), 64 * K)]
        for store in (
            disk,
            Tiers([*above, Level(disk, 0)], NoThreads()),
            Tiers([*above, Level(Siblings([("a", 1, disk)]), 0)], NoThreads()),
        ):
            cache, source = self.cache(store), ReadySource(3 * PAGE)
            self.read(cache, source)
            before = cache.stats.disk_bytes
            for offset in (PAGE - 5, PAGE + 100, 2 * PAGE):
                self.assertEqual(
                    cache.glance(self.id_of(source), source.size, Span(offset, 10)),
                    content(0, offset, 10),
                )
            self.assertEqual(cache.stats.disk_bytes, before + 30)
            # What follows the page in its file is none of the object's.
            self.assertIsNone(
                cache.glance(self.id_of(source), source.size, Span(3 * PAGE - 5, 10))
            )


class StreamingTests(PipelineCase):
    def test_pieces_as_they_come(self) -> None:
        """Bytes reach the reader when they arrive, not when the page is whole."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        body = self.body(cache, source)
        reading = body.read()
        self.assertNoResult(reading)
        source.reads[0].deliver(100)
        self.assertEqual(bytes_of(self.successResultOf(reading)), content(0, 0, 100))
        reading = body.read()
        self.assertNoResult(reading)
        source.reads[0].deliver(10_000)
        self.assertEqual(
            bytes_of(self.successResultOf(reading)), content(0, 100, 10_000)
        )
        body.close()

    def test_shared(self) -> None:
        """All who ask for a page while it loads share one read of the source."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        bodies = [self.body(cache, source) for _ in range(5)]
        readings = [body.read() for body in bodies]
        self.assertEqual(len(source.reads), 1)
        source.reads[0].deliver(50 * K)
        for reading in readings:
            self.assertEqual(
                bytes_of(self.successResultOf(reading)), content(0, 0, 50 * K)
            )
        source.reads[0].deliver_all()
        for body in bodies:
            self.assertEqual(self.rest(body), content(0, 50 * K, PAGE - 50 * K))
        self.assertEqual(cache.stats.coalesced, 4)
        self.assertEqual(cache.stats.loads, 1)

    def test_late_joiner(self) -> None:
        """Who comes late gets at once what has arrived, then the rest."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        first = self.body(cache, source)
        self.begin(first)
        source.reads[0].deliver(20 * K)
        source.reads[0].deliver(20 * K)
        late = self.body(cache, source, 10 * K)
        got = b""
        while len(got) < 30 * K:
            got += bytes_of(self.successResultOf(late.read()))
        self.assertEqual(got, content(0, 10 * K, 30 * K))
        more = late.read()
        self.assertNoResult(more)
        source.reads[0].deliver_all()
        got += bytes_of(self.successResultOf(more))
        got += self.rest(late)
        self.assertEqual(got, content(0, 10 * K, PAGE - 10 * K))
        self.assertEqual(len(source.reads), 1)
        first.close()

    def test_joiner_further_on(self) -> None:
        """Who needs a later page of a run rides with it, even past a slow reader."""
        cache, source = self.cache(), ScriptedSource(8 * PAGE)
        slow = self.body(cache, source)
        self.begin(slow)
        fast = self.body(cache, source, 5 * PAGE, PAGE)
        reading = fast.read()
        source.reads[0].deliver_all()
        got = bytes_of(self.successResultOf(reading)) + self.rest(fast)
        self.assertEqual(got, content(0, 5 * PAGE, PAGE))
        self.assertEqual(len(source.reads), 1)
        slow.close()

    def test_slow_reader_slows_the_load(self) -> None:
        """The next page is not loaded before someone gets to it."""
        cache, source = self.cache(), ScriptedSource(8 * PAGE)
        body = self.body(cache, source)
        self.begin(body)
        source.reads[0].deliver_all()
        self.assertEqual(source.reads[0].position, PAGE)
        got = 0
        while got < PAGE - 16 * K:
            got += len(bytes_of(self.successResultOf(body.read())))
        self.begin(body)
        source.reads[0].deliver_all()
        self.assertEqual(source.reads[0].position, 2 * PAGE)
        body.close()

    def test_goes_on_from_the_store(self) -> None:
        """When a page is kept, its readers go on from there and its memory is free."""
        cache, source = self.cache(self.disk()), ScriptedSource(2 * PAGE)
        body = self.body(cache, source)
        reading = body.read()
        source.reads[0].deliver(16 * K)
        self.assertEqual(len(bytes_of(self.successResultOf(reading))), 16 * K)
        self.assertEqual(cache.loads.memory.used, PAGE)
        reading = body.read()
        source.reads[0].deliver_all()
        self.successResultOf(reading)
        self.assertEqual(cache.loads.memory.used, 0)
        piece = self.successResultOf(body.read())
        self.assertIsInstance(piece, FileSpan)
        self.assertEqual(bytes_of(piece), content(0, 32 * K, PAGE - 32 * K))
        body.close()

    def test_piece_outlives_the_next(self) -> None:
        """A piece of a file is good while the next one is read, whatever is evicted."""
        stats = CacheStats()
        store = self.disk(stats)
        cache, source = self.cache(store, stats=stats), ReadySource(3 * PAGE)
        self.read(cache, source)
        body = self.body(cache, source)
        first = self.successResultOf(body.read())
        store.forget(PageKey(self.id_of(source), 0))
        self.successResultOf(body.read())
        self.assertEqual(bytes_of(first), content(0, 0, PAGE))
        body.close()


class LeavingTests(PipelineCase):
    def test_one_leaves(self) -> None:
        """A reader that leaves, waiting or not, takes nothing from the others."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        bodies = [self.body(cache, source) for _ in range(3)]
        readings = [body.read() for body in bodies]
        readings[0].cancel()
        self.failureResultOf(readings[0], CancelledError)
        bodies[0].close()
        bodies[1].close()
        self.failureResultOf(readings[1], CancelledError)
        source.reads[0].deliver_all()
        got = bytes_of(self.successResultOf(readings[2])) + self.rest(bodies[2])
        self.assertEqual(got, content(0, 0, PAGE))
        self.assertFalse(source.reads[0].cancelled)

    def test_all_leave(self) -> None:
        """When the last has left the load is cancelled, and its memory free."""
        cache, source = self.cache(), ScriptedSource(4 * PAGE)
        bodies = [self.body(cache, source) for _ in range(3)]
        readings = [body.read() for body in bodies]
        source.reads[0].deliver(10 * K)
        for body in bodies:
            body.close()
        self.assertTrue(source.reads[0].cancelled)
        self.assertEqual(source.reads[0].closes, 1)
        self.assertEqual(cache.loads.memory.used, 0)
        self.assertEqual(cache.loads.flights, {})
        for reading in readings:
            self.assertEqual(len(bytes_of(self.successResultOf(reading))), 10 * K)

    def test_leave_before_it_opens(self) -> None:
        """So it is when the source has not even answered."""
        cache, source = self.cache(), ScriptedSource(4 * PAGE, held=[])
        body = self.body(cache, source)
        reading = body.read()
        body.close()
        self.failureResultOf(reading, CancelledError)
        self.assertTrue(source.reads[0].cancelled)
        self.assertEqual(cache.loads.flights, {})

    def test_nearly_done(self) -> None:
        """A page more than half of which is here is finished, though all have left."""
        cache, source = self.cache(), ScriptedSource(4 * PAGE)
        body = self.body(cache, source)
        self.begin(body)
        source.reads[0].deliver(PAGE - 10 * K)
        body.close()
        self.assertFalse(source.reads[0].closed)
        source.reads[0].deliver_all(2 * K)
        self.assertTrue(source.reads[0].closed)
        self.assertEqual(source.reads[0].position, PAGE)
        self.assertEqual(self.body(cache, source, 0, PAGE).cache, "HIT")
        self.assertEqual(cache.loads.memory.used, 0)

    def test_satisfied(self) -> None:
        """A page of which someone got what he wanted is finished, for the next."""
        cache, source = self.cache(), ScriptedSource(4 * PAGE)
        body = self.body(cache, source, 0, 100)
        reading = body.read()
        source.reads[0].deliver(100)
        self.assertEqual(bytes_of(self.successResultOf(reading)), content(0, 0, 100))
        self.assertIsNone(self.successResultOf(body.read()))
        body.close()
        source.reads[0].deliver_all()
        self.assertEqual(self.body(cache, source, 0, PAGE).cache, "HIT")

    def test_asked_again_after_all_left(self) -> None:
        """Who comes after a load was cancelled starts another."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        body = self.body(cache, source)
        self.begin(body)
        body.close()
        again = self.body(cache, source)
        reading = again.read()
        self.assertEqual(len(source.reads), 2)
        source.reads[1].deliver_all()
        got = bytes_of(self.successResultOf(reading)) + self.rest(again)
        self.assertEqual(got, content(0, 0, PAGE))

    def test_leaves_when_told(self) -> None:
        """A reader may close itself, and others, from the callback of its read."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        bodies = [self.body(cache, source) for _ in range(4)]
        readings = [body.read() for body in bodies]

        def close_all(piece: Piece | None) -> None:
            for body in bodies:
                body.close()

        readings[0].addCallback(close_all)
        source.reads[0].deliver(100)
        self.successResultOf(readings[0])
        for reading in readings[1:]:
            self.failureResultOf(reading, CancelledError)
        self.assertTrue(source.reads[0].closed)
        self.assertEqual(cache.loads.runs, set())

    def test_close(self) -> None:
        """Closing the cache ends what is being loaded."""
        cache, source = self.cache(), ScriptedSource(PAGE)
        body = self.body(cache, source)
        reading = body.read()
        self.successResultOf(cache.close())
        self.failureResultOf(reading, StorageUnavailable)
        body.close()
        self.assertTrue(source.reads[0].closed)


class FailureTests(PipelineCase):
    def test_open_fails(self) -> None:
        """When the source refuses, every reader is told why."""
        cache, source = self.cache(), ScriptedSource(PAGE, held=[])
        bodies = [self.body(cache, source) for _ in range(2)]
        readings = [body.read() for body in bodies]
        assert source.held is not None
        source.held[0][0].errback(StorageUnavailable("gone"))
        for reading in readings:
            self.assertEqual(
                self.failureResultOf(reading, StorageUnavailable).value.message, "gone"
            )
        self.assertEqual(cache.stats.load_failures, 1)
        self.assertEqual(cache.loads.memory.used, 0)

    def test_midway(self) -> None:
        """When the source fails midway, what came is given and then the failure."""
        cache, source = self.cache(), ScriptedSource(3 * PAGE)
        body = self.body(cache, source)
        reading = body.read()
        source.reads[0].deliver(PAGE)
        got = len(bytes_of(self.successResultOf(reading)))
        while got < PAGE:
            got += len(bytes_of(self.successResultOf(body.read())))
        reading = body.read()
        source.reads[0].deliver(50 * K)
        self.assertEqual(len(bytes_of(self.successResultOf(reading))), 50 * K)
        source.reads[0].fail(StorageUnavailable("reset"))
        self.failureResultOf(body.read(), StorageUnavailable)
        body.close()
        self.assertEqual(source.reads[0].closes, 1)
        self.assertEqual(cache.loads.memory.used, 0)
        # The page that was whole is kept, the other is not.
        self.assertEqual(self.body(cache, source, 0, PAGE).cache, "HIT")
        self.assertEqual(self.body(cache, source, PAGE, PAGE).cache, "MISS")

    def test_short(self) -> None:
        """A source that ends early has failed, and nothing of the page is kept."""
        for states_length in (True, False):
            cache = self.cache()
            source = ScriptedSource(PAGE, states_length=states_length)
            body = self.body(cache, source)
            self.begin(body)
            source.reads[0].deliver(PAGE - 1)
            source.reads[0].end()
            got = self.failure_of(body)
            self.assertEqual(type(got), StorageUnavailable)
            self.assertEqual(self.body(cache, source).cache, "MISS")

    def failure_of(self, body: IBody) -> BaseException:
        while True:
            reading = body.read()
            if isinstance(getattr(reading, "result", None), bytes | memoryview):
                continue
            failure: Failure = self.failureResultOf(reading)
            assert failure.value is not None
            return failure.value

    def test_wrong_length_announced(self) -> None:
        """A source that says it will give another length is not begun with."""
        cache, source = self.cache(), ScriptedSource(PAGE, held=[])
        body = self.body(cache, source)
        reading = body.read()
        assert source.held is not None
        opening, scripted = source.held[0]
        scripted.length = PAGE + 1
        opening.callback(scripted)
        self.failureResultOf(reading, ObjectChanged)
        self.assertTrue(scripted.closed)

    def test_long(self) -> None:
        """A source that gives more than was asked for is not believed."""
        for extra in (False, True):
            cache = self.cache()
            source = ScriptedSource(100 * K, states_length=False)
            body = self.body(cache, source)
            self.begin(body)
            if extra:
                source.reads[0].deliver(100 * K)
                source.reads[0].deliver(1)
            else:
                source.reads[0].deliver(100 * K + 1)
            body.close()
            self.assertEqual(self.body(cache, source).cache, "MISS")
            self.assertEqual(cache.loads.memory.used, 0)
            self.assertEqual(cache.stats.load_failures, 1)

    def test_corrupted_page(self) -> None:
        """A page file that has rotted is noticed, read again, and counted."""
        folder, stats = self.mktemp(), CacheStats()
        store = self.disk(stats, folder)
        source = ReadySource(PAGE)
        self.read(self.cache(store), source)
        self.successResultOf(store.close())
        for path, _, names in os.walk(folder):
            for name in names:
                if "-" in name:
                    with open(os.path.join(path, name), "r+b") as file:
                        file.seek(1000)
                        file.write(b"rot")
        cache = self.cache(self.disk(stats, folder), stats=stats)
        self.assertEqual(self.read(cache, source), content(0, 0, PAGE))
        self.assertEqual(len(source.spans), 2)
        self.assertEqual(stats.verify_failures, 1)
        self.assertEqual(self.read(cache, source), content(0, 0, PAGE))
        self.assertEqual(len(source.spans), 2)


class MemoryBoundTests(PipelineCase):
    READERS = 256
    BOUND = 4 << 20

    def outstanding(self, cache: PageCache) -> int:
        """Bytes that loads hold in memory now."""
        return sum(
            sum(len(slab) for slab in flight._slabs)
            for run in cache.loads.runs
            for flight in run.flights
        )

    def crowd(self, store: IPageStore) -> int:
        """
        Slow readers of as many cold objects, to the end; the most bytes that were
        outstanding at any time.
        """
        cache = self.cache(store, load_memory=self.BOUND)
        sources = [ReadySource(3 * PAGE, seed=seed) for seed in range(self.READERS)]
        bodies = [self.body(cache, source) for source in sources]
        got = [0] * self.READERS
        most = 0
        readings: list[Deferred[Piece | None] | None] = [body.read() for body in bodies]
        left = set(range(self.READERS))
        for _ in range(10_000):
            if not left:
                break
            for number in tuple(left):
                # Each takes a piece, in its turn; none takes two.
                reading = readings[number]
                assert reading is not None
                if not reading.called:
                    continue
                piece = self.successResultOf(reading)
                if piece is None:
                    left.discard(number)
                    bodies[number].close()
                    continue
                data = bytes_of(piece)
                self.assertEqual(data, content(number, got[number], len(data)))
                got[number] += len(data)
                readings[number] = bodies[number].read()
            most = max(most, self.outstanding(cache))
            self.assertLessEqual(cache.loads.memory.used, self.BOUND)
            self.clock.advance(0.1)
        self.assertEqual(left, set())
        self.assertEqual(got, [3 * PAGE] * self.READERS)
        self.assertEqual(cache.loads.memory.used, 0)
        self.assertEqual(cache.loads.memory.waiting, 0)
        self.assertEqual([source.open for source in sources], [0] * self.READERS)
        return most

    def test_no_store_takes_pages(self) -> None:
        """
        256 slow readers of as many cold objects all get on, in bounded memory, even
        when no page can be kept.
        """
        most = self.crowd(NoStore())
        window = 2 * 64 * K
        self.assertLessEqual(most, self.BOUND + self.READERS * window)
        # As much as would be there without a bound: the test can fail.
        self.assertLess(self.BOUND + self.READERS * window, self.READERS * PAGE)

    def test_stalled_reader(self) -> None:
        """Readers that have stopped reading do not keep the others from it."""
        cache = self.cache(NoStore(), load_memory=2 * PAGE)
        stalled = [self.body(cache, ReadySource(PAGE, seed=seed)) for seed in range(2)]
        for body in stalled:
            self.successResultOf(body.read())
        self.assertEqual(cache.loads.memory.used, 2 * PAGE)
        source = ReadySource(3 * PAGE, seed=9)
        body = self.body(cache, source)
        got = b""
        for _ in range(100):
            reading = body.read()
            if not reading.called:
                self.clock.advance(1)
            piece = self.successResultOf(reading)
            if piece is None:
                break
            got += bytes_of(piece)
        self.assertEqual(got, content(9, 0, 3 * PAGE))
        body.close()
        for other in stalled:
            other.close()
        self.assertEqual(cache.loads.memory.used, 0)

    def test_waits_for_memory_that_comes_back(self) -> None:
        """A load that finds no memory waits a little, and its page is kept after all."""
        cache = self.cache(load_memory=PAGE)
        first, second = ScriptedSource(PAGE, seed=1), ScriptedSource(PAGE, seed=2)
        one, two = self.body(cache, first), self.body(cache, second)
        self.begin(one)
        first.reads[0].deliver(10 * K)
        reading = two.read()
        second.reads[0].deliver(64 * K)
        self.assertEqual(bytes_of(self.successResultOf(reading)), content(2, 0, 64 * K))
        second.reads[0].deliver(64 * K)
        self.assertFalse(second.reads[0].wanted)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        first.reads[0].deliver_all()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        second.reads[0].deliver_all()
        self.assertEqual(self.body(cache, second).cache, "HIT")
        self.assertEqual(self.rest(two), content(2, 64 * K, PAGE - 64 * K))
        one.close()

    def test_falls_behind(self) -> None:
        """
        Who falls behind on a page that is only passed on gets the rest by a load of
        its own.
        """
        cache = self.cache(NoStore(), load_memory=PAGE)
        blocker = self.body(cache, ScriptedSource(PAGE, seed=8))
        self.begin(blocker)
        source = ReadySource(PAGE, seed=1)
        fast, slow = self.body(cache, source), self.body(cache, source)
        first = bytes_of(self.successResultOf(fast.read()))
        late = bytes_of(self.successResultOf(slow.read()))
        self.clock.advance(1)
        while len(first) < PAGE:
            reading = fast.read()
            self.clock.advance(1)
            first += bytes_of(self.successResultOf(reading))
        self.assertEqual(first, content(1, 0, PAGE))
        while len(late) < PAGE:
            reading = slow.read()
            self.clock.advance(1)
            late += bytes_of(self.successResultOf(reading))
        self.assertEqual(late, content(1, 0, PAGE))
        self.assertEqual(len(source.spans), 2)
        for body in (fast, slow, blocker):
            body.close()
        self.assertEqual(cache.loads.memory.used, 0)


class ReadAheadTests(PipelineCase):
    def test_sequential_requests(self) -> None:
        """Requests that follow each other have their next pages loaded before."""
        cache, source = self.cache(read_ahead=16), ReadySource(100 * PAGE)
        verdicts = []
        for number in range(60):
            body = self.body(cache, source, number * PAGE, PAGE)
            verdicts.append(body.cache)
            self.assertEqual(self.rest(body), content(0, number * PAGE, PAGE))
        self.assertEqual(verdicts[:2], ["MISS", "MISS"])
        self.assertEqual(set(verdicts[4:]), {"HIT"})
        # In ever larger reads, and never more than sixteen pages ahead.
        self.assertGreaterEqual(max(span.length for span in source.spans), 8 * PAGE)
        self.assertLessEqual(source.delivered, (60 + 16) * PAGE)
        stats = cache.stats
        self.assertGreaterEqual(stats.readahead_pages, 57)
        self.assertGreaterEqual(stats.readahead_used, 55)

    def test_small_sequential_requests(self) -> None:
        """So do small ones, most of which are answered at a glance."""
        cache, source = self.cache(read_ahead=16), ReadySource(40 * PAGE)
        name, missed = self.id_of(source), 0
        for offset in range(0, 30 * PAGE, 32 * K):
            span = Span(offset, 32 * K)
            data = cache.glance(name, source.size, span)
            if data is None:
                missed += 1
                data = self.read(cache, source, offset, 32 * K)
            self.assertEqual(data, content(0, offset, 32 * K))
        self.assertLess(missed, 8)

    def test_random_requests(self) -> None:
        """Requests that jump about load their own pages and nothing else."""
        cache, source = self.cache(read_ahead=16), ReadySource(1000 * PAGE)
        for number in range(200):
            self.read(cache, source, number * 7919 % 1000 * PAGE + 5, 1000)
        self.assertEqual(source.delivered, 200 * PAGE)
        self.assertEqual(cache.stats.readahead_pages, 0)

    def test_whole_objects(self) -> None:
        """A request for a whole object is no stream."""
        cache = self.cache(read_ahead=16)
        for seed in range(20):
            self.read(cache, ReadySource(PAGE, seed=seed))
        self.assertEqual(cache.stats.readahead_pages, 0)

    def test_long_body(self) -> None:
        """A long read has its next pages loaded before the client gets there."""
        cache, source = self.cache(read_ahead=16), ScriptedSource(8 * PAGE)
        body = self.body(cache, source)
        self.begin(body)
        source.reads[0].deliver_all()
        self.assertEqual(source.reads[0].position, 3 * PAGE)
        body.close()

    def test_stopped_with_its_reader(self) -> None:
        """What is loaded ahead for a long read stops when its client goes."""
        cache, source = self.cache(read_ahead=16), ScriptedSource(8 * PAGE)
        body = self.body(cache, source)
        self.begin(body)
        source.reads[0].deliver(PAGE + 10 * K)
        body.close()
        self.assertTrue(source.reads[0].cancelled)
        self.assertEqual(cache.loads.memory.used, 0)

    def test_gives_way(self) -> None:
        """While memory is short nothing is read ahead."""
        cache = self.cache(read_ahead=16, load_memory=2 * PAGE)
        busy = self.body(cache, ScriptedSource(PAGE, seed=5))
        self.begin(busy)
        again = self.body(cache, ScriptedSource(PAGE, seed=6))
        self.begin(again)
        source = ReadySource(50 * PAGE, piece=PAGE)
        for number in range(6):
            self.body(cache, source, number * PAGE, PAGE).close()
        self.assertEqual(cache.stats.readahead_pages, 0)
        busy.close()
        again.close()


class TieredTests(PipelineCase):
    def test_small_objects_rise(self) -> None:
        """A small object found on disk after a restart is in RAM the next time."""
        disk, memory = self.disk(), MemoryStore(1 << 20)
        source = ReadySource(4 * K)
        self.read(self.cache(disk), source)
        tiers = Tiers([Level(memory, 64 * K), Level(disk, 0)], NoThreads())
        cache = self.cache(tiers)
        key = PageKey(self.id_of(source), 0)
        self.assertFalse(memory.holds(key))
        for _ in range(2):
            self.assertEqual(
                cache.glance(key.object, 4 * K, Span(0, 4 * K)), content(0, 0, 4 * K)
            )
        self.assertTrue(memory.holds(key))
        self.assertEqual(cache.stats.disk_bytes, 4 * K)
        self.assertEqual(cache.stats.memory_bytes, 4 * K)

    def test_long_pages_stay_below(self) -> None:
        """A long page stays on disk, from where it leaves by sendfile."""
        disk, memory = self.disk(), MemoryStore(1 << 20)
        tiers = Tiers([Level(memory, 64 * K), Level(disk, 0)], NoThreads())
        cache, source = self.cache(tiers), ReadySource(PAGE)
        for _ in range(3):
            self.read(cache, source)
        self.assertEqual(memory.usage()[0].pages, 0)
        body = self.body(cache, source)
        self.assertIsInstance(self.successResultOf(body.read()), FileSpan)
        body.close()

    def test_long_pages_rise_in_a_thread(self) -> None:
        """Where a level takes long pages, they are copied to it in a thread."""
        threads, disk, above = HeldThreads(), self.disk(), self.disk()
        tiers = Tiers([Level(above, PAGE), Level(disk, 0)], threads)
        cache, source = self.cache(tiers), ReadySource(PAGE)
        self.read(cache, source)
        self.assertEqual(above.usage()[0].pages, 0)
        self.read(cache, source)
        threads.release_all()
        self.assertEqual(above.usage()[0].pages, 1)
        self.assertEqual(self.read(cache, source), content(0, 0, PAGE))

    def test_broken_disk(self) -> None:
        """When the level below is broken, what RAM takes is kept there."""
        blocked = self.mktemp()
        with open(blocked, "wb"):
            pass
        disk = DiskStore(blocked, 1 << 20, PAGE, NoThreads(), self.clock)
        self.successResultOf(disk.start())
        memory = MemoryStore(4 << 20)
        cache = self.cache(Tiers([Level(memory, PAGE), Level(disk, 0)], NoThreads()))
        source = ReadySource(2 * PAGE)
        self.read(cache, source)
        self.assertEqual(self.body(cache, source).cache, "HIT")
        self.assertEqual(self.read(cache, source), content(0, 0, 2 * PAGE))
        self.assertEqual(len(source.spans), 1)


class AnyOrderTests(PipelineCase):
    @settings(max_examples=250, deadline=None)
    @given(st.data())
    def test_any_order(self, data: st.DataObject) -> None:
        """
        Whoever reads, leaves, delivers or fails, in whatever order: bytes are
        right, and in the end nothing is held.
        """
        draw = data.draw
        memory = draw(st.sampled_from([PAGE, 2 * PAGE, 64 << 20]))
        store = MemoryStore(draw(st.sampled_from([0, 2 * PAGE, 64 << 20])))
        cache = self.cache(
            store,
            load_memory=memory,
            read_ahead=draw(st.sampled_from([0, 4])),
            most_pages=draw(st.sampled_from([1, 3, 16])),
        )
        sources = [ScriptedSource(4 * PAGE - 7, seed=seed) for seed in range(2)]
        open_bodies: list[tuple[CachedBody, ScriptedSource]] = []
        readings: dict[CachedBody, Deferred[Piece | None]] = {}
        at: dict[CachedBody, int] = {}

        def take(body: CachedBody, source: ScriptedSource) -> None:
            reading = readings.get(body)
            if reading is None or not reading.called:
                return
            del readings[body]
            result = getattr(reading, "result", None)
            if isinstance(result, Failure):
                reading.addErrback(lambda failure: None)
                return
            if result is None:
                self.assertEqual(at[body], body.position)
                return
            got = bytes_of(result)
            self.assertTrue(got)
            self.assertEqual(got, content(source.seed, at[body], len(got)))
            at[body] += len(got)

        for _ in range(draw(st.integers(5, 60))):
            deed = draw(st.sampled_from("oorrrrrrcddddddddfet"))
            if deed == "o" and len(open_bodies) < 6:
                source = draw(st.sampled_from(sources))
                offset = draw(st.integers(0, source.size - 1))
                length = draw(st.integers(1, source.size - offset))
                body = self.body(cache, source, offset, length)
                at[body] = offset
                open_bodies.append((body, source))
            elif deed in "rc" and open_bodies:
                body, source = draw(st.sampled_from(open_bodies))
                if deed == "c":
                    body.close()
                    open_bodies.remove((body, source))
                    if body in readings:
                        readings.pop(body).addErrback(lambda failure: None)
                elif body not in readings:
                    readings[body] = body.read()
            elif deed in "dfe":
                asked = [
                    scripted
                    for source in sources
                    for scripted in source.reads
                    if scripted.wanted
                ]
                if asked:
                    scripted = draw(st.sampled_from(asked))
                    if deed == "d":
                        left = scripted.span.end - scripted.position
                        if left:
                            scripted.deliver(
                                min(
                                    left,
                                    draw(st.sampled_from([1, 5000, PAGE, 3 * PAGE])),
                                )
                            )
                        else:
                            scripted.end()
                    elif deed == "f":
                        scripted.fail(StorageUnavailable())
                    else:
                        scripted.end()
            elif deed == "t":
                self.clock.advance(0.6)
            for body, source in open_bodies:
                take(body, source)
        for body, _ in open_bodies:
            body.close()
            if body in readings:
                readings.pop(body).addErrback(lambda failure: None)
        # Pages that are nearly done, or were wanted, may still be under way.
        for _ in range(200):
            asked = [
                scripted
                for source in sources
                for scripted in source.reads
                if scripted.wanted
            ]
            for scripted in asked:
                scripted.deliver_all()
            self.clock.advance(1)
            if not asked:
                break
        self.assertEqual(cache.loads.runs, set())
        self.assertEqual(cache.loads.flights, {})
        self.assertEqual(cache.loads.memory.used, 0)
        self.assertEqual(cache.loads.memory.waiting, 0)
        for source in sources:
            self.assertEqual(
                [scripted.closes for scripted in source.reads], [1] * len(source.reads)
            )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for entry in store._pages.values():
            self.assertEqual(entry.leases, 0)
        for source in sources:
            for number in range(4):
                page = store.glance(PageKey(self.id_of(source), number))
                if page is not None:
                    self.assertEqual(
                        bytes(bytes_of(page.piece(Span(0, page.length)))),
                        content(source.seed, number * PAGE, page.length),
                    )
                    page.release()


class LateStore(MemoryStore):
    """
    A store whose answers the test gives.
    """

    def __init__(self) -> None:
        super().__init__(64 << 20)
        self.asked: list[tuple[PageKey, Deferred[IPage | None]]] = []

    def get(self, key: PageKey) -> Deferred[IPage | None]:
        answer: Deferred[IPage | None] = Deferred()
        self.asked.append((key, answer))
        return answer

    def holds(self, key: PageKey) -> bool:
        return False


class SlowStoreTests(PipelineCase):
    def test_look_again(self) -> None:
        """Two who find nothing in a slow store still load once."""
        store = LateStore()
        cache, source = self.cache(store), ReadySource(PAGE)
        bodies = [self.body(cache, source) for _ in range(3)]
        readings = [body.read() for body in bodies]
        for _, answer in store.asked:
            answer.callback(None)
        for reading, body in zip(readings, bodies, strict=True):
            got = bytes_of(self.successResultOf(reading)) + self.rest(body)
            self.assertEqual(got, content(0, 0, PAGE))
        self.assertEqual(len(source.spans), 1)

    def test_left_while_asking(self) -> None:
        """Who leaves while the store is asked starts no load."""
        store = LateStore()
        cache, source = self.cache(store), ReadySource(PAGE)
        body = self.body(cache, source)
        reading = body.read()
        body.close()
        self.failureResultOf(reading, CancelledError)
        self.assertEqual(source.spans, [])


class RealThreadsTests(TestCase):
    async def test_cold_warm_restarted(self) -> None:
        """With real files and real threads: cold, warm, and warm after a restart."""
        core = IReactorCore(reactor)
        pool = ThreadPool(1, 4)
        pool.start()
        self.addCleanup(pool.stop)
        threads = PooledThreads(IReactorFromThreads(core), pool)
        folder, stats = self.mktemp(), CacheStats()
        name = object_id("m", "p", "v")
        size = 20 * PAGE + 333
        for life in range(2):
            store = DiskStore(
                folder, 64 << 20, PAGE, threads, IReactorTime(core), stats=stats
            )
            await store.start()
            cache = PageCache(store, PAGE, IReactorTime(core), threads, stats=stats)
            source = ReadySource(size)
            bodies = [cache.body(name, source, Span(0, size)) for _ in range(3)]
            for body in bodies:
                offset = 0
                while (piece := await body.read()) is not None:
                    data = bytes_of(piece)
                    self.assertEqual(data, content(0, offset, len(data)))
                    offset += len(data)
                self.assertEqual(offset, size)
                body.close()
            self.assertEqual(len(source.spans) > 0, life == 0)
            await cache.close()
        self.assertEqual(stats.loaded_bytes, size)
        self.assertEqual(stats.verify_failures, 0)
