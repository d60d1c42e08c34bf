from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import GatewayError, MalformedXML, MissingRequestBody
from alluxio_tw.s3.batches import parse_complete, parse_delete
from alluxio_tw.s3.configurations import (
    parse_access_control,
    parse_bucket_configuration,
    parse_cors,
    parse_tagging,
    parse_versioning,
)
from alluxio_tw.s3.text import NAMESPACE, escape
from alluxio_tw.s3.xml import MAX_DEPTH, parse, unquote

PARSERS: tuple[Callable[[bytes], object], ...] = (
    parse_delete,
    parse_complete,
    parse_bucket_configuration,
    parse_tagging,
    parse_versioning,
    parse_cors,
    parse_access_control,
)
PIECES = (
    b"<Delete>",
    b"</Delete>",
    b"<Object>",
    b"</Object>",
    b"<Key>",
    b"</Key>",
    b"<Tagging><TagSet><Tag>",
    b"</Tag></TagSet></Tagging>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>",
    b"</Part></CompleteMultipartUpload>",
    b"<ETag>",
    b"</ETag>",
    b"<CORSConfiguration><CORSRule>",
    b"</CORSRule></CORSConfiguration>",
    b"<a/>",
    b"<!-- -->",
    b"<![CDATA[x]]>",
    b"<?pi?>",
    b"&lt;",
    b"&#0;",
    b"&x;",
    b"text",
    b"\xff",
    b" xmlns='x'",
)


class ParseTests(SynchronousTestCase):
    def assert_malformed(self, *documents: bytes) -> None:
        for document in documents:
            self.assertRaises(MalformedXML, parse, document, "a")

    def test_text_is_exact(self) -> None:
        """An element's text is what the client wrote, space and all."""
        for raw, text in (
            (b"<a><b> x\ty </b></a>", " x\ty "),
            (b"<a><b>&lt;&amp;&gt;&#13;&#xe9;</b></a>", "<&>\ré"),
            (b"<a><b>x<!-- no -->y<?no?><![CDATA[<&>]]></b></a>", "xy<&>"),
            ("<a><b>é</b></a>".encode(), "é"),
            ("\ufeff<a><b>é</b></a>".encode(), "é"),
            (b"<a>\n  <b/>\n</a>\n", ""),
        ):
            self.assertEqual(parse(raw, "a").value("b"), text, raw)

    def test_namespaces_do_not_matter(self) -> None:
        """A document reads the same with S3's namespace, a prefix for it, or none."""
        plain = parse(b"<a><b>1</b></a>", "a")
        for raw in (
            f'<a xmlns="{NAMESPACE}"><b>1</b></a>',
            f'<s:a xmlns:s="{NAMESPACE}"><s:b>1</s:b></s:a>',
            '<a><b xmlns="urn:other">1</b></a>',
        ):
            self.assertEqual(parse(raw.encode(), "a"), plain)

    def test_what_is_no_document(self) -> None:
        """Nothing, scraps, other roots and broken markup are refused."""
        self.assertRaises(MissingRequestBody, parse, b"", "a")
        self.assertRaises(MissingRequestBody, parse, b" \n", "a")
        self.assert_malformed(
            b"x",
            b"<a>",
            b"<a></b>",
            b"<a/><a/>",
            b"<b/>",
            b"<a>&undefined;</a>",
            b"<a>&#0;</a>",
            b"<a>\x01</a>",
            b"<a>\xff</a>",
            b"<a>\xed\xa0\x80</a>",
            b"<a b=1/>",
            b"<a>text<b/></a>",
            b"<a><b/>text</a>",
            "<a/>".encode("utf-16"),
            b"<?xml version='1.0' encoding='nonsense'?>",
        )

    def test_only_utf_8_is_read(self) -> None:
        """What a document declares does not change how it is read."""
        raw = "<?xml version='1.0' encoding='ISO-8859-1'?><a><b>é</b></a>"
        self.assertEqual(parse(raw.encode(), "a").value("b"), "é")
        self.assert_malformed(raw.encode("latin-1"))

    def test_no_document_type(self) -> None:
        """Entities and document types are refused before they mean anything."""
        secret = self.mktemp()
        with open(secret, "w") as file:
            file.write("secret")
        self.assert_malformed(
            b"<!DOCTYPE a><a/>",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a><b>&b;</b></a>",
            f"<!DOCTYPE a SYSTEM 'file://{os.path.abspath(secret)}'><a/>".encode(),
            f"<!DOCTYPE a [<!ENTITY b SYSTEM 'file://{os.path.abspath(secret)}'>]>"
            "<a><b>&b;</b></a>".encode(),
            b"<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>",
        )

    def test_bounds(self) -> None:
        """Depth, elements and attributes are bounded."""
        deep = b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1)
        self.assert_malformed(
            deep,
            b"<a>" + b"<b/>" * 10_000 + b"</a>",
            b"<a " + b"".join(b'a%d="" ' % i for i in range(2000)) + b"/>",
        )
        parse(deep[3:-4], "a")
        parse(b"<a>" + b"<b/>" * 9_999 + b"</a>", "a")
        self.assertRaises(MalformedXML, parse, b"<a><b/></a>", "a", 1)

    def test_a_long_text_is_cheap(self) -> None:
        """Text in many pieces is put together once, not piece upon piece."""
        raw = b"<a><b>" + b"&#65;" * 200_000 + b"</b></a>"
        self.assertEqual(parse(raw, "a").value("b"), "A" * 200_000)

    def test_one_means_one(self) -> None:
        """What may be there once is malformed when it is there twice."""
        element = parse(b"<a><b> 1 </b><c/><c/></a>", "a")
        self.assertEqual(element.word("b"), "1")
        self.assertIsNone(element.value("d"))
        self.assertRaises(MalformedXML, element.value, "c")
        self.assertEqual(len(element.all("c")), 2)

    def test_unquote(self) -> None:
        """An ETag's quotes are optional; half a pair is part of it."""
        for quoted, bare in (
            ('"a"', "a"),
            ("a", "a"),
            ('"', '"'),
            ('"a', '"a'),
            ("", ""),
        ):
            self.assertEqual(unquote(quoted), bare)

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
    def test_round_trip(self, text: str) -> None:
        """Whatever is escaped is read back."""
        raw = f"<a><b>{escape(text)}</b></a>".encode()
        value = parse(raw, "a").value("b")
        self.assertEqual(
            value, text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
        )

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
    def test_as_lxml_writes_it(self, text: str) -> None:
        """Documents that lxml writes are read as they were meant."""
        text = text.replace("\ufffe", "").replace("\uffff", "")
        root = etree.Element("a")
        etree.SubElement(root, "b").text = text
        self.assertEqual(parse(etree.tostring(root), "a").value("b"), text)

    @given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=12))
    def test_no_bytes_break_it(self, pieces: list[bytes]) -> None:
        """Any bytes at all are a document or an error of ours, to every parser."""
        raw = b"".join(pieces)
        for parser in PARSERS:
            try:
                parser(raw)
            except GatewayError:
                pass
