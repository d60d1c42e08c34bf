"""
Random requests, signed by botocore and by us: the signatures must be the same.

Run from the repository's root: C{python -m tests.fuzz.sigv4_against_botocore
[--count 100000] [--seed N]}.  The suite does a few hundred.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import string
import sys
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from alluxio_tw.errors import GatewayError, SignatureDoesNotMatch
from alluxio_tw.s3.canonical import paths, queries
from alluxio_tw.s3.claim import Claim, read_claim
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.sigv4 import presign, seconds_of, sign

ODD = "=*+%~!'(),;:@&$#?[]{}|^`\"<>\\ -._/"
LETTERS = string.ascii_letters + string.digits
# What a client may leave as it is in a path, in a query.
RAW_PATH = "!$&'()*+,;=:@-._~/"
RAW_QUERY = "!$'()*,;:@/?-._~+"


def _text(rng: random.Random, longest: int = 12) -> str:
    kinds = (LETTERS, ODD, "äöü中文🙂é\u0301\u00a0")
    return "".join(rng.choice(rng.choice(kinds)) for _ in range(rng.randrange(longest)))


def _escape(rng: random.Random, text: str, raw: str) -> str:
    """Percent-encoded, as strictly as this client happens to do it."""
    if rng.random() < 0.6:
        return quote(text, safe="/-._~" if "/" in raw else "-._~")
    escaped = quote(text, safe=raw)
    return escaped.lower() if rng.random() < 0.1 else escaped


def _path(rng: random.Random) -> str:
    return "/" + _escape(rng, f"bucket/{_text(rng)}/{_text(rng)}", RAW_PATH)


def _query(rng: random.Random) -> str:
    items = []
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        name = rng.choice(("prefix", "a", "a-b", "acl", "X-y", _text(rng, 6)))
        # Names that would make it another kind of request are not our matter.
        name = _escape(rng, name, RAW_QUERY) or "n"
        value = _escape(rng, _text(rng), RAW_QUERY)
        items.append(rng.choice((name, name + "=", f"{name}={value}")))
    return "&".join(items)


def _headers(rng: random.Random) -> dict[str, str]:
    headers = {}
    for _ in range(rng.randrange(5)):
        name = rng.choice(("x-amz-meta-", "X-Thing-", "Content-"))
        words = [
            "".join(rng.choice(LETTERS + "=;,\"'%") for _ in range(rng.randrange(6)))
            for _ in range(rng.randrange(4))
        ]
        headers[name + rng.choice(LETTERS).lower()] = rng.choice((" ", "  ")).join(
            words
        )
    return headers


def disagreement(rng: random.Random) -> str | None:
    """
    One request; what was wrong with it, or L{None}.
    """
    access_key = "AKIA" + "".join(rng.choice(LETTERS) for _ in range(16))
    secret = "".join(rng.choice(LETTERS + "/+") for _ in range(40))
    region = rng.choice(("us-east-1", "eu-central-1", "auto", "US"))
    method = rng.choice(("GET", "PUT", "HEAD", "DELETE", "POST"))
    host = rng.choice(("127.0.0.1:29998", "bucket.s3.example.com", "[::1]:80"))
    path, query = _path(rng), _query(rng)
    url = f"http://{host}{path}" + (f"?{query}" if query else "")
    if urlsplit(url).path != path or urlsplit(url).query != query:
        return None
    presigned = rng.random() < 0.4
    data = b"" if presigned else rng.randbytes(rng.randrange(20))
    request = AWSRequest(method, url, _headers(rng), data)
    request.headers["Host"] = host
    credentials = Credentials(access_key, secret, rng.choice((None, "tok/en+=")))
    if presigned:
        signer = S3SigV4QueryAuth(credentials, "s3", region, expires=600)
    else:
        signer = S3SigV4Auth(credentials, "s3", region)
        if rng.random() < 0.5:
            request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(data).hexdigest()
    signer.add_auth(request)
    headers = {
        name.lower().encode(): value.encode("utf-8")
        for name, value in request.headers.items()
    }
    sent = urlsplit(request.url).query.encode()
    where = f"{method} {request.url} {headers}"
    try:
        claim = read_claim(method.encode(), path.encode(), sent, headers)
        if claim is None:
            return "taken for anonymous: " + where
        now = seconds_of(claim.timestamp)
        assert now is not None
        claim.verify(secret, now)
    except GatewayError as error:
        return f"{error!r} {dict(error.fields)}: {where}"
    return _tampered(rng, claim, secret, now, path, sent, headers) or _ours(
        presigned, claim, secret, path, query, headers, sent, method
    )


def _tampered(
    rng: random.Random,
    claim: Claim,
    secret: str,
    now: int,
    path: str,
    sent: bytes,
    headers: dict[bytes, bytes],
) -> str | None:
    """A request that was changed on its way must not be believed."""
    changed = [
        ("POST" if rng.random() < 0.5 else "LIST", path, sent, headers),
        ("GET", path + "x", sent, headers),
        ("GET", path, sent + b"&z=1", headers),
        ("GET", path, sent, headers | {b"host": b"elsewhere"}),
    ]
    method, path, sent, headers = rng.choice(changed)
    if method == "POST":
        secret += "x"
    again = read_claim(method.encode(), path.encode(), sent, headers)
    assert again is not None
    try:
        again.verify(secret, now)
    except SignatureDoesNotMatch:
        return None
    return f"believed though changed: {method} {path} {sent!r} {headers}"


def _ours(
    presigned: bool,
    claim: Claim,
    secret: str,
    path: str,
    query: str,
    headers: dict[bytes, bytes],
    sent: bytes,
    method: str,
) -> str | None:
    """Our own signature of the same, where botocore signs as AWS reads."""
    if presigned:
        # botocore leaves out what came twice.
        query = sent.decode().partition("X-Amz-Algorithm=")[0].rstrip("&")
    if len(paths(path.encode())) > 1 or len(queries(query.encode())) > 1:
        return None
    scope = claim.credential
    credential = Credential(scope.access_key, scope.date, scope.region)
    if presigned:
        signed = {
            name: value
            for name, value in headers.items()
            if name not in (b"authorization", b"user-agent")
        }
        made = presign(
            method.encode(),
            path.encode(),
            query.encode(),
            signed,
            credential,
            secret,
            claim.timestamp,
            600,
            None if claim.token is None else claim.token.decode(),
        )
        if made[-64:] != sent[-64:]:
            return f"presigned {made!r}, not {sent!r}"
        return None
    signed = {
        name: value for name, value in headers.items() if name != b"authorization"
    }
    authorization = sign(
        method.encode(), path.encode(), query.encode(), signed, credential, secret
    )
    if authorization != headers[b"authorization"]:
        return f"signed {authorization!r}, not {headers[b'authorization']!r}"
    return None


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for number in range(options.count):
        wrong = disagreement(rng)
        if wrong is not None:
            print(f"seed {options.seed}, request {number}: {wrong}")
            return 1
    print(f"seed {options.seed}: {options.count} requests, all alike")
    return 0


if __name__ == "__main__":
    sys.exit(main())
