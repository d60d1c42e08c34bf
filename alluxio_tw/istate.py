"""
What must survive a restart and be seen by all workers: small values under
names, with compare-and-set.

Names are text with slashes (C{bucket/photos}); values are bytes of at most
64 KiB.  Each value has a revision: an opaque text that changes with every write.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class Held:
    """
    A value and which writing of it this is.
    """

    name: str
    value: bytes
    revision: str


class IState(Interface):
    """
    The store.
    """

    def glance(name: str) -> Held | None:
        """
        As L{get}, at once, as far as this process knows: never blocks.
        """

    def get(name: str) -> Deferred[Held | None]:
        """The value now, or L{None}."""

    def put(
        name: str, value: bytes, expected: str | None = None
    ) -> Deferred[str | None]:
        """
        Write, durably.

        :param expected: L{None} writes whatever was there; the empty text only
            if there was nothing; else only if that was the revision.
        :result: the new revision, or L{None} if C{expected} did not hold.
        """

    def delete(name: str, expected: str | None = None) -> Deferred[bool]:
        """Delete, on the same terms; L{False} if they did not hold or there was nothing."""

    def list(prefix: str, after: str = "", limit: int = 1000) -> Deferred[list[Held]]:
        """Values whose names begin so and are greater than C{after}, in order."""

    def watch(prefix: str, told: Callable[[str], None]) -> Callable[[], None]:
        """
        Call C{told} with each name beneath the prefix that was written or
        deleted, by anyone, soon after; the result ends the watch.
        """

    def close() -> Deferred[None]:
        """Let go."""
