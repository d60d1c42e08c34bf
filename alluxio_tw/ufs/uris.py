"""
The URI of a mount, and the options that stand in its query or beside it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs

from alluxio_tw import quantities
from alluxio_tw.errors import WrongConfiguration

T = TypeVar("T")

_USER = re.compile(r"//[^/]*@")


@attrs.frozen
class Location:
    """
    A URI, taken apart.

    :ivar scheme: in lower case.
    :ivar host: what stands between C{//} and the path, as written; may be empty.
    :ivar path: percent-decoded.
    :ivar query: percent-decoded; the last of several values counts.
    """

    scheme: str
    host: str
    path: str
    query: Mapping[str, str]


def scheme_of(uri: str) -> str:
    """The scheme of C{uri}, in lower case; empty if it has none."""
    scheme, colon, _ = uri.partition(":")
    return scheme.lower() if colon and "/" not in scheme else ""


def shown(uri: str) -> str:
    """A URI as messages and logs may show it: without what may be secret."""
    return repr(_USER.sub("//***@", uri.partition("?")[0]))


def locate(uri: str) -> Location:
    """
    Take a URI apart.

    :raises WrongConfiguration: it is not one.
    """
    try:
        parts = urlsplit(uri)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=64))
        path = unquote(parts.path, errors="strict")
    except ValueError as error:
        raise WrongConfiguration(f"{shown(uri)} is not a URI: {error}") from error
    if parts.fragment:
        raise WrongConfiguration(
            f"{shown(uri)} has a part after '#': write a '#' of the path as %23"
        )
    return Location(parts.scheme.lower(), parts.netloc, path, query)


def without_query(uri: str) -> tuple[str, dict[str, str]]:
    """A URI without its query, and the query."""
    return uri.partition("?")[0], dict(locate(uri).query)


def with_query(uri: str, query: Mapping[str, str]) -> str:
    """A URI that had no query, with one."""
    text = "&".join(f"{quote(k)}={quote(v)}" for k, v in query.items())
    return f"{uri}?{text}" if text else uri


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: did you mean, and what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{hint} there are: {', '.join(names) if names else 'none'}"


@attrs.define
class Options:
    """
    The options of one mount, each asked for once; what nobody asked for is unknown.

    :ivar who: what they are the options of, for messages.
    """

    who: str
    _given: dict[str, str]
    _known: set[str] = attrs.field(factory=set, init=False)

    @classmethod
    def gathered(
        cls, who: str, query: Mapping[str, str], options: Mapping[str, str]
    ) -> Options:
        """Those of the query and those beside the URI; the latter win."""
        return cls(who, {**query, **options})

    def __contains__(self, name: object) -> bool:
        return name in self._given

    def size(self, name: str, default: int) -> int:
        """Bytes, such as C{64MB}."""
        return self._read(name, default, quantities.size)

    def duration(self, name: str, default: float) -> float:
        """Seconds, from such as C{50ms}; not negative."""

        def read(text: str) -> float:
            seconds = quantities.duration(text)
            if seconds < 0:
                raise ValueError(f"{text!r} is negative")
            return seconds

        return self._read(name, default, read)

    def truth(self, name: str, default: bool) -> bool:
        """C{true} or C{false}."""

        def read(text: str) -> bool:
            if text.lower() not in ("true", "false"):
                raise ValueError(f"{text!r} is neither 'true' nor 'false'")
            return text.lower() == "true"

        return self._read(name, default, read)

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        """One of a few words."""
        words = tuple(choices)

        def read(text: str) -> str:
            if text not in words:
                raise ValueError(f"{text!r} is none of {', '.join(words)}")
            return text

        return self._read(name, default, read)

    def rest(self) -> dict[str, str]:
        """What was not asked for."""
        return {k: v for k, v in self._given.items() if k not in self._known}

    def finish(self) -> None:
        """
        Nothing more will be asked for.

        :raises WrongConfiguration: something is left.
        """
        for name in self.rest():
            raise WrongConfiguration(
                f"{self.who} has no option {name!r}{suggestion(name, self._known)}"
            )

    def _read(self, name: str, default: T, read: Callable[[str], T]) -> T:
        self._known.add(name)
        text = self._given.get(name)
        if text is None:
            return default
        try:
            return read(text)
        except ValueError as error:
            raise WrongConfiguration(
                f"option {name!r} of {self.who}: {error}"
            ) from error
