"""
Sizes and durations, read and written.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.quantities import duration, duration_text, size, size_text


class SizeTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Every form that Alluxio's properties use is understood."""
        for text, amount in (
            ("0", 0),
            ("4096", 4096),
            ("12B", 12),
            ("1k", 1024),
            ("64MB", 64 << 20),
            (" 64 mb ", 64 << 20),
            ("1.5GB", 3 << 29),
            ("2T", 2 << 40),
            ("3PB", 3 << 50),
            (".5KB", 512),
        ):
            self.assertEqual(size(text), amount, text)

    def test_nonsense(self) -> None:
        """What is no size is refused with a text that shows one."""
        for text in ("", "MB", "64XB", "-1", "1e3", "1,5GB", "9999PB", "٣", "9" * 99):
            error = self.assertRaises(ValueError, size, text)
            self.assertIn("is not a size", str(error))

    @given(st.integers(0, 2**60))
    def test_back_and_forth(self, amount: int) -> None:
        """A size that was written is read back as it was."""
        self.assertEqual(size(size_text(amount)), amount)

    def test_short(self) -> None:
        """A size is written in its largest whole unit."""
        self.assertEqual(size_text(64 << 20), "64MB")
        self.assertEqual(size_text(1536), "1536B")
        self.assertEqual(size_text(0), "0B")


class DurationTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Every form that Alluxio's properties use is understood."""
        for text, seconds in (
            ("250", 0.25),
            ("50ms", 0.05),
            ("30s", 30.0),
            ("30sec", 30.0),
            ("5min", 300.0),
            ("5m", 300.0),
            ("1.5h", 5400.0),
            ("2hr", 7200.0),
            ("1day", 86400.0),
            ("7d", 604800.0),
            ("-1", -0.001),
        ):
            self.assertEqual(duration(text), seconds, text)

    def test_nonsense(self) -> None:
        """What is no duration is refused with a text that shows one."""
        for text in ("", "s", "5 fortnights", "1:30", "nan", "inf"):
            error = self.assertRaises(ValueError, duration, text)
            self.assertIn("is not a duration", str(error))

    @given(st.integers(-(10**12), 10**12))
    def test_back_and_forth(self, milliseconds: int) -> None:
        """A duration that was written is read back as it was."""
        self.assertEqual(
            duration(duration_text(milliseconds / 1000)), milliseconds / 1000
        )

    def test_short(self) -> None:
        """A duration is written in its largest whole unit."""
        self.assertEqual(duration_text(300), "5min")
        self.assertEqual(duration_text(0.05), "50ms")
        self.assertEqual(duration_text(0), "0ms")
