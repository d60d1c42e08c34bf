"""
A large object through any mount and back: the same bytes, and memory that stays flat.

    python -m bench.through file://{home}/storage --size 2GB
    python -m bench.through 's3://bucket?endpoint=http://127.0.0.1:7070&region=us-east-1' \\
        --size 10GB --option access_key=... --option secret_key=...
    python -m bench.through versitygw --size 2GB       a real S3 server of its own
    python -m bench.through hdfs --size 2GB            the cluster that tests use

What is sent is made on the way, and every MiB of it differs; what comes back is
hashed on the way.  C{{home}}/storage in the URI is a folder of the run.  Rows:

- put: one PUT; of at most 5 GiB, which is the most that S3 has for one.
- multipart: an upload in parts, four at a time.
- get, again: the whole object, with what the first read left in the cache.
- ranges: eight readers, each of its own eighth.
- copy: an object made of the first, by the storage or through the gateway.

C{peak} is the most that was resident in that row (C{VmHWM}); what it may not exceed
is C{--limit}.  The status is 0 only if all hashes are equal and the limit was kept.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from alluxio_tw.quantities import size as quantity
from bench import machine, report
from bench.servers import Server, daemon
from bench.versity import ACCESS_KEY, REGION, SECRET_KEY, versitygw
from tests.servers import hdfs

M = 1 << 20
LARGEST_PUT = 5 << 30
PARTS_AT_ONCE = 4
READERS = 8
BUCKET = "through"
HEAD = ("through", "bytes", "seconds", "MB/s", "before", "peak", "hash")


class Endless(io.RawIOBase):
    """
    Bytes that are made when they are read, and hashed.

    :ivar digest: of what was read so far.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0
        self._block = bytearray(os.urandom(M))
        self.digest = hashlib.blake2b()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at, M - self._at % M)
        if count <= 0:
            return 0
        if not self._at % M:
            self._block[:8] = self._at.to_bytes(8, "big")
        first = self._at % M
        piece = self._block[first : first + count]
        buffer[:count] = piece
        self.digest.update(piece)
        self._at += count
        return count

    def __len__(self) -> int:
        return self._size


@attrs.define
class Run:
    """
    One daemon, one mount, and what was measured of it.

    :ivar limit: bytes that may be resident.
    :ivar well: nothing was wrong so far.
    """

    server: Server
    limit: int
    rows: list[list[str]] = attrs.field(factory=list)
    well: bool = True

    @property
    def s3(self) -> Any:
        """A client; each thread needs its own."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.server.http}",
            aws_access_key_id="bench",
            aws_secret_access_key="any",
            region_name="us-east-1",
            config=Config(
                retries={"total_max_attempts": 1},
                read_timeout=600,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def row(self, title: str, size: int, work: Callable[[], object]) -> None:
        """
        Do something, and measure the daemon meanwhile.

        :param work: tells C{True} if the bytes were right, C{None} if that is for
            others to say.
        """
        pid = self.server.process.pid
        before = machine.resident(pid)
        machine.forget_peak(pid)
        began = time.monotonic()
        right = work()
        seconds = time.monotonic() - began
        peak = machine.resident(pid, "VmHWM")
        self.well = self.well and right is not False and peak <= self.limit
        self.rows.append(
            [
                title,
                f"{size:,}",
                f"{seconds:.1f}",
                f"{size / seconds / 1e6:.0f}",
                f"{before / M:.0f} MiB",
                f"{peak / M:.0f} MiB" + (" TOO MUCH" if peak > self.limit else ""),
                {None: "", True: "equal", False: "DIFFERS"}[right],  # type: ignore[index]
            ]
        )
        print("; ".join(self.rows[-1]), flush=True)

    def put(self, key: str, body: Endless) -> None:
        """Send a body in one request, as it is made."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.http, timeout=600, blocksize=M
        )
        try:
            length = {"Content-Length": str(len(body))}
            connection.request("PUT", f"/{BUCKET}/{key}", body, length)
            answer = connection.getresponse()
            if answer.status != 200:
                sys.exit(f"PUT {key}: {answer.status} {answer.read(1000)!r}")
        finally:
            connection.close()

    def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        self.s3.copy_object(
            Bucket=BUCKET, Key=target, CopySource={"Bucket": BUCKET, "Key": source}
        )

    def pieces(self, key: str, span: str = "") -> Iterator[bytes]:
        """Read an object, or a range of it."""
        given = {"Range": f"bytes={span}"} if span else {}
        answer = self.s3.get_object(Bucket=BUCKET, Key=key, **given)
        yield from answer["Body"].iter_chunks(M)

    def equal(self, key: str, digest: bytes) -> bool:
        """Read the whole of it: is it what was sent?"""
        found = hashlib.blake2b()
        for piece in self.pieces(key):
            found.update(piece)
        return found.digest() == digest

    def side_by_side(self, key: str, size: int, sums: list[bytes]) -> bool:
        """Read it in eighths at once: are they what they were before?"""

        def read(n: int) -> bytes:
            found = hashlib.blake2b()
            for piece in self.pieces(key, _eighth(n, size)):
                found.update(piece)
            return found.digest()

        with ThreadPoolExecutor(READERS) as threads:
            return list(threads.map(read, range(READERS))) == sums


