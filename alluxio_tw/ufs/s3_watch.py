"""
A request under watch: given up when nothing moves, and what became of it told.
"""

from __future__ import annotations

from typing import cast

import attrs
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
)
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from alluxio_tw.ufs.s3_connection import Broken, Garbled, Response

_UNREACHED = (
    Broken,
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
)


class Unreached(Exception):
    """
    No reply, or not all of it.

    :ivar again: may it go better the next time?
    :ivar stale: it will, most likely, on another connection.
    """

    def __init__(self, message: str, again: bool = True, stale: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.again = again
        self.stale = stale


@attrs.define(eq=False)
class Watch:
    """
    Gives up on a request when nothing moves.

    Its own Deferred stands before the request's: one that is cancelled while
    it is still being sent fails with an error that tells nothing of it.
    """

    _clock: IReactorTime
    _timeout: float
    _timer: IDelayedCall | None = attrs.field(default=None, init=False)
    _late: bool = attrs.field(default=False, init=False)
    _forsaken: bool = attrs.field(default=False, init=False)

    def moved(self) -> None:
        """Bytes went."""
        if self._timer is not None:
            self._timer.reset(self._timeout)

    async def over(self, request: Deferred[Response]) -> Response:
        """
        Wait for a request's reply.

        :raises Unreached: there is none.
        """

        def forsake(result: Deferred[Response]) -> None:
            self._forsaken = True
            request.cancel()

        result: Deferred[Response] = Deferred(forsake)

        def expire() -> None:
            self._timer = None
            self._late = True
            request.cancel()

        def done(outcome: Response | Failure) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._forsaken:
                return
            result.callback(outcome)

        self._timer = self._clock.callLater(self._timeout, expire)
        request.addBoth(done)
        try:
            return await result
        except CancelledError:
            if self._late:
                raise Unreached("The storage does not answer in time.") from None
            raise
        except _UNREACHED as error:
            if self._late:
                raise Unreached("The storage does not answer in time.") from error
            raise _unreached(error) from error


def _unreached(error: Exception) -> Unreached:
    reasons = [error]
    for failure in getattr(error, "reasons", None) or ():
        if isinstance(failure, Failure):
            reasons.append(cast("Exception", failure.value))
    if any(isinstance(reason, VerificationError) for reason in reasons):
        return Unreached("The storage's certificate is for another host.", False)
    for reason in reasons:
        if isinstance(reason, SSL.Error) and "certificate" in str(reason.args):
            return Unreached("The storage's certificate is not trusted.", False)
        if isinstance(reason, Garbled):
            return Unreached(str(reason))
    stale = isinstance(error, Broken) and error.stale
    return Unreached("The storage behind this bucket cannot be reached.", stale=stale)
