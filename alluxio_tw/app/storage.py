"""
Makes what the configuration says of folders, mounts and page stores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import partial
from traceback import format_tb

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import InvalidName

from alluxio_tw.app.config import Config
from alluxio_tw.app.origins import considerate
from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.eviction import make_eviction
from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.cache.tiers import Level, Siblings, Tiers
from alluxio_tw.errors import (
    BackendError,
    GatewayError,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.gateway.mounting import Mounting
from alluxio_tw.ipages import IPageStore
from alluxio_tw.iparts import IParts
from alluxio_tw.ipassage import IPassage
from alluxio_tw.istate import IState
from alluxio_tw.iufs import Surroundings
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.leases import Leases
from alluxio_tw.metrics import Metrics
from alluxio_tw.namespace.entries import MountEntries, MountEntry
from alluxio_tw.namespace.explanation import Worth
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.options import shown_uri, split_options
from alluxio_tw.namespace.policies import sidecar
from alluxio_tw.namespace.rulesdocument import Bounds
from alluxio_tw.namespace.rulesfile import RulesFile, open_rules
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.threads import IThreads, NoThreads
from alluxio_tw.ufs.caps import Limits
from alluxio_tw.ufs.leased import LeasedUFS
from alluxio_tw.ufs.metered import MeteredUFS
from alluxio_tw.ufs.metered_uploads import MeteredUploads
from alluxio_tw.ufs.ordered import OrderedUFS
from alluxio_tw.ufs.registry import Registry
from alluxio_tw.ufs.sidecar import SidecarUFS
from alluxio_tw.ufs.uris import with_query, without_query

log = Logger()

FIRST_BUCKET = "demo"
"""The bucket that the embedded default begins with."""

RAM_PAGE = 64 << 10
"""Longer pages are not worth memory: from a file they leave by sendfile."""


def make_folders(config: Config) -> None:
    """
    Make the folders that the daemon keeps things in.

    :raises WrongConfiguration: one cannot be.
    """
    data = config.data
    _make_folder(data.folder, "alluxio.tw.data.dir")
    # There are secrets in it.
    _make_folder(data.state_folder, "alluxio.tw.data.dir", 0o700)
    _make_folder(data.record_folder, "alluxio.tw.data.dir")
    for directory in config.pages.directories:
        _make_folder(directory.path, "alluxio.worker.page.store.dirs")
    if any(point.embedded for point in config.mounts):
        if not os.path.isdir(data.buckets_folder):
            _make_folder(
                os.path.join(data.buckets_folder, FIRST_BUCKET), "alluxio.tw.data.dir"
            )


def _make_folder(path: str, name: str, mode: int = 0o777) -> None:
    try:
        os.makedirs(path, mode, exist_ok=True)
    except OSError as error:
        raise WrongConfiguration(
            f"{name}: {path!r} cannot be made: {error.strerror}; "
            f"name a folder that can be written, such as -D {name}=./data"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise WrongConfiguration(
            f"{name}: {path!r} cannot be written; "
            f"name another folder, such as -D {name}=./data"
        )


def make_mount(
    entry: MountEntry, clock: IReactorTime, threads: IThreads, metrics: Metrics
) -> Mount:
    """
    Make the driver of a mount, and mount it.

    :raises WrongConfiguration: its URI or an option cannot be used.
    :raises BackendError: the driver or the storage cannot be used at the moment.
    """
    where = f"mount {entry.path} of {shown_uri(entry.uri)}"
    if entry.origin:
        where = f"{entry.origin}: {where}"
    try:
        # Options may stand in the URI's query; those beside it win.
        bare, query = without_query(entry.uri)
        own, query = split_options(query)
        beside, others = split_options(entry.options)
        uri = with_query(bare, query) if own else entry.uri
        own.update(beside)
        ufs = Registry.installed().make(
            uri, others, Surroundings(clock, threads, buckets=entry.path == "/")
        )
        if ufs.capabilities.unordered:
            ufs = OrderedUFS(ufs)
        if sidecar(own) and not ufs.capabilities.attributes:
            ufs = SidecarUFS(ufs, threads, time.time, entry.path == "/")
        # Caps know nothing of such uploads: who sets them has parts as objects.
        passage = IPassage(ufs, None)
        parts = IParts(ufs, None)
        uploads = None if Limits.of(own) else IStorageUploads(ufs, None)
        ufs = considerate(ufs, own, entry.path, clock, metrics)
        scheme = entry.uri.partition(":")[0]
        ufs = MeteredUFS(ufs, scheme, metrics.ufs_call)
        told = partial(metrics.ufs_call, scheme)
        leases = Leases()
        return Mount.of(
            entry.path,
            uri,
            entry.options,
            own,
            LeasedUFS(ufs, leases),
            int(time.time() * 1e9),
            leases,
            None if uploads is None else MeteredUploads(uploads, told),
            passage,
            parts,
        )
    except WrongConfiguration as error:
        raise WrongConfiguration(f"{where}: {error.message}") from error
    except GatewayError:
        raise
    except (ImportError, InvalidName) as error:
        raise StorageUnavailable(f"Its driver cannot be loaded: {error}") from error
    except Exception as error:
        # Without its text, which may quote an option: it may be anybody's driver.
        log.error(
            "{where}: its driver failed: {kind}\n{trace}",
            where=where,
            kind=type(error).__name__,
            trace="".join(format_tb(error.__traceback__)),
        )
        raise StorageUnavailable(
            f"Its driver failed: {type(error).__name__}; the log has more."
        ) from error


def try_mounts(config: Config, clock: IReactorTime) -> None:
    """
    Find out whether what the configuration says of mounts can be meant.

    :raises WrongConfiguration: one can never be.
    """
    metrics = Metrics(CollectorRegistry(), process=False)
    for point in config.mounts:
        try:
            mount = make_mount(point.entry, clock, NoThreads(), metrics)
        except BackendError:
            # It is mounted as broken, and tried again: the others are served.
            continue
        mount.ufs.close()


def written_mounts(config: Config, clock: IReactorTime) -> list[MountEntry]:
    """
    The mounts in the state; here and now, before there is a reactor to wait with.

    :raises WrongConfiguration: the state cannot be opened.
    """
    state = EmbeddedState.open(
        config.data.state_folder, clock, NoThreads(), capacity=config.data.state_bytes
    )
    found: list[MountEntry] = []
    failures: list[Failure] = []
    MountEntries(state).every().addCallbacks(found.extend, failures.append)
    state.close()
    for failure in failures:
        failure.raiseException()
    return found


def open_mounts(
    config: Config,
    written: Iterable[MountEntry],
    state: IState,
    records: Records,
    clock: IReactorTime,
    threads: IThreads,
    metrics: Metrics,
) -> Mounting:
    """
    Mount what the configuration says, and what is written in the state.

    :raises WrongConfiguration: the configuration is not to be mounted so.
    """

    def make(entry: MountEntry) -> Mount:
        options = config.storages.beside(entry.uri, entry.options)
        return make_mount(attrs.evolve(entry, options=options), clock, threads, metrics)

    mounting = Mounting(
        MountTable(clock),
        state,
        records,
        make,
        clock,
        time.time,
    )
    mounting.begin([point.entry for point in config.mounts], written)
    return mounting


def disk_stores(
    config: Config, clock: IReactorTime, threads: IThreads, stats: CacheStats
) -> list[tuple[str, int, DiskStore]]:
    """A store for each directory, with its name and quota."""
    pages = config.pages
    made = []
    for directory in pages.directories:
        quota = directory.bytes()
        store = DiskStore(
            directory.path,
            quota,
            pages.page_bytes,
            threads,
            clock,
            partial(make_eviction, pages.evictor),
            stats,
            pages.overhead,
        )
        made.append((directory.path, quota, store))
    return made


def rule_bounds(config: Config) -> Bounds:
    """What rules may ask of the page store."""
    pages = config.pages
    return Bounds(
        min(pages.load_bytes, Bounds().page_bytes),
        pages.memory_bytes if pages.directories else pages.load_bytes,
        bool(pages.directories),
    )


def followed_rules(
    config: Config, mounts: MountTable, clock: IReactorTime, threads: IThreads
) -> RulesFile | None:
    """The file of rules, of which C{mounts} is told; L{None} if there is none."""
    rules = config.rules
    return open_rules(
        rules.path, rules.interval, rule_bounds(config), mounts, clock, threads
    )


def worth(config: Config) -> Worth:
    """How pages are kept where no rule says it."""
    return Worth(config.pages.page_bytes, config.pages.read_ahead)


def page_store(
    config: Config, threads: IThreads, disks: list[tuple[str, int, DiskStore]]
) -> IPageStore:
    """Memory before directories, as far as there are any."""
    pages = config.pages
    policy = partial(make_eviction, pages.evictor)
    if not disks:
        return MemoryStore(max(pages.memory_bytes, pages.page_bytes), policy)
    lowest = disks[0][2] if len(disks) == 1 else Siblings(disks)
    levels = [Level(lowest, pages.page_bytes)]
    if pages.memory_bytes:
        levels.insert(0, Level(MemoryStore(pages.memory_bytes, policy), RAM_PAGE))
    return Tiers(levels, threads)
