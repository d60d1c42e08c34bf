"""
What is cached, looked at and given up.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidArgument, NoSuchBucket, NoSuchKey
from alluxio_tw.gateway.inventory import Inventory
from alluxio_tw.iobjects import NO_DEMAND
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.gateway.worlds import PAGE, World


class InventoryCase(SynchronousTestCase):
    """
    A world, and what is cached in it.
    """

    def begin(self, **options: str) -> None:
        """Make both."""
        given = {name.replace("_", "-"): value for name, value in options.items()}
        self.world = World(self, self.mktemp(), given)
        self.inventory = Inventory(
            self.world.objects, self.world.clock, self.world.clock.seconds
        )

    def setUp(self) -> None:
        self.begin(max_age="1h")

    def stat(self, path: str) -> dict[str, Any]:
        return self.soon(self.inventory.stat(path))

    def free(self, path: str, metadata_only: bool = False) -> dict[str, Any]:
        return self.soon(self.inventory.free(path, metadata_only))

    def soon(self, work: Deferred[dict[str, Any]]) -> dict[str, Any]:
        """The result of what may take turns, but no time."""
        while not work.called:
            self.assertTrue(self.world.clock.getDelayedCalls())
            self.world.clock.advance(0)
        return self.successResultOf(work)


class StatTests(InventoryCase):
    """
    Looking.
    """

    def test_object(self) -> None:
        """Of an object it is said which version is known, and which pages are here."""
        made = self.world.behind("k", b"x" * (3 * PAGE + 1))
        self.world.get("k", Span(PAGE, 10))
        self.world.clock.advance(60)
        found = self.stat("/b/k")
        self.assertEqual(
            {
                name: found[name]
                for name in (
                    "kind",
                    "size",
                    "etag",
                    "version",
                    "pages",
                    "cached_pages",
                    "cached_bytes",
                    "tiers",
                    "freshness",
                    "fresh",
                    "fresh_seconds",
                    "validated",
                )
            },
            {
                "kind": "object",
                "size": 3 * PAGE + 1,
                "etag": made.etag,
                "version": made.version,
                "pages": 4,
                "cached_pages": 1,
                "cached_bytes": PAGE,
                "tiers": {"memory": 1},
                "freshness": "max-age",
                "fresh": True,
                "fresh_seconds": 3540.0,
                "validated": self.world.clock.seconds() - 60,
            },
        )

    def test_stale(self) -> None:
        """What is known is told though it is old, and the storage is not asked."""
        self.world.behind("k", b"x" * PAGE)
        self.world.get("k")
        self.world.clock.advance(7200)
        calls = len(self.world.ufs.calls)
        found = self.stat("/b/k")
        self.assertEqual((found["fresh"], found["cached_pages"]), (False, 1))
        self.assertEqual(len(self.world.ufs.calls), calls)

    def test_immutable(self) -> None:
        """What is fresh for ever has no number of seconds."""
        self.begin(freshness="immutable")
        self.world.behind("k", b"x")
        self.world.get("k")
        self.assertEqual(self.stat("/b/k")["fresh_seconds"], None)

    def test_unknown(self) -> None:
        """Of an object that was never asked for, the storage is asked; not its bytes."""
        self.world.behind("k", b"x" * PAGE)
        found = self.stat("/b/k")
        self.assertEqual((found["pages"], found["cached_pages"]), (1, 0))
        self.assertEqual(set(self.world.ufs.calls), {"status"})

    def test_folder(self) -> None:
        """Of a folder all objects are counted, and what is cached of them."""
        for number in range(201):
            self.world.behind(f"d/{number:04}", b"x" * 2 * PAGE)
        self.world.behind("e", b"x")
        self.world.get("d/0001")
        self.world.get("d/0150", Span(0, 1))
        found = self.stat("/b/d")
        count = 201
        self.assertEqual(
            found,
            {
                "kind": "folder",
                "path": "/b/d/",
                "objects": count,
                "bytes": count * 2 * PAGE,
                "cached_objects": 1,
                "partly_cached_objects": 1,
                "cached_bytes": 3 * PAGE,
                "percent": 100 * 3 / (2 * count),
                "uncached_mounts": [],
            },
        )
        self.assertEqual(self.stat("/b")["objects"], count + 1)
        self.assertEqual(self.world.ufs.count("read"), 2)

    def test_changed(self) -> None:
        """Pages of a version that the storage does not have any more do not count."""
        self.world.behind("d/k", b"x" * PAGE)
        self.world.get("d/k")
        self.world.behind("d/k", b"y" * PAGE)
        self.assertEqual(self.stat("/b/d/")["cached_bytes"], 0)

    def test_none(self) -> None:
        """Where nothing is, that is said; a bucket may be empty."""
        self.failureResultOf(self.inventory.stat("/b/k"), NoSuchKey)
        self.failureResultOf(self.inventory.stat("/b/k/"), NoSuchKey)
        self.failureResultOf(self.inventory.stat("/nope/k"), NoSuchBucket)
        self.failureResultOf(self.inventory.stat("nope"), InvalidArgument)
        self.assertEqual(self.stat("/b")["objects"], 0)

    def test_not_cached(self) -> None:
        """A mount that is not cached is said to be that."""
        ufs = MemoryUFS(self.world.clock, NoThreads())
        ufs.put("k", b"x", "")
        self.world.objects.mounts.replace([Mount.of("/b", "memory:///", {}, {}, ufs)])
        self.assertEqual(self.stat("/b/k")["cached"], False)
        self.assertEqual(self.stat("/b")["uncached_mounts"], ["/b"])


class FreeTests(InventoryCase):
    """
    Giving up.
    """

    def test_frees(self) -> None:
        """Records and pages go, and the bytes are counted; others stay."""
        for key in ("d/a", "d/b", "d", "d2"):
            self.world.behind(key, b"x" * (2 * PAGE + 1))
            self.world.get(key)
        found = self.free("/b/d/")
        self.assertEqual((found["objects"], found["bytes"]), (2, 2 * (2 * PAGE + 1)))
        self.assertEqual(self.free("/b/d")["objects"], 1)
        self.assertEqual(self.stat("/b")["cached_bytes"], 2 * PAGE + 1)
        self.world.get("d2")
        self.assertEqual(self.world.cache, "HIT")
        self.world.get("d/a")
        self.assertEqual(self.world.cache, "MISS")
        self.assertEqual(self.free("/b")["objects"], 2)

    def test_whatever_the_policy(self) -> None:
        """After free, the next read is of what the storage has: under every policy."""
        for options in (
            {"freshness": "immutable", "stale-if-error": "1h"},
            {"max-age": "1h"},
            {"freshness": "always"},
        ):
            self.begin(**options)
            for path in ("/b", "/b/d", "/b/d/k"):
                self.world.behind("d/k", b"old")
                self.world.get("d/k")
                self.world.behind("d/k", b"newer")
                if options.get("freshness") == "immutable":
                    self.assertEqual(self.world.get("d/k"), b"old")
                self.free(path)
                self.assertEqual(self.world.get("d/k"), b"newer")
                self.free("/b")

    def test_deleted(self) -> None:
        """An object that was deleted behind our back is gone after free."""
        self.begin(freshness="immutable")
        self.world.behind("k", b"old")
        self.world.get("k")
        wrapped: Any = self.world.ufs.wrapped
        self.world.now(wrapped.delete("k", NO_DEMAND))
        self.assertEqual(self.world.get("k"), b"old")
        self.free("/b/k")
        self.failureResultOf(self.world.objects.open("b", "k"), NoSuchKey)

    def test_denied(self) -> None:
        """That there was nothing is not believed either."""
        self.begin(freshness="immutable", negative_age="1h")
        self.failureResultOf(self.world.objects.open("b", "k"), NoSuchKey)
        self.world.behind("k", b"new")
        self.failureResultOf(self.world.objects.open("b", "k"), NoSuchKey)
        self.assertEqual(self.free("/b")["objects"], 0)
        self.assertEqual(self.world.get("k"), b"new")

    def test_in_flight(self) -> None:
        """An answer of the storage that was under way does not bring the old back."""
        self.begin(freshness="immutable")
        old = self.world.behind("k", b"old")
        self.world.ufs.before = old
        gate = self.world.ufs.hold("status")
        first = self.world.objects.open("b", "k")
        self.world.behind("k", b"newer")
        self.free("/b/k")
        second = self.world.objects.open("b", "k")
        gate.open()
        for opening in (first, second):
            reading = self.world.now(opening)
            self.assertEqual(self.world.rest(reading.body(Span(0, 5))), b"newer")
        self.assertEqual(self.world.get("k"), b"newer")

    def test_load_in_flight(self) -> None:
        """A load of the old version that was under way does not bring it back."""
        self.begin(freshness="immutable")
        self.world.behind("k", b"old" * PAGE)
        gate = self.world.ufs.hold("read")
        reading = self.world.now(self.world.objects.open("b", "k"))
        body = reading.body(Span(0, 3 * PAGE))
        piece = body.read()
        self.free("/b/k")
        self.world.behind("k", b"newer")
        gate.open()
        self.failureResultOf(piece)
        body.close()
        self.assertEqual(self.world.get("k"), b"newer")

    def test_while_read(self) -> None:
        """Who reads meanwhile has the old version to its end."""
        self.begin(freshness="immutable")
        self.world.behind("k", b"old" * PAGE)
        self.world.get("k")
        reading = self.world.now(self.world.objects.open("b", "k"))
        body = reading.body(Span(0, 3 * PAGE))
        first = bytes(self.world.now(body.read()) or b"")  # type: ignore[arg-type]
        self.world.behind("k", b"newer")
        self.free("/b/k", metadata_only=True)
        self.assertEqual(first + self.world.rest(body), b"old" * PAGE)
        body.close()
        self.assertEqual(self.world.get("k"), b"newer")

    def test_write_in_flight(self) -> None:
        """A write that overlaps a free is not taken for what is there after it."""
        self.begin(freshness="immutable")
        gate = self.world.ufs.hold("commit")
        writing = self.world.objects.put("b", "k", self.world.incoming(b"ours"))
        self.free("/b/k")
        gate.open()
        self.world.now(writing)
        calls = self.world.ufs.count("status")
        self.assertEqual(self.world.get("k"), b"ours")
        self.assertGreater(self.world.ufs.count("status"), calls)

    def test_metadata_only(self) -> None:
        """With metadata_only, pages of what has not changed are of use again."""
        self.world.behind("same", b"x" * PAGE)
        self.world.behind("other", b"x" * PAGE)
        for key in ("same", "other"):
            self.world.get(key)
        self.world.behind("other", b"y" * PAGE)
        found = self.free("/b", metadata_only=True)
        self.assertEqual((found["objects"], found["bytes"]), (2, 0))
        self.world.get("same")
        self.assertEqual(self.world.cache, "HIT")
        self.assertEqual(self.world.get("other"), b"y" * PAGE)

    def test_dead(self) -> None:
        """It works while the storage does not, and a stale answer is none any more."""
        self.begin(freshness="immutable")
        self.world.behind("d/k", b"x" * PAGE)
        self.world.get("d/k")
        for method in ("status", "list", "read", "check"):
            self.world.ufs.fail(method)
        self.assertEqual(self.free("/b/d")["bytes"], PAGE)
        self.failureResultOf(self.world.objects.open("b", "d/k"))

    def test_nested(self) -> None:
        """What is mounted beneath goes as well, and what it hides."""
        world = self.world
        far = MemoryUFS(world.clock, NoThreads())
        far.put("k", b"f" * PAGE, "")
        world.behind("in/k", b"x" * PAGE)
        world.get("in/k")
        world.objects.mounts.replace(
            [
                *world.objects.mounts.mounts,
                Mount.of("/b/in", "memory://far", {}, {"cache": "true"}, far),
            ]
        )
        world.get("in/k")
        found = self.free("/b/in")
        self.assertEqual(found["bytes"], PAGE)
        self.assertEqual(self.free("/b")["objects"], 1)

    def test_root(self) -> None:
        """A bucket of the root mount is given up, and its neighbour is not."""
        world = self.world
        ufs = MemoryUFS(world.clock, NoThreads())
        for bucket in ("one", "one2"):
            world.now(ufs.make_folder(bucket))
            ufs.put(f"{bucket}/k", b"x" * PAGE, "")
        root = Mount.of("/", "memory:///", {}, {"cache": "true"}, ufs)
        world.objects.mounts.replace([root])
        for bucket in ("one", "one2"):
            reading = world.now(world.objects.open(bucket, "k"))
            world.rest(reading.body(Span(0, PAGE)))
        self.assertEqual(self.free("/one")["objects"], 1)
        self.assertEqual(self.free("/one2/k")["bytes"], PAGE)

    def test_many(self) -> None:
        """However many there are, all go."""
        for number in range(2500):
            self.world.behind(f"d/{number}", b"x")
            self.world.get(f"d/{number}")
        long = "d/" + "l" * 1000
        self.world.behind(long, b"x")
        self.world.get(long)
        found = self.free("/b/d")
        self.assertEqual((found["objects"], found["bytes"]), (2501, 2501))
