"""
Which bytes are wanted, and on what terms: C{Range}, C{partNumber} and C{If-*}.

The rules are RFC 9110, sections 13 and 14, as GetObject, HeadObject, CopyObject
and PutObject narrow them: a malformed C{Range} and one of several ranges are as
if they were not there; a failed C{If-None-Match} of a copy is 412, not 304; an
empty object has no satisfiable range at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from alluxio_tw.errors import (
    InvalidArgument,
    InvalidPartNumber,
    InvalidRange,
    InvalidRequest,
    NotImplementedYet,
    NotModified,
    PreconditionFailed,
)
from alluxio_tw.iobjects import NO_DEMAND, Demand
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.spans import Span

ANY = ("*",)
"""What C{*} is read as: any entity tag."""

LAST_PART = 10_000

# Either kind of tag, or the bare word that some clients send for one.
_TAG = re.compile(rb'(W/)?"([^"]*)"|([^\s,"]+)')
# 64 digits are more than any size; int() of a whole header would be slow.
_RANGE = re.compile(rb"bytes=([0-9]{0,64})-([0-9]{0,64})", re.IGNORECASE).fullmatch
_COPY_RANGE = re.compile(rb"bytes=([0-9]{1,64})-([0-9]{1,64})").fullmatch
_PART = re.compile(r"[0-9]{1,5}", re.ASCII).fullmatch


def entity_tags(value: bytes, weak: bool) -> tuple[str, ...]:
    """
    The entity tags of a header, without quotes; L{ANY} for C{*}.

    :param weak: keep weak tags too: C{If-None-Match} compares weakly, all else
        strongly (RFC 9110, 8.8.3.2), and a weak tag equals nothing strongly.
    """
    if value.strip() == b"*":
        return ANY
    tags = []
    for found in _TAG.finditer(value):
        mark, quoted, bare = found.groups()
        tag = quoted if bare is None else bare
        # A quoted star is a tag that no object has; kept, it would mean any.
        if tag != b"*" and (weak or mark is None):
            tags.append(tag.decode("latin-1"))
    return tuple(tags)


@attrs.frozen
class Conditions:
    """
    What must be true of an object for it to be read.

    :ivar match: C{If-Match}.
    :ivar none_match: C{If-None-Match}.
    :ivar modified_since: C{If-Modified-Since}, in seconds since the epoch.
    :ivar unmodified_since: C{If-Unmodified-Since}, likewise.
    :ivar copying: they were asked of the source of a copy.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    modified_since: int | None = None
    unmodified_since: int | None = None
    copying: bool = False

    @classmethod
    def from_headers(cls, headers: Mapping[bytes, bytes]) -> Conditions | None:
        """
        Those of a GET or HEAD; L{None}, quickly, if there are none.

        :param headers: by lower-case name.
        """
        if (
            b"if-none-match" in headers
            or b"if-match" in headers
            or b"if-modified-since" in headers
            or b"if-unmodified-since" in headers
        ):
            return cls._read(headers, b"", False)
        return None

    @classmethod
    def of_copy_source(cls, headers: Mapping[bytes, bytes]) -> Conditions | None:
        """Those that C{x-amz-copy-source-if-*} ask of a copy's source."""
        read = cls._read(headers, b"x-amz-copy-source-", True)
        return None if read == _NO_COPY_CONDITIONS else read

    @classmethod
    def _read(
        cls, headers: Mapping[bytes, bytes], prefix: bytes, copying: bool
    ) -> Conditions:
        match = headers.get(prefix + b"if-match")
        none_match = headers.get(prefix + b"if-none-match")
        since = headers.get(prefix + b"if-modified-since")
        until = headers.get(prefix + b"if-unmodified-since")
        return cls(
            None if match is None else entity_tags(match, weak=False),
            None if none_match is None else entity_tags(none_match, weak=True),
            None if since is None else parse_http_date(since),
            None if until is None else parse_http_date(until),
            copying,
        )

    def evaluate(self, etag: str, modified: int, now: float | None = None) -> None:
        """
        Do they hold?  In the order of RFC 9110, 13.2.2: an entity tag makes the
        date beside it moot.

        :param etag: of the current version, without quotes.
        :param modified: its time, in whole seconds since the epoch.
        :param now: likewise; a C{If-Modified-Since} later than that is ignored,
            as S3 does.
        :raises PreconditionFailed: no; C{Condition} names which.
        :raises NotModified: no, and what the reader has is still good.
        """
        if self.match is not None:
            if self.match != ANY and etag not in self.match:
                self._refuse("If-Match")
        elif self.unmodified_since is not None and modified > self.unmodified_since:
            self._refuse("If-Unmodified-Since")
        if self.none_match is not None:
            if self.none_match == ANY or etag in self.none_match:
                self._refuse("If-None-Match", fresh=True)
        elif (
            self.modified_since is not None
            and modified <= self.modified_since
            and (now is None or self.modified_since <= now)
        ):
            self._refuse("If-Modified-Since", fresh=True)

    def _refuse(self, condition: str, fresh: bool = False) -> None:
        if self.copying:
            raise PreconditionFailed(Condition="x-amz-copy-source-" + condition)
        if fresh:
            raise NotModified()
        raise PreconditionFailed(Condition=condition)


