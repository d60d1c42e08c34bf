"""
Documents that clients send, read with suspicion.

Everything here is hostile until read: no entity is expanded, no document type
is accepted, nothing is fetched, only UTF-8 is understood whatever a document
declares; depth, elements and the size of a tag are bounded, and the caller
bounds the whole (a body of 1 or 2 MiB).  The tree that is built is ours and
light: libxml2's takes fifty times the document where that is made of empty
elements.

Namespaces do not matter, and elements that we do not know are ignored, as AWS
mostly does; what must be there and is not, or is there twice, is
L{MalformedXML}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
from lxml import etree

from alluxio_tw.errors import MalformedXML, MissingRequestBody

MAX_DEPTH = 12

# One tag of a good document has a name space declaration or two; this is a
# thousand attributes.  The repetition is bounded because the regular expression
# engine keeps a mark for each round.
_HUGE_TAG = re.compile(rb"<(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*'){4096}")
_INTEGER = re.compile(r"[0-9]{1,19}", re.ASCII)


@attrs.define
class Element:
    """
    An element: its local name, and its text or its children.
    """

    name: str
    text: str = ""
    children: list[Element] = attrs.field(factory=list)

    def all(self, name: str) -> list[Element]:
        """The children of this name."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Element | None:
        """
        The child of this name, if there is one.

        :raises MalformedXML: there are several.
        """
        found = self.all(name)
        if len(found) > 1:
            raise MalformedXML
        return found[0] if found else None

    def value(self, name: str) -> str | None:
        """
        The text of the child of this name, exactly, or L{None} without one.

        :raises MalformedXML: there are several.
        """
        child = self.one(name)
        return None if child is None else child.text

    def words(self, name: str) -> tuple[str, ...]:
        """The texts of all children of this name, without white space around."""
        return tuple(child.text.strip() for child in self.all(name))

    def word(self, name: str) -> str | None:
        """As L{value}, without the white space around it."""
        text = self.value(name)
        return None if text is None else text.strip()


class _Builder:
    """
    Takes what the parser finds and keeps it within bounds.
    """

    def __init__(self, max_elements: int) -> None:
        self._left = max_elements
        self._open = [Element("")]
        self._text: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._left -= 1
        if self._left < 0 or len(self._open) > MAX_DEPTH:
            raise MalformedXML
        if self._text:
            self._between()
        element = Element(tag if tag[0] != "{" else tag.rpartition("}")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def data(self, text: str) -> None:
        # Kept in pieces: there may be one for every character reference.
        self._text.append(text)

    def end(self, tag: str) -> None:
        element = self._open.pop()
        if self._text:
            if element.children:
                self._between()
            else:
                element.text = "".join(self._text)
                self._text = []

    def _between(self) -> None:
        # No document of S3's has text beside elements.
        if "".join(self._text).strip():
            raise MalformedXML
        self._text = []

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise MalformedXML

    def close(self) -> Element:
        return self._open[0].children[0]


def parse(data: bytes, root: str, max_elements: int = 10_000) -> Element:
    """
    Read a document.

    :param root: what its root must be called.
    :raises MissingRequestBody: there is none.
    :raises MalformedXML: it is not well-formed, too large, or not of this
        root.
    """
    if not data.strip():
        raise MissingRequestBody
    # Sound, since nothing but UTF-8 is read.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or _HUGE_TAG.search(data):
        raise MalformedXML
    builder: Any = _Builder(max_elements)
    parser = etree.XMLParser(
        target=builder,
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        element = etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError, IndexError) as error:
        raise MalformedXML from error
    if not isinstance(element, Element) or element.name != root:
        raise MalformedXML
    return element


def unquote(etag: str) -> str:
    """An ETag without the quotes that it may or may not have."""
    if len(etag) > 1 and etag[0] == etag[-1] == '"':
        return etag[1:-1]
    return etag


def integer(text: str) -> int:
    """A number that is not negative; anything else is malformed."""
    if not _INTEGER.fullmatch(text):
        raise MalformedXML
    return int(text)


def boolean(text: str) -> bool:
    """C{true} or C{false}; anything else is malformed."""
    if text.lower() not in ("true", "false"):
        raise MalformedXML
    return text.lower() == "true"
