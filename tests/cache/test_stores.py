"""
The contract of page stores, kept by each of ours.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from alluxio_tw.cache.disk import DiskStore
from alluxio_tw.cache.eviction import LFU, LRU
from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.tiers import Level, Siblings, Tiers
from alluxio_tw.deferreds import deferred
from alluxio_tw.ipages import IPageStore
from alluxio_tw.testing.pages import PageStoreContract
from alluxio_tw.threads import IThreads, NoThreads, PooledThreads


class MemoryStoreTests(PageStoreContract, TestCase):
    def make_store(self, capacity: int) -> IPageStore:
        return MemoryStore(capacity)


class MemoryStoreLRUTests(PageStoreContract, TestCase):
    def make_store(self, capacity: int) -> IPageStore:
        return MemoryStore(capacity, LRU)


class DiskStoreTests(PageStoreContract, TestCase):
    def disk(self, capacity: int, threads: IThreads, name: str = "") -> DiskStore:
        return DiskStore(self.mktemp() + name, capacity, 1 << 20, threads, Clock())

    @deferred
    async def make_store(self, capacity: int) -> IPageStore:
        store = self.disk(capacity, NoThreads())
        await store.start()
        return store


class ThreadedDiskStoreTests(DiskStoreTests):
    @deferred
    async def make_store(self, capacity: int) -> IPageStore:
        threads = ThreadPool(1, 4)
        threads.start()
        core = IReactorCore(reactor)
        self.addCleanup(threads.stop)
        # The store is closed before the threads are: clean-ups run backwards.
        store = self.disk(capacity, PooledThreads(IReactorFromThreads(core), threads))
        await store.start()
        return store


class DiskStoreFewFilesTests(DiskStoreTests):
    @deferred
    async def make_store(self, capacity: int) -> IPageStore:
        store = DiskStore(
            self.mktemp(), capacity, 1 << 20, NoThreads(), Clock(), LFU, open_files=2
        )
        await store.start()
        return store


class TiersTests(DiskStoreTests):
    def make_store(self, capacity: int) -> Deferred[IPageStore]:
        return self.make_tiers(capacity, 64 * 1024)

    @deferred
    async def make_tiers(self, capacity: int, longest: int) -> IPageStore:
        disk = self.disk(capacity, NoThreads())
        await disk.start()
        memory = MemoryStore(capacity // 4)
        return Tiers([Level(memory, longest), Level(disk, 0)], NoThreads())


class TiersOfLongPagesTests(TiersTests):
    def make_store(self, capacity: int) -> Deferred[IPageStore]:
        return self.make_tiers(capacity, 100)


class SiblingsTests(DiskStoreTests):
    CAPACITY = 2 * 1024 * 1024

    @deferred
    async def make_store(self, capacity: int) -> IPageStore:
        stores = []
        for name in ("a", "b"):
            store = self.disk(capacity // 2, NoThreads(), name)
            await store.start()
            stores.append((name, capacity // 2, store))
        return Siblings(stores)
