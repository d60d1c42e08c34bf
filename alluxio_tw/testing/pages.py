"""
What every L{IPageStore<alluxio_tw.ipages.IPageStore>} promises, as a suite to mix in.

Mix L{PageStoreContract} into a C{twisted.trial.unittest.TestCase} and say how a
store is made::

    class MineTests(PageStoreContract, TestCase):
        def make_store(self, capacity):
            return MyStore(capacity)
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from alluxio_tw.ibody import FileSpan
from alluxio_tw.ipages import IPage, IPageStore, PageKey
from alluxio_tw.spans import Span

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as Base
else:
    Base = object


def page_bytes(page: IPage, span: Span | None = None) -> bytes:
    """
    What a page says at a span, whatever its pieces are made of.

    :param span: counted from the page's first byte; L{None} for all of it.
    """
    piece = page.piece(Span(0, page.length) if span is None else span)
    if isinstance(piece, FileSpan):
        return os.pread(piece.fd, piece.length, piece.offset)
    return bytes(piece)


def key_of(name: int, number: int = 0) -> PageKey:
    """A key to test with."""
    return PageKey(name.to_bytes(4, "big") * 4, number)


class PageStoreContract(Base):
    """
    The suite.  A store is made anew, and empty, for each test.

    :cvar PAGE: how long the pages are that it is tried with, in bytes.
    :cvar CAPACITY: about how many bytes it may keep; room for 20 pages at least.
    """

    PAGE = 16 * 1024
    CAPACITY = 1024 * 1024

    store: IPageStore

    def make_store(self, capacity: int) -> IPageStore | Deferred[IPageStore]:
        """An empty store that may keep C{capacity} bytes."""
        raise NotImplementedError

    def settle(self) -> Deferred[None]:
        """Until what the store does behind its callers' backs is done."""
        return succeed(None)

    async def setUp(self) -> None:  # type: ignore[override]
        made = self.make_store(self.CAPACITY)
        self.store = await made if isinstance(made, Deferred) else made
        self.addCleanup(lambda: self.store.close())

    async def keep(self, key: PageKey, data: bytes) -> bool:
        """Put a page and let go of it; whether it was kept."""
        page = await self.store.put(key, data)
        if page is None:
            return False
        page.release()
        return True

    async def fetch(self, key: PageKey) -> bytes | None:
        """The bytes of a page, if it is there."""
        page = await self.store.get(key)
        if page is None:
            return None
        try:
            return page_bytes(page)
        finally:
            page.release()

    async def test_interface(self) -> None:
        """The store and its pages provide what they say."""
        verifyObject(IPageStore, self.store)
        page = await self.store.put(key_of(1), b"x")
        assert page is not None
        verifyObject(IPage, page)
        page.release()

    async def test_nothing(self) -> None:
        """A page that was never put is not there, and asking does not fail."""
        self.assertIsNone(self.store.glance(key_of(1)))
        self.assertIsNone(await self.store.get(key_of(1)))
        await self.store.forget(key_of(1))

    async def test_kept(self) -> None:
        """What was put is there, at once and later."""
        data = random.Random(1).randbytes(self.PAGE)
        self.assertTrue(await self.keep(key_of(1), data))
        page = self.store.glance(key_of(1))
        assert page is not None
        self.assertEqual(page.length, self.PAGE)
        self.assertEqual(page_bytes(page), data)
        page.release()
        self.assertEqual(await self.fetch(key_of(1)), data)

    async def test_put_gives_the_page(self) -> None:
        """The answer to a put is the page as it is kept."""
        page = await self.store.put(key_of(1), b"some bytes")
        assert page is not None
        self.assertEqual(page_bytes(page), b"some bytes")
        page.release()

    async def test_span(self) -> None:
        """A piece is the bytes of its span, and no others."""
        data = random.Random(2).randbytes(self.PAGE)
        page = await self.store.put(key_of(1), data)
        assert page is not None
        for offset, length in (
            (0, 1),
            (5, 100),
            (self.PAGE - 1, 1),
            (1, self.PAGE - 1),
        ):
            self.assertEqual(
                page_bytes(page, Span(offset, length)), data[offset : offset + length]
            )
        page.release()

    async def test_pages_differ(self) -> None:
        """Pages of one object, and of two, are not mistaken for each other."""
        for name in (1, 2):
            for number in (0, 1, 255, 256, 70_000):
                await self.keep(key_of(name, number), f"{name}/{number}".encode())
        for name in (1, 2):
            for number in (0, 1, 255, 256, 70_000):
                self.assertEqual(
                    await self.fetch(key_of(name, number)), f"{name}/{number}".encode()
                )

    async def test_put_again(self) -> None:
        """A page that is there already is given, not written anew."""
        await self.keep(key_of(1), b"first")
        page = await self.store.put(key_of(1), b"first")
        assert page is not None
        self.assertEqual(page_bytes(page), b"first")
        page.release()

    async def test_forgotten(self) -> None:
        """What was forgotten is gone."""
        await self.keep(key_of(1), b"bytes")
        await self.store.forget(key_of(1))
        self.assertIsNone(self.store.glance(key_of(1)))
        self.assertIsNone(await self.store.get(key_of(1)))

    async def test_kept_after_forgotten(self) -> None:
        """What was forgotten can be put again."""
        await self.keep(key_of(1), b"bytes")
        await self.store.forget(key_of(1))
        self.assertTrue(await self.keep(key_of(1), b"bytes"))
        self.assertEqual(await self.fetch(key_of(1)), b"bytes")

    async def test_forgotten_while_held(self) -> None:
        """A page that is held can be read to its end, even when it is forgotten."""
        data = random.Random(3).randbytes(self.PAGE)
        page = await self.store.put(key_of(1), data)
        assert page is not None
        await self.store.forget(key_of(1))
        self.assertEqual(page_bytes(page), data)
        page.release()

    async def test_evicted_while_held(self) -> None:
        """A page that is held can be read, whatever is put meanwhile."""
        data = random.Random(4).randbytes(self.PAGE)
        page = await self.store.put(key_of(0), data)
        assert page is not None
        for name in range(1, 3 * self.CAPACITY // self.PAGE):
            await self.keep(key_of(name), bytes(self.PAGE))
        self.assertEqual(page_bytes(page), data)
        page.release()

    async def test_release_twice(self) -> None:
        """Letting go twice is letting go once."""
        await self.keep(key_of(1), b"bytes")
        first, second = self.store.glance(key_of(1)), self.store.glance(key_of(1))
        assert first is not None and second is not None
        first.release()
        first.release()
        await self.store.forget(key_of(1))
        self.assertEqual(page_bytes(second), b"bytes")
        second.release()

    async def test_quota(self) -> None:
        """However much is put, what is kept stays below the quota."""
        for name in range(3 * self.CAPACITY // self.PAGE):
            await self.keep(key_of(name), bytes(self.PAGE))
            for usage in self.store.usage():
                self.assertLessEqual(usage.used, usage.capacity)
        await self.settle()
        there = 0
        for name in range(3 * self.CAPACITY // self.PAGE):
            data = await self.fetch(key_of(name))
            there += 0 if data is None else len(data)
        self.assertLessEqual(there, sum(tier.capacity for tier in self.store.usage()))
        self.assertGreater(there, 0)
        self.assertGreater(sum(usage.evictions for usage in self.store.usage()), 0)

    async def test_too_large(self) -> None:
        """A page that the quota has no room for is not kept, and nothing breaks."""
        await self.keep(key_of(1), b"bytes")
        self.assertFalse(await self.keep(key_of(2), bytes(self.CAPACITY + 1)))
        self.assertEqual(await self.fetch(key_of(1)), b"bytes")

    async def test_usage(self) -> None:
        """What it tells of itself adds up."""
        await self.keep(key_of(1), bytes(self.PAGE))
        await self.fetch(key_of(1))
        await self.fetch(key_of(2))
        tiers = self.store.usage()
        self.assertGreaterEqual(sum(tier.pages for tier in tiers), 1)
        self.assertGreaterEqual(sum(tier.used for tier in tiers), self.PAGE)
        self.assertGreaterEqual(sum(tier.hits for tier in tiers), 1)
        self.assertGreaterEqual(sum(tier.misses for tier in tiers), 1)
        self.assertEqual(sum(tier.failures for tier in tiers), 0)

    async def test_closed(self) -> None:
        """What is asked of a closed store is answered, with nothing."""
        await self.keep(key_of(1), b"bytes")
        await self.store.close()
        self.assertIsNone(await self.store.get(key_of(3)))

    async def test_against_a_model(self) -> None:
        """
        Whatever is put, got and forgotten, in any order: a page is right or absent.
        """
        chance = random.Random(5)
        model: dict[PageKey, bytes] = {}
        held: list[tuple[IPage, bytes]] = []
        for _ in range(1_500):
            key = key_of(chance.randrange(120))
            deed = chance.random()
            if deed < 0.4:
                data = model.setdefault(
                    key, chance.randbytes(chance.randrange(1, self.PAGE))
                )
                page = await self.store.put(key, data)
            elif deed < 0.5:
                await self.store.forget(key)
                continue
            elif deed < 0.7:
                page = self.store.glance(key)
            else:
                page = await self.store.get(key)
            if page is not None:
                self.assertIn(key, model)
                self.assertEqual(page_bytes(page), model[key])
                held.append((page, model[key]))
            while len(held) > 8 or (held and chance.random() < 0.3):
                page, data = held.pop(chance.randrange(len(held)))
                self.assertEqual(page_bytes(page), data)
                page.release()
        for page, data in held:
            self.assertEqual(page_bytes(page), data)
            page.release()
