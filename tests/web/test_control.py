"""
The control socket's tree.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidArgument, NoSuchKey, StorageUnavailable
from alluxio_tw.threads import NoThreads
from alluxio_tw.web.control import Given, Route, control_root
from alluxio_tw.web.site import Site
from tests.web.edges import Wire, asked
from tests.web.services import ServiceCase


class ControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.given: list[Given] = []
        self.answer: Deferred[Any] = succeed({"well": True})
        routes = [
            Route("GET", "/v1/thing", "ask", self.call),
            Route("POST", "/v1/thing", "tell", self.call),
        ]
        site = Site(Clock(), NoThreads(), control_root({"pid": 7}, routes))
        protocol = site.buildProtocol(None)
        assert protocol is not None
        self.wire = Wire(protocol)

    def call(self, given: Given) -> Deferred[Any]:
        self.given.append(given)
        return self.answer

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        answer = self.wire.ask(method, target, body)
        return answer.status, json.loads(answer.body) if answer.body else None

    def test_contents(self) -> None:
        """The root says who this is, and what can be asked."""
        status, document = self.ask("GET", "/")
        self.assertEqual(status, 200)
        self.assertEqual(document["pid"], 7)
        self.assertEqual(
            document["routes"][0],
            {"method": "GET", "path": "/v1/thing", "meaning": "ask"},
        )

    def test_get(self) -> None:
        """A query is given as texts, whatever is in it."""
        self.assertEqual(
            self.ask("GET", "/v1/thing?path=%2Fb%2F%C3%A9+%2B%FF&n=1"),
            (200, {"well": True}),
        )
        self.assertEqual(self.given, [{"path": "/b/é +\udcff", "n": "1"}])

    def test_post(self) -> None:
        """A JSON object is given as it is, and answered likewise."""
        told = {"path": "/b/\udcff", "n": 1, "flag": True}
        self.answer = succeed(told)
        self.assertEqual(
            self.ask("POST", "/v1/thing", json.dumps(told).encode()), (200, told)
        )
        self.assertEqual(self.given, [told])

    def test_errors(self) -> None:
        """An error is told by noun and sentence; its status says whose fault it is."""
        for error, status in (
            (InvalidArgument("no"), 400),
            (NoSuchKey("none"), 404),
            (StorageUnavailable("away"), 503),
        ):
            self.answer = fail(error)
            self.assertEqual(
                self.ask("GET", "/v1/thing"),
                (status, {"error": type(error).__name__, "message": error.message}),
            )

    def test_broken(self) -> None:
        """A fault of ours is logged, and its cause is not told."""
        self.answer = fail(ZeroDivisionError("secret"))
        status, document = self.ask("GET", "/v1/thing")
        self.assertEqual((status, document["error"]), (500, "InternalError"))
        self.assertNotIn("secret", document["message"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_malformed(self) -> None:
        """What is no JSON object is refused before it is told to anyone."""
        for body in (b"{", b"[]", b"3", b"\xff"):
            status, document = self.ask("POST", "/v1/thing", body)
            self.assertEqual((status, document["error"]), (400, "InvalidArgument"))
        self.assertEqual(self.given, [])

    def test_not_there(self) -> None:
        """What is not there, or not to be asked so, is told."""
        for target in ("/v1/other", "/v2", "/v1/", "/thing"):
            status, document = self.ask("GET", target)
            self.assertEqual((status, document["error"]), (404, "NoSuchRoute"), target)
        self.assertEqual(self.ask("DELETE", "/v1/thing"), (405, None))

    def test_gone(self) -> None:
        """Work for a client that goes is called off."""
        gone: list[Deferred[Any]] = []
        self.answer = Deferred(gone.append)
        self.wire.send(asked("GET", "/v1/thing"))
        self.wire.go()
        self.assertEqual(gone, [self.answer])


class CacheControlTests(ServiceCase):
    """
    What can be asked about the cache, on a whole worker.
    """

    mounts = ("/=memory:///?cache=true",)

    def control(self, method: str, target: str, **given: Any) -> tuple[int, Any]:
        protocol = self.service.worker.control_site().buildProtocol(None)
        assert protocol is not None
        body = json.dumps(given).encode() if given else b""
        answer = Wire(protocol).ask(method, target, body)
        return answer.status, json.loads(answer.body)

    def test_load(self) -> None:
        """A load is submitted, looked at and stopped."""
        self.put("k", b"x" * 1000)
        status, told = self.control("POST", "/v1/load", path="/bkt", concurrency="2")
        self.assertEqual((status, told["path"]), (200, "/bkt"))
        self.service.clock.advance(1)
        status, told = self.control("GET", "/v1/load?path=/bkt")
        self.assertEqual((status, told["state"], told["done"]), (200, "SUCCEEDED", 1))
        status, told = self.control("GET", "/v1/load")
        self.assertEqual([each["path"] for each in told["loads"]], ["/bkt"])
        status, told = self.control("POST", "/v1/load", path="/bkt", opType="stop")
        self.assertEqual((status, told["state"]), (200, "SUCCEEDED"))

    def test_stat_and_free(self) -> None:
        """What is cached is told, and given up."""
        self.put("k", b"x" * 1000)
        self.ask("GET", "/bkt/k", status=200)
        status, told = self.control("GET", "/v1/stat?path=/bkt/k")
        self.assertEqual((status, told["cached_bytes"]), (200, 1000))
        status, told = self.control("POST", "/v1/free", path="/bkt")
        self.assertEqual((status, told["bytes"]), (200, 1000))
        status, told = self.control("GET", "/v1/stat?path=/bkt")
        self.assertEqual((status, told["cached_bytes"]), (200, 0))

    def test_refused(self) -> None:
        """What is not understood is refused, with what would be."""
        for method, target, given in (
            ("POST", "/v1/load", {"path": "/bkt", "bandwith": 5}),
            ("POST", "/v1/load", {"path": "/bkt", "opType": "begin"}),
            ("POST", "/v1/load", {"path": 5}),
            ("POST", "/v1/load", {"verify": True}),
            ("POST", "/v1/load", {"path": "/bkt", "anew": "perhaps"}),
            ("GET", "/v1/stat", {}),
            ("GET", "/v1/stat?path=bkt", {}),
            ("POST", "/v1/free", {"path": "/bkt", "metadata_only": 1}),
        ):
            status, told = self.control(method, target, **given)
            self.assertEqual((status, told["error"]), (400, "InvalidArgument"), target)
