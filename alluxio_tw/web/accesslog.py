"""
The access log on its way to its file.

Lines are gathered in memory and written by a thread once a second, or sooner
when there are 64 KiB of them; one write at a time.  A disk that is slow or full
costs lines, which are counted, never memory or the reactor's time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.threads import IThreads
from alluxio_tw.web.accesslines import AccessEntry

BATCH = 64 << 10
"""So many bytes are written at once rather than at the end of the second."""

INTERVAL = 1.0
"""Seconds that a line waits at most before it is written."""

COMPLAINT = 60.0
"""Seconds between two messages about lines that were lost."""

STANDARD_OUTPUT = "-"


class LogFile:
    """
    A file that lines are appended to; blocks, so it lives in a thread.

    :ivar path: C{-} is the standard output.
    """

    def __init__(self, path: str, limit: int = 0, kept: int = 1) -> None:
        """
        :param limit: bytes at which it is renamed to end in C{.1} and begun anew;
            nought is never.
        :param kept: how many that were renamed so are kept.
        """
        self.path = path
        self._limit = limit
        self._kept = kept
        self._fd = -1
        self._size = 0
        self._torn = False

    def open(self) -> None:
        """
        Open it, making its folder if need be.

        :raises OSError: that cannot be done.
        """
        if self.path == STANDARD_OUTPUT:
            self._fd = os.dup(1)
            return
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o640)
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        """
        Append whole lines.

        :raises OSError: some or all of it could not be written.
        """
        if self._fd < 0:
            self.open()
        if self._limit and self._size and self._size + len(data) > self._limit:
            self._rotate()
        if self._torn:
            # A line broke off when the disk was full: do not grow it.
            data = b"\n" + data
        view = memoryview(data)
        while view:
            try:
                sent = os.write(self._fd, view)
            except OSError:
                self._torn = self._torn or len(view) < len(data)
                raise
            self._torn = False
            self._size += sent
            view = view[sent:]

    def reopen(self) -> None:
        """
        Open it anew: it was moved away.

        :raises OSError: that cannot be done; the next write tries again.
        """
        self.close()
        self.open()

    def close(self) -> None:
        """Let go of it."""
        fd, self._fd = self._fd, -1
        self._torn = False
        if fd >= 0:
            os.close(fd)

    def _rotate(self) -> None:
        if self.path == STANDARD_OUTPUT:
            return
        self.close()
        for number in range(self._kept, 1, -1):
            _rename(f"{self.path}.{number - 1}", f"{self.path}.{number}")
        _rename(self.path, f"{self.path}.1")
        self.open()


def _rename(old: str, new: str) -> None:
    with suppress(FileNotFoundError):
        os.replace(old, new)


@attrs.define
class AccessLog:
    """
    Takes entries, at once; writes them, later.

    :ivar everything: take every request; otherwise only those that failed.
    :ivar bound: bytes that may wait to be written.
    :ivar dropped: lines that were lost, since the start.
    """

    _clock: IReactorTime
    _threads: IThreads
    _file: LogFile
    _format: Callable[[AccessEntry], bytes]
    everything: bool = True
    bound: int = 4 << 20
    dropped: int = attrs.field(default=0, init=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)
    _in_flight: int = attrs.field(default=0, init=False)
    _timer: IDelayedCall | None = attrs.field(default=None, init=False)
    _busy: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _must_reopen: bool = attrs.field(default=False, init=False)
    _idle: list[Deferred[None]] = attrs.field(factory=list, init=False)
    _complained: float = attrs.field(default=0.0, init=False)
    _told: int = attrs.field(default=0, init=False)

    log = Logger()

    def start(self) -> None:
        """
        Open the file, now.

        :raises WrongConfiguration: it cannot be written.
        """
        try:
            self._file.open()
        except OSError as error:
            raise WrongConfiguration(
                f"the access log {self._file.path!r} cannot be written: {error.strerror}; "
                "write another path in alluxio.worker.s3.access.log.path"
            ) from error

    def wants(self, status: int) -> bool:
        """Whether a request with this outcome is logged: ask before making an entry."""
        return self.everything or status >= 400

    def take(self, entry: AccessEntry) -> None:
        """Log a request."""
        if self._closed:
            self.dropped += 1
            return
        if self._held + self._in_flight >= self.bound:
            self._lose(1, "it cannot be written fast enough")
            return
        line = self._format(entry)
        self._lines.append(line)
        self._held += len(line)
        if self._busy:
            return
        if self._held >= BATCH:
            self._flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._due)

    def reopen(self) -> Deferred[None]:
        """Open the file anew, after what is under way; never fails."""
        self._must_reopen = True
        return self._when_idle()

    def stop(self) -> Deferred[None]:
        """Write what is left and close; never fails."""
        self._closed = True
        done = self._when_idle()
        done.addCallback(lambda _: self._threads.run(self._file.close))
        done.addErrback(lambda failure: None)
        return done

    # --- within

    def _when_idle(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._idle.append(waiter)
        if not self._busy:
            self._flush()
        return waiter

    def _due(self) -> None:
        self._timer = None
        if not self._busy:
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        self._in_flight, self._held = self._held, 0
        reopen, self._must_reopen = self._must_reopen, False
        self._busy = True
        work = self._threads.run(self._write, lines, reopen)
        done = work.addCallbacks(
            self._unopened, self._failed, errbackArgs=(len(lines),)
        )
        done.addCallback(self._written)

    def _write(self, lines: list[bytes], reopen: bool) -> OSError | None:
        # In a thread.  A reopening that fails is tried again by the next write.
        try:
            if lines:
                self._file.write(b"".join(lines))
        except OSError:
            if reopen:
                with suppress(OSError):
                    self._file.reopen()
            raise
        if reopen:
            try:
                self._file.reopen()
            except OSError as error:
                return error
        return None

    def _unopened(self, error: OSError | None) -> None:
        if error is not None:
            self.log.error(
                "The access log {path} cannot be opened: {why}",
                path=self._file.path,
                why=error.strerror,
            )

    def _failed(self, failure: Failure, count: int) -> None:
        self._lose(count, failure.getErrorMessage())

    def _written(self, _: None) -> None:
        self._busy = False
        self._in_flight = 0
        if self._held >= BATCH or self._must_reopen or (self._lines and self._idle):
            self._flush()
            return
        if self._lines and self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._due)
        idle, self._idle = self._idle, []
        for waiter in idle:
            waiter.callback(None)

    def _lose(self, count: int, why: str) -> None:
        self.dropped += count
        now = self._clock.seconds()
        if self._told and now - self._complained < COMPLAINT:
            return
        self._complained = now
        self.log.warn(
            "The access log lost {count} lines: {why}",
            count=self.dropped - self._told,
            why=why,
        )
        self._told = self.dropped
