"""
The example of a driver, installed into an empty environment with the very commands
of the guide for authors, and served.

What the project depends on comes from the package index.  Where that cannot be
reached the tests are skipped; in CI they fail.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import attrs
from botocore.exceptions import ClientError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests import guide
from tests.blackbox.clients import boto3_client
from tests.blackbox.daemon import ROOT, Daemon, Setting

SECONDS = 600.0
"""How long an installation may take."""

PROJECT = ("setup.py", "pyproject.toml", "README.md", "alluxio_tw", "twisted")

EXAMPLE = os.path.join("examples", "ufs-plugin")

UNREACHABLE = re.compile(
    r"(?i)no matching distribution|connection (error|broken)|name resolution|"
    r"failed to establish|timed out|proxyerror"
)
"""What pip says when it finds no index."""

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_INDEX_URL", "PIP_CACHE_DIR")
"""What the environment may see of ours."""


@attrs.frozen
class Environment:
    """
    A virtual environment with nothing in it but the project and the example.

    :ivar folder: where all is done.
    """

    folder: str

    @property
    def example(self) -> str:
        """The example's folder, in a copy of the tree; the environment is in it."""
        return os.path.join(self.folder, "source", EXAMPLE)

    @property
    def python(self) -> str:
        """Its interpreter."""
        return os.path.join(self.example, ".venv", "bin", "python")

    @property
    def variables(self) -> dict[str, str]:
        """An environment that shows it nothing of ours."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "2"}

    def run(self, *command: str, folder: str = "") -> str:
        """
        Run a command; what it says.

        :param folder: where; outside of the source if nothing is said.
        """
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"{command} failed:\n{done.stdout[-8000:]}")
        return done.stdout

    def follow(self, name: str) -> str:
        """Run commands of the guide, where it says that they are run."""
        said = ""
        for command in guide.commands(name):
            words = shlex.split(command)
            if words[0] == "python3":
                words[0] = sys.executable
            said += self.run(*words, folder=self.example)
        return said


@cache
def environment() -> Environment | SkipTest:
    """The environment, or why there is none; made once, removed at the end."""
    made = Environment(tempfile.mkdtemp(prefix="example-", dir=os.getcwd()))
    atexit.register(shutil.rmtree, made.folder, ignore_errors=True)
    # pip builds where the source is: in a copy, the tree stays as it is.
    source = os.path.join(made.folder, "source")
    os.mkdir(source)
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".venv")
    for name in (*PROJECT, EXAMPLE):
        there, here = os.path.join(ROOT, name), os.path.join(source, name)
        if os.path.isdir(there):
            shutil.copytree(there, here, ignore=unwanted)
        else:
            shutil.copy(there, here)
    try:
        made.follow("install")
    except AssertionError as error:
        if os.environ.get("CI") or not UNREACHABLE.search(str(error)):
            raise
        return SkipTest("pip cannot reach the package index")
    return made


class ExampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        made = environment()
        if isinstance(made, SkipTest):
            raise made
        self.environment = made

    def start(self, mount: str = "") -> Daemon:
        """
        Start the environment's daemon as the guide does, on free ports and with what
        it stores in a new folder.

        :param mount: another than the guide's.
        """
        folder = tempfile.mkdtemp(dir=self.environment.folder)
        if not mount:
            (command,) = guide.commands("serve")
            twistd, *words, mount = shlex.split(command)
            self.assertEqual(words, ["-n", "alluxio-s3", "run", "--mount"])
            self.assertEqual(twistd, ".venv/bin/twistd")
            mount = mount.replace("/tmp", folder)
        log_path = os.path.join(folder, "daemon.log")
        with open(log_path, "ab") as log:
            process = subprocess.Popen(
                [
                    os.path.join(os.path.dirname(self.environment.python), "twistd"),
                    *("-n", "--pidfile=", "alluxio-s3", "run"),
                    *("-D", "alluxio.worker.s3.port=0"),
                    *("-D", "alluxio.worker.web.port=0"),
                    *("-D", f"alluxio.tw.data.dir={folder}/data"),
                    *("--mount", mount),
                ],
                cwd=folder,
                env=self.environment.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        daemon = Daemon(folder, Setting(), process, log_path)
        self.addCleanup(daemon.remove)
        daemon.wait()
        return daemon

    def test_contract(self) -> None:
        """The example's own tests pass where it is installed, the contract suite first."""
        said = self.environment.follow("test")
        self.assertIn("test_contract", said)
        self.assertRegex(said, r"PASSED \(skips=\d+, successes=\d{2,}\)")

    def test_installed(self) -> None:
        """What is tested is what was installed, not the tree beside it."""
        said = self.environment.run(
            self.environment.python,
            "-c",
            "import alluxio_tw, alluxio_tw_sqlite as mine;"
            "print(alluxio_tw.__file__); print(mine.__file__)",
        )
        for path in said.split():
            self.assertTrue(path.startswith(self.environment.folder), path)

    def test_bucket(self) -> None:
        """A bucket in an SQLite file is a bucket, for any client."""
        daemon = self.start()
        s3 = boto3_client(daemon)
        bucket: dict[str, Any] = {"Bucket": "things"}
        self.assertIn("things", [b["Name"] for b in s3.list_buckets()["Buckets"]])

        data = os.urandom(3 << 20)
        s3.put_object(**bucket, Key="a b/ü.bin", Body=data)
        got = s3.get_object(**bucket, Key="a b/ü.bin")
        self.assertEqual(got["ETag"], f'"{hashlib.md5(data).hexdigest()}"')
        self.assertTrue(got["Body"].read() == data)
        part = s3.get_object(**bucket, Key="a b/ü.bin", Range="bytes=1000000-2000000")
        self.assertTrue(part["Body"].read() == data[1000000:2000001])

        upload = s3.create_multipart_upload(**bucket, Key="large")
        whole = {**bucket, "Key": "large", "UploadId": upload["UploadId"]}
        pieces = [os.urandom(5 << 20), os.urandom(6 << 20), b"the end"]
        parts = []
        for number, piece in enumerate(pieces, 1):
            made = s3.upload_part(**whole, PartNumber=number, Body=piece)
            parts.append({"PartNumber": number, "ETag": made["ETag"]})
        s3.complete_multipart_upload(**whole, MultipartUpload={"Parts": parts})
        got = s3.get_object(**bucket, Key="large")["Body"].read()
        self.assertTrue(got == b"".join(pieces))

        s3.copy_object(
            **bucket, Key="copy", CopySource={"Bucket": "things", "Key": "large"}
        )
        got = s3.get_object(**bucket, Key="copy")["Body"].read()
        self.assertTrue(got == b"".join(pieces))

        found = s3.list_objects_v2(**bucket)
        self.assertEqual(
            [(each["Key"], each["Size"]) for each in found["Contents"]],
            [("a b/ü.bin", 3 << 20), ("copy", len(got)), ("large", len(got))],
        )
        found = s3.list_objects_v2(**bucket, Delimiter="/", MaxKeys=1)
        self.assertEqual([p["Prefix"] for p in found["CommonPrefixes"]], ["a b/"])
        self.assertTrue(found["IsTruncated"])

        # What the driver cannot keep is kept beside the data, and is in no listing.
        page = {**bucket, "Key": "page"}
        s3.put_object(
            **page,
            Body=b"<p>",
            ContentType="text/html",
            Metadata={"colour": "blue"},
            Tagging="a=b",
        )
        said = s3.head_object(**page)
        self.assertEqual(
            (said["ContentType"], said["Metadata"]), ("text/html", {"colour": "blue"})
        )
        tags = s3.get_object_tagging(**page)["TagSet"]
        self.assertEqual(tags, [{"Key": "a", "Value": "b"}])
        found = s3.list_objects_v2(**bucket, Prefix="p")["Contents"]
        self.assertEqual(
            [(e["Key"], e["ETag"]) for e in found], [("page", said["ETag"])]
        )
        s3.delete_object(**page)

        s3.delete_object(**bucket, Key="large")
        found = s3.list_objects_v2(**bucket)
        self.assertEqual([e["Key"] for e in found["Contents"]], ["a b/ü.bin", "copy"])
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(daemon.complaints(), "")

    def test_race(self) -> None:
        """Of many clients who each want to be the first, exactly one is."""
        daemon = self.start()

        def write(data: bytes) -> bytes | None:
            try:
                boto3_client(daemon).put_object(
                    Bucket="things", Key="first", Body=data, IfNoneMatch="*"
                )
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                assert status in (409, 412), error
                return None
            return data

        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(write, [b"%d" % n for n in range(16)]))
        won = [each for each in results if each is not None]
        self.assertEqual(len(won), 1)
        got = boto3_client(daemon).get_object(Bucket="things", Key="first")
        self.assertEqual(got["Body"].read(), won[0])

    def test_refused(self) -> None:
        """A URI that cannot be used ends the start with what to write instead."""
        try:
            self.start("things=sqlite:///no/such/folder/file.db")
        except AssertionError as error:
            self.assertIn("there is no folder '/no/such/folder': make it", str(error))
        else:
            self.fail("the daemon started")
