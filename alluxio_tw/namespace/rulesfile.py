"""
The file of rules: read at the start, and again whenever it changes.

A file that cannot be used when it is read again leaves the rules as they were, and
that is said once: not again before the file is another.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.rules import RuleSet
from alluxio_tw.namespace.rulesdocument import MOST_BYTES, Bounds, read_rules
from alluxio_tw.threads import IThreads

Stamp = tuple[int, ...]
"""What changes when a file does."""

Found = tuple[Stamp, RuleSet]


def read_file(path: str, bounds: Bounds) -> Found:
    """
    Read a file of rules; blocks.

    :raises WrongConfiguration: it cannot be used; the message names it.
    """
    try:
        # A pipe is not to be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise WrongConfiguration(f"the rules in {path}: not a file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WrongConfiguration(
            f"the rules in {path} cannot be read: {error.strerror}"
        ) from error
    try:
        return _stamp(status), read_rules(data, bounds)
    except WrongConfiguration as error:
        raise WrongConfiguration(f"the rules in {path}: {error.message}") from error


def _stamp(status: os.stat_result) -> Stamp:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


@attrs.define(eq=False)
class RulesFile:
    """
    Follows a file of rules.

    :ivar interval: seconds between looks at it.
    """

    log = Logger()

    path: str
    interval: float
    _bounds: Bounds
    _clock: IReactorTime
    _threads: IThreads
    _told: Callable[[RuleSet], None]
    _seen: Stamp | None = attrs.field(default=None, init=False)
    _looking: Deferred[None] | None = attrs.field(default=None, init=False)
    _again: bool = attrs.field(default=False, init=False)
    _loop: LoopingCall | None = attrs.field(default=None, init=False)

    def open(self) -> None:
        """
        Read it for the first time, at once.

        :raises WrongConfiguration: it cannot be used.
        """
        self._take(read_file(self.path, self._bounds))

    def start(self) -> None:
        """Look at it from now on."""
        if self._loop is None:
            self._loop = LoopingCall(self.look)
            self._loop.clock = self._clock
            self._loop.start(self.interval, now=False)

    def stop(self) -> None:
        """Look no more."""
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def look(self) -> Deferred[None]:
        """Read it if it is another than before; never fails."""
        if self._looking is not None:
            # It may have been looked at before it was changed.
            self._again = True
            return succeed(None)
        done: Deferred[Found | None] = self._threads.run(self._look)
        looked = done.addBoth(self._looked)
        if not looked.called:
            self._looking = looked
        return looked

    def _look(self) -> Found | None:
        # In a thread.
        try:
            stamp = _stamp(os.stat(self.path))
        except OSError as error:
            stamp = (error.errno or 0,)
        if stamp == self._seen:
            return None
        # Also if it turns out to be of no use: then it is not looked into again,
        # nor complained of, before it changes.
        self._seen = stamp
        return read_file(self.path, self._bounds)

    def _looked(self, result: Found | Failure | None) -> None:
        self._looking = None
        if isinstance(result, Failure):
            if result.check(WrongConfiguration):
                self.log.error("the rules stay as they were: {why}", why=result.value)
            else:
                self.log.failure("the rules could not be looked at", result)
        elif result is not None:
            self._take(result)
            self.log.info(
                "{count} rules were read from {path}",
                count=len(result[1].rules),
                path=self.path,
            )
        if self._again:
            self._again = False
            self.look()

    def _take(self, found: Found) -> None:
        self._seen, rules = found
        self._told(rules)


def open_rules(
    path: str,
    interval: float,
    bounds: Bounds,
    mounts: MountTable,
    clock: IReactorTime,
    threads: IThreads,
) -> RulesFile | None:
    """
    The rules of a file, put in force, and again whenever it changes once it is
    started; L{None} without a path.

    :param interval: seconds between looks at it.
    :raises WrongConfiguration: it cannot be used.
    """
    if not path:
        return None

    def take(rules: RuleSet) -> None:
        mounts.rules = rules if rules else None

    file = RulesFile(path, interval, bounds, clock, threads, take)
    file.open()
    return file
