"""
What the S3 driver makes of servers that fail, against a real one that is told to.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    PreconditionFailed,
    StorageBusy,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
    UnsuitableKey,
    WrongConfiguration,
)
from alluxio_tw.iobjects import NO_DEMAND, Attributes, Demand, Status
from alluxio_tw.iufs import ListQuery, Surroundings
from alluxio_tw.s3.checksums import ALGORITHMS
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import drain, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.s3 import make
from alluxio_tw.ufs.s3_address import Address
from alluxio_tw.ufs.s3_credentials import FoundKeys, Keys
from alluxio_tw.ufs.s3_faults import complaint
from alluxio_tw.ufs.s3_options import read_options
from alluxio_tw.ufs.s3_placing import Held, Room
from tests.blackbox.authority import Authority
from tests.servers.scripted import (
    Act,
    Flood,
    ScriptedServer,
    Talk,
    answer,
    broken,
    refusal,
    reset,
    silence,
)

SECRET = "wJalrXUtnFEMI-the-secret"
TOKEN = "a-session-token-that-nobody-sees"
ETAG = "0123456789abcdef0123456789abcdef"
TOLD = {
    "ETag": f'"{ETAG}"',
    "Last-Modified": "Fri, 20 Nov 2026 13:00:00 GMT",
    "Content-Type": "text/plain",
}
STATUS = Status(1000, ETAG, ETAG, 0)
DATA = os.urandom(1000)


def part_of(data: bytes, begin: int) -> Act:
    """The answer to a range that begins so."""
    return answer(206, data[begin:], TOLD)


class Case(TestCase):
    """
    A mount of a scripted server.
    """

    async def mount(self, *script: Act, **options: str) -> Any:
        server = self.server = ScriptedServer(list(script))
        endpoint = await server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        said = {
            "endpoint": endpoint,
            "region": "eu-test-1",
            "access_key": "AKID",
            "secret_key": SECRET,
            "session_token": TOKEN,
            "timeout": "5s",
            **options,
        }
        ufs = make(
            "s3://bucket/", said, Surroundings(IReactorTime(reactor), NoThreads())
        )
        self.addCleanup(ufs.close)
        # What is not there is not asked about twice, as the bucket was seen before.
        ufs._wire._well = reactor.seconds()  # type: ignore[attr-defined]
        # Jitter without waiting.
        ufs._wire._chance = lambda: 0.0  # type: ignore[attr-defined]
        return ufs

    async def fails(self, work: Deferred[Any], error: type[Exception]) -> Exception:
        try:
            result = await work
        except error as raised:
            return raised
        raise AssertionError(f"no failure, but {result!r}")


class RetryTests(Case):
    async def test_busy_then_well(self) -> None:
        """SlowDown and 503 are asked again."""
        ufs = await self.mount(
            refusal(503, "SlowDown"),
            answer(500),
            answer(502),
            answer(200, DATA, TOLD),
        )
        status = await ufs.status("key")
        self.assertEqual((status.size, status.etag), (1000, ETAG))
        self.assertEqual(len(self.server.requests), 4)

    async def test_bounded(self) -> None:
        """Nothing is repeated for ever, and what is told is why."""
        ufs = await self.mount(refusal(503, "SlowDown"), retries="2")
        await self.fails(ufs.list(ListQuery()), StorageBusy)
        self.assertEqual(len(self.server.requests), 3)

    async def test_not_repeated(self) -> None:
        """What the server understood and refused is not asked again."""
        ufs = await self.mount(refusal(403, "AccessDenied"))
        await self.fails(ufs.list(ListQuery()), StorageDenied)
        self.assertEqual(len(self.server.requests), 1)

    async def test_reset_before_the_answer(self) -> None:
        """A connection that is reset is another's turn, for writes too."""
        ufs = await self.mount(reset, answer(200, headers=TOLD))
        await put(ufs, ".alluxio-tw/x", b"body")
        first, second = self.server.requests
        self.assertEqual((first.body, second.body), (b"body", b"body"))

    async def test_nobody_there(self) -> None:
        """A server that is not there is unavailable."""
        ufs = await self.mount(silence, retries="1")
        await self.server.stop()
        await self.fails(ufs.check(), StorageUnavailable)

    async def test_no_answer(self) -> None:
        """A server that says nothing is given up after the timeout."""
        ufs = await self.mount(silence, timeout="50ms", retries="1")
        await self.fails(ufs.status("key"), StorageUnavailable)
        self.assertEqual(len(self.server.requests), 2)

    async def test_cancelled(self) -> None:
        """Whoever gives up ends the request, and it is not repeated."""
        ufs = await self.mount(silence)
        work = ufs.status("key")
        while not self.server.requests:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        work.cancel()
        await self.fails(work, CancelledError)
        while self.server.talks:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        self.assertEqual(len(self.server.requests), 1)

    async def test_our_own_first_attempt(self) -> None:
        """A conditional write whose reply was lost does not fail for itself."""
        etag = "841a2d689ad86bd1611447453c22c6fc"  # of b"body"
        ufs = await self.mount(
            answer(404),
            reset,
            refusal(412, "PreconditionFailed"),
            answer(200, headers={**TOLD, "ETag": f'"{etag}"'}),
        )
        made = await put(ufs, "key", b"body", demand=Demand(absent=True))
        self.assertEqual(made.etag, etag)
        self.assertEqual(self.server.requests[1].headers[b"if-none-match"], b"*")

    async def test_somebody_elses(self) -> None:
        """A conditional write that another preceded fails."""
        ufs = await self.mount(answer(404), refusal(412, "PreconditionFailed"))
        work = Deferred.fromCoroutine(
            put(ufs, "key", b"body", demand=Demand(absent=True))
        )
        await self.fails(work, PreconditionFailed)

    async def test_late_error(self) -> None:
        """A copy that fails after its 200 has failed, and is repeated."""
        error = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
        done = f"<CopyObjectResult><ETag>&quot;{ETAG}&quot;</ETag></CopyObjectResult>"
        ufs = await self.mount(
            answer(200, headers=TOLD),
            answer(200, error),
            answer(200, b"\n  " + done.encode()),
            answer(200, headers=TOLD),
        )
        made = await ufs.copy("a", STATUS, "b", Attributes(), "", NO_DEMAND)
        self.assertEqual(made.etag, ETAG)
        self.assertEqual(len(self.server.requests), 4)

    async def test_damaged_upload(self) -> None:
        """A body that was damaged on its way is sent again."""
        ufs = await self.mount(
            refusal(400, "XAmzContentSHA256Mismatch"), answer(200, headers=TOLD)
        )
        await put(ufs, ".alluxio-tw/x", b"body")
        self.assertEqual(len(self.server.requests), 2)


