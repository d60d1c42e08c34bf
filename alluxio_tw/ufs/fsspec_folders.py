"""
Folders through fsspec: buckets of a root mount, and what writes left behind.
Everything here blocks.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from alluxio_tw.errors import NoSuchPath, PathConflict, UnsuitableKey
from alluxio_tw.ufs.fsspec_listing import HIDDEN
from alluxio_tw.ufs.fsspec_storage import SCRATCH, Storage
from alluxio_tw.ufs.fsspec_versions import modified_of


def made(storage: Storage, name: str) -> int:
    """
    When a folder was made, or changed, in nanoseconds.

    :raises NoSuchPath: there is none.
    """
    return modified_of(_folder(storage, name))


def make_folder(storage: Storage, name: str) -> None:
    """
    Make a folder right beneath the root.

    :raises UnsuitableKey: it cannot have this name.
    :raises PathConflict: something of that name is there.
    """
    if "/" in name or name.startswith(HIDDEN):
        raise UnsuitableKey()
    path = storage.path_of(name)
    with suppress(FileNotFoundError):
        storage.info(path)
        raise PathConflict()
    storage.fs.mkdir(path, create_parents=False)


def remove_folder(storage: Storage, name: str) -> None:
    """
    Remove a folder right beneath the root, if there is no object in it.

    :raises NoSuchPath: there is none.
    :raises PathConflict: it is not empty.
    """
    if "/" in name or name.startswith(HIDDEN):
        raise NoSuchPath()
    _folder(storage, name)
    path = storage.path_of(name)
    files: list[str] = []
    folders: list[str] = [path]
    for folder in folders:  # grows while we go through it
        for info in storage.ls(folder):
            if info["type"] == "directory":
                folders.append(info["name"])
                continue
            own = info["name"].partition(f"{path}/")[2]
            if not own.startswith(HIDDEN):
                raise PathConflict()
            files.append(info["name"])
    for file in files:
        storage.fs.rm_file(file)
    for folder in reversed(folders):
        # Some remove what is in it as well: look once more, as near as we can.
        if storage.ls(folder):
            raise PathConflict()
        try:
            storage.fs.rmdir(folder)
        except FileNotFoundError:
            continue


def sweep(storage: Storage, writing: Collection[str], before: float) -> int:
    """
    Remove what writes left that died.

    :param writing: names of what is being written now.
    :param before: only what is older, in seconds since the epoch.
    :return: how many.
    """
    swept = 0
    try:
        found = storage.ls(storage.path_of(SCRATCH))
    except FileNotFoundError:
        return 0
    for info in found:
        name = str(info["name"]).rpartition("/")[2]
        if (
            info["type"] == "file"
            and name not in writing
            and modified_of(info) < before * 1e9
        ):
            with suppress(FileNotFoundError):
                storage.fs.rm_file(info["name"])
                swept += 1
    return swept


def _folder(storage: Storage, name: str) -> dict[str, object]:
    try:
        found = storage.info(storage.path_of(name))
    except (FileNotFoundError, UnsuitableKey):
        raise NoSuchPath() from None
    if found["type"] != "directory":
        raise NoSuchPath()
    return found
