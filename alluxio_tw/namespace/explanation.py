"""
Why an object is kept as it is: each value of its policy, and who says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from alluxio_tw.errors import InvalidArgument, NoSuchBucket
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.options import shown_uri
from alluxio_tw.namespace.policies import ALWAYS, IMMUTABLE, Policy
from alluxio_tw.namespace.rules import RuleSet, Said
from alluxio_tw.quantities import duration_text, size_text

DEFAULT = "default"


@attrs.frozen
class Worth:
    """
    What counts where neither a rule nor a mount says anything.

    :ivar page_bytes: the size of a page.
    :ivar read_ahead: how many pages.
    """

    page_bytes: int
    read_ahead: int


@attrs.frozen
class Line:
    """
    A value in force, as it may be shown.
    """

    name: str
    value: str
    origin: str


@attrs.frozen
class Explanation:
    """
    What is kept of an object, and why.

    :ivar path: C{/bucket/key}.
    :ivar mount: its mount's path and URI.
    :ivar rules: of the rules that match: where each stands, and its pattern.
    """

    path: str
    mount: str
    rules: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "path": self.path,
            "mount": self.mount,
            "rules": [
                {"origin": origin, "pattern": pattern} for origin, pattern in self.rules
            ],
            "policy": [attrs.asdict(line) for line in self.lines],
        }


def explain(mounts: MountTable, path: str, worth: Worth) -> Explanation:
    """
    Explain how an object is kept.

    :param path: C{/bucket/key} or C{s3://bucket/key}; there need be no such object.
    :raises InvalidArgument: that is no path of an object.
    :raises NoSuchBucket: there can be no such bucket.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{path[:100]!r} is not UTF-8") from error
    if path.startswith("s3://"):
        path = path[4:]
    bucket, _, key = path.removeprefix("/").partition("/")
    if not path.startswith("/") or not key:
        raise InvalidArgument(f"{path!r} is no path of an object: write /bucket/key")
    if not bucket:
        raise NoSuchBucket(BucketName=bucket)
    place = mounts.resolve(bucket, key)
    base = place.mount.policy
    rules = mounts.rules if base.cached else None
    matching = () if rules is None else rules.matching(path)
    return Explanation(
        path,
        f"{place.mount.path} from {shown_uri(place.mount.uri)}",
        tuple((rule.origin, rule.pattern) for rule in matching),
        tuple(_lines(place.policy, place.mount, _said(rules, path, base), worth)),
    )


def _said(rules: RuleSet | None, path: str, base: Policy) -> Mapping[str, Said]:
    return {} if rules is None else rules.said(path, base)


def _lines(
    policy: Policy, mount: Mount, said: Mapping[str, Said], worth: Worth
) -> list[Line]:
    base = mount.policy
    if not base.cached:
        why = (
            "mount option cache"
            if "cache" in base.given
            else "default: the storage is near"
        )
        return [Line("cached", "no", f"{why}; rules do not count")]
    rule = {name: f"rule {each.origin}" for name, each in said.items()}
    data = said.get("data")
    lines = [
        Line("cached", "yes" if policy.cached else "no", _cached(policy, base, rule)),
        Line("freshness", _freshness(policy), _fresh(policy, base, said, rule)),
        Line(
            "negativeAge",
            duration_text(policy.negative_age),
            rule.get("negativeAge")
            or (
                rule.get("metadata") or rule.get("data") or DEFAULT
                if policy.negative_age != base.negative_age
                else _option("negative-age", base)
            ),
        ),
        Line(
            "staleIfError",
            duration_text(policy.stale_if_error),
            rule.get("staleIfError") or _option("stale-if-error", base),
        ),
        Line(
            "pages",
            "kept" if policy.pages else "not kept",
            rule["data"] if data is not None and not data.value else DEFAULT,
        ),
    ]
    if policy.pages:
        lines += _keeping(policy, rule, worth)
    hedge = policy.hedge_after
    lines.append(
        Line(
            "hedgeAfter",
            mount.options.get("hedge-after", "off")
            if hedge is None
            else duration_text(hedge)
            if hedge
            else "off",
            rule.get("hedgeAfter") or _option("hedge-after", base),
        )
    )
    return lines


def _keeping(policy: Policy, rule: Mapping[str, str], worth: Worth) -> list[Line]:
    keeping = policy.keeping
    size = keeping.page_size if keeping is not None else None
    tier = keeping.tier if keeping is not None else None
    ahead = keeping.read_ahead if keeping is not None else None
    return [
        Line(
            "pageSize",
            size_text(size or worth.page_bytes),
            rule.get("pageSize") or "alluxio.worker.page.store.page.size",
        ),
        Line("tier", tier or "MEM and DISK", rule.get("tier") or DEFAULT),
        Line(
            "readAhead",
            ("off" if not ahead else f"{ahead} pages")
            if ahead is not None
            else f"{worth.read_ahead} pages of {size_text(worth.page_bytes)}",
            rule.get("readAhead") or "alluxio.worker.page.store.readahead.pages.max",
        ),
    ]


def _cached(policy: Policy, base: Policy, rule: Mapping[str, str]) -> str:
    if not policy.cached:
        return " and ".join(
            dict.fromkeys(rule[name] for name in ("data", "metadata") if name in rule)
        )
    return _option("cache", base)


def _freshness(policy: Policy) -> str:
    if policy.freshness == IMMUTABLE:
        return IMMUTABLE
    if policy.freshness == ALWAYS:
        return "always asked"
    return f"max-age {duration_text(policy.max_age)}"


def _fresh(
    policy: Policy,
    base: Policy,
    said: Mapping[str, Said],
    rule: Mapping[str, str],
) -> str:
    metadata, data = said.get("metadata"), said.get("data")
    lifetime = base.lifetime if metadata is None else metadata.value
    if data is not None and data.value and data.value < lifetime:
        return rule["data"]
    if metadata is not None:
        return rule["metadata"]
    return _option("max-age" if "max-age" in base.given else "freshness", base)


def _option(name: str, base: Policy) -> str:
    return f"mount option {name}" if name in base.given else DEFAULT
