"""
What the page cache counts.
"""

from __future__ import annotations

import attrs


@attrs.define
class CacheStats:
    """
    Plain counters since the start; one object for a whole page cache.

    :ivar hits: requests all of whose pages were there.
    :ivar misses: requests none of whose pages were there.
    :ivar partial: requests some of whose pages were there.
    :ivar memory_bytes: bytes handed out from pages in RAM.
    :ivar disk_bytes: bytes handed out from page files.
    :ivar load_bytes: bytes handed out while a load delivered them.
    :ivar loads: reads begun at a source.
    :ivar load_failures: reads of a source that failed.
    :ivar loaded_pages: pages that arrived whole.
    :ivar loaded_bytes: bytes that arrived from sources, wanted or not.
    :ivar kept_pages: loaded pages that a store took.
    :ivar unkept_pages: pages given to readers and not kept: no memory to gather
        them in, or no store took them.
    :ivar coalesced: times that a reader joined a load begun for another.
    :ivar readahead_pages: pages loaded before anyone asked.
    :ivar readahead_used: of these, asked for later.
    :ivar readahead_wasted: of these, given up waiting for.
    :ivar verify_failures: page files found wrong, and dropped.
    """

    hits: int = 0
    misses: int = 0
    partial: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    load_bytes: int = 0
    loads: int = 0
    load_failures: int = 0
    loaded_pages: int = 0
    loaded_bytes: int = 0
    kept_pages: int = 0
    unkept_pages: int = 0
    coalesced: int = 0
    readahead_pages: int = 0
    readahead_used: int = 0
    readahead_wasted: int = 0
    verify_failures: int = 0
