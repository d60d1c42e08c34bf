"""
Drivers that keep no attributes keep them beside the data.
"""

from __future__ import annotations

import json
import os
import time

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageDenied, StorageUnavailable
from alluxio_tw.ibody import Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import IPlacing, IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.testing.ufs import (
    UnderFileSystemContract,
    get,
    keys_of,
    put,
)
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.fsspec import make as make_bridge
from alluxio_tw.ufs.memory import make as make_memory
from alluxio_tw.ufs.passing import PassingUFS
from alluxio_tw.ufs.sidecar import SidecarUFS


class Bare(PassingUFS):
    """A driver without the attributes that it could keep, whose ETags are its own."""

    def __init__(self, ufs: IUnderFileSystem) -> None:
        super().__init__(ufs)
        self.capabilities = attrs.evolve(ufs.capabilities, attributes=False, etags=True)

    def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        return self.ufs.place(path, size).addCallback(_BarePlacing)

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self.ufs.copy(source, status, target, NO_ATTRIBUTES, "", demand)


@implementer(IPlacing)
@attrs.define(eq=False)
class _BarePlacing:
    _placing: IPlacing

    def write(self, data: Piece) -> Deferred[None]:
        return self._placing.write(data)

    def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Deferred[Status]:
        return self._placing.commit("", NO_ATTRIBUTES, demand, modified)

    def abort(self) -> Deferred[None]:
        return self._placing.abort()


class SidecarTests(UnderFileSystemContract):
    """
    The whole contract of attributes; what listings tell is the storage's own.
    """

    storage_class = False


class MemoryContractTests(SidecarTests, TestCase):
    sets_modified = 1
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        around = self.surroundings()
        bare = Bare(make_memory("memory:///", {}, around))
        return SidecarUFS(bare, around.threads, time.time)


class BridgeContractTests(SidecarTests, TestCase):
    folder_objects = False
    sets_modified = None
    checks_demands = True

    def make_ufs(self) -> IUnderFileSystem:
        root = os.path.abspath(self.mktemp())
        os.mkdir(root)
        around = self.surroundings()
        bridge = make_bridge(f"fsspec+file://{root}", {}, around)
        return SidecarUFS(bridge, around.threads, time.time)


SAID = Attributes(headers={"content-type": "x/y"}, user={"name": "value"})
OTHERWISE = Attributes(user={"name": "other"}, tags={"a": "b"})
NOTES = ".alluxio-tw-attributes/"


