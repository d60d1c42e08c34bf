"""
What a listing was asked for: the parameters of every call that lists.

When S3 refuses two things about a request, which one it names depends on
whether the bucket exists: numbers and parameters of the other version of the
call are judged before the bucket, the rest after it.  So parsing raises the
former and keeps the latter for C{judge}, which is to be called once the bucket
is known to be there.

Not chosen: a continuation token that is signed or encrypted.  It holds a key,
the client could name any key as C{start-after} anyway, and tokens that any
worker can read survive restarts and changes of ownership.

Beyond 400 lines: the five kinds of listing share their rules.
"""

from __future__ import annotations

import base64
import re

import attrs

from alluxio_tw.errors import GatewayError, InvalidArgument, InvalidToken
from alluxio_tw.s3.folding import E, Fold, after_group
from alluxio_tw.s3.path import Query

MAX_KEYS = 1000
MAX_BUCKETS = 10_000
MAX_PART_NUMBER = 10_000

_INT32 = 2147483647
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_TOKEN_VERSION = b"\x01"


@attrs.frozen
class ListRequest:
    """
    Which keys, how folded, from where, how many.

    :ivar delimiter: empty for none.
    :ivar marker: where to begin as the client said it (C{marker},
        C{key-marker}, or C{start-after}), to be echoed; L{None} if it did not.
    :ivar after: keys greater than this, and not in the group that it is the
        common prefix of; empty for all.
    :ivar id_marker: C{version-id-marker} or C{upload-id-marker}: also keys equal
        to C{after} with a greater id; L{None} without.
    :ivar limit: how many items at most, 0 to 1,000.
    :ivar encoding: C{encoding-type} as sent, to be echoed; empty without.
    :ivar token: C{continuation-token} as sent, to be echoed; L{None} without.
    :ivar fetch_owner: C{fetch-owner} was asked for.
    :ivar late: what is wrong but to be told only where the bucket exists.
    """

    prefix: str = ""
    delimiter: str = ""
    marker: str | None = None
    after: str = ""
    id_marker: str | None = None
    limit: int = MAX_KEYS
    encoding: str = ""
    token: str | None = None
    fetch_owner: bool = False
    late: GatewayError | None = None

    def judge(self) -> None:
        """
        Raise what was kept until the bucket was known to be there.

        :raises InvalidArgument: see L{late}.
        :raises InvalidToken: the continuation token is none of ours.
        """
        if self.late is not None:
            raise self.late

    def fold(self) -> Fold[E]:
        """
        The fold that makes the page asked for.

        :raises InvalidArgument: as L{judge}.
        """
        self.judge()
        return Fold(self.prefix, self.delimiter, self.after, self.limit, self.id_marker)


@attrs.frozen
class PartsRequest:
    """
    Which parts of an upload.

    :ivar after: parts with greater numbers.
    :ivar limit: how many at most, 0 to 1,000.
    """

    after: int = 0
    limit: int = MAX_KEYS
    encoding: str = ""


@attrs.frozen
class BucketsRequest:
    """
    Which buckets.

    :ivar prefix: L{None} if it was not asked for, else to be echoed.
    :ivar after: names greater than this; empty for all.
    :ivar paged: any of these parameters was sent.
    """

    prefix: str | None = None
    after: str = ""
    limit: int = MAX_BUCKETS
    paged: bool = False


# --- parameters ----------------------------------------------------------------


