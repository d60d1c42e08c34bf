"""
The canonical form of a request: what Signature Version 4 signs.

S3 decodes the path once and encodes it once again, and neither removes dot
segments nor merges slashes ("Create a canonical request", IAM user guide; S3 API
reference, "Signature Calculations").  Most clients sign the path as they put
it on the wire; both are the same unless they left something unencoded, or
encoded more than they had to.  So each of L{paths} and L{queries} gives what
AWS computes first, and after it what the wire says, where that differs: a
signature that holds for either binds the very bytes that were received.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote_from_bytes, unquote_to_bytes

# Bytes that encoding leaves alone are A-Z a-z 0-9 - . _ ~; these are all
# others, in upper-case hexadecimal, as encoding writes them.
_ESCAPE = rb"%(?:[0189A-F][0-9A-F]|2[0-9A-C]|2F|3[A-F]|40|5[B-E]|60|7[B-DF])"
_PLAIN = rb"[A-Za-z0-9._~-]*"
_PATH_DONE = re.compile(
    rb"[A-Za-z0-9._~/-]*(?:" + _ESCAPE.replace(b"|2F", b"") + rb"[A-Za-z0-9._~/-]*)*"
).fullmatch
_PART_DONE = re.compile(_PLAIN + rb"(?:" + _ESCAPE + _PLAIN + rb")*").fullmatch

MOST_NAMES = 32
"""Requests that sign more headers are legal, but have no L{layout} remembered."""

Values = Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]
"""
The values of certain headers.

:raises KeyError: one is not there.
"""


def encode(value: bytes, slash: bool = True) -> bytes:
    """
    Percent-encode, as signatures have it.

    :param slash: encode slashes too.
    """
    return quote_from_bytes(value, safe="" if slash else "/").encode("ascii")


def paths(path: bytes) -> tuple[bytes, ...]:
    """
    What may have been signed for a path.

    :param path: raw, as on the wire, without query; empty is C{/}.
    """
    if _PATH_DONE(path):
        return (path or b"/",)
    done = encode(unquote_to_bytes(path), slash=False)
    return (done, path) if done != path else (done,)


def queries(query: bytes, without: bytes = b"") -> tuple[bytes, ...]:
    """
    What may have been signed for a query.

    :param query: raw, without the question mark.
    :param without: the lower-case name of a parameter to leave out: a presigned
        URL's own signature.
    """
    if not query:
        return (b"",)
    pairs = []
    for item in query.split(b"&"):
        name, _, value = item.partition(b"=")
        if not without or name.lower() != without:
            pairs.append((name, value))
    wire = _joined(pairs)
    done = _joined(
        (_part(name), _part(value)) for name, value in pairs if name or value
    )
    return (done, wire) if done != wire else (done,)


def _part(value: bytes) -> bytes:
    if _PART_DONE(value):
        return value
    # S3 reads a plus in a query as a space, and signs what it read.
    return encode(unquote_to_bytes(value.replace(b"+", b" ")))


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    # By name, then by value: the order of whole texts differs, as "-" and "."
    # are less than "=".
    return b"&".join([name + b"=" + value for name, value in sorted(pairs)])


def request(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    signed: tuple[bytes, ...],
    payload: bytes,
) -> bytes:
    """
    The canonical request.

    :param path: in one of its L{paths}.
    :param query: in one of its L{queries}.
    :param headers: by lower-case name; the values of one that came more than
        once joined with a comma and no space.
    :param signed: the names of the headers to sign, in order.
    :param payload: the payload's hash in hexadecimal, or what stands for it.
    """
    if len(signed) <= MOST_NAMES:
        form, values = layout(signed)
        try:
            text = form % (method, path, query, *values(headers), payload)
        except KeyError:
            pass
        else:
            # Blanks can only be in the headers.  To find takes half of "in".
            if text.find(b" ") < 0 and text.find(b"\t") < 0:
                return text
    # One space where there are many, and none at the ends.  A signed header
    # that is not there is empty.
    get = headers.get
    block = b"\n".join(
        [name + b":" + b" ".join(get(name, b"").split()) for name in signed]
    )
    return b"\n".join((method, path, query, block, b"", b";".join(signed), payload))


@lru_cache(256)
def layout(signed: tuple[bytes, ...]) -> tuple[bytes, Values]:
    """
    What the canonical requests that sign the same headers have in common, with
    places for method, path, query, the headers' values, and payload; and what
    takes the values.  A client signs the same headers all day.
    """
    names = [name.replace(b"%", b"%%") for name in signed]
    block = b"".join([name + b":%b\n" for name in names])
    form = b"%b\n%b\n%b\n" + block + b"\n" + b";".join(names) + b"\n%b"
    if len(signed) == 1:
        only = signed[0]
        return form, lambda headers: (headers[only],)
    return form, itemgetter(*signed)
