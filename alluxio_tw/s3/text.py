"""
Text inside XML documents and listings: two ways to write what cannot stand
there as it is.
"""

from __future__ import annotations

import re
from urllib.parse import quote

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# Markup, the return that a parser would turn into a newline, and what XML 1.0
# has no way to say at all: most controls, lone surrogates, two non-characters.
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REPLACEMENTS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.\-*/]")


def escape(text: str) -> str:
    """
    Text as the content of an element.

    What XML 1.0 cannot carry becomes U+FFFD.  Not chosen: C{&#1;}, which AWS
    sends and no conforming parser reads: one odd key would hide a whole page.
    Clients that must see such keys ask for C{encoding-type=url}.
    """
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(_replace, text)


def _replace(found: re.Match[str]) -> str:
    return _REPLACEMENTS.get(found[0], "\ufffd")


def url_encode(text: str) -> str:
    """
    Text as C{encoding-type=url} wants it: letters, digits and C{_.-*/} as they
    are; the rest as the percent-encoded bytes of UTF-8.

    Not chosen: a plus for a space, which only decoders of forms understand;
    C{%20} is understood by all.
    """
    if _NOT_PLAIN.search(text) is None:
        return text
    return quote(text, safe="/*", errors="replace").replace("~", "%7E")
