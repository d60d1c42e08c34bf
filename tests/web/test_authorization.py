"""
Who may do what, as far as it is decided at once.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.gateway.buckets import Buckets
from alluxio_tw.iobjects import Bucket
from alluxio_tw.s3.path import ObjectPath, parse_target
from alluxio_tw.s3.permissions import ACTIONS, POLICY_ACTIONS, READING, WRITING
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.web.authorization import ACCESS, Authorization


@attrs.define
class Connection:
    peer: str = "10.0.0.1"
    secure: bool = False


@attrs.define
class Asked:
    """As much of a request as is looked at."""

    user: str
    headers: dict[bytes, bytes] = attrs.field(factory=dict)
    connection: Connection = attrs.field(factory=Connection)


class AuthorizationTests(SynchronousTestCase):
    """
    A bucket of alice's, one that nobody created, one with a policy, and one
    whose policy cannot be read.
    """

    def setUp(self) -> None:
        self.state = MemoryState()
        self.keep("hers", owner="alice")
        allow = {
            "Effect": "Allow",
            "Principal": {"AWS": ["bob"]},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::open/*",
        }
        deny = {
            **allow,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:DeleteObject",
        }
        self.keep(
            "open", owner="alice", policy=json.dumps({"Statement": [allow, deny]})
        )
        self.keep("broken", owner="alice", policy="{}")
        mounts: Any = None
        self.buckets = Buckets(mounts, self.state, "daemon")
        self.buckets.start()
        self.addCleanup(self.buckets.stop)

    def keep(self, bucket: str, **kept: str) -> None:
        value = json.dumps(kept).encode()
        self.successResultOf(self.state.put(f"bucket/{bucket}", value))

    def judge(self, proved: bool = True, **given: Any) -> Authorization:
        return Authorization(self.buckets, lambda: 0.0, proved, **given)

    def allows(
        self, of: Authorization, user: str, action: str, bucket: str, key: str = ""
    ) -> bool:
        asked: Any = Asked(user)
        values = of.circumstances(asked, {}, self.buckets.standing(bucket))
        return of.allows(user, action, bucket, key, values)

    def all_of(self, of: Authorization, user: str, bucket: str) -> frozenset[str]:
        """Every action that is allowed on a bucket and an object."""
        return frozenset(a for a in ACTIONS if self.allows(of, user, a, bucket, "k"))

    def test_owner(self) -> None:
        """The owner and administrators may do everything, others nothing."""
        judge = self.judge(administrators=frozenset(("admin",)))
        for user, allowed in (
            ("alice", ACTIONS),
            ("admin", ACTIONS),
            ("bob", frozenset()),
            ("daemon", frozenset()),
            ("", frozenset()),
        ):
            self.assertEqual(self.all_of(judge, user, "hers"), allowed, user)

    def test_unproved(self) -> None:
        """Where names prove nothing, everybody may do everything."""
        judge = self.judge(proved=False)
        for bucket in ("hers", "nobodys"):
            self.assertEqual(self.all_of(judge, "bob", bucket), ACTIONS)
        self.assertEqual(
            self.all_of(judge, "bob", "open"), ACTIONS - {"s3:DeleteObject"}
        )

    def test_nobodys(self) -> None:
        """Buckets that nobody created are for whom the configuration says."""
        both = READING | WRITING
        for access, user, allowed in (
            ("owner", "bob", frozenset()),
            ("authenticated-read", "bob", READING),
            ("authenticated", "bob", both),
            ("public-read", "bob", both),
            ("owner", "", frozenset()),
            ("authenticated-read", "", frozenset()),
            ("authenticated", "", frozenset()),
            ("public-read", "", READING),
            *((access, "daemon", ACTIONS) for access in ACCESS),
        ):
            judge = self.judge(access=access)
            self.assertEqual(
                self.all_of(judge, user, "nobodys"), allowed, (access, user)
            )

    def test_policy(self) -> None:
        """A policy adds what it allows and takes what it denies, of everybody."""
        judge = self.judge()
        for user, allowed in (
            ("alice", ACTIONS - {"s3:DeleteObject"}),
            ("bob", frozenset(("s3:GetObject",))),
            ("carol", frozenset()),
            ("", frozenset()),
        ):
            self.assertEqual(self.all_of(judge, user, "open"), allowed, user)

    def test_way_back(self) -> None:
        """A policy that denies everything leaves its owner the policy."""
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": "*",
        }
        self.keep("shut", owner="alice", policy=json.dumps({"Statement": deny}))
        judge = self.judge()
        self.assertEqual(self.all_of(judge, "alice", "shut"), POLICY_ACTIONS)
        self.assertEqual(self.all_of(judge, "bob", "shut"), frozenset())

    def test_broken(self) -> None:
        """A policy that cannot be read lets in nobody but the owner, ever."""
        for proved in (True, False):
            judge = self.judge(proved)
            self.assertEqual(self.all_of(judge, "bob", "broken"), frozenset())
            self.assertEqual(self.all_of(judge, "alice", "broken"), ACTIONS)
        self.flushLoggedErrors()

    def test_free(self) -> None:
        """Free is who may do everything with a bucket that says nothing of it."""
        for bucket in ("hers", "open", "nobodys"):
            self.buckets.standing(bucket)
        for proved, user, bucket, free in (
            (True, "alice", "hers", True),
            (True, "bob", "hers", False),
            (True, "", "hers", False),
            (True, "alice", "open", False),
            (True, "daemon", "nobodys", True),
            (True, "bob", "nobodys", False),
            (True, "alice", "never-seen", False),
            (False, "bob", "hers", True),
            (False, "alice", "open", False),
        ):
            asked: Any = Asked(user)
            judge = self.judge(proved)
            self.assertIs(judge.free(asked, bucket), free, (proved, user, bucket))
            asked.headers[b"x-amz-expected-bucket-owner"] = b"alice"
            self.assertFalse(judge.free(asked, bucket))

    def test_reads(self) -> None:
        """That an object may be read is said at once, where no tags are asked for."""
        tagged = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::tagged/*",
            "Condition": {"Null": {"s3:ExistingObjectTag/secret": "true"}},
        }
        self.keep("tagged", owner="alice", policy=json.dumps({"Statement": tagged}))
        judge = self.judge()
        for user, path, reads in (
            ("alice", b"/hers/k", True),
            ("bob", b"/hers/k", False),
            ("bob", b"/nobodys/k", True),
            ("", b"/nobodys/k", False),
            ("bob", b"/open/k", True),
            ("carol", b"/open/k", False),
            ("alice", b"/tagged/k", False),
        ):
            asked: Any = Asked(user)
            target = parse_target(path)
            assert isinstance(target, ObjectPath)
            self.assertIs(judge.reads(asked, target), reads, (user, path))

    def test_shown(self) -> None:
        """A list of buckets has one's own and those one may list."""
        judge = self.judge(administrators=frozenset(("admin",)))
        for user, shown in (
            ("alice", {"hers", "nobodys"}),
            ("bob", {"nobodys"}),
            ("admin", {"hers", "nobodys"}),
        ):
            found = {
                name
                for name in ("hers", "nobodys")
                if judge.shows(user, Bucket(name, 0))
            }
            self.assertEqual(found, shown, user)

    def test_owns(self) -> None:
        """Whose a bucket is, when it is made again."""
        judge = self.judge()
        self.assertTrue(judge.owns("alice", "hers"))
        self.assertFalse(judge.owns("bob", "hers"))
        self.assertTrue(judge.owns("bob", "nobodys"))
        self.assertFalse(self.judge(access="owner").owns("bob", "nobodys"))


