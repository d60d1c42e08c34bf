"""
How the daemon starts, and how it refuses to.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.blackbox import clients
from tests.blackbox.daemon import (
    Daemon,
    Setting,
    arguments,
    launch,
    set_up,
    surroundings,
    twistd,
    until,
)

PORTS = ("-D", "alluxio.worker.s3.port=0", "-D", "alluxio.worker.web.port=0")


class StartCase(SynchronousTestCase):
    """
    A test that starts daemons in a folder of its own.
    """

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(dir=os.getcwd(), prefix="start-")

    def begin(
        self, *given: str, environment: Mapping[str, str] = {}, ports: bool = True
    ) -> Daemon:
        """Start with these arguments, on ports of the system's choice."""
        words = [*(PORTS if ports else ()), *given]
        process, log = launch(self.folder, words, environment)
        daemon = Daemon(self.folder, Setting(), process, log)
        self.addCleanup(daemon.kill)
        daemon.wait()
        return daemon

    def refused(
        self,
        *given: str,
        environment: Mapping[str, str] = {},
        flags: Sequence[str] = ("-n", "--pidfile="),
    ) -> str:
        """Start; it must end at once, not with 0, having said one line: that line."""
        ended = subprocess.run(
            [*twistd(), *flags, "alluxio-s3", "run", *given],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=surroundings(environment),
            timeout=60,
            check=False,
        )
        self.assertNotEqual(ended.returncode, 0)
        said = (ended.stdout + ended.stderr).strip().splitlines()
        # What twistd says of itself is not ours.
        lines = [line for line in said if "UnixAppLogger#info]" not in line]
        self.assertEqual(len(lines), 1, said)
        _, found, line = lines[0].partition("alluxio-s3: ")
        self.assertTrue(found, said)
        return line


