"""
What L{make_compatibility} is told: what works here and how, what is known of
others, and which tests show it.

What others do is taken from what they say of themselves, or from their source:

  - Alluxio: the tables of its page "S3 API" (Enterprise AI 3.x);
  - AIStore: its source and documentation, version 5.0;
  - MinIO: its page "S3 API Compatibility", and which headers its source knows;
  - Ceph RGW: its page "Ceph Object Gateway S3 API" with those it leads to, and
    for conditions, checksums and attributes the tests that its developers run.

C{?} is what none of these says.
"""

from __future__ import annotations

from typing import NamedTuple

YES, PARTLY, NO, UNKNOWN = "yes", "partly", "no", "?"


class Row(NamedTuple):
    """
    One line of a table.

    :ivar names: operations, or headers, or parameters.
    :ivar note: how it works here; of what does not wholly, in what it falls short.
    :ivar others: of Alluxio, AIStore, MinIO and Ceph RGW, in this order: C{y}, C{p},
        C{-} or C{?}.
    :ivar tests: beneath C{tests}.
    :ivar partly: it does not wholly work here.
    :ivar refused: it is answered C{501 NotImplemented}; of operations this is known.
    """

    names: tuple[str, ...]
    note: str
    others: str
    tests: tuple[str, ...] = ()
    partly: bool = False
    refused: bool = False


def row(
    names: str,
    others: str,
    note: str = "",
    tests: str = "",
    partly: bool = False,
    refused: bool = False,
) -> Row:
    """A L{Row}, from words."""
    return Row(
        tuple(names.split()), note, others, tuple(tests.split()), partly, refused
    )


OBJECTS = "blackbox.test_objects."
LISTINGS = "blackbox.test_listings."
MULTIPART = "blackbox.test_multipart.MultipartTests."
ACCESS = "blackbox.test_access."
EXACT = "blackbox.test_exactness."
SIGNED = "blackbox.test_signatures."
WIRE = "blackbox.test_wire."
UNBUILT = "blackbox.test_unbuilt.UnbuiltTests."

