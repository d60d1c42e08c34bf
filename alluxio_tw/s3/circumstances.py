"""
What a request says of itself, as the conditions of policies ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import unquote

import attrs

from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.path import Query
from alluxio_tw.s3.policyconditions import EXISTING_TAG, REQUEST_TAG
from alluxio_tw.s3.sigv4 import seconds_of
from alluxio_tw.s3.tags import parse_tagging

Said = tuple[str, ...] | None

_QUERY = {
    "s3:prefix": "prefix",
    "s3:delimiter": "delimiter",
    "s3:max-keys": "max-keys",
    "s3:versionid": "versionId",
}


@attrs.define
class Circumstances:
    """
    A request, as far as policies may ask; called with a key in lower case, as
    L{Values<alluxio_tw.s3.patterns.Values>}.

    :ivar user: empty for who is nobody in particular.
    :ivar headers: by lower-case name; of a form, what its fields stand for.
    :ivar address: the client's.
    :ivar secure: it came over TLS.
    :ivar now: seconds since the epoch.
    :ivar owner: of the bucket.
    :ivar form: it is a form (PostObject).
    :ivar tags: of the object that is there, once they are known.
    :ivar new_tags: that it shall be given, where the body says so.
    """

    user: str
    headers: Mapping[bytes, bytes]
    query: Query
    address: str
    secure: bool
    now: float
    owner: str = ""
    form: bool = False
    tags: Mapping[str, str] | None = None
    new_tags: Mapping[str, str] | None = None

    def __call__(self, key: str) -> Said:
        """What it says; L{None} if it says nothing of that."""
        parameter = _QUERY.get(key)
        if parameter is not None:
            return _one(self.query.get(parameter))
        if key.startswith("s3:x-amz-copy-source"):
            return self._copy_source()
        if key.startswith(("s3:x-amz-", "s3:if-")):
            return self._header(key[3:])
        if key.startswith(EXISTING_TAG):
            return _one((self.tags or {}).get(key[len(EXISTING_TAG) :]))
        if key.startswith(REQUEST_TAG):
            return _one(self._requested().get(key[len(REQUEST_TAG) :]))
        return self._other(key)

    def _header(self, name: str) -> Said:
        value = self.headers.get(name.encode("ascii"))
        return None if value is None else (value.decode("utf-8", "replace"),)

    def _copy_source(self) -> Said:
        said = self._header("x-amz-copy-source")
        if said is None:
            return None
        # Clients write it with and without the slash, and so do policies.
        path = unquote(said[0].partition("?versionId=")[0]).removeprefix("/")
        return path, "/" + path

    def _requested(self) -> Mapping[str, str]:
        if self.new_tags is None:
            header = self.headers.get(b"x-amz-tagging", b"")
            try:
                self.new_tags = parse_tagging(header, False)
            except GatewayError:
                # It will be refused for what it is.
                self.new_tags = {}
        return self.new_tags

    def _other(self, key: str) -> Said:
        user = self.user
        if key == "aws:sourceip":
            return (self.address,)
        if key == "aws:securetransport":
            return ("true" if self.secure else "false",)
        if key == "aws:currenttime":
            return (datetime.fromtimestamp(self.now, timezone.utc).isoformat(),)
        if key == "aws:epochtime":
            return (str(int(self.now)),)
        if key in ("aws:username", "aws:userid", "aws:principalaccount"):
            return (user,) if user else None
        if key == "aws:principalarn":
            return (f"arn:aws:iam::{user}:user/{user}",) if user else None
        if key == "aws:principaltype":
            return ("User" if user else "Anonymous",)
        if key == "aws:referer":
            return self._header("referer")
        if key == "aws:useragent":
            return self._header("user-agent")
        if key == "s3:requestobjecttagkeys":
            return tuple(self._requested()) or None
        if key == "s3:resourceaccount":
            return _one(self.owner or None)
        if key == "s3:authtype":
            return _one(self._authentication())
        if key == "s3:signatureversion":
            return ("AWS4-HMAC-SHA256",) if self._authentication() else None
        if key == "s3:signatureage":
            return self._age()
        return None

    def _authentication(self) -> str | None:
        if self.form:
            return "POST" if self.user else None
        if b"authorization" in self.headers:
            return "REST-HEADER"
        return "REST-QUERY-STRING" if "X-Amz-Signature" in self.query else None

    def _age(self) -> Said:
        """Milliseconds since the request was signed."""
        date = self.headers.get(b"x-amz-date")
        if date is None:
            date = (self.query.get("X-Amz-Date") or "").encode("utf-8")
        signed = seconds_of(date)
        return None if signed is None else (str(int((self.now - signed) * 1000)),)


def _one(value: str | None) -> Said:
    return None if value is None else (value,)
