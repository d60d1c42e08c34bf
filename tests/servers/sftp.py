"""
A real SFTP server, paramiko's, over a folder: a process of its own.

Run as a program it serves the folder that it is given until its input ends.  It is
as OpenSSH's is: paths are those of the folder, times are whole seconds.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Any

import attrs

from tests.servers.s3 import NotInstalled

USER = "tester"
PASSWORD = "opensesame-sftp"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@attrs.define
class Server:
    """
    A server that runs.

    :ivar folder: what it serves.
    """

    process: subprocess.Popen[str]
    port: int
    folder: str

    @classmethod
    def start(cls) -> Server:
        """
        Start one over a folder of its own.

        :raises NotInstalled: paramiko is not.
        """
        try:
            import paramiko  # noqa: F401
        except ImportError as error:
            raise NotInstalled(
                "paramiko is not installed: pip install paramiko"
            ) from error
        folder = tempfile.mkdtemp(prefix="sftp-")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.sftp", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port.strip():
            process.kill()
            raise NotInstalled("the SFTP server does not start")
        return cls(process, int(port), folder)

    def make_place(self) -> str:
        """A new folder in it; its path."""
        return "/" + os.path.basename(tempfile.mkdtemp(dir=self.folder, prefix="t-"))

    def stop(self) -> None:
        """End it, and remove what it served."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


_running: list[Server] = []


def shared() -> Server:
    """
    The one that all tests of the run share; it ends with the interpreter.

    :raises NotInstalled: paramiko is not.
    """
    if not _running:
        _running.append(Server.start())
        atexit.register(_running[0].stop)
    return _running[0]


def serve(folder: str) -> None:
    """Serve a folder until the input ends; its port is printed."""
    import paramiko
    from paramiko import SFTPAttributes, SFTPHandle

    class Login(paramiko.ServerInterface):  # type: ignore[misc]
        def check_auth_password(self, username: str, password: str) -> int:
            good = (username, password) == (USER, PASSWORD)
            return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return int(paramiko.OPEN_SUCCEEDED)

    def told(work: Any) -> Any:
        try:
            result = work()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK if result is None else result

    class Opened(SFTPHandle):  # type: ignore[misc]
        def __init__(self, file: Any, flags: int) -> None:
            super().__init__(flags)
            self.readfile = self.writefile = file

        def stat(self) -> Any:
            return told(
                lambda: SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))
            )

    class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
        def _at(self, path: str) -> str:
            return folder + str(self.canonicalize(path))

        def list_folder(self, path: str) -> Any:
            def listed() -> Any:
                found = []
                for entry in os.scandir(self._at(path)):
                    st = entry.stat(follow_symlinks=False)
                    found.append(SFTPAttributes.from_stat(st, entry.name))
                return found

            return told(listed)

        def stat(self, path: str) -> Any:
            return told(lambda: SFTPAttributes.from_stat(os.stat(self._at(path))))

        def lstat(self, path: str) -> Any:
            return told(lambda: SFTPAttributes.from_stat(os.lstat(self._at(path))))

        def open(self, path: str, flags: int, attr: Any) -> Any:
            def opened() -> Any:
                fd = os.open(self._at(path), flags, 0o666)
                writes = flags & (os.O_WRONLY | os.O_RDWR)
                return Opened(os.fdopen(fd, "wb" if writes else "rb"), flags)

            return told(opened)

        def remove(self, path: str) -> Any:
            return told(lambda: os.remove(self._at(path)))

        def rename(self, oldpath: str, newpath: str) -> Any:
            if os.path.exists(self._at(newpath)):
                return paramiko.SFTP_FAILURE
            return told(lambda: os.rename(self._at(oldpath), self._at(newpath)))

        def posix_rename(self, oldpath: str, newpath: str) -> Any:
            return told(lambda: os.rename(self._at(oldpath), self._at(newpath)))

        def mkdir(self, path: str, attr: Any) -> Any:
            return told(lambda: os.mkdir(self._at(path)))

        def rmdir(self, path: str) -> Any:
            return told(lambda: os.rmdir(self._at(path)))

        def chattr(self, path: str, attr: Any) -> Any:
            return told(lambda: paramiko.SFTPServer.set_file_attr(self._at(path), attr))

    key = paramiko.RSAKey.generate(2048)

    def talk(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
        transport.start_server(server=Login())

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
