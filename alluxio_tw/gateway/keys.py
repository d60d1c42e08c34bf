"""
Access keys: by which users are known, and with what secrets they sign.

They come from two places: a file that an operator writes, and the state, where
the tool C{alluxio-s3 key} writes; the file wins where both have a key.  HMAC
needs the secret itself, so it is stored as it is, readable by nobody else, and
shows in no C{repr}, message or log.

What was found is remembered until the file or the state says that it changed:
the state's watch tells so, of other processes' writes within its interval.
What was not found is not remembered: names that strangers make up take no
memory.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Callable, Mapping

import attrs
from twisted.logger import Logger

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidAccessKeyId, InvalidArgument, OurError
from alluxio_tw.gateway.identity import Identity
from alluxio_tw.istate import Held, IState

PREFIX = "key/"
"""Where access keys lie in the state."""

REMEMBERED = 4096
"""How many keys are kept decoded."""

_ACCESS_KEY = re.compile(r"[A-Za-z0-9._~@+=:-]{1,128}", re.ASCII).fullmatch
_SECRET = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII).fullmatch
# What IAM allows, as policies name users by these.
_USER = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}", re.ASCII).fullmatch

log = Logger()


@attrs.frozen
class AccessKey:
    """
    An access key.

    :ivar enabled: what is signed with it is believed.
    :ivar created: seconds since the epoch; nought if nobody knows.
    :ivar identity: of who signs with it.
    """

    access_key: str
    secret: str = attrs.field(repr=False)
    user: str
    enabled: bool = True
    created: int = 0
    identity: Identity = attrs.field(init=False, eq=False, repr=False)

    @identity.default
    def _identity(self) -> Identity:
        return Identity(self.user, self.access_key, proved=True)


def fault_in(access_key: str, secret: str, user: str) -> str:
    """
    What is wrong with the parts of an access key; empty if nothing is.

    The values themselves are not repeated: one may be a secret that was
    written in the wrong place.
    """
    if not _ACCESS_KEY(access_key):
        return "the access key must be 1 to 128 letters, digits or . _ ~ @ + = : -"
    if not _SECRET(secret):
        return "the secret must be 1 to 256 ASCII characters, none of them blank"
    if not _USER(user):
        return "the user must be 1 to 128 letters, digits or _ + = , . @ -"
    return ""


@attrs.define(eq=False)
class AccessKeys:
    """
    All access keys there are.

    :ivar written: those of the file, by access key.
    :ivar revision: grows when what L{find} found may not hold any more.
    """

    _state: IState
    _clock: Callable[[], float] = time.time
    _random: Callable[[int], bytes] = os.urandom
    written: Mapping[str, AccessKey] = attrs.field(factory=dict, init=False)
    revision: int = attrs.field(default=0, init=False)
    _known: dict[str, AccessKey] = attrs.field(factory=dict, init=False, repr=False)
    _unwatch: Callable[[], None] | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Begin to hear of changes; before the first L{find}."""
        if self._unwatch is None:
            self._unwatch = self._state.watch(PREFIX, self._changed)

    def stop(self) -> None:
        """Hear no more."""
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()
        self._forget()

    def write(self, keys: Mapping[str, AccessKey]) -> None:
        """Take these for those of the file."""
        self.written = keys
        self._forget()

    def find(self, access_key: str) -> AccessKey:
        """
        The access key of a request.

        :raises InvalidAccessKeyId: there is none, or it is disabled; S3 says
            the same of both.
        """
        key = self._known.get(access_key)
        return self._look(access_key) if key is None else key

    def _look(self, access_key: str) -> AccessKey:
        key = self.written.get(access_key)
        if key is None and _ACCESS_KEY(access_key):
            held = self._state.glance(PREFIX + access_key)
            key = None if held is None else _decoded(held)
        if key is None or not key.enabled:
            raise InvalidAccessKeyId(AWSAccessKeyId=access_key)
        if self._unwatch is not None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[access_key] = key
        return key

    def _changed(self, name: str) -> None:
        # All of them: it is rare, and who was long away may not be told of
        # each one.
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self.revision += 1

    # --- those in the state

    @deferred
    async def every(self) -> list[AccessKey]:
        """Those in the state, in order."""
        found: list[AccessKey] = []
        after = ""
        while True:
            page = await self._state.list(PREFIX, after)
            if not page:
                return found
            after = page[-1].name
            found += map(_decoded, page)

    @deferred
    async def add(
        self, user: str, access_key: str | None = None, secret: str | None = None
    ) -> AccessKey:
        """
        Make one.

        :param access_key: L{None} makes one up.
        :param secret: likewise.
        :raises InvalidArgument: it is there, or not in its form.
        """
        if access_key is None:
            access_key = "AX" + self._text(12, base64.b32encode)[:18]
        key = AccessKey(
            access_key, secret or self._secret(), user, True, int(self._clock())
        )
        fault = fault_in(key.access_key, key.secret, key.user)
        if fault:
            raise InvalidArgument(fault)
        if access_key in self.written:
            raise InvalidArgument(f"the file has an access key {access_key} already")
        if await self._put(key, "") is None:
            raise InvalidArgument(f"there is an access key {access_key} already")
        return key

    @deferred
    async def enable(self, access_key: str, enabled: bool = True) -> AccessKey:
        """
        Let it be believed, or not.

        :raises InvalidArgument: there is none in the state.
        """
        return await self._change(
            access_key, lambda key: attrs.evolve(key, enabled=enabled)
        )

    @deferred
    async def rotate(self, access_key: str, secret: str | None = None) -> AccessKey:
        """
        Give it another secret; what is signed with the old one is no longer
        believed.

        :param secret: L{None} makes one up.
        :raises InvalidArgument: there is none in the state.
        """
        fresh = secret or self._secret()
        return await self._change(
            access_key, lambda key: attrs.evolve(key, secret=fresh)
        )

    @deferred
    async def remove(self, access_key: str) -> None:
        """
        Forget it.

        :raises InvalidArgument: there is none in the state.
        """
        if not _ACCESS_KEY(access_key) or not await self._state.delete(
            PREFIX + access_key
        ):
            raise self._none(access_key)

    async def _change(
        self, access_key: str, change: Callable[[AccessKey], AccessKey]
    ) -> AccessKey:
        while True:
            held = None
            if _ACCESS_KEY(access_key):
                held = await self._state.get(PREFIX + access_key)
            if held is None:
                raise self._none(access_key)
            key = change(_decoded(held))
            fault = fault_in(key.access_key, key.secret, key.user)
            if fault:
                raise InvalidArgument(fault)
            if await self._put(key, held.revision) is not None:
                return key

    async def _put(self, key: AccessKey, expected: str) -> str | None:
        value = {
            "secret": key.secret,
            "user": key.user,
            "enabled": key.enabled,
            "created": key.created,
        }
        revision: str | None = await self._state.put(
            PREFIX + key.access_key, json.dumps(value).encode(), expected
        )
        return revision

    def _none(self, access_key: str) -> InvalidArgument:
        if access_key in self.written:
            return InvalidArgument(
                f"the access key {access_key} is in the file: change it there"
            )
        return InvalidArgument("there is no such access key")

    def _secret(self) -> str:
        # 240 bits; without characters that a shell or a URL would change.
        return self._text(30, base64.urlsafe_b64encode)

    def _text(self, size: int, encode: Callable[[bytes], bytes]) -> str:
        return encode(self._random(size)).decode("ascii")


def _decoded(held: Held) -> AccessKey:
    try:
        value = json.loads(held.value)
        return AccessKey(
            held.name[len(PREFIX) :],
            str(value["secret"]),
            str(value["user"]),
            value["enabled"] is True,
            int(value.get("created", 0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without the cause: its text may quote the value.
        log.error("the state's {name} cannot be read", name=held.name)
        raise OurError() from None
