"""
Requests from browsers: preflights, and what is said to who comes with an origin.
"""

from __future__ import annotations

from alluxio_tw.errors import BadRequest, CORSForbidden
from alluxio_tw.s3 import cors
from alluxio_tw.s3.path import ObjectPath
from alluxio_tw.web import reply
from alluxio_tw.web.call import Call, Gateway
from alluxio_tw.web.reply import Reply
from alluxio_tw.web.request import Request

METHODS = frozenset(("GET", "PUT", "HEAD", "POST", "DELETE"))


async def preflight(call: Call) -> Reply:
    """
    OPTIONS: may a page of this origin make such a request?

    Nobody is asked who they are: browsers send no credentials here (Fetch
    standard, "CORS-preflight request").
    """
    headers = call.headers
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        raise BadRequest("Insufficient information. Origin request header needed.")
    method = headers.get(b"access-control-request-method", b"").decode("latin-1")
    if method not in METHODS:
        raise BadRequest(f"Invalid Access-Control-Request-Method: {method or 'null'}")
    asked = headers.get(b"access-control-request-headers", b"")
    wanted = cors.requested_headers(asked)
    if wanted is None:
        raise BadRequest(
            f'Access-Control-Request-Headers "{asked.decode("latin-1")}" contains'
            " invalid character."
        )
    await call.gateway.buckets.get(call.bucket)
    rules = call.gateway.buckets.standing(call.bucket).cors
    kind = "OBJECT" if isinstance(call.target, ObjectPath) else "BUCKET"
    if not rules:
        raise CORSForbidden(
            "CORSResponse: CORS is not enabled for this bucket.",
            Method=method,
            ResourceType=kind,
        )
    found = cors.match(rules, origin, method, wanted)
    if found is None:
        call.request.extra = reply.block([cors.VARY])
        raise CORSForbidden(Method=method, ResourceType=kind)
    return Reply(200, found.lines(preflight=True))


def cross(gateway: Gateway, request: Request, bucket: str) -> None:
    """
    Say in the answer, whatever it will be, whether the page that asks may read
    it.
    """
    rules = gateway.buckets.standing(bucket).cors
    if not rules:
        return
    headers = request.headers
    # What S3 takes for the method, when a request that is no preflight says one.
    method = headers.get(b"access-control-request-method", request.method)
    found = cors.match(
        rules, headers[b"origin"].decode("latin-1"), method.decode("latin-1")
    )
    request.extra = reply.block(
        [cors.VARY] if found is None else found.lines(preflight=False)
    )
