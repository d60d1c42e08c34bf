from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import GatewayError, InvalidArgument, InvalidToken
from alluxio_tw.iobjects import Entry
from alluxio_tw.s3.folding import Fold
from alluxio_tw.s3.listing import (
    ListRequest,
    format_token,
    parse_list_buckets,
    parse_list_objects,
    parse_list_parts,
    parse_list_uploads,
    parse_list_versions,
    parse_part_number,
    parse_token,
)
from alluxio_tw.s3.path import Query, parse_query

NOT_AN_INTEGER = "Provided {} not an integer or within integer range"


def query(text: str) -> Query:
    return parse_query(text.encode())


def v1(text: str) -> ListRequest:
    return parse_list_objects(query(text), False)


def v2(text: str) -> ListRequest:
    return parse_list_objects(query(text), True)


class ListObjectsTests(SynchronousTestCase):
    def assert_refused(
        self, text: str, version: int, message: str, name: str, value: str | None = None
    ) -> None:
        parse = v2 if version == 2 else v1
        error = self.assertRaises(InvalidArgument, parse, text)
        self.assertEqual(error.message, message)
        self.assertEqual(error.fields.get("ArgumentName"), name)
        self.assertEqual(error.fields.get("ArgumentValue"), value)

    def assert_late(self, request: ListRequest, message: str) -> None:
        error = self.assertRaises(GatewayError, request.judge)
        self.assertEqual(error.message, message)
        self.assertRaises(GatewayError, request.fold)

    def test_nothing_said(self) -> None:
        """Without parameters the first thousand keys are meant."""
        for request in (v1(""), v2("list-type=2"), v1("prefix&delimiter=&max-keys=")):
            self.assertEqual(request, ListRequest())
            request.judge()

    def test_everything_said(self) -> None:
        """Every parameter comes through, and what is echoed is kept as it was."""
        request = v2(
            "prefix=a%2F&delimiter=%2F&start-after=a/b/c&max-keys=5&encoding-type=URL"
            "&fetch-owner=true&list-type=2"
        )
        self.assertEqual(
            request,
            ListRequest(
                "a/", "/", "a/b/c", "a/b/", None, 5, "URL", None, fetch_owner=True
            ),
        )
        self.assertEqual(v1("marker=x").marker, "x")

    def test_the_token_wins_over_start_after(self) -> None:
        """A continued listing goes on where it was, and echoes both."""
        token = format_token("m")
        request = v2(f"start-after=z&continuation-token={token}")
        self.assertEqual(
            (request.after, request.marker, request.token), ("m", "z", token)
        )

    def test_an_empty_token_begins_at_the_beginning(self) -> None:
        """An empty token is no place to go on from."""
        request = v2("continuation-token=&start-after=b")
        request.judge()
        self.assertEqual((request.token, request.after), ("", "b"))

    def test_max_keys(self) -> None:
        """max-keys is read for its value, capped, and refused beyond 32 bits."""
        for sent, limit in (
            ("0", 0),
            ("-0", 0),
            ("007", 7),
            ("1001", 1000),
            ("2147483647", 1000),
            ("0" * 5000 + "5", 5),
        ):
            self.assertEqual(v1(f"max-keys={sent}").limit, limit)
        for sent in ("abc", "1.5", " 5", "-", "2147483648", "-2147483649", "9" * 5000):
            self.assert_refused(
                f"max-keys={sent}",
                1,
                NOT_AN_INTEGER.format("max-keys"),
                "max-keys",
                sent,
            )
        self.assert_refused(
            "max-keys=%D9%A3", 1, NOT_AN_INTEGER.format("max-keys"), "max-keys", "٣"
        )

    def test_parameters_of_the_other_version(self) -> None:
        """Each version refuses the other's parameters by name, after max-keys."""
        needs = "only supported in REST.GET.BUCKET with list-type=2"
        self.assert_refused(
            "marker=",
            2,
            "Marker unsupported with REST.GET.BUCKET in list-type=2",
            "marker",
        )
        self.assert_refused("start-after=x", 1, f"startAfter {needs}", "start-after")
        self.assert_refused(
            "start-after=x&continuation-token=y",
            1,
            f"continuation-token {needs}",
            "continuation-token",
        )
        self.assert_refused(
            "start-after=x&max-keys=y",
            1,
            NOT_AN_INTEGER.format("max-keys"),
            "max-keys",
            "y",
        )

    def test_what_is_told_only_of_buckets_that_exist(self) -> None:
        """Range, encoding, token and NUL are judged late, the encoding first."""
        encoding = "Invalid Encoding Method specified in Request"
        self.assert_late(v1("encoding-type=x&max-keys=-1"), encoding)
        self.assert_late(v1("encoding-type="), encoding)
        self.assert_late(
            v1("max-keys=-1"),
            "Argument maxKeys must be an integer between 0 and 2147483647",
        )
        self.assert_late(
            v2("continuation-token=x"), "The continuation token provided is incorrect"
        )
        self.assert_late(
            v1("prefix=a%00"),
            "Value must be a sequence of Unicode characters and cannot include Null.",
        )

    def test_fold(self) -> None:
        """A request makes the fold that makes its page."""
        made: Fold[Entry] = v1("prefix=a&delimiter=/&max-keys=1&marker=a/").fold()
        made.take_all(Entry(key, 1, "", 0) for key in ("a/1", "ab", "ac"))
        self.assertEqual([entry.key for entry in made.entries], ["ab"])
        self.assertEqual(made.resume, "ab")


