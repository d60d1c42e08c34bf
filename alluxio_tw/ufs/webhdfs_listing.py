"""
A page of a listing: a walk over the folders in the order of keys.

A folder sorts among its neighbours as its name with a slash, and its keys follow it
before the next neighbour's.  The walk begins in the folder that the prefix names,
goes down along C{after}, and stops one item past the page.

Folded, a folder is told if anything is in it, as its namenode counts; whether that is
an object would take a question for each.  Only where C{after} leads into one is it
looked at.

ETags lie in extended attributes, which no listing tells: each file that is not known
by heart costs a question, some of them beside each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from twisted.internet.defer import Deferred, DeferredList, FirstError

from alluxio_tw.errors import BackendError, NoSuchPath, StorageUnavailable
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.ufs.webhdfs_children import Children, Wanted, key_of
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_names import FOLDER, HIDDEN, OURS, encoded
from alluxio_tw.ufs.webhdfs_stat import Stat

_LONGEST_KEY = 1024
_LEAST_READ = 16
_AT_ONCE = 16

_PAST = "\U0010ffff" * (_LONGEST_KEY // 4)
"""Behind every key of a folder, when it follows the folder's prefix."""

_Item = tuple[str, Stat | None]
"""A key and its file, or a prefix."""


@attrs.define(eq=False)
class HdfsListing:
    """
    Lists what is beneath the root of a mount.
    """

    _files: HdfsFiles
    _children: Children = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._children = Children(self._files)

    async def page(self, query: ListQuery) -> Listing:
        """
        One page.

        :raises StorageUnavailable: the mount's root is not there.
        """
        walk = _Walk(self._files, self._children, query)
        items = await walk.items(query.limit + 1)
        kept = items[: query.limit]
        entries = await self._entries(
            [(key, stat) for key, stat in kept if stat is not None]
        )
        prefixes = [key for key, stat in kept if stat is None]
        return Listing(
            entries, prefixes, kept[-1][0] if len(items) > query.limit else None
        )

    async def any_object(self, folder: str, own: bool) -> bool:
        """
        Is there any object in a folder?

        :param folder: with its slash at the end.
        :param own: what is right in it and ours does not count.
        """
        walk = _Walk(self._files, self._children, ListQuery(folder, limit=1))
        walk.hidden = 1 + own
        return bool(await walk.items(1))

    async def _entries(self, items: Sequence[tuple[str, Stat]]) -> list[Entry]:
        told: dict[str, tuple[str, str]] = {}
        files = self._files
        unknown = iter(
            [i for i in items if files.keeps and files.records.known(i[1]) is None]
        )

        async def ask(rest: Iterator[tuple[str, Stat]]) -> None:
            for key, stat in rest:
                told[key] = await files.brief(_path(key), stat)

        works = [Deferred.fromCoroutine(ask(unknown)) for _ in range(_AT_ONCE)]
        gathered = DeferredList(works, fireOnOneErrback=True, consumeErrors=True)
        try:
            await gathered
        except FirstError as error:
            for work in works:
                work.cancel()
            error.subFailure.raiseException()
        found = []
        for key, stat in items:
            etag, kind = told.get(key) or await files.brief(_path(key), stat)
            found.append(Entry(key, stat.size, etag, stat.modified * 1_000_000, kind))
        return found


@attrs.define(eq=False)
class _Level:
    """
    A folder on the way of the walk.

    :ivar prefix: its keys begin so.
    :ivar rest: how its names must begin.
    :ivar after: what follows the prefix in C{after}, while that leads in here.
    :ivar pending: what is to come, the next one last.
    :ivar more: there may be others behind it.
    """

    prefix: str
    rest: str
    after: str
    start: str
    beyond: bool
    pending: list[Stat] = attrs.field(factory=list)
    more: bool = True


