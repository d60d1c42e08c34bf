"""
What a path means to load, stat and free: C{/bucket}, C{/bucket/key}, C{/bucket/folder/}.

As in Alluxio, a path is an object or a folder, and without being told which it is
both: C{/bucket/data} is the object C{data} and whatever begins with C{data/}, and
not C{database}.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from alluxio_tw.errors import InvalidArgument
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable, Place

LONGEST = 1024
"""Bytes of a key."""


class Region(NamedTuple):
    """
    Paths of a mount.

    :ivar place: of what they begin with.
    :ivar whole: only the path that this is.
    """

    place: Place
    whole: bool

    @property
    def mount(self) -> Mount:
        """Whose paths they are."""
        return self.place.mount

    @property
    def prefix(self) -> str:
        """What they begin with."""
        return self.place.path


@attrs.frozen
class Scope:
    """
    Some keys of a bucket.

    :ivar key: of an object, or of a folder if it ends in a slash; empty for the
        whole bucket.
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Scope:
        """
        Read a path.

        :param text: C{/bucket/key}, or C{s3://bucket/key}.
        :raises InvalidArgument: it names no bucket, is too long, or no text.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"{text[:100]!r} is not UTF-8") from error
        path = text[4:] if text.startswith("s3://") else text
        bucket, _, key = path[1:].partition("/")
        if not path.startswith("/") or not bucket:
            raise InvalidArgument(
                f"{text[:100]!r} is no path: write /bucket, /bucket/folder/ or /bucket/key"
            )
        if len(key.encode()) > LONGEST or len(bucket) > 255:
            raise InvalidArgument(f"{text[:100]!r}... is too long for a path")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"

    @property
    def single(self) -> bool:
        """It may be one object."""
        return bool(self.key) and not self.key.endswith("/")

    @property
    def folder(self) -> str:
        """What keys beneath it begin with; empty for all of the bucket."""
        return f"{self.key}/" if self.single else self.key

    def place(self, mounts: MountTable) -> Place:
        """
        Where what it names lies.

        :raises NoSuchBucket: there can be no such bucket.
        :raises NoSuchKey: the name is one of our own.
        """
        return mounts.resolve(self.bucket, self.key)

    def regions(self, mounts: MountTable) -> list[Region]:
        """
        All paths of all mounts that it means; raises as L{place}.
        """
        found: list[Region] = []
        if self.single:
            place = self.place(mounts)
            if place.path:
                found.append(Region(place, True))
        found.append(Region(mounts.resolve(self.bucket, self.folder), False))
        found += [
            Region(mounts.resolve(self.bucket, child.prefix), False)
            for child in mounts.children(self.bucket, self.folder)
        ]
        return found
