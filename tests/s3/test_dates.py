from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.dates import http_date, iso8601, parse_http_date

SECONDS = st.integers(min_value=0, max_value=253402300799)


class DatesTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """The forms are those of S3's own examples."""
        at = 784111777 * 10**9 + 999_999_999
        self.assertEqual(iso8601(at), "1994-11-06T08:49:37.000Z")
        self.assertEqual(http_date(at), b"Sun, 06 Nov 1994 08:49:37 GMT")

    def test_the_three_forms(self) -> None:
        """All three forms of RFC 9110 are the same moment."""
        for text in (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
        ):
            self.assertEqual(parse_http_date(text), 784111777, text)
            self.assertEqual(parse_http_date(text.encode()), 784111777, text)

    def test_no_dates(self) -> None:
        """What is no date is None, so that its condition can be ignored."""
        for text in (
            "",
            "0",
            "-1",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, ٠٦ Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ):
            self.assertIsNone(parse_http_date(text), text)

    def test_moments_out_of_bounds(self) -> None:
        """A storage that reports absurd times costs no reply."""
        self.assertEqual(iso8601(-(10**18)), "1970-01-01T00:00:00.000Z")
        self.assertEqual(iso8601(10**30), "9999-12-31T23:59:59.000Z")
        self.assertEqual(http_date(10**30), b"Fri, 31 Dec 9999 23:59:59 GMT")

    @given(SECONDS)
    def test_round_trip(self, seconds: int) -> None:
        """What we write we read, and so does the standard library."""
        written = http_date(seconds * 10**9)
        self.assertEqual(parse_http_date(written), seconds)
        moment = datetime.fromtimestamp(seconds, timezone.utc)
        self.assertEqual(written.decode(), format_datetime(moment, usegmt=True))
        self.assertEqual(parsedate_to_datetime(written.decode()), moment)
        self.assertEqual(
            iso8601(seconds * 10**9),
            moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        )

    @given(st.binary(max_size=60))
    def test_no_bytes_break_it(self, raw: bytes) -> None:
        """Random bytes are a date or none, never an exception."""
        parse_http_date(raw)
