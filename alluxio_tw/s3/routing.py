"""
Which operation a request is: one table.

Every operation of the S3 API reference is in it, built or not, so that a
request for what we lack gets C{NotImplemented} and nothing is touched.

The theory.  A method and a kind of path select a plain operation; a
I{subresource}, a query parameter such as C{acl}, selects another one instead.
Names are matched by case, values do not matter, and parameters that name no
subresource are ignored, as S3 ignores them (SDKs add C{x-id=GetObject}).  Two
subresources at once are refused.  A subresource never falls back to the plain
operation under a method it does not have: C{DELETE /bucket?acl} must not
delete the bucket.

Beyond 400 lines because the table is: it is meant to be read.
"""

from __future__ import annotations

import attrs

from alluxio_tw.errors import InvalidArgument, InvalidRequest, MethodNotAllowed
from alluxio_tw.s3.path import BucketPath, Kind, ObjectPath, Query, Root, Target


@attrs.frozen
class Operation:
    """
    Something S3 can be asked to do.

    :ivar name: as the S3 API reference calls it.
    :ivar kind: what it is done to.
    :ivar writes: it may change something.
    :ivar body: it takes a body; of others, a body is not read.
    :ivar log_name: as S3's server access log calls it: C{REST.GET.OBJECT}.
    """

    name: str
    kind: Kind
    writes: bool
    body: bool
    log_name: str


# Subresources, and what error documents and access logs call them.
_SUBRESOURCES = {
    Kind.BUCKET: {
        "abac": "ABAC",
        "accelerate": "ACCELERATE",
        "acl": "ACL",
        "analytics": "ANALYTICS",
        "cors": "CORS",
        "delete": "MULTI_OBJECT_DELETE",
        "encryption": "ENCRYPTION",
        "intelligent-tiering": "INTELLIGENT_TIERING",
        "inventory": "INVENTORY",
        "lifecycle": "LIFECYCLE",
        "location": "LOCATION",
        "logging": "LOGGING_STATUS",
        "metadataAnnotationTable": "METADATA_ANNOTATION_TABLE",
        "metadataConfiguration": "METADATA_CONFIGURATION",
        "metadataInventoryTable": "METADATA_INVENTORY_TABLE",
        "metadataJournalTable": "METADATA_JOURNAL_TABLE",
        "metadataTable": "METADATA_TABLE",
        "metrics": "METRICS",
        "notification": "NOTIFICATION",
        "object-lock": "OBJECT_LOCK_CONFIGURATION",
        "ownershipControls": "OWNERSHIP_CONTROLS",
        "policy": "BUCKETPOLICY",
        "policyStatus": "POLICY_STATUS",
        "publicAccessBlock": "PUBLIC_ACCESS_BLOCK",
        "replication": "REPLICATION",
        "requestPayment": "REQUEST_PAYMENT",
        "session": "SESSION",
        "tagging": "TAGGING",
        "uploads": "UPLOADS",
        "versioning": "VERSIONING",
        "versions": "BUCKETVERSIONS",
        "website": "WEBSITE",
    },
    Kind.OBJECT: {
        "acl": "ACL",
        "annotation": "OBJECT_ANNOTATION",
        "attributes": "OBJECT_ATTRIBUTES",
        "encryption": "OBJECT_ENCRYPTION",
        "legal-hold": "LEGAL_HOLD",
        "renameObject": "RENAME",
        "restore": "RESTORE",
        "retention": "RETENTION",
        "select": "SELECT",
        "tagging": "OBJECT_TAGGING",
        "torrent": "TORRENT",
        "uploadId": "UPLOAD",
        "uploads": "UPLOADS",
    },
    Kind.SERVICE: {},
}

# A column of flags: does it write, does it take a body.
_READ, _READ_BODY = (False, False), (False, True)
_WRITE, _WRITE_BODY = (True, False), (True, True)

