"""
The daemon's life: from a configuration to listening ports, and back.

Nothing is opened before C{privilegedStartService}: by then twistd has forked,
and neither threads nor LMDB environments outlive a fork.  What can be found
wrong before is found by L{Daemon.probe}, while there is still a terminal to say
it on.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python import logfile
from twisted.python.threadpool import ThreadPool

from alluxio_tw.app.assembly import Worker, build
from alluxio_tw.app.config import Config
from alluxio_tw.app.control import ControlPort
from alluxio_tw.app.greeting import greet
from alluxio_tw.app.heap import LOOK_SECONDS, Heap, share_one_arena
from alluxio_tw.app.sections import Logs
from alluxio_tw.app.storage import make_folders, rule_bounds, try_mounts
from alluxio_tw.app.tls import Certificates
from alluxio_tw.congestion import AUTO, SYSTEM, TCP_CONGESTION
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.gateway import keyfile
from alluxio_tw.namespace.rulesfile import read_file
from alluxio_tw.threads import IThreads, PooledThreads
from alluxio_tw.web.accessing import access_entry
from alluxio_tw.web.accesslines import json_line, s3_line
from alluxio_tw.web.accesslog import AccessLog, LogFile
from alluxio_tw.web.request import Request
from alluxio_tw.web.site import Site

TIDY_SECONDS = 3600.0
"""How often leftovers are looked for."""


DISK_THREADS = 8
"""For page files of the cache."""


class Daemon(Service):
    """
    The daemon as a service of twistd's.
    """

    log = Logger(namespace="alluxio-s3")

    def __init__(
        self, config: Config, reactor: Any, detached: bool, log_path: str
    ) -> None:
        """
        :param detached: there is no terminal to log to.
        :param log_path: what twistd was told; the configuration comes first.
        """
        self._config = config
        self._reactor = reactor
        self._detached = detached
        self._certificates = None if config.tls is None else Certificates(config.tls)
        self._log_path = config.logs.path or log_path
        if not self._log_path and detached:
            self._log_path = "twistd.log"
        self._log_file: logfile.LogFile | None = None
        self._ports: list[IListeningPort] = []
        self._admin: Site | None = None
        self._control: ControlPort | None = None
        self._worker: Worker | None = None
        self._access: AccessLog | None = None
        self._pool: ThreadPool | None = None
        self._disk_pool: ThreadPool | None = None
        self._heap: Heap | None = None
        self._tidying: list[LoopingCall] = []

    # --- before the fork ----------------------------------------------------------

    def probe(self) -> None:
        """
        Find out what would go wrong.

        :raises WrongConfiguration: a port is taken, or an address is not ours;
            the access keys or the rules cannot be read; a folder cannot be made, or what is
            written of a mount cannot be meant.
        """
        s3 = self._config.s3
        if s3.access_keys and s3.authentication == "SIGV4":
            keyfile.read(s3.access_keys)
        if self._config.rules.path:
            read_file(self._config.rules.path, rule_bounds(self._config))
        make_folders(self._config)
        try_mounts(self._config, self._reactor)
        if self._config.data.control_socket:
            ControlPort.probe(self._config.data.control_socket)
        for name, host, port in self._addresses():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    raise _cannot_listen(
                        name, host, port, str(error.strerror)
                    ) from error

    def _addresses(self) -> list[tuple[str, str, int]]:
        edge, admin = self._config.edge, self._config.admin
        found = [("alluxio.worker.web.port", admin.host, admin.port)]
        if edge.enabled:
            if edge.port is not None:
                found.append(("alluxio.worker.s3.port", edge.host, edge.port))
            if edge.https_port is not None:
                found.append(
                    ("alluxio.worker.s3.https.port", edge.host, edge.https_port)
                )
        return found

    def setServiceParent(self, parent: Any) -> None:
        """
        Become part of the application, and take over its log: to write it to a
        file that can be opened anew, and no more of it than was asked for.
        """
        super().setServiceParent(parent)
        if hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self._observer())

    def _observer(self) -> ILogObserver:
        if self._log_path and self._log_path != "-":
            # Not rotated here: SIGHUP opens it anew, and who sends that renames.
            self._log_file = logfile.LogFile.fromFullPath(
                self._log_path, rotateLength=None, defaultMode=0o640
            )
            out: Any = self._log_file
        else:
            out = sys.stdout
        observer: ILogObserver = FilteringLogObserver(
            textFileLogObserver(out),
            [LogLevelFilterPredicate(LogLevel.lookupByName(self._config.logs.level))],
        )
        return observer

    # --- starting ------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        try:
            self._open()
        except BaseException as error:
            # Their threads would keep the process from ending.
            for pool in (self._pool, self._disk_pool):
                if pool is not None and pool.started:
                    pool.stop()
            if isinstance(error, WrongConfiguration) and not self._detached:
                sys.exit(f"alluxio-s3: {error.message}")
            # A daemon's parent hears of it from twistd, and ends with 1.
            raise
        super().privilegedStartService()

    def _open(self) -> None:
        config, reactor = self._config, self._reactor
        self._pool = ThreadPool(0, config.data.threads, "alluxio")
        self._pool.start()
        threads = PooledThreads(reactor, self._pool)
        reactor.addSystemEventTrigger("after", "shutdown", self._pool.stop)
        self._disk_pool = ThreadPool(0, DISK_THREADS, "alluxio-pages")
        self._disk_pool.start()
        reactor.addSystemEventTrigger("after", "shutdown", self._disk_pool.stop)
        disk_threads = PooledThreads(reactor, self._disk_pool)
        _raise_file_limit()
        share_one_arena()
        self._heap = Heap(threads)
        worker = self._worker = build(config, reactor, threads, disk_threads)
        if config.logs.access_path:
            self._access = _access_log(config.logs, reactor, threads)
        edge = config.edge
        if edge.enabled:
            if edge.port is not None:
                site = worker.site(False, self._account)
                self._listen("alluxio.worker.s3.port", edge.host, edge.port, site)
            if edge.https_port is not None and self._certificates is not None:
                site = worker.site(True, self._account)
                secure = SecureSite(self._certificates, False, site)
                self._listen(
                    "alluxio.worker.s3.https.port", edge.host, edge.https_port, secure
                )
        admin = self._admin = worker.admin_site()
        self._listen(
            "alluxio.worker.web.port", config.admin.host, config.admin.port, admin
        )
        if config.data.control_socket:
            self._control = ControlPort.listen(
                reactor, config.data.control_socket, worker.control_site()
            )

    def _listen(self, name: str, host: str, port: int, factory: Any) -> None:
        endpoint = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        listening = endpoint(
            self._reactor, port, self._config.edge.backlog, host
        ).listen(factory)
        failures: list[Any] = []
        listening.addCallbacks(self._ports.append, failures.append)
        for failure in failures:
            if failure.check(CannotListenError):
                raise _cannot_listen(name, host, port, str(failure.value.socketError))
            failure.raiseException()
        congestion = self._config.edge.congestion
        if congestion not in (AUTO, SYSTEM):
            made: Any = self._ports[-1]
            try:
                made.socket.setsockopt(
                    socket.IPPROTO_TCP, TCP_CONGESTION, congestion.encode()
                )
            except OSError as error:
                raise WrongConfiguration(
                    f"alluxio.worker.s3.tcp.congestion: {congestion!r} is not to be had "
                    f"here: {error.strerror}; write auto, or system for the system's"
                ) from error

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(self._running)

    def _running(self) -> None:
        # After the reactor's own, which would end the process by the signal.
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGHUP, self._hang_up)
        worker = self._worker
        assert worker is not None
        worker.start()
        assert self._heap is not None
        for work, seconds in (
            (worker.tidy, TIDY_SECONDS),
            (self._heap.look, LOOK_SECONDS),
        ):
            tidying = LoopingCall(work)
            tidying.clock = self._reactor
            tidying.start(seconds).addErrback(
                lambda failure: self.log.failure("Tidying failed", failure)
            )
            self._tidying.append(tidying)
        for warning in self._config.warnings:
            self.log.warn("{text}", text=warning)
        addresses = [
            _url("https" if site.secure else "http", port)
            for site, port in zip(worker.sites, self._ports, strict=False)
        ]
        admin = _url("http", self._ports[-1])
        Deferred.fromCoroutine(greet(self.log, worker, addresses, admin)).addErrback(
            lambda failure: self.log.failure("Greeting failed", failure)
        )

    # --- at work -------------------------------------------------------------------

    def _account(self, request: Request) -> None:
        worker = self._worker
        assert worker is not None
        worker.account(request)
        access = self._access
        if access is not None and access.wants(request.status):
            access.take(access_entry(request))

    def _hang_up(self, *_: object) -> None:
        self._reactor.callFromThread(self.reload)

    def _terminate(self, *_: object) -> None:
        self._reactor.callFromThread(self._reactor.stop)

    def reload(self) -> None:
        """Open the logs anew, read certificates, access keys and rules again."""
        if self._log_file is not None:
            self._log_file.reopen()
        if self._access is not None:
            self._access.reopen()
        if self._certificates is not None:
            self._certificates.reload()
        if self._worker is not None:
            self._worker.reload()
        self.log.info("logs were opened anew")

    # --- ending ---------------------------------------------------------------------

    @deferred
    async def stopService(self) -> None:
        super().stopService()
        worker = self._worker
        if worker is None:
            return
        worker.draining = True
        await worker.loads.close()
        # The admin port stays: whoever watches sees that we are draining.
        for port in self._ports[:-1]:
            await _maybe(port.stopListening())
        for site in worker.sites:
            site.drain()
        left = self._config.edge.drain_seconds
        busy = sum(site.busy() for site in worker.sites)
        if busy:
            self.log.info("finishing {count} requests", count=busy)
        while busy and left > 0:
            await deferLater(self._reactor, 0.05)
            left -= 0.05
            busy = sum(site.busy() for site in worker.sites)
        if busy:
            self.log.warn("{count} requests were cut off", count=busy)
        for site in worker.sites:
            site.abort()
        await _maybe(self._ports[-1].stopListening())
        if self._admin is not None:
            self._admin.abort()
        if self._control is not None:
            await self._control.close()
        for tidying in self._tidying:
            if tidying.running:
                tidying.stop()
        if self._access is not None:
            await self._access.stop()
        await worker.close()


class SecureSite(TLSMemoryBIOFactory):
    """
    A site behind TLS.
    """

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> TLSMemoryBIOProtocol | None:
        # The wrapper of Twisted's does not know that a connection may be refused.
        within = self.wrappedFactory.buildProtocol(addr)
        return None if within is None else self.protocol(self, within)


def _access_log(logs: Logs, clock: IReactorTime, threads: IThreads) -> AccessLog:
    file = LogFile(logs.access_path, logs.access_bytes, logs.access_files)
    form = json_line if logs.access_format == "json" else s3_line
    log = AccessLog(
        clock, threads, file, form, logs.everything, logs.access_buffer_bytes
    )
    if logs.access_path != "-":
        os.makedirs(os.path.dirname(logs.access_path) or ".", exist_ok=True)
    log.start()
    return log


def _raise_file_limit() -> None:
    """As many open files as we may have: connections, page files, open objects."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _maybe(result: Deferred[None] | None) -> None:
    if result is not None:
        await result


def _url(scheme: str, port: Any) -> str:
    at = port.getHost()
    host = f"[{at.host}]" if ":" in at.host else at.host
    return f"{scheme}://{host}:{at.port}"


def _cannot_listen(name: str, host: str, port: int, why: str) -> WrongConfiguration:
    return WrongConfiguration(
        f"{name}: cannot listen on {host}:{port}: {why}; is another daemon running? "
        f"choose another with -D {name}={port + 1 if 0 < port < 65535 else 0}"
    )
