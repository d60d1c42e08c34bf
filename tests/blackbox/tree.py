"""
A real tree of thousands of files: this interpreter's own packages.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig

import attrs

MOST_FILES = 3000
MOST_BYTES = 150 << 20


@attrs.frozen
class Tree:
    """
    Files as they lie on disk.

    :ivar root: the folder.
    :ivar digests: SHA-256 by path beneath it, with slashes.
    """

    root: str
    digests: dict[str, str]


def digest(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def digests(root: str) -> dict[str, str]:
    """Of all files beneath a folder."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = digest(path)
    return found


def real_tree(target: str) -> Tree:
    """
    Lay some thousand files of this interpreter's packages, as hard links or
    copies, into a new folder.

    A copy of what is there, since others may be writing to it (caches of compiled
    modules, for one).
    """
    source = sysconfig.get_path("purelib")
    found: dict[str, str] = {}
    size = 0
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            if len(found) >= MOST_FILES or size > MOST_BYTES:
                break
            below = os.path.relpath(path, source)
            with open(path, "rb") as file:
                data = file.read(8 << 20)
            laid = os.path.join(target, below)
            os.makedirs(os.path.dirname(laid), exist_ok=True)
            with open(laid, "wb") as file:
                file.write(data)
            found[below] = hashlib.sha256(data).hexdigest()
            size += len(data)
    return Tree(target, found)
