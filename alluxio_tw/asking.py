"""
In whose name work is done, where no argument says it.

The edge sets it around the coroutine that serves a request; coroutines begun from
there inherit it, since L{Deferred.fromCoroutine} copies the context.  Work that
is begun later on somebody's behalf (a page loaded when a socket has room) keeps
the value and sets it again: L{in_name_of}.

Not chosen: a parameter of every method of a storage, which one wrapper in a
hundred mounts would look at.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

WHOSE: ContextVar[Hashable] = ContextVar("whose", default="")
"""A user, or a user and an address where anybody can say any name; empty: ours."""


@contextmanager
def in_name_of(whose: Hashable) -> Iterator[None]:
    """What is begun within is begun in the name of C{whose}."""
    token = WHOSE.set(whose)
    try:
        yield
    finally:
        WHOSE.reset(token)
