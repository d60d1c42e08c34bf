"""
Both ends of the control socket, on real sockets.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from alluxio_tw.app.config import load
from alluxio_tw.app.control import ControlClient, ControlPort, DaemonAway, Refused
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidArgument, WrongConfiguration
from alluxio_tw.threads import NoThreads
from alluxio_tw.web.control import Given, Route, control_root
from alluxio_tw.web.site import Site

reactor: Any = _reactor


class ControlCase(TestCase):
    """
    A folder for sockets, and what is served there.
    """

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "c.sock")
        self.waiting: Deferred[Any] = Deferred()

    def site(self) -> Site:
        @deferred
        async def echo(given: Given) -> Any:
            if "refuse" in given:
                raise InvalidArgument("no, thank you")
            return dict(given)

        routes = [
            Route("GET", "/v1/echo", "", echo),
            Route("POST", "/v1/echo", "", echo),
            Route("GET", "/v1/wait", "", lambda given: self.waiting),
        ]
        return Site(reactor, NoThreads(), control_root({"pid": 1}, routes))

    def listen(self, path: str = "") -> ControlPort:
        port = ControlPort.listen(reactor, path or self.path, self.site())
        self.addCleanup(port.close)
        return port

    def client(self, path: str = "") -> ControlClient:
        return ControlClient(path or self.path)

    def refusal(self, path: str = "") -> str:
        """Why it cannot be listened there."""
        error: WrongConfiguration = self.assertRaises(
            WrongConfiguration,
            ControlPort.listen,
            reactor,
            path or self.path,
            self.site(),
        )
        self.assertEqual(len(error.message.splitlines()), 1)
        self.assertIn("-D alluxio.tw.control.socket=", error.message)
        return error.message


class PortTests(ControlCase):
    """
    The daemon's end.
    """

    def test_mode(self) -> None:
        """Only the daemon's user may connect, from the first moment on."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.listen()
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    @deferred
    async def test_closed(self) -> None:
        """At the end the file is gone, also if somebody has removed it before."""
        port = self.listen()
        await port.close()
        self.assertFalse(os.path.exists(self.path))
        port = self.listen()
        os.unlink(self.path)
        await port.close()

    @deferred
    async def test_left_behind(self) -> None:
        """A socket that a dead daemon left is replaced."""
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(self.path)
        dead.listen()
        dead.close()
        self.listen()
        self.assertTrue(await deferToThread(self.client().alive))

    def test_taken(self) -> None:
        """Where a daemon listens, another does not."""
        living = socket.socket(socket.AF_UNIX)
        self.addCleanup(living.close)
        living.bind(self.path)
        living.listen()
        self.assertIn("another daemon listens there", self.refusal())
        self.assertRaises(WrongConfiguration, ControlPort.probe, self.path)
        self.assertTrue(os.path.exists(self.path))

    def test_file(self) -> None:
        """What is no socket is not removed."""
        with open(self.path, "w") as file:
            file.write("mine")
        self.assertIn("no socket", self.refusal())
        self.assertEqual(os.path.getsize(self.path), 4)

    def test_no_folder(self) -> None:
        """Where there is no folder, that is said."""
        self.assertIn("No such file", self.refusal(self.folder + "/none/c.sock"))

    @deferred
    async def test_long_path(self) -> None:
        """A path that is longer than the system takes works all the same."""
        deep = os.path.join(self.folder, *["d" * 50] * 4)
        os.makedirs(deep)
        path = os.path.join(deep, "c.sock")
        port = self.listen(path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        answer = await deferToThread(self.client(path).get, "/v1/echo", a="b")
        self.assertEqual(answer, {"a": "b"})
        self.assertIn("another daemon", self.refusal(path))
        await port.close()
        self.assertFalse(os.path.exists(path))
        self.listen(path)


class ClientTests(ControlCase):
    """
    The tool's end.
    """

    @deferred
    async def test_asks(self) -> None:
        """Questions and documents go through, whatever is in a name."""
        self.listen()
        name = "/b/é \udcff+&=%\n"
        client = self.client()
        self.assertEqual(
            await deferToThread(client.get, "/v1/echo", path=name), {"path": name}
        )
        self.assertEqual(
            await deferToThread(client.post, "/v1/echo", path=name, n=[1, None]),
            {"path": name, "n": [1, None]},
        )

    @deferred
    async def test_refused(self) -> None:
        """What the daemon refuses is raised, with its noun."""
        self.listen()
        asking = deferToThread(self.client().get, "/v1/echo", refuse="yes")
        error = await self.assertFailure(asking, Refused)
        self.assertEqual(
            (error.noun, error.message), ("InvalidArgument", "no, thank you")
        )
        asking = deferToThread(self.client().post, "/v1/new")
        error = await self.assertFailure(asking, Refused)
        self.assertIn("another version", error.message)

    @deferred
    async def test_away(self) -> None:
        """Without a daemon, it is said which path was tried."""
        self.assertFalse(self.client().alive())
        error = self.assertRaises(DaemonAway, self.client().get, "/v1/echo")
        self.assertIn(f"No daemon listens at {self.path}", error.message)
        error = self.assertRaises(DaemonAway, ControlClient("").get, "/v1/echo")
        self.assertIn("alluxio.tw.control.socket is empty", error.message)
        self.listen()
        asking = deferToThread(self.client().get, "/v1/wait", 0.05)
        error = await self.assertFailure(asking, DaemonAway)
        self.assertIn("does not answer", error.message)

    @deferred
    async def test_ends(self) -> None:
        """A daemon that goes while it is asked is said to have gone."""
        port = self.listen()
        asked: Deferred[None] = Deferred()

        def wait(given: Given) -> Deferred[Any]:
            asked.callback(None)
            return Deferred()

        await port.close()
        site = Site(
            reactor,
            NoThreads(),
            control_root({}, [Route("GET", "/v1/wait", "", wait)]),
        )
        port = ControlPort.listen(reactor, self.path, site)
        asking = deferToThread(self.client().get, "/v1/wait")
        await asked
        await port.close()
        error = await self.assertFailure(asking, DaemonAway)
        self.assertIn("went away", error.message)

    def test_of(self) -> None:
        """The socket lies in the data folder, unless it is said."""
        config = load(definitions=["alluxio.tw.data.dir=/d"])
        self.assertEqual(ControlClient.of(config).path, "/d/control.sock")
        config = load(definitions=["alluxio.tw.control.socket="])
        self.assertEqual(ControlClient.of(config).path, "")
        self.assertRaises(
            WrongConfiguration, load, definitions=["alluxio.tw.control.socket=-"]
        )
