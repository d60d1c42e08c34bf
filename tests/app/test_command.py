"""
The tool alluxio-s3, as it is typed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.app import reference
from alluxio_tw.app.command import main
from alluxio_tw.app.properties import IGNORED, TABLE

ROOT = Path(__file__).resolve().parents[2]


class ConfTests(SynchronousTestCase):
    def run_tool(self, *arguments: str, code: int = 0, **environment: str) -> Result:
        # The environment of whoever runs the tests is not part of them.
        cleared = {name: None for name in os.environ if name.startswith("ALLUXIO_")}
        result = CliRunner().invoke(main, arguments, env={**cleared, **environment})
        self.assertEqual(result.exit_code, code, result.output)
        return result

    def rows(self, *arguments: str) -> list[list[str]]:
        text = self.run_tool("conf", *arguments).stdout
        return [line.split("\t") for line in text.splitlines()]

    def test_lists_every_property(self) -> None:
        """conf lists every property with default, type and meaning."""
        rows = {row[0]: row for row in self.rows()}
        self.assertLessEqual(set(TABLE), set(rows))
        self.assertIn("alluxio.tw.mount.<name>.uri", rows)
        for name, entry in TABLE.items():
            self.assertEqual(
                rows[name], [name, entry.default, entry.kind.name, entry.meaning]
            )

    def test_all(self) -> None:
        """--all tells older names, ignored ones and variables too."""
        rows = {row[0]: row for row in self.rows("--all")}
        self.assertLessEqual(set(IGNORED), set(rows))
        self.assertEqual(rows["alluxio.worker.s3.port"][4], "ALLUXIO_WORKER_S3_PORT")
        self.assertIn(
            "alluxio.proxy.s3.tagging.restrictions.enabled",
            rows["alluxio.worker.s3.tagging.restrictions.enabled"][3],
        )

    def test_pattern(self) -> None:
        """A pattern keeps what has it in name or meaning."""
        names = [row[0] for row in self.rows("EVICTOR")]
        self.assertEqual(names, ["alluxio.worker.page.store.evictor.class"])

    def test_values_in_force(self) -> None:
        """With a configuration, conf tells each value in force and its source."""
        Path("some.properties").write_text("alluxio.worker.s3.region=eu\n")
        rows = self.rows(
            "--config", "some.properties", "-D", "alluxio.tw.threads.max=2"
        )
        self.assertIn(["alluxio.worker.s3.region", "eu", "some.properties:1"], rows)
        self.assertIn(["alluxio.tw.threads.max", "2", "command line"], rows)
        self.assertIn(["alluxio.worker.s3.port", "29998", "default"], rows)

    def test_get(self) -> None:
        """conf get prints one value, the environment counted, and nothing else."""
        name = "alluxio.worker.s3.port"
        result = self.run_tool("conf", "get", name, ALLUXIO_WORKER_S3_PORT="77")
        self.assertEqual(result.stdout, "77\n")
        result = self.run_tool("conf", "get", name, "-D", f"{name}=78")
        self.assertEqual(result.stdout, "78\n")

    def test_get_by_older_name(self) -> None:
        """An older name gets the value of what it stands for."""
        old = "alluxio.proxy.s3.header.metadata.max.size"
        self.assertEqual(self.run_tool("conf", "get", old).stdout, "2KB\n")

    def test_failures_are_one_line(self) -> None:
        """What is wrong is told in one line on standard error, with a status."""
        for arguments, hint in (
            (["conf", "get", "alluxio.worker.s3.prot"], "alluxio.worker.s3.port"),
            (["conf", "-D", "alluxio.worker.s3.port=x"], "write a whole number"),
            (["conf", "--config", "no\nwhere"], "cannot read"),
        ):
            result = self.run_tool(*arguments, code=1)
            self.assertEqual(result.stdout, "")
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertTrue(result.stderr.startswith("Error: "))
            self.assertIn(hint, result.stderr)

    def test_warnings(self) -> None:
        """Warnings go to standard error: the output can be read by programs."""
        result = self.run_tool("conf", "-D", "alluxio.master.hostname=h")
        self.assertIn("Warning: ", result.stderr)
        self.assertNotIn("Warning", result.stdout)

    def test_documents(self) -> None:
        """The documents can be made anew by the tool."""
        self.assertEqual(
            self.run_tool("conf", "--markdown").stdout, reference.markdown()
        )
        self.assertEqual(self.run_tool("conf", "--example").stdout, reference.example())

    def test_version(self) -> None:
        """version names the distribution."""
        self.assertTrue(self.run_tool("version").stdout.startswith("alluxio-tw "))


class ProcessTests(TestCase):
    def test_as_a_module(self) -> Deferred[None]:
        """The tool starts as a process and needs no daemon."""

        def check(result: tuple[bytes, bytes, int]) -> None:
            self.assertEqual(result[1:], (b"", 0))
            self.assertIn(b"alluxio.worker.s3.port\t29998\tport\t", result[0])

        done: Deferred[Any] = getProcessOutputAndValue(
            sys.executable,
            ["-m", "alluxio_tw.app.command", "conf", "s3.port"],
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")},
        )
        return done.addCallback(check)