OPERATIONS: tuple[Row, ...] = (
    # --- the service and its buckets
    row(
        "ListBuckets",
        "ypyy",
        "mounts and created buckets; paged, by prefix",
        LISTINGS + "BucketTests.test_pages " + ACCESS + "OwnerTests.test_listed",
    ),
    row(
        "CreateBucket",
        "-pyy",
        "where the mount lets buckets be made; any region's name is taken; BucketOwner"
        "Enforced only",
        LISTINGS + "BucketTests.test_names " + ACCESS + "OwnerTests.test_made_again",
    ),
    row(
        "HeadBucket",
        "yyyy",
        "",
        LISTINGS + "BucketTests.test_life",
    ),
    row(
        "DeleteBucket",
        "-pyy",
        "a mounted bucket cannot be deleted",
        LISTINGS + "BucketTests.test_life",
    ),
    row(
        "GetBucketLocation",
        "--yy",
        "",
        LISTINGS + "BucketTests.test_life",
    ),
    row(
        "GetBucketTagging PutBucketTagging DeleteBucketTagging",
        "y-yy",
        "",
        LISTINGS + "BucketTests.test_tags",
    ),
    row(
        "GetBucketVersioning PutBucketVersioning",
        "-pyy",
        "the status is kept and answered; there is one version of each object, `null`",
        ACCESS + "ConfigurationTests.test_versioning",
        partly=True,
    ),
    row(
        "GetBucketAcl PutBucketAcl GetObjectAcl PutObjectAcl",
        "---y",
        "the owner's FULL_CONTROL; `private` may be put, all else is "
        "AccessControlListNotSupported, as of AWS buckets made since 2023",
        ACCESS + "ConfigurationTests.test_acl",
        partly=True,
    ),
    row(
        "GetBucketCors PutBucketCors DeleteBucketCors Preflight",
        "---y",
        "",
        ACCESS + "CORSTests.test_kept " + ACCESS + "CORSTests.test_preflight",
    ),
    row(
        "GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus",
        "--yy",
        "Allow and Deny, of users and everybody; which conditions: see access.md",
        ACCESS + "PolicyTests.test_kept " + ACCESS + "PolicyTests.test_deny",
        partly=True,
    ),
    # --- listings
    row(
        "ListObjects ListObjectsV2",
        "ppyy",
        "in the order of UTF-8, with any delimiter, streamed from the storage",
        LISTINGS + "ListingTests.test_pages " + LISTINGS + "ListingTests.test_many",
    ),
    row(
        "ListObjectVersions",
        "--yy",
        "one version of each, `null`",
        LISTINGS + "ListingTests.test_versions",
        partly=True,
    ),
    # --- objects
    row(
        "GetObject HeadObject",
        "ppyy",
        "",
        OBJECTS + "RoundTripTests.test_http " + OBJECTS + "RangeTests.test_random",
    ),
    row(
        "PutObject",
        "ppyy",
        "",
        OBJECTS + "RoundTripTests.test_http " + OBJECTS + "IntegrityTests.test_wrong",
    ),
    row(
        "CopyObject",
        "ppyy",
        "within a storage where it can, else through the gateway; between mounts",
        OBJECTS + "CopyTests.test_copy " + OBJECTS + "CopyTests.test_conditions",
    ),
    row(
        "DeleteObject DeleteObjects",
        "ppyy",
        "",
        OBJECTS + "RoundTripTests.test_delete " + EXACT + "DeletionTests.test_batch",
    ),
    row(
        "PostObject",
        "--?y",
        "with policy and signature, or anonymous where a policy allows it",
        ACCESS + "PostTests.test_upload " + ACCESS + "PostTests.test_refused",
    ),
    row(
        "GetObjectAttributes",
        "--yy",
        "",
        ACCESS
        + "ConfigurationTests.test_attributes "
        + EXACT
        + "CompletionTests.test_composite",
    ),
    row(
        "GetObjectTagging PutObjectTagging DeleteObjectTagging",
        "y-yy",
        "",
        OBJECTS + "DescriptionTests.test_tags",
    ),
    # --- multipart uploads
    row(
        "CreateMultipartUpload UploadPart AbortMultipartUpload",
        "yyyy",
        "any key; survives restarts",
        MULTIPART
        + "test_upload "
        + MULTIPART
        + "test_abort blackbox.test_multipart.RestartTests.test_resume",
    ),
    row(
        "CompleteMultipartUpload",
        "ypyy",
        "parts compared and measured before anything is joined; again, for who missed "
        "the answer",
        MULTIPART + "test_refused " + EXACT + "CompletionTests.test_again",
    ),
    row(
        "UploadPartCopy",
        "--yy",
        "",
        MULTIPART + "test_copied_parts",
    ),
    row(
        "ListParts",
        "ypyy",
        "",
        MULTIPART + "test_lists",
    ),
    row(
        "ListMultipartUploads",
        "yypy",
        "of MinIO: only for an exact key",
        MULTIPART + "test_lists",
    ),
    # --- not built: all are routed, refused, and touch nothing
    row("GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration", "--yy"),
    row("DeleteBucketLifecycle", "--yy"),
    row("GetBucketEncryption PutBucketEncryption DeleteBucketEncryption", "--y?"),
    row("GetBucketReplication PutBucketReplication DeleteBucketReplication", "--yp"),
    row(
        "GetBucketNotificationConfiguration PutBucketNotificationConfiguration",
        "--yy",
    ),
    row("GetBucketWebsite PutBucketWebsite DeleteBucketWebsite", "---y"),
    row("GetBucketLogging PutBucketLogging", "---y"),
    row("GetBucketRequestPayment PutBucketRequestPayment", "---y"),
    row("GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock", "---y"),
    row(
        "GetBucketOwnershipControls PutBucketOwnershipControls "
        "DeleteBucketOwnershipControls",
        "---?",
    ),
    row("GetObjectLockConfiguration PutObjectLockConfiguration", "--yy"),
    row(
        "GetObjectRetention PutObjectRetention GetObjectLegalHold PutObjectLegalHold",
        "--yy",
    ),
    row("SelectObjectContent", "--y?"),
    row("RestoreObject", "--y?"),
    row("GetObjectTorrent", "---?"),
    row(
        "GetBucketAccelerateConfiguration PutBucketAccelerateConfiguration",
        "---?",
    ),
    row(
        "GetBucketAnalyticsConfiguration ListBucketAnalyticsConfigurations "
        "PutBucketAnalyticsConfiguration DeleteBucketAnalyticsConfiguration",
        "---?",
    ),
    row(
        "GetBucketIntelligentTieringConfiguration "
        "ListBucketIntelligentTieringConfigurations "
        "PutBucketIntelligentTieringConfiguration "
        "DeleteBucketIntelligentTieringConfiguration",
        "---?",
    ),
    row(
        "GetBucketInventoryConfiguration ListBucketInventoryConfigurations "
        "PutBucketInventoryConfiguration DeleteBucketInventoryConfiguration",
        "---?",
    ),
    row(
        "GetBucketMetricsConfiguration ListBucketMetricsConfigurations "
        "PutBucketMetricsConfiguration DeleteBucketMetricsConfiguration",
        "---?",
    ),
    row(
        "CreateBucketMetadataConfiguration GetBucketMetadataConfiguration "
        "DeleteBucketMetadataConfiguration CreateBucketMetadataTableConfiguration "
        "GetBucketMetadataTableConfiguration DeleteBucketMetadataTableConfiguration "
        "UpdateBucketMetadataAnnotationTableConfiguration "
        "UpdateBucketMetadataInventoryTableConfiguration "
        "UpdateBucketMetadataJournalTableConfiguration",
        "--??",
    ),
    row(
        "GetObjectAnnotation ListObjectAnnotations PutObjectAnnotation "
        "DeleteObjectAnnotation",
        "--??",
    ),
    row("GetBucketAbac PutBucketAbac", "--??"),
    row("CreateSession", "---?"),
    row("ListDirectoryBuckets", "--y?"),
    row("RenameObject UpdateObjectEncryption", "--??"),
    row("WriteGetObjectResponse", "---?"),
)

