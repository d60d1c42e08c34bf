"""
Mounts that come, change, break and go while there are requests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.errors import (
    NoSuchBucket,
    NoSuchUpload,
    ShuttingDown,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.gateway.current import Current
from alluxio_tw.gateway.mounting import GRACE, Mounting
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.standing import LAST_PAUSE, PATIENCE
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.iobjects import NO_ATTRIBUTES
from alluxio_tw.leases import Leases
from alluxio_tw.namespace.entries import OVERRULED, STATE, MountEntries, MountEntry
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.options import split_options
from alluxio_tw.spans import Span
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.leased import LeasedUFS
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS

T = TypeVar("T")


class Storage(FaultyUFS):
    """A storage that tells whether it was closed."""

    closed = 0

    def close(self) -> Deferred[None]:
        self.closed += 1
        done: Deferred[None] = super().close()
        return done


class MountingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.state = MemoryState()
        self.entries = MountEntries(self.state)
        self.records = Records.open(self.mktemp(), self.clock, NoThreads())
        self.addCleanup(self.records.close)
        self.made: list[tuple[MountEntry, Storage]] = []
        self.refusing: dict[str, Exception] = {}
        self.table = MountTable(self.clock)
        self.mounting = Mounting(
            self.table,
            self.state,
            self.records,
            self.make,
            self.clock,
            self.clock.seconds,
        )
        pages = PageCache(MemoryStore(1 << 20), 1 << 10, self.clock, NoThreads())
        self.objects = Objects(
            self.table, Current(self.records, self.clock.seconds), pages, NoThreads()
        )
        self.uploads = Uploads(self.objects, self.state, self.clock.seconds, 4)
        self.addCleanup(self.mounting.close)

    def make(self, entry: MountEntry) -> Mount:
        if entry.uri in self.refusing:
            raise self.refusing[entry.uri]
        storage = Storage(MemoryUFS(self.clock, NoThreads()), self.clock)
        self.made.append((entry, storage))
        own, _ = split_options(entry.options)
        leases = Leases()
        return Mount.of(
            entry.path,
            entry.uri,
            entry.options,
            own,
            LeasedUFS(storage, leases),
            0,
            leases,
        )

    def begin(self, *configured: MountEntry) -> None:
        written = self.now(self.entries.every())
        self.mounting.begin(configured, written)
        self.mounting.start(self.uploads)

    def now(self, work: Deferred[T]) -> T:
        return self.successResultOf(work)

    def add(self, path: str, uri: str = "memory:///", **options: str) -> None:
        self.now(self.entries.add(MountEntry(path, uri, options, created=5)))

    def change(self, path: str, **changes: Any) -> None:
        self.now(
            self.entries.change(path, lambda entry: attrs.evolve(entry, **changes))
        )

    def paths(self) -> list[str]:
        return [mount.path for mount in self.table.mounts]

    def storage(self, path: str) -> Storage:
        """The one that was made last for a path."""
        return [storage for entry, storage in self.made if entry.path == path][-1]

    def check(self) -> Mapping[str, str]:
        return self.now(self.mounting.check())


class ChangingTests(MountingCase):
    def test_begins(self) -> None:
        """What is configured and what is written are mounted before anyone can ask."""
        self.add("/written")
        self.begin(MountEntry("/configured", "memory:///", origin="file:1"))
        self.assertEqual(self.paths(), ["/configured", "/written"])
        self.assertEqual(self.check(), {"/configured": "", "/written": ""})

    def test_told(self) -> None:
        """What is written and removed while we run is mounted and unmounted."""
        self.begin(MountEntry("/one", "memory:///"))
        self.add("/two")
        self.assertEqual(self.paths(), ["/one", "/two"])
        self.now(self.entries.remove("/two"))
        self.assertEqual(self.paths(), ["/one"])
        self.failureResultOf(self.table.bucket("two"), NoSuchBucket)

    def test_configuration_wins(self) -> None:
        """Where the configuration has a path, what is written there is left out."""
        self.add("/one", "memory:///written")
        self.begin(MountEntry("/one", "memory:///configured", origin="file:1"))
        self.assertEqual(self.table.mounts[0].uri, "memory:///configured")
        ((entry, why),) = self.mounting.left_out
        self.assertEqual((entry.origin, why), (STATE, OVERRULED))
        self.assertEqual(self.check(), {"/one": ""})

    def test_fallback(self) -> None:
        """The root that nobody asked for gives way, and comes back."""
        self.begin(MountEntry("/", "memory:///ours", fallback=True))
        self.add("/", "memory:///theirs")
        self.assertEqual(self.table.mounts[0].uri, "memory:///theirs")
        self.now(self.entries.remove("/"))
        self.assertEqual(self.table.mounts[0].uri, "memory:///ours")

    def test_orphan(self) -> None:
        """A nested mount without a bucket is left out until there is one."""
        self.begin(MountEntry("/one", "memory:///"))
        self.add("/two/deep")
        self.assertEqual(self.paths(), ["/one"])
        self.assertIn("mount something at /two or /", self.check()["/two/deep"])
        self.add("/two")
        self.assertEqual(self.paths(), ["/one", "/two", "/two/deep"])
        self.now(self.entries.remove("/two"))
        self.assertEqual(self.paths(), ["/one"])

    def test_update(self) -> None:
        """Other options take effect at once, and leave what names the cache's pages."""
        self.begin()
        self.add("/one", freshness="immutable")
        before = self.table.mounts[0]
        self.change("/one", options={"max-age": "5s", "readonly": "true"})
        after = self.table.mounts[0]
        self.assertEqual(after.id, before.id)
        self.assertEqual(
            (after.policy.max_age, after.read_only, after.created), (5.0, True, 5)
        )
        self.change("/one", uri="memory:///other", created=6)
        self.assertNotEqual(self.table.mounts[0].id, before.id)

    def test_unchanged(self) -> None:
        """What did not change keeps its driver."""
        self.begin(MountEntry("/one", "memory:///"))
        self.add("/two")
        self.assertEqual([entry.path for entry, _ in self.made], ["/one", "/two"])
        self.add("/three")
        self.now(self.mounting.settle())
        self.assertEqual(len(self.made), 3)

    def test_created(self) -> None:
        """A bucket is as old as its mount, over a restart."""
        self.begin(MountEntry("/one", "memory:///"))
        self.add("/two")
        created = [mount.created for mount in self.table.mounts]
        self.assertEqual(created, [1_000_000 * 10**9, 5])
        self.clock.advance(100)
        again = Mounting(
            MountTable(self.clock),
            self.state,
            self.records,
            self.make,
            self.clock,
            self.clock.seconds,
        )
        written = self.now(self.entries.every())
        again.begin([MountEntry("/one", "memory:///")], written)
        self.addCleanup(again.close)
        self.assertEqual([mount.created for mount in again.table.mounts], created)

    def test_mounted_anew(self) -> None:
        """What was known of a mount that went is not believed of one that comes."""
        self.begin()
        self.add("/one")
        mount = self.table.mounts[0]
        status = self.storage("/one").wrapped.put("k", b"x", "")  # type: ignore[attr-defined]
        self.records.learn(mount.id, "k", status, self.clock.seconds())
        self.change("/one", options={"max-age": "5s"})
        self.assertIsNotNone(self.records.glance(mount.id, "k"))
        self.now(self.entries.remove("/one"))
        self.now(self.entries.add(MountEntry("/one", "memory:///", created=77)))
        self.assertEqual(self.table.mounts[0].id, mount.id)
        self.assertIsNone(self.records.glance(mount.id, "k"))

    def test_impossible_path(self) -> None:
        """What cannot be mounted anywhere is left out, whoever wrote it."""
        self.begin()
        self.now(self.state.put("mounts/a/../b", b"{}"))
        self.assertEqual(self.paths(), [])
        self.assertEqual(list(self.check()), ["/a/../b"])

    def test_closed(self) -> None:
        """After the end nothing is mounted, and who waits is told."""
        self.begin(MountEntry("/one", "memory:///"))
        self.now(self.mounting.close())
        self.assertEqual(self.storage("/one").closed, 1)
        self.add("/two")
        self.assertEqual(len(self.made), 1)
        self.failureResultOf(self.mounting.settle(), ShuttingDown)


