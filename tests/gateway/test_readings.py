"""
Readings as the policy of their place has them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.tiers import Level, Tiers
from alluxio_tw.errors import ObjectChanged, StorageUnavailable
from alluxio_tw.ipages import Keeping
from alluxio_tw.namespace.rulesdocument import read_rules
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from tests.gateway.worlds import PAGE, ScriptedBody, World


class Case(SynchronousTestCase):
    def world(self, **options: str) -> World:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return World(self, self.mktemp(), named)

    def rule(self, world: World, **sections: Any) -> None:
        text = json.dumps({"apiVersion": 1, **sections})
        world.objects.mounts.rules = read_rules(text.encode())


class PassedTests(Case):
    """
    Objects of which no pages are kept.
    """

    def setUp(self) -> None:
        self.one = self.world(max_age="60s")
        self.rule(self.one, data={"skipCache": [".*/tmp/.*"]})

    def test_each_time(self) -> None:
        """Bytes come from the storage each time, while the record still answers."""
        self.one.behind("tmp/k", b"x" * 3000)
        for number in range(1, 4):
            self.assertEqual(self.one.get("tmp/k"), b"x" * 3000)
            self.assertEqual(self.one.cache, "BYPASS")
            self.assertEqual(self.one.ufs.count("read"), number)
        self.assertEqual(self.one.ufs.count("status"), 1)
        self.assertEqual(self.one.store.usage()[0].pages, 0)

    def test_range(self) -> None:
        """Of a range, its bytes are asked for, and no whole pages."""
        self.one.behind("tmp/k", bytes(range(250)) * 20)
        self.assertEqual(self.one.get("tmp/k", Span(PAGE - 1, 3)), b"\x17\x18\x19")
        self.assertEqual(self.one.ufs.asked, [Span(PAGE - 1, 3)])
        self.assertEqual(self.one.get("tmp/k", Span(7, 0)), b"")

    def test_others(self) -> None:
        """Objects that the rule does not match are cached as ever."""
        self.one.behind("k", b"x")
        self.one.get("k")
        self.one.get("k")
        self.assertEqual((self.one.cache, self.one.ufs.count("read")), ("HIT", 1))

    def test_changed(self) -> None:
        """A change is found out as with pages."""
        self.one.behind("tmp/k", b"one")
        self.one.get("tmp/k")
        self.one.behind("tmp/k", b"other")
        reading = self.one.now(self.one.objects.open("b", "tmp/k"))
        body = reading.body(Span(0, 3))
        self.failureResultOf(body.read(), ObjectChanged)
        body.close()
        self.assertEqual(self.one.get("tmp/k"), b"other")

    def test_closed_meanwhile(self) -> None:
        """A body that is closed while the storage is asked lets go of it."""
        self.one.behind("tmp/k", b"one")
        gate = self.one.ufs.hold("read")
        body = self.one.now(self.one.objects.open("b", "tmp/k")).body(Span(0, 3))
        reading = body.read()
        self.assertEqual(len(gate), 1)
        body.close()
        self.failureResultOf(reading)
        self.assertEqual(len(gate), 0)
        self.assertIsNone(self.one.now(body.read()))

    def test_nothing_kept(self) -> None:
        """With skipCache for both, every read and status is the storage's."""
        both = {"skipCache": [".*"]}
        self.rule(self.one, data=both, metadata=both)
        self.one.behind("k", b"one")
        self.assertEqual(self.one.get("k"), b"one")
        self.one.behind("k", b"other")
        self.assertEqual(self.one.get("k"), b"other")
        self.one.put("k", b"ours")
        self.assertEqual(self.one.get("k"), b"ours")

    def test_written_meanwhile(self) -> None:
        """What was known before is not believed after a write that nothing was kept of."""
        self.rule(self.one, metadata={"immutable": [".*"]})
        self.one.put("k", b"one")
        both = {"skipCache": [".*"]}
        self.rule(self.one, data=both, metadata=both)
        self.one.put("k", b"other")
        self.rule(self.one, metadata={"immutable": [".*"]})
        self.assertEqual(self.one.get("k"), b"other")


