"""
The state in a dictionary: for tests, and for what may be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.istate import Held, IState
from alluxio_tw.state.names import LIST_LIMIT, checked, holds, key_of
from alluxio_tw.state.watching import Watches


@implementer(IState)
@attrs.define
class MemoryState:
    """
    Forgets when the process ends.
    """

    _held: dict[str, Held] = attrs.field(factory=dict, init=False)
    _revision: int = attrs.field(default=0, init=False)
    _watches: Watches = attrs.field(factory=Watches, init=False)

    def glance(self, name: str) -> Held | None:
        return self._held.get(name)

    def get(self, name: str) -> Deferred[Held | None]:
        return succeed(self.glance(name))

    @deferred
    async def put(
        self, name: str, value: bytes, expected: str | None = None
    ) -> str | None:
        key_of(name)
        if not self._holds(name, expected):
            return None
        self._revision += 1
        held = self._held[name] = Held(name, checked(value), str(self._revision))
        self._watches.tell([name])
        return held.revision

    @deferred
    async def delete(self, name: str, expected: str | None = None) -> bool:
        key_of(name)
        if name not in self._held or not self._holds(name, expected):
            return False
        del self._held[name]
        self._watches.tell([name])
        return True

    def _holds(self, name: str, expected: str | None) -> bool:
        held = self._held.get(name)
        return holds(expected, held.revision if held else None)

    @deferred
    async def list(self, prefix: str, after: str = "", limit: int = 1000) -> list[Held]:
        names = sorted(
            name for name in self._held if name.startswith(prefix) and name > after
        )
        return [self._held[name] for name in names[: min(limit, LIST_LIMIT)]]

    def watch(self, prefix: str, told: Callable[[str], None]) -> Callable[[], None]:
        return self._watches.add(prefix, told)

    def close(self) -> Deferred[None]:
        self._watches.end()
        return succeed(None)