class RemedyTests(Case):
    async def test_region(self) -> None:
        """The region that the server names is signed for, from then on."""
        ufs = await self.mount(
            refusal(400, "AuthorizationHeaderMalformed", "<Region>us-moon-1</Region>"),
            answer(200, b"<ListBucketResult></ListBucketResult>"),
        )
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        signed = [request.headers[b"authorization"] for request in self.server.requests]
        self.assertEqual([b"us-moon-1" in each for each in signed], [False, True, True])

    async def test_region_of_head(self) -> None:
        """HEAD is told the region in a header."""
        ufs = await self.mount(
            answer(301, headers={"x-amz-bucket-region": "us-moon-1"}),
            answer(200, DATA, TOLD),
        )
        await ufs.status("key")
        self.assertIn(b"us-moon-1", self.server.requests[1].headers[b"authorization"])

    async def test_once(self) -> None:
        """A server that sends us round in circles is left after one round."""
        ufs = await self.mount(
            refusal(301, "PermanentRedirect", x_amz_bucket_region="a-1"),
            refusal(301, "PermanentRedirect", x_amz_bucket_region="b-1"),
            silence,
        )
        await self.fails(ufs.list(ListQuery()), StorageUnavailable)
        self.assertEqual(len(self.server.requests), 2)

    async def test_redirected(self) -> None:
        """A redirect is followed with a signature for the new place."""
        other = ScriptedServer([answer(200, b"<ListBucketResult></ListBucketResult>")])
        endpoint = await other.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(other.stop()))
        ufs = await self.mount(
            refusal(307, "TemporaryRedirect", Location=f"{endpoint}/bucket?x")
        )
        await ufs.list(ListQuery())
        (request,) = other.requests
        self.assertEqual(request.headers[b"host"], endpoint[7:].encode())
        self.assertTrue(request.target.startswith(b"/bucket?"))

    async def test_clock(self) -> None:
        """A clock that differs is allowed for, once it was complained of."""
        late = {"Date": "Fri, 01 Jan 2038 00:00:00 GMT"}
        ufs = await self.mount(
            refusal(403, "RequestTimeTooSkewed", **late),
            answer(200, b"<ListBucketResult></ListBucketResult>"),
        )
        await ufs.list(ListQuery())
        self.assertTrue(
            self.server.requests[1].headers[b"x-amz-date"].startswith(b"20380101T0000")
        )

    async def test_head_explained(self) -> None:
        """A HEAD that is refused without a word is asked about with GET."""
        late = {"Date": "Fri, 01 Jan 2038 00:00:00 GMT"}
        ufs = await self.mount(
            answer(403, headers=late),
            refusal(403, "RequestTimeTooSkewed", **late),
            answer(200, DATA, TOLD),
        )
        await ufs.status("key")
        self.assertEqual(
            [request.method for request in self.server.requests],
            [b"HEAD", b"GET", b"HEAD"],
        )

    async def test_expired_keys(self) -> None:
        """Keys that the storage calls expired are found anew, once."""
        ufs = await self.mount(
            refusal(400, "ExpiredToken"),
            answer(200, b"<ListBucketResult></ListBucketResult>"),
        )
        found = iter("12345")

        class Found:
            def get_frozen_credentials(self) -> Any:
                return self

            token = None
            secret_key = SECRET

            def __init__(self) -> None:
                self.access_key = f"AKID{next(found)}"

        keys = FoundKeys(Found, IReactorTime(reactor), NoThreads())
        ufs._wire._learnt.keys = keys
        await ufs.list(ListQuery())
        first, second = (r.headers[b"authorization"] for r in self.server.requests)
        self.assertIn(b"Credential=AKID1/", first)
        self.assertIn(b"Credential=AKID2/", second)

    async def test_expired_for_good(self) -> None:
        """Given keys that have expired are the end of it."""
        ufs = await self.mount(refusal(400, "ExpiredToken"))
        await self.fails(ufs.list(ListQuery()), StorageDenied)
        self.assertEqual(len(self.server.requests), 1)


