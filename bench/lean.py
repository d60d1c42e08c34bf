"""
One request at a time, from a client that costs next to nothing: a blocking socket
and one buffer.  What it measures is the server.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping

import attrs
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_BUFFER = 1 << 20


@attrs.frozen
class Took:
    """
    Seconds until the first byte of the body was here, and until the last.
    """

    first: float
    all: float


@attrs.frozen
class Lean:
    """
    Asks a server, signing as the AWS SDKs do over TLS: C{UNSIGNED-PAYLOAD}.

    :ivar secret: access key, secret key and region.
    """

    port: int
    access_key: str
    secret_key: str
    region: str

    def head(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """A request up to its body, signed."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = AWSRequest(method, url, headers=dict(headers or {}))
        request.context["client_config"] = None
        request.context["payload_signing_enabled"] = False
        credentials = Credentials(self.access_key, self.secret_key)
        _Unsigned(credentials, "s3", self.region).add_auth(request)
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Took:
        """
        Read an object, or a listing, and drop it.

        :raises RuntimeError: it is refused, or cut short.
        """
        return self._ask(self.head("GET", path, headers), b"")

    def put(self, path: str, body: bytes) -> Took:
        """
        Write an object.

        :raises RuntimeError: it is refused.
        """
        return self._ask(
            self.head("PUT", path, {"Content-Length": str(len(body))}), body
        )

    def _ask(self, head: bytes, body: bytes) -> Took:
        buffer = bytearray(_BUFFER)
        with socket.create_connection(("127.0.0.1", self.port), 300) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            connection.sendall(head)
            if body:
                connection.sendall(body)
            got = b""
            while not (found := _parsed(got)):
                got += self._some(connection)
            start, length, there = found
            while length and not there:
                there = len(self._some(connection))
            first = time.perf_counter() - began
            if not start.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(got[:500].decode("latin-1"))
            left = length - there
            while left > 0:
                count = connection.recv_into(buffer)
                if not count:
                    raise RuntimeError(f"cut short, {left} bytes before the end")
                left -= count
            return Took(first, time.perf_counter() - began)

    @staticmethod
    def _some(connection: socket.socket) -> bytes:
        data = connection.recv(64 << 10)
        if not data:
            raise RuntimeError("cut short")
        return data


def _parsed(got: bytes) -> tuple[bytes, int, int] | None:
    """A head, how long its body is, and how much of that is here."""
    head, end, rest = got.partition(b"\r\n\r\n")
    if not end:
        return None
    length = _LENGTH.search(head + b"\r\n")
    return head, int(length[1]) if length else 0, len(rest)


class _Unsigned(S3SigV4Auth):  # type: ignore[misc]
    def payload(self, request: AWSRequest) -> str:
        return "UNSIGNED-PAYLOAD"
