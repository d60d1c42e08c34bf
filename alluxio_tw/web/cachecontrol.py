"""
Loads, and what is cached, on the control socket.
"""

from __future__ import annotations

from typing import Any

import attrs

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidArgument
from alluxio_tw.gateway.inventory import Inventory
from alluxio_tw.gateway.loadjob import LoadOptions
from alluxio_tw.gateway.loadjobs import LoadJobs
from alluxio_tw.web.control import Given, Route

OPTIONS = frozenset(each.name for each in attrs.fields(LoadOptions))


@attrs.frozen
class CacheControl:
    """
    Answers what is asked about the cache.
    """

    _loads: LoadJobs
    _inventory: Inventory

    def routes(self) -> list[Route]:
        """Where it is asked."""
        return [
            Route(
                "POST",
                "/v1/load",
                "path, opType=submit|stop, anew, and options of a load: begin a load, "
                "or stop it",
                self.load,
            ),
            Route(
                "GET",
                "/v1/load",
                "path: how far its load has come; without: all loads",
                self.progress,
            ),
            Route("GET", "/v1/stat", "path: what is cached of it", self.stat),
            Route(
                "POST",
                "/v1/free",
                "path, metadata_only: believe nothing of it any more, and drop its "
                "pages",
                self.free,
            ),
        ]

    @deferred
    async def load(self, given: Given) -> Any:
        """Submit or stop."""
        _only(given, {"path", "opType", "anew", *OPTIONS})
        kind = given.get("opType", "submit")
        if kind == "stop":
            return await self._loads.stop(_path(given))
        if kind != "submit":
            raise InvalidArgument("opType is submit or stop")
        return await self._loads.submit(
            _path(given), LoadOptions.of(given), _flag(given, "anew")
        )

    @deferred
    async def progress(self, given: Given) -> Any:
        """One load, or all."""
        _only(given, {"path"})
        if "path" in given:
            return await self._loads.progress(_path(given))
        return {"loads": await self._loads.every()}

    @deferred
    async def stat(self, given: Given) -> Any:
        """What is cached."""
        _only(given, {"path"})
        return await self._inventory.stat(_path(given))

    @deferred
    async def free(self, given: Given) -> Any:
        """Forget it."""
        _only(given, {"path", "metadata_only"})
        return await self._inventory.free(_path(given), _flag(given, "metadata_only"))


def _path(given: Given) -> str:
    path = given.get("path")
    if not isinstance(path, str):
        raise InvalidArgument("path is missing: write /bucket or /bucket/key")
    return path


def _flag(given: Given, name: str) -> bool:
    value = given.get(name, False)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise InvalidArgument(f"{name} is true or false")


def _only(given: Given, known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidArgument(
                f"{name[:50]!r} is unknown; there are {', '.join(sorted(known))}"
            )
