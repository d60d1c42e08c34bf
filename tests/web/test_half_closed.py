"""
Clients that have sent all they will, and listen.
"""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import IncompleteBody
from alluxio_tw.web.request import Request
from tests.web.edges import Edge, Wire, asked, ok


class HalfClosedTests(SynchronousTestCase):
    """
    The end of what the client sends, with its other direction open.
    """

    def setUp(self) -> None:
        self.requests: list[Request] = []
        self.edge = Edge.serving(self.requests.append)

    def sent(self, data: bytes) -> Wire:
        """A client that sends this and nothing more."""
        wire = self.edge.connect()
        wire.send(data)
        IHalfCloseableProtocol(wire.protocol).readConnectionLost()
        return wire

    def test_short_body(self) -> None:
        """Whoever reads a body that ends early is told, and the client hears of it."""
        wire = self.edge.connect()
        wire.send(asked("PUT", "/", b"abc", content_length="10"))
        body = self.requests[0].body
        assert body is not None
        reading = body.read()
        IHalfCloseableProtocol(wire.protocol).readConnectionLost()
        self.failureResultOf(reading, IncompleteBody)
        self.assertFalse(wire.closed)
        ok(self.requests[0], status=400)
        (answer,) = wire.answers("PUT")
        self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"))
        self.assertTrue(wire.closed)

    def test_whole_body(self) -> None:
        """Who sent a whole body is answered."""
        wire = self.sent(asked("PUT", "/", b"abc"))
        self.assertFalse(wire.closed)
        ok(self.requests[0])
        self.assertEqual([each.status for each in wire.answers("PUT")], [200])
        self.assertTrue(wire.closed)

    def test_pipelined(self) -> None:
        """So is what was sent after it."""
        wire = self.sent(asked("PUT", "/", b"abc") + asked("PUT", "/", b"def"))
        ok(self.requests[0])
        self.assertFalse(wire.closed)
        ok(self.requests[1])
        self.assertEqual(len(wire.answers("PUT", "PUT")), 2)
        self.assertTrue(wire.closed)

    def test_no_body(self) -> None:
        """So is who sent no body, and before all else if it does not take long."""
        wire = self.sent(asked("GET", "/"))
        self.edge.pass_time(1)
        self.assertFalse(wire.closed)
        ok(self.requests[0])
        self.assertEqual([each.status for each in wire.answers("GET")], [200])
        self.assertTrue(wire.closed)

    def test_probed(self) -> None:
        """While an answer takes long it is asked, ever less often, who is there."""
        wire = self.sent(asked("GET", "/"))
        self.edge.pass_time(600)
        probe = b"HTTP/1.1 100 Continue\r\n\r\n"
        said = wire.value()
        self.assertEqual(said, probe * (len(said) // len(probe)))
        self.assertLess(len(said), 11 * len(probe))
        self.assertGreater(len(said), 3 * len(probe))
        wire.clear()
        ok(self.requests[0])
        self.assertEqual([each.status for each in wire.answers("GET")], [200])

    def test_old(self) -> None:
        """A client of HTTP/1.0 knows no interim answers, and gets none."""
        wire = self.sent(b"GET / HTTP/1.0\r\n\r\n")
        self.edge.pass_time(600)
        self.assertEqual(wire.value(), b"")

    def test_idle(self) -> None:
        """A connection on which nothing goes on is closed."""
        wire = self.edge.connect()
        wire.send(asked("GET", "/"))
        ok(self.requests[0])
        IHalfCloseableProtocol(wire.protocol).readConnectionLost()
        self.assertTrue(wire.closed)

    def test_half_a_head(self) -> None:
        """So is one on which half a header block came."""
        self.assertTrue(self.sent(b"GET / HTTP/1.1\r\nHo").closed)
        self.assertEqual(self.requests, [])
