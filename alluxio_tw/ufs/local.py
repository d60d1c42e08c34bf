"""
The driver of C{file:///path}: a directory tree as it is, served as keys.

Folders are prefixes; what other programs change is seen with the next request,
because every answer is of what C{stat} says now.  The modules beside this one
hold the parts: keys as paths (L{local_keys}), the tree (L{local_tree}), open files
(L{local_handles}), what writers said (L{local_attributes}), writing
(L{local_placing}), listing (L{local_listing}), folders that are objects
(L{local_folders}) or buckets (L{local_buckets}), and keys that are a file and a
folder at once (L{local_places}).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
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
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.local_attributes import AttributeStore
from alluxio_tw.ufs.local_bodies import CheckedBody
from alluxio_tw.ufs.local_buckets import BucketFolders
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.local_folders import FolderObjects, FolderPlacing
from alluxio_tw.ufs.local_handles import FolderReading, OpenFile, OpenFiles
from alluxio_tw.ufs.local_keys import FILE, for_reading, for_writing
from alluxio_tw.ufs.local_listing import Lister
from alluxio_tw.ufs.local_names import Names
from alluxio_tw.ufs.local_options import LocalOptions
from alluxio_tw.ufs.local_places import Places
from alluxio_tw.ufs.local_placing import FilePlacing, Ground
from alluxio_tw.ufs.local_records import FOLDERS, Record, file_status
from alluxio_tw.ufs.local_scratch import Scratch
from alluxio_tw.ufs.local_tree import Tree, sync_folder
from alluxio_tw.ufs.local_versions import READ, Versions
from alluxio_tw.ufs.turns import Turns
from alluxio_tw.ufs.uris import Options, locate, shown

P = ParamSpec("P")
T = TypeVar("T")


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{file:///path}.

    Options: C{sync} (true: what is acknowledged survives a power cut),
    C{buckets} (false: the folders right beneath the root are buckets, and never
    pruned), C{attributes} (C{auto}, or C{sidecar} for never as extended
    attributes), C{glance} (true; false where a C{stat} of a known file may take
    long, as on a network file system), C{open_files} (512 kept open), C{names}
    (C{tree}: those that other programs find under the same name; C{any}: all that
    can be kept in a tree somehow).

    :raises WrongConfiguration: the URI or an option is wrong.
    :raises StorageUnavailable: there is no such directory.
    """
    location = locate(uri)
    if location.host not in ("", "localhost"):
        raise WrongConfiguration(
            f"{shown(uri)} names a host: write file:///path, with three slashes"
        )
    asked = LocalOptions.of(
        Options.gathered("a local mount", location.query, options), around.buckets
    )
    path = location.path
    if not path.startswith("/") or "\0" in path:
        raise WrongConfiguration(f"{shown(uri)} has no path: write file:///path")
    try:
        # Not what it leads to: who switches a link means us to follow.
        root = os.fsencode(path.rstrip("/") or "/")
        tree = Tree(root, keep=1 if asked.buckets else 0)
    except OSError as error:
        # It may come back: a disk that is not mounted yet, a folder that was moved.
        raise StorageUnavailable(
            f"{path!r} cannot be mounted: {error.strerror}; it must be a directory"
            " that this program may read"
        ) from error
    return LocalUFS(tree, around, asked)


