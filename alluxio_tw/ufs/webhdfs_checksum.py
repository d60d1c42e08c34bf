"""
The checksums that HDFS tells of its files, computed from the bytes that are sent.

HDFS keeps a CRC of each chunk of a file, mostly of 512 bytes.  GETFILECHECKSUM tells
the MD5, over the blocks, of the MD5s of their CRCs; or, if the cluster is set so, the
CRC of the whole file.  The former depends on how the file is cut (L{Cut}), which has
to be known before the first byte.  Nothing is kept of what went by but three digests.

Hadoop takes the MD5 over the whole of a buffer that begins with 32 bytes and doubles
when it is full: the digests of the blocks are followed by zeroes up to there.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from hashlib import md5
from typing import Any

import attrs
from awscrt import checksums as crt
from zlib_ng import zlib_ng

from alluxio_tw.errors import StorageUnavailable

Data = bytes | bytearray | memoryview

_CRCS: dict[str, Callable[[Data, int], int]] = {
    "CRC32": zlib_ng.crc32,
    "CRC32C": crt.crc32c,
}

_CHECKSUM_TYPES = {1: "CRC32", 2: "CRC32C"}

_CHUNK_MOST = 1 << 20
_BUFFER_LEAST = 32
_MD5 = 16

_OF_BLOCKS = re.compile(r"MD5-of-[0-9]+MD5-of-[0-9]+(CRC32C?)", re.ASCII).fullmatch
_OF_ALL = re.compile(r"COMPOSITE-(CRC32C?)", re.ASCII).fullmatch


@attrs.frozen
class Cut:
    """
    How a file is cut, and which CRC its chunks have.

    :ivar crc: C{CRC32C} or C{CRC32}.
    :ivar chunk: bytes that have one CRC.
    :ivar block: bytes of a block.
    """

    crc: str = "CRC32C"
    chunk: int = 512
    block: int = 128 << 20


DEFAULT_CUT = Cut()
"""Hadoop's own, where a cluster does not tell."""


def cut_of(defaults: Any, block: int) -> Cut:
    """
    How files are cut, from what GETSERVERDEFAULTS answers.

    :param block: bytes of a block; nought for what the answer says.
    """
    found = defaults if isinstance(defaults, dict) else {}

    def number(name: str, default: int) -> int:
        value = found.get(name)
        return value if isinstance(value, int) and value > 0 else default

    return Cut(
        _CHECKSUM_TYPES.get(number("checksumType", 2), DEFAULT_CUT.crc),
        min(number("bytesPerChecksum", DEFAULT_CUT.chunk), _CHUNK_MOST),
        block or number("blockSize", DEFAULT_CUT.block),
    )


@attrs.frozen
class Told:
    """
    What GETFILECHECKSUM answered.

    :ivar crc: C{CRC32C} or C{CRC32}.
    :ivar whole: it is the CRC of the whole file, not a digest of its blocks.
    :ivar chunk: bytes that have one CRC; nought where there are none.
    """

    crc: str
    whole: bool
    chunk: int
    digest: bytes


def told_of(found: Any) -> Told | None:
    """
    Read what GETFILECHECKSUM answers.

    :return: L{None} if its algorithm is not known here.
    :raises StorageUnavailable: it is something else.
    """
    try:
        algorithm, length = str(found["algorithm"]), int(found["length"])
        raw = bytes.fromhex(found["bytes"])
        if length < 0 or len(raw) < length:
            raise ValueError("it is cut off")
        # Some zeroes may follow.
        raw = raw[:length]
        if (match := _OF_ALL(algorithm)) is not None:
            return Told(match[1], True, 0, struct.pack(">I", *struct.unpack(">I", raw)))
        if (match := _OF_BLOCKS(algorithm)) is not None:
            chunk, _, digest = struct.unpack(f">iq{_MD5}s", raw)
            return Told(match[1], False, chunk, digest)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise StorageUnavailable("The storage answered what is no WebHDFS.") from error
    return None


@attrs.define(eq=False)
class Checksum:
    """
    The checksums of bytes that come piece by piece.

    :ivar cut: how the file that they make will be cut.
    :ivar size: how many came.
    """

    cut: Cut
    size: int = attrs.field(default=0, init=False)
    _whole: int = attrs.field(default=0, init=False)
    _chunk: int = attrs.field(default=0, init=False)
    _blocks: int = attrs.field(default=0, init=False)
    _block: Any = attrs.field(init=False, repr=False)
    _all: Any = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._block = md5(usedforsecurity=False)
        self._all = md5(usedforsecurity=False)

    def update(self, data: Data) -> None:
        """Take the bytes that follow."""
        view = memoryview(data)
        self._whole = _CRCS[self.cut.crc](view, self._whole)
        while len(view):
            part = view[: self.cut.block - self.size % self.cut.block]
            self._within(part)
            view = view[len(part) :]
            if self.size % self.cut.block == 0:
                self._end_block()

    def _within(self, part: memoryview) -> None:
        """Take bytes of one block."""
        crc, chunk = _CRCS[self.cut.crc], self.cut.chunk
        filled = self.size % self.cut.block % chunk
        self.size += len(part)
        if filled:
            rest = part[: chunk - filled]
            self._chunk = crc(rest, self._chunk)
            if filled + len(rest) < chunk:
                return
            self._block.update(struct.pack(">I", self._chunk))
            self._chunk = 0
            part = part[len(rest) :]
        end = len(part) - len(part) % chunk
        sums = [crc(part[at : at + chunk], 0) for at in range(0, end, chunk)]
        self._block.update(struct.pack(f">{len(sums)}I", *sums))
        self._chunk = crc(part[end:], 0)

    def _end_block(self) -> None:
        # HDFS has whole chunks in its blocks: only the last one can be short.
        if self.size % self.cut.block % self.cut.chunk:
            self._block.update(struct.pack(">I", self._chunk))
        self._all.update(self._block.digest())
        self._blocks += 1
        self._block = md5(usedforsecurity=False)
        self._chunk = 0

    def agrees(self, told: Told) -> bool:
        """
        Are these the bytes that HDFS has?  Asked once, after the last of them.

        :param told: of a file that is cut as ours is (see L{comparable}).
        """
        if told.whole:
            return told.digest == struct.pack(">I", self._whole)
        if self.size % self.cut.block:
            self._end_block()
        length = _MD5 * self._blocks
        buffer = _BUFFER_LEAST
        while buffer < length:
            buffer *= 2
        self._all.update(bytes(buffer - length))
        return told.digest == bytes(self._all.digest())

    def comparable(self, told: Told, block: int) -> bool:
        """
        Is what was told computed as ours is?

        :param block: bytes of a block of the file, as its status says.
        """
        if not self.size:
            # There is nothing to cut; Hadoop then tells no size of chunks.
            return True
        if told.crc != self.cut.crc:
            return False
        if told.whole:
            return True
        one_block = self.size <= min(block, self.cut.block)
        return told.chunk == self.cut.chunk and (one_block or block == self.cut.block)

    def learned(self, told: Told, block: int) -> Cut:
        """How files of this cluster are cut, as far as it was told."""
        return Cut(
            told.crc,
            told.chunk if 0 < told.chunk <= _CHUNK_MOST else self.cut.chunk,
            block if block > 0 else self.cut.block,
        )
