from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AccessControlListNotSupported,
    InvalidArgument,
    NotImplementedYet,
)
from alluxio_tw.s3.unbuilt import refuse_unbuilt


class UnbuiltTests(SynchronousTestCase):
    def test_harmless(self) -> None:
        """Headers that promise nothing go through."""
        for headers in (
            {},
            {b"content-type": b"x", b"x-amz-meta-a": b"b"},
            {b"x-amz-acl": b"private"},
            {b"x-amz-acl": b"bucket-owner-full-control"},
            {b"x-amz-bucket-object-lock-enabled": b"False"},
        ):
            refuse_unbuilt(headers)
        refuse_unbuilt({b"x-amz-server-side-encryption": b"AES256"}, encrypts=True)

    def test_not_built(self) -> None:
        """What we lack is refused by the header's name."""
        for name, value in (
            (b"x-amz-server-side-encryption", b"AES256"),
            (b"x-amz-server-side-encryption", b"aws:kms"),
            (b"x-amz-server-side-encryption-customer-algorithm", b"AES256"),
            (b"x-amz-object-lock-mode", b"GOVERNANCE"),
            (b"x-amz-object-lock-legal-hold", b"ON"),
            (b"x-amz-bucket-object-lock-enabled", b"true"),
            (b"x-amz-write-offset-bytes", b"5"),
        ):
            error = self.assertRaises(NotImplementedYet, refuse_unbuilt, {name: value})
            self.assertEqual(error.fields["Header"], name.decode())
        self.assertRaises(
            NotImplementedYet,
            refuse_unbuilt,
            {b"x-amz-server-side-encryption": b"aws:kms"},
            True,
        )

    def test_access(self) -> None:
        """Nobody is let in by a header, and an ACL must be one."""
        for headers in (
            {b"x-amz-acl": b"public-read"},
            {b"x-amz-grant-read": b"id=x"},
        ):
            self.assertRaises(AccessControlListNotSupported, refuse_unbuilt, headers)
        self.assertRaises(InvalidArgument, refuse_unbuilt, {b"x-amz-acl": b"mine"})
