"""
Signature Version 4: keys, signatures, and the chain that signs chunks.

Sign and presign are here for who calls others (drivers, tests, tools); who is
called reads and proves a L{Claim<alluxio_tw.s3.claim.Claim>}.  Both stand on the
same few functions, so they cannot drift apart.  Not chosen: botocore's signer,
which works on its own request objects and costs ten times as much.

Rules: "Authenticating Requests (AWS Signature Version 4)" in the S3 API
reference, with its pages on chunked uploads and on trailing headers.
"""

from __future__ import annotations

import hmac
from calendar import timegm
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from time import gmtime

import attrs

from alluxio_tw.errors import SignatureDoesNotMatch
from alluxio_tw.s3 import canonical
from alluxio_tw.s3.checksums import EMPTY_SHA256, UNSIGNED_PAYLOAD
from alluxio_tw.s3.credential import ALGORITHM, TERMINATOR, Credential

MOST_EXPIRES = 604_800
"""The longest life of a presigned URL, in seconds: seven days."""

_CHUNK = b"AWS4-HMAC-SHA256-PAYLOAD"
_TRAILER = b"AWS4-HMAC-SHA256-TRAILER"
_EMPTY = EMPTY_SHA256.encode("ascii")


@lru_cache(1024)
def signing_key(secret: str, date: str, region: str, service: str = "s3") -> bytes:
    """
    The key of one day, region and service.

    :param date: C{YYYYMMDD}.
    """
    key = hmac.digest(b"AWS4" + secret.encode("utf-8"), date.encode("utf-8"), "sha256")
    for word in (region, service, TERMINATOR):
        key = hmac.digest(key, word.encode("utf-8"), "sha256")
    return key


