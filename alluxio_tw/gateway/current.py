"""
Which version of an object is current, as far as a mount's policy lets us say
without asking the storage.

A record is what the storage last said of an object and when.  It answers while
it is fresh; then the storage is asked again, once however many want to know.  A
storage that could not be asked is left alone for a second, where a record may
answer in its place (stale-if-error): else each request would wait for a storage
that is gone to be found gone.

An answer that was under way while we ourselves wrote the object is too old to
believe: C{_written} remembers when each object was last written here.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import BackendError, NoSuchPath, StorageDenied
from alluxio_tw.iobjects import Status
from alluxio_tw.namespace.metadata import Record, Records, fresh, usable_on_error
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.singleflight import SingleFlight

REMEMBERED = 4096
"""How many writes are remembered; a question under way is seldom older."""

MOMENT = 0.001
"""Seconds; more than a clock's numbers are rounded by."""

RESPITE = 1.0
"""Seconds for which a storage that could not be asked is left alone."""

Known = tuple[Status, bool]
"""A version, and whether it is stale: answered because the storage failed."""


@attrs.define
class Current:
    """
    What is current, for the mounts that are cached.

    :ivar clock: seconds since the epoch.
    """

    _records: Records
    _clock: Callable[[], float]
    _flights: SingleFlight[tuple[str, str], Known] = attrs.field(factory=SingleFlight)
    _written: OrderedDict[tuple[str, str], int] = attrs.field(factory=OrderedDict)
    _epoch: int = 0
    _freed: int = 0
    _failing: dict[str, float] = attrs.field(factory=dict, init=False)

    def glance(self, place: Place) -> Status | None:
        """
        The version, if the record may answer.

        :raises NoSuchPath: the record is fresh and says that there is none.
        """
        record = self._records.glance(place.mount.id, place.path)
        if record is None or not fresh(record, place.policy, self._clock()):
            return None
        if record.status is None:
            raise NoSuchPath()
        return record.status

    def status(self, place: Place) -> Deferred[Known]:
        """
        The version, from the record or the storage.

        :raises NoSuchPath: there is none.
        """
        return self._flights.do((place.mount.id, place.path), lambda: self._ask(place))

    @deferred
    async def _ask(self, place: Place) -> Known:
        # Looked at again within the flight: whoever landed just before us may
        # have learnt it.
        known = self.glance(place)
        if known is not None:
            return known, False
        mount, path = place.mount, place.path
        key = (mount.id, path)
        if self._failing and self._failing.get(mount.id, 0.0) > self._clock():
            instead = self._instead(place)
            if instead is not None:
                return instead, True
        while True:
            asked = self._epoch
            try:
                status = await mount.ufs.status(path)
            except NoSuchPath:
                if self._changed(key, asked):
                    continue
                if self._epoch - asked <= REMEMBERED:
                    self._records.deny(mount.id, path, self._clock())
                raise
            except StorageDenied:
                # It could be asked, and this is what it said.
                raise
            except BackendError:
                instead = self._instead(place)
                if instead is None:
                    raise
                self._failing[mount.id] = self._clock() + RESPITE
                return instead, True
            self._failing.pop(mount.id, None)
            if self._changed(key, asked):
                continue
            if self._epoch - asked <= REMEMBERED:
                # Otherwise a write of this object may have been forgotten.
                self._records.learn(mount.id, path, status, self._clock())
            return status, False

    def _instead(self, place: Place) -> Status | None:
        """What may be answered when the storage cannot."""
        record: Record | None = self._records.glance(place.mount.id, place.path)
        if record is None or not usable_on_error(record, place.policy, self._clock()):
            return None
        return record.status

    def age(self, place: Place) -> float:
        """Seconds since the storage said what is known of an object."""
        record = self._records.glance(place.mount.id, place.path)
        return 0.0 if record is None else max(0.0, self._clock() - record.validated)

    async def written(self, place: Place, work: Deferred[Status]) -> Status:
        """
        Wait for a write of ours that has just begun, and know what is current
        after it.

        Of two that overlap, nobody can say which the storage did last; and one
        that failed may have come about all the same.  Then the storage is asked.
        """
        began = self._epoch
        try:
            made = await work
        except BackendError:
            self.wrote(place, None)
            raise
        key = (place.mount.id, place.path)
        alone = not self._changed(key, began) and self._epoch - began <= REMEMBERED
        self.wrote(place, made if alone else None)
        return made

    def wrote(self, place: Place, status: Status | None) -> None:
        """
        We made C{status} current; L{None} if we deleted the object, or may have
        changed it.
        """
        mount, path = place.mount, place.path
        if not mount.policy.cached:
            return
        key = (mount.id, path)
        self._epoch += 1
        self._written[key] = self._epoch
        self._written.move_to_end(key)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        if status is None or not place.policy.cached:
            self._records.drop(mount.id, path)
        else:
            self._records.learn(mount.id, path, status, self._clock())

    def _changed(self, key: tuple[str, str], since: int) -> bool:
        """Whether what was heard since then may be of before a change."""
        return self._written.get(key, 0) > since or self._freed > since

    def forget(self, place: Place, status: Status | None = None) -> None:
        """
        The record is known to be wrong: ask at next use.

        :param status: what was found wrong; a record of another version is left.
        """
        if status is not None:
            record = self._records.glance(place.mount.id, place.path)
            if (
                record is not None
                and record.status is not None
                and record.status.version != status.version
            ):
                return
        self._records.drop(place.mount.id, place.path)

    def doubt(self, place: Place, seconds: float) -> bool:
        """
        Somebody seems to know of another version: believe what is known here no
        longer, if it was said more than so many seconds ago and may have changed
        since.

        :return: whether the storage is to be asked now, and was not before.
        """
        policy, now = place.policy, self._clock()
        record = self._records.glance(place.mount.id, place.path)
        if (
            record is None
            or record.status is None
            or policy.lifetime == math.inf
            or now - record.validated <= seconds
            or not fresh(record, policy, now)
        ):
            return False
        # Not forgotten: should the storage not answer, it may still be of use.
        over = now - policy.lifetime - MOMENT
        self._records.learn(place.mount.id, place.path, record.status, over)
        return True

    def known(self, place: Place) -> Record | None:
        """What is known of an object, however old it is."""
        return self._records.glance(place.mount.id, place.path)

    def records(
        self, mount: Mount, prefix: str, after: bytes
    ) -> Deferred[tuple[list[tuple[str, Record]], bytes]]:
        """As L{Records.beneath<alluxio_tw.namespace.metadata.Records.beneath>}."""
        return self._records.beneath(mount.id, prefix, after)

    def invalidate(self, mount: Mount, prefix: str, whole: bool) -> Deferred[None]:
        """
        Believe nothing of before: what is known of C{prefix}, or of all that is
        beneath it, may have been changed behind our back.

        An answer of the storage that is under way is not believed either, whatever
        it is about: to know of each question costs more than to ask a few again.

        :param whole: C{prefix} is a path, and nothing else is meant.
        """
        self._epoch += 1
        self._freed = self._epoch
        if whole:
            self._records.drop(mount.id, prefix)
            return succeed(None)
        return self._records.drop_prefix(mount.id, prefix)