class ElsewhereTests(Case):
    """Answers of somebody who is no S3, or no longer where it was."""

    async def test_no_bucket(self) -> None:
        """An object is not missing where its bucket is."""
        ufs = await self.mount(
            answer(404), refusal(404, "NoSuchBucket"), answer(404), answer(404)
        )
        ufs._wire._well = -1e9
        error = await self.fails(ufs.status("key"), StorageUnavailable)
        self.assertIn("no such bucket", str(error))
        # It is asked no more than once a minute.
        await self.fails(ufs.status("key"), NoSuchPath)
        self.assertEqual(
            [request.method for request in self.server.requests],
            [b"HEAD", b"GET", b"HEAD"],
        )

    async def test_not_there(self) -> None:
        """What a write is answered so is the storage's failure, not the caller's."""
        for work in (
            lambda ufs: put(ufs, "key", b"data"),
            lambda ufs: ufs.list(ListQuery()),
        ):
            ufs = await self.mount(refusal(404, "NoSuchKey"))
            doing = work(ufs)
            if not isinstance(doing, Deferred):
                doing = Deferred.fromCoroutine(doing)
            error = await self.fails(doing, StorageUnavailable)
            self.assertIn("404 NoSuchKey", str(error))

    async def test_no_etag(self) -> None:
        """What comes without an ETag is no answer of S3, whatever its status."""
        page = answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
        ufs = await self.mount(*[page] * 4, retries="0")
        await self.fails(
            Deferred.fromCoroutine(put(ufs, "key", b"data")), StorageUnavailable
        )
        await self.fails(ufs.status("key"), StorageUnavailable)
        await self.fails(ufs.read("key", STATUS, Span(0, 10)), StorageUnavailable)

    async def test_deleted(self) -> None:
        """A page is no word of a deletion."""
        page = answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
        ufs = await self.mount(answer(200, DATA, TOLD), page)
        await self.fails(ufs.delete("key", NO_DEMAND), StorageUnavailable)

    async def other(self, *script: Act) -> tuple[ScriptedServer, str]:
        """Another server, and its endpoint."""
        server = ScriptedServer(list(script))
        endpoint = await server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server, endpoint

    async def test_for_once(self) -> None:
        """A temporary redirect is for one request; the next goes where we were told."""
        empty = answer(200, b"<ListBucketResult></ListBucketResult>")
        other, endpoint = await self.other(empty)
        ufs = await self.mount(
            refusal(307, "TemporaryRedirect", Location=f"{endpoint}/bucket"), empty
        )
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        self.assertEqual((len(self.server.requests), len(other.requests)), (2, 1))

    async def test_nowhere(self) -> None:
        """Where a redirect leads to nobody, the storage is asked again."""
        empty = answer(200, b"<ListBucketResult></ListBucketResult>")
        ufs = await self.mount(
            refusal(307, "TemporaryRedirect", Location="http://127.0.0.1:1/"), empty
        )
        await ufs.list(ListQuery())
        self.assertEqual(len(self.server.requests), 2)

    async def test_back(self) -> None:
        """Who moved for good and is there no more is looked for where we were told."""
        empty = answer(200, b"<ListBucketResult></ListBucketResult>")
        other, endpoint = await self.other(empty, empty)
        ufs = await self.mount(
            refusal(301, "PermanentRedirect", Location=f"{endpoint}/bucket"), empty
        )
        await ufs.list(ListQuery())
        await ufs.list(ListQuery())
        self.assertEqual(len(other.requests), 2)
        await other.stop()
        await ufs.list(ListQuery())
        self.assertEqual(len(self.server.requests), 2)

    async def test_all_at_once(self) -> None:
        """What one request learns of the server mends all that are under way."""
        empty = answer(200, b"<ListBucketResult></ListBucketResult>")
        wrong = refusal(
            400, "AuthorizationHeaderMalformed", "<Region>us-moon-1</Region>"
        )
        waiting: list[Talk] = []

        def judge(talk: Talk) -> None:
            if b"us-moon-1" in talk.request.headers[b"authorization"]:
                empty(talk)
                return
            waiting.append(talk)
            if len(waiting) == 5:
                # Not before all have been sent.
                for each in waiting:
                    wrong(each)

        ufs = await self.mount(judge)
        work = [ufs.list(ListQuery()) for _ in range(5)]
        for each in work:
            await each
        self.assertEqual(len(self.server.requests), 10)


