"""
A bare connection: for what no SDK would send.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from tests.blackbox.daemon import Daemon

SECONDS = 30.0


@attrs.frozen
class Answer:
    """
    A reply as it came.

    :ivar headers: by lower-case name; several of one name joined by commas.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The S3 error code of an error's document."""
        after = self.body.partition(b"<Code>")[2]
        return after.partition(b"</Code>")[0].decode()


class Gone(Exception):
    """The connection closed where an answer should have been."""


@attrs.define
class Wire:
    """
    A connection to a daemon, as bytes.
    """

    socket: socket.socket
    host: str
    _rest: bytes = b""

    @classmethod
    def to(cls, daemon: Daemon, secure: bool = False, receive_buffer: int = 0) -> Wire:
        """
        Connect.

        :param receive_buffer: bytes that the system may hold for us.
        """
        port = daemon.secure_port if secure else daemon.port
        bare = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        bare.settimeout(SECONDS)
        bare.connect(("127.0.0.1", port))
        if secure:
            assert daemon.authority is not None
            context = ssl.create_default_context(cafile=daemon.authority.path)
            bare = context.wrap_socket(bare, server_hostname="127.0.0.1")
        return cls(bare, f"127.0.0.1:{port}")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def pour(self, data: bytes) -> None:
        """
        Send more than the connection holds, keeping what is answered meanwhile.

        One thread does both: an SSL object is not for two (before Python 3.13).
        """
        rest = memoryview(data)
        deadline = time.monotonic() + SECONDS
        self.socket.setblocking(False)
        try:
            while rest:
                moved = False
                try:
                    sent = self.socket.send(rest[:65536])
                    rest, moved = rest[sent:], True
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                try:
                    self._more()
                    moved = True
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                if not moved:
                    wait = deadline - time.monotonic()
                    if wait < 0:
                        raise TimeoutError(f"{len(rest)} bytes were not taken")
                    select.select([self.socket], [self.socket], [], wait)
        finally:
            self.socket.settimeout(SECONDS)

    def ask(
        self, method: str, target: str, body: bytes = b"", /, **headers: str
    ) -> Answer:
        """Send a request, and take its answer; C{_} in names stands for C{-}."""
        self.request(method, target, body, **headers)
        return self.answer(method)

    def request(
        self, method: str, target: str, body: bytes = b"", /, **headers: str
    ) -> None:
        """Send a request."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        given = {name.replace("_", "-").lower(): v for name, v in headers.items()}
        if body or method in ("PUT", "POST"):
            given.setdefault("content-length", str(len(body)))
        lines += [f"{name}: {value}" for name, value in given.items()]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def head(self) -> tuple[int, dict[str, str]]:
        """
        Take a header block.

        :raises Gone: there came none.
        """
        while b"\r\n\r\n" not in self._rest:
            self._more()
        block, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = block.decode("latin-1").split("\r\n")
        version, status, _reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon, line
            name = name.lower()
            headers[name] = (
                f"{headers[name]},{value.strip()}" if name in headers else value.strip()
            )
        return int(status), headers

    def answer(self, method: str = "GET") -> Answer:
        """
        Take an answer.

        :raises Gone: the connection closed before it was whole.
        """
        status, headers = self.head()
        body = b""
        if method != "HEAD" and status >= 200 and status not in (204, 304):
            if "content-length" in headers:
                body = self.take(int(headers["content-length"]))
            else:
                assert headers.get("connection") == "close", headers
                body = self.rest()
        return Answer(status, headers, body)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        pieces = [self._rest]
        got = len(self._rest)
        self._rest = b""
        while got < count:
            piece = self.socket.recv(min(1 << 20, count - got + 1))
            if not piece:
                raise Gone(f"{got} of {count} bytes came")
            pieces.append(piece)
            got += len(piece)
        data = b"".join(pieces)
        self._rest = data[count:]
        return data[:count]

    def rest(self) -> bytes:
        """Everything until the connection closes."""
        pieces = [self._rest]
        self._rest = b""
        while True:
            piece = self.socket.recv(1 << 20)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def closed(self) -> bool:
        """
        Wait until the other end closes, having sent nothing more.
        """
        try:
            return not self._rest and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def reset(self) -> None:
        """Close so that the other end hears of it by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def _more(self) -> None:
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise Gone(f"after {self._rest[:200]!r}")
        self._rest += piece
