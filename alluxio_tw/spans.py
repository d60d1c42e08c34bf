"""
Spans of bytes: cut into pages, joined again; pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.frozen
class Span:
    """
    A run of bytes of an object.

    :ivar offset: where it begins, in bytes from the object's first.
    :ivar length: how many bytes; may be nought.
    """

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset just past the last byte."""
        return self.offset + self.length

    def pages(self, page_size: int) -> range:
        """The indices of the pages that this span touches."""
        if not self.length:
            return range(0)
        return range(self.offset // page_size, (self.end - 1) // page_size + 1)

    def within_page(self, index: int, page_size: int) -> Span:
        """
        The part of this span that lies in page C{index}, counted from that
        page's first byte.
        """
        start = index * page_size
        first = max(self.offset, start)
        last = min(self.end, start + page_size)
        return Span(first - start, max(0, last - first))

    def cut(self, page_size: int) -> Iterator[tuple[int, Span]]:
        """Each page it touches, with what of the page is wanted."""
        for index in self.pages(page_size):
            yield index, self.within_page(index, page_size)


def page_length(index: int, page_size: int, object_size: int) -> int:
    """How many bytes page C{index} of an object holds: the last may be short."""
    return max(0, min(page_size, object_size - index * page_size))
