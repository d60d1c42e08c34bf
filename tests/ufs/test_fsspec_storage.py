"""
What the bridge makes of file systems that change, fail, or are unlike the others.
"""

from __future__ import annotations

import os
import signal
import time
import zipfile
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from twisted.trial.unittest import SkipTest, TestCase

from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    StorageBusy,
    StorageReadOnly,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import drain, get, keys_of, put
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.ufs.fsspec import FsspecUFS, make
from tests.servers import sftp
from tests.servers.s3 import NotInstalled


class Cutting(MemoryFileSystem):  # type: ignore[misc]
    """Takes what follows a question mark for something else, as some do."""

    protocol = "cutting"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        bare: str = MemoryFileSystem._strip_protocol(path.removeprefix("cutting://"))
        return bare.partition("?")[0]


class Flaky(MemoryFileSystem):  # type: ignore[misc]
    """Loses its connection when it is told to, for good."""

    protocol = "flaky"
    made = 0
    broken = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        type(self).made += 1
        type(self).broken = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        bare: str = MemoryFileSystem._strip_protocol(path.removeprefix("flaky://"))
        return bare

    def info(self, path: str, **options: Any) -> Any:
        if self.broken:
            raise ConnectionResetError("Socket is closed; password was opensesame")
        return super().info(path, **options)


for each in (Cutting, Flaky):
    fsspec.register_implementation(each.protocol, each, clobber=True)


class StorageCase(UFSCase, TestCase):
    uri = "fsspec+file://"

    def make_ufs(self) -> FsspecUFS:
        self.root = os.path.abspath(self.mktemp())
        os.mkdir(self.root)
        return self.mount(f"fsspec+file://{self.root}", block="64KB")

    def mount(self, uri: str, **options: str) -> FsspecUFS:
        made = make(
            uri,
            {k.replace("option_", "option."): v for k, v in options.items()},
            self.surroundings(),
        )
        assert isinstance(made, FsspecUFS)
        self.addCleanup(made.close)
        return made

    def path(self, *names: str) -> str:
        return os.path.join(self.root, *names)


