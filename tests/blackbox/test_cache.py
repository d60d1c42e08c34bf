"""
The cache, in front of storage that is slow.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Daemon, Setting, set_up, until
from tests.blackbox.disks import tiny_disk

MB = 1 << 20
DATA = random.Random(17).randbytes(8 * MB)

FAR = set_up(
    mounts=(
        "far=slow+file://{here}/far?latency=50ms",
        "aged=slow+file://{here}/aged?latency=5ms&max-age=1s&negative-age=1s",
        "fixed=slow+file://{here}/fixed?latency=5ms&freshness=immutable",
        "fresh=slow+file://{here}/fresh?latency=5ms&freshness=always",
        "thin=slow+file://{here}/thin?latency=20ms&bandwidth=1MB",
    ),
    secure=True,
)

LOADS = "alluxio_cache_loads_total"
LOADED = "alluxio_external_data_read_bytes_total"


class CacheCase(BlackboxCase):
    """
    A test whose daemon has slow mounts.
    """

    setting = FAR

    def lay(self, bucket: str, key: str, data: bytes) -> str:
        """Put a file into a mount's folder by hand; its path."""
        path = self.daemon.path(bucket, key)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def verdict(self, target: str, span: str = "", secure: bool = False) -> str:
        """What C{X-Cache} says of a GET; its body must be right."""
        wire = self.wire(secure)
        headers = {"range": f"bytes={span}"} if span else {}
        answer = wire.ask("GET", target, **headers)
        self.assertEqual(answer.status, 206 if span else 200)
        wanted = DATA
        if span:
            first, _, last = span.partition("-")
            wanted = DATA[int(first) : int(last) + 1]
        self.assertTrue(answer.body == wanted, "the body is wrong")
        return answer.headers["x-cache"]


