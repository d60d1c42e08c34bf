"""
A TCP server on loopback that answers HTTP requests as a test has written it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.python.failure import Failure
from zope.interface import implementer

Act = Callable[["Talk"], None]
"""Answers one request, or does not."""


@attrs.frozen
class Request:
    """
    A request as it came.

    :ivar headers: by lower-case name.
    """

    method: bytes
    target: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


class Talk(Protocol):
    """
    One connection.
    """

    factory: ScriptedServer
    request: Request

    def connectionMade(self) -> None:
        self._got = b""
        self.factory.talks.append(self)

    def dataReceived(self, data: bytes) -> None:
        self._got += data
        while b"\r\n\r\n" in self._got:
            head, _, rest = self._got.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            headers = {}
            for line in lines:
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip()
            length = int(headers.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self._got = rest[length:]
            method, target, _ = first.split(b" ")
            self.request = Request(method, target, headers, rest[:length])
            self.factory.take(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.talks.remove(self)
        waiting, self.factory.waiting = self.factory.waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def send(self, data: bytes) -> None:
        """Write, as it is."""
        assert self.transport is not None
        self.transport.write(data)

    def abort(self) -> None:
        """Reset the connection."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]


@attrs.define(eq=False, repr=False)
class ScriptedServer(Factory):
    """
    Answers the n-th request as the n-th act of its script says; the last act is
    for all that follow.
    """

    script: list[Act]
    requests: list[Request] = attrs.field(factory=list, init=False)
    talks: list[Talk] = attrs.field(factory=list, init=False)
    waiting: list[Deferred[None]] = attrs.field(factory=list, init=False)
    _port: IListeningPort | None = attrs.field(default=None, init=False)

    protocol = Talk  # type: ignore[assignment]

    async def start(
        self, certificate: str = "", key: str = "", interface: str = "127.0.0.1"
    ) -> str:
        """
        Listen, with TLS if there is a certificate; its URL.

        :param certificate: the path of a file in PEM, as that of its C{key}.
        """
        if certificate:
            context = DefaultOpenSSLContextFactory(key, certificate)
            endpoint: Any = SSL4ServerEndpoint(reactor, 0, context, interface=interface)
        else:
            endpoint = TCP4ServerEndpoint(reactor, 0, interface=interface)
        port: Any = await endpoint.listen(self)
        self._port = port
        scheme = "https" if certificate else "http"
        return f"{scheme}://{interface}:{port.getHost().port}"

    async def stop(self) -> None:
        """Stop, with all connections."""
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        while self.talks:
            gone: Deferred[None] = Deferred()
            self.waiting.append(gone)
            for talk in list(self.talks):
                talk.abort()
            await gone

    def take(self, talk: Talk) -> None:
        """A request has come."""
        self.requests.append(talk.request)
        at = min(len(self.requests), len(self.script)) - 1
        self.script[at](talk)


def answer(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> Act:
    """
    A whole answer.

    :param length: what it says, where that is not what it has.
    """
    said = {
        "Content-Length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in said.items()
    )

    def act(talk: Talk) -> None:
        whole = talk.request.method != b"HEAD"
        talk.send(head.encode() + b"\r\n" + (body if whole else b""))

    return act


def refusal(status: int, code: str, more: str = "", **headers: str) -> Act:
    """An error of S3's."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message>{more}</Error>"
    return answer(
        status, body.encode(), {k.replace("_", "-"): v for k, v in headers.items()}
    )


def broken(act: Act) -> Act:
    """Answer, then reset the connection once that is sent."""

    def do(talk: Talk) -> None:
        act(talk)
        assert talk.transport is not None
        talk.transport.loseConnection()

    return do


def reset(talk: Talk) -> None:
    """Reset the connection without a word."""
    talk.abort()


def silence(talk: Talk) -> None:
    """Do not answer."""


@implementer(IPushProducer)
@attrs.define(eq=False)
class Flood:
    """
    An answer without an end in sight, as fast as it is taken.

    :ivar sent: how many bytes were taken from it.
    """

    size: int
    headers: Mapping[str, str]
    sent: int = 0
    _talk: Talk | None = None
    _paused: bool = False

    def __call__(self, talk: Talk) -> None:
        self._talk = talk
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {self.size}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        talk.send(head.encode() + b"\r\n")
        talk.transport.registerProducer(self, True)  # type: ignore[union-attr]
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        assert self._talk is not None and self._talk.transport is not None
        while not self._paused and self.sent < self.size:
            piece = b"x" * min(64 << 10, self.size - self.sent)
            self.sent += len(piece)
            self._talk.transport.write(piece)
        if self.sent >= self.size and not self._paused:
            self._talk.transport.unregisterProducer()  # type: ignore[attr-defined]

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True
