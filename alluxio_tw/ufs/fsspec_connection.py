"""
A file system of fsspec's, made when it is first used.  Everything here blocks.

It is made by the thread that uses it: many connect, or look for credentials, in
their constructor.  One that lost its connection is made anew.

Its caches are turned off: the gateway has its own, and knows how old they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import attrs
from fsspec.asyn import AsyncFileSystem
from fsspec.dircache import DirCache

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ufs.fsspec_address import ONE_BY_ONE, Address
from alluxio_tw.ufs.fsspec_faults import Complaint, Faults

P = ParamSpec("P")
T = TypeVar("T")

_NEAR = frozenset({"file", "local", "memory"})
"""These have no connection to lose; one has all its objects."""


@attrs.define(eq=False)
class Connection:
    """
    The file system of an address.
    """

    address: Address
    faults: Faults
    _fs: Any = attrs.field(default=None, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @property
    def fs(self) -> Any:
        """The file system; made if there is none."""
        with self._lock:
            if self._fs is None:
                fs = self.address.filesystem(
                    skip_instance_cache=True, **self.address.arguments
                )
                # Not by its option: some hand all options on to a library that
                # does not know it.
                if isinstance(getattr(fs, "dircache", None), DirCache):
                    fs.dircache = DirCache(use_listings_cache=False)
                self._fs = fs
            return self._fs

    def lost(self) -> None:
        """
        A call has failed: perhaps the connection is gone, and with it the file
        system.  Those that keep no connection in themselves are kept.
        """
        with self._lock:
            if self.address.protocol in _NEAR or isinstance(self._fs, AsyncFileSystem):
                return
            fs = self._fs
            if _is_alive(fs):
                return
            self._fs = None
            if self.address.protocol in ONE_BY_ONE:
                # Nobody else is using it now.
                _close(fs)

    def hung(self) -> None:
        """
        A call does not end.  Where there is one connection for all, it is closed:
        that ends the call, and the next one has a connection of its own.
        """
        if self.address.protocol in ONE_BY_ONE:
            # Not waiting for the lock: who hangs may have it.
            fs, self._fs = self._fs, None
            _close(fs)

    def calling(self, work: Callable[P, T]) -> Callable[P, T]:
        """C{work} of this storage, raising our nouns only."""
        translated = self.faults.translated(work)

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return translated(*args, **kwargs)
            except StorageUnavailable as error:
                if isinstance(error.__cause__, Complaint):
                    self.lost()
                raise

        return call

    def info(self, path: str) -> dict[str, Any]:
        """What is told of a path, now."""
        self.fs.invalidate_cache(path)
        found: dict[str, Any] = self.fs.info(path)
        return found

    def ls(self, path: str) -> list[dict[str, Any]]:
        """What is told of what lies in a folder, now."""
        self.fs.invalidate_cache(path)
        found: list[dict[str, Any]] = self.fs.ls(path, detail=True)
        return found


def _is_alive(fs: Any) -> bool:
    """Has it a connection of SSH's that is as good as ever?"""
    client: Any = getattr(fs, "client", None)
    if not hasattr(client, "get_transport"):
        return False
    transport = client.get_transport()
    return transport is not None and bool(transport.is_active())


def _close(fs: Any) -> None:
    """Close its connection, if it has one of its own."""
    for name in ("client", "ftp"):
        connection: Any = getattr(fs, name, None)
        if hasattr(connection, "close"):
            with suppress(Exception):
                connection.close()
            return
