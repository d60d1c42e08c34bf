from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import GatewayError, InvalidArgument, InvalidTag
from alluxio_tw.s3.configurations import parse_tagging as parse_tagging_document
from alluxio_tw.s3.documents import tagging
from alluxio_tw.s3.tags import (
    BUCKET_TAGS,
    check_tags,
    format_tagging,
    parse_tagging,
)

PLAIN = st.text(
    st.characters(categories=["L", "N", "Zs"], include_characters="_.:/=+-@")
)
TAG_SETS = st.dictionaries(
    PLAIN.filter(lambda k: 0 < len(k) <= 128 and k[:4].lower() != "aws:"),
    PLAIN.filter(lambda v: len(v) <= 256),
    max_size=10,
)


class TagsTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """Ten tags of 128 and 256 characters are a set; one more of anything is not."""
        good = [(f"{i}" + "ä" * 127, "é" * 256) for i in range(10)]
        self.assertEqual(check_tags(good), dict(good))
        for bad in (
            [*good, ("one", "more")],
            [("k" * 129, "")],
            [("k", "v" * 257)],
            [("", "v")],
            [("aws:k", "v")],
            [("AWS:k", "v")],
            [("k", "1"), ("k", "2")],
            [("k!", "")],
            [("k", "<")],
            [("k", "\n")],
            [("k", "🙂")],
        ):
            self.assertRaises(InvalidTag, check_tags, bad)
        many = [(str(i), "") for i in range(50)]
        self.assertEqual(len(check_tags(many, BUCKET_TAGS)), 50)
        self.assertRaises(InvalidTag, check_tags, [*many, ("50", "")], BUCKET_TAGS)

    def test_without_restrictions(self) -> None:
        """Restrictions can be switched off, all but unique keys with a name."""
        odd = [(f"aws:{i}!" + "k" * 200, "<" * 300) for i in range(20)]
        self.assertEqual(check_tags(odd, restricted=False), dict(odd))
        self.assertRaises(InvalidTag, check_tags, [("", "v")], 10, False)
        self.assertRaises(InvalidTag, check_tags, [("k", ""), ("k", "")], 10, False)

    def test_header(self) -> None:
        """The header is a query: a tag may lack its value, and a plus is a space."""
        self.assertEqual(
            parse_tagging(b"a=1&b&c=&d+e=f%2Bg%3Dh"),
            {"a": "1", "b": "", "c": "", "d e": "f+g=h"},
        )

    def test_bad_headers(self) -> None:
        """A header that is no query, or repeats a key, is InvalidArgument."""
        for header in (b"a=%zz", b"a=%FF", b"\xff=1", b"a=1&a=2"):
            error = self.assertRaises(InvalidArgument, parse_tagging, header)
            self.assertEqual(error.fields["ArgumentName"], "x-amz-tagging")
        self.assertRaises(InvalidArgument, parse_tagging, b"=v")

    @given(TAG_SETS)
    def test_header_and_document_agree(self, tags: dict[str, str]) -> None:
        """A tag set written either way is read as the same set, in its order."""
        from_header = parse_tagging(format_tagging(tags).encode())
        from_document = check_tags(parse_tagging_document(tagging(tags)))
        self.assertEqual(list(from_header.items()), list(tags.items()))
        self.assertEqual(list(from_document.items()), list(tags.items()))

    @given(st.binary(max_size=60))
    def test_no_bytes_break_it(self, header: bytes) -> None:
        """Random bytes are a tag set or an error of ours."""
        try:
            parse_tagging(header)
        except GatewayError:
            pass
