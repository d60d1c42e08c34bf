"""
Tests of L{alluxio_tw.namespace.metadata} and L{alluxio_tw.namespace.shelf}.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.iobjects import Attributes, Status
from alluxio_tw.namespace import metadata, shelf
from alluxio_tw.namespace.encoding import key_of
from alluxio_tw.namespace.environment import Environment
from alluxio_tw.namespace.marks import slot_of
from alluxio_tw.namespace.metadata import Record, Records, fresh, usable_on_error
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.namespace.pruning import Pruning
from alluxio_tw.namespace.shelf import Shelf
from alluxio_tw.threads import IThreads, NoThreads
from tests.doubles_threads import HeldThreads

M = "0123456789abcdef"


def status(version: int | str, **user: str) -> Status:
    return Status(10, str(version), "etag", 1, Attributes(user=user))


class FreshTests(SynchronousTestCase):
    seen = Record(status(1), 1000.0)
    denied = Record(None, 1000.0)

    def test_max_age(self) -> None:
        """A version is believed for as long as the mount says."""
        policy = Policy(max_age=60)
        self.assertTrue(fresh(self.seen, policy, 1059.9))
        self.assertFalse(fresh(self.seen, policy, 1060.0))

    def test_always(self) -> None:
        """With C{always} nothing is believed, not even at once."""
        policy = Policy(freshness="always", negative_age=0)
        self.assertFalse(fresh(self.seen, policy, 1000.0))
        self.assertFalse(fresh(self.denied, policy, 1000.0))

    def test_immutable(self) -> None:
        """What is immutable is believed for ever, whatever the clocks say."""
        policy = Policy(freshness="immutable")
        self.assertTrue(fresh(self.seen, policy, 1e12))
        self.assertTrue(fresh(self.seen, policy, 0.0))

    def test_denied(self) -> None:
        """That there is none has an age of its own, immutable or not."""
        for freshness in ("immutable", "max-age"):
            policy = Policy(freshness=freshness, negative_age=2)
            self.assertTrue(fresh(self.denied, policy, 1001.9))
            self.assertFalse(fresh(self.denied, policy, 1002.0))

    def test_clock_set_back(self) -> None:
        """A record from what the clock calls the future is not believed."""
        self.assertTrue(fresh(self.seen, Policy(), 996.0))
        self.assertFalse(fresh(self.seen, Policy(), 900.0))
        self.assertFalse(fresh(self.denied, Policy(), 900.0))

    def test_since(self) -> None:
        """Nothing from before the object was ours is believed."""
        for policy in (Policy(), Policy(freshness="immutable")):
            self.assertTrue(fresh(self.seen, policy, 1001.0, since=1000.0))
            self.assertFalse(fresh(self.seen, policy, 1001.0, since=1000.5))

    def test_usable_on_error(self) -> None:
        """A failing storage lets a version be answered for a while more."""
        policy = Policy(max_age=60, stale_if_error=30)
        self.assertTrue(usable_on_error(self.seen, policy, 1090.0))
        self.assertFalse(usable_on_error(self.seen, policy, 1090.1))
        self.assertFalse(usable_on_error(self.seen, policy, 900.0))
        self.assertFalse(usable_on_error(self.denied, policy, 1000.0))
        always = Policy(freshness="always", stale_if_error=5)
        self.assertTrue(usable_on_error(self.seen, always, 1005.0))
        self.assertTrue(usable_on_error(self.seen, Policy(freshness="immutable"), 1e12))


class Case(SynchronousTestCase):
    now = 100.0

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.clock = Clock()
        self.records = self.open()

    def tearDown(self) -> None:
        self.successResultOf(self.records.close())

    def open(
        self, threads: IThreads | None = None, capacity: int = 1 << 20, entries: int = 8
    ) -> Records:
        return Records.open(
            self.directory,
            self.clock,
            NoThreads() if threads is None else threads,
            capacity=capacity,
            entries=entries,
            boot="boot 1",
            now=self.now,
        )

    def reopen(self, threads: IThreads | None = None, capacity: int = 1 << 20) -> None:
        self.successResultOf(self.records.close())
        self.records = self.open(threads, capacity)

    def version(self, path: str, mount: str = M) -> str | None:
        """The version known, C{-} if it is known that there is none."""
        record = self.records.glance(mount, path)
        if record is None:
            return None
        return "-" if record.status is None else record.status.version


class RecordsTests(Case):
    def test_learnt(self) -> None:
        """What was learnt is known at once, from disk, and after a restart."""
        learnt = status(1, name="välue")
        self.records.learn(M, "a/b", learnt, 12.5)
        for _ in range(2):
            self.assertEqual(self.records.glance(M, "a/b"), Record(learnt, 12.5))
            self.clock.advance(0.05)
        self.reopen()
        self.assertEqual(self.records.glance(M, "a/b"), Record(learnt, 12.5))

    def test_memo(self) -> None:
        """A hot status is the same object each time, with its memo."""
        self.records.learn(M, "a", status(1), 1.0)
        self.clock.advance(1)
        first = self.records.glance(M, "a")
        assert first is not None and first.status is not None
        first.status.memo["rendered"] = b"x"
        self.assertIs(self.records.glance(M, "a"), first)

    def test_denied(self) -> None:
        """That there is none is known as well."""
        self.records.deny(M, "a", 3.0)
        self.assertEqual(self.records.glance(M, "a"), Record(None, 3.0))
        self.reopen()
        self.assertEqual(self.records.glance(M, "a"), Record(None, 3.0))

    def test_dropped(self) -> None:
        """What was dropped is not known, now or later."""
        self.records.learn(M, "a", status(1), 1.0)
        self.clock.advance(1)
        self.records.drop(M, "a")
        self.assertIsNone(self.records.glance(M, "a"))
        self.reopen()
        self.assertIsNone(self.records.glance(M, "a"))

    def test_mounts_apart(self) -> None:
        """The same path of two mounts is two objects."""
        self.records.learn(M, "a", status(1), 1.0)
        self.records.learn("other", "a", status(2), 1.0)
        self.assertEqual(self.version("a"), "1")
        self.assertEqual(self.version("a", "other"), "2")
        self.successResultOf(self.records.drop_prefix("other", ""))
        self.assertEqual(self.version("a"), "1")
        self.assertIsNone(self.version("a", "other"))

    def test_prefix(self) -> None:
        """What lies beneath a prefix is dropped, wherever it is kept."""
        for path in ("a/1", "a/2", "ab", "b"):
            self.records.learn(M, path, status(1), 1.0)
        self.clock.advance(1)
        self.records.learn(M, "a/3", status(1), 1.0)
        self.successResultOf(self.records.drop_prefix(M, "a/"))
        for _ in range(2):
            for path in ("a/1", "a/2", "a/3"):
                self.assertIsNone(self.version(path))
            self.assertEqual(self.version("ab"), "1")
            self.assertEqual(self.version("b"), "1")
            self.reopen()

    def test_long_paths(self) -> None:
        """Paths longer than a key may be are told apart, and dropped by prefix."""
        one, other = "é" * 500 + "/1", "é" * 500 + "/2"
        self.records.learn(M, one, status(1), 1.0)
        self.records.learn(M, other, status(2), 1.0)
        self.reopen()
        self.assertEqual((self.version(one), self.version(other)), ("1", "2"))
        self.successResultOf(self.records.drop_prefix(M, "é" * 500))
        self.assertEqual((self.version(one), self.version(other)), (None, None))

    def test_any_text(self) -> None:
        """A path need not be proper text to be known."""
        self.records.learn(M, "\udcff", status(1), 1.0)
        self.reopen()
        self.assertEqual(self.version("\udcff"), "1")

    def test_large(self) -> None:
        """A record too large for the disk is known while there is memory for it."""
        large = Status(1, "v", "e", 1, Attributes(user={"a": "x" * 20_000}))
        self.records.learn(M, "a", status(0), 1.0)
        self.reopen()
        self.records.learn(M, "a", large, 1.0)
        self.assertEqual(self.version("a"), "v")
        self.reopen()
        self.assertIsNone(self.version("a"))

    def test_memory_bounded(self) -> None:
        """Memory holds so many decoded records, and those that are asked for."""
        self.reopen()
        for number in range(100):
            self.records.learn(M, f"{number}", status(number), 1.0)
            self.assertEqual(self.version("0"), "0")
        held = len(self.records._young) + len(self.records._old)
        self.assertLessEqual(held, 10)
        self.assertIn((M, "0"), {**self.records._young, **self.records._old})

    def test_large_weighs_more(self) -> None:
        """A large record takes the place of several."""
        for number in range(20):
            self.records.learn(M, f"{number}", status(1, a="x" * 3000), 1.0)
        held = len(self.records._young) + len(self.records._old)
        self.assertLessEqual(held, 4)

    def test_disk_bounded(self) -> None:
        """The disk holds so much, the rest was pruned, and nobody failed."""
        for number in range(30_000):
            self.records.learn(M, f"{number:06}", status(number), float(number))
            if number % 1000 == 0:
                self.clock.advance(1)
        self.clock.advance(1)
        counts = self.records.counts()
        self.assertGreater(counts["pruned"], 1000)
        self.assertEqual(counts["lost"], 0)
        size = (Path(self.directory) / "data.mdb").stat().st_size
        self.assertLess(size, 8 << 20)
        self.assertEqual(self.version("029999"), "29999")

    def test_damaged_record(self) -> None:
        """A record that cannot be read was never known."""
        self.records.learn(M, "a", status(1), 1.0)
        self.successResultOf(self.records.close())
        data = Path(self.directory) / "data.mdb"
        stored = data.read_bytes()
        self.assertIn(b'[10,"1"', stored)
        data.write_bytes(stored.replace(b'[10,"1"', b'[10,!1"'))
        self.records = self.open()
        self.assertIsNone(self.version("a"))
        self.assertEqual(self.records.counts()["unreadable"], 1)
        self.records.learn(M, "a", status(2), 1.0)
        self.assertEqual(self.version("a"), "2")

    def test_closed(self) -> None:
        """Nothing that is asked or told after the end fails."""
        self.records.learn(M, "a", status(1), 1.0)
        self.clock.advance(1)
        self.successResultOf(self.records.close())
        self.records.glance(M, "a")
        self.assertIsNone(self.records.glance(M, "b"))
        self.records.learn(M, "b", status(1), 1.0)
        self.records.drop(M, "a")
        self.successResultOf(self.records.drop_prefix(M, ""))
        self.successResultOf(self.records.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StoringTests(Case):
    """With threads that the test holds back."""

    def setUp(self) -> None:
        self.threads = HeldThreads()
        super().setUp()

    def tearDown(self) -> None:
        done = self.records.close()
        self.threads.release_all()
        self.successResultOf(done)

    def open(
        self, threads: IThreads | None = None, capacity: int = 1 << 20, entries: int = 0
    ) -> Records:
        # Hardly any memory, so that what is known is known from beneath it.
        return super().open(self.threads, capacity, entries)

    def test_together(self) -> None:
        """What comes within the delay is stored together, 50 ms after the first."""
        self.records.learn(M, "a", status(1), 1.0)
        self.clock.advance(0.04)
        self.records.learn(M, "b", status(1), 1.0)
        self.assertEqual(len(self.threads), 0)
        self.clock.advance(0.01)
        self.assertEqual(len(self.threads), 1)
        self.threads.release()
        self.assertEqual(self.records.counts()["stored"], 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_seen_on_the_way(self) -> None:
        """What waits, and what is being stored, is known; the latest counts."""
        self.records.learn(M, "a", status(1), 1.0)
        self.assertEqual(self.version("a"), "1")
        self.clock.advance(0.05)
        self.assertEqual(self.version("a"), "1")
        self.records.learn(M, "a", status(2), 1.0)
        self.records.learn(M, "b", status(3), 1.0)
        self.assertEqual((self.version("a"), self.version("b")), ("2", "3"))
        self.records.drop(M, "b")
        self.records.deny(M, "a", 1.0)
        self.assertEqual((self.version("a"), self.version("b")), ("-", None))
        self.threads.release()
        self.assertEqual((self.version("a"), self.version("b")), ("-", None))
        self.clock.advance(0.05)
        self.threads.release()
        self.assertEqual((self.version("a"), self.version("b")), ("-", None))

    def test_prefix_on_the_way(self) -> None:
        """A prefix that was dropped covers what was being stored, not what comes."""
        self.records.learn(M, "a/1", status(1), 1.0)
        self.clock.advance(0.05)
        dropped = self.records.drop_prefix(M, "a/")
        self.assertIsNone(self.version("a/1"))
        self.records.learn(M, "a/2", status(2), 1.0)
        self.assertEqual(self.version("a/2"), "2")
        self.threads.release()
        self.assertIsNone(self.version("a/1"))
        self.assertNoResult(dropped)
        self.threads.release_all()
        self.successResultOf(dropped)
        self.assertEqual((self.version("a/1"), self.version("a/2")), (None, "2"))

    def test_many_prefixes(self) -> None:
        """More prefixes than are worth keeping apart drop everything."""
        self.records.learn(M, "x", status(1), 1.0)
        self.clock.advance(0.05)
        dropped = [
            self.records.drop_prefix(M, f"{n}/") for n in range(shelf.PREFIX_LIMIT + 2)
        ]
        self.threads.release_all()
        for done in dropped:
            self.successResultOf(done)
        self.assertIsNone(self.version("x"))

    def test_disk_too_slow(self) -> None:
        """What the disk does not keep up with is forgotten, never told wrongly."""
        self.records.learn(M, "a", status("old"), 1.0)
        self.clock.advance(0.05)
        self.threads.release()
        self.records.learn(M, "first", status(1), 1.0)
        self.clock.advance(0.05)
        for number in range(shelf.PENDING_LIMIT):
            self.records.learn(M, f"{number}", status(number), 1.0)
        self.records.learn(M, "a", status("new"), 1.0)
        for other in ("b", "c", "d"):
            self.records.learn(M, other, status(1), 1.0)
        self.assertIsNone(self.version("a"))
        self.assertEqual(self.version("0"), "0")
        for number in range(4 * shelf.PENDING_LIMIT):
            self.records.drop(M, f"more {number}")
        self.assertLessEqual(
            len(self.records._shelf._waiting.records), 4 * shelf.PENDING_LIMIT
        )
        self.threads.release_all()
        self.assertIsNone(self.version("a"))
        self.assertGreater(self.records.counts()["lost"], 0)

    def test_full_at_once(self) -> None:
        """So many changes that they fill a batch are stored without delay."""
        for number in range(shelf.PENDING_LIMIT + 1):
            self.records.drop(M, f"{number}")
        self.assertEqual(len(self.threads), 1)

    def test_close_waits(self) -> None:
        """Closing stores what waits."""
        self.records.learn(M, "a", status(1), 1.0)
        self.clock.advance(0.05)
        self.records.learn(M, "b", status(2), 1.0)
        closed = self.records.close()
        self.assertNoResult(closed)
        self.threads.release_all()
        self.successResultOf(closed)
        self.records = self.open()
        self.assertEqual((self.version("a"), self.version("b")), ("1", "2"))


class BeneathTests(Case):
    """
    Walking over what is known.
    """

    def beneath(self, prefix: str, limit: int = 1000) -> dict[str, Record]:
        found: dict[str, Record] = {}
        after = b""
        while True:
            page, after = self.successResultOf(
                self.records.beneath(M, prefix, after, limit)
            )
            self.assertLessEqual(len(page), limit)
            found.update(page)
            if not after:
                return found

    def test_all(self) -> None:
        """Everything beneath a prefix is found, page by page, also what is pending."""
        paths = ["d/a", "d/b", "d/\u2603", "d/" + "x" * 900, "d/" + "x" * 901]
        for number, path in enumerate(paths):
            self.records.learn(M, path, status(number), 5.0)
        for path in ("c", "d", "d0", "e/a"):
            self.records.learn(M, path, status(1), 5.0)
        self.records.learn("another", "d/a", status(1), 5.0)
        self.records.deny(M, "d/none", 6.0)
        self.records.learn(M, "d/gone", status(1), 5.0)
        self.records.drop(M, "d/gone")
        wanted = {path: Record(status(n), 5.0) for n, path in enumerate(paths)}
        wanted["d/none"] = Record(None, 6.0)
        for limit in (1000, 2, 1):
            self.assertEqual(self.beneath("d/", limit), wanted)
        self.assertEqual(len(self.beneath("")), len(wanted) + 4)
        self.assertEqual(self.beneath("nowhere"), {})

    def test_long_prefix(self) -> None:
        """A prefix that is longer than what keys keep of a path is kept to."""
        long = "y" * 600
        for path in (long + "/a", long + "b", "y" * 599):
            self.records.learn(M, path, status(1), 5.0)
        self.assertEqual(list(self.beneath(long + "/")), [long + "/a"])

    def test_closing(self) -> None:
        """What is being walked over when all is closed is walked over first."""
        threads = HeldThreads()
        self.reopen(threads)
        walking = self.records.beneath(M, "")
        closing = self.records.close()
        self.assertNoResult(closing)
        threads.release_all()
        self.successResultOf(walking)
        self.successResultOf(closing)
        self.records = self.open()
        self.successResultOf(self.records.close())
        self.assertEqual(self.successResultOf(self.records.beneath(M, "")), ([], b""))


class FailingTests(Case):
    def test_map_full(self) -> None:
        """A map that is full in spite of pruning is emptied, and used again."""
        # One reader that never ends keeps every old page from being used again.
        environment = self.records._shelf._environment
        assert environment is not None
        for number in range(100):
            self.records.learn(M, f"{number}", status(number), 1.0)
        self.clock.advance(1)
        reader = environment.database.begin()
        try:
            for turn in range(10_000):
                for number in range(100):
                    self.records.learn(M, f"{number}", status(turn), 1.0)
                self.clock.advance(1)
                if self.flushLoggedErrors():
                    break
            else:
                self.fail("the map was never full")
        finally:
            reader.abort()
        # With the reader there was nothing to be done; it is given up, and what
        # was replaced meanwhile is not told.
        self.assertIn(self.version("0"), (None, str(turn)))
        self.records.learn(M, "0", status("new"), 1.0)
        self.assertEqual(self.version("0"), "new")
        self.reopen()
        self.assertIsNone(self.version("1"))
        self.records.learn(M, "1", status("again"), 1.0)
        self.reopen()
        self.assertEqual(self.version("1"), "again")

    def test_map_too_small(self) -> None:
        """A map that is full with nobody reading is emptied, and goes on."""
        environment = Environment.open(self.mktemp(), 1 << 20, "boot", 1, 1.0)
        small = Shelf(
            environment.marks.values,
            environment.marks,
            environment,
            Pruning(environment, 1 << 30),
            self.clock,
            NoThreads(),
            0.05,
        )
        for number in range(10_000):
            key = b"%d" % number
            small.change(key, slot_of(key), "", (status("v" * 200), 1.0))
            if number % 500 == 499:
                self.clock.advance(1)
                self.assertIsNotNone(small.get(key, slot_of(key), ""))
        self.assertEqual(small.stored, 10_000)
        self.assertIsNone(small.get(b"0", slot_of(b"0"), ""))
        self.successResultOf(small.close())

    def test_corrupt(self) -> None:
        """A folder that was overwritten is made anew."""
        self.records.learn(M, "a", status(1), 1.0)
        self.successResultOf(self.records.close())
        for name in ("data.mdb", "marks", "lock.mdb", "state"):
            shutil.copy(__file__, Path(self.directory) / name)
        self.records = self.open()
        self.assertIsNone(self.version("a"))
        self.records.learn(M, "a", status(2), 1.0)
        self.reopen()
        self.assertEqual(self.version("a"), "2")


OTHER = """
import json, sys
from twisted.internet.task import Clock
from alluxio_tw.iobjects import Status
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.threads import NoThreads

