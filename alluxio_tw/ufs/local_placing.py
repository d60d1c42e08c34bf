"""
An object of a directory tree being written: a temporary file, then a rename.

Small objects are gathered in memory and go to the file together with the
commit, in one trip to a thread; larger ones go there as they come.  Everything
that makes the file what it will be (times, attributes, a sync) happens before
the rename, so whoever opens the path sees the old object whole or the new one
whole, and so does the machine after a power cut.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    PathConflict,
    PreconditionFailed,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.ufs import local_syscalls
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.local_places import Places
from alluxio_tw.ufs.local_ranges import Held, append_range
from alluxio_tw.ufs.local_records import Record, file_status
from alluxio_tw.ufs.local_scratch import Scratch, Temporary
from alluxio_tw.ufs.local_tree import Tree, sync_folder
from alluxio_tw.ufs.turns import Turns

_GATHERED = 32 << 10
_SLICE = 32 << 20
TRIES = 64


@attrs.frozen(eq=False)
class Ground:
    """
    What writers of a mount share.

    :ivar turns: by key for what replaces an object, by placing for its pieces.
    :ivar sync: what is acknowledged survives the machine.
    :ivar current: the current version of a key, or L{None}; blocks.
    :ivar replaced: to be told of keys whose file is another now.
    """

    tree: Tree
    places: Places
    scratch: Scratch
    attributes: AttributeStore
    turns: Turns
    sync: bool
    current: Callable[[str], Status | None]
    replaced: Callable[[str], object]


@implementer(IPlacing)
@attrs.define(eq=False)
class FilePlacing:
    """
    A file being written.
    """

    _ground: Ground
    _key: str
    _path: bytes
    _file: Temporary | None = attrs.field(default=None, init=False)
    _gathered: list[bytes | memoryview] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)
    _over: bool = attrs.field(default=False, init=False)
    _committing: bool = attrs.field(default=False, init=False)

    def write(self, data: Piece) -> Deferred[None]:
        if isinstance(data, FileSpan):
            return self.append(data)
        self._gathered.append(data)
        self._held += len(data)
        if self._held < _GATHERED:
            return succeed(None)
        return self._later(self._flush)

    @deferred
    async def append(self, span: FileSpan) -> None:
        """
        Append bytes of an open file, by the kernel, in slices: a thread is not
        kept for minutes, and between two slices it can be cancelled.
        """
        done = 0
        source = Held(span.fd)
        while done < span.length:
            length = min(_SLICE, span.length - done)
            await self._later(self._copy, source, span.offset + done, length)
            done += length

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        turns = self._ground.turns
        if turns.taken(self):  # by a write that was given up
            await self._later(_nothing)
        # From here on the key is taken: nobody of us replaces the object between
        # the demand and the rename.
        self._committing = True
        status = await turns.run(
            self._key,
            translated(self._commit),
            Record(etag, attributes),
            demand,
            modified,
        )
        self._ground.replaced(self._key)
        return status

    def abort(self) -> Deferred[None]:
        turns = self._ground.turns
        if self._over:
            return succeed(None)
        if self._committing:
            # A commit that was given up may still be at work.
            return turns.run(self._key, translated(self._discard))
        if self._file is not None or turns.taken(self):
            return self._later(self._discard)
        self._discard()
        return succeed(None)

    def _later(self, work: Callable[..., None], *args: object) -> Deferred[None]:
        return self._ground.turns.run(self, translated(work), *args)

    # In threads, one at a time:

    def _opened(self) -> Temporary:
        if self._over:
            raise StorageUnavailable("This object is no longer being written.")
        if self._file is None:
            self._file = self._ground.scratch.make()
        return self._file

    def _flush(self) -> None:
        pieces, self._gathered, self._held = self._gathered, [], 0
        file = self._opened()
        for piece in pieces:
            file.write(piece)

    def _copy(self, source: Held, offset: int, length: int) -> None:
        self._flush()
        append_range(self._opened(), source.fd, offset, length)

    def _discard(self) -> None:
        self._over = True
        self._gathered.clear()
        file, self._file = self._file, None
        if file is not None:
            file.discard()

    def _commit(self, record: Record, demand: Demand, modified: int | None) -> Status:
        try:
            self._flush()
            return self._become(record, demand, modified)
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
                raise UnsuitableKey() from error
            raise
        finally:
            self._discard()

    def _become(self, record: Record, demand: Demand, modified: int | None) -> Status:
        ground, path, file = self._ground, self._path, self._opened()
        if self._key.endswith("/"):
            ground.places.note()
        old = ground.current(self._key)
        demanded(demand, None if old is None else old.etag)
        if modified is not None:
            os.utime(file.fd, ns=(modified, modified))
        st = os.fstat(file.fd)
        if (
            modified is None
            and old is not None
            and (old.size, old.modified) == (st.st_size, st.st_mtime_ns)
        ):
            # Sidecars, and programs that go by size and time, tell them apart.
            os.utime(file.fd, ns=(st.st_mtime_ns + 1000, st.st_mtime_ns + 1000))
            st = os.fstat(file.fd)
        ground.attributes.write(file.fd, path, st, record, ground.sync)
        if ground.sync:
            os.fsync(file.fd)
        st = self._rename(st, record, demand.absent, old is None)
        if old is not None and (old.size, old.modified) != (st.st_size, st.st_mtime_ns):
            ground.attributes.forget(self._path, old.size, old.modified)
        return file_status(st, record)

    def _rename(
        self, st: os.stat_result, record: Record, absent: bool, new: bool
    ) -> os.stat_result:
        """
        Give the file its name.

        :param absent: only if there is no object of that name.
        :param new: there was none when we looked.
        :return: of the file that has the name now.
        """
        ground = self._ground
        for _ in range(TRIES):
            file = self._opened()
            with ground.places.made_parent(self._path) as (folder, name):
                try:
                    if absent:
                        self._rename_new(file, folder, name)
                    else:
                        if new:
                            self._give_way(folder, name)
                        os.rename(
                            file.name, name, src_dir_fd=file.folder, dst_dir_fd=folder
                        )
                except OSError as error:
                    if error.errno == errno.ENOENT:
                        continue  # its folder was pruned meanwhile
                    if error.errno == errno.EXDEV:
                        st = self._move_beside(file, st, record)
                        continue
                    if error.errno not in (errno.EISDIR, errno.ENOTEMPTY):
                        raise
                    try:
                        ground.tree.clear_folder(self._path)
                    except PathConflict:
                        self._move_inside(file, st, record)
                    continue
                self._file = None
                file.gone()
                if ground.sync:
                    sync_folder(folder)
            ground.places.touch(self._path)
            return st
        raise PathConflict()

    def _rename_new(self, file: Temporary, folder: int, name: bytes) -> None:
        try:
            local_syscalls.rename_new(file.folder, file.name, folder, name)
            return
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOSYS):
                # The next best: a link fails as well if the name is taken.
                try:
                    os.link(file.name, name, src_dir_fd=file.folder, dst_dir_fd=folder)
                    os.unlink(file.name, dir_fd=file.folder)
                    return
                except FileExistsError:
                    pass
            elif error.errno != errno.EEXIST:
                raise
        self._in_the_way(file, folder, name)

    def _in_the_way(self, file: Temporary, folder: int, name: bytes) -> None:
        """
        The name is taken, but by what is no object: a folder, or a link that
        leads nowhere; unless another program was quicker.
        """
        if self._ground.current(self._key) is not None:
            raise PreconditionFailed()
        self._give_way(folder, name)
        os.rename(file.name, name, src_dir_fd=file.folder, dst_dir_fd=folder)

    @staticmethod
    def _give_way(folder: int, name: bytes) -> None:
        """
        :raises OSError: C{EISDIR}: there is a folder.
        :raises PathConflict: there is a device, a socket or the like: it is not
            an object, and not ours to replace.
        """
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise PathConflict("There is a special file where this object should be.")

    def _move_inside(self, file: Temporary, st: os.stat_result, record: Record) -> None:
        """The name is a folder's: the file goes into it."""
        ground = self._ground
        self._path = ground.places.new_inside(self._path)
        ground.places.note()
        # Where it is kept apart from the file, it is kept by the path.
        ground.attributes.write(file.fd, self._path, st, record, ground.sync)

    def _move_beside(
        self, file: Temporary, st: os.stat_result, record: Record
    ) -> os.stat_result:
        """The target is on another file system: so must the file be."""
        ground = self._ground
        beside = ground.scratch.make_beside(self._path)
        try:
            append_range(beside, file.fd, 0, st.st_size)
            os.utime(beside.fd, ns=(st.st_mtime_ns, st.st_mtime_ns))
            st = os.fstat(beside.fd)
            ground.attributes.write(beside.fd, self._path, st, record, ground.sync)
            if ground.sync:
                os.fsync(beside.fd)
        except BaseException:
            beside.discard()
            raise
        file.discard()
        self._file = beside
        return st


def _nothing() -> None:
    pass
