"""
An object being written through fsspec.  Everything here blocks.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import attrs
from fsspec.spec import AbstractBufferedFile

from alluxio_tw.errors import StorageFull, StorageUnavailable
from alluxio_tw.iobjects import Demand, Status
from alluxio_tw.ufs.fsspec_storage import Storage


@attrs.define(eq=False)
class Writing:
    """
    An object being written.

    Its calls wait for each other: one that was given up may still run.
    """

    _storage: Storage
    _key: str
    _name: str
    _size: int | None
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _file: Any = attrs.field(default=None, init=False, repr=False)
    _path: str = attrs.field(default="", init=False)
    _written: int = attrs.field(default=0, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        with self._lock:
            self._open()
            view = memoryview(data)
            self._written += len(view)
            if hasattr(self._file, "set_pipelined") and len(view) > 1:
                # SFTP's requests are small: many at a time, then.  But all their
                # answers must have been read before there is another request, or
                # paramiko waits for them for ever; one that is not pipelined does.
                self._file.set_pipelined(True)
                try:
                    self._file.write(view[:-1])
                finally:
                    self._file.set_pipelined(False)
                view = view[-1:]
            while len(view):
                taken = self._file.write(view)
                # Not all say how much they took; those that do not took all.
                view = view[taken if taken is not None else len(view) :]

    def finish(self, demand: Demand) -> Status:
        """
        Make it the current object.

        :raises PreconditionFailed: the demand does not hold.
        """
        with self._lock:
            self._open()
            storage = self._storage
            if storage.address.tree:
                self._file.close()
                made = storage.place(self._key, self._path, self._written, demand)
                self._over = True
                return made
            storage.judge(self._key, demand)
            self._file.close()
            self._over = True
            made = storage.status(self._key)
            if made.size != self._written:
                raise StorageUnavailable()
            return made

    def discard(self) -> None:
        """Leave nothing of it, unless it is finished."""
        with self._lock:
            if self._over:
                return
            self._over = True
            file, self._file = self._file, None
            if file is None:
                return
            if isinstance(file, AbstractBufferedFile):
                # To close it would be to finish it, and so would to forget it.
                file.closed = True
                with suppress(NotImplementedError):
                    file.discard()
            else:
                with suppress(Exception):
                    file.close()
            if self._storage.address.tree:
                with suppress(FileNotFoundError):
                    self._storage.fs.rm_file(self._path)

    def _open(self) -> None:
        if self._over:
            raise StorageUnavailable("This write was given up.")
        if self._file is not None:
            return
        storage = self._storage
        part = storage.address.part
        if storage.address.tree:
            self._path = storage.scratch(self._name)
        else:
            self._path = storage.path_of(self._key)
            # Storages take so many parts, and no more.
            part = max(part, -(-(self._size or 0) // 9000 >> 20) << 20)
            if part > 1 << 30:
                raise StorageFull()
        # SFTP's buffer would be sent by whatever is called last.
        size = None if storage.address.protocol in ("sftp", "ssh") else part
        self._file = storage.fs.open(self._path, "wb", block_size=size)
