"""
Keys in order, folded into one page of a listing.

The theory.  Keys come in UTF-8 byte order, which is the order of Python's
strings.  With a delimiter, all keys that share what comes up to its first
occurrence after the prefix fold into one common prefix; an entry and a common
prefix each count one against C{max-keys}.  A page is resumed from its last
item alone.  If that is a common prefix, its whole group lies behind us, so any
marker that lies within a group stands for the end of that group, which is how
S3 reads markers: L{after_group} says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

import attrs


def after_group(marker: str, prefix: str, delimiter: str) -> str:
    """
    Where a marker stands: itself, or the common prefix of the group it is in.
    """
    if delimiter and marker.startswith(prefix):
        found = marker.find(delimiter, len(prefix))
        if found >= 0:
            return marker[: found + len(delimiter)]
    return marker


def past(prefix: str) -> str | None:
    """
    The least string that is greater than all that begin with C{prefix};
    L{None} if there is none.
    """
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # Between these lie the surrogates, which are no characters.
            following = 0xE000 if last == 0xD7FF else last + 1
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return None


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


E = TypeVar("E", bound=_Keyed)


@attrs.define
class Fold(Generic[E]):
    """
    Makes one page out of entries that come in order.

    The entries may be all that there are, or begin and end anywhere before
    and after what is asked for; what is out of bounds is passed over.

    :ivar entries: what is on the page as itself.
    :ivar prefixes: what was folded.
    :ivar resume: the last key or common prefix, once there is more than the
        page holds; L{None} while there is not.
    :ivar full: nothing more will be taken.
    :ivar skip_past: the common prefix just met: all keys that begin with it may
        be left out (see L{past}); L{None} after an entry.
    """

    prefix: str
    delimiter: str
    after: str
    limit: int
    id_marker: str | None = None

    entries: list[E] = attrs.field(factory=list, init=False)
    prefixes: list[str] = attrs.field(factory=list, init=False)
    resume: str | None = attrs.field(default=None, init=False)
    full: bool = attrs.field(default=False, init=False)
    skip_past: str | None = attrs.field(default=None, init=False)
    _last: str = attrs.field(default="", init=False)
    _passed: str | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        # "No items at all" is complete: S3 says that it is not truncated.
        self.full = self.limit < 1
        group = after_group(self.after, self.prefix, self.delimiter)
        if (
            self.delimiter
            and len(group) > len(self.prefix)
            and group.startswith(self.prefix)
            and group.endswith(self.delimiter)
        ):
            self._passed = group

    def take(self, entry: E, id: str = "") -> bool:
        """
        Take the next entry, in the order of keys, and of ids where keys are
        alike.

        :return: L{False} once the page is complete: nothing further is wanted.
        """
        if self.full:
            return False
        key, prefix = entry.key, self.prefix
        self.skip_past = None
        if not key.startswith(prefix):
            if key < prefix:
                return True
            self.full = True
            return False
        if key <= self.after and not (
            key == self.after and self.id_marker is not None and id > self.id_marker
        ):
            return True
        common = None
        if self.delimiter:
            found = key.find(self.delimiter, len(prefix))
            if found >= 0:
                common = key[: found + len(self.delimiter)]
                self.skip_past = common
                if common == self._passed or (
                    self.prefixes and common == self.prefixes[-1]
                ):
                    return True
        if len(self.entries) + len(self.prefixes) >= self.limit:
            self.full = True
            self.resume = self._last
            return False
        if common is None:
            self.entries.append(entry)
            self._last = key
        else:
            self.prefixes.append(common)
            self._last = common
        return True

    def take_all(self, entries: Iterable[E]) -> bool:
        """Take entries until the page is complete; L{False} if it is."""
        return all(self.take(entry) for entry in entries)
