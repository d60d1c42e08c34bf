"""
What shall be mounted: as the configuration says it, or as it is written down in the
state, where the tool C{alluxio-s3 mount} writes beside the running daemon.

Options are stored as they are, secrets among them: a storage is signed in to with
the secret itself.  Nobody else can read the state; no C{repr}, message or listing
shows them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidArgument, OurError, Overloaded, WrongConfiguration
from alluxio_tw.istate import Held, IState
from alluxio_tw.namespace.mount import mount_path
from alluxio_tw.namespace.options import shown_uri

PREFIX = "mounts/"
"""Where mounts lie in the state: C{mounts/} with the path behind it."""

STATE = "state"
"""The origin of what lies in the state."""

LONGEST = 400
"""Bytes of a mount's path in the state."""

LARGEST = 60_000
"""Bytes of all that is written of a mount."""

ATTEMPTS = 20

OVERRULED = "the configuration mounts something else there"
"""Why an entry of the state is left out where the configuration has the path."""


@attrs.frozen
class MountEntry:
    """
    A storage, and where it shall be mounted.

    :ivar uri: empty if it cannot be read.
    :ivar options: of the mount and its driver, as written.
    :ivar origin: where that was said.
    :ivar fallback: it gives way to whatever somebody mounts there.
    :ivar created: nanoseconds since the epoch: since when; nought if nobody wrote it.
    :ivar revision: of the state; empty elsewhere.
    """

    path: str
    uri: str = attrs.field(repr=shown_uri)
    options: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    origin: str = ""
    fallback: bool = False
    created: int = 0
    revision: str = ""

    @property
    def written(self) -> bool:
        """Whether it lies in the state."""
        return self.origin == STATE

    def means(self, other: MountEntry) -> bool:
        """Whether it comes to the same mount as another."""
        return (self.path, self.uri, dict(self.options), self.created) == (
            other.path,
            other.uri,
            dict(other.options),
            other.created,
        )


@attrs.frozen
class MountEntries:
    """
    Those in the state.
    """

    _state: IState

    @deferred
    async def every(self) -> list[MountEntry]:
        """All, by path; one that cannot be read has no URI."""
        found: list[MountEntry] = []
        after = ""
        while True:
            page = await self._state.list(PREFIX, after)
            if not page:
                return found
            after = page[-1].name
            found += map(_decoded, page)

    @deferred
    async def get(self, path: str) -> MountEntry:
        """
        One.

        :raises InvalidArgument: nothing of the state is mounted there.
        """
        return _decoded(await self._held(path))

    @deferred
    async def add(self, entry: MountEntry) -> str:
        """
        Write another.

        :result: its revision.
        :raises InvalidArgument: there is one, or it is too large.
        """
        revision: str | None = await self._state.put(
            _name(entry.path), encoded(entry), ""
        )
        if revision is None:
            raise InvalidArgument(
                f"something is mounted at {entry.path} already: "
                "change it with update, or remove it first"
            )
        return revision

    @deferred
    async def change(
        self, path: str, change: Callable[[MountEntry], MountEntry]
    ) -> str:
        """
        Write another in the place of one.

        :result: its revision.
        :raises InvalidArgument: nothing of the state is mounted there, or it is too
            large.
        """
        for _ in range(ATTEMPTS):
            held = await self._held(path)
            revision: str | None = await self._state.put(
                _name(path), encoded(change(_decoded(held))), held.revision
            )
            if revision is not None:
                return revision
        raise Overloaded()

    @deferred
    async def remove(self, path: str) -> None:
        """
        Forget one.

        :raises InvalidArgument: nothing of the state is mounted there.
        """
        if not await self._state.delete(_name(path)):
            raise _none(path)

    async def _held(self, path: str) -> Held:
        held: Held | None = await self._state.get(_name(path))
        if held is None:
            raise _none(path)
        return held


def _name(path: str) -> str:
    if len(path.encode()) > LONGEST:
        raise InvalidArgument(f"a mount's path has at most {LONGEST} bytes")
    return PREFIX + path[1:]


def _none(path: str) -> InvalidArgument:
    return InvalidArgument(f"nothing was mounted at {path} with this tool")


def encoded(entry: MountEntry) -> bytes:
    """
    An entry as it is written.

    :raises InvalidArgument: it is too large.
    """
    value = json.dumps(
        {
            "uri": entry.uri,
            "options": dict(entry.options),
            "created": entry.created,
        },
        separators=(",", ":"),
    ).encode()
    if len(value) > LARGEST:
        raise InvalidArgument(
            f"a mount's URI and options have at most {LARGEST} bytes together: "
            "put what is long into a file, and name that"
        )
    return value


def _decoded(held: Held) -> MountEntry:
    path = "/" + held.name[len(PREFIX) :]
    try:
        value: dict[str, Any] = json.loads(held.value)
        return MountEntry(
            path,
            str(value["uri"]),
            {str(name): str(text) for name, text in value["options"].items()},
            STATE,
            created=int(value["created"]),
            revision=held.revision,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without the cause: its text may quote the value.
        return MountEntry(path, "", {}, STATE, revision=held.revision)


def unreadable(entry: MountEntry) -> OurError:
    """What there is to say of an entry that has no URI."""
    return OurError(f"What the state has of {entry.path} cannot be read.")


def chosen(
    configured: Iterable[MountEntry],
    written: Iterable[MountEntry],
    lenient: bool = False,
) -> tuple[dict[str, MountEntry], list[tuple[MountEntry, str]]]:
    """
    What of all that shall be mounted is, by path; and what is not, with the reason.

    :param lenient: leave out also what the configuration has, should nothing be
        mounted above it: it was, when the daemon started.
    """
    wanted = {each.path: each for each in configured}
    left_out: list[tuple[MountEntry, str]] = []
    for each in written:
        there = wanted.get(each.path)
        if not _is_path(each.path):
            left_out.append((each, "nothing can be mounted there"))
        elif there is None or there.fallback:
            wanted[each.path] = each
        else:
            left_out.append((each, OVERRULED))
    for path, each in list(wanted.items()):
        bucket, slash, _ = path[1:].partition("/")
        above = not slash or "/" in wanted or f"/{bucket}" in wanted
        if not above and (lenient or each.written):
            del wanted[path]
            why = f"nothing is mounted above it: mount something at /{bucket} or /"
            left_out.append((each, why))
    return wanted, left_out


def _is_path(path: str) -> bool:
    try:
        return mount_path(path) == path
    except WrongConfiguration:
        return False
