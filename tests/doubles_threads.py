"""
Threads that run when a test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from alluxio_tw.threads import IThreads

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IThreads)
@attrs.define
class HeldThreads:
    """
    Holds all work back until it is released, first come first.
    """

    _held: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._held)

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        done: Deferred[T] = Deferred()

        def go() -> None:
            maybeDeferred(work, *args, **kwargs).addBoth(done.callback)

        self._held.append(go)
        return done

    def release(self) -> None:
        """Run what has waited longest."""
        self._held.pop(0)()

    def release_all(self) -> None:
        """Run everything, also what comes of it."""
        while self._held:
            self.release()
