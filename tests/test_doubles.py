"""
The parts that misbehave do so only when told.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.errors import StorageFull, StorageUnavailable
from alluxio_tw.iufs import IUnderFileSystem, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract, drain, get, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import make
from tests.doubles import FaultyUFS
from tests.doubles_bare import BareUFS


def memory() -> IUnderFileSystem:
    clock = Clock()
    clock.advance(1_700_000_000)
    return make("memory:///", {}, Surroundings(clock, NoThreads()))


class FaultyContractTests(UnderFileSystemContract, TestCase):
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        return FaultyUFS(memory(), glances=True)


class BareContractTests(UnderFileSystemContract, TestCase):
    """What can do little keeps what it promises: the suite asks for no more."""

    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        return BareUFS(memory())


class FaultyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ufs = FaultyUFS(memory(), self.clock)
        self.successResultOf(put(self.ufs, "key", b"0123456789"))

    def test_fail(self) -> None:
        """A method fails as often as it was told to."""
        self.ufs.fail("status", StorageFull(), times=2)
        for _ in range(2):
            self.failureResultOf(self.ufs.status("key"), StorageFull)
        self.successResultOf(self.ufs.status("key"))
        self.assertEqual(self.ufs.count("status"), 3)

    def test_delay(self) -> None:
        """A method takes as long as it was told to."""
        self.ufs.delay("open", 2.0)
        opened = self.ufs.open("key")
        self.clock.advance(1.9)
        self.assertNoResult(opened)
        self.clock.advance(0.1)
        self.successResultOf(opened)

    def test_hold(self) -> None:
        """A method waits for its gate."""
        gate = self.ufs.hold("read")
        status = self.successResultOf(self.ufs.status("key"))
        body = self.ufs.read("key", status, Span(0, 10))
        self.assertNoResult(body)
        self.assertEqual(len(gate), 1)
        gate.open()
        self.assertEqual(
            self.successResultOf(drain(self.successResultOf(body))), b"0123456789"
        )

    def test_truncate(self) -> None:
        """A body ends early, with an error or without."""
        self.ufs.truncate(4)
        self.assertEqual(self.successResultOf(get(self.ufs, "key")), b"0123")
        self.ufs.truncate(4, StorageUnavailable())
        self.failureResultOf(get(self.ufs, "key"), StorageUnavailable)
        self.ufs.heal()
        self.assertEqual(self.successResultOf(get(self.ufs, "key")), b"0123456789")
