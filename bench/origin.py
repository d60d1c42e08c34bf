"""
What the daemon adds to a storage, or saves it: an S3 server asked directly, beside the
same asked through the daemon, by the same client, in turns.

    python -m bench.origin                      everything; some minutes
    python -m bench.origin -t cold,list -r 3    some of it, three rounds
    python -m bench.origin --server minio       MinIO in its place

Needs versitygw (C{go install github.com/versity/versitygw/cmd/versitygw@v1.8.0}) or
MinIO (see C{bench.minio}), wrk, and C{pip install -e '.[clients]'}.  Both check signatures.  The clients: I{boto3},
which is what users use, and whose own work is part of what they wait for; I{lean}, one
blocking socket that reads into one buffer, so that nearly all of the time is the
servers'; wrk and C{bench.reader} for hot objects, 16 connections at a time.

The daemon's CPU is of its process, for one operation.  Storage, daemon and client share
the machine's cores: where these are few and busy, what the daemon spends is time that
the others do not get, and the ratios are worse than over a network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from bench import machine, report, wrk
from bench.lean import Lean
from bench.minio import minio
from bench.servers import PROJECT, Server, daemon
from bench.versity import ACCESS_KEY, REGION, SECRET_KEY, limited, versitygw

K, M = 1 << 10, 1 << 20

BUCKET = "bench"
LARGE = 64 * M
RATE = 40_000_000
"""Bytes a second that the limited storage gives each connection."""

HEAD = ("what", "client", "direct", "through", "direct/through", "target", "CPU ms")


@attrs.define
class Ends:
    """
    The storage, and the daemon before it: the bucket has the same name at both.
    """

    home: Path
    direct: Server
    through: Server
    far: Server
    rounds: int
    large: int
    _numbers: int = 0

    @property
    def both(self) -> tuple[Server, Server]:
        """In the order of the table."""
        return self.direct, self.through

    def boto(self, server: Server) -> Any:
        """A client as users have it."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.http}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def lean(self, server: Server) -> Lean:
        """A client that costs nothing."""
        return Lean(server.http, ACCESS_KEY, SECRET_KEY, REGION)

    def new(self) -> str:
        """A key that was never asked for."""
        self._numbers += 1
        return f"new/{self._numbers:06}"

    def store(self, key: str, size: int) -> str:
        """Put an object into the storage, behind the daemon's back."""
        with open("/dev/urandom", "rb") as noise:
            self.boto(self.direct).put_object(
                Bucket=BUCKET, Key=key, Body=noise.read(min(size, M)) * -(-size // M)
            )
        return key


@attrs.frozen
class Sample:
    """
    Seconds of an operation, directly and through the daemon, and the daemon's CPU.
    """

    direct: float
    through: float
    cpu: float


Operation = Callable[[Server, str], float]
"""Does it once, to a key; the seconds it took."""


def turns(
    ends: Ends,
    operation: Operation,
    prepare: Callable[[], str],
    count: int,
    both: Sequence[Server] = (),
    memory: int = 0,
) -> list[Sample]:
    """
    Interleaved: A B, then B A.

    :param prepare: gives the key that is asked for next.
    :param memory: bytes that each will fill.
    """
    samples = []
    direct, through = both or ends.both
    for number in range(count + 1):
        key = prepare()
        took: dict[str, float] = {}
        cpu = 0.0
        for server in (direct, through) if number % 2 else (through, direct):
            machine.touch_memory(ends.home, memory)
            before = machine.cpu_seconds(through.pids)
            took[server.name] = operation(server, key)
            if server is through:
                cpu = machine.cpu_seconds(through.pids) - before
        if number:  # the first is to wake everybody up
            samples.append(Sample(took[direct.name], took[through.name], cpu))
    return samples


def row(
    what: str,
    client: str,
    samples: Sequence[Sample],
    target: float,
    rates: bool = False,
) -> list[str]:
    """
    A row of the table.

    :param rates: samples are operations a second, and not seconds.
    """
    unit = 1.0 if rates else 1e3
    name = "ops/s" if rates else "ms"
    ratios = [s.through / s.direct if rates else s.direct / s.through for s in samples]
    return [
        what,
        client,
        f"{report.Spread.of([s.direct * unit for s in samples])} {name}",
        f"{report.Spread.of([s.through * unit for s in samples])} {name}",
        str(report.Spread.of(ratios)),
        f"{target:g}",
        report.short(median(s.cpu for s in samples) * 1e3),
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- what is measured


def cold(ends: Ends) -> list[list[str]]:
    """Objects that the daemon has never seen."""

    def prepare() -> str:
        return ends.store(ends.new(), LARGE)

    def lean(server: Server, key: str) -> float:
        return ends.lean(server).get(f"/{BUCKET}/{key}").all

    def boto(server: Server, key: str) -> float:
        client = ends.boto(server)

        def read() -> None:
            body = client.get_object(Bucket=BUCKET, Key=key)["Body"]
            while body.read(M):
                pass

        return timed(read)

    def download(server: Server, key: str) -> float:
        client = ends.boto(server)
        return timed(lambda: client.download_fileobj(BUCKET, key, _Nowhere()))

    return [
        row(
            "cold GET 64 MiB",
            name,
            turns(ends, operation, prepare, ends.rounds, memory=6 * LARGE),
            0.9,
        )
        for name, operation in (
            ("boto3 get_object", boto),
            ("boto3 download_fileobj", download),
            ("lean", lean),
        )
    ]


def first(ends: Ends) -> list[list[str]]:
    """How soon a cold object begins to come."""

    def ask(server: Server, key: str) -> float:
        return ends.lean(server).get(f"/{BUCKET}/{key}").first

    samples = turns(ends, ask, lambda: ends.store(ends.new(), M), ends.rounds * 8)
    added = [(s.through - s.direct) * 1e3 for s in samples]
    line = row("first byte of a cold GET, 1 MiB", "lean", samples, 0)
    line[4] = f"adds {report.Spread.of(added)} ms"
    line[5] = "5 ms"
    return [line]


def hot(ends: Ends) -> list[list[str]]:
    """Objects that the daemon has."""
    rows = []
    for title, size, client, target in (
        ("hot GET 4 KiB, 16 connections", 4 * K, "wrk", 3.0),
        ("hot GET 1 MiB, 16 connections", M, "reader", 1.5),
    ):
        keys = [ends.store(f"hot/{size}-{number}", size) for number in range(16)]
        for key in keys:
            for _ in range(2):
                ends.lean(ends.through).get(f"/{BUCKET}/{key}")

        def load(server: Server, key: str) -> float:
            paths = [f"/{BUCKET}/{each}" for each in keys]  # noqa: B023
            return drive(ends, server, paths, client, 16)  # noqa: B023

        rows.append(
            row(title, client, turns(ends, load, str, ends.rounds), target, rates=True)
        )
    return rows


def drive(
    ends: Ends, server: Server, paths: Sequence[str], client: str, connections: int
) -> float:
    """Operations a second, for two seconds."""
    lean = ends.lean(server)
    heads = [lean.head("GET", path) for path in paths]
    if client == "wrk":
        url = f"http://127.0.0.1:{server.http}/"
        command = wrk.command(ends.home, url, heads, b"", connections, 2.0)
    else:
        specification = ends.home / "client.json"
        given = {
            "scheme": "http",
            "port": server.http,
            "seconds": 2.0,
            "connections": connections,
            "certificate": None,
            "heads": [head.decode("latin-1") for head in heads],
        }
        specification.write_text(json.dumps(given))
        command = [sys.executable, "-m", "bench.reader", str(specification)]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    said = wrk.said(done.stdout)
    if said["errors"]:
        raise RuntimeError(f"{said['errors']} requests failed")
    return float(said["count"] / said["seconds"])


def put(ends: Ends) -> list[list[str]]:
    """Objects on their way in."""
    with open("/dev/urandom", "rb") as noise:
        data = noise.read(LARGE)

    def lean(server: Server, key: str) -> float:
        return ends.lean(server).put(f"/{BUCKET}/{key}-{server.name}", data).all

    def boto(server: Server, key: str) -> float:
        client = ends.boto(server)
        name = f"{key}-{server.name}"
        return timed(lambda: client.put_object(Bucket=BUCKET, Key=name, Body=data))

    def upload(server: Server, key: str) -> float:
        client = ends.boto(server)
        name = f"{key}-{server.name}"
        file = ends.home / "upload"
        file.write_bytes(data)
        config = TransferConfig()
        return timed(lambda: client.upload_file(str(file), BUCKET, name, Config=config))

    return [
        row(
            "PUT 64 MiB",
            name,
            turns(ends, operation, ends.new, ends.rounds, memory=8 * LARGE),
            0.85,
        )
        for name, operation in (
            ("boto3 put_object", boto),
            ("boto3 upload_file", upload),
            ("lean", lean),
        )
    ]


def listing(ends: Ends) -> list[list[str]]:
    """A page of a thousand keys."""
    client = ends.boto(ends.direct)
    for number in range(1000):
        client.put_object(Bucket=BUCKET, Key=f"list/key-{number:06}", Body=b"x" * 16)

    def lean(server: Server, key: str) -> float:
        path = f"/{BUCKET}?list-type=2&max-keys=1000&prefix=list%2F"
        return ends.lean(server).get(path).all

    def boto(server: Server, key: str) -> float:
        client = ends.boto(server)

        def work() -> None:
            answer = client.list_objects_v2(Bucket=BUCKET, Prefix="list/")
            assert answer["KeyCount"] == 1000

        return timed(work)

    return [
        row("LIST 1,000 keys", name, turns(ends, ask, str, ends.rounds * 4), 0.8)
        for name, ask in (("boto3", boto), ("lean", lean))
    ]


def parallel(ends: Ends) -> list[list[str]]:
    """A large cold object from a storage that limits each connection."""

    def ask(server: Server, key: str) -> float:
        bucket = "far" if server is ends.through else BUCKET
        return ends.lean(server).get(f"/{bucket}/{key}").all

    samples = turns(
        ends,
        ask,
        lambda: ends.store(ends.new(), ends.large),
        max(1, ends.rounds // 4),
        (ends.far, ends.through),
    )
    what = f"cold GET {ends.large >> 20} MiB, {RATE // 1_000_000} MB/s a connection"
    return [row(what, "lean", samples, 1)]


class _Nowhere:
    """A file that forgets."""

    def write(self, data: bytes) -> int:
        return len(data)

    def seekable(self) -> bool:
        return False


SERVERS: dict[str, Callable[[Path], Server]] = {"versitygw": versitygw, "minio": minio}

TABLE: dict[str, Callable[[Ends], list[list[str]]]] = {
    "cold": cold,
    "first": first,
    "hot": hot,
    "put": put,
    "list": listing,
    "parallel": parallel,
}


def main() -> None:
    """Measure what the command line says."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m bench.origin",
        description=__doc__.replace("C{", "").replace("I{", "").replace("}", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-t", "--tests", help=f"some of: {', '.join(TABLE)}")
    parser.add_argument("-r", "--rounds", type=int, default=8)
    parser.add_argument("--large", type=int, default=256, help="MiB, for parallel")
    parser.add_argument("--server", choices=SERVERS, default="versitygw")
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    parser.add_argument("--option", default="", help="of the mount: a=b&c=d")
    parser.add_argument(
        "-D", dest="define", action="append", default=[], help="of the daemon"
    )
    given = parser.parse_args()
    names = given.tests.split(",") if given.tests else list(TABLE)
    wrong = [name for name in names if name not in TABLE]
    if wrong:
        parser.error(f"no such test: {', '.join(wrong)}; there are {', '.join(TABLE)}")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.home) as folder:
        for line in run(Path(folder), names, given):
            print(line, flush=True)


def run(home: Path, names: Sequence[str], given: argparse.Namespace) -> list[str]:
    """The lines of the table."""
    keys = home / "keys"
    keys.write_text(f"{ACCESS_KEY} {SECRET_KEY} bench\n")
    keys.chmod(0o600)
    with SERVERS[given.server](home) as direct, limited(home, direct, RATE) as far:

        def mount(name: str, server: Server) -> str:
            uri = f"{name}=s3://{BUCKET}?endpoint=http://127.0.0.1:{server.http}"
            options = f"region={REGION}&access_key={ACCESS_KEY}&secret_key={SECRET_KEY}"
            return f"{uri}&{options}" + (f"&{given.option}" if given.option else "")

        through = daemon(
            home,
            "through",
            mounts=[mount(BUCKET, direct), mount("far", far)],
            definitions=[
                "alluxio.worker.s3.authentication.type=SIGV4",
                f"alluxio.worker.s3.access.keys.path={keys}",
                *given.define,
            ],
        )
        with through:
            ends = Ends(home, direct, through, far, given.rounds, given.large * M)
            ends.boto(direct).create_bucket(Bucket=BUCKET)
            rows = [line for name in names for line in TABLE[name](ends)]
    return [report.table(HEAD, rows)]


if __name__ == "__main__":
    main()
