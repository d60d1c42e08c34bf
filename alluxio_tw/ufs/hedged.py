"""
Reads that are asked for twice when the first answer is slow to come.

Of a storage made of many machines some answer late now and then, and who reads
many pages meets them often.  When the first byte of a read has not come after a
while, the same is asked for again; whichever answers first is taken, the other is
let go.  Only reads of one version are asked for twice: they change nothing, and
both answers would be the same.  (J. Dean, L. A. Barroso: The Tail at Scale, 2013.)

It is bounded: of a hundred reads at most L{SHARE} are hedged, so a storage that is
slow as a whole is not asked for twice as much; and if the mount caps its requests,
only when a place is free that nobody waits for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw import quantities
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.spans import Span
from alluxio_tw.ufs.passing import PassingUFS

OPTION = "hedge-after"

SHARE = 5
"""Of a hundred reads, how many may be asked for twice."""

SEEN = 256
"""From how many of the latest reads a percentile is taken."""

ENOUGH = 20
"""Before so many were seen, a percentile says nothing, and none is hedged."""

LEAST = 0.001
"""Seconds; who answers within them is not late."""


@attrs.frozen
class Patience:
    """
    How long the first byte is waited for.

    :ivar seconds: that long; nought where a percentile says it.
    :ivar percentile: of the latest reads' own times, such as 95; nought where it is
        said in seconds.
    """

    seconds: float = 0.0
    percentile: int = 0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Patience | None:
        """
        Read a mount's own options; L{None} if nothing is to be asked for twice.

        :raises WrongConfiguration: it cannot be read.
        """
        text = options.get(OPTION, "").strip().lower()
        if not text:
            return None
        if text[0] == "p" and text[1:].isdigit() and 50 <= int(text[1:]) <= 99:
            return cls(percentile=int(text[1:]))
        try:
            seconds = quantities.duration(text)
        except ValueError as error:
            raise _wrong(text) from error
        if seconds < LEAST:
            raise _wrong(text)
        return cls(seconds=seconds)


def _wrong(text: str) -> WrongConfiguration:
    return WrongConfiguration(
        f"The mount option {OPTION!r}: {text!r} is neither a time of at least 1ms, such "
        "as 50ms, nor a percentile of the latest reads from p50 to p99, such as p95."
    )


SAID: ContextVar[float | None] = ContextVar("hedge_after", default=None)
"""What a rule says of the reads begun here, in seconds; nought is never."""


@contextmanager
def hedged_after(seconds: float | None) -> Iterator[None]:
    """
    Reads begun within are asked for again after so many seconds, whatever the mount
    says: nought is never, L{None} leaves it to the mount.
    """
    token = SAID.set(seconds)
    try:
        yield
    finally:
        SAID.reset(token)


class Leavable(Protocol):
    """A place that is left again."""

    def leave(self) -> None: ...


@attrs.define
class Counts:
    """
    What was done since the start.

    :ivar reads: how many were asked for.
    :ivar hedged: how many of them twice.
    :ivar won: how many of these the second answered first.
    """

    reads: int = 0
    hedged: int = 0
    won: int = 0


class HedgedUFS(PassingUFS):
    """
    The wrapped driver, whose late reads are asked for a second time.

    :ivar counts: what was done.
    """

    def __init__(
        self,
        ufs: IUnderFileSystem,
        patience: Patience | None,
        clock: IReactorTime,
        spare: Callable[[], Leavable | None],
    ) -> None:
        """
        :param patience: L{None} hedges only those reads of which it is said
            (L{hedged_after}).
        :param spare: a place for one more read, if there is one.
        """
        super().__init__(ufs)
        self.counts = Counts()
        self._patience = patience
        self._clock = clock
        self._spare = spare
        self._latest: deque[float] = deque(maxlen=SEEN)
        self._sorted: list[float] = []

    @deferred
    async def open(self, path: str) -> IReading:
        reading: IReading = await self.ufs.open(path)
        if self._patience is None and not SAID.get():
            return reading
        return _Reading(self, path, reading)

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        said = SAID.get()
        if said == 0.0 or (said is None and self._patience is None):
            plain: IBody = await self.ufs.read(path, status, span)
            return plain
        self.counts.reads += 1
        delay = said or self._delay()
        began = self._clock.seconds()

        def ask() -> Deferred[_Begun]:
            return Deferred.fromCoroutine(self._begin(path, status, span))

        if delay is None:
            begun = await ask()
        else:
            begun = await _Race(ask, self._second, self._clock, delay).outcome
            self.counts.won += begun.second
        self._saw(self._clock.seconds() - began)
        return begun

    def numbers(self) -> Mapping[str, float]:
        """For L{Metrics.watch_origin<alluxio_tw.metrics.Metrics.watch_origin>}."""
        return {"hedged_reads": self.counts.hedged, "hedges_won": self.counts.won}

    async def _begin(self, path: str, status: Status, span: Span) -> _Begun:
        body = await self.ufs.read(path, status, span)
        try:
            first = await body.read()
        except BaseException:
            body.close()
            raise
        return _Begun(body, first)

    def _second(self) -> Leavable | None:
        """May there be a second read now?"""
        counts = self.counts
        if counts.hedged * 100 >= SHARE * (counts.reads + ENOUGH):
            return None
        place = self._spare()
        if place is not None:
            counts.hedged += 1
        return place

    def _delay(self) -> float | None:
        patience = self._patience
        if patience is None:
            return None
        if not patience.percentile:
            return patience.seconds
        if len(self._latest) < ENOUGH:
            return None
        at = len(self._sorted) * patience.percentile // 100
        return max(LEAST, self._sorted[min(at, len(self._sorted) - 1)])

    def _saw(self, seconds: float) -> None:
        if self._patience is None or not self._patience.percentile:
            return
        latest, ordered = self._latest, self._sorted
        if len(latest) == SEEN:
            del ordered[bisect_left(ordered, latest[0])]
        latest.append(seconds)
        ordered.insert(bisect_left(ordered, seconds), seconds)


@implementer(IReading)
@attrs.frozen(eq=False)
class _Reading:
    """
    A version that is read past the cache.
    """

    _ufs: HedgedUFS
    _path: str
    _reading: IReading

    @property
    def status(self) -> Status:
        return self._reading.status

    @property
    def cache(self) -> str:
        return self._reading.cache

    def at_once(self, span: Span) -> bytes | None:
        return self._reading.at_once(span)

    def body(self, span: Span) -> IBody:
        if not span.length:
            return self._reading.body(span)
        return _Asked(self._ufs, self._path, self.status, span)

    def close(self) -> None:
        self._reading.close()


@implementer(IBody)
@attrs.define(eq=False)
class _Asked:
    """
    A body that is asked for when it is first read.
    """

    _ufs: HedgedUFS
    _path: str
    _status: Status
    _span: Span
    _said: float | None = attrs.field(factory=SAID.get, init=False)
    _asking: Deferred[IBody] | None = attrs.field(default=None, init=False)
    _body: IBody | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def length(self) -> int | None:
        return self._span.length

    @deferred
    async def read(self) -> Piece | None:
        if self._body is None:
            if self._closed:
                return None
            with hedged_after(self._said):
                asking = self._ufs.read(self._path, self._status, self._span)
            self._asking = asking
            try:
                self._body = await asking
            finally:
                self._asking = None
        return await self._body.read()

    def close(self) -> None:
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
        if self._body is not None:
            self._body.close()


@implementer(IBody)
@attrs.define(eq=False)
class _Begun:
    """
    A body whose first piece is here.

    :ivar second: it is the answer to the second asking.
    """

    _body: IBody
    _first: Piece | None
    second: bool = attrs.field(default=False, init=False)
    _given: bool = attrs.field(default=False, init=False)

    @property
    def length(self) -> int | None:
        return self._body.length

    @deferred
    async def read(self) -> Piece | None:
        if not self._given:
            self._given = True
            first, self._first = self._first, None
            return first
        return await self._body.read()

    def close(self) -> None:
        self._body.close()


@attrs.define(eq=False)
class _Race:
    """
    One read, and a second if the first is late.

    A failure while the other is still under way is left to the other.
    """

    _ask: Callable[[], Deferred[_Begun]]
    _spare: Callable[[], Leavable | None]
    _clock: IReactorTime
    _delay: float
    outcome: Deferred[_Begun] = attrs.field(init=False, repr=False)
    _running: list[Deferred[_Begun]] = attrs.field(factory=list, init=False)
    _timer: IDelayedCall | None = attrs.field(default=None, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.outcome = Deferred(lambda _: self._stop())
        self._timer = self._clock.callLater(self._delay, self._late)
        self._start(None)

    def _late(self) -> None:
        self._timer = None
        place = self._spare()
        if place is not None:
            self._start(place)

    def _start(self, place: Leavable | None) -> None:
        asking = self._ask()
        self._running.append(asking)
        asking.addBoth(self._done, asking, place)

    def _done(
        self,
        result: _Begun | Failure,
        asking: Deferred[_Begun],
        place: Leavable | None,
    ) -> None:
        if place is not None:
            # The first one's place is enough for the one that is left.
            place.leave()
        self._running.remove(asking)
        if self._over:
            if not isinstance(result, Failure):
                result.close()
            return
        if isinstance(result, Failure) and self._running:
            return
        if not isinstance(result, Failure):
            result.second = place is not None
        self._stop()
        if isinstance(result, Failure):
            self.outcome.errback(result)
        else:
            self.outcome.callback(result)

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for asking in tuple(self._running):
            asking.cancel()
