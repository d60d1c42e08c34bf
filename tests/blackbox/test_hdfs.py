"""
A bucket that lies in HDFS, through the daemon, with a real client.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SkipTest

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up
from tests.servers import hdfs
from tests.servers.hdfs import NotInstalled

MB = 1 << 20


class HdfsTests(BlackboxCase):
    """
    A daemon with a mount of a real cluster.
    """

    def setUp(self) -> None:
        try:
            self.cluster = hdfs.cluster()
        except NotInstalled as error:
            if hdfs.required():
                raise
            raise SkipTest(str(error)) from error
        self.at = self.cluster.make_folder()
        options = "&".join(
            f"{name}={quote(value, safe='')}"
            for name, value in self.cluster.options.items()
        )
        # The first namenode is one that nobody answers at.
        uri = f"webhdfs://127.0.0.1:1,{self.cluster.addresses}{self.at}"
        self.setting = set_up(mounts=(f"far={uri}?{options}&freshness=always",))  # type: ignore[misc]
        self.own = True  # type: ignore[misc]
        super().setUp()
        self.client: Any = self.s3()

    def test_objects(self) -> None:
        """Objects are put, read, described, copied, listed and deleted."""
        s3 = self.client
        data = os.urandom(3 * MB)
        made = s3.put_object(
            Bucket="far",
            Key="a b/ü+%",
            Body=data,
            ContentType="text/x-test",
            Metadata={"who": "us"},
        )
        self.assertEqual(made["ETag"].strip('"'), hashlib.md5(data).hexdigest())
        self.assertTrue(self.cluster.read(f"{self.at}/a b/ü+%") == data)
        for _ in range(2):
            got = s3.get_object(Bucket="far", Key="a b/ü+%")
            self.assertTrue(got["Body"].read() == data)
            self.assertEqual(
                (got["ContentType"], got["Metadata"], got["ETag"]),
                ("text/x-test", {"who": "us"}, made["ETag"]),
            )
        got = s3.get_object(Bucket="far", Key="a b/ü+%", Range="bytes=1000000-1000009")
        self.assertEqual(got["Body"].read(), data[1_000_000:1_000_010])
        s3.copy_object(
            Bucket="far", Key="copy", CopySource={"Bucket": "far", "Key": "a b/ü+%"}
        )
        listed = s3.list_objects_v2(Bucket="far")["Contents"]
        self.assertEqual(
            [(each["Key"], each["Size"], each["ETag"]) for each in listed],
            [("a b/ü+%", 3 * MB, made["ETag"]), ("copy", 3 * MB, made["ETag"])],
        )
        listed = s3.list_objects_v2(Bucket="far", Delimiter="/")
        self.assertEqual(
            ([e["Key"] for e in listed["Contents"]], listed["CommonPrefixes"]),
            (["copy"], [{"Prefix": "a b/"}]),
        )
        self.refused(
            "PreconditionFailed",
            412,
            s3.put_object,
            Bucket="far",
            Key="copy",
            Body=b"",
            IfNoneMatch="*",
        )
        for key in ("a b/ü+%", "copy"):
            s3.delete_object(Bucket="far", Key=key)
        self.assertNotIn("Contents", s3.list_objects_v2(Bucket="far"))
        self.refused("NoSuchKey", 404, s3.get_object, Bucket="far", Key="copy")

    def test_multipart(self) -> None:
        """Parts become one object, by their blocks; their upload leaves nothing."""
        s3 = self.client
        parts = [os.urandom(5 * MB), os.urandom(6 * MB), os.urandom(1000)]
        id = s3.create_multipart_upload(Bucket="far", Key="deep/large")["UploadId"]
        etags = [
            s3.upload_part(
                Bucket="far", Key="deep/large", UploadId=id, PartNumber=n, Body=part
            )["ETag"]
            for n, part in enumerate(parts, 1)
        ]
        made = s3.complete_multipart_upload(
            Bucket="far",
            Key="deep/large",
            UploadId=id,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)
                ]
            },
        )
        self.assertTrue(made["ETag"].strip('"').endswith("-3"))
        got = s3.get_object(Bucket="far", Key="deep/large")
        self.assertTrue(got["Body"].read() == b"".join(parts))
        # Two blocks of each of the large parts, one of the small one.
        blocks = self.cluster.tell("blocks", f"{self.at}/deep/large")
        self.assertEqual(blocks, "5")
        listed = s3.list_objects_v2(Bucket="far")["Contents"]
        self.assertEqual([each["Key"] for each in listed], ["deep/large"])

    def test_theirs(self) -> None:
        """What Hadoop writes is served, and what it replaces is not served again."""
        s3 = self.client
        for data in (b"first", b"second"):
            self.cluster.write(f"{self.at}/part-00000", data)
            seen = s3.head_object(Bucket="far", Key="part-00000")
            got = s3.get_object(Bucket="far", Key="part-00000", IfMatch=seen["ETag"])
            self.assertEqual(got["Body"].read(), data)
