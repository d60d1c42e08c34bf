"""
How much is worked on at once, and whose turn it is.

The theory.  Work that waits for something (a storage, a disk, a slow client)
holds memory, files and threads meanwhile, so there is a bound on it: L{Bounds}.
It is counted in units: a GET is one, a listing several (L{WEIGHTS}), since it
holds more.  What is answered at once, from what is at hand, is not counted: it
is over before anything else happens.

Whoever comes when all is taken waits, for a short time: a queue that empties
within it was a burst, and one that does not is overload, which the client should
hear of (C{503 SlowDown}) while it has sent no more than a header block.

Fairness is between clients.  Whose turn it is when something becomes free: of
those that wait, the client that holds least.  No client may hold all, so that one
that comes later finds room; and where the queue is full, the client that has most
in it gives way.  A client that is alone has the use of nearly everything.

Not chosen: a rate per client, which refuses work that could be done, or takes on
what cannot, as long as nobody knows how long the work takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from alluxio_tw.errors import Overloaded
from alluxio_tw.s3.routing import OPERATIONS, Operation
from alluxio_tw.web.request import Request

WEIGHTS: Mapping[str, int] = {
    "ListBuckets": 4,
    "ListObjects": 8,
    "ListObjectsV2": 8,
    "ListObjectVersions": 8,
    "ListParts": 4,
    "ListMultipartUploads": 16,
    "DeleteObjects": 16,
    "CompleteMultipartUpload": 16,
    "CopyObject": 8,
    "UploadPartCopy": 8,
}
"""
What holds more than a GET; all else is L{DOCUMENT} or one.  A unit stands for some
200 KiB: a page of a listing, or a list of what to delete, is many objects.
"""

DOCUMENT = 4
"""An operation that takes a document whole into memory."""

_STREAMED = frozenset(("PutObject", "UploadPart", "PostObject"))


def _weight(operation: Operation) -> int:
    known = WEIGHTS.get(operation.name)
    if known is not None:
        return known
    return DOCUMENT if operation.body and operation.name not in _STREAMED else 1


UNITS: Mapping[str, int] = {
    operation.name: _weight(operation) for operation in OPERATIONS.values()
}
"""How many units each operation is, by its name."""


def client_of(request: Request) -> Hashable:
    """
    In whose name a request is worked on: a user who proved to be that one, or else
    a name together with an address.
    """
    identity = request.identity
    if identity.proved:
        return identity.user
    return identity.user, request.connection.peer


@attrs.frozen
class Bounds:
    """
    How much there may be at once.

    :ivar most: units of work.
    :ivar each: units of one client's.
    :ivar waiting: requests that wait for their turn.
    :ivar seconds: how long one waits at most.
    """

    most: int = 768
    each: int = 576
    waiting: int = 512
    seconds: float = 5.0


@attrs.define(eq=False)
class Admission:
    """
    Lets requests in, one after the other where all at once are too many.

    :ivar held: units that are worked on.
    :ivar waiting: requests that wait.
    :ivar refused: how often a request was turned away, by why: C{full}, there
        was no place to wait; C{late}, its turn did not come.
    """

    _bounds: Bounds
    _clock: IReactorTime
    held: int = attrs.field(default=0, init=False)
    waiting: int = attrs.field(default=0, init=False)
    refused: dict[str, int] = attrs.field(init=False)
    _clients: dict[Hashable, _Client] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _queued: dict[Hashable, _Client] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.refused = {"full": 0, "late": 0}

    def enter(self, client: Hashable, units: int = 1) -> Pass | Deferred[Pass]:
        """
        Ask to be let in.

        :param client: in whose name.
        :param units: see L{UNITS}; more than one client may hold are as many.
        :result: a pass, or one to come; cancelled, it does not come.
        :raises Overloaded: there is no place to wait; or later, as the failure:
            the turn did not come, or another needed the place more.
        """
        bounds = self._bounds
        units = min(units, bounds.each, bounds.most)
        found = self._clients.get(client)
        if found is None:
            found = self._clients[client] = _Client(client)
        if (
            not found.queue
            and self.held + units <= bounds.most
            and found.held + units <= bounds.each
            and self._first() is None
        ):
            return self._let_in(found, units)
        if self.waiting >= bounds.waiting and not self._make_place(found):
            self._forget(found)
            raise self._refusal("full")
        turn = self._line_up(found, units)
        self._admit()
        return turn

    def _let_in(self, client: _Client, units: int) -> Pass:
        self.held += units
        client.held += units
        return Pass(self, client, units)

    def _line_up(self, client: _Client, units: int) -> Deferred[Pass]:
        waiter = _Waiter(client, units)
        waiter.turn = Deferred(lambda _: self._give_up(waiter))
        waiter.timeout = self._clock.callLater(
            self._bounds.seconds, self._turn_away, waiter, "late"
        )
        client.queue.append(waiter)
        self._queued[client.name] = client
        self.waiting += 1
        return waiter.turn

    def _make_place(self, client: _Client) -> bool:
        """Turn somebody away who has more in the queue than C{client}, if any."""
        longest = max(
            self._queued.values(), key=lambda each: len(each.queue), default=client
        )
        if len(longest.queue) <= len(client.queue) + 1:
            return False
        # The last one: it has waited least.
        self._turn_away(longest.queue[-1], "full")
        return True

    def _turn_away(self, waiter: _Waiter, why: str) -> None:
        self._step_out(waiter)
        waiter.turn.errback(self._refusal(why))
        # What was kept free for it is the others'.
        self._admit()

    def _give_up(self, waiter: _Waiter) -> None:
        self._step_out(waiter)
        self._admit()

    def _step_out(self, waiter: _Waiter) -> None:
        client = waiter.client
        client.queue.remove(waiter)
        self._left_queue(waiter)
        self._forget(client)

    def _left_queue(self, waiter: _Waiter) -> None:
        self.waiting -= 1
        if waiter.timeout is not None and waiter.timeout.active():
            waiter.timeout.cancel()
        if not waiter.client.queue:
            del self._queued[waiter.client.name]

    def _refusal(self, why: str) -> Overloaded:
        self.refused[why] += 1
        return Overloaded()

    def release(self, client: _Client, units: int) -> None:
        """Some work is over."""
        self.held -= units
        client.held -= units
        self._forget(client)
        self._admit()

    def _admit(self) -> None:
        """
        Let in whose turn it is.

        What the next one needs is kept free for it, however long that takes, or
        nobody with a large need would ever come in while there are small ones.
        """
        while (waiter := self._first()) is not None:
            if self.held + waiter.units > self._bounds.most:
                return
            waiter.client.queue.popleft()
            self._left_queue(waiter)
            # The books are in order before anybody is told: who is told may
            # enter or leave at once.
            waiter.turn.callback(self._let_in(waiter.client, waiter.units))

    def _first(self) -> _Waiter | None:
        """
        Whose turn it is once there is room: of the clients that wait and may hold
        more, the one that holds least.

        It looks at each client that waits.  There are few, or many that hold little,
        and then the work that one waits for costs a hundred times more.
        """
        chosen: _Waiter | None = None
        least = 0
        for client in self._queued.values():
            first = client.queue[0]
            if client.held + first.units <= self._bounds.each and (
                chosen is None or client.held < least
            ):
                chosen, least = first, client.held
        return chosen

    def _forget(self, client: _Client) -> None:
        if not (client.held or client.queue):
            self._clients.pop(client.name, None)


@attrs.define(eq=False)
class Pass:
    """
    The right to be worked on, until it is given back.
    """

    _admission: Admission
    _client: _Client
    _units: int

    def leave(self) -> None:
        """Give it back; more than one call does no harm."""
        units, self._units = self._units, 0
        if units:
            self._admission.release(self._client, units)


@attrs.define(eq=False)
class _Client:
    name: Hashable
    held: int = 0
    queue: deque[_Waiter] = attrs.field(factory=deque, repr=False)


@attrs.define(eq=False)
class _Waiter:
    client: _Client
    units: int
    turn: Deferred[Pass] = attrs.field(factory=Deferred, repr=False)
    timeout: IDelayedCall | None = None
