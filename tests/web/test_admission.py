"""
How much is worked on at once, and whose turn it is.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import Overloaded
from alluxio_tw.s3.routing import OPERATIONS
from alluxio_tw.web.admission import UNITS, Admission, Bounds, Pass


class AdmissionTests(SynchronousTestCase):
    """
    With room for four, three of them for one client, and four places to wait.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = Admission(Bounds(4, 3, 4, 5.0), self.clock)

    def enter(self, client: str, units: int = 1) -> Pass:
        """Be let in at once."""
        admitted = self.admission.enter(client, units)
        assert isinstance(admitted, Pass), admitted
        return admitted

    def wait(self, client: str, units: int = 1) -> Deferred[Pass]:
        """Not be let in at once."""
        turn = self.admission.enter(client, units)
        assert isinstance(turn, Deferred)
        self.assertNoResult(turn)
        return turn

    def test_room(self) -> None:
        """Where there is room, nobody waits."""
        passes = [self.enter("a"), self.enter("a"), self.enter("b")]
        self.assertEqual(self.admission.held, 3)
        for each in passes:
            each.leave()
            each.leave()
        self.assertEqual(self.admission.held, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turn(self) -> None:
        """Who waits is let in when another leaves, in the order of coming."""
        first = self.enter("a")
        for _ in range(2):
            self.enter("a")
        self.enter("b")
        one, two = self.wait("b"), self.wait("b")
        first.leave()
        self.assertIsInstance(self.successResultOf(one), Pass)
        self.assertNoResult(two)
        self.assertEqual((self.admission.held, self.admission.waiting), (4, 1))

    def test_share(self) -> None:
        """One client cannot hold all: another finds room at once."""
        for _ in range(3):
            self.enter("greedy", 1)
        turn = self.wait("greedy")
        self.enter("modest")
        self.assertNoResult(turn)

    def test_least(self) -> None:
        """Whose turn it is: the client that holds least, not who came first."""
        greedy = [self.enter("greedy") for _ in range(3)]
        self.enter("other")
        more = self.wait("greedy")
        newcomer = self.wait("modest")
        greedy[0].leave()
        self.successResultOf(newcomer)
        self.assertNoResult(more)

    def test_late(self) -> None:
        """Whose turn does not come in time is refused."""
        passes = [self.enter("a") for _ in range(3)]
        turn = self.wait("a")
        self.clock.advance(4.9)
        self.assertNoResult(turn)
        self.clock.advance(0.2)
        self.failureResultOf(turn, Overloaded)
        self.assertEqual(self.admission.refused, {"full": 0, "late": 1})
        passes[0].leave()
        self.assertEqual((self.admission.held, self.admission.waiting), (2, 0))

    def test_full(self) -> None:
        """When all places to wait are taken, who comes is refused at once."""
        for _ in range(3):
            self.enter("a")
        turns = [self.wait("a") for _ in range(4)]
        self.assertRaises(Overloaded, self.admission.enter, "a")
        for each in turns:
            self.assertNoResult(each)
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual(self.admission.refused["full"], 1)

    def test_make_place(self) -> None:
        """In a full queue, the client that has most in it gives way to another."""
        passes = [self.enter("greedy") for _ in range(3)] + [self.enter("other")]
        turns = [self.wait("greedy") for _ in range(4)]
        modest = self.wait("modest")
        self.failureResultOf(turns[-1], Overloaded)
        for each in turns[:-1]:
            self.assertNoResult(each)
        passes[0].leave()
        self.successResultOf(modest)
        for each in turns[:-1]:
            each.cancel()
            self.failureResultOf(each, CancelledError)

    def test_cancelled(self) -> None:
        """Who gives up waiting takes nothing."""
        passes = [self.enter("a") for _ in range(3)]
        turn = self.wait("a")
        turn.cancel()
        self.failureResultOf(turn, CancelledError)
        passes[0].leave()
        self.assertEqual((self.admission.held, self.admission.waiting), (2, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """A large piece of work is not overtaken by small ones for ever."""
        small = [self.enter("a"), self.enter("b"), self.enter("c")]
        large = self.wait("d", 3)
        later = self.wait("e")
        for each in small[:2]:
            each.leave()
        self.successResultOf(large)
        self.assertNoResult(later)
        small[2].leave()
        self.successResultOf(later)

    def test_large_gives_up(self) -> None:
        """What was kept free for one that gave up is the next one's."""
        for client in "abc":
            self.enter(client)
        large = self.wait("d", 3)
        later = self.wait("e")
        large.cancel()
        self.failureResultOf(large, CancelledError)
        self.successResultOf(later)

    def test_too_large(self) -> None:
        """Work that is more than a client may hold is done alone."""
        held = self.enter("a", 1000)
        self.assertEqual(self.admission.held, 3)
        held.leave()
        self.assertEqual(self.admission.held, 0)

    def test_no_queue(self) -> None:
        """Without places to wait, who finds no room is refused at once."""
        admission = Admission(Bounds(1, 1, 0, 5.0), self.clock)
        admitted = admission.enter("a")
        assert isinstance(admitted, Pass)
        self.assertRaises(Overloaded, admission.enter, "b")
        admitted.leave()
        self.assertIsInstance(admission.enter("b"), Pass)

    def test_again(self) -> None:
        """Who is let in may leave and ask anew from within."""
        passes = [self.enter("a") for _ in range(3)]
        order: list[str] = []

        def come(admitted: Pass) -> None:
            order.append("in")
            admitted.leave()
            again = self.admission.enter("a")
            assert isinstance(again, Pass)

        self.wait("a").addCallback(come)
        passes[0].leave()
        self.assertEqual(order, ["in"])
        self.assertEqual(self.admission.held, 3)

    def test_units(self) -> None:
        """Every operation has its units, a listing more than a GET."""
        self.assertEqual(set(UNITS), {each.name for each in OPERATIONS.values()})
        self.assertLess(UNITS["GetObject"], UNITS["ListObjectsV2"])
        self.assertEqual(UNITS["PutObject"], 1)
        self.assertLess(UNITS["PutObject"], UNITS["PutBucketPolicy"])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("abcd"), st.integers(1, 6)),
        st.tuples(st.just("leave"), st.integers(0, 50)),
        st.tuples(st.just("give up"), st.integers(0, 50)),
        st.tuples(st.just("time"), st.floats(0, 3)),
    ),
    max_size=80,
)


