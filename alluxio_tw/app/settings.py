"""
What every property is set to, and by whom.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs

from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.properties import ALIASES, IGNORED, TABLE, Property
from alluxio_tw.app.sources import Given, meant
from alluxio_tw.errors import WrongConfiguration

T = TypeVar("T")

DEPTH = 8
"""So many references may lie one within another."""

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_MOUNT = re.compile(
    r"alluxio\.tw\.mount\.(?P<name>.+?)\.(?P<what>uri|path|option\.(?P<option>.+))\Z",
    re.DOTALL,
)
_ALLUXIO_MOUNT = re.compile(
    r"alluxio\.master\.mount\.table\.(?P<name>.+?)"
    r"\.(?P<what>ufs|alluxio|readonly|option\.(?P<option>.+))\Z",
    re.DOTALL,
)


@attrs.frozen
class MountGiven:
    """
    One part of the description of a mount.

    :ivar mount: the name it goes by in the configuration.
    :ivar part: C{uri}, C{path}, or C{option}.
    :ivar option: which option.
    """

    mount: str
    part: str
    option: str
    text: str
    origin: str
    rank: int


@attrs.define
class Settings:
    """
    What every property is set to, and by whom.
    """

    _given: dict[str, Given]
    mounts: list[MountGiven]
    warnings: list[str]
    read: set[str] = attrs.field(factory=set, init=False)

    @classmethod
    def of(cls, sources: Sequence[Given], warnings: list[str]) -> Settings:
        """
        Sort out what was given, in ascending order of rank.

        :raises WrongConfiguration: a name is unknown.
        """
        settings = cls({}, [], warnings)
        for given in sources:
            settings._take(given)
        return settings

    def __getitem__(self, entry: Property[T]) -> T:
        """
        The value of a property.

        :raises WrongConfiguration: what was given cannot be read.
        """
        self.read.add(entry.name)
        text = self.text(entry)
        try:
            return entry.kind.read(text)
        except ValueError as error:
            reason = "the value cannot be used" if entry.secret else one_line(error)
            raise WrongConfiguration(
                f"{self.origin(entry)}: {entry.name}: {reason}"
            ) from (None if entry.secret else error)

    def text(self, entry: Property[Any]) -> str:
        """
        The text of a property, its references followed.

        :raises WrongConfiguration: a reference leads nowhere, or round.
        """
        return self._follow(entry, ())

    def origin(self, entry: Property[Any]) -> str:
        """Where the value of a property was written."""
        given = self._given.get(entry.name)
        return "default" if given is None else given.origin

    def expand(self, text: str, origin: str) -> str:
        """
        A text with its references to properties followed.

        :raises WrongConfiguration: as L{text}.
        """
        return self._expand(text, origin, ())

    def _take(self, given: Given) -> None:
        name = given.name
        if name in ALIASES:
            name = ALIASES[name].name
            self.warnings.append(
                f"{given.origin}: {given.name} is an older name; write {name}"
            )
            if name in self._given and self._given[name].rank == given.rank:
                # Written under both names in one place: the proper one counts.
                return
        elif name in IGNORED:
            self.warnings.append(
                f"{given.origin}: {name} changes nothing: {IGNORED[name]}"
            )
            return
        if name in TABLE:
            self._put(attrs.evolve(given, name=name))
            return
        mount = _mount_of(given)
        if mount is None:
            raise WrongConfiguration(
                f"{given.origin}: unknown property {quoted(name)}"
                f"{meant(name, (*TABLE, *ALIASES))}"
            )
        if name.startswith("alluxio.master."):
            self.warnings.append(
                f"{given.origin}: {quoted(name)} is an older name; write "
                f"alluxio.tw.mount.{mount.mount}."
                f"{mount.part + '.' + mount.option if mount.option else mount.part}"
            )
        self.mounts.append(mount)

    def _put(self, given: Given) -> None:
        before = self._given.get(given.name)
        if (
            before is not None
            and before.rank == given.rank
            and before.text != given.text
        ):
            self.warnings.append(
                f"{given.origin}: {given.name} is set again; what {before.origin} says "
                "does not count"
            )
        self._given[given.name] = given

    def _follow(self, entry: Property[Any], path: tuple[str, ...]) -> str:
        if entry.name in path or len(path) > DEPTH:
            raise WrongConfiguration(
                f"{self.origin(entry)}: {entry.name} refers to itself, or to too much"
            )
        given = self._given.get(entry.name)
        text = entry.default if given is None else given.text
        return self._expand(text, self.origin(entry), (*path, entry.name))

    def _expand(self, text: str, origin: str, path: tuple[str, ...]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            entry = TABLE.get(name) or ALIASES.get(name)
            if entry is None or entry.secret:
                raise WrongConfiguration(
                    f"{origin}: {quoted(match[0])} refers to no property"
                    f"{meant(name, TABLE)}"
                )
            return self._follow(entry, path)

        return _REFERENCE.sub(value, text) if "${" in text else text


def _mount_of(given: Given) -> MountGiven | None:
    match = _MOUNT.match(given.name)
    if match is not None:
        part, option, text = match["what"], match["option"] or "", given.text
        part = "option" if option else part
    else:
        match = _ALLUXIO_MOUNT.match(given.name)
        if match is None:
            return None
        part, option, text = match["what"], match["option"] or "", given.text
        if option:
            part = "option"
        elif part == "readonly":
            part, option = "option", part
        else:
            part = {"ufs": "uri", "alluxio": "path"}[part]
    if not match["name"].isprintable() or not option.isprintable():
        return None
    return MountGiven(match["name"], part, option, text, given.origin, given.rank)


def one_line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())
