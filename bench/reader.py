"""
Load from a lean reader, for large bodies: wrk reads 8 KiB at a time, and would
be what is measured.

Runs as a process of its own: C{python -m bench.reader SPECIFICATION}.
"""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
import sys
import time
from typing import Any

import attrs

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)

READ = 1 << 20


@attrs.define
class _Reader:
    """
    A connection that asks for one object after another.
    """

    socket: Any
    secure: bool
    buffer: bytearray
    left: int = 0
    since: float = 0.0

    def ask(self, request: bytes) -> None:
        self.since = time.perf_counter()
        self.left = -1
        self.socket.setblocking(True)
        self.socket.sendall(request)
        self.socket.setblocking(False)

    def read(self) -> int:
        """
        Read what there is.

        :return: bytes of the body.
        :raises BlockingIOError: there is nothing.
        :raises ConnectionError: that is no answer.
        """
        try:
            got = int(self.socket.recv_into(self.buffer))
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error
        if not got:
            raise ConnectionError("closed")
        if self.left < 0:
            head, end, _ = bytes(self.buffer[: min(got, 16384)]).partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not end or length is None or not head.startswith(b"HTTP/1.1 20"):
                raise ConnectionError(head[:80].decode("latin-1"))
            got -= len(head) + 4
            self.left = int(length[1])
        self.left -= got
        return got


def main(specification: str) -> None:
    """
    Ask C{connections} times over for what C{heads} says, for so many seconds.
    """
    with open(specification) as file:
        given = json.load(file)
    heads = [head.encode("latin-1") for head in given["heads"]]
    secure = given["scheme"] == "https"
    context = ssl.create_default_context(cafile=given["certificate"])
    poll = select.epoll()
    readers: dict[int, _Reader] = {}
    shared = bytearray(READ)
    number = 0
    count = total = errors = 0
    latencies: list[float] = []

    def connect() -> None:
        nonlocal number
        plain = socket.create_connection(("127.0.0.1", given["port"]))
        end = (
            context.wrap_socket(plain, server_hostname="127.0.0.1") if secure else plain
        )
        reader = _Reader(end, secure, shared)
        readers[end.fileno()] = reader
        poll.register(end.fileno(), select.EPOLLIN)
        number += 1
        reader.ask(heads[number % len(heads)])

    for _ in range(given["connections"]):
        connect()
    began = time.perf_counter()
    end = began + given["seconds"]
    while (now := time.perf_counter()) < end:
        for fd, _ in poll.poll(min(0.2, end - now)):
            reader = readers[fd]
            try:
                # Until there is nothing more: of TLS, some may lie decrypted.
                while True:
                    total += reader.read()
                    if not reader.left:
                        count += 1
                        latencies.append(time.perf_counter() - reader.since)
                        number += 1
                        reader.ask(heads[number % len(heads)])
                    if not reader.secure:
                        break
            except BlockingIOError:
                continue
            except OSError as error:
                errors += 1
                if errors > 20:
                    raise SystemExit(f"too many errors, the last: {error}") from error
                poll.unregister(fd)
                readers.pop(fd).socket.close()
                connect()
    seconds = time.perf_counter() - began
    latencies.sort()
    print(
        json.dumps(
            {
                "count": count,
                "bytes": total,
                "seconds": seconds,
                "p50": quantile(latencies, 0.5),
                "p99": quantile(latencies, 0.99),
                "errors": errors,
            }
        )
    )


def quantile(values: list[float], share: float) -> float:
    """Of sorted values; nought of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


if __name__ == "__main__":
    main(sys.argv[1])
