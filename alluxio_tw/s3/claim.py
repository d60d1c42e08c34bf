"""
What a request says of who signed it, and the proof: header or presigned URL.

Reading and proving are two steps, as the secret must be looked up between them:
L{read_claim} gives the access key, L{Claim.verify} takes its secret.  An unknown
access key and a wrong signature win over a wrong clock: who cannot sign learns
nothing about ours.  Only that a presigned URL has expired is said first.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from time import gmtime
from urllib.parse import unquote_to_bytes

import attrs

from alluxio_tw.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidArgument,
    InvalidRequest,
    RequestTimeTooSkewed,
)
from alluxio_tw.s3 import canonical
from alluxio_tw.s3.checksums import UNSIGNED_PAYLOAD, payload_hash
from alluxio_tw.s3.credential import (
    ALGORITHM,
    Credential,
    Signer,
    make_signer,
    parse_credential,
    read_authorization,
    refuse_signature_v2,
)
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.s3.sigv4 import (
    MOST_EXPIRES,
    ChunkSigner,
    mismatch,
    prepared_key,
    seconds_of,
    string_to_sign,
    timestamp_of,
)

SKEW = 900
"""How far a client's clock may be from ours, in seconds: S3's fifteen minutes."""

_PRESIGNED = re.compile(
    rb"(?:^|&)X-Amz-(?:Algorithm|Credential|Signature)(?:=|&|$)", re.IGNORECASE
).search
_ANY_SIGNED_QUERY = re.compile(
    rb"(?:^|&)(?:X-Amz-(?:Algorithm|Credential|Signature)|Signature|AWSAccessKeyId)(?:=|&|$)",
    re.IGNORECASE,
).search
_INTEGER = re.compile(rb"-?[0-9]{1,18}").fullmatch
_NO_QUERY = (b"",)
_PARSING = "Error parsing the X-Amz-Credential parameter; "
_REQUIRED = (
    b"x-amz-algorithm",
    b"x-amz-credential",
    b"x-amz-signature",
    b"x-amz-date",
    b"x-amz-signedheaders",
    b"x-amz-expires",
)


@attrs.define
class Claim:
    """Nothing of it is proved before L{verify} has returned.

    :ivar timestamp: C{YYYYMMDDTHHMMSSZ}.
    :ivar payload: C{x-amz-content-sha256}, or what stands for it.  After
        L{verify}: what was signed.
    :ivar token: the session token, if there was one.
    :ivar expires: of a presigned URL: for how many seconds it holds; else
        L{None}.
    """

    timestamp: bytes
    payload: bytes
    token: bytes | None
    expires: int | None
    _signer: Signer
    _seconds: int
    _provided: bytes
    _method: bytes = attrs.field(repr=False)
    _path: bytes = attrs.field(repr=False)
    _query: bytes = attrs.field(repr=False)
    _headers: Mapping[bytes, bytes] = attrs.field(repr=False)

    @property
    def credential(self) -> Credential:
        """The access key and the scope of the signature."""
        return self._signer.credential

    @property
    def signed_headers(self) -> tuple[bytes, ...]:
        """The names of the headers that are signed, in order."""
        return self._signer.signed_headers

    @property
    def access_key(self) -> str:
        """Whose secret L{verify} needs."""
        return self._signer.credential.access_key

    def verify(self, secret: str, now: float) -> None:
        """
        Prove it.

        :param now: in seconds since the epoch.
        :raises SignatureDoesNotMatch: it was not signed with this secret, or
            was changed since.
        :raises RequestTimeTooSkewed: one of the two clocks is wrong.
        :raises AccessDenied: the presigned URL holds no longer, or not yet.
        """
        if self.expires is None:
            self._prove(secret)
            if abs(now - self._seconds) > SKEW:
                raise RequestTimeTooSkewed(
                    "The difference between the request time and the current time is too large.",
                    RequestTime=self.timestamp.decode("ascii"),
                    ServerTime=_iso(now),
                    MaxAllowedSkewMilliseconds=str(SKEW * 1000),
                )
            return
        until = self._seconds + self.expires
        if not self.expires or now > until:
            raise AccessDenied(
                "Request has expired",
                **{
                    "X-Amz-Expires": str(self.expires),
                    "Expires": _iso(until),
                    "ServerTime": _iso(now),
                },
            )
        self._prove(secret)
        if self._seconds - now > SKEW:
            raise AccessDenied(
                "Request is not yet valid",
                **{
                    "X-Amz-Date": self.timestamp.decode("ascii"),
                    "ServerTime": _iso(now),
                },
            )

    def _prove(self, secret: str) -> None:
        credential, signed = self._signer.credential, self._signer.signed_headers
        key = prepared_key(secret, credential.date, credential.region)
        provided = self._provided.lower()
        first: tuple[bytes, bytes] | None = None
        for path in canonical.paths(self._path):
            for query in self._queries():
                for payload in self._payloads():
                    asked = canonical.request(
                        self._method, path, query, self._headers, signed, payload
                    )
                    text = string_to_sign(asked, self.timestamp, credential)
                    if hmac.compare_digest(key.sign(text), provided):
                        self.payload = payload
                        return
                    first = first or (text, asked)
        assert first is not None
        raise mismatch(credential, self._provided, *first)

    def _queries(self) -> tuple[bytes, ...]:
        if not self._query:
            return _NO_QUERY
        return canonical.queries(
            self._query, b"" if self.expires is None else b"x-amz-signature"
        )

    def _payloads(self) -> tuple[bytes, ...]:
        # Some who presign leave the body unsigned and then send its hash all
        # the same; that hash is still checked against the body.
        if self.expires is not None and self.payload != UNSIGNED_PAYLOAD:
            return self.payload, UNSIGNED_PAYLOAD
        return (self.payload,)

    def chunk_signer(self, secret: str) -> ChunkSigner:
        """
        What proves the chunks of a signed aws-chunked body; after L{verify}.
        """
        return ChunkSigner.begin(
            secret, self.timestamp, self.credential, self._provided.lower()
        )


def read_claim(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    region: str | None = None,
) -> Claim | None:
    """
    Read what a request says of who signed it.

    :param path: raw, as on the wire, a prefix for us included.
    :param query: raw, without the question mark.
    :param headers: by lower-case name; values that came more than once joined
        with a comma and no space.
    :param region: the only one to accept; L{None} for any.
    :return: L{None} for an anonymous request.
    :raises AuthorizationHeaderMalformed: the header is wrong.
    :raises AuthorizationQueryParametersError: the presigned URL is wrong.
    :raises InvalidArgument: two mechanisms at once, or an unknown one, or a
        payload hash that is none.
    :raises InvalidRequest: Signature Version 2, or no payload hash.
    :raises AccessDenied: there is no date, or headers that must be signed are
        not.
    """
    authorization = headers.get(b"authorization")
    if authorization:
        if query and _ANY_SIGNED_QUERY(query):
            raise InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                "Signature query string parameter or the Authorization header should be specified",
                ArgumentName="Authorization",
                ArgumentValue=authorization.decode("utf-8", "replace"),
            )
        return _header_claim(method, path, query, headers, authorization, region)
    if not query:
        return None
    if _PRESIGNED(query):
        return _query_claim(method, path, query, headers, region)
    refuse_signature_v2(query)
    return None


def _header_claim(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    authorization: bytes,
    region: str | None,
) -> Claim:
    signer, provided = read_authorization(authorization, region)
    payload = payload_hash(headers)
    if payload is None:
        raise InvalidRequest(
            "Missing required header for this request: x-amz-content-sha256"
        )
    timestamp, seconds = _date(headers)
    _same_day(
        signer.credential,
        timestamp,
        AuthorizationHeaderMalformed,
        "The authorization header is malformed; ",
    )
    _all_signed(headers, signer)
    return Claim(
        timestamp,
        payload,
        headers.get(b"x-amz-security-token"),
        None,
        signer,
        seconds,
        provided,
        method,
        path,
        query,
        headers,
    )


def _date(headers: Mapping[bytes, bytes]) -> tuple[bytes, int]:
    """The moment of signing, as it was signed and in seconds."""
    timestamp = headers.get(b"x-amz-date")
    if timestamp is not None:
        seconds = seconds_of(timestamp)
    else:
        date = headers.get(b"date", b"")
        seconds = seconds_of(date)
        if seconds is None:
            seconds = parse_http_date(date)
        timestamp = b"" if seconds is None else timestamp_of(seconds)
    if seconds is None:
        raise AccessDenied(
            "AWS authentication requires a valid Date or x-amz-date header"
        )
    return timestamp, seconds


def _query_claim(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    region: str | None,
) -> Claim:
    error = AuthorizationQueryParametersError
    said = _parameters(query)
    if any(name not in said for name in _REQUIRED):
        raise error(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, "
            "and X-Amz-Expires parameters."
        )
    if said[b"x-amz-algorithm"] != ALGORITHM:
        raise error(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"'
        )
    credential = parse_credential(said[b"x-amz-credential"], region, error, _PARSING)
    timestamp = said[b"x-amz-date"]
    seconds = seconds_of(timestamp)
    if seconds is None:
        raise error(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    _same_day(credential, timestamp, error, "")
    expires = said[b"x-amz-expires"]
    if not _INTEGER(expires):
        raise error("X-Amz-Expires should be a number")
    if int(expires) < 0:
        raise error("X-Amz-Expires must be non-negative")
    if int(expires) > MOST_EXPIRES:
        raise error(
            "X-Amz-Expires must be less than a week (in seconds); that is, "
            "the given X-Amz-Expires must be less than 604800 seconds"
        )
    signer = make_signer(credential, said[b"x-amz-signedheaders"], error, "")
    _all_signed(headers, signer)
    # Signers that hoist headers into the query may have hoisted this one.
    payload = payload_hash(said) or payload_hash(headers)
    return Claim(
        timestamp,
        payload or UNSIGNED_PAYLOAD,
        said.get(b"x-amz-security-token", headers.get(b"x-amz-security-token")),
        int(expires),
        signer,
        seconds,
        said[b"x-amz-signature"],
        method,
        path,
        query,
        headers,
    )


def _parameters(query: bytes) -> dict[bytes, bytes]:
    """The C{X-Amz-} parameters, decoded, by lower-case name; the first counts."""
    said: dict[bytes, bytes] = {}
    for item in query.split(b"&"):
        name, _, value = item.partition(b"=")
        name = name.lower()
        if name.startswith(b"x-amz-"):
            said.setdefault(name, unquote_to_bytes(value.replace(b"+", b" ")))
    return said


def _same_day(
    credential: Credential,
    timestamp: bytes,
    error: type[AuthorizationHeaderMalformed | AuthorizationQueryParametersError],
    preface: str,
) -> None:
    day = str(timestamp[:8], "ascii")
    if credential.date != day:
        raise error(
            f'{preface}Invalid credential date "{credential.date}". '
            f'This date is not the same as X-Amz-Date: "{day}".'
        )


def _all_signed(headers: Mapping[bytes, bytes], signer: Signer) -> None:
    """
    :raises AccessDenied: C{host}, or an C{x-amz-} header that is there, is not
        signed.  The payload's hash needs no name: it is a line of its own.
    """
    signed = signer.signed
    loose = [
        name
        for name in headers
        if name not in signed
        and name[:6] == b"x-amz-"
        and name != b"x-amz-content-sha256"
    ]
    if b"host" not in signed:
        loose.insert(0, b"host")
    if loose:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=b", ".join(loose).decode("latin-1"),
        )


def _iso(seconds: float) -> str:
    """A moment as error documents write it."""
    t = gmtime(seconds)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}"
        f"T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}Z"
    )
