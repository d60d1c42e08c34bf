"""
What file systems complain of, by whom it is to blame.
"""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

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
from alluxio_tw.ufs.fsspec_faults import Complaint, Faults


class Answered(Exception):
    """As the exceptions of web libraries are."""

    def __init__(self, **fields: object) -> None:
        super().__init__("said no")
        self.__dict__.update(fields)


class FaultsTests(SynchronousTestCase):
    def test_nouns(self) -> None:
        """Each complaint has its noun."""
        faults = Faults.hiding(())
        cases: list[tuple[Exception, type[GatewayError]]] = [
            (FileNotFoundError("x"), NoSuchPath),
            (OSError(errno.ENOENT, "x"), NoSuchPath),
            (IsADirectoryError("x"), PathConflict),
            (NotADirectoryError("x"), PathConflict),
            (PermissionError("x"), StorageDenied),
            (NotImplementedError("x"), StorageReadOnly),
            (OSError(errno.EROFS, "x"), StorageReadOnly),
            (OSError(errno.ENOSPC, "x"), StorageFull),
            (OSError(errno.ENAMETOOLONG, "x"), UnsuitableKey),
            (OSError(errno.EBUSY, "slow down"), StorageBusy),
            (OSError("no number"), StorageUnavailable),
            (ConnectionResetError("x"), StorageUnavailable),
            (TimeoutError("x"), StorageUnavailable),
            (Answered(status=404), NoSuchPath),
            (Answered(status_code=403), StorageDenied),
            (Answered(code="429"), StorageBusy),
            (Answered(code=412), ObjectChanged),
            (Answered(status=500), StorageUnavailable),
            (Answered(code="weird"), StorageUnavailable),
            (ValueError("x"), StorageUnavailable),
        ]
        for error, noun in cases:
            self.assertIs(type(faults.noun(error)), noun, repr(error))

    def test_translated(self) -> None:
        """Foreign errors are ours, with what was said; ours are left alone."""
        faults = Faults.hiding(())

        def foreign() -> None:
            raise PermissionError("not you")

        def ours() -> None:
            raise ObjectChanged()

        error = self.assertRaises(StorageDenied, faults.translated(foreign))
        self.assertIsInstance(error.__cause__, Complaint)
        self.assertEqual(str(error.__cause__), "PermissionError: not you")
        self.assertTrue(error.__suppress_context__)
        self.assertRaises(ObjectChanged, faults.translated(ours))

    def test_secrets(self) -> None:
        """What the options say is never said again, at whatever depth it was."""
        faults = Faults.hiding(
            ["token-of-mine", {"inner": ["sig=ABCDEF", 7, None]}, "token-of-mine-too"]
        )
        said = str(
            faults.complaint(
                OSError("GET http://x/?sig=ABCDEF&t=token-of-mine-too, token-of-mine")
            )
        )
        self.assertEqual(said, "OSError: GET http://x/?***&t=***, ***")
        self.assertNotIn("token", repr(faults))
        self.assertLess(len(faults.cleaned("x" * 10_000)), 1000)
