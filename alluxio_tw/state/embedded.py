"""
The state in LMDB: one folder, shared by all processes of this worker.

Writes are made durable in a thread.  Those that arrive while one transaction
is being synced go into the next one together, so that many writers pay for one
sync and no more than one thread ever waits for the disk.

Every write takes the next revision and leaves its name in a log beneath that
revision, in the same transaction.  Who watches reads the log from where it
last stood: after each write of this process at once, and otherwise as often as
the clock says, which is how the writes of other processes are seen.

Not chosen: telling watchers what this process wrote without reading the log.
Writes of others that came in between would be passed over.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import lmdb
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    GatewayError,
    OurError,
    Overloaded,
    ShuttingDown,
    StorageFull,
    WrongConfiguration,
)
from alluxio_tw.istate import Held, IState
from alluxio_tw.state.names import LIST_LIMIT, checked, holds, key_of
from alluxio_tw.state.watching import Watches
from alluxio_tw.threads import IThreads

T = TypeVar("T")

FORMAT = b"1"
QUEUE_LIMIT = 10_000
TOGETHER = 1_000
"""Writes in one transaction."""

_number = struct.Struct(">Q")
# Big-endian, so that LMDB keeps the log in the order of its revisions.


@attrs.define(eq=False)
class _Write:
    """
    A write that waits for its transaction; no value is a deletion.
    """

    key: bytes
    value: bytes | None
    expected: str | None
    done: Deferred[str | None] = attrs.field(factory=Deferred, init=False)


@implementer(IState)
@attrs.define(eq=False)
class EmbeddedState:
    """
    Made by L{open}.
    """

    log = Logger()

    _environment: Any
    _values: Any
    _changes: Any
    _counters: Any
    _threads: IThreads
    _interval: float
    _look: LoopingCall
    _log_length: int
    _watches: Watches = attrs.field(factory=Watches, init=False)
    _seen: int = attrs.field(default=0, init=False)
    _queue: list[_Write] = attrs.field(factory=list, init=False)
    _writing: bool = attrs.field(default=False, init=False)
    _running: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _idle: list[Deferred[None]] = attrs.field(factory=list, init=False)

    @classmethod
    def open(
        cls,
        directory: str,
        clock: IReactorTime,
        threads: IThreads,
        *,
        capacity: int = 1 << 28,
        interval: float = 1.0,
        log_length: int = 65_536,
    ) -> EmbeddedState:
        """
        Open the state in C{directory}, or make it.

        :param capacity: bytes that it may come to hold; address space is taken
            at once, disk only as it fills.
        :param interval: seconds between looks for what other processes wrote.
        :param log_length: how many revisions the log remembers; who watches
            looks far more often than so many are written.
        :raises WrongConfiguration: it cannot be used; it is never thrown away.
        """
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            environment = lmdb.open(
                directory,
                map_size=max(capacity, 1 << 20),
                max_dbs=3,
                max_readers=512,
                max_spare_txns=2,
                mode=0o600,
            )
            # Readers that were killed would keep old pages from being used again.
            environment.reader_check()
            values = environment.open_db(b"values")
            changes = environment.open_db(b"changes")
            counters = environment.open_db(b"counters")
            with environment.begin(db=counters) as txn:
                format = txn.get(b"format")
            if format is None:
                with environment.begin(write=True, db=counters) as txn:
                    txn.put(b"format", FORMAT, overwrite=False)
                    format = txn.get(b"format")
        except (OSError, lmdb.Error) as e:
            raise WrongConfiguration(
                f"The state in {directory} cannot be opened: {e}."
            ) from e
        if format != FORMAT:
            environment.close()
            raise WrongConfiguration(
                f"The state in {directory} was written by another version of "
                "this program."
            )
        look = LoopingCall(lambda: state._tell())
        look.clock = clock
        state = cls(
            environment, values, changes, counters, threads, interval, look, log_length
        )
        return state

    # reading

    def glance(self, name: str) -> Held | None:
        key = key_of(name)
        try:
            with self._environment.begin(db=self._values) as txn:
                stored = txn.get(key)
        except lmdb.Error as e:
            raise self._translated(e) from e
        return None if stored is None else _held(name, stored)

    @deferred
    async def get(self, name: str) -> Held | None:
        return self.glance(name)

    # writing

    @deferred
    async def put(
        self, name: str, value: bytes, expected: str | None = None
    ) -> str | None:
        return await self._write(_Write(key_of(name), checked(value), expected))

    @deferred
    async def delete(self, name: str, expected: str | None = None) -> bool:
        return await self._write(_Write(key_of(name), None, expected)) is not None

    def _write(self, write: _Write) -> Deferred[str | None]:
        if self._closed:
            raise ShuttingDown()
        if len(self._queue) >= QUEUE_LIMIT:
            raise Overloaded()
        self._queue.append(write)
        self._next()
        return write.done

    def _next(self) -> None:
        if self._writing or not self._queue:
            return
        together, self._queue = self._queue[:TOGETHER], self._queue[TOGETHER:]
        self._writing = True
        self._run(self._commit, together).addBoth(self._committed, together)

    def _commit(self, writes: list[_Write]) -> list[str | Failure | None]:
        # In a thread.
        try:
            with self._environment.begin(write=True) as txn:
                return [self._apply(txn, write) for write in writes]
        except lmdb.Error as e:
            if len(writes) == 1:
                return [Failure(self._translated(e))]
            # One that finds no room must not take the others with it.
            return [self._commit([write])[0] for write in writes]

    def _apply(self, txn: Any, write: _Write) -> str | None:
        stored = txn.get(write.key, db=self._values)
        held = None if stored is None else str(_number.unpack_from(stored)[0])
        if not holds(write.expected, held) or (write.value is None and held is None):
            return None
        revision = self._revision(txn) + 1
        number = _number.pack(revision)
        if write.value is None:
            txn.delete(write.key, db=self._values)
        else:
            txn.put(write.key, number + write.value, db=self._values)
        txn.put(b"revision", number, db=self._counters)
        txn.put(number, write.key, db=self._changes)
        if revision > self._log_length:
            txn.delete(_number.pack(revision - self._log_length), db=self._changes)
        return str(revision)

    def _committed(
        self, results: list[str | Failure | None] | Failure, writes: list[_Write]
    ) -> None:
        self._writing = False
        if isinstance(results, Failure):
            results = [results] * len(writes)
        self._tell()
        for write, result in zip(writes, results, strict=True):
            if isinstance(result, Failure):
                write.done.errback(result)
            else:
                write.done.callback(result)
        self._next()
        self._rest()

    # watching

    def watch(self, prefix: str, told: Callable[[str], None]) -> Callable[[], None]:
        if not len(self._watches):
            with self._environment.begin() as txn:
                self._seen = self._revision(txn)
            if not self._look.running:
                self._look.start(self._interval, now=False)
        return self._watches.add(prefix, told)

    def _tell(self) -> None:
        if not len(self._watches):
            if self._look.running:
                self._look.stop()
            return
        try:
            names = self._changed()
        except lmdb.Error:
            self.log.failure("the state's log cannot be read; it is tried again")
        else:
            self._watches.tell(names)

    def _changed(self) -> list[str]:
        with self._environment.begin() as txn:
            revision = self._revision(txn)
            if revision == self._seen:
                return []
            seen, self._seen = self._seen, revision
            cursor = txn.cursor(db=self._changes)
            names: list[str] = []
            if cursor.set_range(_number.pack(seen + 1)):
                if _number.unpack(cursor.key())[0] != seen + 1:
                    # The log goes no further back: whatever is there may have
                    # changed.
                    every = txn.cursor(db=self._values)
                    names.extend(key.decode() for key in every.iternext(values=False))
                names.extend(name.decode() for _, name in cursor.iternext())
            return names

    def _revision(self, txn: Any) -> int:
        stored = txn.get(b"revision", db=self._counters)
        return 0 if stored is None else int(_number.unpack(stored)[0])

    # ending

    def close(self) -> Deferred[None]:
        self._closed = True
        self._watches.end()
        if self._look.running:
            self._look.stop()
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self._rest()
        return done

    def _rest(self) -> None:
        if self._closed and not self._running and not self._queue:
            # Only now: a thread inside a closed environment would crash.
            self._environment.close()
            waiting, self._idle = self._idle, []
            for done in waiting:
                done.callback(None)

    def _run(self, work: Callable[..., T], *args: object) -> Deferred[T]:
        def ended(result: T | Failure) -> T | Failure:
            self._running -= 1
            self._rest()
            return result

        self._running += 1
        done: Deferred[T] = self._threads.run(work, *args)
        return done.addBoth(ended)

    def _translated(self, error: Exception) -> GatewayError:
        if self._closed:
            return ShuttingDown()
        if isinstance(error, lmdb.MapFullError):
            return StorageFull("The gateway's own state is full.")
        self.log.error("the state failed: {error}", error=error)
        return OurError()

    @deferred
    async def list(self, prefix: str, after: str = "", limit: int = 1000) -> list[Held]:
        # Last in this class: beneath it, "list" would be this method.
        def read() -> list[Held]:
            found: list[Held] = []
            start = max(prefix, after).encode("utf-8", "surrogatepass")
            with self._environment.begin(db=self._values) as txn:
                cursor = txn.cursor()
                more = cursor.set_range(start) if start else cursor.first()
                while more and len(found) < min(limit, LIST_LIMIT):
                    name = cursor.key().decode()
                    if not name.startswith(prefix):
                        break
                    if name > after:
                        found.append(_held(name, cursor.value()))
                    more = cursor.next()
            return found

        if self._closed:
            raise ShuttingDown()
        try:
            return await self._run(read)
        except lmdb.Error as e:
            raise self._translated(e) from e


def _held(name: str, stored: bytes) -> Held:
    return Held(name, stored[8:], str(_number.unpack_from(stored)[0]))
