"""
Ordinary resources on our edge, the admin port's among them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from alluxio_tw.threads import NoThreads
from alluxio_tw.web.admin import admin_root
from alluxio_tw.web.site import Site
from tests.web.edges import Wire, asked


def connect(root: Resource) -> Wire:
    site = Site(Clock(), NoThreads(), root)
    protocol = site.buildProtocol(None)
    assert protocol is not None
    return Wire(protocol)


class Echo(Resource):
    """
    Tells what it was asked.
    """

    def render_POST(self, request: Any) -> bytes:
        request.setHeader("X-Type", request.getHeader("content-type") or "none")
        return repr((request.args, request.content.read(), request.postpath)).encode()


class Late(Resource):
    """
    Answers when the test says so.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.finished: list[Any] = []

    def render_GET(self, request: Any) -> int:
        self.requests.append(request)
        request.notifyFinish().addBoth(self.finished.append)
        return NOT_DONE_YET


class TreeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Resource()
        self.late = Late()
        self.root.putChild(b"echo", Echo())
        self.root.putChild(b"late", self.late)
        self.wire = connect(self.root)

    def test_request(self) -> None:
        """A resource is given arguments, headers and body."""
        answer = self.wire.ask(
            "POST", "/echo?a=1&a=%202&b", b"hello", content_type="text/x"
        )
        self.assertEqual(answer.headers["x-type"], "text/x")
        expected: Any = ({b"a": [b"1", b" 2"], b"b": [b""]}, b"hello", [])
        self.assertEqual(answer.body, repr(expected).encode())

    def test_not_found(self) -> None:
        """What is not in the tree is not found."""
        for target in ("/nothing", "/echo/beneath", "/late2"):
            self.assertEqual(self.wire.ask("GET", target).status, 404)

    def test_wrong_method(self) -> None:
        """A method that a resource has not is not allowed, and not our failure."""
        answer = self.wire.ask("DELETE", "/late")
        self.assertEqual(answer.status, 405)
        self.assertEqual(answer.headers["allow"], "GET, HEAD")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_large_body(self) -> None:
        """A body that is too large for such a resource is refused unread."""
        self.wire.send(asked("POST", "/echo", content_length=str(1 << 30)))
        (answer,) = self.wire.answers()
        self.assertEqual(answer.status, 400)
        wire = connect(self.root)
        wire.send(asked("POST", "/echo", transfer_encoding="chunked"))
        for _ in range(5):
            wire.send(b"50000\r\n" + bytes(0x50000) + b"\r\n")
        self.assertEqual([each.status for each in wire.answers()], [400])

    def test_later(self) -> None:
        """A resource may answer later, in pieces, and hears that it was sent."""
        self.wire.send(asked("GET", "/late"))
        (request,) = self.late.requests
        request.write(b"some ")
        self.assertEqual(self.wire.rest(), b"")
        request.write(b"thing")
        request.setResponseCode(202)
        request.finish()
        request.finish()
        (answer,) = self.wire.answers()
        self.assertEqual((answer.status, answer.body), (202, b"some thing"))
        self.assertEqual(self.late.finished, [None])

    def test_gone(self) -> None:
        """A resource hears that its client went, and may finish all the same."""
        self.wire.send(asked("GET", "/late"))
        self.wire.go()
        (told,) = self.late.finished
        self.assertIsNotNone(told)
        self.late.requests[0].finish()
        self.assertEqual(self.wire.rest(), b"")

    def test_failing(self) -> None:
        """A resource that fails is an answer of 500."""

        class Broken(Resource):
            def render_GET(self, request: Any) -> bytes:
                raise ZeroDivisionError()

        self.root.putChild(b"broken", Broken())
        self.assertEqual(self.wire.ask("GET", "/broken").status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class AdminTests(SynchronousTestCase):
    mounts: dict[str, str] | Exception = {"/": ""}
    draining = False

    def setUp(self) -> None:
        def checks() -> Deferred[dict[str, str]]:
            found = self.mounts
            return fail(found) if isinstance(found, Exception) else succeed(found)

        self.wire = connect(
            admin_root(
                lambda accept: ("text/plain; version=" + accept, b"a_metric 1\n"),
                checks,
                lambda: self.draining,
            )
        )

    def test_contents(self) -> None:
        """The root tells what there is."""
        answer = self.wire.ask("GET", "/")
        for name in ("/metrics", "/healthz", "/readyz"):
            self.assertIn(name, answer.body.decode())

    def test_metrics(self) -> None:
        """Metrics are given in the format that is asked for."""
        answer = self.wire.ask("GET", "/metrics", accept="x")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=x")
        self.assertEqual(answer.body, b"a_metric 1\n")

    def test_health(self) -> None:
        """A process that answers is alive; HEAD does as well."""
        self.assertEqual(self.wire.ask("GET", "/healthz").body, b"ok\n")
        answer = self.wire.ask("HEAD", "/healthz")
        self.assertEqual((answer.status, answer.headers["content-length"]), (200, "3"))

    def ready(self) -> tuple[int, Any]:
        answer = self.wire.ask("GET", "/readyz")
        return answer.status, json.loads(answer.body)

    def test_ready(self) -> None:
        """One broken mount is shown; only if all are broken are we not ready."""
        self.mounts = {"/": "", "/b": "It is broken."}
        status, said = self.ready()
        self.assertEqual((status, said["ready"]), (200, True))
        self.assertEqual(said["mounts"], {"/": "ok", "/b": "It is broken."})
        self.mounts = {"/": "Down.", "/b": "It is broken."}
        self.assertEqual(self.ready()[0], 503)

    def test_draining(self) -> None:
        """Who drains is not ready."""
        self.draining = True
        status, said = self.ready()
        self.assertEqual((status, said["draining"]), (503, True))

    def test_broken(self) -> None:
        """If the mounts cannot be looked at, that is told and logged."""
        self.mounts = ValueError("secret")
        answer = self.wire.ask("GET", "/readyz")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