def _eighth(n: int, size: int) -> str:
    return f"{size * n // READERS}-{size * (n + 1) // READERS - 1}"


def _eighths(pieces: Iterator[bytes], size: int) -> list[bytes]:
    """The digests of the eighths of a stream."""
    digests = [hashlib.blake2b() for _ in range(READERS)]
    at = n = 0
    for piece in pieces:
        rest = memoryview(piece)
        while len(rest):
            left = size * (n + 1) // READERS - at
            digests[n].update(rest[:left])
            at += min(left, len(rest))
            rest = rest[left:]
            if at == size * (n + 1) // READERS:
                n += 1
    return [each.digest() for each in digests]


def measure(run: Run, size: int, part: int) -> None:
    """All rows."""
    small = min(size, LARGEST_PUT)
    sent = Endless(small)
    run.row("put", small, lambda: run.put("put", sent))
    run.row("get", small, lambda: run.equal("put", sent.digest.digest()))
    run.row("get again", small, lambda: run.equal("put", sent.digest.digest()))
    parts = Endless(size)
    config = TransferConfig(
        multipart_threshold=part,
        multipart_chunksize=part,
        max_concurrency=PARTS_AT_ONCE,
    )
    run.row(
        f"multipart, parts of {part // M} MiB",
        size,
        # Buffered, since boto3 takes the first short read for the end.
        lambda: run.s3.upload_fileobj(
            io.BufferedReader(parts, M), BUCKET, "parts", Config=config
        ),
    )
    run.row("get", size, lambda: run.equal("parts", parts.digest.digest()))
    sums = _eighths(run.pieces("parts"), size)
    run.row(
        f"{READERS} ranges at once",
        size,
        lambda: run.side_by_side("parts", size, sums),
    )
    run.row("copy", small, lambda: run.copy("put", "copy"))
    run.row("get the copy", small, lambda: run.equal("copy", sent.digest.digest()))


def mounted(home: Path, origin: Server | None, given: argparse.Namespace) -> str:
    """What C{--mount} is given."""
    uri: str = given.mount
    options: list[str] = given.option
    if origin is not None:
        origin.wait()
        endpoint = f"http://127.0.0.1:{origin.http}"
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        boto3.session.Session().client(
            "s3", endpoint_url=endpoint, region_name=REGION, **keys
        ).create_bucket(Bucket=BUCKET)
        uri = f"s3://{BUCKET}?endpoint={endpoint}&region={REGION}"
        options = [f"access_key={ACCESS_KEY}", f"secret_key={SECRET_KEY}", *options]
    if uri == "hdfs":
        running = hdfs.cluster()
        uri = running.uri(running.make_folder())
        options = [f"{name}={value}" for name, value in running.options.items()]
    if "{home}" in uri:
        (home / "storage").mkdir()
        uri = uri.replace("{home}", str(home))
    for each in options:
        uri += ("&" if "?" in uri else "?") + each
    return f"{BUCKET}={uri}"


def main() -> None:
    """Measure what the command line says."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m bench.through",
        description=__doc__.replace("C{{home}}", "{home}")
        .replace("C{", "")
        .replace("}", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mount", help="a URI, versitygw or hdfs")
    parser.add_argument("--size", type=quantity, default=quantity("10GB"))
    parser.add_argument("--part", type=quantity, default=quantity("64MB"))
    parser.add_argument("--limit", type=quantity, default=quantity("256MB"))
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--cache", default="1GB", help="how much may be cached")
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="through-", dir=given.home) as folder:
        home = Path(folder)
        origin = versitygw(home) if given.mount == "versitygw" else None
        try:
            uri = mounted(home, origin, given)
            definitions = [f"alluxio.worker.page.store.sizes={given.cache}"]
            with daemon(home, mounts=[uri], definitions=definitions) as server:
                run = Run(server, given.limit)
                # So that all that is imported late is there.
                run.s3.put_object(Bucket=BUCKET, Key="warm", Body=b"warm")
                run.s3.get_object(Bucket=BUCKET, Key="warm")["Body"].read()
                measure(run, given.size, given.part)
                for key in ("warm", "put", "parts", "copy"):
                    run.s3.delete_object(Bucket=BUCKET, Key=key)
        finally:
            if origin is not None:
                origin.stop()
    print()
    print(report.table(HEAD, run.rows))
    sys.exit(0 if run.well else 1)


if __name__ == "__main__":
    main()
