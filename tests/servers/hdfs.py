"""
Real HDFS: Hadoop's miniature cluster, on this machine's Java.

Maven fetches the jars once; they and the compiled program that starts the cluster
stay for the next run, which needs no network.  A cluster is started when a test first
wants it, serves all tests of the run from folders of their own, and ends with the
interpreter.  Without Java or Maven its tests are skipped and say so; in CI they are
required to run.

The datanodes go by names that nobody can resolve, as those of clusters behind a
gateway do: whoever reads and writes needs C{datanode-map}.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from itertools import count
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.blackbox.authority import Authority

HERE = Path(__file__).with_name("hdfs_cluster")

DATANODES = ("dn1.internal", "dn2.internal")

_START_SECONDS = 120
_FETCH_SECONDS = 600


class NotInstalled(Exception):
    """
    It cannot be had here; says what would bring it.
    """


class Refused(Exception):
    """
    The cluster did not do what it was told.
    """


@attrs.define(eq=False)
class Cluster:
    """
    A cluster that runs.

    :ivar authority: that vouches for its servers.
    :ivar addresses: of its namenodes, as they were at the beginning.
    """

    process: subprocess.Popen[str]
    folder: str
    authority: Authority
    addresses: str = ""
    _numbers: count[int] = attrs.field(factory=lambda: count(1), init=False)

    def tell(self, *words: str) -> str:
        """
        Have it do something; see C{Cluster.java} for what there is.

        :raises Refused: it cannot.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        verdict, _, rest = self.process.stdout.readline().rstrip("\n").partition("\t")
        if verdict != "ok":
            raise Refused(rest or "it is gone")
        return rest

    def make_folder(self) -> str:
        """A new folder that everybody may write in; its path."""
        path = f"/test-{next(self._numbers)}"
        self.tell("mkdir", path)
        self.tell("chmod", path, "777")
        return path

    def write(self, path: str, data: bytes, verb: str = "write") -> None:
        """Write a file as another program does, or C{append} to it."""
        self.tell(verb, path, base64.b64encode(data).decode())

    def read(self, path: str) -> bytes:
        """Read a file as another program does."""
        return base64.b64decode(self.tell("read", path))

    def uri(self, path: str) -> str:
        """A mount of a folder of it."""
        return f"webhdfs://{self.addresses}{path}"

    def secure_uri(self, path: str) -> str:
        """A mount of a folder of it, over TLS."""
        return f"swebhdfs://{self.tell('secure-addresses')}{path}"

    @property
    def options(self) -> dict[str, str]:
        """What a mount of it needs to be told."""
        return {
            "datanode-map": ",".join(f"{name}=127.0.0.1" for name in DATANODES),
            "user": "tester",
        }

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_running: dict[int, Cluster] = {}


def cluster(namenodes: int = 1) -> Cluster:
    """
    A cluster, shared with the other tests of this run.

    :param namenodes: 1, or 2 for a pair.
    :raises NotInstalled: it cannot be had.
    """
    found = _running.get(namenodes)
    if found is None or found.process.poll() is not None:
        found = _running[namenodes] = start(namenodes)
    return found


def start(namenodes: int = 1) -> Cluster:
    """
    Start a cluster for whoever asks, alone.

    :raises NotInstalled: it cannot be had.
    """
    classpath = prepare()
    folder = tempfile.mkdtemp(prefix="hdfs-")
    log = os.path.join(folder, "log")
    authority = _certified(folder)
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            [
                "java",
                "-Xmx512m",
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "-Dfile.encoding=UTF-8",
                "-Djava.net.preferIPv4Stack=true",
                f"-Dtest.build.data={folder}",
                "-cp",
                f"{classpath}:{folder}",
                "Cluster",
                os.path.join(folder, "data"),
                str(namenodes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            cwd=folder,
        )
    made = Cluster(process, folder, authority)
    atexit.register(made.stop)
    # It tells its address, or ends; whoever does neither is ended.
    guard = threading.Timer(_START_SECONDS, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        verdict, _, made.addresses = process.stdout.readline().strip().partition("\t")
    finally:
        guard.cancel()
    if verdict != "ok":
        with open(log, errors="replace") as file:
            said = file.read()[-2000:]
        made.stop()
        raise NotInstalled(f"the HDFS cluster does not start: {said}")
    return made


def _certified(folder: str) -> Authority:
    """Certificates, and what Hadoop is to know of them, in a folder."""
    authority = Authority.make(folder)
    with open(os.path.join(folder, "server.key"), "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    with open(os.path.join(folder, "server.pem"), "rb") as file:
        certificate = x509.load_pem_x509_certificate(file.read())
    store = pkcs12.serialize_key_and_certificates(
        b"server",
        key,  # type: ignore[arg-type]
        certificate,
        None,
        serialization.BestAvailableEncryption(b"password"),
    )
    path = os.path.join(folder, "server.p12")
    with open(path, "wb") as file:
        file.write(store)
    said = {
        "keystore.location": path,
        "keystore.password": "password",
        "keystore.keypassword": "password",
        "keystore.type": "pkcs12",
    }
    properties = "".join(
        f"<property><name>ssl.server.{name}</name><value>{value}</value></property>"
        for name, value in said.items()
    )
    with open(os.path.join(folder, "ssl-server.xml"), "w") as out:
        out.write(f"<configuration>{properties}</configuration>")
    return authority


def required() -> bool:
    """Must it be there?"""
    return os.environ.get("CI") == "true"


def prepare() -> str:
    """
    Fetch and compile what is needed, unless it is here already; the class path.

    :raises NotInstalled: something is missing.
    """
    for program, package in (("java", "a JDK"), ("javac", "a JDK"), ("mvn", "Maven")):
        if shutil.which(program) is None:
            raise NotInstalled(f"{program} is not installed: HDFS needs {package}")
    sources = [HERE / "pom.xml", HERE / "Cluster.java"]
    digest = hashlib.sha256(b"\0".join(each.read_bytes() for each in sources))
    ready = Path(sys.prefix) / "share" / f"hdfs-for-tests-{digest.hexdigest()[:16]}"
    noted = ready / "classpath"
    if noted.exists():
        jars = noted.read_text()
        if all(os.path.exists(each) for each in jars.split(":")):
            return f"{ready}:{jars}"
    making = Path(tempfile.mkdtemp(prefix="hdfs-for-tests-"))
    try:
        _run(
            "mvn",
            "--batch-mode",
            "--quiet",
            "--file",
            str(sources[0]),
            "dependency:build-classpath",
            f"-Dmdep.outputFile={making / 'classpath'}",
        )
        jars = (making / "classpath").read_text().strip()
        _run("javac", "-nowarn", "-cp", jars, "-d", str(making), str(sources[1]))
        (making / "classpath").write_text(jars)
        ready.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(ready, ignore_errors=True)
        shutil.move(str(making), str(ready))
    except OSError as error:
        raise NotInstalled(f"HDFS cannot be prepared: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return f"{ready}:{jars}"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCH_SECONDS,
            cwd=tempfile.gettempdir(),
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(
            f"{command[0]} took more than {_FETCH_SECONDS} seconds"
        ) from error
    if done.returncode:
        raise NotInstalled(f"{command[0]} failed: {done.stdout[-2000:]}")


if __name__ == "__main__":
    print(prepare())
