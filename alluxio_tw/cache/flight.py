"""
A page on its way from a source: what has arrived of it, and who waits for more.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.defer import Deferred

from alluxio_tw.ipages import IPage, PageKey

if TYPE_CHECKING:
    from alluxio_tw.cache.loading import Run
    from alluxio_tw.cache.loadmemory import Claim

# Pieces below this are copied together: a source that sends single bytes must
# not cost fifty times their memory.
_WORTH_KEEPING = 4096
# Of a piece that two pages share, a part below this is copied: what is only looked at
# keeps the whole piece in memory.
_WORTH_LOOKING = 32 * 1024
_SLAB = 64 * 1024


class Passenger(Protocol):
    """
    A reader, as the loads see it.
    """

    @property
    def position(self) -> int:
        """The offset in the object of the byte that it needs next."""

    def landed(self, flight: PageFlight, page: IPage) -> None:
        """A store has the page now; here is the reader's own lease."""


@attrs.define(eq=False)
class PageFlight:
    """
    A page being loaded.

    Bytes are held in slabs, each a piece as the source gave it, what of a piece is
    this page's, or several small ones copied together, so a reader may have them at
    once and keep them.

    :ivar number: of the page.
    :ivar start: the offset of its first byte in the object.
    :ivar length: of the whole page, in bytes.
    :ivar received: how many have arrived.
    :ivar base: bytes before this have been let go.
    :ivar passing: the page is only passed on and will not be kept: there is no
        memory to gather it in.
    :ivar failure: why the rest will not come.
    :ivar claim: the memory that it is gathered in.
    :ivar landed: it was offered to a store.
    :ivar over: nothing more will come of it, but that readers take the rest.
    :ivar readers: who reads from it.
    """

    key: PageKey
    start: int
    length: int
    run: Run
    received: int = 0
    base: int = 0
    passing: bool = False
    failure: BaseException | None = None
    claim: Claim | None = None
    landed: bool = False
    over: bool = False
    readers: set[Passenger] = attrs.field(factory=set)
    _starts: list[int] = attrs.field(factory=list)
    _slabs: list[bytes | bytearray | memoryview] = attrs.field(factory=list)
    _room: int = 0
    _waiting: list[Deferred[None]] = attrs.field(factory=list)

    @property
    def number(self) -> int:
        """Which page of its object."""
        return self.key.number

    @property
    def whole(self) -> bool:
        """Whether all of it has arrived."""
        return self.received == self.length

    # --- bytes

    def feed(self, data: bytes | memoryview) -> None:
        """
        Bytes have arrived; no more than the page still lacks.
        """
        if len(data) >= (_WORTH_KEEPING if type(data) is bytes else _WORTH_LOOKING):
            self._close_slab()
            self._starts.append(self.received)
            self._slabs.append(data)
            self.received += len(data)
            return
        view = memoryview(data)
        while view:
            if not self._room:
                self._room = min(_SLAB, self.length - self.received)
                self._starts.append(self.received)
                self._slabs.append(bytearray(self._room))
            slab = self._slabs[-1]
            assert isinstance(slab, bytearray)
            part = view[: self._room]
            at = len(slab) - self._room
            slab[at : at + len(part)] = part
            self._room -= len(part)
            self.received += len(part)
            view = view[len(part) :]

    def _close_slab(self) -> None:
        if self._room:
            # Whoever reads from the old one keeps it; we keep what is full.
            self._slabs[-1] = bytes(self._slabs[-1][: -self._room])
            self._room = 0

    def piece(self, offset: int, stop: int) -> bytes | memoryview | None:
        """
        Bytes of the page from C{offset}, up to C{stop} at most, if they are here.
        """
        if not self.base <= offset < self.received:
            return None
        index = bisect_right(self._starts, offset) - 1
        slab = self._slabs[index]
        begin = self._starts[index]
        stop = min(begin + len(slab), stop, self.received)
        if offset == begin and stop - begin == len(slab) and type(slab) is bytes:
            return slab
        return memoryview(slab).toreadonly()[offset - begin : stop - begin]

    def trim(self, offset: int) -> None:
        """Let go of slabs that lie wholly before C{offset}."""
        while self._slabs and (end := self._starts[0] + len(self._slabs[0])) <= min(
            offset, self.received
        ):
            del self._slabs[0], self._starts[0]
            self.base = end

    def join(self) -> bytes:
        """The whole page, from now on in one piece."""
        if len(self._slabs) == 1 and type(self._slabs[0]) is bytes:
            return self._slabs[0]
        data = b"".join(self._slabs)
        self._starts, self._slabs, self._room = [0], [data], 0
        return data

    # --- readers

    def board(self, reader: Passenger) -> None:
        """A reader reads from here now."""
        self.readers.add(reader)

    def leave(self, reader: Passenger) -> None:
        """A reader has what it wanted, or gave up."""
        self.readers.discard(reader)
        self.settle()

    def settle(self) -> None:
        """Let go of the bytes, and of their memory, if nobody needs them any more."""
        if not self.over or self.readers:
            return
        # The run may go on for long, and remembers its flights.
        self._starts, self._slabs, self._room = [], [], 0
        self.base = self.received
        if self.claim is not None:
            self.claim.give_back()

    def news(self) -> Deferred[None]:
        """Fires when more has arrived, or nothing will."""
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def tell(self) -> None:
        """Wake all who wait for news."""
        waiting, self._waiting = self._waiting, []
        for waiter in tuple(waiting):
            # One that was woken before may have sent the next away.
            if not waiter.called:
                waiter.callback(None)
