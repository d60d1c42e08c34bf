"""
The commands C{alluxio-s3 mount}, without a daemon.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.app.command import main
from alluxio_tw.app.mountcheck import PATIENCE, look
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.entries import MountEntry
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.threads import NoThreads

SECRET = "wJalrXUtnFEMI/K7MDENG"


class MountCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.storage = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.folder, "state"), 0o700)
        os.mkdir(self.storage)
        self.options: list[str] = ["-D", f"alluxio.tw.data.dir={self.folder}"]

    def run_tool(self, *arguments: str, code: int = 0, given: str = "") -> Result:
        cleared = {name: None for name in os.environ if name.startswith("ALLUXIO_")}
        result = CliRunner().invoke(
            main, ["mount", *arguments, *self.options], input=given, env=cleared
        )
        self.assertEqual(result.exit_code, code, result.output)
        if code:
            self.assertEqual(result.stdout, "")
        return result

    def add(self, path: str, uri: str = "", *more: str, **given: Any) -> Result:
        return self.run_tool(
            *("add", "--no-check", "--path", path, "--ufs-uri", uri or self.storage),
            *more,
            **given,
        )

    def refused(self, *arguments: str, given: str = "") -> str:
        """What it says in its one line."""
        said = self.run_tool(*arguments, code=1, given=given).stderr.splitlines()
        self.assertEqual(len(said), 1, said)
        self.assertTrue(said[0].startswith("Error: "), said)
        return said[0]

    def listed(self) -> dict[str, dict[str, Any]]:
        found = json.loads(self.run_tool("list", "--json").stdout)
        return {each["path"]: each for each in found}

    def state(self) -> EmbeddedState:
        return EmbeddedState.open(
            os.path.join(self.folder, "state"), Clock(), NoThreads()
        )


class AddTests(MountCase):
    def test_add(self) -> None:
        """What is added is listed; a folder may be named by its path."""
        result = self.add("/photos/")
        self.assertIn("No daemon listens", result.stderr)
        self.assertEqual(
            self.listed()["/photos"],
            {
                "path": "/photos",
                "uri": f"file://{self.storage}",
                "options": {},
                "origin": "state",
                "fallback": False,
                "revision": "1",
                "mounted": False,
                "read_only": False,
                "wrong": None,
            },
        )
        lines = self.run_tool("list").stdout.splitlines()
        self.assertEqual(
            lines[1].split("\t"),
            ["/photos", f"file://{self.storage}", "", "", "state", "no daemon"],
        )

    def test_read_only(self) -> None:
        """A mount may refuse every write."""
        self.add("/photos", "", "--read-only")
        self.add("/query", f"file://{self.storage}?readonly=true")
        for path in ("/photos", "/query"):
            self.assertTrue(self.listed()[path]["read_only"])

    def test_refused(self) -> None:
        """What cannot be mounted is refused, in one line that says why."""
        add = ("add", "--no-check", "--path")
        for path, uri, more, told in (
            ("photos", self.storage, (), "cannot be a mount's path"),
            ("/p!", self.storage, (), "cannot be a mount's path"),
            ("/photos/../x", self.storage, (), "cannot be a mount's path"),
            ("/photos", "fle:///x", (), "did you mean 'file'"),
            ("/photos", self.storage, ("--option", "snc=1"), "did you mean 'sync'"),
            ("/photos", self.storage, ("--option", "maxAge=1"), "'max-age'"),
            ("/photos", self.storage, ("--option", "sync"), "NAME=VALUE"),
            ("/photos", self.storage, ("--option", "sync=@none"), "cannot be read"),
            ("/photos", self.storage, ("--option-file", "none"), "cannot be read"),
        ):
            said = self.refused(*add, path, "--ufs-uri", uri, *more)
            self.assertIn(told, said)
        self.assertEqual(list(self.listed()), ["/"])

    def test_unavailable(self) -> None:
        """What may come to be can be written; the configuration's wrong cannot."""
        result = self.add("/photos", f"{self.storage}/not/yet")
        self.assertIn("Note: ", result.stderr)
        self.assertIn("/photos", self.listed())

    def test_taken(self) -> None:
        """A path that has a mount is refused, with where that is said."""
        self.add("/photos")
        self.assertIn(
            "update",
            self.refused(
                "add", "--no-check", "--path", "/photos", "--ufs-uri", self.storage
            ),
        )
        self.options += ["--mount", f"mine={self.storage}"]
        said = self.refused(
            "add", "--no-check", "--path", "/mine", "--ufs-uri", self.storage
        )
        self.assertIn("command line", said)
        self.assertIn("changed there", said)

    def test_overruled(self) -> None:
        """What the configuration mounts later overrules what was added, and is shown so."""
        self.add("/photos", "memory:///")
        self.options += ["--mount", f"photos={self.storage}"]
        rows = [row.split("\t") for row in self.run_tool("list").stdout.splitlines()]
        self.assertEqual(
            [(row[0], row[1], row[4]) for row in rows[1:]],
            [
                ("/photos", "memory:///", "state"),
                ("/photos", f"file://{self.storage}", "command line"),
            ],
        )
        self.assertIn("the configuration mounts something else", rows[1][5])

    def test_nested(self) -> None:
        """A nested mount needs one above it, which is not removed from over it."""
        self.options += ["-D", "alluxio.tw.mount.root.uri="]
        add = ("add", "--no-check", "--ufs-uri", self.storage, "--path")
        self.assertIn("nothing is mounted above", self.refused(*add, "/photos/raw"))
        self.add("/photos")
        self.add("/photos/raw")
        self.assertIn("/photos/raw first", self.refused("remove", "--path", "/photos"))
        self.run_tool("remove", "--path", "/photos/raw")
        self.run_tool("remove", "--path", "/photos")
        self.assertEqual(self.listed(), {})

    def test_settings(self) -> None:
        """What is set of a bucket is not another's by accident."""
        state = self.state()
        kept = json.dumps({"owner": "bob", "policy": "{}"}).encode()
        self.successResultOf(state.put("bucket/photos", kept))
        self.successResultOf(state.close())
        add = ("add", "--no-check", "--path", "/photos", "--ufs-uri", self.storage)
        self.assertIn("(owner, policy): say --settings", self.refused(*add))
        self.run_tool(*add, "--settings", "keep")
        result = self.run_tool("remove", "--path", "/photos")
        self.assertIn("is kept (owner, policy)", result.stderr)
        self.run_tool(*add, "--settings", "forget")
        state = self.state()
        self.addCleanup(state.close)
        self.assertIsNone(state.glance("bucket/photos"))

    def test_too_large(self) -> None:
        """What is too large for the state is refused."""
        said = self.refused(
            *("add", "--no-check", "--path", "/photos"),
            *("--ufs-uri", "memory:///?capacity=" + "0" * 70_000),
        )
        self.assertIn("bytes together", said)


