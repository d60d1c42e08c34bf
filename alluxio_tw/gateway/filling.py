"""
The bytes of a load: so many reads at once, so many bytes a second.

A limit on the bandwidth is kept by beginning the next read later, not by reading
slowly: a client who wants a page that is being loaded gets it at full speed.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidRequest
from alluxio_tw.gateway.kept import Kept
from alluxio_tw.gateway.loadjob import LoadJob, Tally
from alluxio_tw.quantities import size_text
from alluxio_tw.threads import IThreads

TRIES = 3
FIRST_PAUSE = 0.5
"""Seconds before a second try; twice as long before each further one."""

BURST = 0.25
"""Seconds of the bandwidth that one read may take at once."""


@attrs.define(eq=False)
class Filling:
    """
    Fills the cache up with objects of one load.
    """

    _job: LoadJob
    _threads: IThreads
    _clock: IReactorTime
    _reads: DeferredSemaphore = attrs.field(init=False)
    _free_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._reads = DeferredSemaphore(self._job.options.concurrency)

    @deferred
    async def fill(self, kept: Kept, one: Tally) -> int:
        """
        Load the pages that are missing.

        :return: how many bytes those were.
        """
        size = kept.status.size
        if size > kept.capacity:
            raise InvalidRequest(
                f"its {size_text(size)} are more than the cache holds, "
                f"{size_text(kept.capacity)}"
            )
        loaded = 0
        for tried in range(TRIES):
            # After what was not kept it is more cautious: page by page.
            loaded += await self._fill_once(kept, one, cautious=tried > 0)
            holding = await kept.holding()
            if holding.whole:
                return loaded
            await self._pause(FIRST_PAUSE * 2**tried)
        raise InvalidRequest(
            f"{holding.pages - holding.present} of {holding.pages} pages were not kept: "
            "the cache is too small, too slow or too busy"
        )

    async def _fill_once(self, kept: Kept, one: Tally, cautious: bool) -> int:
        loaded, start = 0, 0
        reads: list[Deferred[None]] = []
        try:
            while (gap := await kept.missing(start)) is not None:
                first, last = gap
                rate = self._job.options.bandwidth
                while last > first and (
                    cautious or (rate and kept.length(first, last) > rate * BURST)
                ):
                    last = first if cautious else (first + last) // 2
                length = kept.length(first, last)
                await self._reads.acquire()
                reading = self._read(kept, one, first, last)
                loaded += length
                reads.append(reading)
                if cautious or len(reads) >= self._job.options.concurrency:
                    await reads.pop(0)
                start = last + 1
            while reads:
                await reads.pop(0)
        finally:
            for reading in reads:
                reading.addErrback(lambda failure: None)
                reading.cancel()
        return loaded

    @deferred
    async def _read(self, kept: Kept, one: Tally, first: int, last: int) -> None:
        length = kept.length(first, last)
        try:
            await self._pay(length)
            await kept.warm(first, last)
            one.loaded_bytes += length
        finally:
            self._reads.release()

    async def _pay(self, length: int) -> None:
        """Wait until the bandwidth allows for the next read."""
        rate = self._job.options.bandwidth
        if not rate:
            return
        now = self._clock.seconds()
        begin = max(now, self._free_at)
        self._free_at = begin + length / rate
        if begin > now:
            await self._pause(begin - now)

    @deferred
    async def verify(self, kept: Kept, one: Tally) -> None:
        if not kept.verifiable:
            one.unverifiable = 1
            return
        if await kept.verify(self._threads):
            one.verified = 1
            return
        await kept.forget()
        raise InvalidRequest(
            "the bytes are not what its checksum or ETag says, and were dropped"
        )

    async def _pause(self, seconds: float) -> None:
        await deferLater(self._clock, seconds, _nothing)


def _nothing() -> None:
    """Time has passed."""
