"""
SIGV4: who has signed, with real clients and with what no client would send.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

from alluxio_tw.s3.checksums import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from alluxio_tw.s3.chunked import ChunkedEncoder, encoded_length
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.sigv4 import ChunkSigner, presign, sign, timestamp_of
from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, launch, surroundings, until
from tests.blackbox.wire import Answer, Wire

DATA = random.Random(11).randbytes(700_000)
OLD = b"what was there"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECOND = "second-secret-of-the-same-user"

# The user that the harness is, with the secret that it signs with.
LINES = f"""\
# access key  secret  user
{clients.USER} anything {clients.USER}
AKIDSECOND {SECOND} {clients.USER}
AKIDGONE {SECRET} {clients.USER} disabled
"""


@functools.cache
def keys_path() -> str:
    """The file of access keys; one for all daemons of these tests."""
    path = os.path.join(tempfile.mkdtemp(dir=os.getcwd(), prefix="keys-"), "keys")
    write_keys(path, LINES)
    return path


def write_keys(path: str, lines: str) -> None:
    """Put another file of access keys in the place of the one before."""
    with open(f"{path}.new", "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(lines)
    os.rename(f"{path}.new", path)


def signing(*definitions: str, secure: bool = True) -> Setting:
    """How a daemon is set up that checks signatures."""
    return Setting(
        (
            "alluxio.worker.s3.authentication.type=SIGV4",
            f"alluxio.worker.s3.access.keys.path={keys_path()}",
            *definitions,
        ),
        secure=secure,
    )


class SignedCase(BlackboxCase):
    def setUp(self) -> None:
        SignedCase.setting = signing()
        super().setUp()

    def client(
        self,
        access_key: str = clients.USER,
        secret: str = "anything",
        *,
        region: str = clients.REGION,
        secure: bool = False,
        **config: Any,
    ) -> Any:
        """A boto3 client with a key of its own."""
        boto3 = clients.module("boto3")
        from botocore.config import Config

        session = boto3.session.Session(
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            region_name=region,
        )
        daemon = self.daemon
        options: dict[str, Any] = {"addressing_style": "path"}
        options.update(config.pop("s3", {}))
        return session.client(
            "s3",
            endpoint_url=daemon.secure_url if secure else daemon.url,
            verify=clients.authority(daemon) if secure else None,
            config=Config(
                retries={"total_max_attempts": 1},
                signature_version="s3v4",
                s3=options,
                **config,
            ),
        )

    def signed(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        wire: Wire | None = None,
        payload: bytes | None = None,
        secret: str = "anything",
        access_key: str = clients.USER,
        region: str = clients.REGION,
        at: float | None = None,
        sent: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        """
        Send a request that is signed by our own signer.

        :param sent: what is sent in the place of what was signed.
        """
        wire = wire or self.wire()
        stamp = timestamp_of(time.time() if at is None else at)
        path, _, query = target.encode().partition(b"?")
        given = {
            b"host": wire.host.encode(),
            b"x-amz-date": stamp,
            b"x-amz-content-sha256": payload
            if payload is not None
            else hashlib.sha256(body).hexdigest().encode(),
        }
        for name, value in headers.items():
            given[name.replace("_", "-").encode()] = value.encode()
        credential = Credential(access_key, stamp[:8].decode(), region)
        given[b"authorization"] = sign(
            method.encode(), path, query, given, credential, secret
        )
        del given[b"host"]
        lines = {name.decode(): value.decode() for name, value in given.items()}
        lines.update(sent or {})
        return wire.ask(method, target, body, **lines)

    def presigned(
        self,
        method: str,
        path: str,
        *,
        age: int = 0,
        expires: int = 60,
        query: bytes = b"",
    ) -> str:
        """A presigned target."""
        stamp = timestamp_of(time.time() - age)
        return (
            f"{path}?"
            + presign(
                method.encode(),
                path.encode(),
                query,
                {b"host": f"127.0.0.1:{self.daemon.port}".encode()},
                Credential(clients.USER, stamp[:8].decode(), clients.REGION),
                "anything",
                stamp,
                expires,
            ).decode()
        )


class Boto3Tests(SignedCase):
    def round_trip(self, s3: Any) -> None:
        bucket = self.bucket()
        for key in ("plain", "a b+c%2Fd=e*f~'()!/\u00fc\U0001f600/x"):
            for size in (0, 10, len(DATA)):
                s3.put_object(Bucket=bucket, Key=key, Body=DATA[:size])
                got = s3.get_object(Bucket=bucket, Key=key)
                self.assertEqual(got["Body"].read(), DATA[:size])
            self.assertEqual(
                s3.head_object(Bucket=bucket, Key=key)["ContentLength"], len(DATA)
            )
            found = s3.list_objects_v2(Bucket=bucket, Prefix=key[:3], Delimiter="\t/")
            self.assertEqual([each["Key"] for each in found["Contents"]], [key])
            s3.delete_object(Bucket=bucket, Key=key)

    def test_http(self) -> None:
        """boto3 over HTTP, which hashes its bodies, is served."""
        self.round_trip(self.client())

    def test_tls(self) -> None:
        """boto3 over TLS, which ends its bodies with an unsigned trailer, is served."""
        self.round_trip(self.client(secure=True))

    def test_signed_payload(self) -> None:
        """boto3 over TLS that is told to sign its bodies is served."""
        self.round_trip(self.client(secure=True, s3={"payload_signing_enabled": True}))

    def test_any_region(self) -> None:
        """Where no region is configured, signatures for any region are good."""
        self.round_trip(self.client(region="eu-central-1"))

    def test_second_key(self) -> None:
        """A user may have several keys."""
        self.round_trip(self.client("AKIDSECOND", SECOND))

    def test_multipart(self) -> None:
        """Multipart uploads, copies, tags and batches are signed like the rest."""
        s3, bucket = self.client(), self.bucket()
        upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
        part = s3.upload_part(
            Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=DATA
        )
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="m",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        s3.copy_object(Bucket=bucket, Key="n", CopySource=f"{bucket}/m")
        s3.put_object_tagging(
            Bucket=bucket, Key="n", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
        )
        got = s3.get_object(Bucket=bucket, Key="n", Range="bytes=5-9")
        self.assertEqual(got["Body"].read(), DATA[5:10])
        gone = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "m"}, {"Key": "n"}]}
        )
        self.assertEqual(len(gone["Deleted"]), 2)

    def test_refused(self) -> None:
        """Wrong secrets, unknown and disabled keys are told apart as AWS does."""
        for access_key, secret, code in (
            (clients.USER, "something", "SignatureDoesNotMatch"),
            ("AKIDUNKNOWN", SECRET, "InvalidAccessKeyId"),
            ("AKIDGONE", SECRET, "InvalidAccessKeyId"),
        ):
            s3 = self.client(access_key, secret)
            self.refused(code, 403, s3.list_buckets)
            self.refused(code, 403, s3.put_object, Bucket="b", Key="k", Body=DATA)

    def test_presigned(self) -> None:
        """Presigned URLs of boto3 put, get, head and delete, without credentials."""
        s3, bucket = self.client(), self.bucket()

        def ask(operation: str, method: str, data: bytes | None = None) -> bytes:
            url = s3.generate_presigned_url(
                operation, {"Bucket": bucket, "Key": "a b/ü=*"}, ExpiresIn=60
            )
            request = urllib.request.Request(url, data, method=method)
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: bytes = answer.read()
                return found

        ask("put_object", "PUT", DATA)
        self.assertEqual(ask("get_object", "GET"), DATA)
        self.assertEqual(ask("head_object", "HEAD"), b"")
        ask("delete_object", "DELETE")
        error = self.assertRaises(urllib.error.HTTPError, ask, "get_object", "GET")
        self.assertEqual(error.code, 404)

    def test_presigned_parameters(self) -> None:
        """A presigned URL carries response headers and versions, signed with it."""
        s3, bucket = self.client(), self.bucket()
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        url = s3.generate_presigned_url(
            "get_object",
            {
                "Bucket": bucket,
                "Key": "k",
                "ResponseContentDisposition": 'attachment; filename="a b.txt"',
            },
        )
        with urllib.request.urlopen(url, timeout=30) as answer:
            self.assertEqual(
                answer.headers["Content-Disposition"], 'attachment; filename="a b.txt"'
            )


class OtherClientsTests(SignedCase):
    def test_aws_cli(self) -> None:
        """The AWS CLI copies, lists and presigns; with a wrong secret it does not."""
        aws = clients.command("aws")
        bucket, folder = self.bucket(), self.folder()
        for secure in (False, True):
            around = clients.environment(self.daemon, secure)
            path = os.path.join(folder, "in file")
            with open(path, "wb") as file:
                file.write(DATA)
            clients.run([aws, "s3", "cp", path, f"s3://{bucket}/a b/ü"], around)
            listed = clients.run([aws, "s3", "ls", f"s3://{bucket}/a b/"], around)
            self.assertIn("ü", listed)
            clients.run([aws, "s3", "cp", f"s3://{bucket}/a b/ü", path + "2"], around)
            with open(path + "2", "rb") as file:
                self.assertEqual(file.read(), DATA)
        around = clients.environment(self.daemon)
        # For us-east-1 it would presign with Signature Version 2.
        around["AWS_DEFAULT_REGION"] = "eu-central-1"
        url = clients.run([aws, "s3", "presign", f"s3://{bucket}/a b/ü"], around)
        with urllib.request.urlopen(url.strip(), timeout=30) as answer:
            self.assertEqual(answer.read(), DATA)
        around["AWS_SECRET_ACCESS_KEY"] = "wrong"
        error = self.assertRaises(
            AssertionError, clients.run, [aws, "s3", "ls", f"s3://{bucket}"], around
        )
        self.assertIn("SignatureDoesNotMatch", str(error))

    def minio(self, secure: bool, secret: str = "anything", **options: Any) -> Any:
        minio = clients.module("minio")
        http = None
        if secure:
            import urllib3

            http = urllib3.PoolManager(ca_certs=clients.authority(self.daemon))
        port = self.daemon.secure_port if secure else self.daemon.port
        return minio.Minio(
            f"127.0.0.1:{port}",
            access_key=clients.USER,
            secret_key=secret,
            secure=secure,
            http_client=http,
            **options,
        )

    def test_minio(self) -> None:
        """minio-py, which signs its chunks over HTTP, puts and gets."""
        import io

        bucket = self.bucket()
        big = DATA * 10
        for secure in (False, True):
            client = self.minio(secure)
            for key, data in (("a b/ü", DATA), ("big", big), ("none", b"")):
                client.put_object(
                    bucket, key, io.BytesIO(data), len(data), part_size=5 << 20
                )
                with client.get_object(bucket, key) as answer:
                    self.assertEqual(answer.read(), data)
            names = [each.object_name for each in client.list_objects(bucket)]
            self.assertEqual(sorted(names), ["a b/", "big", "none"])
            url = client.presigned_get_object(bucket, "big")
            if not secure:
                with urllib.request.urlopen(url, timeout=30) as answer:
                    self.assertEqual(answer.read(), big)
        wrong = self.minio(False, "wrong")
        from minio.error import S3Error

        error = self.assertRaises(
            S3Error, wrong.put_object, bucket, "big", io.BytesIO(b"x"), 1
        )
        self.assertEqual(error.code, "SignatureDoesNotMatch")

    def test_s3cmd(self) -> None:
        """s3cmd puts, lists, gets and deletes."""
        s3cmd = clients.command("s3cmd")
        bucket, folder = self.bucket(), self.folder()
        where = f"127.0.0.1:{self.daemon.port}"
        words = [
            *(s3cmd, "--config=/dev/null", "--no-ssl", "--no-progress"),
            *(f"--host={where}", f"--host-bucket={where}"),
            *(f"--access_key={clients.USER}", "--secret_key=anything"),
        ]
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            file.write(DATA)
        around = clients.environment(self.daemon)
        target = f"s3://{bucket}/a b+c/ü"
        clients.run([*words, "put", path, target], around)
        listed = clients.run([*words, "ls", f"s3://{bucket}/a b+c/"], around)
        self.assertIn("ü", listed)
        clients.run([*words, "get", target, path + "2"], around)
        with open(path + "2", "rb") as file:
            self.assertEqual(file.read(), DATA)
        clients.run([*words, "del", target], around)

    def test_curl(self) -> None:
        """curl --aws-sigv4 puts and gets."""
        curl = clients.command("curl")
        bucket = self.bucket()
        words = [
            *(curl, "-sS", "--fail-with-body"),
            *("--aws-sigv4", "aws:amz:us-east-1:s3"),
            *("--user", f"{clients.USER}:anything"),
            # What older curl does not send by itself.
            *("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"),
        ]
        url = f"{self.daemon.url}/{bucket}/key"
        clients.run([*words, "-T", "-", url], data=b"hello")
        self.assertEqual(clients.run([*words, url]), "hello")
        self.assertEqual(clients.run([*words, f"{url}?response-expires=x"]), "hello")


class OddKeysTests(SignedCase):
    KEYS = (
        "=",
        "a=b",
        "*",
        "+",
        "a+b c",
        "%",
        "%2F",
        "%25",
        "a//b",
        "a/./b",
        "!$&'()*,;:@",
        "\u00fc\u4e2d\U0001f600",
        "e\u0301",
        " leading and trailing ",
        "~-._",
        '#?[]{}|^`"<>\\',
    )

    def test_signed_by_botocore(self) -> None:
        """Odd keys, signed by botocore and sent raw, are what they say."""
        clients.module("botocore")
        from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        bucket = self.bucket()
        wire = self.wire()
        credentials = Credentials(clients.USER, "anything")
        for key in self.KEYS:
            # As strictly encoded as SDKs do it, and as little as can be.
            for safe in ("/~", "/~!$&'()*+,;=:@"):
                path = f"/{bucket}/{quote(key, safe=safe)}"
                body = key.encode()
                for method, auth in (
                    ("PUT", S3SigV4Auth(credentials, "s3", clients.REGION)),
                    ("GET", S3SigV4Auth(credentials, "s3", clients.REGION)),
                    ("GET", S3SigV4QueryAuth(credentials, "s3", clients.REGION)),
                ):
                    sent = body if method == "PUT" else b""
                    request = AWSRequest(method, f"http://{wire.host}{path}", data=sent)
                    request.headers["Host"] = wire.host
                    auth.add_auth(request)
                    lines = {
                        name: value
                        for name, value in request.headers.items()
                        if name.lower() != "host"
                    }
                    query = urlsplit(request.url).query
                    target = f"{path}?{query}" if query else path
                    answer = wire.ask(method, target, sent, **lines)
                    self.assertEqual(answer.status, 200, (key, safe, answer.body))
                    if method == "GET":
                        self.assertEqual(answer.body, body)


class WireTests(SignedCase):
    def setUp(self) -> None:
        super().setUp()
        self.name = self.bucket()
        self.path = f"/{self.name}/key"
        self.s3().put_object(Bucket=self.name, Key="key", Body=OLD)

    def intact(self) -> None:
        """The object is as it was."""
        got = self.s3().get_object(Bucket=self.name, Key="key")
        self.assertEqual(got["Body"].read(), OLD)

    def denied(self, answer: Answer, status: int, code: str) -> None:
        self.assertEqual((answer.status, answer.code), (status, code), answer.body)
        for secret in (b"anything", SECRET.encode(), SECOND.encode()):
            self.assertNotIn(secret, answer.body)

    def test_replay(self) -> None:
        """What one request was signed with is good for no other."""
        wire = self.wire()
        stamp = time.time()
        good = self.signed("GET", self.path, wire=wire, at=stamp)
        self.assertEqual((good.status, good.body), (200, OLD))
        s3 = self.s3()
        s3.put_object(Bucket=self.name, Key="other", Body=b"secret of others")
        for method, target, status in (
            ("GET", f"/{self.name}/other", 403),
            ("DELETE", self.path, 403),
            ("GET", f"{self.path}?tagging", 403),
            ("GET", f"/{self.name}//key", 403),
            ("GET", f"/{self.name}/%6bey", 200),
        ):
            answer = wire.ask(
                method,
                target,
                **self.lines("GET", self.path, stamp),
            )
            self.assertEqual(answer.status, status, (method, target))
        self.intact()

    def lines(self, method: str, path: str, at: float) -> dict[str, str]:
        """The headers of a signed request, without the host."""
        stamp = timestamp_of(at)
        given = {
            b"host": f"127.0.0.1:{self.daemon.port}".encode(),
            b"x-amz-date": stamp,
            b"x-amz-content-sha256": UNSIGNED_PAYLOAD,
        }
        credential = Credential(clients.USER, stamp[:8].decode(), clients.REGION)
        given[b"authorization"] = sign(
            method.encode(), path.encode(), b"", given, credential, "anything"
        )
        del given[b"host"]
        return {name.decode(): value.decode() for name, value in given.items()}

    def test_body(self) -> None:
        """A body that is not the one that was signed is refused."""
        answer = self.signed(
            "PUT",
            self.path,
            b"forged",
            payload=hashlib.sha256(b"x").hexdigest().encode(),
        )
        self.denied(answer, 400, "XAmzContentSHA256Mismatch")
        self.intact()

    def test_clock(self) -> None:
        """Clocks may differ by fifteen minutes, and no more."""
        now = time.time()
        for age, status in ((-880, 200), (880, 200), (-920, 403), (920, 403)):
            answer = self.signed("GET", self.path, at=now - age)
            self.assertEqual(answer.status, status, age)
        self.denied(answer, 403, "RequestTimeTooSkewed")

    def test_unsigned(self) -> None:
        """Who does not sign is denied, whatever is asked."""
        wire = self.wire()
        for method, target in (
            ("GET", "/"),
            ("GET", self.path),
            ("GET", f"/{self.name}?list-type=2"),
            ("DELETE", self.path),
            ("GET", f"/{self.name}/missing"),
        ):
            self.denied(wire.ask(method, target), 403, "AccessDenied")
        answer = wire.ask("HEAD", self.path)
        self.assertEqual((answer.status, answer.body), (403, b""))
        self.intact()

    def test_unsigned_body(self) -> None:
        """A refused upload is not asked for its body."""
        wire = self.wire()
        wire.request(
            "PUT", self.path, **{"expect": "100-continue", "content-length": "1000000"}
        )
        self.denied(wire.answer(), 403, "AccessDenied")
        self.intact()

    def test_version_2(self) -> None:
        """Signature Version 2 is refused by its name, in header and URL."""
        wire = self.wire()
        for target, lines in (
            (self.path, {"authorization": f"AWS {clients.USER}:frJIUN8DYpKDtOLCwo//="}),
            (f"{self.path}?AWSAccessKeyId={clients.USER}&Expires=1&Signature=x", {}),
        ):
            answer = wire.ask("GET", target, **lines)
            self.denied(answer, 400, "InvalidRequest")
            self.assertIn(b"Please use AWS4-HMAC-SHA256", answer.body)

    def test_malformed(self) -> None:
        """What is not quite a signature is told as AWS tells it."""
        wire = self.wire()
        good = self.lines("GET", self.path, time.time())
        header = good["authorization"]
        for change, status, code in (
            ({"authorization": "Basic dXNlcjpwYXNz"}, 400, "InvalidArgument"),
            (
                {"authorization": header.replace("/s3/", "/ec2/")},
                400,
                "AuthorizationHeaderMalformed",
            ),
            (
                {"authorization": header.split(", Signature")[0]},
                400,
                "AuthorizationHeaderMalformed",
            ),
            (
                {
                    "authorization": header.replace(
                        "SignedHeaders=host;", "SignedHeaders="
                    )
                },
                403,
                "AccessDenied",
            ),
            ({"authorization": header[:-1] + "g"}, 403, "SignatureDoesNotMatch"),
            ({"x-amz-content-sha256": "nonsense"}, 400, "InvalidArgument"),
            ({"x-amz-date": "yesterday"}, 403, "AccessDenied"),
            ({"x-amz-acl": "private"}, 403, "AccessDenied"),
            ({"x-amz-security-token": "t"}, 403, "AccessDenied"),
        ):
            answer = wire.ask("GET", self.path, **{**good, **change})
            self.denied(answer, status, code)
        for name, code in (
            ("x-amz-content-sha256", "InvalidRequest"),
            ("x-amz-date", "AccessDenied"),
        ):
            less = dict(good)
            del less[name]
            self.assertEqual(wire.ask("GET", self.path, **less).code, code)

    def test_two_mechanisms(self) -> None:
        """Header and URL at once are refused."""
        answer = self.wire().ask(
            "GET",
            self.presigned("GET", self.path),
            **self.lines("GET", self.path, time.time()),
        )
        self.denied(answer, 400, "InvalidArgument")
        self.assertIn(b"Only one auth mechanism allowed", answer.body)

    def test_presigned(self) -> None:
        """A presigned URL holds for its time, host, path, query and method only."""
        wire = self.wire()
        url = self.presigned("GET", self.path)
        self.assertEqual(wire.ask("GET", url).body, OLD)
        self.assertEqual(wire.ask("GET", url).body, OLD)
        for method, target, code in (
            ("GET", url.replace("/key", "/kez"), "SignatureDoesNotMatch"),
            ("GET", url + "&response-expires=1", "SignatureDoesNotMatch"),
            ("GET", url.replace("Expires=60", "Expires=600"), "SignatureDoesNotMatch"),
            ("DELETE", url, "SignatureDoesNotMatch"),
            ("GET", self.presigned("GET", self.path, age=120), "AccessDenied"),
            ("GET", self.presigned("GET", self.path, age=-1000), "AccessDenied"),
            (
                "GET",
                self.presigned("GET", self.path, expires=604_801),
                "AuthorizationQueryParametersError",
            ),
            (
                "GET",
                re.sub("&X-Amz-Date=[^&]*", "", url),
                "AuthorizationQueryParametersError",
            ),
        ):
            answer = wire.ask(method, target)
            status = 400 if code.startswith("Authorization") else 403
            self.denied(answer, status, code)
        self.assertEqual(
            wire.ask(
                "GET", self.presigned("GET", self.path, age=500, expires=604_800)
            ).status,
            200,
        )
        expired = wire.ask("GET", self.presigned("GET", self.path, age=120))
        self.assertIn(b"<Message>Request has expired</Message>", expired.body)
        answer = self.wire().ask("GET", url, host="localhost")
        self.assertEqual(answer.status, 400)
        elsewhere = self.wire()
        elsewhere.host = "localhost"
        self.denied(elsewhere.ask("GET", url), 403, "SignatureDoesNotMatch")
        self.intact()

    def test_lost_body(self) -> None:
        """A document that was signed and did not arrive is missed."""
        answer = self.signed("PUT", "/lost-body", payload=b"ab" * 32)
        self.denied(answer, 400, "XAmzContentSHA256Mismatch")

    def test_presigned_hash(self) -> None:
        """A body hash that came with a presigned URL is held to."""
        wire = self.wire()
        url = self.presigned("PUT", self.path)
        wrong = hashlib.sha256(b"other").hexdigest()
        answer = wire.ask("PUT", url, b"data", **{"x-amz-content-sha256": wrong})
        self.denied(answer, 400, "XAmzContentSHA256Mismatch")
        self.intact()

    def chunked(
        self, trailer: bool = False, spoil: str = "", data: bytes = DATA
    ) -> Answer | None:
        """
        PUT in signed chunks.

        :param spoil: what is wrong with it; C{cut}: the end does not come.
        """
        form = STREAMING_SIGNED_TRAILER if trailer else STREAMING_SIGNED
        stamp = timestamp_of(time.time())
        wire = self.wire()
        crc = hashlib.sha1(data if spoil != "checksum" else b"x").digest()
        trailers = [(b"x-amz-checksum-sha1", base64.b64encode(crc))] if trailer else []
        length = encoded_length(
            form, len(data), 64 << 10, [(name, len(value)) for name, value in trailers]
        )
        given = {
            b"host": wire.host.encode(),
            b"x-amz-date": stamp,
            b"x-amz-content-sha256": form,
            b"x-amz-decoded-content-length": str(len(data)).encode(),
            b"content-encoding": b"aws-chunked",
            b"content-length": str(length).encode(),
        }
        if trailer:
            given[b"x-amz-trailer"] = b"x-amz-checksum-sha1"
        credential = Credential(clients.USER, stamp[:8].decode(), clients.REGION)
        given[b"authorization"] = sign(
            b"PUT", self.path.encode(), b"", given, credential, "anything"
        )
        seed = given[b"authorization"][-64:]
        signer = ChunkSigner.begin("anything", stamp, credential, seed)
        encoder = ChunkedEncoder(form, signer)
        pieces = [
            encoder.chunk(data[at : at + (64 << 10)])
            for at in range(0, len(data), 64 << 10)
        ]
        pieces.append(encoder.end(trailers))
        if spoil == "data":
            middle = bytearray(pieces[5])
            middle[1000] ^= 1
            pieces[5] = bytes(middle)
        elif spoil == "order":
            pieces[3], pieces[4] = pieces[4], pieces[3]
        elif spoil == "last":
            pieces[-1] = re.sub(
                rb"(chunk-signature=)[0-9a-f]{64}", rb"\g<1>" + b"0" * 64, pieces[-1]
            )
        elif spoil == "trailer":
            pieces[-1] = re.sub(
                rb"(trailer-signature:)[0-9a-f]{64}", rb"\g<1>" + b"0" * 64, pieces[-1]
            )
        elif spoil == "unsigned":
            pieces[2] = re.sub(rb";chunk-signature=[0-9a-f]{64}", b"", pieces[2])
            pieces[-1] += b"\0" * 81
        body = b"".join(pieces)
        self.assertEqual(len(body), length)
        del given[b"host"]
        lines = {name.decode(): value.decode() for name, value in given.items()}
        if spoil == "cut":
            wire.request("PUT", self.path, body[:-1000], **lines)
            wire.close()
            return None
        return wire.ask("PUT", self.path, body, **lines)

    def test_chunks(self) -> None:
        """A body in signed chunks is stored, with and without a trailer."""
        for trailer in (False, True):
            for data in (DATA, b"", b"short"):
                answer = self.chunked(trailer, data=data)
                assert answer is not None
                self.assertEqual(answer.status, 200, answer.body)
                got = self.s3().get_object(Bucket=self.name, Key="key")
                self.assertEqual(got["Body"].read(), data)
                self.assertNotIn("ContentEncoding", got)

    def test_wrong_chunks(self) -> None:
        """One wrong chunk, or its signature, and the old object stays."""
        for trailer in (False, True):
            for spoil, status, code in (
                ("data", 403, "SignatureDoesNotMatch"),
                ("order", 403, "SignatureDoesNotMatch"),
                ("last", 403, "SignatureDoesNotMatch"),
                ("unsigned", 400, "IncompleteBody"),
            ):
                answer = self.chunked(trailer, spoil)
                assert answer is not None
                self.denied(answer, status, code)
                self.intact()
        answer = self.chunked(True, "trailer")
        assert answer is not None
        self.denied(answer, 403, "SignatureDoesNotMatch")
        self.intact()
        answer = self.chunked(True, "checksum")
        assert answer is not None
        self.denied(answer, 400, "BadDigest")
        self.intact()

    def test_cut(self) -> None:
        """A body whose end does not come changes nothing."""
        self.chunked(spoil="cut")
        self.chunked(True, spoil="cut")
        self.intact()

    def test_no_secrets(self) -> None:
        """No secret and no signature is in what the daemon writes."""
        self.signed("GET", self.path, secret="guess")
        self.wire().ask("GET", self.presigned("GET", self.path, age=120))
        text = self.daemon.log()
        access = self.daemon.path("data", "logs", "access.log")
        until(lambda: os.path.exists(access) and os.path.getsize(access), 10)
        with open(access) as file:
            text += file.read()
        for secret in ("anything", SECRET, SECOND):
            self.assertNotIn(secret, text)
        self.assertIsNone(re.search("Signature=[0-9a-f]{64}", text))


class ChangeTests(SignedCase):
    def tool(self, *words: str) -> str:
        """Run C{alluxio-s3 key} beside the daemon."""
        return clients.run(
            [
                *(sys.executable, "-m", "alluxio_tw.app.command", "key", *words),
                *("-D", f"alluxio.tw.data.dir={self.daemon.path('data')}"),
            ],
            surroundings(),
        )

    def works(self, access_key: str, secret: str) -> bool:
        """Whether the key is good, now."""
        answer = self.signed("GET", "/", access_key=access_key, secret=secret)
        if answer.status != 200:
            self.assertIn(answer.code, ("InvalidAccessKeyId", "SignatureDoesNotMatch"))
        return answer.status == 200

    def test_tool(self) -> None:
        """Keys made, disabled, rotated and removed by the tool are seen soon."""
        key, secret, user = self.tool("add", "carol").rstrip("\n").split("\t")
        self.assertEqual(user, "carol")
        until(lambda: self.works(key, secret), 10)
        self.tool("disable", key)
        until(lambda: not self.works(key, secret), 10)
        self.tool("enable", key)
        until(lambda: self.works(key, secret), 10)
        fresh = self.tool("rotate", key).split("\t")[1]
        until(lambda: not self.works(key, secret), 10)
        self.assertTrue(self.works(key, fresh))
        self.tool("remove", key)
        until(lambda: not self.works(key, fresh), 10)

    def test_file(self) -> None:
        """The file is read again when it changes; a broken one changes nothing."""
        path = keys_path()
        self.addCleanup(write_keys, path, LINES)
        self.forgive("access keys stay as they were")
        write_keys(path, LINES + f"AKIDNEW {SECRET} dave\n")
        until(lambda: self.works("AKIDNEW", SECRET), 10)
        start = self.daemon.said()
        write_keys(path, LINES + "AKIDNEW\n")
        until(lambda: "stay as they were" in self.daemon.log(start), 10)
        self.assertTrue(self.works("AKIDNEW", SECRET))
        write_keys(path, LINES)
        until(lambda: not self.works("AKIDNEW", SECRET), 10)


class RegionTests(SignedCase):
    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.start(
            signing("alluxio.worker.s3.region=eu-west-1", secure=False)
        )

    def test_region(self) -> None:
        """Where a region is configured, it is the only one; errors name it."""
        self.assertEqual(self.signed("GET", "/", region="eu-west-1").status, 200)
        answer = self.signed("GET", "/")
        self.assertEqual(
            (answer.status, answer.code), (400, "AuthorizationHeaderMalformed")
        )
        self.assertIn(b"<Region>eu-west-1</Region>", answer.body)
        answer = self.wire().ask("GET", self.presigned("GET", "/"))
        self.assertEqual(
            (answer.status, answer.code), (400, "AuthorizationQueryParametersError")
        )
        self.client(region="eu-west-1").create_bucket(
            Bucket="there",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
        answer = self.signed("GET", "/there?location")
        self.assertIn(b">eu-west-1<", answer.body)
        minio = clients.module("minio").Minio(
            f"127.0.0.1:{self.daemon.port}",
            access_key=clients.USER,
            secret_key="anything",
            secure=False,
        )
        self.assertEqual(list(minio.list_objects("there")), [])


class StartTests(SignedCase):
    def test_wrong_file(self) -> None:
        """A wrong file of keys ends the start, with one line that says where."""
        folder = self.folder()
        path = os.path.join(folder, "keys")
        write_keys(path, f"# keys\nAKID {SECRET}\n")
        process, log = launch(
            folder,
            [
                *("-D", "alluxio.worker.s3.port=0", "-D", "alluxio.worker.web.port=0"),
                *("-D", "alluxio.worker.s3.authentication.type=SIGV4"),
                *("-D", f"alluxio.worker.s3.access.keys.path={path}"),
            ],
        )
        try:
            self.assertNotEqual(process.wait(60), 0)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        with open(log) as file:
            text = file.read()
        self.assertIn(f"alluxio-s3: {path}:2: ", text)
        self.assertEqual(len(text.strip().splitlines()), 1, text)
        self.assertNotIn(SECRET, text)

    def test_no_keys(self) -> None:
        """A daemon without any key says how to make one."""
        daemon = self.start(Setting(("alluxio.worker.s3.authentication.type=SIGV4",)))
        self.assertIn("alluxio-s3 key add USER", daemon.log())
