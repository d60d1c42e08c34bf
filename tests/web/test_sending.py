"""
Replies on their way out: every kind of body, every way in which it may end, and
clients that take it slowly or not at all.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import termios
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.threads import IThreads, NoThreads
from alluxio_tw.web import reply
from alluxio_tw.web.request import Request
from alluxio_tw.web.sending import STRETCH, TURN
from alluxio_tw.web.site import Site
from alluxio_tw.web.warmth import bring_in, is_warm
from tests.doubles_threads import HeldThreads
from tests.web.edges import Edge, Leaf, TestBody, Wire, asked, ok

reactor: Any = _reactor

GET = asked("GET", "/")


class Streaming:
    """
    Serves a body of the test's.
    """

    def __init__(self, body: IBody) -> None:
        self.body = body
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> None:
        self.requests.append(request)
        length = self.body.length
        headers = b"" if length is None else b"Content-Length: %d\r\n" % length
        reply.stream(request, 200, headers, self.body)


class Pair:
    """
    The server's end of a loopback connection, as far as a flow knows it: without
    a reactor, which is the test.
    """

    def __init__(self, edge: Edge, buffer: int = 4096) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            self.client = socket.socket()
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.client.connect(server.getsockname())
            self.socket, _ = server.accept()
        self.client.setblocking(False)
        self.socket.setblocking(False)
        self.producer: Any = None
        self.writing = False
        self.closing = self.aborted = self.paused = False
        self.got = b""
        protocol: Any = edge.site.buildProtocol(None)
        self.protocol = protocol
        protocol.makeConnection(self)

    # as a transport

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None and not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def startWriting(self) -> None:
        self.writing = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def loseConnection(self) -> None:
        self.closing = True

    loseWriteConnection = loseConnection

    def abortConnection(self) -> None:
        self.aborted = True

    def write(self, data: bytes) -> None:
        raise AssertionError("What is sent directly must not meet a buffer.")

    # what a test does

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def turn(self) -> None:
        """The socket can take more, says the reactor."""
        if self.writing and self.producer is not None:
            self.writing = False
            self.producer.resumeProducing()

    def take(self, most: int = 1 << 20) -> int:
        """Read what there is; how much it was."""
        got = 0
        while got < most:
            try:
                data = self.client.recv(most - got)
            except BlockingIOError:
                break
            if not data:
                break
            self.got += data
            got += len(data)
        return got

    def drink(self) -> bytes:
        """Read on until nothing comes any more; the bodies so far."""
        unread = bytearray(4)
        while True:
            got = self.take()
            self.turn()
            if got:
                continue
            busy = self.producer is not None and self.writing
            fcntl.ioctl(self.socket, termios.TIOCOUTQ, unread)
            if not busy and not any(unread):
                self.take()
                return self.body
            writers = [self.socket] if busy else []
            ready = select.select(
                [self.client], writers, [], 0.01 if any(unread) else 5
            )
            assert any(ready) or any(unread), "Nothing goes on."

    @property
    def body(self) -> bytes:
        return self.got.partition(b"\r\n\r\n")[2]

    def go(self) -> None:
        """The client goes."""
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        self.protocol.connectionLost(Failure(ConnectionResetError()))

    def close(self) -> None:
        self.client.close()
        self.socket.close()


class DirectTests(SynchronousTestCase):
    def serve(
        self,
        body: IBody | Callable[[Request], None],
        threads: IThreads | None = None,
        buffer: int = 4096,
        **options: Any,
    ) -> Pair:
        self.accounted: list[Request] = []
        serve: Any = body if callable(body) else Streaming(body)
        edge = Edge.serving(
            serve, threads=threads, account=self.accounted.append, **options
        )
        pair = Pair(edge, buffer)
        self.addCleanup(pair.close)
        return pair

    def file(self, data: bytes) -> int:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, fd)
        return fd

    def test_memory(self) -> None:
        """Pieces in memory leave in order, whole."""
        data: list[bytes | memoryview] = [
            os.urandom(50_000),
            memoryview(os.urandom(70_000)),
            b"end",
        ]
        whole = b"".join(data)
        body = TestBody(len(whole), *data, None)
        pair = self.serve(body)
        pair.send(GET)
        self.assertEqual(pair.drink(), whole)
        self.assertEqual(body.closes, 1)
        (request,) = self.accounted
        self.assertEqual((request.bytes_out, request.error), (len(whole), ""))
        self.assertFalse(pair.aborted or pair.closing)

    def test_file(self) -> None:
        """Bytes of a file leave from where they lie in it, whatever surrounds them."""
        data = os.urandom(3 * STRETCH)
        fd = self.file(data)
        first, second = FileSpan(fd, 100, STRETCH + 77), FileSpan(fd, 5, 20)
        body = TestBody(first.length + second.length + 4, first, b"and ", second, None)
        pair = self.serve(body, buffer=1 << 16)
        pair.send(GET)
        expected = data[100 : 100 + first.length] + b"and " + data[5:25]
        self.assertEqual(pair.drink(), expected)
        self.assertEqual((body.closes, len(self.accounted)), (1, 1))

    def test_file_first(self) -> None:
        """Of a small file, head and bytes are one answer, and the next follows."""
        fd = self.file(b"0123456789")
        bodies = [TestBody(10, FileSpan(fd, 0, 10), None) for _ in range(3)]

        def serve(request: Request) -> None:
            Streaming(bodies[len(self.accounted)])(request)

        pair = self.serve(serve)
        pair.send(GET * 3)
        pair.drink()
        self.assertEqual(pair.got.count(b"\r\n\r\n0123456789"), 3)
        self.assertEqual([each.closes for each in bodies], [1, 1, 1])

    def test_many_pipelined(self) -> None:
        """Many streamed answers in a row do not nest."""

        def serve(request: Request) -> None:
            reply.stream(
                request, 200, b"Content-Length: 3\r\n", TestBody(3, b"abc", None)
            )

        pair = self.serve(serve, buffer=1 << 20)
        pair.send(GET * 1000)
        pair.drink()
        self.assertEqual(pair.got.count(b"\r\n\r\nabc"), 1000)

    def test_slow_reader(self) -> None:
        """Of a client that does not read, no more is asked for than fits the socket."""
        count = 1000
        body = TestBody(count << 16, *[bytes(1 << 16)] * count, None)
        pair = self.serve(body)
        pair.send(GET)
        for _ in range(20):
            pair.turn()
        self.assertLess(body.asked, 5)
        taken = pair.take(1 << 18)
        for _ in range(20):
            pair.turn()
        self.assertLess(body.asked, 5 + (taken >> 16) + 1)
        pair.go()
        self.assertEqual((body.closes, len(self.accounted)), (1, 1))

    def test_turns(self) -> None:
        """A client that reads fast lets others have their turn."""
        count = 3 * TURN >> 20
        body = TestBody(count << 20, *[bytes(1 << 20)] * count, None)
        pair = self.serve(body, buffer=16 << 20)
        pair.client.setblocking(True)
        sent: list[int] = []

        class Socket:
            """Takes everything at once."""

            def send(self, data: Any, flags: int = 0) -> int:
                sent.append(len(data))
                return len(data)

        pair.protocol.socket = Socket()
        pair.send(GET)
        self.assertLessEqual(sum(sent), TURN + (1 << 20))
        self.assertTrue(pair.writing)
        while pair.writing:
            pair.turn()
        self.assertGreater(sum(sent), count << 20)
        self.assertEqual(body.closes, 1)

    def test_waiting(self) -> None:
        """Nothing leaves before the first piece is there."""
        body = TestBody(6)
        pair = self.serve(body)
        pair.send(GET)
        self.assertEqual((pair.take(), pair.producer), (0, None))
        body.say(b"abc")
        self.assertEqual(pair.drink(), b"abc")
        body.say(b"def", None)
        self.assertEqual(pair.drink(), b"abcdef")
        self.assertEqual(body.closes, 1)

    def test_failing_first(self) -> None:
        """A body that fails before its first piece is an answer that says so."""
        for late in (False, True):
            body = TestBody(6, *([] if late else [StorageUnavailable()]))
            pair = self.serve(body)
            pair.send(GET)
            if late:
                body.say(StorageUnavailable())
            pair.drink()
            self.assertEqual(pair.got[:12], b"HTTP/1.1 500")
            self.assertEqual((body.closes, pair.aborted), (1, False))
            self.assertEqual(len(self.accounted), 1)
            pair.got = b""
            pair.protocol.site._render = Leaf(partial(ok, body=b"next")).render
            pair.send(GET)
            self.assertEqual(pair.drink(), b"next")
        self.flushLoggedErrors()

    def test_failing_midway(self) -> None:
        """A body that fails later cuts the connection: it never looks whole."""
        for last in (StorageUnavailable(), ValueError()):
            body = TestBody(6, b"abc", last)
            pair = self.serve(body)
            pair.send(GET)
            self.assertEqual(pair.drink(), b"abc")
            self.assertTrue(pair.aborted)
            (request,) = self.accounted
            self.assertEqual(request.error, "ConnectionAborted")
            self.assertEqual(body.closes, 1)
        self.flushLoggedErrors()

    def test_cut_file(self) -> None:
        """A file that was cut short midway cuts the connection."""
        fd = self.file(bytes(1000))
        body = TestBody(2000, FileSpan(fd, 0, 2000), None)
        pair = self.serve(body)
        pair.send(GET)
        self.assertEqual(len(pair.drink()), 1000)
        self.assertTrue(pair.aborted)
        self.assertEqual(body.closes, 1)
        self.flushLoggedErrors(EOFError)

    def test_early_end(self) -> None:
        """A body that ends before its length cuts the connection."""
        body = TestBody(6, b"abc", None)
        pair = self.serve(body)
        pair.send(GET)
        self.assertEqual(pair.drink(), b"abc")
        self.assertTrue(pair.aborted)
        self.assertEqual((body.closes, len(self.accounted)), (1, 1))
        self.flushLoggedErrors()

    def test_cold_file(self) -> None:
        """What is not in memory is brought there by a thread, not by the reactor."""
        threads = HeldThreads()
        data = os.urandom(3_000_000)
        fd = self.file(data)
        body = TestBody(3_000_000, FileSpan(fd, 0, 3_000_000), None)
        pair = self.serve(body, threads)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        pair.send(GET)
        pair.drink()
        if not threads:
            raise SkipTest("This file system forgets nothing.")
        self.assertEqual((pair.body, len(threads)), (b"", 1))
        while threads:
            threads.release()
            pair.drink()
        self.assertEqual(pair.body, data)

    def test_gone_early(self) -> None:
        """A client that goes before the first piece has its work given up, at once."""
        body = TestBody(6)
        pair = self.serve(body)
        pair.send(GET)
        pair.go()
        self.assertEqual((body.cancelled, body.closes), (1, 1))
        self.assertEqual(len(self.accounted), 1)

    def test_gone_midway(self) -> None:
        """A client that goes midway has its work given up, and is accounted once."""
        body = TestBody(6, b"abc")
        pair = self.serve(body)
        pair.send(GET)
        pair.go()
        self.assertEqual((body.cancelled, body.closes), (1, 1))
        (request,) = self.accounted
        self.assertEqual((request.error, request.bytes_out), ("ConnectionAborted", 3))

    def test_reset(self) -> None:
        """A socket that fails is no failure of ours to be answered or logged."""
        body = TestBody(6)
        pair = self.serve(body)
        pair.send(GET)

        class Broken:
            def send(self, data: Any, flags: int = 0) -> int:
                raise BrokenPipeError()

            sendmsg = send

        pair.protocol.socket = Broken()
        flow_socket = Broken()
        assert self.accounted == []
        pair.protocol.current.on_lost.__self__._socket = flow_socket
        body.say(b"abc")
        self.assertTrue(pair.aborted)
        self.assertEqual((body.closes, len(self.accounted)), (1, 1))
        self.assertEqual(self.accounted[0].error, "ConnectionAborted")

        pair = self.serve(ok)
        pair.protocol.socket = Broken()
        pair.send(GET)
        self.assertTrue(pair.aborted)

    def test_large_in_memory(self) -> None:
        """An answer in memory that the socket does not take at once arrives whole."""
        for size in (1000, 16383, 16384, 200_000, 5_000_000):
            data = os.urandom(size)
            pair = self.serve(partial(ok, body=data))
            pair.send(GET)
            self.assertEqual(pair.drink(), data)
            (request,) = self.accounted
            self.assertEqual(request.bytes_out, size)

    def test_nothing_taken(self) -> None:
        """An answer arrives whole even if the socket takes nothing of it at first."""
        data = os.urandom(20_000)
        for sizes in ((100, 30_000), (20_000, 20_000)):

            def serve(request: Request, sizes: tuple[int, int] = sizes) -> None:
                ok(request, data[: sizes[len(self.accounted)]])

            pair = self.serve(serve)
            full = 0
            while True:
                try:
                    full += pair.socket.send(bytes(4096))
                except BlockingIOError:
                    break
            pair.send(GET + GET)
            pair.drink()
            answers = pair.got[full:]
            for size in sizes:
                head, _, answers = answers.partition(b"\r\n\r\n")
                length = min(size, len(data))
                self.assertIn(b"Content-Length: %d\r\n" % length, head + b"\r\n")
                self.assertEqual(answers[:length], data[:length])
                answers = answers[length:]
            self.assertEqual(answers, b"")

    def test_continue_first(self) -> None:
        """100 Continue never comes after the answer that it precedes."""

        def serve(request: Request) -> None:
            assert request.body is not None
            request.body.read()
            ok(request)

        pair = self.serve(serve)
        pair.send(asked("PUT", "/", content_length="5", expect="100-continue"))
        pair.take()
        self.assertTrue(
            pair.got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
        )

    def test_write_timeout(self) -> None:
        """A client that takes nothing for long is cut off."""
        body = TestBody(1 << 20, bytes(1 << 20), None)
        streaming = Streaming(body)
        edge = Edge.serving(streaming)
        pair = Pair(edge)
        self.addCleanup(pair.close)
        pair.send(GET)
        edge.pass_time(50)
        pair.take()
        pair.turn()
        edge.pass_time(50)
        self.assertFalse(pair.aborted)
        edge.pass_time(20)
        self.assertTrue(pair.aborted)

    def test_warmth(self) -> None:
        """What was read is warm; bringing in what is not there is harmless."""
        fd = self.file(bytes(5000))
        bring_in(fd, 0, 5000)
        self.assertTrue(is_warm(fd, 0, 5000))
        bring_in(fd, 4000, 100_000)


class StreamTests(SynchronousTestCase):
    """Through a transport that buffers, as TLS does."""

    def serve(self, body: IBody, threads: IThreads | None = None) -> Wire:
        self.accounted: list[Request] = []
        self.streaming = Streaming(body)
        edge = Edge.serving(
            self.streaming, threads=threads, account=self.accounted.append
        )
        wire = edge.connect()
        wire.send(GET)
        return wire

    def test_whole(self) -> None:
        """Pieces of any kind leave in order, whole."""
        path = self.mktemp()
        data = os.urandom(600_000)
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        pieces: list[Piece] = [b"abc", FileSpan(fd, 10, 599_000), memoryview(b"def")]
        for order in (pieces, pieces[::-1], pieces[1:2]):
            length = sum(
                each.length if isinstance(each, FileSpan) else len(each)
                for each in order
            )
            body = TestBody(length, *order, None)
            wire = self.serve(body)
            (answer,) = wire.answers()
            expected = b"".join(
                data[10:599_010] if isinstance(each, FileSpan) else bytes(each)
                for each in order
            )
            self.assertEqual(answer.body, expected)
            self.assertEqual((body.closes, wire.producer), (1, None))
            self.assertEqual(self.accounted[0].bytes_out, length)

    def test_backpressure(self) -> None:
        """A paused reply asks for nothing; a resumed one goes on."""
        body = TestBody(9)
        wire = self.serve(body)
        self.assertEqual(wire.value(), b"")
        body.say(b"abc")
        wire.producer.pauseProducing()
        body.say(b"def")
        asked = body.asked
        body.say(b"ghi", None)
        self.assertEqual(body.asked, asked)
        wire.producer.pauseProducing()
        wire.producer.resumeProducing()
        self.assertEqual(wire.answers()[0].body, b"abcdefghi")
        self.assertEqual(body.closes, 1)

    def test_paused_within(self) -> None:
        """A transport that pauses within a write is written no more."""
        count = 50
        body = TestBody(count, *[b"x"] * count, None)
        self.streaming = Streaming(body)
        wire = Edge.serving(self.streaming).connect()
        write = wire.write

        def pausing(data: bytes) -> None:
            write(data)
            if wire.producer is not None:
                wire.producer.pauseProducing()

        wire.write = pausing  # type: ignore[method-assign]
        wire.send(GET)
        before = -1
        for turn in range(200):
            if wire.producer is None:
                break
            self.assertLessEqual(body.asked, turn + 2)
            self.assertNotEqual(before, len(wire.value()))
            before = len(wire.value())
            wire.producer.resumeProducing()
        self.assertEqual(wire.answers()[0].body, b"x" * count)

    def test_resumed_within(self) -> None:
        """A transport that pauses and resumes within a write gets every byte once."""
        pieces = [bytes((65 + n % 26,)) * 3 for n in range(300)]
        body = TestBody(900, *pieces, None)
        wire = Edge.serving(Streaming(body)).connect()
        write = wire.write

        def busy(data: bytes) -> None:
            write(data)
            if wire.producer is not None:
                wire.producer.pauseProducing()
                wire.producer.resumeProducing()

        wire.write = busy  # type: ignore[method-assign]
        wire.send(GET)
        self.assertEqual(wire.answers()[0].body, b"".join(pieces))

    def test_failing(self) -> None:
        """A failure before the first piece is told; one after it cuts."""
        body = TestBody(6, StorageUnavailable())
        wire = self.serve(body)
        self.assertEqual([each.status for each in wire.answers()], [500])
        self.assertEqual((body.closes, wire.aborted), (1, False))
        for after in (StorageUnavailable(), None):
            body = TestBody(6, b"abc", after)
            wire = self.serve(body)
            self.assertTrue(wire.aborted)
            self.assertEqual((body.closes, len(self.accounted)), (1, 1))
        self.flushLoggedErrors()

    def test_cut_file(self) -> None:
        """A file that was cut short cuts the connection."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"x" * 100)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        body = TestBody(200, FileSpan(fd, 0, 200), None)
        wire = self.serve(body)
        self.assertTrue(wire.aborted)
        self.assertEqual(body.closes, 1)
        self.flushLoggedErrors(EOFError)

    def test_gone(self) -> None:
        """A client that goes has its work given up, whenever it does."""
        for pieces in ([], [b"abc"]):
            body = TestBody(6, *pieces)
            wire = self.serve(body)
            wire.go()
            self.assertEqual((body.cancelled, body.closes), (1, 1))
            self.assertEqual(len(self.accounted), 1)


