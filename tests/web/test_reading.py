"""
GetObject and HeadObject as a client sees them.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS
from tests.web.edges import asked
from tests.web.services import ServiceCase, etag_of

DATA = bytes(range(256)) * 4


class GetTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(
            "k",
            DATA,
            content_type="text/x",
            cache_control="no-cache",
            expires="some day",
            x_amz_meta_name="value",
            x_amz_tagging="a=1&b=2",
            x_amz_storage_class="GLACIER",
        )

    def test_get(self) -> None:
        """An object comes with its bytes and all that was said of it."""
        answer = self.ask("GET", "/bkt/k", status=200)
        self.assertEqual(answer.body, DATA)
        for name, value in {
            "content-length": "1024",
            "etag": etag_of(DATA),
            "content-type": "text/x",
            "cache-control": "no-cache",
            "expires": "some day",
            "x-amz-meta-name": "value",
            "x-amz-tagging-count": "2",
            "x-amz-storage-class": "GLACIER",
            "accept-ranges": "bytes",
            "x-cache": "BYPASS",
        }.items():
            self.assertEqual(answer.headers[name], value)
        self.assertRegex(answer.headers["last-modified"], "GMT$")
        self.assertNotIn("x-amz-checksum-crc64nvme", answer.headers)

    def test_head(self) -> None:
        """HEAD says what GET says, without a body."""
        get = self.ask("GET", "/bkt/k")
        head = self.ask("HEAD", "/bkt/k", status=200)
        apart = {"x-amz-request-id", "x-cache"}
        for name in (set(get.headers) | set(head.headers)) - apart:
            self.assertEqual(head.headers.get(name), get.headers.get(name), name)
        self.assertEqual(head.body, b"")

    def test_missing(self) -> None:
        """What is not there is told with what is missing; HEAD has no words."""
        answer = self.refused("NoSuchKey", 404, "GET", "/bkt/no/such key")
        self.assertEqual(answer.element("Resource"), "/bkt/no/such key")
        self.assertEqual(answer.element("Key"), "no/such key")
        self.refused("NoSuchBucket", 404, "GET", "/missing/k")
        for target in ("/bkt/nothing", "/missing/k", "/missing", "/a/b"):
            answer = self.ask("HEAD", target, status=404)
            self.assertEqual(answer.body, b"")
        self.ask("GET", "/bkt/k", status=200)

    def test_a_slash_in_an_error(self) -> None:
        """A key that ends in a slash is told with it."""
        answer = self.refused("NoSuchKey", 404, "GET", "/bkt/folder/")
        self.assertEqual(answer.element("Resource"), "/bkt/folder/")

    def test_ranges(self) -> None:
        """A range is those bytes, and says which of how many."""
        for wanted, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=5-9", 5, 10),
            ("bytes=1000-", 1000, 1024),
            ("bytes=1000-9999", 1000, 1024),
            ("bytes=-24", 1000, 1024),
            ("bytes=-9999", 0, 1024),
            ("bytes=0-", 0, 1024),
        ):
            for method in ("GET", "HEAD"):
                answer = self.ask(method, "/bkt/k", status=206, range=wanted)
                self.assertEqual(
                    answer.headers["content-range"], f"bytes {start}-{end - 1}/1024"
                )
                self.assertEqual(answer.headers["content-length"], str(end - start))
                if method == "GET":
                    self.assertEqual(answer.body, DATA[start:end])

    def test_no_ranges(self) -> None:
        """What is no single range is as if it were not there."""
        for wanted in ("bytes=5-1", "lines=1-2", "bytes=0-1,3-4", "bytes=-", "0-1"):
            answer = self.ask("GET", "/bkt/k", status=200, range=wanted)
            self.assertEqual(answer.body, DATA)
            self.assertNotIn("content-range", answer.headers)

    def test_unsatisfiable(self) -> None:
        """A range beyond the end is told with the size there is."""
        for wanted in ("bytes=1024-", "bytes=9999-10000", "bytes=-0"):
            answer = self.refused("InvalidRange", 416, "GET", "/bkt/k", range=wanted)
            self.assertEqual(answer.element("ActualObjectSize"), "1024")
            self.assertEqual(answer.element("RangeRequested"), wanted)
            self.assertEqual(answer.headers["content-range"], "bytes */1024")
        self.ask("HEAD", "/bkt/k", status=416, range="bytes=1024-")

    def test_if_range(self) -> None:
        """A range counts only of the version that it is meant of."""
        tag = etag_of(DATA)
        for value, status in ((tag, 206), ('"other"', 200), ("W/" + tag, 200)):
            self.ask("GET", "/bkt/k", status=status, range="bytes=0-1", if_range=value)

    @settings(max_examples=60)
    @given(st.integers(0, 1100), st.integers(0, 1100))
    def test_any_range(self, first: int, last: int) -> None:
        """Any range is the slice that it says."""
        answer = self.ask("GET", "/bkt/k", range=f"bytes={first}-{last}")
        if last < first:
            self.assertEqual((answer.status, answer.body), (200, DATA))
        elif first >= len(DATA):
            self.assertEqual(answer.status, 416)
        else:
            self.assertEqual(
                (answer.status, answer.body), (206, DATA[first : last + 1])
            )

    def test_conditions(self) -> None:
        """A condition that does not hold is 304 or 412, as the RFC has it."""
        tag = etag_of(DATA)
        modified = self.ask("HEAD", "/bkt/k").headers["last-modified"]
        before = "Mon, 01 Jan 2001 00:00:00 GMT"
        cases: list[tuple[int, dict[str, Any]]] = [
            (200, {"if_match": tag}),
            (200, {"if_match": "*"}),
            (200, {"if_match": f'"x", {tag}'}),
            (412, {"if_match": '"x"'}),
            (304, {"if_none_match": tag}),
            (304, {"if_none_match": "W/" + tag}),
            (304, {"if_none_match": "*"}),
            (200, {"if_none_match": '"x"'}),
            (304, {"if_modified_since": modified}),
            (200, {"if_modified_since": before}),
            (200, {"if_modified_since": "nonsense"}),
            (200, {"if_unmodified_since": modified}),
            (412, {"if_unmodified_since": before}),
            (200, {"if_match": tag, "if_unmodified_since": before}),
            (200, {"if_none_match": '"x"', "if_modified_since": modified}),
            (412, {"if_match": '"x"', "if_none_match": tag}),
        ]
        for status, headers in cases:
            for method in ("GET", "HEAD"):
                answer = self.ask(method, "/bkt/k", status=status, **headers)
                if status == 304:
                    self.assertEqual(answer.headers["etag"], tag)
                    self.assertEqual(answer.headers["cache-control"], "no-cache")
                    self.assertEqual(answer.headers["expires"], "some day")
                    self.assertEqual(answer.headers["last-modified"], modified)
                    self.assertNotIn("content-length", answer.headers)
                if status == 412 and method == "GET":
                    self.assertEqual(answer.code, "PreconditionFailed")
                    self.assertTrue(answer.element("Condition"))

    def test_raw_headers(self) -> None:
        """Header text comes back byte for byte, in a 304 as well."""
        raw = "é".encode()
        self.put("raw", b"x", cache_control=raw, x_amz_meta_a=raw + b"\xff")
        wire = self.service.wire
        wire.send(asked("GET", "/bkt/raw"))
        data = wire.rest()
        self.assertIn(b"Cache-Control: " + raw + b"\r\n", data)
        self.assertIn(b"x-amz-meta-a: " + raw + b"\xff\r\n", data)
        wire.send(asked("GET", "/bkt/raw", if_none_match="*"))
        self.assertIn(b"Cache-Control: " + raw + b"\r\n", wire.rest())

    def test_overrides(self) -> None:
        """Parameters replace the headers that they name, and only those."""
        answer = self.ask(
            "GET",
            "/bkt/k?response-content-type=a/b&response-cache-control=c&"
            "response-expires=d&response-content-language=e&"
            "response-content-disposition=f&response-content-encoding=g",
            status=200,
        )
        for name, value in {
            "content-type": "a/b",
            "cache-control": "c",
            "expires": "d",
            "content-language": "e",
            "content-disposition": "f",
            "content-encoding": "g",
            "x-amz-meta-name": "value",
        }.items():
            self.assertEqual(answer.headers[name], value)
        self.assertEqual(answer.body, DATA)
        again = self.ask("GET", "/bkt/k")
        self.assertEqual(again.headers["content-type"], "text/x")

    def test_no_injection(self) -> None:
        """No parameter can write a header of its own."""
        target = "/bkt/k?response-content-type=a%0d%0aX-Evil:%201"
        self.refused("InvalidArgument", 400, "GET", target)

    def test_part_of_a_whole(self) -> None:
        """An object that was put whole is its own only part."""
        answer = self.ask("GET", "/bkt/k?partNumber=1", status=206)
        self.assertEqual(answer.body, DATA)
        self.assertNotIn("x-amz-mp-parts-count", answer.headers)
        self.refused("InvalidPartNumber", 416, "GET", "/bkt/k?partNumber=2")
        for number in ("0", "x", "10001", ""):
            self.refused("InvalidArgument", 400, "GET", f"/bkt/k?partNumber={number}")
        self.refused(
            "InvalidRequest", 400, "GET", "/bkt/k?partNumber=1", range="bytes=0-1"
        )

    def test_empty(self) -> None:
        """An empty object is empty, whatever part of it is asked for."""
        self.put("empty")
        self.assertEqual(self.ask("GET", "/bkt/empty", status=200).body, b"")
        self.refused("InvalidRange", 416, "GET", "/bkt/empty", range="bytes=0-")
        self.assertEqual(
            self.ask("GET", "/bkt/empty?partNumber=1").headers["content-length"], "0"
        )

    def test_versions(self) -> None:
        """There is one version, and it is called null."""
        self.ask("GET", "/bkt/k?versionId=null", status=200)
        self.refused("NoSuchVersion", 404, "GET", "/bkt/k?versionId=abc")
        self.refused("InvalidArgument", 400, "GET", "/bkt/k?versionId=")

    def test_checksums(self) -> None:
        """Checksums are told to who asks for them, of the whole."""
        crc = base64.b64encode(zlib.crc32(b"sum").to_bytes(4, "big")).decode()
        self.put("s", b"sum", x_amz_checksum_crc32=crc)
        mode: dict[str, Any] = {"x_amz_checksum_mode": "ENABLED"}
        for method in ("GET", "HEAD"):
            answer = self.ask(method, "/bkt/s", status=200, **mode)
            self.assertEqual(answer.headers["x-amz-checksum-crc32"], crc)
            self.assertEqual(answer.headers["x-amz-checksum-type"], "FULL_OBJECT")
        answer = self.ask("GET", "/bkt/s", range="bytes=0-1", **mode)
        self.assertNotIn("x-amz-checksum-crc32", answer.headers)

    def test_odd_keys(self) -> None:
        """Any key that can be written can be read again."""
        for key in (
            "a b",
            "a+b",
            "a%2Fb",
            "ü/日本/\U0001f600",
            "a=b&c",
            "~*'()",
            "x" * 1024,
        ):
            self.put(key, key.encode())
            self.assertEqual(self.ask("GET", f"/bkt/{key}").body, key.encode())
        self.refused("KeyTooLongError", 400, "GET", "/bkt/" + "x" * 1025)
        for raw in ("/bkt/%ff", "/bkt/%zz", "/bkt/a%00b"):
            answer = self.service.wire.ask("GET", raw)
            self.assertEqual((answer.code, answer.status), ("InvalidURI", 400))
        encoded = "/bkt/" + quote("a b").replace("%20", "%20")
        self.assertEqual(self.service.wire.ask("GET", encoded).status, 200)

    def test_pipelined(self) -> None:
        """Many requests at once are answered in order, each for itself."""
        for n in range(50):
            self.put(f"n{n}", b"%d" % n)
        wire = self.service.connect()
        wire.send(b"".join(asked("GET", f"/bkt/n{n}") for n in range(60)))
        answers = wire.answers()
        self.assertEqual(
            [each.body for each in answers[:50]], [b"%d" % n for n in range(50)]
        )
        self.assertEqual({each.status for each in answers[50:]}, {404})


class CachedTests(ServiceCase):
    """Through the cache, over a storage that can be told to misbehave."""

    mounts = ("/=memory:///", "cached=memory:///")

    def setUp(self) -> None:
        super().setUp()
        clock = self.service.clock
        self.storage: Any = MemoryUFS(clock, NoThreads())
        self.ufs = FaultyUFS(self.storage, clock)
        self.service.put_before(
            "/cached", self.ufs, cache="true", max_age="60s", stale_if_error="1h"
        )

    def verdicts(self, target: str, count: int, **headers: Any) -> list[str]:
        return [
            self.ask("GET", target, **headers).headers["x-cache"] for _ in range(count)
        ]

    def test_verdicts(self) -> None:
        """An answer says what the cache had to do with it."""
        self.storage.put("k", bytes(3 << 20), "")
        first = self.verdicts("/cached/k", 1, range="bytes=0-9")
        self.assertEqual(first, ["MISS"])
        self.assertEqual(self.verdicts("/cached/k", 1, range="bytes=5-99"), ["HIT"])
        whole = self.ask("GET", "/cached/k", status=200)
        self.assertEqual(whole.headers["x-cache"], "PARTIAL")
        self.assertEqual(len(whole.body), 3 << 20)
        self.assertEqual(self.verdicts("/cached/k", 2), ["HIT", "HIT"])
        self.assertEqual(
            [each.cache for each in self.service.accounted if each.bucket == "cached"],
            ["MISS", "HIT", "PARTIAL", "HIT", "HIT"],
        )

    def test_stale(self) -> None:
        """What is answered although the storage failed says so."""
        self.storage.put("k", b"x", "")
        self.verdicts("/cached/k", 1)
        self.ufs.fail("status")
        # The records' time is the machine's: without a fresh record all is stale.
        place = self.service.worker.mounts.resolve("cached", "k")
        records: Any = self.service.worker.gateway.objects.current._records
        record = records.glance(place.mount.id, "k")
        records.learn(place.mount.id, "k", record.status, record.validated - 120)
        self.assertEqual(self.verdicts("/cached/k", 1), ["STALE"])

    def test_storage_fails(self) -> None:
        """A storage that fails before the first byte is an error, not an empty body."""
        self.storage.put("k", bytes(3 << 20), "")
        self.ufs.fail("read")
        answer = self.refused("ServiceUnavailable", 503, "GET", "/cached/k")
        self.assertEqual(answer.headers["retry-after"], "1")
        self.ufs.heal()
        self.ask("GET", "/cached/k", status=200)
        self.ufs.fail("status")
        self.refused("ServiceUnavailable", 503, "GET", "/cached/other")
        self.assertEqual(self.ask("HEAD", "/cached/other").status, 503)
        self.flushLoggedErrors()

    def test_storage_fails_midway(self) -> None:
        """A storage that fails later is a connection that is cut."""
        self.service.put_before("/cached", self.ufs, cache="false")
        self.storage.put("k", bytes(5 << 20), "")
        self.ufs.truncate((3 << 20) + 10, StorageUnavailable())
        wire = self.service.connect()
        wire.send(asked("GET", "/cached/k"))
        self.assertTrue(wire.aborted)
        self.assertLess(len(wire.value()), 5 << 20)
        self.assertIn(b"Content-Length: 5242880\r\n", wire.value())
        self.assertEqual(self.service.accounted[-1].error, "ConnectionAborted")
        self.flushLoggedErrors()

    def test_gone(self) -> None:
        """A reader that goes calls off what only it waited for."""
        self.storage.put("k", bytes(1 << 20), "")
        for method in ("status", "read", "body"):
            gate = self.ufs.hold(method)
            wire, other = self.service.connect(), self.service.connect()
            before = len(self.service.accounted)
            for each in (wire, other):
                each.send(asked("GET", "/cached/k"))
            self.assertEqual(len(gate), 1, method)
            wire.go()
            self.assertEqual(len(gate), 1, method)
            other.go()
            self.assertEqual(len(gate), 0, method)
            accounted = self.service.accounted[before:]
            self.assertEqual(len(accounted), 2)
            for request in accounted:
                self.assertEqual(request.error, "ConnectionAborted")
            self.ufs.heal()
        self.assertEqual(self.verdicts("/cached/k", 2), ["MISS", "HIT"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_changed_meanwhile(self) -> None:
        """An object that changed while it was found is asked for again by the client."""
        self.storage.put("k", b"one", "")
        self.ask("HEAD", "/cached/k", status=200)
        self.storage.put("k", b"three", "")
        answer = self.ask("GET", "/cached/k")
        if answer.status != 200:
            self.assertEqual((answer.code, answer.status), ("ServiceUnavailable", 503))
            answer = self.ask("GET", "/cached/k")
        self.assertEqual((answer.status, answer.body), (200, b"three"))
        self.flushLoggedErrors()
