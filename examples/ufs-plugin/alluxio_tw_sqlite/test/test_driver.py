"""
What the contract does not ask: the file, other writers, and what is configured.
"""

from __future__ import annotations

import os
import sqlite3

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Demand
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import drain, get, keys_of, put
from alluxio_tw.threads import NoThreads
from alluxio_tw_sqlite.driver import make


class DriverTests(SynchronousTestCase):
    """A file, and one or two drivers of it."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.ufs = self.make()

    def make(self) -> IUnderFileSystem:
        """A driver of the file, as another daemon would have it."""
        around = Surroundings(self.clock, NoThreads())
        ufs = make(f"sqlite://{self.path}", {}, around)
        self.addCleanup(lambda: self.successResultOf(ufs.close()))
        return ufs

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)

    def test_two_daemons(self) -> None:
        """What one writes the other sees, and of two that race one wins."""
        other = self.make()
        first = Demand(absent=True)
        self.successResultOf(put(self.ufs, "key", b"ours", demand=first))
        self.failureResultOf(
            put(other, "key", b"theirs", demand=first), PreconditionFailed
        )
        self.assertEqual(self.successResultOf(get(other, "key")), b"ours")

    def test_nothing_left(self) -> None:
        """What is replaced or deleted leaves no bytes behind."""
        for size in (1_000_000, 10, 0):
            self.successResultOf(put(self.ufs, "key", b"x" * size))
        self.assertEqual((self.rows("pieces"), self.rows("drafts")), (0, 0))
        self.successResultOf(put(self.ufs, "key", b"x" * 1_000_000))
        self.assertEqual(self.rows("pieces"), 4)
        self.assertTrue(self.successResultOf(self.ufs.delete("key", NO_DEMAND)))
        self.assertEqual((self.rows("pieces"), self.rows("objects")), (0, 0))

    def test_dead_drafts(self) -> None:
        """What a daemon that died had begun is swept when it is old, and no sooner."""
        dead = self.make()
        placing = self.successResultOf(dead.place("key", None))
        self.successResultOf(placing.write(b"x" * 600_000))
        self.clock.advance(10)
        self.assertEqual(self.successResultOf(self.ufs.sweep(60)), 0)
        self.assertEqual(self.successResultOf(self.ufs.sweep(5)), 1)
        self.assertEqual((self.rows("pieces"), self.rows("drafts")), (0, 0))
        # It was not dead after all: it hears that it took too long.
        work = placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
        self.assertIn("took too long", self.failureResultOf(work).getErrorMessage())
        self.assertEqual(self.successResultOf(keys_of(self.ufs, ListQuery())), [])

    def test_written_after_abort(self) -> None:
        """A write that was cancelled and goes on finds that all was given up."""
        for before in (0, 300_000):
            placing = self.successResultOf(self.ufs.place("key", None))
            self.successResultOf(placing.write(b"x" * before))
            self.successResultOf(placing.abort())
            work = placing.write(b"x" * 600_000)
            self.assertIn("given up", self.failureResultOf(work).getErrorMessage())
            self.assertEqual(self.successResultOf(keys_of(self.ufs, ListQuery())), [])
            self.assertEqual((self.rows("pieces"), self.rows("drafts")), (0, 0))

    def test_replaced_while_read(self) -> None:
        """A reader is never given bytes of two versions."""
        status = self.successResultOf(put(self.ufs, "key", b"a" * 600_000))
        body = self.successResultOf(self.ufs.read("key", status, Span(0, 600_000)))
        piece = self.successResultOf(body.read())
        assert isinstance(piece, memoryview)
        self.assertEqual(set(piece), {ord("a")})
        self.successResultOf(put(self.make(), "key", b"b" * 600_000))
        self.failureResultOf(drain(body), ObjectChanged)

    def test_another_file(self) -> None:
        """A file that takes the place of another has none of its versions."""
        old = self.successResultOf(put(self.ufs, "key", b"old"))
        self.successResultOf(self.ufs.close())
        for name in ("", "-wal", "-shm"):
            if os.path.exists(self.path + name):
                os.remove(self.path + name)
        new = self.successResultOf(put(self.make(), "key", b"new"))
        self.assertNotEqual(old.version, new.version)

    def test_file_gone(self) -> None:
        """A file that was taken away is noticed."""
        self.successResultOf(self.ufs.check())
        os.remove(self.path)
        self.failureResultOf(self.ufs.check(), StorageUnavailable)

    def test_configuration(self) -> None:
        """What cannot be used is refused with what to write instead."""
        around = Surroundings(self.clock, NoThreads())
        for uri, part in (
            ("sqlite://host/file.db", "sqlite:///path/to/file.db"),
            ("sqlite:///", "sqlite:///path/to/file.db"),
            (
                "sqlite:///no/such/folder/file.db",
                "there is no folder '/no/such/folder'",
            ),
            (f"sqlite://{self.path}?snyc=true", "did you mean 'sync'"),
        ):
            error = self.assertRaises(WrongConfiguration, make, uri, {}, around)
            self.assertIn(part, error.message)
