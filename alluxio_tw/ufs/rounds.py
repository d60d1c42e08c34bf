"""
Whose turn it is: deficit round robin.

Whoever has something waiting is in the round.  Each time the round comes by, he
may spend a quantum more; what he cannot spend yet, because the first of his things
costs more than he has, he keeps for the next time.  So over time all get the same
in cost, not in number: one who asks for much at once gets no more by it, and one
who asks for little seldom waits.  (M. Shreedhar, G. Varghese: Efficient Fair Queuing
Using Deficit Round Robin, 1996.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import attrs
from twisted.internet.defer import Deferred


@attrs.define(eq=False)
class Turn:
    """
    A place in the queue.

    :ivar come: fires when it is this one's turn; cancel it to leave the queue.
    """

    whose: Hashable
    cost: float
    come: Deferred[None] = attrs.field(init=False, repr=False)


@attrs.define(eq=False)
class _Line:
    # An ordered dictionary, as the round is: both are left from the middle.
    turns: OrderedDict[Turn, None] = attrs.field(factory=OrderedDict)
    deficit: float = 0.0


@attrs.define(eq=False)
class Rounds:
    """
    The queue.

    :ivar quantum: what each may spend in a round; as large as most things cost,
        or the round is gone through many times for one.
    """

    quantum: float
    _round: OrderedDict[Hashable, _Line] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )
    _length: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return self._length

    def join(self, whose: Hashable, cost: float) -> Turn:
        """
        Queue.

        :param cost: of the same kind as L{quantum}.
        """
        turn = Turn(whose, cost)
        turn.come = Deferred(lambda _: self.leave(turn))
        line = self._round.get(whose)
        if line is None:
            line = self._round[whose] = _Line()
        line.turns[turn] = None
        self._length += 1
        return turn

    def leave(self, turn: Turn) -> None:
        """Leave the queue; who is not in it has left."""
        line = self._round.get(turn.whose)
        if line is not None and turn in line.turns:
            del line.turns[turn]
            self._length -= 1
            if not line.turns:
                # What was not spent is forgotten: nobody saves for later.
                del self._round[turn.whose]

    def next(self) -> Turn | None:
        """Who is next, taken out of the queue; he is not told."""
        while self._round:
            whose, line = next(iter(self._round.items()))
            first = next(iter(line.turns))
            if line.deficit >= first.cost:
                line.deficit -= first.cost
                self.leave(first)
                return first
            line.deficit += self.quantum
            self._round.move_to_end(whose)
        return None
