"""
How answers are written.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import NoSuchKey
from alluxio_tw.web import reply
from alluxio_tw.web.request import Request
from tests.web.edges import Answer, Edge, TestBody, asked, ok


def answered(method: str, made: reply.Reply, **headers: Any) -> Answer:
    """A reply as a client sees it."""
    wire = Edge.serving(lambda request: reply.write(request, made)).connect()
    return wire.ask(method, "/", **headers)


class HeaderTests(SynchronousTestCase):
    @given(st.binary(max_size=40))
    def test_injection(self, value: bytes) -> None:
        """Whatever a header's value is, it is one header."""
        made = reply.Reply(200, [(b"X-First", value), (b"X-Second", b"2")], b"body")
        answer = answered("GET", made)
        plain = answered("GET", reply.Reply(200, [(b"X-First", b"")], b"body"))
        self.assertEqual(set(answer.headers) - set(plain.headers), {"x-second"})
        self.assertEqual((answer.headers["x-second"], answer.body), ("2", b"body"))

    def test_always(self) -> None:
        """Every answer says when, by whom and which it is."""
        answer = answered("GET", reply.Reply())
        self.assertEqual(answer.headers["server"], "alluxio-tw")
        self.assertRegex(answer.headers["date"], r"^\w{3}, \d\d \w{3} \d{4} .* GMT$")
        self.assertRegex(answer.headers["x-amz-request-id"], r"^[0-9A-F]{16}$")
        self.assertGreater(len(answer.headers["x-amz-id-2"]), 20)
        self.assertNotIn("connection", answer.headers)

    def test_ids(self) -> None:
        """No two requests have one id, and the answer's is the request's."""
        ids: list[str] = []

        def serve(request: Request) -> None:
            ids.append(request.id)
            ok(request)

        edge = Edge.serving(serve)
        found = []
        for wire in (edge.connect(), edge.connect(), Edge.serving(serve).connect()):
            wire.send(asked("GET", "/") * 100)
            found += [each.headers["x-amz-request-id"] for each in wire.answers()]
        self.assertEqual(len(set(found)), 300)
        self.assertEqual(found, ids)

    def test_date_moves(self) -> None:
        """The date is of this second, not of the first."""
        edge = Edge.serving()
        edge.connect().ask("GET", "/")
        first = edge.site.preamble(200)
        self.assertIs(edge.site.preamble(200), first)
        edge.pass_time(1)
        self.assertIsNot(edge.site.preamble(200), first)

    def test_unknown_status(self) -> None:
        """Also a status without a name has a status line."""
        answer = answered("GET", reply.Reply(599))
        self.assertEqual(answer.status, 599)


class BodyTests(SynchronousTestCase):
    def test_length(self) -> None:
        """An answer says its length, a HEAD's as a GET's; only it has no body."""
        made = reply.Reply(200, [], b"hello")
        self.assertEqual(answered("GET", made).body, b"hello")
        answer = answered("HEAD", made)
        self.assertEqual((answer.headers["content-length"], answer.body), ("5", b""))
        self.assertEqual(answered("GET", reply.Reply()).headers["content-length"], "0")

    def test_none(self) -> None:
        """Where no body can be, none is announced."""
        for status in (204, 304):
            answer = answered("GET", reply.Reply(status))
            self.assertNotIn("content-length", answer.headers)
            self.assertEqual(answer.body, b"")

    def test_streamed_head(self) -> None:
        """A HEAD that would be streamed is not: its body is closed unread."""
        body = TestBody(5)
        made = reply.Reply(200, [(b"Content-Length", b"5")], body)
        answer = answered("HEAD", made)
        self.assertEqual((answer.headers["content-length"], answer.body), ("5", b""))
        self.assertEqual((body.asked, body.closes), (0, 1))

    def test_unknown_length(self) -> None:
        """A body of unknown length ends with the connection."""
        body = TestBody(None, b"abc", b"def", None)
        answer = answered("GET", reply.Reply(200, [], body))
        self.assertEqual(answer.body, b"abcdef")
        self.assertEqual(answer.headers["connection"], "close")

    def test_gone(self) -> None:
        """What is answered to nobody is closed, and counted with its status."""
        accounted: list[tuple[int, str]] = []
        requests: list[Request] = []
        edge = Edge.serving(
            requests.append,
            account=lambda request: accounted.append((request.status, request.error)),
        )
        wire = edge.connect()
        wire.send(asked("GET", "/"))
        wire.go()
        body = TestBody(3)
        reply.stream(requests[0], 200, b"", body)
        self.assertEqual((body.asked, body.closes), (0, 1))
        self.assertEqual(accounted, [(200, "ConnectionAborted")])

    def test_fault(self) -> None:
        """An error is answered, unless the answer has begun: then the line is cut."""
        failure = Failure(NoSuchKey())
        wire = Edge.serving(lambda request: reply.fault(request, failure)).connect()
        self.assertEqual(wire.ask("GET", "/").status, 400)

        def late(request: Request) -> None:
            reply.stream(request, 200, b"Content-Length: 3\r\n", TestBody(3))
            reply.fault(request, failure)

        wire = Edge.serving(late).connect()
        wire.send(asked("GET", "/"))
        self.assertTrue(wire.aborted)
        self.flushLoggedErrors(NoSuchKey)
