"""
How many connections there may be, of one kind.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from alluxio_tw.errors import StorageBusy

Released = Callable[[], None]


@attrs.define(eq=False)
class Lane:
    """
    So many places, first come, first served.

    :ivar patience: seconds for which one waits for a place.
    """

    places: int
    patience: float
    _clock: IReactorTime = attrs.field(repr=False)
    _free: DeferredSemaphore = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._free = DeferredSemaphore(self.places)

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return self._free.limit - self._free.tokens

    async def take(self) -> Released:
        """
        A place; what gives it back, once.

        :raises StorageBusy: there was none for long.
        """
        try:
            await self._free.acquire().addTimeout(self.patience, self._clock, _late)
        except _TooLong:
            raise StorageBusy("All connections to the storage are in use.") from None
        return _Once(self._free.release)


class _TooLong(Exception):
    pass


def _late(result: object, seconds: float) -> object:
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
