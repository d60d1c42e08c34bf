"""
Loads over a storage in memory that can be told to misbehave.
"""

from __future__ import annotations

from hashlib import md5
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.errors import (
    InvalidArgument,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    Overloaded,
    StorageDenied,
)
from alluxio_tw.gateway.loadjob import LARGEST, LoadJob, LoadOptions, Tally, name_of
from alluxio_tw.gateway.loadjobs import REMEMBERED, LoadJobs
from alluxio_tw.gateway.scope import Scope
from alluxio_tw.gateway.warming import IN_A_ROW
from alluxio_tw.iobjects import NO_DEMAND, Status
from alluxio_tw.ipages import IPage, PageKey
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.gateway.worlds import PAGE, World

Document = dict[str, Any]


class LoadCase(SynchronousTestCase):
    """
    A world, and its loads.
    """

    def setUp(self) -> None:
        self.world = World(self, self.mktemp(), {"max-age": "1h"})
        self.loads = self.begin()

    def begin(self) -> LoadJobs:
        """A daemon's loads, on what an earlier one left."""
        world = self.world
        loads = LoadJobs(
            world.objects, world.state, NoThreads(), world.clock, world.clock.seconds
        )
        self.addCleanup(loads.close)
        return loads

    def submit(self, path: str = "/b", anew: bool = False, **options: Any) -> Document:
        return self.successResultOf(
            self.loads.submit(path, LoadOptions(**options), anew)
        )

    def progress(self, path: str = "/b") -> Document:
        return self.successResultOf(self.loads.progress(path))

    def turn(self, seconds: float = 0.0, times: int = 1) -> None:
        """Let time pass."""
        for _ in range(times):
            self.world.clock.advance(seconds)

    def finished(self, path: str = "/b", seconds: float = 60.0) -> Document:
        """The load at its end, which must come within so many seconds of the clock."""
        for _ in range(int(seconds * 4)):
            found = self.progress(path)
            if found["state"] != "RUNNING":
                return found
            self.turn(0.25)
        self.fail(f"still running: {found}")

    def load(self, path: str = "/b", **options: Any) -> Document:
        """A load, from the beginning to its end."""
        self.submit(path, **options)
        return self.finished(path)

    def fill(self, count: int, size: int = 2 * PAGE + 5) -> dict[str, bytes]:
        """Objects C{k00} and so on, put behind the gateway's back."""
        made = {}
        for number in range(count):
            key = f"k{number:02}"
            made[key] = bytes([number % 250 + 1]) * size
            self.world.behind(key, made[key])
        return made

    def assert_cached(self, key: str, data: bytes) -> None:
        """An object is served without asking the storage for its bytes."""
        reads = self.world.ufs.count("read")
        self.assertEqual(self.world.get(key), data)
        self.assertEqual(self.world.cache, "HIT")
        self.assertEqual(self.world.ufs.count("read"), reads)


