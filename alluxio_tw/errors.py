"""
Everything that can go wrong, as nouns; no HTTP here.

One root, L{GatewayError}; beneath it three branches by blame: the caller, the
storage behind us, ourselves.  The first line of a class's docstring is the
message that the caller reads when nothing better is given.  Which S3 code and
which HTTP status a noun becomes is the business of L{alluxio_tw.s3.faults}.
"""

from __future__ import annotations

from collections.abc import Mapping


class GatewayError(Exception):
    """
    Something went wrong.

    :ivar message: one sentence for whoever asked; never a secret, never a path
        of this machine.
    :ivar fields: further facts about the failure, by the element names that S3
        gives them (C{ArgumentName}, C{Key}, C{ActualObjectSize}, ...).
    """

    message: str
    fields: Mapping[str, str]

    def __init__(self, message: str | None = None, **fields: str) -> None:
        if message is None:
            message = next(
                line.strip()
                for line in (type(self).__doc__ or "Something went wrong.").split("\n")
                if line.strip()
            )
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.message}>"


# --- blame: the caller -----------------------------------------------------


class CallerError(GatewayError):
    """The request cannot be served as it was made."""


class NotImplementedYet(CallerError):
    """A header you provided implies functionality that is not implemented"""


class MethodNotAllowed(CallerError):
    """The specified method is not allowed against this resource."""


# buckets and keys


class NoSuchBucket(CallerError):
    """The specified bucket does not exist"""


class NoSuchKey(CallerError):
    """The specified key does not exist."""


class NoSuchVersion(CallerError):
    """The specified version does not exist."""


class NoSuchUpload(CallerError):
    """The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."""


class InvalidBucketName(CallerError):
    """The specified bucket is not valid."""


class BucketAlreadyExists(CallerError):
    """The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."""


class BucketAlreadyOwnedByYou(CallerError):
    """Your previous request to create the named bucket succeeded and you already own it."""


class BucketNotEmpty(CallerError):
    """The bucket you tried to delete is not empty"""


class InvalidURI(CallerError):
    """Couldn't parse the specified URI."""


class KeyTooLong(CallerError):
    """Your key is too long"""


class UnsuitableKey(CallerError):
    """The storage behind this bucket cannot hold an object of this name."""


# arguments


class InvalidArgument(CallerError):
    """Invalid Argument"""


class InvalidRequest(CallerError):
    """Invalid Request"""


class BadRequest(CallerError):
    """Bad Request"""


class InvalidToken(CallerError):
    """The continuation token provided is incorrect"""


class InvalidStorageClass(CallerError):
    """The storage class you specified is not valid"""


class InvalidLocationConstraint(CallerError):
    """The specified location-constraint is not valid"""


class IllegalLocationConstraint(CallerError):
    """The specified location constraint is incompatible for the region specific endpoint this request was sent to."""


class MalformedXML(CallerError):
    """The XML you provided was not well-formed or did not validate against our published schema"""


class MalformedPolicy(CallerError):
    """This policy contains invalid Json"""


class MalformedPOSTRequest(CallerError):
    """The body of your POST request is not well-formed multipart/form-data."""


class InvalidPolicyDocument(CallerError):
    """The content of the form does not meet the conditions specified in the policy document."""


class MaxPostPreDataLengthExceeded(CallerError):
    """Your POST request fields preceeding the upload file was too large."""


class MalformedACL(CallerError):
    """The XML you provided was not well-formed or did not validate against our published schema"""


class AccessControlListNotSupported(CallerError):
    """The bucket does not allow ACLs"""


class UnexpectedContent(CallerError):
    """This request does not support content"""


class MissingSecurityHeader(CallerError):
    """Your request was missing a required header"""


class MaxMessageLengthExceeded(CallerError):
    """Your request was too big."""


class RequestHeaderSectionTooLarge(CallerError):
    """Your request header section exceeds the maximum allowed size."""


class MetadataTooLarge(CallerError):
    """Your metadata headers exceed the maximum allowed metadata size"""


class InvalidTag(CallerError):
    """The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."""


class NoSuchTagSet(CallerError):
    """The TagSet does not exist"""