HEADERS: tuple[Row, ...] = (
    row(
        "Range",
        "ypyy",
        "every form of one range; several, and what is none, are as if it were not "
        "there; 416 says how large the object is",
        OBJECTS + "RangeTests.test_random " + OBJECTS + "RangeTests.test_unsatisfiable",
    ),
    row("If-Range", "????", "", OBJECTS + "RangeTests.test_if_range"),
    row(
        "If-Match If-None-Match If-Modified-Since If-Unmodified-Since",
        "--yy",
        "of reads, in the precedence of RFC 9110",
        OBJECTS + "ConditionTests.test_reading",
    ),
    row(
        "If-Match If-None-Match:*",
        "--yy",
        "of PutObject, CopyObject and CompleteMultipartUpload: of many writers at once "
        "exactly one succeeds. `If-None-Match` with an ETag is 501, as of AWS",
        OBJECTS + "ConditionTests.test_race " + MULTIPART + "test_conditional",
    ),
    row(
        "If-Match x-amz-if-match-size x-amz-if-match-last-modified-time",
        "--py",
        "of DeleteObject, and as elements of DeleteObjects. The latter two AWS has "
        "only for directory buckets",
        EXACT + "DeletionTests.test_terms",
    ),
    row(
        "x-amz-copy-source-if-match x-amz-copy-source-if-none-match "
        "x-amz-copy-source-if-modified-since x-amz-copy-source-if-unmodified-since",
        "--yy",
        "",
        OBJECTS + "CopyTests.test_conditions",
    ),
    row(
        "x-amz-copy-source x-amz-copy-source-range",
        "ppyy",
        "the slashes may be escaped too",
        EXACT + "CopySourceTests.test_forms " + MULTIPART + "test_copied_parts",
    ),
    row(
        "x-amz-metadata-directive x-amz-tagging-directive",
        "y-yy",
        "",
        OBJECTS + "CopyTests.test_replace",
    ),
    row(
        "Content-Type Content-Encoding Content-Disposition Content-Language "
        "Cache-Control Expires",
        "p-yy",
        "kept as sent; of Alluxio and AIStore at most the type",
        OBJECTS + "DescriptionTests.test_headers",
    ),
    row(
        "x-amz-meta-*",
        "ppyy",
        "2 KB, byte for byte",
        OBJECTS + "DescriptionTests.test_raw_metadata",
    ),
    row("x-amz-tagging", "y-yy", "", OBJECTS + "DescriptionTests.test_tags"),
    row(
        "x-amz-storage-class",
        "--yy",
        "kept and told, not copied; it moves nothing",
        "s3.test_metadata.ParseTests.test_everything "
        "blackbox.test_conformance.CopyTests.test_own",
        partly=True,
    ),
    row(
        "x-amz-website-redirect-location",
        "--?y",
        "kept and told, not copied; there are no websites",
        "s3.test_metadata.ParseTests.test_everything "
        "blackbox.test_conformance.CopyTests.test_own",
        partly=True,
    ),
    row(
        "Content-MD5",
        "y-yy",
        "verified; what was there stays when it is wrong",
        WIRE + "DigestTests.test_md5",
    ),
    row(
        "x-amz-checksum-crc32 x-amz-checksum-crc32c x-amz-checksum-crc64nvme "
        "x-amz-checksum-sha1 x-amz-checksum-sha256",
        "--yy",
        "as headers and as trailers; kept, and told when asked",
        OBJECTS
        + "IntegrityTests.test_kinds "
        + OBJECTS
        + "IntegrityTests.test_wrong_trailer",
    ),
    row(
        "x-amz-checksum-sha512 x-amz-checksum-md5 x-amz-checksum-xxhash64 "
        "x-amz-checksum-xxhash3 x-amz-checksum-xxhash128",
        "--??",
        "likewise; of parts only COMPOSITE",
        "blackbox.test_conformance.ChecksumTests.test_kinds",
    ),
    row(
        "x-amz-checksum-algorithm x-amz-checksum-type x-amz-sdk-checksum-algorithm",
        "--yy",
        "COMPOSITE and FULL_OBJECT; each part's is told, of up to 1,000 parts",
        MULTIPART + "test_checksums " + EXACT + "CompletionTests.test_composite",
    ),
    row("x-amz-checksum-mode", "--yy", "", OBJECTS + "IntegrityTests.test_kinds"),
    row("x-amz-mp-object-size", "--??", "", MULTIPART + "test_refused"),
    row(
        "x-amz-content-sha256",
        "-pyy",
        "a hash, which is verified, and all forms but ECDSA",
        SIGNED + "WireTests.test_body " + SIGNED + "WireTests.test_chunks",
    ),
    row(
        "x-amz-decoded-content-length x-amz-trailer Content-Encoding:aws-chunked",
        "?pyy",
        "signed and unsigned; of AIStore: unframed, not verified",
        SIGNED
        + "WireTests.test_wrong_chunks "
        + WIRE
        + "MalformedTests.test_wrong_chunks",
    ),
    row(
        "Expect:100-continue",
        "???y",
        "answered once signature, permission, length, conditions and room were judged",
        WIRE
        + "ContinueTests.test_refused blackbox.test_overload.BoundTests.test_expecting",
    ),
    row(
        "Authorization x-amz-date",
        "--yy",
        "Signature Version 4; or the user's name alone (SIMPLE). Version 2 is refused",
        SIGNED + "Boto3Tests.test_http " + SIGNED + "WireTests.test_version_2",
    ),
    row(
        "x-amz-security-token",
        "-pyy",
        "there are no temporary keys: InvalidToken",
        "web.test_authentication.SignedTests.test_token",
        partly=True,
    ),
    row(
        "x-amz-expected-bucket-owner x-amz-source-expected-bucket-owner",
        "--??",
        "the owner is a user's name",
        ACCESS + "OwnerTests.test_expected_owner",
    ),
    row(
        "x-amz-acl x-amz-grant-*",
        "---y",
        "canned ACLs that give nobody anything; all else is "
        "AccessControlListNotSupported",
        UNBUILT + "test_headers",
        partly=True,
    ),
    row(
        "Origin Access-Control-Request-Method Access-Control-Request-Headers",
        "--py",
        "",
        ACCESS + "CORSTests.test_answers",
    ),
    row(
        "x-amz-object-attributes x-amz-max-parts x-amz-part-number-marker",
        "--yy",
        "",
        ACCESS + "ConfigurationTests.test_attributes",
    ),
    row(
        "x-amz-server-side-encryption x-amz-server-side-encryption-customer-*",
        "--yy",
        "never ignored: who asks for encryption is told that there is none",
        UNBUILT + "test_headers",
        refused=True,
    ),
    row(
        "x-amz-object-lock-mode x-amz-object-lock-retain-until-date "
        "x-amz-object-lock-legal-hold x-amz-bucket-object-lock-enabled",
        "--yy",
        "likewise",
        UNBUILT + "test_headers",
        refused=True,
    ),
    row(
        "x-amz-write-offset-bytes",
        "--??",
        "",
        UNBUILT + "test_headers",
        refused=True,
    ),
)

