"""
The names of one folder in the order of their keys, from any point on.

The kernel gives names in no order, so to know the next thousand one must look at
all of them.  For most folders that is cheap, and done anew each time: a bounded
selection, no more memory than what is asked for.  A folder of a million names
would cost a million names a page; of such a folder the sorted names are spilled
to a nameless file, once, and pages are read from there as long as the folder's
modification time says that no name came or went.

A time is good for that only when it is older than the clock's tick at the moment
of the look: a name that came in the same tick would leave it as it was.  While a
huge folder is being written to, each page looks at all the names.

A folder's name is given with a slash at its end, and sorts as such: the keys
beneath it do.  Order of text by code points is the order of its UTF-8 by bytes.
"""

from __future__ import annotations

import os
import stat
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import islice

import attrs

from alluxio_tw.ufs.local_keys import FILE, OURS, decoded

_HUGE = 20_000
_RUN = 65_536
_MERGE = 262_144
_STRIDE = 256
_MOST_MARKS = 8_192
_CHUNK = 64 << 10
_SNAPSHOTS = 8
_AGE = 600.0

_TICK = 100_000_000
"""Clocks of kernels tick 100 to 1,000 times a second; with room to spare."""

_COARSE = 2_500_000_000
"""Some file systems keep full seconds, FAT every second one."""


def scan(
    fd: int, follow: Callable[[str], int | None], both: bool = False
) -> Generator[str, None, None]:
    """
    The names in a folder that can be parts of keys, in no order.

    :param fd: the folder, open for reading.
    :param follow: the mode of what a symbolic link leads to, if it may.
    :param both: folders may be files as well, and are looked into.
    """
    with os.scandir(fd) as entries:
        for entry in entries:
            name = entry.name
            if not name.isascii() and not _is_text(name):
                continue
            if name.startswith(OURS):
                part = decoded(name)
                if part is None or (not part and not entry.is_dir()):
                    continue
                name = part
            if entry.is_file(follow_symlinks=False):
                yield name
            elif entry.is_dir(follow_symlinks=False):
                if both and _is_file_as_well(fd, entry.name):
                    yield name
                yield name + "/"
            elif entry.is_symlink():
                mode = follow(name)
                if mode is None:
                    continue
                if stat.S_ISREG(mode):
                    yield name
                elif stat.S_ISDIR(mode):
                    yield name + "/"


