from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    GatewayError,
    InvalidArgument,
    InvalidPartNumber,
    InvalidRange,
    InvalidRequest,
    NotImplementedYet,
    NotModified,
    PreconditionFailed,
)
from alluxio_tw.iobjects import NO_DEMAND, Demand
from alluxio_tw.s3.conditions import (
    ANY,
    Conditions,
    entity_tags,
    range_applies,
    resolve_copy_range,
    resolve_part,
    resolve_range,
    write_demand,
)
from alluxio_tw.spans import Span

ETAG = "9b2cf535f27731c974343645a3985328"
TAG = b'"9b2cf535f27731c974343645a3985328"'
DATE = b"Fri, 24 May 2013 00:00:00 GMT"
EARLIER = b"Thu, 23 May 2013 23:59:59 GMT"
LATER = b"Fri, 24 May 2013 00:00:01 GMT"
MODIFIED = 1369353600


def read(**conditions: bytes) -> Conditions | None:
    return Conditions.from_headers(
        {name.replace("_", "-").encode(): value for name, value in conditions.items()}
    )


class ReadConditionsTests(SynchronousTestCase):
    def outcome(self, conditions: dict[str, bytes], now: float | None = None) -> str:
        found = read(**conditions)
        assert found is not None
        try:
            found.evaluate(ETAG, MODIFIED, now)
        except NotModified:
            return "304"
        except PreconditionFailed as error:
            return "412 " + error.fields["Condition"]
        return "200"

    def test_without(self) -> None:
        """A request without conditions costs no value."""
        self.assertIsNone(Conditions.from_headers({b"range": b"bytes=0-1"}))

    def test_table(self) -> None:
        """Each condition, and each pair of them, has the outcome of RFC 9110, 13.2.2."""
        other = b'"another"'
        for conditions, expected in [
            ({"if_match": TAG}, "200"),
            ({"if_match": ETAG.encode()}, "200"),
            ({"if_match": b"*"}, "200"),
            ({"if_match": other + b", " + TAG}, "200"),
            ({"if_match": other}, "412 If-Match"),
            ({"if_match": b"W/" + TAG}, "412 If-Match"),
            ({"if_match": b'"*"'}, "412 If-Match"),
            ({"if_match": b""}, "412 If-Match"),
            ({"if_none_match": TAG}, "304"),
            ({"if_none_match": b"W/" + TAG}, "304"),
            ({"if_none_match": ETAG.encode()}, "304"),
            ({"if_none_match": b"*"}, "304"),
            ({"if_none_match": other + b"," + TAG}, "304"),
            ({"if_none_match": other}, "200"),
            ({"if_none_match": b'"*"'}, "200"),
            ({"if_modified_since": DATE}, "304"),
            ({"if_modified_since": LATER}, "304"),
            ({"if_modified_since": EARLIER}, "200"),
            ({"if_modified_since": b"yesterday"}, "200"),
            ({"if_unmodified_since": DATE}, "200"),
            ({"if_unmodified_since": LATER}, "200"),
            ({"if_unmodified_since": EARLIER}, "412 If-Unmodified-Since"),
            ({"if_unmodified_since": b"yesterday"}, "200"),
            # An entity tag makes the date beside it moot.
            ({"if_match": TAG, "if_unmodified_since": EARLIER}, "200"),
            ({"if_match": other, "if_unmodified_since": LATER}, "412 If-Match"),
            ({"if_none_match": TAG, "if_modified_since": EARLIER}, "304"),
            ({"if_none_match": other, "if_modified_since": LATER}, "200"),
            # What must hold comes before what would be fresh.
            ({"if_match": other, "if_none_match": TAG}, "412 If-Match"),
            ({"if_match": TAG, "if_none_match": TAG}, "304"),
            (
                {"if_unmodified_since": EARLIER, "if_none_match": TAG},
                "412 If-Unmodified-Since",
            ),
        ]:
            self.assertEqual(self.outcome(conditions), expected, conditions)

    def test_future(self) -> None:
        """An If-Modified-Since later than now is ignored, as S3 ignores it."""
        self.assertEqual(self.outcome({"if_modified_since": LATER}, MODIFIED), "200")
        self.assertEqual(
            self.outcome({"if_modified_since": LATER}, MODIFIED + 1), "304"
        )

    def test_copy_source(self) -> None:
        """Whatever fails of a copy's source is 412, and says which it was."""
        for name, value, condition in [
            (b"if-match", b'"another"', "x-amz-copy-source-If-Match"),
            (b"if-none-match", TAG, "x-amz-copy-source-If-None-Match"),
            (b"if-modified-since", DATE, "x-amz-copy-source-If-Modified-Since"),
            (b"if-unmodified-since", EARLIER, "x-amz-copy-source-If-Unmodified-Since"),
        ]:
            found = Conditions.of_copy_source({b"x-amz-copy-source-" + name: value})
            assert found is not None
            error = self.assertRaises(
                PreconditionFailed, found.evaluate, ETAG, MODIFIED
            )
            self.assertEqual(error.fields["Condition"], condition)
        self.assertIsNone(Conditions.of_copy_source({b"if-match": TAG}))

    @given(st.binary(max_size=60))
    def test_any_tags(self, value: bytes) -> None:
        """No header makes the reader of entity tags fail."""
        self.assertTrue(set(entity_tags(value, False)) <= set(entity_tags(value, True)))