# Method, subresource, when, operation, flags.  When: "+name" with this
# parameter, "copy" with x-amz-copy-source, nothing always.  Of the lines with
# one method, kind and subresource, the first that holds counts.
# fmt: off
_TABLE: tuple[
    tuple[Kind, tuple[tuple[str, str, str, str, tuple[bool, bool]], ...]], ...
] = (
    (
        Kind.SERVICE,
        (
            ("GET", "", "+max-directory-buckets", "ListDirectoryBuckets", _READ),
            ("GET", "", "", "ListBuckets", _READ),
        ),
    ),
    (
        Kind.BUCKET,
        (
            ("GET", "", "+list-type=2", "ListObjectsV2", _READ),
            ("GET", "", "", "ListObjects", _READ),
            ("HEAD", "", "", "HeadBucket", _READ),
            ("PUT", "", "", "CreateBucket", _WRITE_BODY),
            ("DELETE", "", "", "DeleteBucket", _WRITE),
            ("POST", "", "", "PostObject", _WRITE_BODY),
            ("OPTIONS", "", "", "Preflight", _READ),
            ("POST", "delete", "", "DeleteObjects", _WRITE_BODY),
            ("GET", "location", "", "GetBucketLocation", _READ),
            ("GET", "versions", "", "ListObjectVersions", _READ),
            ("GET", "uploads", "", "ListMultipartUploads", _READ),
            ("GET", "session", "", "CreateSession", _READ),
            ("GET", "abac", "", "GetBucketAbac", _READ),
            ("PUT", "abac", "", "PutBucketAbac", _WRITE_BODY),
            ("GET", "accelerate", "", "GetBucketAccelerateConfiguration", _READ),
            ("PUT", "accelerate", "", "PutBucketAccelerateConfiguration", _WRITE_BODY),
            ("GET", "acl", "", "GetBucketAcl", _READ),
            ("PUT", "acl", "", "PutBucketAcl", _WRITE_BODY),
            ("GET", "analytics", "+id", "GetBucketAnalyticsConfiguration", _READ),
            ("GET", "analytics", "", "ListBucketAnalyticsConfigurations", _READ),
            ("PUT", "analytics", "", "PutBucketAnalyticsConfiguration", _WRITE_BODY),
            ("DELETE", "analytics", "", "DeleteBucketAnalyticsConfiguration", _WRITE),
            ("GET", "cors", "", "GetBucketCors", _READ),
            ("PUT", "cors", "", "PutBucketCors", _WRITE_BODY),
            ("DELETE", "cors", "", "DeleteBucketCors", _WRITE),
            ("GET", "encryption", "", "GetBucketEncryption", _READ),
            ("PUT", "encryption", "", "PutBucketEncryption", _WRITE_BODY),
            ("DELETE", "encryption", "", "DeleteBucketEncryption", _WRITE),
            ("GET", "intelligent-tiering", "+id", "GetBucketIntelligentTieringConfiguration", _READ),
            ("GET", "intelligent-tiering", "", "ListBucketIntelligentTieringConfigurations", _READ),
            ("PUT", "intelligent-tiering", "", "PutBucketIntelligentTieringConfiguration", _WRITE_BODY),
            ("DELETE", "intelligent-tiering", "", "DeleteBucketIntelligentTieringConfiguration", _WRITE),
            ("GET", "inventory", "+id", "GetBucketInventoryConfiguration", _READ),
            ("GET", "inventory", "", "ListBucketInventoryConfigurations", _READ),
            ("PUT", "inventory", "", "PutBucketInventoryConfiguration", _WRITE_BODY),
            ("DELETE", "inventory", "", "DeleteBucketInventoryConfiguration", _WRITE),
            ("GET", "lifecycle", "", "GetBucketLifecycleConfiguration", _READ),
            ("PUT", "lifecycle", "", "PutBucketLifecycleConfiguration", _WRITE_BODY),
            ("DELETE", "lifecycle", "", "DeleteBucketLifecycle", _WRITE),
            ("GET", "logging", "", "GetBucketLogging", _READ),
            ("PUT", "logging", "", "PutBucketLogging", _WRITE_BODY),
            ("PUT", "metadataAnnotationTable", "", "UpdateBucketMetadataAnnotationTableConfiguration", _WRITE_BODY),
            ("POST", "metadataConfiguration", "", "CreateBucketMetadataConfiguration", _WRITE_BODY),
            ("GET", "metadataConfiguration", "", "GetBucketMetadataConfiguration", _READ),
            ("DELETE", "metadataConfiguration", "", "DeleteBucketMetadataConfiguration", _WRITE),
            ("PUT", "metadataInventoryTable", "", "UpdateBucketMetadataInventoryTableConfiguration", _WRITE_BODY),
            ("PUT", "metadataJournalTable", "", "UpdateBucketMetadataJournalTableConfiguration", _WRITE_BODY),
            ("POST", "metadataTable", "", "CreateBucketMetadataTableConfiguration", _WRITE_BODY),
            ("GET", "metadataTable", "", "GetBucketMetadataTableConfiguration", _READ),
            ("DELETE", "metadataTable", "", "DeleteBucketMetadataTableConfiguration", _WRITE),
            ("GET", "metrics", "+id", "GetBucketMetricsConfiguration", _READ),
            ("GET", "metrics", "", "ListBucketMetricsConfigurations", _READ),
            ("PUT", "metrics", "", "PutBucketMetricsConfiguration", _WRITE_BODY),
            ("DELETE", "metrics", "", "DeleteBucketMetricsConfiguration", _WRITE),
            ("GET", "notification", "", "GetBucketNotificationConfiguration", _READ),
            ("PUT", "notification", "", "PutBucketNotificationConfiguration", _WRITE_BODY),
            ("GET", "object-lock", "", "GetObjectLockConfiguration", _READ),
            ("PUT", "object-lock", "", "PutObjectLockConfiguration", _WRITE_BODY),
            ("GET", "ownershipControls", "", "GetBucketOwnershipControls", _READ),
            ("PUT", "ownershipControls", "", "PutBucketOwnershipControls", _WRITE_BODY),
            ("DELETE", "ownershipControls", "", "DeleteBucketOwnershipControls", _WRITE),
            ("GET", "policy", "", "GetBucketPolicy", _READ),
            ("PUT", "policy", "", "PutBucketPolicy", _WRITE_BODY),
            ("DELETE", "policy", "", "DeleteBucketPolicy", _WRITE),
            ("GET", "policyStatus", "", "GetBucketPolicyStatus", _READ),
            ("GET", "publicAccessBlock", "", "GetPublicAccessBlock", _READ),
            ("PUT", "publicAccessBlock", "", "PutPublicAccessBlock", _WRITE_BODY),
            ("DELETE", "publicAccessBlock", "", "DeletePublicAccessBlock", _WRITE),
            ("GET", "replication", "", "GetBucketReplication", _READ),
            ("PUT", "replication", "", "PutBucketReplication", _WRITE_BODY),
            ("DELETE", "replication", "", "DeleteBucketReplication", _WRITE),
            ("GET", "requestPayment", "", "GetBucketRequestPayment", _READ),
            ("PUT", "requestPayment", "", "PutBucketRequestPayment", _WRITE_BODY),
            ("GET", "tagging", "", "GetBucketTagging", _READ),
            ("PUT", "tagging", "", "PutBucketTagging", _WRITE_BODY),
            ("DELETE", "tagging", "", "DeleteBucketTagging", _WRITE),
            ("GET", "versioning", "", "GetBucketVersioning", _READ),
            ("PUT", "versioning", "", "PutBucketVersioning", _WRITE_BODY),
            ("GET", "website", "", "GetBucketWebsite", _READ),
            ("PUT", "website", "", "PutBucketWebsite", _WRITE_BODY),
            ("DELETE", "website", "", "DeleteBucketWebsite", _WRITE),
        ),
    ),
    (
        Kind.OBJECT,
        (
            ("GET", "", "", "GetObject", _READ),
            ("HEAD", "", "", "HeadObject", _READ),
            ("PUT", "", "copy", "CopyObject", _WRITE),
            ("PUT", "", "", "PutObject", _WRITE_BODY),
            ("DELETE", "", "", "DeleteObject", _WRITE),
            ("OPTIONS", "", "", "Preflight", _READ),
            ("POST", "uploads", "", "CreateMultipartUpload", _WRITE),
            ("PUT", "uploadId", "copy", "UploadPartCopy", _WRITE),
            ("PUT", "uploadId", "", "UploadPart", _WRITE_BODY),
            ("POST", "uploadId", "", "CompleteMultipartUpload", _WRITE_BODY),
            ("DELETE", "uploadId", "", "AbortMultipartUpload", _WRITE),
            ("GET", "uploadId", "", "ListParts", _READ),
            ("GET", "acl", "", "GetObjectAcl", _READ),
            ("PUT", "acl", "", "PutObjectAcl", _WRITE_BODY),
            ("GET", "annotation", "+annotationName", "GetObjectAnnotation", _READ),
            ("GET", "annotation", "", "ListObjectAnnotations", _READ),
            ("PUT", "annotation", "", "PutObjectAnnotation", _WRITE_BODY),
            ("DELETE", "annotation", "", "DeleteObjectAnnotation", _WRITE),
            ("GET", "attributes", "", "GetObjectAttributes", _READ),
            ("PUT", "encryption", "", "UpdateObjectEncryption", _WRITE_BODY),
            ("GET", "legal-hold", "", "GetObjectLegalHold", _READ),
            ("PUT", "legal-hold", "", "PutObjectLegalHold", _WRITE_BODY),
            ("PUT", "renameObject", "", "RenameObject", _WRITE),
            ("POST", "restore", "", "RestoreObject", _WRITE_BODY),
            ("GET", "retention", "", "GetObjectRetention", _READ),
            ("PUT", "retention", "", "PutObjectRetention", _WRITE_BODY),
            ("POST", "select", "", "SelectObjectContent", _READ_BODY),
            ("GET", "tagging", "", "GetObjectTagging", _READ),
            ("PUT", "tagging", "", "PutObjectTagging", _WRITE_BODY),
            ("DELETE", "tagging", "", "DeleteObjectTagging", _WRITE),
            ("GET", "torrent", "", "GetObjectTorrent", _READ),
        ),
    ),
)
# fmt: on