def _is_file_as_well(fd: int, name: str) -> bool:
    try:
        os.stat(os.fsencode(name) + b"/" + FILE, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@attrs.frozen
class Wanted:
    """
    Which names.

    :ivar start: from this one on, in the order of keys.
    :ivar beyond: not C{start} itself.
    :ivar prefix: names that begin so.
    :ivar count: at most so many.
    """

    start: str
    beyond: bool
    prefix: str
    count: int

    def select(self, names: Iterator[str], some: list[str]) -> list[str]:
        """
        The first of the names that are wanted, in order, in bounded memory.

        :param some: names that were taken from the iterator before.
        """
        kept: list[str] = []
        most = max(self.count * 4, 4096)
        worst: str | None = None
        start, beyond, prefix = self.start, self.beyond, self.prefix
        for batch in (some, names):
            for name in batch:
                if (
                    name < start
                    or (worst is not None and name > worst)
                    or not name.startswith(prefix)
                    or (beyond and name == start)
                ):
                    continue
                kept.append(name)
                if len(kept) >= most:
                    kept.sort()
                    del kept[self.count :]
                    worst = kept[-1]
        kept.sort()
        return kept[: self.count]


@attrs.define(eq=False)
class Names:
    """
    Names of folders, and the snapshots of huge ones.  Everything here blocks, and
    may be called by many threads.

    :ivar spill: makes a nameless file.
    :ivar seconds: a clock, for the age of snapshots.
    :ivar huge: from so many names on a folder is worth a snapshot.
    :ivar run: how many names are sorted in memory at a time.
    """

    _spill: Callable[[], int]
    _seconds: Callable[[], float]
    _huge: int = _HUGE
    _run: int = _RUN
    _snapshots: OrderedDict[tuple[int, int], Snapshot] = attrs.field(
        factory=OrderedDict, init=False
    )
    _building: dict[tuple[int, int], threading.Lock] = attrs.field(
        factory=dict, init=False
    )
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def read(
        self,
        fd: int,
        wanted: Wanted,
        follow: Callable[[str], int | None],
        both: bool = False,
    ) -> list[str]:
        """
        Names in order: fewer than were asked for only at the end.

        :param fd: the folder, open for reading.
        :param follow: as L{scan}'s.
        :param both: as L{scan}'s.
        """
        st = os.fstat(fd)
        snapshot = self._valid(st)
        if snapshot is not None:
            return snapshot.read(wanted)
        names = scan(fd, follow, both)
        try:
            some = list(islice(names, self._huge))
            if len(some) < self._huge:
                return wanted.select(iter(()), some)
            again = partial(scan, fd, follow, both)
            return self._read_huge(fd, st, wanted, again, names, some)
        finally:
            names.close()

    def clear(self) -> None:
        """Let go of the snapshots."""
        with self._lock:
            self._snapshots.clear()

    def _valid(self, st: os.stat_result) -> Snapshot | None:
        with self._lock:
            now = self._seconds()
            while self._snapshots:
                if now - next(iter(self._snapshots.values())).used <= _AGE:
                    break
                self._snapshots.popitem(last=False)
            key = (st.st_dev, st.st_ino)
            snapshot = self._snapshots.get(key)
            if snapshot is None:
                return None
            if snapshot.modified != st.st_mtime_ns:
                del self._snapshots[key]
                return None
            snapshot.used = now
            self._snapshots.move_to_end(key)
            return snapshot

    def _read_huge(
        self,
        fd: int,
        st: os.stat_result,
        wanted: Wanted,
        again: Callable[[], Generator[str, None, None]],
        names: Generator[str, None, None],
        some: list[str],
    ) -> list[str]:
        try:
            file = self._spill()
        except OSError:
            return wanted.select(names, some)  # nowhere to put it
        snapshot = Snapshot(file, st.st_mtime_ns)
        tick = _COARSE if st.st_mtime_ns % 1_000_000_000 == 0 else _TICK
        # The new file's time is the file system's idea of now.
        if os.fstat(file).st_mtime_ns - st.st_mtime_ns < tick:
            return wanted.select(names, some)
        key = (st.st_dev, st.st_ino)
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            ready = self._valid(os.fstat(fd))  # who waited may have it now
            if ready is None:
                try:
                    snapshot.fill(names, some, self._spill, self._run)
                except OSError:
                    # The disk is full: listing must go on without.  The new scan
                    # would begin where an open one stands.
                    names.close()
                    return wanted.select(again(), [])
                ready = snapshot
                if os.fstat(fd).st_mtime_ns == st.st_mtime_ns:
                    snapshot.used = self._seconds()
                    with self._lock:
                        self._snapshots[key] = snapshot
                        if len(self._snapshots) > _SNAPSHOTS:
                            self._snapshots.popitem(last=False)
        with self._lock:
            self._building.pop(key, None)
        return ready.read(wanted)


class Snapshot:
    """
    The sorted names of a folder, in a nameless file that goes when nobody refers
    to it any more.

    Every so many names one is remembered with its place in the file; names end in
    a NUL, which no name contains.

    :ivar modified: the folder's modification time.
    :ivar used: when it was last asked, in seconds.
    """

    def __init__(self, fd: int, modified: int) -> None:
        self._fd = fd
        self.modified = modified
        self.used = 0.0
        self._marks: list[str] = []
        self._offsets: list[int] = []
        self._stride = _STRIDE
        self._count = 0
        self._end = 0

    def __del__(self) -> None:
        os.close(self._fd)

    def __len__(self) -> int:
        return self._count

    def fill(
        self,
        names: Iterator[str],
        some: list[str],
        spill: Callable[[], int],
        run: int = _RUN,
    ) -> None:
        """
        Sort all names into the file, by runs that are merged.

        :param some: names that were taken from the iterator before.
        :raises OSError: there is no room.
        """
        runs = Snapshot(spill(), 0)
        bounds: list[tuple[int, int]] = []
        while True:
            some.extend(islice(names, max(0, run - len(some))))
            if not some:
                break
            some.sort()
            start = runs._end
            runs._write(some)
            bounds.append((start, runs._end))
            some = []
        self._merge(runs, bounds)

    def _merge(self, runs: Snapshot, bounds: Sequence[tuple[int, int]]) -> None:
        # From each run a buffer; what is not greater than the least of their last
        # names is complete.  Sorting these is merging, and done in C.
        share = max(4096, _MERGE * 16 // max(1, len(bounds)))
        readers = [_Run(runs, start, end, share) for start, end in bounds]
        while readers:
            edge = min(reader.names[-1] for reader in readers)
            batch: list[str] = []
            for reader in readers:
                cut = bisect_right(reader.names, edge)
                batch += reader.names[:cut]
                reader.drop(cut)
            readers = [reader for reader in readers if reader.names]
            batch.sort()
            for start in range(0, len(batch), self._stride):
                self._add(batch[start : start + self._stride])

    def _add(self, names: Sequence[str]) -> None:
        self._marks.append(names[0])
        self._offsets.append(self._end)
        if len(self._marks) > _MOST_MARKS:
            del self._marks[1::2], self._offsets[1::2]
        self._write(names)

    def _write(self, names: Sequence[str]) -> None:
        data = ("\0".join(names) + "\0").encode()
        view = memoryview(data)
        while view:
            view = view[os.pwrite(self._fd, view, self._end + len(data) - len(view)) :]
        self._end += len(data)
        self._count += len(names)

    def read(self, wanted: Wanted) -> list[str]:
        """The names that are wanted."""
        start, beyond = wanted.start, wanted.beyond
        if start < wanted.prefix:
            start, beyond = wanted.prefix, False
        at = max(0, bisect_right(self._marks, start) - 1)
        offset = self._offsets[at] if self._offsets else 0
        found: list[str] = []
        for names in self.chunks(offset, self._end, _CHUNK):
            first = 0
            if not found:
                cut = bisect_right if beyond else bisect_left
                first = cut(names, start)
            for name in names[first : first + wanted.count - len(found)]:
                if not name.startswith(wanted.prefix):
                    return found
                found.append(name)
            if len(found) == wanted.count:
                break
        return found

    def chunks(self, offset: int, end: int, size: int) -> Iterator[list[str]]:
        """Names between two places of the file, some at a time."""
        while offset < end:
            data = os.pread(self._fd, min(size, end - offset), offset)
            whole = data.rfind(b"\0") + 1
            if not whole:
                return  # shorter than it was: not ours any more
            offset += whole
            yield data[: whole - 1].decode().split("\0")


class _Run:
    """A sorted run, some names at a time."""

    def __init__(self, runs: Snapshot, start: int, end: int, share: int) -> None:
        self._chunks = runs.chunks(start, end, share)
        self.names: list[str] = next(self._chunks, [])

    def drop(self, count: int) -> None:
        """The first names were used."""
        self.names = self.names[count:] or next(self._chunks, [])
