"""
Multipart uploads to a mount of S3 are uploads of the storage behind it.
"""

from __future__ import annotations

import random
from typing import Any

from tests.blackbox.test_origin import OriginCase

MB = 1 << 20
DATA = random.Random(5).randbytes(11 * MB)


class UploadTests(OriginCase):
    """
    The storage is another daemon, whose uploads can be seen.
    """

    def under_way(self) -> list[str]:
        found = self.from_origin().list_multipart_uploads(Bucket="demo")
        return [each["Key"] for each in found.get("Uploads", [])]

    def hidden(self) -> list[str]:
        """What lies in the storage that no listing shows."""
        found = self.from_origin().list_objects_v2(Bucket="demo", Prefix=".alluxio")
        return [each["Key"] for each in found.get("Contents", [])]

    def begun(self, **said: Any) -> str:
        answer = self.s3().create_multipart_upload(Bucket="far", Key="a/b", **said)
        id: str = answer["UploadId"]
        return id

    def test_whole(self) -> None:
        """Parts go into an upload of the storage, and nothing is kept beside."""
        self.begin()
        s3 = self.s3()
        id = self.begun(Metadata={"m": "1"}, ContentType="x/y")
        self.assertEqual(self.under_way(), ["a/b"])
        parts = []
        for number, data in ((2, DATA[6 * MB :]), (1, DATA[: 6 * MB])):
            made = s3.upload_part(
                Bucket="far", Key="a/b", UploadId=id, PartNumber=number, Body=data
            )
            parts.append({"PartNumber": number, "ETag": made["ETag"]})
        self.assertEqual(self.hidden(), [])
        listed = s3.list_parts(Bucket="far", Key="a/b", UploadId=id)["Parts"]
        self.assertEqual(
            [(each["PartNumber"], each["Size"]) for each in listed],
            [(1, 6 * MB), (2, 5 * MB)],
        )
        done = s3.complete_multipart_upload(
            Bucket="far",
            Key="a/b",
            UploadId=id,
            MultipartUpload={"Parts": parts[::-1]},
        )
        self.assertEqual(self.under_way(), [])
        for client, bucket in ((s3, "far"), (self.from_origin(), "demo")):
            answer = client.get_object(Bucket=bucket, Key="a/b")
            self.assertTrue(answer["Body"].read() == DATA)
            self.assertEqual(
                (answer["ETag"], answer["Metadata"], answer["ContentType"]),
                (done["ETag"], {"m": "1"}, "x/y"),
            )
        calls = "alluxio_ufs_calls_total"
        self.assertEqual(self.daemon.metric(calls, method="place_part"), 2)
        self.assertEqual(self.daemon.metric(calls, method="join"), 0)

    def test_aborted(self) -> None:
        """Who gives an upload up gives up that of the storage."""
        self.begin()
        id = self.begun()
        self.s3().upload_part(
            Bucket="far", Key="a/b", UploadId=id, PartNumber=1, Body=b"x"
        )
        self.s3().abort_multipart_upload(Bucket="far", Key="a/b", UploadId=id)
        self.assertEqual(self.under_way(), [])

    def test_restarted(self) -> None:
        """An upload goes on after a restart."""
        self.begin()
        id = self.begun()
        first = self.s3().upload_part(
            Bucket="far", Key="a/b", UploadId=id, PartNumber=1, Body=DATA[: 5 * MB]
        )
        self.daemon.stop()
        self.restart()
        last = self.s3().upload_part(
            Bucket="far", Key="a/b", UploadId=id, PartNumber=2, Body=DATA[5 * MB :]
        )
        parts = [
            {"PartNumber": 1, "ETag": first["ETag"]},
            {"PartNumber": 2, "ETag": last["ETag"]},
        ]
        self.s3().complete_multipart_upload(
            Bucket="far", Key="a/b", UploadId=id, MultipartUpload={"Parts": parts}
        )
        found = self.from_origin().get_object(Bucket="demo", Key="a/b")
        self.assertTrue(found["Body"].read() == DATA)


class StagedTests(OriginCase):
    """
    The mount is told to keep parts as objects until they are joined.
    """

    # The names that begin with ours are refused at the root of another's bucket.
    bucket_of_origin = "demo/in"
    options = "&native_uploads=false"

    def test_whole(self) -> None:
        """The storage knows nothing of the upload until it is whole."""
        self.begin()
        s3 = self.s3()
        id = s3.create_multipart_upload(Bucket="far", Key="a/b")["UploadId"]
        made = s3.upload_part(
            Bucket="far", Key="a/b", UploadId=id, PartNumber=1, Body=DATA
        )
        found = self.from_origin().list_multipart_uploads(Bucket="demo")
        self.assertEqual(found.get("Uploads", []), [])
        s3.complete_multipart_upload(
            Bucket="far",
            Key="a/b",
            UploadId=id,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": made["ETag"]}]},
        )
        found = self.from_origin().get_object(Bucket="demo", Key="in/a/b")
        self.assertTrue(found["Body"].read() == DATA)
        calls = "alluxio_ufs_calls_total"
        self.assertEqual(self.daemon.metric(calls, method="place_part"), 0)
        self.assertGreater(self.daemon.metric(calls, method="join"), 0)
