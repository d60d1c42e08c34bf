"""
Patterns of policies: C{*} for any text, C{?} for one character, C{${name}} for
what the request says.

Who owns a bucket writes them and everybody's requests are matched against them,
so matching must cost little whatever they are: between two stars a piece is
looked for from the left, which is right for such patterns and never goes back.
Not chosen: one regular expression for the whole, which for C{*a*a*a*b} tries
every way to cut the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import attrs

from alluxio_tw.errors import MalformedPolicy

Matches = Callable[[str], bool]
"""Does a text match?"""

Values = Callable[[str], "tuple[str, ...] | None"]
"""What the request says, by key in lower case; L{None} if it says nothing."""

# The three are how a wildcard is written that shall not be one.
_LITERALS = {"*": "*", "?": "?", "$": "$"}
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")


@attrs.frozen
class _Piece:
    """A run of characters, L{None} for any one of them."""

    characters: tuple[str | None, ...]
    text: str | None
    search: re.Pattern[str] | None

    @classmethod
    def of(cls, characters: list[str | None]) -> _Piece:
        if None not in characters:
            return cls(tuple(characters), "".join(map(str, characters)), None)
        source = "".join("." if c is None else re.escape(c) for c in characters)
        return cls(tuple(characters), None, re.compile(source, re.DOTALL))

    def at(self, text: str, start: int) -> bool:
        if self.search is None:
            return text.startswith(self.text or "", start)
        return self.search.match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self.search is None:
            return text.find(self.text or "", start, end)
        found = self.search.search(text, start, end)
        return -1 if found is None else found.start()


_ANY = object()
_Token = str | None | object


def _compiled(tokens: list[_Token]) -> Matches:
    runs: list[list[str | None]] = [[]]
    for token in tokens:
        if token is _ANY:
            runs.append([])
        else:
            assert token is None or isinstance(token, str)
            runs[-1].append(token)
    pieces = [_Piece.of(run) for run in runs]
    if len(pieces) == 1:
        only = pieces[0]
        size = len(only.characters)
        return lambda text: len(text) == size and only.at(text, 0)
    head, tail = pieces[0], pieces[-1]
    # Two stars together are one.
    middle = [piece for piece in pieces[1:-1] if piece.characters]
    before, after = len(head.characters), len(tail.characters)

    def matches(text: str) -> bool:
        start, end = before, len(text) - after
        if end < start or not head.at(text, 0) or not tail.at(text, end):
            return False
        for piece in middle:
            found = piece.find(text, start, end)
            if found < 0:
                return False
            start = found + len(piece.characters)
        return True

    return matches


def _tokens(text: str, wild: bool = True) -> list[_Token]:
    if not wild:
        return list(text)
    return [_ANY if c == "*" else None if c == "?" else c for c in text]


@lru_cache(1024)
def glob(text: str) -> Matches:
    """A pattern with C{*} and C{?}, and nothing else."""
    if "*" not in text and "?" not in text:
        return text.__eq__
    return _compiled(_tokens(text))


@lru_cache(1024)
def starred(text: str) -> Matches:
    """A pattern with C{*}, where C{?} is a question mark."""
    if "*" not in text:
        return text.__eq__
    return _compiled([_ANY if c == "*" else c for c in text])


@attrs.frozen
class Pattern:
    """
    A pattern of a policy, which may have variables.

    :ivar text: as it was written.
    :ivar wild: whether C{*} and C{?} mean what they do.
    """

    text: str
    wild: bool
    _fixed: Matches | None
    _parts: tuple[str, ...]

    @classmethod
    def of(
        cls, text: str, variables: frozenset[str] | None, wild: bool = True
    ) -> Pattern:
        """
        :param variables: those there are, in lower case; L{None} if C{${} is no
            sign of one, as in policies of 2008.
        :raises MalformedPolicy: there is no such variable.
        """
        if variables is None or "${" not in text:
            return cls(text, wild, glob(text) if wild else text.__eq__, ())
        # Texts and the names of variables, by turns.
        parts = tuple(_VARIABLE.split(text))
        for name in parts[1::2]:
            if name not in _LITERALS and name.lower() not in variables:
                raise MalformedPolicy(f"Policy has an invalid variable: {name}")
        return cls(text, wild, None, parts)

    def matches(self, text: str, values: Values) -> bool:
        """
        Does a text match?  With a variable that the request says nothing of,
        none does.
        """
        if self._fixed is not None:
            return self._fixed(text)
        tokens: list[_Token] = []
        for number, part in enumerate(self._parts):
            if number % 2 == 0:
                tokens += _tokens(part, self.wild)
            elif part in _LITERALS:
                tokens.append(_LITERALS[part])
            else:
                found = values(part.lower())
                if not found:
                    return False
                # What the client said is text: a star of its is a star.
                tokens += found[0]
        return _compiled(tokens)(text)
