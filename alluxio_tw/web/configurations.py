"""
The operations on what a bucket or an object is configured to be: policy, CORS,
versioning, ACL; and GetObjectAttributes.
"""

from __future__ import annotations

import json
from typing import Any

from alluxio_tw.errors import (
    AccessControlListNotSupported,
    MalformedPolicy,
    MissingSecurityHeader,
    NoSuchBucketPolicy,
    NoSuchCORSConfiguration,
    NotImplementedYet,
    UnexpectedContent,
)
from alluxio_tw.s3 import configurations, documents
from alluxio_tw.s3.attributes import parse_object_attributes
from alluxio_tw.s3.dates import http_date
from alluxio_tw.s3.policydocuments import MAX_POLICY, parse_policy
from alluxio_tw.s3.unbuilt import refuse_unbuilt
from alluxio_tw.web.call import Call
from alluxio_tw.web.reading import check_version
from alluxio_tw.web.reply import Reply
from alluxio_tw.web.writing import XML

JSON = [(b"Content-Type", b"application/json")]


async def _kept(call: Call, name: str) -> Any:
    """What a bucket keeps under a name; L{None} if nothing."""
    buckets = call.gateway.buckets
    await buckets.get(call.bucket)
    return buckets.kept(call.bucket).get(name)


async def _keep(call: Call, name: str, value: str | None) -> None:
    def change(kept: dict[str, Any]) -> None:
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value

    await call.gateway.buckets.keep(call.bucket, change)


# --- policy ----------------------------------------------------------------------


async def get_bucket_policy(call: Call) -> Reply:
    """GetBucketPolicy: as it was put."""
    text = await _kept(call, "policy")
    if text is None:
        raise NoSuchBucketPolicy(BucketName=call.bucket)
    return Reply(200, JSON, text.encode("utf-8"))


async def put_bucket_policy(call: Call) -> Reply:
    """PutBucketPolicy."""
    await call.gateway.buckets.get(call.bucket)
    data = await call.document()
    parse_policy(data, call.bucket)
    text = data.decode("utf-8")
    if len(data) > MAX_POLICY:
        # Without its white space it is not.
        text = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    await _keep(call, "policy", text)
    return Reply(204)


async def delete_bucket_policy(call: Call) -> Reply:
    """DeleteBucketPolicy; that there is none is no error."""
    await _keep(call, "policy", None)
    return Reply(204)


async def get_bucket_policy_status(call: Call) -> Reply:
    """GetBucketPolicyStatus."""
    text = await _kept(call, "policy")
    if text is None:
        raise NoSuchBucketPolicy(BucketName=call.bucket)
    try:
        public = parse_policy(text.encode("utf-8"), call.bucket).is_public()
    except MalformedPolicy:
        # What cannot be read lets nobody in.
        public = False
    return Reply(200, XML, documents.policy_status(public))


# --- CORS ------------------------------------------------------------------------


async def get_bucket_cors(call: Call) -> Reply:
    """GetBucketCors."""
    text = await _kept(call, "cors")
    if text is None:
        raise NoSuchCORSConfiguration(BucketName=call.bucket)
    rules = configurations.parse_cors(text.encode("utf-8"))
    return Reply(200, XML, documents.cors(rules))


async def put_bucket_cors(call: Call) -> Reply:
    """PutBucketCors."""
    await call.gateway.buckets.get(call.bucket)
    data = await call.document(digest=True)
    rules = configurations.parse_cors(data)
    await _keep(call, "cors", documents.cors(rules).decode("utf-8"))
    return Reply(200)


async def delete_bucket_cors(call: Call) -> Reply:
    """DeleteBucketCors; that there is none is no error."""
    await _keep(call, "cors", None)
    return Reply(204)


# --- versioning --------------------------------------------------------------------


async def get_bucket_versioning(call: Call) -> Reply:
    """GetBucketVersioning: what was last put."""
    return Reply(200, XML, documents.versioning(await _kept(call, "versioning") or ""))


async def put_bucket_versioning(call: Call) -> Reply:
    """PutBucketVersioning: kept and answered; there is one version of an object."""
    await call.gateway.buckets.get(call.bucket)
    if b"x-amz-mfa" in call.headers:
        raise NotImplementedYet(Header="x-amz-mfa")
    status = configurations.parse_versioning(await call.document())
    await _keep(call, "versioning", status)
    return Reply(200)


# --- ACL -------------------------------------------------------------------------


async def get_bucket_acl(call: Call) -> Reply:
    """GetBucketAcl: the owner may do everything."""
    await call.gateway.buckets.get(call.bucket)
    return Reply(200, XML, documents.access_control(call.owner))


async def put_bucket_acl(call: Call) -> Reply:
    """PutBucketAcl: only one that gives nobody anything is taken."""
    await call.gateway.buckets.get(call.bucket)
    await _check_acl(call)
    return Reply(200)


async def get_object_acl(call: Call) -> Reply:
    """GetObjectAcl: the owner of the bucket may do everything."""
    check_version(call.query)
    await call.gateway.objects.status(call.bucket, call.key)
    return Reply(200, XML, documents.access_control(call.owner))


async def put_object_acl(call: Call) -> Reply:
    """PutObjectAcl: only one that gives nobody anything is taken."""
    check_version(call.query)
    await call.gateway.objects.status(call.bucket, call.key)
    await _check_acl(call)
    return Reply(200)


async def _check_acl(call: Call) -> None:
    """
    Is the ACL one that changes nothing?

    :raises AccessControlListNotSupported: it lets somebody in, or names another
        owner.
    """
    data = await call.document(optional=True)
    headers = call.headers
    named = b"x-amz-acl" in headers or any(
        name.startswith(b"x-amz-grant-") for name in headers
    )
    if named and data:
        raise UnexpectedContent()
    if named:
        refuse_unbuilt(headers)
        return
    if not data:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
    wanted = configurations.parse_access_control(data)
    owner = call.owner.id
    if wanted.owner not in ("", owner):
        raise AccessControlListNotSupported()
    for grant in wanted.grants:
        if (grant.grantee, grant.permission) != (owner, "FULL_CONTROL"):
            raise AccessControlListNotSupported()


# --- attributes --------------------------------------------------------------------


async def get_object_attributes(call: Call) -> Reply:
    """GetObjectAttributes."""
    check_version(call.query)
    await call.gateway.buckets.get(call.bucket)
    wanted, parts = parse_object_attributes(call.headers)
    status = await call.gateway.objects.status(call.bucket, call.key)
    return Reply(
        200,
        [*XML, (b"Last-Modified", http_date(status.modified))],
        documents.object_attributes(status, wanted, parts),
    )
