"""
What a driver cannot do, the gateway does: the same requests, whatever is missing.
"""

from __future__ import annotations

from hashlib import md5

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import NoSuchKey, PreconditionFailed
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Demand, Status
from alluxio_tw.iufs import IUnderFileSystem, ListQuery
from alluxio_tw.s3.batches import CompletedPart
from alluxio_tw.s3.listing import ListRequest
from alluxio_tw.testing.ufs_objects import merged, modelled
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.ufs.ordered import OrderedUFS
from alluxio_tw.ufs.sidecar import SidecarUFS
from tests.doubles_bare import STRIPPED, BareUFS
from tests.gateway.worlds import ScriptedBody, World

ALL = STRIPPED


def bare_world(
    case: SynchronousTestCase, *without: str, own_etags: bool = True
) -> World:
    """A world whose storage lacks some capabilities, as its mount would be made."""
    world = World(case, case.mktemp())
    bare = BareUFS(MemoryUFS(world.clock, NoThreads()), without, own_etags)
    ufs: IUnderFileSystem = OrderedUFS(bare) if bare.capabilities.unordered else bare
    if not ufs.capabilities.attributes:
        ufs = SidecarUFS(ufs, NoThreads(), world.clock.seconds)
    world.ufs.wrapped, world.ufs.capabilities = ufs, ufs.capabilities
    return world


