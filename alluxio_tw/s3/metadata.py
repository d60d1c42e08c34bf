"""
What a writer says about an object, from request headers and into replies.

Header text is kept as ISO 8859-1, as WSGI has it: every byte is a character,
so that whatever a client sent it gets back, be it UTF-8, ISO 8859-1 or an
encoded word of RFC 2047.  Not chosen: AWS's way, which stores the meaning and
answers with encoded words whatever was sent: few clients decode them, and the
ones that send encoded words see no difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from alluxio_tw.errors import InvalidArgument, InvalidStorageClass, MetadataTooLarge
from alluxio_tw.iobjects import Attributes
from alluxio_tw.s3.path import Query
from alluxio_tw.s3.tags import parse_tagging

MAX_METADATA = 2048
DEFAULT_TYPE = b"binary/octet-stream"

_USER = b"x-amz-meta-"
_REDIRECT = "x-amz-website-redirect-location"
_STORAGE_CLASS = "x-amz-storage-class"

# As they come, as they are kept, as they go.
_CONTENT_HEADERS = {
    b"content-type": ("content-type", b"Content-Type"),
    b"cache-control": ("cache-control", b"Cache-Control"),
    b"content-disposition": ("content-disposition", b"Content-Disposition"),
    b"content-encoding": ("content-encoding", b"Content-Encoding"),
    b"content-language": ("content-language", b"Content-Language"),
    b"expires": ("expires", b"Expires"),
    b"x-amz-storage-class": (_STORAGE_CLASS, b"x-amz-storage-class"),
    b"x-amz-website-redirect-location": (_REDIRECT, _REDIRECT.encode()),
}
_REPLY_NAMES = dict(_CONTENT_HEADERS.values())

_OVERRIDES = {
    "response-content-type": b"Content-Type",
    "response-content-language": b"Content-Language",
    "response-expires": b"Expires",
    "response-cache-control": b"Cache-Control",
    "response-content-disposition": b"Content-Disposition",
    "response-content-encoding": b"Content-Encoding",
}

STORAGE_CLASSES = frozenset(
    (
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
        "OUTPOSTS",
        "SNOW",
        "EXPRESS_ONEZONE",
    )
)

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)


def parse_attributes(
    headers: Mapping[bytes, bytes],
    max_metadata: int = MAX_METADATA,
    restricted_tags: bool = True,
) -> Attributes:
    """
    Read what a PUT, a copy or a new upload says about its object.

    :param headers: by lower-case names; one that came twice is joined by commas.
    :param max_metadata: bytes of user metadata, names and values together
        (C{alluxio.worker.s3.header.metadata.max.size}).
    :raises MetadataTooLarge: with C{Size} and C{MaxSizeAllowed}.
    :raises InvalidStorageClass: there is no such class.
    :raises InvalidTag: as L{alluxio_tw.s3.tags.check_tags}.
    :raises InvalidArgument: the tags are no query, or the redirect is no
        location.
    """
    content: dict[str, str] = {}
    user: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        known = _CONTENT_HEADERS.get(name)
        if known is not None:
            if value:
                content[known[0]] = value.decode("latin-1")
        elif name.startswith(_USER) and len(name) > len(_USER):
            size += len(name) - len(_USER) + len(value)
            user[name[len(_USER) :].decode("latin-1")] = value.decode("latin-1")
    if size > max_metadata:
        raise MetadataTooLarge(Size=str(size), MaxSizeAllowed=str(max_metadata))
    _settle(content)
    tagging = headers.get(b"x-amz-tagging")
    tags = parse_tagging(tagging, restricted_tags) if tagging else {}
    return Attributes(headers=content, user=user, tags=tags)


def _settle(content: dict[str, str]) -> None:
    encoding = content.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding.lower():
        # That was about the way here, not about the object.
        codings = [coding.strip() for coding in encoding.split(",")]
        kept = ",".join(c for c in codings if c and c.lower() != "aws-chunked")
        if kept:
            content["content-encoding"] = kept
        else:
            del content["content-encoding"]
    storage_class = content.get(_STORAGE_CLASS)
    if storage_class is not None:
        if storage_class not in STORAGE_CLASSES:
            raise InvalidStorageClass(StorageClassRequested=storage_class)
        if storage_class == "STANDARD":
            del content[_STORAGE_CLASS]
    redirect = content.get(_REDIRECT)
    if redirect is not None and not redirect.startswith(("/", "http://", "https://")):
        raise InvalidArgument(
            "The website redirect location must have a prefix of 'http://' or"
            " 'https://' or '/'.",
            ArgumentName=_REDIRECT,
            ArgumentValue=redirect,
        )


def reply_headers(attributes: Attributes) -> list[tuple[bytes, bytes]]:
    """
    The headers that give an object's attributes back, C{Content-Type} among
    them always.

    User metadata whose name cannot be a header is counted in
    C{x-amz-missing-meta}, as AWS does.
    """
    content = attributes.headers
    reply = [] if "content-type" in content else [(b"Content-Type", DEFAULT_TYPE)]
    for name, value in content.items():
        known = _REPLY_NAMES.get(name)
        if known is not None:
            reply.append((known, header_bytes(value)))
    missing = 0
    for name, value in attributes.user.items():
        if _TOKEN.fullmatch(name):
            reply.append((_USER + name.encode("ascii"), header_bytes(value)))
        else:
            missing += 1
    if missing:
        reply.append((b"x-amz-missing-meta", b"%d" % missing))
    if attributes.tags:
        reply.append((b"x-amz-tagging-count", b"%d" % len(attributes.tags)))
    return reply


def header_bytes(text: str) -> bytes:
    """
    Kept header text as bytes again; never with anything that could end a
    header.
    """
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        # From a storage that others write to.
        raw = text.encode("utf-8", "replace")
    return _CONTROLS.sub(b" ", raw) if _CONTROLS.search(raw) else raw


def overrides(query: Query) -> dict[bytes, bytes]:
    """
    The reply headers that C{response-*} parameters ask for.

    :raises InvalidArgument: one has control characters in it.
    """
    if not query:
        return {}
    chosen: dict[bytes, bytes] = {}
    for parameter, name in _OVERRIDES.items():
        value = query.get(parameter)
        if value:
            raw = value.encode("utf-8", "replace")
            if _CONTROLS.search(raw):
                raise InvalidArgument(
                    "Header value cannot contain control characters.",
                    ArgumentName=parameter,
                    ArgumentValue=value,
                )
            chosen[name] = raw
    return chosen


def replaces(headers: Mapping[bytes, bytes], what: str) -> bool:
    """
    Does a copy replace its source's metadata, or its tags?

    :param what: C{metadata} or C{tagging}.
    :raises InvalidArgument: the directive is neither C{COPY} nor C{REPLACE}.
    """
    name = f"x-amz-{what}-directive"
    directive = headers.get(name.encode("ascii"), b"COPY")
    if directive not in (b"COPY", b"REPLACE"):
        raise InvalidArgument(
            f"Unknown {what} directive.",
            ArgumentName=name,
            ArgumentValue=directive.decode("latin-1"),
        )
    return directive == b"REPLACE"
