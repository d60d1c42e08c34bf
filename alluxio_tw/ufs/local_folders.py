"""
Folders that are objects: keys that end in a slash.

Such a folder is marked by what is kept with it, and read as an object without
bytes; it stays when it is empty.  One that has bytes has them in a file of ours in
it, which is placed, read and described as any other; where there is such a file, a
mark is not looked at.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import NoSuchPath, ObjectChanged, PathConflict
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_faults import ABSENT, translated
from alluxio_tw.ufs.local_keys import FOLDER
from alluxio_tw.ufs.local_places import of_folder
from alluxio_tw.ufs.local_placing import TRIES, FilePlacing, Ground
from alluxio_tw.ufs.local_records import Record, folder_status
from alluxio_tw.ufs.local_tree import Tree, refused


@implementer(IPlacing)
@attrs.define(eq=False)
class FolderPlacing:
    """
    A folder being made as the object C{name/}, which has no bytes until some come.

    :ivar now: nanoseconds since the epoch.
    """

    _ground: Ground
    _key: str
    _path: bytes
    _now: Callable[[], int]
    _bytes: FilePlacing | None = attrs.field(default=None, init=False)

    def write(self, data: Piece) -> Deferred[None]:
        if not (data.length if isinstance(data, FileSpan) else len(data)):
            return succeed(None)
        if self._bytes is None:
            self._bytes = FilePlacing(self._ground, self._key, of_folder(self._path))
        return self._bytes.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        if self._bytes is not None:
            return await self._bytes.commit(etag, attributes, demand, modified)
        record = Record(etag, attributes, self._now() if modified is None else modified)
        status = await self._ground.turns.run(
            self._key, translated(self._commit), record, demand
        )
        self._ground.replaced(self._key)
        return status

    def abort(self) -> Deferred[None]:
        return succeed(None) if self._bytes is None else self._bytes.abort()

    def _commit(self, record: Record, demand: Demand) -> Status:
        ground, path = self._ground, self._path
        for _ in range(TRIES):
            old = ground.current(self._key)
            demanded(demand, None if old is None else old.etag)
            with ground.places.made_parent(path + b"/."):
                pass
            try:
                # Under the lock: between the two nobody prunes it.
                with (
                    ground.tree.folders,
                    ground.tree.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd,
                ):
                    ground.attributes.write_folder(fd, path, record, ground.sync)
                    with suppress(FileNotFoundError):
                        os.unlink(FOLDER, dir_fd=fd)
                    if ground.sync:
                        os.fsync(fd)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    continue
                if error.errno in ABSENT:
                    raise refused(error) from error
                raise
            return folder_status(record)
        raise PathConflict()


@attrs.frozen(eq=False)
class FolderObjects:
    """
    Those that there are.  Everything here blocks.
    """

    _tree: Tree
    _attributes: AttributeStore
    _sync: bool

    def describe(self, raw: bytes, status: Status, attributes: Attributes) -> Status:
        """
        Replace the attributes of one.

        :raises NoSuchPath: it is no object.
        :raises ObjectChanged: it is another one.
        :raises OSError: it cannot be done.
        """
        with (
            self._tree.folders,
            self._tree.opened(raw, os.O_RDONLY | os.O_DIRECTORY) as fd,
        ):
            old = self._attributes.read_folder(fd, raw)
            if old is None:
                raise NoSuchPath()
            if _has_bytes(fd):
                raise ObjectChanged()
            if folder_status(old).version != status.version:
                raise ObjectChanged()
            record = Record(old.etag, attributes, old.modified)
            self._attributes.write_folder(fd, raw, record, self._sync)
            if self._sync:
                os.fsync(fd)
        return folder_status(record)

    def unmark(self, raw: bytes) -> None:
        """
        It is an object no longer, with bytes or without, and goes if it is empty.

        :raises OSError: it cannot be done.
        """
        with (
            self._tree.folders,
            self._tree.opened(raw, os.O_RDONLY | os.O_DIRECTORY) as fd,
        ):
            self._attributes.forget_folder(fd, raw)
            with suppress(FileNotFoundError):
                os.unlink(FOLDER, dir_fd=fd)
            if self._sync:
                os.fsync(fd)
        self._tree.prune(raw + b"/.")


def _has_bytes(fd: int) -> bool:
    try:
        os.stat(FOLDER, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
