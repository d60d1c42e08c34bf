"""
A page of a bucket's listing, from the mount that owns its prefix.
"""

from __future__ import annotations

from alluxio_tw.gateway.folders import with_folders
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.s3.folding import Fold
from alluxio_tw.s3.listing import ListRequest

PAGE = 1000
"""How many entries are asked for at a time where we fold them ourselves."""

LAST_CHARACTER = "\U0010ffff"


async def list_page(place: Place, request: ListRequest, folders: bool) -> Listing:
    """
    The page that a request asks for.

    :param place: where keys with the request's prefix lie.
    :param folders: show folders as objects of no bytes.
    """
    prefix = place.lead + request.prefix[len(place.within) :]
    after = ""
    if request.after.startswith(place.within):
        after = place.lead + request.after[len(place.within) :]
    elif request.after > place.within:
        return Listing((), (), None)
    if request.delimiter not in ("", "/"):
        return await _fold(place, prefix, after, request)
    found: Listing = await place.mount.ufs.list(
        ListQuery(
            prefix,
            after if after != place.lead else "",
            request.delimiter == "/",
            request.limit,
        )
    )
    found = _of_bucket(found, place)
    if folders:
        return with_folders(found, request.prefix, request.after, request.limit)
    return found


async def _fold(place: Place, prefix: str, after: str, request: ListRequest) -> Listing:
    """Fold at a delimiter that the storage does not know."""
    fold: Fold[Entry] = request.fold()
    while not fold.full:
        found: Listing = await place.mount.ufs.list(
            ListQuery(prefix, after, False, PAGE)
        )
        entries = _of_bucket(found, place).entries
        if not fold.take_all(entries) or found.resume is None:
            break
        after = found.resume
        if fold.skip_past is not None:
            # Everything else of that group would fold into the same.
            after = place.lead + fold.skip_past[len(place.within) :] + LAST_CHARACTER
    return Listing(fold.entries, fold.prefixes, fold.resume)


def _of_bucket(found: Listing, place: Place) -> Listing:
    """A listing of a mount as one of the bucket that it serves."""
    if not place.lead and not place.within:
        return found
    key = place.key
    return Listing(
        [
            Entry(
                key(each.key), each.size, each.etag, each.modified, each.storage_class
            )
            for each in found.entries
        ],
        [key(each) for each in found.prefixes],
        key(found.resume) if found.resume is not None else None,
    )
