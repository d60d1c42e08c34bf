"""
A storage can tell in whose name it is asked.
"""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.defer import Deferred

from alluxio_tw.asking import WHOSE
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import Attributes, IReading, Status
from alluxio_tw.iufs import IPlacing, IUnderFileSystem
from alluxio_tw.spans import Span
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.ufs.passing import PassingUFS
from tests.web.services import ServiceCase


class HearingUFS(PassingUFS):
    """
    Notes in whose name it was asked for what.
    """

    def __init__(self, ufs: IUnderFileSystem) -> None:
        super().__init__(ufs)
        self.heard: list[tuple[str, Hashable]] = []

    def hear(self, what: str) -> None:
        whose = WHOSE.get()
        self.heard.append((what, whose[0] if isinstance(whose, tuple) else whose))

    def glance(self, path: str) -> IReading | None:
        return None

    def status(self, path: str) -> Deferred[Status]:
        self.hear("status")
        return super().status(path)

    def read(self, path: str, status: Status, span: Span) -> Deferred[IBody]:
        self.hear("read")
        return super().read(path, status, span)

    def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        self.hear("place")
        return super().place(path, size, attributes)


class AskingTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        service = self.service
        self.ufs = HearingUFS(MemoryUFS(service.clock, service.worker._threads))
        service.put_before("/hearing", self.ufs, cache="true", max_age="1h")

    def as_user(self, name: str) -> str:
        return (
            f"AWS4-HMAC-SHA256 Credential={name}/20261121/us-east-1/s3/aws4_request, "
            "SignedHeaders=host, Signature=" + "0" * 64
        )

    def test_names(self) -> None:
        """Writes, questions and loads are in the name of the user who caused them."""
        self.ask(
            "PUT", "/hearing/k", b"data", status=200, authorization=self.as_user("ann")
        )
        # The record is fresh from the write: what is found at once is loaded later.
        for _ in range(2):
            self.ask("GET", "/hearing/k", status=200, authorization=self.as_user("bob"))
        self.ask("GET", "/hearing/no", status=404, authorization=self.as_user("eve"))
        self.assertIn(("place", "ann"), self.ufs.heard)
        self.assertEqual([w for what, w in self.ufs.heard if what == "read"], ["bob"])
        self.assertIn(("status", "eve"), self.ufs.heard)
        self.assertEqual(WHOSE.get(), "")
