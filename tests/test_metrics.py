"""
Tests of L{alluxio_tw.metrics} and L{alluxio_tw.tallies}.
"""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw import metrics
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.ipages import TierUsage
from alluxio_tw.metrics import Metrics
from alluxio_tw.tallies import BOUNDS


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, users=3, process=False)

    def value(self, name: str, **labels: str) -> float | None:
        """What a scrape says."""
        return self.registry.get_sample_value(name, labels)

    def total(self, name: str) -> float:
        """The sum over all labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        )

    def test_requests(self) -> None:
        """Requests are counted by operation and status, with their bytes."""
        for status in (200, 200, 404):
            self.metrics.request("GetObject", "GET", status, 0.001, 1, 10)
        self.metrics.request("HeadObject", "HEAD", 200, 0.001, 0, 0)
        self.assertEqual(
            self.value(
                "alluxio_s3_requests_total", operation="GetObject", status="200"
            ),
            2,
        )
        self.assertEqual(
            self.value(
                "alluxio_s3_requests_total", operation="GetObject", status="404"
            ),
            1,
        )
        self.assertEqual(
            self.value("alluxio_s3_sent_bytes_total", operation="GetObject"), 30
        )
        self.assertEqual(
            self.value("alluxio_s3_received_bytes_total", operation="GetObject"), 3
        )

    @given(st.lists(st.floats(0, 100), max_size=30))
    def test_latency(self, latencies: list[float]) -> None:
        """Each bucket has how many took no longer than its bound."""
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, process=False)
        for seconds in latencies:
            self.metrics.request("PutObject", "PUT", 200, seconds, 0, 0)
        text = self.metrics.exposition()[1].decode()
        found = {
            sample.labels["le"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "alluxio_s3_request_duration_seconds_bucket"
        }
        if latencies:
            self.assertEqual(
                found,
                {
                    **{str(b): sum(s <= b for s in latencies) for b in BOUNDS},
                    "+Inf": len(latencies),
                },
            )
        if latencies:
            count = self.value(
                "alluxio_s3_request_duration_seconds_count", operation="PutObject"
            )
            self.assertEqual(count, len(latencies))
            total = self.value(
                "alluxio_s3_request_duration_seconds_sum", operation="PutObject"
            )
            assert total is not None
            self.assertAlmostEqual(total, sum(latencies), places=6)

    def test_seed_latency(self) -> None:
        """Alluxio's own histogram has its four buckets, in milliseconds."""
        for milliseconds in (10, 11, 40, 160, 640, 641):
            self.metrics.request("GetObject", "GET", 200, milliseconds / 1000, 0, 0)
        self.metrics.request("GetObject", "GET", 500, 0.001, 0, 0)
        name = "alluxio_http_server_call_latency_ms"
        for le, count in (
            ("10.0", 1),
            ("40.0", 3),
            ("160.0", 4),
            ("640.0", 5),
            ("+Inf", 6),
        ):
            self.assertEqual(
                self.value(f"{name}_bucket", method="GET", success="true", le=le), count
            )
        self.assertEqual(self.value(f"{name}_count", method="GET", success="true"), 6)
        total = self.value(f"{name}_sum", method="GET", success="true")
        assert total is not None
        self.assertAlmostEqual(total, 1502)
        self.assertEqual(self.value(f"{name}_count", method="GET", success="false"), 1)

    def test_seed_results(self) -> None:
        """Alluxio's own counter tells success from whose failure it was."""
        for status in (200, 206, 304, 404, 503):
            self.metrics.request("GetObject", "GET", status, 0.001, 0, 0)
        for state, count in (("success", 3), ("client_error", 1), ("server_error", 1)):
            self.assertEqual(
                self.value(
                    "alluxio_http_server_result_total", method="GET", state=state
                ),
                count,
            )

    def test_bounded_series(self) -> None:
        """Labels that a client makes up do not grow without bound, nor get lost."""
        many = metrics.SERIES_LIMIT + 500
        for number in range(many):
            self.metrics.request(f"Made{number}", "GET", 400, 0.001, 0, 0)
            self.metrics.ufs_call("file", f"made{number}", "ok", 0.001)
        self.assertEqual(self.total("alluxio_s3_requests_total"), many)
        self.assertEqual(self.total("alluxio_ufs_calls_total"), many)
        self.assertEqual(
            self.value("alluxio_s3_requests_total", operation="other", status="400"),
            500,
        )
        text = self.metrics.exposition()[1].decode()
        self.assertNotIn(f"Made{many - 1}", text)

    def test_users(self) -> None:
        """The first so many users are counted by name, the rest together."""
        for user in ("a", "b", "a", 'c"\n', "d", "e", "a"):
            self.metrics.user(user)
        name = "alluxio_s3_user_requests_total"
        self.assertEqual(self.value(name, user="a"), 3)
        self.assertEqual(self.value(name, user='c"\n'), 1)
        self.assertEqual(self.value(name, user="other"), 2)
        self.assertIsNone(self.value(name, user="d"))

    def test_connections(self) -> None:
        """Connections are counted as they come, go, and are turned away."""
        for change in (1, 1, -1):
            self.metrics.connection("https", change)
        self.metrics.connection_refused("https")
        self.assertEqual(self.value("alluxio_s3_connections", scheme="https"), 1)
        self.assertEqual(
            self.value("alluxio_s3_connections_accepted_total", scheme="https"), 2
        )
        self.assertEqual(
            self.value("alluxio_s3_connections_refused_total", scheme="https"), 1
        )

    def test_verdicts(self) -> None:
        """What the cache had to do with requests is counted."""
        for verdict in ("HIT", "MISS", "HIT", "BYPASS"):
            self.metrics.verdict(verdict)
        self.assertEqual(
            self.value("alluxio_s3_cache_requests_total", verdict="HIT"), 2
        )

    def test_ufs(self) -> None:
        """Calls to storage are counted by outcome, and timed."""
        for outcome, seconds in (("ok", 0.5), ("ok", 0.25), ("StorageBusy", 1)):
            self.metrics.ufs_call("s3", "read", outcome, seconds)
        self.assertEqual(
            self.value(
                "alluxio_ufs_calls_total", scheme="s3", method="read", outcome="ok"
            ),
            2,
        )
        self.assertEqual(
            self.value(
                "alluxio_ufs_call_duration_seconds_sum", scheme="s3", method="read"
            ),
            1.75,
        )

    def test_tiers(self) -> None:
        """Tiers are read at each scrape, each number under its own name."""
        usage = [TierUsage("memory", 1, 2, 3, 4, 5, 6, 7, 8)]
        self.metrics.watch_tiers(lambda: usage)
        for name, number in (
            ("alluxio_cached_capacity_bytes", 1),
            ("alluxio_cached_storage_bytes", 2),
            ("alluxio_cached_pages", 3),
            ("alluxio_cached_page_hits_total", 4),
            ("alluxio_cached_page_misses_total", 5),
            ("alluxio_cached_evictions_total", 6),
            ("alluxio_cached_evicted_data_bytes_total", 7),
            ("alluxio_cached_failures_total", 8),
        ):
            self.assertEqual(self.value(name, tier="memory"), number)
        usage.append(TierUsage("disk", 9, 0, 0, 0, 0, 0, 0, 0))
        self.assertEqual(self.value("alluxio_cached_capacity_bytes", tier="disk"), 9)

    def test_cache(self) -> None:
        """Every number of the page cache is told, Alluxio's under its names too."""
        stats = CacheStats()
        self.metrics.watch_cache(stats)
        names = [field.name for field in attrs.fields(CacheStats)]
        for number, name in enumerate(names):
            setattr(stats, name, number + 1)
        for number, name in enumerate(names):
            self.assertEqual(self.value(f"alluxio_cache_{name}_total"), number + 1)
        self.assertEqual(
            self.value("alluxio_cached_data_read_bytes_total", tier="disk"),
            stats.disk_bytes,
        )
        self.assertEqual(
            self.value("alluxio_external_data_read_bytes_total"), stats.loaded_bytes
        )

    def test_watch(self) -> None:
        """A number that is watched is read when somebody scrapes."""
        numbers = iter([1, 2])
        self.metrics.watch("mine", "Mine.", lambda: float(next(numbers)))
        self.assertEqual(self.value("mine"), 1)
        self.assertEqual(self.value("mine"), 2)

    def test_watch_that_fails(self) -> None:
        """One that cannot be read is logged, and takes no other down."""
        self.metrics.watch("broken", "Broken.", lambda: 1 / 0)
        self.metrics.watch("well", "Well.", lambda: {("x",): 1.0}, labels=("label",))
        self.assertEqual(self.value("well", label="x"), 1)
        self.assertIsNone(self.value("broken"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.value("alluxio_metrics_failures_total"), 3)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_formats(self) -> None:
        """OpenMetrics is spoken to who accepts it, the text format otherwise."""
        self.metrics.request("GetObject", "GET", 200, 0.001, 0, 0)
        content_type, text = self.metrics.exposition(
            "application/openmetrics-text; version=1.0.0"
        )
        self.assertTrue(content_type.startswith("application/openmetrics-text"))
        families = {family.name for family in open_metrics(text.decode())}
        self.assertIn("alluxio_s3_requests", families)
        content_type, _ = self.metrics.exposition()
        self.assertTrue(content_type.startswith("text/plain"))

    def test_process(self) -> None:
        """What the system says of the process is told too."""
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        seconds = self.value("process_cpu_seconds_total")
        assert seconds is not None
        self.assertGreater(seconds, 0)
        self.assertIsNotNone(self.value("python_gc_collections_total", generation="0"))
