"""
A request under watch: given up when its answer does not come, and what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

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
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.iweb import IResponse

from alluxio_tw.deferreds import deferred

_UNREACHED = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
_UNSENT = (ConnectError, ConnectingCancelledError, DNSLookupError)


class Unreached(Exception):
    """
    No reply, or not all of it.

    :ivar again: may it go better the next time?
    :ivar unsent: is it sure that nobody heard it?
    """

    def __init__(self, message: str, again: bool = True, unsent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.again = again
        self.unsent = unsent


@deferred
async def watched(
    request: Deferred[IResponse], clock: IReactorTime, timeout: float | None
) -> IResponse:
    """
    Wait for a request's reply.

    A Deferred of its own stands before the request's: one that is cancelled while it
    is still being sent fails with an error that tells nothing of it.

    :param timeout: seconds; L{None} if somebody else watches.
    :raises Unreached: there is none.
    """
    forsaken = late = False
    timer: IDelayedCall | None = None

    def forsake(result: Deferred[IResponse]) -> None:
        nonlocal forsaken
        forsaken = True
        request.cancel()

    def expire() -> None:
        nonlocal timer, late
        timer, late = None, True
        request.cancel()

    def done(outcome: IResponse | Failure) -> None:
        if timer is not None:
            timer.cancel()
        if not forsaken:
            result.callback(outcome)
        elif not isinstance(outcome, Failure):
            _drop(outcome)

    result: Deferred[IResponse] = Deferred(forsake)
    if timeout is not None:
        timer = clock.callLater(timeout, expire)
    request.addBoth(done)
    try:
        return await result
    except CancelledError:
        if is_set(lambda: late):
            raise Unreached("The storage does not answer in time.") from None
        raise
    except _UNREACHED as error:
        if is_set(lambda: late):
            # It may not even have been sent: the connection did not stand.
            unsent = isinstance(error, _UNSENT)
            raise Unreached(
                "The storage does not answer in time.", unsent=unsent
            ) from error
        raise _unreached(error) from error


def is_set(flag: Callable[[], bool]) -> bool:
    """What a flag is that somebody else may have set meanwhile."""
    return flag()


def _drop(response: IResponse) -> None:
    transport = getattr(response, "_transport", None)
    abort = getattr(getattr(transport, "_producer", transport), "abortConnection", None)
    if abort is not None:
        abort()


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
    return Unreached(
        "The storage behind this bucket cannot be reached.",
        unsent=isinstance(error, _UNSENT),
    )
