"""
Who asks.

L{Simple} believes what a request says; L{Signed} has it proved.  Both answer at
once: they are asked for every request, before anything else is done for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from alluxio_tw.errors import AccessDenied, InvalidSecurityToken
from alluxio_tw.gateway.identity import ANONYMOUS, Identity
from alluxio_tw.gateway.keys import AccessKey, AccessKeys
from alluxio_tw.s3.checksums import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from alluxio_tw.s3.claim import Claim, read_claim
from alluxio_tw.s3.credential import simple_access_key, simple_access_key_of_query
from alluxio_tw.s3.familiar import SIGNATURE, Familiar, stem
from alluxio_tw.s3.path import Target, authority_of
from alluxio_tw.web.request import Request

REMEMBERED = 4096
"""How many names are remembered."""

Identify = Callable[[Request, Target], Identity]
"""
Who asks.

:raises GatewayError: nobody that we serve.
"""


@attrs.define(eq=False)
class Simple:
    """
    Alluxio's SIMPLE authentication: whoever asks is who they say.

    The name is the access key; what signs with it is not looked at.

    :ivar owner: who asks without saying a name: the user that runs the daemon.
    """

    owner: str
    _identities: dict[str, Identity] = attrs.field(factory=dict, init=False, repr=False)

    def identify(self, request: Request, target: Target) -> Identity:
        """
        Who it says.

        :raises AuthorizationHeaderMalformed: the header has no name.
        :raises InvalidRequest: it is Signature Version 2.
        """
        header = request.headers.get(b"authorization")
        name = None
        if header is not None:
            name = simple_access_key(header)
        elif target.raw_query:
            name = simple_access_key_of_query(target.raw_query)
        if name is None:
            name = self.owner
        return self._identities.get(name) or self._new(name)

    def _new(self, name: str) -> Identity:
        if len(self._identities) >= REMEMBERED:
            self._identities.clear()
        identity = self._identities[name] = Identity(name, name)
        return identity


@attrs.define(eq=False)
class Signed:
    """
    SIGV4 authentication: whoever asks has signed with the secret of an access
    key.

    :ivar region: the only one whose signatures hold; L{None} for any.  To find
        it out, GetBucketLocation may be signed for any.
    :ivar anonymous: requests that are not signed are let through as
        L{ANONYMOUS}, for another to judge; otherwise they are refused.
    """

    keys: AccessKeys
    region: str | None = None
    anonymous: bool = False
    _clock: Callable[[], float] = time.time
    _familiar: dict[bytes, tuple[Familiar, Identity]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _revision: int = attrs.field(default=-1, init=False)

    def identify(self, request: Request, target: Target) -> Identity:
        """
        Who it proves to be.  What it says of its body is kept for whoever reads
        that, in C{request.signer} and in its C{x-amz-content-sha256}.

        :raises InvalidAccessKeyId: the access key is unknown or disabled.
        :raises InvalidSecurityToken: it comes with a token; our keys have none.
        :raises AccessDenied: it is not signed and must be.
        :raises GatewayError: all that L{read_claim} and L{Claim.verify} raise.
        """
        headers = request.headers
        authorization = headers.get(b"authorization")
        if authorization is not None and not target.raw_query:
            identity = self._quickly(request, target, authorization)
            if identity is not None:
                return identity
        region = self.region
        if region is not None and "location" in target.query:
            region = None
        if request.target[:1] != b"/":
            # What the target says of the host counts, and so must be signed.
            headers[b"host"] = authority_of(request.target)
        claim = read_claim(
            request.method, target.raw_path, target.raw_query, headers, region
        )
        if claim is None:
            if self.anonymous:
                return ANONYMOUS
            raise AccessDenied()
        key = self.keys.find(claim.access_key)
        if claim.token is not None:
            raise InvalidSecurityToken()
        claim.verify(key.secret, self._clock())
        payload = claim.payload
        if payload in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
            request.signer = claim.chunk_signer(key.secret)
        if claim.expires is not None and payload != UNSIGNED_PAYLOAD:
            # It may have been said in the URL, where nobody else looks.
            headers[b"x-amz-content-sha256"] = payload
        if authorization is not None and not target.raw_query:
            self._remember(authorization, claim, key)
        return key.identity

    def _quickly(
        self, request: Request, target: Target, authorization: bytes
    ) -> Identity | None:
        if self._revision != self.keys.revision:
            # What was known of a key may not hold any more.
            self._familiar.clear()
            self._revision = self.keys.revision
        known = self._familiar.get(authorization[:-SIGNATURE])
        if (
            known is None
            or request.target[:1] != b"/"
            or not known[0].proves(
                request.method,
                target.raw_path,
                request.headers,
                authorization[-SIGNATURE:],
                self._clock(),
            )
        ):
            return None
        return known[1]

    def _remember(self, authorization: bytes, claim: Claim, key: AccessKey) -> None:
        found = Familiar.of(authorization, claim, key.secret)
        if found is not None:
            if len(self._familiar) >= REMEMBERED:
                self._familiar.clear()
            self._familiar[stem(authorization)] = found, key.identity
