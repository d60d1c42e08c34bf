"""
Buckets: which there are, and what is kept of them.

Where a bucket is comes from the mounts; what is kept of it beyond its existence
(owner, tags, configuration documents) lies in the state store under
C{bucket/<name>}, as JSON, changed by compare-and-set.

Every request asks what is kept of its bucket, so that is read once and remembered
as a L{Standing}, until the state tells that it changed: at once for a change of
this process, within its interval for another's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.logger import Logger

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    GatewayError,
    InvalidArgument,
    NoSuchTagSet,
    Overloaded,
)
from alluxio_tw.iobjects import Bucket
from alluxio_tw.istate import Held, IState
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.s3.configurations import CORSRule, parse_cors
from alluxio_tw.s3.policy import Policy
from alluxio_tw.s3.policydocuments import parse_policy

ATTEMPTS = 20
"""How often a change is tried again when another came first."""

REMEMBERED = 4096
"""How many buckets' standings are remembered."""

MAX_NAME = 255
"""Characters of a bucket's name, those of mounted trees included."""

Kept = dict[str, Any]

log = Logger()


@attrs.frozen
class Standing:
    """
    What decides about requests for a bucket.

    :ivar owner: whom it belongs to.
    :ivar recorded: somebody created it over S3; otherwise it is the daemon's.
    :ivar policy: L{None} without one.
    :ivar broken: it has a policy that cannot be read: nobody but its owner is
        let in.
    :ivar plain: there is neither a policy nor CORS: nothing to look at.
    """

    owner: str
    recorded: bool = True
    policy: Policy | None = None
    cors: tuple[CORSRule, ...] = ()
    broken: bool = False
    plain: bool = True


@attrs.define
class Buckets:
    """
    Buckets by name.

    :ivar owner: whom buckets belong to that nobody created over S3.
    :ivar standings: those that are remembered.
    """

    mounts: MountTable
    _state: IState
    owner: str = ""
    standings: dict[str, Standing] = attrs.field(factory=dict, init=False, repr=False)
    _unwatch: Callable[[], None] | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Begin to hear of what others change; before, nothing is remembered."""
        if self._unwatch is None:
            self._unwatch = self._state.watch("bucket/", self._changed)

    def stop(self) -> None:
        """Hear no more, and forget."""
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()
        self.standings.clear()

    def standing(self, name: str) -> Standing:
        """What decides about requests for a bucket, be there one or not."""
        found = self.standings.get(name)
        if found is not None:
            return found
        # There is no bucket of a longer name, but requests for it there may be.
        kept = self.kept(name) if len(name) <= MAX_NAME else {}
        found = _read(name, kept, self.owner)
        if self._unwatch is not None:
            if len(self.standings) >= REMEMBERED:
                self.standings.clear()
            self.standings[name] = found
        return found

    def _changed(self, name: str) -> None:
        # All of them: it is rare, and who was long away may not be told of
        # each one.
        self.standings.clear()

    @deferred
    async def get(self, name: str) -> Bucket:
        """
        A bucket.

        :raises NoSuchBucket: there is none.
        """
        bucket: Bucket = await self.mounts.bucket(name)
        return self._owned(bucket)

    @deferred
    async def all(self) -> list[Bucket]:
        """Every bucket, by name in byte order."""
        return [self._owned(each) for each in await self.mounts.buckets()]

    @deferred
    async def create(self, name: str, owner: str) -> None:
        """
        Make a bucket where the mounts allow it.

        :raises BucketAlreadyOwnedByYou: there is one.
        :raises AccessDenied: no mount takes new buckets.
        """
        await self.mounts.create(name)
        # What an earlier bucket of that name left is not the new one's.
        await self._state.put(f"bucket/{name}", json.dumps({"owner": owner}).encode())
        self.standings.pop(name, None)

    @deferred
    async def delete(self, name: str) -> None:
        """
        Delete an empty bucket.

        :raises NoSuchBucket: there is none.
        :raises BucketNotEmpty: it has objects.
        """
        await self.mounts.bucket(name)
        await self.mounts.delete(name)
        await self._state.delete(f"bucket/{name}")
        self.standings.pop(name, None)

    # --- what is kept -------------------------------------------------------------

    def kept(self, name: str) -> Mapping[str, Any]:
        """All that is kept of a bucket; empty if nothing is."""
        return _kept(self._state.glance(f"bucket/{name}"))

    @deferred
    async def keep(self, name: str, change: Callable[[Kept], None]) -> None:
        """
        Change what is kept of a bucket, all at once.

        :raises NoSuchBucket: there is no such bucket.
        """
        await self.mounts.bucket(name)
        for _ in range(ATTEMPTS):
            held: Held | None = await self._state.get(f"bucket/{name}")
            kept = _kept(held)
            change(kept)
            value = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
            if len(value) > 60_000:
                raise InvalidArgument("The configuration of the bucket is too large.")
            if await self._state.put(
                f"bucket/{name}", value, held.revision if held else ""
            ):
                self.standings.pop(name, None)
                return
        raise Overloaded()

    @deferred
    async def tags(self, name: str) -> dict[str, str]:
        """
        The bucket's tag set.

        :raises NoSuchTagSet: it has none.
        """
        await self.mounts.bucket(name)
        tags: dict[str, str] | None = self.kept(name).get("tags")
        if not tags:
            raise NoSuchTagSet(BucketName=name)
        return tags

    @deferred
    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Replace the bucket's tag set; an empty one is none."""

        def change(kept: Kept) -> None:
            kept["tags"] = dict(tags)

        await self.keep(name, change)

    def _owned(self, bucket: Bucket) -> Bucket:
        owner = self.kept(bucket.name).get("owner", "")
        return attrs.evolve(bucket, owner=owner) if owner else bucket


def _read(name: str, kept: Mapping[str, Any], owner: str) -> Standing:
    policy = None
    cors: tuple[CORSRule, ...] = ()
    broken = False
    try:
        if kept.get("policy"):
            policy = parse_policy(kept["policy"].encode("utf-8"), name)
        if kept.get("cors"):
            cors = parse_cors(kept["cors"].encode("utf-8"))
    except GatewayError:
        # Another version of this program may have taken what this one does not.
        log.failure("{name}: its policy or CORS cannot be read", name=name)
        broken = True
    recorded = kept.get("owner") or ""
    return Standing(
        recorded or owner,
        bool(recorded),
        policy,
        cors,
        broken,
        plain=policy is None and not cors and not broken,
    )


def _kept(held: Held | None) -> Kept:
    if held is None:
        return {}
    kept: Kept = json.loads(held.value)
    return kept
