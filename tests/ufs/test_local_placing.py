"""
What is written is there whole or not at all, whatever happens meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from alluxio_tw.errors import (
    PathConflict,
    PreconditionFailed,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from alluxio_tw.ibody import FileSpan
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Demand
from alluxio_tw.iufs import Surroundings
from alluxio_tw.testing.ufs import ETAG, OTHER, get, put
from alluxio_tw.ufs.local import LocalUFS, make
from alluxio_tw.ufs.local_syscalls import rename_new
from tests.doubles_threads import HeldThreads
from tests.ufs.test_local_tree import LocalTestCase


class PlacingTests(LocalTestCase):
    def leftovers(self) -> list[str]:
        try:
            return os.listdir(self.path(".alluxio-tw/tmp"))
        except FileNotFoundError:
            return []

    def test_no_leftovers(self) -> None:
        """Nothing temporary stays behind, however it ends."""
        self.put("key", b"x" * 1_000_000)
        placing = self.successResultOf(self.ufs.place("key", None))
        self.successResultOf(placing.write(b"x" * 1_000_000))
        self.assertEqual(len(self.leftovers()), 1)
        self.successResultOf(placing.abort())
        os.mkfifo(self.path("pipe"))
        for key, demand in (("key", Demand(absent=True)), ("pipe/x", NO_DEMAND)):
            self.failureResultOf(
                put(self.ufs, key, b"x" * 1_000_000, demand=demand),
                PreconditionFailed,
                PathConflict,
            )
        self.assertEqual(self.leftovers(), [])

    def test_same_time(self) -> None:
        """A version of the same size that follows at once has another time."""
        times = []
        for n in range(20):
            self.put("key", b"%02d" % n)
            times.append(os.stat(self.path("key")).st_mtime_ns)
        self.assertTrue(all(a != b for a, b in pairwise(times)))

    def test_rename_new(self) -> None:
        """Where the kernel can, not even another program's file is replaced."""
        for name in ("one", "two"):
            self.write(name)
        fd = os.open(self.root, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        rename_new(fd, b"one", fd, b"free")
        self.assertRaises(FileExistsError, rename_new, fd, b"two", fd, b"free")

    def test_abandoned(self) -> None:
        """After an abort nothing more is written."""
        placing = self.successResultOf(self.ufs.place("key", None))
        self.successResultOf(placing.abort())
        self.failureResultOf(
            placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND), StorageUnavailable
        )
        self.assertEqual(self.listed(), [])

    def test_source_shrinks(self) -> None:
        """A piece of a file that became shorter fails, and nothing is placed."""
        path = self.write("source", b"x" * 1000)
        with open(path, "rb") as opened:
            self.failureResultOf(
                put(self.ufs, "key", [FileSpan(opened.fileno(), 0, 2000)])
            )
        self.assertEqual(self.listed(), ["source"])

    def test_join_after_death(self) -> None:
        """Parts are all there until the object is."""
        for n in range(3):
            self.put(f".alluxio-tw/uploads/u/{n}", b"%d" % n * 100_000)
        sources = [f".alluxio-tw/uploads/u/{n}" for n in range(3)]
        os.mkfifo(self.path("key"))
        self.failureResultOf(
            self.ufs.join(sources, "key", NO_ATTRIBUTES, OTHER, NO_DEMAND),
            PathConflict,
        )
        self.assertEqual(self.listed(".alluxio-tw/uploads/"), sources)
        self.successResultOf(
            self.ufs.join(sources, "other", NO_ATTRIBUTES, OTHER, NO_DEMAND)
        )
        self.assertEqual(self.listed(".alluxio-tw/"), [])

    def test_sync(self) -> None:
        """A mount that syncs writes, deletes and describes as any other."""
        self.ufs = self.mount(sync="true")
        said = Attributes(user={"a": "b"})
        for key, data in (("a/b/key", b"x" * 300_000), ("a/c/", b"")):
            made = self.successResultOf(put(self.ufs, key, data))
            self.successResultOf(self.ufs.describe(key, made, said))
            self.assertEqual(self.successResultOf(get(self.ufs, key)), data)
            self.successResultOf(self.ufs.delete(key, NO_DEMAND))
        self.successResultOf(self.ufs.make_folder("bucket"))
        self.successResultOf(self.ufs.remove_folder("bucket"))
        self.assertEqual(os.listdir(self.root), [".alluxio-tw"])