class NoSuchBucketPolicy(CallerError):
    """The bucket policy does not exist"""


class NoSuchCORSConfiguration(CallerError):
    """The CORS configuration does not exist"""


class NoSuchLifecycleConfiguration(CallerError):
    """The lifecycle configuration does not exist"""


class CORSForbidden(CallerError):
    """CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."""


# bodies


class MissingContentLength(CallerError):
    """You must provide the Content-Length HTTP header."""


class MissingRequestBody(CallerError):
    """Request body is empty."""


class IncompleteBody(CallerError):
    """You did not provide the number of bytes specified by the Content-Length HTTP header"""


class EntityTooLarge(CallerError):
    """Your proposed upload exceeds the maximum allowed size"""


class EntityTooSmall(CallerError):
    """Your proposed upload is smaller than the minimum allowed size"""


class BadDigest(CallerError):
    """The Content-MD5 or checksum value that you specified did not match what the server received."""


class InvalidDigest(CallerError):
    """The Content-MD5 or checksum value that you specified is not valid."""


class ContentSHA256Mismatch(CallerError):
    """The provided 'x-amz-content-sha256' header does not match what was computed."""


class MalformedTrailer(CallerError):
    """The request contained trailing data that was not well-formed or did not conform to our published schema."""


class InvalidChunkSize(CallerError):
    """Only the last chunk is allowed to have a size less than 8192 bytes"""


class RequestTimeout(CallerError):
    """Your socket connection to the server was not read from or written to within the timeout period."""


# multipart uploads


class InvalidPart(CallerError):
    """One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."""


class InvalidPartOrder(CallerError):
    """The list of parts was not in ascending order. Parts must be ordered by part number."""


class InvalidPartNumber(CallerError):
    """The requested partnumber is not satisfiable"""


# conditions


class NotModified(CallerError):
    """The object was not modified."""


class PreconditionFailed(CallerError):
    """At least one of the pre-conditions you specified did not hold"""


class ConditionalRequestConflict(CallerError):
    """The conditional request cannot succeed due to a conflicting operation against this resource."""


class InvalidRange(CallerError):
    """The requested range is not satisfiable"""


# who asks


class AccessDenied(CallerError):
    """Access Denied"""


class AuthorizationHeaderMalformed(CallerError):
    """The authorization header that you provided is not valid."""


class AuthorizationQueryParametersError(CallerError):
    """Error parsing the X-Amz-Credential parameter."""


class InvalidAccessKeyId(CallerError):
    """The AWS Access Key Id you provided does not exist in our records."""


class SignatureDoesNotMatch(CallerError):
    """The request signature we calculated does not match the signature you provided. Check your key and signing method."""


class RequestTimeTooSkewed(CallerError):
    """The difference between the request time and the current time is too large."""


class ExpiredToken(CallerError):
    """The provided token has expired."""


class InvalidSecurity(CallerError):
    """The provided security credentials are not valid."""


class InvalidSecurityToken(CallerError):
    """The provided token is malformed or otherwise invalid."""


# --- blame: the storage behind us --------------------------------------------


class BackendError(GatewayError):
    """The storage behind this bucket failed."""


class NoSuchPath(BackendError):
    """There is nothing at this path of the storage."""


class PathConflict(BackendError):
    """Another object of the storage stands in the way of this one."""


class StorageDenied(BackendError):
    """The storage behind this bucket denied access."""


class StorageFull(BackendError):
    """The storage behind this bucket is full."""


class StorageUnavailable(BackendError):
    """The storage behind this bucket cannot be reached."""


class StorageBusy(BackendError):
    """The storage behind this bucket asks to slow down."""


class StorageReadOnly(BackendError):
    """This bucket is mounted read-only."""


class ObjectChanged(BackendError):
    """The object changed while it was being read."""


# --- blame: ourselves ----------------------------------------------------------


class OurError(GatewayError):
    """We encountered an internal error. Please try again."""


class Overloaded(OurError):
    """Please reduce your request rate."""


class ShuttingDown(OurError):
    """Service is unable to handle request."""


class WrongConfiguration(OurError):
    """The configuration cannot be used."""