# Subresources of a bucket that S3 does not notice at a key, and of an object at
# a bucket, when it is read: a link may carry such a name for reasons of its own.
_UNNOTICED = frozenset(
    (
        "abac",
        "analytics",
        "intelligent-tiering",
        "metadataConfiguration",
        "metadataTable",
        "metrics",
        "object-lock",
        "ownershipControls",
        "policyStatus",
        "publicAccessBlock",
        "session",
        # an object's
        "annotation",
        "attributes",
        "legal-hold",
        "renameObject",
        "restore",
        "retention",
        "select",
    )
)

_PLAIN_RESOURCES = {
    Kind.SERVICE: "SERVICE",
    Kind.BUCKET: "BUCKET",
    Kind.OBJECT: "OBJECT",
}

_LOG_NAMES = {
    "CopyObject": "REST.COPY.OBJECT",
    "Preflight": "REST.OPTIONS.PREFLIGHT",
    "PostObject": "REST.POST.OBJECT",
    "UploadPart": "REST.PUT.PART",
    "UploadPartCopy": "REST.COPY.PART",
}


@attrs.frozen
class _Line:
    condition: str
    operation: Operation

    def holds(self, query: Query, copies: bool) -> bool:
        condition = self.condition
        if not condition:
            return True
        if condition == "copy":
            return copies
        name, equals, value = condition[1:].partition("=")
        return query.get(name) == value if equals else name in query