class PageSizeTests(Case):
    def test_sizes(self) -> None:
        """Objects of several page sizes lie in one store; each is read by its own."""
        world = self.world(freshness="immutable")
        self.rule(
            world,
            rules=[
                {"pattern": ".*/large/.*", "pageSize": "16KB"},
                {"pattern": ".*/small/.*", "pageSize": "4KB"},
            ],
        )
        data = bytes(number * 7 % 251 for number in range(40_000))
        for key, pages in (("large/k", 3), ("small/k", 10), ("k", 40)):
            before = world.store.usage()[0].pages
            world.behind(key, data)
            self.assertEqual(world.get(key), data)
            self.assertEqual(world.store.usage()[0].pages - before, pages, key)
            reads = world.ufs.count("read")
            for span in (Span(0, 10), Span(16_380, 10), Span(39_990, 10)):
                self.assertEqual(world.get(key, span), data[span.offset : span.end])
                self.assertEqual(world.cache, "HIT")
            self.assertEqual(world.ufs.count("read"), reads)

    def test_whole_pages(self) -> None:
        """A range that misses loads pages of the size that the rule says."""
        world = self.world()
        self.rule(world, rules=[{"pattern": ".*", "pageSize": "4KB"}])
        world.behind("k", bytes(20_000))
        world.get("k", Span(5000, 10))
        self.assertEqual(world.ufs.asked, [Span(4096, 4096)])

    def test_changed(self) -> None:
        """Another page size loads anew, and never takes one page for another."""
        world = self.world(freshness="immutable")
        data = bytes(number * 7 % 251 for number in range(40_000))
        world.behind("k", data)
        for size in ("4KB", "16KB", "8KB", "4KB"):
            self.rule(world, rules=[{"pattern": ".*", "pageSize": size}])
            self.assertEqual(world.get("k"), data)
            self.assertEqual(world.get("k", Span(9000, 900)), data[9000:9900])
        # What was there of the first size is there still.
        self.assertEqual(world.cache, "HIT")

    def test_one_memory(self) -> None:
        """Loads of every page size share one memory."""
        pages = self.world().objects.pages
        other = pages.kept(Keeping(4096))
        self.assertIs(other.loads.memory, pages.loads.memory)
        self.assertIs(other.stats, pages.stats)
        self.assertIs(pages.kept(Keeping(4096)), other)
        self.assertIs(pages.kept(None), pages)

    def test_bounded(self) -> None:
        """However often the rules change, few ways of keeping are remembered."""
        pages = self.world().objects.pages
        for number in range(1000):
            pages.kept(Keeping(4096 + number))
        self.assertLessEqual(len(pages._others), 64)


class TierTests(Case):
    def tiered(self) -> tuple[World, MemoryStore, MemoryStore]:
        above, below = MemoryStore(1 << 20, name="above"), MemoryStore(1 << 20)
        world = self.world(freshness="immutable")
        world.store = Tiers(
            [Level(above, 64 << 10), Level(below, 1 << 20)], NoThreads()
        )
        world.restart()
        self.rule(
            world,
            rules=[
                {"pattern": ".*/mem/.*", "tier": "MEM"},
                {"pattern": ".*/disk/.*", "tier": "DISK"},
            ],
        )
        return world, above, below

    def test_tiers(self) -> None:
        """A page lies in the tier that its rule says, and in both without one."""
        for key, there, under in (("mem/k", 1, 0), ("disk/k", 0, 1), ("k", 1, 1)):
            world, above, below = self.tiered()
            world.behind(key, b"x" * 100)
            for cache in ("MISS", "HIT", "HIT"):
                self.assertEqual(world.get(key), b"x" * 100)
                self.assertEqual(world.cache, cache, key)
            self.assertEqual(
                (above.usage()[0].pages, below.usage()[0].pages), (there, under), key
            )


class ReadAheadTests(Case):
    def test_off(self) -> None:
        """Read-ahead can be switched off by a rule."""
        world = self.world()
        self.rule(world, rules=[{"pattern": ".*", "readAhead": "off"}])
        world.behind("k", bytes(20 * PAGE))
        for page in range(6):
            world.get("k", Span(page * PAGE, PAGE))
        self.assertEqual(
            world.ufs.asked, [Span(page * PAGE, PAGE) for page in range(6)]
        )
        ahead = self.world()
        ahead.behind("k", bytes(20 * PAGE))
        for page in range(6):
            ahead.get("k", Span(page * PAGE, PAGE))
        asked = sum(span.length for span in ahead.ufs.asked)
        self.assertGreater(asked, 6 * PAGE)


class StaleTests(Case):
    def test_rule(self) -> None:
        """What may be answered when the storage fails is a rule's to say."""
        world = self.world(max_age="10s")
        self.rule(world, rules=[{"pattern": ".*/kept/.*", "staleIfError": "1h"}])
        for key in ("kept/k", "k"):
            world.behind(key, b"one")
            world.get(key)
        world.clock.advance(11)
        world.ufs.fail("status")
        self.assertEqual(world.get("kept/k"), b"one")
        self.assertEqual(world.cache, "STALE")
        self.failureResultOf(world.objects.open("b", "k"), StorageUnavailable)

    def test_too_short(self) -> None:
        """A storage that answers with too little is found out, and asked again."""
        world = self.world(max_age="60s")
        world.behind("k", b"one")
        world.get("k", Span(0, 0))
        asked = world.ufs.count("status")

        class Short(type(world.ufs)):  # type: ignore[misc]
            def read(self, path: str, status: Any, span: Span) -> Any:
                return succeed(ScriptedBody(2).say(b"on", None))

        world.ufs.__class__ = Short
        reading = world.now(world.objects.open("b", "k"))
        body = reading.body(Span(0, 3))
        self.failureResultOf(body.read(), ObjectChanged)
        body.close()
        world.now(world.objects.open("b", "k"))
        self.assertEqual(world.ufs.count("status"), asked + 1)
