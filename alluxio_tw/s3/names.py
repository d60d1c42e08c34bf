"""
What a bucket may be called.
"""

from __future__ import annotations

import re
from functools import lru_cache

from alluxio_tw.errors import InvalidBucketName

# Labels of letters, digits and hyphens between dots, none empty, none with a
# hyphen at its edge: so "..", ".-" and "-." are out as well.
_LABELS = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)
_ADDRESS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_LEGACY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{2,254}")


@lru_cache(maxsize=1024)
def is_bucket_name(name: str) -> bool:
    """
    May a new bucket be called this?

    The rules for general purpose buckets: 3 to 63 lower-case letters, digits,
    dots and hyphens; a letter or digit at either end of every label; not in
    the form of an IPv4 address; none of the prefixes and suffixes that S3
    keeps for itself.
    """
    return (
        3 <= len(name) <= 63
        and _LABELS.fullmatch(name) is not None
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


@lru_cache(maxsize=1024)
def is_legacy_bucket_name(name: str) -> bool:
    """
    May a folder that is already there be served as a bucket?

    What us-east-1 once allowed: 3 to 255 letters, digits, dots, hyphens and
    underscores.  A leading dot is not among them: it hides a folder, and what
    is hidden stays so.
    """
    return _LEGACY.fullmatch(name) is not None


def check_bucket_name(name: str) -> None:
    """
    Refuse a name that a new bucket may not have.

    :raises InvalidBucketName: as L{is_bucket_name} says.
    """
    if not is_bucket_name(name):
        raise InvalidBucketName(BucketName=name)
