"""
The mounts as C{alluxio-s3 mount list} shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alluxio_tw.namespace.entries import MountEntry, chosen
from alluxio_tw.namespace.options import shown_options, shown_uri
from alluxio_tw.ufs.uris import locate


def state_of(each: Mapping[str, Any]) -> str:
    """How a mount is, in words."""
    if each["wrong"] is None:
        return "no daemon"
    if not each["wrong"]:
        return "well"
    return f"{'broken' if each['mounted'] else 'not mounted'}: {each['wrong']}"


def at_rest(
    configured: Iterable[MountEntry], written: Iterable[MountEntry]
) -> list[dict[str, Any]]:
    """What the daemon would mount, if it were started."""
    wanted, left_out = chosen(configured, written, True)
    rows: list[tuple[MountEntry, str | None]] = [*left_out]
    rows += [(entry, None) for entry in wanted.values()]
    return [
        {
            "path": entry.path,
            "uri": shown_uri(entry.uri),
            "options": shown_options(entry.options),
            "origin": entry.origin,
            "fallback": entry.fallback,
            "revision": entry.revision,
            "mounted": False,
            "read_only": _read_only(entry),
            "wrong": why,
        }
        for entry, why in sorted(rows, key=lambda row: row[0].path)
    ]


def _read_only(entry: MountEntry) -> bool:
    said = {**locate(entry.uri).query, **entry.options}
    return said.get("readonly", "").lower() == "true"
