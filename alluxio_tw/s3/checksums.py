"""
What a request promises about its body, and what the body turns out to be.

A L{Promises} is read from the headers before the first byte; a L{Digests} is fed
the bytes and compares.  The rules and the wording of errors are those of
PutObject and UploadPart in the S3 API reference ("Checking object integrity").

Each digest is a lane of its own: C{hashlib}, C{awscrt} and C{zlib_ng} release the GIL
on large buffers, so whoever has threads to spare runs L{Digests.lanes} side by
side; L{Digests.update} runs them in turn.  One lane must see its pieces in
order, one at a time.

Beyond 400 lines: the kinds of checksum, what may be promised of them,
and how those of parts combine, lean on one table and are read together.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs
import xxhash
from awscrt import checksums as crt
from zlib_ng import zlib_ng

from alluxio_tw.errors import (
    BadDigest,
    ContentSHA256Mismatch,
    InvalidArgument,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailer,
)

Data = bytes | bytearray | memoryview


class Lane(Protocol):
    """A digest that grows: the part of C{hashlib}'s objects that is used."""

    def update(self, data: Data, /) -> None: ...

    def digest(self) -> bytes: ...


@attrs.define
class _Crc:
    """A CRC, behaving as a C{hashlib} object does."""

    _function: Callable[[Data, int], int]
    _width: int
    _value: int = 0

    def update(self, data: Data, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


@attrs.frozen
class Algorithm:
    """
    One kind of C{x-amz-checksum-}.

    :ivar name: lower case, as in the header's name.
    :ivar width: bytes of a digest.
    :ivar make: begins one.
    :ivar combine: the checksum of two runs of bytes from theirs and the length
        of the second; L{None} where mathematics does not allow it.
    """

    name: str
    width: int
    make: Callable[[], Lane]
    combine: Callable[[int, int, int], int] | None = None

    @property
    def header(self) -> str:
        """The header that carries it."""
        return f"x-amz-checksum-{self.name}"


ALGORITHMS: Mapping[str, Algorithm] = {
    kind.name: kind
    for kind in (
        # awscrt knows no instructions for this one; zlib-ng is twenty times as fast.
        Algorithm("crc32", 4, lambda: _Crc(zlib_ng.crc32, 4), crt.combine_crc32),
        Algorithm("crc32c", 4, lambda: _Crc(crt.crc32c, 4), crt.combine_crc32c),
        Algorithm(
            "crc64nvme", 8, lambda: _Crc(crt.crc64nvme, 8), crt.combine_crc64nvme
        ),
        Algorithm("sha1", 20, lambda: hashlib.sha1(usedforsecurity=False)),
        Algorithm("sha256", 32, hashlib.sha256),
        Algorithm("sha512", 64, hashlib.sha512),
        Algorithm("md5", 16, lambda: hashlib.md5(usedforsecurity=False)),
        Algorithm("xxhash64", 8, xxhash.xxh64),
        Algorithm("xxhash3", 8, xxhash.xxh3_64),
        Algorithm("xxhash128", 16, xxhash.xxh3_128),
    )
}
"""By lower-case name: those that S3 stores with an object."""

UNSUPPORTED = (
    "Checksum algorithm provided is unsupported. Please try again with any of the "
    f"valid types: [{', '.join(sorted(ALGORITHMS)).upper()}]"
)

DEFAULT = "crc64nvme"
"""What S3 computes of an upload whose client names no algorithm."""

UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_ECDSA = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
STREAMING_ECDSA_TRAILER = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
STREAMING_FORMS = frozenset(
    {
        STREAMING_UNSIGNED_TRAILER,
        STREAMING_SIGNED,
        STREAMING_SIGNED_TRAILER,
        STREAMING_ECDSA,
        STREAMING_ECDSA_TRAILER,
    }
)
"""Values of C{x-amz-content-sha256} whose bodies are aws-chunked."""

EMPTY_SHA256 = hashlib.sha256().hexdigest()

_PREFIX = b"x-amz-checksum-"
# Headers that begin like a checksum and are about checksums.
_NOT_VALUES = frozenset(
    {b"x-amz-checksum-algorithm", b"x-amz-checksum-mode", b"x-amz-checksum-type"}
)
_HEX64 = re.compile(rb"[0-9a-fA-F]{64}").fullmatch


def is_sha256(value: bytes) -> bool:
    """Is it a SHA-256 in hexadecimal?"""
    return _HEX64(value) is not None


def payload_hash(headers: Mapping[bytes, bytes]) -> bytes | None:
    """
    C{x-amz-content-sha256} as it was sent, known to be one of its legal forms.

    :raises InvalidArgument: it is none of them.
    """
    value = headers.get(b"x-amz-content-sha256")
    if (
        value is None
        or (len(value) == 64 and _HEX64(value))
        or value == UNSIGNED_PAYLOAD
        or value in STREAMING_FORMS
    ):
        return value
    raise InvalidArgument(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=_text(value),
    )


@attrs.frozen
class Promises:
    """
    What the headers of an upload say about its body.

    :ivar md5: from C{Content-MD5}: 16 bytes.
    :ivar sha256: from C{x-amz-content-sha256}, if that is a digest: lower-case
        hexadecimal.
    :ivar algorithm: of the checksum that was or will be given; empty without.
    :ivar value: that checksum, if a header gave it.
    :ivar trailer: whether it will come as a trailer.
    """

    md5: bytes | None = None
    sha256: str | None = None
    algorithm: str = ""
    value: bytes | None = None
    trailer: bool = False

    @classmethod
    def from_headers(cls, headers: Mapping[bytes, bytes]) -> Promises:
        """
        Read them.

        :param headers: by lower-case name.
        :raises InvalidDigest: C{Content-MD5} is not the base64 of 16 bytes.
        :raises InvalidRequest: a checksum header is malformed, of an unknown
            kind or one too many, or contradicts another.
        :raises InvalidArgument: as L{payload_hash}.
        """
        md5 = _content_md5(headers.get(b"content-md5"))
        hashed = payload_hash(headers)
        sha256 = None
        if hashed is not None and len(hashed) == 64:
            sha256 = hashed.decode("ascii").lower()
        named = _announced(headers.get(b"x-amz-trailer"))
        given = [
            name
            for name in headers
            if name.startswith(_PREFIX) and name not in _NOT_VALUES
        ]
        if len(given) + len(named) > 1:
            raise InvalidRequest(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            )
        algorithm, value = "", None
        if named:
            if hashed is None or not hashed.endswith(b"-TRAILER"):
                # Nothing but an aws-chunked body has where to put it.
                raise MalformedTrailer()
            algorithm = named[0]
        elif given:
            kind = ALGORITHMS.get(_text(given[0][len(_PREFIX) :]))
            if kind is None:
                raise InvalidRequest(
                    "The algorithm type you specified in x-amz-checksum- header is invalid."
                )
            algorithm = kind.name
            value = _decoded(kind, headers[given[0]], "header")
        _agree(headers.get(b"x-amz-sdk-checksum-algorithm"), algorithm)
        return cls(md5, sha256, algorithm, value, bool(named))


class Digests:
    """
    The digests of one body, as it goes by.

    :ivar length: bytes seen so far by L{update}.
    """

    def __init__(
        self,
        promises: Promises,
        md5: bool = True,
        also: Iterable[str] = (),
    ) -> None:
        """
        :param promises: what to compare with.
        :param md5: compute MD5 even if it was not promised: the ETag of an
            object put whole.
        :param also: names of further L{ALGORITHMS} to compute, such as
            C{crc64nvme}, which S3 stores when the client named none.
        """
        self.length = 0
        self._promises = promises
        self._lanes: dict[str, Lane] = {}
        if md5 or promises.md5 is not None:
            self._lanes["md5"] = hashlib.md5(usedforsecurity=False)
        wanted = dict.fromkeys(also)
        if promises.algorithm:
            wanted[promises.algorithm] = None
        self._stored = tuple(wanted)
        if promises.sha256 is not None:
            wanted["sha256"] = None
        for name in wanted:
            self._lanes[name] = ALGORITHMS[name].make()
        self._updates = tuple(lane.update for lane in self._lanes.values())

    def spare_md5(self) -> None:
        """
        Nobody asks for the ETag: leave MD5 out, unless it was promised.  Only before
        the first L{update}.
        """
        if self._promises.md5 is not None or "md5" in self._stored:
            return
        if self._lanes.pop("md5", None) is not None:
            self._updates = tuple(lane.update for lane in self._lanes.values())

    @property
    def stored(self) -> Sequence[str]:
        """The names of what L{checksums} will have."""
        return self._stored

    @property
    def light(self) -> bool:
        """It is CRCs and nothing else: cheaper than to have it done in a thread."""
        return all(isinstance(lane, _Crc) for lane in self._lanes.values())

    @property
    def lanes(self) -> Sequence[Callable[[Data], None]]:
        """What each piece must be given to, in any order or at once."""
        return self._updates

    def update(self, data: Data) -> None:
        """The next piece."""
        self.length += len(data)
        for update in self._updates:
            update(data)

    def verify(self, trailers: Mapping[bytes, bytes] | None = None) -> None:
        """
        Compare, when all has been seen.

        :param trailers: what followed the body, by lower-case name.
        :raises BadDigest: MD5 or checksum differ.
        :raises ContentSHA256Mismatch: C{x-amz-content-sha256} differs.
        :raises MalformedTrailer: the announced trailer is not there, or one
            that was not announced is.
        :raises InvalidRequest: the trailer is not a checksum of its kind.
        """
        promises = self._promises
        if promises.sha256 is not None:
            found = self._lanes["sha256"].digest().hex()
            if not hmac.compare_digest(found, promises.sha256):
                raise ContentSHA256Mismatch(
                    ClientComputedContentSHA256=promises.sha256,
                    S3ComputedContentSHA256=found,
                )
        if promises.md5 is not None:
            computed = self._lanes["md5"].digest()
            if computed != promises.md5:
                raise BadDigest(
                    "The Content-MD5 you specified did not match what we received.",
                    ExpectedDigest=promises.md5.hex(),
                    CalculatedDigest=_base64(computed),
                )
        expected = self._expected(trailers or {})
        if (
            expected is not None
            and self._lanes[promises.algorithm].digest() != expected
        ):
            raise BadDigest(
                f"The {promises.algorithm.upper()} you specified did not match the calculated checksum."
            )

    def _expected(self, trailers: Mapping[bytes, bytes]) -> bytes | None:
        promises = self._promises
        if not promises.trailer:
            if trailers:
                raise MalformedTrailer()
            return promises.value
        kind = ALGORITHMS[promises.algorithm]
        name = kind.header.encode("ascii")
        if set(trailers) != {name}:
            raise MalformedTrailer()
        return _decoded(kind, trailers[name], "trailing header")

    @property
    def md5_hex(self) -> str:
        """MD5 in hexadecimal: the ETag; empty where MD5 was not computed."""
        lane = self._lanes.get("md5")
        return "" if lane is None else lane.digest().hex()

    @property
    def checksums(self) -> dict[str, str]:
        """What is to be stored: algorithm to base64."""
        return {name: _base64(self._lanes[name].digest()) for name in self._stored}


def multipart_etag(etags: Iterable[str]) -> str:
    """
    The ETag of an object made of parts: the MD5 of their MD5s, and how many.

    :param etags: of the parts, in order: hexadecimal MD5s, without quotes.
    :raises ValueError: one is not hexadecimal.
    """
    whole = hashlib.md5(usedforsecurity=False)
    count = 0
    for etag in etags:
        whole.update(bytes.fromhex(etag))
        count += 1
    return f"{whole.hexdigest()}-{count}"


def composite(algorithm: str, values: Iterable[str]) -> str:
    """
    The COMPOSITE checksum: the checksum of the parts' checksums, and how many.

    :param values: of the parts, in order, in base64.
    """
    whole = ALGORITHMS[algorithm].make()
    count = 0
    for value in values:
        whole.update(base64.b64decode(value))
        count += 1
    return f"{_base64(whole.digest())}-{count}"


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """
    The FULL_OBJECT checksum, without reading anything again.

    :param parts: checksum in base64 and length in bytes of each, in order.
    :raises InvalidRequest: the algorithm cannot be combined (SHA-1, SHA-256).
    """
    kind = ALGORITHMS[algorithm]
    if kind.combine is None:
        raise InvalidRequest(
            f"The FULL_OBJECT checksum type cannot be used with the {algorithm} checksum algorithm."
        )
    whole = 0
    for value, length in parts:
        # Combining with nought bytes is not defined by all implementations.
        if length:
            part = int.from_bytes(base64.b64decode(value), "big")
            whole = kind.combine(whole, part, length)
    return _base64(whole.to_bytes(kind.width, "big"))


def valid_checksum(algorithm: str, value: str) -> bool:
    """Could this be a checksum of that kind, as a part of a request's XML?"""
    kind = ALGORITHMS.get(algorithm)
    return kind is not None and _unbase64(value.encode(), kind.width) is not None


def valid_whole(algorithm: str, value: str) -> bool:
    """
    Could this be the checksum of an object made of parts, as a header gives it:
    COMPOSITE, perhaps with the number of parts, or FULL_OBJECT?
    """
    digest, dash, count = value.partition("-")
    return valid_checksum(algorithm, digest) and (not dash or count.isdecimal())


def _content_md5(value: bytes | None) -> bytes | None:
    if value is None:
        return None
    md5 = _unbase64(value, 16)
    if md5 is None:
        raise InvalidDigest(
            "The Content-MD5 you specified was invalid.",
            **{"Content-MD5": _text(value)},
        )
    return md5


def _announced(value: bytes | None) -> list[str]:
    """The algorithms that C{x-amz-trailer} names."""
    if not value:
        return []
    named = []
    for item in value.split(b","):
        name = item.strip().lower()
        kind = ALGORITHMS.get(_text(name[len(_PREFIX) :]))
        if not name.startswith(_PREFIX) or kind is None:
            raise InvalidRequest(
                "The value specified in the x-amz-trailer header is not supported"
            )
        named.append(kind.name)
    return named


def _agree(value: bytes | None, algorithm: str) -> None:
    """Does C{x-amz-sdk-checksum-algorithm} name what else was found?"""
    if value is None:
        return
    said = _text(value).strip().lower()
    if said not in ALGORITHMS:
        raise InvalidRequest(UNSUPPORTED)
    if not algorithm:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding "
            "x-amz-checksum-* or x-amz-trailer headers were found."
        )
    if said != algorithm:
        raise InvalidRequest(
            "Value for x-amz-sdk-checksum-algorithm header is invalid."
        )


def _decoded(kind: Algorithm, value: bytes, where: str) -> bytes:
    decoded = _unbase64(value, kind.width)
    if decoded is None:
        raise InvalidRequest(f"Value for {kind.header} {where} is invalid.")
    return decoded


def _unbase64(value: bytes, width: int) -> bytes | None:
    """The bytes, if this is exactly the base64 of so many; else L{None}."""
    if len(value) != (width + 2) // 3 * 4:
        return None
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if len(decoded) == width else None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
