"""
Which storages are mounted where, as the configuration says it.

A mount has a name, by which its properties belong together, and a path.  A
stronger source that gives the URI again describes another mount of that name;
one that gives only an option adds to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import attrs

from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.properties import S3_UPLOAD_BUFFERS, S3_UPLOAD_THREADS
from alluxio_tw.app.sections import Data
from alluxio_tw.app.settings import MountGiven, Settings
from alluxio_tw.app.sources import MOUNT
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.entries import MountEntry
from alluxio_tw.namespace.options import shown_uri
from alluxio_tw.s3.names import is_legacy_bucket_name

_S3 = frozenset(("s3", "s3a", "slow+s3", "slow+s3a"))
_S3_DEFAULTS = (
    (S3_UPLOAD_THREADS, ("upload_threads",)),
    (S3_UPLOAD_BUFFERS, ("upload_buffers", "upload_memory")),
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@attrs.frozen
class MountPoint:
    """
    A storage and where it is mounted.

    :ivar name: by which the configuration calls it.
    :ivar path: C{/}, C{/bucket}, or deeper; does not end in a slash otherwise.
    :ivar uri: absolute, also where a path was written.
    :ivar options: of the mount and its driver, as written.
    :ivar embedded: it is the default root, whose folder we make.
    """

    name: str
    path: str
    uri: str = attrs.field(repr=shown_uri)
    options: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    embedded: bool = False
    origin: str = "default"

    @property
    def entry(self) -> MountEntry:
        """What there is to mount; what nobody asked for gives way to what is."""
        return MountEntry(
            self.path, self.uri, self.options, self.origin, fallback=self.embedded
        )


@attrs.frozen
class StorageDefaults:
    """
    What properties say of all storages of a kind.

    :ivar s3: option, the options that mean the same, and the value.
    """

    s3: tuple[tuple[str, tuple[str, ...], str], ...]

    @classmethod
    def read(cls, of: Settings) -> StorageDefaults:
        """As the properties have it."""
        given = [(entry.name, names, of[entry]) for entry, names in _S3_DEFAULTS]
        return cls(
            tuple(
                (name, names, str(value))
                for name, names, value in given
                if value is not None
            )
        )

    def beside(self, uri: str, options: Mapping[str, str]) -> Mapping[str, str]:
        """The options of a mount, and what they say nothing of."""
        if uri.partition(":")[0].lower() not in _S3:
            return options
        found = dict(options)
        for name, names, value in self.s3:
            said = (name, *names)
            if not any(each in found or f"{each}=" in uri for each in said):
                found[name] = value
        return found


def mount_points(
    of: Settings, data: Data, defaults: StorageDefaults
) -> tuple[MountPoint, ...]:
    """
    The mounts that the sources describe, and the root if they say nothing of it.

    :raises WrongConfiguration: one has no URI, or cannot be where it should.
    """
    found: dict[str, MountPoint] = {}
    for rank in sorted({given.rank for given in of.mounts}):
        parts: dict[str, list[MountGiven]] = {}
        for given in of.mounts:
            if given.rank == rank:
                parts.setdefault(given.mount, []).append(given)
        described = {
            name: _described(of, name, givens, found.get(name))
            for name, givens in parts.items()
        }
        _distinct_paths(described.values())
        taken = {mount.path: name for name, mount in described.items()}
        # What a stronger source mounts at a path takes the place of what a weaker
        # one had there, under whatever name.
        found = {
            name: mount
            for name, mount in found.items()
            if name not in described and mount.path not in taken
        } | described
    if not any(mount.path == "/" for mount in found.values()):
        # Nobody else looks into this tree: it may hold keys in ways of its own.
        uri = _uri_of_path(data.buckets_folder)
        root = MountPoint("root", "/", uri, {"names": "any"}, True)
        found["root"] = root
    # The root of which somebody said that there is none has served its purpose.
    points = [
        attrs.evolve(mount, options=defaults.beside(mount.uri, mount.options))
        for mount in found.values()
        if mount.uri
    ]
    return tuple(sorted(points, key=lambda mount: mount.path))


def _described(
    of: Settings, name: str, givens: Sequence[MountGiven], before: MountPoint | None
) -> MountPoint:
    given = {(each.part, each.option): each for each in givens}
    uri = given.get(("uri", ""))
    path = given.get(("path", ""))
    first = uri or givens[0]
    if uri is None and before is None:
        raise WrongConfiguration(
            f"{first.origin}: the mount {quoted(name)} has no URI: write "
            f"{MOUNT}{name}.uri=URI"
        )
    options = {
        each.option: of.expand(each.text, each.origin)
        for each in givens
        if each.part == "option"
    }
    if path is not None:
        where = of.expand(path.text, path.origin)
    elif before is not None:
        where = before.path
    else:
        where = "/" if name == "root" else f"/{name}"
    check_path(where, (path or first).origin)
    if uri is None and before is not None:
        return attrs.evolve(before, path=where, options={**before.options, **options})
    assert uri is not None
    # A new URI is a new mount: options written for the old one are not its.
    place = of.expand(uri.text, uri.origin)
    if not place and where != "/":
        raise WrongConfiguration(
            f"{uri.origin}: {MOUNT}{name}.uri is empty: write such as file:///srv/photos"
        )
    return MountPoint(
        name, where, absolute_uri(place, uri.origin), options, False, uri.origin
    )


def check_path(path: str, origin: str) -> None:
    """
    May something be mounted there?

    :raises WrongConfiguration: no.
    """
    if path == "/":
        return
    bucket, *rest = path[1:].split("/")
    if not path.startswith("/") or not is_legacy_bucket_name(bucket):
        raise WrongConfiguration(
            f"{origin}: {quoted(path)} cannot be a mount's path: write / and the name of "
            "a bucket: 3 to 63 lower-case letters, digits, dots and hyphens (of old "
            "names up to 255, and capitals and underscores as well)"
        )
    if any(part in ("", ".", "..") or "\0" in part for part in rest):
        raise WrongConfiguration(
            f"{origin}: {quoted(path)} cannot be a mount's path: it has an empty part, "
            "or one of dots"
        )


def _distinct_paths(mounts: Iterable[MountPoint]) -> None:
    taken: dict[str, MountPoint] = {}
    for mount in mounts:
        other = taken.setdefault(mount.path, mount)
        if other is not mount:
            raise WrongConfiguration(
                f"{mount.origin}: the mounts {quoted(other.name)} and "
                f"{quoted(mount.name)} are both at {quoted(mount.path)}"
            )


def absolute_uri(text: str, origin: str) -> str:
    """
    A URI, also where the path of a folder was written.

    :raises WrongConfiguration: it is neither.
    """
    if not text or _SCHEME.match(text):
        if not text.isprintable():
            raise WrongConfiguration(f"{origin}: {quoted(text)} is not a URI")
        return text
    if "\0" in text:
        raise WrongConfiguration(f"{origin}: {quoted(text)} is not a path")
    return _uri_of_path(os.path.abspath(os.path.expanduser(text)))


def _uri_of_path(path: str) -> str:
    return f"file://{quote(os.fsencode(path))}"
