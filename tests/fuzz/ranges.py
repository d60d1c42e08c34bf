"""
Throws bytes at the readers of Range and If-*: C{python -m tests.fuzz.ranges}.

Nothing but an S3 error may come of it, and every range lies in the object.
"""

from __future__ import annotations

from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.conditions import (
    Conditions,
    range_applies,
    resolve_copy_range,
    resolve_part,
    resolve_range,
    write_demand,
)
from tests.fuzz.run import run

WORDS = [b"bytes=", b"-", b"0", b"9", b",", b"W/", b'"', b"*", b" ", b"GMT"]


def one(data: bytes) -> None:
    """One header value."""
    size = data[0] if data else 0
    value = data[1:]
    for resolve in (resolve_range, resolve_copy_range):
        try:
            span = resolve(value, size)
        except GatewayError:
            continue
        assert span is None or (span.length > 0 and span.end <= size)
    names = (
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
    )
    for name in names:
        try:
            conditions = Conditions.from_headers({name: value})
            assert conditions is not None
            conditions.evaluate("etag", 0, 1)
            write_demand({name: value})
        except GatewayError:
            pass
    range_applies(value, "etag", 0)
    try:
        resolve_part(value.decode("latin-1"), (1, 2), 3)
    except GatewayError:
        pass


if __name__ == "__main__":
    run(one)
