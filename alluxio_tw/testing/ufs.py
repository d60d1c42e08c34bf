"""
The contract of under file systems, as a suite that a driver passes or fails.

A driver's author runs it with four lines::

    class MyDriverTests(UnderFileSystemContract, TestCase):
        def make_ufs(self):
            return MyDriver(...)  # an empty place, each time

What a driver cannot do it declares in its L{Capabilities}, and for what those do
not tell, the suite has knobs: the class attributes of
L{UFSCase<alluxio_tw.testing.ufs_case.UFSCase>}, which say how far its promises go.
"""

from __future__ import annotations

from alluxio_tw.testing.ufs_attributes import AttributesContract
from alluxio_tw.testing.ufs_conditions import ConditionsContract
from alluxio_tw.testing.ufs_copying import CopyingContract
from alluxio_tw.testing.ufs_folders import FoldersContract
from alluxio_tw.testing.ufs_leases import LeasesContract
from alluxio_tw.testing.ufs_listing import ListingContract
from alluxio_tw.testing.ufs_names import NamesContract
from alluxio_tw.testing.ufs_objects import (
    ETAG,
    OTHER,
    drain,
    get,
    keys_of,
    merged,
    modelled,
    put,
)
from alluxio_tw.testing.ufs_reading import ReadingContract
from alluxio_tw.testing.ufs_writing import WritingContract

__all__ = [
    "ETAG",
    "OTHER",
    "UnderFileSystemContract",
    "drain",
    "get",
    "keys_of",
    "merged",
    "modelled",
    "put",
]


class UnderFileSystemContract(
    ReadingContract,
    WritingContract,
    AttributesContract,
    ConditionsContract,
    CopyingContract,
    ListingContract,
    NamesContract,
    FoldersContract,
    LeasesContract,
):
    """
    All of it.  Mix it with C{twisted.trial.unittest.TestCase} and give it
    L{make_ufs<alluxio_tw.testing.ufs_case.UFSCase.make_ufs>}.
    """