_NO_COPY_CONDITIONS = Conditions(copying=True)


def write_demand(headers: Mapping[bytes, bytes]) -> Demand:
    """
    What a PutObject, CompleteMultipartUpload or DeleteObject makes conditional.

    C{If-Match: *} is granted to writers too, which S3 keeps for DeleteObject.

    :param headers: by lower-case name.
    :raises NotImplementedYet: a condition that S3 does not offer for writes:
        going ahead as if it were not there could destroy what it protects.
    """
    match = headers.get(b"if-match")
    absent = headers.get(b"if-none-match")
    for name, shown in _UNOFFERED:
        if name in headers:
            raise _unoffered(shown)
    if match is None and absent is None:
        return NO_DEMAND
    if match is not None and absent is not None:
        raise _unoffered(
            "If-Match,If-None-Match",
            "Multiple conditional request headers present in the request",
        )
    if match is not None:
        return Demand(match=entity_tags(match, weak=False))
    if absent is not None and absent.strip() == b"*":
        return Demand(absent=True)
    raise _unoffered(
        "If-None-Match",
        "We don't accept the provided value of If-None-Match header for this API",
    )


_UNOFFERED = (
    (b"if-unmodified-since", "If-Unmodified-Since"),
    (b"x-amz-if-match-last-modified-time", "x-amz-if-match-last-modified-time"),
    (b"x-amz-if-match-size", "x-amz-if-match-size"),
)


def _unoffered(header: str, more: str = "") -> NotImplementedYet:
    fields = {"Header": header}
    if more:
        fields["additionalMessage"] = more
    return NotImplementedYet(
        "A header you provided implies functionality that is not implemented", **fields
    )


def range_applies(value: bytes, etag: str, modified: int) -> bool:
    """
    Does C{If-Range} let the C{Range} beside it count?  If not, the whole object
    is the answer (RFC 9110, 13.1.5).

    :param value: of C{If-Range}: a strong tag or the exact date.
    """
    value = value.strip()
    if b'"' in value:
        return etag in entity_tags(value, weak=False)
    date = parse_http_date(value)
    return date == modified if date is not None else value == etag.encode("latin-1")


def resolve_range(value: bytes, size: int) -> Span | None:
    """
    Which bytes C{Range} asks for; L{None} if it is to be ignored.

    :param size: of the object, in bytes.
    :raises InvalidRange: there are no such bytes.
    """
    found = _RANGE(value.strip())
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start = int(first)
        end = int(last) + 1 if last else size
        if last and end <= start:
            return None
        if start >= size:
            raise _unsatisfiable(value, size)
        return Span(start, min(end, size) - start)
    if not last:
        return None
    length = min(int(last), size)
    if not length:
        raise _unsatisfiable(value, size)
    return Span(size - length, length)


def _unsatisfiable(value: bytes, size: int) -> InvalidRange:
    return InvalidRange(
        RangeRequested=value.decode("latin-1"), ActualObjectSize=str(size)
    )


def resolve_copy_range(value: bytes, size: int) -> Span:
    """
    Which bytes C{x-amz-copy-source-range} asks for.

    :param size: of the source, in bytes.
    :raises InvalidArgument: it is not of its one form, or reaches past the end.
    """
    found = _COPY_RANGE(value)
    start, end = (int(found[1]), int(found[2]) + 1) if found else (1, 0)
    if end <= start:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where "
            "first and last are the zero-based offsets of the first and last bytes to copy"
        )
    elif end > size:
        message = f"Range specified is not valid for source object of size: {size}"
    else:
        return Span(start, end - start)
    raise InvalidArgument(
        message,
        ArgumentName="x-amz-copy-source-range",
        ArgumentValue=value.decode("latin-1"),
    )


def resolve_part(
    number: str,
    part_sizes: tuple[int, ...],
    size: int,
    ranged: bool = False,
) -> tuple[Span, int]:
    """
    Which bytes C{?partNumber} asks for, and C{x-amz-mp-parts-count}: nought for
    an object that was put whole, which is its own only part.

    :param number: as in the query, decoded.
    :param part_sizes: of the object's parts, in order.
    :param size: of the object, in bytes.
    :param ranged: whether there is a C{Range} too.
    :raises InvalidArgument: it is no part number at all.
    :raises InvalidRequest: a range of a part cannot be asked for.
    :raises InvalidPartNumber: there is no such part.
    """
    part = int(number) if _PART(number) else 0
    if not 1 <= part <= LAST_PART:
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=number,
        )
    if ranged:
        raise InvalidRequest(
            "Cannot specify both Range header and partNumber query parameter"
        )
    sizes = part_sizes or (size,)
    if part > len(sizes):
        raise InvalidPartNumber(
            PartNumberRequested=str(part), ActualPartCount=str(len(sizes))
        )
    return Span(sum(sizes[: part - 1]), sizes[part - 1]), len(part_sizes)
