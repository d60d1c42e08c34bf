"""
Multipart uploads through boto3.
"""

from __future__ import annotations

import hashlib
import os
import random
from typing import Any, ClassVar

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting
from tests.blackbox.test_objects import checksum

MB = 1 << 20
PART = random.Random(5).randbytes(5 * MB)
LAST = b"the end"


def multipart_etag(*parts: bytes) -> str:
    """Of an object of these parts."""
    whole = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts))
    return f'"{whole.hexdigest()}-{len(parts)}"'


class MultipartTests(BlackboxCase):
    """
    Objects in parts.
    """

    def begin(self, bucket: str, key: str = "a", **more: Any) -> dict[str, str]:
        made = self.s3().create_multipart_upload(Bucket=bucket, Key=key, **more)
        return {"Bucket": bucket, "Key": key, "UploadId": made["UploadId"]}

    def put(self, upload: dict[str, str], number: int, body: bytes, **more: Any) -> Any:
        return self.s3().upload_part(PartNumber=number, Body=body, **upload, **more)

    def finish(self, upload: dict[str, str], parts: list[tuple[int, str]]) -> Any:
        listed = [{"PartNumber": number, "ETag": tag} for number, tag in parts]
        return self.s3().complete_multipart_upload(
            MultipartUpload={"Parts": listed}, **upload
        )

    def test_upload(self) -> None:
        """Parts that come in any order become one object, in their own."""
        s3, bucket = self.s3(), self.bucket()
        upload = self.begin(
            bucket, "a/b ü", ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1"
        )
        tags = {
            number: self.put(upload, number, body)["ETag"]
            for number, body in ((7, LAST), (2, PART), (5, PART[::-1]))
        }
        self.refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="a/b ü")
        self.assertEqual(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)
        done = self.finish(upload, [(n, tags[n]) for n in (2, 5, 7)])
        self.assertEqual(done["ETag"], multipart_etag(PART, PART[::-1], LAST))
        got = s3.get_object(Bucket=bucket, Key="a/b ü")
        self.assertEqual(got["Body"].read(), PART + PART[::-1] + LAST)
        self.assertEqual(
            (got["ETag"], got["ContentType"], got["Metadata"], got["TagCount"]),
            (done["ETag"], "text/x", {"m": "1"}, 1),
        )
        part = s3.get_object(Bucket=bucket, Key="a/b ü", PartNumber=3)
        self.assertEqual(part["Body"].read(), LAST)
        self.assertEqual(part["PartsCount"], 3)
        self.refused(
            "NoSuchUpload",
            404,
            s3.abort_multipart_upload,
            **{**upload, "UploadId": "x"},
        )

    def test_leave_out(self) -> None:
        """A part that is not named in the end is no part of the object."""
        bucket = self.bucket()
        upload = self.begin(bucket)
        first = self.put(upload, 1, PART)["ETag"]
        self.put(upload, 2, PART)
        again = self.put(upload, 3, b"one")["ETag"]
        last = self.put(upload, 3, LAST)["ETag"]
        self.refused(
            "InvalidPart", 400, self.finishing(upload, [(1, first), (3, again)])
        )
        self.finish(upload, [(1, first), (3, last)])
        got = self.s3().get_object(Bucket=bucket, Key="a")["Body"].read()
        self.assertEqual(got, PART + LAST)

    def finishing(self, upload: dict[str, str], parts: list[tuple[int, str]]) -> Any:
        return lambda: self.finish(upload, parts)

    def test_refused(self) -> None:
        """Wrong order, unknown parts and small ones are refused; the upload stays."""
        bucket = self.bucket()
        upload = self.begin(bucket)
        one = self.put(upload, 1, b"small")["ETag"]
        two = self.put(upload, 2, PART)["ETag"]
        for code, parts in (
            ("InvalidPartOrder", [(2, two), (1, one)]),
            ("InvalidPart", [(1, one), (3, two)]),
            ("InvalidPart", [(1, two)]),
            ("EntityTooSmall", [(1, one), (2, two)]),
            ("MalformedXML", []),
        ):
            self.refused(code, 400, self.finishing(upload, parts))
        s3 = self.s3()
        for number in (0, 10_001):
            self.refused(
                "InvalidArgument",
                400,
                s3.upload_part,
                PartNumber=number,
                Body=b"",
                **upload,
            )
        done = self.finish(upload, [(2, two)])
        # Who did not hear that it was done asks again.
        self.assertEqual(self.finish(upload, [(2, two)])["ETag"], done["ETag"])
        self.refused("NoSuchUpload", 404, s3.list_parts, **upload)

    def test_abort(self) -> None:
        """An aborted upload is gone, and leaves nothing on disk."""
        s3, bucket = self.s3(), self.bucket()
        upload = self.begin(bucket)
        self.put(upload, 1, PART)
        s3.abort_multipart_upload(**upload)
        self.refused("NoSuchUpload", 404, s3.list_parts, **upload)
        self.refused(
            "NoSuchUpload", 404, s3.upload_part, PartNumber=1, Body=b"", **upload
        )
        root = self.daemon.path("data", "buckets")
        left = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(root)
            for name in names
            if upload["UploadId"] in os.path.join(folder, name)
        ]
        self.assertEqual(left, [])
        s3.delete_bucket(Bucket=bucket)

    def test_lists(self) -> None:
        """Uploads and parts are listed in pages."""
        s3, bucket = self.s3(), self.bucket()
        uploads = [
            self.begin(bucket, key) for key in ("p/a", "p/b", "p/b", "q", "r/ü/1")
        ]
        found: list[tuple[str, str]] = []
        given: dict[str, Any] = {}
        while True:
            page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **given)
            found += [(each["Key"], each["UploadId"]) for each in page["Uploads"]]
            if not page["IsTruncated"]:
                break
            given = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }
        self.assertEqual(found, [(each["Key"], each["UploadId"]) for each in uploads])
        page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
        self.assertEqual([each["Key"] for each in page["Uploads"]], ["q"])
        self.assertEqual(
            [each["Prefix"] for each in page["CommonPrefixes"]], ["p/", "r/"]
        )
        for number in (1, 2, 9):
            self.put(uploads[0], number, b"x" * number)
        page = s3.list_parts(MaxParts=2, **uploads[0])
        self.assertTrue(page["IsTruncated"])
        rest = s3.list_parts(
            PartNumberMarker=page["NextPartNumberMarker"], **uploads[0]
        )
        self.assertEqual(
            [
                (part["PartNumber"], part["Size"])
                for part in page["Parts"] + rest["Parts"]
            ],
            [(1, 1), (2, 2), (9, 9)],
        )

    def test_checksums(self) -> None:
        """Checksums of parts become one of the whole: composite or of all its bytes."""
        s3, bucket = self.s3(), self.bucket()
        for algorithm, kind in (
            ("CRC32", "COMPOSITE"),
            ("CRC32", "FULL_OBJECT"),
            ("CRC32C", "FULL_OBJECT"),
            ("CRC64NVME", "FULL_OBJECT"),
            ("SHA1", "COMPOSITE"),
            ("SHA256", "COMPOSITE"),
        ):
            upload = self.begin(
                bucket, "a", ChecksumAlgorithm=algorithm, ChecksumType=kind
            )
            field = f"Checksum{algorithm}"
            parts = []
            for number, body in ((1, PART), (2, LAST)):
                put = self.put(upload, number, body, ChecksumAlgorithm=algorithm)
                self.assertEqual(put[field], checksum(algorithm, body))
                parts.append(
                    {"PartNumber": number, "ETag": put["ETag"], field: put[field]}
                )
            done = s3.complete_multipart_upload(
                MultipartUpload={"Parts": parts}, **upload
            )
            self.assertEqual(done["ChecksumType"], kind)
            if kind == "FULL_OBJECT":
                self.assertEqual(done[field], checksum(algorithm, PART + LAST))
            else:
                self.assertTrue(done[field].endswith("-2"), done[field])
            got = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
            self.assertEqual(got[field], done[field])
            self.assertEqual(got["Body"].read(), PART + LAST)

    def test_wrong_part(self) -> None:
        """A part that is not what it promised is refused, and the old one stays."""
        bucket = self.bucket()
        upload = self.begin(bucket)
        tag = self.put(upload, 1, b"good")["ETag"]
        self.refused(
            "BadDigest",
            400,
            lambda: self.put(
                upload, 1, b"bad", ChecksumSHA256=checksum("SHA256", b"other")
            ),
        )
        self.finish(upload, [(1, tag)])
        got = self.s3().get_object(Bucket=bucket, Key="a")["Body"].read()
        self.assertEqual(got, b"good")

    def test_copied_parts(self) -> None:
        """Parts are copied out of other objects, whole or by range."""
        s3, bucket, other = self.s3(), self.bucket(), self.bucket()
        data = PART + PART[::-1]
        s3.put_object(Bucket=other, Key="source ü", Body=data)
        source = {"Bucket": other, "Key": "source ü"}
        upload = self.begin(bucket)
        parts = []
        asked: tuple[dict[str, Any], ...] = (
            {"CopySourceRange": f"bytes=100-{100 + 6 * MB - 1}"},
            {},
            {"CopySourceRange": "bytes=7-8"},
        )
        for number, more in enumerate(asked, 1):
            copied = s3.upload_part_copy(
                PartNumber=number, CopySource=source, **upload, **more
            )
            parts.append((number, copied["CopyPartResult"]["ETag"]))
        for wrong in ("bytes=0-99999999", "bytes=5-4", "bytes=-5", "bytes=0-"):
            self.refused(
                "InvalidArgument",
                400,
                s3.upload_part_copy,
                PartNumber=5,
                CopySource=source,
                CopySourceRange=wrong,
                **upload,
            )
        self.refused(
            "PreconditionFailed",
            412,
            s3.upload_part_copy,
            PartNumber=5,
            CopySource=source,
            CopySourceIfMatch='"no"',
            **upload,
        )
        self.finish(upload, parts)
        got = s3.get_object(Bucket=bucket, Key="a")["Body"].read()
        self.assertEqual(got, data[100 : 100 + 6 * MB] + data + data[7:9])

    def test_conditional(self) -> None:
        """Completing if there is none is refused when there is one."""
        s3, bucket = self.s3(), self.bucket()
        upload = self.begin(bucket)
        tag = self.put(upload, 1, b"late")["ETag"]
        s3.put_object(Bucket=bucket, Key="a", Body=b"first")
        self.refused(
            "PreconditionFailed",
            412,
            s3.complete_multipart_upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
            IfNoneMatch="*",
            **upload,
        )
        got = s3.get_object(Bucket=bucket, Key="a")["Body"].read()
        self.assertEqual(got, b"first")


