"""
The file of access keys: read at the start, and again whenever it changes.

One key a line, its parts between blanks; what begins with C{#} is a comment::

    # access key          secret                                    user
    AKIAIOSFODNN7EXAMPLE  wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY  alice
    AKIAI44QH8DHBEXAMPLE  je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY  bob    disabled

Messages say in which line something is wrong and what should be there, never
what is there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.gateway.keys import AccessKey, AccessKeys, fault_in
from alluxio_tw.istate import IState
from alluxio_tw.threads import IThreads

MOST_BYTES = 4 << 20
"""Of a file; some 40,000 keys."""

LOOK_SECONDS = 1.0
"""How often it is looked at."""

SHORT_SECRET = 16
"""Characters; shorter secrets are warned about."""

Keys = Mapping[str, AccessKey]

Stamp = tuple[int, ...]
"""What changes when a file does; empty without a file."""


@attrs.frozen
class Reading:
    """
    What a file holds.

    :ivar warnings: sentences about it.
    """

    keys: Keys
    stamp: Stamp
    warnings: tuple[str, ...]


def read(path: str) -> Reading:
    """
    Read the file.

    :raises WrongConfiguration: it cannot be read, or a line is wrong.
    """
    try:
        # A pipe is not to be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise WrongConfiguration(f"the access keys in {path}: not a file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WrongConfiguration(
            f"the access keys in {path} cannot be read: {error.strerror}"
        ) from error
    if len(data) > MOST_BYTES:
        raise WrongConfiguration(
            f"the access keys in {path}: more than {MOST_BYTES} bytes"
        )
    keys = parse(data, path)
    return Reading(keys, _stamp(status), tuple(_warnings(path, status, keys)))


def parse(data: bytes, path: str) -> Keys:
    """
    The keys in a file's bytes, by access key.

    :param path: for messages.
    :raises WrongConfiguration: a line is wrong.
    """
    keys: dict[str, AccessKey] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        parts = line.decode("latin-1").split()
        if not parts or parts[0].startswith("#"):
            continue
        fault = _fault(parts, keys)
        if fault:
            raise WrongConfiguration(f"{path}:{number}: {fault}")
        access_key, secret, user = parts[:3]
        keys[access_key] = AccessKey(access_key, secret, user, len(parts) == 3)
    return keys


def _fault(parts: list[str], keys: Keys) -> str:
    if not 3 <= len(parts) <= 4:
        return (
            f"{len(parts)} words: write an access key, its secret and its user, "
            "and perhaps: disabled"
        )
    if len(parts) == 4 and parts[3] != "disabled":
        return "the fourth word can only be: disabled"
    return fault_in(*parts[:3]) or (
        "this access key was in an earlier line" if parts[0] in keys else ""
    )


def _warnings(path: str, status: os.stat_result, keys: Keys) -> list[str]:
    found = []
    if status.st_mode & stat.S_IROTH:
        found.append(f"{path} can be read by everyone on this machine: chmod 600 it")
    short = sum(1 for key in keys.values() if len(key.secret) < SHORT_SECRET)
    if short:
        found.append(
            f"{path}: secrets of fewer than {SHORT_SECRET} characters: {short}; "
            "they can be guessed"
        )
    return found


def _stamp(status: os.stat_result) -> Stamp:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


@attrs.define(eq=False)
class KeyFile:
    """
    Follows a file.  One that cannot be used leaves the keys as they were, and
    that is said once.
    """

    log = Logger()

    path: str
    _clock: IReactorTime
    _threads: IThreads
    _told: Callable[[Keys], None]
    _seen: Stamp | None = attrs.field(default=None, init=False)
    _looking: bool = attrs.field(default=False, init=False)
    _loop: LoopingCall | None = attrs.field(default=None, init=False)

    def open(self) -> None:
        """
        Read it for the first time, at once.

        :raises WrongConfiguration: it cannot be used.
        """
        self._take(read(self.path))

    def start(self) -> None:
        """Look at it from now on."""
        if self._loop is None:
            self._loop = LoopingCall(self.look)
            self._loop.clock = self._clock
            self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()

    def look(self) -> Deferred[None]:
        """Read it if it is another than before."""
        if self._looking:
            return succeed(None)
        self._looking = True
        done: Deferred[Reading | None] = self._threads.run(self._look)
        return done.addBoth(self._looked)

    def _look(self) -> Reading | None:
        # In a thread.
        try:
            stamp = _stamp(os.stat(self.path))
        except OSError as error:
            stamp = (error.errno or 0,)
        if stamp == self._seen:
            return None
        # Also if it turns out to be of no use: then it is not looked into
        # again, nor complained of, before it changes.
        self._seen = stamp
        return read(self.path)

    def _looked(self, result: Reading | Failure | None) -> None:
        self._looking = False
        if isinstance(result, Failure):
            if result.check(WrongConfiguration):
                self.log.error(
                    "the access keys stay as they were: {why}", why=result.value
                )
            else:
                self.log.failure("the access keys could not be looked at", result)
        elif result is not None:
            self._take(result)
            self.log.info(
                "{count} access keys were read from {path}",
                count=len(result.keys),
                path=self.path,
            )

    def _take(self, reading: Reading) -> None:
        self._seen = reading.stamp
        for warning in reading.warnings:
            self.log.warn("{what}", what=warning)
        self._told(reading.keys)


def open_keys(
    state: IState, path: str, clock: IReactorTime, threads: IThreads
) -> tuple[AccessKeys, KeyFile | None]:
    """
    The access keys of the state, and of a file if there is a path.

    :raises WrongConfiguration: the file cannot be used.
    """
    keys = AccessKeys(state)
    keys.start()
    if not path:
        return keys, None
    file = KeyFile(path, clock, threads, keys.write)
    file.open()
    return keys, file