class CancelTests(LocalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.threads = HeldThreads()
        around = Surroundings(IReactorTime(reactor), self.threads)
        made = make("file://" + self.root, {"sync": "false"}, around)
        assert isinstance(made, LocalUFS)
        self.held = made

    def test_cancelled_write(self) -> None:
        """A write that is given up while a thread is at it is waited for, then undone."""
        placing = self.successResultOf(self.held.place("key", None))
        writing = placing.write(b"x" * 1_000_000)
        writing.cancel()
        self.failureResultOf(writing, CancelledError)
        aborting = placing.abort()
        self.assertNoResult(aborting)
        self.assertEqual(len(self.threads), 1)
        self.threads.release_all()
        self.successResultOf(aborting)
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])

    def test_cancelled_commit(self) -> None:
        """A commit that is given up while a thread is at it blocks the key till then."""
        placing = self.successResultOf(self.held.place("key", None))
        self.successResultOf(placing.write(b"first"))
        committing = placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        committing.cancel()
        self.failureResultOf(committing, CancelledError)
        aborting = placing.abort()
        deleting = self.held.delete("key", Demand(match=(ETAG,)))
        self.assertEqual(len(self.threads), 1)
        self.threads.release_all()
        self.successResultOf(aborting)
        self.assertEqual(self.successResultOf(deleting), True)
        self.assertEqual(self.listed(), [])

    def test_cancelled_copy(self) -> None:
        """A copy that is given up reads on from its own descriptor, then is undone."""
        self.put("source", b"x" * 1000)
        status = self.successResultOf(self.ufs.status("source"))
        copying = self.held.copy(
            "source", status, "target", NO_ATTRIBUTES, ETAG, NO_DEMAND
        )
        self.threads.release()
        self.assertEqual(len(self.threads), 1)
        copying.cancel()
        self.failureResultOf(copying, CancelledError)
        self.threads.release_all()
        self.assertEqual(self.listed(), ["source"])
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])


class DiskTests(LocalTestCase):
    """
    On file systems of their own, mounted where that is allowed.
    """

    def disk(self, path: str, *options: str) -> None:
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", path],
            capture_output=True,
        )
        if done.returncode:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(
            subprocess.run, ["umount", "-l", path], capture_output=True, check=True
        )

    def test_full(self) -> None:
        """A full disk is told as such; the old object stays, and no litter."""
        self.disk(self.root, "size=1m")
        self.ufs = self.mount()
        self.put("key", b"old" * 1000)
        for _ in range(3):
            self.failureResultOf(
                put(self.ufs, "key", [b"x" * 400_000] * 4), StorageFull
            )
        self.assertEqual(self.get("key"), b"old" * 1000)
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])
        self.put("other", b"x" * 800_000)

    def test_read_only(self) -> None:
        """A read-only file system is read, and says so when written to."""
        self.disk(self.root, "size=1m")
        self.write("a/key", b"there")
        subprocess.run(["mount", "-o", "remount,ro", self.root], check=True)
        self.ufs = self.mount()
        self.assertEqual(self.get("a/key"), b"there")
        self.assertEqual(self.listed(), ["a/key"])
        self.refuses("a/other", StorageReadOnly)
        self.failureResultOf(self.ufs.delete("a/key", NO_DEMAND), StorageReadOnly)

    def test_other_file_system(self) -> None:
        """An object on another file system within the tree is placed as well."""
        self.disk(self.path("disk"), "size=4m")
        said = Attributes(user={"a": "b"})
        for demand in (Demand(absent=True), NO_DEMAND):
            made = self.successResultOf(
                put(self.ufs, "disk/a/key", b"x" * 600_000, OTHER, said, demand)
            )
            self.assertEqual(self.successResultOf(self.ufs.status("disk/a/key")), made)
            self.assertEqual(self.get("disk/a/key"), b"x" * 600_000)
        self.assertEqual(self.listed(), ["disk/a/key"])
        self.assertEqual(os.listdir(self.path("disk/a")), ["key"])
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])
        self.failureResultOf(
            put(self.ufs, "disk/full", [b"x" * 1_000_000] * 5), StorageFull
        )
        self.assertEqual(self.listed(), ["disk/a/key"])

    def test_sweep_other_file_system(self) -> None:
        """What died on another file system is found by its note."""
        self.disk(self.path("disk"), "size=4m")
        self.put("disk/a/key")
        beside = self.ufs._scratch.make_beside(b"disk/a/new")
        os.close(beside.fd)  # as its process would, dying
        beside.fd = -1
        self.assertEqual(len(os.listdir(self.path("disk/a"))), 2)
        self.assertEqual(self.listed(), ["disk/a/key"])
        self.successResultOf(self.ufs.sweep(-60))
        self.assertEqual(os.listdir(self.path("disk/a")), ["key"])
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])


