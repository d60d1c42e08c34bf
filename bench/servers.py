"""
The servers that are measured, started and ended: this daemon, and nginx.
"""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import attrs

from bench import machine

PROJECT = Path(__file__).resolve().parent.parent

STARTING = 20.0
"""Seconds that a server may take to listen."""

_NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path {home};
    proxy_temp_path {home};
    fastcgi_temp_path {home};
    uwsgi_temp_path {home};
    scgi_temp_path {home};
    server {{
        listen 127.0.0.1:{http} backlog=1024;
        listen 127.0.0.1:{https} ssl backlog=1024;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
    }}
}}
"""


@attrs.define
class Server:
    """
    A server that runs.

    :ivar name: what the tables call it.
    :ivar http: its port for HTTP; C{https} likewise.
    :ivar admin: where its metrics are, or nought.
    """

    name: str
    http: int
    https: int
    process: subprocess.Popen[bytes]
    log: Path
    admin: int = 0

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        return [self.process.pid, *machine.children(self.process.pid)]

    def port(self, scheme: str) -> int:
        """Where it listens for this scheme."""
        return self.https if scheme == "https" else self.http

    def wait(self) -> Server:
        """
        Wait until it listens.

        :raises SystemExit: it does not.
        """
        end = time.monotonic() + STARTING
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.http), 1):
                    return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self) -> Server:
        return self.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def daemon(
    home: Path,
    name: str = "ours",
    *,
    mounts: Sequence[str] = (),
    definitions: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
    data: Path | None = None,
) -> Server:
    """
    Start this daemon.

    :param home: a folder for its log and, unless C{data} is another, its data.
    :param mounts: for C{--mount}.
    :param definitions: for C{-D}.
    :param certificate: PEM files of a certificate and its key, to serve HTTPS.
    """
    http, https, admin = free_ports(3)
    given = [
        f"alluxio.tw.data.dir={data or home / name}",
        f"alluxio.worker.s3.port={http}",
        f"alluxio.worker.web.port={admin}",
        *definitions,
    ]
    if certificate is not None:
        given += [
            f"alluxio.worker.s3.https.port={https}",
            f"alluxio.worker.s3.tls.certificate.path={certificate[0]}",
            f"alluxio.worker.s3.tls.key.path={certificate[1]}",
        ]
    command = [
        sys.executable,
        "-c",
        "from twisted.scripts.twistd import run; run()",
        "--nodaemon",
        "--pidfile=",
        "alluxio-s3",
        "run",
    ]
    for each in given:
        command += ["-D", each]
    for each in mounts:
        command += ["--mount", each]
    # A configuration that lies about is not part of what is measured.
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("ALLUXIO_")}
    surroundings["PYTHONPATH"] = str(PROJECT)
    log = home / f"{name}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command, cwd=home, env=surroundings, stdout=out, stderr=out
        )
    return Server(name, http, https, process, log, admin)


def nginx(home: Path, root: Path, certificate: tuple[Path, Path]) -> Server:
    """
    Start nginx on the files beneath C{root}: one worker, C{sendfile}, keep-alive,
    no access log.
    """
    http, https = free_ports(2)
    configuration = home / "nginx.conf"
    configuration.write_text(
        _NGINX.format(
            home=home,
            http=http,
            https=https,
            root=root,
            certificate=certificate[0],
            key=certificate[1],
        )
    )
    log = home / "nginx.out"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [program("nginx"), "-p", str(home), "-c", str(configuration)],
            stdout=out,
            stderr=out,
        )
    return Server("nginx", http, https, process, log)


def program(name: str) -> str:
    """
    The path of a program.

    :raises SystemExit: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        sys.exit(f"{name} is not installed; on Debian: apt-get install {name}")
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def self_signed(home: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and its key (EC P-256)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate, private = home / "certificate.pem", home / "key.pem"
    pem = serialization.Encoding.PEM
    certificate.write_bytes(made.public_bytes(pem))
    private.write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


def put(server: Server, path: str, body: bytes = b"") -> None:
    """
    Make a bucket or an object.

    :raises SystemExit: the daemon refuses.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=120)
    try:
        connection.request("PUT", path, body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300 and b"BucketAlreadyOwnedByYou" not in text:
            sys.exit(f"PUT {path}: {answer.status} {text.decode()[:300]}")
    finally:
        connection.close()


def get(server: Server, path: str) -> None:
    """
    Read an object, and drop it.

    :raises SystemExit: the daemon refuses.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=120)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"GET {path}: {answer.status} {answer.read(300)!r}")
        while answer.read(1 << 20):
            pass
    finally:
        connection.close()
