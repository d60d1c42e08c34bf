"""
The sections of the configuration: values, each for one part of the daemon.
"""

from __future__ import annotations

import os

import attrs

from alluxio_tw.app import properties as p
from alluxio_tw.app.kinds import quoted
from alluxio_tw.errors import WrongConfiguration

AUTOMATIC_QUOTA = 10 << 30
"""The most that a directory without a quota of its own is filled to, in bytes."""


@attrs.frozen
class Edge:
    """
    Where S3 is served and what a client may ask of a connection.

    :ivar port: for HTTP; L{None} if it is not served.
    :ivar https_port: for HTTPS; L{None} if there is no certificate.
    :ivar head_bytes: of a header block.
    :ivar idle_seconds: between requests; nought is for ever.
    :ivar congestion: of TCP: C{auto}, C{system} or its name.
    :ivar requests: worked on at once.
    :ivar requests_each: of these, one client's.
    :ivar requests_waiting: that wait for their turn.
    :ivar requests_seconds: for which one waits at most.
    :ivar intake_bytes: of request bodies in memory.
    """

    enabled: bool
    host: str
    port: int | None
    https_port: int | None
    backlog: int
    congestion: str
    keep_alive: bool
    idle_seconds: float
    connections: int
    head_bytes: int
    url_bytes: int
    head_seconds: float
    body_seconds: float
    write_seconds: float
    drain_seconds: float
    requests: int
    requests_each: int
    requests_waiting: int
    requests_seconds: float
    intake_bytes: int


@attrs.frozen
class Tls:
    """
    The files that TLS is made of, PEM.

    :ivar key: may be the certificate's file.
    :ivar chain: may be empty.
    :ivar client_ca: empty if clients are not asked for a certificate.
    :ivar least: C{"1.2"} or C{"1.3"}.
    """

    certificate: str
    key: str
    chain: str = ""
    client_ca: str = ""
    client_required: bool = True
    least: str = "1.2"


@attrs.frozen
class Admin:
    """
    Where metrics and health are served.
    """

    host: str
    port: int


@attrs.frozen
class S3:
    """
    How S3 is spoken.  Sizes in bytes.

    :ivar authentication: C{"SIMPLE"} or C{"SIGV4"}.
    :ivar signed_region: the only one that signatures may be for; L{None} for any.
    :ivar access_keys: the path of the file of access keys, or empty.
    :ivar administrators: users.
    :ivar default_access: who may use buckets that nobody created over S3.
    :ivar path_prefix: begins with a slash and does not end in one, or is empty.
    :ivar abandoned_seconds: nought is for ever.
    """

    authentication: str
    region: str
    signed_region: str | None
    access_keys: str
    administrators: tuple[str, ...]
    default_access: str
    domain_names: tuple[str, ...]
    path_prefix: str
    redirect: bool
    tag_restrictions: bool
    metadata_bytes: int
    put_bytes: int
    object_bytes: int
    part_least_bytes: int
    part_most_bytes: int
    abandoned_seconds: float
    xml_bytes: int
    xml_list_bytes: int
    folder_objects: bool


@attrs.frozen
class Data:
    """
    What the process keeps, and in how many threads it works.

    :ivar folder: absolute.
    :ivar control_socket: its path; empty for none.
    :ivar record_entries: decoded records in memory.
    """

    folder: str
    control_socket: str
    threads: int
    state_bytes: int
    record_bytes: int
    record_entries: int

    @property
    def state_folder(self) -> str:
        """Where the embedded state store lies."""
        return os.path.join(self.folder, "state")

    @property
    def record_folder(self) -> str:
        """Where the records of objects lie."""
        return os.path.join(self.folder, "records")

    @property
    def buckets_folder(self) -> str:
        """The embedded root of the namespace."""
        return os.path.join(self.folder, "buckets")


@attrs.frozen
class Directory:
    """
    A directory for pages.

    :ivar quota: in bytes; L{None} if it is for us to say.
    """

    path: str
    quota: int | None

    def bytes(self) -> int:
        """
        How many bytes it may hold; the directory must exist by now.

        Without a quota: L{AUTOMATIC_QUOTA}, or a tenth of the file system, or half of
        what is free on it, whichever is least.  What the cache itself holds counts
        as taken, so on a tight disk it settles at a third of what others leave.

        :raises WrongConfiguration: the directory cannot be looked at.
        """
        if self.quota is not None:
            return self.quota
        try:
            found = os.statvfs(self.path)
        except OSError as error:
            raise WrongConfiguration(
                f"{p.PAGE_DIRS.name}: {quoted(self.path)}: {error.strerror}"
            ) from error
        return min(
            AUTOMATIC_QUOTA,
            found.f_blocks * found.f_frsize // 10,
            found.f_bavail * found.f_frsize // 2,
        )


@attrs.frozen
class Pages:
    """
    The page store.  Sizes in bytes.

    :ivar directories: nearest first; may be none.
    :ivar evictor: C{"S3FIFO"}, C{"LRU"} or C{"LFU"}.
    """

    page_bytes: int
    directories: tuple[Directory, ...]
    overhead: float
    evictor: str
    memory_bytes: int
    load_bytes: int
    read_ahead: int


@attrs.frozen
class CacheRules:
    """
    Rules by patterns of paths.

    :ivar form: C{"RULE_SET"}.
    :ivar path: of their file; empty if there is none.
    :ivar interval: seconds between looks at it.
    """

    form: str
    path: str
    interval: float


@attrs.frozen
class Logs:
    """
    What is logged, and where.

    :ivar everything: log every request, not only those that fail.
    :ivar access_path: C{"-"} is the standard output, the empty text no log.
    :ivar access_format: C{"json"} or C{"s3"}.
    :ivar path: of the daemon's own log; empty is twistd's choice.
    :ivar level: C{"debug"}, C{"info"}, C{"warn"} or C{"error"}.
    """

    everything: bool
    access_path: str
    access_format: str
    access_buffer_bytes: int
    access_bytes: int
    access_files: int
    path: str
    level: str
