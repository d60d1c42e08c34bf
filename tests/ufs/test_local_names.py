"""
Names of a folder come in the order of keys, few or many, still or changing.
"""

from __future__ import annotations

import os
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ufs.local_names import Names, Wanted

EVERYTHING = Wanted("", False, "", 10**9)


class NamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.fd = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, self.fd)
        self.now = 1000.0
        self.spilled = 0

    def spill(self) -> int:
        self.spilled += 1
        return os.open(".", os.O_RDWR | os.O_TMPFILE)

    def names(self, huge: int = 50, run: int = 300) -> Names:
        return Names(self.spill, lambda: self.now, huge, run)

    def fill(self, names: list[str]) -> list[str]:
        for name in names:
            path = os.path.join(self.folder, name.rstrip("/"))
            if name.endswith("/"):
                os.mkdir(path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        return sorted(names)

    def settle(self) -> None:
        """As if the last change were long ago."""
        long_ago = time.time_ns() - 10**12 + 1
        os.utime(self.folder, ns=(long_ago, long_ago))

    def read(self, names: Names, wanted: Wanted) -> list[str]:
        return names.read(self.fd, wanted, lambda name: None)

    def some(self, count: int) -> list[str]:
        return [f"n{n * 7919 % count:06d}" + "/" * (n % 5 == 0) for n in range(count)]

    def test_small(self) -> None:
        """A small folder is sorted as its keys are: folders with their slash."""
        there = self.fill(["a", "a!", "a0", "b/", "b-", "b0", "é", "\U0001f600"])
        self.assertEqual(self.read(self.names(), EVERYTHING), there)
        self.assertEqual(there[2:5], ["a0", "b-", "b/"])

    def test_not_names(self) -> None:
        """What is no text, and what is no file, is passed over."""
        with open(os.path.join(os.fsencode(self.folder), b"\xff\xfe"), "wb"):
            pass
        os.mkfifo(os.path.join(self.folder, "fifo"))
        os.symlink("nowhere", os.path.join(self.folder, "link"))
        self.assertEqual(self.read(self.names(), EVERYTHING), [])

    def test_snapshot(self) -> None:
        """A huge folder that is still is sorted once, and read from then on."""
        there = self.fill(self.some(1000))
        self.settle()
        names = self.names()
        for at in range(0, 1000, 100):
            wanted = Wanted(there[at], False, "", 100)
            self.assertEqual(self.read(names, wanted), there[at : at + 100])
            wanted = Wanted(there[at], True, "", 100)
            self.assertEqual(self.read(names, wanted), there[at + 1 : at + 101])
        self.assertEqual(self.spilled, 2)  # the snapshot, and its runs

    def test_prefix(self) -> None:
        """Names that begin so are found from any start."""
        there = self.fill(self.some(1000))
        for still in (False, True):
            if still:
                self.settle()
            names = self.names()
            for start in ("", "n00012", "n0001300"):
                found = self.read(names, Wanted(start, False, "n00013", 1000))
                expected = [n for n in there if n.startswith("n00013") and n >= start]
                self.assertEqual(found, expected)

    def test_change_is_seen(self) -> None:
        """A name that comes or goes is seen at once, snapshot or not."""
        there = self.fill(self.some(200))
        self.settle()
        names = self.names()
        self.assertEqual(self.read(names, EVERYTHING), there)
        there = sorted([*there, *self.fill(["m"])])
        self.assertEqual(self.read(names, EVERYTHING), there)
        # Just changed: no snapshot is trusted, so the very next change is seen.
        there = sorted([*there, *self.fill(["k"])])
        self.assertEqual(self.read(names, EVERYTHING), there)
        os.unlink(os.path.join(self.folder, "m"))
        there.remove("m")
        self.assertEqual(self.read(names, EVERYTHING), there)

    def test_age(self) -> None:
        """A snapshot that nobody asked for in a while is let go."""
        self.fill(self.some(200))
        self.settle()
        names = self.names()
        self.read(names, EVERYTHING)
        self.now += 599
        self.read(names, EVERYTHING)
        self.assertEqual(self.spilled, 2)
        self.now += 601
        self.read(names, EVERYTHING)
        self.assertEqual(self.spilled, 4)

    def test_no_room(self) -> None:
        """Where no snapshot can be spilled, listing goes on without."""
        there = self.fill(self.some(200))
        self.settle()

        def full() -> int:
            raise OSError(28, "No space left on device")

        names = Names(full, lambda: self.now, 50)
        self.assertEqual(self.read(names, Wanted("", False, "", 60)), there[:60])

    def test_no_room_midway(self) -> None:
        """Where the room for a snapshot ends while it is made, as well."""
        there = self.fill(self.some(200))
        self.settle()
        calls: list[int] = []

        def filling() -> int:
            calls.append(1)
            if len(calls) == 1:
                return self.spill()
            raise OSError(28, "No space left on device")

        names = Names(filling, lambda: self.now, 50)
        self.assertEqual(self.read(names, Wanted("", False, "", 60)), there[:60])

    @settings(max_examples=150, deadline=None)
    @given(
        st.sets(st.text("ab/-\U0001f600é", min_size=1, max_size=4), max_size=40),
        st.text("ab/-\U0001f600", max_size=3),
        st.booleans(),
        st.text("ab-", max_size=2),
        st.integers(1, 10),
        st.booleans(),
    )
    def test_model(
        self,
        raw: set[str],
        start: str,
        beyond: bool,
        prefix: str,
        count: int,
        still: bool,
    ) -> None:
        """What is read is what sorting and cutting all names would give."""
        self.setUp()
        bare = {name.replace("/", "") for name in raw} - {""}
        there = self.fill([n + "/" * (len(n) % 2) for n in sorted(bare)])
        if still:
            self.settle()
        names = self.names(huge=3, run=4)
        expected = [
            n
            for n in there
            if n.startswith(prefix) and (n > start if beyond else n >= start)
        ][:count]
        for _ in range(2):
            self.assertEqual(
                self.read(names, Wanted(start, beyond, prefix, count)), expected
            )
