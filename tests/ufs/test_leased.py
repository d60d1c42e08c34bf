"""
Tests of L{alluxio_tw.ufs.leased} and L{alluxio_tw.leases}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.leases import Leases
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.leased import LeasedUFS
from alluxio_tw.ufs.local import make as make_local
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS


class LeasedContractTests(UnderFileSystemContract, TestCase):
    """What is leased is as it was."""

    sets_modified = 1
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        clock = Clock()
        clock.advance(1_700_000_000)
        return LeasedUFS(MemoryUFS(clock, NoThreads()), Leases())


class LeasedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.inner = MemoryUFS(Clock(), NoThreads())
        self.faulty = FaultyUFS(self.inner, Clock())
        self.leases = Leases()
        self.ufs = LeasedUFS(self.faulty, self.leases)
        self.status = self.inner.put("k", b"data", "")

    def test_calls(self) -> None:
        """A call holds a lease as long as it takes, also when it fails."""
        for method, call in (
            ("status", lambda: self.ufs.status("k")),
            ("list", lambda: self.ufs.list(ListQuery())),
            ("delete", lambda: self.ufs.delete("other", NO_DEMAND)),
            ("check", lambda: self.ufs.check()),
        ):
            gate = self.faulty.hold(method)
            work: Any = call()
            self.assertEqual(self.leases.held, 1, method)
            gate.open()
            self.successResultOf(work)
            self.assertEqual(self.leases.held, 0, method)
        self.faulty.fail("status")
        self.failureResultOf(self.ufs.status("k"), StorageUnavailable)
        self.assertEqual(self.leases.held, 0)

    def test_given_up(self) -> None:
        """A call that is cancelled gives its lease back."""
        self.faulty.hold("open")
        work = self.ufs.open("k")
        work.addErrback(lambda failure: None)
        work.cancel()
        self.assertEqual(self.leases.held, 0)

    def test_readings(self) -> None:
        """A reading and each of its bodies hold one until they are closed, once."""
        reading = self.successResultOf(self.ufs.open("k"))
        body = reading.body(Span(0, 4))
        self.assertEqual(self.leases.held, 2)
        for _ in range(2):
            reading.close()
        self.assertEqual(self.leases.held, 1)
        self.assertEqual(self.successResultOf(body.read()), b"data")
        for _ in range(2):
            body.close()
        self.assertEqual(self.leases.held, 0)
        body = self.successResultOf(self.ufs.read("k", self.status, Span(0, 4)))
        self.assertEqual(self.leases.held, 1)
        body.close()
        self.assertEqual(self.leases.held, 0)

    def test_files(self) -> None:
        """What is open as a file needs its driver no more, and is left as it is."""
        path = self.mktemp()
        os.mkdir(path)
        with open(f"{path}/k", "w") as file:
            file.write("data")
        local = make_local(
            f"file://{os.path.abspath(path)}", {}, Surroundings(Clock(), NoThreads())
        )
        ufs = LeasedUFS(local, self.leases)
        reading: Any = self.successResultOf(ufs.open("k"))
        self.assertGreaterEqual(reading.descriptor, 0)
        self.assertEqual(self.leases.held, 0)
        self.successResultOf(ufs.close())
        self.assertEqual(reading.at_once(Span(0, 4)), b"data")

    def test_placings(self) -> None:
        """An object being written holds one until it is committed or given up."""
        for finish in ("commit", "abort", "fail"):
            placing = self.successResultOf(self.ufs.place("new", 1))
            self.successResultOf(placing.write(b"x"))
            self.assertEqual(self.leases.held, 1)
            if finish == "fail":
                self.faulty.fail("commit")
            if finish != "abort":
                work = placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
                work.addErrback(lambda failure: None)
            if finish != "commit":
                self.successResultOf(placing.abort())
            self.assertEqual(self.leases.held, 0, finish)

    def test_returned(self) -> None:
        """Who waits for all leases to be returned hears when they are."""
        self.assertIsNone(self.successResultOf(self.leases.returned()))
        one, two = self.leases.take(), self.leases.take()
        waiting = self.leases.returned()
        one.end()
        self.assertNoResult(waiting)
        two.end()
        self.successResultOf(waiting)
        self.assertEqual(self.leases.taken, 2)
