"""
What goes wrong, and what must not go wrong with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from functools import partial
from typing import Any

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, set_up, until
from tests.blackbox.disks import tiny_disk
from tests.blackbox.wire import Gone

MB = 1 << 20
DATA = random.Random(19).randbytes(8 * MB)


class FaultCase(BlackboxCase):
    """
    A test that looks at what is left over.
    """

    def leftovers(self, root: str) -> list[str]:
        """Files beneath a mount's root that are no objects."""
        hidden = os.path.join(root, ".alluxio-tw", "tmp")
        return os.listdir(hidden) if os.path.isdir(hidden) else []

    def clean(self, root: str) -> bool:
        """Whether there are none."""
        return not self.leftovers(root)


class ResetTests(FaultCase):
    """
    Clients that go away.
    """

    own = True
    setting = set_up(
        mounts=("far=slow+file://{here}/far?latency=5ms&bandwidth=20MB",), secure=True
    )

    def test_download(self) -> None:
        """Clients that reset in the middle of a download leave nothing open."""
        s3 = self.s3()
        for bucket in ("demo", "far"):
            s3.put_object(Bucket=bucket, Key="a", Body=DATA)
        s3.get_object(Bucket="demo", Key="a")["Body"].read()
        self.steady()
        before = self.daemon.descriptors()
        for number in range(60):
            wire = self.wire(secure=number % 3 == 0)
            wire.request("GET", f"/{('demo', 'far')[number % 2]}/a")
            wire.head()
            wire.take(1 + number * 10_000)
            wire.reset()
        self.steady()
        # Pages and files that are kept open are bounded, and few here.
        self.assertLess(self.daemon.descriptors() - before, 24)
        got = s3.get_object(Bucket="far", Key="a")["Body"].read()
        self.assertTrue(got == DATA)

    def test_upload(self) -> None:
        """Clients that reset in the middle of an upload change nothing, and leave nothing."""
        s3 = self.s3()
        roots = {
            "demo": self.daemon.path("data", "buckets"),
            "far": self.daemon.path("far"),
        }
        for bucket in roots:
            s3.put_object(Bucket=bucket, Key="a", Body=b"old")
        upload = s3.create_multipart_upload(Bucket="demo", Key="b")["UploadId"]
        self.steady()
        before = self.daemon.descriptors()
        for number in range(40):
            wire = self.wire(secure=number % 4 == 0)
            target = (
                "/demo/a",
                "/far/a",
                "/demo/new",
                f"/demo/b?partNumber=1&uploadId={upload}",
            )
            wire.request(
                "PUT", target[number % 4], **{"content-length": str(len(DATA))}
            )
            wire.send(DATA[: 1 + number * 50_000])
            wire.reset()
        self.steady()
        for bucket, root in roots.items():
            got = s3.get_object(Bucket=bucket, Key="a")["Body"].read()
            self.assertEqual(got, b"old")
            until(partial(self.clean, root), 10, "leftovers are gone")
        self.refused("NoSuchKey", 404, s3.get_object, Bucket="demo", Key="new")
        self.assertNotIn(
            "Parts", s3.list_parts(Bucket="demo", Key="b", UploadId=upload)
        )
        until(lambda: self.daemon.descriptors() - before < 12, 10, "files are closed")
        self.forgive("IncompleteBody")

    def steady(self) -> None:
        """Wait until nobody is connected but us."""
        until(
            lambda: (
                self.daemon.metric("alluxio_s3_connections", scheme="https") == 0
                and self.daemon.metric("alluxio_s3_connections", scheme="http") <= 4
            ),
            10,
            "connections are closed",
        )


