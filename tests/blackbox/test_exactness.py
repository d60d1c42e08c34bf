"""
What conformance suites look at closely: the answers to odd and repeated requests.
"""

from __future__ import annotations

import base64
import socket
from datetime import datetime, timedelta, timezone
from typing import Any

from awscrt import checksums as crt

from tests.blackbox.case import BlackboxCase
from tests.blackbox.wire import Answer, Wire

MIB = 1 << 20
PART = bytes(5 * MIB)


def crc32(data: bytes) -> str:
    """As S3 writes it."""
    return base64.b64encode(crt.crc32(data).to_bytes(4, "big")).decode()


class CompletionTests(BlackboxCase):
    """
    CompleteMultipartUpload.
    """

    def begun(self, *bodies: bytes, **given: Any) -> tuple[dict[str, str], list[Any]]:
        """An upload with these parts."""
        s3, bucket = self.s3(), self.bucket()
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **given)
        named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
        parts = []
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(
                PartNumber=number, Body=body, ChecksumAlgorithm="CRC32", **named
            )
            parts.append(
                {
                    "PartNumber": number,
                    "ETag": part["ETag"],
                    "ChecksumCRC32": part["ChecksumCRC32"],
                }
            )
        return named, parts

    def test_again(self) -> None:
        """Completing again, as who missed the answer does, succeeds likewise."""
        s3 = self.s3()
        named, parts = self.begun(b"x")
        whole = {"Parts": parts}
        first = s3.complete_multipart_upload(MultipartUpload=whole, **named)
        again = s3.complete_multipart_upload(MultipartUpload=whole, **named)
        self.assertEqual(
            (again["ETag"], again["Location"]), (first["ETag"], first["Location"])
        )
        s3.delete_object(Bucket=named["Bucket"], Key="k")
        self.refused(
            "NoSuchUpload",
            404,
            s3.complete_multipart_upload,
            MultipartUpload=whole,
            **named,
        )

    def test_of_nothing(self) -> None:
        """Without parts, with or without a document, it is MalformedXML."""
        named, _ = self.begun()
        complete = self.s3().complete_multipart_upload
        self.refused("MalformedXML", 400, complete, **named)
        self.refused(
            "MalformedXML", 400, complete, MultipartUpload={"Parts": []}, **named
        )

    def test_composite(self) -> None:
        """
        A composite checksum is made of those that the client says again; each
        part's is told with the part.
        """
        s3 = self.s3()
        named, parts = self.begun(PART, b"end", ChecksumAlgorithm="CRC32")
        bare = [{k: v for k, v in p.items() if k != "ChecksumCRC32"} for p in parts]
        complete = s3.complete_multipart_upload
        for code, given in (
            ("InvalidRequest", {"MultipartUpload": {"Parts": bare}}),
            (
                "BadDigest",
                {"MultipartUpload": {"Parts": parts}, "ChecksumCRC32": "AAAAAA==-2"},
            ),
            (
                "InvalidRequest",
                {"MultipartUpload": {"Parts": parts}, "ChecksumCRC32": "bad"},
            ),
            (
                "InvalidRequest",
                {"MultipartUpload": {"Parts": parts}, "ChecksumType": "FULL_OBJECT"},
            ),
        ):
            self.refused(code, 400, complete, **given, **named)
        made = complete(MultipartUpload={"Parts": parts}, **named)
        self.assertTrue(made["ChecksumCRC32"].endswith("-2"))
        where = {"Bucket": named["Bucket"], "Key": "k"}
        for number, body in ((1, PART), (2, b"end")):
            part = s3.get_object(PartNumber=number, ChecksumMode="ENABLED", **where)
            self.assertEqual(part["ChecksumCRC32"], crc32(body))
            self.assertEqual(part["PartsCount"], 2)
            self.assertEqual(part["Body"].read(), body)
        told = s3.get_object_attributes(
            ObjectAttributes=["Checksum", "ObjectParts"], **where
        )
        self.assertEqual(
            [
                (p["PartNumber"], p["Size"], p["ChecksumCRC32"])
                for p in told["ObjectParts"]["Parts"]
            ],
            [(1, len(PART), crc32(PART)), (2, 3, crc32(b"end"))],
        )
        self.assertEqual(told["ObjectParts"]["TotalPartsCount"], 2)
        self.assertEqual(told["Checksum"]["ChecksumCRC32"], made["ChecksumCRC32"])

    def test_default(self) -> None:
        """Where the client asks for no checksum, the object has a CRC64NVME."""
        s3 = self.s3()
        named, parts = self.begun(PART, b"end")
        made = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)
        expected = base64.b64encode(
            crt.crc64nvme(PART + b"end").to_bytes(8, "big")
        ).decode()
        self.assertEqual(made["ChecksumCRC64NVME"], expected)
        head = s3.head_object(Bucket=named["Bucket"], Key="k", ChecksumMode="ENABLED")
        self.assertEqual(
            (head["ChecksumCRC64NVME"], head["ChecksumType"]), (expected, "FULL_OBJECT")
        )


