"""
A directory of page files, as it lies on the disk.

The files lie in C{<directory>/alluxio-tw-pages/v1/<page size>/<2 hex>/}, one for
each page (L{alluxio_tw.cache.pagefile}); C{tmp/} beside these folders holds what
is being written, and C{alluxio-tw-pages/lock} tells whose directory it is.

Folders of other page sizes are swept: they would never be read again and count
against no quota.  Folders of other format versions stay, for the way back to an
older release.

Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil

from alluxio_tw.cache import pagefile
from alluxio_tw.ipages import PageKey

_ROOT = "alluxio-tw-pages"
_TEMPORARY = "tmp"


class PageFolder:
    """
    The page files of one directory and page size.
    """

    def __init__(self, directory: str, page_size: int) -> None:
        self._base = os.path.join(os.path.abspath(directory), _ROOT)
        self._folder = os.path.join(self._base, f"v{pagefile.VERSION}", str(page_size))
        self._temporary = os.path.join(self._folder, _TEMPORARY)
        self._serial = itertools.count()

    def __repr__(self) -> str:
        return f"<PageFolder {self._folder}>"

    def claim(self) -> int:
        """
        Make the directory if need be, take possession of it, and tidy up.

        :return: a descriptor that holds the lock until it is closed.
        :raises OSError: it cannot be had, or is another's.
        """
        os.makedirs(self._temporary, 0o700, exist_ok=True)
        lock = os.open(
            os.path.join(self._base, "lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Pages that someone was writing when it ended.  Nobody is now.
            for leftover in os.listdir(self._temporary):
                os.unlink(os.path.join(self._temporary, leftover))
        except BaseException:
            os.close(lock)
            raise
        return lock

    def pages(self, bucket: int) -> list[tuple[float, PageKey, int]]:
        """
        The pages in one of the folders, oldest first: when they were written, and
        their bytes (below one if the file cannot be a page).

        :raises OSError: it cannot be read.
        """
        found = []
        name = f"{bucket:02x}"
        try:
            entries = os.scandir(os.path.join(self._folder, name))
        except FileNotFoundError:
            return []
        with entries:
            for entry in entries:
                key = pagefile.parse_name(entry.name)
                if key is None or pagefile.bucket(key) != name:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                length = status.st_size - pagefile.FOOTER_LENGTH
                found.append((status.st_mtime, key, length))
        found.sort()
        return found

    def sweep(self) -> None:
        """Remove the pages of other page sizes."""
        mine = os.path.basename(self._folder)
        beside = os.path.dirname(self._folder)
        for other in os.listdir(beside):
            if other != mine and other.isdigit():
                shutil.rmtree(os.path.join(beside, other), ignore_errors=True)

    def write(self, key: PageKey, data: bytes, gone: list[PageKey]) -> int:
        """
        Delete pages, then write one: the room is needed first.

        :return: a descriptor of the new page file; the caller's to close.
        :raises OSError: it could not be written.
        """
        self.delete(gone)
        temporary = os.path.join(self._temporary, str(next(self._serial)))
        return pagefile.write(self._folder, temporary, key, data)

    def open(self, key: PageKey, verify: bool) -> tuple[int, int]:
        """
        As L{pagefile.open_page<alluxio_tw.cache.pagefile.open_page>}.
        """
        return pagefile.open_page(self._folder, key, verify)

    def delete(self, keys: list[PageKey]) -> None:
        """Delete pages, as far as they are there."""
        for key in keys:
            path = os.path.join(self._folder, pagefile.bucket(key), pagefile.name(key))
            try:
                os.unlink(path)
            except OSError:
                # Gone already; or it stays, and the next scan finds it.
                continue