class FullStorageTests(FaultCase):
    """
    A storage that is full.
    """

    own = True

    def setUp(self) -> None:
        self.disk = tiny_disk(self, 4 * MB)
        self.__class__.setting = Setting((), (f"small=file://{self.disk}",))
        super().setUp()

    def test_full(self) -> None:
        """A full storage is told in plain words; the old object stays, nothing is left."""
        s3 = self.s3()
        s3.put_object(Bucket="small", Key="a", Body=b"old" * 1000)
        for _ in range(3):
            answer = self.refused(
                "InsufficientStorage",
                507,
                s3.put_object,
                Bucket="small",
                Key="a",
                Body=DATA,
            )
            self.assertIn("full", answer["Error"]["Message"])
        made = s3.create_multipart_upload(Bucket="small", Key="m")
        self.refused(
            "InsufficientStorage",
            507,
            s3.upload_part,
            Bucket="small",
            Key="m",
            UploadId=made["UploadId"],
            PartNumber=1,
            Body=DATA,
        )
        got = s3.get_object(Bucket="small", Key="a")["Body"].read()
        self.assertEqual(got, b"old" * 1000)
        self.assertEqual(self.leftovers(self.disk), [])
        # What was taken is free again.
        s3.put_object(Bucket="small", Key="b", Body=DATA[: 2 * MB])
        got = s3.get_object(Bucket="small", Key="b")["Body"].read()
        self.assertTrue(got == DATA[: 2 * MB])
        self.forgive("full", "No space")


class OriginTests(FaultCase):
    """
    A storage that fails in the middle.
    """

    own = True
    setting = set_up(
        mounts=(
            "far=slow+file://{here}/far?latency=5ms&bandwidth=4MB",
            "near=file://{here}/near",
        ),
        secure=True,
    )

    def cut(self, bucket: str, secure: bool = False) -> None:
        """A file is cut short while it is read."""
        path = self.daemon.path(bucket, "a")
        with open(path, "wb") as file:
            file.write(DATA * 4)
        wire = self.wire(secure, receive_buffer=65_536)
        wire.request("GET", f"/{bucket}/a")
        status, headers = wire.head()
        self.assertEqual((status, headers["content-length"]), (200, str(len(DATA) * 4)))
        wire.take(500_000)
        os.truncate(path, 3 * MB)
        begun = time.monotonic()
        try:
            wire.take(len(DATA) * 4 - 500_000)
        except (Gone, OSError):
            pass
        else:
            self.fail("all of what is not there was sent")
        self.assertLess(time.monotonic() - begun, 20)
        answer = self.wire(secure).ask("GET", f"/{bucket}/a")
        self.assertEqual((answer.status, len(answer.body)), (200, 3 * MB))

    def test_cold(self) -> None:
        """A cold GET whose storage fails midway is cut off, never a short 200."""
        self.cut("far")
        self.forgive("changed", "cut short", "ObjectChanged")

    def test_cold_tls(self) -> None:
        """So it is over TLS."""
        self.cut("far", secure=True)
        self.forgive("changed", "cut short", "ObjectChanged")

    def test_near(self) -> None:
        """So it is without a cache, and over TLS."""
        self.cut("near")
        self.cut("near", secure=True)
        self.forgive("cut short", "changed", "ObjectChanged")

    def test_replaced(self) -> None:
        """A file that is replaced while it is read is read to its end as it was."""
        path = self.daemon.path("near", "b")
        with open(path, "wb") as file:
            file.write(DATA * 4)
        wire = self.wire(receive_buffer=65_536)
        wire.request("GET", "/near/b")
        wire.head()
        head = wire.take(100_000)
        self.s3().put_object(Bucket="near", Key="b", Body=b"new")
        self.assertTrue(head + wire.take(len(DATA) * 4 - 100_000) == DATA * 4)
        self.assertEqual(self.wire().ask("GET", "/near/b").body, b"new")


