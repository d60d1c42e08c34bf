"""
Where the bytes of a key lie when its name is a folder's as well.

In a tree a name is a file or a folder; in S3 C{a}, C{a/} and C{a/b} are three objects.
As long as only one of them is asked for, a tree can hold it as it stands, and other
programs find it under its name.  When there are two:

  - C{a} beside C{a/b}: the folder is there, and the bytes of C{a} lie in it, under
    L{FILE}.  Where C{a} was a file first, it becomes such a folder in one step: a
    folder is made with a link to the file in it, and the two names change places;
  - C{a/} with bytes: they lie in the folder under L{FOLDER}.  Without bytes it is but
    a folder that is marked; see L{alluxio_tw.ufs.local_folders}.

Not chosen: a second tree for what does not fit into the first.  To read a key one
would have to look into both, and listings would merge them; so it is one look more
for keys that are folders, and none for all others.

Listings must see C{a} where C{a!} is near, not where C{a/} is, and so look into each
folder that they only pass.  They do so once there is any such file in the tree, of
either kind; a note beside our temporary files says that there is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs

from alluxio_tw.errors import NoSuchPath, PathConflict
from alluxio_tw.ufs import local_syscalls
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_keys import FILE, FOLDER, HIDDEN, for_reading
from alluxio_tw.ufs.local_scratch import Scratch
from alluxio_tw.ufs.local_tree import Tree, sync_folder

_NOTE = f"{HIDDEN}/both".encode()
_TRIES = 64

# What a file system says that has no such links, or cannot exchange names.
_CANNOT = frozenset(
    (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)
)


def of_folder(raw: bytes) -> bytes:
    """Where the bytes of a key that ends in a slash lie, if it has any."""
    return raw + b"/" + FOLDER


@attrs.define(eq=False)
class Places:
    """
    Finds and makes them.  Everything here blocks, and may raise L{OSError}.

    :ivar sync: what is made survives the machine.
    :ivar both: a name may be a file and a folder at once; otherwise whichever is
        first is in the way of the other, since other programs see it there.
    """

    _tree: Tree
    _scratch: Scratch
    _attributes: AttributeStore
    _sync: bool
    _both: bool
    _noted: bool = attrs.field(default=False, init=False)

    def place(self, path: str) -> bytes:
        """
        Where the bytes of a key lie, if they are there.

        :raises NoSuchPath: no file can have that name.
        """
        raw = for_reading(path)
        if path.endswith("/"):
            return of_folder(raw)
        return self.inside(raw) if self._is_folder(raw) else raw

    def inside(self, raw: bytes) -> bytes:
        """
        Where in the folder of its name a key's bytes lie.

        :raises PathConflict: that folder is a bucket, or they lie there already.
        """
        name = raw.rpartition(b"/")[2]
        if raw.count(b"/") < self._tree.keep or name in (FILE, FOLDER):
            raise PathConflict("There is a folder where this object should be.")
        return raw + b"/" + FILE

    def new_inside(self, raw: bytes) -> bytes:
        """
        As L{inside}, of bytes that shall come there.

        :raises PathConflict: nor do they if no name may be a file and a folder,
            unless this one is already.
        """
        place = self.inside(raw)
        if not self._both and not os.path.lexists(self._tree.place_of(place)):
            raise PathConflict("There is a folder where this object should be.")
        return place

    def noted(self) -> bool:
        """May there be folders in the tree that are files as well, or have bytes?"""
        if not self._noted:
            self._noted = os.path.exists(self._tree.place_of(_NOTE))
        return self._noted

    def note(self) -> None:
        """There is about to be one."""
        if not self.noted():
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            with self._tree.made_parent(_NOTE, self._sync) as (folder, name):
                os.close(os.open(name, flags, 0o666, dir_fd=folder))
                if self._sync:
                    sync_folder(folder)

    def touch(self, raw: bytes) -> None:
        """
        What lists the folder above sees that a file came into or left the one below.
        """
        if raw.endswith(b"/" + FILE):
            above = raw.rpartition(b"/")[0].rpartition(b"/")[0]
            with suppress(OSError), self._tree.opened(above, _FOLDER) as fd:
                os.utime(fd)

    @contextmanager
    def made_parent(self, raw: bytes) -> Iterator[tuple[int, bytes]]:
        """
        As L{Tree.made_parent}; files on the way become folders.

        :raises PathConflict: something else is in the way, or the file system cannot.
        :raises NoSuchPath: a folder that is never made by the way is missing.
        """
        folder, _, name = raw.rpartition(b"/")
        fd = self._make_way(folder)
        try:
            yield fd, name
        finally:
            os.close(fd)

    def _make_way(self, folder: bytes) -> int:
        if not self._both:
            return self._tree.make_way(folder, self._sync)
        for _ in range(_TRIES):
            try:
                return self._tree.make_way(folder, self._sync)
            except PathConflict:
                self._make_room(folder)
        raise PathConflict()

    def _make_room(self, folder: bytes) -> None:
        names = folder.split(b"/")
        for depth in range(self._tree.keep + 1, len(names) + 1):
            raw = b"/".join(names[:depth])
            if self._is_folder(raw):
                continue
            with self._tree.parent(raw) as (above, name):
                try:
                    st = os.stat(name, dir_fd=above, follow_symlinks=False)
                except FileNotFoundError:
                    return
                if not stat.S_ISREG(st.st_mode) or names[0] == HIDDEN.encode():
                    raise PathConflict(
                        "There is an object where this one needs a folder."
                    )
                self._become(raw, above, name, st)
                return
        # By now all of them are folders.

    def _become(self, raw: bytes, above: int, name: bytes, st: os.stat_result) -> None:
        """Let a file become a folder that is this file as well."""
        self.note()
        scratch, made = self._scratch.make_folder()
        inner = made + b"/" + FILE
        try:
            os.link(
                name, inner, src_dir_fd=above, dst_dir_fd=scratch, follow_symlinks=False
            )
            self._attributes.moved(raw, raw + b"/" + FILE, st, self._sync)
            if self._sync:
                with self._opened(scratch, made) as fd:
                    os.fsync(fd)
            local_syscalls.exchange(scratch, made, above, name)
        except OSError as error:
            with suppress(OSError):
                os.unlink(inner, dir_fd=scratch)
            os.rmdir(made, dir_fd=scratch)
            if error.errno in _CANNOT:
                raise PathConflict(
                    "There is an object where this one needs a folder."
                ) from error
            if error.errno != errno.ENOENT:  # it was deleted meanwhile
                raise
            return
        self._put_right(scratch, made, above, name, st)
        if self._sync:
            sync_folder(above)

    @staticmethod
    def _put_right(
        scratch: int, made: bytes, above: int, name: bytes, st: os.stat_result
    ) -> None:
        # What has our name now is what was there at that moment: the file, a newer
        # one that a writer just put there, or a folder that another made of it.
        there = os.stat(made, dir_fd=scratch, follow_symlinks=False)
        if stat.S_ISDIR(there.st_mode):
            local_syscalls.exchange(scratch, made, above, name)
            os.unlink(made + b"/" + FILE, dir_fd=scratch)
            os.rmdir(made, dir_fd=scratch)
        elif there.st_ino != st.st_ino:
            os.rename(made, name + b"/" + FILE, src_dir_fd=scratch, dst_dir_fd=above)
        else:
            os.unlink(made, dir_fd=scratch)

    @staticmethod
    @contextmanager
    def _opened(folder: int, name: bytes) -> Iterator[int]:
        fd = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            yield fd
        finally:
            os.close(fd)

    def _is_folder(self, raw: bytes) -> bool:
        try:
            with self._tree.opened(raw, os.O_PATH) as fd:
                return stat.S_ISDIR(os.fstat(fd).st_mode)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise NoSuchPath() from error
            return False


_FOLDER = os.O_RDONLY | os.O_DIRECTORY
