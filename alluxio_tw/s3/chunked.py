"""
aws-chunked bodies: feed bytes, take data; no I/O.

Such a body is chunks, each under a line with its size and, in the signed forms,
its signature; then a chunk of nought bytes, and in the trailer forms a few
header lines::

    10000;chunk-signature=<64 hexadecimal digits>CRLF <65536 bytes> CRLF
    0;chunk-signature=<64 hexadecimal digits>CRLF
    x-amz-checksum-crc32c:sOO8/Q==CRLF
    x-amz-trailer-signature:<64 hexadecimal digits>CRLF CRLF

The decoder is in the manner of h11: it owns no socket, keeps no data, and
gives the same whatever pieces the bytes come in.  What it gives are views of
what it was fed, never copies.  Data is given before the signature of its chunk
can be proved: nothing may be acknowledged or made current before C{ended}, and
L{ChunkedDecoder.feed} raises before that if a signature is wrong.  Not chosen:
holding each chunk back, which costs its size in memory and proves no more, as
the upload stands or falls as a whole.

C{feed} hashes signed chunks and so may take long; it may be called in a thread,
one call at a time.

Rules: "Signature Calculations for the Authorization Header: Transferring
Payload in Multiple Chunks" and "... Including trailing headers" in the S3 API
reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from alluxio_tw.errors import (
    IncompleteBody,
    InvalidChunkSize,
    MalformedTrailer,
    MissingContentLength,
    NotImplementedYet,
)
from alluxio_tw.s3.checksums import (
    EMPTY_SHA256,
    STREAMING_ECDSA,
    STREAMING_ECDSA_TRAILER,
    STREAMING_FORMS,
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
)
from alluxio_tw.s3.sigv4 import ChunkSigner, canonical_trailer

LEAST_CHUNK = 8192
"""The fewest bytes of any chunk but the last."""

_SIGNED_FORMS = frozenset({STREAMING_SIGNED, STREAMING_SIGNED_TRAILER})
_TRAILER_FORMS = frozenset({STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED_TRAILER})
_FORMS = _SIGNED_FORMS | _TRAILER_FORMS

_MOST_LINE = 1024
_MOST_TRAILER = 8192
# How far a chunk may reach past the announced length and still be read to its
# end, to tell a wrong length from wrong framing.
_MOST_EXCESS = 1 << 20
_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})\r").fullmatch
_SIGNED_SIZE = re.compile(
    rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-fA-F]{64})\r"
).fullmatch
_HEX64 = re.compile(rb"[0-9a-fA-F]{64}").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_DIGITS = re.compile(rb"[0-9]{1,18}").fullmatch
_SIGNATURE = b"x-amz-trailer-signature"
_BROKEN = "The request body terminated unexpectedly"


def form_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """
    The streaming form that C{x-amz-content-sha256} names, or L{None}.

    :raises NotImplementedYet: one of the ECDSA forms.
    """
    value = headers.get(b"x-amz-content-sha256")
    if value is None or value not in STREAMING_FORMS:
        return None
    if value in (STREAMING_ECDSA, STREAMING_ECDSA_TRAILER):
        raise NotImplementedYet(
            "A header you provided implies functionality that is not implemented",
            Header="x-amz-content-sha256",
        )
    return value


def decoded_length(headers: Mapping[bytes, bytes]) -> int:
    """
    The bytes of data in an aws-chunked body.

    :raises MissingContentLength: C{x-amz-decoded-content-length} does not say.
    """
    value = headers.get(b"x-amz-decoded-content-length", b"")
    if not _DIGITS(value):
        raise MissingContentLength()
    return int(value)


class ChunkedDecoder:
    """
    Takes the framing off one body.

    :ivar ended: all is there, and every signature was right.
    :ivar trailers: the trailing headers, by lower-case name, without the
        trailer's signature; complete once C{ended}.
    """

    def __init__(
        self,
        form: bytes,
        length: int,
        signer: ChunkSigner | None = None,
        least_chunk: int = LEAST_CHUNK,
    ) -> None:
        """
        :param form: from L{form_of}.
        :param length: from L{decoded_length}.
        :param signer: proves signatures; L{None}: they must be there, and
            nothing more (SIMPLE authentication).
        :param least_chunk: in bytes; nought allows all.
        """
        assert form in _FORMS, form
        self.ended = False
        self.trailers: dict[bytes, bytes] = {}
        self._signed = form in _SIGNED_FORMS
        self._trailed = form in _TRAILER_FORMS
        self._length = length
        self._signer = signer if self._signed else None
        self._least = least_chunk
        self._hash = sha256()
        self._signature = b""
        self._trailer_signed = False
        self._size = 0  # of the current chunk
        self._chunks = 0
        self._total = 0  # of all chunks begun
        self._left = 0  # of the current chunk's data
        self._carry = b""  # of a line not yet whole
        self._block = 0  # bytes of trailer seen
        self._line: Callable[[bytes], None] = self._on_size

    def __repr__(self) -> str:
        state = "ended" if self.ended else self._line.__name__[4:]
        return f"<ChunkedDecoder: {state}, {self._total} of {self._length} bytes>"

    def feed(self, data: bytes) -> list[memoryview]:
        """
        The next bytes of the body.

        :return: the data among them, in order; views of C{data}.
        :raises IncompleteBody: the framing is wrong, or the length.
        :raises InvalidChunkSize: a chunk that is not the last is too small.
        :raises MalformedTrailer: the trailer is not made of header lines.
        :raises SignatureDoesNotMatch: of a chunk or the trailer.
        """
        pieces: list[memoryview] = []
        view = memoryview(data)
        at, end = 0, len(data)
        while at < end:
            if self._left:
                stop = min(end, at + self._left)
                if self._total <= self._length:
                    piece = view[at:stop]
                    if self._signer is not None:
                        self._hash.update(piece)
                    pieces.append(piece)
                self._left -= stop - at
                at = stop
                continue
            if self.ended:
                raise self._broken()
            stop = data.find(b"\n", at)
            if stop < 0:
                self._carry += data[at:]
                if len(self._carry) > _MOST_LINE:
                    raise self._broken()
                break
            line = self._carry + data[at:stop]
            self._carry = b""
            if len(line) > _MOST_LINE:
                raise self._broken()
            at = stop + 1
            self._line(line)
        return pieces

    def finish(self) -> None:
        """
        The body has no more bytes.

        :raises IncompleteBody: there should have been.
        """
        if not self.ended:
            raise self._broken()

    # Each takes one line, without its line feed.

    def _on_size(self, line: bytes) -> None:
        found = (_SIGNED_SIZE if self._signed else _SIZE)(line)
        if found is None:
            raise self._broken()
        size = int(found[1], 16)
        if self._signed:
            self._signature = found[2]
        if not size:
            self._end_of_data()
            return
        if self._chunks and self._size < self._least:
            raise InvalidChunkSize(
                Chunk=str(self._chunks), BadChunkSize=str(self._size)
            )
        self._chunks += 1
        self._size = self._left = size
        self._total += size
        if self._total > self._length + _MOST_EXCESS:
            raise self._wrong_length()
        self._line = self._on_chunk_end

    def _on_chunk_end(self, line: bytes) -> None:
        if line != b"\r":
            raise self._broken()
        if self._total > self._length:
            raise self._wrong_length()
        if self._signer is not None:
            digest = self._hash.hexdigest().encode("ascii")
            self._signer.check_chunk(digest, self._signature)
            self._hash = sha256()
        self._line = self._on_size

    def _end_of_data(self) -> None:
        if self._signer is not None:
            self._signer.check_chunk(EMPTY_SHA256.encode("ascii"), self._signature)
        if self._total != self._length:
            raise self._wrong_length()
        self._line = self._on_trailer if self._trailed else self._on_last

    def _on_last(self, line: bytes) -> None:
        if line != b"\r":
            raise self._broken()
        self.ended = True

    def _on_trailer(self, line: bytes) -> None:
        self._block += len(line) + 1
        if self._block > _MOST_TRAILER:
            raise MalformedTrailer()
        # A bare line feed ends a line too: so MinIO's client writes it.
        text = line[:-1] if line.endswith(b"\r") else line
        if b"\r" in text:
            raise self._broken()
        if not text:
            # MinIO's client also has an empty line before the signature.
            if self._trailer_signed or not self._signed:
                self.ended = True
            return
        name, colon, value = text.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if self._trailer_signed:
            raise self._broken()
        if self._signed and name == _SIGNATURE:
            self._check_trailer(value)
        elif not colon or not _NAME(name) or name in self.trailers:
            raise MalformedTrailer()
        else:
            self.trailers[name] = value

    def _check_trailer(self, provided: bytes) -> None:
        if not _HEX64(provided):
            raise self._broken()
        if self._signer is not None:
            self._signer.check_trailer(
                canonical_trailer(self.trailers.items()), provided
            )
        self._trailer_signed = True

    def _broken(self) -> IncompleteBody:
        self.ended = False
        return IncompleteBody(_BROKEN)

    def _wrong_length(self) -> IncompleteBody:
        return IncompleteBody(
            NumberBytesExpected=str(self._length), NumberBytesProvided=str(self._total)
        )


class ChunkedEncoder:
    """
    Puts the framing on: what a client does.
    """

    def __init__(self, form: bytes, signer: ChunkSigner | None = None) -> None:
        """
        :param form: one of those that L{form_of} gives.
        :param signer: needed by the signed forms.
        """
        assert form in _FORMS and (signer is not None) == (form in _SIGNED_FORMS)
        self._signer = signer
        self._trailed = form in _TRAILER_FORMS

    def chunk(self, data: bytes) -> bytes:
        """
        One chunk.

        :param data: not empty, at least L{LEAST_CHUNK} unless it is the last.
        """
        return b"".join((self._size(data), data, b"\r\n"))

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """
        What follows the last chunk.

        :param trailers: lower-case names and their values.
        """
        parts = [self._size(b"")]
        if self._trailed:
            trailers = list(trailers)
            parts += [b"%s:%s\r\n" % pair for pair in trailers]
            if self._signer is not None:
                signature = self._signer.sign_trailer(canonical_trailer(trailers))
                parts.append(b"%s:%s\r\n" % (_SIGNATURE, signature))
        return b"".join(parts) + b"\r\n"

    def _size(self, data: bytes) -> bytes:
        if self._signer is None:
            return b"%x\r\n" % len(data)
        digest = sha256(data).hexdigest().encode("ascii")
        signature = self._signer.sign_chunk(digest)
        return b"%x;chunk-signature=%s\r\n" % (len(data), signature)


def encoded_length(
    form: bytes,
    length: int,
    chunk: int,
    trailers: Iterable[tuple[bytes, int]] = (),
) -> int:
    """
    The bytes of a body once encoded, for its C{Content-Length}.

    :param length: bytes of data.
    :param chunk: bytes in each chunk but the last.
    :param trailers: names, and the lengths of their values.
    """
    extra = len(b";chunk-signature=") + 64 if form in _SIGNED_FORMS else 0
    whole, rest = divmod(length, chunk)
    total = length + whole * (len(b"%x" % chunk) + extra + 4) + 1 + extra + 4
    if rest:
        total += len(b"%x" % rest) + extra + 4
    if form in _TRAILER_FORMS:
        total += sum(len(name) + size + 3 for name, size in trailers)
        if form in _SIGNED_FORMS:
            total += len(_SIGNATURE) + 64 + 3
    return total
