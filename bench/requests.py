"""
Requests as bytes, signed as the AWS SDKs sign them.

Both servers are sent the same, headers of the signature and all: nginx does not
look at them, but it reads them.
"""

from __future__ import annotations

import random

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.workloads import Workload

BUCKETS = {"local": "bench", "memory": "cached", "disk": "cached"}

RANGES = 256
"""How many different ranges are asked for."""

_signer = S3SigV4Auth(Credentials("bench", "secret"), "s3", "us-east-1")


def path_of(workload: Workload, key: str) -> str:
    """The path of an object."""
    return f"/{BUCKETS[workload.where]}/{key}"


def heads(workload: Workload, port: int, nginx: bool, body: bytes) -> list[bytes]:
    """
    The requests of a workload, up to where their bodies begin.

    :param nginx: it knows the files by the bucket they are kept in, whichever the
        daemon is asked for.
    """
    origin = f"{workload.scheme}://127.0.0.1:{port}"
    bucket = "bench" if nginx else BUCKETS[workload.where]
    if workload.method == "LIST":
        prefix = workload.objects.pattern.partition("{")[0].replace("/", "%2F")
        query = f"list-type=2&max-keys=1000&prefix={prefix}"
        return [_head("GET", f"{origin}/{bucket}?{query}", {}, b"")]
    keys = workload.objects.keys()
    chance = random.Random(1)
    made = []
    for number in range(max(len(keys), RANGES if workload.span else 0)):
        headers = {}
        if workload.span:
            at = chance.randrange((workload.objects.size - workload.span) // 4096)
            first = at * 4096
            headers["Range"] = f"bytes={first}-{first + workload.span - 1}"
        url = f"{origin}/{bucket}/{keys[number % len(keys)]}"
        made.append(_head(workload.method, url, headers, body))
    return made


def _head(method: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
    request = AWSRequest(method, url, headers=headers, data=body)
    request.context["client_config"] = None
    _signer.add_auth(request)
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    lines = [f"{method} /{path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if method == "PUT":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode()
