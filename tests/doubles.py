"""
Parts that misbehave on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import Capabilities, IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span

T = TypeVar("T")


@attrs.define
class _Fault:
    error: Exception
    left: int


@attrs.define(eq=False)
class Gate:
    """
    Where calls wait until it is opened.
    """

    _waiting: list[Deferred[None]] = attrs.field(factory=list, init=False)
    _open: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    async def pass_through(self) -> None:
        if self._open:
            return
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        await waiter

    def open(self) -> None:
        """Let all go on, and all who come later."""
        self._open = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)


@implementer(IUnderFileSystem)
@attrs.define(eq=False)
class FaultyUFS:
    """
    An under file system that wraps another and fails, waits or cuts short.

    What can be told to is named by method: those of L{IUnderFileSystem}, and
    C{write} and C{commit} of a placing, and C{body} for each piece of a body.

    :ivar calls: the methods that were called, in order.
    :ivar capabilities: the wrapped one's; a test may set others.
    """

    wrapped: IUnderFileSystem
    clock: IReactorTime | None = None
    glances: bool = False
    capabilities: Capabilities = attrs.field(init=False)
    calls: list[str] = attrs.field(factory=list, init=False)
    _faults: dict[str, _Fault] = attrs.field(factory=dict, init=False)
    _gates: dict[str, Gate] = attrs.field(factory=dict, init=False)
    _delays: dict[str, float] = attrs.field(factory=dict, init=False)
    cut: tuple[int, Exception | None] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.capabilities = self.wrapped.capabilities

    # What a test says

    def fail(
        self, method: str, error: Exception | None = None, times: int = 1 << 30
    ) -> None:
        """The next calls of C{method} fail; L{StorageUnavailable} if not said how."""
        self._faults[method] = _Fault(error or StorageUnavailable(), times)

    def delay(self, method: str, seconds: float) -> None:
        """Calls of C{method} take so long, by the clock."""
        self._delays[method] = seconds

    def hold(self, method: str) -> Gate:
        """Calls of C{method} wait at a gate."""
        gate = self._gates[method] = Gate()
        return gate

    def truncate(self, length: int, error: Exception | None = None) -> None:
        """Bodies from now on give so many bytes, then fail, or end as if whole."""
        self.cut = (length, error)

    def heal(self) -> None:
        """All is well again; who waits goes on."""
        self._faults.clear()
        self._delays.clear()
        self.cut = None
        gates, self._gates = self._gates, {}
        for gate in gates.values():
            gate.open()

    def count(self, method: str) -> int:
        """How many calls of C{method} there were."""
        return self.calls.count(method)

    async def suffer(self, method: str) -> None:
        """What calling C{method} brings."""
        self.calls.append(method)
        seconds = self._delays.get(method)
        if seconds is not None:
            assert self.clock is not None, "a delay needs a clock"
            await deferLater(self.clock, seconds, lambda: None)
        gate = self._gates.get(method)
        if gate is not None:
            await gate.pass_through()
        fault = self._faults.get(method)
        if fault is not None and fault.left:
            fault.left -= 1
            raise fault.error

    # What it is

    def glance(self, path: str) -> IReading | None:
        return self.wrapped.glance(path) if self.glances else None

    @deferred
    async def status(self, path: str) -> Status:
        await self.suffer("status")
        return await self.wrapped.status(path)

    @deferred
    async def open(self, path: str) -> IReading:
        await self.suffer("open")
        return _FaultyReading(self, await self.wrapped.open(path))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        await self.suffer("read")
        return _FaultyBody(self, await self.wrapped.read(path, status, span), self.cut)

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        await self.suffer("place")
        placing = await self.wrapped.place(path, size, attributes)
        return _FaultyPlacing(self, placing)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        await self.suffer("describe")
        return await self.wrapped.describe(path, status, attributes)

    @deferred
    async def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        await self.suffer("copy")
        return await self.wrapped.copy(source, status, target, attributes, etag, demand)

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        await self.suffer("join")
        return await self.wrapped.join(sources, target, attributes, etag, demand)

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        await self.suffer("delete")
        return await self.wrapped.delete(path, demand)

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        await self.suffer("list")
        return await self.wrapped.list(query)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        await self.suffer("folders")
        return await self.wrapped.folders()

    @deferred
    async def make_folder(self, name: str) -> None:
        await self.suffer("make_folder")
        await self.wrapped.make_folder(name)

    @deferred
    async def remove_folder(self, name: str) -> None:
        await self.suffer("remove_folder")
        await self.wrapped.remove_folder(name)

    @deferred
    async def check(self) -> None:
        await self.suffer("check")
        await self.wrapped.check()

    @deferred
    async def sweep(self, older: float) -> int:
        await self.suffer("sweep")
        return await self.wrapped.sweep(older)

    def close(self) -> Deferred[None]:
        return self.wrapped.close()


@implementer(IReading)
@attrs.define(eq=False)
class _FaultyReading:
    _ufs: FaultyUFS
    _wrapped: IReading

    @property
    def status(self) -> Status:
        return self._wrapped.status

    @property
    def cache(self) -> str:
        return self._wrapped.cache

    def at_once(self, span: Span) -> bytes | None:
        return None  # so that every byte goes the way that can fail

    def body(self, span: Span) -> IBody:
        return _FaultyBody(self._ufs, self._wrapped.body(span), self._ufs.cut)

    def close(self) -> None:
        self._wrapped.close()


@implementer(IBody)
@attrs.define(eq=False)
class _FaultyBody:
    _ufs: FaultyUFS
    _wrapped: IBody
    _cut: tuple[int, Exception | None] | None
    _given: int = attrs.field(default=0, init=False)

    @property
    def length(self) -> int | None:
        return self._wrapped.length

    @deferred
    async def read(self) -> Piece | None:
        await self._ufs.suffer("body")
        left = None if self._cut is None else self._cut[0] - self._given
        piece = await self._wrapped.read() if left != 0 else None
        if self._cut is not None and piece is None:
            if self._cut[1] is not None:
                raise self._cut[1]
            return None
        if piece is None:
            return None
        if isinstance(piece, FileSpan):
            if left is not None and piece.length > left:
                piece = FileSpan(piece.fd, piece.offset, left)
            self._given += piece.length
        else:
            if left is not None and len(piece) > left:
                piece = piece[:left]
            self._given += len(piece)
        return piece

    def close(self) -> None:
        self._wrapped.close()


@implementer(IPlacing)
@attrs.define(eq=False)
class _FaultyPlacing:
    _ufs: FaultyUFS
    _wrapped: IPlacing

    @deferred
    async def write(self, data: Piece) -> None:
        await self._ufs.suffer("write")
        await self._wrapped.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        await self._ufs.suffer("commit")
        return await self._wrapped.commit(etag, attributes, demand, modified)

    @deferred
    async def abort(self) -> None:
        await self._wrapped.abort()
