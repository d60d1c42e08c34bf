"""
Which version is current, while others read and write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    NoSuchKey,
    ObjectChanged,
    StorageDenied,
    StorageUnavailable,
)
from alluxio_tw.gateway.current import REMEMBERED, RESPITE
from alluxio_tw.iobjects import NO_ATTRIBUTES, Demand, Status
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.spans import Span
from tests.gateway.worlds import PAGE, ScriptedBody, World


class Case(SynchronousTestCase):
    def world(self, **options: str) -> World:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return World(self, self.mktemp(), named)

    def place(self, world: World, key: str = "k") -> Place:
        place: Place = world.objects.mounts.resolve("b", key)
        return place

    def etag(self, world: World, key: str = "k") -> str:
        return world.now(world.objects.status("b", key)).etag


class AskingTests(Case):
    def test_once(self) -> None:
        """However many want to know, the storage is asked once at a time."""
        world = self.world(freshness="always")
        world.behind("k", b"one")
        gate = world.ufs.hold("status")
        asked = [world.objects.status("b", "k") for _ in range(10)]
        self.assertEqual(len(gate), 1)
        gate.open()
        self.assertEqual({world.now(each).size for each in asked}, {3})
        self.assertEqual(world.ufs.count("status"), 1)

    def test_given_up(self) -> None:
        """A question is given up when the last who wants to know gives up."""
        world = self.world()
        world.behind("k", b"one")
        gate = world.ufs.hold("status")
        asked = [world.objects.status("b", "k") for _ in range(2)]
        asked[0].cancel()
        self.failureResultOf(asked[0])
        self.assertEqual(len(gate), 1)
        asked[1].cancel()
        self.failureResultOf(asked[1])
        self.assertEqual(len(gate), 0)
        gate.open()
        self.assertEqual(world.get("k"), b"one")

    def test_failed(self) -> None:
        """A question that failed is asked again by the next."""
        world = self.world()
        world.behind("k", b"one")
        world.ufs.fail("status", times=1)
        self.failureResultOf(world.objects.status("b", "k"), StorageUnavailable)
        self.assertEqual(world.get("k"), b"one")

    def test_uncached(self) -> None:
        """Of a mount that is not cached, nothing is remembered."""
        world = self.world(cache="false")
        world.put("k", b"one")
        assert world.records is not None
        place = self.place(world)
        self.assertIsNone(world.records.glance(place.mount.id, place.path))
        world.behind("k", b"two")
        self.assertEqual(world.get("k"), b"two")

    def test_found_wrong(self) -> None:
        """A record that is found wrong is not believed any longer."""
        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        self.etag(world)
        world.behind("k", b"three")
        reading = world.now(world.objects.open("b", "k"))
        self.failureResultOf(reading.body(Span(0, 3)).read(), ObjectChanged)
        self.assertEqual(world.get("k"), b"three")

    def test_found_gone(self) -> None:
        """An object that is gone is found out when it is read."""
        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        self.etag(world)
        wrapped: Any = world.ufs.wrapped
        world.now(wrapped.delete("k", Demand()))
        reading = world.now(world.objects.open("b", "k"))
        self.failureResultOf(reading.body(Span(0, 3)).read(), ObjectChanged)
        self.failureResultOf(world.objects.open("b", "k"), NoSuchKey)


class FailingTests(Case):
    """
    Storages that cannot be asked.
    """

    def stale(self) -> World:
        """A version is known, and its age has run out."""
        world = self.world(max_age="10s", stale_if_error="1h")
        world.behind("k", b"one")
        world.get("k")
        world.clock.advance(11)
        return world

    def test_left_alone(self) -> None:
        """A storage that could not be asked is left alone for a second."""
        world = self.stale()
        world.ufs.fail("status")
        for _ in range(5):
            self.assertEqual(world.get("k"), b"one")
            self.assertEqual(world.cache, "STALE")
        self.assertEqual(world.ufs.count("status"), 2)
        world.clock.advance(RESPITE)
        world.get("k")
        self.assertEqual(world.ufs.count("status"), 3)

    def test_well_again(self) -> None:
        """One that is well again is asked as ever."""
        world = self.stale()
        world.ufs.fail("status", times=1)
        world.get("k")
        world.behind("k", b"two")
        world.clock.advance(RESPITE)
        self.assertEqual(world.get("k"), b"two")
        self.assertNotEqual(world.cache, "STALE")

    def test_nothing_instead(self) -> None:
        """Where nothing can be answered in its place, it is asked all the same."""
        world = self.stale()
        world.behind("l", b"other")
        world.ufs.fail("status", times=1)
        world.get("k")
        self.assertEqual(world.get("l"), b"other")

    def test_denied(self) -> None:
        """A storage that denies access could be asked, and this is its answer."""
        world = self.stale()
        world.ufs.fail("status", StorageDenied())
        self.failureResultOf(world.objects.open("b", "k"), StorageDenied)

    def test_gone(self) -> None:
        """So is that there is no such object any more."""
        world = self.stale()
        wrapped: Any = world.ufs.wrapped
        world.now(wrapped.delete("k", Demand()))
        self.failureResultOf(world.objects.open("b", "k"), NoSuchKey)

    def test_found_wrong_late(self) -> None:
        """A version found wrong late does not take along what is known of the next."""
        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        late = world.now(world.objects.open("b", "k"))
        world.put("k", b"other")
        asked = world.ufs.count("status")
        self.failureResultOf(late.body(Span(0, 3)).read(), ObjectChanged)
        self.assertEqual(world.get("k"), b"other")
        self.assertEqual(world.ufs.count("status"), asked)


class WritingTests(Case):
    def meanwhile(
        self, method: str, work: Callable[[World], Any], key: str = "k"
    ) -> World:
        """A question is under way while something else is done."""
        world = self.world(freshness="immutable")
        gate = world.ufs.hold(method)
        asked: Deferred[Status] = world.objects.status("b", key)
        asked.addErrback(lambda failure: failure.trap(NoSuchKey) and None)
        work(world)
        gate.open()
        world.now(asked)
        return world

    def test_deleted_meanwhile(self) -> None:
        """That an object is there is not believed if we deleted it meanwhile."""
        world = self.world(freshness="immutable")
        world.put("k", b"one")
        before = world.now(world.ufs.wrapped.status("k"))
        world.objects.current.forget(self.place(world))
        gate = world.ufs.hold("status")
        world.ufs.before = before
        asked = world.objects.status("b", "k")
        world.now(world.objects.delete("b", "k"))
        gate.open()
        self.failureResultOf(asked, NoSuchKey)
        self.failureResultOf(world.objects.open("b", "k"), NoSuchKey)

    def test_made_meanwhile(self) -> None:
        """That there is no object is not believed if we made it meanwhile."""
        world = self.meanwhile("status", lambda world: world.put("k", b"new"))
        self.assertEqual(world.get("k"), b"new")

    def test_too_much_meanwhile(self) -> None:
        """An answer is not kept if more was written meanwhile than is remembered."""

        def much(world: World) -> None:
            place = self.place(world)
            world.objects.current.wrote(place, None)
            for n in range(REMEMBERED + 1):
                world.objects.current.wrote(place._replace(path=f"x{n}"), None)

        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        world.ufs.before = world.now(world.ufs.wrapped.status("k"))
        gate = world.ufs.hold("status")
        asked = world.objects.status("b", "k")
        world.behind("k", b"two")
        much(world)
        gate.open()
        world.now(asked)
        self.assertEqual(world.get("k"), b"two")

    def test_overlapping(self) -> None:
        """After writes that overlap, the storage says which was the last."""
        world = self.world(freshness="immutable")
        gate = world.ufs.hold("commit")
        writes = [
            world.objects.put("b", "k", world.incoming(b"%d" % n)) for n in range(2)
        ]
        self.assertEqual(len(gate), 2)
        gate.open()
        for write in writes:
            world.now(write)
        # What the storage did last is not what was answered last.
        world.behind("k", b"0")
        self.assertEqual(world.get("k"), b"0")

    def test_alone(self) -> None:
        """After a write that was alone, nobody need be asked."""
        world = self.world(freshness="immutable")
        for data in (b"one", b"two"):
            world.put("k", data)
            self.assertEqual(world.get("k"), data)
        self.assertEqual(world.ufs.count("status"), 0)

    def test_in_doubt(self) -> None:
        """After a write that failed, the storage says whether it came about."""
        world = self.world(freshness="immutable")
        world.put("k", b"old")
        wrapped: Any = world.ufs.wrapped
        world.ufs.fail("commit", times=1)
        work = world.objects.put("b", "k", world.incoming(b"new"))
        self.failureResultOf(work, StorageUnavailable)
        # As if it had come about before it failed.
        world.behind("k", b"new")
        self.assertEqual(world.get("k"), b"new")
        world.ufs.fail("delete", times=1)
        self.failureResultOf(world.objects.delete("b", "k"), StorageUnavailable)
        world.now(wrapped.delete("k", Demand()))
        self.failureResultOf(world.objects.open("b", "k"), NoSuchKey)

    def test_described(self) -> None:
        """New attributes are current at once, and the bytes stay cached."""
        world = self.world(freshness="immutable")
        world.put("k", b"x" * PAGE)
        world.get("k")
        reads = world.ufs.count("read")
        attributes = evolve(NO_ATTRIBUTES, tags={"a": "1"})
        world.now(world.objects.describe("b", "k", attributes))
        status = world.now(world.objects.status("b", "k"))
        self.assertEqual(status.attributes.tags, {"a": "1"})
        self.assertEqual(world.get("k"), b"x" * PAGE)
        self.assertEqual(world.ufs.count("read"), reads)

    def test_described_meanwhile(self) -> None:
        """Attributes are put on the version that is there, if it changed, once more."""
        world = self.world()
        world.put("k", b"one")
        world.ufs.fail("describe", ObjectChanged(), times=1)
        status = world.now(world.objects.describe("b", "k", NO_ATTRIBUTES))
        self.assertEqual(status.size, 3)
        world.ufs.fail("describe", ObjectChanged())
        work = world.objects.describe("b", "k", NO_ATTRIBUTES)
        self.failureResultOf(work, ObjectChanged)
        world.ufs.heal()
        work = world.objects.describe("b", "none", NO_ATTRIBUTES)
        self.failureResultOf(work, NoSuchKey)

    def test_called_off(self) -> None:
        """A write that is called off leaves no placing open."""
        world = self.world()
        body = ScriptedBody()
        work = world.objects.put("b", "k", world.incoming(body))
        body.say(b"some")
        work.cancel()
        self.failureResultOf(work)
        self.assertEqual(world.ufs.open_placings, 0)
        self.failureResultOf(world.objects.open("b", "k"), NoSuchKey)
