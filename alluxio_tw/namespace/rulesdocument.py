"""
The document that rules are written in: JSON, in the form of Alluxio's cache filter.

It has what Alluxio knows, C{data} and C{metadata}, and beside them C{rules}, for
what it has no words for::

    {
      "apiVersion": 1,
      "data":     {"skipCache": [".*/tmp/.*"], "defaultType": "immutable"},
      "metadata": {"immutable": [".*/parts/.*"],
                   "skipCache": [".*/_SUCCESS"],
                   "maxAge":    {".*/tables/.*": "10s"}},
      "rules": [{"pattern": ".*\\.parquet", "pageSize": "4MB", "readAhead": 4}]
    }

What is wrong is refused with the place where it stands, and what to write instead:
a rule passed over in silence would be a promise not kept.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from alluxio_tw import quantities
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ipages import TIERS
from alluxio_tw.namespace.patterns import MOST_PATTERNS, check_pattern
from alluxio_tw.namespace.rules import CAREFUL, OWN, SKIP, Rule, RuleSet

VERSION = 1

MOST_BYTES = 1 << 20

PAGE_LEAST = 4 << 10

AHEAD_MOST = 1024

YEAR = 366 * 86400.0

KINDS = ("immutable", "skipCache", "maxAge", "defaultType")

_OTHER_TIERS = {"RAM": "MEM", "MEMORY": "MEM", "SSD": "DISK", "HDD": "DISK"}


@attrs.frozen
class Bounds:
    """
    What the page store can keep.

    :ivar page_bytes: the largest page.
    :ivar memory_bytes: the largest page that may be kept in memory alone; nought
        if there is no memory to keep pages in.
    :ivar disk: are there directories?
    """

    page_bytes: int = 64 << 20
    memory_bytes: int = 64 << 20
    disk: bool = True


def read_rules(data: bytes, bounds: Bounds = Bounds()) -> RuleSet:
    """
    Read a document.

    :raises WrongConfiguration: it cannot be used; the message says where, and what
        to write instead.
    """
    if len(data) > MOST_BYTES:
        raise WrongConfiguration(f"{len(data)} bytes are more than {MOST_BYTES}")
    try:
        document = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_distinct,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise WrongConfiguration(f"byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise WrongConfiguration(f"not JSON: {error}") from error
    _check_names(document, ("apiVersion", *CAREFUL, "rules"), "the document")
    version = document.get("apiVersion")
    if version != VERSION or isinstance(version, bool):
        raise WrongConfiguration(
            f"apiVersion is {_shown(version)}: write {VERSION}"
            if "apiVersion" in document
            else f'apiVersion is missing: write "apiVersion": {VERSION}'
        )
    rules: list[Rule] = []
    defaults: dict[str, float] = {}
    for name in CAREFUL:
        section = document.get(name, {})
        _check_names(section, KINDS, name)
        rules += _section(section, name)
        default = section.get("defaultType")
        if default is not None:
            defaults[name] = _default(default, name)
    rules += _own(document.get("rules", []), bounds)
    if len({rule.pattern for rule in rules}) > MOST_PATTERNS:
        raise WrongConfiguration(f"there are more than {MOST_PATTERNS} patterns")
    return RuleSet(rules, defaults)


# --- Alluxio's sections ---------------------------------------------------------


def _section(section: Mapping[str, Any], name: str) -> Iterable[Rule]:
    for kind, seconds in (("immutable", math.inf), ("skipCache", SKIP)):
        patterns = section.get(kind, [])
        if not isinstance(patterns, list):
            raise WrongConfiguration(
                f'{name}.{kind}: write a list of patterns, such as [".*/tables/.*"]'
            )
        for number, pattern in enumerate(patterns):
            origin = f"{name}.{kind}[{number}]"
            yield Rule(origin, _pattern(pattern, origin), {name: seconds})
    ages = section.get("maxAge", {})
    if not isinstance(ages, dict):
        raise WrongConfiguration(
            f"{name}.maxAge: write an object of patterns and ages, such as "
            '{".*/tables/.*": "10s"}'
        )
    for pattern, text in ages.items():
        origin = f"{name}.maxAge"
        _pattern(pattern, origin)
        where = f"{origin}: {_shown(pattern)}"
        age = _duration(text, where)
        if not age:
            raise WrongConfiguration(
                f"{where}: an age of nought: write the pattern in {name}.skipCache"
            )
        yield Rule(origin, pattern, {name: age})


def _default(default: object, name: str) -> float:
    if default == "immutable":
        return math.inf
    if default == "skipCache":
        return SKIP
    more = (
        "; an age for all that no pattern matches is the mount's option max-age"
        if default == "maxAge"
        else ""
    )
    raise WrongConfiguration(
        f"{name}.defaultType: {_shown(default)}: write immutable or skipCache, or "
        f"leave it out, and the options of the mount say{more}"
    )


# --- our own --------------------------------------------------------------------


def _own(rules: object, bounds: Bounds) -> Iterable[Rule]:
    if not isinstance(rules, list):
        raise WrongConfiguration(
            'rules: write a list of rules, such as [{"pattern": ".*", '
            '"pageSize": "4MB"}]'
        )
    for number, rule in enumerate(rules):
        origin = f"rules[{number}]"
        _check_names(rule, ("pattern", *OWN), origin)
        pattern = _pattern(rule.get("pattern"), origin)
        says = {
            name: _VALUES[name](rule[name], f"{origin}.{name}")
            for name in OWN
            if name in rule
        }
        if not says:
            raise WrongConfiguration(
                f"{origin}: says nothing: write one of {', '.join(OWN)} beside its "
                "pattern"
            )
        _check_bounds(says, origin, bounds)
        yield Rule(origin, pattern, says)


def _check_bounds(says: Mapping[str, Any], origin: str, bounds: Bounds) -> None:
    size = says.get("pageSize", 0)
    if size > bounds.page_bytes:
        raise WrongConfiguration(
            f"{origin}.pageSize: write at most {quantities.size_text(bounds.page_bytes)}, "
            "or more for alluxio.worker.page.store.load.memory"
        )
    tier = says.get("tier")
    if tier == "MEM" and max(size, 1) > bounds.memory_bytes:
        raise WrongConfiguration(
            f"{origin}.tier: the memory is too small for its pages: write more for "
            "alluxio.worker.page.store.memory.size"
        )
    if tier == "DISK" and not bounds.disk:
        raise WrongConfiguration(
            f"{origin}.tier: there are no directories: name one in "
            "alluxio.worker.page.store.dirs"
        )


def _page_size(value: object, where: str) -> int:
    most = quantities.size_text(Bounds().page_bytes)
    wanted = f"write a size from {quantities.size_text(PAGE_LEAST)} to {most}"
    if not isinstance(value, str):
        raise WrongConfiguration(f'{where}: {_shown(value)}: {wanted}, such as "4MB"')
    try:
        size = quantities.size(value)
    except ValueError as error:
        raise WrongConfiguration(f"{where}: {error}") from error
    if not PAGE_LEAST <= size <= Bounds().page_bytes:
        raise WrongConfiguration(f"{where}: {_shown(value)}: {wanted}")
    return size


def _tier(value: object, where: str) -> str:
    if value in TIERS:
        return str(value)
    meant = _OTHER_TIERS.get(str(value).upper(), "")
    raise WrongConfiguration(
        f"{where}: {_shown(value)}: write MEM for memory alone, or DISK for the "
        "directories alone"
        + (f"; here that would be {meant}" if meant else "")
        + "; leave it out for both"
    )


def _read_ahead(value: object, where: str) -> int:
    if value == "off":
        return 0
    if type(value) is not int or not 0 <= value <= AHEAD_MOST:
        raise WrongConfiguration(
            f"{where}: {_shown(value)}: write a number of pages from 0 to "
            f'{AHEAD_MOST}, or "off"'
        )
    return value


def _hedge(value: object, where: str) -> float:
    if value == "off":
        return 0.0
    seconds = _duration(value, where)
    if seconds < 0.001:
        raise WrongConfiguration(f'{where}: write at least "1ms", or "off"')
    return seconds


def _duration(value: object, where: str) -> float:
    if not isinstance(value, str):
        raise WrongConfiguration(
            f'{where}: {_shown(value)}: write a duration, such as "10s" or "5min"'
        )
    try:
        seconds = quantities.duration(value)
    except ValueError as error:
        raise WrongConfiguration(f"{where}: {error}") from error
    if not 0 <= seconds <= YEAR:
        raise WrongConfiguration(
            f"{where}: {_shown(value)} is out of bounds: write from 0s to 366d"
        )
    return seconds


_VALUES: Mapping[str, Callable[[object, str], Any]] = {
    "pageSize": _page_size,
    "tier": _tier,
    "readAhead": _read_ahead,
    "hedgeAfter": _hedge,
    "negativeAge": _duration,
    "staleIfError": _duration,
}


# --- what is common to them -------------------------------------------------------


def _pattern(pattern: object, origin: str) -> str:
    if not isinstance(pattern, str):
        raise WrongConfiguration(
            f'{origin}: {_shown(pattern)}: write a pattern, such as ".*/tables/.*"'
        )
    try:
        check_pattern(pattern)
    except WrongConfiguration as error:
        raise WrongConfiguration(
            f"{origin}: {_shown(pattern)}: {error.message}"
        ) from error
    return pattern


def _check_names(found: object, known: Sequence[str], where: str) -> None:
    if not isinstance(found, dict):
        raise WrongConfiguration(
            f"{where}: {_shown(found)}: write an object with: {', '.join(known)}"
        )
    for name in found:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, 1)
        raise WrongConfiguration(
            f"{where}: there is no {_shown(name)}: "
            + (f"did you mean {close[0]}?" if close else f"write {', '.join(known)}")
        )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            # JSON would let the last one win, and say nothing.
            raise ValueError(f"{_shown(name)} is there twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON's")


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:80] + "..."