class LeavingTests(MountingCase):
    def test_idle(self) -> None:
        """A mount that nobody uses is closed a while after it is removed."""
        self.begin()
        self.add("/one")
        self.now(self.entries.remove("/one"))
        self.clock.advance(GRACE - 1)
        self.assertEqual(self.storage("/one").closed, 0)
        self.clock.advance(1)
        self.assertEqual(self.storage("/one").closed, 1)

    def test_download(self) -> None:
        """A download that has begun when its mount is removed or changed is finished."""
        for cached in ("true", "false"):
            for change in ("remove", "change"):
                path = f"/one-{cached}-{change}"
                self.begin()
                self.add(path, f"memory:///{path}", cache=cached)
                storage = self.storage(path)
                data = bytes(range(256)) * 16
                storage.wrapped.put("k", data, "")  # type: ignore[attr-defined]
                reading = self.now(self.objects.open(path[1:], "k"))
                body = reading.body(Span(0, len(data)))
                reading.close()
                if change == "remove":
                    self.now(self.entries.remove(path))
                else:
                    self.change(path, uri="memory:///elsewhere")
                for _ in range(10):
                    self.clock.advance(GRACE)
                self.assertEqual(storage.closed, 0)
                got = b""
                while (piece := self.now(body.read())) is not None:
                    got += bytes(piece)  # type: ignore[arg-type]
                self.assertEqual(got, data)
                self.assertEqual(storage.closed, 0)
                body.close()
                self.clock.advance(GRACE)
                self.assertEqual(storage.closed, 1)

    def test_between_calls(self) -> None:
        """A request that is between two calls keeps its mount a while longer."""
        self.begin()
        self.add("/one")
        ufs = self.table.mounts[0].ufs
        self.now(self.entries.remove("/one"))
        for _ in range(5):
            self.clock.advance(GRACE - 1)
            self.now(ufs.check())
        self.assertEqual(self.storage("/one").closed, 0)
        # The last grace began before the last call, and another begins after it.
        self.clock.pump([GRACE] * 2)
        self.assertEqual(self.storage("/one").closed, 1)

    def test_end(self) -> None:
        """At the end those that are leaving are closed as well, once."""
        self.begin()
        self.add("/one")
        storage = self.storage("/one")
        lease = self.table.mounts[0].leases.take()
        self.now(self.entries.remove("/one"))
        self.now(self.mounting.close())
        lease.end()
        self.clock.advance(GRACE * 2)
        self.assertEqual(storage.closed, 1)

    def upload(self, bucket: str, key: str) -> str:
        upload = self.now(self.uploads.create(bucket, key, "me", NO_ATTRIBUTES))
        return upload.id

    def test_uploads(self) -> None:
        """Uploads end with the storage of their key, and only those."""
        self.begin(MountEntry("/one", "memory:///"), MountEntry("/two", "memory:///"))
        self.add("/one/deep", "memory:///deep")
        kept = self.upload("one", "k")
        ended = self.upload("one", "deep/k")
        also = self.upload("two", "x/k")
        self.clock.advance(1)
        self.now(self.entries.remove("/one/deep"))
        self.add("/two/x", "memory:///x")
        self.now(self.uploads.get("one", "k", kept))
        self.failureResultOf(self.uploads.get("one", "deep/k", ended), NoSuchUpload)
        self.failureResultOf(self.uploads.get("two", "x/k", also), NoSuchUpload)

    def test_uploads_stay(self) -> None:
        """Uploads outlive a change of options."""
        self.begin()
        self.add("/one")
        id = self.upload("one", "k")
        self.clock.advance(1)
        self.change("/one", options={"readonly": "true"})
        self.now(self.uploads.get("one", "k", id))


