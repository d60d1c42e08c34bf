"""
Requests handed on to a storage as they are, for it to judge.

A client may hold a URL that was presigned with a credential of the storage's, not of
ours.  We can neither check that signature nor make it anew; a mount that allows it
hands the request on, and the answer back.  Nothing of our own credentials is added.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from alluxio_tw.ibody import IBody


@attrs.frozen(eq=False)
class Passed:
    """
    The storage's answer.

    :ivar headers: by lower-case name, without those that are about the connection.
    :ivar body: must be closed.
    """

    status: int
    headers: Mapping[bytes, bytes]
    body: IBody = attrs.field(repr=False)


class IPassage(Interface):
    """
    The way through to one mounted storage.
    """

    def forward(
        method: bytes,
        path: str,
        query: bytes,
        headers: Mapping[bytes, bytes],
        body: IBody | None,
    ) -> Deferred[Passed]:
        """
        Hand a request on, and read the head of its answer.

        :param path: of the object, as for
            L{IUnderFileSystem<alluxio_tw.iufs.IUnderFileSystem>}.
        :param query: raw, with the signature.
        :param headers: the client's; those about its connection, and who it is to
            us, are left out.
        :param body: as it came, with its length.
        :raises BackendError: there is no answer.
        """