class VerdictTests(CacheCase):
    """
    What the answer says of it.
    """

    def test_verdicts(self) -> None:
        """X-Cache says MISS, then HIT; PARTIAL for some of both; BYPASS without a cache."""
        self.lay("far", "verdicts", DATA)
        target = "/far/verdicts"
        self.assertEqual(self.verdict(target, "2097152-2097161"), "MISS")
        # The answer was quicker than the rest of the page.
        until(lambda: self.verdict(target, "2097200-2097299") == "HIT", 10)
        self.assertEqual(self.verdict(target, "2097000-4200000"), "PARTIAL")
        self.verdict(target)
        until(lambda: self.verdict(target) == "HIT", 10)
        self.assertEqual(self.verdict(target, secure=True), "HIT")
        self.s3().put_object(Bucket="demo", Key="a", Body=DATA)
        self.assertEqual(self.verdict("/demo/a"), "BYPASS")
        for name in ("HIT", "MISS", "PARTIAL", "BYPASS"):
            counted = self.daemon.metric(
                "alluxio_s3_cache_requests_total", verdict=name
            )
            self.assertGreaterEqual(counted, 1, name)

    def test_hit_is_fast(self) -> None:
        """A hit does not wait for the storage."""
        self.lay("far", "fast", b"x" * 100_000)
        wire = self.wire()
        wire.ask("GET", "/far/fast")
        until(lambda: wire.ask("GET", "/far/fast").headers["x-cache"] == "HIT", 10)
        begun = time.monotonic()
        for _ in range(100):
            self.assertEqual(wire.ask("GET", "/far/fast").headers["x-cache"], "HIT")
        # Each would have waited 50 ms.
        self.assertLess(time.monotonic() - begun, 2.5)

    def test_pages(self) -> None:
        """A range that misses loads the pages that it touches, not the object."""
        self.lay("far", "pages", DATA)
        before = self.daemon.metric(LOADED)
        self.verdict("/far/pages", "5000000-5000099")
        until(lambda: self.daemon.metric(LOADED) - before >= MB, 10)
        until(lambda: self.verdict("/far/pages", "5000000-5000099") == "HIT", 10)
        self.assertEqual(self.daemon.metric(LOADED) - before, MB)

    def test_ranges(self) -> None:
        """Ranges out of a cold object are the bytes of the file, however they fall."""
        self.lay("far", "ranges", DATA)
        choose = random.Random(9)
        spans = []
        for _ in range(40):
            first = choose.randrange(len(DATA))
            last = min(first + choose.choice((0, 100, MB, 3 * MB)), len(DATA) - 1)
            spans.append(f"{first}-{last}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda span: self.verdict("/far/ranges", span), spans))

    def test_metadata(self) -> None:
        """What was written through the cache comes back with its headers, from the cache."""
        s3 = self.s3()
        put = s3.put_object(
            Bucket="far",
            Key="meta",
            Body=DATA,
            ContentType="text/x",
            Metadata={"m": "1"},
        )
        for _ in range(2):
            got = s3.get_object(Bucket="far", Key="meta")
            self.assertTrue(got["Body"].read() == DATA)
            self.assertEqual(
                (got["ETag"], got["ContentType"], got["Metadata"]),
                (put["ETag"], "text/x", {"m": "1"}),
            )


class FlightTests(CacheCase):
    """
    Many who want the same.
    """

    def test_single_flight(self) -> None:
        """Twenty who ask at once for what is cold cost the storage one read."""
        self.lay("far", "flight", DATA[: MB // 2])
        loads = self.daemon.metric(LOADS)
        loaded = self.daemon.metric(LOADED)
        asked = self.daemon.metric("alluxio_ufs_calls_total", method="status")

        def get(_: int) -> bool:
            return self.wire().ask("GET", "/far/flight").body == DATA[: MB // 2]

        with ThreadPoolExecutor(20) as pool:
            self.assertEqual(list(pool.map(get, range(20))), [True] * 20)
        self.assertEqual(self.daemon.metric(LOADS) - loads, 1)
        self.assertEqual(self.daemon.metric(LOADED) - loaded, MB // 2)
        after = self.daemon.metric("alluxio_ufs_calls_total", method="status")
        self.assertEqual(after - asked, 1)

    def test_leaving(self) -> None:
        """One who leaves does not take the others' load along."""
        self.lay("thin", "leaving", DATA[: 2 * MB])
        leaver = self.wire()
        leaver.request("GET", "/thin/leaving")
        leaver.head()
        stayer = self.wire()
        stayer.request("GET", "/thin/leaving")
        stayer.head()
        leaver.reset()
        self.assertTrue(stayer.take(2 * MB) == DATA[: 2 * MB])

    def test_first_byte(self) -> None:
        """A cold GET streams as the storage does: long before a page is whole."""
        self.lay("thin", "first", DATA[: 2 * MB])
        wire = self.wire()
        begun = time.monotonic()
        wire.request("GET", "/thin/first")
        self.assertEqual(wire.head()[1]["x-cache"], "MISS")
        wire.take(1)
        # The page would take a second; the storage's first byte, 60 ms.
        self.assertLess(time.monotonic() - begun, 0.5)
        self.assertTrue(wire.take(2 * MB - 1) == DATA[1 : 2 * MB])


class FreshnessTests(CacheCase):
    """
    How long what was said is believed.
    """

    def body(self, target: str) -> bytes:
        return self.wire().ask("GET", target).body

    def test_always(self) -> None:
        """With freshness=always a change behind our back is seen at once."""
        for number in range(5):
            self.lay("fresh", "a", b"%d" % number * 100)
            self.assertEqual(self.body("/fresh/a"), b"%d" % number * 100)

    def test_immutable(self) -> None:
        """With freshness=immutable a change is never seen."""
        self.lay("fixed", "a", b"first")
        self.assertEqual(self.body("/fixed/a"), b"first")
        self.lay("fixed", "a", b"second")
        self.assertEqual(self.body("/fixed/a"), b"first")
        head = self.wire().ask("HEAD", "/fixed/a")
        self.assertEqual(head.headers["content-length"], "5")

    def test_max_age(self) -> None:
        """With max-age=1s a change is not seen at first, and then it is."""
        self.lay("aged", "a", b"first")
        begun = time.monotonic()
        self.assertEqual(self.body("/aged/a"), b"first")
        self.lay("aged", "a", b"second")
        soon = self.body("/aged/a")
        if time.monotonic() - begun < 1:
            self.assertEqual(soon, b"first")
        until(lambda: self.body("/aged/a") == b"second", 5, "the change is seen")
        self.assertGreater(time.monotonic() - begun, 0.9)

    def test_negative(self) -> None:
        """What was not there is not asked for again for a second, and then it is."""
        begun = time.monotonic()
        self.assertEqual(self.wire().ask("GET", "/aged/late").status, 404)
        self.lay("aged", "late", b"here")
        soon = self.wire().ask("GET", "/aged/late")
        if time.monotonic() - begun < 1:
            self.assertEqual(soon.status, 404)
        until(lambda: self.body("/aged/late") == b"here", 5, "it is found")

    def test_own_writes(self) -> None:
        """What is written through us is seen at once, whatever the policy."""
        s3 = self.s3()
        s3.put_object(Bucket="demo", Key="own", Body=b"copied")
        for bucket in ("aged", "fixed", "far"):
            target = f"/{bucket}/own"
            self.assertEqual(self.wire().ask("GET", target).status, 404)
            for number in range(3):
                s3.put_object(Bucket=bucket, Key="own", Body=b"%d" % number)
                self.assertEqual(self.body(target), b"%d" % number)
            s3.copy_object(Bucket=bucket, Key="own", CopySource="demo/own")
            self.assertEqual(self.body(target), b"copied")
            s3.delete_object(Bucket=bucket, Key="own")
            self.assertEqual(self.wire().ask("GET", target).status, 404)


class DiskTests(CacheCase):
    """
    Pages on disk.
    """

    own = True
    setting = set_up(
        "alluxio.worker.page.store.sizes=16MB",
        "alluxio.worker.page.store.memory.size=0",
        mounts=("far=slow+file://{here}/far?latency=20ms",),
    )

    def pages(self) -> list[str]:
        """The paths of page files."""
        return [
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.daemon.path("data", "cache"))
            for name in names
            if os.path.getsize(os.path.join(folder, name)) > 100_000
        ]

    def fill(self) -> None:
        self.lay("far", "a", DATA)
        self.verdict("/far/a")
        until(lambda: len(self.pages()) == 8, 10, "the pages are on disk")

    def known(self, pages: int) -> None:
        """Wait until the daemon knows of at least so many pages on disk."""
        until(lambda: self.daemon.metric("alluxio_cached_pages") >= pages, 10)

    def test_warm_restart(self) -> None:
        """After a restart the disk's pages are hits, and the storage is not read."""
        self.fill()
        self.assertEqual(self.daemon.stop(), 0)
        self.restart()
        self.known(8)
        self.assertEqual(self.verdict("/far/a"), "HIT")
        self.assertEqual(self.daemon.metric(LOADS), 0)

    def test_after_a_crash(self) -> None:
        """So they are after a crash."""
        self.fill()
        self.daemon.kill()
        self.restart()
        self.known(8)
        self.assertEqual(self.verdict("/far/a"), "HIT")
        self.assertEqual(self.daemon.metric(LOADS), 0)

    def test_corrupted(self) -> None:
        """A page file that is damaged is noticed, and its page read again."""
        self.fill()
        self.assertEqual(self.daemon.stop(), 0)
        flipped, short, emptied, *_ = self.pages()
        with open(flipped, "r+b") as file:
            file.seek(500_000)
            byte = file.read(1)
            file.seek(500_000)
            file.write(bytes([byte[0] ^ 1]))
        os.truncate(short, 400_000)
        os.truncate(emptied, 0)
        self.restart()
        self.known(5)
        self.verdict("/far/a")
        wrong = self.daemon.metric("alluxio_cache_verify_failures_total")
        self.assertGreaterEqual(wrong, 1)
        self.assertEqual(self.daemon.metric(LOADED), 3 * MB)
        until(lambda: len(self.pages()) == 8, 10, "the pages are on disk again")
        self.known(8)
        self.assertEqual(self.verdict("/far/a"), "HIT")
        self.forgive("page")

    def test_quota(self) -> None:
        """The directory stays within its quota, however much is read."""
        for number in range(6):
            self.lay("far", str(number), DATA)
            self.verdict(f"/far/{number}")
        until(
            lambda: self.daemon.metric("alluxio_cached_evictions_total") > 0,
            10,
            "pages are evicted",
        )
        total = sum(os.path.getsize(path) for path in self.pages())
        self.assertLessEqual(total, 16 * MB)

    def test_vanished(self) -> None:
        """Page files that somebody removed are a miss, not an error."""
        self.fill()
        for path in self.pages():
            os.remove(path)
        self.verdict("/far/a")
        self.verdict("/far/a")
        self.forgive("page")


class FullDiskTests(CacheCase):
    """
    A cache directory on a disk that is full.
    """

    own = True

    def setUp(self) -> None:
        self.disk = tiny_disk(self, 3 * MB)
        self.__class__.setting = Setting(
            (
                f"alluxio.worker.page.store.dirs={self.disk}",
                "alluxio.worker.page.store.sizes=64MB",
                "alluxio.worker.page.store.memory.size=0",
            ),
            ("far=slow+file://{here}/far?latency=5ms",),
        )
        super().setUp()

    def test_full(self) -> None:
        """When the cache's disk is full, reads are served all the same."""
        self.lay("far", "a", DATA)
        for _ in range(3):
            self.verdict("/far/a")
        self.assertEqual(self.daemon.get("/healthz")[0], 200)
        # And so when others fill it.
        with contextlib.suppress(OSError):
            with open(os.path.join(self.disk, "filler"), "wb", 0) as file:
                while True:
                    file.write(bytes(4096))
        self.lay("far", "b", DATA)
        for _ in range(2):
            self.verdict("/far/b")
        self.forgive("No space", "full")


class MetricsTests(CacheCase):
    """
    What is counted.
    """

    def test_series(self) -> None:
        """Alluxio's two series, ours, and those of the process are there and count."""
        self.lay("far", "counted", b"x")
        daemon: Daemon = self.daemon
        wire = self.wire()
        results = {"method": "GET", "state": "success"}
        before = daemon.metric("alluxio_http_server_result_total", **results)
        for _ in range(3):
            wire.ask("GET", "/far/counted")
        until(
            lambda: (
                daemon.metric("alluxio_http_server_result_total", **results)
                == before + 3
            ),
            5,
        )
        latency = "alluxio_http_server_call_latency_ms_bucket"
        for bound in ("10.0", "40.0", "160.0", "640.0", "+Inf"):
            found = daemon.metric(latency, method="GET", success="true", le=bound)
            self.assertGreater(found, 0, bound)
        for name in (
            "alluxio_s3_requests_total",
            "alluxio_s3_request_duration_seconds_bucket",
            "alluxio_s3_sent_bytes_total",
            "alluxio_s3_connections",
            "alluxio_s3_connections_accepted_total",
            "alluxio_ufs_calls_total",
            "alluxio_ufs_call_duration_seconds_count",
            "alluxio_cached_storage_bytes",
            "alluxio_cached_data_read_bytes_total",
            "process_resident_memory_bytes",
        ):
            self.assertGreater(daemon.metric(name), 0, name)
        self.assertGreater(
            daemon.metric(
                "alluxio_s3_requests_total", operation="GetObject", status="200"
            ),
            2,
        )

    def test_admin(self) -> None:
        """The admin port says that it is well, and what it has."""
        self.assertEqual(self.daemon.get("/healthz"), (200, b"ok\n"))
        status, body = self.daemon.get("/readyz")
        self.assertEqual(status, 200)
        self.assertIn(b'"/far": "ok"', body)
        self.assertEqual(self.daemon.get("/nothing")[0], 404)
        host, _, port = self.daemon.admin.partition("//")[2].partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("HEAD", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
