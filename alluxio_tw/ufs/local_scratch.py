"""
Temporary files of a mount: on its file system, locked while their writer lives.

They lie in the hidden folder, so what a dead writer left is found by looking in
one place.  A living writer holds a C{flock} on its file, which the kernel lets
go when the process dies: whoever sweeps can tell the two apart, whatever the
clocks say.  Not chosen: C{O_TMPFILE}; such a file can be linked to a free name
only, never over an existing one.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress

import attrs

from alluxio_tw.ufs.local_keys import BESIDE, FILE, HIDDEN
from alluxio_tw.ufs.local_tree import Tree

_TMP = f"{HIDDEN}/tmp".encode()
_AWAY = ".away"
_FOLDER = ".folder"


@attrs.define(eq=False)
class Temporary:
    """
    A file being written, under a name that nobody is told.

    :ivar fd: open for reading and writing.
    :ivar folder: the folder that it lies in, open; its owner closes it.
    :ivar name: its name there.
    """

    fd: int
    folder: int
    name: bytes
    _owns_folder: bool = False
    _note: bytes | None = None
    _scratch: int = -1

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it."""
        written = os.write(self.fd, data)
        if written < len(data):
            rest = memoryview(data)[written:]
            while rest:
                rest = rest[os.write(self.fd, rest) :]

    def __del__(self) -> None:
        # Whoever forgot it leaves litter to be swept, but no open file.
        if self.fd >= 0:
            os.close(self.fd)

    def gone(self) -> None:
        """It has got its real name, or never will: close it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            if self._owns_folder:
                os.close(self.folder)
            if self._note is not None:
                with suppress(OSError):
                    os.unlink(self._note, dir_fd=self._scratch)

    def discard(self) -> None:
        """Remove it."""
        if self.fd >= 0:
            with suppress(OSError):
                os.unlink(self.name, dir_fd=self.folder)
            self.gone()


@attrs.define(eq=False)
class Scratch:
    """
    Where temporary files are made.  Everything here blocks.
    """

    _tree: Tree
    _count: Iterator[int] = attrs.field(factory=itertools.count, init=False)
    _folder: int = attrs.field(default=-1, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def close(self) -> None:
        """Let go of the folder."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def forget(self) -> None:
        """The root is on another file system now."""
        with self._lock:
            self._folder = -1

    def make(self) -> Temporary:
        """A new file in the hidden folder."""
        for _ in range(8):
            folder = self._opened()
            try:
                return self._make_in(folder, "")
            except FileNotFoundError:
                # Somebody removed the hidden folder while we had it open.  Other
                # threads may be using the number still, so it is not closed.
                with self._lock:
                    if self._folder == folder:
                        self._folder = -1
        return self._make_in(self._opened(), "")

    def nameless(self) -> int:
        """A new file without a name, open for reading and writing."""
        made = self.make()
        os.unlink(made.name, dir_fd=made.folder)
        fd, made.fd = made.fd, -1
        return fd

    def make_folder(self) -> tuple[int, bytes]:
        """
        A new folder in the hidden one.

        :return: the hidden folder, open, which stays ours; and the name in it.
        """
        self.make().discard()  # there is such a hidden folder
        folder = self._opened()
        while True:
            name = f"{os.getpid():x}-{next(self._count):x}{_FOLDER}".encode()
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
                return folder, name

    def make_beside(self, path: bytes) -> Temporary:
        """
        A new file in the folder of C{path}, for where that is another file system
        than the hidden folder's; a note there tells L{sweep} about it.
        """
        folder = path.rpartition(b"/")[0]
        at = self._tree.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            made = self._make_in(at, BESIDE)
        except OSError:
            os.close(at)
            raise
        made._owns_folder = True
        note = self._make_in(self._opened(), "", _AWAY)
        os.write(note.fd, folder + b"/" + made.name)
        note.gone()
        made._note, made._scratch = note.name, note.folder
        return made

    def _make_in(self, folder: int, before: str, after: str = "") -> Temporary:
        while True:
            name = f"{before}{os.getpid():x}-{next(self._count):x}{after}".encode()
            try:
                fd = os.open(
                    name,
                    os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW,
                    0o666,
                    dir_fd=folder,
                )
            except FileExistsError:
                continue  # left by a process that had our number
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Temporary(fd, folder, name)

    def _opened(self) -> int:
        with self._lock:
            if self._folder >= 0:
                return self._folder
            for path, mode in ((HIDDEN.encode(), 0o777), (_TMP, 0o700)):
                with suppress(FileExistsError), self._tree.parent(path) as (fd, name):
                    os.mkdir(name, mode, dir_fd=fd)
            self._folder = self._tree.open(_TMP, os.O_RDONLY | os.O_DIRECTORY)
            return self._folder

    def sweep(self, before: float) -> int:
        """
        Remove what dead writers left.

        :param before: only what was last written before this time, in seconds
            since the epoch.
        :return: how many files.
        """
        try:
            folder = self._tree.open(_TMP, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return 0
        try:
            with os.scandir(folder) as entries:
                names = [os.fsencode(e.name) for e in entries]
            return sum(self._sweep_one(folder, name, before) for name in names)
        finally:
            os.close(folder)

    def _sweep_one(self, folder: int, name: bytes, before: float) -> int:
        if name.endswith(_FOLDER.encode()):
            return self._sweep_folder(folder, name, before)
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError:
            return 0
        try:
            if os.fstat(fd).st_mtime >= before:
                return 0
            if not name.endswith(_AWAY.encode()):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                return 1
            # Without its folder there is nothing to sweep.
            away, _, left = os.pread(fd, 4096, 0).rpartition(b"/")
            swept = 0
            if left.startswith(BESIDE.encode()):
                with (
                    suppress(FileNotFoundError),
                    self._tree.opened(away, os.O_RDONLY | os.O_DIRECTORY) as at,
                ):
                    swept = self._sweep_one(at, left, before)
                    if not swept and _exists(at, left):
                        return 0
            os.unlink(name, dir_fd=folder)
            return swept
        except OSError:
            return 0  # its writer lives, or somebody else swept it
        finally:
            os.close(fd)

    @staticmethod
    def _sweep_folder(folder: int, name: bytes, before: float) -> int:
        """A folder that a file was to become; in it there is at most a link to it."""
        try:
            st = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if st.st_mtime >= before:
                return 0
            if not stat.S_ISDIR(st.st_mode):
                os.unlink(name, dir_fd=folder)
                return 1
            with suppress(FileNotFoundError):
                os.unlink(name + b"/" + FILE, dir_fd=folder)
            os.rmdir(name, dir_fd=folder)
        except OSError:
            return 0
        return 1


def _exists(folder: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