clock = Clock()
records = Records.open(sys.argv[1], clock, NoThreads(), boot="boot 1", now=100.0)
M = sys.argv[2]
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    verb, *rest = json.loads(line)
    answer = None
    if verb == "learn":
        when = float(rest[2]) if rest[2:] else 1.0
        records.learn(M, rest[0], Status(10, rest[1], "etag", 1), when)
    elif verb == "drop":
        records.drop(M, rest[0])
    elif verb == "drop_prefix":
        records.drop_prefix(M, rest[0])
    elif verb == "version":
        record = records.glance(M, rest[0])
        answer = record and record.status.version
    elif verb == "store":
        clock.advance(1)
    elif verb == "flood":
        n = 0
        while True:
            records.learn(M, f"flood/{n}", Status(n, str(n), "etag", 1), 1.0)
            n += 1
            if n % 50 == 0:
                clock.advance(1)
                print(n, flush=True)
    print(json.dumps(answer), flush=True)
records.close()
"""


class Other:
    """Another process with the same records."""

    def __init__(self, directory: str) -> None:
        root = Path(metadata.__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, directory, M],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
            text=True,
        )
        self.answer()

    def answer(self) -> object:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *words: str) -> object:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.communicate()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


class ProcessesTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.other = Other(self.directory)

    def tearDown(self) -> None:
        self.other.end()
        super().tearDown()

    def test_shared(self) -> None:
        """What one process learnt and stored, the other knows."""
        self.other.ask("learn", "a", "1")
        self.other.ask("store")
        self.assertEqual(self.version("a"), "1")

    def test_never_the_old_one(self) -> None:
        """A record that another process replaced is not believed from then on."""
        self.records.learn(M, "a", status("old"), 1.0)
        self.clock.advance(1)
        for _ in range(2):
            self.assertEqual(self.version("a"), "old")
        self.other.ask("learn", "a", "new")
        self.assertIsNone(self.version("a"))
        self.assertEqual(self.other.ask("version", "a"), "new")
        self.other.ask("store")
        self.assertEqual(self.version("a"), "new")

    def test_never_the_dropped_one(self) -> None:
        """A record that another process dropped is not believed from then on."""
        self.records.learn(M, "a", status("old"), 1.0)
        self.clock.advance(1)
        self.assertEqual(self.version("a"), "old")
        self.other.ask("drop", "a")
        self.assertIsNone(self.version("a"))
        self.other.ask("store")
        self.assertIsNone(self.version("a"))

    def test_prefix(self) -> None:
        """Dropping a prefix reaches what other processes hold in memory."""
        for path in ("a/1", "a/2", "b"):
            self.records.learn(M, path, status("old"), 1.0)
        self.clock.advance(1)
        for path in ("a/1", "a/2", "b"):
            self.assertEqual(self.version(path), "old")
        self.other.ask("drop_prefix", "a/")
        self.assertEqual(
            [self.version(path) for path in ("a/1", "a/2", "b")], [None, None, "old"]
        )

    def test_same_slot(self) -> None:
        """What one process has stored says nothing of what the other has not."""
        mine = {slot_of(key_of(M, f"{n}")): f"{n}" for n in range(2000)}
        key, shares = next(
            (f"x{n}", mine[slot])
            for n in count()
            if (slot := slot_of(key_of(M, f"x{n}"))) in mine
        )
        self.records.learn(M, key, status("old"), 1.0)
        self.clock.advance(1)
        self.assertEqual(self.version(key), "old")
        self.other.ask("learn", key, "new")
        self.records.learn(M, shares, status("mine"), 1.0)
        self.assertIsNone(self.version(key))
        self.clock.advance(1)
        self.assertIsNone(self.version(key))
        self.other.ask("store")
        self.assertEqual(self.version(key), "new")
        self.assertEqual(self.version(shares), "mine")

    def test_both_write(self) -> None:
        """Of two that write one object, the one that did so last is believed."""
        self.records.learn(M, "a", status("mine"), 1.0)
        self.other.ask("learn", "a", "theirs")
        self.assertIsNone(self.version("a"))
        self.clock.advance(1)
        self.assertIsNone(self.version("a"))
        self.other.ask("store")
        self.assertEqual(self.version("a"), "theirs")
        self.assertEqual(self.other.ask("version", "a"), "theirs")

    def test_killed(self) -> None:
        """A killed process takes nothing down, and what it stored stays."""
        self.other.ask("learn", "a", "1")
        self.other.ask("store")
        self.other.ask("learn", "b", "never stored")
        self.other.kill()
        self.assertEqual(self.version("a"), "1")
        # Nobody can say what the other had made of b: the storage can.
        self.assertIsNone(self.version("b"))
        self.other = Other(self.directory)
        self.assertEqual(self.other.ask("version", "a"), "1")
        self.records.learn(M, "b", status(2), 101.0)
        self.clock.advance(1)
        self.assertEqual(self.version("b"), "2")
        self.assertEqual(self.other.ask("version", "b"), "2")

    def test_killed_before_storing(self) -> None:
        """What a killed process had replaced is not believed after a restart."""
        for path in ("a", "b", "c"):
            self.records.learn(M, path, status("old"), 1.0)
        self.clock.advance(1)
        self.other.ask("learn", "a", "new")
        self.other.ask("drop", "b")
        # First one takes the dead one's place, then all are dead at once.
        self.other.kill()
        self.other = Other(self.directory)
        for _ in range(2):
            self.assertEqual(
                [self.version(path) for path in ("a", "b", "c")], [None, None, "old"]
            )
            self.assertEqual(
                [self.other.ask("version", path) for path in ("a", "b", "c")],
                [None, None, "old"],
            )
            self.successResultOf(self.records.close())
            self.other.ask("learn", "d", "never stored")
            self.other.kill()
            self.records = self.open()
            self.other = Other(self.directory)
        self.records.learn(M, "a", status("newest"), 101.0)
        self.reopen()
        self.assertEqual(self.version("a"), "newest")

    def test_killed_while_storing(self) -> None:
        """Killed at any moment: what was stored is there, whole, after a restart."""
        self.successResultOf(self.records.close())
        for _ in range(3):
            process = self.other.process
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(["flood"]) + "\n")
            process.stdin.flush()
            stored = 0
            while stored < 300:
                stored = int(process.stdout.readline())
            self.other.kill()
            self.other = Other(self.directory)
            found = [
                self.other.ask("version", f"flood/{number}") for number in range(stored)
            ]
            # What shares a slot with what was not stored yet may be unknown.
            known = [number for number in range(stored) if found[number] is not None]
            self.assertEqual([found[n] for n in known], [str(n) for n in known])
            self.assertGreater(len(known), stored - 10)
        self.other.end()
        self.records = self.open()


names = st.sampled_from(["a", "a/b", "a/c", "ab", "b/" + "x" * 600, "b/" + "x" * 601])
operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["learn", "deny", "drop"]), names),
        st.tuples(st.just("prefix"), st.sampled_from(["a", "a/", "b", ""])),
        st.tuples(st.sampled_from(["store", "release", "reopen"]), st.just("")),
    ),
    max_size=40,
)


class ModelTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(operations, st.integers(0, 6))
    def test_model(self, operations: list[tuple[str, str]], entries: int) -> None:
        """Whatever is done in whatever order, what is known is what was told last."""
        directory = self.mktemp()
        clock = Clock()
        threads = HeldThreads()

        def opened() -> Records:
            return Records.open(
                directory,
                clock,
                threads,
                capacity=1 << 20,
                entries=entries,
                boot="boot",
            )

        def closed() -> None:
            done = records.close()
            threads.release_all()
            self.successResultOf(done)

        records = opened()
        model: dict[str, Record] = {}
        for number, (verb, name) in enumerate(operations):
            if verb == "learn":
                model[name] = Record(status(number), float(number))
                records.learn(M, name, status(number), float(number))
            elif verb == "deny":
                model[name] = Record(None, float(number))
                records.deny(M, name, float(number))
            elif verb == "drop":
                model.pop(name, None)
                records.drop(M, name)
            elif verb == "prefix":
                for path in [path for path in model if path.startswith(name)]:
                    del model[path]
                records.drop_prefix(M, name)
            elif verb == "store":
                clock.advance(1)
            elif verb == "release" and len(threads):
                threads.release()
            elif verb == "reopen":
                closed()
                records = opened()
            for path in ("a", "a/b", "a/c", "ab", "b/" + "x" * 600, "b/" + "x" * 601):
                self.assertEqual(records.glance(M, path), model.get(path))
        closed()
        shutil.rmtree(directory)
