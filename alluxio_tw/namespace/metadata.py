"""
What the storage last said of an object and when, and what it denied.

Decoded records in memory, for what is hot, in front of those on disk: two
dictionaries, of which the younger becomes the older when it is full, so that
what is asked for stays and the rest is dropped without a list to keep in order.

Nothing here ever fails towards its caller: what cannot be kept is forgotten, and
the storage is asked again.
"""

from __future__ import annotations

import math
import time

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from alluxio_tw.deferreds import deferred
from alluxio_tw.iobjects import NO_ATTRIBUTES, Status
from alluxio_tw.namespace.encoding import key_of, prefix_of
from alluxio_tw.namespace.marks import slot_of
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.namespace.shelf import Shelf
from alluxio_tw.threads import IThreads

SKEW = 5.0
"""Seconds that a record may be younger than now, for clocks that disagree."""


@attrs.frozen
class Record:
    """
    What the storage last said of an object.

    :ivar status: the version; L{None} if there was no such object.
    :ivar validated: seconds since the epoch: when it said so.
    """

    status: Status | None
    validated: float


def fresh(record: Record, policy: Policy, now: float, since: float = 0.0) -> bool:
    """
    May the record be believed without asking the storage?

    :param now: seconds since the epoch.
    :param since: seconds since the epoch: believe nothing from before, such as
        what another owner of the object may have changed.
    """
    validated = record.validated
    age = now - validated
    if validated < since:
        return False
    if record.status is None:
        return -SKEW <= age < policy.negative_age
    lifetime = policy.lifetime
    return age < lifetime and (age >= -SKEW or lifetime == math.inf)


def usable_on_error(record: Record, policy: Policy, now: float) -> bool:
    """
    May the record's version be answered, the storage having failed to say?
    """
    if record.status is None:
        return False
    usable = policy.lifetime + policy.stale_if_error
    age = now - record.validated
    return usable == math.inf or -SKEW <= age <= usable


_Name = tuple[str, str]
_Kept = tuple[Record, int, int, int]
# The record, its slot, the slot's mark when it was read, and its weight.


