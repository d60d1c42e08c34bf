"""
All loads: submitted, looked at, stopped; written down, and gone on with.

There is one load for each path.  A load that was under way when the daemon ended
goes on when it starts again; one that was stopped, when it is submitted again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidRequest, NoSuchKey, Overloaded, ShuttingDown
from alluxio_tw.gateway.loadjob import (
    PREFIX,
    RUNNING,
    LoadJob,
    LoadOptions,
    name_of,
)
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.scope import Scope
from alluxio_tw.gateway.warming import Warming
from alluxio_tw.istate import IState
from alluxio_tw.threads import IThreads

log = Logger()

MOST_RUNNING = 8
"""Loads at work; more are refused."""

REMEMBERED = 100
"""Loads that are over and can still be asked about; the oldest go first."""

WRITE_SECONDS = 1.0
"""How often it is written down how far they have come."""


@attrs.define(eq=False)
class LoadJobs:
    """
    The loads of a daemon.

    :ivar wall: seconds since the epoch.
    """

    _objects: Objects
    _state: IState
    _threads: IThreads
    _clock: IReactorTime
    _wall: Callable[[], float]
    _running: dict[str, Warming] = attrs.field(factory=dict, init=False)
    _ending: dict[str, LoadJob] = attrs.field(factory=dict, init=False)
    _writing: LoopingCall | None = attrs.field(default=None, init=False)
    _turn: DeferredLock = attrs.field(factory=DeferredLock, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def running(self) -> int:
        """How many are at work."""
        return len(self._running)

    @deferred
    async def start(self) -> None:
        """Go on with what was under way.  Never fails."""
        try:
            for job in await self._every():
                if job.state == RUNNING and job.name not in self._running:
                    log.info(
                        "going on with the load of {path} after {position!r}",
                        path=str(job.scope),
                        position=job.position,
                    )
                    job.resume(job.options)
                    self._begin(job)
        except Exception:
            log.failure("Loads that were under way could not be gone on with")

    @deferred
    async def close(self) -> None:
        """Leave off, so that the next start goes on."""
        self._closed = True
        for warming in tuple(self._running.values()):
            warming.stop()
            await self._write(warming.job)
        if self._writing is not None and self._writing.running:
            self._writing.stop()

    @deferred
    async def submit(
        self, path: str, options: LoadOptions, anew: bool = False
    ) -> dict[str, Any]:
        """
        Load what is at C{path}: begin; or go on where the same load was stopped; or
        leave the one that runs alone, but for its bandwidth.

        :param anew: begin at the beginning, though one was stopped.
        :return: the load's document.
        :raises InvalidArgument: the path is none.
        :raises NoSuchBucket: there is no such bucket.
        :raises InvalidRequest: another load of this path is at work.
        :raises Overloaded: too many are.
        :raises ShuttingDown: the daemon ends.
        """
        scope = Scope.parse(path)
        # Refuses what can be no bucket, and what is none.
        scope.regions(self._objects.mounts)
        await self._objects.mounts.bucket(scope.bucket)
        name = name_of(scope)
        await self._turn.acquire()
        try:
            there = self._running.get(name)
            if there is not None:
                return self._joined(there, options)
            if self._closed:
                raise ShuttingDown("The daemon is about to end.")
            if len(self._running) >= MOST_RUNNING:
                raise Overloaded(
                    f"{len(self._running)} loads are at work; wait for one to end, or "
                    "stop one"
                )
            job = await self._read(name)
            if (
                job is None
                or anew
                or job.finished
                or not job.options.same_work(options)
            ):
                job = LoadJob(scope, options, self._wall())
            job.resume(options)
            told = job.document()
            # Begun before it is written down: who asked may go meanwhile.
            self._begin(job)
            await self._write(job)
            await self._prune()
            return told
        finally:
            self._turn.release()

    @deferred
    async def progress(self, path: str) -> dict[str, Any]:
        """
        How far the load of C{path} has come.

        :raises NoSuchKey: there is none.
        """
        name = name_of(Scope.parse(path))
        there = self._running.get(name)
        if there is not None:
            there.look()
            return there.job.document()
        job = await self._read(name)
        if job is None:
            raise NoSuchKey(f"There is no load of {path}.")
        return job.document()

    @deferred
    async def every(self) -> list[dict[str, Any]]:
        """All loads that are remembered, the latest first."""
        found = []
        for job in await self._every():
            there = self._running.get(job.name)
            if there is not None:
                there.look()
                job = there.job
            found.append(job)
        found.sort(key=lambda job: -job.submitted)
        return [job.document() for job in found]

    @deferred
    async def stop(self, path: str) -> dict[str, Any]:
        """
        Stop the load of C{path}, if it is at work.

        :raises NoSuchKey: there is none.
        """
        there = self._running.get(name_of(Scope.parse(path)))
        if there is not None:
            there.stop("it was told to stop")
            return there.job.document()
        return await self.progress(path)

    # --- at work -----------------------------------------------------------------------

    def _begin(self, job: LoadJob) -> None:
        if self._closed:
            return
        warming = Warming(job, self._objects, self._threads, self._clock, self._over)
        self._running[job.name] = warming
        if self._writing is None:
            self._writing = LoopingCall(self._write_all)
            self._writing.clock = self._clock
        if not self._writing.running:
            self._writing.start(WRITE_SECONDS, now=False)
        warming.start()

    def _joined(self, warming: Warming, options: LoadOptions) -> dict[str, Any]:
        job = warming.job
        if not job.options.same_work(options):
            raise InvalidRequest(
                f"A load of {job.scope} is at work with other options; stop it first."
            )
        job.options = attrs.evolve(job.options, bandwidth=options.bandwidth)
        warming.look()
        return job.document()

    def _over(self, warming: Warming) -> None:
        job = warming.job
        self._running.pop(job.name, None)
        if job.state == RUNNING:
            # Only left off.
            return
        job.ended = self._wall()
        log.info(
            "the load of {path}: {state}{reason}",
            path=str(job.scope),
            state=job.state,
            reason=job.reason and f": {job.reason}",
        )
        # Until that is written down, it is known from here.
        self._ending[job.name] = job
        self._write(job).addCallback(lambda _: self._written(job))

    def _written(self, job: LoadJob) -> None:
        if self._ending.get(job.name) is job:
            del self._ending[job.name]

    # --- written down --------------------------------------------------------------------

    @deferred
    async def _write_all(self) -> None:
        if not self._running and self._writing is not None:
            self._writing.stop()
        for name, warming in tuple(self._running.items()):
            if self._running.get(name) is warming:
                warming.look()
                await self._write(warming.job)

    @deferred
    async def _write(self, job: LoadJob) -> None:
        """Write down how far it has come.  Never fails: it may have to begin anew."""
        try:
            await self._state.put(job.name, job.encoded())
        except Exception:
            log.failure("A load was not written down")

    async def _read(self, name: str) -> LoadJob | None:
        ending = self._ending.get(name)
        if ending is not None:
            return ending
        held = await self._state.get(name)
        return None if held is None else _decoded(held.value)

    async def _every(self) -> list[LoadJob]:
        # A bounded number, see REMEMBERED: one page.
        return [
            job
            for held in await self._state.list(PREFIX)
            if (job := _decoded(held.value)) is not None
        ]

    async def _prune(self) -> None:
        """Forget the oldest of those that are over."""
        over = [job for job in await self._every() if job.state != RUNNING]
        over.sort(key=lambda job: job.ended)
        for job in over[: max(0, len(over) - REMEMBERED)]:
            await self._state.delete(job.name)


def _decoded(text: bytes) -> LoadJob | None:
    try:
        return LoadJob.decoded(text)
    except ValueError:
        # Of another version of this program: it is begun anew.
        return None
