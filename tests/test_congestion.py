"""
Which congestion control a connection gets.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.congestion import (
    NEAR,
    TCP_CONGESTION,
    by_distance,
    hasten,
    is_near,
    round_trip,
)


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
