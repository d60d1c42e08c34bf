"""
Tests of L{alluxio_tw.namespace.folders}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.iobjects import Bucket
from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.namespace.folders import Folders
from tests.namespace.doubles import FolderStorage


class FoldersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = FolderStorage({"a", "b"})
        self.folders = Folders(cast(IUnderFileSystem, self.storage), self.clock)

    def hold(self) -> list[Deferred[Sequence[Bucket]]]:
        self.storage.held = held = list[Deferred[Sequence[Bucket]]]()
        return held

    def names(self, done: Deferred[dict[str, Bucket]]) -> set[str]:
        found: dict[str, Bucket] = self.successResultOf(done)
        return set(found)

    def test_remembered(self) -> None:
        """A folder that was there is believed in for a second."""
        self.assertIsNone(self.folders.glance("a"))
        self.successResultOf(self.folders.all())
        found = self.folders.glance("a")
        assert found is not None
        self.assertEqual(found.created, 7)
        self.assertIsNone(self.folders.glance("c"))
        self.clock.advance(0.99)
        self.assertIsNotNone(self.folders.glance("a"))
        self.clock.advance(0.01)
        self.assertIsNone(self.folders.glance("a"))

    def test_age_from_question(self) -> None:
        """What took long to be told is as old as its question."""
        self.storage.held = []
        done = self.folders.all()
        self.clock.advance(1.5)
        self.storage.held.pop().callback(self.storage.listed())
        self.assertEqual(self.names(done), {"a", "b"})
        self.assertIsNone(self.folders.glance("a"))

    def test_one_question_at_a_time(self) -> None:
        """Who asks during a reading waits for the next, and all share that."""
        held = self.hold()
        first = self.folders.all()
        others = [self.folders.all() for _ in range(10)]
        self.assertEqual(len(held), 1)
        before = self.storage.listed()
        self.storage.names.add("made since")
        held.pop().callback(before)
        self.assertEqual(self.names(first), {"a", "b"})
        self.assertEqual(len(held), 1)
        held.pop().callback(self.storage.listed())
        for other in others:
            self.assertIn("made since", self.successResultOf(other))
        self.assertEqual(self.storage.asked, 2)

    def test_failure(self) -> None:
        """A failure is told to who waited for it, and the next reading goes on."""
        held = self.hold()
        first, second = self.folders.all(), self.folders.all()
        held.pop().errback(StorageUnavailable())
        self.failureResultOf(first, StorageUnavailable)
        self.assertNoResult(second)
        held.pop().callback(self.storage.listed())
        self.successResultOf(second)

    def test_leaving(self) -> None:
        """Who gives up troubles nobody, and alone causes no further reading."""
        held = self.hold()
        first, second, third = (self.folders.all() for _ in range(3))
        first.cancel()
        self.failureResultOf(first)
        second.cancel()
        self.failureResultOf(second)
        held.pop().callback(self.storage.listed())
        self.assertEqual(len(held), 1)
        third.cancel()
        self.failureResultOf(third)
        held.pop().callback(self.storage.listed())
        self.assertEqual(held, [])

    def test_forgotten_while_reading(self) -> None:
        """A reading that a change overtook is not remembered."""
        held = self.hold()
        done = self.folders.all()
        before = self.storage.listed()
        self.storage.names.discard("a")
        self.folders.forget()
        held.pop().callback(before)
        self.successResultOf(done)
        self.assertIsNone(self.folders.glance("a"))