_Lines = dict[str, tuple[_Line, ...]]


def _build() -> dict[type, dict[str, _Lines]]:
    classes = {
        Kind.SERVICE: Root,
        Kind.BUCKET: BucketPath,
        Kind.OBJECT: ObjectPath,
    }
    built: dict[type, dict[str, _Lines]] = {}
    for kind, rows in _TABLE:
        of_kind: dict[str, _Lines] = built.setdefault(classes[kind], {})
        for method, subresource, condition, name, (writes, body) in rows:
            resource = _SUBRESOURCES[kind].get(subresource, _PLAIN_RESOURCES[kind])
            log_name = _LOG_NAMES.get(name, f"REST.{method}.{resource}")
            line = _Line(condition, Operation(name, kind, writes, body, log_name))
            lines = of_kind.setdefault(subresource, {})
            lines[method] = (*lines.get(method, ()), line)
    return built


_LINES = _build()
# The hot path: plain operations that depend on nothing else; not POST, because
# one path is not what it seems.
_PLAIN = {
    cls: {
        method.encode("ascii"): lines[0].operation
        for method, lines in of_kind[""].items()
        if len(lines) == 1 and method != "POST"
    }
    for cls, of_kind in _LINES.items()
}
_SELECTORS = {
    Root: frozenset[str](),
    # Each notices the other's, in order to refuse them.
    BucketPath: frozenset(_SUBRESOURCES[Kind.BUCKET])
    | frozenset(_SUBRESOURCES[Kind.OBJECT]),
    ObjectPath: frozenset(_SUBRESOURCES[Kind.BUCKET])
    | frozenset(_SUBRESOURCES[Kind.OBJECT]),
}

