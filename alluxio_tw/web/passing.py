"""
Requests presigned with a credential of the storage's, handed on to it.

Only what a mount allows (C{presigned=true}), only reading and writing of an object,
and only where the credential is none of ours: those we check ourselves.  Who may do
what is for the storage to say then, which knows who signed; what we know of policies
is not asked.
"""

from __future__ import annotations

from alluxio_tw.errors import BackendError, GatewayError, StorageReadOnly
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.s3.credential import simple_access_key_of_query
from alluxio_tw.s3.path import ObjectPath, Target
from alluxio_tw.web import reply
from alluxio_tw.web.call import Call, Gateway
from alluxio_tw.web.request import Request

PASSED = frozenset(("GetObject", "HeadObject", "PutObject"))
"""Operations."""


def passes(gateway: Gateway, request: Request, target: Target, operation: str) -> bool:
    """Is this a request to be handed on?"""
    return (
        operation in PASSED
        and isinstance(target, ObjectPath)
        and "X-Amz-Signature" in target.query
        and b"authorization" not in request.headers
        and _mounted(gateway, target)
        and not _ours(gateway, target)
    )


def _mounted(gateway: Gateway, target: ObjectPath) -> bool:
    try:
        place = gateway.objects.mounts.resolve(target.bucket, target.key)
    except GatewayError:
        return False
    return place.mount.passage is not None and bool(place.path)


def _ours(gateway: Gateway, target: ObjectPath) -> bool:
    if gateway.keys is None:
        return False
    try:
        name = simple_access_key_of_query(target.raw_query)
        if name is None:
            return True
        gateway.keys.find(name)
    except GatewayError:
        return False
    return True


async def hand_on(call: Call) -> None:
    """
    Hand a request on, and its answer back.

    :raises StorageReadOnly: it writes, and the mount takes no writes.
    """
    request, target = call.request, call.target
    assert isinstance(target, ObjectPath)
    objects = call.gateway.objects
    place: Place = objects.mounts.resolve(target.bucket, target.key)
    passage = place.mount.passage
    assert passage is not None
    writes = request.method == b"PUT"
    if writes and place.mount.read_only:
        raise StorageReadOnly()
    lease = place.mount.leases.take()
    try:
        passed = await passage.forward(
            request.method,
            place.path,
            target.raw_query,
            request.headers,
            request.body,
        )
    except BackendError:
        if writes:
            objects.current.wrote(place, None)
        raise
    finally:
        lease.end()
    if writes:
        objects.current.wrote(place, None)
    headers: reply.Headers = [
        (name.title(), value) for name, value in passed.headers.items()
    ]
    length = passed.body.length
    if length is not None and request.method != b"HEAD":
        headers.append((b"Content-Length", b"%d" % length))
    request.cache = "BYPASS"
    lines = reply.block(headers)
    if request.method == b"HEAD" or length == 0:
        passed.body.close()
        reply.send(request, passed.status, lines, b"")
        return
    reply.stream(request, passed.status, lines, passed.body)