class RefusalTests(StartCase):
    """
    What keeps it from starting.
    """

    def test_unknown_property(self) -> None:
        """An unknown property is refused with what may have been meant."""
        line = self.refused("-D", "alluxio.worker.s3.prot=1")
        self.assertIn("alluxio.worker.s3.prot", line)
        self.assertIn("did you mean", line)
        self.assertIn("alluxio.worker.s3.port", line)

    def test_unreadable_value(self) -> None:
        """A value that cannot be read is refused with what to write instead."""
        for given in (
            "alluxio.worker.s3.port=many",
            "alluxio.worker.s3.port=70000",
            "alluxio.worker.page.store.page.size=huge",
            "alluxio.worker.s3.connection.idle.max.time=soon",
            "alluxio.worker.s3.api.enabled=perhaps",
            "alluxio.worker.page.store.evictor.class=RANDOM",
        ):
            line = self.refused("-D", given)
            name, _, value = given.partition("=")
            self.assertIn(name, line)
            self.assertIn(value, line)

    def test_no_value(self) -> None:
        """A definition without a value is refused."""
        self.assertIn("name=value", self.refused("-D", "alluxio.worker.s3.port"))

    def test_file(self) -> None:
        """A property file that is not there, or holds nonsense, is refused by its name."""
        self.assertIn(
            "nothing.properties", self.refused("--config", "nothing.properties")
        )
        path = os.path.join(self.folder, "site.properties")
        with open(path, "w") as file:
            file.write("alluxio.worker.s3.port=0\nalluxio.worker.s3.portt=1\n")
        line = self.refused("--config", path)
        self.assertIn("site.properties", line)
        self.assertIn("did you mean", line)

    def test_environment(self) -> None:
        """A variable that cannot be read is refused by its name."""
        line = self.refused(environment={"ALLUXIO_WORKER_S3_PORT": "x"})
        self.assertIn("ALLUXIO_WORKER_S3_PORT", line)

    def test_taken_port(self) -> None:
        """A port in use is refused with what to write instead; so is each of the three."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for name in ("alluxio.worker.s3.port", "alluxio.worker.web.port"):
                line = self.refused(*PORTS, "-D", f"{name}={port}")
                self.assertIn(f"{name}: cannot listen on 127.0.0.1:{port}", line)
                self.assertIn(f"-D {name}=", line)

    def test_unwritable(self) -> None:
        """A data folder that cannot be written is refused by its property."""
        path = os.path.join(self.folder, "file")
        with open(path, "w"):
            pass
        line = self.refused(*PORTS, "-D", f"alluxio.tw.data.dir={path}/data")
        self.assertIn("alluxio.tw.data.dir", line)
        line = self.refused(
            *PORTS, "-D", f"alluxio.worker.page.store.dirs={path}/pages"
        )
        self.assertIn("alluxio.worker.page.store.dirs", line)
        if os.geteuid():
            os.mkdir(os.path.join(self.folder, "locked"), 0o500)
            line = self.refused(*PORTS, "-D", "alluxio.tw.data.dir=locked")
            self.assertIn("alluxio.tw.data.dir", line)

    def test_mounts(self) -> None:
        """A mount that cannot be is refused by its name."""
        for mount, word in (
            ("photos=gopher://x/y", "gopher"),
            ("Photos!=file:///tmp", "Photos!"),
            ("photos", "BUCKET=URI"),
            ("photos=file:///tmp?nonsense=1", "nonsense"),
            ("photos=file:///tmp?max-age=soon", "max-age"),
            ("photos=slow+file:///tmp?latency=soon", "latency"),
        ):
            self.assertIn(word, self.refused(*PORTS, "--mount", mount))

    def test_certificate(self) -> None:
        """A certificate that cannot be read is refused by its property."""
        name = "alluxio.worker.s3.tls.certificate.path"
        self.assertIn(name, self.refused(*PORTS, "-D", f"{name}=nothing.pem"))

    def test_https_only(self) -> None:
        """HTTPS only, without a certificate, is refused."""
        line = self.refused("-D", "alluxio.worker.s3.only.https.access=true")
        self.assertIn("alluxio.worker.s3.tls.certificate.path", line)

    def test_as_daemon(self) -> None:
        """What is wrong is said before it goes into the background."""
        flags = ("--pidfile=d.pid", "--logfile=d.log")
        for given, word in (
            (("-D", "alluxio.worker.s3.prot=1"), "did you mean"),
            ((*PORTS, "--mount", "photos=nosuch:///x"), "nosuch"),
            ((*PORTS, "-D", "alluxio.tw.data.dir=/proc/no"), "alluxio.tw.data.dir"),
        ):
            self.assertIn(word, self.refused(*given, flags=flags))
            self.assertFalse(os.path.exists(os.path.join(self.folder, "d.pid")))


class DefaultTests(StartCase):
    """
    No configuration at all.
    """

    def test_nothing(self) -> None:
        """It starts in an empty folder, says where, what, and what to try."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 29998))
            except OSError:
                ports = True  # somebody else has it
            else:
                ports = False
        daemon = self.begin(ports=ports)
        log = daemon.log()
        if not ports:
            self.assertIn("S3 at http://127.0.0.1:29998\n", log)
            self.assertIn("metrics and health at http://127.0.0.1:30000\n", log)
        self.assertIn("buckets: demo\n", log)
        command = log.partition("try: ")[2].splitlines()[0]
        self.assertEqual(daemon.get("/readyz")[0], 200)
        # The command that it gives works as it stands.
        aws = os.path.dirname(clients.command("aws"))
        path = aws + os.pathsep + os.environ["PATH"]
        with open(os.path.join(self.folder, "alluxio-s3-data/buckets/demo/f"), "w"):
            pass
        said = clients.run(["sh", "-c", command], surroundings({"PATH": path}))
        self.assertIn(" 0 f", said)
        self.assertEqual(daemon.stop(), 0)

    def test_data_stays(self) -> None:
        """What was written is there after a restart."""
        daemon = self.begin()
        s3 = clients.boto3_client(daemon)
        s3.create_bucket(Bucket="made")
        s3.put_bucket_tagging(
            Bucket="made", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
        )
        put = s3.put_object(
            Bucket="made", Key="a", Body=b"x", Metadata={"m": "1"}, Tagging="t=1"
        )
        created = {b["Name"]: b["CreationDate"] for b in s3.list_buckets()["Buckets"]}
        self.assertEqual(daemon.stop(), 0)
        os.rename(daemon.log_path, daemon.log_path + ".1")
        daemon = self.begin()
        s3 = clients.boto3_client(daemon)
        got = s3.get_object(Bucket="made", Key="a")
        self.assertEqual(
            (got["Body"].read(), got["Metadata"], got["ETag"], got["TagCount"]),
            (b"x", {"m": "1"}, put["ETag"], 1),
        )
        tags = s3.get_bucket_tagging(Bucket="made")["TagSet"]
        self.assertEqual(tags, [{"Key": "a", "Value": "b"}])
        again = {b["Name"]: b["CreationDate"] for b in s3.list_buckets()["Buckets"]}
        self.assertEqual(again, created)
        self.assertEqual(daemon.stop(), 0)


