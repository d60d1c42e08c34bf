"""
Uploads in parts that a storage knows by itself.

A storage without them is none the worse: parts are kept as objects then, and joined.
A driver that has them provides L{IStorageUploads} beside
L{IUnderFileSystem<alluxio_tw.iufs.IUnderFileSystem>}; paths are as there.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from alluxio_tw.iobjects import Attributes, Demand, PartStatus, Status
from alluxio_tw.iufs import IPlacing


class IStorageUploads(Interface):
    """
    The uploads of one mounted storage.
    """

    def begin_upload(
        path: str, attributes: Attributes, algorithm: str, kind: str
    ) -> Deferred[str]:
        """
        Begin one.

        :param attributes: what the object will be given.
        :param algorithm: of the parts' checksums; empty if none was named.
        :param kind: C{"FULL_OBJECT"}, C{"COMPOSITE"} or empty.
        :return: what the storage calls it.
        :raises UnsuitableKey: this storage cannot hold such a name.
        """

    def place_part(
        path: str, upload: str, number: int, size: int | None
    ) -> Deferred[IPlacing]:
        """
        Begin to write a part; it replaces one of the same number when it is
        committed.

        C{commit} takes checksums of the upload's algorithm for the storage to check,
        no demand, and gives the part's ETag.

        :param size: in bytes, if it is known.
        :raises NoSuchUpload: from here or from C{commit}: it is gone.
        """

    def complete_upload(
        path: str,
        upload: str,
        parts: Sequence[PartStatus],
        attributes: Attributes,
        demand: Demand,
    ) -> Deferred[Status]:
        """
        Make the object of these parts, all at once.

        :param parts: in order; with checksums if the upload has an algorithm.
        :param attributes: those that L{begin_upload} was given, and the checksums
            that the whole is to have.
        :raises NoSuchUpload: it is gone.
        :raises InvalidPart: the storage has another part of that number, or none.
        :raises PreconditionFailed: the demand did not hold.
        """

    def abort_upload(path: str, upload: str) -> Deferred[None]:
        """Forget it, and its parts; harmless if it is gone."""
