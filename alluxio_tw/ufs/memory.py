"""
The reference driver: objects in the memory of this process, gone with it.

What the contract means can be read here; the other drivers are held to it by the
same suite.  A folder is a name in a set, so it is also the storage of tests of
root mounts.

Beyond 400 lines: it is the whole contract, once, in plain sight.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence

import attrs
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    StorageFull,
    UnsuitableKey,
    WrongConfiguration,
)
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Bucket,
    Demand,
    Entry,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import (
    Capabilities,
    IPlacing,
    IUnderFileSystem,
    ListQuery,
    Surroundings,
)
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.bytesbody import BytesBody
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.uris import Options, locate, shown

HIDDEN = ".alluxio-tw"
_FEW = 64 << 10


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{memory:///}.

    Options: C{capacity}, how many bytes of objects it holds at most (1GB).

    :raises WrongConfiguration: the URI names a place, or an option is wrong.
    """
    location = locate(uri)
    if location.host or location.path not in ("", "/"):
        raise WrongConfiguration(
            f"{shown(uri)} names a place in memory: write memory:///"
        )
    given = Options.gathered("a memory mount", location.query, options)
    capacity = given.size("capacity", 1 << 30)
    given.finish()
    return MemoryUFS(around.reactor, around.threads, capacity)


@attrs.frozen
class _Object:
    data: bytes
    status: Status


@implementer(IReading)
@attrs.frozen(eq=False)
class _Reading:
    status: Status
    _data: bytes
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        if span.length > _FEW:
            return None
        return self._data[span.offset : span.end]

    def body(self, span: Span) -> IBody:
        return BytesBody(memoryview(self._data)[span.offset : span.end])

    def close(self) -> None:
        pass