class LoadTests(LoadCase):
    """
    What a load does.
    """

    def test_loads(self) -> None:
        """Every object is cached whole, and all of it is counted."""
        made = self.fill(12)
        found = self.load()
        self.assertEqual(found["state"], "SUCCEEDED")
        self.assertEqual((found["objects"], found["done"]), (12, 12))
        size = 12 * (2 * PAGE + 5)
        self.assertEqual(
            [found[name] for name in ("total_bytes", "done_bytes", "loaded_bytes")],
            [size] * 3,
        )
        self.assertTrue(found["counted"])
        self.assertEqual(found["position"], "k11")
        for key, data in made.items():
            self.assert_cached(key, data)
        # One read for each object: no client was there to want less.
        self.assertEqual(self.world.ufs.count("read"), 12)

    def test_again(self) -> None:
        """A second load loads nothing; with skip_if_exists it only lists."""
        self.fill(5)
        self.load()
        calls = len(self.world.ufs.calls)
        found = self.load(skip_if_exists=True)
        self.assertEqual(
            (found["state"], found["skipped"], found["loaded_bytes"]),
            ("SUCCEEDED", 5, 0),
        )
        self.assertEqual(set(self.world.ufs.calls[calls:]), {"list"})
        self.turn(7200)
        # The records are old by now; what is kept is named by its version.
        calls = len(self.world.ufs.calls)
        self.assertEqual(self.load(skip_if_exists=True)["skipped"], 5)
        self.assertEqual(set(self.world.ufs.calls[calls:]), {"list"})
        found = self.load()
        self.assertEqual((found["skipped"], found["loaded_bytes"]), (5, 0))
        self.assertEqual(self.world.ufs.calls.count("status"), 10)

    def test_changed(self) -> None:
        """What was changed behind our back is loaded as it is now."""
        self.world = World(self, self.mktemp(), {"freshness": "immutable"})
        self.loads = self.begin()
        self.fill(3)
        self.load()
        self.world.behind("k01", b"new" * PAGE)
        found = self.load(skip_if_exists=True)
        self.assertEqual((found["skipped"], found["loaded_bytes"]), (2, 3 * PAGE))
        self.assert_cached("k01", b"new" * PAGE)

    def test_scopes(self) -> None:
        """A path is an object, and a folder; not what merely begins alike."""
        for key in ("d", "d/a", "d/b/c", "d2", "e"):
            self.world.behind(key, b"x" * 10)
        self.assertEqual(self.load("/b/d")["objects"], 3)
        self.assertEqual(self.load("/b/d/")["objects"], 2)
        self.assertEqual(self.load("/b/d/b")["objects"], 1)
        self.assertEqual(self.load("/b/e")["objects"], 1)
        self.assertEqual(self.load("s3://b/d2")["objects"], 1)
        self.assertEqual(self.load("/b")["objects"], 5)

    def test_nothing(self) -> None:
        """Where nothing is, the load fails and says so; counted first or not."""
        for partial in (False, True):
            found = self.load("/b/none", partial_listing=partial)
            self.assertEqual(found["state"], "FAILED")
            self.assertEqual(found["reason"], "There is nothing at /b/none.")

    def test_refused(self) -> None:
        """What is no path, or no bucket, is refused at once."""
        for path in ("", "b/k", "/", "//k", f"/b/{'k' * 1025}", "/b/\udcff"):
            self.failureResultOf(
                self.loads.submit(path, LoadOptions()), InvalidArgument
            )
        self.failureResultOf(self.loads.submit("/nope", LoadOptions()), NoSuchBucket)
        self.failureResultOf(self.loads.progress("/b"), NoSuchKey)
        self.failureResultOf(self.loads.stop("/b"), NoSuchKey)

    def test_metadata(self) -> None:
        """metadata_only has the storage asked once for each object, and read never."""
        self.fill(4)
        found = self.load(metadata_only=True)
        self.assertEqual((found["state"], found["done"]), ("SUCCEEDED", 4))
        ufs = self.world.ufs
        self.assertEqual((ufs.count("status"), ufs.count("read")), (4, 0))
        self.world.get("k00")
        self.assertEqual(ufs.count("status"), 4)

    def test_partial_listing(self) -> None:
        """With partial_listing it is listed once, and nobody says how much there is."""
        self.fill(4)
        found = self.load(partial_listing=True)
        self.assertEqual((found["done"], found["counted"]), (4, False))
        self.assertEqual(self.world.ufs.count("list"), 1)
        self.assertEqual(self.load()["counted"], True)
        self.assertEqual(self.world.ufs.count("list"), 3)

    def test_concurrency(self) -> None:
        """No more reads than were allowed are under way, of many objects or of one."""
        self.fill(8)
        self.world.behind("large", b"x" * 100 * PAGE)
        gate = self.world.ufs.hold("read")
        self.submit(concurrency=3)
        self.turn(times=5)
        self.assertEqual(self.world.ufs.count("read"), 3)
        gate.open()
        self.assertEqual(self.finished()["state"], "SUCCEEDED")
        self.assertEqual(self.load("/b/large")["skipped"], 1)
        self.successResultOf(
            self.world.objects.current.invalidate(
                self.world.objects.mounts.mounts[0], "", False
            )
        )
        self.world.behind("large", b"y" * 100 * PAGE)
        before = self.world.ufs.count("read")
        gate = self.world.ufs.hold("read")
        self.submit("/b/large", concurrency=2)
        self.turn(times=5)
        self.assertEqual(self.world.ufs.count("read") - before, 2)
        gate.open()
        self.assertEqual(self.finished("/b/large")["loaded_bytes"], 100 * PAGE)

    def test_bandwidth(self) -> None:
        """So many bytes are read in so many seconds, and hardly more."""
        self.fill(20, 4 * PAGE)
        self.submit(bandwidth=8 * PAGE)
        seconds = 0.0
        while self.progress()["state"] == "RUNNING":
            read = sum(span.length for span in self.world.ufs.asked)
            # What is begun at a time may be one second's quarter ahead.
            self.assertLessEqual(read, 8 * PAGE * seconds + 2 * PAGE)
            self.turn(0.05)
            seconds += 0.05
        self.assertEqual(self.progress()["loaded_bytes"], 80 * PAGE)
        self.assertTrue(9 <= seconds <= 11, seconds)

    def test_not_cached(self) -> None:
        """A mount that is not cached is said to be that."""
        world = self.world
        world.objects.mounts.replace(
            [
                Mount.of(
                    "/b",
                    "memory:///",
                    {},
                    {},
                    MemoryUFS(world.clock, NoThreads()),
                )
            ]
        )
        found = self.load()
        self.assertEqual(found["state"], "FAILED")
        self.assertIn("caching is off for the mount /b", found["reason"])

    def test_nested(self) -> None:
        """Mounts in the bucket are loaded too; those not cached are named."""
        world = self.world
        near, far = (MemoryUFS(world.clock, NoThreads()) for _ in range(2))
        near.put("n", b"n" * 10, "")
        far.put("f", b"f" * 10, "")
        cached = {"cache": "true"}
        world.objects.mounts.replace(
            [
                *world.objects.mounts.mounts,
                Mount.of("/b/far", "memory://far", {}, cached, far),
                Mount.of("/b/near", "memory://near", {}, {}, near),
            ]
        )
        self.fill(1)
        found = self.load()
        self.assertEqual(found["done"], 3)
        self.assertEqual(found["loaded_bytes"], 2 * PAGE + 5 + 10)
        self.assertEqual([each["key"] for each in found["failures"]], ["near/n"])
        self.assertIn("/b/near", found["warnings"][0])

    def test_too_large(self) -> None:
        """An object that is larger than the cache is said to be that; others load."""
        self.world.store = MemoryStore(20 * PAGE)
        self.world.restart()
        self.loads = self.begin()
        self.world.behind("huge", b"x" * 30 * PAGE)
        self.world.behind("k", b"x" * PAGE)
        found = self.load()
        self.assertEqual((found["state"], found["failed"]), ("FAILED", 1))
        self.assertIn("more than the cache holds, 20KB", found["failures"][0]["reason"])
        self.assertEqual(found["loaded_bytes"], PAGE)

    def test_not_kept(self) -> None:
        """Where no page is kept, the object fails; it does not go on for ever."""

        class Sieve(MemoryStore):
            def put(self, key: PageKey, data: bytes) -> Deferred[IPage | None]:
                kept = super().put(key, data)
                self.forget(key)
                return kept

        self.world.store = Sieve(20 * PAGE)
        self.world.restart()
        self.loads = self.begin()
        self.world.behind("k", b"x" * 2 * PAGE)
        found = self.load()
        self.assertEqual(found["failed"], 1)
        self.assertIn("2 of 2 pages were not kept", found["failures"][0]["reason"])


