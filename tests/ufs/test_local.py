"""
The local driver keeps the contract, whatever keeps its attributes.
"""

from __future__ import annotations

import os

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase

from alluxio_tw.iufs import IUnderFileSystem, Surroundings
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.threads import NoThreads, PooledThreads
from alluxio_tw.ufs.local import make


def in_threads() -> Surroundings:
    pool = reactor.getThreadPool()  # type: ignore[attr-defined]
    return Surroundings(IReactorTime(reactor), PooledThreads(reactor, pool))  # type: ignore[arg-type]


def in_place() -> Surroundings:
    return Surroundings(IReactorTime(reactor), NoThreads())


class LocalContractTests(UnderFileSystemContract, TestCase):
    sets_modified = 1000

    def make_ufs(self) -> IUnderFileSystem:
        self.root = self.mktemp()
        os.mkdir(self.root)
        return make("file://" + os.path.abspath(self.root), {}, in_threads())


class AnyKeyContractTests(UnderFileSystemContract, TestCase):
    """Also of keys that a tree has no place for under their own names."""

    sets_modified = 1000

    def make_ufs(self) -> IUnderFileSystem:
        root = self.mktemp()
        os.mkdir(root)
        options = {"names": "any", "sync": "false"}
        return make("file://" + os.path.abspath(root), options, in_threads())


class SidecarContractTests(UnderFileSystemContract, TestCase):
    sets_modified = 1000

    def make_ufs(self) -> IUnderFileSystem:
        root = self.mktemp()
        os.mkdir(root)
        options = {"attributes": "sidecar", "sync": "false"}
        return make("file://" + os.path.abspath(root), options, in_place())
