"""
Real S3 servers: moto, and versitygw where it is installed.

A server is started when a test first wants it, serves all tests of the run from
buckets of their own, and ends with the interpreter.  Where one is not installed
its tests are skipped and say so; in CI, where Go is, they are required to run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import count

import attrs
import botocore.session
from botocore.config import Config

ACCESS_KEY = "AKIDALLUXIOTW"
SECRET_KEY = "shh/+very=secret-indeed"
REGION = "us-east-1"

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

_START_SECONDS = 30.0


class NotInstalled(Exception):
    """
    The server is not here; says what would bring it.
    """


@attrs.define
class Server:
    """
    A server that runs.

    :ivar endpoint: its URL.
    """

    endpoint: str
    process: subprocess.Popen[bytes]
    folder: str
    log: str
    _numbers: count[int] = attrs.field(factory=lambda: count(1), init=False)

    def make_bucket(self) -> str:
        """A new bucket; its name."""
        name = f"bucket-{os.getpid()}-{next(self._numbers)}"
        self.client().create_bucket(Bucket=name)
        return name

    def client(self):  # type: ignore[no-untyped-def]
        """A botocore client of it."""
        session = botocore.session.Session(
            session_vars={"profile": (None, None, None, None)}
        )
        return session.create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def uri(self, bucket: str, prefix: str = "") -> str:
        """A mount of a bucket of it."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region={REGION}"

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


_running: dict[str, Server] = {}


def moto() -> Server:
    """
    The server of moto, which checks no signatures.

    :raises NotInstalled: it is not.
    """
    program = _beside("moto_server")
    if program is None:
        raise NotInstalled("moto is not installed: pip install 'moto[server]'")
    return _shared(
        "moto", lambda folder, port: [program, "-H", "127.0.0.1", "-p", str(port)]
    )


def versitygw() -> Server:
    """
    versitygw over a folder, which checks signatures.

    :raises NotInstalled: it is not, or the folder's file system has no extended
        attributes.
    """
    program = os.environ.get("VERSITYGW") or _beside("versitygw") or _in_go("versitygw")
    if program is None:
        raise NotInstalled(f"versitygw is not installed: go install {VERSITYGW}")

    def command(folder: str, port: int) -> list[str]:
        data = os.path.join(folder, "data")
        os.makedirs(data, exist_ok=True)
        return [
            program,
            "--port",
            f"127.0.0.1:{port}",
            "--access",
            ACCESS_KEY,
            "--secret",
            SECRET_KEY,
            "--region",
            REGION,
            "--keep-alive",
            "--quiet",
            "posix",
            data,
        ]

    return _shared("versitygw", command)


def required() -> bool:
    """Must what can be installed be there?"""
    return os.environ.get("CI") == "true" and shutil.which("go") is not None


def _beside(name: str) -> str | None:
    """The program next to this interpreter, else in the path."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else shutil.which(name)


def _in_go(name: str) -> str | None:
    roots = [os.environ.get("GOBIN", "")]
    roots += [
        os.path.join(os.environ.get("GOPATH") or os.path.expanduser("~/go"), "bin")
    ]
    for root in roots:
        path = os.path.join(root, name)
        if root and os.access(path, os.X_OK):
            return path
    return None


def _shared(name: str, command: Callable[[str, int], list[str]]) -> Server:
    server = _running.get(name)
    if server is not None and server.process.poll() is None:
        return server
    server = _running[name] = _started(name, command)
    atexit.register(server.stop)
    return server


def _started(name: str, command: Callable[[str, int], list[str]]) -> Server:
    folder = tempfile.mkdtemp(prefix=f"{name}-")
    log = os.path.join(folder, "log")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command(folder, port), stdout=out, stderr=out, env=environment, cwd=folder
        )
    server = Server(f"http://127.0.0.1:{port}", process, folder, log)
    end = time.monotonic() + _START_SECONDS
    while not _answers(server.endpoint):
        if process.poll() is not None or time.monotonic() > end:
            with open(log, errors="replace") as file:
                said = file.read()[-2000:]
            server.stop()
            raise NotInstalled(f"{name} does not start: {said}")
        time.sleep(0.05)
    return server


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
