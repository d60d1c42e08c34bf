"""
Deficit round robin: over time all get the same, whatever they ask for at once.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ufs.rounds import Rounds


class RoundsTests(SynchronousTestCase):
    def test_one(self) -> None:
        """Alone, things come in the order they were asked for."""
        rounds = Rounds(10)
        turns = [rounds.join("a", cost) for cost in (5, 50, 1, 1000)]
        self.assertEqual(len(rounds), 4)
        self.assertEqual([rounds.next() for _ in turns], turns)
        self.assertEqual(len(rounds), 0)
        self.assertIsNone(rounds.next())

    def test_shares(self) -> None:
        """Who asks for large things gets as much as who asks for small ones."""
        rounds = Rounds(100)
        for _ in range(100):
            rounds.join("large", 100)
        for _ in range(10_000):
            rounds.join("small", 1)
        got: Counter[object] = Counter()
        while got.total() < 10_000:
            turn = rounds.next()
            assert turn is not None
            got[turn.whose] += int(turn.cost)
        self.assertLessEqual(abs(got["large"] - got["small"]), 200)

    def test_late_comer(self) -> None:
        """One who comes later does not wait for all that others have queued."""
        rounds = Rounds(1)
        for _ in range(1000):
            rounds.join("first", 1)
        late = rounds.join("late", 1)
        before = 0
        while rounds.next() is not late:
            before += 1
        self.assertLessEqual(before, 2)

    def test_leave(self) -> None:
        """Who gives up is passed over, and leaves nothing behind."""
        rounds = Rounds(1)
        turns = [rounds.join(str(n % 7), 1) for n in range(100)]
        for turn in turns[::2]:
            turn.come.cancel()
            self.failureResultOf(turn.come, CancelledError)
        self.assertEqual(len(rounds), 50)
        seen = {rounds.next() for _ in range(50)}
        self.assertEqual(seen, set(turns[1::2]))
        self.assertIsNone(rounds.next())
        self.assertEqual(len(rounds._round), 0)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, 30), st.booleans()),
            max_size=60,
        ),
        st.integers(1, 40),
    )
    def test_nothing_is_lost(
        self, things: list[tuple[int, int, bool]], quantum: int
    ) -> None:
        """Everything that stays comes exactly once, each one's in order."""
        rounds = Rounds(quantum)
        joined = [(rounds.join(whose, cost), left) for whose, cost, left in things]
        for turn, left in joined:
            if left:
                rounds.leave(turn)
        came = []
        while (one := rounds.next()) is not None:
            came.append(one)
        for whose in range(5):
            self.assertEqual(
                [turn for turn in came if turn.whose == whose],
                [turn for turn, left in joined if not left and turn.whose == whose],
            )
