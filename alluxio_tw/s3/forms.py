"""
Forms that browsers send (multipart/form-data), read while they arrive.

A form is parts between boundaries: fields first, which are kept, then a file,
which is handed on as it comes; what follows the file is ignored, as S3 does.
The file is the part that is called C{file}, whether or not it says a file name
(RFC 7578 and RFC 2046, 5.1; S3 API reference, POST Object).

The theory.  A part ends at CRLF, two hyphens and the boundary.  Of what has come,
all can be handed on but so many bytes as might be the beginning of that.  Not
chosen: C{email.parser} and C{multipart} of PyPI, which keep files in memory or on
disk, or call back for each piece.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto

import attrs

from alluxio_tw.errors import (
    IncompleteBody,
    InvalidArgument,
    MalformedPOSTRequest,
    MaxPostPreDataLengthExceeded,
)

MAX_FIELDS = 20 * 1024
"""Bytes of a form but for its file, as S3 has it."""

_BOUNDARY = re.compile(
    rb"multipart/form-data\s*(?:;[^;]*)*?;\s*boundary=(?:\"([^\"]{1,70})\"|([^\";\s]{1,70}))"
    rb"\s*(?:;|\Z)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    rb";\s*([A-Za-z0-9*_-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]*))"
)
_ESCAPE = re.compile(rb'\\(["\\])')


class _State(Enum):
    PREAMBLE = auto()
    AFTER_BOUNDARY = auto()
    HEADERS = auto()
    FIELD = auto()
    FILE = auto()
    OVER = auto()


@attrs.frozen
class File:
    """
    What a form says of its file.

    :ivar name: as the browser gave it; L{None} if it gave none.
    :ivar content_type: likewise.
    """

    name: str | None
    content_type: str | None


def boundary_of(content_type: bytes) -> bytes | None:
    """
    The boundary that a C{Content-Type} names; L{None} if it is no form's.

    :raises MalformedPOSTRequest: it is a form's, and names none.
    """
    found = _BOUNDARY.match(content_type.strip())
    if found is not None:
        return (found[1] or found[2]).rstrip()
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"multipart/form-data":
        raise MalformedPOSTRequest()
    return None


@attrs.define(eq=False)
class FormParser:
    """
    Reads one form.

    :ivar fields: those before the file, by lower-case name; several of one name
        are joined by commas.
    :ivar file: known when its bytes begin.
    """

    _boundary: bytes
    _limit: int = MAX_FIELDS
    fields: dict[str, str] = attrs.field(factory=dict, init=False)
    file: File | None = attrs.field(default=None, init=False)
    _state: _State = attrs.field(default=_State.PREAMBLE, init=False)
    # Begins as if a line had ended, so that the first boundary is as the others.
    _buffer: bytearray = attrs.field(factory=lambda: bytearray(b"\r\n"), init=False)
    _delimiter: bytes = attrs.field(init=False)
    _counted: int = attrs.field(default=0, init=False)
    _name: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._delimiter = b"\r\n--" + self._boundary

    @property
    def whole(self) -> bool:
        """The file, if there is one, has come to its end."""
        return self._state is _State.OVER

    def feed(self, data: bytes) -> bytes:
        """
        Take what came.

        :return: what of it is the file's.
        :raises MalformedPOSTRequest: it is no form.
        :raises MaxPostPreDataLengthExceeded: too much comes before the file.
        """
        if self._state is _State.OVER:
            return b""
        if self.file is None:
            self._counted += len(data)
        self._buffer += data
        while self.file is None and self._step():
            pass
        if self.file is None:
            if self._counted > self._limit:
                raise self._too_large()
            return b""
        return self._of_file()

    def finish(self) -> None:
        """
        Nothing more will come.

        :raises InvalidArgument: there was no file.
        :raises IncompleteBody: it broke off in the file.
        :raises MalformedPOSTRequest: or elsewhere.
        """
        if self._state is _State.OVER:
            if self.file is None:
                raise InvalidArgument(
                    "POST requires exactly one file upload per request.",
                    ArgumentName="file",
                    ArgumentValue="0",
                )
        elif self._state is _State.FILE:
            raise IncompleteBody()
        else:
            raise MalformedPOSTRequest()

    # --- within ----------------------------------------------------------------------

    def _step(self) -> bool:
        """Go on by one state, if enough has come."""
        buffer, state = self._buffer, self._state
        if state is _State.PREAMBLE:
            at = buffer.find(self._delimiter)
            if at < 0:
                # What may be the beginning of it is kept.
                del buffer[: max(0, len(buffer) - len(self._delimiter))]
                return False
            del buffer[: at + len(self._delimiter)]
            self._state = _State.AFTER_BOUNDARY
            return True
        if state is _State.AFTER_BOUNDARY:
            return self._after_boundary()
        if state is _State.HEADERS:
            return self._headers()
        if state is _State.FIELD:
            at = buffer.find(self._delimiter)
            if at < 0:
                return False
            self._keep(bytes(buffer[:at]))
            del buffer[: at + len(self._delimiter)]
            self._state = _State.AFTER_BOUNDARY
            return True
        return False

    def _after_boundary(self) -> bool:
        buffer = self._buffer
        if buffer[:2] == b"--":
            self._state = _State.OVER
            buffer.clear()
            return False
        at = buffer.find(b"\r\n")
        if at < 0:
            if len(buffer) > 256:
                raise MalformedPOSTRequest()
            return False
        if buffer[:at].strip(b" \t"):
            raise MalformedPOSTRequest()
        # The end of the line stays: a part without headers is an empty line.
        del buffer[:at]
        self._state = _State.HEADERS
        return True

    def _headers(self) -> bool:
        buffer = self._buffer
        at = buffer.find(b"\r\n\r\n")
        if at < 0:
            return False
        headers = _part_headers(bytes(buffer[:at]))
        del buffer[: at + 4]
        kind, parameters = _disposition(headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in parameters:
            raise MalformedPOSTRequest()
        name = _text(parameters[b"name"])
        if name.lower() != "file":
            # So that an empty value ends at a boundary like every other.
            self._name = name.lower()
            self._state = _State.FIELD
            return True
        file_name = parameters.get(b"filename")
        content_type = headers.get(b"content-type")
        self._counted -= len(buffer)
        if self._counted > self._limit:
            raise self._too_large()
        self.file = File(
            None if file_name is None else _text(file_name),
            None if content_type is None else _text(content_type),
        )
        self._state = _State.FILE
        return False

    def _keep(self, value: bytes) -> None:
        text = _text(value)
        if self._name in self.fields:
            text = f"{self.fields[self._name]},{text}"
        self.fields[self._name] = text

    def _of_file(self) -> bytes:
        buffer, delimiter = self._buffer, self._delimiter
        at = buffer.find(delimiter)
        if at >= 0:
            after = bytes(buffer[at + len(delimiter) :][:2])
            if after in (b"--", b"\r\n") or after[:1] in (b" ", b"\t"):
                self._state = _State.OVER
            elif after not in (b"", b"-", b"\r"):
                # A line of the file that begins like the boundary: no form may
                # have one, and to end here would cut the file short.
                raise MalformedPOSTRequest()
        else:
            # Only what may be the beginning of a delimiter is kept.
            at = buffer.rfind(b"\r", max(0, len(buffer) - len(delimiter) + 1))
            if at < 0 or not delimiter.startswith(bytes(buffer[at:])):
                at = len(buffer)
        data = bytes(buffer[:at])
        if self._state is _State.OVER:
            buffer.clear()
        else:
            del buffer[:at]
        return data

    def _too_large(self) -> MaxPostPreDataLengthExceeded:
        return MaxPostPreDataLengthExceeded(MaxPostPreDataLengthBytes=str(self._limit))


def _part_headers(block: bytes) -> Mapping[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in block.split(b"\r\n"):
        if not line:
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name.strip():
            raise MalformedPOSTRequest()
        headers.setdefault(name.strip().lower(), value.strip())
    return headers


def _disposition(value: bytes) -> tuple[bytes, Mapping[bytes, bytes]]:
    kind, semicolon, rest = value.partition(b";")
    parameters: dict[bytes, bytes] = {}
    for name, quoted, plain in _PARAMETER.findall(semicolon + rest):
        parameters.setdefault(name.lower(), _ESCAPE.sub(rb"\1", quoted) or plain)
    return kind.strip().lower(), parameters


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPOSTRequest() from error
