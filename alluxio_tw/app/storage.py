"""
Makes what the configuration says of folders, mounts and page stores.
"""

from __future__ import annotations

import os
import time
from functools import partial

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from alluxio_tw.app.config import Config
from alluxio_tw.app.mountpoints import MountPoint
from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.eviction import make_eviction
from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.cache.tiers import Level, Siblings, Tiers
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ipages import IPageStore
from alluxio_tw.istate import IState
from alluxio_tw.iufs import Surroundings
from alluxio_tw.metrics import Metrics
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.options import shown_uri, split_options
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.metered import MeteredUFS
from alluxio_tw.ufs.registry import Registry
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
    for folder in (data.folder, data.state_folder, data.record_folder):
        _make_folder(folder, "alluxio.tw.data.dir")
    for directory in config.pages.directories:
        _make_folder(directory.path, "alluxio.worker.page.store.dirs")
    if any(point.embedded for point in config.mounts):
        if not os.path.isdir(data.buckets_folder):
            _make_folder(
                os.path.join(data.buckets_folder, FIRST_BUCKET), "alluxio.tw.data.dir"
            )


def _make_folder(path: str, name: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
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
    point: MountPoint, clock: IReactorTime, threads: IThreads, metrics: Metrics
) -> Mount:
    """
    Make the driver of a mount, and mount it.

    :raises WrongConfiguration: its URI or an option cannot be used.
    """
    try:
        # Options may stand in the URI's query; those beside it win.
        bare, query = without_query(point.uri)
        own, query = split_options(query)
        beside, others = split_options(point.options)
        uri = with_query(bare, query) if own else point.uri
        own.update(beside)
        ufs = Registry.installed().make(
            uri, others, Surroundings(clock, threads, buckets=point.path == "/")
        )
        return Mount.of(
            point.path,
            uri,
            point.options,
            own,
            MeteredUFS(ufs, point.uri.partition(":")[0], metrics.ufs_call),
            int(time.time() * 1e9),
        )
    except WrongConfiguration as error:
        raise WrongConfiguration(
            f"{point.origin}: mount {point.path} of {shown_uri(point.uri)}: "
            f"{error.message}"
        ) from error


def first_mounted(mount: Mount, state: IState) -> Mount:
    """
    The mount with the time when it was first mounted, which is when its bucket
    came to be: a restart does not make it younger.
    """
    name = f"mount/{mount.id}"
    held = state.glance(name)
    if held is not None:
        return attrs.evolve(mount, created=int(held.value))
    state.put(name, str(mount.created).encode(), "").addErrback(
        lambda failure: log.failure("A mount was not written down", failure)
    )
    return mount


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
