"""
A page of a bucket's listing, from the mount that owns its prefix and those that are
nested beneath it.

The keys that begin with a prefix are a row of stretches, each owned by one mount
(L{MountTable.stretches<alluxio_tw.namespace.mounts.MountTable.stretches>}), so a
listing goes from one to the next, and holds no more than a page.

A mount that folds into a common prefix is shown by that alone, and is not asked: as
a folder where something is mounted is there, though nothing be in it.  So a mount
that is broken or slow holds up the listings that go into it, and no others.  Not
chosen: leaving out what is in a mount that cannot be asked.  Who synchronizes by
such a listing would delete what is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from alluxio_tw.gateway.folders import with_folders
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.namespace.mounts import Place, Stretch
from alluxio_tw.s3.folding import Fold
from alluxio_tw.s3.listing import ListRequest

PAGE = 1000
"""How many entries are asked for at a time where we fold them ourselves."""

LAST_CHARACTER = "\U0010ffff"


async def list_page(
    stretches: Sequence[Stretch], request: ListRequest, folders: bool
) -> Listing:
    """
    The page that a request asks for.

    :param stretches: of the keys with the request's prefix.
    :param folders: show folders as objects of no bytes.
    :raises BackendError: a storage that the page goes into cannot be asked.
    """
    if request.delimiter not in ("", "/"):
        return await _fold(stretches, request, PAGE)
    if request.delimiter or len(stretches) == 1:
        found = await _native(stretches[0].place, request)
        if len(stretches) > 1:
            found = _with_mounts(found, _groups(stretches, request), request.limit)
    else:
        found = await _fold(stretches, request, min(PAGE, request.limit + 1))
    if folders:
        return with_folders(found, request.prefix, request.after, request.limit)
    return found


async def _native(place: Place, request: ListRequest) -> Listing:
    """The page as the storage lists it by itself."""
    after = _path_after(place, request.after)
    if after is None:
        return Listing((), (), None)
    found: Listing = await place.mount.ufs.list(
        ListQuery(
            _path_prefix(place, request.prefix),
            after,
            request.delimiter == "/",
            request.limit,
        )
    )
    return _of_bucket(found, place)


def _groups(stretches: Sequence[Stretch], request: ListRequest) -> list[str]:
    """The common prefixes that nested mounts fold into, in order."""
    prefix = request.prefix
    owner = stretches[0].place.within
    names = {each.place.within for each in stretches} - {owner}
    folded = {name[: name.index("/", len(prefix)) + 1] for name in names}
    return sorted(each for each in folded if each > request.after)


def _with_mounts(found: Listing, groups: Sequence[str], limit: int) -> Listing:
    """
    A page with the common prefixes of nested mounts on it.

    What they hide is on no page that is folded at slashes: it would fold into the
    same prefixes.
    """
    resume = found.resume
    if resume is not None:
        groups = [each for each in groups if each <= resume]
    entries = {each.key: each for each in found.entries}
    names = sorted({*entries, *found.prefixes, *groups})
    if len(names) > limit:
        names = names[:limit]
        resume = names[-1]
    return Listing(
        [entries[name] for name in names if name in entries],
        [name for name in names if name not in entries],
        resume,
    )


async def _fold(
    stretches: Sequence[Stretch], request: ListRequest, most: int
) -> Listing:
    """
    Fold here, at a delimiter that the storage does not know, or where several
    mounts have a share of the page.

    :param most: how many entries are asked for at a time.
    """
    fold: Fold[Entry] = request.fold()
    after = request.after
    for stretch in stretches:
        if fold.full:
            break
        after = await _take(fold, stretch, after, most)
    return Listing(fold.entries, fold.prefixes, fold.resume)


async def _take(fold: Fold[Entry], stretch: Stretch, after: str, most: int) -> str:
    """
    Take from a stretch until it is at its end, or the page is full.

    :return: after which key the next stretch is to go on.
    """
    place, beyond, until = stretch
    prefix = _path_prefix(place, fold.prefix)
    start = max(after, beyond + LAST_CHARACTER) if beyond else after
    while until is None or start < until:
        path = _path_after(place, start)
        if path is None:
            break
        found: Listing = await place.mount.ufs.list(
            ListQuery(prefix, path, False, most)
        )
        entries = _of_bucket(found, place).entries
        kept = [
            each
            for each in entries
            if (until is None or each.key < until)
            # Few keys have that character, but some may.
            and not (beyond and each.key.startswith(beyond))
        ]
        if not fold.take_all(kept):
            break
        if fold.skip_past is not None:
            # Everything else of that group would fold into the same.
            after = fold.skip_past + LAST_CHARACTER
        if found.resume is None:
            break
        start = max(after, place.key(found.resume))
    return after


def _path_prefix(place: Place, prefix: str) -> str:
    """What paths begin with whose keys begin with C{prefix}."""
    return place.lead + prefix[len(place.within) :]


def _path_after(place: Place, key: str) -> str | None:
    """
    After which path the keys after C{key} are; empty if they are all,
    L{None} if none.
    """
    if key.startswith(place.within):
        path = place.lead + key[len(place.within) :]
        return path if path != place.lead else ""
    return None if key > place.within else ""


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
