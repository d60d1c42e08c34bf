"""
The HDFS driver keeps the contract on a real cluster.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SkipTest, TestCase

from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.iufs import IUnderFileSystem, ListQuery
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import get, keys_of, put
from alluxio_tw.ufs.webhdfs import make
from tests.servers import hdfs
from tests.servers.hdfs import Cluster, NotInstalled


class HdfsCase(UFSCase):
    """
    A test with a folder of a cluster, mounted.

    :ivar namenodes: of the cluster.
    """

    namenodes = 1

    def make_ufs(self) -> IUnderFileSystem:
        try:
            self.cluster: Cluster = hdfs.cluster(self.namenodes)
        except NotInstalled as error:
            if hdfs.required():
                raise
            raise SkipTest(str(error)) from error
        self.folder = self.cluster.make_folder()
        ufs: IUnderFileSystem = self.mount()
        return ufs

    def mount(self, buckets: bool = False, **options: str) -> Any:
        """The folder, mounted in another way."""
        ufs = make(
            self.cluster.uri(self.folder),
            {**self.cluster.options, **options},
            self.surroundings(buckets),
        )
        self.addCleanup(ufs.close)
        return ufs


class HdfsTests(HdfsCase, UnderFileSystemContract, TestCase):
    checks_demands = True
    # Milliseconds.
    sets_modified = 1_000_000


class SecureTests(HdfsCase, TestCase):
    """The same cluster over TLS."""

    def mount(self, buckets: bool = False, **options: str) -> Any:
        ufs = make(
            self.cluster.secure_uri(self.folder),
            {
                "ca-file": self.cluster.authority.path,
                **self.cluster.options,
                **options,
            },
            self.surroundings(buckets),
        )
        self.addCleanup(ufs.close)
        return ufs

    async def test_back_and_forth(self) -> None:
        """Namenodes and datanodes are spoken to over TLS, and believed as who they are."""
        data = os.urandom(5 << 20)
        for size in (0, 1000, len(data)):
            await put(self.ufs, f"of/{size}", data[:size])
            self.assertTrue(await get(self.ufs, f"of/{size}") == data[:size])
        self.assertEqual(len(await keys_of(self.ufs, ListQuery())), 3)

    async def test_not_believed(self) -> None:
        """Who has a certificate of an authority that we do not know is refused."""
        ufs = make(
            self.cluster.secure_uri(self.folder),
            self.cluster.options,
            self.surroundings(),
        )
        self.addCleanup(ufs.close)
        error = await self.fails(ufs.check(), StorageUnavailable)
        self.assertIn("certificate", str(error))