class VerifyTests(LoadCase):
    """
    Whether what is kept is what it should be.
    """

    def put(self, key: str, data: bytes) -> Status:
        return self.world.put(key, data)

    def test_right(self) -> None:
        """Bytes that are right are verified by ETag; what has none is counted."""
        data = b"abc" * PAGE
        self.put("md5", data)
        wrapped: Any = self.world.ufs.wrapped
        wrapped.put("none", data, "abc-2")
        found = self.load(verify=True)
        self.assertEqual(found["state"], "SUCCEEDED")
        self.assertEqual((found["verified"], found["unverifiable"]), (1, 1))

    def test_wrong(self) -> None:
        """Bytes that are wrong are told of and dropped."""
        wrapped: Any = self.world.ufs.wrapped
        etag = md5(b"something else", usedforsecurity=False).hexdigest()
        wrapped.put("k", b"abc" * PAGE, etag)
        found = self.load(verify=True)
        self.assertEqual((found["state"], found["failed"]), ("FAILED", 1))
        self.assertIn("were dropped", found["failures"][0]["reason"])
        self.world.get("k")
        self.assertEqual(self.world.cache, "MISS")

    def test_there_already(self) -> None:
        """What was there already is verified as well."""
        self.put("k", b"abc" * PAGE)
        self.load()
        found = self.load(verify=True, skip_if_exists=True)
        self.assertEqual((found["skipped"], found["verified"]), (1, 1))


