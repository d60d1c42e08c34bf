"""
Checksums as HDFS has them, and writes that are verified by them on a real cluster.
"""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Sequence
from hashlib import md5
from typing import Any, cast

import attrs
from awscrt import checksums as crt
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.errors import NoSuchPath, StorageUnavailable
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_objects import ETAG, get, keys_of, put
from alluxio_tw.ufs import webhdfs_verifying
from alluxio_tw.ufs.webhdfs_checksum import Checksum, Cut, Told, cut_of, told_of
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_names import SCRATCH
from alluxio_tw.ufs.webhdfs_outflow import Outflow
from alluxio_tw.ufs.webhdfs_stat import Stat, stat_of
from alluxio_tw.ufs.webhdfs_wire import Asking, Wire
from tests.ufs.test_webhdfs import HdfsCase

MIB = 1 << 20

HADOOP = (
    (0, "MD5-of-0MD5-of-0CRC32", 0, 0, "70bc8f4b72a86921468bf8e8441dce51"),
    (1, "MD5-of-0MD5-of-512CRC32C", 512, 0, "dc236201841049096ad31b6213203a90"),
    (513, "MD5-of-0MD5-of-512CRC32C", 512, 0, "ab994f19a9734efcd16576cfd7a9cfec"),
    (MIB, "MD5-of-0MD5-of-512CRC32C", 512, 0, "5308c3e1a769f0720d623f114382e545"),
    (
        MIB + 1,
        "MD5-of-2048MD5-of-512CRC32C",
        512,
        2048,
        "745e83782217476516c5d6f59dae93f0",
    ),
    (
        3 * MIB,
        "MD5-of-2048MD5-of-512CRC32C",
        512,
        2048,
        "a121823b3cfdba3efa3f19019dcfde80",
    ),
    (
        5 * MIB,
        "MD5-of-2048MD5-of-512CRC32",
        512,
        2048,
        "2868d6e02d0eb2c71f08a60062cad1fd",
    ),
    (
        5 * MIB,
        "MD5-of-1024MD5-of-1024CRC32C",
        1024,
        1024,
        "a37a43750c29f661493efe641888d90c",
    ),
)
"""
What Hadoop 3.4.2 told of files of L{counted} bytes in blocks of a mebibyte: how many,
algorithm, bytes of a chunk, chunks of a block, digest.
"""


