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
from alluxio_tw.ufs.local_records import file_status, folder_status
from alluxio_tw.ufs.local_tree import Tree, for_reading

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""So that a pipe or a terminal that somebody put there is not waited for."""


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
            if not stat.S_ISREG(st.st_mode):
                raise NoSuchPath()
            status = file_status(st, self._attributes.read(fd, raw, st))
            in_memory = self._in_memory.get(st.st_dev)
            if in_memory is None:
                in_memory = local_syscalls.lies_in_memory(fd)
                self._in_memory[st.st_dev] = in_memory
        except BaseException:
            os.close(fd)
            raise
        return OpenFile(fd, st, self._tree.place_of(raw), status, in_memory)

    def open_folder(self, raw: bytes) -> FolderReading:
        """
        The object that a folder was made as.

        :raises NoSuchPath: it was not.
        :raises OSError: it cannot be opened.
        """
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
