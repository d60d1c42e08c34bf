"""
The daemon's life within this process: started, asked, drained, stopped.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
from typing import Any

from twisted.application.service import Application
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogLevel
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.app.config import load
from alluxio_tw.app.daemon import Daemon
from alluxio_tw.app.tap import Options, makeService
from alluxio_tw.errors import WrongConfiguration
from tests.blackbox.authority import Authority

reactor: Any = _reactor

S3_PORT = "alluxio.worker.s3.port"


def taken_port(case: SynchronousTestCase) -> int:
    """A port that somebody listens on."""
    taken = socket.create_server(("127.0.0.1", 0))
    case.addCleanup(taken.close)
    port: int = taken.getsockname()[1]
    return port


class OptionTests(SynchronousTestCase):
    """What C{twistd alluxio-s3 run} says before it is a daemon."""

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)

    def exit(self, *arguments: str) -> str:
        options = Options()
        options.parseOptions(
            ["run", "-D", f"alluxio.tw.data.dir={self.folder}/data", *arguments]
        )
        message = self.assertRaises(SystemExit, makeService, options).code
        assert isinstance(message, str)
        self.assertTrue(message.startswith("alluxio-s3: "), message)
        self.assertEqual(len(message.splitlines()), 1)
        return message

    def test_no_command(self) -> None:
        """There must be a command."""
        self.assertRaises(UsageError, Options().parseOptions, [])

    def test_wrong(self) -> None:
        """What cannot be is told in one line that says what to write instead."""
        self.assertIn(
            "did you mean alluxio.worker.s3.port",
            self.exit("-D", "alluxio.worker.s3.prot=1"),
        )
        self.assertIn("photos", self.exit("--mount", "photos"))
        self.assertIn("nothing.properties", self.exit("-c", "nothing.properties"))

    def test_port_in_use(self) -> None:
        """A port that is taken is told, with another to take."""
        port = taken_port(self)
        message = self.exit(
            "-D", f"{S3_PORT}={port}", "-D", "alluxio.worker.web.port=0"
        )
        self.assertIn(f"127.0.0.1:{port}: Address already in use", message)
        self.assertIn(f"-D {S3_PORT}={port + 1}", message)

    def test_foreign_address(self) -> None:
        """An address that is not of this machine is told."""
        message = self.exit(
            "-D",
            "alluxio.worker.s3.bind.host=192.0.2.1",
            "-D",
            "alluxio.worker.web.port=0",
        )
        self.assertIn("192.0.2.1", message)

    def test_mount(self) -> None:
        """A mount that cannot be is told before there is a daemon."""
        message = self.exit(
            *("-D", f"{S3_PORT}=0", "-D", "alluxio.worker.web.port=0"),
            *("--mount", "photos=nosuch:///x"),
        )
        self.assertIn("nosuch", message)


class Borrowed:
    """
    The reactor, but for what would outlive a test.
    """

    def __init__(self) -> None:
        self.ends: list[Any] = []
        self.stopped = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        self.ends.append(function)

    def stop(self) -> None:
        self.stopped += 1


class Client:
    """
    A blocking client, for threads.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        """Ask, and take everything until it closes."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)
        return self.rest()

    def rest(self) -> bytes:
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
        finally:
            self.socket.close()
        return data


class DaemonTests(TestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.borrowed = Borrowed()
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def daemon(self, *definitions: str, mounts: tuple[str, ...] = ()) -> Daemon:
        config = load(
            None,
            [
                f"alluxio.tw.data.dir={self.folder}/data",
                f"{S3_PORT}=0",
                "alluxio.worker.web.port=0",
                *definitions,
            ],
            mounts,
        )
        return Daemon(config, self.borrowed, False, "")

    async def start(self, *definitions: str, mounts: tuple[str, ...] = ()) -> Daemon:
        daemon = self.daemon(*definitions, mounts=mounts)
        daemon.privilegedStartService()
        self.addCleanup(self.end)
        daemon.startService()
        return daemon

    def end(self) -> None:
        for function in self.borrowed.ends:
            function()

    def ports(self, daemon: Daemon) -> list[int]:
        ports: list[Any] = list(daemon._ports)
        return [each.getHost().port for each in ports]

    def in_thread(self, function: Any, *arguments: Any) -> Any:
        return deferToThread(function, *arguments)

    async def test_serves(self) -> None:
        """A daemon that was started serves, and one that was stopped does not."""
        daemon = await self.start()
        s3, admin = self.ports(daemon)
        put = await self.in_thread(lambda: Client(s3).ask("PUT", "/demo/k", b"data"))
        self.assertTrue(put.startswith(b"HTTP/1.1 200"), put)
        got = await self.in_thread(lambda: Client(s3).ask("GET", "/demo/k"))
        self.assertTrue(got.endswith(b"\r\n\r\ndata"), got)
        ready = await self.in_thread(lambda: Client(admin).ask("GET", "/readyz"))
        self.assertTrue(ready.startswith(b"HTTP/1.1 200"), ready)
        await daemon.stopService()
        for port in (s3, admin):
            error = await self.in_thread(_connect_error, port)
            self.assertIsInstance(error, ConnectionRefusedError)

    async def test_drains(self) -> None:
        """Stopping waits for what is under way, and refuses what is new."""
        origin = os.path.join(self.folder, "origin")
        os.makedirs(origin)
        with open(os.path.join(origin, "k"), "wb") as file:
            file.write(b"data")
        daemon = await self.start(mounts=(f"far=slow+file://{origin}?latency=300ms",))
        s3, admin = self.ports(daemon)
        client = await self.in_thread(Client, s3)
        idle = await self.in_thread(Client, s3)
        answer = self.in_thread(client.ask, "GET", "/far/k")
        await _until(
            lambda: daemon._worker is not None and daemon._worker.sites[0].busy()
        )
        stopped = daemon.stopService()
        self.assertEqual(await self.in_thread(idle.rest), b"")
        ready = await self.in_thread(lambda: Client(admin).ask("GET", "/readyz"))
        self.assertTrue(ready.startswith(b"HTTP/1.1 503"), ready)
        got = await answer
        self.assertTrue(got.endswith(b"\r\n\r\ndata"), got)
        await stopped

    async def test_cut_off(self) -> None:
        """What does not end in time is cut off."""
        daemon = await self.start("alluxio.worker.s3.drain.timeout=50ms")
        s3, _ = self.ports(daemon)
        client = await self.in_thread(Client, s3)
        client.socket.sendall(
            b"PUT /demo/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
        )
        await _until(
            lambda: daemon._worker is not None and daemon._worker.sites[0].busy()
        )
        await daemon.stopService()
        error = await self.in_thread(_rest_or_error, client)
        self.assertNotIn(b" 200 ", error)
        path = os.path.join(self.folder, "data", "buckets", "demo", "k")
        self.assertFalse(os.path.exists(path))

    async def test_signals(self) -> None:
        """SIGTERM asks the reactor to stop; SIGHUP opens the logs anew."""
        daemon = await self.start(
            f"alluxio.worker.s3.access.log.path={self.folder}/access.log",
            "alluxio.worker.s3.access.logging.enabled=true",
        )
        s3, _ = self.ports(daemon)
        await self.in_thread(lambda: Client(s3).ask("GET", "/demo/1"))
        os.kill(os.getpid(), signal.SIGTERM)
        await _until(lambda: self.borrowed.stopped)
        path = os.path.join(self.folder, "access.log")
        await _until(lambda: os.path.exists(path) and os.path.getsize(path))
        os.rename(path, path + ".1")
        os.kill(os.getpid(), signal.SIGHUP)
        await _until(lambda: os.path.exists(path))
        await self.in_thread(lambda: Client(s3).ask("GET", "/demo/2"))
        await daemon.stopService()
        for name, target in ((path + ".1", "/demo/1"), (path, "/demo/2")):
            with open(name) as file:
                self.assertIn(target, file.read())

    async def test_refuses(self) -> None:
        """A daemon that finds its port taken when it starts ends, with its threads."""
        daemon = self.daemon(f"{S3_PORT}={taken_port(self)}")
        self.assertRaises(WrongConfiguration, daemon.probe)
        self.assertRaises(SystemExit, daemon.privilegedStartService)
        for pool in (daemon._pool, daemon._disk_pool):
            self.assertTrue(pool is None or not pool.started)
        self.assertEqual(daemon._ports, [])

    async def test_tls(self) -> None:
        """Over TLS the same is served; connections beyond the limit are closed."""
        authority = Authority.make(self.folder)
        daemon = await self.start(
            "alluxio.worker.s3.https.port=0",
            f"alluxio.worker.s3.tls.certificate.path={self.folder}/server.pem",
            f"alluxio.worker.s3.tls.key.path={self.folder}/server.key",
            "alluxio.worker.s3.connections.max=1",
        )
        _, https, _ = self.ports(daemon)
        context = ssl.create_default_context(cafile=authority.path)
        first = await self.in_thread(Client, https, context)
        refused = await self.in_thread(_connect_error, https, context)
        self.assertIsInstance(refused, OSError)
        got = await self.in_thread(first.ask, "GET", "/demo?list-type=2")
        self.assertTrue(got.startswith(b"HTTP/1.1 200"), got)
        worker: Any = daemon._worker
        await _until(lambda: not list(worker.sites[1]))
        again = await self.in_thread(lambda: Client(https, context).ask("GET", "/demo"))
        self.assertTrue(again.startswith(b"HTTP/1.1 200"), again)
        await daemon.stopService()
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_log(self) -> None:
        """The log is a file of the configured level, which can be opened anew."""
        path = os.path.join(self.folder, "daemon.log")
        daemon = self.daemon(f"alluxio.tw.log.path={path}", "alluxio.tw.log.level=warn")
        application: Any = Application("test")
        daemon.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        self.assertIsNotNone(observer)

        def say(text: str, level: Any) -> None:
            observer(
                {
                    "log_format": text,
                    "log_level": level,
                    "log_time": 0.0,
                    "log_namespace": "test",
                }
            )

        say("quiet", LogLevel.info)
        say("first", LogLevel.warn)
        os.rename(path, path + ".1")
        daemon.reload()
        say("second", LogLevel.error)
        with open(path + ".1") as old, open(path) as new:
            before, after = old.read(), new.read()
        self.assertIn("first", before)
        self.assertNotIn("quiet", before)
        self.assertIn("second", after)


def _connect_error(port: int, context: ssl.SSLContext | None = None) -> Any:
    try:
        Client(port, context).socket.close()
    except OSError as error:
        return error
    return None


def _rest_or_error(client: Client) -> bytes:
    try:
        return client.rest()
    except OSError:
        return b""


async def _until(what: Any) -> None:
    """Wait until something is so; trial's time limit says for how long."""
    while not what():
        await deferLater(reactor, 0.01, lambda: None)
