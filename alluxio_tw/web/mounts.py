"""
The mounts, as the control socket tells them.
"""

from __future__ import annotations

from typing import Any

from alluxio_tw.deferreds import deferred
from alluxio_tw.gateway.mounting import Mounting
from alluxio_tw.namespace.entries import MountEntry
from alluxio_tw.namespace.options import shown_options, shown_uri
from alluxio_tw.web.control import Given, Route


def mount_routes(mounting: Mounting) -> list[Route]:
    """
    Where to ask for the mounts: C{look} names the one to look at, where not all are.
    """

    @deferred
    async def tell(given: Given) -> Any:
        # Who asks has just written, perhaps: no waiting until we are told of it.
        await mounting.settle()
        only = given.get("look")
        await mounting.check(None if only is None else (str(only),))
        mounts = [
            {
                **described(each.entry),
                "mounted": True,
                "read_only": each.mount.read_only,
                "wrong": each.wrong,
            }
            for each in mounting.standings.values()
        ]
        mounts += [
            {**described(entry), "mounted": False, "read_only": False, "wrong": why}
            for entry, why in mounting.left_out
        ]
        return {"mounts": sorted(mounts, key=lambda each: str(each["path"]))}

    return [Route("GET", "/v1/mounts", "what is mounted, and how it is", tell)]


def described(entry: MountEntry) -> dict[str, Any]:
    """What may be shown of an entry: no secret."""
    return {
        "path": entry.path,
        "uri": shown_uri(entry.uri),
        "options": shown_options(entry.options),
        "origin": entry.origin,
        "fallback": entry.fallback,
        "revision": entry.revision,
    }
