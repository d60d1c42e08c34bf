"""
Builds each part once and hands it its neighbours: the only place that knows
which concrete classes there are.
"""

from __future__ import annotations

import getpass
import os
import pwd
import time
from collections.abc import Callable

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource

from alluxio_tw.app.config import Config
from alluxio_tw.app.storage import (
    disk_stores,
    followed_rules,
    make_folders,
    open_mounts,
    page_store,
    worth,
    written_mounts,
)
from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.congestion import AUTO, by_distance
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError
from alluxio_tw.gateway.buckets import Buckets
from alluxio_tw.gateway.current import Current
from alluxio_tw.gateway.inventory import Inventory
from alluxio_tw.gateway.keyfile import KeyFile, open_keys
from alluxio_tw.gateway.loadjobs import LoadJobs
from alluxio_tw.gateway.mounting import Mounting
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.ipages import IPageStore
from alluxio_tw.metrics import Metrics
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.rulesfile import RulesFile
from alluxio_tw.s3.path import PATH_STYLE, Addressing
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.threads import IThreads
from alluxio_tw.web.admin import admin_root
from alluxio_tw.web.admission import Admission, Bounds
from alluxio_tw.web.authentication import Signed, Simple
from alluxio_tw.web.authorization import Authorization
from alluxio_tw.web.cachecontrol import CacheControl
from alluxio_tw.web.call import Gateway, Rules
from alluxio_tw.web.control import control_root
from alluxio_tw.web.intake import Intake
from alluxio_tw.web.mounts import mount_routes
from alluxio_tw.web.request import Request
from alluxio_tw.web.resource import S3Resource
from alluxio_tw.web.rules import rules_routes
from alluxio_tw.web.site import Limits, Site, elapsed

LEFTOVER_SECONDS = 24 * 3600.0
"""Temporary files older than that belong to nobody."""


@attrs.define
class Worker:
    """
    A whole worker, before it listens anywhere.
    """

    config: Config
    gateway: Gateway
    mounts: MountTable
    mounting: Mounting
    metrics: Metrics
    resource: S3Resource
    admin: IResource
    control: IResource
    loads: LoadJobs
    _state: EmbeddedState
    _records: Records
    _store: IPageStore
    _disks: list[DiskStore]
    _key_file: KeyFile | None
    _rules_file: RulesFile | None
    _intake: Intake
    _clock: IReactorTime
    _threads: IThreads
    sites: list[Site] = attrs.field(factory=list)
    draining: bool = False

    log = Logger()

    def site(self, secure: bool, account: Callable[[Request], None]) -> Site:
        """An edge for S3."""
        edge = self.config.edge
        scheme = "https" if secure else "http"
        site = Site(
            self._clock,
            self._threads,
            self.resource,
            Limits(
                connections=edge.connections,
                head=edge.head_bytes,
                url=edge.url_bytes,
                head_seconds=edge.head_seconds,
                idle_seconds=edge.idle_seconds,
                body_seconds=edge.body_seconds,
                write_seconds=edge.write_seconds,
            ),
            keep_alive=edge.keep_alive,
            secure=secure,
            account=account,
            connected=lambda change: self.metrics.connection(scheme, change),
            refused=lambda: self.metrics.connection_refused(scheme),
            answer_error=self.resource.answer_error,
            intake=self._intake,
            settle=by_distance() if edge.congestion == AUTO else None,
        )
        self.sites.append(site)
        return site

    def admin_site(self) -> Site:
        """The edge for metrics and health."""
        return Site(self._clock, self._threads, self.admin, Limits(connections=64))

    def control_site(self) -> Site:
        """The edge for the tool's commands."""
        return Site(self._clock, self._threads, self.control, Limits(connections=64))

    def account(self, request: Request) -> None:
        """Count a request that is over."""
        body = request.body
        metrics = self.metrics
        if request.cache:
            metrics.verdict(request.cache)
        metrics.user(request.user)
        metrics.request(
            request.operation,
            request.method.decode("latin-1"),
            request.status,
            elapsed(request),
            body.got if body is not None else 0,
            request.bytes_out,
        )

    def check(self) -> Deferred[dict[str, str]]:
        """Look at every mount, side by side."""
        return self.mounting.check()

    @deferred
    async def tidy(self) -> None:
        """Remove what dead writes and abandoned uploads left."""
        seconds = self.config.s3.abandoned_seconds
        if seconds:
            try:
                ended = await self.gateway.uploads.expire(seconds)
            except Exception:
                # Next time: whoever calls us does so only as long as we succeed.
                self.log.failure("Abandoned uploads could not be ended")
            else:
                if ended:
                    self.log.info("{count} abandoned uploads were ended", count=ended)
        for mount in self.mounts.mounts:
            if mount.read_only:
                continue
            try:
                await mount.ufs.sweep(LEFTOVER_SECONDS)
            except GatewayError as error:
                self.log.warn(
                    "{path}: leftovers could not be removed: {why}",
                    path=mount.path,
                    why=error.message,
                )
            except Exception:
                self.log.failure(
                    "{path}: leftovers could not be removed", path=mount.path
                )

    def start(self) -> None:
        """
        Begin what goes on by itself: finding out which pages are on disk, and
        whether there are other access keys.
        """
        for disk in self._disks:
            disk.start()
        self.gateway.buckets.start()
        self.mounting.start(self.gateway.uploads)
        if self._key_file is not None:
            self._key_file.start()
        if self._rules_file is not None:
            self._rules_file.start()
        self.loads.start()

    def reload(self) -> None:
        """Read the access keys and the rules anew, if they are others."""
        if self._key_file is not None:
            self._key_file.look()
        if self._rules_file is not None:
            self._rules_file.look()

    @deferred
    async def close(self) -> None:
        """Let go of everything, in the reverse order of making it."""
        await self.loads.close()
        if self._key_file is not None:
            self._key_file.stop()
        if self._rules_file is not None:
            self._rules_file.stop()
        if self.gateway.keys is not None:
            self.gateway.keys.stop()
        self.gateway.buckets.stop()
        await self._store.close()
        await self.mounting.close()
        await self._records.close()
        await self._state.close()


