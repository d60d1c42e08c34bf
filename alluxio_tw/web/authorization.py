"""
Who may do what.

What decides, in this order: the bucket's policy, where it denies or allows; that
everybody may do everything, under SIMPLE authentication, where names prove
nothing; the bucket's owner and the administrators, who may do everything; for
buckets that nobody created over S3, what the configuration grants.  Else it is
C{AccessDenied}.

A request is judged before anything is looked up for it, so that who may not ask
learns nothing; only that a bucket is not there is told to everybody, as S3 tells
it.  Most requests are for a bucket that has no policy, by who owns it, and for
those all of this is L{Authorization.free}: one lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from alluxio_tw.errors import AccessDenied, MethodNotAllowed, NoSuchKey
from alluxio_tw.gateway.buckets import Buckets, Standing
from alluxio_tw.iobjects import Bucket
from alluxio_tw.s3.circumstances import Circumstances
from alluxio_tw.s3.path import ObjectPath, Query, Root, parse_copy_source
from alluxio_tw.s3.permissions import (
    HIDES_ABSENCE,
    NEEDS,
    POLICY_ACTIONS,
    READING,
    WRITING,
    Need,
    On,
)
from alluxio_tw.s3.policy import Effect
from alluxio_tw.web.request import Request

if TYPE_CHECKING:
    from alluxio_tw.gateway.objects import Objects
    from alluxio_tw.web.call import Call
    from alluxio_tw.web.operations import Function
    from alluxio_tw.web.reply import Reply

OWNER = b"x-amz-expected-bucket-owner"
SOURCE_OWNER = b"x-amz-source-expected-bucket-owner"

ACCESS = ("owner", "authenticated-read", "authenticated", "public-read")
"""Who may use buckets that nobody created over S3; each but the first lets in more."""

_READ = NEEDS["GetObject"][0].action


@attrs.define(eq=False)
class Authorization:
    """
    Judges requests.

    :ivar proved: who asks has proved it; otherwise names prove nothing.
    :ivar administrators: users who may do what the owner of a bucket may.
    :ivar access: one of L{ACCESS}.
    :ivar clock: seconds since the epoch.
    """

    buckets: Buckets
    _clock: Callable[[], float]
    proved: bool = False
    administrators: frozenset[str] = frozenset()
    access: str = "authenticated"
    _standings: Mapping[str, Standing] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Nobody in particular has no name, and must own nothing.
        assert self.buckets.owner or not self.proved
        self._standings = self.buckets.standings

    # --- at once -------------------------------------------------------------------

    def free(self, request: Request, bucket: str) -> bool:
        """
        May the request do whatever it likes with the bucket, and has the bucket
        nothing to say of it?  L{False} is no answer.
        """
        standing = self._standings.get(bucket)
        return (
            standing is not None
            and standing.plain
            and (not self.proved or standing.owner == request.user)
            and OWNER not in request.headers
        )

    def reads(self, request: Request, target: ObjectPath) -> bool:
        """
        May the object be read, as can be said at once?  L{False} is no answer.
        """
        standing = self.buckets.standing(target.bucket)
        if OWNER in request.headers:
            return False
        if standing.policy is None:
            return self._by_identity(request.user, _READ, standing)
        if standing.policy.needs_tags:
            return False
        values = self.circumstances(request, target.query, standing)
        return self.allows(request.user, _READ, target.bucket, target.key, values)

    def allows(
        self,
        user: str,
        action: str,
        bucket: str,
        key: str,
        values: Circumstances,
    ) -> bool:
        """
        May a user do this?

        :param user: empty for who is nobody in particular.
        :param action: with its C{s3:}.
        :param key: empty for what is done to the bucket.
        """
        standing = self.buckets.standing(bucket)
        if standing.policy is not None:
            resource = f"{bucket}/{key}" if key else bucket
            effect = standing.policy.judge(user, action, resource, values)
            if effect is Effect.DENY:
                return action in POLICY_ACTIONS and self._owns(user, standing)
            if effect is Effect.ALLOW:
                return True
        return self._by_identity(user, action, standing)

    def _owns(self, user: str, standing: Standing) -> bool:
        return bool(user) and (user == standing.owner or user in self.administrators)

    def _by_identity(self, user: str, action: str, standing: Standing) -> bool:
        """What may be done where the policy has no opinion."""
        if self._owns(user, standing):
            return True
        if standing.broken:
            return False
        return not self.proved or (
            not standing.recorded and self._granted(user, action)
        )

    def _granted(self, user: str, action: str) -> bool:
        """What the configuration grants of buckets that nobody created."""
        access = self.access
        if action in READING:
            return access == "public-read" or (bool(user) and access != "owner")
        return (
            action in WRITING
            and bool(user)
            and access in ("authenticated", "public-read")
        )

    def owns(self, user: str, bucket: str) -> bool:
        """Is a bucket, be it there or not, the user's own, or as good as that?"""
        standing = self.buckets.standing(bucket)
        return user == standing.owner or (
            not standing.recorded
            and (not self.proved or self._granted(user, "s3:PutObject"))
        )

    def shows(self, user: str, bucket: Bucket) -> bool:
        """Is a bucket listed among those of a user?"""
        if not self.proved or user in self.administrators:
            return True
        standing = self.buckets.standing(bucket.name)
        return user == standing.owner or (
            not standing.recorded and self._granted(user, "s3:ListBucket")
        )

    def circumstances(
        self, request: Request, query: Query, standing: Standing
    ) -> Circumstances:
        """What a request says of itself."""
        connection = request.connection
        return Circumstances(
            request.user,
            request.headers,
            query,
            connection.peer,
            connection.secure,
            self._clock(),
            standing.owner,
        )

    # --- when it takes a look --------------------------------------------------------

    def guard(self, function: Function) -> Function:
        """
        An operation that is done only if all that it needs is permitted.
        """

        async def guarded(call: Call) -> Reply | None:
            return await self._perform(call, function)

        return guarded

    async def _perform(self, call: Call, function: Function) -> Reply | None:
        for need in NEEDS[call.operation.name]:
            if need.applies(call.headers):
                await self._require(call, need)
        try:
            return await function(call)
        except NoSuchKey as error:
            if call.operation.name in HIDES_ABSENCE:
                await self._hide(call, error)
            raise

    async def _require(self, call: Call, need: Need) -> None:
        target = call.target
        if isinstance(target, Root) or need.on is On.SERVICE:
            if self.proved and not call.user:
                raise AccessDenied()
            return
        if need.on is On.EACH:
            # One by one, and told one by one; there must be a bucket.
            await self.check_owner(call, OWNER, target.bucket)
            await self.buckets.get(target.bucket)
            return
        if need.on is On.FORM:
            return
        if need.on is On.SOURCE:
            source = parse_copy_source(call.headers[b"x-amz-copy-source"])
            await self.check_owner(call, SOURCE_OWNER, source.bucket)
            action = need.action_of(source.query)
            await self.require(call, action, source.bucket, source.key)
            return
        await self.check_owner(call, OWNER, target.bucket)
        key = (
            target.key
            if need.on is On.OBJECT and isinstance(target, ObjectPath)
            else ""
        )
        if call.operation.name == "PutObjectTagging" and self._asks_new_tags(call):
            # The body says which; see permit_tagging.
            await self.buckets.get(target.bucket)
            return
        action = need.action_of(target.query)
        await self.require(call, action, target.bucket, key)
        if action in POLICY_ACTIONS and not self._manages(call.user, target.bucket):
            # Who is let in by the policy does not thereby rule over it.
            raise MethodNotAllowed()

    def _manages(self, user: str, bucket: str) -> bool:
        return (
            not self.proved
            or user in self.administrators
            or user == self.buckets.standing(bucket).owner
        )

    async def require(
        self,
        call: Call,
        action: str,
        bucket: str,
        key: str = "",
        values: Circumstances | None = None,
    ) -> None:
        """
        Demand a permission.

        :param values: what the request says of itself, where its headers are not
            all of it.
        :raises AccessDenied: it is not given.
        :raises NoSuchBucket: nor is there such a bucket.
        """
        if not await self.permits(call, action, bucket, key, values):
            await self.buckets.get(bucket)
            raise AccessDenied()

    async def permits(
        self,
        call: Call,
        action: str,
        bucket: str,
        key: str = "",
        values: Circumstances | None = None,
    ) -> bool:
        """Is a permission given?"""
        standing = self.buckets.standing(bucket)
        if values is None:
            values = self.circumstances(call.request, call.query, standing)
        if key and standing.policy is not None and standing.policy.needs_tags:
            values.tags = await _tags(call.gateway.objects, bucket, key)
        return self.allows(call.user, action, bucket, key, values)

    async def permit_tagging(self, call: Call, wanted: Mapping[str, str]) -> None:
        """
        Where the policy asks which tags an object shall be given, and the body
        says it, it is judged now that they are known.

        :raises AccessDenied: the policy is against these.
        """
        if not self._asks_new_tags(call):
            return
        standing = self.buckets.standing(call.bucket)
        values = self.circumstances(call.request, call.query, standing)
        values.new_tags = wanted
        for need in NEEDS[call.operation.name]:
            action = need.action_of(call.query)
            await self.require(call, action, call.bucket, call.key, values)

    def _asks_new_tags(self, call: Call) -> bool:
        policy = self.buckets.standing(call.bucket).policy
        return policy is not None and policy.needs_new_tags

    async def check_owner(self, call: Call, header: bytes, bucket: str) -> None:
        """
        Is the bucket whose the client expects it to be?

        :raises AccessDenied: it is not.
        :raises NoSuchBucket: there is no such bucket.
        """
        expected = call.headers.get(header)
        if expected is None:
            return
        owner = self.buckets.standing(bucket).owner
        if expected.decode("utf-8", "replace") != owner:
            await self.buckets.get(bucket)
            raise AccessDenied()

    async def _hide(self, call: Call, error: NoSuchKey) -> None:
        """That there is no such key is for those to know who may list."""
        buckets = [call.bucket]
        if NEEDS[call.operation.name][-1].on is On.SOURCE:
            buckets = [parse_copy_source(call.headers[b"x-amz-copy-source"]).bucket]
        for bucket in buckets:
            if not await self.permits(call, "s3:ListBucket", bucket):
                raise AccessDenied() from error


async def _tags(objects: Objects, bucket: str, key: str) -> Mapping[str, str]:
    try:
        status = await objects.status(bucket, key)
    except NoSuchKey:
        return {}
    tags: Mapping[str, str] = status.attributes.tags
    return tags
