"""
The options of an S3 mount: what its URI, its query and the properties say.

Names that Alluxio's users have in their configuration are understood as well
(Alluxio's property list, C{alluxio.underfs.s3.*}, and its C{s3a.*} and C{aws.*}
mount options).  Given in both spellings, ours wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import attrs

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ufs.uris import Options, locate, shown

T = TypeVar("T")

PART_LEAST = 5 << 20
"""Bytes of a part that is not the last: S3 takes no less."""

PARTS_MOST = 10_000
"""Parts of one upload."""

_ALIASES = {
    "alluxio.underfs.s3.endpoint": "endpoint",
    "alluxio.underfs.s3.endpoint.region": "region",
    "alluxio.underfs.s3.region": "region",
    "alluxio.underfs.s3.threads.max": "connections",
    "alluxio.underfs.s3.upload.threads.max": "upload_threads",
    "alluxio.underfs.s3.multipart.upload.buffer.number": "upload_buffers",
    "alluxio.underfs.s3.streaming.upload.partition.size": "part_size",
    "alluxio.underfs.s3.multipart.upload.partition.size": "part_size",
    "alluxio.underfs.s3.connect.timeout": "connect_timeout",
    "alluxio.underfs.s3.socket.timeout": "timeout",
    "alluxio.underfs.s3.max.error.retry": "retries",
    "s3a.accessKeyId": "access_key",
    "s3a.secretKey": "secret_key",
    "aws.accessKeyId": "access_key",
    "aws.secretKey": "secret_key",
    "aws.sessionToken": "session_token",
}
_UPLOAD_MEMORY = 256 << 20
_DNS_OFF = "alluxio.underfs.s3.disable.dns.buckets"
_SECURE = "alluxio.underfs.s3.secure.http.enabled"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII).fullmatch
_REGION = re.compile(r"[a-z0-9-]{1,64}", re.ASCII).fullmatch


@attrs.frozen
class S3Options:
    """
    Where the bucket is, who asks, and how.

    :ivar root: what the keys of the mount begin with; empty, or ends in a slash.
    :ivar endpoint: C{https://host:port}; empty for that of AWS in the region.
    :ivar region: empty to ask the environment and the profile.
    :ivar style: C{path}, C{virtual}, or empty for what the endpoint suggests.
    :ivar connections: at most so many for bodies that are read, and as many for
        everything else.
    :ivar connect_timeout: seconds until a connection stands.
    :ivar timeout: seconds without a byte in either direction.
    :ivar retries: how often a request is repeated that failed by no fault of
        its own.
    :ivar retry_time: seconds after which nothing is repeated.
    :ivar parallel: large objects are read over so many connections at once, where
        one alone is slow.
    :ivar part_size: objects up to so many bytes are put whole.
    :ivar native_uploads: multipart uploads of clients are uploads of the storage;
        otherwise their parts are objects until they are joined.
    :ivar upload_threads: parts on their way at once, of one object.
    :ivar upload_memory: bytes that all uploads together may hold; C{upload_buffers}
        says it in parts.
    :ivar unsigned: bodies are guarded by a CRC-32C and TLS; otherwise their SHA-256
        is signed.
    :ivar conditional: the server judges C{If-Match} and C{If-None-Match} of
        writes.
    :ivar key_limits: the server keeps objects as files: C{a} and C{a/b} cannot
        both be.
    :ivar presigned: requests that were presigned with a credential of the server's
        are handed on to it.
    :ivar verify: the server must prove who it is.
    :ivar ca_file: authorities to trust in place of the system's, in PEM.
    """

    bucket: str
    root: str = ""
    endpoint: str = ""
    region: str = ""
    style: str = ""
    access_key: str = attrs.field(default="", repr=False)
    secret_key: str = attrs.field(default="", repr=False)
    session_token: str = attrs.field(default="", repr=False)
    profile: str = ""
    credentials_file: str = ""
    anonymous: bool = False
    connections: int = 64
    connect_timeout: float = 10.0
    timeout: float = 60.0
    keep_alive: float = 30.0
    retries: int = 4
    retry_time: float = 60.0
    parallel: int = 8
    part_size: int = 8 << 20
    native_uploads: bool = True
    upload_threads: int = 4
    upload_memory: int = _UPLOAD_MEMORY
    unsigned: bool = False
    conditional: bool = True
    key_limits: bool = False
    presigned: bool = False
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

    def bounded(
        self, read: Callable[[str, T], T], name: str, default: T, least: T
    ) -> T:
        value = read(name, default)
        if value < least:  # type: ignore[operator]
            raise WrongConfiguration(
                f"option {name!r} of {self.who}: it is less than {least}"
            )
        return value


def read_options(uri: str, options: Mapping[str, str]) -> S3Options:
    """
    Read what a mount was given.

    :raises WrongConfiguration: the URI or an option cannot be used.
    """
    location = locate(uri)
    if not _BUCKET(location.host):
        raise WrongConfiguration(
            f"{shown(uri)} names no bucket: write s3://bucket or s3://bucket/prefix"
        )
    root = location.path.strip("/")
    given = _Given(
        "an S3 mount", {**_translated(location.query), **_translated(options)}
    )
    endpoint = _endpoint(given)
    made = S3Options(
        bucket=location.host,
        root=root + "/" if root else "",
        endpoint=endpoint,
        region=given.text("region"),
        style=given.choice("style", "", ("path", "virtual")),
        access_key=given.text("access_key"),
        secret_key=given.text("secret_key"),
        session_token=given.text("session_token"),
        profile=given.text("profile"),
        credentials_file=given.text("credentials_file"),
        anonymous=given.truth("anonymous", False),
        connections=given.number("connections", 64, 1, 10_000),
        connect_timeout=given.bounded(given.duration, "connect_timeout", 10.0, 0.001),
        timeout=given.bounded(given.duration, "timeout", 60.0, 0.001),
        keep_alive=given.duration("keep_alive", 30.0),
        retries=given.number("retries", 4, 0, 100),
        retry_time=given.duration("retry_time", 60.0),
        parallel=given.number("parallel", 8, 1, 64),
        part_size=given.bounded(given.size, "part_size", 8 << 20, PART_LEAST),
        native_uploads=given.truth("native_uploads", True),
        upload_threads=given.number("upload_threads", 4, 1, 1000),
        upload_memory=0,
        unsigned=given.truth("unsigned_payload", False),
        conditional=given.truth("conditional", True),
        key_limits=given.truth("key_limits", False),
        presigned=given.truth("presigned", False),
        verify=given.truth("verify", True),
        ca_file=given.text("ca_file"),
    )
    buffers = given.number("upload_buffers", 0, 1, 100_000)
    memory = buffers * made.part_size if buffers else _UPLOAD_MEMORY
    made = attrs.evolve(made, upload_memory=given.size("upload_memory", memory))
    given.finish()
    _judge(made)
    return made


def _translated(options: Mapping[str, str]) -> dict[str, str]:
    """Options under our names."""
    done: dict[str, str] = {}
    for name, value in options.items():
        if name == _DNS_OFF:
            done.setdefault("style", "path" if value.lower() == "true" else "virtual")
        else:
            done.setdefault(_ALIASES.get(name, name), value)
    return {**done, **{k: v for k, v in options.items() if k in done}}


def _endpoint(given: _Given) -> str:
    text = given.text("endpoint").rstrip("/")
    secure = given.truth(_SECURE, True)
    if not text:
        return ""
    if "://" not in text:
        text = f"{'https' if secure else 'http'}://{text}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise WrongConfiguration(f"the endpoint is not a URL: {error}") from error
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.username is not None
    ):
        raise WrongConfiguration(
            f"{shown(text)} is not an endpoint: write such as https://storage:9000"
        )
    return text


def _judge(made: S3Options) -> None:
    if bool(made.access_key) != bool(made.secret_key):
        raise WrongConfiguration("access_key and secret_key belong together: give both")
    if made.session_token and not made.access_key:
        raise WrongConfiguration("session_token needs access_key and secret_key")
    if made.anonymous and (made.access_key or made.profile):
        raise WrongConfiguration("anonymous=true takes no credentials")
    if made.access_key and made.profile:
        raise WrongConfiguration("give access_key and secret_key, or profile; not both")
    if made.region and not _REGION(made.region):
        raise WrongConfiguration(f"{made.region!r} is not a region")
    if made.upload_memory < made.part_size:
        raise WrongConfiguration("upload_memory has no room for one part_size")
    if not made.verify and made.ca_file:
        raise WrongConfiguration("ca_file is of no use with verify=false")
