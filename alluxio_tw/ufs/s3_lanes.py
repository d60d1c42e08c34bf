"""
How many requests may be on their way to an S3 server at once.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from alluxio_tw.errors import StorageBusy


@attrs.define(eq=False)
class Lane:
    """
    So many places, first come, first served.

    :ivar patience: seconds that one waits for a place.
    """

    places: int
    patience: float
    _clock: IReactorTime
    _free: DeferredSemaphore = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._free = DeferredSemaphore(self.places)

    async def enter(self) -> Callable[[], None]:
        """
        Take a place; what is given returns it, the first time it is called.

        :raises StorageBusy: there is none.
        """
        try:
            await self._free.acquire().addTimeout(self.patience, self._clock, _too_long)
        except _TooLong:
            raise StorageBusy("All connections to the storage are in use.") from None
        return _Once(self._free.release)


class _TooLong(Exception):
    pass


def _too_long(result: object, seconds: float) -> object:
    if isinstance(result, Failure) and result.check(CancelledError):
        raise _TooLong
    return result


@attrs.define
class _Once:
    """Calls what it holds, the first time it is called."""

    _then: Callable[[], object] | None

    def __call__(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()
