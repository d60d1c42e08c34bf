"""
A page of a listing: a walk over the tree in the order of keys.

A folder sorts among its neighbours as its name with a slash, and its keys follow
it before the next neighbour's, so a walk that goes down where it meets a folder
gives keys in order.  It begins in the folder that the prefix names, goes down
along C{after}, and stops one item past the page: what it costs is what it
returns, and the folders on its way.

Only one folder is open at a time, however deep the tree; a level of the walk
holds some names and its place among them.  A folder that is reached again from
itself, over a link, is not entered: a loop would otherwise go on until keys are
too long.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import closing, suppress
from functools import partial

import attrs

from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_faults import ABSENT
from alluxio_tw.ufs.local_keys import FILE, FOLDER, HIDDEN, encoded, encoded_part
from alluxio_tw.ufs.local_names import Names, Wanted, scan
from alluxio_tw.ufs.local_places import Places
from alluxio_tw.ufs.local_records import folder_status
from alluxio_tw.ufs.local_tree import Tree

_LONGEST_KEY = 1024
_LEAST_READ = 16
_MANY = 1000
_DENIED = frozenset({errno.EACCES, errno.EPERM})

_PAST = "\U0010ffff" * (_LONGEST_KEY // 4)
"""Behind every key of a folder, when it follows the folder's prefix."""


@attrs.define(eq=False)
class Lister:
    """
    Lists a tree.  Everything here blocks.

    :ivar hide: in how many levels from the root our own names are hidden.
    """

    _tree: Tree
    _names: Names
    _attributes: AttributeStore
    _places: Places
    _hide: int = 1

    def page(self, query: ListQuery) -> Listing:
        """
        One page.

        :raises OSError: a folder cannot be read.
        """
        entries: list[Entry] = []
        prefixes: list[str] = []
        last: str | None = None
        walk = self._walk(self._hide, query)
        with closing(walk.items()) as items:
            for item in items:
                if len(entries) + len(prefixes) == query.limit:
                    return Listing(entries, prefixes, last)
                if isinstance(item, Entry):
                    entries.append(item)
                    last = item.key
                else:
                    prefixes.append(item)
                    last = item
        return Listing(entries, prefixes, None)

    def has_objects(self, path: str, hide: int) -> bool:
        """
        Is there any object in a folder?

        :param path: with its slash at the end.
        :param hide: in how many levels from the root our own names do not count.
        """
        walk = self._walk(hide, ListQuery(prefix=path, limit=1))
        return walk.any_object(path, set())

    def _walk(self, hide: int, query: ListQuery) -> _Walk:
        both = self._places.noted()
        return _Walk(self._tree, self._names, self._attributes, hide, both, query)


@attrs.define(eq=False)
class _Level:
    """
    A folder on the way of the walk.

    :ivar prefix: its keys begin so.
    :ivar identity: device and inode.
    :ivar after: what follows the prefix in C{after}, while that leads in here.
    :ivar pending: names to come, the next one last.
    :ivar more: there may be others behind them.
    """

    prefix: str
    identity: tuple[int, int]
    after: str
    pending: list[str]
    more: bool
    start: str = ""
    beyond: bool = False