def counted(size: int) -> bytes:
    """The numbers from 0 to 250, again and again."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def plainly(data: bytes, cut: Cut) -> bytes:
    """The digest of some bytes, as Hadoop computes it, all at once."""
    crc = zlib.crc32 if cut.crc == "CRC32" else crt.crc32c
    blocks = b""
    for at in range(0, len(data), cut.block):
        block = data[at : at + cut.block]
        sums = [
            struct.pack(">I", crc(block[n : n + cut.chunk]))
            for n in range(0, len(block), cut.chunk)
        ]
        blocks += md5(b"".join(sums)).digest()
    buffer = 32
    while buffer < len(blocks):
        buffer *= 2
    return md5(blocks.ljust(buffer, b"\0")).digest()


def answer(algorithm: str, raw: str, length: int) -> Told | None:
    return told_of({"algorithm": algorithm, "bytes": raw, "length": length})


class ChecksumTests(SynchronousTestCase):
    """What is computed, without a cluster."""

    def made(self, data: bytes, cut: Cut | None = None) -> Checksum:
        checksum = Checksum(cut or Cut())
        checksum.update(data)
        return checksum

    def test_answers_of_hadoop(self) -> None:
        """What Hadoop 3.4.2 answered for known bytes is understood, and agrees."""
        for size, algorithm, chunk, chunks, digest in HADOOP:
            # Four zeroes follow what it says the length is.
            told = answer(algorithm, f"{chunk:08x}{chunks:016x}{digest}00000000", 28)
            assert told is not None
            data, cut = counted(size), Cut(told.crc, chunk or 512, MIB)
            checksum = self.made(data, cut)
            self.assertTrue(checksum.comparable(told, MIB), algorithm)
            self.assertTrue(checksum.agrees(told), algorithm)
            other = self.made(b"x" + data[1:], cut)
            self.assertFalse(other.agrees(told), algorithm)

    def test_composite(self) -> None:
        """The CRC of a whole file is compared, however it is cut."""
        for algorithm, raw in (("CRC32C", "e3069283"), ("CRC32", "cbf43926")):
            told = answer(f"COMPOSITE-{algorithm}", raw, 4)
            assert told is not None
            checksum = self.made(b"123456789", Cut(algorithm, 4, 4))
            self.assertTrue(checksum.comparable(told, MIB))
            self.assertTrue(checksum.agrees(told))
            self.assertFalse(self.made(b"12345678x", Cut(algorithm)).agrees(told))

    def test_pieces(self) -> None:
        """Whatever pieces the bytes come in, the digest is the same."""
        chosen = random.Random(11)
        for crc in ("CRC32C", "CRC32"):
            cut = Cut(crc, 16, 64)
            for size in [*range(131), 64 * 3, 64 * 8, 64 * 9 + 1]:
                data = chosen.randbytes(size)
                checksum, at = Checksum(cut), 0
                while at < size:
                    length = chosen.choice((1, 7, 15, 16, 17, 63, 64, 65, 200))
                    checksum.update(memoryview(data)[at : at + length])
                    at += length
                told = Told(crc, False, 16, plainly(data, cut))
                self.assertTrue(checksum.agrees(told), (size, crc))

    def test_comparable(self) -> None:
        """What was computed in another way is neither right nor wrong."""
        told = Told("CRC32C", False, 512, b"")
        large = self.made(bytes(1025), Cut(block=1024))
        self.assertTrue(large.comparable(told, 1024))
        self.assertFalse(large.comparable(told, 2048))
        self.assertTrue(self.made(bytes(1024), Cut(block=1024)).comparable(told, 2048))
        self.assertFalse(self.made(b"x").comparable(Told("CRC32", False, 512, b""), 1))
        self.assertFalse(self.made(b"x").comparable(Told("CRC32C", False, 64, b""), 1))
        self.assertEqual(
            large.learned(Told("CRC32", False, 64, b""), 2048), Cut("CRC32", 64, 2048)
        )

    def test_answers(self) -> None:
        """Algorithms that are not known are told from answers that are none."""
        self.assertIsNone(answer("MD5", "00" * 16, 16))
        for found in (
            None,
            {},
            {"algorithm": "MD5", "bytes": "zz", "length": 1},
            {"algorithm": "COMPOSITE-CRC32C", "bytes": "00", "length": 4},
            {"algorithm": "COMPOSITE-CRC32C", "bytes": "00" * 5, "length": 5},
            {"algorithm": "MD5-of-0MD5-of-512CRC32C", "bytes": "00" * 27, "length": 27},
        ):
            self.assertRaises(StorageUnavailable, told_of, found)

    def test_defaults(self) -> None:
        """What a cluster says of its files is taken, where it makes sense."""
        self.assertEqual(cut_of(None, 0), Cut())
        said = {"checksumType": 1, "bytesPerChecksum": 64, "blockSize": MIB}
        self.assertEqual(cut_of(said, 0), Cut("CRC32", 64, MIB))
        self.assertEqual(cut_of(said, 2 * MIB), Cut("CRC32", 64, 2 * MIB))
        self.assertEqual(cut_of({"blockSize": -1, "checksumType": "?"}, 0), Cut())

    def test_plain(self) -> None:
        """Files whose blocks hold something else than their bytes are known."""
        told = {
            "pathSuffix": "",
            "type": "FILE",
            "fileId": 7,
            "length": 1,
            "modificationTime": 1,
        }
        self.assertTrue(stat_of(told).plain)
        for bit in ("encBit", "ecBit"):
            self.assertFalse(stat_of({**told, bit: True}).plain)


class VerifyingTests(HdfsCase, TestCase):
    """Writes to a real cluster."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.warned: list[str] = []
        observer = cast("ILogObserver", self._logged)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _logged(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").endswith("webhdfs_verifying.Verifying"):
            self.warned.append(event["why"])

    def count(self, op: str) -> list[str]:
        """The paths that a datanode is asked about from now on."""
        asked: list[str] = []
        fetched = Wire.fetched

        def counted(wire: Wire, asking: Asking, timeout: float) -> Any:
            if asking.op == op:
                asked.append(asking.path)
            return fetched(wire, asking, timeout)

        self.patch(Wire, "fetched", counted)
        return asked

    def spoil(self) -> None:
        """From now on a byte of what is sent is another on the way."""
        whole, write = Outflow.whole.__func__, Outflow.write  # type: ignore[attr-defined]

        def spoilt(data: Any) -> bytes:
            return bytes(data[:-1]) + bytes([data[-1] ^ 1])

        def spoilt_whole(
            cls: type[Outflow], pieces: Sequence[Any], *rest: Any
        ) -> Outflow:
            made: Outflow = whole(cls, [spoilt(piece) for piece in pieces], *rest)
            return made

        def spoilt_write(outflow: Outflow, data: Any) -> Deferred[None]:
            return write(outflow, spoilt(data))

        self.patch(Outflow, "whole", classmethod(spoilt_whole))
        self.patch(Outflow, "write", spoilt_write)

    async def check_sizes(self, ufs: Any, sizes: Sequence[int]) -> None:
        asked = self.count("GETFILECHECKSUM")
        for size in sizes:
            data = os.urandom(size)
            pieces = [data[at : at + 300_001] for at in range(0, size, 300_001)]
            await put(ufs, f"k/{size}", pieces)
            self.assertTrue(await get(ufs, f"k/{size}") == data, size)
        self.assertEqual(len(asked), len(sizes))
        self.assertEqual(self.warned, [])

    async def test_sizes(self) -> None:
        """What arrived as it was sent becomes current, of one block and of many."""
        ufs = self.mount(verify_writes="true", block_size="1MB")
        await self.check_sizes(
            ufs, (0, 1, 511, 512, 513, MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB + 513)
        )
        await ufs.close()

    async def test_clusters_blocks(self) -> None:
        """The cluster is asked how it cuts files."""
        ufs = self.mount(verify_writes="true")
        await self.check_sizes(ufs, (9 * MIB + 7,))
        await ufs.close()

    async def test_pause(self) -> None:
        """What was appended after a pause is verified with the rest."""
        ufs = self.mount(
            verify_writes="true", block_size="1MB", write_pause="20ms", connections="1"
        )
        asked = self.count("GETFILECHECKSUM")
        placing = await ufs.place("key", None)
        for _ in range(3):
            await placing.write(os.urandom(700_001))
            # There is one connection for writers: this one waits for the pause.
            await put(ufs, "other", b"x" * 1000)
        made = await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        await placing.abort()
        self.assertEqual((made.size, len(asked)), (2_100_003, 4))
        self.assertEqual(self.warned, [])
        await ufs.close()

    async def test_spoilt(self) -> None:
        """What arrived otherwise than it was sent never becomes current."""
        ufs = self.mount(verify_writes="true")
        old = await put(ufs, "key", b"old")
        self.spoil()
        for size in (1, 1000, 9 * MIB):
            for key in ("key", "new"):
                error = await self.fails(
                    Deferred.fromCoroutine(put(ufs, key, os.urandom(size))),
                    StorageUnavailable,
                )
                self.assertIn("something else than what was written", str(error))
        self.assertEqual(await ufs.status("key"), old)
        self.assertEqual(await get(ufs, "key"), b"old")
        await self.fails(ufs.status("new"), NoSuchPath)
        self.assertEqual(await keys_of(ufs, ListQuery()), ["key"])
        # No file of ours is left lying about.
        self.assertEqual(await ufs._files.some(SCRATCH), [])
        await ufs.close()

    async def test_not_asked(self) -> None:
        """A mount that does not say so verifies nothing."""
        asked = self.count("GETFILECHECKSUM")
        self.spoil()
        await put(self.ufs, "key", b"old")
        self.assertEqual((await get(self.ufs, "key"), asked), (b"ole", []))

    async def test_otherwise_cut(self) -> None:
        """A cut that was not expected is no damage; the next files are verified."""
        self.patch(webhdfs_verifying, "cut_of", lambda found, block: Cut(block=MIB))
        ufs = self.mount(verify_writes="true")
        placings = [await ufs.place(f"k{n}", None) for n in range(2)]
        for placing in placings:
            await placing.write(bytes(3 * MIB))
            await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
            await placing.abort()
        self.assertEqual(len(self.warned), 1)
        await put(ufs, "right", os.urandom(5 * MIB))
        self.spoil()
        await self.fails(
            Deferred.fromCoroutine(put(ufs, "wrong", bytes(5 * MIB))),
            StorageUnavailable,
        )
        self.assertEqual(len(self.warned), 1)
        await ufs.close()

    async def test_unknown(self) -> None:
        """What cannot be compared is written, and said once."""
        self.patch(webhdfs_verifying, "told_of", lambda found: None)
        ufs = self.mount(verify_writes="true")
        for _ in range(2):
            await put(ufs, "key", b"data")
        self.assertEqual(len(self.warned), 1)
        self.assertEqual(await get(ufs, "key"), b"data")
        await ufs.close()

    async def test_not_plain(self) -> None:
        """Of files that are not stored as they are no checksum is asked."""
        asked = self.count("GETFILECHECKSUM")
        stat = HdfsFiles.stat

        async def encrypted(files: HdfsFiles, path: str) -> Stat:
            return attrs.evolve(await stat(files, path), plain=False)

        self.patch(HdfsFiles, "stat", encrypted)
        ufs = self.mount(verify_writes="true")
        for _ in range(2):
            await put(ufs, "key", b"data")
        self.assertEqual((await get(ufs, "key"), asked), (b"data", []))
        self.assertEqual(len(self.warned), 1)
        self.assertIn("encrypted", self.warned[0])
        await ufs.close()