class OtherListingsTests(SynchronousTestCase):
    def test_versions(self) -> None:
        """Version markers need a key marker, and are not empty."""
        request = parse_list_versions(query("key-marker=k&version-id-marker=null"))
        self.assertEqual((request.after, request.id_marker), ("k", "null"))
        for text, message in (
            (
                "version-id-marker=x",
                "A version-id marker cannot be specified without a key marker.",
            ),
            (
                "key-marker=&version-id-marker=",
                "A version-id marker cannot be specified without a key marker.",
            ),
            (
                "key-marker=k&version-id-marker=",
                "A version-id marker cannot be empty.",
            ),
            (
                "version-id-marker=x&max-keys=abc",
                NOT_AN_INTEGER.format("max-keys"),
            ),
        ):
            error = self.assertRaises(InvalidArgument, parse_list_versions, query(text))
            self.assertEqual(error.message, message)
        negative = parse_list_versions(query("max-keys=-1"))
        error = self.assertRaises(InvalidArgument, negative.judge)
        self.assertEqual(error.message, "max-keys cannot be negative")

    def test_uploads(self) -> None:
        """An upload id marker counts only beside a key marker."""
        request = parse_list_uploads(
            query("key-marker=k&upload-id-marker=u&max-uploads=3&prefix=p")
        )
        self.assertEqual(
            (request.after, request.id_marker, request.limit, request.prefix),
            ("k", "u", 3, "p"),
        )
        self.assertIsNone(parse_list_uploads(query("upload-id-marker=u")).id_marker)
        self.assertRaises(InvalidArgument, parse_list_uploads, query("max-uploads=x"))
        negative = parse_list_uploads(query("max-uploads=-01"))
        error = self.assertRaises(InvalidArgument, negative.judge)
        self.assertEqual(error.fields["ArgumentValue"], "-1")

    def test_parts(self) -> None:
        """Parts are listed after a number, at most a thousand."""
        request = parse_list_parts(query("part-number-marker=3&max-parts=2000"))
        self.assertEqual((request.after, request.limit), (3, 1000))
        for text in ("max-parts=-1", "max-parts=x", "part-number-marker=-5"):
            self.assertRaises(InvalidArgument, parse_list_parts, query(text))

    def test_buckets(self) -> None:
        """Buckets are listed by prefix and after a token, one to ten thousand."""
        token = format_token("b")
        request = parse_list_buckets(query(f"prefix=&continuation-token={token}"))
        self.assertEqual((request.prefix, request.after), ("", "b"))
        self.assertTrue(request.paged)
        self.assertFalse(parse_list_buckets({}).paged)
        for text in ("max-buckets=0", "max-buckets=10001", "max-buckets=x"):
            self.assertRaises(InvalidArgument, parse_list_buckets, query(text))
        self.assertRaises(
            InvalidToken, parse_list_buckets, query("continuation-token=x")
        )

    def test_part_number(self) -> None:
        """A part number is an integer from 1 to 10,000."""
        self.assertEqual(parse_part_number(query("partNumber=10000")), 10000)
        self.assertEqual(parse_part_number(query("partNumber=0001")), 1)
        for text in ("0", "10001", "-1", "x", "", "1.0", "9" * 5000):
            error = self.assertRaises(
                InvalidArgument, parse_part_number, query(f"partNumber={text}")
            )
            self.assertEqual(error.fields["ArgumentName"], "partNumber")


class TokenTests(SynchronousTestCase):
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_round_trip(self, key: str) -> None:
        """A token brings its key back and needs no escaping anywhere."""
        token = format_token(key)
        self.assertEqual(parse_token(token), key)
        self.assertRegex(token, r"\A[A-Za-z0-9_-]+\Z")

    @given(st.text())
    def test_a_foreign_token(self, token: str) -> None:
        """Any text is a token of ours or InvalidToken."""
        try:
            key = parse_token(token)
        except InvalidToken as error:
            self.assertEqual(error.fields["ArgumentName"], "continuation-token")
        else:
            key.encode()

    def test_wrong_tokens(self) -> None:
        """Another version, other bytes and other alphabets are refused."""
        for token in ("x", "====", "Ag", "Af8", "AWE=!", "é"):
            self.assertRaises(InvalidToken, parse_token, token)

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "prefix",
                    "delimiter",
                    "marker",
                    "start-after",
                    "continuation-token",
                    "max-keys",
                    "encoding-type",
                    "key-marker",
                    "version-id-marker",
                    "upload-id-marker",
                    "max-uploads",
                    "max-parts",
                    "part-number-marker",
                    "max-buckets",
                    "partNumber",
                ]
            ),
            st.none() | st.text(max_size=5) | st.integers().map(str),
        )
    )
    def test_no_parameters_break_it(self, parameters: dict[str, str | None]) -> None:
        """Random parameters are a request or an error of ours, in every listing."""
        for parse in (v1_of, v2_of, parse_list_versions, parse_list_uploads):
            try:
                made: Fold[Entry] = parse(parameters).fold()
            except GatewayError:
                continue
            self.assertTrue(0 <= made.limit <= 1000)
        for other in (parse_list_parts, parse_list_buckets, parse_part_number):
            try:
                other(parameters)
            except GatewayError:
                pass


def v1_of(parameters: Query) -> ListRequest:
    return parse_list_objects(parameters, False)


def v2_of(parameters: Query) -> ListRequest:
    return parse_list_objects(parameters, True)
