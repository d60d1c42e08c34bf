"""
The operations of multipart uploads.
"""

from __future__ import annotations

from alluxio_tw.errors import InvalidRequest, NotImplementedYet
from alluxio_tw.s3 import batches, checksums, documents, listing
from alluxio_tw.s3.conditions import resolve_copy_range, write_demand
from alluxio_tw.spans import Span
from alluxio_tw.web.call import Call
from alluxio_tw.web.incoming import incoming, stored_attributes
from alluxio_tw.web.reply import Headers, Reply
from alluxio_tw.web.writing import XML, copy_source, of_one_version, open_source

KINDS = ("FULL_OBJECT", "COMPOSITE")

DIGITS = 20
"""More digits than any size has."""

LARGE = 32 << 10
"""A list of parts of more bytes is read in a thread: one of 10,000 takes 90 ms."""


async def create_multipart_upload(call: Call) -> Reply:
    """CreateMultipartUpload."""
    algorithm, kind = _checksum_choice(call)
    upload = await call.gateway.uploads.create(
        call.bucket, call.key, call.user, stored_attributes(call), algorithm, kind
    )
    headers: Headers = list(XML)
    if algorithm:
        headers.append((b"x-amz-checksum-algorithm", algorithm.upper().encode()))
        headers.append((b"x-amz-checksum-type", kind.encode()))
    return Reply(
        200, headers, documents.initiate_upload(call.bucket, call.key, upload.id)
    )


def _checksum_choice(call: Call) -> tuple[str, str]:
    """
    The algorithm and type that C{x-amz-checksum-algorithm} and
    C{x-amz-checksum-type} ask for.
    """
    name = call.headers.get(b"x-amz-checksum-algorithm", b"").decode("latin-1").lower()
    kind = call.headers.get(b"x-amz-checksum-type", b"").decode("latin-1").upper()
    if name and name not in checksums.ALGORITHMS:
        raise InvalidRequest(checksums.UNSUPPORTED)
    if kind and kind not in KINDS:
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.")
    if kind and not name:
        raise InvalidRequest(
            "The x-amz-checksum-type header can only be used with the "
            "x-amz-checksum-algorithm header."
        )
    if not name:
        return "", ""
    if not kind:
        kind = "FULL_OBJECT" if name == "crc64nvme" else "COMPOSITE"
    combines = checksums.ALGORITHMS[name].combine is not None
    if (kind == "FULL_OBJECT" and not combines) or (
        kind == "COMPOSITE" and name == "crc64nvme"
    ):
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {name} checksum algorithm."
        )
    return name, kind


async def upload_part(call: Call) -> Reply:
    """UploadPart."""
    number = listing.parse_part_number(call.query)
    uploads = call.gateway.uploads
    upload = await uploads.get(call.bucket, call.key, call.query["uploadId"] or "")
    wanted = upload.checksum_algorithm or checksums.DEFAULT
    coming = incoming(call, upload.attributes, also=(wanted,))
    promised = checksums.Promises.from_headers(call.headers).algorithm
    if upload.checksum_algorithm and promised != wanted:
        if promised or upload.checksum_type == "COMPOSITE":
            raise InvalidRequest(
                f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, "
                f"actual checksum Type: {promised or 'null'}"
            )
    part = await uploads.put_part(call.bucket, call.key, upload.id, number, coming)
    headers: Headers = [(b"ETag", b'"%b"' % part.etag.encode())]
    # Of two, the one that the client knows of.
    name = promised or wanted
    headers.append((f"x-amz-checksum-{name}".encode(), part.checksums[name].encode()))
    return Reply(200, headers)


@of_one_version
async def upload_part_copy(call: Call) -> Reply:
    """UploadPartCopy."""
    number = listing.parse_part_number(call.query)
    source = copy_source(call)
    uploads = call.gateway.uploads
    upload = await uploads.get(call.bucket, call.key, call.query["uploadId"] or "")
    reading = await open_source(call, source)
    try:
        wanted = call.headers.get(b"x-amz-copy-source-range")
        size = reading.status.size
        span = Span(0, size) if wanted is None else resolve_copy_range(wanted, size)
        if span.length > uploads.part_limit:
            raise InvalidRequest(
                "The specified copy source is larger than the maximum allowable size "
                f"for a copy source: {uploads.part_limit}"
            )
        part = await uploads.copy_part(
            call.bucket, call.key, upload.id, number, reading, span
        )
    finally:
        reading.close()
    return Reply(
        200, XML, documents.copy_part(part.etag, part.modified, part.checksums)
    )


async def complete_multipart_upload(call: Call) -> Reply:
    """CompleteMultipartUpload."""
    demand = write_demand(call.headers)
    id = call.query["uploadId"] or ""
    data = await call.document(optional=True, checked=False)
    if len(data) < LARGE:
        claims = batches.parse_complete(data)
    else:
        threads = call.gateway.objects.threads
        claims = await threads.run(batches.parse_complete, data)
    size = call.headers.get(b"x-amz-mp-object-size")
    if size is not None and not (size.isdigit() and len(size) <= DIGITS):
        raise InvalidRequest("Value for x-amz-mp-object-size header is invalid.")
    status = await call.gateway.uploads.complete(
        call.bucket,
        call.key,
        id,
        claims,
        demand,
        _whole(call),
        int(size) if size is not None else None,
        call.headers.get(b"x-amz-checksum-type", b"").decode("latin-1").upper(),
    )
    return Reply(
        200,
        XML,
        documents.complete_upload(
            call.url,
            call.bucket,
            call.key,
            status.etag,
            status.attributes.checksums,
            status.attributes.checksum_type,
        ),
    )


def _whole(call: Call) -> tuple[str, str] | None:
    """
    What the client says is the checksum of the whole: algorithm and base64.

    :raises InvalidRequest: it says two, or it is none.
    """
    found = [
        (name, value.decode("latin-1"))
        for name in checksums.ALGORITHMS
        if (value := call.headers.get(f"x-amz-checksum-{name}".encode())) is not None
    ]
    if len(found) > 1:
        raise InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are "
            "not allowed."
        )
    if not found:
        return None
    name, said = found[0]
    if not checksums.valid_whole(name, said):
        raise InvalidRequest(f"Value for x-amz-checksum-{name} header is invalid.")
    return name, said


async def abort_multipart_upload(call: Call) -> Reply:
    """AbortMultipartUpload."""
    if b"x-amz-if-match-initiated-time" in call.headers:
        raise NotImplementedYet()
    await call.gateway.uploads.abort(
        call.bucket, call.key, call.query["uploadId"] or ""
    )
    return Reply(204)


async def list_parts(call: Call) -> Reply:
    """ListParts."""
    request = listing.parse_list_parts(call.query)
    upload, parts, more = await call.gateway.uploads.parts(
        call.bucket,
        call.key,
        call.query["uploadId"] or "",
        request.after,
        request.limit,
    )
    return Reply(
        200,
        XML,
        documents.list_parts(call.bucket, upload, request, parts, more, call.owner),
    )


async def list_multipart_uploads(call: Call) -> Reply:
    """ListMultipartUploads."""
    request = listing.parse_list_uploads(call.query)
    fold = await call.gateway.uploads.page(call.bucket, request)
    return Reply(
        200,
        XML,
        documents.list_uploads(
            call.bucket, request, fold.entries, fold.prefixes, fold.resume, call.owner
        ),
    )
