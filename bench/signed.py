"""
What checking signatures costs: this daemon with SIGV4 beside itself with SIMPLE.

    python -m bench.signed                10 rounds of a second, in turns

Both serve the same files and are sent the same signed requests; only one of them
checks.  The ratio is SIMPLE's CPU per operation divided by SIGV4's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from bench import report
from bench.sampling import Bench, Sample
from bench.servers import Server, daemon, self_signed
from bench.workloads import BY_NAME

TARGET = 0.7

HEAD = ("server", "ops/s", "p50 ms", "p99 ms", "CPU µs/op", "simple/sigv4", "target")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.signed")
    parser.add_argument("-r", "--rounds", type=int, default=10)
    parser.add_argument("-d", "--seconds", type=float, default=1.0)
    parser.add_argument("-w", "--wait", type=float, default=5.0)
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.home) as folder:
        home = Path(folder)
        print(report.table(HEAD, run(home, given.rounds, given.seconds, given.wait)))


def run(home: Path, rounds: int, seconds: float, wait: float) -> list[list[str]]:
    """The rows of the table."""
    workload = BY_NAME["get4k"]
    origin = home / "origin"
    origin.mkdir()
    for key in workload.objects.keys():
        path = origin / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(workload.objects.size))
    keys = home / "keys"
    keys.write_text("bench secret bench\n")
    keys.chmod(0o600)
    mounts = [f"bench=file://{origin}"]
    signed = [
        "alluxio.worker.s3.authentication.type=SIGV4",
        f"alluxio.worker.s3.access.keys.path={keys}",
    ]
    certificate, _ = self_signed(home)
    bench = Bench(home, certificate, wait)
    taken: dict[str, list[Sample]] = {"SIMPLE": [], "SIGV4": []}
    with (
        daemon(home, "SIMPLE", mounts=mounts) as simple,
        daemon(home, "SIGV4", mounts=mounts, definitions=signed) as sigv4,
    ):
        servers: list[Server] = [simple, sigv4]
        for server in servers:
            bench.sample(workload, server, 1)
        for _ in range(rounds):
            for server in servers:
                taken[server.name].append(bench.sample(workload, server, seconds))
            servers.reverse()
    wrong = sum(sample.errors for samples in taken.values() for sample in samples)
    if wrong:
        raise SystemExit(f"{wrong} requests failed: nothing was measured")
    ratios = [
        a.cpu / b.cpu for a, b in zip(taken["SIMPLE"], taken["SIGV4"], strict=True)
    ]
    rows = []
    for name, samples in taken.items():
        last = name == "SIGV4"
        rows.append(
            [
                name,
                spread([sample.rate for sample in samples], "{:,.0f}"),
                spread([sample.p50 * 1e3 for sample in samples], "{:.2f}"),
                spread([sample.p99 * 1e3 for sample in samples], "{:.2f}"),
                spread([sample.cpu * 1e6 for sample in samples], "{:.1f}"),
                spread(ratios, "{:.2f}") if last else "",
                f"{TARGET:.2f}" if last else "",
            ]
        )
    return rows


def spread(values: list[float], form: str) -> str:
    """The median, and in brackets the least and the most."""
    shown = [form.format(each) for each in (min(values), max(values))]
    return f"{form.format(statistics.median(values))} ({shown[0]}-{shown[1]})"


if __name__ == "__main__":
    main()
