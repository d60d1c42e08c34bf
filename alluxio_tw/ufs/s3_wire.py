"""
Requests to an S3 server: signed, sent, judged, and sent again where that is right.

Everything that is sent here may be sent twice: bodies are held in memory until
they are answered, and who sends something conditional asks L{Complaint.tries}
whether an earlier attempt may have been heard.  What is not worth repeating is
what the server understood and refused.

Three remedies are tried once for each request: a clock that differs, keys that
have expired, a bucket that is elsewhere.

Connections are bounded in two lanes: one for bodies that somebody reads at
leisure, one for what ends by itself, so that slow readers keep no write waiting
that they themselves wait for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, StorageBusy, StorageUnavailable
from alluxio_tw.s3 import sigv4
from alluxio_tw.s3.checksums import EMPTY_SHA256
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.s3_address import Address
from alluxio_tw.ufs.s3_attributes import first
from alluxio_tw.ufs.s3_bodies import Arrival, Sending
from alluxio_tw.ufs.s3_credentials import IKeys, Keys
from alluxio_tw.ufs.s3_digests import guarded, signed
from alluxio_tw.ufs.s3_faults import EXPIRED, Complaint, complaint
from alluxio_tw.ufs.s3_watch import Unreached, Watch

T = TypeVar("T")

ANSWER_MOST = 16 << 20
"""Bytes of a document; a thousand keys of 1,024 encoded bytes take three million."""

_FAULT_MOST = 64 << 10
_THREADED = 32 << 10
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_SKEW = 240.0


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


@attrs.frozen
class Answer:
    """
    A reply whose body was read.
    """

    status: int
    headers: Headers
    body: bytes = attrs.field(repr=False)


Take = Callable[[IResponse, Callable[[], None]], Awaitable[T]]
"""Given a good reply, and what returns its place in the lane."""


@attrs.define(eq=False)
class Wire:
    """
    The way to one bucket.

    :ivar chance: random numbers from 0 to 1.
    :ivar find_region: blocks; the region, where the address has none.
    """

    address: Address
    _agent: IAgent
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
    _reading: DeferredSemaphore = attrs.field(init=False, repr=False)
    _calling: DeferredSemaphore = attrs.field(init=False, repr=False)
    _ahead: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._reading = DeferredSemaphore(self.connections)
        self._calling = DeferredSemaphore(self.connections)

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

    async def stream(self, asking: Asking) -> tuple[IResponse, Arrival]:
        """
        Ask, and read no more than the head of the answer; the body must be
        closed.

        :raises Complaint: the server refuses.
        """
        return await self._insist(asking, self._reading, self._begun)

    def pause(self, tries: int) -> Deferred[None]:
        """Wait before the n-th repetition: full jitter, as AWS advises."""
        most = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(tries, 20))
        return deferLater(self.clock, most * self._chance(), lambda: None)

    # Again and again

    async def _insist(
        self, asking: Asking, lane: DeferredSemaphore, take: Take[T]
    ) -> T:
        began = self.clock.seconds()
        tries = 0
        remedied: set[str] = set()
        while True:
            tries += 1
            try:
                return await self._once(asking, lane, take)
            except Complaint as error:
                error.tries = tries
                if self._remedy(error, remedied):
                    continue
                if not error.passes or self._enough(began, tries):
                    raise
            except Unreached as error:
                if not error.again or self._enough(began, tries):
                    raise StorageUnavailable(error.message) from error
            await self.pause(tries)

    def _enough(self, began: float, tries: int) -> bool:
        late = self.clock.seconds() - began >= self.retry_time
        return tries > self.retries or late

    def _remedy(self, error: Complaint, remedied: set[str]) -> bool:
        """Change what may be wrong on our side, once each; whether there was."""
        if error.code == "RequestTimeTooSkewed" and error.date is not None:
            remedy = "clock"
            ahead = error.date - self.clock.seconds()
            worth = abs(ahead - self._ahead) > _SKEW
            if worth and remedy not in remedied:
                self._ahead = ahead
        elif error.code in EXPIRED or error.code == "InvalidToken":
            remedy = "keys"
            worth = remedy not in remedied and self._keys.expired()
        elif error.region and error.region != self.address.region:
            remedy, worth = "region", True
            if remedy not in remedied:
                self.address.region = error.region
        elif error.status in (301, 302, 307, 308) and error.location:
            remedy = "place"
            worth = remedy not in remedied and self.address.follow(error.location)
        else:
            return False
        if not worth or remedy in remedied:
            return False
        remedied.add(remedy)
        return True

    # Once

    async def _once(self, asking: Asking, lane: DeferredSemaphore, take: Take[T]) -> T:
        keys = await self._keys.get()
        if not self.address.region:
            self.address.region = await self._region()
        try:
            await lane.acquire().addTimeout(self.timeout, self.clock, _too_long)
        except _TooLong:
            raise StorageBusy("All connections to the storage are in use.") from None
        released = _Once(lane.release)
        try:
            response = await self._send(asking, keys)
            if response.code < 300:
                return await take(response, released)
            error = await self._refused(response, released)
        except BaseException:
            released()
            raise
        released()
        if asking.method == b"HEAD" and not error.code:
            error = await self._explained(asking, error, lane)
        raise error

    @deferred
    async def _region(self) -> str:
        try:
            return await self.threads.run(self._find_region)
        except Exception as error:
            raise StorageUnavailable(
                f"The storage's region cannot be had ({type(error).__name__})."
            ) from None

    async def _whole(self, response: IResponse, released: Callable[[], None]) -> Answer:
        return Answer(
            response.code,
            response.headers,
            await self._read(response, released, ANSWER_MOST),
        )

    async def _late(self, response: IResponse, released: Callable[[], None]) -> Answer:
        answer = await self._whole(response, released)
        error = complaint(500, answer.body)
        if error.code:
            raise error
        return answer

    async def _begun(
        self, response: IResponse, released: Callable[[], None]
    ) -> tuple[IResponse, Arrival]:
        return response, self._arrival(response, released)

    def _arrival(self, response: IResponse, released: Callable[[], None]) -> Arrival:
        length = None if response.length is UNKNOWN_LENGTH else response.length
        arrival = Arrival(length, self.clock, self.timeout, released)
        response.deliverBody(arrival)
        return arrival

    async def _read(
        self, response: IResponse, released: Callable[[], None], most: int
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
        self, response: IResponse, released: Callable[[], None]
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
        self, asking: Asking, error: Complaint, lane: DeferredSemaphore
    ) -> Complaint:
        """HEAD is refused without a word of why: ask for the same with GET."""
        if error.region != self.address.region and error.region:
            return error
        if error.status not in (400, 403):
            return error
        query = (("list-type", "2"), ("max-keys", "1")) if asking.key is None else ()
        range_ = {} if asking.key is None else {b"range": b"bytes=0-0"}
        again = Asking(b"GET", asking.key, query, {**asking.headers, **range_})
        try:
            await self._once(again, lane, self._dropped)
        except Complaint as explained:
            return explained
        return error

    async def _dropped(self, response: IResponse, released: Callable[[], None]) -> None:
        self._arrival(response, released).close()

    def _send(self, asking: Asking, keys: Keys | None) -> Deferred[IResponse]:
        return Deferred.fromCoroutine(self._signed_and_sent(asking, keys))

    async def _signed_and_sent(self, asking: Asking, keys: Keys | None) -> IResponse:
        digests = await self._digests(asking.body, keys is not None)
        target = self.address.target(asking.key, asking.query)
        headers = {**asking.headers, **digests, b"host": target.host}
        if keys is not None:
            now = sigv4.timestamp_of(self.clock.seconds() + self._ahead)
            headers[b"x-amz-date"] = now
            if keys.token:
                headers[b"x-amz-security-token"] = keys.token.encode()
            signed = {
                name: value
                for name, value in headers.items()
                if name.startswith(b"x-amz-")
                or name in (b"host", b"content-type", b"content-md5")
            }
            credential = Credential(
                keys.access_key, now[:8].decode(), self.address.region
            )
            headers[b"authorization"] = sigv4.sign(
                asking.method,
                target.path,
                target.query,
                signed,
                credential,
                keys.secret,
            )
        headers[b"user-agent"] = b"alluxio-tw"
        headers[b"accept-encoding"] = b"identity"
        watch = Watch(self.clock, self.timeout)
        body = Sending(asking.body, watch.moved) if asking.body else None
        return await watch.over(
            self._agent.request(
                asking.method,
                target.url,
                Headers({name: [value] for name, value in headers.items()}),
                body,
            )
        )

    async def _digests(
        self, body: Sequence[bytes | memoryview], signs: bool
    ) -> dict[bytes, bytes]:
        if not body:
            return {b"x-amz-content-sha256": EMPTY_SHA256.encode()} if signs else {}
        work = guarded if self.unsigned or not signs else signed
        if sum(map(len, body)) < _THREADED:
            found = work(body)
        else:
            found = await self.threads.run(work, body)
        if not signs:
            del found[b"x-amz-content-sha256"]
        return found


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
