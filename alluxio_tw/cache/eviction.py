"""
Who has to go: eviction policies that name victims and touch nothing.

A policy keeps the books of one store: which keys it holds, how many bytes each,
and in which order they would be given up.  The store asks, then acts.

The default is S3-FIFO (Yang et al., SOSP 2023): what is new enters a small
queue, a tenth of the capacity; only what is asked for again before it reaches
the end of that queue moves to the main one, where it gets a second chance for
every hit.  A ghost queue remembers the names of what was turned away, and lets
it straight into the main queue when it comes back.  So a scan, whose pages are
asked for once, passes through the small queue and leaves the rest alone.  A hit
moves nothing: it only counts.

One thing is added.  A reader that takes a page in many small ranges hits it many
times in a moment, and that says nothing about whether anyone will want it
later.  So hits on a page in the small queue count only once C{grace} of that
queue's length was admitted after it.  C{bench/hit_ratio.py} shows what it is
worth, and what it costs (next to nothing).

Not chosen: LRU, which one scan empties; SIEVE, which is simpler still but lets a
scan through once its hand has passed; W-TinyLFU and ARC, which gain a little
here and lose their simplicity.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from alluxio_tw.errors import WrongConfiguration

K = TypeVar("K", bound=Hashable)


def nothing_held(key: Hashable) -> bool:
    """Every key may be evicted."""
    return False


class Eviction(Generic[K]):
    """
    The books of a store: what it holds, in bytes, and who goes first.

    :ivar capacity: bytes; may be changed, and holds from the next L{admit} or
        L{shrink}.
    :ivar used: bytes held.
    """

    # A policy passes over this many keys that are held before it gives up: a
    # bound on the work of one admission, not a property of the cache.
    PATIENCE = 256

    def __init__(self, capacity: int, held: Callable[[K], bool] = nothing_held) -> None:
        """
        :param capacity: in bytes.
        :param held: says of a key that it must not be a victim just now.
        """
        self.capacity = capacity
        self.used = 0
        self._held = held

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self)} keys, {self.used} of {self.capacity}>"
        )

    def admit(self, key: K, size: int) -> list[K]:
        """
        Make room for a key and enter it; one that is there already stays.

        :return: the victims, now struck off.  C{key} itself is among them if
            there is no room to be made: it was then not entered.
        """
        if key in self:
            return []
        victims = self._make_room(size)
        if self.used + size > self.capacity:
            victims.append(key)
        else:
            self._enter(key, size)
            self.used += size
        return victims

    def restore(self, key: K, size: int) -> list[K]:
        """
        As L{admit}, for what an earlier life of the store already thought worth
        keeping.
        """
        return self.admit(key, size)

    def expect(self, key: K, size: int) -> None:
        """The key will come, and somebody says that it is worth keeping."""

    def shrink(self) -> list[K]:
        """The victims that bring the store down to its capacity."""
        return self._make_room(0)

    def _make_room(self, size: int) -> list[K]:
        victims: list[K] = []
        if size > self.capacity:
            return victims
        while self.used + size > self.capacity:
            victim = self._evict()
            if victim is None:
                break
            victims.append(victim)
        return victims

    def touch(self, key: K) -> None:
        """The key was asked for; of no consequence if it is unknown."""
        raise NotImplementedError

    def remove(self, key: K) -> None:
        """The key is gone for another reason; no matter if it is unknown."""
        raise NotImplementedError

    def __contains__(self, key: object) -> bool:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def _enter(self, key: K, size: int) -> None:
        raise NotImplementedError

    def _evict(self) -> K | None:
        """Strike off one key, C{used} included, if one can be found."""
        raise NotImplementedError


class LRU(Eviction[K]):
    """
    Least recently used.
    """

    def __init__(self, capacity: int, held: Callable[[K], bool] = nothing_held) -> None:
        super().__init__(capacity, held)
        self._order: OrderedDict[K, int] = OrderedDict()

    def touch(self, key: K) -> None:
        if key in self._order:
            self._order.move_to_end(key)

    def remove(self, key: K) -> None:
        self.used -= self._order.pop(key, 0)

    def __contains__(self, key: object) -> bool:
        return key in self._order

    def __len__(self) -> int:
        return len(self._order)

    def _enter(self, key: K, size: int) -> None:
        self._order[key] = size

    def _evict(self) -> K | None:
        for _ in range(min(len(self._order), self.PATIENCE)):
            key = next(iter(self._order))
            if self._held(key):
                self._order.move_to_end(key)
                continue
            self.used -= self._order.pop(key)
            return key
        return None


class FIFO(LRU[K]):
    """
    First in, first out: hits do not count.
    """

    def touch(self, key: K) -> None:
        pass


class LFU(Eviction[K]):
    """
    Least frequently used, as Alluxio counts it: in buckets by the logarithm of
    the number of hits, least recently used first within a bucket.

    :param log_base: C{alluxio.worker.page.store.evictor.lfu.logbase}, above 1.
    """

    # A count above this says nothing more, and bounds the number of buckets.
    MOST = 1 << 32

    def __init__(
        self,
        capacity: int,
        held: Callable[[K], bool] = nothing_held,
        log_base: float = 2.0,
    ) -> None:
        super().__init__(capacity, held)
        if log_base <= 1.0:
            raise WrongConfiguration("The base of the LFU logarithm must be above 1.")
        self._base = log_base
        # [size, hits, bucket, hits at which the next bucket begins]
        self._entries: dict[K, list[int]] = {}
        self._buckets: dict[int, OrderedDict[K, None]] = {}

    def touch(self, key: K) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        bucket = entry[2]
        entry[1] += 1
        if entry[1] >= entry[3] and entry[1] < self.MOST:
            keys = self._buckets[bucket]
            del keys[key]
            if not keys:
                del self._buckets[bucket]
            self._place(key, entry)
        else:
            self._buckets[bucket].move_to_end(key)

    def remove(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used -= entry[0]
            keys = self._buckets[entry[2]]
            del keys[key]
            if not keys:
                del self._buckets[entry[2]]

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _enter(self, key: K, size: int) -> None:
        entry = self._entries[key] = [size, 1, 0, 1]
        self._place(key, entry)

    def _place(self, key: K, entry: list[int]) -> None:
        while entry[1] >= entry[3]:
            entry[2] += 1
            entry[3] = max(entry[3] + 1, int(self._base ** entry[2]))
        self._buckets.setdefault(entry[2], OrderedDict())[key] = None

    def _evict(self) -> K | None:
        tries = self.PATIENCE
        for bucket in sorted(self._buckets):
            for key in self._buckets[bucket]:
                if not self._held(key):
                    self.remove(key)
                    return key
                tries -= 1
                if not tries:
                    return None
        return None


class S3FIFO(Eviction[K]):
    """
    Small, main and ghost queue; see the module.

    :param small: the small queue's share of the capacity.
    :param grace: for what share of the small queue's length hits on a new key
        do not count.
    """

    def __init__(
        self,
        capacity: int,
        held: Callable[[K], bool] = nothing_held,
        small: float = 0.1,
        grace: float = 0.25,
    ) -> None:
        super().__init__(capacity, held)
        self._share = small
        self._grace = grace
        # size, hits, and the bytes that had been admitted before it
        self._small: OrderedDict[K, list[int]] = OrderedDict()
        self._small_used = 0
        # size << 2 | hits: half the memory of a pair, and these are the many
        self._main: OrderedDict[K, int] = OrderedDict()
        # names only by their hash: a wrong guess costs one page's place
        self._ghost: OrderedDict[int, int] = OrderedDict()
        self._ghost_used = 0
        self._admitted = 0

    def touch(self, key: K) -> None:
        mark = self._main.get(key)
        if mark is not None:
            if mark & 3 != 3:
                self._main[key] = mark + 1
            return
        young = self._small.get(key)
        if (
            young is not None
            and self._admitted - young[2] > self._share * self._grace * self.capacity
        ):
            young[1] += 1

    def remove(self, key: K) -> None:
        mark = self._main.pop(key, None)
        if mark is not None:
            self.used -= mark >> 2
            return
        young = self._small.pop(key, None)
        if young is not None:
            self.used -= young[0]
            self._small_used -= young[0]

    def restore(self, key: K, size: int) -> list[K]:
        self._remember(key, size)
        return self.admit(key, size)

    def expect(self, key: K, size: int) -> None:
        # As one that was turned away and comes back.
        self._remember(key, size)

    def __contains__(self, key: object) -> bool:
        return key in self._main or key in self._small

    def __len__(self) -> int:
        return len(self._main) + len(self._small)

    def _enter(self, key: K, size: int) -> None:
        known = self._ghost.pop(hash(key), None)
        if known is not None:
            self._ghost_used -= known
            self._main[key] = size << 2
        else:
            self._small[key] = [size, 0, self._admitted]
            self._small_used += size
            self._admitted += size

    def _evict(self) -> K | None:
        # Each turn of the loop evicts, spends a hit, moves a key to the main
        # queue or uses up patience: it ends.
        patience = self.PATIENCE
        while patience and (self._small or self._main):
            if self._small and (
                self._small_used > self._share * self.capacity or not self._main
            ):
                key, young = self._small.popitem(last=False)
                self._small_used -= young[0]
                if young[1] or self._held(key):
                    self._main[key] = young[0] << 2
                    continue
                self.used -= young[0]
                self._remember(key, young[0])
                return key
            key, mark = self._main.popitem(last=False)
            if self._held(key):
                self._main[key] = mark
                patience -= 1
            elif mark & 3:
                self._main[key] = mark - 1
            else:
                self.used -= mark >> 2
                return key
        return None

    def _remember(self, key: K, size: int) -> None:
        name = hash(key)
        self._ghost_used += size - self._ghost.pop(name, 0)
        self._ghost[name] = size
        while self._ghost_used > self.capacity * (1 - self._share):
            self._ghost_used -= self._ghost.popitem(last=False)[1]


_BY_NAME: dict[str, type[Eviction[Hashable]]] = {
    "S3FIFO": S3FIFO,
    "LRU": LRU,
    "LFU": LFU,
    "FIFO": FIFO,
}


def make_eviction(
    name: str,
    capacity: int,
    held: Callable[[K], bool] = nothing_held,
    log_base: float = 2.0,
) -> Eviction[K]:
    """
    The policy that C{alluxio.worker.page.store.evictor.class} names.

    :param name: C{S3FIFO}, C{LRU}, C{LFU} or C{FIFO}, or the Java class of
        Alluxio's that does the same, such as
        C{alluxio.client.file.cache.evictor.LRUCacheEvictor}.
    :param capacity: in bytes.
    :param log_base: for LFU only.
    :raises WrongConfiguration: there is no such policy.
    """
    short = name.rpartition(".")[2].removesuffix("CacheEvictor")
    kind = _BY_NAME.get(short.upper().replace("-", ""))
    if kind is None:
        raise WrongConfiguration(
            f"There is no evictor {name!r}: say one of {', '.join(_BY_NAME)}."
        )
    if kind is LFU:
        return LFU(capacity, held, log_base)
    made: Eviction[K] = kind(capacity, held)  # type: ignore[arg-type, assignment]
    return made
