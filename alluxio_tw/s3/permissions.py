"""
What a requester must be permitted for each operation: one table.

The actions are those of S3's service authorization reference, the table is its
page "Required permissions for Amazon S3 API operations".  Every operation that
L{alluxio_tw.s3.routing} knows has its line, built or not, so that who may not ask
learns of nothing.  It is meant to be read, and tests walk through it whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from alluxio_tw.s3.path import Query


class On(Enum):
    """What a permission is needed on."""

    SERVICE = "the service"
    BUCKET = "the bucket"
    OBJECT = "the object"
    SOURCE = "the source of the copy"
    # Judged when the body has been read.
    EACH = "each object that the body names"
    FORM = "the object that the form names"


@attrs.frozen
class Need:
    """
    One permission.

    :ivar action: with its C{s3:}.
    :ivar versioned: the action instead if a version is named.
    :ivar headers: needed only if the request has one of these.
    """

    action: str
    on: On
    versioned: str = ""
    headers: frozenset[bytes] = frozenset()

    def action_of(self, query: Query) -> str:
        """The action, by whether this query names a version."""
        return (
            self.versioned if self.versioned and "versionId" in query else self.action
        )

    def applies(self, headers: Mapping[bytes, bytes]) -> bool:
        """Is it needed for a request with these headers?"""
        return not self.headers or not self.headers.isdisjoint(headers)


_TAGGING = frozenset((b"x-amz-tagging",))
_ACL = frozenset(
    (
        b"x-amz-acl",
        b"x-amz-grant-full-control",
        b"x-amz-grant-read",
        b"x-amz-grant-read-acp",
        b"x-amz-grant-write",
        b"x-amz-grant-write-acp",
    )
)


def _service(action: str) -> Need:
    return Need(f"s3:{action}", On.SERVICE)


def _bucket(action: str) -> Need:
    return Need(f"s3:{action}", On.BUCKET)


def _object(
    action: str, versioned: str = "", headers: frozenset[bytes] = frozenset()
) -> Need:
    return Need(
        f"s3:{action}", On.OBJECT, f"s3:{versioned}" if versioned else "", headers
    )


_SOURCE = Need("s3:GetObject", On.SOURCE, "s3:GetObjectVersion")
# What is stored with tags or an ACL needs the permission to set those as well.
_STORED = (
    _object("PutObject"),
    _object("PutObjectTagging", headers=_TAGGING),
    _object("PutObjectAcl", headers=_ACL),
)

# fmt: off
NEEDS: Mapping[str, tuple[Need, ...]] = {
    # the service
    "ListBuckets": (_service("ListAllMyBuckets"),),
    "ListDirectoryBuckets": (_service("ListAllMyBuckets"),),
    "WriteGetObjectResponse": (_service("WriteGetObjectResponse"),),
    # buckets
    "CreateBucket": (_service("CreateBucket"),),
    "HeadBucket": (_bucket("ListBucket"),),
    "DeleteBucket": (_bucket("DeleteBucket"),),
    "GetBucketLocation": (_bucket("GetBucketLocation"),),
    "CreateSession": (_bucket("CreateSession"),),
    "ListObjects": (_bucket("ListBucket"),),
    "ListObjectsV2": (_bucket("ListBucket"),),
    "ListObjectVersions": (_bucket("ListBucketVersions"),),
    "ListMultipartUploads": (_bucket("ListBucketMultipartUploads"),),
    "GetBucketAcl": (_bucket("GetBucketAcl"),),
    "PutBucketAcl": (_bucket("PutBucketAcl"),),
    "GetBucketCors": (_bucket("GetBucketCORS"),),
    "PutBucketCors": (_bucket("PutBucketCORS"),),
    "DeleteBucketCors": (_bucket("PutBucketCORS"),),
    "GetBucketPolicy": (_bucket("GetBucketPolicy"),),
    "PutBucketPolicy": (_bucket("PutBucketPolicy"),),
    "DeleteBucketPolicy": (_bucket("DeleteBucketPolicy"),),
    "GetBucketPolicyStatus": (_bucket("GetBucketPolicyStatus"),),
    "GetBucketTagging": (_bucket("GetBucketTagging"),),
    "PutBucketTagging": (_bucket("PutBucketTagging"),),
    "DeleteBucketTagging": (_bucket("PutBucketTagging"),),
    "GetBucketVersioning": (_bucket("GetBucketVersioning"),),
    "PutBucketVersioning": (_bucket("PutBucketVersioning"),),
    # a browser asks for nothing yet
    "Preflight": (),
    # objects
    "GetObject": (_object("GetObject", "GetObjectVersion"),),
    "HeadObject": (_object("GetObject", "GetObjectVersion"),),
    "GetObjectAttributes": (
        _object("GetObject", "GetObjectVersion"),
        _object("GetObjectAttributes", "GetObjectVersionAttributes"),
    ),
    "PutObject": _STORED,
    "PostObject": (Need("s3:PutObject", On.FORM),),
    "CopyObject": (*_STORED, _SOURCE),
    "DeleteObject": (_object("DeleteObject", "DeleteObjectVersion"),),
    "DeleteObjects": (Need("s3:DeleteObject", On.EACH, "s3:DeleteObjectVersion"),),
    "GetObjectAcl": (_object("GetObjectAcl", "GetObjectVersionAcl"),),
    "PutObjectAcl": (_object("PutObjectAcl", "PutObjectVersionAcl"),),
    "GetObjectTagging": (_object("GetObjectTagging", "GetObjectVersionTagging"),),
    "PutObjectTagging": (_object("PutObjectTagging", "PutObjectVersionTagging"),),
    "DeleteObjectTagging": (_object("DeleteObjectTagging", "DeleteObjectVersionTagging"),),
    # multipart uploads
    "CreateMultipartUpload": _STORED,
    "UploadPart": (_object("PutObject"),),
    "UploadPartCopy": (_object("PutObject"), _SOURCE),
    "CompleteMultipartUpload": (_object("PutObject"),),
    "AbortMultipartUpload": (_object("AbortMultipartUpload"),),
    "ListParts": (_object("ListMultipartUploadParts"),),
    # not built: objects
    "GetObjectAnnotation": (_object("GetObjectAnnotation"),),
    "ListObjectAnnotations": (_object("ListObjectAnnotations"),),
    "PutObjectAnnotation": (_object("PutObjectAnnotation"),),
    "DeleteObjectAnnotation": (_object("DeleteObjectAnnotation"),),
    "GetObjectLegalHold": (_object("GetObjectLegalHold"),),
    "PutObjectLegalHold": (_object("PutObjectLegalHold"),),
    "GetObjectRetention": (_object("GetObjectRetention"),),
    "PutObjectRetention": (_object("PutObjectRetention"),),
    "GetObjectTorrent": (_object("GetObject", "GetObjectVersion"),),
    "RenameObject": (_object("PutObject"),),
    "RestoreObject": (_object("RestoreObject"),),
    "SelectObjectContent": (_object("GetObject"),),
    "UpdateObjectEncryption": (_object("UpdateObjectEncryption"),),
    # not built: buckets
    "GetBucketAbac": (_bucket("GetBucketAbac"),),
    "PutBucketAbac": (_bucket("PutBucketAbac"),),
    "GetBucketAccelerateConfiguration": (_bucket("GetAccelerateConfiguration"),),
    "PutBucketAccelerateConfiguration": (_bucket("PutAccelerateConfiguration"),),
    "GetBucketAnalyticsConfiguration": (_bucket("GetAnalyticsConfiguration"),),
    "ListBucketAnalyticsConfigurations": (_bucket("GetAnalyticsConfiguration"),),
    "PutBucketAnalyticsConfiguration": (_bucket("PutAnalyticsConfiguration"),),
    "DeleteBucketAnalyticsConfiguration": (_bucket("PutAnalyticsConfiguration"),),
    "GetBucketEncryption": (_bucket("GetEncryptionConfiguration"),),
    "PutBucketEncryption": (_bucket("PutEncryptionConfiguration"),),
    "DeleteBucketEncryption": (_bucket("PutEncryptionConfiguration"),),
    "GetBucketIntelligentTieringConfiguration": (_bucket("GetIntelligentTieringConfiguration"),),
    "ListBucketIntelligentTieringConfigurations": (_bucket("GetIntelligentTieringConfiguration"),),
    "PutBucketIntelligentTieringConfiguration": (_bucket("PutIntelligentTieringConfiguration"),),
    "DeleteBucketIntelligentTieringConfiguration": (_bucket("PutIntelligentTieringConfiguration"),),
    "GetBucketInventoryConfiguration": (_bucket("GetInventoryConfiguration"),),
    "ListBucketInventoryConfigurations": (_bucket("GetInventoryConfiguration"),),
    "PutBucketInventoryConfiguration": (_bucket("PutInventoryConfiguration"),),
    "DeleteBucketInventoryConfiguration": (_bucket("PutInventoryConfiguration"),),
    "GetBucketLifecycleConfiguration": (_bucket("GetLifecycleConfiguration"),),
    "PutBucketLifecycleConfiguration": (_bucket("PutLifecycleConfiguration"),),
    "DeleteBucketLifecycle": (_bucket("PutLifecycleConfiguration"),),
    "GetBucketLogging": (_bucket("GetBucketLogging"),),
    "PutBucketLogging": (_bucket("PutBucketLogging"),),
    "CreateBucketMetadataConfiguration": (_bucket("CreateBucketMetadataTableConfiguration"),),
    "GetBucketMetadataConfiguration": (_bucket("GetBucketMetadataTableConfiguration"),),
    "DeleteBucketMetadataConfiguration": (_bucket("DeleteBucketMetadataTableConfiguration"),),
    "CreateBucketMetadataTableConfiguration": (_bucket("CreateBucketMetadataTableConfiguration"),),
    "GetBucketMetadataTableConfiguration": (_bucket("GetBucketMetadataTableConfiguration"),),
    "DeleteBucketMetadataTableConfiguration": (_bucket("DeleteBucketMetadataTableConfiguration"),),
    "UpdateBucketMetadataAnnotationTableConfiguration": (_bucket("UpdateBucketMetadataAnnotationTableConfiguration"),),
    "UpdateBucketMetadataInventoryTableConfiguration": (_bucket("UpdateBucketMetadataInventoryTableConfiguration"),),
    "UpdateBucketMetadataJournalTableConfiguration": (_bucket("UpdateBucketMetadataJournalTableConfiguration"),),
    "GetBucketMetricsConfiguration": (_bucket("GetMetricsConfiguration"),),
    "ListBucketMetricsConfigurations": (_bucket("GetMetricsConfiguration"),),
    "PutBucketMetricsConfiguration": (_bucket("PutMetricsConfiguration"),),
    "DeleteBucketMetricsConfiguration": (_bucket("PutMetricsConfiguration"),),
    "GetBucketNotificationConfiguration": (_bucket("GetBucketNotification"),),
    "PutBucketNotificationConfiguration": (_bucket("PutBucketNotification"),),
    "GetObjectLockConfiguration": (_bucket("GetBucketObjectLockConfiguration"),),
    "PutObjectLockConfiguration": (_bucket("PutBucketObjectLockConfiguration"),),
    "GetBucketOwnershipControls": (_bucket("GetBucketOwnershipControls"),),
    "PutBucketOwnershipControls": (_bucket("PutBucketOwnershipControls"),),
    "DeleteBucketOwnershipControls": (_bucket("PutBucketOwnershipControls"),),
    "GetPublicAccessBlock": (_bucket("GetBucketPublicAccessBlock"),),
    "PutPublicAccessBlock": (_bucket("PutBucketPublicAccessBlock"),),
    "DeletePublicAccessBlock": (_bucket("PutBucketPublicAccessBlock"),),
    "GetBucketReplication": (_bucket("GetReplicationConfiguration"),),
    "PutBucketReplication": (_bucket("PutReplicationConfiguration"),),
    "DeleteBucketReplication": (_bucket("PutReplicationConfiguration"),),
    "GetBucketRequestPayment": (_bucket("GetBucketRequestPayment"),),
    "PutBucketRequestPayment": (_bucket("PutBucketRequestPayment"),),
    "GetBucketWebsite": (_bucket("GetBucketWebsite"),),
    "PutBucketWebsite": (_bucket("PutBucketWebsite"),),
    "DeleteBucketWebsite": (_bucket("DeleteBucketWebsite"),),
}
# fmt: on
"""What each operation needs, all of it."""


def _actions(*kinds: On) -> frozenset[str]:
    return frozenset(
        action
        for needs in NEEDS.values()
        for need in needs
        if need.on in kinds
        for action in (need.action, need.versioned)
        if action
    )


OBJECT_ACTIONS = _actions(On.OBJECT, On.SOURCE, On.EACH, On.FORM) | {
    f"s3:{name}"
    for name in (
        "BypassGovernanceRetention",
        "GetObjectTorrent",
        "GetObjectVersionForReplication",
        "GetObjectVersionTorrent",
        "InitiateReplication",
        "ObjectOwnerOverrideToBucketOwner",
        "ReplicateDelete",
        "ReplicateObject",
        "ReplicateTags",
    )
}
"""Actions on C{arn:aws:s3:::bucket/key}: ours, and what S3 has besides."""

BUCKET_ACTIONS = _actions(On.BUCKET) | {"s3:CreateBucket"}
"""Actions on C{arn:aws:s3:::bucket}."""

ACTIONS = OBJECT_ACTIONS | BUCKET_ACTIONS | _actions(On.SERVICE)
"""Every action that a policy may name."""

POLICY_ACTIONS = frozenset(
    ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")
)
"""The owner of a bucket keeps these, whatever its policy denies: there must be a way back."""

READING = frozenset(
    (
        "s3:GetBucketLocation",
        "s3:GetBucketVersioning",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:ListBucket",
        "s3:ListBucketVersions",
    )
)
"""What is meant by letting somebody read a bucket."""

WRITING = frozenset(
    (
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersion",
        "s3:DeleteObjectVersionTagging",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionTagging",
    )
)
"""What is meant by letting somebody write to one."""

HIDES_ABSENCE = frozenset(
    (
        "GetObject",
        "HeadObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectTagging",
        "CopyObject",
        "UploadPartCopy",
    )
)
"""
Operations that tell that there is no such key only to who may list the bucket;
to others it is C{AccessDenied} (S3 API reference, GetObject, "Permissions").
"""

OWN = frozenset(
    name
    for name, needs in NEEDS.items()
    if needs and all(need.on in (On.BUCKET, On.OBJECT) for need in needs)
)
"""Operations that concern one bucket and nothing else."""

VERSIONED = frozenset(
    name
    for name, needs in NEEDS.items()
    if any(need.versioned and need.on is On.OBJECT for need in needs)
)
"""Operations that may name a version of their object."""
