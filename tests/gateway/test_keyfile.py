from __future__ import annotations

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidAccessKeyId, WrongConfiguration
from alluxio_tw.gateway import keyfile
from alluxio_tw.gateway.keyfile import KeyFile, Keys, open_keys, parse, read
from alluxio_tw.gateway.keys import AccessKey
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.threads import NoThreads
from tests.doubles_threads import HeldThreads

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LINE = f"AKID {SECRET} alice\n"


class ParseTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Each line is a key; comments and blank lines are passed over."""
        text = (
            "\ufeff# access key  secret  user\r\n\r\n"
            f"  AKID\t{SECRET}   alice\r\n"
            f"#AKID x y\nB s#1 bob disabled\n"
        )
        self.assertEqual(
            parse(text.encode(), "f"),
            {
                "AKID": AccessKey("AKID", SECRET, "alice"),
                "B": AccessKey("B", "s#1", "bob", False),
            },
        )
        self.assertEqual(parse(b"", "f"), {})

    def test_wrong_lines(self) -> None:
        """A wrong line is told by its number, and nothing of it is repeated."""
        for line in (
            "AKID",
            f"AKID {SECRET}",
            f"AKID {SECRET} alice enabled",
            f"AKID {SECRET} alice disabled too",
            f"{SECRET} AKID alice",
            f"AKID alice {SECRET}",
            f"AKID {SECRET} al/ice",
            f"AKID {SECRET}\xe4 alice",
            f"OTHER {SECRET} bob\nOTHER {SECRET} bob",
        ):
            data = f"# first\nX {SECRET} carol\n{line}\n".encode()
            error = self.assertRaises(WrongConfiguration, parse, data, "the/file")
            self.assertRegex(error.message, r"^the/file:[34]: ")
            self.assertNotIn(SECRET, error.message)

    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are keys, or a wrong configuration."""
        try:
            found = parse(data, "f")
        except WrongConfiguration:
            return
        for name, key in found.items():
            self.assertEqual(name, key.access_key)


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())

    def write(self, text: str, mode: int = 0o600) -> None:
        with open(self.path, "w") as file:
            file.write(text)
        os.chmod(self.path, mode)

    def test_good(self) -> None:
        """A file that only its owner reads gives no cause for warnings."""
        self.write(LINE)
        found = read(self.path)
        self.assertEqual(list(found.keys), ["AKID"])
        self.assertEqual(found.warnings, ())

    def test_warnings(self) -> None:
        """A file that everybody may read is warned about, and short secrets."""
        self.write("AKID short alice\n", 0o644)
        first, second = read(self.path).warnings
        self.assertIn("chmod 600", first)
        self.assertIn("fewer than 16 characters: 1", second)

    def test_unreadable(self) -> None:
        """What is no file, or is not there, or too large, is a wrong configuration."""
        self.assertRaises(WrongConfiguration, read, self.path)
        os.mkfifo(self.path)
        self.assertRaises(WrongConfiguration, read, self.path)
        os.remove(self.path)
        os.mkdir(self.path)
        self.assertRaises(WrongConfiguration, read, self.path)
        os.rmdir(self.path)
        self.write("#" * (keyfile.MOST_BYTES + 1))
        self.assertRaises(WrongConfiguration, read, self.path)


class KeyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()
        self.told: list[Keys] = []
        self.said: list[LogEvent] = []
        observe: Any = self.said.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.write(LINE)
        self.file = KeyFile(self.path, self.clock, NoThreads(), self.told.append)

    def write(self, text: str) -> None:
        # As editors do it: another file takes the place of the first.
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.chmod(self.path + ".new", 0o600)
        os.rename(self.path + ".new", self.path)

    def errors(self) -> list[LogEvent]:
        return [
            event
            for event in self.said
            if event.get("log_namespace", "").endswith("KeyFile")
            and event["log_level"].name in ("error", "critical")
        ]

    def begin(self) -> None:
        self.file.open()
        self.file.start()
        self.addCleanup(self.file.stop)

    def test_open(self) -> None:
        """The file is read at once; one that is wrong stops the start."""
        self.file.open()
        self.assertEqual([list(keys) for keys in self.told], [["AKID"]])
        self.write("nonsense\n")
        self.assertRaises(WrongConfiguration, self.file.open)

    def test_changes(self) -> None:
        """A change is seen within a second, and without one nothing is told."""
        self.begin()
        self.clock.advance(1)
        self.assertEqual(len(self.told), 1)
        self.write(LINE + f"B {SECRET} bob\n")
        self.clock.advance(1)
        self.assertEqual(list(self.told[-1]), ["AKID", "B"])
        self.clock.advance(1)
        self.assertEqual(len(self.told), 2)

    def test_in_place(self) -> None:
        """A file written in place, and of the same size, is another one too."""
        self.begin()
        with open(self.path, "r+") as file:
            file.write("DIKA")
        self.clock.advance(1)
        self.assertEqual(list(self.told[-1]), ["DIKA"])

    def test_broken(self) -> None:
        """A file that is wrong leaves the keys as they were; that is said once."""
        self.begin()
        self.write(f"AKID {SECRET}\n")
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual(len(self.told), 1)
        (event,) = self.errors()
        self.assertNotIn(SECRET, f"{event}")
        self.write("B other-secret-of-bob bob\n")
        self.clock.advance(1)
        self.assertEqual(list(self.told[-1]), ["B"])

    def test_gone(self) -> None:
        """A file that is gone leaves the keys as they were, until it is back."""
        self.begin()
        os.remove(self.path)
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual((len(self.told), len(self.errors())), (1, 1))
        self.write(LINE)
        self.clock.advance(1)
        self.assertEqual(len(self.told), 2)

    def test_look(self) -> None:
        """It can be told to look now."""
        self.begin()
        self.write("")
        self.successResultOf(self.file.look())
        self.assertEqual(self.told[-1], {})

    def test_slow_disk(self) -> None:
        """One look at a time, however long it takes."""
        threads = HeldThreads()
        self.file = KeyFile(self.path, self.clock, threads, self.told.append)
        self.begin()
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual(len(threads), 1)
        self.write("")
        threads.release()
        self.assertEqual(self.told[-1], {})
        self.clock.advance(1)
        self.assertEqual(len(threads), 1)

    def test_stop(self) -> None:
        """After its end it does not look any more."""
        self.begin()
        self.file.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_secrets(self) -> None:
        """Nothing that is logged has a secret in it."""
        self.begin()
        self.write(f"AKID {SECRET} bob disabled\n")
        self.clock.advance(1)
        self.assertTrue(self.said)
        self.assertNotIn(SECRET, f"{self.said} {self.file!r}")


class OpenKeysTests(SynchronousTestCase):
    def test_both(self) -> None:
        """Keys are of the state alone, or of the file besides."""
        state = MemoryState()
        keys, file = open_keys(state, "", Clock(), NoThreads())
        self.assertIsNone(file)
        self.assertRaises(InvalidAccessKeyId, keys.find, "AKID")
        path = self.mktemp()
        with open(path, "w") as out:
            out.write(LINE)
        keys, file = open_keys(state, path, Clock(), NoThreads())
        self.assertIsNotNone(file)
        self.assertEqual(keys.find("AKID").user, "alice")
        self.successResultOf(keys.add("bob", "B", SECRET))
        self.assertEqual(keys.find("B").user, "bob")
