"""
What a name, a value and a question to the state may be; the same for every store.
"""

from __future__ import annotations

from alluxio_tw.errors import OurError

NAME_LIMIT = 480
"""Bytes of UTF-8 in a name: LMDB takes keys of 511."""

VALUE_LIMIT = 64 * 1024
"""Bytes in a value."""

LIST_LIMIT = 10_000
"""Values in one answer of C{list}, whatever was asked for."""


def key_of(name: str) -> bytes:
    """
    A name as it is stored; bytes sort as the text does.

    :raises OurError: it is empty, too long or not text: names are made by our
        own code, so the blame is ours.
    """
    try:
        key = name.encode()
    except UnicodeEncodeError as e:
        raise OurError("A name of the state is not text.") from e
    if not 0 < len(key) <= NAME_LIMIT:
        raise OurError(f"A name of the state is {len(key)} bytes long.")
    return key


def checked(value: bytes) -> bytes:
    """
    A value, if it may be kept.

    :raises OurError: it is too long.
    """
    if len(value) > VALUE_LIMIT:
        raise OurError(f"A value of the state is {len(value)} bytes long.")
    return value


def holds(expected: str | None, revision: str | None) -> bool:
    """
    Does the expectation of L{IState.put<alluxio_tw.istate.IState.put>} hold?

    :param revision: of the value there is, or L{None} without one.
    """
    return expected is None or expected == (revision or "")
