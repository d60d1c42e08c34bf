"""
Pages loaded before they are asked for, when someone reads on and on.

A single long request needs none of this: it looks ahead by itself
(L{alluxio_tw.cache.reader}).  This is for clients that read an object in many
requests, each beginning where the last one ended.  Two such steps make a stream,
whose window then doubles from two pages up to a limit each time that half of it
was used.  Requests that jump about never match, so nothing is loaded for them.

Small requests that are hits do not come by here, they are too cheap to pay for
it.  So the pages read ahead are marked, and the first use of one tells.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from alluxio_tw.cache.loading import Loads
from alluxio_tw.ipages import IPageSource, PageKey
from alluxio_tw.spans import Span

_STREAMS = 1024
_STREAMS_OF_OBJECT = 4
_MARKS = 4096
_STEPS = 2


@attrs.define(eq=False)
class _Stream:
    """
    Someone who reads on and on, as it seems.

    :ivar end: the offset just past what was read.
    :ivar page: the last page that was read from.
    :ivar steps: how many requests followed on each other.
    :ivar until: the last page read ahead.
    """

    object_id: bytes
    source: IPageSource
    end: int
    page: int
    steps: int = 0
    window: int = 0
    until: int = -1

    def followed_by(self, span: Span, page_size: int) -> bool:
        """
        Whether a request goes on where this stream is.
        """
        if span.offset < self.end:
            return False
        page = span.offset // page_size
        # In between there may have been hits that nobody told us of.
        return span.offset == self.end or (
            page == max(self.page, self.until) + 1 and span.offset % page_size == 0
        )


@attrs.define(eq=False)
class ReadAhead:
    """
    The streams of a page cache.

    :ivar marks: pages read ahead and not used yet.
    """

    _loads: Loads
    _most_pages: int
    marks: OrderedDict[PageKey, _Stream] = attrs.field(factory=OrderedDict, init=False)
    _streams: OrderedDict[bytes, list[_Stream]] = attrs.field(
        factory=OrderedDict, init=False
    )

    def asked(self, object_id: bytes, source: IPageSource, span: Span) -> None:
        """
        A request has come; call before its own pages are loaded.
        """
        size = self._loads.page_size
        if not self._most_pages or not span.length:
            return
        page = (span.end - 1) // size
        if page >= (source.status.size - 1) // size:
            # To the end: nothing is left to read ahead.
            return
        streams = self._streams.get(object_id)
        if streams is None:
            streams = self._streams[object_id] = []
            if len(self._streams) > _STREAMS:
                self._streams.popitem(last=False)
        else:
            self._streams.move_to_end(object_id)
        for stream in streams:
            if stream.followed_by(span, size):
                stream.end, stream.page = span.end, page
                stream.source = source
                stream.steps += 1
                if stream.steps >= _STEPS:
                    self._extend(stream)
                return
        streams.append(_Stream(object_id, source, span.end, page))
        if len(streams) > _STREAMS_OF_OBJECT:
            del streams[0]

    def used(self, key: PageKey) -> None:
        """A marked page was asked for."""
        stream = self.marks.pop(key)
        self._loads.stats.readahead_used += 1
        if key.number > stream.page:
            stream.page = key.number
            stream.end = max(stream.end, key.number * self._loads.page_size)
            self._extend(stream)

    def _extend(self, stream: _Stream) -> None:
        loads = self._loads
        if stream.until - stream.page > stream.window // 2:
            return
        if loads.memory.waiting or loads.memory.used * 2 > loads.memory.capacity:
            # Others wait for what they asked for.
            return
        stream.window = min(self._most_pages, stream.window * 2 or 2)
        final = (stream.source.status.size - 1) // loads.page_size
        last = min(stream.page + stream.window, final)
        number = max(stream.page, stream.until) + 1
        while number <= last:
            key = PageKey(stream.object_id, number)
            if key in loads.flights or loads.holds(key):
                number += 1
                continue
            run = loads.plan(stream.object_id, stream.source, number, last)
            run.finish(run.last)
            for flight in run.flights:
                self._mark(flight.key, stream)
            number = run.last + 1
            run.go()
        stream.until = max(stream.until, last)

    def _mark(self, key: PageKey, stream: _Stream) -> None:
        stats = self._loads.stats
        stats.readahead_pages += 1
        self.marks[key] = stream
        while len(self.marks) > _MARKS:
            self.marks.popitem(last=False)
            stats.readahead_wasted += 1
