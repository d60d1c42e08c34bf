"""
A driver whose calls are counted and timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.errors import BackendError, CallerError, NoSuchPath
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

T = TypeVar("T")

Told = Callable[[str, str, str, float], None]
"""Given scheme, method, outcome and seconds of a call."""


def timed(
    told: Callable[[str, str, float], None], method: str, work: Deferred[T]
) -> Deferred[T]:
    """
    Tell method, outcome and seconds of a call when it is over.
    """
    began = perf_counter()

    def ended(result: Any) -> Any:
        outcome = "ok"
        if isinstance(result, Failure):
            error = result.value
            if isinstance(error, NoSuchPath):
                outcome = "missing"
            elif isinstance(error, CallerError):
                outcome = "refused"
            elif isinstance(error, BackendError):
                outcome = type(error).__name__
            else:
                outcome = "error"
        told(method, outcome, perf_counter() - began)
        return result

    return work.addBoth(ended)


@implementer(IUnderFileSystem)
class MeteredUFS:
    """
    Passes every call on.

    C{glance} is the driver's own: it asks nobody, and is called for every
    request.
    """

    def __init__(self, ufs: IUnderFileSystem, scheme: str, told: Told) -> None:
        self._ufs = ufs
        self._scheme = scheme
        self._told = told
        self.capabilities: Capabilities = ufs.capabilities
        # Of every request: without a turn through our own.
        self.glance = ufs.glance  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"<Metered {self._ufs!r}>"

    def _timed(self, method: str, work: Deferred[T]) -> Deferred[T]:
        return timed(partial(self._told, self._scheme), method, work)

    def glance(self, path: str) -> IReading | None:
        return self._ufs.glance(path)

    def status(self, path: str) -> Deferred[Status]:
        return self._timed("status", self._ufs.status(path))

    def open(self, path: str) -> Deferred[IReading]:
        return self._timed("open", self._ufs.open(path))

    def read(self, path: str, status: Status, span: Span) -> Deferred[IBody]:
        return self._timed("read", self._ufs.read(path, status, span))

    def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        return self._timed("place", self._ufs.place(path, size, attributes))

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self._timed("describe", self._ufs.describe(path, status, attributes))

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._timed(
            "copy", self._ufs.copy(source, status, target, attributes, etag, demand)
        )

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._timed(
            "join", self._ufs.join(sources, target, attributes, etag, demand)
        )

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self._timed("delete", self._ufs.delete(path, demand))

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self._timed("list", self._ufs.list(query))

    def folders(self) -> Deferred[Sequence[Bucket]]:
        return self._timed("folders", self._ufs.folders())

    def make_folder(self, name: str) -> Deferred[None]:
        return self._timed("make_folder", self._ufs.make_folder(name))

    def remove_folder(self, name: str) -> Deferred[None]:
        return self._timed("remove_folder", self._ufs.remove_folder(name))

    def check(self) -> Deferred[None]:
        return self._timed("check", self._ufs.check())

    def sweep(self, older: float) -> Deferred[int]:
        return self._timed("sweep", self._ufs.sweep(older))

    def close(self) -> Deferred[None]:
        return self._ufs.close()
