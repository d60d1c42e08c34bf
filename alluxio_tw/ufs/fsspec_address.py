"""
The URI of a bridge: which file system of fsspec's, made how, and where in it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import attrs

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ufs.uris import Options, locate, shown, suggestion

SCHEME = "fsspec+"
OPTION = "option."

CACHING = frozenset({"blockcache", "cached", "filecache", "simplecache"})
"""These would answer with what was: caching is our own business."""

FLAT = frozenset(
    "s3 s3a gcs gs abfs abfss az adl oss oci ocilake hf tos tosfs obs cos r2".split()
)
"""Object stores: keys without folders, and an object appears whole at its close."""

ONE_BY_ONE = frozenset({"ftp", "sftp", "ssh"})
"""
One connection, on which two calls at a time take each other's answers: paramiko drops
that which the other thread waits for, which then waits for ever.
"""

_OWN = "fsspec.implementations."
"""Where fsspec's own are; there are no object stores among them."""

_PACKAGES = {
    "libarchive": "libarchive-c",
    "smbclient": "smbprotocol",
    "webdav4": "webdav4[fsspec]",
}
_THREADS = 8
_SECONDS = 60.0
_BLOCK = 4 << 20
_PART = 5 << 20
_MEMORY = 256 << 20


@attrs.frozen
class Address:
    """
    A place in a file system of fsspec's.

    :ivar protocol: as fsspec calls it.
    :ivar filesystem: its class.
    :ivar root: the place, as this class writes paths.
    :ivar arguments: for the class.
    :ivar tree: it has folders, and objects are renamed into place; otherwise it has
        none, and an object appears when what is written is closed.
    :ivar limits: a file cannot be where a folder is needed, and names are short: in
        trees, and in object stores that keep their objects in one.
    :ivar threads: how many calls may run at a time.
    :ivar timeout: seconds that one call may take.
    :ivar block: bytes that are read at a time.
    :ivar part: bytes that are written at a time.
    :ivar memory: bytes that all readers together may hold in such blocks.
    """

    protocol: str
    filesystem: type[Any]
    root: str
    arguments: Mapping[str, Any] = attrs.field(repr=False)
    tree: bool
    limits: bool
    threads: int
    timeout: float
    block: int
    part: int
    memory: int

    @classmethod
    def of(cls, uri: str, options: Mapping[str, str]) -> Address:
        """
        Read a URI and its options; imports the file system's class.

        :raises WrongConfiguration: it cannot be used; says what to write instead.
        """
        if "::" in uri.partition("?")[0]:
            raise WrongConfiguration(
                f"{shown(uri)} is a chain of file systems: name the first, and hand it "
                "the next as an option, such as fsspec+zip:///?option.fo=/archive.zip"
            )
        location = locate(uri)
        protocol = location.scheme.removeprefix(SCHEME)
        filesystem = filesystem_class(protocol)
        who = f"a mount of {SCHEME}{protocol}"
        arguments, others = _split({**location.query, **options})
        url = f"{protocol}://{location.host}{location.path}"
        arguments = {**_from_url(filesystem, url), **arguments}
        _judge(filesystem, arguments, who)
        given = Options.gathered(who, {}, others)
        commit = given.choice(
            "commit", "put" if protocol in FLAT else "rename", ("put", "rename")
        )
        if commit == "put" and filesystem.__module__.startswith(_OWN):
            # A write that is given up could not be taken back.
            raise WrongConfiguration(
                f"option 'commit' of {who}: what is written is seen at once there: "
                "write rename"
            )
        threads = _threads(given, protocol, who)
        made = cls(
            protocol=protocol,
            filesystem=filesystem,
            root=filesystem._strip_protocol(url),
            arguments=arguments,
            tree=commit == "rename",
            limits=given.truth("key_limits", commit == "rename"),
            threads=threads,
            timeout=given.duration("timeout", _SECONDS),
            block=max(1, given.size("block", _BLOCK)),
            part=max(1, given.size("part", _PART)),
            memory=given.size("memory", _MEMORY),
        )
        given.finish()
        return made


def filesystem_class(protocol: str) -> type[Any]:
    """
    The class of a protocol.

    :raises WrongConfiguration: fsspec knows none, or its package is missing.
    """
    registry: Any = import_module("fsspec.registry")
    known = {*registry.known_implementations, *registry.registry}
    if protocol in CACHING:
        raise WrongConfiguration(
            f"fsspec's {protocol!r} keeps copies that grow old: name the file system "
            "behind it; this gateway has a cache of its own"
        )
    if protocol not in known:
        raise WrongConfiguration(
            f"fsspec has no file system {protocol!r}{suggestion(protocol, known)}"
        )
    try:
        found: type[Any] = registry.get_filesystem_class(protocol)
    except ImportError as error:
        package = _package(error, registry.known_implementations[protocol]["class"])
        raise WrongConfiguration(
            f"fsspec's {protocol!r} needs a package that is not installed: "
            f"pip install {package}"
        ) from error
    return found


def _package(error: ImportError, implementation: str) -> str:
    cause: BaseException | None = error
    module = ""
    while cause is not None:
        if isinstance(cause, ImportError) and cause.name:
            module = cause.name
        cause = cause.__cause__ or cause.__context__
    module = (module or implementation).partition(".")[0]
    return _PACKAGES.get(module, module.replace("_", "-"))


def _split(options: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What is for the file system, and what is for us."""
    arguments: dict[str, Any] = {}
    others: dict[str, str] = {}
    for name, value in options.items():
        if name.startswith(OPTION):
            arguments[name.removeprefix(OPTION)] = _typed(value)
        else:
            others[name] = value
    return arguments, others


def _typed(text: str) -> Any:
    """JSON where it is; else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_url(filesystem: type[Any], url: str) -> dict[str, Any]:
    """What the class reads out of a URL: a host, a user."""
    try:
        found: dict[str, Any] = dict(filesystem._get_kwargs_from_urls(url))
    except Exception as error:
        raise WrongConfiguration(
            f"{shown(url)} is not how fsspec's file system is addressed: "
            f"{type(error).__name__}"
        ) from None
    found.pop("url_query", None)
    return found


def _judge(filesystem: type[Any], arguments: Mapping[str, Any], who: str) -> None:
    """Refuse, as far as one can know, what the class would not take."""
    try:
        inspect.signature(filesystem.__init__).bind(None, **arguments)
    except TypeError as error:
        # It names names, never values.
        raise WrongConfiguration(
            f"{who}: {error}: write it as {OPTION}NAME=VALUE"
        ) from None


def _threads(given: Options, protocol: str, who: str) -> int:
    most = 1 if protocol in ONE_BY_ONE else 64
    count = given.size("threads", min(most, _THREADS))
    if not 1 <= count <= most:
        raise WrongConfiguration(
            f"option 'threads' of {who}: write "
            + (f"a number to {most}" if most > 1 else "1: it has one connection")
        )
    return count
