"""
What the HDFS driver makes of namenodes and datanodes that fail, on real clusters.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from alluxio_tw.errors import NoSuchPath, StorageUnavailable
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, drain, get, keys_of, put
from alluxio_tw.ufs.webhdfs import make
from alluxio_tw.ufs.webhdfs_wire import Wire
from tests.servers.hdfs import DATANODES
from tests.ufs.test_webhdfs import HdfsCase


class NamenodeTests(HdfsCase, TestCase):
    """A pair of namenodes of which one is active."""

    namenodes = 2

    def tearDown(self) -> None:
        self.cluster.tell("active", "0")

    def active(self, ufs: Any) -> int:
        """Which namenode the driver believes to be the active one."""
        namenodes = ufs._wire.namenodes
        found: int = namenodes.addresses.index(namenodes.active)
        return found

    async def test_standby(self) -> None:
        """Whoever becomes active is found, and asked first from then on."""
        await put(self.ufs, "key", b"data")
        self.assertEqual(self.active(self.ufs), 0)
        self.cluster.tell("active", "1")
        self.assertEqual(await get(self.ufs, "key"), b"data")
        self.assertEqual(self.active(self.ufs), 1)
        await put(self.ufs, "a/other", b"x" * (1 << 20))
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/other", "key"])
        self.cluster.tell("active", "0")
        self.assertTrue(await self.ufs.delete("key", NO_DEMAND))
        self.assertEqual(self.active(self.ufs), 0)

    async def test_failover_while_writing(self) -> None:
        """An upload, and a body, go on while the namenodes change roles."""
        data = os.urandom(9 << 20)
        placing = await self.ufs.place("key", None)
        await placing.write(data[: 4 << 20])
        self.cluster.tell("active", "1")
        await placing.write(data[4 << 20 :])
        made = await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        await placing.abort()
        body = await self.ufs.read("key", made, Span(0, made.size))
        first = await body.read()
        assert isinstance(first, bytes)
        self.cluster.tell("active", "0")
        self.assertTrue(first + await drain(body) == data)

    async def test_dead(self) -> None:
        """A namenode that is gone is passed by; when all are, that is said."""
        await put(self.ufs, "key", b"data")
        self.cluster.tell("active", "1")
        self.cluster.tell("stop-namenode", "0")
        self.assertEqual(await get(self.ufs, "key"), b"data")
        self.assertEqual(self.active(self.ufs), 1)
        fresh = self.mount()
        await put(fresh, "key", b"other", OTHER)
        self.assertEqual(await get(self.ufs, "key"), b"other")
        self.cluster.tell("start-namenode", "0")

    async def test_none_active(self) -> None:
        """Where nobody is active it is told, after a few tries."""
        ufs = self.mount(retries="1")
        self.cluster.tell("none-active")
        error = await self.fails(ufs.status("key"), StorageUnavailable)
        self.assertEqual(str(error), "No namenode of HDFS is active.")


class SafeModeTests(HdfsCase, TestCase):
    """A namenode that lets nothing be changed."""

    async def test_safe_mode(self) -> None:
        """In safe mode there is reading; writing says why it cannot be."""
        ufs = self.mount(retries="1")
        old = await put(ufs, "key", b"data")
        self.cluster.tell("safemode", "on")
        self.addCleanup(self.cluster.tell, "safemode", "off")
        self.assertEqual(await get(ufs, "key"), b"data")
        works: list[Deferred[Any]] = [
            Deferred.fromCoroutine(put(ufs, "key", b"new")),
            Deferred.fromCoroutine(put(ufs, "key", b"x" * (1 << 20))),
            ufs.describe("key", old, self.some_attributes()),
            ufs.delete("key", NO_DEMAND),
        ]
        for work in works:
            await self.fails(work, StorageUnavailable)
        self.cluster.tell("safemode", "off")
        self.assertEqual(await ufs.status("key"), old)
        await put(ufs, "key", b"new")

    async def test_passes(self) -> None:
        """Safe mode that is soon over is waited for."""
        pause, waited = Wire.pause, []

        def paused(wire: Wire, tries: int) -> Deferred[None]:
            self.cluster.tell("safemode", "off")
            waited.append(tries)
            return pause(wire, tries)

        self.patch(Wire, "pause", paused)
        self.cluster.tell("safemode", "on")
        await self.ufs.make_folder("made")
        self.assertEqual(waited, [1])
        self.assertEqual([each.name for each in await self.ufs.folders()], ["made"])


class DatanodeTests(HdfsCase, TestCase):
    """Datanodes that die."""

    def ports(self) -> dict[str, int]:
        """The HTTP ports of the datanodes."""
        found = self.cluster.tell("datanodes").split(",")
        return {name: int(port) for name, port in (each.split(":") for each in found)}

    async def test_dies_midway(self) -> None:
        """A body whose datanode dies goes on from another one, and is whole."""
        data = os.urandom(24 << 20)
        made = await put(self.ufs, "key", data)
        body = await self.ufs.read("key", made, Span(0, len(data)))
        first = await body.read()
        assert isinstance(first, bytes)
        names = self.ports()
        (serving,) = [name for name, port in names.items() if is_connected(port)]
        self.cluster.tell("stop-datanode", serving)
        self.addCleanup(self.cluster.tell, "start-datanode", serving)
        self.assertTrue(first + await drain(body) == data)
        # The other one is asked from now on, whatever the namenode believes.
        for n in range(6):
            self.assertTrue(await get(self.ufs, "key", Span(n, 9)) == data[n : n + 9])
            await put(self.ufs, f"small/{n}", b"x" * 1000)
            await put(self.ufs, f"large/{n}", b"x" * 1_000_000)

    async def test_all_dead(self) -> None:
        """Without any datanode there is an error, and afterwards all is well."""
        ufs = self.mount(retries="1")
        old = await put(ufs, "key", b"data")
        for name in DATANODES:
            self.cluster.tell("stop-datanode", name)
        try:
            await self.fails(
                Deferred.fromCoroutine(get(ufs, "key")), StorageUnavailable
            )
            for size in (10, 1 << 20):
                await self.fails(
                    Deferred.fromCoroutine(put(ufs, "key", b"x" * size)),
                    StorageUnavailable,
                )
        finally:
            for name in DATANODES:
                self.cluster.tell("start-datanode", name)
        self.assertEqual(await self.ufs.status("key"), old)
        self.assertEqual(await get(self.ufs, "key"), b"data")
        await put(self.ufs, "key", b"new")

    async def test_not_mapped(self) -> None:
        """A datanode that nobody can resolve is an error that ends."""
        ufs = make(
            self.cluster.uri(self.folder),
            {"user": "tester", "retries": "1"},
            self.surroundings(),
        )
        self.addCleanup(ufs.close)
        await put(self.ufs, "key", b"data")
        self.assertEqual((await ufs.status("key")).size, 4)
        await self.fails(Deferred.fromCoroutine(get(ufs, "key")), StorageUnavailable)
        await self.fails(
            Deferred.fromCoroutine(put(ufs, "new", b"x")), StorageUnavailable
        )
        await self.fails(ufs.status("new"), NoSuchPath)


def is_connected(port: int) -> bool:
    """Is any connection from here to that port of loopback open?"""
    table = Path("/proc/self/net/tcp").read_text()
    return re.search(rf" 0100007F:{port:04X} 01 ", table) is not None
