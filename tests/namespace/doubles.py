"""
A storage that has folders and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from alluxio_tw.errors import NoSuchPath, PathConflict
from alluxio_tw.iobjects import Bucket
from alluxio_tw.iufs import Capabilities, IUnderFileSystem
from alluxio_tw.namespace.mount import Mount

FOLDERS = Capabilities(near=True, folders=True)


@attrs.define(eq=False)
class FolderStorage:
    """
    Folders by name.

    :ivar full: folders that have objects in them.
    :ivar asked: how often its folders were asked for.
    :ivar held: when not L{None}, answers wait here until the test lets them go.
    """

    names: set[str] = attrs.field(factory=set)
    capabilities: Capabilities = FOLDERS
    full: set[str] = attrs.field(factory=set)
    asked: int = 0
    held: list[Deferred[Sequence[Bucket]]] | None = None

    def folders(self) -> Deferred[Sequence[Bucket]]:
        self.asked += 1
        if self.held is not None:
            self.held.append(Deferred())
            return self.held[-1]
        return succeed(self.listed())

    def listed(self) -> list[Bucket]:
        return [Bucket(name, 7) for name in sorted(self.names)]

    def make_folder(self, name: str) -> Deferred[None]:
        if name in self.names:
            return fail(PathConflict())
        self.names.add(name)
        return succeed(None)

    def remove_folder(self, name: str) -> Deferred[None]:
        if name not in self.names:
            return fail(NoSuchPath())
        if name in self.full:
            return fail(PathConflict())
        self.names.discard(name)
        return succeed(None)


def mounted(
    path: str, storage: FolderStorage | None = None, created: int = 0, **own: str
) -> Mount:
    """A mount of a storage that has folders."""
    ufs = cast(IUnderFileSystem, storage or FolderStorage())
    return Mount.of(path, f"test:{path}", own, own, ufs, created)
