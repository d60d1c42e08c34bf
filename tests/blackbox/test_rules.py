"""
Rules per key pattern, in the running daemon.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any, ClassVar

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import arguments, launch, set_up, surroundings, until

KB, MB = 1 << 10, 1 << 20

FILE = "alluxio.user.client.cache.filter.config.file"
INTERVAL = "alluxio.user.client.cache.filter.config.check.interval"
FAR = "far=slow+file://{here}/far?latency=20ms"


def tool(*given: str, folder: str) -> subprocess.CompletedProcess[str]:
    """Run C{alluxio-s3}."""
    return subprocess.run(
        [sys.executable, "-m", "alluxio_tw.app.command", *given],
        cwd=folder,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=120,
    )


class RulesCase(BlackboxCase):
    """
    A test with a daemon of its own, and its rules.

    :cvar rules: that it begins with.
    """

    rules: ClassVar[dict[str, Any]] = {}
    interval: ClassVar[str] = "1h"
    own = True

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.write(self.rules)
        self.setting = set_up(  # type: ignore[misc]
            f"{FILE}={self.path}", f"{INTERVAL}={self.interval}", mounts=(FAR,)
        )
        super().setUp()

    def write(self, sections: dict[str, Any] | str) -> None:
        """Write the file, as an editor does it."""
        text = sections
        if not isinstance(text, str):
            text = json.dumps({"apiVersion": 1, **text})
        with open(self.path + "~", "w") as file:
            file.write(text)
        os.replace(self.path + "~", self.path)

    def reload(self) -> None:
        """Have the daemon read it, and wait until it has."""
        said = self.daemon.said()
        self.daemon.signal(signal.SIGHUP)
        until(
            lambda: (
                "rules were read" in self.daemon.log(said)
                or "rules stay" in self.daemon.log(said)
            ),
            30,
            "the rules are read",
        )

    def lay(self, key: str, data: bytes) -> None:
        """Put an object at the origin."""
        path = self.daemon.path("far", key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + "~", "wb") as file:
            file.write(data)
        os.replace(path + "~", path)

    def get(self, key: str, span: str = "") -> Any:
        headers = {"range": f"bytes={span}"} if span else {}
        return self.wire().ask("GET", f"/far/{key}", **headers)

    def kept(self, key: str, span: str = "") -> None:
        """Wait until it is a hit."""
        until(lambda: self.get(key, span).headers["x-cache"] == "HIT", 10)

    def calls(self, method: str) -> int:
        return int(self.daemon.metric("alluxio_ufs_calls_total", method=method))

    def tool(self, *given: str) -> subprocess.CompletedProcess[str]:
        """Run the tool with the daemon's configuration."""
        described = arguments(self.daemon.setting, self.daemon.folder)
        return tool(*given, *described, folder=self.daemon.folder)