class SecretTests(MountCase):
    S3 = ("s3://bucket", "--option", "access_key=AK")

    def secret(self, options: list[str], given: str = "") -> Result:
        result = self.add("/photos", *self.S3, *options, given=given)
        self.assertNotIn(SECRET, result.output)
        self.assertNotIn(SECRET, self.run_tool("list").output)
        self.assertNotIn(SECRET, self.run_tool("list", "--json").output)
        self.assertEqual(self.listed()["/photos"]["options"]["secret_key"], "***")
        state = self.state()
        held = state.glance("mounts/photos")
        assert held is not None
        options_there = json.loads(held.value)["options"]
        self.assertEqual(options_there["secret_key"], SECRET)
        self.successResultOf(state.close())
        self.run_tool("remove", "--path", "/photos")
        return result

    def test_given(self) -> None:
        """A secret may be in a file or come in, and is in no listing."""
        file = Path(self.mktemp())
        file.write_text(SECRET + "\n")
        noted = "'secret_key' was on the command line"
        result = self.secret(["--option", f"secret_key=@{file}"])
        self.assertNotIn(noted, result.stderr)
        result = self.secret(["--option", "secret_key=-"], given=SECRET + "\n")
        self.assertNotIn(noted, result.stderr)
        result = self.secret(["--option", f"secret_key={SECRET}"])
        self.assertIn(noted, result.stderr)

    def test_file(self) -> None:
        """Options may stand in a file; one that others can read is noted."""
        file = Path(self.mktemp())
        file.write_text(f"secret_key = {SECRET}\nregion=eu\n")
        file.chmod(0o600)
        result = self.secret(["--option-file", str(file)])
        self.assertNotIn("others can read", result.stderr)
        file.chmod(0o644)
        result = self.secret(["--option-file", str(file)])
        self.assertIn("others can read", result.stderr)

    def test_at_sign(self) -> None:
        """A value may begin with an at-sign."""
        result = self.add("/photos", *self.S3, "--option", "secret_key=@@x")
        self.assertEqual(result.exit_code, 0)
        state = self.state()
        self.addCleanup(state.close)
        held = state.glance("mounts/photos")
        assert held is not None
        self.assertEqual(json.loads(held.value)["options"]["secret_key"], "@x")

    def test_refused(self) -> None:
        """Nothing that is refused repeats a secret."""
        for options in (
            ["--option", f"secret_kee={SECRET}"],
            ["--option", SECRET],
            ["--option", f"secret_key={SECRET}", "--option", "retries=many"],
        ):
            result = self.run_tool(
                *("add", "--no-check", "--path", "/photos", "--ufs-uri"),
                *self.S3,
                *options,
                code=1,
            )
            self.assertNotIn(SECRET, result.output)

    def test_kept_to_us(self) -> None:
        """Nobody else may read what is kept."""
        self.add("/photos")
        state = os.path.join(self.folder, "state")
        for name in os.listdir(state):
            mode = os.stat(os.path.join(state, name)).st_mode
            self.assertEqual(mode & 0o077, 0, name)


