"""
The record of a file as JSON, and the version that file and record make.

Everything read here was possibly written by somebody else: it is checked as if
it had come over the wire, and what is not well-formed is as if it were not there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import groupby
from typing import Any

import attrs

from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_PAIRS, Attributes, Status

_MOST_PARTS = 10_000
STORAGE_CLASS = "x-amz-storage-class"

# What a header may carry, and what XML may.
_TEXT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]*\Z")
_TAG = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]*\Z")
ETAG = re.compile(r"[\x21\x23-\x7e]{1,256}\Z")
_HEADERS = frozenset(
    {
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
        STORAGE_CLASS,
        "x-amz-website-redirect-location",
    }
)


@attrs.frozen
class Record:
    """
    What a writer said.

    :ivar etag: empty where the file's identity makes it.
    :ivar modified: of a folder that is an object; nought for a file, which has
        its own.
    """

    etag: str = ""
    attributes: Attributes = NO_ATTRIBUTES
    modified: int = 0


NO_RECORD = Record()

FOLDERS = "folder."
"""Versions of folders that are objects begin so."""


def derived_etag(st: os.stat_result) -> str:
    """The ETag of a file that nobody gave one."""
    digest = blake2b(
        b"%x.%x.%x" % (st.st_ino, st.st_size, st.st_mtime_ns), digest_size=16
    ).hexdigest()
    return f"{digest[:16]}-{digest[16:]}"


def file_status(st: os.stat_result, record: Record) -> Status:
    """The version that a file is."""
    # With the ETag in it, the token stays good should an inode's number come
    # again with the same size and a time that somebody set.
    return Status(
        size=st.st_size,
        version=f"{st.st_dev:x}.{st.st_ino:x}.{st.st_size:x}.{st.st_mtime_ns:x}"
        f".{record.etag}",
        etag=record.etag or derived_etag(st),
        modified=st.st_mtime_ns,
        attributes=record.attributes,
    )


def folder_status(record: Record) -> Status:
    """The version that a folder is that was made as an object."""
    return Status(
        size=0,
        version=f"{FOLDERS}{record.modified:x}.{record.etag}",
        etag=record.etag or "d41d8cd98f00b204e9800998ecf8427e",
        modified=record.modified,
        attributes=record.attributes,
    )


def about(found: dict[str, Any] | None, st: os.stat_result) -> dict[str, Any] | None:
    """It, if it is about what the file is now."""
    if (
        found is None
        or found.get("m") != st.st_mtime_ns
        or found.get("s") != st.st_size
        or "f" in found
    ):
        return None
    return found


_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def dumped(document: Mapping[str, Any]) -> bytes:
    """A document as it is kept."""
    return _encode(document).encode()


def parsed(raw: bytes) -> dict[str, Any] | None:
    """What was kept, if it is a document at all."""
    try:
        found = _decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def written(record: Record) -> dict[str, Any]:
    """A record as a document, the ETag first: who lists looks no further."""
    said = record.attributes
    document: dict[str, Any] = {
        "e": record.etag,
        "h": dict(said.headers),
        "u": dict(said.user),
        "t": dict(said.tags),
        "c": dict(said.checksums),
        "k": said.checksum_type,
        # Parts are mostly of one size: runs of them, or ten thousand would
        # never fit.
        "p": [[size, len(list(run))] for size, run in groupby(said.part_sizes)],
        "q": list(said.part_checksums),
    }
    return {name: value for name, value in document.items() if value}


def record_of(found: Mapping[str, Any]) -> Record:
    """The record that a document holds, as far as it is well-formed."""
    etag, kind = found.get("e", ""), found.get("k", "")
    return Record(
        etag=etag if isinstance(etag, str) and ETAG.match(etag) else "",
        attributes=Attributes(
            headers=_pairs(found.get("h", NO_PAIRS), _HEADERS),
            user=_pairs(found.get("u", NO_PAIRS)),
            tags=_pairs(found.get("t", NO_PAIRS), None, _TAG),
            checksums=_pairs(found.get("c", NO_PAIRS)),
            checksum_type=kind if kind in ("FULL_OBJECT", "COMPOSITE") else "",
            part_sizes=_sizes(found.get("p", ())),
            part_checksums=_words(found.get("q", ())),
        ),
    )


def _pairs(
    value: Any,
    names: frozenset[str] | None = None,
    good: re.Pattern[str] = _TEXT,
) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        return NO_PAIRS
    return {
        name: text
        for name, text in value.items()
        if isinstance(text, str)
        and good.match(text) is not None
        and (good.match(name) is not None if names is None else name in names)
    }


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_PARTS:
        return ()
    good = all(isinstance(each, str) and ETAG.match(each) for each in value)
    return tuple(value) if good else ()


def _sizes(value: Any) -> tuple[int, ...]:
    sizes: list[int] = []
    try:
        for size, count in value:
            if not (
                isinstance(size, int)
                and isinstance(count, int)
                and size >= 0
                and 0 < count <= _MOST_PARTS - len(sizes)
            ):
                return ()
            sizes += [size] * count
    except (TypeError, ValueError):
        return ()
    return tuple(sizes)
