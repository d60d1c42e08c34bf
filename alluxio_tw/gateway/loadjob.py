"""
A load: what was asked for, and how far it has come, as it is written down.

Written down in the state, so that it outlives the daemon: whoever goes on with it
begins after C{position}, the last key up to which everything is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import attrs

from alluxio_tw.errors import InvalidArgument
from alluxio_tw.gateway.scope import Scope
from alluxio_tw.quantities import size

PREFIX = "load/"
"""Where loads lie in the state."""

RUNNING = "RUNNING"
STOPPED = "STOPPED"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"

FAILURES = 100
"""How many failures are told by name; the others are counted."""

WARNINGS = 5
LARGEST = 48 << 10
"""Bytes of a load that is written down."""

MOST_AT_ONCE = 64


@attrs.frozen
class LoadOptions:
    """
    How to load.

    :ivar bandwidth: bytes a second; nought for no limit.
    :ivar concurrency: reads of the storage at a time.
    :ivar verify: compare what is kept with checksum or ETag.
    :ivar skip_if_exists: ask nothing about objects whose listed version is kept
        whole.
    :ivar metadata_only: fetch records, and no pages.
    :ivar partial_listing: do not count first what there is.
    """

    bandwidth: int = 0
    concurrency: int = 4
    verify: bool = False
    skip_if_exists: bool = False
    metadata_only: bool = False
    partial_listing: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> LoadOptions:
        """
        Read them; a text is read as a command line's.

        :raises InvalidArgument: one cannot be read, or goes against another.
        """
        options = cls(
            bandwidth=_size(given.get("bandwidth", 0)),
            concurrency=_count(given.get("concurrency", cls().concurrency)),
            **{
                name: _truth(name, given.get(name, False))
                for name in (
                    "verify",
                    "skip_if_exists",
                    "metadata_only",
                    "partial_listing",
                )
            },
        )
        if options.metadata_only and options.verify:
            raise InvalidArgument(
                "metadata_only loads no bytes: there is nothing to verify"
            )
        return options

    def same_work(self, other: LoadOptions) -> bool:
        """Whether it is the same work, if at another speed."""
        return self == attrs.evolve(
            other, bandwidth=self.bandwidth, concurrency=self.concurrency
        )


@attrs.define
class Tally:
    """
    What came of some objects.

    :ivar done: objects that are over, well or not.
    :ivar done_bytes: of these.
    :ivar skipped: objects that were there already.
    :ivar loaded_bytes: that were read from the storage.
    :ivar verified: objects whose bytes were right.
    :ivar unverifiable: objects that have nothing to compare with.
    :ivar failed: objects that failed.
    :ivar failures: keys and reasons of the first.
    """

    done: int = 0
    done_bytes: int = 0
    skipped: int = 0
    loaded_bytes: int = 0
    verified: int = 0
    unverifiable: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = attrs.field(factory=list)

    def fail(self, key: str, reason: str) -> None:
        """An object failed."""
        self.failed += 1
        if len(self.failures) < FAILURES:
            self.failures.append((key, reason[:300]))

    def add(self, other: Tally) -> None:
        """And what came of others."""
        self.done += other.done
        self.done_bytes += other.done_bytes
        self.skipped += other.skipped
        self.loaded_bytes += other.loaded_bytes
        self.verified += other.verified
        self.unverifiable += other.unverifiable
        self.failed += other.failed
        self.failures += other.failures[: FAILURES - len(self.failures)]

    def copy(self) -> Tally:
        """One that grows by itself."""
        return attrs.evolve(self, failures=list(self.failures))

    def document(self) -> dict[str, Any]:
        """As it is told."""
        told = attrs.asdict(self, recurse=False)
        told["failures"] = [
            {"key": key, "reason": reason} for key, reason in self.failures
        ]
        return told

    @classmethod
    def of(cls, told: dict[str, Any]) -> Tally:
        """As it was told."""
        failures = [(each["key"], each["reason"]) for each in told["failures"]]
        return cls(**{**told, "failures": failures})


@attrs.define
class LoadJob:
    """
    A load.

    :ivar state: one of the four.
    :ivar reason: why it stopped or failed.
    :ivar position: everything up to this key is done.
    :ivar finished: it came to the end of what there is.
    :ivar submitted: seconds since the epoch.
    :ivar ended: likewise; nought while it goes on.
    :ivar seconds: that it worked.
    :ivar counted: C{objects} and C{total_bytes} are all that there is.
    :ivar objects: that were listed.
    :ivar total_bytes: of these.
    :ivar firm: what came of everything up to the position.
    :ivar live: what came of that and of what was done beyond it.
    :ivar moving: bytes of objects that are not over yet.
    :ivar warnings: sentences.
    """

    scope: Scope
    options: LoadOptions
    submitted: float
    state: str = RUNNING
    reason: str = ""
    position: str = ""
    finished: bool = False
    ended: float = 0.0
    seconds: float = 0.0
    counted: bool = False
    objects: int = 0
    total_bytes: int = 0
    firm: Tally = attrs.field(factory=Tally)
    live: Tally = attrs.field(factory=Tally)
    moving: int = 0
    warnings: list[str] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """Its name in the state."""
        return name_of(self.scope)

    def warn(self, text: str) -> None:
        """Something the operator should know; once."""
        if text not in self.warnings and len(self.warnings) < WARNINGS:
            self.warnings.append(text)

    def resume(self, options: LoadOptions) -> None:
        """Go back to where it is known to have come to."""
        self.options = options
        self.state, self.reason, self.ended = RUNNING, "", 0.0
        self.live, self.moving = self.firm.copy(), 0
        if not self.counted:
            self.objects, self.total_bytes = self.firm.done, self.firm.done_bytes

    def document(self) -> dict[str, Any]:
        """As it is told."""
        return {
            "path": str(self.scope),
            "state": self.state,
            "reason": self.reason,
            "options": attrs.asdict(self.options),
            "position": self.position,
            "finished": self.finished,
            "submitted": self.submitted,
            "ended": self.ended,
            "seconds": round(self.seconds, 3),
            "counted": self.counted,
            "objects": self.objects,
            "total_bytes": self.total_bytes,
            "moving_bytes": self.moving,
            **self.live.document(),
            "warnings": list(self.warnings),
        }

    def encoded(self) -> bytes:
        """As it is written down, within L{LARGEST} bytes."""
        told: dict[str, Any] = {
            each.name: getattr(self, each.name)
            for each in attrs.fields(LoadJob)
            if each.name not in ("scope", "options", "firm", "live")
        }
        firm, live = self.firm.document(), self.live.document()
        failures = live.pop("failures")
        # They begin with those of what is firm.
        sure = len(firm.pop("failures"))
        told.update(
            path=str(self.scope),
            options=attrs.asdict(self.options),
            firm=firm,
            live=live,
            sure=sure,
        )
        while True:
            told["failures"] = failures
            text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
            encoded = text.encode("utf-8", "surrogatepass")
            if len(encoded) <= LARGEST:
                return encoded
            failures = failures[: len(failures) * 3 // 4]

    @classmethod
    def decoded(cls, text: bytes) -> LoadJob:
        """
        As it was written down.

        :raises ValueError: it was not.
        """
        try:
            told = json.loads(text.decode("utf-8", "surrogatepass"))
            scope = Scope.parse(told.pop("path"))
            options = LoadOptions(**told.pop("options"))
            failures, sure = told.pop("failures"), told.pop("sure")
            firm = Tally.of({**told.pop("firm"), "failures": failures[:sure]})
            live = Tally.of({**told.pop("live"), "failures": failures})
            return cls(scope=scope, options=options, firm=firm, live=live, **told)
        except (TypeError, KeyError, AttributeError, InvalidArgument) as error:
            raise ValueError("not a load") from error


def name_of(scope: Scope) -> str:
    """The name of a load in the state; there is one for each path."""
    text = str(scope).encode("utf-8", "surrogatepass")
    return PREFIX + blake2b(text, digest_size=16).hexdigest()


def _size(given: object) -> int:
    if isinstance(given, str):
        try:
            return size(given.removesuffix("/s"))
        except ValueError as error:
            raise InvalidArgument(f"bandwidth: {error}") from error
    if isinstance(given, int) and given >= 0:
        return given
    raise InvalidArgument("bandwidth: write bytes a second, such as 100MB")


def _count(given: object) -> int:
    try:
        number = int(str(given))
    except ValueError:
        number = 0
    if not 1 <= number <= MOST_AT_ONCE:
        raise InvalidArgument(f"concurrency: write a number from 1 to {MOST_AT_ONCE}")
    return number


def _truth(name: str, given: object) -> bool:
    if isinstance(given, str) and given.lower() in ("true", "false"):
        return given.lower() == "true"
    if isinstance(given, bool):
        return given
    raise InvalidArgument(f"{name}: write true or false")
