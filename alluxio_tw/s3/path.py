"""
The request target: which bucket, which key, and what was asked of it.

The key is what the client meant, byte for byte: percent-encoding is undone
once, a plus in a path is a plus, dot segments and doubled slashes are part of
the name (S3 API reference, "Naming Amazon S3 objects").  The undecoded path
and query are kept beside it, because that is what a signature covers.

Every request comes through L{parse_target}, so a target without C{%} and
C{?} costs one decoding and one split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import unquote_to_bytes

import attrs

from alluxio_tw.errors import (
    InvalidArgument,
    InvalidBucketName,
    InvalidURI,
    KeyTooLong,
)
from alluxio_tw.s3.names import is_legacy_bucket_name

MAX_KEY_LENGTH = 1024

Query = Mapping[str, "str | None"]
"""
The query's parameters.  One without C{=} has the value L{None}; of one that is
repeated the first counts, as it does for S3.
"""

NO_QUERY: Query = MappingProxyType({})

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
# Names that no storage can have, whatever its rules; the rest is for the
# mounts to say.
_NO_NAMES = frozenset(("", ".", ".."))


class Kind(Enum):
    """What a request is about."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@attrs.frozen
class Root:
    """
    The service itself.

    :ivar raw_path: the path as it was sent, never empty.
    :ivar raw_query: the query as it was sent, without its question mark.
    """

    query: Query
    raw_path: bytes
    raw_query: bytes

    kind: ClassVar[Kind] = Kind.SERVICE


@attrs.frozen
class BucketPath:
    """A bucket; not necessarily one that there is, or could be."""

    bucket: str
    query: Query
    raw_path: bytes
    raw_query: bytes

    kind: ClassVar[Kind] = Kind.BUCKET


@attrs.frozen
class ObjectPath:
    """An object of a bucket."""

    bucket: str
    key: str
    query: Query
    raw_path: bytes
    raw_query: bytes

    kind: ClassVar[Kind] = Kind.OBJECT


Target = Root | BucketPath | ObjectPath


def _domain(name: str) -> bytes:
    return name.strip().strip(".").lower().encode("ascii")


def _domains(names: tuple[str, ...]) -> tuple[bytes, ...]:
    # The longest first: of "example.com" and "s3.example.com" the nearer wins.
    return tuple(sorted(filter(None, map(_domain, names)), key=len, reverse=True))


def _prefix(path: str | bytes) -> bytes:
    stripped = (path.encode("ascii") if isinstance(path, str) else path).strip(b"/")
    return b"/" + stripped if stripped else b""


@attrs.frozen
class Addressing:
    """
    How a target names its bucket.

    :ivar domains: the names of this endpoint
        (C{alluxio.worker.s3.domain.names}): before one of them in C{Host}, a
        bucket stands.
    :ivar prefix: a path that may stand before the bucket, such as C{/s3}.
        Paths without it are served as well.  It does not go together with a
        bucket in C{Host}, where the whole path is the key.
    :ivar max_key_length: in bytes of UTF-8.
    """

    domains: tuple[bytes, ...] = attrs.field(default=(), converter=_domains)
    prefix: bytes = attrs.field(default=b"", converter=_prefix)
    max_key_length: int = MAX_KEY_LENGTH

    def bucket_of_host(self, host: bytes) -> str | None:
        """The bucket that C{Host} names, if it does."""
        name = host.strip().lower()
        # An IPv6 address has colons of its own, but nobody's domain ends in "]".
        name = name.partition(b":")[0].rstrip(b".")
        if name in self.domains:
            return None
        for domain in self.domains:
            if name.endswith(domain) and name[-len(domain) - 1 : -len(domain)] == b".":
                return name[: -len(domain) - 1].decode("latin-1") or None
        return None


PATH_STYLE = Addressing()


