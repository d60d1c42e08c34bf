"""
Requests to an S3 server: signed, sent, judged, and sent again where that is right.

Everything that is sent here may be sent twice: bodies are held in memory until
they are answered, and who sends something conditional asks L{Complaint.tries}
whether an earlier attempt may have been heard.  What is not worth repeating is
what the server understood and refused.

Some remedies are tried once for each request (L{alluxio_tw.ufs.s3_terms}).

Connections are bounded in two lanes: one for bodies that somebody reads at
leisure, one for what ends by itself, so that slow readers keep no write waiting
that they themselves wait for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, StorageUnavailable
from alluxio_tw.s3 import sigv4
from alluxio_tw.s3.checksums import EMPTY_SHA256
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.s3_address import Address, Target
from alluxio_tw.ufs.s3_attributes import Headers, first
from alluxio_tw.ufs.s3_bodies import Arrival
from alluxio_tw.ufs.s3_connection import READ, Response
from alluxio_tw.ufs.s3_credentials import IKeys, Keys
from alluxio_tw.ufs.s3_digests import (
    bare,
    carries_checksum,
    guarded,
    signed,
    summed,
)
from alluxio_tw.ufs.s3_faults import Complaint, complaint
from alluxio_tw.ufs.s3_head import request_head
from alluxio_tw.ufs.s3_lanes import Lane
from alluxio_tw.ufs.s3_pool import Pool
from alluxio_tw.ufs.s3_terms import Learnt, Remedies, Terms
from alluxio_tw.ufs.s3_watch import Unreached, Watch

T = TypeVar("T")

ANSWER_MOST = 16 << 20
"""Bytes of a document; a thousand keys of 1,024 encoded bytes take three million."""

_FAULT_MOST = 64 << 10
_THREADED = 32 << 10
_WELL = 60.0
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_FEW = 16
_LITTLE = 64 << 10


@attrs.frozen
class Asking:
    """
    A request, before it is signed.

    :ivar key: the whole key; L{None} for the bucket.
    :ivar headers: by lower-case name.
    :ivar body: held by the caller until the answer is there.
    :ivar late: a failure may be told with status 200: the server had begun to
        answer before it knew.
    """

    method: bytes
    key: str | None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[bytes, bytes] = attrs.field(factory=dict)
    body: Sequence[bytes | memoryview] = attrs.field(default=(), repr=False)
    late: bool = False

    @property
    def reads(self) -> bool:
        """It is about an object that is there, or should be."""
        if self.method == b"PUT":
            return b"x-amz-copy-source" in self.headers
        return self.key is not None


@attrs.frozen
class Answer:
    """
    A reply whose body was read.
    """

    status: int
    headers: Headers
    body: bytes = attrs.field(repr=False)


Take = Callable[[Response, Callable[[], None]], Awaitable[T]]
"""Given a good reply, and what returns its place in the lane."""


@attrs.define(eq=False)
class Wire:
    """
    The way to one bucket.

    :ivar reading: for who reads bodies at leisure.
    :ivar chance: random numbers from 0 to 1.
    :ivar find_region: blocks; the region, where the address has none.
    """

    address: Address
    pool: Pool
    _keys: IKeys
    clock: IReactorTime
    threads: IThreads
    _chance: Callable[[], float]
    _find_region: Callable[[], str]
    connections: int = 64
    timeout: float = 60.0
    retries: int = 4
    retry_time: float = 60.0
    unsigned: bool = False
    reading: Lane = attrs.field(init=False, repr=False)
    _calling: Lane = attrs.field(init=False, repr=False)
    _well: float = attrs.field(default=-_WELL, init=False)
    _learnt: Learnt = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._learnt = Learnt(self.address, self._keys, self.clock)
        self.reading = Lane(self.connections, self.timeout, self.clock)
        self._calling = Lane(self.connections, self.timeout, self.clock)

    async def call(self, asking: Asking) -> Answer:
        """
        Ask, and read the whole answer.

        :raises BackendError: and the callers' errors of
            L{alluxio_tw.ufs.s3_faults}.
        """
        try:
            return await self.ask(asking)
        except Complaint as error:
            raise error.noun() from error

    async def ask(self, asking: Asking) -> Answer:
        """
        As L{call}, but what the server refuses is a L{Complaint}.
        """
        take = self._late if asking.late else self._whole
        return await self._insist(asking, self._calling, take)

    async def stream(self, asking: Asking) -> tuple[Response, Arrival]:
        """
        Ask, and read no more than the head of the answer; the body must be
        closed.

        :raises Complaint: the server refuses.
        """
        return await self._insist(asking, self.reading, self._begun)

    async def target(self, key: str) -> Target:
        """Where a key is, without a query."""
        if not self.address.region:
            self.address.region = await self._region()
        return self.address.target(key)

    def pause(self, tries: int) -> Deferred[None]:
        """Wait before the n-th repetition: full jitter, as AWS advises."""
        most = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(tries, 20))
        return deferLater(self.clock, most * self._chance(), lambda: None)

    # Again and again

    async def _insist(self, asking: Asking, lane: Lane, take: Take[T]) -> T:
        began = self.clock.seconds()
        tries = 0
        remedies = Remedies(self._learnt)
        while True:
            tries += 1
            if not self.address.region:
                self.address.region = await self._region()
            terms = remedies.begin()
            try:
                return await self._once(asking, lane, take, terms, remedies.fresh)
            except Complaint as error:
                error.tries = tries
                if remedies.refused(error):
                    continue
                if not error.passes or self._enough(began, tries):
                    raise
            except Unreached as error:
                if remedies.unreached(error):
                    continue
                if not error.again or self._enough(began, tries):
                    raise StorageUnavailable(error.message) from error
            await self.pause(tries)

    def _enough(self, began: float, tries: int) -> bool:
        late = self.clock.seconds() - began >= self.retry_time
        return tries > self.retries or late

    # Once

    async def _once(
        self,
        asking: Asking,
        lane: Lane,
        take: Take[T],
        terms: Terms,
        fresh: bool = False,
    ) -> T:
        keys = await self._learnt.keys.get()
        released = await lane.enter()
        try:
            response = await self._send(asking, keys, terms, fresh)
            if response.code < 300:
                self._well = self.clock.seconds()
                return await take(response, released)
            error = await self._refused(response, released)
            error.reads = asking.reads
        except BaseException:
            released()
            raise
        released()
        if asking.method == b"HEAD" and not error.code:
            error = await self._explained(asking, error, lane, terms)
        raise error

    @deferred
    async def _region(self) -> str:
        try:
            return await self.threads.run(self._find_region)
        except Exception as error:
            raise StorageUnavailable(
                f"The storage's region cannot be had ({type(error).__name__})."
            ) from None

    async def _whole(self, response: Response, released: Callable[[], None]) -> Answer:
        return Answer(
            response.code,
            response.headers,
            await self._read(response, released, ANSWER_MOST),
        )

    async def _late(self, response: Response, released: Callable[[], None]) -> Answer:
        answer = await self._whole(response, released)
        error = complaint(500, answer.body)
        if error.code:
            raise error
        return answer

    async def _begun(
        self, response: Response, released: Callable[[], None]
    ) -> tuple[Response, Arrival]:
        return response, self._arrival(response, released)

    def _arrival(self, response: Response, released: Callable[[], None]) -> Arrival:
        response.arrival.when_over(released)
        return response.arrival

    async def _read(
        self, response: Response, released: Callable[[], None], most: int
    ) -> bytes:
        arrival = self._arrival(response, released)
        parts: list[bytes] = []
        left = most
        try:
            while (piece := await arrival.read()) is not None:
                assert isinstance(piece, bytes)
                parts.append(piece)
                left -= len(piece)
                if left < 0:
                    raise Unreached("The storage answers without end.", False)
        except GatewayError as error:
            raise Unreached(error.message) from error
        finally:
            arrival.close()
        return b"".join(parts)

    async def _refused(
        self, response: Response, released: Callable[[], None]
    ) -> Complaint:
        headers = response.headers
        body = await self._read(response, released, _FAULT_MOST)
        region = first(headers, b"x-amz-bucket-region").decode("latin-1")
        error = complaint(response.code, body, region)
        error.location = first(headers, b"location").decode("latin-1")
        date = parse_http_date(first(headers, b"date"))
        error.date = None if date is None else float(date)
        return error

    async def _explained(
        self, asking: Asking, error: Complaint, lane: Lane, terms: Terms
    ) -> Complaint:
        """HEAD is refused without a word of why: ask for the same with GET."""
        if error.region != terms.address.region and error.region:
            return error
        if error.status == 404:
            # Is it the object that is not there, or the bucket?  Not asked each time.
            if self.clock.seconds() - self._well < _WELL:
                return error
            self._well = self.clock.seconds()
        elif error.status not in (400, 403):
            return error
        query = (("list-type", "2"), ("max-keys", "1")) if asking.key is None else ()
        range_ = {} if asking.key is None else {b"range": b"bytes=0-0"}
        again = Asking(b"GET", asking.key, query, {**asking.headers, **range_})
        try:
            await self._once(again, lane, self._dropped, terms)
        except Complaint as explained:
            return explained
        return error

    async def _dropped(self, response: Response, released: Callable[[], None]) -> None:
        self._arrival(response, released).close()

    async def _send(
        self, asking: Asking, keys: Keys | None, terms: Terms, fresh: bool
    ) -> Response:
        digests = await self._digests(asking, keys is not None)
        target = terms.address.target(asking.key, asking.query)
        now = sigv4.timestamp_of(self.clock.seconds() + terms.ahead)
        head = request_head(
            asking.method,
            target,
            {**asking.headers, **digests},
            sum(map(len, asking.body)),
            keys,
            now,
            terms.address.region,
        )
        watch = Watch(self.clock, self.timeout)
        exchange = self._exchange(asking, target, head, watch, fresh)
        return await watch.over(Deferred.fromCoroutine(exchange))

    async def _exchange(
        self, asking: Asking, target: Target, head: bytes, watch: Watch, fresh: bool
    ) -> Response:
        connection = await self.pool.connection(target, fresh)
        # What is read at a time is memory, once there are many who read.
        few = self.pool.busy <= _FEW
        return await connection.ask(
            asking.method,
            head,
            asking.body,
            watch.moved,
            self.timeout,
            READ if few else _LITTLE,
        )

    async def _digests(self, asking: Asking, signs: bool) -> dict[bytes, bytes]:
        body = asking.body
        if not body:
            return {b"x-amz-content-sha256": EMPTY_SHA256.encode()} if signs else {}
        if signs and not self.unsigned:
            work = signed
        elif asking.method != b"PUT" or b"content-md5" in asking.headers:
            work = guarded
        elif carries_checksum(asking.headers):
            work = bare
        else:
            work = guarded if asking.query else summed
        if sum(map(len, body)) < _THREADED:
            found = work(body)
        else:
            found = await self.threads.run(work, body)
        if not signs:
            del found[b"x-amz-content-sha256"]
        return found
