"""
Who asks, once that is known.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Identity:
    """
    Who asks.  One is made per access key and kept, not one per request.

    :ivar user: the user; empty if it is nobody.
    :ivar access_key: by which the user was known; empty without.
    :ivar anonymous: the request said nothing of who asks, and was believed.
    :ivar proved: by a signature; otherwise anybody can say any name.
    """

    user: str
    access_key: str = ""
    anonymous: bool = False
    proved: bool = False


ANONYMOUS = Identity("", "", True)
"""Nobody in particular."""
