"""
Calls that block, so many at a time: a file system that hangs holds its own share
of the threads and no more.

A thread cannot be stopped.  Whoever waits for a call can go away, or is told after
a while that the storage does not answer; the call keeps its place until it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from alluxio_tw.errors import StorageBusy, StorageUnavailable
from alluxio_tw.threads import IThreads

P = ParamSpec("P")
T = TypeVar("T")


@attrs.define(eq=False)
class _Call:
    work: Callable[[], Any]
    seconds: float
    outer: Deferred[Any] = attrs.field(init=False)
    timer: IDelayedCall | None = attrs.field(default=None, init=False)
    running: bool = attrs.field(default=False, init=False)


@attrs.define(eq=False)
class Calls:
    """
    So many at a time; the others wait their turn.

    :ivar timeout: seconds that one may take, its waiting included.
    :ivar hung: called when one that runs has taken longer.
    """

    _threads: IThreads
    _clock: IReactorTime
    _most: int
    timeout: float
    _hung: Callable[[], object] = lambda: None
    _running: int = attrs.field(default=0, init=False)
    _waiting: deque[_Call] = attrs.field(factory=deque, init=False, repr=False)

    @property
    def running(self) -> int:
        """How many threads are held."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """
        Run C{work} in a thread.

        Cancelling the result takes it out of the queue, or leaves it to itself.

        :raises StorageBusy: it found no thread in time.
        :raises StorageUnavailable: it did not end in time.
        """
        return self._begin(_Call(lambda: work(*args, **kwargs), self.timeout))

    def run_long(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """As L{run}, for what may take ten times as long."""
        return self._begin(_Call(lambda: work(*args, **kwargs), 10 * self.timeout))

    def _begin(self, call: _Call) -> Deferred[Any]:
        call.outer = Deferred(lambda _: self._leave(call))
        call.timer = self._clock.callLater(call.seconds, self._expire, call)
        self._waiting.append(call)
        self._next()
        return call.outer

    def _next(self) -> None:
        while self._waiting and self._running < self._most:
            call = self._waiting.popleft()
            call.running = True
            self._running += 1
            self._threads.run(call.work).addBoth(self._end, call)

    def _end(self, result: Any, call: _Call) -> None:
        self._running -= 1
        self._rest(call)
        self._next()
        if call.outer.called:
            return
        if isinstance(result, Failure):
            call.outer.errback(result)
        else:
            call.outer.callback(result)

    def _expire(self, call: _Call) -> None:
        call.timer = None
        if call.running:
            self._hung()
            call.outer.errback(StorageUnavailable())
        else:
            self._waiting.remove(call)
            call.outer.errback(StorageBusy())

    def _leave(self, call: _Call) -> None:
        self._rest(call)
        if not call.running:
            self._waiting.remove(call)

    @staticmethod
    def _rest(call: _Call) -> None:
        timer, call.timer = call.timer, None
        if timer is not None:
            timer.cancel()
