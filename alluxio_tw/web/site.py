"""
The site: what all connections of an edge share, and the root of what is served.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from socket import socket
from time import perf_counter
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, getChildForRequest
from twisted.web.server import NOT_DONE_YET

from alluxio_tw.errors import (
    BackendError,
    CallerError,
    GatewayError,
    InvalidRequest,
    ObjectChanged,
)
from alluxio_tw.threads import IThreads
from alluxio_tw.web import reply
from alluxio_tw.web.connection import HTTPConnection
from alluxio_tw.web.intake import Intake
from alluxio_tw.web.request import Request
from alluxio_tw.web.tree import TreeRequest
from alluxio_tw.web.watch import Watch

INTAKE = 64 << 20
"""How much of all bodies may lie in memory, unless it is said."""

MAX_MESSAGES = 20
"""So many failures a second are logged; the rest are counted."""


@attrs.frozen
class Limits:
    """
    How much a client may ask of a connection.

    :ivar connections: open at a time; more are closed at once.
    :ivar head: bytes of a header block.
    :ivar url: bytes of a request target.
    :ivar head_seconds: for a header block to arrive.
    :ivar idle_seconds: between requests; nought is for ever.
    :ivar body_seconds: without a byte of a body that is waited for.
    :ivar write_seconds: without a byte taken of a reply.
    """

    connections: int = 4096
    head: int = 16384
    url: int = 8192
    head_seconds: float = 30.0
    idle_seconds: float = 60.0
    body_seconds: float = 60.0
    write_seconds: float = 60.0


class Site(Factory):
    """
    Makes connections and serves their requests from a tree of resources.

    :ivar now: the reactor's clock, read once a second: enough for timeouts.
    :ivar wall: seconds since the epoch, likewise.
    :ivar draining: no further requests are taken.
    :ivar intake: the memory that request bodies may take.
    :ivar settle: what is done to the socket of each new TCP connection, if anything.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        threads: IThreads,
        root: IResource,
        limits: Limits = Limits(),
        *,
        keep_alive: bool = True,
        secure: bool = False,
        account: Callable[[Request], None] = lambda request: None,
        connected: Callable[[int], None] = lambda change: None,
        refused: Callable[[], None] = lambda: None,
        host_id: str | None = None,
        answer_error: Callable[[Request, Failure], None] | None = None,
        intake: Intake | None = None,
        settle: Callable[[socket], None] | None = None,
    ) -> None:
        self.clock = clock
        self.threads = threads
        self.root = root
        self.limits = limits
        self.keep_alive = keep_alive
        self.secure = secure
        self.account = account
        self._connected = connected
        self._refused_connection = refused
        self.now = clock.seconds()
        self.wall = time.time()
        self.draining = False
        self.intake = intake or Intake(INTAKE)
        self.settle = settle
        self.numbers = 0
        self.id_prefix = reply.token(4)
        self.host_id = host_id or base64.b64encode(reply.token(16).encode()).decode()
        self._preambles: dict[int, bytes] = {}
        self._connections: set[HTTPConnection] = set()
        self._watch: Watch | None = None
        self._leaf = bool(root.isLeaf)
        self._render = root.render
        self._answer_error = answer_error
        self._messages = 0
        self._listening = False
        self._sweep = LoopingCall(self._look)
        self._sweep.clock = clock

    def startFactory(self) -> None:
        self._listening = True
        if not self._sweep.running:
            self._sweep.start(1.0, now=True)

    def stopFactory(self) -> None:
        self._listening = False
        self._rest()

    def _rest(self) -> None:
        # As long as there are connections, their time is measured.
        if self._sweep.running and not self._connections and not self._listening:
            self._sweep.stop()

    def buildProtocol(self, addr: IAddress | None) -> HTTPConnection | None:
        if len(self._connections) >= self.limits.connections or self.draining:
            self._refused_connection()
            return None
        return HTTPConnection(self, str(getattr(addr, "host", "-")), self.secure)

    # --- connections ------------------------------------------------------------

    def opened(self, connection: HTTPConnection) -> None:
        """A connection was made."""
        self._connections.add(connection)
        self._connected(1)

    def closed(self, connection: HTTPConnection) -> None:
        """A connection is gone."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._connected(-1)
            self._rest()

    def watch(self, transport: Any) -> None:
        """Have a transport's socket watched with the others', if it can be."""
        if self._watch is None and hasattr(transport, "reactor"):
            self._watch = Watch(transport.reactor)
        if self._watch is not None:
            self._watch.adopt(transport)

    def busy(self) -> int:
        """How many connections have a request that is not yet answered."""
        return sum(1 for each in self._connections if each.current is not None)

    def drain(self) -> None:
        """Take no more requests; connections close when they are idle."""
        self.draining = True
        for connection in list(self._connections):
            connection.drain()

    def abort(self) -> None:
        """Close what is left, at once."""
        for connection in list(self._connections):
            connection.abort()

    def __iter__(self) -> Iterable[HTTPConnection]:
        return iter(self._connections)

    def _look(self) -> None:
        now = self.now = self.clock.seconds()
        self.wall = time.time()
        self._preambles.clear()
        if self._messages > MAX_MESSAGES:
            self.log.error(
                "{count} more failures within a second were not logged",
                count=self._messages - MAX_MESSAGES,
            )
        self._messages = 0
        for connection in list(self._connections):
            what = connection.overdue(now)
            if what:
                try:
                    connection.expire(what)
                except Exception as error:
                    # The others' time goes on.
                    self.log_failure(error)

    # --- requests -----------------------------------------------------------------

    def serve(self, request: Request) -> None:
        """Answer a request, now or later."""
        if not self.keep_alive:
            request.keep_alive = False
        if b"host" not in request.headers and not request.http_1_0:
            # RFC 9112 3.2
            self.refuse(request, InvalidRequest("Missing required header: Host."))
            return
        try:
            if self._leaf:
                result: Any = self._render(request)
                if result is not NOT_DONE_YET:
                    reply.write(request, reply.Reply(body=result))
            else:
                TreeRequest.serve(request, self.root, getChildForRequest)
        except Exception:
            reply.fault(request, Failure())

    def refuse(self, request: Request, error: CallerError) -> None:
        """Answer a request that could not be read, and close."""
        request.keep_alive = False
        self.answer_error(request, Failure(error))

    def go_on(self, connection: HTTPConnection) -> None:
        """Tell a client that waits for it to send the body."""
        reply.interim(connection, b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer_error(self, request: Request, failure: Failure) -> None:
        """Word an error; without a wording of its own, a site says it plainly."""
        if self._answer_error is not None:
            self._answer_error(request, failure)
            return
        error = failure.value
        if not isinstance(error, GatewayError):
            self.log_failure(error)
        caller = isinstance(error, CallerError)
        text = error.message if isinstance(error, CallerError) else "Internal error"
        reply.write(
            request,
            reply.Reply(
                400 if caller else 500,
                [(b"Content-Type", b"text/plain; charset=utf-8")],
                (text + "\n").encode(),
            ),
        )

    def log_failure(self, error: BaseException | None) -> None:
        """Log something that is not the caller's fault, within reason."""
        self._messages += 1
        if error is None or self._messages > MAX_MESSAGES:
            return
        if isinstance(error, ObjectChanged):
            # Nobody's fault, and the place in our code is of no interest.
            self.log.info("An object changed while it was being read")
        elif isinstance(error, BackendError):
            # Nor is it of interest here: the storage's own fault.
            cause = error.__cause__
            self.log.warn(
                "A storage failed: {why}{cause}",
                why=repr(error),
                cause="" if cause is None else f" ({type(cause).__name__})",
            )
        else:
            failure = Failure(error, type(error), error.__traceback__)
            self.log.failure("A request failed: {why}", failure, why=repr(error))

    def preamble(self, status: int) -> bytes:
        """
        Status line and the headers of every answer, up to the number of the
        request; made once a second.
        """
        made = self._preambles.get(status)
        if made is None:
            made = self._preambles[status] = (
                b"HTTP/1.1 %d %b\r\nServer: alluxio-tw\r\nDate: %b\r\n"
                b"x-amz-id-2: %b\r\nx-amz-request-id: %b"
                % (
                    status,
                    reply.reason(status),
                    formatdate(usegmt=True).encode(),
                    self.host_id.encode(),
                    self.id_prefix.encode(),
                )
            )
        return made


def elapsed(request: Request) -> float:
    """Seconds since the header block of a request was complete."""
    return perf_counter() - request.started
