"""
Who asked to be told of changes, and telling them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from twisted.logger import Logger

Told = Callable[[str], None]


@attrs.define(eq=False)
class _Watch:
    prefix: str
    told: Told


@attrs.define
class Watches:
    """
    The watches of one store.  One that fails is logged and troubles nobody else.
    """

    log = Logger()

    _watches: list[_Watch] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, prefix: str, told: Told) -> Callable[[], None]:
        """
        Begin a watch; the result ends it, and may be called again.
        """
        watch = _Watch(prefix, told)
        self._watches.append(watch)

        def end() -> None:
            if watch in self._watches:
                self._watches.remove(watch)

        return end

    def tell(self, names: Iterable[str]) -> None:
        """
        Tell each name to those who watch it, once however often it is given.
        """
        for name in dict.fromkeys(names):
            # A copy, and a second look: being told may begin and end watches.
            for watch in tuple(self._watches):
                if name.startswith(watch.prefix) and watch in self._watches:
                    try:
                        watch.told(name)
                    except Exception:
                        self.log.failure(
                            "a watch of the state failed on {name}", name=name
                        )

    def end(self) -> None:
        """
        End them all.
        """
        self._watches.clear()
