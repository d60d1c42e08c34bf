"""
What stands where a driver could not be made.

A folder that is not there, a package that is not installed: the mount is there all
the same, so that who asks is told to come again, and not that there is no such
bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageUnavailable
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

MESSAGE = (
    "The storage behind this bucket cannot be used at the moment; the gateway's operator "
    "is told why by /readyz and 'alluxio-s3 mount list'."
)


@implementer(IUnderFileSystem)
@attrs.define(eq=False)
class AbsentUFS:
    """
    A driver that there is not.

    :ivar capabilities: nothing of it is cached, and all is taken, to be refused with
        the right words.
    """

    _asked: Callable[[], None]
    capabilities: Capabilities = attrs.field(
        default=Capabilities(near=True, folders=True), init=False
    )

    def _away(self) -> NoReturn:
        # Perhaps it can be made by now: for whoever asks next.
        self._asked()
        raise StorageUnavailable(MESSAGE)

    def glance(self, path: str) -> IReading | None:
        return None

    @deferred
    async def status(self, path: str) -> Status:
        self._away()

    @deferred
    async def open(self, path: str) -> IReading:
        self._away()

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        self._away()

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        self._away()

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        self._away()

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
        self._away()

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        self._away()

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        self._away()

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        self._away()

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        self._away()

    @deferred
    async def make_folder(self, name: str) -> None:
        self._away()

    @deferred
    async def remove_folder(self, name: str) -> None:
        self._away()

    @deferred
    async def check(self) -> None:
        self._away()

    @deferred
    async def sweep(self, older: float) -> int:
        return 0

    @deferred
    async def close(self) -> None:
        pass
