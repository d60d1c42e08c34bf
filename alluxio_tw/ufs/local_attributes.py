"""
What writers said about files, kept beside their bytes.

One extended attribute holds all of it as compact JSON, tied to the file's size
and modification time: when another program writes the file, what we knew is no
longer true, and is passed over.  Where the file system has no such attributes,
or has no room for this one, a sidecar file holds the same; it is named by the
key, the size and the time, so the sidecar of a new version never replaces that
of the old one before the file itself does.

A file that has none of this gets an ETag that is made of its identity: it has a
dash in it, so no client takes it for an MD5, and it is a digest, so it tells
nobody the numbers of inodes.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import attrs

from alluxio_tw.ufs.local_keys import HIDDEN
from alluxio_tw.ufs.local_records import (
    ETAG,
    NO_RECORD,
    STORAGE_CLASS,
    Record,
    about,
    derived_etag,
    dumped,
    parsed,
    record_of,
    written,
)
from alluxio_tw.ufs.local_scratch import Scratch
from alluxio_tw.ufs.local_tree import Tree, sync_folder

NAME = "user.alluxio_tw"
_SIDECAR = f"{HIDDEN}/sidecar".encode()
_SPILLED = b'{"x":1}'
_LARGEST = 1 << 20
_STORAGE_CLASS_BYTES = STORAGE_CLASS.encode()

_NO_ROOM = frozenset({errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EDQUOT})
# A file that we may list but not read has nothing to say to us either.
_NOTHING = frozenset(
    {
        errno.ENODATA,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EACCES,
        errno.EPERM,
    }
)


@attrs.define(eq=False)
class AttributeStore:
    """
    Reads and writes records.  Everything here blocks.

    Files are given as an open descriptor, or by a path under C{/proc/self/fd}
    whose last name must not be followed.

    :ivar always_sidecar: do not even try extended attributes.
    """

    _tree: Tree
    _scratch: Scratch
    always_sidecar: bool = False
    _sidecars: bool = attrs.field(default=False, init=False)
    """Were there sidecar files when we last knew?  If not, there are none to remove."""

    def __attrs_post_init__(self) -> None:
        self._sidecars = os.path.isdir(self._tree.place_of(_SIDECAR))

    # Files

    def read(self, where: int | str | bytes, path: bytes, st: os.stat_result) -> Record:
        """The record of a file, if it is about what the file is now."""
        raw = self._raw(where, path, None, st)
        found = None if raw is None else about(parsed(raw), st)
        return NO_RECORD if found is None else record_of(found)

    def brief(
        self, where: int | str | bytes, path: bytes, st: os.stat_result
    ) -> tuple[str, str]:
        """A file's ETag and storage class, for listings."""
        raw = self._raw(where, path, None, st)
        if raw is None:
            return derived_etag(st), ""
        # As we write it, the ETag comes third: most need no JSON.
        start = b'{"s":%d,"m":%d,"e":"' % (st.st_size, st.st_mtime_ns)
        if raw.startswith(start) and _STORAGE_CLASS_BYTES not in raw:
            end = raw.find(b'"', len(start))
            etag = raw[len(start) : end].decode("latin-1")
            if end > 0 and "\\" not in etag and ETAG.match(etag) is not None:
                return etag, ""
        found = about(parsed(raw), st)
        if found is None:
            return derived_etag(st), ""
        record = record_of(found)
        storage_class = record.attributes.headers.get(STORAGE_CLASS, "")
        return record.etag or derived_etag(st), storage_class

    def write(
        self, fd: int, path: bytes, st: os.stat_result, record: Record, sync: bool
    ) -> None:
        """
        Keep a record with a file that is at C{path} or will be.

        :param st: of the file as it is now.
        :raises OSError: it cannot be kept.
        """
        if record == NO_RECORD:
            with suppress(OSError):
                os.removexattr(fd, NAME)
            return
        document = {"s": st.st_size, "m": st.st_mtime_ns, **written(record)}
        self._write(fd, path, _mark(st), document, sync)

    def forget(self, path: bytes, size: int, modified: int) -> None:
        """The file of this size and time that was at C{path} is no more."""
        if self._sidecars:
            with suppress(OSError):
                os.unlink(self._tree.place_of(_sidecar(path, f"{size:x}-{modified:x}")))

    def moved(self, old: bytes, new: bytes, st: os.stat_result, sync: bool) -> None:
        """The file that is at one path will be at another as well."""
        try:
            with open(self._tree.place_of(_sidecar(old, _mark(st))), "rb") as opened:
                found = parsed(opened.read(_LARGEST))
        except FileNotFoundError:
            return
        if found is not None:
            raw = dumped({**found, "path": os.fsdecode(new)})
            self._write_sidecar(_sidecar(new, _mark(st)), raw, sync)

    # Folders

    def read_folder(self, fd: int, path: bytes) -> Record | None:
        """The record of a folder that was made as an object; else L{None}."""
        raw = self._raw(fd, path, "folder", None)
        found = None if raw is None else parsed(raw)
        if found is None or found.get("f") != 1:
            return None
        record = record_of(found)
        modified = found.get("m")
        if not isinstance(modified, int) or not 0 <= modified < 1 << 63:
            modified = 0
        return attrs.evolve(record, modified=modified)

    def is_marked(self, fd: int, path: bytes) -> bool:
        """Is the folder an object?"""
        return self.read_folder(fd, path) is not None

    def write_folder(self, fd: int, path: bytes, record: Record, sync: bool) -> None:
        """Make a folder an object."""
        document = {"f": 1, "m": record.modified, **written(record)}
        self._write(fd, path, "folder", document, sync)

    def forget_folder(self, fd: int, path: bytes) -> None:
        """The folder is an object no longer."""
        with suppress(OSError):
            os.removexattr(fd, NAME)
        if self._sidecars:
            with suppress(FileNotFoundError):
                os.unlink(self._tree.place_of(_sidecar(path, "folder")))

    # Both

    def sweep(self, before: float) -> int:
        """
        Remove sidecars of what is no more.

        :param before: as L{Scratch.sweep}'s.
        """
        if not self._sidecars:
            return 0
        swept = 0
        for shard, _, names in os.walk(self._tree.place_of(_SIDECAR)):
            for name in names:
                file = os.path.join(shard, name)
                with suppress(OSError):
                    if os.stat(file).st_mtime < before and self._orphaned(file, name):
                        os.unlink(file)
                        swept += 1
        return swept

    def _orphaned(self, file: bytes, name: bytes) -> bool:
        with open(file, "rb") as opened:
            found = parsed(opened.read(_LARGEST))
        path = os.fsencode(str(found.get("path", ""))) if found is not None else b""
        try:
            with self._tree.opened(path, os.O_PATH) as fd:
                st = os.fstat(fd)
        except OSError:
            return True
        mark = "folder" if stat.S_ISDIR(st.st_mode) else _mark(st)
        return _sidecar(path, mark).rpartition(b"/")[2] != name

    def _raw(
        self,
        where: int | str | bytes,
        path: bytes,
        mark: str | None,
        st: os.stat_result | None,
    ) -> bytes | None:
        """
        What is kept with a file or folder, wherever it is kept.

        :param mark: if L{None}, that of C{st}.
        """
        if not self.always_sidecar:
            try:
                raw = os.getxattr(where, NAME, follow_symlinks=isinstance(where, int))
            except OSError as error:
                if error.errno in _NOTHING:
                    return None
                if error.errno != errno.ENOTSUP:
                    raise
            else:
                if raw != _SPILLED:
                    return raw
        if mark is None:
            assert st is not None
            mark = _mark(st)
        # Another process may have made the first sidecar: look in any case.
        try:
            with open(self._tree.place_of(_sidecar(path, mark)), "rb") as opened:
                self._sidecars = True
                return opened.read(_LARGEST)
        except FileNotFoundError:
            return None

    def _write(
        self, fd: int, path: bytes, mark: str, document: dict[str, Any], sync: bool
    ) -> None:
        if not self.always_sidecar:
            raw = dumped(document)
            try:
                os.setxattr(fd, NAME, raw)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    os.setxattr(fd, NAME, _SPILLED)
                elif error.errno != errno.ENOTSUP:
                    raise
            else:
                if self._sidecars:
                    with suppress(FileNotFoundError):
                        os.unlink(self._tree.place_of(_sidecar(path, mark)))
                return
        raw = dumped({**document, "path": os.fsdecode(path)})
        self._write_sidecar(_sidecar(path, mark), raw, sync)
        # As an extended attribute would: who has the file open sees by its change
        # time that something about it is new.
        with suppress(OSError):
            st = os.fstat(fd)
            os.utime(fd, ns=(st.st_atime_ns, st.st_mtime_ns))

    def _write_sidecar(self, sidecar: bytes, raw: bytes, sync: bool) -> None:
        made = self._scratch.make()
        try:
            made.write(raw)
            if sync:
                os.fsync(made.fd)
            with self._tree.made_parent(sidecar, sync) as (folder, name):
                os.rename(made.name, name, src_dir_fd=made.folder, dst_dir_fd=folder)
                if sync:
                    sync_folder(folder)
        except BaseException:
            made.discard()
            raise
        self._sidecars = True
        made.gone()


def _mark(st: os.stat_result) -> str:
    return f"{st.st_size:x}-{st.st_mtime_ns:x}"


def _sidecar(path: bytes, mark: str) -> bytes:
    digest = blake2b(path, digest_size=16).hexdigest()
    return b"%s/%s/%s.%s" % (
        _SIDECAR,
        digest[:2].encode(),
        digest[2:].encode(),
        mark.encode(),
    )
