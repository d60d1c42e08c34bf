"""
Many clients that take their time, and many that send: for measuring memory.

Runs as a process of its own: C{python -m bench.slowclients SPECIFICATION}.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any

TICK = 0.05

BLOCK = bytes(1 << 20)


def main(specification: str) -> None:
    """
    Do what C{method} says, and print how it went.
    """
    with open(specification) as file:
        given = json.load(file)
    result = put(given) if given["method"] == "PUT" else get(given)
    print(json.dumps(result))


def get(given: dict[str, Any]) -> dict[str, Any]:
    """
    Read from each of C{paths} on a connection of its own, at C{rate} bytes a
    second each, for so many seconds.
    """
    sockets: list[socket.socket] = []
    for path in given["paths"]:
        end = socket.create_connection(("127.0.0.1", given["port"]))
        end.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        end.setblocking(False)
        sockets.append(end)
    counts = [0] * len(sockets)
    lost: set[int] = set()
    buffer = bytearray(int(given["rate"] * TICK * 8))
    began = time.monotonic()
    while (passed := time.monotonic() - began) < given["seconds"]:
        due = int(given["rate"] * passed)
        for number, end in enumerate(sockets):
            while number not in lost and (want := due - counts[number]) > 0:
                try:
                    got = end.recv_into(buffer, min(want, len(buffer)))
                except BlockingIOError:
                    break
                except OSError:
                    got = 0
                if not got:
                    lost.add(number)
                counts[number] += got
        time.sleep(max(0.0, TICK - (time.monotonic() - began - passed)))
    return {
        "bytes": sum(counts),
        "slowest": min(counts),
        "seconds": time.monotonic() - began,
        "errors": len(lost),
    }


def put(given: dict[str, Any]) -> dict[str, Any]:
    """
    Send C{size} bytes to each of C{paths}, all at once, as fast as they are taken.
    """
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    left: dict[int, int] = {}
    for path in given["paths"]:
        end = socket.create_connection(("127.0.0.1", given["port"]))
        end.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {given['size']}\r\n\r\n".encode()
        )
        end.setblocking(False)
        sockets[end.fileno()] = end
        left[end.fileno()] = given["size"]
        poll.register(end.fileno(), select.EPOLLOUT)
    began = time.monotonic()
    errors = 0
    total = 0
    while sockets:
        for fd, event in poll.poll(1.0):
            end = sockets[fd]
            try:
                if event & select.EPOLLOUT and left[fd]:
                    sent = end.send(memoryview(BLOCK)[: left[fd]])
                    left[fd] -= sent
                    total += sent
                    if not left[fd]:
                        poll.modify(fd, select.EPOLLIN)
                    continue
                answer = end.recv(4096)
            except OSError as error:
                answer = repr(error).encode()
            if not answer.startswith(b"HTTP/1.1 200"):
                errors += 1
                print(answer[:200], file=sys.stderr)
            poll.unregister(fd)
            sockets.pop(fd).close()
    return {
        "bytes": total,
        "slowest": 0,
        "seconds": time.monotonic() - began,
        "errors": errors,
    }


if __name__ == "__main__":
    main(sys.argv[1])
