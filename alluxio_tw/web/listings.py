"""
ListObjects, ListObjectsV2 and ListObjectVersions.
"""

from __future__ import annotations

from alluxio_tw.s3 import documents, listing
from alluxio_tw.web.call import Call
from alluxio_tw.web.reply import Reply
from alluxio_tw.web.writing import XML


async def list_objects(call: Call) -> Reply:
    """ListObjects, the first version."""
    request = listing.parse_list_objects(call.query, v2=False)
    found = await call.gateway.objects.list(call.bucket, request)
    return Reply(
        200,
        XML,
        documents.list_objects(call.bucket, request, found, call.owner),
    )


async def list_objects_v2(call: Call) -> Reply:
    """ListObjectsV2."""
    request = listing.parse_list_objects(call.query, v2=True)
    found = await call.gateway.objects.list(call.bucket, request)
    return Reply(
        200,
        XML,
        documents.list_objects_v2(
            call.bucket, request, found, call.owner if request.fetch_owner else None
        ),
    )


async def list_object_versions(call: Call) -> Reply:
    """ListObjectVersions: one version of each, called C{null}."""
    request = listing.parse_list_versions(call.query)
    found = await call.gateway.objects.list(call.bucket, request)
    return Reply(
        200,
        XML,
        documents.list_versions(call.bucket, request, found, call.owner),
    )
