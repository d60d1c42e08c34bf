"""
What serves each operation: one table.

An operation that the routing table knows and this one does not answers C{501
NotImplemented}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from alluxio_tw.errors import NotImplementedYet
from alluxio_tw.web import (
    buckets,
    configurations,
    listings,
    multipart,
    posting,
    preflight,
    reading,
    writing,
)
from alluxio_tw.web.call import Call
from alluxio_tw.web.reply import Reply

Function = Callable[[Call], Coroutine[Any, Any, Reply | None]]
"""
Does an operation.  The reply is L{None} if it was already sent.
"""

OPERATIONS: Mapping[str, Function] = {
    # the service
    "ListBuckets": buckets.list_buckets,
    # buckets
    "CreateBucket": buckets.create_bucket,
    "HeadBucket": buckets.head_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketTagging": buckets.get_bucket_tagging,
    "PutBucketTagging": buckets.put_bucket_tagging,
    "DeleteBucketTagging": buckets.delete_bucket_tagging,
    "GetBucketPolicy": configurations.get_bucket_policy,
    "PutBucketPolicy": configurations.put_bucket_policy,
    "DeleteBucketPolicy": configurations.delete_bucket_policy,
    "GetBucketPolicyStatus": configurations.get_bucket_policy_status,
    "GetBucketCors": configurations.get_bucket_cors,
    "PutBucketCors": configurations.put_bucket_cors,
    "DeleteBucketCors": configurations.delete_bucket_cors,
    "GetBucketVersioning": configurations.get_bucket_versioning,
    "PutBucketVersioning": configurations.put_bucket_versioning,
    "GetBucketAcl": configurations.get_bucket_acl,
    "PutBucketAcl": configurations.put_bucket_acl,
    "Preflight": preflight.preflight,
    # listings
    "ListObjects": listings.list_objects,
    "ListObjectsV2": listings.list_objects_v2,
    "ListObjectVersions": listings.list_object_versions,
    # objects
    "GetObject": reading.get_object,
    "HeadObject": reading.get_object,
    "PutObject": writing.put_object,
    "CopyObject": writing.copy_object,
    "DeleteObject": writing.delete_object,
    "DeleteObjects": writing.delete_objects,
    "GetObjectTagging": writing.get_object_tagging,
    "PutObjectTagging": writing.put_object_tagging,
    "DeleteObjectTagging": writing.delete_object_tagging,
    "PostObject": posting.post_object,
    "GetObjectAcl": configurations.get_object_acl,
    "PutObjectAcl": configurations.put_object_acl,
    "GetObjectAttributes": configurations.get_object_attributes,
    # multipart uploads
    "CreateMultipartUpload": multipart.create_multipart_upload,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
    "CompleteMultipartUpload": multipart.complete_multipart_upload,
    "AbortMultipartUpload": multipart.abort_multipart_upload,
    "ListParts": multipart.list_parts,
    "ListMultipartUploads": multipart.list_multipart_uploads,
}


async def not_built(call: Call) -> Reply | None:
    """
    Every other operation.

    :raises NotImplementedYet: always.
    """
    raise NotImplementedYet()
