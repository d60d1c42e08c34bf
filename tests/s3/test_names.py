from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidBucketName
from alluxio_tw.s3.names import (
    check_bucket_name,
    is_bucket_name,
    is_legacy_bucket_name,
)


class NamesTests(SynchronousTestCase):
    def test_good_names(self) -> None:
        """What the naming rules allow is allowed."""
        for name in ("abc", "a1b", "my.bucket-1", "a" * 63, "1.2.3", "0-0", "a--b"):
            self.assertTrue(is_bucket_name(name), name)
            check_bucket_name(name)

    def test_bad_names(self) -> None:
        """What the naming rules forbid is InvalidBucketName, and the name is told."""
        for name in (
            "",
            "ab",
            "a" * 64,
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "a.-b",
            "a-.b",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "amzn-s3-demo-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc--table-s3",
            "abc\n",
            "äbc",
            "a/b",
        ):
            error = self.assertRaises(InvalidBucketName, check_bucket_name, name)
            self.assertEqual(error.fields["BucketName"], name)

    def test_legacy_names(self) -> None:
        """A folder may be served under names that a new bucket may not have."""
        for name in ("My_Bucket", "ABC", "a" * 255, "a..b", "_x_"):
            self.assertTrue(is_legacy_bucket_name(name), name)
        for name in ("ab", "a" * 256, ".git", "...", "a b", "a/b", "é-é", "abc\n"):
            self.assertFalse(is_legacy_bucket_name(name), name)

    @given(st.text(st.sampled_from("ab1.-"), min_size=3, max_size=63))
    def test_every_new_name_may_be_served(self, name: str) -> None:
        """The lax rule allows whatever the strict one does."""
        if is_bucket_name(name):
            self.assertTrue(is_legacy_bucket_name(name))
