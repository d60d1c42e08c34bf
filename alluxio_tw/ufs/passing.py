"""
A driver around a driver that changes nothing: what wrappers begin with.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.ibody import IBody
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


@implementer(IUnderFileSystem)
class PassingUFS:
    """
    Passes every call on.

    :ivar ufs: the wrapped driver.
    """

    def __init__(self, ufs: IUnderFileSystem) -> None:
        self.ufs = ufs
        self.capabilities: Capabilities = ufs.capabilities

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ufs!r}>"

    def glance(self, path: str) -> IReading | None:
        return self.ufs.glance(path)

    def status(self, path: str) -> Deferred[Status]:
        return self.ufs.status(path)

    def open(self, path: str) -> Deferred[IReading]:
        return self.ufs.open(path)

    def read(self, path: str, status: Status, span: Span) -> Deferred[IBody]:
        return self.ufs.read(path, status, span)

    def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        return self.ufs.place(path, size, attributes)

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self.ufs.describe(path, status, attributes)

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self.ufs.copy(source, status, target, attributes, etag, demand)

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self.ufs.join(sources, target, attributes, etag, demand)

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self.ufs.delete(path, demand)

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self.ufs.list(query)

    def folders(self) -> Deferred[Sequence[Bucket]]:
        return self.ufs.folders()

    def make_folder(self, name: str) -> Deferred[None]:
        return self.ufs.make_folder(name)

    def remove_folder(self, name: str) -> Deferred[None]:
        return self.ufs.remove_folder(name)

    def check(self) -> Deferred[None]:
        return self.ufs.check()

    def sweep(self, older: float) -> Deferred[int]:
        return self.ufs.sweep(older)

    def close(self) -> Deferred[None]:
        return self.ufs.close()
