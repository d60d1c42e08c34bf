"""
TCP's congestion control, by how near the other end is.

BBR paces what it sends by a timer, and every few seconds sends next to nothing to
measure the path anew.  Over a distance that pays.  To an end that is in the same
machine or rack it halves what a core can send, and a system has one setting for all.
So where the system's is BBR, connections whose handshake took less than L{NEAR} use
cubic.

Not chosen: to set it on the listening socket, which costs nothing for each connection
(this is two system calls): distant clients would lose what their operator chose.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache

AUTO = "auto"
"""The system's, but for near ends where that is BBR."""

SYSTEM = "system"
"""The system's, whatever that is."""

NEAR = 0.001
"""Seconds."""

TCP_CONGESTION = 13

_INSTEAD = b"cubic"
# tcpi_rtt of struct tcp_info in linux/tcp.h, in microseconds.
_RTT_AT = 68
_RTT = struct.Struct("=I")


def round_trip(end: socket.socket) -> float | None:
    """
    How long the last round trip of a connection took, in seconds: the handshake, if
    nothing was sent yet.  L{None} where that cannot be said.
    """
    try:
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_AT + _RTT.size)
        (microseconds,) = _RTT.unpack_from(told, _RTT_AT)
    except (OSError, AttributeError, struct.error):
        return None
    return float(microseconds) / 1e6 if microseconds else None


def is_near(end: socket.socket, within: float = NEAR) -> bool:
    """Whether the other end of a connection is in the same machine or rack."""
    took = round_trip(end)
    return took is not None and took < within


@cache
def by_distance() -> Callable[[socket.socket], None] | None:
    """
    What is to be done to each new connection for L{AUTO}; L{None} if nothing is:
    the system's is not BBR, or there is no other.
    """
    try:
        with socket.socket() as probe:
            own = probe.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16)
            if not own.startswith(b"bbr"):
                return None
            probe.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, _INSTEAD)
    except OSError:
        return None
    return hasten


def hasten(end: socket.socket, within: float = NEAR) -> None:
    """Have a connection use cubic, if its other end is near."""
    if is_near(end, within):
        # One that is lost already does not matter.
        with suppress(OSError):
            end.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, _INSTEAD)
