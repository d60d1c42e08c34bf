"""
What writers left behind who died: found by its names, and by its age.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from alluxio_tw.errors import GatewayError, NoSuchPath
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_names import HIDDEN, JOINING, SCRATCH
from alluxio_tw.ufs.webhdfs_placing import Ground
from alluxio_tw.ufs.webhdfs_stat import Stat

_UPLOADS = f"{HIDDEN}/uploads"


async def sweep(ground: Ground, before: float) -> int:
    """
    Remove what nobody of us is writing.

    :param before: seconds since the epoch: what was made before.
    :return: how many there were.
    """
    files = ground.files
    left: list[str] = []
    async for stat in _all(files, SCRATCH):
        if stat.modified / 1000 <= before:
            left.append(f"{SCRATCH}/{stat.name}")
    uploads = [_UPLOADS]
    if files.kept:
        async for stat in _all(files, ""):
            if stat.is_folder and not stat.name.startswith(HIDDEN):
                uploads.append(f"{stat.name}/{_UPLOADS}")
    for folder in uploads:
        async for upload in _all(files, folder):
            async for stat in _all(files, f"{folder}/{upload.name}"):
                if stat.name.startswith(JOINING) and stat.modified / 1000 <= before:
                    left.append(f"{folder}/{upload.name}/{stat.name}")
    swept = 0
    for path in left:
        if path in ground.live:
            continue
        try:
            swept += await files.delete(path)
            await files.prune(path)
        except GatewayError:
            continue
    return swept


async def _all(files: HdfsFiles, path: str) -> AsyncIterator[Stat]:
    last, more = "", True
    while more:
        try:
            stats, more = await files.batch(path, last)
        except NoSuchPath:
            return
        for stat in stats:
            last = stat.name
            yield stat
