"""
How much of a storage we may take: so many requests at once, so many bytes a second.

Both are shared fairly between those in whose name the work is done
(L{alluxio_tw.asking}), by deficit round robin.  Reads and writes have places of
their own: a copy holds one of each, and if both were of one kind, copies that hold
the one and wait for the other could wait for each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import inf

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from alluxio_tw import quantities
from alluxio_tw.errors import StorageBusy, WrongConfiguration
from alluxio_tw.ufs.rounds import Rounds, Turn

CONCURRENCY = "origin-concurrency"
BANDWIDTH = "origin-bandwidth"

QUANTUM = 256 << 10
"""Bytes that each may move in a round: as much as the largest of pieces."""

BURST = 0.05
"""Seconds whose bytes may pass at once after a pause: timers are no finer."""

WAITING = 2048
"""Who may wait for a place of a kind; the next is refused."""

SECONDS = 30.0
"""How long one waits for a place; the client has asked again by then."""


@attrs.frozen
class Limits:
    """
    What a mount's options say.

    :ivar concurrency: requests at once, of reads and of writes each; nought for
        no limit.
    :ivar bandwidth: bytes a second, of reads and writes together; nought for no
        limit.
    """

    concurrency: int = 0
    bandwidth: int = 0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Limits:
        """
        Read a mount's own options.

        :raises WrongConfiguration: one cannot be read.
        """
        concurrency = bandwidth = 0
        text = options.get(CONCURRENCY, "").strip()
        if text:
            if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000):
                raise WrongConfiguration(
                    f"The mount option {CONCURRENCY!r}: {text!r} is not a number of "
                    "requests: write such as 64."
                )
            concurrency = int(text)
        text = options.get(BANDWIDTH, "").strip()
        if text:
            try:
                bandwidth = quantities.size(text)
            except ValueError as error:
                raise WrongConfiguration(
                    f"The mount option {BANDWIDTH!r}: {error}; write bytes a second, "
                    "such as 100MB."
                ) from error
            if not bandwidth:
                raise WrongConfiguration(
                    f"The mount option {BANDWIDTH!r}: nothing would move; leave it out "
                    "for no limit."
                )
        return cls(concurrency, bandwidth)

    def __bool__(self) -> bool:
        return bool(self.concurrency or self.bandwidth)


@attrs.define(eq=False)
class Place:
    """
    A place among those who use the storage, until it is left.
    """

    _places: Places | None

    def leave(self) -> None:
        """Leave it; more than one call does no harm."""
        places, self._places = self._places, None
        if places is not None:
            places.left()


@attrs.define(eq=False)
class Places:
    """
    So many may use the storage at once.

    :ivar most: nought for no limit.
    :ivar taken: how many do.
    :ivar refused: how often one was turned away.
    """

    most: int
    _clock: IReactorTime
    taken: int = attrs.field(default=0, init=False)
    refused: int = attrs.field(default=0, init=False)
    _turns: Rounds = attrs.field(factory=lambda: Rounds(1.0), init=False)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._turns)

    def spare(self) -> Place | None:
        """A place that nobody waits for, if there is one."""
        if self.most and (self.taken >= self.most or len(self._turns)):
            return None
        self.taken += 1
        return Place(self)

    async def take(self, whose: Hashable) -> Place:
        """
        A place, when it is one's turn.

        :raises StorageBusy: too many wait, or it took too long.
        """
        place = self.spare()
        if place is not None:
            return place
        if len(self._turns) >= WAITING:
            self.refused += 1
            raise StorageBusy()
        turn = self._turns.join(whose, 1.0)
        late = self._clock.callLater(SECONDS, self._late, turn)
        try:
            await turn.come
        finally:
            if late.active():
                late.cancel()
        # It was counted when it was given: see left().
        return Place(self)

    def _late(self, turn: Turn) -> None:
        self._turns.leave(turn)
        self.refused += 1
        turn.come.errback(StorageBusy())

    def left(self) -> None:
        """Somebody has left: the place is the next one's."""
        turn = self._turns.next()
        if turn is None:
            self.taken -= 1
        else:
            turn.come.callback(None)


@attrs.define(eq=False)
class Flow:
    """
    So many bytes pass in a second.

    :ivar rate: bytes a second; nought for no limit.
    :ivar passed: bytes so far.
    """

    rate: int
    _clock: IReactorTime
    passed: int = attrs.field(default=0, init=False)
    _turns: Rounds = attrs.field(factory=lambda: Rounds(QUANTUM), init=False)
    _credit: float = attrs.field(default=0.0, init=False)
    _counted: float = attrs.field(default=-inf, init=False)
    _timer: IDelayedCall | None = attrs.field(default=None, init=False, repr=False)
    _running: bool = attrs.field(default=False, init=False)

    @property
    def waiting(self) -> int:
        """How many pieces wait."""
        return len(self._turns)

    def passing(self, whose: Hashable, length: int) -> Deferred[None]:
        """
        Wait until C{length} bytes may pass; cancelled, they do not.
        """
        self.passed += length
        if not self.rate:
            return succeed(None)
        turn = self._turns.join(whose, length)
        if self._timer is None and not self._running:
            self._run()
        return turn.come

    def _run(self) -> None:
        self._timer = None
        # Who is let by may be back at once: he queues, and is seen by the loop.
        self._running = True
        try:
            self._let_by()
        finally:
            self._running = False

    def _let_by(self) -> None:
        now = self._clock.seconds()
        rate = self.rate
        self._credit = min(rate * BURST, self._credit + (now - self._counted) * rate)
        self._counted = now
        # One may go into debt: a piece larger than the burst must pass too.
        while self._credit > 0:
            turn = self._turns.next()
            if turn is None:
                return
            self._credit -= turn.cost
            turn.come.callback(None)
        if len(self._turns):
            delay = max(0.001, -self._credit / rate)
            self._timer = self._clock.callLater(delay, self._run)

    def close(self) -> None:
        """Let go of the clock; what waits is let by, and what comes after it."""
        self.rate = 0
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        while (turn := self._turns.next()) is not None:
            turn.come.callback(None)


@attrs.define(eq=False)
class Caps:
    """
    What one storage may be asked for, and what it is.
    """

    reads: Places
    writes: Places
    flow: Flow

    @classmethod
    def of(cls, limits: Limits, clock: IReactorTime) -> Caps:
        """With nothing taken yet."""
        return cls(
            Places(limits.concurrency, clock),
            Places(limits.concurrency, clock),
            Flow(limits.bandwidth, clock),
        )
