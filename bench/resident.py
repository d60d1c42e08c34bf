"""
How much memory: the daemon under many slow readers and many uploads.

    python -m bench.resident              a few minutes, 2 GiB of disk
    python -m bench.resident --full       uploads of 1 GiB each: 16 GiB of disk

C{peak} is the most that was resident at any moment (C{VmHWM}), of a daemon that
was started for that row alone.  Files that are read are sparse: what is measured
is the daemon, not a disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from bench import machine, report, wrk
from bench.servers import PROJECT, Server, daemon, put

M = 1 << 20

LIMIT = 150 * M
"""What the peak must stay under."""


@attrs.frozen
class Case:
    """
    One row.

    :ivar cached: through the page cache, from a slow storage.
    :ivar distinct: every client has an object of its own.
    """

    title: str
    method: str = "GET"
    cached: bool = False
    distinct: bool = False


CASES = (
    Case("read one object"),
    Case("read an object each", distinct=True),
    Case("read one object, cached", cached=True),
    Case("read an object each, cached", cached=True, distinct=True),
    Case("upload", "PUT", distinct=True),
    Case("upload to a cached mount", "PUT", cached=True, distinct=True),
)


def main() -> None:
    """Measure what the command line says."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m bench.resident",
        description=__doc__.replace("C{", "").replace("}", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", help="tests whose name begins so")
    parser.add_argument("--full", action="store_true", help="uploads of 1 GiB each")
    parser.add_argument("--clients", type=int, default=256, help="that read")
    parser.add_argument("--uploads", type=int, default=16)
    parser.add_argument("--rate", type=int, default=1_000_000, help="bytes a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of reading")
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    given = parser.parse_args()
    lines = []
    for case in CASES:
        if not case.title.startswith(given.only):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-", dir=given.home) as home:
            lines.append(measure(Path(home), case, given))
        print(report.table(HEAD, lines[-1:]), flush=True)
    print()
    print(report.table(HEAD, lines))


HEAD = ("test", "clients", "at start", "peak", "limit", "MB/s", "slowest", "errors")


def measure(home: Path, case: Case, given: argparse.Namespace) -> list[str]:
    """One row of the table."""
    origin = home / "origin"
    origin.mkdir()
    mounts = []
    definitions = []
    if case.cached:
        mounts.append(f"bench=slow+file://{origin}?latency=20ms")
        definitions.append("alluxio.worker.page.store.sizes=4GB")
    else:
        mounts.append(f"bench=file://{origin}")
    clients = given.clients if case.method == "GET" else given.uploads
    names = [f"object-{n if case.distinct else 0}" for n in range(clients)]
    size = 256 * M
    if case.method == "PUT":
        size = 1024 * M if given.full else 128 * M
    else:
        for name in set(names):
            with open(origin / name, "wb") as file:
                file.truncate(size)
    with daemon(home, mounts=mounts, definitions=definitions) as server:
        put(server, "/bench/warm", b"so that all that is imported late is there")
        before = machine.resident(server.process.pid)
        machine.forget_peak(server.process.pid)
        said = drive(home, server, case.method, names, size, given)
        peak = machine.resident(server.process.pid, "VmHWM")
    return [
        case.title,
        str(clients),
        f"{before / M:.0f} MiB",
        f"{peak / M:.0f} MiB",
        f"{LIMIT / M:.0f} MiB",
        f"{said['bytes'] / said['seconds'] / 1e6:.0f}",
        f"{said['slowest'] / said['seconds'] / 1e6:.2f} MB/s"
        if case.method == "GET"
        else "",
        str(said["errors"]),
    ]


def drive(
    home: Path,
    server: Server,
    method: str,
    names: list[str],
    size: int,
    given: argparse.Namespace,
) -> dict[str, float]:
    """Let the clients loose; what they say of it."""
    specification = home / "clients.json"
    specification.write_text(
        json.dumps(
            {
                "method": method,
                "port": server.http,
                "paths": [f"/bench/{name}" for name in names],
                "rate": given.rate,
                "seconds": given.seconds,
                "size": size,
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.slowclients", str(specification)],
        cwd=PROJECT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=3600,
    )
    return wrk.said(done.stdout)


if __name__ == "__main__":
    main()
