"""
Tests of L{alluxio_tw.namespace.patterns}.
"""

from __future__ import annotations

import re
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace import patterns
from alluxio_tw.namespace.patterns import MOST_LENGTH, PatternSet, check_pattern

SOME = ("/b/.*", ".*/t/.*", r".*\.csv", "/b/[a-c]+", "(?i).*/README", ".*")


class CheckTests(SynchronousTestCase):
    def test_good(self) -> None:
        """What Alluxio's documentation has as patterns is understood."""
        for pattern in (".*/immutable_tables/.*", "/bucket/.*", *SOME):
            check_pattern(pattern)

    def test_refused(self) -> None:
        """What can match nothing, or cannot be read, is refused with what to write."""
        for pattern, why in (
            ("", "/photos/.*"),
            ("photos/.*", "/photos/.*"),
            ("s3://photos/.*", "as clients name it"),
            ("/(", "regular expression"),
            ("/a(?=b)", "no look-around"),
            (r"/(a)\1", "no back references"),
            ("/" + "a" * MOST_LENGTH, str(MOST_LENGTH)),
        ):
            error = self.assertRaises(WrongConfiguration, check_pattern, pattern)
            self.assertIn(why, error.message)

    def test_too_large(self) -> None:
        """A pattern whose automaton would be huge is refused."""
        self.assertRaises(WrongConfiguration, check_pattern, "/((.{900}){900}){9}")


class SetTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A pattern must match the whole path."""
        found = PatternSet(["/b/a", "/b/.*", "/b", ".*a"])
        self.assertEqual(found.matching("/b/aa"), (1, 3))
        self.assertEqual(found.matching("/b/a"), (0, 1, 3))
        self.assertEqual(found.matching("/B/x"), ())

    def test_line_feeds(self) -> None:
        """A key with a line feed does not slip past a pattern for everything."""
        self.assertEqual(PatternSet(["/b/.*"]).matching("/b/a\nb"), (0,))

    def test_odd_keys(self) -> None:
        """Keys of any characters can be matched, also such as are no text."""
        found = PatternSet(["/b/..", "/b/.*"])
        self.assertEqual(found.matching("/b/日本"), (0, 1))
        self.assertEqual(found.matching("/b/\udcff\udcfe"), (0, 1))

    def test_none(self) -> None:
        """A set without patterns matches nothing."""
        self.assertEqual(PatternSet([]).matching("/b/k"), ())

    @given(st.text("abct/.csvR\n", max_size=12))
    def test_as_python(self, text: str) -> None:
        """It finds what Python's regular expressions find."""
        path = f"/b/{text}"
        wanted = tuple(
            number
            for number, pattern in enumerate(SOME)
            if re.compile(pattern, re.DOTALL).fullmatch(path)
        )
        self.assertEqual(PatternSet(SOME).matching(path), wanted)

    def test_hostile(self) -> None:
        """A pattern that would try every way to cut a text takes no time for it."""
        hostile = PatternSet(["(/b)?/(a+)+b", ".*a.*a.*a.*a.*a.*b"])
        begun = process_time()
        for _ in range(20):
            self.assertEqual(hostile.matching("/" + "a" * 1000), ())
        # Python's own would take longer than the universe is old.
        self.assertLess(process_time() - begun, 5.0)

    def test_out_of_memory(self) -> None:
        """A set that is too large for its memory still finds what matches."""
        many = [f".*/[a-z]{{1,40}}{number}.*x.*" for number in range(100)]
        alone = 0
        for memory in range(1 << 18, 1 << 20, 1 << 15):
            self.patch(patterns, "MEMORY", memory)
            found = PatternSet(many)
            self.assertEqual(found.matching("/b/abc57/x"), (5, 57))
            alone += bool(found._single)
        self.assertGreater(alone, 3)
