"""
One load per key, however many wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.define
class SingleFlight(Generic[K, V]):
    """
    Shares the result of a load among everyone who asks while it runs.

    A waiter that gives up leaves the others undisturbed.  When the last one
    has left, the load itself is cancelled.
    """

    _flights: dict[K, _Flight[V]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._flights)

    def do(self, key: K, load: Callable[[], Deferred[V]]) -> Deferred[V]:
        """
        Join the load of C{key}, or start it.

        :raises Exception: whatever C{load} failed with, to every waiter.
        """
        there = self._flights.get(key)
        if there is not None:
            return there.board()
        flight: _Flight[V] = _Flight(lambda: self._free(key, flight))
        self._flights[key] = flight
        waiter = flight.board()
        flight.work = maybeDeferred(load)
        flight.work.addBoth(self._land, key, flight)
        return waiter

    def _land(self, result: V | Failure, key: K, flight: _Flight[V]) -> None:
        # The key is free before anyone hears the result: a waiter that asks
        # again from its callback starts a new load.
        self._free(key, flight)
        flight.land(result)

    def _free(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


@attrs.define(eq=False)
class _Flight(Generic[V]):
    _abandoned: Callable[[], None]
    work: Deferred[None] | Deferred[V] | None = None
    _waiting: list[Deferred[V]] = attrs.field(factory=list)

    def board(self) -> Deferred[V]:
        waiter: Deferred[V] = Deferred(self._leave)
        self._waiting.append(waiter)
        return waiter

    def _leave(self, waiter: Deferred[V]) -> None:
        # Identity, not equality: Deferreds compare by identity anyway.
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            if not self._waiting and self.work is not None:
                # The key is free first: a load that is slow to end, for it cleans
                # up, is not one that anybody should still join.
                self._abandoned()
                self.work.cancel()

    def land(self, result: V | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            # One that was told may have made another give up.
            if not waiter.called:
                waiter.callback(result)
