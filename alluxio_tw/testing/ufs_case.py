"""
How an under file system is made for a test, and how far its promises go.

What a driver cannot do it declares in its L{Capabilities}.  What is left to say,
because it is a matter of degree and not of what the gateway makes up for, is said
here, as data: an author who overrides a test instead tests something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.threadpool import ThreadPool

from alluxio_tw.iobjects import Attributes, Status
from alluxio_tw.iufs import IUnderFileSystem, Surroundings
from alluxio_tw.threads import PooledThreads
from alluxio_tw.ufs.ordered import OrderedUFS

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    TestCase = object

HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-cache",
    "content-encoding": "gzip",
    "content-language": "de, en",
    "content-disposition": 'attachment; filename="a b.txt"',
    "expires": "Wed, 21 Oct 2065 07:28:00 GMT",
    "x-amz-website-redirect-location": "/elsewhere",
}

KEPT = frozenset(("headers", "user", "tags", "checksums", "parts"))


class UFSCase(TestCase):
    """
    Mix it with C{twisted.trial.unittest.TestCase} and give it L{make_ufs}.

    Names:

    :ivar folder_objects: it holds objects whose names end in a slash, apart from
        what lies beneath them.
    :ivar folder_attributes: these keep attributes, as any object does.
    :ivar longest_key: how many bytes a key may have.
    :ivar odd_names: further parts of keys that it must hold.

    What it is told and tells again:

    :ivar sets_modified: it can give an object a modification time; to how many
        nanoseconds.  L{None} if it cannot.
    :ivar keeps: which of an object's attributes it keeps, where it keeps any; what
        is not named here it may drop, or make up.
    :ivar storage_class: it keeps C{x-amz-storage-class}.
    :ivar tags_in_order: it tells tags in the order in which they were given.
    :ivar plain_metadata: names and values of user metadata are ASCII.
    :ivar metadata_limit: how many bytes of user metadata it keeps; L{None} for more
        than anybody sends.
    :ivar rewrites: to describe an object anew is to write it anew: its version and
        its time are others then.  Not if only its tags are.
    :ivar clears: headers that are not given again when it is described are gone.

    Writing:

    :ivar checks_demands: it checks demands although it cannot do it atomically
        (C{capabilities.conditional} is not set).

    How much the suite may ask of it:

    :ivar large: how large an object the suite may write, in bytes.
    :ivar huge: how large one is of which no more than L{memory} may be in memory.
    :ivar memory: how many bytes one transfer may take; L{None} where objects are in
        memory anyway.
    :ivar many: how many leases are taken and returned, one after another.
    """

    folder_objects: bool = True
    folder_attributes: bool = True
    longest_key: int = 1024
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
    sets_modified: int | None = 1_000_000_000
    keeps: frozenset[str] = KEPT
    storage_class: bool = True
    tags_in_order: bool = True
    plain_metadata: bool = False
    metadata_limit: int | None = None
    rewrites: bool = False
    clears: bool = True
    checks_demands: bool = False
    large: int = 5 << 20
    huge: int = 48 << 20
    memory: int | None = 24 << 20
    many: int = 100

    ufs: IUnderFileSystem

    def make_ufs(self) -> IUnderFileSystem | Deferred[IUnderFileSystem]:
        """An empty under file system, anew for each test."""
        raise NotImplementedError

    async def setUp(self) -> None:  # type: ignore[override]
        """Make it; it is closed after the test."""
        made = self.make_ufs()
        ufs = await made if isinstance(made, Deferred) else made
        # As a mount has it: the suite tests what the gateway sees.
        self.ufs = OrderedUFS(ufs) if ufs.capabilities.unordered else ufs
        self.addCleanup(self.ufs.close)

    def surroundings(self, buckets: bool = False) -> Surroundings:
        """
        What the driver's maker is handed: the reactor that runs the tests, and
        threads that end with the test.
        """
        from twisted.internet import reactor

        pool = ThreadPool(0, 4)
        pool.start()
        self.addCleanup(pool.stop)
        return Surroundings(
            IReactorTime(reactor),
            PooledThreads(reactor, pool),  # type: ignore[arg-type]
            buckets,
        )

    async def fails(self, work: Deferred[Any], *errors: type[Exception]) -> Exception:
        """The error that some work fails with; it must be one of these."""
        try:
            result = await work
        except errors as error:
            return error
        raise AssertionError(f"no failure, but {result!r}")

    def demanding(self) -> None:
        """Skip the test if the driver leaves demands to the gateway."""
        if not (self.ufs.capabilities.conditional or self.checks_demands):
            self.skipTest("it leaves demands to the gateway")

    def some_attributes(self) -> Attributes:
        """One of everything that it keeps."""
        said = Attributes(
            headers=dict(HEADERS),
            user={"name": "value", "empty": "", "two-words": "a  b"},
            tags={"project": "x", "b": "", "a = b": "c/d"},
        )
        if self.storage_class:
            headers = {**said.headers, "x-amz-storage-class": "STANDARD_IA"}
            said = attrs.evolve(said, headers=headers)
        if not self.plain_metadata:
            said = attrs.evolve(said, user={**said.user, "ünï": "cödé 漢"})
        if "checksums" in self.keeps:
            said = attrs.evolve(
                said,
                checksums={"crc32c": "yZRlqg==", "sha256": "x" * 43 + "="},
                checksum_type="COMPOSITE",
            )
        if "parts" in self.keeps:
            said = attrs.evolve(
                said,
                part_sizes=(5 << 20, 5 << 20, 17),
                part_checksums=("yZRlqg==", "AAAAAA==", "/+//+A=="),
            )
        for name in ("headers", "user", "tags"):
            if name not in self.keeps:
                said = attrs.evolve(said, **{name: {}})  # type: ignore[arg-type]
        return said

    def assert_said(self, status: Status, said: Attributes, etag: str = "") -> None:
        """
        What was said of an object is told, as far as it is kept.

        :param etag: what it was given; empty if that does not matter.
        """
        if etag and not self.ufs.capabilities.etags:
            self.assertEqual(status.etag, etag)
        if not self.ufs.capabilities.attributes:
            return
        found = status.attributes
        for name in ("headers", "user", "tags"):
            if name in self.keeps:
                self.assertEqual(getattr(found, name), getattr(said, name), name)
        if "checksums" in self.keeps:
            self.assertEqual(
                (found.checksums, found.checksum_type),
                (said.checksums, said.checksum_type),
            )
        if "parts" in self.keeps:
            self.assertEqual(
                (found.part_sizes, found.part_checksums),
                (said.part_sizes, said.part_checksums),
            )
