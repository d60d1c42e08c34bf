"""
Keys as paths of a directory tree.

A key is the path of its file as it stands, but for parts that no file can be named:
an empty one, C{.} and C{..}, which S3 takes as names like any other.  These lie under
names of ours, so that nothing that comes from a client is ever a step up or aside.

Where a key is a file and a folder at once (C{a} beside C{a/b}), and where a key that
ends in a slash has bytes, the bytes lie in the folder under a name of ours; see
L{alluxio_tw.ufs.local_places}.
"""

from __future__ import annotations

import re

from alluxio_tw.errors import NoSuchPath, UnsuitableKey

HIDDEN = ".alluxio-tw"
"""What we keep for ourselves lies right beneath the root, under this name."""

OURS = HIDDEN + "."
"""Names in any folder that begin so are ours."""

BESIDE = OURS + "tmp-"
"""Temporary files that had to lie beside their target begin so."""

FILE = (OURS + "file").encode()
"""In a folder: the bytes of the key that is named as the folder is."""

FOLDER = (OURS + "folder").encode()
"""In a folder: the bytes of the key that is the folder's, with its slash."""

_ODD = OURS + "part-"
_OWN = (HIDDEN + "/tmp", HIDDEN + "/sidecar", HIDDEN + "/both")
_LONGEST_NAME = 255
_LONGEST_PATH = 1024 + 256
"""A key, and the bucket's folder before it where the buckets lie beneath the root."""

# A part that is empty, "." or "..", or a NUL.  One slash at the end is the mark of a
# folder and was taken off before.
_STRANGE = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|\0")
_ODD_PARTS = frozenset(("", ".", ".."))


def encoded(path: str) -> bytes | None:
    """
    A key, without the slash that may end it, as the path of a file; L{None} if no
    file can have it.
    """
    name = path[:-1] if path.endswith("/") else path
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        return None
    if len(raw) > _LONGEST_NAME and (
        len(raw) > _LONGEST_PATH or max(map(len, raw.split(b"/"))) > _LONGEST_NAME
    ):
        return None
    if path.startswith(HIDDEN) and path.startswith(_OWN):
        return None
    if OURS in name and any(part.startswith(OURS) for part in name.split("/")):
        return None
    if _STRANGE.search(name) is not None:
        if not path or "\0" in name:
            return None
        parts = name.split("/")
        return "/".join(_ODD + p if p in _ODD_PARTS else p for p in parts).encode()
    return raw


def encoded_part(part: str) -> bytes:
    """The name in a folder that stands for a part of a key which is there."""
    return (_ODD + part if part in _ODD_PARTS else part).encode()


def decoded(name: str) -> str | None:
    """
    The part of a key that a name in a folder stands for; L{None} if it is ours.
    """
    if not name.startswith(OURS):
        return name
    part = name.removeprefix(_ODD)
    return part if part in _ODD_PARTS else None


def for_reading(path: str) -> bytes:
    """
    The path of a key that someone asks for.

    :raises NoSuchPath: no file can have it.
    """
    raw = encoded(path)
    if raw is None:
        raise NoSuchPath()
    return raw


def for_writing(path: str, any_key: bool) -> bytes:
    """
    The path of a key that someone writes.

    :param any_key: also one that must lie under another name.
    :raises UnsuitableKey: no file can have it.
    """
    raw = encoded(path)
    if raw is None:
        raise UnsuitableKey(
            "This bucket lies in a directory tree, which cannot hold this key: no"
            f" part between slashes may be over {_LONGEST_NAME} bytes, have a NUL in"
            f" it or begin with {OURS}"
        )
    if not any_key and _ODD.encode() in raw:
        raise UnsuitableKey(
            "This bucket lies in a directory tree, which cannot hold this key: no"
            " part between slashes may be empty or only dots."
        )
    return raw