@implementer(IUnderFileSystem)
class LocalUFS:
    """
    A directory tree.
    """

    capabilities = Capabilities(
        near=True,
        attributes=True,
        conditional=True,
        copies=True,
        joins=True,
        folders=True,
    )

    def __init__(self, tree: Tree, around: Surroundings, asked: LocalOptions) -> None:
        sync = asked.sync
        seconds = around.reactor.seconds
        self._tree = tree
        self._seconds = seconds
        self._threads = around.threads
        self._glances = asked.glance
        self._any_key = asked.any_key
        self.capabilities = attrs.evolve(
            self.capabilities, key_limits=not asked.any_key
        )
        self._sync = sync
        self._scratch = Scratch(tree)
        self._attributes = AttributeStore(tree, self._scratch, asked.sidecar)
        tree.marked = self._attributes.is_marked
        tree.renewed = self._scratch.forget
        self._versions = Versions(tree, self._attributes)
        self._folder_objects = FolderObjects(tree, self._attributes, sync)
        self._files = OpenFiles(seconds, asked.open_files)
        self._names = Names(self._scratch.nameless, seconds)
        self._places = Places(
            tree, self._scratch, self._attributes, sync, asked.any_key
        )
        self._lister = Lister(
            tree, self._names, self._attributes, self._places, 1 + tree.keep
        )
        self._buckets = BucketFolders(tree, self._lister, sync)
        self._turns = Turns(around.threads)
        self._ground = Ground(
            tree,
            self._places,
            self._scratch,
            self._attributes,
            self._turns,
            sync,
            self._versions.current,
            self._files.drop,
        )

    def __repr__(self) -> str:
        return f"<LocalUFS {os.fsdecode(self._tree.root)!r}, {len(self._files)} open>"

    # Reading

    def glance(self, path: str) -> IReading | None:
        return self._files.glance(path) if self._glances else None

    @deferred
    async def status(self, path: str) -> Status:
        return (await self._opened(path)).status

    @deferred
    async def open(self, path: str) -> IReading:
        return await self._opened(path)

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        reading = await self._opened(path)
        if reading.status.version != status.version:
            raise ObjectChanged()
        if isinstance(reading, OpenFile):
            return CheckedBody(reading, span, self._threads)
        return reading.body(span)

    async def _opened(self, path: str) -> OpenFile | FolderReading:
        raw = for_reading(path)
        file = await self._run(self._open_or_reuse, path, raw)
        if isinstance(file, OpenFile):
            self._files.keep(path, file)
        return file

    def _open_or_reuse(self, path: str, raw: bytes) -> OpenFile | FolderReading:
        kept = self._files.get(path)
        if kept is not None and kept.is_current():
            return kept
        if path.endswith("/"):
            return self._versions.open_folder(raw)
        return self._versions.open_file(raw)

    # Writing

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        raw = for_writing(path, self._any_key)
        if not path.endswith("/"):
            return FilePlacing(self._ground, path, raw)
        return FolderPlacing(self._ground, path, raw, self._now)

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        made = await self._turn(path, self._describe, path, status, attributes)
        # The change time tells it too, but only from one tick to the next.
        self._files.drop(path)
        return made

    def _describe(self, path: str, status: Status, attributes: Attributes) -> Status:
        if status.version.startswith(FOLDERS) and path.endswith("/"):
            raw = for_reading(path)
            return self._folder_objects.describe(raw, status, attributes)
        raw = self._places.place(path)
        with self._tree.opened(raw, READ) as fd:
            st = os.fstat(fd)
            if not stat.S_ISREG(st.st_mode):
                raise NoSuchPath()
            old = self._attributes.read(fd, raw, st)
            if file_status(st, old).version != status.version:
                raise ObjectChanged()
            record = Record(old.etag, attributes)
            self._attributes.write(fd, raw, st, record, self._sync)
            if self._sync:
                os.fsync(fd)
            return file_status(st, record)

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
        placing = await self.place(target, status.size)
        try:
            body = await self.read(source, status, Span(0, status.size))
            try:
                await self._append(placing, body)
            finally:
                body.close()
            return await placing.commit(etag, attributes, demand)
        except BaseException:
            placing.abort()
            raise

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        # Copied, not renamed: should we die half-way, the parts are all there
        # and the upload can be completed again.  Where files can share blocks
        # (XFS, Btrfs) copying is free.
        placing = await self.place(target, None)
        try:
            for source in sources:
                part = await self._run(self._versions.open_file, for_reading(source))
                body = part.body(Span(0, part.status.size))
                del part
                try:
                    await self._append(placing, body)
                finally:
                    body.close()
            made = await placing.commit(etag, attributes, demand)
        except BaseException:
            placing.abort()
            raise
        await self._run(self._remove_parts, [s for s in sources if s != target])
        return made

    async def _append(self, placing: IPlacing, body: IBody) -> None:
        while (piece := await body.read()) is not None:
            await placing.write(piece)

    def _remove_parts(self, sources: Sequence[str]) -> None:
        # The object is made: what of its parts cannot be removed is litter.
        for source in sources:
            with suppress(OSError):
                self._unlink(for_reading(source), False)

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self._turn(path, self._delete, path, demand)

    def _delete(self, path: str, demand: Demand) -> bool:
        try:
            current = self._versions.current(path)
        except NoSuchPath:
            current = None
        demanded(demand, None if current is None else current.etag)
        if current is None:
            return False
        raw = self._places.place(path)
        if path.endswith("/"):
            self._folder_objects.unmark(for_reading(path))
        else:
            self._unlink(raw, self._sync)
            self._places.touch(raw)
        self._attributes.forget(raw, current.size, current.modified)
        self._files.drop(path)
        return True

    def _unlink(self, raw: bytes, sync: bool) -> None:
        with suppress(FileNotFoundError), self._tree.parent(raw) as (folder, name):
            try:
                os.unlink(name, dir_fd=folder)
            except IsADirectoryError:  # it became one a moment ago
                os.unlink(name + b"/" + FILE, dir_fd=folder)
            if sync:
                sync_folder(folder)
        self._tree.prune(raw)

    # Listing and folders

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self._run(self._lister.page, query)

    def folders(self) -> Deferred[Sequence[Bucket]]:
        return self._run(self._buckets.all)

    def make_folder(self, name: str) -> Deferred[None]:
        return self._turn(name, self._buckets.make, name)

    def remove_folder(self, name: str) -> Deferred[None]:
        return self._turn(name, self._buckets.remove, name)

    # The whole

    def check(self) -> Deferred[None]:
        return self._run(self._check)

    def _check(self) -> None:
        with (
            self._tree.opened(b"", os.O_RDONLY | os.O_DIRECTORY) as fd,
            os.scandir(fd) as entries,
        ):
            next(entries, None)

    def sweep(self, older: float) -> Deferred[int]:
        return self._run(self._sweep, self._seconds() - older)

    def _sweep(self, before: float) -> int:
        return self._scratch.sweep(before) + self._attributes.sweep(before)

    @deferred
    async def close(self) -> None:
        # To be called when nothing is at work any more: descriptors' numbers
        # come again.
        self._glances = False
        self._files.clear()
        self._names.clear()
        self._scratch.close()
        self._tree.close()

    def _now(self) -> int:
        return int(self._seconds() * 1_000_000_000)

    def _run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return self._threads.run(translated(work), *args, **kwargs)

    def _turn(
        self, path: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        return self._turns.run(path, translated(work), *args, **kwargs)
