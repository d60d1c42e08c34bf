"""
Where requests go: endpoint, style and region, as URLs of the bucket and its keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs

from alluxio_tw.s3.canonical import encode

Query = Iterable[tuple[str, str]]


@attrs.frozen
class Target:
    """
    What a request is about, as it goes on the wire.

    :ivar host: as the C{Host} header has it.
    """

    scheme: str
    hostname: str
    port: int
    url: bytes
    host: bytes
    path: bytes
    query: bytes


@attrs.define
class Address:
    """
    The way to a bucket; permanent redirects change it.

    :ivar endpoint: without the bucket, such as C{https://storage:9000}; empty for
        that of AWS in the region.
    :ivar style: C{path}, C{virtual}, or empty for what the endpoint suggests.
    :ivar region: what requests are signed for.
    :ivar home: the endpoint from before the first redirect that was followed.
    """

    bucket: str
    endpoint: str
    style: str
    region: str = ""
    home: str | None = attrs.field(default=None, eq=False)

    @property
    def virtual(self) -> bool:
        """The bucket is part of the host's name."""
        if self.style:
            return self.style == "virtual"
        # A dot in the bucket's name is one too many for the certificate of AWS.
        return not self.endpoint and "." not in self.bucket

    @property
    def base(self) -> str:
        """The endpoint, found for the region where none was given."""
        if self.endpoint:
            return self.endpoint
        ending = ".cn" if self.region.startswith("cn-") else ""
        return f"https://s3.{self.region}.amazonaws.com{ending}"

    def target(self, key: str | None, query: Query = ()) -> Target:
        """
        :param key: L{None} for the bucket itself.
        :raises UnicodeEncodeError: the key is no text.
        """
        parts = urlsplit(self.base)
        host = parts.netloc
        # The URL library takes a path of two slashes for a host.
        encoded = b"" if key is None else encode(key.encode(), slash=False)
        if self.virtual:
            host = f"{self.bucket}.{host}"
            if encoded.startswith(b"/"):
                encoded = b"%2F" + encoded[1:]
            path = b"/" + encoded
        else:
            path = b"/" + encode(self.bucket.encode())
            if key is not None:
                path += b"/" + encoded
        asked = b"&".join(
            [
                encode(name.encode()) + b"=" + encode(value.encode())
                for name, value in query
            ]
        )
        url = f"{parts.scheme}://{host}".encode() + path
        bare = urlsplit(f"//{host}")
        return Target(
            parts.scheme,
            bare.hostname or "",
            bare.port or (443 if parts.scheme == "https" else 80),
            url + b"?" + asked if asked else url,
            self._host(parts.scheme, host).encode(),
            path,
            asked,
        )

    def copy_source(self, key: str) -> bytes:
        """What C{x-amz-copy-source} says of a key of this bucket."""
        return encode(f"{self.bucket}/{key}".encode(), slash=False)

    def follow(self, location: str) -> bool:
        """
        Go where a redirect points, from now on.

        :return: L{False} if it does not lead anywhere one should go.
        """
        try:
            parts = urlsplit(location)
            _ = parts.port
        except ValueError:
            return False
        host = parts.netloc
        ours = urlsplit(self.base)
        if not host or "@" in host or parts.scheme not in ("http", "https"):
            return False
        if ours.scheme == "https" and parts.scheme != "https":
            return False
        if self.virtual:
            host = host.removeprefix(self.bucket + ".")
        endpoint = f"{parts.scheme}://{host}"
        if endpoint == self.base:
            return False
        # What AWS was asked in one way is asked in the same way elsewhere.
        self.style = "virtual" if self.virtual else "path"
        if self.home is None:
            self.home = self.endpoint
        self.endpoint = endpoint
        return True

    def led(self, location: str) -> Address | None:
        """
        The way that a temporary redirect points, for one request.

        :return: L{None} if it does not lead anywhere one should go.
        """
        other = attrs.evolve(self)
        return other if other.follow(location) else None

    def back(self) -> bool:
        """
        Go back to where no redirect had led yet.

        :return: L{False} if that is here.
        """
        if self.home is None or self.endpoint == self.home:
            return False
        self.endpoint = self.home
        return True

    @staticmethod
    def _host(scheme: str, netloc: str) -> str:
        default = ":443" if scheme == "https" else ":80"
        return netloc.removesuffix(default)
