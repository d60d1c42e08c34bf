"""
Conditional writes: what must be true of the object that is there.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from alluxio_tw.errors import NoSuchPath, PreconditionFailed
from alluxio_tw.iobjects import NO_DEMAND, Demand
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, get, put


class ConditionsContract(UFSCase):
    """A write that demands something happens only if it is so."""

    async def test_demand_absent(self) -> None:
        """Who demands that there be nothing replaces nothing."""
        self.demanding()
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
        self.demanding()
        for demand in (Demand(match=("*",)), Demand(match=(OTHER, ETAG))):
            await self.refused(b"1", demand)
        made = await put(self.ufs, "key", b"first", "a" * 32)
        await self.refused(b"2", Demand(match=("0" * 32,)))
        self.assertEqual(await self.ufs.status("key"), made)
        any_ = Demand(match=("*",))
        made = await put(self.ufs, "key", b"2nd", "b" * 32, demand=any_)
        demand = Demand(match=(OTHER, made.etag))
        await put(self.ufs, "key", b"next", "c" * 32, demand=demand)
        await self.refused(b"last", demand)
        self.assertEqual(await get(self.ufs, "key"), b"next")

    async def refused(self, data: bytes, demand: Demand) -> None:
        """A write is refused for its demand."""
        work = Deferred.fromCoroutine(put(self.ufs, "key", data, demand=demand))
        await self.fails(work, PreconditionFailed)

    async def test_demand_delete(self) -> None:
        """Who demands a version deletes only that one."""
        self.demanding()
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
        if not self.ufs.capabilities.conditional:
            self.skipTest("races are for the gateway to judge")
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
