"""
The control socket: what the tool asks of, and tells, the running daemon.

HTTP over a Unix socket that only the daemon's user can open; who can is believed,
and no browser can.  What is asked is a query or a JSON object, what is answered a
JSON document; an error is C{{"error": its noun, "message": one sentence}}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    BackendError,
    CallerError,
    GatewayError,
    InvalidArgument,
    NoSuchBucket,
    NoSuchKey,
    NoSuchPath,
    Overloaded,
    ShuttingDown,
)
from alluxio_tw.web.tree import TreeRequest

Given = Mapping[str, Any]
"""What came with a call: texts from a query, or whatever JSON had."""

Call = Callable[[Given], Deferred[Any]]
"""Answers a call with what JSON can hold."""


@attrs.frozen
class Route:
    """
    Where a call is made.

    :ivar meaning: in a few words, for who looks around.
    """

    method: str
    path: str
    meaning: str
    call: Call


def control_root(about: Given, routes: list[Route]) -> Resource:
    """
    The root of the control socket.

    :param about: what there is to say of the daemon.
    :param routes: of which several may share a path.
    """
    root = _Branch()
    version = _Branch()
    root.putChild(b"v1", version)
    contents = Exchange()
    contents.add("GET", _contents(about, routes))
    root.putChild(b"", contents)
    leaves: dict[str, Exchange] = {}
    for route in routes:
        leaf = leaves.get(route.path)
        if leaf is None:
            leaf = leaves[route.path] = Exchange()
            version.putChild(route.path.removeprefix("/v1/").encode(), leaf)
        leaf.add(route.method, route.call)
    return root


class _Branch(Resource):
    """
    A resource that is only there for what is beneath it.
    """

    def getChild(self, path: bytes, request: Any) -> Resource:
        """What is not there says so as everything else does."""
        return _Nothing()


class _Nothing(Resource):
    """
    Is not there.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """Say so."""
        request.setResponseCode(404)
        request.setHeader(b"Content-Type", b"application/json")
        return encoded(
            {"error": "NoSuchRoute", "message": "This daemon has no such route."}
        )


def _contents(about: Given, routes: list[Route]) -> Call:
    @deferred
    async def tell(given: Given) -> Any:
        listed = [
            {"method": each.method, "path": each.path, "meaning": each.meaning}
            for each in routes
        ]
        return {**about, "routes": listed}

    return tell


class Exchange(Resource):
    """
    A document for a question.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, Call] = {}
        self.allowedMethods: tuple[bytes, ...] = ()

    def add(self, method: str, call: Call) -> None:
        """Answer a method."""
        self._calls[method] = call
        self.allowedMethods = tuple(each.encode() for each in self._calls)

    def render(self, request: Any) -> int | bytes:
        """Make the call; it is cancelled when the client goes."""
        call = self._calls.get(request.method.decode("latin-1"))
        if call is None:
            request.setResponseCode(405)
            request.setHeader(b"Allow", b", ".join(self.allowedMethods))
            return b""
        working: Deferred[Any]
        try:
            working = call(_given(request))
        except GatewayError:
            working = Deferred()
            working.errback()
        request.notifyFinish().addErrback(lambda gone: working.cancel())
        working.addErrback(self._fault, request)
        working.addCallback(self._tell, request)
        return NOT_DONE_YET

    def _tell(self, document: Any, request: Any) -> None:
        if document is None:
            return
        request.setHeader(b"Content-Type", b"application/json")
        request.write(encoded(document))
        request.finish()

    def _fault(self, failure: Failure, request: Any) -> Any:
        if failure.check(CancelledError):
            return None
        error = failure.value
        request.setResponseCode(status_of(error))
        if isinstance(error, GatewayError):
            return {"error": type(error).__name__, "message": error.message}
        request.site.log_failure(error)
        return {"error": "InternalError", "message": "The daemon failed; see its log."}


def status_of(error: BaseException | None) -> int:
    """The HTTP status of an error, by whose fault it is."""
    if isinstance(error, NoSuchBucket | NoSuchKey | NoSuchPath):
        return 404
    if isinstance(error, CallerError):
        return 400
    if isinstance(error, BackendError | Overloaded | ShuttingDown):
        return 503
    return 500


def encoded(document: Any) -> bytes:
    """A document as bytes; names that are not text come back as they went."""
    return json.dumps(document, indent=1).encode() + b"\n"


def _given(request: TreeRequest) -> Given:
    given: dict[str, Any] = {
        name.decode("utf-8", "surrogateescape"): values[-1].decode(
            "utf-8", "surrogateescape"
        )
        for name, values in request.args.items()
    }
    content = request.content.read()
    if content:
        try:
            body = json.loads(content)
        except ValueError as error:
            raise InvalidArgument("The body is not JSON.") from error
        if not isinstance(body, dict):
            raise InvalidArgument("The body is not a JSON object.")
        given.update(body)
    return given
