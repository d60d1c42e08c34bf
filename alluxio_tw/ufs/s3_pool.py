"""
The connections to an S3 server, kept open between requests.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web.iweb import IPolicyForHTTPS

from alluxio_tw.ufs.s3_address import Target
from alluxio_tw.ufs.s3_connection import Connection

Place = tuple[bool, str, int]
"""Whether it is TLS, host and port."""


@attrs.define(eq=False)
class Pool:
    """
    Connections, by where they lead.

    :ivar connect_timeout: seconds until a connection stands.
    :ivar keep_alive: seconds that one may be idle.  The server closes idle ones,
        too; to be earlier saves a repetition.
    :ivar most_idle: how many may be idle.
    """

    _clock: IReactorTime
    _policy: IPolicyForHTTPS
    connect_timeout: float
    keep_alive: float
    most_idle: int
    _open: dict[Connection, Place] = attrs.field(factory=dict, init=False)
    _idle: dict[Place, deque[Connection]] = attrs.field(factory=dict, init=False)
    _timers: dict[Connection, IDelayedCall] = attrs.field(factory=dict, init=False)
    _closing: Deferred[None] | None = attrs.field(default=None, init=False)

    def __repr__(self) -> str:
        return f"<Pool: {len(self._open)} open, {len(self._timers)} idle>"

    @property
    def busy(self) -> int:
        """How many connections are at work."""
        return len(self._open) - len(self._timers)

    async def connection(self, target: Target, fresh: bool = False) -> Connection:
        """
        A connection that may be asked; it comes back by itself.

        :param fresh: it shall be a new one.
        :raises Exception: none can be made.
        """
        place = (target.scheme == "https", target.hostname, target.port)
        waiting = self._idle.get(place)
        if waiting and not fresh:
            connection = waiting.pop()
            self._timers.pop(connection).cancel()
            return connection
        made = await self._connect(place)
        self._open[made] = place
        return made

    def close(self) -> Deferred[None]:
        """Close all connections; fires when they are."""
        if not self._open:
            return succeed(None)
        if self._closing is None:
            self._closing = Deferred()
        closing = self._closing
        for connection in tuple(self._open):
            connection.abort()
        return closing

    async def _connect(self, place: Place) -> Connection:
        secure, host, port = place
        endpoint: Any = HostnameEndpoint(
            self._clock, host, port, timeout=self.connect_timeout
        )
        if secure:
            creator = self._policy.creatorForNetloc(host.encode("idna"), port)
            endpoint = wrapClientTLS(creator, endpoint)
        factory = Factory.forProtocol(
            lambda: Connection(self._clock, self._rested, self._gone)
        )
        factory.noisy = False
        return cast("Connection", await endpoint.connect(factory))

    def _rested(self, connection: Connection) -> None:
        place = self._open.get(connection)
        if (
            place is None
            or self._closing is not None
            or self.keep_alive <= 0
            or len(self._timers) >= self.most_idle
        ):
            connection.abort()
            return
        self._idle.setdefault(place, deque()).append(connection)
        self._timers[connection] = self._clock.callLater(
            self.keep_alive, self._expire, connection, place
        )

    def _expire(self, connection: Connection, place: Place) -> None:
        del self._timers[connection]
        self._idle[place].remove(connection)
        connection.abort()

    def _gone(self, connection: Connection) -> None:
        place = self._open.pop(connection, None)
        timer = self._timers.pop(connection, None)
        if timer is not None and place is not None:
            timer.cancel()
            self._idle[place].remove(connection)
        if self._closing is not None and not self._open:
            closing, self._closing = self._closing, None
            closing.callback(None)
