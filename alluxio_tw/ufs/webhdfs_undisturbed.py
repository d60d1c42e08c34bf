"""
Work that goes on when whoever waits for it gives up.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def unstoppable(work: Deferred[T]) -> Deferred[T]:
    """
    The result of some work that goes on when whoever waits for it gives up.
    """
    result: Deferred[T] = Deferred(lambda _: None)

    def done(outcome: T | Failure) -> T | Failure | None:
        if result.called:
            return None
        if isinstance(outcome, Failure):
            result.errback(outcome)
            return None
        result.callback(outcome)
        return outcome

    work.addBoth(done)
    return result


async def settled(work: Deferred[Any]) -> None:
    """Wait for the end of some work, whatever it is."""
    end: Deferred[None] = Deferred()

    def done(outcome: object) -> object:
        end.callback(None)
        return None if isinstance(outcome, Failure) else outcome

    work.addBoth(done)
    await end
