"""
Jobs on the same thing run one after another, in threads.

A job that began cannot be stopped: whoever cancels only stops hearing of it.
So the thing stays taken until the thread has really finished: a lock that the
waiting coroutine held would be let go at cancellation, with the thread still at
work.  Not chosen: locks taken inside the threads; waiting for them would use up
the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from alluxio_tw.threads import IThreads

P = ParamSpec("P")
T = TypeVar("T")


@attrs.define(eq=False)
class Turns:
    """
    Who works on what, and who waits for it.
    """

    _threads: IThreads
    _waiting: dict[Hashable, deque[_Job]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    def taken(self, key: Hashable) -> bool:
        """Is somebody at work on it?"""
        return key in self._waiting

    def run(
        self,
        key: Hashable,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        """
        Run C{work} in a thread when all that was asked for C{key} before is done.

        Cancelling the result before its turn takes it out of the line.
        """
        result: Deferred[T] = Deferred(lambda _: self._leave(key, job))
        job = _Job(lambda: self._threads.run(work, *args, **kwargs), result)
        line = self._waiting.get(key)
        if line is None:
            self._waiting[key] = deque()
            self._begin(key, job)
        else:
            line.append(job)
        return result

    def _begin(self, key: Hashable, job: _Job) -> None:
        job.start().addBoth(self._ended, key, job)

    def _ended(self, outcome: Any, key: Hashable, job: _Job) -> None:
        line = self._waiting[key]
        if line:
            self._begin(key, line.popleft())
        else:
            del self._waiting[key]
        result = job.result
        if result.called:  # cancelled: nobody listens any more
            return
        if isinstance(outcome, Failure):
            result.errback(outcome)
        else:
            result.callback(outcome)

    def _leave(self, key: Hashable, job: _Job) -> None:
        line = self._waiting.get(key)
        if line is not None and job in line:
            line.remove(job)


@attrs.frozen(eq=False)
class _Job:
    start: Callable[[], Deferred[Any]]
    result: Deferred[Any]
