"""
Pages: cut bytes of immutable object versions, and the stores that keep them.

A page key names something that never changes, so a store needs no
invalidation: pages of an old version are never asked for again and age out.
A store that fails is slow, not wrong: it answers L{None} and the page comes
from the storage.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import Status
from alluxio_tw.spans import Span


class PageKey(NamedTuple):
    """
    A page of one version of one object.

    :ivar object: names mount, path and version: 16 bytes, from
        L{object_id<alluxio_tw.cache.pipeline.object_id>}.
    :ivar number: counted from nought.
    """

    object: bytes
    number: int


@attrs.frozen
class Keeping:
    """
    How the pages of some objects are kept, where that is not as of all others.

    :ivar page_size: in bytes; L{None} as of all.
    :ivar tier: C{"MEM"} keeps them in memory alone, C{"DISK"} in the directories
        alone; L{None} as of all.
    :ivar read_ahead: how many pages may be loaded before they are asked for;
        nought for none, L{None} as of all.
    """

    page_size: int | None = None
    tier: str | None = None
    read_ahead: int | None = None


TIERS = ("MEM", "DISK")
"""What L{Keeping.tier} may be."""


@attrs.frozen
class TierUsage:
    """
    How full a tier is, in bytes and pages, and what it did since the start.
    """

    name: str
    capacity: int
    used: int
    pages: int
    hits: int
    misses: int
    evictions: int
    evicted_bytes: int
    failures: int


class IPage(Interface):
    """
    A page found, held against eviction until released.
    """

    length: int = Attribute("""Bytes in this page.""")

    def piece(span: Span) -> Piece:
        """
        Bytes of the page, counted from its first.  A
        L{FileSpan<alluxio_tw.ibody.FileSpan>} is good until L{release}.
        """

    def release() -> None:
        """Let it go; more than one call does no harm."""


class IPageStore(Interface):
    """
    Keeps pages, as many as its quota allows.
    """

    def holds(key: PageKey) -> bool:
        """Whether the page is here, as far as can be said at once."""

    def glance(key: PageKey) -> IPage | None:
        """The page, if it can be had without waiting."""

    def get(key: PageKey) -> Deferred[IPage | None]:
        """The page, or L{None}; never fails."""

    def put(key: PageKey, data: bytes) -> Deferred[IPage | None]:
        """
        Keep a page, if there is room to be made for it; the page as it is now
        kept, or L{None} if it was not.  Never fails.
        """

    def forget(key: PageKey) -> Deferred[None]:
        """Drop a page, if it is here."""

    def usage() -> list[TierUsage]:
        """One for each tier, nearest first."""

    def close() -> Deferred[None]:
        """Let go of everything; what lies on disk stays."""


class IPageSource(Interface):
    """
    Where pages that are in no store come from: one version of one object.
    """

    status: Status = Attribute("""The version.""")

    parallel: int = Attribute(
        """How many reads side by side may be faster than one; 1 for none."""
    )

    def read(span: Span) -> Deferred[IBody]:
        """Bytes of that version from the storage, in one request."""
