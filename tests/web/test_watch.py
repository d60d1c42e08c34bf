"""
Sockets watched as one: on a real reactor, with real sockets.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from alluxio_tw.web.watch import Watch

reactor: Any = _reactor


class Ear(Protocol):
    """
    Hears what comes, by a watch.
    """

    watch: Watch
    mishap: Exception | None = None

    def __init__(self) -> None:
        self.got = b""
        self.lost: Deferred[list[Failure]] = Deferred()
        self.made: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.adopted = self.watch.adopt(self.transport)
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        if self.mishap is not None:
            raise self.mishap
        self.got += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        # In a list: a failure by itself would be one of the Deferred.
        self.lost.callback([reason])


class WatchTests(TestCase):
    def setUp(self) -> None:
        self.watch = Watch(reactor)
        self.ears: list[Ear] = []
        factory = Factory()
        factory.buildProtocol = self.build  # type: ignore[method-assign]
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    def build(self, addr: Any) -> Ear:
        ear = self.ears[sum(1 for each in self.ears if each.transport is not None)]
        ear.watch = self.watch
        return ear

    async def connect(self) -> tuple[Ear, socket.socket]:
        """A pair of ends: one that is watched, and the test's."""
        ear = Ear()
        self.ears.append(ear)
        client = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        self.addCleanup(client.close)
        await ear.made
        return ear, client

    async def until(self, holds: Any) -> None:
        """Wait for something, at most two seconds."""
        for _ in range(200):
            if holds():
                return
            await deferLater(reactor, 0.01)
        self.fail("It did not come about.")

    async def test_reading(self) -> None:
        """What comes on each of several sockets is passed on to each."""
        pairs = [await self.connect() for _ in range(3)]
        self.assertTrue(all(ear.adopted for ear, _ in pairs))
        self.assertEqual(repr(self.watch), "<Watch of 3>")
        for number, (_, client) in enumerate(pairs):
            client.sendall(b"%d" % number)
        await self.until(lambda: [ear.got for ear, _ in pairs] == [b"0", b"1", b"2"])
        for ear, client in pairs:
            client.close()
            self.assertTrue((await ear.lost)[0].check(ConnectionDone))

    async def test_unknown_when_empty(self) -> None:
        """The reactor knows of a watch only while there is something to watch."""
        self.assertNotIn(self.watch, reactor.getReaders())
        for _ in range(2):
            ear, client = await self.connect()
            self.assertIn(self.watch, reactor.getReaders())
            client.close()
            await ear.lost
            self.assertNotIn(self.watch, reactor.getReaders())
            self.assertEqual(self.watch.fileno(), -1)

    async def test_writing(self) -> None:
        """What does not fit the socket at once follows when there is room."""
        ear, client = await self.connect()
        data = bytes(range(256)) * 65536
        ear.transport.write(data)  # type: ignore[union-attr]
        self.assertEqual(len(self.watch.getWriters()), 1)
        client.setblocking(False)
        got = bytearray()

        def all_came() -> bool:
            try:
                while True:
                    got.extend(client.recv(1 << 20))
            except BlockingIOError:
                return len(got) == len(data)

        await self.until(all_came)
        self.assertEqual(bytes(got), data)
        self.assertEqual(self.watch.getWriters(), [])
        ear.transport.loseConnection()  # type: ignore[union-attr]
        await ear.lost

    async def test_paused(self) -> None:
        """Of a transport that is paused, nothing is read until it is resumed."""
        ear, client = await self.connect()
        transport: Any = ear.transport
        transport.pauseProducing()
        self.assertEqual(self.watch.getReaders(), [])
        client.sendall(b"abc")
        await deferLater(reactor, 0.05)
        self.assertEqual(ear.got, b"")
        transport.resumeProducing()
        await self.until(lambda: ear.got == b"abc")
        transport.loseConnection()
        await ear.lost

    async def test_mishap(self) -> None:
        """A protocol that fails loses its own connection, and is logged; no other."""
        broken, first = await self.connect()
        whole, second = await self.connect()
        broken.mishap = ZeroDivisionError()
        first.sendall(b"abc")
        self.assertTrue((await broken.lost)[0].check(ZeroDivisionError))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        second.sendall(b"abc")
        await self.until(lambda: whole.got == b"abc")
        whole.transport.loseConnection()  # type: ignore[union-attr]
        await whole.lost

    async def test_aborted(self) -> None:
        """A connection can be aborted as any other."""
        ear, client = await self.connect()
        ear.transport.abortConnection()  # type: ignore[union-attr]
        await ear.lost
        self.assertEqual(self.watch.getReaders(), [])
        self.assertRaises(ConnectionResetError, client.recv, 1)

    async def test_end(self) -> None:
        """When the reactor lets go of the watch, every connection is told."""
        ears = [(await self.connect())[0] for _ in range(2)]
        self.watch.connectionLost(Failure(ConnectionLost()))
        for ear in ears:
            self.assertTrue((await ear.lost)[0].check(ConnectionLost))
        self.assertEqual(repr(self.watch), "<Watch of 0>")

    def test_others(self) -> None:
        """What is no socket of this reactor's stays as it is."""
        self.assertFalse(self.watch.adopt(StringTransport()))
        self.assertFalse(self.watch.adopt(None))
