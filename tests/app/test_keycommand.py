from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app.command import main

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class KeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.options: list[str] = ["-D", f"alluxio.tw.data.dir={self.folder}"]

    def run_tool(self, *arguments: str, code: int = 0, given: str = "") -> Result:
        cleared = {name: None for name in os.environ if name.startswith("ALLUXIO_")}
        result = CliRunner().invoke(
            main, ["key", *arguments, *self.options], input=given, env=cleared
        )
        self.assertEqual(result.exit_code, code, result.output)
        if code:
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertEqual(result.stdout, "")
        return result

    def rows(self) -> list[list[str]]:
        text = self.run_tool("list").stdout
        return [line.split("\t") for line in text.splitlines()]

    def test_add(self) -> None:
        """add prints key, secret and user; list knows it later, without secret."""
        result = self.run_tool("add", "alice")
        access_key, secret, user = result.stdout.rstrip("\n").split("\t")
        self.assertEqual(user, "alice")
        self.assertIn("not shown again", result.stderr)
        (row,) = self.rows()
        self.assertEqual(row[:3], [access_key, "alice", "enabled"])
        self.assertEqual(row[4], "state")
        self.assertNotIn(secret, self.run_tool("list").output)

    def test_own(self) -> None:
        """Key and secret may be given, the secret where no one else sees it."""
        result = self.run_tool(
            "add", "bob", "--access-key", "BOB", "--secret-stdin", given=f"{SECRET}\n"
        )
        self.assertEqual(result.stdout, f"BOB\t{SECRET}\tbob\n")
        self.run_tool("add", "bob", "--secret-stdin", code=1)

    def test_disable(self) -> None:
        """disable and enable change the state of a key and print nothing."""
        self.run_tool("add", "bob", "--access-key", "BOB")
        self.assertEqual(self.run_tool("disable", "BOB").output, "")
        self.assertEqual(self.rows()[0][2], "disabled")
        self.assertEqual(self.run_tool("enable", "BOB").output, "")
        self.assertEqual(self.rows()[0][2], "enabled")

    def test_rotate(self) -> None:
        """rotate prints another secret for the same key."""
        first = self.run_tool("add", "bob", "--access-key", "BOB").stdout.split("\t")
        second = self.run_tool("rotate", "BOB").stdout.split("\t")
        self.assertEqual([second[0], second[2]], [first[0], first[2]])
        self.assertNotEqual(second[1], first[1])

    def test_remove(self) -> None:
        """remove forgets a key."""
        self.run_tool("add", "bob", "--access-key", "BOB")
        self.run_tool("remove", "BOB")
        self.assertEqual(self.rows(), [])

    def test_failures(self) -> None:
        """What cannot be done is told in one line, with a status."""
        for arguments in (
            ("add", "two words"),
            ("add", "bob", "--access-key", "A/B"),
            ("disable", "BOB"),
            ("enable", "BOB"),
            ("rotate", "BOB"),
            ("remove", "BOB"),
        ):
            os.makedirs(os.path.join(self.folder, "state"), exist_ok=True)
            self.run_tool(*arguments, code=1)

    def test_file(self) -> None:
        """Keys of the file are listed too, and are to be changed there."""
        self.run_tool("add", "bob", "--access-key", "BOB")
        path = Path(self.mktemp())
        path.write_text(f"MINE {SECRET} carol disabled\nBOB {SECRET} robert\n")
        path.chmod(0o600)
        self.options += ["-D", f"alluxio.worker.s3.access.keys.path={path}"]
        self.options += ["-D", "alluxio.worker.s3.authentication.type=SIGV4"]
        rows = [[row[0], row[1], row[2], row[4]] for row in self.rows()]
        self.assertEqual(
            rows,
            [
                ["MINE", "carol", "disabled", "file"],
                ["BOB", "robert", "enabled", "file"],
                ["BOB", "bob", "enabled", "state, but the file's counts"],
            ],
        )
        self.assertIn("in the file", self.run_tool("enable", "MINE", code=1).stderr)
        path.write_text("nonsense\n")
        self.assertIn(f"{path}:1: ", self.run_tool("list", code=1).stderr)

    def test_kept_to_us(self) -> None:
        """Nobody else may read what is kept."""
        self.run_tool("add", "bob")
        state = os.path.join(self.folder, "state")
        self.assertEqual(os.stat(state).st_mode & 0o077, 0)
        for name in os.listdir(state):
            mode = os.stat(os.path.join(state, name)).st_mode
            self.assertEqual(mode & 0o077, 0, name)

    def test_elsewhere(self) -> None:
        """That the data folder is new is noted: it may not be the daemon's."""
        self.assertIn("is new", self.run_tool("list").stderr)
        self.assertEqual(self.run_tool("list").stderr, "")
