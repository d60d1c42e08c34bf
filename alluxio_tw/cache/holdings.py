"""
What the cache has of an object, beyond what a reader asks for: counting it, filling
it up, dropping it.

Filling up gives way to readers.  It boards the loads as one who is never in a hurry:
its claims on memory are met after those of readers, and only while half of the
memory is free; a reader who comes along makes them urgent.  And what it loads is
announced to the lowest level as worth keeping: a page that nobody asked for yet
would else be the first to go.

Not chosen: reading the object as a client would.  Pages that are there would be read
from disk to be thrown away, and each load would compete with clients for memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from alluxio_tw.cache.flight import PageFlight
from alluxio_tw.cache.loading import Loads
from alluxio_tw.cache.tiers import Holds, holds_of
from alluxio_tw.deferreds import deferred
from alluxio_tw.ipages import IPage, IPageSource, IPageStore, PageKey
from alluxio_tw.spans import page_length

SLICE = 2000
"""Pages that are looked at in one turn of the reactor: about a millisecond."""

TOGETHER = 64
"""Pages that are dropped at once."""


@attrs.frozen
class Holding:
    """
    What there is of one version.

    :ivar pages: that the whole object has.
    :ivar present: those that some tier has.
    :ivar bytes: of these.
    :ivar tiers: pages by the name of the tier; one may be in several.
    """

    pages: int
    present: int
    bytes: int
    tiers: Mapping[str, int]

    @property
    def whole(self) -> bool:
        """Nothing is missing."""
        return self.present == self.pages


class Unhurried:
    """
    A passenger that waits for no byte.
    """

    position = -1

    def landed(self, flight: PageFlight, page: IPage) -> None:
        """Somewhere there is the page now; that is enough."""
        page.release()


@attrs.define(eq=False)
class Holdings:
    """
    What a page cache has, by objects.

    :ivar page_size: in bytes.
    """

    _store: IPageStore
    _holds: Holds
    page_size: int
    _clock: IReactorTime
    _loads: Loads

    @property
    def capacity(self) -> int:
        """Bytes that the lowest level, which has everything, may hold."""
        lowest: IPageStore = getattr(self._store, "lowest", self._store)
        return sum(usage.capacity for usage in lowest.usage())

    @deferred
    async def of(self, object_id: bytes, size: int) -> Holding:
        """
        Count, without asking the storage.

        :param size: of the whole object, in bytes.
        """
        tiers = _tiers(self._store)
        found = dict.fromkeys((name for name, _ in tiers), 0)
        pages = self.pages(size)
        present = held = 0
        for number in range(pages):
            if number and not number % SLICE:
                await deferLater(self._clock, 0, _nothing)
            key = PageKey(object_id, number)
            there = False
            for name, holds in tiers:
                if holds(key):
                    there = True
                    found[name] += 1
            if there:
                present += 1
                held += page_length(number, self.page_size, size)
        return Holding(pages, present, held, found)

    @deferred
    async def missing(
        self, object_id: bytes, size: int, start: int = 0
    ) -> tuple[int, int] | None:
        """
        The next pages in a row that are not here, as many as one load may bring.

        :param start: the first page that is looked at.
        :return: the first and the last, or L{None}: the rest is here.
        """
        pages = self.pages(size)
        first = start
        while first < pages and self._holds(PageKey(object_id, first)):
            first += 1
            if not first % SLICE:
                await deferLater(self._clock, 0, _nothing)
        if first == pages:
            return None
        last = first
        while (
            last + 1 < pages
            and last + 1 - first < self._loads.most_pages
            and not self._holds(PageKey(object_id, last + 1))
        ):
            last += 1
        return first, last

    def length(self, size: int, first: int, last: int) -> int:
        """Bytes of the pages from C{first} to C{last}."""
        end = min((last + 1) * self.page_size, size)
        return max(0, end - first * self.page_size)

    @deferred
    async def warm(
        self, object_id: bytes, source: IPageSource, first: int, last: int
    ) -> None:
        """
        Load the pages from C{first} to C{last}, as far as they are not here.

        That they were loaded does not mean that they are kept: ask again.

        :raises BackendError: as the source fails.
        """
        loads, passenger = self._loads, Unhurried()
        number = first
        while number <= last:
            key = PageKey(object_id, number)
            if not (self._holds(key) or key in loads.flights):
                # After a start, what lies on disk is not yet known to be there.
                page = await self._store.get(key)
                if page is not None:
                    page.release()
            if self._holds(key):
                number += 1
                continue
            there = loads.flights.get(key)
            if there is not None:
                await self._ride(there, passenger)
                number += 1
                continue
            run = loads.plan(object_id, source, number, last)
            announce = getattr(self._store, "announce", None)
            if announce is not None:
                for flight in run.flights:
                    announce(flight.key, flight.length)
            run.want(passenger, run.last)
            number = run.last + 1
            flights = list(run.flights)
            try:
                await _apart(run.go())
                for flight in flights:
                    await self._landing(flight)
            finally:
                run.leave(passenger)

    async def _ride(self, flight: PageFlight, passenger: Unhurried) -> None:
        """Wait for a page that another has loaded."""
        flight.run.want(passenger, flight.number)
        try:
            await self._landing(flight)
        finally:
            flight.run.leave(passenger)

    async def _landing(self, flight: PageFlight) -> None:
        while not (
            flight.over
            or (flight.whole and flight.passing)
            or (flight.run.ended and not flight.landed)
        ):
            await flight.news()
        if flight.failure is not None:
            raise flight.failure

    @deferred
    async def forget(self, object_id: bytes, size: int) -> int:
        """
        Drop what there is.

        :return: bytes that this frees, each page counted once.
        """
        freed = 0
        gone: list[Deferred[None]] = []
        for number in range(self.pages(size)):
            if number and not number % SLICE:
                await deferLater(self._clock, 0, _nothing)
            key = PageKey(object_id, number)
            if self._holds(key):
                freed += page_length(number, self.page_size, size)
                gone.append(self._store.forget(key))
            if len(gone) >= TOGETHER:
                await gatherResults(gone)
                gone = []
        await gatherResults(gone)
        return freed

    def page(self, object_id: bytes, number: int) -> Deferred[IPage | None]:
        """A page that is here, or L{None}; to be released."""
        found: Deferred[IPage | None] = self._store.get(PageKey(object_id, number))
        return found

    def pages(self, size: int) -> int:
        """How many pages an object has."""
        return -(-size // self.page_size)


def _tiers(store: IPageStore) -> list[tuple[str, Holds]]:
    """The stores that others are made of, with their names."""
    parts: Callable[[], tuple[IPageStore, ...]] | None = getattr(store, "parts", None)
    if parts is None:
        return [(store.usage()[0].name, holds_of(store))]
    return [tier for part in parts() for tier in _tiers(part)]


def _apart(work: Deferred[None]) -> Deferred[None]:
    """
    Waits for a run without owning it: there may be readers in it.
    """
    waiter: Deferred[None] = Deferred()

    def tell(result: object) -> None:
        if not waiter.called:
            waiter.callback(None)

    work.addBoth(tell)
    return waiter


def _nothing() -> None:
    """A turn of the reactor."""
