"""
Buckets and what is kept of them, while others change it too.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import (
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidArgument,
    NoSuchBucket,
    NoSuchTagSet,
    Overloaded,
)
from alluxio_tw.gateway.buckets import ATTEMPTS, Buckets
from alluxio_tw.iobjects import Demand
from alluxio_tw.istate import Held, IState
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS


@implementer(IState)
class Contended(MemoryState):
    """
    A state store where somebody else writes just before us.
    """

    left: int = 0

    def put(
        self, name: str, value: bytes, expected: str | None = None
    ) -> Deferred[str | None]:
        if expected is not None and self.left:
            self.left -= 1
            held = self.glance(name)
            kept = json.loads(held.value) if held else {}
            kept["others"] = kept.get("others", 0) + 1
            super().put(name, json.dumps(kept).encode())
        done: Deferred[str | None] = super().put(name, value, expected)
        return done


class BucketTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        clock.advance(1000)
        self.ufs = MemoryUFS(clock, NoThreads())
        mounts = MountTable.of([Mount.of("/", "memory:///", {}, {}, self.ufs)], clock)
        self.state = Contended()
        self.buckets = Buckets(mounts, self.state, "me")

    def now(self, work: Deferred[Any]) -> Any:
        return self.successResultOf(work)

    def test_life(self) -> None:
        """A bucket is made, found, listed and deleted."""
        self.now(self.buckets.create("b", "ada"))
        self.now(self.buckets.create("a", "bob"))
        self.assertEqual(self.now(self.buckets.get("b")).owner, "ada")
        found = [(each.name, each.owner) for each in self.now(self.buckets.all())]
        self.assertEqual(found, [("a", "bob"), ("b", "ada")])
        self.failureResultOf(self.buckets.create("b", "eve"), BucketAlreadyOwnedByYou)
        self.assertEqual(self.now(self.buckets.get("b")).owner, "ada")
        self.now(self.buckets.delete("b"))
        self.failureResultOf(self.buckets.get("b"), NoSuchBucket)
        self.failureResultOf(self.buckets.delete("b"), NoSuchBucket)
        self.assertEqual(self.buckets.kept("b"), {})

    def test_not_empty(self) -> None:
        """A bucket with objects stays, and so does what is kept of it."""
        self.now(self.buckets.create("b", "ada"))
        self.now(self.buckets.tag("b", {"t": "1"}))
        self.ufs.put("b/k", b"", "")
        self.failureResultOf(self.buckets.delete("b"), BucketNotEmpty)
        self.assertEqual(self.now(self.buckets.tags("b")), {"t": "1"})
        self.now(self.ufs.delete("b/k", Demand()))
        self.now(self.buckets.delete("b"))

    def test_made_anew(self) -> None:
        """A bucket that is made anew has nothing of an earlier one of its name."""
        self.now(self.state.put("bucket/b", b'{"owner":"eve","tags":{"t":"1"}}'))
        self.now(self.buckets.create("b", "ada"))
        self.failureResultOf(self.buckets.tags("b"), NoSuchTagSet)
        self.assertEqual(self.now(self.buckets.get("b")).owner, "ada")

    def test_race(self) -> None:
        """Of changes by many at once, none is lost."""
        self.now(self.buckets.create("b", "ada"))
        self.state.left = ATTEMPTS - 1
        self.now(self.buckets.tag("b", {"t": "1"}))
        kept = self.buckets.kept("b")
        self.assertEqual(kept["others"], ATTEMPTS - 1)
        self.assertEqual((kept["tags"], kept["owner"]), ({"t": "1"}, "ada"))

    def test_lost_race(self) -> None:
        """Who is always late is told to come back, and changes nothing."""
        self.now(self.buckets.create("b", "ada"))
        self.state.left = ATTEMPTS + 5
        self.failureResultOf(self.buckets.tag("b", {"t": "1"}), Overloaded)
        self.assertNotIn("tags", self.buckets.kept("b"))

    def test_first(self) -> None:
        """What is kept first of a bucket that nobody made over S3 is kept as well."""
        self.now(self.ufs.make_folder("b"))
        self.state.left = 1
        self.now(self.buckets.tag("b", {"t": "1"}))
        self.assertEqual(self.now(self.buckets.tags("b")), {"t": "1"})
        self.assertEqual(self.buckets.kept("b")["others"], 1)
        self.assertEqual(self.now(self.buckets.get("b")).owner, "")

    def test_no_bucket(self) -> None:
        """Nothing is kept of a bucket that is not there."""
        self.failureResultOf(self.buckets.tag("b", {"t": "1"}), NoSuchBucket)
        self.failureResultOf(self.buckets.tags("b"), NoSuchBucket)
        self.assertIsNone(self.state.glance("bucket/b"))

    def test_too_large(self) -> None:
        """More than can be kept is refused, and what was kept stays."""
        self.now(self.buckets.create("b", "ada"))
        work = self.buckets.tag("b", {str(n): "x" * 1000 for n in range(100)})
        self.failureResultOf(work, InvalidArgument)
        self.assertEqual(self.buckets.kept("b"), {"owner": "ada"})

    def test_held(self) -> None:
        """What is kept is read anew each time, whoever changed it."""
        self.now(self.buckets.create("b", "ada"))
        held: Held | None = self.now(self.state.get("bucket/b"))
        assert held is not None
        self.now(succeed(self.state.put("bucket/b", b'{"owner":"eve"}')))
        self.assertEqual(self.now(self.buckets.get("b")).owner, "eve")
