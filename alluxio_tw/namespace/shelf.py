"""
Records on disk, shared by all processes of the worker, and what is on its way there.

A change is seen at once, and stored by a thread together with whatever else came
within the delay.  That no process believes a record that another has replaced is
the business of L{alluxio_tw.namespace.marks}; that a crash of the machine leaves
nothing wrong, of L{alluxio_tw.namespace.environment}.

Nothing here ever fails towards its caller: what cannot be kept is forgotten,
what cannot be read was never known.

Not chosen: storing each change at once, on the reactor's thread.  It takes
4 microseconds, until the day the kernel makes writers wait for its disk.
"""

from __future__ import annotations

import secrets
from typing import TypeVar

import attrs
import lmdb
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.iobjects import Status
from alluxio_tw.namespace.encoding import decode, encode, path_of
from alluxio_tw.namespace.environment import Environment, boot_id
from alluxio_tw.namespace.marks import CONDEMNED, Marks
from alluxio_tw.namespace.pruning import Pruning
from alluxio_tw.threads import IThreads

T = TypeVar("T")

PENDING_LIMIT = 8192
"""Changes that may wait to be stored; beyond it they are forgotten instead."""

PREFIX_LIMIT = 64

LARGEST = 16 << 10
"""Bytes of a record that is stored; a larger one is forgotten here."""

SLICE = 1 << 20
"""Bytes in one transaction, so that other processes get their turn."""

SLACK = 64 << 20
"""Bytes of the map beyond twice the capacity, while pruning catches up."""

Said = tuple[Status | None, float]
"""What a record says: the version, or none, and when that was so."""


@attrs.define(eq=False)
class _Changes:
    """
    What is to be stored, together.

    :ivar records: by key: the path and what is known of it; L{None} is nothing.
    :ivar prefixes: all that is stored beneath these is deleted first.
    :ivar slots: those where something is pending.
    """

    records: dict[bytes, tuple[str, Said | None]] = attrs.field(factory=dict)
    prefixes: list[bytes] = attrs.field(factory=list)
    slots: set[int] = attrs.field(factory=set)
    done: Deferred[None] = attrs.field(factory=Deferred)

    def __bool__(self) -> bool:
        return bool(self.records or self.prefixes)

    def covers(self, key: bytes) -> bool:
        """Is the key among those to be deleted by their prefix?"""
        return any(key.startswith(prefix) for prefix in self.prefixes)

    def delete(self, prefix: bytes) -> None:
        """Everything beneath the prefix, as of now."""
        if len(self.prefixes) >= PREFIX_LIMIT:
            # Forgetting too much is no mistake.
            prefix = b""
            self.prefixes.clear()
        for key in [key for key in self.records if key.startswith(prefix)]:
            del self.records[key]
        self.prefixes.append(prefix)