@attrs.define(eq=False)
class Records:
    """
    Made by L{open}.
    """

    _shelf: Shelf
    _marks: memoryview
    _generation: int
    _young: dict[_Name, _Kept] = attrs.field(factory=dict, init=False)
    _old: dict[_Name, _Kept] = attrs.field(factory=dict, init=False)
    _weight: int = attrs.field(default=0, init=False)

    @classmethod
    def open(
        cls,
        directory: str,
        clock: IReactorTime,
        threads: IThreads,
        *,
        capacity: int = 256 << 20,
        entries: int = 20_000,
        delay: float = 0.05,
        boot: str | None = None,
        nonce: int | None = None,
        now: float | None = None,
    ) -> Records:
        """
        Open the records in C{directory}, or make them.

        :param capacity: bytes on disk, beyond which old records are dropped.  The
            file may come to be twice that large, and does not shrink.
        :param entries: decoded records in memory; a large one counts for several.
        :param delay: seconds that a change waits for others to be stored with.
        :param boot: names this boot of the machine.
        :param nonce: 31 random bits that name this process.
        :param now: seconds since the epoch: nothing from before is believed of
            what a process had not stored yet when it was killed.
        :raises WrongConfiguration: the folder cannot be used.
        """
        shelf = Shelf.open(
            directory,
            clock,
            threads,
            capacity=capacity,
            delay=delay,
            boot=boot,
            nonce=nonce,
            now=time.time() if now is None else now,
        )
        return cls(shelf, shelf.values, max(1, entries // 2))

    # asking

    def glance(self, mount_id: str, path: str) -> Record | None:
        """
        What is known of C{path}, at once.
        """
        name = (mount_id, path)
        kept = self._young.get(name)
        if kept is not None and self._marks[kept[1]] == kept[2]:
            return kept[0]
        return self._look(name)

    def _look(self, name: _Name) -> Record | None:
        kept = self._old.get(name)
        if kept is not None and self._marks[kept[1]] == kept[2]:
            self._keep(name, kept)
            return kept[0]
        key = key_of(*name)
        slot = slot_of(key)
        # Read before the record is: a change in between makes it a mark of old.
        mark = self._marks[slot]
        said = self._shelf.get(key, slot, name[1])
        if said is None:
            return None
        record = Record(*said)
        self._keep(name, (record, slot, mark, _weight(record)))
        return record

    @deferred
    async def beneath(
        self, mount_id: str, prefix: str, after: bytes = b"", limit: int = 1000
    ) -> tuple[list[tuple[str, Record]], bytes]:
        """
        What is known of paths beneath C{prefix}, page by page, in no order that
        matters.

        :param after: what the page before said; empty for the first.
        :param limit: records that are looked at.
        :return: paths and records, and where the next page begins; empty if there
            is none.
        """
        if not after:
            await self._shelf.flush()
        found, last = await self._shelf.beneath(
            prefix_of(mount_id, prefix), after, limit
        )
        return [
            (path, Record(*said)) for path, said in found if path.startswith(prefix)
        ], last

    # being told

    def learn(self, mount_id: str, path: str, status: Status, now: float) -> None:
        """
        The storage said that this is the version.

        :param now: seconds since the epoch: when it was asked.
        """
        self._change((mount_id, path), Record(status, now))

    def deny(self, mount_id: str, path: str, now: float) -> None:
        """
        The storage said that there is no such object.
        """
        self._change((mount_id, path), Record(None, now))

    def drop(self, mount_id: str, path: str) -> None:
        """
        Whatever is known of C{path} is not to be believed.
        """
        self._change((mount_id, path), None)

    def drop_prefix(self, mount_id: str, prefix: str) -> Deferred[None]:
        """
        Whatever is known of any path beneath C{prefix} is not to be believed:
        here from now on, in other processes once the result has fired.
        """
        for generation in (self._young, self._old):
            for name in [
                name
                for name in generation
                if name[0] == mount_id and name[1].startswith(prefix)
            ]:
                del generation[name]
        return self._shelf.delete(prefix_of(mount_id, prefix))

    def close(self) -> Deferred[None]:
        """
        Store what waits, and let go.
        """
        return self._shelf.close()

    def counts(self) -> dict[str, int]:
        """
        What was done since the start: changes C{stored} and C{lost}, records
        C{pruned} for room, and C{unreadable} ones.
        """
        shelf = self._shelf
        return {
            "stored": shelf.stored,
            "lost": shelf.lost,
            "pruned": shelf.pruned,
            "unreadable": shelf.unreadable,
        }

    def _change(self, name: _Name, record: Record | None) -> None:
        key = key_of(*name)
        slot = slot_of(key)
        if record is None:
            self._young.pop(name, None)
            self._old.pop(name, None)
            self._shelf.change(key, slot, name[1], None)
        else:
            said = record.status, record.validated
            mark = self._shelf.change(key, slot, name[1], said)
            self._keep(name, (record, slot, mark, _weight(record)))

    def _keep(self, name: _Name, kept: _Kept) -> None:
        before = self._young.get(name)
        self._young[name] = kept
        self._weight += kept[3] - (0 if before is None else before[3])
        if self._weight > self._generation:
            self._old, self._young, self._weight = self._young, {}, 0


def _weight(record: Record) -> int:
    """
    How many ordinary records it takes the memory of, which is some 1,500 bytes
    each: the memo of a status will hold its rendered headers.
    """
    status = record.status
    if status is None or status.attributes is NO_ATTRIBUTES:
        return 1
    kept = status.attributes
    text = 8 * len(kept.part_sizes) + 100 * len(kept.part_checksums)
    for pairs in (kept.headers, kept.user, kept.tags, kept.checksums):
        for name, value in pairs.items():
            text += 100 + len(name) + len(value)
    return 1 + text // 1000
