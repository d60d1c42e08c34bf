"""
PutObject, CopyObject, DeleteObject and DeleteObjects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

import attrs

from alluxio_tw.errors import (
    GatewayError,
    InvalidArgument,
    InvalidRequest,
    NoSuchKey,
    NotImplementedYet,
    ObjectChanged,
    PreconditionFailed,
)
from alluxio_tw.gateway.demands import check_demand
from alluxio_tw.iobjects import NO_DEMAND, Attributes, Demand, IReading, Status
from alluxio_tw.s3 import batches, checksums, configurations, documents, metadata, tags
from alluxio_tw.s3.conditions import Conditions, write_demand
from alluxio_tw.s3.dates import iso8601, parse_http_date
from alluxio_tw.s3.faults import fault_of
from alluxio_tw.s3.path import ObjectPath, parse_copy_source
from alluxio_tw.s3.permissions import NEEDS
from alluxio_tw.web.call import Call
from alluxio_tw.web.incoming import incoming, stored_attributes
from alluxio_tw.web.reading import check_version
from alluxio_tw.web.reply import Headers, Reply

XML = [(b"Content-Type", b"application/xml")]

IF_SIZE = b"x-amz-if-match-size"
IF_MODIFIED = b"x-amz-if-match-last-modified-time"
"""Terms of a deletion beside C{If-Match}."""

SELF_COPY = (
    "This copy request is illegal because it is trying to copy an object to itself "
    "without changing the object's metadata, storage class, website redirect location "
    "or encryption attributes."
)


async def put_object(call: Call) -> Reply:
    """PutObject."""
    demand = write_demand(call.headers)
    coming = incoming(call, stored_attributes(call))
    status = await call.gateway.objects.put(call.bucket, call.key, coming, demand)
    return Reply(200, [*_etag(status), *checksum_headers(status)])


_OWN = frozenset(("x-amz-storage-class", "x-amz-website-redirect-location"))


def _copied(kept: Attributes, given: Attributes) -> dict[str, str]:
    """The headers of a copy: these are each object's own, and never copied."""
    headers = {name: value for name, value in kept.headers.items() if name not in _OWN}
    headers |= {name: given.headers[name] for name in _OWN if name in given.headers}
    return headers


Copying = Callable[[Call], Awaitable[Reply]]


def of_one_version(function: Copying) -> Callable[[Call], Coroutine[Any, Any, Reply]]:
    """
    A copy that is begun once more if its source is found to be another than was
    said of it: that is forgotten by then, and nothing was made.
    """

    @wraps(function)
    async def copying(call: Call) -> Reply:
        try:
            return await function(call)
        except ObjectChanged:
            return await function(call)

    return copying


@of_one_version
async def copy_object(call: Call) -> Reply:
    """CopyObject."""
    headers = call.headers
    demand = write_demand(headers)
    source = copy_source(call)
    replace = metadata.replaces(headers, "metadata")
    replace_tags = metadata.replaces(headers, "tagging")
    given = stored_attributes(call)
    algorithm = headers.get(b"x-amz-checksum-algorithm", b"").decode("latin-1").lower()
    if algorithm and algorithm not in checksums.ALGORITHMS:
        raise InvalidRequest(checksums.UNSUPPORTED)
    to_itself = (source.bucket, source.key) == (call.bucket, call.key)
    if to_itself and not (
        replace
        or replace_tags
        or algorithm
        or b"x-amz-storage-class" in headers
        or b"x-amz-website-redirect-location" in headers
    ):
        raise InvalidRequest(SELF_COPY)
    objects = call.gateway.objects
    await objects.mounts.bucket(call.bucket)
    reading = await open_source(call, source)
    try:
        kept = reading.status.attributes
        if kept.tags and not replace_tags:
            await _permit_tags(call, source)
        wanted = Attributes(
            headers=given.headers if replace else _copied(kept, given),
            user=given.user if replace else kept.user,
            tags=given.tags if replace_tags else kept.tags,
            # Those of a multipart object are of its parts, which a copy has not.
            checksums={} if kept.checksum_type == "COMPOSITE" else kept.checksums,
            checksum_type=""
            if kept.checksum_type == "COMPOSITE"
            else kept.checksum_type,
        )
        again = algorithm or (
            next(iter(kept.checksums), "") if kept.checksum_type == "COMPOSITE" else ""
        )
        digests = None
        if again and again not in wanted.checksums:
            digests = checksums.Digests(checksums.Promises(), also=(again,))
        status = await objects.copy(
            (source.bucket, source.key),
            reading,
            (call.bucket, call.key),
            wanted,
            digests,
            demand,
        )
    finally:
        reading.close()
    return Reply(
        200,
        XML,
        documents.copy_object(
            status.etag,
            status.modified,
            status.attributes.checksums,
            status.attributes.checksum_type,
        ),
    )


async def _permit_tags(call: Call, source: ObjectPath) -> None:
    """
    Who copies tags reads and sets them.

    :raises AccessDenied: and may not.
    """
    require = call.gateway.authorization.require
    action = "s3:GetObjectVersionTagging" if source.query else "s3:GetObjectTagging"
    await require(call, action, source.bucket, source.key)
    await require(call, "s3:PutObjectTagging", call.bucket, call.key)


def copy_source(call: Call) -> ObjectPath:
    """
    What is to be copied.

    :raises InvalidArgument: the header does not say.
    """
    source = parse_copy_source(call.headers[b"x-amz-copy-source"])
    check_version(source.query)
    return source


