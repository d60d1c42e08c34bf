"""
Work that may block, away from the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import Interface, implementer

P = ParamSpec("P")
T = TypeVar("T")


class IThreads(Interface):
    """
    Somewhere to run what may block: files that may be cold, digests of large
    bodies, syncs, name look-ups.
    """

    def run(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """
        Run C{work} elsewhere.

        Cancelling the result does not stop work that has begun; its result is
        then dropped, so work that opens something must be left able to close it.
        """


@implementer(IThreads)
@attrs.define
class PooledThreads:
    """
    A bounded pool of threads; what finds none free waits its turn.
    """

    _reactor: IReactorFromThreads
    _pool: ThreadPool

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work, *args, **kwargs)


@implementer(IThreads)
@attrs.define
class NoThreads:
    """
    Runs the work at once, in the caller: for tests, and for tools that have no
    reactor to keep alive.
    """

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return maybeDeferred(work, *args, **kwargs)
