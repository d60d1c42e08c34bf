"""
Multipart uploads as a client sees them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from hashlib import md5
from typing import Any

from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.web.multipart import LARGE
from tests.doubles import FaultyUFS
from tests.web.edges import Answer, asked
from tests.web.services import ServiceCase, completion, etag_of


def joined_etag(*parts: bytes) -> str:
    digests = b"".join(md5(part, usedforsecurity=False).digest() for part in parts)
    return f'"{md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class MultipartTests(ServiceCase):
    def parts(self, id: str, *data: bytes, key: str = "k") -> list[tuple[int, str]]:
        """Upload parts 1 and on; what completes them."""
        claims = []
        for number, each in enumerate(data, 1):
            answer = self.part(id, number, each, key)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["etag"], etag_of(each))
            claims.append((number, etag_of(each)))
        return claims

    def wrong(self, code: str, status: int, answer: Answer) -> None:
        self.assertEqual((answer.code, answer.status), (code, status), answer)
        self.ask("GET", "/bkt/k", status=404)

    def stored(self) -> list[str]:
        """What lies in the storage, by path."""
        return list(_memory(self.service.worker.mounts.mounts[0].ufs)._objects)

    def test_whole(self) -> None:
        """Parts become one object, in order, with all that was said at the beginning."""
        data = [os.urandom(100_000), os.urandom(70_000), b"end"]
        id = self.upload(
            "k", content_type="text/x", x_amz_meta_m="1", x_amz_tagging="a=1"
        )
        answer = self.complete(id, *self.parts(id, *data))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.element("Bucket"), "bkt")
        self.assertEqual(answer.element("Key"), "k")
        self.assertEqual(answer.element("Location"), "http://here/bkt/k")
        tag = joined_etag(*data)
        self.assertEqual(answer.element("ETag").replace("&quot;", '"'), tag)
        got = self.ask("GET", "/bkt/k", status=200)
        self.assertEqual(got.body, b"".join(data))
        self.assertEqual(got.headers["etag"], tag)
        for name, value in {
            "content-type": "text/x",
            "x-amz-meta-m": "1",
            "x-amz-tagging-count": "1",
        }.items():
            self.assertEqual(got.headers[name], value)
        self.assertEqual(self.stored(), ["bkt/k"])

    def test_part_numbers(self) -> None:
        """The parts of an object can be read one by one afterwards."""
        data = [b"first", b"second", b"3"]
        id = self.upload()
        self.complete(id, *self.parts(id, *data))
        offset = 0
        for number, each in enumerate(data, 1):
            answer = self.ask("GET", f"/bkt/k?partNumber={number}", status=206)
            self.assertEqual(answer.body, each)
            self.assertEqual(answer.headers["x-amz-mp-parts-count"], "3")
            self.assertEqual(
                answer.headers["content-range"],
                f"bytes {offset}-{offset + len(each) - 1}/12",
            )
            offset += len(each)
        self.refused("InvalidPartNumber", 416, "GET", "/bkt/k?partNumber=4")

    def test_unseen(self) -> None:
        """Nothing of an upload is seen before it is completed."""
        id = self.upload()
        self.parts(id, b"data")
        self.ask("GET", "/bkt/k", status=404)
        self.assertEqual(self.keys(), [])
        self.assertEqual(self.keys("&prefix=.alluxio-tw"), [])

    def test_again(self) -> None:
        """A part that is uploaded again is the newer one."""
        id = self.upload()
        self.parts(id, b"old..", b"end")
        claims = self.parts(id, b"newer")
        self.assertEqual(self.complete(id, *claims, (2, etag_of(b"end"))).status, 200)
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"newerend")
        self.assertEqual(self.stored(), ["bkt/k"])

    def test_chosen(self) -> None:
        """An object is made of the parts that are named; the others are gone."""
        id = self.upload()
        claims = self.parts(id, b"11111", b"22222", b"33333")
        self.assertEqual(self.complete(id, claims[0], claims[2]).status, 200)
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"1111133333")
        self.assertEqual(self.stored(), ["bkt/k"])

    def test_wrong_lists(self) -> None:
        """A list of parts that is not right makes nothing, and the upload goes on."""
        id = self.upload()
        one, two = self.parts(id, b"11111", b"22222")
        for code, *claims in (
            ("InvalidPartOrder", two, one),
            ("InvalidPartOrder", one, one),
            ("InvalidPart", one, (2, etag_of(b"other"))),
            ("InvalidPart", one, (3, etag_of(b"22222"))),
            ("InvalidArgument", (0, one[1])),
            ("InvalidArgument", (10001, one[1])),
            ("MalformedXML",),
        ):
            self.wrong(code, 400, self.complete(id, *claims))
        for document in (b"", b"<x/>", b"<CompleteMultipartUpload>"):
            answer = self.ask("POST", f"/bkt/k?uploadId={id}", document)
            self.assertEqual(answer.status, 400)
        self.assertEqual(self.complete(id, one, two).status, 200)

    def test_too_small(self) -> None:
        """A part that is not the last has a least size."""
        id = self.upload()
        claims = self.parts(id, b"1111", b"2")
        answer = self.complete(id, *claims)
        self.wrong("EntityTooSmall", 400, answer)
        self.assertEqual(answer.element("ProposedSize"), "4")
        self.assertEqual(answer.element("MinSizeAllowed"), "5")
        self.assertEqual(answer.element("PartNumber"), "1")
        self.assertEqual(self.complete(id, claims[1]).status, 200)

    def test_unknown(self) -> None:
        """An upload that is not, or is of another key, is told as such by each call."""
        id = self.upload()
        claims = self.parts(id, b"11111")
        document = completion(*claims)
        for key, unknown in (("k", "0" * 40), ("other", id), ("k", "../x"), ("k", "")):
            for method, query, body in (
                ("PUT", "partNumber=1&", b"x"),
                ("GET", "", b""),
                ("POST", "", document),
                ("DELETE", "", b""),
            ):
                self.refused(
                    "NoSuchUpload",
                    404,
                    method,
                    f"/bkt/{key}?{query}uploadId={unknown}",
                    body,
                )
        self.assertEqual(self.complete(id, *claims).status, 200)

    def test_part_numbers_wrong(self) -> None:
        """A part has a number from 1 to 10,000."""
        id = self.upload()
        for number in ("0", "10001", "-1", "x", ""):
            self.refused(
                "InvalidArgument",
                400,
                "PUT",
                f"/bkt/k?partNumber={number}&uploadId={id}",
            )
        self.assertEqual(self.part(id, 10_000, b"x").status, 200)

    def test_abort(self) -> None:
        """An aborted upload leaves nothing, and is not there any more."""
        id = self.upload()
        self.parts(id, b"11111", b"2")
        self.ask("DELETE", f"/bkt/k?uploadId={id}", status=204)
        self.refused("NoSuchUpload", 404, "DELETE", f"/bkt/k?uploadId={id}")
        self.assertEqual(self.stored(), [])

    def test_abort_under_way(self) -> None:
        """A part that arrives after its upload was aborted leaves nothing."""
        id = self.upload()
        wire = self.service.connect()
        request = asked("PUT", f"/bkt/k?partNumber=1&uploadId={id}", b"11111")
        wire.send(request[:-1])
        self.ask("DELETE", f"/bkt/k?uploadId={id}", status=204)
        wire.send(request[-1:])
        (answer,) = wire.answers()
        self.assertEqual((answer.code, answer.status), ("NoSuchUpload", 404))
        self.assertEqual(self.stored(), [])

    def test_complete_under_way(self) -> None:
        """A part that arrives after its upload was completed changes nothing."""
        id = self.upload()
        claims = self.parts(id, b"11111")
        wire = self.service.connect()
        request = asked("PUT", f"/bkt/k?partNumber=1&uploadId={id}", b"22222")
        wire.send(request[:-1])
        self.assertEqual(self.complete(id, *claims).status, 200)
        wire.send(request[-1:])
        self.assertEqual([each.code for each in wire.answers()], ["NoSuchUpload"])
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"11111")
        self.assertEqual(self.stored(), ["bkt/k"])

    def test_twice(self) -> None:
        """Completing a second time finds no upload, and the object stays."""
        id = self.upload()
        claims = self.parts(id, b"11111")
        self.assertEqual(self.complete(id, *claims).status, 200)
        answer = self.complete(id, *claims)
        self.assertIn((answer.code, answer.status), [("NoSuchUpload", 404), ("", 200)])
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"11111")

    def test_digests(self) -> None:
        """A part that is not what was promised is not taken."""
        id = self.upload()
        for code, headers in (
            ("BadDigest", {"content_md5": "CY9rzUYh03PK3k6DJie09g=="}),
            ("BadDigest", {"x_amz_checksum_crc32": "AAAAAA=="}),
        ):
            answer = self.part(id, 1, b"11111", **headers)
            self.assertEqual((answer.code, answer.status), (code, 400))
        listed = self.ask("GET", f"/bkt/k?uploadId={id}", status=200)
        self.assertEqual(listed.elements("Part"), [])
        self.assertEqual(self.stored(), [])

    def test_checksums(self) -> None:
        """Checksums of parts make one of the whole, of either kind."""
        data = [b"11111", b"22222", b"3"]
        whole = b"".join(data)
        for kind in ("FULL_OBJECT", "COMPOSITE"):
            key = kind.lower()
            answer = self.ask(
                "POST",
                f"/bkt/{key}?uploads",
                x_amz_checksum_algorithm="CRC32",
                x_amz_checksum_type=kind,
            )
            self.assertEqual(answer.headers["x-amz-checksum-algorithm"], "CRC32")
            self.assertEqual(answer.headers["x-amz-checksum-type"], kind)
            id = answer.element("UploadId")
            claims = []
            for number, each in enumerate(data, 1):
                part = self.part(
                    id, number, each, key, x_amz_checksum_crc32=crc32(each)
                )
                self.assertEqual(part.headers["x-amz-checksum-crc32"], crc32(each))
                said = f"<ChecksumCRC32>{crc32(each)}</ChecksumCRC32>"
                claims.append((number, part.headers["etag"], said))
            expected = crc32(whole)
            if kind == "COMPOSITE":
                inner = b"".join(base64.b64decode(crc32(each)) for each in data)
                expected = crc32(inner) + "-3"
            answer = self.complete(id, *claims, key=key)
            self.assertEqual(answer.element("ChecksumCRC32"), expected)
            self.assertEqual(answer.element("ChecksumType"), kind)
            got = self.ask("HEAD", f"/bkt/{key}", x_amz_checksum_mode="ENABLED")
            self.assertEqual(got.headers["x-amz-checksum-crc32"], expected)

    def test_promised_whole(self) -> None:
        """A whole that is not what the client says it is, is not made."""
        answer = self.ask(
            "POST",
            "/bkt/k?uploads",
            x_amz_checksum_algorithm="CRC32",
            x_amz_checksum_type="FULL_OBJECT",
        )
        id = answer.element("UploadId")
        claims = self.parts(id, b"11111", b"2")
        wrong = self.complete(id, *claims, x_amz_checksum_crc32=crc32(b"other"))
        self.wrong("BadDigest", 400, wrong)
        wrong = self.complete(id, *claims, x_amz_mp_object_size="7")
        self.wrong("InvalidRequest", 400, wrong)
        wrong = self.complete(id, *claims, x_amz_mp_object_size="x")
        self.wrong("InvalidRequest", 400, wrong)
        wrong = self.complete(id, *claims, x_amz_checksum_crc32="none")
        self.wrong("InvalidRequest", 400, wrong)
        answer = self.complete(
            id, *claims, x_amz_checksum_crc32=crc32(b"111112"), x_amz_mp_object_size="6"
        )
        self.assertEqual(answer.status, 200)

    def test_promised_parts(self) -> None:
        """Of a composite checksum each part needs its own, of that kind."""
        answer = self.ask(
            "POST",
            "/bkt/k?uploads",
            x_amz_checksum_algorithm="CRC32",
            x_amz_checksum_type="COMPOSITE",
        )
        id = answer.element("UploadId")
        self.wrong("InvalidRequest", 400, self.part(id, 1, b"data"))
        target = f"/bkt/k?partNumber=1&uploadId={id}"
        digest = base64.b64encode(hashlib.sha1(b"data").digest()).decode()
        answer = self.ask("PUT", target, b"data", x_amz_checksum_sha1=digest)
        self.wrong("InvalidRequest", 400, answer)
        answer = self.ask("PUT", target, b"data", x_amz_checksum_crc32=crc32(b"data"))
        self.assertEqual(answer.status, 200)

    def test_promised_otherwise(self) -> None:
        """A part that was uploaded without the kind of checksum that is meant."""
        id = self.upload("k")
        [(number, etag)] = self.parts(id, b"data")
        digest = base64.b64encode(hashlib.sha1(b"data").digest()).decode()
        said = f"<ChecksumSHA1>{digest}</ChecksumSHA1>"
        self.wrong("BadDigest", 400, self.complete(id, (number, etag, said)))
        self.assertEqual(self.complete(id, (number, etag)).status, 200)

    def test_choices(self) -> None:
        """Checksums that are none, or do not go together, are refused."""
        for algorithm, kind in (
            ("CRC16", ""),
            ("SHA1", "FULL_OBJECT"),
            ("CRC64NVME", "COMPOSITE"),
            ("CRC32", "OTHER"),
            ("", "COMPOSITE"),
        ):
            headers = {
                "x_amz_checksum_algorithm": algorithm,
                "x_amz_checksum_type": kind,
            }
            given: dict[str, Any] = {
                name: value for name, value in headers.items() if value
            }
            self.refused("InvalidRequest", 400, "POST", "/bkt/k?uploads", **given)
        id = self.upload(x_amz_checksum_algorithm="CRC32")
        answer = self.part(id, 1, b"x", x_amz_checksum_sha1="A" * 27 + "=")
        self.assertEqual(answer.status, 400)

    def test_demands(self) -> None:
        """Completing may be made to depend on what is there, and can be tried again."""
        self.put("k", b"old")
        id = self.upload()
        claims = self.parts(id, b"11111")
        for headers in ({"if_none_match": "*"}, {"if_match": '"other"'}):
            answer = self.complete(id, *claims, **headers)
            self.assertEqual((answer.code, answer.status), ("PreconditionFailed", 412))
            self.assertEqual(self.ask("GET", "/bkt/k").body, b"old")
        self.assertEqual(
            self.complete(id, *claims, if_match=etag_of(b"old")).status, 200
        )
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"11111")

    def test_copied_parts(self) -> None:
        """A part can be made of an object, or of a range of it."""
        self.put("source", b"0123456789")
        id = self.upload()
        first = self.part(id, 1, b"", x_amz_copy_source="bkt/source")
        self.assertEqual(first.status, 200)
        self.assertTrue(first.element("LastModified"))
        second = self.part(
            id,
            2,
            b"",
            x_amz_copy_source="bkt/source",
            x_amz_copy_source_range="bytes=2-4",
        )
        tags = [each.element("ETag").replace("&quot;", '"') for each in (first, second)]
        self.assertEqual(tags, [etag_of(b"0123456789"), etag_of(b"234")])
        self.assertEqual(self.complete(id, (1, tags[0]), (2, tags[1])).status, 200)
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"0123456789234")

    def test_copied_parts_wrong(self) -> None:
        """A range that the source has not, and a source that is not there, are refused."""
        self.put("source", b"0123456789")
        id = self.upload()
        target = f"/bkt/k?partNumber=1&uploadId={id}"
        for wanted in ("bytes=2-10", "bytes=5-2", "bytes=2-", "bytes=-2", "nonsense"):
            self.refused(
                "InvalidArgument",
                400,
                "PUT",
                target,
                x_amz_copy_source="bkt/source",
                x_amz_copy_source_range=wanted,
            )
        self.refused("NoSuchKey", 404, "PUT", target, x_amz_copy_source="bkt/no")
        self.refused(
            "PreconditionFailed",
            412,
            "PUT",
            target,
            x_amz_copy_source="bkt/source",
            x_amz_copy_source_if_match='"other"',
        )
        self.assertEqual(self.stored(), ["bkt/source"])

    def test_listed_parts(self) -> None:
        """Parts are listed in order, page by page."""
        id = self.upload()
        for number in (7, 3, 10_000, 1, 42):
            self.part(id, number, b"%d" % number)
        numbers: list[str] = []
        marker = 0
        while True:
            answer = self.ask(
                "GET",
                f"/bkt/k?uploadId={id}&max-parts=2&part-number-marker={marker}",
                status=200,
            )
            numbers += answer.elements("PartNumber")
            if answer.element("IsTruncated") == "false":
                break
            marker = int(answer.element("NextPartNumberMarker"))
        self.assertEqual(numbers, ["1", "3", "7", "42", "10000"])

    def test_listed_uploads(self) -> None:
        """Uploads are listed by key, and by when they began, page by page."""
        ids = []
        for key in ("b", "a", "b", "c/d", "c/e"):
            self.service.clock.advance(1)
            ids.append((key, self.upload(key)))
        expected = [ids[1], ids[0], ids[2], ids[3], ids[4]]
        found: list[tuple[str, str]] = []
        markers = ""
        while True:
            answer = self.ask("GET", f"/bkt?uploads&max-uploads=2{markers}", status=200)
            found += zip(
                answer.elements("Key"), answer.elements("UploadId"), strict=True
            )
            if answer.element("IsTruncated") == "false":
                break
            markers = (
                f"&key-marker={answer.element('NextKeyMarker')}"
                f"&upload-id-marker={answer.element('NextUploadIdMarker')}"
            )
        self.assertEqual(sorted(found), sorted(expected))
        self.assertEqual([key for key, _ in found], ["a", "b", "b", "c/d", "c/e"])
        folded = self.ask("GET", "/bkt?uploads&delimiter=/", status=200)
        self.assertIn("<CommonPrefixes><Prefix>c/</Prefix>", folded.body.decode())
        only = self.ask("GET", "/bkt?uploads&prefix=c/", status=200)
        self.assertEqual(only.elements("Key"), ["c/d", "c/e"])

    def test_many_parts(self) -> None:
        """A list of parts may be long."""
        id = self.upload()
        claims = self.parts(id, *[b"%05d" % n for n in range(50)])
        document = completion(*claims).replace(b"<Part>", b" " * 1000 + b"<Part>")
        self.assertGreater(len(document), LARGE)
        self.ask("POST", f"/bkt/k?uploadId={id}", document, status=200)
        got = self.ask("GET", "/bkt/k").body
        self.assertEqual(got, b"".join(b"%05d" % n for n in range(50)))
        part = self.ask("GET", "/bkt/k?partNumber=30", status=206)
        self.assertEqual(part.body, b"00029")

    def test_bucket_goes(self) -> None:
        """A bucket can be deleted with uploads in progress, which go with it."""
        id = self.upload()
        self.parts(id, b"11111")
        self.ask("DELETE", "/bkt", status=204)
        self.assertEqual(self.stored(), [])
        self.ask("PUT", "/bkt", status=200)
        self.refused("NoSuchUpload", 404, "GET", f"/bkt/k?uploadId={id}")

    def test_storage_fails(self) -> None:
        """Wherever a storage fails, the upload can go on after."""
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/bkt", ufs)
        id = self.upload()
        for method in ("place", "write", "commit"):
            ufs.fail(method)
            self.assertEqual(self.part(id, 1, b"11111").status, 503)
            ufs.heal()
            self.assertEqual(list(storage._objects), [])
        claims = self.parts(id, b"11111", b"22222")
        ufs.fail("join")
        self.wrong("ServiceUnavailable", 503, self.complete(id, *claims))
        ufs.heal()
        self.assertEqual(self.complete(id, *claims).status, 200)
        self.assertEqual(list(storage._objects), ["k"])
        self.flushLoggedErrors()

    def test_completed_by_another(self) -> None:
        """Of two that complete an upload at once, both are told of the object."""
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/bkt", ufs)
        id = self.upload()
        document = completion(*self.parts(id, b"11111", b"2"))
        gate = ufs.hold("join")
        wires = [self.service.connect(), self.service.connect()]
        for wire in wires:
            wire.send(asked("POST", f"/bkt/k?uploadId={id}", document))
        self.assertEqual(len(gate), 1)
        gate.open()
        answers = [wire.answers()[0] for wire in wires]
        self.assertEqual([answer.status for answer in answers], [200, 200])
        self.assertEqual(answers[0].element("ETag"), answers[1].element("ETag"))
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"111112")
        self.assertEqual(self.service.worker.gateway.uploads._completing, {})
        self.assertEqual(list(storage._objects), ["k"])

    def test_part_replaced_meanwhile(self) -> None:
        """
        Completing while a part is uploaded again gives one of the two, whole, or
        says that the part is another.
        """
        storage: Any = MemoryUFS(self.service.clock, NoThreads())
        ufs = FaultyUFS(storage, self.service.clock)
        self.service.put_before("/bkt", ufs)
        for key, again, status in (("k", b"11111", 200), ("l", b"other", 400)):
            id = self.upload(key)
            claims = self.parts(id, b"11111", b"2", key=key)
            gate = ufs.hold("join")
            wire = self.service.connect()
            wire.send(asked("POST", f"/bkt/{key}?uploadId={id}", completion(*claims)))
            self.assertEqual(len(gate), 1)
            self.parts(id, again, key=key)
            ufs.heal()
            (answer,) = wire.answers()
            self.assertEqual(answer.status, status, answer)
            if status == 400:
                self.assertEqual(answer.code, "InvalidPart")
                claims[0] = (1, etag_of(again))
                self.assertEqual(self.complete(id, *claims, key=key).status, 200)
            self.assertEqual(self.ask("GET", f"/bkt/{key}").body, again + b"2")


def _memory(ufs: Any) -> Any:
    """The driver in memory behind whatever wraps it."""
    while not isinstance(ufs, MemoryUFS):
        ufs = ufs._ufs if hasattr(ufs, "_ufs") else ufs.wrapped
    return ufs
