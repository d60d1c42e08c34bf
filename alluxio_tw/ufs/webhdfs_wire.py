"""
Questions to namenodes, and bytes to and from the datanodes that they name.

A question goes to the namenode that is believed to be active; one that is on standby
or cannot be reached is left for the next, and only when none is left one waits, with
jitter.  What may have been heard is asked again only where twice is as good as once;
otherwise it fails as L{Unsure}, and whoever asked looks what became of it.

Connections are bounded in three lanes: bodies that somebody reads at leisure, bodies
that somebody writes at leisure, and what ends by itself; so that slow readers keep no
writer waiting that they themselves wait for.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse

from alluxio_tw.errors import GatewayError, StorageUnavailable
from alluxio_tw.ufs.webhdfs_bodies import Arrival
from alluxio_tw.ufs.webhdfs_datanodes import Datanodes, Target
from alluxio_tw.ufs.webhdfs_faults import Complaint, complaint
from alluxio_tw.ufs.webhdfs_identity import Identity
from alluxio_tw.ufs.webhdfs_lanes import Lane, Released
from alluxio_tw.ufs.webhdfs_namenodes import Namenodes
from alluxio_tw.ufs.webhdfs_names import url_path
from alluxio_tw.ufs.webhdfs_watch import Unreached, watched

T = TypeVar("T")

ANSWER_MOST = 16 << 20
"""Bytes of a document: a thousand entries of a folder take half a mebibyte."""

PREFIX = "/webhdfs/v1"

_FAULT_MOST = 64 << 10
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_OTHERS = 8
"""How often a namenode is asked for another datanode than those that failed."""

Take = Callable[[IResponse, str, Released], Awaitable[T]]


class Unsure(StorageUnavailable):
    """The storage did not answer; it may have done what it was asked for."""


@attrs.frozen
class Asking:
    """
    A question to a namenode.

    :ivar path: absolute.
    :ivar again: asked twice, it does what it does once.
    """

    method: bytes
    op: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    again: bool = True


@attrs.define(eq=False)
class Wire:
    """
    The way to one cluster.

    :ivar chance: random numbers from 0 to 1.
    """

    namenodes: Namenodes
    datanodes: Datanodes
    identity: Identity
    _agent: IAgent
    clock: IReactorTime
    _chance: Callable[[], float]
    secure: bool = False
    connections: int = 64
    timeout: float = 60.0
    retries: int = 4
    retry_time: float = 60.0
    reading: Lane = attrs.field(init=False, repr=False)
    writing: Lane = attrs.field(init=False, repr=False)
    _calling: Lane = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.reading = Lane(self.connections, self.timeout, self.clock)
        self.writing = Lane(self.connections, self.timeout, self.clock)
        self._calling = Lane(self.connections, self.timeout, self.clock)

    async def call(self, asking: Asking) -> dict[str, Any]:
        """
        Ask; the document of the answer, empty if it has none.

        :raises BackendError: and the callers' errors of
            L{alluxio_tw.ufs.webhdfs_faults}.
        """
        try:
            return await self.ask(asking)
        except Complaint as error:
            raise error.noun() from error

    async def ask(self, asking: Asking) -> dict[str, Any]:
        """
        As L{call}, but what HDFS refuses is a L{Complaint}.
        """
        return await self._insist(asking, self._calling, self._document)

    async def opened(self, asking: Asking) -> Arrival:
        """
        The body of what is asked for, from a datanode; it must be closed.

        :raises Complaint: HDFS refuses.
        :raises StorageUnavailable: no datanode has it.
        """

        async def once(target: Target) -> Arrival:
            response = await self.send(b"GET", target)
            if response.code != 200:
                await self.refused(response)
            return self.arrival(response, _nothing)

        released = await self.reading.take()
        try:
            arrival = await self._delivered(lambda: self._redirect(asking), once)
        except BaseException:
            released()
            raise
        arrival.when_over(released)
        return arrival

    async def fetched(self, asking: Asking, timeout: float) -> dict[str, Any]:
        """
        As L{ask}, where it is a datanode that has the answer.

        :param timeout: seconds that it may take to find it.
        :raises Complaint: HDFS refuses.
        :raises StorageUnavailable: no datanode answers.
        """

        async def whereto() -> Target | dict[str, Any]:
            found = await self._redirect(asking)
            if isinstance(found, Arrival):
                return _document_of(await found.all(ANSWER_MOST))
            return found

        async def once(target: Target) -> dict[str, Any]:
            released = await self._calling.take()
            try:
                response = await self.send(b"GET", target, timeout=timeout)
                if response.code != 200:
                    await self.refused(response)
                return await self._document(response, "", _nothing)
            finally:
                released()

        return await self._delivered(whereto, once)

    async def sent(
        self,
        asking: Callable[[], Asking],
        once: Callable[[Target], Awaitable[None]],
    ) -> None:
        """
        Ask whereto, and send something there; somewhere else, if that fails by no
        fault of ours.

        :param asking: makes the question, anew for each time.
        :raises Complaint: HDFS refuses.
        :raises StorageUnavailable: no datanode takes it.
        """
        await self._delivered(lambda: self.whereto(asking()), once)

    async def whereto(self, asking: Asking) -> Target:
        """
        Ask for a datanode to send something to.

        :raises Complaint: HDFS refuses.
        """
        found = await self._redirect(asking)
        if isinstance(found, Arrival):
            found.close()
            raise StorageUnavailable("The storage answered what is no WebHDFS.")
        return found

    async def _redirect(self, asking: Asking) -> Target | Arrival:
        """Whereto, rather not to who failed lately; or the body, from a proxy."""
        wanted = asking
        for _ in range(_OTHERS):
            found = await self._insist(wanted, self._calling, self._redirected)
            if isinstance(found, Arrival) or not self.datanodes.shuns(found):
                break
            others = ("excludedatanodes", self.datanodes.excluded())
            wanted = attrs.evolve(asking, params=(*asking.params, others))
        return found

    async def _delivered(
        self,
        whereto: Callable[[], Awaitable[Target | T]],
        once: Callable[[Target], Awaitable[T]],
    ) -> T:
        began = self.clock.seconds()
        tries = 0
        while True:
            target = await whereto()
            if not isinstance(target, Target):
                return target
            tries += 1
            try:
                return await once(target)
            except Complaint as error:
                if not isinstance(error.noun(), StorageUnavailable):
                    raise
                if self._enough(began, tries):
                    raise
            except Unreached as error:
                if not error.again or self._enough(began, tries):
                    raise StorageUnavailable(error.message) from error
            self.datanodes.shun(target)
            await self.pause(tries)

    def pause(self, tries: int) -> Deferred[None]:
        """Wait before the n-th repetition: full jitter."""
        most = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(tries, 20))
        return deferLater(self.clock, most * self._chance(), lambda: None)

    async def send(
        self,
        method: bytes,
        target: Target,
        body: IBodyProducer | None = None,
        timeout: float | None = None,
    ) -> IResponse:
        """
        Send to a datanode.

        :param timeout: seconds, if it is not what others are.
        :raises Unreached: there is no answer.
        """
        proxied = target.name in self.namenodes.addresses
        headers = await self.identity.headers(target.name) if proxied else {}
        if body is not None:
            headers = {**headers, b"content-type": b"application/octet-stream"}
        return await self._request(method, target.url, headers, body, timeout)

    def arrival(self, response: IResponse, released: Released) -> Arrival:
        """The body of a reply."""
        length = None if response.length is UNKNOWN_LENGTH else response.length
        arrival = Arrival(length, self.clock, self.timeout, released)
        response.deliverBody(arrival)
        return arrival

    async def refused(self, response: IResponse) -> None:
        """
        Read why.

        :raises Complaint: that.
        """
        try:
            body = await self.arrival(response, _nothing).all(_FAULT_MOST)
        except GatewayError as error:
            raise Unreached(error.message) from error
        raise complaint(response.code, body)

    # Again and again

    async def _insist(self, asking: Asking, lane: Lane, take: Take[T]) -> T:
        began = self.clock.seconds()
        tries = asked = doubted = 0
        while True:
            namenode = self.namenodes.active
            try:
                return await self._once(asking, namenode, lane, take)
            except Complaint as error:
                if error.status == 401 and not doubted:
                    doubted += 1
                    if self.identity.doubted(namenode):
                        continue
                if not error.elsewhere and not error.passes:
                    raise
                last: Exception = error
                leave = error.elsewhere
            except Unreached as error:
                if not error.unsent and not asking.again:
                    raise Unsure(error.message) from error
                if not error.again:
                    raise StorageUnavailable(error.message) from error
                last, leave = error, True
            asked += 1
            if leave:
                self.namenodes.leave(namenode)
                if asked % len(self.namenodes):
                    continue
            tries += 1
            if self._enough(began, tries):
                if isinstance(last, Unreached):
                    raise StorageUnavailable(last.message) from last
                raise last
            await self.pause(tries)

    def _enough(self, began: float, tries: int) -> bool:
        late = self.clock.seconds() - began >= self.retry_time
        return tries > self.retries or late

    async def _once(
        self, asking: Asking, namenode: str, lane: Lane, take: Take[T]
    ) -> T:
        released = await lane.take()
        try:
            headers = await self.identity.headers(namenode)
            response = await self._request(
                asking.method, self._url(asking, namenode), headers
            )
            self.identity.told(namenode, response.headers)
            if response.code >= 400:
                await self.refused(response)
            return await take(response, namenode, released)
        finally:
            released()

    def _url(self, asking: Asking, namenode: str) -> bytes:
        params = (("op", asking.op), *self.identity.query(), *asking.params)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in params)
        scheme = "https" if self.secure else "http"
        path = url_path(asking.path or "/")
        return f"{scheme}://{namenode}{PREFIX}{path}?{query}".encode("ascii")

    async def _request(
        self,
        method: bytes,
        url: bytes,
        headers: Any,
        body: IBodyProducer | None = None,
        timeout: float | None = None,
    ) -> IResponse:
        sent = {b"user-agent": b"alluxio-tw", **headers}
        return await watched(
            self._agent.request(
                method,
                url,
                Headers({name: [value] for name, value in sent.items()}),
                body,
            ),
            self.clock,
            self.timeout if timeout is None else timeout or None,
        )

    async def _document(
        self, response: IResponse, namenode: str, released: Released
    ) -> dict[str, Any]:
        try:
            body = await self.arrival(response, released).all(ANSWER_MOST)
        except GatewayError as error:
            raise Unreached(error.message) from error
        if response.code >= 300:
            raise StorageUnavailable("The storage answered what is no WebHDFS.")
        return _document_of(body)

    async def _redirected(
        self, response: IResponse, namenode: str, released: Released
    ) -> Target | Arrival:
        if response.code == 200:
            # HttpFS reads by itself.
            return self.arrival(response, _nothing)
        where = response.headers.getRawHeaders(b"location") or [b""]
        try:
            await self.arrival(response, released).all(_FAULT_MOST)
        except GatewayError as error:
            raise Unreached(error.message) from error
        return self.datanodes.target(where[0])


def _document_of(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StorageUnavailable("The storage answered what is no WebHDFS.") from error
    return found if isinstance(found, dict) else {}


def _nothing() -> None:
    pass
