"""
What every L{IState<alluxio_tw.istate.IState>} promises, as a suite to mix in.

Mix L{StateContract} into a C{twisted.trial.unittest.TestCase} and say how a
store is made::

    class MineTests(StateContract, TestCase):
        def make_state(self):
            return MyState(...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from alluxio_tw.errors import GatewayError
from alluxio_tw.istate import IState

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as Base
else:
    Base = object


class StateContract(Base):
    """
    The suite.  A store is made anew, and empty, for each test.
    """

    state: IState

    def make_state(self) -> IState:
        """An empty store."""
        raise NotImplementedError

    def settle(self) -> Deferred[None]:
        """
        Until watches were told of what was written so far; for stores whose
        watches are told later than the write is answered.
        """
        return succeed(None)

    def setUp(self) -> None:
        self.state = self.make_state()
        self.addCleanup(lambda: self.state.close())

    async def test_interface(self) -> None:
        """The store provides what it says."""
        verifyObject(IState, self.state)

    async def test_nothing(self) -> None:
        """A name that was never written holds nothing."""
        self.assertIsNone(await self.state.get("a"))
        self.assertIsNone(self.state.glance("a"))
        self.assertEqual(await self.state.list(""), [])

    async def test_written(self) -> None:
        """What was written is got, glanced at and listed, with its revision."""
        revision = await self.state.put("bucket/photos", b"\0value")
        for held in (
            await self.state.get("bucket/photos"),
            self.state.glance("bucket/photos"),
            *await self.state.list("bucket/"),
        ):
            assert held is not None
            self.assertEqual(
                (held.name, held.value, held.revision),
                ("bucket/photos", b"\0value", revision),
            )

    async def test_empty_value(self) -> None:
        """An empty value is a value."""
        await self.state.put("a", b"")
        held = await self.state.get("a")
        assert held is not None
        self.assertEqual(held.value, b"")

    async def test_largest_value(self) -> None:
        """A value may hold 64 KiB, and not a byte more."""
        self.assertIsNotNone(await self.state.put("a", b"x" * 65_536))
        try:
            await self.state.put("a", b"x" * 65_537)
        except GatewayError:
            pass
        else:
            self.fail("a value too long was taken")
        held = await self.state.get("a")
        assert held is not None
        self.assertEqual(len(held.value), 65_536)

    async def test_names(self) -> None:
        """A name holds 480 bytes of any text; an empty or longer one is refused."""
        name = "ä/ 日本\x01" + "x" * 469
        self.assertEqual(len(name.encode()), 480)
        await self.state.put(name, b"1")
        self.assertEqual([held.name for held in await self.state.list("ä")], [name])
        for wrong in ("", name + "x"):
            try:
                await self.state.put(wrong, b"1")
            except GatewayError:
                continue
            self.fail(f"the name {wrong!r} was taken")

    async def test_every_write_a_revision(self) -> None:
        """Writing the same value again gives another revision."""
        first = await self.state.put("a", b"1")
        second = await self.state.put("a", b"1")
        self.assertNotEqual(first, second)

    async def test_only_if_nothing(self) -> None:
        """Expecting nothing writes once."""
        self.assertIsNotNone(await self.state.put("a", b"1", expected=""))
        self.assertIsNone(await self.state.put("a", b"2", expected=""))
        held = await self.state.get("a")
        assert held is not None
        self.assertEqual(held.value, b"1")

    async def test_only_if_revision(self) -> None:
        """Expecting a revision writes only over that one."""
        first = await self.state.put("a", b"1")
        assert first is not None
        second = await self.state.put("a", b"2", expected=first)
        self.assertIsNotNone(second)
        self.assertIsNone(await self.state.put("a", b"3", expected=first))
        self.assertIsNone(await self.state.put("b", b"3", expected=first))
        held = await self.state.get("a")
        assert held is not None
        self.assertEqual((held.value, held.revision), (b"2", second))

    async def test_one_of_many_wins(self) -> None:
        """Of fifty that expect the same revision, exactly one writes."""
        first = await self.state.put("a", b"")
        tries = [
            self.state.put("a", str(number).encode(), expected=first)
            for number in range(50)
        ]
        won = [number for number, done in enumerate(tries) if await done is not None]
        self.assertEqual(len(won), 1)
        held = await self.state.get("a")
        assert held is not None
        self.assertEqual(held.value, str(won[0]).encode())

    async def test_delete(self) -> None:
        """What was deleted is gone, and deleting it again says so."""
        await self.state.put("a", b"1")
        self.assertTrue(await self.state.delete("a"))
        self.assertFalse(await self.state.delete("a"))
        self.assertIsNone(await self.state.get("a"))
        self.assertIsNone(self.state.glance("a"))

    async def test_delete_only_if(self) -> None:
        """Deleting on terms that do not hold leaves the value."""
        first = await self.state.put("a", b"1")
        assert first is not None
        second = await self.state.put("a", b"2")
        self.assertFalse(await self.state.delete("a", expected=first))
        self.assertFalse(await self.state.delete("a", expected=""))
        self.assertIsNotNone(await self.state.get("a"))
        self.assertTrue(await self.state.delete("a", expected=second))

    async def test_revision_not_used_again(self) -> None:
        """A name deleted and made again does not get its old revision back."""
        first = await self.state.put("a", b"1")
        await self.state.delete("a")
        self.assertNotEqual(await self.state.put("a", b"1"), first)

    async def test_list(self) -> None:
        """A list has the names beneath the prefix, in order, page by page."""
        names = ["b/1", "b/10", "b/2", "b/ä", "b/日", "b/\U0001f600"]
        for name in reversed(["a", *names, "b", "c/1"]):
            await self.state.put(name, name.encode())
        self.assertEqual([held.name for held in await self.state.list("b/")], names)
        seen: list[str] = []
        after = ""
        while page := await self.state.list("b/", after, 2):
            self.assertLessEqual(len(page), 2)
            seen += [held.name for held in page]
            after = page[-1].name
        self.assertEqual(seen, names)
        self.assertEqual(await self.state.list("b/", "c"), [])

    async def test_watch(self) -> None:
        """A watch is told of writes and deletions beneath its prefix, no others."""
        told: list[str] = []
        await self.state.put("b/before", b"1")
        end = self.state.watch("b/", told.append)
        await self.state.put("b/1", b"1")
        await self.state.put("a/1", b"1")
        await self.state.delete("b/1")
        await self.state.put("b/2", b"1", expected="unlikely")
        await self.settle()
        self.assertIn("b/1", told)
        self.assertEqual(set(told), {"b/1"})
        end()
        end()
        await self.state.put("b/3", b"1")
        await self.settle()
        self.assertEqual(set(told), {"b/1"})

    async def test_watch_sees_the_write(self) -> None:
        """What a watch is told of can be glanced at already."""
        seen: list[bytes] = []

        def told(name: str) -> None:
            held = self.state.glance(name)
            assert held is not None
            seen.append(held.value)

        self.state.watch("", told)
        await self.state.put("a", b"1")
        await self.settle()
        self.assertEqual(seen, [b"1"])

    async def test_watch_that_fails(self) -> None:
        """A watch that fails is logged, and the others are told."""
        told: list[str] = []

        def fails(name: str) -> None:
            raise ZeroDivisionError

        self.state.watch("", fails)
        self.state.watch("", told.append)
        self.assertIsNotNone(await self.state.put("a", b"1"))
        await self.settle()
        self.assertEqual(told, ["a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
