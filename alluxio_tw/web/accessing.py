"""
A request as an entry of the access log.
"""

from __future__ import annotations

import time
from typing import Any

from alluxio_tw.s3.routing import OPERATIONS
from alluxio_tw.web.accesslines import AccessEntry
from alluxio_tw.web.request import Request
from alluxio_tw.web.site import elapsed


def access_entry(request: Request) -> AccessEntry:
    """What is to be logged of a request that is over."""
    connection = request.connection
    headers = request.headers
    seconds = elapsed(request)
    operation = OPERATIONS.get(request.operation)
    authorization = headers.get(b"authorization", b"")
    presigned = b"X-Amz-Signature=" in request.target
    tls, cipher = _tls(connection.transport) if connection.secure else ("", "")
    return AccessEntry(
        time=time.time() - seconds,
        request_id=request.id,
        method=request.method.decode("latin-1"),
        target=request.target,
        status=request.status,
        remote=connection.peer,
        protocol="HTTP/1.0" if request.http_1_0 else "HTTP/1.1",
        host=_text(headers, b"host"),
        user=request.user,
        operation=request.operation,
        log_name=operation.log_name if operation is not None else "",
        bucket=request.bucket,
        key=request.key,
        error=request.error,
        bytes_in=request.body.got if request.body is not None else 0,
        bytes_out=request.bytes_out,
        seconds=seconds,
        first_byte=request.first_byte - request.started if request.first_byte else None,
        user_agent=_text(headers, b"user-agent"),
        referer=_text(headers, b"referer"),
        cache=request.cache,
        range=_text(headers, b"range"),
        tls=tls,
        cipher=cipher,
        signature="SigV4" if authorization or presigned else "",
        authentication="AuthHeader"
        if authorization
        else "QueryString"
        if presigned
        else "",
        host_id=connection.site.host_id,
    )


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _tls(transport: Any) -> tuple[str, str]:
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if handle is None:
        return "", ""
    return handle.get_protocol_version_name(), handle.get_cipher_name() or ""
