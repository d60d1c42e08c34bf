"""
A storage and where it is mounted.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import attrs

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.iparts import IParts
from alluxio_tw.ipassage import IPassage
from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.leases import Leases
from alluxio_tw.namespace.options import shown_options, shown_uri
from alluxio_tw.namespace.policies import Policy, read_only

RESERVED = ".alluxio-tw"
"""How names begin that are the project's own; no client reaches them."""


@attrs.frozen(eq=False)
class Mount:
    """
    A storage and where it is mounted.

    :ivar id: names its records and pages: stable over restarts, another when
        the path or the URI is another, but not when only secrets changed.
    :ivar path: C{/}, C{/name} or C{/name/further/down}.
    :ivar uri: as it was given; show L{shown_uri} instead.
    :ivar options: all that were given; show L{shown_options} instead.
    :ivar created: nanoseconds since the epoch: when it was mounted, which is when
        its bucket came to be.
    :ivar uploads: of the storage, if it has such; see L{IStorageUploads}.
    :ivar passage: through to the storage, if the mount allows it.
    :ivar parts: of the storage's objects, if it can be asked for them.
    :ivar leases: of who uses it, and must be let finish before it is closed.
    """

    id: str
    path: str
    uri: str = attrs.field(repr=shown_uri)
    options: Mapping[str, str] = attrs.field(
        repr=lambda options: repr(shown_options(options))
    )
    ufs: IUnderFileSystem = attrs.field(repr=False)
    policy: Policy
    read_only: bool = False
    created: int = 0
    leases: Leases = attrs.field(factory=Leases, repr=False)
    uploads: IStorageUploads | None = attrs.field(default=None, repr=False)
    passage: IPassage | None = attrs.field(default=None, repr=False)
    parts: IParts | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        path: str,
        uri: str,
        options: Mapping[str, str],
        own: Mapping[str, str],
        ufs: IUnderFileSystem,
        created: int = 0,
        leases: Leases | None = None,
        uploads: IStorageUploads | None = None,
        passage: IPassage | None = None,
        parts: IParts | None = None,
    ) -> Mount:
        """
        Mount C{ufs}.

        :param options: all options that were given, for showing.
        :param own: those of them that are the mount's own, from
            L{split_options<alluxio_tw.namespace.options.split_options>}.
        :param leases: those that C{ufs} counts itself.
        :raises WrongConfiguration: the path or an option cannot be used.
        """
        path = mount_path(path)
        return cls(
            id=mount_id(path, uri),
            path=path,
            uri=uri,
            options=dict(options),
            ufs=ufs,
            policy=Policy.of(own, near=ufs.capabilities.near),
            read_only=read_only(own),
            created=created,
            leases=Leases() if leases is None else leases,
            uploads=uploads,
            passage=passage,
            parts=parts,
        )


def mount_id(path: str, uri: str) -> str:
    """
    What names the records and pages of a mount.

    :param path: in the form that L{mount_path} gives it.
    """
    named = f"{path}\0{shown_uri(uri)}".encode("utf-8", "surrogateescape")
    return blake2b(named, digest_size=8).hexdigest()


def mount_path(path: str) -> str:
    """
    A mount path in the one form that is kept: no slash at its end.

    :raises WrongConfiguration: it cannot be one.
    """
    parts = path.rstrip("/").split("/")[1:]
    if not path.startswith("/") or not all(map(_is_name, parts)):
        raise WrongConfiguration(
            f"{path!r} is not a path to mount at: write /, /bucket or /bucket/folder."
        )
    return "/" + "/".join(parts)


def _is_name(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and not part.startswith(RESERVED)
        and part.isprintable()
        and len(part.encode()) <= 255
    )
