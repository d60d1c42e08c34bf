"""
A directory tree, opened so that no link leads out.

Every path is resolved by the kernel beneath the mount's root (C{openat2} with
C{RESOLVE_BENEATH}): whatever other programs do to the tree meanwhile, no
symbolic link and no C{..} leads out.  The kernel also refuses absolute links
that point inside; those are resolved by C{realpath} and then opened name by
name with C{O_NOFOLLOW}, and so is everything on kernels before 5.6.  A tree
that changes between the two gives an error, never a way out.  Not chosen:
C{realpath} and a check of its prefix; between the check and the use there is time.

Folders are made when a file needs them and pruned with their last object; both
may happen at once, so whoever places a file must be ready to begin again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import attrs

from alluxio_tw.errors import NoSuchPath, PathConflict, StorageUnavailable
from alluxio_tw.ufs import local_syscalls
from alluxio_tw.ufs.local_keys import HIDDEN

_TRIES = 64


def refused(error: OSError) -> PathConflict:
    """What stands in the way of a new file, as a noun with a reason."""
    if error.errno == errno.EISDIR:
        return PathConflict("There is a folder where this object should be.")
    return PathConflict("There is an object where this one needs a folder.")


@attrs.define(eq=False)
class Tree:
    """
    The root of a mount and the ways beneath it.  Everything here blocks.

    :ivar root: the absolute path of the directory; what it leads to may change.
    :ivar fd: the directory that it led to when it was last looked at, open.
    :ivar keep: how many levels of folders beneath the root are never pruned and
        never made by the way: nought, or one where those are buckets.
    :ivar marked: is the open folder an object itself?  Such are not pruned.
    :ivar renewed: called when the root is another directory than before.
    """

    root: bytes
    keep: int = 0
    marked: Callable[[int, bytes], bool] = attrs.field(default=lambda _fd, _path: False)
    renewed: Callable[[], None] = attrs.field(default=lambda: None)
    fd: int = attrs.field(init=False)
    folders: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held while a folder is marked as an object, or looked at and pruned."""
    _beneath: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._beneath = local_syscalls.can_open_beneath(self.fd)

    def close(self) -> None:
        """Let go of the root."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def place_of(self, path: bytes) -> bytes:
        """The absolute path, for what may follow links that lead out."""
        return self.root + b"/" + path

    def renew(self) -> bool:
        """
        Look again for the root: another directory may be there, a file system mounted,
        a link on the way switched.

        :return: is it another than before?
        :raises OSError: there is no such directory.
        """
        there, ours = os.stat(self.root), os.fstat(self.fd)
        if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return False
        new = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Other threads may be using the number: it stays, with a new meaning.
        os.dup2(new, self.fd, inheritable=False)
        os.close(new)
        self.renewed()
        return True

    def look(self) -> None:
        """
        As L{renew}, for whoever is about to use it.

        :raises StorageUnavailable: there is no such directory.
        """
        try:
            self.renew()
        except PermissionError:
            # On the way to it we may not look, and what is open is open.
            return
        except OSError as error:
            raise StorageUnavailable() from error

    def open(self, path: bytes, flags: int) -> int:
        """
        Open what is there, following links that stay inside.

        :param path: relative; empty for the root.
        :raises OSError: as C{open}; C{EXDEV} or C{ELOOP} if a link leads out.
        :raises StorageUnavailable: there is no root any more.
        """
        self.look()
        if self._beneath:
            for _ in range(_TRIES):
                try:
                    return local_syscalls.open_beneath(self.fd, path or b".", flags)
                except OSError as error:
                    if error.errno == errno.EXDEV:
                        break
                    if error.errno != errno.EAGAIN:
                        raise
        return self._open_resolved(path, flags)

    def _open_resolved(self, path: bytes, flags: int) -> int:
        real = os.path.realpath(self.place_of(path), strict=True)
        root = os.path.realpath(self.root)
        if real != root and not real.startswith(root.rstrip(b"/") + b"/"):
            raise OSError(errno.EXDEV, "leads out of the mount", os.fsdecode(path))
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW
        names = [name for name in real[len(root) :].split(b"/") if name] or [b"."]
        at = os.dup(self.fd)
        try:
            for name in names[:-1]:
                step = os.open(
                    name,
                    os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=at,
                )
                os.close(at)
                at = step
            return os.open(names[-1], flags, dir_fd=at)
        finally:
            os.close(at)

    @contextmanager
    def opened(self, path: bytes, flags: int) -> Iterator[int]:
        """As L{open}, closed at the end."""
        fd = self.open(path, flags)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def parent(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """
        The folder that C{path} lies in, open, and the last name.

        :raises OSError: there is none.
        """
        folder, _, name = path.rpartition(b"/")
        with self.opened(folder, os.O_PATH | os.O_DIRECTORY) as fd:
            yield fd, name

    @contextmanager
    def made_parent(self, path: bytes, sync: bool) -> Iterator[tuple[int, bytes]]:
        """
        As L{parent}, with the folders made that are missing.

        :param sync: new folders survive the machine.
        :raises PathConflict: something stands where a folder is needed.
        :raises NoSuchPath: a folder that is never made by the way is missing.
        """
        fd = self.make_way(path.rpartition(b"/")[0], sync)
        try:
            yield fd, path.rpartition(b"/")[2]
        finally:
            os.close(fd)

    def make_way(self, folder: bytes, sync: bool) -> int:
        """
        Open a folder, made if it is missing; as L{made_parent}.
        """
        for _ in range(_TRIES):
            try:
                return self.open(folder, os.O_PATH | os.O_DIRECTORY)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.EXDEV, errno.ELOOP):
                    raise refused(error) from error
                if error.errno != errno.ENOENT:
                    raise
            try:
                self._make_missing(folder, sync)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.EXDEV, errno.ELOOP):
                    raise refused(error) from error
                # A folder on the way was pruned under our feet: again.
                if error.errno != errno.ENOENT:
                    raise
        # Neither there nor to be made: a link whose target is missing.
        raise PathConflict("There is an object where this one needs a folder.")

    def _make_missing(self, folder: bytes, sync: bool) -> None:
        names = folder.split(b"/")
        at = os.dup(self.fd)
        try:
            for depth, name in enumerate(names):
                kept = depth < self.keep and not names[0].startswith(HIDDEN.encode())
                if kept:
                    try:
                        os.stat(name, dir_fd=at)
                    except FileNotFoundError as error:
                        raise NoSuchPath() from error
                else:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=at)
                        if sync:
                            sync_folder(at)
                step = self.open(
                    b"/".join(names[: depth + 1]), os.O_PATH | os.O_DIRECTORY
                )
                os.close(at)
                at = step
        finally:
            os.close(at)

    def prune(self, path: bytes) -> None:
        """
        Remove the folders above C{path} that hold nothing any more, from below,
        as far as they are not objects themselves.
        """
        folder = path.rpartition(b"/")[0]
        while folder and folder.count(b"/") >= self.keep:
            if not self._remove_empty(folder):
                return
            folder = folder.rpartition(b"/")[0]

    def _remove_empty(self, folder: bytes) -> bool:
        # Under the lock: between the look at the mark and the removal nobody
        # else of this process marks it.
        try:
            with self.folders:
                if self._is_marked(folder):
                    return False
                with self.parent(folder) as (fd, name):
                    os.rmdir(name, dir_fd=fd)
        except OSError:
            # Not empty, a link, or gone already: in any case not ours to remove.
            return False
        return True

    def _is_marked(self, folder: bytes) -> bool:
        with self.opened(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return self.marked(fd, folder)

    def clear_folder(self, path: bytes) -> None:
        """
        Remove a folder in which there are no objects, and the empty ones in it.

        :raises PathConflict: there are objects in it, or it is one.
        """
        if path.count(b"/") >= self.keep:
            self._clear(path)
            if self._remove_empty(path):
                return
        raise PathConflict("There is a folder where this object should be.")

    def remove_folder(self, name: bytes) -> None:
        """
        Remove a folder right beneath the root, with what is ours in it and the
        folders in it that hold nothing.

        :raises PathConflict: something else is in it.
        """
        ours: list[bytes] = []
        with (
            self.opened(name, os.O_RDONLY | os.O_DIRECTORY) as fd,
            os.scandir(fd) as entries,
        ):
            for entry in entries:
                below = name + b"/" + os.fsencode(entry.name)
                if not entry.is_dir(follow_symlinks=False):
                    raise PathConflict()
                if entry.name == HIDDEN:
                    ours.append(below)
                else:
                    self._clear(below)
                    if not self._remove_empty(below):
                        raise PathConflict()
        for below in ours:
            with self.parent(below) as (folder, last):
                _remove_all(folder, last)
        try:
            with self.parent(name) as (folder, last):
                os.rmdir(last, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise PathConflict() from error
            raise

    def _clear(self, path: bytes) -> None:
        # Depth first, by paths and without recursion: one name at a time, so a
        # hostile tree costs neither stack nor open files.
        stack = [path]
        while stack:
            below = self._some_folder(stack[-1])
            if below is not None:
                stack.append(stack[-1] + b"/" + below)
            elif len(stack) == 1:
                return
            elif not self._remove_empty(stack.pop()):
                return

    def _some_folder(self, path: bytes) -> bytes | None:
        """A folder right beneath, if nothing else is there."""
        with (
            self.opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd,
            os.scandir(fd) as names,
        ):
            for entry in names:
                if entry.is_dir(follow_symlinks=False):
                    return os.fsencode(entry.name)
                return None
        return None


def _remove_all(folder: int, name: bytes) -> None:
    for _, below, files, at in os.fwalk(name, topdown=False, dir_fd=folder):
        for file in files:
            os.unlink(file, dir_fd=at)
        for other in below:
            try:
                os.rmdir(other, dir_fd=at)
            except NotADirectoryError:  # a link to a folder
                os.unlink(other, dir_fd=at)
    os.rmdir(name, dir_fd=folder)


def sync_folder(fd: int) -> None:
    """Make the names in a folder survive the machine; C{fd} may be C{O_PATH}."""
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        os.fsync(readable)
    except OSError as error:
        # Some file systems (FUSE, SMB) keep names by themselves and say so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(readable)
