"""
Counting who uses a thing, so that it is not taken away from under them.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed


@attrs.define(eq=False)
class Leases:
    """
    Those that are out on one thing.

    :ivar held: how many are out now.
    :ivar taken: how many there have ever been.
    """

    held: int = 0
    taken: int = 0
    _waiting: list[Deferred[None]] = attrs.field(factory=list, init=False, repr=False)

    def take(self) -> Lease:
        """Use the thing, until the lease is ended."""
        self.held += 1
        self.taken += 1
        return Lease(self)

    def returned(self) -> Deferred[None]:
        """When none is out; others may be taken afterwards."""
        if not self.held:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def give_back(self) -> None:
        """One lease has ended."""
        self.held -= 1
        if not self.held:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)


class Lease:
    """
    The right to use a thing.
    """

    __slots__ = ("_leases",)

    def __init__(self, leases: Leases) -> None:
        self._leases: Leases | None = leases

    def end(self) -> None:
        """Use it no more; more than one call does no harm."""
        leases, self._leases = self._leases, None
        if leases is not None:
            leases.give_back()
