"""
How long what a storage said of an object is believed.

The defaults are honest rather than fast.  Storage that is near is asked every
time, for asking costs a system call, and its bytes are not cached.  Storage
that is far is cached, and believed for a minute: a change made behind our back
is seen within that, and an object read again and again costs one question a
minute.  Not chosen: Alluxio's default, immutable, by which a changed object is
never noticed; it is a word away for those whose objects never change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ipages import Keeping
from alluxio_tw.namespace.options import refuse_unknown
from alluxio_tw.quantities import duration

T = TypeVar("T")

IMMUTABLE = "immutable"
MAX_AGE = "max-age"
ALWAYS = "always"

DEFAULT_MAX_AGE = 60.0
"""Seconds."""

DEFAULT_NEGATIVE_AGE = 1.0
"""Seconds; short, for what is not there yet is often what is waited for."""


@attrs.frozen
class Policy:
    """
    What may be kept of a mount, or of an object of it, and how long it is believed.

    :ivar cached: are pages and records kept at all?
    :ivar freshness: C{"immutable"}: believed for ever; C{"max-age"}: for
        C{max_age} seconds; C{"always"}: asked each time.
    :ivar max_age: seconds; counts only with C{"max-age"}.
    :ivar negative_age: for how many seconds it is believed that there is no
        such object.
    :ivar stale_if_error: for how many seconds more a version may still be
        answered when the storage cannot be asked.
    :ivar pages: are pages kept?  Otherwise bytes come from the storage each time.
    :ivar keeping: how they are kept, where a rule says it.
    :ivar hedge_after: seconds after which a read is asked for a second time, where
        a rule says it; nought for never.
    :ivar given: the mount's options that were given, not left to their defaults.
    :ivar lifetime: seconds that a version is believed, infinite if immutable,
        nought if it never is: what the hot path compares with.
    :ivar plain: pages are kept, and as those of all others.
    """

    cached: bool = True
    freshness: str = MAX_AGE
    max_age: float = DEFAULT_MAX_AGE
    negative_age: float = DEFAULT_NEGATIVE_AGE
    stale_if_error: float = 0.0
    pages: bool = True
    keeping: Keeping | None = None
    hedge_after: float | None = None
    given: frozenset[str] = frozenset()
    lifetime: float = attrs.field(init=False)

    plain: bool = attrs.field(init=False)

    @lifetime.default
    def _lifetime(self) -> float:
        if self.freshness == IMMUTABLE:
            return math.inf
        return self.max_age if self.freshness == MAX_AGE else 0.0

    @plain.default
    def _plain(self) -> bool:
        return self.pages and self.keeping is None

    @classmethod
    def of(cls, options: Mapping[str, str], *, near: bool) -> Policy:
        """
        The policy that a mount's own options ask for.

        C{cache} is true unless the storage is C{near}.  C{freshness} is
        C{always} for a near storage or an uncached mount, C{max-age} otherwise or
        when C{max-age} is given; C{negative-age} is 1 s, but nought with
        C{always}.

        :raises WrongConfiguration: an option is unknown, unreadable, or goes
            against another.
        """
        refuse_unknown(options)
        cached = _read(options, "cache", _truth, not near)
        freshness = _read(
            options,
            "freshness",
            _freshness,
            MAX_AGE
            if "max-age" in options
            else ALWAYS
            if near or not cached
            else MAX_AGE,
        )
        if "max-age" in options and freshness != MAX_AGE:
            raise WrongConfiguration(
                f"The mount option 'max-age' goes with freshness={MAX_AGE}, "
                f"not with freshness={freshness}."
            )
        return cls(
            cached=cached,
            freshness=freshness,
            max_age=_read(options, "max-age", _seconds, DEFAULT_MAX_AGE),
            negative_age=_read(
                options,
                "negative-age",
                _seconds,
                0.0 if freshness == ALWAYS else DEFAULT_NEGATIVE_AGE,
            ),
            stale_if_error=_read(options, "stale-if-error", _seconds, 0.0),
            given=frozenset(options),
        )


def read_only(options: Mapping[str, str]) -> bool:
    """
    Does a mount's C{readonly} option forbid writing?  The default is no.

    :raises WrongConfiguration: it is neither true nor false.
    """
    return _read(options, "readonly", _truth, False)


def sidecar(options: Mapping[str, str]) -> bool:
    """
    May attributes that a storage cannot keep be kept beside its data?  The default is
    yes.

    :raises WrongConfiguration: the option C{sidecar} is neither true nor false.
    """
    return _read(options, "sidecar", _truth, True)


def _read(
    options: Mapping[str, str], name: str, read: Callable[[str], T], default: T
) -> T:
    text = options.get(name)
    if text is None:
        return default
    try:
        return read(text.strip())
    except ValueError as e:
        raise WrongConfiguration(f"The mount option {name!r}: {e}.") from e


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither 'true' nor 'false'")
    return text.lower() == "true"


def _freshness(text: str) -> str:
    if text not in (IMMUTABLE, MAX_AGE, ALWAYS):
        raise ValueError(f"{text!r} is none of {IMMUTABLE}, {MAX_AGE}, {ALWAYS}")
    return text


def _seconds(text: str) -> float:
    seconds = duration(text)
    if seconds < 0:
        raise ValueError(f"{text!r} is negative")
    return seconds
