"""
What fsspec's file systems complain of, as nouns of ours: one map.

Each file system has exceptions of its own beneath a few habits: most raise what
Python's own C{open} would, some an exception that carries the HTTP status.  What
is neither is an outage.  The original's text is kept for the log without the
values that the mount's options gave: some put the whole URL, with its token, into
it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

import attrs

from alluxio_tw.errors import (
    GatewayError,
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    StorageBusy,
    StorageDenied,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    UnsuitableKey,
)

P = ParamSpec("P")
T = TypeVar("T")

_ERRNO: dict[int, type[GatewayError]] = {
    errno.ENOENT: NoSuchPath,
    errno.ENOTDIR: PathConflict,
    errno.EISDIR: PathConflict,
    errno.EEXIST: PathConflict,
    errno.ENOTEMPTY: PathConflict,
    errno.ENAMETOOLONG: UnsuitableKey,
    errno.EILSEQ: UnsuitableKey,
    errno.EACCES: StorageDenied,
    errno.EPERM: StorageDenied,
    errno.EROFS: StorageReadOnly,
    errno.ENOSYS: StorageReadOnly,
    errno.EOPNOTSUPP: StorageReadOnly,
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    errno.EBUSY: StorageBusy,
    errno.EAGAIN: StorageBusy,
    errno.EMFILE: StorageBusy,
    errno.ENFILE: StorageBusy,
}
_STATUS: dict[int, type[GatewayError]] = {
    401: StorageDenied,
    403: StorageDenied,
    404: NoSuchPath,
    405: StorageReadOnly,
    410: NoSuchPath,
    412: ObjectChanged,
    414: UnsuitableKey,
    429: StorageBusy,
    501: StorageReadOnly,
    503: StorageBusy,
    507: StorageFull,
}
_KINDS: tuple[tuple[type[Exception], type[GatewayError]], ...] = (
    # In order: some are kinds of others.
    (FileNotFoundError, NoSuchPath),
    (NotADirectoryError, PathConflict),
    (IsADirectoryError, PathConflict),
    (FileExistsError, PathConflict),
    (PermissionError, StorageDenied),
    (NotImplementedError, StorageReadOnly),
    (UnicodeError, UnsuitableKey),
)
_STATUS_NAMES = ("status_code", "status", "code")
_LONGEST_TEXT = 500
_LEAST_SECRET = 4


class Complaint(Exception):
    """
    What a file system said, without secrets: the cause that the log shows.
    """


@attrs.frozen
class Faults:
    """
    The map.

    :ivar secrets: texts that must not be told.
    """

    _secrets: tuple[str, ...] = attrs.field(repr=False)

    @classmethod
    def hiding(cls, values: Iterable[object]) -> Faults:
        """One that hides whatever text there is in the values of options."""
        secrets = {text for value in values for text in _texts(value)}
        # The longest first: one may be a part of another.
        return cls(tuple(sorted(secrets, key=len, reverse=True)))

    def translated(self, work: Callable[P, T]) -> Callable[P, T]:
        """C{work}, raising our nouns only."""

        def translate(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return work(*args, **kwargs)
            except GatewayError:
                raise
            except Exception as error:
                raise self.noun(error) from self.complaint(error)

        return translate

    def noun(self, error: Exception) -> GatewayError:
        """The noun for a complaint."""
        for kind, noun in _KINDS:
            if isinstance(error, kind):
                return noun()
        if isinstance(error, OSError) and error.errno in _ERRNO:
            return _ERRNO[error.errno]()
        for name in _STATUS_NAMES:
            status = getattr(error, name, None)
            if isinstance(status, str) and status.isdecimal():
                status = int(status)
            if isinstance(status, int) and status in _STATUS:
                return _STATUS[status]()
        return StorageUnavailable()

    def complaint(self, error: Exception) -> Complaint:
        """What was said, to be shown in the log."""
        return Complaint(self.cleaned(f"{type(error).__qualname__}: {error}"))

    def cleaned(self, text: str) -> str:
        """A text without the secrets, and not too long."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:_LONGEST_TEXT]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= _LEAST_SECRET:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
