"""
Records as bytes: what they are stored under and as.

A key is the mount's id, a NUL and the path, so that what lies beneath a prefix
lies together; one too long for LMDB ends in a hash instead, and its path stands
in the value, so that no two paths are ever taken for one another.

A value is a header of fixed length, so that pruning reads no further than the
age, and then JSON: an array, since names would cost more than what they name.
Not chosen: pickle or marshal, which are faster and trust what they read.
"""

from __future__ import annotations

import json
import struct
from itertools import groupby

from xxhash import xxh3_128_digest

from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_PAIRS, Attributes, Status

SHORT = 495
"""Bytes of the longest key that is kept whole."""

KEPT = 480
"""Bytes of a longer one that are; with its hash it is longer than L{SHORT}."""

PARTS = 10_000

_header = struct.Struct("<dBH")
_HAS_STATUS = 1
_dump = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_load = json.JSONDecoder().raw_decode


def key_of(mount_id: str, path: str) -> bytes:
    """
    The key that the record of C{path} is stored under.

    :param mount_id: without NUL.
    """
    key = f"{mount_id}\0{path}".encode("utf-8", "surrogatepass")
    if len(key) <= SHORT:
        return key
    return key[:KEPT] + xxh3_128_digest(key)


def prefix_of(mount_id: str, prefix: str) -> bytes:
    """
    What the keys of all paths beneath C{prefix} begin with; those of some others
    may too, if it is very long.
    """
    return f"{mount_id}\0{prefix}".encode("utf-8", "surrogatepass")[:KEPT]


def encode(key: bytes, path: str, status: Status | None, validated: float) -> bytes:
    """
    A record as it is stored.

    :param validated: seconds since the epoch.
    """
    whole = b"" if len(key) <= SHORT else path.encode("utf-8", "surrogatepass")
    head = _header.pack(validated, status is not None, len(whole)) + whole
    if status is None:
        return head
    row: list[object] = [status.size, status.version, status.etag, status.modified]
    kept = status.attributes
    if kept != NO_ATTRIBUTES:
        row += [
            dict(kept.headers),
            dict(kept.user),
            dict(kept.tags),
            dict(kept.checksums),
            kept.checksum_type,
            # Parts are of one size, but for the last: run lengths.
            [(size, len(list(run))) for size, run in groupby(kept.part_sizes)],
        ]
        if kept.part_checksums:
            row.append(kept.part_checksums)
    return head + _dump(row).encode("ascii")


def path_of(key: bytes, stored: bytes) -> str:
    """
    The path that a stored record is of.

    :raises ValueError: it is damaged.
    """
    if len(key) <= SHORT:
        return key.partition(b"\0")[2].decode("utf-8", "surrogatepass")
    try:
        length = _header.unpack_from(stored)[2]
    except struct.error as e:
        raise ValueError("not a record") from e
    whole = stored[_header.size : _header.size + length]
    return whole.decode("utf-8", "surrogatepass")


def decode(key: bytes, path: str, stored: bytes) -> tuple[Status | None, float] | None:
    """
    The status and when it was validated; L{None} if it is another path's record.

    :raises ValueError: it is damaged.
    """
    try:
        validated, flags, length = _header.unpack_from(stored)
        start = _header.size + length
        if len(key) > SHORT:
            whole = stored[_header.size : start].decode("utf-8", "surrogatepass")
            if whole != path:
                return None
        if not flags & _HAS_STATUS:
            return None, validated
        row, _ = _load(stored[start:].decode("ascii"))
        if len(row) == 4:
            return Status(*row), validated
        size, version, etag, modified, headers, user, tags, checksums, kind = row[:9]
        runs, *values = row[9:]
        parts: tuple[int, ...] = ()
        if runs:
            if sum(count for _, count in runs) > PARTS:
                raise ValueError("too many parts")
            parts = tuple(size for size, count in runs for _ in range(count))
        attributes = Attributes(
            headers or NO_PAIRS,
            user or NO_PAIRS,
            tags or NO_PAIRS,
            checksums or NO_PAIRS,
            kind,
            parts,
            tuple(values[0]) if values else (),
        )
        return Status(size, version, etag, modified, attributes), validated
    except (struct.error, TypeError, AttributeError, RecursionError) as e:
        raise ValueError("not a record") from e


def validated_at(stored: bytes) -> float:
    """
    When a stored record was validated; nought if it is damaged.
    """
    if len(stored) < _header.size:
        return 0.0
    validated: float = _header.unpack_from(stored)[0]
    return validated if validated == validated else 0.0
