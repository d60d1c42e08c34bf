"""
Tests of L{alluxio_tw.state.watching}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.state.watching import Watches


class WatchesTests(SynchronousTestCase):
    def test_once_each(self) -> None:
        """A name that changed twice since the last look is told once."""
        told: list[str] = []
        watches = Watches()
        watches.add("", told.append)
        watches.tell(["a", "b", "a"])
        self.assertEqual(told, ["a", "b"])

    def test_ended_while_telling(self) -> None:
        """A watch that another one ended in the meantime is told no more."""
        told: list[str] = []
        watches = Watches()
        watches.add("", lambda name: end())
        end = watches.add("", told.append)
        watches.tell(["a"])
        self.assertEqual(told, [])

    def test_begun_while_telling(self) -> None:
        """A watch begun by another hears only of what comes after."""
        told: list[str] = []
        watches = Watches()

        def begin(name: str) -> None:
            watches.add("", told.append)

        watches.add("a", begin)
        watches.tell(["a", "b"])
        self.assertEqual(told, ["b"])
