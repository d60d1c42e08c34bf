"""
Many sockets, watched as one.

The reactor of Twisted enters a logging context for each event that it passes on:
some 4 microseconds, which is more than to receive a small request and to send its
answer.  A L{Watch} is one descriptor for the reactor, with an epoll of its own for
any number of sockets (an epoll can be watched by another), and passes their events
on by itself.  For the transports of those sockets it takes the place of the
reactor, as far as they ask that to watch them.

What it changes: events logged while a socket is served carry the name of the watch
as their system, not that of each connection.  What it does not: level-triggered
events, half-closed connections, and that whatever a transport raises is logged and
ends that transport alone.

Not chosen: a reactor of our own, which C{twistd} would have to be told of, and
which every plugin's code would then run on; nor asyncio's reactor on uvloop, which
was slower than Twisted's own.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IReactorFDSet,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

HAS_EPOLL = hasattr(select, "epoll")

_IN: int = getattr(select, "EPOLLIN", 1)
_OUT: int = getattr(select, "EPOLLOUT", 4)
_GONE: int = getattr(select, "EPOLLERR", 8) | getattr(select, "EPOLLHUP", 16)

MOST_EVENTS = 1024
"""How many events are passed on before the reactor has its turn."""


@implementer(IReactorFDSet, IReadDescriptor)
class Watch:
    """
    A set of sockets that a reactor watches as one; while it is empty, the reactor
    does not know of it.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        """
        :param reactor: watches this; also does for the transports all that has
            nothing to do with watching.
        """
        self._reactor = reactor
        self._epoll: Any = None
        self._wanted: dict[int, int] = {}
        self._selectables: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def __repr__(self) -> str:
        return f"<Watch of {len(self._selectables)}>"

    def adopt(self, transport: Any) -> bool:
        """
        Watch a transport from now on, in the reactor's stead.

        :result: L{False} if it is none that could be.
        """
        if not (
            HAS_EPOLL
            and isinstance(transport, Connection)
            and transport.reactor is self._reactor
            and IReactorFDSet.providedBy(self._reactor)
        ):
            return False
        transport.stopReading()
        transport.reactor = self
        transport.startReading()
        return True

    # --- the reactor's side ------------------------------------------------------

    def logPrefix(self) -> str:
        return "S3"

    def fileno(self) -> int:
        return -1 if self._epoll is None else int(self._epoll.fileno())

    def doRead(self) -> None:
        if self._epoll is None:
            return
        find = self._selectables.get
        for fd, event in self._epoll.poll(0, MOST_EVENTS):
            selectable = find(fd)
            if selectable is None:
                # Ended by what was done for one before it.
                continue
            try:
                if event == _IN:
                    why = selectable.doRead()
                    reading = True
                elif event == _OUT:
                    why = selectable.doWrite()
                    reading = False
                else:
                    why, reading = self._other(fd, event, selectable)
            except Exception as error:
                self.log.failure("Unhandled error in {what!r}", what=selectable)
                why, reading = error, False
            if why is not None:
                self._disconnect(selectable, why, reading)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""
        for selectable in self.removeAll():
            selectable.connectionLost(reason)

    def _other(self, fd: int, event: int, selectable: Any) -> tuple[Any, bool]:
        """
        Pass on what is not just something to be read.

        :result: why the selectable ends, or L{None}; whether reading told.
        """
        if event & _GONE and not event & _IN:
            if self._wanted[fd] & _IN:
                return main.CONNECTION_DONE, True
            return main.CONNECTION_LOST, False
        why = None
        if event & _IN:
            why = selectable.doRead()
            if why is not None:
                return why, True
        if event & _OUT and self._wanted.get(fd, 0) & _OUT:
            why = selectable.doWrite()
        return why, False

    def _disconnect(self, selectable: Any, why: Exception, reading: bool) -> None:
        self.removeReader(selectable)
        if (
            reading
            and isinstance(why, ConnectionDone)
            and IHalfCloseableDescriptor.providedBy(selectable)
        ):
            selectable.readConnectionLost(_DONE)
            return
        self.removeWriter(selectable)
        if isinstance(why, ConnectionDone):
            selectable.connectionLost(_DONE)
        elif isinstance(why, ConnectionLost):
            selectable.connectionLost(_LOST)
        else:
            selectable.connectionLost(Failure(why))

    # --- the transports' side ----------------------------------------------------

    def addReader(self, reader: IReadDescriptor) -> None:
        self._want(reader, _IN)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        self._want(writer, _OUT)

    def removeReader(self, reader: IReadDescriptor) -> None:
        self._unwant(reader, _IN)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self._unwant(writer, _OUT)

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        selectables = list(self._selectables.values())
        for selectable in selectables:
            self._unwant(selectable, _IN | _OUT)
        return selectables

    def getReaders(self) -> list[IReadDescriptor]:
        return [self._selectables[fd] for fd, w in self._wanted.items() if w & _IN]

    def getWriters(self) -> list[IWriteDescriptor]:
        return [self._selectables[fd] for fd, w in self._wanted.items() if w & _OUT]

    def _want(self, selectable: Any, event: int) -> None:
        fd = selectable.fileno()
        wanted = self._wanted.get(fd)
        if wanted is None:
            if self._epoll is None:
                self._epoll = select.epoll()
                self._reactor.addReader(self)
            self._epoll.register(fd, event)
            self._selectables[fd] = selectable
            self._wanted[fd] = event
        elif wanted & event != event:
            self._epoll.modify(fd, wanted | event)
            self._wanted[fd] = wanted | event

    def _unwant(self, selectable: Any, event: int) -> None:
        fd = selectable.fileno()
        wanted = self._wanted.get(fd)
        if wanted is None or self._selectables[fd] is not selectable:
            return
        left = wanted & ~event
        if left == wanted:
            return
        if left:
            self._epoll.modify(fd, left)
            self._wanted[fd] = left
            return
        self._epoll.unregister(fd)
        del self._wanted[fd]
        del self._selectables[fd]
        if not self._wanted:
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None


_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())
