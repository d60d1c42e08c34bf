"""
The folders right beneath the root of a tree: the buckets of a root mount.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import attrs

from alluxio_tw.errors import NoSuchPath, PathConflict, UnsuitableKey
from alluxio_tw.iobjects import Bucket
from alluxio_tw.ufs import local_syscalls
from alluxio_tw.ufs.local_keys import HIDDEN, encoded
from alluxio_tw.ufs.local_listing import Lister
from alluxio_tw.ufs.local_tree import Tree, sync_folder


@attrs.frozen(eq=False)
class BucketFolders:
    """
    Those that there are.  Everything here blocks, and may raise L{OSError}.
    """

    _tree: Tree
    _lister: Lister
    _sync: bool

    def all(self) -> Sequence[Bucket]:
        """They, by name."""
        found: list[Bucket] = []
        with self._tree.opened(b"", os.O_RDONLY | os.O_DIRECTORY) as root:
            with os.scandir(root) as entries:
                names = sorted(
                    e.name
                    for e in entries
                    if e.is_dir(follow_symlinks=False) or e.is_symlink()
                )
            for name in names:
                if name.startswith(HIDDEN):
                    continue
                with (
                    suppress(OSError, UnicodeEncodeError),
                    self._tree.opened(name.encode(), os.O_PATH | os.O_DIRECTORY) as fd,
                ):
                    made = local_syscalls.born(fd)
                    if made is None:
                        st = os.fstat(fd)
                        made = min(st.st_mtime_ns, st.st_ctime_ns)
                    found.append(Bucket(name, made))
        return found

    def make(self, name: str) -> None:
        """
        Make one.

        :raises UnsuitableKey: no folder can have that name.
        :raises PathConflict: something has it.
        """
        raw = _path_of(name)
        if raw is None:
            raise UnsuitableKey()
        self._tree.look()
        try:
            os.mkdir(raw, dir_fd=self._tree.fd)
        except FileExistsError as error:
            raise PathConflict() from error
        if self._sync:
            sync_folder(self._tree.fd)

    def remove(self, name: str) -> None:
        """
        Remove one in which there are no objects.

        :raises PathConflict: there are, or something that is not ours.
        :raises NoSuchPath: there is no such folder.
        """
        raw = _path_of(name)
        if raw is None:
            raise NoSuchPath()
        with self._tree.opened(raw, os.O_PATH | os.O_DIRECTORY):
            pass
        if self._lister.has_objects(name + "/", 2):
            raise PathConflict()
        self._tree.remove_folder(raw)
        if self._sync:
            sync_folder(self._tree.fd)


def _path_of(name: str) -> bytes | None:
    if "/" in name or name in ("", ".", "..") or name.startswith(HIDDEN):
        return None
    return encoded(name)
