"""
Which requests from browsers a bucket's CORS configuration lets through, and what
is answered to them.

The rules are S3's (Amazon S3 User Guide, "How does Amazon S3 evaluate the CORS
configuration on a bucket?"): the first rule of which the origin, the method and,
in a preflight, every header match.  Not the Fetch standard's: that is the
browser's part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

from alluxio_tw.s3.configurations import CORSRule
from alluxio_tw.s3.patterns import starred

Headers = list[tuple[bytes, bytes]]

VARY = (
    b"Vary",
    b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
)
"""Goes with every answer to a request with an origin: it might have been another."""

MAX_HEADERS = 100
"""Of a preflight; a list that is longer is none."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)


@attrs.frozen
class CORSMatch:
    """
    A rule that lets a request through.

    :ivar origin: what to allow: C{*}, or the origin that asked.
    :ivar headers: that were asked for, in lower case.
    """

    rule: CORSRule
    origin: str
    headers: tuple[str, ...] = ()

    def lines(self, preflight: bool) -> Headers:
        """
        The headers that say so.

        :param preflight: it was one, so say as well what may follow.
        """
        found: Headers = [
            (b"Access-Control-Allow-Origin", self.origin.encode("latin-1", "replace"))
        ]
        rule = self.rule
        found.append((b"Access-Control-Allow-Methods", _joined(rule.methods)))
        if preflight and self.headers:
            found.append((b"Access-Control-Allow-Headers", _joined(self.headers)))
        if rule.expose:
            found.append((b"Access-Control-Expose-Headers", _joined(rule.expose)))
        if rule.max_age is not None:
            found.append((b"Access-Control-Max-Age", b"%d" % rule.max_age))
        if self.origin != "*":
            found.append((b"Access-Control-Allow-Credentials", b"true"))
        found.append(VARY)
        return found


def match(
    rules: Iterable[CORSRule], origin: str, method: str, headers: Sequence[str] = ()
) -> CORSMatch | None:
    """
    The first rule that lets a request through.

    :param method: of the request, or that the preflight asks for.
    :param headers: that the preflight asks for, in lower case.
    """
    for rule in rules:
        if method not in rule.methods:
            continue
        found = next((each for each in rule.origins if starred(each)(origin)), None)
        if found is None or not all(_allows(rule, name) for name in headers):
            continue
        return CORSMatch(rule, "*" if found == "*" else origin, tuple(headers))
    return None


def requested_headers(value: bytes) -> tuple[str, ...] | None:
    """
    Read C{Access-Control-Request-Headers}: names in lower case; L{None} if it is
    no list of names.
    """
    names = [
        name.strip().lower()
        for name in value.decode("latin-1").split(",")
        if name.strip()
    ]
    if len(names) > MAX_HEADERS or not all(map(_TOKEN.fullmatch, names)):
        return None
    return tuple(names)


def _allows(rule: CORSRule, name: str) -> bool:
    return any(starred(each.lower())(name) for each in rule.headers)


def _joined(words: Iterable[str]) -> bytes:
    return ", ".join(words).encode("latin-1", "replace")
