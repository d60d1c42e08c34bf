"""
Tests of L{alluxio_tw.namespace.options}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.options import (
    MOUNT_OPTIONS,
    is_secret,
    refuse_unknown,
    shown_options,
    shown_uri,
    split_options,
)


class SplitTests(SynchronousTestCase):
    def test_split(self) -> None:
        """A mount's own options are told from its driver's."""
        self.assertEqual(
            split_options({"cache": "true", "sync": "false", "max-age": "1s"}),
            ({"cache": "true", "max-age": "1s"}, {"sync": "false"}),
        )

    def test_other_spelling(self) -> None:
        """One of ours in another spelling is refused with the right one."""
        for wrong, right in (
            ("maxAge", "max-age"),
            ("read_only", "readonly"),
            ("STALE.IF.ERROR", "stale-if-error"),
        ):
            error = self.assertRaises(WrongConfiguration, split_options, {wrong: "1"})
            self.assertIn(f"did you mean {right!r}", error.message)

    def test_unknown(self) -> None:
        """An unknown option is refused with what may have been meant."""
        error = self.assertRaises(WrongConfiguration, refuse_unknown, ["freshnes"])
        self.assertIn("did you mean 'freshness'", error.message)
        error = self.assertRaises(WrongConfiguration, refuse_unknown, ["zzz"])
        self.assertIn("there are: cache, freshness", error.message)
        refuse_unknown(MOUNT_OPTIONS)


class SecretTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Whatever may hold a secret by its name is one."""
        for name in (
            "s3.secretKey",
            "PASSWORD",
            "security_token",
            "access-key",
            "credentials.file",
        ):
            self.assertTrue(is_secret(name), name)
        for name in ("endpoint", "region", "latency"):
            self.assertFalse(is_secret(name), name)

    def test_options(self) -> None:
        """Secret values are never shown, others are."""
        self.assertEqual(
            shown_options({"secret": "x", "region": "eu"}),
            {"secret": "***", "region": "eu"},
        )
        self.assertEqual(
            shown_options({"endpoint": "http://u:pw@h"}), {"endpoint": "http://u:***@h"}
        )

    def test_uri(self) -> None:
        """A URI is shown without password and secret values, else as it is."""
        for uri, shown in (
            ("file:///srv/a", "file:///srv/a"),
            ("slow+file:///p?latency=50ms", "slow+file:///p?latency=50ms"),
            ("s3://me:hush@host/b?x=1", "s3://me:***@host/b?x=1"),
            ("s3://me@host/b@d", "s3://me@host/b@d"),
            ("s3://b?secret%4Bey=hush&x=1#f", "s3://b?secret%4Bey=***&x=1#f"),
            ("s3://b?token=&key", "s3://b?token=&key"),
            ("a?key=x=y&b", "a?key=***&b"),
            ("s3://b?endpoint=http://u:pw@h&x=1", "s3://b?endpoint=http://u:***@h&x=1"),
            (
                "s3://b?endpoint=http://h?token=a&x",
                "s3://b?endpoint=http://h?token=***&x",
            ),
            ("s3://b?x=http%3A%2F%2Fu%3Apw%40h", "s3://b?x=http://u:***@h"),
            ("s3://b?x=%2F%2Fh", "s3://b?x=%2F%2Fh"),
        ):
            self.assertEqual(shown_uri(uri), shown)

    @given(st.text(alphabet="SECRT", min_size=4))
    def test_no_leak(self, secret: str) -> None:
        """Wherever a secret can be written, it is not shown."""
        for uri in (
            f"x://u:{secret}@h/p",
            f"x://u:{secret}@h?token={secret}&a=b",
            f"x:///p?a=b&my_password={secret}",
            f"x:///p?a=y://u:{secret}@h&c=d",
            f"x:///p?a=y://h?token={secret}",
            f"x:///p?token=a?{secret}",
            "x:///p?" + "a=?" * 5000 + f"key={secret}",
        ):
            self.assertNotIn(secret, shown_uri(uri))
