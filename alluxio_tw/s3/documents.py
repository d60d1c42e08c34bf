"""
Documents that we send, written from values.

They are joined from text, not built as trees: a listing is by far the most of
what is written here, and a page of a thousand keys must cost little.  All that
came from outside goes through C{escape} or C{url_encode}, which is the one
rule to keep when this module is changed; the elements and their order are
those that AWS sends.  It is longer than most because there are many documents,
each of them plain.

Beyond 400 lines: one short function a document, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from alluxio_tw.errors import GatewayError, OurError
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Entry,
    Listing,
    PartStatus,
    Status,
    Upload,
)
from alluxio_tw.s3.batches import CHECKSUM_ELEMENTS
from alluxio_tw.s3.configurations import CORSRule
from alluxio_tw.s3.dates import iso8601
from alluxio_tw.s3.faults import fault_of
from alluxio_tw.s3.listing import (
    BucketsRequest,
    ListRequest,
    PartsRequest,
    format_token,
)
from alluxio_tw.s3.text import DECLARATION, NAMESPACE, escape, url_encode

_JOINED = re.compile(r"[0-9a-f]{32}-([0-9]{1,5})").fullmatch

_ELEMENTS = {algorithm: name for name, algorithm in CHECKSUM_ELEMENTS.items()}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@attrs.frozen
class Owner:
    """
    Who something belongs to, as clients are told.

    :ivar name: for people to read; the ID if it is empty.
    """

    id: str
    name: str = ""

    def element(self, tag: str = "Owner") -> str:
        """The element, written out."""
        return (
            f"<{tag}><ID>{escape(self.id)}</ID>"
            f"<DisplayName>{escape(self.name or self.id)}</DisplayName></{tag}>"
        )


def _document(root: str, *parts: str) -> bytes:
    return (
        f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{"".join(parts)}</{root}>'
    ).encode()


def _given(name: str, value: str) -> str:
    return f"<{name}>{value}</{name}>" if value else ""


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _etag(etag: str) -> str:
    return f"<ETag>&quot;{escape(etag)}&quot;</ETag>" if etag else ""


def _checksums(checksums: Mapping[str, str], kind: str = "") -> str:
    if not checksums:
        return ""
    parts = [
        f"<{_ELEMENTS[algorithm]}>{escape(value)}</{_ELEMENTS[algorithm]}>"
        for algorithm, value in checksums.items()
        if algorithm in _ELEMENTS
    ]
    return "".join(parts) + _given("ChecksumType", kind)


def _encoder(encoding: str) -> Callable[[str], str]:
    return url_encode if encoding else escape


# --- buckets ---------------------------------------------------------------------


def list_buckets(
    owner: Owner,
    buckets: Iterable[Bucket],
    request: BucketsRequest,
    resume: str | None = None,
    region: str = "",
) -> bytes:
    """
    Write a ListAllMyBucketsResult.

    :param resume: the last name of this page, if more follow.
    :param region: given with every bucket when paging was asked for.
    """
    where = _given("BucketRegion", escape(region)) if request.paged else ""
    rows = "".join(
        f"<Bucket><Name>{escape(bucket.name)}</Name>"
        f"<CreationDate>{iso8601(bucket.created)}</CreationDate>{where}</Bucket>"
        for bucket in buckets
    )
    return _document(
        "ListAllMyBucketsResult",
        owner.element(),
        f"<Buckets>{rows}</Buckets>",
        "" if request.prefix is None else f"<Prefix>{escape(request.prefix)}</Prefix>",
        "" if resume is None else _given("ContinuationToken", format_token(resume)),
    )


def location_constraint(region: str) -> bytes:
    """Write a LocationConstraint; that of us-east-1 is empty."""
    return _document(
        "LocationConstraint", "" if region == "us-east-1" else escape(region)
    )


# --- listings --------------------------------------------------------------------


def list_objects(
    bucket: str, request: ListRequest, listing: Listing, owner: Owner | None
) -> bytes:
    """
    Write a ListBucketResult of version 1.

    :param owner: of every object; L{None} to leave it out.
    """
    encode = _encoder(request.encoding)
    truncated = listing.resume is not None
    # Without a delimiter the last key is the marker, and AWS leaves it at that.
    following = listing.resume if request.delimiter else None
    return _document(
        "ListBucketResult",
        f"<Name>{escape(bucket)}</Name><Prefix>{encode(request.prefix)}</Prefix>"
        f"<Marker>{encode(request.marker or '')}</Marker>",
        _given("NextMarker", encode(following or "")),
        f"<MaxKeys>{request.limit}</MaxKeys>",
        _given("Delimiter", encode(request.delimiter)),
        _given("EncodingType", request.encoding),
        f"<IsTruncated>{_truth(truncated)}</IsTruncated>",
        _contents(listing.entries, encode, owner),
        _common_prefixes(listing.prefixes, encode),
    )


def list_objects_v2(
    bucket: str, request: ListRequest, listing: Listing, owner: Owner | None
) -> bytes:
    """
    Write a ListBucketResult of version 2.

    :param owner: of every object, if C{request.fetch_owner}; else L{None}.
    """
    encode = _encoder(request.encoding)
    token, start_after, resume = request.token, request.marker, listing.resume
    return _document(
        "ListBucketResult",
        f"<Name>{escape(bucket)}</Name><Prefix>{encode(request.prefix)}</Prefix>",
        ""
        if token is None
        else f"<ContinuationToken>{escape(token)}</ContinuationToken>",
        ""
        if resume is None
        else f"<NextContinuationToken>{format_token(resume)}</NextContinuationToken>",
        ""
        if start_after is None
        else f"<StartAfter>{encode(start_after)}</StartAfter>",
        f"<KeyCount>{len(listing.entries) + len(listing.prefixes)}</KeyCount>"
        f"<MaxKeys>{request.limit}</MaxKeys>",
        _given("Delimiter", encode(request.delimiter)),
        _given("EncodingType", request.encoding),
        f"<IsTruncated>{_truth(resume is not None)}</IsTruncated>",
        _contents(listing.entries, encode, owner),
        _common_prefixes(listing.prefixes, encode),
    )


def list_versions(
    bucket: str, request: ListRequest, listing: Listing, owner: Owner
) -> bytes:
    """
    Write a ListVersionsResult: the one version of every object, called C{null}.
    """
    encode = _encoder(request.encoding)
    resume = listing.resume
    following = ""
    if resume is not None:
        following = f"<NextKeyMarker>{encode(resume)}</NextKeyMarker>"
        # A common prefix has no version.
        if not listing.prefixes or resume != listing.prefixes[-1]:
            following += "<NextVersionIdMarker>null</NextVersionIdMarker>"
    who = owner.element()
    versions = "".join(
        [
            f"<Version><Key>{encode(entry.key)}</Key><VersionId>null</VersionId>"
            f"<IsLatest>true</IsLatest>"
            f"<LastModified>{iso8601(entry.modified)}</LastModified>{_etag(entry.etag)}"
            f"<Size>{entry.size}</Size>{who}<StorageClass>"
            f"{escape(entry.storage_class) or 'STANDARD'}</StorageClass></Version>"
            for entry in listing.entries
        ]
    )
    return _document(
        "ListVersionsResult",
        f"<Name>{escape(bucket)}</Name><Prefix>{encode(request.prefix)}</Prefix>"
        f"<KeyMarker>{encode(request.marker or '')}</KeyMarker>"
        f"<VersionIdMarker>{escape(request.id_marker or '')}</VersionIdMarker>",
        following,
        f"<MaxKeys>{request.limit}</MaxKeys>",
        _given("Delimiter", encode(request.delimiter)),
        _given("EncodingType", request.encoding),
        f"<IsTruncated>{_truth(resume is not None)}</IsTruncated>",
        versions,
        _common_prefixes(listing.prefixes, encode),
    )


def _contents(
    entries: Iterable[Entry], encode: Callable[[str], str], owner: Owner | None
) -> str:
    who = "" if owner is None else owner.element()
    return "".join(
        [
            f"<Contents><Key>{encode(entry.key)}</Key>"
            f"<LastModified>{iso8601(entry.modified)}</LastModified>{_etag(entry.etag)}"
            f"<Size>{entry.size}</Size>{who}<StorageClass>"
            f"{escape(entry.storage_class) or 'STANDARD'}</StorageClass></Contents>"
            for entry in entries
        ]
    )


def _common_prefixes(prefixes: Iterable[str], encode: Callable[[str], str]) -> str:
    return "".join(
        f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>"
        for prefix in prefixes
    )


# --- uploads ---------------------------------------------------------------------


def list_uploads(
    bucket: str,
    request: ListRequest,
    uploads: Sequence[Upload],
    prefixes: Sequence[str],
    resume: str | None,
    owner: Owner,
) -> bytes:
    """
    Write a ListMultipartUploadsResult.

    :param resume: the last key or common prefix of this page, if more follow.
    """
    encode = _encoder(request.encoding)
    last_id = ""
    if resume is not None and uploads and uploads[-1].key == resume:
        last_id = uploads[-1].id
    rows = "".join(
        f"<Upload><Key>{encode(upload.key)}</Key>"
        f"<UploadId>{escape(upload.id)}</UploadId>"
        f"{_uploader(upload, owner)}"
        f"<Initiated>{iso8601(upload.initiated)}</Initiated>"
        f"{_promised(upload)}</Upload>"
        for upload in uploads
    )
    return _document(
        "ListMultipartUploadsResult",
        f"<Bucket>{escape(bucket)}</Bucket>"
        f"<KeyMarker>{encode(request.marker or '')}</KeyMarker>"
        f"<UploadIdMarker>{escape(request.id_marker or '')}</UploadIdMarker>"
        f"<NextKeyMarker>{encode(resume or '')}</NextKeyMarker>"
        f"<NextUploadIdMarker>{escape(last_id)}</NextUploadIdMarker>",
        _given("Delimiter", encode(request.delimiter)),
        _given("Prefix", encode(request.prefix)),
        f"<MaxUploads>{request.limit}</MaxUploads>",
        _given("EncodingType", request.encoding),
        f"<IsTruncated>{_truth(resume is not None)}</IsTruncated>",
        rows,
        _common_prefixes(prefixes, encode),
    )


def list_parts(
    bucket: str,
    upload: Upload,
    request: PartsRequest,
    parts: Sequence[PartStatus],
    truncated: bool,
    owner: Owner,
) -> bytes:
    """Write a ListPartsResult."""
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<LastModified>{iso8601(part.modified)}</LastModified>{_etag(part.etag)}"
        f"<Size>{part.size}</Size>{_checksums(part.checksums)}</Part>"
        for part in parts
    )
    return _document(
        "ListPartsResult",
        f"<Bucket>{escape(bucket)}</Bucket>"
        f"<Key>{_encoder(request.encoding)(upload.key)}</Key>"
        f"<UploadId>{escape(upload.id)}</UploadId>",
        _uploader(upload, owner),
        f"<PartNumberMarker>{request.after}</PartNumberMarker>"
        f"<NextPartNumberMarker>{parts[-1].number if parts else 0}"
        f"</NextPartNumberMarker><MaxParts>{request.limit}</MaxParts>",
        _given("EncodingType", request.encoding),
        f"<IsTruncated>{_truth(truncated)}</IsTruncated>",
        rows,
        _promised(upload),
    )


def _uploader(upload: Upload, owner: Owner) -> str:
    initiator = Owner(upload.owner) if upload.owner else owner
    storage_class = upload.attributes.headers.get("x-amz-storage-class", "")
    return (
        f"{initiator.element('Initiator')}{owner.element()}"
        f"<StorageClass>{escape(storage_class) or 'STANDARD'}</StorageClass>"
    )


def _promised(upload: Upload) -> str:
    return _given(
        "ChecksumAlgorithm", escape(upload.checksum_algorithm.upper())
    ) + _given("ChecksumType", escape(upload.checksum_type))


def initiate_upload(bucket: str, key: str, upload_id: str) -> bytes:
    """Write an InitiateMultipartUploadResult."""
    return _document(
        "InitiateMultipartUploadResult",
        f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
        f"<UploadId>{escape(upload_id)}</UploadId>",
    )


def complete_upload(
    location: str,
    bucket: str,
    key: str,
    etag: str,
    checksums: Mapping[str, str],
    checksum_type: str,
) -> bytes:
    """
    Write a CompleteMultipartUploadResult.

    :param location: the object's URL, encoded.
    """
    return _document(
        "CompleteMultipartUploadResult",
        f"<Location>{escape(location)}</Location><Bucket>{escape(bucket)}</Bucket>"
        f"<Key>{escape(key)}</Key>",
        _etag(etag),
        _checksums(checksums, checksum_type),
    )


# --- objects ---------------------------------------------------------------------


def copy_object(
    etag: str, modified: int, checksums: Mapping[str, str], checksum_type: str = ""
) -> bytes:
    """
    Write a CopyObjectResult.

    :param modified: nanoseconds since the epoch.
    """
    return _document(
        "CopyObjectResult",
        f"<LastModified>{iso8601(modified)}</LastModified>",
        _etag(etag),
        _checksums(checksums, checksum_type),
    )


def copy_part(etag: str, modified: int, checksums: Mapping[str, str]) -> bytes:
    """Write a CopyPartResult."""
    return _document(
        "CopyPartResult",
        f"<LastModified>{iso8601(modified)}</LastModified>",
        _etag(etag),
        _checksums(checksums),
    )


def post_object(location: str, bucket: str, key: str, etag: str) -> bytes:
    """
    Write a PostResponse, for a form that asks for status 201; S3 gives it no name
    space.
    """
    return (
        f"{DECLARATION}<PostResponse><Location>{escape(location)}</Location>"
        f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>{_etag(etag)}"
        "</PostResponse>"
    ).encode()


def delete_objects(
    deleted: Iterable[tuple[str, str | None]],
    failed: Iterable[tuple[str, str | None, BaseException]],
    quiet: bool,
) -> bytes:
    """
    Write a DeleteResult.

    :param deleted: keys, each with the version that was asked for.
    :param failed: likewise, with what went wrong.
    :param quiet: leave out those that were deleted.
    """
    parts = []
    if not quiet:
        for key, version in deleted:
            parts.append(f"<Deleted>{_versioned(key, version)}</Deleted>")
    for key, version, error in failed:
        message = (error if isinstance(error, GatewayError) else OurError()).message
        parts.append(
            f"<Error>{_versioned(key, version)}<Code>{fault_of(error).code}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
        )
    return _document("DeleteResult", *parts)


def _versioned(key: str, version: str | None) -> str:
    return f"<Key>{escape(key)}</Key>" + _given("VersionId", escape(version or ""))


def object_attributes(
    status: Status, wanted: frozenset[str], request: PartsRequest
) -> bytes:
    """
    Write a GetObjectAttributesResponse.

    :param wanted: of C{ETag}, C{Checksum}, C{ObjectParts}, C{StorageClass},
        C{ObjectSize}.
    :param request: which of the parts.
    """
    attributes = status.attributes
    parts = []
    if "ETag" in wanted and status.etag:
        # Here, and only here, without its quotes.
        parts.append(f"<ETag>{escape(status.etag)}</ETag>")
    if "Checksum" in wanted and attributes.checksums:
        inner = _checksums(attributes.checksums, attributes.checksum_type)
        parts.append(f"<Checksum>{inner}</Checksum>")
    if "ObjectParts" in wanted and attributes.part_sizes:
        parts.append(_object_parts(attributes, request))
    elif "ObjectParts" in wanted and (joined := _JOINED(status.etag)):
        # Of the parts no more is known here than the storage's ETag says.
        parts.append(f"<ObjectParts><PartsCount>{joined[1]}</PartsCount></ObjectParts>")
    if "StorageClass" in wanted:
        given = escape(attributes.headers.get("x-amz-storage-class", ""))
        parts.append(f"<StorageClass>{given or 'STANDARD'}</StorageClass>")
    if "ObjectSize" in wanted:
        parts.append(f"<ObjectSize>{status.size}</ObjectSize>")
    return _document("GetObjectAttributesResponse", *parts)


def _object_parts(attributes: Attributes, request: PartsRequest) -> str:
    sizes, values = attributes.part_sizes, attributes.part_checksums
    element = _ELEMENTS.get(next(iter(attributes.checksums), ""), "")
    numbers = range(request.after + 1, len(sizes) + 1)[: request.limit]
    last = numbers[-1] if numbers else request.after
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><Size>{sizes[number - 1]}</Size>"
        + (
            f"<{element}>{escape(values[number - 1])}</{element}>"
            if element and number <= len(values)
            else ""
        )
        + "</Part>"
        for number in numbers
    )
    return (
        f"<ObjectParts><PartsCount>{len(sizes)}</PartsCount>"
        f"<PartNumberMarker>{request.after}</PartNumberMarker>"
        f"<NextPartNumberMarker>{last}</NextPartNumberMarker>"
        f"<MaxParts>{request.limit}</MaxParts>"
        f"<IsTruncated>{_truth(bool(numbers) and last < len(sizes))}</IsTruncated>"
        f"{rows}</ObjectParts>"
    )


# --- configurations --------------------------------------------------------------


def tagging(tags: Mapping[str, str]) -> bytes:
    """Write a Tagging."""
    rows = "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"
        for key, value in tags.items()
    )
    return _document("Tagging", f"<TagSet>{rows}</TagSet>")


def versioning(status: str) -> bytes:
    """
    Write a VersioningConfiguration.

    :param status: C{Enabled}, C{Suspended}, or empty if it never was enabled.
    """
    return _document("VersioningConfiguration", _given("Status", escape(status)))


def access_control(owner: Owner) -> bytes:
    """Write an AccessControlPolicy: the owner may do everything, nobody else."""
    grantee = (
        f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser">'
        f"<ID>{escape(owner.id)}</ID>"
        f"<DisplayName>{escape(owner.name or owner.id)}</DisplayName></Grantee>"
    )
    return _document(
        "AccessControlPolicy",
        owner.element(),
        f"<AccessControlList><Grant>{grantee}"
        "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>",
    )


def policy_status(public: bool) -> bytes:
    """Write a PolicyStatus."""
    return _document("PolicyStatus", f"<IsPublic>{_truth(public)}</IsPublic>")


def cors(rules: Iterable[CORSRule]) -> bytes:
    """Write a CORSConfiguration."""
    parts = []
    for rule in rules:
        inner = [_given("ID", escape(rule.id))]
        for name, values in (
            ("AllowedMethod", rule.methods),
            ("AllowedOrigin", rule.origins),
            ("AllowedHeader", rule.headers),
            ("ExposeHeader", rule.expose),
        ):
            inner += [f"<{name}>{escape(value)}</{name}>" for value in values]
        if rule.max_age is not None:
            inner.append(f"<MaxAgeSeconds>{rule.max_age}</MaxAgeSeconds>")
        parts.append(f"<CORSRule>{''.join(inner)}</CORSRule>")
    return _document("CORSConfiguration", *parts)
