"""
What is measured, as a table.
"""

from __future__ import annotations

import attrs

K, M = 1 << 10, 1 << 20


@attrs.frozen
class Objects:
    """
    Objects that a workload reads or writes: C{count} of C{size} bytes.

    :ivar pattern: of their keys.
    """

    pattern: str
    count: int
    size: int

    def keys(self) -> list[str]:
        """All of them."""
        return [self.pattern.format(number) for number in range(self.count)]


SMALL = Objects("4k-{}", 64, 4 * K)
MIDDLE = Objects("1m-{}", 8, M)
LARGE = Objects("256m-{}", 2, 256 * M)
EMPTY = Objects("0-{}", 8, 0)
LISTED = Objects("list/key-{:06}", 1000, 16)
SMALL_PUT = Objects("put/4k-{}", 256, 4 * K)
MIDDLE_PUT = Objects("put/1m-{}", 16, M)

READ = (SMALL, MIDDLE, LARGE, EMPTY)


@attrs.frozen
class Workload:
    """
    One row of the table.

    :ivar client: C{wrk}; C{reader}, for bodies that wrk would read in pieces too
        small; or C{boto3}.
    :ivar where: C{local}, a mount that is not cached; C{memory} and C{disk}, a
        slow one that is, served from that tier.
    :ivar span: bytes of a range, at random places; nought for whole objects.
    :ivar target: the ratio to nginx that is to be reached, or nought.
    """

    name: str
    title: str
    method: str
    objects: Objects
    connections: int
    client: str = "wrk"
    where: str = "local"
    scheme: str = "http"
    span: int = 0
    target: float = 0.0

    @property
    def versus(self) -> bool:
        """Can nginx do the same?"""
        return self.method in ("GET", "HEAD")

    @property
    def size(self) -> int:
        """Bytes of a body."""
        return self.span or self.objects.size


# fmt: off
TABLE = (
    Workload("get4k", "GET 4 KiB", "GET", SMALL, 64, target=0.35),
    Workload("get1m", "GET 1 MiB", "GET", MIDDLE, 16, "reader", target=0.7),
    Workload("get256m", "GET 256 MiB", "GET", LARGE, 2, "reader", target=0.9),
    Workload("range64k", "GET, a range of 64 KiB", "GET", LARGE, 64, span=64 * K, target=0.35),
    Workload("head", "HEAD", "HEAD", EMPTY, 64, target=0.3),
    Workload("memory4k", "GET 4 KiB, from the cache in memory", "GET", SMALL, 64, where="memory"),
    Workload("memory1m", "GET 1 MiB, from the cache in memory", "GET", MIDDLE, 16, "reader", where="memory"),
    Workload("disk4k", "GET 4 KiB, from the cache on disk", "GET", SMALL, 64, where="disk"),
    Workload("disk1m", "GET 1 MiB, from the cache on disk", "GET", MIDDLE, 16, "reader", where="disk"),
    Workload("disk256m", "GET 256 MiB, from the cache on disk", "GET", LARGE, 2, "reader", where="disk"),
    Workload("disk64k", "GET, a range of 64 KiB, from the cache on disk", "GET", LARGE, 64, where="disk", span=64 * K),
    Workload("https4k", "GET 4 KiB, HTTPS", "GET", SMALL, 64, scheme="https"),
    Workload("https1m", "GET 1 MiB, HTTPS", "GET", MIDDLE, 16, "reader", scheme="https"),
    Workload("put4k", "PUT 4 KiB", "PUT", SMALL_PUT, 16),
    Workload("put1m", "PUT 1 MiB", "PUT", MIDDLE_PUT, 8),
    Workload("list1000", "LIST, pages of 1,000", "LIST", LISTED, 8),
    Workload("boto-get1m", "GET 1 MiB by boto3", "GET", MIDDLE, 8, "boto3"),
    Workload("boto-put1m", "PUT 1 MiB by boto3", "PUT", MIDDLE_PUT, 8, "boto3"),
)
# fmt: on

BY_NAME = {workload.name: workload for workload in TABLE}
