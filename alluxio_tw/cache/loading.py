"""
Loads: contiguous pages read from a source in one request, for all who want them.

A I{run} reads some pages in a row and feeds one L{PageFlight} for each; whoever
needs one of these pages meanwhile boards its flight.  How far a run may go:

  - to the end of the page it is in, as fast as the source gives, and no matter
    how slow its readers are.  Then a store takes the page and the memory is free
    again; the readers go on from the store.  So memory is held for as long as
    the I{source} needs for a page, not the client, and what is held always
    comes back;
  - into the next page, when a reader gets there or wants it read ahead.

Before it gathers a page a run claims the page's memory (L{LoadMemory}); until it
has it, it holds no more than a window of 64 KiB.  If the claim is not met
within half a second, because what is held is held by sources that stall, or
by readers of pages that no store would take, then the page is only I{passed
on}: what the fastest reader has taken is let go, and the source is read as fast
as that reader takes it.  The page is not kept, and who falls behind loads it anew.
Nobody waits for memory for longer than that, so nothing can lock up; the sum is
bounded by the load memory, and a window and one piece of the source for each
run.

Where a source gives slowly and more of it can be had side by side
(C{IPageSource.parallel}), its reader has a run cut short and others begun beyond it
(L{alluxio_tw.cache.reader}).

Not chosen: growing claims piece by piece.  Many half pages then hold all
the memory, and none can be finished.

A run that nobody wants any more is stopped, save for the page it is in when that
page was wanted by someone who has already got what he needed of it, or when half
of it is here.

Beyond 400 lines: a load's states are not to be read apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.cache.flight import PageFlight, Passenger
from alluxio_tw.cache.loadmemory import Claim, LoadMemory
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import ObjectChanged, StorageUnavailable
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.ipages import IPage, IPageSource, IPageStore, PageKey
from alluxio_tw.spans import Span, page_length
from alluxio_tw.threads import IThreads

T = TypeVar("T")

WINDOW = 64 * 1024
PATIENCE = 0.5
_FILE_SLICE = 256 * 1024

_log = Logger()


class _Stopped(Exception):
    """Nobody wants the rest."""


@attrs.define(eq=False)
class Loads:
    """
    Every load of a page cache, by page.

    :ivar flights: the pages that can be boarded.
    :ivar most_pages: how many pages one read of a source may span.
    """

    store: IPageStore
    holds: Callable[[PageKey], bool]
    page_size: int
    memory: LoadMemory
    clock: IReactorTime
    threads: IThreads
    stats: CacheStats
    most_pages: int = 16
    flights: dict[PageKey, PageFlight] = attrs.field(factory=dict, init=False)
    runs: set[Run] = attrs.field(factory=set, init=False)

    def plan(self, object_id: bytes, source: IPageSource, first: int, last: int) -> Run:
        """
        A run from page C{first} on, which is neither in the store nor in the
        air, over what else is missing in a row, up to page C{last} at most.

        It takes off with L{Run.go}.
        """
        beyond = first + 1
        while beyond <= last and beyond - first < self.most_pages:
            key = PageKey(object_id, beyond)
            if key in self.flights or self.holds(key):
                break
            beyond += 1
        run = Run(self, source)
        size = source.status.size
        for number in range(first, beyond):
            flight = PageFlight(
                PageKey(object_id, number),
                number * self.page_size,
                page_length(number, self.page_size, size),
                run,
            )
            run.flights.append(flight)
            self.flights[flight.key] = flight
        self.runs.add(run)
        return run

    def withdraw(self, flight: PageFlight) -> None:
        """Nobody else may board."""
        if self.flights.get(flight.key) is flight:
            del self.flights[flight.key]

    def land(self, flight: PageFlight) -> None:
        """A page is whole: offer it to the store."""
        self.stats.loaded_pages += 1
        flight.landed = True
        self.store.put(flight.key, flight.join()).addBoth(self._landed, flight)

    def _landed(self, page: IPage | Failure | None, flight: PageFlight) -> None:
        flight.over = True
        if isinstance(page, Failure):
            _log.failure("Page store failed to take a page", page)
            page = None
        self.withdraw(flight)
        if page is None:
            self.stats.unkept_pages += 1
        else:
            self.stats.kept_pages += 1
            for reader in tuple(flight.readers):
                lease = self.store.glance(flight.key)
                if lease is not None:
                    flight.readers.discard(reader)
                    reader.landed(flight, lease)
            page.release()
        flight.settle()
        flight.tell()


@attrs.define(eq=False)
class Run:
    """
    One read of a source.

    :ivar flights: its pages, in order.
    :ivar readers: who has an interest, and up to which page.
    :ivar keep: up to this page it goes on even when there are no readers.
    :ivar ended: it has come to its end, good or bad.
    """

    loads: Loads
    source: IPageSource
    flights: list[PageFlight] = attrs.field(factory=list, init=False)
    readers: dict[Passenger, int] = attrs.field(factory=dict, init=False)
    keep: int = attrs.field(default=-1, init=False)
    ended: bool = attrs.field(default=False, init=False)
    _index: int = attrs.field(default=0, init=False)
    _body: IBody | None = attrs.field(default=None, init=False)
    _rest: bytes | memoryview | FileSpan | None = attrs.field(default=None, init=False)
    _pending: Deferred[object] | None = attrs.field(default=None, init=False)
    _wake: Deferred[None] | None = attrs.field(default=None, init=False)
    _stopped: bool = attrs.field(default=False, init=False)
    _cut: bool = attrs.field(default=False, init=False)
    _waited: float = attrs.field(default=0.0, init=False)
    _waited_for: int = attrs.field(default=0, init=False)
    _impatient: bool = attrs.field(default=False, init=False)

    def __repr__(self) -> str:
        first, last = self.flights[0].number, self.flights[-1].number
        state = "ended" if self.ended else f"in {self.flights[self._index].number}"
        return f"<Run {first}-{last}: {state}, {len(self.readers)} readers>"

    @property
    def last(self) -> int:
        """Its last page."""
        return self.flights[-1].number

    @property
    def pace(self) -> float | None:
        """
        Bytes a second that the source gives, while it is being waited for; L{None}
        if that cannot be said yet.
        """
        if self._waited_for < self.loads.page_size or not self._waited:
            return None
        return self._waited_for / self._waited

    # --- what readers say

    def want(self, reader: Passenger, number: int) -> None:
        """A reader wants the pages up to C{number}."""
        if not self.ended and self.readers.get(reader, -1) < number:
            self.readers[reader] = number
            self.kick()

    def finish(self, number: int) -> None:
        """Somebody got what he needed of a page: the rest is for the store."""
        self.keep = max(self.keep, number)

    def leave(self, reader: Passenger) -> None:
        """A reader has no interest any more."""
        self.readers.pop(reader, None)
        if self.readers or self.ended:
            self.kick()
            return
        flight = self.flights[self._index]
        if flight.number > self.keep:
            if (
                flight.claim is None
                or not flight.claim.granted
                or flight.received * 2 < flight.length
            ):
                self.stop()
                return
            self.keep = flight.number
        self.kick()

    def cut(self, last: int) -> None:
        """
        Leave the pages beyond C{last} to others, as far as nobody waits for them and
        they have not begun.
        """
        while (
            len(self.flights) > self._index + 1
            and self.flights[-1].number > last
            and not self.flights[-1].readers
        ):
            flight = self.flights.pop()
            flight.over = True
            self.loads.withdraw(flight)
            self._cut = True

    def kick(self) -> None:
        """Something changed that the run may be waiting for."""
        wake, self._wake = self._wake, None
        if wake is not None and not wake.called:
            wake.callback(None)

    def stop(self) -> None:
        """Give up what has not arrived."""
        if self._stopped or self.ended:
            return
        self._stopped = True
        for flight in self.flights[self._index :]:
            if not flight.landed:
                self.loads.withdraw(flight)
        if self._pending is not None:
            self._pending.cancel()
        else:
            self.kick()

    # --- the way of a run

    @deferred
    async def go(self) -> None:
        """Take off."""
        stats = self.loads.stats
        stats.loads += 1
        try:
            await self._fly()
        except _Stopped:
            self._end(None)
        except Exception as error:
            if self._stopped:
                self._end(None)
            else:
                stats.load_failures += 1
                self._end(error)
        else:
            self._end(None)

    async def _fly(self) -> None:
        first, final = self.flights[0], self.flights[-1]
        span = Span(first.start, final.start + final.length - first.start)
        opening = self.source.read(span)
        self._pending = opening  # type: ignore[assignment]
        try:
            self._body = body = await opening
        finally:
            self._pending = None
        self._check()
        if body.length is not None and body.length != span.length:
            raise ObjectChanged
        # It may be cut shorter on the way.
        while self._index < len(self.flights):
            flight = self.flights[self._index]
            await self._until_wanted(flight)
            await self._fill(flight)
            if flight is final:
                await self._until_end()
            if flight.passing:
                self.loads.stats.unkept_pages += 1
                flight.over = True
                flight.settle()
            else:
                self.loads.land(flight)
            if flight is self.flights[-1]:
                return
            self._index += 1

    def _end(self, error: BaseException | None) -> None:
        self.ended = True
        self.loads.runs.discard(self)
        self.readers.clear()
        self._rest = None
        body, self._body = self._body, None
        if body is not None:
            body.close()
        for flight in self.flights[self._index :]:
            if flight.landed:
                continue
            self.loads.withdraw(flight)
            flight.over = True
            if flight.claim is not None and not flight.claim.granted:
                flight.claim.give_back()
            if error is not None or not flight.whole:
                # Readers get what has arrived before they get this.
                flight.failure = error or StorageUnavailable()
            flight.settle()
            flight.tell()

    def _check(self) -> None:
        if self._stopped:
            raise _Stopped

    async def _pause(self) -> None:
        wake: Deferred[None] = Deferred()
        self._wake = wake
        await wake
        self._check()

    async def _until_wanted(self, flight: PageFlight) -> None:
        while flight.number > max(self.keep, *self.readers.values(), -1):
            if not self.readers:
                raise _Stopped
            await self._pause()

    async def _fill(self, flight: PageFlight) -> None:
        memory = self.loads.memory
        if flight.length <= WINDOW:
            claim = memory.take(flight.length)
        else:
            claim = memory.claim(flight.length, self._urgent(flight))
        flight.claim = claim
        claim.on_grant = self.kick
        while not flight.whole:
            room = flight.length - flight.received
            if flight.passing:
                await self._until_near(flight)
                room = min(room, WINDOW)
            elif not claim.granted:
                if flight.received >= WINDOW:
                    await self._afford(flight, claim)
                    continue
                room = min(room, WINDOW - flight.received)
            data = await self._next(room)
            flight.feed(data)
            self._waited_for += len(data)
            self.loads.stats.loaded_bytes += len(data)
            flight.tell()
            self._check()
        if not claim.granted and not flight.passing:
            # It came to its end within the window.
            self._pass_on(flight, claim)

    def _urgent(self, flight: PageFlight) -> bool:
        return any(reader.position >= flight.start for reader in self.readers)

    async def _afford(self, flight: PageFlight, claim: Claim) -> None:
        clock = self.loads.clock
        deadline: float | None = None
        while not claim.granted:
            if not self.readers:
                raise _Stopped
            timer = None
            if self._urgent(flight):
                if claim.hurry():
                    return
                now = clock.seconds()
                if deadline is None:
                    # Who had to wait once in this run shall not again.
                    deadline = now + (0.0 if self._impatient else PATIENCE)
                if now >= deadline:
                    self._pass_on(flight, claim)
                    return
                timer = clock.callLater(deadline - now, self.kick)
            try:
                await self._pause()
            finally:
                if timer is not None and timer.active():
                    timer.cancel()

    def _pass_on(self, flight: PageFlight, claim: Claim) -> None:
        flight.passing = True
        flight.claim = None
        claim.give_back()
        self.loads.withdraw(flight)
        self._impatient = True

    async def _until_near(self, flight: PageFlight) -> None:
        while True:
            if not self.readers:
                raise _Stopped
            fastest = max(reader.position for reader in self.readers) - flight.start
            flight.trim(fastest)
            if flight.received - fastest < WINDOW:
                return
            await self._pause()

    async def _next(self, room: int) -> bytes | memoryview:
        """Up to C{room} bytes more."""
        assert self._body is not None
        while self._rest is None:
            reading = self._body.read()
            if reading.called and not reading.paused:
                piece = await reading
            else:
                piece = await self._wait_for(reading)
            self._check()
            if piece is None:
                raise StorageUnavailable("The storage ended the object early.")
            if isinstance(piece, FileSpan) or len(piece):
                self._rest = piece
        rest = self._rest
        if isinstance(rest, FileSpan):
            return await self._read_file(rest, min(room, _FILE_SLICE))
        if len(rest) <= room:
            self._rest = None
            return rest
        view = memoryview(rest)
        self._rest = view[room:]
        return view[:room]

    async def _wait_for(self, reading: Deferred[Piece | None]) -> Piece | None:
        clock = self.loads.clock
        began = clock.seconds()
        self._pending = reading  # type: ignore[assignment]
        try:
            piece = await reading
        finally:
            self._pending = None
        self._waited += clock.seconds() - began
        return piece

    async def _read_file(self, rest: FileSpan, room: int) -> bytes:
        # Not cancelled by a stop: the body must not close the file before the
        # thread has read from it.
        try:
            data = await self.loads.threads.run(
                os.pread, rest.fd, min(room, rest.length), rest.offset
            )
        except OSError as error:
            raise StorageUnavailable from error
        self._check()
        if not data:
            raise StorageUnavailable("The storage ended the object early.")
        left = rest.length - len(data)
        self._rest = (
            FileSpan(rest.fd, rest.offset + len(data), left) if left > 0 else None
        )
        return data

    async def _until_end(self) -> None:
        """
        Make sure that no more comes than was asked for, before the last page is
        believed.
        """
        if self._rest is None:
            assert self._body is not None
            ending = self._body.read()
            self._pending = ending  # type: ignore[assignment]
            try:
                piece = await ending
            finally:
                self._pending = None
            self._check()
            if piece is None:
                return
        raise ObjectChanged