class _Walk:
    """
    One walk.

    :ivar hidden: in how many levels from the root our own names are hidden.
    """

    def __init__(self, files: HdfsFiles, children: Children, query: ListQuery) -> None:
        self._files = files
        self._children = children
        self._query = query
        self._found: list[_Item] = []
        self._most = 0
        self.hidden = 1 + files.kept
        bucket = query.prefix.find("/") + 1 if files.kept else 0
        self._longest = _LONGEST_KEY + len(query.prefix[:bucket].encode())

    async def items(self, most: int) -> list[_Item]:
        """As many as that, in order."""
        query, self._most = self._query, most
        base, after = query.prefix[: query.prefix.rfind("/") + 1], query.after
        if query.fold and after.endswith("/") and len(after) > len(query.prefix):
            after += _PAST
        if base and encoded(base) is None:
            return []
        inside = not base or after.startswith(base)
        if not inside and after.encode() >= base.encode():
            return []  # past everything beneath the base
        own = base != "" and base == query.prefix and not inside
        rest = query.prefix[len(base) :]
        level = await self._enter(base, rest, after[len(base) :] if inside else "", own)
        stack = [] if level is None else [level]
        while stack and len(self._found) < most:
            top = stack[-1]
            if not top.pending:
                if not top.more or not await self._read(top):
                    stack.pop()
                continue
            below = await self._take(top, top.pending.pop())
            if below is not None:
                stack.append(below)
        return self._found

    async def _take(self, level: _Level, stat: Stat) -> _Level | None:
        """The next child of a folder; a level of its own, if it is to be entered."""
        key = level.prefix + key_of(stat)
        if self._is_hidden(level.prefix, stat.name):
            return None
        if len(key.encode()) > self._longest:
            return None
        if not stat.is_folder:
            self._found.append((key, stat))
            return None
        on_the_way = level.after.startswith(key_of(stat))
        inner = level.after[len(key_of(stat)) :] if on_the_way else ""
        if inner == _PAST:
            return None
        if not self._query.fold:
            return await self._enter(key, "", inner, not on_the_way)
        if on_the_way:
            walk = _Walk(
                self._files, self._children, ListQuery(key, key + inner, limit=1)
            )
            holds = bool(await walk.items(1))
        else:
            holds = stat.children is None or stat.children > 0
        if holds:
            self._found.append((key, None))
        return None

    async def _enter(
        self, prefix: str, rest: str, after: str, own: bool
    ) -> _Level | None:
        """
        A folder as a level; L{None} if it is gone.

        :param own: the folder itself is to be told, if it was made as an object.
        """
        head, slash, _ = after.partition("/")
        level = _Level(prefix, rest, after, head + slash, not slash)
        if not await self._read(level):
            return None
        if own:
            stat = next((s for s in level.pending if s.name == FOLDER), None)
            if stat is None and level.more and level.pending[0].name < FOLDER:
                # There are many names before it.
                try:
                    stat = await self._files.file(prefix + FOLDER)
                except NoSuchPath:
                    pass
            if stat is not None:
                self._found.append((prefix, stat))
        return level

    async def _read(self, level: _Level) -> bool:
        count = max(_LEAST_READ, self._most - len(self._found))
        wanted = Wanted(level.start, level.beyond, level.rest, count)
        try:
            stats, level.more = await self._children.read(level.prefix[:-1], wanted)
        except NoSuchPath as error:
            if level.prefix:
                return False
            raise StorageUnavailable(
                "The folder of HDFS that is mounted is not there."
            ) from error
        except BackendError:
            # What we may not enter is passed over, unless it was asked for.
            if self._query.prefix.startswith(level.prefix):
                raise
            return False
        if stats:
            level.start, level.beyond = key_of(stats[-1]), True
        level.pending = stats[::-1]
        return True

    def _is_hidden(self, prefix: str, name: str) -> bool:
        if not name.startswith(HIDDEN):
            return prefix.startswith(HIDDEN) and encoded(prefix + name) is None
        if name.startswith(OURS):
            return True
        if self._query.prefix.startswith(prefix + HIDDEN):
            return False
        return prefix.count("/") < self.hidden


def _path(key: str) -> str:
    path = encoded(key)
    # Nothing is listed that cannot be asked for.
    return key if path is None else path