WRITE_GET_OBJECT_RESPONSE = Operation(
    "WriteGetObjectResponse", Kind.SERVICE, True, True, "REST.POST.OBJECT_LAMBDA"
)
# It is posted to a path of its own; no bucket of that name can be.
_WRITE_GET_OBJECT_RESPONSE_PATH = "WriteGetObjectResponse"

OPERATIONS: dict[str, Operation] = {
    line.operation.name: line.operation
    for of_kind in _LINES.values()
    for by_method in of_kind.values()
    for lines in by_method.values()
    for line in lines
} | {WRITE_GET_OBJECT_RESPONSE.name: WRITE_GET_OBJECT_RESPONSE}
"""Every operation, by name."""


_PARTS = ("UploadPart", "UploadPartCopy")
_OF_BUCKETS = {
    "uploads": "Key is not expected for the GET method ?uploads subresource",
    "versions": "There is no such thing as the ?versions sub-resource for a key",
}


def route(method: bytes, target: Target, copies: bool = False) -> Operation:
    """
    Which operation is asked for.

    :param method: as it came, upper case.
    :param copies: there is an C{x-amz-copy-source} header.
    :raises MethodNotAllowed: with C{Method} and C{ResourceType}; see
        L{allowed_methods} for the C{Allow} header.
    :raises InvalidArgument: two subresources, or a part without its upload.
    :raises InvalidRequest: a parameter that needs a key, without one.
    """
    query = target.query
    if not query and not copies:
        operation = _PLAIN[type(target)].get(method)
        if operation is not None:
            return operation
    return _route(method, target, copies)


def allowed_methods(target: Target) -> tuple[str, ...]:
    """What C{Allow} says when L{route} refused the method of this target."""
    lines = _LINES[type(target)].get(_selected(target, reads=False), {})
    return tuple(sorted(lines))


def _route(method: bytes, target: Target, copies: bool) -> Operation:
    verb = method.decode("latin-1")
    if (
        verb == "POST"
        and isinstance(target, BucketPath)
        and target.bucket == _WRITE_GET_OBJECT_RESPONSE_PATH
    ):
        return WRITE_GET_OBJECT_RESPONSE
    # A preflight asks about a URL, whatever its parameters mean.
    selected = (
        "" if verb == "OPTIONS" else _selected(target, reads=verb in ("GET", "HEAD"))
    )
    query = target.query
    for line in _LINES[type(target)].get(selected, {}).get(verb, ()):
        if line.holds(query, copies):
            if (
                "partNumber" in query
                and "uploadId" not in query
                and line.operation.name in ("PutObject", "CopyObject")
            ):
                raise InvalidArgument(
                    "This operation does not accept partNumber without uploadId",
                    ArgumentName="partNumber",
                    ArgumentValue="partNumber",
                )
            if "partNumber" not in query and line.operation.name in _PARTS:
                raise MethodNotAllowed(Method=verb, ResourceType="UPLOAD")
            return line.operation
    if isinstance(target, ObjectPath) and verb == "GET" and selected in _OF_BUCKETS:
        raise InvalidRequest(_OF_BUCKETS[selected])
    resource = _SUBRESOURCES[target.kind].get(selected) or (
        selected.upper() if selected else _PLAIN_RESOURCES[target.kind]
    )
    raise MethodNotAllowed(Method=verb, ResourceType=resource)


def _selected(target: Target, reads: bool) -> str:
    """
    The subresource that the query names, or nothing.
    """
    query = target.query
    if not query:
        return ""
    names = sorted(_SELECTORS[type(target)].intersection(query))
    if names and reads:
        own = _SUBRESOURCES[target.kind]
        names = [name for name in names if name in own or name not in _UNNOTICED]
    if isinstance(target, ObjectPath):
        if names and "partNumber" in query and "uploadId" not in query:
            names = sorted([*names, "partNumber"])
    elif isinstance(target, BucketPath):
        if not names and "partNumber" in query:
            raise InvalidRequest("Object must have a valid key name.")
        if names == ["uploadId"]:
            raise InvalidRequest("A key must be specified")
    if len(names) > 1:
        raise InvalidArgument(
            "Conflicting query string parameters: " + ", ".join(names),
            ArgumentName="ResourceType",
            ArgumentValue=names[0],
        )
    return names[0] if names else ""
