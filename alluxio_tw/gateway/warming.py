"""
A load at work: objects read into the cache without a client.

Keys are taken in order, page of the listing by page, and several are worked on at a
time.  The position moves past a key when that and all before it are done, so going
on after a stop repeats no more than what was under way.

It gives way to clients: it takes no place among their requests, its pages wait for
memory behind theirs (L{alluxio_tw.cache.holdings}), and a limit on its bandwidth
is kept by beginning the next read later, not by reading slowly: a client who wants
a page that is being loaded gets it at full speed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    BackendError,
    GatewayError,
    InvalidRequest,
    NoSuchKey,
    ObjectChanged,
    StorageDenied,
    StorageUnavailable,
)
from alluxio_tw.gateway.filling import FIRST_PAUSE, TRIES, Filling
from alluxio_tw.gateway.kept import Kept
from alluxio_tw.gateway.loadjob import (
    FAILED,
    RUNNING,
    STOPPED,
    SUCCEEDED,
    LoadJob,
    Tally,
)
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.readings import CachedReading
from alluxio_tw.iobjects import Entry, Listing, Status
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.s3.listing import ListRequest
from alluxio_tw.threads import IThreads

log = Logger()

IN_A_ROW = 32
"""So many objects that fail one after the other, and the storage is given up."""

AHEAD = 1024
"""Keys that may be taken while one before them is still worked on."""

SLICE = 25
"""Objects that are begun in one turn of the reactor: a millisecond or two."""


@attrs.define(eq=False)
class Warming:
    """
    One load, from where it stands to its end.

    :ivar job: what is told of it; kept true all the while.
    """

    job: LoadJob
    _objects: Objects
    _threads: IThreads
    _clock: IReactorTime
    _ended: Callable[[Warming], object]
    _work: Deferred[None] | None = attrs.field(default=None, init=False)
    _filling: Filling = attrs.field(init=False)
    _taken: OrderedDict[str, Tally] = attrs.field(factory=OrderedDict, init=False)
    _tasks: set[Deferred[None]] = attrs.field(factory=set, init=False)
    _wake: Deferred[None] | None = attrs.field(default=None, init=False)
    _in_a_row: int = attrs.field(default=0, init=False)
    _failed: str = attrs.field(default="", init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _before: float = attrs.field(default=0.0, init=False)

    def start(self) -> None:
        """Begin, or go on."""
        self._filling = Filling(self.job, self._threads, self._clock)
        self._since, self._before = self._clock.seconds(), self.job.seconds
        self._work = work = self._go()
        work.addBoth(lambda result: self._ended(self))

    def look(self) -> None:
        """Bring up to now what the job tells."""
        job = self.job
        if job.state == RUNNING:
            job.seconds = self._before + self._clock.seconds() - self._since
            job.live = job.firm.copy()
            job.moving = 0
            for one in self._taken.values():
                job.live.add(one)
                job.moving += 0 if one.done else one.loaded_bytes

    def stop(self, reason: str = "") -> None:
        """
        End; what was under way is given up.

        :param reason: empty leaves the job running as far as is told: somebody will
            go on with it.
        """
        self.look()
        if reason:
            self.job.state, self.job.reason = STOPPED, reason
        if self._work is not None:
            self._work.cancel()

    @deferred
    async def _go(self) -> None:
        job = self.job
        try:
            self._first_look()
            if not (job.counted or job.options.partial_listing):
                await self._count()
            await self._load()
        except CancelledError:
            return
        except GatewayError as error:
            self._over(FAILED, error.message)
        except Exception:
            log.failure("The load of {path} failed", path=str(job.scope))
            self._over(FAILED, "The daemon failed; see its log.")
        else:
            job.finished = True
            failed = job.firm.failed
            if failed:
                self._over(FAILED, f"{failed} objects failed")
            else:
                self._over(SUCCEEDED, "")
        finally:
            for task in tuple(self._tasks):
                task.cancel()

    def _over(self, state: str, reason: str) -> None:
        self.look()
        self.job.state, self.job.reason = state, reason

    def _first_look(self) -> None:
        """
        Refuse what cannot come to anything.

        :raises InvalidRequest: nothing of it would be cached.
        """
        regions = self.job.scope.regions(self._objects.mounts)
        uncached = [each.mount.path for each in regions if not each.mount.policy.cached]
        if len(uncached) == len(regions):
            raise InvalidRequest(_not_cached(uncached[0]))
        for path in uncached:
            self.job.warn(_not_cached(path))

    # --- listing --------------------------------------------------------------------

    async def _page(self, after: str) -> Listing:
        scope = self.job.scope
        request = ListRequest(prefix=scope.folder, after=after)
        for tried in range(TRIES):
            try:
                listing: Listing = await self._objects.list(scope.bucket, request)
                return listing
            except BackendError:
                if tried == TRIES - 1:
                    raise
                await self._pause(FIRST_PAUSE * 2**tried)
        raise AssertionError("not reached")

    async def _object(self) -> Status | None:
        """What the path itself names."""
        scope = self.job.scope
        if not scope.single:
            return None
        try:
            found: Status = await self._objects.status(scope.bucket, scope.key)
        except NoSuchKey:
            return None
        return found

    async def _count(self) -> None:
        job = self.job
        job.objects = job.total_bytes = 0
        found = await self._object()
        if found is not None:
            job.objects, job.total_bytes = 1, found.size
        after: str | None = ""
        while after is not None:
            page = await self._page(after)
            job.objects += len(page.entries)
            job.total_bytes += sum(entry.size for entry in page.entries)
            after = page.resume
        if not job.objects:
            raise NoSuchKey(f"There is nothing at {job.scope}.")
        job.counted = True

    # --- objects, in order ------------------------------------------------------------

    async def _load(self) -> None:
        job, scope = self.job, self.job.scope
        found = None if job.position else await self._object()
        nothing = not job.position
        if found is not None:
            nothing = False
            await self._take(
                Entry(scope.key, found.size, found.etag, found.modified), job.counted
            )
        after: str | None = job.position
        if scope.folder and not job.position.startswith(scope.folder):
            after = ""
        while after is not None:
            page = await self._page(after)
            for number, entry in enumerate(page.entries):
                nothing = False
                if not number % SLICE:
                    # What is there already is over at once: let others have a turn.
                    await self._pause(0)
                await self._take(entry, job.counted)
            after = page.resume
        if nothing:
            raise NoSuchKey(f"There is nothing at {scope}.")
        while self._tasks:
            await self._news()
        self._give_up_maybe()
        self._in_a_row = 0
        self._advance()

    async def _take(self, entry: Entry, counted: bool) -> None:
        """Begin with an object, when there is room for one more."""
        if not counted:
            self.job.objects += 1
            self.job.total_bytes += entry.size
        while (
            len(self._tasks) >= self.job.options.concurrency
            or len(self._taken) >= AHEAD
        ):
            await self._news()
        self._give_up_maybe()
        one = self._taken[entry.key] = Tally()
        task = self._work_on(entry, one)
        self._tasks.add(task)
        task.addErrback(self._unforeseen, entry, one)
        task.addBoth(self._finished, task)

    def _give_up_maybe(self) -> None:
        if self._in_a_row >= IN_A_ROW:
            raise StorageUnavailable(
                f"The storage failed {self._in_a_row} times in a row: {self._failed}"
            )

    def _unforeseen(self, failure: Failure, entry: Entry, one: Tally) -> None:
        if failure.check(CancelledError):
            return
        log.failure("Loading an object failed", failure)
        one.fail(entry.key, "The daemon failed; see its log.")
        self._done(entry, one)

    def _finished(self, result: None, task: Deferred[None]) -> None:
        self._tasks.discard(task)
        wake, self._wake = self._wake, None
        if wake is not None and not wake.called:
            wake.callback(None)

    async def _news(self) -> None:
        self._wake = Deferred()
        await self._wake

    def _done(self, entry: Entry, one: Tally) -> None:
        one.done, one.done_bytes = 1, entry.size
        self._advance()

    def _advance(self) -> None:
        """
        Move the position past what is done; but not past what failed lately, as long
        as it may turn out that the storage is gone.
        """
        job = self.job
        while self._taken and not self._in_a_row:
            key, one = next(iter(self._taken.items()))
            if not one.done:
                break
            del self._taken[key]
            job.firm.add(one)
            job.position = key

    # --- one object -------------------------------------------------------------------

    @deferred
    async def _work_on(self, entry: Entry, one: Tally) -> None:
        tried = 0
        while (error := await self._tried(entry, one)) is not None:
            tried += 1
            changed = isinstance(error, ObjectChanged)
            if tried < TRIES and (changed or not self._in_a_row):
                await self._pause(0 if changed else FIRST_PAUSE * 2 ** (tried - 1))
                continue
            self._in_a_row += 1
            self._failed = error.message
            one.fail(entry.key, error.message)
            break
        else:
            self._in_a_row = 0
        self._done(entry, one)

    async def _tried(self, entry: Entry, one: Tally) -> BackendError | None:
        """
        Try once.

        :return: the storage's failure, which another time may not happen.
        """
        try:
            await self._warm(entry, one)
        except NoSuchKey:
            # It was deleted since it was listed.
            pass
        except StorageDenied as error:
            one.fail(entry.key, error.message)
        except BackendError as error:
            return error
        except GatewayError as error:
            one.fail(entry.key, error.message)
        return None

    async def _warm(self, entry: Entry, one: Tally) -> None:
        """
        Have it in the cache.

        :raises BackendError: the storage failed.
        :raises InvalidRequest: it cannot be.
        """
        job, options = self.job, self.job.options
        objects = self._objects
        place = objects.mounts.resolve(job.scope.bucket, entry.key)
        if not place.policy.cached:
            raise InvalidRequest(_not_cached(place.mount.path))
        kept = self._known(place, entry) if options.skip_if_exists else None
        if not place.policy.pages:
            job.warn("rules keep no pages of some objects: only their records are here")
        pages = place.policy.pages and not options.metadata_only
        there = False
        if kept is not None:
            there = not pages or (await kept.holding()).whole
        if kept is None or not there:
            kept = await self._asked(place, entry)
            there = pages and not await self._filling.fill(kept, one)
        one.skipped = int(there)
        if pages and options.verify:
            await self._filling.verify(kept, one)

    def _known(self, place: Place, entry: Entry) -> Kept | None:
        """The version that was listed, if it is that which we know of."""
        record = self._objects.current.known(place)
        if record is None or record.status is None:
            return None
        if (record.status.etag, record.status.size) != (entry.etag, entry.size):
            return None
        return self._kept(place, record.status)

    async def _asked(self, place: Place, entry: Entry) -> Kept:
        """The version that is current; the listing is believed rather than a record."""
        current = self._objects.current
        if current.known(place) is not None and self._known(place, entry) is None:
            current.forget(place)
        status = await self._objects.status(self.job.scope.bucket, entry.key)
        return self._kept(place, status)

    def _kept(self, place: Place, status: Status) -> Kept:
        objects = self._objects
        return CachedReading.of(status, place, objects.pages, objects.current).kept()

    async def _pause(self, seconds: float) -> None:
        await deferLater(self._clock, seconds, _nothing)


def _not_cached(path: str) -> str:
    return (
        f"caching is off for the mount {path}; the mount option cache=true turns it on"
    )


def _nothing() -> None:
    """Time has passed."""