class GapTests(SynchronousTestCase):
    """Each test runs over storages without each of the capabilities, and without all."""

    def worlds(self) -> list[World]:
        return [bare_world(self, *without) for without in [(n,) for n in ALL] + [ALL]]

    def test_copied(self) -> None:
        """An object is copied, within the storage or through us."""
        for world in self.worlds():
            for key, data in (
                ("small", b"data"),
                ("empty", b""),
                ("k" * 90, b"x" * 9000),
            ):
                world.put(key, data)
                reading = world.now(world.objects.open("b", key))
                work = world.objects.copy(
                    ("b", key), reading, ("b", "copy/of"), NO_ATTRIBUTES, None
                )
                made = world.now(work)
                reading.close()
                self.assertEqual(world.get("copy/of"), data)
                self.assertEqual(world.now(world.objects.status("b", "copy/of")), made)
            copies = world.ufs.count("copy")
            self.assertEqual(copies, 3 if world.ufs.capabilities.copies else 0)

    def test_joined(self) -> None:
        """Parts are joined, within the storage or through us, and nothing is left."""
        for world in self.worlds():
            upload = world.now(world.uploads.create("b", "a/k", "me", NO_ATTRIBUTES))
            claims = []
            for number, data in ((1, b"aaaa" * 3000), (2, b"bbbbb"), (7, b"c")):
                part = world.now(
                    world.uploads.put_part(
                        "b", "a/k", upload.id, number, world.incoming(data)
                    )
                )
                claims.append(CompletedPart(number, part.etag, {}))
            self.assertEqual(self.listed(world), [])
            made = world.now(world.uploads.complete("b", "a/k", upload.id, claims))
            self.assertEqual(world.get("a/k"), b"aaaa" * 3000 + b"bbbbbc")
            self.assertEqual(made.size, 12006)
            self.assertEqual(self.listed(world), ["a/k"])
            own = ListQuery(".alluxio-tw/")
            self.assertEqual(world.now(world.ufs.wrapped.list(own)).entries, [])
            joins = world.ufs.count("join")
            self.assertEqual(joins, 1 if world.ufs.capabilities.joins else 0)

    def test_demanded(self) -> None:
        """What a writer demands of the object that is there is so, or nothing happens."""
        for world in self.worlds():
            made = world.put("k", b"first", Demand(absent=True))
            for demand in (Demand(absent=True), Demand(match=("other",))):
                self.failing(world, PreconditionFailed, demand)
                self.assertEqual(world.get("k"), b"first")
            made = world.put("k", b"2nd", Demand(match=(made.etag,)))
            delete = world.objects.delete
            self.failureResultOf(
                delete("b", "k", Demand(match=("other",))), PreconditionFailed
            )
            self.assertTrue(world.now(delete("b", "k", Demand(match=(made.etag,)))))
            self.failing(world, NoSuchKey, Demand(match=(made.etag,)))
            self.failureResultOf(delete("b", "k", Demand(match=("*",))), NoSuchKey)

    def test_given_etags(self) -> None:
        """A storage that keeps the ETag it is given, and nothing else, is given one."""
        for without in (("attributes",), ALL):
            world = bare_world(self, *without, own_etags=False)
            self.assertFalse(world.ufs.capabilities.etags)
            made = world.put("k", b"first")
            self.assertEqual(made.etag, md5(b"first").hexdigest())
            reading = world.now(world.objects.open("b", "k"))
            self.addCleanup(reading.close)
            copying = world.objects.copy(
                ("b", "k"), reading, ("b", "copy"), NO_ATTRIBUTES, None
            )
            self.assertEqual(world.now(copying).etag, made.etag)
            world.put("k", b"2nd")
            self.failing(world, PreconditionFailed, Demand(match=(made.etag,)))
            self.assertEqual(world.get("k"), b"2nd")

    def failing(self, world: World, error: type[Exception], demand: Demand) -> None:
        coming = world.incoming(b"refused")
        self.failureResultOf(world.objects.put("b", "k", coming, demand), error)

    def test_copy_demanded(self) -> None:
        """A copy happens only if what is demanded is so."""
        for world in self.worlds():
            world.put("from", b"data")
            world.put("k", b"there")
            reading = world.now(world.objects.open("b", "from"))
            work = world.objects.copy(
                ("b", "from"),
                reading,
                ("b", "k"),
                NO_ATTRIBUTES,
                None,
                Demand(absent=True),
            )
            self.failureResultOf(work, PreconditionFailed)
            reading.close()
            self.assertEqual(world.get("k"), b"there")

    def test_described(self) -> None:
        """What a writer says of an object is told, and can be said anew."""
        for world in self.worlds():
            said = Attributes({"content-type": "x/y"}, {"name": "value"}, {"a": "b"})
            coming = evolve(world.incoming(b"data"), attributes=said)
            world.now(world.objects.put("b", "k", coming))
            found = world.now(world.objects.status("b", "k")).attributes
            self.assertEqual((found.headers, found.user), (said.headers, said.user))
            tagged = evolve(found, tags={"c": "d"})
            world.now(world.objects.describe("b", "k", tagged))
            found = world.now(world.objects.status("b", "k")).attributes
            self.assertEqual((found.tags, found.user), ({"c": "d"}, said.user))
            (entry,) = world.now(world.objects.list("b", ListRequest())).entries
            self.assertEqual(entry.etag, world.now(world.objects.status("b", "k")).etag)

    def test_listed(self) -> None:
        """Listings are in order, from any key on, folded or not, page by page."""
        keys = [f"{a}/{b}" for a in ("a", "b", "é", "a!") for b in range(4)] + [
            "a",
            "z",
        ]
        for world in self.worlds():
            for key in keys:
                world.put(key, b"")
            for prefix in ("", "a", "a/", "é/"):
                for delimiter in ("", "/"):
                    for limit in (1, 4, 1000):
                        self.walk(
                            world, keys, ListRequest(prefix, delimiter, limit=limit)
                        )

    def walk(self, world: World, keys: list[str], request: ListRequest) -> None:
        """Page by page, everything is found once, in order."""
        query = ListQuery(request.prefix, "", bool(request.delimiter))
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            request = evolve(request, after=after)
            page = world.now(world.objects.list("b", request))
            found += merged(page)
            after = page.resume
        self.assertEqual(found, modelled(keys, query), request)

    def listed(self, world: World) -> list[str]:
        found = world.now(world.objects.list("b", ListRequest()))
        return [each.key for each in found.entries]


