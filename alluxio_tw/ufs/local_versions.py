"""
The versions that lie in a tree now, opened.
"""

from __future__ import annotations

import os
import stat

import attrs

from alluxio_tw.errors import NoSuchPath
from alluxio_tw.iobjects import Status
from alluxio_tw.ufs import local_syscalls
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_faults import ABSENT
from alluxio_tw.ufs.local_handles import FolderReading, OpenFile
from alluxio_tw.ufs.local_keys import FILE, for_reading
from alluxio_tw.ufs.local_places import of_folder
from alluxio_tw.ufs.local_records import file_status, folder_status
from alluxio_tw.ufs.local_tree import Tree

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""So that a pipe or a terminal that somebody put there is not waited for."""

_INSIDE = READ | os.O_NOFOLLOW | os.O_CLOEXEC


@attrs.define(eq=False)
class Versions:
    """
    Opens what lies in a tree.  Everything here blocks.
    """

    _tree: Tree
    _attributes: AttributeStore
    _in_memory: dict[int, bool] = attrs.field(factory=dict, init=False)

    def open_file(self, raw: bytes) -> OpenFile:
        """
        The version that a file is now.

        :raises NoSuchPath: it is no file.
        :raises OSError: it cannot be opened.
        """
        fd = self._tree.open(raw, READ)
        try:
            st = os.fstat(fd)
            if stat.S_ISDIR(st.st_mode):
                folder, fd = fd, -1
                try:
                    fd = os.open(FILE, _INSIDE, dir_fd=folder)
                finally:
                    os.close(folder)
                raw = raw + b"/" + FILE
                st = os.fstat(fd)
            if not stat.S_ISREG(st.st_mode):
                raise NoSuchPath()
            status = file_status(st, self._attributes.read(fd, raw, st))
            in_memory = self._in_memory.get(st.st_dev)
            if in_memory is None:
                in_memory = local_syscalls.lies_in_memory(fd)
                self._in_memory[st.st_dev] = in_memory
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        return OpenFile(fd, st, self._tree.place_of(raw), status, in_memory)

    def open_folder(self, raw: bytes) -> OpenFile | FolderReading:
        """
        The object that a folder was made as, with bytes or without.

        :raises NoSuchPath: it was not.
        :raises OSError: it cannot be opened.
        """
        try:
            return self.open_file(of_folder(raw))
        except NoSuchPath:
            pass
        except OSError as error:
            if error.errno not in ABSENT:
                raise
        with self._tree.opened(raw, os.O_RDONLY | os.O_DIRECTORY) as fd:
            record = self._attributes.read_folder(fd, raw)
        if record is None:
            raise NoSuchPath()
        return FolderReading(folder_status(record))

    def current(self, path: str) -> Status | None:
        """The version of a key, file or folder; L{None} if there is no object."""
        raw = for_reading(path)
        try:
            if path.endswith("/"):
                return self.open_folder(raw).status
            return self.open_file(raw).status
        except NoSuchPath:
            return None
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
