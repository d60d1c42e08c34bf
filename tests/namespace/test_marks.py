"""
Tests of L{alluxio_tw.namespace.marks}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.marks import CONDEMNED, PROCESSES, SLOTS, Marks, slot_of


class MarksTests(SynchronousTestCase):
    """Two processes, as far as marks are concerned, with one file."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        Marks.make(self.directory)
        self.one = self.open(1)
        self.other = self.open((1 << 31) - 1)

    def open(self, nonce: int, now: float = 100.0) -> Marks:
        marks = Marks.open(self.directory, nonce, now)
        self.addCleanup(self.leave, marks)
        return marks

    def leave(self, marks: Marks) -> None:
        """Leave in order, or die: it is the same to those who stay."""
        try:
            marks.leave()
        except OSError:
            return

    def test_seen(self) -> None:
        """A change in one process shows in the other, in its slot alone."""
        before = self.other.values[7], self.other.values[8]
        self.assertEqual(self.one.renew(7), self.other.values[7])
        self.assertNotEqual(self.other.values[7], before[0])
        self.assertEqual(self.other.values[8], before[1])

    def test_never_again(self) -> None:
        """No mark comes twice, from whichever process."""
        seen = set()
        for _ in range(100):
            for marks in (self.one, self.other):
                seen.add(marks.pend(3))
                seen.add(marks.renew(3))
        self.assertEqual(len(seen), 400)

    def test_pending(self) -> None:
        """What is pending is so for the other process only, until it is settled."""
        mark = self.one.pend(7)
        self.assertTrue(self.other.elsewhere(7))
        self.assertFalse(self.one.elsewhere(7))
        self.assertFalse(self.other.elsewhere(8))
        self.one.settle([7])
        self.assertFalse(self.other.elsewhere(7))
        self.assertNotEqual(self.other.values[7], mark)

    def test_pending_again(self) -> None:
        """A slot where something else is pending by now stays so."""
        self.one.pend(7)
        second = self.one.pend(7)
        self.one.settle([7, 8], {7})
        self.assertTrue(self.other.elsewhere(7))
        self.assertEqual(self.one.values[7], second)

    def test_pending_twice(self) -> None:
        """What one process settles leaves the other's pending in the same slot."""
        self.one.pend(7)
        self.other.pend(7)
        self.other.settle([7])
        self.assertTrue(self.other.elsewhere(7))
        self.assertFalse(self.one.elsewhere(7))

    def test_renew_all(self) -> None:
        """All marks are new, and what is pending stays so."""
        before = self.one.values.tolist()
        self.other.pend(9)
        self.one.renew_all()
        after = self.other.values.tolist()
        self.assertTrue(all(after[slot] != before[slot] for slot in range(SLOTS)))
        self.assertTrue(self.one.elsewhere(9))
        self.assertEqual(after[CONDEMNED], 0)

    def test_killed(self) -> None:
        """Who takes a dead one's place believes nothing from before of its slots."""
        self.other.pend(7)
        self.other.leave()
        self.assertTrue(self.one.elsewhere(7))
        self.open(5, now=200.0)
        self.assertFalse(self.one.elsewhere(7))
        self.assertFalse(self.one.believable(7, 200.0))
        self.assertTrue(self.one.believable(7, 200.1))
        self.assertTrue(self.one.believable(8, 0.0))

    def test_all_killed(self) -> None:
        """When all have died, nothing from before of their slots is believed."""
        self.one.pend(0)
        self.other.pend(SLOTS - 1)
        self.one.condemn()
        self.one.leave()
        self.other.leave()
        self.assertTrue(Marks.bury(self.directory, 200.0))
        marks = self.open(5, now=300.0)
        for slot in (0, SLOTS - 1):
            self.assertFalse(marks.elsewhere(slot))
            self.assertFalse(marks.believable(slot, 199.0))
            self.assertTrue(marks.believable(slot, 201.0))
        self.assertTrue(marks.believable(5, 1.0))
        self.assertEqual(marks.values[CONDEMNED], 0)

    def test_nothing_to_bury(self) -> None:
        """A file that is not there, or another's, is not taken for ours."""
        path = os.path.join(self.directory, "marks")
        os.truncate(path, 1000)
        self.assertFalse(Marks.bury(self.directory, 1.0))
        os.unlink(path)
        self.assertFalse(Marks.bury(self.directory, 1.0))

    def test_places(self) -> None:
        """Each process has a place of its own, and there are so many."""
        marks = [self.open(number) for number in range(PROCESSES - 2)]
        for each in marks:
            each.pend(7)
        for each in marks[1:]:
            each.settle([7])
        self.assertFalse(marks[0].elsewhere(7))
        self.assertTrue(marks[1].elsewhere(7))
        self.assertRaises(WrongConfiguration, self.open, 999)

    def test_condemned(self) -> None:
        """What one process condemns is so for all."""
        self.one.condemn()
        self.assertTrue(self.other.values[CONDEMNED])

    def test_slots(self) -> None:
        """Slots are the same in every process, and spread."""
        self.assertEqual(slot_of(b"abc"), 0x3950)
        used = {slot_of(b"key %d" % number) for number in range(10_000)}
        self.assertGreater(len(used), 9_000)
        self.assertLess(max(used), SLOTS)

    def test_room_taken(self) -> None:
        """The file has its room on disk, so that no write to it can fail."""
        self.one.sync()
        stat = os.stat(os.path.join(self.directory, "marks"))
        self.assertGreaterEqual(stat.st_blocks * 512, stat.st_size)