class Client(Protocol):
    """
    Reads as fast as it is let.
    """

    def __init__(self, buffer: int) -> None:
        self.got = 0
        self._buffer = buffer
        self.data = bytearray()
        self.lost: Deferred[bool] = Deferred()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if self._buffer:
            transport.getHandle().setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer
            )

    def dataReceived(self, data: bytes) -> None:
        self.got += len(data)
        self.data += data
        for entry in list(self._waiting):
            if self.got >= entry[0]:
                self._waiting.remove(entry)
                entry[1].callback(None)

    def until(self, size: int) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        if self.got >= size:
            waiter.callback(None)
        else:
            self._waiting.append((size, waiter))
        return waiter

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        from twisted.internet.error import ConnectionDone

        self.lost.callback(reason.check(ConnectionDone) is not None)


class LoopbackTests(TestCase):
    """With the reactor's own transports."""

    async def serve(self, serve: Callable[[Request], None], buffer: int = 0) -> Client:
        site = Site(reactor, NoThreads(), Leaf(serve))
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        if buffer:
            port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.addCleanup(site.abort)
        self.addCleanup(port.stopListening)
        at = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        client: Client = await connectProtocol(at, Client(buffer))
        return client

    def settle(self, client: Client) -> Deferred[bool]:
        transport: Any = client.transport
        transport.loseConnection()
        return client.lost

    async def test_file(self) -> None:
        """A large file arrives whole, at a client that stops now and then."""
        path = self.mktemp()
        data = os.urandom(1 << 20) * 6
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        body = TestBody(
            len(data) + 3,
            b"abc",
            FileSpan(fd, 0, 1 << 20),
            FileSpan(fd, 1 << 20, 5 << 20),
            None,
        )
        client = await self.serve(Streaming(body))
        transport: Any = client.transport
        transport.write(GET)
        for size in (1, 1 << 20, 2 << 20):
            await client.until(size)
            transport.pauseProducing()
            reactor.callLater(0, transport.resumeProducing)
        head = bytes(client.data).partition(b"\r\n\r\n")[0]
        await client.until(len(head) + 4 + len(data) + 3)
        rest = bytes(client.data).partition(b"\r\n\r\n")[2]
        self.assertEqual(rest, b"abc" + data)
        self.assertEqual(body.closes, 1)
        await self.settle(client)

    async def test_not_reading(self) -> None:
        """Of a client that never reads, little is asked for, and it can go."""
        count = 1000
        body = TestBody(count << 16, *[bytes(1 << 16)] * count, None)
        client = await self.serve(Streaming(body), 16384)
        transport: Any = client.transport
        transport.pauseProducing()
        transport.write(GET)
        asked_before = -1
        while asked_before != body.asked or not body.asked:
            asked_before = body.asked
            for _ in range(20):
                turn: Deferred[None] = Deferred()
                reactor.callLater(0, turn.callback, None)
                await turn
        self.assertLess(body.asked << 16, 8 << 20)
        transport.abortConnection()
        while not body.closes:
            turn = Deferred()
            reactor.callLater(0, turn.callback, None)
            await turn
        self.assertEqual(body.closes, 1)

    async def test_cut(self) -> None:
        """A body that fails midway is a connection reset, not an end."""
        body = TestBody(1 << 20, bytes(1 << 16))
        client = await self.serve(Streaming(body))
        transport: Any = client.transport
        transport.write(GET)
        await client.until(1 << 16)
        body.say(StorageUnavailable())
        self.assertFalse(await client.lost)
        self.assertLess(client.got, 1 << 20)
        self.flushLoggedErrors(StorageUnavailable)

    async def test_refused_upload(self) -> None:
        """A client that is still sending reads why it was refused."""

        def refuse(request: Request) -> None:
            ok(request, b"no", 403)

        client = await self.serve(refuse)
        transport: Any = client.transport
        transport.write(asked("PUT", "/", content_length=str(20 << 20)))
        for _ in range(8):
            transport.write(bytes(1 << 18))
        await client.until(10)
        self.assertEqual(client.data[:12], b"HTTP/1.1 403")
        self.assertIn(b"Connection: close", client.data)
        await client.lost

    async def test_garbage(self) -> None:
        """A client that sends garbage, and much of it, reads why it was refused."""
        client = await self.serve(ok)
        transport: Any = client.transport
        transport.write(b"nonsense\r\n" + bytes(1 << 20))
        await client.until(10)
        self.assertEqual(client.data[:12], b"HTTP/1.1 400")
        await client.lost