class WriteDemandTests(SynchronousTestCase):
    def test_offered(self) -> None:
        """Writers may demand an ETag, any object, or none."""
        for headers, expected in [
            ({}, NO_DEMAND),
            ({b"if-match": TAG}, Demand(match=(ETAG,))),
            ({b"if-match": b"*"}, Demand(match=ANY)),
            ({b"if-none-match": b"*"}, Demand(absent=True)),
        ]:
            self.assertEqual(write_demand(headers), expected)

    def test_not_offered(self) -> None:
        """What S3 does not offer to writers is refused, never passed over."""
        for headers, shown in [
            ({b"if-none-match": TAG}, "If-None-Match"),
            ({b"if-match": TAG, b"if-none-match": b"*"}, "If-Match,If-None-Match"),
            ({b"if-unmodified-since": DATE}, "If-Unmodified-Since"),
            ({b"x-amz-if-match-size": b"5"}, "x-amz-if-match-size"),
        ]:
            error = self.assertRaises(NotImplementedYet, write_demand, headers)
            self.assertEqual(error.fields["Header"], shown)


class RangeTests(SynchronousTestCase):
    def test_satisfiable(self) -> None:
        """Every form of one range gives its bytes."""
        for value, span in [
            (b"bytes=0-9", Span(0, 10)),
            (b"bytes=9-9", Span(9, 1)),
            (b"bytes=90-", Span(90, 10)),
            (b"bytes=0-", Span(0, 100)),
            (b"bytes=95-200", Span(95, 5)),
            (b"bytes=0-" + b"9" * 40, Span(0, 100)),
            (b"bytes=-1", Span(99, 1)),
            (b"bytes=-100", Span(0, 100)),
            (b"bytes=-101", Span(0, 100)),
            (b"Bytes=0-0", Span(0, 1)),
            (b" bytes=0-0 ", Span(0, 1)),
        ]:
            self.assertEqual(resolve_range(value, 100), span, value)

    def test_ignored(self) -> None:
        """A malformed range, and one of several, is as if it were not there."""
        for value in [
            b"",
            b"bytes",
            b"bytes=",
            b"bytes=-",
            b"bytes=5-4",
            b"bytes=0-1,3-4",
            b"bytes=0-1,",
            b"bytes=a-b",
            b"bytes=0x1-2",
            b"bytes=--1",
            b"bytes=+1-2",
            b"bytes 0-1",
            b"items=0-1",
            b"bytes=0-1 ,",
            b"bytes=" + b"9" * 9000 + b"-",
        ]:
            self.assertIsNone(resolve_range(value, 100), value)

    def test_unsatisfiable(self) -> None:
        """A range without a byte in it is InvalidRange, with the sizes."""
        for value, size in [
            (b"bytes=100-", 100),
            (b"bytes=100-200", 100),
            (b"bytes=-0", 100),
            (b"bytes=0-", 0),
            (b"bytes=0-0", 0),
            (b"bytes=-1", 0),
            (b"bytes=" + b"9" * 40 + b"-", 100),
        ]:
            error = self.assertRaises(InvalidRange, resolve_range, value, size)
            self.assertEqual(
                error.fields,
                {"RangeRequested": value.decode(), "ActualObjectSize": str(size)},
            )

    @given(st.integers(0, 40), st.integers(0, 50), st.integers(0, 50))
    def test_as_slices(self, size: int, first: int, last: int) -> None:
        """A range names the bytes that a slice does."""
        data = bytes(range(size))
        for value, expected in [
            (b"bytes=%d-%d" % (first, last), data[first : last + 1]),
            (b"bytes=%d-" % first, data[first:]),
            (b"bytes=-%d" % last, data[-last:] if last else b""),
        ]:
            try:
                span = resolve_range(value, size)
            except InvalidRange:
                self.assertEqual(expected, b"", value)
            else:
                if span is None:
                    self.assertLess(last, first)
                else:
                    self.assertEqual(data[span.offset : span.end], expected)
                    self.assertEqual(len(expected), span.length)

    @given(
        st.one_of(
            st.binary(max_size=40),
            st.text("bytes=-0123456789, ", max_size=30).map(str.encode),
        ),
        st.integers(0, 2**63),
    )
    def test_any_value(self, value: bytes, size: int) -> None:
        """Whatever a range says, its bytes lie within the object."""
        for resolve in (resolve_range, resolve_copy_range):
            try:
                span = resolve(value, size)
            except GatewayError:
                continue
            if span is not None:
                self.assertGreater(span.length, 0)
                self.assertLessEqual(span.end, size)

    def test_if_range(self) -> None:
        """If-Range holds for the strong tag and for the exact date only."""
        for value, expected in [
            (TAG, True),
            (ETAG.encode(), True),
            (DATE, True),
            (b"W/" + TAG, False),
            (b'"another"', False),
            (EARLIER, False),
            (LATER, False),
            (b"", False),
        ]:
            self.assertIs(range_applies(value, ETAG, MODIFIED), expected, value)


class CopyRangeTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A copy's range has one form."""
        self.assertEqual(resolve_copy_range(b"bytes=0-4", 5), Span(0, 5))
        self.assertEqual(resolve_copy_range(b"bytes=4-4", 5), Span(4, 1))
        for value in [
            b"0-2",
            b"bytes=0",
            b"bytes=hello-world",
            b"bytes=0-bar",
            b"bytes=hello-",
            b"bytes=0-2,3-5",
            b"bytes=0-",
            b"bytes=-2",
            b"bytes=3-2",
        ]:
            error = self.assertRaises(InvalidArgument, resolve_copy_range, value, 9)
            self.assertEqual(error.fields["ArgumentName"], "x-amz-copy-source-range")
            self.assertEqual(error.fields["ArgumentValue"], value.decode())

    def test_past_the_end(self) -> None:
        """A copy's range may not reach past the end of its source."""
        error = self.assertRaises(InvalidArgument, resolve_copy_range, b"bytes=0-5", 5)
        self.assertEqual(
            error.message, "Range specified is not valid for source object of size: 5"
        )


class PartTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """A part number names the bytes that were uploaded as that part."""
        sizes = (5, 7, 3)
        self.assertEqual(resolve_part("1", sizes, 15), (Span(0, 5), 3))
        self.assertEqual(resolve_part("2", sizes, 15), (Span(5, 7), 3))
        self.assertEqual(resolve_part("3", sizes, 15), (Span(12, 3), 3))

    def test_whole(self) -> None:
        """An object that was put whole is its own first part."""
        self.assertEqual(resolve_part("1", (), 15), (Span(0, 15), 0))
        self.assertEqual(resolve_part("1", (), 0), (Span(0, 0), 0))

    def test_no_such_part(self) -> None:
        """A part beyond the last is InvalidPartNumber."""
        for sizes, count in [((5, 7), "2"), ((), "1")]:
            error = self.assertRaises(InvalidPartNumber, resolve_part, "3", sizes, 12)
            self.assertEqual(
                error.fields, {"PartNumberRequested": "3", "ActualPartCount": count}
            )

    def test_no_number(self) -> None:
        """What is no part number is InvalidArgument."""
        for number in ["0", "10001", "-1", "", "1.0", "a", "٣", "1" * 9000]:
            error = self.assertRaises(InvalidArgument, resolve_part, number, (), 1)
            self.assertEqual(error.fields["ArgumentName"], "partNumber")

    def test_with_range(self) -> None:
        """A range of a part cannot be asked for."""
        self.assertRaises(InvalidRequest, resolve_part, "1", (), 5, ranged=True)
