"""
Tag sets: what may be in one, and the header form of it.

The header form (C{x-amz-tagging}) is a query string; the XML form is read and
written by L{alluxio_tw.s3.xml} and L{alluxio_tw.s3.documents}.  Both come here
to be judged, so that they agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from unicodedata import category
from urllib.parse import quote

from alluxio_tw.errors import InvalidArgument, InvalidTag, InvalidURI
from alluxio_tw.s3.path import parse_query

OBJECT_TAGS = 10
BUCKET_TAGS = 50
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256

# Letters, separators and numbers of any script, and these signs.
_ASCII = re.compile(r"[A-Za-z0-9 _.:/=+\-@]*")
_SIGNS = frozenset("_.:/=+-@")


def check_tags(
    pairs: Iterable[tuple[str, str]], limit: int = OBJECT_TAGS, restricted: bool = True
) -> dict[str, str]:
    """
    Make a tag set of these keys and values, in the order given.

    :param limit: how many there may be: L{OBJECT_TAGS} or L{BUCKET_TAGS}.
    :param restricted: hold to the limits of S3, C{aws:} and the characters
        included (C{alluxio.worker.s3.tagging.restrictions.enabled}).  An empty
        key or one given twice is never right.
    :raises InvalidTag: with C{TagKey} or C{TagValue} where one is to blame.
    """
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not key:
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if key in tags:
            raise InvalidTag(
                "Cannot provide multiple Tags with the same key", TagKey=key
            )
        if restricted:
            if key[:4].lower() == "aws:":
                raise InvalidTag("System tags cannot be added/updated by requester")
            if len(key) > MAX_TAG_KEY or not _is_plain(key):
                raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
            if len(value) > MAX_TAG_VALUE or not _is_plain(value):
                raise InvalidTag(
                    "The TagValue you have provided is invalid",
                    TagKey=key,
                    TagValue=value,
                )
        tags[key] = value
        if restricted and len(tags) > limit:
            what = "Object" if limit == OBJECT_TAGS else "Bucket"
            raise InvalidTag(f"{what} tags cannot be greater than {limit}")
    return tags


def parse_tagging(header: bytes, restricted: bool = True) -> dict[str, str]:
    """
    Read an C{x-amz-tagging} header.

    :raises InvalidArgument: it is not in the form of a query, or a key is empty or
        in it twice.
    :raises InvalidTag: as L{check_tags}.
    """
    pairs: list[tuple[str, str]] = []
    for parameter in header.strip().split(b"&"):
        if not parameter:
            continue
        try:
            [(key, value)] = parse_query(parameter).items()
        except InvalidURI as error:
            raise _bad_header(header) from error
        if not key:
            raise _bad_header(header)
        pairs.append((key, value or ""))
    if len({key for key, _ in pairs}) < len(pairs):
        raise _bad_header(header)
    return check_tags(pairs, OBJECT_TAGS, restricted)


def format_tagging(tags: Mapping[str, str]) -> str:
    """Write an C{x-amz-tagging} header: the inverse of L{parse_tagging}."""
    return "&".join(
        f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in tags.items()
    )


def _bad_header(header: bytes) -> InvalidArgument:
    return InvalidArgument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL"
        " query parameters without tag name duplicates.",
        ArgumentName="x-amz-tagging",
        ArgumentValue=header.decode("utf-8", "replace"),
    )


def _is_plain(text: str) -> bool:
    if _ASCII.fullmatch(text):
        return True
    return all(
        character in _SIGNS or category(character)[0] in "LZN" for character in text
    )
