"""
One sample: a client drives a server for some seconds, and both are watched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from bench import machine, requests, wrk
from bench.servers import PROJECT, Server
from bench.workloads import Workload

BOTO_PROCESSES = 2

QUIET = 0.25
"""
How much of a core others may use before a sample is taken, while there is
patience to wait for it.
"""


@attrs.frozen
class Sample:
    """
    What came of it.

    :ivar rate: operations a second; of large bodies, also parts of one count.
    :ivar megabytes: of bodies, a million bytes each, a second.
    :ivar p50: seconds; C{p99} likewise.
    :ivar cpu: seconds of the server's CPU for an operation.
    :ivar foreign: how much of a core was used by neither server nor client.
    """

    rate: float
    megabytes: float
    p50: float
    p99: float
    cpu: float
    errors: int
    foreign: float


@attrs.frozen
class Bench:
    """
    Takes samples.

    :ivar home: a folder for what clients are told.
    :ivar certificate: of all servers.
    :ivar patience: seconds to wait for other work on the machine to end.
    """

    home: Path
    certificate: Path
    patience: float = 5.0

    def sample(self, workload: Workload, server: Server, seconds: float) -> Sample:
        """
        Drive C{server} for so many seconds.

        :raises RuntimeError: the client failed.
        """
        command = self._command(workload, server, seconds)
        self._wait()
        pids = server.pids
        usage = os.times()
        own = usage.children_user + usage.children_system
        cpu, busy, began = (
            machine.cpu_seconds(pids),
            machine.busy_seconds(),
            time.monotonic(),
        )
        done = subprocess.run(
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds * 3 + 60,
        )
        cpu = machine.cpu_seconds(pids) - cpu
        busy = machine.busy_seconds() - busy
        wall = time.monotonic() - began
        usage = os.times()
        own = usage.children_user + usage.children_system - own
        said = wrk.said(done.stdout)
        size = workload.size
        count = float(said["count"])
        if workload.client == "reader":
            # What was under way at the end counts by its bytes.
            count = said["bytes"] / size
        body = size * count if workload.method != "LIST" else said["bytes"]
        return Sample(
            rate=count / said["seconds"],
            megabytes=body / said["seconds"] / 1e6,
            p50=said["p50"],
            p99=said["p99"],
            cpu=cpu / count if count else 0.0,
            errors=said["errors"],
            foreign=max(0.0, (busy - cpu - own) / wall),
        )

    def _command(
        self, workload: Workload, server: Server, seconds: float
    ) -> Sequence[str]:
        port = server.port(workload.scheme)
        nginx = server.name == "nginx"
        body = b""
        if workload.method == "PUT":
            body = os.urandom(workload.size)
        bucket = "bench" if nginx else requests.BUCKETS[workload.where]
        given = {
            "scheme": workload.scheme,
            "port": port,
            "seconds": seconds,
            "connections": workload.connections,
            "certificate": str(self.certificate),
        }
        if workload.client == "boto3":
            given |= {
                "method": workload.method,
                "bucket": bucket,
                "keys": workload.objects.keys(),
                "size": workload.size,
                "processes": BOTO_PROCESSES,
                "threads": max(1, workload.connections // BOTO_PROCESSES),
            }
            return self._python("bench.s3clients", given)
        heads = requests.heads(workload, port, nginx, body)
        if workload.client == "reader":
            given["heads"] = [head.decode("latin-1") for head in heads]
            return self._python("bench.reader", given)
        url = f"{workload.scheme}://127.0.0.1:{port}/"
        return wrk.command(self.home, url, heads, body, workload.connections, seconds)

    def _python(self, module: str, given: dict[str, object]) -> Sequence[str]:
        specification = self.home / "client.json"
        specification.write_text(json.dumps(given))
        return [sys.executable, "-m", module, str(specification)]

    def _wait(self) -> None:
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            busy, began = machine.busy_seconds(), time.monotonic()
            time.sleep(0.25)
            if (machine.busy_seconds() - busy) / (time.monotonic() - began) < QUIET:
                return


def rounds(
    bench: Bench,
    workload: Workload,
    servers: Sequence[Server],
    count: int,
    seconds: float,
    told: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Sample]]:
    """
    Samples by server, taken in turns: A B, then B A, so that what changes on the
    machine meanwhile changes for both.
    """
    taken: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for server in servers:
        bench.sample(workload, server, 1.0)
    for number in range(count):
        turn = servers if number % 2 == 0 else servers[::-1]
        for server in turn:
            told(f"{workload.name}: round {number + 1} of {count}, {server.name}")
            taken[server.name].append(bench.sample(workload, server, seconds))
    return taken