class SigningKey:
    """
    Signs many texts with one key, at half the cost of as many calls of
    L{signature}: what HMAC does with the key alone (RFC 2104, 4) is done once.

    Not chosen: remembering whole requests that were found to be rightly signed.
    It would be quicker only for those that are sent again within the second.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """
        :param key: from L{signing_key}: shorter than a block of SHA-256.
        """
        block = key.ljust(64, b"\0")
        self._inner = sha256(bytes([byte ^ 0x36 for byte in block]))
        self._outer = sha256(bytes([byte ^ 0x5C for byte in block]))

    def __repr__(self) -> str:
        return "<SigningKey>"

    def sign(self, text: bytes) -> bytes:
        """As L{signature}."""
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode("ascii")


@lru_cache(1024)
def prepared_key(secret: str, date: str, region: str) -> SigningKey:
    """
    L{signing_key}, prepared.
    """
    return SigningKey(signing_key(secret, date, region))


def string_to_sign(
    canonical_request: bytes, timestamp: bytes, credential: Credential
) -> bytes:
    """
    :param timestamp: C{YYYYMMDDTHHMMSSZ}.
    """
    return b"AWS4-HMAC-SHA256\n%b\n%b\n%b" % (
        timestamp,
        credential.scope,
        sha256(canonical_request).hexdigest().encode("ascii"),
    )


def signature(key: bytes, text: bytes) -> bytes:
    """
    In lower-case hexadecimal.

    :param key: from L{signing_key}.
    :param text: a string to sign; for PostObject, the policy in base64.
    """
    return hmac.digest(key, text, "sha256").hex().encode("ascii")


def timestamp_of(seconds: float) -> bytes:
    """
    A moment as signatures write it: C{YYYYMMDDTHHMMSSZ}.

    :param seconds: since the epoch.
    """
    return _timestamp(int(seconds))


@lru_cache(64)
def _timestamp(seconds: int) -> bytes:
    t = gmtime(seconds)
    return b"%04d%02d%02dT%02d%02d%02dZ" % t[:6]


def seconds_of(timestamp: bytes) -> int | None:
    """
    The moment of a C{YYYYMMDDTHHMMSSZ}, in seconds since the epoch; L{None}
    if it is not one.
    """
    return _seconds_of(timestamp) if len(timestamp) == 16 else None


@lru_cache(1024)
def _seconds_of(timestamp: bytes) -> int | None:
    digits = timestamp[:8] + timestamp[9:15]
    if timestamp[8:9] != b"T" or timestamp[15:] != b"Z" or not digits.isdigit():
        return None
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = int(digits[8:10]), int(digits[10:12]), int(digits[12:])
    if not year or hour > 23 or minute > 59 or second > 60:
        return None
    # A day that is no day comes back as another.
    if not 1 <= month <= 12 or gmtime(timegm((year, month, day, 0, 0, 0)))[:3] != (
        year,
        month,
        day,
    ):
        return None
    return timegm((year, month, day, hour, minute, second))


def sign(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    credential: Credential,
    secret: str,
) -> bytes:
    """
    The C{Authorization} header of a request.

    :param path: as it will be on the wire.
    :param query: likewise, without the question mark.
    :param headers: all that are to be signed, by lower-case name: C{host},
        C{x-amz-date} and C{x-amz-content-sha256} at least.
    :raises KeyError: one of those is not there.
    """
    names = tuple(sorted(headers))
    asked = canonical.request(
        method,
        canonical.paths(path)[0],
        canonical.queries(query)[0],
        headers,
        names,
        headers[b"x-amz-content-sha256"],
    )
    text = string_to_sign(asked, headers[b"x-amz-date"], credential)
    return b"%s Credential=%s, SignedHeaders=%s, Signature=%s" % (
        ALGORITHM,
        bytes(credential),
        b";".join(names),
        signature(_key(secret, credential), text),
    )


def presign(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    credential: Credential,
    secret: str,
    timestamp: bytes,
    expires: int,
    token: str | None = None,
) -> bytes:
    """
    The query of a URL that carries its own authority.

    :param query: what is to be asked besides, raw.
    :param headers: to be signed, by lower-case name: C{host} at least.
    :param timestamp: from when it holds: C{YYYYMMDDTHHMMSSZ}.
    :param expires: for how many seconds, 1 to L{MOST_EXPIRES}.
    :param token: of temporary credentials.
    """
    names = tuple(sorted(headers))
    parameters = [
        (b"X-Amz-Algorithm", ALGORITHM),
        (b"X-Amz-Credential", bytes(credential)),
        (b"X-Amz-Date", timestamp),
        (b"X-Amz-Expires", b"%d" % expires),
        (b"X-Amz-SignedHeaders", b";".join(names)),
    ]
    if token is not None:
        parameters.append((b"X-Amz-Security-Token", token.encode("utf-8")))
    asked = b"&".join(
        ([query] if query else [])
        + [name + b"=" + canonical.encode(value) for name, value in parameters]
    )
    text = string_to_sign(
        canonical.request(
            method,
            canonical.paths(path)[0],
            canonical.queries(asked)[0],
            headers,
            names,
            headers.get(b"x-amz-content-sha256", UNSIGNED_PAYLOAD),
        ),
        timestamp,
        credential,
    )
    return asked + b"&X-Amz-Signature=" + signature(_key(secret, credential), text)


def _key(secret: str, credential: Credential) -> bytes:
    return signing_key(secret, credential.date, credential.region, credential.service)


@attrs.define
class ChunkSigner:
    """
    Signs the chunks of one body, or proves their signatures: each is signed
    together with the signature before it, the first with the request's own.

    :ivar previous: the last signature of the chain.
    """

    _key: bytes = attrs.field(repr=False)
    _timestamp: bytes
    _credential: Credential
    previous: bytes

    @classmethod
    def begin(
        cls, secret: str, timestamp: bytes, credential: Credential, seed: bytes
    ) -> ChunkSigner:
        """
        :param seed: the request's signature.
        """
        return cls(_key(secret, credential), timestamp, credential, seed)

    def sign_chunk(self, digest: bytes) -> bytes:
        """
        The signature of the next chunk.

        :param digest: SHA-256 of its data, in hexadecimal.
        """
        return self._advance(self._text(_CHUNK, _EMPTY, digest))

    def sign_trailer(self, trailer: bytes) -> bytes:
        """
        The signature of the trailer, the last of the chain.

        :param trailer: as L{canonical_trailer} gives it.
        """
        digest = sha256(trailer).hexdigest().encode("ascii")
        return self._advance(self._text(_TRAILER, digest))

    def check_chunk(self, digest: bytes, provided: bytes) -> None:
        """
        :param digest: as for L{sign_chunk}.
        :raises SignatureDoesNotMatch: C{provided} is not its signature.
        """
        self._check(self._text(_CHUNK, _EMPTY, digest), provided)

    def check_trailer(self, trailer: bytes, provided: bytes) -> None:
        """
        :param trailer: as for L{sign_trailer}.
        :raises SignatureDoesNotMatch: C{provided} is not its signature.
        """
        digest = sha256(trailer).hexdigest().encode("ascii")
        self._check(self._text(_TRAILER, digest), provided)

    def _text(self, algorithm: bytes, *digests: bytes) -> bytes:
        scope = self._credential.scope
        return b"\n".join((algorithm, self._timestamp, scope, self.previous, *digests))

    def _advance(self, text: bytes) -> bytes:
        self.previous = signature(self._key, text)
        return self.previous

    def _check(self, text: bytes, provided: bytes) -> None:
        if not hmac.compare_digest(self._advance(text), provided.lower()):
            raise mismatch(self._credential, provided, text)


def canonical_trailer(trailers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Trailing headers as they are signed.

    :param trailers: lower-case names and trimmed values, in the order sent.
    """
    return b"".join([name + b":" + value + b"\n" for name, value in trailers])


def mismatch(
    credential: Credential,
    provided: bytes,
    text: bytes,
    canonical_request: bytes | None = None,
) -> SignatureDoesNotMatch:
    """
    The error of a wrong signature, with what a client needs to find out why.
    Nothing in it is secret: the strings are made of the request alone.
    """
    fields = {
        "AWSAccessKeyId": credential.access_key,
        "StringToSign": text.decode("utf-8", "replace"),
        "SignatureProvided": provided.decode("utf-8", "replace"),
        "StringToSignBytes": text.hex(" "),
    }
    if canonical_request is not None:
        fields["CanonicalRequest"] = canonical_request.decode("utf-8", "replace")
        fields["CanonicalRequestBytes"] = canonical_request.hex(" ")
    return SignatureDoesNotMatch(**fields)
