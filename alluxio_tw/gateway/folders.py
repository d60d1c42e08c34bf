"""
Folders as objects of no bytes, where the configuration asks for them.

Alluxio lists the folders of a tree as objects whose keys end in a slash, and
some of its users' tools count on it.  A folder is there if anything lies in it.
They are derived from the keys of a page, so any storage has them: before the
first key in a folder comes the folder itself, which is where it sorts.
"""

from __future__ import annotations

from collections.abc import Iterator

from alluxio_tw.iobjects import Entry, Listing, Status

EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def with_folders(found: Listing, prefix: str, after: str, limit: int) -> Listing:
    """
    A page with the folders of its entries in it.

    :param found: at most C{limit} entries, as if there were no such folders.
    :param after: where the page begins: a folder that is not greater has been
        told on an earlier one.
    """
    merged: list[tuple[str, Entry | None]] = [(each, None) for each in found.prefixes]
    previous = after
    for entry in found.entries:
        for folder in _folders(entry.key, prefix):
            if folder > after and not previous.startswith(folder):
                merged.append((folder, folder_entry(folder, entry.modified)))
        merged.append((entry.key, entry))
        previous = entry.key
    if found.prefixes and prefix.endswith("/") and prefix > after and not found.entries:
        merged.append((prefix, folder_entry(prefix, 0)))
    # A marked folder is an entry already: it stands once.
    kept = dict(sorted(merged, key=lambda each: (each[0], each[1] is None)))
    names = list(kept)[:limit]
    resume = found.resume
    if len(kept) > limit:
        resume = names[-1]
    return Listing(
        [entry for entry in map(kept.get, names) if entry is not None],
        [name for name in names if kept[name] is None],
        resume,
    )


def _folders(key: str, prefix: str) -> Iterator[str]:
    """The folders that a key lies in, outermost first, from the prefix on."""
    at = key.find("/", max(len(prefix) - 1, 0))
    while 0 <= at < len(key) - 1:
        yield key[: at + 1]
        at = key.find("/", at + 1)


def folder_entry(name: str, modified: int) -> Entry:
    """A folder in a listing."""
    return Entry(name, 0, EMPTY_MD5, modified)


def folder_status(modified: int) -> Status:
    """A folder that is asked for as an object."""
    return Status(0, "folder", EMPTY_MD5, modified)