class RaceTests(SynchronousTestCase):
    """Of our own clients that race for one object, on a storage that is no judge."""

    def setUp(self) -> None:
        self.world = bare_world(self, *ALL)

    def put(self, data: bytes, demand: Demand) -> Deferred[Status]:
        """Write C{race}, at the same time as others."""
        return self.world.objects.put("b", "race", self.world.incoming(data), demand)

    def test_one_first(self) -> None:
        """Of many who demand to be the first exactly one is, and it is the one told so."""
        gate = self.world.ufs.hold("commit")
        works = [self.put(b"%d" % n, Demand(absent=True)) for n in range(20)]
        # Those that were let through together would all have looked already.
        self.assertEqual(len(gate), 1)
        gate.open()
        self.assertEqual(self.winners(works), [0])
        self.assertEqual(self.world.get("race"), b"0")

    def test_no_lost_update(self) -> None:
        """Of two who demand the same version one replaces it, and the other hears so."""
        made = self.world.put("race", b"0")
        gate = self.world.ufs.hold("commit")
        works = [self.put(b"%d" % n, Demand(match=(made.etag,))) for n in (1, 2)]
        gate.open()
        self.assertEqual(self.winners(works), [0])
        self.assertEqual(self.world.get("race"), b"1")

    def test_without_demand(self) -> None:
        """Who demands nothing takes his turn too: nobody's look is outdated by it."""
        made = self.world.put("race", b"0")
        gate = self.world.ufs.hold("commit")
        works = [
            self.put(b"any", NO_DEMAND),
            self.put(b"same", Demand(match=(made.etag,))),
        ]
        gate.open()
        self.assertEqual(self.winners(works), [0])
        self.assertEqual(self.world.get("race"), b"any")

    def test_delete(self) -> None:
        """Who deletes takes his turn as who writes does."""
        made = self.world.put("race", b"0")
        gate = self.world.ufs.hold("commit")
        first = self.put(b"1", Demand(match=(made.etag,)))
        second = self.world.objects.delete("b", "race", Demand(match=(made.etag,)))
        gate.open()
        self.world.now(first)
        self.failureResultOf(second, PreconditionFailed)
        self.assertEqual(self.world.get("race"), b"1")

    def test_completed(self) -> None:
        """An upload that is completed takes its turn, too."""
        uploads = self.world.uploads
        upload = self.world.now(uploads.create("b", "race", "me", NO_ATTRIBUTES))
        part = self.world.now(
            uploads.put_part("b", "race", upload.id, 1, self.world.incoming(b"part"))
        )
        gate = self.world.ufs.hold("commit")
        first = self.put(b"1", Demand(absent=True))
        second = uploads.complete(
            "b",
            "race",
            upload.id,
            [CompletedPart(1, part.etag, {})],
            Demand(absent=True),
        )
        gate.open()
        self.world.now(first)
        self.failureResultOf(second, PreconditionFailed)
        self.assertEqual(self.world.get("race"), b"1")

    def test_others_do_not_wait(self) -> None:
        """Another object is nobody's turn."""
        gate = self.world.ufs.hold("commit")
        works = [
            self.world.objects.put("b", f"race/{n}", self.world.incoming(b""))
            for n in range(5)
        ]
        self.assertEqual(len(gate), 5)
        gate.open()
        self.assertEqual(len(self.winners(works)), 5)

    def test_leaving(self) -> None:
        """Whoever goes away, waiting or at work, leaves the turn to the next."""
        gate = self.world.ufs.hold("commit")
        works = [self.put(b"%d" % n, Demand(absent=True)) for n in range(3)]
        works[1].cancel()
        works[0].cancel()
        gate.open()
        self.assertEqual(self.winners(works), [2])
        self.assertEqual(self.world.get("race"), b"2")
        self.assertEqual(self.world.ufs.open_placings, 0)
        self.assertEqual(len(self.world.objects._demands), 0)

    def test_failing(self) -> None:
        """Whoever fails leaves the turn to the next."""
        gate = self.world.ufs.hold("commit")
        self.world.ufs.fail("commit", ZeroDivisionError(), times=1)
        works = [self.put(b"%d" % n, Demand(absent=True)) for n in range(2)]
        gate.open()
        self.failureResultOf(works[0], ZeroDivisionError)
        self.assertEqual(self.world.now(works[1]).size, 1)
        self.assertEqual(len(self.world.objects._demands), 0)

    def test_slow_body(self) -> None:
        """Who is still sending has no turn: the others go before."""
        body = ScriptedBody()
        slow = self.world.objects.put(
            "b", "race", self.world.incoming(body), Demand(absent=True)
        )
        body.say(b"slow")
        self.world.now(self.put(b"fast", Demand(absent=True)))
        body.say(None)
        self.failureResultOf(slow, PreconditionFailed)
        self.assertEqual(self.world.get("race"), b"fast")

    def test_able_storages(self) -> None:
        """A storage that judges by itself is asked by all at once."""
        world = World(self, self.mktemp())
        gate = world.ufs.hold("commit")
        works = [
            world.objects.put("b", "race", world.incoming(b""), Demand(absent=True))
            for _ in range(4)
        ]
        self.assertEqual(len(gate), 4)
        gate.open()
        self.assertEqual(len(self.winners(works)), 1)

    def winners(self, works: list[Deferred[Status]]) -> list[int]:
        """Which of them succeeded; the others found something else there."""
        results = self.world.now(DeferredList(works, consumeErrors=True))
        for well, result in results:
            if not well:
                assert isinstance(result, Failure)
        return [n for n, (well, _) in enumerate(results) if well]
