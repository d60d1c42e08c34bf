"""
Jobs on one thing wait for each other, and for nothing else.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ufs.turns import Turns
from tests.doubles_threads import HeldThreads


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = HeldThreads()
        self.turns = Turns(self.threads)
        self.done: list[str] = []

    def test_order(self) -> None:
        """Jobs on one thing run in the order they came, others do not wait."""
        for name in ("a1", "a2", "b1"):
            self.turns.run(name[0], self.done.append, name)
        self.assertEqual(len(self.threads), 2)
        self.threads.release_all()
        self.assertEqual(self.done, ["a1", "b1", "a2"])
        self.assertEqual(len(self.turns), 0)

    def test_failure(self) -> None:
        """A job that fails tells its own caller, and the next one runs."""
        failed = self.turns.run("a", lambda: 1 // 0)
        after = self.turns.run("a", lambda: "fine")
        self.threads.release_all()
        self.failureResultOf(failed, ZeroDivisionError)
        self.assertEqual(self.successResultOf(after), "fine")

    def test_cancel_at_work(self) -> None:
        """A thing stays taken until the thread is done, whoever stopped listening."""
        first = self.turns.run("a", self.done.append, "first")
        self.turns.run("a", self.done.append, "second")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(self.threads), 1)
        self.threads.release_all()
        self.assertEqual(self.done, ["first", "second"])

    def test_cancel_in_line(self) -> None:
        """A job that is cancelled before its turn never runs."""
        self.turns.run("a", self.done.append, "first")
        second = self.turns.run("a", self.done.append, "second")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.threads.release_all()
        self.assertEqual(self.done, ["first"])
        self.assertFalse(self.turns.taken("a"))
