"""
What the suites that others test S3 servers with ask for, and a directory tree or an
earlier edge would not give.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import xxhash

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up
from tests.blackbox.test_access import AccessCase

KEYS = ("asdf", "foo/", "foo/bar", "foo/bar/xyzzy", "quux/thud")
ODD = ("../a", "./b", "/c", "//", "a//b", "a/../b", "a/./c", "x/..", "x/../")

SLOW = set_up(
    mounts=("slow=slow+file://{here}/slow?latency=3s", "plain={here}/plain"),
)


class KeyTests(BlackboxCase):
    """
    Any key beside any other, in a directory.
    """

    def held(self, keys: tuple[str, ...]) -> tuple[Any, str]:
        s3, bucket = self.s3(), self.bucket()
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=key, Metadata={"key": "k"})
        for key in keys:
            got = s3.get_object(Bucket=bucket, Key=key)
            self.assertEqual(
                (got["Body"].read(), got["Metadata"]), (key.encode(), {"key": "k"})
            )
            head = s3.head_object(Bucket=bucket, Key=key)
            self.assertEqual(head["ContentLength"], len(key))
        for list_objects in (s3.list_objects, s3.list_objects_v2):
            found = [each["Key"] for each in list_objects(Bucket=bucket)["Contents"]]
            self.assertEqual(found, sorted(keys))
        return s3, bucket

    def test_delimiter(self) -> None:
        """C{foo/}, C{foo/bar} and C{foo/bar/xyzzy} are listed, whole and folded."""
        s3, bucket = self.held(KEYS)
        for prefix, keys, prefixes in (
            ("", ["asdf"], ["foo/", "quux/"]),
            ("foo/", ["foo/", "foo/bar"], ["foo/bar/"]),
            ("foo/bar", ["foo/bar"], ["foo/bar/"]),
            ("foo/bar/", ["foo/bar/xyzzy"], []),
        ):
            found = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix=prefix)
            self.assertEqual([each["Key"] for each in found.get("Contents", [])], keys)
            folded = [each["Prefix"] for each in found.get("CommonPrefixes", [])]
            self.assertEqual(folded, prefixes)

    def test_folder_bytes(self) -> None:
        """A key that ends in a slash is an object with bytes, as any other."""
        s3, bucket = self.held(("asdf/",))
        got = s3.get_object(Bucket=bucket, Key="asdf/", Range="bytes=1-2")
        self.assertEqual(got["Body"].read(), b"sd")
        s3.copy_object(Bucket=bucket, Key="copy/", CopySource=f"{bucket}/asdf/")
        tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
        s3.put_object_tagging(Bucket=bucket, Key="copy/", Tagging=tags)
        self.assertEqual(s3.head_object(Bucket=bucket, Key="copy/")["TagCount"], 1)
        got = s3.get_object(Bucket=bucket, Key="copy/")
        self.assertEqual(got["Body"].read(), b"asdf/")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="made/")["UploadId"]
        part = s3.upload_part(
            Bucket=bucket, Key="made/", UploadId=upload, PartNumber=1, Body=b"part"
        )
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="made/",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        got = s3.get_object(Bucket=bucket, Key="made/")
        self.assertEqual(got["Body"].read(), b"part")
        self.refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=bucket)
        for key in ("asdf/", "copy/", "made/"):
            s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)

    def test_odd(self) -> None:
        """Empty parts, C{.} and C{..} are parts of keys as any other."""
        s3, bucket = self.held(ODD)
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ODD]}
        )
        self.assertEqual(len(answer["Deleted"]), len(ODD))
        s3.delete_bucket(Bucket=bucket)


class ChecksumTests(BlackboxCase):
    """
    The kinds of checksum that S3 came to know after the first five.
    """

    def test_kinds(self) -> None:
        """They are compared, kept and told; a wrong one leaves what was there."""
        s3, bucket = self.s3(), self.bucket()
        data = b"hello, world" * 1000
        digests = {
            "sha512": hashlib.sha512(data).digest(),
            "md5": hashlib.md5(data).digest(),
            "xxhash64": xxhash.xxh64(data).digest(),
            "xxhash3": xxhash.xxh3_64(data).digest(),
            "xxhash128": xxhash.xxh3_128(data).digest(),
        }
        for name, digest in digests.items():
            header = f"x-amz-checksum-{name}"
            value = base64.b64encode(digest).decode()
            wire = self.wire()
            answer = wire.ask("PUT", f"/{bucket}/{name}", data, **{header: value})
            self.assertEqual(answer.status, 200, answer)
            wrong = base64.b64encode(bytes(len(digest))).decode()
            answer = wire.ask("PUT", f"/{bucket}/{name}", b"other", **{header: wrong})
            self.assertEqual((answer.status, answer.code), (400, "BadDigest"))
            answer = wire.ask("GET", f"/{bucket}/{name}", x_amz_checksum_mode="ENABLED")
            self.assertEqual((answer.body, answer.headers[header]), (data, value))
            told = s3.get_object_attributes(
                Bucket=bucket, Key=name, ObjectAttributes=["Checksum"]
            )["Checksum"]
            self.assertEqual(told[f"Checksum{name.upper()}"], value)


class PrecedenceTests(BlackboxCase):
    """
    Which error wins, of what is wrong in several ways.
    """

    def test_wins(self) -> None:
        """A number that is none before a key that is none; a hash before a body."""
        bucket = self.bucket()
        wire = self.wire()
        for number in ("0", "-1", "10001", "x"):
            answer = wire.ask("GET", f"/{bucket}/none?partNumber={number}")
            self.assertEqual((answer.status, answer.code), (400, "InvalidArgument"))
        answer = wire.ask("GET", f"/{bucket}/none?partNumber=1")
        self.assertEqual((answer.status, answer.code), (404, "NoSuchKey"))
        self.s3().put_object(Bucket=bucket, Key="k", Body=b"x")
        for digest, code in (
            ("0" * 64, "XAmzContentSHA256Mismatch"),
            (hashlib.sha256().hexdigest(), "MissingRequestBodyError"),
        ):
            target = f"/{bucket}/k?tagging"
            answer = wire.ask("PUT", target, x_amz_content_sha256=digest)
            self.assertEqual((answer.status, answer.code), (400, code))
        for target in (f"/{bucket}/k?uploads", f"/{bucket}/k?versions"):
            answer = wire.ask("GET", target)
            self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"))
        answer = wire.ask("PUT", f"/{bucket}/k?uploadId=1", b"x")
        self.assertEqual((answer.status, answer.code), (405, "MethodNotAllowed"))
        answer = wire.ask("GET", f"/{bucket}/k?attributes")
        self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"))
        got = wire.ask("GET", f"/{bucket}/k")
        self.assertEqual(got.body, b"x")


class CompletionTests(BlackboxCase):
    """
    Clients that are not patient.
    """

    def test_at_once(self) -> None:
        """Of many who complete an upload at once, all are told of the one object."""
        s3, bucket = self.s3(), self.bucket()
        part = os.urandom(5 << 20)
        for _ in range(3):
            given = {"Bucket": bucket, "Key": "k"}
            given["UploadId"] = s3.create_multipart_upload(**given)["UploadId"]
            parts = [
                {
                    "PartNumber": number,
                    "ETag": s3.upload_part(Body=body, PartNumber=number, **given)[
                        "ETag"
                    ],
                }
                for number, body in ((1, part), (2, b"end"))
            ]

            def complete(_: int, given: Any = given, parts: Any = parts) -> str:
                answer = s3.complete_multipart_upload(
                    MultipartUpload={"Parts": parts}, **given
                )
                return str(answer["ETag"])

            with ThreadPoolExecutor(5) as pool:
                self.assertEqual(len(set(pool.map(complete, range(5)))), 1)
            got = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
            self.assertTrue(got == part + b"end")


class CopyTests(BlackboxCase):
    """
    What a copy does not take along.
    """

    def test_own(self) -> None:
        """Storage class and redirect are each object's own."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(
            Bucket=bucket,
            Key="a",
            Body=b"x",
            StorageClass="STANDARD_IA",
            WebsiteRedirectLocation="/elsewhere",
            CacheControl="no-cache",
        )
        s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
        found = s3.head_object(Bucket=bucket, Key="b")
        self.assertEqual(found["CacheControl"], "no-cache")
        self.assertNotIn("StorageClass", found)
        self.assertNotIn("WebsiteRedirectLocation", found)
        s3.copy_object(
            Bucket=bucket,
            Key="b",
            CopySource=f"{bucket}/a",
            StorageClass="GLACIER_IR",
            WebsiteRedirectLocation="/there",
        )
        found = s3.head_object(Bucket=bucket, Key="b")
        self.assertEqual(found["StorageClass"], "GLACIER_IR")
        self.assertEqual(found["WebsiteRedirectLocation"], "/there")


