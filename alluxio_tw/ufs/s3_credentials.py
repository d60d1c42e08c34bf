"""
Who asks: access keys, given or found by botocore's chain, and kept fresh.

The chain (environment, profiles, processes, web identity, IMDS, SSO) is
botocore's; it reads files and calls services, so it runs in threads, once
however many wait.  Requests take what was found last.  Not chosen: asking
botocore for every request, which costs a change of threads each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import Interface, implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, StorageDenied, StorageUnavailable
from alluxio_tw.singleflight import SingleFlight
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.s3_options import S3Options

LOOK = 30.0
"""Seconds after which botocore is asked whether it has something newer."""

FORCED = 5.0
"""Seconds between two refreshes because the storage called a token expired."""


@attrs.frozen
class Keys:
    """
    What requests are signed with; shows none of it.
    """

    access_key: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    token: str = attrs.field(default="", repr=False)


class IKeys(Interface):
    """
    Where keys come from.
    """

    def get() -> Deferred[Keys | None]:
        """
        The keys of now; L{None} to ask as nobody.

        :raises StorageDenied: there are none.
        :raises StorageUnavailable: whoever gives them cannot be reached.
        """

    def expired() -> bool:
        """
        The storage says that the keys have expired; is it worth another try?
        """


@implementer(IKeys)
@attrs.frozen
class GivenKeys:
    """
    The keys that the mount was given, or none.
    """

    _keys: Keys | None

    def get(self) -> Deferred[Keys | None]:
        return succeed(self._keys)

    def expired(self) -> bool:
        return False


@implementer(IKeys)
@attrs.define(eq=False)
class FoundKeys:
    """
    Keys that a chain finds and refreshes.

    :ivar find: blocks; gives what botocore calls credentials, or L{None}.
    """

    _find: Callable[[], Any] = attrs.field(repr=False)
    _clock: IReactorTime
    _threads: IThreads
    _credentials: Any = attrs.field(default=None, init=False, repr=False)
    _keys: Keys | None = attrs.field(default=None, init=False, repr=False)
    _looked: float = attrs.field(default=0.0, init=False)
    _forced: float | None = attrs.field(default=None, init=False)
    _flight: SingleFlight[str, Keys] = attrs.field(
        factory=SingleFlight, init=False, repr=False
    )

    @deferred
    async def get(self) -> Keys | None:
        keys = self._keys
        if keys is not None and self._clock.seconds() - self._looked < LOOK:
            return keys
        return await self._flight.do("keys", self._look)

    def expired(self) -> bool:
        now = self._clock.seconds()
        if self._forced is not None and now - self._forced < FORCED:
            # Somebody has just done so: take what came of it, unless it was that
            # which the storage complained of; the caller asks but once.
            return True
        self._forced = now
        self._keys = self._credentials = None
        return True

    @deferred
    async def _look(self) -> Keys:
        try:
            found, keys = await self._threads.run(self._read, self._credentials)
        except GatewayError:
            raise
        except Exception as error:
            # Its message may quote files and addresses of this machine.
            raise StorageUnavailable(
                f"The storage's credentials cannot be had ({type(error).__name__})."
            ) from None
        self._credentials, self._keys = found, keys
        self._looked = self._clock.seconds()
        return keys

    def _read(self, credentials: Any) -> tuple[Any, Keys]:
        if credentials is None:
            credentials = self._find()
        if credentials is None:
            raise StorageDenied("No credentials for the storage were found.")
        frozen = credentials.get_frozen_credentials()
        return credentials, Keys(
            frozen.access_key, frozen.secret_key, frozen.token or ""
        )


def botocore_session(profile: str = "", credentials_file: str = "") -> Any:
    """
    A session of botocore's, which is imported only now; blocks.
    """
    from botocore.session import Session

    session = Session(profile=profile or None)
    if credentials_file:
        session.set_config_variable("credentials_file", credentials_file)
    return session


def chain(profile: str = "", credentials_file: str = "") -> Callable[[], Any]:
    """
    The whole of botocore's credential chain, to be run in a thread.

    :param profile: of the shared configuration; empty for the default.
    """
    return lambda: botocore_session(profile, credentials_file).get_credentials()


def configured_region(profile: str = "", credentials_file: str = "") -> str:
    """The region that environment or profile say, or AWS's first; blocks."""
    session = botocore_session(profile, credentials_file)
    return session.get_config_variable("region") or "us-east-1"


def keys_for(given: S3Options, clock: IReactorTime, threads: IThreads) -> IKeys:
    """Where the keys of a mount come from."""
    if given.anonymous:
        return GivenKeys(None)
    if given.access_key:
        keys = Keys(given.access_key, given.secret_key, given.session_token)
        return GivenKeys(keys)
    return FoundKeys(chain(given.profile, given.credentials_file), clock, threads)
