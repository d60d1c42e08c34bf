from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    GatewayError,
    InvalidAccessKeyId,
    InvalidArgument,
    OurError,
)
from alluxio_tw.gateway import keys
from alluxio_tw.gateway.identity import Identity
from alluxio_tw.gateway.keys import AccessKey, AccessKeys, fault_in
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.threads import NoThreads

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class AccessKeyTests(SynchronousTestCase):
    def test_secret(self) -> None:
        """An access key does not show its secret."""
        key = AccessKey("AKID", SECRET, "alice")
        self.assertNotIn(SECRET, repr(key))
        self.assertEqual(key.identity, Identity("alice", "AKID", proved=True))

    def test_faults(self) -> None:
        """What cannot be an access key is refused without being repeated."""
        self.assertEqual(fault_in("AKID", SECRET, "alice@example.com"), "")
        for parts in (
            ("", SECRET, "alice"),
            ("A/B", SECRET, "alice"),
            ("A,B", SECRET, "alice"),
            ("A" * 129, SECRET, "alice"),
            ("\xc4KID", SECRET, "alice"),
            ("AKID", "", "alice"),
            ("AKID", "two words", "alice"),
            ("AKID", "schl\xfcssel", "alice"),
            ("AKID", "s" * 257, "alice"),
            ("AKID", SECRET, ""),
            ("AKID", SECRET, "a/b"),
            ("AKID", SECRET, "*"),
        ):
            fault = fault_in(*parts)
            self.assertTrue(fault, parts)
            for part in parts:
                if len(part) > 5:
                    self.assertNotIn(part, fault)


class AccessKeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = MemoryState()
        self.keys = self.make()

    def make(self) -> AccessKeys:
        return AccessKeys(self.state, lambda: 1_800_000_000.5, lambda n: b"\x01" * n)

    def test_add(self) -> None:
        """A key that is made up can be found, and is like those of AWS in form."""
        key = self.successResultOf(self.keys.add("alice"))
        self.assertEqual(self.keys.find(key.access_key), key)
        self.assertEqual(len(key.access_key), 20)
        self.assertEqual(len(key.secret), 40)
        self.assertEqual(fault_in(key.access_key, key.secret, key.user), "")
        self.assertEqual(key.created, 1_800_000_000)

    def test_random(self) -> None:
        """No two keys that are made up are the same."""
        made = AccessKeys(self.state)
        found = [self.successResultOf(made.add("alice")) for _ in range(20)]
        self.assertEqual(len({key.access_key for key in found}), 20)
        self.assertEqual(len({key.secret for key in found}), 20)

    def test_own(self) -> None:
        """Access key and secret may be given."""
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.assertEqual(self.keys.find("AKID").secret, SECRET)

    def test_twice(self) -> None:
        """There is one key of a name, and the first stays."""
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.failureResultOf(self.keys.add("bob", "AKID"), InvalidArgument)
        self.keys.write({"MINE": AccessKey("MINE", SECRET, "carol")})
        self.failureResultOf(self.keys.add("bob", "MINE"), InvalidArgument)
        self.assertEqual(self.keys.find("AKID").user, "alice")

    def test_form(self) -> None:
        """What cannot be a key is not made, and no message repeats a secret."""
        for user, access_key, secret in (
            ("a b", None, None),
            ("alice", "A/B", None),
            ("alice", "AKID", "two words here"),
        ):
            failure = self.failureResultOf(
                self.keys.add(user, access_key, secret), InvalidArgument
            )
            self.assertNotIn("two words here", str(failure.value))
        self.assertEqual(self.successResultOf(self.keys.every()), [])

    def test_unknown(self) -> None:
        """What nobody made is not found, whatever it looks like."""
        for name in ("AKID", "", "../x", "\U0001f511", "k" * 500):
            error = self.assertRaises(InvalidAccessKeyId, self.keys.find, name)
            self.assertEqual(error.fields["AWSAccessKeyId"], name)

    def test_disabled(self) -> None:
        """A disabled key is not found, and is again when enabled."""
        self.keys.start()
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.keys.find("AKID")
        self.successResultOf(self.keys.enable("AKID", False))
        self.assertRaises(InvalidAccessKeyId, self.keys.find, "AKID")
        self.successResultOf(self.keys.enable("AKID"))
        self.assertEqual(self.keys.find("AKID").secret, SECRET)

    def test_rotate(self) -> None:
        """Rotation changes the secret and nothing else."""
        self.keys.start()
        before = self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.successResultOf(self.keys.enable("AKID", False))
        self.successResultOf(self.keys.enable("AKID"))
        self.assertEqual(self.keys.find("AKID"), before)
        after = self.successResultOf(self.keys.rotate("AKID"))
        self.assertNotEqual(after.secret, SECRET)
        self.assertEqual(self.keys.find("AKID"), after)
        self.assertEqual((after.user, after.created), ("alice", before.created))
        own = self.successResultOf(self.keys.rotate("AKID", "my-own-secret"))
        self.assertEqual(own.secret, "my-own-secret")
        self.failureResultOf(self.keys.rotate("AKID", "two words"), InvalidArgument)
        self.assertEqual(self.keys.find("AKID"), own)

    def test_remove(self) -> None:
        """A removed key is gone."""
        self.keys.start()
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.keys.find("AKID")
        self.successResultOf(self.keys.remove("AKID"))
        self.assertRaises(InvalidAccessKeyId, self.keys.find, "AKID")

    def test_nothing_to_change(self) -> None:
        """What is not in the state cannot be changed there; the file is named."""
        self.keys.write({"MINE": AccessKey("MINE", SECRET, "carol")})
        for name, said in (("AKID", "no such"), ("A/B", "no such"), ("MINE", "file")):
            for done in (
                self.keys.enable(name),
                self.keys.rotate(name),
                self.keys.remove(name),
            ):
                failure = self.failureResultOf(done, InvalidArgument)
                self.assertIn(said, str(failure.value))

    def test_file_first(self) -> None:
        """Where file and state both have a key, the file's counts."""
        self.keys.start()
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.assertEqual(self.keys.find("AKID").user, "alice")
        self.keys.write({"AKID": AccessKey("AKID", SECRET, "carol")})
        self.assertEqual(self.keys.find("AKID").user, "carol")
        self.keys.write({"AKID": AccessKey("AKID", SECRET, "carol", False)})
        self.assertRaises(InvalidAccessKeyId, self.keys.find, "AKID")
        self.keys.write({})
        self.assertEqual(self.keys.find("AKID").user, "alice")

    def test_revision(self) -> None:
        """Who keeps what was found learns when it may not hold any more."""
        self.keys.start()
        seen = {self.keys.revision}
        changes: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: self.keys.add("alice", "AKID", SECRET),
            lambda: self.keys.enable("AKID", False),
            lambda: self.keys.rotate("AKID"),
            lambda: self.keys.remove("AKID"),
        )
        for change in changes:
            self.successResultOf(change())
            self.assertNotIn(self.keys.revision, seen)
            seen.add(self.keys.revision)
        self.keys.write({})
        self.assertNotIn(self.keys.revision, seen)

    def test_every(self) -> None:
        """All keys are listed, however many, and nothing else of the state."""
        self.successResultOf(self.state.put("kex", b"other"))
        self.successResultOf(self.state.put("keys", b"other"))
        names = [f"AKID{number:04}" for number in range(1005)]
        for name in reversed(names):
            self.successResultOf(self.keys.add("alice", name, SECRET))
        found = self.successResultOf(self.keys.every())
        self.assertEqual([key.access_key for key in found], names)

    def test_bounded(self) -> None:
        """No more keys are kept decoded than there is a bound, and all are found."""
        self.keys.start()
        for number in range(keys.REMEMBERED + 5):
            self.successResultOf(self.keys.add("alice", f"A{number}", SECRET))
        for number in range(keys.REMEMBERED + 5):
            self.keys.find(f"A{number}")
        self.assertLessEqual(len(self.keys._known), keys.REMEMBERED)

    def test_unreadable(self) -> None:
        """A record that cannot be read is an error of ours that tells nothing."""
        for value in (b"", b"[]", b"{}", b'{"secret": "s3cret"}', b"\xff", b"null"):
            self.successResultOf(self.state.put("key/AKID", value))
            error = self.assertRaises(OurError, self.keys.find, "AKID")
            self.assertNotIn("s3cret", f"{error!r} {error.__cause__!r}")

    def test_stopped(self) -> None:
        """After the end of the watch nothing is believed from memory."""
        self.keys.start()
        self.successResultOf(self.keys.add("alice", "AKID", SECRET))
        self.keys.find("AKID")
        self.keys.stop()
        self.successResultOf(self.keys.remove("AKID"))
        self.assertRaises(GatewayError, self.keys.find, "AKID")


class TwoProcessesTests(SynchronousTestCase):
    def test_seen(self) -> None:
        """What another process does to a key is seen within the watch's interval."""
        path = os.path.abspath(self.mktemp())
        clock = Clock()
        ours = EmbeddedState.open(path, clock, NoThreads(), capacity=1 << 20)
        self.addCleanup(lambda: self.successResultOf(ours.close()))
        here = AccessKeys(ours)
        here.start()
        self.addCleanup(here.stop)
        # LMDB opens a folder once in a process: the other one's writes are
        # made beneath the first one's watch.
        key = self.successResultOf(here.add("alice"))
        here.find(key.access_key)
        before = here.revision
        environment = ours._environment
        with environment.begin(write=True) as txn:
            number = (100).to_bytes(8, "big")
            txn.delete(f"key/{key.access_key}".encode(), db=ours._values)
            txn.put(b"revision", number, db=ours._counters)
            txn.put(number, f"key/{key.access_key}".encode(), db=ours._changes)
        self.assertEqual(here.find(key.access_key), key)
        clock.advance(1.0)
        self.assertGreater(here.revision, before)
        self.assertRaises(InvalidAccessKeyId, here.find, key.access_key)