class RandomTests(SynchronousTestCase):
    """
    Whatever happens in whatever order.
    """

    @settings(max_examples=300, deadline=None)
    @given(steps=STEPS)
    def test_books(self, steps: list[tuple[object, ...]]) -> None:
        """The bounds hold, nobody is lost, and in the end nothing is held."""
        clock = Clock()
        bounds = Bounds(8, 6, 5, 5.0)
        admission = Admission(bounds, clock)
        inside: list[tuple[str, int, Pass]] = []
        waiting: list[Deferred[None]] = []
        ended = Counter[str]()

        def come(admitted: Pass, client: str, units: int) -> None:
            inside.append((client, units, admitted))

        def count(failure: Failure) -> None:
            ended[type(failure.value).__name__] += 1

        def enter(client: str, units: int) -> None:
            try:
                turn = admission.enter(client, units)
            except Overloaded:
                ended["refused"] += 1
                return
            if isinstance(turn, Pass):
                come(turn, client, units)
                return
            told = turn.addCallbacks(come, count, (client, units))
            if not turn.called:
                waiting.append(told)
                told.addBoth(lambda _: waiting.remove(told))

        for kind, *given_ in steps:
            if kind == "enter":
                enter(*given_)  # type: ignore[arg-type]
            elif kind == "leave" and inside:
                inside.pop(given_[0] % len(inside))[2].leave()  # type: ignore[operator]
            elif kind == "give up" and waiting:
                waiting[given_[0] % len(waiting)].cancel()  # type: ignore[operator]
            elif kind == "time":
                clock.advance(given_[0])  # type: ignore[arg-type]
            held = sum(min(units, 6) for _, units, _ in inside)
            each = Counter[str]()
            for client, units, _ in inside:
                each[client] += min(units, 6)
            self.assertEqual(admission.held, held)
            self.assertLessEqual(held, bounds.most)
            self.assertLessEqual(max(each.values(), default=0), bounds.each)
            self.assertEqual(admission.waiting, len(waiting))
            self.assertLessEqual(len(waiting), bounds.waiting)
        while inside:
            inside.pop()[2].leave()
        self.assertEqual((admission.held, waiting), (0, []))
        self.assertEqual(clock.getDelayedCalls(), [])