class ChangingTests(StorageCase):
    """Others write as well."""

    async def changed(self, change: Any, *errors: type[Exception]) -> None:
        data = os.urandom(640 << 10)
        status = await put(self.ufs, "key", data)
        body = await self.ufs.read("key", status, Span(0, len(data)))
        got = await body.read()
        assert isinstance(got, bytes)
        whole = bytearray(got)
        change()
        with self.assertRaises(errors):
            while (piece := await body.read()) is not None:
                assert isinstance(piece, bytes)
                whole += piece
        body.close()
        self.assertLess(len(whole), len(data))
        self.assertTrue(data.startswith(whole[: 64 << 10]))

    async def test_replaced(self) -> None:
        """Who reads while the object is replaced never gets to an end."""

        def replace() -> None:
            with open(self.path("new"), "wb") as file:
                file.write(os.urandom(640 << 10))
            os.rename(self.path("new"), self.path("key"))

        await self.changed(replace, ObjectChanged)

    async def test_written_into(self) -> None:
        """Nor who reads while somebody writes into it."""

        def write() -> None:
            with open(self.path("key"), "r+b") as file:
                file.seek(600 << 10)
                file.write(b"x")

        await self.changed(write, ObjectChanged)

    async def test_cut(self) -> None:
        """Nor who reads what is cut off."""
        await self.changed(lambda: os.truncate(self.path("key"), 1000), ObjectChanged)

    async def test_gone(self) -> None:
        """Nor who reads what is removed."""
        await self.changed(lambda: os.unlink(self.path("key")), NoSuchPath)

    async def test_later(self) -> None:
        """A version has a later time than the one before it, whatever the clock says."""
        old = await put(self.ufs, "key", b"old")
        ahead = time.time_ns() + 3_600_000_000_000
        os.utime(self.path("key"), ns=(ahead, ahead))
        old = await self.ufs.status("key")
        new = await put(self.ufs, "key", b"new")
        self.assertGreater(new.modified, old.modified)
        await self.ufs.delete("key", NO_DEMAND)
        newer = await put(self.ufs, "key", b"ne2")
        self.assertGreater(newer.modified, new.modified)

    async def test_strange_files(self) -> None:
        """Pipes are no objects, and nobody waits for them; links to files are."""
        os.mkfifo(self.path("pipe"))
        await put(self.ufs, "key", b"data")
        os.symlink("key", self.path("link"))
        os.symlink("nowhere", self.path("broken"))
        await self.fails(self.ufs.open("pipe"), NoSuchPath)
        await self.fails(self.ufs.open("broken"), NoSuchPath)
        self.assertEqual(await get(self.ufs, "link"), b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key", "link"])

    async def test_root_gone(self) -> None:
        """A root that is not there is an outage, not an empty bucket."""
        os.rmdir(self.root)
        error = await self.fails(self.ufs.check(), StorageUnavailable)
        self.assertIn("no such folder", str(error))
        await self.fails(self.ufs.list(ListQuery()), StorageUnavailable)
        os.mkdir(self.root)
        await self.ufs.check()


class MemoryTests(StorageCase):
    """What readers hold."""

    async def test_given_back(self) -> None:
        """Whatever becomes of bodies, their memory comes back."""
        ufs = self.mount(f"fsspec+file://{self.root}", block="64KB", memory="1MB")
        data = os.urandom(640 << 10)
        status = await put(ufs, "key", data)
        span = Span(0, len(data))
        bodies = [await ufs.read("key", status, span) for _ in range(12)]
        self.assertLess(ufs.blocks.free, 512 << 10)
        for n, body in enumerate(bodies):
            for _ in range(n % 4):
                await body.read()
            if n % 3:
                body.close()
            else:
                await drain(body)
        self.assertEqual(ufs.blocks.free, 1 << 20)

    async def test_spent(self) -> None:
        """When memory is spent, readers get on in small steps."""
        ufs = self.mount(f"fsspec+file://{self.root}", memory="64KB", block="1MB")
        data = os.urandom(3 << 20)
        await put(ufs, "key", data)
        self.assertTrue(await get(ufs, "key") == data)
        self.assertEqual(ufs.blocks.free, 64 << 10)


class LeftoverTests(StorageCase):
    async def test_swept(self) -> None:
        """Scratch files of the dead are removed when they are old, and no others."""
        placing = await self.ufs.place("key", None)
        await placing.write(b"x" * (2 << 20))
        for name, age in (("old", 7200), ("young", 60)):
            path = self.path(".alluxio-tw-tmp", name)
            with open(path, "wb") as file:
                file.write(b"left")
            os.utime(path, (time.time() - age, time.time() - age))
        self.assertEqual(await self.ufs.sweep(3600), 1)
        self.assertEqual(await self.ufs.sweep(0), 1)
        made = await placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
        await placing.abort()
        self.assertEqual(made.size, 2 << 20)
        self.assertEqual(os.listdir(self.path(".alluxio-tw-tmp")), [])


class UnlikeTests(StorageCase):
    """File systems that are unlike the others."""

    async def test_altered_names(self) -> None:
        """A name that the file system would take for another is refused."""
        ufs = self.mount("fsspec+cutting://", option_global_store="false")
        await put(ufs, "a", b"data")
        for key in ("a?b", "a?", "b?/c"):
            await self.fails(ufs.place(key, None), UnsuitableKey)
            await self.fails(ufs.open(key), NoSuchPath)
            self.assertFalse(await ufs.delete(key, NO_DEMAND))
        self.assertEqual(await get(ufs, "a"), b"data")

    async def test_connected_again(self) -> None:
        """A file system that lost its connection is made anew for the next call."""
        ufs = self.mount("fsspec+flaky://", option_password="opensesame")
        await put(ufs, "key", b"data")
        made = Flaky.made
        Flaky.broken = True
        error = await self.fails(ufs.status("key"), StorageUnavailable)
        self.assertNotIn("opensesame", repr(error.__cause__))
        self.assertIn("Socket is closed", repr(error.__cause__))
        self.assertEqual((await ufs.status("key")).size, 4)
        self.assertEqual(Flaky.made, made + 1)

    async def test_new_memory(self) -> None:
        """A folder in memory that nobody has written to is there, and empty."""
        name = f"new-{id(self)}"
        ufs = self.mount(f"fsspec+memory://{name}/deep")
        await ufs.check()
        self.assertEqual(await keys_of(ufs, ListQuery()), [])

    async def test_archive(self) -> None:
        """An archive is a bucket to be read."""
        path = self.path("archive.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/one", b"1" * 100_000)
            archive.writestr("two", b"2")
        ufs = self.mount("fsspec+zip://", option_fo=path)
        await ufs.check()
        self.assertEqual(await keys_of(ufs, ListQuery()), ["a/one", "two"])
        self.assertEqual(await get(ufs, "a/one", Span(99_990, 10)), b"1" * 10)
        (one,) = (await ufs.list(ListQuery("a/"))).entries
        self.assertEqual((await ufs.status("a/one")).etag, one.etag)
        placing = await ufs.place("three", None)
        await placing.write(b"3")
        await self.fails(placing.commit("", NO_ATTRIBUTES, NO_DEMAND), StorageReadOnly)
        await placing.abort()


class HangingTests(StorageCase):
    async def test_connection(self) -> None:
        """A connection on which nothing comes any more is given up for a new one."""
        try:
            server = sftp.Server.start()
        except NotInstalled as error:
            if os.environ.get("CI") == "true":
                raise
            raise SkipTest(str(error)) from error
        self.addCleanup(server.stop)
        uri = f"fsspec+sftp://{sftp.USER}@127.0.0.1:{server.port}{server.make_place()}"
        ufs = self.mount(uri, option_password=sftp.PASSWORD, timeout="1s")
        made = await put(ufs, "key", b"data")
        self.addCleanup(server.process.send_signal, signal.SIGCONT)
        server.process.send_signal(signal.SIGSTOP)
        await self.fails(ufs.status("key"), StorageUnavailable)
        server.process.send_signal(signal.SIGCONT)
        while True:
            try:
                found = await ufs.status("key")
                break
            except (StorageUnavailable, StorageBusy):
                continue  # on a machine that is busy, a second may be short
        self.assertEqual(found, made)
        self.assertEqual(ufs.calls.running, 0)
