"""
A whole worker on a clock and without threads, and wires to it: S3 as a client sees
it, without a network and without waiting.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import md5
from typing import Any
from urllib.parse import quote

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app.assembly import Worker, build
from alluxio_tw.app.config import load
from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.threads import NoThreads
from alluxio_tw.web.request import Request
from alluxio_tw.web.site import Site
from tests.web.edges import Answer, Wire

Claim = tuple[int, str] | tuple[int, str, str]
"""A part's number and ETag, and perhaps further elements."""


def etag_of(data: bytes) -> str:
    """The ETag of an object that was put whole, with its quotes."""
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'


class Service:
    """
    A worker and its edge.

    :ivar accounted: the requests that are over.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        definitions: Mapping[str, str] | None = None,
        mounts: tuple[str, ...] = ("/=memory:///",),
    ) -> None:
        self.clock = Clock()
        self.clock.advance(time.time())
        given = {
            "alluxio.tw.data.dir": case.mktemp(),
            "alluxio.worker.s3.multipart.part.min.size": "5",
            **(definitions or {}),
        }
        config = load(
            None, [f"{name}={value}" for name, value in given.items()], mounts
        )
        self.worker: Worker = build(config, self.clock, NoThreads(), NoThreads())
        self.accounted: list[Request] = []
        self.worker.start()
        self.site: Site = self.worker.site(False, self._account)
        case.addCleanup(self.close, case)
        self.wire = self.connect()

    def _account(self, request: Request) -> None:
        self.worker.account(request)
        self.accounted.append(request)

    def close(self, case: SynchronousTestCase) -> None:
        """Let go of everything."""
        case.successResultOf(self.worker.close())

    def connect(self) -> Wire:
        """A new connection."""
        protocol = self.site.buildProtocol(None)
        assert protocol is not None
        return Wire(protocol)

    def put_before(self, path: str, ufs: IUnderFileSystem, **options: str) -> None:
        """Mount another storage at a path."""
        own = {name.replace("_", "-"): value for name, value in options.items()}
        mounts = [each for each in self.worker.mounts.mounts if each.path != path]
        mounts.append(Mount.of(path, "test:///" + path, own, own, ufs, 1))
        self.worker.mounts.replace(mounts)


class ServiceCase(SynchronousTestCase):
    """
    A test of what a client sees.
    """

    mounts: tuple[str, ...] = ("/=memory:///",)
    definitions: Mapping[str, str] = {}

    def setUp(self) -> None:
        self.service = Service(self, self.definitions, self.mounts)
        if self.mounts[0].startswith("/="):
            self.ask("PUT", "/bkt", status=200)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        status: int | None = None,
        **headers: Any,
    ) -> Answer:
        """
        Send a request, and take its answer.

        :param target: not yet encoded.
        :param status: what it must be.
        """
        path, question, query = target.partition("?")
        answer = self.service.wire.ask(
            method, quote(path) + question + query, body, **headers
        )
        if status is not None:
            self.assertEqual(answer.status, status, answer)
        return answer

    def put(self, key: str, data: bytes = b"", **headers: Any) -> Answer:
        """Put an object, successfully."""
        return self.ask("PUT", f"/bkt/{key}", data, status=200, **headers)

    def refused(
        self,
        code: str,
        status: int,
        method: str,
        target: str,
        body: bytes = b"",
        **headers: Any,
    ) -> Answer:
        """Send a request that must be refused so."""
        answer = self.ask(method, target, body, **headers)
        self.assertEqual((answer.code, answer.status), (code, status), answer)
        self.assertEqual(answer.headers["content-type"], "application/xml")
        return answer

    def keys(self, query: str = "") -> list[str]:
        """The keys of a listing."""
        answer = self.ask("GET", f"/bkt?list-type=2{query}", status=200)
        return answer.elements("Key")

    def upload(self, key: str = "k", **headers: Any) -> str:
        """Begin an upload; its id."""
        answer = self.ask("POST", f"/bkt/{key}?uploads", status=200, **headers)
        return answer.element("UploadId")

    def part(
        self, id: str, number: int, data: bytes, key: str = "k", **headers: Any
    ) -> Answer:
        """Upload a part."""
        return self.ask(
            "PUT", f"/bkt/{key}?partNumber={number}&uploadId={id}", data, **headers
        )

    def complete(
        self, id: str, *parts: Claim, key: str = "k", **headers: Any
    ) -> Answer:
        """Complete an upload of these parts."""
        return self.ask(
            "POST", f"/bkt/{key}?uploadId={id}", completion(*parts), **headers
        )


def completion(*parts: Claim) -> bytes:
    """The document that completes an upload."""
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>"
        f"{''.join(more)}</Part>"
        for number, etag, *more in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def deletion(*keys: str, quiet: bool = False) -> bytes:
    """The document that deletes objects."""
    from xml.sax.saxutils import escape

    listed = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    quietly = "<Quiet>true</Quiet>" if quiet else ""
    return f"<Delete>{quietly}{listed}</Delete>".encode()


def content_md5(data: bytes) -> str:
    """A C{Content-MD5} header."""
    import base64

    digest: Any = md5(data, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
