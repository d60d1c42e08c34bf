"""
One at a time, by path; and work that goes on although nobody waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

T = TypeVar("T")


@attrs.define(eq=False)
class _Lane:
    lock: DeferredLock = attrs.field(factory=DeferredLock)
    users: int = 0


@attrs.define(eq=False)
class PathTurns:
    """
    Who writes a path waits for whoever writes it already.
    """

    _lanes: dict[str, _Lane] = attrs.field(factory=dict, init=False, repr=False)

    def __contains__(self, path: object) -> bool:
        return path in self._lanes

    @asynccontextmanager
    async def turn(self, path: str) -> AsyncIterator[None]:
        """Have it for oneself."""
        lane = self._lanes.setdefault(path, _Lane())
        lane.users += 1
        try:
            await lane.lock.acquire()
            try:
                yield
            finally:
                lane.lock.release()
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[path]

    async def quiet(self, path: str) -> None:
        """Wait until nobody writes it."""
        while path in self._lanes:
            async with self.turn(path):
                pass


@attrs.define(eq=False)
class Finishing:
    """
    Work that must not be left half done: whoever waits for it may go away, it
    goes on.
    """

    _going: bool = attrs.field(default=False, init=False)
    _waiting: list[Deferred[None]] = attrs.field(factory=list, init=False, repr=False)

    def begin(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """
        Begin it; one at a time.

        :return: its result; cancelling this leaves the work alone.
        """
        outer: Deferred[T] = Deferred(lambda _: None)
        self._going = True

        def ended(result: T | Failure) -> None:
            self._going = False
            if not outer.called:
                if isinstance(result, Failure):
                    outer.errback(result)
                else:
                    outer.callback(result)
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.called:
                    waiter.callback(None)

        Deferred.fromCoroutine(work).addBoth(ended)
        return outer

    def ended(self) -> Deferred[None]:
        """When nothing is going on."""
        waiter: Deferred[None] = Deferred(lambda _: None)
        if self._going:
            self._waiting.append(waiter)
        else:
            waiter.callback(None)
        return waiter
