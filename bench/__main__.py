"""
How fast: this daemon beside nginx, on the same files, in turns.

    python -m bench                       everything; takes half an hour
    python -m bench -t get4k,head -r 3    some of it, three rounds

With C{--congestion reno} it all happens in a network namespace of its own, with
that congestion control: where the system's is bbr, which paces what is sent, its
pauses blur what a server costs.

Needs wrk, nginx and the project's own requirements with boto3
(C{pip install -e '.[clients]'}).  Both servers listen on loopback, each is one
process; nginx has one worker, C{sendfile}, keep-alive and no access log.  Of all
that is printed, CPU time per operation, and its ratio, depend least on what else
the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench import machine, report, workloads
from bench.sampling import Bench, rounds
from bench.servers import Server, daemon, get, nginx, put, self_signed
from bench.workloads import BY_NAME, LISTED, READ, TABLE, Workload


def main() -> None:
    """Measure what the command line says."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__.replace("C{", "").replace("}", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-t", "--tests", help=f"some of: {', '.join(BY_NAME)}")
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("-d", "--seconds", type=float, default=3.0, help="of a sample")
    parser.add_argument(
        "-w", "--wait", type=float, default=10.0, help="seconds, for a quiet machine"
    )
    parser.add_argument("--home", help="a folder for the data; else a temporary one")
    parser.add_argument("-o", "--output", help="a file for all samples, as JSON")
    parser.add_argument(
        "-D",
        dest="define",
        action="append",
        default=[],
        help="a property of the daemon",
    )
    parser.add_argument(
        "--congestion", help="a TCP congestion control; needs unshare, and ip"
    )
    given = parser.parse_args()
    if given.congestion and given.congestion != machine.congestion():
        apart(given.congestion)
    names = given.tests.split(",") if given.tests else list(BY_NAME)
    wrong = [name for name in names if name not in BY_NAME]
    if wrong:
        parser.error(
            f"no such test: {', '.join(wrong)}; there are {', '.join(BY_NAME)}"
        )
    wanted = [workload for workload in TABLE if workload.name in names]
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.home) as home:
        run(Path(home), wanted, given)


def apart(congestion: str) -> None:
    """
    Begin anew in a network namespace of its own.

    :raises SystemExit: it cannot have that congestion control.
    """
    if os.environ.get(APART):
        sys.exit(f"{congestion} is not to be had here: see modprobe(8)")
    script = (
        "ip link set lo up && "
        'echo "$0" > /proc/sys/net/ipv4/tcp_congestion_control; exec "$@"'
    )
    command = ["unshare", "--net"]
    if os.geteuid():
        command.append("--map-root-user")
    command += ["sh", "-c", script, congestion, sys.executable, "-m", "bench"]
    os.execvpe(command[0], command + sys.argv[1:], {**os.environ, APART: "yes"})


APART = "BENCH_APART"
"""Set in the environment of who is in a namespace of its own already."""


def run(home: Path, wanted: list[Workload], given: argparse.Namespace) -> None:
    """Start the servers, fill them, and measure."""
    # The workers of nginx may run as somebody else.
    os.chmod(home, 0o755)
    certificate = self_signed(home)
    print(report.table(("machine", ""), [[k, v] for k, v in machine.facts()]))
    with ExitStack() as stack:
        origin = home / "ours" / "buckets" / "bench"
        ours = stack.enter_context(
            daemon(home, certificate=certificate, definitions=given.define)
        )
        fill(ours, wanted)
        cached: dict[str, Server] = {"local": ours}
        for where, size in (("memory", "64MB"), ("disk", "0")):
            if any(workload.where == where for workload in wanted):
                made = daemon(
                    home,
                    f"ours-{where}",
                    mounts=[f"cached=slow+file://{origin}?latency=20ms"],
                    definitions=[
                        f"alluxio.worker.page.store.memory.size={size}",
                        *given.define,
                    ],
                )
                made.name = "ours"
                cached[where] = stack.enter_context(made)
                warm(made, [each for each in wanted if each.where == where])
        other = stack.enter_context(nginx(home, home / "ours" / "buckets", certificate))
        bench = Bench(home, certificate[0], given.wait)
        lines: list[list[str]] = []
        values = {}
        for workload in wanted:
            servers = [cached[workload.where]]
            if workload.versus:
                servers.append(other)
            taken = rounds(
                bench, workload, servers, given.rounds, given.seconds, progress
            )
            progress("")
            made_rows = report.rows(workload, taken)
            lines += made_rows
            values[workload.name] = report.as_values(taken)
            print(f"{workload.name}:")
            print(report.table(report.COLUMNS, made_rows), flush=True)
        print(
            f"\n{time.strftime('%F')}, {given.rounds} rounds of {given.seconds:g} s:\n"
        )
        print(report.table(report.COLUMNS, lines))
        if given.output:
            Path(given.output).write_text(json.dumps(values))


def fill(server: Server, wanted: list[Workload]) -> None:
    """Put the objects that are wanted."""
    put(server, "/bench")
    needed = {workload.objects for workload in wanted}
    for objects in (*READ, LISTED):
        if objects not in needed:
            continue
        progress(f"putting {objects.count} objects of {objects.size} bytes")
        body = os.urandom(objects.size)
        for key in objects.keys():
            put(server, f"/bench/{key}", body)
    if workloads.LARGE in needed:
        # What is still to be written to disk would be written while we measure.
        os.sync()
    progress("")


def warm(server: Server, wanted: list[Workload]) -> None:
    """Read what is to come from the cache; twice, for a cache may want to see that."""
    for objects in {workload.objects for workload in wanted}:
        for key in objects.keys() * 2:
            progress(f"reading {key} into the cache")
            get(server, f"/cached/{key}")
    progress("")


def progress(text: str) -> None:
    """Show what is going on, where somebody may be looking."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
