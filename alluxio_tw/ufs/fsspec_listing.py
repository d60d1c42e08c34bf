"""
A page of a listing: a walk over folders in the order of keys.

fsspec has no pages: a folder is told whole or not at all.  So what a page costs is
the whole of every folder that it touches, in one call each; of what is told, only
as much is kept as the page can hold.  A folder sorts among its neighbours as its
name with a slash, and its keys follow it before the next neighbour's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from alluxio_tw.errors import (
    NoSuchPath,
    PathConflict,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.ufs.fsspec_calls import Calls
from alluxio_tw.ufs.fsspec_storage import Storage
from alluxio_tw.ufs.fsspec_versions import entry_of

HIDDEN = ".alluxio-tw"

_LONGEST_KEY = 1024
_LEAST_READ = 16
_PAST = "\U0010ffff" * (_LONGEST_KEY // 4)
"""Behind every key of a folder, when it follows the folder's prefix."""


@attrs.frozen
class Item:
    """
    What lies in a folder.

    :ivar name: that of a folder ends in a slash.
    :ivar entry: L{None} for a folder.
    """

    name: str
    entry: Entry | None


@attrs.frozen
class Wanted:
    """
    Which items of a folder.

    :ivar after: names greater than this, or leading to what is.
    :ivar beyond: not even what C{after} leads into.
    :ivar start: names that begin so.
    :ivar count: so many of the least.
    """

    after: str
    beyond: bool
    start: str
    count: int

    def takes(self, name: str) -> bool:
        """Is this one of them?"""
        if not name.startswith(self.start):
            return False
        if name > self.after:
            return True
        if self.beyond:
            return False
        return name.endswith("/") and self.after.startswith(name)


def folder_items(storage: Storage, prefix: str, wanted: Wanted) -> list[Item]:
    """
    Items of a folder in order; one more than wanted if there are more.  Blocks.

    :raises NoSuchPath: there is no such folder.
    """
    path = storage.folder_of(prefix)
    found: list[dict[str, Any]]
    try:
        found = storage.ls(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchPath() from None
    names = _named(storage, path, prefix, found, wanted)
    least = heapq.nsmallest(wanted.count + 1, names, key=lambda pair: pair[0])
    return [
        Item(name, None if name.endswith("/") else entry_of(prefix + name, info))
        for name, info in least
    ]


def _named(
    storage: Storage,
    path: str,
    prefix: str,
    found: Iterable[dict[str, Any]],
    wanted: Wanted,
) -> Iterator[tuple[str, dict[str, Any]]]:
    within = path.rstrip("/")
    for info in found:
        whole = str(info["name"]).rstrip("/")
        if whole == within:
            continue  # a marker, or the file that was asked for as a folder
        parent, _, name = whole.rpartition("/")
        if not name or (parent and within and not parent.endswith(within.lstrip("/"))):
            continue
        try:
            if len((prefix + name).encode()) > _LONGEST_KEY:
                continue
        except UnicodeEncodeError:
            continue
        # Either may be, until we know which it is.
        if not (wanted.takes(name) or wanted.takes(name + "/")):
            continue
        kind = info.get("type")
        if kind not in ("file", "directory") or (
            kind == "file" and info.get("size") is None
        ):
            try:
                info = storage.info(info["name"])
            except Exception:
                continue  # a link that leads nowhere, or gone meanwhile
            kind = info.get("type")
        if kind == "directory":
            name += "/"
        elif kind != "file" or info.get("size") is None:
            continue
        if wanted.takes(name):
            yield name, info


@attrs.define(eq=False)
class _Level:
    """
    A folder on the way of the walk.

    :ivar after: what follows the prefix in the query's C{after}, while that leads
        in here.
    :ivar pending: items to come, the next one last.
    :ivar more: there are others behind them.
    """

    prefix: str
    start: str
    after: str
    pending: list[Item] = attrs.field(factory=list)
    more: bool = True
    last: str | None = None


@attrs.define(eq=False)
class Lister:
    """
    Lists a storage.

    :ivar hide: in how many levels from the root our own names are hidden.
    """

    _storage: Storage
    _calls: Calls
    hide: int = 1

    async def page(self, query: ListQuery) -> Listing:
        """
        One page.

        :raises StorageUnavailable: in a tree, the root is not there.
        """
        entries: list[Entry] = []
        prefixes: list[str] = []
        last: str | None = None
        base = query.prefix[: query.prefix.rfind("/") + 1]
        after = query.after
        if query.fold and after.endswith("/") and len(after) > len(query.prefix):
            after += _PAST
        if base and not after.startswith(base):
            if after >= base:
                return Listing((), (), None)  # past everything beneath the base
            after = ""
        else:
            after = after[len(base) :]
        stack = [_Level(base, query.prefix[len(base) :], after)]
        while stack:
            level = stack[-1]
            if not level.pending:
                if not level.more:
                    stack.pop()
                    continue
                given = len(entries) + len(prefixes)
                await self._read(level, query.limit + 1 - given)
                continue
            item = level.pending.pop()
            level.last = item.name
            if self._is_hidden(level.prefix, item.name, query.prefix):
                continue
            key = level.prefix + item.name
            inner = ""
            if item.entry is None:
                if level.after.startswith(item.name):
                    inner = level.after[len(item.name) :]
                if inner == _PAST:
                    continue
                if not query.fold:
                    stack.append(_Level(key, "", inner))
                    continue
                if not await self._holds(key, inner):
                    continue
            if len(entries) + len(prefixes) == query.limit:
                return Listing(entries, prefixes, last)
            if item.entry is not None:
                entries.append(item.entry)
            else:
                prefixes.append(key)
            last = key
        return Listing(entries, prefixes, None)

    async def folders(self) -> list[str]:
        """The names of the folders right beneath the root."""
        level = _Level("", "", "")
        names: list[str] = []
        while level.more:
            await self._read(level, 1000)
            for item in reversed(level.pending):
                level.last = item.name
                if item.entry is None and not item.name.startswith(HIDDEN):
                    names.append(item.name[:-1])
            level.pending = []
        return names

    async def _holds(self, key: str, inner: str) -> bool:
        """Is there any object in a folder, behind C{inner}?"""
        if not self._storage.address.tree and not inner:
            return True  # without folders, it is there because of what it holds
        found = await self.page(ListQuery(key, key + inner if inner else "", limit=1))
        return bool(found.entries)

    async def _read(self, level: _Level, count: int) -> None:
        count = max(_LEAST_READ, count)
        beyond = level.last is not None
        wanted = Wanted(
            level.last if level.last is not None else level.after,
            beyond,
            level.start,
            count,
        )
        try:
            items = await self._calls.run(
                self._storage.calling(folder_items),
                self._storage,
                level.prefix,
                wanted,
            )
        except (NoSuchPath, PathConflict, UnsuitableKey):
            if not level.prefix and self._storage.address.tree:
                raise StorageUnavailable() from None
            items = []
        level.more = len(items) > count
        level.pending = items[count - 1 :: -1] if items else []

    def _is_hidden(self, prefix: str, name: str, asked: str) -> bool:
        if not name.startswith(HIDDEN) or asked.startswith(prefix + HIDDEN):
            return False
        return prefix.count("/") < self.hide