class StandingTests(SynchronousTestCase):
    """
    What is remembered of buckets.
    """

    def setUp(self) -> None:
        self.state = MemoryState()
        mounts: Any = None
        self.buckets = Buckets(mounts, self.state, "daemon")

    def put(self, bucket: str, **kept: str) -> None:
        self.successResultOf(
            self.state.put(f"bucket/{bucket}", json.dumps(kept).encode())
        )

    def test_changes(self) -> None:
        """What another process changes is seen when the state tells of it."""
        self.buckets.start()
        self.assertEqual(self.buckets.standing("b").owner, "daemon")
        self.assertIs(self.buckets.standing("b"), self.buckets.standing("b"))
        self.put("b", owner="alice")
        self.assertEqual(self.buckets.standing("b").owner, "alice")
        self.buckets.stop()
        self.assertEqual(self.buckets.standings, {})

    def test_unwatched(self) -> None:
        """Before it is told of changes, nothing is remembered."""
        self.buckets.standing("b")
        self.assertEqual(self.buckets.standings, {})
        self.put("b", owner="alice")
        self.assertEqual(self.buckets.standing("b").owner, "alice")

    def test_bounded(self) -> None:
        """Names that strangers make up take only so much memory."""
        self.buckets.start()
        for number in range(5000):
            self.buckets.standing(f"made-up-{number}")
        self.assertLessEqual(len(self.buckets.standings), 4096)
        self.assertEqual(self.buckets.standing("x" * 8000).owner, "daemon")
