"""
Tests of L{alluxio_tw.namespace.environment}.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace import environment
from alluxio_tw.namespace.environment import Environment, boot_id

SIZE = 1 << 22

OTHER = """
import sys
from alluxio_tw.namespace.environment import Environment
opened = Environment.open(sys.argv[1], 1 << 22, "boot 1", 7, 100.0)
print(opened.kept, flush=True)
if sys.argv[2] == "close":
    sys.stdin.readline()
    opened.close()
else:
    with opened.database.begin(write=True) as txn:
        txn.put(b"theirs", b"1")
    opened.marks.pend(7)
    print("written", flush=True)
    sys.stdin.readline()
"""


class EnvironmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()

    def open(self, boot: str = "boot 1") -> Environment:
        return Environment.open(self.directory, SIZE, boot, 8, 200.0)

    def put(self, opened: Environment, key: bytes = b"k") -> None:
        with opened.database.begin(write=True) as txn:
            txn.put(key, b"v")

    def has(self, opened: Environment, key: bytes = b"k") -> bool:
        with opened.database.begin() as txn:
            return txn.get(key) is not None

    def other(self, how: str) -> subprocess.Popen[bytes]:
        root = Path(environment.__file__).parents[2]
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, self.directory, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self.addCleanup(process.communicate)
        return process

    def line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def test_anew(self) -> None:
        """A folder that is not there is made, and empty."""
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertFalse(opened.kept)
        self.assertFalse(self.has(opened))
        self.assertEqual(os.stat(self.directory).st_mode & 0o777, 0o700)

    def test_closed(self) -> None:
        """What was closed in order is kept, also over a boot of the machine."""
        opened = self.open()
        self.put(opened)
        opened.close()
        opened = self.open("boot 2")
        self.addCleanup(opened.close)
        self.assertTrue(opened.kept)
        self.assertTrue(self.has(opened))

    def test_killed(self) -> None:
        """What a killed process wrote is kept, in the same boot."""
        other = self.other("kill")
        self.assertEqual(self.line(other), b"False")
        self.assertEqual(self.line(other), b"written")
        other.send_signal(signal.SIGKILL)
        other.wait()
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertTrue(opened.kept)
        self.assertTrue(self.has(opened, b"theirs"))
        self.assertFalse(opened.marks.elsewhere(7))
        self.assertFalse(opened.marks.believable(7, 150.0))
        self.put(opened)

    def test_machine_died(self) -> None:
        """What was open when the machine died is thrown away."""
        other = self.other("kill")
        self.line(other), self.line(other)
        other.send_signal(signal.SIGKILL)
        other.wait()
        opened = self.open("boot 2")
        self.addCleanup(opened.close)
        self.assertFalse(opened.kept)
        self.assertFalse(self.has(opened, b"theirs"))

    def test_boot_unknown(self) -> None:
        """Where boots cannot be told apart, only what was closed is kept."""
        opened = self.open("")
        self.put(opened)
        opened.database.close()
        os.close(opened._lock)
        opened.marks.leave()
        opened = self.open("")
        self.assertFalse(opened.kept)
        self.put(opened)
        opened.close()
        opened = self.open("")
        self.addCleanup(opened.close)
        self.assertTrue(opened.kept)

    def test_shared(self) -> None:
        """Who comes while others are there shares what they have."""
        opened = self.open()
        self.put(opened)
        other = self.other("close")
        self.assertEqual(self.line(other), b"True")
        opened.close()
        state = Path(self.directory) / "state"
        self.assertEqual(state.read_text(), "1 open boot 1\n")
        other.communicate(b"\n")
        self.assertEqual(state.read_text(), "1 closed\n")

    def test_damaged(self) -> None:
        """What is no environment any more is made anew."""
        opened = self.open()
        self.put(opened)
        opened.close()
        data = Path(self.directory) / "data.mdb"
        data.write_bytes(b"\xff" * data.stat().st_size)
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertFalse(opened.kept)
        self.assertFalse(self.has(opened))
        self.put(opened)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_condemned(self) -> None:
        """What was condemned is made anew by who comes when all have left."""
        opened = self.open()
        self.put(opened)
        opened.condemn()
        other = self.other("close")
        self.assertEqual(self.line(other), b"True")
        other.communicate(b"\n")
        opened.close()
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertFalse(opened.kept)
        self.assertFalse(self.has(opened))

    def test_other_version(self) -> None:
        """What another version left is thrown away."""
        opened = self.open()
        self.put(opened)
        opened.close()
        (Path(self.directory) / "state").write_text("0 closed\n")
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertFalse(self.has(opened))

    def test_cannot_be_used(self) -> None:
        """A folder that cannot be made is refused with its name."""
        Path(self.directory).write_bytes(b"")
        error = self.assertRaises(WrongConfiguration, self.open)
        self.assertIn(self.directory, error.message)

    def test_marks_missing(self) -> None:
        """Records without what says which of them are lost are thrown away."""
        opened = self.open()
        self.put(opened)
        opened.close()
        (Path(self.directory) / "marks").unlink()
        opened = self.open()
        self.addCleanup(opened.close)
        self.assertFalse(opened.kept)
        self.assertFalse(self.has(opened))

    def test_boot_id(self) -> None:
        """A boot has one name."""
        self.assertEqual(boot_id(), boot_id())
