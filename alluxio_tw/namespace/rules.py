"""
Rules: what may be kept of an object, by patterns of its path.

A path is C{/bucket/key}, as clients name the object, and a pattern must match the
whole of it.  Where several match,

  - of what is said of freshness the most careful counts: skipCache before maxAge,
    the shorter maxAge before the longer, and that before immutable;
  - of everything else, what the first rule in the file says that says it.

A rule that matches comes before the mount's options; these before the file's
defaultType of metadata; that before the default of the mount.  A mount that is not
cached stays so, whatever the rules say.

Alluxio keeps data and metadata apart, each with an age of its own.  Here a page
names a version, which never changes: data is as old as the record that says which
version is current.  So the age of the record is what metadata says, or maxAge of data
if that is less; immutable of data adds nothing to it; and skipCache of data keeps
no pages, while the record may still answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from alluxio_tw.ipages import Keeping
from alluxio_tw.namespace.patterns import PatternSet
from alluxio_tw.namespace.policies import ALWAYS, IMMUTABLE, MAX_AGE, Policy

SKIP = 0.0
"""Seconds that skipCache is believed."""

MEMO = 4096
"""So many paths are remembered, and as many that were remembered before them."""

MEMO_LENGTH = 512
"""Longer paths are not: they are matched again."""

OWN = (
    "pageSize",
    "tier",
    "readAhead",
    "hedgeAfter",
    "negativeAge",
    "staleIfError",
)
"""What only our own rules say."""

CAREFUL = ("metadata", "data")
"""Of what the most careful rule counts: seconds of belief."""


@attrs.frozen
class Rule:
    """
    A pattern, and what is said of the paths that match it.

    :ivar origin: where in the file it stands, such as C{rules[2]}.
    :ivar says: by the names in L{OWN} and L{CAREFUL}.
    """

    origin: str
    pattern: str
    says: Mapping[str, Any]


@attrs.frozen
class Said:
    """
    A value, and who said so.
    """

    value: Any
    origin: str


class RuleSet:
    """
    The rules of one file.

    :ivar rules: in the order of the file.
    :ivar defaults: by the names in L{CAREFUL}: for what no pattern matches.
    """

    def __init__(
        self, rules: Sequence[Rule], defaults: Mapping[str, float] | None = None
    ) -> None:
        self.rules = tuple(rules)
        self.defaults = dict(defaults or {})
        # Often the sections have the same patterns: each is looked for once.
        texts = list(dict.fromkeys(rule.pattern for rule in self.rules))
        self._patterns = PatternSet(texts)
        place = {text: number for number, text in enumerate(texts)}
        self._of_pattern: list[list[Rule]] = [[] for _ in texts]
        self._order = {id(rule): number for number, rule in enumerate(self.rules)}
        for rule in self.rules:
            self._of_pattern[place[rule.pattern]].append(rule)
        self._young: dict[str, tuple[Policy, Policy]] = {}
        self._old: dict[str, tuple[Policy, Policy]] = {}
        self._made: dict[tuple[tuple[int, ...], Policy], Policy] = {}

    def __repr__(self) -> str:
        return f"<RuleSet: {len(self.rules)} rules>"

    def __bool__(self) -> bool:
        return bool(self.rules or self.defaults)

    def policy(self, path: str, base: Policy) -> Policy:
        """
        What may be kept of an object.

        :param path: C{/bucket/key}.
        :param base: its mount's.
        """
        known = self._young.get(path)
        if known is not None and known[0] is base:
            return known[1]
        known = self._old.get(path)
        if known is None or known[0] is not base:
            known = base, self._decide(self._patterns.matching(path), base)
        if len(path) <= MEMO_LENGTH:
            self._young[path] = known
            if len(self._young) >= MEMO:
                self._old, self._young = self._young, {}
        return known[1]

    def matching(self, path: str) -> list[Rule]:
        """The rules that match, in the order of the file."""
        return self._rules(self._patterns.matching(path))

    def _rules(self, matched: tuple[int, ...]) -> list[Rule]:
        found = [rule for number in matched for rule in self._of_pattern[number]]
        return sorted(found, key=lambda rule: self._order[id(rule)])

    def _decide(self, matched: tuple[int, ...], base: Policy) -> Policy:
        made = self._made.get((matched, base))
        if made is None:
            if len(self._made) >= MEMO:
                self._made.clear()
            said = self._said(matched, base)
            made = policy_of({name: each.value for name, each in said.items()}, base)
            self._made[matched, base] = made
        return made

    def said(self, path: str, base: Policy) -> dict[str, Said]:
        """
        What counts of what is said of a path, by the names in L{OWN} and
        L{CAREFUL}.
        """
        return self._said(self._patterns.matching(path), base)

    def _said(self, matched: tuple[int, ...], base: Policy) -> dict[str, Said]:
        found: dict[str, Said] = {}
        for rule in self._rules(matched):
            for name, value in rule.says.items():
                there = found.get(name)
                if there is None or (name in CAREFUL and value < there.value):
                    found[name] = Said(value, f"{rule.origin} {rule.pattern}")
        for name, value in self.defaults.items():
            if name in found:
                continue
            if name == "metadata" and base.given & {"freshness", "max-age"}:
                # Who wrote that of this very mount meant it.
                continue
            found[name] = Said(value, f"{name}.defaultType")
        return found


def policy_of(said: Mapping[str, Any], base: Policy) -> Policy:
    """
    The policy of a mount, changed by what rules say.

    :param said: by the names in L{OWN} and L{CAREFUL}.
    """
    if not base.cached or not said:
        return base
    data: float = said.get("data", math.inf)
    lifetime: float = said.get("metadata", base.lifetime)
    if data:
        lifetime = min(lifetime, data)
    negative = base.negative_age
    if lifetime < negative and (
        "negative-age" not in base.given or said.get("metadata") == SKIP
    ):
        negative = lifetime
    negative = said.get("negativeAge", negative)
    stale = said.get("staleIfError", base.stale_if_error)
    keeping = Keeping(said.get("pageSize"), said.get("tier"), said.get("readAhead"))
    return attrs.evolve(
        base,
        # Of what may never answer, nothing need be written down.
        cached=bool(data or lifetime or negative or stale),
        freshness=IMMUTABLE
        if lifetime == math.inf
        else MAX_AGE
        if lifetime
        else ALWAYS,
        max_age=base.max_age if lifetime in (0.0, math.inf) else lifetime,
        negative_age=negative,
        stale_if_error=stale,
        pages=bool(data),
        keeping=None if keeping == Keeping() else keeping,
        hedge_after=said.get("hedgeAfter", base.hedge_after),
    )
