"""
Keys as paths of HDFS, and paths as parts of URLs.

A key is the path of its file beneath the mount's root.  HDFS cannot name an empty
part, C{.} and C{..}, nor anything with a colon in it; C{.snapshot} and C{.reserved}
it keeps for itself.  A key that ends in a slash is a file of ours within its folder,
which Hadoop's own readers pass over, as they do all names that begin with a dot: so
the folder is not empty, is listed, and nobody removes it by the way.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from alluxio_tw.errors import NoSuchPath, UnsuitableKey

HIDDEN = ".alluxio-tw"
"""What we keep for ourselves lies right beneath the root, under this name."""

OURS = HIDDEN + "."
"""Names in any folder that begin so are ours."""

FOLDER = OURS + "folder"
"""In a folder: the object that is named as the folder is, with its slash."""

SCRATCH = HIDDEN + "/tmp"
"""Where files are written before they have their names."""

JOINING = OURS + "joining."
"""Files that parts are being joined to begin so; they lie beside the parts."""

LONGEST_NAME = 255
"""Bytes of a name, as HDFS has it unless it is told otherwise."""

_LONGEST_PATH = 1024 + 256
"""A key, and the bucket's folder before it where the buckets lie beneath the root."""

_IMPOSSIBLE = re.compile(
    r"(?:^|/)(?:\.{0,2}|\.snapshot|\.reserved)(?:/|\Z)|[\0:\ud800-\udfff]"
)


def encoded(key: str) -> str | None:
    """
    A key as a path relative to the mount's root; L{None} if no file can have it.
    """
    name = key[:-1] if key.endswith("/") else key
    if _IMPOSSIBLE.search(name) is not None:
        return None
    parts = name.split("/")
    if len(name) > LONGEST_NAME // 4 and (
        len(name.encode()) > _LONGEST_PATH
        or any(len(part.encode()) > LONGEST_NAME for part in parts)
    ):
        return None
    if OURS in name and any(part.startswith(OURS) for part in parts):
        return None
    if name == SCRATCH or name.startswith(SCRATCH + "/"):
        return None
    return name if name is key else f"{name}/{FOLDER}"


def for_reading(key: str) -> str:
    """
    The path of a key that someone asks for.

    :raises NoSuchPath: no file can have it.
    """
    path = encoded(key)
    if path is None:
        raise NoSuchPath()
    return path


def for_writing(key: str) -> str:
    """
    The path of a key that someone writes.

    :raises UnsuitableKey: no file can have it.
    """
    path = encoded(key)
    if path is None:
        raise UnsuitableKey(
            "This bucket lies in HDFS, which cannot hold this key: no part between"
            f" slashes may be empty, '.', '..', '.snapshot' or '.reserved', over"
            f" {LONGEST_NAME} bytes, have a colon in it or begin with {OURS}"
        )
    return path


def suitable_folder(name: str) -> bool:
    """Can a folder right beneath the root have this name?"""
    return "/" not in name and not name.startswith(HIDDEN) and encoded(name) is not None


def url_path(path: str) -> str:
    """An absolute path of HDFS, as it stands in a URL."""
    return quote(path, safe="/")
