"""
The admin port: metrics and health, as a tree of ordinary resources.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from alluxio_tw.deferreds import deferred

Checks = Callable[[], Deferred[dict[str, str]]]
"""
Looks at every mount, in a few seconds at the most: by its path, the empty text if it
is well, else what is wrong.
"""


def admin_root(
    exposition: Callable[[str], tuple[str, bytes]],
    checks: Checks,
    draining: Callable[[], bool],
) -> Resource:
    """
    The root of the admin port.

    :param exposition: given the C{Accept} header, the metrics' content type and
        text.
    """
    root = Resource()
    root.putChild(b"", Contents())
    root.putChild(b"metrics", MetricsPage(exposition))
    root.putChild(b"healthz", Health())
    root.putChild(b"readyz", Readiness(checks, draining))
    return root


class Contents(Resource):
    """
    Says what there is.
    """

    def render_GET(self, request: Any) -> bytes:
        """A few lines."""
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return (
            b"alluxio-tw\n\n"
            b"/metrics  for Prometheus\n"
            b"/healthz  the process is alive\n"
            b"/readyz   how each mount is; 503 if none can be used\n"
        )


class MetricsPage(Resource):
    """
    The metrics.
    """

    isLeaf = True

    def __init__(self, exposition: Callable[[str], tuple[str, bytes]]) -> None:
        super().__init__()
        self._exposition = exposition

    def render_GET(self, request: Any) -> bytes:
        """In the text format of Prometheus."""
        kind, text = self._exposition(request.getHeader("accept") or "")
        request.setHeader(b"Content-Type", kind.encode())
        return text


class Health(Resource):
    """
    The process is alive: its reactor turns.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """It is."""
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return b"ok\n"


class Readiness(Resource):
    """
    Requests can be served.

    A mount that is broken is shown, but does not take the others down with it:
    only if none is well, or the daemon is draining, is it not ready.
    """

    isLeaf = True

    def __init__(self, checks: Checks, draining: Callable[[], bool]) -> None:
        super().__init__()
        self._checks = checks
        self._draining = draining

    def render_GET(self, request: Any) -> int:
        """The mounts, as JSON."""

        @deferred
        async def look() -> None:
            found = await self._checks()
            well = not found or any(not wrong for wrong in found.values())
            ready = well and not self._draining()
            request.setResponseCode(200 if ready else 503)
            request.setHeader(b"Content-Type", b"application/json")
            document = {
                "ready": ready,
                "draining": self._draining(),
                "mounts": {path: wrong or "ok" for path, wrong in found.items()},
            }
            request.write(json.dumps(document, indent=1).encode() + b"\n")
            request.finish()

        def broken(failure: Failure) -> None:
            request.setResponseCode(500)
            request.write(b"the mounts could not be looked at\n")
            request.finish()
            request.site.log_failure(failure.value)

        look().addErrback(broken)
        return NOT_DONE_YET
