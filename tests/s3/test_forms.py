"""
Forms: reading them in whatever pieces they come.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    CallerError,
    IncompleteBody,
    InvalidArgument,
    MalformedPOSTRequest,
    MaxPostPreDataLengthExceeded,
)
from alluxio_tw.s3.forms import File, FormParser, boundary_of

FORM = (
    b"preamble\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="Key"\r\n\r\na/b\r\n'
    b'--XX \t\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
    b"--XX\r\ncontent-disposition:form-data; name=x\r\nX: y\r\n\r\nline\r\nline\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="x"\r\n\r\nagain\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a\\"\xc3\xa4.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n%b\r\n"
    b'--XX\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n'
    b"--XX--\r\nepilogue"
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Pieces of these sizes, by turns."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)] if sizes else len(data)
        pieces.append(data[at : at + size])
        at += size
    return pieces


class FormTests(SynchronousTestCase):
    """
    Whole forms.
    """

    def read(self, data: bytes, sizes: list[int]) -> tuple[FormParser, bytes]:
        parser = FormParser(b"XX")
        got = b"".join(parser.feed(piece) for piece in cut(data, sizes))
        parser.finish()
        return parser, got

    @given(
        st.lists(st.integers(1, 40), max_size=5),
        st.lists(
            st.sampled_from([b"\r", b"\n", b"-", b"X", b"\r\n--X", b"data"]),
            max_size=12,
        ),
    )
    def test_pieces(self, sizes: list[int], words: list[bytes]) -> None:
        """However a form is cut, its fields and its file are what they are."""
        data = b"".join(words)
        if b"\r\n--XX" in b"\r\n" + data + b"\r\n":
            data = b""
        parser, got = self.read(FORM % data, sizes)
        self.assertEqual(got, data)
        self.assertEqual(
            parser.fields,
            {"key": "a/b", "empty": "", "x": "line\r\nline,again"},
        )
        self.assertEqual(parser.file, File('a"ä.txt', "text/plain"))

    def test_handed_on(self) -> None:
        """Of a file, no more is kept than might be the beginning of its end."""
        parser = FormParser(b"XX")
        head, _, _ = FORM.partition(b"%b")
        self.assertEqual(parser.feed(head), b"")
        self.assertEqual(parser.feed(b"x" * 1_000_000), b"x" * 1_000_000)
        self.assertEqual(parser.feed(b"y\r\n--"), b"y")
        self.assertEqual(parser.feed(b"z"), b"\r\n--z")
        self.assertEqual(parser.feed(b"\r\n--XX"), b"")
        self.assertFalse(parser.whole)
        self.assertEqual(parser.feed(b"--"), b"")
        self.assertTrue(parser.whole)

    def test_no_name(self) -> None:
        """A file may have no name, and no type."""
        parser, got = self.read(
            b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--XX--',
            [],
        )
        self.assertEqual((parser.file, got), (File(None, None), b"x"))


class RefusalTests(SynchronousTestCase):
    """
    What is no form.
    """

    def refused(
        self, error: type[CallerError], data: bytes, size: int = 7
    ) -> CallerError:
        parser = FormParser(b"XX")

        def read() -> None:
            for piece in cut(data, [size]):
                parser.feed(piece)
            parser.finish()

        found: CallerError = self.assertRaises(error, read)
        return found

    def test_malformed(self) -> None:
        """What has no boundary, no end or no name is refused."""
        for data in (
            b"",
            b"nothing",
            b"--XX\r\n",
            b"--XX\r\n\r\nx\r\n--XX--",
            b"--XXY\r\n",
            b"--XX" + b" " * 300,
            b'--XX\r\nContent-Disposition: form-data; name="key"\r\n\r\nx',
            b'--XX\r\nContent-Disposition: file; name="file"\r\n\r\nx\r\n--XX--',
            b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--",
            b"--XX\r\nContent-Disposition\r\n\r\nx\r\n--XX--",
            b'--XX\r\nContent-Disposition: form-data; name="k"\r\n\r\n\xff\r\n--XX--',
        ):
            self.refused(MalformedPOSTRequest, data)

    def test_ends(self) -> None:
        """A form without a file, and one that breaks off in it."""
        error = self.refused(
            InvalidArgument,
            b'--XX\r\nContent-Disposition: form-data; name="k"\r\n\r\nx\r\n--XX--',
        )
        self.assertEqual(error.fields["ArgumentName"], "file")
        start = b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nx'
        for rest in (b"", b"\r\n--X", b"\r\n--XX", b"\r\n--XX-"):
            self.refused(IncompleteBody, start + rest)
        # Not the end of the file, and must not be taken for it.
        self.refused(MalformedPOSTRequest, start + b"\r\n--XXY\r\n--XX--")

    def test_bound(self) -> None:
        """What comes before the file has a bound, whatever it is."""
        field = b'--XX\r\nContent-Disposition: form-data; name="k"\r\n\r\n%b\r\n'
        for data in (
            field % (b"x" * 30_000),
            field % b"" * 1000,
            b"x" * 30_000,
            b"--XX\r\n" + b"a" * 30_000,
        ):
            for size in (100, 1 << 20):
                error = self.refused(MaxPostPreDataLengthExceeded, data, size)
                self.assertEqual(error.fields["MaxPostPreDataLengthBytes"], "20480")

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"--XX",
                    b"\r\n",
                    b"--",
                    b":",
                    b'"',
                    b"name=",
                    b"form-data;",
                    b"Content-Disposition",
                    b"file",
                ]
            ),
            max_size=20,
        )
    )
    def test_anything(self, words: list[bytes]) -> None:
        """Whatever comes is read or refused, never anything else."""
        parser = FormParser(b"XX")
        try:
            for word in words:
                parser.feed(word)
            parser.finish()
        except CallerError:
            pass


class BoundaryTests(SynchronousTestCase):
    """
    The boundary of a form.
    """

    def test_named(self) -> None:
        """It is taken from the type, quoted or not."""
        for text, boundary in (
            (b"multipart/form-data; boundary=XX", b"XX"),
            (b"Multipart/Form-Data;charset=utf-8;BOUNDARY=XX", b"XX"),
            (b'multipart/form-data; boundary="a b"', b"a b"),
            (b"text/plain", None),
            (b"", None),
            (b"multipart/mixed; boundary=XX", None),
        ):
            self.assertEqual(boundary_of(text), boundary, text)
        for text in (
            b"multipart/form-data",
            b"multipart/form-data; boundary=",
            b"multipart/form-data; boundary=" + b"x" * 71,
        ):
            self.assertRaises(MalformedPOSTRequest, boundary_of, text)
