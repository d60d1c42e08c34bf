"""
HTTP as no SDK would speak it: bare connections.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import socket
import time
from typing import ClassVar

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up, until
from tests.blackbox.wire import Answer, Wire

DATA = random.Random(11).randbytes(2_000_000)
MB = 1 << 20


class WireCase(BlackboxCase):
    """
    A test with a bucket and bytes.
    """

    def raw(self, data: bytes, secure: bool = False) -> Answer:
        """Send bytes on a connection of their own; it must be closed after the answer."""
        wire = self.wire(secure)
        wire.send(data)
        answer = wire.answer()
        self.assertTrue(wire.closed(), data[:100])
        self.assertEqual(answer.headers.get("connection"), "close")
        return answer


class MalformedTests(WireCase):
    """
    What is no HTTP.
    """

    def test_malformed(self) -> None:
        """Malformed HTTP is answered 400, in XML, and the connection closed."""
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA\0B: c\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
            b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
            b"\r\n\r\n\0\0\0\0\r\n\r\n",
        ):
            answer = self.raw(data)
            self.assertEqual(answer.status, 400, data)
            self.assertTrue(answer.code, data)

    def test_smuggling(self) -> None:
        """A request whose end two readers could see in two places is refused."""
        body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        start = b"POST /demo?delete HTTP/1.1\r\nHost: x\r\n"
        for head in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Content-Length: 5, 6\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: gzip\r\n",
            b"Transfer-Encoding : chunked\r\n",
            b"Transfer-Encoding:\x0bchunked\r\n",
            b"X: y\r\n Transfer-Encoding: chunked\r\n",
            b"X: y\n",
            b"X: y\rZ: w\r\n",
        ):
            wire = self.wire()
            wire.send(start + head + b"\r\n" + body)
            answer = wire.answer()
            self.assertEqual(answer.status // 100, 4, head)
            self.assertTrue(wire.closed(), head)
        log = self.daemon.path("data", "logs", "access.log")
        until(lambda: "delete" in open(log).read(), 5)
        self.assertNotIn("smuggled", open(log).read())

    def test_wrong_chunks(self) -> None:
        """A chunked body that is malformed is refused, and nothing stored."""
        bucket = self.bucket()
        for chunks in (
            b"zz\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\n0\n\n",
        ):
            answer = self.raw(
                b"PUT /%b/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                b"x-amz-decoded-content-length: 5\r\n\r\n%b" % (bucket.encode(), chunks)
            )
            self.assertEqual(answer.status // 100, 4, chunks)
        self.assertEqual(self.wire().ask("GET", f"/{bucket}/a").code, "NoSuchKey")

    def test_limits(self) -> None:
        """A header block over 16 KiB or a URL over 8 KiB is refused."""
        bucket = self.bucket()
        wire = self.wire()
        fits = wire.ask("GET", f"/{bucket}?x={'y' * 8000}")
        self.assertEqual(fits.status, 200)
        fits = wire.ask("GET", f"/{bucket}", **{"x-a": "y" * 16_000})
        self.assertEqual(fits.status, 200)
        host = b"Host: x\r\n"
        many = b"".join(b"X-%d: y\r\n" % n for n in range(5000))
        for data, code in (
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n", "InvalidURI"),
            (b"GET /" + b"a" * 100_000, "InvalidURI"),
            (
                b"GET / HTTP/1.1\r\n" + host + b"X: " + b"y" * 17_000 + b"\r\n\r\n",
                "RequestHeaderSectionTooLarge",
            ),
            (b"GET / HTTP/1.1\r\n" + host + many, "RequestHeaderSectionTooLarge"),
            (
                b"GET / HTTP/1.1\r\n" + host + b"X: " + b"y" * 100_000,
                "RequestHeaderSectionTooLarge",
            ),
        ):
            wire = self.wire()
            with contextlib.suppress(ConnectionError):
                wire.send(data)
            answer = wire.answer()
            self.assertEqual((answer.status, answer.code), (400, code), data[:50])

    def test_endless_head(self) -> None:
        """A header block that never ends is cut off early."""
        wire = self.wire()
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64 * MB:
                wire.send(b"y" * 65_536)
                sent += 65_536
        self.assertLess(sent, 32 * MB)

    def test_host(self) -> None:
        """HTTP/1.1 needs a Host."""
        answer = self.raw(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"))
        answer = self.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"))

    def test_methods(self) -> None:
        """A method that S3 has not is 405, and says which there are."""
        for method, target in (
            ("PATCH", "/demo/a"),
            ("DELETE", "/"),
            ("TRACE", "/demo"),
            ("PROPFIND", "/demo/a"),
        ):
            answer = self.wire().ask(method, target)
            self.assertEqual((answer.status, answer.code), (405, "MethodNotAllowed"))
            self.assertIn("GET", answer.headers["allow"])

    def test_upgrade(self) -> None:
        """An Upgrade is passed over, and the connection goes on."""
        wire = self.wire()
        for _ in range(3):
            answer = wire.ask(
                "GET", "/", connection="Upgrade, HTTP2-Settings", upgrade="h2c"
            )
            self.assertEqual(answer.status, 200)
        answer = self.wire().ask("CONNECT", "/")
        self.assertEqual(answer.status // 100, 4)

    def test_uris(self) -> None:
        """A target that is no URI is refused; one in absolute form is served."""
        bucket = self.bucket()
        wire = self.wire()
        wire.ask("PUT", f"/{bucket}/a", b"x")
        for target in ("/%zz", "/demo/%", "/demo/%ff", "/demo/a%00b"):
            answer = self.wire().ask("GET", target)
            self.assertEqual((answer.status, answer.code), (400, "InvalidURI"), target)
        answer = wire.ask("GET", f"http://{wire.host}/{bucket}/a")
        self.assertEqual(answer.body, b"x")


class FlowTests(WireCase):
    """
    Requests after, and within, each other.
    """

    def test_keep_alive(self) -> None:
        """A connection serves one request after the other, whatever they were."""
        for secure in (False, True):
            bucket = self.bucket()
            wire = self.wire(secure)
            for number in range(20):
                body = DATA[: number * 10_000]
                target = f"/{bucket}/{number}"
                self.assertEqual(wire.ask("PUT", target, body).status, 200)
                self.assertEqual(wire.ask("GET", target).body, body)
                self.assertEqual(wire.ask("HEAD", target).status, 200)
                self.assertEqual(wire.ask("GET", f"{target}/no").status, 404)
                self.assertEqual(wire.ask("DELETE", target).status, 204)

    def test_pipelining(self) -> None:
        """Requests that arrive together are answered in order, whatever they take."""
        bucket = self.bucket()
        for secure in (False, True):
            wire = self.wire(secure)
            sizes = [0, 5, 100_000, 7, MB, 1, 2, 3] * 6
            batch: list[bytes] = []
            for number, size in enumerate(sizes):
                target = f"/{bucket}/{number}".encode()
                batch.append(
                    b"PUT %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                    b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
                    b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n"
                    % (target, size, DATA[:size], target, target)
                )
            wire.pour(b"".join(batch))
            for size in sizes:
                self.assertEqual(wire.answer().status, 200)
                self.assertEqual(wire.answer().body, DATA[:size])
                head = wire.answer("HEAD")
                self.assertEqual(head.headers["content-length"], str(size))

    def test_many_at_once(self) -> None:
        """A thousand small requests in one packet are all answered."""
        bucket = self.bucket()
        self.wire().ask("PUT", f"/{bucket}/a", b"hello")
        wire = self.wire()
        request = b"GET /%b/a HTTP/1.1\r\nHost: x\r\n\r\n" % bucket.encode()
        wire.pour(request * 1000)
        for _ in range(1000):
            self.assertEqual(wire.answer().body, b"hello")

    def test_dribble(self) -> None:
        """A request that arrives byte by byte is as good as any."""
        bucket = self.bucket()
        wire = self.wire()
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = (
            b"PUT /%b/a%%20b HTTP/1.1\r\nHost: x\r\nx-amz-meta-a: b\r\n"
            b"Transfer-Encoding: chunked\r\nx-amz-decoded-content-length: 5\r\n"
            b"\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n" % bucket.encode()
        )
        for at in range(len(whole)):
            wire.send(whole[at : at + 1])
        self.assertEqual(wire.answer().status, 200)
        got = wire.ask("GET", f"/{bucket}/a b".replace(" ", "%20"))
        self.assertEqual((got.body, got.headers["x-amz-meta-a"]), (b"hello", "b"))

    def test_chunked(self) -> None:
        """A chunked body without a length is taken, or refused as 411, and in step."""
        bucket = self.bucket()
        wire = self.wire()
        wire.send(
            b"PUT /%b/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" % bucket.encode()
        )
        answer = wire.answer()
        if answer.status == 200:
            self.assertEqual(wire.ask("GET", f"/{bucket}/a").body, b"hello world")
        else:
            self.assertEqual(answer.code, "MissingContentLength")

    def test_no_length(self) -> None:
        """A PUT that does not say how long its body is is 411."""
        wire = self.wire()
        wire.send(b"PUT /demo/a HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = wire.answer()
        self.assertEqual((answer.status, answer.code), (411, "MissingContentLength"))

    def test_unread_body(self) -> None:
        """A body that nobody wanted does not become the next request."""
        wire = self.wire()
        wire.send(
            b"GET /demo?location HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n"
            b"GET /smuggled HTTP/1.1\r\nHost: y\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        self.assertIn(b"LocationConstraint", wire.answer().body)
        self.assertIn(b"ListAllMyBucketsResult", wire.answer().body)

    def test_http_1_0(self) -> None:
        """HTTP/1.0 is answered and closed, or kept open if it asks for that."""
        bucket = self.bucket()
        self.wire().ask("PUT", f"/{bucket}/a", b"hello")
        answer = self.raw(b"GET /%b/a HTTP/1.0\r\n\r\n" % bucket.encode())
        self.assertEqual((answer.status, answer.body), (200, b"hello"))
        wire = self.wire()
        for _ in range(3):
            wire.send(
                b"GET /%b/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                % bucket.encode()
            )
            answer = wire.answer()
            self.assertEqual(answer.headers["connection"], "keep-alive")
            self.assertEqual(answer.body, b"hello")

    def test_close(self) -> None:
        """Connection: close is honoured."""
        answer = self.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(answer.status, 200)

    def test_every_answer(self) -> None:
        """Every answer has its request id, and every error a document with it."""
        ids = set()
        for target in ("/", "/demo", "/demo/nothing", "/no-such", "/demo?acl"):
            answer = self.wire().ask("GET", target)
            ids.add(answer.headers["x-amz-request-id"])
            self.assertTrue(answer.headers["x-amz-id-2"])
            self.assertTrue(answer.headers["date"])
            if answer.status >= 400:
                self.assertIn(
                    f"<RequestId>{answer.headers['x-amz-request-id']}<".encode(),
                    answer.body,
                )
                self.assertEqual(answer.headers["content-type"], "application/xml")
        self.assertEqual(len(ids), 5)


class ContinueTests(WireCase):
    """
    Expect: 100-continue.
    """

    def expecting(self, target: str, size: int, **headers: str) -> Wire:
        wire = self.wire()
        wire.request(
            "PUT",
            target,
            **{"expect": "100-continue", "content-length": str(size), **headers},
        )
        return wire

    def test_accepted(self) -> None:
        """Who may send the body is told to go on, and then how it went."""
        bucket = self.bucket()
        wire = self.expecting(f"/{bucket}/a", len(DATA))
        self.assertEqual(wire.head(), (100, {}))
        wire.send(DATA)
        self.assertEqual(wire.answer().status, 200)
        self.assertEqual(wire.ask("GET", f"/{bucket}/a").body, DATA)

    def test_empty(self) -> None:
        """Who waits to send nothing is told to go on as well, and the connection kept."""
        bucket = self.bucket()
        wire = self.wire()
        for target, status in ((f"/{bucket}/a", 200), ("/no-such-bucket/a", 404)) * 2:
            wire.request("PUT", target, expect="100-continue")
            self.assertEqual(wire.head(), (100, {}))
            self.assertEqual(wire.answer().status, status)

    def test_at_once(self) -> None:
        """Who does not wait for it is served as well."""
        bucket = self.bucket()
        wire = self.expecting(f"/{bucket}/a", 5)
        wire.send(b"hello")
        status, _ = wire.head()
        if status == 100:
            status, _ = wire.head()
        self.assertEqual(status, 200)

    def test_refused(self) -> None:
        """What will be refused is refused before the body, which is never sent."""
        bucket = self.bucket()
        wire = self.wire()
        wire.ask("PUT", f"/{bucket}/there", b"old")
        received = "alluxio_s3_received_bytes_total"
        before = self.daemon.metric(received, operation="PutObject")
        for target, headers, code in (
            ("/no-such-bucket/a", {}, "NoSuchBucket"),
            (f"/{bucket}/there", {"if-none-match": "*"}, "PreconditionFailed"),
            (f"/{bucket}/there", {"if-match": '"no"'}, "PreconditionFailed"),
            (f"/{bucket}/a", {"content-md5": "x"}, "InvalidDigest"),
            (f"/{bucket}/a", {"x-amz-tagging": "aws:a=b"}, "InvalidTag"),
            (f"/{bucket}/a", {"x-amz-meta-a": "x" * 3000}, "MetadataTooLarge"),
            (
                f"/{bucket}/a",
                {"x-amz-acl": "public-read"},
                "AccessControlListNotSupported",
            ),
            (
                f"/{bucket}/a",
                {"x-amz-server-side-encryption": "aws:kms"},
                "NotImplemented",
            ),
            (f"/{bucket}/{'k' * 300}", {}, "InvalidArgument"),
            (f"/{bucket}/a?uploadId=none&partNumber=1", {}, "NoSuchUpload"),
            (f"/{bucket}/a?retention", {}, "NotImplemented"),
            ("/demo/a", {"authorization": "nonsense"}, "AuthorizationHeaderMalformed"),
        ):
            wire = self.expecting(target, 4 * MB, **headers)
            answer = wire.answer()
            self.assertEqual(answer.code, code, target)
            self.assertTrue(wire.closed(), target)
        wire = self.expecting(f"/{bucket}/a", 6 << 30)
        self.assertEqual(wire.answer().code, "EntityTooLarge")
        self.assertEqual(self.daemon.metric(received, operation="PutObject"), before)

    def test_refused_while_sending(self) -> None:
        """Who sends on regardless can still read why it was refused."""
        wire = self.wire()
        wire.request("PUT", "/no-such-bucket/a", **{"content-length": str(3 * MB)})
        with contextlib.suppress(ConnectionError):
            wire.send(bytes(3 * MB))
        self.assertEqual(wire.answer().code, "NoSuchBucket")


class TimeTests(WireCase):
    """
    Clients that take their time.
    """

    setting = set_up(
        "alluxio.worker.s3.connection.idle.max.time=1s",
        "alluxio.worker.s3.header.timeout=1s",
        "alluxio.worker.s3.request.body.timeout=1s",
        "alluxio.worker.s3.write.timeout=2s",
    )
    LONGEST: ClassVar[float] = 6.0

    def took(self, wire: Wire) -> float:
        """Seconds until the connection is closed from the other end."""
        begun = time.monotonic()
        wire.socket.settimeout(20)
        with contextlib.suppress(ConnectionError):
            wire.rest()
        return time.monotonic() - begun

    def test_idle(self) -> None:
        """A connection that is idle too long is closed, before or after a request."""
        fresh, used = self.wire(), self.wire()
        used.ask("GET", "/")
        self.assertLess(self.took(fresh), self.LONGEST)
        self.assertLess(self.took(used), self.LONGEST)

    def test_head(self) -> None:
        """A header block that takes too long is answered 400 and closed."""
        wire = self.wire()
        wire.send(b"GET / HT")
        begun = time.monotonic()
        answer = wire.answer()
        self.assertEqual((answer.status, answer.code), (400, "RequestTimeout"))
        self.assertLess(time.monotonic() - begun, self.LONGEST)
        self.assertTrue(wire.closed())

    def test_dribbled_head(self) -> None:
        """A byte now and then does not make a header block quick enough."""
        wire = self.wire()
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000:
                wire.send(bytes([byte]))
                time.sleep(0.2)
                if time.monotonic() - begun > self.LONGEST:
                    break
        with contextlib.suppress(ConnectionError):
            answer = wire.answer()
            self.assertEqual(answer.code, "RequestTimeout")
        self.assertLess(time.monotonic() - begun, self.LONGEST + 1)

    def test_body(self) -> None:
        """A body that does not come on is answered 400, and the old object stays."""
        bucket = self.bucket()
        self.wire().ask("PUT", f"/{bucket}/a", b"old")
        wire = self.wire()
        wire.send(
            b"PUT /%b/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello"
            % bucket.encode()
        )
        answer = wire.answer()
        self.assertEqual((answer.status, answer.code), (400, "RequestTimeout"))
        self.assertTrue(wire.closed())
        self.assertEqual(self.wire().ask("GET", f"/{bucket}/a").body, b"old")

    def test_reader(self) -> None:
        """A reader that takes nothing is cut off."""
        bucket = self.bucket()
        self.s3().put_object(Bucket=bucket, Key="a", Body=bytes(32 * MB))
        wire = self.wire(receive_buffer=4096)
        wire.request("GET", f"/{bucket}/a")
        connections = "alluxio_s3_connections"
        until(lambda: self.daemon.metric(connections, scheme="http") >= 1, 5)
        wire.head()
        until(
            lambda: self.daemon.metric(connections, scheme="http") == 0,
            12,
            "the connection is cut off",
        )

    def test_slow_is_served(self) -> None:
        """Who is slow, but not too slow, is served to the end."""
        bucket = self.bucket()
        self.s3().put_object(Bucket=bucket, Key="a", Body=DATA)
        wire = self.wire(receive_buffer=65_536)
        wire.request("GET", f"/{bucket}/a")
        wire.head()
        got = b""
        while len(got) < len(DATA):
            got += wire.take(min(250_000, len(DATA) - len(got)))
            time.sleep(0.5)
        self.assertEqual(got, DATA)


class ConnectionLimitTests(WireCase):
    """
    Connections beyond the limit.
    """

    setting = set_up("alluxio.worker.s3.connections.max=8")

    def test_limit(self) -> None:
        """More connections than the limit are closed; when some go, others are taken."""
        wires = [self.wire() for _ in range(8)]
        for wire in wires:
            self.assertEqual(wire.ask("GET", "/").status, 200)
        self.assertTrue(self.wire().closed())
        refused = "alluxio_s3_connections_refused_total"
        self.assertGreaterEqual(self.daemon.metric(refused), 1)
        wires.pop().close()
        connections = "alluxio_s3_connections"
        until(lambda: self.daemon.metric(connections, scheme="http") < 8, 5)
        self.assertEqual(self.wire().ask("GET", "/").status, 200)


class KeepAliveTests(WireCase):
    """
    Connections that are not kept.
    """

    setting = set_up("alluxio.worker.s3.connection.keep.alive.enabled=false")

    def test_off(self) -> None:
        """Without keep-alive every answer closes its connection."""
        answer = self.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(answer.status, 200)


class SlowTests(WireCase):
    """
    Slow clients and slow storage cost no memory.
    """

    own = True
    setting = set_up(
        mounts=("slow=slow+file://{here}/slow?bandwidth=200KB&cache=false",),
        secure=True,
    )

    def test_readers(self) -> None:
        """Many readers who do not read cost little memory, over HTTP and TLS."""
        size = 64 * MB
        path = self.daemon.path("data", "buckets", "demo", "large")
        with open(path, "wb") as file:
            file.truncate(size)
        wires = []
        for number in range(48):
            wire = self.wire(secure=number % 4 == 0)
            wire.request("GET", "/demo/large")
            wires.append(wire)
        for wire in wires:
            self.assertEqual(wire.head()[1]["content-length"], str(size))
            wire.take(100_000)
        self.assertLess(self.daemon.rss(), 180 * MB)
        # Others are served meanwhile.
        self.assertEqual(self.wire().ask("GET", "/").status, 200)

    def test_writers(self) -> None:
        """What a slow storage cannot take yet waits in the client, not in memory."""
        before = self.daemon.rss()
        wires = []
        for number in range(8):
            wire = self.wire(secure=number % 4 == 0)
            wire.request("PUT", f"/slow/{number}", **{"content-length": str(256 * MB)})
            wire.socket.settimeout(1.0)
            wires.append(wire)
        sent = 0
        piece = bytes(MB)
        for wire in wires:
            with contextlib.suppress(TimeoutError):
                for _ in range(256):
                    wire.send(piece)
                    sent += MB
        self.assertLess(sent, 8 * 24 * MB)
        self.assertLess(self.daemon.rss() - before, 64 * MB)
        for wire in wires:
            wire.close()
        self.forgive("IncompleteBody")


class DigestTests(WireCase):
    """
    Content-MD5 as curl would send it.
    """

    def test_md5(self) -> None:
        """The right Content-MD5 is taken."""
        bucket = self.bucket()
        md5 = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
        answer = self.wire().ask(
            "PUT", f"/{bucket}/a", b"hello", **{"content-md5": md5}
        )
        self.assertEqual(answer.status, 200)