class DeletionTests(BlackboxCase):
    """
    DeleteObject and DeleteObjects, on terms.
    """

    def test_terms(self) -> None:
        """An object is deleted only if it is as large and as old as it shall be."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="k", Body=b"four")
        named = {"Bucket": bucket, "Key": "k"}
        etag = s3.head_object(**named)["ETag"]
        modified = s3.head_object(**named)["LastModified"]
        other = datetime(2015, 1, 1, tzinfo=timezone.utc)
        for wrong in (
            {"IfMatchSize": 5},
            {"IfMatchLastModifiedTime": other},
            {"IfMatch": '"other"'},
            {"IfMatch": '"other"', "IfMatchSize": 4},
            {"IfMatch": etag, "IfMatchSize": 5},
        ):
            self.refused("PreconditionFailed", 412, s3.delete_object, **wrong, **named)
        s3.delete_object(
            IfMatch=etag, IfMatchSize=4, IfMatchLastModifiedTime=modified, **named
        )
        self.refused("404", 404, s3.head_object, **named)

    def test_absent(self) -> None:
        """A demanded version of what is not there is NoSuchKey; else it is deleted."""
        s3, bucket = self.s3(), self.bucket()
        for etag in ('"other"', "*"):
            self.refused(
                "NoSuchKey", 404, s3.delete_object, Bucket=bucket, Key="k", IfMatch=etag
            )
        s3.delete_object(Bucket=bucket, Key="k", IfMatchSize=4)
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": "other"}]}
        )
        self.assertEqual(answer["Deleted"], [{"Key": "k"}])

    def test_batch(self) -> None:
        """Each of many is judged by its own terms."""
        s3, bucket = self.s3(), self.bucket()
        for key in "abc":
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        modified = s3.head_object(Bucket=bucket, Key="c")["LastModified"]
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={
                "Objects": [
                    {"Key": "a", "ETag": "other"},
                    {"Key": "b", "Size": 2},
                    {"Key": "c", "LastModifiedTime": modified + timedelta(days=1)},
                ]
            },
        )
        self.assertEqual(
            [(each["Key"], each["Code"]) for each in answer["Errors"]],
            [(key, "PreconditionFailed") for key in "abc"],
        )
        self.assertNotIn("Deleted", answer)


class CopySourceTests(BlackboxCase):
    """
    How C{x-amz-copy-source} may be written.
    """

    def test_forms(self) -> None:
        """With a slash before it or none, and with its slashes escaped."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a/b c?", Body=b"x")
        wire = self.wire()
        for source in (
            f"{bucket}/a/b%20c%3F",
            f"/{bucket}/a/b%20c%3F",
            f"{bucket}%2Fa%2Fb%20c%3F",
            f"%2F{bucket}%2Fa%2Fb%20c%3F",
            f"{bucket}/a/b%20c%3F?versionId=null",
        ):
            answer = wire.ask("PUT", f"/{bucket}/copy", x_amz_copy_source=source)
            self.assertEqual(answer.status, 200, (source, answer.body))
        for source in ("", "/", bucket, f"/{bucket}", f"{bucket}/", "%zz/a"):
            answer = wire.ask("PUT", f"/{bucket}/copy", x_amz_copy_source=source)
            self.assertEqual((answer.status, answer.code), (400, "InvalidArgument"))


class VanishingTests(BlackboxCase):
    """
    A bucket that goes while something is written into it.
    """

    def test_put(self) -> None:
        """What was to be written is answered NoSuchBucket, and the bucket stays gone."""
        s3, bucket = self.s3(), self.bucket()
        wire = self.wire()
        wire.request("PUT", f"/{bucket}/a/b", bytes(500_000), content_length="1000000")
        # When it can be deleted, the upload may have begun or not: it is the same.
        s3.delete_bucket(Bucket=bucket)
        wire.send(bytes(500_000))
        answer = wire.answer("PUT")
        self.assertEqual((answer.status, answer.code), (404, "NoSuchBucket"))
        self.refused("404", 404, s3.head_bucket, Bucket=bucket)


class TruncatedTests(BlackboxCase):
    """
    Bodies that end before they should, and clients that listen for what comes of it.
    """

    def shut(self, data: bytes) -> Wire:
        """Send this and nothing more, and listen."""
        wire = self.wire()
        wire.send(data)
        wire.socket.shutdown(socket.SHUT_WR)
        return wire

    def answer(self, method: str, data: bytes) -> Answer:
        wire = self.shut(data)
        answer = wire.answer(method)
        self.assertTrue(wire.closed())
        return answer

    def test_put(self) -> None:
        """A short body is IncompleteBody, and the old object stays."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="k", Body=b"old")
        head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\n".encode()
        for rest in (
            b"Content-Length: 10\r\n\r\nabc",
            b"Content-Length: 9000000\r\n\r\n" + bytes(3_000_000),
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"Content-Length: 100\r\nx-amz-decoded-content-length: 5\r\n"
            b"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
            b"x-amz-trailer: x-amz-checksum-crc32\r\n\r\n5\r\nhello\r\n0\r\n",
        ):
            answer = self.answer("PUT", head + rest)
            self.assertEqual((answer.status, answer.code), (400, "IncompleteBody"))
        got = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
        self.assertEqual(got, b"old")

    def test_whole(self) -> None:
        """Who sends a whole body and nothing more is answered."""
        bucket = self.bucket()
        answer = self.answer(
            "PUT",
            f"PUT /{bucket}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".encode(),
        )
        self.assertEqual(answer.status, 200)
