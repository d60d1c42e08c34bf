"""
Folders that are objects: keys that end in a slash.

Such a folder is marked by what is kept with it, and read as an object without
bytes; it stays when it is empty.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from alluxio_tw.errors import NoSuchPath, ObjectChanged, PathConflict, UnsuitableKey
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_faults import ABSENT, translated
from alluxio_tw.ufs.local_placing import TRIES, Ground
from alluxio_tw.ufs.local_records import Record, folder_status
from alluxio_tw.ufs.local_tree import Tree, refused


def no_bytes() -> UnsuitableKey:
    """Why a folder is not given bytes."""
    return UnsuitableKey(
        "This bucket lies in a directory tree: a key that ends in a slash is a"
        " folder, which has no bytes."
    )


@implementer(IPlacing)
@attrs.define(eq=False)
class FolderPlacing:
    """
    A folder being made as the object C{name/}: it has no bytes.

    :ivar now: nanoseconds since the epoch.
    """

    _ground: Ground
    _key: str
    _path: bytes
    _now: Callable[[], int]

    def write(self, data: Piece) -> Deferred[None]:
        if not isinstance(data, FileSpan) and not len(data):
            return succeed(None)
        return fail(no_bytes())

    def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Deferred[Status]:
        record = Record(etag, attributes, self._now() if modified is None else modified)
        return self._ground.turns.run(
            self._key, translated(self._commit), record, demand
        )

    def abort(self) -> Deferred[None]:
        return succeed(None)

    def _commit(self, record: Record, demand: Demand) -> Status:
        ground, path = self._ground, self._path
        for _ in range(TRIES):
            old = ground.current(self._key)
            demanded(demand, None if old is None else old.etag)
            with ground.tree.made_parent(path + b"/.", ground.sync):
                pass
            try:
                # Under the lock: between the two nobody prunes it.
                with (
                    ground.tree.folders,
                    ground.tree.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd,
                ):
                    ground.attributes.write_folder(fd, path, record, ground.sync)
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
            if folder_status(old).version != status.version:
                raise ObjectChanged()
            record = Record(old.etag, attributes, old.modified)
            self._attributes.write_folder(fd, raw, record, self._sync)
            if self._sync:
                os.fsync(fd)
        return folder_status(record)

    def unmark(self, raw: bytes) -> None:
        """
        It is an object no longer, and goes if it is empty.

        :raises OSError: it cannot be done.
        """
        with (
            self._tree.folders,
            self._tree.opened(raw, os.O_RDONLY | os.O_DIRECTORY) as fd,
        ):
            self._attributes.forget_folder(fd, raw)
            if self._sync:
                os.fsync(fd)
        self._tree.prune(raw + b"/.")
