"""
Which congestion control a connection gets.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource

from alluxio_tw.congestion import (
    NEAR,
    TCP_CONGESTION,
    by_distance,
    hasten,
    is_near,
    round_trip,
)
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.s3_connection import Connection
from alluxio_tw.web.site import Site
from tests.servers.scripted import ScriptedServer, answer

reactor: Any = _reactor


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        return near, listening.accept()[0]


def congestion(end: socket.socket) -> str:
    """What an end sends by."""
    told = end.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16)
    return told.rstrip(b"\0").decode()


class DistanceTests(SynchronousTestCase):
    """How far the other end is."""

    def test_loopback(self) -> None:
        """The round trip of a new connection in this machine is known, and short."""
        for end in pair():
            self.addCleanup(end.close)
            took = round_trip(end)
            assert took is not None
            self.assertGreater(took, 0)
            # Somebody else may have had the processor just then.
            self.assertLess(took, 100 * NEAR)

    def test_no_tcp(self) -> None:
        """Of what is no TCP connection nothing is said."""
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        self.assertIsNone(round_trip(one))
        self.assertFalse(is_near(one))


class ChoiceTests(SynchronousTestCase):
    """What is made of it."""

    def test_near(self) -> None:
        """An end that is near is sent to with cubic, one that is not as before."""
        for end in pair():
            self.addCleanup(end.close)
            before = congestion(end)
            hasten(end, within=0.0)
            self.assertEqual(congestion(end), before)
            hasten(end, within=60.0)
            self.assertEqual(congestion(end), "cubic")

    def test_system(self) -> None:
        """Nothing is done about it but where the system's is BBR."""
        with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
            bbr = file.read().startswith("bbr")
        self.assertEqual(by_distance(), hasten if bbr else None)


class AppliedTests(TestCase):
    """Who chooses so."""

    async def test_edge(self) -> None:
        """The edge settles the socket of each connection of a client, once."""
        settled: DeferredQueue[str] = DeferredQueue()

        def settle(end: socket.socket) -> None:
            hasten(end, within=60.0)
            settled.put(congestion(end))

        site = Site(reactor, NoThreads(), Resource(), settle=settle)
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(site.abort)
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port.getHost().port)):
                self.assertEqual(await settled.get(), "cubic")
        self.assertEqual(settled.pending, [])

    async def test_storage(self) -> None:
        """A connection to a storage is settled as the system's has it."""
        server = ScriptedServer([answer(200)])
        where = urlsplit(await server.start())
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        gone: Deferred[Connection] = Deferred()
        factory = Factory.forProtocol(
            lambda: Connection(reactor, lambda _: None, gone.callback)
        )
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", where.port or 0)
        made: Any = await endpoint.connect(factory)
        with socket.socket() as plain:
            own = congestion(plain)
        # Loopback is near, unless the machine is very busy just then.
        end = made.transport.socket
        near = is_near(end) and by_distance() is not None
        self.assertEqual(congestion(end), "cubic" if near else own)
        made.abort()
        await gone
