"""
An edge without a network, for tests: a site, a clock, and wires to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.threads import IThreads, NoThreads
from alluxio_tw.web import reply
from alluxio_tw.web.connection import HTTPConnection
from alluxio_tw.web.request import Request
from alluxio_tw.web.site import Limits, Site

Serve = Callable[[Request], None]

LIMITS = Limits()
HOST = b"Host: here\r\n"


def ok(request: Request, body: bytes = b"", status: int = 200) -> None:
    """Answer with a few bytes."""
    reply.write(request, reply.Reply(status, [], body))


@implementer(IResource)
class Leaf:
    """
    Serves everything with a function.
    """

    isLeaf = True

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    def getChildWithDefault(self, name: bytes, request: Any) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise TypeError("A leaf.")

    def render(self, request: Any) -> int:
        self._serve(request)
        return NOT_DONE_YET


@attrs.frozen
class Answer:
    """
    A reply as it came.

    :ivar headers: by lower-case name.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The S3 error code of an error's document."""
        return self.element("Code")

    def element(self, name: str) -> str:
        """The text of the first element of that name."""
        _, _, rest = self.body.decode("utf-8").partition(f"<{name}>")
        return rest.partition(f"</{name}>")[0]

    def elements(self, name: str) -> list[str]:
        """The texts of all of them."""
        pieces = self.body.decode("utf-8").split(f"<{name}>")[1:]
        return [piece.partition(f"</{name}>")[0] for piece in pieces]


class Wire(StringTransport):
    """
    A transport whose other end is the test.

    :ivar half_closed: nothing more will be written to us.
    """

    half_closed = False
    producer: Any

    def __init__(self, protocol: HTTPConnection) -> None:
        super().__init__(lenient=True)
        self.protocol = protocol
        self._taken = 0
        protocol.makeConnection(self)

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    # --- what a test does

    def send(self, data: bytes) -> None:
        """Some bytes arrive."""
        self.protocol.dataReceived(data)

    def go(self, clean: bool = True) -> None:
        """The client goes."""
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        self.connected = False
        self.protocol.connectionLost(
            Failure(ConnectionDone() if clean else ConnectionLost())
        )

    @property
    def paused(self) -> bool:
        """Nobody reads what we send."""
        return bool(self.producerState == "paused")

    @property
    def closed(self) -> bool:
        """The other end closes, once everything is written."""
        return bool(self.disconnecting)

    @property
    def aborted(self) -> bool:
        return bool(self.disconnected)

    def rest(self) -> bytes:
        """What was written and not yet looked at."""
        value: bytes = self.value()
        rest, self._taken = value[self._taken :], len(value)
        return rest

    def answers(self, *methods: str) -> list[Answer]:
        """
        The answers since the last call.

        :param methods: of the requests; all C{GET} if none are said.
        """
        found = []
        data = self.rest()
        wanted = list(methods)
        while data:
            head, end, data = data.partition(b"\r\n\r\n")
            assert end, head
            first, *lines = head.decode("latin-1").split("\r\n")
            version, status, _ = first.split(" ", 2)
            assert version == "HTTP/1.1", first
            headers: dict[str, str] = {}
            for line in lines:
                name, colon, value = line.partition(": ")
                assert colon, line
                assert name.lower() not in headers, line
                headers[name.lower()] = value
            method = wanted.pop(0) if wanted else "GET"
            body = b""
            if method != "HEAD" and status not in ("204", "304", "100"):
                if "content-length" in headers:
                    length = int(headers["content-length"])
                    body, data = data[:length], data[length:]
                    assert len(body) == length, (length, len(body))
                else:
                    assert headers.get("connection") == "close", headers
                    body, data = data, b""
            found.append(Answer(int(status), headers, body))
        return found

    def ask(
        self, method: str, target: str, body: bytes = b"", **headers: Any
    ) -> Answer:
        """Send a request, and take its answer; C{_} in names stands for C{-}."""
        self.send(asked(method, target, body, **headers))
        (answer,) = self.answers(method)
        return answer


def asked(method: str, target: str, body: bytes = b"", **headers: Any) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: here"]
    if (body or method in ("PUT", "POST")) and "transfer_encoding" not in headers:
        headers.setdefault("content_length", str(len(body)))
    for name, value in headers.items():
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name.replace("_", "-").encode() + b": " + raw)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@attrs.define
class Edge:
    """
    A site on a clock, that was started.
    """

    site: Site
    clock: Clock

    @classmethod
    def serving(
        cls,
        serve: Serve = ok,
        limits: Limits = LIMITS,
        threads: IThreads | None = None,
        **options: Any,
    ) -> Edge:
        """An edge where every request is served by a function."""
        clock = Clock()
        around = NoThreads() if threads is None else threads
        site = Site(clock, around, Leaf(serve), limits, **options)
        site.startFactory()
        return cls(site, clock)

    def connect(self) -> Wire:
        """A new connection."""
        protocol = self.site.buildProtocol(None)
        assert protocol is not None
        return Wire(protocol)

    def pass_time(self, seconds: int) -> None:
        """Let whole seconds pass."""
        self.clock.pump([1.0] * seconds)


@implementer(IBody)
class TestBody:
    """
    A body whose pieces a test hands out.

    :ivar asked: how many pieces were asked for.
    :ivar closes: how often it was closed.
    :ivar cancelled: how often a read was given up.
    """

    def __init__(self, length: int | None, *pieces: Piece | Exception | None) -> None:
        self.length = length
        self.asked = 0
        self.closes = 0
        self.cancelled = 0
        self._pieces = list(pieces)
        self._reader: Deferred[Piece | None] | None = None

    def read(self) -> Deferred[Piece | None]:
        assert self._reader is None, "one read at a time"
        assert not self.closes, "it is closed"
        self.asked += 1
        reader: Deferred[Piece | None] = Deferred(self._cancelled)
        self._reader = reader
        self._give()
        return reader

    def say(self, *pieces: Piece | Exception | None) -> None:
        """Hand out some pieces."""
        self._pieces += pieces
        self._give()

    def close(self) -> None:
        self.closes += 1

    def _cancelled(self, _: object) -> None:
        self.cancelled += 1
        self._reader = None

    def _give(self) -> None:
        if self._reader is not None and self._pieces:
            reader, self._reader = self._reader, None
            piece = self._pieces.pop(0)
            if isinstance(piece, Exception):
                reader.errback(piece)
            else:
                reader.callback(piece)


def text_of(piece: Piece | None) -> bytes:
    """A piece in memory as bytes."""
    assert piece is not None and not isinstance(piece, FileSpan)
    return bytes(piece)
