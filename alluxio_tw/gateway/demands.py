"""
Demands on storages that cannot judge them.

What a writer demands of the object that is there (C{If-None-Match: *},
C{If-Match}) a storage with C{conditional} checks itself, in the same step as it
writes.  For the others it is checked here: the writes of one object take turns, and
whose turn it is looks at what is there, then writes.  So of our own clients that
race, exactly one wins.  What others write to the storage between the look and the
write, nobody sees; a storage where that matters needs C{conditional}.

Bodies are received before the turn, so it lasts as long as a look and a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock

from alluxio_tw.errors import NoSuchKey, NoSuchPath, PreconditionFailed
from alluxio_tw.iobjects import NO_DEMAND, Demand, Status
from alluxio_tw.namespace.mounts import Place

T = TypeVar("T")


@attrs.define
class _Turn:
    lock: DeferredLock = attrs.field(factory=DeferredLock)
    interested: int = 0


@attrs.define
class Demands:
    """
    The turns of writers, by object; of nobody else's writers than ours.
    """

    _turns: dict[tuple[str, str], _Turn] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._turns)

    async def write(
        self,
        place: Place,
        demand: Demand,
        work: Callable[[], Coroutine[Deferred[Any], Any, T]],
    ) -> T:
        """
        Write when it is this one's turn and what it demands is so.

        :param work: is over when nothing of it goes on any more, also if it was
            cancelled: the next writer begins then.
        :raises PreconditionFailed: it is not so.
        :raises NoSuchKey: it demands a version of an object that is not there.
        """
        if place.mount.ufs.capabilities.conditional:
            return await work()
        key = (place.mount.id, place.path)
        turn = self._turns.setdefault(key, _Turn())
        turn.interested += 1
        try:
            await turn.lock.acquire()
            try:
                if demand is not NO_DEMAND:
                    await look(place, demand)
                return await work()
            finally:
                turn.lock.release()
        finally:
            turn.interested -= 1
            if not turn.interested:
                del self._turns[key]


async def look(place: Place, demand: Demand) -> None:
    """
    Does a demand hold of what is there now?

    :raises PreconditionFailed: it does not.
    :raises NoSuchKey: it demands a version of an object that is not there.
    """
    try:
        status: Status | None = await place.mount.ufs.status(place.path)
    except NoSuchPath:
        status = None
    check_demand(demand, status)


def check_demand(demand: Demand, status: Status | None) -> None:
    """
    Does a demand hold of this version?

    :param status: L{None} if there is none.
    :raises PreconditionFailed: it does not.
    :raises NoSuchKey: it demands a version of an object that is not there.
    """
    if demand.absent and status is not None:
        raise PreconditionFailed(Condition="If-None-Match")
    if demand.match is not None:
        if status is None:
            raise NoSuchKey()
        if "*" not in demand.match and status.etag not in demand.match:
            raise PreconditionFailed(Condition="If-Match")