class HalfClosedTests(BlackboxCase):
    """
    Clients that close their end when they have asked.
    """

    setting = SLOW

    def test_answered(self) -> None:
        """They are answered, however long that takes."""
        with open(self.daemon.path("slow", "key"), "wb") as file:
            file.write(b"data")
        for target, status in (("/slow/key", 200), ("/plain/none", 404)):
            wire = self.wire()
            wire.request("GET", target)
            wire.socket.shutdown(socket.SHUT_WR)
            answer = wire.answer()
            while answer.status == 100:
                # That they are asked whether they are there must trouble nobody.
                answer = wire.answer()
            self.assertEqual(answer.status, status)
            self.assertTrue(wire.closed())


class ExpiredTests(AccessCase):
    """
    Which error wins.
    """

    def test_presigned(self) -> None:
        """That a URL has expired, or has a token that is none, is said first."""
        bucket = self.bucket()
        s3 = self.as_user("owner")
        given = {"Bucket": bucket, "Key": "k"}
        url = s3.generate_presigned_url("get_object", Params=given)
        old = (datetime.now(timezone.utc) - timedelta(days=2)).strftime(
            "%Y%m%dT%H%M%SZ"
        )
        for changes, code, status in (
            ({"X-Amz-Date": old}, "AccessDenied", 403),
            ({"X-Amz-Security-Token": "token"}, "InvalidToken", 400),
            ({"X-Amz-Expires": "7"}, "SignatureDoesNotMatch", 403),
        ):
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query)) | changes
            if "X-Amz-Date" in changes:
                day = query["X-Amz-Credential"].split("/")
                day[1] = old[:8]
                query["X-Amz-Credential"] = "/".join(day)
            target = urlunsplit(("", "", parts.path, urlencode(query), ""))
            answer = self.wire().ask("GET", target)
            self.assertEqual((answer.code, answer.status), (code, status), answer)


class SharedTreeTests(BlackboxCase):
    """
    A directory that other programs look into.
    """

    setting = set_up(mounts=("tree={here}/tree",))

    def test_refused(self) -> None:
        """What a tree has no place for under its own name is refused in plain words."""
        from botocore.exceptions import ClientError

        s3 = self.s3()
        for key in ("file", "folder/file"):
            s3.put_object(Bucket="tree", Key=key, Body=b"x")
        for key in ("file/beneath", "folder", "a/../b", "./a", "a//b", "b" * 256):
            error = self.assertRaises(
                ClientError, s3.put_object, Bucket="tree", Key=key, Body=b"y"
            )
            answer = error.response
            self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 400, key)
            self.refused("NoSuchKey", 404, s3.get_object, Bucket="tree", Key=key)
        found = s3.list_objects_v2(Bucket="tree")["Contents"]
        self.assertEqual([each["Key"] for each in found], ["file", "folder/file"])
