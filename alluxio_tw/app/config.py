"""
The configuration as frozen sections, each for one part of the daemon.

Here configuration ends: the assembly is handed values, and nothing below it
knows that there are properties.  Later sources win: the defaults of the table,
the file, the environment, the command line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import attrs

from alluxio_tw.app import properties as p
from alluxio_tw.app import sources
from alluxio_tw.app.mountpoints import MountPoint, StorageDefaults, mount_points
from alluxio_tw.app.sections import (
    S3,
    Admin,
    CacheRules,
    Data,
    Directory,
    Edge,
    Logs,
    Pages,
    Tls,
)
from alluxio_tw.app.settings import Settings
from alluxio_tw.app.sources import MOUNT, Given
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.options import HIDDEN, is_secret, shown_uri


@attrs.frozen
class Explained:
    """
    A value in force, as it may be shown.

    :ivar source: C{default} or where it was written.
    """

    name: str
    value: str
    source: str


@attrs.frozen
class Config:
    """
    The whole configuration.

    :ivar warnings: sentences to log at the start.
    """

    edge: Edge
    tls: Tls | None
    admin: Admin
    s3: S3
    data: Data
    pages: Pages
    rules: CacheRules
    logs: Logs
    mounts: tuple[MountPoint, ...]
    storages: StorageDefaults
    warnings: tuple[str, ...]
    _settings: Settings = attrs.field(repr=False, eq=False)

    def explain(self) -> list[Explained]:
        """Every property and mount with the value in force and its source."""
        rows = []
        for entry in p.TABLE.values():
            value = HIDDEN if entry.secret else self._settings.text(entry)
            rows.append(Explained(entry.name, value, self._settings.origin(entry)))
        for mount in self.mounts:
            stem = f"{MOUNT}{mount.name}"
            rows.append(Explained(f"{stem}.uri", shown_uri(mount.uri), mount.origin))
            rows.append(Explained(f"{stem}.path", mount.path, mount.origin))
            for option, value in mount.options.items():
                shown = HIDDEN if is_secret(option) else value
                rows.append(Explained(f"{stem}.option.{option}", shown, mount.origin))
        return rows


def load(
    file: str | None = None,
    definitions: Sequence[str] = (),
    mounts: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """
    Read the configuration.

    :param file: what C{--config} names; L{None} looks in the usual places.
    :param definitions: what C{-D} gave: C{name=value}.
    :param mounts: what C{--mount} gave: C{BUCKET=URI}.
    :param environment: variables; none by default.
    :raises WrongConfiguration: something of it cannot be used; the message is one
        line that says where, and what to write instead.
    """
    around: Mapping[str, str] = environment or {}
    warnings: list[str] = []
    given: list[Given] = []
    path = file if file is not None else sources.default_file(around)
    if path is not None:
        given += sources.from_file(path)
    given += sources.from_environment(around, warnings)
    given += sources.from_definitions(definitions)
    given += sources.from_mounts(mounts)
    return _config(Settings.of(given, warnings))


def _config(of: Settings) -> Config:
    tls = _tls(of)
    edge = _edge(of, tls)
    s3 = _s3(of)
    data = _data(of)
    pages = _pages(of)
    rules = CacheRules(
        of[p.RULES_TYPE],
        of[p.RULES_FILE] if of[p.RULES_ENABLED] else "",
        of[p.RULES_INTERVAL],
    )
    logs = _logs(of)
    admin = Admin(of[p.WEB_HOST], of[p.WEB_PORT])
    _distinct_ports(edge, admin)
    storages = StorageDefaults.read(of)
    points = mount_points(of, data, storages)
    if edge.enabled and s3.authentication == "SIMPLE" and not _is_loopback(edge.host):
        of.warnings.append(
            f"S3 is served on {edge.host} with SIMPLE authentication: whoever reaches "
            f"it is believed to be who they say; {p.AUTHENTICATION.name}=SIGV4 checks"
        )
    if s3.access_keys and s3.authentication != "SIGV4":
        of.warnings.append(
            f"{of.origin(p.ACCESS_KEYS)}: {p.ACCESS_KEYS.name} changes nothing without "
            f"{p.AUTHENTICATION.name}=SIGV4"
        )
    return Config(
        edge,
        tls,
        admin,
        s3,
        data,
        pages,
        rules,
        logs,
        points,
        storages,
        tuple(of.warnings),
        of,
    )


def _tls(of: Settings) -> Tls | None:
    certificate = of[p.TLS_CERTIFICATE]
    tls = Tls(
        certificate,
        of[p.TLS_KEY] or certificate,
        of[p.TLS_CHAIN],
        of[p.TLS_CLIENT_CA],
        of[p.TLS_CLIENT_REQUIRED],
        of[p.TLS_LEAST],
    )
    if certificate:
        return tls
    for entry in (p.TLS_KEY, p.TLS_CHAIN, p.TLS_CLIENT_CA):
        if of[entry]:
            raise WrongConfiguration(
                f"{of.origin(entry)}: {entry.name} is set and "
                f"{p.TLS_CERTIFICATE.name} is not: set both or neither"
            )
    return None


def _edge(of: Settings, tls: Tls | None) -> Edge:
    only = of[p.S3_HTTPS_ONLY]
    if only and tls is None:
        raise WrongConfiguration(
            f"{of.origin(p.S3_HTTPS_ONLY)}: {p.S3_HTTPS_ONLY.name} needs a certificate: "
            f"set {p.TLS_CERTIFICATE.name} and {p.TLS_KEY.name}"
        )
    port, https_port = of[p.S3_PORT], of[p.S3_HTTPS_PORT]
    return Edge(
        enabled=of[p.S3_ENABLED],
        host=of[p.S3_HOST],
        port=None if only else port,
        https_port=None if tls is None else https_port,
        backlog=of[p.TCP_BACKLOG],
        congestion=of[p.TCP_CONGESTION],
        keep_alive=of[p.KEEP_ALIVE],
        idle_seconds=of[p.IDLE_TIME],
        connections=of[p.CONNECTIONS],
        head_bytes=of[p.HEADER_SIZE],
        url_bytes=of[p.URL_SIZE],
        head_seconds=of[p.HEADER_TIME],
        body_seconds=of[p.BODY_TIME],
        write_seconds=of[p.WRITE_TIME],
        drain_seconds=of[p.DRAIN_TIME],
        requests=of[p.REQUESTS],
        requests_each=of[p.REQUESTS_EACH] or max(1, of[p.REQUESTS] * 3 // 4),
        requests_waiting=of[p.REQUESTS_WAITING],
        requests_seconds=of[p.REQUESTS_TIME],
        intake_bytes=of[p.INTAKE_SIZE],
    )


def _s3(of: Settings) -> S3:
    s3 = S3(
        authentication=of[p.AUTHENTICATION],
        region=of[p.REGION],
        signed_region=(of.origin(p.REGION) != "default" and of[p.REGION]) or None,
        access_keys=of[p.ACCESS_KEYS],
        administrators=of[p.ADMINISTRATORS],
        default_access=of[p.DEFAULT_ACCESS],
        domain_names=of[p.DOMAIN_NAMES],
        path_prefix=of[p.PATH_PREFIX],
        redirect=of[p.REDIRECT],
        tag_restrictions=of[p.TAG_RESTRICTIONS],
        metadata_bytes=of[p.METADATA_SIZE],
        put_bytes=of[p.PUT_SIZE],
        object_bytes=of[p.OBJECT_SIZE],
        part_least_bytes=of[p.PART_LEAST],
        part_most_bytes=of[p.PART_MOST],
        abandoned_seconds=of[p.ABANDONED_AGE],
        xml_bytes=of[p.XML_SIZE],
        xml_list_bytes=of[p.XML_LIST_SIZE],
        folder_objects=of[p.FOLDER_OBJECTS],
    )
    if s3.part_least_bytes > s3.part_most_bytes:
        raise WrongConfiguration(
            f"{of.origin(p.PART_LEAST)}: {p.PART_LEAST.name} is more than "
            f"{p.PART_MOST.name}"
        )
    return s3


def _data(of: Settings) -> Data:
    folder = of[p.DATA_DIR]
    if folder in ("", "-"):
        raise WrongConfiguration(
            f"{of.origin(p.DATA_DIR)}: {p.DATA_DIR.name}: write the path of a folder"
        )
    control = of[p.CONTROL_SOCKET]
    if control == "-":
        raise WrongConfiguration(
            f"{of.origin(p.CONTROL_SOCKET)}: {p.CONTROL_SOCKET.name}: write the path of "
            "a socket, or nothing for none"
        )
    return Data(
        folder,
        control,
        of[p.THREADS],
        of[p.STATE_SIZE],
        of[p.RECORDS_SIZE],
        of[p.RECORDS_ENTRIES],
    )


def _pages(of: Settings) -> Pages:
    paths, quotas = of[p.PAGE_DIRS], of[p.PAGE_QUOTAS]
    if len(quotas) == 1:
        quotas *= len(paths)
    if len(quotas) != len(paths):
        raise WrongConfiguration(
            f"{of.origin(p.PAGE_QUOTAS)}: {p.PAGE_QUOTAS.name}: there are {len(paths)} "
            f"directories and {len(quotas)} sizes: write one size for each, or one for all"
        )
    if len(set(paths)) != len(paths):
        raise WrongConfiguration(
            f"{of.origin(p.PAGE_DIRS)}: {p.PAGE_DIRS.name}: a directory is named twice"
        )
    page, load_memory = of[p.PAGE_SIZE], of[p.PAGE_LOAD_MEMORY]
    if load_memory < page:
        raise WrongConfiguration(
            f"{of.origin(p.PAGE_LOAD_MEMORY)}: {p.PAGE_LOAD_MEMORY.name} is less than "
            f"{p.PAGE_SIZE.name}: write at least as much"
        )
    return Pages(
        page_bytes=page,
        directories=tuple(map(Directory, paths, quotas)),
        overhead=of[p.PAGE_OVERHEAD],
        evictor=of[p.PAGE_EVICTOR],
        memory_bytes=of[p.PAGE_MEMORY],
        load_bytes=load_memory,
        read_ahead=of[p.PAGE_READ_AHEAD],
    )


def _logs(of: Settings) -> Logs:
    return Logs(
        everything=of[p.ACCESS_LOGGING],
        access_path=of[p.ACCESS_PATH],
        access_format=of[p.ACCESS_FORMAT],
        access_buffer_bytes=of[p.ACCESS_BUFFER],
        access_bytes=of[p.ACCESS_SIZE],
        access_files=of[p.ACCESS_FILES],
        path=of[p.LOG_PATH],
        level=of[p.LOG_LEVEL],
    )


def _distinct_ports(edge: Edge, admin: Admin) -> None:
    named = [(p.WEB_PORT.name, admin.port)]
    if edge.enabled:
        if edge.port is not None:
            named.append((p.S3_PORT.name, edge.port))
        if edge.https_port is not None:
            named.append((p.S3_HTTPS_PORT.name, edge.https_port))
    taken: dict[int, str] = {}
    for name, port in named:
        if port and port in taken:
            raise WrongConfiguration(
                f"{name} and {taken[port]} are both {port}: write another for one"
            )
        taken[port] = name


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
