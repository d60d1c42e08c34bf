"""
What HDFS, or the way to it, complains of, as nouns of ours: one map.

A refusal of WebHDFS is a document, C{{"RemoteException": {...}}}, that names a Java
class and has a message.  The names are those of Hadoop 3 (WebHDFS REST API, "Error
Responses", and the exceptions of C{org.apache.hadoop}).
"""

from __future__ import annotations

import json

from alluxio_tw import errors
from alluxio_tw.errors import GatewayError

_CLASSES: dict[str, type[GatewayError]] = {
    "FileNotFoundException": errors.NoSuchPath,
    "PathNotFoundException": errors.NoSuchPath,
    "UnresolvedPathException": errors.NoSuchPath,
    "NotASymlinkException": errors.NoSuchPath,
    "AccessControlException": errors.StorageDenied,
    "AuthorizationException": errors.StorageDenied,
    "AuthenticationException": errors.StorageDenied,
    "SecurityException": errors.StorageDenied,
    "InvalidToken": errors.StorageDenied,
    "ParentNotDirectoryException": errors.PathConflict,
    "FileAlreadyExistsException": errors.PathConflict,
    "PathIsNotDirectoryException": errors.PathConflict,
    "PathIsNotEmptyDirectoryException": errors.PathConflict,
    "PathComponentTooLongException": errors.UnsuitableKey,
    "InvalidPathException": errors.UnsuitableKey,
    "MaxDirectoryItemsExceededException": errors.StorageFull,
    "NSQuotaExceededException": errors.StorageFull,
    "DSQuotaExceededException": errors.StorageFull,
    "QuotaExceededException": errors.StorageFull,
    "QuotaByStorageTypeExceededException": errors.StorageFull,
    "ClusterStorageCapacityExceededException": errors.StorageFull,
    "DiskOutOfSpaceException": errors.StorageFull,
    "SnapshotAccessControlException": errors.StorageReadOnly,
}

_STATUSES: dict[int, type[GatewayError]] = {
    401: errors.StorageDenied,
    404: errors.NoSuchPath,
    429: errors.StorageBusy,
    503: errors.StorageBusy,
    507: errors.StorageFull,
}

_ELSEWHERE = frozenset(
    ("StandbyException", "ObserverRetryOnActiveException", "RetriableException")
)
_PASSING = frozenset(
    ("RetriableException", "SafeModeException", "ServerTooBusyException")
)
_PASSING_STATUSES = frozenset((429, 500, 502, 503, 504))
_NO_DIRECTORY = "is not a directory)"
_NO_DATANODE = ("Failed to find datanode", "could only be written to")
_BOTH_DIRECTORIES = "must both be directories"


class Complaint(Exception):
    """
    A reply that is no success.

    :ivar status: of HTTP.
    :ivar name: of the exception, without its package; empty where the reply had no
        document.
    :ivar message: the exception's; for us, not for clients: there are paths in it.
    """

    def __init__(self, status: int, name: str = "", message: str = "") -> None:
        super().__init__(f"{status} {name}".strip())
        self.status = status
        self.name = name
        self.message = message

    @property
    def elsewhere(self) -> bool:
        """Is another namenode to be asked?"""
        # With security, who is on standby cannot judge a token and says it so.
        return self.name in _ELSEWHERE or "StandbyException" in self.message

    @property
    def passes(self) -> bool:
        """May it go better the next time?"""
        if self.name:
            return self.name in _PASSING or self.no_datanode
        return self.status in _PASSING_STATUSES

    @property
    def no_datanode(self) -> bool:
        """Does the namenode know of no datanode, perhaps not yet?"""
        return self.name == "IOException" and any(
            said in self.message for said in _NO_DATANODE
        )

    @property
    def no_directory(self) -> bool:
        """Does the path lead through a file?"""
        # Asked by who is no superuser, it is told as a denial.
        return self.name == "ParentNotDirectoryException" or (
            self.name == "AccessControlException" and _NO_DIRECTORY in self.message
        )

    @property
    def directory(self) -> bool:
        """Does a folder stand where a file was to be?"""
        return _BOTH_DIRECTORIES in self.message or (
            self.name == "FileAlreadyExistsException"
            and "as a directory" in self.message
        )

    def noun(self) -> GatewayError:
        """What it is to us."""
        if self.no_directory or self.directory:
            return errors.PathConflict()
        if self.name == "SafeModeException":
            return errors.StorageUnavailable(
                "HDFS is in safe mode: nothing can be changed."
            )
        if self.elsewhere:
            return errors.StorageUnavailable("No namenode of HDFS is active.")
        if self.no_datanode:
            return errors.StorageUnavailable("HDFS has no datanode for this.")
        cls = _CLASSES.get(self.name)
        if cls is None and not self.name:
            cls = _STATUSES.get(self.status)
        if cls is not None:
            return cls()
        what = f"{self.status} {self.name[:64]}".strip()
        return errors.StorageUnavailable(
            f"The storage behind this bucket answered {what}."
        )


def complaint(status: int, body: bytes) -> Complaint:
    """
    Read the reply of a failure.

    :param body: its document, if there is one.
    """
    try:
        found = json.loads(body)["RemoteException"]
        name, message = found.get("exception"), found.get("message")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Complaint(status)
    return Complaint(
        status,
        name if isinstance(name, str) else "",
        message[:4096] if isinstance(message, str) else "",
    )
