"""
PutObject, CopyObject, DeleteObject, DeleteObjects and tags as a client sees them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import Any

from alluxio_tw.errors import StorageFull
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS
from tests.web.edges import asked
from tests.web.services import ServiceCase, content_md5, deletion, etag_of


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def chunked(data: bytes, size: int, trailer: bytes = b"") -> bytes:
    """An aws-chunked body."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + b"0\r\n" + trailer + b"\r\n"


TRAILER = {"x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}


class PutTests(ServiceCase):
    def intact(self) -> None:
        """The old object is as it was, and nothing else is there."""
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"old")
        self.assertEqual(self.keys(), ["k"])

    def test_put(self) -> None:
        """An object that was put is there, with its ETag."""
        for data in (b"", b"x", os.urandom(1_000_000)):
            answer = self.put("k", data)
            self.assertEqual(answer.headers["etag"], etag_of(data))
            got = self.ask("GET", "/bkt/k")
            self.assertEqual((got.body, got.headers["etag"]), (data, etag_of(data)))

    def test_no_bucket(self) -> None:
        """Nothing can be put where there is no bucket."""
        self.refused("NoSuchBucket", 404, "PUT", "/missing/k", b"x")

    def test_no_length(self) -> None:
        """A client must say how much it sends."""
        wire = self.service.wire
        wire.send(b"PUT /bkt/k HTTP/1.1\r\nHost: here\r\n\r\n")
        (answer,) = wire.answers()
        self.assertEqual((answer.code, answer.status), ("MissingContentLength", 411))

    def test_chunked(self) -> None:
        """A body in HTTP's own chunks is stored without them."""
        body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        self.put("k", body, transfer_encoding="chunked")
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"hello world")

    def test_continue(self) -> None:
        """Who waits to be told to go on is told once the request was judged."""
        wire = self.service.wire
        head = asked("PUT", "/bkt/k", content_length="5", expect="100-continue")
        wire.send(head)
        self.assertEqual(wire.rest(), b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(b"hello")
        self.assertEqual([each.status for each in wire.answers()], [200])

        refusals: list[tuple[str, dict[str, Any]]] = [
            ("/missing/k", {}),
            ("/bkt/k", {"if_none_match": "*"}),
            ("/bkt/k", {"if_match": '"other"'}),
            ("/bkt/k", {"content_md5": "nonsense"}),
            ("/bkt/k", {"x_amz_storage_class": "NONE_SUCH"}),
            ("/bkt/k", {"x_amz_server_side_encryption_customer_key": "k"}),
        ]
        for target, headers in refusals:
            wire = self.service.connect()
            wire.send(
                asked(
                    "PUT", target, content_length="5", expect="100-continue", **headers
                )
            )
            (answer,) = wire.answers()
            self.assertGreaterEqual(answer.status, 400, (target, headers))
            self.assertEqual(answer.headers["connection"], "close")

    def test_too_large_to_begin(self) -> None:
        """What is too large for one PUT is refused before its body."""
        wire = self.service.wire
        wire.send(
            asked("PUT", "/bkt/k", content_length=str(6 << 30), expect="100-continue")
        )
        (answer,) = wire.answers()
        self.assertEqual((answer.code, answer.status), ("EntityTooLarge", 400))
        self.assertEqual(answer.element("ProposedSize"), str(6 << 30))

    def test_digests(self) -> None:
        """Bytes that are not what was promised are refused, and the old object stays."""
        self.put("k", b"old")
        sha256 = hashlib.sha256(b"new").hexdigest()
        wrong = base64.b64encode(b"0" * 4).decode()
        for code, headers in (
            ("BadDigest", {"content_md5": content_md5(b"other")}),
            ("InvalidDigest", {"content_md5": "nonsense"}),
            ("BadDigest", {"x_amz_checksum_crc32": wrong}),
            ("InvalidRequest", {"x_amz_checksum_crc32": "nonsense"}),
            ("XAmzContentSHA256Mismatch", {"x_amz_content_sha256": "0" * 64}),
        ):
            self.refused(code, 400, "PUT", "/bkt/k", b"new", **headers)
            self.intact()
        answer = self.put(
            "k",
            b"new",
            content_md5=content_md5(b"new"),
            x_amz_content_sha256=sha256,
            x_amz_checksum_crc32=crc32(b"new"),
        )
        self.assertEqual(answer.headers["x-amz-checksum-crc32"], crc32(b"new"))

    def test_cut_off(self) -> None:
        """A client that goes midway leaves the old object."""
        self.put("k", b"old")
        for size in (0, 3, 300_000):
            wire = self.service.connect()
            wire.send(asked("PUT", "/bkt/k", bytes(size), content_length="1000000"))
            wire.go()
            self.assertEqual(self.service.accounted[-1].status, 499)
            self.intact()

    def test_too_slow(self) -> None:
        """A client that stops midway is told, and the old object stays."""
        self.put("k", b"old")
        self.service.site.startFactory()
        self.addCleanup(self.service.site.stopFactory)
        wire = self.service.connect()
        wire.send(asked("PUT", "/bkt/k", b"new", content_length="1000"))
        self.service.clock.pump([1.0] * 200)
        (answer,) = wire.answers()
        self.assertEqual((answer.code, answer.status), ("RequestTimeout", 400))
        self.intact()
        wire.go()
        self.service.wire.go()
        self.service.wire = self.service.connect()

    def test_aws_chunked(self) -> None:
        """An aws-chunked body is stored without its framing, in whatever pieces it comes."""
        data = os.urandom(100_000)
        for size in (8192, 65536, 100_000):
            body = chunked(
                data, size, b"x-amz-checksum-crc32:" + crc32(data).encode() + b"\r\n"
            )
            request = asked(
                "PUT",
                "/bkt/k",
                body,
                content_encoding="aws-chunked,gzip",
                x_amz_decoded_content_length=str(len(data)),
                x_amz_trailer="x-amz-checksum-crc32",
                **TRAILER,
            )
            wire = self.service.connect()
            for at in range(0, len(request), 7001):
                wire.send(request[at : at + 7001])
            (answer,) = wire.answers()
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["x-amz-checksum-crc32"], crc32(data))
            got = self.ask("GET", "/bkt/k")
            self.assertEqual(got.body, data)
            self.assertEqual(got.headers["content-encoding"], "gzip")

    def test_aws_chunked_wrong(self) -> None:
        """An aws-chunked body that is not whole or not as promised leaves the old object."""
        self.put("k", b"old")
        data = b"x" * 100
        good = b"x-amz-checksum-crc32:" + crc32(data).encode() + b"\r\n"
        bad = b"x-amz-checksum-crc32:" + crc32(b"other").encode() + b"\r\n"
        for code, body, length in (
            ("BadDigest", chunked(data, 100, bad), "100"),
            ("IncompleteBody", chunked(data, 100, good)[:-30], "100"),
            ("IncompleteBody", chunked(data, 100, good), "101"),
            ("MalformedTrailerError", chunked(data, 100), "100"),
        ):
            self.refused(
                code,
                400,
                "PUT",
                "/bkt/k",
                body,
                x_amz_decoded_content_length=length,
                x_amz_trailer="x-amz-checksum-crc32",
                **TRAILER,
            )
            self.intact()
        self.refused("MissingContentLength", 411, "PUT", "/bkt/k", b"x", **TRAILER)

    def test_demands(self) -> None:
        """A write may be made to depend on what is there."""
        self.put("k", b"old")
        tag = etag_of(b"old")
        self.refused(
            "PreconditionFailed", 412, "PUT", "/bkt/k", b"n", if_none_match="*"
        )
        self.refused("PreconditionFailed", 412, "PUT", "/bkt/k", b"n", if_match='"x"')
        self.refused("NoSuchKey", 404, "PUT", "/bkt/no", b"n", if_match=tag)
        for headers in (
            {"if_none_match": tag},
            {"if_match": tag, "if_none_match": "*"},
            {"if_unmodified_since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        ):
            self.refused("NotImplemented", 501, "PUT", "/bkt/k", b"n", **headers)
        self.intact()
        self.put("other", b"n", if_none_match="*")
        self.put("k", b"new", if_match=tag)
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"new")

    def test_metadata_limit(self) -> None:
        """User metadata has a largest size."""
        self.put("k", b"", x_amz_meta_a="x" * 2047)
        self.refused("MetadataTooLarge", 400, "PUT", "/bkt/k", x_amz_meta_a="x" * 2048)

    def test_hidden(self) -> None:
        """The gateway's own names can be neither written, read, copied nor deleted."""
        self.put("k", b"old")
        own = "/bkt/.alluxio-tw/uploads/x"
        self.refused("InvalidArgument", 400, "PUT", own, b"x")
        self.refused("InvalidArgument", 400, "POST", own + "?uploads")
        self.refused("NoSuchKey", 404, "GET", own)
        self.ask("HEAD", own, status=404)
        self.ask("DELETE", own, status=204)
        self.refused("InvalidArgument", 400, "PUT", own, x_amz_copy_source="bkt/k")
        self.refused("NoSuchKey", 404, "PUT", "/bkt/c", x_amz_copy_source=own)
        self.intact()

    def test_storage_fails(self) -> None:
        """Wherever a storage fails, the old object stays and nothing is left open."""
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/faulty", ufs)
        self.ask("PUT", "/faulty/k", b"old", status=200)
        for method in ("place", "write", "commit"):
            for error, code, status in (
                (None, "ServiceUnavailable", 503),
                (StorageFull(), "InsufficientStorage", 507),
            ):
                ufs.fail(method, error)
                self.refused(code, status, "PUT", "/faulty/k", bytes(50_000))
                ufs.heal()
                self.assertEqual(self.ask("GET", "/faulty/k").body, b"old")
        self.flushLoggedErrors()


class CopyTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.put(
            "k",
            b"data",
            content_type="text/x",
            x_amz_meta_a="1",
            x_amz_tagging="t=1",
        )

    def copy(self, target: str, source: str = "/bkt/k", **headers: Any) -> Any:
        return self.ask("PUT", target, x_amz_copy_source=source, **headers)

    def test_copy(self) -> None:
        """A copy has the bytes and all that was said of them."""
        for source in ("/bkt/k", "bkt/k", "bkt/%6B"):
            answer = self.copy("/bkt/c", source)
            self.assertEqual(answer.status, 200)
            self.assertEqual(
                answer.element("ETag").replace("&quot;", '"'), etag_of(b"data")
            )
            got = self.ask("GET", "/bkt/c")
            self.assertEqual(got.body, b"data")
            for name, value in {
                "content-type": "text/x",
                "x-amz-meta-a": "1",
                "x-amz-tagging-count": "1",
                "etag": etag_of(b"data"),
            }.items():
                self.assertEqual(got.headers[name], value)

    def test_between_mounts(self) -> None:
        """A copy between storages is the same; it only takes the long way."""
        self.service.put_before("/other", MemoryUFS(self.service.clock, NoThreads()))
        self.assertEqual(self.copy("/other/c").status, 200)
        got = self.ask("GET", "/other/c")
        self.assertEqual((got.body, got.headers["x-amz-meta-a"]), (b"data", "1"))
        self.assertEqual(got.headers["x-amz-tagging-count"], "1")

    def test_empty(self) -> None:
        """An empty object can be copied, near and far."""
        self.put("empty")
        self.service.put_before(
            "/other", MemoryUFS(self.service.clock, NoThreads()), cache="true"
        )
        for target in ("/bkt/c", "/other/c"):
            self.assertEqual(self.copy(target, "/bkt/empty").status, 200)
            self.assertEqual(self.ask("GET", target, status=200).body, b"")
        self.assertEqual(self.copy("/bkt/d", "/other/c").status, 200)

    def test_directives(self) -> None:
        """What was said can be said anew, metadata and tags each for itself."""
        replace = {"x_amz_metadata_directive": "REPLACE"}
        self.copy("/bkt/c", content_type="b/c", x_amz_meta_b="2", **replace)
        got = self.ask("GET", "/bkt/c")
        self.assertEqual(got.headers["content-type"], "b/c")
        self.assertEqual(got.headers["x-amz-meta-b"], "2")
        self.assertNotIn("x-amz-meta-a", got.headers)
        self.assertEqual(got.headers["x-amz-tagging-count"], "1")
        self.copy("/bkt/d", x_amz_tagging_directive="REPLACE", x_amz_tagging="a=1&b=2")
        got = self.ask("GET", "/bkt/d")
        self.assertEqual(got.headers["x-amz-tagging-count"], "2")
        self.assertEqual(got.headers["x-amz-meta-a"], "1")
        for name in ("metadata", "tagging"):
            headers: dict[str, Any] = {
                f"x_amz_{name}_directive": "MAYBE",
                "x_amz_copy_source": "bkt/k",
            }
            self.refused("InvalidArgument", 400, "PUT", "/bkt/e", **headers)

    def test_to_itself(self) -> None:
        """A copy of an object to itself must change something."""
        self.refused("InvalidRequest", 400, "PUT", "/bkt/k", x_amz_copy_source="bkt/k")
        self.copy("/bkt/k", x_amz_metadata_directive="REPLACE", x_amz_meta_n="2")
        got = self.ask("GET", "/bkt/k")
        self.assertEqual((got.body, got.headers["x-amz-meta-n"]), (b"data", "2"))

    def test_wrong_source(self) -> None:
        """A source that is not there, or none at all, is told."""
        for code, status, source in (
            ("NoSuchKey", 404, "bkt/no"),
            ("NoSuchBucket", 404, "missing/k"),
            ("InvalidArgument", 400, "bkt"),
            ("InvalidArgument", 400, "bkt/"),
            ("InvalidArgument", 400, "bkt/%zz"),
            ("NoSuchVersion", 404, "bkt/k?versionId=x"),
        ):
            self.refused(code, status, "PUT", "/bkt/c", x_amz_copy_source=source)
        self.refused(
            "NoSuchBucket", 404, "PUT", "/missing/c", x_amz_copy_source="bkt/k"
        )
        self.assertEqual(self.keys(), ["k"])

    def test_conditions(self) -> None:
        """A condition on the source that does not hold is 412, each of them."""
        tag = etag_of(b"data")
        old = "Mon, 01 Jan 2001 00:00:00 GMT"
        stem = "x_amz_copy_source_if"
        for status, name, value in (
            (200, "match", tag),
            (412, "match", '"x"'),
            (200, "none_match", '"x"'),
            (412, "none_match", tag),
            (200, "modified_since", old),
            (412, "unmodified_since", old),
        ):
            answer = self.copy("/bkt/c", **{f"{stem}_{name}": value})
            self.assertEqual(answer.status, status, (name, value))
        self.refused(
            "PreconditionFailed",
            412,
            "PUT",
            "/bkt/c",
            x_amz_copy_source="bkt/k",
            if_none_match="*",
        )

    def test_checksum(self) -> None:
        """A copy has a checksum of the kind that is asked for."""
        answer = self.copy("/bkt/c", x_amz_checksum_algorithm="CRC32")
        self.assertEqual(answer.element("ChecksumCRC32"), crc32(b"data"))
        self.refused(
            "InvalidRequest",
            400,
            "PUT",
            "/bkt/c",
            x_amz_copy_source="bkt/k",
            x_amz_checksum_algorithm="CRC16",
        )


class DeleteTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        for key in ("a", "b", "c/d"):
            self.put(key, key.encode())

    def test_delete(self) -> None:
        """Deleting succeeds, also what is not there."""
        for _ in range(2):
            answer = self.ask("DELETE", "/bkt/a", status=204)
            self.assertNotIn("content-length", answer.headers)
        self.assertEqual(self.keys(), ["b", "c/d"])
        self.refused("NoSuchBucket", 404, "DELETE", "/missing/a")
        self.refused("NoSuchVersion", 404, "DELETE", "/bkt/b?versionId=x")

    def test_demands(self) -> None:
        """Deleting may be made to depend on what is there."""
        self.refused("PreconditionFailed", 412, "DELETE", "/bkt/a", if_match='"x"')
        self.refused("NotImplemented", 501, "DELETE", "/bkt/a", if_none_match="*")
        self.ask("DELETE", "/bkt/a", status=204, if_match=etag_of(b"a"))
        self.assertEqual(self.keys(), ["b", "c/d"])

    def many(self, document: bytes, **headers: Any) -> Any:
        headers.setdefault("content_md5", content_md5(document))
        return self.ask("POST", "/bkt?delete", document, **headers)

    def test_many(self) -> None:
        """Of many, each is deleted for itself and told."""
        answer = self.many(deletion("a", "no", "c/d"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.elements("Key"), ["a", "no", "c/d"])
        self.assertEqual(answer.elements("Code"), [])
        self.assertEqual(self.keys(), ["b"])
        quiet = self.many(deletion("b", quiet=True))
        self.assertEqual((quiet.elements("Key"), self.keys()), ([], []))

    def test_truth(self) -> None:
        """What could not be deleted is told with why, beside what could."""
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/bkt", ufs)
        for key in ("a", "b"):
            self.put(key)
        ufs.fail("delete", times=1)
        document = (
            b"<Delete><Object><Key>a</Key></Object>"
            b"<Object><Key>b</Key><ETag>&quot;other&quot;</ETag></Object>"
            b"<Object><Key>b</Key><VersionId>other</VersionId></Object>"
            b"<Object><Key>b</Key><Size>9</Size></Object>"
            b"<Object><Key>no</Key></Object></Delete>"
        )
        answer = self.many(document)
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            answer.elements("Code"),
            ["ServiceUnavailable", "PreconditionFailed", "PreconditionFailed"],
        )
        self.assertEqual(len(answer.elements("Deleted")), 2)
        self.assertEqual(self.keys(), ["a", "b"])
        self.flushLoggedErrors()

    def test_refused(self) -> None:
        """A list that is not whole, not proved or too long deletes nothing."""
        good = deletion("a")
        answer = self.ask("POST", "/bkt?delete", good)
        self.assertEqual((answer.code, answer.status), ("InvalidRequest", 400))
        for code, document in (
            ("MalformedXML", b"<Delete>"),
            ("MalformedXML", b"<Delete></Delete>"),
            ("MalformedXML", deletion(*["a"] * 1001)),
            ("MissingRequestBodyError", b""),
            ("MaxMessageLengthExceeded", b" " * (3 << 20)),
        ):
            answer = self.many(document)
            self.assertEqual((answer.code, answer.status), (code, 400))
        answer = self.many(good, content_md5=content_md5(b"other"))
        self.assertEqual((answer.code, answer.status), ("BadDigest", 400))
        answer = self.ask(
            "POST", "/missing?delete", good, content_md5=content_md5(good)
        )
        self.assertEqual(answer.code, "NoSuchBucket")
        self.assertEqual(self.keys(), ["a", "b", "c/d"])

    def test_odd_keys(self) -> None:
        """Keys are deleted as they are written, whatever is in them."""
        keys = ["a&b", "<x>", "ü", " ", "a\tb", '"']
        for key in keys:
            self.put(key)
        answer = self.many(deletion(*keys))
        self.assertEqual(answer.elements("Code"), [])
        self.assertEqual(self.keys(), ["a", "b", "c/d"])


class TagTests(ServiceCase):
    DOCUMENT = (
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    )

    def test_objects(self) -> None:
        """An object's tags can be replaced and taken away, and change nothing else."""
        self.put("k", b"data", x_amz_meta_m="1")
        before = self.ask("GET", "/bkt/k")
        self.assertEqual(
            self.ask("GET", "/bkt/k?tagging", status=200).elements("Key"), []
        )
        self.ask("PUT", "/bkt/k?tagging", self.DOCUMENT, status=200)
        answer = self.ask("GET", "/bkt/k?tagging", status=200)
        self.assertEqual((answer.element("Key"), answer.element("Value")), ("a", "1"))
        got = self.ask("GET", "/bkt/k")
        self.assertEqual(got.headers["x-amz-tagging-count"], "1")
        for name in ("etag", "last-modified", "x-amz-meta-m", "content-type"):
            self.assertEqual(got.headers[name], before.headers[name])
        self.ask("DELETE", "/bkt/k?tagging", status=204)
        self.assertNotIn("x-amz-tagging-count", self.ask("GET", "/bkt/k").headers)

    def test_objects_wrong(self) -> None:
        """Tags that are none, or of no object, are refused."""
        self.put("k")
        self.refused("NoSuchKey", 404, "PUT", "/bkt/no?tagging", self.DOCUMENT)
        self.refused("NoSuchKey", 404, "GET", "/bkt/no?tagging")
        self.refused("MalformedXML", 400, "PUT", "/bkt/k?tagging", b"<x/>")
        self.refused("MissingRequestBodyError", 400, "PUT", "/bkt/k?tagging")
        twice = self.DOCUMENT.replace(
            b"<TagSet>", b"<TagSet><Tag><Key>a</Key><Value>2</Value></Tag>"
        )
        self.refused("InvalidTag", 400, "PUT", "/bkt/k?tagging", twice)
        self.refused("InvalidArgument", 400, "PUT", "/bkt/k", x_amz_tagging="a=1&a=2")
        self.refused("InvalidTag", 400, "PUT", "/bkt/k", x_amz_tagging="a" * 129)

    def test_buckets(self) -> None:
        """A bucket's tags can be set, replaced and taken away."""
        self.refused("NoSuchTagSet", 404, "GET", "/bkt?tagging")
        self.ask("PUT", "/bkt?tagging", self.DOCUMENT, status=204)
        answer = self.ask("GET", "/bkt?tagging", status=200)
        self.assertEqual(answer.element("Key"), "a")
        self.ask("DELETE", "/bkt?tagging", status=204)
        self.refused("NoSuchTagSet", 404, "GET", "/bkt?tagging")
        for method in ("GET", "PUT", "DELETE"):
            self.refused("NoSuchBucket", 404, method, "/missing?tagging", self.DOCUMENT)


class LocalTests(ServiceCase):
    """Over the local driver."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.makedirs(os.path.join(self.folder, "bkt"))
        self.mounts = (f"/={self.folder}",)
        super().setUp()

    def test_objects(self) -> None:
        """Objects are files, and files are objects."""
        self.put("a/b", b"data", content_type="text/x", x_amz_meta_m="1")
        with open(os.path.join(self.folder, "bkt", "a", "b"), "rb") as file:
            self.assertEqual(file.read(), b"data")
        with open(os.path.join(self.folder, "bkt", "c"), "wb") as new:
            new.write(b"from elsewhere")
        self.assertEqual(self.ask("GET", "/bkt/c").body, b"from elsewhere")
        got = self.ask("GET", "/bkt/a/b")
        self.assertEqual((got.body, got.headers["x-amz-meta-m"]), (b"data", "1"))
        self.assertEqual(self.keys(), ["a/b", "c"])

    def test_impossible(self) -> None:
        """A key that a tree cannot hold is refused clearly."""
        self.put("a", b"")
        self.refused("InvalidRequest", 400, "PUT", "/bkt/a/b", b"x")
        self.put("f/g", b"")
        self.refused("InvalidRequest", 400, "PUT", "/bkt/f", b"x")
        for key in ("../x", "a/../x", "x" * 256, "a//b", "./a", ".alluxio-tw.file"):
            self.refused("InvalidArgument", 400, "PUT", f"/bkt/{key}", b"x")
            self.ask("GET", f"/bkt/{key}", status=404)
        self.assertEqual(self.keys(), ["a", "f/g"])

    def test_copy_and_join(self) -> None:
        """Copies and uploads are whole files."""
        self.put("k", b"data")
        self.ask("PUT", "/bkt/c", status=200, x_amz_copy_source="bkt/k")
        id = self.upload("joined")
        tags = [
            self.part(id, n, data, "joined").headers["etag"]
            for n, data in ((1, b"first"), (2, b"2"))
        ]
        answer = self.complete(id, (1, tags[0]), (2, tags[1]), key="joined")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.ask("GET", "/bkt/joined").body, b"first2")
        self.assertEqual(self.keys(), ["c", "joined", "k"])


class ReadOnlyTests(ServiceCase):
    """On a mount that takes no writes."""

    mounts = ("/=memory:///", "fixed=memory:///")

    def test_refused(self) -> None:
        """Nothing can be changed, and all can be read."""
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        storage.put("k", b"data", "")
        self.service.put_before("/fixed", storage, readonly="true")
        before = dict(storage._objects)
        document = deletion("k")
        for method, target, body in (
            ("PUT", "/fixed/n", b"x"),
            ("DELETE", "/fixed/k", b""),
            ("POST", "/fixed/k?uploads", b""),
            ("PUT", "/fixed/k?tagging", TagTests.DOCUMENT),
            ("DELETE", "/fixed/k?tagging", b""),
        ):
            self.refused("AccessDenied", 403, method, target, body)
        self.refused(
            "AccessDenied", 403, "PUT", "/fixed/c", x_amz_copy_source="fixed/k"
        )
        answer = self.ask(
            "POST", "/fixed?delete", document, content_md5=content_md5(document)
        )
        self.assertEqual(answer.elements("Code"), ["AccessDenied"])
        self.assertEqual(storage._objects, before)
        self.assertEqual(self.ask("GET", "/fixed/k", status=200).body, b"data")
        self.ask("PUT", "/bkt/c", status=200, x_amz_copy_source="fixed/k")


class AnyKeyTests(ServiceCase):
    """Over the local driver, in a tree that is only ours."""

    def setUp(self) -> None:
        folder = self.mktemp()
        os.makedirs(os.path.join(folder, "bkt"))
        self.mounts = (f"/=file://{os.path.abspath(folder)}?names=any",)
        super().setUp()

    def test_held(self) -> None:
        """What a tree can hold only in ways of its own is held as any other key."""
        keys = ["../x", "./a", "a", "a/", "a/../x", "a//b", "a/b"]
        for key in keys:
            self.put(key, key.encode())
        for key in keys:
            self.assertEqual(self.ask("GET", f"/bkt/{key}").body, key.encode())
        self.assertEqual(self.keys(), keys)
