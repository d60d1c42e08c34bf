"""
Under file systems: the contract between the gateway and any storage.

A driver is an L{IUnderFileSystem}, made by an L{IUFSMaker} that
C{twisted.plugin.getPlugins} finds by the scheme of a mount's URI.  Paths are
keys: text whose UTF-8 is at most 1,024 bytes, relative to the mount's root,
never beginning with a slash; the empty path is the root itself.  A driver over
a directory tree turns C{a/b/c} into directories; one over a flat store keeps it.

Every method that returns a Deferred may fail with any L{BackendError}; what
else it may raise is said with the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from traceback import extract_tb

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import Attribute, Interface, implementer

from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads


@attrs.frozen
class Capabilities:
    """
    What a driver can do by itself; the gateway makes up for the rest.

    :ivar near: its bytes are as near as our own cache's: caching is waste
        unless the mount asks for it.
    :ivar attributes: it keeps L{Attributes} with an object.
    :ivar conditional: L{IPlacing.commit}, and what else is given a demand, checks it
        atomically, also against writers that are not this process.  Without it the
        gateway checks before it calls, the writers of an object one after another;
        the driver may look again, or ignore the demand.
    :ivar copies: L{IUnderFileSystem.copy} moves no bytes through us.
    :ivar joins: L{IUnderFileSystem.join} moves no bytes through us.
    :ivar folders: it has directories: buckets can be made under its root.
    :ivar key_limits: it cannot hold every key: a file cannot be where a folder is
        needed, and some names are impossible.
    :ivar etags: objects have the ETags that the storage gives them, whatever
        L{IPlacing.commit} is told: nobody need compute one for it.
    :ivar parallel: how many reads of a large object side by side may be faster than
        one after another, as where each connection is limited; 1 for none.
    :ivar unordered: its listings are in no order, and go on only where a page of its
        own ended: C{after} is empty, or the C{resume} that the last page gave, which
        may be any text; C{fold} is not set; names of ours need not be left out.  The
        gateway puts them in order, at the price of a walk through everything beneath
        the prefix for every page.
    """

    near: bool = False
    attributes: bool = False
    conditional: bool = False
    copies: bool = False
    joins: bool = False
    folders: bool = False
    key_limits: bool = False
    unordered: bool = False
    etags: bool = False
    parallel: int = 1


@attrs.frozen
class ListQuery:
    """
    Which entries, from where, how many.

    :ivar prefix: keys that begin so; need not end at a slash.
    :ivar after: keys greater than this in UTF-8 byte order; empty for all.
    :ivar fold: fold what follows the next C{/} after the prefix into
        prefixes.  When set and C{after} ends in C{/} and is longer than the
        prefix, everything beneath C{after} is passed over too.
    :ivar limit: at most so many entries and prefixes together, 1 or more.
    """

    prefix: str = ""
    after: str = ""
    fold: bool = False
    limit: int = 1000


class IPlacing(Interface):
    """
    An object being written; nothing of it is seen before L{commit}.
    """

    def write(data: Piece) -> Deferred[None]:
        """
        Append.  One write at a time: the next waits for this Deferred, and
        that is the backpressure.

        :raises StorageFull: there is no room.
        """

    def commit(
        etag: str, attributes: Attributes, demand: Demand, modified: int | None = None
    ) -> Deferred[Status]:
        """
        Make what was written the current object, all at once: after success it
        survives the death of this process (and of the machine where the mount
        asks for C{sync}); after failure the old object is as it was.

        :param etag: the ETag to be answered from now on, where the driver
            keeps attributes; others answer with their own.
        :param modified: the modification time to give it, in nanoseconds, or
            L{None} for now.
        :raises PreconditionFailed: the demand did not hold.
        :raises PathConflict: the tree has a folder where this file should be,
            or a file where a folder is needed.
        """

    def abort() -> Deferred[None]:
        """Forget it; harmless after L{commit} or a second time."""


class IUnderFileSystem(Interface):
    """
    One mounted storage.
    """

    capabilities: Capabilities = Attribute("""What this driver can do.""")

    def glance(path: str) -> IReading | None:
        """
        The current version, if that can be said for sure without waiting:
        no more than a system call or two on what was touched lately.  The hot
        path of uncached mounts; a driver that cannot returns L{None} always.
        """

    def status(path: str) -> Deferred[Status]:
        """
        The current version.

        :raises NoSuchPath: there is no object (a folder that was made as the
            object C{name/} is one, under that name).
        """

    def open(path: str) -> Deferred[IReading]:
        """
        The current version, to be read; a lease.

        :raises NoSuchPath: as L{status}.
        """

    def read(path: str, status: Status, span: Span) -> Deferred[IBody]:
        """
        Bytes of exactly the version C{status}, fetched with one request.

        :raises ObjectChanged: the path holds another version now.
        :raises NoSuchPath: it is gone.
        """

    def place(
        path: str, size: int | None, attributes: Attributes | None = None
    ) -> Deferred[IPlacing]:
        """
        Begin to write an object.

        :param size: in bytes, if it is known.
        :param attributes: a hint, for storages that must be told at the beginning:
            what L{IPlacing.commit} will probably be given.  Checksums have their
            names already, and no values.
        :raises UnsuitableKey: this storage cannot hold such a name.
        """

    def describe(path: str, status: Status, attributes: Attributes) -> Deferred[Status]:
        """
        Replace the attributes of the version C{status}, leaving bytes, ETag and
        modification time as they are.

        :raises NoSuchPath: it is gone.
        :raises ObjectChanged: the path holds another version now.
        """

    def copy(
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        """
        Copy within this storage, all at once as L{IPlacing.commit} does.
        Called only where C{capabilities.copies}.  C{source} and C{target} may be
        the same path.
        """

    def join(
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        """
        Make C{target} of the bytes of C{sources}, in order, all at once;
        C{sources} may be used up by it.  Called only where
        C{capabilities.joins}.
        """

    def delete(path: str, demand: Demand) -> Deferred[bool]:
        """
        Delete an object; L{True} if there was one.

        :raises PreconditionFailed: the demand did not hold.
        """

    def list(query: ListQuery) -> Deferred[Listing]:
        """
        One page, in UTF-8 byte order, in memory bounded by C{query.limit}.

        Each call costs what it returns where the storage allows.  What this
        project keeps for itself beneath the root (names that begin with
        C{.alluxio-tw}) is not listed unless the prefix names it.
        """

    def folders() -> Deferred[Sequence[Bucket]]:
        """The folders right beneath the root, by name: buckets of a root mount."""

    def make_folder(name: str) -> Deferred[None]:
        """
        Make a folder right beneath the root.

        :raises PathConflict: something of that name is there.
        """

    def remove_folder(name: str) -> Deferred[None]:
        """
        Remove an empty folder right beneath the root; what this project keeps
        in it for itself, and folders without any object, do not count.

        :raises NoSuchPath: there is none.
        :raises PathConflict: there are objects in it.
        """

    def check() -> Deferred[None]:
        """Is the storage there, and can we use it?  For readiness."""

    def sweep(older: float) -> Deferred[int]:
        """
        Remove leftovers of writes that died, older than so many seconds; how
        many there were.
        """

    def close() -> Deferred[None]:
        """Let go of everything."""


class IWholeReads(Interface):
    """
    What a driver may provide beside L{IUnderFileSystem}: a small object with one
    request, where C{open} and its body would be two.
    """

    def whole(path: str, most: int) -> Deferred[bytes]:
        """
        All bytes of the current version.

        :param most: no more than so many; what is longer is cut off.
        :raises NoSuchPath: there is no object.
        """


@attrs.frozen
class Surroundings:
    """
    What a driver may use of the process it lives in.

    :ivar reactor: for time and connections.
    :ivar threads: for what may block.
    :ivar buckets: it is mounted at C{/}: the folders right beneath its root are
        buckets, and stay when they are empty.
    """

    reactor: IReactorTime
    threads: IThreads
    buckets: bool = False


class IUFSMaker(Interface):
    """
    Makes drivers for the URIs of its schemes.
    """

    schemes: tuple[str, ...] = Attribute(
        """In lower case.  One that ends in C{+} stands before another scheme."""
    )

    def make(
        uri: str, options: Mapping[str, str], around: Surroundings
    ) -> IUnderFileSystem:
        """
        Make the driver of one mount.  May look at the storage, quickly.

        :raises WrongConfiguration: the URI or an option cannot be used; the
            message says what to write instead.
        :raises BackendError: all is right with them, but the storage cannot be used
            now; the message, which operators read, says why.  It is tried again.
        """


class DriverBroken(ImportError):
    """A driver cannot be imported."""

    def __init__(self, factory: str, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        where = extract_tb(error.__traceback__)[-1]
        if not isinstance(error, SyntaxError) and where.name == "<module>":
            said += f" ({where.filename}, line {where.lineno})"
        super().__init__(f"{factory}: {said}")


@implementer(IPlugin, IUFSMaker)
@attrs.frozen
class UFSMaker:
    """
    A scheme and where its driver lives, imported when first used.

    :ivar factory: the dotted name of a callable with L{IUFSMaker.make}'s
        signature.
    """

    schemes: tuple[str, ...]
    factory: str

    def make(
        self, uri: str, options: Mapping[str, str], around: Surroundings
    ) -> IUnderFileSystem:
        return self.load()(uri, options, around)

    def load(self) -> Callable[..., IUnderFileSystem]:
        """
        The factory.

        :raises DriverBroken: it cannot be imported.
        """
        try:
            factory: Callable[..., IUnderFileSystem] = namedAny(self.factory)
        except Exception as error:
            raise DriverBroken(self.factory, error) from error
        return factory
