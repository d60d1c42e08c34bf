"""
Objects through boto3, on HTTP and on TLS.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import Any

from awscrt import checksums as crt

from tests.blackbox.case import BlackboxCase

DATA = random.Random(7).randbytes(3_000_000)

ALGORITHMS = {
    "CRC32": lambda data: crt.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def checksum(algorithm: str, data: bytes) -> str:
    """As S3 writes it."""
    return base64.b64encode(ALGORITHMS[algorithm](data)).decode()


def etag(data: bytes) -> str:
    """Of an object put whole."""
    return f'"{hashlib.md5(data).hexdigest()}"'


class RoundTripTests(BlackboxCase):
    """
    What is written is read.
    """

    def round_trip(self, secure: bool) -> None:
        s3 = self.s3(secure)
        bucket = self.bucket()
        for size in (0, 1, 4096, 65_536, 65_537, 1 << 20, len(DATA)):
            put = s3.put_object(Bucket=bucket, Key=f"of {size}", Body=DATA[:size])
            self.assertEqual(put["ETag"], etag(DATA[:size]))
            got = s3.get_object(Bucket=bucket, Key=f"of {size}")
            self.assertEqual(got["Body"].read(), DATA[:size])
            self.assertEqual(got["ETag"], put["ETag"])
            self.assertEqual(got["ContentLength"], size)
            head = s3.head_object(Bucket=bucket, Key=f"of {size}")
            self.assertEqual((head["ETag"], head["ContentLength"]), (put["ETag"], size))

    def test_http(self) -> None:
        """What is written is read, with its MD5 as its ETag."""
        self.round_trip(False)

    def test_tls(self) -> None:
        """What is written over TLS is read over TLS."""
        self.round_trip(True)

    def test_overwrite(self) -> None:
        """A second PUT replaces the object, its headers and its metadata."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"one", Metadata={"x": "1"})
        s3.put_object(Bucket=bucket, Key="a", Body=b"three", ContentType="text/x")
        got = s3.get_object(Bucket=bucket, Key="a")
        self.assertEqual(got["Body"].read(), b"three")
        self.assertEqual((got["Metadata"], got["ContentType"]), ({}, "text/x"))

    def test_delete(self) -> None:
        """What is deleted is gone; deleting what is not there succeeds."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")
        s3.delete_object(Bucket=bucket, Key="a/b")
        self.refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="a/b")
        self.refused("404", 404, s3.head_object, Bucket=bucket, Key="a/b")
        s3.delete_object(Bucket=bucket, Key="a/b")
        self.refused("NoSuchBucket", 404, s3.get_object, Bucket="no-such", Key="a")

    def test_delete_objects(self) -> None:
        """DeleteObjects takes a thousand keys at once, and tells of each."""
        s3, bucket = self.s3(), self.bucket()
        keys = [f"{n % 10}/file {n}" for n in range(1000)]
        for key in keys[:50]:
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]}
        )
        self.assertEqual([each["Key"] for each in answer["Deleted"]], keys)
        self.assertNotIn("Errors", answer)
        self.assertEqual(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "x"}], "Quiet": True}
        )
        self.assertNotIn("Deleted", answer)
        self.refused(
            "MalformedXML",
            400,
            s3.delete_objects,
            Bucket=bucket,
            Delete={"Objects": [{"Key": str(n)} for n in range(1001)]},
        )


class DescriptionTests(BlackboxCase):
    """
    What a writer says of an object comes back with it.
    """

    CONTENT = {
        "ContentType": "text/html; charset=utf-8",
        "ContentEncoding": "x-own",
        "ContentDisposition": 'attachment; filename="a b.html"',
        "ContentLanguage": "de, en",
        "CacheControl": "max-age=30, private",
    }

    def test_headers(self) -> None:
        """Content headers and user metadata come back as they were sent."""
        s3, bucket = self.s3(), self.bucket()
        expires = datetime(2031, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
        metadata = {"colour": "blue", "with-hyphens": "a  b", "empty": ""}
        s3.put_object(
            Bucket=bucket,
            Key="a",
            Body=b"<p>",
            Expires=expires,
            Metadata=metadata,
            **self.CONTENT,
        )
        for ask in (s3.get_object, s3.head_object):
            got = ask(Bucket=bucket, Key="a")
            self.assertEqual({name: got[name] for name in self.CONTENT}, self.CONTENT)
            self.assertEqual(got["Metadata"], metadata)
            self.assertEqual(got["ExpiresString"], "Tue, 06 May 2031 07:08:09 GMT")
            self.assertEqual(got["AcceptRanges"], "bytes")

    def test_default_type(self) -> None:
        """An object of which no type is told is binary/octet-stream."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a.html", Body=b"")
        self.assertEqual(
            s3.head_object(Bucket=bucket, Key="a.html")["ContentType"],
            "binary/octet-stream",
        )

    def test_raw_metadata(self) -> None:
        """Metadata in UTF-8 comes back byte for byte."""
        bucket = self.bucket()
        value = "žluťoučký 馬 🐎".encode().decode("latin-1")
        wire = self.wire()
        put = wire.ask("PUT", f"/{bucket}/a", b"x", **{"x-amz-meta-horse": value})
        self.assertEqual(put.status, 200)
        self.assertEqual(
            wire.ask("GET", f"/{bucket}/a").headers["x-amz-meta-horse"], value
        )

    def test_metadata_too_large(self) -> None:
        """More than 2 KiB of user metadata is refused."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Metadata={"a": "x" * 2047})
        self.refused(
            "MetadataTooLarge",
            400,
            s3.put_object,
            Bucket=bucket,
            Key="b",
            Metadata={"a": "x" * 2048},
        )

    def test_overrides(self) -> None:
        """The response-* parameters replace the headers of one answer."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ContentType="text/plain")
        got = s3.get_object(
            Bucket=bucket,
            Key="a",
            ResponseContentType="image/png",
            ResponseContentDisposition='attachment; filename="ü.png"',
            ResponseCacheControl="no-store",
            ResponseContentLanguage="fr",
            ResponseContentEncoding="x-y",
        )
        self.assertEqual(got["ContentType"], "image/png")
        self.assertEqual(got["CacheControl"], "no-store")
        self.assertEqual(got["ContentLanguage"], "fr")
        self.assertEqual(got["ContentEncoding"], "x-y")
        self.assertEqual(
            s3.head_object(Bucket=bucket, Key="a")["ContentType"], "text/plain"
        )

    def test_tags(self) -> None:
        """Tags of an object are put, counted, replaced and deleted; ten at most."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", Tagging="k=v%20w&ü=é")
        tags = s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
        self.assertEqual(
            {tag["Key"]: tag["Value"] for tag in tags}, {"k": "v w", "ü": "é"}
        )
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["TagCount"], 2)
        ten = [{"Key": f"k{n}", "Value": "v" * 256} for n in range(10)]
        before = s3.head_object(Bucket=bucket, Key="a")
        s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": ten})
        self.assertEqual(s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"], ten)
        after = s3.head_object(Bucket=bucket, Key="a")
        self.assertEqual(
            (after["ETag"], after["LastModified"]),
            (before["ETag"], before["LastModified"]),
        )
        for wrong in (
            [*ten, {"Key": "k10", "Value": ""}],
            [{"Key": "k", "Value": "v" * 257}],
            [{"Key": "k" * 129, "Value": "v"}],
            [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
            [{"Key": "aws:k", "Value": "v"}],
        ):
            answer = self.failing(s3.put_object_tagging, bucket, wrong)
            self.assertIn(answer["Error"]["Code"], ("InvalidTag", "BadRequest"))
        s3.delete_object_tagging(Bucket=bucket, Key="a")
        self.assertEqual(s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"], [])
        self.assertNotIn("TagCount", s3.head_object(Bucket=bucket, Key="a"))
        self.refused("NoSuchKey", 404, s3.get_object_tagging, Bucket=bucket, Key="b")

    def failing(self, call: Any, bucket: str, tags: Any) -> Any:
        from botocore.exceptions import ClientError

        error = self.assertRaises(
            ClientError, call, Bucket=bucket, Key="a", Tagging={"TagSet": tags}
        )
        self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        return error.response


class RangeTests(BlackboxCase):
    """
    Bytes out of the middle.
    """

    def test_random(self) -> None:
        """Any range gives those bytes, on HTTP and TLS, and says which they are."""
        bucket = self.bucket()
        size = len(DATA)
        self.s3().put_object(Bucket=bucket, Key="a", Body=DATA)
        choose = random.Random(3)
        for secure in (False, True):
            s3 = self.s3(secure)
            for _ in range(60):
                first = choose.randrange(size)
                last = min(first + choose.choice((0, 9, 70_000, 2_000_000)), size + 5)
                form, begin, end = choose.choice(
                    (
                        (f"bytes={first}-{last}", first, last + 1),
                        (f"bytes={first}-", first, size),
                        (f"bytes=-{first + 1}", size - first - 1, size),
                    )
                )
                end = min(end, size)
                got = s3.get_object(Bucket=bucket, Key="a", Range=form)
                self.assertEqual(got["Body"].read(), DATA[begin:end], form)
                self.assertEqual(
                    got["ContentRange"], f"bytes {begin}-{end - 1}/{size}", form
                )
                self.assertEqual(got["ContentLength"], end - begin)
                self.assertEqual(got["ResponseMetadata"]["HTTPStatusCode"], 206)

    def test_unsatisfiable(self) -> None:
        """A range that begins past the end is 416 and says the size."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"12345")
        s3.put_object(Bucket=bucket, Key="empty", Body=b"")
        for key, form in (
            ("a", "bytes=5-"),
            ("a", "bytes=9-10"),
            ("a", "bytes=-0"),
            ("empty", "bytes=0-"),
            ("empty", "bytes=-1"),
        ):
            answer = self.refused(
                "InvalidRange", 416, s3.get_object, Bucket=bucket, Key=key, Range=form
            )
            size = "5" if key == "a" else "0"
            self.assertEqual(answer["Error"]["ActualObjectSize"], size, form)
            self.assertEqual(
                answer["ResponseMetadata"]["HTTPHeaders"]["content-range"],
                f"bytes */{size}",
            )

    def test_ignored(self) -> None:
        """A range that is malformed, or of several, gives the whole object."""
        bucket = self.bucket()
        wire = self.wire()
        wire.ask("PUT", f"/{bucket}/a", b"12345")
        for form in ("bytes=3-1", "bytes=1-2,3-4", "lines=1-2", "bytes=", "bytes=x-y"):
            got = wire.ask("GET", f"/{bucket}/a", range=form)
            self.assertEqual((got.status, got.body), (200, b"12345"), form)

    def test_if_range(self) -> None:
        """If-Range gives the range of the same version, else the whole object."""
        bucket = self.bucket()
        wire = self.wire()
        tag = wire.ask("PUT", f"/{bucket}/a", b"12345").headers["etag"]
        for condition, body in ((tag, b"23"), ('"other"', b"12345")):
            got = wire.ask(
                "GET", f"/{bucket}/a", **{"range": "bytes=1-2", "if-range": condition}
            )
            self.assertEqual(got.body, body, condition)

    def test_head(self) -> None:
        """HEAD of a range tells its length, without a body."""
        bucket = self.bucket()
        wire = self.wire()
        wire.ask("PUT", f"/{bucket}/a", b"12345")
        got = wire.ask("HEAD", f"/{bucket}/a", range="bytes=1-3")
        self.assertEqual((got.status, got.headers["content-length"]), (206, "3"))
        self.assertEqual(wire.ask("GET", f"/{bucket}/a").body, b"12345")


