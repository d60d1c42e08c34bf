"""
Which version of an object is current, as far as a mount's policy lets us say
without asking the storage.

A record is what the storage last said of an object and when.  It answers while
it is fresh; then the storage is asked again, once however many want to know.
An answer that was under way while we ourselves wrote the object is too old to
believe: C{_written} remembers when each object was last written here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import BackendError, NoSuchPath
from alluxio_tw.iobjects import Status
from alluxio_tw.namespace.metadata import Record, Records, fresh, usable_on_error
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.singleflight import SingleFlight

REMEMBERED = 4096
"""How many writes are remembered; a question under way is seldom older."""

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

    def glance(self, place: Place) -> Status | None:
        """
        The version, if the record may answer.

        :raises NoSuchPath: the record is fresh and says that there is none.
        """
        mount = place.mount
        record = self._records.glance(mount.id, place.path)
        if record is None or not fresh(record, mount.policy, self._clock()):
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
        while True:
            asked = self._epoch
            try:
                status = await mount.ufs.status(path)
            except NoSuchPath:
                if self._written.get(key, 0) > asked:
                    continue
                if self._epoch - asked <= REMEMBERED:
                    self._records.deny(mount.id, path, self._clock())
                raise
            except BackendError as error:
                return self._instead(place, error), True
            if self._written.get(key, 0) > asked:
                continue
            if self._epoch - asked <= REMEMBERED:
                # Otherwise a write of this object may have been forgotten.
                self._records.learn(mount.id, path, status, self._clock())
            return status, False

    def _instead(self, place: Place, error: BackendError) -> Status:
        """What may be answered when the storage cannot."""
        record: Record | None = self._records.glance(place.mount.id, place.path)
        if (
            record is None
            or record.status is None
            or not usable_on_error(record, place.mount.policy, self._clock())
        ):
            raise error
        return record.status

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
        alone = self._written.get(key, 0) <= began and self._epoch - began <= REMEMBERED
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
        if status is None:
            self._records.drop(mount.id, path)
        else:
            self._records.learn(mount.id, path, status, self._clock())

    def forget(self, place: Place) -> None:
        """The record is known to be wrong: ask at next use."""
        self._records.drop(place.mount.id, place.path)