class Watched(Bare):
    """
    Counts what it is asked, waits where it is told, and fails what it must.

    :ivar asked: methods and paths.
    :ivar hold: the next note waits for it before it is placed.
    :ivar late: the next status waits for it.
    :ivar broken: what reading or writing a note fails with.
    """

    hold: Deferred[None] | None = None
    late: Deferred[None] | None = None
    broken: Exception | None = None

    def __init__(self, ufs: IUnderFileSystem) -> None:
        super().__init__(ufs)
        self.asked: list[tuple[str, str]] = []

    def _ask(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        if self.broken is not None and path.startswith(NOTES):
            raise self.broken

    @deferred
    async def status(self, path: str) -> Status:
        self._ask("status", path)
        late, self.late = self.late, None
        if late is not None:
            await late
        return await super().status(path)

    @deferred
    async def open(self, path: str) -> IReading:
        self._ask("open", path)
        return await super().open(path)

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        hold = self.hold
        if hold is not None and path.startswith(NOTES):
            self.hold = None
            await hold
        self._ask("place", path)
        return await super().place(path, size, attributes)

    def list(self, query: ListQuery) -> Deferred[Listing]:
        self._ask("list", query.prefix)
        return super().list(query)


class NotesTests(SynchronousTestCase):
    """
    What is promised of notes, step by step: nothing here takes any time.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.memory = make_memory(
            "memory:///", {}, Surroundings(self.clock, NoThreads())
        )
        self.bare = Watched(self.memory)
        self.ufs = SidecarUFS(self.bare, NoThreads(), self.clock.seconds)

    def put(self, key: str, data: bytes, said: Attributes = NO_ATTRIBUTES) -> Status:
        work = Deferred.fromCoroutine(put(self.ufs, key, data, attributes=said))
        return self.successResultOf(work)

    def foreign(self, key: str, data: bytes) -> None:
        self.successResultOf(Deferred.fromCoroutine(put(self.memory, key, data, "")))

    def said(self, key: str) -> Attributes:
        return self.successResultOf(self.ufs.status(key)).attributes

    def notes(self) -> list[str]:
        work = Deferred.fromCoroutine(keys_of(self.memory, ListQuery(NOTES)))
        return self.successResultOf(work)

    def test_foreign(self) -> None:
        """What somebody else writes has nothing of what was said before."""
        self.put("key", b"ours", SAID)
        self.assertEqual(self.said("key"), SAID)
        self.foreign("key", b"them")
        self.assertEqual(self.said("key"), NO_ATTRIBUTES)

    def test_died(self) -> None:
        """
        A writer that dies between object and note leaves an object without
        attributes, never with those of its predecessor.
        """
        self.put("key", b"old", SAID)
        self.bare.hold = Deferred()
        placing = self.successResultOf(self.ufs.place("key", None))
        self.successResultOf(placing.write(b"new"))
        self.assertNoResult(placing.commit("", OTHERWISE, NO_DEMAND))
        # Another life looks at what there is.
        after = SidecarUFS(Bare(self.memory), NoThreads(), self.clock.seconds)
        found = self.successResultOf(after.status("key"))
        self.assertEqual((found.size, found.attributes), (3, NO_ATTRIBUTES))

    def test_between(self) -> None:
        """Who asks while an object and its note are written is told of both."""
        self.put("key", b"old", SAID)
        self.between()

    def test_between_first(self) -> None:
        """So is who asks while there is a new object, and no note at all yet."""
        self.between()

    def between(self) -> None:
        hold: Deferred[None] = Deferred()
        self.bare.hold = hold
        placing = self.successResultOf(self.ufs.place("key", None))
        self.successResultOf(placing.write(b"newer"))
        made = placing.commit("", OTHERWISE, NO_DEMAND)
        asked, opened = self.ufs.status("key"), self.ufs.open("key")
        self.assertNoResult(asked)
        self.assertNoResult(opened)
        # Nobody else is kept waiting.
        self.put("other", b"x", SAID)
        self.assertEqual(self.said("other"), SAID)
        hold.callback(None)
        expected = self.successResultOf(made)
        self.assertEqual(expected.attributes, OTHERWISE)
        self.assertEqual(self.successResultOf(asked), expected)
        self.assertEqual(self.successResultOf(opened).status, expected)

    def test_around(self) -> None:
        """So is who asked before all of it, and is answered after."""
        late = self.bare.late = Deferred()
        asked = self.ufs.status("key")
        made = self.put("key", b"data", SAID)
        self.assertNoResult(asked)
        late.callback(None)
        self.assertEqual(self.successResultOf(asked), made)
        self.assertEqual(made.attributes, SAID)

    def test_given_up(self) -> None:
        """A commit that nobody waits for any more is finished all the same."""
        hold: Deferred[None] = Deferred()
        self.bare.hold = hold
        placing = self.successResultOf(self.ufs.place("key", None))
        made = placing.commit("", SAID, NO_DEMAND)
        made.cancel()
        self.failureResultOf(made, CancelledError)
        aborted = placing.abort()
        self.assertNoResult(aborted)
        hold.callback(None)
        self.successResultOf(aborted)
        self.assertEqual(self.said("key"), SAID)

    def test_deleted(self) -> None:
        """With an object goes what was said of it."""
        self.put("key", b"data", SAID)
        self.assertEqual(len(self.notes()), 1)
        self.assertTrue(self.successResultOf(self.ufs.delete("key", NO_DEMAND)))
        self.assertEqual(self.notes(), [])

    def test_nothing_said(self) -> None:
        """Of what nothing is said there is no note."""
        self.put("key", b"data", SAID)
        self.put("key", b"more")
        self.assertEqual(self.notes(), [])
        self.put(".alluxio-tw/uploads/1", b"part", SAID)
        self.assertEqual(self.notes(), [])

    def test_requests(self) -> None:
        """A status is two requests, a listing one, whatever it lists."""
        for n in range(5):
            self.put(f"k/{n}", b"data", SAID)
        self.bare.asked.clear()
        self.successResultOf(self.ufs.status("k/1"))
        (note,) = [path for method, path in self.bare.asked if method == "open"]
        self.assertEqual(self.bare.asked, [("open", note), ("status", "k/1")])
        self.foreign("k/9", b"no note")
        self.bare.asked.clear()
        self.successResultOf(self.ufs.status("k/9"))
        self.assertEqual(len(self.bare.asked), 2)
        self.bare.asked.clear()
        self.successResultOf(self.ufs.list(ListQuery("k/")))
        self.assertEqual(self.bare.asked, [("list", "k/")])

    def test_etags(self) -> None:
        """PUT, HEAD and listing tell one ETag."""
        made = self.put("key", b"data", SAID)
        (entry,) = self.successResultOf(self.ufs.list(ListQuery())).entries
        found = self.successResultOf(self.ufs.status("key"))
        self.assertEqual({made.etag, entry.etag, found.etag}, {made.etag})

    def test_denied(self) -> None:
        """Where our names may not be read, objects can be; an outage is one."""
        self.foreign("key", b"data")
        self.bare.broken = StorageDenied()
        self.assertEqual(self.said("key"), NO_ATTRIBUTES)
        self.bare.broken = StorageUnavailable()
        self.failureResultOf(self.ufs.status("key"), StorageUnavailable)
        self.failureResultOf(self.ufs.open("key"), StorageUnavailable)

    def test_note_fails(self) -> None:
        """A write whose note fails fails, and leaves no old attributes on new bytes."""
        self.put("key", b"old", SAID)
        self.bare.broken = StorageUnavailable()
        work = Deferred.fromCoroutine(put(self.ufs, "key", b"new!", "", OTHERWISE))
        self.failureResultOf(work, StorageUnavailable)
        self.bare.broken = None
        self.assertEqual(self.said("key"), NO_ATTRIBUTES)
        self.put("key", b"again", OTHERWISE)
        self.assertEqual(self.said("key"), OTHERWISE)

    def test_strange_notes(self) -> None:
        """What is no note, or is about another object, says nothing."""
        self.put("key", b"data", SAID)
        (name,) = self.notes()
        good = json.loads(
            self.successResultOf(Deferred.fromCoroutine(get(self.memory, name)))
        )
        for bad in (
            b"",
            b"{",
            b"[]",
            b"{}",
            b"\xff",
            json.dumps({**good, "path": "yek"}).encode(),
            json.dumps({**good, "s": "4"}).encode(),
            json.dumps({**good, "v": "0"}).encode(),
        ):
            self.foreign(name, bad)
            self.assertEqual(self.said("key"), NO_ATTRIBUTES, bad)
        self.foreign(name, json.dumps(good).encode())
        self.assertEqual(self.said("key"), SAID)

    def test_swept(self) -> None:
        """Old notes about what is no more are removed, and no others."""
        for key in ("stays", "gone", "written"):
            self.put(key, b"data", SAID)
        self.successResultOf(self.memory.delete("gone", NO_DEMAND))
        self.foreign("written", b"theirs")
        self.assertEqual(self.successResultOf(self.ufs.sweep(60)), 0)
        self.clock.advance(61)
        self.assertEqual(self.successResultOf(self.ufs.sweep(60)), 2)
        self.assertEqual(len(self.notes()), 1)
        self.assertEqual(self.said("stays"), SAID)

    def test_swept_round(self) -> None:
        """A sweep looks at some, the next at others, until all were looked at."""
        for n in range(1100):
            self.put(f"{n}", b"", SAID)
            self.successResultOf(self.memory.delete(f"{n}", NO_DEMAND))
        self.clock.advance(1)
        swept = [self.successResultOf(self.ufs.sweep(0)) for _ in range(4)]
        self.assertEqual((swept, self.notes()), ([500, 500, 100, 0], []))

    def test_buckets(self) -> None:
        """Beneath a root mount, the gateway's own names are in each bucket."""
        root = SidecarUFS(self.bare, NoThreads(), self.clock.seconds, True)
        for ufs, count in ((root, 0), (self.ufs, 1)):
            work = put(ufs, "bucket/.alluxio-tw/x", b"", "", SAID)
            self.successResultOf(Deferred.fromCoroutine(work))
            self.assertEqual(len(self.notes()), count)
