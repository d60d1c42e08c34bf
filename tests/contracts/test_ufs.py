"""
The contract suite finds what is wrong with a driver: each of these is wrong in one way.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageBusy
from alluxio_tw.ibody import FileSpan, IBody
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    Listing,
    Status,
)
from alluxio_tw.iufs import IPlacing, IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract, drain
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.bytesbody import BytesBody
from alluxio_tw.ufs.local import make as make_local
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.ufs.passing import PassingUFS
from tests.doubles_bare import BareUFS

Make = Callable[[], IUnderFileSystem]


def memory() -> MemoryUFS:
    clock = Clock()
    clock.advance(1_700_000_000)
    return MemoryUFS(clock, NoThreads())


class Mixing(PassingUFS):
    """Reads whatever version there is."""

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        return await self.ufs.read(path, await self.ufs.status(path), span)


class Leaking(PassingUFS):
    """Has eight connections, and forgets one whenever a body is closed early."""

    left = 8

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        if not self.left:
            raise StorageBusy()
        self.left -= 1
        return _Leak(self, await self.ufs.read(path, status, span))


class _Leak(BytesBody):
    def __init__(self, ufs: Leaking, body: IBody) -> None:
        assert isinstance(body, BytesBody)
        super().__init__(body._rest)
        self._ufs = ufs

    def read(self) -> Deferred[bytes | memoryview | FileSpan | None]:
        if not len(self._rest):
            self._ufs.left += 1
        return super().read()


class Greedy(PassingUFS):
    """Reads all of it, whatever its reader wants."""

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        return BytesBody(
            memoryview(await drain(await self.ufs.read(path, status, span)))
        )


class Unfolding(PassingUFS):
    """Says that more follows when nothing does."""

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        page = await self.ufs.list(query)
        names = [each.key for each in page.entries] + list(page.prefixes)
        if len(names) == query.limit:
            return attrs.evolve(page, resume=max(names, key=str.encode))
        return page


class Baring(PassingUFS):
    """Shows what the gateway keeps for itself."""

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        page = await self.ufs.list(query)
        if query.prefix or query.after or query.fold:
            return page
        own = await self.ufs.list(ListQuery(".alluxio-tw"))
        return attrs.evolve(page, entries=[*own.entries, *page.entries])


class Eager(PassingUFS):
    """Shows an object from its first byte on."""

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        hasty = await self.ufs.place(path, 0)
        await hasty.commit("", NO_ATTRIBUTES, NO_DEMAND)
        return await self.ufs.place(path, size, attributes)


class Forgetting(PassingUFS):
    """Drops attributes, and says that it keeps them."""

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self.ufs.describe(path, status, NO_ATTRIBUTES)


class Careless(PassingUFS):
    """Deletes whatever is demanded."""

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self.ufs.delete(path, NO_DEMAND)


class Sweeping(PassingUFS):
    """Takes objects for leftovers."""

    @deferred
    async def sweep(self, older: float) -> int:
        await self.ufs.delete("key", NO_DEMAND)
        return 1


class Remembering(PassingUFS):
    """Is slow to notice that an object is gone."""

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return succeed(True)


def judged(make: Make, **knobs: object) -> set[str]:
    """The tests of the suite that a driver fails."""

    class Cases(UnderFileSystemContract, TestCase):
        def make_ufs(self) -> IUnderFileSystem:
            return make()

    for name, value in {"memory": None, **knobs}.items():
        setattr(Cases, name, value)
    failed = set()
    for name in dir(Cases):
        if name.startswith("test_"):
            result = TestResult()
            Cases(name).run(result)
            if not result.wasSuccessful():
                failed.add(name)
    return failed


class SuiteTests(SynchronousTestCase):
    """
    Each driver fails the tests that are about what is wrong with it.
    """

    def test_right(self) -> None:
        """A driver that is right fails nothing."""
        self.assertEqual(judged(lambda: PassingUFS(memory())), set())

    def finds(self, make: Callable[[IUnderFileSystem], object], *tests: str) -> None:
        failed = judged(lambda: make(memory()))  # type: ignore[arg-type, return-value]
        self.assertLessEqual(set(tests), failed)

    def test_wrong(self) -> None:
        """A driver that is wrong in one way fails what is about it."""
        self.finds(Mixing, "test_overwrite")
        self.finds(Leaking, "test_bodies_given_up", "test_read_cancelled")
        self.finds(Unfolding, "test_list_pages", "test_own_names_take_no_room")
        self.finds(Baring, "test_own_names", "test_join")
        self.finds(Eager, "test_unseen_before_commit", "test_abort")
        self.finds(Forgetting, "test_describe", "test_many_attributes")
        self.finds(Careless, "test_demand_delete")
        self.finds(Sweeping, "test_sweep")
        self.finds(Remembering, "test_delete")

    def test_not_declared(self) -> None:
        """What a driver cannot do and does not declare is found, one by one."""
        for without, test in (
            ("attributes", "test_attributes"),
            ("conditional", "test_race"),
            ("copies", "test_copy"),
            ("joins", "test_join"),
            ("ordered", "test_list"),
        ):

            def make(without: str = without) -> IUnderFileSystem:
                ufs = memory()
                bare = BareUFS(ufs, (without,))
                bare.capabilities = ufs.capabilities
                return bare

            self.assertIn(test, judged(make), without)

    def test_greedy(self) -> None:
        """A driver that reads ahead of its reader is found by the memory it takes."""
        around = Surroundings(Clock(), NoThreads())

        def make() -> IUnderFileSystem:
            root = os.path.abspath(self.mktemp())
            os.mkdir(root)
            return Greedy(make_local(f"file://{root}", {}, around))

        class Cases(UnderFileSystemContract, TestCase):
            huge = 16 << 20
            memory = 8 << 20

            def make_ufs(self) -> IUnderFileSystem:
                return make()

        result = TestResult()
        Cases("test_memory_reading").run(result)
        self.assertEqual(len(result.failures), 1, result.errors)
        Cases("test_memory_writing").run(result)
        self.assertEqual((len(result.failures), result.errors), (1, []))
