"""
One HTTP/1.1 connection: what is read, in which order it is answered, and what
becomes of those who do not keep to the rules.
"""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, IncompleteBody
from alluxio_tw.web import reply
from alluxio_tw.web.connection import LINGER_BYTES
from alluxio_tw.web.request import BATCH, HIGH_WATER, Request, RequestBody
from alluxio_tw.web.site import Limits
from tests.web.edges import HOST, Edge, Wire, asked, ok, text_of

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

Seen = tuple[bytes, bytes, dict[bytes, bytes], bytes]


class Reader:
    """
    Serves by reading the body, and answering with its length.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.errors: list[GatewayError] = []

    def __call__(self, request: Request) -> None:
        @deferred
        async def serve() -> None:
            body = b""
            if request.body is not None:
                while (piece := await request.body.read()) is not None:
                    body += text_of(piece)
            self.seen.append((request.method, request.target, request.headers, body))
            ok(request, b"%d" % len(body))

        def failed(failure: Any) -> None:
            self.errors.append(failure.value)
            reply.fault(request, failure)

        serve().addErrback(failed)


class Later:
    """
    Serves when the test says so.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> None:
        self.requests.append(request)


def body_of(request: Request) -> RequestBody:
    assert request.body is not None
    return request.body


STREAM = b"".join(
    (
        asked("GET", "/b/k?x=1&y", range="bytes=0-1", accept="*/*", Accept="x"),
        asked("PUT", "/b/put", b"hello", content_type="text/plain"),
        asked(
            "PUT",
            "/b/chunked",
            b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nx-trailer: a\r\nother: b\r\n\r\n",
            transfer_encoding="chunked",
        ),
        asked("HEAD", "http://other/b/k"),
        asked("POST", "/b?delete", b""),
        asked("GET", "/" + "p" * 300, empty="", padded="  a b\t"),
    )
)
METHODS = ("GET", "PUT", "PUT", "HEAD", "POST", "GET")


def read_all(pieces: list[bytes]) -> tuple[list[Seen], list[Any]]:
    """What is seen of a stream that comes in these pieces, and answered."""
    reader = Reader()
    wire = Edge.serving(reader).connect()
    for piece in pieces:
        wire.send(piece)
    answers = wire.answers(*METHODS)
    return reader.seen, [(each.status, each.body) for each in answers]


class ParsingTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """Requests are read as they were written, and answered in order."""
        seen, answers = read_all([STREAM])
        self.assertEqual(
            [(method, target, body) for method, target, _, body in seen],
            [
                (b"GET", b"/b/k?x=1&y", b""),
                (b"PUT", b"/b/put", b"hello"),
                (b"PUT", b"/b/chunked", b"hello!"),
                (b"HEAD", b"http://other/b/k", b""),
                (b"POST", b"/b?delete", b""),
                (b"GET", b"/" + b"p" * 300, b""),
            ],
        )
        self.assertEqual(
            answers,
            [
                (200, b"0"),
                (200, b"5"),
                (200, b"6"),
                (200, b""),
                (200, b"0"),
                (200, b"0"),
            ],
        )
        self.assertEqual(seen[0][2][b"accept"], b"*/*,x")
        self.assertNotIn(b"x-trailer", seen[2][2])
        self.assertEqual((seen[5][2][b"empty"], seen[5][2][b"padded"]), (b"", b"a b"))

    def test_every_split(self) -> None:
        """Wherever the network cuts a stream in two, it means the same."""
        whole = read_all([STREAM])
        for at in range(len(STREAM)):
            self.assertEqual(read_all([STREAM[:at], STREAM[at:]]), whole)
        self.assertEqual(read_all([bytes((each,)) for each in STREAM]), whole)

    @settings(max_examples=50)
    @given(st.lists(st.integers(0, len(STREAM)), max_size=8))
    def test_any_splits(self, cuts: list[int]) -> None:
        """However the network cuts a stream to pieces, it means the same."""
        ends = [0, *sorted(cuts), len(STREAM)]
        pieces = [STREAM[a:b] for a, b in itertools.pairwise(ends)]
        self.assertEqual(read_all(pieces), read_all([STREAM]))

    @settings(max_examples=300)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from(
                    [
                        STREAM,
                        GET,
                        b"PUT / HTTP/1.1\r\n",
                        b"\r\n",
                        b"\r\n\r\n",
                        HOST,
                        b"Content-Length: 5\r\n",
                        b"Transfer-Encoding: chunked\r\n",
                        b"GET ",
                        b"5\r\nhello\r\n",
                        b"0\r\n\r\n",
                        b"Expect: 100-continue",
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_anything(self, pieces: list[bytes]) -> None:
        """Whatever arrives, there is no failure of ours, and at most one refusal."""
        wire = Edge.serving(Reader()).connect()
        for piece in pieces:
            if wire.closed or wire.half_closed:
                break
            wire.send(piece)
        data = wire.value()
        self.assertLessEqual(data.count(b"HTTP/1.1 400 "), 1)
        if b"HTTP/1.1 400 " in data:
            self.assertTrue(wire.closed or wire.half_closed)
        self.assertFalse(wire.aborted)
        if not (wire.closed or wire.half_closed):
            wire.go()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_malformed(self) -> None:
        """What is not HTTP is refused once, and the connection closed."""
        for garbage in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"HELLO\r\n\r\n",
            b"GET / HTTP/3.1\r\n\r\n",
            b"GET /\r\n" + HOST + b"\r\n",
            b"GET / HTTP/1.1\r\nHost here\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + HOST + b"A\0b: c\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + HOST + b"a: b\0c\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
            b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 1x\r\n\r\n",
            b"PUT / HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 99999999999999999999\r\n\r\n",
            b"PUT / HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
            b"PUT / HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            reader = Reader()
            wire = Edge.serving(reader).connect()
            wire.send(garbage)
            wire.send(GET)
            (answer,) = wire.answers()
            self.assertEqual(answer.status, 400, garbage)
            self.assertEqual(answer.headers["connection"], "close")
            self.assertTrue(wire.closed or wire.half_closed)
            self.assertEqual(reader.seen, [], garbage)

    def test_malformed_later(self) -> None:
        """What came well formed before is answered first."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(GET + b"NONSENSE\r\n\r\n")
        wire.send(b"more")
        self.assertEqual(wire.rest(), b"")
        ok(later.requests[0], b"first")
        first, second = wire.answers()
        self.assertEqual((first.body, second.status), (b"first", 400))
        self.assertTrue(wire.closed or wire.half_closed)

    def test_no_host(self) -> None:
        """A request of HTTP/1.1 must say the host."""
        wire = Edge.serving().connect()
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        (answer,) = wire.answers()
        self.assertEqual((answer.status, wire.closed), (400, True))

    def test_repeated(self) -> None:
        """A header whose repetition is ambiguous is refused; others are joined."""
        for name in ("host", "range", "authorization", "x-amz-date", "Content-MD5"):
            later = Later()
            wire = Edge.serving(later).connect()
            line = f"{name}: a\r\n".encode()
            wire.send(b"GET / HTTP/1.1\r\n" + line * 2 + b"\r\n")
            (answer,) = wire.answers()
            self.assertEqual((answer.status, later.requests), (400, []), name)

    def test_http_1_0(self) -> None:
        """A client of HTTP/1.0 is answered and left, unless it asks to be kept."""
        wire = Edge.serving().connect()
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        (answer,) = wire.answers()
        self.assertEqual(answer.headers["connection"], "close")
        self.assertTrue(wire.closed)

        wire = Edge.serving().connect()
        for _ in range(2):
            wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            (answer,) = wire.answers()
            self.assertEqual(answer.headers["connection"], "keep-alive")
            self.assertFalse(wire.closed)

    def test_upgrade(self) -> None:
        """An offer to speak something else is not taken up."""
        reader = Reader()
        wire = Edge.serving(reader).connect()
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
        put = b"PUT /p HTTP/1.1\r\n" + HOST + offer
        bodies = (
            b"Content-Length: 5\r\n\r\nhello",
            (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n"),
        )
        wire.send(b"GET / HTTP/1.1\r\n" + HOST + offer + b"\r\n" + GET)
        for body in bodies:
            for cut in (1, 2, 5, 7):
                wire.send(put + body[:-cut])
                wire.send(body[-cut:])
                wire.send(put + body + GET)
        bodies_seen = [body for *_, body in reader.seen]
        self.assertEqual(bodies_seen, [b"", b""] + [b"hello", b"hello", b""] * 8)
        self.assertEqual({each.status for each in wire.answers()}, {200})
        self.assertFalse(wire.closed)

    def test_many_upgrades(self) -> None:
        """However many offers come at once, each is a request like others."""
        reader = Reader()
        wire = Edge.serving(reader).connect()
        offer = b"Connection: upgrade\r\nUpgrade: x\r\n"
        wire.send((b"GET / HTTP/1.1\r\n" + HOST + offer + b"\r\n") * 1000)
        self.assertEqual(len(wire.answers()), 1000)

    def test_after_the_last(self) -> None:
        """What follows a request after which the connection closes is not served."""
        closing = b"GET /1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        for first, options in ((closing, {}), (GET, {"keep_alive": False})):
            for delayed in (False, True):
                served: list[Request] = []

                def serve(
                    request: Request,
                    served: list[Request] = served,
                    delayed: bool = delayed,
                ) -> None:
                    served.append(request)
                    if not delayed:
                        ok(request)

                edge = Edge.serving(serve, **options)  # type: ignore[arg-type]
                wire = edge.connect()
                wire.send(first + GET + GET)
                wire.send(GET)
                if delayed:
                    ok(served[0])
                (answer,) = wire.answers()
                self.assertEqual(answer.headers["connection"], "close")
                self.assertEqual(len(served), 1)
                self.assertTrue(wire.closed or wire.half_closed)
                self.assertEqual(edge.site.busy(), 0)


class LimitTests(SynchronousTestCase):
    limits = Limits(head=2000, url=500)

    def flood(self, start: bytes, more: bytes, reads: bool = True) -> Wire:
        """
        Send more and more of the same, until it is refused.
        """
        wire = Edge.serving(Reader() if reads else Later(), self.limits).connect()
        wire.send(start)
        for _ in range(1000):
            if wire.closed or wire.half_closed:
                return wire
            wire.send(more)
        self.fail("It was not refused.")

    def refused(self, wire: Wire) -> None:
        (answer,) = wire.answers()
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_target(self) -> None:
        """A request target has a longest."""
        wire = Edge.serving(limits=self.limits).connect()
        wire.send(b"GET /" + b"x" * 499 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assertEqual([each.status for each in wire.answers()], [200])
        wire.send(b"GET /" + b"x" * 500 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        self.refused(wire)
        self.refused(self.flood(b"GET /", b"x" * 100))

    def test_block(self) -> None:
        """A header block has a largest size, however it is made up."""
        start = b"GET / HTTP/1.1\r\n" + HOST
        for more in (
            b"a: b\r\n",
            b"a: " + b"b" * 1000 + b"\r\n",
            b"c" * 100 + b":\r\n",
        ):
            self.refused(self.flood(start, more))

    def test_endless_line(self) -> None:
        """A line that does not end is refused as soon as it is too long."""
        for start in (HOST, HOST + b"a", HOST + b"a: "):
            wire = Edge.serving(limits=self.limits).connect()
            wire.send(b"GET / HTTP/1.1\r\n" + start)
            for _ in range(30):
                wire.send(b"x" * 100)
            self.assertTrue(wire.closed or wire.half_closed)
            self.refused(wire)

    def test_endless_trailers(self) -> None:
        """Trailers are bounded as headers are, and a line that does not end."""
        start = b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        for trailer in (b"0\r\n", b"0\r\na: b\r\nc", b"0\r\na: ", b"5;x="):
            for more in (b"x" * 100, b"a: b\r\n"):
                if trailer[-1:] not in b"\n" and more[-1:] == b"\n":
                    continue
                reader = Reader()
                wire = Edge.serving(reader, self.limits).connect()
                wire.send(start + trailer)
                for _ in range(1000):
                    if wire.closed or wire.half_closed:
                        break
                    wire.send(more)
                self.refused(wire)
                self.assertEqual(reader.seen, [])

    def test_trailers_are_apart(self) -> None:
        """The trailers of a request do not count against the next one's headers."""
        wire = Edge.serving(Reader(), self.limits).connect()
        chunked = asked(
            "PUT",
            "/",
            b"0\r\na: " + b"x" * 1500 + b"\r\n\r\n",
            transfer_encoding="chunked",
        )
        for _ in range(3):
            wire.send(chunked)
            wire.send(b"GET / HTTP/1.1\r\n" + HOST + b"b: " + b"y" * 1500 + b"\r\n\r\n")
        self.assertEqual([each.status for each in wire.answers()], [200] * 6)

    def test_much_at_once(self) -> None:
        """Much that comes at once is no large header, wherever it is cut."""
        put = asked("PUT", "/p", b"z" * 5000)
        for data in (GET * 500, put * 20, put + GET * 200):
            for cut in (1, 10, 20, 30, 40):
                wire = Edge.serving(Reader(), self.limits).connect()
                wire.send(data + GET[:cut])
                wire.send(GET[cut:])
                statuses = {each.status for each in wire.answers()}
                self.assertEqual(statuses, {200})

    def test_long_bodies(self) -> None:
        """A body is no header either, in however many chunks it comes."""
        reader = Reader()
        wire = Edge.serving(reader, self.limits).connect()
        wire.send(b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(300):
            for piece in (b"3", b"2\r", b"\n" + b"x" * 50, b"\r\n"):
                wire.send(piece)
        wire.send(b"0\r\n\r\n")
        self.assertEqual([each.body for each in wire.answers()], [b"15000"])

    def test_connections(self) -> None:
        """More connections than there may be are not taken."""
        counted: list[int] = []
        refused: list[None] = []
        edge = Edge.serving(
            limits=Limits(connections=2),
            connected=counted.append,
            refused=lambda: refused.append(None),
        )
        wires = [edge.connect(), edge.connect()]
        self.assertIsNone(edge.site.buildProtocol(None))
        self.assertEqual((counted, len(refused)), ([1, 1], 1))
        wires[0].go()
        edge.connect()
        self.assertEqual(counted, [1, 1, -1, 1])


class OrderTests(SynchronousTestCase):
    def test_in_order(self) -> None:
        """Answers come in the order of their requests, one request at a time."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(b"".join(asked("GET", f"/{n}") for n in range(3)))
        for n in range(3):
            self.assertEqual(len(later.requests), n + 1)
            self.assertEqual(wire.rest(), b"")
            request = later.requests[n]
            ok(request, request.target)
            self.assertEqual([each.body for each in wire.answers()], [b"/%d" % n])

    def test_thousand(self) -> None:
        """A thousand requests at once are answered, whoever is answered late."""
        wire = Edge.serving().connect()
        wire.send(GET * 1000)
        self.assertEqual(len(wire.answers()), 1000)

        held: list[Request] = []

        def serve(request: Request) -> None:
            if held:
                ok(request)
            else:
                held.append(request)

        wire = Edge.serving(serve).connect()
        wire.send(GET * 1000)
        self.assertEqual(wire.rest(), b"")
        ok(held[0])
        self.assertEqual(len(wire.answers()), 1000)

    def test_reading_stops(self) -> None:
        """Nothing is read while a request waits for its turn."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(GET)
        self.assertFalse(wire.paused)
        wire.send(GET)
        self.assertTrue(wire.paused)
        ok(later.requests[0])
        ok(later.requests[1])
        self.assertFalse(wire.paused)
        wire.send(GET)
        self.assertEqual(len(later.requests), 3)

    def test_body_of_who_waits(self) -> None:
        """The body of a request that waits for its turn waits with it."""
        later = Later()
        wire = Edge.serving(later).connect()
        put = asked("PUT", "/p", b"a" * 1000)
        wire.send(GET + put[:-10])
        self.assertTrue(wire.paused)
        ok(later.requests[0])
        read = body_of(later.requests[1]).read()
        self.assertFalse(wire.paused)
        wire.send(put[-10:])
        self.assertEqual(text_of(self.successResultOf(read)), b"a" * 1000)

    def test_answered_early(self) -> None:
        """What is answered before it was wholly read does not disturb the next."""
        served: list[bytes] = []

        def serve(request: Request) -> None:
            served.append(request.target)
            ok(request)

        wire = Edge.serving(serve).connect()
        put = asked("PUT", "/p", b"GET /smuggled HTTP/1.1\r\n\r\n" * 50)
        wire.send(put[:-30])
        self.assertEqual([each.status for each in wire.answers()], [200])
        self.assertFalse(wire.paused)
        wire.send(put[-30:] + GET)
        self.assertEqual(served, [b"/p", b"/"])
        self.assertEqual(len(wire.answers()), 1)


class BodyTests(SynchronousTestCase):
    def begin(self, length: int, **headers: Any) -> tuple[Wire, Request]:
        later = Later()
        wire = Edge.serving(later).connect()
        head = asked("PUT", "/", content_length=str(length), **headers)
        wire.send(head)
        (request,) = later.requests
        return wire, request

    def test_pulled(self) -> None:
        """A reader gets what is there, in large pieces, and then the end."""
        wire, request = self.begin(BATCH + 10)
        body = body_of(request)
        reading = body.read()
        wire.send(b"a" * (BATCH - 1))
        self.assertNoResult(reading)
        self.assertTrue(body.starving)
        wire.send(b"b")
        self.assertEqual(len(text_of(self.successResultOf(reading))), BATCH)
        self.assertFalse(body.starving)
        reading = body.read()
        wire.send(b"c" * 10)
        self.assertEqual(text_of(self.successResultOf(reading)), b"c" * 10)
        self.assertIsNone(self.successResultOf(body.read()))
        self.assertEqual((body.got, body.left()), (BATCH + 10, 0))

    def test_backpressure(self) -> None:
        """Who does not read a body makes its sender wait."""
        wire, request = self.begin(10 * HIGH_WATER)
        body = body_of(request)
        sent = 0
        while not wire.paused:
            wire.send(b"a" * 65536)
            sent += 65536
            self.assertLessEqual(sent, HIGH_WATER + 65536)
        self.assertEqual(len(text_of(self.successResultOf(body.read()))), sent)
        self.assertFalse(wire.paused)

    def test_one_at_a_time(self) -> None:
        """A second read while one waits is an error, and the first goes on."""
        wire, request = self.begin(5)
        body = body_of(request)
        reading = body.read()
        self.failureResultOf(body.read(), GatewayError)
        wire.send(b"hello")
        self.assertEqual(text_of(self.successResultOf(reading)), b"hello")

    def test_given_up(self) -> None:
        """A read that was given up loses nothing."""
        wire, request = self.begin(5)
        body = body_of(request)
        reading = body.read()
        reading.cancel()
        self.failureResultOf(reading)
        self.assertFalse(body.starving)
        wire.send(b"hello")
        self.assertEqual(text_of(self.successResultOf(body.read())), b"hello")

    def test_closed(self) -> None:
        """Closing a body ends a read of it, and what comes is forgotten."""
        wire, request = self.begin(500)
        body = body_of(request)
        reading = body.read()
        body.close()
        self.failureResultOf(reading, IncompleteBody)
        wire.send(b"a" * 500)
        self.assertEqual(body.got, 500)
        ok(request)
        self.assertEqual([each.status for each in wire.answers()], [200])

    def test_continue(self) -> None:
        """100 Continue is sent when the body is first asked for, and once."""
        wire, request = self.begin(5, expect="100-continue")
        self.assertEqual(wire.rest(), b"")
        body = body_of(request)
        reading = body.read()
        self.assertEqual(wire.rest(), b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(b"hello")
        self.successResultOf(reading)
        self.successResultOf(body.read())
        self.assertEqual(wire.rest(), b"")
        ok(request)
        self.assertEqual(wire.answers()[0].headers.get("connection"), None)

    def test_continue_unneeded(self) -> None:
        """Who sends the body without waiting is not told to."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(asked("PUT", "/", b"hello", expect="100-continue"))
        self.successResultOf(body_of(later.requests[0]).read())
        self.assertEqual(wire.rest(), b"")

    def test_refused(self) -> None:
        """Who waits for 100 Continue and is refused costs no body, only the connection."""
        wire, request = self.begin(5, expect="100-continue")
        ok(request, b"no", 403)
        (answer,) = wire.answers()
        self.assertEqual((answer.status, answer.headers["connection"]), (403, "close"))
        self.assertTrue(wire.half_closed)
        self.assertFalse(wire.paused)

    def test_large_rest(self) -> None:
        """A large rest of a refused body is read for a while, and not to its end."""
        wire, request = self.begin(LINGER_BYTES + 2)
        ok(request, b"no", 403)
        self.assertEqual(wire.answers()[0].headers["connection"], "close")
        self.assertTrue(wire.half_closed)
        wire.send(b"a" * LINGER_BYTES)
        self.assertFalse(wire.aborted)
        wire.send(b"a")
        self.assertTrue(wire.aborted)

    def test_unknown_rest(self) -> None:
        """After a refused body of unknown length the connection closes."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(asked("PUT", "/", b"5\r\nhel", transfer_encoding="chunked"))
        ok(later.requests[0], b"no", 403)
        self.assertEqual(wire.answers()[0].headers["connection"], "close")
        self.assertTrue(wire.half_closed)

    def test_broken(self) -> None:
        """A body that breaks is told to who reads it, and the connection closed."""
        reader = Reader()
        wire = Edge.serving(reader).connect()
        wire.send(asked("PUT", "/", b"5\r\nhello\r\n", transfer_encoding="chunked"))
        wire.send(b"nonsense")
        (answer,) = wire.answers()
        self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"))
        self.assertEqual(len(reader.errors), 1)
        self.assertTrue(wire.half_closed)
        wire.send(b"more nonsense")
        self.assertEqual(wire.rest(), b"")

    def test_broken_while_waiting(self) -> None:
        """A body that breaks before its turn is refused in its turn."""
        reader = Reader()
        held: list[Request] = []

        def serve(request: Request) -> None:
            if held:
                reader(request)
            else:
                held.append(request)

        wire = Edge.serving(serve).connect()
        wire.send(
            GET
            + asked("PUT", "/", b"5\r\nhello\r\nnonsense", transfer_encoding="chunked")
        )
        ok(held[0], b"first")
        first, second = wire.answers()
        self.assertEqual((first.body, second.status), (b"first", 400))
        self.assertTrue(wire.closed or wire.half_closed)


class TimeTests(SynchronousTestCase):
    limits = Limits(head_seconds=10, idle_seconds=20, body_seconds=5, write_seconds=7)

    def test_head(self) -> None:
        """A header block must be whole in time, however it trickles."""
        edge = Edge.serving(limits=self.limits)
        wire = edge.connect()
        wire.send(GET[:20])
        for byte in b"Cookie: abcdef":
            edge.pass_time(1)
            if wire.closed or wire.half_closed:
                break
            wire.send(bytes((byte,)))
        self.assertTrue(wire.closed or wire.half_closed)
        self.assertEqual([each.status for each in wire.answers()], [400])

    def test_idle(self) -> None:
        """Who asks nothing for long is left."""
        edge = Edge.serving(limits=self.limits)
        fresh, used = edge.connect(), edge.connect()
        edge.pass_time(15)
        used.send(GET)
        edge.pass_time(6)
        self.assertEqual((fresh.closed, used.closed), (True, False))
        edge.pass_time(15)
        self.assertTrue(used.closed)

    def test_idle_for_ever(self) -> None:
        """Without an idle time nobody is left."""
        edge = Edge.serving(limits=Limits(idle_seconds=0))
        wire = edge.connect()
        edge.pass_time(1000)
        self.assertFalse(wire.closed)

    def test_slow_service(self) -> None:
        """Who waits for us is not overdue."""
        later = Later()
        edge = Edge.serving(later, self.limits)
        wire = edge.connect()
        wire.send(GET)
        edge.pass_time(1000)
        ok(later.requests[0])
        self.assertEqual([each.status for each in wire.answers()], [200])
        edge.pass_time(1)
        self.assertFalse(wire.closed)

    def test_body(self) -> None:
        """A body that stops coming is given up; one that goes on is not."""
        reader = Reader()
        edge = Edge.serving(reader, self.limits)
        wire = edge.connect()
        wire.send(asked("PUT", "/", content_length="100"))
        for _ in range(10):
            edge.pass_time(4)
            wire.send(b"a")
        self.assertEqual(reader.errors, [])
        edge.pass_time(7)
        (answer,) = wire.answers()
        self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"))
        self.assertEqual(reader.seen, [])

    def test_unread_body(self) -> None:
        """Who sends faster than a body is read is not overdue."""
        later = Later()
        edge = Edge.serving(later, self.limits)
        wire = edge.connect()
        wire.send(asked("PUT", "/", content_length="100"))
        edge.pass_time(100)
        self.assertFalse(wire.closed or wire.half_closed or wire.aborted)

    def test_rest(self) -> None:
        """The rest of a body that nobody wants is not waited for without end."""
        edge = Edge.serving(limits=self.limits)
        wire = edge.connect()
        wire.send(asked("PUT", "/", content_length="100"))
        self.assertEqual(wire.answers()[0].headers.get("connection"), None)
        edge.pass_time(7)
        self.assertTrue(wire.closed)

    def test_linger(self) -> None:
        """A refused sender is listened to until it is silent."""
        edge = Edge.serving(limits=self.limits)
        wire = edge.connect()
        wire.send(asked("PUT", "/", content_length="100000000"))
        self.assertTrue(wire.half_closed)
        for _ in range(10):
            edge.pass_time(1)
            wire.send(b"a" * 1000)
        self.assertFalse(wire.aborted)
        edge.pass_time(4)
        self.assertTrue(wire.aborted)

    def test_long_linger(self) -> None:
        """A refused sender that never falls silent is not listened to for ever."""
        edge = Edge.serving(limits=self.limits)
        wire = edge.connect()
        wire.send(asked("PUT", "/", content_length="100000000"))
        for _ in range(40):
            edge.pass_time(1)
            if wire.aborted:
                break
            wire.send(b"a")
        self.assertTrue(wire.aborted)

    def test_closing_slowly(self) -> None:
        """What is written is not cut off by closing, unless the client is gone for good."""
        edge = Edge.serving(limits=self.limits, keep_alive=False)
        wire = edge.connect()
        wire.send(GET)
        self.assertTrue(wire.closed)
        edge.pass_time(5)
        self.assertFalse(wire.aborted)
        edge.pass_time(5)
        self.assertTrue(wire.aborted)

    def test_time_goes_on(self) -> None:
        """A failure about one connection does not stop the others' time."""
        edge = Edge.serving(limits=self.limits)
        broken, well = edge.connect(), edge.connect()
        broken.loseConnection = self.fail  # type: ignore[method-assign]
        edge.pass_time(25)
        self.assertTrue(well.closed)
        self.assertGreater(len(self.flushLoggedErrors()), 0)


class GoneTests(SynchronousTestCase):
    def test_told_once(self) -> None:
        """Whoever serves a client that goes is told, once."""
        later = Later()
        accounted: list[Request] = []
        edge = Edge.serving(later, account=accounted.append)
        wire = edge.connect()
        wire.send(GET)
        (request,) = later.requests
        told: list[object] = []
        request.on_lost = told.append
        wire.go()
        self.assertEqual(len(told), 1)
        reply.send(request, 499, b"", b"")
        self.assertEqual(len(told), 1)
        self.assertEqual((accounted, request.status), ([request], 499))
        self.assertEqual(edge.site.busy(), 0)

    def test_body_ends(self) -> None:
        """Who reads a body is told that the rest will not come."""
        for clean in (True, False):
            reader = Reader()
            wire = Edge.serving(reader).connect()
            wire.send(asked("PUT", "/", b"half", content_length="8"))
            wire.go(clean)
            (error,) = reader.errors
            self.assertIsInstance(error, IncompleteBody)

    def test_whole_body(self) -> None:
        """A body that arrived whole can be read after its client went."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(asked("PUT", "/", b"hello"))
        wire.go()
        body = body_of(later.requests[0])
        self.assertEqual(text_of(self.successResultOf(body.read())), b"hello")
        self.assertIsNone(self.successResultOf(body.read()))

    def test_those_who_wait(self) -> None:
        """The requests that waited for their turn are not served."""
        later = Later()
        wire = Edge.serving(later).connect()
        wire.send(GET * 3)
        wire.go()
        ok(later.requests[0])
        self.assertEqual(len(later.requests), 1)


class DrainTests(SynchronousTestCase):
    def test_drain(self) -> None:
        """Draining lets go of who is idle, and of the others after their answer."""
        later = Later()
        edge = Edge.serving(later)
        idle, busy = edge.connect(), edge.connect()
        busy.send(GET * 2)
        self.assertEqual(edge.site.busy(), 1)
        edge.site.drain()
        self.assertIsNone(edge.site.buildProtocol(None))
        self.assertEqual((idle.closed, busy.closed), (True, False))
        ok(later.requests[0])
        (answer,) = busy.answers()
        self.assertEqual(answer.headers["connection"], "close")
        self.assertTrue(busy.closed or busy.half_closed)
        self.assertEqual((len(later.requests), edge.site.busy()), (1, 0))

    def test_abort(self) -> None:
        """What is left is cut off in the end."""
        later = Later()
        edge = Edge.serving(later)
        wire = edge.connect()
        wire.send(GET)
        edge.site.abort()
        self.assertTrue(wire.aborted)

    def test_rests(self) -> None:
        """A site that does not listen and has no connections looks at no clock."""
        edge = Edge.serving()
        wire = edge.connect()
        edge.site.stopFactory()
        self.assertEqual(len(edge.clock.getDelayedCalls()), 1)
        wire.go()
        self.assertEqual(edge.clock.getDelayedCalls(), [])


class FaultTests(SynchronousTestCase):
    def test_failure(self) -> None:
        """A failure of ours is an answer of 500 that tells nothing, and is logged."""

        def serve(request: Request) -> None:
            raise ValueError("secret")

        wire = Edge.serving(serve).connect()
        wire.send(GET)
        (answer,) = wire.answers()
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        wire.send(GET)
        self.assertEqual(len(wire.answers()), 1)
        self.flushLoggedErrors(ValueError)

    def test_failure_afterwards(self) -> None:
        """A failure after the answer began cuts the connection."""

        def serve(request: Request) -> None:
            ok(request)
            raise ValueError()

        wire = Edge.serving(serve).connect()
        wire.send(GET)
        self.assertTrue(wire.aborted)
        self.flushLoggedErrors(ValueError)

    def test_failure_of_failure(self) -> None:
        """If not even the failure can be told, nobody is left waiting."""

        def serve(request: Request) -> None:
            raise ValueError()

        def wording(request: Request, failure: object) -> None:
            raise ZeroDivisionError()

        wire = Edge.serving(serve, answer_error=wording).connect()
        wire.send(GET)
        self.assertTrue(wire.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_messages(self) -> None:
        """A flood of failures does not become a flood of messages."""

        def serve(request: Request) -> None:
            raise ValueError()

        edge = Edge.serving(serve)
        wire = edge.connect()
        wire.send(GET * 500)
        self.assertEqual(len(wire.answers()), 500)
        self.assertLess(len(self.flushLoggedErrors(ValueError)), 50)
        edge.pass_time(2)
        wire.send(GET)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(wire.answers()), 1)
