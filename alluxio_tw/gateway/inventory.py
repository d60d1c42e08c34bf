"""
What is cached, looked at and given up: C{stat} and C{free}.

Pages are named by mount, path and version, so those of an object can be found where
its version is known: from its record.  Pages of older versions have no record any
more; nobody can ask for them, and they make room when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import BackendError, NoSuchBucket, NoSuchKey
from alluxio_tw.gateway.kept import Kept
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.readings import CachedReading
from alluxio_tw.gateway.scope import Region, Scope
from alluxio_tw.iobjects import Listing, Status
from alluxio_tw.namespace.metadata import Record, fresh
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.s3.listing import ListRequest

SLICE = 25
"""Records that are looked at in one turn of the reactor: a millisecond or two."""

TOGETHER = 32
"""Objects whose pages are dropped at once."""


@attrs.define(eq=False)
class Inventory:
    """
    The cache, by what is in it.

    :ivar wall: seconds since the epoch.
    """

    _objects: Objects
    _clock: IReactorTime
    _wall: Callable[[], float]

    # --- looking ---------------------------------------------------------------------

    @deferred
    async def stat(self, path: str) -> dict[str, Any]:
        """
        What is cached of an object, or of all that is beneath a folder.  Reads none of
        the objects' bytes.

        :return: a document, in which C{kind} is C{object} or C{folder}.
        :raises NoSuchKey: there is nothing.
        """
        scope = Scope.parse(path)
        if scope.single:
            try:
                return await self._object(scope)
            except NoSuchKey:
                pass
        found = await self._folder(scope)
        if not found["objects"] and scope.key:
            raise NoSuchKey(f"There is nothing at {scope}.")
        return found

    async def _object(self, scope: Scope) -> dict[str, Any]:
        objects = self._objects
        place = scope.place(objects.mounts)
        policy = place.policy
        record = objects.current.known(place) if policy.cached else None
        if record is None or record.status is None:
            status = await objects.status(scope.bucket, scope.key)
            record = objects.current.known(place) if policy.cached else None
        else:
            status = record.status
        found = {
            "kind": "object",
            "path": str(scope),
            "mount": place.mount.path,
            "size": status.size,
            "etag": status.etag,
            "version": status.version,
            "modified": status.modified / 1e9,
            **_policy(policy),
        }
        if not policy.cached:
            return found
        holding = await self._kept(place, status).holding()
        found.update(
            pages=holding.pages,
            cached_pages=holding.present,
            cached_bytes=holding.bytes,
            tiers=dict(holding.tiers),
            validated=0.0 if record is None else record.validated,
            **self._freshness(record, policy),
        )
        return found

    def _freshness(self, record: Record | None, policy: Policy) -> dict[str, Any]:
        now = self._wall()
        if record is None or not fresh(record, policy, now):
            return {"fresh": False, "fresh_seconds": 0.0}
        left = record.validated + policy.lifetime - now
        # JSON knows no infinity.
        return {"fresh": True, "fresh_seconds": None if left == math.inf else left}

    async def _folder(self, scope: Scope) -> dict[str, Any]:
        objects = self._objects
        regions = scope.regions(objects.mounts)
        totals = {
            "objects": 0,
            "bytes": 0,
            "cached_objects": 0,
            "partly_cached_objects": 0,
            "cached_bytes": 0,
        }
        after: str | None = ""
        while after is not None:
            listing: Listing = await objects.list(
                scope.bucket, ListRequest(prefix=scope.folder, after=after)
            )
            for number, entry in enumerate(listing.entries):
                if number and not number % SLICE:
                    await deferLater(self._clock, 0, _nothing)
                totals["objects"] += 1
                totals["bytes"] += entry.size
                place = objects.mounts.resolve(scope.bucket, entry.key)
                if not place.policy.cached:
                    continue
                record = objects.current.known(place)
                if record is None or record.status is None:
                    continue
                if (record.status.etag, record.status.size) != (entry.etag, entry.size):
                    # Of another version than is listed: nobody will be given it.
                    continue
                holding = await self._kept(place, record.status).holding()
                totals["cached_bytes"] += holding.bytes
                totals["cached_objects"] += holding.whole
                totals["partly_cached_objects"] += (
                    not holding.whole and holding.present > 0
                )
            after = listing.resume
        whole = totals["bytes"]
        return {
            "kind": "folder",
            "path": f"/{scope.bucket}/{scope.folder}" if scope.key else str(scope),
            **totals,
            "percent": 100 * totals["cached_bytes"] / whole if whole else 100.0,
            "uncached_mounts": sorted(
                {each.mount.path for each in regions if not each.mount.policy.cached}
            ),
        }

    # --- giving up ----------------------------------------------------------------------

    @deferred
    async def free(self, path: str, metadata_only: bool = False) -> dict[str, Any]:
        """
        Believe nothing any more of what is at C{path}, and drop its pages.

        Whoever asks after this has come back is given what the storage has by then,
        whatever the policy; what is being read is read to its end.

        :param metadata_only: leave the pages; those of versions that are still
            current will be of use.
        :return: a document: objects forgotten, bytes and pages' worth freed.
        """
        scope = Scope.parse(path)
        try:
            regions = scope.regions(self._objects.mounts)
            with suppress(BackendError):
                # Of a storage that cannot be asked things can be forgotten, too.
                await self._objects.mounts.bucket(scope.bucket)
        except NoSuchBucket as error:
            raise NoSuchBucket(f"There is no bucket {scope.bucket!r}.") from error
        forgotten = freed = 0
        for region in regions:
            records, dropped = await self._drop(scope, region, not metadata_only)
            forgotten += records
            freed += dropped
        # Also what was learnt while pages were dropped.
        for region in regions:
            await self._objects.current.invalidate(
                region.mount, region.prefix, region.whole
            )
        return {
            "path": str(scope),
            "objects": forgotten,
            "bytes": freed,
            "metadata_only": metadata_only,
            "uncached_mounts": sorted(
                {each.mount.path for each in regions if not each.mount.policy.cached}
            ),
        }

    async def _drop(self, scope: Scope, region: Region, pages: bool) -> tuple[int, int]:
        current = self._objects.current
        if region.whole:
            return await self._drop_pages(
                scope, region, region.prefix, current.known(region.place), pages
            )
        count = freed = 0
        after = b""
        while True:
            found, after = await current.records(region.mount, region.prefix, after)
            dropping: list[Deferred[tuple[int, int]]] = []
            for number, (path, record) in enumerate(found, 1):
                if not number % SLICE:
                    await deferLater(self._clock, 0, _nothing)
                dropping.append(self._drop_pages(scope, region, path, record, pages))
                if len(dropping) == TOGETHER or number == len(found):
                    for one, some in await gatherResults(dropping, consumeErrors=True):
                        count += one
                        freed += some
                    dropping = []
            if not after:
                return count, freed

    @deferred
    async def _drop_pages(
        self,
        scope: Scope,
        region: Region,
        path: str,
        record: Record | None,
        pages: bool,
    ) -> tuple[int, int]:
        if record is None or record.status is None:
            return 0, 0
        mounts = self._objects.mounts
        try:
            place = mounts.resolve(scope.bucket, region.place.key(path))
        except NoSuchKey:
            return 0, 0
        if place.mount.id != region.mount.id or not pages:
            # Of a mount that is hidden there by another, it can only be a record.
            return 1, 0
        freed: int = await self._kept(place, record.status).forget()
        return 1, freed

    def _kept(self, place: Place, status: Status) -> Kept:
        objects = self._objects
        return CachedReading.of(status, place, objects.pages, objects.current).kept()


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "cached": policy.cached,
        "keeps_pages": policy.cached and policy.pages,
        "freshness": policy.freshness,
        "max_age": policy.max_age,
        "stale_if_error": policy.stale_if_error,
    }


def _nothing() -> None:
    """A turn of the reactor."""