class ConditionTests(BlackboxCase):
    """
    If and only if.
    """

    def test_reading(self) -> None:
        """Conditions on GET and HEAD are 304 or 412, as RFC 9110 says."""
        s3, bucket = self.s3(), self.bucket()
        tag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
        at = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
        day = timedelta(days=1)
        for ask in (s3.get_object, s3.head_object):
            for good in (
                {"IfMatch": tag},
                {"IfMatch": "*"},
                {"IfNoneMatch": '"other"'},
                {"IfModifiedSince": at - day},
                {"IfUnmodifiedSince": at},
                {"IfMatch": tag, "IfUnmodifiedSince": at - day},
            ):
                ask(Bucket=bucket, Key="a", **good)
            for bad, status in (
                ({"IfMatch": '"other"'}, 412),
                ({"IfUnmodifiedSince": at - day}, 412),
                ({"IfNoneMatch": tag}, 304),
                ({"IfNoneMatch": "*"}, 304),
                ({"IfModifiedSince": at}, 304),
            ):
                code = str(status)
                if status == 412 and ask == s3.get_object:
                    code = "PreconditionFailed"
                self.refused(code, status, ask, Bucket=bucket, Key="a", **bad)

    def test_writing(self) -> None:
        """A conditional PUT that does not hold is 412, and the old object stays."""
        s3, bucket = self.s3(), self.bucket()
        tag = s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
        refuse = ("PreconditionFailed", 412, s3.put_object)
        self.refused(*refuse, Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
        self.refused(*refuse, Bucket=bucket, Key="a", Body=b"2", IfMatch='"no"')
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["Body"].read(), b"1")
        s3.put_object(Bucket=bucket, Key="a", Body=b"3", IfMatch=tag)
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["Body"].read(), b"3")
        self.refused(
            "NoSuchKey", 404, s3.put_object, Bucket=bucket, Key="b", IfMatch=tag
        )

    def test_race(self) -> None:
        """Of many that put at once if there is none, one succeeds."""
        from concurrent.futures import ThreadPoolExecutor

        from botocore.exceptions import ClientError

        s3, bucket = self.s3(), self.bucket()

        def put(number: int) -> str:
            try:
                s3.put_object(
                    Bucket=bucket, Key="a", Body=DATA[:number], IfNoneMatch="*"
                )
            except ClientError as error:
                return str(error.response["Error"]["Code"])
            return ""

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(put, range(100_000, 100_016)))
        self.assertEqual(answers.count(""), 1)
        self.assertEqual(
            set(answers) - {"", "ConditionalRequestConflict"}, {"PreconditionFailed"}
        )
        winner = s3.get_object(Bucket=bucket, Key="a")["Body"].read()
        self.assertEqual(len(winner), 100_000 + answers.index(""))