class KindsTests(RulesCase):
    """
    What rules say, in what the daemon does.
    """

    rules: ClassVar[dict[str, Any]] = {
        "data": {"skipCache": [".*/tmp/.*"]},
        "metadata": {
            "immutable": [".*/parts/.*"],
            "skipCache": [".*/_SUCCESS"],
            "maxAge": {".*/tables/.*": "1h", ".*/tables/brief/.*": "200ms"},
        },
        "rules": [
            {"pattern": ".*/small/.*", "pageSize": "64KB", "tier": "DISK"},
            {"pattern": ".*/hot/.*", "tier": "MEM"},
            {"pattern": ".*/slow/.*", "hedgeAfter": "1ms"},
        ],
    }

    def test_freshness(self) -> None:
        """Each object is as fresh as the rule for it says."""
        for key in ("parts/a", "_SUCCESS", "tables/a", "tables/brief/a"):
            self.lay(key, b"one")
            self.assertEqual(self.get(key).body, b"one")
            self.lay(key, b"other")
        self.assertEqual(self.get("parts/a").body, b"one")
        self.assertEqual(self.get("tables/a").body, b"one")
        self.assertEqual(self.get("_SUCCESS").body, b"other")
        until(lambda: self.get("tables/brief/a").body == b"other", 10)

    def test_skipped(self) -> None:
        """What is not to be cached comes from the storage each time."""
        self.lay("tmp/a", b"x" * 5000)
        before = self.calls("read")
        for _ in range(3):
            answer = self.get("tmp/a")
            self.assertEqual(answer.headers["x-cache"], "BYPASS")
            self.assertEqual(answer.body, b"x" * 5000)
        self.assertEqual(self.get("tmp/a", "10-19").body, b"x" * 10)
        self.assertEqual(self.calls("read") - before, 4)
        self.assertEqual(self.daemon.metric("alluxio_cached_pages"), 0)

    def test_pages(self) -> None:
        """A page is as large, and lies where, the rule says."""
        loaded = "alluxio_external_data_read_bytes_total"
        data = os.urandom(300 * KB)
        for key, size, tier in (
            ("small/a", 64 * KB, self.daemon.path("data", "cache")),
            ("hot/a", 300 * KB, "memory"),
        ):
            self.lay(key, data)
            before = self.daemon.metric(loaded)
            pages = self.daemon.metric("alluxio_cached_pages", tier=tier)
            self.assertEqual(self.get(key, "70000-70009").body, data[70000:70010])
            self.kept(key, "70000-70009")
            self.assertEqual(self.daemon.metric(loaded) - before, size, key)
            self.assertEqual(
                self.daemon.metric("alluxio_cached_pages", tier=tier) - pages, 1, key
            )
            self.assertTrue(self.get(key).body == data)

    def test_after_a_restart(self) -> None:
        """Pages of a size of their own are found again after a restart."""
        data = os.urandom(300 * KB)
        self.lay("small/b", data)
        self.assertTrue(self.get("small/b").body == data)
        until(lambda: self.get("small/b").headers["x-cache"] == "HIT", 10)
        self.assertEqual(self.daemon.stop(), 0)
        self.restart()
        until(lambda: self.daemon.metric("alluxio_cached_pages") >= 5, 30)
        answer = self.get("small/b")
        self.assertEqual(answer.headers["x-cache"], "HIT")
        self.assertTrue(answer.body == data)
        self.assertEqual(self.calls("read"), 0)

    def test_hedged(self) -> None:
        """Late reads are asked for again where a rule says it, and only there."""
        hedged = "alluxio_ufs_origin_hedged_reads_total"
        self.lay("a", b"x")
        self.get("a")
        self.assertEqual(self.daemon.metric(hedged), 0)
        self.lay("slow/a", b"x" * 100_000)
        self.assertEqual(self.get("slow/a").body, b"x" * 100_000)
        self.assertEqual(self.daemon.metric(hedged), 1)

    def test_explained(self) -> None:
        """The tool says which rule applies, as the daemon that runs has it."""
        found = self.tool("rules", "explain", "/far/tables/small/a")
        self.assertEqual(found.returncode, 0, found.stderr)
        for line in (
            "freshness\tmax-age 1h\trule metadata.maxAge .*/tables/.*",
            "pageSize\t64KB\trule rules[0] .*/small/.*",
            "negativeAge\t1s\tdefault",
        ):
            self.assertIn(line, found.stdout)
        self.assertNotIn("Note", found.stderr)
        self.write({"metadata": {"skipCache": [".*"]}})
        self.reload()
        found = self.tool("rules", "explain", "--json", "/far/tables/small/a")
        document = json.loads(found.stdout)
        self.assertEqual(
            document["rules"], [{"origin": "metadata.skipCache[0]", "pattern": ".*"}]
        )
        found = self.tool("rules", "explain", "/demo/a")
        self.assertIn("the storage is near; rules do not count", found.stdout)
        self.daemon.kill()
        found = self.tool("rules", "explain", "/far/a")
        self.assertIn("no daemon runs", found.stderr)
        self.assertIn("always asked\trule metadata.skipCache[0] .*", found.stdout)


