"""
The quick proof, for requests that are signed as one before was.

A client sends the same headers all day, and signs the same ones of them with
the same key; what changes are method, path, values and signature.  So of a
request that was read and proved at length (L{alluxio_tw.s3.claim}), what is
sure to hold for the next one is kept, and of that one no more is looked at than
what may differ.  Nothing is believed for being known: every request's own
method, path, header values, payload hash and time are hashed, and its own
signature compared.  Not chosen: remembering signatures, as a signature seen once
says nothing of the request that it comes with next.

It only ever says yes: where it is not sure, the long way decides, and words the
error.  It takes the path and the values as they are on the wire, which is one of
the forms that L{alluxio_tw.s3.canonical} allows.  What it saves is not the
cryptography, a tenth of the cost, but the steps around it, each of which finds
the processor's caches cold.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

from alluxio_tw.s3.canonical import MOST_NAMES, layout
from alluxio_tw.s3.checksums import (
    EMPTY_SHA256,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
    is_sha256,
)
from alluxio_tw.s3.claim import SKEW, Claim
from alluxio_tw.s3.sigv4 import prepared_key, seconds_of

SIGNATURE = 64
"""The length of a signature."""

_MARK = b"Signature="
_MOST_BYTES = 2048
_OPEN = (UNSIGNED_PAYLOAD, STREAMING_UNSIGNED_TRAILER)


def stem(authorization: bytes) -> bytes:
    """
    An C{Authorization} header without what changes: its signature, if that
    stands at its end.
    """
    return authorization[:-SIGNATURE]


class Familiar:
    """
    A way of signing that is known: one stem of C{Authorization}.
    """

    __slots__ = (
        "_date",
        "_form",
        "_key",
        "_names",
        "_payload",
        "_preface",
        "_scope",
        "_seconds",
        "_signed",
        "_timestamp",
        "_values",
    )

    def __init__(self, claim: Claim, secret: str) -> None:
        """
        :param claim: L{of} says which will do.
        """
        credential = claim.credential
        self._key = prepared_key(secret, credential.date, credential.region)
        self._date = credential.date.encode("ascii")
        self._scope = credential.scope
        self._signed = frozenset(claim.signed_headers)
        self._form, self._values = layout(claim.signed_headers)
        # Of the request before, whose like need not be judged again.
        self._names: tuple[bytes, ...] = ()
        self._payload = EMPTY_SHA256.encode("ascii")
        self._timestamp = b""
        self._seconds = 0
        self._preface = b""

    @classmethod
    def of(cls, authorization: bytes, claim: Claim, secret: str) -> Familiar | None:
        """
        What is known after a request was proved.

        :param claim: its claim, after L{Claim.verify}.
        :return: L{None} if nothing is to be had from it.
        """
        if (
            claim.expires is not None
            or claim.token is not None
            or len(claim.signed_headers) > MOST_NAMES
            or len(authorization) > _MOST_BYTES
            or not stem(authorization).endswith(_MARK)
        ):
            return None
        return cls(claim, secret)

    def proves(
        self,
        method: bytes,
        path: bytes,
        headers: Mapping[bytes, bytes],
        signature: bytes,
        now: float,
    ) -> bool:
        """
        Is it surely rightly signed?  Only for a request without a query, whose
        C{Authorization} has the stem that this is of.

        :param path: raw.
        :param signature: the rest of C{Authorization}.
        :param now: in seconds since the epoch.
        """
        try:
            payload = headers[b"x-amz-content-sha256"]
            timestamp = headers[b"x-amz-date"]
            if timestamp != self._timestamp and not self._date_it(timestamp):
                return False
            names = tuple(headers)
            if names != self._names and not self._all_signed(names):
                return False
            if payload != self._payload and not self._known_payload(payload):
                return False
            asked = self._form % (method, path, b"", *self._values(headers), payload)
        except KeyError:
            return False
        if not -SKEW <= now - self._seconds <= SKEW:
            return False
        digest = sha256(asked).hexdigest().encode("ascii")
        return hmac.compare_digest(self._key.sign(self._preface + digest), signature)

    def _date_it(self, timestamp: bytes) -> bool:
        seconds = seconds_of(timestamp)
        if seconds is None or timestamp[:8] != self._date:
            return False
        self._seconds = seconds
        self._preface = b"AWS4-HMAC-SHA256\n%b\n%b\n" % (timestamp, self._scope)
        self._timestamp = timestamp
        return True

    def _all_signed(self, names: tuple[bytes, ...]) -> bool:
        signed = self._signed
        for name in names:
            if (
                name not in signed
                and name[:6] == b"x-amz-"
                and name != b"x-amz-content-sha256"
            ):
                return False
        self._names = names
        return True

    def _known_payload(self, payload: bytes) -> bool:
        if payload not in _OPEN and not is_sha256(payload):
            return False
        self._payload = payload
        return True
