"""
The memory driver keeps the contract, and its bounds.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.errors import StorageFull, WrongConfiguration
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import IUnderFileSystem, Surroundings
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS, make


def around() -> Surroundings:
    clock = Clock()
    clock.advance(1_700_000_000)
    return Surroundings(clock, NoThreads())


class MemoryContractTests(UnderFileSystemContract, TestCase):
    sets_modified = 1
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        return make("memory:///", {}, around())


class MemoryTests(SynchronousTestCase):
    def test_capacity(self) -> None:
        """What does not fit is refused, and fits when there is room again."""
        ufs = make("memory:///?capacity=1KB", {}, around())
        assert isinstance(ufs, MemoryUFS)
        ufs.put("one", b"x" * 600, "")
        self.failureResultOf(ufs.place("two", 600), StorageFull)
        placing = self.successResultOf(ufs.place("two", None))
        self.failureResultOf(placing.write(b"x" * 600), StorageFull)
        self.successResultOf(ufs.delete("one", NO_DEMAND))
        self.successResultOf(placing.write(b"x" * 600))
        self.successResultOf(placing.commit("", NO_ATTRIBUTES, NO_DEMAND))
        # Its own bytes do not stand in the way of a new version.
        ufs.put("two", b"y" * 1024, "")

    def test_two_lives(self) -> None:
        """Two lives of a mount never give two objects one version."""
        one, two = around(), around()
        two.reactor.advance(1)  # type: ignore[attr-defined]
        versions = {
            MemoryUFS(a.reactor, a.threads).put("key", b"x", "").version
            for a in (one, two)
        }
        self.assertEqual(len(versions), 2)

    def test_configuration(self) -> None:
        """A URI or an option that means nothing is refused with a reason."""
        for uri, part in (
            ("memory:///path", "memory:///"),
            ("memory://host/", "memory:///"),
            ("memory:///?capacty=1MB", "did you mean 'capacity'"),
            ("memory:///?capacity=lots", "is not a size"),
        ):
            error = self.assertRaises(WrongConfiguration, make, uri, {}, around())
            self.assertIn(part, error.message)
