"""
The commands load, stat and free, beside a daemon.
"""

from __future__ import annotations

import json
import os
import pty
import random
import shutil
import signal
import stat
import subprocess
import sys
from typing import Any

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, set_up, surroundings, until
from tests.blackbox.test_origin import OriginCase

MB = 1 << 20
DATA = random.Random(41).randbytes(3 * MB)
SECONDS = 120.0

SLOWLY = ("--bandwidth", "256KB")
"""A load of 10 MB takes 40 seconds, which nobody waits for: it is stopped, or sped up."""

FAR = set_up(
    mounts=(
        "far=slow+file://{here}/far?latency=5ms",
        "thin=slow+file://{here}/thin?bandwidth=4MB",
        "fixed=slow+file://{here}/fixed?freshness=immutable",
    ),
)


class ToolCase(BlackboxCase):
    """
    A test that runs the tool.
    """

    setting = FAR

    def command(self, *words: str) -> list[str]:
        return [
            *(sys.executable, "-m", "alluxio_tw.app.command", *words),
            *("-D", f"alluxio.tw.data.dir={self.daemon.path('data')}"),
        ]

    def tool(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.daemon.folder,
            env=surroundings(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def beside(self, *words: str) -> subprocess.Popen[str]:
        """Run it beside us."""
        running = subprocess.Popen(
            self.command(*words),
            cwd=self.daemon.folder,
            env=surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(running.communicate)
        self.addCleanup(running.kill)
        return running

    def told(self, *words: str, code: int = 0) -> Any:
        """The last document that it prints."""
        lines = self.tool(*words, "--json", code=code).stdout.splitlines()
        return json.loads(lines[-1])

    def progress(self, path: str) -> Any:
        """How far a load has come, asked without the tool; it is a second's work."""
        from alluxio_tw.app.control import ControlClient

        socket = self.daemon.path("data", "control.sock")
        return ControlClient(socket).get("/v1/load", 30.0, path=path)

    def loading(self, path: str) -> Any:
        """Whether a load is under way, and has something behind it."""
        from alluxio_tw.app.control import DaemonAway, Refused

        try:
            found = self.progress(path)
        except (DaemonAway, Refused):
            return False
        # The position is behind the first object: of four at a time it may be the last.
        return found["state"] == "RUNNING" and found["done"] >= 2 and found["position"]

    def lay(self, bucket: str, key: str, data: bytes) -> None:
        """Put a file into a mount's folder by hand."""
        path = self.daemon.path(bucket, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def verdict(self, target: str, data: bytes) -> str:
        """What X-Cache says of a GET; its body must be right."""
        answer = self.wire().ask("GET", target)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.body == data, "the body is wrong")
        return answer.headers["x-cache"]

    def calls(self, method: str) -> float:
        return self.daemon.metric("alluxio_ufs_calls_total", method=method)


class LoadTests(ToolCase):
    """
    C{alluxio-s3 load}.
    """

    def test_load(self) -> None:
        """What is loaded is served from the cache; loaded again, nothing is read."""
        for number in range(10):
            self.lay("far", f"in/{number}", DATA[: MB + number])
        done = self.tool("load", "/far/in", "--verify")
        self.assertIn("/far/in: SUCCEEDED: 10 objects, 10.0MB loaded", done.stdout)
        reads, asked = self.calls("read"), self.calls("status")
        for number in range(10):
            self.assertEqual(
                self.verdict(f"/far/in/{number}", DATA[: MB + number]), "HIT"
            )
        found = self.told("load", "/far/in/", "--skip-if-exists")
        self.assertEqual(
            [found[name] for name in ("state", "done", "skipped", "loaded_bytes")],
            ["SUCCEEDED", 10, 10, 0],
        )
        self.assertEqual((self.calls("read"), self.calls("status")), (reads, asked))

    def test_bar(self) -> None:
        """Who looks sees a bar that comes to its end."""
        for number in range(5):
            self.lay("far", f"bar/{number}", DATA[:1000])
        ours, theirs = pty.openpty()
        running = subprocess.Popen(
            self.command("load", "/far/bar"),
            cwd=self.daemon.folder,
            env=surroundings({"TERM": "xterm", "COLUMNS": "120"}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:
            # So a terminal ends.
            pass
        os.close(ours)
        self.assertEqual(running.wait(SECONDS), 0)
        self.assertIn(b"100%", seen)
        self.assertIn(b"5 of 5 objects", seen)

    def test_bandwidth(self) -> None:
        """No more is read in a time than was allowed in it."""
        for number in range(8):
            self.lay("far", f"slowly/{number}", DATA[:MB])
        done = self.tool("load", "/far/slowly", "--bandwidth", "4MB", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        for each in found:
            # A page at a time, and the first is not waited for.
            self.assertLessEqual(each["loaded_bytes"], 4 * MB * each["seconds"] + MB)
        self.assertEqual(found[-1]["loaded_bytes"], 8 * MB)

    def test_submit(self) -> None:
        """A load that is submitted goes on without us; it is asked about, and stopped."""
        for number in range(20):
            self.lay("thin", f"submit/{number:02}", DATA[: MB // 2])
        found = self.told("load", "/thin/submit", "--submit", *SLOWLY)
        self.assertEqual(found["state"], "RUNNING")
        until(lambda: self.loading("/thin/submit"), 60)
        self.assertIn("/thin/submit", self.tool("load", "--progress").stdout)
        stopped = self.told("load", "/thin/submit", "--stop")
        self.assertEqual(stopped["state"], "STOPPED")
        self.assertEqual(self.progress("/thin/submit")["state"], "STOPPED")
        self.assertLess(stopped["done"], 20)
        found = self.told("load", "/thin/submit", "--bandwidth", "100MB")
        self.assertEqual(
            [found[name] for name in ("state", "done", "objects")],
            ["SUCCEEDED", 20, 20],
        )

    def test_interrupted(self) -> None:
        """Interrupted by Ctrl-C it stops; the same command goes on from there."""
        for number in range(20):
            self.lay("thin", f"ctrl/{number:02}", DATA[: MB // 2])
        loaded = self.daemon.metric("alluxio_external_data_read_bytes_total")
        running = self.beside("load", "/thin/ctrl", *SLOWLY)
        until(lambda: self.loading("/thin/ctrl"), 60)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=SECONDS)
        self.assertEqual(running.returncode, 130, out + said)
        self.assertIn("The same command goes on from there.", said)
        self.assertEqual(self.progress("/thin/ctrl")["state"], "STOPPED")
        done = self.tool("load", "/thin/ctrl")
        self.assertIn("Going on after", done.stderr)
        self.assertIn("SUCCEEDED: 20 objects", done.stdout)
        # What was under way, four objects, may have been begun anew.
        after = self.daemon.metric("alluxio_external_data_read_bytes_total")
        self.assertLessEqual(after - loaded, 12 * MB)

    def test_nothing(self) -> None:
        """What cannot be loaded is said in a line, and the status is 1."""
        for path, said in (
            ("/far/none", "There is nothing at /far/none."),
            ("/demo", "caching is off for the mount /"),
        ):
            done = self.tool("load", path, code=1)
            self.assertIn(said, done.stdout)
        for words, said in (
            (("load", "far"), "write /bucket"),
            (("load", "/far", "--bandwidth", "fast"), "is not a size"),
            (("load",), "say what to load"),
            (("load", "/far", "--stop", "--submit"), "one at a time"),
            (("load", "/far/never", "--progress"), "There is no load"),
        ):
            done = self.tool(*words, code=1)
            self.assertIn(said, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


class KilledTests(ToolCase):
    """
    A daemon that is killed.
    """

    own = True
    setting = set_up(mounts=("thin=slow+file://{here}/thin?bandwidth=4MB",))

    def test_killed(self) -> None:
        """After kill -9 the load goes on where it was, and nothing is left out."""
        for number in range(30):
            self.lay("thin", f"{number:02}", DATA[: MB // 2])
        running = self.beside("load", "/thin", "--verify", *SLOWLY)
        # Written down once a second.
        until(lambda: self.loading("/thin"), 60)
        since = self.progress("/thin")["seconds"]
        until(lambda: self.progress("/thin")["seconds"] > since + 3, 60)
        self.daemon.kill()
        out, said = running.communicate(timeout=SECONDS)
        self.assertEqual(running.returncode, 1, out + said)
        self.assertIn("The daemon went away.", said)
        away = self.tool("load", "/thin", code=1)
        self.assertIn("No daemon listens at", away.stderr)
        self.restart()
        until(lambda: "going on with the load of /thin " in self.daemon.log(), 30)
        done = self.tool("load", "/thin", "--verify")
        self.assertIn("SUCCEEDED: 30 objects", done.stdout)
        found = self.told("stat", "/thin")
        self.assertEqual((found["cached_objects"], found["percent"]), (30, 100))
        # It did not begin at the beginning.
        self.assertNotIn("going on with the load of /thin after ''", self.daemon.log())


class StatTests(ToolCase):
    """
    C{alluxio-s3 stat} and C{free}.
    """

    def test_stat(self) -> None:
        """What is cached is told, and asking reads nothing."""
        self.lay("far", "stat/k", DATA)
        self.lay("far", "stat/other", DATA[:MB])
        self.wire().ask("GET", "/far/stat/k", range="bytes=1048576-1048585")
        until(lambda: self.told("stat", "/far/stat/k")["cached_pages"] == 1, 30)
        loads = self.daemon.metric("alluxio_cache_loads_total")
        rows = dict(
            line.split("\t")
            for line in self.tool("stat", "/far/stat/k").stdout.splitlines()
        )
        self.assertEqual(rows["cached"], "1 of 3 pages, 1.0MB")
        self.assertEqual(rows["policy"], "max-age 1min")
        found = self.told("stat", "/far/stat/")
        self.assertEqual(
            [found[name] for name in ("objects", "bytes", "cached_bytes", "percent")],
            [2, 4 * MB, MB, 25],
        )
        self.assertEqual(self.daemon.metric("alluxio_cache_loads_total"), loads)
        self.assertIn("nothing at", self.tool("stat", "/far/none", code=1).stderr)

    def test_free(self) -> None:
        """After free, a change behind our back is seen, though the mount is immutable."""
        for path in ("/fixed/d/k", "/fixed/d", "/fixed"):
            self.lay("fixed", "d/k", DATA[:MB])
            self.tool("free", "/fixed")
            self.verdict("/fixed/d/k", DATA[:MB])
            self.lay("fixed", "d/k", DATA[MB : 3 * MB])
            # Nobody looks.
            self.verdict("/fixed/d/k", DATA[:MB])
            found = self.told("free", path)
            self.assertEqual((found["objects"], found["bytes"]), (1, MB))
            self.verdict("/fixed/d/k", DATA[MB : 3 * MB])

    def test_metadata_only(self) -> None:
        """With metadata-only, pages of what has not changed are still of use."""
        self.lay("fixed", "m/k", DATA[:MB])
        self.tool("load", "/fixed/m")
        self.tool("free", "/fixed/m", "--metadata-only")
        self.assertEqual(self.verdict("/fixed/m/k", DATA[:MB]), "HIT")
        self.tool("free", "/fixed/m")
        self.assertEqual(self.verdict("/fixed/m/k", DATA[:MB]), "MISS")

    def test_curl(self) -> None:
        """The socket can be used by scripts; nobody else can open it."""
        path = self.daemon.path("data", "control.sock")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        if shutil.which("curl") is None:
            raise clients.absent("curl")
        self.lay("far", "curl/k", DATA[:1000])
        curl = ["curl", "-sS", "--unix-socket", path]
        text = subprocess.check_output(
            [*curl, "http://daemon/v1/load", "-d", '{"path": "/far/curl"}']
        )
        self.assertEqual(json.loads(text)["path"], "/far/curl")
        until(lambda: self.progress("/far/curl")["state"] == "SUCCEEDED", 30)
        text = subprocess.check_output(
            [*curl, "http://daemon/v1/stat?path=/far/curl/k"]
        )
        self.assertEqual(json.loads(text)["cached_pages"], 1)


class DeadOriginTests(OriginCase, ToolCase):
    """
    A storage that is gone.
    """

    setting = Setting()
    options = "&connect_timeout=1s"

    def test_dead(self) -> None:
        """It ends with what is wrong, and does not hang; free works all the same."""
        self.begin()
        s3 = self.from_origin()
        for number in range(4):
            s3.put_object(Bucket="demo", Key=f"d/{number}", Body=DATA[:MB])
        self.assertEqual(self.told("load", "/far/d/1", "--verify")["verified"], 1)
        asked = self.calls("status"), self.calls("read")
        found = self.told("load", "/far/d/1", "--metadata-only", "--skip-if-exists")
        self.assertEqual((found["state"], found["skipped"]), ("SUCCEEDED", 1))
        self.assertEqual((self.calls("status"), self.calls("read")), asked)
        self.origin.kill()
        done = self.tool("load", "/far/d", code=1)
        self.assertIn("/far/d: FAILED", done.stdout)
        self.assertIn("cannot be reached", done.stdout)
        found = self.told("free", "/far")
        self.assertEqual((found["objects"], found["bytes"]), (1, MB))
