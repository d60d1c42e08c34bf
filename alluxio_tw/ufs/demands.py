"""
What a writer demands of the object that is there, judged.
"""

from __future__ import annotations

from alluxio_tw.errors import PreconditionFailed
from alluxio_tw.iobjects import Demand


def demanded(demand: Demand, etag: str | None) -> None:
    """
    Judge a demand.

    :param etag: of the current object; L{None} without one.
    :raises PreconditionFailed: it does not hold.
    """
    if demand.absent and etag is not None:
        raise PreconditionFailed()
    if demand.match is not None and (
        etag is None or (demand.match != ("*",) and etag not in demand.match)
    ):
        raise PreconditionFailed()