class BodyTests(Case):
    async def test_taken_up_again(self) -> None:
        """A body that breaks off goes on where it stopped, of the same version."""
        ufs = await self.mount(
            broken(answer(206, DATA[100:400], TOLD, length=900)),
            part_of(DATA, 400),
        )
        body = await ufs.read("key", STATUS, Span(100, 900))
        self.assertTrue(await drain(body) == DATA[100:])
        second = self.server.requests[1].headers
        self.assertEqual(second[b"range"], b"bytes=400-999")
        self.assertEqual(second[b"if-match"], f'"{ETAG}"'.encode())

    async def test_changed_meanwhile(self) -> None:
        """A body that breaks off and has another version by then fails."""
        ufs = await self.mount(
            broken(answer(206, DATA[100:400], TOLD, length=900)),
            refusal(412, "PreconditionFailed"),
        )
        body = await ufs.read("key", STATUS, Span(100, 900))
        await self.fails(Deferred.fromCoroutine(drain(body)), ObjectChanged)

    async def test_short_for_ever(self) -> None:
        """A body that always ends too early is an error, never a short object."""
        ufs = await self.mount(broken(answer(206, b"", TOLD, length=900)), retries="2")
        body = await ufs.read("key", STATUS, Span(100, 900))
        await self.fails(Deferred.fromCoroutine(drain(body)), StorageUnavailable)

    async def test_other_length(self) -> None:
        """Another range than was asked for is not taken for it."""
        for act in (
            answer(206, DATA[:500], TOLD),
            answer(200, DATA, TOLD),
            answer(206, DATA, TOLD),
        ):
            ufs = await self.mount(act)
            await self.fails(ufs.read("key", STATUS, Span(0, 900)), StorageUnavailable)

    async def test_another_version(self) -> None:
        """A server that takes no notice of If-Match is found out by its ETag."""
        ufs = await self.mount(answer(206, DATA[:9], {**TOLD, "ETag": '"other"'}))
        await self.fails(ufs.read("key", STATUS, Span(0, 9)), ObjectChanged)

    async def test_wrong_checksum(self) -> None:
        """Bytes that do not have the object's checksum are not all handed on."""
        for damage, works in ((b"", True), (b"x", False)):
            lane = ALGORITHMS["crc64nvme"].make()
            lane.update(DATA + damage)
            value = base64.b64encode(lane.digest()).decode()
            told = {**TOLD, "x-amz-checksum-crc64nvme": value}
            ufs = await self.mount(answer(200, DATA, told))
            body = await ufs.read("key", STATUS, Span(0, 1000))
            work = Deferred.fromCoroutine(drain(body))
            if works:
                self.assertTrue(await work == DATA)
            else:
                await self.fails(work, StorageUnavailable)

    async def test_encoding_kept(self) -> None:
        """What an object is encoded in is its own affair."""
        told = {**TOLD, "Content-Encoding": "gzip"}
        ufs = await self.mount(answer(200, DATA, told))
        body = await ufs.read("key", STATUS, Span(0, 1000))
        self.assertTrue(await drain(body) == DATA)

    async def test_backpressure(self) -> None:
        """Nobody reads, so the server must wait; whoever closes ends it."""
        size = 64 << 20
        flood = Flood(size, TOLD)
        ufs = await self.mount(flood)
        status = Status(size, ETAG, ETAG, 0)
        body = await ufs.read("key", status, Span(0, size))
        await body.read()
        before = -1
        while before != flood.sent:
            before = flood.sent
            await deferLater(IReactorTime(reactor), 0.05, lambda: None)
        # The sockets of both ends hold some megabytes; we hold half of one.
        self.assertLess(flood.sent, 16 << 20)
        arrival = body._arrival
        self.assertLess(arrival._held, 1 << 20)
        body.close()
        body.close()
        while self.server.talks:
            await deferLater(IReactorTime(reactor), 0.001, lambda: None)
        self.assertIsNone(await body.read())

    async def test_stalled(self) -> None:
        """A body that stalls is given up and asked for again."""
        ufs = await self.mount(
            answer(206, DATA[:10], TOLD, length=900),
            part_of(DATA[:900], 10),
            timeout="50ms",
        )
        body = await ufs.read("key", STATUS, Span(0, 900))
        self.assertTrue(await drain(body) == DATA[:900])

    async def test_gone(self) -> None:
        """What is gone is gone, what is past the end has changed."""
        ufs = await self.mount(refusal(404, "NoSuchKey"), refusal(416, "InvalidRange"))
        await self.fails(ufs.read("key", STATUS, Span(0, 9)), NoSuchPath)
        await self.fails(ufs.read("key", STATUS, Span(0, 9)), ObjectChanged)

    async def test_endless_document(self) -> None:
        """A listing without end is not read to it."""
        flood = Flood(1 << 40, {})
        ufs = await self.mount(flood, retries="0")
        await self.fails(ufs.list(ListQuery()), StorageUnavailable)
        self.assertLess(flood.sent, 64 << 20)