@implementer(IUnderFileSystem)
@attrs.define(eq=False)
class MemoryUFS:
    """
    A dictionary and its keys in order.
    """

    _clock: IReactorTime
    _threads: IThreads
    _capacity: int = 1 << 30
    _objects: dict[str, _Object] = attrs.field(factory=dict, init=False, repr=False)
    _keys: list[str] = attrs.field(factory=list, init=False, repr=False)
    _folders: dict[str, int] = attrs.field(factory=dict, init=False)
    _held: int = attrs.field(default=0, init=False)
    _versions: int = attrs.field(default=0, init=False)
    _born: int = attrs.field(init=False)

    capabilities = Capabilities(
        near=True,
        attributes=True,
        conditional=True,
        copies=True,
        joins=True,
        folders=True,
    )

    def __attrs_post_init__(self) -> None:
        self._born = self._now()

    def glance(self, path: str) -> IReading | None:
        found = self._objects.get(path)
        return None if found is None else _Reading(found.status, found.data)

    @deferred
    async def status(self, path: str) -> Status:
        return self._find(path).status

    @deferred
    async def open(self, path: str) -> IReading:
        found = self._find(path)
        return _Reading(found.status, found.data)

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        found = self._same(path, status)
        return BytesBody(memoryview(found.data)[span.offset : span.end])

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        if not path or path.startswith("/"):
            raise UnsuitableKey()
        self._room(size or 0)
        return _Placing(self, path)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        found = self._same(path, status)
        described = attrs.evolve(found.status, attributes=attributes, memo={})
        self._objects[path] = _Object(found.data, described)
        return described

    @deferred
    async def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        return self.put(
            target, self._same(source, status).data, etag, attributes, demand
        )

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        data = b"".join([self._find(source).data for source in sources])
        made = self.put(target, data, etag, attributes, demand)
        for source in sources:
            if source != target:
                self._remove(source)
        return made

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        self._demand(path, demand)
        return self._remove(path)

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        prefix, after = query.prefix, query.after
        if self._passes_over(query):
            at = bisect_left(self._keys, _past(after))
        else:
            at = bisect_right(self._keys, after)
        at = max(at, bisect_left(self._keys, prefix))
        entries: list[Entry] = []
        prefixes: list[str] = []
        last: str | None = None
        while at < len(self._keys) and self._keys[at].startswith(prefix):
            key = self._keys[at]
            if key.startswith(HIDDEN) and not prefix.startswith(HIDDEN):
                at = bisect_left(self._keys, _past(HIDDEN))
                continue
            if len(entries) + len(prefixes) == query.limit:
                return Listing(entries, prefixes, last)
            slash = key.find("/", len(prefix)) if query.fold else -1
            if slash >= 0:
                last = key[: slash + 1]
                prefixes.append(last)
                at = bisect_left(self._keys, _past(last))
            else:
                entries.append(self._entry(key))
                last = key
                at += 1
        return Listing(entries, prefixes, None)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        return [
            Bucket(name, made)
            for name, made in sorted(self._folders.items())
            if not name.startswith(HIDDEN)
        ]

    @deferred
    async def make_folder(self, name: str) -> None:
        if name in ("", ".", "..") or "/" in name or name.startswith(HIDDEN):
            raise UnsuitableKey()
        if name in self._folders or name in self._objects or self._under(name):
            raise PathConflict()
        self._folders[name] = self._now()

    @deferred
    async def remove_folder(self, name: str) -> None:
        if name not in self._folders:
            raise NoSuchPath()
        own = f"{name}/{HIDDEN}"
        keys = self._under(name)
        if any(not key.startswith(own) for key in keys):
            raise PathConflict()
        for key in keys:
            self._remove(key)
        del self._folders[name]

    @deferred
    async def check(self) -> None:
        pass

    @deferred
    async def sweep(self, older: float) -> int:
        return 0

    @deferred
    async def close(self) -> None:
        self._objects.clear()
        self._keys.clear()
        self._held = 0

    def put(
        self,
        path: str,
        data: bytes,
        etag: str,
        attributes: Attributes = NO_ATTRIBUTES,
        demand: Demand = NO_DEMAND,
        modified: int | None = None,
    ) -> Status:
        """
        Place an object, here and now.

        :param etag: if empty, the MD5 of the bytes.
        """
        self._demand(path, demand)
        old = self._objects.get(path)
        self._room(len(data) - (len(old.data) if old is not None else 0))
        self._versions += 1
        status = Status(
            size=len(data),
            # A cache may outlive us: what we count from must never come again.
            version=f"{self._born:x}.{self._versions:x}",
            etag=etag or hashlib.md5(data, usedforsecurity=False).hexdigest(),
            modified=self._now() if modified is None else modified,
            attributes=attributes,
        )
        self._remove(path)
        self._objects[path] = _Object(data, status)
        insort(self._keys, path)
        self._held += len(data)
        return status

    def writing(self, more: int) -> None:
        """
        So many bytes are being gathered for an object.

        :raises StorageFull: it could not be placed.
        """
        self._room(more)

    async def bytes_of(self, piece: Piece) -> bytes | memoryview:
        """What a piece holds, to be kept."""
        if isinstance(piece, FileSpan):
            return await self._threads.run(translated(read_span), piece)
        return piece

    def _now(self) -> int:
        return int(self._clock.seconds() * 1e9)

    def _room(self, more: int) -> None:
        if self._held + more > self._capacity:
            raise StorageFull()

    def _find(self, path: str) -> _Object:
        found = self._objects.get(path)
        if found is None:
            raise NoSuchPath()
        return found

    def _same(self, path: str, status: Status) -> _Object:
        found = self._find(path)
        if found.status.version != status.version:
            raise ObjectChanged()
        return found

    def _demand(self, path: str, demand: Demand) -> None:
        found = self._objects.get(path)
        demanded(demand, None if found is None else found.status.etag)

    def _remove(self, path: str) -> bool:
        found = self._objects.pop(path, None)
        if found is None:
            return False
        del self._keys[bisect_left(self._keys, path)]
        self._held -= len(found.data)
        return True

    def _under(self, name: str) -> Sequence[str]:
        start = bisect_left(self._keys, name + "/")
        return self._keys[start : bisect_left(self._keys, _past(name + "/"))]

    def _entry(self, key: str) -> Entry:
        status = self._objects[key].status
        storage_class = status.attributes.headers.get("x-amz-storage-class", "")
        return Entry(key, status.size, status.etag, status.modified, storage_class)

    @staticmethod
    def _passes_over(query: ListQuery) -> bool:
        return (
            query.fold
            and query.after.endswith("/")
            and query.after.startswith(query.prefix)
            and len(query.after) > len(query.prefix)
        )


def _past(prefix: str) -> str:
    # The least text greater than all that begin so; our prefixes end in ASCII.
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


@implementer(IPlacing)
@attrs.define(eq=False)
class _Placing:
    _ufs: MemoryUFS
    _path: str
    _pieces: list[bytes | memoryview] | None = attrs.field(factory=list, init=False)
    _size: int = attrs.field(default=0, init=False)

    @deferred
    async def write(self, data: Piece) -> None:
        held = await self._ufs.bytes_of(data)
        self._ufs.writing(self._size + len(held))
        if self._pieces is not None:
            self._pieces.append(held)
            self._size += len(held)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        pieces, self._pieces = self._pieces, None
        data = b"".join(pieces or ())
        return self._ufs.put(self._path, data, etag, attributes, demand, modified)

    @deferred
    async def abort(self) -> None:
        self._pieces = None
