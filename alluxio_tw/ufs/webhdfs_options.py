"""
The options of an HDFS mount: what its URI and what stands beside it say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ufs.uris import Options, locate, shown
from alluxio_tw.ufs.webhdfs_names import encoded

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
_ADDRESS = re.compile(rf"{_HOST}(?::([0-9]{{1,5}}))?", re.ASCII).fullmatch
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._@/-]{0,254}[$]?", re.ASCII).fullmatch
_TOKEN = re.compile(r"[A-Za-z0-9_=-]{1,8192}", re.ASCII).fullmatch

_PORTS = {"webhdfs": 9870, "swebhdfs": 9871}
_BLOCK_LEAST = 1 << 20


@attrs.frozen
class HdfsOptions:
    """
    Where the cluster is, who asks, and how.

    :ivar namenodes: hosts and ports.
    :ivar secure: they are asked over TLS.
    :ivar root: the folder that is mounted, absolute; empty for the topmost one.
    :ivar user: who asks, where nothing has to be proved.
    :ivar delegation_token: who asks, proved by a token in its URL-safe form.
    :ivar kerberos: who asks is proved by SPNEGO, with the tickets of this process.
    :ivar datanode_map: what to take in place of datanodes' names.
    :ivar connections: at most so many for bodies that are read, as many for bodies
        that are written, and as many for everything else.
    :ivar connect_timeout: seconds until a connection stands.
    :ivar timeout: seconds without a byte in either direction.
    :ivar keep_alive: seconds for which a connection is kept that nobody uses.
    :ivar retries: how often a request is repeated that failed by no fault of its
        own.
    :ivar retry_time: seconds after which nothing is repeated.
    :ivar write_pause: seconds after which a datanode is not kept waiting for a
        writer; what follows is appended.
    :ivar replication: of files that are made; nought for what the cluster does.
    :ivar block_size: bytes of their blocks; nought for what the cluster does.
    :ivar attributes: ETags and what else is said about an object are kept as
        extended attributes of its file.
    :ivar concat: parts of an upload become one file by joining their blocks.
    :ivar verify_writes: what was written is compared with its checksum in HDFS.
    :ivar verify: the servers must prove who they are.
    :ivar ca_file: authorities to trust in place of the system's, in PEM.
    """

    namenodes: tuple[str, ...]
    secure: bool = False
    root: str = ""
    user: str = ""
    delegation_token: str = attrs.field(default="", repr=False)
    kerberos: bool = False
    datanode_map: Mapping[str, str] = attrs.field(factory=dict)
    connections: int = 64
    connect_timeout: float = 10.0
    timeout: float = 60.0
    keep_alive: float = 10.0
    retries: int = 4
    retry_time: float = 60.0
    write_pause: float = 10.0
    replication: int = 0
    block_size: int = 0
    attributes: bool = True
    concat: bool = True
    verify_writes: bool = False
    verify: bool = True
    ca_file: str = ""


class _Given(Options):
    """Options that may also be text and numbers."""

    def text(self, name: str) -> str:
        return self._read(name, "", str)

    def number(self, name: str, default: int, least: int, most: int) -> int:
        def read(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
                raise ValueError(f"{text!r} is not a number")
            if not least <= int(text) <= most:
                raise ValueError(f"{text} is not from {least} to {most}")
            return int(text)

        return self._read(name, default, read)

    def span(self, name: str, default: float) -> float:
        """Seconds, more than none."""
        value = self.duration(name, default)
        if value < 0.001:
            raise WrongConfiguration(
                f"option {name!r} of {self.who}: it is less than a millisecond"
            )
        return value


def read_options(uri: str, options: Mapping[str, str], user: str) -> HdfsOptions:
    """
    Read what a mount was given.

    :param user: who asks unless it is said.
    :raises WrongConfiguration: the URI or an option cannot be used.
    """
    location = locate(uri)
    given = _Given(
        "an HDFS mount",
        {
            name.replace("_", "-"): value
            for name, value in {**location.query, **options}.items()
        },
    )
    made = HdfsOptions(
        namenodes=_namenodes(location.host, location.scheme, uri),
        secure=location.scheme == "swebhdfs",
        root=_root(location.path, uri),
        user=given.text("user") or user,
        delegation_token=given.text("delegation-token"),
        kerberos=given.truth("kerberos", False),
        datanode_map=_map(given.text("datanode-map")),
        connections=given.number("connections", 64, 1, 10_000),
        connect_timeout=given.span("connect-timeout", 10.0),
        timeout=given.span("timeout", 60.0),
        keep_alive=given.duration("keep-alive", 10.0),
        retries=given.number("retries", 4, 0, 100),
        retry_time=given.duration("retry-time", 60.0),
        write_pause=given.span("write-pause", 10.0),
        replication=given.number("replication", 0, 0, 512),
        block_size=given.size("block-size", 0),
        attributes=given.truth("attributes", True),
        concat=given.truth("concat", True),
        verify_writes=given.truth("verify-writes", False),
        verify=given.truth("verify", True),
        ca_file=given.text("ca-file"),
    )
    named = "user" in given
    given.finish()
    _judge(made, named)
    return made


def _namenodes(host: str, scheme: str, uri: str) -> tuple[str, ...]:
    found = []
    for each in host.split(","):
        match = _ADDRESS(each.strip())
        if match is None or (match[1] and not 0 < int(match[1]) < 65536):
            raise WrongConfiguration(
                f"{shown(uri)} names no namenode: write {scheme}://namenode:"
                f"{_PORTS[scheme]}/path, or several namenodes with commas between"
            )
        found.append(match[0] if match[1] else f"{match[0]}:{_PORTS[scheme]}")
    return tuple(found)


def _root(path: str, uri: str) -> str:
    root = path.strip("/")
    if root and encoded(root) is None:
        raise WrongConfiguration(
            f"{shown(uri)}: HDFS can have no such folder; write such as"
            " webhdfs://namenode:9870/data"
        )
    return f"/{root}" if root else ""


def _map(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, place = each.partition("=")
        if not equals or not _ADDRESS(name) or not _ADDRESS(place):
            raise WrongConfiguration(
                f"option 'datanode-map' of an HDFS mount: {each!r} is not such as"
                " dn1.internal=10.0.0.7 or dn1.internal:9864=10.0.0.7:19864"
            )
        found[name.replace("[", "").replace("]", "").lower()] = place
    return found


def _judge(made: HdfsOptions, named: bool) -> None:
    if made.delegation_token and not _TOKEN(made.delegation_token):
        raise WrongConfiguration(
            "option 'delegation-token' of an HDFS mount: it is not the URL-safe form"
            " that 'hdfs fetchdt' and GETDELEGATIONTOKEN give"
        )
    if made.delegation_token and (made.kerberos or named):
        raise WrongConfiguration(
            "give an HDFS mount delegation-token, kerberos=true or user; not several"
        )
    if made.kerberos and named:
        raise WrongConfiguration(
            "an HDFS mount with kerberos=true takes its user from the ticket:"
            " leave 'user' out"
        )
    if not made.delegation_token and not made.kerberos and not _USER(made.user):
        raise WrongConfiguration(
            f"option 'user' of an HDFS mount: {made.user!r} is not a name"
        )
    if made.block_size and made.block_size < _BLOCK_LEAST:
        raise WrongConfiguration(
            "option 'block-size' of an HDFS mount: it is less than 1MB"
        )
    if not made.secure and (made.ca_file or not made.verify):
        raise WrongConfiguration(
            "ca-file and verify are of no use without TLS: write swebhdfs://"
        )
    if not made.verify and made.ca_file:
        raise WrongConfiguration("ca-file is of no use with verify=false")
