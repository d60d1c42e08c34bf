"""
What the operating system says: CPU time, memory, and what machine this is.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """
    CPU time of processes so far, all their threads together, user and system.

    :return: seconds, in steps of a hundredth.
    """
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            # The name, in parentheses, may have anything in it.
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def busy_seconds() -> float:
    """CPU time that all cores spent on anything at all."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def resident(pid: int, what: str = "VmRSS") -> int:
    """
    Memory of a process that is in RAM, in bytes.

    :param what: C{VmRSS} for now, C{VmHWM} for the most there ever was.
    """
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(what + ":"):
                return int(line.split()[1]) << 10
    raise LookupError(what)


def forget_peak(pid: int) -> None:
    """Let C{VmHWM} begin anew from what is resident now."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def touch_memory(folder: Path, size: int) -> None:
    """
    Have memory that the next can use at once.

    A virtual machine may get each page from its host when it is first touched, which
    can cost more than all else that is done with it, and give it back when it was free
    for a while: then what is measured is the host.

    :param folder: in memory (C{/dev/shm}), or this is of no use.
    :param size: in bytes.
    """
    nothing = bytes(1 << 20)
    scratch = folder / "scratch"
    with open(scratch, "wb", buffering=0) as file:
        for _ in range(size >> 20):
            file.write(nothing)
    scratch.unlink()


def children(pid: int) -> list[int]:
    """The processes that this one started, and theirs."""
    found: list[int] = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            direct = [int(each) for each in file.read().split()]
    except OSError:
        return found
    for child in direct:
        found.append(child)
        found.extend(children(child))
    return found


def facts() -> list[tuple[str, str]]:
    """What a reader must know of this machine to make sense of the numbers."""
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) >> 20
    return [
        ("cores", str(os.cpu_count())),
        ("CPU", _cpu()),
        ("memory", f"{memory} GiB"),
        ("kernel", platform.release()),
        ("congestion control", congestion()),
        ("Python", platform.python_version()),
        ("Twisted", metadata.version("Twisted")),
        ("httptools", metadata.version("httptools")),
        ("pyOpenSSL", metadata.version("pyOpenSSL")),
        ("nginx", said_by(["nginx", "-v"]).rpartition("/")[2]),
        ("wrk", said_by(["wrk", "-v"]).partition("[")[0].replace("wrk", "").strip()),
    ]


def congestion() -> str:
    """The system's TCP congestion control."""
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        return file.read().strip()


def said_by(command: list[str]) -> str:
    """The first line that a command says, or that it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return "not installed"
    lines = (done.stdout + done.stderr).splitlines()
    return lines[0] if lines else ""


def _cpu() -> str:
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
