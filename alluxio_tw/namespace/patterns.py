"""
Many regular expressions, looked for in one pass.

They are the operator's, and what they are matched against is whatever a client
asks for, so a match must take time that grows with the text and in no other way.
Python's own would not do: of C{(a+)+b} it tries every way to cut a run of C{a}.
RE2 reads each character once, all patterns at a time, and has no look-around and
no back references for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alluxio_tw.errors import WrongConfiguration

if TYPE_CHECKING:
    import re2

# Imported where there are patterns: it takes 2.5 MiB, and most have no rules.

MOST_LENGTH = 512
"""Characters of a pattern."""

MOST_PATTERNS = 256

MEMORY = 8 << 20
"""Bytes that the automaton of all patterns may take; that of a single one is smaller."""

EVERYTHING = "(?s).*"


def check_pattern(pattern: str) -> None:
    """
    Can it be a pattern?

    :raises WrongConfiguration: it cannot; the message is the end of a sentence.
    """
    if len(pattern) > MOST_LENGTH:
        raise WrongConfiguration(
            f"a pattern of {len(pattern)} characters: at most {MOST_LENGTH}"
        )
    if "://" in pattern:
        raise WrongConfiguration(
            "a pattern is matched against /bucket/key as clients name it, not against "
            "a URI: write such as /photos/.*"
        )
    if not pattern or pattern[0].isalnum():
        raise WrongConfiguration(
            "a pattern must match the whole of /bucket/key: write such as "
            f"/{pattern or 'photos/.*'} or .*/{pattern or 'photos/.*'}"
        )
    import re2

    try:
        re2.compile(pattern, _options(MEMORY // 8))
    except re2.error as error:
        why = error.args[0] if error.args else ""
        text = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise WrongConfiguration(
            f"not a regular expression that can be used: {text}; the syntax is RE2's: "
            "no look-around and no back references"
        ) from error


class PatternSet:
    """
    Patterns, each of which matches a whole path or does not.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """
        :param patterns: such as L{check_pattern} has passed.
        """
        import re2

        self._patterns = tuple(patterns)
        self._single: list[re2._Regexp] = []
        self._set: re2.Set | None = re2.Set.FullMatchSet(_options(MEMORY))
        for pattern in self._patterns:
            self._set.Add(pattern)
        # Matches always; so when it does not, the set has run out of memory.
        self._always = self._set.Add(EVERYTHING)
        try:
            self._set.Compile()
        except re2.error:
            # All together they are too large: one after the other, then.
            self._set = None

    def __len__(self) -> int:
        return len(self._patterns)

    def matching(self, path: str) -> tuple[int, ...]:
        """
        The patterns that match, by their places, in order.
        """
        text = path.encode("utf-8", "replace")
        if self._set is not None:
            found = sorted(self._set.Match(text))
            if found and found[-1] == self._always:
                return tuple(found[:-1])
        if not self._single:
            import re2

            options = _options(MEMORY // 8)
            self._single = [re2.compile(each, options) for each in self._patterns]
        return tuple(
            number
            for number, pattern in enumerate(self._single)
            if pattern.fullmatch(text) is not None
        )


def _options(memory: int) -> re2.Options:
    import re2

    options = re2.Options()
    options.log_errors = False
    # Keys may have line feeds in them.
    options.dot_nl = True
    options.max_mem = memory
    return options