class SourceTests(StartCase):
    """
    Where configuration comes from.
    """

    def region(self, *given: str, environment: Mapping[str, str] = {}) -> str:
        """Start, and ask for the region it says it is in."""
        daemon = self.begin(*given, environment=environment)
        with urllib.request.urlopen(f"{daemon.url}/demo?location", timeout=20) as got:
            text = got.read().decode()
        self.assertEqual(daemon.stop(), 0)
        os.remove(daemon.log_path)
        return str(
            text.partition('amazonaws.com/doc/2006-03-01/">')[2].partition("<")[0]
        )

    def test_precedence(self) -> None:
        """The command line wins over the environment, the environment over the file."""
        name = "alluxio.worker.s3.region"
        path = os.path.join(self.folder, "site.properties")
        with open(path, "w") as file:
            file.write(f"# a comment\n{name} = eu-file-1\n")
        variable = {"ALLUXIO_WORKER_S3_REGION": "eu-variable-1"}
        line = ("-D", f"{name}=eu-line-1")
        config = ("--config", path)
        self.assertEqual(self.region(*config), "eu-file-1")
        self.assertEqual(self.region(*config, environment=variable), "eu-variable-1")
        self.assertEqual(self.region(*config, *line, environment=variable), "eu-line-1")

    def test_aliases(self) -> None:
        """Older names of Alluxio's are understood, with a warning."""
        daemon = self.begin("-D", "alluxio.proxy.s3.header.metadata.max.size=10")
        until(lambda: "older name" in daemon.log(), 5)
        self.assertIn("alluxio.worker.s3.header.metadata.max.size", daemon.log())
        self.assertEqual(daemon.stop(), 0)

    def test_mounts(self) -> None:
        """Folders are mounted as buckets, by option and by property; one read-only."""
        for name in ("one", "two", "three"):
            os.mkdir(os.path.join(self.folder, name))
            with open(os.path.join(self.folder, name, "file"), "w") as file:
                file.write(name)
        here = self.folder
        daemon = self.begin(
            "--mount",
            f"one=file://{here}/one",
            "--mount",
            f"two=file://{here}/two?readonly=true",
            "-D",
            f"alluxio.tw.mount.third.uri={here}/three",
            "-D",
            "alluxio.tw.mount.third.path=/three",
        )
        s3 = clients.boto3_client(daemon)
        names = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        self.assertEqual(names, ["demo", "one", "three", "two"])
        for name in ("one", "two", "three"):
            got = s3.get_object(Bucket=name, Key="file")["Body"].read()
            self.assertEqual(got, name.encode())
        s3.put_object(Bucket="one", Key="new", Body=b"x")
        self.assertTrue(os.path.exists(f"{here}/one/new"))
        from botocore.exceptions import ClientError

        for call in (
            lambda: s3.put_object(Bucket="two", Key="new", Body=b"x"),
            lambda: s3.delete_object(Bucket="two", Key="file"),
            lambda: s3.delete_bucket(Bucket="one"),
        ):
            error = self.assertRaises(ClientError, call)
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            self.assertEqual(status // 100, 4, error)
        self.assertEqual(sorted(os.listdir(f"{here}/two")), ["file"])
        self.assertEqual(daemon.stop(), 0)

    def test_api_disabled(self) -> None:
        """Without the S3 API only the admin port is served."""
        process, log = launch(
            self.folder,
            arguments(set_up("alluxio.worker.s3.api.enabled=false"), self.folder),
        )
        daemon = Daemon(self.folder, Setting(), process, log)
        self.addCleanup(daemon.kill)
        until(lambda: "metrics and health at" in daemon.log(), 30)
        self.assertNotIn("S3 at", daemon.log())
        self.assertEqual(daemon.get("/healthz"), (200, b"ok\n"))
        self.assertEqual(daemon.stop(), 0)
