"""
Sources of pages whose deliveries a test controls.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import Status
from alluxio_tw.ipages import IPageSource
from alluxio_tw.spans import Span

_PATTERN = bytes(range(251)) * 12_000


def content(seed: int, offset: int, length: int) -> bytes:
    """
    What an object holds at some place: never the same at the start of two pages.
    """
    begin = (offset + seed) % 251
    return _PATTERN[begin : begin + length]


@implementer(IBody)
@attrs.define(eq=False)
class ScriptedBody:
    """
    A body that gives what the test delivers, when it does.

    :ivar position: the offset in the object of the next byte to deliver.
    :ivar wanted: someone has asked for a piece.
    :ivar pulled: how many pieces were asked for.
    """

    seed: int
    span: Span
    length: int | None
    position: int
    pulled: int = 0
    closes: int = 0
    cancelled: bool = False
    _asked: Deferred[Piece | None] | None = None
    _ready: list[bytes | Exception | None] = attrs.field(factory=list)

    @property
    def wanted(self) -> bool:
        return self._asked is not None

    @property
    def closed(self) -> bool:
        return self.closes > 0

    def read(self) -> Deferred[Piece | None]:
        assert self._asked is None and not self.closes
        self.pulled += 1
        asked: Deferred[Piece | None] = Deferred(self._cancel)
        self._asked = asked
        if self._ready:
            self._answer(self._ready.pop(0))
        return asked

    def _cancel(self, asked: Deferred[Piece | None]) -> None:
        self.cancelled = True
        self._asked = None

    def _answer(self, what: bytes | Exception | None) -> None:
        asked, self._asked = self._asked, None
        if asked is None:
            self._ready.append(what)
        elif isinstance(what, Exception):
            asked.errback(what)
        else:
            asked.callback(what)

    def deliver(self, length: int) -> None:
        """So many more bytes arrive; kept until they are asked for."""
        data = content(self.seed, self.position, length)
        self.position += length
        self._answer(data)

    def deliver_all(self, piece: int = 16 * 1024) -> None:
        """The rest arrives, as far as it is asked for, and the end."""
        while self.position < self.span.end and self.wanted:
            self.deliver(min(piece, self.span.end - self.position))
        if self.position >= self.span.end and self.wanted:
            self.end()

    def end(self) -> None:
        """Nothing more will come."""
        self._answer(None)

    def fail(self, error: Exception) -> None:
        """The source fails."""
        self._answer(error)

    def close(self) -> None:
        self.closes += 1


@implementer(IPageSource)
@attrs.define(eq=False)
class ScriptedSource:
    """
    An object whose reads are answered by the test.

    :ivar reads: the bodies given so far.
    :ivar states_length: whether bodies say how long they are.
    """

    size: int
    seed: int = 0
    states_length: bool = True
    parallel: int = 1
    reads: list[ScriptedBody] = attrs.field(factory=list)
    held: list[tuple[Deferred[IBody], ScriptedBody]] | None = None
    status: Status = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.status = Status(self.size, f"v{self.seed}", f"e{self.seed}", 0)

    def read(self, span: Span) -> Deferred[IBody]:
        assert 0 <= span.offset and span.end <= self.size and span.length
        body = ScriptedBody(
            self.seed, span, span.length if self.states_length else None, span.offset
        )
        self.reads.append(body)
        if self.held is None:
            return succeed(body)

        def cancel(opening: Deferred[IBody]) -> None:
            body.cancelled = True

        opening: Deferred[IBody] = Deferred(cancel)
        self.held.append((opening, body))
        return opening

    def spans(self) -> list[tuple[int, int]]:
        """What was read: offset and length of each."""
        return [(body.span.offset, body.span.length) for body in self.reads]


@implementer(IBody)
@attrs.define(eq=False)
class ReadyBody:
    """
    A body that gives its bytes as soon as it is asked.
    """

    source: ReadySource
    position: int
    end: int
    length: int | None
    _closed: bool = False

    def read(self) -> Deferred[Piece | None]:
        assert not self._closed
        count = min(self.source.piece, self.end - self.position)
        if not count:
            return succeed(None)
        at, self.position = self.position, self.position + count
        self.source.delivered += count
        if self.source.fd is not None:
            return succeed(FileSpan(self.source.fd, at, count))
        return succeed(content(self.source.seed, at, count))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.source.open -= 1


@implementer(IPageSource)
@attrs.define(eq=False)
class ReadySource:
    """
    An object that can be had at once.

    :ivar piece: how long the pieces are that it comes in.
    :ivar fd: a file that holds it: the pieces are spans of that.
    :ivar delivered: bytes handed out.
    :ivar open: bodies not closed.
    """

    size: int
    seed: int = 0
    piece: int = 64 * 1024
    fd: int | None = None
    parallel: int = 1
    delivered: int = 0
    open: int = 0
    spans: list[Span] = attrs.field(factory=list)
    status: Status = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.status = Status(self.size, f"v{self.seed}", f"e{self.seed}", 0)

    def read(self, span: Span) -> Deferred[IBody]:
        assert 0 <= span.offset and span.end <= self.size and span.length
        self.spans.append(span)
        self.open += 1
        return succeed(ReadyBody(self, span.offset, span.end, span.length))