def build(
    config: Config, clock: IReactorTime, threads: IThreads, disk_threads: IThreads
) -> Worker:
    """
    Build a worker.

    :param disk_threads: for page files: a slow disk must not keep the storage
        waiting for a thread.
    :raises WrongConfiguration: something of it cannot be.
    """
    make_folders(config)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    written = written_mounts(config, clock)
    state = EmbeddedState.open(
        config.data.state_folder, clock, threads, capacity=config.data.state_bytes
    )
    records = Records.open(
        config.data.record_folder,
        clock,
        threads,
        capacity=config.data.record_bytes,
        entries=config.data.record_entries,
    )
    mounting = open_mounts(config, written, state, records, clock, threads, metrics)
    mounts = mounting.table
    rules_file = followed_rules(config, mounts, clock, threads)
    stats = CacheStats()
    disks = disk_stores(config, clock, disk_threads, stats)
    store = page_store(config, threads, disks)
    pages = PageCache(
        store,
        config.pages.page_bytes,
        clock,
        threads,
        stats=stats,
        load_memory=config.pages.load_bytes,
        read_ahead=config.pages.read_ahead,
    )
    metrics.watch_tiers(store.usage)
    metrics.watch_cache(stats)
    objects = Objects(
        mounts,
        Current(records, time.time),
        pages,
        threads,
        config.s3.put_bytes,
        config.s3.folder_objects,
    )
    loads = LoadJobs(objects, state, threads, clock, time.time)
    cache_control = CacheControl(loads, Inventory(objects, clock, time.time))
    uploads = Uploads(
        objects,
        state,
        time.time,
        config.s3.part_least_bytes,
        config.s3.part_most_bytes,
        config.s3.object_bytes,
    )
    owner = _user()
    keys = key_file = None
    if config.s3.authentication == "SIGV4":
        keys, key_file = open_keys(state, config.s3.access_keys, clock, threads)
    buckets = Buckets(mounts, state, owner)
    gateway = Gateway(
        objects,
        buckets,
        uploads,
        Rules(
            region=config.s3.region,
            metadata_limit=config.s3.metadata_bytes,
            tagging_restricted=config.s3.tag_restrictions,
            xml_limit=config.s3.xml_bytes,
            xml_list_limit=config.s3.xml_list_bytes,
            owner=owner,
            signed_region=config.s3.signed_region,
        ),
        keys=keys,
        authorization=Authorization(
            buckets,
            time.time,
            proved=keys is not None,
            administrators=frozenset(config.s3.administrators),
            access=config.s3.default_access,
        ),
    )
    addressing = PATH_STYLE
    if config.s3.domain_names or config.s3.path_prefix:
        addressing = Addressing(config.s3.domain_names, config.s3.path_prefix)
    identify = Simple(owner).identify
    if keys is not None:
        identify = Signed(keys, config.s3.signed_region, anonymous=True).identify
    edge = config.edge
    admission = Admission(
        Bounds(
            edge.requests,
            edge.requests_each,
            edge.requests_waiting,
            edge.requests_seconds,
        ),
        clock,
    )
    intake = Intake(edge.intake_bytes)
    _watch(metrics, admission, intake)
    resource = S3Resource(gateway, identify, admission, addressing)
    worker: Worker

    worker = Worker(
        config,
        gateway,
        mounts,
        mounting,
        metrics,
        resource,
        admin_root(metrics.exposition, mounting.check, lambda: worker.draining),
        control_root(
            {"pid": os.getpid()},
            [
                *mount_routes(mounting),
                *cache_control.routes(),
                *rules_routes(mounts, worth(config)),
            ],
        ),
        loads,
        state,
        records,
        store,
        [disk for _, _, disk in disks],
        key_file,
        rules_file,
        intake,
        clock,
        threads,
    )
    metrics.watch(
        "alluxio_s3_requests_in_flight",
        "Connections with a request that is not yet answered.",
        lambda: sum(site.busy() for site in worker.sites),
    )
    return worker


def _watch(metrics: Metrics, admission: Admission, intake: Intake) -> None:
    metrics.watch(
        "alluxio_s3_requests_admitted",
        "Units of work in progress: most requests are one, some several.",
        lambda: admission.held,
    )
    metrics.watch(
        "alluxio_s3_requests_waiting",
        "Requests that wait for their turn.",
        lambda: admission.waiting,
    )
    metrics.watch(
        "alluxio_s3_requests_refused",
        "Requests answered 503 SlowDown: full, there was no place to wait; late, "
        "their turn did not come in time.",
        lambda: {(why,): count for why, count in admission.refused.items()},
        counter=True,
        labels=("why",),
    )
    metrics.watch(
        "alluxio_s3_intake_bytes",
        "Bytes of request bodies received and not yet stored.",
        lambda: intake.used,
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return getpass.getuser()
