"""
How the daemon runs in the background, hears signals, and ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, set_up, surroundings, twistd, until
from tests.blackbox.wire import Gone, Wire

MB = 1 << 20


class DrainTests(BlackboxCase):
    """
    SIGTERM.
    """

    own = True
    setting = set_up(
        "alluxio.worker.s3.drain.timeout=20s",
        mounts=("slow=slow+file://{here}/slow?bandwidth=8MB&cache=false",),
    )

    def test_drain(self) -> None:
        """What is in flight is finished, no more is taken, and the end is 0."""
        daemon = self.daemon
        data = os.urandom(8 * MB)
        with open(daemon.path("slow", "large"), "wb") as file:
            file.write(data)
        reader = self.wire()
        reader.request("GET", "/slow/large")
        self.assertEqual(reader.head()[0], 200)
        writer = self.wire()
        writer.request("PUT", "/slow/new", **{"content-length": str(2 * MB)})
        writer.send(data[:MB])
        idle = self.wire()
        idle.ask("GET", "/")
        daemon.signal(signal.SIGTERM)
        until(lambda: "finishing" in daemon.log(), 10)
        self.assertTrue(idle.closed())
        self.assertRaises(ConnectionRefusedError, Wire.to, daemon)
        status, body = daemon.get("/readyz")
        self.assertEqual((status, json.loads(body)["draining"]), (503, True))
        self.assertEqual(reader.take(len(data)), data)
        writer.send(data[MB : 2 * MB])
        answer = writer.answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(daemon.process.wait(20), 0)
        with open(daemon.path("slow", "new"), "rb") as file:
            self.assertEqual(file.read(), data[: 2 * MB])


class CutTests(BlackboxCase):
    """
    What does not finish.
    """

    own = True
    setting = set_up("alluxio.worker.s3.drain.timeout=1s")

    def test_cut(self) -> None:
        """What is not finished in time is cut off; the end is still 0."""
        s3 = self.s3()
        s3.put_object(Bucket="demo", Key="a", Body=b"old")
        writer = self.wire()
        writer.request("PUT", "/demo/a", **{"content-length": "100"})
        writer.send(b"some")
        until(lambda: self.daemon.metric("alluxio_s3_connections") >= 1, 5)
        begun = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertLess(time.monotonic() - begun, 10)
        with open(self.daemon.path("data", "buckets", "demo", "a"), "rb") as file:
            self.assertEqual(file.read(), b"old")

    def test_interrupt(self) -> None:
        """Ctrl-C ends it as well."""
        self.daemon.signal(signal.SIGINT)
        self.daemon.process.wait(20)
        self.assertNotIn("Traceback", self.daemon.log())


class BackgroundTests(BlackboxCase):
    """
    As a daemon, with a pid file and a log file.
    """

    def setUp(self) -> None:
        """No daemon yet."""

    def test_background(self) -> None:
        """It goes to the background, writes pid and log, and ends when told."""
        import tempfile

        folder = tempfile.mkdtemp(dir=os.getcwd(), prefix="background-")
        started = subprocess.run(
            [
                *twistd(),
                "--pidfile=d.pid",
                "--logfile=d.log",
                "alluxio-s3",
                "run",
                "-D",
                "alluxio.worker.s3.port=0",
                "-D",
                "alluxio.worker.web.port=0",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=surroundings(),
            timeout=60,
            check=False,
        )
        self.assertEqual((started.returncode, started.stdout), (0, b""))
        log_path = os.path.join(folder, "d.log")

        def log() -> str:
            with open(log_path) as file:
                return file.read()

        with open(os.path.join(folder, "d.pid")) as file:
            pid = int(file.read())
        self.addCleanup(_kill, pid)
        until(lambda: "try: " in log(), 30)
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        port = int(log().partition("S3 at http://127.0.0.1:")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 ", client.recv(100))
        os.rename(log_path, log_path + ".1")
        os.kill(pid, signal.SIGHUP)
        until(lambda: os.path.exists(log_path), 10, "the log is opened anew")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not _runs(pid), 30, "it ends")
        self.assertFalse(os.path.exists(os.path.join(folder, "d.pid")))
        self.assertIn("Server Shut Down", log())
        self.assertNotIn("Traceback", log())


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _kill(pid: int) -> None:
    if _runs(pid):
        os.kill(pid, signal.SIGKILL)


class HangUpTests(BlackboxCase):
    """
    SIGHUP.
    """

    own = True
    setting = Setting(("alluxio.worker.s3.access.logging.enabled=true",), secure=True)

    def serial(self) -> int:
        """Of the certificate that is served."""
        address = ("127.0.0.1", self.daemon.secure_port)
        authority = clients.authority(self.daemon)
        pem = ssl.get_server_certificate(address, ca_certs=authority, timeout=10)
        return x509.load_pem_x509_certificate(pem.encode()).serial_number

    def test_certificate(self) -> None:
        """A new certificate is served after SIGHUP; a broken one is not, and said."""
        daemon = self.daemon
        assert daemon.authority is not None
        before = self.serial()
        kept = self.wire(secure=True)
        self.assertEqual(kept.ask("GET", "/").status, 200)
        issued = daemon.authority.issue()
        self.assertEqual(self.serial(), before)
        daemon.signal(signal.SIGHUP)
        until(lambda: self.serial() == issued, 10)
        self.assertEqual(kept.ask("GET", "/").status, 200)
        said = daemon.said()
        with open(daemon.path("server.pem"), "w") as file:
            file.write("nonsense")
        daemon.signal(signal.SIGHUP)
        until(lambda: "server.pem" in daemon.log(said), 10, "it says which file")
        self.assertEqual(self.serial(), issued)
        self.assertEqual(self.wire(secure=True).ask("GET", "/").status, 200)
        self.forgive("server.pem")

    def test_logs(self) -> None:
        """After SIGHUP the access log goes on in a new file, and no line is lost."""
        path = self.daemon.path("data", "logs", "access.log")
        wire = self.wire()
        for number in range(300):
            wire.ask("GET", f"/demo/{number}")
            if number == 150:
                until(lambda: os.path.exists(path) and os.path.getsize(path), 5)
                os.rename(path, path + ".moved")
                self.daemon.signal(signal.SIGHUP)
        self.assertEqual(self.daemon.stop(), 0)
        keys = []
        for name in (path + ".moved", path):
            with open(name) as file:
                keys += [json.loads(line).get("key") for line in file]
        self.assertEqual(keys, [str(number) for number in range(300)])


class TLSTests(BlackboxCase):
    """
    HTTPS.
    """

    own = True
    setting = set_up("alluxio.worker.s3.only.https.access=true", secure=True)

    def test_only(self) -> None:
        """TLS only means that nothing answers plain HTTP; versions before 1.2 neither."""
        self.assertNotIn("S3 at http://", self.daemon.log())
        port = self.daemon.secure_port
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"HTTP/1.1", client.recv(1000))
        self.assertEqual(self.wire(secure=True).ask("GET", "/").status, 200)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            self.assertRaises(
                (ssl.SSLError, ConnectionError), context.wrap_socket, client
            )

    def test_silent(self) -> None:
        """Who connects and does not shake hands holds nothing up."""
        silent = [
            socket.create_connection(("127.0.0.1", self.daemon.secure_port), 10)
            for _ in range(20)
        ]
        for each in silent:
            self.addCleanup(each.close)
        done = threading.Event()

        def ask() -> None:
            self.wire(secure=True).ask("GET", "/")
            done.set()

        threading.Thread(target=ask, daemon=True).start()
        self.assertTrue(done.wait(10))


class ClientCertificateTests(BlackboxCase):
    """
    Clients that must show who they are.
    """

    own = True
    setting = set_up("alluxio.worker.s3.tls.client.ca.path={here}/ca.pem", secure=True)

    def test_client(self) -> None:
        """With client authorities, only a client with a certificate of theirs is served."""
        daemon = self.daemon
        assert daemon.authority is not None
        daemon.authority.issue("client")
        context = ssl.create_default_context(cafile=daemon.authority.path)
        address = ("127.0.0.1", daemon.secure_port)
        request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

        def ask() -> bytes:
            bare = socket.create_connection(address, 10)
            with context.wrap_socket(bare, server_hostname="127.0.0.1") as client:
                client.sendall(request)
                return client.recv(1000)

        try:
            refused = ask()
        except (ssl.SSLError, ConnectionError):
            refused = b""
        self.assertEqual(refused, b"")
        context.load_cert_chain(daemon.path("client.pem"), daemon.path("client.key"))
        self.assertIn(b" 200 ", ask())


class LogTests(BlackboxCase):
    """
    The access log.
    """

    own = True

    def lines(self) -> list[str]:
        """End the daemon; what it logged of requests."""
        self.assertEqual(self.daemon.stop(), 0)
        with open(self.daemon.path("data", "logs", "access.log")) as file:
            return file.read().splitlines()

    def ask(self) -> None:
        s3 = self.s3()
        s3.put_object(Bucket="demo", Key="a b", Body=b"hello")
        s3.get_object(Bucket="demo", Key="a b", Range="bytes=1-2")["Body"].read()
        self.wire().ask("GET", "/demo/no?X-Amz-Signature=secret&X-Amz-Date=1")
        self.wire().send(b"nonsense\r\n\r\n")
        wire = self.wire()
        wire.send(b"x\r\n\r\n")
        try:
            wire.answer()
        except Gone:
            self.fail("no answer")


class JSONLogTests(LogTests):
    """
    As JSON.
    """

    setting = set_up("alluxio.worker.s3.access.logging.enabled=true")

    def test_json(self) -> None:
        """Each request is a JSON object: who, what, how much, how long."""
        self.ask()
        entries = [json.loads(line) for line in self.lines()]
        put = next(each for each in entries if each["operation"] == "PutObject")
        self.assertEqual(
            [put[name] for name in ("user", "bucket", "key", "status", "bytes_in")],
            ["tester", "demo", "a b", 200, 5],
        )
        got = next(each for each in entries if each["operation"] == "GetObject")
        self.assertEqual(
            [got[name] for name in ("status", "bytes_out", "range", "cache")],
            [206, 2, "bytes=1-2", "BYPASS"],
        )
        self.assertGreater(got["duration_ms"], 0)
        missed = next(each for each in entries if each.get("error") == "NoSuchKey")
        self.assertNotIn("secret", missed["target"])
        self.assertTrue(any(each["status"] == 400 for each in entries))


class S3LogTests(LogTests):
    """
    As S3 writes it.
    """

    setting = set_up(
        "alluxio.worker.s3.access.logging.enabled=true",
        "alluxio.worker.s3.access.log.format=s3",
    )

    def test_s3(self) -> None:
        """Each request is a line of S3's server access log."""
        self.ask()
        lines = self.lines()
        put = next(line for line in lines if "REST.PUT.OBJECT" in line)
        self.assertIn(" demo [", put)
        self.assertIn(" tester ", put)
        self.assertIn(' a%20b "PUT /demo/a%20b HTTP/1.1" 200 ', put)
        self.assertTrue(any("REST.GET.OBJECT a%20b" in line for line in lines))
        self.assertTrue(any(" 404 NoSuchKey " in line for line in lines))


class FailuresLogTests(LogTests):
    """
    As it comes.
    """

    setting = Setting()

    def test_failures(self) -> None:
        """Unless asked for, only requests that fail are logged."""
        self.ask()
        entries = [json.loads(line) for line in self.lines()]
        self.assertTrue(entries)
        self.assertTrue(all(each["status"] >= 400 for each in entries))