class IntegrityTests(BlackboxCase):
    """
    What does not arrive as it was sent is not stored.
    """

    def test_kinds(self) -> None:
        """Each kind of checksum is verified, kept and told: as header and as trailer."""
        bucket = self.bucket()
        for secure in (False, True):  # boto3 sends a trailer over TLS
            s3 = self.s3(secure)
            for algorithm in ALGORITHMS:
                field = f"Checksum{algorithm}"
                value = checksum(algorithm, DATA)
                put = s3.put_object(
                    Bucket=bucket,
                    Key=algorithm,
                    Body=DATA,
                    ChecksumAlgorithm=algorithm,
                )
                self.assertEqual(put[field], value, (algorithm, secure))
                self.assertEqual(put["ChecksumType"], "FULL_OBJECT")
                got = s3.get_object(
                    Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED"
                )
                self.assertEqual((got["Body"].read(), got[field]), (DATA, value))
                head = s3.head_object(
                    Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED"
                )
                self.assertEqual(head[field], value)
                bare = s3.head_object(Bucket=bucket, Key=algorithm)
                self.assertNotIn(field, bare)

    def test_wrong(self) -> None:
        """A wrong checksum or MD5 is BadDigest, and the old object stays."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"old")
        for algorithm in ALGORITHMS:
            wrong = {f"Checksum{algorithm}": checksum(algorithm, b"something else")}
            self.refused(
                "BadDigest",
                400,
                s3.put_object,
                Bucket=bucket,
                Key="a",
                Body=DATA,
                **wrong,
            )
        md5 = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
        self.refused(
            "BadDigest",
            400,
            s3.put_object,
            Bucket=bucket,
            Key="a",
            Body=DATA,
            ContentMD5=md5,
        )
        self.refused(
            "InvalidDigest", 400, s3.put_object, Bucket=bucket, Key="a", ContentMD5="x"
        )
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["Body"].read(), b"old")

    def test_wrong_trailer(self) -> None:
        """A trailer that does not match is BadDigest, and the old object stays."""
        bucket = self.bucket()
        for secure in (False, True):
            wire = self.wire(secure)
            wire.ask("PUT", f"/{bucket}/a", b"old")
            for algorithm in ALGORITHMS:
                name = f"x-amz-checksum-{algorithm.lower()}"
                for promised, code in ((b"hello", ""), (b"hullo", "BadDigest")):
                    body = b"5\r\nhello\r\n0\r\n%b:%b\r\n\r\n" % (
                        name.encode(),
                        checksum(algorithm, promised).encode(),
                    )
                    answer = wire.ask(
                        "PUT",
                        f"/{bucket}/{'b' if not code else 'a'}",
                        body,
                        **{
                            "content-encoding": "aws-chunked",
                            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                            "x-amz-decoded-content-length": "5",
                            "x-amz-trailer": name,
                        },
                    )
                    self.assertEqual(answer.code, code, (algorithm, answer))
            self.assertEqual(wire.ask("GET", f"/{bucket}/a").body, b"old")
            got = wire.ask("GET", f"/{bucket}/b")
            self.assertEqual(got.body, b"hello")
            self.assertNotIn("content-encoding", got.headers)

    def test_wrong_payload_hash(self) -> None:
        """A body that its x-amz-content-sha256 does not name is not stored."""
        bucket = self.bucket()
        answer = self.wire().ask(
            "PUT",
            f"/{bucket}/a",
            b"hello",
            **{"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()},
        )
        self.assertEqual(
            (answer.status, answer.code), (400, "XAmzContentSHA256Mismatch")
        )
        self.assertEqual(self.wire().ask("GET", f"/{bucket}/a").code, "NoSuchKey")

    def test_short(self) -> None:
        """A body that ends early is not stored, and the old object stays."""
        bucket = self.bucket()
        wire = self.wire()
        wire.ask("PUT", f"/{bucket}/a", b"old")
        body = b"5\r\nhello\r\n0\r\n\r\n"
        answer = wire.ask(
            "PUT",
            f"/{bucket}/a",
            body,
            **{
                "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "x-amz-decoded-content-length": "6",
            },
        )
        self.assertEqual((answer.status, answer.code), (400, "IncompleteBody"))
        self.assertEqual(self.wire().ask("GET", f"/{bucket}/a").body, b"old")


class CopyTests(BlackboxCase):
    """
    Copies within and between buckets.
    """

    def test_copy(self) -> None:
        """A copy has the bytes, headers, metadata and tags of its source."""
        s3, bucket, other = self.s3(), self.bucket(), self.bucket()
        s3.put_object(
            Bucket=bucket,
            Key="a ü+%",
            Body=DATA,
            ContentType="text/x",
            Metadata={"m": "1"},
            Tagging="t=1",
        )
        source = {"Bucket": bucket, "Key": "a ü+%"}
        copied = s3.copy_object(Bucket=other, Key="b", CopySource=source)
        self.assertEqual(copied["CopyObjectResult"]["ETag"], etag(DATA))
        got = s3.get_object(Bucket=other, Key="b")
        self.assertEqual(got["Body"].read(), DATA)
        self.assertEqual((got["ContentType"], got["Metadata"]), ("text/x", {"m": "1"}))
        self.assertEqual(
            s3.get_object_tagging(Bucket=other, Key="b")["TagSet"],
            [{"Key": "t", "Value": "1"}],
        )

    def test_replace(self) -> None:
        """A copy onto itself needs REPLACE, and then changes what is said of it."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"m": "1"})
        source = {"Bucket": bucket, "Key": "a"}
        self.refused(
            "InvalidRequest",
            400,
            s3.copy_object,
            Bucket=bucket,
            Key="a",
            CopySource=source,
        )
        s3.copy_object(
            Bucket=bucket,
            Key="a",
            CopySource=source,
            MetadataDirective="REPLACE",
            Metadata={"n": "2"},
            ContentType="text/y",
            TaggingDirective="REPLACE",
            Tagging="t=2",
        )
        got = s3.get_object(Bucket=bucket, Key="a")
        self.assertEqual(got["Body"].read(), b"x")
        self.assertEqual((got["ContentType"], got["Metadata"]), ("text/y", {"n": "2"}))
        self.assertEqual(got["TagCount"], 1)

    def test_conditions(self) -> None:
        """A copy whose source is not as demanded is 412, and copies nothing."""
        s3, bucket = self.s3(), self.bucket()
        tag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
        given = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
        for bad in ({"CopySourceIfMatch": '"no"'}, {"CopySourceIfNoneMatch": tag}):
            self.refused("PreconditionFailed", 412, s3.copy_object, **given, **bad)
        self.refused("404", 404, s3.head_object, Bucket=bucket, Key="b")
        s3.copy_object(**given, CopySourceIfMatch=tag)
        given["CopySource"] = f"{bucket}/nothing"
        self.refused("NoSuchKey", 404, s3.copy_object, **given)


