"""
Pages in files: restarts, damage, and disks that fail.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from alluxio_tw.cache import pagefile
from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.ibody import FileSpan
from alluxio_tw.ipages import IPage, PageKey
from alluxio_tw.spans import Span
from alluxio_tw.testing.pages import key_of, page_bytes
from alluxio_tw.threads import IThreads, NoThreads
from tests.doubles_threads import HeldThreads

PAGE = 64 * 1024


class DiskCase(SynchronousTestCase):
    """
    A folder, and stores on it one after the other.
    """

    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.clock = Clock()
        self.stats = CacheStats()

    def store(
        self,
        quota: int = 10 << 20,
        threads: IThreads | None = None,
        start: bool = True,
        page_size: int = PAGE,
        write_queue: int = 32 << 20,
        open_files: int = 100,
        folder: str | None = None,
    ) -> DiskStore:
        store = DiskStore(
            folder or self.folder,
            quota,
            page_size,
            NoThreads() if threads is None else threads,
            self.clock,
            stats=self.stats,
            write_queue=write_queue,
            open_files=open_files,
        )
        if start:
            self.successResultOf(store.start())
        self.addCleanup(store.close)
        return store

    def keep(self, store: DiskStore, key: PageKey, data: bytes) -> bool:
        page: IPage | None = self.successResultOf(store.put(key, data))
        if page is None:
            return False
        page.release()
        return True

    def page(self, answer: Deferred[IPage | None]) -> IPage:
        page: IPage | None = self.successResultOf(answer)
        assert page is not None
        return page

    def fetch(self, store: DiskStore, key: PageKey) -> bytes | None:
        page: IPage | None = self.successResultOf(store.get(key))
        if page is None:
            return None
        data = page_bytes(page)
        page.release()
        return data

    def path(self, key: PageKey, page_size: int = PAGE) -> Path:
        return (
            Path(self.folder)
            / "alluxio-tw-pages/v1"
            / str(page_size)
            / pagefile.bucket(key)
            / pagefile.name(key)
        )

    def files(self) -> set[str]:
        return {
            path.name
            for path in Path(self.folder).rglob("*")
            if path.is_file() and path.name != "lock"
        }


class NameTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """A file's name tells its page."""
        for key in (key_of(1), key_of(2**32 - 1, 5 * 2**30)):
            self.assertEqual(pagefile.parse_name(pagefile.name(key)), key)

    def test_not_ours(self) -> None:
        """Names that no page has are not taken for one."""
        good = pagefile.name(key_of(255, 10))
        for text in (
            "",
            "lock",
            "x",
            good.upper(),
            good + " ",
            good[1:],
            "-1",
            f"{good[:33]}+1",
        ):
            self.assertIsNone(pagefile.parse_name(text), text)

    def test_buckets(self) -> None:
        """The pages of a huge object are spread over the folders."""
        self.assertEqual(
            len({pagefile.bucket(key_of(1, number)) for number in range(0, 65536, 64)}),
            256,
        )


