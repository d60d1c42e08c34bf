"""
Reading an object through fsspec: block by block, the next one fetched while one is
being sent.

A version is checked after its first block and after its last, before either is
handed on: a file system's token does not come again, so when it is still the same
after the last block, all blocks were of that version.  A reader never gets to the
end of a mixture.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.spans import Span
from alluxio_tw.ufs.fsspec_calls import Calls
from alluxio_tw.ufs.fsspec_storage import Storage

_SMALL = 256 << 10


@attrs.define(eq=False)
class Blocks:
    """
    Fetches blocks, and counts what is held of them.

    Nobody waits for memory: when it is spent, blocks are small.  A reader that takes
    its time would otherwise stand in the way of all.
    """

    _storage: Storage
    _calls: Calls
    _free: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._free = self._storage.address.memory

    @property
    def free(self) -> int:
        """Bytes that may yet be held."""
        return self._free

    def body(self, key: str, status: Status, span: Span) -> Body:
        """Some bytes of a version."""
        return Body(self, key, status, span.offset, span.end, span.length)

    def take(self, left: int, must: bool) -> tuple[int, int]:
        """
        Room for a block.

        :param left: how many bytes are wanted.
        :param must: a small one is better than none.
        :return: how long the block may be, and how much memory it counts for.
        """
        length = min(left, self._storage.address.block)
        if length <= self._free:
            self._free -= length
            return length, length
        return (min(left, _SMALL), 0) if must else (0, 0)

    def give(self, amount: int) -> None:
        """Give room back."""
        self._free += amount

    def fetch(
        self, key: str, status: Status, start: int, end: int, check: bool
    ) -> Deferred[bytes]:
        """Fetch a block; raises as L{Storage.block}."""
        return self._calls.run(
            self._storage.calling(self._storage.block), key, status, start, end, check
        )


@attrs.define(eq=False)
class _Block:
    data: Deferred[bytes]
    length: int
    taken: int


@implementer(IBody)
@attrs.define(eq=False)
class Body:
    """
    Bytes of a version, from C{_at} to C{_end}.
    """

    _blocks: Blocks
    _key: str
    _status: Status
    _at: int
    _end: int
    length: int
    _checked: bool = attrs.field(default=False, init=False)
    _next: _Block | None = attrs.field(default=None, init=False, repr=False)
    _held: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @deferred
    async def begin(self) -> None:
        """
        Fetch the first block now, to know that it can be had.

        :raises ObjectChanged: there is another version now.
        :raises NoSuchPath: it is gone.
        """
        block = self._fetch(True)
        if block is None:
            return
        try:
            data = await block.data
        except BaseException:
            self._drop(block)
            raise
        self._next = attrs.evolve(block, data=succeed(data))

    @deferred
    async def read(self) -> Piece | None:
        self._give(self._held)
        self._held = 0
        block, self._next = self._next or self._fetch(True), None
        if block is None:
            return None
        try:
            data = await block.data
        except BaseException:
            self._drop(block)
            raise
        if self._closed:
            self._give(block.taken)
            return None
        self._at += block.length
        self._held = block.taken
        self._next = self._fetch(False)
        return data

    def close(self) -> None:
        self._closed = True
        self._give(self._held)
        self._held = 0
        block, self._next = self._next, None
        if block is not None:
            self._drop(block)

    def _fetch(self, must: bool) -> _Block | None:
        left = self._end - self._at
        if left <= 0 or self._closed:
            return None
        length, taken = self._blocks.take(left, must)
        if not length:
            return None
        check = not self._checked or length == left
        self._checked = True
        data = self._blocks.fetch(
            self._key, self._status, self._at, self._at + length, check
        )
        return _Block(data, length, taken)

    def _drop(self, block: _Block) -> None:
        self._give(block.taken)
        # If it is read again after all, its first block is checked again.
        self._checked = False
        block.data.addErrback(lambda _: None)
        block.data.cancel()

    def _give(self, amount: int) -> None:
        self._blocks.give(amount)


@implementer(IReading)
@attrs.frozen(eq=False)
class Reading:
    """
    A version; nothing is held for it.
    """

    _blocks: Blocks
    _key: str
    status: Status
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        return b"" if not span.length else None

    def body(self, span: Span) -> IBody:
        body: IBody = self._blocks.body(self._key, self.status, span)
        return body

    def close(self) -> None:
        pass
