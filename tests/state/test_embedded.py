"""
The state in LMDB keeps the contract, across processes, kills and full maps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.errors import (
    OurError,
    Overloaded,
    ShuttingDown,
    StorageFull,
    WrongConfiguration,
)
from alluxio_tw.istate import IState
from alluxio_tw.state import embedded
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.testing.state import StateContract
from alluxio_tw.threads import NoThreads
from tests.doubles_threads import HeldThreads

OTHER = """
import sys
from twisted.internet.task import Clock
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.threads import NoThreads
state = EmbeddedState.open(sys.argv[1], Clock(), NoThreads())
"""


def other_process(directory: str, script: str) -> subprocess.Popen[bytes]:
    """A second process with the same state open, running C{script}."""
    root = Path(embedded.__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", OTHER + script, directory],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


class EmbeddedStateTests(StateContract, TestCase):
    def make_state(self) -> IState:
        return EmbeddedState.open(self.mktemp(), Clock(), NoThreads())


class DurabilityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.clock = Clock()

    def open(self, capacity: int = 1 << 22) -> EmbeddedState:
        state = EmbeddedState.open(
            self.directory, self.clock, NoThreads(), capacity=capacity
        )
        self.addCleanup(state.close)
        return state

    def test_survives_closing(self) -> None:
        """What was written is there when the folder is opened again."""
        state = self.open()
        revision = self.successResultOf(state.put("a", b"1"))
        self.successResultOf(state.close())
        held = self.open().glance("a")
        assert held is not None
        self.assertEqual((held.value, held.revision), (b"1", revision))

    def test_survives_kill(self) -> None:
        """Every write that was answered survives a kill -9 at any moment."""
        writer = other_process(
            self.directory,
            "n = 0\n"
            "while True:\n"
            "    state.put(f'n/{n:06}', b'x' * 100)\n"
            "    n += 1\n"
            "    print(n, flush=True)\n",
        )
        assert writer.stdout is not None
        answered = 0
        while answered < 50:
            answered = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.communicate()
        answered = int(rest[-1]) if rest else answered
        state = self.open()
        names = [held.name for held in self.successResultOf(state.list("n/"))]
        self.assertGreaterEqual(len(names), answered)
        self.assertEqual(names, [f"n/{n:06}" for n in range(len(names))])
        self.assertIsNotNone(self.successResultOf(state.put("a", b"1")))

    def test_seen_from_other_process(self) -> None:
        """What another process wrote is glanced at now, and told within a second."""
        state = self.open()
        told: list[str] = []
        state.watch("b/", told.append)
        self.successResultOf(state.put("b/0", b"0"))
        other = other_process(
            self.directory,
            "state.put('b/1', b'1'); state.put('c/1', b'1'); state.delete('b/0')",
        )
        self.assertEqual(other.communicate(), (b"", None))
        held = state.glance("b/1")
        assert held is not None
        self.assertEqual(held.value, b"1")
        self.assertEqual(told, ["b/0"])
        self.clock.advance(1.0)
        self.assertEqual(told, ["b/0", "b/1", "b/0"])

    def test_other_process_respected(self) -> None:
        """A revision written by another process makes an old expectation fail."""
        state = self.open()
        first = self.successResultOf(state.put("a", b"1"))
        other_process(self.directory, "state.put('a', b'2')").communicate()
        self.assertIsNone(self.successResultOf(state.put("a", b"3", first)))

    def test_told_of_others_before_own(self) -> None:
        """Writes of others that came before ours are not passed over."""
        state = self.open()
        told: list[str] = []
        state.watch("", told.append)
        other_process(self.directory, "state.put('theirs', b'')").communicate()
        self.successResultOf(state.put("ours", b""))
        self.assertEqual(told, ["theirs", "ours"])

    def test_no_watch_no_clock(self) -> None:
        """Nothing is looked for when nobody watches."""
        state = self.open()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        end = state.watch("", lambda name: None)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        end()
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full(self) -> None:
        """A full state says so, keeps what it has, and takes deletions."""
        state = self.open(capacity=1 << 20)
        kept = 0
        while True:
            done = state.put(f"n/{kept}", b"x" * 60_000)
            if done.result is None or not isinstance(done.result, str):
                break
            kept += 1
        self.failureResultOf(done, StorageFull)
        self.assertGreater(kept, 3)
        self.assertEqual(len(self.successResultOf(state.list("n/"))), kept)
        self.assertTrue(self.successResultOf(state.delete("n/0")))

    def test_not_a_state(self) -> None:
        """A folder that holds something else is refused, and left as it is."""
        os.makedirs(self.directory)
        file = Path(self.directory) / "data.mdb"
        file.write_bytes(b"precious" * 1000)
        self.assertRaises(WrongConfiguration, self.open)
        self.assertEqual(file.read_bytes(), b"precious" * 1000)

    def test_cannot_be_made(self) -> None:
        """A folder that cannot be made is refused with its name."""
        Path(self.directory).write_bytes(b"")
        error = self.assertRaises(WrongConfiguration, self.open)
        self.assertIn(self.directory, error.message)


class QueueTests(SynchronousTestCase):
    """Writes whose threads the test holds back."""

    def setUp(self) -> None:
        self.threads = HeldThreads()
        self.state = EmbeddedState.open(self.mktemp(), Clock(), self.threads)

    def tearDown(self) -> None:
        done = self.state.close()
        self.threads.release_all()
        self.successResultOf(done)

    def test_together(self) -> None:
        """Writes that arrive during a sync share the next one."""
        writes = [self.state.put(f"{n}", b"") for n in range(100)]
        self.assertEqual(len(self.threads), 1)
        self.threads.release()
        self.assertEqual(len(self.threads), 1)
        self.threads.release()
        self.assertEqual(len(self.threads), 0)
        revisions = [self.successResultOf(write) for write in writes]
        self.assertEqual(len(set(revisions)), 100)

    def test_bounded(self) -> None:
        """More writes than may wait are refused, not kept."""
        for _ in range(embedded.QUEUE_LIMIT + 1):
            self.state.put("a", b"")
        self.failureResultOf(self.state.put("a", b""), Overloaded)

    def test_leaving(self) -> None:
        """A writer that gives up does not undo its write or trouble the others."""
        first = self.state.put("a", b"1")
        second = self.state.put("b", b"2")
        second.cancel()
        self.failureResultOf(second)
        self.threads.release_all()
        self.successResultOf(first)
        self.assertIsNotNone(self.state.glance("b"))

    def test_close_waits(self) -> None:
        """Closing finishes the writes that were begun, and takes no more."""
        writes: list[Deferred[str | None]] = [
            self.state.put("a", b""),
            self.state.put("b", b""),
        ]
        closed = self.state.close()
        self.assertNoResult(closed)
        self.failureResultOf(self.state.put("c", b""), ShuttingDown)
        self.failureResultOf(self.state.list(""), ShuttingDown)
        self.threads.release_all()
        for write in writes:
            self.assertIsNotNone(self.successResultOf(write))
        self.successResultOf(closed)
        self.assertRaises(ShuttingDown, self.state.glance, "a")

    def test_close_waits_for_readers(self) -> None:
        """Closing waits for a list that is being read."""
        listed = self.state.list("")
        closed = self.state.close()
        self.assertNoResult(closed)
        self.threads.release_all()
        self.assertEqual(self.successResultOf(listed), [])
        self.successResultOf(closed)

    def test_name_that_is_no_text(self) -> None:
        """A lone surrogate is refused before it reaches the disk."""
        self.failureResultOf(self.state.put("\ud800", b""), OurError)


class LogTests(SynchronousTestCase):
    def test_log_too_short(self) -> None:
        """Who fell behind the log is told of every name there is."""
        threads = HeldThreads()
        state = EmbeddedState.open(self.mktemp(), Clock(), threads, log_length=5)
        self.addCleanup(state.close)
        told: list[str] = []
        state.watch("", told.append)
        # The first goes alone; the eight behind it go in one transaction, and
        # overflow the log before anybody could have looked.
        for n in range(9):
            state.put(f"{n}", b"")
        threads.release()
        self.assertEqual(told, ["0"])
        threads.release()
        self.assertEqual(sorted(told[1:]), [str(n) for n in range(9)])