WRITER = """
import os, sys
from twisted.internet import reactor
from alluxio_tw.iufs import Surroundings
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.testing.ufs import put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.local import make

def now(work):
    done = []
    work.addCallbacks(done.append, lambda failure: failure.printTraceback())
    return done[0]

from twisted.internet.defer import Deferred
ufs = make("file://" + sys.argv[1], {"sync": "false"}, Surroundings(reactor, NoThreads()))
placing = now(ufs.place("held", None))
now(placing.write(b"x" * 1_000_000))
print("writing", flush=True)
n = 0
while True:
    n += 1
    data = b"%06d" % n * 100_000
    now(Deferred.fromCoroutine(put(ufs, "key", [data[:300_000], data[300_000:]])))
"""


class DeathTests(LocalTestCase):
    def die(self, after: float) -> None:
        """Kill a writer in the middle of its work."""
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, self.root],
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        assert process.stdout is not None
        with process.stdout:
            self.assertEqual(process.stdout.readline(), b"writing\n")
            until(lambda: os.path.exists(self.path("key")))
            deadline = time.monotonic() + after
            until(lambda: time.monotonic() > deadline)
            process.send_signal(signal.SIGKILL)
            process.wait()

    def test_killed(self) -> None:
        """A writer that is killed leaves whole objects, and litter to be swept."""
        for after in (0.0, 0.013, 0.029):
            self.die(after)
            data = self.get("key")
            self.assertEqual(len(data), 600_000)
            self.assertEqual(data, data[:6] * 100_000)
            self.assertEqual(self.successResultOf(self.ufs.status("key")).etag, ETAG)
            self.assertEqual(self.listed(), ["key"])
        left = os.listdir(self.path(".alluxio-tw/tmp"))
        self.assertGreaterEqual(len(left), 3)
        self.assertEqual(self.successResultOf(self.ufs.sweep(3600)), 0)
        self.assertEqual(self.successResultOf(self.ufs.sweep(-60)), len(left))
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])

    def test_living_not_swept(self) -> None:
        """What a living writer of another process writes is not swept."""
        placing = self.successResultOf(self.mount().place("key", None))
        self.successResultOf(placing.write(b"x" * 1_000_000))
        self.assertEqual(self.successResultOf(self.ufs.sweep(-60)), 0)
        self.successResultOf(placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND))
        self.assertEqual(self.get("key"), b"x" * 1_000_000)


def until(true: Callable[[], bool]) -> None:
    """Look again and again, as what is looked for is another process's."""
    deadline = time.monotonic() + 30
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
