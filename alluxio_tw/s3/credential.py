"""
Who a request says has signed it: the parsing of C{Authorization}, no proving.

SIMPLE authentication needs no more than the access key, on every request, so
that road is short: a client sends the same header all day but for the signature
at its end, and what stands before is read once and remembered.  The memos are
bounded in entries and in the length of what they keep; what is malformed is
never remembered, so nobody is served from a bad entry.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from urllib.parse import unquote_to_bytes

import attrs

from alluxio_tw.errors import (
    AuthorizationHeaderMalformed,
    GatewayError,
    InvalidArgument,
    InvalidRequest,
)

ALGORITHM = b"AWS4-HMAC-SHA256"
SERVICE = "s3"
TERMINATOR = "aws4_request"

_SIGNATURE_V2 = (
    "The authorization mechanism you have provided is not supported. "
    "Please use AWS4-HMAC-SHA256."
)
_MALFORMED = "The authorization header is malformed; "

# Longer headers are legal but not remembered.
_MEMO_BYTES = 2048
_MEMO_ENTRIES = 1024
_CREDENTIAL_BYTES = 512

_ACCESS_KEY = re.compile(rb"[\x21-\x2e\x30-\x7e\x80-\xff]{1,256}").fullmatch
_DAY = re.compile(r"[0-9]{8}", re.ASCII).fullmatch
_SIGNED_HEADERS = re.compile(rb"[!#-'*+.^-z|~0-9-]+(?:;[!#-'*+.^-z|~0-9-]+)*").fullmatch
_QUERY_CREDENTIAL = re.compile(
    rb"(?:^|&)X-Amz-Credential=([^&]*)", re.IGNORECASE
).search
_QUERY_V2 = re.compile(rb"(?:^|&)(?:AWSAccessKeyId|Signature)(?:=|&|$)").search


@attrs.frozen
class Credential:
    """
    An access key and the scope of a signature made with its secret.

    :ivar date: C{YYYYMMDD}.
    """

    access_key: str
    date: str
    region: str
    service: str = SERVICE

    @cached_property
    def scope(self) -> bytes:
        """As it is signed."""
        text = f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"
        return text.encode("utf-8")

    def __bytes__(self) -> bytes:
        return self.access_key.encode("utf-8") + b"/" + self.scope


@attrs.frozen
class Signer:
    """
    What an C{Authorization} header says, all but the signature.

    :ivar signed_headers: in the order given, lower case.
    :ivar signed: the same as a set.
    """

    credential: Credential
    signed_headers: tuple[bytes, ...]
    signed: frozenset[bytes]


def simple_access_key(authorization: bytes | None) -> str | None:
    """
    The access key of a header whose signature nobody is going to check; the
    rules of Alluxio's SIMPLE authentication.

    :return: what stands before the first slash of the Credential; L{None}
        without a header: the user that runs the daemon.
    :raises AuthorizationHeaderMalformed: there is none to be found.
    :raises InvalidRequest: it is Signature Version 2.
    """
    if authorization is None:
        return None
    cut = authorization.rfind(b"Signature=")
    # What changes from request to request is not part of the memo's key.
    stem = authorization[:cut] if cut > 0 else authorization
    if len(stem) > _MEMO_BYTES:
        return _simple(stem)
    return _simple_memo(stem)


def _simple(stem: bytes) -> str:
    fields = stem.split()
    if fields and fields[0] == b"AWS":
        raise InvalidRequest(_SIGNATURE_V2)
    if (
        len(fields) < 2
        or not fields[0].startswith(b"AWS4-")
        or not fields[1].startswith(b"Credential=")
    ):
        raise AuthorizationHeaderMalformed()
    return _name(fields[1][len(b"Credential=") :])


def _name(credential: bytes) -> str:
    """The text before the slash that must be there."""
    key, slash, _ = credential.partition(b"/")
    if not slash or not _ACCESS_KEY(key):
        raise AuthorizationHeaderMalformed()
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise AuthorizationHeaderMalformed() from cause


_simple_memo = lru_cache(_MEMO_ENTRIES)(_simple)


def simple_access_key_of_query(query: bytes) -> str | None:
    """
    The access key of a presigned URL that nobody is going to check.

    :param query: raw, without the question mark.
    :raises AuthorizationHeaderMalformed: the credential has no access key.
    :raises InvalidRequest: it is Signature Version 2.
    """
    found = _QUERY_CREDENTIAL(query)
    if found is not None:
        return _name(unquote_to_bytes(found[1]))
    if _QUERY_V2(query):
        raise InvalidRequest(_SIGNATURE_V2)
    return None


def read_authorization(
    authorization: bytes, region: str | None = None
) -> tuple[Signer, bytes]:
    """
    Read a Signature Version 4 header, wholly.

    :param region: the only one to accept; L{None} for any.
    :return: what it says, and the signature, unproved.
    :raises InvalidArgument: it is of another scheme.
    :raises InvalidRequest: it is Signature Version 2.
    :raises AuthorizationHeaderMalformed: a part is missing or is wrong.
    """
    cut = authorization.rfind(b"Signature=")
    if cut > 0 and authorization[cut - 1] in b", " and len(authorization) < _MEMO_BYTES:
        signature = authorization[cut + 10 :].strip(b" \t")
        if b"," not in signature and signature:
            return _signer_memo(authorization[:cut], region), signature
    return _read_authorization(authorization, region)


def _read_authorization(value: bytes, region: str | None) -> tuple[Signer, bytes]:
    fields = _fields(value)
    signature = fields.get(b"Signature")
    if not signature:
        raise AuthorizationHeaderMalformed(_MALFORMED + _THREE)
    return _signer(fields, region), signature


@lru_cache(_MEMO_ENTRIES)
def _signer_memo(stem: bytes, region: str | None) -> Signer:
    return _signer(_fields(stem), region)


_THREE = (
    "the authorization header requires three components: "
    "Credential, SignedHeaders, and Signature."
)


def _fields(value: bytes) -> dict[bytes, bytes]:
    scheme, space, rest = value.partition(b" ")
    if not space:
        raise InvalidArgument(
            "Authorization header is invalid -- one and only one ' ' (space) required",
            ArgumentName="Authorization",
            ArgumentValue=value.decode("utf-8", "replace"),
        )
    if scheme == b"AWS":
        raise InvalidRequest(_SIGNATURE_V2)
    if scheme != ALGORITHM:
        raise InvalidArgument(
            "Unsupported Authorization Type",
            ArgumentName="Authorization",
            ArgumentValue=value.decode("utf-8", "replace"),
        )
    fields: dict[bytes, bytes] = {}
    for item in rest.split(b","):
        name, equals, content = item.strip(b" \t").partition(b"=")
        if equals and name not in fields:
            fields[name] = content
    return fields


def _signer(fields: dict[bytes, bytes], region: str | None) -> Signer:
    credential = fields.get(b"Credential")
    names = fields.get(b"SignedHeaders")
    if credential is None or names is None:
        raise AuthorizationHeaderMalformed(_MALFORMED + _THREE)
    return make_signer(
        parse_credential(credential, region, AuthorizationHeaderMalformed, _MALFORMED),
        names,
        AuthorizationHeaderMalformed,
        _MALFORMED,
    )


def make_signer(
    credential: Credential, names: bytes, error: type[GatewayError], preface: str
) -> Signer:
    """
    :param names: the signed headers as sent: with semicolons.
    :param error: raised, its message beginning with C{preface}, if they are no
        list of header names.
    """
    lowered = names.lower()
    if not _SIGNED_HEADERS(lowered):
        raise error(preface + "the SignedHeaders are mal-formed.")
    signed = tuple(lowered.split(b";"))
    return Signer(credential, signed, frozenset(signed))


def parse_credential(
    value: bytes, region: str | None, error: type[GatewayError], preface: str
) -> Credential:
    """
    Read C{AKID/YYYYMMDD/REGION/s3/aws4_request}.

    :param region: the only one to accept; L{None} for any.
    :param error: raised, its message beginning with C{preface}, if it is wrong.
    """
    parts = value.split(b"/")
    try:
        texts = [part.decode("utf-8") for part in parts]
    except UnicodeDecodeError:
        texts = []
    if len(texts) != 5 or len(value) > _CREDENTIAL_BYTES or not _ACCESS_KEY(parts[0]):
        raise error(
            preface + "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    access_key, date, said, service, terminator = texts
    if terminator != TERMINATOR:
        raise error(
            f'{preface}incorrect terminal "{terminator}". '
            f'This endpoint uses "{TERMINATOR}".'
        )
    if service != SERVICE:
        raise error(
            f'{preface}incorrect service "{service}". '
            f'This endpoint belongs to "{SERVICE}".'
        )
    if not _DAY(date):
        raise error(
            f'{preface}incorrect date format "{date}". '
            'This date in the credential must be in the format "yyyyMMdd".'
        )
    if region is not None and said != region:
        raise error(
            f"{preface}the region '{said}' is wrong; expecting '{region}'",
            Region=region,
        )
    return Credential(access_key, date, said)


def refuse_signature_v2(query: bytes) -> None:
    """
    :param query: raw.
    :raises InvalidRequest: it is a URL presigned with Signature Version 2.
    """
    if _QUERY_V2(query):
        raise InvalidRequest(_SIGNATURE_V2)
