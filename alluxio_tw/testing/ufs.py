"""
The contract of under file systems, as a suite that a driver passes or fails.

A driver's author runs it with four lines::

    class MyDriverTests(UnderFileSystemContract, TestCase):
        def make_ufs(self):
            return MyDriver(...)  # an empty place, each time

What a driver cannot do it declares in its L{Capabilities}, and for what those do
not tell, the suite has knobs: class attributes that say how far its promises go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from alluxio_tw.errors import (
    BackendError,
    CallerError,
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    PreconditionFailed,
    UnsuitableKey,
)
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    TestCase = object

ETAG = "9e107d9d372bb6826bd81d3542a419d6"
OTHER = "e4d909c290d0fb1ca068ffaddf22cbd0-2"


async def drain(body: IBody) -> bytes:
    """All bytes of a body, which is closed then."""
    parts: list[bytes] = []
    try:
        while (piece := await body.read()) is not None:
            if isinstance(piece, FileSpan):
                parts.append(os.pread(piece.fd, piece.length, piece.offset))
            else:
                parts.append(bytes(piece))
    finally:
        body.close()
    return b"".join(parts)


async def put(
    ufs: IUnderFileSystem,
    key: str,
    data: bytes | Sequence[Piece] = b"",
    etag: str = ETAG,
    attributes: Attributes = NO_ATTRIBUTES,
    demand: Demand = NO_DEMAND,
    modified: int | None = None,
) -> Status:
    """Place an object, in the pieces given."""
    pieces = [data] if isinstance(data, bytes) else data
    placing = await ufs.place(key, None)
    try:
        for piece in pieces:
            if isinstance(piece, FileSpan) or len(piece):
                await placing.write(piece)
        return await placing.commit(etag, attributes, demand, modified)
    finally:
        await placing.abort()


async def get(ufs: IUnderFileSystem, key: str, span: Span | None = None) -> bytes:
    """Read an object, or a span of it."""
    reading = await ufs.open(key)
    try:
        return await drain(reading.body(span or Span(0, reading.status.size)))
    finally:
        reading.close()


async def keys_of(ufs: IUnderFileSystem, query: ListQuery) -> list[str]:
    """All keys and prefixes from a query on, page by page, as they come."""
    found: list[str] = []
    after: str | None = query.after
    while after is not None:
        page = await ufs.list(
            ListQuery(query.prefix, after, query.fold, query.limit),
        )
        found += merged(page)
        if page.resume is not None:
            assert merged(page)[-1] == page.resume, "resume is not the last"
        after = page.resume
    return found


def merged(page: Listing) -> list[str]:
    """Keys and prefixes of a page in one order."""
    return sorted(
        [entry.key for entry in page.entries] + list(page.prefixes), key=str.encode
    )


def modelled(keys: Iterable[str], query: ListQuery) -> list[str]:
    """What L{keys_of} must find where C{keys} are the objects."""
    prefix, after = query.prefix, query.after
    past = query.fold and after.endswith("/") and len(after) > len(prefix)
    found: set[str] = set()
    for key in keys:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        if past and key.startswith(after):
            continue
        if query.fold and "/" in key[len(prefix) :]:
            key = key[: key.index("/", len(prefix)) + 1]
        found.add(key)
    return sorted(found, key=str.encode)


class UnderFileSystemContract(TestCase):
    """
    Mix it with C{twisted.trial.unittest.TestCase} and give it L{make_ufs}.

    :ivar folder_objects: it holds objects whose names end in a slash, apart from
        what lies beneath them.
    :ivar sets_modified: it can give an object a modification time; to how many
        nanoseconds.
    :ivar large: how large an object the suite may write, in bytes.
    :ivar odd_names: further parts of keys that it must hold.
    """

    folder_objects: bool = True
    sets_modified: int | None = 1_000_000_000
    large: int = 5 << 20
    odd_names: Sequence[str] = (
        "space in it",
        "plus+equals=and&",
        "percent%2Fenc",
        "quote'\"<xml>",
        "back\\slash",
        "line\nbreak",
        "ünïcödé",
        "漢字",
        "\U0001f600",
        ".dot",
        "...",
        "~tilde*?[",
        "n" * 255,
    )

    ufs: IUnderFileSystem

    def make_ufs(self) -> IUnderFileSystem | Deferred[IUnderFileSystem]:
        """An empty under file system, anew for each test."""
        raise NotImplementedError

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it; it is closed after the test."""
        made = self.make_ufs()
        self.ufs = await made if isinstance(made, Deferred) else made
        self.addCleanup(self.ufs.close)

    async def fails(self, work: Deferred[Any], *errors: type[Exception]) -> Exception:
        """The error that some work fails with; it must be one of these."""
        try:
            result = await work
        except errors as error:
            return error
        raise AssertionError(f"no failure, but {result!r}")

    # What it is

    def test_interface(self) -> None:
        """It provides what it claims to."""
        verifyObject(IUnderFileSystem, self.ufs)

    async def test_values_interfaces(self) -> None:
        """Its readings, bodies and placings provide what they claim to."""
        await put(self.ufs, "key", b"x")
        reading = await self.ufs.open("key")
        verifyObject(IReading, reading)
        body = reading.body(Span(0, 1))
        verifyObject(IBody, body)
        body.close()
        reading.close()
        placing = await self.ufs.place("other", None)
        verifyObject(IPlacing, placing)
        await placing.abort()

    async def test_check(self) -> None:
        """A storage that is there is found ready."""
        await self.ufs.check()

    # Bytes

    async def test_back_and_forth(self) -> None:
        """Bytes come back as they were written, whatever their number."""
        for size in (0, 1, 4096, 300_001, self.large):
            data = os.urandom(size)
            status = await put(self.ufs, f"of/{size}", data)
            self.assertEqual(status.size, size)
            self.assertEqual(await get(self.ufs, f"of/{size}") == data, True, size)

    async def test_pieces(self) -> None:
        """Pieces of every kind are joined in the order they came."""
        path = self.mktemp()
        data = os.urandom(3 << 20)
        with open(path, "wb") as file:
            file.write(data)
        with open(path, "rb") as opened:
            await put(
                self.ufs,
                "key",
                [
                    b"first",
                    memoryview(b"-second-")[1:7],
                    FileSpan(opened.fileno(), 100, 2 << 20),
                    memoryview(data)[: 1 << 20],
                    b"last",
                ],
            )
        expected = (
            b"firstsecond" + data[100 : 100 + (2 << 20)] + data[: 1 << 20] + b"last"
        )
        self.assertTrue(await get(self.ufs, "key") == expected)

    async def test_spans(self) -> None:
        """A span of an object is exactly those bytes."""
        data = os.urandom(200_000)
        status = await put(self.ufs, "key", data)
        for offset, length in ((0, 1), (199_999, 1), (65_536, 70_000), (0, 200_000)):
            span = Span(offset, length)
            expected = data[offset : offset + length]
            self.assertTrue(await get(self.ufs, "key", span) == expected, span)
            body = await self.ufs.read("key", status, span)
            if body.length is not None:
                self.assertEqual(body.length, length)
            self.assertTrue(await drain(body) == expected, span)

    async def test_no_bytes(self) -> None:
        """An empty span gives no piece at all."""
        await put(self.ufs, "key", b"data")
        self.assertEqual(await get(self.ufs, "key", Span(2, 0)), b"")

    async def test_at_once(self) -> None:
        """What can be had at once is what was asked for."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        for span in (Span(0, 10), Span(99_990, 10), Span(1000, 65_536), Span(0, 0)):
            got = reading.at_once(span)
            if got is not None:
                self.assertEqual(got, data[span.offset : span.end])
        reading.close()

    async def test_body_outlives_reading(self) -> None:
        """A body holds its own lease."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        body = reading.body(Span(0, 100_000))
        reading.close()
        reading.close()
        await put(self.ufs, "another", b"to take the place of what was let go")
        self.assertTrue(await drain(body) == data)
        body.close()

    async def test_body_closed_early(self) -> None:
        """A body may be closed before its end, and nothing else suffers."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        body = reading.body(Span(0, 100_000))
        await body.read()
        body.close()
        body.close()
        self.assertTrue(await drain(reading.body(Span(0, 100_000))) == data)
        reading.close()

    # What is and what is not there

    async def test_nothing(self) -> None:
        """What was never written is not there."""
        status = Status(1, "version", ETAG, 0)
        span = Span(0, 1)
        for key in ("key", "folder/key", "folder/", "a//b", "../a", "x" * 300):
            await self.fails(self.ufs.status(key), NoSuchPath)
            await self.fails(self.ufs.open(key), NoSuchPath)
            await self.fails(self.ufs.read(key, status, span), NoSuchPath)
            await self.fails(self.ufs.describe(key, status, NO_ATTRIBUTES), NoSuchPath)
            self.assertEqual(await self.ufs.delete(key, NO_DEMAND), False, key)
            self.assertIsNone(self.ufs.glance(key), key)

    async def test_status(self) -> None:
        """Whoever asks is told the version that commit told."""
        before = await put(self.ufs, "a/key", b"data", attributes=NO_ATTRIBUTES)
        self.assertEqual(await self.ufs.status("a/key"), before)
        reading = await self.ufs.open("a/key")
        self.assertEqual(reading.status, before)
        reading.close()
        page = await self.ufs.list(ListQuery())
        (entry,) = page.entries
        self.assertEqual(
            (entry.key, entry.size, entry.etag, entry.modified),
            ("a/key", 4, before.etag, before.modified),
        )
        self.assertGreater(before.modified, 0)

    async def test_folder_is_no_object(self) -> None:
        """What only lies on the way to an object is none."""
        await put(self.ufs, "a/b/key", b"data")
        for key in ("a", "a/", "a/b", "a/b/", "a/b/key/", "a/b/key/x"):
            await self.fails(self.ufs.status(key), NoSuchPath)
            await self.fails(self.ufs.open(key), NoSuchPath)
            self.assertEqual(await self.ufs.delete(key, NO_DEMAND), False, key)
        self.assertEqual(await get(self.ufs, "a/b/key"), b"data")

    async def test_odd_names(self) -> None:
        """Names of every kind are kept as they are."""
        keys = [f"odd/{name}" for name in self.odd_names]
        keys += [f"{name}/in" for name in self.odd_names]
        for key in keys:
            await put(self.ufs, key, key.encode())
        for key in keys:
            self.assertEqual(await get(self.ufs, key), key.encode())
        self.assertEqual(
            await keys_of(self.ufs, ListQuery()), sorted(keys, key=str.encode)
        )

    async def test_longest_key(self) -> None:
        """A key may have 1,024 bytes."""
        key = "/".join(["k" * 255, "é" * 127, "m" * 255, "n" * 255]) + "/"
        key += "o" * (1024 - len(key.encode()))
        await put(self.ufs, key, b"data")
        self.assertEqual(await get(self.ufs, key), b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [key])

    # Writing

    async def test_unseen_before_commit(self) -> None:
        """Nothing of an object is seen before its commit."""
        placing = await self.ufs.place("key", None)
        await placing.write(b"x" * 1_000_000)
        await self.fails(self.ufs.status("key"), NoSuchPath)
        self.assertEqual(merged(await self.ufs.list(ListQuery())), [])
        await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        self.assertEqual(merged(await self.ufs.list(ListQuery())), ["key"])
        await placing.abort()
        self.assertEqual((await self.ufs.status("key")).size, 1_000_000)

    async def test_abort(self) -> None:
        """What is given up leaves the old object as it was, and nothing else."""
        old = await put(self.ufs, "a/key", b"old")
        for pieces in (0, 1, 3):
            placing = await self.ufs.place("a/key", None)
            for _ in range(pieces):
                await placing.write(b"x" * 500_000)
            await placing.abort()
            await placing.abort()
        other = await self.ufs.place("b/key", 500_000)
        await other.write(b"x" * 500_000)
        await other.abort()
        self.assertEqual(await self.ufs.status("a/key"), old)
        self.assertEqual(await get(self.ufs, "a/key"), b"old")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/key"])
        if self.ufs.capabilities.folders:
            names = [bucket.name for bucket in await self.ufs.folders()]
            self.assertNotIn("b", names)

    async def test_overwrite(self) -> None:
        """A new version has a new token, and what was opened before never mixes."""
        data = os.urandom(1 << 20)
        old = await put(self.ufs, "key", data, etag=ETAG)
        reading = await self.ufs.open("key")
        new = await put(self.ufs, "key", b"y" * (1 << 20), etag=OTHER)
        self.assertNotEqual(new.version, old.version)
        self.assertEqual(await self.ufs.status("key"), new)
        self.assertEqual(await get(self.ufs, "key"), b"y" * (1 << 20))
        await self.fails(self.ufs.read("key", old, Span(0, 1)), ObjectChanged)
        try:
            got = await drain(reading.body(Span(0, 1 << 20)))
        except (ObjectChanged, NoSuchPath):
            pass
        else:
            self.assertTrue(got == data)
        reading.close()

    async def test_versions_differ(self) -> None:
        """Versions of one size that follow each other closely differ."""
        versions = set()
        for n in range(20):
            data = b"%02d" % n
            versions.add((await put(self.ufs, "key", data, f"{n:032x}")).version)
        self.assertEqual(len(versions), 20)

    async def test_modified(self) -> None:
        """An object is given the time that its writer asks for."""
        if self.sets_modified is None:
            self.skipTest("times cannot be set")
        for when in (1_000_000_000_000_000_000, 1_700_000_000_123_456_000):
            made = await put(self.ufs, "key", b"data", modified=when)
            found = (await self.ufs.status("key")).modified
            self.assertLess(abs(found - when), self.sets_modified)
            self.assertEqual(found, made.modified)

    async def test_many_at_once(self) -> None:
        """Writers of one key do not mix: one of them was the last."""
        datas = [bytes([n]) * 400_000 for n in range(6)]
        await DeferredList(
            [
                Deferred.fromCoroutine(
                    put(self.ufs, "key", [d[:9], d[9:]], f"{n:032x}")
                )
                for n, d in enumerate(datas)
            ],
            fireOnOneErrback=True,
        )
        self.assertIn(await get(self.ufs, "key"), datas)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])

    # Attributes

    def some_attributes(self) -> Attributes:
        """One of everything."""
        return Attributes(
            headers={
                "content-type": "text/plain; charset=utf-8",
                "cache-control": "no-cache",
                "content-encoding": "gzip",
                "content-language": "de, en",
                "content-disposition": 'attachment; filename="a b.txt"',
                "expires": "Wed, 21 Oct 2065 07:28:00 GMT",
                "x-amz-storage-class": "STANDARD_IA",
                "x-amz-website-redirect-location": "/elsewhere",
            },
            user={"name": "value", "empty": "", "ünï": "cödé 漢"},
            tags={"project": "x", "b": "", "a = b": "c/d"},
            checksums={"crc32c": "yZRlqg==", "sha256": "x" * 43 + "="},
            checksum_type="COMPOSITE",
            part_sizes=(5 << 20, 5 << 20, 17),
            part_checksums=("yZRlqg==", "AAAAAA==", "/+//+A=="),
        )

    async def test_attributes(self) -> None:
        """What a writer says about an object is told by whoever reads it."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        said = self.some_attributes()
        made = await put(self.ufs, "key", b"data", OTHER, said)
        self.assertEqual((made.etag, made.attributes), (OTHER, said))
        found = await self.ufs.status("key")
        self.assertEqual(found, made)
        self.assertEqual(list(found.attributes.tags), list(said.tags))
        (entry,) = (await self.ufs.list(ListQuery())).entries
        self.assertEqual((entry.etag, entry.storage_class), (OTHER, "STANDARD_IA"))

    async def test_attributes_replaced(self) -> None:
        """A new version has none of the old one's attributes."""
        await put(self.ufs, "key", b"data", OTHER, self.some_attributes())
        await put(self.ufs, "key", b"atad", ETAG)
        self.assertEqual((await self.ufs.status("key")).attributes, NO_ATTRIBUTES)

    async def test_many_attributes(self) -> None:
        """Attributes at S3's limits and beyond are kept."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        said = Attributes(
            user={f"name-{n}": "v" * 500 for n in range(40)},
            tags={f"{n}" * 60: "ü" * 256 for n in range(10)},
            part_sizes=tuple(range(5 << 20, (5 << 20) + 10_000)),
        )
        made = await put(self.ufs, "key", b"data", attributes=said)
        self.assertEqual((await self.ufs.status("key")).attributes, said)
        less = await self.ufs.describe("key", made, self.some_attributes())
        self.assertEqual((await self.ufs.status("key")), less)
        await self.ufs.describe("key", less, said)
        self.assertEqual((await self.ufs.status("key")).attributes, said)
        await put(self.ufs, "key", b"more")
        self.assertEqual((await self.ufs.status("key")).attributes, NO_ATTRIBUTES)

    async def test_describe(self) -> None:
        """Attributes are replaced; bytes, ETag, time and version are not."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        old = await put(self.ufs, "key", b"data", OTHER)
        new = await self.ufs.describe("key", old, self.some_attributes())
        found = await self.ufs.status("key")
        self.assertEqual(found, new)
        self.assertEqual(found.attributes, self.some_attributes())
        self.assertEqual(
            (found.version, found.etag, found.modified, found.size),
            (old.version, old.etag, old.modified, old.size),
        )
        self.assertEqual(await get(self.ufs, "key"), b"data")
        glance = self.ufs.glance("key")
        if glance is not None:
            self.assertEqual(glance.status.attributes, self.some_attributes())
        await put(self.ufs, "key", b"changed")
        await self.fails(self.ufs.describe("key", old, NO_ATTRIBUTES), ObjectChanged)

    # Demands

    async def test_demand_absent(self) -> None:
        """Who demands that there be nothing replaces nothing."""
        demand = Demand(absent=True)
        made = await put(self.ufs, "a/key", b"first", demand=demand)
        await self.fails(
            Deferred.fromCoroutine(put(self.ufs, "a/key", b"2nd", demand=demand)),
            PreconditionFailed,
        )
        self.assertEqual(await self.ufs.status("a/key"), made)
        self.assertEqual(await get(self.ufs, "a/key"), b"first")
        await self.ufs.delete("a/key", NO_DEMAND)
        await put(self.ufs, "a/key", b"third", demand=demand)

    async def test_demand_match(self) -> None:
        """Who demands a version replaces only that one."""
        there = [Demand(match=("*",)), Demand(match=(OTHER, ETAG))]
        for demand in there:
            await self.fails(
                Deferred.fromCoroutine(put(self.ufs, "key", b"1", demand=demand)),
                PreconditionFailed,
            )
        made = await put(self.ufs, "key", b"first", ETAG)
        await self.fails(
            Deferred.fromCoroutine(
                put(self.ufs, "key", b"2", demand=Demand(match=("0" * 32,)))
            ),
            PreconditionFailed,
        )
        self.assertEqual(await self.ufs.status("key"), made)
        for demand in (Demand(match=("*",)), Demand(match=(OTHER, made.etag))):
            made = await put(self.ufs, "key", b"next", ETAG, demand=demand)
        self.assertEqual(await get(self.ufs, "key"), b"next")

    async def test_demand_delete(self) -> None:
        """Who demands a version deletes only that one."""
        for demand in (Demand(match=("*",)), Demand(match=(ETAG,))):
            await self.fails(self.ufs.delete("key", demand), PreconditionFailed)
        made = await put(self.ufs, "key", b"data")
        await self.fails(
            self.ufs.delete("key", Demand(match=("0" * 32,))), PreconditionFailed
        )
        self.assertEqual(await self.ufs.status("key"), made)
        self.assertEqual(await self.ufs.delete("key", Demand(match=(made.etag,))), True)
        await self.fails(self.ufs.status("key"), NoSuchPath)

    async def test_race(self) -> None:
        """Of many who each demand to be the first, exactly one is."""
        results = await DeferredList(
            [
                Deferred.fromCoroutine(
                    put(
                        self.ufs,
                        "deep/er/key",
                        b"%d" % n,
                        f"{n:032x}",
                        demand=Demand(absent=True),
                    )
                )
                for n in range(20)
            ],
            consumeErrors=True,
        )
        winners = [n for n, (won, _) in enumerate(results) if won]
        self.assertEqual(len(winners), 1)
        self.assertEqual(await get(self.ufs, "deep/er/key"), b"%d" % winners[0])
        for won, result in results:
            if not won:
                assert isinstance(result, Failure)
                self.assertIsNotNone(result.check(PreconditionFailed), result)

    # Copy and join

    async def test_copy(self) -> None:
        """A copy has the bytes of its source and the attributes it is given."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        data = os.urandom(self.large)
        source = await put(self.ufs, "a/source", data)
        said = self.some_attributes()
        made = await self.ufs.copy(
            "a/source", source, "b/target", said, OTHER, Demand(absent=True)
        )
        self.assertEqual(await self.ufs.status("b/target"), made)
        self.assertTrue(await get(self.ufs, "b/target") == data)
        self.assertEqual(await self.ufs.status("a/source"), source)
        if self.ufs.capabilities.attributes:
            self.assertEqual((made.etag, made.attributes), (OTHER, said))

    async def test_copy_onto_itself(self) -> None:
        """An object that is copied onto itself has new attributes."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        source = await put(self.ufs, "key", b"data")
        said = self.some_attributes()
        made = await self.ufs.copy("key", source, "key", said, ETAG, NO_DEMAND)
        self.assertEqual(await self.ufs.status("key"), made)
        self.assertEqual(await get(self.ufs, "key"), b"data")
        if self.ufs.capabilities.attributes:
            self.assertEqual(made.attributes, said)

    async def test_copy_refused(self) -> None:
        """A copy of another version, or against a demand, changes nothing."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        old = await put(self.ufs, "source", b"old")
        new = await put(self.ufs, "source", b"newer", OTHER)
        there = await put(self.ufs, "target", b"there")

        def copy(status: Status, demand: Demand) -> Deferred[Status]:
            return self.ufs.copy(
                "source", status, "target", NO_ATTRIBUTES, OTHER, demand
            )

        await self.fails(copy(old, NO_DEMAND), ObjectChanged)
        await self.fails(copy(new, Demand(absent=True)), PreconditionFailed)
        await self.ufs.delete("source", NO_DEMAND)
        await self.fails(copy(new, NO_DEMAND), NoSuchPath)
        self.assertEqual(await self.ufs.status("target"), there)

    async def test_join(self) -> None:
        """Joined, parts are one object in the order given, and of no more use."""
        if not self.ufs.capabilities.joins:
            self.skipTest("it does not join")
        parts = [os.urandom(size) for size in (self.large, 1, 700_000)]
        sources = [f".alluxio-tw/uploads/u1/part.{n:05d}" for n in (3, 1, 2)]
        for source, part in zip(sources, parts, strict=True):
            await put(self.ufs, source, part)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        said = self.some_attributes()
        made = await self.ufs.join(sources, "a/whole", said, OTHER, NO_DEMAND)
        self.assertEqual(await self.ufs.status("a/whole"), made)
        self.assertEqual(made.size, sum(map(len, parts)))
        self.assertTrue(await get(self.ufs, "a/whole") == b"".join(parts))
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/whole"])
        for source in sources:
            await self.ufs.delete(source, NO_DEMAND)
        self.assertTrue(await get(self.ufs, "a/whole") == b"".join(parts))
        if self.ufs.capabilities.attributes:
            self.assertEqual((made.etag, made.attributes), (OTHER, said))

    async def test_join_refused(self) -> None:
        """A join against a demand leaves the old object and the parts."""
        if not self.ufs.capabilities.joins:
            self.skipTest("it does not join")
        there = await put(self.ufs, "whole", b"there")
        await put(self.ufs, ".alluxio-tw/uploads/u1/1", b"part")
        for sources, error in (
            ([".alluxio-tw/uploads/u1/1"], PreconditionFailed),
            ([".alluxio-tw/uploads/u1/1", ".alluxio-tw/uploads/u1/2"], NoSuchPath),
        ):
            await self.fails(
                self.ufs.join(
                    sources,
                    "whole",
                    NO_ATTRIBUTES,
                    OTHER,
                    Demand(absent=error is PreconditionFailed),
                ),
                error,
            )
        self.assertEqual(await self.ufs.status("whole"), there)
        self.assertEqual(await get(self.ufs, ".alluxio-tw/uploads/u1/1"), b"part")

    # Deleting

    async def test_delete(self) -> None:
        """What was deleted is gone, with the way to it and nothing else."""
        await put(self.ufs, "a/b/c/key", b"data")
        await put(self.ufs, "a/other", b"data")
        self.assertEqual(await self.ufs.delete("a/b/c/key", NO_DEMAND), True)
        self.assertEqual(await self.ufs.delete("a/b/c/key", NO_DEMAND), False)
        await self.fails(self.ufs.open("a/b/c/key"), NoSuchPath)
        self.assertIsNone(self.ufs.glance("a/b/c/key"))
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["a/"])
        self.assertEqual(
            await keys_of(self.ufs, ListQuery("a/", fold=True)), ["a/other"]
        )
        # The name of a folder that was on the way can now be an object's.
        await put(self.ufs, "a/b", b"data")
        self.assertEqual(await get(self.ufs, "a/b"), b"data")

    # Listing

    KEYS = (
        "a",
        "a!",
        "a/",
        "a/a",
        "a/a/a",
        "a/b",
        "a/é",
        "a0",
        "b-/x",
        "b/x/y/z",
        "b/x/y0",
        "b0",
        "c/1",
        "c/10",
        "c/2",
        "c/\U0001f600/1",
        "c/\uffee",
        "é/ü",
        "zz",
    )

    def listed_keys(self) -> list[str]:
        """Keys that meet each other, as far as the storage can hold them."""
        keys = list(self.KEYS)
        if not self.folder_objects:
            keys = [key for key in keys if not key.endswith("/")]
        if self.ufs.capabilities.key_limits:
            keys = [
                key
                for key in keys
                if key.endswith("/") or not any(k.startswith(key + "/") for k in keys)
            ]
        return keys

    async def test_list(self) -> None:
        """Listings are exact, whatever the prefix, the start and the fold."""
        keys = self.listed_keys()
        for key in keys:
            await put(self.ufs, key, b"")
        prefixes = [
            "",
            "a",
            "a/",
            "a/a",
            "b",
            "b/x/",
            "c/",
            "c/1",
            "é",
            "nothing/",
            "/",
        ]
        afters = ["", "a", "a/", "a/a", "a/a/", "a0", "b/", "b/x/y/", "c/1", "c/\uffff"]
        for prefix in prefixes:
            for after in afters:
                for fold in (False, True):
                    for limit in (3, 1000):
                        query = ListQuery(prefix, after, fold, limit)
                        self.assertEqual(
                            await keys_of(self.ufs, query),
                            modelled(keys, query),
                            query,
                        )

    async def test_list_pages(self) -> None:
        """Pages hold what they may and say whether there is more."""
        for n in range(10):
            await put(self.ufs, f"k/{n}", b"")
        page = await self.ufs.list(ListQuery("k/", limit=4))
        self.assertEqual([e.key for e in page.entries], ["k/0", "k/1", "k/2", "k/3"])
        self.assertEqual(page.resume, "k/3")
        for limit, resume in ((10, None), (11, None), (9, "k/8"), (1, "k/0")):
            page = await self.ufs.list(ListQuery("k/", limit=limit))
            self.assertEqual(len(page.entries), min(limit, 10))
            self.assertEqual(page.resume, resume)
        page = await self.ufs.list(ListQuery("", fold=True, limit=1))
        self.assertEqual((page.entries, page.prefixes), ([], ["k/"]))
        self.assertIsNone(page.resume)

    async def test_own_names(self) -> None:
        """What the project keeps for itself is listed only by its name."""
        await put(self.ufs, "key", b"")
        await put(self.ufs, ".alluxio-tw/uploads/u1/part.1", b"1")
        await put(self.ufs, ".alluxio-tw/uploads/u2/part.1", b"2")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["key"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(".a")), [])
        self.assertEqual(
            await keys_of(self.ufs, ListQuery(".alluxio-tw/uploads/")),
            [
                ".alluxio-tw/uploads/u1/part.1",
                ".alluxio-tw/uploads/u2/part.1",
            ],
        )
        self.assertEqual(
            await keys_of(self.ufs, ListQuery(".alluxio-tw/uploads/", fold=True)),
            [".alluxio-tw/uploads/u1/", ".alluxio-tw/uploads/u2/"],
        )
        self.assertEqual(
            await self.ufs.delete(".alluxio-tw/uploads/u1/part.1", NO_DEMAND), True
        )
        self.assertEqual(await get(self.ufs, ".alluxio-tw/uploads/u2/part.1"), b"2")

    # Limits of trees

    async def test_tree_conflicts(self) -> None:
        """An object and a folder do not take each other's place."""
        old = await put(self.ufs, "a/b", b"old")
        for key in ("a", "a/b/c", "a/b/c/d"):
            work = Deferred.fromCoroutine(put(self.ufs, key, b"new"))
            if self.ufs.capabilities.key_limits:
                await self.fails(work, PathConflict)
            else:
                await work
        self.assertEqual(await self.ufs.status("a/b"), old)
        self.assertEqual(await get(self.ufs, "a/b"), b"old")

    async def test_unsuitable_keys(self) -> None:
        """A key that the storage cannot hold is refused, or held."""
        for key in ("a//b", "a/../b", "./a", "a/.", "/a", "n" * 256, "a/\0/b", ".."):
            try:
                await put(self.ufs, key, b"data")
            except (UnsuitableKey, PathConflict):
                self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
            else:
                self.assertEqual(await get(self.ufs, key), b"data")
                await self.ufs.delete(key, NO_DEMAND)

    async def test_folder_object(self) -> None:
        """A folder that was made as an object is one, and stays when it empties."""
        if not self.folder_objects:
            self.skipTest("it holds no folder objects")
        said = self.some_attributes()
        made = await put(self.ufs, "a/b/", b"", attributes=said)
        self.assertEqual(made.size, 0)
        self.assertEqual(await self.ufs.status("a/b/"), made)
        self.assertEqual(await get(self.ufs, "a/b/"), b"")
        await put(self.ufs, "a/b/key", b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/", "a/b/key"])
        await self.ufs.delete("a/b/key", NO_DEMAND)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["a/"])
        await self.fails(
            Deferred.fromCoroutine(
                put(self.ufs, "a/b/", b"", demand=Demand(absent=True))
            ),
            PreconditionFailed,
        )
        if self.ufs.capabilities.attributes:
            self.assertEqual(made.attributes, said)
            bare = await self.ufs.describe("a/b/", made, NO_ATTRIBUTES)
            self.assertEqual(await self.ufs.status("a/b/"), bare)
        self.assertEqual(await self.ufs.delete("a/b/", NO_DEMAND), True)
        self.assertEqual(await self.ufs.delete("a/b/", NO_DEMAND), False)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])

    async def test_folder_object_bytes(self) -> None:
        """An object whose name ends in a slash keeps its bytes or is refused."""
        try:
            await put(self.ufs, "a/", b"data")
        except UnsuitableKey:
            self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        else:
            self.assertEqual(await get(self.ufs, "a/"), b"data")

    # Folders

    async def test_folders(self) -> None:
        """Folders beneath the root are made, listed, and removed when empty."""
        if not self.ufs.capabilities.folders:
            self.skipTest("it has no folders")
        await self.ufs.make_folder("two")
        await self.ufs.make_folder("one")
        await self.fails(self.ufs.make_folder("one"), PathConflict)
        names = [bucket.name for bucket in await self.ufs.folders()]
        self.assertEqual(names, ["one", "two"])
        self.assertGreater((await self.ufs.folders())[0].created, 0)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        await put(self.ufs, "one/key", b"data")
        await put(self.ufs, "one/.alluxio-tw/uploads/1", b"data")
        await self.fails(self.ufs.remove_folder("one"), PathConflict)
        await self.fails(self.ufs.remove_folder("three"), NoSuchPath)
        await self.ufs.delete("one/key", NO_DEMAND)
        await self.ufs.remove_folder("two")
        names = [bucket.name for bucket in await self.ufs.folders()]
        self.assertEqual(names, ["one"])
        await self.ufs.remove_folder("one")
        self.assertEqual(await self.ufs.folders(), [])
        for name in ("..", "", "a/b", ".alluxio-tw"):
            await self.fails(self.ufs.make_folder(name), CallerError)
            await self.fails(self.ufs.remove_folder(name), BackendError)

    async def test_sweep(self) -> None:
        """Sweeping takes nothing that is there or being made."""
        await put(self.ufs, "key", b"data")
        placing = await self.ufs.place("other", None)
        await placing.write(b"x" * 1_000_000)
        await self.ufs.sweep(0)
        made = await placing.commit(ETAG, self.some_attributes(), NO_DEMAND)
        await placing.abort()
        await self.ufs.sweep(0)
        self.assertEqual(await self.ufs.status("other"), made)
        self.assertEqual(await get(self.ufs, "key"), b"data")

    async def test_glance(self) -> None:
        """A glance never tells of a version that is no more."""
        await put(self.ufs, "key", b"old")
        for n in range(5):
            await get(self.ufs, "key")
            glance = self.ufs.glance("key")
            if glance is not None:
                self.assertEqual(glance.status, await self.ufs.status("key"))
                glance.close()
            await put(self.ufs, "key", b"%03d" % n, f"{n:032x}")
            glance = self.ufs.glance("key")
            if glance is not None:
                self.assertEqual(glance.status.etag, f"{n:032x}")
                self.assertEqual(await drain(glance.body(Span(0, 3))), b"%03d" % n)
                glance.close()
        await self.ufs.delete("key", NO_DEMAND)
        self.assertIsNone(self.ufs.glance("key"))