PARAMETERS: tuple[Row, ...] = (
    row(
        "prefix delimiter max-keys",
        "ypyy",
        "any delimiter",
        LISTINGS + "ListingTests.test_pages",
    ),
    row(
        "marker start-after continuation-token",
        "yyyy",
        "of AIStore: no marker",
        LISTINGS + "ListingTests.test_start_after",
    ),
    row("encoding-type", "y-yy", "", LISTINGS + "ListingTests.test_encoding"),
    row("fetch-owner", "--yy", "", LISTINGS + "ListingTests.test_fields"),
    row(
        "key-marker version-id-marker upload-id-marker max-uploads",
        "??yy",
        "",
        LISTINGS + "ListingTests.test_versions " + MULTIPART + "test_lists",
    ),
    row("max-parts part-number-marker", "?-yy", "", MULTIPART + "test_lists"),
    row(
        "max-buckets continuation-token prefix",
        "--?y",
        "of ListBuckets",
        LISTINGS + "BucketTests.test_pages",
    ),
    row(
        "partNumber",
        "-pyy",
        "of reads: the part's bytes, and its checksum",
        EXACT + "CompletionTests.test_composite",
    ),
    row(
        "response-content-type response-content-language response-expires "
        "response-cache-control response-content-disposition response-content-encoding",
        "--yy",
        "not for anonymous requests, as of AWS",
        OBJECTS + "DescriptionTests.test_overrides",
    ),
    row(
        "versionId",
        "--yy",
        "`null` is the one version there is; any other is NoSuchVersion",
        "web.test_reading.GetTests.test_versions",
        partly=True,
    ),
    row(
        "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires "
        "X-Amz-SignedHeaders X-Amz-Signature",
        "-pyy",
        "presigned URLs, up to 7 days; of AIStore: passed on to AWS",
        SIGNED + "Boto3Tests.test_presigned " + SIGNED + "WireTests.test_presigned",
    ),
    row(
        "X-Amz-Content-Sha256",
        "--??",
        "of a presigned URL: held to",
        SIGNED + "WireTests.test_presigned_hash",
    ),
)

ADDRESSES: tuple[Row, ...] = (
    row(
        "http://HOST/BUCKET/KEY",
        "y-yy",
        "path style; of AIStore: with a feature flag",
        "blackbox.test_addressing.PrefixTests.test_beside",
    ),
    row(
        "http://BUCKET.HOST/KEY",
        "--yy",
        "virtual-hosted style, by `alluxio.worker.s3.domain.names`",
        "blackbox.test_addressing.HostTests.test_client",
    ),
    row(
        "http://HOST/s3/BUCKET/KEY",
        "-y-?",
        "by `alluxio.worker.s3.path.prefix`",
        "blackbox.test_addressing.PrefixTests.test_client",
    ),
)