def parse_target(
    raw: bytes, host: bytes | None = None, addressing: Addressing = PATH_STYLE
) -> Target:
    """
    Read a request target.

    :param raw: the second word of the request line: origin form, or absolute
        form, whose authority then stands for C{host} (RFC 9112, 3.2.2).
    :param host: the Host header.
    :raises InvalidURI: bad percent-encoding, no UTF-8, a NUL, or neither of
        the two forms.
    :raises InvalidBucketName: the bucket is empty, C{.}, C{..}, or holds a
        slash.
    :raises KeyTooLong: with C{Size} and C{MaxSizeAllowed}.
    """
    if raw[:1] != b"/":
        raw, host = _origin_form(raw)
    path, _, raw_query = raw.partition(b"?")
    query = parse_query(raw_query) if raw_query else NO_QUERY

    domains, prefix = addressing.domains, addressing.prefix
    if not domains and not prefix and b"%" not in path and path.isascii():
        # The common case by far, at half the cost.
        bucket, _, key = path.decode("ascii")[1:].partition("/")
        if (
            key
            and len(key) <= addressing.max_key_length
            and bucket not in _NO_NAMES
            and b"\0" not in path
        ):
            return ObjectPath(bucket, key, query, path, raw_query)

    named = path
    if domains and host:
        hosted = addressing.bucket_of_host(host)
        if hosted is not None:
            if len(path) == 1:
                return BucketPath(_bucket(hosted), query, path, raw_query)
            key = _key(path[1:], addressing.max_key_length)
            return ObjectPath(_bucket(hosted), key, query, path, raw_query)
    if prefix and path.startswith(prefix):
        rest = path[len(prefix) :]
        if not rest or rest[:1] == b"/":
            named = rest

    raw_bucket, _, raw_key = named[1:].partition(b"/")
    if not raw_key:
        if not raw_bucket and len(named) <= 1:
            return Root(query, path, raw_query)
        return BucketPath(_bucket(_decode(raw_bucket)), query, path, raw_query)
    return ObjectPath(
        _bucket(_decode(raw_bucket)),
        _key(raw_key, addressing.max_key_length),
        query,
        path,
        raw_query,
    )


def parse_query(raw: bytes) -> Query:
    """
    Read a query: parameters between ampersands, a plus for a space.

    :raises InvalidURI: bad percent-encoding or no UTF-8.
    """
    query: dict[str, str | None] = {}
    for parameter in raw.split(b"&"):
        if not parameter:
            continue
        raw_name, equals, raw_value = parameter.partition(b"=")
        name = _decode_form(raw_name)
        if name not in query:
            query[name] = _decode_form(raw_value) if equals else None
    return query


def parse_copy_source(raw: bytes, max_key_length: int = MAX_KEY_LENGTH) -> ObjectPath:
    """
    Read an C{x-amz-copy-source} header: C{bucket/key} or C{/bucket/key},
    percent-encoded, the slashes perhaps too, and perhaps with C{?versionId=}.

    A key with a C{?} of its own must escape it, as AWS asks.

    :raises InvalidArgument: it is neither.
    """
    path, mark, tail = raw.strip().partition(b"?versionId=")
    try:
        name, _, key = _decode(path).removeprefix("/").partition("/")
        if not is_legacy_bucket_name(name):
            raise InvalidBucketName
        bucket = _bucket(name)
        key = _checked(key, path, max_key_length)
        query: Query = {"versionId": _decode(tail)} if mark else NO_QUERY
    except (InvalidURI, InvalidBucketName) as error:
        raise _bad_copy_source(raw) from error
    if not key:
        raise _bad_copy_source(raw)
    return ObjectPath(bucket, key, query, path, tail)


def _bad_copy_source(raw: bytes) -> InvalidArgument:
    return InvalidArgument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        ArgumentName="x-amz-copy-source",
        ArgumentValue=raw.decode("utf-8", "replace"),
    )


def _origin_form(raw: bytes) -> tuple[bytes, bytes]:
    found = _ABSOLUTE.match(raw)
    if found is None or not found[1]:
        raise InvalidURI(URI=raw.decode("utf-8", "replace"))
    rest = raw[found.end() :]
    if rest[:1] != b"/":
        rest = b"/" + rest
    # What may stand before "@" is no part of the host.
    return rest, found[1].rpartition(b"@")[2]


def authority_of(raw: bytes) -> bytes:
    """
    The authority of a request target in absolute form, which stands for the
    Host header.

    :raises InvalidURI: it is not in absolute form.
    """
    return _origin_form(raw)[1]


def _decode(raw: bytes) -> str:
    if b"%" in raw:
        if _BROKEN_ESCAPE.search(raw):
            raise InvalidURI(URI=raw.decode("utf-8", "replace"))
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidURI(URI=raw.decode("utf-8", "replace")) from error


def _decode_form(raw: bytes) -> str:
    return _decode(raw.replace(b"+", b" "))


def _bucket(name: str) -> str:
    if "/" in name or "\0" in name or name in _NO_NAMES:
        raise InvalidBucketName(BucketName=name)
    return name


def _key(raw: bytes, limit: int) -> str:
    return _checked(_decode(raw), raw, limit)


def _checked(key: str, raw: bytes, limit: int) -> str:
    if "\0" in key:
        raise InvalidURI(URI=raw.decode("utf-8", "replace"))
    # No character is more than four bytes, so short keys need no encoding.
    if len(key) * 4 > limit:
        size = len(key) if key.isascii() else len(key.encode("utf-8"))
        if size > limit:
            raise KeyTooLong(Size=str(size), MaxSizeAllowed=str(limit))
    return key