class BrokenTests(MountingCase):
    def away(self, uri: str = "memory:///away") -> str:
        self.refusing[uri] = StorageUnavailable("It is away.")
        return uri

    def test_beside(self) -> None:
        """A mount that cannot be made is there as broken, and the others are well."""
        self.begin(MountEntry("/bad", self.away()), MountEntry("/good", "memory:///"))
        self.assertEqual(self.check(), {"/bad": "It is away.", "/good": ""})
        self.assertEqual(self.now(self.table.bucket("bad")).name, "bad")
        failure = self.failureResultOf(self.objects.open("bad", "k"))
        self.assertIsInstance(failure.value, StorageUnavailable)
        # Of its operator's business the client hears nothing.
        self.assertNotIn("It is away", failure.value.message)

    def test_again(self) -> None:
        """It is tried again, after longer and longer pauses, and is well when made."""
        uri = self.away()
        self.begin(MountEntry("/bad", uri))
        tries: list[float] = []
        make = self.mounting._make

        def counted(entry: MountEntry) -> Mount:
            tries.append(self.clock.seconds() - 1_000_000)
            return make(entry)

        self.mounting._make = counted
        for _ in range(200):
            self.clock.advance(1)
        self.assertEqual(tries, [1, 3, 7, 15, 31, 63, 123, 183])
        del self.refusing[uri]
        self.clock.advance(LAST_PAUSE)
        self.assertEqual(self.check(), {"/bad": ""})
        self.failureResultOf(self.objects.open("bad", "k"))
        self.assertEqual(self.storage("/bad").count("open"), 1)

    def test_wanted(self) -> None:
        """It is tried again when somebody asks for it, but not for each who asks."""
        uri = self.away()
        self.begin(MountEntry("/bad", uri))
        self.clock.pump([1, 2, 4, 1])
        del self.refusing[uri]
        self.failureResultOf(self.objects.open("bad", "k"), StorageUnavailable)
        self.failureResultOf(self.objects.open("bad", "k"), StorageUnavailable)
        self.clock.advance(0)
        self.assertEqual(len(self.made), 1)
        self.assertEqual(self.check(), {"/bad": ""})

    def test_configured_wrongly(self) -> None:
        """What is configured wrongly is refused; what is written so is broken."""
        self.refusing["memory:///x"] = WrongConfiguration("No such option.")
        self.assertRaises(
            WrongConfiguration, self.begin, MountEntry("/bad", "memory:///x")
        )
        self.add("/bad", "memory:///x")
        self.begin()
        self.assertEqual(self.check(), {"/bad": "No such option."})

    def test_unreadable(self) -> None:
        """What the state has and nobody can read is broken, and can be removed."""
        self.now(self.state.put("mounts/bad", b"nonsense"))
        self.begin()
        self.assertIn("cannot be read", self.check()["/bad"])
        self.now(self.entries.remove("/bad"))
        self.assertEqual(self.check(), {})

    def test_removed(self) -> None:
        """What is removed while it is broken is tried no more."""
        uri = self.away()
        self.begin()
        self.add("/bad", uri)
        self.now(self.entries.remove("/bad"))
        del self.refusing[uri]
        self.clock.pump([30] * 10)
        self.assertEqual(self.made, [])
        self.assertEqual(self.paths(), [])

    def test_hanging(self) -> None:
        """One that hangs is told to hang, in time; the others are looked at meanwhile."""
        self.begin(
            MountEntry("/a", "memory:///"),
            MountEntry("/b", "memory:///"),
            MountEntry("/c", "memory:///"),
        )
        hanging = self.storage("/b")
        gate = hanging.hold("check")
        self.storage("/c").fail("check", StorageUnavailable("It is away."))
        for _ in range(3):
            looking = self.mounting.check()
            self.clock.advance(PATIENCE - 1)
            self.assertNoResult(looking)
            self.clock.advance(1)
            found = self.now(looking)
            self.assertEqual((found["/a"], found["/c"]), ("", "It is away."))
            self.assertIn("not answered within 5 seconds", found["/b"])
        # Not one more that hangs for each who asks.
        self.assertEqual(hanging.count("check"), 1)
        gate.open()
        self.assertEqual(self.check()["/b"], "")

    def test_looked_at_again(self) -> None:
        """One that was found broken is looked at again by itself."""
        self.begin(MountEntry("/a", "memory:///"))
        storage = self.storage("/a")
        storage.fail("check")
        self.check()
        storage.heal()
        before = storage.count("check")
        self.clock.advance(1)
        self.assertEqual(storage.count("check"), before + 1)
        self.clock.pump([60] * 3)
        # It is well: let it be.
        self.assertEqual(storage.count("check"), before + 1)

    def test_fails(self) -> None:
        """A driver that fails in its own way is broken as well, and logged."""
        self.begin(MountEntry("/a", "memory:///"))
        self.storage("/a").fail("check", ZeroDivisionError("hush"))
        self.assertNotIn("hush", self.check()["/a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