class FailureTests(LoadCase):
    """
    When the storage fails.
    """

    def test_one_fails(self) -> None:
        """A failure that goes away is tried again, and nobody hears of it."""
        self.fill(3)
        self.world.ufs.fail("read", times=2)
        found = self.load(concurrency=1)
        self.assertEqual((found["state"], found["failed"]), ("SUCCEEDED", 0))

    def test_some_fail(self) -> None:
        """Objects that cannot be had are named, with the reason; the others load."""
        made = self.fill(8)
        self.world.ufs.fail("status", StorageDenied(), times=2)
        found = self.load(concurrency=1)
        self.assertEqual(found["state"], "FAILED")
        self.assertEqual(found["reason"], "2 objects failed")
        self.assertEqual(
            [(each["key"], each["reason"]) for each in found["failures"]],
            [(f"k0{n}", StorageDenied().message) for n in range(2)],
        )
        self.assert_cached("k05", made["k05"])
        # The same again: from the beginning.
        self.assertEqual(self.load(concurrency=1)["state"], "SUCCEEDED")

    def test_listing_fails(self) -> None:
        """A storage that cannot be listed ends the load."""
        self.fill(3)
        self.world.ufs.fail("list")
        found = self.load()
        self.assertEqual(found["state"], "FAILED")
        self.assertEqual(self.world.ufs.count("list"), 3)

    def test_dead(self) -> None:
        """
        A storage that dies ends the load soon, which goes on from there when it is
        back: nothing is left out.
        """
        made = self.fill(90)
        self.submit(concurrency=2, bandwidth=40 * PAGE)
        while self.progress()["done"] < 20:
            self.turn(0.05)
        self.world.ufs.fail("read")
        found = self.finished()
        self.assertEqual(found["state"], "FAILED")
        self.assertIn(f"The storage failed {IN_A_ROW} times in a row", found["reason"])
        self.assertFalse(found["finished"])
        self.assertLess(found["position"], "k30")
        self.world.ufs.heal()
        done = self.submit(concurrency=2)["done"]
        self.assertGreaterEqual(done, 19)
        found = self.finished()
        self.assertEqual((found["state"], found["done"]), ("SUCCEEDED", 90))
        self.assertEqual(found["loaded_bytes"], 90 * (2 * PAGE + 5))
        for key, data in made.items():
            self.assert_cached(key, data)

    def test_deleted(self) -> None:
        """An object that goes between being listed and being read is no failure."""
        self.fill(4)
        gate = self.world.ufs.hold("status")
        self.submit(concurrency=1)
        self.turn()
        wrapped: Any = self.world.ufs.wrapped
        for key in ("k00", "k02"):
            self.successResultOf(wrapped.delete(key, NO_DEMAND))
        gate.open()
        found = self.finished()
        self.assertEqual((found["state"], found["done"]), ("SUCCEEDED", 4))

    def test_bounded_failures(self) -> None:
        """However many fail, what is remembered of them is bounded."""
        for number in range(150):
            self.world.behind(f"k{number:03}", b"x")
        self.world.ufs.fail("status", StorageDenied())
        found = self.load()
        self.assertEqual((found["failed"], len(found["failures"])), (150, 100))

    def test_long_failures(self) -> None:
        """What is written down is bounded, however long the names are."""
        for number in range(150):
            self.world.behind("\x01\u2603" * 250 + f"{number:03}", b"x")
        self.world.ufs.fail("status", StorageDenied("\u2603" * 400))
        self.assertEqual(self.load()["failed"], 150)
        held = self.successResultOf(self.world.state.get(name_of(Scope.parse("/b"))))
        assert held is not None
        self.assertLessEqual(len(held.value), LARGEST)
        job = LoadJob.decoded(held.value)
        self.assertEqual(job.live.failed, 150)
        self.assertGreater(len(job.live.failures), 5)


