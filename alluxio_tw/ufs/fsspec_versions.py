"""
What fsspec's file systems tell of a file, as a version of an object.

Every file system has its own names for it.  A version token is made of whatever
identifies the bytes: an ETag, a generation, a hash; of inode, size and
modification time where there is nothing better.  The ETag that clients see must
be the same in a listing and in a HEAD, so it is made only of what file systems
tell in both: their own ETag, an MD5 that is one, else a digest with a dash in it,
which nobody takes for an MD5.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from hashlib import blake2b, sha256
from typing import Any

from alluxio_tw.iobjects import Entry, Status
from alluxio_tw.ufs.local_records import ETAG

_IDENTITIES = (
    "generation",
    "ETag",
    "etag",
    "VersionId",
    "version_id",
    "sha",
    "hash",
    "checksum",
    "md5Hash",
    "md5",
)
_HASHES = ("sha", "hash", "checksum", "md5", "CRC")
_TIMES = (
    "mtime",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "updated",
    "modified",
    "modify",
    "server_modified",
    "created",
)
_OLDEST = 1_000_000_000
"""One second: the time of what has none.  Nought would mean that it is not known."""

_Info = Mapping[str, Any]


def status_of(info: _Info) -> Status:
    """The version that a file is."""
    return Status(
        size=size_of(info),
        version=version_of(info),
        etag=etag_of(info),
        modified=modified_of(info),
    )


def entry_of(key: str, info: _Info) -> Entry:
    """A file in a listing."""
    return Entry(key, size_of(info), etag_of(info), modified_of(info))


def size_of(info: _Info) -> int:
    """In bytes."""
    return int(info["size"])


def version_of(info: _Info) -> str:
    """The token."""
    found = [f"{name}={info[name]}" for name in _IDENTITIES if info.get(name)]
    if not found:
        if not any(info.get(name) for name in _TIMES):
            # As AbstractFileSystem.ukey: all that it tells.
            return sha256(str(sorted(info.items(), key=str)).encode()).hexdigest()
        found = [f"ino={info.get('ino', '')}", f"time={modified_of(info)}"]
    found.append(f"size={size_of(info)}")
    return blake2b("\n".join(found).encode(), digest_size=16).hexdigest()


def etag_of(info: _Info) -> str:
    """The ETag."""
    md5 = _md5(info.get("md5Hash"))
    if md5:
        return md5
    for name in ("ETag", "etag"):
        found = info.get(name)
        if isinstance(found, str):
            found = found.removeprefix("W/").strip('"')
            if ETAG.match(found):
                return found
    hashes = [f"{name}={info[name]}" for name in _HASHES if info.get(name)]
    known = hashes or [f"time={modified_of(info)}"]
    text = "\n".join([*known, f"size={size_of(info)}"])
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digest[:16]}-{digest[16:]}"


def modified_of(info: _Info) -> int:
    """The modification time in nanoseconds, to the microsecond."""
    for name in _TIMES:
        found = _nanoseconds(info.get(name))
        if found > 0:
            return found
    return _OLDEST


def _nanoseconds(value: Any) -> int:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        since = value - datetime.fromtimestamp(0, timezone.utc)
        seconds: int = since.days * 86_400 + since.seconds
        return (seconds * 1_000_000 + int(since.microseconds)) * 1000
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A float of today's seconds is good for a microsecond, and no more.
        return round(value * 1e6) * 1000
    return 0


def _parsed(text: str) -> datetime | None:
    try:
        if len(text) >= 14 and text[:14].isdecimal():  # as FTP's MLSD has it
            return datetime.strptime(text[:14], "%Y%m%d%H%M%S")
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None


def _md5(value: Any) -> str:
    """An MD5 in base64, as Google's storage tells it, in hex."""
    if not isinstance(value, str):
        return ""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return raw.hex() if len(raw) == 16 else ""
