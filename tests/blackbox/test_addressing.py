"""
Buckets named by the host, by the path, and by a path beneath a prefix.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Any, ClassVar

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, set_up
from tests.blackbox.wire import Answer

DOMAIN = "s3.example.com"
KEY = "a b/ü+%&=?.txt"
"""A key with much in it that an address must not take for its own."""


class AddressingCase(BlackboxCase):
    """
    A daemon with a domain of its own, and a prefix.
    """

    setting: ClassVar[Setting] = set_up(
        f"alluxio.worker.s3.domain.names=example.com,{DOMAIN}",
        "alluxio.worker.s3.path.prefix=/s3",
        secure=True,
    )

    def client(self, authority: str, secure: bool = False, **config: Any) -> Any:
        """
        A boto3 client of an endpoint that is the daemon by another name: it is
        told the name, and led to where the daemon is.
        """
        boto3 = clients.module("boto3")
        from botocore.config import Config

        scheme = "https" if secure else "http"
        port = self.daemon.secure_port if secure else self.daemon.port
        session = boto3.session.Session(
            aws_access_key_id=clients.USER,
            aws_secret_access_key="anything",
            region_name=clients.REGION,
        )
        client = session.client(
            "s3",
            endpoint_url=f"{scheme}://{authority}",
            verify=clients.authority(self.daemon) if secure else None,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

        def lead(request: Any, **_: Any) -> None:
            parts = urllib.parse.urlsplit(request.url)
            self.asked.append(request.url)
            request.headers["Host"] = parts.netloc
            request.url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()

        self.asked: list[str] = []
        client.meta.events.register("before-send.s3", lead)
        return client

    def ask(self, method: str, target: str, host: str, body: bytes = b"") -> Answer:
        """A request with a Host header of ours."""
        wire = self.wire()
        wire.host = host
        return wire.ask(method, target, body)

    def works(self, s3: Any, bucket: str) -> None:
        """All that has an address of its own: objects, uploads, copies, listings."""
        s3.create_bucket(Bucket=bucket)
        s3.head_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"one")
        self.assertEqual(s3.get_object(Bucket=bucket, Key=KEY)["Body"].read(), b"one")
        s3.copy_object(
            Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": KEY}
        )
        upload = s3.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
        given = {"Bucket": bucket, "Key": KEY, "UploadId": upload}
        part = s3.upload_part(PartNumber=1, Body=b"whole", **given)
        made = s3.complete_multipart_upload(
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
            **given,
        )
        # Where the client said that it is, and it is there.
        self.assertEqual(
            urllib.parse.unquote(made["Location"]),
            urllib.parse.unquote(self.asked[-1].partition("?uploadId")[0]),
        )
        self.assertEqual(s3.get_object(Bucket=bucket, Key=KEY)["Body"].read(), b"whole")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        self.assertEqual(keys, [KEY, "copy"])
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]}
        )
        self.assertEqual(len(answer["Deleted"]), 2)
        self.assertIn(bucket, [each["Name"] for each in s3.list_buckets()["Buckets"]])
        s3.delete_bucket(Bucket=bucket)
        self.refused("404", 404, s3.head_bucket, Bucket=bucket)


class HostTests(AddressingCase):
    """
    Virtual-hosted style.
    """

    def test_client(self) -> None:
        """A client that names the bucket in the host can do everything."""
        s3 = self.client(DOMAIN, s3={"addressing_style": "virtual"})
        self.works(s3, "in-the-host")
        self.assertTrue(
            all(url.startswith("http://in-the-host.") for url in self.asked[:3])
        )

    def test_secure(self) -> None:
        """So it can over TLS."""
        s3 = self.client(
            f"{DOMAIN}:{self.daemon.secure_port}",
            secure=True,
            s3={"addressing_style": "path"},
        )
        self.works(s3, "in-the-path")

    def test_presigned(self) -> None:
        """A presigned URL in this style is one."""
        s3 = self.client(
            DOMAIN, signature_version="s3v4", s3={"addressing_style": "virtual"}
        )
        bucket = self.bucket()
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"signed")
        url = s3.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": KEY}
        )
        parts = urllib.parse.urlsplit(url)
        self.assertEqual(parts.netloc, f"{bucket}.{DOMAIN}")
        answer = self.ask("GET", f"{parts.path}?{parts.query}", parts.netloc)
        self.assertEqual((answer.status, answer.body), (200, b"signed"))

    def test_hosts(self) -> None:
        """The nearest domain counts; case, port and a last dot do not."""
        self.ask("PUT", "/", f"a.bucket.{DOMAIN}")
        self.ask("PUT", "/k", f"a.bucket.{DOMAIN}", b"x")
        for host in (
            f"a.bucket.{DOMAIN}",
            f"A.Bucket.{DOMAIN.upper()}:80",
            f"a.bucket.{DOMAIN}.",
            "a.bucket.example.com",
        ):
            answer = self.ask("GET", "/k", host)
            self.assertEqual((answer.status, answer.body), (200, b"x"), host)
        for host in (DOMAIN, "example.com", "other.net", "127.0.0.1", "[::1]:80"):
            answer = self.ask("GET", "/a.bucket/k", host)
            self.assertEqual((answer.status, answer.body), (200, b"x"), host)
        self.assertEqual(self.ask("GET", "/k", f"bucket.{DOMAIN}").code, "NoSuchBucket")
        self.assertEqual(self.ask("GET", "/k", f"..{DOMAIN}").code, "InvalidBucketName")

    def test_absolute(self) -> None:
        """Of a request in absolute form, its authority is the host."""
        bucket = self.bucket()
        self.ask("PUT", f"/{bucket}/k", "x", b"y")
        answer = self.ask("GET", f"http://{bucket}.{DOMAIN}/k", "elsewhere.net")
        self.assertEqual(answer.body, b"y")

    def test_errors(self) -> None:
        """An error's Resource is the bucket and the key, however they were named."""
        bucket = self.bucket()
        for target, host in (
            ("/no%20%C3%BC", f"{bucket}.{DOMAIN}"),
            (f"/{bucket}/no%20%C3%BC", DOMAIN),
            (f"/s3/{bucket}/no%20%C3%BC", DOMAIN),
        ):
            answer = self.ask("GET", target, host)
            self.assertEqual(answer.code, "NoSuchKey")
            self.assertIn(f"<Resource>/{bucket}/no ü</Resource>".encode(), answer.body)

    def test_location(self) -> None:
        """A new bucket's Location is its name."""
        answer = self.ask("PUT", "/", f"new-one.{DOMAIN}")
        self.assertEqual((answer.status, answer.headers["location"]), (200, "/new-one"))