class PieceTests(DiskCase):
    def test_file_span(self) -> None:
        """A page leaves as a span of a file that stays open until released."""
        store = self.store(open_files=1)
        page = self.page(store.put(key_of(1), b"0123456789"))
        for name in range(2, 9):
            self.keep(store, key_of(name), b"other")
        self.successResultOf(store.forget(key_of(1)))
        piece = page.piece(Span(3, 4))
        assert isinstance(piece, FileSpan)
        self.assertEqual(os.pread(piece.fd, piece.length, piece.offset), b"3456")
        page.release()
        with self.assertRaises(OSError):
            os.fstat(piece.fd)

    def test_open_files_are_bounded(self) -> None:
        """No more files stay open than are allowed, but all can be had."""
        before = len(os.listdir("/proc/self/fd"))
        store = self.store(open_files=5)
        for name in range(40):
            self.keep(store, key_of(name), b"%d" % name)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before + 6)
        for name in range(40):
            self.assertEqual(self.fetch(store, key_of(name)), b"%d" % name)
        self.successResultOf(store.close())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class RestartTests(DiskCase):
    def test_warm(self) -> None:
        """After a restart everything is there, without being put again."""
        store = self.store()
        for name in range(50):
            self.keep(store, key_of(name), b"page %d" % name)
        self.successResultOf(store.close())
        again = self.store()
        self.assertEqual(again.usage()[0].pages, 50)
        self.assertEqual(again.usage()[0].used, 50 * 4096)
        for name in range(50):
            self.assertTrue(again.holds(key_of(name)))
            self.assertEqual(self.fetch(again, key_of(name)), b"page %d" % name)
        self.assertEqual(self.stats.verify_failures, 0)

    def test_before_the_scan(self) -> None:
        """A page that is asked for before the scan has come to it is found."""
        store = self.store()
        self.keep(store, key_of(7), b"here")
        self.successResultOf(store.close())
        threads = HeldThreads()
        again = self.store(threads=threads, start=False)
        starting = again.start()
        threads.release()
        self.assertNoResult(starting)
        got, other = again.get(key_of(7)), again.get(key_of(8))
        threads.release_all()
        self.successResultOf(starting)
        page = self.page(got)
        self.assertEqual(page_bytes(page), b"here")
        page.release()
        self.assertIsNone(self.successResultOf(other))
        self.assertEqual(again.usage()[0].pages, 1)

    def test_smaller_quota(self) -> None:
        """With a smaller quota than before, what is too much goes."""
        store = self.store()
        for name in range(50):
            self.keep(store, key_of(name), bytes(PAGE))
        self.successResultOf(store.close())
        again = self.store(quota=20 * (PAGE + 4096))
        self.assertLessEqual(again.usage()[0].used, again.usage()[0].capacity)
        self.assertEqual(len(self.files()), again.usage()[0].pages)
        self.assertGreater(again.usage()[0].pages, 10)

    def test_leftovers(self) -> None:
        """What a killed process had half written is removed."""
        store = self.store()
        self.keep(store, key_of(1), b"whole")
        self.successResultOf(store.close())
        folder = Path(self.folder) / "alluxio-tw-pages/v1" / str(PAGE)
        (folder / "tmp" / "17").write_bytes(b"half a pa")
        (folder / "00").mkdir(exist_ok=True)
        (folder / "00" / pagefile.name(PageKey(bytes(16), 0))).write_bytes(b"short")
        (folder / "00" / "README").write_bytes(b"not ours")
        again = self.store()
        self.assertEqual(self.files(), {pagefile.name(key_of(1)), "README"})
        self.assertEqual(again.usage()[0].pages, 1)

    def test_other_page_size(self) -> None:
        """Pages of another size go; another format's stay."""
        store = self.store(page_size=4 * PAGE)
        self.keep(store, key_of(1), b"old")
        self.successResultOf(store.close())
        future = Path(self.folder) / "alluxio-tw-pages/v2/page"
        future.parent.mkdir()
        future.write_bytes(b"new")
        again = self.store()
        self.assertIsNone(self.fetch(again, key_of(1)))
        self.assertEqual(self.files(), {"page"})

    def test_two_owners(self) -> None:
        """While another store owns the folder, this one reads and does not write."""
        first = self.store()
        self.keep(first, key_of(1), b"bytes")
        second = self.store()
        self.assertEqual(self.fetch(second, key_of(1)), b"bytes")
        self.assertFalse(self.keep(second, key_of(2), b"more"))
        self.successResultOf(first.close())
        self.clock.advance(2)
        self.keep(second, key_of(2), b"more")
        self.assertTrue(self.keep(second, key_of(2), b"more"))
        self.assertEqual(self.fetch(second, key_of(1)), b"bytes")


