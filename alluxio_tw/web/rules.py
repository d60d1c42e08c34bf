"""
The rules in force, as the control socket tells them.
"""

from __future__ import annotations

from typing import Any

from alluxio_tw.deferreds import deferred
from alluxio_tw.namespace.explanation import Worth, explain
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.web.control import Given, Route


def rules_routes(mounts: MountTable, worth: Worth) -> list[Route]:
    """Where to ask which rule applies."""

    @deferred
    async def tell(given: Given) -> Any:
        return explain(mounts, str(given.get("path", "")), worth).document()

    return [
        Route("GET", "/v1/rules", "how an object is kept, and why: ?path=/b/k", tell)
    ]
