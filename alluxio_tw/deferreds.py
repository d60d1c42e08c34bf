"""
Coroutines where interfaces promise Deferreds, and several at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")


def deferred(
    function: Callable[P, Coroutine[Deferred[Any], Any, T]],
) -> Callable[P, Deferred[T]]:
    """
    Make an C{async def} fulfil an interface that promises a L{Deferred}.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(function(*args, **kwargs))

    return call


async def together(works: Sequence[Awaitable[Any]]) -> None:
    """All of them, side by side; the first failure, when all have ended."""
    begun = [Deferred.fromCoroutine(cast("Any", work)) for work in works]
    error: Failure | None = None
    for work in begun:
        try:
            await work
        except Exception:
            error = error or Failure()
    if error is not None:
        error.raiseException()


async def quietly(work: Awaitable[Any]) -> None:
    """Tidy up, whatever comes of it."""
    try:
        await work
    except Exception:
        return