class DamageTests(DiskCase):
    def damaged(self, change: bytes, offset: int) -> DiskStore:
        """A store that has just begun, with one page changed behind its back."""
        store = self.store()
        self.keep(store, key_of(1), b"x" * 5000)
        self.keep(store, key_of(2), b"y" * 5000)
        self.successResultOf(store.close())
        with self.path(key_of(1)).open("r+b") as file:
            file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
            file.write(change)
        return self.store()

    def assert_dropped(self, store: DiskStore) -> None:
        self.assertIsNone(self.fetch(store, key_of(1)))
        self.assertEqual(self.stats.verify_failures, 1)
        self.assertFalse(self.path(key_of(1)).exists())
        self.assertEqual(self.fetch(store, key_of(2)), b"y" * 5000)
        self.assertEqual(store.usage()[0].pages, 1)
        self.assertTrue(self.keep(store, key_of(1), b"x" * 5000))
        self.assertEqual(self.fetch(store, key_of(1)), b"x" * 5000)

    def test_data(self) -> None:
        """A page whose bytes have changed is dropped, and can be put anew."""
        self.assert_dropped(self.damaged(b"z", 4000))

    def test_footer(self) -> None:
        """So is one whose footer has."""
        self.assert_dropped(self.damaged(b"z", -3))

    def test_grown(self) -> None:
        """So is one that has grown."""
        self.assert_dropped(self.damaged(b"more", 5000 + pagefile.FOOTER_LENGTH))

    def test_truncated(self) -> None:
        """So is one that has lost its end."""
        store = self.store()
        self.keep(store, key_of(1), b"x" * 5000)
        self.keep(store, key_of(2), b"y" * 5000)
        self.successResultOf(store.close())
        os.truncate(self.path(key_of(1)), 4500)
        self.assert_dropped(self.store())

    def test_another_page(self) -> None:
        """So is one that lies under another's name."""
        store = self.store()
        self.keep(store, key_of(1), b"x" * 5000)
        self.keep(store, key_of(2), b"y" * 5000)
        self.successResultOf(store.close())
        self.path(key_of(1)).write_bytes(self.path(key_of(2)).read_bytes())
        self.assert_dropped(self.store())

    def test_removed(self) -> None:
        """A page file that somebody removed is a miss."""
        store = self.store()
        self.keep(store, key_of(1), b"x")
        self.successResultOf(store.close())
        again = self.store()
        self.path(key_of(1)).unlink()
        self.assertIsNone(self.fetch(again, key_of(1)))
        self.assertFalse(again.holds(key_of(1)))

    def test_symbolic_link(self) -> None:
        """A page file that is a link leads nowhere."""
        store = self.store()
        self.keep(store, key_of(1), b"x")
        self.successResultOf(store.close())
        elsewhere = self.path(key_of(1)).rename(self.path(key_of(1)).parent / "other")
        self.path(key_of(1)).symlink_to(elsewhere.absolute())
        self.assertIsNone(self.fetch(self.store(), key_of(1)))