class SecretTests(Case):
    async def test_never_shown(self) -> None:
        """No secret is in a log, a message or a repr."""
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        ufs = await self.mount(
            refusal(403, "SignatureDoesNotMatch"),
            reset,
            silence,
            retries="0",
            timeout="50ms",
        )
        texts = [repr(ufs), repr(ufs._wire), repr(ufs._given), repr(ufs._bucket)]
        for _ in range(3):
            try:
                await ufs.list(ListQuery())
            except Exception as error:
                texts += [str(error), repr(error), repr(error.__cause__)]
        texts.append(repr(events))
        for text in texts:
            self.assertNotIn(SECRET, text)
            self.assertNotIn(TOKEN, text)
        (request, *_) = self.server.requests
        self.assertEqual(request.headers[b"x-amz-security-token"], TOKEN.encode())

    def test_keys(self) -> None:
        """Keys do not tell what they are."""
        self.assertNotIn("s3cret", repr(Keys("AKID", "s3cret", "s3cret")))

    async def test_chain(self) -> None:
        """A profile's keys are found by botocore's chain, and their loss is told."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(
                f"[far]\naws_access_key_id=AKFAR\naws_secret_access_key={SECRET}\n"
            )
        document = answer(200, b"<ListBucketResult></ListBucketResult>")
        options = {"access_key": "", "secret_key": "", "session_token": ""}
        ufs = await self.mount(
            document, **options, profile="far", credentials_file=path
        )
        await ufs.list(ListQuery())
        signed = self.server.requests[0].headers[b"authorization"]
        self.assertIn(b"Credential=AKFAR/", signed)
        missing = await self.mount(
            document, **options, profile="none", credentials_file=path
        )
        error = await self.fails(missing.list(ListQuery()), StorageUnavailable)
        self.assertNotIn(path, str(error))

    async def test_anonymous(self) -> None:
        """Nobody signs nothing."""
        ufs = await self.mount(
            answer(200, b"<ListBucketResult></ListBucketResult>"),
            access_key="",
            secret_key="",
            session_token="",
            anonymous="true",
        )
        await ufs.list(ListQuery())
        headers = self.server.requests[0].headers
        self.assertFalse([n for n in headers if n.startswith((b"x-amz", b"auth"))])


class TLSTests(Case):
    async def far(self, interface: str = "127.0.0.1", **options: str) -> Any:
        """A mount of a server with TLS whose authority nobody else knows."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.authority = Authority.make(folder)
        self.authority.issue()
        server = self.server = ScriptedServer(
            [answer(200, b"<ListBucketResult></ListBucketResult>")]
        )
        endpoint = await server.start(
            f"{folder}/server.pem", f"{folder}/server.key", interface
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        given = {name: value.format(folder) for name, value in options.items()}
        ufs = make(
            "s3://bucket",
            {
                "endpoint": endpoint,
                "region": "r-1",
                "access_key": "AKID",
                "secret_key": SECRET,
                **given,
            },
            Surroundings(IReactorTime(reactor), NoThreads()),
        )
        self.addCleanup(ufs.close)
        return ufs

    async def test_unknown_authority(self) -> None:
        """A server that proves nothing is told nothing, and not asked again."""
        ufs = await self.far()
        error = await self.fails(ufs.check(), StorageUnavailable)
        self.assertIn("certificate", str(error))
        self.assertEqual(self.server.requests, [])

    async def test_known_authority(self) -> None:
        """An authority of one's own is trusted where it is named."""
        ufs = await self.far(ca_file="{}/ca.pem")
        await ufs.check()

    async def test_another_host(self) -> None:
        """A certificate for another host is none."""
        ufs = await self.far("127.0.0.2", ca_file="{}/ca.pem")
        error = await self.fails(ufs.check(), StorageUnavailable)
        self.assertIn("certificate", str(error))
        self.assertEqual(self.server.requests, [])

    async def test_unverified(self) -> None:
        """Whoever says so outright believes anybody."""
        ufs = await self.far(verify="false")
        await ufs.check()

    def test_no_authority(self) -> None:
        """A file without a certificate is refused by name, not by path."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("nothing")
        with self.assertRaises(WrongConfiguration) as caught:
            make(
                "s3://bucket",
                {"ca_file": os.path.abspath(path)},
                Surroundings(IReactorTime(reactor), NoThreads()),
            )
        self.assertNotIn(os.path.abspath(path), str(caught.exception))


class WordsTests(SynchronousTestCase):
    def test_nouns(self) -> None:
        """Codes and statuses are nouns of ours."""
        for status, code, noun in (
            (404, "NoSuchKey", NoSuchPath),
            (404, "", NoSuchPath),
            (404, "NoSuchBucket", StorageUnavailable),
            (403, "InvalidAccessKeyId", StorageDenied),
            (403, "", StorageDenied),
            (503, "SlowDown", StorageBusy),
            (503, "", StorageUnavailable),
            (500, "InternalError", StorageUnavailable),
            (507, "", StorageFull),
            (400, "KeyTooLongError", UnsuitableKey),
            (400, "BadDigest", StorageUnavailable),
            (400, "Unheard-Of", StorageUnavailable),
        ):
            body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
            self.assertIs(type(complaint(status, body).noun()), noun, (status, code))

    def test_no_document(self) -> None:
        """What is no document is read as a failure without a code."""
        for body in (b"", b"<html>", b"<!DOCTYPE x><Error/>", b"\xff", b"<Other/>"):
            self.assertEqual(complaint(500, body).code, "")

    def test_addresses(self) -> None:
        """Styles and regions make the URLs of AWS and of others."""
        for address, key, url in (
            (
                Address("b", "", "", "eu-west-1"),
                "a b/c",
                b"https://b.s3.eu-west-1.amazonaws.com/a%20b/c",
            ),
            (
                Address("b.c", "", "", "cn-north-1"),
                "k",
                b"https://s3.cn-north-1.amazonaws.com.cn/b.c/k",
            ),
            (Address("b", "http://h:9000", "", "r"), "/k", b"http://h:9000/b//k"),
            (
                Address("b", "http://h:9000", "virtual", "r"),
                "/k",
                b"http://b.h:9000/%2Fk",
            ),
            (Address("b", "http://h:9000", "", "r"), None, b"http://h:9000/b"),
        ):
            self.assertEqual(address.target(key).url, url)

    def test_no_downgrade(self) -> None:
        """From TLS no redirect leads away from it, nor to nowhere."""
        address = Address("b", "https://h", "path", "r")
        for location in (
            "http://h/b",
            "https://u:p@h2/b",
            "/b",
            "",
            "ftp://h/b",
            "https://h",
        ):
            self.assertFalse(address.follow(location), location)
        self.assertEqual(address.base, "https://h")

    def test_options(self) -> None:
        """Options come from the query, beside it, and under Alluxio's names."""
        made = read_options(
            "s3a://bucket/a/b/?connections=7&style=path",
            {
                "alluxio.underfs.s3.upload.threads.max": "9",
                "s3a.accessKeyId": "A",
                "s3a.secretKey": SECRET,
                "alluxio.underfs.s3.endpoint": "storage:9000",
                "alluxio.underfs.s3.secure.http.enabled": "false",
            },
        )
        self.assertEqual((made.bucket, made.root), ("bucket", "a/b/"))
        self.assertEqual((made.connections, made.upload_threads), (7, 9))
        self.assertEqual(made.endpoint, "http://storage:9000")
        self.assertNotIn(SECRET, repr(made))

    def test_upload_memory(self) -> None:
        """How much uploads may hold is said in bytes, or in parts."""
        buffers = {"alluxio.underfs.s3.multipart.upload.buffer.number": "3"}
        for options, memory in (
            ({}, 256 << 20),
            ({**buffers, "part_size": "5MB"}, 15 << 20),
            ({**buffers, "upload_memory": "64MB"}, 64 << 20),
        ):
            self.assertEqual(read_options("s3://bucket", options).upload_memory, memory)

    def test_wrong_options(self) -> None:
        """What cannot be used is refused, and no secret is quoted."""
        for uri, options in (
            ("s3://", {}),
            ("s3:///bucket", {}),
            ("s3://b_/", {"part_size": "1MB"}),
            ("s3://bucket", {"access_key": SECRET}),
            ("s3://bucket", {"endpoint": "http://u:p@h"}),
            ("s3://bucket", {"endpoint": "ftp://h"}),
            ("s3://bucket", {"verify": "no"}),
            ("s3://bucket", {"connections": "0"}),
            ("s3://bucket", {"retries": "-1"}),
            ("s3://bucket", {"regoin": "x"}),
            ("s3://bucket", {"region": "not a region"}),
            ("s3://bucket", {"anonymous": "true", "profile": "p"}),
        ):
            with self.assertRaises(WrongConfiguration) as caught:
                read_options(uri, options)
            self.assertNotIn(SECRET, str(caught.exception))

    def test_unsuitable(self) -> None:
        """Dot segments cannot lead out of a mount's prefix."""
        ufs = make(
            "s3://bucket/prefix", {}, Surroundings(IReactorTime(reactor), NoThreads())
        )
        for key in ("", "..", "../x", "a/../../x", "a/.", "\0", "x" * 1020, "\ud800"):
            self.failureResultOf(ufs.place(key, None), UnsuitableKey)
            self.failureResultOf(ufs.status(key), NoSuchPath)

    def test_room(self) -> None:
        """Room is given in the order asked for, and never more than there is."""
        room = Room(10)
        self.successResultOf(room.take(8))
        second, third = room.take(5), room.take(1)
        self.assertNoResult(second)
        self.assertNoResult(third)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)
        self.assertEqual(room.taken, 9)
        room.give(9)
        self.assertEqual(room.taken, 0)

    def test_byte_by_byte(self) -> None:
        """A writer of single bytes costs no object for each."""
        held = Held()
        for _ in range(200_000):
            held.add(b"x")
        self.assertEqual(b"".join(held.settle()), b"x" * 200_000)
        self.assertLess(len(held.pieces), 10)