class ResumeTests(LoadCase):
    """
    Stopped, and gone on with.
    """

    def half(self, **options: Any) -> Document:
        """A load that has come to its middle."""
        self.made = self.fill(40, PAGE)
        self.submit(concurrency=2, bandwidth=10 * PAGE, **options)
        while self.progress()["done"] < 20:
            self.turn(0.1)
        return self.progress()

    def test_stop(self) -> None:
        """Stopped and submitted again, it goes on where it was."""
        for partial in (False, True):
            self.half(partial_listing=partial)
            stopped = self.successResultOf(self.loads.stop("/b"))
            self.assertEqual(stopped["state"], "STOPPED")
            self.assertEqual(self.progress()["state"], "STOPPED")
            reads = self.world.ufs.count("read")
            self.turn(5)
            self.assertEqual(self.world.ufs.count("read"), reads)
            found = self.submit(
                concurrency=2, bandwidth=80 * PAGE, partial_listing=partial
            )
            self.assertEqual(found["state"], "RUNNING")
            self.assertGreaterEqual(found["done"], 18)
            found = self.finished()
            self.assertEqual(
                [found[name] for name in ("done", "objects", "done_bytes")],
                [40, 40, 40 * PAGE],
            )
            self.assertLessEqual(self.world.ufs.count("read") - reads, 22)
            self.setUp()

    def test_other_options(self) -> None:
        """Submitted with other options it begins anew; likewise when told to."""
        self.half()
        self.successResultOf(self.loads.stop("/b"))
        self.assertEqual(self.submit(verify=True)["done"], 0)
        self.successResultOf(self.loads.stop("/b"))
        self.assertEqual(self.submit(verify=True, anew=True)["position"], "")

    def test_killed(self) -> None:
        """
        What was under way when the daemon was killed goes on with the next, from what
        was written down last.
        """
        self.half()
        self.turn(1)
        # As if killed: it goes on by itself no more, and nothing else is written.
        written = self.successResultOf(self.world.state.list("load/"))
        self.successResultOf(self.loads.close())
        for held in written:
            self.successResultOf(self.world.state.put(held.name, held.value))
        self.loads = self.begin()
        self.assertEqual(self.loads.running, 0)
        self.successResultOf(self.loads.start())
        self.assertEqual(self.loads.running, 1)
        found = self.finished()
        self.assertEqual((found["state"], found["done"]), ("SUCCEEDED", 40))
        self.assertLessEqual(self.world.ufs.count("read"), 44)

    def test_over(self) -> None:
        """What is over is not gone on with, and can still be asked about."""
        self.fill(2)
        self.load()
        self.loads = self.begin()
        self.successResultOf(self.loads.start())
        self.assertEqual(self.loads.running, 0)
        self.assertEqual(self.progress()["state"], "SUCCEEDED")

    def test_join(self) -> None:
        """The same submitted twice is one load; its bandwidth is the later's."""
        self.half()
        found = self.submit(concurrency=2, bandwidth=1000 * PAGE)
        self.assertGreaterEqual(found["done"], 20)
        # It would have taken two seconds more.
        self.turn(0.01, times=80)
        self.assertEqual(self.progress()["state"], "SUCCEEDED")

    def test_conflict(self) -> None:
        """Another load of the same path is refused while one is at work."""
        self.half()
        self.failureResultOf(
            self.loads.submit("/b", LoadOptions(verify=True)), InvalidRequest
        )

    def test_many(self) -> None:
        """No more than eight are at work; the others are refused."""
        self.fill(9)
        self.world.ufs.hold("read")
        for number in range(8):
            self.submit(f"/b/k0{number}")
        self.failureResultOf(self.loads.submit("/b/k08", LoadOptions()), Overloaded)
        self.world.ufs.heal()

    def test_remembered(self) -> None:
        """Of those that are over the latest are remembered."""
        self.fill(1, 1)
        for number in range(REMEMBERED + 20):
            self.turn(1)
            self.load(f"/b/none{number}")
        found = self.successResultOf(self.loads.every())
        self.assertLessEqual(len(found), REMEMBERED + 2)
        self.assertEqual(found[0]["path"], f"/b/none{REMEMBERED + 19}")


class WordsTests(SynchronousTestCase):
    """
    Options, and what is written down.
    """

    def test_options(self) -> None:
        """Options are read from texts and from JSON."""
        self.assertEqual(
            LoadOptions.of({"bandwidth": "100MB/s", "concurrency": "7"}),
            LoadOptions(bandwidth=100 << 20, concurrency=7),
        )
        self.assertEqual(
            LoadOptions.of({"bandwidth": 5, "verify": True, "skip_if_exists": "true"}),
            LoadOptions(bandwidth=5, verify=True, skip_if_exists=True),
        )

    def test_wrong_options(self) -> None:
        """What cannot be an option is refused."""
        for given in (
            {"bandwidth": "fast"},
            {"bandwidth": -1},
            {"bandwidth": 1.5},
            {"concurrency": 0},
            {"concurrency": 65},
            {"concurrency": "x"},
            {"verify": "yes"},
            {"verify": 1},
            {"verify": True, "metadata_only": True},
        ):
            self.assertRaises(InvalidArgument, LoadOptions.of, given)

    def test_round_trip(self) -> None:
        """What is written down is read again as it was."""
        tally = Tally(done=3, failed=1, failures=[("k\udcff\n", "no")])
        job = LoadJob(
            Scope("b", "k\u00fc"), LoadOptions(verify=True), 5.0, firm=tally, live=tally
        )
        self.assertEqual(LoadJob.decoded(job.encoded()), job)

    def test_unreadable(self) -> None:
        """What was not written by this version is none."""
        for text in (b"", b"{}", b"[]", b'{"path": 3}', b'{"path": "/b"}'):
            self.assertRaises(ValueError, LoadJob.decoded, text)