class ReloadTests(RulesCase):
    """
    Rules that change while the daemon runs.
    """

    rules: ClassVar[dict[str, Any]] = {"metadata": {"immutable": [".*"]}}

    def test_hang_up(self) -> None:
        """At SIGHUP new rules count from the next request on."""
        self.lay("a", b"one")
        self.assertEqual(self.get("a").body, b"one")
        self.lay("a", b"other")
        self.assertEqual(self.get("a").body, b"one")
        self.write({"metadata": {"skipCache": [".*/a"]}})
        self.reload()
        self.assertEqual(self.get("a").body, b"other")
        self.write({})
        self.reload()
        self.lay("a", b"third")
        # A minute is the default of a far storage.
        self.assertEqual(self.get("a").body, b"other")

    def test_wrong(self) -> None:
        """A file that has become wrong leaves the rules as they were, and says why."""
        self.lay("a", b"one")
        self.assertEqual(self.get("a").body, b"one")
        self.lay("a", b"other")
        self.write('{"apiVersion": 1, "metadata": {"skipCach": [".*"]}}')
        self.reload()
        self.assertIn("did you mean skipCache?", self.daemon.log())
        self.assertEqual(self.get("a").body, b"one")
        self.daemon.signal(signal.SIGHUP)
        until(lambda: self.daemon.log().count("logs were opened anew") >= 2, 30)
        os.unlink(self.path)
        self.daemon.signal(signal.SIGHUP)
        until(lambda: self.daemon.log().count("rules stay as they were") >= 2, 30)
        self.assertEqual(self.daemon.log().count("rules stay as they were"), 2)
        self.assertEqual(self.get("a").body, b"one")
        self.forgive("rules stay")


class IntervalTests(RulesCase):
    """
    Rules that are looked at now and then.
    """

    rules: ClassVar[dict[str, Any]] = {"metadata": {"immutable": [".*"]}}
    interval = "100ms"

    def test_interval(self) -> None:
        """New rules count within the interval, without a signal."""
        self.lay("a", b"one")
        self.assertEqual(self.get("a").body, b"one")
        self.lay("a", b"other")
        self.assertEqual(self.get("a").body, b"one")
        self.write({"metadata": {"skipCache": [".*"]}})
        until(lambda: self.get("a").body == b"other", 30, "the new rules count")


class StartTests(BlackboxCase):
    """
    Files that a daemon does not start with.
    """

    def test_wrong(self) -> None:
        """A wrong file stops the start, with one line that says what to write."""
        folder = self.folder()
        path = os.path.join(folder, "rules.json")
        for text, why in (
            ('{"apiVersion": 1, "rules": [{"pattern": "("}]}', "regular expression"),
            ('{"apiVersion": 7}', "write 1"),
            ("", "not JSON"),
        ):
            with open(path, "w") as file:
                file.write(text)
            given = arguments(set_up(f"{FILE}={path}"), folder)
            process, log = launch(folder, given)
            self.assertEqual(process.wait(60), 1)
            with open(log) as said:
                last = said.read().strip().splitlines()[-1]
            self.assertIn(f"the rules in {path}: ", last)
            self.assertIn(why, last)
            found = tool("rules", "check", path, folder=folder)
            self.assertEqual(found.returncode, 1)
            self.assertIn(why, found.stderr)

    def test_check(self) -> None:
        """The tool checks a file, with the page store as it is configured."""
        folder = self.folder()
        path = os.path.join(folder, "rules.json")
        with open(path, "w") as file:
            rule = {"pattern": ".*", "pageSize": "8MB"}
            json.dump({"apiVersion": 1, "rules": [rule]}, file)
        found = tool("rules", "check", path, folder=folder)
        self.assertEqual((found.returncode, found.stderr), (0, ""))
        self.assertIn("well: 1 rules, 1 patterns", found.stdout)
        small = "alluxio.worker.page.store.load.memory=4MB"
        found = tool("rules", "check", path, "-D", small, folder=folder)
        self.assertEqual(found.returncode, 1)
        self.assertIn("alluxio.worker.page.store.load.memory", found.stderr)
