"""
What the access log says of a request: as a JSON object, or as S3 says it.

Everything that a client sent is hostile here: it is cut to a bound, it cannot
end a line or a quoted field, and what would let a reader of the log repeat a
signed request is masked.
"""

from __future__ import annotations

import re
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from time import gmtime
from urllib.parse import quote, unquote_to_bytes

import attrs

MASK = "***"

SECRETS = frozenset(
    (
        b"x-amz-signature",
        b"x-amz-security-token",
        b"signature",
        b"webidentitytoken",
        b"samlassertion",
        b"access_token",
        b"id_token",
        b"token",
    )
)
"""Query parameters whose values are masked, by lower-case name."""

CREDENTIAL = b"x-amz-credential"

_SUSPICIOUS = re.compile(rb"amz|signature|token|assertion|%", re.IGNORECASE)
_UNQUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_SPACED = re.compile(r"[^\x21\x23-\x5a\x5e-\x7e]")
_MONTHS = " Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")

# In characters.  A line is below 16 KiB, or 48 if all of it must be escaped.
_TARGET = 2048
_KEY = 1024
_TEXT = 512
_WORD = 128


@attrs.define
class AccessEntry:
    """
    A request and how it was answered.

    :ivar time: when its header block was complete, in seconds since the epoch.
    :ivar operation: as the S3 API reference calls it.
    :ivar log_name: as S3's server access log calls it: C{REST.GET.OBJECT}.
    :ivar target: as it was sent.
    :ivar error: the S3 error code, or empty.
    :ivar bytes_in: of its body.
    :ivar bytes_out: of the answer's body that were sent.
    :ivar object_size: in bytes, if there is an object.
    :ivar seconds: until the answer was wholly sent.
    :ivar first_byte: seconds until its first byte was, or L{None}.
    :ivar cache: what C{X-Cache} said.
    :ivar range: what C{Range} asked.
    :ivar tls: C{TLSv1.3}, or empty.
    :ivar signature: C{SigV4}, or empty.
    :ivar authentication: C{AuthHeader} or C{QueryString}, or empty.
    :ivar owner: of the bucket.
    """

    time: float
    request_id: str
    method: str
    target: bytes
    status: int
    remote: str = "-"
    protocol: str = "HTTP/1.1"
    host: str = ""
    user: str = ""
    operation: str = "Unknown"
    log_name: str = ""
    bucket: str = ""
    key: str = ""
    version: str = ""
    error: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    object_size: int | None = None
    seconds: float = 0.0
    first_byte: float | None = None
    user_agent: str = ""
    referer: str = ""
    cache: str = ""
    range: str = ""
    tls: str = ""
    cipher: str = ""
    signature: str = ""
    authentication: str = ""
    owner: str = ""
    host_id: str = ""


def masked(target: bytes) -> str:
    """
    A request target as it may be shown: no signature, no token, and of a
    credential only the access key; not all of a very long one.
    """
    path, question, query = target.partition(b"?")
    if question and _SUSPICIOUS.search(query):
        target = path + b"?" + b"&".join(map(_masked_pair, query.split(b"&")))
    text = target.decode("utf-8", "backslashreplace")
    return text if len(text) <= _TARGET else text[:_TARGET] + "..."


def _masked_pair(pair: bytes) -> bytes:
    name, equals, value = pair.partition(b"=")
    if not value:
        return pair
    plain = unquote_to_bytes(name.replace(b"+", b" ")).strip().lower()
    if plain in SECRETS:
        return name + equals + MASK.encode()
    if plain == CREDENTIAL:
        access_key = re.split(rb"/|%2f", value, maxsplit=1, flags=re.IGNORECASE)[0]
        return name + equals + access_key[:_WORD] + b"/" + MASK.encode()
    return pair


# --- JSON -------------------------------------------------------------------


