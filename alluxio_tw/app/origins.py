"""
Puts what a mount's options say of its storage's share around its driver.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.metrics import Metrics
from alluxio_tw.ufs.capped import CappedUFS
from alluxio_tw.ufs.caps import Caps, Limits
from alluxio_tw.ufs.hedged import HedgedUFS, Patience


def considerate(
    ufs: IUnderFileSystem,
    own: Mapping[str, str],
    path: str,
    clock: IReactorTime,
    metrics: Metrics,
) -> IUnderFileSystem:
    """
    The driver within its caps and with its late reads hedged, as the mount's own
    options say; the driver itself if they say nothing and it is near.

    :param path: of the mount, by which its numbers are told.
    :raises WrongConfiguration: an option cannot be read.
    """
    limits = Limits.of(own)
    patience = Patience.of(own)
    if not limits and patience is None and ufs.capabilities.near:
        return ufs
    caps = Caps.of(limits, clock)
    # Also where the mount says nothing of it: a rule may.
    ufs = hedged = HedgedUFS(ufs, patience, clock, caps.reads.spare)
    hedges = hedged.counts
    if not limits and patience is None:
        metrics.watch_origin(path, hedged)
        return hedged
    capped = CappedUFS(ufs, caps, hedges)
    metrics.watch_origin(path, capped)
    return capped