class KillTests(FaultCase):
    """
    kill -9.
    """

    own = True
    setting = set_up(mounts=("far=slow+file://{here}/far?latency=1ms",))
    WRITERS = 6
    ROUNDS = 4

    def body(self, key: str, version: int) -> bytes:
        """Some megabytes that are of one version throughout."""
        head = f"{key} {version} ".encode()
        return head * ((200_000 + version % 7 * 400_000) // len(head))

    def write(self, s3: Any, number: int, stop: threading.Event) -> None:
        bucket = ("demo", "far")[number % 2]
        key = f"folder {number}/a"
        version = 0
        while not stop.is_set():
            version += 1
            try:
                s3.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=self.body(key, version),
                    Metadata={"version": str(version)},
                )
            except Exception:
                return  # it was killed
            self.written[bucket, key] = version

    def test_kill(self) -> None:
        """Killed while writing, each object is of one version, none older than was told."""
        choose = random.Random(23)
        for _ in range(self.ROUNDS):
            self.written: dict[tuple[str, str], int] = {}
            stop = threading.Event()
            s3 = clients.boto3_client(self.daemon)
            writers = [
                threading.Thread(target=self.write, args=(s3, number, stop))
                for number in range(self.WRITERS)
            ]
            for writer in writers:
                writer.start()
            until(lambda: len(self.written) == self.WRITERS, 30)
            time.sleep(choose.random() * 0.5)
            self.daemon.kill()
            stop.set()
            for writer in writers:
                writer.join()
            self.restart()
            self.look()

    def look(self) -> None:
        # Where the newest version was not yet told, an older one may be known,
        # whose bytes are gone: 503, and then the newest.
        s3 = clients.boto3_client(self.daemon, retries={"total_max_attempts": 2})
        self.forgive("ObjectChanged")
        for (bucket, key), told in self.written.items():
            got = s3.get_object(Bucket=bucket, Key=key)
            body = got["Body"].read()
            version = int(got["Metadata"]["version"])
            self.assertGreaterEqual(version, told, key)
            self.assertTrue(body == self.body(key, version), "half an object")
            digest = hashlib.md5(body).hexdigest()
            self.assertEqual(got["ETag"], f'"{digest}"')
        for bucket in ("demo", "far"):
            listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
            wanted = sorted(key for where, key in self.written if where == bucket)
            self.assertEqual([each["Key"] for each in listed], wanted)

    def test_leftovers(self) -> None:
        """What a killed writer left is swept at the next start, when it is old."""
        wire = self.wire()
        wire.request("PUT", "/demo/a", **{"content-length": str(len(DATA))})
        wire.send(DATA[: 4 * MB])
        root = self.daemon.path("data", "buckets")
        until(lambda: self.leftovers(root), 10, "it is written somewhere")
        self.daemon.kill()
        hidden = os.path.join(root, ".alluxio-tw", "tmp")
        old = time.time() - 3 * 86400
        for name in os.listdir(hidden):
            os.utime(os.path.join(hidden, name), (old, old))
        self.restart()
        until(lambda: not self.leftovers(root), 20, "it is swept")
        s3 = clients.boto3_client(self.daemon)
        self.assertEqual(s3.list_objects_v2(Bucket="demo")["KeyCount"], 0)

    def test_multipart(self) -> None:
        """Killed while completing, the object is whole or the upload is still there."""
        part = DATA[: 5 * MB]
        for round in range(4):
            s3 = clients.boto3_client(self.daemon)
            key = f"m{round}"
            made = s3.create_multipart_upload(Bucket="demo", Key=key)
            upload = {"Bucket": "demo", "Key": key, "UploadId": made["UploadId"]}
            parts = []
            for number in range(1, 5):
                put = s3.upload_part(PartNumber=number, Body=part, **upload)
                parts.append({"PartNumber": number, "ETag": put["ETag"]})

            def complete(
                s3: Any = s3, parts: Any = parts, upload: Any = upload
            ) -> None:
                with contextlib.suppress(Exception):
                    s3.complete_multipart_upload(
                        MultipartUpload={"Parts": parts}, **upload
                    )

            completing = threading.Thread(target=complete)
            completing.start()
            time.sleep((0.0, 0.005, 0.015, 0.04)[round])
            self.daemon.kill()
            completing.join()
            self.restart()
            s3 = clients.boto3_client(self.daemon)
            uploads = s3.list_multipart_uploads(Bucket="demo").get("Uploads", [])
            if any(each["Key"] == key for each in uploads):
                s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
            body = s3.get_object(Bucket="demo", Key=key)["Body"].read()
            self.assertTrue(body == part * 4)
            left = s3.list_multipart_uploads(Bucket="demo").get("Uploads", [])
            self.assertEqual([each["Key"] for each in left], [])
