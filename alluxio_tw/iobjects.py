"""
Objects, buckets and uploads as values, and the contract of who serves them.

S3 is on one side of this module, storage on the other; no HTTP type crosses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from zope.interface import Attribute, Interface

from alluxio_tw.ibody import IBody
from alluxio_tw.spans import Span

NO_PAIRS: Mapping[str, str] = {}


@attrs.frozen
class Attributes:
    """
    What a writer says about an object and later gets back unread.

    :ivar headers: the content headers, by lower-case name: C{content-type},
        C{cache-control}, C{content-disposition}, C{content-encoding},
        C{content-language}, C{expires}, C{x-amz-storage-class},
        C{x-amz-website-redirect-location}; only those that were given.
    :ivar user: user metadata: names in lower case without C{x-amz-meta-}.
    :ivar tags: the object's tag set, in the order given.
    :ivar checksums: algorithm (C{crc32}, C{crc32c}, C{crc64nvme}, C{sha1},
        C{sha256}) to its base64 value, as a checksum header would carry it.
    :ivar checksum_type: C{"FULL_OBJECT"} or C{"COMPOSITE"}; empty without
        checksums.
    :ivar part_sizes: the sizes of the parts that a multipart upload was
        completed from, in order; empty for an object put whole.
    :ivar part_checksums: of these parts, in base64, of the one algorithm in
        C{checksums}; empty if they were not kept.
    """

    headers: Mapping[str, str] = NO_PAIRS
    user: Mapping[str, str] = NO_PAIRS
    tags: Mapping[str, str] = NO_PAIRS
    checksums: Mapping[str, str] = NO_PAIRS
    checksum_type: str = ""
    part_sizes: tuple[int, ...] = ()
    part_checksums: tuple[str, ...] = ()


NO_ATTRIBUTES = Attributes()


@attrs.frozen
class Status:
    """
    One version of one object, as the storage tells it.

    :ivar size: in bytes.
    :ivar version: the version token: changes whenever the bytes do; opaque.
    :ivar etag: without its quotes; MD5-shaped only if it is one.
    :ivar modified: nanoseconds since the epoch.
    :ivar attributes: what its writer said.
    :ivar memo: a place where one upper floor may keep what it derived from
        this value (its rendered reply headers); not part of the value.
    """

    size: int
    version: str
    etag: str
    modified: int
    attributes: Attributes = NO_ATTRIBUTES
    memo: dict[str, Any] = attrs.field(factory=dict, eq=False, repr=False, hash=False)


@attrs.frozen
class Entry:
    """
    An object in a listing.

    :ivar key: the whole key.
    :ivar storage_class: empty for C{STANDARD}.
    """

    key: str
    size: int
    etag: str
    modified: int
    storage_class: str = ""


@attrs.frozen
class Listing:
    """
    A page of a listing, in UTF-8 byte order of keys.

    :ivar prefixes: what the delimiter folded, each ending in it, in order.
    :ivar resume: L{None} when nothing follows; else the last key or prefix of
        this page: the next page begins after it (and, if it is a prefix, after
        all that it folds).
    """

    entries: Sequence[Entry]
    prefixes: Sequence[str]
    resume: str | None


@attrs.frozen
class Bucket:
    """
    A bucket.

    :ivar created: nanoseconds since the epoch.
    :ivar owner: the user who created it; empty where nobody did over S3.
    """

    name: str
    created: int
    owner: str = ""


@attrs.frozen
class Demand:
    """
    What must be true of the current object for a write to go ahead.

    :ivar match: it must exist with one of these ETags; C{("*",)} any.
    :ivar absent: it must not exist.
    """

    match: tuple[str, ...] | None = None
    absent: bool = False


NO_DEMAND = Demand()


@attrs.frozen
class PartStatus:
    """
    A part of an upload in progress.

    :ivar number: 1 to 10,000.
    :ivar checksums: as in L{Attributes}.
    """

    number: int
    size: int
    etag: str
    modified: int
    checksums: Mapping[str, str] = NO_PAIRS


@attrs.frozen
class Upload:
    """
    An upload in progress.

    :ivar key: the key it will become.
    :ivar id: opaque, safe in a URL and as a file name.
    :ivar initiated: nanoseconds since the epoch.
    :ivar owner: the user who began it.
    :ivar attributes: what the object will be given.
    :ivar checksum_algorithm: lower case, or empty.
    :ivar checksum_type: C{"FULL_OBJECT"}, C{"COMPOSITE"} or empty.
    :ivar native: what the storage calls it, where it is an upload of the storage;
        otherwise its parts are objects until they are joined.
    """

    key: str
    id: str
    initiated: int
    owner: str = ""
    attributes: Attributes = NO_ATTRIBUTES
    checksum_algorithm: str = ""
    checksum_type: str = ""
    native: str = ""


class IReading(Interface):
    """
    A version of an object, found, and its bytes to be had: a lease.
    """

    status: Status = Attribute("""The version.""")

    cache: str = Attribute(
        """
        What the cache had to do with it, for C{X-Cache}: C{HIT}, C{MISS},
        C{PARTIAL}, C{STALE} or C{BYPASS}.  Final only after L{body}.
        """
    )

    def at_once(span: Span) -> bytes | None:
        """
        These bytes, if they can be had without waiting and are few; else
        L{None}.
        """

    def body(span: Span) -> IBody:
        """
        These bytes.  The body holds its own lease: this reading may be closed
        before it.
        """

    def close() -> None:
        """Return the lease; more than one call does no harm."""
