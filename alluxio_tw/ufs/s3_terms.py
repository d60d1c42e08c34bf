"""
What a request to an S3 server is sent by, and what can be done about it when the server
refuses that: a clock that differs, keys that have expired, a bucket that is elsewhere, a
connection that was closed while idle.

What is learnt so is for all requests; many may be under way that were sent before, and
whoever finds that others have learnt something since asks again.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IReactorTime

from alluxio_tw.ufs.s3_address import Address
from alluxio_tw.ufs.s3_credentials import IKeys
from alluxio_tw.ufs.s3_faults import EXPIRED, Complaint
from alluxio_tw.ufs.s3_watch import Unreached

SKEW = 240.0
"""Seconds that a clock may differ before it is that which is refused: S3 allows for 900."""

_PERMANENT = frozenset((301, 308))
_TEMPORARY = frozenset((302, 307))
_OF_TERMS = frozenset((400, 403)) | _PERMANENT | _TEMPORARY


@attrs.frozen
class Terms:
    """
    What a request is sent by.

    :ivar address: where to, and for which region it is signed.
    :ivar ahead: seconds by which the server's clock is ahead of ours.
    """

    address: Address
    ahead: float


@attrs.define(eq=False)
class Learnt:
    """
    What was learnt of a server so far.

    :ivar address: the way to it.
    :ivar ahead: as of L{Terms}.
    """

    address: Address
    keys: IKeys
    clock: IReactorTime
    ahead: float = 0.0

    @property
    def terms(self) -> Terms:
        """By what a request is sent now."""
        return Terms(attrs.evolve(self.address), self.ahead)


@attrs.define(eq=False)
class Remedies:
    """
    Those of one request; each is tried once.

    :ivar terms: by what it was sent last.
    :ivar fresh: it needs a new connection.
    """

    _learnt: Learnt
    terms: Terms = attrs.field(init=False)
    fresh: bool = attrs.field(default=False, init=False)
    _aside: Address | None = attrs.field(default=None, init=False)
    _tried: set[str] = attrs.field(factory=set, init=False)

    def begin(self) -> Terms:
        """By what to send it now."""
        self.terms = self._learnt.terms
        if self._aside is not None:
            self.terms = attrs.evolve(self.terms, address=self._aside)
        return self.terms

    def refused(self, error: Complaint) -> bool:
        """Whether to ask again, as what may have been wrong on our side is changed."""
        changed = error.status in _OF_TERMS and self.terms != self._learnt.terms
        if changed and self._first("changed"):
            # Another request found out before, while this one was under way.
            return True
        address = self._learnt.address
        if error.code == "RequestTimeTooSkewed" and error.date is not None:
            ahead = error.date - self._learnt.clock.seconds()
            if abs(ahead - self._learnt.ahead) <= SKEW or not self._first("clock"):
                return False
            self._learnt.ahead = ahead
            return True
        if error.code in EXPIRED or error.code == "InvalidToken":
            return "keys" not in self._tried and (
                self._learnt.keys.expired() and self._first("keys")
            )
        if error.region and error.region != address.region:
            if not self._first("region"):
                return False
            address.region = error.region
            return True
        if not error.location or not self._first("place"):
            return False
        if error.status in _PERMANENT:
            return address.follow(error.location)
        if error.status in _TEMPORARY:
            self._aside = address.led(error.location)
            return self._aside is not None
        return False

    def unreached(self, error: Unreached) -> bool:
        """Whether to ask again at once, another way."""
        if error.stale and self._first("stale"):
            # Others that are idle may have been closed as well.
            return self._once_fresh()
        # Where a redirect led there is nobody any more, or never was.
        if self._aside is not None:
            self._aside = None
            return True
        return self._first("home") and self._learnt.address.back()

    def _once_fresh(self) -> bool:
        self.fresh = True
        return True

    def _first(self, remedy: str) -> bool:
        if remedy in self._tried:
            return False
        self._tried.add(remedy)
        return True
