"""
Files stay open while they are hot, and never answer for what they are not.
"""

from __future__ import annotations

import gc
import os

from twisted.internet.task import Clock

from alluxio_tw.errors import NoSuchPath, ObjectChanged
from alluxio_tw.ibody import FileSpan
from alluxio_tw.iobjects import NO_DEMAND
from alluxio_tw.iufs import Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.local import LocalUFS, make
from tests.ufs.test_local_tree import LocalTestCase


class OpenFilesTests(LocalTestCase):
    def mount(self, **options: str) -> LocalUFS:
        self.clock = Clock()
        around = Surroundings(self.clock, NoThreads())
        made = make("file://" + self.root, {"sync": "false", **options}, around)
        assert isinstance(made, LocalUFS)
        self.addCleanup(made.close)
        return made

    def open_here(self) -> int:
        """How many files of the mount this process has open."""
        gc.collect()
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            try:
                count += os.readlink(f"/proc/self/fd/{fd}").startswith(self.root + "/k")
            except FileNotFoundError:
                pass
        return count

    def test_glance(self) -> None:
        """What was read lately is had at a glance, the same version, its bytes at once."""
        self.write("key", b"x" * 5000)
        self.assertIsNone(self.ufs.glance("key"))
        status = self.successResultOf(self.ufs.status("key"))
        glance = self.ufs.glance("key")
        assert glance is not None
        self.assertIs(glance.status, status)
        self.assertEqual(glance.at_once(Span(1000, 4000)), b"x" * 4000)
        self.assertEqual(glance.at_once(Span(0, 0)), b"")
        self.assertIsNone(glance.at_once(Span(0, 100_000)))
        self.assertEqual(glance.cache, "BYPASS")

    def test_cold(self) -> None:
        """What was not asked for in a while is looked up anew."""
        self.write("key")
        self.get("key")
        self.clock.advance(9)
        self.assertIsNotNone(self.ufs.glance("key"))
        self.clock.advance(9)
        self.assertIsNotNone(self.ufs.glance("key"))
        self.clock.advance(11)
        self.assertIsNone(self.ufs.glance("key"))
        self.get("key")
        self.assertIsNotNone(self.ufs.glance("key"))

    def test_switched_off(self) -> None:
        """A mount may be told not to glance."""
        self.ufs = self.mount(glance="false")
        self.write("key")
        self.get("key")
        self.assertIsNone(self.ufs.glance("key"))

    def test_touched(self) -> None:
        """A change of name, bytes or times is seen at a glance."""
        path = self.write("key")
        for change in (
            lambda: os.utime(path, ns=(0, 1)),
            lambda: os.truncate(path, 2),
            lambda: os.rename(path, path + "2"),
        ):
            self.get("key")
            self.assertIsNotNone(self.ufs.glance("key"))
            change()
            self.assertIsNone(self.ufs.glance("key"))
        self.failureResultOf(self.ufs.status("key"), NoSuchPath)

    def test_attributes_touched(self) -> None:
        """A change of attributes only is seen as soon as the kernel's clock ticks."""
        path = self.write("key")
        self.get("key")
        for n in range(1_000_000):
            os.setxattr(path, "user.other", b"%d" % n)
            if self.ufs.glance("key") is None:
                return
        self.fail("it was never seen")

    def test_bounded(self) -> None:
        """No more files stay open than the mount says; those in use among them."""
        self.ufs = self.mount(open_files="5")
        for n in range(20):
            self.write(f"k{n}")
            self.get(f"k{n}")
        self.assertEqual(self.open_here(), 5)

    def test_hot_stays(self) -> None:
        """A file that is asked for again and again outlives a scan."""
        self.ufs = self.mount(open_files="5")
        self.write("hot")
        self.get("hot")
        for n in range(50):
            self.assertIsNotNone(self.ufs.glance("hot"), n)
            self.write(f"k{n}")
            self.get(f"k{n}")

    def test_lease(self) -> None:
        """A file stays open while a body or a reading is out, and no longer."""
        self.ufs = self.mount(open_files="1")
        self.write("k", b"lent")
        reading = self.successResultOf(self.ufs.open("k"))
        body = reading.body(Span(0, 4))
        for _ in range(3):
            reading.close()
        del reading
        self.write("kk")
        self.get("kk")
        self.successResultOf(self.ufs.delete("k", NO_DEMAND))
        piece = self.successResultOf(body.read())
        assert isinstance(piece, FileSpan)
        self.assertEqual(os.pread(piece.fd, 4, 0), b"lent")
        self.assertEqual(self.open_here(), 2)
        body.close()
        body.close()
        self.assertEqual(self.open_here(), 1)

    def test_written_in_place(self) -> None:
        """A body of a file that is being written in place breaks off."""
        path = self.write("k", b"x" * (20 << 20))
        body = self.successResultOf(self.ufs.open("k")).body(Span(0, 20 << 20))
        piece = self.successResultOf(body.read())
        assert isinstance(piece, FileSpan)
        self.assertEqual((piece.offset, piece.length), (0, 8 << 20))
        os.truncate(path, 10 << 20)
        self.failureResultOf(body.read(), ObjectChanged)

    def test_short(self) -> None:
        """Bytes that are no longer there are not had at once."""
        path = self.write("k", b"x" * 1000)
        reading = self.successResultOf(self.ufs.open("k"))
        os.truncate(path, 500)
        self.assertIsNone(reading.at_once(Span(0, 1000)))

    def test_closed(self) -> None:
        """A mount that is closed has no file open."""
        self.write("k")
        self.get("k")
        self.assertEqual(self.open_here(), 1)
        self.successResultOf(self.ufs.close())
        self.assertEqual(self.open_here(), 0)
