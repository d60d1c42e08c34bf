"""
Connections of the S3 driver: kept, given up, and what is made of odd answers.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import GatewayError, StorageUnavailable
from alluxio_tw.iobjects import NO_DEMAND, Status
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import drain, put
from alluxio_tw.ufs.s3_address import Address
from alluxio_tw.ufs.s3_bodies import HELD_MOST
from alluxio_tw.ufs.s3_connection import HEAD_MOST, Connection
from alluxio_tw.ufs.s3_credentials import Keys
from alluxio_tw.ufs.s3_head import request_head
from tests.servers.scripted import Act, Request, Talk, answer, refusal, reset, silence
from tests.ufs.test_s3_faults import DATA, ETAG, STATUS, TOLD, Case

LISTING = b"<ListBucketResult></ListBucketResult>"


def raw(data: bytes, close: bool = False) -> Act:
    """Just these bytes."""

    def act(talk: Talk) -> None:
        talk.send(data)
        if close:
            assert talk.transport is not None
            talk.transport.loseConnection()

    return act


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


class KeptTests(Case):
    """
    Connections that are used again.
    """

    def opened(self) -> int:
        """How many connections the server has had."""
        return len(self.seen)

    async def mount(self, *script: Act, **options: str) -> Any:
        ufs = await super().mount(*script, **options)
        self.seen: set[Talk] = set()
        take = self.server.take

        def watched(talk: Talk) -> None:
            self.seen.add(talk)
            take(talk)

        self.server.take = watched  # type: ignore[method-assign]
        return ufs

    async def test_one_for_all(self) -> None:
        """One after another needs one connection, whatever is asked."""
        ufs = await self.mount(
            answer(200, DATA, TOLD),
            answer(200, DATA, TOLD),
            answer(206, DATA[:9], TOLD),
            refusal(404, "NoSuchKey"),
            answer(200, headers=TOLD),
            answer(200, LISTING),
        )
        self.assertEqual((await ufs.status("key")).size, 1000)
        body = await ufs.read("key", STATUS, Span(0, 1000))
        self.assertTrue(await drain(body) == DATA)
        body.close()
        body = await ufs.read("key", STATUS, Span(0, 9))
        self.assertEqual(await drain(body), DATA[:9])
        body.close()
        self.assertEqual(await ufs.delete("gone", NO_DEMAND), False)
        await put(ufs, ".alluxio-tw/x", b"body")
        await ufs.list(ListQuery())
        self.assertEqual(self.opened(), 1)

    async def test_closed_by_the_server(self) -> None:
        """One that was closed while it was idle costs another, and no repetition."""

        def closing(talk: Talk) -> None:
            answer(200, LISTING)(talk)
            assert talk.transport is not None
            talk.transport.loseConnection()

        ufs = await self.mount(closing, answer(200, LISTING), retries="0")
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        self.assertEqual(self.opened(), 2)

    async def test_stale(self) -> None:
        """One that turns out to be dead when it is used is replaced at once."""
        ufs = await self.mount(answer(200, LISTING), reset, answer(200, LISTING))
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        self.assertEqual((self.opened(), len(self.server.requests)), (2, 3))

    async def test_not_to_be_kept(self) -> None:
        """A server that says so is not asked again by the same connection."""
        ufs = await self.mount(answer(200, LISTING, {"Connection": "close"}))
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        self.assertEqual(self.opened(), 2)

    async def test_idle(self) -> None:
        """One that nobody needs is closed after a while."""
        ufs = await self.mount(answer(200, LISTING), keep_alive="20ms")
        await ufs.list(ListQuery())
        while self.server.talks:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        await ufs.list(ListQuery())
        self.assertEqual(self.opened(), 2)

    async def test_given_up(self) -> None:
        """One with the rest of a body on it is closed, and not used again."""
        ufs = await self.mount(
            answer(200, DATA, TOLD, length=2000), answer(200, LISTING)
        )
        status = Status(2000, ETAG, ETAG, 0)
        body = await ufs.read("key", status, Span(0, 2000))
        await body.read()
        body.close()
        await ufs.list(ListQuery())
        self.assertEqual(self.opened(), 2)

    async def test_refused_early(self) -> None:
        """Who is refused before all was sent stops, and closes the connection."""
        ufs = await self.mount(refusal(403, "AccessDenied"))

        def early(talk: Talk) -> None:
            raise AssertionError("all of it came")

        self.server.take = early  # type: ignore[method-assign]

        def received(talk: Talk, data: bytes) -> None:
            if not getattr(talk, "told", False):
                talk.told = True  # type: ignore[attr-defined]
                refusal(403, "AccessDenied")(_asked(talk))

        self.patch(Talk, "dataReceived", received)
        work = Deferred.fromCoroutine(put(ufs, "key", bytes(7 << 20)))
        await self.fails(work, GatewayError)
        while self.server.talks:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        self.assertEqual(ufs.room.taken, 0)

    async def test_closed(self) -> None:
        """A driver that is closed leaves no connection."""
        ufs = await self.mount(answer(200, LISTING), silence)
        await ufs.list(ListQuery())
        waiting = ufs.list(ListQuery())
        while len(self.server.requests) < 2:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        ufs._wire.retries = 0
        await ufs.close()
        await self.fails(waiting, StorageUnavailable)
        while self.server.talks:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        self.assertEqual(repr(ufs._wire.pool), "<Pool: 0 open, 0 idle>")


class AnswerTests(Case):
    """
    Answers as HTTP allows them, and as it does not.
    """

    async def test_chunked(self) -> None:
        """A body in chunks is one."""
        data = b"".join(
            b"%x\r\n%b\r\n" % (len(p), p) for p in (LISTING[:9], LISTING[9:])
        )
        told = head("Transfer-Encoding: chunked")
        ufs = await self.mount(raw(told + data + b"0\r\n\r\n"), answer(200, LISTING))
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())

    async def test_to_the_end(self) -> None:
        """A body without a length ends with its connection."""
        ufs = await self.mount(raw(head() + LISTING, close=True))
        await ufs.list(ListQuery())

    async def test_continue(self) -> None:
        """What comes before an answer is none."""
        early = head(status="100 Continue")
        ufs = await self.mount(
            raw(early + head(f"Content-Length: {len(LISTING)}") + LISTING)
        )
        await ufs.list(ListQuery())

    async def test_byte_by_byte(self) -> None:
        """An answer may come in any pieces."""
        whole = head(f"Content-Length: {len(LISTING)}") + LISTING

        async def dribble(talk: Talk) -> None:
            for at in range(len(whole)):
                talk.send(whole[at : at + 1])
                await deferLater(IReactorTime(reactor), 0, lambda: None)

        def act(talk: Talk) -> None:
            Deferred.fromCoroutine(dribble(talk))

        ufs = await self.mount(act)
        await ufs.list(ListQuery())

    async def test_no_http(self) -> None:
        """What is no HTTP is a failure, and told as one."""
        for said in (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 two\r\n\r\n",
            b"\x16\x03\x01\x00\x00",
        ):
            ufs = await self.mount(raw(said), retries="0")
            await self.fails(ufs.list(ListQuery()), StorageUnavailable)

    async def test_endless_head(self) -> None:
        """A head without end is not read to it."""
        line = b"x-header: " + b"x" * 1000 + b"\r\n"
        said = b"HTTP/1.1 200 OK\r\n" + line * (HEAD_MOST // 1000 + 400)
        ufs = await self.mount(raw(said), retries="0")
        await self.fails(ufs.list(ListQuery()), StorageUnavailable)

    async def test_more_than_told(self) -> None:
        """What comes beyond a body is not the next answer."""
        said = head(f"Content-Length: {len(LISTING)}") + LISTING
        ufs = await self.mount(raw(said + head("Content-Length: 0")))
        for _ in range(3):
            await ufs.list(ListQuery())

    async def test_much_more_than_told(self) -> None:
        """Nor is it when body and more come apart from the head."""
        size = 300_000
        data = os.urandom(size)

        def act(talk: Talk) -> None:
            talk.send(
                head(*(f"{k}: {v}" for k, v in TOLD.items()), f"Content-Length: {size}")
            )
            talk.send(data + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

        ufs = await self.mount(act, answer(200, LISTING))
        status = Status(size, ETAG, ETAG, 0)
        body = await ufs.read("key", status, Span(0, size))
        self.assertTrue(await drain(body) == data)
        body.close()
        await ufs.list(ListQuery())

    async def test_head_with_a_body(self) -> None:
        """A server that sends a body after all is not believed about what follows."""
        both = head(*(f"{k}: {v}" for k, v in TOLD.items()), "Content-Length: 5")
        ufs = await self.mount(raw(both + b"xxxxx"), answer(200, LISTING))
        self.assertEqual((await ufs.status("key")).size, 5)
        await ufs.list(ListQuery())


class PausedTests(SynchronousTestCase):
    """
    A connection whose reader is slow.
    """

    def test_more_than_asked_for(self) -> None:
        """What comes although it was paused, as of TLS, leaves it fit for the next."""
        clock = Clock()
        rested: list[Connection] = []
        connection = Connection(clock, rested.append, lambda lost: None)
        transport = StringTransport()
        connection.makeConnection(transport)
        for _ in range(2):
            asking = connection.ask(
                b"GET", b"GET / HTTP/1.1\r\n\r\n", (), _nothing, 5.0
            )
            connection.dataReceived(head(f"Content-Length: {HELD_MOST + 9}"))
            arrival = self.successResultOf(asking).arrival
            connection.dataReceived(b"x" * HELD_MOST)
            self.assertEqual(transport.producerState, "paused")
            connection.dataReceived(b"y" * 9)
            self.assertEqual(transport.producerState, "producing")
            got = b""
            while (piece := self.successResultOf(arrival.read())) is not None:
                assert isinstance(piece, bytes)
                got += piece
            self.assertEqual(got, b"x" * HELD_MOST + b"y" * 9)
        self.assertEqual(rested, [connection] * 2)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_given_up(self) -> None:
        """What comes after somebody gave up is nobody's, and is not kept."""
        rested: list[Connection] = []
        connection = Connection(Clock(), rested.append, lambda lost: None)
        transport = StringTransport()
        connection.makeConnection(transport)
        asking = connection.ask(b"GET", b"GET / HTTP/1.1\r\n\r\n", (), _nothing, 5.0)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        connection.dataReceived(head("Content-Length: 0"))
        self.assertTrue(transport.disconnecting)
        self.assertEqual(rested, [])


