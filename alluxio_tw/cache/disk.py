"""
Pages in files below a directory; the cache's only threads.

The directory (L{alluxio_tw.cache.pagefolder}) is the truth; what is kept here is
an index of it, rebuilt in the background after a restart: until that is done, a
page that is not known is looked for on the disk.

One store owns a directory at a time.  It alone writes, evicts and sweeps.  A
store that does not get the lock reads what is there, writes nothing, and tries
again later: as when a new process starts while the old one still drains.

What goes wrong on the disk is counted and answered with L{None}.  After a failed
write the store waits, a second at first, before it tries the next.  When the disk
is full before the quota is reached, the store makes do with what it had got,
less a twentieth, and tries for more after ten minutes.

Beyond 400 lines, because it is one state: what is being opened, written and
deleted in threads must agree at every moment with the books.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.cache import pagefile
from alluxio_tw.cache.eviction import S3FIFO, Eviction
from alluxio_tw.cache.openfiles import FilePage, OpenFile, OpenFiles
from alluxio_tw.cache.pagefolder import PageFolder
from alluxio_tw.cache.stats import CacheStats
from alluxio_tw.deferreds import deferred
from alluxio_tw.ipages import IPage, IPageStore, PageKey, TierUsage
from alluxio_tw.singleflight import SingleFlight
from alluxio_tw.threads import IThreads

T = TypeVar("T")

_log = Logger()

# Entries taken into the index in one turn of the reactor: about a millisecond.
_SLICE = 500
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_RETRY_WHOLE_QUOTA = 600.0


@implementer(IPageStore)
class DiskStore:
    """
    Keeps pages in files.
    """

    def __init__(
        self,
        directory: str,
        quota: int,
        page_size: int,
        threads: IThreads,
        clock: IReactorTime,
        evictor: Callable[[int, Callable[[PageKey], bool]], Eviction[PageKey]] = S3FIFO,
        stats: CacheStats | None = None,
        overhead: float = 0.1,
        write_queue: int = 8 << 20,
        open_files: int = 1024,
        name: str | None = None,
    ) -> None:
        """
        :param directory: made if it is not there.
        :param quota: in bytes; what the directory may take up.
        :param page_size: in bytes; pages of another size are not looked at.
        :param evictor: makes the eviction policy, of the capacity and a
            predicate that says which pages are held.
        :param overhead: what to keep free for the file system's own needs, as
            a share of the bytes stored; C{alluxio.worker.page.store.overhead}.
        :param write_queue: in bytes; a page for which there is no room in the
            queue is not kept.
        :param open_files: how many may stay open while nobody reads them.
        """
        self._name = name or directory
        self._folder = PageFolder(directory, page_size)
        self._capacity = int(quota / (1 + overhead))
        self._threads = threads
        self._clock = clock
        self._stats = CacheStats() if stats is None else stats
        self._policy = evictor(self._capacity, self._held)
        self._files = OpenFiles(max(1, open_files))
        # Bytes of each page; negative until its checksum was compared.
        self._index: dict[PageKey, int] = {}
        self._opening: SingleFlight[PageKey, OpenFile | None] = SingleFlight()
        self._write_queue = write_queue
        self._writing: dict[PageKey, int] = {}
        self._queued = 0
        # Struck off, and perhaps not yet deleted: must not be written meanwhile.
        self._doomed: set[PageKey] = set()
        self._unwanted: set[PageKey] = set()
        self._tasks: set[Deferred[None]] = set()
        self._lock: int | None = None
        self._claiming = False
        self._indexed = False
        self._closed = False
        self._pause = 0.0
        self._paused_until = 0.0
        self._reduced_until: float | None = None
        self._hits = self._misses = self._evictions = self._evicted_bytes = 0
        self._failures = 0

    def __repr__(self) -> str:
        state = (
            "closed"
            if self._closed
            else "not owned"
            if self._lock is None
            else "warm"
            if self._indexed
            else "scanning"
        )
        return f"<DiskStore {self._name}: {state}, {self._policy!r}>"

    # --- from start to close

    @deferred
    async def start(self) -> None:
        """
        Take possession of the directory and read in what it holds.

        Fires when that is done; the store is of use before.  Never fails.
        """
        if self._claiming or self._lock is not None or self._over():
            return
        self._claiming = True
        try:
            lock = await self._threads.run(self._folder.claim)
        except OSError:
            self._failed()
            return
        finally:
            self._claiming = False
        if self._over():
            os.close(lock)
            return
        self._lock = lock
        self._pause = 0.0
        for number in range(pagefile.BUCKETS):
            try:
                found = await self._threads.run(self._folder.pages, number)
            except OSError:
                self._failures += 1
                continue
            for first in range(0, len(found), _SLICE):
                if first:
                    # Let the reactor do something else in between.
                    await self._threads.run(_nothing)
                if self._over():
                    return
                self._restore(found[first : first + _SLICE])
        self._indexed = True
        self._background(self._threads.run(self._folder.sweep))

    def _over(self) -> bool:
        # A method: what is true before an await need not be after it.
        return self._closed

    def close(self) -> Deferred[None]:
        self._closed = True
        self._files.close()
        done = gatherResults(list(self._tasks))
        return done.addCallback(self._unlock)

    def _unlock(self, ignored: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _restore(self, found: list[tuple[float, PageKey, int]]) -> None:
        gone: list[PageKey] = []
        for _, key, length in found:
            if key in self._index or key in self._writing or key in self._doomed:
                continue
            if length <= 0:
                gone.append(key)
                continue
            victims = self._policy.restore(key, pagefile.charge(length))
            self._index[key] = -length
            gone += self._strike_off(victims)
        if gone:
            self._doomed.update(gone)
            self._background(self._threads.run(self._folder.delete, gone), gone)

    # --- what is asked of it

    def announce(self, key: PageKey, length: int) -> None:
        """A page of so many bytes will come, and is worth keeping."""
        self._policy.expect(key, pagefile.charge(length))

    def holds(self, key: PageKey) -> bool:
        """Whether the page is known to be here; does not count as asking for it."""
        return key in self._index

    def glance(self, key: PageKey) -> IPage | None:
        file = self._files.find(key)
        if file is None or not self._files.is_warm(file, self._clock.seconds()):
            return None
        self._hits += 1
        self._policy.touch(key)
        return FilePage(self._files, file)

    def file_at_once(
        self, key: PageKey, offset: int, length: int, longer_than: int = 0
    ) -> bytes | None:
        """
        Bytes of a page, without a lease: a short cut for small reads.

        A miss is not counted: whoever comes this way asks again by another.

        :param offset: in bytes, from the page's first.
        :param longer_than: nothing of pages no longer than this; they rise to a
            nearer level when they are asked for as pages.
        """
        file = self._files.find(key)
        if (
            file is None
            or file.length <= longer_than
            or offset + length > file.length
            or not self._files.is_warm(file, self._clock.seconds())
        ):
            return None
        try:
            data = os.pread(file.fd, length, offset)
        except OSError:
            return None
        self._hits += 1
        self._policy.touch(key)
        self._files.refresh(file)
        return data

    def get(self, key: PageKey) -> Deferred[IPage | None]:
        page = self.glance(key)
        if page is not None:
            return succeed(page)
        known = key in self._index
        if (
            self._closed
            or (self._indexed and not known)
            or key in self._doomed
            or key in self._writing
        ):
            self._misses += 1
            return succeed(None)
        file = self._files.find(key)
        if file is not None:
            # Open, and gone from memory.  The lease keeps the descriptor ours.
            lease = FilePage(self._files, file)
            reading = self._threads.run(pagefile.warm, file.fd, file.length)
            return self._hand_over(reading.addBoth(self._warmed, key, file, lease))
        opening = self._opening.do(key, lambda: self._open(key))
        return self._hand_over(opening.addCallback(self._opened, key))

    def _warmed(
        self, result: Failure | None, key: PageKey, file: OpenFile, lease: FilePage
    ) -> IPage | None:
        if isinstance(result, Failure):
            lease.release()
            self._failures += 1
            self._misses += 1
            self._lose(key)
            return None
        file.warm_until = self._clock.seconds() + 1.0
        self._hits += 1
        self._policy.touch(key)
        return lease

    def _open(self, key: PageKey) -> Deferred[OpenFile | None]:
        verify = self._index.get(key, -1) < 0
        opening = self._threads.run(self._folder.open, key, verify)
        # What came of it is entered whether or not anyone still waits.
        entered = opening.addCallbacks(
            self._found, self._lost, callbackArgs=(key,), errbackArgs=(key,)
        )
        return _apart(entered)

    def _found(self, found: tuple[int, int], key: PageKey) -> OpenFile | None:
        fd, length = found
        open_already = self._files.find(key)
        if (
            self._closed
            or open_already is not None
            or key in self._doomed
            or key in self._writing
        ):
            os.close(fd)
            return open_already
        if key not in self._index:
            gone = self._strike_off(self._policy.restore(key, pagefile.charge(length)))
            self._doom(gone)
            if key in gone:
                os.close(fd)
                return None
        self._index[key] = length
        return self._files.add(key, fd, length, self._clock.seconds())

    def _lost(self, failure: Failure, key: PageKey) -> None:
        if failure.check(pagefile.Corrupt):
            self._stats.verify_failures += 1
            self._failures += 1
            self._lose(key)
            self._doom([key])
        elif failure.check(FileNotFoundError):
            self._lose(key)
        else:
            # Perhaps only too many open files: the page may be good still.
            failure.trap(OSError)
            self._failures += 1

    def _opened(self, file: OpenFile | None, key: PageKey) -> IPage | None:
        if file is None:
            self._misses += 1
            return None
        self._hits += 1
        self._policy.touch(key)
        return FilePage(self._files, file)

    def put(self, key: PageKey, data: bytes) -> Deferred[IPage | None]:
        page = self.glance(key)
        if page is not None:
            return succeed(page)
        if (
            not data
            or key in self._index
            or key in self._writing
            or key in self._doomed
            or not self._may_write()
            # A page that is longer than the queue goes alone.
            or (self._queued and self._queued + len(data) > self._write_queue)
        ):
            return succeed(None)
        victims = self._policy.admit(key, pagefile.charge(len(data)))
        entered = key not in victims
        gone = self._strike_off([victim for victim in victims if victim != key])
        if not entered:
            self._doom(gone)
            return succeed(None)
        self._doomed.update(gone)
        self._writing[key] = len(data)
        self._queued += len(data)
        work = self._threads.run(self._folder.write, key, data, gone)
        kept = work.addCallbacks(
            self._written,
            self._unwritten,
            callbackArgs=(key, gone),
            errbackArgs=(key, gone),
        )
        self._background(kept)
        return self._hand_over(kept)

    def _written(self, fd: int, key: PageKey, gone: list[PageKey]) -> IPage | None:
        self._doomed.difference_update(gone)
        length = self._writing.pop(key)
        self._queued -= length
        self._pause = 0.0
        if key in self._unwanted:
            self._unwanted.discard(key)
            os.close(fd)
            self._policy.remove(key)
            self._doom([key])
            return None
        if self._closed:
            os.close(fd)
            return None
        self._index[key] = length
        return FilePage(
            self._files, self._files.add(key, fd, length, self._clock.seconds())
        )

    def _unwritten(self, failure: Failure, key: PageKey, gone: list[PageKey]) -> None:
        failure.trap(OSError)
        self._doomed.difference_update(gone)
        self._queued -= self._writing.pop(key)
        self._unwanted.discard(key)
        self._policy.remove(key)
        self._failed()
        if getattr(failure.value, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            self._make_do()

    def forget(self, key: PageKey) -> Deferred[None]:
        if key in self._writing:
            self._unwanted.add(key)
            return succeed(None)
        if self._lock is None:
            self._files.drop(key)
            return succeed(None)
        self._lose(key)
        self._doomed.add(key)
        work = self._threads.run(self._folder.delete, [key])
        return _apart(self._background(work, [key]))

    def usage(self) -> list[TierUsage]:
        return [
            TierUsage(
                name=self._name,
                capacity=self._capacity,
                used=self._policy.used,
                pages=len(self._index),
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                evicted_bytes=self._evicted_bytes,
                failures=self._failures,
            )
        ]

    # --- the books

    def _held(self, key: PageKey) -> bool:
        return key in self._writing or self._files.in_use(key)

    def _strike_off(self, victims: list[PageKey]) -> list[PageKey]:
        for key in victims:
            self._evictions += 1
            self._evicted_bytes += abs(self._index.pop(key, 0))
            self._files.drop(key)
        return victims

    def _lose(self, key: PageKey) -> None:
        """Take a page out of the books; its file is another matter."""
        self._index.pop(key, None)
        self._policy.remove(key)
        self._files.drop(key)

    def _doom(self, keys: list[PageKey]) -> None:
        if keys and self._lock is not None:
            self._doomed.update(keys)
            self._background(self._threads.run(self._folder.delete, keys), keys)

    # --- trouble

    def _may_write(self) -> bool:
        now = self._clock.seconds()
        if self._closed or now < self._paused_until:
            return False
        if self._lock is None:
            # Nothing to be had now; perhaps the next page finds it ours.
            self._background(self.start())
            return False
        if self._reduced_until is not None and now >= self._reduced_until:
            self._reduced_until = None
            self._policy.capacity = self._capacity
        return True

    def _failed(self) -> None:
        self._failures += 1
        now = self._clock.seconds()
        if now >= self._paused_until:
            self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
            self._paused_until = now + self._pause

    def _make_do(self) -> None:
        self._reduced_until = self._clock.seconds() + _RETRY_WHOLE_QUOTA
        self._policy.capacity = min(self._policy.capacity, self._policy.used * 19 // 20)
        self._doom(self._strike_off(self._policy.shrink()))

    # --- waiting

    def _background(
        self, work: Deferred[T], doomed: list[PageKey] | None = None
    ) -> Deferred[None]:
        """Let work go on by itself, and C{close} wait for it."""
        done: Deferred[None] = Deferred()
        self._tasks.add(done)

        def finish(result: T | Failure) -> T | Failure | None:
            if doomed:
                self._doomed.difference_update(doomed)
            self._tasks.discard(done)
            done.callback(None)
            if isinstance(result, Failure):
                self._unforeseen(result)
                return None
            return result

        work.addBoth(finish)
        return done

    def _hand_over(self, work: Deferred[IPage | None]) -> Deferred[IPage | None]:
        """
        The page, to whoever waits; back to the store if nobody does any more.
        """
        waiter: Deferred[IPage | None] = Deferred()

        def give(page: IPage | None) -> None:
            if not waiter.called:
                waiter.callback(page)
            elif page is not None:
                page.release()

        work.addErrback(self._unforeseen)
        work.addCallback(give)
        return waiter

    def _unforeseen(self, failure: Failure) -> None:
        # Not the disk's doing, or it would have been caught.  Still a miss.
        self._failures += 1
        _log.failure("Page store {name}", failure, name=self._name)


def _apart(work: Deferred[T]) -> Deferred[T]:
    """
    Waits for work without owning it: cancelled, it leaves the work alone.
    """
    waiter: Deferred[T] = Deferred()

    def give(result: T | Failure) -> None:
        if not waiter.called:
            waiter.callback(result)

    work.addBoth(give)
    return waiter


def _nothing() -> None:
    """A turn of the reactor."""
