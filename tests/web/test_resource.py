"""
The leaf: which operation a request is, and what becomes of those that are none.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.s3.routing import _TABLE, OPERATIONS
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.web.operations import OPERATIONS as BUILT
from tests.doubles import FaultyUFS
from tests.web.edges import asked
from tests.web.services import ServiceCase


def request_of(kind: Any, method: str, subresource: str, when: str) -> tuple[str, str]:
    """A method and target that mean a line of the routing table."""
    target = {"service": "/", "bucket": "/bkt", "object": "/bkt/k"}[kind.value]
    parameters = [subresource] if subresource else []
    if when.startswith("+"):
        name, equals, value = when[1:].partition("=")
        parameters.append(f"{name}={value if equals else 'x'}")
    if subresource == "uploadId":
        parameters.append("partNumber=1")
    return method, target + "?" * bool(parameters) + "&".join(parameters)


class RoutingTests(ServiceCase):
    def test_not_built(self) -> None:
        """What is not built is answered so, and touches nothing."""
        self.put("k", b"data")
        names = set()
        for kind, lines in _TABLE:
            for method, subresource, when, name, _ in lines:
                if name in BUILT or name in names:
                    continue
                names.add(name)
                method, target = request_of(kind, method, subresource, when)
                answer = self.ask(method, target, b"<x/>" if method != "GET" else b"")
                self.assertEqual(
                    (answer.code, answer.status), ("NotImplemented", 501), name
                )
                self.assertEqual(self.service.accounted[-1].operation, name)
        self.assertEqual(
            names, set(OPERATIONS) - set(BUILT) - {"WriteGetObjectResponse"}
        )
        self.refused("NotImplemented", 501, "POST", "/WriteGetObjectResponse", b"x")
        self.assertEqual(self.keys(), ["k"])
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"data")

    def test_built(self) -> None:
        """What is built is called by its name."""
        for kind, lines in _TABLE:
            for method, subresource, when, name, _ in lines:
                if name not in BUILT or when == "copy":
                    continue
                method, target = request_of(kind, method, subresource, when)
                answer = self.ask(method, target)
                self.assertNotEqual(answer.status, 501, name)
                self.assertLess(answer.status, 500, (name, answer))
                self.assertEqual(self.service.accounted[-1].operation, name)

    def test_wrong_methods(self) -> None:
        """A method that a resource has not is refused with those that it has."""
        for method, target, allowed in (
            ("PATCH", "/bkt/k", "DELETE, GET, HEAD, OPTIONS, PUT"),
            ("PUT", "/", "GET"),
            ("DELETE", "/bkt?location", "GET"),
            ("POST", "/bkt/k?tagging", "DELETE, GET, PUT"),
        ):
            answer = self.refused("MethodNotAllowed", 405, method, target)
            self.assertEqual(answer.headers["allow"], allowed)
        answer = self.ask("HEAD", "/", status=405)
        self.assertEqual((answer.headers["allow"], answer.body), ("GET", b""))

    def test_conflicting(self) -> None:
        """Two subresources at once are refused, whatever they are."""
        self.refused("InvalidArgument", 400, "GET", "/bkt?acl&tagging")
        self.refused("InvalidArgument", 400, "DELETE", "/bkt/k?tagging&uploadId=x")

    def test_errors(self) -> None:
        """An error is a document that says which request it was."""
        answer = self.refused("NoSuchKey", 404, "GET", "/bkt/<&>")
        document: Any = etree.fromstring(answer.body)
        self.assertEqual(document.tag, "Error")
        self.assertEqual(document.findtext("Resource"), "/bkt/<&>")
        self.assertEqual(
            document.findtext("RequestId"), answer.headers["x-amz-request-id"]
        )
        self.assertEqual(document.findtext("HostId"), answer.headers["x-amz-id-2"])

    def test_absolute(self) -> None:
        """A target may be written with its host."""
        self.put("k", b"data")
        answer = self.service.wire.ask("GET", "http://elsewhere/bkt/k")
        self.assertEqual(answer.body, b"data")

    def test_raw_bytes(self) -> None:
        """A target is of ASCII; of another, not even a HEAD is answered in its body."""
        for method in ("GET", "HEAD"):
            answer = self.service.connect().ask(method, "/bkt/\xc3\xbc")
            self.assertEqual(answer.status, 400)
            self.assertEqual(answer.code, "InvalidURI" if method == "GET" else "")

    def test_options(self) -> None:
        """A request that is for nobody is answered."""
        for target in ("*", "elsewhere:443", "ftp://x/y"):
            answer = self.service.connect().ask("OPTIONS", target)
            self.assertGreaterEqual(answer.status, 400)
            self.assertLess(answer.status, 500)

    def test_users(self) -> None:
        """Who asks is known by their access key, or as the one who runs the daemon."""
        credential = (
            "AWS4-HMAC-SHA256 Credential=ada/20260101/us-east-1/s3/aws4_request"
        )
        self.ask("GET", "/", authorization=credential)
        self.assertEqual(self.service.accounted[-1].user, "ada")
        self.ask("GET", "/")
        owner = self.service.worker.gateway.rules.owner
        self.assertEqual(self.service.accounted[-1].user, owner)
        self.ask(
            "GET", "/?X-Amz-Credential=bob%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
        )
        self.assertEqual(self.service.accounted[-1].user, "bob")
        answer = self.ask("GET", "/bkt/k", authorization="nonsense")
        self.assertEqual(answer.status, 400)

    def test_accounted(self) -> None:
        """Every request is accounted once, with what it was."""
        self.put("k", b"data")
        self.ask("GET", "/bkt/k")
        self.ask("GET", "/bkt/no")
        seen = [
            (
                each.operation,
                each.status,
                each.bucket,
                each.key,
                each.bytes_out,
                each.error,
            )
            for each in self.service.accounted[-3:]
        ]
        self.assertEqual(seen[0][:4], ("PutObject", 200, "bkt", "k"))
        self.assertEqual(seen[1], ("GetObject", 200, "bkt", "k", 4, ""))
        self.assertEqual(seen[2][:4], ("GetObject", 404, "bkt", "no"))
        self.assertEqual(seen[2][5], "NoSuchKey")

    @settings(max_examples=150)
    @given(
        st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]),
        st.sampled_from(
            ["/", "/bkt", "/bkt/", "/bkt/k", "/bkt/a/b", "/none", "/none/k"]
        ),
        st.lists(
            st.tuples(
                st.sampled_from(
                    "acl cors delete location partNumber uploadId uploads versionId "
                    "versions tagging policy list-type prefix delimiter marker max-keys "
                    "response-content-type continuation-token encoding-type "
                    "X-Amz-Credential X-Amz-Algorithm versioning attributes".split()
                ),
                st.sampled_from(
                    ["", "0", "1", "-1", "null", "%00", "%ff", "ü", "/", "a" * 99]
                ),
            ),
            max_size=3,
        ),
        st.dictionaries(
            st.sampled_from(
                "range if_match if_none_match if_modified_since x_amz_copy_source "
                "x_amz_acl x_amz_tagging content_md5 x_amz_content_sha256 if_range "
                "authorization x_amz_checksum_crc32 x_amz_metadata_directive origin "
                "x_amz_object_attributes x_amz_decoded_content_length".split()
            ),
            st.one_of(
                st.sampled_from(
                    ["*", "bytes=0-1", "bkt/k", "private", "a=b", "UNSIGNED-PAYLOAD"]
                ),
                st.binary(max_size=12).map(lambda b: b.translate(None, b"\r\n\0")),
            ),
            max_size=3,
        ),
        st.sampled_from([b"", b"<x/>", b"<Delete/>", b"\xff", b"<!DOCTYPE x>"]),
    )
    def test_anything(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        headers: dict[str, str | bytes],
        body: bytes,
    ) -> None:
        """Whatever is asked, it is no failure of ours, and it is answered."""
        pairs = (f"{name}={quote(value, '%/')}" for name, value in query)
        raw = path + "?" + "&".join(pairs)
        wire = self.service.connect()
        wire.send(asked(method, raw, body, **headers))
        (answer,) = wire.answers(method)
        self.assertTrue(answer.status < 500 or answer.status == 501, answer)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.ask("PUT", "/bkt")


class HostedTests(ServiceCase):
    definitions = {
        "alluxio.worker.s3.domain.names": "s3.example.com",
        "alluxio.worker.s3.path.prefix": "/s3",
    }

    def test_hosted(self) -> None:
        """A bucket may be named by the host, or behind a prefix of the path."""
        self.put("k", b"data")
        wire = self.service.wire
        hosted = b"GET /k HTTP/1.1\r\nHost: bkt.s3.example.com\r\n\r\n"
        plain = b"GET /bkt/k HTTP/1.1\r\nHost: s3.example.com\r\n\r\n"
        prefixed = b"GET /s3/bkt/k HTTP/1.1\r\nHost: x\r\n\r\n"
        wire.send(hosted + plain + prefixed)
        self.assertEqual([each.body for each in wire.answers()], [b"data"] * 3)


class SlowTests(ServiceCase):
    """Over a storage that takes its time."""

    def setUp(self) -> None:
        super().setUp()
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        self.ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/bkt", self.ufs)
        self.put("k", b"data")

    def test_reads_are_called_off(self) -> None:
        """What only reads is called off when nobody waits for it any more."""
        for target, method in (("/bkt/k", "open"), ("/bkt?list-type=2", "list")):
            gate = self.ufs.hold(method)
            wire = self.service.connect()
            wire.send(asked("GET", target))
            self.assertEqual(len(gate), 1)
            wire.go()
            self.assertEqual(len(gate), 0)
            request = self.service.accounted[-1]
            self.assertEqual(
                (request.status, request.error), (499, "ConnectionAborted")
            )
            self.ufs.heal()

    def test_writes_are_not(self) -> None:
        """What writes goes on when nobody waits for it any more."""
        for request, method, after in (
            (asked("PUT", "/bkt/k", b"new"), "commit", b"new"),
            (asked("DELETE", "/bkt/k"), "delete", b""),
        ):
            gate = self.ufs.hold(method)
            wire = self.service.connect()
            wire.send(request)
            wire.go()
            self.assertEqual(len(gate), 1)
            self.ufs.heal()
            answer = self.ask("GET", "/bkt/k")
            self.assertEqual(answer.body if answer.status == 200 else b"", after)

    def test_in_order(self) -> None:
        """A slow answer keeps its place before those that follow it."""
        self.put("l", b"later")
        gate = self.ufs.hold("open")
        wire = self.service.connect()
        wire.send(asked("GET", "/bkt/k") + asked("GET", "/") + asked("GET", "/bkt/l"))
        self.assertEqual(wire.rest(), b"")
        gate.open()
        first, second, third = wire.answers()
        self.assertEqual((first.body, third.body), (b"data", b"later"))
        self.assertIn(b"ListAllMyBucketsResult", second.body)

    def test_gone_before_the_first_byte(self) -> None:
        """A body that was found at once is given up as well."""
        gate = self.ufs.hold("body")
        wire = self.service.connect()
        wire.send(asked("GET", "/bkt/k"))
        self.assertEqual(len(gate), 1)
        wire.go()
        self.assertEqual(len(gate), 0)
        self.assertEqual(self.service.accounted[-1].error, "ConnectionAborted")


class LogTests(ServiceCase):
    def test_storage(self) -> None:
        """A storage that fails is a line in the log, without our own insides."""
        ufs = FaultyUFS(MemoryUFS(self.service.clock, NoThreads()))
        self.service.put_before("/faulty", ufs)
        seen: list[LogEvent] = []

        @implementer(ILogObserver)
        def see(event: LogEvent) -> None:
            seen.append(event)

        globalLogPublisher.addObserver(see)
        self.addCleanup(globalLogPublisher.removeObserver, see)
        ufs.fail("open", StorageUnavailable("It is down."))
        self.assertEqual(self.ask("GET", "/faulty/k").status, 503)
        lines = [formatEvent(event) for event in seen]
        self.assertEqual(
            [line for line in lines if "It is down." in line],
            ["A storage failed: <StorageUnavailable: It is down.>"],
        )
        self.assertFalse(any("log_failure" in event for event in seen))

    def test_in_flight(self) -> None:
        """What is being served is told to who watches."""
        ufs = FaultyUFS(MemoryUFS(self.service.clock, NoThreads()))
        self.service.put_before("/faulty", ufs)
        gate = ufs.hold("open")

        def in_flight() -> str:
            _, text = self.service.worker.metrics.exposition()
            lines = text.decode().splitlines()
            (line,) = (e for e in lines if e.startswith("alluxio_s3_requests_in_f"))
            return line.split()[1]

        self.assertEqual(in_flight(), "0.0")
        wire = self.service.connect()
        wire.send(asked("GET", "/faulty/k"))
        self.assertEqual(in_flight(), "1.0")
        gate.open()
        self.assertEqual(in_flight(), "0.0")