class HeadTests(SynchronousTestCase):
    """
    The head of a request.
    """

    def test_no_line_of_its_own(self) -> None:
        """No value begins a line of its own, signed or not."""
        target = Address("b", "http://h:9000", "", "r").target("k", (("a", "b"),))
        for keys in (None, Keys("AKID", "secret", "token\r\nx-evil: 1")):
            said = request_head(
                b"PUT",
                target,
                {
                    b"x-amz-content-sha256": b"UNSIGNED-PAYLOAD",
                    b"x-amz-meta-a": b"one\r\nx-evil: 1\r\n\r\nGET / HTTP/1.1",
                },
                3,
                keys,
                b"20261121T000000Z",
                "r",
            )
            lines = said.split(b"\r\n")
            self.assertEqual(lines[0], b"PUT /b/k?a=b HTTP/1.1")
            self.assertEqual(lines[-2:], [b"", b""])
            self.assertEqual(lines.count(b""), 2)
            self.assertFalse([line for line in lines if line.startswith(b"x-evil")])
            self.assertIn(b"content-length: 3", lines)
            self.assertIn(b"host: h:9000", lines)


def _asked(talk: Talk) -> Talk:
    """As if it had been read."""
    talk.request = Request(b"PUT", b"/", {}, b"")
    return talk


class ListingTests(Case):
    """
    Listings that no S3 server should send.
    """

    async def test_hostile(self) -> None:
        """What is no listing is a failure, whatever it asks the reader to do."""
        entry = b"<Contents><Key>k</Key><Size>1</Size></Contents>"
        for document in (
            b"",
            b"<html></html>",
            b"<ListBucketResult>",
            b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
            b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult>" + entry.replace(b"1", b"-1") + b"</ListBucketResult>",
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
            b"<ListBucketResult><Contents><Key>&e;</Key></Contents></ListBucketResult>",
            b"<ListBucketResult>" + b"<a/>" * 100_000 + b"</ListBucketResult>",
            b"<ListBucketResult>" + b"<a>" * 1000 + b"</a>" * 1000,
        ):
            ufs = await self.mount(answer(200, document), retries="0")
            await self.fails(ufs.list(ListQuery()), StorageUnavailable)
        for space in (b"", b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
            whole = b"<ListBucketResult" + space + b">" + entry + b"</ListBucketResult>"
            ufs = await self.mount(answer(200, whole))
            found = await ufs.list(ListQuery())
            self.assertEqual([each.key for each in found.entries], ["k"])


def _nothing() -> None:
    """Nobody watches."""
