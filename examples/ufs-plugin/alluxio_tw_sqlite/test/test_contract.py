"""
The driver keeps the contract.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import TestCase

from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw_sqlite.driver import make


class ContractTests(UnderFileSystemContract, TestCase):
    """All that is promised, of a file that is empty at first."""

    def make_ufs(self) -> IUnderFileSystem:
        path = os.path.abspath(self.mktemp())
        return make(f"sqlite://{path}", {}, self.surroundings())
