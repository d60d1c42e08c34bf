"""
Both ends of the control socket: where the daemon listens, and how the tool asks.

Only who may write to the socket's file can connect, so its mode is the
authentication: 0600, set before anyone is listened to.

A path of a Unix socket has 108 bytes at most.  A longer one is reached by way of its
folder, opened: C{/proc/self/fd/7/control.sock}.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import attrs
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from alluxio_tw.app import properties as p
from alluxio_tw.app.config import Config
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import GatewayError, WrongConfiguration
from alluxio_tw.web.site import Site

MODE = 0o600
LONGEST = 107
"""Bytes of a path that the system takes, without the NUL at its end."""

CONNECT_SECONDS = 5.0


class DaemonAway(GatewayError):
    """No daemon listens here."""


class Refused(GatewayError):
    """
    The daemon would not.

    :ivar noun: what went wrong, as the daemon calls it.
    """

    noun = ""


# --- the daemon's end ----------------------------------------------------------------


@attrs.define(eq=False)
class ControlPort:
    """
    The control socket, listened to.  Made by L{listen}.
    """

    path: str
    _port: IListeningPort
    _folder: int
    _site: Site

    @classmethod
    def listen(cls, reactor: Any, path: str, site: Site) -> ControlPort:
        """
        Listen; a file that a dead daemon left is replaced.

        :raises WrongConfiguration: it cannot be, or a daemon listens there.
        """
        _clear(path)
        folder = -1
        try:
            folder, name = _short(path)
            ports: list[IListeningPort] = []
            failures: list[Failure] = []
            UNIXServerEndpoint(reactor, name, 50, MODE, False).listen(
                site
            ).addCallbacks(ports.append, failures.append)
            for failure in failures:
                failure.raiseException()
        except (OSError, CannotListenError) as error:
            if site.numPorts:
                # It was told that it would be listened for.
                site.doStop()
            _close(folder)
            why = getattr(error, "socketError", error)
            raise _cannot(path, getattr(why, "strerror", None) or str(why)) from error
        return cls(path, ports[0], folder, site)

    @staticmethod
    def probe(path: str) -> None:
        """
        Find out whether it can be listened at.

        :raises WrongConfiguration: as L{listen}.
        """
        _clear(path)

    @deferred
    async def close(self) -> None:
        """Listen no more, remove the file, and end what is connected."""
        if not os.path.lexists(self.path):
            # Somebody removed it.  Twisted wants a file to remove, or leaves off
            # half way.
            with suppress(OSError), open(self.path, "xb"):
                pass
        with suppress(OSError):
            closing = self._port.stopListening()
            if closing is not None:
                await closing
        folder, self._folder = self._folder, -1
        _close(folder)
        self._site.abort()


def _clear(path: str) -> None:
    """
    Make way for a socket.

    :raises WrongConfiguration: something is there that is not ours to remove.
    """
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot(path, str(error.strerror)) from error
    if not stat.S_ISSOCK(there.st_mode):
        raise _cannot(path, "there is a file that is no socket")
    try:
        with _connected(path, CONNECT_SECONDS):
            pass
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(path)
    else:
        raise _cannot(path, "another daemon listens there")


def _cannot(path: str, why: str) -> WrongConfiguration:
    name = p.CONTROL_SOCKET.name
    return WrongConfiguration(
        f"{name}: cannot listen at {path}: {why}; name another path, or none, with "
        f"-D {name}="
    )


# --- the tool's end ------------------------------------------------------------------


@attrs.frozen
class ControlClient:
    """
    Asks the daemon.

    :ivar path: of its socket; empty if it has none.
    """

    path: str

    @classmethod
    def of(cls, config: Config) -> ControlClient:
        """For the daemon that is configured so."""
        return cls(config.data.control_socket)

    def get(self, route: str, seconds: float | None = None, **given: Any) -> Any:
        """
        Ask.

        :param route: such as C{/v1/stat}.
        :param seconds: to wait for the answer; L{None} for as long as it takes.
        :raises DaemonAway: nobody listens, or who did is gone.
        :raises Refused: the daemon says no.
        """
        query = urlencode(
            {name: str(value) for name, value in given.items()},
            encoding="utf-8",
            errors="surrogateescape",
        )
        return self._ask("GET", f"{route}?{query}" if query else route, None, seconds)

    def post(self, route: str, seconds: float | None = None, **given: Any) -> Any:
        """Tell; as L{get}."""
        return self._ask("POST", route, json.dumps(given).encode(), seconds)

    def alive(self) -> bool:
        """Whether a daemon listens."""
        try:
            with _connected(self.path, CONNECT_SECONDS):
                return True
        except OSError:
            return False

    def _ask(
        self, method: str, target: str, body: bytes | None, seconds: float | None
    ) -> Any:
        if not self.path:
            raise DaemonAway(
                f"The daemon has no control socket: {p.CONTROL_SOCKET.name} is empty."
            )
        try:
            with _connected(self.path, CONNECT_SECONDS) as connected:
                connected.settimeout(seconds)
                connection = http.client.HTTPConnection("localhost")
                connection.sock = connected
                connection.request(method, target, body)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        return _understood(status, text)

    def _away(self, error: Exception) -> DaemonAway:
        if isinstance(error, PermissionError):
            return DaemonAway(
                f"The control socket {self.path} is another user's: run this as the "
                "daemon's."
            )
        if isinstance(error, TimeoutError):
            return DaemonAway(f"The daemon at {self.path} does not answer.")
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return DaemonAway(
                f"No daemon listens at {self.path}; start it, or say with --config or "
                f"-D {p.DATA_DIR.name}=FOLDER where its data is."
            )
        return DaemonAway(f"The daemon at {self.path} went away.")


def _understood(status: int, text: bytes) -> Any:
    try:
        document = json.loads(text)
        if status == 200:
            return document
        if document["error"] == "NoSuchRoute":
            raise Refused("The daemon is another version, which cannot do that.")
        refused = Refused(str(document["message"]))
        refused.noun = str(document["error"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"The daemon answered {status}, and nothing else.") from error
    raise refused


# --- paths --------------------------------------------------------------------------


@contextmanager
def _connected(path: str, seconds: float) -> Iterator[socket.socket]:
    folder, name = _short(path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
            connected.settimeout(seconds)
            connected.connect(name)
            yield connected
    finally:
        _close(folder)


def _short(path: str) -> tuple[int, str]:
    """
    The path as the system takes it, and a descriptor that must stay open meanwhile;
    C{-1} for none.

    :raises OSError: there is no such folder.
    """
    if len(os.fsencode(path)) <= LONGEST:
        return -1, path
    above, name = os.path.split(path)
    folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return folder, f"/proc/self/fd/{folder}/{name}"


def _close(folder: int) -> None:
    if folder >= 0:
        os.close(folder)
