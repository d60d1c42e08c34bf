"""
Large objects of slow sources are read side by side.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import Status
from alluxio_tw.ipages import IPageSource
from alluxio_tw.spans import Span
from tests.cache.sources import content
from tests.cache.test_pipeline import PAGE, PipelineCase, bytes_of

PIECE = 64 << 10
MB = 1e6


@implementer(IPageSource)
@attrs.define(eq=False)
class PacedSource:
    """
    An object of which each read gives so many bytes a second.

    :ivar fails_at: the read that comes to this offset fails.
    :ivar open: how many bodies are.
    :ivar most: how many there were at a time.
    """

    clock: Clock
    size: int
    rate: float
    parallel: int = 8
    seed: int = 0
    fails_at: int = -1
    open: int = 0
    most: int = 0
    spans: list[Span] = attrs.field(factory=list)
    status: Status = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.status = Status(self.size, f"v{self.seed}", f"e{self.seed}", 0)

    def read(self, span: Span) -> Deferred[IBody]:
        self.spans.append(span)
        self.open += 1
        self.most = max(self.most, self.open)
        return succeed(PacedBody(self, span.offset, span.end))


@implementer(IBody)
@attrs.define(eq=False)
class PacedBody:
    """
    A read of it.
    """

    source: PacedSource
    position: int
    end: int
    length: int | None = attrs.field(init=False)
    closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.length = self.end - self.position

    def read(self) -> Deferred[Piece | None]:
        assert not self.closed
        count = min(PIECE, self.end - self.position)
        if not count:
            return succeed(None)
        reading: Deferred[Piece | None] = Deferred(lambda _: call.cancel())
        call = self.source.clock.callLater(count / self.source.rate, self.give, reading)
        return reading

    def give(self, reading: Deferred[Piece | None]) -> None:
        at = self.position
        self.position += min(PIECE, self.end - at)
        if at <= self.source.fails_at < self.position:
            reading.errback(Failure(StorageUnavailable()))
        else:
            reading.callback(content(self.source.seed, at, self.position - at))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.source.open -= 1


def stretch(seed: int, offset: int, length: int) -> bytes:
    """As L{content}, of any length."""
    begin = (offset + seed) % 251
    return (bytes(range(251)) * (length // 251 + 2))[begin : begin + length]


class ParallelTests(PipelineCase):
    def source(
        self,
        pages: int = 64,
        rate: float = 40 * MB,
        parallel: int = 8,
        seed: int = 0,
        fails_at: int = -1,
    ) -> PacedSource:
        return PacedSource(self.clock, pages * PAGE, rate, parallel, seed, fails_at)

    def get(self, cache: PageCache, source: PacedSource, pages: int = -1) -> bytes:
        """Read as fast as it comes; so many pages, or all."""
        body = self.body(cache, source)
        got: list[bytes] = []
        left = source.size if pages < 0 else pages * PAGE
        while left:
            reading = body.read()
            while not reading.called:
                self.clock.advance(PIECE / source.rate)
                self.assertLessEqual(cache.loads.memory.used, self.bound)
            piece = bytes_of(self.successResultOf(reading))
            got.append(piece)
            left -= len(piece)
        body.close()
        return b"".join(got)

    bound = 16 * PAGE

    def cache_of(self, pages: int = 16, read_ahead: int = 16) -> PageCache:
        self.bound = pages * PAGE
        return self.cache(load_memory=self.bound, read_ahead=read_ahead)

    def test_slow(self) -> None:
        """A slow source is read side by side, and all its bytes are in order."""
        cache, source = self.cache_of(), self.source()
        self.assertTrue(self.get(cache, source) == stretch(0, 0, source.size))
        self.assertGreater(source.most, 4)
        self.assertLessEqual(source.most, 8 + 1)
        # Not in a quarter of the time that one read takes.
        self.assertLess(self.clock.seconds(), source.size / source.rate / 4)
        self.assertEqual((source.open, cache.loads.memory.used), (0, 0))
        # Nothing was asked for twice, but for what had been on its way.
        asked = sum(span.length for span in source.spans)
        self.assertLessEqual(asked, source.size + 16 * PAGE)

    def test_fast(self) -> None:
        """A fast source is read one after another."""
        cache, source = self.cache_of(), self.source(rate=1000 * MB)
        self.assertTrue(self.get(cache, source) == stretch(0, 0, source.size))
        self.assertEqual(len(source.spans), 4)
        self.assertLessEqual(source.most, 2)

    def test_not_wanted(self) -> None:
        """Where one is as good as many, it is one."""
        cache, source = self.cache_of(), self.source(parallel=1)
        self.assertTrue(self.get(cache, source) == stretch(0, 0, source.size))
        self.assertEqual(len(source.spans), 4)

    def test_without_read_ahead(self) -> None:
        """Who has forbidden to read ahead has forbidden this."""
        cache, source = self.cache_of(read_ahead=0), self.source()
        self.assertTrue(self.get(cache, source) == stretch(0, 0, source.size))
        self.assertEqual(source.most, 1)

    def test_little_memory(self) -> None:
        """With little memory, less is read at a time."""
        cache, source = self.cache_of(pages=6), self.source()
        self.assertTrue(self.get(cache, source) == stretch(0, 0, source.size))
        self.assertGreater(source.most, 1)
        self.assertLessEqual(source.most, 4)

    def test_many_readers(self) -> None:
        """Many readers share the memory that there is, and all get on."""
        cache = self.cache_of(pages=8)
        sources = [self.source(12, seed=seed) for seed in range(12)]
        bodies = [self.body(cache, source) for source in sources]
        got = [0] * len(bodies)
        left = set(range(len(bodies)))
        readings = [body.read() for body in bodies]
        while left:
            self.clock.advance(1e-3)
            self.assertLessEqual(cache.loads.memory.used, self.bound)
            for number in tuple(left):
                if not readings[number].called:
                    continue
                piece = self.successResultOf(readings[number])
                if piece is None:
                    bodies[number].close()
                    left.discard(number)
                    continue
                data = bytes_of(piece)
                self.assertTrue(data == content(number, got[number], len(data)))
                got[number] += len(data)
                readings[number] = bodies[number].read()
            # Of what waits for memory, each holds a connection.
            self.assertLess(sum(source.open for source in sources), 3 * 12)
        self.assertEqual(got, [12 * PAGE] * 12)
        self.assertEqual(cache.loads.memory.used, 0)

    def test_given_up(self) -> None:
        """Who leaves in the middle leaves nothing open."""
        cache, source = self.cache_of(), self.source()
        self.get(cache, source, 10)
        self.clock.pump([0.01] * 200)
        self.assertEqual((source.open, cache.loads.memory.used), (0, 0))
        self.assertEqual(cache.loads.flights, {})
        # And what was loaded is there.
        self.assertEqual(self.body(cache, source, 0, 10 * PAGE).cache, "HIT")

    def test_one_fails(self) -> None:
        """A read that fails is told where its bytes would be, and not before."""
        cache, source = self.cache_of(), self.source(fails_at=20 * PAGE + 5)
        body = self.body(cache, source)
        got = 0
        while True:
            reading = body.read()
            while not reading.called:
                self.clock.advance(1e-3)
            if isinstance(reading.result, Failure):
                self.failureResultOf(reading, StorageUnavailable)
                break
            got += len(bytes_of(self.successResultOf(reading)))
        body.close()
        self.assertEqual(got, 20 * PAGE)
        self.clock.pump([0.01] * 200)
        self.assertEqual((source.open, cache.loads.memory.used), (0, 0))

    def test_two_readers(self) -> None:
        """What another waits for is not taken from it when a read is cut short."""
        cache, source = self.cache_of(), self.source()
        far = self.body(cache, source, 10 * PAGE)
        first = self.body(cache, source)
        waiting = self.begin(first)
        other = far.read()
        got = [b"", b""]
        while len(got[0]) < 20 * PAGE or len(got[1]) < 20 * PAGE:
            self.clock.advance(1e-3)
            if waiting.called:
                got[0] += bytes_of(self.successResultOf(waiting))
                waiting = self.begin(first)
            if other.called:
                got[1] += bytes_of(self.successResultOf(other))
                other = self.begin(far)
        first.close()
        far.close()
        self.assertTrue(got[0] == stretch(0, 0, len(got[0])))
        self.assertTrue(got[1] == stretch(0, 10 * PAGE, len(got[1])))
        self.clock.pump([0.01] * 200)
        self.assertEqual((source.open, cache.loads.memory.used), (0, 0))
