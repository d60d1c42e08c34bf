"""
Who asks: a name, a token, or whoever holds the Kerberos tickets of this process.

Where nothing has to be proved, a name is told with every request.  A delegation
token proves itself, until it expires.  With Kerberos the first request to a namenode
carries a SPNEGO token (RFC 4559); the cookie that answers it stands for it from then
on, and datanodes are shown the token that the namenode puts into its redirects.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

import attrs
from twisted.web.http_headers import Headers

from alluxio_tw.errors import StorageDenied, StorageUnavailable, WrongConfiguration
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.webhdfs_options import HdfsOptions

COOKIE = "hadoop.auth"

Spnego = Callable[[str], bytes]
"""The first token of a negotiation with the service HTTP of a host; blocks."""


class Identity(Protocol):
    """
    Who asks.
    """

    def query(self) -> Sequence[tuple[str, str]]:
        """What every question to a namenode says of it."""

    async def headers(self, namenode: str) -> Mapping[bytes, bytes]:
        """
        What a question to this namenode carries.

        :raises StorageDenied: it cannot be proved.
        """

    def told(self, namenode: str, headers: Headers) -> None:
        """What a namenode answered with."""

    def doubted(self, namenode: str) -> bool:
        """A namenode does not believe it: is it worth asking again?"""


@attrs.frozen
class Said:
    """
    A parameter of the query is all there is.
    """

    name: str
    _value: str = attrs.field(repr=False)

    def query(self) -> Sequence[tuple[str, str]]:
        return ((self.name, self._value),)

    async def headers(self, namenode: str) -> Mapping[bytes, bytes]:
        return {}

    def told(self, namenode: str, headers: Headers) -> None:
        pass

    def doubted(self, namenode: str) -> bool:
        return False


@attrs.define
class Negotiated:
    """
    Proved by SPNEGO.
    """

    _spnego: Spnego = attrs.field(repr=False)
    _threads: IThreads = attrs.field(repr=False)
    _cookies: dict[str, bytes] = attrs.field(factory=dict, init=False, repr=False)

    def query(self) -> Sequence[tuple[str, str]]:
        return ()

    async def headers(self, namenode: str) -> Mapping[bytes, bytes]:
        cookie = self._cookies.get(namenode)
        if cookie is not None:
            return {b"cookie": cookie}
        host = namenode.rpartition(":")[0].strip("[]")
        token = await self._threads.run(self._spnego, host)
        return {b"authorization": b"Negotiate " + base64.b64encode(token)}

    def told(self, namenode: str, headers: Headers) -> None:
        for raw in headers.getRawHeaders(b"set-cookie") or ():
            try:
                found = SimpleCookie(raw.decode("latin-1")).get(COOKIE)
            except CookieError:
                continue
            if found is not None and found.value:
                # As it was written, quotes and all: it is signed.
                said = f"{COOKIE}={found.coded_value}"
                self._cookies[namenode] = said.encode("latin-1")

    def doubted(self, namenode: str) -> bool:
        # A cookie that has expired; without one it was the ticket that was refused.
        return self._cookies.pop(namenode, None) is not None


def identity_of(given: HdfsOptions, threads: IThreads) -> Identity:
    """
    Who asks for a mount.

    :raises WrongConfiguration: what Kerberos needs is not installed.
    """
    if given.kerberos:
        return Negotiated(_gssapi(), threads)
    if given.delegation_token:
        return Said("delegation", given.delegation_token)
    return Said("user.name", given.user)


def _gssapi() -> Spnego:
    try:
        import gssapi  # type: ignore[import-not-found]
    except ImportError as error:
        raise WrongConfiguration(
            "an HDFS mount with kerberos=true needs the system's Kerberos library and"
            " its binding: pip install 'alluxio-tw[kerberos]'"
        ) from error

    def token(host: str) -> bytes:
        try:
            service = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
            spnego = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
            made = gssapi.SecurityContext(name=service, mech=spnego, usage="initiate")
            first: bytes | None = made.step()
        except gssapi.exceptions.GSSError as error:
            raise StorageDenied(
                "There is no Kerberos ticket with which to ask HDFS."
            ) from error
        if not first:
            raise StorageUnavailable("Kerberos has nothing to say to HDFS.")
        return first

    return token
