"""
What is said about files of HDFS, in extended attributes.

What a writer said, with the ETag, lies in an attribute of the file, together with the
number, length and time that it was said of: where another program appended, or
restored an older file, nothing stale is told.  What is too long for one attribute lies
in several, under names that are never used twice, and the first says which: so it
changes all at once.
"""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from typing import Any

import attrs

from alluxio_tw.errors import MetadataTooLarge, NoSuchPath, StorageUnavailable
from alluxio_tw.iobjects import Status
from alluxio_tw.ufs.local_records import (
    NO_RECORD,
    STORAGE_CLASS,
    Record,
    dumped,
    parsed,
    record_of,
    written,
)
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_stat import Stat, status_of
from alluxio_tw.ufs.webhdfs_wire import Asking, Wire

XATTR = "user.alluxio-tw"

_XATTR_MOST = 12_000
"""Bytes of one attribute; HDFS takes 16,384 with the name, and it goes in a URL."""

_XATTRS_MOST = 24
"""Attributes of one record; HDFS takes 32 of a file, others' among them."""

_KNOWN_MOST = 50_000


@attrs.define(eq=False)
class HdfsRecords:
    """
    What is kept with the files of a cluster; paths are absolute here.
    """

    _wire: Wire
    _known: OrderedDict[str, tuple[str, str]] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )

    def known(self, stat: Stat) -> tuple[str, str] | None:
        """The ETag and the storage class of a file, if they are known by heart."""
        found = self._known.get(stat.version)
        if found is not None:
            self._known.move_to_end(stat.version)
        return found

    def told(self, stat: Stat, record: Record) -> Status:
        """The version that a file is; it is known by heart from now on."""
        status = status_of(stat, record)
        kind = record.attributes.headers.get(STORAGE_CLASS, "")
        self._known[stat.version] = (status.etag, kind)
        self._known.move_to_end(stat.version)
        if len(self._known) > _KNOWN_MOST:
            self._known.popitem(last=False)
        return status

    async def read(self, path: str, stat: Stat) -> tuple[Record, bool]:
        """
        What is said about a file, and whether it was said of exactly this one: or of
        one that it is a copy of, or that has taken its place.

        :raises NoSuchPath: it is gone.
        """
        document = await self._document(path)
        if (
            document is None
            or document.get("m") != stat.modified
            or document.get("s") != stat.size
        ):
            return NO_RECORD, True
        return record_of(document), document.get("i") == stat.id

    async def write(self, path: str, stat: Stat, record: Record) -> Status:
        """
        Keep what is said about a file.

        :raises MetadataTooLarge: it is too much.
        """
        before = await self._xattrs(path) if stat.version in self._known else {}
        document = {
            "i": stat.id,
            "m": stat.modified,
            "s": stat.size,
            **written(record),
        }
        raw = dumped(document)
        if len(raw) <= _XATTR_MOST:
            await self._set(path, XATTR, raw)
        else:
            pieces = [
                raw[at : at + _XATTR_MOST] for at in range(0, len(raw), _XATTR_MOST)
            ]
            if len(pieces) > _XATTRS_MOST:
                raise MetadataTooLarge()
            generation = secrets.token_hex(4)
            for number, piece in enumerate(pieces):
                await self._set(path, f"{XATTR}.{generation}.{number}", piece)
            await self._set(path, XATTR, f"+{generation}.{len(pieces)}".encode())
        for name in before:
            if name != XATTR:
                await self._unset(path, name)
        return self.told(stat, record)

    async def _document(self, path: str) -> dict[str, Any] | None:
        found = await self._xattrs(path)
        raw = found.get(XATTR, b"")
        if raw.startswith(b"+"):
            generation, _, count = raw[1:].decode("latin-1").partition(".")
            if not count.isascii() or not count.isdigit() or len(count) > 2:
                return None
            raw = b"".join(
                found.get(f"{XATTR}.{generation}.{number}", b"")
                for number in range(int(count))
            )
        return parsed(raw) if raw else None

    async def _xattrs(self, path: str) -> dict[str, bytes]:
        """Ours."""
        try:
            found = await self._wire.ask(
                Asking(b"GET", "GETXATTRS", path, (("encoding", "BASE64"),))
            )
        except Complaint as error:
            if error.no_directory:
                raise NoSuchPath() from error
            if "XAttr" in error.message and "disabled" in error.message:
                raise StorageUnavailable(
                    "HDFS keeps no extended attributes: mount it with attributes=false."
                ) from error
            raise error.noun() from error
        ours: dict[str, bytes] = {}
        try:
            for each in found["XAttrs"]:
                name, value = each["name"], each.get("value") or ""
                if name.startswith(XATTR) and value.startswith("0s"):
                    ours[name] = base64.b64decode(value[2:])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageUnavailable(
                "The storage answered what is no WebHDFS."
            ) from error
        return ours

    async def _set(self, path: str, name: str, value: bytes) -> None:
        await self._wire.call(
            Asking(
                b"PUT",
                "SETXATTR",
                path,
                (
                    ("xattr.name", name),
                    ("xattr.value", "0s" + base64.b64encode(value).decode()),
                    ("flag", "CREATE,REPLACE"),
                ),
            )
        )

    async def _unset(self, path: str, name: str) -> None:
        try:
            await self._wire.ask(
                Asking(b"PUT", "REMOVEXATTR", path, (("xattr.name", name),))
            )
        except Complaint as error:
            # Somebody else did it; what is left over is nowhere referred to.
            if error.name != "IOException":
                raise error.noun() from error

    async def note_folder(self, path: str, moment: int) -> None:
        """Keep when a folder was made, in nanoseconds since the epoch."""
        await self._set(path, XATTR, str(moment).encode())

    async def folder_noted(self, path: str) -> int | None:
        """When a folder was made, if that was kept."""
        try:
            said = (await self._xattrs(path)).get(XATTR, b"")
        except NoSuchPath:
            return None
        return int(said) if said.isdigit() and len(said) < 20 else None
