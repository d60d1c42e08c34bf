"""
The mount table: the longest prefix owns the path.

A mount at C{/photos} is the bucket C{photos}.  A mount at C{/} makes each of its
folders a bucket, except where another mount has that name.  A mount at
C{/photos/raw} owns the keys of the bucket C{photos} that begin with C{raw/}, and
hides what the mount above it has there.  Something must be mounted above it, so
that every key of a bucket has an owner.

Whether a bucket exists is asked late.  A read that finds its object never asks;
one that does not asks L{MountTable.bucket} to tell C{NoSuchBucket} from
C{NoSuchKey}.  A write asks first, because storage with folders would make the
missing one without a word; the answer is remembered for a second.

Not chosen: a memo of places by bucket and key.  A hit in one took 0.15
microseconds where resolving took 0.4, and it would hold a string for every key
that anyone ever asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import attrs
from twisted.internet.interfaces import IReactorTime

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    AccessDenied,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidBucketName,
    NoSuchBucket,
    NoSuchKey,
    NoSuchPath,
    PathConflict,
    StorageReadOnly,
    WrongConfiguration,
)
from alluxio_tw.iobjects import Bucket
from alluxio_tw.namespace.folders import Folders
from alluxio_tw.namespace.mount import RESERVED, Mount
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.namespace.rules import RuleSet

_new = tuple.__new__
# A named tuple's own constructor is a Python function, and this path is hot.

PLANS = 4096
"""Buckets of the root mount whose plan is remembered."""


class Place(NamedTuple):
    """
    Where a key of a bucket lies.

    Paths of the mount and keys of the bucket turn into each other by taking
    C{lead} or C{within} from the front and putting the other there; at least
    one of them is empty.

    :ivar path: the key, as the mount's driver knows it.
    :ivar lead: what paths have in front that keys have not: C{bucket/} for the
        root mount.
    :ivar within: what keys have in front that paths have not: C{raw/} for a
        mount nested there.
    :ivar policy: what may be kept of it: the mount's, unless a rule says otherwise.
    """

    mount: Mount
    path: str
    lead: str
    within: str
    policy: Policy

    def key(self, path: str) -> str:
        """The key of the bucket that C{path} of the mount is."""
        return self.within + path[len(self.lead) :]


class Child(NamedTuple):
    """
    A mount nested in a bucket.

    :ivar prefix: what the keys that it owns begin with; ends in C{/}.
    """

    prefix: str
    mount: Mount


class Stretch(NamedTuple):
    """
    Keys in a row that one mount owns.

    :ivar place: where they lie.
    :ivar beyond: they come after all that begin with this; empty for no such
        bound.
    :ivar until: they come before this; L{None} for no such bound.
    """

    place: Place
    beyond: str
    until: str | None


class _Plan(NamedTuple):
    """
    How the keys of one bucket are placed.

    :ivar nested: longest prefix first.
    """

    mount: Mount
    lead: str
    nested: tuple[Child, ...]


@attrs.define(eq=False)
class MountTable:
    """
    What is mounted now.

    :ivar bucket_age: seconds that a folder of the root mount is believed to be
        there.
    :ivar rules: what is said of objects by patterns, beside their mounts' options;
        may be set at any time, and counts from then on.
    """

    _clock: IReactorTime
    bucket_age: float = 1.0
    rules: RuleSet | None = attrs.field(default=None, init=False)
    _mounts: dict[str, Mount] = attrs.field(factory=dict, init=False)
    _buckets: dict[str, Bucket] = attrs.field(factory=dict, init=False)
    _nested: dict[str, tuple[Child, ...]] = attrs.field(factory=dict, init=False)
    _plans: dict[str, _Plan] = attrs.field(factory=dict, init=False)
    _folders: Folders | None = attrs.field(default=None, init=False)

    @classmethod
    def of(
        cls, mounts: Iterable[Mount], clock: IReactorTime, bucket_age: float = 1.0
    ) -> MountTable:
        """
        A table with these mounts; raises as L{replace}.
        """
        table = cls(clock, bucket_age)
        table.replace(mounts)
        return table

    def replace(self, mounts: Iterable[Mount]) -> None:
        """
        Mount these and nothing else, all at once; or change nothing.

        :raises WrongConfiguration: two want the same path, or nothing is
            mounted above a nested one.
        """
        by_path: dict[str, Mount] = {}
        nested: dict[str, list[Child]] = {}
        for mount in mounts:
            if by_path.setdefault(mount.path, mount) is not mount:
                raise WrongConfiguration(f"{mount.path} is mounted twice.")
            bucket, slash, rest = mount.path[1:].partition("/")
            if slash:
                nested.setdefault(bucket, []).append(Child(f"{rest}/", mount))
        for bucket, children in nested.items():
            if "/" not in by_path and f"/{bucket}" not in by_path:
                raise WrongConfiguration(
                    f"Nothing is mounted above {children[0].mount.path}: "
                    f"mount something at /{bucket} or / as well."
                )
        buckets = {
            # Above it is the root mount, which need not have such a folder.
            bucket: Bucket(bucket, min(child.mount.created for child in children))
            for bucket, children in nested.items()
        }
        for path, mount in by_path.items():
            if path != "/" and "/" not in path[1:]:
                buckets[path[1:]] = Bucket(path[1:], mount.created)
        root = by_path.get("/")
        self._mounts = by_path
        self._buckets = buckets
        self._nested = {
            bucket: tuple(sorted(children, key=lambda child: -len(child.prefix)))
            for bucket, children in nested.items()
        }
        self._plans = {}
        self._folders = (
            None if root is None else Folders(root.ufs, self._clock, self.bucket_age)
        )

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All mounts, by path."""
        return tuple(self._mounts[path] for path in sorted(self._mounts))

    # where keys lie

    def resolve(self, bucket: str, key: str) -> Place:
        """
        Who owns a key, or all keys that begin with C{key}, itself aside from
        mounts nested beneath it (see L{children}).

        Does not ask whether the bucket exists where that takes asking.

        :raises NoSuchBucket: there can be no such bucket.
        :raises NoSuchKey: the name is one of our own, which nobody sees.
        """
        plan = self._plans.get(bucket)
        if plan is None:
            plan = self._plan(bucket)
        mount, lead, nested = plan
        rules = self.rules
        if key.startswith(RESERVED):
            raise NoSuchKey(Key=key)
        if nested:
            for child in nested:
                if key.startswith(child.prefix):
                    path = key[len(child.prefix) :]
                    if path.startswith(RESERVED):
                        raise NoSuchKey(Key=key)
                    mount = child.mount
                    policy = mount.policy
                    if rules is not None and policy.cached:
                        policy = rules.policy(f"/{bucket}/{key}", policy)
                    return _new(Place, (mount, path, "", child.prefix, policy))
        policy = mount.policy
        if rules is not None and policy.cached:
            policy = rules.policy(f"/{bucket}/{key}", policy)
        return _new(Place, (mount, lead + key, lead, "", policy))

    def children(self, bucket: str, prefix: str = "") -> tuple[Child, ...]:
        """
        The mounts nested beneath C{prefix}, by prefix in byte order; not the one
        whose prefix is C{prefix} itself.

        A listing of the owner of C{prefix} leaves out what lies beneath their
        prefixes, and has each instead: folded, or by its own listing (see
        L{stretches}).
        """
        return tuple(
            sorted(
                child
                for child in self._nested.get(bucket, ())
                if child.prefix.startswith(prefix) and child.prefix != prefix
            )
        )

    def stretches(self, bucket: str, prefix: str) -> list[Stretch]:
        """
        Who owns the keys that begin with C{prefix}, in the order of the keys: the
        owner of the prefix first, then by turns the mounts nested beneath it and
        what lies between them.

        :raises NoSuchBucket: there can be no such bucket.
        :raises NoSuchKey: the prefix is one of our own, which nobody sees.
        """
        found: list[Stretch] = []
        # The mounts that we are in, outermost first.
        within = [self.resolve(bucket, prefix)]
        beyond = ""
        for child in self.children(bucket, prefix):
            while len(within) > 1 and not child.prefix.startswith(within[-1].within):
                over = within.pop()
                found.append(Stretch(over, beyond, None))
                beyond = over.within
            found.append(Stretch(within[-1], beyond, child.prefix))
            mount = child.mount
            within.append(Place(mount, "", "", child.prefix, mount.policy))
            beyond = ""
        while within:
            over = within.pop()
            found.append(Stretch(over, beyond, None))
            beyond = over.within
        return found

    def _plan(self, bucket: str) -> _Plan:
        # What begins with a dot is hidden in a tree, among it what is ours.
        if "/" in bucket or bucket[:1] in ("", "."):
            raise NoSuchBucket(BucketName=bucket)
        mount = self._mounts.get(f"/{bucket}")
        lead = ""
        if mount is None:
            mount = self._mounts.get("/")
            lead = f"{bucket}/"
            if mount is None:
                raise NoSuchBucket(BucketName=bucket)
        if len(self._plans) >= PLANS:
            # All at once is as good as any: a plan is cheap to make again.
            self._plans.clear()
        plan = _Plan(mount, lead, self._nested.get(bucket, ()))
        self._plans[bucket] = plan
        return plan

    # buckets

    def known(self, name: str) -> bool:
        """
        Is the bucket there, as far as can be said at once?  L{False} is no
        answer: ask L{bucket}.
        """
        return name in self._buckets or (
            self._folders is not None and self._folders.glance(name) is not None
        )

    @deferred
    async def bucket(self, name: str) -> Bucket:
        """
        A bucket.

        :raises NoSuchBucket: there is none.
        :raises BackendError: the root mount cannot be asked.
        """
        mounted = self._buckets.get(name)
        if mounted is not None:
            return mounted
        # Also refuses what no folder that is a bucket can be named.
        self.resolve(name, "")
        if self._folders is not None:
            found = self._folders.glance(name)
            if found is None:
                found = (await self._folders.all()).get(name)
            if found is not None:
                return found
        raise NoSuchBucket(BucketName=name)

    @deferred
    async def buckets(self) -> list[Bucket]:
        """
        Every bucket, by name in byte order.

        :raises BackendError: the root mount cannot be asked; a list that lacks
            its buckets would be a lie.
        """
        found: dict[str, Bucket] = {}
        if self._folders is not None:
            for name, bucket in (await self._folders.all()).items():
                if name[:1] != ".":
                    found[name] = bucket
        found.update(self._buckets)
        return [found[name] for name in sorted(found)]

    @deferred
    async def create(self, name: str) -> None:
        """
        Make a bucket: a folder of the root mount.

        :raises BucketAlreadyOwnedByYou: it is there; whose it is, we cannot say.
        :raises AccessDenied: the root mount takes none, or there is no root mount.
        """
        if name in self._buckets:
            raise BucketAlreadyOwnedByYou(BucketName=name)
        root = self._mounts.get("/")
        if root is None or self._folders is None:
            raise AccessDenied(
                "Buckets are made where something is mounted at /, and nothing is: "
                "the buckets there are were mounted one by one."
            )
        if not root.ufs.capabilities.folders:
            raise AccessDenied("The storage that is mounted at / cannot make buckets.")
        if "/" in name or name[:1] in ("", "."):
            raise InvalidBucketName(BucketName=name)
        if root.read_only:
            raise StorageReadOnly()
        try:
            await root.ufs.make_folder(name)
        except PathConflict as e:
            raise BucketAlreadyOwnedByYou(BucketName=name) from e
        finally:
            self._folders.forget()

    @deferred
    async def delete(self, name: str) -> None:
        """
        Delete an empty bucket.

        :raises NoSuchBucket: there is none.
        :raises BucketNotEmpty: there are objects in it.
        :raises AccessDenied: it is a mount, or something is mounted in it.
        """
        if name in self._buckets:
            raise AccessDenied(
                "This bucket is mounted, and can only be unmounted."
                if f"/{name}" in self._mounts
                else "Something is mounted in this bucket; it cannot be deleted."
            )
        mount = self.resolve(name, "").mount
        if mount.read_only:
            raise StorageReadOnly()
        try:
            await mount.ufs.remove_folder(name)
        except NoSuchPath as e:
            raise NoSuchBucket(BucketName=name) from e
        except PathConflict as e:
            raise BucketNotEmpty(BucketName=name) from e
        finally:
            if self._folders is not None:
                self._folders.forget()