class ChangeTests(MountCase):
    def update(self, *more: str) -> Result:
        return self.run_tool("update", "--no-check", "--path", "/photos", *more)

    def test_options(self) -> None:
        """Options are added, changed and removed one by one."""
        self.add("/photos", "", "--option", "sync=true", "--option", "max-age=5s")
        self.update("--option", "sync=false", "--remove-option", "max-age")
        self.assertEqual(self.listed()["/photos"]["options"], {"sync": "false"})
        self.update("--read-only")
        self.assertTrue(self.listed()["/photos"]["read_only"])
        self.update("--writable")
        self.assertEqual(self.listed()["/photos"]["options"], {"sync": "false"})

    def test_uri(self) -> None:
        """Another storage makes the bucket a younger one; another option does not."""
        self.add("/photos")
        ages = []
        for more in ((), ("--read-only",), ("--ufs-uri", "memory:///")):
            if more:
                self.update(*more)
            state = self.state()
            held = state.glance("mounts/photos")
            assert held is not None
            ages.append(json.loads(held.value)["created"])
            self.successResultOf(state.close())
        self.assertEqual(ages[0], ages[1])
        self.assertLess(ages[1], ages[2])

    def test_refused(self) -> None:
        """What changes nothing, or what is not there, is refused."""
        update = ("update", "--no-check", "--path", "/photos")
        self.assertIn("nothing was mounted", self.refused(*update, "--read-only"))
        self.add("/photos")
        self.assertIn("nothing to change", self.refused(*update))
        self.assertIn("no option", self.refused(*update, "--remove-option", "sync"))
        self.assertIn("'sync'", self.refused(*update, "--option", "sync=perhaps"))
        self.assertIn("nothing was", self.refused("remove", "--path", "/others"))
        self.assertEqual(self.listed()["/photos"]["options"], {})


class LookTests(TestCase):
    """Asking a storage whether it can be used."""

    async def test_well(self) -> None:
        """One that can be used is well."""
        reactor: Any = _reactor
        entry = MountEntry("/a", "memory:///")
        self.assertEqual(await look(entry, reactor, NoThreads()), "")

    async def test_away(self) -> None:
        """One that cannot says why."""
        reactor: Any = _reactor
        entry = MountEntry("/a", "file:///no/such")
        self.assertIn("No such file", await look(entry, reactor, NoThreads()))
        entry = MountEntry("/a", "memory:///?capcity=1")
        with self.assertRaises(WrongConfiguration):
            await look(entry, reactor, NoThreads())

    def test_hangs(self) -> None:
        """One that does not answer is waited for, but not for ever."""
        clock = Clock()
        entry = MountEntry("/a", f"slow+memory:///?latency={PATIENCE + 5}s")
        looking: Deferred[str] = look(entry, clock, NoThreads())
        clock.advance(PATIENCE - 1)
        self.assertNoResult(looking)
        clock.advance(1)
        self.assertIn("not answered", self.successResultOf(looking))