def parse_list_objects(query: Query, v2: bool) -> ListRequest:
    """
    Read the parameters of ListObjects or ListObjectsV2.

    An empty continuation token begins at the beginning, as Ceph has it; AWS
    refuses it.

    :raises InvalidArgument: C{max-keys} is no integer, or a parameter belongs
        to the other version.
    """
    limit = _integer(query, "max-keys", MAX_KEYS)
    if v2:
        _refuse(query, "marker", "Marker unsupported with REST.GET.BUCKET in")
    else:
        _refuse(
            query,
            "continuation-token",
            "continuation-token only supported in REST.GET.BUCKET with",
        )
        _refuse(
            query, "start-after", "startAfter only supported in REST.GET.BUCKET with"
        )
    late = _Late()
    encoding = _encoding(query, late)
    token = _sent(query, "continuation-token")
    resumed = _resumed(token, late) if token else None
    late.check_limit(limit, "maxKeys", "Argument maxKeys must be an integer between")
    prefix, delimiter = query.get("prefix") or "", query.get("delimiter") or ""
    name = "start-after" if v2 else "marker"
    marker = _sent(query, name)
    late.check_nul(query, "prefix", "delimiter", name)
    after = marker or "" if resumed is None else resumed
    return ListRequest(
        prefix=prefix,
        delimiter=delimiter,
        marker=marker,
        after=after_group(after, prefix, delimiter),
        limit=min(max(limit, 0), MAX_KEYS),
        encoding=encoding,
        token=token,
        fetch_owner=(query.get("fetch-owner") or "").lower() == "true",
        late=late.error,
    )


def parse_list_versions(query: Query) -> ListRequest:
    """
    Read the parameters of ListObjectVersions.

    :raises InvalidArgument: C{max-keys} is no integer, or the
        C{version-id-marker} is empty or without a C{key-marker}.
    """
    limit = _integer(query, "max-keys", MAX_KEYS)
    marker = _sent(query, "key-marker")
    id_marker = _sent(query, "version-id-marker")
    if id_marker is not None:
        if not marker:
            raise InvalidArgument(
                "A version-id marker cannot be specified without a key marker.",
                ArgumentName="version-id-marker",
                ArgumentValue=id_marker,
            )
        if not id_marker:
            raise InvalidArgument(
                "A version-id marker cannot be empty.",
                ArgumentName="version-id-marker",
                ArgumentValue="",
            )
    late = _Late()
    encoding = _encoding(query, late)
    if limit < 0:
        late.keep(
            InvalidArgument("max-keys cannot be negative", ArgumentName="max-keys")
        )
    late.check_nul(query, "key-marker", "prefix", "delimiter")
    prefix, delimiter = query.get("prefix") or "", query.get("delimiter") or ""
    return ListRequest(
        prefix=prefix,
        delimiter=delimiter,
        marker=marker,
        after=after_group(marker or "", prefix, delimiter),
        id_marker=id_marker,
        limit=min(max(limit, 0), MAX_KEYS),
        encoding=encoding,
        late=late.error,
    )


def parse_list_uploads(query: Query) -> ListRequest:
    """
    Read the parameters of ListMultipartUploads.

    An C{upload-id-marker} without a C{key-marker} is ignored, as the API
    reference says.

    :raises InvalidArgument: C{max-uploads} is no integer.
    """
    limit = _integer(query, "max-uploads", MAX_KEYS)
    late = _Late()
    encoding = _encoding(query, late)
    late.check_limit(
        limit, "max-uploads", "Argument max-uploads must be an integer between"
    )
    late.check_nul(query, "key-marker", "prefix", "delimiter")
    marker = _sent(query, "key-marker")
    prefix, delimiter = query.get("prefix") or "", query.get("delimiter") or ""
    return ListRequest(
        prefix=prefix,
        delimiter=delimiter,
        marker=marker,
        after=after_group(marker or "", prefix, delimiter),
        id_marker=(query.get("upload-id-marker") or None) if marker else None,
        limit=min(max(limit, 0), MAX_KEYS),
        encoding=encoding,
        late=late.error,
    )


def parse_list_parts(query: Query) -> PartsRequest:
    """
    Read the parameters of ListParts, or those headers of GetObjectAttributes
    that mean the same, given as a query.

    :raises InvalidArgument: C{max-parts} or C{part-number-marker} is no
        integer, or out of its range.
    """
    limit = _integer(query, "max-parts", MAX_KEYS)
    after = _integer(query, "part-number-marker", 0)
    late = _Late()
    for name, value in (("max-parts", limit), ("part-number-marker", after)):
        late.check_limit(value, name, f"Argument {name} must be an integer between")
    encoding = _encoding(query, late)
    if late.error is not None:
        raise late.error
    return PartsRequest(after, min(limit, MAX_KEYS), encoding)


