from __future__ import annotations

from urllib.parse import unquote, unquote_plus

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.text import escape, url_encode

WORDS = st.text(st.characters(exclude_categories=["Cs"]))


class TextTests(SynchronousTestCase):
    def test_url_encoding(self) -> None:
        """A space is not a plus, slash and star stay, a tilde does not."""
        self.assertEqual(
            url_encode("run books/x y%z!*'()~-_.,;:@="),
            "run%20books/x%20y%25z%21*%27%28%29%7E-_.%2C%3B%3A%40%3D",
        )
        self.assertEqual(url_encode("한글/"), "%ED%95%9C%EA%B8%80/")

    @given(WORDS)
    def test_url_encoding_can_be_undone(self, text: str) -> None:
        """Clients undo the encoding with either kind of decoder."""
        encoded = url_encode(text)
        self.assertEqual(unquote(encoded), text)
        self.assertEqual(unquote_plus(encoded), text)
        self.assertEqual(escape(encoded), encoded)

    @given(st.text())
    def test_escaped_text_is_always_well_formed(self, text: str) -> None:
        """A conforming parser reads the same text, with U+FFFD for what XML lacks."""
        element = etree.fromstring(f"<a>{escape(text)}</a>".encode())
        read = element.text or ""
        self.assertEqual(len(read), len(text))
        for before, after in zip(text, read, strict=True):
            self.assertIn(after, (before, "\ufffd"))
            if before.isprintable() or before in "\t\n\r":
                self.assertEqual(after, before)
