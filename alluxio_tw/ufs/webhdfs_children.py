"""
The names in one folder in the order of their keys, from any point on.

HDFS tells them by LISTSTATUS_BATCH, from any name on, in an order of its own, which
differs from that of S3 in two ways:

  - a folder stands where its name does; its keys stand where its name with a slash
    does, behind C{name.txt} and C{name-1};
  - bytes are compared as Java has them, with a sign: what begins with a letter that
    is none of ASCII comes before everything else, and so on within words.

Most folders come in one batch, which is sorted, and that is all.  Of larger ones all
names are looked at, and no more of them held than were asked for.  If they all were
ASCII, that is remembered as long as the folder is what it was (its time and how many
names are in it): then pages go on where the last one ended, and cost what they
return.  A huge folder that is being written to, or has other names, costs one look
at everything for each page.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import attrs

from alluxio_tw.errors import NoSuchPath
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_stat import Stat

_REMEMBERED = 1000
_FOLDERS_MOST = 16
_LAST = "\x7f"

Mark = tuple[int, int, int | None]


def key_of(stat: Stat) -> str:
    """Its part of a key."""
    return f"{stat.name}/" if stat.is_folder else stat.name


@attrs.frozen
class Wanted:
    """
    Which of them.

    :ivar start: parts of keys greater than this; a folder has a slash at its end.
    :ivar beyond: not this one itself.
    :ivar prefix: that begin so.
    :ivar count: so many at most.
    """

    start: str
    beyond: bool
    prefix: str
    count: int


@attrs.define(eq=False)
class Children:
    """
    What is in the folders of a mount.
    """

    _files: HdfsFiles
    _plain: OrderedDict[str, Mark] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )

    async def read(self, path: str, wanted: Wanted) -> tuple[list[Stat], bool]:
        """
        Some of them, in order, and whether there may be others.

        :raises NoSuchPath: there is no such folder.
        """
        known = self._plain.get(path)
        if known is not None:
            if known == _mark(await self._files.stat(path)):
                return await self._follow(path, wanted)
            self._plain.pop(path, None)
        least = _Least(wanted)
        stats, more = await self._files.batch(path, _before(wanted.prefix))
        if more and not _is_past(stats[-1].name, wanted.prefix):
            return await self._scan(path, wanted)
        least.offer(stats)
        return least.found, least.full

    async def _scan(self, path: str, wanted: Wanted) -> tuple[list[Stat], bool]:
        """Look at all of them."""
        least = _Least(wanted)
        mark = _mark(await self._files.stat(path))
        last, more = _before(wanted.prefix), True
        while more:
            stats, more = await self._files.batch(path, last)
            least.offer(stats)
            if stats:
                last = stats[-1].name
                more = more and not _is_past(last, wanted.prefix)
        if not wanted.prefix and least.plain:
            # Who came meanwhile may have another name.
            if mark == _mark(await self._files.stat(path)):
                self._plain[path] = mark
                if len(self._plain) > _REMEMBERED:
                    self._plain.popitem(last=False)
        return least.found, least.full

    async def _follow(self, path: str, wanted: Wanted) -> tuple[list[Stat], bool]:
        """
        From where the last page ended, in a folder of which all names are ASCII.
        """
        start, prefix = wanted.start, wanted.prefix
        if not start.isascii():
            return await self._scan(path, wanted)
        least = _Least(wanted)
        # Folders whose names stand before what was given, and whose keys behind it.
        bare = start.removesuffix("/")
        folders = [bare[:at] for at in range(1, len(bare)) if bare[at] < "/"]
        if bare:
            folders.append(bare)
        last = bare if bare == start else f"{bare}.{_LAST}"
        if len(folders) > _FOLDERS_MOST:
            folders, last = [], ""
        for name in folders:
            if f"{name}/".startswith(prefix):
                try:
                    found = await self._files.stat(f"{path}/{name}" if path else name)
                except NoSuchPath:
                    continue
                least.offer([attrs.evolve(found, name=name)])
        last, more = max(last, _before(prefix)), True
        while more:
            stats, more = await self._files.batch(path, last)
            least.offer(stats)
            if stats:
                last = stats[-1].name
            # Whatever follows has a greater key than the last that was looked at.
            if _is_past(last, prefix) or (
                least.full and key_of(least.found[-1]) <= last
            ):
                break
        return least.found, least.full


def _mark(stat: Stat) -> Mark:
    return stat.id, stat.modified, stat.children


_SIGNED = bytes((byte + 128) % 256 for byte in range(256))


def _java(name: str) -> bytes:
    """What sorts as Java sorts the name's bytes, which have a sign there."""
    return name.encode().translate(_SIGNED)


def _before(prefix: str) -> str:
    """A name after which, to HDFS, everything comes that begins so."""
    if not prefix:
        return ""
    head, last = prefix[:-1], prefix[-1]
    if not last.isascii():
        # It follows right after its head.
        return head
    less = chr(ord(last) - 1)
    if less == "/":
        less = "."
    return f"{head}{less}{_LAST}" if less > "\0" else ""


def _is_past(name: str, prefix: str) -> bool:
    """Does HDFS tell nothing after this that begins so?"""
    return not name.startswith(prefix) and _java(name) > _java(prefix)


class _Least:
    """
    The least of what is offered.

    :ivar found: in order.
    :ivar plain: all names were ASCII.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._start = wanted.start.encode()
        self.found: list[Stat] = []
        self.plain = True

    @property
    def full(self) -> bool:
        """There may be others."""
        return len(self.found) == self._wanted.count

    def offer(self, stats: Sequence[Stat]) -> None:
        """Consider some."""
        self.plain = self.plain and all(stat.name.isascii() for stat in stats)
        wanted = {stat.name: stat for stat in stats if self._is_wanted(stat)}
        if wanted:
            merged = {stat.name: stat for stat in self.found} | wanted
            self.found = sorted(merged.values(), key=_order)[: self._wanted.count]

    def _is_wanted(self, stat: Stat) -> bool:
        key = key_of(stat)
        if not key.startswith(self._wanted.prefix):
            return False
        order = key.encode()
        return order > self._start or (order == self._start and not self._wanted.beyond)


def _order(stat: Stat) -> bytes:
    return key_of(stat).encode()
