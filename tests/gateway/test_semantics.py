"""
The sentences of docs/semantics.md.
"""

from __future__ import annotations

import inspect
import re
from hashlib import md5
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    BadDigest,
    GatewayError,
    IncompleteBody,
    InvalidPart,
    NoSuchKey,
    NoSuchUpload,
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, Demand, Status
from alluxio_tw.ipages import IPageStore
from alluxio_tw.namespace.rulesdocument import read_rules
from alluxio_tw.s3.batches import CompletedPart
from alluxio_tw.s3.listing import ListRequest
from alluxio_tw.spans import Span
from tests.gateway.worlds import PAGE, ScriptedBody, World

DOCUMENT = Path(__file__).parents[2] / "docs" / "semantics.md"


def etag_of(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


class Case(SynchronousTestCase):
    def world(self, **options: str) -> World:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return World(self, self.mktemp(), named)

    def failed(self, work: Any, *kinds: type[Exception]) -> Any:
        return self.failureResultOf(work, *kinds).value


class ReadingTests(Case):
    def test_one_version(self) -> None:
        """
        A GET returns the bytes of exactly one version of an object, whatever
        happens to the object meanwhile.
        """
        world = self.world(freshness="immutable")
        old, new = b"old" * PAGE, b"new" * PAGE
        world.behind("k", old)
        self.assertEqual(world.get("k", Span(0, 10)), old[:10])
        world.behind("k", new)
        reading = world.now(world.objects.open("b", "k"))
        body = reading.body(Span(0, len(old)))
        first = world.now(body.read())
        assert isinstance(first, (bytes, memoryview))
        self.assertEqual(bytes(first), old[: len(first)])
        self.failed(body.read(), ObjectChanged)
        body.close()

    def test_pages_of_the_range(self) -> None:
        """
        A range read of a cold object asks the storage only for the pages that
        the range touches.
        """
        world = self.world()
        data = bytes(i % 251 for i in range(20 * PAGE))
        world.behind("k", data)
        span = Span(5 * PAGE + 7, 2 * PAGE)
        self.assertEqual(world.get("k", span), data[span.offset : span.end])
        self.assertEqual(world.ufs.asked, [Span(5 * PAGE, 3 * PAGE)])

    def test_once(self) -> None:
        """
        However many ask for a page that is not cached, the storage is asked for
        it once.
        """
        world = self.world()
        world.behind("k", b"x" * PAGE)
        gate = world.ufs.hold("read")
        bodies = [
            world.now(world.objects.open("b", "k")).body(Span(0, PAGE))
            for _ in range(20)
        ]
        pieces = [body.read() for body in bodies]
        gate.open()
        for each in pieces:
            piece: Any = world.now(each)
            self.assertEqual(bytes(piece), b"x" * PAGE)
        for body in bodies:
            body.close()
        self.assertEqual(world.ufs.count("read"), 1)

    def test_failing_midway(self) -> None:
        """
        When the storage fails midway, the reader is told; a short body never
        looks whole.
        """
        for error in (StorageUnavailable(), None):
            world = self.world()
            world.behind("k", b"x" * (4 * PAGE))
            world.ufs.truncate(PAGE + 10, error)
            reading = world.now(world.objects.open("b", "k"))
            body = reading.body(Span(0, 4 * PAGE))
            got = 0
            while True:
                outcome: list[Any] = []
                body.read().addBoth(outcome.append)
                if isinstance(outcome[0], Failure):
                    outcome[0].trap(GatewayError)
                    break
                self.assertIsNotNone(outcome[0])
                got += len(outcome[0])
            self.assertLess(got, 4 * PAGE)
            body.close()

    def test_not_kept(self) -> None:
        """A page that cannot be kept is served all the same."""
        world = self.world()

        class Full(type(world.store)):  # type: ignore[misc]
            def put(self, key: Any, data: bytes) -> Any:
                return succeed(None)

        store: IPageStore = Full(1 << 20)
        world.store = store
        world.restart()
        world.behind("k", b"x" * (3 * PAGE))
        self.assertEqual(world.get("k"), b"x" * (3 * PAGE))
        once = world.ufs.count("read")
        self.assertEqual(world.get("k"), b"x" * (3 * PAGE))
        self.assertEqual(world.ufs.count("read"), 2 * once)


class WritingTests(Case):
    def test_acknowledged(self) -> None:
        """
        A write is acknowledged only when the storage has the whole object, and
        is seen by every read that begins after.
        """
        world = self.world(freshness="immutable")
        world.put("k", b"old")
        self.assertEqual(world.get("k"), b"old")
        gate = world.ufs.hold("commit")
        work = world.objects.put("b", "k", world.incoming(b"new"))
        self.assertNoResult(work)
        gate.open()
        status = world.now(work)
        self.assertEqual(status.etag, etag_of(b"new"))
        self.assertEqual(world.get("k"), b"new")

    def test_digest(self) -> None:
        """
        A body that is not what its digest promised leaves the old object as it
        was.
        """
        world = self.world()
        world.put("k", b"old")
        promises = {b"content-md5": b"CY9rzUYh03PK3k6DJie09g=="}
        coming = world.incoming(b"new", promises)
        self.failed(world.objects.put("b", "k", coming), BadDigest)
        self.assertEqual(world.get("k"), b"old")

    def test_early_end(self) -> None:
        """A body that ends early leaves the old object as it was."""
        world = self.world()
        world.put("k", b"old")
        coming = world.incoming(ScriptedBody().say(b"ne", IncompleteBody()))
        self.failed(world.objects.put("b", "k", coming), IncompleteBody)
        self.assertEqual(world.get("k"), b"old")

    def test_one_writer(self) -> None:
        """
        Of many writers that demand that an object be absent, exactly one
        succeeds.
        """
        world = self.world()
        bodies = [ScriptedBody() for _ in range(50)]
        works = [
            world.objects.put("b", "k", world.incoming(body), Demand(absent=True))
            for body in bodies
        ]
        for number, body in enumerate(bodies):
            body.say(b"%d" % number, None)
        won = []
        for number, work in enumerate(works):
            results: list[Any] = []
            work.addBoth(results.append)
            if isinstance(results[0], Status):
                won.append(number)
            else:
                results[0].trap(PreconditionFailed)
        self.assertEqual(len(won), 1)
        self.assertEqual(world.get("k"), b"%d" % won[0])

    def test_etag_not_current(self) -> None:
        """A write that demands an ETag which is no longer current changes nothing."""
        world = self.world()
        first = world.put("k", b"one")
        world.put("k", b"two")
        demand = Demand(match=(first.etag,))
        coming = world.incoming(b"three")
        self.failed(world.objects.put("b", "k", coming, demand), PreconditionFailed)
        self.failed(world.objects.delete("b", "k", demand), PreconditionFailed)
        self.assertEqual(world.get("k"), b"two")

    def test_delete_nothing(self) -> None:
        """Deleting what is not there succeeds."""
        world = self.world()
        self.assertFalse(world.now(world.objects.delete("b", "k")))


class FreshnessTests(Case):
    def test_always(self) -> None:
        """
        On a mount that is always fresh, a change behind our back is seen by the
        next read.
        """
        world = self.world(freshness="always")
        world.behind("k", b"one")
        self.assertEqual(world.get("k"), b"one")
        world.behind("k", b"two")
        self.assertEqual(world.get("k"), b"two")

    def test_max_age(self) -> None:
        """
        On a mount with a max-age, a change behind our back is seen when the
        record is older than that.
        """
        world = self.world(max_age="60s")
        world.behind("k", b"one")
        self.assertEqual(world.get("k"), b"one")
        world.behind("k", b"two")
        world.clock.advance(59)
        self.assertEqual(world.get("k"), b"one")
        world.clock.advance(2)
        self.assertEqual(world.get("k"), b"two")
        self.assertEqual(world.ufs.count("status"), 2)

    def test_immutable(self) -> None:
        """On an immutable mount, a change behind our back is never looked for."""
        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        self.assertEqual(world.get("k"), b"one")
        world.behind("k", b"two")
        world.clock.advance(1e6)
        self.assertEqual(world.get("k"), b"one")
        self.assertEqual(world.ufs.count("status"), 1)

    def test_under_way(self) -> None:
        """An answer of the storage that was under way while we wrote is not believed."""
        world = self.world(freshness="immutable")
        world.behind("k", b"one")
        world.ufs.before = world.now(world.ufs.wrapped.status("k"))
        gate = world.ufs.hold("status")
        asked = world.objects.status("b", "k")
        self.assertNoResult(asked)
        world.now(world.objects.put("b", "k", world.incoming(b"two")))
        gate.open()
        self.assertEqual(world.now(asked).etag, etag_of(b"two"))
        self.assertEqual(world.get("k"), b"two")

    def test_stale(self) -> None:
        """
        When the storage fails, a version may be answered for as long as
        stale-if-error says, and the reply says STALE.
        """
        world = self.world(max_age="60s", stale_if_error="100s")
        world.behind("k", b"one")
        self.assertEqual(world.get("k"), b"one")
        world.ufs.fail("status")
        world.clock.advance(100)
        self.assertEqual(world.get("k"), b"one")
        self.assertEqual(world.cache, "STALE")
        world.clock.advance(100)
        self.failed(world.objects.open("b", "k"), StorageUnavailable)

    def test_negative(self) -> None:
        """
        That there is no such object is believed for negative-age, and not after
        we wrote it.
        """
        world = self.world(negative_age="10s")
        self.failed(world.objects.open("b", "k"), NoSuchKey)
        world.behind("k", b"one")
        self.failed(world.objects.open("b", "k"), NoSuchKey)
        world.clock.advance(11)
        self.assertEqual(world.get("k"), b"one")
        self.failed(world.objects.open("b", "l"), NoSuchKey)
        world.put("l", b"two")
        self.assertEqual(world.get("l"), b"two")

    def test_rule(self) -> None:
        """A rule whose pattern matches an object comes before the options of its mount."""
        world = self.world(freshness="immutable")
        world.objects.mounts.rules = read_rules(
            b'{"apiVersion": 1, "metadata": {"maxAge": {"/b/aged/.*": "10s"}}}'
        )
        for key in ("aged/k", "k"):
            world.behind(key, b"one")
            self.assertEqual(world.get(key), b"one")
            world.behind(key, b"two")
            self.assertEqual(world.get(key), b"one")
        world.clock.advance(11)
        self.assertEqual(world.get("aged/k"), b"two")
        self.assertEqual(world.get("k"), b"one")

    def test_rule_changed(self) -> None:
        """
        After a write under a rule that keeps nothing, no record of before is
        believed again.
        """
        world = self.world(freshness="immutable")
        world.put("k", b"one")
        nothing = b'{"skipCache": [".*"]}'
        world.objects.mounts.rules = read_rules(
            b'{"apiVersion": 1, "data": %b, "metadata": %b}' % (nothing, nothing)
        )
        world.put("k", b"two")
        world.objects.mounts.rules = None
        self.assertEqual(world.get("k"), b"two")


class UploadTests(Case):
    def begin(self, world: World, *parts: bytes) -> tuple[str, list[CompletedPart]]:
        upload = world.now(world.uploads.create("b", "k", "me", NO_ATTRIBUTES))
        claims = []
        for number, data in enumerate(parts, 1):
            part = world.now(
                world.uploads.put_part(
                    "b", "k", upload.id, number, world.incoming(data)
                )
            )
            claims.append(CompletedPart(number, part.etag, {}))
        return upload.id, claims

    def test_nothing_before(self) -> None:
        """
        The parts of an upload are in no listing, and nothing is at its key,
        before it is completed.
        """
        world = self.world()
        id, claims = self.begin(world, b"aaaa", b"b")
        found = world.now(world.objects.list("b", ListRequest()))
        self.assertEqual([*found.entries, *found.prefixes], [])
        self.failed(world.objects.open("b", "k"), NoSuchKey)
        world.now(world.uploads.complete("b", "k", id, claims))
        self.assertEqual(world.get("k"), b"aaaab")

    def test_named_parts(self) -> None:
        """
        Completing an upload joins exactly the parts that are named, in order, or
        does nothing.
        """
        world = self.world()
        id, claims = self.begin(world, b"aaaa", b"bbbb", b"cccc")
        wrong = [claims[0], CompletedPart(2, etag_of(b"other"), {})]
        self.failed(world.uploads.complete("b", "k", id, wrong), InvalidPart)
        self.failed(world.objects.open("b", "k"), NoSuchKey)
        made = world.now(world.uploads.complete("b", "k", id, [claims[0], claims[2]]))
        self.assertEqual(world.get("k"), b"aaaacccc")
        self.assertTrue(made.etag.endswith("-2"))
        self.assertEqual(made.attributes.part_sizes, (4, 4))

    def test_restart(self) -> None:
        """An upload survives a restart of the daemon."""
        world = self.world()
        id, claims = self.begin(world, b"aaaa", b"b")
        world.restart()
        world.now(world.uploads.complete("b", "k", id, claims))
        self.assertEqual(world.get("k"), b"aaaab")

    def test_crash(self) -> None:
        """
        Completing again after a crash that came between the object and the
        tidying succeeds.
        """
        world = self.world()
        id, claims = self.begin(world, b"aaaa", b"b")
        held = {
            name: world.now(world.state.get(name))
            for name in [each.name for each in world.now(world.state.list("upload/"))]
        }
        first = world.now(world.uploads.complete("b", "k", id, claims))
        for name, before in held.items():
            # As the crash leaves it: marked with the ETag to come, parts gone.
            assert before is not None
            value = before.value.replace(
                b'"completing":""', b'"completing":"%b"' % first.etag.encode()
            )
            world.now(world.state.put(name, value))
        world.restart()
        again = world.now(world.uploads.complete("b", "k", id, claims))
        self.assertEqual(again.etag, first.etag)
        self.assertEqual(world.get("k"), b"aaaab")
        self.failed(world.uploads.get("b", "k", id), NoSuchUpload)

    def test_abandoned(self) -> None:
        """An abandoned upload is ended, and its parts with it."""
        world = self.world()
        id, _ = self.begin(world, b"aaaa")
        world.clock.advance(100)
        self.assertEqual(world.now(world.uploads.expire(101)), 0)
        self.assertEqual(world.now(world.uploads.expire(99)), 1)
        self.failed(world.uploads.get("b", "k", id), NoSuchUpload)
        wrapped: Any = world.ufs.wrapped
        self.assertEqual(wrapped._keys, [])


class ListingTests(Case):
    def test_order(self) -> None:
        """
        A listing is in the order of the UTF-8 bytes of its keys, each key once,
        page by page.
        """
        world = self.world()
        keys = ["a", "a/b", "a-b", "a.b", "b", "ü", "z", "日本", "\U0001f600", "A"]
        for key in keys:
            world.put(key, b"")
        listed: list[str] = []
        request = ListRequest(limit=3)
        while True:
            found = world.now(world.objects.list("b", request))
            listed += [each.key for each in found.entries]
            if found.resume is None:
                break
            request = ListRequest(limit=3, after=found.resume)
        self.assertEqual(listed, sorted(keys, key=lambda key: key.encode()))

    def test_hidden(self) -> None:
        """
        What the gateway keeps for itself in a storage is in no listing and
        cannot be read or written over S3.
        """
        world = self.world()
        world.behind(".alluxio-tw/uploads/x", b"mine")
        found = world.now(world.objects.list("b", ListRequest()))
        self.assertEqual(found.entries, [])
        self.failed(world.objects.open("b", ".alluxio-tw/uploads/x"), NoSuchKey)
        coming = world.incoming(b"yours")
        self.failed(
            world.objects.put("b", ".alluxio-tw/uploads/x", coming),
            NoSuchKey,
            UnsuitableKey,
        )


class DocumentTests(SynchronousTestCase):
    def test_every_sentence(self) -> None:
        """Every promise of the document is the docstring of a test here."""
        promises = [
            " ".join(each.split())
            for each in re.findall(r"^- (.+(?:\n  .+)*)", DOCUMENT.read_text(), re.M)
        ]
        tested = {
            " ".join((inspect.getdoc(method) or "").split())
            for kind in Case.__subclasses__()
            for name, method in vars(kind).items()
            if name.startswith("test_")
        }
        self.assertGreater(len(promises), 20)
        self.assertEqual(set(promises), tested)