@attrs.define(eq=False)
class Shelf:
    """
    Made by L{open}.

    :ivar values: the marks, by slot.
    :ivar stored: changes that were stored.
    :ivar lost: changes that were not, for the disk did not keep up.
    :ivar unreadable: records that were found damaged.
    """

    log = Logger()

    values: memoryview
    _marks: Marks
    _environment: Environment | None
    _pruning: Pruning
    _clock: IReactorTime
    _threads: IThreads
    _delay: float
    _waiting: _Changes = attrs.field(factory=_Changes, init=False)
    _storing: _Changes | None = attrs.field(default=None, init=False)
    _call: IDelayedCall | None = attrs.field(default=None, init=False)
    _readers: int = attrs.field(default=0, init=False)
    _unread: list[Deferred[None]] = attrs.field(factory=list, init=False)
    stored: int = attrs.field(default=0, init=False)
    lost: int = attrs.field(default=0, init=False)
    unreadable: int = attrs.field(default=0, init=False)

    @classmethod
    def open(
        cls,
        directory: str,
        clock: IReactorTime,
        threads: IThreads,
        *,
        capacity: int,
        delay: float,
        boot: str | None,
        nonce: int | None,
        now: float,
    ) -> Shelf:
        """
        Open the records in C{directory}, or make them; see
        L{Records.open<alluxio_tw.namespace.metadata.Records.open>}.
        """
        environment = Environment.open(
            directory,
            # Address space costs nothing; the file grows with what is used.
            2 * capacity + SLACK,
            boot_id() if boot is None else boot,
            secrets.randbits(31) if nonce is None else nonce,
            now,
        )
        marks = environment.marks
        pruning = Pruning(environment, capacity)
        return cls(marks.values, marks, environment, pruning, clock, threads, delay)

    @property
    def pruned(self) -> int:
        """Records that were deleted for room."""
        return self._pruning.pruned

    def get(self, key: bytes, slot: int, path: str) -> Said | None:
        """
        What is known of a path, at once.
        """
        if self.values[CONDEMNED] or self._marks.elsewhere(slot):
            # Of what is condemned, what waits is old as well: what came later was
            # not put there.
            return None
        for changes in (self._waiting, self._storing):
            if changes:
                changed = changes.records.get(key)
                if changed is not None:
                    return changed[1]
                if changes.prefixes and changes.covers(key):
                    return None
        if self._environment is None:
            return None
        try:
            with self._environment.database.begin() as txn:
                stored = txn.get(key)
            said = None if stored is None else decode(key, path, stored)
            if said is not None and self._marks.believable(slot, said[1]):
                return said
        except ValueError:
            self.unreadable += 1
        except lmdb.Error:
            self._condemn("records could not be read", Failure())
        return None

    def change(self, key: bytes, slot: int, path: str, said: Said | None) -> int:
        """
        Keep what is now known of a path.

        :param said: L{None} if what was known is not to be believed.
        :return: the slot's mark from now on.
        """
        if self._environment is None or self.values[CONDEMNED]:
            return self._marks.renew(slot)
        changes = self._waiting
        changes.slots.add(slot)
        mark = self._marks.pend(slot)
        waiting = len(changes.records)
        if waiting >= PENDING_LIMIT:
            # The disk does not keep up.  What is not stored must not be answered
            # from what was: the old record goes, and the new one with it.
            said = None
            self.lost += 1
            if waiting >= 4 * PENDING_LIMIT:
                changes.delete(b"")
        changes.records[key] = path, said
        self._later()
        return mark

    def delete(self, prefix: bytes) -> Deferred[None]:
        """
        Forget all keys that begin so: here from now on, in other processes once
        the result has fired.
        """
        if self._environment is None or self.values[CONDEMNED]:
            self._marks.renew_all()
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._waiting.delete(prefix)
        self._waiting.done.chainDeferred(done)
        self._later()
        return done

    def beneath(
        self, prefix: bytes, after: bytes, limit: int
    ) -> Deferred[tuple[list[tuple[str, Said]], bytes]]:
        """
        What is stored under keys that begin so; what was learnt a moment ago may not
        be among it yet.

        :param after: begin after this key; empty for the first.
        :param limit: how many keys are looked at.
        :return: paths and what is known of them; and the last key that was looked
            at, empty if no more follow.
        """
        environment = self._environment
        if environment is None or self.values[CONDEMNED]:
            return succeed(([], b""))
        reading = self._threads.run(
            self._read_beneath, environment, prefix, after, limit
        )
        self._readers += 1
        return reading.addBoth(self._was_read)

    def _was_read(self, result: T) -> T:
        self._readers -= 1
        if not self._readers:
            unread, self._unread = self._unread, []
            for each in unread:
                each.callback(None)
        return result

    def _read_beneath(
        self, environment: Environment, prefix: bytes, after: bytes, limit: int
    ) -> tuple[list[tuple[str, Said]], bytes]:
        # In a thread.
        found: list[tuple[str, Said]] = []
        seen = 0
        try:
            with environment.database.begin() as txn:
                cursor = txn.cursor()
                more = cursor.set_range(after or prefix)
                if more and after and cursor.key() == after:
                    more = cursor.next()
                while more and cursor.key().startswith(prefix):
                    key, stored = cursor.item()
                    try:
                        path = path_of(key, stored)
                        said = decode(key, path, stored)
                    except ValueError:
                        said = None
                    if said is not None:
                        found.append((path, said))
                    seen += 1
                    if seen == limit:
                        return found, key
                    more = cursor.next()
        except lmdb.Error:
            self.log.failure("records could not be listed")
        return found, b""

    def flush(self) -> Deferred[None]:
        """Have stored what waits."""
        if self._environment is None or not (self._storing or self._waiting):
            return succeed(None)
        # What waits is stored after what is being stored.
        last = self._waiting if self._waiting else self._storing
        assert last is not None
        done: Deferred[None] = Deferred()
        last.done.chainDeferred(done)
        if self._storing is None:
            self._store()
        return done

    def close(self) -> Deferred[None]:
        """
        Store what waits, and let go.
        """
        environment = self._environment
        if environment is None:
            return succeed(None)
        if self._readers:
            # A thread inside a closed environment would crash.
            unread: Deferred[None] = Deferred()
            self._unread.append(unread)
            return unread.addCallback(lambda _: self.close())
        if self._storing is not None or self._waiting:
            storing = self._storing or self._waiting
            if self._storing is None:
                self._store()
            done: Deferred[None] = Deferred()
            storing.done.chainDeferred(done)
            return done.addCallback(lambda _: self.close())
        self._environment = None
        return self._threads.run(environment.close)

    # storing

    def _later(self) -> None:
        if self._storing is not None:
            return
        if self._waiting.prefixes or len(self._waiting.records) >= PENDING_LIMIT:
            self._store()
        elif self._call is None and self._waiting:
            self._call = self._clock.callLater(self._delay, self._store)

    def _store(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
        environment, changes = self._environment, self._waiting
        if environment is not None:
            self._storing, self._waiting = changes, _Changes()
            self._threads.run(self._write, environment, changes).addBoth(
                self._landed, changes
            )

    def _landed(self, result: int | Failure, changes: _Changes) -> None:
        self._storing = None
        if isinstance(result, Failure):
            self._condemn("records could not be stored", result)
        else:
            self.stored += result
        self._marks.settle(changes.slots, self._waiting.slots)
        self._later()
        changes.done.callback(None)

    def _write(self, environment: Environment, changes: _Changes) -> int:
        # In a thread.
        if self.values[CONDEMNED]:
            return 0
        try:
            self._write_all(environment, changes)
            self._pruning.prune()
        except lmdb.MapFullError:
            # Pruning keeps this from happening; a process that was stopped while
            # it read, and so holds old pages, may yet bring it about.
            self._pruning.empty()
            self._write_all(environment, changes)
        return len(changes.records)

    def _write_all(self, environment: Environment, changes: _Changes) -> None:
        for prefix in changes.prefixes:
            self._pruning.delete(prefix)
        if changes.prefixes:
            self._marks.renew_all()
        rows = iter(list(changes.records.items()))
        more = True
        while more:
            more = False
            size = 0
            with environment.database.begin(write=True) as txn:
                for key, (path, said) in rows:
                    stored = None if said is None else encode(key, path, *said)
                    if stored is None or len(stored) > LARGEST:
                        txn.delete(key)
                    else:
                        txn.put(key, stored)
                        size += len(stored)
                    size += 256
                    if size > SLICE:
                        more = True
                        break

    def _condemn(self, what: str, failure: Failure) -> None:
        # For all processes: what could not be replaced must not be read.
        if self._environment is not None and not self.values[CONDEMNED]:
            self._marks.condemn()
            self._environment.condemn()
            self.log.failure(
                "{what}; until the next start the storage is asked instead",
                failure,
                what=what,
            )
