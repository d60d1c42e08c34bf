"""
The LMDB environment of what may be forgotten but must never be wrong.

Nothing in it is ever synced while it is in use.  A process that dies loses
nothing by that: what it wrote is the kernel's.  A machine that dies loses some
of it, in no order, and what is left may not be a tree any more; to read such a
file may crash, not just fail.  So the folder says in which boot of the machine
it was opened, and whoever opens it in another throws it away, unless whoever
closed it last had synced it.

A lock on a file in the folder says who is there.  Whoever comes first holds it
alone while it looks the folder over; then all share it.  The kernel returns the
lock of a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

import attrs
import lmdb
from twisted.logger import Logger

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.marks import Marks

FORMAT = "1"
"""Of keys, values and marks; an environment of another is thrown away."""

_FILES = ("data.mdb", "lock.mdb")


def boot_id() -> str:
    """
    Names this boot of the machine; empty where that cannot be known, in which
    case only what was closed in order is ever kept.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


@attrs.define(eq=False)
class Environment:
    """
    An open environment, and its place among the processes that share it.

    :ivar database: the LMDB environment; its one database is the main one.
    :ivar marks: what the processes tell each other of it.
    :ivar kept: what an earlier use of the folder wrote is still there.
    """

    log = Logger()

    directory: str
    database: lmdb.Environment
    marks: Marks
    kept: bool
    _lock: int

    @classmethod
    def open(
        cls, directory: str, map_size: int, boot: str, nonce: int, now: float
    ) -> Environment:
        """
        Open the environment in C{directory}, or make it, or make it anew if what
        is there cannot be trusted.

        :param map_size: bytes that it may never exceed.
        :param boot: from L{boot_id}.
        :param nonce: 31 random bits that name this process.
        :param now: seconds since the epoch.
        :raises WrongConfiguration: the folder cannot be used.
        """
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            lock = os.open(
                os.path.join(directory, "lock"),
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                0o600,
            )
        except OSError as e:
            raise WrongConfiguration(
                f"The folder {directory} cannot be used: {e.strerror}."
            ) from e
        try:
            alone = _enter(directory, lock, boot)
            kept = not alone or (
                _trusted(_state(directory), boot) and Marks.bury(directory, now)
            )
            if not kept:
                _renew(directory)
            try:
                database = _environment(directory, map_size)
            except lmdb.Error:
                if not alone:
                    raise
                cls.log.failure(
                    "{directory} is damaged, and made anew", directory=directory
                )
                kept = False
                _renew(directory)
                database = _environment(directory, map_size)
            marks = Marks.open(directory, nonce, now)
            if alone:
                _say(directory, _open(boot))
                fcntl.flock(lock, fcntl.LOCK_SH)
            return cls(directory, database, marks, kept, lock)
        except (OSError, lmdb.Error) as e:
            # What of it is open until then dies with the process, which will not
            # start.
            os.close(lock)
            raise WrongConfiguration(
                f"The folder {directory} cannot be used: {e}."
            ) from e

    def used(self) -> int:
        """Bytes that the records take."""
        stat = self.database.stat()
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return int(pages * stat["psize"])

    def condemn(self) -> None:
        """It is damaged: whoever opens it next, alone, is to make it anew."""
        with suppress(OSError):
            _say(self.directory, "damaged")

    def close(self) -> None:
        """
        Let go.  The last to do so syncs what was written, which may block for
        as long as the disk needs.
        """
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            last = False
        else:
            last = _state(self.directory) != "damaged"
        try:
            if last:
                self.database.sync(True)
                self.marks.sync()
            self.database.close()
            if last:
                _say(self.directory, f"{FORMAT} closed")
        except (OSError, lmdb.Error):
            # It stays marked as open: after a crash it is thrown away.
            self.log.failure(
                "{directory} could not be synced", directory=self.directory
            )
        finally:
            self.marks.leave()
            os.close(self._lock)


def _enter(directory: str, lock: int, boot: str) -> bool:
    """
    Take the lock; L{True} if nobody else is there.
    """
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _state(directory) in (_open(boot), "damaged"):
            return False
        # The one that was there alone has just closed it: look again.
        fcntl.flock(lock, fcntl.LOCK_UN)


def _environment(directory: str, map_size: int) -> lmdb.Environment:
    database = lmdb.open(
        directory,
        map_size=map_size,
        sync=False,
        metasync=False,
        max_readers=512,
        max_spare_txns=4,
        mode=0o600,
    )
    # Readers that were killed would keep old pages from being used again.
    database.reader_check()
    return database


def _trusted(state: str, boot: str) -> bool:
    return state == f"{FORMAT} closed" or (bool(boot) and state == _open(boot))


def _open(boot: str) -> str:
    return f"{FORMAT} open {boot}" if boot else f"{FORMAT} open"


def _state(directory: str) -> str:
    try:
        with open(os.path.join(directory, "state"), encoding="utf-8") as file:
            return file.read(100).strip()
    except (OSError, ValueError):
        return ""


def _say(directory: str, state: str) -> None:
    with open(os.path.join(directory, "state"), "w", encoding="utf-8") as file:
        file.write(f"{state}\n")
        file.flush()
        # Before anything else is written the disk must have it, lest a "closed"
        # of long ago be found after a crash.
        os.fsync(file.fileno())


def _renew(directory: str) -> None:
    for name in _FILES:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, name))
    Marks.make(directory)
