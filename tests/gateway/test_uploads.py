"""
Uploads in progress: what is left of them when things go wrong.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    EntityTooLarge,
    InvalidPart,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.gateway.ledger import (
    all_parts,
    decode_upload,
    encode_upload,
)
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.iobjects import NO_ATTRIBUTES, Attributes, Demand, Upload
from alluxio_tw.istate import Held
from alluxio_tw.s3.batches import CompletedPart
from alluxio_tw.s3.listing import ListRequest
from tests.gateway.worlds import ScriptedBody, World


class UploadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(self, self.mktemp())

    @property
    def uploads(self) -> Uploads:
        return self.world.uploads

    def begin(self, key: str = "k") -> str:
        return self.world.now(self.uploads.create("b", key, "me", NO_ATTRIBUTES)).id

    def part(self, id: str, number: int, data: bytes, key: str = "k") -> CompletedPart:
        work = self.uploads.put_part("b", key, id, number, self.world.incoming(data))
        return CompletedPart(number, self.world.now(work).etag, {})

    def stored(self) -> list[str]:
        wrapped: Any = self.world.ufs.wrapped
        return list(wrapped._keys)

    def test_without_joining(self) -> None:
        """On a storage that cannot join, the parts are copied through, once each."""
        ufs = self.world.ufs
        ufs.capabilities = evolve(ufs.capabilities, joins=False)
        id = self.begin()
        claims = [self.part(id, 1, b"aaaa"), self.part(id, 2, b"b")]
        made = self.world.now(self.uploads.complete("b", "k", id, claims))
        self.assertEqual((made.size, self.world.get("k")), (5, b"aaaab"))
        self.assertEqual(self.stored(), ["k"])
        self.assertEqual(ufs.count("join"), 0)

    def test_without_joining_fails(self) -> None:
        """A part that fails on its way leaves the upload to be completed again."""
        ufs = self.world.ufs
        ufs.capabilities = evolve(ufs.capabilities, joins=False)
        id = self.begin()
        claims = [self.part(id, 1, b"aaaa"), self.part(id, 2, b"b")]
        for method in ("place", "open", "body", "write", "commit"):
            ufs.fail(method)
            work = self.uploads.complete("b", "k", id, claims)
            self.failureResultOf(work, StorageUnavailable)
            self.assertEqual(ufs.open_placings, 0, method)
            self.assertNotIn("k", self.stored())
            ufs.heal()
        self.world.now(self.uploads.complete("b", "k", id, claims))
        self.assertEqual(self.world.get("k"), b"aaaab")

    def test_conditional_by_us(self) -> None:
        """On a storage that checks no demands, we do."""
        ufs = self.world.ufs
        ufs.capabilities = evolve(ufs.capabilities, conditional=False)
        id = self.begin()
        claims = [self.part(id, 1, b"aaaa")]
        work = self.uploads.complete("b", "k", id, claims, Demand(match=("x",)))
        self.failureResultOf(work, NoSuchKey)
        self.world.put("k", b"old")
        work = self.uploads.complete("b", "k", id, claims, Demand(absent=True))
        self.failureResultOf(work, PreconditionFailed)
        self.assertEqual(self.world.get("k"), b"old")

    def test_unsuitable(self) -> None:
        """A key that cannot be is told at the beginning."""
        self.world.ufs.fail("place", UnsuitableKey())
        work = self.uploads.create("b", "k", "me", NO_ATTRIBUTES)
        self.failureResultOf(work, UnsuitableKey)
        self.assertEqual(self.kept(), [])

    def kept(self) -> list[str]:
        """What the state store holds."""
        return sorted(each.name for each in self.world.now(self.world.state.list("")))

    def test_part_fails(self) -> None:
        """A part that fails leaves nothing of it, and the one before in its place."""
        id = self.begin()
        claim = self.part(id, 1, b"good")
        before, stored = self.kept(), self.stored()
        for method in ("place", "write", "commit"):
            self.world.ufs.fail(method)
            work = self.uploads.put_part("b", "k", id, 1, self.world.incoming(b"bad!"))
            self.failureResultOf(work, StorageUnavailable)
            self.world.ufs.heal()
            self.assertEqual(self.world.ufs.open_placings, 0, method)
            self.assertEqual((self.kept(), self.stored()), (before, stored))
        self.world.now(self.uploads.complete("b", "k", id, [claim]))
        self.assertEqual(self.world.get("k"), b"good")
        self.assertEqual(self.kept(), [])

    def test_same_part_twice_at_once(self) -> None:
        """Of a part that is uploaded twice at once, one stays and nothing is left."""
        id = self.begin()
        bodies = [ScriptedBody(), ScriptedBody()]
        works = [
            self.uploads.put_part("b", "k", id, 1, self.world.incoming(body))
            for body in bodies
        ]
        bodies[0].say(b"one!", None)
        bodies[1].say(b"two!", None)
        statuses = [self.world.now(work) for work in works]
        self.assertEqual(len(self.stored()), 1)
        (part,) = self.world.now(_parts(self.world, id)).values()
        self.assertIn(part.status.etag, [each.etag for each in statuses])

    def test_too_large(self) -> None:
        """A part and a whole have their largest sizes."""
        small = evolve(self.uploads, part_limit=6, object_limit=8)
        id = self.begin()
        work = small.put_part("b", "k", id, 1, self.world.incoming(b"seven!!"))
        self.failureResultOf(work, EntityTooLarge)
        claims = [self.part(id, 1, b"sixsix"), self.part(id, 2, b"sixsix")]
        self.failureResultOf(small.complete("b", "k", id, claims), EntityTooLarge)
        self.failureResultOf(self.world.objects.open("b", "k"))

    def test_part_that_is_gone(self) -> None:
        """A part that is not there any more is told as such."""
        id = self.begin()
        claims = [self.part(id, 1, b"aaaa"), self.part(id, 2, b"b")]
        wrapped: Any = self.world.ufs.wrapped
        for path in list(wrapped._keys)[1:]:
            wrapped._remove(path)
        work = self.uploads.complete("b", "k", id, claims)
        self.failureResultOf(work, InvalidPart)
        self.failureResultOf(self.world.objects.open("b", "k"))

    def test_expiry(self) -> None:
        """Old uploads end, young ones stay; one that cannot be ended keeps none."""
        old = self.begin("old")
        self.part(old, 1, b"aaaa", "old")
        self.world.clock.advance(100)
        young = self.begin("young")
        claim = self.part(young, 1, b"bbbb", "young")
        upload = Upload("k", "f" * 32, 0, attributes=NO_ATTRIBUTES)
        lost = f"upload/unmounted/{upload.id}"
        self.world.now(self.world.state.put(lost, encode_upload(upload)))
        self.assertEqual(self.world.now(self.uploads.expire(50)), 2)
        self.failureResultOf(self.uploads.get("b", "old", old), NoSuchUpload)
        self.assertEqual(len(self.stored()), 1)
        self.assertEqual(self.world.now(self.uploads.expire(50)), 0)
        self.world.now(self.uploads.complete("b", "young", young, [claim]))
        self.assertEqual((self.stored(), self.kept()), (["young"], []))
        self.flushLoggedErrors()

    def test_expiry_on_a_failing_storage(self) -> None:
        """Ending an upload whose parts cannot be deleted ends it all the same."""
        id = self.begin()
        self.part(id, 1, b"aaaa")
        self.world.clock.advance(100)
        self.world.ufs.fail("delete")
        self.assertEqual(self.world.now(self.uploads.expire(50)), 1)
        self.failureResultOf(self.uploads.get("b", "k", id), NoSuchUpload)
        self.assertEqual(self.kept(), [])

    def test_paging(self) -> None:
        """Uploads are paged by key and id, also many of one key."""
        ids = []
        for key in ("b", "a", "a", "c/1", "c/2", "a"):
            self.world.clock.advance(1)
            ids.append((key, self.begin(key)))
        found: list[tuple[str, str]] = []
        request = ListRequest(limit=2)
        while True:
            fold = self.world.now(self.uploads.page("b", request))
            found += [(each.key, each.id) for each in fold.entries]
            if fold.resume is None:
                break
            request = ListRequest(
                limit=2, after=fold.resume, id_marker=fold.entries[-1].id
            )
        self.assertEqual(found, sorted(ids))

    def test_kept_whole(self) -> None:
        """An upload is read back as it was written down."""
        attributes = Attributes(
            {"content-type": "a/b"}, {"m": "\xff"}, {"t": "ü"}, {}, "", (1, 2)
        )
        upload = Upload("ü/k", "1", 5, "me", attributes, "crc32", "COMPOSITE")
        held = Held("upload/b/1", encode_upload(upload, "e-2"), "1")
        self.assertEqual(decode_upload(held), (upload, "e-2"))


def _parts(world: World, id: str) -> Any:
    return Deferred.fromCoroutine(all_parts(world.state, id))
