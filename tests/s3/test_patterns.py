"""
Patterns of policies.
"""

from __future__ import annotations

import fnmatch
import re
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import MalformedPolicy
from alluxio_tw.s3.patterns import Pattern, glob, starred

NAMES = frozenset(("aws:username", "s3:prefix"))


def said(name: str) -> tuple[str, ...] | None:
    return {"aws:username": ("a*b",)}.get(name)


class PatternTests(SynchronousTestCase):
    """
    What matches what.
    """

    def test_table(self) -> None:
        """A star is any text, a question mark one character."""
        for pattern, text, matches in (
            ("", "", True),
            ("*", "", True),
            ("*", "a/b\nc", True),
            ("a", "a", True),
            ("a", "A", False),
            ("a*", "a", True),
            ("*a", "ba", True),
            ("a*a", "a", False),
            ("a*a", "aa", True),
            ("a*b*c", "a-b-b-c", True),
            ("a*b*c", "a-c-b", False),
            ("?", "", False),
            ("?", "\n", True),
            ("a?c*?", "abcd", True),
            ("a?c*?", "abc", False),
            ("*?b?*", "abc", True),
            ("a.c", "abc", False),
            ("[a]", "a", False),
        ):
            self.assertIs(glob(pattern)(text), matches, (pattern, text))

    @given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
    def test_reference(self, pattern: str, text: str) -> None:
        """It agrees with the standard library's."""
        wanted = re.fullmatch(fnmatch.translate(pattern), text) is not None
        self.assertIs(glob(pattern)(text), wanted)

    def test_hostile(self) -> None:
        """A pattern of many stars costs no more than its length says."""
        pattern, text = "*a" * 5000 + "b", "a" * 1024
        begun = time.process_time()
        self.assertFalse(glob(pattern)(text))
        self.assertFalse(glob("*?a" * 3000 + "b")(text))
        self.assertLess(time.process_time() - begun, 2.0)

    def test_starred(self) -> None:
        """Where only a star is a wildcard, a question mark is none."""
        self.assertTrue(starred("https://*.a?")("https://x.a?"))
        self.assertFalse(starred("https://*.a?")("https://x.ab"))

    def test_variables(self) -> None:
        """A variable stands for what the request says, and that is only text."""
        pattern = Pattern.of("home/${aws:UserName}/*", NAMES)
        self.assertTrue(pattern.matches("home/a*b/x", said))
        self.assertFalse(pattern.matches("home/axb/x", said))
        self.assertFalse(Pattern.of("${s3:prefix}*", NAMES).matches("", said))
        literal = Pattern.of("${*}${?}${$}", NAMES)
        self.assertTrue(literal.matches("*?$", said))
        self.assertFalse(literal.matches("ab$", said))
        plain = Pattern.of("${aws:username}", None)
        self.assertTrue(plain.matches("${aws:username}", said))
        self.assertRaises(MalformedPolicy, Pattern.of, "${aws:nothing}", NAMES)

    def test_exact(self) -> None:
        """Where nothing is wild, a star is a star."""
        self.assertFalse(Pattern.of("a*", NAMES, wild=False).matches("ab", said))
        self.assertTrue(Pattern.of("a*", NAMES, wild=False).matches("a*", said))
        own = Pattern.of("${aws:username}*", NAMES, wild=False)
        self.assertTrue(own.matches("a*b*", said))
        self.assertFalse(own.matches("a*bc", said))
