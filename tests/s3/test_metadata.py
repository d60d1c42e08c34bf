from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    InvalidArgument,
    InvalidStorageClass,
    InvalidTag,
    MetadataTooLarge,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, Attributes
from alluxio_tw.s3.metadata import (
    header_bytes,
    overrides,
    parse_attributes,
    replaces,
    reply_headers,
)

# What llhttp lets through as a header value, after trimming.
VALUES = st.binary(max_size=30).filter(lambda v: not any(b < 32 or b == 127 for b in v))


class ParseTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """What a writer says is kept; what concerns only the request is not."""
        attributes = parse_attributes(
            {
                b"content-type": b"text/plain",
                b"cache-control": b"no-cache",
                b"content-disposition": b'attachment; filename="a"',
                b"content-encoding": b"gzip",
                b"content-language": b"de",
                b"expires": b"soon",
                b"x-amz-storage-class": b"GLACIER",
                b"x-amz-website-redirect-location": b"/other",
                b"x-amz-meta-a": b"1",
                b"x-amz-meta-b-c": b"",
                b"x-amz-meta-": b"nameless",
                b"x-amz-tagging": b"k=v&l=",
                b"content-length": b"5",
                b"host": b"h",
                b"x-amz-date": b"d",
            }
        )
        self.assertEqual(
            attributes,
            Attributes(
                headers={
                    "content-type": "text/plain",
                    "cache-control": "no-cache",
                    "content-disposition": 'attachment; filename="a"',
                    "content-encoding": "gzip",
                    "content-language": "de",
                    "expires": "soon",
                    "x-amz-storage-class": "GLACIER",
                    "x-amz-website-redirect-location": "/other",
                },
                user={"a": "1", "b-c": ""},
                tags={"k": "v", "l": ""},
            ),
        )
        self.assertEqual(parse_attributes({}), NO_ATTRIBUTES)

    def test_aws_chunked_is_no_coding_of_the_object(self) -> None:
        """The way a body was sent is not kept with it."""
        for sent, kept in (
            (b"aws-chunked", None),
            (b"aws-chunked,gzip", "gzip"),
            (b"gzip, AWS-Chunked", "gzip"),
            (b"aws-chunked, gzip, br", "gzip,br"),
            (b"gzip, br", "gzip, br"),
        ):
            attributes = parse_attributes({b"content-encoding": sent})
            self.assertEqual(attributes.headers.get("content-encoding"), kept)

    def test_metadata_limit(self) -> None:
        """Names and values of user metadata may have 2 KB together, in bytes."""
        parse_attributes({b"x-amz-meta-ab": b"\xc3\xa9" * 1023})
        error = self.assertRaises(
            MetadataTooLarge, parse_attributes, {b"x-amz-meta-abc": b"\xc3\xa9" * 1023}
        )
        self.assertEqual(dict(error.fields), {"Size": "2049", "MaxSizeAllowed": "2048"})
        parse_attributes({b"x-amz-meta-a": b"x" * 3000}, 4096)

    def test_storage_class(self) -> None:
        """STANDARD is the same as none; what is no class is refused."""
        self.assertEqual(
            parse_attributes({b"x-amz-storage-class": b"STANDARD"}), NO_ATTRIBUTES
        )
        for name in (b"standard", b"COLD"):
            self.assertRaises(
                InvalidStorageClass, parse_attributes, {b"x-amz-storage-class": name}
            )

    def test_refused(self) -> None:
        """Bad tags and redirects that lead nowhere are refused."""
        self.assertRaises(InvalidTag, parse_attributes, {b"x-amz-tagging": b"k!=v"})
        parse_attributes({b"x-amz-tagging": b"k!=v"}, restricted_tags=False)
        self.assertRaises(
            InvalidArgument,
            parse_attributes,
            {b"x-amz-website-redirect-location": b"other"},
        )

    def test_directives(self) -> None:
        """A copy keeps what it copies unless it is told to replace it."""
        self.assertFalse(replaces({}, "metadata"))
        self.assertTrue(replaces({b"x-amz-tagging-directive": b"REPLACE"}, "tagging"))
        error = self.assertRaises(
            InvalidArgument, replaces, {b"x-amz-metadata-directive": b"x"}, "metadata"
        )
        self.assertEqual(error.message, "Unknown metadata directive.")


class ReplyTests(SynchronousTestCase):
    def test_nothing_said(self) -> None:
        """An object of which nothing was said is bytes."""
        self.assertEqual(
            reply_headers(NO_ATTRIBUTES), [(b"Content-Type", b"binary/octet-stream")]
        )

    def test_everything(self) -> None:
        """What was said is given back, and tags are counted."""
        self.assertEqual(
            reply_headers(
                Attributes(
                    headers={
                        "content-type": "text/plain",
                        "content-encoding": "gzip",
                        "x-amz-storage-class": "GLACIER",
                        "etag": "not a content header",
                    },
                    user={"a": "1"},
                    tags={"k": "v"},
                )
            ),
            [
                (b"Content-Type", b"text/plain"),
                (b"Content-Encoding", b"gzip"),
                (b"x-amz-storage-class", b"GLACIER"),
                (b"x-amz-meta-a", b"1"),
                (b"x-amz-tagging-count", b"1"),
            ],
        )

    @given(st.dictionaries(st.sampled_from(["a", "b-c", "d_e"]), VALUES))
    def test_user_metadata_comes_back_byte_for_byte(
        self, user: dict[str, bytes]
    ) -> None:
        """Whatever bytes a client sent it gets back: UTF-8, Latin 1, encoded words."""
        headers = {b"x-amz-meta-" + k.encode(): v for k, v in user.items()}
        reply = reply_headers(parse_attributes(headers))
        self.assertEqual(dict(reply[1:]), headers)

    @given(st.text(), st.text())
    def test_no_stored_text_ends_a_header(self, name: str, value: str) -> None:
        """Whatever lies in a storage, a reply's headers stay headers."""
        attributes = Attributes(headers={"expires": value}, user={name: value})
        for key, raw in reply_headers(attributes):
            self.assertRegex(key, rb"\A[!-9;-~]+\Z")
            self.assertNotRegex(raw, rb"[\r\n\0]")

    def test_names_that_are_no_header(self) -> None:
        """User metadata that no header can name is counted, as AWS does."""
        reply = dict(reply_headers(Attributes(user={"a b": "1", "": "2", "ä": "3"})))
        self.assertEqual(reply[b"x-amz-missing-meta"], b"3")

    def test_text_from_elsewhere(self) -> None:
        """Text that no header sent, from a storage's own tools, goes as UTF-8."""
        self.assertEqual(header_bytes("中\n"), "中 ".encode())
        self.assertEqual(header_bytes("\ud800"), b"?")

    def test_overrides(self) -> None:
        """A reader may choose six headers of the reply."""
        self.assertEqual(overrides({}), {})
        self.assertEqual(
            overrides(
                {
                    "response-content-type": "a/b",
                    "response-content-disposition": 'attachment; filename="é"',
                    "response-expires": None,
                    "response-etag": "x",
                    "response-cache-control": "",
                }
            ),
            {
                b"Content-Type": b"a/b",
                b"Content-Disposition": 'attachment; filename="é"'.encode(),
            },
        )

    def test_overrides_cannot_split_a_reply(self) -> None:
        """Control characters in an override are refused."""
        for value in ("a\r\nSet-Cookie: b", "a\0", "a\x7f"):
            self.assertRaises(
                InvalidArgument, overrides, {"response-content-type": value}
            )