class TroubleTests(DiskCase):
    def test_no_folder(self) -> None:
        """A folder that cannot be made is a store that keeps nothing."""
        blocked = self.mktemp()
        Path(blocked).write_bytes(b"a file")
        store = self.store(folder=blocked)
        self.assertFalse(self.keep(store, key_of(1), b"x"))
        self.assertIsNone(self.fetch(store, key_of(1)))
        self.assertGreater(store.usage()[0].failures, 0)

    def test_comes_back(self) -> None:
        """A disk that works again is used again, after a pause."""
        blocked = self.mktemp()
        Path(blocked).write_bytes(b"a file")
        store = self.store(folder=blocked)
        os.unlink(blocked)
        self.assertFalse(self.keep(store, key_of(1), b"x"))
        self.clock.advance(1.5)
        self.keep(store, key_of(1), b"x")
        self.assertTrue(self.keep(store, key_of(1), b"x"))

    def test_pause(self) -> None:
        """After a failed write the store pauses, longer each time, then tries again."""
        store = self.store()
        folder = Path(self.folder) / "alluxio-tw-pages/v1" / str(PAGE)
        (folder / "tmp").rmdir()
        failures = []
        for second in range(40):
            self.assertFalse(self.keep(store, key_of(second), b"x"))
            failures.append(store.usage()[0].failures)
            self.clock.advance(1)
        # At 0, 1, 3, 7, 15 and 31 seconds.
        self.assertEqual(failures[-1], 6)
        self.assertEqual(store.usage()[0].used, 0)
        (folder / "tmp").mkdir()
        self.clock.advance(60)
        self.assertTrue(self.keep(store, key_of(1), b"x"))

    def test_write_queue(self) -> None:
        """What does not fit into the write queue is not kept, and nobody waits."""
        threads = HeldThreads()
        store = self.store(threads=threads, start=False, write_queue=3 * PAGE)
        starting = store.start()
        threads.release_all()
        self.successResultOf(starting)
        puts = [store.put(key_of(name), bytes(PAGE)) for name in range(5)]
        self.assertIsNone(self.successResultOf(puts[3]))
        self.assertIsNone(self.successResultOf(puts[4]))
        threads.release_all()
        for put in puts[:3]:
            self.page(put).release()
        late = store.put(key_of(4), bytes(PAGE))
        threads.release_all()
        self.page(late).release()

    def test_longer_than_the_queue(self) -> None:
        """A page that is longer than the write queue is kept, alone."""
        threads = HeldThreads()
        store = self.store(threads=threads, start=False, write_queue=PAGE)
        starting = store.start()
        threads.release_all()
        self.successResultOf(starting)
        long = store.put(key_of(0), bytes(3 * PAGE))
        self.assertIsNone(self.successResultOf(store.put(key_of(1), b"x")))
        threads.release_all()
        self.page(long).release()

    def test_waiter_leaves(self) -> None:
        """A page that nobody waits for any more is let go of, not leaked."""
        store = self.store()
        self.keep(store, key_of(1), b"x")
        self.successResultOf(store.close())
        threads = HeldThreads()
        again = self.store(threads=threads, start=False)
        again.start()
        threads.release_all()
        first, second = again.get(key_of(1)), again.get(key_of(1))
        first.cancel()
        self.failureResultOf(first)
        threads.release_all()
        self.page(second).release()
        put = again.put(key_of(2), b"y")
        put.cancel()
        self.failureResultOf(put)
        threads.release_all()
        page = again.glance(key_of(2))
        assert page is not None
        page.release()
        self.assertEqual(len(again._files.idle), 2)

    def test_forgotten_while_written(self) -> None:
        """A page that is forgotten before it is written does not come back."""
        threads = HeldThreads()
        store = self.store(threads=threads, start=False)
        store.start()
        threads.release_all()
        put = store.put(key_of(1), b"x")
        store.forget(key_of(1))
        threads.release_all()
        self.assertIsNone(self.successResultOf(put))
        self.assertIsNone(store.glance(key_of(1)))
        self.assertEqual(self.files(), set())
        self.assertEqual(store.usage()[0].used, 0)

    def test_full(self) -> None:
        """
        On a disk that is smaller than the quota the store makes do with what there
        is, and goes on keeping what is new.
        """
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            raise SkipTest("Needs the right to mount a small tmpfs.")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        store = self.store(folder=folder, quota=100 << 20)
        kept = 0
        for name in range(200):
            data = b"%04d" % name * 4096
            if self.keep(store, key_of(name), data):
                kept += 1
                self.assertEqual(self.fetch(store, key_of(name)), data)
            else:
                self.clock.advance(1.1)
        self.assertGreater(kept, 180)
        self.assertGreater(store.usage()[0].evictions, 100)
        self.assertLess(store.usage()[0].failures, 10)
        self.successResultOf(store.close())
