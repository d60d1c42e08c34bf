"""
The memory that loads may use together: who gets it, who waits.

A page is gathered in memory before a store can have it, and it is all or
nothing: room for half of two pages helps neither.  So a load claims the whole
page before it goes beyond its first bytes.  Claims are met in order; those that
nobody waits for (read-ahead) come last, and only while half of the memory is
free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs


@attrs.define(eq=False)
class Claim:
    """
    Memory asked for, and had once C{granted}.

    :ivar size: in bytes.
    :ivar urgent: somebody waits for it.
    :ivar on_grant: called when it is granted later than at once.
    """

    _memory: LoadMemory
    size: int
    urgent: bool
    granted: bool = False
    returned: bool = False
    on_grant: Callable[[], object] | None = None

    def hurry(self) -> bool:
        """Somebody waits for it now; whether it is granted."""
        if not self.urgent:
            self._memory.hurry(self)
        return self.granted

    def give_back(self) -> None:
        """Return it, or stop asking; more than one call does no harm."""
        if not self.returned:
            self.returned = True
            self._memory.take_back(self)


@attrs.define(eq=False)
class LoadMemory:
    """
    A bound, in bytes, over all loads of a process.

    C{alluxio.worker.page.store.load.memory}.

    :ivar used: bytes granted; more than the capacity only by L{take}.
    """

    capacity: int
    used: int = attrs.field(default=0, init=False)
    _urgent: deque[Claim] = attrs.field(factory=deque, init=False)
    _idle: deque[Claim] = attrs.field(factory=deque, init=False)

    @property
    def waiting(self) -> int:
        """How many claims wait."""
        return len(self._urgent) + len(self._idle)

    def claim(self, size: int, urgent: bool) -> Claim:
        """Ask for memory; a claim above the capacity gets all of it."""
        claim = Claim(self, min(size, self.capacity), urgent)
        (self._urgent if urgent else self._idle).append(claim)
        self._grant(told=claim)
        return claim

    def take(self, size: int) -> Claim:
        """Take memory without asking: for what is too small to argue about."""
        self.used += size
        return Claim(self, size, True, granted=True)

    def hurry(self, claim: Claim) -> None:
        """A claim that nobody waited for becomes one that somebody does."""
        claim.urgent = True
        if not claim.granted and not claim.returned:
            self._idle.remove(claim)
            self._urgent.append(claim)
            self._grant(told=claim)

    def take_back(self, claim: Claim) -> None:
        """A claim is given up."""
        if claim.granted:
            self.used -= claim.size
        else:
            (self._urgent if claim.urgent else self._idle).remove(claim)
        self._grant()

    def _grant(self, told: Claim | None = None) -> None:
        granted = []
        while self._urgent and self.used + self._urgent[0].size <= self.capacity:
            granted.append(self._urgent.popleft())
            self.used += granted[-1].size
            granted[-1].granted = True
        while (
            not self._urgent
            and self._idle
            and (not self.used or self.used + self._idle[0].size <= self.capacity // 2)
        ):
            granted.append(self._idle.popleft())
            self.used += granted[-1].size
            granted[-1].granted = True
        # Only when the books are in order is anyone told.
        for claim in granted:
            if claim is not told and claim.on_grant is not None:
                claim.on_grant()
