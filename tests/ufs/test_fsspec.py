"""
The bridge to fsspec keeps the contract: in memory, on a disk, on a real S3.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SkipTest, TestCase

from alluxio_tw.iufs import IUnderFileSystem
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.ufs.fsspec import make
from tests.servers import s3 as servers
from tests.servers import sftp
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, NotInstalled, Server


class BridgeTests(UnderFileSystemContract):
    """
    The contract, less what fsspec has no words for.
    """

    folder_objects = False
    sets_modified = None
    checks_demands = True


class MemoryContractTests(BridgeTests, TestCase):
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        return make(
            "fsspec+memory://", {"option.global_store": "false"}, self.surroundings()
        )


class LocalContractTests(BridgeTests, TestCase):
    def make_ufs(self) -> IUnderFileSystem:
        root = os.path.abspath(self.mktemp())
        os.mkdir(root)
        return make(f"fsspec+file://{root}", {}, self.surroundings())


class S3ContractTests(BridgeTests):
    # s3fs and what is beneath it hold a part of 5 MiB six times.
    memory = 40 << 20
    limits = "false"

    def serve(self) -> Server:
        raise NotImplementedError

    def make_ufs(self) -> IUnderFileSystem:
        try:
            server = self.serve()
        except NotInstalled as error:
            if servers.required():
                raise
            raise SkipTest(str(error)) from error
        return make(
            f"fsspec+s3://{server.make_bucket()}",
            {
                "option.endpoint_url": server.endpoint,
                "option.key": ACCESS_KEY,
                "option.secret": SECRET_KEY,
                "key_limits": self.limits,
            },
            self.surroundings(),
        )


class MotoTests(S3ContractTests, TestCase):
    # Its router knows no line breaks.
    odd_names = tuple(n for n in BridgeTests.odd_names if "\n" not in n)

    def serve(self) -> Server:
        return servers.moto()


class VersitygwTests(S3ContractTests, TestCase):
    # Its folders are folders.
    limits = "true"

    def serve(self) -> Server:
        return servers.versitygw()


class SFTPTests(BridgeTests, TestCase):
    """
    A far tree, whose clock tells whole seconds.
    """

    # Nothing is faster than its round trips; there are enough of them.
    large = 2 << 20
    huge = 32 << 20
    many = 24

    def make_ufs(self) -> IUnderFileSystem:
        try:
            server = sftp.shared()
        except NotInstalled as error:
            if os.environ.get("CI") == "true":
                raise
            raise SkipTest(str(error)) from error
        return make(
            f"fsspec+sftp://{sftp.USER}@127.0.0.1:{server.port}{server.make_place()}",
            {"option.password": sftp.PASSWORD},
            self.surroundings(),
        )
