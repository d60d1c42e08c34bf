"""
Objects over a storage that fails: the old object stays, and nothing is left open.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.errors import (
    EntityTooLarge,
    NoSuchKey,
    PreconditionFailed,
    StorageFull,
    StorageUnavailable,
)
from alluxio_tw.gateway.demands import check_demand
from alluxio_tw.iobjects import NO_ATTRIBUTES, Demand, IReading, Status
from alluxio_tw.s3.checksums import Digests, Promises
from alluxio_tw.s3.listing import ListRequest
from tests.gateway.worlds import World


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(self, self.mktemp())
        self.world.put("k", b"old")

    def intact(self) -> None:
        """The old object is as it was, alone, and nothing is left open."""
        self.world.ufs.heal()
        self.assertEqual(self.world.ufs.open_placings, 0)
        found = self.world.now(self.world.objects.list("b", ListRequest()))
        self.assertEqual([each.key for each in found.entries], ["k"])
        self.assertEqual(self.world.get("k"), b"old")


class PutTests(Case):
    def test_each_step(self) -> None:
        """Wherever a storage fails in a write, the old object stays."""
        for method in ("place", "write", "commit"):
            for error in (StorageUnavailable(), StorageFull(), ZeroDivisionError()):
                for size in (3, 100_000):
                    self.world.ufs.fail(method, error)
                    coming = self.world.incoming(bytes(size))
                    work = self.world.objects.put("b", "k", coming)
                    self.failureResultOf(work, type(error))
                    self.intact()

    def test_demanded(self) -> None:
        """A demand is judged before a byte of the body is asked for."""
        coming = self.world.incoming(b"new")
        work = self.world.objects.put("b", "k", coming, Demand(absent=True))
        self.failureResultOf(work, PreconditionFailed)
        self.assertEqual(self.world.ufs.count("place"), 1)
        self.intact()

    def test_too_large(self) -> None:
        """What is announced as too large is refused before there is room made for it."""
        small = evolve(self.world.objects, put_limit=2)
        work = small.put("b", "k", self.world.incoming(b"new"))
        self.failureResultOf(work, EntityTooLarge)
        self.assertEqual(self.world.ufs.count("place"), 1)
        self.intact()


class CopyTests(Case):
    def open(self) -> IReading:
        reading: IReading = self.world.now(self.world.objects.open("b", "k"))
        return reading

    def test_each_step(self) -> None:
        """Wherever a storage fails in a copy, nothing is made and nothing left open."""
        sums = Promises()
        for method in ("place", "read", "body", "write", "commit"):
            self.world.store = MemoryStore(1 << 20)
            self.world.restart()
            reading = self.open()
            self.world.ufs.fail(method)
            work = self.world.objects.copy(
                ("b", "k"),
                reading,
                ("b", "copy"),
                NO_ATTRIBUTES,
                Digests(sums, also=("crc32",)),
            )
            self.failureResultOf(work, StorageUnavailable)
            reading.close()
            self.intact()

    def test_within(self) -> None:
        """A storage that can copies by itself; if it fails, nothing is made."""
        reading = self.open()
        self.world.ufs.fail("copy")
        work = self.world.objects.copy(
            ("b", "k"), reading, ("b", "copy"), NO_ATTRIBUTES, None
        )
        self.failureResultOf(work, StorageUnavailable)
        self.intact()
        made = self.world.now(
            self.world.objects.copy(
                ("b", "k"), reading, ("b", "copy"), NO_ATTRIBUTES, None
            )
        )
        self.assertEqual(made.size, 3)
        self.assertEqual(self.world.ufs.count("write"), 1)
        self.assertEqual(self.world.get("copy"), b"old")

    def test_without_help(self) -> None:
        """On a storage that cannot copy, bytes go through, with the same ETag."""
        ufs = self.world.ufs
        ufs.capabilities = evolve(ufs.capabilities, copies=False)
        reading = self.open()
        made = self.world.now(
            self.world.objects.copy(
                ("b", "k"), reading, ("b", "copy"), NO_ATTRIBUTES, None
            )
        )
        self.assertEqual(made.etag, reading.status.etag)
        self.assertEqual(self.world.get("copy"), b"old")


class DemandTests(SynchronousTestCase):
    def test_demands(self) -> None:
        """A demand holds of what it says, and of nothing else."""
        there = Status(1, "v", "tag", 0)
        for demand, status, error in (
            (Demand(), None, None),
            (Demand(), there, None),
            (Demand(absent=True), None, None),
            (Demand(absent=True), there, PreconditionFailed),
            (Demand(match=("tag",)), there, None),
            (Demand(match=("*",)), there, None),
            (Demand(match=("x", "tag")), there, None),
            (Demand(match=("x",)), there, PreconditionFailed),
            (Demand(match=()), there, PreconditionFailed),
            (Demand(match=("tag",)), None, NoSuchKey),
        ):
            if error is None:
                check_demand(demand, status)
            else:
                self.assertRaises(error, check_demand, demand, status)
