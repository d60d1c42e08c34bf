"""
Every collector, on a registry handed in.

What is counted on every request is a plain list of numbers, found by one look
into a dictionary and bumped in place; all else (sums over labels, cumulative
buckets, the coarser buckets of Alluxio's own series) is computed when somebody
scrapes.  Not chosen: prometheus-client's own counters and histograms, which take
a lock and cost microseconds at each of the five things that a request counts.

Labels never grow without bound: whatever comes from the wire (users, methods) is
counted by name for the first so many, and as C{other} after that.

Names that begin as Alluxio's (C{alluxio_cached_...}, C{alluxio_http_server_...})
mean what they mean there; those that begin with C{alluxio_s3_}, C{alluxio_ufs_} or
C{alluxio_cache_} are ours.

More lines than a module should have, so that every series there is is declared in
one place that can be read from top to bottom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from twisted.logger import Logger

from alluxio_tw.tallies import (
    BOUNDS,
    BYTES_IN,
    BYTES_OUT,
    EMPTY,
    SECONDS,
    Labels,
    Tally,
    add,
    coarse_histogram,
    count_of,
    counter,
    histogram,
    merge,
)

SERIES_LIMIT = 1024
"""Combinations of labels that are counted apart."""

OTHER = "other"

Reading = float | Mapping[Labels, float]
"""What is read at a scrape: a number, or numbers by the values of their labels."""


class Tier(Protocol):
    """
    How full a tier of the page store is, and what it did:
    L{TierUsage<alluxio_tw.ipages.TierUsage>}.
    """

    @property
    def name(self) -> str: ...
    @property
    def capacity(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def pages(self) -> int: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    @property
    def evictions(self) -> int: ...
    @property
    def evicted_bytes(self) -> int: ...
    @property
    def failures(self) -> int: ...


class Origin(Protocol):
    """
    How much is taken of a mount's storage:
    L{CappedUFS<alluxio_tw.ufs.capped.CappedUFS>}, or one that is only hedged.
    """

    def numbers(self) -> Mapping[str, float]:
        """By the names in C{_ORIGINS}, those that it has."""


_ORIGINS = (
    ("in_use", "Requests to the storage under way, of a capped mount.", False),
    ("waiting", "Requests and pieces that wait for their turn.", False),
    ("refused", "Requests that waited for too long, or behind too many.", True),
    ("bytes", "Bytes to and from the storage, of a capped mount.", True),
    ("hedged_reads", "Reads that were asked for a second time.", True),
    ("hedges_won", "Of these, how many the second asking answered first.", True),
)


@attrs.frozen
class _Watched:
    name: str
    documentation: str
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    labels: Labels
    read: Callable[[], Reading]


class Metrics(Collector):
    """
    What this process counts.
    """

    log = Logger()

    def __init__(
        self, registry: CollectorRegistry, *, users: int = 100, process: bool = True
    ) -> None:
        """
        Register on C{registry}.

        :param users: how many users are counted by name.
        :param process: also collect what the system says of the process.
        """
        self._registry = registry
        self._users_limit = users
        self._requests: dict[tuple[str, str, int], Tally] = {}
        self._ufs: dict[tuple[str, str, str], Tally] = {}
        self._verdicts: dict[str, int] = {}
        self._users: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._accepted: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._watched: dict[str, _Watched] = {}
        self._origins: WeakValueDictionary[str, Origin] = WeakValueDictionary()
        self._failures = 0
        registry.register(self)
        if process:
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)

    # counting

    def request(
        self,
        operation: str,
        method: str,
        status: int,
        seconds: float,
        bytes_in: int,
        bytes_out: int,
    ) -> None:
        """
        A request is over.

        :param operation: as S3 names it; empty if it was none.
        :param method: the HTTP method.
        :param seconds: from the end of its header block to the end of the reply.
        :param bytes_in: of the body, as received.
        :param bytes_out: of the reply.
        """
        tally = self._requests.get((operation, method, status))
        if tally is None:
            tally = self._tally_of(operation, method, status)
        tally[bisect_left(BOUNDS, seconds)] += 1
        tally[SECONDS] += seconds
        tally[BYTES_IN] += bytes_in
        tally[BYTES_OUT] += bytes_out

    def _tally_of(self, operation: str, method: str, status: int) -> Tally:
        if len(self._requests) >= SERIES_LIMIT:
            operation, method, status = OTHER, OTHER, status // 100 * 100
        return self._requests.setdefault((operation, method, status), EMPTY[:])

    def verdict(self, cache: str) -> None:
        """
        What the cache had to do with a request: C{HIT}, C{MISS}, C{PARTIAL},
        C{STALE} or C{BYPASS}.
        """
        verdicts = self._verdicts
        verdicts[cache] = verdicts.get(cache, 0) + 1

    def user(self, name: str) -> None:
        """
        Who made a request; empty for nobody in particular.
        """
        users = self._users
        if name not in users and len(users) >= self._users_limit:
            name = OTHER
        users[name] = users.get(name, 0) + 1

    def connection(self, scheme: str, change: int) -> None:
        """
        A connection was accepted (1) or ended (-1).
        """
        self._open[scheme] = self._open.get(scheme, 0) + change
        if change > 0:
            self._accepted[scheme] = self._accepted.get(scheme, 0) + change

    def connection_refused(self, scheme: str) -> None:
        """
        A connection was refused: there were too many.
        """
        self._refused[scheme] = self._refused.get(scheme, 0) + 1

    def ufs_call(self, scheme: str, method: str, outcome: str, seconds: float) -> None:
        """
        A call to a storage is over.

        :param scheme: of the mount's URI.
        :param outcome: C{ok}, or the kind of failure.
        """
        tally = self._ufs.get((scheme, method, outcome))
        if tally is None:
            if len(self._ufs) >= SERIES_LIMIT:
                scheme, method, outcome = OTHER, OTHER, OTHER
            tally = self._ufs.setdefault((scheme, method, outcome), EMPTY[:])
        tally[bisect_left(BOUNDS, seconds)] += 1
        tally[SECONDS] += seconds

    # watching

    def watch(
        self,
        name: str,
        documentation: str,
        read: Callable[[], Reading],
        *,
        counter: bool = False,
        labels: Labels = (),
    ) -> None:
        """
        Read a number at each scrape, or several by the values of C{labels}.

        One that fails is logged, and missing from that scrape.

        :param name: without C{_total}, which a counter is given.
        :param counter: it only ever grows; otherwise it is a gauge.
        """
        kind = CounterMetricFamily if counter else GaugeMetricFamily
        self._watched[name] = _Watched(name, documentation, kind, labels, read)

    def watch_tiers(self, usage: Callable[[], Sequence[Tier]]) -> None:
        """
        Read how full the tiers of the page store are, and what they did.
        """
        for name, documentation, grows, one in _TIERS:

            def read(one: Callable[[Tier], int] = one) -> Reading:
                return {(tier.name,): one(tier) for tier in usage()}

            self.watch(name, documentation, read, counter=grows, labels=("tier",))

    def watch_origin(self, mount: str, origin: Origin) -> None:
        """
        Read how much is taken of the storage of a mount that is capped or hedged,
        for as long as C{origin} lives.

        :param mount: its path.
        """
        if not self._origins:
            for name, documentation, grows in _ORIGINS:

                def read(name: str = name) -> Reading:
                    return {
                        (mount,): numbers[name]
                        for mount, origin in self._origins.items()
                        if name in (numbers := origin.numbers())
                    }

                self.watch(
                    f"alluxio_ufs_origin_{name}",
                    documentation,
                    read,
                    counter=grows,
                    labels=("mount",),
                )
        self._origins[mount] = origin

    def watch_cache(self, counts: object) -> None:
        """
        Read every number that C{counts}
        (L{CacheStats<alluxio_tw.cache.stats.CacheStats>}) has, as a counter of its
        own name; and what Alluxio counts too under its name as well.
        """
        names = [
            name
            for name in dir(counts)
            if not name.startswith("_") and isinstance(getattr(counts, name), int)
        ]
        for name in names:

            def read(name: str = name) -> float:
                return float(getattr(counts, name))

            words = name.replace("_", " ")
            self.watch(
                f"alluxio_cache_{name}", f"Page cache: {words}.", read, counter=True
            )

        def cached() -> Reading:
            return {
                (tier,): getattr(counts, f"{tier}_bytes", 0)
                for tier in ("memory", "disk")
            }

        def external() -> float:
            return float(getattr(counts, "loaded_bytes", 0))

        self.watch(
            "alluxio_cached_data_read_bytes",
            "Bytes read from cached pages.",
            cached,
            counter=True,
            labels=("tier",),
        )
        self.watch(
            "alluxio_external_data_read_bytes",
            "Bytes read from storage on behalf of the cache.",
            external,
            counter=True,
        )

    # telling

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """
        All of the registry.

        :param accept: the C{Accept} header; OpenMetrics if it asks for that, the
            text format otherwise.
        :return: the content type and the text.
        """
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def describe(self) -> Iterable[Metric]:
        # What there is shows at the first scrape; registering must not scrape.
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_requests()
        yield from self._collect_alluxio()
        yield from self._collect_edge()
        yield from self._collect_ufs()
        for watched in list(self._watched.values()):
            family = watched.kind(
                watched.name, watched.documentation, labels=watched.labels
            )
            try:
                reading = watched.read()
                if isinstance(reading, Mapping):
                    for values, number in reading.items():
                        family.add_metric(values, number)
                else:
                    family.add_metric((), reading)
            except Exception:
                self._failures += 1
                self.log.failure("{name} could not be read", name=watched.name)
            else:
                yield family
        yield counter(
            "alluxio_metrics_failures",
            "Metrics that could not be read.",
            (),
            {(): self._failures},
        )

    def _collect_requests(self) -> Iterator[Metric]:
        counts: dict[Labels, float] = {}
        received: dict[Labels, float] = {}
        sent: dict[Labels, float] = {}
        latency: dict[Labels, Tally] = {}
        for (operation, _method, status), tally in list(self._requests.items()):
            count = count_of(tally)
            add(counts, (operation, str(status)), count)
            add(received, (operation,), tally[BYTES_IN])
            add(sent, (operation,), tally[BYTES_OUT])
            merge(latency, (operation,), tally)
        yield counter(
            "alluxio_s3_requests",
            "Requests by S3 operation and HTTP status.",
            ("operation", "status"),
            counts,
        )
        yield histogram(
            "alluxio_s3_request_duration_seconds",
            "From the end of a request's headers to the end of its reply.",
            ("operation",),
            latency,
        )
        yield counter(
            "alluxio_s3_received_bytes",
            "Bytes of request bodies.",
            ("operation",),
            received,
        )
        yield counter(
            "alluxio_s3_sent_bytes", "Bytes of replies.", ("operation",), sent
        )

    def _collect_alluxio(self) -> Iterator[Metric]:
        latency: dict[Labels, Tally] = {}
        results: dict[Labels, float] = {}
        for (_operation, method, status), tally in list(self._requests.items()):
            merge(latency, (method, "true" if status < 400 else "false"), tally)
            add(results, (method, _state(status)), count_of(tally))
        yield coarse_histogram(
            "alluxio_http_server_call_latency_ms",
            "Latency of HTTP calls, in milliseconds.",
            ("method", "success"),
            latency,
        )
        yield counter(
            "alluxio_http_server_result",
            "Results of HTTP calls.",
            ("method", "state"),
            results,
        )

    def _collect_edge(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            "alluxio_s3_connections", "Connections that are open.", labels=("scheme",)
        )
        for scheme, count in list(self._open.items()):
            connections.add_metric((scheme,), count)
        yield connections
        for name, documentation, label, numbers in (
            (
                "alluxio_s3_connections_accepted",
                "Connections accepted.",
                "scheme",
                self._accepted,
            ),
            (
                "alluxio_s3_connections_refused",
                "Connections refused, for there were too many.",
                "scheme",
                self._refused,
            ),
            (
                "alluxio_s3_cache_requests",
                "Requests by what the cache had to do with them.",
                "verdict",
                self._verdicts,
            ),
            (
                "alluxio_s3_user_requests",
                "Requests by user; beyond the first so many users, together.",
                "user",
                self._users,
            ),
        ):
            counts: dict[Labels, float] = {(k,): v for k, v in list(numbers.items())}
            yield counter(name, documentation, (label,), counts)

    def _collect_ufs(self) -> Iterator[Metric]:
        counts: dict[Labels, float] = {}
        latency: dict[Labels, Tally] = {}
        for labels, tally in list(self._ufs.items()):
            counts[labels] = count_of(tally)
            merge(latency, labels[:2], tally)
        yield counter(
            "alluxio_ufs_calls",
            "Calls to storage by outcome.",
            ("scheme", "method", "outcome"),
            counts,
        )
        yield histogram(
            "alluxio_ufs_call_duration_seconds",
            "From a call to storage to its result.",
            ("scheme", "method"),
            latency,
        )


_TIERS: Sequence[tuple[str, str, bool, Callable[[Tier], int]]] = (
    ("alluxio_cached_storage_bytes", "Bytes of pages.", False, lambda t: t.used),
    ("alluxio_cached_capacity_bytes", "Bytes allowed.", False, lambda t: t.capacity),
    ("alluxio_cached_pages", "Pages.", False, lambda t: t.pages),
    ("alluxio_cached_page_hits", "Pages found.", True, lambda t: t.hits),
    ("alluxio_cached_page_misses", "Pages not found.", True, lambda t: t.misses),
    ("alluxio_cached_evictions", "Pages evicted.", True, lambda t: t.evictions),
    (
        "alluxio_cached_evicted_data_bytes",
        "Bytes of pages evicted.",
        True,
        lambda t: t.evicted_bytes,
    ),
    ("alluxio_cached_failures", "Failures of the tier.", True, lambda t: t.failures),
)


def _state(status: int) -> str:
    if status < 400:
        return "success"
    return "client_error" if status < 500 else "server_error"