@attrs.define(eq=False)
class _Walk:
    """
    One walk.

    :ivar both: folders may be files as well, or have bytes.
    :ivar looking: only whether there is anything; nobody asked for the base.
    """

    _tree: Tree
    _names: Names
    _attributes: AttributeStore
    _hide: int
    _both: bool
    _query: ListQuery
    _looking: bool = False
    _fd: int = attrs.field(default=-1, init=False)
    _opened: str = attrs.field(default="", init=False)
    _path: bytes = attrs.field(default=b"", init=False)
    _given: int = attrs.field(default=0, init=False)
    _base: str = attrs.field(init=False)
    _after: str = attrs.field(init=False)
    _longest: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        query = self._query
        # Of a path; where the first folder is a bucket, it is no part of the key.
        bucket = query.prefix.find("/") + 1 if self._tree.keep else 0
        self._longest = _LONGEST_KEY + bucket
        self._base = query.prefix[: query.prefix.rfind("/") + 1]
        self._after = query.after
        if (
            query.fold
            and query.after.endswith("/")
            and len(query.after) > len(query.prefix)
        ):
            self._after += _PAST

    def items(self) -> Generator[Entry | str, None, None]:
        """Entries, and folded prefixes, in order."""
        base, after = self._base, self._after
        if base and encoded(base) is None:
            return
        inside = base != "" and after.startswith(base)
        if not inside and base and after >= base:
            return  # past everything beneath the base
        try:
            if self._open(base):
                yield from self._walk(
                    base, after[len(base) :] if inside or not base else "", inside
                )
        finally:
            self._close()

    def any_object(self, prefix: str, seen: set[tuple[int, int]]) -> bool:
        """
        Is there an object in the folder?  In no order: the first will do.

        :param seen: folders that were looked at.
        """
        folders: list[str] = []
        try:
            if not self._open(prefix):
                return False
            st = os.fstat(self._fd)
            if (st.st_dev, st.st_ino) in seen:
                return False
            seen.add((st.st_dev, st.st_ino))
            if prefix and self._marker(prefix) is not None:
                return True
            follow = partial(self._followed, prefix)
            for name in scan(self._fd, follow, self._both):
                if self._is_hidden(prefix, name):
                    continue
                if not name.endswith("/"):
                    return True
                if len(folders) < _MANY:
                    folders.append(name)
        finally:
            self._close()
        if len(folders) == _MANY:
            # In order: that goes through any number of them in bounded memory.
            return next(self._fresh(prefix, "").items(), None) is not None
        return any(self.any_object(prefix + name, seen) for name in folders)

    def _walk(
        self, base: str, after: str, inside: bool
    ) -> Generator[Entry | str, None, None]:
        query = self._query
        stack = [self._enter(base, query.prefix[len(base) :], after)]
        if base and base == query.prefix and not inside:
            # Made as an object, the base is before all that it holds.
            yield from self._own(base)
        while stack:
            level = stack[-1]
            if not level.pending:
                if level.more and self._open(level.prefix):
                    self._read(level, query.prefix[len(level.prefix) :])
                else:
                    stack.pop()
                continue
            name = level.pending.pop()
            key = level.prefix + name
            if self._is_hidden(level.prefix, name) or len(key) > self._longest:
                continue
            if not name.endswith("/"):
                entry = self._entry(key, name) if self._open(level.prefix) else None
                if entry is not None:
                    self._given += 1
                    yield entry
                continue
            on_the_way = level.after.startswith(name)
            inner = level.after[len(name) :] if on_the_way else ""
            if inner == _PAST:
                continue
            if query.fold:
                if self._holds(key, inner, on_the_way):
                    self._given += 1
                    yield key
            elif self._open(key) and not self._is_within(stack):
                stack.append(self._enter(key, "", inner))
                if not on_the_way:
                    yield from self._own(key)

    def _own(self, prefix: str) -> Generator[Entry, None, None]:
        """The entry of the open folder itself, if it was made as an object."""
        entry = self._marker(prefix)
        if entry is not None:
            self._given += 1
            yield entry

    def _is_within(self, stack: list[_Level]) -> bool:
        """Is the open folder one of those that lead to it?"""
        st = os.fstat(self._fd)
        identity = (st.st_dev, st.st_ino)
        return any(level.identity == identity for level in stack)

    def _holds(self, key: str, inner: str, on_the_way: bool) -> bool:
        """Does a folded prefix hold any object, behind C{after}?"""
        if not on_the_way:
            found = self._fresh(key, "").any_object(key, set())
        else:
            found = next(self._fresh(key, key + inner).items(), None) is not None
        return found

    def _fresh(self, prefix: str, after: str) -> _Walk:
        return _Walk(
            self._tree,
            self._names,
            self._attributes,
            self._hide,
            self._both,
            ListQuery(prefix=prefix, after=after, limit=1),
            looking=True,
        )

    def _enter(self, prefix: str, rest: str, after: str) -> _Level:
        """The open folder as a new level; C{rest} is how its names must begin."""
        st = os.fstat(self._fd)
        head, slash, _ = after.partition("/")
        level = _Level(
            prefix, (st.st_dev, st.st_ino), after, [], True, head + slash, not slash
        )
        self._read(level, rest)
        return level

    def _read(self, level: _Level, rest: str) -> None:
        count = max(_LEAST_READ, self._query.limit + 1 - self._given)
        wanted = Wanted(level.start, level.beyond, rest, count)
        follow = partial(self._followed, level.prefix)
        names = self._names.read(self._fd, wanted, follow, self._both)
        level.more = len(names) == count
        if names:
            level.start, level.beyond = names[-1], True
        names.reverse()
        level.pending = names

    def _open(self, prefix: str) -> bool:
        """Make this the open folder, if there is such."""
        if self._fd >= 0 and self._opened == prefix:
            return True
        self._close()
        path = _raw(prefix)
        try:
            self._fd = self._tree.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            # What we may not enter (lost+found, say) is passed over, unless it
            # was asked for; the root that is missing is an outage.
            if prefix and error.errno in ABSENT:
                return False
            asked_for = prefix == self._base and not self._looking
            if not asked_for and error.errno in _DENIED:
                return False
            raise
        self._opened, self._path = prefix, path
        return True

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_hidden(self, prefix: str, name: str) -> bool:
        if not name.startswith(HIDDEN):
            return prefix == HIDDEN + "/" and encoded(prefix + name) is None
        if self._query.prefix.startswith(prefix + HIDDEN):
            return False
        return prefix.count("/") < self._hide

    def _followed(self, prefix: str, name: str) -> int | None:
        """The mode of what a link leads to, if that is inside."""
        path = encoded(prefix + name)
        if path is not None:
            with suppress(OSError), self._tree.opened(path, os.O_PATH) as fd:
                return os.fstat(fd).st_mode
        return None

    def _marker(self, prefix: str) -> Entry | None:
        if self._both:
            entry = self._inner(prefix, FOLDER)
            if entry is not None:
                return entry
        record = self._attributes.read_folder(self._fd, self._path)
        if record is None:
            return None
        status = folder_status(record)
        storage_class = record.attributes.headers.get("x-amz-storage-class", "")
        return Entry(prefix, 0, status.etag, status.modified, storage_class)

    def _inner(self, prefix: str, name: bytes, folder: bytes = b".") -> Entry | None:
        """
        The entry of bytes that lie in a folder, under a name of ours.

        :param prefix: the folder's keys begin so.
        :param folder: it, in the open one.
        """
        try:
            raw = folder + b"/" + name
            st = os.stat(raw, dir_fd=self._fd, follow_symlinks=False)
            if not stat.S_ISREG(st.st_mode):
                return None
            where = b"/proc/self/fd/%d/%b" % (self._fd, raw)
            path = _raw(prefix) + b"/" + name
            etag, storage_class = self._attributes.brief(where, path, st)
        except OSError as error:
            if error.errno in ABSENT or error.errno in _DENIED:
                return None
            raise
        key = prefix if name == FOLDER else prefix[:-1]
        return Entry(key, st.st_size, etag, st.st_mtime_ns, storage_class)

    def _entry(self, key: str, name: str) -> Entry | None:
        if len(key) * 4 > self._longest and len(key.encode()) > self._longest:
            return None
        raw = encoded_part(name)
        path = self._path + b"/" + raw if self._path else raw
        try:
            st = os.stat(raw, dir_fd=self._fd, follow_symlinks=False)
            if stat.S_ISREG(st.st_mode):
                where: int | bytes = b"/proc/self/fd/%d/%b" % (self._fd, raw)
                etag, storage_class = self._attributes.brief(where, path, st)
            elif stat.S_ISDIR(st.st_mode):
                return self._inner(key + "/", FILE, raw)
            else:
                # A link; what it leads to is opened, so that it stays inside.
                with self._tree.opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
                    st = os.fstat(fd)
                    if not stat.S_ISREG(st.st_mode):
                        return None
                    etag, storage_class = self._attributes.brief(fd, path, st)
        except OSError as error:
            if error.errno in ABSENT or error.errno in _DENIED:
                return None  # gone since its name was read
            raise
        return Entry(key, st.st_size, etag, st.st_mtime_ns, storage_class)


def _raw(prefix: str) -> bytes:
    """The path of a folder that is known to be one."""
    return encoded(prefix) or b""
