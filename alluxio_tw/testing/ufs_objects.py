"""
What a test does with the objects of an under file system, and a model of listings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    Listing,
    Status,
)
from alluxio_tw.iufs import IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span

ETAG = "9e107d9d372bb6826bd81d3542a419d6"
OTHER = "e4d909c290d0fb1ca068ffaddf22cbd0-2"


async def drain(body: IBody) -> bytes:
    """All bytes of a body, which is closed then."""
    parts: list[bytes] = []
    try:
        while (piece := await body.read()) is not None:
            if isinstance(piece, FileSpan):
                parts.append(os.pread(piece.fd, piece.length, piece.offset))
            else:
                parts.append(bytes(piece))
    finally:
        body.close()
    return b"".join(parts)


async def put(
    ufs: IUnderFileSystem,
    key: str,
    data: bytes | Sequence[Piece] = b"",
    etag: str = ETAG,
    attributes: Attributes = NO_ATTRIBUTES,
    demand: Demand = NO_DEMAND,
    modified: int | None = None,
) -> Status:
    """Place an object, in the pieces given."""
    pieces = [data] if isinstance(data, bytes) else data
    placing = await ufs.place(key, None)
    try:
        for piece in pieces:
            if isinstance(piece, FileSpan) or len(piece):
                await placing.write(piece)
        return await placing.commit(etag, attributes, demand, modified)
    finally:
        await placing.abort()


async def get(ufs: IUnderFileSystem, key: str, span: Span | None = None) -> bytes:
    """Read an object, or a span of it."""
    reading = await ufs.open(key)
    try:
        return await drain(reading.body(span or Span(0, reading.status.size)))
    finally:
        reading.close()


async def keys_of(ufs: IUnderFileSystem, query: ListQuery) -> list[str]:
    """All keys and prefixes from a query on, page by page, as they come."""
    found: list[str] = []
    after: str | None = query.after
    while after is not None:
        page = await ufs.list(
            ListQuery(query.prefix, after, query.fold, query.limit),
        )
        found += merged(page)
        if page.resume is not None:
            assert merged(page)[-1] == page.resume, "resume is not the last"
        after = page.resume
    return found


def merged(page: Listing) -> list[str]:
    """Keys and prefixes of a page in one order."""
    return sorted(
        [entry.key for entry in page.entries] + list(page.prefixes), key=str.encode
    )


def modelled(keys: Iterable[str], query: ListQuery) -> list[str]:
    """What L{keys_of} must find where C{keys} are the objects."""
    prefix, after = query.prefix, query.after
    past = query.fold and after.endswith("/") and len(after) > len(prefix)
    found: set[str] = set()
    for key in keys:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        if past and key.startswith(after):
            continue
        if query.fold and "/" in key[len(prefix) :]:
            key = key[: key.index("/", len(prefix)) + 1]
        found.add(key)
    return sorted(found, key=str.encode)
