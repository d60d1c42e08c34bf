"""
What an S3 server, or the way to it, complains of, as nouns of ours: one map.

The codes are those of the S3 API reference, "Error responses", and those that
MinIO and Ceph add.
"""

from __future__ import annotations

from alluxio_tw import errors
from alluxio_tw.errors import GatewayError, MalformedXML, MissingRequestBody
from alluxio_tw.s3.xml import parse

_CODES: dict[str, type[GatewayError]] = {
    "NoSuchKey": errors.NoSuchPath,
    "NoSuchVersion": errors.NoSuchPath,
    "NoSuchUpload": errors.NoSuchUpload,
    "InvalidPart": errors.InvalidPart,
    "InvalidPartOrder": errors.InvalidPartOrder,
    "EntityTooSmall": errors.EntityTooSmall,
    "NoSuchTagSet": errors.NoSuchTagSet,
    "PreconditionFailed": errors.PreconditionFailed,
    "ConditionalRequestConflict": errors.ConditionalRequestConflict,
    "OperationAborted": errors.ConditionalRequestConflict,
    "InvalidRange": errors.ObjectChanged,
    "AccessDenied": errors.StorageDenied,
    "AllAccessDisabled": errors.StorageDenied,
    "AccountProblem": errors.StorageDenied,
    "InvalidAccessKeyId": errors.StorageDenied,
    "SignatureDoesNotMatch": errors.StorageDenied,
    "ExpiredToken": errors.StorageDenied,
    "ExpiredTokenException": errors.StorageDenied,
    "InvalidToken": errors.StorageDenied,
    "RequestExpired": errors.StorageDenied,
    "RequestTimeTooSkewed": errors.StorageDenied,
    "AuthorizationHeaderMalformed": errors.StorageDenied,
    "InvalidObjectState": errors.StorageDenied,
    "SlowDown": errors.StorageBusy,
    "Throttling": errors.StorageBusy,
    "ThrottlingException": errors.StorageBusy,
    "RequestLimitExceeded": errors.StorageBusy,
    "TooManyRequests": errors.StorageBusy,
    "XMinioServerNotInitialized": errors.StorageUnavailable,
    "QuotaExceeded": errors.StorageFull,
    "InsufficientStorage": errors.StorageFull,
    "InsufficientCapacity": errors.StorageFull,
    "XMinioStorageFull": errors.StorageFull,
    "XMinioAdminBucketQuotaExceeded": errors.StorageFull,
    "KeyTooLongError": errors.UnsuitableKey,
    "InvalidURI": errors.UnsuitableKey,
    "XMinioInvalidObjectName": errors.UnsuitableKey,
    "XMinioObjectExistsAsDirectory": errors.PathConflict,
    "XMinioParentIsObject": errors.PathConflict,
    "ObjectParentIsFile": errors.PathConflict,
    "ExistingObjectIsDirectory": errors.PathConflict,
    "DirectoryObjectContainsData": errors.UnsuitableKey,
    "EntityTooLarge": errors.EntityTooLarge,
    "MetadataTooLarge": errors.MetadataTooLarge,
    "RequestHeaderSectionTooLarge": errors.MetadataTooLarge,
    "InvalidStorageClass": errors.InvalidStorageClass,
    "InvalidTag": errors.InvalidTag,
    "NotImplemented": errors.NotImplementedYet,
}

_STATUSES: dict[int, type[GatewayError]] = {
    401: errors.StorageDenied,
    403: errors.StorageDenied,
    404: errors.NoSuchPath,
    409: errors.ConditionalRequestConflict,
    412: errors.PreconditionFailed,
    416: errors.ObjectChanged,
    429: errors.StorageBusy,
    501: errors.NotImplementedYet,
    507: errors.StorageFull,
}

_MESSAGES = {
    "NoSuchBucket": "The storage has no such bucket.",
    "InvalidObjectState": "The storage has archived this object.",
    "InvalidAccessKeyId": "The storage does not know our access key.",
    "SignatureDoesNotMatch": "The storage refuses our signature.",
    "ExpiredToken": "The storage calls our credentials expired.",
    "RequestTimeTooSkewed": "The storage's clock and ours differ too much.",
    "BadDigest": "Bytes were damaged on their way to the storage.",
    "XAmzContentSHA256Mismatch": "Bytes were damaged on their way to the storage.",
}

DAMAGED = frozenset(
    ("BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "IncompleteBody")
)
"""What a body suffers on its way; it is worth sending again."""

EXPIRED = frozenset(("ExpiredToken", "ExpiredTokenException", "RequestExpired"))
"""Keys that were good once."""

PASSING = frozenset(
    (
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequests",
        "RequestTimeout",
        "ConditionalRequestConflict",
        "OperationAborted",
        "XMinioServerNotInitialized",
        *DAMAGED,
    )
)
"""Codes of what may go better the next time."""

PASSING_STATUSES = frozenset((429, 500, 502, 503, 504))


class Complaint(Exception):
    """
    A reply that is no success.

    :ivar status: of HTTP.
    :ivar code: of S3; empty where the reply had no document.
    :ivar region: where it says the bucket is; empty if it does not.
    :ivar location: where it sends us; empty if it does not.
    :ivar date: the server's, in seconds since the epoch.
    :ivar reads: it is about an object that should be there; otherwise that it is not
        there says that something else is wrong.
    :ivar tries: how often it was asked, this time included: an earlier attempt
        may have been heard.
    """

    location: str = ""
    date: float | None = None
    tries: int = 1
    reads: bool = True

    def __init__(self, status: int, code: str = "", region: str = "") -> None:
        super().__init__(f"{status} {code}".strip())
        self.status = status
        self.code = code
        self.region = region

    @property
    def passes(self) -> bool:
        """May it go better the next time?"""
        return self.code in PASSING or self.status in PASSING_STATUSES

    def noun(self) -> GatewayError:
        """What it is to us."""
        cls = _CODES.get(self.code)
        if cls is None and not (self.code == "NoSuchBucket" or self.code in DAMAGED):
            cls = _STATUSES.get(self.status)
        if cls is None or (cls is errors.NoSuchPath and not self.reads):
            cls = errors.StorageUnavailable
        message = _MESSAGES.get(self.code)
        if message is None and cls is errors.StorageUnavailable:
            what = f"{self.status} {self.code[:64]}".strip()
            message = f"The storage behind this bucket answered {what}."
        return cls(message)


def complaint(status: int, body: bytes, region: str = "") -> Complaint:
    """
    Read the reply of a failure.

    :param body: its document, if there is one.
    :param region: what C{x-amz-bucket-region} said.
    """
    try:
        document = parse(body.lstrip(), "Error")
        code = document.word("Code") or ""
        region = region or document.word("Region") or ""
    except (MalformedXML, MissingRequestBody):
        code = ""
    return Complaint(status, code, region)
