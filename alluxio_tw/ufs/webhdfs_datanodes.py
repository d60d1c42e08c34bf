"""
Where redirects lead: datanodes, by names that hold out here.

A namenode sends whoever reads or writes to a datanode, by the name that the datanode
has within the cluster.  From outside that name may mean nothing; a map says what to
take in its place.  A redirect is followed only over HTTP, never from TLS to what is
not, since it carries what the namenode was told about who asks.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

import attrs

from alluxio_tw.errors import StorageUnavailable

SHUNNED = 30.0
"""Seconds for which a datanode that failed is not our first choice."""

_MOST_SHUNNED = 1000
_UNSAFE = re.compile(rb"[^\x21-\x7e]")


@attrs.frozen
class Target:
    """
    Where a redirect leads.

    :ivar url: to be asked; secret, there may be a token in it.
    :ivar name: host and port as the namenode has them.
    """

    url: bytes = attrs.field(repr=False)
    name: str

    @property
    def host(self) -> str:
        """The name without its port."""
        return self.name.rpartition(":")[0]


@attrs.define(eq=False)
class Datanodes:
    """
    What is known of them.

    :ivar places: host, or host and port, to what is taken in its place.
    :ivar secure: namenodes are asked over TLS: so must datanodes be.
    :ivar seconds: the time.
    """

    _places: Mapping[str, str]
    _secure: bool
    _seconds: Callable[[], float]
    _shunned: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)

    def target(self, location: bytes) -> Target:
        """
        Judge a redirect.

        :param location: what the header of that name says.
        :raises StorageUnavailable: it must not be followed.
        """
        # Java leaves letters as they are that are none of ASCII.
        whole = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], location)
        try:
            parts = urlsplit(whole.decode("ascii"))
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc:
            raise StorageUnavailable("HDFS sends us where nothing can be.")
        if self._secure and parts.scheme != "https":
            raise StorageUnavailable(
                "HDFS sends us from TLS to a datanode without it, which is refused."
            )
        port = port or (443 if parts.scheme == "https" else 80)
        name = f"{host}:{port}"
        place = self._places.get(name) or self._places.get(host) or host
        if not _has_port(place):
            place = f"[{place}]:{port}" if ":" in place else f"{place}:{port}"
        url = urlunsplit((parts.scheme, place, parts.path, parts.query, ""))
        return Target(url.encode("ascii"), name)

    def shun(self, target: Target) -> None:
        """It failed: rather ask another for a while."""
        self._shunned[target.name] = self._seconds() + SHUNNED
        self._shunned.move_to_end(target.name)
        if len(self._shunned) > _MOST_SHUNNED:
            self._shunned.popitem(last=False)

    def shuns(self, target: Target) -> bool:
        """Did it fail lately?"""
        until = self._shunned.get(target.name)
        if until is None:
            return False
        if until <= self._seconds():
            del self._shunned[target.name]
            return False
        return True

    def excluded(self) -> str:
        """Those that failed lately, as namenodes are told of them."""
        now = self._seconds()
        names = [name for name, until in self._shunned.items() if until > now][-8:]
        return ",".join(name.rpartition(":")[0] for name in names)


def _has_port(place: str) -> bool:
    if place.startswith("["):
        return not place.endswith("]")
    return place.count(":") == 1
