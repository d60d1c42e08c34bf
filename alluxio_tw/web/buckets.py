"""
The operations of buckets and of the service.
"""

from __future__ import annotations

from alluxio_tw.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    IllegalLocationConstraint,
    InvalidLocationConstraint,
    NotImplementedYet,
)
from alluxio_tw.s3 import configurations, documents, listing, tags
from alluxio_tw.s3.names import check_bucket_name
from alluxio_tw.s3.unbuilt import refuse_unbuilt
from alluxio_tw.web.call import Call
from alluxio_tw.web.reply import Headers, Reply
from alluxio_tw.web.writing import XML


async def list_buckets(call: Call) -> Reply:
    """ListBuckets."""
    request = listing.parse_list_buckets(call.query)
    found = [
        bucket
        for bucket in await call.gateway.buckets.all()
        if bucket.name > request.after
        and bucket.name.startswith(request.prefix or "")
        and call.gateway.authorization.shows(call.user, bucket)
    ]
    page = found[: request.limit]
    more = len(found) > len(page)
    return Reply(
        200,
        XML,
        documents.list_buckets(
            call.owner,
            page,
            request,
            page[-1].name if more else None,
            call.gateway.rules.region,
        ),
    )


async def create_bucket(call: Call) -> Reply:
    """CreateBucket."""
    check_bucket_name(call.bucket)
    _refuse_headers(call)
    wanted = configurations.BucketConfiguration()
    data = await call.document(optional=True)
    if data:
        wanted = configurations.parse_bucket_configuration(data)
    region = call.gateway.rules.region
    location = wanted.location
    # Any region's name is taken for ours: clients are configured with what
    # they happen to have.  What is none at all is refused.
    if location and not location.replace("-", "").isalnum():
        raise InvalidLocationConstraint(LocationConstraint=location)
    if location and region != "us-east-1" and location != region:
        raise IllegalLocationConstraint(
            f"The {location} location constraint is incompatible for the region "
            "specific endpoint this request was sent to."
        )
    chosen = tags.check_tags(
        wanted.tags, tags.BUCKET_TAGS, call.gateway.rules.tagging_restricted
    )
    buckets = call.gateway.buckets
    try:
        await buckets.create(call.bucket, call.user)
    except BucketAlreadyOwnedByYou as error:
        if not call.gateway.authorization.owns(call.user, call.bucket):
            raise BucketAlreadyExists(BucketName=call.bucket) from error
        # S3's us-east-1 answers so for the owner, and clients that make sure
        # of their bucket first count on it.
        if region != "us-east-1":
            raise
    else:
        if chosen:
            await buckets.tag(call.bucket, chosen)
    return Reply(200, [(b"Location", f"/{call.bucket}".encode()), _arn(call)])


def _refuse_headers(call: Call) -> None:
    """
    Refuse what a new bucket cannot be.

    :raises NotImplementedYet: objects shall belong to others than the bucket.
    :raises AccessControlListNotSupported: others shall be let in.
    """
    refuse_unbuilt(call.headers)
    ownership = call.headers.get(b"x-amz-object-ownership", b"BucketOwnerEnforced")
    if ownership != b"BucketOwnerEnforced":
        raise NotImplementedYet(
            "A header you provided implies functionality that is not implemented",
            Header="x-amz-object-ownership",
        )


def _arn(call: Call) -> tuple[bytes, bytes]:
    return b"x-amz-bucket-arn", b"arn:aws:s3:::" + call.bucket.encode()


async def head_bucket(call: Call) -> Reply:
    """HeadBucket."""
    await call.gateway.buckets.get(call.bucket)
    headers: Headers = [
        _arn(call),
        (b"x-amz-bucket-region", call.gateway.rules.region.encode()),
        (b"x-amz-access-point-alias", b"false"),
        (b"Content-Type", b"application/xml"),
    ]
    return Reply(200, headers)


async def delete_bucket(call: Call) -> Reply:
    """DeleteBucket."""
    await call.gateway.buckets.delete(call.bucket)
    # Uploads in progress do not keep a bucket, and go with it.
    await call.gateway.uploads.abort_all(call.bucket)
    return Reply(204)


async def get_bucket_location(call: Call) -> Reply:
    """GetBucketLocation."""
    await call.gateway.buckets.get(call.bucket)
    region = call.gateway.rules.region
    return Reply(200, XML, documents.location_constraint(region))


async def get_bucket_tagging(call: Call) -> Reply:
    """GetBucketTagging."""
    return Reply(
        200, XML, documents.tagging(await call.gateway.buckets.tags(call.bucket))
    )


async def put_bucket_tagging(call: Call) -> Reply:
    """PutBucketTagging."""
    data = await call.document()
    await call.gateway.buckets.tag(
        call.bucket,
        tags.check_tags(
            configurations.parse_tagging(data),
            tags.BUCKET_TAGS,
            call.gateway.rules.tagging_restricted,
        ),
    )
    return Reply(204)


async def delete_bucket_tagging(call: Call) -> Reply:
    """DeleteBucketTagging."""
    await call.gateway.buckets.tag(call.bucket, {})
    return Reply(204)
