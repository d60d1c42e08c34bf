"""
What a bridge is told, and how it refuses what it cannot use.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ufs.fsspec_address import Address


class AddressTests(SynchronousTestCase):
    def refused(self, uri: str, options: Mapping[str, str], *parts: str) -> None:
        error = self.assertRaises(WrongConfiguration, Address.of, uri, options)
        for part in parts:
            self.assertIn(part, error.message)

    def test_roots(self) -> None:
        """The place is where the file system's own way of writing puts it."""
        for uri, root, tree in (
            ("fsspec+file:///srv/a%20b", "/srv/a b", True),
            ("fsspec+memory://", "", True),
            ("fsspec+memory://bucket/prefix/", "/bucket/prefix", True),
            ("fsspec+s3://bucket/pre/fix", "bucket/pre/fix", False),
        ):
            found = Address.of(uri, {})
            self.assertEqual((found.root, found.tree), (root, tree), uri)

    def test_arguments(self) -> None:
        """Options for the file system are JSON where they parse, else text."""
        found = Address.of(
            "fsspec+s3://bucket?option.anon=true&option.key=007x",
            {
                "option.client_kwargs": '{"region_name": "eu"}',
                "option.max_concurrency": "3",
                "threads": "2",
                "block": "1MB",
            },
        )
        self.assertEqual(
            found.arguments,
            {
                "anon": True,
                "key": "007x",
                "client_kwargs": {"region_name": "eu"},
                "max_concurrency": 3,
            },
        )
        self.assertEqual((found.threads, found.block), (2, 1 << 20))

    def test_secrets(self) -> None:
        """No value of an option is in the repr."""
        found = Address.of("fsspec+s3://bucket", {"option.secret": "hush-hush"})
        self.assertNotIn("hush", repr(found))

    def test_refused(self) -> None:
        """What cannot be used is refused with what to write instead."""
        self.refused("fsspec+gccs://b", {}, "did you mean 'gcs'")
        self.refused("fsspec+zip::file:///a.zip", {}, "fsspec+zip:///?option.fo=")
        self.refused("fsspec+simplecache://a", {}, "a cache of its own")
        self.refused("fsspec+memory://", {"treads": "1"}, "did you mean 'threads'")
        self.refused("fsspec+memory://", {"threads": "0"}, "'threads'")
        self.refused("fsspec+ftp://host/a", {"threads": "2"}, "one connection")
        self.refused("fsspec+memory://", {"commit": "hope"}, "put, rename")
        self.refused("fsspec+memory://", {"commit": "put"}, "write rename")
        self.refused("fsspec+memory://", {"token": "hush"}, "no option 'token'")
        self.refused("fsspec+github://", {}, "'org'", "option.NAME=VALUE")

    def test_missing_packages(self) -> None:
        """A package that is missing is named as pip knows it."""
        for uri, package in (
            ("fsspec+gcs://bucket", "pip install gcsfs"),
            ("fsspec+abfs://container", "pip install adlfs"),
            ("fsspec+smb://host/share", "pip install smbprotocol"),
            ("fsspec+webdav://host", "pip install webdav4[fsspec]"),
        ):
            try:
                Address.of(uri, {})
            except WrongConfiguration as error:
                self.assertIn(package, error.message)
            # Where somebody has installed it, there is nothing to refuse.
