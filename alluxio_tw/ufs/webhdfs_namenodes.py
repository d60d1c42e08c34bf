"""
The namenodes of a cluster, and which of them is believed to be the active one.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.define
class Namenodes:
    """
    One namenode, or several of which one is active at a time.

    Who is active is found by asking: whoever is on standby, or does not answer, is
    left for the next, and the one that answered is asked first from then on.

    :ivar addresses: hosts and ports, as they stand in URLs.
    """

    addresses: Sequence[str]
    _at: int = 0

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def active(self) -> str:
        """Whom to ask."""
        return self.addresses[self._at]

    def leave(self, address: str) -> None:
        """Ask the next one, unless somebody else has found that out already."""
        if self.active == address:
            self._at = (self._at + 1) % len(self.addresses)
