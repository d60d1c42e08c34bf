"""
Kinds of property values: how each is read, and what to write instead.

A reader takes text and raises L{ValueError} with the end of a sentence that
begins with the property's name; L{alluxio_tw.app.sources} puts the rest before it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from alluxio_tw import quantities

T = TypeVar("T")

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z", re.ASCII)

SHOWN = 80
"""At most so many characters of a wrong value are repeated in a message."""


@attrs.frozen
class Kind(Generic[T]):
    """
    One kind of value.

    :ivar name: as the documentation calls it.
    :ivar read: text, without blanks around it, to the value.
    """

    name: str
    read: Callable[[str], T]


def quoted(text: str) -> str:
    """A value as messages show it: on one line, and not all of a long one."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _read_bool(text: str) -> bool:
    word = text.lower()
    if word not in ("true", "false"):
        raise ValueError(f"{quoted(text)} is not true or false: write one of them")
    return word == "true"


def _read_host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if not _is_host_name(text):
        raise ValueError(
            f"{quoted(text)} is not a host: write an address or a host name, "
            "such as 127.0.0.1, ::1 or 0.0.0.0 for all of them"
        )
    return text.lower()


def _is_host_name(text: str) -> bool:
    name = text.removesuffix(".")
    # All digits and dots is an address gone wrong, not a name.
    return (
        0 < len(name) <= 253
        and not name.replace(".", "").isdigit()
        and all(_HOST_LABEL.match(label) for label in name.split("."))
    )


def _read_path(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{quoted(text)} is not a path: it has a NUL in it")
    if not text or text == "-":
        return text
    return os.path.abspath(os.path.expanduser(text))


def _read_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{quoted(text)} has characters that cannot be printed")
    return text


def _read_domain(text: str) -> str:
    if not _is_host_name(text):
        raise ValueError(
            f"{quoted(text)} is not a domain name: write such as s3.example.com"
        )
    return text.lower().removesuffix(".")


def _read_prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix, re.ASCII):
        raise ValueError(
            f"{quoted(text)} is not a path prefix: write such as /s3, or nothing"
        )
    return prefix


BOOL = Kind("true or false", _read_bool)
HOST = Kind("host", _read_host)
PATH = Kind("path", _read_path)
TEXT = Kind("text", _read_text)
DOMAIN = Kind("domain name", _read_domain)
PREFIX = Kind("path prefix", _read_prefix)


def integer(least: int, most: int, name: str = "number") -> Kind[int]:
    """A whole number from C{least} to C{most}."""

    def read(text: str) -> int:
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
            number = int(text)
            if least <= number <= most:
                return number
        raise ValueError(
            f"{quoted(text)} is not a {name}: write a whole number from {least} to {most}"
        )

    return Kind(name, read)


PORT = integer(0, 65535, "port")


def fraction(most: float) -> Kind[float]:
    """A number from nought to C{most}."""

    def read(text: str) -> float:
        if re.fullmatch(r"[0-9]{0,9}(\.[0-9]{0,9})?", text, re.ASCII) and text not in (
            "",
            ".",
        ):
            number = float(text)
            if number <= most:
                return number
        raise ValueError(
            f"{quoted(text)} is not a fraction: write a number from 0 to {most:g}"
        )

    return Kind("fraction", read)


def size(least: int = 0, most: int = 1 << 60) -> Kind[int]:
    """A size from C{least} to C{most} bytes."""

    def read(text: str) -> int:
        number = quantities.size(text)
        if not least <= number <= most:
            raise ValueError(
                f"{quoted(text)} is out of bounds: write a size from "
                f"{quantities.size_text(least)} to {quantities.size_text(most)}"
            )
        return number

    return Kind("size", read)


def duration(least: float = 0.0, most: float = 366 * 86400.0) -> Kind[float]:
    """A duration from C{least} to C{most} seconds."""

    def read(text: str) -> float:
        number = quantities.duration(text)
        if not least <= number <= most:
            raise ValueError(
                f"{quoted(text)} is out of bounds: write a duration from "
                f"{quantities.duration_text(least)} to {quantities.duration_text(most)}"
            )
        return number

    return Kind("duration", read)


def choice(
    words: Sequence[str], synonyms: Mapping[str, str] | None = None
) -> Kind[str]:
    """
    One of C{words}, in any case.

    :param synonyms: other spellings, in lower case, and the word they stand for.
    """
    meant = {word.lower(): word for word in words} | dict(synonyms or {})

    def read(text: str) -> str:
        word = meant.get(text.lower())
        if word is None:
            raise ValueError(f"{quoted(text)} is none of {', '.join(words)}")
        return word

    return Kind(" or ".join(words), read)


def optional(kind: Kind[T], word: str) -> Kind[T | None]:
    """As C{kind}, or C{word}, which gives L{None}."""

    def read(text: str) -> T | None:
        if text.lower() == word:
            return None
        try:
            return kind.read(text)
        except ValueError as error:
            raise ValueError(f"{error}; or {word}" if word else str(error)) from error

    return Kind(f"{kind.name} or {word}", read)


def listed(kind: Kind[T], most: int = 64) -> Kind[tuple[T, ...]]:
    """Several of C{kind}, with commas between; empty parts are passed over."""

    def read(text: str) -> tuple[T, ...]:
        parts = [part.strip() for part in text.split(",")]
        parts = [part for part in parts if part]
        if len(parts) > most:
            raise ValueError(f"{len(parts)} values are more than {most}")
        return tuple(kind.read(part) for part in parts)

    return Kind(f"list of {kind.name}", read)
