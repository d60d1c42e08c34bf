"""
What a namenode says of a file or a folder, and the version that it makes.

A file's number is never given to another, and what was written is never changed, only
added to or cut off.  So number, length and modification time are the version.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import attrs

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.iobjects import Status
from alluxio_tw.ufs.local_records import Record


@attrs.frozen
class Stat:
    """
    What a namenode says of a file or a folder.

    :ivar name: within its folder; empty where it was asked for by its path.
    :ivar id: its number.
    :ivar modified: milliseconds since the epoch.
    :ivar children: how many names are in a folder; L{None} if it was not told.
    :ivar plain: its blocks hold its bytes as they are: neither encrypted nor
        erasure-coded.
    """

    name: str
    id: int
    size: int
    modified: int
    is_folder: bool
    children: int | None = None
    block_size: int = 0
    plain: bool = True

    @property
    def version(self) -> str:
        """Its version token."""
        return f"{self.id:x}.{self.size:x}.{self.modified:x}"

    @property
    def etag(self) -> str:
        """Its ETag, if nobody gave it one."""
        digest = blake2b(self.version.encode(), digest_size=16).hexdigest()
        return f"{digest[:16]}-{digest[16:]}"


def stat_of(found: Any) -> Stat:
    """
    Read what a namenode says.

    :raises StorageUnavailable: it is something else.
    """
    try:
        children = found.get("childrenNum")
        return Stat(
            str(found["pathSuffix"]),
            int(found.get("fileId", 0)),
            int(found["length"]),
            int(found["modificationTime"]),
            found["type"] == "DIRECTORY",
            None if children is None else int(children),
            int(found.get("blockSize", 0)),
            not (found.get("encBit") or found.get("ecBit")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageUnavailable("The storage answered what is no WebHDFS.") from error


def status_of(stat: Stat, record: Record) -> Status:
    """The version that a file is."""
    return Status(
        size=stat.size,
        version=stat.version,
        etag=record.etag or stat.etag,
        modified=stat.modified * 1_000_000,
        attributes=record.attributes,
    )
