"""
Bytes of an object out of pages: from the store what is there, from loads the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, succeed
from zope.interface import implementer

from alluxio_tw.cache.flight import PageFlight
from alluxio_tw.cache.loading import Loads, Run
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.ipages import IPage, IPageSource, PageKey
from alluxio_tw.spans import Span, page_length

if TYPE_CHECKING:
    from alluxio_tw.cache.readahead import ReadAhead

# A piece in RAM waits in front of its client's socket, and is no longer anybody
# else's memory: with many clients, long ones would be much.
_LONGEST_PIECE = 64 * 1024
# While there are few, a quarter of a page may: fewer turns for the same bytes.
_FEW = 16
# Bytes a second below which a read of a source is slow, and others beside it help:
# many storages limit each connection to a tenth of a gigabyte.
_SLOW = 200e6
_FIRST_WINDOW = 2


@implementer(IBody)
class CachedBody:
    """
    A span of one version of an object.

    A piece that is a L{FileSpan} is good until the pieces of the next page but
    one are asked for, or until L{close}: whoever sends one piece while it reads
    the next is safe, and a body of a terabyte does not hold a million files open.

    :ivar cache: C{HIT} if every page was known to be there when it was made,
        C{MISS} if none was, else C{PARTIAL}.
    :ivar position: the offset in the object of the byte to be read next.
    """

    __slots__ = (
        "_ahead",
        "_ahead_to",
        "_begin",
        "_closed",
        "_end",
        "_flight",
        "_last",
        "_loads",
        "_number",
        "_object",
        "_page",
        "_previous",
        "_reading",
        "_runs",
        "_source",
        "_stride",
        "_widened",
        "_widest",
        "_window",
        "cache",
        "length",
        "position",
    )

    def __init__(
        self,
        loads: Loads,
        ahead: ReadAhead,
        object_id: bytes,
        source: IPageSource,
        span: Span,
        cache: str,
        window: int,
    ) -> None:
        """
        :param window: how many pages may be read ahead at most; nought for none.
        """
        self.length: int | None = span.length
        self.cache = cache
        self.position = span.offset
        self._loads = loads
        self._ahead = ahead
        self._object = object_id
        self._source = source
        self._end = span.end
        self._last = (span.end - 1) // loads.page_size
        self._number = -1
        self._page: IPage | None = None
        self._previous: IPage | None = None
        self._flight: PageFlight | None = None
        self._runs: set[Run] = set()
        # All there: nothing to load ahead.
        self._window = 0 if cache == "HIT" else min(_FIRST_WINDOW, window)
        self._widest = 0 if cache == "HIT" else window
        self._widened = -1
        self._begin = span.offset
        self._ahead_to = -1
        # How many pages one read of the source is to have; nought as many as it may.
        self._stride = 0
        self._reading: Deferred[Piece | None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at {self.position} of {self._end}"
        return f"<CachedBody {self.cache}: {state}>"

    def read(self) -> Deferred[Piece | None]:
        if self._closed or self.position >= self._end:
            return succeed(None)
        try:
            piece = self._ready()
        except Exception:
            # Let the coroutine below raise it, as a Deferred should.
            piece = None
        if piece is not None:
            return succeed(piece)
        self._reading = reading = Deferred.fromCoroutine(self._fetch())
        return reading

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._reading is not None and not self._reading.called:
            self._reading.cancel()
        self._reading = None
        self._disembark()
        for page in (self._page, self._previous):
            if page is not None:
                page.release()
        self._page = self._previous = None

    def landed(self, flight: PageFlight, page: IPage) -> None:
        """The page under way is in a store now: go on from there."""
        if self._closed or flight is not self._flight:
            page.release()
            return
        self._flight = None
        self._page = page

    # --- one piece

    def _ready(self) -> Piece | None:
        """The next piece, if it is here."""
        loads = self._loads
        size = loads.page_size
        number, start = divmod(self.position, size)
        if number != self._number:
            self._enter(number)
        stop = min(self._end - number * size, size)
        page = self._page
        if page is None:
            flight = self._flight
            if flight is not None:
                longest = _LONGEST_PIECE
                if len(loads.runs) <= _FEW:
                    longest = max(longest, size >> 2)
                arrived = flight.piece(start, min(stop, start + longest))
                if arrived is not None:
                    loads.stats.load_bytes += len(arrived)
                    self._advance(len(arrived))
                    if flight.passing:
                        flight.run.kick()
                    return arrived
                if flight.failure is not None:
                    raise flight.failure
                if start >= flight.base:
                    return None
                # Fell behind a page that is not kept.
                self._leave_flight()
            found = loads.store.glance(PageKey(self._object, number))
            if found is None or not self._hold(found, number):
                return None
            page = found
        piece = page.piece(Span(start, stop - start))
        if isinstance(piece, FileSpan):
            loads.stats.disk_bytes += piece.length
            self._advance(piece.length)
            return piece
        if len(piece) > _LONGEST_PIECE:
            piece = memoryview(piece)[:_LONGEST_PIECE]
        loads.stats.memory_bytes += len(piece)
        self._advance(len(piece))
        return piece

    async def _fetch(self) -> Piece | None:
        try:
            while True:
                piece = self._ready()
                if piece is not None:
                    return piece
                if self._flight is None:
                    await self._find()
                else:
                    self._widen()
                    await self._flight.news()
        except CancelledError:
            self._reading = None
            self.close()
            raise

    async def _find(self) -> None:
        """Find the page, or load it."""
        loads = self._loads
        number = self._number
        key = PageKey(self._object, number)
        if self._join(key):
            return
        page = await loads.store.get(key)
        if page is None and not self._join(key):
            # Look again: while we asked, it may have been loaded and kept.
            page = loads.store.glance(key)
            if page is None:
                run = self._plan(number)
                self._board(run.flights[0])
                run.go()
                return
        if page is not None:
            self._hold(page, number)

    def _join(self, key: PageKey) -> bool:
        flight = self._loads.flights.get(key)
        if flight is None or self.position - flight.start < flight.base:
            return False
        if flight.run not in self._runs:
            self._loads.stats.coalesced += 1
        self._board(flight)
        return True

    # --- from page to page

    def _enter(self, number: int) -> None:
        self._leave_flight()
        if self._previous is not None:
            self._previous.release()
        self._previous, self._page = self._page, None
        self._number = number
        if not self._stride and self._runs:
            for run in self._runs:
                if not run.ended and run.flights[0].number < number <= run.last:
                    self._spread(run)
                    break
        for run in [run for run in self._runs if run.last < number]:
            self._runs.discard(run)
            run.leave(self)
        marks = self._ahead.marks
        if marks:
            key = PageKey(self._object, number)
            if key in marks:
                self._ahead.used(key)

    def _hold(self, page: IPage, number: int) -> bool:
        loads = self._loads
        if page.length != page_length(
            number, loads.page_size, self._source.status.size
        ):
            # Not what the object's size says: no page of ours.
            page.release()
            loads.store.forget(PageKey(self._object, number))
            return False
        self._page = page
        if self._window:
            self._look_ahead(number)
        return True

    def _board(self, flight: PageFlight) -> None:
        self._flight = flight
        flight.board(self)
        self._runs.add(flight.run)
        flight.run.want(self, flight.number)
        # Whoever waits for this page makes its claim on memory urgent.
        flight.run.kick()
        if self._window:
            self._look_ahead(flight.number)

    def _look_ahead(self, number: int) -> None:
        loads = self._loads
        if self._stride and loads.memory.waiting:
            # As much is under way as there is memory for.
            return
        last = min(number + self._window, self._last)
        for ahead in range(max(number, self._ahead_to) + 1, last + 1):
            self._ahead_to = ahead
            key = PageKey(self._object, ahead)
            flight = loads.flights.get(key)
            if flight is not None:
                self._runs.add(flight.run)
                flight.run.want(self, ahead)
            elif not loads.holds(key):
                run = self._plan(ahead)
                self._runs.add(run)
                run.want(self, ahead)
                run.go()

    def _plan(self, number: int) -> Run:
        last = self._last
        if self._stride:
            last = min(last, number + self._stride - 1)
        return self._loads.plan(self._object, self._source, number, last)

    def _spread(self, run: Run) -> None:
        """
        Read the source side by side, if one read alone is slow.

        What is so under way at a time is as much as may be loaded ahead, by the
        memory for loads and by the window.
        """
        loads = self._loads
        parallel = self._source.parallel
        if parallel <= 1 or self._stride or self._last - self._number < 2:
            return
        pace = run.pace
        if pace is None or pace >= _SLOW:
            return
        most = min(self._widest, loads.memory.capacity // 2 // loads.page_size)
        streams = min(parallel, most)
        if streams <= 1:
            return
        self._stride = max(1, most // streams)
        self._window = streams * self._stride
        run.cut(self._number + self._stride - 1)
        self._ahead_to = min(self._ahead_to, run.last)

    def _widen(self) -> None:
        """The client is faster than the load: look further ahead."""
        if (
            self._widest > self._window
            and not self._stride
            and self._widened != self._number
            and self.position > self._begin
            and not self.position % self._loads.page_size
        ):
            self._widened = self._number
            self._window = min(self._widest, self._window * 2)

    def _advance(self, length: int) -> None:
        self.position += length
        if self.position >= self._end:
            flight = self._flight
            if flight is not None and not flight.whole:
                flight.run.finish(flight.number)
            self._disembark()

    def _leave_flight(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.leave(self)

    def _disembark(self) -> None:
        self._leave_flight()
        while self._runs:
            self._runs.pop().leave(self)