class LargeTests(BlackboxCase):
    """
    Half a gigabyte.
    """

    SIZE: ClassVar[int] = 500_000_000

    def test_both_ways(self) -> None:
        """500 MB go up in parts and come down in ranges, in bounded memory."""
        from boto3.s3.transfer import TransferConfig

        bucket, folder = self.bucket(), self.folder()
        source, target = os.path.join(folder, "up"), os.path.join(folder, "down")
        block = random.Random(1).randbytes(1_000_000)
        digest = hashlib.sha256()
        with open(source, "wb") as file:
            for number in range(self.SIZE // len(block)):
                piece = number.to_bytes(8, "big") + block[8:]
                digest.update(piece)
                file.write(piece)
        config = TransferConfig(multipart_chunksize=16 * MB, max_concurrency=8)
        s3 = self.s3()
        s3.upload_file(source, bucket, "large", Config=config)
        os.remove(source)
        head = s3.head_object(Bucket=bucket, Key="large")
        self.assertEqual(head["ContentLength"], self.SIZE)
        self.assertTrue(head["ETag"].endswith(f'-{-(-self.SIZE // (16 * MB))}"'))
        s3.download_file(bucket, "large", target, Config=config)
        found = hashlib.sha256()
        with open(target, "rb") as file:
            while piece := file.read(MB):
                found.update(piece)
        self.assertEqual(found.hexdigest(), digest.hexdigest())
        self.assertLess(self.daemon.rss(peak=True), 300 * MB)
        s3.delete_object(Bucket=bucket, Key="large")


class RestartTests(BlackboxCase):
    """
    An upload outlives the daemon.
    """

    own = True
    setting = Setting()

    def test_resume(self) -> None:
        """An upload that was begun goes on after a restart."""
        s3 = self.s3()
        made = s3.create_multipart_upload(
            Bucket="demo", Key="a", Metadata={"m": "1"}, ChecksumAlgorithm="CRC32"
        )
        upload = {"Bucket": "demo", "Key": "a", "UploadId": made["UploadId"]}
        first = s3.upload_part(
            PartNumber=1, Body=PART, ChecksumAlgorithm="CRC32", **upload
        )
        self.assertEqual(self.daemon.stop(), 0)
        self.restart()
        s3 = self.s3()
        (listed,) = s3.list_multipart_uploads(Bucket="demo")["Uploads"]
        self.assertEqual(listed["UploadId"], upload["UploadId"])
        (part,) = s3.list_parts(**upload)["Parts"]
        self.assertEqual(part["ETag"], first["ETag"])
        last = s3.upload_part(
            PartNumber=2, Body=LAST, ChecksumAlgorithm="CRC32", **upload
        )
        parts = [
            {"PartNumber": n, "ETag": p["ETag"], "ChecksumCRC32": p["ChecksumCRC32"]}
            for n, p in ((1, first), (2, last))
        ]
        s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
        got = s3.get_object(Bucket="demo", Key="a")
        self.assertEqual(
            (got["Body"].read(), got["Metadata"]), (PART + LAST, {"m": "1"})
        )
        self.assertEqual(self.daemon.stop(), 0)
