"""
How soon a cold object begins to come, through the cache, from a slow storage.

    python -m bench.firstbyte

The storage is C{slow+file}: every call takes so long, and bodies come at a certain
pace.  A cold GET asks it twice, what there is and then for the bytes, so its own
first byte is there after twice the latency and the time of a first piece.  What the
daemon adds to that is what counts.  The same through a mount that is not cached
says how much of it is the cache's.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from pathlib import Path

import attrs

from bench import report
from bench.servers import Server, daemon

M = 1 << 20

PIECE = 128 << 10
"""The most that C{slow+file} hands on at once; a 200th of a second's, if less."""

LIMIT = 0.010
"""Seconds that the daemon may add."""


@attrs.frozen
class Storage:
    """
    A slow storage.

    :ivar latency: seconds.
    :ivar pace: bytes a second for each body; nought for no limit.
    """

    latency: float
    pace: int = 0

    @property
    def options(self) -> str:
        """As they stand in its URI."""
        text = f"latency={self.latency * 1e3:.0f}ms"
        return text + (f"&per_connection={self.pace}" if self.pace else "")

    @property
    def first_byte(self) -> float:
        """When its own first byte of a cold GET is there, in seconds."""
        piece = min(PIECE, self.pace // 200) / self.pace if self.pace else 0.0
        return 2 * self.latency + piece

    def __str__(self) -> str:
        text = f"latency {self.latency * 1e3:.0f} ms"
        return text + (f", {self.pace / 1e6:.0f} MB/s" if self.pace else "")


STORAGES = (
    Storage(0.0),
    Storage(0.020),
    Storage(0.050),
    Storage(0.050, 50_000_000),
    Storage(0.050, 4_000_000),
)


def main() -> None:
    """Measure what the command line says."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m bench.firstbyte",
        description=__doc__.replace("C{", "").replace("}", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--objects", type=int, default=40, help="of each storage")
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.home) as home:
        print(report.table(HEAD, measure(Path(home), given.objects)))


HEAD = ("storage", "its first byte", "cold GET", "added", "limit", "added, not cached")


def measure(home: Path, count: int) -> list[list[str]]:
    """The rows of the table."""
    origin = home / "origin"
    origin.mkdir()
    for number in range(count):
        (origin / f"object-{number}").write_bytes(bytes([number & 255]) * (8 * M))
    definitions = []
    for number, storage in enumerate(STORAGES):
        uri = f"slow+file://{origin}?{storage.options}"
        for name, cached in (("cached", "true"), ("plain", "false")):
            mount = f"alluxio.tw.mount.{name}{number}"
            definitions += [f"{mount}.uri={uri}", f"{mount}.option.cache={cached}"]
    lines = []
    with daemon(home, definitions=definitions) as server:
        for number, storage in enumerate(STORAGES):
            cold = [
                first_byte(server, f"/cached{number}/object-{each}")
                for each in range(count)
            ]
            plain = [
                first_byte(server, f"/plain{number}/object-{each}")
                for each in range(count)
            ]
            expected = storage.first_byte
            lines.append(
                [
                    str(storage),
                    f"{expected * 1e3:.0f} ms",
                    f"{_ms(cold)} ms",
                    f"{_ms([each - expected for each in cold])} ms",
                    f"{LIMIT * 1e3:.0f} ms",
                    f"{_ms([each - expected for each in plain])} ms",
                ]
            )
    return lines


def first_byte(server: Server, path: str) -> float:
    """Seconds from a request to the first byte of the body."""
    with socket.create_connection(("127.0.0.1", server.http)) as connection:
        began = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        got = b""
        while not got.partition(b"\r\n\r\n")[2]:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError(got.decode("latin-1"))
            got += data
        took = time.perf_counter() - began
        if not got.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(got.decode("latin-1")[:300])
        return took


def _ms(values: list[float]) -> report.Spread:
    return report.Spread.of([value * 1e3 for value in values])


if __name__ == "__main__":
    main()