def parse_list_buckets(query: Query) -> BucketsRequest:
    """
    Read the parameters of ListBuckets.

    :raises InvalidArgument: C{max-buckets} is no integer from 1 to 10,000.
    :raises InvalidToken: the continuation token is none of ours.
    """
    limit = _integer(query, "max-buckets", MAX_BUCKETS)
    if not 1 <= limit <= MAX_BUCKETS:
        raise InvalidArgument(
            f"Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}",
            ArgumentName="max-buckets",
            ArgumentValue=str(limit),
        )
    token = query.get("continuation-token")
    return BucketsRequest(
        prefix=_sent(query, "prefix"),
        after=parse_token(token) if token else "",
        limit=limit,
        paged=any(
            name in query
            for name in ("max-buckets", "prefix", "continuation-token", "bucket-region")
        ),
    )


def parse_part_number(query: Query) -> int:
    """
    Read C{partNumber}.

    :raises InvalidArgument: it is no integer from 1 to 10,000.
    """
    text = query.get("partNumber") or ""
    if _INTEGER.fullmatch(text) and len(text.lstrip("0")) <= 5:
        number = int(text)
        if 1 <= number <= MAX_PART_NUMBER:
            return number
    raise InvalidArgument(
        f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive",
        ArgumentName="partNumber",
        ArgumentValue=text,
    )


class _Late:
    """
    The first thing that is wrong but not yet to be told.
    """

    error: GatewayError | None = None

    def keep(self, error: GatewayError) -> None:
        if self.error is None:
            self.error = error

    def check_limit(self, value: int, name: str, message: str) -> None:
        if value < 0:
            self.keep(
                InvalidArgument(
                    f"{message} 0 and {_INT32}",
                    ArgumentName=name,
                    ArgumentValue=str(value),
                )
            )

    def check_nul(self, query: Query, *names: str) -> None:
        for name in names:
            if "\0" in (query.get(name) or ""):
                self.keep(
                    InvalidArgument(
                        "Value must be a sequence of Unicode characters and cannot"
                        " include Null.",
                        ArgumentName=name,
                        ArgumentValue=query.get(name) or "",
                    )
                )


def _sent(query: Query, name: str) -> str | None:
    return (query[name] or "") if name in query else None


def _integer(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if not text:
        return default
    if _INTEGER.fullmatch(text):
        # Measured by their value, not their length; and int() refuses to read
        # thousands of digits.
        significant = text.lstrip("-").lstrip("0") or "0"
        if len(significant) <= 10:
            value = -int(significant) if text[0] == "-" else int(significant)
            if -_INT32 - 1 <= value <= _INT32:
                return value
    raise InvalidArgument(
        f"Provided {name} not an integer or within integer range",
        ArgumentName=name,
        ArgumentValue=text,
    )


def _refuse(query: Query, name: str, message: str) -> None:
    if name in query:
        raise InvalidArgument(f"{message} list-type=2", ArgumentName=name)


def _encoding(query: Query, late: _Late) -> str:
    if "encoding-type" not in query:
        return ""
    sent = query.get("encoding-type") or ""
    if sent.lower() != "url":
        late.keep(
            InvalidArgument(
                "Invalid Encoding Method specified in Request",
                ArgumentName="encoding-type",
                ArgumentValue=sent,
            )
        )
        return ""
    return sent


# --- tokens --------------------------------------------------------------------


def format_token(last: str) -> str:
    """The token that resumes after the last key or common prefix of a page."""
    raw = _TOKEN_VERSION + last.encode("utf-8")
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def parse_token(token: str) -> str:
    """
    The inverse of L{format_token}.

    :raises InvalidToken: it is none of ours.
    """
    try:
        raw = base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True
        )
        if raw[:1] != _TOKEN_VERSION:
            raise ValueError(token)
        return raw[1:].decode("utf-8")
    except ValueError as error:
        raise InvalidToken(ArgumentName="continuation-token") from error


def _resumed(token: str, late: _Late) -> str | None:
    try:
        return parse_token(token)
    except InvalidToken as error:
        late.keep(error)
        return None
