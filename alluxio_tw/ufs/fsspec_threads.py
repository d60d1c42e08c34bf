"""
Threads of a mount's own, which nobody waits for.

What runs in them may hang for as long as some library likes.  In the threads that
all share it would hold up the others, and the end of the process: those are waited
for at the end, these are not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.threads import IThreads

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IThreads)
@attrs.define(eq=False)
class OwnThreads:
    """
    As many threads as there were ever calls at a time; the caller bounds that.
    """

    _reactor: IReactorFromThreads
    _name: str
    _queue: SimpleQueue[Callable[[], None] | None] = attrs.field(
        factory=SimpleQueue, init=False, repr=False
    )
    _threads: int = attrs.field(default=0, init=False)
    _busy: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        if self._closed:
            return fail(StorageUnavailable())
        result: Deferred[T] = Deferred(lambda _: None)

        def told(value: T | Failure) -> None:
            self._busy -= 1
            if self._closed:
                self._queue.put(None)
            if result.called:
                return
            if isinstance(value, Failure):
                result.errback(value)
            else:
                result.callback(value)

        def do() -> None:
            value: T | Failure
            try:
                value = work(*args, **kwargs)
            except BaseException:
                value = Failure()
            self._reactor.callFromThread(told, value)

        self._busy += 1
        if self._busy > self._threads:
            self._threads += 1
            threading.Thread(
                target=_work, args=(self._queue,), name=self._name, daemon=True
            ).start()
        self._queue.put(do)
        return result

    def close(self) -> None:
        """Those that have nothing to do end now, the others when they have done."""
        if not self._closed:
            self._closed = True
            for _ in range(self._threads - self._busy):
                self._queue.put(None)


def _work(queue: SimpleQueue[Any]) -> None:
    while (do := queue.get()) is not None:
        do()
        # What it holds is not ours to hold while we wait.
        del do
