"""
Buckets on file systems of fsspec's, through the daemon.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SkipTest

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up, until
from tests.servers import s3 as servers
from tests.servers import sftp
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, NotInstalled

MB = 1 << 20
PART = 5 * MB

ON_DISK = set_up(
    mounts=(
        "mem=fsspec+memory://",
        "disk=fsspec+file://{here}/disk",
        "fresh=fsspec+file://{here}/fresh?max-age=1s",
        "bare=fsspec+file://{here}/bare?sidecar=false",
    )
)


class Works:
    """
    What any bucket must do, on one that is kept by fsspec.
    """

    name = ""
    s3: Any

    def test_objects(self: Any) -> None:
        """Objects come back with all that was said of them."""
        s3, data = self.s3(), random.Random(1).randbytes(300_001)
        made = s3.put_object(
            Bucket=self.name,
            Key="a folder/é+%.bin",
            Body=data,
            ContentType="x/y",
            CacheControl="no-cache",
            Metadata={"colour": "blue"},
            Tagging="one=1&two=2",
            ChecksumAlgorithm="SHA256",
        )
        got = s3.get_object(
            Bucket=self.name, Key="a folder/é+%.bin", ChecksumMode="ENABLED"
        )
        self.assertTrue(got["Body"].read() == data)
        self.assertEqual(
            (got["ContentType"], got["CacheControl"], got["Metadata"]),
            ("x/y", "no-cache", {"colour": "blue"}),
        )
        self.assertEqual(got["ChecksumSHA256"], made["ChecksumSHA256"])
        tags = s3.get_object_tagging(Bucket=self.name, Key="a folder/é+%.bin")
        self.assertEqual([t["Value"] for t in tags["TagSet"]], ["1", "2"])
        (listed,) = s3.list_objects_v2(Bucket=self.name, Prefix="a folder/")["Contents"]
        etags = {made["ETag"], got["ETag"], listed["ETag"]}
        self.assertEqual(len(etags), 1, etags)
        self.assertEqual((listed["Key"], listed["Size"]), ("a folder/é+%.bin", 300_001))
        ranged = s3.get_object(
            Bucket=self.name, Key="a folder/é+%.bin", Range="bytes=1000-99999"
        )
        self.assertTrue(ranged["Body"].read() == data[1000:100_000])

    def test_overwritten(self: Any) -> None:
        """A new version is seen at once, with its own attributes."""
        s3 = self.s3()
        for n in range(5):
            s3.put_object(
                Bucket=self.name,
                Key="again",
                Body=b"%d" % n,
                Metadata={"n": str(n)} if n % 2 else {},
            )
            got = s3.get_object(Bucket=self.name, Key="again")
            self.assertEqual(got["Body"].read(), b"%d" % n)
            self.assertEqual(got["Metadata"], {"n": str(n)} if n % 2 else {})

    def test_multipart(self: Any) -> None:
        """An upload in parts becomes one object, and its parts are gone."""
        s3, data = self.s3(), random.Random(2).randbytes(2 * PART + 17)
        upload = s3.create_multipart_upload(
            Bucket=self.name, Key="m/whole", Metadata={"a": "b"}
        )["UploadId"]
        parts = []
        for number in (1, 2, 3):
            body = data[(number - 1) * PART : number * PART]
            etag = s3.upload_part(
                Bucket=self.name,
                Key="m/whole",
                UploadId=upload,
                PartNumber=number,
                Body=body,
            )["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
        made = s3.complete_multipart_upload(
            Bucket=self.name,
            Key="m/whole",
            UploadId=upload,
            MultipartUpload={"Parts": parts},
        )
        # Who did not hear the answer asks again.
        again = s3.complete_multipart_upload(
            Bucket=self.name,
            Key="m/whole",
            UploadId=upload,
            MultipartUpload={"Parts": parts},
        )
        self.assertEqual(again["ETag"], made["ETag"])
        got = s3.get_object(Bucket=self.name, Key="m/whole")
        self.assertTrue(got["Body"].read() == data)
        self.assertEqual((got["ETag"], got["Metadata"]), (made["ETag"], {"a": "b"}))
        keys = s3.list_objects_v2(Bucket=self.name, Prefix="m/")
        self.assertEqual([each["Key"] for each in keys["Contents"]], ["m/whole"])

    def test_listing(self: Any) -> None:
        """Listings are in order, page by page and folded."""
        s3 = self.s3()
        keys = ["l/a", "l/b-/x", "l/b/y/1", "l/b/y/2", "l/b/z", "l/c"]
        for key in keys:
            s3.put_object(Bucket=self.name, Key=key, Body=b"")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix="l/", PaginationConfig={"PageSize": 2}
        )
        found = [each["Key"] for page in pages for each in page.get("Contents", ())]
        self.assertEqual(found, keys)
        folded = s3.list_objects_v2(Bucket=self.name, Prefix="l/", Delimiter="/")
        self.assertEqual([e["Key"] for e in folded["Contents"]], ["l/a", "l/c"])
        self.assertEqual(
            [e["Prefix"] for e in folded["CommonPrefixes"]], ["l/b-/", "l/b/"]
        )

    def test_copy_and_delete(self: Any) -> None:
        """An object is copied with its attributes, and deleted with them."""
        s3 = self.s3()
        s3.put_object(
            Bucket=self.name, Key="from", Body=b"data", Metadata={"kept": "yes"}
        )
        s3.copy_object(
            Bucket=self.name,
            Key="to/it",
            CopySource={"Bucket": self.name, "Key": "from"},
        )
        got = s3.get_object(Bucket=self.name, Key="to/it")
        self.assertEqual(
            (got["Body"].read(), got["Metadata"]), (b"data", {"kept": "yes"})
        )
        s3.delete_objects(
            Bucket=self.name, Delete={"Objects": [{"Key": "from"}, {"Key": "to/it"}]}
        )
        self.refused("NoSuchKey", 404, s3.get_object, Bucket=self.name, Key="from")
        self.refused("NoSuchKey", 404, s3.get_object, Bucket=self.name, Key="to/it")

    def test_conditions(self: Any) -> None:
        """Who wants to be the first is, or is told; who knows the ETag may write."""
        s3 = self.s3()
        made = s3.put_object(Bucket=self.name, Key="c", Body=b"1", IfNoneMatch="*")
        self.refused(
            "PreconditionFailed",
            412,
            s3.put_object,
            Bucket=self.name,
            Key="c",
            Body=b"2",
            IfNoneMatch="*",
        )
        s3.put_object(Bucket=self.name, Key="c", Body=b"3", IfMatch=made["ETag"])
        self.refused(
            "PreconditionFailed",
            412,
            s3.put_object,
            Bucket=self.name,
            Key="c",
            Body=b"4",
            IfMatch=made["ETag"],
        )
        s3.delete_object(Bucket=self.name, Key="c")

    def test_wrong_digest(self: Any) -> None:
        """Bytes that are not what was promised leave the old object."""
        s3 = self.s3()
        s3.put_object(Bucket=self.name, Key="d", Body=b"old")
        self.refused(
            "BadDigest",
            400,
            s3.put_object,
            Bucket=self.name,
            Key="d",
            Body=b"new",
            ContentMD5="XrY7u+Ae7tCTyyK7j1rNww==",
        )
        got = s3.get_object(Bucket=self.name, Key="d")["Body"].read()
        self.assertEqual(got, b"old")


class MemoryTests(Works, BlackboxCase):
    setting = ON_DISK
    name = "mem"


class DiskTests(Works, BlackboxCase):
    setting = ON_DISK
    name = "disk"

    def test_foreign(self) -> None:
        """A file that another program writes is an object without attributes."""
        s3 = self.s3()
        s3.put_object(Bucket="fresh", Key="f/file", Body=b"ours", Metadata={"a": "b"})
        with open(self.daemon.path("fresh", "f", "file"), "wb") as file:
            file.write(b"theirs, and longer")
        until(
            lambda: s3.head_object(Bucket="fresh", Key="f/file")["ContentLength"] == 18,
            30,
        )
        got = s3.get_object(Bucket="fresh", Key="f/file")
        self.assertEqual(got["Body"].read(), b"theirs, and longer")
        self.assertEqual(got["Metadata"], {})

    def test_bare(self) -> None:
        """Without a sidecar nothing lies beside the data, and tags are refused."""
        s3 = self.s3()
        s3.put_object(Bucket="bare", Key="key", Body=b"x", Metadata={"a": "b"})
        got = s3.get_object(Bucket="bare", Key="key")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"x", {}))
        names = set(os.listdir(self.daemon.path("bare")))
        self.assertNotIn(".alluxio-tw-attributes", names)
        self.refused(
            "NotImplemented",
            501,
            s3.put_object_tagging,
            Bucket="bare",
            Key="key",
            Tagging={"TagSet": [{"Key": "a", "Value": "b"}]},
        )


class S3Tests(Works, BlackboxCase):
    """
    On a real S3, by s3fs.
    """

    name = "far"
    bucket_name = ""

    def setUp(self) -> None:
        try:
            server = servers.moto()
        except NotInstalled as error:
            if servers.required():
                raise
            raise SkipTest(str(error)) from error
        cls = type(self)
        if not cls.bucket_name:
            cls.bucket_name = server.make_bucket()
        cls.setting = far_setting(server.endpoint, cls.bucket_name)
        super().setUp()

    def test_secrets(self) -> None:
        """Options of the file system are told nowhere."""
        said = self.daemon.log() + self.daemon.get("/readyz")[1].decode()
        self.assertNotIn(SECRET_KEY, said)
        self.assertNotIn(quote(SECRET_KEY), said)
        self.assertNotIn(ACCESS_KEY, said)


def far_setting(endpoint: str, bucket: str) -> Any:
    options = "&".join(
        f"option.{name}={quote(value, safe='')}"
        for name, value in (
            ("endpoint_url", endpoint),
            ("key", ACCESS_KEY),
            ("secret", SECRET_KEY),
        )
    )
    return set_up(mounts=(f"far=fsspec+s3://{bucket}/some/where?{options}",))


class SFTPTests(Works, BlackboxCase):
    """
    On a far tree, over one connection.
    """

    name = "tree"

    def setUp(self) -> None:
        try:
            server = sftp.shared()
        except NotInstalled as error:
            if os.environ.get("CI") == "true":
                raise
            raise SkipTest(str(error)) from error
        cls = type(self)
        if cls.setting is BlackboxCase.setting:
            place = f"{sftp.USER}@127.0.0.1:{server.port}{server.make_place()}"
            cls.setting = set_up(
                mounts=(f"tree=fsspec+sftp://{place}?option.password={sftp.PASSWORD}",)
            )
        super().setUp()


class RootTests(BlackboxCase):
    """
    A file system mounted at the root: its folders are buckets.
    """

    own = True
    setting = set_up(mounts=("/=fsspec+file://{here}/root",))

    def test_buckets(self) -> None:
        """Buckets are made, listed, and removed when they are empty."""
        s3 = self.s3()
        for name in ("bucket-b", "bucket-a"):
            s3.create_bucket(Bucket=name)
        s3.put_object(Bucket="bucket-a", Key="k", Body=b"1", Metadata={"a": "b"})
        names = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        self.assertEqual(names, ["bucket-a", "bucket-b"])
        self.refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket="bucket-a")
        s3.delete_object(Bucket="bucket-a", Key="k")
        for name in names:
            s3.delete_bucket(Bucket=name)
        self.assertEqual(s3.list_buckets()["Buckets"], [])


class LastingTests(BlackboxCase):
    own = True
    setting = set_up(mounts=("disk=fsspec+file://{here}/disk",))

    def test_restart(self) -> None:
        """After kill -9 objects are there with their attributes, and no others."""
        s3 = self.s3()
        s3.put_object(Bucket="disk", Key="key", Body=b"data", Metadata={"a": "b"})
        self.daemon.kill()
        self.restart()
        got = self.s3().get_object(Bucket="disk", Key="key")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"data", {"a": "b"}))

    def test_large(self) -> None:
        """200 MB go in and out, the same, in flat memory."""
        s3 = self.s3()
        piece = random.Random(3).randbytes(MB)
        path = os.path.join(self.folder(), "large")
        digest = hashlib.sha256()
        with open(path, "wb") as file:
            for n in range(200):
                part = n.to_bytes(4, "big") + piece[4:]
                file.write(part)
                digest.update(part)
        s3.put_object(Bucket="disk", Key="warm", Body=piece * 20)
        s3.get_object(Bucket="disk", Key="warm")["Body"].read()
        before = self.daemon.rss()
        with open(path, "rb") as file:
            s3.put_object(Bucket="disk", Key="large", Body=file)
        got = hashlib.sha256()
        for part in s3.get_object(Bucket="disk", Key="large")["Body"].iter_chunks(MB):
            got.update(part)
        self.assertEqual(got.hexdigest(), digest.hexdigest())
        self.assertLess(self.daemon.rss(peak=True) - before, 100 * MB)


class HangingTests(BlackboxCase):
    own = True

    def test_hanging(self) -> None:
        """A storage that never answers holds up nobody else, and is told of."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            port = silent.getsockname()[1]
            options = (
                f"option.endpoint_url=http%3A%2F%2F127.0.0.1%3A{port}"
                "&option.key=abcdefgh&option.secret=ijklmnop&timeout=2s&threads=2"
            )
            self.daemon = self.start(
                set_up(
                    mounts=(
                        f"hung=fsspec+s3://bucket?{options}",
                        "disk=fsspec+file://{here}/disk",
                    )
                )
            )
            self.forgive("Storage(Busy|Unavailable)", "hung")
            wires = [self.wire() for _ in range(6)]
            for n, wire in enumerate(wires):
                wire.request("GET", f"/hung/{n}")
            s3 = self.s3()
            for n in range(20):
                s3.put_object(Bucket="disk", Key=f"{n}", Body=b"%d" % n)
                got = s3.get_object(Bucket="disk", Key=f"{n}")["Body"].read()
                self.assertEqual(got, b"%d" % n)
            for wire in wires:
                status, _ = wire.head()
                self.assertEqual(status, 503)
            self.assertEqual(self.daemon.stop(), 0)
