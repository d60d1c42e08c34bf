"""
A file system of fsspec's as a storage of objects.  Everything here blocks.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import attrs
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    StorageReadOnly,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import Demand, Status
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.fsspec_connection import Connection
from alluxio_tw.ufs.fsspec_times import Times, set_time
from alluxio_tw.ufs.fsspec_versions import etag_of, modified_of, status_of

NO_FOLDER = "The storage behind this bucket has no such folder."

SCRATCH = ".alluxio-tw-tmp"
"""Where objects are written that will be renamed."""

_STRICT_RMDIR = frozenset("file local memory sftp ssh ftp smb".split())
"""Whose C{rmdir} refuses a folder that is not empty; Arrow's removes all in it."""

_TRIES = 4


@attrs.define(eq=False)
class Storage(Connection):
    """
    The objects beneath a place in a file system.

    :ivar keep: how many levels of folders stay when they are empty.
    """

    keep: int = 0
    _prefix: str = attrs.field(init=False)
    _times: Times = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        root = self.address.root
        base = root.rstrip("/")
        rooted = root.startswith("/") or self.address.filesystem.root_marker == "/"
        self._prefix = f"{base}/" if base or rooted else ""
        self._times = Times.of(self.address.protocol)

    def path_of(self, key: str) -> str:
        """
        Where an object is.

        :raises UnsuitableKey: this file system would take the name for another.
        """
        parts = key.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in key:
            raise UnsuitableKey()
        if self.address.limits and any(len(part.encode()) > 255 for part in parts):
            raise UnsuitableKey()
        path = self._prefix + key
        # What a class makes of a path differs from class to class: some cut it at
        # a question mark, some expand a tilde.  A name that would become another
        # one is none that it can hold.
        if self.address.filesystem._strip_protocol(path) != path:
            raise UnsuitableKey()
        return path

    def folder_of(self, prefix: str) -> str:
        """Where a folder is: the empty prefix, or one that ends in a slash."""
        return self.path_of(prefix[:-1]) if prefix else self.address.root

    # --- objects --------------------------------------------------------------------

    def status(self, key: str) -> Status:
        """
        The current version.

        :raises NoSuchPath: there is none.
        """
        found = self._file(key)
        if found is None:
            raise NoSuchPath()
        return status_of(found)

    def block(
        self, key: str, status: Status, start: int, end: int, check: bool
    ) -> bytes:
        """
        Some bytes of a version.

        :param check: ask afterwards which version there is.  Tokens do not come
            again, so if it is still this one, it was this one all the time.
        :raises ObjectChanged: there is another version now.
        :raises NoSuchPath: it is gone.
        """
        path = self._readable(key)
        try:
            data = self._bytes(path, start, end)
        except Exception:
            if self.status(key).version != status.version:
                raise ObjectChanged() from None
            raise
        if check or len(data) != end - start:
            if self.status(key).version != status.version:
                raise ObjectChanged()
            if len(data) != end - start:
                # It tells one size and has another.
                raise StorageUnavailable()
        return data

    def whole(self, key: str, most: int) -> bytes:
        """
        All bytes of a small object; no more than so many of a large one.

        :raises NoSuchPath: there is none.
        """
        return self._bytes(self._readable(key), 0, most)

    def delete(self, key: str, demand: Demand) -> bool:
        """
        Delete an object, and in a tree the folders that it leaves empty.

        :raises PreconditionFailed: the demand does not hold.
        """
        found = self._file(key)
        demanded(demand, None if found is None else etag_of(found))
        if found is None:
            return False
        self._times.remember(key, modified_of(found))
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path_of(key))
        self.prune(key)
        return True

    def place(self, key: str, scratch: str, size: int, demand: Demand) -> Status:
        """
        Rename what was written to where it belongs.

        :param scratch: its path now.
        :param size: how many bytes were written.
        :raises PreconditionFailed: the demand does not hold.
        :raises PathConflict: a folder or a file is in the way.
        """
        path = self.path_of(key)
        for attempt in range(_TRIES):
            there = self._there(path)
            if there is not None and there["type"] == "directory":
                raise PathConflict()
            demanded(demand, None if there is None else etag_of(there))
            before = 0 if there is None else modified_of(there)
            self._date(key, scratch, before)
            try:
                self._make_parent(path)
                self._rename(scratch, path)
                break
            except FileNotFoundError:
                # Beneath a file, say some; or somebody removed the folder as soon as
                # we had made it.
                self._unobstructed(key)
                if attempt == _TRIES - 1:
                    raise
        made = self.status(key)
        if made.size != size:
            raise StorageUnavailable()
        self._times.remember(key, made.modified)
        return made

    def judge(self, key: str, demand: Demand) -> None:
        """
        Can an object be put here?

        :raises PreconditionFailed: the demand does not hold.
        :raises PathConflict: a folder or a file is in the way.
        """
        if demand.absent or demand.match is not None:
            found = self._file(key)
            demanded(demand, None if found is None else etag_of(found))
        if self.address.limits:
            self._unobstructed(key)

    def prune(self, key: str) -> None:
        """Remove the folders that lead to a key, if they are empty."""
        if not self.address.tree or self.address.protocol not in _STRICT_RMDIR:
            return
        parts = key.split("/")[:-1]
        while len(parts) > self.keep:
            try:
                self.fs.rmdir(self.path_of("/".join(parts)))
            except Exception:
                return  # not empty, most likely
            parts.pop()

    def scratch(self, name: str) -> str:
        """
        A path to write to; its folder is made.

        :raises StorageReadOnly: it cannot be.
        """
        path = self.path_of(f"{SCRATCH}/{name}")
        try:
            self._make_parent(path)
        except FileNotFoundError:
            # It was content to be asked, and made none.
            raise StorageReadOnly() from None
        return path

    def check(self) -> None:
        """
        Is it there?

        :raises StorageUnavailable: it is not.
        """
        path = self.address.root
        if self.address.protocol == "memory":
            # Nobody but us could have made it.
            self.fs.makedirs(path, exist_ok=True)
        while True:
            try:
                found = self.info(path)
            except FileNotFoundError:
                # Without folders, one that is empty is not there; its bucket is.
                parent = self.fs._parent(path)
                if self.address.tree or parent in (path, "", self.fs.root_marker):
                    raise StorageUnavailable(NO_FOLDER) from None
                path = parent
                continue
            if found["type"] != "directory" and not self._lists(path):
                raise StorageUnavailable(NO_FOLDER)
            return

    def _lists(self, path: str) -> bool:
        """Is there something beneath it, whatever it is called?  So it is with HTTP."""
        names = self.fs.ls(path, detail=False)
        return bool(names) and [self.fs._strip_protocol(path)] != [
            self.fs._strip_protocol(name) for name in names
        ]

    # --- within ---------------------------------------------------------------------

    def _readable(self, key: str) -> str:
        try:
            return self.path_of(key)
        except UnsuitableKey:
            raise NoSuchPath() from None

    def _there(self, path: str) -> dict[str, Any] | None:
        try:
            return self.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            # A name that cannot be is a name that is not there.
            if isinstance(self.faults.noun(error), UnsuitableKey | PathConflict):
                return None
            raise

    def _file(self, key: str) -> dict[str, Any] | None:
        try:
            found = self._there(self.path_of(key))
        except UnsuitableKey:
            return None
        if found is None or found.get("type") != "file" or found["size"] is None:
            return None
        return found

    def _bytes(self, path: str, start: int, end: int) -> bytes:
        if type(self.fs).cat_file is AbstractFileSystem.cat_file:
            with self.fs.open(path, "rb") as file:
                if isinstance(file, AbstractBufferedFile):
                    # Past the cache, which would read ahead for its own sake.
                    end = min(end, file.size)
                    data: bytes = file._fetch_range(start, end) if end > start else b""
                    return data
                if hasattr(file, "readv"):
                    # SFTP's requests are small; one after another they would cost a
                    # round trip each.
                    end = min(end, file.stat().st_size)
                    return b"".join(file.readv([(start, end - start)]))
                file.seek(start)
                parts = []
                while start < end and (part := file.read(end - start)):
                    parts.append(part)
                    start += len(part)
                return b"".join(parts)
        found: bytes = self.fs.cat_file(path, start=start, end=end)
        return found

    def _make_parent(self, path: str) -> None:
        """
        :raises PathConflict: a file is where a folder is needed.
        """
        parent = path.rpartition("/")[0]
        if len(parent) < len(self._prefix) or not self.address.tree:
            return
        found = self._there(parent)
        if found is None:
            self.fs.makedirs(parent, exist_ok=True)
            # Some are content with a file of that name.
            found = self.info(parent)
        if found["type"] != "directory":
            raise PathConflict()

    def _unobstructed(self, key: str) -> None:
        """
        :raises PathConflict: a folder or a file is in the way.
        """
        there = self._there(self.path_of(key))
        if there is not None and there["type"] == "directory":
            raise PathConflict()
        parts = key.split("/")
        for depth in range(1, len(parts)):
            there = self._there(self.path_of("/".join(parts[:depth])))
            if there is None:
                return
            if there["type"] != "directory":
                raise PathConflict()

    def _rename(self, source: str, target: str) -> None:
        fs = self.fs
        if type(fs).mv is not AbstractFileSystem.mv and not isinstance(
            fs, AsyncFileSystem
        ):
            fs.mv(source, target)
            return
        # The generic one takes stars in names for patterns.
        fs.cp_file(source, target)
        with suppress(FileNotFoundError):
            fs.rm_file(source)

    def _date(self, key: str, scratch: str, before: int) -> None:
        if self._times.step:
            own = modified_of(self.info(scratch))
            when = self._times.least(key, before, own)
            if when is not None:
                set_time(self.fs, scratch, when)
