"""
What clients say a bucket or an object shall be: documents read into values.
"""

from __future__ import annotations

import re

import attrs

from alluxio_tw.errors import (
    InvalidRequest,
    MalformedACL,
    MalformedXML,
    NotImplementedYet,
)
from alluxio_tw.s3.xml import Element, integer, parse

MAX_CORS_RULES = 100

_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII).fullmatch


@attrs.frozen
class BucketConfiguration:
    """
    What a new bucket shall be.

    :ivar location: its region; empty if none was named.
    :ivar tags: keys and values, unchecked.
    """

    location: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class CORSRule:
    """
    Which origins may do what from a browser.

    :ivar max_age: how long a browser may remember, in seconds.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int | None = None
    id: str = ""


@attrs.frozen
class Grant:
    """
    A permission for somebody.

    :ivar grantee: an ID, a URI or an address.
    :ivar permission: C{FULL_CONTROL}, C{READ}, ...
    """

    grantee: str
    permission: str


@attrs.frozen
class AccessControlList:
    """
    Who owns something, and who may do what with it.

    :ivar owner: an ID; empty if it is not said.
    """

    owner: str
    grants: tuple[Grant, ...]


def parse_bucket_configuration(data: bytes) -> BucketConfiguration:
    """
    Read a CreateBucketConfiguration; an empty body is one.

    :raises NotImplementedYet: a directory bucket is asked for.
    """
    if not data.strip():
        return BucketConfiguration()
    root = parse(data, "CreateBucketConfiguration", 500)
    bucket = root.one("Bucket")
    if root.one("Location") is not None or (
        bucket is not None and bucket.word("Type") == "Directory"
    ):
        raise NotImplementedYet
    tags = root.one("Tags")
    return BucketConfiguration(
        root.word("LocationConstraint") or "", () if tags is None else _tags(tags)
    )


def parse_tagging(data: bytes) -> tuple[tuple[str, str], ...]:
    """Read a Tagging: keys and values, for L{alluxio_tw.s3.tags} to judge."""
    tag_set = parse(data, "Tagging", 2000).one("TagSet")
    if tag_set is None:
        raise MalformedXML
    return _tags(tag_set)


def _tags(element: Element) -> tuple[tuple[str, str], ...]:
    pairs = []
    for tag in element.all("Tag"):
        key, value = tag.value("Key"), tag.value("Value")
        if key is None or value is None:
            raise MalformedXML
        pairs.append((key, value))
    return tuple(pairs)


def parse_versioning(data: bytes) -> str:
    """
    Read a VersioningConfiguration: C{Enabled} or C{Suspended}.

    :raises NotImplementedYet: deletion shall need a second factor.
    """
    root = parse(data, "VersioningConfiguration", 20)
    if root.word("MfaDelete") == "Enabled":
        raise NotImplementedYet
    status = root.word("Status")
    if status not in ("Enabled", "Suspended"):
        raise MalformedXML
    return status


def parse_cors(data: bytes) -> tuple[CORSRule, ...]:
    """
    Read a CORSConfiguration.

    :raises InvalidRequest: a method or a wildcard that S3 does not allow.
    """
    rules = parse(data, "CORSConfiguration").all("CORSRule")
    if not 1 <= len(rules) <= MAX_CORS_RULES:
        raise MalformedXML
    return tuple(map(_cors_rule, rules))


def _cors_rule(element: Element) -> CORSRule:
    origins, methods = (
        element.words("AllowedOrigin"),
        element.words("AllowedMethod"),
    )
    headers, expose = element.words("AllowedHeader"), element.words("ExposeHeader")
    if not origins or not methods:
        raise MalformedXML
    for method in methods:
        if method not in ("GET", "PUT", "HEAD", "POST", "DELETE"):
            raise InvalidRequest(
                "Found unsupported HTTP method in CORS config. Unsupported method is "
                + method
            )
    for name, values in (("AllowedOrigin", origins), ("AllowedHeader", headers)):
        for value in values:
            if value.count("*") > 1:
                raise InvalidRequest(
                    f'{name} "{value}" can not have more than one wildcard.'
                )
    for value in (*headers, *expose):
        if not _HEADER(value):
            raise InvalidRequest(f'AllowedHeader "{value}" contains invalid character.')
    for value in expose:
        if "*" in value:
            raise InvalidRequest(
                f'ExposeHeader "{value}" contains wildcard. We currently do not support'
                " wildcard for ExposeHeader."
            )
    age = element.word("MaxAgeSeconds")
    identity = element.word("ID") or ""
    if len(identity) > 255:
        raise MalformedXML
    return CORSRule(
        origins,
        methods,
        headers,
        expose,
        None if age is None else _age(age),
        identity,
    )


def _age(text: str) -> int:
    # As AWS, which takes those below nought: a browser then keeps nothing.
    return -integer(text[1:]) if text.startswith("-") else integer(text)


def parse_access_control(data: bytes) -> AccessControlList:
    """
    Read an AccessControlPolicy.

    :raises MalformedACL: instead of L{MalformedXML}.
    """
    try:
        root = parse(data, "AccessControlPolicy", 1000)
        owner, listed = root.one("Owner"), root.one("AccessControlList")
        if listed is None:
            raise MalformedXML
        return AccessControlList(
            "" if owner is None else owner.word("ID") or "",
            tuple(map(_grant, listed.all("Grant"))),
        )
    except MalformedXML as error:
        raise MalformedACL from error


def _grant(element: Element) -> Grant:
    grantee, permission = element.one("Grantee"), element.word("Permission")
    if grantee is None or not permission:
        raise MalformedXML
    for name in ("ID", "URI", "EmailAddress"):
        who = grantee.word(name)
        if who:
            return Grant(who, permission)
    raise MalformedXML