async def open_source(call: Call, source: ObjectPath) -> IReading:
    """
    The source of a copy, if it is as the client demands; a lease.

    :raises PreconditionFailed: it is not.
    """
    reading = await call.gateway.objects.open(source.bucket, source.key)
    conditions = Conditions.of_copy_source(call.headers)
    if conditions is not None:
        try:
            conditions.evaluate(
                reading.status.etag, reading.status.modified // 1_000_000_000
            )
        except GatewayError:
            reading.close()
            raise
    return reading


async def delete_object(call: Call) -> Reply:
    """DeleteObject."""
    check_version(call.query)
    demand = _delete_demand(call)
    size = call.headers.get(IF_SIZE)
    modified = call.headers.get(IF_MODIFIED)
    if size is not None or modified is not None:
        wanted = batches.Deletion(
            call.key,
            size=None if size is None else _size(size),
            modified=None if modified is None else modified.decode("latin-1"),
        )
        try:
            demand = await _check_deletion(call, wanted, demand)
        except NoSuchKey:
            # Unlike an ETag's, these terms hold of what is not there.
            if demand is NO_DEMAND:
                return Reply(204)
            raise
    await call.gateway.objects.delete(call.bucket, call.key, demand)
    return Reply(204)


def _size(value: bytes) -> int:
    if not (value.isdigit() and len(value) <= 20):
        raise InvalidArgument(
            ArgumentName=IF_SIZE.decode(), ArgumentValue=value.decode("latin-1")
        )
    return int(value)


def _delete_demand(call: Call) -> Demand:
    headers = call.headers
    if IF_SIZE in headers or IF_MODIFIED in headers:
        headers = {
            name: value
            for name, value in headers.items()
            if name not in (IF_SIZE, IF_MODIFIED)
        }
    demand = write_demand(headers)
    if demand.absent:
        raise NotImplementedYet(
            "A header you provided implies functionality that is not implemented",
            Header="If-None-Match",
        )
    return demand


async def delete_objects(call: Call) -> Reply:
    """DeleteObjects: each key for itself, each told truly."""
    wanted = batches.parse_delete(await call.document(digest=True))
    objects = call.gateway.objects
    await objects.mounts.bucket(call.bucket)
    authorization = call.gateway.authorization
    free = authorization.free(call.request, call.bucket)
    deleted: list[tuple[str, str | None]] = []
    failed: list[tuple[str, str | None, BaseException]] = []
    for each in wanted.objects:
        named = each.key, each.version
        try:
            if not free:
                need = NEEDS[call.operation.name][0]
                action = need.versioned if each.version else need.action
                await authorization.require(call, action, call.bucket, each.key)
            if each.version in (None, "", "null"):
                demand = Demand(match=(each.etag,)) if each.etag else NO_DEMAND
                if each.size is not None or each.modified is not None:
                    demand = await _check_deletion(call, each, demand)
                await objects.delete(call.bucket, each.key, demand)
            # Another version cannot be there, and deleting what is not there
            # succeeds.
            deleted.append(named)
        except NoSuchKey:
            deleted.append(named)
        except Exception as error:
            if fault_of(error).status >= 500:
                call.request.connection.site.log_failure(error)
            failed.append((*named, error))
    return Reply(200, XML, documents.delete_objects(deleted, failed, wanted.quiet))


async def _check_deletion(
    call: Call, wanted: batches.Deletion, demand: Demand
) -> Demand:
    """
    Is what is there as large and as old as it shall be?

    :result: that it shall still be that, when it is deleted.
    :raises PreconditionFailed: it is not.
    :raises NoSuchKey: nothing is there.
    """
    status = await call.gateway.objects.status(call.bucket, wanted.key)
    check_demand(demand, status)
    if wanted.size is not None and wanted.size != status.size:
        raise PreconditionFailed(Condition="Size")
    if wanted.modified is not None:
        seconds = parse_http_date(wanted.modified)
        same = (
            seconds == status.modified // 1_000_000_000
            if seconds is not None
            else iso8601(status.modified)[:19] == wanted.modified[:19]
        )
        if not same:
            raise PreconditionFailed(Condition="LastModifiedTime")
    return Demand(match=(status.etag,))


def _etag(status: Status) -> Headers:
    return [(b"ETag", b'"%b"' % status.etag.encode())]


def checksum_headers(status: Status) -> Headers:
    """The checksums that are kept of a version, as headers."""
    attributes = status.attributes
    lines: Headers = [
        (b"x-amz-checksum-" + name.encode(), value.encode())
        for name, value in attributes.checksums.items()
    ]
    if lines:
        lines.append((b"x-amz-checksum-type", attributes.checksum_type.encode()))
    return lines


# --- tags of objects -------------------------------------------------------------


async def get_object_tagging(call: Call) -> Reply:
    """GetObjectTagging."""
    check_version(call.query)
    status = await call.gateway.objects.status(call.bucket, call.key)
    return Reply(200, XML, documents.tagging(status.attributes.tags))


async def put_object_tagging(call: Call) -> Reply:
    """PutObjectTagging."""
    check_version(call.query)
    data = await call.document()
    wanted = tags.check_tags(
        configurations.parse_tagging(data),
        tags.OBJECT_TAGS,
        call.gateway.rules.tagging_restricted,
    )
    await call.gateway.authorization.permit_tagging(call, wanted)
    await _tag(call, wanted)
    return Reply(200)


async def delete_object_tagging(call: Call) -> Reply:
    """DeleteObjectTagging."""
    check_version(call.query)
    await _tag(call, {})
    return Reply(204)


async def _tag(call: Call, wanted: dict[str, str]) -> None:
    objects = call.gateway.objects
    status = await objects.status(call.bucket, call.key)
    await objects.describe(
        call.bucket, call.key, attrs.evolve(status.attributes, tags=wanted)
    )
