"""
A page as a file: its name, its bytes, and the footer that vouches for them.

A page file holds the page's bytes, then a footer: magic, version of the format,
the number of bytes, the page's key, and the xxh3-64 of the bytes.  It is written
under a temporary name and appears by rename, so a name that is there is a whole
page; the footer guards against what a rename does not: a machine that lost power
before the bytes reached the disk, a disk that changed its mind, and anyone who
put something else there.  No sync: a page lost in a power failure is a miss.

Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import os
import struct
from typing import Final

import xxhash

from alluxio_tw.ipages import PageKey

VERSION: Final = 1
_MAGIC: Final = b"ATWpage\x00"
# magic, version, number of bytes, object, number of the page, xxh3-64
_FOOTER: Final = struct.Struct(">8sII16sQQ")
FOOTER_LENGTH: Final = _FOOTER.size
BUCKETS: Final = 256

# File systems give out space in blocks; the quota counts it as they do.
_BLOCK: Final = 4096
_SLICE: Final = 256 * 1024


class Corrupt(Exception):
    """The file is not the page that its name says."""


def charge(length: int) -> int:
    """What a page of C{length} bytes costs on disk, in bytes."""
    return (length + FOOTER_LENGTH + _BLOCK - 1) // _BLOCK * _BLOCK


def bucket(key: PageKey) -> str:
    """
    The folder of a page: pages of a small object lie together, those of a large
    one are spread.
    """
    return f"{(key.object[0] + (key.number >> 8)) % BUCKETS:02x}"


def name(key: PageKey) -> str:
    """The page's file name."""
    return f"{key.object.hex()}-{key.number:x}"


def parse_name(text: str) -> PageKey | None:
    """What page a file name means; L{None} if it is none of ours."""
    left, dash, right = text.partition("-")
    if not dash or len(left) != 32:
        return None
    try:
        key = PageKey(bytes.fromhex(left), int(right, 16))
    except ValueError:
        return None
    # Only the one way of writing it: "+1", "0x1" and capitals are not ours.
    return key if name(key) == text else None


def write(folder: str, temporary: str, key: PageKey, data: bytes) -> int:
    """
    Make a page's file appear.

    :param folder: the one that holds the bucket folders.
    :param temporary: the path to write to first, on the same file system.
    :return: a descriptor of the file, for reading; the caller's to close.
    :raises OSError: it did not; nothing is left behind.
    """
    footer = _FOOTER.pack(
        _MAGIC,
        VERSION,
        len(data),
        key.object,
        key.number,
        xxhash.xxh3_64_intdigest(data),
    )
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            done = os.writev(fd, [data, footer])
            if done < len(data) + FOOTER_LENGTH:
                # A short write says that the disk is filling: the next says why.
                rest = memoryview(data + footer)[done:]
                while rest:
                    rest = rest[os.write(fd, rest) :]
            folder = os.path.join(folder, bucket(key))
            path = os.path.join(folder, name(key))
            try:
                os.rename(temporary, path)
            except FileNotFoundError:
                os.makedirs(folder, 0o700, exist_ok=True)
                os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_page(folder: str, key: PageKey, verify: bool) -> tuple[int, int]:
    """
    Open a page's file, and bring its bytes into memory.

    :param verify: compare the bytes with the checksum.
    :return: a descriptor, the caller's to close, and the number of bytes.
    :raises Corrupt: the file is not that page.
    :raises OSError: it cannot be read; L{FileNotFoundError} if it is not there.
    """
    path = os.path.join(folder, bucket(key), name(key))
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        length = os.fstat(fd).st_size - FOOTER_LENGTH
        if length <= 0:
            raise Corrupt
        footer = os.pread(fd, FOOTER_LENGTH, length)
        if len(footer) != FOOTER_LENGTH:
            raise Corrupt
        magic, version, said, object_id, number, checksum = _FOOTER.unpack(footer)
        if (magic, version, said, object_id, number) != (
            _MAGIC,
            VERSION,
            length,
            *key,
        ):
            raise Corrupt
        if verify:
            digest = xxhash.xxh3_64()
            for offset in range(0, length, _SLICE):
                digest.update(os.pread(fd, min(_SLICE, length - offset), offset))
            if digest.intdigest() != checksum:
                raise Corrupt
        else:
            warm(fd, length)
    except BaseException:
        os.close(fd)
        raise
    return fd, length


def warm(fd: int, length: int) -> None:
    """Read a file's first C{length} bytes, so that the next who does need not wait."""
    buffer = bytearray(min(_SLICE, length))
    for offset in range(0, length, _SLICE):
        os.preadv(fd, [buffer], offset)
