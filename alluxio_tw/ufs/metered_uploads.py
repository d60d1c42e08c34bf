"""
A storage's uploads, counted and timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.iobjects import Attributes, Demand, PartStatus, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.ufs.metered import timed

T = TypeVar("T")

Told = Callable[[str, str, float], None]
"""Given method, outcome and seconds of a call."""


@implementer(IStorageUploads)
@attrs.frozen(eq=False)
class MeteredUploads:
    """
    Passes every call on.
    """

    _uploads: IStorageUploads
    _told: Told

    def begin_upload(
        self, path: str, attributes: Attributes, algorithm: str, kind: str
    ) -> Deferred[str]:
        return timed(
            self._told,
            "begin_upload",
            self._uploads.begin_upload(path, attributes, algorithm, kind),
        )

    def place_part(
        self, path: str, upload: str, number: int, size: int | None
    ) -> Deferred[IPlacing]:
        return timed(
            self._told,
            "place_part",
            self._uploads.place_part(path, upload, number, size),
        )

    def complete_upload(
        self,
        path: str,
        upload: str,
        parts: Sequence[PartStatus],
        attributes: Attributes,
        demand: Demand,
    ) -> Deferred[Status]:
        return timed(
            self._told,
            "complete_upload",
            self._uploads.complete_upload(path, upload, parts, attributes, demand),
        )

    def abort_upload(self, path: str, upload: str) -> Deferred[None]:
        return timed(
            self._told, "abort_upload", self._uploads.abort_upload(path, upload)
        )
