"""
What the operating system complains of, as nouns of ours: one map.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from alluxio_tw.errors import (
    GatewayError,
    NoSuchPath,
    StorageBusy,
    StorageDenied,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)

P = ParamSpec("P")
T = TypeVar("T")

# Names that no file can have, or that lead out of the mount, name nothing; nor do
# those of sockets and of pipes that nobody reads, which cannot be opened.
ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EXDEV,
        errno.ENXIO,
    }
)

_NOUNS: dict[int, type[GatewayError]] = {
    **dict.fromkeys(ABSENT, NoSuchPath),
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageDenied,
    errno.EPERM: StorageDenied,
    errno.EAGAIN: StorageBusy,
    errno.EMFILE: StorageBusy,
    errno.ENFILE: StorageBusy,
}


def noun(error: OSError) -> GatewayError:
    """The noun for a complaint; what is not in the map is an outage."""
    return _NOUNS.get(error.errno or 0, StorageUnavailable)()


def translated(work: Callable[P, T]) -> Callable[P, T]:
    """
    C{work}, raising a L{BackendError} in place of any L{OSError}.
    """

    def translate(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except OSError as error:
            raise noun(error) from error

    return translate
