"""
URLs that were presigned for the bucket of a storage, asked of the daemon before it.
"""

from __future__ import annotations

import http.client
import os
import random
import tempfile
from collections.abc import Mapping
from unittest import SkipTest
from urllib.parse import quote_plus, urlsplit

from botocore.config import Config
from botocore.session import Session

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up, until
from tests.servers import s3 as servers

MB = 1 << 20
DATA = random.Random(8).randbytes(3 * MB)

OURS = "AKOURS", "our-own-secret"
"""A credential of the daemon's."""


class PresignedCase(BlackboxCase):
    """
    A real S3 server that checks signatures, and a daemon before it whose own
    credential for it can do everything.
    """

    def begin(self, options: str = "&presigned=true", signed: bool = False) -> None:
        """
        :param signed: the daemon checks signatures.
        """
        try:
            self.storage = servers.versitygw()
        except servers.NotInstalled as error:
            if servers.required():
                raise
            raise SkipTest(str(error)) from error
        self.named = self.storage.make_bucket()
        self.client = self.storage.client()
        uri = (
            f"{self.storage.uri(self.named)}&access_key={servers.ACCESS_KEY}"
            f"&secret_key={quote_plus(servers.SECRET_KEY)}{options}"
        )
        given = []
        if signed:
            path = os.path.join(tempfile.mkdtemp(dir=os.getcwd()), "keys")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(f"{OURS[0]} {OURS[1]} me\n")
            given = [
                "alluxio.worker.s3.authentication.type=SIGV4",
                f"alluxio.worker.s3.access.keys.path={path}",
            ]
        self.daemon = self.start(set_up(*given, mounts=(f"{self.named}={uri}",)))

    def presigned(
        self,
        method: str,
        key: str,
        access_key: str = servers.ACCESS_KEY,
        secret: str = servers.SECRET_KEY,
        endpoint: str = "",
    ) -> str:
        """The path and query of a URL that the storage's owner gives away."""
        client = Session(
            session_vars={"profile": (None, None, None, None)}
        ).create_client(
            "s3",
            endpoint_url=endpoint or self.storage.endpoint,
            region_name=servers.REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        url = client.generate_presigned_url(
            method, Params={"Bucket": self.named, "Key": key}, ExpiresIn=600
        )
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[int, dict[str, str], bytes]:
        """As a client that knows nothing but the URL."""
        host = urlsplit(self.daemon.url).netloc
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            said = {k.lower(): v for k, v in answer.getheaders()}
            return answer.status, said, answer.read()
        finally:
            connection.close()


class PresignedTests(PresignedCase):
    def test_get(self) -> None:
        """What may be read at the storage may be read here, and nothing is kept."""
        self.begin()
        self.client.put_object(
            Bucket=self.named, Key="a b/c", Body=DATA, Metadata={"m": "1"}
        )
        target = self.presigned("get_object", "a b/c")
        status, headers, body = self.ask("GET", target)
        self.assertEqual((status, body == DATA), (200, True))
        self.assertEqual(headers["x-amz-meta-m"], "1")
        status, headers, body = self.ask("GET", target, headers={"Range": "bytes=5-9"})
        self.assertEqual((status, body), (206, DATA[5:10]))
        self.assertEqual(headers["content-range"], f"bytes 5-9/{len(DATA)}")
        head = self.presigned("head_object", "a b/c")
        status, headers, body = self.ask("HEAD", head)
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(headers["content-length"], str(len(DATA)))

    def test_refused(self) -> None:
        """What the storage refuses is refused, in its words."""
        self.begin()
        self.client.put_object(Bucket=self.named, Key="key", Body=b"x")
        target = self.presigned("get_object", "key")
        for wrong in (
            target.replace("/key?", "/other?"),
            target[:-1] + ("0" if target[-1] != "0" else "1"),
            target.replace("X-Amz-Expires=600", "X-Amz-Expires=60000"),
        ):
            status, _, body = self.ask("GET", wrong)
            self.assertEqual(status, 403, wrong)
            self.assertIn(b"SignatureDoesNotMatch", body)
        # What was signed for reading is not for writing.
        status, _, body = self.ask("PUT", target, b"y")
        self.assertEqual(status, 403)
        found = self.client.get_object(Bucket=self.named, Key="key")
        self.assertEqual(found["Body"].read(), b"x")

    def test_put(self) -> None:
        """What is written so is streamed to the storage, and seen here at once."""
        self.begin()
        wire = self.wire()
        path = f"/{self.named}/key"
        self.assertEqual(wire.ask("GET", path).status, 404)
        self.client.put_object(Bucket=self.named, Key="key", Body=b"old")
        target = self.presigned("put_object", "key")
        status, headers, _ = self.ask("PUT", target, DATA)
        self.assertEqual(status, 200)
        answer = wire.ask("GET", path)
        self.assertEqual((answer.status, answer.body == DATA), (200, True))
        self.assertEqual(answer.headers["etag"], headers["etag"])

    def test_empty(self) -> None:
        """An empty object can be written so."""
        self.begin()
        status, _, _ = self.ask("PUT", self.presigned("put_object", "key"), b"")
        self.assertEqual(status, 200)
        found = self.client.head_object(Bucket=self.named, Key="key")
        self.assertEqual(found["ContentLength"], 0)

    def test_cut_short(self) -> None:
        """A client that goes away in the middle leaves nothing at the storage."""
        self.begin()
        target = self.presigned("put_object", "key")
        wire = self.wire()
        wire.send(
            f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}"
            "\r\n\r\n".encode()
            + DATA[:MB]
        )
        wire.close()
        calls = "alluxio_s3_requests_total"
        until(lambda: self.daemon.metric(calls, operation="PutObject") == 1, 20)
        found = self.client.list_objects_v2(Bucket=self.named)
        self.assertEqual(found["KeyCount"], 0)

    def test_off(self) -> None:
        """Without the option nothing is handed on."""
        self.begin("", signed=True)
        self.client.put_object(Bucket=self.named, Key="key", Body=b"x")
        status, _, body = self.ask("GET", self.presigned("get_object", "key"))
        self.assertEqual(status, 403)
        self.assertIn(b"InvalidAccessKeyId", body)

    def test_ours(self) -> None:
        """What is signed with a credential of ours is checked here, as ever."""
        self.begin(signed=True)
        self.client.put_object(Bucket=self.named, Key="key", Body=b"x")
        status, _, body = self.ask("GET", self.presigned("get_object", "key"))
        self.assertEqual((status, body), (200, b"x"))
        url = self.daemon.url
        for secret, expected in ((OURS[1], 200), ("another", 403)):
            target = self.presigned("get_object", "key", OURS[0], secret, url)
            self.assertEqual(self.ask("GET", target)[0], expected)
        # Nobody else is let in by it.
        self.assertEqual(self.ask("GET", f"/{self.named}/key")[0], 403)
        self.assertEqual(
            self.ask("GET", f"/{self.named}/key?X-Amz-Signature=0")[0], 400
        )

    def test_nothing_else(self) -> None:
        """Only objects are read and written so: not what is about them, nor ours."""
        self.begin(signed=True)
        self.client.put_object(Bucket=self.named, Key="key", Body=b"x")
        target = self.presigned("get_object", "key")
        _, query = target.split("?")
        for method, path in (
            ("GET", f"/{self.named}?{query}"),
            ("GET", f"/{self.named}/key?tagging&{query}"),
            ("DELETE", target),
            ("POST", f"/{self.named}/key?uploads&{query}"),
            ("GET", f"/{self.named}/.alluxio-tw/x?{query}"),
            ("GET", f"/{self.named}/../../x?{query}"),
        ):
            status, _, body = self.ask(method, path)
            self.assertIn(status, (400, 403, 404), path)
            self.assertNotIn(b"SignatureDoesNotMatch", body, path)