def json_line(entry: AccessEntry) -> bytes:
    """
    One JSON object on a line.  What is empty is left out; times are in
    milliseconds.
    """
    seconds = int(entry.time)
    line = (
        f'{{"time":"{_iso_second(seconds)}.{int((entry.time - seconds) * 1000):03d}Z"'
        f',"request_id":{quoted(entry.request_id)},"remote":{quoted(entry.remote)}'
        f',"operation":{quoted(entry.operation)},"method":{quoted(entry.method[:_WORD])}'
        f',"status":{entry.status},"bytes_in":{entry.bytes_in}'
        f',"bytes_out":{entry.bytes_out},"duration_ms":{entry.seconds * 1000:.3f}'
    )
    if entry.first_byte is not None:
        line += f',"first_byte_ms":{entry.first_byte * 1000:.3f}'
    if entry.user:
        line += f',"user":{quoted(entry.user[:_WORD])}'
    if entry.bucket:
        line += f',"bucket":{quoted(entry.bucket[:_WORD])}'
        if entry.key:
            line += f',"key":{quoted(entry.key[:_KEY])}'
    line += f',"target":{quoted(masked(entry.target))}'
    if entry.cache:
        line += f',"cache":{quoted(entry.cache)}'
    if entry.error:
        line += f',"error":{quoted(entry.error)}'
    if entry.object_size is not None:
        line += f',"object_size":{entry.object_size}'
    if entry.version:
        line += f',"version":{quoted(entry.version[:_WORD])}'
    if entry.range:
        line += f',"range":{quoted(entry.range[:_WORD])}'
    if entry.host:
        line += f',"host":{quoted(entry.host[:_WORD])}'
    if entry.user_agent:
        line += f',"user_agent":{quoted(entry.user_agent[:_TEXT])}'
    if entry.referer:
        line += f',"referer":{quoted(masked(entry.referer[:_TEXT].encode("utf-8", "replace")))}'
    if entry.signature:
        line += f',"signature":{quoted(entry.signature)}'
    if entry.authentication:
        line += f',"authentication":{quoted(entry.authentication)}'
    if entry.tls:
        line += f',"tls":{quoted(entry.tls)}'
        if entry.cipher:
            line += f',"cipher":{quoted(entry.cipher)}'
    return (line + "}\n").encode("ascii")


@lru_cache(maxsize=64)
def _iso_second(seconds: int) -> str:
    t = gmtime(seconds)
    return (
        f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}"
        f"T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
    )


# --- S3 ---------------------------------------------------------------------


def s3_line(entry: AccessEntry) -> bytes:
    """
    A record of S3's server access log: 27 fields with spaces between, C{-} where
    there is nothing to say.

    Source: "Amazon S3 server access log format" of the S3 User Guide.  There a
    quote within a quoted field is not escaped; here it is written as C{%22} or
    C{\\x22}, so that a line has one meaning.
    """
    target = _UNQUOTABLE.sub(_percent, masked(entry.target))
    referer = masked(entry.referer[:_TEXT].encode("utf-8", "replace"))
    first_byte = "-" if entry.first_byte is None else int(entry.first_byte * 1000)
    return (
        f"{_word(entry.owner)} {_word(entry.bucket)} [{_log_second(int(entry.time))}]"
        f" {_word(entry.remote)} {_word(entry.user)} {_word(entry.request_id)}"
        f" {_word(entry.log_name or entry.operation)}"
        f" {quote(entry.key[:_KEY], errors='replace') or '-'}"
        f' "{_field(entry.method[:_WORD])} {target} {_field(entry.protocol)}"'
        f" {entry.status} {_word(entry.error)} {entry.bytes_out or '-'}"
        f" {'-' if entry.object_size is None else entry.object_size}"
        f' {int(entry.seconds * 1000)} {first_byte} "{_field(referer) or "-"}"'
        f' "{_field(entry.user_agent[:_TEXT]) or "-"}" {_word(entry.version)}'
        f" {_word(entry.host_id)} {_word(entry.signature)} {_word(entry.cipher)}"
        f" {_word(entry.authentication)} {_word(entry.host)}"
        # AWS writes it as TLSV1.3; no access points, no ACLs, no source region.
        f" {_word(entry.tls.upper())} - - -\n"
    ).encode("ascii")


@lru_cache(maxsize=64)
def _log_second(seconds: int) -> str:
    t = gmtime(seconds)
    return (
        f"{t.tm_mday:02d}/{_MONTHS[t.tm_mon]}/{t.tm_year:04d}"
        f":{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"
    )


def _word(text: str) -> str:
    """A field without quotes: no blank may be in it, nor what begins another kind."""
    if not text:
        return "-"
    return _SPACED.sub(_percent, text[:_WORD])


def _field(text: str) -> str:
    """What stands between quotes."""
    return _UNQUOTABLE.sub(_escape, text)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "replace"))


FORMATS = {"json": json_line, "s3": s3_line}
