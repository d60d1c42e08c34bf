"""
Listings of a bucket: ListObjectsV2, page by page, as L{ListQuery} has them.

The storage folds, starts after a key and counts by itself; three things are ours:

  - what the project keeps for itself is passed over, without reading it;
  - a start within what would be folded (C{a/b} where C{a/} is a prefix) is asked
    apart, since servers differ in whether the prefix is told again;
  - names come percent-encoded, as XML cannot say them all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

import attrs
from lxml import etree

from alluxio_tw.errors import MalformedXML, StorageUnavailable
from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw.s3.xml import integer, unquote
from alluxio_tw.ufs.s3_wire import Asking, Wire

HIDDEN = ".alluxio-tw"

_LAST = "\U0010ffff"
_Items = list[Entry | str]
_Fields = dict[str, str]
_Row = tuple[str, ...]
_FIELDS = ("Key", "Size", "ETag", "LastModified", "StorageClass")
_PAST_HIDDEN = (HIDDEN + _LAST).encode()
_PAGE = 1000
_EPOCH = datetime(1970, 1, 1)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_ELEMENTS = 40_000
_THREADED = 32 << 10


@attrs.frozen
class S3Listing:
    """
    Lists what is beneath the root of a mount.

    :ivar root: empty, or ends in a slash.
    :ivar buckets: the objects C{name/} that stand for the topmost folders are not
        told: as objects of a bucket they would have an empty name.
    """

    _wire: Wire
    root: str
    buckets: bool = False

    async def list(self, query: ListQuery) -> Listing:
        """
        One page.

        :raises StorageUnavailable: the storage answers what is no listing.
        """
        prefix, fold, limit = query.prefix, query.fold, query.limit
        hides = HIDDEN.startswith(prefix) and prefix != HIDDEN
        start, folded = await self._start(query)
        entries: list[Entry] = []
        prefixes = [folded] if folded else []
        last = folded or None
        while True:
            count = len(entries) + len(prefixes)
            if count == limit and last is not None and self._certain(hides, last):
                return Listing(entries, prefixes, last)
            want = min(_PAGE, max(1, limit - count))
            items, more = await self._page(prefix, start, fold, want)
            before = start
            for item in items:
                name = item if isinstance(item, str) else item.key
                if hides and name.startswith(HIDDEN):
                    start, more = HIDDEN + _LAST, True
                    break
                start = name + _LAST if isinstance(item, str) else name
                if not self._told(item, before):
                    continue
                if len(entries) + len(prefixes) == limit:
                    return Listing(entries, prefixes, last)
                last = name
                if isinstance(item, str):
                    prefixes.append(item)
                else:
                    entries.append(item)
            if not more:
                return Listing(entries, prefixes, None)
            if start.encode() <= before.encode():
                raise StorageUnavailable("The storage lists the same again and again.")

    async def _start(self, query: ListQuery) -> tuple[str, str]:
        """
        After which key to begin, and the prefix that comes before all others
        because the query begins within it, or nothing.
        """
        prefix, after = query.prefix, query.after
        if not query.fold or not after.startswith(prefix):
            return after, ""
        slash = after.find("/", len(prefix))
        if slash < 0:
            return after, ""
        folded = after[: slash + 1]
        if after == folded or (
            folded.startswith(HIDDEN) and not prefix.startswith(HIDDEN)
        ):
            return folded + _LAST, ""
        within = after + _LAST if after.endswith("/") else after
        items, _ = await self._page(folded, within, False, 1)
        return folded + _LAST, folded if items else ""

    def _certain(self, hides: bool, last: str) -> bool:
        """When the storage says that something follows: is it surely to be told?"""
        return not self.buckets and not (hides and last.encode() < _PAST_HIDDEN)

    def _told(self, item: Entry | str, start: str) -> bool:
        if isinstance(item, str):
            # What was passed over; a key may follow all that we could name.
            return not start.startswith(item) or len(start) <= len(item)
        key = item.key
        return not (self.buckets and key.find("/") == len(key) - 1)

    async def _page(
        self, prefix: str, start: str, fold: bool, limit: int
    ) -> tuple[_Items, bool]:
        """
        What the storage lists: entries and prefixes in order, and whether there
        is more.
        """
        asked = [
            ("encoding-type", "url"),
            ("list-type", "2"),
            ("max-keys", str(limit)),
            ("prefix", self.root + prefix),
        ]
        if start:
            asked.append(("start-after", self.root + start))
        if fold:
            asked.append(("delimiter", "/"))
        answer = await self._wire.call(Asking(b"GET", None, tuple(asked)))
        try:
            if len(answer.body) < _THREADED:
                return self._read(answer.body)
            return await self._wire.threads.run(self._read, answer.body)
        except (MalformedXML, ValueError) as error:
            raise StorageUnavailable("The storage answered what is no S3.") from error

    def _read(self, document: bytes) -> tuple[_Items, bool]:
        # Some servers repeat what they were asked for as it is, also what XML
        # cannot say; names are percent-encoded, so nothing is lost with it.
        document = document.translate(None, _CONTROLS).replace(b"\xef\xbf\xbf", b"")
        contents, prefixes, said = _found(document)
        encoded = said.get("EncodingType") == "url"
        cut = len(self.root)

        def name(text: str | None) -> str:
            whole = unquote_plus(text, errors="strict") if encoded and text else text
            if not whole or not whole.startswith(self.root):
                raise MalformedXML
            return whole[cut:]

        items: _Items = []
        for text, size, etag, modified, kind in contents:
            key = name(text)
            if key:
                items.append(
                    Entry(
                        key,
                        integer(size.strip()),
                        unquote(etag.strip()),
                        _moment(modified.strip()),
                        "" if kind == "STANDARD" else kind,
                    )
                )
        items += map(name, prefixes)
        items.sort(key=_order)
        # Said of an empty page it would have us ask for ever.
        return items, said.get("IsTruncated") == "true" and bool(items)


_Find = Callable[[Any], Any]


@attrs.frozen
class _Finder:
    """
    Finds what a listing in one name space lists.

    :ivar others: what the document says beside its objects.
    """

    _objects: _Find
    _columns: tuple[_Find, ...]
    others: _Find

    def rows(self, root: Any) -> list[_Row] | None:
        """
        The L{_FIELDS} of each object; L{None} if some object lacks one that others
        have: then they must be looked at one by one.
        """
        count = int(self._objects(root))
        columns = [find(root) for find in self._columns]
        if any(len(column) not in (0, count) for column in columns):
            return None
        return list(zip(*(column or [""] * count for column in columns), strict=True))


@lru_cache(8)
def _finder(space: str) -> _Finder:
    """
    :param space: the name space; empty for none.
    """

    def find(path: str) -> _Find:
        names = {"s3": space} if space else None
        if not space:
            path = path.replace("s3:", "")
        return etree.XPath(path, namespaces=names, smart_strings=False)

    return _Finder(
        find("count(s3:Contents)"),
        tuple(find(f"s3:Contents/s3:{field}[1]/text()") for field in _FIELDS),
        find("*[not(self::s3:Contents)]"),
    )


def _order(item: Entry | str) -> bytes:
    return (item.key if isinstance(item, Entry) else item).encode()


def _found(document: bytes) -> tuple[list[_Row], list[str], _Fields]:
    """
    What a document lists: objects, prefixes, and what it says of itself.

    A page is some thousands of elements, and others wait while they are read: here
    libxml2 looks for them itself where it can, and its tree is walked where it cannot;
    L{alluxio_tw.s3.xml}, which makes the tree again, takes ten times as long.  How large
    the tree may be is bounded beforehand.

    :raises MalformedXML: it is no listing, or too large.
    """
    if (
        b"<!DOCTYPE" in document
        or b"<!ENTITY" in document
        or document.count(b"<") > 2 * _ELEMENTS
        or document.count(b"=") > _ELEMENTS
    ):
        raise MalformedXML
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root: Any = etree.fromstring(document, parser)
    except (etree.LxmlError, ValueError) as error:
        raise MalformedXML from error
    # Of "{name space}Name", which all have in common, the name.
    space = root.tag.rpartition("}")[0]
    skip = len(space) + 1 if space else 0
    if root.tag[skip:] != "ListBucketResult":
        raise MalformedXML
    finder = _finder(space[1:])
    rows = finder.rows(root)
    prefixes: list[str] = []
    said: _Fields = {}
    walked: list[_Row] = []
    for child in root if rows is None else finder.others(root):
        name = child.tag[skip:]
        if name == "Contents":
            fields = {field.tag[skip:]: field.text or "" for field in child}
            walked.append(tuple(fields.get(each, "") for each in _FIELDS))
        elif name == "CommonPrefixes":
            fields = {field.tag[skip:]: field.text or "" for field in child}
            prefixes.append(fields.get("Prefix", ""))
        else:
            said[name] = (child.text or "").strip()
    return walked if rows is None else rows, prefixes, said


def _moment(text: str) -> int:
    """
    C{2026-11-20T13:20:15.123Z} in nanoseconds, to the second: as much as
    C{Last-Modified} says of the same object.
    """
    if len(text) < 20 or text[10] != "T" or not text.endswith("Z"):
        return 0
    try:
        since = datetime.fromisoformat(text[:19]) - _EPOCH
    except (ValueError, TypeError):
        # The latter of one with an offset.
        return 0
    return (since.days * 86_400 + since.seconds) * 1_000_000_000
