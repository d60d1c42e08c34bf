"""
GetObject and HeadObject: a version of an object as a reply.

L{answer} does not wait for anything, so the same code serves both the request
that could be answered at once and the one that had to wait for its reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time

from alluxio_tw.asking import in_name_of
from alluxio_tw.errors import (
    InvalidArgument,
    InvalidRequest,
    NoSuchVersion,
    NotModified,
)
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.iparts import Part
from alluxio_tw.s3 import metadata
from alluxio_tw.s3.conditions import (
    Conditions,
    range_applies,
    resolve_part,
    resolve_range,
)
from alluxio_tw.s3.dates import http_date
from alluxio_tw.s3.listing import parse_part_number
from alluxio_tw.s3.path import Query
from alluxio_tw.spans import Span
from alluxio_tw.web import reply
from alluxio_tw.web.admission import client_of
from alluxio_tw.web.call import Call
from alluxio_tw.web.request import Request

AT_ONCE = 64 << 10
"""A body up to this size is sent with its head in one call, if it is at hand."""


async def get_object(call: Call) -> None:
    """GetObject and HeadObject, when it could not be answered at once."""
    check_version(call.query)
    objects = call.gateway.objects
    if "partNumber" not in call.query:
        answer(call.request, await objects.open(call.bucket, call.key), call.query)
        return
    # What is none is wrong whether or not there is an object.
    number = parse_part_number(call.query)
    reading = await objects.open(call.bucket, call.key)
    try:
        part = await objects.part(call.bucket, call.key, reading.status, number)
    except BaseException:
        reading.close()
        raise
    answer(call.request, reading, call.query, part)


def check_version(query: Query) -> None:
    """
    There is one version of each object, and its id is C{null}.

    :raises NoSuchVersion: another is asked for.
    """
    if "versionId" in query:
        version = query["versionId"]
        if not version:
            raise InvalidArgument(
                "Version id cannot be the empty string",
                ArgumentName="versionId",
                ArgumentValue="",
            )
        if version != "null":
            raise NoSuchVersion(VersionId=version)


def answer(
    request: Request, reading: IReading, query: Query, part: Part | None = None
) -> None:
    """
    Reply with a version of an object, or as much of it as was asked for.

    :param part: the one that is asked for, where the storage knows of it.

    The reading's lease passes to the reply.

    :raises GatewayError: the conditions do not hold, or there are no such
        bytes; nothing was sent and the lease was returned.
    """
    try:
        _answer(request, reading, query, part)
    finally:
        reading.close()


def _answer(
    request: Request, reading: IReading, query: Query, part: Part | None
) -> None:
    status = reading.status
    headers = request.headers
    memo = status.memo
    block: bytes | None = memo.get("head")
    if block is None:
        block = memo["head"] = describe(status)

    if not query and _ALTERING.isdisjoint(headers):
        _answer_whole(request, reading, block)
        return

    conditions = Conditions.from_headers(headers)
    if conditions is not None:
        try:
            conditions.evaluate(
                status.etag,
                status.modified // 1_000_000_000,
                # Of this very second: the site's clock may be a second behind.
                time(),
            )
        except NotModified:
            reply.send(request, 304, not_modified(status), b"")
            return

    size = status.size
    code = 200
    span: Span | None = None
    wanted = headers.get(b"range")
    if query:
        if "partNumber" in query:
            span, parts = resolve_part(
                query["partNumber"] or "" if part is None else "1",
                status.attributes.part_sizes,
                size,
                wanted is not None,
            )
            if part is not None:
                span, parts = part.span, part.count
            code = 206
            if parts:
                block += b"x-amz-mp-parts-count: %d\r\n" % parts
        overridden = override(block, query)
        if overridden is not block and request.identity.anonymous:
            raise InvalidRequest(
                "Request specific response headers cannot be used for anonymous GET "
                "requests."
            )
        block = overridden
    if wanted is not None and span is None:
        if b"if-range" not in headers or range_applies(
            headers[b"if-range"], status.etag, status.modified // 1_000_000_000
        ):
            span = resolve_range(wanted, size)
            if span is not None:
                code = 206
    if span is None:
        length = size
        lines = b"%bContent-Length: %d\r\n" % (block, size)
        if b"x-amz-checksum-mode" in headers:
            lines += checksum_lines(status)
        offset = 0
    else:
        offset, length = span.offset, span.length
        if length:
            lines = b"%bContent-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n" % (
                block,
                length,
                offset,
                offset + length - 1,
                size,
            )
        else:
            # A part of an empty object: there is no way to write such a range.
            code = 200
            lines = b"%bContent-Length: 0\r\n" % block
        if b"x-amz-checksum-mode" in headers:
            if part is not None:
                lines += _checksum_lines(part.checksums, part.checksum_type)
            elif "partNumber" in query and status.attributes.part_sizes:
                lines += part_checksum_lines(status, query["partNumber"] or "")
            elif length == size:
                lines += checksum_lines(status)

    if request.method == b"HEAD":
        request.cache = cache = reading.cache
        if cache == "STALE":
            lines += _stale_lines(reading)
        reply.send(request, code, lines, b"")
        return
    if not length:
        request.cache = cache = reading.cache
        lines += _CACHE_LINES.get(cache) or _stale_lines(reading)
        reply.send(request, code, lines, b"")
        return
    if span is None:
        span = Span(0, size)
    if length <= AT_ONCE:
        data = reading.at_once(span)
        if data is not None:
            request.cache = cache = reading.cache
            lines += _CACHE_LINES.get(cache) or _stale_lines(reading)
            reply.send(request, code, lines, data)
            return
    _send(request, code, lines, reading, span)


def _answer_whole(request: Request, reading: IReading, block: bytes) -> None:
    """What nearly everybody asks for: all of it, on no conditions."""
    memo = reading.status.memo
    whole: tuple[Span, bytes] | None = memo.get("whole")
    if whole is None:
        size = reading.status.size
        lines = b"%bContent-Length: %d\r\n" % (block, size)
        whole = memo["whole"] = Span(0, size), lines
    span, lines = whole
    if request.method == b"HEAD":
        request.cache = cache = reading.cache
        if cache == "STALE":
            lines += _stale_lines(reading)
        reply.send(request, 200, lines, b"")
        return
    data: bytes | None = None
    if not span.length:
        data = b""
    elif span.length <= AT_ONCE:
        data = reading.at_once(span)
    if data is not None:
        request.cache = cache = reading.cache
        lines += _CACHE_LINES.get(cache) or _stale_lines(reading)
        reply.send(request, 200, lines, data)
        return
    _send(request, 200, lines, reading, span)


def _send(
    request: Request, status: int, lines: bytes, reading: IReading, span: Span
) -> None:
    """
    Send bytes that are too many, or not at hand, to be sent with their head.
    """
    # Of what lies in a file; no part of the contract, but a body less to make.
    descriptor: int | None = getattr(reading, "descriptor", None)
    if descriptor is not None:
        request.cache = cache = reading.cache
        lines += _CACHE_LINES.get(cache) or _stale_lines(reading)
        reply.send_file(request, status, lines, descriptor, reading, span)
        return
    with in_name_of(client_of(request)):
        body = reading.body(span)
    # Only now is it known what the cache has of it.
    request.cache = cache = reading.cache
    lines += _CACHE_LINES.get(cache) or _stale_lines(reading)
    reply.stream(request, status, lines, body)


_ALTERING = frozenset(
    (
        b"range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"x-amz-checksum-mode",
    )
)
"""Headers without which, and without a query, the answer is the whole object."""

_CACHE_LINES = {
    name: b"X-Cache: %b\r\n" % name.encode()
    for name in ("HIT", "MISS", "PARTIAL", "BYPASS")
}


def _stale_lines(reading: IReading) -> bytes:
    """
    That it is stale, and how old (RFC 9111, 5.1); its Warning is no more.
    """
    # No part of the contract: storages have no old ones.
    age: float = getattr(reading, "age", 0.0)
    return b"X-Cache: STALE\r\nAge: %d\r\n" % int(age)


def describe(status: Status) -> bytes:
    """
    The header lines that tell a version, whatever part of it is sent.
    """
    attributes = status.attributes
    lines: reply.Headers = [
        (b"Last-Modified", http_date(status.modified)),
        (b"ETag", b'"%b"' % status.etag.encode()),
        (b"Accept-Ranges", b"bytes"),
    ]
    lines.extend(metadata.reply_headers(attributes))
    return reply.block(lines)


def not_modified(status: Status) -> bytes:
    """What a 304 carries (RFC 9110, 15.4.5)."""
    lines: reply.Headers = [
        (b"ETag", b'"%b"' % status.etag.encode()),
        (b"Last-Modified", http_date(status.modified)),
    ]
    for name in ("cache-control", "expires"):
        value = status.attributes.headers.get(name)
        if value is not None:
            lines.append((name.title().encode(), metadata.header_bytes(value)))
    return reply.block(lines)


def checksum_lines(status: Status) -> bytes:
    """The checksums that were kept, for who asks for them."""
    attributes = status.attributes
    return _checksum_lines(attributes.checksums, attributes.checksum_type)


def _checksum_lines(checksums: Mapping[str, str], kind: str) -> bytes:
    if not checksums:
        return b""
    lines: reply.Headers = [
        (b"x-amz-checksum-" + name.encode(), value.encode())
        for name, value in checksums.items()
    ]
    lines.append((b"x-amz-checksum-type", kind.encode()))
    return reply.block(lines)


def part_checksum_lines(status: Status, number: str) -> bytes:
    """The checksum of a part, if it was kept."""
    attributes = status.attributes
    index = int(number) - 1
    if index >= len(attributes.part_checksums) or len(attributes.checksums) != 1:
        return b""
    (name,) = attributes.checksums
    return reply.block(
        [
            (
                b"x-amz-checksum-" + name.encode(),
                attributes.part_checksums[index].encode(),
            ),
            (b"x-amz-checksum-type", attributes.checksum_type.encode()),
        ]
    )


def override(block: bytes, query: Query) -> bytes:
    """
    Apply the C{response-*} parameters to rendered header lines.

    :raises InvalidArgument: one cannot be a header.
    """
    for name, value in metadata.overrides(query).items():
        prefix = name.lower() + b":"
        kept = [
            line
            for line in block.split(b"\r\n")
            if line and not line.lower().startswith(prefix)
        ]
        block = b"".join(line + b"\r\n" for line in kept)
        block += reply.block([(name, value)])
    return block