class PrefixTests(AddressingCase):
    """
    Paths beneath /s3.
    """

    def test_client(self) -> None:
        """A client whose endpoint has the prefix can do everything."""
        s3 = self.client("127.0.0.1/s3", s3={"addressing_style": "path"})
        self.works(s3, "beneath-it")
        self.assertTrue(self.asked[0].endswith("/s3/beneath-it"))

    def test_beside(self) -> None:
        """With and without the prefix, it is the same."""
        bucket = self.bucket()
        self.ask("PUT", f"/s3/{bucket}/k", "x", b"y")
        self.assertEqual(self.ask("GET", f"/{bucket}/k", "x").body, b"y")
        for target in ("/s3", "/s3/", "/"):
            listed = re.findall(
                rb"<Name>(.*?)</Name>", self.ask("GET", target, "x").body
            )
            self.assertIn(bucket.encode(), listed)

    def test_in_host(self) -> None:
        """Where the host names the bucket, the whole path is the key."""
        bucket = self.bucket()
        self.ask("PUT", "/s3/k", f"{bucket}.{DOMAIN}", b"y")
        self.assertEqual(self.ask("GET", f"/{bucket}/s3/k", "x").body, b"y")

    def test_no_prefix(self) -> None:
        """What only begins like the prefix is a bucket's name."""
        self.assertEqual(self.ask("PUT", "/s3-like", "x").status, 200)
        self.assertEqual(self.ask("GET", "/s3-like", "x").status, 200)