class KeyTests(BlackboxCase):
    """
    Names that are hard to say.
    """

    KEYS = (
        "plain",
        "with space",
        "  two leading",
        "trailing ",
        "plus+plus",
        "per%cent",
        "%2F",
        "a%2Fb",
        "%",
        "ünïcødé/日本語",
        "e\u0301 is not \u00e9",
        "🐎/🐎.txt",
        "a=b&c=d",
        "x?y#z",
        "star*~!'()",
        "quotes \"double\" 'single'",
        "back\\slash",
        "semi;colon:comma,dollar$at@",
        "<angle>&amp;",
        "[brackets]{braces}|^`",
        "new\nline\ttab",
        "\x7f\x01",
        ".hidden",
        "..also",
        "deep/" * 40 + "file",
        "a" * 255,
        "/".join(["k" * 200] * 5) + "/" + "z" * 19,
        "ü" * 127,
    )

    def test_keys(self) -> None:
        """Any legal key is written, read, listed, copied and deleted as it is."""
        self.assertEqual(max(len(key.encode()) for key in self.KEYS), 1024)
        for secure in (False, True):
            s3, bucket = self.s3(secure), self.bucket()
            for key in self.KEYS:
                s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
            for key in self.KEYS:
                got = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                self.assertEqual(got, key.encode())
            listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
            self.assertEqual(
                [each["Key"] for each in listed],
                sorted(self.KEYS, key=lambda key: key.encode()),
            )
            for key in self.KEYS[:20]:
                s3.copy_object(
                    Bucket=bucket,
                    Key=key + ".copy",
                    CopySource={"Bucket": bucket, "Key": key},
                )
                got = s3.get_object(Bucket=bucket, Key=key + ".copy")["Body"].read()
                self.assertEqual(got, key.encode())
            # No XML document can name it.
            s3.delete_object(Bucket=bucket, Key="\x7f\x01")
            every = s3.list_objects_v2(Bucket=bucket)["Contents"]
            objects = [{"Key": each["Key"]} for each in every]
            self.assertEqual(len(objects), len(self.KEYS) + 19)
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
            self.assertEqual(len(answer["Deleted"]), len(objects))
            s3.delete_bucket(Bucket=bucket)

    def test_unsuitable(self) -> None:
        """A key that a directory cannot hold is refused in plain words."""
        from botocore.exceptions import ClientError

        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="file", Body=b"x")
        for key in ("a" * 256, "a/" + "b" * 256 + "/c", "a/.alluxio-tw.file"):
            error = self.assertRaises(
                ClientError, s3.put_object, Bucket=bucket, Key=key, Body=b""
            )
            answer = error.response
            self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 400, key)
            self.assertIn(
                answer["Error"]["Code"], ("InvalidArgument", "InvalidRequest")
            )
            self.refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key=key)
        self.refused(
            "KeyTooLongError", 400, s3.put_object, Bucket=bucket, Key="k/" * 513
        )
        self.assertEqual(s3.get_object(Bucket=bucket, Key="file")["Body"].read(), b"x")

    def test_folders(self) -> None:
        """A key that ends in a slash is an object of its own, and listed."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="folder/", Body=b"")
        s3.put_object(Bucket=bucket, Key="folder/a", Body=b"x")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        self.assertEqual(keys, ["folder/", "folder/a"])
        self.assertEqual(
            s3.head_object(Bucket=bucket, Key="folder/")["ContentLength"], 0
        )
        s3.delete_object(Bucket=bucket, Key="folder/a")
        s3.head_object(Bucket=bucket, Key="folder/")
        s3.delete_object(Bucket=bucket, Key="folder/")
        s3.delete_bucket(Bucket=bucket)


class PresignedTests(BlackboxCase):
    """
    URLs that carry who asks.
    """

    def test_presigned(self) -> None:
        """Presigned GET and PUT work, and the user is known to the access log."""
        bucket = self.bucket()
        s3 = self.s3(signature_version="s3v4")
        given = {"Bucket": bucket, "Key": "a b"}
        url = s3.generate_presigned_url("put_object", Params=given)
        request = urllib.request.Request(url, b"hello", method="PUT")
        with urllib.request.urlopen(request) as answer:
            self.assertEqual(answer.status, 200)
        url = s3.generate_presigned_url(
            "get_object", Params={**given, "ResponseContentType": "text/x"}
        )
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), b"hello")
            self.assertEqual(answer.headers["Content-Type"], "text/x")
        self.assertGreaterEqual(
            self.daemon.metric("alluxio_s3_user_requests_total", user="tester"), 2
        )


class TreeTests(BlackboxCase):
    """
    Files and objects are the same thing.
    """

    def test_both_ways(self) -> None:
        """What is put is a file of the tree, and a file of the tree is an object."""
        s3, bucket = self.s3(), self.bucket()
        root = self.daemon.path("data", "buckets", bucket)
        s3.put_object(Bucket=bucket, Key="a/b c", Body=DATA)
        with open(os.path.join(root, "a", "b c"), "rb") as file:
            self.assertEqual(file.read(), DATA)
        with open(os.path.join(root, "by hand"), "wb") as file:
            file.write(b"one")
        first = s3.get_object(Bucket=bucket, Key="by hand")
        self.assertEqual(first["Body"].read(), b"one")
        with open(os.path.join(root, "by hand"), "wb") as file:
            file.write(b"three")
        second = s3.get_object(Bucket=bucket, Key="by hand")
        self.assertEqual(second["Body"].read(), b"three")
        self.assertNotEqual(first["ETag"], second["ETag"])
        os.remove(os.path.join(root, "by hand"))
        self.refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="by hand")

    def test_changed_beneath(self) -> None:
        """What was said of a file that another program changed is no longer told."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"m": "1"})
        path = self.daemon.path("data", "buckets", bucket, "a")
        with open(path, "ab") as file:
            file.write(b"yz")
        got = s3.get_object(Bucket=bucket, Key="a")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"xyz", {}))
        self.assertNotEqual(got["ETag"], etag(b"x"))

    def test_links(self) -> None:
        """Symbolic links within the mount are followed; none leads out of it."""
        s3, bucket = self.s3(), self.bucket()
        root = self.daemon.path("data", "buckets", bucket)
        outside = self.folder()
        with open(os.path.join(outside, "secret"), "w") as file:
            file.write("secret")
        s3.put_object(Bucket=bucket, Key="real/file", Body=b"x")
        for name, to in (
            ("file", os.path.join(outside, "secret")),
            ("folder", outside),
            ("up", os.path.relpath(outside, root)),
            ("etc", "/etc"),
            ("within", "real"),
        ):
            os.symlink(to, os.path.join(root, name))
        for key in ("file", "folder/secret", "up/secret", "etc/passwd"):
            self.refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key=key)
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        self.assertIn("real/file", keys)
        self.assertFalse([key for key in keys if "secret" in key or "passwd" in key])
        from botocore.exceptions import ClientError

        for key in ("folder/new", "up/new"):
            self.assertRaises(
                ClientError, s3.put_object, Bucket=bucket, Key=key, Body=b"y"
            )
        s3.put_object(Bucket=bucket, Key="file", Body=b"mine")
        self.assertEqual(os.listdir(outside), ["secret"])
        with open(os.path.join(outside, "secret")) as file:
            self.assertEqual(file.read(), "secret")
