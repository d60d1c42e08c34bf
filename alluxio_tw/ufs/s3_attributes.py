"""
What is said about an object, as headers of the storage and as its tag document.

Header text is ISO 8859-1 as L{alluxio_tw.s3.metadata} has it.  What a storage
answers was written by anybody and is taken as it is; nothing here refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from alluxio_tw.errors import InvalidArgument, StorageUnavailable
from alluxio_tw.iobjects import Attributes, Status
from alluxio_tw.s3.checksums import ALGORITHMS
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.s3.metadata import DEFAULT_TYPE, header_bytes
from alluxio_tw.s3.tags import format_tagging
from alluxio_tw.s3.text import DECLARATION, escape
from alluxio_tw.s3.xml import parse, unquote

NO_S3 = "The storage answered what is no S3."

Headers = Mapping[bytes, bytes]
"""Of an answer, by lower-case name."""

_CONTENT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
_USER = "x-amz-meta-"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII).fullmatch
_COUNT = re.compile(rb"[0-9]{1,19}").fullmatch


def to_headers(attributes: Attributes, tags: bool = True) -> dict[bytes, bytes]:
    """
    The headers of a PUT, a new upload or a copy that replaces what was said.

    :raises InvalidArgument: user metadata has a name that no header can have.
    """
    headers = {b"content-type": DEFAULT_TYPE}
    for name, value in attributes.headers.items():
        headers[name.encode("ascii")] = header_bytes(value)
    for name, value in attributes.user.items():
        if not _TOKEN(name):
            raise InvalidArgument(
                "The storage behind this bucket cannot keep metadata of this name.",
                ArgumentName=_USER + name,
            )
        headers[(_USER + name).encode("ascii")] = header_bytes(value)
    if tags and attributes.tags:
        headers[b"x-amz-tagging"] = format_tagging(attributes.tags).encode("ascii")
    return headers


def checksum_header(attributes: Attributes) -> dict[bytes, bytes]:
    """The one checksum of a whole object that a PUT may carry, if there is any."""
    if attributes.checksum_type == "FULL_OBJECT":
        for name, value in attributes.checksums.items():
            if name in ALGORITHMS:
                return {ALGORITHMS[name].header.encode(): header_bytes(value)}
    return {}


def said(
    headers: Headers, tags: Mapping[str, str], doubted: Container[str] = ()
) -> Attributes:
    """
    What the headers of a reply say about the object.

    :param doubted: checksums that the server gets wrong.
    """
    content: dict[str, str] = {}
    user: dict[str, str] = {}
    checksums: dict[str, str] = {}
    kind = ""
    for raw, line in headers.items():
        name, value = raw.decode("latin-1"), line.decode("latin-1")
        if name.startswith(_USER):
            user[name[len(_USER) :]] = value
        elif name.startswith("x-amz-checksum-"):
            word = name[len("x-amz-checksum-") :]
            if word == "type":
                kind = value
            elif word in ALGORITHMS and word not in doubted:
                checksums[word] = value
        elif name in _CONTENT and value:
            content[name] = value
    if content.get("content-type", "").encode("latin-1") == DEFAULT_TYPE:
        del content["content-type"]
    if content.get("x-amz-storage-class") == "STANDARD":
        del content["x-amz-storage-class"]
    if checksums and not kind:
        composite = any("-" in value for value in checksums.values())
        kind = "COMPOSITE" if composite else "FULL_OBJECT"
    return Attributes(content, user, tags, checksums, kind if checksums else "")


def tag_count(headers: Headers) -> int:
    """How many tags a reply says that the object has."""
    return _number(headers, b"x-amz-tagging-count") or 0


def status_of(
    headers: Headers,
    tags: Mapping[str, str],
    size: int | None,
    doubted: Container[str] = (),
) -> Status:
    """
    The version that a reply to HEAD or GET is about.

    :param size: L{None} to take the length that the headers tell.
    :param doubted: as of L{said}.
    """
    etag = etag_of(headers)
    date = parse_http_date(first(headers, b"last-modified"))
    if size is None:
        size = _number(headers, b"content-length") or 0
    attributes = said(headers, tags, doubted)
    return Status(size, etag, etag, (date or 0) * 1_000_000_000, attributes)


def etag_of(headers: Headers) -> str:
    """
    The ETag of a reply about an object, without its quotes.

    :raises StorageUnavailable: it has none: whoever answers, such as a proxy between,
        is no S3.
    """
    etag = unquote(first(headers, b"etag").decode("latin-1"))
    if not etag:
        raise StorageUnavailable(NO_S3)
    return etag


def first(headers: Headers, name: bytes) -> bytes:
    """The value of a header, or nothing."""
    return headers.get(name, b"")


def _number(headers: Headers, name: bytes) -> int | None:
    value = first(headers, name)
    return int(value) if _COUNT(value) else None


def tag_document(tags: Mapping[str, str]) -> bytes:
    """What PutObjectTagging sends."""
    pairs = "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"
        for key, value in tags.items()
    )
    return f"{DECLARATION}<Tagging><TagSet>{pairs}</TagSet></Tagging>".encode()


def read_tags(document: bytes) -> dict[str, str]:
    """
    What GetObjectTagging answers.

    :raises MalformedXML: it is something else.
    """
    found = parse(document, "Tagging").one("TagSet")
    tags = found.all("Tag") if found is not None else []
    return {tag.value("Key") or "": tag.value("Value") or "" for tag in tags}
