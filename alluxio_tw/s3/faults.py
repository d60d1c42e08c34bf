"""
What each error is to an S3 client: a code, a status, a document.

The codes and statuses are those of the S3 API reference, "Error responses".
Where storage fails in a way that S3 does not know:

  - C{InsufficientStorage}, 507, when it is full: no code of S3's says so, and
    507 is not retried by SDKs, which is right for a full disk;
  - C{AccessDenied}, 403, when it is read-only or refuses us: who asks can do
    nothing about it by asking again;
  - C{InvalidArgument} and C{InvalidRequest}, 400, for a key that this storage
    cannot hold, or not beside what is there;
  - C{ServiceUnavailable}, 503, when the object changed while it was read and
    nothing has been sent yet: SDKs ask again, and then get the new version.
"""

from __future__ import annotations

import re

import attrs

from alluxio_tw import errors
from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.text import DECLARATION, escape


@attrs.frozen
class Fault:
    """
    What an error is on the wire.

    :ivar code: S3's word for it.
    :ivar status: of HTTP.
    """

    code: str
    status: int


# The code is the class's name unless it is given.
_TABLE: dict[type[GatewayError], int | tuple[str, int]] = {
    # the caller
    errors.CallerError: ("InvalidRequest", 400),
    errors.NotImplementedYet: ("NotImplemented", 501),
    errors.MethodNotAllowed: 405,
    errors.NoSuchBucket: 404,
    errors.NoSuchKey: 404,
    errors.NoSuchVersion: 404,
    errors.NoSuchUpload: 404,
    errors.InvalidBucketName: 400,
    errors.BucketAlreadyExists: 409,
    errors.BucketAlreadyOwnedByYou: 409,
    errors.BucketNotEmpty: 409,
    errors.InvalidURI: 400,
    errors.KeyTooLong: ("KeyTooLongError", 400),
    errors.UnsuitableKey: ("InvalidArgument", 400),
    errors.InvalidArgument: 400,
    errors.InvalidRequest: 400,
    errors.BadRequest: 400,
    errors.InvalidToken: ("InvalidArgument", 400),
    errors.InvalidStorageClass: 400,
    errors.InvalidLocationConstraint: 400,
    errors.IllegalLocationConstraint: ("IllegalLocationConstraintException", 400),
    errors.MalformedXML: 400,
    errors.MalformedPolicy: 400,
    errors.MalformedPOSTRequest: 400,
    errors.InvalidPolicyDocument: 400,
    errors.MaxPostPreDataLengthExceeded: 400,
    errors.MalformedACL: ("MalformedACLError", 400),
    errors.AccessControlListNotSupported: 400,
    errors.UnexpectedContent: 400,
    errors.MissingSecurityHeader: 400,
    errors.MaxMessageLengthExceeded: 400,
    errors.RequestHeaderSectionTooLarge: 400,
    errors.MetadataTooLarge: 400,
    errors.InvalidTag: 400,
    errors.NoSuchTagSet: 404,
    errors.NoSuchBucketPolicy: 404,
    errors.NoSuchCORSConfiguration: 404,
    errors.NoSuchLifecycleConfiguration: 404,
    errors.CORSForbidden: ("AccessForbidden", 403),
    errors.MissingContentLength: 411,
    errors.MissingRequestBody: ("MissingRequestBodyError", 400),
    errors.IncompleteBody: 400,
    errors.EntityTooLarge: 400,
    errors.EntityTooSmall: 400,
    errors.BadDigest: 400,
    errors.InvalidDigest: 400,
    errors.ContentSHA256Mismatch: ("XAmzContentSHA256Mismatch", 400),
    errors.InvalidChunkSize: ("InvalidChunkSizeError", 403),
    errors.MalformedTrailer: ("MalformedTrailerError", 400),
    errors.RequestTimeout: 400,
    errors.InvalidPart: 400,
    errors.InvalidPartOrder: 400,
    errors.InvalidPartNumber: 416,
    errors.NotModified: 304,
    errors.PreconditionFailed: 412,
    errors.ConditionalRequestConflict: 409,
    errors.InvalidRange: 416,
    errors.AccessDenied: 403,
    errors.AuthorizationHeaderMalformed: 400,
    errors.AuthorizationQueryParametersError: 400,
    errors.InvalidAccessKeyId: 403,
    errors.SignatureDoesNotMatch: 403,
    errors.RequestTimeTooSkewed: 403,
    errors.ExpiredToken: 400,
    errors.InvalidSecurity: 403,
    errors.InvalidSecurityToken: ("InvalidToken", 400),
    # the storage
    errors.BackendError: ("InternalError", 500),
    # Whoever asks the storage turns this one into what it means for S3.
    errors.NoSuchPath: ("InternalError", 500),
    errors.PathConflict: ("InvalidRequest", 400),
    errors.StorageDenied: ("AccessDenied", 403),
    errors.StorageFull: ("InsufficientStorage", 507),
    errors.StorageUnavailable: ("ServiceUnavailable", 503),
    errors.StorageBusy: ("SlowDown", 503),
    errors.StorageReadOnly: ("AccessDenied", 403),
    errors.ObjectChanged: ("ServiceUnavailable", 503),
    # ourselves
    errors.OurError: ("InternalError", 500),
    errors.Overloaded: ("SlowDown", 503),
    errors.ShuttingDown: ("ServiceUnavailable", 503),
    errors.WrongConfiguration: ("InternalError", 500),
}

FAULTS: dict[type[GatewayError], Fault] = {
    cls: Fault(cls.__name__, entry) if isinstance(entry, int) else Fault(*entry)
    for cls, entry in _TABLE.items()
}
"""Every noun of L{alluxio_tw.errors}, and what it is to a client."""

INTERNAL_ERROR = Fault("InternalError", 500)

_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
# What the document says of itself and a field may not say again.
_OWN = frozenset(("Code", "Message", "Resource", "RequestId", "HostId"))


def fault_of(error: BaseException) -> Fault:
    """
    What an error is to a client.

    A class that is not in the table, such as a driver's own, is what its
    nearest base is; what is no L{GatewayError} is an internal error.
    """
    for cls in type(error).__mro__:
        fault = FAULTS.get(cls)
        if fault is not None:
            return fault
    return INTERNAL_ERROR


def error_document(
    error: BaseException, resource: str, request_id: str, host_id: str
) -> bytes:
    """
    The body of an error reply.

    Of an error that is none of ours it tells nothing but that there was one.

    :param resource: the path that was asked for, as the client knows it.
    """
    known = error if isinstance(error, GatewayError) else errors.OurError()
    parts = [
        f"<Code>{fault_of(error).code}</Code><Message>{escape(known.message)}</Message>"
    ]
    for name, value in known.fields.items():
        if name not in _OWN and _ELEMENT_NAME.fullmatch(name):
            parts.append(f"<{name}>{escape(value)}</{name}>")
    return (
        f"{DECLARATION}<Error>{''.join(parts)}<Resource>{escape(resource)}</Resource>"
        f"<RequestId>{escape(request_id)}</RequestId>"
        f"<HostId>{escape(host_id)}</HostId></Error>"
    ).encode()
